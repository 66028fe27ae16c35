// grammar/members.h - one case of objects on its way to a block of the grammar. Private to members.c, ways.c and key_classes.c.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_MEMBERS_H
#define RTI_GRAMMAR_MEMBERS_H

#include "grammar/objects.h"

enum { RTI_PATTERNS_MAX = 64 };

typedef struct rti_member {
    uint32_t name;
    bool listed, required, forbidden;
    uint32_t absent; // conditions that are met where it does not come
    rti_atom_list atoms;
} rti_member;

typedef struct rti_key_pattern {
    uint32_t place; // the member of patternProperties
    rti_regex term;
} rti_key_pattern;

// Keys without a name, told apart by the patterns that they match.
typedef struct rti_class_of_keys {
    rti_regex term;
    uint64_t matched;
} rti_class_of_keys;

typedef struct rti_block {
    rti_compiler *c;
    const rti_case *x;
    rti_member *members;
    uint32_t count, capacity, mark;
    rti_key_pattern patterns[RTI_PATTERNS_MAX];
    uint32_t pattern_count;
    const rti_term *conditions[RTI_OBJECT_CONDITIONS_MAX];
    uint32_t condition_count;
    uint32_t low, high;
    rti_set keys; // strings allowed as keys
    bool has_keys, closed;
    rti_object object;
} rti_block;

// Which member is meant: one with a name, or any of a class.
typedef struct rti_key {
    uint32_t name;
    const rti_class_of_keys *any; // or NULL
    uint32_t breaks;              // then: conditions of names that these keys meet
} rti_key;

rti_member *rti_member_of(rti_block *b, uint32_t name);
// What the schema's properties keywords ask of it.
void rti_key_atoms(rti_block *b, const rti_key *key, const rti_schema *s, rti_atom_list *atoms);
void rti_key_unevaluated(rti_block *b, const rti_key *key, const rti_term *t, rti_atom_list *atoms);
// The ways to read it: for each choice of conditions that it is to satisfy, nodes.
rti_variants rti_member_variants(rti_block *b, const rti_key *key, const rti_atom_list *atoms);
void rti_add_key_classes(rti_block *b);

#endif
