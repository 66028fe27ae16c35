// tokenizer/stream.c - tokens to text, as a stream of whole UTF-8.
// SPDX-License-Identifier: MIT
#include "tokenizer/tokenizer.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"

// Whether [at, end) is the beginning of a character that more bytes could complete: a well-formed head cut short.
static bool is_head(const char *at, const char *end)
{
    const uint8_t *b = (const uint8_t *)at;
    size_t size = (size_t)(end - at);
    size_t whole = b[0] >= 0xC2 && b[0] <= 0xDF ? 2 : b[0] >= 0xE0 && b[0] <= 0xEF ? 3 : b[0] >= 0xF0 && b[0] <= 0xF4 ? 4 : 0;
    if (size >= whole)
        return false;
    if (size < 2)
        return true;
    uint8_t low = b[0] == 0xE0 ? 0xA0 : b[0] == 0xF0 ? 0x90 : 0x80;
    uint8_t high = b[0] == 0xED ? 0x9F : b[0] == 0xF4 ? 0x8F : 0xBF;
    return b[1] >= low && b[1] <= high && (size < 3 || (b[2] & 0xC0) == 0x80);
}

static bool put(char *out, size_t capacity, size_t *used, const char *text, size_t size)
{
    if (size > capacity - *used)
        return false;
    memcpy(out + *used, text, size);
    *used += size;
    return true;
}

// Writes whole characters of [at, end); stops at a head that is cut short. NULL: does not fit.
static const char *put_whole(char *out, size_t capacity, size_t *used, const char *at, const char *end)
{
    while (at < end) {
        uint32_t code_point;
        bool valid;
        int length = rti_utf8_decode(at, end, &code_point, &valid);
        if (!valid && is_head(at, end))
            break;
        if (!put(out, capacity, used, valid ? at : REPLACEMENT, valid ? (size_t)length : 3))
            return NULL;
        at += length;
    }
    return at;
}

rt_result rt_text_stream_push(rt_text_stream *stream, const rt_tokenizer *tokenizer, rt_token id, char *out,
                              size_t capacity, size_t *size)
{
    if (!stream || !tokenizer || !size || (!out && capacity > 0) || stream->pending_size > 3)
        return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_text_stream_push: a null or damaged stream, tokenizer or size");
    *size = 0;
    const char *text;
    size_t length;
    if (!rt_tokenizer_bytes(tokenizer, id, &text, &length))
        return rti_fail(&tokenizer->host, RT_ERROR_INVALID_ARGUMENT, "rt_text_stream_push: token %d, of a vocabulary of %d",
                        (int)id, (int)tokenizer->count);
    if (length == 0)
        return RT_OK;
    const char *end = text + length;
    if (!stream->started && tokenizer->normalizer.add_dummy_prefix && *text == ' ')
        text++;
    rt_text_stream next = *stream;
    next.started = true;
    size_t used = 0;
    // Pending bytes and as many of the token as can complete a character. What is decided there is decided on whole
    // characters only, so that the rest of the token can be read in place.
    while (next.pending_size > 0 && text < end) {
        char head[4];
        size_t have = next.pending_size;
        memcpy(head, next.pending, have);
        head[have++] = *text;
        uint32_t code_point;
        bool valid;
        (void)rti_utf8_decode(head, head + have, &code_point, &valid);
        if (valid) {
            text++;
            if (!put(out, capacity, &used, head, have))
                goto too_large;
            next.pending_size = 0;
        } else if (is_head(head, head + have)) {
            text++;
            next.pending[next.pending_size++] = (uint8_t)head[have - 1];
        } else { // this byte does not go on with the pending ones: they are one invalid part
            if (!put(out, capacity, &used, REPLACEMENT, 3))
                goto too_large;
            next.pending_size = 0;
        }
    }
    if (text < end) {
        text = put_whole(out, capacity, &used, text, end);
        if (!text)
            goto too_large;
        next.pending_size = (uint8_t)(end - text);
        memcpy(next.pending, text, (size_t)(end - text));
    }
    *stream = next;
    *size = used;
    return RT_OK;
too_large:
    return rti_fail(&tokenizer->host, RT_ERROR_TOO_LARGE, "rt_text_stream_push: the text of token %d does not fit %zu bytes",
                    (int)id, capacity);
}

size_t rt_text_stream_flush(rt_text_stream *stream, char out[12])
{
    size_t used = 0;
    if (stream->pending_size > 0) {
        memcpy(out, REPLACEMENT, 3); // a head cut short is one maximal invalid part
        used = 3;
    }
    stream->pending_size = 0;
    return used;
}
