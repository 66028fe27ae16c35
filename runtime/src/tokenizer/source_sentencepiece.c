// tokenizer/source_sentencepiece.c - SentencePiece's tokenizer.model: a small reader of the protocol buffer
// (sentencepiece_model.proto) that takes nothing on trust.
// SPDX-License-Identifier: MIT
#include "tokenizer/tokenizer.h"

#include <string.h>

typedef struct span {
    const uint8_t *at, *end;
} span;

// One field: a number (varint), or a span of bytes. fixed32 arrives as its four bytes.
typedef struct field {
    uint32_t number;
    uint32_t wire; // 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes
    uint64_t value;
    span bytes;
} field;

static bool read_varint(span *s, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && s->at < s->end; shift += 7) {
        uint8_t byte = *s->at++;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool take(span *s, uint64_t size, span *bytes)
{
    if (size > (uint64_t)(s->end - s->at))
        return false;
    *bytes = (span){s->at, s->at + size};
    s->at += size;
    return true;
}

// The next field. False: the message is damaged; at its end s->at == s->end.
static bool read_field(span *s, field *f)
{
    uint64_t key, size;
    *f = (field){0};
    if (!read_varint(s, &key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF)
        return false;
    f->number = (uint32_t)(key >> 3);
    f->wire = (uint32_t)(key & 7);
    switch (f->wire) {
    case 0:
        return read_varint(s, &f->value);
    case 1:
        return take(s, 8, &f->bytes);
    case 2:
        return read_varint(s, &size) && take(s, size, &f->bytes);
    case 5:
        return take(s, 4, &f->bytes);
    default: // groups are not used in these files
        return false;
    }
}

static bool read_piece(span message, rti_text *text, float *score, uint8_t *type)
{
    field f;
    *text = (rti_text){NULL, 0};
    *score = 0;
    *type = RTI_PIECE_NORMAL;
    while (message.at < message.end) {
        if (!read_field(&message, &f))
            return false;
        if (f.number == 1 && f.wire == 2)
            *text = (rti_text){(const char *)f.bytes.at, (size_t)(f.bytes.end - f.bytes.at)};
        else if (f.number == 2 && f.wire == 5)
            memcpy(score, f.bytes.at, sizeof(*score));
        else if (f.number == 3 && f.wire == 0)
            *type = f.value >= RTI_PIECE_NORMAL && f.value <= RTI_PIECE_BYTE ? (uint8_t)f.value : RTI_PIECE_UNUSED;
    }
    return text->data && text->size > 0;
}

typedef struct trainer {
    uint64_t model_type; // 1 unigram, 2 BPE, 3 word, 4 character
    bool byte_fallback;
    int32_t bos, eos, unknown, padding;
    bool whitespace_as_suffix;
} trainer;

static bool read_trainer(span message, trainer *t)
{
    field f;
    while (message.at < message.end) {
        if (!read_field(&message, &f))
            return false;
        if (f.wire != 0)
            continue;
        int32_t id = (int32_t)(int64_t)f.value;
        switch (f.number) {
        case 3: t->model_type = f.value; break;
        case 24: t->whitespace_as_suffix = f.value != 0; break;
        case 35: t->byte_fallback = f.value != 0; break;
        case 40: t->unknown = id; break;
        case 41: t->bos = id; break;
        case 42: t->eos = id; break;
        case 43: t->padding = id; break;
        default: break;
        }
    }
    return true;
}

static bool read_normalizer(span message, rti_normalizer *n)
{
    field f;
    while (message.at < message.end) {
        if (!read_field(&message, &f))
            return false;
        if (f.number == 2 && f.wire == 2) {
            n->charsmap = (const char *)f.bytes.at;
            n->charsmap_size = (size_t)(f.bytes.end - f.bytes.at);
        } else if (f.wire == 0 && f.number == 3) {
            n->add_dummy_prefix = f.value != 0;
        } else if (f.wire == 0 && f.number == 4) {
            n->remove_extra_whitespaces = f.value != 0;
        } else if (f.wire == 0 && f.number == 5) {
            n->escape_whitespaces = f.value != 0;
        }
    }
    if (n->charsmap_size == 0)
        n->charsmap = NULL;
    return true;
}

static rt_result damaged(const rt_host *host, const char *path, const char *data, const uint8_t *at)
{
    return rti_fail(host, RT_ERROR_BAD_FILE, "%s: neither JSON nor GGUF, and as a SentencePiece model damaged at byte %zu", path,
                    (size_t)(at - (const uint8_t *)data));
}

// -1 stands for "none"; so does any id outside of the vocabulary.
static int32_t id_in(const rti_tokenizer_source *source, int32_t id)
{
    return id >= 0 && (size_t)id < source->token_count ? id : -1;
}

static rt_result apply_trainer(const rt_host *host, const trainer *t, rti_tokenizer_source *source)
{
    if (t->model_type != 1 && t->model_type != 2)
        return rti_fail(host, RT_ERROR_UNSUPPORTED, "%s: SentencePiece model type %llu; known are 1 (unigram) and 2 (BPE)",
                        source->path, (unsigned long long)t->model_type);
    source->kind = t->model_type == 1 ? RTI_TOKENIZER_UNIGRAM : RTI_TOKENIZER_SCORE_BPE;
    source->byte_fallback = t->byte_fallback;
    source->fuse_unknown = true;
    source->normalizer.treat_whitespace_as_suffix = t->whitespace_as_suffix;
    source->bos = id_in(source, t->bos);
    source->eos = id_in(source, t->eos);
    source->unknown = id_in(source, t->unknown);
    source->padding = id_in(source, t->padding);
    for (size_t i = 0; i < source->token_count; i++)
        if (source->types[i] == RTI_PIECE_UNKNOWN)
            source->unknown = (int32_t)i;
    source->adds_bos = true; // the Llama family's habit; a tokenizer_config.json next to the file says otherwise
    return RT_OK;
}

rt_result rti_tokenizer_source_sentencepiece(const rt_host *host, const char *path, const char *data, size_t size,
                                             rti_tokenizer_source *source)
{
    source->path = path;
    source->normalizer = (rti_normalizer){.add_dummy_prefix = true, .remove_extra_whitespaces = true,
                                          .escape_whitespaces = true};
    const span whole = {(const uint8_t *)data, (const uint8_t *)data + size};
    trainer t = {.model_type = 1, .unknown = 0, .bos = 1, .eos = 2, .padding = -1};
    field f;
    size_t count = 0;
    for (span s = whole; s.at < s.end;) {
        const uint8_t *begin = s.at;
        if (!read_field(&s, &f))
            return damaged(host, path, data, begin);
        bool good = true;
        if (f.wire == 2 && f.number == 1)
            count += 1;
        else if (f.wire == 2 && f.number == 2)
            good = read_trainer(f.bytes, &t);
        else if (f.wire == 2 && f.number == 3)
            good = read_normalizer(f.bytes, &source->normalizer);
        if (!good)
            return damaged(host, path, data, begin);
    }
    if (count == 0)
        return damaged(host, path, data, whole.at);
    rt_result result = rti_tokenizer_source_reserve(host, source, count, true);
    if (result != RT_OK)
        return result;
    size_t id = 0;
    for (span s = whole; s.at < s.end;) {
        const uint8_t *begin = s.at;
        if (!read_field(&s, &f))
            return damaged(host, path, data, begin);
        if (f.wire != 2 || f.number != 1)
            continue;
        if (!read_piece(f.bytes, &source->tokens[id], &source->scores[id], &source->types[id]))
            return damaged(host, path, data, begin);
        id += 1;
    }
    return apply_trainer(host, &t, source);
}
