// grammar/cases.h - arrays and objects as "one of these cases", a case being a conjunction of terms.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_CASES_H
#define RTI_GRAMMAR_CASES_H

#include "grammar/schema.h"

typedef struct rti_term {
    uint32_t kind, a, b, c;
} rti_term;

typedef struct rti_case {
    const rti_term *terms;
    uint32_t count;
    uint64_t signature; // in a set: a bit for each term, several for one; what lacks a bit of another's cannot say as much
} rti_case;

typedef struct rti_cases {
    rti_case *cases;
    uint32_t count;
} rti_cases;

enum { RTI_CASES_MAX = 1024, RTI_WORK_MAX = 4000000 }; // of a set; multiplied for all of a schema

// A schema that lets everything through, as far as it shows.
static inline bool rti_is_always(const rti_compiler *c, uint32_t place)
{
    return c->json.values[place].kind == RTI_JSON_TRUE || (c->json.values[place].kind == RTI_JSON_OBJECT && c->json.values[place].count == 0);
}

typedef bool rti_case_check(rti_compiler *c, const rti_case *x); // false: contradicts itself

rti_set rti_cases_all(rti_compiler *c);
rti_set rti_cases_one(rti_compiler *c, const rti_term *terms, uint32_t count);
rti_set rti_cases_both(rti_compiler *c, rti_set a, rti_set b, rti_case_check *check);
rti_set rti_cases_either(rti_compiler *c, rti_set a, rti_set b);

// shallow.c: nothing is in all of these, as type, enum and const alone show; whether a schema has no other keyword.
bool rti_atoms_show_empty(rti_compiler *c, const rti_atom *atoms, uint32_t count);
bool rti_is_shallow(rti_compiler *c, rti_atom atom);

// A list that terms can refer to by number, each kept once.
uint32_t rti_list_of(rti_compiler *c, const uint32_t *items, uint32_t count);

typedef struct rti_atom_list {
    rti_atom *items;
    uint32_t count, capacity;
} rti_atom_list;

static inline void rti_atom_push(rti_compiler *c, rti_atom_list *list, rti_atom atom)
{
    RTI_POOL_RESERVE(c->pool, list->items, list->capacity, list->count + 1);
    list->items[list->count++] = atom;
}

#endif
