// call/copy.c - what a value goes on with if it is a copy of what was said.
//
// Most of what a call needs to know was said by whoever asked for it: a name, a place, a number. A small model that writes
// freely says it in other words, or says what is common. So that the words of the line itself have an advantage, they have
// to be known: from each place of the line at which what is written so far stands, the token that goes on (pointer networks
// and copying: Gu et al. 2016, arXiv:1603.06393; See et al. 2017, arXiv:1704.04368).
// SPDX-License-Identifier: MIT
#include <string.h>

#include "call/spent.h"

enum { LOOK_AHEAD = 32 };

static void add_token(rpi_copy *copy, rt_token token, rpi_standing standing)
{
    for (int32_t i = 0; i < copy->count; i++) {
        if (copy->tokens[i] == token) {
            copy->standing[i] = RPI_MAX(copy->standing[i], (int8_t)standing);
            return;
        }
    }
    if (copy->count == RPI_COPY_TOKENS)
        return;
    copy->tokens[copy->count] = token;
    copy->standing[copy->count++] = (int8_t)standing;
}

static void may_close(rpi_copy *copy, rpi_standing standing)
{
    copy->close = copy->may_close ? RPI_MAX(copy->close, standing) : standing;
    copy->may_close = true;
}

static void add_first_token(const rt_tokenizer *tokenizer, rpi_copy *copy, const char *text, size_t size, rpi_standing standing)
{
    rt_token ids[LOOK_AHEAD + 2];
    size_t count = 0;
    size = rpi_utf8_floor(text, size, RPI_MIN(size, (size_t)LOOK_AHEAD));
    if (size > 0 && rt_tokenizer_encode(tokenizer, text, size, true, ids, RPI_COUNT(ids), &count) == RT_OK && count > 0)
        add_token(copy, ids[0], standing);
}

// How a number of the line stands that ends at `end`.
static rpi_standing number_standing(const rpi_spent *s, size_t begin, size_t end)
{
    rpi_standing standing = rpi_spent_standing(s, begin, end - begin);
    return standing == RPI_STANDING_FREE ? rpi_spent_parallel(s, begin, end, true) : standing;
}

// Lists are gone through in their order: behind the number that the same parameter had in the call before, the first of those
// that stand best. The line's size where there is none.
static size_t find_next(const rpi_spent *s)
{
    size_t next = s->line.size;
    rpi_standing best = RPI_STANDING_SHARED;
    for (size_t at = s->last; s->last > 0 && at < s->line.size;) {
        char number[RPI_NUMBER_BYTES];
        size_t size, begin = at, end = rpi_line_number(s->line, at, number, &size);
        at = size > 0 ? end : at + 1;
        rpi_standing standing = size > 0 ? number_standing(s, begin, end) : RPI_STANDING_SPENT;
        if (standing > best) {
            best = standing;
            next = begin;
        }
    }
    return next;
}

static void find_numbers(const rt_tokenizer *tokenizer, const rpi_spent *s, rp_text content, rpi_copy *copy)
{
    bool is_negative = content.size > 0 && content.data[0] == '-';
    rp_text digits = { content.data + is_negative, content.size - is_negative };
    size_t next = find_next(s);
    for (size_t at = 0; at < s->line.size;) {
        char number[RPI_NUMBER_BYTES];
        size_t size, begin = at, end = rpi_line_number(s->line, at, number, &size);
        at = size > 0 ? end : at + 1;
        if (size == 0 || digits.size > size || memcmp(number, digits.data, digits.size) != 0)
            continue;
        rpi_standing standing = number_standing(s, begin, end);
        if (begin == next)
            standing = standing == RPI_STANDING_PARALLEL ? RPI_STANDING_PARALLEL_NEXT : RPI_STANDING_NEXT;
        else if (next < s->line.size)
            standing = RPI_MIN(standing, RPI_STANDING_SHARED);
        if (digits.size == size)
            may_close(copy, standing);
        else
            add_first_token(tokenizer, copy, number + digits.size, size - digits.size, standing);
    }
}

// Whether a value that has come to `at` had better end: a comma or full stop, then a space or nothing.
static bool is_pause(rp_text line, size_t at)
{
    return strchr(",;:.!?", line.data[at]) != NULL && (at + 1 == line.size || line.data[at + 1] == ' ' || line.data[at + 1] == '\n');
}

// The words from there on, as they are and, where they begin a value, with a capital letter: enums are often written so.
static void add_words(const rt_tokenizer *tokenizer, rpi_copy *copy, rp_text line, size_t at, bool capitals, rpi_standing standing)
{
    add_first_token(tokenizer, copy, line.data + at, line.size - at, standing);
    char first = line.data[at], copied[LOOK_AHEAD];
    if (!capitals || first < 'a' || first > 'z')
        return;
    size_t size = RPI_MIN(line.size - at, sizeof copied);
    memcpy(copied, line.data + at, size);
    copied[0] = (char)(first - 'a' + 'A');
    add_first_token(tokenizer, copy, copied, size, standing);
}

static void find_words(const rt_tokenizer *tokenizer, const rpi_spent *s, rp_text content, bool of_few, rpi_copy *copy)
{
    rp_text line = s->line;
    for (size_t at = 0; at + content.size < line.size + (content.size > 0) && copy->count < RPI_COPY_TOKENS; at++) {
        uint32_t first;
        rpi_utf8_next(line.data + at, line.size - at, &first);
        if ((!rpi_line_is_letter(first) && first < 0x80) || !rpi_line_is_boundary(line, at) ||
            !rpi_line_has(line, at, content))
            continue;
        size_t end = at + content.size;
        rpi_standing standing = rpi_spent_standing(s, at, RPI_MAX(content.size, (size_t)1));
        if (standing == RPI_STANDING_FREE && content.size == 0)
            standing = rpi_spent_parallel(s, at, 0, false);
        if (content.size > 0 && rpi_line_is_boundary(line, end) && line.data[end - 1] != ' ')
            may_close(copy, standing);
        if (end < line.size && line.data[end] != '"' && line.data[end] != '\\' && (unsigned char)line.data[end] >= 0x20 &&
            !is_pause(line, end))
            add_words(tokenizer, copy, line, end, of_few && content.size == 0, standing);
    }
}

void rpi_copy_find(const rt_tokenizer *tokenizer, const rpi_source *source, rp_text content, rpi_literal literal,
                   bool of_few, rpi_copy *copy)
{
    rpi_spent s;
    *copy = (rpi_copy){ 0 };
    rpi_spent_begin(&s, source);
    if (literal == RPI_LITERAL_NUMBER)
        find_numbers(tokenizer, &s, content, copy);
    else
        find_words(tokenizer, &s, content, of_few, copy);
}
