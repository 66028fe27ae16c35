// SPDX-License-Identifier: MIT
#include "grammar/mask.h"

#include "grammar/repeats.h"
#include "grammar/trigger.h"
#include "grammar/unseen.h"

#include <string.h>

enum {
    FEW_TOKENS = 12, // below a node with so few, stepping is quicker than a set
    FEW_OPEN = 2000, // tokens, up to which reading each of them is quicker than walking to them
};

// ---------------------------------------------------------------------------------------------------------------------
// Strings
// ---------------------------------------------------------------------------------------------------------------------

// A string between two characters, whose set tells all; not where repeats may use up what is left.
static bool at_boundary(rti_machine *m, const rti_thread *t)
{
    return (t->kind == RTI_THREAD_STRING || t->kind == RTI_THREAD_KEY_STRING) && t->part == 0 && !rti_string_may_run_out(m, t);
}

// Whether the string can take the bytes of a token that is known to stay inside, its length bound included.
static bool token_fits(rti_mask_job *job, const rti_token_set_t *set, const rti_thread *t, uint32_t token)
{
    rti_machine *m = job->m;
    const rt_vocabulary *v = m->g->vocabulary;
    const rti_terminal *x = &m->g->terminals[t->a];
    uint32_t at = v->offsets[token] + set->depth, end = v->offsets[token + 1];
    rti_thread next = *t;
    // Whole characters are quick: only where they end has to leave enough room, for each step less leaves no more.
    while (t->h == 0 && at < end) {
        uint8_t byte = (uint8_t)v->bytes[at];
        uint32_t code = byte, size = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
        bool valid = true;
        if (at + size > end || (!x->raw && (byte < 0x20 || byte == '"' || byte == '\\'))) break;
        if (byte >= 128) rti_utf8_decode(v->bytes + at, v->bytes + end, &code, &valid);
        if (!valid) break;
        next.b = rti_machine_next(m, x->lexer, next.b, rti_lexer_class_of(x->lexer, code));
        if (next.b == RTI_LEXER_DEAD) return false;
        next.n++;
        at += size;
    }
    if (next.n > x->high || rti_machine_distance(m, x->lexer, next.b) > x->high - next.n) return false;
    for (; at < end; at++) {
        if (!rti_string_byte(m, &next, (uint8_t)v->bytes[at])) return false;
    }
    return true;
}

typedef struct bounded {
    rti_mask_job *job;
    const rti_terminal *terminal;
    uint32_t sure, left;
} bounded;

// Tokens of more than `sure` characters. leads: first bytes of characters so far.
static void walk_bounded(const bounded *b, uint32_t node, const rti_thread *t, uint32_t leads)
{
    rti_machine *m = b->job->m;
    const rt_vocabulary *v = m->g->vocabulary;
    const rti_terminal *x = b->terminal;
    const rti_trie_node *n = &v->nodes[v->nodes[node].first], *end = n + rti_trie_children(&v->nodes[node]);
    for (; n < end && m->error == RT_OK; n++) {
        uint8_t byte = n->byte;
        uint32_t now = leads + ((byte & 0xC0) != 0x80);
        if (n->longest <= b->sure || now > b->left) continue;
        if (!x->raw && t->part == 0 && (byte < 0x20 || byte == '"' || byte == '\\')) continue;
        rti_thread next = *t;
        if (t->part == 0 && byte < 128 && t->h == 0) {
            next.b = rti_machine_next(m, x->lexer, t->b, x->lexer->ascii[byte]);
            next.n++;
            if (next.b == RTI_LEXER_DEAD || rti_machine_distance(m, x->lexer, next.b) > x->high - next.n) continue;
        } else if (!rti_string_byte(m, &next, byte)) {
            continue;
        }
        uint32_t child = (uint32_t)(n - v->nodes);
        if (now > b->sure) rti_mask_set_all(v, b->job->words, v->ends[child]);
        if ((n->flags & RTI_TRIE_LEAF) == 0) walk_bounded(b, child, &next, now);
    }
}

// The bound is near: tokens of up to `sure` characters fit, those of more than `left` do not.
static void set_bounded(rti_mask_job *job, const rti_token_set_t *set, const rti_thread *t, uint32_t sure, uint32_t left)
{
    const rt_vocabulary *v = job->m->g->vocabulary;
    for (uint32_t i = 0; i < set->inside_count; i++) {
        uint32_t characters = set->inside_characters[i], token = set->inside[i];
        if (characters <= sure || (characters <= left && token_fits(job, set, t, token))) rti_mask_set(job->words, token);
    }
    if (set->bits == NULL) return;
    uint32_t shortest = RTI_MIN(sure, (uint32_t)RTI_SHORT_LENGTHS), open = 0;
    const uint32_t *restrict bits = set->bits, *restrict possible = v->short_of + (size_t)(RTI_MIN(left, (uint32_t)RTI_SHORT_LENGTHS) - 1) * v->words;
    uint32_t *restrict words = job->words;
    if (shortest != 0) {
        const uint32_t *restrict allowed = v->short_of + (size_t)(shortest - 1) * v->words;
        for (uint32_t i = 0; i < v->words; i++) words[i] |= bits[i] & allowed[i];
    }
    for (uint32_t i = 0; sure < left && i < v->words; i++) open += (uint32_t)__builtin_popcount(bits[i] & possible[i] & ~words[i]);
    if (open > FEW_OPEN) {
        walk_bounded(&(bounded){ job, &job->m->g->terminals[t->a], shortest, left }, 0, t, 0);
        return;
    }
    for (uint32_t i = 0; open != 0 && i < v->words; i++) {
        for (uint32_t some = bits[i] & possible[i] & ~words[i]; some != 0; some &= some - 1) {
            uint32_t token = i * 32 + (uint32_t)__builtin_ctz(some);
            if (v->characters[token] <= sure || token_fits(job, set, t, token)) rti_mask_set(words, token);
        }
    }
    for (uint32_t i = 0; i < v->long_count && left > RTI_SHORT_LENGTHS; i++) {
        uint32_t token = v->long_tokens[i];
        if (v->characters[token] > left || (bits[token / 32] >> (token % 32) & 1) == 0) continue;
        if (v->characters[token] <= sure || token_fits(job, set, t, token)) rti_mask_set(words, token);
    }
}

// The tokens that stay inside.
static void set_inside(rti_mask_job *job, const rti_token_set_t *set, const rti_thread *t)
{
    rti_machine *m = job->m;
    const rt_vocabulary *v = m->g->vocabulary;
    const rti_terminal *x = &m->g->terminals[t->a];
    if (x->counts && x->high != RTI_NO_MAXIMUM) {
        uint32_t left = x->high - t->n, sure = left, others = rti_others_of(m, t);
        bool free_string = x->lexer->term == RTI_REGEX_ALL;
        if (left == 0) return;
        if ((free_string ? v->longest : set->reach) >= left) {
            bool repeats = free_string && others != 0;
            if (repeats) { // a token that fills the string must not make it one that was there
                sure = left - 1;
            } else if (!free_string && set->pure) { // all end where one distance holds
                uint32_t distance = rti_machine_distance(m, x->lexer, set->state);
                left = sure = distance >= left ? 0 : left - distance;
                if (left == 0) return;
            } else if (!free_string) {
                sure = set->distance >= left ? 0 : left - set->distance;
            }
            if (!free_string && others != 0) {
                uint32_t near = others + RTI_NEAR_END;
                sure = near >= sure ? 0 : sure - near;
            }
            set_bounded(job, set, t, sure, left);
            return;
        }
    }
    if (set->bits != NULL) {
        for (uint32_t i = 0; i < RTI_USED_SETS; i++) {
            if (job->used[i] == set->bits) return;
        }
        job->used[job->next_used++ % RTI_USED_SETS] = set->bits;
        uint32_t *restrict words = job->words;
        const uint32_t *restrict bits = set->bits;
        for (uint32_t i = 0; i < v->words; i++) words[i] |= bits[i];
    } else {
        for (uint32_t i = 0; i < set->inside_count; i++) rti_mask_set(job->words, set->inside[i]);
    }
}

typedef struct leaving {
    rti_mask_job *job;
    const rti_token_set_t *set;
    const rti_thread *t;
    bool each; // every prefix must be read again: excluded or repeated strings
    bool within; // and, where it may make a value around it one that was there, the whole token
    bool accepts, counts;
    uint32_t low, high; // characters that a prefix may have
} leaving;

static bool leads_on(const leaving *l, uint32_t token)
{
    rti_machine *m = l->job->m;
    const rt_vocabulary *v = m->g->vocabulary;
    rti_machine_mark mark = rti_machine_here(m);
    uint32_t first = m->thread_count, from = first, to = first + 1;
    *rti_machine_push(m) = *l->t;
    bool on = m->thread_count == to;
    for (uint32_t i = v->offsets[token] + l->set->depth; i < v->offsets[token + 1] && on; i++) {
        on = rti_machine_step(m, from, to, (uint8_t)v->bytes[i]) != 0;
        from = to;
        to = m->thread_count;
    }
    m->thread_count = first;
    rti_machine_forget(m, mark);
    return on;
}

// Reads the part of a token before its quote: may the string end there?
static bool prefix_allowed(leaving *l, uint32_t token, uint32_t tail_size)
{
    rti_machine *m = l->job->m;
    const rt_vocabulary *v = m->g->vocabulary;
    uint32_t from = v->offsets[token] + l->set->depth, to = v->offsets[token + 1] - 1 - tail_size;
    rti_thread t = *l->t;
    for (uint32_t i = from; i < to; i++) {
        if (!rti_string_byte(m, &t, (uint8_t)v->bytes[i])) return false;
    }
    if (!rti_string_accepts(m, &t)) return false;
    if (t.h != 0 && rti_is_seen(m, rti_own_list(m, &t), t.h)) return false;
    return !l->within || !rti_string_may_repeat(m, &t) || leads_on(l, token);
}

// Whether some token whose tail begins with this one is not in the mask yet.
static bool tail_is_open(const leaving *l, uint32_t tail)
{
    const rti_token_set_t *set = l->set;
    uint32_t end = set->tail_from[l->job->m->g->vocabulary->tails[tail].end];
    for (uint32_t i = set->tail_from[tail]; i < end; i++) {
        uint32_t token = set->leaving[i];
        if ((l->job->words[token / 32] >> (token % 32) & 1) == 0) return true;
    }
    return false;
}

static void walk_tail(leaving *l, uint32_t tail, uint32_t from, uint32_t to)
{
    rti_machine *m = l->job->m;
    const rt_vocabulary *v = m->g->vocabulary;
    uint32_t size = v->tails[tail].size;
    for (uint32_t i = l->set->tail_from[tail]; i < l->set->tail_from[tail + 1]; i++) {
        uint32_t characters = l->set->leaving_characters[i], token = l->set->leaving[i];
        if ((l->job->words[token / 32] >> (token % 32) & 1) != 0) continue; // another way to read it was enough
        if (characters == 0 && !l->accepts) continue;
        if (l->counts && (characters < l->low || characters > l->high)) continue;
        if (l->each && !prefix_allowed(l, token, size)) continue;
        rti_mask_set(l->job->words, token);
    }
    for (uint32_t i = v->tails[tail].first; i != 0 && m->error == RT_OK; i = v->tails[i].next) {
        if (!tail_is_open(l, i)) continue;
        uint32_t first = m->thread_count;
        if (rti_machine_step(m, from, to, v->tails[i].byte) != 0) walk_tail(l, i, first, m->thread_count);
        m->thread_count = first;
    }
}

// Inside equal strings, only in different places: one set, one walk of the tails with all that follows.
static bool same_string(const rti_thread *a, const rti_thread *b)
{
    return a->kind == b->kind && a->a == b->a && a->b == b->b && a->n == b->n && a->part == b->part && a->t == b->t && a->h == b->h;
}

// Whether a thread can share the walk of others: what came before in its container does not matter to the string.
static bool can_share(rti_machine *m, const rti_thread *t)
{
    return rti_others_of(m, t) == 0;
}

// What is done with a list of threads is kept beside it, for lists may be long: a hash of the string for those that can share.
enum { KEY_ALONE, KEY_DONE, KEY_FIRST };

static bool make_keys(rti_mask_job *job, uint32_t from, uint32_t to)
{
    rti_machine *m = job->m;
    if (!rti_set_scratch_keys(m, job->scratch, to - from)) return false;
    for (uint32_t i = from; i < to; i++) {
        const rti_thread *t = &m->threads[i];
        uint32_t *key = &job->scratch->keys[i - from];
        *key = KEY_ALONE;
        if (!at_boundary(m, t) || !can_share(m, t)) continue;
        uint64_t hash = rti_hash_mix(rti_hash_mix(rti_hash_mix(t->h, (uint64_t)t->b << 32 | t->a), (uint64_t)t->n << 32 | t->t), t->kind);
        *key = RTI_MAX((uint32_t)hash, (uint32_t)KEY_FIRST);
    }
    return true;
}

// Thread `at` of [from, to): the tokens that leave its string, and the strings of those that share it, which are done then.
static void set_leaving(rti_mask_job *job, const rti_token_set_t *set, const rti_thread *t, uint32_t at, uint32_t from, uint32_t to)
{
    rti_machine *m = job->m;
    const rti_terminal *x = &m->g->terminals[t->a];
    if (x->raw) return;
    leaving l = { .job = job, .set = set, .t = t, .accepts = rti_lexer_at(x->lexer, t->b)->accepts, .counts = x->counts };
    uint32_t *keys = job->scratch->keys, key = keys[at - from];
    l.each = t->t != RTI_OUTSIDE || key == KEY_ALONE;
    l.within = t->h != 0 && m->frames[t->frame].within > 1;
    if (x->counts) {
        l.low = t->n >= x->low ? 0 : x->low - t->n;
        l.high = x->high == RTI_NO_MAXIMUM ? UINT32_MAX : x->high - t->n;
    }
    rti_machine_mark mark = rti_machine_here(m);
    uint32_t first = m->thread_count;
    rti_thread closed = *t;
    if (closed.h != 0) closed.h = RTI_HASH_NO_VALUE; // which one it is does not matter for the tail
    rti_machine_close_string(m, &closed);
    for (uint32_t i = at + 1; i < to && key != KEY_ALONE; i++) {
        if (keys[i - from] != key || !same_string(&m->threads[i], t)) continue;
        keys[i - from] = KEY_DONE;
        rti_thread other = m->threads[i];
        if (other.h != 0) other.h = closed.h;
        rti_machine_close_string(m, &other);
    }
    if (m->thread_count > first) walk_tail(&l, 0, first, m->thread_count);
    m->thread_count = first;
    rti_machine_forget(m, mark);
}

// Where the classes of keys share out all strings, what stays inside is what stays inside any string: then `any` is one.
static bool shares_any_key(rti_machine *m, const rti_thread *t, rti_thread *any)
{
    const rti_object *o = t->kind == RTI_THREAD_KEY_STRING ? &m->g->objects[m->frames[t->frame].block] : NULL;
    if (o == NULL || !o->open) return false;
    for (uint32_t i = 0; i < o->class_count; i++) { // near the limit of nesting some may be missing
        const rti_key_class *x = &m->g->classes[o->classes + i];
        uint32_t height = UINT32_MAX;
        for (uint32_t k = 0; k < x->variant_count; k++) height = RTI_MIN(height, m->g->nodes[m->g->variants[x->variants + k].node].height);
        if (height + m->frames[t->frame].depth > m->g->max_depth) return false;
    }
    if (rti_others_of(m, t) != 0 && m->g->terminals[t->a].counts) return false;
    *any = (rti_thread){ .kind = RTI_THREAD_STRING, .a = o->any_key, .b = RTI_LEXER_START, .t = RTI_OUTSIDE };
    return true;
}

// One step towards the sets that a thread needs; true when they are there.
static bool prepare_sets(rti_mask_job *job, const rti_thread *t)
{
    rti_thread any;
    if (!shares_any_key(job->m, t, &any)) return rti_token_set_step(job->m, job->scratch, t, false);
    return rti_token_set_step(job->m, job->scratch, &any, false) && rti_token_set_step(job->m, job->scratch, t, true);
}

// False: repeats may use up what is left, so every token must be tried.
static bool set_string(rti_mask_job *job, const rti_thread *t, uint32_t node, uint32_t depth, uint32_t at, uint32_t from, uint32_t to)
{
    rti_machine *m = job->m;
    rti_thread any;
    if (shares_any_key(m, t, &any)) {
        const rti_token_set_t *inside = rti_token_set_of(m, job->scratch, &any, node, depth, false);
        const rti_token_set_t *leave = inside == NULL ? NULL : rti_token_set_of(m, job->scratch, t, node, depth, true);
        if (leave == NULL) return true;
        set_inside(job, inside, &any);
        set_leaving(job, leave, t, at, from, to);
        return true;
    }
    const rti_token_set_t *set = rti_token_set_of(m, job->scratch, t, node, depth, false);
    if (set == NULL) return true; // the failure is kept
    uint32_t others = rti_others_of(m, t);
    if (others != 0 && set->few <= others) return false;
    set_inside(job, set, t);
    set_leaving(job, set, t, at, from, to);
    return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Everything else: the trie and the threads together
// ---------------------------------------------------------------------------------------------------------------------

// The walk keeps its own stack, so that it can pause between any two nodes.
static void push_place(rti_mask_job *job, uint32_t node, uint32_t depth, uint32_t from, uint32_t to, rti_machine_mark mark)
{
    rti_machine *m = job->m;
    rti_set_scratch *s = job->scratch;
    if (!rti_set_scratch_places(m, s, s->place_count + 1)) return;
    rti_mask_place *p = &s->places[s->place_count++];
    *p = (rti_mask_place){ .node = node, .depth = depth, .from = from, .to = to, .mark = mark };
    for (uint32_t i = from; i < to; i++) rti_thread_bytes(m, &m->threads[i], p->bytes);
    uint32_t possible = 0;
    for (int i = 0; i < 4; i++) possible += (uint32_t)__builtin_popcountll(p->bytes[i]);
    p->by_child = rti_trie_children(&m->g->vocabulary->nodes[node]) <= 4 * possible;
}

static void pop_place(rti_mask_job *job)
{
    const rti_mask_place *p = &job->scratch->places[--job->scratch->place_count];
    job->m->thread_count = p->from;
    rti_machine_forget(job->m, p->mark);
}

// The next child that some thread may enter, or 0. Looks at each child where they are few, at each byte where those are.
static uint32_t next_child(const rt_vocabulary *v, rti_mask_place *p)
{
    const rti_trie_node *n = &v->nodes[p->node];
    for (uint32_t count = rti_trie_children(n); p->by_child && p->next < count;) {
        uint32_t child = n->first + p->next++, byte = v->nodes[child].byte;
        if ((p->bytes[byte / 64] >> (byte % 64) & 1) != 0) return child;
    }
    if (p->by_child) return 0;
    while (p->next < 256) {
        uint64_t left = p->bytes[p->next / 64] >> (p->next % 64);
        if (left == 0) {
            p->next = (p->next / 64 + 1) * 64;
            continue;
        }
        p->next += (uint32_t)__builtin_ctzll(left);
        uint32_t child = rti_trie_child(v, p->node, (uint8_t)p->next++);
        if (child != 0) return child;
    }
    return 0;
}

// Uses the sets of what is inside a string at a node, and keeps the other threads.
static void use_sets(rti_mask_job *job, uint32_t node, uint32_t depth, uint32_t from)
{
    rti_machine *m = job->m;
    uint32_t to = m->thread_count, kept = from;
    if (!make_keys(job, from, to)) return;
    for (uint32_t i = from; i < to; i++) {
        rti_thread t = m->threads[i];
        uint32_t *key = &job->scratch->keys[i - from];
        if (*key != KEY_DONE && at_boundary(m, &t) && set_string(job, &t, node, depth, i, from, to)) *key = KEY_DONE;
    }
    for (uint32_t i = from; i < to; i++) {
        if (job->scratch->keys[i - from] != KEY_DONE) m->threads[kept++] = m->threads[i];
    }
    m->thread_count = kept;
}

// One node more; true when the stack is down to `base` places.
static bool walk_trie(rti_mask_job *job, uint32_t base)
{
    rti_machine *m = job->m;
    const rt_vocabulary *v = m->g->vocabulary;
    rti_set_scratch *s = job->scratch;
    if (s->place_count == base || m->error != RT_OK) {
        while (s->place_count > base) pop_place(job);
        return true;
    }
    rti_mask_place *p = &s->places[s->place_count - 1];
    uint32_t depth = p->depth + 1, child = next_child(v, p);
    if (child == 0) {
        pop_place(job);
        return s->place_count == base;
    }
    rti_machine_mark mark = rti_machine_here(m);
    uint32_t first = m->thread_count;
    if (rti_machine_step(m, p->from, p->to, v->nodes[child].byte) != 0) {
        rti_mask_set_all(v, job->words, v->ends[child]);
        if ((v->nodes[child].flags & RTI_TRIE_LEAF) == 0) {
            if (v->below[child].to - v->below[child].from > FEW_TOKENS) use_sets(job, child, depth, first);
            if (m->thread_count > first && m->error == RT_OK) {
                push_place(job, child, depth, first, m->thread_count, mark);
                return false;
            }
        }
    }
    m->thread_count = first;
    rti_machine_forget(m, mark);
    return false;
}

// ---------------------------------------------------------------------------------------------------------------------
// Free text before a trigger: all tokens, but for those that go on wrongly after one
// ---------------------------------------------------------------------------------------------------------------------

static void walk_free(rti_mask_job *job, uint32_t node, uint32_t depth, uint32_t state, const uint64_t begins[4])
{
    rti_machine *m = job->m;
    const rt_grammar *g = m->g;
    const rt_vocabulary *v = g->vocabulary;
    for (uint32_t i = 0; i < rti_trie_children(&v->nodes[node]) && m->error == RT_OK; i++) {
        uint32_t child = v->nodes[node].first + i;
        const rti_trie_node *n = &v->nodes[child];
        const rti_trie_below *below = &v->below[child];
        if (state == 0 && (below->bytes[0] & begins[0]) == 0 && (below->bytes[1] & begins[1]) == 0 &&
            !((n->flags & RTI_TRIE_HIGH) != 0 && (begins[2] | begins[3]) != 0)) {
            continue;
        }
        uint32_t next = g->trigger_states[state].next[n->byte];
        if (!g->trigger_states[next].final) {
            if ((n->flags & RTI_TRIE_LEAF) == 0) walk_free(job, child, depth + 1, next, begins);
            continue;
        }
        for (uint32_t k = below->from; k < below->to; k++) job->words[v->order[k] / 32] &= ~(1u << (v->order[k] % 32));
        rti_mask_set_all(v, job->words, v->ends[child]);
        uint32_t first = m->thread_count;
        rti_thread *t = rti_machine_push(m);
        t->kind = RTI_THREAD_VALUE;
        t->a = g->root;
        uint32_t base = job->scratch->place_count;
        push_place(job, child, depth + 1, first, m->thread_count, rti_machine_here(m));
        while (!walk_trie(job, base)) continue;
        m->thread_count = first;
    }
}

static void set_free(rti_mask_job *job, const rti_thread *t)
{
    const rt_grammar *g = job->m->g;
    const rt_vocabulary *v = g->vocabulary;
    memcpy(job->words, v->text, v->words * sizeof *job->words);
    uint64_t begins[4] = { 0 };
    for (int byte = 0; byte < 256; byte++) {
        if (g->trigger_states[0].next[byte] != 0) begins[byte / 64] |= 1ull << (byte % 64);
    }
    rti_machine_mark mark = rti_machine_here(job->m);
    walk_free(job, 0, 0, t->a, begins);
    rti_machine_forget(job->m, mark);
    for (uint32_t i = 0; i < g->trigger_count; i++) {
        if (g->triggers[i].token != RT_TOKEN_NONE) rti_mask_set(job->words, (uint32_t)g->triggers[i].token);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The job
// ---------------------------------------------------------------------------------------------------------------------

void rti_mask_begin(rti_mask_job *job, rti_machine *m, rti_set_scratch *scratch, uint32_t from, uint32_t to, uint32_t *words)
{
    *job = (rti_mask_job){ .m = m, .scratch = scratch, .words = words, .from = from, .to = to, .next_thread = from, .active = true };
    scratch->place_count = 0; // of a job that was dropped
    memset(words, 0, m->g->vocabulary->words * sizeof *words);
    if (to - from == 1 && m->threads[from].kind == RTI_THREAD_FREE) {
        rti_thread t = m->threads[from];
        set_free(job, &t);
        job->next_thread = to;
    }
    job->rest_from = job->rest_to = m->thread_count;
}

bool rti_mask_step(rti_mask_job *job)
{
    rti_machine *m = job->m;
    if (m->error != RT_OK) {
        job->active = false;
        return true;
    }
    if (job->next_thread < job->to) {
        uint32_t at = job->next_thread;
        if (at == job->from && !job->prepared && !make_keys(job, job->from, job->to)) return false;
        job->prepared = true;
        rti_thread t = m->threads[at];
        bool done = job->scratch->keys[at - job->from] == KEY_DONE, string = !done && at_boundary(m, &t);
        if (string && !prepare_sets(job, &t)) return false;
        job->next_thread++;
        if (done || (string && set_string(job, &t, 0, 0, at, job->from, job->to))) return false;
        *rti_machine_push(m) = t; // behind the rest so far
        job->rest_to = m->thread_count;
        return false;
    }
    if (job->rest_to > job->rest_from) {
        if (!job->walking) push_place(job, 0, 0, job->rest_from, job->rest_to, rti_machine_here(m));
        job->walking = true;
        if (!walk_trie(job, 0)) return false;
    }
    m->thread_count = job->rest_from;
    job->active = false;
    return true;
}
