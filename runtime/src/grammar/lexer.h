// grammar/lexer.h - the content of a string as a deterministic automaton over code points, built as it is walked.
//
// A state is a term of grammar/regex.h; code points fall into classes that no set of the expression tells apart. States and
// transitions are published with release stores: walking takes no lock, building happens under the grammar's.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_LEXER_H
#define RTI_GRAMMAR_LEXER_H

#include "grammar/regex.h"

enum { RTI_LEXER_DEAD = 0, RTI_LEXER_START = 1 };
#define RTI_LEXER_UNKNOWN UINT32_MAX

// Tokens that have a character of each of these sets may after all be dead among safe ones: a pattern that must not hold
// "foo" is not hurt by f nor by o, only by both.
enum { RTI_SUSPECTS_MAX = 12, RTI_SUSPECT_SETS_MAX = 5 };
typedef struct rti_lexer_suspect {
    uint32_t count;
    uint64_t sets[RTI_SUSPECT_SETS_MAX][2]; // ASCII
} rti_lexer_suspect;

// Characters any number of which, or a good many, keep the automaton alive from a state on, in whatever order: the safe
// ones. The others are told apart by whether they can follow safe ones at all. See grammar/safety.c and token_set.h.
typedef struct rti_lexer_safety {
    uint64_t safe[2];   // ASCII
    uint64_t other[2];  // ASCII that is not safe, but live somewhere on the way
    uint32_t length;    // safe characters in a row that surely keep it alive; RTI_SAFE_ANY: any number
    uint32_t distance;  // to the nearest end, at most, from where they lead; only where the automaton is bounded
    bool safe_high;     // every character that is not ASCII, white space left out
    bool safe_space;    // white space that is not ASCII
    bool other_high;
    bool beyond_dead;   // more than `length` of them never keep it alive
    bool alone;         // they all stay in this state
    uint32_t few;       // from each state on the way there are at least so many strings
    bool accepts;       // some state on the way accepts
    bool hasty;         // more could be said
    bool first_high;    // some of these that are not ASCII are dead as the first one
    uint64_t first[2];  // ASCII that is safe, but dead as the first one
    uint32_t suspect_count;
    const rti_lexer_suspect *suspects;
} rti_lexer_safety;
#define RTI_SAFE_ANY UINT32_MAX

typedef struct rti_lexer_state {
    rti_regex term;
    bool beginning;
    bool accepts;
    _Atomic uint32_t few; // at least so many strings from here on; RTI_REGEX_MANY: that or more; 0: not known
    uint8_t live;         // 0 unknown, 1 yes, 2 no
    uint32_t visit, parent;
    uint32_t search, place; // marks of safety.c
    _Atomic uint32_t distance; // characters to the nearest accepting state, plus one; 0 unknown
    uint32_t *raw;             // before dead states are told apart; only where terms have logic
    _Atomic uint32_t *next;    // by class
    _Atomic(rti_lexer_safety *) safety;
    _Atomic(void *) sets, leaving_sets; // token sets by trie node (grammar/token_set.h)
} rti_lexer_state;

typedef struct rti_lexer {
    rti_regexes *regexes;
    rti_pool *pool;
    rti_regex term;
    uint16_t ascii[128]; // class of a character
    uint32_t *starts;    // classes of the others: from starts[i] on, class high[i]
    uint16_t *high;
    uint32_t high_count;
    uint32_t class_count;
    uint32_t *samples; // one code point of each class
    rti_lexer_state *chunks[RTI_CHUNKS];
    uint32_t count, limit, visit, searches;
    rti_id_table table;
    struct rti_lexer_search *search; // room for safety.c
    uint32_t *weights;  // by class: tokens with its characters, or NULL
    bool bounded;       // some terminal bounds its length from above
    uint32_t plain;     // the terminal that adds nothing to it, plus one
} rti_lexer;

rti_lexer *rti_lexer_new(rti_regexes *regexes, rti_regex term, uint32_t limit);

static inline rti_lexer_state *rti_lexer_at(const rti_lexer *lexer, uint32_t state)
{
    uint32_t chunk = rti_chunk_of(state);
    return &lexer->chunks[chunk][state - rti_chunk_first(chunk)];
}

uint32_t rti_lexer_class_of(const rti_lexer *lexer, uint32_t code_point);

// The next state, or RTI_LEXER_UNKNOWN: then rti_lexer_build finds it (under the lock, inside a way out).
static inline uint32_t rti_lexer_peek(const rti_lexer *lexer, uint32_t state, uint32_t code_class)
{
    return atomic_load_explicit(&rti_lexer_at(lexer, state)->next[code_class], memory_order_acquire);
}
uint32_t rti_lexer_build(rti_lexer *lexer, uint32_t state, uint32_t code_class);

// All under the lock.
uint32_t rti_lexer_step(rti_lexer *lexer, uint32_t state, uint32_t code_point);
bool rti_lexer_is_live(rti_lexer *lexer, uint32_t state);
uint32_t rti_lexer_few(rti_lexer *lexer, uint32_t state);      // at least so many strings from a live state on
uint32_t rti_lexer_distance(rti_lexer *lexer, uint32_t state); // UINT32_MAX: none
uint32_t rti_lexer_next(rti_lexer *lexer, uint32_t state, uint32_t code_class);
// `weights`: how many tokens have each ASCII character; of any other; and how many there are. Kept with the state.
// `quickly`: few states may be built for it.
const rti_lexer_safety *rti_lexer_safety_of(rti_lexer *lexer, uint32_t state, const uint32_t weights[130], bool quickly);
bool rti_lexer_matches(rti_lexer *lexer, const char *text, size_t size);
// Whether from each state every length from the shortest on can be had, so that length bounds may be counted apart.
// Looks at no more than `most` states; false when it cannot tell.
bool rti_lexer_lengths_are_free(rti_lexer *lexer, uint32_t most);

#endif
