// turn/record.h - turns written down while they go on, as trace/replay.c reads them.
// SPDX-License-Identifier: MIT
#ifndef RPI_RECORD_H
#define RPI_RECORD_H

#include "repartee/record.h"

struct rpi_slot;

// Each does nothing where nothing is recorded. A turn for whose record there is no memory is left out.
void rpi_record_prompt(rp_world *world, struct rpi_slot *slot); // it is about to be put together
void rpi_record_answer(rp_world *world, struct rpi_slot *slot, const char *tool, rp_call_status status, rp_text answer);
void rpi_record_end(rp_world *world, struct rpi_slot *slot, const char *end, rp_text reply);
void rpi_record_stop(rp_world *world);

#endif
