// The boolean structure of a schema, the same for every type of value.
// SPDX-License-Identifier: MIT
#include "grammar/evaluate.h"

#include <string.h>

enum { MAX_BRANCHES = 512, MAX_DENIED_ONE_OF = 24 };

static const rti_domain *const domains[RTI_TYPE_COUNT] = {
    &rti_simple_domain, &rti_number_domain, &rti_string_domain, &rti_array_domain, &rti_object_domain,
};

typedef rti_evaluation evaluation;

static rti_set all_or_none(evaluation *e, bool all)
{
    return all ? e->d->all(e->c) : NULL;
}

rti_set rti_both(evaluation *e, rti_set a, rti_set b)
{
    return a == NULL || b == NULL ? NULL : e->d->both(e->c, a, b);
}

rti_set rti_either(evaluation *e, rti_set a, rti_set b)
{
    return a == NULL ? b : b == NULL ? a : e->d->either(e->c, a, b);
}

static rti_type type_of_value(rti_json_kind kind)
{
    switch (kind) {
    case RTI_JSON_NUMBER: return RTI_TYPE_NUMBER;
    case RTI_JSON_STRING: return RTI_TYPE_STRING;
    case RTI_JSON_ARRAY: return RTI_TYPE_ARRAY;
    case RTI_JSON_OBJECT: return RTI_TYPE_OBJECT;
    default: return RTI_TYPE_SIMPLE;
    }
}

static rti_set constant_set(evaluation *e, uint32_t place, bool denied)
{
    if (type_of_value(e->c->json.values[place].kind) != e->type) return all_or_none(e, denied);
    return e->d->constant(e->c, place, denied);
}

static bool type_fits(evaluation *e, uint32_t place)
{
    const rti_json *j = &e->c->json;
    switch (e->type) {
    case RTI_TYPE_NUMBER: return rti_json_is_text(j, place, "number") || rti_json_is_text(j, place, "integer");
    case RTI_TYPE_STRING: return rti_json_is_text(j, place, "string");
    case RTI_TYPE_ARRAY: return rti_json_is_text(j, place, "array");
    case RTI_TYPE_OBJECT: return rti_json_is_text(j, place, "object");
    default: return rti_json_is_text(j, place, "null") || rti_json_is_text(j, place, "boolean");
    }
}

// Whether `type` lets this type of value through at all; "integer" and the simple ones are told apart by the domain.
static bool type_allows(evaluation *e, const rti_schema *s)
{
    if (!rti_schema_has(s, RTI_KEYWORD_type)) return true;
    uint32_t place = s->at[RTI_KEYWORD_type];
    const rti_json_value *v = &e->c->json.values[place];
    if (v->kind == RTI_JSON_STRING) return type_fits(e, place);
    for (uint32_t i = v->first; i != RTI_JSON_NONE; i = e->c->json.values[i].next) {
        if (type_fits(e, i)) return true;
    }
    return false;
}

// Conjuncts are folded one by one; when denied, their denials are joined instead.
typedef struct fold {
    evaluation *e;
    bool denied, done;
    rti_set set;
} fold;

static void add(fold *f, rti_set set)
{
    if (f->denied) {
        f->set = rti_either(f->e, f->set, set);
    } else {
        f->set = rti_both(f->e, f->set, set);
        f->done = f->set == NULL;
    }
}

static void add_enum(fold *f, uint32_t place)
{
    evaluation *e = f->e;
    if (e->d->constants != NULL) {
        uint32_t *places = rti_pool_take_array(e->c->pool, e->c->json.values[place].count + 1, sizeof *places), count = 0;
        for (uint32_t i = e->c->json.values[place].first; i != RTI_JSON_NONE; i = e->c->json.values[i].next) {
            if (type_of_value(e->c->json.values[i].kind) == e->type) places[count++] = i;
        }
        add(f, count == 0 ? all_or_none(e, f->denied) : e->d->constants(e->c, places, count, f->denied));
        return;
    }
    rti_set set = all_or_none(e, f->denied);
    for (uint32_t i = e->c->json.values[place].first; i != RTI_JSON_NONE; i = e->c->json.values[i].next) {
        if (type_of_value(e->c->json.values[i].kind) != e->type) continue;
        rti_set one = e->d->constant(e->c, i, f->denied);
        set = f->denied ? rti_both(e, set, one) : rti_either(e, set, one);
    }
    add(f, set);
}

static void add_any_of(fold *f, uint32_t place)
{
    evaluation *e = f->e;
    rti_set set = all_or_none(e, f->denied);
    for (uint32_t i = e->c->json.values[place].first; i != RTI_JSON_NONE; i = e->c->json.values[i].next) {
        rti_set one = rti_place_set(e, i, f->denied);
        set = f->denied ? rti_both(e, set, one) : rti_either(e, set, one);
        if (f->denied && set == NULL) break;
    }
    add(f, set);
}

static void add_one_of(fold *f, uint32_t place)
{
    evaluation *e = f->e;
    uint32_t count = 0, n = e->c->json.values[place].count;
    if (n > MAX_BRANCHES) rti_refuse(e->c, RT_ERROR_TOO_LARGE, place, "more than %d branches", MAX_BRANCHES);
    uint32_t *places = rti_pool_take_array(e->c->pool, n + 1, sizeof *places);
    rti_set *sets = rti_pool_take_array(e->c->pool, n + 1, sizeof *sets);
    for (uint32_t i = e->c->json.values[place].first; i != RTI_JSON_NONE; i = e->c->json.values[i].next) {
        rti_set set = rti_place_set(e, i, false);
        if (set == NULL) continue;
        places[count] = i;
        sets[count++] = set;
    }
    if (!f->denied) {
        rti_set result = NULL;
        for (uint32_t i = 0; i < count; i++) {
            rti_set set = sets[i];
            for (uint32_t k = 0; k < count && set != NULL; k++) {
                if (k != i && !e->d->disjoint(e->c, set, sets[k])) set = rti_both(e, set, rti_place_set(e, places[k], true));
            }
            result = rti_either(e, result, set);
        }
        add(f, result);
        return;
    }
    // None of them, or two at once.
    if (count > MAX_DENIED_ONE_OF) rti_refuse(e->c, RT_ERROR_UNSUPPORTED, place, "denied (by not, if or another oneOf) with more than %d branches", MAX_DENIED_ONE_OF);
    rti_set none = all_or_none(e, true), result = NULL;
    for (uint32_t i = 0; i < count; i++) none = rti_both(e, none, rti_place_set(e, places[i], true));
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = i + 1; k < count; k++) {
            if (!e->d->disjoint(e->c, sets[i], sets[k])) result = rti_either(e, result, rti_both(e, sets[i], sets[k]));
        }
    }
    add(f, rti_either(e, none, result));
}

static void add_if(fold *f, const rti_schema *s)
{
    evaluation *e = f->e;
    bool has_then = rti_schema_has(s, RTI_KEYWORD_then), has_else = rti_schema_has(s, RTI_KEYWORD_else_);
    if (!has_then && !has_else) return;
    rti_set yes = rti_place_set(e, s->at[RTI_KEYWORD_if_], false), no = rti_place_set(e, s->at[RTI_KEYWORD_if_], true);
    rti_set then = has_then ? rti_place_set(e, s->at[RTI_KEYWORD_then], f->denied) : all_or_none(e, !f->denied);
    rti_set otherwise = has_else ? rti_place_set(e, s->at[RTI_KEYWORD_else_], f->denied) : all_or_none(e, !f->denied);
    add(f, rti_either(e, rti_both(e, yes, then), rti_both(e, no, otherwise)));
}

static void add_applicators(fold *f, const rti_schema *s)
{
    evaluation *e = f->e;
    rti_json_value *values = e->c->json.values;
    if (rti_schema_has(s, RTI_KEYWORD_all_of)) {
        for (uint32_t i = values[s->at[RTI_KEYWORD_all_of]].first; i != RTI_JSON_NONE && !f->done; i = values[i].next) {
            add(f, rti_place_set(e, i, f->denied));
        }
    }
    static const rti_keyword references[] = { RTI_KEYWORD_ref, RTI_KEYWORD_dynamic_ref, RTI_KEYWORD_recursive_ref };
    for (size_t i = 0; i < RTI_COUNT(references) && !f->done; i++) {
        if (!rti_schema_has(s, references[i])) continue;
        add(f, rti_place_set(e, rti_schema_target(e->c, (rti_schema *)s, references[i]), f->denied));
    }
    if (!f->done && rti_schema_has(s, RTI_KEYWORD_any_of)) add_any_of(f, s->at[RTI_KEYWORD_any_of]);
    if (!f->done && rti_schema_has(s, RTI_KEYWORD_one_of)) add_one_of(f, s->at[RTI_KEYWORD_one_of]);
    if (!f->done && rti_schema_has(s, RTI_KEYWORD_not_)) add(f, rti_place_set(e, s->at[RTI_KEYWORD_not_], !f->denied));
    if (!f->done && rti_schema_has(s, RTI_KEYWORD_if_)) add_if(f, s);
}

static void add_own(fold *f, const rti_schema *s)
{
    evaluation *e = f->e;
    if (rti_schema_has(s, RTI_KEYWORD_enum_)) add_enum(f, s->at[RTI_KEYWORD_enum_]);
    if (!f->done && rti_schema_has(s, RTI_KEYWORD_const_)) add(f, constant_set(e, s->at[RTI_KEYWORD_const_], f->denied));
    if (!f->done) {
        rti_set own = e->d->keywords(e->c, s, f->denied);
        add(f, own);
    }
}

rti_set rti_own_set(evaluation *e, const rti_schema *s)
{
    if (!type_allows(e, s)) return NULL;
    fold f = { .e = e, .set = all_or_none(e, true) };
    add_own(&f, s);
    return f.set;
}

static rti_set schema_set(evaluation *e, const rti_schema *s, bool denied)
{
    if (!type_allows(e, s)) return all_or_none(e, denied);
    bool unevaluated = rti_has_unevaluated(e, s);
    if (unevaluated && !denied) return rti_unevaluated_set(e, s, false);
    fold f = { .e = e, .denied = denied, .set = all_or_none(e, !denied) };
    add_own(&f, s);
    if (!f.done) add_applicators(&f, s);
    return unevaluated ? rti_either(e, f.set, rti_unevaluated_set(e, s, true)) : f.set;
}

void rti_enter_place(rti_compiler *c, uint32_t place)
{
    if (++c->depth > RTI_IN_PLACE_MAX) {
        rti_refuse(c, RT_ERROR_UNSUPPORTED, place, "schemas refer to each other in the same place without end");
    }
}

rti_set rti_place_set(evaluation *e, uint32_t place, bool denied)
{
    rti_compiler *c = e->c;
    rti_json_kind kind = c->json.values[place].kind;
    if (kind == RTI_JSON_TRUE || kind == RTI_JSON_FALSE) return all_or_none(e, (kind == RTI_JSON_TRUE) != denied);
    rti_enter_place(c, place);
    rti_set set = schema_set(e, rti_schema_at(c, place), denied);
    c->depth--;
    return set;
}

rti_set rti_evaluate(rti_compiler *c, rti_type type, rti_atom atom)
{
    evaluation e = { c, domains[type], type };
    if (atom == RTI_ATOM_NEVER) return NULL;
    bool denied = (atom & RTI_ATOM_DENIED) != 0;
    return (atom & RTI_ATOM_CONSTANT) != 0 ? constant_set(&e, atom >> 2, denied) : rti_place_set(&e, atom >> 2, denied);
}

rti_set rti_evaluate_all(rti_compiler *c, rti_type type, const rti_atom *atoms, uint32_t count)
{
    evaluation e = { c, domains[type], type };
    rti_set set = e.d->all(c);
    for (uint32_t i = 0; i < count && set != NULL; i++) set = rti_both(&e, set, rti_evaluate(c, type, atoms[i]));
    return set;
}

bool rti_atoms_surely_empty(rti_compiler *c, const rti_atom *atoms, uint32_t count, int depth)
{
    for (uint32_t i = 0; i < count; i++) {
        if (atoms[i] == RTI_ATOM_NEVER) return true;
    }
    (void)depth;
    static const rti_type order[] = { RTI_TYPE_OBJECT, RTI_TYPE_ARRAY, RTI_TYPE_SIMPLE, RTI_TYPE_NUMBER, RTI_TYPE_STRING };
    for (size_t i = 0; i < RTI_COUNT(order); i++) {
        if (rti_evaluate_all(c, order[i], atoms, count) != NULL) return false;
    }
    return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// null, true, false: a set is a pointer to one of eight bytes
// ---------------------------------------------------------------------------------------------------------------------

static const uint8_t simple_sets[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };

static rti_set simple(unsigned bits)
{
    return bits == 0 ? NULL : &simple_sets[bits];
}

static unsigned bits_of(rti_set set)
{
    return set == NULL ? 0 : *(const uint8_t *)set;
}

static rti_set simple_all(rti_compiler *c)
{
    (void)c;
    return simple(7);
}

static rti_set simple_both(rti_compiler *c, rti_set a, rti_set b)
{
    (void)c;
    return simple(bits_of(a) & bits_of(b));
}

static rti_set simple_either(rti_compiler *c, rti_set a, rti_set b)
{
    (void)c;
    return simple(bits_of(a) | bits_of(b));
}

static rti_set simple_keywords(rti_compiler *c, const rti_schema *s, bool denied)
{
    unsigned bits = 7;
    if (rti_schema_has(s, RTI_KEYWORD_type)) {
        uint32_t place = s->at[RTI_KEYWORD_type];
        bool list = c->json.values[place].kind == RTI_JSON_ARRAY;
        bits = 0;
        for (uint32_t i = list ? c->json.values[place].first : place; i != RTI_JSON_NONE; i = list ? c->json.values[i].next : RTI_JSON_NONE) {
            if (rti_json_is_text(&c->json, i, "null")) bits |= 1;
            if (rti_json_is_text(&c->json, i, "boolean")) bits |= 6;
        }
    }
    return simple(denied ? 7 & ~bits : bits);
}

static rti_set simple_constant(rti_compiler *c, uint32_t place, bool denied)
{
    rti_json_kind kind = c->json.values[place].kind;
    unsigned bits = kind == RTI_JSON_NULL ? 1 : kind == RTI_JSON_TRUE ? 2 : 4;
    return simple(denied ? 7 & ~bits : bits);
}

static bool simple_disjoint(rti_compiler *c, rti_set a, rti_set b)
{
    (void)c;
    return (bits_of(a) & bits_of(b)) == 0;
}

const rti_domain rti_simple_domain = { simple_all, simple_both, simple_either, simple_keywords, simple_constant, simple_disjoint, NULL };

void rti_simple_finish(rti_compiler *c, rti_set set, uint32_t *literals)
{
    static const char *const texts[] = { "null", "true", "false" };
    for (int i = 0; i < 3; i++) {
        if ((bits_of(set) >> i & 1) != 0) rti_literal_add_value(c, literals, texts[i], strlen(texts[i]), rti_hash_word((uint32_t)i));
    }
}
