// Pieces of a prompt to tokens. Text between two special tokens is one run: it is encoded as one string, so that tokens
// which span a seam (a prefix's newline, say) come out as in training.
// SPDX-License-Identifier: MIT
#include "prompt/builder.h"

#include <string.h>

#define LONGEST_SPELLING 63

rt_token rpi_special_at(const rt_tokenizer *tokenizer, const char *at, const char *end, size_t *length)
{
    char close = *at == '<' ? '>' : *at == '[' ? ']' : 0;
    if (!close || !tokenizer)
        return RT_TOKEN_NONE;
    char spelling[LONGEST_SPELLING + 1];
    for (size_t i = 0; at + i < end && i < LONGEST_SPELLING; i++) {
        spelling[i] = at[i];
        if (at[i] != close)
            continue;
        spelling[i + 1] = 0;
        rt_token token = rt_tokenizer_special(tokenizer, spelling);
        if (token != RT_TOKEN_NONE) {
            *length = i + 1;
            return token;
        }
    }
    return RT_TOKEN_NONE;
}

bool rpi_builder_reserve(rpi_builder *builder, size_t count)
{
    if (builder->result != RT_OK)
        return false;
    void *pieces = builder->pieces;
    if (!rpi_prompt_reserve_array(&builder->text.host, &pieces, &builder->capacity, count, sizeof *builder->pieces))
        builder->result = rpi_prompt_fail(&builder->text.host, RT_ERROR_OUT_OF_MEMORY, "prompt: no memory for %zu pieces", count);
    builder->pieces = pieces;
    return builder->result == RT_OK;
}

static void add_piece(rpi_builder *builder, size_t begin, size_t size, rt_token token)
{
    if (rpi_builder_reserve(builder, builder->count + 1))
        builder->pieces[builder->count++] = (rpi_prompt_piece){begin, size, token};
}

void rpi_builder_cut(rpi_builder *builder)
{
    if (rpi_builder_result(builder) != RT_OK)
        return;
    size_t start = builder->run;
    builder->run = builder->text.size;
    if (builder->format->control_strips_right && builder->after_control)
        while (start < builder->text.size && strchr(" \t\r\n", builder->text.data[start]) && builder->text.data[start])
            start++;
    size_t size = builder->text.size - start;
    if (!builder->tokenizer || size == 0)
        return;
    add_piece(builder, start, size, RT_TOKEN_NONE);
    builder->after_control = false;
}

static void add_control(rpi_builder *builder, rt_token token, const char *spelling, size_t length)
{
    rpi_builder_cut(builder);
    size_t begin = builder->text.size;
    rpi_text_add(&builder->text, spelling, length);
    builder->run = builder->text.size;
    add_piece(builder, begin, length, token);
    builder->after_control = true;
}

void rpi_builder_format(rpi_builder *builder, const char *string)
{
    if (!string)
        return;
    const char *end = string + strlen(string), *plain = string;
    for (const char *at = string; at < end;) {
        size_t length = 0;
        rt_token token = rpi_special_at(builder->tokenizer, at, end, &length);
        if (token == RT_TOKEN_NONE) {
            at++;
            continue;
        }
        rpi_text_add(&builder->text, plain, (size_t)(at - plain));
        add_control(builder, token, at, length);
        at += length;
        plain = at;
    }
    rpi_text_add(&builder->text, plain, (size_t)(end - plain));
}

// White space as Python's str.strip sees it, as far as it is ASCII, plus the no-break and ideographic spaces.
static size_t space_at(const char *at, size_t left)
{
    unsigned char c = (unsigned char)*at;
    if (c == ' ' || (c >= 9 && c <= 13) || (c >= 28 && c <= 31))
        return 1;
    if (left >= 2 && (memcmp(at, "\xC2\xA0", 2) == 0 || memcmp(at, "\xC2\x85", 2) == 0))
        return 2;
    if (left >= 3 && memcmp(at, "\xE3\x80\x80", 3) == 0)
        return 3;
    return 0;
}

static rp_text strip_space(rp_text text)
{
    size_t step;
    while (text.size && (step = space_at(text.data, text.size))) {
        text.data += step;
        text.size -= step;
    }
    for (;;) {
        size_t cut = 0;
        for (size_t length = 1; length <= 3 && length <= text.size; length++)
            if (space_at(text.data + text.size - length, length) == length)
                cut = length;
        if (!cut)
            return text;
        text.size -= cut;
    }
}

// Markers that are plain text for this vocabulary would be syntax when a player typed them: a space breaks them up.
static void break_markers(rpi_builder *builder, size_t start)
{
    for (size_t i = 0; i < sizeof builder->format->plain_markers / sizeof builder->format->plain_markers[0]; i++) {
        const char *marker = builder->format->plain_markers[i];
        size_t length = marker ? strlen(marker) : 0;
        if (length < 2)
            continue;
        if (builder->tokenizer && rt_tokenizer_special(builder->tokenizer, marker) != RT_TOKEN_NONE)
            continue;
        for (size_t at = start; builder->text.result == RT_OK && at + length <= builder->text.size; at++) {
            char *data = builder->text.data;
            if (memcmp(data + at, marker, length) != 0)
                continue;
            rpi_text_add(&builder->text, " ", 1);
            if (builder->text.result != RT_OK)
                return;
            data = builder->text.data;
            memmove(data + at + 2, data + at + 1, builder->text.size - at - 2);
            data[at + 1] = ' ';
        }
    }
}

void rpi_builder_written(rpi_builder *builder, size_t start)
{
    break_markers(builder, start);
}

void rpi_builder_content(rpi_builder *builder, rp_text content, bool strip)
{
    if (strip)
        content = strip_space(content);
    size_t start = builder->text.size;
    rpi_text_add_utf8(&builder->text, content.data, content.size);
    rpi_builder_written(builder, start);
}

rt_result rpi_builder_result(const rpi_builder *builder)
{
    return builder->text.result != RT_OK ? builder->text.result : builder->result;
}
