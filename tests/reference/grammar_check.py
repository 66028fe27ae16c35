#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the grammar engine against Python's jsonschema, an independent validator.

usage: grammar_check.py --library librepartee.so --tokenizer tekken.json sample SCHEMAS.jsonl [--schemas N] [--samples N]
       grammar_check.py --library librepartee.so --tokenizer tekken.json suite DIR [--draft draft2020-12] [--verbose]

sample: random logits under each schema's masks; every finished output must parse and validate, and an output that does not
        finish must have been stopped by the limit on tokens alone. SCHEMAS.jsonl has {"id":.., "schema":..} lines.
suite:  the official JSON-Schema-Test-Suite (the source distribution of `jsonschema` on PyPI carries it in `json/tests`): each
        instance is written as json.dumps writes it and stepped through the masks, its end included. Prints what was refused
        at compile time, by keyword, and each wrong answer.

Needs from PyPI: jsonschema[format], numpy.
"""
import argparse
import collections
import ctypes as C
import json
import os
import random
import sys

import numpy as np


class Host(C.Structure):
    _fields_ = [("allocate", C.c_void_p), ("log", C.c_void_p), ("user", C.c_void_p)]


class GrammarDef(C.Structure):
    _fields_ = [("cookie", C.c_uint32), ("host", Host), ("kind", C.c_int), ("text", C.c_char_p), ("text_size", C.c_size_t),
                ("spacing", C.c_int), ("any_order", C.c_bool), ("plain_integers", C.c_bool), ("triggers", C.c_void_p), ("trigger_tokens", C.c_void_p),
                ("trigger_count", C.c_int), ("max_states", C.c_size_t), ("max_memory", C.c_size_t), ("max_depth", C.c_int)]


class TokenizerDef(C.Structure):
    _fields_ = [("cookie", C.c_uint32), ("host", Host), ("path", C.c_char_p), ("pre_tokenizer", C.c_char_p)]


class Engine:
    def __init__(self, library, tokenizer):
        self.lib = lib = C.CDLL(library)
        lib.rt_error_message.restype = C.c_char_p
        lib.rt_default_tokenizer_def.restype = TokenizerDef
        lib.rt_default_grammar_def.restype = GrammarDef
        lib.rt_matcher_may_end.restype = lib.rt_matcher_must_end.restype = lib.rt_matcher_allows.restype = C.c_bool
        lib.rt_matcher_may_end.argtypes = lib.rt_matcher_must_end.argtypes = [C.c_void_p]
        lib.rt_matcher_commit_bytes.argtypes = [C.c_void_p, C.c_char_p, C.c_size_t]
        lib.rt_matcher_commit.argtypes = [C.c_void_p, C.c_int32]
        lib.rt_matcher_mask.argtypes = [C.c_void_p, C.c_void_p]
        lib.rt_matcher_destroy.argtypes = lib.rt_grammar_release.argtypes = [C.c_void_p]
        lib.rt_matcher_create.argtypes = [C.c_void_p, C.c_void_p, C.c_void_p]
        lib.rt_matcher_allows.argtypes = [C.c_void_p, C.c_int32]
        lib.rt_tokenizer_bytes.argtypes = [C.c_void_p, C.c_int32, C.c_void_p, C.c_void_p]
        lib.rt_tokenizer_bytes.restype = C.c_bool
        lib.rt_tokenizer_vocab_size.argtypes = [C.c_void_p]
        lib.rt_tokenizer_eos.argtypes = [C.c_void_p]
        lib.rt_grammar_create.argtypes = [C.c_void_p, C.c_void_p, C.c_void_p]
        d = lib.rt_default_tokenizer_def()
        d.path = tokenizer.encode()
        self.tokenizer, self.vocabulary = C.c_void_p(), C.c_void_p()
        self.check(lib.rt_tokenizer_open(C.byref(d), C.byref(self.tokenizer)))
        self.check(lib.rt_vocabulary_create(self.tokenizer, None, C.byref(self.vocabulary)))
        self.size = lib.rt_tokenizer_vocab_size(self.tokenizer)
        self.eos = lib.rt_tokenizer_eos(self.tokenizer)
        self.pieces = []
        at, n = C.c_void_p(), C.c_size_t()
        for i in range(self.size):
            lib.rt_tokenizer_bytes(self.tokenizer, i, C.byref(at), C.byref(n))
            self.pieces.append(C.string_at(at, n.value) if n.value else b"")

    def check(self, result):
        if result != 0:
            raise RuntimeError(self.lib.rt_error_message().decode("utf-8", "replace"))

    def compile(self, text, any_order=True):
        d = self.lib.rt_default_grammar_def()
        data = text.encode()
        d.text, d.text_size, d.any_order = data, len(data), any_order
        g = C.c_void_p()
        self.check(self.lib.rt_grammar_create(self.vocabulary, C.byref(d), C.byref(g)))
        return g

    def matcher(self, grammar):
        m = C.c_void_p()
        self.check(self.lib.rt_matcher_create(grammar, None, C.byref(m)))
        return m

    def accepts(self, grammar, text):
        m = self.matcher(grammar)
        data = text.encode("utf-8", "surrogatepass")
        ok = self.lib.rt_matcher_commit_bytes(m, data, len(data)) == 0 and self.lib.rt_matcher_may_end(m)
        self.lib.rt_matcher_destroy(m)
        return ok


def sample(engine, grammar, rng, limit, words):
    """One output from random logits; (bytes, finished)."""
    m = engine.matcher(grammar)
    out = b""
    finished = False
    view = words.view(np.uint8)
    for step in range(limit):
        engine.check(engine.lib.rt_matcher_mask(m, words.ctypes.data))
        allowed = np.flatnonzero(np.unpackbits(view, bitorder="little"))
        if len(allowed) == 0:
            raise RuntimeError("an empty mask after %r" % out[-80:])
        picks = [int(allowed[rng.randrange(len(allowed))]) for _ in range(1 if step < limit // 4 else 12)]
        # Late in the budget prefer what closes, so that most outputs finish.
        pick = max(picks, key=lambda t: (t == engine.eos) * 100 - len(engine.pieces[t]) + 40 * any(c in engine.pieces[t] for c in b'"}]'))
        if engine.eos in (int(a) for a in allowed[:64]) and rng.random() < 0.3:
            pick = engine.eos
        if pick == engine.eos:
            finished = True
            break
        if rng.random() < 0.05:
            for probe in rng.sample(range(engine.size), 20):  # mask and commit must agree
                bit = bool(view[probe >> 3] >> (probe & 7) & 1)
                if bit != engine.lib.rt_matcher_allows(m, probe):
                    raise RuntimeError("mask and matcher disagree on token %d %r after %r" % (probe, engine.pieces[probe], out[-80:]))
        engine.check(engine.lib.rt_matcher_commit(m, pick))
        out += engine.pieces[pick]
    engine.lib.rt_matcher_destroy(m)
    return out, finished


def validator_for(schema):
    import jsonschema
    cls = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    return cls(schema, format_checker=cls.FORMAT_CHECKER)


def run_sample(args, engine):
    rng = random.Random(args.seed)
    lines = [json.loads(line) for line in open(args.path, encoding="utf-8")]
    rng.shuffle(lines)
    words = np.zeros((engine.size + 31) // 32, dtype=np.uint32)
    counts = collections.Counter()
    for record in lines[:args.schemas]:
        text = json.dumps(record["schema"], ensure_ascii=False)
        try:
            grammar = engine.compile(text)
        except RuntimeError:
            counts["refused"] += 1
            continue
        validator = validator_for(record["schema"])
        counts["schemas"] += 1
        for _ in range(args.samples):
            try:
                out, finished = sample(engine, grammar, rng, args.tokens, words)
            except RuntimeError as error:
                counts["failed"] += 1
                print("FAILED", record["id"], error)
                continue
            counts["finished" if finished else "unfinished"] += 1
            if not finished:
                continue
            try:
                value = json.loads(out.decode("utf-8"))
                errors = [e for e in validator.iter_errors(value)]
            except Exception as error:  # a validator may choke as well
                errors = [error]
            if errors:
                counts["invalid"] += 1
                print("INVALID", record["id"], out[:300], str(errors[0])[:200].replace("\n", " "))
        engine.lib.rt_grammar_release(grammar)
    print(dict(counts))
    return 1 if counts["invalid"] or counts["failed"] else 0


def run_suite(args, engine):
    counts = collections.Counter()
    refused = collections.Counter()
    base = os.path.join(args.path, args.draft)
    files = sorted(os.path.join(base, f) for f in os.listdir(base) if f.endswith(".json"))
    formats = os.path.join(base, "optional", "format")
    if os.path.isdir(formats):
        files += sorted(os.path.join(formats, f) for f in os.listdir(formats) if f.endswith(".json"))
    uri = {"draft4": "http://json-schema.org/draft-04/schema#", "draft6": "http://json-schema.org/draft-06/schema#",
           "draft7": "http://json-schema.org/draft-07/schema#"}.get(args.draft, "https://json-schema.org/draft/2020-12/schema")
    for path in files:
        name = os.path.relpath(path, base)
        for case in json.load(open(path, encoding="utf-8")):
            schema = case["schema"]
            if isinstance(schema, dict) and "$schema" not in schema:
                schema = {"$schema": uri, **schema}
            try:
                grammar = engine.compile(json.dumps(schema, ensure_ascii=False))
            except RuntimeError as error:
                message = str(error)
                none = not any(t["valid"] for t in case["tests"])
                if "no value satisfies" in message and none:
                    counts["right"] += len(case["tests"])
                    continue
                refused[name] += 1
                counts["refused"] += len(case["tests"])
                if args.verbose:
                    print("REFUSED %s: %s: %s" % (name, case["description"], message))
                continue
            for test in case["tests"]:
                got = engine.accepts(grammar, json.dumps(test["data"], ensure_ascii=False))
                if got == test["valid"]:
                    counts["right"] += 1
                else:
                    counts["wrongly accepted" if got else "wrongly refused"] += 1
                    print("%s %s: %s: %s: %s" % ("ACCEPTED" if got else "REFUSES", name, case["description"], test["description"],
                                                 json.dumps(test["data"], ensure_ascii=False)[:120]))
            engine.lib.rt_grammar_release(grammar)
    print(dict(counts))
    print("refused at compile time:", dict(refused))
    return 0


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--library", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("mode", choices=["sample", "suite"])
    parser.add_argument("path")
    parser.add_argument("--schemas", type=int, default=200)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=160)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draft", default="draft2020-12")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    engine = Engine(args.library, args.tokenizer)
    sys.exit(run_sample(args, engine) if args.mode == "sample" else run_suite(args, engine))


if __name__ == "__main__":
    main()
