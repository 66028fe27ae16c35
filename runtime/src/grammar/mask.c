// SPDX-License-Identifier: MIT
#include "grammar/mask.h"

#include "grammar/trigger.h"
#include "grammar/unseen.h"

#include <string.h>

enum { FEW_TOKENS = 12 }; // below a node with so few, stepping is quicker than a set
#define SET_DONE UINT32_MAX  // in rti_thread.part: a string whose set was used already

// ---------------------------------------------------------------------------------------------------------------------
// Which bytes a thread can take: a superset, to look at few children
// ---------------------------------------------------------------------------------------------------------------------

typedef struct byte_set {
    uint64_t bits[4];
} byte_set;

static void add_byte(byte_set *s, uint8_t byte)
{
    s->bits[byte / 64] |= 1ull << (byte % 64);
}

static void add_text(byte_set *s, const char *text)
{
    for (; *text != 0; text++) add_byte(s, (uint8_t)*text);
}

static void add_literals(const rt_grammar *g, byte_set *s, uint32_t place)
{
    for (uint32_t i = g->literals[place].first; i != 0; i = g->literals[i].next) add_byte(s, g->literals[i].byte);
}

static void add_value(const rt_grammar *g, byte_set *s, const rti_node *n)
{
    if (n->literals != 0) add_literals(g, s, n->literals);
    if (n->terminal_count != 0) add_byte(s, '"');
    if (n->number_count != 0) add_text(s, "-0123456789");
    if (n->object_count != 0) add_byte(s, '{');
    if (n->array_count != 0) add_byte(s, '[');
}

static void add_items(const rti_machine *m, byte_set *s, const rti_frame *f)
{
    const rti_array *a = &m->g->arrays[f->block];
    const rti_variants *v = &m->g->item_variants[a->items + f->position];
    for (uint32_t i = 0; i < v->count; i++) add_value(m->g, s, &m->g->nodes[m->g->variants[v->first + i].node]);
}

static void bytes_of(const rti_machine *m, const rti_thread *t, byte_set *s)
{
    const rt_grammar *g = m->g;
    if (g->spacing == RT_JSON_FLEXIBLE) add_text(s, " \n\t\r");
    switch ((rti_thread_kind)t->kind) {
    case RTI_THREAD_VALUE: add_value(g, s, &g->nodes[t->a]); break;
    case RTI_THREAD_LITERAL:
    case RTI_THREAD_KEY: add_literals(g, s, t->a); break;
    case RTI_THREAD_NUMBER: add_text(s, "0123456789.eE+-"); break;
    case RTI_THREAD_KEY_OPEN: add_byte(s, '"'); break;
    case RTI_THREAD_OBJECT_OPEN: add_text(s, "\"}"); break;
    case RTI_THREAD_COLON: add_byte(s, ':'); break;
    case RTI_THREAD_COLON_SPACE:
    case RTI_THREAD_COMMA_SPACE: add_byte(s, ' '); break;
    case RTI_THREAD_ARRAY_OPEN: add_byte(s, ']'); add_items(m, s, &m->frames[t->frame]); break;
    case RTI_THREAD_ITEM: add_items(m, s, &m->frames[t->frame]); break;
    case RTI_THREAD_AFTER:
        if (t->frame != 0) add_text(s, m->frames[t->frame].kind == RTI_FRAME_OBJECT ? ",}" : ",]");
        break;
    default: memset(s, 0xFF, sizeof *s); break;
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Strings
// ---------------------------------------------------------------------------------------------------------------------

// A string between two characters, whose set tells all; not where repeats may use up what is left.
static bool at_boundary(const rti_machine *m, const rti_thread *t)
{
    return (t->kind == RTI_THREAD_STRING || t->kind == RTI_THREAD_KEY_STRING) && t->part == 0 && !rti_string_may_run_out(m, t);
}

// Whether the string can take the bytes of a token that is known to stay inside, its length bound included.
static bool token_fits(rti_mask_job *job, const rti_token_set_t *set, const rti_thread *t, uint32_t token)
{
    const rt_vocabulary *v = job->m->g->vocabulary;
    rti_thread next = *t;
    for (uint32_t i = v->offsets[token] + set->depth; i < v->offsets[token + 1]; i++) {
        if (!rti_string_byte(job->m, &next, (uint8_t)v->bytes[i])) return false;
    }
    return true;
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
    uint32_t shortest = RTI_MIN(sure, (uint32_t)RTI_SHORT_LENGTHS);
    const uint32_t *allowed = shortest == 0 ? NULL : v->short_of + (size_t)(shortest - 1) * v->words;
    const uint32_t *possible = v->short_of + (size_t)(RTI_MIN(left, (uint32_t)RTI_SHORT_LENGTHS) - 1) * v->words;
    for (uint32_t i = 0; i < v->words; i++) {
        uint32_t in = allowed == NULL ? 0 : set->bits[i] & allowed[i];
        job->words[i] |= in;
        if (sure >= left) continue;
        for (uint32_t open = set->bits[i] & possible[i] & ~in; open != 0; open &= open - 1) {
            uint32_t token = i * 32 + (uint32_t)__builtin_ctz(open);
            if (v->characters[token] <= sure || token_fits(job, set, t, token)) rti_mask_set(job->words, token);
        }
    }
    for (uint32_t i = 0; i < v->long_count && left > RTI_SHORT_LENGTHS; i++) {
        uint32_t token = v->long_tokens[i];
        if (v->characters[token] > left || (set->bits[token / 32] >> (token % 32) & 1) == 0) continue;
        if (v->characters[token] <= sure || token_fits(job, set, t, token)) rti_mask_set(job->words, token);
    }
}

// The tokens that stay inside.
static void set_inside(rti_mask_job *job, const rti_token_set_t *set, const rti_thread *t)
{
    rti_machine *m = job->m;
    const rt_vocabulary *v = m->g->vocabulary;
    const rti_terminal *x = &m->g->terminals[t->a];
    if (x->counts && x->high != RTI_NO_MAXIMUM) {
        uint32_t left = x->high - t->n, sure = left;
        bool free_string = x->lexer->term == RTI_REGEX_ALL;
        if (left == 0) return;
        if ((free_string ? v->longest : set->reach) >= left) {
            bool repeats = free_string && t->h != 0 && m->frames[t->frame].seen_keys != 0;
            if (repeats) { // a token that fills the string must not make it one that was there
                sure = left - 1;
            } else if (!free_string && set->pure) { // all end where one distance holds
                uint32_t distance = rti_machine_distance(m, x->lexer, set->state);
                left = sure = distance >= left ? 0 : left - distance;
                if (left == 0) return;
            } else if (!free_string) {
                sure = set->distance >= left ? 0 : left - set->distance;
            }
            if (!free_string && t->h != 0 && m->frames[t->frame].seen_keys != 0) {
                uint32_t near = m->seen[m->frames[t->frame].seen_keys].length + RTI_NEAR_END;
                sure = near >= sure ? 0 : sure - near;
            }
            set_bounded(job, set, t, sure, left);
            return;
        }
    }
    if (set->bits != NULL) {
        for (uint32_t i = 0; i < v->words; i++) job->words[i] |= set->bits[i];
    } else {
        for (uint32_t i = 0; i < set->inside_count; i++) rti_mask_set(job->words, set->inside[i]);
    }
}

typedef struct leaving {
    rti_mask_job *job;
    const rti_token_set_t *set;
    const rti_thread *t;
    bool each; // every prefix must be read again: excluded or repeated strings
    bool accepts, counts;
    uint32_t low, high; // characters that a prefix may have
} leaving;

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
    return t.h == 0 || !rti_is_seen(m, m->frames[t.frame].seen_keys, t.h);
}

static void walk_tail(leaving *l, uint32_t tail, uint32_t from, uint32_t to)
{
    rti_machine *m = l->job->m;
    const rt_vocabulary *v = m->g->vocabulary;
    uint32_t size = v->tails[tail].size;
    for (uint32_t i = l->set->tail_from[tail]; i < l->set->tail_from[tail + 1]; i++) {
        uint32_t characters = l->set->leaving_characters[i], token = l->set->leaving[i];
        if (characters == 0 && !l->accepts) continue;
        if (l->counts && (characters < l->low || characters > l->high)) continue;
        if (l->each && !prefix_allowed(l, token, size)) continue;
        rti_mask_set(l->job->words, token);
    }
    for (uint32_t i = v->tails[tail].first; i != 0 && m->error == RT_OK; i = v->tails[i].next) {
        uint32_t first = m->thread_count;
        if (rti_machine_step(m, from, to, v->tails[i].byte) != 0) walk_tail(l, i, first, m->thread_count);
        m->thread_count = first;
    }
}

// Inside equal strings, only in different places: one set, one walk of the tails with all that follows.
static bool same_string(const rti_thread *a, const rti_thread *b)
{
    return a->kind == b->kind && a->a == b->a && a->b == b->b && a->n == b->n && (a->part == 0 || a->part == SET_DONE) && a->t == b->t && a->h == b->h;
}

// Whether a thread can share the walk of others: nothing about the string's own text has to be looked up.
static bool can_share(const rti_machine *m, const rti_thread *t)
{
    return t->t == RTI_OUTSIDE && (t->h == 0 || m->frames[t->frame].seen_keys == 0);
}

static bool shared_before(const rti_machine *m, const rti_thread *t, uint32_t from, uint32_t to)
{
    if (!can_share(m, t)) return false;
    for (uint32_t i = from; i < to; i++) {
        if (same_string(&m->threads[i], t) && can_share(m, &m->threads[i])) return true;
    }
    return false;
}

// threads [from, to): where `t` is from, itself included.
static void set_leaving(rti_mask_job *job, const rti_token_set_t *set, const rti_thread *t, uint32_t from, uint32_t to)
{
    rti_machine *m = job->m;
    const rti_terminal *x = &m->g->terminals[t->a];
    if (x->raw) return;
    leaving l = { .job = job, .set = set, .t = t, .accepts = rti_lexer_at(x->lexer, t->b)->accepts, .counts = x->counts };
    l.each = t->t != RTI_OUTSIDE || (t->h != 0 && m->frames[t->frame].seen_keys != 0);
    if (x->counts) {
        l.low = t->n >= x->low ? 0 : x->low - t->n;
        l.high = x->high == RTI_NO_MAXIMUM ? UINT32_MAX : x->high - t->n;
    }
    rti_machine_mark mark = rti_machine_here(m);
    uint32_t first = m->thread_count;
    rti_thread closed = *t;
    if (closed.h != 0) closed.h = 0x9E3779B97F4A7C15ull; // no string's: which one it is does not matter for the tail
    rti_machine_close_string(m, &closed);
    for (uint32_t i = from; i < to && !l.each; i++) {
        rti_thread other = m->threads[i];
        if (!same_string(&other, t) || (other.frame == t->frame && other.c == t->c) || !can_share(m, &other)) continue;
        if (other.h != 0) other.h = closed.h;
        rti_machine_close_string(m, &other);
    }
    if (m->thread_count > first) walk_tail(&l, 0, first, m->thread_count);
    m->thread_count = first;
    rti_machine_forget(m, mark);
}

// False: repeats may use up what is left, so every token must be tried.
static bool set_string(rti_mask_job *job, const rti_thread *t, uint32_t node, uint32_t depth, uint32_t from, uint32_t to)
{
    // Where the classes of keys share out all strings, what stays inside is what stays inside any string.
    rti_machine *m = job->m;
    const rti_object *o = t->kind == RTI_THREAD_KEY_STRING ? &m->g->objects[m->frames[t->frame].block] : NULL;
    bool shared = o != NULL && o->open;
    for (uint32_t i = 0; shared && i < o->class_count; i++) { // near the limit of nesting some may be missing
        const rti_key_class *x = &m->g->classes[o->classes + i];
        uint32_t height = UINT32_MAX;
        for (uint32_t k = 0; k < x->variant_count; k++) height = RTI_MIN(height, m->g->nodes[m->g->variants[x->variants + k].node].height);
        shared = height + m->frames[t->frame].depth <= m->g->max_depth;
    }
    if (shared && !(t->h != 0 && m->frames[t->frame].seen_keys != 0 && m->g->terminals[t->a].counts)) {
        rti_thread any = { .kind = RTI_THREAD_STRING, .a = o->any_key, .b = RTI_LEXER_START, .t = RTI_OUTSIDE };
        const rti_token_set_t *inside = rti_token_set_of(m, job->scratch, &any, node, depth, false);
        const rti_token_set_t *leave = inside == NULL ? NULL : rti_token_set_of(m, job->scratch, t, node, depth, true);
        if (leave == NULL) return true;
        set_inside(job, inside, &any);
        set_leaving(job, leave, t, from, to);
        return true;
    }
    const rti_token_set_t *set = rti_token_set_of(job->m, job->scratch, t, node, depth, false);
    if (set == NULL) return true; // the failure is kept
    if (set->finite && t->h != 0 && job->m->frames[t->frame].seen_keys != 0) return false;
    set_inside(job, set, t);
    set_leaving(job, set, t, from, to);
    return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// Everything else: the trie and the threads together
// ---------------------------------------------------------------------------------------------------------------------

static void walk_trie(rti_mask_job *job, uint32_t node, uint32_t depth, uint32_t from, uint32_t to);

static void enter(rti_mask_job *job, uint32_t child, uint32_t depth, uint32_t from, uint32_t to)
{
    rti_machine *m = job->m;
    const rt_vocabulary *v = m->g->vocabulary;
    const rti_trie_node *n = &v->nodes[child];
    uint32_t first = m->thread_count;
    if (rti_machine_step(m, from, to, n->byte) == 0) return;
    rti_mask_set_all(v, job->words, n->token);
    if (n->children != 0) {
        uint32_t kept = first;
        if (n->to - n->from > FEW_TOKENS) {
            for (uint32_t i = first; i < m->thread_count; i++) {
                rti_thread t = m->threads[i];
                if (at_boundary(m, &t) && (shared_before(m, &t, first, i) || set_string(job, &t, child, depth + 1, first, m->thread_count))) {
                    m->threads[i].part = SET_DONE;
                }
            }
            for (uint32_t i = first; i < m->thread_count; i++) {
                if (m->threads[i].part != SET_DONE) m->threads[kept++] = m->threads[i];
            }
            m->thread_count = kept;
        }
        if (m->thread_count > first) walk_trie(job, child, depth + 1, first, m->thread_count);
    }
    m->thread_count = first;
}

static void next_bytes(const rti_mask_job *job, uint32_t from, uint32_t to, byte_set *bytes)
{
    memset(bytes, 0, sizeof *bytes);
    for (uint32_t i = from; i < to; i++) bytes_of(job->m, &job->m->threads[i], bytes);
}

static void walk_trie(rti_mask_job *job, uint32_t node, uint32_t depth, uint32_t from, uint32_t to)
{
    rti_machine *m = job->m;
    const rt_vocabulary *v = m->g->vocabulary;
    byte_set bytes;
    next_bytes(job, from, to, &bytes);
    uint32_t choices = 0;
    for (int i = 0; i < 4; i++) choices += (uint32_t)__builtin_popcountll(bytes.bits[i]);
    const rti_trie_node n = v->nodes[node];
    if (choices * 4 < n.children) {
        for (int i = 0; i < 4; i++) {
            for (uint64_t left = bytes.bits[i]; left != 0 && m->error == RT_OK; left &= left - 1) {
                uint32_t child = rti_trie_child(v, node, (uint8_t)(i * 64 + __builtin_ctzll(left)));
                if (child != 0) enter(job, child, depth, from, to);
            }
        }
        return;
    }
    for (uint32_t i = 0; i < n.children && m->error == RT_OK; i++) {
        uint8_t byte = v->nodes[n.first + i].byte;
        if ((bytes.bits[byte / 64] >> (byte % 64) & 1) != 0) enter(job, n.first + i, depth, from, to);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Free text before a trigger: all tokens, but for those that go on wrongly after one
// ---------------------------------------------------------------------------------------------------------------------

static void walk_free(rti_mask_job *job, uint32_t node, uint32_t depth, uint32_t state, const byte_set *begins)
{
    rti_machine *m = job->m;
    const rt_grammar *g = m->g;
    const rt_vocabulary *v = g->vocabulary;
    for (uint32_t i = 0; i < v->nodes[node].children && m->error == RT_OK; i++) {
        uint32_t child = v->nodes[node].first + i;
        const rti_trie_node *n = &v->nodes[child];
        if (state == 0 && (n->bytes[0] & begins->bits[0]) == 0 && (n->bytes[1] & begins->bits[1]) == 0 &&
            !(n->high && (begins->bits[2] | begins->bits[3]) != 0)) {
            continue;
        }
        uint32_t next = g->trigger_states[state].next[n->byte];
        if (!g->trigger_states[next].final) {
            if (n->children != 0) walk_free(job, child, depth + 1, next, begins);
            continue;
        }
        for (uint32_t k = n->from; k < n->to; k++) job->words[v->order[k] / 32] &= ~(1u << (v->order[k] % 32));
        rti_mask_set_all(v, job->words, n->token);
        uint32_t first = m->thread_count;
        rti_thread *t = rti_machine_push(m);
        t->kind = RTI_THREAD_VALUE;
        t->a = g->root;
        walk_trie(job, child, depth + 1, first, m->thread_count);
        m->thread_count = first;
    }
}

static void set_free(rti_mask_job *job, const rti_thread *t)
{
    const rt_grammar *g = job->m->g;
    const rt_vocabulary *v = g->vocabulary;
    memcpy(job->words, v->text, v->words * sizeof *job->words);
    byte_set begins = { { 0 } };
    for (int byte = 0; byte < 256; byte++) {
        if (g->trigger_states[0].next[byte] != 0) add_byte(&begins, (uint8_t)byte);
    }
    rti_machine_mark mark = rti_machine_here(job->m);
    walk_free(job, 0, 0, t->a, &begins);
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
    memset(words, 0, m->g->vocabulary->words * sizeof *words);
    if (to - from == 1 && m->threads[from].kind == RTI_THREAD_FREE) {
        rti_thread t = m->threads[from];
        set_free(job, &t);
        job->next_thread = to;
        job->next_byte = 256;
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
        rti_thread t = m->threads[job->next_thread++];
        if (at_boundary(m, &t)) {
            if (shared_before(m, &t, job->from, job->next_thread - 1)) return false;
            if (set_string(job, &t, 0, 0, job->from, job->to)) return false;
        }
        *rti_machine_push(m) = t; // behind the rest so far
        job->rest_to = m->thread_count;
        return false;
    }
    const rt_vocabulary *v = m->g->vocabulary;
    if (job->rest_to > job->rest_from && job->next_byte < 256) {
        byte_set bytes;
        next_bytes(job, job->rest_from, job->rest_to, &bytes);
        while (job->next_byte < 256 && (bytes.bits[job->next_byte / 64] >> (job->next_byte % 64) & 1) == 0) job->next_byte++;
        if (job->next_byte < 256) {
            uint32_t child = rti_trie_child(v, 0, (uint8_t)job->next_byte++);
            if (child != 0) {
                rti_machine_mark mark = rti_machine_here(m);
                enter(job, child, 0, job->rest_from, job->rest_to);
                rti_machine_forget(m, mark);
            }
            return false;
        }
    }
    m->thread_count = job->rest_from;
    job->active = false;
    return true;
}
