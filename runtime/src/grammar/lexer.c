// SPDX-License-Identifier: MIT
#include "grammar/lexer.h"

#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------------------------------
// Classes
// ---------------------------------------------------------------------------------------------------------------------

typedef struct collector {
    rti_regexes *r;
    uint8_t *seen; // by term
    uint32_t *sets, count, capacity;
    rti_regex *stack;
    uint32_t depth, room;
} collector;

static void visit(collector *c, rti_regex term)
{
    if (c->seen[term]) return;
    c->seen[term] = 1;
    RTI_POOL_RESERVE(c->r->pool, c->stack, c->room, c->depth + 1);
    c->stack[c->depth++] = term;
}

static void collect_sets(collector *c, rti_regex term)
{
    visit(c, term);
    while (c->depth > 0) {
        const rti_regex_node *x = &c->r->nodes[c->stack[--c->depth]];
        switch (x->kind) {
        case RTI_REGEX_KIND_SET: {
            bool there = false;
            for (uint32_t i = 0; i < c->count; i++) there |= c->sets[i] == x->a;
            if (there || x->a == RTI_CHARSET_ALL) break;
            RTI_POOL_RESERVE(c->r->pool, c->sets, c->capacity, c->count + 1);
            c->sets[c->count++] = x->a;
            break;
        }
        case RTI_REGEX_KIND_CONCAT: visit(c, x->b); visit(c, x->a); break;
        case RTI_REGEX_KIND_REPEAT:
        case RTI_REGEX_KIND_NOT: visit(c, x->a); break;
        default:
            for (uint32_t i = 0; i < x->count; i++) visit(c, x->items[i]);
            break;
        }
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

// Cuts the code points where any set begins or ends; pieces that are in the same sets are one class.
static void make_classes(rti_lexer *x)
{
    rti_regexes *r = x->regexes;
    collector c = { .r = r };
    c.seen = rti_pool_take(x->pool, r->count);
    collect_sets(&c, x->term);
    uint32_t total = 4;
    for (uint32_t i = 0; i < c.count; i++) total += 2 * r->sets.sets[c.sets[i]].count;
    uint32_t *cuts = rti_pool_take_array(x->pool, total, sizeof *cuts), count = 0;
    cuts[count++] = 0;
    cuts[count++] = 0x80;
    cuts[count++] = 0xD800;
    cuts[count++] = 0xE000;
    for (uint32_t i = 0; i < c.count; i++) {
        const rti_charset *set = &r->sets.sets[c.sets[i]];
        for (uint32_t k = 0; k < set->count; k++) {
            cuts[count++] = set->ranges[k].low;
            cuts[count++] = set->ranges[k].high + 1;
        }
    }
    qsort(cuts, count, sizeof *cuts, by_value);
    uint64_t *signatures = rti_pool_take_array(x->pool, count, sizeof *signatures);
    uint32_t samples_capacity = 0, starts_capacity = 0, high_capacity = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = cuts[i], to = i + 1 < count ? cuts[i + 1] : 0x110000;
        if (from == to || from > 0x10FFFF || (from >= 0xD800 && from < 0xE000)) continue;
        uint64_t signature = 1;
        for (uint32_t k = 0; k < c.count; k++) {
            signature = rti_hash_mix(signature, rti_charset_contains(&r->sets, c.sets[k], from) ? k * 2 + 1 : k * 2);
        }
        uint32_t id = 0;
        while (id < x->class_count && signatures[id] != signature) id++;
        if (id == x->class_count) {
            if (id >= 4096) rti_pool_fail(x->pool, RT_ERROR_TOO_LARGE, "grammar: a pattern tells more than 4096 kinds of characters apart");
            signatures[id] = signature;
            RTI_POOL_RESERVE(x->pool, x->samples, samples_capacity, id + 1);
            x->samples[id] = from;
            x->class_count++;
        }
        for (uint32_t code = from; code < to && code < 128; code++) x->ascii[code] = (uint16_t)id;
        if (from < 128) continue;
        RTI_POOL_RESERVE(x->pool, x->starts, starts_capacity, x->high_count + 1);
        RTI_POOL_RESERVE(x->pool, x->high, high_capacity, x->high_count + 1);
        x->starts[x->high_count] = from;
        x->high[x->high_count++] = (uint16_t)id;
    }
}

// Index of the range that holds a code point of 128 or more.
static uint32_t high_index(const rti_lexer *x, uint32_t code)
{
    uint32_t low = 0, high = x->high_count;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (x->starts[middle] <= code) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t rti_lexer_class_of(const rti_lexer *x, uint32_t code)
{
    return code < 128 ? x->ascii[code] : x->high[high_index(x, code)];
}

// ---------------------------------------------------------------------------------------------------------------------
// States
// ---------------------------------------------------------------------------------------------------------------------

// A term without and, not or the beginning has strings, and so has a choice that it is one of.
static bool shows_live(const rti_regexes *r, const rti_regex_node *node)
{
    if (!node->has_logic && !node->has_start) return true;
    for (uint32_t i = 0; node->kind == RTI_REGEX_KIND_OR && i < node->count; i++) {
        const rti_regex_node *item = &r->nodes[node->items[i]];
        if (!item->has_logic && !item->has_start) return true;
    }
    return false;
}

static uint32_t intern(rti_lexer *x, rti_regex term, bool beginning)
{
    const rti_regex_node *node = &x->regexes->nodes[term];
    beginning = beginning && node->has_start;
    uint64_t hash = rti_hash_mix(term, beginning);
    uint32_t cursor = UINT32_MAX, id;
    while ((id = rti_id_table_next(&x->table, hash, &cursor)) != UINT32_MAX) {
        const rti_lexer_state *s = rti_lexer_at(x, id);
        if (s->term == term && s->beginning == beginning) return id;
    }
    if (x->count >= x->limit) {
        rti_pool_fail(x->pool, RT_ERROR_TOO_LARGE, "grammar: a pattern's automaton needs more than max_states (%u): make the "
                      "pattern simpler or raise the limit", x->limit);
    }
    id = x->count;
    uint32_t chunk = rti_chunk_of(id);
    if (x->chunks[chunk] == NULL) x->chunks[chunk] = rti_pool_take_array(x->pool, rti_chunk_size(chunk), sizeof(rti_lexer_state));
    rti_lexer_state *s = rti_lexer_at(x, id);
    s->term = term;
    s->beginning = beginning;
    s->accepts = (node->nullable >> ((beginning || x->count == RTI_LEXER_START ? 1 : 0) + 2) & 1) != 0;
    atomic_init(&s->few, node->finite ? node->least : RTI_REGEX_MANY);
    s->live = term == RTI_REGEX_NOTHING ? 2 : s->accepts || shows_live(x->regexes, node) ? 1 : 0;
    _Atomic uint32_t *next = rti_pool_take_array(x->pool, x->class_count, sizeof *next);
    for (uint32_t i = 0; i < x->class_count; i++) atomic_init(&next[i], RTI_LEXER_UNKNOWN);
    s->next = next;
    if (node->has_logic || beginning) {
        s->raw = rti_pool_take_array(x->pool, x->class_count, sizeof *s->raw);
        for (uint32_t i = 0; i < x->class_count; i++) s->raw[i] = RTI_LEXER_UNKNOWN;
    }
    x->count++;
    rti_id_table_add(x->pool, &x->table, hash, id);
    return id;
}

rti_lexer *rti_lexer_new(rti_regexes *regexes, rti_regex term, uint32_t limit)
{
    rti_lexer *x = rti_pool_take(regexes->pool, sizeof *x);
    x->regexes = regexes;
    x->pool = regexes->pool;
    x->term = term;
    x->limit = limit;
    make_classes(x);
    intern(x, RTI_REGEX_NOTHING, false);
    intern(x, term, true);
    return x;
}

static uint32_t raw_next(rti_lexer *x, uint32_t state, uint32_t code_class)
{
    rti_lexer_state *s = rti_lexer_at(x, state);
    if (s->raw != NULL && s->raw[code_class] != RTI_LEXER_UNKNOWN) return s->raw[code_class];
    rti_regex term = rti_regex_derivative(x->regexes, s->term, x->samples[code_class], s->beginning);
    uint32_t next = term == RTI_REGEX_NOTHING ? RTI_LEXER_DEAD : intern(x, term, false);
    if (s->raw != NULL) s->raw[code_class] = next;
    return next;
}

bool rti_lexer_is_live(rti_lexer *x, uint32_t state)
{
    if (rti_lexer_at(x, state)->live != 0) return rti_lexer_at(x, state)->live == 1;
    uint32_t shortest;
    if (rti_regex_never_dies(x->regexes, rti_lexer_at(x, state)->term, &shortest)) {
        rti_lexer_at(x, state)->live = 1;
        return true;
    }
    uint32_t *queue = NULL, capacity = 0, head = 0, tail = 0, mark = ++x->visit;
    RTI_POOL_RESERVE(x->pool, queue, capacity, 64);
    queue[tail++] = state;
    rti_lexer_at(x, state)->visit = mark;
    rti_lexer_at(x, state)->parent = 0;
    while (head < tail) {
        uint32_t now = queue[head++];
        for (uint32_t c = 0; c < x->class_count; c++) {
            uint32_t next = raw_next(x, now, c);
            rti_lexer_state *s = rti_lexer_at(x, next);
            if (s->live == 2 || s->visit == mark) continue;
            if (s->live == 1) {
                for (uint32_t i = now; i != 0; i = rti_lexer_at(x, i)->parent) rti_lexer_at(x, i)->live = 1;
                return true;
            }
            s->visit = mark;
            s->parent = now;
            RTI_POOL_RESERVE(x->pool, queue, capacity, tail + 1);
            queue[tail++] = next;
        }
    }
    for (uint32_t i = 0; i < tail; i++) rti_lexer_at(x, queue[i])->live = 2;
    return false;
}

uint32_t rti_lexer_build(rti_lexer *x, uint32_t state, uint32_t code_class)
{
    uint32_t next = raw_next(x, state, code_class);
    if (next != RTI_LEXER_DEAD && !rti_lexer_is_live(x, next)) next = RTI_LEXER_DEAD;
    atomic_store_explicit(&rti_lexer_at(x, state)->next[code_class], next, memory_order_release);
    return next;
}

uint32_t rti_lexer_next(rti_lexer *x, uint32_t state, uint32_t code_class)
{
    uint32_t next = rti_lexer_peek(x, state, code_class);
    return next == RTI_LEXER_UNKNOWN ? rti_lexer_build(x, state, code_class) : next;
}

uint32_t rti_lexer_step(rti_lexer *x, uint32_t state, uint32_t code)
{
    return rti_lexer_next(x, state, rti_lexer_class_of(x, code));
}

bool rti_lexer_matches(rti_lexer *x, const char *text, size_t size)
{
    uint32_t state = RTI_LEXER_START;
    bool valid;
    for (const char *at = text, *end = text + size; at < end && state != RTI_LEXER_DEAD;) {
        uint32_t code;
        at += rti_utf8_decode(at, end, &code, &valid);
        state = rti_lexer_step(x, state, code);
    }
    return state != RTI_LEXER_DEAD && rti_lexer_at(x, state)->accepts;
}

// Each character that leads on leads to a string, and to another one than the next character.
uint32_t rti_lexer_few(rti_lexer *x, uint32_t state)
{
    rti_lexer_state *s = rti_lexer_at(x, state);
    uint32_t known = atomic_load_explicit(&s->few, memory_order_relaxed);
    if (known != 0) return known;
    uint64_t few = s->accepts;
    for (uint32_t code = 0; code < 128; code++) few += rti_lexer_next(x, state, x->ascii[code]) != RTI_LEXER_DEAD;
    for (uint32_t i = 0; i < x->high_count; i++) {
        uint32_t end = i + 1 < x->high_count ? x->starts[i + 1] : 0x110000;
        if (x->starts[i] >= 0xD800 && x->starts[i] < 0xE000) continue;
        if (rti_lexer_next(x, state, x->high[i]) != RTI_LEXER_DEAD) few += end - x->starts[i];
    }
    few = RTI_MAX(few, 1u);
    atomic_store_explicit(&s->few, (uint32_t)RTI_MIN(few, (uint64_t)RTI_REGEX_MANY), memory_order_relaxed);
    return (uint32_t)RTI_MIN(few, (uint64_t)RTI_REGEX_MANY);
}

uint32_t rti_lexer_distance(rti_lexer *x, uint32_t state)
{
    rti_lexer_state *s = rti_lexer_at(x, state);
    uint32_t known = atomic_load_explicit(&s->distance, memory_order_relaxed);
    if (known != 0) return known - 1;
    uint32_t result = UINT32_MAX - 1, mark = ++x->visit;
    uint32_t *queue = NULL, capacity = 0, head = 0, tail = 1, level_end = 1, level = 0;
    RTI_POOL_RESERVE(x->pool, queue, capacity, 64);
    queue[0] = state;
    s->visit = mark;
    while (head < tail) {
        if (head == level_end) {
            level++;
            level_end = tail;
        }
        uint32_t now = queue[head++];
        if (rti_lexer_at(x, now)->accepts) {
            result = level;
            break;
        }
        for (uint32_t c = 0; c < x->class_count; c++) {
            uint32_t next = rti_lexer_next(x, now, c);
            if (next == RTI_LEXER_DEAD || rti_lexer_at(x, next)->visit == mark) continue;
            rti_lexer_at(x, next)->visit = mark;
            RTI_POOL_RESERVE(x->pool, queue, capacity, tail + 1);
            queue[tail++] = next;
        }
    }
    atomic_store_explicit(&s->distance, result + 1, memory_order_relaxed);
    return result == UINT32_MAX - 1 ? UINT32_MAX : result;
}

bool rti_lexer_lengths_are_free(rti_lexer *x, uint32_t most)
{
    uint32_t *queue = NULL, capacity = 0, head = 0, tail = 1, mark = ++x->visit;
    RTI_POOL_RESERVE(x->pool, queue, capacity, 64);
    queue[0] = RTI_LEXER_START;
    rti_lexer_at(x, RTI_LEXER_START)->visit = mark;
    while (head < tail) {
        uint32_t now = queue[head++];
        rti_lexer_at(x, now)->parent = head - 1; // its place in the queue
        for (uint32_t c = 0; c < x->class_count; c++) {
            uint32_t next = rti_lexer_next(x, now, c);
            if (next == RTI_LEXER_DEAD || rti_lexer_at(x, next)->visit == mark) continue;
            if (tail >= most) return false;
            rti_lexer_at(x, next)->visit = mark;
            RTI_POOL_RESERVE(x->pool, queue, capacity, tail + 1);
            queue[tail++] = next;
        }
    }
    // Shortest way to accept, and shortest such way over a state with a loop: equal everywhere?
    uint32_t *plain = rti_pool_take_array(x->pool, tail, sizeof *plain), *looped = rti_pool_take_array(x->pool, tail, sizeof *looped);
    for (uint32_t i = 0; i < tail; i++) plain[i] = looped[i] = UINT32_MAX / 2;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = tail; i-- > 0;) {
            uint32_t best = rti_lexer_at(x, queue[i])->accepts ? 0 : UINT32_MAX / 2, best_looped = UINT32_MAX / 2;
            bool loops = false;
            for (uint32_t c = 0; c < x->class_count; c++) {
                uint32_t next = rti_lexer_next(x, queue[i], c);
                if (next == RTI_LEXER_DEAD) continue;
                loops |= next == queue[i];
                uint32_t k = rti_lexer_at(x, next)->parent;
                best = RTI_MIN(best, plain[k] + 1);
                best_looped = RTI_MIN(best_looped, looped[k] + 1);
            }
            if (loops) best_looped = RTI_MIN(best_looped, best);
            changed |= best < plain[i] || best_looped < looped[i];
            plain[i] = RTI_MIN(plain[i], best);
            looped[i] = RTI_MIN(looped[i], best_looped);
        }
    }
    for (uint32_t i = 0; i < tail; i++) {
        if (plain[i] != looped[i]) return false;
    }
    return true;
}
