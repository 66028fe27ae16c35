// grammar/mask.h - the tokens that may come next.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_MASK_H
#define RTI_GRAMMAR_MASK_H

#include "grammar/token_set.h"

enum { RTI_USED_SETS = 16 };

// A mask being made: strings first, one thread after another, then the rest, one node of the trie after another.
typedef struct rti_mask_job {
    rti_machine *m;
    rti_set_scratch *scratch;
    uint32_t *words;
    uint32_t from, to;      // threads
    uint32_t next_thread;   // first pass
    uint32_t rest_from, rest_to; // threads that need a walk of the trie, copied behind the others
    bool walking;           // second pass
    bool prepared;          // keys of the threads are there
    const uint32_t *used[RTI_USED_SETS]; // bits that are in the mask already
    uint32_t next_used;
    bool active;
} rti_mask_job;

// `words` may hold anything.
void rti_mask_begin(rti_mask_job *job, rti_machine *m, rti_set_scratch *scratch, uint32_t from, uint32_t to, uint32_t *words);
// One unit of work; true when done.
bool rti_mask_step(rti_mask_job *job);

#endif
