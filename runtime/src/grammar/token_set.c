// SPDX-License-Identifier: MIT
#include "grammar/token_set.h"

#include <string.h>

enum { RICH = 10 }; // safe characters, from which on bit sets are quicker than walking

// What holds for tokens of safe characters behind `leads` others, and what must be looked at besides.
typedef struct base {
    const rti_lexer_safety *safety; // NULL: none
    uint32_t leads;
    uint32_t length;                // characters of a token that it holds for, the others included; RTI_SAFE_ANY: any number
    bool beyond_dead;               // longer ones are dead
    uint64_t follow[2];             // ASCII that tokens must have to be looked at
} base;

typedef struct rti_set_walk {
    rti_machine *m;
    const rt_vocabulary *v;
    rti_set_scratch *s;
    const rti_terminal *terminal; // plain
    uint32_t start;               // state
    bool root, based;             // based: tokens of safe characters are in the bits already
    bool json, bounded, pure;
    uint32_t few, pure_state, reach, distance;
    base whole, common; // from the start, and behind the vocabulary's most common first character
    const base *base;   // the one that holds where the walk is
    bool leaving_only;
    uint32_t last_end;
    // A walk that goes in steps.
    bool active, begun;
    uint32_t next_child;
} walk;

// Where a walk is: at a character's boundary where part is 0.
typedef struct place {
    uint32_t state, part;
    uint32_t characters; // decoded ones since the string or the token began
    uint32_t leads;      // first bytes of characters since the token began
    bool on_base, escaped;
} place;

void rti_set_scratch_end(rti_machine *m, rti_set_scratch *s)
{
    const rt_host *h = &m->host;
    size_t words = m->g->vocabulary->words;
    rti_release(h, s->bits, words * sizeof *s->bits);
    rti_release(h, s->some, 3 * words * sizeof *s->some);
    rti_release(h, s->inside, s->inside_capacity * sizeof *s->inside);
    rti_release(h, s->inside_characters, s->inside_characters_capacity);
    rti_release(h, s->leaving, s->leaving_capacity * sizeof *s->leaving);
    rti_release(h, s->leaving_characters, s->leaving_characters_capacity);
    rti_release(h, s->keys, s->keys_capacity * sizeof *s->keys);
    rti_release(h, s->walk, sizeof *s->walk);
    rti_release(h, s->places, s->place_capacity * sizeof *s->places);
    memset(s, 0, sizeof *s);
}

static bool room(rti_machine *m, void **items, uint32_t *capacity, uint32_t needed, size_t size)
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

static const rti_lexer_safety *safety_of(rti_machine *m, rti_lexer *lexer, uint32_t state, bool quickly)
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
    if (!room(w->m, (void **)&s->inside, &s->inside_capacity, s->inside_count + 1, sizeof *s->inside) ||
        !room(w->m, (void **)&s->inside_characters, &s->inside_characters_capacity, s->inside_count + 1, 1)) {
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
    if (!room(w->m, (void **)&s->leaving, &s->leaving_capacity, 2 * (s->leaving_count + count), sizeof *s->leaving) ||
        !room(w->m, (void **)&s->leaving_characters, &s->leaving_characters_capacity, s->leaving_count + count, 1)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        s->leaving[2 * s->leaving_count] = v->quotes[from + i].token;
        s->leaving[2 * s->leaving_count + 1] = v->quotes[from + i].tail;
        s->leaving_characters[s->leaving_count++] = (uint8_t)RTI_MIN(characters, 255u);
    }
}

// Every token at or below a node whose bytes are all safe.
static void add_stretch(walk *w, const rti_trie_node *n, const place *at, const rti_lexer_safety *f)
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

static void walk_set(walk *w, uint32_t node, const place *at);

bool rti_set_scratch_keys(rti_machine *m, rti_set_scratch *s, uint32_t count)
{
    return room(m, (void **)&s->keys, &s->keys_capacity, count, sizeof *s->keys);
}

bool rti_set_scratch_places(rti_machine *m, rti_set_scratch *s, uint32_t count)
{
    return room(m, (void **)&s->places, &s->place_capacity, count, sizeof *s->places);
}

// Whether the byte leads on; then `to` is where.
static bool step_byte(walk *w, const place *at, uint8_t byte, bool special, place *to)
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

// One node below where the walk is. f: what is safe there, or NULL.
static void visit(walk *w, const rti_trie_node *n, const place *at, const rti_lexer_safety *f)
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
    place to;
    if (!step_byte(w, at, byte, special, &to)) return;
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
        walk_set(w, (uint32_t)(n - w->v->nodes), &to);
        return;
    }
    const base *before = w->base;
    w->base = &w->common;
    to.on_base = true;
    walk_set(w, w->v->common, &to);
    w->base = before;
}

static const rti_lexer_safety *safety_here(walk *w, uint32_t node, const place *at)
{
    enum { WORTH_IT = 48 }; // tokens below
    if (at->part != 0 || at->on_base || w->leaving_only) return NULL;
    const rti_trie_below *below = &w->v->below[node];
    if (below->to - below->from >= WORTH_IT) return safety_of(w->m, w->terminal->lexer, at->state, true);
    return atomic_load_explicit(&rti_lexer_at(w->terminal->lexer, at->state)->safety, memory_order_acquire);
}

// Bit i: child i is worth looking at.
static uint64_t children_that_matter(const walk *w, uint32_t first, uint32_t count, const place *at)
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

static void walk_set(walk *w, uint32_t node, const place *at)
{
    uint32_t first = w->v->nodes[node].first, count = rti_trie_children(&w->v->nodes[node]);
    const rti_trie_node *children = &w->v->nodes[first];
    const rti_lexer_safety *f = safety_here(w, node, at);
    if (!at->on_base && !w->leaving_only) {
        for (uint32_t i = 0; i < count && w->m->error == RT_OK; i++) visit(w, &children[i], at, f);
        return;
    }
    for (uint32_t from = 0; from < count; from += 64) {
        uint64_t left = children_that_matter(w, first + from, RTI_MIN(count - from, 64u), at);
        for (; left != 0 && w->m->error == RT_OK; left &= left - 1) visit(w, &children[from + (uint32_t)__builtin_ctzll(left)], at, f);
    }
}

static void remove_bits(uint32_t *restrict bits, const uint32_t *restrict others, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++) bits[i] &= ~others[i];
}

// Removes the tokens with a character that is not safe, in as few and large groups as there are. `matter`: characters that
// are worth a thought at all.
static void remove_codes(const walk *w, uint32_t *bits, const uint64_t remove[2], const uint64_t matter[2])
{
    const rt_vocabulary *v = w->v;
    const uint32_t *groups[6] = { v->holds, v->holds_group }; // by the logarithm of the group's size
    for (uint32_t k = 2; k < 6; k++) groups[k] = groups[k - 1] + (size_t)(128u >> (k - 1)) * v->words;
    for (uint32_t code = 0; code < 128;) {
        uint32_t k = code == 0 ? 5 : RTI_MIN((uint32_t)__builtin_ctz(code), 5u);
        for (;; k--) {
            uint64_t span = (k == 6 ? 0 : (1ull << (1u << k))) - 1, there = span << (code % 64);
            bool any = (remove[code / 64] & there) != 0, all = (~remove[code / 64] & matter[code / 64] & there) == 0;
            if (any && !all) continue;
            if (any) remove_bits(bits, groups[k] + (size_t)(code >> k) * v->words, v->words);
            code += 1u << k;
            break;
        }
    }
}

// Whether a token of plain characters keeps the automaton alive.
static bool token_lives(walk *w, uint32_t token)
{
    const rt_vocabulary *v = w->v;
    place at = { .state = w->start };
    for (uint32_t i = v->offsets[token]; i < v->offsets[token + 1]; i++) {
        place to;
        if (!step_byte(w, &at, (uint8_t)v->bytes[i], false, &to)) return false;
        at = to;
    }
    return true;
}

static void gather_tokens(const walk *w, const uint64_t codes[2], uint32_t *restrict to)
{
    const rt_vocabulary *v = w->v;
    memset(to, 0, v->words * sizeof *to);
    for (uint32_t code = 0; code < 128; code++) {
        if ((codes[code / 64] >> (code % 64) & 1) == 0) continue;
        const uint32_t *restrict holds = v->holds + (size_t)code * v->words;
        for (uint32_t i = 0; i < v->words; i++) to[i] |= holds[i];
    }
}

// Takes the suspects that are dead out of the base.
static void try_suspects(walk *w, uint32_t *bits, const rti_lexer_suspect *x)
{
    uint32_t words = w->v->words, *restrict some = w->s->some, *restrict all = w->s->some + words;
    memcpy(all, bits, words * sizeof *all);
    for (uint32_t k = 0; k < x->count; k++) {
        gather_tokens(w, x->sets[k], some);
        for (uint32_t i = 0; i < words; i++) all[i] &= some[i];
    }
    for (uint32_t i = 0; i < words; i++) {
        for (uint32_t left = all[i]; left != 0; left &= left - 1) {
            uint32_t token = i * 32 + (uint32_t)__builtin_ctz(left);
            if (!token_lives(w, token)) bits[i] &= ~(left & -left);
        }
    }
}

// Takes out the tokens whose first characters, below a node, are safe only later on.
static void remove_first(const walk *w, uint32_t *bits, const rti_lexer_safety *f, const rti_trie_node *parent)
{
    const rt_vocabulary *v = w->v;
    for (uint32_t i = parent->first; i < parent->first + rti_trie_children(parent); i++) {
        uint8_t byte = v->nodes[i].byte;
        if (byte < 128 ? (f->first[byte / 64] >> (byte % 64) & 1) == 0 : !f->first_high) continue;
        for (uint32_t k = v->below[i].from; k < v->below[i].to; k++) bits[v->order[k] / 32] &= ~(1u << (v->order[k] % 32));
    }
}

static bool has(const uint64_t codes[2], uint8_t code)
{
    return (codes[code / 64] >> (code % 64) & 1) != 0;
}

static bool is_rich(const rti_lexer_safety *f)
{
    return __builtin_popcountll(f->safe[0]) + __builtin_popcountll(f->safe[1]) >= RICH && f->length != 0;
}

// The tokens of safe characters, or of the vocabulary's common first one and then safe ones.
static void make_base(walk *w, base *b, const rti_lexer_safety *f, bool common, uint32_t *bits)
{
    const rt_vocabulary *v = w->v;
    uint32_t words = v->words;
    *b = (base){ .safety = f, .leads = common };
    uint64_t matter[2] = { UINT64_MAX, UINT64_MAX };
    memcpy(bits, w->json ? v->plain : v->raw, words * sizeof *bits);
    if (w->json) { // what no plain token has
        matter[0] = ~(0xFFFFFFFFull | 1ull << '"');
        matter[1] = ~(1ull << ('\\' - 64));
    }
    uint64_t remove[2] = { ~f->safe[0] & matter[0], ~f->safe[1] & matter[1] };
    uint8_t first = v->nodes[v->common].byte;
    if (common) {
        const uint32_t *restrict begins = v->common_first;
        for (uint32_t i = 0; i < words; i++) bits[i] &= begins[i];
        if (has(remove, first)) remove_bits(bits, v->common_again, words);
        remove[first / 64] &= ~(1ull << (first % 64));
    }
    remove_codes(w, bits, remove, matter); // never in a group with the common character, for it matters
    if (!f->safe_high) remove_bits(bits, v->holds_high, words);
    if (f->safe_high && !f->safe_space) remove_bits(bits, v->holds_space, words);
    b->length = f->length + (common && f->length != RTI_SAFE_ANY);
    b->beyond_dead = f->beyond_dead;
    if (b->length > RTI_SHORT_LENGTHS && b->length != RTI_SAFE_ANY) { // one more than there are sets for
        b->length = RTI_SHORT_LENGTHS;
        b->beyond_dead = false;
    }
    if (b->length <= RTI_SHORT_LENGTHS) {
        const uint32_t *restrict shorter = v->short_of + (size_t)(b->length - 1) * words;
        for (uint32_t i = 0; i < words; i++) bits[i] &= shorter[i];
    }
    remove_first(w, bits, f, &v->nodes[common ? v->common : 0]);
    for (uint32_t i = 0; i < f->suspect_count; i++) try_suspects(w, bits, &f->suspects[i]);
    b->follow[0] = f->other[0] & matter[0];
    b->follow[1] = f->other[1] & matter[1];
    if (w->json) {
        b->follow[1] |= 1ull << ('\\' - 64);
        if (f->accepts || (b->length != RTI_SAFE_ANY && !b->beyond_dead)) b->follow[0] |= 1ull << '"';
    }
    w->few = RTI_MIN(w->few, f->few);
    if (!w->bounded) return;
    w->reach = RTI_MAX(w->reach, RTI_MIN(b->length, v->longest) + f->distance);
    w->distance = RTI_MAX(w->distance, f->distance);
}

static void make_bases(walk *w)
{
    const rt_vocabulary *v = w->v;
    rti_lexer *lexer = w->terminal->lexer;
    uint32_t *restrict bits = w->s->bits, words = v->words;
    const rti_lexer_safety *f = safety_of(w->m, lexer, w->start, false);
    memset(bits, 0, words * sizeof *bits);
    if (w->m->error != RT_OK) return;
    w->based = is_rich(f);
    if (w->based) {
        make_base(w, &w->whole, f, false, bits);
        w->base = &w->whole;
        w->pure &= f->alone;
    }
    uint8_t byte = v->nodes[v->common].byte;
    if (v->common == 0 || (w->json && (byte < 0x20 || byte == '"' || byte == '\\'))) return;
    if (w->based && has(f->safe, byte) && !has(f->first, byte)) return; // it is in there already
    uint32_t state = rti_machine_next(w->m, lexer, w->start, lexer->ascii[byte]);
    if (state == RTI_LEXER_DEAD || w->m->error != RT_OK) return;
    f = safety_of(w->m, lexer, state, true);
    if (!is_rich(f) || w->m->error != RT_OK) return;
    uint32_t *restrict more = w->s->some + 2 * words;
    make_base(w, &w->common, f, true, more);
    for (uint32_t i = 0; i < words; i++) bits[i] |= more[i];
    w->pure &= f->alone && state == w->pure_state;
}

// A state that goes on exactly as another one does: the start of [a-z]+ and what comes after the first letter.
static uint32_t twin_of(rti_machine *m, rti_lexer *lexer, uint32_t state)
{
    const rti_lexer_state *s = rti_lexer_at(lexer, state);
    for (uint32_t c = 0; c < lexer->class_count && c < 32; c++) {
        uint32_t other = rti_machine_next(m, lexer, state, c);
        if (other == state) return state;
        if (other == RTI_LEXER_DEAD) continue;
        if (s->accepts && !rti_lexer_at(lexer, other)->accepts) continue;
        bool same = true;
        for (uint32_t k = 0; k < lexer->class_count && same; k++) {
            same = rti_machine_next(m, lexer, state, k) == rti_machine_next(m, lexer, other, k);
        }
        if (same) return other;
    }
    return state;
}

// ---------------------------------------------------------------------------------------------------------------------
// Keeping
// ---------------------------------------------------------------------------------------------------------------------

typedef struct keep_request {
    walk *w;
    rti_pool *pool;
    _Atomic(void *) *list;
    uint32_t node, depth;
    const rti_token_set_t *share; // takes over the contents of this one
    const rti_token_set_t *result;
} keep_request;

static void *copy(rti_pool *pool, const void *items, size_t size)
{
    void *kept = rti_pool_take(pool, size + 1);
    if (size != 0) memcpy(kept, items, size);
    return kept;
}

static void sort_leaving(rti_pool *pool, const walk *w, rti_token_set_t *set)
{
    const rti_set_scratch *s = w->s;
    uint32_t tails = w->v->tail_count;
    uint32_t *from = rti_pool_take_array(pool, tails + 2, sizeof *from);
    uint32_t *tokens = rti_pool_take_array(pool, s->leaving_count + 1, sizeof *tokens);
    uint8_t *characters = rti_pool_take(pool, s->leaving_count + 1);
    for (uint32_t i = 0; i < s->leaving_count; i++) from[s->leaving[2 * i + 1] + 2]++;
    for (uint32_t i = 2; i <= tails + 1; i++) from[i] += from[i - 1];
    for (uint32_t i = 0; i < s->leaving_count; i++) {
        uint32_t at = from[s->leaving[2 * i + 1] + 1]++;
        tokens[at] = s->leaving[2 * i];
        characters[at] = s->leaving_characters[i];
    }
    set->tail_from = from;
    set->leaving = tokens;
    set->leaving_characters = characters;
}

static void keep(rt_grammar *g, void *user)
{
    (void)g;
    keep_request *r = user;
    rti_token_set_t *set = rti_pool_take(r->pool, sizeof *set);
    if (r->share != NULL) {
        *set = *r->share;
    } else {
        const walk *w = r->w;
        const rti_set_scratch *s = w->s;
        set->depth = r->depth;
        set->pure = w->pure;
        set->few = w->few;
        set->state = w->pure_state;
        set->reach = w->reach;
        set->distance = w->distance;
        set->inside_count = s->inside_count;
        set->inside = copy(r->pool, s->inside, s->inside_count * sizeof *s->inside);
        set->inside_characters = copy(r->pool, s->inside_characters, s->inside_count);
        if (w->root) set->bits = copy(r->pool, s->bits, w->v->words * sizeof *s->bits);
        sort_leaving(r->pool, w, set);
    }
    set->node = r->node;
    set->next = atomic_load_explicit(r->list, memory_order_relaxed);
    atomic_store_explicit(r->list, set, memory_order_release);
    r->result = set;
}

// The vocabulary's own sets have their own lock and memory.
static void keep_free(rti_machine *m, keep_request *r)
{
    rt_vocabulary *v = m->g->vocabulary;
    pthread_mutex_lock(&v->lock);
    jmp_buf way_out;
    v->pool.way_out = &way_out;
    r->pool = &v->pool;
    if (setjmp(way_out) == 0) {
        keep(m->g, r);
    } else {
        m->error = v->pool.result;
    }
    v->pool.way_out = NULL;
    pthread_mutex_unlock(&v->lock);
}

static const rti_token_set_t *find(_Atomic(void *) *list, uint32_t node)
{
    const rti_token_set_t *set = atomic_load_explicit(list, memory_order_acquire);
    while (set != NULL && set->node != node) set = set->next;
    return set;
}

typedef struct wanted {
    rti_lexer *lexer;
    _Atomic(void *) *list;
    bool free_string, leaving_only;
} wanted;

static wanted want(const rti_machine *m, const rti_thread *thread, bool leaving_only)
{
    const rt_grammar *g = m->g;
    const rti_terminal *own = &g->terminals[thread->a];
    rti_lexer_state *state = rti_lexer_at(own->lexer, thread->b);
    wanted x = { .lexer = own->lexer, .free_string = own->lexer->term == RTI_REGEX_ALL && !own->raw };
    x.leaving_only = leaving_only && !x.free_string;
    x.list = x.free_string ? &g->vocabulary->free_sets : x.leaving_only ? &state->leaving_sets : &state->sets;
    return x;
}

static bool begin_walk(rti_machine *m, rti_set_scratch *s, walk *w, const rti_thread *thread, uint32_t node, const wanted *x)
{
    const rt_grammar *g = m->g;
    const rti_terminal *own = &g->terminals[thread->a];
    *w = (walk){ .m = m, .v = g->vocabulary, .s = s, .terminal = &g->terminals[own->plain], .start = thread->b,
                 .root = node == 0 && !x->leaving_only, .leaving_only = x->leaving_only, .json = !own->raw,
                 .bounded = x->lexer->bounded, .pure = true, .few = RTI_REGEX_MANY, .pure_state = thread->b };
    s->inside_count = s->leaving_count = 0;
    if (!w->root) return true;
    if (s->bits == NULL) s->bits = rti_allocate(&m->host, w->v->words * sizeof *s->bits);
    if (s->some == NULL) s->some = rti_allocate(&m->host, 3 * w->v->words * sizeof *s->some);
    if (s->bits != NULL && s->some != NULL) return true;
    if (m->error == RT_OK) m->error = rti_fail(&m->host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a mask");
    return false;
}

static const rti_token_set_t *keep_walk(rti_machine *m, walk *w, const wanted *x, uint32_t node, uint32_t depth)
{
    keep_request r = { .w = w, .pool = &m->g->pool, .list = x->list, .node = node, .depth = depth };
    if (m->error != RT_OK) return NULL;
    if (x->free_string) {
        keep_free(m, &r);
    } else {
        rti_machine_locked(m, keep, &r);
    }
    return r.result;
}

static const rti_token_set_t *share_twin(rti_machine *m, const wanted *x, const rti_token_set_t *set)
{
    keep_request r = { .pool = &m->g->pool, .list = x->list, .node = set->node, .share = set };
    rti_machine_locked(m, keep, &r);
    return r.result;
}

// Below a node that is not the root: short enough to be made at once.
static const rti_token_set_t *make_below(rti_machine *m, rti_set_scratch *s, const rti_thread *thread, const wanted *x, uint32_t node, uint32_t depth)
{
    walk w;
    if (s->walk != NULL) s->walk->active = false; // its room is used now
    if (!begin_walk(m, s, &w, thread, node, x)) return NULL;
    place at = { .state = thread->b };
    for (uint32_t i = 0; i < depth; i++) {
        at.leads += (w.v->bytes[w.v->offsets[w.v->order[w.v->below[node].from]] + i] & 0xC0) != 0x80;
    }
    walk_set(&w, node, &at);
    return keep_walk(m, &w, x, node, depth);
}

// Some children of the root. True: that was all.
static bool walk_some(walk *w)
{
    enum { AT_ONCE = 6000 }; // tokens below
    const rt_vocabulary *v = w->v;
    const rti_trie_node *root = &v->nodes[0];
    place at = { .state = w->start, .on_base = w->based };
    const rti_lexer_safety *f = safety_here(w, 0, &at);
    uint32_t count = rti_trie_children(root);
    for (uint32_t seen = 0; w->next_child < count && seen < AT_ONCE && w->m->error == RT_OK; w->next_child++) {
        uint32_t child = root->first + w->next_child;
        seen += v->below[child].to - v->below[child].from;
        if ((at.on_base || w->leaving_only) && children_that_matter(w, child, 1, &at) == 0) continue;
        visit(w, &v->nodes[child], &at, f);
    }
    return w->next_child == count || w->m->error != RT_OK;
}

bool rti_token_set_step(rti_machine *m, rti_set_scratch *s, const rti_thread *thread, bool leaving_only)
{
    wanted x = want(m, thread, leaving_only);
    if (m->error != RT_OK || find(x.list, 0) != NULL) return true;
    uint32_t twin = x.free_string || x.leaving_only ? thread->b : twin_of(m, x.lexer, thread->b);
    if (twin != thread->b) {
        rti_thread other = *thread;
        other.b = twin;
        if (!rti_token_set_step(m, s, &other, leaving_only)) return false;
        if (m->error == RT_OK) share_twin(m, &x, find(want(m, &other, leaving_only).list, 0));
        return true;
    }
    if (s->walk == NULL) s->walk = rti_allocate_zeroed(&m->host, sizeof *s->walk);
    if (s->walk == NULL) {
        m->error = rti_fail(&m->host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a mask");
        return true;
    }
    walk *w = s->walk;
    bool same = w->active && w->terminal->lexer == x.lexer && w->start == thread->b && w->leaving_only == x.leaving_only;
    if (!same) {
        if (!begin_walk(m, s, w, thread, 0, &x)) return true;
        w->active = true;
    }
    if (!w->begun) {
        w->begun = true;
        if (w->root) make_bases(w);
        return m->error != RT_OK;
    }
    if (!walk_some(w)) return false;
    w->active = false;
    keep_walk(m, w, &x, 0, 0);
    return true;
}

const rti_token_set_t *rti_token_set_of(rti_machine *m, rti_set_scratch *s, const rti_thread *thread, uint32_t node, uint32_t depth,
                                        bool leaving_only)
{
    wanted x = want(m, thread, leaving_only);
    const rti_token_set_t *known = find(x.list, node);
    if (known != NULL || m->error != RT_OK) return known;
    if (node == 0) {
        while (!rti_token_set_step(m, s, thread, leaving_only)) continue;
        return m->error == RT_OK ? find(x.list, 0) : NULL;
    }
    uint32_t twin = x.free_string || x.leaving_only ? thread->b : twin_of(m, x.lexer, thread->b);
    if (twin == thread->b) return make_below(m, s, thread, &x, node, depth);
    rti_thread other = *thread;
    other.b = twin;
    const rti_token_set_t *set = rti_token_set_of(m, s, &other, node, depth, leaving_only);
    return set != NULL ? share_twin(m, &x, set) : NULL;
}
