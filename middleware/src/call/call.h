// call/call.h - from what a turn may do to what it does: offers, the choice, the arguments, the call.
//
// Two roads lead to a call. A model that was not trained for calls chooses before it speaks (choose.c) and then gives the
// arguments (argue.c). One that was writes its calls into the reply (turn/native.h) under a mask (write.c). Both end in call.c.
// SPDX-License-Identifier: MIT
#ifndef RPI_CALL_H
#define RPI_CALL_H

#include "turn/turn.h"

// call/offer.c
// Asks the game what this turn may use now (callbacks): fills the slot's offers.
rt_result rpi_offers_collect(rp_world *world, rpi_slot *slot);
// Compiles what is not compiled yet, for about `budget_us`.
rt_result rpi_offers_compile(rp_world *world, rpi_slot *slot, uint32_t budget_us, bool *done);

// call/choose.c
rt_result rpi_choose_prepare(rp_world *world, rpi_slot *slot); // candidates to tokens
rt_result rpi_choose_read(rp_world *world, rpi_slot *slot);    // what all share, to be computed with the prompt
rt_result rpi_choose_begin(rp_world *world, rpi_slot *slot);
rt_result rpi_choose_advance(rp_world *world, rpi_slot *slot); // all candidates are scored
rt_result rpi_choose_take(rp_world *world, rpi_slot *slot, rpi_segment *segment, int32_t index, rt_pass *pass,
                          int32_t row);

// call/argue.c
rt_result rpi_argue_begin(rp_world *world, rpi_slot *slot);
rt_result rpi_argue_mask(rp_world *world, rpi_slot *slot, uint32_t budget_us);
rt_result rpi_argue_advance(rp_world *world, rpi_slot *slot);

// call/another.c
bool rpi_another_may_follow(const rp_world *world, const rpi_slot *slot); // behind a call that was answered
rt_result rpi_another_begin(rp_world *world, rpi_slot *slot);
rt_result rpi_another_advance(rp_world *world, rpi_slot *slot); // the line was read
rt_result rpi_another_take(rp_world *world, rpi_slot *slot, const rpi_segment *segment, int32_t index, rt_pass *pass, int32_t row);
rt_result rpi_another_weigh(rp_world *world, rpi_slot *slot); // the arguments of a call are written: makes it, or not
rt_result rpi_another_end(rp_world *world, rpi_slot *slot);   // no more calls: what came of them is told

// call/weigh.c: takes the logits of an argument's next token, of one side or the other; the last one decides it.
rt_result rpi_argue_take(const rp_world *world, rpi_slot *slot, const rpi_segment *segment, rt_pass *pass, int32_t row);

// call/write.c
rt_result rpi_write_begin(rp_world *world, rpi_slot *slot); // the reply has opened a call
rt_result rpi_write_mask(rpi_slot *slot, uint32_t budget_us);
rt_result rpi_write_take(rpi_slot *slot, rt_pass *pass, int32_t row);
rt_result rpi_write_advance(rp_world *world, rpi_slot *slot); // takes the token that was sampled
rt_result rpi_write_end(rp_world *world, rpi_slot *slot);     // nothing more is written: makes the first call
rt_result rpi_write_next(rp_world *world, rpi_slot *slot);    // makes the next call, or goes on to speak

// call/emit.c
// What a slot writes under a mask: tokens behind those of its call, text encoded (`continues`: right behind other text), and
// a matcher at the start of a grammar; the slot's own is used again where it is for the same one.
rt_result rpi_emit_token(rp_world *world, rpi_slot *slot, rt_token token);
rt_result rpi_emit_text(rp_world *world, rpi_slot *slot, const char *text, size_t size, bool continues);
rt_result rpi_emit_begin(rp_world *world, rpi_slot *slot, rt_grammar *grammar);

// The token that was sampled for a slot, taken by its matcher: its bytes (the tokenizer's), and whether it ends a reply.
typedef struct rpi_emitted {
    const char *bytes;
    size_t size;
    bool ends;
} rpi_emitted;
rt_result rpi_emit_commit(rp_world *world, rpi_slot *slot, rpi_emitted *emitted);

// call/call.c
// Runs the slot's call (a callback). The slot then has an answer, or waits for one.
void rpi_call_run(rp_world *world, rpi_slot *slot);
// Takes the answer of the slot's call: event, counters, text for the model.
void rpi_call_finish(rp_world *world, rpi_slot *slot, rp_call_status status, const char *answer, size_t size);
// Calls that the game did not answer in time have failed.
void rpi_calls_expire(rp_world *world, uint64_t now_ns);

#endif
