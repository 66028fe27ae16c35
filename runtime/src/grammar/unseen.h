// grammar/unseen.h - whether something is left that was not there before.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_UNSEEN_H
#define RTI_GRAMMAR_UNSEEN_H

#include "grammar/machine.h"

#define RTI_LITERAL_MARK 0x5555u // the same text as a literal and as a string or number is not the same hash
#define RTI_NUMBER_MARK 0x3333u
enum { RTI_NEAR_END = 6 }; // characters: with fewer left and the strings that were seen, each token is tried

bool rti_unseen_literal(rti_machine *m, uint32_t list, uint32_t place, uint64_t h); // below a place of the trie
bool rti_unseen_number(rti_machine *m, uint32_t list, const rti_thread *thread);    // after at least one more byte
bool rti_unseen_string(rti_machine *m, const rti_thread *thread);
bool rti_unseen_value(rti_machine *m, uint32_t list, const rti_node *node);
bool rti_string_may_run_out(rti_machine *m, const rti_thread *thread);

// Of machine.c and machine_strings.c: one byte of a number, one character of a string, without asking whether it leads on.
bool rti_number_byte(rti_machine *m, const rti_thread *t, uint32_t automaton, uint32_t state, uint8_t byte, rti_thread *next);
bool rti_string_move(rti_machine *m, rti_thread *thread, uint32_t code);
bool rti_is_seen(const rti_machine *m, uint32_t list, uint64_t hash);

#endif
