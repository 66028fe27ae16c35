// tokenizer/encoder.h - one call of encode: where ids go, and the memory that it needs on the way.
// SPDX-License-Identifier: MIT
#ifndef RTI_ENCODER_H
#define RTI_ENCODER_H

#include "tokenizer/tokenizer.h"

// Memory for the length of one call: an array that grows and is used again.
typedef struct rti_scratch {
    void *data;
    size_t capacity; // bytes
} rti_scratch;

typedef struct rti_merging rti_merging; // merge_long.c

// A word that was merged earlier in this call: where it stands in the text, and its tokens among the ids.
typedef struct rti_known_word {
    const char *text;
    uint32_t size; // 0: none
    uint32_t count;
    size_t first;
} rti_known_word;
#define RTI_KNOWN_WORDS 256

typedef struct rti_encoder {
    const rt_tokenizer *tokenizer;
    rt_host host;
    rt_token *ids;
    size_t capacity;
    size_t count;
    bool continues;        // no prefix space
    bool previous_unknown; // for fuse_unknown
    bool met_unknown;      // since it was last set to false
    void *match;           // of split_regex.c
    rti_merging *merging;  // of merge_long.c
    rti_scratch symbols;   // of merge.c: the symbols of a long word
    rti_scratch periodic;  // of merge_periodic.c
    rti_scratch splits;    // of encoder.c, where pieces are taken apart again
    rti_scratch paths;     // of unigram.c
    rti_known_word known[RTI_KNOWN_WORDS];
} rti_encoder;

static inline void rti_encoder_emit(rti_encoder *e, int32_t id)
{
    if (e->count < e->capacity)
        e->ids[e->count] = id;
    e->count += 1;
}

// At least `bytes`; what was there is lost. NULL: out of memory.
void *rti_scratch_get(const rt_host *host, rti_scratch *scratch, size_t bytes);
void rti_scratch_release(const rt_host *host, rti_scratch *scratch);

// A symbol of a word while it is merged.
typedef struct rti_symbol {
    int32_t id;     // -1: no piece (SentencePiece, before merging)
    uint32_t start; // byte in the word
} rti_symbol;

// Emits the tokens of one word: whole, or its symbols merged. False: out of memory.
bool rti_encode_word(rti_encoder *e, const char *word, size_t size);

// The merge of two neighbours of a word, if there is one.
typedef struct rti_pair {
    uint32_t priority; // RTI_NO_MERGE: none
    int32_t result;
} rti_pair;
static inline rti_pair rti_find_pair(rti_encoder *e, const char *word, int32_t left, uint32_t left_start, int32_t right,
                                     uint32_t right_end, uint32_t right_start)
{
    const rt_tokenizer *t = e->tokenizer;
    rti_pair pair = {RTI_NO_MERGE, -1};
    if (left < 0 || right < 0) { // SentencePiece: a character that is no piece can still be part of one
        size_t size = right_end - left_start;
        int32_t id = size <= t->longest_spelling ? rti_piece_map_find(&t->map, word + left_start, size) : -1;
        if (id >= 0)
            pair = (rti_pair){t->priorities[id], id};
    } else {
        const rti_merge *merge = rti_merge_find(&t->merges, left, right);
        if (merge)
            pair = (rti_pair){merge->priority, merge->result};
    }
    // Where a merge leads to an unused piece, how it was put together is kept, to take it apart again.
    if (t->resegments && pair.result >= 0 && t->types[pair.result] == RTI_PIECE_UNUSED)
        ((uint32_t *)e->splits.data)[pair.result] = right_start - left_start;
    return pair;
}

// Merges a word of any length and emits what comes out; *single: its token when there is just one, -1 otherwise.
// `symbols` NULL: the bytes of the word. False: out of memory.
bool rti_merge_long(rti_encoder *e, const char *word, size_t size, const rti_symbol *symbols, size_t count, int32_t *single);
void rti_merging_release(const rt_host *host, rti_merging *merging);

// The first symbols of a word, before anything is merged: at most one for each byte.
size_t rti_first_symbols(const rti_encoder *e, const char *word, size_t size, rti_symbol *symbols);

// A long word that repeats a short text over and over, in a time that hardly depends on its length. NOT: it is no such
// word, nothing was emitted.
typedef enum rti_periodic_result { RTI_PERIODIC_NOT, RTI_PERIODIC_DONE, RTI_PERIODIC_NO_MEMORY } rti_periodic_result;
rti_periodic_result rti_merge_periodic(rti_encoder *e, const char *word, size_t size, int32_t *single);

// Emits what a piece that no vocabulary entry covers becomes: byte tokens, <unk>, or nothing.
void rti_encode_unknown(rti_encoder *e, const char *text, size_t size);
// Emits an unused piece as what it was merged from, down to pieces in use. False: out of memory.
bool rti_encode_unused(rti_encoder *e, const char *text, size_t size, int32_t id);

// Emits one symbol of a merged word. False: out of memory.
static inline bool rti_encode_symbol(rti_encoder *e, const char *text, size_t size, int32_t id)
{
    if (id < 0) {
        rti_encode_unknown(e, text, size);
        return true;
    }
    if (e->tokenizer->resegments && e->tokenizer->types[id] == RTI_PIECE_UNUSED)
        return rti_encode_unused(e, text, size, id);
    e->previous_unknown = false;
    rti_encoder_emit(e, id);
    return true;
}

// unigram.c. False: out of memory.
bool rti_encode_unigram(rti_encoder *e, const char *text, size_t size);

// normalize.c: SentencePiece's normalizer. The result lies in *out (from the host, *capacity bytes). False: out of memory.
bool rti_normalize(const rt_tokenizer *t, const char *text, size_t size, bool continues, char **out, size_t *capacity,
                   size_t *out_size);
// nfc.c: whether `text` may change under normal form C, and the form.
bool rti_needs_nfc(const char *text, size_t size);
bool rti_normalize_nfc(const rt_host *host, const char *text, size_t size, char **out, size_t *capacity, size_t *out_size);

// charsmap.c
bool rti_charsmap_create(const rt_host *host, rti_charsmap *map, const char *blob, size_t size, bool *valid);
void rti_charsmap_release(const rt_host *host, rti_charsmap *map);
// The longest rule that matches at `text`: its length (0: none) and what it becomes.
size_t rti_charsmap_match(const rti_charsmap *map, const char *text, size_t size, const char **becomes, size_t *becomes_size);

// A trie of pieces (unigram.c); the same for user-defined symbols.
bool rti_trie_add(const rt_host *host, rti_unigram *trie, const char *text, size_t size, int32_t piece);
void rti_trie_release(const rt_host *host, rti_unigram *trie);
static inline uint32_t rti_trie_step(const rti_unigram *trie, uint32_t node, uint8_t byte)
{
    uint64_t key = (uint64_t)node << 8 | byte;
    for (uint64_t i = (key * 0x9E3779B97F4A7C15u) >> 20 & trie->mask;; i = (i + 1) & trie->mask) {
        uint64_t slot = trie->slots[i];
        if (slot == 0)
            return 0;
        if (slot >> 24 == key)
            return (uint32_t)slot & 0xFFFFFFu;
    }
}
// The longest string of the trie at `text`: its length or 0.
size_t rti_trie_longest(const rti_unigram *trie, const char *text, size_t size, int32_t *piece);

#endif
