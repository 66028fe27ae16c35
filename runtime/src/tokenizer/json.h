// tokenizer/json.h - the JSON readers: tekken.json, tokenizer.json and the tokenizer_config.json next to them.
// SPDX-License-Identifier: MIT
#ifndef RTI_TOKENIZER_JSON_H
#define RTI_TOKENIZER_JSON_H

#include "tokenizer/tokenizer.h"

#include <jansson.h>

// The texts of `source` point into `root`.
rt_result rti_tokenizer_source_tekken(const rt_host *host, const char *path, const json_t *root,
                                      rti_tokenizer_source *source);
rt_result rti_tokenizer_source_huggingface(const rt_host *host, const char *path, const json_t *root,
                                           rti_tokenizer_source *source);
// What tokenizer_config.json adds: special ids by spelling, whether BOS is added, the chat template.
rt_result rti_tokenizer_source_config(const rt_host *host, const json_t *config, rti_tokenizer_source *source);

// A member that is a string, or {NULL, 0}.
static inline rti_text rti_json_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? (rti_text){json_string_value(value), json_string_length(value)} : (rti_text){NULL, 0};
}

static inline bool rti_json_text_is(const json_t *object, const char *key, const char *text)
{
    rti_text value = rti_json_text(object, key);
    return value.data && strlen(text) == value.size && memcmp(text, value.data, value.size) == 0;
}

#endif
