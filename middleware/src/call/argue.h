// call/argue.h - the arguments of a call, parameter by parameter: what each is, where a value ends, what it may copy.
// SPDX-License-Identifier: MIT
#ifndef RPI_ARGUE_H
#define RPI_ARGUE_H

#include "common/common.h"
#include "rt/tokenizer.h"
#include "turn/decision.h"

enum { RPI_SIDE_TALK = 0, RPI_SIDE_PLAIN = 1 }; // of a segment: behind the conversation, behind the call alone

// ---------------------------------------------------------------------------------------------------------------------
// Parameters, as the schema lists them
// ---------------------------------------------------------------------------------------------------------------------

typedef struct rpi_parameter {
    rp_text key;         // raw, with its quotes; the schema's memory
    rp_text description; // raw, or empty
    rp_text fallback;    // the schema's default, raw, or empty
    bool is_required;
} rpi_parameter;

// Whether the schema says no more about the members than which properties there are. Else arguments are written as one piece
// under their mask.
bool rpi_parameters_are_listed(rp_text schema);

// The parameter with that number; false where there is none.
bool rpi_parameter_read(rp_text schema, int32_t number, rpi_parameter *parameter);

// ---------------------------------------------------------------------------------------------------------------------
// A JSON value while it is written
// ---------------------------------------------------------------------------------------------------------------------

// Takes bytes until the value is over; how many of them are part of it.
size_t rpi_value_take(rpi_value *value, const char *bytes, size_t size);

// ---------------------------------------------------------------------------------------------------------------------
// Copying from what was said
// ---------------------------------------------------------------------------------------------------------------------

enum { RPI_COPY_TOKENS = 64 };

typedef struct rpi_copy {
    rt_token tokens[RPI_COPY_TOKENS]; // each copies on
    bool is_spent[RPI_COPY_TOKENS];   // only from words that an argument has already
    int32_t count;
    bool may_close;    // what is written so far are whole words of the line
    bool closes_spent; // which an argument has already
} rpi_copy;

// What `content`, the beginning of a string or number, goes on with if it is a copy of words of `line`. `arguments`: JSON
// that was written before it, not necessarily complete: its strings and numbers are spent.
// `of_few`: the schema lists what it may be; such lists are often capitalised.
void rpi_copy_find(const rt_tokenizer *tokenizer, rp_text line, rp_text arguments, rp_text content, rpi_literal literal,
                   bool of_few, rpi_copy *copy);

#endif
