// tokenizer/encode.c - text to tokens: made valid, normalized, cut at user-defined symbols and into words.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"
#include "tokenizer/unicode.h"

#include <string.h>

#define TEXT_LIMIT ((size_t)1 << 29)

// Bytes of valid UTF-8 at the beginning of the text.
static size_t valid_prefix(const char *text, size_t size)
{
    const char *at = text, *end = text + size;
    while (at < end) {
        while (end - at >= 8 && !(rti_load64(at) & 0x8080808080808080u))
            at += 8;
        if (at == end)
            break;
        if (!(*at & 0x80)) {
            at++;
            continue;
        }
        uint32_t code_point;
        bool valid;
        int length = rti_utf8_decode(at, end, &code_point, &valid);
        if (!valid)
            break;
        at += length;
    }
    return (size_t)(at - text);
}

// Replaces invalid parts by U+FFFD. *capacity bytes at *out.
static bool make_valid(const rt_host *host, const char *text, size_t size, size_t valid_size, char **out, size_t *capacity,
                       size_t *out_size)
{
    size_t invalid = 0;
    for (size_t at = valid_size; at < size;) {
        uint32_t code_point;
        bool valid;
        at += (size_t)rti_utf8_decode(text + at, text + size, &code_point, &valid);
        invalid += !valid;
        if (valid)
            at += valid_prefix(text + at, size - at);
    }
    if (!rti_array_reserve(host, (void **)out, capacity, size + 2 * invalid, 1))
        return false;
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        size_t good = valid_prefix(text + at, size - at);
        memcpy(*out + used, text + at, good);
        used += good;
        at += good;
        if (at == size)
            break;
        uint32_t code_point;
        bool valid;
        at += (size_t)rti_utf8_decode(text + at, text + size, &code_point, &valid);
        memcpy(*out + used, "\xEF\xBF\xBD", 3);
        used += 3;
    }
    *out_size = used;
    return true;
}

// Cuts [begin, end) by the steps of the plan from `step` on.
static bool encode_steps(rti_encoder *e, int32_t step, const char *begin, const char *end)
{
    const rti_split_plan *plan = &e->tokenizer->split;
    if (step == plan->step_count)
        return rti_encode_word(e, begin, (size_t)(end - begin));
    const rti_split_step *s = &plan->steps[step];
    if (step + 1 == plan->step_count) {
        for (const char *at = begin; at < end;) {
            const char *next = s->next(s, e->match, begin, at, end);
            if (!rti_encode_word(e, at, (size_t)(next - at)))
                return false;
            at = next;
        }
        return true;
    }
    for (const char *at = begin; at < end;) {
        const char *next = s->next(s, e->match, begin, at, end);
        if (!encode_steps(e, step + 1, at, next))
            return false;
        at = next;
    }
    return true;
}

static bool is_mark(const char *at, const char *end)
{
    return end - at >= 3 && memcmp(at, "\xE2\x96\x81", 3) == 0;
}

// SentencePiece text: cut before a space (a run of them stays together, unless each stands alone), where that cannot
// change what is merged.
static bool encode_marked_words(rti_encoder *e, const char *at, const char *end)
{
    const rt_tokenizer *t = e->tokenizer;
    if (!t->words_end_at_spaces && !t->normalizer.split_every_space)
        return at == end || rti_encode_word(e, at, (size_t)(end - at));
    while (at < end) {
        const char *next = at;
        if (t->normalizer.split_every_space)
            next += is_mark(at, end) ? 3 : 0;
        else
            while (is_mark(next, end))
                next += 3;
        while (next < end) {
            const char *mark = memchr(next, '\xE2', (size_t)(end - next));
            next = mark ? mark : end;
            if (!mark || is_mark(mark, end))
                break;
            next += 1;
        }
        if (!rti_encode_word(e, at, (size_t)(next - at)))
            return false;
        at = next;
    }
    return true;
}

typedef bool encode_function(rti_encoder *e, const char *begin, const char *end);

static bool encode_stepwise(rti_encoder *e, const char *begin, const char *end)
{
    return begin == end || encode_steps(e, 0, begin, end);
}

// Cuts the text at user-defined symbols, which become their tokens; what lies between goes to `rest`.
static bool encode_around_symbols(rti_encoder *e, const char *begin, const char *end, encode_function *rest)
{
    const rti_unigram *symbols = &e->tokenizer->user_defined;
    const char *from = begin;
    for (const char *at = begin; symbols->node_count && at < end;) {
        int32_t id;
        size_t length = rti_trie_longest(symbols, at, (size_t)(end - at), &id);
        if (length == 0) {
            at += rti_utf8_length(*at);
            continue;
        }
        if (at > from && !rest(e, from, at))
            return false;
        e->previous_unknown = false;
        e->continues |= e->tokenizer->normalizer.prefix_first_only;
        rti_encoder_emit(e, id);
        at += length;
        from = at;
    }
    return from == end || rest(e, from, end);
}

// tokenizer.json finds added tokens before it normalizes what lies between.
static bool encode_normalized(rti_encoder *e, const char *begin, const char *end)
{
    const rt_tokenizer *t = e->tokenizer;
    char *text = NULL;
    size_t capacity = 0, size = 0;
    bool ok = rti_normalize(t, begin, (size_t)(end - begin), e->continues, &text, &capacity, &size) &&
              (t->split.step_count ? encode_stepwise(e, text, text + size) : encode_marked_words(e, text, text + size));
    e->continues |= t->normalizer.prefix_first_only;
    memset(e->known, 0, sizeof(e->known)); // they stand in this text
    rti_release(&t->host, text, capacity);
    return ok;
}

static bool encode_valid(rti_encoder *e, const char *text, size_t size)
{
    const rt_tokenizer *t = e->tokenizer;
    if (t->kind == RTI_TOKENIZER_BYTE_BPE || t->kind == RTI_TOKENIZER_RANK_BPE)
        return encode_around_symbols(e, text, text + size, encode_stepwise);
    if (t->kind == RTI_TOKENIZER_TEXT_BPE)
        return encode_around_symbols(e, text, text + size, encode_normalized);
    char *normal = NULL;
    size_t capacity = 0, normal_size = 0;
    bool ok = rti_normalize(t, text, size, e->continues, &normal, &capacity, &normal_size);
    if (ok && t->kind == RTI_TOKENIZER_UNIGRAM)
        ok = rti_encode_unigram(e, normal, normal_size);
    else if (ok)
        ok = encode_around_symbols(e, normal, normal + normal_size, encode_marked_words);
    rti_release(&t->host, normal, capacity);
    return ok;
}

static bool prepare(rti_encoder *e)
{
    const rt_tokenizer *t = e->tokenizer;
    if (rti_split_plan_needs_match(&t->split)) {
        e->match = rti_split_match_create(&t->host);
        if (!e->match)
            return false;
    }
    if (t->resegments) {
        size_t bytes = (size_t)t->count * sizeof(uint32_t);
        if (!rti_scratch_get(&t->host, &e->splits, bytes))
            return false;
        memset(e->splits.data, 0, bytes);
    }
    return true;
}

rt_result rt_tokenizer_encode(const rt_tokenizer *tokenizer, const char *text, size_t size, bool continues, rt_token *ids,
                              size_t capacity, size_t *count)
{
    if (!tokenizer || !count || (!text && size > 0) || (!ids && capacity > 0))
        return rti_fail(tokenizer ? &tokenizer->host : NULL, RT_ERROR_INVALID_ARGUMENT,
                        "rt_tokenizer_encode: a null tokenizer, text, ids or count");
    *count = 0;
    const rt_host *host = &tokenizer->host;
    if (size > TEXT_LIMIT)
        return rti_fail(host, RT_ERROR_TOO_LARGE, "rt_tokenizer_encode: a text of %zu bytes (the limit is %zu)", size,
                        TEXT_LIMIT);
    if (size == 0)
        return RT_OK;
    rti_encoder e = {.tokenizer = tokenizer, .host = *host, .ids = ids, .capacity = capacity, .continues = continues};
    char *valid = NULL, *normal = NULL;
    size_t valid_capacity = 0, normal_capacity = 0;
    bool ok = prepare(&e);
    size_t valid_size = valid_prefix(text, size);
    if (ok && valid_size < size) {
        ok = make_valid(host, text, size, valid_size, &valid, &valid_capacity, &size);
        text = valid;
    }
    if (ok && tokenizer->normalizer.nfc && rti_needs_nfc(text, size)) {
        ok = rti_normalize_nfc(host, text, size, &normal, &normal_capacity, &size);
        text = normal;
    }
    ok = ok && encode_valid(&e, text, size);
    rt_result result = ok ? rti_split_match_result(host, e.match) : RT_ERROR_OUT_OF_MEMORY;
    if (!ok)
        rti_fail(host, result, "rt_tokenizer_encode: out of memory for a text of %zu bytes", size);
    rti_split_match_release(e.match);
    rti_merging_release(host, e.merging);
    rti_scratch_release(host, &e.symbols);
    rti_scratch_release(host, &e.paths);
    rti_scratch_release(host, &e.periodic);
    rti_scratch_release(host, &e.splits);
    rti_release(host, valid, valid_capacity);
    rti_release(host, normal, normal_capacity);
    if (result != RT_OK)
        return result;
    *count = e.count;
    if (e.count > capacity) // how a caller measures: no message, nothing is logged
        return RT_ERROR_TOO_LARGE;
    return RT_OK;
}
