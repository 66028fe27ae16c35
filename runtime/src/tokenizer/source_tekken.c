// tokenizer/source_tekken.c - Mistral's tekken.json: byte strings in order of rank, in base64.
// SPDX-License-Identifier: MIT
#include "tokenizer/json.h"

#include <stdio.h>

#define DEFAULT_SPECIAL_TOKENS 1000
#define LONGEST_TOKEN 512 // bytes

// Before files listed them: the first ids of a v3 vocabulary.
static const char *const default_special[] = {"<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]",
                                              "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]",
                                              "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
                                              "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"};

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Into `out`, which has room for LONGEST_TOKEN bytes. False: not base64, or too long.
static bool decode_base64(rti_text text, char *out, size_t *size)
{
    *size = 0;
    if (!text.data || text.size % 4 != 0 || text.size / 4 * 3 > LONGEST_TOKEN)
        return false;
    for (size_t i = 0; i < text.size; i += 4) {
        int padding = 0;
        uint32_t value = 0;
        for (size_t k = 0; k < 4; k++) {
            char c = text.data[i + k];
            int digit = base64_digit(c);
            if (c == '=' && i + 4 == text.size && k >= 2 && (padding > 0 || k == 3 || text.data[i + 3] == '='))
                padding += 1, digit = 0;
            if (digit < 0 || (padding > 0 && c != '='))
                return false;
            value = value << 6 | (uint32_t)digit;
        }
        for (int k = 0; k < 3 - padding; k++)
            out[(*size)++] = (char)(value >> (16 - 8 * k));
    }
    return true;
}

static rt_result bad_entry(const rt_host *host, const rti_tokenizer_source *source, size_t index, const char *what)
{
    return rti_fail(host, RT_ERROR_BAD_FILE, "%s: vocab[%zu]: %s", source->path, index, what);
}

static bool read_count(const json_t *config, const char *key, json_int_t otherwise, size_t *value)
{
    const json_t *item = json_object_get(config, key);
    json_int_t number = json_is_integer(item) ? json_integer_value(item) : otherwise;
    *value = (size_t)number;
    return number >= 0 && number <= (json_int_t)RTI_TOKENIZER_MAX_TOKENS;
}

// How a token is shown: its text where it is text, its bytes otherwise.
static bool add_spelling(const rt_host *host, rti_tokenizer_source *source, rti_text shown, const char *bytes, size_t size)
{
    if (shown.data && memchr(shown.data, 0, shown.size) == NULL)
        return rti_pieces_append(host, &source->spellings, shown.data, shown.size);
    char text[LONGEST_TOKEN * 6];
    for (size_t i = 0; i < size; i++)
        snprintf(text + 6 * i, 7, "<0x%02X", (uint8_t)bytes[i]), text[6 * i + 5] = '>';
    return rti_pieces_append(host, &source->spellings, text, size * 6);
}

static rt_result read_special(const rt_host *host, const json_t *root, size_t count, rti_tokenizer_source *source)
{
    const json_t *listed = json_object_get(root, "special_tokens");
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "<SPECIAL_%zu>", i);
        rti_text spelling = {name, strlen(name)};
        if (json_is_array(listed)) {
            // By rank; files list them in order.
            const json_t *entry = json_array_get(listed, i);
            const json_t *rank = json_object_get(entry, "rank");
            rti_text text = rti_json_text(entry, "token_str");
            if (text.data && json_is_integer(rank) && json_integer_value(rank) == (json_int_t)i)
                spelling = text;
        } else if (i < RTI_COUNT(default_special)) {
            spelling = (rti_text){default_special[i], strlen(default_special[i])};
        }
        bool unknown = spelling.size == 5 && memcmp(spelling.data, "<unk>", 5) == 0;
        source->types[i] = unknown ? RTI_PIECE_UNKNOWN : RTI_PIECE_CONTROL;
        if (unknown)
            source->unknown = (int32_t)i;
        if (spelling.size == 3 && memcmp(spelling.data, "<s>", 3) == 0)
            source->bos = (int32_t)i;
        if (spelling.size == 4 && memcmp(spelling.data, "</s>", 4) == 0)
            source->eos = (int32_t)i;
        if (spelling.size == 5 && memcmp(spelling.data, "<pad>", 5) == 0)
            source->padding = (int32_t)i;
        if (!rti_pieces_append(host, &source->texts, spelling.data, spelling.size) ||
            !rti_pieces_append(host, &source->spellings, spelling.data, spelling.size))
            return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory for the vocabulary", source->path);
    }
    return RT_OK;
}

static rt_result read_entries(const rt_host *host, const json_t *vocab, size_t count, rti_tokenizer_source *source)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(vocab, i);
        const json_t *rank = json_object_get(entry, "rank");
        if (!json_is_integer(rank) || json_integer_value(rank) != (json_int_t)i)
            return bad_entry(host, source, i, "its rank is not its place in the list");
        char bytes[LONGEST_TOKEN];
        size_t size;
        if (!decode_base64(rti_json_text(entry, "token_bytes"), bytes, &size) || size == 0)
            return bad_entry(host, source, i, "token_bytes is not base64 of 1 to 512 bytes");
        if (i < 256 && (size != 1 || (uint8_t)bytes[0] != i))
            return bad_entry(host, source, i, "the first 256 tokens must be the single bytes");
        if (!rti_pieces_append(host, &source->texts, bytes, size) ||
            !add_spelling(host, source, rti_json_text(entry, "token_str"), bytes, size))
            return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory for the vocabulary", source->path);
    }
    return RT_OK;
}

rt_result rti_tokenizer_source_tekken(const rt_host *host, const char *path, const json_t *root, rti_tokenizer_source *source)
{
    source->path = path;
    source->kind = RTI_TOKENIZER_RANK_BPE;
    const json_t *config = json_object_get(root, "config");
    const json_t *vocab = json_object_get(root, "vocab");
    rti_text pattern = rti_json_text(config, "pattern");
    size_t special, size, listed = json_array_size(vocab);
    if (!pattern.data || listed == 0)
        return rti_fail(host, RT_ERROR_BAD_FILE, "%s: a Tekken file needs config.pattern and a vocab list", path);
    if (!read_count(config, "default_num_special_tokens", DEFAULT_SPECIAL_TOKENS, &special) ||
        !read_count(config, "default_vocab_size", (json_int_t)(special + listed), &size))
        return rti_fail(host, RT_ERROR_BAD_FILE, "%s: config: default_num_special_tokens or default_vocab_size is out of range",
                        path);
    // The list may be longer than the vocabulary in use; it may not be shorter.
    if (size < special || size - special > listed || size - special < 256)
        return rti_fail(host, RT_ERROR_BAD_FILE, "%s: config.default_vocab_size is %zu: %zu special tokens, %zu listed", path,
                        size, special, listed);
    rt_result result = rti_tokenizer_source_reserve(host, source, size, false);
    if (result == RT_OK)
        result = read_special(host, root, special, source);
    if (result == RT_OK)
        result = read_entries(host, vocab, size - special, source);
    if (result != RT_OK)
        return result;
    for (size_t i = 0; i < size; i++)
        source->tokens[i] =
            (rti_text){rti_piece_text(&source->texts, (int32_t)i), rti_piece_size(&source->texts, (int32_t)i)};
    source->steps[0] = (rti_split_source){pattern.data, pattern.size};
    source->step_count = 1;
    source->adds_bos = true;
    return RT_OK;
}
