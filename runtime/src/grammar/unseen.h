// grammar/unseen.h - whether something is left that was not there before.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_UNSEEN_H
#define RTI_GRAMMAR_UNSEEN_H

#include "grammar/machine.h"

enum { RTI_NEAR_END = 6 }; // characters: with fewer left and the strings that were seen, each token is tried

// What the string, number or literal of a thread must not be: a list, 0 where there is none.
static inline uint32_t rti_own_list(const rti_machine *m, const rti_thread *t)
{
    const rti_frame *f = &m->frames[t->frame];
    if (t->h == 0) return 0;
    return t->kind == RTI_THREAD_KEY_STRING || (f->kind == RTI_FRAME_ARRAY && m->g->arrays[f->block].unique) ? f->seen_keys : 0;
}
// How many others at most it, or a value that it is in, must differ from.
uint32_t rti_others_in_scarce(rti_machine *m, const rti_thread *t); // repeats.c
static inline uint32_t rti_others_of(rti_machine *m, const rti_thread *t)
{
    if (t->h == 0) return 0;
    const rti_frame *f = &m->frames[t->frame];
    if (f->kind == RTI_FRAME_ARRAY && m->g->arrays[f->block].scarce) return rti_others_in_scarce(m, t);
    uint32_t own = m->seen[rti_own_list(m, t)].length, around = f->within > 1 ? f->within - 1u : 0;
    return RTI_MAX(own, around);
}
// Near the bound on its length fewer are left than its automaton has.
bool rti_string_near_bound(const rti_machine *m, const rti_thread *t, uint32_t others);

bool rti_unseen_literal(rti_machine *m, uint32_t list, uint32_t place); // below a place of the trie
bool rti_unseen_number(rti_machine *m, uint32_t list, const rti_thread *thread);    // after at least one more byte
bool rti_unseen_string(rti_machine *m, const rti_thread *thread);
bool rti_unseen_value(rti_machine *m, uint32_t list, const rti_node *node);
bool rti_string_may_run_out(rti_machine *m, const rti_thread *thread);

// Of machine_numbers.c and machine_strings.c: one byte of a number, one character of a string, without asking whether it leads on.
bool rti_number_byte(rti_machine *m, const rti_thread *t, uint32_t automaton, uint32_t state, uint8_t byte, rti_thread *next);
uint64_t rti_number_value_hash(const rti_thread *t); // once it is complete
bool rti_string_move(rti_machine *m, rti_thread *thread, uint32_t code);
bool rti_is_seen(const rti_machine *m, uint32_t list, uint64_t hash);

#endif
