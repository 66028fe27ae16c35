// call/copy.c - what a value goes on with if it is a copy of what was said.
//
// Most of what a call needs to know was said by whoever asked for it: a name, a place, a number. A small model that writes
// freely says it in other words, or says what is common. So that the words of the line itself have an advantage, they have
// to be known: from each place of the line at which what is written so far stands, the token that goes on (pointer networks
// and copying: Gu et al. 2016, arXiv:1603.06393; See et al. 2017, arXiv:1704.04368).
// SPDX-License-Identifier: MIT
#include <string.h>

#include "call/argue.h"

enum { LOOK_AHEAD = 32, NUMBER_BYTES = 32, MOST_LINE_BYTES = 1024 };

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(uint32_t code)
{
    return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') || (code >= 'a' && code <= 'z') ||
           (code >= 0xC0 && code < 0x2000);
}

// Whether no word reaches across `at`. Scripts that write no spaces have a boundary at every character.
static bool is_boundary(rp_text line, size_t at)
{
    if (at == 0 || at >= line.size)
        return true;
    if (((unsigned char)line.data[at] & 0xC0) == 0x80)
        return false;
    size_t before = at - 1;
    while (before > 0 && ((unsigned char)line.data[before] & 0xC0) == 0x80)
        before--;
    uint32_t left, right;
    rpi_utf8_next(line.data + before, line.size - before, &left);
    rpi_utf8_next(line.data + at, line.size - at, &right);
    return !is_letter(left) || !is_letter(right);
}

static void add_token(rpi_copy *copy, rt_token token, bool is_spent)
{
    for (int32_t i = 0; i < copy->count; i++) {
        if (copy->tokens[i] == token) {
            copy->is_spent[i] = copy->is_spent[i] && is_spent;
            return;
        }
    }
    if (copy->count == RPI_COPY_TOKENS)
        return;
    copy->tokens[copy->count] = token;
    copy->is_spent[copy->count++] = is_spent;
}

static void may_close(rpi_copy *copy, bool is_spent)
{
    copy->closes_spent = is_spent && (copy->closes_spent || !copy->may_close);
    copy->may_close = true;
}

static void add_first_token(const rt_tokenizer *tokenizer, rpi_copy *copy, const char *text, size_t size, bool is_spent)
{
    rt_token ids[LOOK_AHEAD + 2];
    size_t count = 0;
    size = rpi_utf8_floor(text, size, RPI_MIN(size, (size_t)LOOK_AHEAD));
    if (size > 0 && rt_tokenizer_encode(tokenizer, text, size, true, ids, RPI_COUNT(ids), &count) == RT_OK && count > 0)
        add_token(copy, ids[0], is_spent);
}

// A number as JSON writes it: the commas between groups of three digits are left out. The end of it in the line.
static size_t read_number(rp_text line, size_t at, char number[NUMBER_BYTES], size_t *size)
{
    bool has_point = false;
    *size = 0;
    for (; at < line.size && *size < NUMBER_BYTES; at++) {
        const char *next = line.data + at + 1;
        size_t left = line.size - at - 1;
        bool is_group = line.data[at] == ',' && !has_point && left >= 3 && is_digit(next[0]) && is_digit(next[1]) &&
                        is_digit(next[2]) && (left == 3 || !is_digit(next[3]));
        bool is_point = line.data[at] == '.' && !has_point && left > 0 && is_digit(next[0]);
        if (is_group && *size > 0)
            continue;
        if (!is_digit(line.data[at]) && !(is_point && *size > 0))
            break;
        has_point = has_point || is_point;
        number[(*size)++] = line.data[at];
    }
    return at;
}

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

static bool stands_at(rp_text line, size_t at, rp_text words)
{
    for (size_t i = 0; i < words.size; i++)
        if (lower(line.data[at + i]) != lower(words.data[i]))
            return false;
    return true;
}

// The words of the line that arguments have already, a byte each.
typedef struct spent {
    bool bytes[MOST_LINE_BYTES];
} spent;

static bool is_all_spent(const spent *s, size_t at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!s->bytes[at + i])
            return false;
    return size > 0;
}

// The first place in the line where the words stand unspent is spent.
static void spend(spent *s, rp_text line, rp_text words)
{
    for (size_t at = 0; words.size > 0 && at + words.size <= line.size; at++) {
        if (!stands_at(line, at, words) || !is_boundary(line, at) ||
            !is_boundary(line, at + words.size) || is_all_spent(s, at, words.size))
            continue;
        memset(s->bytes + at, true, words.size);
        return;
    }
}

static void spend_number(spent *s, rp_text line, rp_text words)
{
    for (size_t at = 0; at < line.size;) {
        char number[NUMBER_BYTES];
        size_t size, end = read_number(line, at, number, &size);
        if (size == words.size && memcmp(number, words.data, size) == 0 && !is_all_spent(s, at, end - at)) {
            memset(s->bytes + at, true, end - at);
            return;
        }
        at = size > 0 ? end : at + 1;
    }
}

static void spend_arguments(spent *s, rp_text line, rp_text arguments)
{
    for (size_t at = 0; at < arguments.size;) {
        size_t begin = at;
        if (arguments.data[at] == '"') {
            for (at = ++begin; at < arguments.size && arguments.data[at] != '"'; at++)
                at += arguments.data[at] == '\\';
            bool is_key = at + 1 < arguments.size && arguments.data[at + 1] == ':';
            if (at < arguments.size && !is_key)
                spend(s, line, (rp_text){ arguments.data + begin, at - begin });
            at++;
        } else if (is_digit(arguments.data[at])) {
            while (at < arguments.size && (is_digit(arguments.data[at]) || arguments.data[at] == '.'))
                at++;
            if (at < arguments.size)
                spend_number(s, line, (rp_text){ arguments.data + begin, at - begin });
        } else {
            at++;
        }
    }
}

static void find_numbers(const rt_tokenizer *tokenizer, rp_text line, const spent *s, rp_text content, rpi_copy *copy)
{
    bool is_negative = content.size > 0 && content.data[0] == '-';
    rp_text digits = { content.data + is_negative, content.size - is_negative };
    for (size_t at = 0; at < line.size;) {
        char number[NUMBER_BYTES];
        size_t size, begin = at, end = read_number(line, at, number, &size);
        at = size > 0 ? end : at + 1;
        if (size == 0 || digits.size > size || memcmp(number, digits.data, digits.size) != 0)
            continue;
        bool is_spent = is_all_spent(s, begin, end - begin);
        if (digits.size == size)
            may_close(copy, is_spent);
        else
            add_first_token(tokenizer, copy, number + digits.size, size - digits.size, is_spent);
    }
}

// Whether a value that has come to `at` had better end: a comma or full stop, then a space or nothing.
static bool is_pause(rp_text line, size_t at)
{
    return strchr(",;:.!?", line.data[at]) != NULL && (at + 1 == line.size || line.data[at + 1] == ' ' || line.data[at + 1] == '\n');
}

// The words from there on, as they are and, where they begin a value, with a capital letter: enums are often written so.
static void add_words(const rt_tokenizer *tokenizer, rpi_copy *copy, rp_text line, size_t at, bool capitals, bool is_spent)
{
    add_first_token(tokenizer, copy, line.data + at, line.size - at, is_spent);
    char first = line.data[at], copied[LOOK_AHEAD];
    if (!capitals || first < 'a' || first > 'z')
        return;
    size_t size = RPI_MIN(line.size - at, sizeof copied);
    memcpy(copied, line.data + at, size);
    copied[0] = (char)(first - 'a' + 'A');
    add_first_token(tokenizer, copy, copied, size, is_spent);
}

static void find_words(const rt_tokenizer *tokenizer, rp_text line, const spent *s, rp_text content, bool of_few, rpi_copy *copy)
{
    for (size_t at = 0; at + content.size < line.size + (content.size > 0) && copy->count < RPI_COPY_TOKENS; at++) {
        uint32_t first;
        rpi_utf8_next(line.data + at, line.size - at, &first);
        if ((!is_letter(first) && first < 0x80) || !is_boundary(line, at) ||
            !stands_at(line, at, content))
            continue;
        size_t end = at + content.size;
        bool is_spent = is_all_spent(s, at, RPI_MAX(content.size, (size_t)1));
        if (content.size > 0 && is_boundary(line, end) && line.data[end - 1] != ' ')
            may_close(copy, is_spent);
        if (end < line.size && line.data[end] != '"' && line.data[end] != '\\' && (unsigned char)line.data[end] >= 0x20 &&
            !is_pause(line, end))
            add_words(tokenizer, copy, line, end, of_few && content.size == 0, is_spent);
    }
}

void rpi_copy_find(const rt_tokenizer *tokenizer, rp_text line, rp_text arguments, rp_text content, rpi_literal literal,
                   bool of_few, rpi_copy *copy)
{
    spent s = { 0 };
    *copy = (rpi_copy){ 0 };
    line.size = rpi_utf8_floor(line.data, line.size, RPI_MIN(line.size, (size_t)MOST_LINE_BYTES));
    spend_arguments(&s, line, arguments);
    if (literal == RPI_LITERAL_NUMBER)
        find_numbers(tokenizer, line, &s, content, copy);
    else
        find_words(tokenizer, line, &s, content, of_few, copy);
}
