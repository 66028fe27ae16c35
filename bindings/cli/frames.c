// SPDX-License-Identifier: MIT
#include "frames.h"
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// ---------------------------------------------------------------------------------------------------------------------
// The clock
// ---------------------------------------------------------------------------------------------------------------------

static bool by_thread;

void frames_use_clock(const char *name)
{
    by_thread = name && strcmp(name, "thread") == 0;
}

bool frames_are_real(void)
{
    return !by_thread;
}

uint64_t frames_now(void)
{
    struct timespec now;
    if (!by_thread)
        return clock_ns();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t frames_clock(void *unused)
{
    (void)unused;
    return frames_now();
}

// ---------------------------------------------------------------------------------------------------------------------
// Samples
// ---------------------------------------------------------------------------------------------------------------------

void samples_add(samples *s, double value)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 1024;
        double *grown = realloc(s->values, capacity * sizeof *grown);
        if (!grown)
            return;
        s->values = grown;
        s->capacity = capacity;
    }
    s->values[s->count++] = value;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The smallest value that at least `share` of the samples do not exceed.
double samples_quantile(const samples *s, double share)
{
    double *sorted = s->count ? malloc(s->count * sizeof *sorted) : NULL;
    if (!sorted)
        return 0;
    memcpy(sorted, s->values, s->count * sizeof *sorted);
    qsort(sorted, s->count, sizeof *sorted, by_value);
    double place = share * (double)s->count;
    size_t index = place <= 1 ? 0 : (size_t)place - ((double)(size_t)place == place);
    double value = sorted[index < s->count ? index : s->count - 1];
    free(sorted);
    return value;
}

double samples_mean(const samples *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->count; i++)
        sum += s->values[i];
    return s->count ? sum / (double)s->count : 0;
}

void samples_free(samples *s)
{
    free(s->values);
    memset(s, 0, sizeof *s);
}

// ---------------------------------------------------------------------------------------------------------------------
// Spins
// ---------------------------------------------------------------------------------------------------------------------

static volatile double spin_sink;

static void spin_rounds(uint64_t rounds)
{
    double value = 1.0;
    for (uint64_t i = 0; i < rounds; i++)
        value = value * 1.0000001 + 1e-9; // a chain: no processor makes it shorter
    spin_sink = value;
}

spin spin_calibrate(void)
{
    const uint64_t rounds = 200000;
    double best = 0;
    for (int i = 0; i < 50; i++) { // the fastest run is the one that nothing disturbed
        uint64_t start = frames_now();
        spin_rounds(rounds);
        double rate = (double)rounds / ((double)(frames_now() - start) * 1e-3);
        if (rate > best)
            best = rate;
    }
    return (spin){.rounds_per_us = best};
}

void spin_run(const spin *s, double microseconds)
{
    if (microseconds > 0)
        spin_rounds((uint64_t)(microseconds * s->rounds_per_us));
}

double spin_fill(const spin *s, double slice_us, double budget_us)
{
    const double shortest_us = 2;
    uint64_t start = frames_now();
    double left;
    while ((left = budget_us - (double)(frames_now() - start) * 1e-3) > shortest_us)
        spin_run(s, slice_us < left / 2 ? slice_us : left / 2);
    return (double)(frames_now() - start) * 1e-3;
}

double wait_until(uint64_t deadline_ns)
{
    const uint64_t watch_ns = 200000;
    uint64_t now = clock_ns();
    if (now + watch_ns < deadline_ns) {
        uint64_t wake = deadline_ns - watch_ns;
        struct timespec until = {(time_t)(wake / 1000000000u), (long)(wake % 1000000000u)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
        }
    }
    while ((now = clock_ns()) < deadline_ns) {
    }
    return (double)(now - deadline_ns) * 1e-3;
}

// ---------------------------------------------------------------------------------------------------------------------
// Figures
// ---------------------------------------------------------------------------------------------------------------------

void figure_set(json_t *figures, const char *key, double value)
{
    json_object_set_new(figures, key, json_figure(value));
}

void figure_count(json_t *figures, const char *key, uint64_t value)
{
    json_object_set_new(figures, key, json_integer((json_int_t)value));
}

int figures_print(const char *command, json_t *figures, bool json)
{
    if (json)
        return print_answer(command, figures);
    const char *key;
    json_t *value;
    json_object_foreach(figures, key, value)
    {
        if (json_is_string(value))
            printf("%-32s %s\n", key, json_string_value(value));
        else
            printf("%-32s %.6g\n", key, json_number_value(value));
    }
    json_decref(figures);
    return fflush(stdout) == 0 ? EXIT_DONE : failure(command, "cannot write to stdout");
}
