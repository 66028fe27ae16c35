// tokenizer/unigram.c - SentencePiece unigram: of all ways to cut a text into pieces, the one with the highest sum of
// scores (Kudo 2018), by Viterbi's method over a trie. Sums are rounded where SentencePiece rounds them.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"
#include "tokenizer/unicode.h"

#include <string.h>

#define TRIE_LIMIT 0xFFFFFFu
#define UNKNOWN_PENALTY 10.0f

static void trie_insert(uint64_t *slots, uint64_t mask, uint64_t slot)
{
    uint64_t i = ((slot >> 24) * 0x9E3779B97F4A7C15u) >> 20 & mask;
    while (slots[i] != 0)
        i = (i + 1) & mask;
    slots[i] = slot;
}

static bool trie_grow(const rt_host *host, rti_unigram *trie)
{
    size_t capacity = trie->slots ? (trie->mask + 1) * 2 : 1024;
    uint64_t *slots = rti_allocate_zeroed(host, capacity * sizeof(*slots));
    if (!slots)
        return false;
    if (trie->slots) {
        for (size_t i = 0; i <= trie->mask; i++)
            if (trie->slots[i] != 0)
                trie_insert(slots, capacity - 1, trie->slots[i]);
        rti_release(host, trie->slots, (trie->mask + 1) * sizeof(*slots));
    }
    trie->slots = slots;
    trie->mask = capacity - 1;
    return true;
}

bool rti_trie_add(const rt_host *host, rti_unigram *trie, const char *text, size_t size, int32_t piece)
{
    uint32_t node = 0;
    if (!rti_array_reserve(host, (void **)&trie->piece, &trie->piece_capacity, (size_t)trie->node_count + size + 1,
                           sizeof(*trie->piece)))
        return false;
    if (trie->node_count == 0) {
        if (!trie->slots && !trie_grow(host, trie))
            return false;
        trie->piece[0] = -1;
        trie->node_count = 1;
    }
    for (size_t i = 0; i < size; i++) {
        uint32_t child = rti_trie_step(trie, node, (uint8_t)text[i]);
        if (child == 0) {
            if (trie->node_count >= TRIE_LIMIT)
                return false;
            if ((uint64_t)trie->node_count * 2 > trie->mask && !trie_grow(host, trie))
                return false;
            child = trie->node_count++;
            trie->piece[child] = -1;
            trie_insert(trie->slots, trie->mask, ((uint64_t)node << 8 | (uint8_t)text[i]) << 24 | child);
        }
        node = child;
    }
    if (trie->piece[node] < 0)
        trie->piece[node] = piece;
    return true;
}

void rti_trie_release(const rt_host *host, rti_unigram *trie)
{
    if (trie->slots)
        rti_release(host, trie->slots, (trie->mask + 1) * sizeof(*trie->slots));
    rti_release(host, trie->piece, trie->piece_capacity * sizeof(*trie->piece));
    *trie = (rti_unigram){0};
}

size_t rti_trie_longest(const rti_unigram *trie, const char *text, size_t size, int32_t *piece)
{
    size_t longest = 0;
    uint32_t node = 0;
    for (size_t i = 0; i < size; i++) {
        node = rti_trie_step(trie, node, (uint8_t)text[i]);
        if (node == 0)
            break;
        if (trie->piece[node] >= 0) {
            longest = i + 1;
            *piece = trie->piece[node];
        }
    }
    return longest;
}

typedef struct best_path { // the best way to reach this byte
    float score;
    int32_t id;
    int32_t begin; // of its last piece; -1: not reached
    int32_t end;   // of the piece that begins here on the best path of the whole text
} best_path;

static void offer(best_path *to, float score, int32_t id, int32_t begin)
{
    if (to->begin < 0 || score > to->score)
        *to = (best_path){score, id, begin, 0};
}

static void follow(const rt_tokenizer *t, const char *text, size_t size, size_t begin, best_path *best)
{
    const float until = best[begin].score;
    size_t length = (size_t)rti_utf8_length(text[begin]);
    bool single = false;
    uint32_t node = 0;
    for (size_t at = begin; at < size;) {
        node = rti_trie_step(&t->unigram, node, (uint8_t)text[at]);
        if (node == 0)
            break;
        at += 1;
        int32_t id = t->unigram.piece[node];
        if (id < 0 || t->types[id] == RTI_PIECE_UNUSED)
            continue;
        // Symbols that a user defined win over any cut of the same characters, whose scores are negative.
        bool defined = t->types[id] == RTI_PIECE_USER_DEFINED;
        float score = defined ? (float)(0.1 * (double)(at - begin - 1)) : t->scores[id];
        offer(&best[at], score + until, id, (int32_t)begin);
        single |= at - begin == length;
    }
    if (!single) {
        float unknown = t->unigram.minimum - UNKNOWN_PENALTY;
        offer(&best[begin + length], unknown + until, -1, (int32_t)begin);
    }
}

bool rti_encode_unigram(rti_encoder *e, const char *text, size_t size)
{
    const rt_tokenizer *t = e->tokenizer;
    best_path *best = rti_scratch_get(&e->host, &e->paths, (size + 1) * sizeof(*best));
    if (!best)
        return false;
    for (size_t i = 0; i <= size; i++)
        best[i] = (best_path){0, -1, -1, 0};
    for (size_t begin = 0; begin < size; begin += (size_t)rti_utf8_length(text[begin]))
        follow(t, text, size, begin, best);
    for (size_t end = size; end > 0; end = (size_t)best[end].begin)
        best[best[end].begin].end = (int32_t)end;
    for (size_t begin = 0; begin < size; begin = (size_t)best[begin].end) {
        size_t end = (size_t)best[begin].end;
        if (best[end].id < 0) {
            rti_encode_unknown(e, text + begin, end - begin);
        } else {
            e->previous_unknown = false;
            rti_encoder_emit(e, best[end].id);
        }
    }
    return true;
}
