// prompt/calls.h - calls in a reply, as each family writes them: how one begins, what its grammar is, what it says.
//
//     rpi_call_syntax_of(format, tokenizer, &syntax);            // once a model
//     rpi_call_schema(format, tools, 4, &schema);                // for RT_GRAMMAR_TRIGGERED, with the syntax's trigger
//     rpi_calls_parse(format, reply, triggered, seed, &calls);   // what the model wrote
//
// SPDX-License-Identifier: MIT
#ifndef RPI_PROMPT_CALLS_H
#define RPI_PROMPT_CALLS_H

#include "prompt/text.h"
#include "repartee/format.h"

#define RPI_MAX_CALLS    16 // in one reply
#define RPI_CALL_ID_SIZE 9  // characters of an id, letters and digits: what Mistral's models were trained on

typedef struct rpi_call_syntax {
    // What turns free text into calls: a special token, or text; neither where a call is the whole reply (`whole_reply`).
    rt_token trigger_token; // RT_TOKEN_NONE where there is none
    const char *trigger;    // NULL where there is none
    bool whole_reply;
    bool is_list;      // a JSON array of calls follows, else one object
    const char *after; // text that the model writes after a call ("\n</tool_call>"), or NULL; the parser does without
} rpi_call_syntax;

// UNSUPPORTED for a format of RP_CALLS_CHOOSE: it has no syntax for calls. The strings are the format's.
rt_result rpi_call_syntax_of(const rp_format *format, const rt_tokenizer *tokenizer, rpi_call_syntax *syntax);

// The JSON Schema of what follows the trigger: one of the tools' calls, or a list of at most `max_calls` (1 to
// RPI_MAX_CALLS). `tools` as for rp_prompt_render. Appends to `schema`. BAD_TEXT names what is wrong with a tool.
rt_result rpi_call_schema(const rp_format *format, const char *tools, int max_calls, rpi_text *schema);

// A tool's parameters as they stand in a larger schema at the JSON pointer `at` ("" for the root): references into the
// schema itself are moved there, and an object that does not say whether it is open is closed, since a parameter that no
// one documented means nothing to the game. Empty or null parameters become an object without members.
void rpi_parameters_schema(rpi_text *schema, rp_text parameters, const char *at);

typedef struct rpi_calls {
    rp_text before; // what was said before the first call, without the marker: part of the reply that was parsed
    int count;
    rpi_text json; // [{"name": .., "arguments": {..}, "id": ".."}], for RP_ROLE_CALLS
    struct {
        uint32_t name, name_size, arguments, arguments_size,
            id; // offsets into json; the name is raw, without its quotes
    } list[RPI_MAX_CALLS];
} rpi_calls;

// Reads the calls of a reply. `triggered`: the reply begins right after the trigger. No call at all is no error (count 0,
// before = reply). A call that was cut off, or is no JSON, is BAD_TEXT; the calls before it are then still in *calls.
// Ids that the model did not give are made from `seed` and the call's number. `calls` is zeroed, or from an earlier parse;
// its json.host is used. Release with rpi_calls_free.
rt_result rpi_calls_parse(const rp_format *format, rp_text reply, bool triggered, uint64_t seed, rpi_calls *calls);
void rpi_calls_free(rpi_calls *calls);

rp_text rpi_calls_arguments(const rpi_calls *calls, int index); // a JSON object
rp_text rpi_calls_id(const rpi_calls *calls, int index);
// Appends the name, its escapes decoded.
void rpi_calls_name(const rpi_calls *calls, int index, rpi_text *name);

// Appends one call to calls->json, as rpi_calls_parse does: for calls that were chosen, not written by the model. `name` is
// plain text, `arguments` JSON. TOO_LARGE past RPI_MAX_CALLS.
rt_result rpi_calls_add(rpi_calls *calls, rp_text name, rp_text arguments, uint64_t seed);

#endif
