// SPDX-License-Identifier: MIT
#include "frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
        uint64_t start = clock_ns();
        spin_rounds(rounds);
        double rate = (double)rounds / ((double)(clock_ns() - start) * 1e-3);
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
    uint64_t start = clock_ns();
    while ((double)(clock_ns() - start) * 1e-3 + slice_us <= budget_us)
        spin_run(s, slice_us);
    return (double)(clock_ns() - start) * 1e-3;
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
// The cast
// ---------------------------------------------------------------------------------------------------------------------

static const char *const trades[] = {"innkeeper", "guard", "smith", "fisher", "herbalist", "bard", "baker", "ferryman"};
static const char *const tempers[] = {"dry and patient", "loud and cheerful", "suspicious of strangers",
                                      "kind but tired"};
static const char *const lines[] = {
    "Good evening. What news from the harbour?",
    "I lost a silver ring by the old mill. Have you seen it?",
    "How long have you lived in this town?",
    "They say the bridge is closed. Is that true?",
    "What would you do if a dragon came down from the hills?",
    "Can you tell me the way to the market square?",
    "I have three gold pieces. What can I buy for that?",
};

bool cast_create(cast *c, rp_world *world, int count)
{
    *c = (cast){.world = world, .count = count};
    c->ids = calloc((size_t)count, sizeof *c->ids);
    c->talking = calloc((size_t)count, sizeof *c->talking);
    if (!c->ids || !c->talking)
        return false;
    for (int i = 0; i < count; i++) {
        char name[32], persona[256];
        snprintf(name, sizeof name, "Villager %d", i + 1);
        snprintf(persona, sizeof persona,
                 "You are %s, a %s of the town of Harrowmere, %s. Answer in one or two short sentences, and never "
                 "leave your role.",
                 name, trades[i % 8], tempers[i / 8 % 4]);
        rp_character_def def = rp_default_character_def();
        def.name = name;
        def.persona = persona;
        def.max_history_turns = 4;
        def.max_reply_tokens = 48;
        if (rp_character_create(world, &def, &c->ids[i]) != RT_OK)
            return false;
    }
    return true;
}

void cast_keep_talking(cast *c)
{
    for (int i = 0; i < c->count; i++) {
        if (c->talking[i])
            continue;
        rp_say say = {.text = lines[c->next_line++ % 7],
                      .priority = i == 0  ? RP_PRIORITY_FOCUS
                                  : i < 4 ? RP_PRIORITY_NEARBY
                                          : RP_PRIORITY_AMBIENT};
        rp_turn_id turn;
        c->talking[i] = rp_character_say(c->world, c->ids[i], &say, &turn) == RT_OK;
        c->failures += !c->talking[i];
    }
}

static int index_of(const cast *c, rp_character_id id)
{
    for (int i = 0; i < c->count; i++)
        if (RP_ID_EQUAL(c->ids[i], id))
            return i;
    return -1;
}

void cast_take_events(cast *c)
{
    rp_event event;
    while (rp_world_next_event(c->world, &event)) {
        int index = index_of(c, event.character);
        bool over = event.kind == RP_EVENT_TURN_DONE || event.kind == RP_EVENT_TURN_FAILED ||
                    event.kind == RP_EVENT_TURN_CANCELLED || event.kind == RP_EVENT_TURN_DROPPED;
        if (!over || index < 0)
            continue;
        c->talking[index] = false;
        if (event.kind == RP_EVENT_TURN_DONE) {
            c->replies++;
            samples_add(&c->first_text, (double)event.first_text_us);
        } else {
            c->failures++;
        }
    }
}

void cast_destroy(cast *c)
{
    free(c->ids);
    free(c->talking);
    samples_free(&c->first_text);
    memset(c, 0, sizeof *c);
}
