// base/utf8.c - one code point at a time, by the table of well-formed sequences (Unicode 15, table 3-7).
// SPDX-License-Identifier: MIT
#include "base/base.h"

enum { REPLACEMENT = 0xFFFD };

// What a lead byte promises: how many bytes follow, and between which values the first of them lies. That range is
// what keeps out overlong forms, surrogates and code points above U+10FFFF. Returns false for a byte that leads nothing.
static bool read_lead(unsigned char lead, int *following, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        *following = 1;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        *following = 2;
        *low = lead == 0xE0 ? 0xA0 : 0x80;
        *high = lead == 0xED ? 0x9F : 0xBF;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        *following = 3;
        *low = lead == 0xF0 ? 0x90 : 0x80;
        *high = lead == 0xF4 ? 0x8F : 0xBF;
    } else {
        return false;
    }
    return true;
}

int rti_utf8_decode(const char *text, const char *end, uint32_t *code_point, bool *valid)
{
    if (text >= end) {
        *code_point = 0;
        *valid = false;
        return 0;
    }
    const unsigned char *bytes = (const unsigned char *)text;
    if (bytes[0] < 0x80) {
        *code_point = bytes[0];
        *valid = true;
        return 1;
    }
    *code_point = REPLACEMENT;
    *valid = false;
    int following;
    unsigned char low, high;
    if (!read_lead(bytes[0], &following, &low, &high)) {
        return 1;
    }
    uint32_t value = bytes[0] & (0x3Fu >> following);
    for (int i = 1; i <= following; i++) {
        if (text + i >= end || bytes[i] < low || bytes[i] > high) {
            return i; // what came before is the maximal part; this byte starts anew
        }
        value = value << 6 | (bytes[i] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    *code_point = value;
    *valid = true;
    return following + 1;
}

int rti_utf8_encode(uint32_t code_point, char out[4])
{
    if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) {
        code_point = REPLACEMENT;
    }
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xC0 | code_point >> 6);
        out[1] = (char)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xE0 | code_point >> 12);
        out[1] = (char)(0x80 | (code_point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code_point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code_point >> 18);
    out[1] = (char)(0x80 | (code_point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code_point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code_point & 0x3F));
    return 4;
}
