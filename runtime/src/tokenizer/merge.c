// tokenizer/merge.c - one word into tokens: found whole, or merged from its symbols.
//
// A word that is a token on its own is found with one look-up. Others are merged pair by pair, lowest priority first,
// leftmost among equals: for the few symbols of a usual word by looking through an array, for long ones in merge_long.c.
// SPDX-License-Identifier: MIT
#include "tokenizer/encode.h"

#include "tokenizer/unicode.h"

#define SHORT_WORD 48 // bytes

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

static inline rti_pair find_pair(const rti_encoder *e, const char *word, int32_t left, uint32_t left_start, int32_t right,
                                 uint32_t right_end)
{
    const rt_tokenizer *t = e->tokenizer;
    if (left < 0 || right < 0) { // SentencePiece: a character that is no piece can still be part of one
        size_t size = right_end - left_start;
        int32_t id = size <= t->longest_spelling ? rti_piece_map_find(&t->map, word + left_start, size) : -1;
        return id < 0 ? (rti_pair){RTI_NO_MERGE, -1} : (rti_pair){t->priorities[id], id};
    }
    const rti_merge *merge = rti_merge_find(&t->merges, left, right);
    return merge ? (rti_pair){merge->priority, merge->result} : (rti_pair){RTI_NO_MERGE, -1};
}

// Where a merge leads to an unused piece, how it was put together is kept, to take it apart again.
static inline void note_split(rti_encoder *e, rti_pair pair, uint32_t left_size)
{
    if (e->tokenizer->resegments && pair.result >= 0 && e->tokenizer->types[pair.result] == RTI_PIECE_UNUSED)
        ((uint32_t *)e->splits.data)[pair.result] = left_size;
}

rti_pair rti_find_pair(rti_encoder *e, const char *word, int32_t left, uint32_t left_start, int32_t right,
                       uint32_t right_end, uint32_t right_start)
{
    rti_pair pair = find_pair(e, word, left, left_start, right, right_end);
    note_split(e, pair, right_start - left_start);
    return pair;
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
static bool emit_unused(rti_encoder *e, const char *text, size_t size, int32_t id)
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

bool rti_encode_symbol(rti_encoder *e, const char *text, size_t size, int32_t id)
{
    if (id < 0) {
        rti_encode_unknown(e, text, size);
        return true;
    }
    if (e->tokenizer->resegments && e->tokenizer->types[id] == RTI_PIECE_UNUSED)
        return emit_unused(e, text, size, id);
    e->previous_unknown = false;
    rti_encoder_emit(e, id);
    return true;
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

static size_t merge_short(rti_encoder *e, const char *word, uint32_t size, rti_symbol *symbols, size_t count)
{
    uint32_t priorities[SHORT_WORD];
    int32_t results[SHORT_WORD];
#define SYMBOL_END(i) ((i) + 1 < count ? symbols[(i) + 1].start : size)
#define SET_PAIR(i)                                                                                                    \
    do {                                                                                                               \
        rti_pair pair_ = rti_find_pair(e, word, symbols[i].id, symbols[i].start, symbols[(i) + 1].id,                    \
                                       SYMBOL_END((i) + 1), symbols[(i) + 1].start);                                   \
        priorities[i] = pair_.priority;                                                                                \
        results[i] = pair_.result;                                                                                     \
    } while (0)
    for (size_t i = 0; i + 1 < count; i++)
        SET_PAIR(i);
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++)
            if (priorities[i] < priorities[best])
                best = i;
        if (priorities[best] == RTI_NO_MERGE)
            break;
        symbols[best].id = results[best];
        for (size_t i = best + 1; i + 1 < count; i++) {
            symbols[i] = symbols[i + 1];
            priorities[i] = priorities[i + 1];
            results[i] = results[i + 1];
        }
        count -= 1;
        if (best > 0)
            SET_PAIR(best - 1);
        if (best + 1 < count)
            SET_PAIR(best);
    }
#undef SET_PAIR
#undef SYMBOL_END
    return count;
}

static bool emit_symbols(rti_encoder *e, const char *word, size_t size, const rti_symbol *symbols, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t end = i + 1 < count ? symbols[i + 1].start : size;
        if (!rti_encode_symbol(e, word + symbols[i].start, end - symbols[i].start, symbols[i].id))
            return false;
    }
    return true;
}

// Whether the two merge at this priority (set by the first pair there is) or not at all; the merge, if any, in *merge.
static inline bool same_priority(const rt_tokenizer *t, int32_t left, int32_t right, uint32_t *priority, const rti_merge **merge)
{
    *merge = rti_merge_find(&t->merges, left, right);
    if (*merge && *priority == RTI_NO_MERGE)
        *priority = (*merge)->priority;
    return !*merge || (*merge)->priority == *priority;
}

// Where all pairs have one priority (SentencePiece's runs of spaces) the leftmost goes first: a pair on top of a stack.
// What is left of `symbols`; 0: another priority turned up, and the symbols are spoilt.
static size_t merge_equals(const rt_tokenizer *t, rti_symbol *symbols, size_t count)
{
    uint32_t priority = RTI_NO_MERGE;
    size_t top = 0;
    const rti_merge *merge;
    for (size_t i = 0; i < count; i++) {
        if (symbols[i].id < 0 ||
            (i + 1 < count && !same_priority(t, symbols[i].id, symbols[i + 1].id, &priority, &merge)))
            return 0;
        symbols[top++] = symbols[i];
        for (; top > 1; top--) {
            if (!same_priority(t, symbols[top - 2].id, symbols[top - 1].id, &priority, &merge))
                return 0;
            if (!merge)
                break;
            int32_t made = symbols[top - 2].id = merge->result;
            if (i + 1 < count && !same_priority(t, made, symbols[i + 1].id, &priority, &merge))
                return 0;
        }
    }
    return top;
}

static bool merge_long_symbols(rti_encoder *e, const char *word, size_t size, int32_t *single)
{
    rti_symbol *symbols = rti_scratch_get(&e->host, &e->symbols, size * sizeof(*symbols));
    if (!symbols)
        return false;
    size_t count = rti_first_symbols(e, word, size, symbols);
    size_t merged = e->tokenizer->resegments ? 0 : merge_equals(e->tokenizer, symbols, count);
    if (merged > 0) {
        *single = merged == 1 ? symbols[0].id : -1;
        return emit_symbols(e, word, size, symbols, merged);
    }
    count = rti_first_symbols(e, word, size, symbols);
    return rti_merge_long(e, word, size, symbols, count, single);
}

// Merges from symbols on. *single is set to the id when one symbol came out.
static bool merge_word(rti_encoder *e, const char *word, size_t size, int32_t *single)
{
    if (size > SHORT_WORD) {
        rti_periodic_result periodic = rti_merge_periodic(e, word, size, single);
        if (periodic != RTI_PERIODIC_NOT)
            return periodic == RTI_PERIODIC_DONE;
        if (e->tokenizer->has_all_bytes)
            return rti_merge_long(e, word, size, NULL, size, single);
        return merge_long_symbols(e, word, size, single);
    }
    rti_symbol symbols[SHORT_WORD];
    size_t count = rti_first_symbols(e, word, size, symbols);
    count = merge_short(e, word, (uint32_t)size, symbols, count);
    *single = count == 1 ? symbols[0].id : -1;
    return emit_symbols(e, word, size, symbols, count);
}

// Texts repeat their words: what was merged before in this call is copied. Words with an unknown character are left
// out, since how those come out depends on what stands before.
static bool merge_known_word(rti_encoder *e, const char *word, size_t size, uint64_t hash, int32_t *single)
{
    if (size > SHORT_WORD || e->tokenizer->resegments)
        return merge_word(e, word, size, single);
    rti_known_word *known = &e->known[hash % RTI_KNOWN_WORDS];
    size_t end = known->first + known->count;
    if (known->size == size && (end <= e->capacity || e->count >= e->capacity) && memcmp(known->text, word, size) == 0) {
        for (size_t i = known->first; i < end; i++)
            rti_encoder_emit(e, i < e->capacity ? e->ids[i] : -1);
        *single = -1;
        e->previous_unknown = false;
        return true;
    }
    size_t first = e->count;
    e->met_unknown = false;
    bool ok = merge_word(e, word, size, single);
    if (ok && !e->met_unknown)
        *known = (rti_known_word){word, (uint32_t)size, (uint32_t)(e->count - first), first};
    return ok;
}

enum { WHOLE_UNKNOWN = 0, WHOLE_YES = 1, WHOLE_NO = 2 };

bool rti_encode_word(rti_encoder *e, const char *word, size_t size)
{
    const rt_tokenizer *t = e->tokenizer;
    int32_t single;
    bool byte_level = t->kind == RTI_TOKENIZER_BYTE_BPE || t->kind == RTI_TOKENIZER_RANK_BPE;
    if (size == 1 && byte_level && t->byte_ids[(uint8_t)*word] >= 0) {
        e->previous_unknown = false;
        rti_encoder_emit(e, t->byte_ids[(uint8_t)*word]);
        return true;
    }
    if (size > t->longest_spelling)
        return merge_known_word(e, word, size, size <= SHORT_WORD ? rti_piece_hash(word, size) : 0, &single);
    uint64_t hash = rti_piece_hash(word, size);
    int32_t id = rti_piece_map_find_hashed(&t->map, word, size, hash);
    if (id < 0)
        return merge_known_word(e, word, size, hash, &single);
    if (!t->ignore_merges) {
        // Whether merging comes back to the whole word does not depend on the text around it: worked out once for each
        // piece. Threads that do so at the same time find the same.
        uint8_t whole = atomic_load_explicit(&t->whole[id], memory_order_relaxed);
        if (whole != WHOLE_YES) {
            if (whole == WHOLE_NO)
                return merge_known_word(e, word, size, hash, &single);
            bool ok = merge_word(e, word, size, &single);
            if (ok)
                atomic_store_explicit(&t->whole[id],
                                      single == id && t->types[id] != RTI_PIECE_UNUSED ? WHOLE_YES : WHOLE_NO,
                                      memory_order_relaxed);
            return ok;
        }
    }
    e->previous_unknown = false;
    rti_encoder_emit(e, id);
    return true;
}
