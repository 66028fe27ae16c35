// grammar/value_hash.h - a number for each JSON value, the same however it is spelled: for values and keys that must not come
// twice. Strings by their characters, numbers by their digits and exponent, objects whatever the order of their members.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_VALUE_HASH_H
#define RTI_GRAMMAR_VALUE_HASH_H

#include "grammar/decimal.h"

#define RTI_HASH_BEGIN 1ull // of a string or a number's digits; 0 stands for "not needed"
#define RTI_HASH_NO_VALUE 0x9E3779B97F4A7C15ull // of a string that nobody asks for

static inline uint64_t rti_hash_character(uint64_t h, uint32_t code)
{
    return rti_hash_mix(h, (uint64_t)code + 1) | 1;
}
uint64_t rti_hash_text(const char *text, size_t size); // of a whole string, UTF-8

static inline uint64_t rti_hash_digit(uint64_t h, uint32_t digit)
{
    return rti_hash_mix(h, digit + 0x100);
}
// `digits`: from the first that is not 0 to the last; the value is 0.digits times 10 to the `exponent`.
uint64_t rti_hash_number(uint64_t digits, bool zero, bool negative, int32_t exponent);
uint64_t rti_hash_decimal(const rti_decimal *value);

uint64_t rti_hash_word(uint32_t word); // 0: null, 1: true, 2: false

// Members and items, one after another.
static inline uint64_t rti_hash_member(uint64_t key, uint64_t value)
{
    return (rti_hash_mix(key, value) | 2) & ~1ull; // even, as keys are not
}

#endif
