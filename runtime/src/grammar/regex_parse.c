// ECMA-262 patterns to terms. A tree first, because a look-ahead needs what follows it: (?=x)k is x.* and k.
// SPDX-License-Identifier: MIT
#include "grammar/regex.h"

#include <string.h>

enum { MAX_GROUPS = 200, MAX_PATTERN = 16384, MAX_COUNT = 1000000, MAX_UNROLL = 16 };

typedef enum tree_kind { TREE_EMPTY, TREE_SET, TREE_CONCAT, TREE_ALTERNATIVES, TREE_REPEAT, TREE_START, TREE_END, TREE_LOOK } tree_kind;

typedef struct tree tree;
struct tree {
    tree_kind kind;
    bool has_look, negative;
    uint32_t set, min, max;
    tree *first, *next; // children, siblings
};

typedef struct parser {
    rti_regexes *r;
    const char *text, *at, *end, *place;
    int groups;
} parser;

static _Noreturn void bad(parser *p, const char *what)
{
    rti_pool_fail(p->r->pool, RT_ERROR_BAD_TEXT, "%s: regular expression \"%.*s\", character %zu: %s", p->place, (int)RTI_MIN(p->end - p->text, 80), p->text,
                  (size_t)(p->at - p->text) + 1, what);
}

static _Noreturn void refuse(parser *p, const char *what)
{
    rti_pool_fail(p->r->pool, RT_ERROR_UNSUPPORTED, "%s: regular expression \"%.*s\", character %zu: %s", p->place, (int)RTI_MIN(p->end - p->text, 80), p->text,
                  (size_t)(p->at - p->text) + 1, what);
}

static tree *new_tree(parser *p, tree_kind kind)
{
    tree *t = rti_pool_take(p->r->pool, sizeof *t);
    t->kind = kind;
    return t;
}

static tree *set_tree(parser *p, uint32_t set)
{
    tree *t = new_tree(p, TREE_SET);
    t->set = set;
    return t;
}

static uint32_t single(parser *p, uint32_t code)
{
    return rti_charset_of_ranges(&p->r->sets, &(rti_range){ code, code }, 1);
}

static bool take(parser *p, const char *text)
{
    size_t size = strlen(text);
    if ((size_t)(p->end - p->at) < size || memcmp(p->at, text, size) != 0) return false;
    p->at += size;
    return true;
}

static uint32_t next_code(parser *p)
{
    uint32_t code;
    bool valid = true;
    p->at += rti_utf8_decode(p->at, p->end, &code, &valid);
    if (!valid) bad(p, "invalid UTF-8");
    return code;
}

static bool read_hex(parser *p, int digits, uint32_t *code)
{
    if (p->end - p->at < digits) return false;
    uint32_t value = 0;
    for (int i = 0; i < digits; i++) {
        char c = p->at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) return false;
        value = value * 16 + (uint32_t)digit;
    }
    p->at += digits;
    *code = value;
    return true;
}

static uint32_t read_unicode_escape(parser *p)
{
    uint32_t code = 0;
    if (take(p, "{")) {
        int digits = 0;
        while (p->at < p->end && *p->at != '}') {
            uint32_t digit;
            if (!read_hex(p, 1, &digit) || ++digits > 8) bad(p, "\\u{...} needs hexadecimal digits");
            code = code * 16 + digit;
        }
        if (!take(p, "}") || digits == 0 || code > 0x10FFFF) bad(p, "\\u{...} needs a code point");
        return code;
    }
    if (!read_hex(p, 4, &code)) bad(p, "\\u needs four hexadecimal digits");
    if (code >= 0xD800 && code < 0xDC00) {
        uint32_t low;
        const char *before = p->at;
        if (take(p, "\\u") && read_hex(p, 4, &low) && low >= 0xDC00 && low < 0xE000) {
            return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        p->at = before;
    }
    return code;
}

// After a backslash. True: a set (\d, \p{..}); false: one code point.
static bool read_escape(parser *p, bool in_class, uint32_t *set, uint32_t *code)
{
    if (p->at >= p->end) bad(p, "a lone backslash at the end");
    char c = *p->at;
    rti_charsets *sets = &p->r->sets;
    static const char controls[] = "tnvfr", values[] = "\t\n\v\f\r";
    const char *found = strchr(controls, c);
    if (c != 0 && found != NULL) {
        p->at++;
        *code = (uint32_t)values[found - controls];
        return false;
    }
    switch (c) {
    case 'd': case 'w': case 's': case 'D': case 'W': case 'S':
        p->at++;
        *set = rti_charset_of_escape(sets, (char)(c | 0x20));
        if (c < 'a') *set = rti_charset_complement(sets, *set);
        return true;
    case 'p': case 'P': {
        p->at++;
        const char *name = p->at + 1;
        const char *close = p->at < p->end ? memchr(p->at, '}', (size_t)(p->end - p->at)) : NULL;
        if (close == NULL || *p->at != '{') bad(p, "\\p needs a property in braces");
        if (!rti_charset_of_property(sets, name, (size_t)(close - name), set)) {
            refuse(p, "this Unicode property is not known (general categories are)");
        }
        p->at = close + 1;
        if (c == 'P') *set = rti_charset_complement(sets, *set);
        return true;
    }
    case 'u': p->at++; *code = read_unicode_escape(p); return false;
    case 'x':
        p->at++;
        if (!read_hex(p, 2, code)) bad(p, "\\x needs two hexadecimal digits");
        return false;
    case 'c':
        p->at++;
        if (p->at >= p->end || !((*p->at | 0x20) >= 'a' && (*p->at | 0x20) <= 'z')) bad(p, "\\c needs a letter");
        *code = (uint32_t)*p->at++ & 31;
        return false;
    case '0':
        p->at++;
        if (p->at < p->end && *p->at >= '0' && *p->at <= '9') refuse(p, "octal escapes are not supported");
        *code = 0;
        return false;
    case 'b':
        if (!in_class) refuse(p, "\\b (word boundary) is not supported");
        p->at++;
        *code = 8;
        return false;
    case 'B': refuse(p, "\\B is not supported");
    case 'k': refuse(p, "back references are not regular: not supported");
    default: break;
    }
    if (c >= '1' && c <= '9') refuse(p, "back references are not regular: not supported");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) bad(p, "an escape that ECMA-262 does not have");
    *code = next_code(p);
    return false;
}

static uint32_t read_class(parser *p)
{
    rti_charsets *sets = &p->r->sets;
    bool negative = take(p, "^");
    uint32_t all = RTI_CHARSET_NONE;
    rti_range *ranges = NULL;
    uint32_t count = 0, capacity = 0;
    for (;;) {
        if (p->at >= p->end) bad(p, "a character class is not closed");
        if (take(p, "]")) break;
        uint32_t set = 0, low = 0, high = 0;
        bool is_set = take(p, "\\") ? read_escape(p, true, &set, &low) : (low = next_code(p), false);
        if (is_set) {
            all = rti_charset_union(sets, all, set);
            continue;
        }
        high = low;
        if (p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] != ']') {
            p->at++;
            bool high_is_set = take(p, "\\") ? read_escape(p, true, &set, &high) : (high = next_code(p), false);
            if (high_is_set) { // [a-\w]: a hyphen between
                all = rti_charset_union(sets, all, rti_charset_union(sets, set, single(p, '-')));
                high = low;
            } else if (high < low) {
                bad(p, "a range that runs backwards");
            }
        }
        RTI_POOL_RESERVE(p->r->pool, ranges, capacity, count + 1);
        ranges[count++] = (rti_range){ low, high };
    }
    all = rti_charset_union(sets, all, rti_charset_of_ranges(sets, ranges, count));
    return negative ? rti_charset_complement(sets, all) : all;
}

static tree *read_alternatives(parser *p);

static tree *read_group(parser *p)
{
    tree *look = NULL;
    if (take(p, "?")) {
        if (take(p, "=") || take(p, "!")) {
            look = new_tree(p, TREE_LOOK);
            look->negative = p->at[-1] == '!';
            look->has_look = true;
        } else if (take(p, "<=") || take(p, "<!")) {
            refuse(p, "look-behind is not supported");
        } else if (take(p, "<") || take(p, "P<")) {
            const char *close = memchr(p->at, '>', (size_t)(p->end - p->at));
            if (close == NULL) bad(p, "the name of a group is not closed");
            p->at = close + 1;
        } else if (!take(p, ":")) {
            refuse(p, "this kind of group is not ECMA-262");
        }
    }
    if (++p->groups > MAX_GROUPS) rti_pool_fail(p->r->pool, RT_ERROR_TOO_LARGE, "%s: groups are nested deeper than %d", p->place, MAX_GROUPS);
    tree *inside = read_alternatives(p);
    p->groups--;
    if (!take(p, ")")) bad(p, "a group is not closed");
    if (look == NULL) return inside;
    look->first = inside;
    return look;
}

static bool read_number(parser *p, uint32_t *value)
{
    const char *start = p->at;
    uint32_t v = 0;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9') {
        v = v * 10 + (uint32_t)(*p->at++ - '0');
        if (v > MAX_COUNT) rti_pool_fail(p->r->pool, RT_ERROR_TOO_LARGE, "%s: a repeat count over %d", p->place, MAX_COUNT);
    }
    *value = v;
    return p->at > start;
}

static bool read_quantifier(parser *p, uint32_t *min, uint32_t *max)
{
    const char *start = p->at;
    *max = RTI_REGEX_UNBOUNDED;
    if (take(p, "*")) {
        *min = 0;
    } else if (take(p, "+")) {
        *min = 1;
    } else if (take(p, "?")) {
        *min = 0;
        *max = 1;
    } else if (take(p, "{")) {
        if (!read_number(p, min)) {
            p->at = start;
            return false;
        }
        *max = *min;
        if (take(p, ",") && !read_number(p, max)) *max = RTI_REGEX_UNBOUNDED;
        if (!take(p, "}")) {
            p->at = start;
            return false;
        }
        if (*max < *min) bad(p, "a repeat whose counts run backwards");
    } else {
        return false;
    }
    take(p, "?"); // lazy: the same strings
    return true;
}

static tree *read_atom(parser *p)
{
    static const rti_range line_ends[] = { { 10, 10 }, { 13, 13 }, { 0x2028, 0x2029 } };
    char c = *p->at;
    if (c == '(') {
        p->at++;
        return read_group(p);
    }
    if (c == '[') {
        p->at++;
        return set_tree(p, read_class(p));
    }
    if (c == '^' || c == '$') {
        p->at++;
        return new_tree(p, c == '^' ? TREE_START : TREE_END);
    }
    if (c == '.') {
        p->at++;
        return set_tree(p, rti_charset_complement(&p->r->sets, rti_charset_of_ranges(&p->r->sets, line_ends, 3)));
    }
    if (c == '*' || c == '+' || c == '?') bad(p, "nothing to repeat");
    uint32_t set, code;
    if (c == '\\') {
        p->at++;
        return set_tree(p, read_escape(p, false, &set, &code) ? set : single(p, code));
    }
    return set_tree(p, single(p, next_code(p)));
}

static tree *read_sequence(parser *p)
{
    tree *sequence = new_tree(p, TREE_CONCAT), **link = &sequence->first;
    while (p->at < p->end && *p->at != '|' && *p->at != ')') {
        tree *item = read_atom(p);
        uint32_t min, max;
        if (read_quantifier(p, &min, &max)) {
            tree *repeat = new_tree(p, TREE_REPEAT);
            repeat->first = item;
            repeat->min = min;
            repeat->max = max;
            repeat->has_look = item->has_look;
            item = repeat;
        }
        sequence->has_look |= item->has_look;
        *link = item;
        link = &item->next;
    }
    return sequence;
}

static tree *read_alternatives(parser *p)
{
    tree *first = read_sequence(p);
    if (p->at >= p->end || *p->at != '|') return first;
    tree *all = new_tree(p, TREE_ALTERNATIVES), **link = &first->next;
    all->first = first;
    all->has_look = first->has_look;
    while (take(p, "|")) {
        *link = read_sequence(p);
        all->has_look |= (*link)->has_look;
        link = &(*link)->next;
    }
    return all;
}

// The strings of `t` followed by those of `rest`. What follows a look-ahead must be all that follows, up to the end.
static rti_regex build(parser *p, const tree *t, rti_regex rest);

static rti_regex build_sequence(parser *p, const tree *first, rti_regex rest)
{
    uint32_t count = 0, used = 0;
    for (const tree *i = first; i != NULL; i = i->next) count++;
    const tree **items = rti_pool_take_array(p->r->pool, count + 1, sizeof *items);
    for (const tree *i = first; i != NULL; i = i->next) items[used++] = i;
    while (used > 0) rest = build(p, items[--used], rest);
    return rest;
}

static rti_regex build_alternatives(parser *p, const tree *t, rti_regex rest)
{
    uint32_t count = 0, used = 0;
    for (const tree *i = t->first; i != NULL; i = i->next) count++;
    rti_regex *items = rti_pool_take_array(p->r->pool, count, sizeof *items);
    for (const tree *i = t->first; i != NULL; i = i->next) items[used++] = build(p, i, t->has_look ? rest : RTI_REGEX_EMPTY);
    rti_regex any = rti_regex_or(p->r, items, used);
    return t->has_look ? any : rti_regex_concat(p->r, any, rest);
}

static rti_regex build_repeat_of_look(parser *p, const tree *t, rti_regex rest)
{
    if (t->max > MAX_UNROLL) refuse(p, "look-ahead inside a repeat is not supported");
    rti_regex all = rest;
    for (uint32_t i = t->max; i > t->min; i--) all = rti_regex_or2(p->r, rest, build(p, t->first, all));
    for (uint32_t i = 0; i < t->min; i++) all = build(p, t->first, all);
    return all;
}

static rti_regex build(parser *p, const tree *t, rti_regex rest)
{
    rti_regexes *r = p->r;
    switch (t->kind) {
    case TREE_SET: return rti_regex_concat(r, rti_regex_set(r, t->set), rest);
    case TREE_START:
    case TREE_END: return rti_regex_concat(r, rti_regex_anchor(r, t->kind == TREE_END), rest);
    case TREE_CONCAT:
        // A group without look-ahead is built by itself, so that equal groups are equal terms.
        if (t->has_look || rest == RTI_REGEX_EMPTY) return build_sequence(p, t->first, rest);
        return rti_regex_concat(r, build_sequence(p, t->first, RTI_REGEX_EMPTY), rest);
    case TREE_ALTERNATIVES: return build_alternatives(p, t, rest);
    case TREE_REPEAT:
        if (t->has_look) return build_repeat_of_look(p, t, rest);
        return rti_regex_concat(r, rti_regex_repeat(r, build(p, t->first, RTI_REGEX_EMPTY), t->min, t->max), rest);
    case TREE_LOOK: {
        rti_regex ahead = build(p, t->first, RTI_REGEX_ALL);
        return rti_regex_and2(r, rest, t->negative ? rti_regex_not(r, ahead) : ahead);
    }
    default: return rest;
    }
}

// ^... : nothing can come before.
static bool begins_at_start(const rti_regexes *r, rti_regex a)
{
    const rti_regex_node *x = &r->nodes[a];
    if (x->kind == RTI_REGEX_KIND_START) return true;
    if (x->kind == RTI_REGEX_KIND_CONCAT) return r->nodes[x->a].kind == RTI_REGEX_KIND_START;
    if (x->kind != RTI_REGEX_KIND_OR) return false;
    for (uint32_t i = 0; i < x->count; i++) {
        if (!begins_at_start(r, x->items[i])) return false;
    }
    return true;
}

rti_regex rti_regex_parse(rti_regexes *r, const char *text, size_t size, bool search, const char *place)
{
    parser p = { .r = r, .text = text, .at = text, .end = text + size, .place = place };
    if (size > MAX_PATTERN) {
        rti_pool_fail(r->pool, RT_ERROR_TOO_LARGE, "%s: a regular expression of %zu bytes (at most %d)", place, size, MAX_PATTERN);
    }
    tree *t = read_alternatives(&p);
    if (p.at < p.end) bad(&p, "a ')' without its '('");
    if (!search) return build(&p, t, RTI_REGEX_EMPTY);
    rti_regex found = build(&p, t, RTI_REGEX_ALL);
    return begins_at_start(r, found) ? found : rti_regex_concat(r, RTI_REGEX_ALL, found);
}
