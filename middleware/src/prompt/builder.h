// prompt/builder.h - pieces of a prompt to tokens: format strings may be special tokens, contents never are.
// SPDX-License-Identifier: MIT
#ifndef RPI_PROMPT_BUILDER_H
#define RPI_PROMPT_BUILDER_H

#include "prompt/text.h"
#include "repartee/format.h"

typedef struct rpi_builder {
    const rp_format *format;
    const rt_tokenizer *tokenizer; // NULL: text only
    rpi_text text;                 // the prompt so far, special tokens spelled out
    size_t run;                    // where the text begins that is not yet encoded
    bool after_control;            // the last thing encoded was a special token
    rt_token *ids;
    size_t count, capacity;
    rt_result result; // of encoding; see also text.result
} rpi_builder;

// A string of the format: special tokens where the vocabulary has them. NULL adds nothing.
void rpi_builder_format(rpi_builder *builder, const char *string);
// Plain text from anywhere: never a special token.
void rpi_builder_content(rpi_builder *builder, rp_text content, bool strip);
// Plain text that the caller has just written to builder->text itself, from offset `start` on.
void rpi_builder_written(rpi_builder *builder, size_t start);
// Encodes what is pending. What follows is a run of its own.
void rpi_builder_cut(rpi_builder *builder);

bool rpi_builder_reserve_ids(rpi_builder *builder, size_t count);
rt_result rpi_builder_result(const rpi_builder *builder);

// The special token whose spelling stands at `at`, or RT_TOKEN_NONE; *length is that of the spelling.
rt_token rpi_special_at(const rt_tokenizer *tokenizer, const char *at, const char *end, size_t *length);

#endif
