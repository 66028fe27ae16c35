#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Samples JSON from a model under the masks of many schemas and has Python's jsonschema judge it.

usage: check_samples.py --repartee build/release/repartee --model F.gguf --schemas maskbench.jsonl [--limit N] [--samples N]
                        [--tokens N] [--temperature T] [--random] [--threads N] [--seed N]

Every finished output must parse and validate (formats included); every other one must have been stopped by the limit on tokens
and nothing else. --random takes random logits instead of the model's. Exits 1 where anything is wrong.

Needs from PyPI: jsonschema[format].
"""
import argparse
import collections
import json
import random
import subprocess
import sys
import tempfile

import jsonschema


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--repartee", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--schemas", required=True)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=160)
    parser.add_argument("--temperature", type=float, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--random", action="store_true")
    args = parser.parse_args()
    records = [json.loads(line) for line in open(args.schemas, encoding="utf-8")]
    random.Random(args.seed).shuffle(records)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".jsonl") as file:
        for record in records:
            file.write(json.dumps({"id": record["id"], "schema": record["schema"]}, ensure_ascii=False) + "\n")
        file.flush()
        command = [args.repartee, "sample", "--model", args.model, "--schemas", file.name, "--limit", str(args.limit),
                   "--samples", str(args.samples), "--max-tokens", str(args.tokens), "--temperature", str(args.temperature),
                   "--seed", str(args.seed), "--threads", str(args.threads)] + (["--random"] if args.random else [])
        out = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    schemas = {record["id"]: record["schema"] for record in records}
    counts, validators = collections.Counter(), {}
    samples = [json.loads(line) for line in out.decode("utf-8").split("\n") if line]  # (U+2028 ends no line)
    for sample in samples:
        if not sample["finished"]:
            counts["stopped by the limit" if sample["tokens"] == args.tokens else "STOPPED OTHERWISE"] += 1
            continue
        counts["finished"] += 1
        name = sample["id"]
        if name not in validators:
            kind = jsonschema.validators.validator_for(schemas[name], default=jsonschema.Draft202012Validator)
            validators[name] = kind(schemas[name], format_checker=kind.FORMAT_CHECKER)
        try:
            errors = list(validators[name].iter_errors(json.loads(sample["text"])))
        except Exception as error:  # what does not parse, or chokes the validator
            errors = [error]
        if errors:
            counts["INVALID"] += 1
            print("INVALID", name, sample["text"][:300], str(errors[0])[:200].replace("\n", " "))
    print("%d schemas:" % len({sample["id"] for sample in samples}), dict(counts))
    sys.exit(1 if counts["INVALID"] or counts["STOPPED OTHERWISE"] else 0)


if __name__ == "__main__":
    main()
