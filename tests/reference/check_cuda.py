#!/usr/bin/env python3
"""Compares the CUDA backend's logits on a model with those of the CPU backend, position by position.

    check_cuda.py [--repartee build/release/repartee] [--plugin build/release/librepartee_cuda_emulated.so] [--model FILE] [--kl 0.005]

Six conversations in the model's own format, prompt and reply, each position's KL divergence of the CPU's distribution to the
GPU's, and of float32's (the CPU's exact mode) to both; and whether CPU and GPU like the same token best, so that greedy text is
the same up to the first position where they do not. Both round activations to 8 and 16 bits: a value that falls on the next step
makes the roundings behind it others, equally good ones, so they are as far from each other as each is from float32. Fails where
the mean of CPU to GPU is above --kl, the GPU is more than half as far again from float32 as the CPU, or the best tokens differ although the
CPU's margin is above 0.5. With the emulated plugin it takes some minutes; on a GPU name librepartee_cuda.so. Needs numpy.
"""
# SPDX-License-Identifier: MIT
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

TALKS = [
    ("You are Marta, innkeeper of the Gilded Griffin. You answer in one short sentence.", "A room for the night?",
     "A room is three silver pieces, and breakfast is yours if you wake before the bread is gone."),
    ("You are a blacksmith in a fantasy village.", "Can you mend this sword?", "Aye, leave it here and come back when the sun is down."),
    (None, "What is the capital of France?", "The capital of France is Paris."),
    ("Tu es aubergiste. Tu parles français.", "Bonsoir, avez-vous une chambre ?", "Oui, il me reste une chambre sous les toits."),
    (None, "Count from one to ten.", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10."),
    ("You are a wizard who speaks in riddles.", "Where is the key?", "Where water sleeps and stone remembers, look beneath the oldest oak."),
]


def run(args, text=None, **extra):
    result = subprocess.run(args, input=text, capture_output=True, text=True, env=dict(os.environ, **extra))
    if result.returncode != 0:
        sys.exit("check_cuda.py: %s: %s" % (" ".join(args[:4]), result.stderr.strip()))
    return result.stdout


def logits(options, ids, backend, folder, *more):
    out = os.path.join(folder, backend + ".npy")
    run([options.repartee, "logits", "--backend", backend, "--model", options.model, "--ids", ",".join(map(str, ids)), "--all", "--out", out, *more],
        REPARTEE_CUDA_PLUGIN=os.path.abspath(options.plugin))
    return np.load(out).astype(np.float64)


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def kl(p, q):
    return (np.exp(p) * (p - q)).sum(axis=-1)


def ids_of(options, talk):
    system, question, reply = talk
    messages = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": question}]
    prompt = json.loads(run([options.repartee, "prompt", "--model", options.model], json.dumps({"messages": messages})))
    tokens = json.loads(run([options.repartee, "tokens", "--model", options.model], json.dumps({"text": reply}) + "\n"))
    return prompt["ids"] + tokens["ids"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repartee", default="build/release/repartee")
    parser.add_argument("--plugin", default="build/release/librepartee_cuda_emulated.so")
    parser.add_argument("--model", default="assets/models/smollm2-135m-instruct.gguf")
    parser.add_argument("--kl", type=float, default=0.005)
    options = parser.parse_args()
    every, differing = [], []
    for talk in TALKS:
        ids = ids_of(options, talk)
        with tempfile.TemporaryDirectory() as folder:
            exact = log_softmax(logits(options, ids, "cpu", folder, "--exact"))
            cpu, cuda = logits(options, ids, "cpu", folder), logits(options, ids, "cuda", folder)
        p, q = log_softmax(cpu), log_softmax(cuda)
        kls = np.stack([kl(p, q), kl(exact, p), kl(exact, q)])
        for at in np.flatnonzero(cpu.argmax(axis=-1) != cuda.argmax(axis=-1)):
            best = np.sort(cpu[at])[-2:]
            differing.append(float(best[1] - best[0]))
        every.append(kls)
        print("%-32.32s %3d positions, KL CPU to GPU %.2e mean, %.2e at worst; float32 to CPU %.2e, to GPU %.2e" % (
            talk[1], len(ids), kls[0].mean(), kls[0].max(), kls[1].mean(), kls[2].mean()), flush=True)
    every = np.concatenate(every, axis=1)
    mean, worst, count = every.mean(axis=1), every.max(axis=1), every.shape[1]
    print("%d positions: KL CPU to GPU %.2e mean, %.2e at worst; float32 to CPU %.2e, %.2e; to GPU %.2e, %.2e; the same best token at %d%s" % (
        count, mean[0], worst[0], mean[1], worst[1], mean[2], worst[2], count - len(differing),
        "; margins of the others " + ", ".join("%.3f" % margin for margin in differing) if differing else ""))
    return 1 if mean[0] > options.kl or mean[2] > 1.5 * mean[1] or any(margin > 0.5 for margin in differing) else 0


if __name__ == "__main__":
    sys.exit(main())
