// Arrays: cases over items, and the blocks they become.
// SPDX-License-Identifier: MIT
#include "grammar/cases.h"

#include <string.h>

// a: count or index or atom. ANY_FROM: b is a list of atoms; each item from there on is as one of them.
enum { MINIMUM, MAXIMUM, AT, FROM, CONTAINS, EXISTS, UNIQUE, ANY_FROM };
enum { MAX_PREFIX = 4096, MAX_VARIANTS_PREFIX = 256, MAX_CHOICES = 64 };

static bool consistent(rti_compiler *c, const rti_case *x)
{
    (void)c;
    uint32_t low = 0, high = RTI_NO_MAXIMUM;
    for (uint32_t i = 0; i < x->count; i++) {
        if (x->terms[i].kind == MINIMUM) low = RTI_MAX(low, x->terms[i].a);
        if (x->terms[i].kind == MAXIMUM) high = RTI_MIN(high, x->terms[i].a);
        if (x->terms[i].kind == CONTAINS) low = RTI_MAX(low, x->terms[i].b);
    }
    return low <= high;
}

static rti_set all(rti_compiler *c)
{
    return rti_cases_all(c);
}

static rti_set both(rti_compiler *c, rti_set a, rti_set b)
{
    return rti_cases_both(c, a, b, consistent);
}

static rti_set either(rti_compiler *c, rti_set a, rti_set b)
{
    return rti_cases_either(c, a, b);
}

typedef struct terms {
    rti_compiler *c;
    bool denied;
    rti_term *items;
    uint32_t count, capacity;
    rti_set set; // denied: the cases so far
} terms;

static void add(terms *t, rti_term term)
{
    RTI_POOL_RESERVE(t->c->pool, t->items, t->capacity, t->count + 1);
    t->items[t->count++] = term;
}

static void add_denied(terms *t, const rti_term *term, uint32_t count)
{
    rti_set one = rti_cases_one(t->c, term, count);
    t->set = t->set == NULL ? one : either(t->c, t->set, one);
}

static bool never(rti_compiler *c, uint32_t place)
{
    return c->json.values[place].kind == RTI_JSON_FALSE;
}

static void add_items(terms *t, const rti_schema *s)
{
    rti_compiler *c = t->c;
    uint32_t prefix = RTI_JSON_NONE, rest = RTI_JSON_NONE, count = 0;
    if (rti_schema_has(s, RTI_KEYWORD_prefix_items)) prefix = s->at[RTI_KEYWORD_prefix_items];
    if (rti_schema_has(s, RTI_KEYWORD_items)) {
        uint32_t items = s->at[RTI_KEYWORD_items];
        if (c->json.values[items].kind != RTI_JSON_ARRAY) {
            rest = items;
        } else {
            prefix = items;
            if (rti_schema_has(s, RTI_KEYWORD_additional_items)) rest = s->at[RTI_KEYWORD_additional_items];
        }
    }
    if (prefix != RTI_JSON_NONE) {
        if (c->json.values[prefix].count > MAX_PREFIX) rti_refuse(c, RT_ERROR_TOO_LARGE, prefix, "more than %d items", MAX_PREFIX);
        for (uint32_t i = c->json.values[prefix].first; i != RTI_JSON_NONE; i = c->json.values[i].next, count++) {
            if (rti_is_always(c, i)) continue;
            rti_atom atom = rti_atom_make(i, t->denied);
            if (t->denied) {
                add_denied(t, (rti_term[]){ { MINIMUM, count + 1, 0, 0 }, { AT, count, atom, 0 } }, 2);
            } else {
                add(t, (rti_term){ AT, count, atom, 0 });
            }
        }
    }
    if (rest == RTI_JSON_NONE || rti_is_always(c, rest)) return;
    if (never(c, rest)) {
        if (t->denied) {
            add_denied(t, &(rti_term){ MINIMUM, count + 1, 0, 0 }, 1);
        } else {
            add(t, (rti_term){ MAXIMUM, count, 0, 0 });
        }
    } else if (t->denied) {
        add_denied(t, &(rti_term){ EXISTS, count, rti_atom_make(rest, true), 0 }, 1);
    } else {
        add(t, (rti_term){ FROM, count, rti_atom_make(rest, false), 0 });
    }
}

static void add_contains(terms *t, const rti_schema *s)
{
    if (!rti_schema_has(s, RTI_KEYWORD_contains)) return;
    uint32_t low = 1, high = RTI_NO_MAXIMUM, place = s->at[RTI_KEYWORD_contains];
    rti_schema_size(t->c, s, RTI_KEYWORD_min_contains, &low);
    rti_schema_size(t->c, s, RTI_KEYWORD_max_contains, &high);
    rti_atom atom = rti_atom_make(place, false);
    if (!t->denied) {
        if (low != 0 || high != RTI_NO_MAXIMUM) add(t, (rti_term){ CONTAINS, atom, low, high });
        return;
    }
    if (low == 1) add_denied(t, &(rti_term){ FROM, 0, atom | RTI_ATOM_DENIED, 0 }, 1);
    if (low > 1) add_denied(t, &(rti_term){ CONTAINS, atom, 0, low - 1 }, 1);
    if (high != RTI_NO_MAXIMUM) add_denied(t, &(rti_term){ CONTAINS, atom, high + 1, RTI_NO_MAXIMUM }, 1);
}

static rti_set keywords(rti_compiler *c, const rti_schema *s, bool denied)
{
    terms t = { .c = c, .denied = denied };
    uint32_t size;
    if (rti_schema_size(c, s, RTI_KEYWORD_min_items, &size) && size > 0) {
        if (denied) {
            add_denied(&t, &(rti_term){ MAXIMUM, size - 1, 0, 0 }, 1);
        } else {
            add(&t, (rti_term){ MINIMUM, size, 0, 0 });
        }
    }
    if (rti_schema_size(c, s, RTI_KEYWORD_max_items, &size)) {
        if (denied) {
            add_denied(&t, &(rti_term){ MINIMUM, size + 1, 0, 0 }, 1);
        } else {
            add(&t, (rti_term){ MAXIMUM, size, 0, 0 });
        }
    }
    add_items(&t, s);
    add_contains(&t, s);
    if (rti_schema_has(s, RTI_KEYWORD_unique_items) && c->json.values[s->at[RTI_KEYWORD_unique_items]].kind == RTI_JSON_TRUE) {
        if (denied) rti_refuse(c, RT_ERROR_UNSUPPORTED, s->at[RTI_KEYWORD_unique_items], "denied (by not, if or oneOf)");
        add(&t, (rti_term){ UNIQUE, s->at[RTI_KEYWORD_unique_items], 0, 0 });
    }
    return denied ? t.set : rti_cases_one(c, t.items, t.count);
}

static rti_set constant(rti_compiler *c, uint32_t place, bool denied)
{
    terms t = { .c = c, .denied = denied };
    uint32_t count = c->json.values[place].count, index = 0;
    for (uint32_t i = c->json.values[place].first; i != RTI_JSON_NONE; i = c->json.values[i].next, index++) {
        rti_atom atom = rti_atom_make(i, denied) | RTI_ATOM_CONSTANT;
        if (denied) {
            add_denied(&t, (rti_term[]){ { MINIMUM, index + 1, 0, 0 }, { AT, index, atom, 0 } }, 2);
        } else {
            add(&t, (rti_term){ AT, index, atom, 0 });
        }
    }
    if (denied) {
        add_denied(&t, &(rti_term){ MINIMUM, count + 1, 0, 0 }, 1);
        if (count > 0) add_denied(&t, &(rti_term){ MAXIMUM, count - 1, 0, 0 }, 1);
        return t.set;
    }
    add(&t, (rti_term){ MINIMUM, count, 0, 0 });
    add(&t, (rti_term){ MAXIMUM, count, 0, 0 });
    return rti_cases_one(c, t.items, t.count);
}

static bool case_pair_disjoint(rti_compiler *c, const rti_case *x, const rti_case *y)
{
    uint32_t low = 0;
    rti_atom_list atoms = { 0 };
    for (int side = 0; side < 2; side++) {
        const rti_case *a = side == 0 ? x : y;
        for (uint32_t i = 0; i < a->count; i++) {
            const rti_term *t = &a->terms[i];
            if (t->kind == MINIMUM) low = RTI_MAX(low, t->a);
            if (t->kind == CONTAINS) low = RTI_MAX(low, t->b);
            if ((t->kind == AT || t->kind == FROM) && t->a == 0) rti_atom_push(c, &atoms, t->b);
        }
    }
    if (low == 0 || atoms.count < 2 || c->disjoint_depth >= 2) return false;
    c->disjoint_depth++;
    bool empty = rti_atoms_surely_empty(c, atoms.items, atoms.count, 0);
    c->disjoint_depth--;
    return empty;
}

static bool disjoint(rti_compiler *c, rti_set x, rti_set y)
{
    rti_set set = both(c, x, y);
    if (set == NULL) return true;
    const rti_cases *a = x, *b = y;
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t k = 0; k < b->count; k++) {
            if (!case_pair_disjoint(c, &a->cases[i], &b->cases[k])) return false;
        }
    }
    return true;
}

// How many of the first items a schema evaluates; *rest: the others as well.
static uint32_t evaluated_items(rti_compiler *c, const rti_schema *s, bool *rest)
{
    uint32_t count = 0;
    if (rti_schema_has(s, RTI_KEYWORD_prefix_items)) count = c->json.values[s->at[RTI_KEYWORD_prefix_items]].count;
    if (!rti_schema_has(s, RTI_KEYWORD_items)) return count;
    bool list = c->json.values[s->at[RTI_KEYWORD_items]].kind == RTI_JSON_ARRAY;
    *rest |= !list || rti_schema_has(s, RTI_KEYWORD_additional_items);
    return list ? c->json.values[s->at[RTI_KEYWORD_items]].count : count;
}

rti_set rti_array_unevaluated(rti_compiler *c, uint32_t place, const uint32_t *places, uint32_t count, bool denied)
{
    uint32_t prefix = 0;
    bool rest = false;
    rti_atom_list either_of = { 0 };
    if (!never(c, place)) rti_atom_push(c, &either_of, rti_atom_make(place, false));
    for (uint32_t i = 0; i < count; i++) {
        const rti_schema *s = rti_schema_at(c, places[i]);
        prefix = RTI_MAX(prefix, evaluated_items(c, s, &rest));
        if (!rti_schema_has(s, RTI_KEYWORD_contains) || c->draft == 2019) continue; // where contains evaluates nothing
        if (denied) rti_refuse(c, RT_ERROR_UNSUPPORTED, place, "denied (by not, if or oneOf) beside contains");
        rti_atom_push(c, &either_of, rti_atom_make(s->at[RTI_KEYWORD_contains], false));
    }
    if (rest) return denied ? NULL : all(c);
    rti_term term = { ANY_FROM, prefix, rti_list_of(c, either_of.items, either_of.count), 0 };
    if (denied) {
        term = never(c, place) ? (rti_term){ MINIMUM, prefix + 1, 0, 0 } : (rti_term){ EXISTS, prefix, rti_atom_make(place, true), 0 };
    } else if (either_of.count == 0) {
        term = (rti_term){ MAXIMUM, prefix, 0, 0 };
    } else if (either_of.count == 1) {
        term = (rti_term){ FROM, prefix, either_of.items[0], 0 };
    }
    return rti_cases_one(c, &term, 1);
}

const rti_domain rti_array_domain = { all, both, either, keywords, constant, disjoint, NULL };

// ---------------------------------------------------------------------------------------------------------------------
// Blocks
// ---------------------------------------------------------------------------------------------------------------------

typedef struct condition {
    uint32_t from, low, high;
    rti_atom atom;
} condition;

typedef struct block {
    rti_compiler *c;
    const rti_case *x;
    condition conditions[RTI_CONDITIONS_MAX];
    uint32_t condition_count, prefix, low, high, unique;
} block;

static bool read_terms(block *b)
{
    rti_compiler *c = b->c;
    b->high = RTI_NO_MAXIMUM;
    b->unique = RTI_JSON_NONE;
    for (uint32_t i = 0; i < b->x->count; i++) {
        const rti_term *t = &b->x->terms[i];
        condition one = { 0, 1, RTI_NO_MAXIMUM, 0 };
        switch (t->kind) {
        case MINIMUM: b->low = RTI_MAX(b->low, t->a); continue;
        case MAXIMUM: b->high = RTI_MIN(b->high, t->a); continue;
        case AT: b->prefix = RTI_MAX(b->prefix, t->a + 1); continue;
        case ANY_FROM:
        case FROM: b->prefix = RTI_MAX(b->prefix, t->a); continue;
        case UNIQUE: b->unique = t->a; continue;
        case CONTAINS: one = (condition){ 0, t->b, t->c, t->a }; break;
        default: one = (condition){ t->a, 1, RTI_NO_MAXIMUM, t->b }; break;
        }
        if (b->condition_count == RTI_CONDITIONS_MAX) {
            rti_pool_fail(c->pool, RT_ERROR_UNSUPPORTED, "%s: more than %d conditions of contains, or of items that are denied, on one array",
                          rti_place(c, one.atom >> 2), RTI_CONDITIONS_MAX);
        }
        if (one.low > 0xFFFF || (one.high != RTI_NO_MAXIMUM && one.high > 0xFFFE)) {
            rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: minContains, maxContains: over 65534", rti_where(c));
        }
        b->prefix = RTI_MAX(b->prefix, one.from);
        b->conditions[b->condition_count++] = one;
    }
    if (b->prefix > MAX_PREFIX || (b->condition_count > 1 && b->prefix > MAX_VARIANTS_PREFIX)) {
        rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: too many items that differ", rti_where(c));
    }
    return b->low <= b->high;
}

// One way to read an item: what it counts for, and which one it is as where it may be as one of several. False: not possible.
static bool item_atoms(const block *b, uint32_t index, uint32_t marks, uint32_t choice, rti_atom_list *atoms)
{
    rti_compiler *c = b->c;
    for (uint32_t i = 0; i < b->x->count; i++) {
        const rti_term *t = &b->x->terms[i];
        if ((t->kind == AT && t->a == index) || (t->kind == FROM && t->a <= index)) rti_atom_push(c, atoms, t->b);
        if (t->kind != ANY_FROM || t->a > index) continue;
        rti_atom_push(c, atoms, c->lists[t->b].items[choice % c->lists[t->b].count]);
        choice /= c->lists[t->b].count;
    }
    for (uint32_t i = 0; i < b->condition_count; i++) {
        const condition *k = &b->conditions[i];
        bool marked = (marks >> i & 1) != 0;
        if (marked && index < k->from) return false;
        if (marked) rti_atom_push(c, atoms, k->atom);
        if (!marked && k->high != RTI_NO_MAXIMUM && index >= k->from) rti_atom_push(c, atoms, k->atom ^ RTI_ATOM_DENIED);
    }
    return true;
}

static rti_variants add_item(block *b, uint32_t index)
{
    rti_compiler *c = b->c;
    rt_grammar *g = c->g;
    rti_variants result = { g->variants_count, 0 };
    uint32_t choices = 1;
    for (uint32_t i = 0; i < b->x->count; i++) {
        const rti_term *t = &b->x->terms[i];
        if (t->kind == ANY_FROM && t->a <= index) choices *= c->lists[t->b].count;
        if (choices > MAX_CHOICES) rti_pool_fail(c->pool, RT_ERROR_TOO_LARGE, "%s: more than %d ways to read one item", rti_where(c), MAX_CHOICES);
    }
    for (uint32_t way = 0; way < choices << b->condition_count; way++) {
        uint32_t marks = way / choices;
        rti_atom_list atoms = { 0 };
        uint32_t node = item_atoms(b, index, marks, way % choices, &atoms) ? rti_node_of(c, atoms.items, atoms.count) : 0;
        if (node == 0) continue;
        uint32_t at = RTI_ADD(g, variants);
        g->variants[at] = (rti_variant){ node, marks };
        result.count++;
    }
    return result;
}

static void finish_case(rti_compiler *c, const rti_case *x)
{
    rt_grammar *g = c->g;
    block b = { .c = c, .x = x };
    if (!read_terms(&b)) return;
    rti_array a = { .prefix_count = b.prefix, .minimum = b.low, .maximum = b.high, .condition_count = b.condition_count };
    for (uint32_t i = 0; i < b.condition_count; i++) {
        a.condition_minimum[i] = b.conditions[i].low;
        a.condition_maximum[i] = b.conditions[i].high;
    }
    a.unique = b.unique != RTI_JSON_NONE && a.maximum > 1;
    rti_variants *items = rti_pool_take_array(c->pool, b.prefix + 1, sizeof *items);
    for (uint32_t i = 0; i <= b.prefix; i++) {
        if (i >= a.maximum) continue; // never reached
        items[i] = add_item(&b, i);
    }
    a.items = g->item_variants_count;
    for (uint32_t i = 0; i <= b.prefix; i++) {
        uint32_t at = RTI_ADD(g, item_variants);
        g->item_variants[at] = items[i];
    }
    uint32_t at = RTI_ADD(g, arrays);
    g->arrays[at] = a;
}

void rti_array_finish(rti_compiler *c, rti_set x, rti_node *node)
{
    const rti_cases *set = x;
    if (set == NULL) return;
    node->arrays = c->g->arrays_count;
    for (uint32_t i = 0; i < set->count; i++) finish_case(c, &set->cases[i]);
    node->array_count = c->g->arrays_count - node->arrays;
}
