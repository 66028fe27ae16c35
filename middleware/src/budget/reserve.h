// budget/reserve.h - what is kept free at the end of an update: for leaving, and for what the system does to the last pieces
// (timer interrupts take a busy core 20 to 120 microseconds). Learned; knows no world and no clock.
// SPDX-License-Identifier: MIT
#ifndef RPI_RESERVE_H
#define RPI_RESERVE_H

#include "common/common.h"

typedef struct rpi_reserve {
    double ns;
} rpi_reserve;

void rpi_reserve_init(rpi_reserve *reserve);
// Of a budget.
uint64_t rpi_reserve_of(const rpi_reserve *reserve, uint64_t budget_ns);
// An update that ended because nothing more fitted took so much of its budget.
void rpi_reserve_learn(rpi_reserve *reserve, uint64_t used_ns, uint64_t budget_ns);

#endif
