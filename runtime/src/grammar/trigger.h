// grammar/trigger.h - free text up to one of several strings: Aho and Corasick's automaton (1975) over their bytes.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_TRIGGER_H
#define RTI_GRAMMAR_TRIGGER_H

#include "grammar/machine.h"

typedef struct rti_trigger {
    rt_token token; // a control token, or RT_TOKEN_NONE
} rti_trigger;

typedef struct rti_trigger_state {
    uint32_t next[256];
    bool final;
} rti_trigger_state;

// Inside a way out; copies what it needs.
void rti_triggers_build(rt_grammar *g, const rt_grammar_def *def);
void rti_trigger_step(rti_machine *m, const rti_thread *thread, uint8_t byte);

#endif
