#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A long context, to its end: the memory that was foretold, and the last logits against a plain forward pass in torch.

    python3 tests/reference/check_far_context.py --model FOLDER [--tokens 100000] [--threads 2] [--json]

FOLDER: config.json and safetensors of a small Mistral or Llama without RoPE scaling. torch computes in float32 with RoPE angles
in float64, which costs some minutes at 100,000 tokens. Needs torch, safetensors, numpy.
"""
import argparse
import glob
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file


def rms(x, weight, epsilon):
    wide = x.double()
    return (wide * torch.rsqrt((wide**2).mean(-1, keepdim=True) + epsilon)).float() * weight


def turn(x):
    half = x.shape[-1] // 2
    return torch.cat([-x[..., half:], x[..., :half]], -1)


def attend(q, k, v, first, out, step=512):
    """Causal attention of the rows from `first` on."""
    count, heads, size = q.shape
    shared = heads // k.shape[1]
    for begin in range(first, count, step):
        end = min(count, begin + step)
        hidden = torch.arange(end)[None] > torch.arange(begin, end)[:, None]
        for h in range(heads):
            scores = (q[begin:end, h] @ k[:end, h // shared].T) * size**-0.5
            out[begin:end, h] = scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v[:end, h // shared]


def reference(folder, ids):
    config = json.loads((folder / "config.json").read_text())
    tensors = {}
    for path in glob.glob(str(folder / "*.safetensors")):
        tensors.update(load_file(path))
    get = lambda name: tensors[f"model.{name}.weight"].float()
    heads, kv, size = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    epsilon, layers, count = config["rms_norm_eps"], config["num_hidden_layers"], len(ids)
    frequencies = torch.tensor([config["rope_theta"] ** (-2 * i / size) for i in range(size // 2)], dtype=torch.float64)
    angles = torch.arange(count, dtype=torch.float64)[:, None] * frequencies
    cos, sin = (torch.cat([f(angles)] * 2, 1).float()[:, None] for f in (torch.cos, torch.sin))
    x = get("embed_tokens")[torch.tensor(ids)]
    for l in range(layers):
        p = f"layers.{l}."
        h = rms(x, get(p + "input_layernorm"), epsilon)
        q, k, v = ((h @ get(p + f"self_attn.{n}_proj").T).view(count, -1, size) for n in "qkv")
        out = torch.zeros(count, heads, size)
        attend(q * cos + turn(q) * sin, k * cos + turn(k) * sin, v, 0 if l + 1 < layers else count - 1, out)
        x = x + out.reshape(count, -1) @ get(p + "self_attn.o_proj").T
        h = rms(x, get(p + "post_attention_layernorm"), epsilon)
        x = x + (torch.nn.functional.silu(h @ get(p + "mlp.gate_proj").T) * (h @ get(p + "mlp.up_proj").T)) @ get(p + "mlp.down_proj").T
    head = tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"]).float()
    return (rms(x[-1:], get("norm"), epsilon) @ head.T).numpy()[0]


def ours(options, ids, folder, *more):
    (folder / "ids").write_text(",".join(map(str, ids)))
    command = [options.repartee, "logits", "--model", str(options.model), "--ids", f"@{folder / 'ids'}", "--rows", "256", "--json",
               "--threads", str(options.threads), "--out", str(folder / "out.npy"), *more]
    figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return np.load(folder / "out.npy")[0], figures


def divergence(p, q):
    p, q = (x.astype(np.float64) - x.max() - np.log(np.exp(x.astype(np.float64) - x.max()).sum()) for x in (p, q))
    return float((np.exp(p) * (p - q)).sum())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--tokens", type=int, default=100000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repartee", default="build/release/repartee")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(options.threads)
    vocabulary = json.loads((options.model / "config.json").read_text())["vocab_size"]
    ids = np.random.default_rng(5).integers(0, vocabulary, options.tokens).tolist()
    with tempfile.TemporaryDirectory() as temporary:
        fast, fast_figures = ours(options, ids, pathlib.Path(temporary))
        exact, exact_figures = ours(options, ids, pathlib.Path(temporary), "--exact")
    expected = reference(options.model, ids)
    worst = float(np.abs(exact - expected).max())
    print(json.dumps({"fast": fast_figures, "exact": exact_figures, "exact_worst_difference": worst,
                      "fast_divergence": divergence(exact, fast)}, indent=1))
    sys.exit(worst > 3e-4)


if __name__ == "__main__":
    main()
