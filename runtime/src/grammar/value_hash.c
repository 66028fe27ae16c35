// SPDX-License-Identifier: MIT
#include "grammar/value_hash.h"

uint64_t rti_hash_text(const char *text, size_t size)
{
    uint64_t h = RTI_HASH_BEGIN;
    for (const char *at = text, *end = text + size; at < end;) {
        uint32_t code;
        bool valid;
        at += rti_utf8_decode(at, end, &code, &valid);
        h = rti_hash_character(h, code);
    }
    return h;
}

uint64_t rti_hash_number(uint64_t digits, bool zero, bool negative, int32_t exponent)
{
    if (zero) return rti_hash_mix(0x7A65726F, 0) | 1;
    return rti_hash_mix(rti_hash_mix(digits, negative), (uint64_t)(int64_t)exponent) | 1;
}

uint64_t rti_hash_decimal(const rti_decimal *value)
{
    uint64_t digits = RTI_HASH_BEGIN;
    for (uint32_t i = 0; i < value->count; i++) digits = rti_hash_digit(digits, value->digits[i]);
    return rti_hash_number(digits, value->count == 0, value->negative, (int32_t)value->exponent);
}

uint64_t rti_hash_word(uint32_t word)
{
    return rti_hash_mix(0x776F7264, word) | 1;
}
