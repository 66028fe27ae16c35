// call/spent.c - which words of the line are explained already, and what stands in it as they do.
// SPDX-License-Identifier: MIT
#include "call/spent.h"

#include <string.h>

#include "prompt/text.h"

enum { MOST_WORDS = 3 };

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

bool rpi_line_is_letter(uint32_t code)
{
    return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') || (code >= 'a' && code <= 'z') ||
           (code >= 0xC0 && code < 0x2000);
}

bool rpi_line_is_boundary(rp_text line, size_t at)
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
    return !rpi_line_is_letter(left) || !rpi_line_is_letter(right);
}

size_t rpi_line_number(rp_text line, size_t at, char number[RPI_NUMBER_BYTES], size_t *size)
{
    bool has_point = false;
    *size = 0;
    for (; at < line.size && *size < RPI_NUMBER_BYTES; at++) {
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

bool rpi_line_has(rp_text line, size_t at, rp_text words)
{
    for (size_t i = 0; i < words.size; i++)
        if (lower(line.data[at + i]) != lower(words.data[i]))
            return false;
    return true;
}

rpi_standing rpi_spent_standing(const rpi_spent *s, size_t at, size_t size)
{
    rpi_standing best = RPI_STANDING_SPENT;
    for (size_t i = 0; i < size; i++)
        best = RPI_MAX(best, (rpi_standing)s->bytes[at + i]);
    return best;
}

static bool is_touched(const rpi_spent *s, size_t at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (s->bytes[at + i] != RPI_STANDING_FREE)
            return true;
    return false;
}

// Who takes words.
typedef struct claim {
    rp_text key;
    rpi_standing standing;
    bool is_same_tool, is_current;
} claim;

static bool text_equals(rp_text a, rp_text b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static void take(rpi_spent *s, size_t begin, size_t end, const claim *by, bool is_number)
{
    bool is_new = !is_touched(s, begin, end - begin);
    memset(s->bytes + begin, by->standing, end - begin);
    if (by->standing == RPI_STANDING_SHARED)
        s->last = end;
    if (s->span_count < RPI_MOST_SPANS)
        s->spans[s->span_count++] = (rpi_span){ begin, end, by->key, by->is_same_tool, by->is_current, is_number, is_new };
}

// ---------------------------------------------------------------------------------------------------------------------
// Parallel structure
// ---------------------------------------------------------------------------------------------------------------------

static bool is_word_byte(char byte)
{
    return ((unsigned char)byte & 0x80) != 0 || rpi_line_is_letter((uint32_t)byte);
}

// How many whole words before both places are the same, up to a few.
static int32_t same_before(rp_text line, size_t a, size_t b)
{
    int32_t words = 0;
    while (words < MOST_WORDS) {
        while (a > 0 && !is_word_byte(line.data[a - 1]))
            a--;
        while (b > 0 && !is_word_byte(line.data[b - 1]))
            b--;
        size_t first = a;
        while (a > 0 && b > 0 && is_word_byte(line.data[a - 1]) && lower(line.data[a - 1]) == lower(line.data[b - 1])) {
            a--;
            b--;
        }
        if (a == first || (a > 0 && is_word_byte(line.data[a - 1])) || (b > 0 && is_word_byte(line.data[b - 1])))
            break;
        words++;
    }
    return words;
}

// The same behind them: one word is enough.
static int32_t same_behind(rp_text line, size_t a, size_t b)
{
    while (a < line.size && !is_word_byte(line.data[a]))
        a++;
    while (b < line.size && !is_word_byte(line.data[b]))
        b++;
    size_t first = a;
    while (a < line.size && b < line.size && is_word_byte(line.data[a]) && lower(line.data[a]) == lower(line.data[b])) {
        a++;
        b++;
    }
    return a > first && (a == line.size || !is_word_byte(line.data[a])) && (b == line.size || !is_word_byte(line.data[b]));
}

rpi_standing rpi_spent_parallel(const rpi_spent *s, size_t begin, size_t end, bool is_number)
{
    int32_t same = 0, other = 0;
    for (int32_t i = 0; i < s->span_count; i++) {
        const rpi_span *to = &s->spans[i];
        if (to->is_number != is_number || to->is_current)
            continue;
        int32_t words = same_before(s->line, to->begin, begin) + (end > 0 ? same_behind(s->line, to->end, end) : 0);
        int32_t *best = to->is_same_tool && text_equals(to->key, s->key) ? &same : &other;
        *best = RPI_MAX(*best, words);
    }
    return other > same ? RPI_STANDING_SHARED : same > 0 ? RPI_STANDING_PARALLEL : RPI_STANDING_FREE;
}

// ---------------------------------------------------------------------------------------------------------------------
// Spending
// ---------------------------------------------------------------------------------------------------------------------

// The first place in the line where the words stand free is taken.
static void spend(rpi_spent *s, rp_text words, const claim *by)
{
    for (size_t at = 0; words.size > 0 && at + words.size <= s->line.size; at++) {
        size_t end = at + words.size;
        if (rpi_line_has(s->line, at, words) && rpi_line_is_boundary(s->line, at) && rpi_line_is_boundary(s->line, end) &&
            rpi_spent_standing(s, at, words.size) == RPI_STANDING_FREE) {
            take(s, at, end, by, false);
            return;
        }
    }
}

static void spend_number(rpi_spent *s, rp_text digits, const claim *by)
{
    for (size_t at = 0; at < s->line.size;) {
        char number[RPI_NUMBER_BYTES];
        size_t size, end = rpi_line_number(s->line, at, number, &size);
        if (size > 0 && size == digits.size && memcmp(number, digits.data, size) == 0 &&
            rpi_spent_standing(s, at, end - at) == RPI_STANDING_FREE) {
            take(s, at, end, by, true);
            return;
        }
        at = size > 0 ? end : at + 1;
    }
}

// Spends the strings and numbers of a piece of JSON. Where it is not complete, a last number may not be either.
static void spend_values(rpi_spent *s, rp_text json, const claim *by, bool is_complete)
{
    for (size_t at = 0; at < json.size;) {
        size_t begin = at;
        if (json.data[at] == '"') {
            for (at = ++begin; at < json.size && json.data[at] != '"'; at++)
                at += json.data[at] == '\\';
            bool is_key = at + 1 < json.size && json.data[at + 1] == ':';
            if (at < json.size && !is_key)
                spend(s, (rp_text){ json.data + begin, at - begin }, by);
            at++;
        } else if (is_digit(json.data[at])) {
            while (at < json.size && (is_digit(json.data[at]) || json.data[at] == '.'))
                at++;
            if (at < json.size || is_complete)
                spend_number(s, (rp_text){ json.data + begin, at - begin }, by);
        } else {
            at++;
        }
    }
}

// What the same parameter of the same tool had may be meant again.
static void spend_calls(rpi_spent *s, const rpi_source *source)
{
    rpi_json_walk calls = rpi_json_begin(source->calls);
    while (rpi_json_next(&calls)) {
        claim by = { .is_same_tool = text_equals(rpi_json_member(calls.value, "name"), source->name) };
        rpi_json_walk arguments = rpi_json_begin(rpi_json_member(calls.value, "arguments"));
        while (rpi_json_next(&arguments)) {
            by.key = arguments.key;
            by.standing = by.is_same_tool && text_equals(by.key, s->key) ? RPI_STANDING_SHARED : RPI_STANDING_SPENT;
            spend_values(s, arguments.value, &by, true);
        }
    }
}

static void begin_calls(rpi_spent *s, const rpi_source *source)
{
    *s = (rpi_spent){ .line = source->line, .key = source->key };
    s->line.size = rpi_utf8_floor(s->line.data, s->line.size, RPI_MIN(s->line.size, (size_t)RPI_LINE_BYTES));
    spend_calls(s, source);
}

void rpi_spent_begin(rpi_spent *s, const rpi_source *source)
{
    begin_calls(s, source);
    spend_values(s, source->arguments, &(claim){ .standing = RPI_STANDING_SPENT, .is_current = true }, false);
}

// ---------------------------------------------------------------------------------------------------------------------
// Exchange
// ---------------------------------------------------------------------------------------------------------------------

// The latest words that the parameter had in an earlier call of the same tool; those that were exchanged are let out.
static rpi_span *find_earlier(rpi_spent *s, const rpi_span *of)
{
    for (int32_t i = s->span_count; i-- > 0;) {
        rpi_span *span = &s->spans[i];
        if (!span->is_current && span->is_same_tool && span->is_number == of->is_number && text_equals(span->key, of->key))
            return span;
    }
    return NULL;
}

// Writes the line with the words of each span in the place of its partner's.
static bool write_exchanged(const rpi_spent *s, rp_text line, const rpi_span *(*pairs)[2], int32_t count, const rt_host *host,
                            rpi_buffer *text)
{
    size_t at = 0;
    bool fits = true;
    rpi_buffer_clear(text);
    while (fits) {
        const rpi_span *next = NULL, *partner = NULL;
        for (int32_t i = 0; i < count * 2; i++) {
            const rpi_span *span = pairs[i / 2][i % 2];
            if (span->begin >= at && (next == NULL || span->begin < next->begin)) {
                next = span;
                partner = pairs[i / 2][1 - i % 2];
            }
        }
        if (next == NULL)
            break;
        fits = rpi_buffer_add(host, text, line.data + at, next->begin - at) &&
               rpi_buffer_add(host, text, s->line.data + partner->begin, partner->end - partner->begin);
        at = next->end;
    }
    return fits && rpi_buffer_add(host, text, line.data + at, line.size - at);
}

bool rpi_spent_exchange(const rpi_source *source, const rt_host *host, rpi_buffer *text, int32_t *found, int32_t *exchanged)
{
    rpi_spent s;
    const rpi_span *pairs[RPI_MOST_SPANS][2];
    *found = *exchanged = 0;
    begin_calls(&s, source);
    int32_t earlier = s.span_count;
    rpi_json_walk arguments = rpi_json_begin(source->arguments);
    while (rpi_json_next(&arguments)) {
        claim by = { arguments.key, RPI_STANDING_SPENT, true, true };
        spend_values(&s, arguments.value, &by, true);
    }
    for (int32_t i = earlier; i < s.span_count; i++) {
        if (!s.spans[i].is_new)
            continue;
        ++*found;
        rpi_span *before = find_earlier(&s, &s.spans[i]);
        if (before == NULL)
            continue;
        before->is_same_tool = false; // once is enough
        pairs[*exchanged][0] = before;
        pairs[(*exchanged)++][1] = &s.spans[i];
    }
    return write_exchanged(&s, source->line, pairs, *exchanged, host, text);
}
