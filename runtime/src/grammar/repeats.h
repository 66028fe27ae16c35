// grammar/repeats.h - items that must not come twice: what they are, told by a hash of the whole value, and whether a way that
// is taken can still lead to one that was not there. unseen.h answers for single strings and numbers, this for all that is
// nested in such an item, and for arrays that want more different items than there may be.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_REPEATS_H
#define RTI_GRAMMAR_REPEATS_H

#include "grammar/containers.h"

// A value of this hash is complete in *frame, which is then the frame with it; false: it must not come again.
bool rti_take_value(rti_machine *m, uint32_t *frame, uint64_t hash);
uint64_t rti_container_hash(const rti_machine *m, const rti_frame *f);
uint16_t rti_within(const rti_machine *m, uint32_t frame); // of containers that begin in it

// Takes away those threads from `first` on that lead to repeats only.
void rti_drop_repeats(rti_machine *m, uint32_t first);
// Whether a value of this node that was not there may begin in `frame`.
bool rti_new_value_fits(rti_machine *m, uint32_t frame, uint32_t node);

// Whether a string thread that ends here may make its item one that was there. Rarely true.
bool rti_string_may_repeat(const rti_machine *m, const rti_thread *thread);

// Under the compiler: whether an array has values at all, as far as a search of some length tells; the least number of different values of each node, where it will be asked for.
bool rti_array_has_values(rti_machine *m, uint32_t array);
void rti_find_varieties(rt_grammar *g);

#endif
