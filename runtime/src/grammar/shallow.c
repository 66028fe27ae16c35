// Emptiness that shows in type, enum and const alone: a quick look before schemas are combined in earnest.
// SPDX-License-Identifier: MIT
#include "grammar/cases.h"

enum { NULL_TYPE = 1, BOOLEAN = 2, INTEGER = 4, FRACTION = 8, STRING = 16, ARRAY = 32, OBJECT = 64, EVERY_TYPE = 127 };

static const rti_schema *schema_of(rti_compiler *c, rti_atom atom)
{
    if ((atom & RTI_ATOM_CONSTANT) != 0 || c->json.values[atom >> 2].kind != RTI_JSON_OBJECT) return NULL;
    const rti_schema *s = rti_schema_at(c, atom >> 2);
    for (int hops = 0; hops < 32 && s->present == 1ull << RTI_KEYWORD_ref; hops++) {
        uint32_t target = rti_schema_target(c, (rti_schema *)s, RTI_KEYWORD_ref);
        if (c->json.values[target].kind != RTI_JSON_OBJECT) return NULL;
        s = rti_schema_at(c, target);
    }
    return s;
}

bool rti_is_shallow(rti_compiler *c, rti_atom atom)
{
    const rti_schema *s = schema_of(c, atom);
    const uint64_t known = 1ull << RTI_KEYWORD_type | 1ull << RTI_KEYWORD_enum_ | 1ull << RTI_KEYWORD_const_;
    return s != NULL && s->present != 0 && (s->present & ~known) == 0;
}

static unsigned named_types(const rti_json *j, uint32_t place)
{
    static const struct {
        const char *name;
        unsigned bits;
    } types[] = { { "null", NULL_TYPE }, { "boolean", BOOLEAN }, { "integer", INTEGER }, { "number", INTEGER | FRACTION },
                  { "string", STRING }, { "array", ARRAY }, { "object", OBJECT } };
    bool list = j->values[place].kind == RTI_JSON_ARRAY;
    unsigned bits = 0;
    for (uint32_t i = list ? j->values[place].first : place; i != RTI_JSON_NONE; i = list ? j->values[i].next : RTI_JSON_NONE) {
        for (size_t k = 0; k < RTI_COUNT(types); k++) {
            if (rti_json_is_text(j, i, types[k].name)) bits |= types[k].bits;
        }
    }
    return bits;
}

static unsigned types_of(rti_compiler *c, const rti_schema *s)
{
    return rti_schema_has(s, RTI_KEYWORD_type) ? named_types(&c->json, s->at[RTI_KEYWORD_type]) : EVERY_TYPE;
}

static unsigned type_of_value(const rti_json *j, uint32_t place)
{
    switch (j->values[place].kind) {
    case RTI_JSON_NULL: return NULL_TYPE;
    case RTI_JSON_NUMBER: return INTEGER | FRACTION; // which of them is not asked
    case RTI_JSON_STRING: return STRING;
    case RTI_JSON_ARRAY: return ARRAY;
    case RTI_JSON_OBJECT: return OBJECT;
    default: return BOOLEAN;
    }
}

static bool lists_values(const rti_schema *s)
{
    return rti_schema_has(s, RTI_KEYWORD_enum_) || rti_schema_has(s, RTI_KEYWORD_const_);
}

// Whether enum and const let a value through.
static bool lets_through(rti_compiler *c, const rti_schema *s, uint32_t value)
{
    if (rti_schema_has(s, RTI_KEYWORD_const_) && !rti_json_equal(c, s->at[RTI_KEYWORD_const_], value)) return false;
    if (!rti_schema_has(s, RTI_KEYWORD_enum_)) return true;
    for (uint32_t i = c->json.values[s->at[RTI_KEYWORD_enum_]].first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
        if (rti_json_equal(c, i, value)) return true;
    }
    return false;
}

static bool value_survives(rti_compiler *c, const rti_atom *atoms, uint32_t count, uint32_t value)
{
    unsigned type = type_of_value(&c->json, value);
    for (uint32_t i = 0; i < count; i++) {
        bool denied = (atoms[i] & RTI_ATOM_DENIED) != 0;
        if ((atoms[i] & RTI_ATOM_CONSTANT) != 0) {
            if (rti_json_equal(c, atoms[i] >> 2, value) == denied) return false;
            continue;
        }
        const rti_schema *s = schema_of(c, atoms[i]);
        if (s == NULL || (denied && !rti_is_shallow(c, atoms[i]))) continue;
        unsigned types = types_of(c, s);
        if (!denied && ((types & type) == 0 || !lets_through(c, s, value))) return false;
        if (denied && (types & type) == type && lets_through(c, s, value)) return false;
    }
    return true;
}

bool rti_atoms_show_empty(rti_compiler *c, const rti_atom *atoms, uint32_t count)
{
    unsigned types = EVERY_TYPE;
    for (uint32_t i = 0; i < count; i++) {
        if (atoms[i] == RTI_ATOM_NEVER) return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        const rti_schema *s = schema_of(c, atoms[i]);
        bool denied = (atoms[i] & RTI_ATOM_DENIED) != 0;
        if (s == NULL) {
            if ((atoms[i] & RTI_ATOM_CONSTANT) != 0 && !denied) return !value_survives(c, atoms, count, atoms[i] >> 2);
            continue;
        }
        if (denied) {
            if (rti_is_shallow(c, atoms[i]) && !lists_values(s)) types &= ~types_of(c, s);
            continue;
        }
        types &= types_of(c, s);
        if (rti_schema_has(s, RTI_KEYWORD_const_)) return !value_survives(c, atoms, count, s->at[RTI_KEYWORD_const_]);
        if (!rti_schema_has(s, RTI_KEYWORD_enum_)) continue;
        bool any = false;
        for (uint32_t k = c->json.values[s->at[RTI_KEYWORD_enum_]].first; k != RTI_JSON_NONE && !any; k = c->json.values[k].next) {
            any = value_survives(c, atoms, count, k);
        }
        return !any;
    }
    return types == 0;
}
