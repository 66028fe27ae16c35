// tokenizer/source_gguf.c - the tokenizer inside a GGUF file: the keys tokenizer.ggml.*.
// SPDX-License-Identifier: MIT
#include "tokenizer/tokenizer.h"

#include <string.h>

#define KEY(name) "tokenizer.ggml." name

static rt_result read_kind(const rt_host *host, const rti_file *file, rti_tokenizer_source *source)
{
    static const struct { const char *name; rti_tokenizer_kind kind; } kinds[] = {
        {"gpt2", RTI_TOKENIZER_BYTE_BPE},
        {"llama", RTI_TOKENIZER_SCORE_BPE},
        {"t5", RTI_TOKENIZER_UNIGRAM},
        {"gemma4", RTI_TOKENIZER_TEXT_BPE},
    };
    const char *model = rti_file_get_string(file, KEY("model"));
    if (!model)
        return rti_fail(host, RT_ERROR_BAD_FILE, "%s: no tokenizer (the key " KEY("model") " is missing)", source->path);
    for (size_t i = 0; i < RTI_COUNT(kinds); i++) {
        if (strcmp(kinds[i].name, model) == 0) {
            source->kind = kinds[i].kind;
            return RT_OK;
        }
    }
    return rti_fail(host, RT_ERROR_UNSUPPORTED, "%s: " KEY("model") " is \"%.40s\"; known are gpt2, llama, t5, gemma4",
                    source->path, model);
}

static rt_result bad_element(const rt_host *host, const rti_tokenizer_source *source, const char *key, size_t index)
{
    return rti_fail(host, RT_ERROR_BAD_FILE, "%s: %s: element %zu is missing or of the wrong type", source->path, key, index);
}

// SentencePiece spells a space as U+2581; converters write it as a space in user-defined symbols.
static bool mark_spaces(const rt_host *host, rti_tokenizer_source *source, rti_text token)
{
    size_t begin = source->texts.count ? source->texts.offsets[source->texts.count] : 0;
    size_t at = begin;
    for (size_t i = 0; i < token.size; i++)
        at += token.data[i] == ' ' ? 3 : 1;
    if (!rti_pieces_reserve(host, &source->texts, (size_t)source->texts.count + 1, at + 1))
        return false;
    char *to = source->texts.text + begin;
    for (size_t i = 0; i < token.size; i++) {
        bool space = token.data[i] == ' ';
        memcpy(to, space ? "\xE2\x96\x81" : &token.data[i], space ? 3 : 1);
        to += space ? 3 : 1;
    }
    *to = 0;
    source->texts.offsets[0] = 0;
    source->texts.offsets[++source->texts.count] = (uint32_t)(at + 1);
    return true;
}

static rt_result read_tokens(const rt_host *host, const rti_file *file, rti_tokenizer_source *source)
{
    rti_value_kind kind;
    size_t count = 0, extra = 0;
    bool scored = source->kind == RTI_TOKENIZER_SCORE_BPE || source->kind == RTI_TOKENIZER_UNIGRAM;
    if (!rti_file_get_array(file, KEY("tokens"), &kind, &count) || kind != RTI_VALUE_STRING)
        return rti_fail(host, RT_ERROR_BAD_FILE, "%s: " KEY("tokens") " is missing or no array of strings", source->path);
    rt_result result = rti_tokenizer_source_reserve(host, source, count, scored);
    if (result != RT_OK)
        return result;
    bool typed = rti_file_get_array(file, KEY("token_type"), &kind, &extra);
    if (typed && extra != count)
        return rti_fail(host, RT_ERROR_BAD_FILE, "%s: %zu tokens but %zu token types", source->path, count, extra);
    bool has_scores = rti_file_get_array(file, KEY("scores"), &kind, &extra);
    if (scored && (!has_scores || extra != count))
        return rti_fail(host, RT_ERROR_BAD_FILE, "%s: %zu tokens but %zu scores", source->path, count, has_scores ? extra : 0);
    for (size_t i = 0; i < count; i++) {
        double number = RTI_PIECE_NORMAL;
        if (!rti_file_array_text(file, KEY("tokens"), i, &source->tokens[i]))
            return bad_element(host, source, KEY("tokens"), i);
        if (!source->tokens[i].data)
            source->tokens[i].data = "";
        if (typed && !rti_file_array_number(file, KEY("token_type"), i, &number))
            return bad_element(host, source, KEY("token_type"), i);
        source->types[i] = number >= 0 && number <= 255 ? (uint8_t)number : 0;
        if (scored && !rti_file_array_number(file, KEY("scores"), i, &number))
            return bad_element(host, source, KEY("scores"), i);
        if (scored)
            source->scores[i] = (float)number;
    }
    for (size_t i = 0; scored && i < count; i++)
        if (source->types[i] == RTI_PIECE_USER_DEFINED && !mark_spaces(host, source, source->tokens[i]))
            return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory for the vocabulary", source->path);
    int32_t marked = 0;
    for (size_t i = 0; scored && i < count; i++)
        if (source->types[i] == RTI_PIECE_USER_DEFINED) {
            source->tokens[i] = (rti_text){rti_piece_text(&source->texts, marked), rti_piece_size(&source->texts, marked)};
            marked += 1;
        }
    return RT_OK;
}

static rt_result read_merges(const rt_host *host, const rti_file *file, rti_tokenizer_source *source)
{
    rti_value_kind kind;
    size_t count = 0;
    if (source->kind != RTI_TOKENIZER_BYTE_BPE && source->kind != RTI_TOKENIZER_TEXT_BPE)
        return RT_OK;
    if (!rti_file_get_array(file, KEY("merges"), &kind, &count) || kind != RTI_VALUE_STRING)
        return rti_fail(host, RT_ERROR_BAD_FILE, "%s: " KEY("merges") " is missing or no array of strings", source->path);
    rt_result result = rti_tokenizer_source_reserve_merges(host, source, count);
    for (size_t i = 0; i < count && result == RT_OK; i++) {
        rti_text merge;
        if (!rti_file_array_text(file, KEY("merges"), i, &merge))
            return bad_element(host, source, KEY("merges"), i);
        const char *space = merge.size > 1 ? memchr(merge.data + 1, ' ', merge.size - 1) : NULL;
        if (!space)
            return rti_fail(host, RT_ERROR_BAD_FILE, "%s: merge %zu has no space between its parts", source->path, i);
        size_t left = (size_t)(space - merge.data);
        source->merges[i][0] = (rti_text){merge.data, left};
        source->merges[i][1] = (rti_text){space + 1, merge.size - left - 1};
    }
    return result;
}

static int32_t read_id(const rti_file *file, const char *key, int32_t otherwise)
{
    uint64_t value;
    if (!rti_file_get_unsigned(file, key, &value))
        return otherwise;
    return value > INT32_MAX ? -1 : (int32_t)value; // 0xFFFFFFFF stands for "none"
}

// Ids past the vocabulary appear in real files where a model was cut down: they then name nothing.
static int32_t id_in(const rti_tokenizer_source *source, int32_t id)
{
    return id >= 0 && (size_t)id < source->token_count ? id : -1;
}

static void read_flags(const rti_file *file, rti_tokenizer_source *source)
{
    bool pieces = source->kind == RTI_TOKENIZER_SCORE_BPE || source->kind == RTI_TOKENIZER_UNIGRAM;
    bool unigram = source->kind == RTI_TOKENIZER_UNIGRAM;
    rti_normalizer *n = &source->normalizer;
    n->add_dummy_prefix = pieces;
    n->escape_whitespaces = pieces || source->kind == RTI_TOKENIZER_TEXT_BPE;
    n->remove_extra_whitespaces = false;
    if (pieces) {
        rti_file_get_bool(file, KEY("add_space_prefix"), &n->add_dummy_prefix);
        rti_file_get_bool(file, KEY("remove_extra_whitespaces"), &n->remove_extra_whitespaces);
        rti_file_get_bool(file, KEY("treat_whitespace_as_suffix"), &n->treat_whitespace_as_suffix);
        rti_file_get_bool(file, KEY("escape_whitespaces"), &n->escape_whitespaces);
    }
    source->byte_fallback = source->kind != RTI_TOKENIZER_BYTE_BPE;
    source->fuse_unknown = true;
    bool llama = source->kind == RTI_TOKENIZER_SCORE_BPE;
    source->bos = id_in(source, read_id(file, KEY("bos_token_id"), llama ? 1 : -1));
    source->eos = id_in(source, read_id(file, KEY("eos_token_id"), llama ? 2 : unigram ? 1 : -1));
    source->unknown = id_in(source, read_id(file, KEY("unknown_token_id"), llama ? 0 : unigram ? 2 : -1));
    source->padding = id_in(source, read_id(file, KEY("padding_token_id"), -1));
    // What llama.cpp assumes where the file does not say.
    const char *pre = source->pre_tokenizer;
    source->adds_bos = llama || (pre && (strcmp(pre, "llama-bpe") == 0 || strcmp(pre, "llama3") == 0 ||
                                         strcmp(pre, "llama-v3") == 0 || strcmp(pre, "tekken") == 0));
    rti_file_get_bool(file, KEY("add_bos_token"), &source->adds_bos);
    rti_file_get_text(file, "tokenizer.chat_template", &source->chat_template);
}

static rt_result read_charsmap(const rt_host *host, const rti_file *file, rti_tokenizer_source *source)
{
    rti_value_kind kind;
    size_t count;
    if (!rti_file_get_array(file, KEY("precompiled_charsmap"), &kind, &count) || count == 0)
        return RT_OK;
    if (!rti_array_reserve(host, (void **)&source->charsmap, &source->charsmap_capacity, count, 1))
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory for the normalizer's character map", source->path);
    for (size_t i = 0; i < count; i++) {
        double number;
        if (!rti_file_array_number(file, KEY("precompiled_charsmap"), i, &number) || number < -128 || number > 255)
            return bad_element(host, source, KEY("precompiled_charsmap"), i);
        source->charsmap[i] = (char)(int)number;
    }
    source->normalizer.charsmap = source->charsmap;
    source->normalizer.charsmap_size = count;
    return RT_OK;
}

rt_result rti_tokenizer_source_gguf(const rt_host *host, const rti_file *file, rti_tokenizer_source *source)
{
    source->path = rti_file_path(file);
    rt_result result = read_kind(host, file, source);
    if (result == RT_OK)
        result = read_tokens(host, file, source);
    if (result == RT_OK)
        result = read_merges(host, file, source);
    if (result != RT_OK)
        return result;
    if (source->kind == RTI_TOKENIZER_BYTE_BPE || source->kind == RTI_TOKENIZER_TEXT_BPE) {
        source->pre_tokenizer = rti_file_get_string(file, KEY("pre"));
        if (source->kind == RTI_TOKENIZER_TEXT_BPE)
            source->pre_tokenizer = "gemma4";
        else if (!source->pre_tokenizer) {
            source->pre_tokenizer = "default";
            rti_log(host, RT_LOG_WARNING, "%s: the file does not name its pre-tokenizer: using \"default\"; name the right one "
                                          "with pre_tokenizer", source->path);
        }
    }
    read_flags(file, source);
    return read_charsmap(host, file, source);
}
