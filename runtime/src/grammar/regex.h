// grammar/regex.h - regular expressions as hash-consed terms, stepped by derivatives.
//
// Brzozowski's derivatives (1964) in the manner of Owens, Reppy and Turon (2009): intersection and complement cost nothing
// extra, a{1,100000} is one node that counts down, and a term is only ever taken apart as far as somebody walks. The
// alphabet is code points. `^` and `$` are leaves: each node knows whether it matches the empty string at the four kinds of
// place (at the beginning or not, at the end or not).
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_REGEX_H
#define RTI_GRAMMAR_REGEX_H

#include "grammar/charset.h"

typedef uint32_t rti_regex; // a term; equal terms have equal ids

enum { RTI_REGEX_NOTHING = 0, RTI_REGEX_EMPTY = 1, RTI_REGEX_ALL = 2 }; // no string, "", every string
#define RTI_REGEX_UNBOUNDED UINT32_MAX

enum { RTI_REGEX_MANY = 1 << 20 }; // where rti_regex_node.least stops counting

typedef enum rti_regex_kind {
    RTI_REGEX_KIND_NOTHING,
    RTI_REGEX_KIND_EMPTY,
    RTI_REGEX_KIND_SET,    // a: charset
    RTI_REGEX_KIND_START,  // ^
    RTI_REGEX_KIND_END,    // $
    RTI_REGEX_KIND_CONCAT, // a b; a is no CONCAT
    RTI_REGEX_KIND_REPEAT, // a, min to max times
    RTI_REGEX_KIND_OR,     // items
    RTI_REGEX_KIND_AND,    // items
    RTI_REGEX_KIND_NOT,    // a
} rti_regex_kind;

typedef struct rti_regex_node {
    uint8_t kind;
    uint8_t nullable;   // bit (beginning + 2 * end): matches "" there
    bool has_start;     // holds a ^
    bool has_logic;     // holds an AND or NOT: may be empty without looking so
    bool has_not;       // holds a NOT
    bool finite;        // holds no unbounded repeat or NOT: surely a finite number of strings
    uint64_t uses[2];   // ASCII characters that its strings may have; others are left out
    uint32_t least;     // at least so many strings, as far as that is seen at a glance
    uint32_t a, b, min, max;
    const rti_regex *items;
    uint32_t count;
} rti_regex_node;

typedef struct rti_regexes {
    rti_pool *pool;
    rti_charsets sets;
    rti_regex_node *nodes;
    uint32_t count, capacity, limit;
    rti_id_table table;
    struct rti_regex_memo {
        uint32_t regex, code, result;
    } *memo; // derivatives already taken, direct mapped
    int depth;
} rti_regexes;

void rti_regexes_begin(rti_regexes *regexes, rti_pool *pool, uint32_t limit);

rti_regex rti_regex_set(rti_regexes *regexes, uint32_t charset);
rti_regex rti_regex_anchor(rti_regexes *regexes, bool end);
rti_regex rti_regex_concat(rti_regexes *regexes, rti_regex a, rti_regex b);
rti_regex rti_regex_repeat(rti_regexes *regexes, rti_regex a, uint32_t min, uint32_t max);
rti_regex rti_regex_or(rti_regexes *regexes, const rti_regex *items, uint32_t count);
rti_regex rti_regex_and(rti_regexes *regexes, const rti_regex *items, uint32_t count);
rti_regex rti_regex_or2(rti_regexes *regexes, rti_regex a, rti_regex b);
rti_regex rti_regex_and2(rti_regexes *regexes, rti_regex a, rti_regex b);
rti_regex rti_regex_not(rti_regexes *regexes, rti_regex a);
rti_regex rti_regex_literal(rti_regexes *regexes, const char *text, size_t size);
// Strings of `min` to `max` code points.
rti_regex rti_regex_length(rti_regexes *regexes, uint32_t min, uint32_t max);

// The strings s such that `code_point` s is in `a`. `beginning`: nothing was read before.
rti_regex rti_regex_derivative(rti_regexes *regexes, rti_regex a, uint32_t code_point, bool beginning);

static inline bool rti_regex_nullable(const rti_regexes *regexes, rti_regex a, bool beginning, bool end)
{
    return (regexes->nodes[a].nullable >> (beginning + 2 * end) & 1) != 0;
}

// Whether every string can still be continued to one in `a`, as far as that is seen at a glance. *shortest: with so many
// characters more at most, or UINT32_MAX.
bool rti_regex_never_dies(const rti_regexes *regexes, rti_regex a, uint32_t *shortest);

// Parses an ECMA-262 pattern (u flag). `search`: may match anywhere, as JSON Schema's `pattern`; otherwise the whole string.
// `place` begins the message. Errors: BAD_TEXT; UNSUPPORTED for back references, look-behind, \b, look-ahead in a loop.
rti_regex rti_regex_parse(rti_regexes *regexes, const char *text, size_t size, bool search, const char *place);

#endif
