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
    RTI_EXISTS_BREACH,     // a: schema; some member is not as its properties, patternProperties and additionalProperties ask, or
                           // one of `required` is not there
    RTI_UNEVALUATED,       // a: place, b: list of schemas; each member that none of them speaks of is as the place says
    RTI_EXISTS_UNEVALUATED, // the same; some such member is not
    RTI_EXISTS_OTHER,      // a: an object value; some member that it does not have
    RTI_EXISTS_NAME,       // a: atom; some key is not as it says
};

uint32_t rti_key_name(rti_compiler *c, uint32_t place);
uint32_t rti_text_name(rti_compiler *c, uint32_t place);                  // of a string in `required` and the like
uint32_t rti_required_list(rti_compiler *c, const rti_schema *s); // RTI_JSON_NONE: nothing is required
// What a schema's properties keywords ask of the member `name`.
void rti_facet_atoms(rti_compiler *c, const rti_schema *s, uint32_t name, rti_atom_list *atoms);
// What RTI_UNEVALUATED asks of it: nothing where a schema of the list speaks of it.
void rti_unevaluated_atoms(rti_compiler *c, const rti_term *t, uint32_t name, rti_atom_list *atoms);
void rti_term_atoms(rti_compiler *c, const rti_case *x, uint32_t name, rti_atom_list *atoms);

#endif
