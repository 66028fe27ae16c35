// common/text.c - UTF-8 checked and repaired, JSON strings written, stable hashes.
// SPDX-License-Identifier: MIT
#include "common/common.h"

#include <stdio.h>
#include <string.h>

// Follows Unicode 15, table 3-7; an invalid part counts one replacement character for its longest valid beginning.
static size_t decode(const unsigned char *text, size_t size, uint32_t *code, bool *valid)
{
    unsigned char first = text[0];
    *valid = true;
    *code = first;
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    unsigned char low = 0x80, high = 0xBF;
    *valid = false;
    *code = 0xFFFD;
    if (first < 0xC2 || first > 0xF4)
        return 1;
    if (first == 0xE0)
        low = 0xA0;
    else if (first == 0xED)
        high = 0x9F;
    else if (first == 0xF0)
        low = 0x90;
    else if (first == 0xF4)
        high = 0x8F;
    uint32_t value = first & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if (i >= size || text[i] < low || text[i] > high)
            return i;
        value = value << 6 | (text[i] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    *valid = true;
    *code = value;
    return length;
}

bool rpi_utf8_is_valid(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint32_t code;
        bool valid;
        at += decode((const unsigned char *)text + at, size - at, &code, &valid);
        if (!valid)
            return false;
    }
    return true;
}

size_t rpi_utf8_next(const char *text, size_t size, uint32_t *code)
{
    bool valid;
    if (size == 0)
        return 0;
    return decode((const unsigned char *)text, size, code, &valid);
}

bool rpi_buffer_add_repaired(const rt_host *host, rpi_buffer *buffer, const char *text, size_t size)
{
    size_t begin = 0;
    for (size_t at = 0; at < size;) {
        uint32_t code;
        bool valid;
        size_t length = decode((const unsigned char *)text + at, size - at, &code, &valid);
        bool control = code < 0x20 ? code != '\n' && code != '\t' : code == 0x7F;
        if (!valid || control) {
            if (!rpi_buffer_add(host, buffer, text + begin, at - begin))
                return false;
            if (!valid && !rpi_buffer_add(host, buffer, "\xEF\xBF\xBD", 3))
                return false;
            begin = at + length;
        }
        at += length;
    }
    return rpi_buffer_add(host, buffer, text + begin, size - begin);
}

size_t rpi_utf8_floor(const char *text, size_t total, size_t size)
{
    if (size >= total)
        return total;
    while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80)
        size--;
    return size;
}

bool rpi_buffer_add_json(const rt_host *host, rpi_buffer *buffer, const char *text, size_t size)
{
    bool fits = rpi_buffer_add(host, buffer, "\"", 1);
    size_t begin = 0;
    for (size_t at = 0; fits && at < size; at++) {
        unsigned char byte = (unsigned char)text[at];
        char escape[8];
        int length = 0;
        if (byte == '"' || byte == '\\')
            length = snprintf(escape, sizeof escape, "\\%c", byte);
        else if (byte == '\n')
            length = snprintf(escape, sizeof escape, "\\n");
        else if (byte == '\t')
            length = snprintf(escape, sizeof escape, "\\t");
        else if (byte == '\r')
            length = snprintf(escape, sizeof escape, "\\r");
        else if (byte < 0x20)
            length = snprintf(escape, sizeof escape, "\\u%04x", byte);
        if (length > 0) {
            fits = rpi_buffer_add(host, buffer, text + begin, at - begin) &&
                   rpi_buffer_add(host, buffer, escape, (size_t)length);
            begin = at + 1;
        }
    }
    return fits && rpi_buffer_add(host, buffer, text + begin, size - begin) && rpi_buffer_add(host, buffer, "\"", 1);
}

uint64_t rpi_mix(uint64_t a, uint64_t b)
{
    // The finaliser of SplitMix64 over both words.
    uint64_t z = a ^ (b + 0x9E3779B97F4A7C15u + (a << 6) + (a >> 2));
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint64_t rpi_hash(const void *data, size_t size, uint64_t seed)
{
    const unsigned char *bytes = data;
    uint64_t hash = 0xCBF29CE484222325u ^ seed;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001B3u;
    return rpi_mix(hash, size);
}
