// frames.h - what the frame benchmarks share: samples, a spin of known length, and characters that never stop talking.
// SPDX-License-Identifier: MIT
#ifndef CLI_FRAMES_H
#define CLI_FRAMES_H

#include "shared.h"

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
// Runs spins of `slice_us` as the scheduler runs slices: none is begun that would not fit. Returns the microseconds it took.
double spin_fill(const spin *spin, double slice_us, double budget_us);

// Waits until the clock shows `deadline_ns`: sleeps first, then watches the clock. Returns how late it woke, in microseconds.
double wait_until(uint64_t deadline_ns);

// N characters in a world, each given the next line as soon as it has answered.
typedef struct cast {
    rp_world *world;
    rp_character_id *ids;
    bool *talking;
    int count, next_line;
    samples first_text; // microseconds from the line to the first word
    uint64_t replies, failures;
} cast;
bool cast_create(cast *cast, rp_world *world, int count);
void cast_keep_talking(cast *cast);
void cast_take_events(cast *cast);
void cast_destroy(cast *cast); // not the world

#endif
