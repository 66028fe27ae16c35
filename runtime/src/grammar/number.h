// grammar/number.h - which numerals stand for a number within bounds: an automaton over digits, built as it is walked.
//
// A numeral is -?(0|[1-9]d*)(.d+)?, with only zeros behind the point of an integer, or, where there is neither "integer" nor "multipleOf", -?[1-9](.d+)?[eE][+-]?d{1,3} up
// to e307. Each state holds how the digits so far compare with each bound and what they leave modulo each divisor, so the
// comparison is exact decimal arithmetic, never floating point.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_NUMBER_H
#define RTI_GRAMMAR_NUMBER_H

#include "grammar/decimal.h"

typedef enum rti_number_kind { RTI_NUMBER_ANY, RTI_NUMBER_INTEGER, RTI_NUMBER_FRACTION } rti_number_kind;

enum { RTI_NUMBER_FACTORS = 6 };

// A set of numbers: an interval, integers or not, multiples and non-multiples.
typedef struct rti_number_block {
    bool has_low, has_high, low_open, high_open;
    uint8_t kind; // rti_number_kind
    bool plain;   // integers have no point
    uint8_t multiple_count, other_count;
    rti_decimal low, high;
    rti_decimal multiples[RTI_NUMBER_FACTORS]; // of all of these
    rti_decimal others[RTI_NUMBER_FACTORS];    // of none of these
} rti_number_block;

bool rti_number_block_contains(const rti_number_block *block, const rti_decimal *value);
// False: surely empty.
bool rti_number_block_intersect(const rti_number_block *a, const rti_number_block *b, rti_number_block *out, bool *too_many);

typedef struct rti_number_lexer rti_number_lexer;

// Byte classes of numerals, plus one; 0 for bytes that are in none.
enum { RTI_NUMBER_CLASSES = 14 }; // 0-9 - . e +
extern const uint8_t rti_number_class[256];

// State 0 is dead, 1 the start. UNSUPPORTED: divisors too large.
rti_number_lexer *rti_number_lexer_new(rti_pool *pool, const rti_number_block *block, uint32_t limit, const char *place);
// Before anything else, until it is true: looks at so many states more for a first number.
bool rti_number_lexer_look(rti_number_lexer *lexer, rti_pool *pool, uint32_t states);
bool rti_number_lexer_empty(rti_number_lexer *lexer);
uint32_t rti_number_lexer_variety(const rti_number_lexer *lexer); // it has at least so many numbers, where it is not empty
// UINT32_MAX: not known yet, ask rti_number_lexer_build (under the grammar's lock).
uint32_t rti_number_lexer_peek(const rti_number_lexer *lexer, uint32_t state, uint32_t byte_class);
uint32_t rti_number_lexer_build(rti_number_lexer *lexer, rti_pool *pool, uint32_t state, uint32_t byte_class);
bool rti_number_lexer_accepts(const rti_number_lexer *lexer, uint32_t state);

#endif
