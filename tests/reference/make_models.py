#!/usr/bin/env python3
"""Makes the tiny models under tests/data/models: random weights in the shape of each family, as safetensors and as GGUF, with the
logits that `transformers` computes for them in float64.

    pip install torch transformers==4.57.6 safetensors gguf tokenizers numpy
    python3 tests/reference/make_models.py --converter llama.cpp/convert_hf_to_gguf.py tests/data/models [NAME...]

The GGUF files are written by llama.cpp's own converter (here: the one in the source package of llama-cpp-python 0.3.36), so that
both the reading of config.json and that of GGUF are held against somebody else's work. transformers runs eagerly with everything
in float64: what it forces to float32 (norms, softmax, RoPE angles) is lifted.

Two runs give the same bytes. SPDX-License-Identifier: MIT
"""
import argparse
import json
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, decoders, trainers

VOCAB = 288
TOKENS = 32
KEPT = 12  # positions whose logits are kept: the last ones
COMMON = dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, head_dim=16, rms_norm_eps=1e-6, max_position_embeddings=4096, bos_token_id=1,
              eos_token_id=2, pad_token_id=2, attn_implementation="eager")

LONG = 6  # of 16 head dimensions 12 turn: 6 factors
FAMILIES = {
    # name: (class, changes of COMMON, whether GGUF too)
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True, rope_theta=1e6), True),
    "qwen3": ("Qwen3", dict(hidden_size=32, head_dim=32, tie_word_embeddings=False, rope_theta=1e6), True),
    "gemma2": ("Gemma2", dict(num_hidden_layers=3, sliding_window=16, query_pre_attn_scalar=24, rope_theta=1e4,
                              attn_logit_softcapping=5.0, final_logit_softcapping=8.0,
                              hidden_activation="gelu_pytorch_tanh"), False),
    "gemma3": ("Gemma3", dict(num_hidden_layers=4, sliding_window=8, sliding_window_pattern=3, query_pre_attn_scalar=20,
                              rope_theta=1e6, rope_local_base_freq=1e4, rope_scaling={"rope_type": "linear", "factor": 8.0},
                              layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
                              hidden_activation="gelu_pytorch_tanh"), False),
    # As gemma 3 is in GGUF: there every sixth layer is a full one, and the query's scale is that of the head.
    "gemma3-gguf": ("Gemma3", dict(num_hidden_layers=6, hidden_size=32, intermediate_size=64, sliding_window=8,
                                   query_pre_attn_scalar=16, rope_theta=1e6, rope_local_base_freq=1e4,
                                   rope_scaling={"rope_type": "linear", "factor": 8.0},
                                   hidden_activation="gelu_pytorch_tanh"), "only"),
    "phi3": ("Phi3", dict(partial_rotary_factor=0.75, original_max_position_embeddings=1024, max_position_embeddings=4096,
                          sliding_window=20, tie_word_embeddings=True, rope_theta=1e4,
                          rope_scaling={"type": "longrope", "short_factor": [1.0 + 0.05 * i for i in range(LONG)],
                                        "long_factor": [1.0 + 0.9 * i for i in range(LONG)]}), True),
    "llama3": ("Llama", dict(tie_word_embeddings=True, rope_theta=5e5, max_position_embeddings=256,
                             rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                           "high_freq_factor": 4.0, "original_max_position_embeddings": 32}), True),
    "yarn": ("Qwen2", dict(tie_word_embeddings=True, rope_theta=1e4, max_position_embeddings=256,
                           rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}), True),
    "mistral-window": ("Mistral", dict(hidden_size=32, sliding_window=16, rope_theta=1e4, tie_word_embeddings=False), False),
    "fp8-channel": ("Mistral", dict(rope_theta=1e6, tie_word_embeddings=False), False),
    "nemotron": ("Nemotron", dict(norm_eps=1e-5, partial_rotary_factor=0.5, hidden_act="relu2", rope_theta=1e4,
                                  tie_word_embeddings=False), True),
}


def lift_to_float64():
    """transformers asks for float32 by these names, at the time of the call."""
    torch.set_default_dtype(torch.float64)
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double


def make_tokenizer(folder):
    text = ["A room for the night? The innkeeper nods and pours a drink.", "Marta remembers every debt; the gold is gone."]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=["<|endoftext|>", "<s>", "</s>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(text * 40, trainer)
    assert tokenizer.get_vocab_size() == VOCAB, tokenizer.get_vocab_size()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "add_bos_token": False}))


def quantize_rows_to_fp8(weight):
    """One scale a row: what llm-compressor writes as strategy "channel"."""
    scale = (weight.abs().amax(dim=1, keepdim=True) / 448.0).to(torch.bfloat16).to(torch.float64)
    eight = (weight / scale).clamp(-448, 448).to(dtype=torch.float8_e4m3fn)
    return eight, scale


def fill(model, rng, is_fp8):
    """Random weights that give logits of a deviation near 3, rounded to bfloat16; returns what is stored."""
    stored = {}
    own = dict(model.named_parameters())
    for name, parameter in sorted(own.items()):
        shape = tuple(parameter.shape)
        if "norm" in name:
            centre = 0.0 if type(model).__name__.startswith(("Gemma", "Nemotron")) else 1.0
            values = centre + 0.2 * rng.standard_normal(shape)
        elif name.endswith(".bias"):
            values = 0.3 * rng.standard_normal(shape)
        elif "embed_tokens" in name:
            values = (0.35 if "Gemma" in type(model).__name__ else 0.7) * rng.standard_normal(shape)
        elif "lm_head" in name:
            values = 0.4 * rng.standard_normal(shape)
        else:
            values = rng.standard_normal(shape) * 1.4 / np.sqrt(shape[-1])
        weight = torch.tensor(values, dtype=torch.float64).to(torch.bfloat16).to(torch.float64)
        if is_fp8 and "_proj.weight" in name:
            eight, scale = quantize_rows_to_fp8(weight)
            stored[name] = eight
            stored[name + "_scale"] = scale.to(torch.bfloat16)
            weight = eight.to(torch.float64) * scale
        else:
            stored[name] = weight.to(torch.bfloat16)
        parameter.data.copy_(weight)
    tied = model.config.tie_word_embeddings
    if tied:
        stored.pop("lm_head.weight", None)
        model.tie_weights()
    return stored


def write_config(model, folder, kind, changes, is_fp8):
    config = json.loads(model.config.to_json_string(use_diff=False))
    for key in ("dtype", "torch_dtype", "attn_implementation", "_attn_implementation_autoset"):
        config.pop(key, None)
    keep = {k: v for k, v in config.items() if not k.startswith(("output_", "return_", "pruned", "num_beam", "top_", "typical",
            "temperature", "length_", "early_", "do_sample", "diversity", "encoder_", "decoder_", "forced", "exponential", "bad_",
            "no_repeat", "min_", "max_length", "repetition", "suppress", "begin_", "chunk_", "cross_", "finetuning", "id2label",
            "label2id", "is_", "prefix", "problem", "remove_", "sep_", "task_", "tf_", "torchscript", "tokenizer_class",
            "use_bfloat16", "add_cross", "num_return", "_name"))}
    keep["architectures"] = [kind + "ForCausalLM"]
    keep["torch_dtype"] = "bfloat16"
    if is_fp8:
        keep["quantization_config"] = {
            "quant_method": "compressed-tensors", "format": "float-quantized", "ignore": ["lm_head"],
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float", "strategy": "channel",
                                                                            "dynamic": False, "symmetric": True}}}}
    (folder / "config.json").write_text(json.dumps(keep, indent=1, sort_keys=True) + "\n")


def newer_config(config):
    """The same as transformers 5 writes it: everything about RoPE in rope_parameters."""
    rope = dict(config.pop("rope_scaling", None) or {})
    rope["rope_type"] = rope.pop("type", rope.get("rope_type", "default"))
    rope["rope_theta"] = config.pop("rope_theta")
    if "partial_rotary_factor" in config:
        rope["partial_rotary_factor"] = config.pop("partial_rotary_factor")
    if "rope_local_base_freq" in config:
        rope = {"full_attention": rope,
                "sliding_attention": {"rope_type": "default", "rope_theta": config.pop("rope_local_base_freq")}}
    config["rope_parameters"] = rope
    config["dtype"] = config.pop("torch_dtype")
    return config


def convert(converter, source, target, kind="q8_0"):
    """Runs llama.cpp's converter in this process, telling it which pre-tokenizer this made-up tokenizer has."""
    import subprocess
    code = f"""
import sys, runpy
sys.path.insert(0, {str(converter.parent)!r}); sys.path.insert(0, {str(converter.parent / 'gguf-py')!r})
sys.argv = ['convert', {str(source)!r}, '--outfile', {str(target)!r}, '--outtype', {kind!r}]
import convert_hf_to_gguf as c
from conversion import base, gemma, nemotron, phi
base.TextModel.get_vocab_base_pre = lambda self, tokenizer: 'gpt-2'
for cls in (gemma.GemmaModel, gemma.Gemma2Model, gemma.Gemma3Model, phi.Phi3MiniModel, nemotron.NemotronModel):
    cls.set_vocab = lambda self: self._set_vocab_gpt2()
c.main()
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def dequantized(model, path, name):
    """Puts the GGUF file's own (Q8_0) weights into the model: what it stores is what its logits must come from."""
    import gguf
    reader = gguf.GGUFReader(str(path))
    arch = reader.fields["general.architecture"].contents()
    kind = {"qwen2": "QWEN2", "qwen3": "QWEN3", "llama": "LLAMA", "gemma3": "GEMMA3", "phi3": "PHI3",
            "nemotron": "NEMOTRON"}[arch]
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[kind], model.config.num_hidden_layers)
    tensors = {t.name: torch.tensor(gguf.dequantize(t.data, t.tensor_type).astype(np.float64)) for t in reader.tensors}
    for full, parameter in model.named_parameters():
        stem, part = full.rsplit(".", 1)
        own = names.get_name(stem)
        if own is None or own + "." + part not in tensors:
            assert "lm_head" in full, full
            continue
        weight = tensors[own + "." + part].reshape(parameter.shape)
        if arch in ("gemma3", "nemotron") and "norm" in stem and part == "weight":
            weight = weight - 1
        if arch == "llama" and stem.endswith(("q_proj", "k_proj")):
            heads = model.config.num_attention_heads if stem.endswith("q_proj") else model.config.num_key_value_heads
            weight = weight.reshape(heads, -1, 2, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)
        parameter.data.copy_(weight)
    if model.config.tie_word_embeddings:
        model.tie_weights()


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor(ids[None].astype(np.int64))).logits[0, -KEPT:].numpy().astype(np.float32)


def make(name, root, converter, seed):
    kind, changes, with_gguf = FAMILIES[name]
    is_fp8 = name == "fp8-channel"
    settings = dict(COMMON, **changes)
    cls = {"Gemma3": "Gemma3TextConfig"}.get(kind, kind + "Config")
    config = getattr(transformers, cls)(**settings)
    model = getattr(transformers, kind + "ForCausalLM")(config).eval()
    rng = np.random.default_rng(seed)
    stored = fill(model, rng, is_fp8)
    ids = rng.integers(0, VOCAB, TOKENS).astype(np.int32)
    target = root / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    np.save(target / "tokens.npy", ids)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / ("tiny-" + name)  # the converter names the model by it
        folder.mkdir()
        save_file({k: v.contiguous() for k, v in stored.items()}, str(folder / "model.safetensors"), metadata={"format": "pt"})
        write_config(model, folder, kind, changes, is_fp8)
        if with_gguf != "only":
            np.save(target / "logits.npy", logits_of(model, ids))
            for file in ("model.safetensors", "config.json"):
                shutil.copy(folder / file, target / file)
            if name in ("gemma3", "phi3", "llama3", "nemotron"):
                config = newer_config(json.loads((folder / "config.json").read_text()))
                (target / "config-v5.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
        if with_gguf:
            make_tokenizer(folder)
            convert(converter, folder, target / "model-q8_0.gguf")
            dequantized(model, target / "model-q8_0.gguf", name)
            np.save(target / "logits-gguf.npy", logits_of(model, ids))
    deviation = np.load(next(target.glob("logits*.npy"))).std()
    print(f"{name}: {sum(f.stat().st_size for f in target.iterdir())} bytes, logits' deviation {deviation:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--converter", type=pathlib.Path, required=True)
    parser.add_argument("target", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    lift_to_float64()
    for number, name in enumerate(FAMILIES):
        if not arguments.names or name in arguments.names:
            make(name, arguments.target, arguments.converter, 4000 + number)


if __name__ == "__main__":
    main()
