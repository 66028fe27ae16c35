// SPDX-License-Identifier: MIT
#include "grammar/machine.h"

#include "grammar/containers.h"
#include "grammar/repeats.h"
#include "grammar/trigger.h"
#include "grammar/unseen.h"

#include <string.h>

// ---------------------------------------------------------------------------------------------------------------------
// Building under the lock
// ---------------------------------------------------------------------------------------------------------------------

void rti_machine_locked(rti_machine *m, void (*work)(rt_grammar *g, void *user), void *user)
{
    rt_grammar *g = m->g;
    if (m->error != RT_OK) return;
    pthread_mutex_lock(&g->lock);
    jmp_buf way_out, *before = g->pool.way_out; // the compiler walks as well
    g->pool.way_out = &way_out;
    if (setjmp(way_out) == 0) {
        work(g, user);
    } else {
        m->error = g->pool.result;
    }
    g->pool.way_out = before;
    pthread_mutex_unlock(&g->lock);
}

typedef struct next_request {
    rti_lexer *lexer;
    uint32_t state, code_class, result;
} next_request;

static void build_next(rt_grammar *g, void *user)
{
    (void)g;
    next_request *r = user;
    r->result = rti_lexer_build(r->lexer, r->state, r->code_class);
}

uint32_t rti_machine_next(rti_machine *m, rti_lexer *lexer, uint32_t state, uint32_t code_class)
{
    uint32_t next = rti_lexer_peek(lexer, state, code_class);
    if (next != RTI_LEXER_UNKNOWN) return next;
    next_request r = { lexer, state, code_class, RTI_LEXER_DEAD };
    rti_machine_locked(m, build_next, &r);
    return r.result;
}

static void build_few(rt_grammar *g, void *user)
{
    (void)g;
    next_request *r = user;
    r->result = rti_lexer_few(r->lexer, r->state);
}

uint32_t rti_machine_few(rti_machine *m, rti_lexer *lexer, uint32_t state)
{
    uint32_t known = atomic_load_explicit(&rti_lexer_at(lexer, state)->few, memory_order_relaxed);
    if (known != 0) return known;
    next_request r = { lexer, state, 0, 1 };
    rti_machine_locked(m, build_few, &r);
    return r.result;
}

static void build_distance(rt_grammar *g, void *user)
{
    (void)g;
    next_request *r = user;
    r->result = rti_lexer_distance(r->lexer, r->state);
}

uint32_t rti_machine_distance(rti_machine *m, rti_lexer *lexer, uint32_t state)
{
    uint32_t known = atomic_load_explicit(&rti_lexer_at(lexer, state)->distance, memory_order_relaxed);
    if (known != 0) return known - 1;
    next_request r = { lexer, state, 0, UINT32_MAX };
    rti_machine_locked(m, build_distance, &r);
    return r.result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Steps
// ---------------------------------------------------------------------------------------------------------------------

static void push_plain(rti_machine *m, rti_thread_kind kind, uint32_t frame, uint32_t a)
{
    rti_thread *t = rti_machine_push(m);
    t->kind = kind;
    t->frame = frame;
    t->a = a;
}

// `hash`: of the value; 0 where repeats do not matter.
static void complete(rti_machine *m, uint32_t frame, uint64_t hash)
{
    if (hash == 0 || rti_take_value(m, &frame, hash)) push_plain(m, RTI_THREAD_AFTER, frame, 0);
}

static void close_container(rti_machine *m, uint32_t frame)
{
    uint64_t hash = m->frames[frame].within != 0 ? rti_container_hash(m, &m->frames[frame]) : 0;
    for (uint32_t p = m->frames[frame].parent; p != 0; p = m->parents[p].rest) complete(m, m->parents[p].frame, hash);
}

static void push_member(rti_machine *m, uint32_t frame, uint32_t p, uint32_t variants, uint32_t count, uint64_t hash)
{
    rti_frame f = m->frames[frame];
    for (uint32_t i = 0; i < count; i++) {
        const rti_variant v = m->g->variants[variants + i];
        rti_frame after;
        if (!rti_deep_enough(m, &f, v.node) || !rti_after_member(m, &f, p, v.marks, &after)) continue;
        uint32_t free_index = p == UINT32_MAX ? 0 : p - rti_object_of(m, &f)->ordered_count;
        if (p != UINT32_MAX && p >= rti_object_of(m, &f)->ordered_count && free_index >= RTI_FREE_MAX) {
            after.seen_keys = rti_seen_add(m, after.seen_keys, rti_property_hash(free_index), false);
        }
        if (hash != 0) after.seen_keys = rti_seen_add(m, after.seen_keys, hash, p == UINT32_MAX);
        push_plain(m, RTI_THREAD_COLON, rti_frame_intern(m, after), v.node);
    }
}

void rti_machine_close_string(rti_machine *m, const rti_thread *thread)
{
    rti_thread t = *thread;
    if (t.kind == RTI_THREAD_STRING) {
        complete(m, t.frame, t.h);
        return;
    }
    if (rti_is_seen(m, m->frames[t.frame].seen_keys, t.h)) return;
    const rti_key_class *x = &m->g->classes[t.c];
    push_member(m, t.frame, UINT32_MAX, x->variants, x->variant_count, t.h);
}

static void open_keys(rti_machine *m, uint32_t frame)
{
    const rti_frame f = m->frames[frame];
    const rti_object *o = rti_object_of(m, &f);
    if (o->keys != 0) {
        uint32_t child = m->g->literals[o->keys].first; // the quote
        if (rti_keys_below(m, &f, child)) push_plain(m, RTI_THREAD_KEY, frame, child);
    }
    for (uint32_t i = 0; i < o->class_count; i++) {
        const rti_key_class *x = &m->g->classes[o->classes + i];
        if (!rti_class_allowed(m, &f, x)) continue;
        rti_thread *t = rti_machine_push(m);
        t->kind = RTI_THREAD_KEY_STRING;
        t->frame = frame;
        t->a = x->terminal;
        t->b = RTI_LEXER_START;
        t->t = m->g->terminals[x->terminal].excluded;
        t->c = o->classes + i;
        t->h = 1;
    }
}

static void push_value(rti_machine *m, const rti_thread *t)
{
    rti_thread *value = rti_machine_push(m);
    value->kind = RTI_THREAD_VALUE;
    value->frame = t->frame;
    value->a = t->a;
    value->h = m->frames[t->frame].within != 0;
}

static void step_literal_at(rti_machine *m, const rti_thread *t, uint32_t parent, uint8_t byte)
{
    const rt_grammar *g = m->g;
    uint32_t child = g->literals[parent].first;
    while (child != 0 && g->literals[child].byte != byte) child = g->literals[child].next;
    if (child == 0) return;
    if (g->literals[child].final) complete(m, t->frame, t->h == 0 ? 0 : rti_literal_hash(&g->literals[child]));
    if (g->literals[child].first == 0) return;
    uint32_t seen = rti_own_list(m, t);
    if (seen != 0 && !rti_unseen_literal(m, seen, child)) return;
    rti_thread *next = rti_machine_push(m);
    next->kind = RTI_THREAD_LITERAL;
    next->frame = t->frame;
    next->a = child;
    next->h = t->h;
}

static void step_number_at(rti_machine *m, const rti_thread *t, uint32_t automaton, uint32_t state, uint8_t byte)
{
    rti_thread next;
    if (!rti_number_byte(m, t, automaton, state, byte, &next)) return;
    if (rti_number_lexer_accepts(m->g->numbers[automaton], next.b)) complete(m, next.frame, next.h == 0 ? 0 : rti_number_value_hash(&next));
    uint32_t seen = rti_own_list(m, &next);
    if (seen == 0 || rti_unseen_number(m, seen, &next)) *rti_machine_push(m) = next;
}

static void open_containers(rti_machine *m, const rti_thread *t, const rti_node *node, uint8_t byte)
{
    uint32_t depth = m->frames[t->frame].depth + 1, parent = rti_parents_add(m, t->frame, 0);
    uint16_t within = rti_within(m, t->frame);
    if (byte == '{') {
        for (uint32_t i = 0; i < node->object_count; i++) {
            const rti_object *o = &m->g->objects[node->objects + i];
            if (o->height == UINT32_MAX || o->height + depth > m->g->max_depth) continue;
            uint32_t frame = rti_frame_intern(m, (rti_frame){ .kind = RTI_FRAME_OBJECT, .within = within, .parent = parent, .block = node->objects + i, .depth = depth });
            push_plain(m, RTI_THREAD_OBJECT_OPEN, frame, 0);
        }
        return;
    }
    for (uint32_t i = 0; i < node->array_count; i++) {
        const rti_array *a = &m->g->arrays[node->arrays + i];
        if (a->height == UINT32_MAX || a->height + depth > m->g->max_depth) continue;
        uint32_t frame = rti_frame_intern(m, (rti_frame){ .kind = RTI_FRAME_ARRAY, .within = within, .parent = parent, .block = node->arrays + i, .depth = depth });
        push_plain(m, RTI_THREAD_ARRAY_OPEN, frame, 0);
    }
}

static void step_value(rti_machine *m, const rti_thread *t, uint8_t byte)
{
    const rti_node node = m->g->nodes[t->a];
    if (node.literals != 0) step_literal_at(m, t, node.literals, byte);
    if (byte == '"') {
        for (uint32_t i = 0; i < node.terminal_count; i++) {
            uint32_t terminal = m->g->terminal_list[node.terminals + i];
            rti_thread *next = rti_machine_push(m);
            next->kind = RTI_THREAD_STRING;
            next->frame = t->frame;
            next->a = terminal;
            next->b = RTI_LEXER_START;
            next->t = m->g->terminals[terminal].excluded;
            next->h = t->h;
        }
        return;
    }
    if (byte == '{' || byte == '[') {
        open_containers(m, t, &node, byte);
        return;
    }
    for (uint32_t i = 0; i < node.number_count; i++) step_number_at(m, t, m->g->number_list[node.numbers + i], 1, byte);
}

static void push_items(rti_machine *m, uint32_t frame, uint8_t byte)
{
    const rti_frame f = m->frames[frame];
    const rti_array *a = rti_array_of(m, &f);
    const rti_variants items = m->g->item_variants[a->items + f.position];
    for (uint32_t i = 0; i < items.count; i++) {
        const rti_variant v = m->g->variants[items.first + i];
        rti_frame after;
        if (!rti_deep_enough(m, &f, v.node) || !rti_after_item(m, &f, v.marks, &after)) continue;
        rti_thread value = { .kind = RTI_THREAD_VALUE, .frame = rti_frame_intern(m, after), .a = v.node, .t = RTI_OUTSIDE, .h = a->unique || f.within != 0 };
        step_value(m, &value, byte);
    }
}

static void step_after(rti_machine *m, const rti_thread *t, uint8_t byte)
{
    const rti_frame f = m->frames[t->frame];
    if (f.kind == RTI_FRAME_OBJECT) {
        if (byte == '}' && rti_object_can_close(m, &f)) close_container(m, t->frame);
        if (byte == ',' && rti_object_can_grow(m, &f)) {
            push_plain(m, m->g->spacing == RT_JSON_SPACED ? RTI_THREAD_COMMA_SPACE : RTI_THREAD_KEY_OPEN, t->frame, 0);
        }
    } else if (f.kind == RTI_FRAME_ARRAY) {
        if (byte == ']' && rti_array_can_close(m, &f)) close_container(m, t->frame);
        if (byte == ',' && rti_array_can_grow(m, t->frame)) {
            push_plain(m, m->g->spacing == RT_JSON_SPACED ? RTI_THREAD_COMMA_SPACE : RTI_THREAD_ITEM, t->frame, 0);
        }
    }
}

static void step_key(rti_machine *m, const rti_thread *t, uint8_t byte)
{
    const rt_grammar *g = m->g;
    uint32_t child = g->literals[t->a].first;
    while (child != 0 && g->literals[child].byte != byte) child = g->literals[child].next;
    if (child == 0) return;
    const rti_frame f = m->frames[t->frame];
    if (g->literals[child].final) {
        uint32_t p = g->literals[child].value;
        const rti_property *x = &g->properties[rti_object_of(m, &f)->properties + p];
        if (rti_property_allowed(m, &f, p)) push_member(m, t->frame, p, x->variants, x->variant_count, f.within != 0 ? x->name_hash : 0);
    } else if (rti_keys_below(m, &f, child)) {
        push_plain(m, RTI_THREAD_KEY, t->frame, child);
    }
}

static void step_string(rti_machine *m, const rti_thread *t, uint8_t byte)
{
    if (byte == '"' && t->part == 0 && !m->g->terminals[t->a].raw) {
        if (rti_string_accepts(m, t)) rti_machine_close_string(m, t);
        return;
    }
    rti_thread next = *t;
    if (rti_string_byte(m, &next, byte)) *rti_machine_push(m) = next;
}

static bool step_space(rti_machine *m, const rti_thread *t, uint8_t byte)
{
    if (m->g->spacing != RT_JSON_FLEXIBLE || (byte != ' ' && byte != '\n' && byte != '\t' && byte != '\r')) return false;
    switch (t->kind) {
    case RTI_THREAD_VALUE:
        if (t->frame == 0) return false; // nothing before the document
        break;
    case RTI_THREAD_AFTER:
        if (t->frame == 0) return false; // nor behind it
        break;
    case RTI_THREAD_KEY_OPEN: case RTI_THREAD_OBJECT_OPEN: case RTI_THREAD_COLON: case RTI_THREAD_ARRAY_OPEN: case RTI_THREAD_ITEM: break;
    default: return false;
    }
    if (t->n < RTI_SPACES_MAX) {
        rti_thread next = *t;
        next.n++;
        *rti_machine_push(m) = next;
    }
    return true;
}

static void step_thread(rti_machine *m, const rti_thread *t, uint8_t byte)
{
    bool spaced = m->g->spacing == RT_JSON_SPACED;
    if (step_space(m, t, byte)) return;
    switch ((rti_thread_kind)t->kind) {
    case RTI_THREAD_VALUE: step_value(m, t, byte); break;
    case RTI_THREAD_LITERAL: step_literal_at(m, t, t->a, byte); break;
    case RTI_THREAD_NUMBER: step_number_at(m, t, t->a, t->b, byte); break;
    case RTI_THREAD_STRING:
    case RTI_THREAD_KEY_STRING: step_string(m, t, byte); break;
    case RTI_THREAD_KEY: step_key(m, t, byte); break;
    case RTI_THREAD_KEY_OPEN:
        if (byte == '"') open_keys(m, t->frame);
        break;
    case RTI_THREAD_OBJECT_OPEN:
        if (byte == '"') open_keys(m, t->frame);
        if (byte == '}' && rti_object_can_close(m, &m->frames[t->frame])) close_container(m, t->frame);
        break;
    case RTI_THREAD_COLON:
        if (byte == ':' && spaced) push_plain(m, RTI_THREAD_COLON_SPACE, t->frame, t->a);
        if (byte == ':' && !spaced) push_value(m, t);
        break;
    case RTI_THREAD_COLON_SPACE:
        if (byte == ' ') push_value(m, t);
        break;
    case RTI_THREAD_COMMA_SPACE:
        if (byte == ' ') push_plain(m, m->frames[t->frame].kind == RTI_FRAME_OBJECT ? RTI_THREAD_KEY_OPEN : RTI_THREAD_ITEM, t->frame, 0);
        break;
    case RTI_THREAD_ARRAY_OPEN:
        if (byte == ']' && rti_array_can_close(m, &m->frames[t->frame])) close_container(m, t->frame);
        push_items(m, t->frame, byte);
        break;
    case RTI_THREAD_ITEM: push_items(m, t->frame, byte); break;
    case RTI_THREAD_AFTER: step_after(m, t, byte); break;
    case RTI_THREAD_FREE: rti_trigger_step(m, t, byte); break;
    }
}

uint32_t rti_machine_step(rti_machine *m, uint32_t from, uint32_t to, uint8_t byte)
{
    uint32_t first = m->thread_count;
    for (uint32_t i = from; i < to; i++) {
        rti_thread t = m->threads[i];
        step_thread(m, &t, byte);
        if (m->thread_count - first > RTI_THREADS_MAX) {
            if (m->error == RT_OK) m->error = rti_fail(&m->host, RT_ERROR_TOO_LARGE, "grammar: more than %d ways to read the output so far", RTI_THREADS_MAX);
            break;
        }
    }
    if (m->error != RT_OK) m->thread_count = first;
    if (m->g->repeats_matter && m->searching == 0) rti_drop_repeats(m, first);
    rti_threads_merge(m, first);
    return m->thread_count - first;
}

void rti_machine_start(rti_machine *m)
{
    const rt_grammar *g = m->g;
    if (g->kind == RT_GRAMMAR_REGEX) {
        rti_thread *t = rti_machine_push(m);
        t->kind = RTI_THREAD_STRING;
        t->a = g->root;
        t->b = RTI_LEXER_START;
        return;
    }
    rti_thread_kind kind = g->kind == RT_GRAMMAR_CHOICES ? RTI_THREAD_LITERAL : g->kind == RT_GRAMMAR_TRIGGERED ? RTI_THREAD_FREE : RTI_THREAD_VALUE;
    push_plain(m, kind, 0, g->kind == RT_GRAMMAR_TRIGGERED ? 0 : g->root);
}

bool rti_thread_may_end(rti_machine *m, const rti_thread *t)
{
    if (t->kind == RTI_THREAD_AFTER) return t->frame == 0;
    if (t->kind == RTI_THREAD_STRING && m->g->terminals[t->a].raw) return rti_string_accepts(m, t);
    if (t->kind == RTI_THREAD_LITERAL) return t->frame == 0 && m->g->literals[t->a].final && m->g->kind == RT_GRAMMAR_CHOICES;
    return t->kind == RTI_THREAD_FREE;
}
