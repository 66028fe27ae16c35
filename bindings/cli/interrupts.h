// interrupts.h - whether the processor was taken from this thread: what no prediction of its work can know.
// SPDX-License-Identifier: MIT
#ifndef CLI_INTERRUPTS_H
#define CLI_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct interrupts {
    uint64_t served; // by the processor that this thread runs on, since the machine started; 0: unknown
    int processor;
} interrupts;

// False where the system does not tell (Linux does).
bool interrupts_read(interrupts *seen);
// Whether between two readings the thread stayed on its processor and that served no interrupt, timers included.
bool interrupts_none(const interrupts *before, const interrupts *after);

#endif
