// SPDX-License-Identifier: MIT
#include "grammar/repeats.h"
#include "grammar/unseen.h"

#include <string.h>

enum { MAX_TRIES = 4096, MAX_STEPS = 20000, MAX_LOOK_AHEAD = 600, MAX_ZEROS = 12 };

static bool is_unique(const rti_machine *m, const rti_frame *f)
{
    return f->kind == RTI_FRAME_ARRAY && rti_array_of(m, f)->unique;
}

// ---------------------------------------------------------------------------------------------------------------------
// Values
// ---------------------------------------------------------------------------------------------------------------------

bool rti_take_value(rti_machine *m, uint32_t *frame, uint64_t hash)
{
    rti_frame f = m->frames[*frame];
    bool unique = is_unique(m, &f);
    if (!unique && f.within == 0) return true;
    if (unique && rti_is_seen(m, f.seen_keys, hash)) return false;
    if (f.kind == RTI_FRAME_OBJECT) hash = rti_hash_member(m->seen[f.seen_keys].hash, hash); // its key came last
    f.seen_keys = rti_seen_add(m, f.seen_keys, hash, unique);
    *frame = rti_frame_intern(m, f);
    return true;
}

uint64_t rti_container_hash(const rti_machine *m, const rti_frame *f)
{
    uint64_t sum = 0;
    for (uint32_t i = f->seen_keys; i != 0; i = m->seen[i].before) {
        uint64_t hash = m->seen[i].hash;
        if (f->kind == RTI_FRAME_ARRAY) {
            sum = rti_hash_mix(sum, hash);
        } else if ((hash & 1) == 0) { // keys are odd
            sum += rti_hash_mix(hash, 0x6D656D62);
        }
    }
    return rti_hash_mix(sum, f->kind) | 1;
}

uint16_t rti_within(const rti_machine *m, uint32_t frame)
{
    const rti_frame *f = &m->frames[frame];
    bool unique = is_unique(m, f);
    if (!unique) return f->within;
    if (rti_array_of(m, f)->scarce) return UINT16_MAX;
    uint32_t others = RTI_MIN(m->seen[f->seen_keys].length, (uint32_t)UINT16_MAX - 2) + 1;
    return (uint16_t)RTI_MAX(others, (uint32_t)f->within);
}

bool rti_string_may_repeat(const rti_machine *m, const rti_thread *t)
{
    const rti_frame *f = &m->frames[t->frame];
    uint64_t hash = t->h;
    if (t->kind == RTI_THREAD_STRING && f->kind == RTI_FRAME_OBJECT) hash = rti_hash_member(m->seen[f->seen_keys].hash, hash);
    for (uint32_t i = 1; i < m->seen_count; i++) {
        if (m->seen[i].hash == hash) return true;
    }
    return false;
}

// ---------------------------------------------------------------------------------------------------------------------
// How many values there are at least
// ---------------------------------------------------------------------------------------------------------------------

static uint32_t variants_variety(const rt_grammar *g, uint32_t first, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 0; i < count; i++) best = RTI_MAX(best, g->nodes[g->variants[first + i].node].variety);
    return best;
}

static uint32_t property_variety(const rt_grammar *g, const rti_object *o, uint32_t p)
{
    const rti_property *x = &g->properties[o->properties + p];
    if (o->condition_count != 0 || (o->maximum != RTI_NO_MAXIMUM && !x->required)) return 0;
    return variants_variety(g, x->variants, x->variant_count);
}

static bool has_open_class(const rt_grammar *g, const rti_object *o)
{
    if (o->condition_count != 0 || o->maximum != RTI_NO_MAXIMUM) return false;
    for (uint32_t i = 0; i < o->class_count; i++) {
        const rti_key_class *x = &g->classes[o->classes + i];
        if (!x->finite && x->variant_count != 0) return true;
    }
    return false;
}

static bool any_length(const rt_grammar *g, const rti_array *a)
{
    if (a->unique || a->condition_count != 0 || a->maximum != RTI_NO_MAXIMUM) return false;
    return g->item_variants[a->items + a->prefix_count].count != 0;
}

// Enum values, each once, however many spellings it has in the trie. A place is a byte: a text goes down in the loop, so that a
// long one takes no stack, and only branches go deeper. Behind too many of them nothing is counted, which is fewer than there are.
static uint32_t literal_count(const rt_grammar *g, uint32_t place, uint64_t *filter, int depth)
{
    enum { MOST_BRANCHES = 512 };
    uint32_t count = 0;
    while (place != 0 && depth < MOST_BRANCHES) {
        if (g->literals[place].final) {
            uint64_t bit = 1ull << (rti_literal_hash(&g->literals[place]) >> 58); // (a few too few where bits fall together)
            count += (*filter & bit) == 0;
            *filter |= bit;
        }
        place = g->literals[place].first;
        for (; place != 0 && g->literals[place].next != 0; place = g->literals[place].next) {
            count += literal_count(g, place, filter, depth + 1);
        }
    }
    return count;
}

static uint32_t terminal_variety(const rti_terminal *t)
{
    if (t->lexer->term == RTI_REGEX_ALL) return t->high == 0 ? 1 : RTI_REGEX_MANY;
    return t->counts ? 1 : rti_lexer_few(t->lexer, RTI_LEXER_START);
}

static uint32_t scalar_variety(const rt_grammar *g, const rti_node *n)
{
    uint64_t filter = 0;
    uint32_t best = n->literals != 0 ? literal_count(g, n->literals, &filter, 0) : 0;
    for (uint32_t i = 0; i < n->number_count; i++) best = RTI_MAX(best, rti_number_lexer_variety(g->numbers[g->number_list[n->numbers + i]]));
    for (uint32_t i = 0; i < n->terminal_count; i++) best = RTI_MAX(best, terminal_variety(&g->terminals[g->terminal_list[n->terminals + i]]));
    return best;
}

static uint32_t container_variety(const rt_grammar *g, const rti_node *n)
{
    uint32_t best = 0;
    for (uint32_t i = 0; i < n->object_count; i++) {
        const rti_object *o = &g->objects[n->objects + i];
        if (o->height == UINT32_MAX) continue;
        best = RTI_MAX(best, has_open_class(g, o) ? (uint32_t)RTI_REGEX_MANY : 1u);
        for (uint32_t p = 0; p < o->property_count; p++) best = RTI_MAX(best, property_variety(g, o, p));
    }
    for (uint32_t i = 0; i < n->array_count; i++) {
        const rti_array *a = &g->arrays[n->arrays + i];
        if (a->height == UINT32_MAX) continue;
        best = RTI_MAX(best, any_length(g, a) ? (uint32_t)RTI_REGEX_MANY : 1u);
        for (uint32_t k = 0; k <= a->prefix_count && k < a->minimum && !a->unique && a->condition_count == 0; k++) {
            const rti_variants *v = &g->item_variants[a->items + k];
            best = RTI_MAX(best, variants_variety(g, v->first, v->count));
        }
    }
    return best;
}

void rti_find_varieties(rt_grammar *g)
{
    enum { ROUNDS = 8 }; // nested deeper, less is known
    for (uint32_t i = 1; i < g->nodes_count; i++) g->nodes[i].variety = g->nodes[i].height == UINT32_MAX ? 0 : scalar_variety(g, &g->nodes[i]);
    bool changed = true;
    for (int round = 0; round < ROUNDS && changed; round++) {
        changed = false;
        for (uint32_t i = g->nodes_count; i-- > 1;) {
            rti_node *n = &g->nodes[i];
            uint32_t variety = n->height == UINT32_MAX ? 0 : RTI_MAX(n->variety, container_variety(g, n));
            changed |= variety != n->variety;
            n->variety = variety;
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Whether something new can come: at a glance
// ---------------------------------------------------------------------------------------------------------------------

// More different values than `others` by what may still come in a container whose next member is at `position` or behind it.
static bool rest_varies(const rti_machine *m, const rti_frame *f, uint32_t position, uint32_t others)
{
    const rt_grammar *g = m->g;
    if (f->kind == RTI_FRAME_ARRAY) return any_length(g, rti_array_of(m, f));
    const rti_object *o = rti_object_of(m, f);
    if (has_open_class(g, o)) return true;
    for (uint32_t p = position; p < o->property_count; p++) {
        if (rti_property_left(m, f, p) && property_variety(g, o, p) > others) return true;
    }
    return false;
}

static bool key_varies(const rti_machine *m, const rti_thread *t, const rti_frame *f, uint32_t others)
{
    const rti_literal *l = &m->g->literals[t->a];
    const rti_object *o = rti_object_of(m, f);
    for (uint32_t i = l->from; i < l->to; i++) {
        uint32_t p = m->g->key_order[i];
        if (rti_property_allowed(m, f, p) && (property_variety(m->g, o, p) > others || (p < o->ordered_count && rest_varies(m, f, p + 1, others)))) return true;
    }
    return false;
}

static bool thread_varies(rti_machine *m, const rti_thread *t, uint32_t others)
{
    const rti_frame *f = &m->frames[t->frame];
    switch ((rti_thread_kind)t->kind) {
    case RTI_THREAD_STRING:
    case RTI_THREAD_KEY_STRING:
        if (!rti_string_near_bound(m, t, others) && rti_machine_few(m, m->g->terminals[t->a].lexer, t->b) > others) return true;
        if (t->kind == RTI_THREAD_KEY_STRING) return rest_varies(m, f, rti_object_of(m, f)->ordered_count, others);
        break;
    case RTI_THREAD_KEY: return key_varies(m, t, f, others);
    case RTI_THREAD_VALUE: case RTI_THREAD_COLON: case RTI_THREAD_COLON_SPACE:
        if (m->g->nodes[t->a].variety > others) return true;
        break;
    default: break;
    }
    return f->within != 0 && rest_varies(m, f, f->position, others);
}

static bool varies(rti_machine *m, const rti_thread *t, uint32_t others)
{
    if (thread_varies(m, t, others)) return true;
    const rti_frame *f = &m->frames[t->frame];
    while (f->within != 0 && f->parent != 0) {
        f = &m->frames[m->parents[f->parent].frame];
        if (f->within != 0 && rest_varies(m, f, f->position, others)) return true;
    }
    return false;
}

// ---------------------------------------------------------------------------------------------------------------------
// The same by looking for it: the machine walks on, what ends things first
// ---------------------------------------------------------------------------------------------------------------------

typedef struct look {
    rti_machine *m;
    uint32_t tries, steps;
} look;

// The item is complete and was not there (or it would not have got here), and its array can be completed.
static bool is_out(const rti_machine *m, const rti_thread *t)
{
    const rti_frame *f = &m->frames[t->frame];
    if (f->within != 0) return false;
    if (!is_unique(m, f)) return true;
    return t->kind == RTI_THREAD_AFTER && (!rti_array_of(m, f)->scarce || rti_array_can_close(m, f));
}

static bool leads_out(look *l, const rti_thread *from, uint32_t depth)
{
    static const char first[] = "]},: \"0123456789";
    rti_machine *m = l->m;
    const rti_thread t = *from;
    if (is_out(m, &t)) return true;
    if (t.kind == RTI_THREAD_NUMBER && t.n > MAX_ZEROS) return false; // zeros behind a point change nothing
    if (++l->tries > MAX_TRIES || depth > MAX_LOOK_AHEAD) return true;
    uint64_t bytes[4] = { 0 };
    rti_thread_bytes(m, &t, bytes);
    bool text = t.kind == RTI_THREAD_STRING || t.kind == RTI_THREAD_KEY_STRING || t.kind == RTI_THREAD_KEY || t.kind == RTI_THREAD_LITERAL;
    if (m->g->spacing == RT_JSON_FLEXIBLE && !text) bytes[0] &= ~(1ull << ' ' | 1ull << '\n' | 1ull << '\t' | 1ull << '\r'); // they change nothing
    for (uint32_t i = 0; i < 256 + sizeof first - 1; i++) {
        uint32_t byte = i < sizeof first - 1 ? (uint8_t)first[i] : i - (uint32_t)(sizeof first - 1);
        if ((bytes[byte / 64] >> (byte % 64) & 1) == 0) continue;
        bytes[byte / 64] &= ~(1ull << (byte % 64));
        if (++l->steps > MAX_STEPS || m->error != RT_OK) return true;
        rti_machine_mark mark = rti_machine_here(m);
        uint32_t at = m->thread_count;
        *rti_machine_push(m) = t;
        uint32_t count = m->thread_count == at ? 0 : rti_machine_step(m, at, at + 1, (uint8_t)byte);
        bool out = false;
        for (int pass = 0; pass < 2; pass++) { // what is complete before what goes on
            for (uint32_t k = 0; k < count && !out; k++) {
                const rti_thread next = m->threads[at + 1 + k];
                if ((next.kind == RTI_THREAD_AFTER) == (pass == 0)) out = leads_out(l, &next, depth + 1);
            }
        }
        m->thread_count = at;
        rti_machine_forget(m, mark);
        if (out) return true;
    }
    return false;
}

static bool finds_way_out(rti_machine *m, const rti_thread *t)
{
    look l = { m, 0, 0 };
    m->searching++;
    bool found = leads_out(&l, t, 0);
    m->searching--;
    return found;
}

// Whether a scarce array can be completed once an item is there that is like no other one.
static bool is_open(rti_machine *m, uint32_t frame)
{
    while (m->frames[frame].within != 0 && m->frames[frame].parent != 0) frame = m->parents[m->frames[frame].parent].frame;
    if (m->open_frame == frame + 1) return m->is_open;
    rti_machine_mark mark = rti_machine_here(m);
    rti_thread after = { .kind = RTI_THREAD_AFTER, .frame = frame, .t = RTI_OUTSIDE };
    bool open = rti_take_value(m, &after.frame, RTI_HASH_NO_VALUE) && finds_way_out(m, &after);
    rti_machine_forget(m, mark);
    m->open_frame = frame + 1;
    m->is_open = open;
    return open;
}

uint32_t rti_others_in_scarce(rti_machine *m, const rti_thread *t)
{
    enum { NO_SET = UINT32_MAX / 2 };
    uint32_t others = m->seen[m->frames[t->frame].seen_keys].length;
    if (rti_string_near_bound(m, t, others) || rti_machine_few(m, m->g->terminals[t->a].lexer, t->b) < RTI_REGEX_MANY) return NO_SET;
    return m->searching != 0 || is_open(m, t->frame) ? others : NO_SET;
}

static bool may_go_on(rti_machine *m, const rti_thread *t)
{
    const rti_frame *f = &m->frames[t->frame];
    bool scarce = f->within == UINT16_MAX || (is_unique(m, f) && rti_array_of(m, f)->scarce);
    if (f->within <= 1 && !scarce) return true;
    // What has that many values has one that no other item can have, or may have as many itself.
    if (varies(m, t, scarce ? (uint32_t)RTI_REGEX_MANY - 1 : f->within - 1u) && (!scarce || is_open(m, t->frame))) return true;
    return finds_way_out(m, t);
}

void rti_drop_repeats(rti_machine *m, uint32_t first)
{
    uint32_t kept = first;
    for (uint32_t i = first; i < m->thread_count && m->error == RT_OK; i++) {
        const rti_thread t = m->threads[i];
        if (may_go_on(m, &t)) m->threads[kept++] = t;
    }
    m->thread_count = kept;
}

bool rti_array_has_values(rti_machine *m, uint32_t array)
{
    rti_frame f = { .kind = RTI_FRAME_ARRAY, .parent = rti_parents_add(m, 0, 0), .block = array, .depth = 1 };
    rti_thread open = { .kind = RTI_THREAD_ARRAY_OPEN, .frame = rti_frame_intern(m, f), .t = RTI_OUTSIDE };
    return m->error != RT_OK || finds_way_out(m, &open);
}

bool rti_new_value_fits(rti_machine *m, uint32_t frame, uint32_t node)
{
    const rti_frame *f = &m->frames[frame];
    if (m->searching != 0 || (!rti_array_of(m, f)->scarce && m->g->nodes[node].variety > rti_within(m, frame))) return true;
    rti_thread t = { .kind = RTI_THREAD_VALUE, .frame = frame, .a = node, .t = RTI_OUTSIDE, .h = 1 };
    return finds_way_out(m, &t);
}
