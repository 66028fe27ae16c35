"""A model of random FP8 weights in a real model's shape, as a folder with config.json and safetensors: `repartee synth`
writes GGUF files, and those know no FP8. Only speed and memory are of interest; the weights are one block, repeated.

    python3 scripts/gpu_report/fp8.py SHAPE LAYERS FOLDER
"""
# SPDX-License-Identifier: MIT
import json
import os
import struct
import sys

# hidden, feed-forward, heads, KV heads, head size, vocabulary, layers, context, gated (else squared ReLU, LayerNorm)
SHAPES = {
    "mistral-nemo-12b": (5120, 14336, 32, 8, 128, 131072, 40, 131072, True),
    "minitron-8b": (4096, 11520, 32, 8, 128, 131072, 40, 8192, True),
    "nemotron-mini-4b": (3072, 9216, 24, 8, 128, 256000, 32, 4096, False),
    "tiny": (64, 64, 4, 2, 16, 288, 2, 4096, True),
}
BLOCK = 1 << 22


def layer_parameters(shape):
    """Weights of one layer's matrices."""
    hidden, wide, heads, kv_heads, head, _, _, _, gated = SHAPES[shape]
    return hidden * head * (2 * heads + 2 * kv_heads) + (3 if gated else 2) * hidden * wide


def config_of(shape, layers):
    hidden, wide, heads, kv_heads, head, vocabulary, _, context, gated = SHAPES[shape]
    config = {
        "architectures": ["MistralForCausalLM" if gated else "NemotronForCausalLM"],
        "model_type": "mistral" if gated else "nemotron",
        "hidden_size": hidden, "intermediate_size": wide, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "head_dim": head, "num_hidden_layers": layers, "vocab_size": vocabulary, "max_position_embeddings": context,
        "rms_norm_eps": 1e-5, "norm_eps": 1e-5, "rope_theta": 1e6 if gated else 1e4, "tie_word_embeddings": False,
        "hidden_act": "silu" if gated else "relu2", "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16",
        "quantization_config": {
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": {
                "dynamic": False, "num_bits": 8, "strategy": "channel", "symmetric": True, "type": "float"}}},
            "format": "float-quantized", "ignore": ["lm_head"], "quant_method": "compressed-tensors"},
    }
    if not gated:
        config["partial_rotary_factor"] = 0.5
    return config


def tensors_of(shape, layers):
    """(name, type, shape) of every tensor."""
    hidden, wide, heads, kv_heads, head, vocabulary, _, _, gated = SHAPES[shape]
    norms = ["weight"] if gated else ["weight", "bias"]
    out = [("model.embed_tokens.weight", "BF16", [vocabulary, hidden]), ("lm_head.weight", "BF16", [vocabulary, hidden])]
    out += [("model.norm." + part, "BF16", [hidden]) for part in norms]
    matrices = [("self_attn.q_proj", heads * head, hidden), ("self_attn.k_proj", kv_heads * head, hidden),
                ("self_attn.v_proj", kv_heads * head, hidden), ("self_attn.o_proj", hidden, heads * head),
                ("mlp.up_proj", wide, hidden), ("mlp.down_proj", hidden, wide)]
    if gated:
        matrices.append(("mlp.gate_proj", wide, hidden))
    for layer in range(layers):
        at = "model.layers.%d." % layer
        out += [(at + norm + "." + part, "BF16", [hidden]) for norm in ("input_layernorm", "post_attention_layernorm")
                for part in norms]
        for name, rows, columns in matrices:
            out.append((at + name + ".weight", "F8_E4M3", [rows, columns]))
            out.append((at + name + ".weight_scale", "BF16", [rows, 1]))
    return out


def random_blocks():
    """Bytes of FP8 values below 2, and of bfloat16 values of about 0.01: no NaN among either."""
    fp8 = os.urandom(BLOCK).translate(bytes((b & 0x80) | (b & 0x3f) for b in range(256)))
    small = bytearray(os.urandom(BLOCK))
    small[1::2] = bytes(small[1::2]).translate(bytes((b & 0x80) | 0x3c for b in range(256)))
    return {"F8_E4M3": fp8, "BF16": bytes(small)}


def write(shape, layers, folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config_of(shape, layers), file, indent=1)
    header, at, sizes = {}, 0, []
    for name, kind, dims in tensors_of(shape, layers):
        size = 1 if kind == "F8_E4M3" else 2
        for dim in dims:
            size *= dim
        header[name] = {"dtype": kind, "shape": dims, "data_offsets": [at, at + size]}
        at += size
        sizes.append((kind, size))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    blocks = random_blocks()
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for kind, size in sizes:
            for _ in range(size // BLOCK):
                file.write(blocks[kind])
            file.write(blocks[kind][:size % BLOCK])
    return at


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in SHAPES:
        sys.exit("usage: fp8.py %s LAYERS FOLDER" % "|".join(SHAPES))
    print(write(sys.argv[1], int(sys.argv[2]), sys.argv[3]), "bytes of tensors")
