// serve/serve.h - a turn in its slot, one short step at a time.
//
// In each stage a slot has either chores, short pieces of work that the scheduler has done when there is time, or segments:
// tokens that passes compute, whose logits come back.
// SPDX-License-Identifier: MIT
#ifndef RPI_SERVE_H
#define RPI_SERVE_H

#include "budget/cost.h"
#include "turn/turn.h"

// Puts a waiting turn into a free slot.
void rpi_serve_start(rp_world *world, rpi_turn *turn, rpi_slot *slot);

// The chore that the slot waits for, and how much of it; NONE where it waits for passes or the game.
rpi_chore rpi_serve_chore(const rp_world *world, const rpi_slot *slot, double *amount);
// Whether that chore calls into the game.
bool rpi_serve_chore_is_callback(const rpi_slot *slot);
// Does it; `budget_us` for those that can be cut.
void rpi_serve_run_chore(rp_world *world, rpi_slot *slot, uint32_t budget_us);

// Takes the logits of a row: samples or scores. The pass is done but not yet committed.
rt_result rpi_serve_take_logits(rp_world *world, rpi_slot *slot, rpi_segment *segment, int32_t index, rt_pass *pass,
                                int32_t row);

#endif
