// Token sets, each found once and kept with the state of its automaton, or with the vocabulary.
// SPDX-License-Identifier: MIT
#include "grammar/token_walk.h"

#include <string.h>

typedef rti_set_walk walk;

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

bool rti_set_scratch_keys(rti_machine *m, rti_set_scratch *s, uint32_t count)
{
    return rti_set_room(m, (void **)&s->keys, &s->keys_capacity, count, sizeof *s->keys);
}

bool rti_set_scratch_places(rti_machine *m, rti_set_scratch *s, uint32_t count)
{
    return rti_set_room(m, (void **)&s->places, &s->place_capacity, count, sizeof *s->places);
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
    rti_walk_place at = { .state = thread->b };
    for (uint32_t i = 0; i < depth; i++) {
        at.leads += (w.v->bytes[w.v->offsets[w.v->order[w.v->below[node].from]] + i] & 0xC0) != 0x80;
    }
    rti_walk_below(&w, node, &at);
    return keep_walk(m, &w, x, node, depth);
}

// Some children of the root. True: that was all.
static bool walk_some(walk *w)
{
    enum { AT_ONCE = 6000 }; // tokens below
    const rt_vocabulary *v = w->v;
    const rti_trie_node *root = &v->nodes[0];
    rti_walk_place at = { .state = w->start, .on_base = w->based };
    const rti_lexer_safety *f = rti_walk_safety_here(w, 0, &at);
    uint32_t count = rti_trie_children(root);
    for (uint32_t seen = 0; w->next_child < count && seen < AT_ONCE && w->m->error == RT_OK; w->next_child++) {
        uint32_t child = root->first + w->next_child;
        seen += v->below[child].to - v->below[child].from;
        if ((at.on_base || w->leaving_only) && rti_walk_children(w, child, 1, &at) == 0) continue;
        rti_walk_visit(w, &v->nodes[child], &at, f);
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
        if (w->root) rti_walk_make_bases(w);
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
