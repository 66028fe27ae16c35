#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times and verdicts of the grammar engine beside llguidance's, on the same schemas, tokens and machine.

usage: compare_llguidance.py --repartee build/release/repartee --tokenizer tekken.json --tests maskbench.jsonl [--cpu-time] [--block N]

The two take turns, a block of schemas at a time, so that whatever else the machine does hurts both. Both step the same tokens
through their masks: compute the mask, test the token's bit, commit. --cpu-time takes the thread's processor time instead of
the clock, where other work would interrupt. llguidance is called from Python, which adds some tenths of a microsecond to each
of its times and no more.

Needs from PyPI: llguidance, numpy.
"""
import argparse
import base64
import json
import os
import subprocess
import tempfile
import time

import llguidance
import numpy as np


def open_tokenizer(path):
    data = json.load(open(path, encoding="utf-8"))
    config = data["config"]
    special = config["default_num_special_tokens"]
    count = config["default_vocab_size"] - special
    encoder = {base64.b64decode(t["token_bytes"]): t["rank"] + special for t in data["vocab"][:count]}
    return llguidance.LLTokenizer.from_tiktoken(encoder=encoder, special_tokens={"<S%d>" % i: i for i in range(special)},
                                                pattern=config["pattern"], eos_token=2, n_vocab=special + count)


def tokenize(args, texts):
    lines = "".join(json.dumps({"text": t}) + "\n" for t in texts)
    out = subprocess.run([args.repartee, "tokens", "--tokenizer", args.tokenizer], input=lines.encode(), stdout=subprocess.PIPE, check=True)
    return [json.loads(line)["ids"] for line in out.stdout.decode().splitlines()]


def run_llguidance(args, tokenizer, records, tokens, totals):
    clock = time.thread_time_ns if args.cpu_time else time.perf_counter_ns
    mask = np.zeros((tokenizer.vocab_size + 31) // 32, dtype=np.uint32)
    at, size = mask.ctypes.data, mask.nbytes
    for record in records:
        totals["schemas"] += 1
        schema = dict(record["schema"]) if isinstance(record["schema"], dict) else record["schema"]
        text = json.dumps(schema, ensure_ascii=False)
        options = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        start = clock()
        try:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(text, defaults=options)
            matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0)
            failed = matcher.is_error()
        except Exception:
            failed = True
        end = clock()
        if failed:
            totals["refused"] += 1
            tokens = tokens[len(record["tests"]):]
            continue
        totals["compile"].append(end - start)
        clean = True
        for test in record["tests"]:
            ids, tokens = tokens[0], tokens[1:]
            matcher.reset()
            accepted = True
            for token in ids:
                start = clock()
                matcher.unsafe_compute_mask_ptr(at, size)
                end = clock()
                totals["mask"].append(end - start)
                if not mask[token >> 5] >> np.uint32(token & 31) & np.uint32(1) or not matcher.consume_token(token):
                    accepted = False
                    break
            if accepted != test["valid"]:
                totals["false accepts" if accepted else "false rejects"] += 1
                clean = False
        totals["clean"] += clean


def run_repartee(args, path, totals):
    with tempfile.NamedTemporaryFile() as times:
        command = [args.repartee, "mask", "--tokenizer", args.tokenizer, "--tests", path, "--json", "--times", times.name]
        out = subprocess.run(command + (["--cpu-time"] if args.cpu_time else []), stdout=subprocess.PIPE, check=True)
        figures = json.loads(out.stdout)
        for line in times.read().decode().splitlines():
            kind, value = line.split()
            totals[kind].append(int(value))
    for name, key in (("schemas", "schemas"), ("clean", "clean"), ("refused", "compile_failures"), ("false accepts", "false_accepts"),
                      ("false rejects", "false_rejects")):
        totals[name] += figures[key]


def new_totals():
    return {"schemas": 0, "clean": 0, "refused": 0, "false accepts": 0, "false rejects": 0, "compile": [], "mask": []}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--repartee", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--tests", required=True)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--block", type=int, default=120)
    parser.add_argument("--limit", type=int, default=0, help="so many schemas, spread over the file")
    args = parser.parse_args()
    lines = open(args.tests, encoding="utf-8").read().splitlines()
    if args.limit:
        lines = lines[:: max(1, len(lines) // args.limit)]
    tokenizer = open_tokenizer(args.tokenizer)
    ours, theirs = new_totals(), new_totals()
    for at in range(0, len(lines), args.block):
        block = lines[at:at + args.block]
        records = [json.loads(line) for line in block]
        for record in records:
            record["tests"] = record.get("tests") or []
        tokens = tokenize(args, [json.dumps(t["data"], ensure_ascii=False) for r in records for t in r["tests"]])
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", delete=False) as file:
            file.write("\n".join(block) + "\n")
        run_repartee(args, file.name, ours)
        run_llguidance(args, tokenizer, records, tokens, theirs)
        os.unlink(file.name)
    print("%-16s %12s %12s" % ("", "repartee", "llguidance " + llguidance.__version__))
    for name in ("schemas", "clean", "refused", "false accepts", "false rejects"):
        print("%-16s %12d %12d" % (name, ours[name], theirs[name]))
    for kind in ("mask", "compile"):
        a, b = np.array(ours[kind]) / 1e3, np.array(theirs[kind]) / 1e3
        print("%-16s %12d %12d" % (kind + "s timed", len(a), len(b)))
        for name, q in (("mean", None), ("p50", 50), ("p99", 99), ("p99.9", 99.9), ("max", 100)):
            x, y = (np.mean(a), np.mean(b)) if q is None else (np.percentile(a, q), np.percentile(b, q))
            print("%-16s %12.2f %12.2f us" % (kind + " " + name, x, y))


if __name__ == "__main__":
    main()
