// grammar/grammar.h - a compiled grammar: what the machine walks.
//
// A schema becomes nodes. A node is what may stand where a value is expected: a trie of literal texts (enum, const, null,
// true, false), automata for numbers and strings, and objects and arrays of further nodes. Alternatives stand side by side
// and the machine follows all of them at once; a conjunction has been multiplied out, so that walking never looks back.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_GRAMMAR_H
#define RTI_GRAMMAR_GRAMMAR_H

#include "grammar/lexer.h"
#include "grammar/number.h"
#include "grammar/value_hash.h"
#include "grammar/vocabulary.h"

#include <pthread.h>

#define RTI_NO_MAXIMUM UINT32_MAX
#define RTI_OUTSIDE UINT32_MAX // not (or no longer) in a trie of excluded strings

// Literal texts, byte by byte: enum values as they are written, or the keys of an object with their quotes.
typedef struct rti_literal {
    uint32_t first, next; // children, siblings; 0 is none
    uint32_t value;       // a key's property
    union {
        struct {
            uint32_t from, to; // keys: properties below are key_order[from .. to)
        };
        uint32_t hash[2]; // values that end here: rti_literal_hash
    };
    uint8_t byte;
    bool final;
} rti_literal;

static inline uint64_t rti_literal_hash(const rti_literal *x)
{
    return (uint64_t)x->hash[1] << 32 | x->hash[0];
}

// Strings that are not allowed, by code point.
typedef struct rti_excluded {
    uint32_t first, next, code;
    bool final;
} rti_excluded;

// The inside of a string: an automaton and bounds on its length.
typedef struct rti_terminal {
    rti_lexer *lexer;
    uint32_t low, high; // characters; high may be RTI_NO_MAXIMUM
    uint32_t excluded;  // root of a trie of excluded strings, or RTI_OUTSIDE
    bool counts;        // low or high matter
    bool raw;           // not inside JSON quotes: the whole output
    uint32_t plain;     // the terminal with the same automaton that counts and excludes nothing
} rti_terminal;

// Of several ways to read one member or item: the node, and which existential conditions it then satisfies.
typedef struct rti_variant {
    uint32_t node; // 0: not possible
    uint32_t marks;
} rti_variant;

typedef struct rti_property {
    uint32_t variants, variant_count; // into rti_grammar.variants
    uint32_t absent;                  // conditions that are met where it does not come
    bool required;
    uint64_t name_hash;
} rti_property;

typedef struct rti_key_class {
    uint32_t terminal;
    uint32_t variants, variant_count;
    bool finite; // the terminal has finitely many strings
} rti_key_class;

enum { RTI_CONDITIONS_MAX = 4, RTI_OBJECT_CONDITIONS_MAX = 12, RTI_FREE_MAX = 64 };

typedef struct rti_object {
    uint32_t keys;                        // trie of keys, 0: none
    uint32_t properties, property_count;  // into rti_grammar.properties
    uint32_t ordered_count;               // the first ones come in order; the others in any, marked in `seen`
    uint32_t classes, class_count;        // other keys
    uint32_t next_required;               // into rti_grammar.positions: by position, the next required ordered property
    uint64_t required_free;               // free properties that must come
    uint32_t minimum, maximum;            // members; 0 and RTI_NO_MAXIMUM: not counted
    uint32_t condition_count;             // bits of `marks`: some member must be so, or not come
    uint32_t met;                         // those that are met in any case
    uint32_t other_room;                  // how many different other keys there are; RTI_NO_MAXIMUM: no end
    uint32_t required_count;
    uint32_t height;
    bool dead; // no values after all
    bool open;          // every key that is not named is in one of several classes, and none is counted
    uint32_t any_key;   // then: the terminal of any string
} rti_object;

typedef struct rti_array {
    uint32_t items, prefix_count; // variants of item i at variant_at[items + i], of all further ones at [items + prefix_count]
    uint32_t minimum, maximum;
    uint32_t condition_count;
    uint32_t condition_minimum[RTI_CONDITIONS_MAX], condition_maximum[RTI_CONDITIONS_MAX];
    uint32_t condition_last[RTI_CONDITIONS_MAX]; // last index that can satisfy it
    bool unique;
    bool scarce; // unique, and perhaps of too few different items for the minimum
    uint32_t height;
    bool dead;
} rti_array;

typedef struct rti_node {
    uint32_t literals; // trie, 0: none
    uint32_t numbers, number_count;     // into rti_grammar.number_list
    uint32_t terminals, terminal_count; // into rti_grammar.terminal_list
    uint32_t objects, object_count;
    uint32_t arrays, array_count;
    uint32_t height; // nesting that its smallest value needs; UINT32_MAX: no value
    uint32_t variety; // at least so many different values; known where `repeats_matter`
} rti_node;

typedef struct rti_variants {
    uint32_t first, count;
} rti_variants;

#define RTI_TABLE(type, name)                                                                                          \
    type *name;                                                                                                        \
    uint32_t name##_count, name##_capacity


struct rt_grammar {
    rt_host host;
    atomic_int references;
    rt_vocabulary *vocabulary;
    rt_grammar_kind kind;
    rt_json_spacing spacing;
    bool any_order;
    bool repeats_matter; // arrays or objects must not come twice somewhere, or some array is scarce
    uint32_t max_states;
    uint32_t max_depth;
    pthread_mutex_t lock; // around everything that is built after compiling
    bool lock_ready;
    rti_pool pool;
    rti_regexes regexes;
    uint32_t root; // node; or terminal (regex), or literal trie (choices)

    RTI_TABLE(rti_node, nodes);
    RTI_TABLE(rti_literal, literals);
    RTI_TABLE(rti_excluded, excluded);
    RTI_TABLE(rti_terminal, terminals);
    RTI_TABLE(uint32_t, terminal_list);
    RTI_TABLE(rti_number_lexer *, numbers);
    RTI_TABLE(uint32_t, number_list);
    RTI_TABLE(rti_property, properties);
    RTI_TABLE(uint32_t, key_order);
    RTI_TABLE(uint32_t, positions);
    RTI_TABLE(rti_key_class, classes);
    RTI_TABLE(rti_object, objects);
    RTI_TABLE(rti_array, arrays);
    RTI_TABLE(rti_variant, variants);
    RTI_TABLE(rti_variants, item_variants);

    // RT_GRAMMAR_TRIGGERED
    struct rti_trigger *triggers;
    uint32_t trigger_count;
    struct rti_trigger_state *trigger_states;
    uint32_t trigger_state_count;
};

#define RTI_ADD(g, table) (rti_table_room((g), (void **)&(g)->table, &(g)->table##_capacity, (g)->table##_count, sizeof *(g)->table), (g)->table##_count++)
static inline void rti_table_room(rt_grammar *g, void **items, uint32_t *capacity, uint32_t count, size_t item_size)
{
    if (count + 1 > *capacity) rti_pool_grow(&g->pool, items, capacity, count + 1, item_size);
}

// The terminal that bounds and excludes nothing; one for each automaton.
uint32_t rti_plain_terminal(rt_grammar *g, rti_lexer *lexer, bool raw);

#endif
