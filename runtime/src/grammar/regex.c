// SPDX-License-Identifier: MIT
#include "grammar/regex.h"

#include <string.h>

enum { MEMO_SIZE = 4096, MAX_DEPTH = 1500 };
enum { EVERYWHERE = 15, AT_START = 2 | 8, AT_END = 4 | 8 };

static bool same(const rti_regex_node *x, const rti_regex_node *y)
{
    return x->kind == y->kind && x->a == y->a && x->b == y->b && x->min == y->min && x->max == y->max &&
           x->count == y->count && (x->count == 0 || memcmp(x->items, y->items, x->count * sizeof *x->items) == 0);
}

static uint32_t most(uint64_t count)
{
    return (uint32_t)RTI_MIN(count, (uint64_t)RTI_REGEX_MANY);
}

// Different heads before one tail are different strings, and so are different tails behind one head.
static uint32_t least_strings(const rti_regexes *r, const rti_regex_node *x)
{
    uint64_t count = 0;
    switch (x->kind) {
    case RTI_REGEX_KIND_EMPTY:
    case RTI_REGEX_KIND_END: return 1;
    case RTI_REGEX_KIND_SET: {
        const rti_charset *set = &r->sets.sets[x->a];
        for (uint32_t i = 0; i < set->count; i++) count += set->ranges[i].high - set->ranges[i].low + 1;
        return most(count);
    }
    case RTI_REGEX_KIND_CONCAT: {
        uint32_t a = r->nodes[x->a].least, b = r->nodes[x->b].least;
        if (r->nodes[x->a].kind == RTI_REGEX_KIND_START) return b; // only ever asked for at the beginning
        return a == 0 || b == 0 ? 0 : RTI_MAX(a, b);
    }
    case RTI_REGEX_KIND_REPEAT:
        if (x->a >= r->count) return RTI_REGEX_MANY; // ALL, before its part
        count = 1;
        if (r->nodes[x->a].kind == RTI_REGEX_KIND_SET) {
            for (uint32_t i = 0; i < x->max && count < RTI_REGEX_MANY && i < 32; i++) count *= r->nodes[x->a].least;
        } else if (r->nodes[x->a].least != 0) {
            count = r->nodes[x->a].least;
        }
        return most(count);
    case RTI_REGEX_KIND_OR:
        for (uint32_t i = 0; i < x->count; i++) count = RTI_MAX(count, r->nodes[x->items[i]].least);
        return most(count);
    default: return 0;
    }
}

static void note_uses(const rti_regexes *r, rti_regex_node *x)
{
    switch (x->kind) {
    case RTI_REGEX_KIND_SET: {
        const rti_charset *set = &r->sets.sets[x->a];
        for (uint32_t i = 0; i < set->count && set->ranges[i].low < 128; i++) {
            for (uint32_t code = set->ranges[i].low; code <= set->ranges[i].high && code < 128; code++) x->uses[code / 64] |= 1ull << (code % 64);
        }
        return;
    }
    case RTI_REGEX_KIND_CONCAT:
        for (int i = 0; i < 2; i++) x->uses[i] = r->nodes[x->a].uses[i] | r->nodes[x->b].uses[i];
        return;
    case RTI_REGEX_KIND_REPEAT:
        for (int i = 0; i < 2; i++) x->uses[i] = x->a >= r->count ? UINT64_MAX : r->nodes[x->a].uses[i]; // ALL comes before its part
        return;
    case RTI_REGEX_KIND_OR:
        for (uint32_t k = 0; k < x->count; k++) {
            for (int i = 0; i < 2; i++) x->uses[i] |= r->nodes[x->items[k]].uses[i];
        }
        return;
    case RTI_REGEX_KIND_AND:
        memset(x->uses, 0xFF, sizeof x->uses);
        for (uint32_t k = 0; k < x->count; k++) {
            for (int i = 0; i < 2; i++) x->uses[i] &= r->nodes[x->items[k]].uses[i];
        }
        return;
    case RTI_REGEX_KIND_NOT: memset(x->uses, 0xFF, sizeof x->uses); return;
    default: return;
    }
}

static rti_regex intern(rti_regexes *r, rti_regex_node node)
{
    uint32_t fields[] = { node.kind, node.a, node.b, node.min, node.max, node.count };
    uint64_t hash = rti_hash_bytes(fields, sizeof fields, 7);
    if (node.count != 0) hash = rti_hash_bytes(node.items, node.count * sizeof *node.items, hash);
    uint32_t cursor = UINT32_MAX, id;
    while ((id = rti_id_table_next(&r->table, hash, &cursor)) != UINT32_MAX) {
        if (same(&r->nodes[id], &node)) return id;
    }
    if (r->count >= r->limit) {
        rti_pool_fail(r->pool, RT_ERROR_TOO_LARGE, "grammar: regular expressions need more than max_states (%u) terms: make "
                      "the patterns simpler or raise the limit", r->limit);
    }
    if (node.count != 0) {
        rti_regex *copy = rti_pool_take_array(r->pool, node.count, sizeof *copy);
        memcpy(copy, node.items, node.count * sizeof *copy);
        node.items = copy;
    } else {
        node.items = NULL;
    }
    RTI_POOL_RESERVE(r->pool, r->nodes, r->capacity, r->count + 1);
    node.least = least_strings(r, &node);
    note_uses(r, &node);
    id = r->count++;
    r->nodes[id] = node;
    rti_id_table_add(r->pool, &r->table, hash, id);
    return id;
}

void rti_regexes_begin(rti_regexes *r, rti_pool *pool, uint32_t limit)
{
    memset(r, 0, sizeof *r);
    r->pool = pool;
    r->limit = limit;
    rti_charsets_begin(&r->sets, pool);
    r->memo = rti_pool_take_array(pool, MEMO_SIZE, sizeof *r->memo);
    intern(r, (rti_regex_node){ .kind = RTI_REGEX_KIND_NOTHING, .finite = true });
    intern(r, (rti_regex_node){ .kind = RTI_REGEX_KIND_EMPTY, .nullable = EVERYWHERE, .finite = true });
    rti_regex any = 3; // ALL must have its id before its part does
    intern(r, (rti_regex_node){ .kind = RTI_REGEX_KIND_REPEAT, .a = any, .max = RTI_REGEX_UNBOUNDED, .nullable = EVERYWHERE });
    intern(r, (rti_regex_node){ .kind = RTI_REGEX_KIND_SET, .a = RTI_CHARSET_ALL, .finite = true });
}

rti_regex rti_regex_set(rti_regexes *r, uint32_t charset)
{
    if (charset == RTI_CHARSET_NONE) return RTI_REGEX_NOTHING;
    return intern(r, (rti_regex_node){ .kind = RTI_REGEX_KIND_SET, .a = charset, .finite = true });
}

rti_regex rti_regex_anchor(rti_regexes *r, bool end)
{
    return intern(r, (rti_regex_node){ .kind = end ? RTI_REGEX_KIND_END : RTI_REGEX_KIND_START, .finite = true,
                                       .nullable = end ? AT_END : AT_START, .has_start = !end });
}

// (x (y z)) b is x (y (z b)): a loop, for a literal may be long.
static rti_regex concat_spine(rti_regexes *r, rti_regex a, rti_regex b)
{
    uint32_t count = 1;
    for (rti_regex i = a; r->nodes[i].kind == RTI_REGEX_KIND_CONCAT; i = r->nodes[i].b) count++;
    rti_regex few[16];
    rti_regex *parts = count <= 16 ? few : rti_pool_take_array(r->pool, count, sizeof *parts);
    uint32_t used = 0;
    for (; r->nodes[a].kind == RTI_REGEX_KIND_CONCAT; a = r->nodes[a].b) parts[used++] = r->nodes[a].a;
    parts[used++] = a;
    while (used > 0) b = rti_regex_concat(r, parts[--used], b);
    return b;
}

rti_regex rti_regex_concat(rti_regexes *r, rti_regex a, rti_regex b)
{
    if (a == RTI_REGEX_NOTHING || b == RTI_REGEX_NOTHING) return RTI_REGEX_NOTHING;
    if (a == RTI_REGEX_EMPTY) return b;
    if (b == RTI_REGEX_EMPTY) return a;
    if (a == RTI_REGEX_ALL && b == RTI_REGEX_ALL) return a;
    if (r->nodes[a].kind == RTI_REGEX_KIND_CONCAT) return concat_spine(r, a, b);
    const rti_regex_node x = r->nodes[a], y = r->nodes[b];
    // Nothing can follow the end.
    if (x.kind == RTI_REGEX_KIND_END && !y.has_start) return (y.nullable & 4) != 0 ? a : RTI_REGEX_NOTHING;
    if (a == RTI_REGEX_ALL && y.kind == RTI_REGEX_KIND_CONCAT && y.a == RTI_REGEX_ALL) return b;
    return intern(r, (rti_regex_node){ .kind = RTI_REGEX_KIND_CONCAT, .a = a, .b = b, .nullable = x.nullable & y.nullable,
                                       .has_start = x.has_start || y.has_start, .has_logic = x.has_logic || y.has_logic, .has_not = x.has_not || y.has_not,
                                       .finite = x.finite && y.finite });
}

rti_regex rti_regex_repeat(rti_regexes *r, rti_regex a, uint32_t min, uint32_t max)
{
    if (max == 0 || a == RTI_REGEX_EMPTY) return RTI_REGEX_EMPTY;
    if (a == RTI_REGEX_NOTHING) return min == 0 ? RTI_REGEX_EMPTY : RTI_REGEX_NOTHING;
    if (min == 1 && max == 1) return a;
    const rti_regex_node x = r->nodes[a];
    if (x.nullable == EVERYWHERE) min = 0;
    if (x.kind == RTI_REGEX_KIND_REPEAT && x.min <= 1 && x.max == RTI_REGEX_UNBOUNDED && max == RTI_REGEX_UNBOUNDED && min <= 1) {
        return rti_regex_repeat(r, x.a, x.min * min, RTI_REGEX_UNBOUNDED);
    }
    return intern(r, (rti_regex_node){ .kind = RTI_REGEX_KIND_REPEAT, .a = a, .min = min, .max = max,
                                       .nullable = min == 0 ? EVERYWHERE : x.nullable, .has_start = x.has_start,
                                       .has_logic = x.has_logic, .has_not = x.has_not, .finite = x.finite && max != RTI_REGEX_UNBOUNDED });
}

// Sorts ids in place and drops doubles; short lists.
static uint32_t sort_unique(rti_regex *items, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        rti_regex item = items[i];
        uint32_t j = i;
        while (j > 0 && items[j - 1] > item) {
            items[j] = items[j - 1];
            j--;
        }
        items[j] = item;
    }
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (used == 0 || items[used - 1] != items[i]) items[used++] = items[i];
    }
    return used;
}

static rti_regex *flatten(rti_regexes *r, rti_regex_kind kind, const rti_regex *items, uint32_t count, uint32_t *flat_count)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++) total += r->nodes[items[i]].kind == kind ? r->nodes[items[i]].count : 1;
    rti_regex *flat = rti_pool_take_array(r->pool, total + 1, sizeof *flat);
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        const rti_regex_node *x = &r->nodes[items[i]];
        if (x->kind == kind) {
            memcpy(flat + used, x->items, x->count * sizeof *flat);
            used += x->count;
        } else {
            flat[used++] = items[i];
        }
    }
    *flat_count = used;
    return flat;
}

static rti_regex_node list_node(rti_regexes *r, rti_regex_kind kind, const rti_regex *items, uint32_t count)
{
    rti_regex_node node = { .kind = (uint8_t)kind, .items = items, .count = count };
    node.nullable = kind == RTI_REGEX_KIND_AND ? EVERYWHERE : 0;
    node.has_logic = kind == RTI_REGEX_KIND_AND;
    node.finite = kind != RTI_REGEX_KIND_AND;
    for (uint32_t i = 0; i < count; i++) {
        const rti_regex_node *x = &r->nodes[items[i]];
        node.has_start |= x->has_start;
        node.has_logic |= x->has_logic;
        node.has_not |= x->has_not;
        if (kind == RTI_REGEX_KIND_AND) {
            node.nullable &= x->nullable;
            node.finite |= x->finite;
        } else {
            node.nullable |= x->nullable;
            node.finite &= x->finite;
        }
    }
    return node;
}

// x{m,n}k with x{m',n'}k where the counts touch is one repeat; without this, nested counters multiply.
static bool join_repeats(rti_regexes *r, rti_regex *a, rti_regex b)
{
    rti_regex_node x = r->nodes[*a], y = r->nodes[b];
    rti_regex tail = RTI_REGEX_EMPTY, other = RTI_REGEX_EMPTY, x_head = *a, y_head = b;
    if (x.kind == RTI_REGEX_KIND_CONCAT) {
        tail = x.b;
        x_head = x.a;
    }
    if (y.kind == RTI_REGEX_KIND_CONCAT) {
        other = y.b;
        y_head = y.a;
    }
    if (tail != other) return false;
    x = r->nodes[x_head];
    y = r->nodes[y_head];
    if (x.kind != RTI_REGEX_KIND_REPEAT || y.kind != RTI_REGEX_KIND_REPEAT || x.a != y.a) return false;
    if ((x.max != RTI_REGEX_UNBOUNDED && y.min > x.max + 1) || (y.max != RTI_REGEX_UNBOUNDED && x.min > y.max + 1)) return false;
    rti_regex joined = rti_regex_repeat(r, x.a, RTI_MIN(x.min, y.min), RTI_MAX(x.max, y.max));
    *a = rti_regex_concat(r, joined, tail);
    return true;
}

rti_regex rti_regex_or(rti_regexes *r, const rti_regex *items, uint32_t count)
{
    uint32_t n, used = 0;
    rti_regex *flat = flatten(r, RTI_REGEX_KIND_OR, items, count, &n);
    uint32_t set = RTI_CHARSET_NONE;
    for (uint32_t i = 0; i < n; i++) {
        if (flat[i] == RTI_REGEX_ALL) return RTI_REGEX_ALL;
        if (flat[i] == RTI_REGEX_NOTHING) continue;
        if (r->nodes[flat[i]].kind == RTI_REGEX_KIND_SET) {
            set = rti_charset_union(&r->sets, set, r->nodes[flat[i]].a);
        } else {
            flat[used++] = flat[i];
        }
    }
    if (set != RTI_CHARSET_NONE) {
        rti_regex merged = rti_regex_set(r, set);
        flat[used++] = merged;
    }
    used = sort_unique(flat, used);
    if (used <= 64) {
        for (uint32_t i = 0; i < used; i++) {
            for (uint32_t j = i + 1; j < used; j++) {
                if (join_repeats(r, &flat[i], flat[j])) {
                    flat[j] = flat[--used];
                    j = i;
                }
            }
        }
        used = sort_unique(flat, used);
    }
    bool empty = false, nullable = false; // "" beside something that matches "" anyway
    for (uint32_t i = 0; i < used; i++) {
        empty |= flat[i] == RTI_REGEX_EMPTY;
        nullable |= flat[i] != RTI_REGEX_EMPTY && r->nodes[flat[i]].nullable == EVERYWHERE;
    }
    if (empty && nullable) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < used; i++) {
            if (flat[i] != RTI_REGEX_EMPTY) flat[kept++] = flat[i];
        }
        used = kept;
    }
    if (used == 0) return RTI_REGEX_NOTHING;
    if (used == 1) return flat[0];
    return intern(r, list_node(r, RTI_REGEX_KIND_OR, flat, used));
}

rti_regex rti_regex_and(rti_regexes *r, const rti_regex *items, uint32_t count)
{
    uint32_t n, used = 0;
    rti_regex *flat = flatten(r, RTI_REGEX_KIND_AND, items, count, &n);
    uint32_t set = RTI_CHARSET_ALL;
    bool has_set = false;
    for (uint32_t i = 0; i < n; i++) {
        if (flat[i] == RTI_REGEX_NOTHING) return RTI_REGEX_NOTHING;
        if (flat[i] == RTI_REGEX_ALL) continue;
        if (r->nodes[flat[i]].kind == RTI_REGEX_KIND_SET) {
            set = rti_charset_intersection(&r->sets, set, r->nodes[flat[i]].a);
            has_set = true;
        } else {
            flat[used++] = flat[i];
        }
    }
    if (has_set) {
        rti_regex merged = rti_regex_set(r, set);
        if (merged == RTI_REGEX_NOTHING) return merged;
        flat[used++] = merged;
    }
    used = sort_unique(flat, used);
    if (used == 0) return RTI_REGEX_ALL;
    if (used == 1) return flat[0];
    for (uint32_t i = 0; i < used; i++) { // x and not x
        const rti_regex_node *x = &r->nodes[flat[i]];
        if (x->kind != RTI_REGEX_KIND_NOT) continue;
        for (uint32_t j = 0; j < used; j++) {
            if (flat[j] == x->a) return RTI_REGEX_NOTHING;
        }
    }
    if (flat[0] == RTI_REGEX_EMPTY) {
        rti_regex_node node = list_node(r, RTI_REGEX_KIND_AND, flat, used);
        if (node.nullable == EVERYWHERE) return RTI_REGEX_EMPTY;
        if (node.nullable == 0) return RTI_REGEX_NOTHING;
    }
    return intern(r, list_node(r, RTI_REGEX_KIND_AND, flat, used));
}

rti_regex rti_regex_or2(rti_regexes *r, rti_regex a, rti_regex b)
{
    if (a == b || b == RTI_REGEX_NOTHING) return a;
    if (a == RTI_REGEX_NOTHING) return b;
    return rti_regex_or(r, (rti_regex[]){ a, b }, 2);
}

rti_regex rti_regex_and2(rti_regexes *r, rti_regex a, rti_regex b)
{
    if (a == b || b == RTI_REGEX_ALL) return a;
    if (a == RTI_REGEX_ALL) return b;
    return rti_regex_and(r, (rti_regex[]){ a, b }, 2);
}

rti_regex rti_regex_not(rti_regexes *r, rti_regex a)
{
    if (a == RTI_REGEX_NOTHING) return RTI_REGEX_ALL;
    if (a == RTI_REGEX_ALL) return RTI_REGEX_NOTHING;
    const rti_regex_node x = r->nodes[a];
    if (x.kind == RTI_REGEX_KIND_NOT) return x.a;
    return intern(r, (rti_regex_node){ .kind = RTI_REGEX_KIND_NOT, .a = a, .nullable = (uint8_t)(~x.nullable & EVERYWHERE),
                                       .has_start = x.has_start, .has_logic = true, .has_not = true });
}

rti_regex rti_regex_literal(rti_regexes *r, const char *text, size_t size)
{
    uint32_t *codes = rti_pool_take_array(r->pool, size + 1, sizeof *codes);
    uint32_t count = 0;
    bool valid;
    for (const char *at = text, *end = text + size; at < end;) at += rti_utf8_decode(at, end, &codes[count++], &valid);
    rti_regex all = RTI_REGEX_EMPTY;
    while (count > 0) {
        count--;
        uint32_t set = rti_charset_of_ranges(&r->sets, &(rti_range){ codes[count], codes[count] }, 1);
        all = rti_regex_concat(r, rti_regex_set(r, set), all);
    }
    return all;
}

rti_regex rti_regex_length(rti_regexes *r, uint32_t min, uint32_t max)
{
    return rti_regex_repeat(r, rti_regex_set(r, RTI_CHARSET_ALL), min, max);
}

// ^ away from the beginning matches nothing.
static rti_regex without_start(rti_regexes *r, rti_regex a)
{
    const rti_regex_node x = r->nodes[a];
    if (!x.has_start) return a;
    switch (x.kind) {
    case RTI_REGEX_KIND_START: return RTI_REGEX_NOTHING;
    case RTI_REGEX_KIND_CONCAT: {
        rti_regex head = without_start(r, x.a);
        return head == RTI_REGEX_NOTHING ? head : rti_regex_concat(r, head, without_start(r, x.b));
    }
    case RTI_REGEX_KIND_REPEAT: return rti_regex_repeat(r, without_start(r, x.a), x.min, x.max);
    case RTI_REGEX_KIND_NOT: return rti_regex_not(r, without_start(r, x.a));
    default: break;
    }
    rti_regex *items = rti_pool_take_array(r->pool, x.count, sizeof *items);
    for (uint32_t i = 0; i < x.count; i++) items[i] = without_start(r, x.items[i]);
    return x.kind == RTI_REGEX_KIND_OR ? rti_regex_or(r, items, x.count) : rti_regex_and(r, items, x.count);
}

static rti_regex derive(rti_regexes *r, rti_regex a, uint32_t code, bool beginning);

static rti_regex derive_list(rti_regexes *r, const rti_regex_node *x, uint32_t code, bool beginning)
{
    bool is_or = x->kind == RTI_REGEX_KIND_OR;
    rti_regex few[16];
    rti_regex *items = x->count <= 16 ? few : rti_pool_take_array(r->pool, x->count, sizeof *items);
    uint32_t used = 0;
    for (uint32_t i = 0; i < x->count; i++) {
        rti_regex item = derive(r, x->items[i], code, beginning);
        if (item == (is_or ? RTI_REGEX_NOTHING : RTI_REGEX_ALL)) continue;
        if (item == (is_or ? RTI_REGEX_ALL : RTI_REGEX_NOTHING)) return item;
        items[used++] = item;
    }
    if (used == 0) return is_or ? RTI_REGEX_NOTHING : RTI_REGEX_ALL;
    if (used == 1) return items[0];
    return is_or ? rti_regex_or(r, items, used) : rti_regex_and(r, items, used);
}

static rti_regex derive_repeat(rti_regexes *r, const rti_regex_node *x, uint32_t code, bool beginning)
{
    rti_regex head = derive(r, x->a, code, beginning);
    if (head == RTI_REGEX_NOTHING) return head;
    uint32_t min = x->min, max = x->max;
    // Rounds that match "" here may be spent first.
    if (rti_regex_nullable(r, x->a, beginning, false)) min = 0;
    if (min > 0) min--;
    if (max != RTI_REGEX_UNBOUNDED) max--;
    return rti_regex_concat(r, head, rti_regex_repeat(r, x->a, min, max));
}

static rti_regex derive_new(rti_regexes *r, rti_regex a, uint32_t code, bool beginning)
{
    const rti_regex_node x = r->nodes[a];
    switch (x.kind) {
    case RTI_REGEX_KIND_SET: return rti_charset_contains(&r->sets, x.a, code) ? RTI_REGEX_EMPTY : RTI_REGEX_NOTHING;
    case RTI_REGEX_KIND_CONCAT: {
        rti_regex head = rti_regex_concat(r, derive(r, x.a, code, beginning), x.b);
        if (!rti_regex_nullable(r, x.a, beginning, false)) return head;
        return rti_regex_or2(r, head, derive(r, x.b, code, beginning));
    }
    case RTI_REGEX_KIND_REPEAT: return derive_repeat(r, &x, code, beginning);
    case RTI_REGEX_KIND_OR:
    case RTI_REGEX_KIND_AND: return derive_list(r, &x, code, beginning);
    case RTI_REGEX_KIND_NOT: return rti_regex_not(r, derive(r, x.a, code, beginning));
    default: return RTI_REGEX_NOTHING;
    }
}

static rti_regex derive(rti_regexes *r, rti_regex a, uint32_t code, bool beginning)
{
    if (a <= RTI_REGEX_EMPTY) return RTI_REGEX_NOTHING;
    if (a == RTI_REGEX_ALL) return a;
    if (++r->depth > MAX_DEPTH) {
        r->depth = 0;
        rti_pool_fail(r->pool, RT_ERROR_TOO_LARGE, "grammar: a regular expression is nested deeper than %d", (int)MAX_DEPTH);
    }
    uint32_t key = code << 1 | beginning;
    struct rti_regex_memo *memo = &r->memo[(a * 2654435761u ^ key * 40503u) >> 7 & (MEMO_SIZE - 1)];
    rti_regex result;
    if (memo->regex == a && memo->code == key) {
        result = memo->result;
    } else {
        result = derive_new(r, a, code, beginning);
        *memo = (struct rti_regex_memo){ a, key, result };
    }
    r->depth--;
    return result;
}

rti_regex rti_regex_derivative(rti_regexes *r, rti_regex a, uint32_t code_point, bool beginning)
{
    r->depth = 0;
    rti_regex result = derive(r, a, code_point, beginning);
    return beginning ? without_start(r, result) : result;
}

// Characters of a shortest string, at most; UINT32_MAX: not seen. `last`: nothing follows, so that $ may stand here.
static uint32_t shortest_of(const rti_regexes *r, rti_regex a, bool last, int depth)
{
    const rti_regex_node *x = &r->nodes[a];
    uint32_t best = UINT32_MAX, head, tail;
    if (depth > MAX_DEPTH / 4) return best;
    switch (x->kind) {
    case RTI_REGEX_KIND_EMPTY: return 0;
    case RTI_REGEX_KIND_SET: return 1;
    case RTI_REGEX_KIND_END: return last ? 0 : best;
    case RTI_REGEX_KIND_CONCAT:
        head = shortest_of(r, x->a, false, depth + 1);
        tail = shortest_of(r, x->b, last, depth + 1);
        return head > RTI_REGEX_MANY || tail > RTI_REGEX_MANY ? best : head + tail;
    case RTI_REGEX_KIND_REPEAT:
        if (x->min == 0) return 0;
        head = shortest_of(r, x->a, false, depth + 1);
        return head > RTI_REGEX_MANY || (uint64_t)head * x->min > RTI_REGEX_MANY ? best : head * x->min;
    case RTI_REGEX_KIND_OR:
        for (uint32_t i = 0; i < x->count; i++) {
            head = shortest_of(r, x->items[i], last, depth + 1);
            best = RTI_MIN(best, head);
        }
        return best;
    default: return best;
    }
}

static bool ends_in_all(const rti_regexes *r, rti_regex a)
{
    while (r->nodes[a].kind == RTI_REGEX_KIND_CONCAT) a = r->nodes[a].b;
    return a == RTI_REGEX_ALL;
}

// Ways to see that every string can be continued into a term: it is all that is not finitely many strings; or not in a term
// that lacks a character, which is then put behind; or ALL and then something, which is. Many of these hold at once, one
// after another, but for those of the last kind that must come last: no two of them.
typedef struct future {
    uint32_t shortest; // UINT32_MAX: not known
    bool last, finite;
} future;

static bool find_future(const rti_regexes *r, rti_regex a, future *f)
{
    const rti_regex_node x = r->nodes[a];
    uint32_t least = UINT32_MAX;
    *f = (future){ 0 };
    switch (x.kind) {
    case RTI_REGEX_KIND_CONCAT:
        f->shortest = x.a == RTI_REGEX_ALL ? shortest_of(r, x.b, true, 0) : least;
        f->last = !ends_in_all(r, x.b);
        return f->shortest != UINT32_MAX;
    case RTI_REGEX_KIND_OR: // one of them is enough
        for (uint32_t i = 0; i < x.count; i++) {
            future own;
            rti_regex item = r->nodes[a].items[i];
            if (r->nodes[item].kind != RTI_REGEX_KIND_CONCAT && r->nodes[item].kind != RTI_REGEX_KIND_NOT) continue;
            if (!find_future(r, item, &own) || own.finite || own.shortest > least || (own.shortest == least && own.last)) continue;
            *f = own;
            least = own.shortest;
        }
        return least != UINT32_MAX;
    case RTI_REGEX_KIND_NOT:
        f->finite = r->nodes[x.a].finite;
        f->shortest = f->finite ? UINT32_MAX : 1;
        return f->finite || (r->nodes[x.a].uses[0] & r->nodes[x.a].uses[1]) != UINT64_MAX;
    default: return a == RTI_REGEX_ALL;
    }
}

bool rti_regex_never_dies(const rti_regexes *r, rti_regex a, uint32_t *shortest)
{
    future f;
    if (r->nodes[a].kind != RTI_REGEX_KIND_AND) {
        bool found = find_future(r, a, &f);
        *shortest = f.shortest;
        return found;
    }
    uint32_t count = r->nodes[a].count, last = 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!find_future(r, r->nodes[a].items[i], &f)) return false;
        last += f.last;
        total += f.shortest; // one that is not known makes the sum so
    }
    *shortest = (uint32_t)RTI_MIN(total, (uint64_t)UINT32_MAX);
    return last <= 1;
}
