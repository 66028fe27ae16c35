#!/usr/bin/env python3
"""Writes tests/data/prompts/*.jsonl: what each chat format must give.

    make_prompts.py --reference DIR --templates DIR [--out tests/data/prompts]

--reference: a folder with smollm2_greedy.json (prompts of the default model, token ids by llama.cpp) and
tokenizers/chat_v3_tekken.jsonl (conversations by mistral-common 1.13.1, token ids). Small copies of both are made.
--templates: llama.cpp's models/templates (published chat templates, MIT). The short ones of the other families stand
below. All are rendered with jinja2 set up as transformers sets it up (trim_blocks, lstrip_blocks, its tojson).
"""
# SPDX-License-Identifier: MIT
import argparse
import json
import os

from jinja2.sandbox import ImmutableSandboxedEnvironment

NEMOTRON = (
    "{{'<extra_id_0>System'}}{% for message in messages %}{% if message['role'] == 'system' %}{{'\\n' + message['content'].strip()}}"
    "{% if tools or contexts %}{{'\\n'}}{% endif %}{% endif %}{% endfor %}{% if tools %}{% for tool in tools %}"
    "{{ '\\n<tool> ' + tool|tojson + ' </tool>' }}{% endfor %}{% endif %}{% if contexts %}{% if tools %}{{'\\n'}}{% endif %}"
    "{% for context in contexts %}{{ '\\n<context> ' + context.strip() + ' </context>' }}{% endfor %}{% endif %}{{'\\n\\n'}}"
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ '<extra_id_1>User\\n' + message['content'].strip() + '\\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ '<extra_id_1>Assistant\\n' + message['content'].strip() + '\\n' }}"
    "{% elif message['role'] == 'tool' %}{{ '<extra_id_1>Tool\\n' + message['content'].strip() + '\\n' }}{% endif %}{% endfor %}"
    "{%- if add_generation_prompt %}{{'<extra_id_1>Assistant\\n'}}{%- endif %}"
)
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + "
    "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN2 = SMOLLM2.replace("You are a helpful AI assistant named SmolLM, trained by Hugging Face", "You are a helpful assistant.")
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA3 = (
    "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}"
    "{%- set loop_messages = messages[1:] -%}{%- else -%}{%- set first_user_prefix = '' -%}{%- set loop_messages = messages -%}"
    "{%- endif -%}{%- for message in loop_messages -%}{%- if (message['role'] == 'assistant') -%}{%- set role = 'model' -%}"
    "{%- else -%}{%- set role = message['role'] -%}{%- endif -%}{{ '<start_of_turn>' + role + '\n' + "
    "(first_user_prefix if loop.first else '') }}{{ message['content'] | trim }}{{ '<end_of_turn>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"
)
PHI4 = (
    "{% for message in messages %}{% if (message['role'] == 'system') %}{{'<|im_start|>system<|im_sep|>' + message['content'] "
    "+ '<|im_end|>'}}{% elif (message['role'] == 'user') %}{{'<|im_start|>user<|im_sep|>' + message['content'] + "
    "'<|im_end|>'}}{% elif (message['role'] == 'assistant') %}{{'<|im_start|>assistant<|im_sep|>' + message['content'] + "
    "'<|im_end|>'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)
PHI4_MINI = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
MISTRAL_V1 = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% endif %}{% endfor %}"
)

GIVE = {"type": "function", "function": {
    "name": "give_item", "description": "Hand an item to the player.",
    "parameters": {"type": "object", "properties": {"item": {"type": "string", "enum": ["key", "bread"]},
                                                     "count": {"type": "integer", "minimum": 1}}, "required": ["item"]}}}
MOOD = {"type": "function", "function": {
    "name": "set.mood", "description": "Stimmung \u00e4ndern \u2013 \U0001f600 <b>",
    "parameters": {"type": "object", "properties": {"mood": {"type": "string"}, "by": {"type": "number"}}}}}


def system(text): return {"role": "system", "content": text}
def user(text): return {"role": "user", "content": text}
def reply(text): return {"role": "assistant", "content": text}
def result(text, name="give_item", call="a1B2c3D4e"):
    return {"role": "tool", "content": text, "name": name, "tool_call_id": call}
def calls(*given):
    return {"role": "assistant", "content": "",
            "tool_calls": [{"id": "a1B2c3D4%d" % i, "type": "function", "function": {"name": n, "arguments": a}}
                           for i, (n, a) in enumerate(given)]}


TALK = [
    ("one line", [user("Hello there!")]),
    ("persona", [system("You are Marta, innkeeper."), user("A room for the night?")]),
    ("turns", [system("You are Marta."), user("Hi"), reply("Well met."), user("Who are you?\nSpeak!")]),
    ("padding", [system("  You are Marta. \n"), user("  Hi \n"), reply(" Well met.  "), user("\tGo on \u3042 ")]),
    ("languages", [system("\u0422\u044b \u041c\u0430\u0440\u0442\u0430."), user("\u0939\u093f\u0928\u094d\u0926\u0940 \U0001f600")]),
    ("finished", [user("Hi"), reply("Well met.")]),
]
ACTS = [
    ("tools", [system("You are Marta."), user("Bread, please.")], [GIVE]),
    ("two tools", [system("You are Marta."), user("Bread, please.")], [GIVE, MOOD]),
    ("no persona", [user("Bread, please.")], [GIVE]),
]
ROUNDS = [
    ("call", [system("You are Marta."), user("Bread?"), calls(("give_item", {"item": "bread", "count": 1})), result('{"ok": true}')],
     [GIVE]),
    ("call and reply", [system("You are Marta."), user("Bread?"), calls(("give_item", {"item": "bread"})), result("done"),
                        reply("There you go."), user("Thanks!")], [GIVE]),
]
MANY = [
    ("two calls", [system("You are Marta."), user("Bread?"), calls(("give_item", {"item": "bread"}), ("set.mood", {"by": 0.5})),
                   result("done"), result("[1, 2]", "set.mood")], [GIVE, MOOD]),
]


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def stop(message):
        raise ValueError(message)
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = stop
    return env


def nemotron_messages(messages):
    """The template has no calls of its own: a call is what the assistant said."""
    out = []
    for m in messages:
        if "tool_calls" in m:
            m = reply("\n".join("<toolcall> " + json.dumps(c["function"], ensure_ascii=False) + " </toolcall>" for c in m["tool_calls"]))
        out.append(m)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reference", required=True)
    parser.add_argument("--templates", required=True)
    parser.add_argument("--out", default="tests/data/prompts")
    args = parser.parse_args()
    env = environment()

    def published(name):
        return open(os.path.join(args.templates, name + ".jinja"), encoding="utf-8").read()

    qwen25, qwen3, llama31 = published("Qwen-Qwen2.5-7B-Instruct"), published("Qwen-Qwen3-0.6B"), published("meta-llama-Llama-3.1-8B-Instruct")
    phi35, gemma2 = published("microsoft-Phi-3.5-mini-instruct"), published("google-gemma-2-2b-it")
    talk = [(n, m, None) for n, m in TALK]
    plain = [(n, m, None) for n, m in TALK if m[0]["role"] != "system"]
    one_each = talk + ACTS + ROUNDS
    everything = one_each + MANY
    plan = [
        ("smollm2", SMOLLM2, talk, {}), ("qwen2", QWEN2, talk, {}), ("chatml", CHATML, talk, {}),
        ("qwen2.5", qwen25, everything, {}),
        ("qwen3", qwen3, [c for c in everything if c[0] != "finished"], {"enable_thinking": False}),
        ("chatml-tools", qwen3, [c for c in everything if c[0] != "finished"], {}),
        ("llama-3", LLAMA3, talk, {"bos_token": "<|begin_of_text|>"}),
        ("llama-3.1", llama31, one_each, {"bos_token": "<|begin_of_text|>"}),
        ("gemma", GEMMA3, talk, {"bos_token": "<bos>"}), ("gemma", gemma2, plain, {"bos_token": "<bos>"}),
        ("phi-3", phi35, [c for c in talk if c[0] != "finished"], {}),
        ("phi-4", PHI4, talk, {}), ("phi-4-mini", PHI4_MINI, talk, {}),
        ("nemotron-mini", NEMOTRON, everything, {}), ("minitron", NEMOTRON, talk, {}),
        ("nemotron-mini", NEMOTRON, [("contexts", [system("You are Marta."), user("Who owns the inn?")], None),
                                     ("contexts and tools", [system("You are Marta."), user("Who owns the inn?")], [GIVE])],
         {"contexts": [" The inn is old. ", "Marta owns it."]}),
        ("mistral-v1", MISTRAL_V1, plain, {"bos_token": "<s>", "eos_token": "</s>"}),
    ]
    with open(os.path.join(args.out, "templates.jsonl"), "w", encoding="utf-8") as out:
        for name, source, cases, extra in plan:
            template = env.from_string(source)
            for case, messages, tools in cases:
                given = nemotron_messages(messages) if name == "nemotron-mini" else messages
                open_reply = case != "finished"
                variables = dict(extra)
                if tools:
                    variables["tools"] = tools
                text = template.render(messages=given, add_generation_prompt=open_reply, **variables)
                record = {"format": name, "name": case, "messages": messages, "open": open_reply, "text": text}
                if tools:
                    record["tools"] = tools
                if "contexts" in extra:
                    record["contexts"] = extra["contexts"]
                out.write(json.dumps(record, ensure_ascii=False) + "\n")

    greedy = json.load(open(os.path.join(args.reference, "smollm2_greedy.json"), encoding="utf-8"))
    with open(os.path.join(args.out, "smollm2.jsonl"), "w", encoding="utf-8") as out:
        for p in greedy["prompts"]:
            out.write(json.dumps({"format": "smollm2", "name": p["id"], "messages": p["messages"], "open": True,
                                  "text": p["prompt_text"], "ids": p["prompt_ids"]}, ensure_ascii=False) + "\n")
    with open(os.path.join(args.out, "mistral_v3_tekken.jsonl"), "w", encoding="utf-8") as out:
        for line in open(os.path.join(args.reference, "tokenizers", "chat_v3_tekken.jsonl"), encoding="utf-8"):
            given = json.loads(line)
            record = {"format": "mistral-v3-tekken", "name": given["name"], "messages": given["messages"], "open": False,
                      "text": given["text"], "ids": given["ids"]}
            if given["tools"]:
                record["tools"] = given["tools"]
            out.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
