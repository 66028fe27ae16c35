// turn/native.h - calls that a model writes into its reply itself, as its family was trained to.
//
// A reply is free text until the model opens a call: with a token or a text of its format. From there on it writes under
// the mask of one schema over the functions that it may call now. What is written becomes calls, which run one after
// another as chosen ones do; then the model reads what came of them and speaks on.
// SPDX-License-Identifier: MIT
#ifndef RPI_NATIVE_H
#define RPI_NATIVE_H

#include "common/common.h"
#include "prompt/calls.h"
#include "rt/context.h"
#include "rt/grammar.h"

struct rpi_slot;

// How the world's model writes calls: made with the world.
typedef struct rpi_call_style {
    bool is_on; // false: calls are chosen before the reply, see call/choose.c
    rpi_call_syntax syntax;
    const char *marker;    // what opens a call, without white space; "" where nothing does (the whole reply is a call)
    size_t marker_size;
    const char *behind;    // what stands between the marker and the call
    uint32_t *without_calls; // mask of the tokens that a reply may have where nothing can be called
    size_t mask_words;
} rpi_call_style;

// What a turn has of it.
typedef struct rpi_native {
    rt_grammar *grammar; // of what can be called now; NULL: nothing
    bool off;            // no more calls in this turn
    bool opened;         // the reply has opened a call: it goes on with its next step
    bool between;        // one is written, and perhaps another follows
    bool made;           // one of these calls was made
    bool keeps_token;    // `token`, the last one, opened the call exactly; else `lead` is written in its place
    rt_token token;
    rpi_buffer lead;     // what has to be written before the call
    rpi_buffer tail;     // what was written since the last call
    rpi_text schema, name;
    rpi_calls calls;
    int32_t written, next; // calls in this reply; the next one to be made
    uint32_t group;        // number of the reply that has calls, from 1
    size_t reply_begin;    // of what is said now, in the whole reply
} rpi_native;

rt_result rpi_call_style_create(rp_world *world);
void rpi_call_style_free(rp_world *world);

void rpi_native_create(rp_world *world, struct rpi_slot *slot);
void rpi_native_reset(struct rpi_slot *slot);
void rpi_native_free(rp_world *world, struct rpi_slot *slot);

// The offers of this turn as a JSON array; `usable`: only those that may still be called.
bool rpi_native_write_tools(rp_world *world, struct rpi_slot *slot, bool usable, rpi_buffer *text);
// How many calls the turn may still make.
int32_t rpi_native_calls_left(const rp_world *world, const struct rpi_slot *slot);
// Compiles what may be called now, for about `budget_us`.
rt_result rpi_native_compile(rp_world *world, struct rpi_slot *slot, uint32_t budget_us, bool *done);

// While the model talks: the mask of free text, or NULL; whether a token opens a call; whether the held text does, of
// which `before` bytes stood there before the last token; how much of it cannot be the beginning of a call.
const uint32_t *rpi_native_mask(const rp_world *world, const struct rpi_slot *slot);
bool rpi_native_takes_token(const rp_world *world, struct rpi_slot *slot, rt_token token);
rt_result rpi_native_take_text(rp_world *world, struct rpi_slot *slot, size_t before);
size_t rpi_native_showable(const rp_world *world, const struct rpi_slot *slot);

// The last token of `text` (its bytes from `before` on) has completed the marker, which ends at `end`.
rt_result rpi_native_open_behind(rp_world *world, struct rpi_slot *slot, const rpi_buffer *text, size_t before, size_t end);

#endif
