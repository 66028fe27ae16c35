// grammar/containers.h - open objects and arrays: private to the machine.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_CONTAINERS_H
#define RTI_GRAMMAR_CONTAINERS_H

#include "grammar/machine.h"

// frames.c: a frame equal to `f`, kept once; a list of what was seen, longer by one (`counts`: towards its length).
uint32_t rti_frame_intern(rti_machine *m, rti_frame f);
// A list of parents, longer by one; `frame` has a higher number than those in `rest`.
uint32_t rti_parents_add(rti_machine *m, uint32_t frame, uint32_t rest);
uint32_t rti_seen_add(rti_machine *m, uint32_t list, uint64_t hash, bool counts);

// conditions.c: whether the conditions can all be met that are not yet, by members that are left and at most `room` more than
// those that must come anyway.
typedef struct rti_members_left {
    uint32_t from; // properties
    bool (*has)(const void *user, uint32_t p);
    const void *user;
} rti_members_left;
bool rti_conditions_can_hold(const rt_grammar *g, const rti_object *o, uint32_t met, const rti_members_left *left, uint32_t room);

// containers.c. `f` is the state between two members or items. The last ones give the state after one more, or false where
// the container could not be finished then.
bool rti_object_can_close(const rti_machine *m, const rti_frame *f);
bool rti_object_can_grow(const rti_machine *m, const rti_frame *f);
bool rti_array_can_close(const rti_machine *m, const rti_frame *f);
bool rti_array_can_grow(rti_machine *m, uint32_t frame);
bool rti_after_member(const rti_machine *m, const rti_frame *f, uint32_t p, uint32_t marks, rti_frame *out);
bool rti_after_item(const rti_machine *m, const rti_frame *f, uint32_t marks, rti_frame *out);
bool rti_deep_enough(const rti_machine *m, const rti_frame *f, uint32_t node);
bool rti_property_left(const rti_machine *m, const rti_frame *f, uint32_t p); // it has not come, and may
bool rti_property_allowed(const rti_machine *m, const rti_frame *f, uint32_t p);
bool rti_class_allowed(const rti_machine *m, const rti_frame *f, const rti_key_class *x);
bool rti_keys_below(const rti_machine *m, const rti_frame *f, uint32_t place);
uint64_t rti_property_hash(uint32_t index);
const rti_object *rti_object_of(const rti_machine *m, const rti_frame *f);
const rti_array *rti_array_of(const rti_machine *m, const rti_frame *f);

#endif
