// Objects as sets: cases over members.
// SPDX-License-Identifier: MIT
#include "grammar/objects.h"

#include <string.h>

enum { MAX_DEPENDENCIES = 64 };

static bool consistent(rti_compiler *c, const rti_case *x)
{
    uint32_t low = 0, high = RTI_NO_MAXIMUM, mark = ++c->mark, required = 0;
    for (uint32_t i = 0; i < x->count; i++) {
        const rti_term *t = &x->terms[i];
        if (t->kind == RTI_MEMBERS_MIN) low = RTI_MAX(low, t->a);
        if (t->kind == RTI_MEMBERS_MAX) high = RTI_MIN(high, t->a);
        if (t->kind == RTI_MEMBER_REQUIRED && c->names[t->a].counted != mark) {
            c->names[t->a].counted = mark;
            required++;
        }
    }
    for (uint32_t i = 0; i < x->count; i++) {
        const rti_term *t = &x->terms[i];
        if (t->kind == RTI_MEMBER && t->b == RTI_ATOM_NEVER && c->names[t->a].counted == mark) return false;
    }
    return RTI_MAX(low, required) <= high;
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
    rti_set set; // denied: the cases so far; otherwise what does not fit in one case
    bool impossible;
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

uint32_t rti_key_name(rti_compiler *c, uint32_t place)
{
    const rti_json_value *v = &c->json.values[place];
    return rti_name_of(c, c->json.text + v->key, v->key_size);
}

uint32_t rti_text_name(rti_compiler *c, uint32_t place)
{
    const rti_json_value *v = &c->json.values[place];
    if (v->kind != RTI_JSON_STRING) rti_refuse(c, RT_ERROR_BAD_TEXT, place, "must be the name of a property");
    return rti_name_of(c, c->json.text + v->text, v->text_size);
}

uint32_t rti_required_list(rti_compiler *c, const rti_schema *s)
{
    if (!rti_schema_has(s, RTI_KEYWORD_required)) return RTI_JSON_NONE;
    uint32_t place = s->at[RTI_KEYWORD_required];
    return c->json.values[place].kind == RTI_JSON_ARRAY ? place : RTI_JSON_NONE; // draft 3 has a boolean
}

static void add_required(terms *t, const rti_schema *s)
{
    rti_compiler *c = t->c;
    uint32_t place = rti_required_list(c, s);
    if (place == RTI_JSON_NONE) return;
    for (uint32_t i = c->json.values[place].first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
        add(t, (rti_term){ RTI_MEMBER_REQUIRED, rti_text_name(c, i), 0, 0 });
    }
}

static void add_counts(terms *t, const rti_schema *s)
{
    uint32_t size;
    if (rti_schema_size(t->c, s, RTI_KEYWORD_min_properties, &size) && size > 0) {
        if (t->denied) {
            add_denied(t, &(rti_term){ RTI_MEMBERS_MAX, size - 1, 0, 0 }, 1);
        } else {
            add(t, (rti_term){ RTI_MEMBERS_MIN, size, 0, 0 });
        }
    }
    if (rti_schema_size(t->c, s, RTI_KEYWORD_max_properties, &size)) {
        if (t->denied) {
            add_denied(t, &(rti_term){ RTI_MEMBERS_MIN, size + 1, 0, 0 }, 1);
        } else {
            add(t, (rti_term){ RTI_MEMBERS_MAX, size, 0, 0 });
        }
    }
}

// The one member that these keywords say something of, or RTI_JSON_NONE; *many: they say something of several.
static uint32_t only_member(rti_compiler *c, const rti_schema *s, bool *many)
{
    uint32_t only = RTI_JSON_NONE;
    *many = rti_schema_has(s, RTI_KEYWORD_additional_properties) && !rti_is_always(c, s->at[RTI_KEYWORD_additional_properties]);
    if (rti_schema_has(s, RTI_KEYWORD_properties)) {
        for (uint32_t i = c->json.values[s->at[RTI_KEYWORD_properties]].first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
            if (rti_is_always(c, i)) continue;
            *many |= only != RTI_JSON_NONE;
            only = i;
        }
    }
    if (rti_schema_has(s, RTI_KEYWORD_pattern_properties)) {
        for (uint32_t i = c->json.values[s->at[RTI_KEYWORD_pattern_properties]].first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
            *many |= !rti_is_always(c, i);
        }
    }
    return only;
}

// Some member is not as these keywords ask, or is not there. Where it can only be one, it is named: that needs no mark while
// walking.
static void add_members_denied(terms *t, const rti_schema *s)
{
    rti_compiler *c = t->c;
    bool many;
    uint32_t only = only_member(c, s, &many), required = rti_required_list(c, s), name = RTI_JSON_NONE, wanted = RTI_JSON_NONE;
    if (required != RTI_JSON_NONE && c->json.values[required].count != 0) {
        wanted = rti_text_name(c, c->json.values[required].first);
        for (uint32_t i = c->json.values[required].first; i != RTI_JSON_NONE; i = c->json.values[i].next) many |= rti_text_name(c, i) != wanted;
    }
    if (only != RTI_JSON_NONE) name = rti_key_name(c, only);
    if (many || (only != RTI_JSON_NONE && wanted != RTI_JSON_NONE && name != wanted)) {
        add_denied(t, &(rti_term){ RTI_EXISTS_BREACH, s->place, 0, 0 }, 1);
    } else if (only != RTI_JSON_NONE && wanted != RTI_JSON_NONE) {
        add_denied(t, &(rti_term){ RTI_MEMBER, name, rti_atom_make(only, true), 0 }, 1);
    } else if (only != RTI_JSON_NONE) {
        add_denied(t, (rti_term[]){ { RTI_MEMBER_REQUIRED, name, 0, 0 }, { RTI_MEMBER, name, rti_atom_make(only, true), 0 } }, 2);
    } else if (wanted != RTI_JSON_NONE) {
        add_denied(t, &(rti_term){ RTI_MEMBER, wanted, RTI_ATOM_NEVER, 0 }, 1);
    }
    if (rti_schema_has(s, RTI_KEYWORD_property_names) && !rti_is_always(c, s->at[RTI_KEYWORD_property_names])) {
        add_denied(t, &(rti_term){ RTI_EXISTS_NAME, rti_atom_make(s->at[RTI_KEYWORD_property_names], false), 0, 0 }, 1);
    }
}

static void add_members(terms *t, const rti_schema *s)
{
    bool facet = rti_schema_has(s, RTI_KEYWORD_properties) || rti_schema_has(s, RTI_KEYWORD_pattern_properties) ||
                 rti_schema_has(s, RTI_KEYWORD_additional_properties);
    if (facet) add(t, (rti_term){ RTI_FACET, s->place, 0, 0 });
    if (rti_schema_has(s, RTI_KEYWORD_property_names) && !rti_is_always(t->c, s->at[RTI_KEYWORD_property_names])) {
        add(t, (rti_term){ RTI_KEYS, rti_atom_make(s->at[RTI_KEYWORD_property_names], false), 0, 0 });
    }
}

// One member of dependencies: absent, or present and what it asks for.
static void add_dependency(terms *t, uint32_t place)
{
    rti_compiler *c = t->c;
    uint32_t name = rti_key_name(c, place);
    rti_term present = { RTI_MEMBER_REQUIRED, name, 0, 0 };
    rti_set wanted;
    if (c->json.values[place].kind == RTI_JSON_ARRAY || c->json.values[place].kind == RTI_JSON_STRING) {
        terms asked = { .c = c };
        bool list = c->json.values[place].kind == RTI_JSON_ARRAY;
        for (uint32_t i = list ? c->json.values[place].first : place; i != RTI_JSON_NONE; i = list ? c->json.values[i].next : RTI_JSON_NONE) {
            rti_term one = { RTI_MEMBER_REQUIRED, rti_text_name(c, i), 0, 0 };
            if (t->denied) {
                add_denied(t, (rti_term[]){ present, { RTI_MEMBER, one.a, RTI_ATOM_NEVER, 0 } }, 2);
            } else {
                add(&asked, one);
            }
        }
        if (t->denied) return;
        add(&asked, present);
        wanted = rti_cases_one(c, asked.items, asked.count);
    } else {
        rti_set inner = rti_evaluate(c, RTI_TYPE_OBJECT, rti_atom_make(place, t->denied));
        wanted = inner == NULL ? NULL : both(c, rti_cases_one(c, &present, 1), inner);
        if (t->denied) {
            if (wanted != NULL) t->set = t->set == NULL ? wanted : either(c, t->set, wanted);
            return;
        }
    }
    rti_set absent = rti_cases_one(c, &(rti_term){ RTI_MEMBER, name, RTI_ATOM_NEVER, 0 }, 1);
    rti_set one = wanted == NULL ? absent : either(c, absent, wanted);
    t->set = t->set == NULL ? one : both(c, t->set, one);
    if (t->set == NULL) t->impossible = true;
}

static void add_dependencies(terms *t, const rti_schema *s)
{
    static const rti_keyword keywords[] = { RTI_KEYWORD_dependencies, RTI_KEYWORD_dependent_required, RTI_KEYWORD_dependent_schemas };
    rti_compiler *c = t->c;
    for (size_t k = 0; k < RTI_COUNT(keywords); k++) {
        if (!rti_schema_has(s, keywords[k])) continue;
        uint32_t place = s->at[keywords[k]];
        if (c->json.values[place].count > MAX_DEPENDENCIES) rti_refuse(c, RT_ERROR_TOO_LARGE, place, "more than %d dependencies", MAX_DEPENDENCIES);
        for (uint32_t i = c->json.values[place].first; i != RTI_JSON_NONE && !t->impossible; i = c->json.values[i].next) add_dependency(t, i);
    }
}

static rti_set keywords(rti_compiler *c, const rti_schema *s, bool denied)
{
    terms t = { .c = c, .denied = denied };
    if (denied) {
        add_members_denied(&t, s);
    } else {
        add_members(&t, s);
        add_required(&t, s);
    }
    add_counts(&t, s);
    add_dependencies(&t, s);
    if (denied) return t.set;
    if (t.impossible) return NULL;
    rti_set own = rti_cases_one(c, t.items, t.count);
    return t.set == NULL ? own : both(c, own, t.set);
}

static rti_set constant(rti_compiler *c, uint32_t place, bool denied)
{
    terms t = { .c = c, .denied = denied };
    add(&t, (rti_term){ RTI_CLOSED, place, 0, 0 });
    if (denied) add_denied(&t, &(rti_term){ RTI_EXISTS_OTHER, place, 0, 0 }, 1);
    for (uint32_t i = c->json.values[place].first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
        uint32_t name = rti_key_name(c, i);
        rti_atom atom = rti_atom_make(i, denied) | RTI_ATOM_CONSTANT;
        if (denied) {
            add_denied(&t, &(rti_term){ RTI_MEMBER, name, RTI_ATOM_NEVER, 0 }, 1);
            add_denied(&t, (rti_term[]){ { RTI_MEMBER_REQUIRED, name, 0, 0 }, { RTI_MEMBER, name, atom, 0 } }, 2);
        } else {
            add(&t, (rti_term){ RTI_MEMBER_REQUIRED, name, 0, 0 });
        }
    }
    return denied ? t.set : rti_cases_one(c, t.items, t.count);
}

rti_set rti_object_unevaluated(rti_compiler *c, uint32_t place, const uint32_t *places, uint32_t count, bool denied)
{
    rti_term term = { denied ? RTI_EXISTS_UNEVALUATED : RTI_UNEVALUATED, place, rti_list_of(c, places, count), 0 };
    return rti_cases_one(c, &term, 1);
}

// ---------------------------------------------------------------------------------------------------------------------
// Disjoint objects: some member that one side requires cannot be as both ask
// ---------------------------------------------------------------------------------------------------------------------

void rti_facet_atoms(rti_compiler *c, const rti_schema *s, uint32_t name, rti_atom_list *atoms)
{
    const rti_name text = c->names[name];
    bool found = false;
    if (rti_schema_has(s, RTI_KEYWORD_properties)) {
        uint32_t i = rti_json_member_sized(&c->json, s->at[RTI_KEYWORD_properties], text.text, text.size);
        if (i != RTI_JSON_NONE) {
            rti_atom_push(c, atoms, rti_atom_make(i, false));
            found = true;
        }
    }
    if (rti_schema_has(s, RTI_KEYWORD_pattern_properties)) {
        for (uint32_t i = c->json.values[s->at[RTI_KEYWORD_pattern_properties]].first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
            const rti_json_value *v = &c->json.values[i];
            if (!rti_regex_matches(c, rti_pattern_at(c, i, c->json.text + v->key, v->key_size), text.text, text.size)) continue;
            rti_atom_push(c, atoms, rti_atom_make(i, false));
            found = true;
        }
    }
    if (!found && rti_schema_has(s, RTI_KEYWORD_additional_properties)) {
        rti_atom_push(c, atoms, rti_atom_make(s->at[RTI_KEYWORD_additional_properties], false));
    }
}

void rti_unevaluated_atoms(rti_compiler *c, const rti_term *t, uint32_t name, rti_atom_list *atoms)
{
    rti_atom_list spoken = { 0 };
    for (uint32_t i = 0; i < c->lists[t->b].count && spoken.count == 0; i++) {
        rti_facet_atoms(c, rti_schema_at(c, c->lists[t->b].items[i]), name, &spoken);
    }
    if (spoken.count == 0) rti_atom_push(c, atoms, rti_atom_make(t->a, false));
}

void rti_term_atoms(rti_compiler *c, const rti_case *x, uint32_t name, rti_atom_list *atoms)
{
    for (uint32_t i = 0; i < x->count; i++) {
        const rti_term *t = &x->terms[i];
        if (t->kind == RTI_FACET) rti_facet_atoms(c, rti_schema_at(c, t->a), name, atoms);
        if (t->kind == RTI_MEMBER && t->a == name) rti_atom_push(c, atoms, t->b);
        if (t->kind == RTI_UNEVALUATED) rti_unevaluated_atoms(c, t, name, atoms);
        if (t->kind == RTI_CLOSED) {
            uint32_t member = rti_json_member_sized(&c->json, t->a, c->names[name].text, c->names[name].size);
            rti_atom_push(c, atoms, member == RTI_JSON_NONE ? RTI_ATOM_NEVER : rti_atom_make(member, false) | RTI_ATOM_CONSTANT);
        }
    }
}

static bool pair_disjoint(rti_compiler *c, const rti_case *x, const rti_case *y)
{
    for (int side = 0; side < 2; side++) {
        const rti_case *a = side == 0 ? x : y;
        for (uint32_t i = 0; i < a->count; i++) {
            if (a->terms[i].kind != RTI_MEMBER_REQUIRED) continue;
            rti_atom_list atoms = { 0 };
            rti_term_atoms(c, x, a->terms[i].a, &atoms);
            uint32_t own = atoms.count;
            rti_term_atoms(c, y, a->terms[i].a, &atoms);
            if (own == 0 || own == atoms.count) { // one side says nothing: only a plain refusal counts
                bool never = false;
                for (uint32_t k = 0; k < atoms.count; k++) {
                    never |= atoms.items[k] == RTI_ATOM_NEVER || c->json.values[atoms.items[k] >> 2].kind == RTI_JSON_FALSE;
                }
                if (never) return true;
                continue;
            }
            if (rti_atoms_surely_empty(c, atoms.items, atoms.count, 0)) return true;
        }
    }
    return false;
}

static bool disjoint(rti_compiler *c, rti_set x, rti_set y)
{
    const rti_cases *a = x, *b = y;
    if (c->disjoint_depth >= 2) return false;
    c->disjoint_depth++;
    bool apart = true;
    for (uint32_t i = 0; i < a->count && apart; i++) {
        for (uint32_t k = 0; k < b->count && apart; k++) {
            rti_set one = both(c, rti_cases_one(c, a->cases[i].terms, a->cases[i].count), rti_cases_one(c, b->cases[k].terms, b->cases[k].count));
            apart = one == NULL || pair_disjoint(c, &a->cases[i], &b->cases[k]);
        }
    }
    c->disjoint_depth--;
    return apart;
}

const rti_domain rti_object_domain = { all, both, either, keywords, constant, disjoint, NULL };
