// tokenizer/create_rules.c - how pieces go together: merges listed, ranked or scored, unigram scores, user-defined symbols.
// SPDX-License-Identifier: MIT
#include "tokenizer/building.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Where two tokens merge because their join is a token: all ways to cut each into two. Priorities are the ids (Tekken's
// ranks) or follow the scores.
static rt_result merges_from_pieces(const rti_building *b)
{
    rt_tokenizer *t = b->t;
    const rti_pieces *pieces = t->map.pieces;
    if (!rti_merge_map_create(b->host, &t->merges, (size_t)t->count * 2))
        return rti_building_no_memory(b);
    for (int32_t id = 0; id < t->count; id++) {
        const char *text = rti_piece_text(pieces, id);
        size_t size = rti_piece_size(pieces, id);
        if (!rti_is_findable(t, id) || rti_piece_map_find(&t->map, text, size) != id)
            continue;
        uint32_t priority = t->priorities ? t->priorities[id] : (uint32_t)id;
        for (size_t cut = 1; cut < size; cut++) {
            int32_t left = rti_piece_map_find(&t->map, text, cut);
            int32_t right = left < 0 ? -1 : rti_piece_map_find(&t->map, text + cut, size - cut);
            if (right >= 0 && !rti_merge_map_add(b->host, &t->merges, (rti_merge){left, right, id, priority}))
                return rti_building_no_memory(b);
        }
    }
    return RT_OK;
}

// Part of a merge that is no ordinary token: a special one, which no text can lead to.
static bool is_special_part(const rt_tokenizer *t, const char *text, size_t size)
{
    return rti_tokenizer_find_special(t, text, size) >= 0;
}

// A piece of a merge rule, in the spelling of the file, as an id; -1: none. `buffer` holds the longest rule.
static int32_t find_merge_part(const rt_tokenizer *t, const char *text, size_t size, char *buffer)
{
    if (t->kind != RTI_TOKENIZER_BYTE_BPE)
        return rti_piece_map_find(&t->map, text, size);
    size_t length;
    if (!rti_token_bytes(t, RTI_PIECE_NORMAL, text, size, buffer, &length))
        return -1;
    return rti_piece_map_find(&t->map, buffer, length);
}

static rt_result merges_from_list(const rti_building *b)
{
    const rti_tokenizer_source *s = b->source;
    rt_tokenizer *t = b->t;
    size_t longest = 0;
    for (size_t i = 0; i < s->merge_count; i++)
        longest = RTI_MAX(longest, s->merges[i][0].size + s->merges[i][1].size);
    char *buffer = rti_allocate(b->host, longest * 2 + 1);
    bool ok = buffer && rti_merge_map_create(b->host, &t->merges, s->merge_count);
    rt_result result = ok ? RT_OK : rti_building_no_memory(b);
    for (size_t i = 0; i < s->merge_count && result == RT_OK; i++) {
        const rti_text *left = &s->merges[i][0], *right = &s->merges[i][1];
        memcpy(buffer, left->data, left->size);
        memcpy(buffer + left->size, right->data, right->size);
        char *scratch = buffer + longest;
        int32_t ids[3] = {find_merge_part(t, left->data, left->size, scratch),
                          find_merge_part(t, right->data, right->size, scratch),
                          find_merge_part(t, buffer, left->size + right->size, scratch)};
        if (ids[0] >= 0 && ids[1] >= 0 && ids[2] >= 0) {
            if (!rti_merge_map_add(b->host, &t->merges, (rti_merge){ids[0], ids[1], ids[2], (uint32_t)i}))
                result = rti_building_no_memory(b);
        } else if ((ids[0] >= 0 || !is_special_part(t, left->data, left->size)) &&
                   (ids[1] >= 0 || !is_special_part(t, right->data, right->size)) &&
                   (ids[2] >= 0 || !is_special_part(t, buffer, left->size + right->size))) {
            result = rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: merge %zu (%.*s + %.*s): %s is not in the vocabulary", s->path,
                              i, (int)RTI_MIN(left->size, 40), left->data, (int)RTI_MIN(right->size, 40), right->data,
                              ids[0] < 0 ? "the first part" : ids[1] < 0 ? "the second part" : "the result");
        }
    }
    rti_release(b->host, buffer, longest * 2 + 1);
    return result;
}

// For merge_long.c: tokens all of whose pairs come after every merge that makes the token.
static rt_result find_ordered(const rti_building *b)
{
    rt_tokenizer *t = b->t;
    size_t count = (size_t)t->count;
    t->ordered = rti_allocate(b->host, count);
    uint32_t *made = rti_allocate_zeroed(b->host, count * sizeof(*made)); // the last priority that makes it
    if (t->ordered && made) {
        memset(t->ordered, 1, count);
        for (uint64_t i = 0; i <= t->merges.mask; i++) {
            const rti_merge *m = &t->merges.slots[i];
            if (m->left >= 0)
                made[m->result] = RTI_MAX(made[m->result], m->priority);
        }
        for (uint64_t i = 0; i <= t->merges.mask; i++) {
            const rti_merge *m = &t->merges.slots[i];
            if (m->left >= 0 && m->priority <= made[m->left])
                t->ordered[m->left] = 0;
            if (m->left >= 0 && m->priority <= made[m->right])
                t->ordered[m->right] = 0;
        }
    }
    bool ok = t->ordered && made;
    rti_release(b->host, made, count * sizeof(*made));
    return ok ? RT_OK : rti_building_no_memory(b);
}

typedef struct ranked {
    float score;
    int32_t id;
} ranked;

static int compare_scores(const void *a, const void *b)
{
    float x = ((const ranked *)a)->score, y = ((const ranked *)b)->score;
    return (x < y) - (x > y);
}

// SentencePiece BPE: the order of the scores as whole numbers; equal scores share one.
static rt_result rank_scores(const rti_building *b)
{
    rt_tokenizer *t = b->t;
    t->priorities = rti_allocate(b->host, (size_t)t->count * sizeof(*t->priorities));
    ranked *order = rti_allocate(b->host, (size_t)t->count * sizeof(*order));
    if (t->priorities && order) {
        for (int32_t i = 0; i < t->count; i++)
            order[i] = (ranked){b->source->scores[i], i};
        qsort(order, (size_t)t->count, sizeof(*order), compare_scores);
        uint32_t rank = 0;
        for (int32_t i = 0; i < t->count; i++) {
            rank += i > 0 && order[i].score < order[i - 1].score;
            t->priorities[order[i].id] = rank;
        }
    }
    bool ok = t->priorities && order;
    rti_release(b->host, order, (size_t)t->count * sizeof(*order));
    return ok ? RT_OK : rti_building_no_memory(b);
}

static rt_result build_unigram(const rti_building *b)
{
    rt_tokenizer *t = b->t;
    t->scores = rti_allocate(b->host, (size_t)t->count * sizeof(*t->scores));
    if (!t->scores)
        return rti_building_no_memory(b);
    memcpy(t->scores, b->source->scores, (size_t)t->count * sizeof(*t->scores));
    t->unigram.minimum = INFINITY;
    for (int32_t id = 0; id < t->count; id++) {
        if (t->types[id] == RTI_PIECE_NORMAL)
            t->unigram.minimum = RTI_MIN(t->unigram.minimum, t->scores[id]);
        if (rti_is_findable(t, id) &&
            !rti_trie_add(b->host, &t->unigram, rti_piece_text(&t->spellings, id), rti_piece_size(&t->spellings, id), id))
            return rti_building_no_memory(b);
    }
    if (t->unigram.node_count == 0 || t->unigram.minimum == INFINITY)
        return rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: a unigram vocabulary without normal pieces", b->source->path);
    return RT_OK;
}

// User-defined symbols are found in the text before anything else. In SentencePiece's kinds the text has its spaces
// marked by then, whichever way the file spells them.
static rt_result add_user_defined(const rti_building *b)
{
    rt_tokenizer *t = b->t;
    for (int32_t id = 0; id < t->count; id++) {
        if (t->types[id] != RTI_PIECE_USER_DEFINED || rti_piece_size(&t->spellings, id) == 0)
            continue;
        if (!rti_trie_add(b->host, &t->user_defined, rti_piece_text(&t->spellings, id), rti_piece_size(&t->spellings, id), id))
            return rti_building_no_memory(b);
    }
    return RT_OK;
}

rt_result rti_building_add_rules(const rti_building *b)
{
    rt_tokenizer *t = b->t;
    const rti_tokenizer_source *s = b->source;
    rt_result result = RT_OK;
    if (t->kind == RTI_TOKENIZER_RANK_BPE)
        result = merges_from_pieces(b);
    else if (t->kind == RTI_TOKENIZER_BYTE_BPE || t->kind == RTI_TOKENIZER_TEXT_BPE)
        result = merges_from_list(b);
    else if (t->kind == RTI_TOKENIZER_SCORE_BPE)
        result = rank_scores(b);
    else
        result = build_unigram(b);
    if (result == RT_OK && t->kind == RTI_TOKENIZER_SCORE_BPE)
        result = merges_from_pieces(b);
    else if (result == RT_OK && t->merges.slots)
        result = find_ordered(b);
    if (result == RT_OK)
        result = add_user_defined(b);
    if (result != RT_OK || !s->normalizer.charsmap)
        return result;
    bool valid;
    if (!rti_charsmap_create(b->host, &t->charsmap, s->normalizer.charsmap, s->normalizer.charsmap_size, &valid))
        return rti_building_no_memory(b);
    if (!valid)
        return rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: the normalizer's character map is damaged", s->path);
    return RT_OK;
}
