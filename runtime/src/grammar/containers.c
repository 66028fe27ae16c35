// What may come next in an open object or array, and whether it can still become a whole one.
// SPDX-License-Identifier: MIT
#include "grammar/repeats.h"
#include "grammar/unseen.h"

const rti_object *rti_object_of(const rti_machine *m, const rti_frame *f)
{
    return &m->g->objects[f->block];
}

static uint32_t next_required(const rti_machine *m, const rti_object *o, uint32_t position)
{
    return m->g->positions[o->next_required + position];
}

// Properties in any order have a bit each; past those they are noted among the keys that were seen.
uint64_t rti_property_hash(uint32_t index)
{
    return rti_hash_mix(index, 0x70726F70) | 1;
}

static bool free_property(const rti_machine *m, const rti_object *o, const rti_frame *f, uint32_t p)
{
    uint32_t index = p - o->ordered_count;
    if (index < RTI_FREE_MAX) return (f->seen >> index & 1) == 0;
    return !rti_is_seen(m, f->seen_keys, rti_property_hash(index));
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

typedef struct left {
    const rti_machine *m;
    const rti_object *o;
    const rti_frame *f;
} left;

static bool is_left(const void *user, uint32_t p)
{
    const left *x = user;
    return p < x->o->ordered_count || free_property(x->m, x->o, x->f, p);
}

bool rti_property_left(const rti_machine *m, const rti_frame *f, uint32_t p)
{
    const rti_object *o = rti_object_of(m, f);
    return p < o->ordered_count ? p >= f->position : free_property(m, o, f, p);
}

// Whether an object in this state, between two members, can still become a whole one.
static bool object_can_finish(const rti_machine *m, const rti_object *o, const rti_frame *f)
{
    const rt_grammar *g = m->g;
    uint32_t room = RTI_NO_MAXIMUM;
    if (o->maximum != RTI_NO_MAXIMUM) {
        uint32_t taken = f->count + required_left(m, o, f);
        if (taken > o->maximum) return false;
        room = o->maximum - taken;
    }
    if (f->count < o->minimum && o->other_room != RTI_NO_MAXIMUM) {
        uint32_t available = o->other_room - RTI_MIN(o->other_room, m->seen[f->seen_keys].length);
        for (uint32_t p = f->position; p < o->property_count; p++) {
            available += g->properties[o->properties + p].variant_count != 0 && (p < o->ordered_count || free_property(m, o, f, p));
        }
        if (f->count + available < o->minimum) return false;
    }
    left x = { m, o, f };
    return rti_conditions_can_hold(g, o, f->marks, &(rti_members_left){ f->position, is_left, &x }, room);
}

bool rti_object_can_close(const rti_machine *m, const rti_frame *f)
{
    const rti_object *o = rti_object_of(m, f);
    if (next_required(m, o, f->position) != o->ordered_count || required_free_left(m, o, f) != 0) return false;
    if (f->count < o->minimum) return false;
    uint32_t met = f->marks | o->met, all = (1u << o->condition_count) - 1;
    for (uint32_t p = f->position; p < o->property_count && met != all; p++) {
        uint32_t absent = m->g->properties[o->properties + p].absent;
        if ((absent & ~met) != 0 && (p < o->ordered_count || free_property(m, o, f, p))) met |= absent;
    }
    return met == all;
}

// The state after property `p` (UINT32_MAX: another key) was read as this variant; false: then it could not finish.
bool rti_after_member(const rti_machine *m, const rti_frame *f, uint32_t p, uint32_t marks, rti_frame *out)
{
    const rti_object *o = rti_object_of(m, f);
    *out = *f;
    out->marks |= marks;
    if (o->minimum != 0 || o->maximum != RTI_NO_MAXIMUM) out->count++;
    if (o->maximum == RTI_NO_MAXIMUM && out->count > o->minimum) out->count = o->minimum;
    uint32_t passed = RTI_MIN(p, o->ordered_count);
    for (uint32_t k = f->position; k < passed && o->condition_count != 0; k++) out->marks |= m->g->properties[o->properties + k].absent;
    if (p < o->ordered_count) {
        out->position = p + 1;
    } else {
        out->position = o->ordered_count;
        if (p != UINT32_MAX && p - o->ordered_count < RTI_FREE_MAX) out->seen |= 1ull << (p - o->ordered_count);
    }
    if (o->minimum == 0 && o->maximum == RTI_NO_MAXIMUM && o->condition_count == 0) return true;
    return object_can_finish(m, o, out);
}

bool rti_deep_enough(const rti_machine *m, const rti_frame *f, uint32_t node)
{
    return m->g->nodes[node].height + f->depth <= m->g->max_depth;
}

static bool variant_allowed(const rti_machine *m, const rti_frame *f, uint32_t p, const rti_variant *v)
{
    rti_frame after;
    return rti_deep_enough(m, f, v->node) && rti_after_member(m, f, p, v->marks, &after);
}

bool rti_property_allowed(const rti_machine *m, const rti_frame *f, uint32_t p)
{
    const rti_object *o = rti_object_of(m, f);
    const rti_property *x = &m->g->properties[o->properties + p];
    uint32_t required = next_required(m, o, f->position);
    if (p < o->ordered_count ? p < f->position || p > required : required != o->ordered_count || !free_property(m, o, f, p)) return false;
    for (uint32_t i = 0; i < x->variant_count; i++) {
        if (variant_allowed(m, f, p, &m->g->variants[x->variants + i])) return true;
    }
    return false;
}

bool rti_class_allowed(const rti_machine *m, const rti_frame *f, const rti_key_class *x)
{
    const rti_object *o = rti_object_of(m, f);
    if (next_required(m, o, f->position) != o->ordered_count) return false;
    for (uint32_t i = 0; i < x->variant_count; i++) {
        if (variant_allowed(m, f, UINT32_MAX, &m->g->variants[x->variants + i])) return true;
    }
    return false;
}

bool rti_keys_below(const rti_machine *m, const rti_frame *f, uint32_t place)
{
    const rti_literal *l = &m->g->literals[place];
    for (uint32_t i = l->from; i < l->to; i++) {
        if (rti_property_allowed(m, f, m->g->key_order[i])) return true;
    }
    return false;
}

bool rti_object_can_grow(const rti_machine *m, const rti_frame *f)
{
    const rti_object *o = rti_object_of(m, f);
    if (o->keys != 0 && rti_keys_below(m, f, o->keys)) return true;
    for (uint32_t i = 0; i < o->class_count; i++) {
        if (rti_class_allowed(m, f, &m->g->classes[o->classes + i])) return true;
    }
    return false;
}


// ---------------------------------------------------------------------------------------------------------------------
// Arrays
// ---------------------------------------------------------------------------------------------------------------------

const rti_array *rti_array_of(const rti_machine *m, const rti_frame *f)
{
    return &m->g->arrays[f->block];
}

static uint32_t lane(uint64_t counts, uint32_t i)
{
    return (uint32_t)(counts >> (16 * i)) & 0xFFFF;
}

bool rti_array_can_close(const rti_machine *m, const rti_frame *f)
{
    const rti_array *a = rti_array_of(m, f);
    if (f->count < a->minimum) return false;
    for (uint32_t i = 0; i < a->condition_count; i++) {
        if (lane(f->seen, i) < a->condition_minimum[i]) return false;
    }
    return true;
}

// The state after one more item that counts for the conditions in `marks`.
bool rti_after_item(const rti_machine *m, const rti_frame *f, uint32_t marks, rti_frame *out)
{
    const rti_array *a = rti_array_of(m, f);
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

bool rti_array_can_grow(rti_machine *m, uint32_t frame)
{
    const rti_frame f = m->frames[frame];
    const rti_array *a = rti_array_of(m, &f);
    const rti_variants *items = &m->g->item_variants[a->items + f.position];
    for (uint32_t i = 0; i < items->count; i++) {
        const rti_variant *v = &m->g->variants[items->first + i];
        const rti_node *node = &m->g->nodes[v->node];
        rti_frame after;
        if (!rti_deep_enough(m, &f, v->node) || !rti_after_item(m, &f, v->marks, &after)) continue;
        if (!a->unique || (f.seen_keys == 0 && !a->scarce)) return true;
        if (!a->scarce && rti_unseen_value(m, f.seen_keys, node)) return true;
        if ((a->scarce || node->object_count != 0 || node->array_count != 0) && rti_new_value_fits(m, rti_frame_intern(m, after), v->node)) return true;
    }
    return false;
}
