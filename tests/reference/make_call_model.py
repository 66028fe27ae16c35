#!/usr/bin/env python3
"""Makes tests/data/models/calls: a model whose every next token depends on the last one alone, by a table written here.
Its layers add nothing, its embeddings are one-hot, its output rows are the table. It knows the special tokens of all
families that write calls themselves, so that tests can have it open a call, or not, when they like:

    M H L N  at the end of the prompt (a test's format has it as its reply_opening) are followed by a family's call marker,
             or, where that is not allowed, by talk ("ok.");  T only by talk;  E by either
    P Q      are followed by a few words, then by a marker

    pip install safetensors numpy
    python3 tests/reference/make_call_model.py tests/data/models/calls

Two runs give the same bytes. SPDX-License-Identifier: MIT
"""
import json
import pathlib
import sys

import numpy as np
from safetensors.numpy import save_file

CONTROL = ["<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
           "[TOOL_CALLS]", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
           "<|begin_of_text|>", "<extra_id_0>", "<extra_id_1>"]
ADDED = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
# "<toolcall>" is two tokens, of which the second comes in three shapes: alone, with the format's space, with too much.
WORDS = ["<tool", "call>", "call>Ġ", "call>Ġ{"]
# What follows what: {last: {next: logit}}. Everything else has 0.
STOPS = {"</s>": 12, "<|im_end|>": 12, "<|eot_id|>": 12}
TABLE = {
    "M": {"[TOOL_CALLS]": 12, "o": 8}, "H": {"<tool_call>": 12, "o": 8}, "L": {"{": 12, "o": 8},
    "N": {"<tool": 12}, "E": {"<tool": 12, "o": 12}, "T": {"o": 12},
    "P": {"W": 12}, "W": {"!": 12}, "!": {"[TOOL_CALLS]": 12, "o": 8}, "Q": {"V": 12}, "V": {";": 12}, ";": {"<tool": 12},
    "<tool": {"call>": 12, "call>Ġ": 12, "call>Ġ{": 12}, "call>": {"Ċ": 12}, "</tool_call>": {"Ċ": 12},
    "Ċ": {"<tool_call>": 12, "o": 8}, "{": {"\"": 12}, "o": {"k": 12}, "k": {".": 12}, ".": STOPS,
}
HIDDEN, HEADS, HEAD, FEED = 320, 2, 16, 32


def bytes_to_characters():
    """The printable stand-ins of byte-level BPE (GPT-2)."""
    kept = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table, extra = {byte: chr(byte) for byte in kept}, 0
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + extra)
            extra += 1
    return [table[byte] for byte in range(256)]


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = {}, []
    for token in bytes_to_characters():
        vocabulary[token] = len(vocabulary)
    for word in WORDS:
        for end in range(2, len(word) + 1):
            if word[:end] not in vocabulary:
                merges.append([word[:end - 1], word[end - 1]])
                vocabulary[word[:end]] = len(vocabulary)
    added = []
    for token in CONTROL + ADDED:
        added.append({"id": len(vocabulary) + len(added), "content": token, "single_word": False, "lstrip": False, "rstrip": False,
                      "normalized": False, "special": token in CONTROL})
    count = len(vocabulary) + len(added)
    ids = vocabulary | {token["content"]: token["id"] for token in added}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary,
                  "merges": merges}}, ensure_ascii=False) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast"}, indent=1) + "\n")
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": count, "hidden_size": HIDDEN,
        "intermediate_size": FEED, "num_hidden_layers": 1, "num_attention_heads": HEADS, "num_key_value_heads": 1,
        "head_dim": HEAD, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": False, "bos_token_id": ids["<s>"], "eos_token_id": ids["</s>"], "torch_dtype": "float16"},
        indent=1) + "\n")
    embed, head = np.zeros((count, HIDDEN), np.float16), np.zeros((count, HIDDEN), np.float16)
    embed[np.arange(count), np.arange(count)] = 1
    for last, row in TABLE.items():
        for following, logit in row.items():
            head[ids[following], ids[last]] = logit / np.sqrt(HIDDEN)
    layer, zeros = "model.layers.0.", lambda rows, columns: np.zeros((rows, columns), np.float16)
    save_file({
        "model.embed_tokens.weight": embed, "lm_head.weight": head, "model.norm.weight": np.ones(HIDDEN, np.float16),
        layer + "input_layernorm.weight": np.ones(HIDDEN, np.float16),
        layer + "post_attention_layernorm.weight": np.ones(HIDDEN, np.float16),
        layer + "self_attn.q_proj.weight": zeros(HEADS * HEAD, HIDDEN), layer + "self_attn.k_proj.weight": zeros(HEAD, HIDDEN),
        layer + "self_attn.v_proj.weight": zeros(HEAD, HIDDEN), layer + "self_attn.o_proj.weight": zeros(HIDDEN, HEADS * HEAD),
        layer + "mlp.gate_proj.weight": zeros(FEED, HIDDEN), layer + "mlp.up_proj.weight": zeros(FEED, HIDDEN),
        layer + "mlp.down_proj.weight": zeros(HIDDEN, FEED)}, str(folder / "model.safetensors"))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
