// JSON read in place and written as Python's json.dumps(ensure_ascii=False) writes it: the spelling that models were
// trained on. Nothing here allocates but the text that is written to.
// SPDX-License-Identifier: MIT
#include "prompt/text.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"')
            return at + 1;
        if (c < 0x20)
            return NULL;
        if (c != '\\')
            continue;
        if (++at >= end)
            return NULL;
        if (*at == 'u') {
            if (end - at < 5)
                return NULL;
            for (int i = 1; i <= 4; i++)
                if (!is_hex(at[i]))
                    return NULL;
            at += 4;
        } else if (!*at || !strchr("\"\\/bfnrt", *at)) {
            return NULL;
        }
    }
    return NULL;
}

static const char *skip_digits(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at > start ? at : NULL;
}

static const char *skip_number(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    if (at < end && *at == '0')
        at++;
    else if (!(at = skip_digits(at, end)))
        return NULL;
    if (at < end && *at == '.' && !(at = skip_digits(at + 1, end)))
        return NULL;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = skip_digits(at, end);
    }
    return at;
}

static const char *skip_word(const char *at, const char *end, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(end - at) >= length && memcmp(at, word, length) == 0 ? at + length : NULL;
}

static const char *skip_value(const char *at, const char *end, int depth);

static const char *skip_container(const char *at, const char *end, int depth)
{
    bool is_object = *at == '{';
    char close = is_object ? '}' : ']';
    at = skip_space(at + 1, end);
    if (at < end && *at == close)
        return at + 1;
    for (;;) {
        if (is_object) {
            at = skip_space(at, end);
            if (at >= end || *at != '"' || !(at = skip_string(at, end)))
                return NULL;
            at = skip_space(at, end);
            if (at >= end || *at++ != ':')
                return NULL;
        }
        if (!(at = skip_value(at, end, depth + 1)))
            return NULL;
        at = skip_space(at, end);
        if (at >= end)
            return NULL;
        if (*at == close)
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
}

static const char *skip_value(const char *at, const char *end, int depth)
{
    at = skip_space(at, end);
    if (at >= end || depth > RPI_JSON_DEPTH)
        return NULL;
    switch (*at) {
    case '{':
    case '[': return skip_container(at, end, depth);
    case '"': return skip_string(at, end);
    case 't': return skip_word(at, end, "true");
    case 'f': return skip_word(at, end, "false");
    case 'n': return skip_word(at, end, "null");
    default: return skip_number(at, end);
    }
}

const char *rpi_json_skip(const char *at, const char *end)
{
    return skip_value(at, end, 0);
}

bool rpi_json_is_value(const char *text, size_t size)
{
    const char *end = text + size, *at = size ? skip_value(text, end, 0) : NULL;
    return at && skip_space(at, end) == end;
}

char rpi_json_kind(rp_text value)
{
    if (value.size == 0) // and data may be null
        return 0;
    const char *end = value.data + value.size, *at = skip_space(value.data, end);
    if (at >= end)
        return 0;
    return *at == '-' || (*at >= '0' && *at <= '9') ? '0' : *at;
}

rpi_json_walk rpi_json_begin(rp_text value)
{
    if (value.size == 0)
        return (rpi_json_walk){ 0 };
    rpi_json_walk walk = { .at = value.data, .end = value.data + value.size };
    char kind = rpi_json_kind(value);
    if (kind != '{' && kind != '[') {
        walk.at = walk.end;
        return walk;
    }
    walk.is_object = kind == '{';
    walk.at = skip_space(walk.at, walk.end) + 1;
    return walk;
}

bool rpi_json_next(rpi_json_walk *walk)
{
    const char *at = skip_space(walk->at, walk->end), *end = walk->end;
    if (at >= end || *at == '}' || *at == ']')
        return false;
    if (walk->started) {
        if (*at != ',')
            return false;
        at = skip_space(at + 1, end);
    }
    if (walk->is_object) {
        const char *key = at;
        if (at >= end || *at != '"' || !(at = skip_string(at, end)))
            return false;
        walk->key = (rp_text){key, (size_t)(at - key)};
        at = skip_space(at, end);
        if (at >= end || *at++ != ':')
            return false;
        at = skip_space(at, end);
    }
    const char *after = skip_value(at, end, 0);
    if (!after)
        return false;
    walk->value = (rp_text){at, (size_t)(after - at)};
    walk->started = true;
    walk->at = after;
    return true;
}

rp_text rpi_json_member(rp_text object, const char *key)
{
    rp_text found = {0};
    rpi_json_walk walk = rpi_json_begin(object);
    size_t length = strlen(key);
    while (walk.is_object && rpi_json_next(&walk))
        if (walk.key.size == length + 2 && memcmp(walk.key.data + 1, key, length) == 0)
            found = walk.value;
    return found;
}

// ---------------------------------------------------------------------------------------------------------------------
// Writing
// ---------------------------------------------------------------------------------------------------------------------

void rpi_json_write_string(rpi_text *text, const char *bytes, size_t size)
{
    rpi_text_add(text, "\"", 1);
    const char *end = bytes + size, *good = bytes;
    for (const char *at = bytes; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        rpi_text_add_utf8(text, good, (size_t)(at - good));
        good = at + 1;
        char escape[8] = {'\\', (char)c, 0};
        if (c == '\n')
            escape[1] = 'n';
        else if (c == '\r')
            escape[1] = 'r';
        else if (c == '\t')
            escape[1] = 't';
        else if (c == '\b')
            escape[1] = 'b';
        else if (c == '\f')
            escape[1] = 'f';
        else if (c < 0x20)
            snprintf(escape, sizeof escape, "\\u%04x", c);
        rpi_text_add_string(text, escape);
    }
    rpi_text_add_utf8(text, good, (size_t)(end - good));
    rpi_text_add(text, "\"", 1);
}

static unsigned hex4(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        value = value * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return value;
}

static size_t put_code_point(char out[4], unsigned code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

// Decodes the escape at `at` (a backslash); returns what follows it. A lone surrogate becomes U+FFFD.
static const char *decode_escape(const char *at, const char *end, char out[4], size_t *size)
{
    *size = 1;
    switch (at[1]) {
    case 'b': out[0] = '\b'; return at + 2;
    case 'f': out[0] = '\f'; return at + 2;
    case 'n': out[0] = '\n'; return at + 2;
    case 'r': out[0] = '\r'; return at + 2;
    case 't': out[0] = '\t'; return at + 2;
    case 'u': break;
    default: out[0] = at[1]; return at + 2;
    }
    unsigned code = hex4(at + 2);
    at += 6;
    if (code >= 0xD800 && code <= 0xDBFF && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        unsigned low = hex4(at + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            at += 6;
        }
    }
    if (code >= 0xD800 && code <= 0xDFFF)
        code = 0xFFFD;
    *size = put_code_point(out, code);
    return at;
}

void rpi_json_decode_string(rpi_text *text, rp_text raw)
{
    if (raw.size < 2)
        return;
    const char *at = raw.data + 1, *end = raw.data + raw.size - 1, *good = at;
    while (at < end) {
        if (*at != '\\') {
            at++;
            continue;
        }
        rpi_text_add_utf8(text, good, (size_t)(at - good));
        char out[4];
        size_t size;
        at = decode_escape(at, end, out, &size);
        rpi_text_add(text, out, size);
        good = at;
    }
    rpi_text_add_utf8(text, good, (size_t)(end - good));
}

// A raw string again, its escapes as Python chooses them: decoded and written piece by piece.
static void write_raw_string(rpi_text *text, rp_text raw)
{
    rpi_text_add(text, "\"", 1);
    const char *at = raw.data + 1, *end = raw.data + raw.size - 1, *good = at;
    while (at < end) {
        if (*at != '\\') {
            at++;
            continue;
        }
        rpi_text_add_utf8(text, good, (size_t)(at - good));
        char out[4];
        size_t size;
        at = decode_escape(at, end, out, &size);
        size_t before = text->size;
        rpi_json_write_string(text, out, size);
        if (text->result == RT_OK) { // take the quotes away again
            text->size -= 2;
            memmove(text->data + before, text->data + before + 1, text->size - before);
            text->data[text->size] = 0;
        }
        good = at;
    }
    rpi_text_add_utf8(text, good, (size_t)(end - good));
    rpi_text_add(text, "\"", 1);
}

// The shortest decimal digits that give the same double, laid out as Python's repr does, whatever the C locale's comma.
static void write_real(rpi_text *text, rp_text raw)
{
    char spelled[512];
    const char *point = localeconv()->decimal_point;
    size_t length = 0, point_length = strlen(point);
    for (size_t i = 0; i < raw.size && length + point_length + 1 < sizeof spelled; i++) {
        if (raw.data[i] == '.') {
            memcpy(spelled + length, point, point_length);
            length += point_length;
        } else {
            spelled[length++] = raw.data[i];
        }
    }
    spelled[length] = 0;
    double value = strtod(spelled, NULL);
    if (raw.size > 400 || !isfinite(value)) { // no double: leave it as it was
        rpi_text_add(text, raw.data, raw.size);
        return;
    }
    char scientific[64], digits[32];
    int precision = 0;
    do
        snprintf(scientific, sizeof scientific, "%.*e", precision, value);
    while (strtod(scientific, NULL) != value && ++precision < 17);
    int count = 0;
    const char *at = scientific;
    for (; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9')
            digits[count++] = *at;
    int exponent = atoi(at + 1);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    char out[64];
    int size = 0;
    if (scientific[0] == '-')
        out[size++] = '-';
    if (exponent < -4 || exponent >= 16) {
        out[size++] = digits[0];
        if (count > 1) {
            out[size++] = '.';
            memcpy(out + size, digits + 1, (size_t)count - 1);
            size += count - 1;
        }
        size += snprintf(out + size, sizeof out - (size_t)size, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        size += snprintf(out + size, sizeof out - (size_t)size, "0.%.*s", -exponent - 1, "0000");
        memcpy(out + size, digits, (size_t)count);
        size += count;
    } else {
        for (int i = 0; i <= exponent; i++)
            out[size++] = i < count ? digits[i] : '0';
        out[size++] = '.';
        if (count <= exponent + 1)
            out[size++] = '0';
        for (int i = exponent + 1; i < count; i++)
            out[size++] = digits[i];
    }
    rpi_text_add(text, out, (size_t)size);
}

static void write_number(rpi_text *text, rp_text raw)
{
    if (memchr(raw.data, '.', raw.size) || memchr(raw.data, 'e', raw.size) || memchr(raw.data, 'E', raw.size))
        write_real(text, raw);
    else if (raw.size == 2 && memcmp(raw.data, "-0", 2) == 0)
        rpi_text_add(text, "0", 1);
    else
        rpi_text_add(text, raw.data, raw.size);
}

static void new_line(rpi_text *text, int indent, int level)
{
    rpi_text_add(text, "\n", 1);
    for (int i = 0; i < indent * level; i++)
        rpi_text_add(text, " ", 1);
}

void rpi_json_write(rpi_text *text, rp_text value, int indent, int level)
{
    const char *end = value.data + value.size;
    value.data = skip_space(value.data, end);
    value.size = (size_t)(end - value.data);
    char kind = rpi_json_kind(value);
    if (kind != '{' && kind != '[') { // without the white space behind it
        const char *after = rpi_json_skip(value.data, end);
        value.size = after ? (size_t)(after - value.data) : 0;
        if (!after)
            return;
    }
    if (kind == '"')
        write_raw_string(text, value);
    else if (kind == '0')
        write_number(text, value);
    else if (kind != '{' && kind != '[')
        rpi_text_add(text, value.data, value.size);
    else {
        char brackets[2] = {kind, kind == '{' ? '}' : ']'};
        rpi_text_add(text, brackets, 1);
        rpi_json_walk walk = rpi_json_begin(value);
        bool first = true;
        while (text->result == RT_OK && rpi_json_next(&walk)) {
            if (!first)
                rpi_text_add_string(text, indent ? "," : ", ");
            first = false;
            if (indent)
                new_line(text, indent, level + 1);
            if (walk.is_object) {
                write_raw_string(text, walk.key);
                rpi_text_add(text, ": ", 2);
            }
            rpi_json_write(text, walk.value, indent, level + 1);
        }
        if (indent && !first)
            new_line(text, indent, level);
        rpi_text_add(text, brackets + 1, 1);
    }
}
