// tokenizer/normalize.c - what SentencePiece does to a text before it cuts it: character rules, spaces made visible, a
// space put in front, runs of spaces made one. In the order and with the corner cases of its normalizer.cc.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"
#include "tokenizer/unicode.h"

#include <string.h>

#define SPACE_MARK "\xE2\x96\x81" // U+2581

typedef struct output {
    const rt_host *host;
    char *text;
    size_t size, capacity;
    bool failed;
} output;

static void put(output *out, const char *text, size_t size)
{
    if (out->size + size > out->capacity &&
        !rti_array_reserve(out->host, (void **)&out->text, &out->capacity, out->size + size, 1)) {
        out->failed = true;
        return;
    }
    memcpy(out->text + out->size, text, size);
    out->size += size;
}

static void put_space(output *out, bool escape)
{
    put(out, escape ? SPACE_MARK : " ", escape ? 3 : 1);
}

// What the characters at `text` become, and how many bytes of it they were.
static size_t normalize_prefix(const rt_tokenizer *t, const char *text, size_t size, const char **becomes,
                               size_t *becomes_size)
{
    int32_t piece;
    size_t length = t->user_defined.node_count ? rti_trie_longest(&t->user_defined, text, size, &piece) : 0;
    if (length == 0 && t->charsmap.units) {
        length = rti_charsmap_match(&t->charsmap, text, size, becomes, becomes_size);
        if (length > 0)
            return length;
    }
    if (length == 0)
        length = (size_t)rti_utf8_length(text[0]);
    *becomes = text;
    *becomes_size = length;
    return length;
}

static void put_characters(output *out, const char *text, size_t size, bool escape)
{
    if (!escape) {
        put(out, text, size);
        return;
    }
    while (size > 0) {
        size_t spaces = 0, plain = 0;
        for (; spaces < size && text[spaces] == ' '; spaces++)
            put(out, SPACE_MARK, 3);
        while (spaces + plain < size && text[spaces + plain] != ' ')
            plain += 1;
        if (plain > 0)
            put(out, text + spaces, plain);
        text += spaces + plain;
        size -= spaces + plain;
    }
}

// Nothing but spaces to rewrite: one pass over the text.
static void put_simple(output *out, const rti_normalizer *n, const char *text, size_t size, bool prefix)
{
    size_t spaces = 0;
    for (size_t i = 0; i < size; i++)
        spaces += text[i] == ' ';
    if (!rti_array_reserve(out->host, (void **)&out->text, &out->capacity, size + 2 * spaces + 3, 1)) {
        out->failed = true;
        return;
    }
    if (prefix && !n->treat_whitespace_as_suffix)
        put_space(out, n->escape_whitespaces);
    put_characters(out, text, size, n->escape_whitespaces);
    if (prefix && n->treat_whitespace_as_suffix)
        put_space(out, n->escape_whitespaces);
}

static void put_normalized(output *out, const rt_tokenizer *t, const char *text, size_t size, bool prefix, bool continues)
{
    const rti_normalizer *n = &t->normalizer;
    const char *becomes;
    size_t becomes_size;
    bool remove = n->remove_extra_whitespaces;
    while (remove && !continues && size > 0) {
        size_t used = normalize_prefix(t, text, size, &becomes, &becomes_size);
        if (becomes_size != 1 || becomes[0] != ' ')
            break;
        text += used;
        size -= used;
    }
    if (size == 0)
        return;
    if (prefix && !n->treat_whitespace_as_suffix)
        put_space(out, n->escape_whitespaces);
    bool after_space = remove && !continues;
    while (size > 0 && !out->failed) {
        size_t used = normalize_prefix(t, text, size, &becomes, &becomes_size);
        while (after_space && becomes_size > 0 && becomes[0] == ' ') {
            becomes += 1;
            becomes_size -= 1;
        }
        if (becomes_size > 0) {
            put_characters(out, becomes, becomes_size, n->escape_whitespaces);
            after_space = becomes[becomes_size - 1] == ' ';
        }
        after_space = after_space && remove;
        text += used;
        size -= used;
    }
    const char *space = n->escape_whitespaces ? SPACE_MARK : " ";
    size_t space_size = strlen(space);
    while (remove && out->size >= space_size && memcmp(out->text + out->size - space_size, space, space_size) == 0)
        out->size -= space_size;
    if (prefix && n->treat_whitespace_as_suffix)
        put_space(out, n->escape_whitespaces);
}

bool rti_normalize(const rt_tokenizer *t, const char *text, size_t size, bool continues, char **out_text, size_t *capacity,
                   size_t *out_size)
{
    const rti_normalizer *n = &t->normalizer;
    output out = {.host = &t->host, .text = *out_text, .capacity = *capacity};
    bool prefix = n->add_dummy_prefix && !continues && size > 0;
    if (n->skip_prefix_before_space && size > 0 &&
        (text[0] == ' ' || (size >= 3 && memcmp(text, SPACE_MARK, 3) == 0)))
        prefix = false;
    bool finds_pieces = t->user_defined.node_count && t->kind != RTI_TOKENIZER_TEXT_BPE;
    if (!t->charsmap.units && !n->remove_extra_whitespaces && !finds_pieces)
        put_simple(&out, n, text, size, prefix);
    else
        put_normalized(&out, t, text, size, prefix, continues);
    *out_text = out.text;
    *capacity = out.capacity;
    *out_size = out.size;
    return !out.failed;
}
