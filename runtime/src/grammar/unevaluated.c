// unevaluatedProperties and unevaluatedItems: which members and items other keywords have evaluated depends on which
// subschemas hold. So the values are split by that: each branch is a set of values and the schemas that evaluate in it.
//
// More evaluated never makes a value invalid. Where the keyword is meant, it is enough that the branches cover all values, a
// value with all subschemas that hold for it among them; where it is denied, each must be exact, the others denied.
// SPDX-License-Identifier: MIT
#include "grammar/evaluate.h"
#include "grammar/objects.h"

#include <string.h>

enum { MAX_BRANCHES = 512, MAX_LOOKS = 2000 };

typedef struct branch {
    rti_set set;
    const uint32_t *places; // schemas whose own keywords evaluate, rising
    uint32_t count;
    bool all; // everything is evaluated
} branch;

typedef struct branches {
    branch *items;
    uint32_t count, capacity;
} branches;

typedef struct splitting {
    rti_evaluation *e;
    const rti_schema *top; // whose unevaluated keyword it is
    bool exact;
    uint32_t looks;
} splitting;

static rti_keyword keyword_of(const rti_evaluation *e)
{
    return e->type == RTI_TYPE_OBJECT ? RTI_KEYWORD_unevaluated_properties : RTI_KEYWORD_unevaluated_items;
}

// With any value: it evaluates everything that others did not.
static bool has_keyword(const rti_evaluation *e, const rti_schema *s)
{
    if (e->type != RTI_TYPE_OBJECT && e->type != RTI_TYPE_ARRAY) return false;
    return rti_schema_has(s, keyword_of(e)) && !(e->c->draft != 0 && e->c->draft <= 7);
}

bool rti_has_unevaluated(const rti_evaluation *e, const rti_schema *s)
{
    return has_keyword(e, s) && !rti_is_always(e->c, s->at[keyword_of(e)]);
}

static bool own_evaluate(const rti_evaluation *e, const rti_schema *s)
{
    uint64_t keywords = 1ull << RTI_KEYWORD_properties | 1ull << RTI_KEYWORD_pattern_properties | 1ull << RTI_KEYWORD_additional_properties;
    if (e->type == RTI_TYPE_ARRAY) keywords = 1ull << RTI_KEYWORD_items | 1ull << RTI_KEYWORD_prefix_items | 1ull << RTI_KEYWORD_contains;
    return (s->present & keywords) != 0;
}

static bool may_evaluate(splitting *x, uint32_t place, int depth);

static bool any_may_evaluate(splitting *x, const rti_schema *s, rti_keyword keyword, bool list, int depth)
{
    const rti_json_value *values = x->e->c->json.values;
    if (!rti_schema_has(s, keyword)) return false;
    if (!list) return may_evaluate(x, s->at[keyword], depth);
    for (uint32_t i = values[s->at[keyword]].first; i != RTI_JSON_NONE; i = values[i].next) {
        if (may_evaluate(x, i, depth)) return true;
    }
    return false;
}

// Whether anything is evaluated by a schema in this place. In doubt it is.
static bool may_evaluate(splitting *x, uint32_t place, int depth)
{
    static const rti_keyword single[] = { RTI_KEYWORD_if_, RTI_KEYWORD_then, RTI_KEYWORD_else_ };
    static const rti_keyword lists[] = { RTI_KEYWORD_all_of, RTI_KEYWORD_any_of, RTI_KEYWORD_one_of, RTI_KEYWORD_dependent_schemas };
    static const rti_keyword references[] = { RTI_KEYWORD_ref, RTI_KEYWORD_dynamic_ref, RTI_KEYWORD_recursive_ref };
    rti_compiler *c = x->e->c;
    if (c->json.values[place].kind == RTI_JSON_TRUE || c->json.values[place].kind == RTI_JSON_FALSE) return false;
    if (depth > 32 || ++x->looks > MAX_LOOKS) return true;
    const rti_schema *s = rti_schema_at(c, place);
    if (own_evaluate(x->e, s) || has_keyword(x->e, s)) return true;
    for (size_t i = 0; i < RTI_COUNT(single); i++) {
        if (any_may_evaluate(x, s, single[i], false, depth + 1)) return true;
    }
    for (size_t i = 0; i < RTI_COUNT(lists); i++) {
        if (any_may_evaluate(x, s, lists[i], true, depth + 1)) return true;
    }
    for (size_t i = 0; i < RTI_COUNT(references); i++) {
        if (!rti_schema_has(s, references[i])) continue;
        if (may_evaluate(x, rti_schema_target(c, (rti_schema *)s, references[i]), depth + 1)) return true;
    }
    return false;
}

// ---------------------------------------------------------------------------------------------------------------------
// Branches
// ---------------------------------------------------------------------------------------------------------------------

static void append(splitting *x, branches *list, branch one)
{
    rti_compiler *c = x->e->c;
    if (one.set == NULL) return;
    if (list->count == MAX_BRANCHES) {
        rti_refuse(c, RT_ERROR_TOO_LARGE, x->top->at[keyword_of(x->e)], "more than %d ways in which subschemas hold together", MAX_BRANCHES);
    }
    RTI_POOL_RESERVE(c->pool, list->items, list->capacity, list->count + 1);
    list->items[list->count++] = one;
}

static void append_all(splitting *x, branches *list, const branches *more)
{
    for (uint32_t i = 0; i < more->count; i++) append(x, list, more->items[i]);
}

static branches only(splitting *x, rti_set set)
{
    branches list = { 0 };
    append(x, &list, (branch){ .set = set });
    return list;
}

static void join_places(rti_compiler *c, const branch *a, const branch *b, branch *out)
{
    uint32_t *places = rti_pool_take_array(c->pool, a->count + b->count + 1, sizeof *places), count = 0, i = 0, k = 0;
    while (i < a->count || k < b->count) {
        uint32_t next = k == b->count || (i < a->count && a->places[i] <= b->places[k]) ? a->places[i++] : b->places[k++];
        if (count == 0 || places[count - 1] != next) places[count++] = next;
    }
    out->places = places;
    out->count = count;
}

static branches both(splitting *x, const branches *a, const branches *b)
{
    branches list = { 0 };
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t k = 0; k < b->count; k++) {
            branch one = { .set = rti_both(x->e, a->items[i].set, b->items[k].set), .all = a->items[i].all || b->items[k].all };
            if (one.set == NULL) continue;
            join_places(x->e->c, &a->items[i], &b->items[k], &one);
            append(x, &list, one);
        }
    }
    return list;
}

static branches both_with(splitting *x, const branches *a, rti_set set)
{
    branches one = only(x, set);
    return both(x, a, &one);
}

static branches split_place(splitting *x, uint32_t place);

// Branches of anyOf that evaluate, from `place` on: each holds, or is not looked at (denied, to be exact).
static void split_any(splitting *x, uint32_t place, const branches *so_far, bool some, rti_set plain, branches *out)
{
    const rti_json_value *values = x->e->c->json.values;
    while (place != RTI_JSON_NONE && !may_evaluate(x, place, 0)) place = values[place].next;
    if (so_far->count == 0) return;
    if (place == RTI_JSON_NONE) {
        branches last = some ? *so_far : both_with(x, so_far, plain);
        append_all(x, out, &last);
        return;
    }
    branches held = split_place(x, place), with = both(x, so_far, &held), without = *so_far;
    if (x->exact) without = both_with(x, so_far, rti_place_set(x->e, place, true));
    split_any(x, values[place].next, &without, some, plain, out);
    split_any(x, values[place].next, &with, true, plain, out);
}

static branches split_any_of(splitting *x, const branches *so_far, uint32_t list)
{
    const rti_json_value *values = x->e->c->json.values;
    rti_set plain = NULL;
    for (uint32_t i = values[list].first; i != RTI_JSON_NONE; i = values[i].next) {
        if (!may_evaluate(x, i, 0)) plain = rti_either(x->e, plain, rti_place_set(x->e, i, false));
    }
    branches out = { 0 };
    split_any(x, values[list].first, so_far, false, plain, &out);
    return out;
}

static branches split_one_of(splitting *x, const branches *so_far, uint32_t list)
{
    rti_evaluation *e = x->e;
    const rti_json_value *values = e->c->json.values;
    branches out = { 0 };
    for (uint32_t i = values[list].first; i != RTI_JSON_NONE; i = values[i].next) {
        branches one = split_place(x, i);
        for (uint32_t k = values[list].first; k != RTI_JSON_NONE && one.count != 0; k = values[k].next) {
            rti_set own = k == i ? NULL : rti_place_set(e, i, false), other = k == i ? NULL : rti_place_set(e, k, false);
            if (own == NULL || other == NULL || e->d->disjoint(e->c, own, other)) continue;
            one = both_with(x, &one, rti_place_set(e, k, true));
        }
        one = both(x, so_far, &one);
        append_all(x, &out, &one);
    }
    return out;
}

static branches split_if(splitting *x, const branches *so_far, const rti_schema *s)
{
    branches yes = split_place(x, s->at[RTI_KEYWORD_if_]), no = only(x, rti_place_set(x->e, s->at[RTI_KEYWORD_if_], true)), out = { 0 };
    yes = both(x, so_far, &yes);
    no = both(x, so_far, &no);
    if (rti_schema_has(s, RTI_KEYWORD_then)) {
        branches then = split_place(x, s->at[RTI_KEYWORD_then]);
        yes = both(x, &yes, &then);
    }
    if (rti_schema_has(s, RTI_KEYWORD_else_)) {
        branches otherwise = split_place(x, s->at[RTI_KEYWORD_else_]);
        no = both(x, &no, &otherwise);
    }
    append_all(x, &out, &yes);
    append_all(x, &out, &no);
    return out;
}

static branches split_dependent(splitting *x, const branches *so_far, uint32_t place)
{
    rti_compiler *c = x->e->c;
    uint32_t name = rti_key_name(c, place);
    branches held = split_place(x, place), out = both_with(x, so_far, rti_cases_one(c, &(rti_term){ RTI_MEMBER, name, RTI_ATOM_NEVER, 0 }, 1));
    held = both_with(x, &held, rti_cases_one(c, &(rti_term){ RTI_MEMBER_REQUIRED, name, 0, 0 }, 1));
    held = both(x, so_far, &held);
    append_all(x, &out, &held);
    return out;
}

static branches split_schema(splitting *x, const rti_schema *s)
{
    static const rti_keyword references[] = { RTI_KEYWORD_ref, RTI_KEYWORD_dynamic_ref, RTI_KEYWORD_recursive_ref };
    rti_compiler *c = x->e->c;
    const rti_json_value *values = c->json.values;
    branches list = only(x, rti_own_set(x->e, s));
    if (list.count != 0 && own_evaluate(x->e, s)) {
        uint32_t *place = rti_pool_take(c->pool, sizeof *place);
        *place = s->place;
        list.items[0].places = place;
        list.items[0].count = 1;
    }
    for (uint32_t i = rti_schema_has(s, RTI_KEYWORD_all_of) ? values[s->at[RTI_KEYWORD_all_of]].first : RTI_JSON_NONE; i != RTI_JSON_NONE && list.count != 0; i = values[i].next) {
        branches one = split_place(x, i);
        list = both(x, &list, &one);
    }
    for (size_t i = 0; i < RTI_COUNT(references) && list.count != 0; i++) {
        if (!rti_schema_has(s, references[i])) continue;
        branches one = split_place(x, rti_schema_target(c, (rti_schema *)s, references[i]));
        list = both(x, &list, &one);
    }
    if (list.count != 0 && rti_schema_has(s, RTI_KEYWORD_not_)) list = both_with(x, &list, rti_place_set(x->e, s->at[RTI_KEYWORD_not_], true));
    if (list.count != 0 && rti_schema_has(s, RTI_KEYWORD_any_of)) list = split_any_of(x, &list, s->at[RTI_KEYWORD_any_of]);
    if (list.count != 0 && rti_schema_has(s, RTI_KEYWORD_one_of)) list = split_one_of(x, &list, s->at[RTI_KEYWORD_one_of]);
    if (list.count != 0 && rti_schema_has(s, RTI_KEYWORD_if_)) list = split_if(x, &list, s);
    if (list.count == 0 || x->e->type != RTI_TYPE_OBJECT || !rti_schema_has(s, RTI_KEYWORD_dependent_schemas)) return list;
    for (uint32_t i = values[s->at[RTI_KEYWORD_dependent_schemas]].first; i != RTI_JSON_NONE && list.count != 0; i = values[i].next) {
        if (may_evaluate(x, i, 0)) list = split_dependent(x, &list, i); // (that it holds is among the schema's own keywords)
    }
    return list;
}

static branches split_place(splitting *x, uint32_t place)
{
    rti_compiler *c = x->e->c;
    if (!may_evaluate(x, place, 0)) return only(x, rti_place_set(x->e, place, false));
    const rti_schema *s = rti_schema_at(c, place);
    if (has_keyword(x->e, s)) {
        branches list = only(x, rti_place_set(x->e, place, false));
        if (list.count != 0) list.items[0].all = true;
        return list;
    }
    rti_enter_place(c, place);
    branches list = split_schema(x, s);
    c->depth--;
    return list;
}

// ---------------------------------------------------------------------------------------------------------------------
// The keyword
// ---------------------------------------------------------------------------------------------------------------------

rti_set rti_unevaluated_set(rti_evaluation *e, const rti_schema *s, bool denied)
{
    splitting x = { .e = e, .top = s, .exact = denied };
    branches list = split_schema(&x, s);
    rti_set result = NULL;
    for (uint32_t i = 0; i < list.count; i++) {
        const branch *one = &list.items[i];
        rti_set set = one->set;
        if (one->all) {
            set = denied ? NULL : set;
        } else {
            rti_set rest = (e->type == RTI_TYPE_OBJECT ? rti_object_unevaluated : rti_array_unevaluated)(e->c, s->at[keyword_of(e)], one->places, one->count, denied);
            set = rti_both(e, set, rest);
        }
        result = rti_either(e, result, set);
    }
    return result;
}
