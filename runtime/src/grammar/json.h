// grammar/json.h - a strict JSON reader for schemas.
//
// Why not the library that the rest uses: a schema's numbers must stay exact decimals ("multipleOf": 0.01), nesting is
// bounded by us rather than by the C stack, and reading can pause between two tokens.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_JSON_H
#define RTI_GRAMMAR_JSON_H

#include "grammar/pool.h"

typedef enum rti_json_kind {
    RTI_JSON_NULL,
    RTI_JSON_FALSE,
    RTI_JSON_TRUE,
    RTI_JSON_NUMBER, // text: as it was written
    RTI_JSON_STRING, // text: decoded UTF-8
    RTI_JSON_ARRAY,
    RTI_JSON_OBJECT,
} rti_json_kind;

#define RTI_JSON_NONE UINT32_MAX

// One value. Children are a list through `next`, in the order of the text; of equal keys the last one counts.
typedef struct rti_json_value {
    uint8_t kind;
    uint32_t first, next, parent; // values, RTI_JSON_NONE
    uint32_t count;               // children
    uint32_t key, key_size;       // into `text`; inside an object
    uint32_t text, text_size;     // into `text`
} rti_json_value;

typedef struct rti_json {
    rti_pool *pool;
    rti_json_value *values; // value 0 is the document
    uint32_t count, capacity;
    char *text; // decoded strings and numbers, one after another
    uint32_t text_size;
    // the reader
    const char *input;
    size_t size, at;
    uint32_t container, last; // open container and its last child
    int depth, max_depth;
    uint8_t state;
    uint32_t key, key_size;
} rti_json;

// Starts reading. `input` must outlive the reading. BAD_TEXT says line and column; TOO_LARGE names max_depth.
void rti_json_begin(rti_json *json, rti_pool *pool, const char *input, size_t size, int max_depth);
// Reads at most `tokens` tokens; true when the whole document was read.
bool rti_json_step(rti_json *json, uint32_t tokens);

static inline const rti_json_value *rti_json_at(const rti_json *json, uint32_t value)
{
    return &json->values[value];
}

static inline const char *rti_json_text(const rti_json *json, uint32_t value)
{
    return json->text + json->values[value].text;
}

// The member called `name`, or RTI_JSON_NONE.
uint32_t rti_json_member(const rti_json *json, uint32_t object, const char *name);
uint32_t rti_json_member_sized(const rti_json *json, uint32_t object, const char *name, size_t size);
bool rti_json_is_text(const rti_json *json, uint32_t value, const char *text);

// Writes the JSON pointer of a value ("/properties/a~1b"; "" for the document) for messages; cut with "..." if too long.
void rti_json_pointer(const rti_json *json, uint32_t value, char *out, size_t capacity);

#endif
