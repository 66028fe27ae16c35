#!/usr/bin/env python3
"""Random models of every family, in shapes, types and spellings that no golden has, against `transformers` in float64.

    python3 tests/reference/check_models_random.py [--rounds 3] [--seed 1] [--only NAME]

Each is written as the hub has them (in shards at times, in F32, F16 or BF16, FP8 with a scale a row or a tensor, config.json as
transformers 4 or 5 spells it, some values not aligned); with --quantize it goes through `repartee quantize` too, with --converter
through llama.cpp's own converter. `repartee logits --exact` must be within 3e-4 at every position; without --exact the worst
divergence of a row is reported. Packages as in make_models.py. SPDX-License-Identifier: MIT
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

import make_models

LIMIT = 3e-4


def llama3_scaling(rng):
    return {"rope_type": "llama3", "factor": float(rng.choice([4.0, 8.0, 32.0])), "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": int(rng.choice([32, 64]))}


def yarn(rng):
    scaling = {"rope_type": "yarn", "factor": float(rng.choice([2.0, 4.0])), "original_max_position_embeddings": 64}
    if rng.random() < 0.4:
        scaling.update(beta_fast=float(rng.integers(16, 40)), beta_slow=float(rng.choice([1, 2])))
    if rng.random() < 0.3:
        scaling["attention_factor"] = 1.2
    return scaling


def linear(rng):
    return {str(rng.choice(["rope_type", "type"])): "linear", "factor": float(rng.choice([2.0, 8.0]))}


def some_scaling(rng, *kinds):
    kind = rng.choice(["none", "default", *kinds])
    return {"none": lambda r: None, "default": lambda r: {"rope_type": "default"}, "linear": linear, "yarn": yarn,
            "llama3": llama3_scaling}[kind](rng)


def shape(rng, heads=(1, 2, 3, 4, 6), sizes=(16, 32, 48, 64, 80, 96, 128)):
    kv = int(rng.choice(heads))
    return dict(vocab_size=int(rng.integers(40, 600)), hidden_size=int(rng.integers(1, 20) * rng.choice([8, 16, 24])),
                intermediate_size=int(rng.integers(5, 300)), num_hidden_layers=int(rng.integers(1, 5)),
                num_attention_heads=kv * int(rng.integers(1, 5)), num_key_value_heads=kv, head_dim=int(rng.choice(sizes)),
                rms_norm_eps=float(rng.choice([1e-6, 1e-5])), max_position_embeddings=int(rng.choice([256, 2048, 131072])),
                rope_theta=float(rng.choice([1e4, 5e5, 1e6])), tie_word_embeddings=bool(rng.random() < 0.5),
                bos_token_id=1, eos_token_id=2, pad_token_id=2, attn_implementation="eager")


def llama(rng):
    return "Llama", dict(shape(rng), rope_scaling=some_scaling(rng, "linear", "yarn", "llama3"), attention_bias=bool(rng.random() < 0.3))


def mistral(rng):
    return "Mistral", dict(shape(rng), sliding_window=rng.choice([None, 7, 40]), rope_scaling=some_scaling(rng, "yarn"))


def minitron(rng):  # no head_dim in the file: hidden / heads
    s = shape(rng)
    s["hidden_size"] = s["num_attention_heads"] * s["head_dim"]
    s["head_dim"] = None
    return "Mistral", dict(s, sliding_window=None)


def nemotron(rng):
    s = shape(rng, sizes=(16, 32, 64, 128))
    s["norm_eps"] = s.pop("rms_norm_eps")
    return "Nemotron", dict(s, partial_rotary_factor=float(rng.choice([0.25, 0.5, 1.0])), hidden_act="relu2")


def qwen2(rng):
    s = shape(rng)
    s["hidden_size"] = s["num_attention_heads"] * s["head_dim"]  # Qwen 2 has no head_dim
    s.pop("head_dim")
    window = bool(rng.random() < 0.3)
    return "Qwen2", dict(s, rope_scaling=some_scaling(rng, "yarn"), use_sliding_window=window, sliding_window=9 if window else None,
                         max_window_layers=1 if window else 28)


def qwen3(rng):
    return "Qwen3", dict(shape(rng), rope_scaling=some_scaling(rng, "yarn"), attention_bias=bool(rng.random() < 0.3))


def gemma(rng):
    return "Gemma", dict(shape(rng), tie_word_embeddings=True, hidden_activation="gelu_pytorch_tanh")


def gemma2(rng):
    return "Gemma2", dict(shape(rng), tie_word_embeddings=True, sliding_window=int(rng.choice([5, 33])), query_pre_attn_scalar=int(rng.choice([16, 100])),
                          attn_logit_softcapping=float(rng.choice([5.0, 50.0])), final_logit_softcapping=float(rng.choice([8.0, 30.0])),
                          hidden_activation="gelu_pytorch_tanh")


def gemma3(rng):
    s = shape(rng)
    s["num_hidden_layers"] = int(rng.integers(1, 8))
    return "Gemma3", dict(s, tie_word_embeddings=True, sliding_window=int(rng.choice([5, 33])), query_pre_attn_scalar=int(rng.choice([16, 100])),
                          rope_theta=1e6, rope_local_base_freq=1e4, rope_scaling=rng.choice([None, {"rope_type": "linear", "factor": 8.0}]),
                          hidden_activation="gelu_pytorch_tanh")


def phi3(rng):
    s = shape(rng, sizes=(32, 64, 96, 128))
    s["hidden_size"] = s["num_attention_heads"] * s["head_dim"]
    partial = float(rng.choice([0.75, 1.0])) if s["head_dim"] % 64 == 0 else 1.0
    half = int(s.pop("head_dim") * partial) // 2
    long = rng.random() < 0.5
    scaling = {"type": "longrope", "short_factor": [1.0 + 0.02 * i for i in range(half)],
               "long_factor": [1.0 + 0.3 * i for i in range(half)]}
    # Three times the original context: what is asked stays inside the short one.
    return "Phi3", dict(s, partial_rotary_factor=partial, original_max_position_embeddings=512, max_position_embeddings=2048 if long else 512,
                        sliding_window=rng.choice([None, 20]), rope_scaling=scaling if long else None)


FAMILIES = {f.__name__: f for f in (llama, mistral, minitron, nemotron, qwen2, qwen3, gemma, gemma2, gemma3, phi3)}
DTYPES = {"f32": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}


def fill(model, rng, dtype):
    """As make_models.fill, in any type. Returns nothing: the parameters are what the file can hold."""
    for name, parameter in sorted(model.named_parameters()):
        size = tuple(parameter.shape)
        if "norm" in name:
            centre = 0.0 if type(model).__name__.startswith(("Gemma", "Nemotron")) else 1.0
            values = centre + 0.2 * rng.standard_normal(size)
        elif name.endswith(".bias"):
            values = 0.3 * rng.standard_normal(size)
        elif "embed_tokens" in name:
            # The scores grow with the width where the embedding is the output too.
            values = (0.35 if "Gemma" in type(model).__name__ else 0.7) * min(1.0, 8 / np.sqrt(size[-1])) * rng.standard_normal(size)
        elif "lm_head" in name:
            values = 3.2 / np.sqrt(size[-1]) * rng.standard_normal(size)
        else:
            values = rng.standard_normal(size) * 1.4 / np.sqrt(size[-1])
        values = np.float32(values)
        parameter.data.copy_(torch.tensor(values).to(dtype).to(torch.float64))
    if model.config.tie_word_embeddings:
        model.tie_weights()


def fp8(model, stored, strategy):
    """FP8 of the projections, as compressed-tensors (a row) or "fp8" (a tensor) has it; the model takes the rounded weights."""
    for name in [n for n in stored if "_proj.weight" in n]:
        weight = dict(model.named_parameters())[name].data
        scale = (weight.abs().amax(dim=1, keepdim=True) if strategy == "channel" else weight.abs().max()) / 448.0
        scale = scale.to(torch.bfloat16).to(torch.float64)
        eight = (weight / scale).clamp(-448, 448).to(dtype=torch.float8_e4m3fn)
        stored[name] = eight
        stored[name + "_scale"] = scale.to(torch.bfloat16)
        weight.copy_(eight.to(torch.float64) * scale)
    if strategy == "channel":
        return {"quant_method": "compressed-tensors", "format": "float-quantized", "ignore": ["lm_head"],
                "config_groups": {"group_0": {"targets": ["Linear"], "weights": {
                    "num_bits": 8, "type": "float", "strategy": "channel", "dynamic": False, "symmetric": True},
                    "input_activations": {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True, "symmetric": True}}}}
    return {"quant_method": "fp8", "activation_scheme": "dynamic"}


def save(model, folder, dtype, rng, eight, older):
    stored = {k: v.to(DTYPES[dtype]) for k, v in model.state_dict().items() if not k.endswith(("inv_freq", "_freq"))}
    if model.config.tie_word_embeddings:
        stored.pop("lm_head.weight", None)
    config = json.loads(model.config.to_json_string(use_diff=bool(rng.random() < 0.5)))
    config["architectures"] = [type(model).__name__]
    if eight:
        config["quantization_config"] = fp8(model, stored, eight)
    if rng.random() < 0.3 and not older and model.config.model_type != "phi3":
        config = make_models.newer_config(dict(config, torch_dtype="bfloat16"))
    if dtype == "f32":  # the name torch.float32 leads elsewhere by now
        stored = {k: v.numpy().astype(np.float32) if v.dtype == torch.float64 else v for k, v in stored.items()}
    (folder / "config.json").write_text(json.dumps(config))
    names = sorted(stored)
    shards = int(rng.integers(1, 4))
    files, index = [names[i::shards] for i in range(shards)], {}
    for i, part in enumerate(files):
        file = "model.safetensors" if shards == 1 else f"model-{i + 1:05}-of-{shards:05}.safetensors"
        write_tensors(folder / file, {n: stored[n] for n in part})
        index.update({n: file for n in part})
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": index}))


def write_tensors(path, tensors):
    if all(isinstance(t, torch.Tensor) for t in tensors.values()):
        save_file({k: v.contiguous() for k, v in tensors.items()}, str(path), metadata={"format": "pt"})
        return
    header, data = {}, b""
    names = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float8_e4m3fn: "F8_E4M3"}
    for name, tensor in tensors.items():
        if isinstance(tensor, torch.Tensor):
            kind, size = names[tensor.dtype], list(tensor.shape)
            raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        else:
            kind, size, raw = "F32", list(tensor.shape), np.ascontiguousarray(tensor).tobytes()
        header[name] = {"dtype": kind, "shape": size, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + data)


def ours(options, model, ids, folder, *more):
    out = folder / "out.npy"
    command = [options.repartee, "logits", "--model", str(model), "--ids", ",".join(map(str, ids)), "--all", "--out", str(out), *more]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        return result.stderr.strip().splitlines()[-1]
    return np.load(out)


def divergence(exact, fast):
    def log_softmax(x):
        x = x.astype(np.float64) - x.max(axis=1, keepdims=True)
        return x - np.log(np.exp(x).sum(axis=1, keepdims=True))

    p, q = log_softmax(exact), log_softmax(fast)
    return float((np.exp(p) * (p - q)).sum(axis=1).max())


def judge(options, name, path, ids, reference, folder):
    exact, fast = ours(options, path, ids, folder, "--exact"), ours(options, path, ids, folder)
    if isinstance(exact, str) or isinstance(fast, str):
        print(f"REFUSED {name}: {exact if isinstance(exact, str) else fast}", flush=True)
        return False
    worst = float(np.abs(exact - reference).max())
    good = exact.shape == reference.shape and worst < LIMIT
    print(f"{'ok  ' if good else 'FAIL'} {name}: {worst:.1e}, fast {divergence(reference, fast):.1e}, deviation {reference.std():.1f}", flush=True)
    return good


def for_gguf(name, settings):
    """What llama.cpp's converter writes down of such a model: no windows but Gemma 2's, its scale that of the head."""
    settings.update(vocab_size=make_models.VOCAB)
    if name in ("mistral", "phi3"):
        settings.update(sliding_window=None)
    if name == "qwen2":
        settings.update(use_sliding_window=False, sliding_window=None)
    if name in ("qwen3", "llama"):
        settings.update(attention_bias=False)
    if name == "nemotron":  # the dimensions that turn are written as a share of hidden / heads
        settings.update(hidden_size=settings["num_attention_heads"] * settings["head_dim"])
    if name == "gemma2":
        settings.update(query_pre_attn_scalar=settings["head_dim"])
    return settings


def check(options, name, seed):
    rng = np.random.default_rng(seed)
    kind, settings = FAMILIES[name](rng)
    if options.converter:
        settings = for_gguf(name, settings)
    config = getattr(transformers, {"Gemma3": "Gemma3TextConfig"}.get(kind, kind + "Config"))(**settings)
    model = getattr(transformers, kind + "ForCausalLM")(config).eval()
    dtype = str(rng.choice(["f32", "f16", "bf16", "bf16"]))
    fill(model, rng, DTYPES[dtype] if dtype != "f32" else torch.float64)
    eight = str(rng.choice(["", "", "channel", "tensor"])) if name in ("llama", "mistral", "minitron", "qwen2", "qwen3") else ""
    ids = rng.integers(0, config.vocab_size, int(rng.integers(1, 90))).tolist()
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "tiny"
        folder.mkdir()
        save(model, folder, dtype, rng, eight, options.converter is not None)
        with torch.no_grad():
            reference = model(torch.tensor([ids])).logits[0].numpy().astype(np.float32)
        label = f"{name} {seed} {dtype} {eight}"
        good = judge(options, label, folder, ids, reference, folder)
        if not good:
            print("     ", {k: v for k, v in settings.items() if k not in ("attn_implementation",)})
            if options.keep:
                shutil.copytree(folder, pathlib.Path(options.keep) / f"{name}-{seed}", dirs_exist_ok=True)
        if options.converter and not eight and name != "gemma3":  # every sixth layer a full one
            make_models.make_tokenizer(folder)
            make_models.convert(options.converter, folder, folder / "tiny.gguf", dtype)
            good &= judge(options, label + " gguf", folder / "tiny.gguf", ids, reference, folder)
        if options.quantize:
            for kind in ("Q8_0", "BF16", "Q4_K"):
                target = folder / f"q-{kind}.gguf"
                done = subprocess.run([options.repartee, "quantize", str(folder), str(target), "--type", kind, "--quiet"],
                                      capture_output=True, text=True)
                if done.returncode:
                    print(f"FAIL {label} quantize {kind}: {done.stderr.strip()}")
                    good = False
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repartee", default="build/release/repartee")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--quantize", action="store_true")
    parser.add_argument("--converter", type=pathlib.Path, help="llama.cpp's convert_hf_to_gguf.py: GGUF files too")
    parser.add_argument("--keep", help="a folder for the models that fail")
    options = parser.parse_args()
    make_models.lift_to_float64()
    wrong = 0
    for number in range(options.rounds):
        for family, name in enumerate(FAMILIES):
            if options.only in name:
                wrong += not check(options, name, options.seed * 10000 + number * 100 + family)
    sys.exit(1 if wrong else 0)


main()
