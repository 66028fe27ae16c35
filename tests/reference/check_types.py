#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What each tensor type's fast kernel costs: divergence of its logits from exact arithmetic on the very same (dequantised) weights.

    python3 tests/reference/check_types.py [--quantizer llama-quantize] [--source FILE.gguf | --arch llama-3.2-1b --layers 2]

A model (FILE, or a synthetic one), in F32, is made into every type: by `repartee quantize` where it can, else by llama.cpp's
llama-quantize --pure. Two checks a type: exact logits of the file against exact logits of its dequantised copy in F32 (the largest
difference), and fast ones against exact ones (Kullback-Leibler divergence a row, in nats).
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np

OWN = ["F32", "F16", "BF16", "Q8_0", "Q6_K", "Q4_K", "Q4_1", "Q4_0"]
THEIRS = ["Q5_K", "Q3_K_S", "Q2_K", "Q5_1", "Q5_0", "IQ4_NL", "IQ4_XS", "MXFP4_MOE"]


def run(*command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError((result.stderr.strip() or "no words").splitlines()[-1])


def logits(options, model, ids, folder, *more):
    run(options.repartee, "logits", "--model", model, "--ids", ids, "--all", "--out", folder / "out.npy", *more)
    return np.load(folder / "out.npy").astype(np.float64)


def divergence(p, q):
    p, q = (x - x.max(1, keepdims=True) - np.log(np.exp(x - x.max(1, keepdims=True)).sum(1, keepdims=True)) for x in (p, q))
    return (np.exp(p) * (p - q)).sum(1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repartee", default="build/release/repartee")
    parser.add_argument("--quantizer")
    parser.add_argument("--arch", default="llama-3.2-1b")
    parser.add_argument("--source")
    parser.add_argument("--layers", default="2")
    parser.add_argument("--tokens", type=int, default=256)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        source, made, plain = folder / "source.gguf", folder / "made.gguf", folder / "plain.gguf"
        if options.source:
            run(options.repartee, "quantize", options.source, source, "--type", "F32", "--quiet")
        else:
            run(options.repartee, "synth", "--arch", options.arch, "--layers", options.layers, "--quant", "F32", "--out", source, "--quiet")
        ids = ",".join(map(str, np.random.default_rng(3).integers(3, 250, options.tokens)))
        for kind in OWN + (THEIRS if options.quantizer else []):
            try:
                if kind in OWN:
                    run(options.repartee, "quantize", source, made, "--type", kind, "--quiet")
                else:
                    run(options.quantizer, "--pure", source, made, kind, "2")
                run(options.repartee, "quantize", made, plain, "--type", "F32", "--quiet")
                exact = logits(options, made, ids, folder, "--exact")
                same = np.abs(exact - logits(options, plain, ids, folder, "--exact")).max()
                rows = divergence(exact, logits(options, made, ids, folder, "--kv", "f32"))
                print(f"{kind:9} dequantised: {same:.1e}   fast: mean {rows.mean():.1e}  worst {rows.max():.1e}   deviation {exact.std():.1f}",
                      flush=True)
            except RuntimeError as error:
                print(f"{kind:9} {error}", flush=True)


main()
