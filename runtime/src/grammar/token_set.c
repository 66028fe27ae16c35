// SPDX-License-Identifier: MIT
#include "grammar/token_set.h"

#include <string.h>

enum { RICH = 16 }; // safe characters, from which on bit sets are quicker than walking

typedef struct walk {
    rti_machine *m;
    const rt_vocabulary *v;
    rti_set_scratch *s;
    const rti_terminal *terminal; // plain
    uint32_t start;               // state
    bool root, based;             // based: tokens of safe characters are in the bits already
    bool json, bounded, pure, finite;
    uint32_t pure_state, reach, distance;
    uint64_t safe[2], other[2];
    bool safe_high, safe_space, other_high;
    bool limited; // longer tokens are not in the bits
    bool leaving_only;
    uint32_t last_end;
} walk;

void rti_set_scratch_end(rti_machine *m, rti_set_scratch *s)
{
    const rt_host *h = &m->host;
    size_t words = m->g->vocabulary->words;
    rti_release(h, s->bits, words * sizeof *s->bits);
    rti_release(h, s->inside, s->inside_capacity * sizeof *s->inside);
    rti_release(h, s->inside_characters, s->inside_characters_capacity);
    rti_release(h, s->leaving, s->leaving_capacity * sizeof *s->leaving);
    rti_release(h, s->leaving_characters, s->leaving_characters_capacity);
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

typedef struct profile_request {
    rti_lexer *lexer;
    uint32_t state;
    const rti_lexer_profile *profile;
} profile_request;

static void build_profile(rt_grammar *g, void *user)
{
    (void)g;
    profile_request *r = user;
    r->profile = rti_lexer_profile_of(r->lexer, r->state);
}

static const rti_lexer_profile *profile_of(rti_machine *m, rti_lexer *lexer, uint32_t state)
{
    const rti_lexer_profile *known = atomic_load_explicit(&rti_lexer_at(lexer, state)->profile, memory_order_acquire);
    if (known != NULL) return known;
    static const rti_lexer_profile nothing;
    profile_request r = { lexer, state, NULL };
    rti_machine_locked(m, build_profile, &r);
    return r.profile != NULL ? r.profile : &nothing;
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
        w->finite |= rti_lexer_at(w->terminal->lexer, state)->finite;
    }
    if (w->bounded) note_reach(w, characters, state);
}

static inline void add_inside(walk *w, const rti_trie_node *n, uint32_t characters, uint32_t state, bool escaped)
{
    if (w->leaving_only) return;
    uint32_t token = n->token;
    do {
        if (w->root) rti_mask_set(w->s->bits, token);
        if (!w->root || escaped) list_inside(w, token, characters);
        token = n->doubled ? w->v->same[token] : RTI_NO_TOKEN;
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

// Every token at or below a node whose bytes all loop.
static void add_stretch(walk *w, const rti_trie_node *n, uint32_t characters, uint32_t leads, uint32_t state, bool escaped)
{
    const rt_vocabulary *v = w->v;
    if (w->leaving_only) return;
    for (uint32_t i = n->from; i < n->to; i++) {
        uint32_t token = v->order[i];
        if (n->high && (v->raw[token / 32] >> (token % 32) & 1) == 0) continue;
        if (w->root) rti_mask_set(w->s->bits, token);
        if (w->root && !escaped && !w->bounded) continue;
        uint32_t more = v->characters[token] - RTI_MIN(leads, (uint32_t)v->characters[token]);
        if (!w->root || escaped) list_inside(w, token, characters + more);
        note_end(w, characters + more, state);
    }
    note_end(w, characters, state);
}

// Control characters, quotes and backslashes do not stand for themselves inside JSON.
static bool all_loop(const walk *w, const rti_lexer_profile *p, const rti_trie_node *n)
{
    uint64_t low = p->loop[0], high = p->loop[1];
    if (w->json) {
        low &= ~(0xFFFFFFFFull | 1ull << '"');
        high &= ~(1ull << ('\\' - 64));
    }
    return (n->bytes[0] & ~low) == 0 && (n->bytes[1] & ~high) == 0 && (!n->high || p->loop_high);
}

static bool matters(const walk *w, const rti_trie_node *n)
{
    return (n->bytes[0] & w->other[0]) != 0 || (n->bytes[1] & w->other[1]) != 0 || (n->high && w->other_high) ||
           (n->has_space && w->safe_high && !w->safe_space) || (n->has_long && w->limited);
}

static bool is_safe(const walk *w, const rti_trie_node *n)
{
    if (n->byte >= 128) return w->safe_high && (w->safe_space || !n->has_space);
    return (w->safe[n->byte / 64] >> (n->byte % 64) & 1) != 0;
}

// leads: first bytes of characters since the token began; characters: decoded ones since the string or the token began.
static void walk_set(walk *w, uint32_t node, const rti_thread *t, uint32_t characters, uint32_t leads, bool on_base, bool escaped)
{
    const rt_vocabulary *v = w->v;
    rti_lexer *lexer = w->terminal->lexer;
    const rti_lexer_state *state = rti_lexer_at(lexer, t->b);
    const rti_lexer_profile *p = t->part == 0 && !on_base && !w->leaving_only ? profile_of(w->m, lexer, t->b) : NULL;
    const rti_trie_node *children = &v->nodes[v->nodes[node].first];
    uint32_t count = v->nodes[node].children;
    for (uint32_t i = 0; i < count && w->m->error == RT_OK; i++) {
        const rti_trie_node *n = &children[i];
        if (on_base && !matters(w, n)) continue;
        if (w->leaving_only && (n->bytes['"' / 64] >> ('"' % 64) & 1) == 0) continue;
        uint8_t byte = n->byte;
        bool special = w->json && (byte < 0x20 || byte == '"' || byte == '\\');
        if (t->part == 0 && special && byte == '"') {
            if (state->accepts) add_leaving(w, (uint32_t)(n - v->nodes), characters);
            continue;
        }
        // (A token that begins inside a character is not whole, so its other characters are looked at one by one.)
        if (p != NULL && (w->root || !n->high) && all_loop(w, p, n)) {
            add_stretch(w, n, characters, leads, t->b, escaped);
            continue;
        }
        bool plain = t->part == 0 && byte < 128 && !special, escape = special && t->part == 0;
        rti_thread next;
        if (plain) {
            uint32_t code_class = lexer->ascii[byte], to = atomic_load_explicit(&state->next[code_class], memory_order_acquire);
            if (to == RTI_LEXER_UNKNOWN) to = rti_machine_next(w->m, lexer, t->b, code_class);
            if (to == RTI_LEXER_DEAD) continue;
            next.b = to;
            next.part = 0;
        } else {
            next = *t;
            if (!rti_string_byte(w->m, &next, byte)) continue;
        }
        bool base = on_base && !escape && is_safe(w, n);
        uint32_t now = characters + (next.part == 0);
        if (n->token != RTI_NO_TOKEN && !(base && (!w->limited || v->characters[n->token] <= RTI_SHORT_LENGTHS))) {
            add_inside(w, n, next.part == 0 ? now : now + 1, next.b, escaped || escape);
        }
        if (n->children == 0) continue;
        if (plain) {
            uint32_t to = next.b;
            next = *t;
            next.b = to;
        }
        walk_set(w, (uint32_t)(n - v->nodes), &next, now, leads + ((byte & 0xC0) != 0x80), base, escaped || escape);
    }
}

typedef struct safety_request {
    rti_lexer *lexer;
    uint32_t state;
    bool distance;
    rti_lexer_safety safety;
} safety_request;

static void find_safety(rt_grammar *g, void *user)
{
    (void)g;
    safety_request *r = user;
    rti_lexer_safety_of(r->lexer, r->state, RTI_SHORT_LENGTHS + 1, r->distance, &r->safety);
}

static void make_base(walk *w)
{
    const rt_vocabulary *v = w->v;
    uint32_t *restrict bits = w->s->bits, words = v->words;
    safety_request r = { .lexer = w->terminal->lexer, .state = w->start, .distance = w->bounded };
    rti_machine_locked(w->m, find_safety, &r);
    const rti_lexer_safety *f = &r.safety;
    uint32_t safe = (uint32_t)(__builtin_popcountll(f->safe[0]) + __builtin_popcountll(f->safe[1]));
    w->based = safe >= RICH && w->m->error == RT_OK;
    if (!w->based) {
        memset(bits, 0, words * sizeof *bits);
        return;
    }
    memcpy(bits, w->json ? v->plain : v->raw, words * sizeof *bits);
    for (uint32_t code = w->json ? 0x20 : 0; code < 128; code++) {
        if ((f->safe[code / 64] >> (code % 64) & 1) != 0 || (w->json && (code == '"' || code == '\\'))) continue;
        const uint32_t *restrict holds = v->holds + (size_t)code * words;
        for (uint32_t i = 0; i < words; i++) bits[i] &= ~holds[i];
    }
    if (!f->safe_high) {
        for (uint32_t i = 0; i < words; i++) bits[i] &= ~v->holds_high[i];
    }
    if (f->safe_high && !f->safe_space) {
        for (uint32_t i = 0; i < words; i++) bits[i] &= ~v->holds_space[i];
    }
    w->limited = !f->closed;
    if (w->limited) {
        const uint32_t *restrict shorter = v->short_of + (size_t)(RTI_SHORT_LENGTHS - 1) * words;
        for (uint32_t i = 0; i < words; i++) bits[i] &= shorter[i];
    }
    memcpy(w->safe, f->safe, sizeof w->safe);
    memcpy(w->other, f->other, sizeof w->other);
    w->safe_high = f->safe_high;
    w->safe_space = f->safe_space;
    w->other_high = f->other_high;
    if (w->json) {
        w->other['\\' / 64] |= 1ull << ('\\' % 64);
        w->other['"' / 64] |= 1ull << ('"' % 64);
    }
    w->pure &= f->alone;
    w->finite |= f->finite;
    if (!w->bounded) return;
    w->reach = (w->limited ? (uint32_t)RTI_SHORT_LENGTHS : v->longest) + f->distance;
    w->distance = f->distance;
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
        set->finite = w->finite;
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

const rti_token_set_t *rti_token_set_of(rti_machine *m, rti_set_scratch *s, const rti_thread *thread, uint32_t node, uint32_t depth,
                                        bool leaving_only)
{
    rt_grammar *g = m->g;
    const rti_terminal *own = &g->terminals[thread->a];
    rti_lexer *lexer = own->lexer;
    bool free_string = lexer->term == RTI_REGEX_ALL && !own->raw;
    leaving_only = leaving_only && !free_string;
    _Atomic(void *) *list = free_string ? &g->vocabulary->free_sets : leaving_only ? &rti_lexer_at(lexer, thread->b)->leaving_sets
                                                                           : &rti_lexer_at(lexer, thread->b)->sets;
    const rti_token_set_t *known = find(list, node);
    if (known != NULL || m->error != RT_OK) return known;
    keep_request r = { .pool = &g->pool, .list = list, .node = node, .depth = depth };
    uint32_t twin = free_string || leaving_only ? thread->b : twin_of(m, lexer, thread->b);
    if (twin != thread->b) {
        rti_thread other = *thread;
        other.b = twin;
        r.share = rti_token_set_of(m, s, &other, node, depth, leaving_only);
        if (r.share == NULL) return NULL;
        rti_machine_locked(m, keep, &r);
        return r.result;
    }
    walk w = { .m = m, .v = g->vocabulary, .s = s, .terminal = &g->terminals[own->plain], .start = thread->b, .root = node == 0 && !leaving_only,
               .leaving_only = leaving_only,
               .json = !own->raw, .bounded = lexer->bounded, .pure = true, .pure_state = thread->b };
    s->inside_count = s->leaving_count = 0;
    if (w.root) {
        if (s->bits == NULL) s->bits = rti_allocate(&m->host, w.v->words * sizeof *s->bits);
        if (s->bits == NULL) {
            m->error = rti_fail(&m->host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a mask");
            return NULL;
        }
        make_base(&w);
    }
    rti_thread t = { .kind = RTI_THREAD_STRING, .a = own->plain, .b = thread->b, .t = RTI_OUTSIDE };
    uint32_t leads = 0;
    for (uint32_t i = 0; i < depth; i++) {
        leads += (w.v->bytes[w.v->offsets[w.v->order[w.v->nodes[node].from]] + i] & 0xC0) != 0x80;
    }
    walk_set(&w, node, &t, 0, leads, w.based, false);
    if (m->error != RT_OK) return NULL;
    r.w = &w;
    if (free_string) {
        keep_free(m, &r);
    } else {
        rti_machine_locked(m, keep, &r);
    }
    return r.result;
}
