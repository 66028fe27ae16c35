// tokenizer/create.c - from what a file says to the tables that encoding uses, every claim checked on the way.
// SPDX-License-Identifier: MIT
#include "tokenizer/encode.h"
#include "tokenizer/unicode.h"

#include <math.h>
#include <stdlib.h>
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

// No real vocabulary comes near; looking for the parts of a token takes the square of its length.
#define LONGEST_TOKEN 4096

// While a tokenizer is built.
typedef struct building {
    const rt_host *host;
    const rti_tokenizer_source *source;
    rt_tokenizer *t;
} building;

static rt_result no_memory(const building *b)
{
    return rti_fail(b->host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory for the tokenizer's tables", b->source->path);
}

static bool is_byte_level(const rt_tokenizer *t)
{
    return t->kind == RTI_TOKENIZER_BYTE_BPE || t->kind == RTI_TOKENIZER_RANK_BPE;
}

// GPT-2's alphabet: printable bytes are themselves, the others U+0100 and up, in order. -1: not a letter of it.
static int byte_of_letter(uint32_t code_point)
{
    if ((code_point >= '!' && code_point <= '~') || (code_point >= 0xA1 && code_point <= 0xAC) ||
        (code_point >= 0xAE && code_point <= 0xFF))
        return (int)code_point;
    if (code_point < 0x100 || code_point > 0x143)
        return -1;
    int left = (int)code_point - 0x100;
    if (left < 33)
        return left;
    left -= 33;
    return left < 34 ? 0x7F + left : 0xAD;
}

// HTML tags and runs of white space are ordinary text that some vocabularies (Gemma) hold as user-defined symbols. What
// else stands in angle or square brackets is structure: a player who types it must not produce the token.
static bool looks_structural(const char *text, size_t size)
{
    if (size < 3 || !((text[0] == '<' && text[size - 1] == '>') || (text[0] == '[' && text[size - 1] == ']')))
        return false;
    static const char *const tags[] = {"table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "h1", "h2", "h3",
                                       "h4", "h5", "h6", "blockquote", "strong", "em", "b", "i", "u", "s", "sub", "sup",
                                       "code", "p", "br", "ul", "ol", "li"};
    const char *name = text + (text[1] == '/' ? 2 : 1);
    size_t length = (size_t)(text + size - 1 - name);
    for (size_t i = 0; text[0] == '<' && i < RTI_COUNT(tags); i++)
        if (strlen(tags[i]) == length && memcmp(tags[i], name, length) == 0)
            return false;
    return true;
}

static bool is_utf8(const char *text, size_t size)
{
    for (const char *at = text, *end = text + size; at < end;) {
        uint32_t code_point;
        bool valid;
        at += rti_utf8_decode(at, end, &code_point, &valid);
        if (!valid)
            return false;
    }
    return true;
}

// <0xNN>, -1 for anything else.
static int byte_piece(const char *text, size_t size)
{
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    int value = 0;
    for (int i = 3; i < 5; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

// What the token stands for, into `buffer` (as long as the spelling). False: damaged.
static bool bytes_of_token(const rt_tokenizer *t, uint8_t type, const char *text, size_t size, char *buffer, size_t *length)
{
    *length = 0;
    if (type == RTI_PIECE_CONTROL || type == RTI_PIECE_UNKNOWN || type == RTI_PIECE_UNUSED)
        return true;
    if (type == RTI_PIECE_BYTE) {
        int byte = byte_piece(text, size);
        if (byte < 0)
            return false;
        buffer[(*length)++] = (char)byte;
        return true;
    }
    if (t->kind == RTI_TOKENIZER_BYTE_BPE && type == RTI_PIECE_NORMAL) {
        for (const char *at = text, *end = text + size; at < end;) {
            uint32_t code_point;
            bool valid;
            at += rti_utf8_decode(at, end, &code_point, &valid);
            int byte = valid ? byte_of_letter(code_point) : -1;
            if (byte < 0)
                return false;
            buffer[(*length)++] = (char)byte;
        }
        return true;
    }
    for (size_t i = 0; i < size;) {
        if (!is_byte_level(t) && size - i >= 3 && memcmp(text + i, "\xE2\x96\x81", 3) == 0) {
            buffer[(*length)++] = ' ';
            i += 3;
        } else {
            buffer[(*length)++] = text[i++];
        }
    }
    return true;
}

static uint8_t type_of_token(const building *b, size_t id)
{
    const rti_tokenizer_source *s = b->source;
    uint8_t type = s->types ? s->types[id] : RTI_PIECE_NORMAL;
    if (!s->tokens[id].data || type < RTI_PIECE_NORMAL || type > RTI_PIECE_BYTE)
        return RTI_PIECE_UNUSED;
    if (type == RTI_PIECE_USER_DEFINED &&
        (looks_structural(s->tokens[id].data, s->tokens[id].size) || !is_utf8(s->tokens[id].data, s->tokens[id].size)))
        return RTI_PIECE_CONTROL;
    return type;
}

static rt_result add_tokens(const building *b)
{
    const rti_tokenizer_source *s = b->source;
    rt_tokenizer *t = b->t;
    size_t total = 0, longest = 1;
    for (size_t i = 0; i < s->token_count; i++) {
        if (!rti_size_add(total, s->tokens[i].size + 1, &total) || total >= INT32_MAX)
            return rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: the vocabulary's text is longer than 2 GiB", s->path);
        longest = RTI_MAX(longest, s->tokens[i].size);
        if (s->tokens[i].size > LONGEST_TOKEN)
            return rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: token %zu has %zu bytes (the limit is %d)", s->path, i,
                            s->tokens[i].size, LONGEST_TOKEN);
    }
    t->types = rti_allocate(b->host, s->token_count);
    char *buffer = rti_allocate(b->host, longest);
    bool ok = t->types && buffer && rti_pieces_reserve(b->host, &t->spellings, s->token_count, total) &&
              rti_pieces_reserve(b->host, &t->bytes, s->token_count, total);
    rt_result result = ok ? RT_OK : no_memory(b);
    t->count = (int32_t)s->token_count;
    for (size_t i = 0; i < s->token_count && result == RT_OK; i++) {
        const char *text = s->tokens[i].data ? s->tokens[i].data : "";
        size_t size = s->tokens[i].data ? s->tokens[i].size : 0, length;
        t->types[i] = type_of_token(b, i);
        if (!bytes_of_token(t, t->types[i], text, size, buffer, &length)) {
            // Converters write added tokens that they take for normal as plain text.
            if (t->types[i] == RTI_PIECE_BYTE || !is_utf8(text, size)) {
                result = rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: token %zu (%.40s) is not spelled as its type asks",
                                  s->path, i, text);
                break;
            }
            t->types[i] = RTI_PIECE_CONTROL;
            length = 0;
        }
        bool shown = s->spellings.count == (int32_t)s->token_count;
        const char *spelling = shown ? rti_piece_text(&s->spellings, (int32_t)i) : text;
        size_t spelling_size = shown ? rti_piece_size(&s->spellings, (int32_t)i) : size;
        if (!rti_pieces_append(b->host, &t->spellings, spelling, spelling_size) ||
            !rti_pieces_append(b->host, &t->bytes, buffer, length))
            result = no_memory(b);
        t->longest_piece = RTI_MAX(t->longest_piece, length);
    }
    rti_release(b->host, buffer, longest);
    return result;
}

// Which pieces a word can be looked up as.
static bool is_findable(const rt_tokenizer *t, int32_t id)
{
    uint8_t type = t->types[id];
    if (is_byte_level(t))
        return type == RTI_PIECE_NORMAL && rti_piece_size(&t->bytes, id) > 0;
    return (type == RTI_PIECE_NORMAL || type == RTI_PIECE_USER_DEFINED ||
            (type == RTI_PIECE_UNUSED && t->kind != RTI_TOKENIZER_TEXT_BPE)) &&
           rti_piece_size(&t->spellings, id) > 0;
}

static rt_result index_tokens(const building *b)
{
    rt_tokenizer *t = b->t;
    const rti_pieces *pieces = is_byte_level(t) ? &t->bytes : &t->spellings;
    if (!rti_piece_map_create(b->host, &t->map, pieces, (size_t)t->count))
        return no_memory(b);
    for (int i = 0; i < 256; i++)
        t->byte_ids[i] = t->letter_ids[i % 128] = -1;
    for (int32_t id = 0; id < t->count; id++) {
        if (t->types[id] == RTI_PIECE_BYTE)
            t->byte_ids[(uint8_t)rti_piece_text(&t->bytes, id)[0]] = id;
        if (!is_findable(t, id))
            continue;
        int32_t known = rti_piece_map_add(&t->map, id);
        if (known >= 0 && t->kind == RTI_TOKENIZER_RANK_BPE)
            return rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: token %d is a second copy of token %d", b->source->path, (int)id,
                            (int)known);
        if (known >= 0)
            continue; // the first one counts
        t->longest_spelling = RTI_MAX(t->longest_spelling, rti_piece_size(pieces, id));
        if (is_byte_level(t) && rti_piece_size(pieces, id) == 1)
            t->byte_ids[(uint8_t)rti_piece_text(pieces, id)[0]] = id;
        else if (rti_piece_size(pieces, id) == 1 && !(rti_piece_text(pieces, id)[0] & 0x80))
            t->letter_ids[(uint8_t)rti_piece_text(pieces, id)[0]] = id;
    }
    return RT_OK;
}

// Where two tokens merge because their join is a token: all ways to cut each into two. Priorities are the ids (Tekken's
// ranks) or follow the scores.
static rt_result merges_from_pieces(const building *b)
{
    rt_tokenizer *t = b->t;
    const rti_pieces *pieces = t->map.pieces;
    if (!rti_merge_map_create(b->host, &t->merges, (size_t)t->count * 2))
        return no_memory(b);
    for (int32_t id = 0; id < t->count; id++) {
        const char *text = rti_piece_text(pieces, id);
        size_t size = rti_piece_size(pieces, id);
        if (!is_findable(t, id) || rti_piece_map_find(&t->map, text, size) != id)
            continue;
        uint32_t priority = t->priorities ? t->priorities[id] : (uint32_t)id;
        for (size_t cut = 1; cut < size; cut++) {
            int32_t left = rti_piece_map_find(&t->map, text, cut);
            int32_t right = left < 0 ? -1 : rti_piece_map_find(&t->map, text + cut, size - cut);
            if (right >= 0 && !rti_merge_map_add(b->host, &t->merges, (rti_merge){left, right, id, priority}))
                return no_memory(b);
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
    if (!bytes_of_token(t, RTI_PIECE_NORMAL, text, size, buffer, &length))
        return -1;
    return rti_piece_map_find(&t->map, buffer, length);
}

static rt_result merges_from_list(const building *b)
{
    const rti_tokenizer_source *s = b->source;
    rt_tokenizer *t = b->t;
    size_t longest = 0;
    for (size_t i = 0; i < s->merge_count; i++)
        longest = RTI_MAX(longest, s->merges[i][0].size + s->merges[i][1].size);
    char *buffer = rti_allocate(b->host, longest * 2 + 1);
    bool ok = buffer && rti_merge_map_create(b->host, &t->merges, s->merge_count);
    rt_result result = ok ? RT_OK : no_memory(b);
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
                result = no_memory(b);
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
static rt_result find_ordered(const building *b)
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
    return ok ? RT_OK : no_memory(b);
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
static rt_result rank_scores(const building *b)
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
    return ok ? RT_OK : no_memory(b);
}

static rt_result build_unigram(const building *b)
{
    rt_tokenizer *t = b->t;
    t->scores = rti_allocate(b->host, (size_t)t->count * sizeof(*t->scores));
    if (!t->scores)
        return no_memory(b);
    memcpy(t->scores, b->source->scores, (size_t)t->count * sizeof(*t->scores));
    t->unigram.minimum = INFINITY;
    for (int32_t id = 0; id < t->count; id++) {
        if (t->types[id] == RTI_PIECE_NORMAL)
            t->unigram.minimum = RTI_MIN(t->unigram.minimum, t->scores[id]);
        if (is_findable(t, id) &&
            !rti_trie_add(b->host, &t->unigram, rti_piece_text(&t->spellings, id), rti_piece_size(&t->spellings, id), id))
            return no_memory(b);
    }
    if (t->unigram.node_count == 0 || t->unigram.minimum == INFINITY)
        return rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: a unigram vocabulary without normal pieces", b->source->path);
    return RT_OK;
}

// User-defined symbols are found in the text before anything else. In SentencePiece's kinds the text has its spaces
// marked by then, whichever way the file spells them.
static rt_result add_user_defined(const building *b)
{
    rt_tokenizer *t = b->t;
    for (int32_t id = 0; id < t->count; id++) {
        if (t->types[id] != RTI_PIECE_USER_DEFINED || rti_piece_size(&t->spellings, id) == 0)
            continue;
        if (!rti_trie_add(b->host, &t->user_defined, rti_piece_text(&t->spellings, id), rti_piece_size(&t->spellings, id), id))
            return no_memory(b);
    }
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
        if (is_byte_level(t) || !is_findable(t, id))
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

static rt_result list_special(const building *b)
{
    rt_tokenizer *t = b->t;
    for (int32_t id = 0; id < t->count; id++)
        t->special_count += is_special(t, id);
    t->special = rti_allocate(b->host, t->special_count * sizeof(*t->special));
    if (!t->special)
        return no_memory(b);
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

static rt_result check_ids(const building *b)
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

static rt_result build_rules(const building *b)
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
        return no_memory(b);
    if (!valid)
        return rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: the normalizer's character map is damaged", s->path);
    return RT_OK;
}

static rt_result build(const building *b)
{
    rt_tokenizer *t = b->t;
    const rti_tokenizer_source *s = b->source;
    rt_result result = check_ids(b);
    if (result == RT_OK && (is_byte_level(t) || t->kind == RTI_TOKENIZER_TEXT_BPE))
        result = rti_split_plan_create(b->host, s->path, s->pre_tokenizer, s->steps, s->step_count, &t->split);
    if (result == RT_OK)
        result = add_tokens(b);
    if (result == RT_OK)
        result = index_tokens(b);
    if (result == RT_OK)
        result = list_special(b);
    if (result == RT_OK)
        result = build_rules(b);
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
    t->has_all_bytes = is_byte_level(t) && all_bytes;
    find_word_rules(t);
    t->whole = rti_allocate_zeroed(b->host, (size_t)t->count * sizeof(*t->whole));
    if (!t->whole)
        return no_memory(b);
    if (s->chat_template.data) {
        t->chat_template = rti_copy_text(b->host, s->chat_template.data, s->chat_template.size);
        t->chat_template_size = s->chat_template.size;
        if (!t->chat_template)
            return no_memory(b);
    }
    return RT_OK;
}

rt_result rti_tokenizer_create_from_source(const rt_host *host_or_null, const rti_tokenizer_source *source,
                                           rt_tokenizer **tokenizer)
{
    *tokenizer = NULL;
    rt_host host = rti_host_or_default(host_or_null);
    rt_tokenizer *t = rti_allocate_zeroed(&host, sizeof(*t));
    building b = {.host = &host, .source = source, .t = t};
    if (!t)
        return no_memory(&b);
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
