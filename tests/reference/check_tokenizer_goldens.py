#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the runtime's tokenizers with the reference data: ids, pieces, streamed text, invalid input.

    REPARTEE_REFERENCE=/path/to/reference python3 tests/reference/check_tokenizer_goldens.py \\
        --vocabularies FOLDER_OF_MISTRAL_COMMON_DATA --smollm2 assets/models/smollm2-135m-instruct.gguf
"""
import argparse
import glob
import json
import os
import pathlib
import sys

from repartee_tokenizer import Tokenizer

REFERENCE = pathlib.Path(os.environ.get("REPARTEE_REFERENCE", "."))
failures = 0


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


def check(what, wrong, total):
    global failures
    failures += bool(wrong)
    print(f"{'ok  ' if not wrong else 'FAIL'} {total - len(wrong)}/{total} {what}")
    for item in wrong[:3]:
        print("     ", item)


def check_ids(what, tokenizer, items):
    wrong = [(i["text"][:60], tokenizer.encode(i["text"])[:20], i["ids"][:20]) for i in items
             if tokenizer.encode(i["text"]) != i["ids"]]
    check(what, wrong, len(items))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vocabularies", required=True)
    parser.add_argument("--smollm2")
    options = parser.parse_args()
    data = pathlib.Path(options.vocabularies)
    folder = REFERENCE / "tokenizers"
    tekken = Tokenizer(data / "tekken_240718.json")
    check_ids("tekken.jsonl", tekken, lines(folder / "tekken.jsonl"))
    items = lines(folder / "tekken_pieces.jsonl")
    wrong = []
    for i in items:
        if i["kind"] == "special":
            good = tekken.spelling(i["id"]).encode().hex() == i["hex"] and tekken.bytes(i["id"]) == b""
        else:
            good = tekken.bytes(i["id"]).hex() == i["hex"]
        if not good:
            wrong.append((i, tekken.spelling(i["id"]), tekken.bytes(i["id"])))
    check("tekken_pieces.jsonl", wrong, len(items))
    items = lines(folder / "tekken_stream.jsonl")
    wrong = []
    for i in items:
        parts, left = tekken.stream(i["ids"])
        whole = "".join(parts) + left == i["text"]
        exact = i["kind"] == "invalid" or (parts == i["stream"] and left == i["flush"])
        if not whole or not exact:
            wrong.append((i, parts, left))
    check("tekken_stream.jsonl", wrong, len(items))
    items = lines(folder / "tekken_invalid_input.jsonl")
    check("tekken_invalid_input.jsonl",
          [i for i in items if tekken.encode(bytes.fromhex(i["hex"])) != i["ids"]], len(items))
    check_ids("spm_v1.jsonl", Tokenizer(data / "tokenizer.model.v1"), lines(folder / "spm_v1.jsonl"))
    check_ids("spm_v3.jsonl", Tokenizer(data / "mistral_instruct_tokenizer_240323.model.v3"), lines(folder / "spm_v3.jsonl"))
    for model in sorted(os.listdir(REFERENCE / "models")):
        place = REFERENCE / "models" / model
        items = lines(place / "tokenizer" / "golden.jsonl")
        for path in [place / "tokenizer"] + sorted(map(pathlib.Path, glob.glob(str(place / "*.gguf")))):
            check_ids(f"models/{model}: {path.name}", Tokenizer(path), items)
    if options.smollm2:
        smollm2 = Tokenizer(options.smollm2)
        items = json.load(open(REFERENCE / "smollm2_greedy.json"))["prompts"]
        special = {"<|im_start|>", "<|im_end|>"}
        wrong = []
        for item in items:
            # The prompts were encoded with special tokens recognised: the format puts those in itself.
            ids, rest = [], item["prompt_text"]
            while rest:
                at = min((rest.find(s) for s in special if s in rest), default=len(rest))
                ids += smollm2.encode(rest[:at])
                rest = rest[at:]
                for s in special:
                    if rest.startswith(s):
                        ids.append(smollm2.special(s))
                        rest = rest[len(s) :]
            if ids != item["prompt_ids"]:
                wrong.append((item["prompt_text"], ids, item["prompt_ids"]))
        check("smollm2_greedy.json", wrong, len(items))
    sys.exit(1 if failures else 0)


main()
