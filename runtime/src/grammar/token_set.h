// grammar/token_set.h - which tokens may come next inside a string, kept by the state of its automaton.
//
// Most of what a model writes is inside strings, and most tokens stay inside. A set holds, for one state and one place in
// the trie, the tokens that stay inside, and those that leave by the closing quote, filed by what follows the quote. The
// first part depends on nothing else and is a copy; only the second is tried on the stack, once for each different tail.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_TOKEN_SET_H
#define RTI_GRAMMAR_TOKEN_SET_H

#include "grammar/machine.h"

struct rti_token_set {
    struct rti_token_set *next;
    uint32_t node;  // of the trie
    uint32_t depth; // bytes from the token's start to there
    uint32_t state; // that its plain tokens end in, where `pure`
    bool pure;      // all tokens inside end in `state`
    uint32_t few;   // wherever a token inside ends, there are at least so many strings left
    uint32_t reach; // characters of a token and to the nearest end after it, at most; where the automaton is bounded
    uint32_t distance; // that part of it
    const uint32_t *bits; // at the root: tokens inside, by id
    uint32_t inside_count; // elsewhere: tokens inside; at the root: those whose characters are not `characters` (escapes)
    const uint32_t *inside;
    const uint8_t *inside_characters;
    const uint32_t *tail_from; // tails + 1
    const uint32_t *leaving;   // by tail
    const uint8_t *leaving_characters;
};
typedef struct rti_token_set rti_token_set_t;

// A node of the trie that a mask is walking below (mask.c).
typedef struct rti_mask_place {
    uint32_t node, depth;
    uint32_t from, to;     // threads there
    uint32_t next;         // byte, or child
    bool by_child;
    uint64_t bytes[4];     // that some thread may take
    rti_machine_mark mark; // frames that were there before
} rti_mask_place;

// Room that building needs, kept by a matcher.
typedef struct rti_set_scratch {
    uint32_t *bits, *some;
    uint32_t *inside;
    uint8_t *inside_characters;
    uint32_t inside_count, inside_capacity, inside_characters_capacity;
    uint32_t *leaving; // token, tail
    uint8_t *leaving_characters;
    uint32_t leaving_count, leaving_capacity, leaving_characters_capacity;
    uint32_t *keys; // of threads (mask.c)
    uint32_t keys_capacity;
    rti_mask_place *places;
    uint32_t place_count, place_capacity;
    struct rti_set_walk *walk; // a set that is being made in steps
} rti_set_scratch;

bool rti_set_scratch_keys(rti_machine *m, rti_set_scratch *s, uint32_t count);
bool rti_set_scratch_places(rti_machine *m, rti_set_scratch *s, uint32_t count);
void rti_set_scratch_end(rti_machine *m, rti_set_scratch *s);

// The set of a string thread (between two characters) at a place in the trie, built if need be. NULL after a failure.
// `leaving_only`: the tokens that stay inside are not needed.
const rti_token_set_t *rti_token_set_of(rti_machine *m, rti_set_scratch *s, const rti_thread *thread, uint32_t node, uint32_t depth,
                                        bool leaving_only);

// A step towards the one at the root; true when it is there, or after a failure.
bool rti_token_set_step(rti_machine *m, rti_set_scratch *s, const rti_thread *thread, bool leaving_only);

#endif
