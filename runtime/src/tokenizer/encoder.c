// tokenizer/encoder.c - what every way to encode a word needs: memory, first symbols, and what no token covers.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"

#include "tokenizer/unicode.h"

void *rti_scratch_get(const rt_host *host, rti_scratch *scratch, size_t bytes)
{
    if (bytes <= scratch->capacity)
        return scratch->data;
    rti_scratch_release(host, scratch);
    scratch->data = rti_allocate(host, bytes);
    scratch->capacity = scratch->data ? bytes : 0;
    return scratch->data;
}

void rti_scratch_release(const rt_host *host, rti_scratch *scratch)
{
    rti_release(host, scratch->data, scratch->capacity);
    *scratch = (rti_scratch){0};
}

// Bytes, or characters with what stands for unknown ones.
size_t rti_first_symbols(const rti_encoder *e, const char *word, size_t size, rti_symbol *symbols)
{
    const rt_tokenizer *t = e->tokenizer;
    size_t count = 0;
    if (t->kind == RTI_TOKENIZER_BYTE_BPE || t->kind == RTI_TOKENIZER_RANK_BPE) {
        for (size_t i = 0; i < size; i++)
            if (t->byte_ids[(uint8_t)word[i]] >= 0) // a byte that the vocabulary lacks is dropped, as `tokenizers` does
                symbols[count++] = (rti_symbol){t->byte_ids[(uint8_t)word[i]], (uint32_t)i};
        return count;
    }
    for (size_t i = 0; i < size;) {
        size_t length = (size_t)rti_utf8_length(word[i]);
        int32_t id = length == 1 ? t->letter_ids[(uint8_t)word[i]] : rti_piece_map_find(&t->map, word + i, length);
        if (id >= 0 || t->kind == RTI_TOKENIZER_SCORE_BPE) {
            symbols[count++] = (rti_symbol){id, (uint32_t)i};
        } else if (t->byte_fallback) {
            for (size_t k = 0; k < length; k++)
                symbols[count++] = (rti_symbol){t->byte_ids[(uint8_t)word[i + k]], (uint32_t)(i + k)};
        } else if (t->unknown >= 0) {
            if (!t->fuse_unknown || count == 0 || symbols[count - 1].id != t->unknown)
                symbols[count++] = (rti_symbol){t->unknown, (uint32_t)i};
        }
        i += length;
    }
    return count;
}

void rti_encode_unknown(rti_encoder *e, const char *text, size_t size)
{
    const rt_tokenizer *t = e->tokenizer;
    if (t->byte_fallback) {
        for (size_t i = 0; i < size; i++)
            rti_encoder_emit(e, t->byte_ids[(uint8_t)text[i]]);
        e->previous_unknown = false;
        return;
    }
    e->met_unknown = true;
    if (t->unknown < 0)
        return;
    if (!e->previous_unknown || !t->fuse_unknown)
        rti_encoder_emit(e, t->unknown);
    e->previous_unknown = true;
}

// An unused piece goes back to what it was merged from, down to pieces in use.
bool rti_encode_unused(rti_encoder *e, const char *text, size_t size, int32_t id)
{
    typedef struct { const char *text; size_t size; int32_t id; } part;
    part *stack = NULL;
    size_t capacity = 0, depth = 0;
    bool ok = rti_array_reserve(&e->host, (void **)&stack, &capacity, 1, sizeof(*stack));
    if (ok)
        stack[depth++] = (part){text, size, id};
    while (ok && depth > 0) {
        part p = stack[--depth];
        uint32_t left = p.id >= 0 ? ((uint32_t *)e->splits.data)[p.id] : 0;
        if (p.id < 0) {
            rti_encode_unknown(e, p.text, p.size);
        } else if (e->tokenizer->types[p.id] != RTI_PIECE_UNUSED || left == 0 || left >= p.size) {
            e->previous_unknown = false;
            rti_encoder_emit(e, p.id);
        } else {
            ok = rti_array_reserve(&e->host, (void **)&stack, &capacity, depth + 2, sizeof(*stack));
            if (!ok)
                break;
            const rti_piece_map *map = &e->tokenizer->map;
            stack[depth++] = (part){p.text + left, p.size - left, rti_piece_map_find(map, p.text + left, p.size - left)};
            stack[depth++] = (part){p.text, left, rti_piece_map_find(map, p.text, left)};
        }
    }
    rti_release(&e->host, stack, capacity * sizeof(*stack));
    return ok;
}
