#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/data/tokenizers: small tokenizers of every family and kind, and the ids that the reference libraries give.

    python3 tests/reference/make_tokenizers.py tests/data/tokenizers [--tekken tekken_240718.json]

Needs tokenizers, sentencepiece, gguf and (for the trimmed Tekken vocabulary) mistral-common. Trained on the lines below,
which were written for this purpose; everything is seeded. Special tokens are never recognised in the texts.
"""
import argparse
import base64
import io
import json
import pathlib
import tempfile

import gguf
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from plain_text import without_specials
from random_text import WORDS, strings

LINES = """\
The innkeeper wipes the counter and nods at the door. A stranger has come in from the rain.
You've walked a long way, haven't you? I'll pour you something warm, and we'll see about a room.
She said she'd be back before midnight; they're still waiting. It's 11:45, and the clock's slow.
"Two silver coins," he answered, "or 1,250 copper ones - your choice!" Nobody laughed...
Der Wirt lächelt müde. Für drei Münzen gibt es Brot, Käse und ein Glas Apfelwein; größer wird's nicht.
L'aubergiste n'a plus de chambre : il reste l'écurie, où la paille est sèche. Ça te va, étranger ?
El tabernero guarda las llaves. ¿Quién robó la llave del sótano anoche? ¡Nadie lo sabe!
Трактирщик молча ставит кружку на стол. Ночь будет холодной, а дорога длинной.
旅人は静かに扉を開けた。「部屋は空いていますか？」と彼女は小さな声で尋ねた。
掌柜的看了看天色，说今晚要下大雨，客官还是住下吧。三两银子一晚。
여관 주인은 고개를 끄덕이며 열쇠를 건넸다. 비가 그칠 때까지 머물러도 좋다고 했다.
सराय के मालिक ने मुस्कुराकर कहा, आज रात बारिश होगी। कमरा ऊपर है।
เจ้าของโรงเตี๊ยมยิ้มแล้วพูดว่า คืนนี้ฝนจะตก ห้องพักอยู่ชั้นบน
قالَ صاحِبُ الخانِ: المَطَرُ قادِمٌ، والغُرفةُ في الطابقِ العُلوي.
Ο πανδοχέας έκλεισε την πόρτα. Έξω φυσούσε δυνατός άνεμος.
if (guest.gold >= 2) { pour_drink("ale", cups=1); return True }  // server/src/tavern.c:42
{"name": "give_room_key", "arguments": {"room": 3, "floor": "upper"}}  <b>bold</b> x = y + z * 100;
👨‍👩‍👧 family 👍🏽 heart ❤️ flag 🇫🇷 keycap 1️⃣ rocket 🧑‍🚀 ... naïve café Ångström ﬁne ½ № ①
    indented by four spaces
\tand by a tab, and then   several   spaces   in   a   row
""".splitlines()

GPT2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
END = r"""|\s*[\r\n]+|\s+(?!\S)|\s+"""
WORD = r"""[^\r\n\p{L}\p{N}]?"""
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = CONTRACTION + "|" + WORD + r"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + END
QWEN2 = CONTRACTION + "|" + WORD + r"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + END
QWEN35 = CONTRACTION + "|" + WORD + r"[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + END
TEKKEN = (WORD + UPPER + "*" + LOWER + "+|" + WORD + UPPER + "+" + LOWER + r"*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + END)
GPT4O = (WORD + UPPER + "*" + LOWER + "+" + CONTRACTION + "?|" + WORD + UPPER + "+" + LOWER + "*" + CONTRACTION +
         r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + END)
DEEPSEEK = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*" +
            END)


def special(content):
    return AddedToken(content, special=True, normalized=False)


def plain(content):
    return AddedToken(content, special=False, normalized=False)


def byte_level(*patterns, digits=False, gpt2=False, nfc=False, ignore_merges=False, size=384):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    steps = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    steps += [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=gpt2))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
                                  special_tokens=[special("<|begin|>"), special("<|end|>")])
    tokenizer.train_from_iterator(LINES * 2, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", pair="<|begin|> $A $B", special_tokens=[("<|begin|>", 0)])
    tokenizer.add_special_tokens([special("<|im_start|>"), special("<|im_end|>")])
    tokenizer.add_tokens([plain("<tool_call>"), plain("     ")])
    return tokenizer


def probe(tokenizer):
    """The same pre-tokenizer over a vocabulary of all pairs of bytes: any other cut into words gives other ids."""
    data = json.loads(tokenizer.to_str())
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = letters + [a + b for a in letters for b in letters]
    data["model"]["vocab"] = {w: i for i, w in enumerate(words)}
    data["model"]["merges"] = [[w[0], w[1]] for w in words[256:]]
    data["added_tokens"], data["post_processor"] = [], None
    return Tokenizer.from_str(json.dumps(data))


def text_bpe(normalizer, pre_tokenizer, byte_fallback, added=(), size=480):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=byte_fallback, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    names = [special(t) for t in ("<unk>", "<s>", "</s>")]
    if byte_fallback:
        names += [AddedToken(f"<0x{b:02X}>", normalized=False) for b in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=names, show_progress=False, limit_alphabet=90)
    tokenizer.train_from_iterator(LINES * 2, trainer)
    data = json.loads(tokenizer.to_str())
    # The byte tokens belong to the model, not to the tokens that are looked for in the text.
    data["added_tokens"] = [t for t in data["added_tokens"] if not t["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_tokens([plain(a) for a in added])
    return tokenizer


def reference(tokenizer):
    copy = without_specials(tokenizer.to_str())
    return lambda text: copy.encode(text, add_special_tokens=False).ids


def sentencepiece_model(**options):
    model = io.BytesIO()
    defaults = dict(vocab_size=600, character_coverage=1.0, hard_vocab_limit=False, minloglevel=2, num_threads=1)
    defaults.update(options)
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(LINES * 4), model_writer=model, **defaults)
    return model.getvalue()


def fields(data):
    """The fields of a protocol buffer message, as (number, wire, value)."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        wire = key & 7
        if wire == 0:
            value = varint()
        else:
            size = varint() if wire == 2 else {1: 8, 5: 4}[wire]
            value = data[at : at + size]
            at += size
        yield key >> 3, wire, value


def put_varint(value):
    out = b""
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def small_rules():
    """A few rules in place of the 240 KB of nmt_nfkc: spaces, ligatures, full width, compositions, removals."""
    rules = {chr(c): " " for c in (0x09, 0x0A, 0x0D, 0xA0, 0x1680, 0x2003, 0x2028, 0x3000)}
    rules.update({chr(c): "" for c in (0x0B, 0x200B, 0xFEFF, 0x0085)})
    rules.update({"\uFB01": "fi", "\u00BD": "1\u20442", "\u2116": "No", "\u2460": "1", "\u212B": "\u00C5", "e\u0301": "\u00E9",
                  "a\u0301": "\u00E1", "\u0928\u093C": "\u0929", "...": "\u2026", "\u3000\u3000": " ", "\uFDFA": "ab cd  ef"})
    rules.update({chr(c): chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F)})
    path = tempfile.NamedTemporaryFile("w", suffix=".tsv", delete=False)
    for source, target in rules.items():
        path.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
    path.close()
    return path.name


def with_unused(model, every):
    """Marks every so many normal pieces of more than one character as unused."""
    out, seen = b"", 0
    for number, wire, value in fields(model):
        if number == 1:
            piece = dict((n, v) for n, _, v in fields(value))
            if piece.get(3, 1) == 1 and len(piece[1].decode()) > 1:
                seen += 1
                if seen % every == 0:
                    value += b"\x18\x05"
        out += put_varint(number << 3 | wire)
        out += put_varint(value) if wire == 0 else (put_varint(len(value)) + value if wire == 2 else value)
    return out


def sentencepiece_reference(model):
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return processor.encode


def texts(seed, count):
    return LINES + [w for w in WORDS[:6]] + ["", " ", "  two  spaces ", "\u00a0", "a\0b"] + list(strings(seed, count))


def write_golden(path, encode, seed, count, skip=()):
    with open(path, "w", encoding="utf-8") as out:
        for text in texts(seed, count):
            if not any(s in text for s in skip):
                out.write(json.dumps({"text": text, "ids": list(encode(text))}, ensure_ascii=False) + "\n")


def write_huggingface(folder, tokenizer, seed, count):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False) + "\n", "utf-8")
    write_golden(folder / "golden.jsonl", reference(tokenizer), seed, count)


def write_sentencepiece(folder, model, seed, count, skip=()):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model)
    write_golden(folder / "golden.jsonl", sentencepiece_reference(model), seed, count, skip)


def write_gguf_bpe(path, tokenizer, pre):
    data = json.loads(tokenizer.to_str())
    vocab = sorted(data["model"]["vocab"], key=data["model"]["vocab"].get)
    types = [gguf.TokenType.NORMAL] * len(vocab)
    for t in data["added_tokens"]:
        if t["id"] == len(vocab):
            vocab.append(t["content"])
            types.append(None)
        types[t["id"]] = gguf.TokenType.CONTROL if t["special"] else gguf.TokenType.USER_DEFINED
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(vocab)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(m) for m in data["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template("{{ messages }}")
    finish(writer)


def write_gguf_pieces(path, model, kind):
    tokens, scores, types, trainer, normalizer = [], [], [], {}, {}
    import struct

    for number, _, value in fields(model):
        if number == 1:
            piece = dict((n, v) for n, _, v in fields(value))
            tokens.append(piece[1])
            scores.append(struct.unpack("<f", piece.get(2, b"\0\0\0\0"))[0])
            types.append(piece.get(3, 1))
        elif number == 2:
            trainer = dict((n, v) for n, _, v in fields(value))
        elif number == 3:
            normalizer = dict((n, v) for n, _, v in fields(value))
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model(kind)
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_unk_token_id(trainer.get(40, 0))
    writer.add_bos_token_id(trainer.get(41, 1))
    writer.add_eos_token_id(trainer.get(42, 2))
    writer.add_add_space_prefix(bool(normalizer.get(3, 1)))
    writer.add_remove_extra_whitespaces(bool(normalizer.get(4, 1)))
    if normalizer.get(2):
        writer.add_precompiled_charsmap(normalizer[2])
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_tekken(folder, path, ranks, seed, count):
    """The first ranks of the true vocabulary, encoded by mistral-common."""
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    folder.mkdir(parents=True, exist_ok=True)
    data = json.load(open(path, encoding="utf-8"))
    data["vocab"] = data["vocab"][:ranks]
    data["config"]["num_vocab_tokens"] = ranks
    data["config"]["default_vocab_size"] = ranks + 1000
    (folder / "tekken.json").write_text(json.dumps(data, ensure_ascii=True, separators=(",", ":")) + "\n")
    model = Tekkenizer.from_file(str(folder / "tekken.json"))
    write_golden(folder / "golden.jsonl", lambda text: model.encode(text, bos=False, eos=False), seed, count)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tekken")
    parser.add_argument("--count", type=int, default=40, help="random strings a tokenizer, beside the fixed ones")
    parser.add_argument("--probe", type=pathlib.Path, help="also write vocabularies that show any other split (large)")
    parser.add_argument("--full", action="store_true", help="SentencePiece's own normalization rules (large)")
    options = parser.parse_args()
    out, count = options.out, options.count
    families = {
        "gpt2": byte_level(gpt2=True),
        "smollm": byte_level(digits=True, gpt2=True),
        "llama3": byte_level(LLAMA3, ignore_merges=True),
        "qwen2": byte_level(QWEN2, nfc=True),
        "qwen35": byte_level(QWEN35, nfc=True),
        "tekken": byte_level(TEKKEN, ignore_merges=True),
        "gpt4o": byte_level(GPT4O),
        "regex": byte_level(r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", DEEPSEEK),
        "llama2": text_bpe(normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, True),
        "gemma": text_bpe(normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), True,
                          ["\n\n", "\n\n\n", "<table>", "<start_of_turn>"]),
        "metaspace": text_bpe(None, pre_tokenizers.Metaspace(prepend_scheme="first"), False, ["[TOOL]", "~~"]),
    }
    for seed, (name, tokenizer) in enumerate(families.items(), 100):
        write_huggingface(out / name, tokenizer, seed, count)
        if options.probe and isinstance(tokenizer.decoder, decoders.ByteLevel):
            write_huggingface(options.probe / name, probe(tokenizer), seed, 0)
    for name, pre in (("smollm", "smollm"), ("llama3", "llama-bpe"), ("qwen2", "qwen2"), ("gpt4o", "gpt-4o"),
                      ("tekken", "tekken")):
        write_gguf_bpe(out / name / "tokenizer.gguf", families[name], pre)
    unigram = {"normalization_rule_name": "nmt_nfkc"} if options.full else {"normalization_rule_tsv": small_rules()}
    unigram_folded = {"normalization_rule_name": "nmt_nfkc_cf"} if options.full else unigram
    models_ = {
        "spm_bpe": sentencepiece_model(model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                                       remove_extra_whitespaces=False, vocab_size=700, split_digits=True,
                                       allow_whitespace_only_pieces=True, character_coverage=0.98),
        "spm_bpe_crossing": sentencepiece_model(model_type="bpe", split_by_whitespace=False, add_dummy_prefix=False,
                                                normalization_rule_name="identity", remove_extra_whitespaces=False,
                                                user_defined_symbols=["<table>", "  ", "~~", "▁▁▁"]),
        "spm_unigram": sentencepiece_model(model_type="unigram", **unigram, character_coverage=0.98),
        "spm_unigram_suffix": sentencepiece_model(model_type="unigram", **unigram_folded,
                                                  byte_fallback=True, treat_whitespace_as_suffix=True, vocab_size=850,
                                                  user_defined_symbols=["<b>", "//", "..."]),
    }
    models_["spm_bpe_unused"] = with_unused(models_["spm_bpe"], 5)
    for seed, (name, model) in enumerate(models_.items(), 200):
        write_sentencepiece(out / name, model, seed, count)
    write_gguf_pieces(out / "spm_bpe" / "tokenizer.gguf", models_["spm_bpe"], "llama")
    write_gguf_pieces(out / "spm_unigram" / "tokenizer.gguf", models_["spm_unigram"], "t5")
    if options.tekken:
        write_tekken(out / "tekken_small", options.tekken, 1200, 300, count)


main()
