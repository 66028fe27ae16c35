#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Speed of the runtime's tokenizers against tiktoken, tokenizers and sentencepiece on the same text, one thread, rounds
interleaved.

    python3 tests/bench/tokens.py --tekken tekken_240718.json [--spm tokenizer.model] [--gguf smollm2.gguf] [--text FILE]
        [--rounds 9] [--json]

Also the worst case: a megabyte of one character against a megabyte of prose. Figures are medians.
"""
import argparse
import ctypes
import json
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "reference"))
from repartee_tokenizer import Tokenizer  # noqa: E402

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"


def prose(path):
    if path:
        text = open(path, encoding="utf-8").read()
    else:
        import pydoc_data.topics

        text = "\n".join(pydoc_data.topics.topics.values())
    while len(text.encode()) < 1 << 20:
        text += text
    return text.encode()[: 1 << 20].decode(errors="ignore")


def ours(tokenizer, text):
    data = text.encode()
    ids, count = (ctypes.c_int32 * (len(data) + 1))(), ctypes.c_size_t()
    encode, handle = tokenizer.library.rt_tokenizer_encode, tokenizer.handle

    def run():
        if encode(handle, data, len(data), False, ids, len(data) + 1, ctypes.byref(count)) != 0:
            raise RuntimeError("encode failed")
        return count.value

    return run


def huggingface_tekken(path):
    """The same vocabulary as a tokenizer.json: byte-level BPE with the merges that its ranks imply."""
    import base64

    import tokenizers

    data = json.load(open(path, encoding="utf-8"))
    config = data["config"]
    special = config["default_num_special_tokens"]
    count = config["default_vocab_size"] - special
    byte_to_char, extra = {}, 0
    for b in range(256):
        if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255:
            byte_to_char[b] = chr(b)
        else:
            byte_to_char[b], extra = chr(256 + extra), extra + 1
    words = ["".join(byte_to_char[b] for b in base64.b64decode(v["token_bytes"])) for v in data["vocab"][:count]]
    vocab = {w: i + special for i, w in enumerate(words)}
    merges = []
    for w in words:
        cuts = [(w[:i], w[i:]) for i in range(1, len(w)) if w[:i] in vocab and w[i:] in vocab]
        merges += sorted(cuts, key=lambda c: (vocab[c[0]], vocab[c[1]]))
    model = tokenizers.models.BPE(vocab=vocab, merges=merges, ignore_merges=True)
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(tokenizers.Regex(config["pattern"]), "isolated"),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return tokenizer


def huggingface_smollm(path):
    """The byte-level BPE of a GGUF file, with SmolLM's pre-tokenizer."""
    import gguf
    import tokenizers

    fields = gguf.GGUFReader(path).fields
    words = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ", 1)) for m in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=merges))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Digits(individual_digits=True),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    return tokenizer


CHARACTERS = {"a": "a", "A": "A", "space": " ", "newline": "\n", "bang": "!", "one": "1", "e_acute": "é", "cjk": "世",
              "mark": "\u0301", "ab": "ab", "aab": "aab", "emoji": "\U0001F600"}


def add_worst(runs, name, tokenizer, text):
    runs[f"{name}_prose"] = ours(tokenizer, text)
    for key, character in CHARACTERS.items():
        runs[f"{name}_{key}"] = ours(tokenizer, character * ((1 << 20) // len(character.encode())))


def measure(runs, rounds):
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(t) for name, t in times.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tekken", required=True)
    parser.add_argument("--spm")
    parser.add_argument("--gguf")
    parser.add_argument("--text")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    import tiktoken
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    text = prose(options.text)
    began = time.perf_counter()
    tekken = Tokenizer(options.tekken)
    load = time.perf_counter() - began
    reference = Tekkenizer.from_file(options.tekken)._model
    assert isinstance(reference, tiktoken.Encoding)
    hugging = huggingface_tekken(options.tekken)
    chunks = [text[i : i + 4096] for i in range(0, len(text), 4096)]  # a library that slows down on long texts is not blamed
    tokens = ours(tekken, text)()
    assert tokens == len(reference.encode_ordinary(text)) == len(hugging.encode(text, add_special_tokens=False).ids)
    runs = {"repartee": ours(tekken, text), "tiktoken": lambda: reference.encode_ordinary(text),
            "tokenizers": lambda: [hugging.encode(c, add_special_tokens=False) for c in chunks]}
    times = measure(runs, options.rounds)
    figures = {"load_seconds": load, "tokens": tokens, "bytes": len(text.encode())}
    for name, seconds in times.items():
        figures[f"{name}_tokens_per_second"] = tokens / seconds
    worst = {}
    add_worst(worst, "tekken", tekken, text)
    if options.gguf:
        smollm, theirs = Tokenizer(options.gguf), huggingface_smollm(options.gguf)
        assert smollm.encode(text) == [i for c in [text] for i in theirs.encode(c, add_special_tokens=False).ids]
        both = measure({"repartee": ours(smollm, text),
                        "tokenizers": lambda: [theirs.encode(c, add_special_tokens=False) for c in chunks]}, options.rounds)
        count = ours(smollm, text)()
        figures["gguf_tokens_per_second"] = count / both["repartee"]
        figures["gguf_tokenizers_tokens_per_second"] = count / both["tokenizers"]
        add_worst(worst, "gguf", smollm, text)
    if options.spm:
        import sentencepiece

        spm, reference_spm = Tokenizer(options.spm), sentencepiece.SentencePieceProcessor(model_file=options.spm)
        both = measure({"repartee": ours(spm, text), "sentencepiece": lambda: reference_spm.encode(text)}, options.rounds)
        count = ours(spm, text)()
        figures["spm_tokens_per_second"] = count / both["repartee"]
        figures["sentencepiece_tokens_per_second"] = count / both["sentencepiece"]
        add_worst(worst, "spm", spm, text)
    times = measure(worst, 5)
    for name, seconds in times.items():
        figures[f"ms_per_MiB_{name}"] = seconds * 1000
    for name in ("tekken", "gguf", "spm"):
        if f"{name}_prose" in times:
            slowest = max(v for k, v in times.items() if k.startswith(name + "_"))
            figures[f"one_character_time_ratio_{name}"] = slowest / times[f"{name}_prose"]
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:40} {value:14,.3f}")


main()
