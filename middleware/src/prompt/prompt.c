// A prompt's memory, and its text to tokens, a piece at a time.
// SPDX-License-Identifier: MIT
#include "prompt/builder.h"

#include <string.h>

static bool reserve_ids(rp_prompt *prompt, size_t count)
{
    void *ids = prompt->ids;
    bool fits = rpi_prompt_reserve_array(&prompt->host, &ids, &prompt->ids_capacity, count, sizeof *prompt->ids);
    prompt->ids = ids;
    return fits;
}

// The next piece, or the front of it. Returns the bytes that it took.
static rt_result encode_next(const rt_tokenizer *tokenizer, size_t most_bytes, rp_prompt *prompt, size_t *taken)
{
    const rpi_prompt_piece *piece = &prompt->pieces[prompt->next_piece];
    const char *text = prompt->text + piece->begin + prompt->next_byte;
    size_t left = piece->size - prompt->next_byte, size = left, count = 0;
    *taken = left;
    if (piece->token == RT_TOKEN_NONE && left > most_bytes && (size = rt_tokenizer_cut(tokenizer, text, left, most_bytes)) == 0)
        size = left;
    if (!reserve_ids(prompt, prompt->count + size + 2))
        return rpi_prompt_fail(&prompt->host, RT_ERROR_OUT_OF_MEMORY, "prompt: no memory for %zu tokens", prompt->count + size);
    if (piece->token != RT_TOKEN_NONE) {
        prompt->ids[prompt->count++] = piece->token;
        prompt->next_piece++;
        return RT_OK;
    }
    rt_result result = rt_tokenizer_encode(tokenizer, text, size, prompt->next_byte > 0, prompt->ids + prompt->count,
                                           prompt->ids_capacity - prompt->count, &count);
    if (result != RT_OK)
        return result;
    prompt->count += count;
    prompt->next_byte = size < left ? prompt->next_byte + size : 0;
    prompt->next_piece += size == left;
    *taken = size;
    return RT_OK;
}

rt_result rp_prompt_continue(const rt_tokenizer *tokenizer, size_t most_bytes, rp_prompt *prompt, bool *done)
{
    if (!prompt || !done || (!tokenizer && prompt->next_piece < prompt->piece_count))
        return rpi_prompt_fail(prompt ? &prompt->host : NULL, RT_ERROR_INVALID_ARGUMENT,
                               "rp_prompt_continue: a prompt, where to say that it is done, and the tokenizer of its begin");
    rt_result result = RT_OK;
    // With little of it left no run is begun: there might be no place so near its beginning where it can be cut.
    for (size_t left = most_bytes, least = most_bytes / 4; result == RT_OK && prompt->next_piece < prompt->piece_count;) {
        size_t taken;
        result = encode_next(tokenizer, left, prompt, &taken);
        left -= taken < left ? taken : left;
        if (left <= least)
            break;
    }
    if (result != RT_OK)
        prompt->count = prompt->text_size = prompt->piece_count = prompt->next_piece = prompt->next_byte = 0;
    *done = prompt->next_piece >= prompt->piece_count;
    return result;
}

size_t rp_prompt_remaining(const rp_prompt *prompt)
{
    if (!prompt || prompt->next_piece >= prompt->piece_count)
        return 0;
    const rpi_prompt_piece *last = &prompt->pieces[prompt->piece_count - 1];
    return last->begin + last->size - prompt->pieces[prompt->next_piece].begin - prompt->next_byte;
}

rt_result rp_prompt_render_again(const rp_format *format, const rt_tokenizer *tokenizer, const rp_message *messages,
                                 int32_t count, const char *tools, bool open_reply, rp_prompt *prompt)
{
    bool done = false;
    rt_result result = rp_prompt_begin(format, tokenizer, messages, count, tools, open_reply, prompt);
    while (result == RT_OK && !done)
        result = rp_prompt_continue(tokenizer, SIZE_MAX, prompt, &done);
    return result;
}

rt_result rp_prompt_render(const rp_format *format, const rt_tokenizer *tokenizer, const rt_host *host,
                           const rp_message *messages, int32_t count, const char *tools, bool open_reply,
                           rp_prompt *prompt)
{
    if (!prompt)
        return rpi_prompt_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_prompt_render: no prompt");
    memset(prompt, 0, sizeof *prompt);
    if (host)
        prompt->host = *host;
    rt_result result = rp_prompt_render_again(format, tokenizer, messages, count, tools, open_reply, prompt);
    if (result != RT_OK)
        rp_prompt_free(prompt);
    return result;
}

rt_result rp_prompt_reserve(rp_prompt *prompt, size_t bytes)
{
    if (!prompt || bytes > SIZE_MAX / 8)
        return rpi_prompt_fail(NULL, RT_ERROR_INVALID_ARGUMENT,
                               "rp_prompt_reserve: a prompt, and a size that memory can have");
    rpi_builder builder = {.text = {.data = prompt->text, .capacity = prompt->text_capacity, .host = prompt->host},
                           .pieces = prompt->pieces,
                           .capacity = prompt->piece_capacity};
    rpi_text_reserve(&builder.text, bytes + 1);
    rpi_builder_reserve(&builder, bytes / 128 + 16);
    prompt->pieces = builder.pieces;
    prompt->piece_capacity = builder.capacity;
    prompt->text = builder.text.data;
    prompt->text_capacity = builder.text.capacity;
    rt_result result = rpi_builder_result(&builder);
    if (result == RT_OK && !reserve_ids(prompt, bytes + 2))
        result = rpi_prompt_fail(&prompt->host, RT_ERROR_OUT_OF_MEMORY, "prompt: no memory for %zu tokens", bytes + 2);
    return result;
}

void rp_prompt_free(rp_prompt *prompt)
{
    if (!prompt)
        return;
    if (prompt->ids)
        rpi_prompt_resize(&prompt->host, prompt->ids, prompt->ids_capacity * sizeof(rt_token), 0);
    if (prompt->pieces)
        rpi_prompt_resize(&prompt->host, prompt->pieces, prompt->piece_capacity * sizeof(rpi_prompt_piece), 0);
    if (prompt->text)
        rpi_prompt_resize(&prompt->host, prompt->text, prompt->text_capacity, 0);
    memset(prompt, 0, sizeof *prompt);
}
