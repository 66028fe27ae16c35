// frames.h - what the frame benchmarks share: a clock, samples, figures, a spin of known length.
// SPDX-License-Identifier: MIT
#ifndef CLI_FRAMES_H
#define CLI_FRAMES_H

#include "shared.h"

// The clock that frames are measured by. "wall": the time that passes. "thread": the processor time of this thread, in which
// other programs' work does not count; nothing is waited for then.
void frames_use_clock(const char *name); // NULL: "wall"
bool frames_are_real(void);              // by the wall's clock
uint64_t frames_now(void);
uint64_t frames_clock(void *unused); // the same, for rp_world_def.clock_ns

// Measurements, kept whole.
typedef struct samples {
    double *values;
    size_t count, capacity;
} samples;
void samples_add(samples *s, double value);              // drops the value where there is no memory
double samples_quantile(const samples *s, double share); // 0 where there are none
double samples_mean(const samples *s);
void samples_free(samples *s);

// A loop of arithmetic whose length is known: what the machine does to it, it does to any work of that length.
typedef struct spin {
    double rounds_per_us;
} spin;
spin spin_calibrate(void);
void spin_run(const spin *spin, double microseconds);
// Runs spins of `slice_us`, the last ones shorter, so that only the machine can make them late. Returns the microseconds
// that all of them took.
double spin_fill(const spin *spin, double slice_us, double budget_us);

// Waits until the clock shows `deadline_ns`: sleeps first, then watches the clock. Returns how late it woke, in microseconds.
double wait_until(uint64_t deadline_ns);

// Adds a number, with few digits; a count.
void figure_set(json_t *figures, const char *key, double value);
void figure_count(json_t *figures, const char *key, uint64_t value);
// Prints figures as one JSON object, or one on a line. Takes the reference; returns the exit code.
int figures_print(const char *command, json_t *figures, bool json);

#endif
