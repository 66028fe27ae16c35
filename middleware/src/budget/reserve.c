// budget/reserve.c - a late update adds what it was late by and some more, each that is not takes a little away, the more the
// larger the reserve is (a noisy minute must not be paid for an hour). It settles where less than one in a thousand is late.
// SPDX-License-Identifier: MIT
#include "budget/reserve.h"

static const double FIRST_NS = 60e3, LEAST_NS = 2e3, MOST_NS = 300e3; // the first: until the machine has shown what it does
static const double LATE_MOST_NS = 60e3, LATE_MORE_NS = 40e3, DECAY_NS = 10, DECAY = 1.0 / 4000;
static const double MOST_OF_BUDGET = 0.05;

void rpi_reserve_init(rpi_reserve *reserve)
{
    reserve->ns = FIRST_NS;
}

uint64_t rpi_reserve_of(const rpi_reserve *reserve, uint64_t budget_ns)
{
    double kept = RPI_MIN(reserve->ns, (double)budget_ns * MOST_OF_BUDGET);
    return (uint64_t)RPI_MAX(kept, RPI_MIN(LEAST_NS, (double)budget_ns / 2));
}

void rpi_reserve_learn(rpi_reserve *reserve, uint64_t used_ns, uint64_t budget_ns)
{
    // Late by what it learned, also where a small budget kept less than that free.
    double late_ns = (double)used_ns + (double)rpi_reserve_of(reserve, budget_ns) - (double)budget_ns - reserve->ns;
    if (late_ns > 0)
        reserve->ns += RPI_MIN(late_ns, LATE_MOST_NS) + LATE_MORE_NS;
    else
        reserve->ns -= DECAY_NS + reserve->ns * DECAY;
    reserve->ns = RPI_MIN(RPI_MAX(reserve->ns, LEAST_NS), MOST_NS);
}
