// After all nodes are open: which of them have values at all, how deep the smallest is, and what follows for the blocks.
// SPDX-License-Identifier: MIT
#include "grammar/repeats.h"
#include "grammar/schema.h"

#include <string.h>

enum { COUNT_STRINGS = 1 << 16 };
#define NEVER UINT32_MAX

static uint32_t variants_height(const rt_grammar *g, uint32_t first, uint32_t count, uint32_t wanted)
{
    uint32_t best = NEVER;
    for (uint32_t i = 0; i < count; i++) {
        const rti_variant *v = &g->variants[first + i];
        if ((v->marks & wanted) == wanted) best = RTI_MIN(best, g->nodes[v->node].height);
    }
    return best;
}

static uint32_t object_height(const rt_grammar *g, const rti_object *o)
{
    uint32_t height = 0, available = 0;
    for (uint32_t i = 0; i < o->property_count; i++) {
        const rti_property *p = &g->properties[o->properties + i];
        uint32_t own = variants_height(g, p->variants, p->variant_count, 0);
        if (p->required) height = RTI_MAX(height, own);
        available += own != NEVER;
    }
    bool others = false;
    for (uint32_t i = 0; i < o->class_count; i++) {
        const rti_key_class *k = &g->classes[o->classes + i];
        others |= variants_height(g, k->variants, k->variant_count, 0) != NEVER;
    }
    for (uint32_t i = 0; i < o->condition_count; i++) {
        uint32_t best = (o->met >> i & 1) != 0 ? 0 : NEVER;
        for (uint32_t k = 0; k < o->property_count; k++) {
            const rti_property *p = &g->properties[o->properties + k];
            if ((p->absent >> i & 1) != 0) best = 0;
            best = RTI_MIN(best, variants_height(g, p->variants, p->variant_count, 1u << i));
        }
        for (uint32_t k = 0; k < o->class_count; k++) {
            const rti_key_class *x = &g->classes[o->classes + k];
            best = RTI_MIN(best, variants_height(g, x->variants, x->variant_count, 1u << i));
        }
        height = RTI_MAX(height, best);
    }
    if (o->dead || (!others && available < o->minimum)) return NEVER;
    return height;
}

static uint32_t array_height(const rt_grammar *g, const rti_array *a)
{
    uint32_t height = 0, needed = a->minimum;
    if (a->dead) return NEVER;
    for (uint32_t i = 0; i < a->condition_count; i++) {
        if (a->condition_minimum[i] == 0) continue;
        uint32_t best = NEVER;
        for (uint32_t k = 0; k <= a->prefix_count; k++) {
            const rti_variants *v = &g->item_variants[a->items + k];
            best = RTI_MIN(best, variants_height(g, v->first, v->count, 1u << i));
        }
        height = RTI_MAX(height, best);
        needed = RTI_MAX(needed, a->condition_minimum[i]);
    }
    for (uint32_t k = 0; k <= a->prefix_count && k < needed; k++) {
        const rti_variants *v = &g->item_variants[a->items + k];
        height = RTI_MAX(height, variants_height(g, v->first, v->count, 0));
    }
    return height;
}

static uint32_t node_height(rt_grammar *g, rti_node *n)
{
    uint32_t best = n->literals != 0 || n->number_count != 0 || n->terminal_count != 0 ? 0 : NEVER;
    for (uint32_t i = 0; i < n->object_count; i++) {
        rti_object *o = &g->objects[n->objects + i];
        o->height = object_height(g, o);
        if (o->height < NEVER - 1) best = RTI_MIN(best, o->height + 1);
    }
    for (uint32_t i = 0; i < n->array_count; i++) {
        rti_array *a = &g->arrays[n->arrays + i];
        a->height = array_height(g, a);
        if (a->height < NEVER - 1) best = RTI_MIN(best, a->height + 1);
    }
    return best;
}

static uint32_t keep_variants(rt_grammar *g, uint32_t first, uint32_t count)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        rti_variant v = g->variants[first + i];
        if (g->nodes[v.node].height != NEVER) g->variants[first + used++] = v;
    }
    return used;
}

// How many strings a terminal has, up to a limit.
static uint32_t count_strings(rti_compiler *c, rti_lexer *x, uint32_t state, uint32_t limit, uint32_t depth, uint32_t *work)
{
    if (depth > 64) return limit; // longer ones may be many, and surely are enough
    uint32_t count = rti_lexer_at(x, state)->accepts;
    for (uint32_t k = 0; k < x->class_count && count < limit; k++) {
        if (++*work > COUNT_STRINGS) return limit;
        uint32_t next = rti_lexer_step(x, state, x->samples[k]);
        if (next == RTI_LEXER_DEAD) continue;
        uint64_t size = 0; // characters in the class
        for (uint32_t code = 0; code < 128; code++) size += x->ascii[code] == k;
        for (uint32_t i = 0; i < x->high_count; i++) {
            if (x->high[i] == k) size += (i + 1 < x->high_count ? x->starts[i + 1] : 0x110000) - x->starts[i];
        }
        uint64_t total = count + size * count_strings(c, x, next, limit, depth + 1, work);
        count = (uint32_t)RTI_MIN(total, (uint64_t)limit);
    }
    return count;
}

static bool all_left(const void *user, uint32_t p)
{
    (void)user;
    (void)p;
    return true;
}

static void finish_object(rti_compiler *c, rti_object *o)
{
    rt_grammar *g = c->g;
    uint32_t available = 0, required = 0, used = 0;
    for (uint32_t i = 0; i < o->property_count; i++) {
        rti_property *p = &g->properties[o->properties + i];
        p->variant_count = keep_variants(g, p->variants, p->variant_count);
        available += p->variant_count != 0;
        required += p->required;
        if (p->required && i >= o->ordered_count && i - o->ordered_count < RTI_FREE_MAX) o->required_free |= 1ull << (i - o->ordered_count);
    }
    o->required_count = required;
    uint64_t room = 0;
    for (uint32_t i = 0; i < o->class_count; i++) {
        rti_key_class k = g->classes[o->classes + i];
        k.variant_count = keep_variants(g, k.variants, k.variant_count);
        if (k.variant_count == 0) {
            o->open = false;
            continue;
        }
        g->classes[o->classes + used++] = k;
        uint32_t limit = RTI_MAX(o->minimum, 1u), work = 0;
        const rti_terminal *t = &g->terminals[k.terminal];
        // Strings within bounds are finitely many, but few only where the expression itself says so.
        room += o->minimum == 0 || t->counts ? RTI_NO_MAXIMUM : count_strings(c, t->lexer, RTI_LEXER_START, limit, 0, &work);
    }
    o->class_count = used;
    o->other_room = room >= o->minimum && room > 0 ? RTI_NO_MAXIMUM : (uint32_t)room;
    if (o->minimum <= required) o->minimum = 0;
    if (used == 0 && o->maximum >= available) o->maximum = RTI_NO_MAXIMUM;
    o->dead = (o->other_room != RTI_NO_MAXIMUM && available + room < o->minimum) || (o->maximum != RTI_NO_MAXIMUM && o->maximum < RTI_MAX(required, o->minimum));
    uint32_t spare = o->maximum == RTI_NO_MAXIMUM ? RTI_NO_MAXIMUM : o->maximum - RTI_MIN(required, o->maximum);
    o->dead |= !rti_conditions_can_hold(g, o, 0, &(rti_members_left){ 0, all_left, NULL }, spare);
    o->next_required = g->positions_count;
    for (uint32_t i = 0; i <= o->ordered_count; i++) {
        uint32_t at = RTI_ADD(g, positions);
        g->positions[at] = o->ordered_count;
    }
    for (uint32_t i = o->ordered_count; i-- > 0;) {
        g->positions[o->next_required + i] = g->properties[o->properties + i].required ? i : g->positions[o->next_required + i + 1];
    }
}

static bool has_containers(const rt_grammar *g, const rti_variants *v)
{
    for (uint32_t i = 0; i < v->count; i++) {
        const rti_node *n = &g->nodes[g->variants[v->first + i].node];
        if (n->object_count != 0 || n->array_count != 0) return true;
    }
    return false;
}

// Whether items that are different can run out before there are enough.
static bool is_scarce(const rt_grammar *g, const rti_array *a)
{
    for (uint32_t k = 0; k <= a->prefix_count && k < a->minimum; k++) {
        const rti_variants *v = &g->item_variants[a->items + k];
        uint32_t most = 0;
        for (uint32_t i = 0; i < v->count; i++) most = RTI_MAX(most, g->nodes[g->variants[v->first + i].node].variety);
        if (most < a->minimum) return true;
    }
    return false;
}

// Walks it to see.
static bool has_values(rti_compiler *c, uint32_t array)
{
    rti_machine m;
    bool found = rti_machine_begin(&m, c->g, &c->g->host) != RT_OK || rti_array_has_values(&m, array);
    rt_result failed = m.error;
    rti_machine_end(&m);
    if (failed != RT_OK) rti_pool_fail(c->pool, failed, "%s: uniqueItems: no memory to look for enough different items", rti_where(c));
    return found;
}

// Arrays whose items must differ. True: one has no values after all.
static bool finish_unique(rti_compiler *c)
{
    rt_grammar *g = c->g;
    bool again = false, asked = false;
    for (uint32_t i = 0; i < g->arrays_count; i++) {
        rti_array *a = &g->arrays[i];
        if (a->height == NEVER || !a->unique) continue;
        for (uint32_t k = 0; k <= a->prefix_count; k++) asked |= has_containers(g, &g->item_variants[a->items + k]) || a->minimum > 1;
    }
    if (!asked) return false;
    rti_find_varieties(g);
    g->repeats_matter = true;
    for (uint32_t i = 0; i < g->arrays_count; i++) {
        rti_array *a = &g->arrays[i];
        if (a->height == NEVER || !a->unique) continue;
        a->scarce = is_scarce(g, a);
        if (!a->scarce) continue;
        a->dead = !has_values(c, i);
        again |= a->dead;
    }
    return again;
}

static void finish_array(rti_compiler *c, rti_array *a)
{
    rt_grammar *g = c->g;
    for (uint32_t k = 0; k <= a->prefix_count; k++) {
        rti_variants *v = &g->item_variants[a->items + k];
        v->count = keep_variants(g, v->first, v->count);
        if (v->count == 0) a->maximum = RTI_MIN(a->maximum, k);
    }
    if (a->unique && a->maximum <= 1) a->unique = false;
    for (uint32_t i = 0; i < a->condition_count; i++) {
        a->condition_last[i] = 0;
        for (uint32_t k = 0; k <= a->prefix_count && k < a->maximum; k++) {
            const rti_variants *v = &g->item_variants[a->items + k];
            if (variants_height(g, v->first, v->count, 1u << i) != NEVER) a->condition_last[i] = k == a->prefix_count ? RTI_NO_MAXIMUM : k + 1;
        }
    }
    a->dead = a->minimum > a->maximum;
}

static void find_heights(rt_grammar *g)
{
    for (uint32_t i = 1; i < g->nodes_count; i++) g->nodes[i].height = NEVER;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = g->nodes_count; i-- > 1;) {
            uint32_t height = node_height(g, &g->nodes[i]);
            changed |= height != g->nodes[i].height;
            g->nodes[i].height = height;
        }
    }
}

// True: a block turned out to have no values, so the heights must be found again.
static bool finish_blocks(rti_compiler *c)
{
    rt_grammar *g = c->g;
    bool again = false;
    for (uint32_t i = 1; i < g->objects_count; i++) {
        rti_object *o = &g->objects[i];
        if (o->height == NEVER) continue;
        finish_object(c, o);
        again |= o->dead;
    }
    for (uint32_t i = 0; i < g->arrays_count; i++) {
        rti_array *a = &g->arrays[i];
        if (a->height == NEVER) continue;
        finish_array(c, a);
        again |= a->dead;
    }
    return again;
}

void rti_compiler_finish(rti_compiler *c)
{
    rt_grammar *g = c->g;
    do {
        find_heights(g);
    } while (finish_blocks(c) || finish_unique(c));
    c->where = 0;
    if (g->nodes[g->root].height == NEVER) rti_pool_fail(c->pool, RT_ERROR_REJECTED, "%s: no value satisfies the schema", rti_where(c));
    if (g->nodes[g->root].height > g->max_depth) {
        rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: the smallest value is nested deeper than max_depth (%u)", rti_where(c), g->max_depth);
    }
}
