#!/usr/bin/env python3
"""Makes tests/data/models/chat: a tiny llama with random weights, a byte-level BPE vocabulary trained on a few English lines
and ChatML's special tokens. It talks nonsense, but quickly: what worlds, turns and schedules are tested with.

    pip install tokenizers safetensors numpy
    python3 tests/reference/make_chat_model.py tests/data/models/chat

Two runs give the same bytes. SPDX-License-Identifier: MIT
"""
import json
import pathlib
import sys

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCAB, HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD, FEED = 640, 64, 2, 4, 2, 16, 128
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXT = """You are Marta. Innkeeper of the Gilded Griffin. Dry wit, remembers every debt.
The guest asks for a room for the night, and the innkeeper pours him a drink: ale, wine or mead.
A tavern stands at the crossroads. It is raining. Travellers come from all corners of the land and tell their tales.
Action: none. Arguments: {"drink": "ale", "cups": 2} {"name": "pour_drink"} give_room_key poured, done
system user assistant neutral amused stern warm can do these things: only talk""".splitlines()
TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=SPECIAL, show_progress=False, min_frequency=1,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(TEXT * 3, trainer)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    vocab = tokenizer.get_vocab_size()
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"bos_token": SPECIAL[1], "eos_token": SPECIAL[2], "chat_template": TEMPLATE, "tokenizer_class": "PreTrainedTokenizerFast"},
        indent=1) + "\n")
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocab, "hidden_size": HIDDEN,
        "intermediate_size": FEED, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD, "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"}, indent=1) + "\n")
    random = np.random.default_rng(7)

    def matrix(rows, columns, scale=1.0):
        return (random.standard_normal((rows, columns)) * scale / np.sqrt(columns)).astype(np.float16).astype(np.float32)

    tensors = {"model.embed_tokens.weight": (random.standard_normal((vocab, HIDDEN)) * 0.5).astype(np.float16).astype(np.float32),
               "model.norm.weight": np.ones(HIDDEN, np.float32)}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        tensors |= {name + "input_layernorm.weight": np.ones(HIDDEN, np.float32),
                    name + "post_attention_layernorm.weight": np.ones(HIDDEN, np.float32),
                    name + "self_attn.q_proj.weight": matrix(HEADS * HEAD, HIDDEN, 2.0),
                    name + "self_attn.k_proj.weight": matrix(KV_HEADS * HEAD, HIDDEN, 2.0),
                    name + "self_attn.v_proj.weight": matrix(KV_HEADS * HEAD, HIDDEN),
                    name + "self_attn.o_proj.weight": matrix(HIDDEN, HEADS * HEAD),
                    name + "mlp.gate_proj.weight": matrix(FEED, HIDDEN),
                    name + "mlp.up_proj.weight": matrix(FEED, HIDDEN),
                    name + "mlp.down_proj.weight": matrix(HIDDEN, FEED)}
    save_file({name: value.astype(np.float16) for name, value in tensors.items()}, str(folder / "model.safetensors"))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
