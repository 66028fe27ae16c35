// tokenizer/source_huggingface.c - Hugging Face tokenizer.json (BPE) and tokenizer_config.json.
//
// What is understood is understood exactly; any other component is refused by name, since leaving one out would give
// other ids without a word.
// SPDX-License-Identifier: MIT
#include "tokenizer/json.h"

#include <stdio.h>

typedef struct reading {
    const rt_host *host;
    const json_t *root;
    rti_tokenizer_source *source;
    bool byte_level;
    bool marks_spaces; // a step turns spaces into U+2581
    bool prepends;     // and puts one in front
} reading;

static rt_result bad(const reading *r, const char *what)
{
    return rti_fail(r->host, RT_ERROR_BAD_FILE, "%s: %s", r->source->path, what);
}

static rt_result unsupported(const reading *r, const char *part, const json_t *item, const char *known)
{
    rti_text type = rti_json_text(item, "type");
    return rti_fail(r->host, RT_ERROR_UNSUPPORTED, "%s: %s \"%.*s\" with these settings is not known; known are %s",
                    r->source->path, part, (int)RTI_MIN(type.size, 40), type.data ? type.data : "", known);
}

// ---------------------------------------------------------------------------------------------------------------------
// Vocabulary
// ---------------------------------------------------------------------------------------------------------------------

static rt_result count_tokens(const reading *r, const json_t *vocab, const json_t *added, size_t *count)
{
    json_int_t largest = -1;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)vocab, key, value) {
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return rti_fail(r->host, RT_ERROR_BAD_FILE, "%s: model.vocab: the id of \"%.40s\" is not a number", r->source->path,
                            key);
        largest = RTI_MAX(largest, json_integer_value(value));
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *id = json_object_get(json_array_get(added, i), "id");
        if (!json_is_integer(id) || json_integer_value(id) < 0)
            return bad(r, "added_tokens: an entry without an id");
        largest = RTI_MAX(largest, json_integer_value(id));
    }
    // A few holes happen; a vocabulary that is mostly holes is a trick to make us allocate.
    size_t named = json_object_size(vocab) + json_array_size(added);
    if (largest < 0 || (uint64_t)largest / 8 > named + 4096)
        return bad(r, "model.vocab is empty, or its ids lie far apart");
    *count = (size_t)largest + 1;
    return RT_OK;
}

static rt_result read_tokens(const reading *r, const json_t *model, const json_t *added)
{
    const json_t *vocab = json_object_get(model, "vocab");
    rti_tokenizer_source *s = r->source;
    size_t count = 0;
    if (!json_is_object(vocab))
        return bad(r, "model.vocab is missing or no object");
    rt_result result = count_tokens(r, vocab, added, &count);
    if (result == RT_OK)
        result = rti_tokenizer_source_reserve(r->host, s, count, false);
    if (result != RT_OK)
        return result;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)vocab, key, value) {
        rti_text *token = &s->tokens[json_integer_value(value)];
        if (token->data)
            return rti_fail(r->host, RT_ERROR_BAD_FILE, "%s: model.vocab: \"%.40s\" and \"%.40s\" have the same id",
                            s->path, token->data, key);
        *token = (rti_text){key, json_object_iter_key_len(json_object_key_to_iter(key))};
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *entry = json_array_get(added, i);
        size_t id = (size_t)json_integer_value(json_object_get(entry, "id"));
        rti_text content = rti_json_text(entry, "content");
        if (!content.data || content.size == 0)
            return bad(r, "added_tokens: an entry without content");
        s->tokens[id] = content;
        s->types[id] = json_is_true(json_object_get(entry, "special")) ? RTI_PIECE_CONTROL : RTI_PIECE_USER_DEFINED;
    }
    return RT_OK;
}

static rt_result read_merges(const reading *r, const json_t *model)
{
    const json_t *merges = json_object_get(model, "merges");
    rti_tokenizer_source *s = r->source;
    if (!json_is_array(merges))
        return bad(r, "model.merges is missing or no list");
    rt_result result = rti_tokenizer_source_reserve_merges(r->host, s, json_array_size(merges));
    for (size_t i = 0; i < json_array_size(merges) && result == RT_OK; i++) {
        const json_t *item = json_array_get(merges, i);
        if (json_is_string(item)) {
            const char *text = json_string_value(item);
            size_t size = json_string_length(item);
            const char *space = memchr(text, ' ', size);
            if (!space)
                return rti_fail(r->host, RT_ERROR_BAD_FILE, "%s: model.merges[%zu] has no space between its parts", s->path, i);
            s->merges[i][0] = (rti_text){text, (size_t)(space - text)};
            s->merges[i][1] = (rti_text){space + 1, size - (size_t)(space - text) - 1};
            continue;
        }
        const json_t *left = json_array_get(item, 0), *right = json_array_get(item, 1);
        if (json_array_size(item) != 2 || !json_is_string(left) || !json_is_string(right))
            return rti_fail(r->host, RT_ERROR_BAD_FILE, "%s: model.merges[%zu] is not a pair", s->path, i);
        s->merges[i][0] = (rti_text){json_string_value(left), json_string_length(left)};
        s->merges[i][1] = (rti_text){json_string_value(right), json_string_length(right)};
    }
    return result;
}

static rt_result read_model(reading *r, const json_t *model)
{
    rti_tokenizer_source *s = r->source;
    // Files of old leave the type out.
    bool bpe = rti_json_text_is(model, "type", "BPE") || (!json_object_get(model, "type") && json_object_get(model, "merges"));
    if (!bpe)
        return unsupported(r, "model", model, "BPE (for Unigram give the tokenizer.model instead)");
    if (rti_json_text(model, "continuing_subword_prefix").size || rti_json_text(model, "end_of_word_suffix").size)
        return unsupported(r, "model", model, "BPE without continuing_subword_prefix and end_of_word_suffix");
    if (json_is_number(json_object_get(model, "dropout")) && json_number_value(json_object_get(model, "dropout")) > 0)
        return unsupported(r, "model", model, "BPE without dropout");
    s->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    s->byte_fallback = json_is_true(json_object_get(model, "byte_fallback"));
    s->fuse_unknown = json_is_true(json_object_get(model, "fuse_unk"));
    rt_result result = read_tokens(r, model, json_object_get(r->root, "added_tokens"));
    if (result == RT_OK)
        result = read_merges(r, model);
    rti_text unknown = rti_json_text(model, "unk_token");
    for (size_t i = 0; i < s->token_count && result == RT_OK; i++) {
        const rti_text *token = &s->tokens[i];
        if (unknown.data && token->data && token->size == unknown.size && memcmp(token->data, unknown.data, unknown.size) == 0) {
            s->unknown = (int32_t)i;
            s->types[i] = RTI_PIECE_UNKNOWN;
        }
        // With byte fallback <0xNN> stands for a byte; a text that spells it out does not make one.
        if (s->byte_fallback && token->data && token->size == 6 && memcmp(token->data, "<0x", 3) == 0 &&
            s->types[i] == RTI_PIECE_NORMAL)
            s->types[i] = RTI_PIECE_BYTE;
    }
    return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Normalizer and pre-tokenizer
// ---------------------------------------------------------------------------------------------------------------------

typedef rt_result read_function(reading *r, const json_t *item);

// One component, or the list in a Sequence.
static rt_result each(reading *r, const json_t *item, const char *list, read_function *read)
{
    if (!item || json_is_null(item))
        return RT_OK;
    if (!rti_json_text_is(item, "type", "Sequence"))
        return read(r, item);
    const json_t *items = json_object_get(item, list);
    rt_result result = RT_OK;
    for (size_t i = 0; i < json_array_size(items) && result == RT_OK; i++)
        result = read(r, json_array_get(items, i));
    return result;
}

static rt_result read_normalizer(reading *r, const json_t *item)
{
    static const char known[] = "NFC, Prepend and Replace (of U+2581 for spaces)";
    if (rti_json_text_is(item, "type", "NFC") && !r->marks_spaces && !r->prepends) {
        r->source->normalizer.nfc = true;
        return RT_OK;
    }
    if (rti_json_text_is(item, "type", "Prepend") && rti_json_text_is(item, "prepend", "\xE2\x96\x81") && !r->marks_spaces) {
        r->prepends = true;
        return RT_OK;
    }
    if (rti_json_text_is(item, "type", "Replace") && rti_json_text_is(item, "content", "\xE2\x96\x81") &&
        rti_json_text_is(json_object_get(item, "pattern"), "String", " ")) {
        r->marks_spaces = true;
        return RT_OK;
    }
    return unsupported(r, "normalizer", item, known);
}

static rt_result add_step(reading *r, const json_t *item, const char *pattern, size_t size)
{
    rti_tokenizer_source *s = r->source;
    if (s->step_count == RTI_SPLIT_STEPS)
        return unsupported(r, "pre_tokenizer", item, "those of at most 8 steps");
    s->steps[s->step_count++] = (rti_split_source){pattern, size};
    return RT_OK;
}

static rt_result read_metaspace(reading *r, const json_t *item)
{
    rti_normalizer *n = &r->source->normalizer;
    const json_t *split = json_object_get(item, "split");
    if (!rti_json_text_is(item, "replacement", "\xE2\x96\x81") || r->marks_spaces || r->prepends)
        return unsupported(r, "pre_tokenizer", item, "Metaspace of U+2581");
    r->marks_spaces = true;
    n->split_every_space = !json_is_false(split);
    n->skip_prefix_before_space = true;
    rti_text scheme = rti_json_text(item, "prepend_scheme");
    bool never = rti_json_text_is(item, "prepend_scheme", "never");
    // Before prepend_scheme there was add_prefix_space.
    r->prepends = scheme.data ? !never : !json_is_false(json_object_get(item, "add_prefix_space"));
    n->prefix_first_only = rti_json_text_is(item, "prepend_scheme", "first");
    return RT_OK;
}

static rt_result read_split(reading *r, const json_t *item)
{
    const json_t *pattern = json_object_get(item, "pattern");
    rti_text regex = rti_json_text(pattern, "Regex"), plain = rti_json_text(pattern, "String");
    bool isolated = rti_json_text_is(item, "behavior", "Isolated");
    bool removed = rti_json_text_is(item, "behavior", "Removed") && json_is_true(json_object_get(item, "invert"));
    // Spaces are gone by then (Gemma): nothing is left to split.
    if (plain.data && plain.size == 1 && plain.data[0] == ' ' && r->marks_spaces)
        return RT_OK;
    // "Removed" and inverted keeps what the pattern finds; our patterns find everything, so that it is the same.
    if (regex.data && (isolated || (removed && rti_split_pattern_find(regex.data, regex.size))))
        return add_step(r, item, regex.data, regex.size);
    return unsupported(r, "pre_tokenizer", item, "Split with a Regex, Isolated");
}

static rt_result read_pre_tokenizer(reading *r, const json_t *item)
{
    static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    if (rti_json_text_is(item, "type", "ByteLevel")) {
        r->byte_level = true;
        if (json_is_true(json_object_get(item, "add_prefix_space")))
            return unsupported(r, "pre_tokenizer", item, "ByteLevel without add_prefix_space");
        return json_is_false(json_object_get(item, "use_regex")) ? RT_OK : add_step(r, item, gpt2, sizeof(gpt2) - 1);
    }
    if (r->byte_level)
        return unsupported(r, "pre_tokenizer behind ByteLevel:", item, "none");
    if (rti_json_text_is(item, "type", "Split"))
        return read_split(r, item);
    if (rti_json_text_is(item, "type", "Digits"))
        return json_is_true(json_object_get(item, "individual_digits")) ? add_step(r, item, NULL, 0)
                                                                       : add_step(r, item, "\\p{N}+", 6);
    if (rti_json_text_is(item, "type", "Metaspace"))
        return read_metaspace(r, item);
    return unsupported(r, "pre_tokenizer", item, "ByteLevel, Digits, Metaspace, Sequence and Split");
}

// ---------------------------------------------------------------------------------------------------------------------
// Special tokens
// ---------------------------------------------------------------------------------------------------------------------

static int32_t find_token(const rti_tokenizer_source *source, rti_text spelling)
{
    for (size_t i = 0; spelling.data && i < source->token_count; i++)
        if (source->tokens[i].data && source->tokens[i].size == spelling.size &&
            memcmp(source->tokens[i].data, spelling.data, spelling.size) == 0)
            return (int32_t)i;
    return -1;
}

// A TemplateProcessing whose single form begins with a special token: that is BOS, and it is added.
static void read_post_processor(reading *r, const json_t *item)
{
    if (rti_json_text_is(item, "type", "Sequence")) {
        const json_t *list = json_object_get(item, "processors");
        for (size_t i = 0; i < json_array_size(list); i++)
            if (!rti_json_text_is(json_array_get(list, i), "type", "Sequence"))
                read_post_processor(r, json_array_get(list, i));
        return;
    }
    const json_t *single = json_object_get(item, "single");
    const json_t *first = json_object_get(json_array_get(single, 0), "SpecialToken");
    int32_t id = find_token(r->source, rti_json_text(first, "id"));
    if (rti_json_text_is(item, "type", "TemplateProcessing") && id >= 0) {
        r->source->bos = id;
        r->source->adds_bos = true;
    }
}

// Where no tokenizer_config.json says so: the names that families use.
static void guess_ends(rti_tokenizer_source *source)
{
    static const char *const begins[] = {"<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>"};
    static const char *const ends[] = {"</s>", "<eos>", "<|eot_id|>", "<|im_end|>", "<|end_of_text|>", "<|endoftext|>"};
    for (size_t i = 0; i < RTI_COUNT(begins) && source->bos < 0; i++)
        source->bos = find_token(source, (rti_text){begins[i], strlen(begins[i])});
    for (size_t i = 0; i < RTI_COUNT(ends) && source->eos < 0; i++)
        source->eos = find_token(source, (rti_text){ends[i], strlen(ends[i])});
}

rt_result rti_tokenizer_source_huggingface(const rt_host *host, const char *path, const json_t *root,
                                           rti_tokenizer_source *source)
{
    reading r = {.host = host, .root = root, .source = source};
    source->path = path;
    rt_result result = each(&r, json_object_get(root, "normalizer"), "normalizers", read_normalizer);
    if (result == RT_OK)
        result = each(&r, json_object_get(root, "pre_tokenizer"), "pretokenizers", read_pre_tokenizer);
    if (result == RT_OK)
        result = read_model(&r, json_object_get(root, "model"));
    if (result != RT_OK)
        return result;
    if (!r.byte_level && !r.marks_spaces)
        return rti_fail(host, RT_ERROR_UNSUPPORTED, "%s: neither ByteLevel nor spaces marked by U+2581: this kind of BPE is not "
                                                    "known", path);
    source->kind = r.byte_level ? RTI_TOKENIZER_BYTE_BPE : RTI_TOKENIZER_TEXT_BPE;
    source->normalizer.add_dummy_prefix = r.prepends;
    source->normalizer.escape_whitespaces = r.marks_spaces;
    read_post_processor(&r, json_object_get(root, "post_processor"));
    guess_ends(source);
    return RT_OK;
}

// A string, or an object with "content".
static rti_text token_text(const json_t *config, const char *key)
{
    const json_t *value = json_object_get(config, key);
    return json_is_object(value) ? rti_json_text(value, "content") : rti_json_text(config, key);
}

static void set_id(const json_t *config, const char *key, rti_tokenizer_source *source, int32_t *id)
{
    int32_t found = find_token(source, token_text(config, key));
    if (found >= 0)
        *id = found;
}

rt_result rti_tokenizer_source_config(const rt_host *host, const json_t *config, rti_tokenizer_source *source)
{
    (void)host;
    set_id(config, "bos_token", source, &source->bos);
    set_id(config, "eos_token", source, &source->eos);
    set_id(config, "pad_token", source, &source->padding);
    // "unk_token" is left alone: where the model has none, unknown bytes are dropped and a config cannot change that.
    const json_t *adds = json_object_get(config, "add_bos_token");
    if (json_is_boolean(adds))
        source->adds_bos = json_is_true(adds);
    const json_t *decoder = json_object_get(config, "added_tokens_decoder");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)decoder, key, value) {
        rti_text content = rti_json_text(value, "content");
        int32_t id = find_token(source, content);
        char number[16];
        snprintf(number, sizeof(number), "%d", (int)id);
        if (id >= 0 && strcmp(number, key) == 0 && json_is_true(json_object_get(value, "special")) &&
            source->types[id] != RTI_PIECE_UNKNOWN)
            source->types[id] = RTI_PIECE_CONTROL;
    }
    const json_t *templates = json_object_get(config, "chat_template");
    if (json_is_array(templates)) // named ones: the first called "default"
        for (size_t i = 0; i < json_array_size(templates); i++)
            if (rti_json_text_is(json_array_get(templates, i), "name", "default"))
                source->chat_template = rti_json_text(json_array_get(templates, i), "template");
    if (json_is_string(templates))
        source->chat_template = rti_json_text(config, "chat_template");
    return RT_OK;
}
