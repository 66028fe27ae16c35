// tokenizer/tokenizer.c - asking a tokenizer about its tokens; its end.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"

#include <string.h>

void rt_tokenizer_close(rt_tokenizer *tokenizer)
{
    if (!tokenizer || atomic_fetch_sub_explicit(&tokenizer->references, 1, memory_order_acq_rel) > 1)
        return;
    rt_host host = tokenizer->host;
    size_t count = (size_t)tokenizer->count;
    rti_pieces_release(&host, &tokenizer->spellings);
    rti_pieces_release(&host, &tokenizer->bytes);
    rti_release(&host, tokenizer->types, count);
    rti_piece_map_release(&host, &tokenizer->map);
    rti_merge_map_release(&host, &tokenizer->merges);
    rti_release(&host, tokenizer->ordered, count);
    rti_release(&host, tokenizer->priorities, count * sizeof(*tokenizer->priorities));
    rti_release(&host, tokenizer->scores, count * sizeof(*tokenizer->scores));
    rti_release(&host, (void *)tokenizer->whole, count * sizeof(*tokenizer->whole));
    rti_split_plan_release(&tokenizer->split);
    rti_charsmap_release(&host, &tokenizer->charsmap);
    rti_trie_release(&host, &tokenizer->unigram);
    rti_trie_release(&host, &tokenizer->user_defined);
    if (tokenizer->chat_template)
        rti_release(&host, tokenizer->chat_template, tokenizer->chat_template_size + 1);
    rti_release(&host, tokenizer->special, tokenizer->special_count * sizeof(*tokenizer->special));
    rti_release(&host, tokenizer, sizeof(*tokenizer));
}

rt_tokenizer *rt_tokenizer_retain(rt_tokenizer *tokenizer)
{
    if (tokenizer)
        atomic_fetch_add_explicit(&tokenizer->references, 1, memory_order_relaxed);
    return tokenizer;
}

int32_t rt_tokenizer_vocab_size(const rt_tokenizer *tokenizer)
{
    return tokenizer->count;
}

int32_t rti_tokenizer_find_special(const rt_tokenizer *t, const char *spelling, size_t size)
{
    size_t low = 0, high = t->special_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int32_t id = t->special[middle];
        size_t other_size = rti_piece_size(&t->spellings, id);
        int order = memcmp(rti_piece_text(&t->spellings, id), spelling, RTI_MIN(size, other_size));
        if (order == 0)
            order = (other_size > size) - (other_size < size);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == t->special_count)
        return RT_TOKEN_NONE;
    int32_t id = t->special[low];
    bool equal = rti_piece_size(&t->spellings, id) == size && memcmp(rti_piece_text(&t->spellings, id), spelling, size) == 0;
    return equal ? id : RT_TOKEN_NONE;
}

rt_token rt_tokenizer_special(const rt_tokenizer *tokenizer, const char *spelling)
{
    return spelling ? rti_tokenizer_find_special(tokenizer, spelling, strlen(spelling)) : RT_TOKEN_NONE;
}

rt_token rt_tokenizer_bos(const rt_tokenizer *tokenizer)
{
    return tokenizer->bos;
}

rt_token rt_tokenizer_eos(const rt_tokenizer *tokenizer)
{
    return tokenizer->eos;
}

bool rt_tokenizer_adds_bos(const rt_tokenizer *tokenizer)
{
    return tokenizer->adds_bos;
}

bool rt_tokenizer_bytes(const rt_tokenizer *tokenizer, rt_token id, const char **bytes, size_t *size)
{
    bool known = id >= 0 && id < tokenizer->count;
    *bytes = known ? rti_piece_text(&tokenizer->bytes, id) : "";
    *size = known ? rti_piece_size(&tokenizer->bytes, id) : 0;
    return known;
}

const char *rt_tokenizer_spelling(const rt_tokenizer *tokenizer, rt_token id)
{
    return id >= 0 && id < tokenizer->count ? rti_piece_text(&tokenizer->spellings, id) : "";
}

rt_token_kind rt_tokenizer_kind(const rt_tokenizer *tokenizer, rt_token id)
{
    if (id < 0 || id >= tokenizer->count)
        return RT_TOKEN_UNUSED;
    switch ((rti_piece_type)tokenizer->types[id]) {
    case RTI_PIECE_NORMAL:
    case RTI_PIECE_USER_DEFINED:
        return RT_TOKEN_TEXT;
    case RTI_PIECE_BYTE:
        return RT_TOKEN_BYTE;
    case RTI_PIECE_CONTROL:
        return RT_TOKEN_CONTROL;
    case RTI_PIECE_UNKNOWN:
        return RT_TOKEN_UNKNOWN;
    case RTI_PIECE_UNUSED:
        break;
    }
    return RT_TOKEN_UNUSED;
}

const char *rt_tokenizer_chat_template(const rt_tokenizer *tokenizer)
{
    return tokenizer->chat_template;
}

size_t rt_tokenizer_longest_piece(const rt_tokenizer *tokenizer)
{
    return tokenizer->longest_piece;
}

rt_result rti_tokenizer_set_chat_template(rt_tokenizer *tokenizer, const char *text, size_t size)
{
    char *copy = rti_copy_text(&tokenizer->host, text, size);
    if (!copy)
        return rti_fail(&tokenizer->host, RT_ERROR_OUT_OF_MEMORY, "tokenizer: no memory for the chat template");
    if (tokenizer->chat_template)
        rti_release(&tokenizer->host, tokenizer->chat_template, tokenizer->chat_template_size + 1);
    tokenizer->chat_template = copy;
    tokenizer->chat_template_size = size;
    return RT_OK;
}
