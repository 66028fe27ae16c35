#!/usr/bin/env python3
"""Makes the seeds of the file fuzzers under tests/data/fuzz: GGUF files and safetensors folders small enough to be mutated by the
thousand, each with most kinds of metadata and several tensor types.

    pip install gguf safetensors numpy
    python3 tests/reference/make_fuzz_models.py tests/data/fuzz

A safetensors seed is one file: 4 bytes (little-endian) of config.json's length, config.json, model.safetensors.
SPDX-License-Identifier: MIT
"""
import json
import pathlib
import struct
import sys

import gguf
import numpy as np
from safetensors.numpy import save

HIDDEN, FEED, HEADS, KV, SIZE, VOCAB = 32, 64, 2, 1, 16, 264


def matrices(rng, columns_rows):
    return {name: rng.standard_normal(shape).astype(np.float32) * 0.2 for name, shape in columns_rows.items()}


def gguf_seed(path, architecture, types, extra):
    rng = np.random.default_rng(len(architecture) * 7 + len(types))
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("seed"), writer.add_block_count(1), writer.add_context_length(64), writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED), writer.add_head_count(HEADS), writer.add_head_count_kv(KV)
    writer.add_key_length(SIZE), writer.add_value_length(SIZE), writer.add_layer_norm_rms_eps(1e-5), writer.add_layer_norm_eps(1e-5)
    writer.add_rope_freq_base(10000.0), writer.add_rope_dimension_count(SIZE)
    for key, value in extra.items():
        (writer.add_string if isinstance(value, str) else writer.add_float32 if isinstance(value, float) else writer.add_uint32)(
            f"{architecture}.{key}", value)
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + ["\u2581", "a", "b", "ab", "\u2581a"]
    writer.add_tokenizer_model("llama"), writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-1.0, -2.0, -3.0, -4.0, -5.0])
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * 5)
    writer.add_bos_token_id(1), writer.add_eos_token_id(2)
    norm = {"weight": np.ones(HIDDEN, np.float32)}
    if architecture == "nemotron":
        norm["bias"] = np.zeros(HIDDEN, np.float32)
    for part, values in norm.items():
        for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
            writer.add_tensor(f"{name}.{part}", values)
    shapes = {"token_embd": (VOCAB, HIDDEN), "blk.0.attn_q": (HIDDEN, HIDDEN), "blk.0.attn_k": (KV * SIZE, HIDDEN),
              "blk.0.attn_v": (KV * SIZE, HIDDEN), "blk.0.attn_output": (HIDDEN, HIDDEN), "blk.0.ffn_up": (FEED, HIDDEN),
              "blk.0.ffn_down": (HIDDEN, FEED)}
    if architecture != "nemotron":
        shapes["blk.0.ffn_gate"] = (FEED, HIDDEN)
    for number, (name, values) in enumerate(matrices(rng, shapes).items()):
        kind = gguf.GGMLQuantizationType[types[number % len(types)]]
        writer.add_tensor(name + ".weight", gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file()
    writer.close()


def safetensors_seed(path, kind, config):
    rng = np.random.default_rng(len(kind))
    base = {"model_type": kind, "num_hidden_layers": 1, "hidden_size": HIDDEN, "intermediate_size": FEED, "num_attention_heads": HEADS,
            "num_key_value_heads": KV, "head_dim": SIZE, "rms_norm_eps": 1e-5, "norm_eps": 1e-5, "max_position_embeddings": 64,
            "vocab_size": 48, "rope_theta": 10000.0, "tie_word_embeddings": True}
    shapes = {"model.embed_tokens.weight": (48, HIDDEN), "model.layers.0.self_attn.q_proj.weight": (HIDDEN, HIDDEN),
              "model.layers.0.self_attn.k_proj.weight": (KV * SIZE, HIDDEN), "model.layers.0.self_attn.v_proj.weight": (KV * SIZE, HIDDEN),
              "model.layers.0.self_attn.o_proj.weight": (HIDDEN, HIDDEN), "model.layers.0.mlp.gate_proj.weight": (FEED, HIDDEN),
              "model.layers.0.mlp.up_proj.weight": (FEED, HIDDEN), "model.layers.0.mlp.down_proj.weight": (HIDDEN, FEED)}
    tensors = {name: values.astype(np.float16) for name, values in matrices(rng, shapes).items()}
    for name in ("model.norm", "model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm"):
        tensors[name + ".weight"] = np.ones(HIDDEN, np.float32)
    for name in ("q", "k") if kind == "qwen3" else ():
        tensors[f"model.layers.0.self_attn.{name}_norm.weight"] = np.ones(SIZE, np.float32)
    text = json.dumps(dict(base, **config)).encode()
    path.write_bytes(struct.pack("<I", len(text)) + text + save(tensors))


def main():
    root = pathlib.Path(sys.argv[1])
    for name in ("fuzz_gguf", "fuzz_safetensors"):
        (root / name).mkdir(parents=True, exist_ok=True)
    gguf_seed(root / "fuzz_gguf" / "llama.gguf", "llama", ["Q4_0", "Q8_0", "F16", "Q4_1"], {"rope.scaling.type": "yarn",
              "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16})
    gguf_seed(root / "fuzz_gguf" / "nemotron.gguf", "nemotron", ["Q5_0", "Q5_1", "BF16", "MXFP4"], {"rope.scaling.type": "linear",
              "rope.scaling.factor": 2.0})
    safetensors_seed(root / "fuzz_safetensors" / "llama.bin", "llama", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0,
                     "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}})
    safetensors_seed(root / "fuzz_safetensors" / "qwen3.bin", "qwen3", {"rope_scaling": None})


main()
