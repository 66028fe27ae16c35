// grammar/evaluate.h - a schema's boolean structure over the values of one type. Private to evaluate.c and unevaluated.c.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_EVALUATE_H
#define RTI_GRAMMAR_EVALUATE_H

#include "grammar/schema.h"

enum { RTI_IN_PLACE_MAX = 160 };

typedef struct rti_evaluation {
    rti_compiler *c;
    const rti_domain *d;
    rti_type type;
} rti_evaluation;

rti_set rti_both(rti_evaluation *e, rti_set a, rti_set b);
rti_set rti_either(rti_evaluation *e, rti_set a, rti_set b);
rti_set rti_place_set(rti_evaluation *e, uint32_t place, bool denied);
// What the keywords say that look at the value alone: no schema in the same place.
rti_set rti_own_set(rti_evaluation *e, const rti_schema *s);
void rti_enter_place(rti_compiler *c, uint32_t place); // refuses what never ends; c->depth-- to leave

// unevaluated.c: whether the schema has unevaluatedProperties or unevaluatedItems that matters for this type; what else holds
// besides, with every member or item as the keyword says that no other one has evaluated. `denied`: with one that is not.
bool rti_has_unevaluated(const rti_evaluation *e, const rti_schema *s);
rti_set rti_unevaluated_set(rti_evaluation *e, const rti_schema *s, bool denied);

#endif
