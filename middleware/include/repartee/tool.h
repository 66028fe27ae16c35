// repartee/tool.h - the functions of the game that characters may call.
//
// Parameters are a JSON Schema. A call's arguments always parse and always fit it: the model cannot write anything else.
// What a character may not do now does not exist for the model. `none` is always a choice (and no tool's name).
//
// Models without a call format of their own decide by descriptions: a description should read as a wish, "Pour the guest a
// drink"; only its first sentence counts. They are asked for each parameter by its description. A parameter that need not be
// given is left out where nothing that was said speaks for it, or where it would be the schema's `default`. Where a line asks for
// several things they make several calls, one after another, each when the one before it was answered; a call that was vetoed
// or failed does not keep the others from being made. A tool that is `once_per_turn` is called once, whatever the line lists.
//
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_TOOL_H
#define REPARTEE_TOOL_H

#include "repartee/ids.h"

#ifdef __cplusplus
extern "C" {
#endif

// A call that is about to run. Pointers are valid during the callback.
typedef struct rp_call {
    rp_call_id id;
    rp_tool_id tool;
    const char *name;           // of the tool, zero-terminated
    rp_character_id character;  // who calls
    rp_turn_id turn;
    const char *speaker;        // who talks to the character ("player" where rp_say had none)
    rp_text arguments;          // a JSON object that fits the schema, zero-terminated
} rp_call;

typedef enum rp_call_status {
    RP_CALL_ANSWERED = 0, // `answer` holds the result
    RP_CALL_LATER = 1,    // the game will call rp_call_answer, frames from now
    RP_CALL_VETOED = 2,   // the game forbids it; `answer` says why, in words for the model
    RP_CALL_FAILED = 3,   // it was tried and failed; `answer` says why
} rp_call_status;

// Where a callback writes text of any length. Copied by the library.
typedef struct rp_writer rp_writer;
RT_API rt_result rp_writer_add(rp_writer *writer, const char *text, size_t size);

// Runs a call: on the world's thread, inside rp_world_update. `answer` takes the result: JSON or plain words.
// It may use rp_* functions marked as allowed inside callbacks.
typedef rp_call_status rp_tool_function(void *user, rp_world *world, const rp_call *call, rp_writer *answer);

// Whether the character may use the tool in this turn. Called when the turn starts to be served. No rp_* calls inside.
typedef bool rp_tool_eligible_function(void *user, rp_world *world, rp_character_id character, const char *speaker);

// Writes the tool's parameters as they are now (live enums): called when a turn starts to be served, result cached by content.
// false: the tool is not offered in this turn (a live enum is empty, say).
typedef bool rp_tool_parameters_function(void *user, rp_world *world, rp_character_id character, rp_writer *schema);

typedef struct rp_tool_def {
    uint32_t cookie;         // set by rp_default_tool_def
    const char *name;        // any UTF-8 without control characters, at most 128 bytes; unique in the world
    const char *description; // what it does, for the model
    const char *parameters;  // JSON Schema of type object; NULL: no parameters. Copied, compiled at once: errors come here
    const char *result;      // JSON Schema that answers are checked against, or NULL
    rp_tool_parameters_function *live_parameters; // instead of `parameters`, or NULL
    rp_tool_eligible_function *eligible;          // NULL: always
    rp_tool_function *call;                       // required
    void *user;
    uint64_t cooldown_us;   // after a call, not offered to that character for this long
    bool once_per_turn;     // default true
    bool is_pure;           // reads only: needs no confirmation and may be repeated
    uint64_t timeout_us;    // for RP_CALL_LATER; then the call counts as failed. Default 10 s
} rp_tool_def;

RT_API rp_tool_def rp_default_tool_def(void);

// Errors: BAD_TEXT (schema does not parse), UNSUPPORTED (names keyword and JSON pointer), INVALID_ARGUMENT.
RT_API rt_result rp_tool_create(rp_world *world, const rp_tool_def *def, rp_tool_id *tool);
RT_API rt_result rp_tool_destroy(rp_world *world, rp_tool_id tool); // calls under way fail; allowed inside callbacks
RT_API rt_result rp_tool_find(const rp_world *world, const char *name, rp_tool_id *tool);
RT_API const char *rp_tool_name(const rp_world *world, rp_tool_id tool);

// Answers a call that said RP_CALL_LATER. Any status but RP_CALL_LATER. STALE_ID when its turn has ended or timed out.
// Allowed inside callbacks.
RT_API rt_result rp_call_answer(rp_world *world, rp_call_id call, rp_call_status status, const char *answer);

#ifdef __cplusplus
}
#endif
#endif
