// prompt/text.h - a growing piece of text with a sticky result, and JSON written into it as Python's json.dumps would.
// SPDX-License-Identifier: MIT
#ifndef RPI_PROMPT_TEXT_H
#define RPI_PROMPT_TEXT_H

#include "repartee/ids.h"

// Text that grows through the host. After a failure every further call does nothing: look at `result` once, at the end.
typedef struct rpi_text {
    char *data; // zero-terminated once anything was added
    size_t size, capacity;
    rt_host host;
    rt_result result;
} rpi_text;

void rpi_text_add(rpi_text *text, const char *bytes, size_t size);
void rpi_text_add_string(rpi_text *text, const char *string); // NULL adds nothing
// The same with everything that is not UTF-8 replaced by U+FFFD, one for each maximal invalid part.
void rpi_text_add_utf8(rpi_text *text, const char *bytes, size_t size);
bool rpi_text_reserve(rpi_text *text, size_t capacity);
void rpi_text_free(rpi_text *text);

// Memory through the host, C library where it has none. Blocks of at least 16 bytes alignment.
void *rpi_prompt_resize(const rt_host *host, void *pointer, size_t old_size, size_t new_size);

// Room for `count` elements. False: no memory, everything is as it was.
bool rpi_prompt_reserve_array(const rt_host *host, void **array, size_t *capacity, size_t count, size_t size);

// rt_raise with a format.
rt_result rpi_prompt_fail(const rt_host *host, rt_result code, const char *format, ...) RT_PRINTF(3, 4);

// ---------------------------------------------------------------------------------------------------------------------
// JSON, read in place
// ---------------------------------------------------------------------------------------------------------------------

#define RPI_JSON_DEPTH 512

// The end of the JSON value at `at` (after white space), or NULL where there is none. Strict RFC 8259, any UTF-8.
const char *rpi_json_skip(const char *at, const char *end);
// Whether all of it is one JSON value, with white space around it.
bool rpi_json_is_value(const char *text, size_t size);

// Walks an array or an object. *at starts at the value; false at its end (or when it is no such thing).
typedef struct rpi_json_walk {
    const char *at, *end;
    bool is_object, started;
    rp_text key;   // raw, with its quotes
    rp_text value; // raw
} rpi_json_walk;
rpi_json_walk rpi_json_begin(rp_text value);
bool rpi_json_next(rpi_json_walk *walk);

// A member of an object; an empty text where there is none. The last one wins, as in Python.
rp_text rpi_json_member(rp_text object, const char *key);
char rpi_json_kind(rp_text value); // '{' '[' '"' 't' 'f' 'n' '0', or 0

// ---------------------------------------------------------------------------------------------------------------------
// JSON, written
// ---------------------------------------------------------------------------------------------------------------------

// A value, normalised: ", " and ": ", raw UTF-8, the shortest form of each number. indent > 0: that many spaces a level,
// beginning at `level`.
void rpi_json_write(rpi_text *text, rp_text value, int indent, int level);
// Plain UTF-8 as a JSON string; what is not UTF-8 becomes U+FFFD.
void rpi_json_write_string(rpi_text *text, const char *bytes, size_t size);
// The characters that a raw JSON string stands for.
void rpi_json_decode_string(rpi_text *text, rp_text raw);

#endif
