// tokenizer/create.c - from what a file says to the tables that encoding uses, every claim checked on the way.
// SPDX-License-Identifier: MIT
#include "tokenizer/building.h"
#include "tokenizer/unicode.h"

#include <math.h>
#include <string.h>

rti_tokenizer_source rti_default_tokenizer_source(void)
{
    return (rti_tokenizer_source){.bos = -1, .eos = -1, .unknown = -1, .padding = -1};
}

void rti_tokenizer_source_release(const rt_host *host, rti_tokenizer_source *source)
{
    rti_release(host, source->tokens, source->tokens_capacity * sizeof(*source->tokens));
    rti_release(host, source->types, source->types_capacity);
    rti_release(host, source->scores, source->scores_capacity * sizeof(*source->scores));
    rti_release(host, source->merges, source->merges_capacity * sizeof(*source->merges));
    rti_pieces_release(host, &source->spellings);
    rti_pieces_release(host, &source->texts);
    rti_release(host, source->charsmap, source->charsmap_capacity);
    *source = rti_default_tokenizer_source();
}

rt_result rti_tokenizer_source_reserve(const rt_host *host, rti_tokenizer_source *source, size_t count, bool with_scores)
{
    if (count == 0 || count > RTI_TOKENIZER_MAX_TOKENS)
        return rti_fail(host, RT_ERROR_BAD_FILE, "%s: a vocabulary of %zu tokens (1 to %zu are allowed)", source->path, count,
                        RTI_TOKENIZER_MAX_TOKENS);
    if (!rti_array_reserve(host, (void **)&source->tokens, &source->tokens_capacity, count, sizeof(*source->tokens)) ||
        !rti_array_reserve(host, (void **)&source->types, &source->types_capacity, count, 1) ||
        (with_scores &&
         !rti_array_reserve(host, (void **)&source->scores, &source->scores_capacity, count, sizeof(*source->scores))))
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory for a vocabulary of %zu tokens", source->path, count);
    memset(source->tokens, 0, count * sizeof(*source->tokens));
    memset(source->types, RTI_PIECE_NORMAL, count);
    if (with_scores)
        memset(source->scores, 0, count * sizeof(*source->scores));
    source->token_count = count;
    return RT_OK;
}

rt_result rti_tokenizer_source_reserve_merges(const rt_host *host, rti_tokenizer_source *source, size_t count)
{
    if (count > RTI_TOKENIZER_MAX_MERGES)
        return rti_fail(host, RT_ERROR_BAD_FILE, "%s: %zu merges (at most %zu are allowed)", source->path, count,
                        RTI_TOKENIZER_MAX_MERGES);
    if (count > 0 &&
        !rti_array_reserve(host, (void **)&source->merges, &source->merges_capacity, count, sizeof(*source->merges)))
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory for %zu merges", source->path, count);
    source->merge_count = count;
    return RT_OK;
}

static bool is_mark(const char *at, const char *end)
{
    return end - at >= 3 && memcmp(at, "\xE2\x96\x81", 3) == 0;
}

// Whether some piece has a space behind something else: then words cannot be merged one by one.
static bool has_inner_space(const char *text, size_t size)
{
    const char *end = text + size;
    bool other = false;
    for (const char *at = text; at < end;) {
        bool mark = is_mark(at, end);
        if (mark && other)
            return true;
        other = !mark;
        at += mark ? 3 : 1;
    }
    return false;
}

// An unused piece matters where two pieces or characters can merge into it.
static bool is_reachable(const rt_tokenizer *t, int32_t id)
{
    const char *text = rti_piece_text(&t->spellings, id);
    size_t size = rti_piece_size(&t->spellings, id);
    for (size_t cut = 1; cut < size; cut++) {
        bool left = rti_piece_map_find(&t->map, text, cut) >= 0 || (size_t)rti_utf8_length(text[0]) == cut;
        bool right = rti_piece_map_find(&t->map, text + cut, size - cut) >= 0 ||
                     (size_t)rti_utf8_length(text[cut]) == size - cut;
        if (left && right)
            return true;
    }
    return false;
}

static void find_word_rules(rt_tokenizer *t)
{
    t->words_end_at_spaces = true;
    for (int32_t id = 0; id < t->count; id++) {
        if (rti_is_byte_level(t) || !rti_is_findable(t, id))
            continue;
        if (has_inner_space(rti_piece_text(&t->spellings, id), rti_piece_size(&t->spellings, id)))
            t->words_end_at_spaces = false;
        if (t->types[id] == RTI_PIECE_UNUSED && t->kind == RTI_TOKENIZER_SCORE_BPE && !t->resegments && is_reachable(t, id))
            t->resegments = true;
    }
    if (t->resegments)
        t->words_end_at_spaces = false; // how a piece was put together last is then known for the whole text
}

static bool is_special(const rt_tokenizer *t, int32_t id)
{
    uint8_t type = t->types[id];
    return (type == RTI_PIECE_CONTROL || type == RTI_PIECE_UNKNOWN || type == RTI_PIECE_USER_DEFINED) &&
           rti_piece_size(&t->spellings, id) > 0;
}

static int compare_spellings(const rt_tokenizer *t, int32_t a, int32_t b)
{
    int order = strcmp(rti_piece_text(&t->spellings, a), rti_piece_text(&t->spellings, b));
    return order ? order : (a > b) - (a < b);
}

static void sift_down(const rt_tokenizer *t, int32_t *items, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && compare_spellings(t, items[child + 1], items[child]) > 0)
            child += 1;
        if (compare_spellings(t, items[child], items[at]) <= 0)
            return;
        int32_t swap = items[at];
        items[at] = items[child];
        items[child] = swap;
    }
}

static rt_result list_special(const rti_building *b)
{
    rt_tokenizer *t = b->t;
    for (int32_t id = 0; id < t->count; id++)
        t->special_count += is_special(t, id);
    t->special = rti_allocate(b->host, t->special_count * sizeof(*t->special));
    if (!t->special)
        return rti_building_no_memory(b);
    size_t count = 0;
    for (int32_t id = 0; id < t->count; id++)
        if (is_special(t, id))
            t->special[count++] = id;
    for (size_t i = count / 2; i-- > 0;)
        sift_down(t, t->special, i, count);
    for (size_t left = count; left > 1;) {
        left -= 1;
        int32_t swap = t->special[0];
        t->special[0] = t->special[left];
        t->special[left] = swap;
        sift_down(t, t->special, 0, left);
    }
    return RT_OK;
}

static rt_result check_ids(const rti_building *b)
{
    const rti_tokenizer_source *s = b->source;
    const struct { const char *name; int32_t id; } ids[] = {
        {"beginning-of-text", s->bos}, {"end-of-text", s->eos}, {"unknown", s->unknown}, {"padding", s->padding}};
    for (size_t i = 0; i < RTI_COUNT(ids); i++)
        if (ids[i].id < -1 || ids[i].id >= (int64_t)s->token_count)
            return rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: the %s token is %d, of a vocabulary of %zu", s->path, ids[i].name,
                            (int)ids[i].id, s->token_count);
    if ((s->kind == RTI_TOKENIZER_SCORE_BPE || s->kind == RTI_TOKENIZER_UNIGRAM)) {
        if (!s->scores)
            return rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: the vocabulary has no scores", s->path);
        for (size_t i = 0; i < s->token_count; i++)
            if (!isfinite(s->scores[i]))
                return rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: the score of token %zu is not a number", s->path, i);
    }
    return RT_OK;
}

static rt_result build(const rti_building *b)
{
    rt_tokenizer *t = b->t;
    const rti_tokenizer_source *s = b->source;
    rt_result result = check_ids(b);
    if (result == RT_OK && (rti_is_byte_level(t) || t->kind == RTI_TOKENIZER_TEXT_BPE))
        result = rti_split_plan_create(b->host, s->path, s->pre_tokenizer, s->steps, s->step_count, &t->split);
    if (result == RT_OK)
        result = rti_building_add_tokens(b);
    if (result == RT_OK)
        result = rti_building_index_tokens(b);
    if (result == RT_OK)
        result = list_special(b);
    if (result == RT_OK)
        result = rti_building_add_rules(b);
    if (result != RT_OK)
        return result;
    t->normalizer.nfc |= t->split.nfc;
    t->ignore_merges = s->ignore_merges || t->split.ignore_merges || t->kind == RTI_TOKENIZER_RANK_BPE;
    // Some files name a control token as the unknown one: text must not produce it.
    if (t->unknown >= 0 && t->types[t->unknown] != RTI_PIECE_UNKNOWN && t->types[t->unknown] != RTI_PIECE_NORMAL)
        t->unknown = -1;
    bool all_bytes = true;
    for (int i = 0; i < 256; i++)
        all_bytes &= t->byte_ids[i] >= 0;
    t->byte_fallback = s->byte_fallback && all_bytes;
    t->has_all_bytes = rti_is_byte_level(t) && all_bytes;
    find_word_rules(t);
    t->whole = rti_allocate_zeroed(b->host, (size_t)t->count * sizeof(*t->whole));
    if (!t->whole)
        return rti_building_no_memory(b);
    if (s->chat_template.data) {
        t->chat_template = rti_copy_text(b->host, s->chat_template.data, s->chat_template.size);
        t->chat_template_size = s->chat_template.size;
        if (!t->chat_template)
            return rti_building_no_memory(b);
    }
    return RT_OK;
}

rt_result rti_tokenizer_create_from_source(const rt_host *host_or_null, const rti_tokenizer_source *source,
                                           rt_tokenizer **tokenizer)
{
    *tokenizer = NULL;
    rt_host host = rti_host_or_default(host_or_null);
    rt_tokenizer *t = rti_allocate_zeroed(&host, sizeof(*t));
    rti_building b = {.host = &host, .source = source, .t = t};
    if (!t)
        return rti_building_no_memory(&b);
    t->host = host;
    atomic_init(&t->references, 1);
    t->kind = source->kind;
    t->normalizer = source->normalizer;
    t->normalizer.charsmap = NULL;
    t->fuse_unknown = source->fuse_unknown;
    t->bos = source->bos;
    t->eos = source->eos;
    t->unknown = source->unknown;
    t->padding = source->padding;
    t->adds_bos = source->adds_bos && source->bos >= 0;
    rt_result result = build(&b);
    if (result != RT_OK) {
        rt_tokenizer_close(t);
        return result;
    }
    *tokenizer = t;
    return RT_OK;
}
