#!/usr/bin/env python3
"""Compares `repartee prompt` with the references on conversations made up at random, and finds the format of every template.

    check_prompts.py [--repartee build/release/repartee] [--templates DIR] [--count N] [--seed N]

- Mistral v1, v3 and v3-tekken against mistral-common, token for token (it brings the vocabularies).
- With --templates (llama.cpp's models/templates): prints which format each is taken for. A template may be taken for a
  format only where both render a talk without tools alike.
Exits 0 only where all of it holds.
"""
# SPDX-License-Identifier: MIT
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

WORDS = ["Hello", "there", " ", "  ", "\n", "\n\n", "gold", "[INST]", "[/INST]", "</s>", "<s>", "[TOOL_CALLS]", "\u00e9p\u00e9e", "\u0939\u093f\u0928\u094d\u0926\u0940",
         "\U0001f600", "{\"a\": 1}", "3.50", "\"", "\\", "\t", ".", "?!", "\u3042", "x" * 40, "[AVAILABLE_TOOLS]", "'s", "1234"]
# What templates of llama.cpp's folder must be taken for.
EXPECTED = {
    "google-gemma-2-2b-it": "gemma", "microsoft-Phi-3.5-mini-instruct": "phi-3", "meta-llama-Llama-3.1-8B-Instruct": "llama-3.1",
    "meta-llama-Llama-3.2-3B-Instruct": "llama-3.1", "meta-llama-Llama-3.3-70B-Instruct": "llama-3.1",
    "Qwen-Qwen2.5-7B-Instruct": "qwen2.5", "Qwen-Qwen3-0.6B": "qwen3", "mistralai-Mistral-Nemo-Instruct-2407": "mistral-v3-tekken",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": "hermes", "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": "hermes",
}


def text(random_, least=1):
    return "".join(random_.choice(WORDS) for _ in range(random_.randint(least, 8))) or "a"


def value(random_, depth=0):
    kind = random_.randint(0, 6 if depth < 2 else 4)
    if kind == 0:
        return text(random_)
    if kind == 1:
        return random_.randint(-10 ** random_.randint(0, 18), 10 ** 9)
    if kind == 2:
        return random_.choice([0.1, 1e-7, 1e22, 2.5, 100.0, -0.0, random_.random() * 10 ** random_.randint(-12, 18)])
    if kind == 3:
        return random_.choice([True, False, None])
    if kind == 4:
        return ""
    if kind == 5:
        return [value(random_, depth + 1) for _ in range(random_.randint(0, 3))]
    return {text(random_): value(random_, depth + 1) for _ in range(random_.randint(0, 3))}


def conversation(random_, with_tools):
    messages, tools = [], []
    if random_.random() < 0.6:
        messages.append({"role": "system", "content": text(random_)})
    if with_tools and random_.random() < 0.7:
        for i in range(random_.randint(1, 3)):
            tools.append({"type": "function", "function": {
                "name": "tool_%d" % i, "description": text(random_),
                "parameters": {"type": "object", "properties": {"p": {"type": "string", "enum": [text(random_), text(random_)]}}}}})
    for turn in range(random_.randint(1, 4)):
        for _ in range(random_.choice([1, 1, 1, 2])):
            messages.append({"role": "user", "content": text(random_)})
        if tools and random_.random() < 0.5:
            ids = ["".join(random_.choice("abcXYZ0129") for _ in range(9)) for _ in range(random_.randint(1, 2))]
            messages.append({"role": "assistant", "tool_calls": [
                {"id": i, "type": "function", "function": {"name": "tool_0", "arguments": json.dumps(
                    {"p": value(random_)}, ensure_ascii=random_.random() < 0.5)}} for i in ids]})
            for i in ids:
                content = random_.choice([text(random_), json.dumps(value(random_)), ""])
                messages.append({"role": "tool", "name": "tool_0", "tool_call_id": i, "content": content})
        if random_.random() < 0.9:
            messages.append({"role": "assistant", "content": "a" + text(random_)})
    while messages[-1]["role"] == "assistant":
        messages.pop()
    if messages[-1]["role"] == "system":
        messages.append({"role": "user", "content": "Hi"})
    return messages, tools


def reference(tokenizer, messages, tools):
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    request = ChatCompletionRequest(messages=messages, tools=tools or None)
    return tokenizer.encode_chat_completion(request).tokens


def run(program, tokenizer, format_name, conversations):
    lines = "".join(json.dumps({"messages": m, "tools": t}) + "\n" for m, t in conversations)
    out = subprocess.run([program, "prompt", "--tokenizer", tokenizer, "--format", format_name, "--closed"], input=lines,
                         capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit(out.stderr)
    return [json.loads(line)["ids"] for line in out.stdout.splitlines()]


def check_mistral(program, count, seed):
    import mistral_common
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
    data = os.path.join(os.path.dirname(mistral_common.__file__), "data")
    plan = [("mistral-v3-tekken", "tekken_240718.json", True), ("mistral-v3", "mistral_instruct_tokenizer_240323.model.v3", True),
            ("mistral-v1", "tokenizer.model.v1", False)]
    failures = 0
    for format_name, file_name, with_tools in plan:
        random_ = random.Random(seed)
        tokenizer = MistralTokenizer.from_file(os.path.join(data, file_name))
        conversations, expected, refused = [], [], 0
        while len(conversations) < count:
            messages, tools = conversation(random_, with_tools)
            # Where markers are plain text, a typed one is broken up: there the reference is open to injection.
            if format_name == "mistral-v1":
                messages = json.loads(json.dumps(messages).replace("[INST]", "[inst]").replace("[/INST]", "[/inst]"))
            try:
                expected.append(reference(tokenizer, messages, tools))
                conversations.append((messages, tools))
            except Exception:  # the reference refuses some: calls beside text, replies of nothing but spaces
                refused += 1
        given = run(program, os.path.join(data, file_name), format_name, conversations)
        wrong = [i for i in range(count) if given[i] != expected[i]]
        failures += len(wrong)
        print(f"{format_name}: {count - len(wrong)} of {count} conversations token for token (the reference refused {refused} more)")
        for i in wrong[:3]:
            print("  ", json.dumps(conversations[i], ensure_ascii=False))
            print("   expected", tokenizer.decode(expected[i]) if hasattr(tokenizer, "decode") else expected[i], expected[i][:60])
            print("   given   ", given[i][:60])
    return failures


TALK = [{"role": "system", "content": "You are Marta."}, {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Well met."}, {"role": "user", "content": "Who are you?"}]


def renders_alike(template, text):
    """Whether the published template gives the same text, with and without a beginning of text."""
    from make_prompts import environment
    try:
        expected = environment().from_string(template).render(
            messages=TALK, add_generation_prompt=True, enable_thinking=False, bos_token="", eos_token="</s>",
            strftime_now=lambda form: "2024-07-26")
    except Exception as problem:  # what cannot be rendered cannot be the same
        return "its template fails: %s" % problem
    return None if expected == text else "its template gives " + json.dumps(expected[:300])


def check_templates(program, folder):
    failures = 0
    base = "tests/data/tokenizers/smollm/tokenizer.json"
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".jinja"):
            continue
        name = name[:-6]
        with tempfile.TemporaryDirectory() as place:
            with open(base, encoding="utf-8") as source, open(os.path.join(place, "tokenizer.json"), "w", encoding="utf-8") as out:
                out.write(source.read())
            with open(os.path.join(folder, name + ".jinja"), encoding="utf-8") as source:
                template = source.read()
            with open(os.path.join(place, "tokenizer_config.json"), "w", encoding="utf-8") as out:
                json.dump({"chat_template": template}, out)
            result = subprocess.run([program, "prompt", "--tokenizer", place], input=json.dumps({"messages": TALK}),
                                    capture_output=True, text=True)
        given = json.loads(result.stdout) if result.returncode == 0 else {"format": None}
        problem = None
        if name in EXPECTED and given["format"] != EXPECTED[name]:
            problem = "expected " + EXPECTED[name]
        elif name not in EXPECTED and given["format"]:
            problem = renders_alike(template, given["text"].removeprefix("<|begin|>"))
        failures += problem is not None
        print(("NOT OK  " if problem else "ok      ") + f"{name}: {given['format'] or 'no format'}" + (": " + problem if problem else ""))
    return failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repartee", default="build/release/repartee")
    parser.add_argument("--templates")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    failures = check_mistral(args.repartee, args.count, args.seed)
    if args.templates:
        failures += check_templates(args.repartee, args.templates)
    print(f"{failures} failed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
