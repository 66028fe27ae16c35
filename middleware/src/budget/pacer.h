// budget/pacer.h - the pacer: total frame times in, budget out. Knows no world and no clock.
// SPDX-License-Identifier: MIT
#ifndef RPI_PACER_H
#define RPI_PACER_H

#include "common/common.h"
#include "repartee/world.h"

typedef struct rpi_pacer {
    double budget_us;
    double ceiling_us; // budget at which a frame was last missed
    uint32_t good_frames, hold_frames;
    bool unpaced;
    uint32_t used_us; // by the updates since the last frame
} rpi_pacer;

void rpi_pacer_init(rpi_pacer *pacer, const rp_pacer_def *def);
// A frame took so long; returns what it grants from now on.
uint32_t rpi_pacer_frame(rpi_pacer *pacer, const rp_pacer_def *def, uint32_t frame_us);
uint32_t rpi_pacer_budget(const rpi_pacer *pacer, const rp_pacer_def *def);

#endif
