// times.h - what each frame took, and how much of it the minds took.
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_TIMES_H
#define GRIFFIN_TIMES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct frame_time {
    uint32_t minds_us; // inside rp_world_update
    uint32_t rest_us;  // the game and its drawing, without waiting for the display
} frame_time;

typedef struct frame_times {
    frame_time *frames; // all of them
    int count, capacity;
} frame_times;

typedef struct percentiles {
    double p50, p99, p999, max;
} percentiles;

void times_add(frame_times *t, uint32_t minds_us, uint32_t rest_us);
void times_end(frame_times *t);
// Of the last `last` frames (0: all). `which`: 0 the minds' part, 1 the rest, 2 both.
percentiles times_percentiles(const frame_times *t, int last, int which);

#endif
