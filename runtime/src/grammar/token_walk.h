// grammar/token_walk.h - finding the tokens of a set: a walk of the trie with a string's automaton. Private to token_walk.c,
// token_base.c and token_set.c.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_TOKEN_WALK_H
#define RTI_GRAMMAR_TOKEN_WALK_H

#include "grammar/token_set.h"

// What holds for tokens of safe characters behind `leads` others, and what must be looked at besides.
typedef struct rti_walk_base {
    const rti_lexer_safety *safety; // NULL: none
    uint32_t leads;
    uint32_t length;                // characters of a token that it holds for, the others included; RTI_SAFE_ANY: any number
    bool beyond_dead;               // longer ones are dead
    uint64_t follow[2];             // ASCII that tokens must have to be looked at
} rti_walk_base;

typedef struct rti_set_walk {
    rti_machine *m;
    const rt_vocabulary *v;
    rti_set_scratch *s;
    const rti_terminal *terminal; // plain
    uint32_t start;               // state
    bool root, based;             // based: tokens of safe characters are in the bits already
    bool json, bounded, pure;
    uint32_t few, pure_state, reach, distance;
    rti_walk_base whole, common; // from the start, and behind the vocabulary's most common first character
    const rti_walk_base *base;   // the one that holds where the walk is
    bool leaving_only;
    uint32_t last_end;
    // A walk that goes in steps.
    bool active, begun;
    uint32_t next_child;
} rti_set_walk;

// Where a walk is: at a character's boundary where part is 0.
typedef struct rti_walk_place {
    uint32_t state, part;
    uint32_t characters; // decoded ones since the string or the token began
    uint32_t leads;      // first bytes of characters since the token began
    bool on_base, escaped;
} rti_walk_place;

// token_walk.c
// Room for so many items; false: no memory, and the failure is kept.
bool rti_set_room(rti_machine *m, void **items, uint32_t *capacity, uint32_t needed, size_t size);
const rti_lexer_safety *rti_walk_safety_of(rti_machine *m, rti_lexer *lexer, uint32_t state, bool quickly);
// What is safe where the walk is, or NULL where that is not worth asking.
const rti_lexer_safety *rti_walk_safety_here(rti_set_walk *w, uint32_t node, const rti_walk_place *at);
// Whether the byte leads on; then `to` is where.
bool rti_walk_byte(rti_set_walk *w, const rti_walk_place *at, uint8_t byte, bool special, rti_walk_place *to);
// One node below where the walk is. f: what is safe there, or NULL.
void rti_walk_visit(rti_set_walk *w, const rti_trie_node *n, const rti_walk_place *at, const rti_lexer_safety *f);
// Bit i: child i is worth looking at.
uint64_t rti_walk_children(const rti_set_walk *w, uint32_t first, uint32_t count, const rti_walk_place *at);
void rti_walk_below(rti_set_walk *w, uint32_t node, const rti_walk_place *at);

// token_base.c: the tokens that bit sets tell of at once, from the start of a walk.
void rti_walk_make_bases(rti_set_walk *w);

#endif
