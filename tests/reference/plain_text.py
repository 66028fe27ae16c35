# SPDX-License-Identifier: MIT
"""The reference libraries find special tokens in a text; the runtime never does. This takes the finding out of them."""
import json

from tokenizers import Tokenizer


def structural(text):
    """What the runtime holds for structure, whether or not the file says "special"."""
    tags = {"table", "b"}
    name = text[1:-1].lstrip("/")
    return len(text) > 2 and text[0] + text[-1] in ("<>", "[]") and not (text[0] == "<" and name in tags)


def without_specials(source):
    """A Tokenizer whose special tokens have spellings that no text has; every id stays."""
    data = json.loads(source)
    vocab = data["model"]["vocab"]
    for token in data.get("added_tokens", []):
        if token["special"] or structural(token["content"]):
            hidden = f"\ue000{token['id']}\ue001"
            if token["content"] in vocab:
                vocab[hidden] = vocab.pop(token["content"])
            if data["model"].get("unk_token") == token["content"]:
                data["model"]["unk_token"] = hidden
            token["content"] = hidden
    data["post_processor"] = None
    return Tokenizer.from_str(json.dumps(data))
