// tokenizer/merge.c - one word into tokens: found whole, or merged from its symbols.
//
// A word that is a token on its own is found with one look-up. Others are merged pair by pair, lowest priority first,
// leftmost among equals: for the few symbols of a usual word by looking through an array, for long ones in merge_long.c.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"

#define SHORT_WORD 48 // bytes

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

// Aligned: run for every word of a text, and where it fell in a cache line was worth 6 % of encoding.
__attribute__((aligned(64))) bool rti_encode_word(rti_encoder *e, const char *word, size_t size)
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
