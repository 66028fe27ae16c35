// tokenizer/building.h - a tokenizer while it is built from a source: what create*.c share.
// SPDX-License-Identifier: MIT
#ifndef RTI_TOKENIZER_BUILDING_H
#define RTI_TOKENIZER_BUILDING_H

#include "tokenizer/encoder.h"

// While a tokenizer is built.
typedef struct rti_building {
    const rt_host *host;
    const rti_tokenizer_source *source;
    rt_tokenizer *t;
} rti_building;

static inline rt_result rti_building_no_memory(const rti_building *b)
{
    return rti_fail(b->host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory for the tokenizer's tables", b->source->path);
}

static inline bool rti_is_byte_level(const rt_tokenizer *t)
{
    return t->kind == RTI_TOKENIZER_BYTE_BPE || t->kind == RTI_TOKENIZER_RANK_BPE;
}

// create_tokens.c: the vocabulary, and finding its pieces.
rt_result rti_building_add_tokens(const rti_building *b);
rt_result rti_building_index_tokens(const rti_building *b);
// What a token stands for, into `buffer` (as long as the spelling). False: not spelled as its type asks.
bool rti_token_bytes(const rt_tokenizer *t, uint8_t type, const char *text, size_t size, char *buffer, size_t *length);
// Whether a word can be looked up as this piece.
bool rti_is_findable(const rt_tokenizer *t, int32_t id);

// create_rules.c: merges, scores, user-defined symbols, character rules.
rt_result rti_building_add_rules(const rti_building *b);

#endif
