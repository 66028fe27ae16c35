// grammar/charset.h - sets of code points as sorted ranges, each kept once.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_CHARSET_H
#define RTI_GRAMMAR_CHARSET_H

#include "grammar/pool.h"

typedef struct rti_range {
    uint32_t low, high; // both inclusive
} rti_range;

typedef struct rti_charset {
    const rti_range *ranges;
    uint32_t count;
} rti_charset;

typedef struct rti_charsets {
    rti_pool *pool;
    rti_charset *sets;
    uint32_t count, capacity;
    rti_id_table table;
} rti_charsets;

enum { RTI_CHARSET_NONE = 0, RTI_CHARSET_ALL = 1 }; // ids that always exist

// Surrogates are no characters: ALL is U+0000..D7FF and U+E000..10FFFF, and a complement is taken within it.
void rti_charsets_begin(rti_charsets *sets, rti_pool *pool);

uint32_t rti_charset_of_ranges(rti_charsets *sets, const rti_range *ranges, uint32_t count); // any order, may overlap
uint32_t rti_charset_union(rti_charsets *sets, uint32_t a, uint32_t b);
uint32_t rti_charset_intersection(rti_charsets *sets, uint32_t a, uint32_t b);
uint32_t rti_charset_complement(rti_charsets *sets, uint32_t a);
bool rti_charset_contains(const rti_charsets *sets, uint32_t set, uint32_t code_point);

// \d \w \s and their negations (ECMA-262), given the lower-case letter.
uint32_t rti_charset_of_escape(rti_charsets *sets, char letter);
// \p{name}: general categories ("L", "Lu", "Letter", "gc=Lu") and Any, ASCII, Assigned, Alphabetic-like aliases by
// category. False: not known.
bool rti_charset_of_property(rti_charsets *sets, const char *name, size_t size, uint32_t *set);

#endif
