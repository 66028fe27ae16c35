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

// How words of the line stand to an argument.
typedef enum rpi_standing {
    RPI_STANDING_SPENT = -2,  // another argument has them
    RPI_STANDING_SHARED = -1, // the same parameter had them in a call before this one
    RPI_STANDING_FREE = 0,
    RPI_STANDING_NEXT = 1,    // free, and the first number behind the one that the same parameter had
    RPI_STANDING_PARALLEL = 2, // free, and stand in the line as those that the same parameter had
    RPI_STANDING_PARALLEL_NEXT = 3,
} rpi_standing;

typedef struct rpi_copy {
    rt_token tokens[RPI_COPY_TOKENS]; // each copies on
    int8_t standing[RPI_COPY_TOKENS]; // of the best words that it copies
    int32_t count;
    bool may_close;     // what is written so far are whole words of the line
    rpi_standing close; // how these stand
} rpi_copy;

// Where copies come from, and what has been taken from it.
typedef struct rpi_source {
    rp_text line;
    rp_text calls;     // made before in this turn: a JSON array of objects with `name` and `arguments`, or empty
    rp_text name;      // of the tool that is called now, as JSON
    rp_text key;       // of the parameter that is written now, as JSON
    rp_text arguments; // of the call, JSON that was written before it, not necessarily complete
} rpi_source;

// What `content`, the beginning of a string or number, goes on with if it is a copy of words of the line.
// `of_few`: the schema lists what it may be; such lists are often capitalised.
void rpi_copy_find(const rt_tokenizer *tokenizer, const rpi_source *source, rp_text content, rpi_literal literal,
                   bool of_few, rpi_copy *copy);

#endif
