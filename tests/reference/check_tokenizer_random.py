#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random strings through the runtime's tokenizers and through the references: every id must be equal.

    python3 tests/reference/check_tokenizer_random.py --vocabularies FOLDER_OF_MISTRAL_COMMON_DATA \\
        [--tokenizers FOLDER...] [--count 200000] [--only NAME]

Vocabularies: tekken_240718.json against tiktoken as mistral-common drives it, the SentencePiece models against
sentencepiece. Tokenizers: folders with a tokenizer.json (against tokenizers) or tokenizer.model (against sentencepiece),
such as those that make_tokenizers.py makes.
"""
import argparse
import glob
import os
import pathlib
import sys
import time

import sentencepiece
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from plain_text import structural, without_specials
from random_text import strings
from repartee_tokenizer import Tokenizer


def tekken_reference(path):
    model = Tekkenizer.from_file(str(path))
    return lambda text: model.encode(text, bos=False, eos=False)


def sentencepiece_reference(path):
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    # User-defined symbols that are structure: sentencepiece finds them in the text.
    symbols = [p for p in map(model.id_to_piece, range(model.get_piece_size())) if structural(p) and p in model.encode(p, out_type=str)]

    def encode(text):
        return None if any(s in text for s in symbols) else model.encode(text)

    return encode


def tokenizers_reference(path):
    model = without_specials(open(path, encoding="utf-8").read())
    return lambda text: model.encode(text, add_special_tokens=False).ids


def compare(name, ours, reference, count, seed):
    wrong, tokens, began = 0, 0, time.time()
    for text in strings(seed, count):
        expected, got = reference(text), ours.encode(text)
        if expected is None:
            continue
        tokens += len(expected)
        if got != expected:
            wrong += 1
            if wrong <= 3:
                print("     ", ascii(text)[:400], "\n       expected", expected[:60], "\n       got     ", got[:60])
    print(f"{'ok  ' if wrong == 0 else 'FAIL'} {name}: {count - wrong} of {count} equal, {tokens} tokens, "
          f"{time.time() - began:.0f} s", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vocabularies")
    parser.add_argument("--tokenizers", nargs="*", default=[])
    parser.add_argument("--count", type=int, default=200000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    cases = []
    if options.vocabularies:
        data = pathlib.Path(options.vocabularies)
        cases.append((data / "tekken_240718.json", tekken_reference))
        for path in sorted(glob.glob(str(data / "*.model.v*"))):
            cases.append((path, sentencepiece_reference))
    for folder in options.tokenizers:
        for path in (pathlib.Path(folder) / "tokenizer.json", pathlib.Path(folder) / "tokenizer.model"):
            if path.exists():
                cases.append((path, tokenizers_reference if path.suffix == ".json" else sentencepiece_reference))
    wrong = 0
    for path, reference in cases:
        name = os.path.join(os.path.basename(os.path.dirname(path)), os.path.basename(path))
        if options.only in name:
            wrong += compare(name, Tokenizer(path), reference(path), options.count, options.seed)
    sys.exit(1 if wrong else 0)


main()
