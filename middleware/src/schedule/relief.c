// schedule/relief.c - a moment for all others although somebody is in focus.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "schedule/schedule.h"

// Of the time that turns in focus take this share goes to all others, a slice at a time: a focus that never ends must not
// silence everybody else. Little enough not to be noticed.
static const double RELIEF_SHARE = 0.03, RELIEF_NS = 200e3, MOST_DEBT_NS = 400e3;

bool rpi_relief_is_due(const rp_world *world)
{
    return world->scheduler->debt_ns >= RELIEF_NS;
}

void rpi_relief_settle(rpi_scheduler *scheduler, int32_t pass_rank, uint64_t elapsed_ns)
{
    double change = pass_rank == 0 ? RELIEF_SHARE * (double)elapsed_ns : -(double)elapsed_ns;
    scheduler->debt_ns = RPI_MIN(RPI_MAX(scheduler->debt_ns + change, 0.0), MOST_DEBT_NS);
}
