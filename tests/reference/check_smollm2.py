#!/usr/bin/env python3
"""Compares the repartee command on the default model with the float32 reference.

    check_smollm2.py --reference DIR [--repartee build/release/repartee] [--model FILE]

--reference (or $REPARTEE_REFERENCE): a folder with smollm2_greedy.json and the .npy files it names. Checks that
  - prompts give the same text and token ids, and the ids decode to the text again,
  - `logits --exact` is within 1e-3 of float32 on every logit that the reference has,
  - `logits` has a KL divergence from float32 below 0.02 nats,
  - greedy text, in both modes, equals the float32 one except from a step on whose margin is under 0.3.
Prints what it measured; exits 0 only where all of it holds. Needs numpy.
"""
# SPDX-License-Identifier: MIT
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

failures = 0


def check(condition, what):
    global failures
    failures += not condition
    print(("ok      " if condition else "NOT OK  ") + what, flush=True)


def run(args, text=None):
    return subprocess.run(args, input=text, capture_output=True, text=True, check=True).stdout


def log_softmax(x):
    x = x.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def kl(reference, given):
    p, q = log_softmax(reference), log_softmax(given)
    return float((np.exp(p) * (p - q)).sum())


class Command:
    def __init__(self, program, model):
        self.program, self.model, self.folder = program, model, tempfile.TemporaryDirectory()

    def logits(self, ids, exact, every=False):
        out = os.path.join(self.folder.name, "logits.npy")
        run([self.program, "logits", "--model", self.model, "--ids", ",".join(map(str, ids)), "--out", out, "--threads", "2"]
            + (["--exact"] if exact else []) + (["--all"] if every else []))
        return np.load(out)


def check_prompts(program, model, prompts):
    for p in prompts:
        given = json.loads(run([program, "prompt", "--model", model], json.dumps({"messages": p["messages"]})))
        check(given["text"] == p["prompt_text"] and given["ids"] == p["prompt_ids"], f"{p['id']}: prompt")
    contents = [m["content"] for p in prompts for m in p["messages"]]
    lines = run([program, "tokens", "--model", model], "".join(json.dumps({"text": t}) + "\n" for t in contents))
    back = run([program, "tokens", "--model", model, "--decode"], lines)
    check([json.loads(x)["text"] for x in back.splitlines()] == contents, f"{len(contents)} texts to tokens and back")


def check_greedy(p, rows, name):
    """rows: logits after the prompt and after each reference token. Each step is judged on the reference's own path."""
    expected, margins = p["greedy_fp32_ids"], p["greedy_fp32_margins"]
    different = [i for i, row in enumerate(rows) if int(row.argmax()) != expected[i]]
    wrong = [i for i in different if margins[i] >= 0.3]
    margin = max((margins[i] for i in different), default=0)
    check(not wrong, f"{p['id']}: {name}: greedy step differs at {different or 'none'} of {len(expected)}"
          + (f", largest margin there {margin:.3f}" if different else ""))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reference", default=os.environ.get("REPARTEE_REFERENCE"))
    parser.add_argument("--repartee", default="build/release/repartee")
    parser.add_argument("--model", default="assets/models/smollm2-135m-instruct.gguf")
    args = parser.parse_args()
    if not args.reference:
        parser.error("--reference or REPARTEE_REFERENCE is needed")
    prompts = json.load(open(os.path.join(args.reference, "smollm2_greedy.json"), encoding="utf-8"))["prompts"]
    check_prompts(args.repartee, args.model, prompts)
    command = Command(args.repartee, args.model)
    for p in prompts:
        steps = len(p["greedy_fp32_ids"])
        ids = p["prompt_ids"] + p["greedy_fp32_ids"][:-1]
        for exact in (True, False):
            name = "exact" if exact else "fast"
            rows = command.logits(ids, exact, every=True)[len(p["prompt_ids"]) - 1:]
            assert len(rows) == steps
            last = command.logits(p["prompt_ids"], exact)[0]
            check(np.array_equal(last, rows[0]), f"{p['id']}: {name}: the same bits alone and in a longer pass")
            top = p["logits_fp32_top20"]
            pairs = [(int(t[0]), float(t[1])) if isinstance(t, list) else (int(t["id"]), float(t["logit"])) for t in top]
            distance = max(abs(last[i] - value) for i, value in pairs)
            if "logits_fp32_npy" in p:
                reference = np.load(os.path.join(args.reference, p["logits_fp32_npy"])).reshape(-1)
                distance = max(distance, float(np.abs(reference - last).max()))
                divergence = kl(reference, last)
                check(divergence < 0.02, f"{p['id']}: {name}: KL {divergence:.6f} nats")
            if exact:
                check(distance < 1e-3, f"{p['id']}: exact: largest difference {distance:.2e}")
            check_greedy(p, rows, name)
    print(f"{failures} failed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
