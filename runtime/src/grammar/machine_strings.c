// Inside strings: bytes to characters (UTF-8, escapes), characters to states.
// SPDX-License-Identifier: MIT
#include "grammar/unseen.h"

// thread.part: 0 between two characters; otherwise mode << 28 | count << 24 | value.
enum { UTF8 = 1, ESCAPE, UNICODE, SURROGATE_BACKSLASH, SURROGATE_U, SURROGATE_LOW };

static uint32_t pack(uint32_t mode, uint32_t count, uint32_t value)
{
    return mode << 28 | count << 24 | value;
}

static const rti_terminal *terminal_of(const rti_machine *m, const rti_thread *t)
{
    return &m->g->terminals[t->a];
}

// Whether the string can still end within its bounds from this state, `n` characters in.
static bool fits(rti_machine *m, const rti_terminal *x, uint32_t state, uint32_t n)
{
    if (x->high == RTI_NO_MAXIMUM) return true;
    if (n > x->high) return false;
    if (x->lexer->term == RTI_REGEX_ALL) return true;
    uint32_t distance = rti_machine_distance(m, x->lexer, state);
    return distance <= x->high - n;
}

bool rti_string_move(rti_machine *m, rti_thread *t, uint32_t code)
{
    const rti_terminal *x = terminal_of(m, t);
    uint32_t state = rti_machine_next(m, x->lexer, t->b, rti_lexer_class_of(x->lexer, code));
    if (state == RTI_LEXER_DEAD) return false;
    uint32_t n = t->n;
    if (x->counts) {
        n++;
        if (!fits(m, x, state, n)) return false;
        if (x->high == RTI_NO_MAXIMUM && n > x->low) n = x->low;
    }
    if (t->t != RTI_OUTSIDE) {
        uint32_t child = m->g->excluded[t->t].first;
        while (child != 0 && m->g->excluded[child].code != code) child = m->g->excluded[child].next;
        t->t = child == 0 ? RTI_OUTSIDE : child;
    }
    if (t->h != 0) t->h = rti_hash_character(t->h, code);
    t->b = state;
    t->n = n;
    t->part = 0;
    return true;
}

bool rti_string_character(rti_machine *m, rti_thread *t, uint32_t code)
{
    if (!rti_string_move(m, t, code)) return false;
    return t->h == 0 || rti_unseen_string(m, t);
}

// The stretch of other characters that this one is in; one past the last where it comes before the first.
static uint32_t stretch_of(const rti_lexer *lexer, uint32_t code)
{
    uint32_t low = 0, high = lexer->high_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (lexer->starts[middle] <= code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : low - 1;
}

typedef struct probe {
    rti_machine *m;
    const rti_thread *t;
    bool by_class;      // all characters of a class are as good
    uint64_t tried[16]; // classes
} probe;

static bool leads_on(probe *p, uint32_t code_class, uint32_t code)
{
    if (p->by_class && code_class < 1024) {
        if ((p->tried[code_class / 64] >> (code_class % 64) & 1) != 0) return false;
        p->tried[code_class / 64] |= 1ull << (code_class % 64);
    }
    rti_thread copy = *p->t;
    return rti_string_character(p->m, &copy, code);
}

// Whether some character of [low, high] can come next.
static bool any_of(rti_machine *m, const rti_thread *t, uint32_t low, uint32_t high)
{
    const rti_terminal *x = terminal_of(m, t);
    const rti_lexer *lexer = x->lexer;
    if (low > high) return false;
    if (x->counts && x->high != RTI_NO_MAXIMUM && t->n >= x->high) return false;
    probe p = { .m = m, .t = t, .by_class = t->h == 0 && t->t == RTI_OUTSIDE };
    for (uint32_t code = low; code <= high && code < 128; code++) {
        if (leads_on(&p, lexer->ascii[code], code)) return true;
    }
    if (high < 128) return false;
    low = RTI_MAX(low, 128u);
    for (uint32_t i = stretch_of(lexer, low); i < lexer->high_count; i++) {
        uint32_t end = i + 1 < lexer->high_count ? lexer->starts[i + 1] - 1 : 0x10FFFF;
        if (end < low) continue;
        if (lexer->starts[i] > high) break;
        if (leads_on(&p, lexer->high[i], RTI_MAX(lexer->starts[i], low))) return true;
    }
    return false;
}

static bool utf8_first(rti_machine *m, rti_thread *t, uint8_t byte)
{
    uint32_t more, value;
    if (byte >= 0xC2 && byte <= 0xDF) {
        more = 1;
        value = byte & 0x1F;
    } else if ((byte & 0xF0) == 0xE0) {
        more = 2;
        value = byte & 0x0F;
    } else if (byte >= 0xF0 && byte <= 0xF4) {
        more = 3;
        value = byte & 0x07;
    } else {
        return false;
    }
    uint32_t low = value << (6 * more), high = low | ((1u << (6 * more)) - 1);
    if (more == 2) low = RTI_MAX(low, 0x800u);
    if (more == 2 && low == 0xD000) high = 0xD7FF;
    if (more == 3) low = RTI_MAX(low, 0x10000u);
    if (more == 3) high = RTI_MIN(high, 0x10FFFFu);
    if (!any_of(m, t, low, high)) return false;
    t->part = pack(UTF8, more, value);
    return true;
}

static bool utf8_next(rti_machine *m, rti_thread *t, uint8_t byte)
{
    if ((byte & 0xC0) != 0x80) return false;
    uint32_t more = t->part >> 24 & 15, value = (t->part & 0xFFFFFF) << 6 | (byte & 0x3F);
    more--;
    uint32_t low = value << (6 * more), high = low | ((1u << (6 * more)) - 1);
    if (more == 0) {
        if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return false;
        return rti_string_character(m, t, value);
    }
    if (low < (more == 1 ? 0x800u : 0x10000u)) return false; // spelled longer than need be
    if (high > 0x10FFFF) high = 0x10FFFF;
    if (low > high) return false;
    uint32_t part = pack(UTF8, more, value);
    t->part = 0;
    if (low >= 0xD800 && high < 0xE000) return false;
    if (!any_of(m, t, low, high)) return false;
    t->part = part;
    return true;
}

static int hex(uint8_t byte)
{
    return byte >= '0' && byte <= '9' ? byte - '0' : (byte | 32) >= 'a' && (byte | 32) <= 'f' ? (byte | 32) - 'a' + 10 : -1;
}

static bool unicode_digit(rti_machine *m, rti_thread *t, uint8_t byte)
{
    int digit = hex(byte);
    if (digit < 0) return false;
    uint32_t count = (t->part >> 24 & 15) + 1, value = (t->part & 0xFFFFFF) << 4 | (uint32_t)digit;
    t->part = 0;
    if (count == 4) {
        if (value >= 0xDC00 && value < 0xE000) return false;
        if (value >= 0xD800 && value < 0xDC00) {
            uint32_t low = 0x10000 + ((value - 0xD800) << 10);
            if (!any_of(m, t, low, low + 0x3FF)) return false;
            t->part = pack(SURROGATE_BACKSLASH, 0, value - 0xD800);
            return true;
        }
        return rti_string_character(m, t, value);
    }
    uint32_t shift = 4 * (4 - count), low = value << shift, high = low | ((1u << shift) - 1);
    bool plain = any_of(m, t, low, RTI_MIN(high, 0xD7FFu)) || any_of(m, t, RTI_MAX(low, 0xE000u), high);
    if (!plain) { // the first half of a pair
        uint32_t from = RTI_MAX(low, 0xD800u), to = RTI_MIN(high, 0xDBFFu);
        if (from > to || !any_of(m, t, 0x10000 + ((from - 0xD800) << 10), 0x10000 + ((to - 0xD800) << 10) + 0x3FF)) return false;
    }
    t->part = pack(UNICODE, count, value);
    return true;
}

static bool low_digit(rti_machine *m, rti_thread *t, uint8_t byte)
{
    int digit = hex(byte);
    if (digit < 0) return false;
    uint32_t count = (t->part >> 24 & 15) + 1, high = t->part >> 12 & 0x3FF, value = (t->part & 0xFFF) << 4 | (uint32_t)digit;
    uint32_t shift = 4 * (4 - count), from = RTI_MAX(value << shift, 0xDC00u), to = RTI_MIN(value << shift | ((1u << shift) - 1), 0xDFFFu);
    if (from > to) return false;
    uint32_t base = 0x10000 + (high << 10);
    t->part = 0;
    if (count == 4) return rti_string_character(m, t, base + (value - 0xDC00));
    if (!any_of(m, t, base + (from - 0xDC00), base + (to - 0xDC00))) return false;
    t->part = pack(SURROGATE_LOW, count, high << 12 | value);
    return true;
}

static bool escape_byte(rti_machine *m, rti_thread *t, uint8_t byte)
{
    static const uint8_t codes[128] = { ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t' };
    t->part = 0;
    if (byte == 'u') {
        if (!any_of(m, t, 0, 0x10FFFF)) return false;
        t->part = pack(UNICODE, 0, 0);
        return true;
    }
    return byte < 128 && codes[byte] != 0 && rti_string_character(m, t, codes[byte]);
}

bool rti_string_next_bytes(const rti_thread *t, uint64_t bytes[4])
{
    static const char escapes[] = "\"\\/bfnrtu", digits[] = "0123456789ABCDEFabcdef";
    const char *text = digits;
    switch (t->part >> 28) {
    case 0: return false;
    case UTF8: bytes[2] = UINT64_MAX; return true;
    case ESCAPE: text = escapes; break;
    case SURROGATE_BACKSLASH: text = "\\"; break;
    case SURROGATE_U: text = "u"; break;
    default: break;
    }
    for (; *text != 0; text++) bytes[*text / 64] |= 1ull << (*text % 64);
    return true;
}

bool rti_string_byte(rti_machine *m, rti_thread *t, uint8_t byte)
{
    switch (t->part >> 28) {
    case 0: break;
    case UTF8: return utf8_next(m, t, byte);
    case ESCAPE: return escape_byte(m, t, byte);
    case UNICODE: return unicode_digit(m, t, byte);
    case SURROGATE_BACKSLASH:
        if (byte != '\\') return false;
        t->part = pack(SURROGATE_U, 0, t->part & 0x3FF);
        return true;
    case SURROGATE_U:
        if (byte != 'u') return false;
        t->part = pack(SURROGATE_LOW, 0, (t->part & 0x3FF) << 12);
        return true;
    default: return low_digit(m, t, byte);
    }
    if (byte >= 0x80) return utf8_first(m, t, byte);
    if (terminal_of(m, t)->raw) return rti_string_character(m, t, byte);
    if (byte < 0x20 || byte == '"') return false;
    if (byte != '\\') return rti_string_character(m, t, byte);
    if (!any_of(m, t, 0, 0x10FFFF)) return false;
    t->part = pack(ESCAPE, 0, 0);
    return true;
}

bool rti_string_accepts(rti_machine *m, const rti_thread *t)
{
    const rti_terminal *x = terminal_of(m, t);
    if (t->part != 0 || !rti_lexer_at(x->lexer, t->b)->accepts) return false;
    if (t->n < x->low && x->counts) return false;
    if (t->t != RTI_OUTSIDE && m->g->excluded[t->t].final) return false;
    return true;
}
