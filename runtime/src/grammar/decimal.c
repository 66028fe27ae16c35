// SPDX-License-Identifier: MIT
#include "grammar/decimal.h"

#include <stdio.h>
#include <string.h>

enum { MAX_DIGITS = 1100, MAX_EXPONENT = 100000 };

rti_decimal rti_decimal_parse(rti_pool *pool, const char *text, size_t size, const char *place)
{
    rti_decimal d = { 0 };
    size_t at = 0;
    if (size > at && text[at] == '-') {
        d.negative = true;
        at++;
    }
    uint8_t *digits = rti_pool_take(pool, size + 1);
    uint32_t count = 0;
    int64_t point = -1, exponent = 0;
    for (; at < size && ((text[at] >= '0' && text[at] <= '9') || text[at] == '.'); at++) {
        if (text[at] == '.') {
            point = count;
        } else {
            digits[count++] = (uint8_t)(text[at] - '0');
        }
    }
    if (point < 0) point = count;
    if (at < size) { // e
        bool minus = false;
        at++;
        if (at < size && (text[at] == '+' || text[at] == '-')) minus = text[at++] == '-';
        for (; at < size && exponent <= MAX_EXPONENT; at++) exponent = exponent * 10 + (text[at] - '0');
        if (minus) exponent = -exponent;
    }
    uint32_t first = 0;
    while (first < count && digits[first] == 0) first++;
    while (count > first && digits[count - 1] == 0) count--;
    d.digits = digits + first;
    d.count = count - first;
    d.exponent = d.count == 0 ? 0 : point - first + exponent;
    if (d.count == 0) d.negative = false;
    if (d.count > MAX_DIGITS || d.exponent > MAX_EXPONENT || d.exponent < -MAX_EXPONENT) {
        rti_pool_fail(pool, RT_ERROR_TOO_LARGE, "%s: a number with too many digits or too large an exponent", place);
    }
    return d;
}

rti_decimal rti_decimal_from_int(rti_pool *pool, int64_t value)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%lld", (long long)value);
    return rti_decimal_parse(pool, text, (size_t)size, "grammar");
}

static int compare_magnitude(const rti_decimal *a, const rti_decimal *b)
{
    if (a->count == 0 || b->count == 0) return (a->count != 0) - (b->count != 0);
    if (a->exponent != b->exponent) return a->exponent < b->exponent ? -1 : 1;
    uint32_t common = RTI_MIN(a->count, b->count);
    int order = memcmp(a->digits, b->digits, common);
    if (order != 0) return order < 0 ? -1 : 1;
    return (a->count > common) - (b->count > common);
}

int rti_decimal_compare(const rti_decimal *a, const rti_decimal *b)
{
    if (a->negative != b->negative) return a->negative ? -1 : 1;
    int order = compare_magnitude(a, b);
    return a->negative ? -order : order;
}

bool rti_decimal_is_integer(const rti_decimal *a)
{
    return a->count == 0 || a->exponent >= (int64_t)a->count;
}

bool rti_decimal_is_multiple(const rti_decimal *a, const rti_decimal *b)
{
    if (a->count == 0) return true;
    // Long division of digit strings: a = A 10^x, b = B 10^y with integers A, B; A 10^(x-y) mod B, or A mod B 10^(y-x).
    int64_t x = a->exponent - (int64_t)a->count, y = b->exponent - (int64_t)b->count;
    uint8_t rest[2 * MAX_DIGITS + 8]; // the running remainder, as digits, most significant first
    uint8_t divisor[MAX_DIGITS + 8];
    uint32_t rest_count = 0, divisor_count = b->count;
    if (y > x && y - x + (int64_t)b->count > (int64_t)a->count) return false; // b has more digits than a
    memcpy(divisor, b->digits, b->count);
    int64_t zeros = x > y ? x - y : 0;
    if (y > x) { // A mod 10^(y-x) B: a has no trailing zero, so it is no multiple of ten
        return false;
    }
    if (zeros > MAX_EXPONENT) zeros = MAX_EXPONENT;
    for (int64_t i = 0; i < (int64_t)a->count + zeros; i++) {
        uint8_t digit = i < (int64_t)a->count ? a->digits[i] : 0;
        if (rest_count != 0 || digit != 0) rest[rest_count++] = digit;
        for (;;) { // subtract the divisor while it fits
            if (rest_count < divisor_count || (rest_count == divisor_count && memcmp(rest, divisor, divisor_count) < 0)) break;
            int borrow = 0;
            for (uint32_t k = 0; k < rest_count; k++) {
                uint32_t at = rest_count - 1 - k;
                int v = rest[at] - borrow - (k < divisor_count ? divisor[divisor_count - 1 - k] : 0);
                borrow = v < 0;
                rest[at] = (uint8_t)(v + (borrow ? 10 : 0));
            }
            uint32_t lead = 0;
            while (lead < rest_count && rest[lead] == 0) lead++;
            memmove(rest, rest + lead, rest_count - lead);
            rest_count -= lead;
        }
        if (rest_count == 0 && i >= (int64_t)a->count) break;
    }
    return rest_count == 0;
}

bool rti_decimal_to_size(const rti_decimal *a, uint32_t limit, uint32_t *value)
{
    *value = limit;
    if (a->negative || !rti_decimal_is_integer(a)) return false;
    uint64_t v = 0;
    for (int64_t i = 0; i < a->exponent; i++) {
        v = v * 10 + (i < (int64_t)a->count ? a->digits[i] : 0u);
        if (v > limit) return false;
    }
    *value = (uint32_t)v;
    return true;
}

size_t rti_decimal_write(const rti_decimal *a, char *out, size_t capacity, bool point_zero)
{
    size_t used = 0;
#define PUT(c) do { if (used < capacity) out[used] = (char)(c); used++; } while (0)
    if (a->negative) PUT('-');
    bool plain = a->count == 0 || (a->exponent > -4 && a->exponent <= 16) || rti_decimal_is_integer(a);
    if (plain && a->exponent <= 400) {
        if (a->exponent <= 0) PUT('0');
        for (int64_t i = 0; i < a->exponent; i++) PUT(i < (int64_t)a->count ? '0' + a->digits[i] : '0');
        if ((int64_t)a->count > a->exponent && a->count != 0) {
            PUT('.');
            for (int64_t i = a->exponent; i < 0; i++) PUT('0');
            for (int64_t i = RTI_MAX(a->exponent, 0); i < (int64_t)a->count; i++) PUT('0' + a->digits[i]);
        } else if (point_zero) {
            PUT('.');
            PUT('0');
        }
        return used;
    }
    PUT('0' + a->digits[0]);
    if (a->count > 1) PUT('.');
    for (uint32_t i = 1; i < a->count; i++) PUT('0' + a->digits[i]);
    char tail[24];
    int size = snprintf(tail, sizeof tail, "e%c%02lld", a->exponent - 1 < 0 ? '-' : '+',
                        (long long)(a->exponent - 1 < 0 ? 1 - a->exponent : a->exponent - 1));
    for (int i = 0; i < size; i++) PUT(tail[i]);
#undef PUT
    return used;
}
