// schedule/pass.h - passes of the runtime with the rows of many turns: put together, taken apart.
// SPDX-License-Identifier: MIT
#ifndef RPI_PASS_H
#define RPI_PASS_H

#include "schedule/schedule.h"

size_t rpi_pass_candidate_bytes(void); // of scratch for one slot

// Puts the most urgent rows together and begins a pass. *started is false where there is nothing to begin.
void rpi_pass_start(rp_world *world, uint64_t now_ns, bool *started);
// What beginning one now would take, in rows; 0: there is nothing to begin.
int32_t rpi_pass_rows_waiting(rp_world *world, uint64_t now_ns);

// One step of taking a finished pass apart: a row of logits, or the end. False: nothing of the kind.
rpi_chore rpi_pass_next_step(const rp_world *world, const rpi_pass *pass);
void rpi_pass_run_step(rp_world *world, rpi_pass *pass);

// Ends a pass early; the turns in it fail with `result`, or, where it is RT_OK, go on as if it had not been.
void rpi_pass_drop(rp_world *world, rpi_pass *pass, rt_result result);
// Drops passes in which nobody is interested any more.
void rpi_pass_drop_orphans(rp_world *world);

int32_t rpi_pass_rank(const rp_world *world, const rpi_pass *pass, uint64_t now_ns);

#endif
