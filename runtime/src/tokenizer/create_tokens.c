// tokenizer/create_tokens.c - the vocabulary: types, the bytes that tokens stand for, finding pieces by content.
// SPDX-License-Identifier: MIT
#include "tokenizer/building.h"

#include <string.h>

// No real vocabulary comes near; looking for the parts of a token takes the square of its length.
#define LONGEST_TOKEN 4096

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

bool rti_token_bytes(const rt_tokenizer *t, uint8_t type, const char *text, size_t size, char *buffer, size_t *length)
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
        if (!rti_is_byte_level(t) && size - i >= 3 && memcmp(text + i, "\xE2\x96\x81", 3) == 0) {
            buffer[(*length)++] = ' ';
            i += 3;
        } else {
            buffer[(*length)++] = text[i++];
        }
    }
    return true;
}

static uint8_t type_of_token(const rti_building *b, size_t id)
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

rt_result rti_building_add_tokens(const rti_building *b)
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
    rt_result result = ok ? RT_OK : rti_building_no_memory(b);
    t->count = (int32_t)s->token_count;
    for (size_t i = 0; i < s->token_count && result == RT_OK; i++) {
        const char *text = s->tokens[i].data ? s->tokens[i].data : "";
        size_t size = s->tokens[i].data ? s->tokens[i].size : 0, length;
        t->types[i] = type_of_token(b, i);
        if (!rti_token_bytes(t, t->types[i], text, size, buffer, &length)) {
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
            result = rti_building_no_memory(b);
        t->longest_piece = RTI_MAX(t->longest_piece, length);
    }
    rti_release(b->host, buffer, longest);
    return result;
}

bool rti_is_findable(const rt_tokenizer *t, int32_t id)
{
    uint8_t type = t->types[id];
    if (rti_is_byte_level(t))
        return type == RTI_PIECE_NORMAL && rti_piece_size(&t->bytes, id) > 0;
    return (type == RTI_PIECE_NORMAL || type == RTI_PIECE_USER_DEFINED ||
            (type == RTI_PIECE_UNUSED && t->kind != RTI_TOKENIZER_TEXT_BPE)) &&
           rti_piece_size(&t->spellings, id) > 0;
}

rt_result rti_building_index_tokens(const rti_building *b)
{
    rt_tokenizer *t = b->t;
    const rti_pieces *pieces = rti_is_byte_level(t) ? &t->bytes : &t->spellings;
    if (!rti_piece_map_create(b->host, &t->map, pieces, (size_t)t->count))
        return rti_building_no_memory(b);
    for (int i = 0; i < 256; i++)
        t->byte_ids[i] = t->letter_ids[i % 128] = -1;
    for (int32_t id = 0; id < t->count; id++) {
        if (t->types[id] == RTI_PIECE_BYTE)
            t->byte_ids[(uint8_t)rti_piece_text(&t->bytes, id)[0]] = id;
        if (!rti_is_findable(t, id))
            continue;
        int32_t known = rti_piece_map_add(&t->map, id);
        if (known >= 0 && t->kind == RTI_TOKENIZER_RANK_BPE)
            return rti_fail(b->host, RT_ERROR_BAD_FILE, "%s: token %d is a second copy of token %d", b->source->path, (int)id,
                            (int)known);
        if (known >= 0)
            continue; // the first one counts
        t->longest_spelling = RTI_MAX(t->longest_spelling, rti_piece_size(pieces, id));
        if (rti_is_byte_level(t) && rti_piece_size(pieces, id) == 1)
            t->byte_ids[(uint8_t)rti_piece_text(pieces, id)[0]] = id;
        else if (rti_piece_size(pieces, id) == 1 && !(rti_piece_text(pieces, id)[0] & 0x80))
            t->letter_ids[(uint8_t)rti_piece_text(pieces, id)[0]] = id;
    }
    return RT_OK;
}
