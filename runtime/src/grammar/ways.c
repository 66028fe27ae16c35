// The ways to read one member where a case has conditions that some member must meet ("a member is not as this schema asks"):
// with a mark for each condition that it meets this way.
// SPDX-License-Identifier: MIT
#include "grammar/members.h"

#include <string.h>

enum { MAX_WAYS = 512 };

typedef struct way {
    rti_atom_list atoms;
    uint32_t marks;
} way;

typedef struct ways {
    rti_compiler *c;
    way *items;
    uint32_t count, capacity;
} ways;

static void add_way(ways *w, const way *from, rti_atom atom, uint32_t marks)
{
    rti_compiler *c = w->c;
    if (w->count == MAX_WAYS) rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: more than %d ways to read one member", rti_where(c), MAX_WAYS);
    way one = { .marks = from->marks | marks };
    for (uint32_t i = 0; i < from->atoms.count; i++) rti_atom_push(c, &one.atoms, from->atoms.items[i]);
    rti_atom_push(c, &one.atoms, atom);
    if (rti_atoms_show_empty(c, one.atoms.items, one.atoms.count)) return;
    RTI_POOL_RESERVE(c->pool, w->items, w->capacity, w->count + 1);
    w->items[w->count++] = one;
}

static bool shows_empty_with(rti_compiler *c, const way *x, rti_atom atom)
{
    rti_atom *all = rti_pool_take_array(c->pool, x->atoms.count + 1, sizeof *all);
    if (x->atoms.count != 0) memcpy(all, x->atoms.items, x->atoms.count * sizeof *all);
    all[x->atoms.count] = atom;
    return rti_atoms_show_empty(c, all, x->atoms.count + 1);
}

// Each way so far, without the mark and with it. Where the schema is a plain list of values or types, a value is read in one
// way only, so that discriminators tell at once; otherwise the way without the mark asks for nothing.
static void split(ways *w, const rti_atom_list *asked, uint32_t mark)
{
    rti_compiler *c = w->c;
    bool plain = asked->count == 1 && rti_is_shallow(c, asked->items[0]);
    for (uint32_t i = 0, count = w->count; i < count; i++) {
        way before = w->items[i];
        if (plain && shows_empty_with(c, &before, asked->items[0])) {
            w->items[i].marks |= mark;
            continue;
        }
        uint32_t first = w->count;
        for (uint32_t k = 0; k < asked->count; k++) add_way(w, &before, asked->items[k] | RTI_ATOM_DENIED, mark);
        if (plain && w->count > first) rti_atom_push(c, &w->items[i].atoms, asked->items[0]);
    }
}

static void meet(ways *w, rti_block *b, const rti_key *key, uint32_t condition)
{
    rti_compiler *c = w->c;
    const rti_term *t = b->conditions[condition];
    rti_atom_list asked = { 0 }, some = { 0 };
    bool always = false;
    if (t->kind == RTI_EXISTS_NAME) {
        const rti_name *name = key->any == NULL ? &c->names[key->name] : NULL;
        if (name == NULL ? (key->breaks >> condition & 1) == 0 : rti_string_set_contains(c, rti_evaluate(c, RTI_TYPE_STRING, t->a), name->text, name->size)) return;
        always = true;
    } else if (t->kind == RTI_EXISTS_OTHER) {
        const rti_name *name = key->any == NULL ? &c->names[key->name] : NULL;
        always = name == NULL || rti_json_member_sized(&c->json, t->a, name->text, name->size) == RTI_JSON_NONE;
    } else if (t->kind == RTI_EXISTS_UNEVALUATED) {
        rti_key_unevaluated(b, key, t, &asked);
    } else {
        rti_key_atoms(b, key, rti_schema_at(c, t->a), &asked);
    }
    for (uint32_t i = 0; i < asked.count; i++) {
        always |= c->json.values[asked.items[i] >> 2].kind == RTI_JSON_FALSE;
        if (!rti_is_always(c, asked.items[i] >> 2)) rti_atom_push(c, &some, asked.items[i]);
    }
    if (!always) {
        split(w, &some, 1u << condition);
        return;
    }
    for (uint32_t i = 0; i < w->count; i++) w->items[i].marks |= 1u << condition;
}

// Drops what another way does as well.
static void add_variant(rt_grammar *g, rti_variants *list, uint32_t node, uint32_t marks)
{
    for (uint32_t i = 0; i < list->count; i++) {
        rti_variant *v = &g->variants[list->first + i];
        if (v->node != node) continue;
        if ((v->marks & marks) == marks) return;
        if ((v->marks & marks) == v->marks) {
            v->marks = marks;
            return;
        }
    }
    uint32_t at = RTI_ADD(g, variants);
    g->variants[at] = (rti_variant){ node, marks };
    list->count++;
}

rti_variants rti_member_variants(rti_block *b, const rti_key *key, const rti_atom_list *base)
{
    rti_compiler *c = b->c;
    ways w = { .c = c };
    if (rti_atoms_show_empty(c, base->items, base->count)) return (rti_variants){ c->g->variants_count, 0 };
    RTI_POOL_RESERVE(c->pool, w.items, w.capacity, 1);
    w.items[w.count++] = (way){ 0 };
    for (uint32_t i = 0; i < base->count; i++) rti_atom_push(c, &w.items[0].atoms, base->items[i]);
    for (uint32_t i = 0; i < b->condition_count; i++) meet(&w, b, key, i);
    rti_variants list = { c->g->variants_count, 0 };
    for (uint32_t i = 0; i < w.count; i++) {
        uint32_t node = rti_node_of(c, w.items[i].atoms.items, w.items[i].atoms.count);
        if (node != 0) add_variant(c->g, &list, node, w.items[i].marks);
    }
    return list;
}
