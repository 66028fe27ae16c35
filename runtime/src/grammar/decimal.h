// grammar/decimal.h - exact decimal numbers of schemas, and numerals as automata.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_DECIMAL_H
#define RTI_GRAMMAR_DECIMAL_H

#include "grammar/pool.h"

// 0.d1d2d3... * 10^exponent, negative or not; no zeros at either end. Zero has no digits.
typedef struct rti_decimal {
    bool negative;
    uint32_t count;
    int64_t exponent;
    const uint8_t *digits; // 0..9
} rti_decimal;

// Reads a JSON number. TOO_LARGE for more than 1,100 digits or an exponent past 100,000.
rti_decimal rti_decimal_parse(rti_pool *pool, const char *text, size_t size, const char *place);
rti_decimal rti_decimal_from_int(rti_pool *pool, int64_t value);
int rti_decimal_compare(const rti_decimal *a, const rti_decimal *b); // -1, 0, 1
bool rti_decimal_is_integer(const rti_decimal *a);
// a / b is an integer; b is not 0.
bool rti_decimal_is_multiple(const rti_decimal *a, const rti_decimal *b);
// As a non-negative integer up to `limit`; false: negative, fractional or larger (then *value is `limit`).
bool rti_decimal_to_size(const rti_decimal *a, uint32_t limit, uint32_t *value);
// The plain or, far from 1, the exponent spelling, as Python writes it. Returns the size.
size_t rti_decimal_write(const rti_decimal *a, char *out, size_t capacity, bool point_zero);

#endif
