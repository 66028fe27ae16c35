// core/ring.h - a ring of what was done, when, and what it was thought to take.
// SPDX-License-Identifier: MIT
#ifndef RPI_RING_H
#define RPI_RING_H

#include "repartee/trace.h"

typedef enum rpi_trace_kind {
    RPI_TRACE_UPDATE = 0, // a: budget in microseconds
    RPI_TRACE_SLICE,      // a: pass, b: rows, c: first layer, d: last layer; predicted; left; rank
    RPI_TRACE_CHORE,      // a: rpi_chore, b: character; predicted
    RPI_TRACE_STAGE,      // a: rpi_stage that has ended, b: character, c: turn
    RPI_TRACE_PASS,       // a: pass, b: rows, c: turns
    RPI_TRACE_DETAIL,     // a: level
    RPI_TRACE_SERVED,     // a turn got a slot; a: its rank, b: character, c: turn; it lasts as long as it waited
    RPI_TRACE_DISPLACED,  // a turn lost its slot to a more urgent one; b: character, c: turn
    RPI_TRACE_REFUSED,    // nothing that waits fits what is left of the budget; left
} rpi_trace_kind;

typedef struct rpi_trace_entry {
    uint64_t begin_ns, duration_ns; // a turn may wait for longer than 32 bits hold
    uint32_t predicted_ns;
    uint32_t left_ns; // of the budget, when it was decided
    int16_t rank;
    uint16_t kind, d;
    int32_t a, b, c;
} rpi_trace_entry;

typedef struct rpi_trace {
    rpi_trace_entry *entries; // NULL: off
    uint32_t capacity;
    uint64_t count; // ever added
} rpi_trace;

// Adds an entry where the trace is on.
void rpi_trace_add(rp_world *world, rpi_trace_kind kind, uint64_t begin_ns, uint64_t end_ns, int32_t a, int32_t b, int32_t c);
// The last entry, to be filled in further; NULL where the trace is off.
rpi_trace_entry *rpi_trace_last(rp_world *world);
void rpi_trace_free(rp_world *world);

#endif
