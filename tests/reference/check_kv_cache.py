#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a key-value cache of Q8_0 costs against one of F16 (and F16 against F32): divergence of the logits over real text.

    python3 tests/reference/check_kv_cache.py --model assets/models/smollm2-135m-instruct.gguf [--text FILE...]
        [--tokens 4000] [--repartee build/release/repartee] [--exact] [--threads N] [--json]

The text is this repository's own documentation unless another one is named. Kullback-Leibler divergence a token, in nats, of
each type's next-token distribution from that of the type before it, by position as well: the cache is read more and more.
"""
import argparse
import glob
import json
import pathlib
import subprocess
import tempfile

import numpy

TYPES = ["f32", "f16", "q8_0"]


def token_ids(options, text):
    line = json.dumps({"text": text}) + "\n"
    out = subprocess.run([options.repartee, "tokens", "--model", options.model], input=line, capture_output=True, text=True, check=True)
    return json.loads(out.stdout)["ids"][: options.tokens]


def logits(options, ids, kind, folder):
    path = pathlib.Path(folder) / f"{kind}.npy"
    command = [options.repartee, "logits", "--model", options.model, "--ids", ",".join(map(str, ids)), "--all", "--kv", kind,
               "--out", str(path)]
    command += ["--exact"] if options.exact else []
    command += ["--threads", str(options.threads)] if options.threads else []
    subprocess.run(command, check=True)
    return numpy.load(path, mmap_mode="r")


def log_softmax(rows):
    rows = rows.astype(numpy.float64)
    rows -= rows.max(axis=1, keepdims=True)
    return rows - numpy.log(numpy.exp(rows).sum(axis=1, keepdims=True))


def compare(base, other):
    divergence, same = [], 0
    for i in range(0, len(base), 128):
        p, q = log_softmax(base[i : i + 128]), log_softmax(other[i : i + 128])
        divergence.append((numpy.exp(p) * (p - q)).sum(axis=1))
        same += int((p.argmax(axis=1) == q.argmax(axis=1)).sum())
    divergence = numpy.concatenate(divergence)
    quarter = max(1, len(divergence) // 4)
    return {"mean": float(divergence.mean()), "p99": float(numpy.percentile(divergence, 99)), "worst": float(divergence.max()),
            "last_quarter_mean": float(divergence[-quarter:].mean()), "best_token_same_percent": 100 * same / len(divergence)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--text", nargs="*", default=["README.md"] + sorted(glob.glob("docs/*.md")))
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--repartee", default="build/release/repartee")
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ids = token_ids(options, "\n\n".join(pathlib.Path(p).read_text(encoding="utf-8") for p in options.text))
    with tempfile.TemporaryDirectory() as folder:
        rows = {kind: logits(options, ids, kind, folder) for kind in TYPES}
        results = {"tokens": len(ids), "q8_0_from_f16": compare(rows["f16"], rows["q8_0"]),
                   "f16_from_f32": compare(rows["f32"], rows["f16"]), "q8_0_from_f32": compare(rows["f32"], rows["q8_0"])}
    if options.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(f"{name:16}", figures if isinstance(figures, int) else "  ".join(f"{k} {v:.3g}" for k, v in figures.items()))


main()
