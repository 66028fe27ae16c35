# SPDX-License-Identifier: MIT
"""Random strings that try what tokenizers get wrong: every plane, marks, runs of spaces, contractions, emoji, scripts."""
import random

SCRIPTS = [(0x0900, 0x097F), (0x0980, 0x09FF), (0x0B80, 0x0BFF), (0x0E00, 0x0E7F), (0x0600, 0x06FF), (0x0590, 0x05FF),
           (0x0400, 0x04FF), (0x0370, 0x03FF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1100, 0x11FF),
           (0x0300, 0x036F), (0x00C0, 0x024F), (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x1F300, 0x1FAFF), (0x10A0, 0x10FF),
           (0x1C80, 0x1C8F), (0xA640, 0xA69F), (0xFF00, 0xFFEF), (0xFB00, 0xFB4F), (0x1D400, 0x1D7FF), (0x10400, 0x1044F),
           (0x11DE0, 0x11DEF), (0x16FF0, 0x16FFF), (0x0660, 0x0669), (0x2150, 0x218B), (0x3200, 0x33FF), (0x1680, 0x1680),
           (0x2C00, 0x2D7F), (0xE0000, 0xE01EF), (0x20000, 0x2FA1F), (0xF0000, 0xF00FF), (0x10FF00, 0x10FFFD)]
CONTRACTIONS = ["'s", "'S", "'t", "'T", "'re", "'RE", "'Re", "'ve", "'m", "'M", "'ll", "'LL", "'lL", "'d", "'D", "'\u017f",
                "'x", "''s", "\u2019s", "'r", "'v", "'l", "'"]
EMOJI = ["\U0001F468\u200D\U0001F469\u200D\U0001F467", "\U0001F44D\U0001F3FD", "\u2764\uFE0F", "\U0001F1EB\U0001F1F7",
         "1\uFE0F\u20E3", "\U0001F9D1\u200D\U0001F680", "\U0001F3F4\U000E0067\U000E0062\U000E007F"]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", "\u00a0", "\u3000", "\u2028", "\u0085", "\u2003", "\v",
          "\f", " \t ", "\r", "\u200b", "\u180e", "\ufeff", "\u1680"]
WORDS = ("the quick Brown fox JUMPS over lazyDog camelCase HTTPServer iPhone naïve café Straße Größe ÉCOLE İstanbul "
         "don't we're I'll they've it's she'd I'm DON'T WE'RE 'twas o'clock user_name foo(bar) a+b==c x-y //path/to/file "
         "http://example.com/?q=1&b=2 [INST] <|im_start|> <s> </s> <unk> <0x41> <extra_id_0> [TOOL_CALLS] ▁ ▁▁ {} () ;; ... "
         "supercalifragilisticexpialidocious traveller. Harrowmere, nights ago! price: $3.50 100% #tag @name").split()


def code_point(rng):
    while True:
        c = rng.randrange(0x110000)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def part(rng):
    kind = rng.randrange(16)
    if kind < 4:
        return rng.choice(WORDS)
    if kind == 4:
        return "".join(code_point(rng) for _ in range(rng.randrange(1, 4)))
    if kind < 8:
        low, high = rng.choice(SCRIPTS)
        return "".join(chr(rng.randint(low, high)) for _ in range(rng.randrange(1, 8)))
    if kind < 10:
        return rng.choice(SPACES) * rng.choice((1, 1, 1, 2, 5))
    if kind == 10:
        return rng.choice(WORDS)[: rng.randrange(1, 5)] + rng.choice(CONTRACTIONS) + rng.choice(["", "a", " ", "!"])
    if kind == 11:
        return rng.choice(EMOJI)
    if kind == 12:
        return str(rng.randrange(10 ** rng.randrange(1, 9)))
    if kind == 13:
        return "".join(rng.choice("!?.,;:/-_()[]{}<>*&^%$#@~`'\"\\|+=\r\n") for _ in range(rng.randrange(1, 7)))
    if kind == 14:
        return rng.choice("aA1 .\né\u0301の") * rng.randrange(1, 90)
    base = rng.choice("aAzZ!1 \nأकกñ")
    return base + "".join(chr(rng.choice((0x301, 0x308, 0x323, 0x94D, 0x93F, 0x64B, 0xE31, 0x200D, 0xFE0F, 0x20DD)))
                          for _ in range(rng.randrange(1, 4)))


def strings(seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        yield rng.choice(("", " ", "")).join(part(rng) for _ in range(rng.randrange(1, 14)))
