// Whether the conditions of an object can still be met, all of them: each member that is left may come once and meet some, or
// not come and meet others.
// SPDX-License-Identifier: MIT
#include "grammar/containers.h"

#include <string.h>

enum { SETS = 1 << RTI_OBJECT_CONDITIONS_MAX };
#define NEVER UINT32_MAX

static bool marks_in(const rt_grammar *g, uint32_t first, uint32_t count, uint32_t marks)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((g->variants[first + i].marks & marks) == marks) return true;
    }
    return false;
}

static bool class_meets(const rt_grammar *g, const rti_object *o, uint32_t marks)
{
    for (uint32_t k = 0; k < o->class_count; k++) {
        const rti_key_class *x = &g->classes[o->classes + k];
        if (marks_in(g, x->variants, x->variant_count, marks)) return true;
    }
    return false;
}

// Quick and mostly enough: a member of its own for each condition.
static bool each_has_its_own(const rt_grammar *g, const rti_object *o, uint32_t missing, const rti_members_left *left)
{
    uint32_t used[RTI_OBJECT_CONDITIONS_MAX], count = 0;
    for (; missing != 0; missing &= missing - 1) {
        uint32_t mark = missing & -missing, found = NEVER;
        if (class_meets(g, o, mark)) continue;
        for (uint32_t p = left->from; p < o->property_count && found == NEVER; p++) {
            const rti_property *x = &g->properties[o->properties + p];
            if (((x->absent & mark) == 0 && !marks_in(g, x->variants, x->variant_count, mark)) || !left->has(left->user, p)) continue;
            found = p;
            for (uint32_t i = 0; i < count; i++) {
                if (used[i] == p) found = NEVER;
            }
        }
        if (found == NEVER) return false;
        used[count++] = found;
    }
    return true;
}

static bool add_ways(const rt_grammar *g, uint32_t first, uint32_t count, uint32_t price, const uint32_t *from, uint32_t *to, uint32_t sets)
{
    bool changed = false;
    for (uint32_t s = 0; s < sets; s++) {
        for (uint32_t i = 0; i < count && from[s] != NEVER; i++) {
            uint32_t with = (s | g->variants[first + i].marks) & (sets - 1);
            if (from[s] + price >= to[with]) continue;
            to[with] = from[s] + price;
            changed = true;
        }
    }
    return changed;
}

// By set of conditions that are met: how many members that need not come are spent on it at least.
static uint32_t least_members(const rt_grammar *g, const rti_object *o, uint32_t met, const rti_members_left *left)
{
    uint32_t spent[SETS], next[SETS], sets = 1u << o->condition_count;
    memset(spent, 0xFF, sizeof spent);
    spent[met] = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t k = 0; k < o->class_count; k++) {
            const rti_key_class *x = &g->classes[o->classes + k];
            changed |= add_ways(g, x->variants, x->variant_count, 1, spent, spent, sets);
        }
    }
    for (uint32_t p = left->from; p < o->property_count && spent[sets - 1] != 0; p++) {
        const rti_property *x = &g->properties[o->properties + p];
        bool marks = x->absent != 0;
        for (uint32_t i = 0; i < x->variant_count; i++) marks |= g->variants[x->variants + i].marks != 0;
        if (!marks || !left->has(left->user, p)) continue;
        memcpy(next, spent, sizeof next);
        for (uint32_t i = 0; i < sets && x->absent != 0; i++) next[i | x->absent] = RTI_MIN(next[i | x->absent], spent[i]);
        add_ways(g, x->variants, x->variant_count, !x->required, spent, next, sets);
        memcpy(spent, next, sizeof next);
    }
    return spent[sets - 1];
}

bool rti_conditions_can_hold(const rt_grammar *g, const rti_object *o, uint32_t met, const rti_members_left *left, uint32_t room)
{
    met |= o->met;
    uint32_t missing = ((1u << o->condition_count) - 1) & ~met;
    if (missing == 0) return true;
    if ((uint32_t)__builtin_popcount(missing) <= room && each_has_its_own(g, o, missing, left)) return true;
    if (__builtin_popcount(missing) == 1 && room == RTI_NO_MAXIMUM) return false; // that was exact
    uint32_t least = least_members(g, o, met, left);
    return least != NEVER && least <= room;
}
