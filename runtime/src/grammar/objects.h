// grammar/objects.h - the terms that cases of objects are made of.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_OBJECTS_H
#define RTI_GRAMMAR_OBJECTS_H

#include "grammar/cases.h"

enum {
    RTI_FACET,             // a: schema; its properties, patternProperties and additionalProperties
    RTI_MEMBER_REQUIRED,   // a: name
    RTI_MEMBER,            // a: name, b: atom; if it is there
    RTI_MEMBERS_MIN,       // a
    RTI_MEMBERS_MAX,       // a
    RTI_KEYS,              // a: atom of every key
    RTI_CLOSED,            // a: an object value; exactly its members
    RTI_EXISTS_PATTERN,    // a: member of patternProperties, b: atom; some matching member has it
    RTI_EXISTS_ADDITIONAL, // a: schema, b: atom; some additional member has it
    RTI_EXISTS_OTHER,      // a: an object value; some member that it does not have
};

uint32_t rti_key_name(rti_compiler *c, uint32_t place);
// What a schema's properties keywords ask of the member `name`.
void rti_facet_atoms(rti_compiler *c, const rti_schema *s, uint32_t name, rti_atom_list *atoms);
void rti_term_atoms(rti_compiler *c, const rti_case *x, uint32_t name, rti_atom_list *atoms);

#endif
