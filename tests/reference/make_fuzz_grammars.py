#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of tests/fuzz/fuzz_grammar.c: make_fuzz_grammars.py DIR"""
import json
import os
import sys

SCHEMAS = [
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": -3, "maximum": 120}, "b": {"enum": ["red", "green", None, [1]]}}, "required": ["a"]},
    {"type": "array", "items": {"type": "string", "pattern": "^[a-c]+(-[0-9]{2,3})?$", "maxLength": 9}, "uniqueItems": True, "minItems": 1},
    {"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "properties": {"k": {"items": {"$ref": "#/$defs/t"}}}, "additionalProperties": False}}},
    {"oneOf": [{"type": "number", "multipleOf": 0.25}, {"type": "number", "exclusiveMaximum": 3}], "not": {"const": 7}},
    {"type": "object", "patternProperties": {"^x": {"type": "null"}, "y$": {"type": "boolean"}}, "propertyNames": {"maxLength": 3}, "minProperties": 1},
    {"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "dependentRequired": {"c": ["d"]}, "type": "object"},
    {"type": "string", "format": "date-time"},
    {"contains": {"type": "string", "format": "email"}, "prefixItems": [{"type": "integer"}], "type": "array", "maxItems": 4},
]
OTHERS = [(1, "(the|caf\u00e9)? [^\\n]{1,5}(?!x)\\.?"), (1, "^\\p{Lu}[\\w-]*$|a{2,}"), (2, json.dumps(["red", "redder", "gr\u00e9en"]))]


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    steps = bytes(range(40, 104))
    seeds = [(i % 4 << 2 | (i & 1) << 4, json.dumps(s)) for i, s in enumerate(SCHEMAS)]
    seeds += [(3, json.dumps(SCHEMAS[0]))] + OTHERS
    for number, (options, text) in enumerate(seeds):
        with open(os.path.join(sys.argv[1], "seed%02d" % number), "wb") as f:
            f.write(bytes([options]) + text.encode() + b"\0" + steps)


if __name__ == "__main__":
    main()
