// Walking the trie with a string's automaton: which tokens stay inside, and which leave by the closing quote.
// SPDX-License-Identifier: MIT
#include "grammar/token_walk.h"

#include <string.h>

typedef rti_set_walk walk;

bool rti_set_room(rti_machine *m, void **items, uint32_t *capacity, uint32_t needed, size_t size)
{
    size_t have = *capacity;
    if (needed <= have) return true;
    if (!rti_array_reserve(&m->host, items, &have, needed, size)) {
        if (m->error == RT_OK) m->error = rti_fail(&m->host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a mask");
        return false;
    }
    *capacity = (uint32_t)have;
    return true;
}

typedef struct safety_request {
    const rt_vocabulary *v;
    rti_lexer *lexer;
    uint32_t state;
    bool quickly;
    const rti_lexer_safety *safety;
} safety_request;

static void build_safety(rt_grammar *g, void *user)
{
    (void)g;
    safety_request *r = user;
    r->safety = rti_lexer_safety_of(r->lexer, r->state, r->v->weights, r->quickly);
}

const rti_lexer_safety *rti_walk_safety_of(rti_machine *m, rti_lexer *lexer, uint32_t state, bool quickly)
{
    const rti_lexer_safety *known = atomic_load_explicit(&rti_lexer_at(lexer, state)->safety, memory_order_acquire);
    if (known != NULL && (quickly || !known->hasty)) return known;
    static const rti_lexer_safety nothing;
    safety_request r = { m->g->vocabulary, lexer, state, quickly, NULL };
    rti_machine_locked(m, build_safety, &r);
    return r.safety != NULL ? r.safety : &nothing;
}

static void note_reach(walk *w, uint32_t characters, uint32_t state)
{
    if (!w->bounded) return;
    uint32_t distance = rti_machine_distance(w->m, w->terminal->lexer, state);
    distance = RTI_MIN(distance, 1u << 20);
    w->distance = RTI_MAX(w->distance, distance);
    w->reach = RTI_MAX(w->reach, characters + distance);
}

static void list_inside(walk *w, uint32_t token, uint32_t characters)
{
    rti_set_scratch *s = w->s;
    if (!rti_set_room(w->m, (void **)&s->inside, &s->inside_capacity, s->inside_count + 1, sizeof *s->inside) ||
        !rti_set_room(w->m, (void **)&s->inside_characters, &s->inside_characters_capacity, s->inside_count + 1, 1)) {
        return;
    }
    s->inside[s->inside_count] = token;
    s->inside_characters[s->inside_count++] = (uint8_t)RTI_MIN(characters, 255u);
}

static void note_end(walk *w, uint32_t characters, uint32_t state)
{
    if (state != w->last_end) {
        w->last_end = state;
        w->pure &= state == w->pure_state;
        uint32_t few = rti_machine_few(w->m, w->terminal->lexer, state);
        w->few = RTI_MIN(w->few, few);
    }
    if (w->bounded) note_reach(w, characters, state);
}

static inline void add_inside(walk *w, uint32_t token, bool doubled, uint32_t characters, uint32_t state, bool escaped)
{
    if (w->leaving_only) return;
    do {
        if (w->root) rti_mask_set(w->s->bits, token);
        if (!w->root || escaped) list_inside(w, token, characters);
        token = doubled ? w->v->same[token] : RTI_NO_TOKEN;
    } while (token != RTI_NO_TOKEN);
    note_end(w, characters, state);
}

static void add_leaving(walk *w, uint32_t node, uint32_t characters)
{
    const rt_vocabulary *v = w->v;
    rti_set_scratch *s = w->s;
    uint32_t low = 0, high = v->quote_node_count;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (v->quote_nodes[middle] <= node) {
            low = middle;
        } else {
            high = middle;
        }
    }
    uint32_t from = v->quote_from[low], count = v->quote_from[low + 1] - from;
    if (!rti_set_room(w->m, (void **)&s->leaving, &s->leaving_capacity, 2 * (s->leaving_count + count), sizeof *s->leaving) ||
        !rti_set_room(w->m, (void **)&s->leaving_characters, &s->leaving_characters_capacity, s->leaving_count + count, 1)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        s->leaving[2 * s->leaving_count] = v->quotes[from + i].token;
        s->leaving[2 * s->leaving_count + 1] = v->quotes[from + i].tail;
        s->leaving_characters[s->leaving_count++] = (uint8_t)RTI_MIN(characters, 255u);
    }
}

// Every token at or below a node whose bytes are all safe.
static void add_stretch(walk *w, const rti_trie_node *n, const rti_walk_place *at, const rti_lexer_safety *f)
{
    const rt_vocabulary *v = w->v;
    uint32_t reach = at->characters;
    const rti_trie_below *below = &v->below[n - v->nodes];
    for (uint32_t i = below->from; i < below->to; i++) {
        uint32_t token = v->order[i];
        if ((n->flags & RTI_TRIE_HIGH) != 0 && (v->raw[token / 32] >> (token % 32) & 1) == 0) continue;
        uint32_t more = v->characters[token] - RTI_MIN(at->leads, (uint32_t)v->characters[token]);
        if (more > f->length) continue; // beyond, where all are dead
        if (w->root) rti_mask_set(w->s->bits, token);
        if (!w->root || at->escaped) list_inside(w, token, at->characters + more);
        reach = RTI_MAX(reach, at->characters + more);
    }
    w->pure &= f->alone && at->state == w->pure_state;
    w->few = RTI_MIN(w->few, f->few);
    if (!w->bounded) return;
    w->distance = RTI_MAX(w->distance, f->distance);
    w->reach = RTI_MAX(w->reach, reach + f->distance);
}

// Control characters, quotes and backslashes do not stand for themselves inside JSON.
static bool all_safe(const walk *w, const rti_lexer_safety *f, const rti_trie_node *n, uint32_t leads)
{
    uint64_t low = f->safe[0], high = f->safe[1];
    if (w->json) {
        low &= ~(0xFFFFFFFFull | 1ull << '"');
        high &= ~(1ull << ('\\' - 64));
    }
    if (n->byte < 128 && ((n->byte < 64 ? low : high) >> (n->byte % 64) & 1) == 0) return false;
    if ((n->flags & RTI_TRIE_HIGH) != 0 && !(f->safe_high && (f->safe_space || (n->flags & RTI_TRIE_SPACE) == 0))) return false;
    const rti_trie_below *below = &w->v->below[n - w->v->nodes];
    if ((n->flags & RTI_TRIE_LEAF) == 0 && ((below->bytes[0] & ~low) != 0 || (below->bytes[1] & ~high) != 0)) return false;
    for (uint32_t i = 0; i < f->suspect_count; i++) {
        const rti_lexer_suspect *x = &f->suspects[i];
        bool lacks = false;
        for (uint32_t k = 0; k < x->count; k++) lacks |= ((below->bytes[0] & x->sets[k][0]) | (below->bytes[1] & x->sets[k][1])) == 0;
        if (!lacks) return false;
    }
    if (n->byte < 128 ? (f->first[n->byte / 64] >> (n->byte % 64) & 1) != 0 : f->first_high) return false;
    return f->beyond_dead || n->longest <= leads || n->longest - leads <= f->length;
}

static bool is_safe(const walk *w, const rti_trie_node *n)
{
    const rti_lexer_safety *f = w->base->safety;
    if (n->byte >= 128) return f->safe_high && (f->safe_space || (n->flags & RTI_TRIE_SPACE) == 0);
    return (f->safe[n->byte / 64] >> (n->byte % 64) & 1) != 0;
}

bool rti_walk_byte(walk *w, const rti_walk_place *at, uint8_t byte, bool special, rti_walk_place *to)
{
    rti_lexer *lexer = w->terminal->lexer;
    if (at->part == 0 && byte < 128 && !special) {
        uint32_t code_class = lexer->ascii[byte];
        to->state = atomic_load_explicit(&rti_lexer_at(lexer, at->state)->next[code_class], memory_order_acquire);
        if (to->state == RTI_LEXER_UNKNOWN) to->state = rti_machine_next(w->m, lexer, at->state, code_class);
        to->part = 0;
        return to->state != RTI_LEXER_DEAD;
    }
    rti_thread t = { .kind = RTI_THREAD_STRING, .a = w->terminal->plain, .b = at->state, .part = at->part, .t = RTI_OUTSIDE };
    if (!rti_string_byte(w->m, &t, byte)) return false;
    to->state = t.b;
    to->part = t.part;
    return true;
}

void rti_walk_visit(walk *w, const rti_trie_node *n, const rti_walk_place *at, const rti_lexer_safety *f)
{
    uint8_t byte = n->byte;
    bool special = w->json && (byte < 0x20 || byte == '"' || byte == '\\');
    if (special && byte == '"' && at->part == 0) {
        if (rti_lexer_at(w->terminal->lexer, at->state)->accepts) add_leaving(w, (uint32_t)(n - w->v->nodes), at->characters);
        return;
    }
    // (A token that begins inside a character is not whole, so its other characters are looked at one by one.)
    if (f != NULL && (w->root || (n->flags & RTI_TRIE_HIGH) == 0) && all_safe(w, f, n, at->leads)) {
        add_stretch(w, n, at, f);
        return;
    }
    rti_walk_place to;
    if (!rti_walk_byte(w, at, byte, special, &to)) return;
    bool escape = special && at->part == 0;
    to.on_base = at->on_base && !escape && is_safe(w, n) && !(at->leads == w->base->leads && byte >= 128 && w->base->safety->first_high);
    to.escaped = at->escaped || escape;
    to.characters = at->characters + (to.part == 0);
    to.leads = at->leads + ((byte & 0xC0) != 0x80);
    uint32_t token = (n->flags & RTI_TRIE_TOKEN) != 0 ? w->v->ends[n - w->v->nodes] : RTI_NO_TOKEN;
    if (token != RTI_NO_TOKEN && !(to.on_base && w->v->characters[token] <= w->base->length)) {
        add_inside(w, token, (n->flags & RTI_TRIE_DOUBLED) != 0, to.part == 0 ? to.characters : to.characters + 1, to.state, to.escaped);
    }
    if ((n->flags & RTI_TRIE_LEAF) != 0) return;
    if (w->common.safety == NULL || n != &w->v->nodes[w->v->common]) {
        rti_walk_below(w, (uint32_t)(n - w->v->nodes), &to);
        return;
    }
    const rti_walk_base *before = w->base;
    w->base = &w->common;
    to.on_base = true;
    rti_walk_below(w, w->v->common, &to);
    w->base = before;
}

const rti_lexer_safety *rti_walk_safety_here(walk *w, uint32_t node, const rti_walk_place *at)
{
    enum { WORTH_IT = 48 }; // tokens below
    if (at->part != 0 || at->on_base || w->leaving_only) return NULL;
    const rti_trie_below *below = &w->v->below[node];
    if (below->to - below->from >= WORTH_IT) return rti_walk_safety_of(w->m, w->terminal->lexer, at->state, true);
    return atomic_load_explicit(&rti_lexer_at(w->terminal->lexer, at->state)->safety, memory_order_acquire);
}

uint64_t rti_walk_children(const walk *w, uint32_t first, uint32_t count, const rti_walk_place *at)
{
    const rti_trie_node *children = &w->v->nodes[first];
    const rti_trie_below *below = &w->v->below[first];
    uint64_t follow[2] = { 1ull << '"', 0 }, result = 0; // without a base: only what leaves
    uint32_t flags = 0, length = UINT32_MAX;
    if (at->on_base) {
        const rti_lexer_safety *f = w->base->safety;
        memcpy(follow, w->base->follow, sizeof follow);
        flags = (f->other_high || (f->first_high && at->leads == w->base->leads) ? RTI_TRIE_HIGH : 0) | (f->safe_high && !f->safe_space ? RTI_TRIE_SPACE : 0);
        length = w->base->beyond_dead ? UINT32_MAX : w->base->length;
    }
    for (uint32_t i = 0; i < count; i++) {
        const rti_trie_node *n = &children[i];
        bool there = (n->flags & flags) != 0 || n->longest > length;
        if ((n->flags & RTI_TRIE_LEAF) != 0) {
            there |= n->byte < 128 && (follow[n->byte / 64] >> (n->byte % 64) & 1) != 0;
        } else {
            there |= ((below[i].bytes[0] & follow[0]) | (below[i].bytes[1] & follow[1])) != 0;
        }
        result |= (uint64_t)there << i;
    }
    return result;
}

void rti_walk_below(walk *w, uint32_t node, const rti_walk_place *at)
{
    uint32_t first = w->v->nodes[node].first, count = rti_trie_children(&w->v->nodes[node]);
    const rti_trie_node *children = &w->v->nodes[first];
    const rti_lexer_safety *f = rti_walk_safety_here(w, node, at);
    if (!at->on_base && !w->leaving_only) {
        for (uint32_t i = 0; i < count && w->m->error == RT_OK; i++) rti_walk_visit(w, &children[i], at, f);
        return;
    }
    for (uint32_t from = 0; from < count; from += 64) {
        uint64_t left = rti_walk_children(w, first + from, RTI_MIN(count - from, 64u), at);
        for (; left != 0 && w->m->error == RT_OK; left &= left - 1) rti_walk_visit(w, &children[from + (uint32_t)__builtin_ctzll(left)], at, f);
    }
}
