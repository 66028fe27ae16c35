// SPDX-License-Identifier: MIT
#include "grammar/machine.h"

#include "grammar/trigger.h"
#include "grammar/unseen.h"

#include <string.h>

enum { FIRST_BUCKETS = 256 };

// ---------------------------------------------------------------------------------------------------------------------
// Memory: threads, frames, seen keys
// ---------------------------------------------------------------------------------------------------------------------

static bool reserve(rti_machine *m, void **items, uint32_t *capacity, uint32_t needed, size_t item_size)
{
    size_t room = *capacity;
    if (needed <= room) return true;
    if (!rti_array_reserve(&m->host, items, &room, needed, item_size)) {
        if (m->error == RT_OK) m->error = rti_fail(&m->host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a matcher");
        return false;
    }
    *capacity = (uint32_t)room;
    return true;
}

rti_thread *rti_machine_push(rti_machine *m)
{
    static _Thread_local rti_thread nowhere;
    if (!reserve(m, (void **)&m->threads, &m->thread_capacity, m->thread_count + 1, sizeof *m->threads)) return &nowhere;
    rti_thread *t = &m->threads[m->thread_count++];
    memset(t, 0, sizeof *t);
    t->t = RTI_OUTSIDE;
    return t;
}

static uint64_t frame_hash(const rti_frame *f)
{
    return rti_hash_bytes(f, offsetof(rti_frame, next), 31);
}

static bool rehash_frames(rti_machine *m)
{
    uint32_t wanted = m->frame_bucket_count == 0 ? FIRST_BUCKETS : m->frame_bucket_count * 2;
    uint32_t *buckets = rti_allocate(&m->host, wanted * sizeof *buckets);
    if (buckets == NULL) {
        if (m->error == RT_OK) m->error = rti_fail(&m->host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a matcher");
        return false;
    }
    memset(buckets, 0xFF, wanted * sizeof *buckets);
    rti_release(&m->host, m->frame_buckets, m->frame_bucket_count * sizeof *buckets);
    m->frame_buckets = buckets;
    m->frame_bucket_count = wanted;
    for (uint32_t i = 0; i < m->frame_count; i++) {
        uint32_t *bucket = &buckets[frame_hash(&m->frames[i]) & (wanted - 1)];
        m->frames[i].next = *bucket;
        *bucket = i;
    }
    return true;
}

static uint32_t intern_frame(rti_machine *m, rti_frame f)
{
    if (m->frame_count * 2 >= m->frame_bucket_count && !rehash_frames(m)) return 0;
    uint32_t *bucket = &m->frame_buckets[frame_hash(&f) & (m->frame_bucket_count - 1)];
    for (uint32_t i = *bucket; i != UINT32_MAX; i = m->frames[i].next) {
        if (memcmp(&m->frames[i], &f, offsetof(rti_frame, next)) == 0) return i;
    }
    if (!reserve(m, (void **)&m->frames, &m->frame_capacity, m->frame_count + 1, sizeof *m->frames)) return 0;
    uint32_t id = m->frame_count++;
    f.next = *bucket;
    *bucket = id;
    m->frames[id] = f;
    return id;
}

bool rti_is_seen(const rti_machine *m, uint32_t list, uint64_t hash)
{
    for (; list != 0; list = m->seen[list].before) {
        if (m->seen[list].hash == hash) return true;
    }
    return false;
}

// `counts`: towards the length of the list.
static uint32_t add_seen(rti_machine *m, uint32_t list, uint64_t hash, bool counts)
{
    uint64_t own = rti_hash_mix(hash, list);
    uint32_t *bucket = &m->seen_buckets[own & (m->seen_bucket_count - 1)];
    for (uint32_t i = *bucket; i != UINT32_MAX; i = m->seen[i].next) {
        if (m->seen[i].hash == hash && m->seen[i].before == list) return i;
    }
    if (!reserve(m, (void **)&m->seen, &m->seen_capacity, m->seen_count + 1, sizeof *m->seen)) return 0;
    uint32_t id = m->seen_count++;
    m->seen[id] = (rti_seen){ .hash = hash, .before = list, .length = m->seen[list].length + counts, .next = *bucket };
    *bucket = id;
    return id;
}

rti_machine_mark rti_machine_here(const rti_machine *m)
{
    return (rti_machine_mark){ m->frame_count, m->seen_count };
}

void rti_machine_forget(rti_machine *m, rti_machine_mark mark)
{
    while (m->frame_count > mark.frames) {
        const rti_frame *f = &m->frames[--m->frame_count];
        m->frame_buckets[frame_hash(f) & (m->frame_bucket_count - 1)] = f->next;
    }
    while (m->seen_count > mark.seen) {
        const rti_seen *s = &m->seen[--m->seen_count];
        m->seen_buckets[rti_hash_mix(s->hash, s->before) & (m->seen_bucket_count - 1)] = s->next;
    }
}

rt_result rti_machine_begin(rti_machine *m, rt_grammar *g, const rt_host *host)
{
    memset(m, 0, sizeof *m);
    m->g = g;
    m->host = *host;
    m->seen_bucket_count = 64;
    m->seen_buckets = rti_allocate(host, m->seen_bucket_count * sizeof *m->seen_buckets);
    if (m->seen_buckets == NULL) {
        m->seen_bucket_count = 0;
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a matcher");
    }
    memset(m->seen_buckets, 0xFF, m->seen_bucket_count * sizeof *m->seen_buckets);
    if (!reserve(m, (void **)&m->seen, &m->seen_capacity, 16, sizeof *m->seen)) return m->error;
    m->seen[0] = (rti_seen){ 0 };
    m->seen_count = 1;
    intern_frame(m, (rti_frame){ .kind = RTI_FRAME_ROOT });
    return m->error;
}

void rti_machine_end(rti_machine *m)
{
    rti_release(&m->host, m->threads, m->thread_capacity * sizeof *m->threads);
    rti_release(&m->host, m->frames, m->frame_capacity * sizeof *m->frames);
    rti_release(&m->host, m->frame_buckets, m->frame_bucket_count * sizeof *m->frame_buckets);
    rti_release(&m->host, m->seen, m->seen_capacity * sizeof *m->seen);
    rti_release(&m->host, m->seen_buckets, m->seen_bucket_count * sizeof *m->seen_buckets);
}

// ---------------------------------------------------------------------------------------------------------------------
// Building under the lock
// ---------------------------------------------------------------------------------------------------------------------

void rti_machine_locked(rti_machine *m, void (*work)(rt_grammar *g, void *user), void *user)
{
    rt_grammar *g = m->g;
    if (m->error != RT_OK) return;
    pthread_mutex_lock(&g->lock);
    jmp_buf way_out;
    g->pool.way_out = &way_out;
    if (setjmp(way_out) == 0) {
        work(g, user);
    } else {
        m->error = g->pool.result;
    }
    g->pool.way_out = NULL;
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

typedef struct number_request {
    rti_number_lexer *lexer;
    uint32_t state, byte_class, result;
} number_request;

static void build_number(rt_grammar *g, void *user)
{
    number_request *r = user;
    r->result = rti_number_lexer_build(r->lexer, &g->pool, r->state, r->byte_class);
}

static uint32_t next_number(rti_machine *m, rti_number_lexer *lexer, uint32_t state, uint32_t byte_class)
{
    uint32_t next = rti_number_lexer_peek(lexer, state, byte_class);
    if (next != UINT32_MAX) return next;
    number_request r = { lexer, state, byte_class, 0 };
    rti_machine_locked(m, build_number, &r);
    return r.result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Objects
// ---------------------------------------------------------------------------------------------------------------------

static const rti_object *object_of(const rti_machine *m, const rti_frame *f)
{
    return &m->g->objects[f->block];
}

static uint32_t next_required(const rti_machine *m, const rti_object *o, uint32_t position)
{
    return m->g->positions[o->next_required + position];
}

// Properties in any order have a bit each; past those they are noted among the keys that were seen.
static uint64_t property_hash(uint32_t index)
{
    return rti_hash_mix(index, 0x70726F70) | 1;
}

static bool free_property(const rti_machine *m, const rti_object *o, const rti_frame *f, uint32_t p)
{
    uint32_t index = p - o->ordered_count;
    if (index < RTI_FREE_MAX) return (f->seen >> index & 1) == 0;
    return !rti_is_seen(m, f->seen_keys, property_hash(index));
}

static uint32_t required_free_left(const rti_machine *m, const rti_object *o, const rti_frame *f)
{
    uint32_t count = (uint32_t)__builtin_popcountll(o->required_free & ~f->seen);
    for (uint32_t p = o->ordered_count + RTI_FREE_MAX; p < o->property_count; p++) {
        count += m->g->properties[o->properties + p].required && free_property(m, o, f, p);
    }
    return count;
}

static uint32_t required_left(const rti_machine *m, const rti_object *o, const rti_frame *f)
{
    uint32_t count = required_free_left(m, o, f);
    for (uint32_t p = next_required(m, o, f->position); p < o->ordered_count; p = next_required(m, o, p + 1)) count++;
    return count;
}

static bool marks_in(const rti_machine *m, uint32_t first, uint32_t count, uint32_t mark)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((m->g->variants[first + i].marks & mark) != 0) return true;
    }
    return false;
}

// Whether an object in this state, between two members, can still become a whole one.
static bool object_can_finish(const rti_machine *m, const rti_object *o, const rti_frame *f)
{
    const rt_grammar *g = m->g;
    if (o->maximum != RTI_NO_MAXIMUM && f->count + required_left(m, o, f) > o->maximum) return false;
    if (f->count < o->minimum && o->other_room != RTI_NO_MAXIMUM) {
        uint32_t available = o->other_room - RTI_MIN(o->other_room, m->seen[f->seen_keys].length);
        for (uint32_t p = f->position; p < o->property_count; p++) {
            available += g->properties[o->properties + p].variant_count != 0 && (p < o->ordered_count || free_property(m, o, f, p));
        }
        if (f->count + available < o->minimum) return false;
    }
    for (uint32_t i = 0; i < o->condition_count; i++) {
        if ((f->marks >> i & 1) != 0) continue;
        if (o->maximum != RTI_NO_MAXIMUM && f->count >= o->maximum) return false;
        bool can = false;
        for (uint32_t p = f->position; p < o->property_count && !can; p++) {
            const rti_property *x = &g->properties[o->properties + p];
            can = (p < o->ordered_count || free_property(m, o, f, p)) && marks_in(m, x->variants, x->variant_count, 1u << i);
        }
        for (uint32_t k = 0; k < o->class_count && !can; k++) {
            const rti_key_class *x = &g->classes[o->classes + k];
            can = marks_in(m, x->variants, x->variant_count, 1u << i);
        }
        if (!can) return false;
    }
    return true;
}

static bool object_can_close(const rti_machine *m, const rti_frame *f)
{
    const rti_object *o = object_of(m, f);
    if (next_required(m, o, f->position) != o->ordered_count || required_free_left(m, o, f) != 0) return false;
    return f->count >= o->minimum && f->marks == (1u << o->condition_count) - 1;
}

// The state after property `p` (UINT32_MAX: another key) was read as this variant; false: then it could not finish.
static bool after_member(const rti_machine *m, const rti_frame *f, uint32_t p, uint32_t marks, rti_frame *out)
{
    const rti_object *o = object_of(m, f);
    *out = *f;
    out->marks |= marks;
    if (o->minimum != 0 || o->maximum != RTI_NO_MAXIMUM) out->count++;
    if (o->maximum == RTI_NO_MAXIMUM && out->count > o->minimum) out->count = o->minimum;
    if (p < o->ordered_count) {
        out->position = p + 1;
    } else {
        out->position = o->ordered_count;
        if (p != UINT32_MAX && p - o->ordered_count < RTI_FREE_MAX) out->seen |= 1ull << (p - o->ordered_count);
    }
    if (o->minimum == 0 && o->maximum == RTI_NO_MAXIMUM && o->condition_count == 0) return true;
    return object_can_finish(m, o, out);
}

static bool deep_enough(const rti_machine *m, const rti_frame *f, uint32_t node)
{
    return m->g->nodes[node].height + f->depth <= m->g->max_depth;
}

static bool variant_allowed(const rti_machine *m, const rti_frame *f, uint32_t p, const rti_variant *v)
{
    rti_frame after;
    return deep_enough(m, f, v->node) && after_member(m, f, p, v->marks, &after);
}

static bool property_allowed(const rti_machine *m, const rti_frame *f, uint32_t p)
{
    const rti_object *o = object_of(m, f);
    const rti_property *x = &m->g->properties[o->properties + p];
    uint32_t required = next_required(m, o, f->position);
    if (p < o->ordered_count ? p < f->position || p > required : required != o->ordered_count || !free_property(m, o, f, p)) return false;
    for (uint32_t i = 0; i < x->variant_count; i++) {
        if (variant_allowed(m, f, p, &m->g->variants[x->variants + i])) return true;
    }
    return false;
}

static bool class_allowed(const rti_machine *m, const rti_frame *f, const rti_key_class *x)
{
    const rti_object *o = object_of(m, f);
    if (next_required(m, o, f->position) != o->ordered_count) return false;
    for (uint32_t i = 0; i < x->variant_count; i++) {
        if (variant_allowed(m, f, UINT32_MAX, &m->g->variants[x->variants + i])) return true;
    }
    return false;
}

static bool keys_below(const rti_machine *m, const rti_frame *f, uint32_t place)
{
    const rti_literal *l = &m->g->literals[place];
    for (uint32_t i = l->from; i < l->to; i++) {
        if (property_allowed(m, f, m->g->key_order[i])) return true;
    }
    return false;
}

static bool object_can_grow(const rti_machine *m, const rti_frame *f)
{
    const rti_object *o = object_of(m, f);
    if (o->keys != 0 && keys_below(m, f, o->keys)) return true;
    for (uint32_t i = 0; i < o->class_count; i++) {
        if (class_allowed(m, f, &m->g->classes[o->classes + i])) return true;
    }
    return false;
}

// ---------------------------------------------------------------------------------------------------------------------
// Arrays
// ---------------------------------------------------------------------------------------------------------------------

static const rti_array *array_of(const rti_machine *m, const rti_frame *f)
{
    return &m->g->arrays[f->block];
}

static uint32_t lane(uint64_t counts, uint32_t i)
{
    return (uint32_t)(counts >> (16 * i)) & 0xFFFF;
}

static bool array_can_close(const rti_machine *m, const rti_frame *f)
{
    const rti_array *a = array_of(m, f);
    if (f->count < a->minimum) return false;
    for (uint32_t i = 0; i < a->condition_count; i++) {
        if (lane(f->seen, i) < a->condition_minimum[i]) return false;
    }
    return true;
}

// The state after one more item that counts for the conditions in `marks`.
static bool after_item(const rti_machine *m, const rti_frame *f, uint32_t marks, rti_frame *out)
{
    const rti_array *a = array_of(m, f);
    *out = *f;
    uint32_t top = RTI_MAX(a->prefix_count, a->maximum == RTI_NO_MAXIMUM ? a->minimum : a->maximum);
    if (f->count >= a->maximum) return false;
    if (out->count < top) out->count++;
    if (out->position < a->prefix_count) out->position++;
    for (uint32_t i = 0; i < a->condition_count; i++) {
        uint32_t count = lane(f->seen, i), cap = a->condition_maximum[i] == RTI_NO_MAXIMUM ? a->condition_minimum[i] : a->condition_maximum[i];
        if ((marks >> i & 1) != 0) {
            if (count >= a->condition_maximum[i]) return false;
            if (count < cap) out->seen += 1ull << (16 * i);
            count = RTI_MIN(count + 1, cap);
        }
        if (count >= a->condition_minimum[i]) continue;
        // Enough places must be left for what is still missing.
        uint32_t missing = a->condition_minimum[i] - count;
        if (a->maximum != RTI_NO_MAXIMUM && missing > a->maximum - out->count) return false;
        if (a->condition_last[i] != RTI_NO_MAXIMUM && (out->position >= a->condition_last[i] || missing > a->condition_last[i] - out->position)) return false;
    }
    return true;
}

static bool array_can_grow(rti_machine *m, const rti_frame *f)
{
    const rti_array *a = array_of(m, f);
    const rti_variants *items = &m->g->item_variants[a->items + f->position];
    for (uint32_t i = 0; i < items->count; i++) {
        const rti_variant *v = &m->g->variants[items->first + i];
        rti_frame after;
        if (!deep_enough(m, f, v->node) || !after_item(m, f, v->marks, &after)) continue;
        if (!a->unique || f->seen_keys == 0 || rti_unseen_value(m, f->seen_keys, &m->g->nodes[v->node])) return true;
    }
    return false;
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

// A value that must not come again in its array is complete.
static uint32_t note_item(rti_machine *m, uint32_t frame, uint64_t hash)
{
    rti_frame f = m->frames[frame];
    f.seen_keys = add_seen(m, f.seen_keys, hash, true);
    return intern_frame(m, f);
}

static void complete(rti_machine *m, uint32_t frame, uint64_t hash)
{
    if (hash != 0) {
        if (rti_is_seen(m, m->frames[frame].seen_keys, hash)) return;
        frame = note_item(m, frame, hash);
    }
    push_plain(m, RTI_THREAD_AFTER, frame, 0);
}

static void close_container(rti_machine *m, uint32_t frame)
{
    push_plain(m, RTI_THREAD_AFTER, m->frames[frame].parent, 0);
}

static void push_member(rti_machine *m, uint32_t frame, uint32_t p, uint32_t variants, uint32_t count, uint64_t hash)
{
    rti_frame f = m->frames[frame];
    for (uint32_t i = 0; i < count; i++) {
        const rti_variant v = m->g->variants[variants + i];
        rti_frame after;
        if (!deep_enough(m, &f, v.node) || !after_member(m, &f, p, v.marks, &after)) continue;
        uint32_t free_index = p == UINT32_MAX ? 0 : p - object_of(m, &f)->ordered_count;
        if (p != UINT32_MAX && p >= object_of(m, &f)->ordered_count && free_index >= RTI_FREE_MAX) {
            after.seen_keys = add_seen(m, after.seen_keys, property_hash(free_index), false);
        }
        if (hash != 0) after.seen_keys = add_seen(m, after.seen_keys, hash, true);
        push_plain(m, RTI_THREAD_COLON, intern_frame(m, after), v.node);
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
    const rti_object *o = object_of(m, &f);
    if (o->keys != 0) {
        uint32_t child = m->g->literals[o->keys].first; // the quote
        if (keys_below(m, &f, child)) push_plain(m, RTI_THREAD_KEY, frame, child);
    }
    for (uint32_t i = 0; i < o->class_count; i++) {
        const rti_key_class *x = &m->g->classes[o->classes + i];
        if (!class_allowed(m, &f, x)) continue;
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

static void step_literal_at(rti_machine *m, const rti_thread *t, uint32_t parent, uint8_t byte)
{
    const rt_grammar *g = m->g;
    uint32_t child = g->literals[parent].first;
    while (child != 0 && g->literals[child].byte != byte) child = g->literals[child].next;
    if (child == 0) return;
    uint64_t h = t->h == 0 ? 0 : rti_hash_mix(t->h, byte) | 1;
    if (g->literals[child].final) complete(m, t->frame, h == 0 ? 0 : h ^ RTI_LITERAL_MARK);
    if (g->literals[child].first == 0) return;
    uint32_t seen = h == 0 ? 0 : m->frames[t->frame].seen_keys;
    if (seen != 0 && !rti_unseen_literal(m, seen, child, h)) return;
    rti_thread *next = rti_machine_push(m);
    next->kind = RTI_THREAD_LITERAL;
    next->frame = t->frame;
    next->a = child;
    next->h = h;
}

bool rti_number_byte(rti_machine *m, const rti_thread *t, uint32_t automaton, uint32_t state, uint8_t byte, rti_thread *next)
{
    uint32_t byte_class = rti_number_class[byte];
    if (byte_class == 0) return false;
    uint32_t to = next_number(m, m->g->numbers[automaton], state, byte_class - 1);
    if (to == 0) return false;
    *next = (rti_thread){ .kind = RTI_THREAD_NUMBER, .frame = t->frame, .a = automaton, .b = to, .n = t->n, .part = t->part, .t = RTI_OUTSIDE, .h = t->h };
    if (t->h == 0) return true;
    // The hash is of the value: zeros behind the point wait until another digit follows.
    if (byte == 'e' || byte == 'E') return false;
    if (byte == '.') {
        next->part = 1;
    } else if (next->part != 0 && byte == '0') {
        next->n++;
    } else {
        if (next->part == 1) next->h = rti_hash_mix(next->h, '.') | 1;
        if (next->part == 1) next->part = 2;
        for (; next->n > 0; next->n--) next->h = rti_hash_mix(next->h, '0') | 1;
        next->h = rti_hash_mix(next->h, byte) | 1;
    }
    return true;
}

static void step_number_at(rti_machine *m, const rti_thread *t, uint32_t automaton, uint32_t state, uint8_t byte)
{
    rti_thread next;
    if (!rti_number_byte(m, t, automaton, state, byte, &next)) return;
    if (rti_number_lexer_accepts(m->g->numbers[automaton], next.b)) complete(m, next.frame, next.h == 0 ? 0 : next.h ^ RTI_NUMBER_MARK);
    uint32_t seen = next.h == 0 ? 0 : m->frames[next.frame].seen_keys;
    if (seen == 0 || rti_unseen_number(m, seen, &next)) *rti_machine_push(m) = next;
}

static void open_containers(rti_machine *m, const rti_thread *t, const rti_node *node, uint8_t byte)
{
    uint32_t depth = m->frames[t->frame].depth + 1;
    if (byte == '{') {
        for (uint32_t i = 0; i < node->object_count; i++) {
            const rti_object *o = &m->g->objects[node->objects + i];
            if (o->height == UINT32_MAX || o->height + depth > m->g->max_depth) continue;
            uint32_t frame = intern_frame(m, (rti_frame){ .kind = RTI_FRAME_OBJECT, .parent = t->frame, .block = node->objects + i, .depth = depth });
            push_plain(m, RTI_THREAD_OBJECT_OPEN, frame, 0);
        }
        return;
    }
    for (uint32_t i = 0; i < node->array_count; i++) {
        const rti_array *a = &m->g->arrays[node->arrays + i];
        if (a->height == UINT32_MAX || a->height + depth > m->g->max_depth) continue;
        uint32_t frame = intern_frame(m, (rti_frame){ .kind = RTI_FRAME_ARRAY, .parent = t->frame, .block = node->arrays + i, .depth = depth });
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
    const rti_array *a = array_of(m, &f);
    const rti_variants items = m->g->item_variants[a->items + f.position];
    for (uint32_t i = 0; i < items.count; i++) {
        const rti_variant v = m->g->variants[items.first + i];
        rti_frame after;
        if (!deep_enough(m, &f, v.node) || !after_item(m, &f, v.marks, &after)) continue;
        rti_thread value = { .kind = RTI_THREAD_VALUE, .frame = intern_frame(m, after), .a = v.node, .t = RTI_OUTSIDE, .h = a->unique };
        step_value(m, &value, byte);
    }
}

static void step_after(rti_machine *m, const rti_thread *t, uint8_t byte)
{
    const rti_frame f = m->frames[t->frame];
    if (f.kind == RTI_FRAME_OBJECT) {
        if (byte == '}' && object_can_close(m, &f)) close_container(m, t->frame);
        if (byte == ',' && object_can_grow(m, &f)) {
            push_plain(m, m->g->spacing == RT_JSON_SPACED ? RTI_THREAD_COMMA_SPACE : RTI_THREAD_KEY_OPEN, t->frame, 0);
        }
    } else if (f.kind == RTI_FRAME_ARRAY) {
        if (byte == ']' && array_can_close(m, &f)) close_container(m, t->frame);
        if (byte == ',' && array_can_grow(m, &f)) {
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
        const rti_property *x = &g->properties[object_of(m, &f)->properties + p];
        if (property_allowed(m, &f, p)) push_member(m, t->frame, p, x->variants, x->variant_count, 0);
    } else if (keys_below(m, &f, child)) {
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
        if (byte == '}' && object_can_close(m, &m->frames[t->frame])) close_container(m, t->frame);
        break;
    case RTI_THREAD_COLON:
        if (byte == ':') push_plain(m, spaced ? RTI_THREAD_COLON_SPACE : RTI_THREAD_VALUE, t->frame, t->a);
        break;
    case RTI_THREAD_COLON_SPACE:
        if (byte == ' ') push_plain(m, RTI_THREAD_VALUE, t->frame, t->a);
        break;
    case RTI_THREAD_COMMA_SPACE:
        if (byte == ' ') push_plain(m, m->frames[t->frame].kind == RTI_FRAME_OBJECT ? RTI_THREAD_KEY_OPEN : RTI_THREAD_ITEM, t->frame, 0);
        break;
    case RTI_THREAD_ARRAY_OPEN:
        if (byte == ']' && array_can_close(m, &m->frames[t->frame])) close_container(m, t->frame);
        push_items(m, t->frame, byte);
        break;
    case RTI_THREAD_ITEM: push_items(m, t->frame, byte); break;
    case RTI_THREAD_AFTER: step_after(m, t, byte); break;
    case RTI_THREAD_FREE: rti_trigger_step(m, t, byte); break;
    }
}

// Drops doubles among the threads from `first` on.
static void drop_doubles(rti_machine *m, uint32_t first)
{
    uint32_t used = first;
    for (uint32_t i = first; i < m->thread_count; i++) {
        bool there = false;
        for (uint32_t k = first; k < used && !there; k++) there = memcmp(&m->threads[k], &m->threads[i], sizeof m->threads[0]) == 0;
        if (!there) m->threads[used++] = m->threads[i];
    }
    m->thread_count = used;
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
    if (m->thread_count - first > 1) drop_doubles(m, first);
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
