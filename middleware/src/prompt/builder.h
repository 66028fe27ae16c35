// prompt/builder.h - a prompt as text and as pieces that become tokens: format strings may be special tokens, contents never
// are.
// SPDX-License-Identifier: MIT
#ifndef RPI_PROMPT_BUILDER_H
#define RPI_PROMPT_BUILDER_H

#include "prompt/text.h"
#include "repartee/format.h"

// Text that is encoded as one run, or a special token.
typedef struct rpi_prompt_piece {
    size_t begin, size; // of the prompt's text
    rt_token token;     // RT_TOKEN_NONE: text
} rpi_prompt_piece;

typedef struct rpi_builder {
    const rp_format *format;
    const rt_tokenizer *tokenizer; // NULL: text only
    rpi_text text;                 // the prompt so far, special tokens spelled out
    size_t run;                    // where the text begins that is not yet in a piece
    bool after_control;            // the last piece was a special token
    rpi_prompt_piece *pieces;
    size_t count, capacity;
    rt_result result; // see also text.result
} rpi_builder;

// A string of the format: special tokens where the vocabulary has them. NULL adds nothing.
void rpi_builder_format(rpi_builder *builder, const char *string);
// Plain text from anywhere: never a special token.
void rpi_builder_content(rpi_builder *builder, rp_text content, bool strip);
// Plain text that the caller has just written to builder->text itself, from offset `start` on.
void rpi_builder_written(rpi_builder *builder, size_t start);
// What is pending becomes a piece. What follows is a run of its own.
void rpi_builder_cut(rpi_builder *builder);

bool rpi_builder_reserve(rpi_builder *builder, size_t count); // pieces
rt_result rpi_builder_result(const rpi_builder *builder);

// The special token whose spelling stands at `at`, or RT_TOKEN_NONE; *length is that of the spelling.
rt_token rpi_special_at(const rt_tokenizer *tokenizer, const char *at, const char *end, size_t *length);

#endif
