// repartee frame: a recorded game's frames, with characters talking in what the game leaves of them.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "frames.h"
#include "options.h"

#include <stdlib.h>
#include <string.h>

typedef struct play {
    model_options model;
    const char *trace;
    int64_t characters, frames, fps, guard;
    bool paced, json;
} play;

typedef struct figures {
    samples overshoot, noise;
    uint64_t frames, own_missed, missed, missed_with_spins;
    double idle_us, used_us; // of frames in which there was work
    double seconds, slice_us;
} figures;

#define BLOCK 120 // frames with characters, then the same ones with spins

// Reads the first column, milliseconds; a head line is fine. NULL: the problem is on stderr.
static double *read_trace(const char *path, size_t *count)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        failure("frame", "%s: cannot be read", path);
        return NULL;
    }
    samples times = {0};
    char *line = NULL;
    size_t capacity = 0;
    long number = 0;
    bool good = true;
    while (good && getline(&line, &capacity, file) > 0) {
        number++;
        char *end;
        double value = strtod(line, &end);
        bool is_number = end != line && (*end == ',' || *end == '\n' || *end == '\r' || !*end);
        if (!is_number && number == 1)
            continue;
        good = is_number && value >= 0 && value < 10000;
        if (good)
            samples_add(&times, value * 1e3);
        else
            failure("frame", "%s: line %ld: a render time in milliseconds was expected", path, number);
    }
    free(line);
    fclose(file);
    if (good && times.count == 0)
        failure("frame", "%s: it has no frames", path);
    *count = times.count;
    if (good && times.count)
        return times.values;
    samples_free(&times);
    return NULL;
}

// One frame: what the game renders, then what is left of it; then it waits for the display. With `c` NULL spins talk.
static void play_frame(const play *p, cast *c, const spin *s, double render_us, double period_us, uint64_t *next,
                       figures *f)
{
    uint64_t start = clock_ns(), deadline = start + (uint64_t)(period_us * 1e3);
    if (c)
        cast_keep_talking(c);
    while ((double)(clock_ns() - start) * 1e-3 < render_us) { // the game's own work
    }
    double idle = period_us - render_us, rendered = (double)(clock_ns() - start) * 1e-3;
    double left = period_us - rendered - (double)p->guard, took = 0;
    double budget = left > 0 ? left : 0;
    bool busy = c ? rp_world_is_busy(c->world) : true;
    uint64_t work = clock_ns();
    if (c) {
        uint32_t given = p->paced ? RP_BUDGET_PACED : (uint32_t)budget;
        if (p->paced)
            budget = rp_world_frame(c->world, (uint32_t)rendered);
        rp_world_update(c->world, given);
    } else {
        spin_fill(s, f->slice_us, budget);
    }
    took = (double)(clock_ns() - work) * 1e-3;
    if (c)
        cast_take_events(c);
    double total = (double)(clock_ns() - start) * 1e-3;
    samples_add(c ? &f->overshoot : &f->noise, took > budget ? took - budget : 0);
    if (c) {
        f->frames++;
        f->own_missed += render_us > period_us;
        f->missed += total > period_us && render_us <= period_us;
        if (busy && idle > 0) {
            f->idle_us += idle;
            f->used_us += took < idle ? took : idle;
        }
    } else {
        f->missed_with_spins += total > period_us && render_us <= period_us;
    }
    *next = deadline;
    if (total < period_us)
        wait_until(deadline);
}

static void measure(const play *p, cast *c, const double *times, size_t count, figures *f)
{
    double period = 1e6 / (double)p->fps;
    uint64_t next = 0, limit = clock_ns() + 30000000000u;
    while (c->replies < (uint64_t)p->characters && clock_ns() < limit && c->failures == 0) { // warm
        cast_keep_talking(c);
        rp_world_update(c->world, 20000);
        cast_take_events(c);
    }
    spin s = spin_calibrate();
    for (size_t i = 0; i < BLOCK && i < count; i++)
        play_frame(p, c, &s, times[i], period, &next, f);
    samples_free(&f->overshoot);
    *f = (figures){0};
    rp_world_reset_stats(c->world);
    rp_stats stats;
    for (size_t done = 0; done < count; done += BLOCK) {
        size_t end = done + BLOCK < count ? done + BLOCK : count;
        uint64_t start = clock_ns();
        for (size_t i = done; i < end; i++)
            play_frame(p, c, &s, times[i], period, &next, f);
        f->seconds += (double)(clock_ns() - start) * 1e-9;
        rp_world_get_stats(c->world, &stats);
        f->slice_us = stats.slices ? (double)stats.used_us / (double)stats.slices : 100;
        for (size_t i = done; i < end; i++)
            play_frame(p, NULL, &s, times[i], period, &next, f);
    }
}

static json_t *report(const play *p, const cast *c, const figures *f)
{
    rp_stats stats;
    rp_world_get_stats(c->world, &stats);
    double frames = (double)f->frames;
    json_t *out = json_object();
    const struct {
        const char *key;
        double value;
    } values[] = {
        {"trace_missed_percent", 100 * (double)f->own_missed / frames},
        {"missed_percent", 100 * (double)f->missed / frames},
        {"noise_missed_percent", 100 * (double)f->missed_with_spins / frames},
        {"extra_missed_percent", 100 * ((double)f->missed - (double)f->missed_with_spins) / frames},
        {"idle_used_percent", f->idle_us > 0 ? 100 * f->used_us / f->idle_us : 0},
        {"overshoot_p99_us", samples_quantile(&f->overshoot, 0.99)},
        {"overshoot_p999_us", samples_quantile(&f->overshoot, 0.999)},
        {"noise_p99_us", samples_quantile(&f->noise, 0.99)},
        {"noise_p999_us", samples_quantile(&f->noise, 0.999)},
        {"tokens_per_second", (double)stats.decode_tokens / f->seconds},
        {"first_text_p50_ms", samples_quantile(&c->first_text, 0.5) * 1e-3},
        {"slice_mean_us", f->slice_us},
        {"prediction_error_p99_percent", rp_histogram_quantile(&stats.prediction_error, 0.99) / 10},
    };
    json_object_set_new(out, "trace", json_string(p->trace));
    json_object_set_new(out, "characters", json_integer(p->characters));
    json_object_set_new(out, "fps", json_integer(p->fps));
    json_object_set_new(out, "frames", json_integer((json_int_t)f->frames));
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        json_object_set_new(out, values[i].key, json_figure(values[i].value));
    json_object_set_new(out, "replies", json_integer((json_int_t)c->replies));
    return out;
}

static int run(const play *p, rt_model *model, const double *times, size_t count)
{
    rp_world_def def = rp_default_world_def();
    def.host = cli_host();
    def.model = model;
    def.worker_count = p->model.threads > 1 ? (int32_t)p->model.threads - 1 : 0;
    def.max_active_turns = p->characters < 8 ? 8 : p->characters > 32 ? 32 : (int32_t)p->characters;
    def.pacer.target_frame_us = (uint32_t)(1000000 / p->fps);
    rp_world *world;
    if (rp_world_create(&def, &world) != RT_OK)
        return failure("frame", NULL);
    cast c;
    figures f = {0};
    int exit_code = EXIT_DONE;
    if (!cast_create(&c, world, (int)p->characters)) {
        exit_code = failure("frame", NULL);
    } else {
        measure(p, &c, times, count, &f);
        json_t *out = report(p, &c, &f), *value;
        const char *key;
        if (c.failures)
            exit_code = failure("frame", "%llu turns failed: %s", (unsigned long long)c.failures, rt_error_message());
        else if (p->json)
            exit_code = print_json(json_incref(out)) ? EXIT_DONE : failure("frame", "cannot write to stdout");
        else
            json_object_foreach(out, key, value) json_is_string(value)
                ? printf("%-30s %s\n", key, json_string_value(value))
                : printf("%-30s %.6g\n", key, json_number_value(value));
        json_decref(out);
    }
    cast_destroy(&c);
    samples_free(&f.overshoot);
    samples_free(&f.noise);
    rp_world_destroy(world);
    return exit_code;
}

int command_frame(int argc, char **argv)
{
    play p = {.model = {.threads = 1}, .characters = 8, .frames = 1800, .fps = 60, .guard = 100};
    const option options[] = {
        MODEL_OPTIONS(p.model),
        {"trace", OPTION_TEXT, &p.trace, "FILE.csv", "render times in milliseconds, one a line, first column", 0, 0},
        {"characters", OPTION_INTEGER, &p.characters, "N", "who talk all the time, default 8", 1, 256},
        {"frames", OPTION_INTEGER, &p.frames, "N", "frames of the trace, default 1800 (each is played twice)", 1,
         10000000},
        {"fps", OPTION_INTEGER, &p.fps, "N", "frames a second of the display, default 60", 1, 1000},
        {"guard", OPTION_INTEGER, &p.guard, "US", "kept free at the end of each frame, default 100", 0, 100000},
        {"paced", OPTION_FLAG, &p.paced, "", "the pacer finds the budget from frame times, not the game", 0, 0},
        {"json", OPTION_FLAG, &p.json, "", "one JSON object", 0, 0},
    };
    command_line line = {
        "frame",
        "--trace FILE.csv [--characters N] [--model FILE] [--frames N] [--fps N] [--json]",
        "Plays a recorded game's frames, a spin in place of its rendering, with characters talking in the time\n"
        "that is left. The same frames with spins in place of the characters are the machine's own noise.",
        options,
        OPTION_COUNT(options),
        0,
        0,
        NULL,
        0};
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (!p.trace)
        return usage_error("frame", "--trace is needed");
    size_t count;
    double *times = read_trace(p.trace, &count);
    if (!times)
        return EXIT_FAILED;
    rt_model *model;
    exit_code = open_model("frame", &p.model, &model);
    if (exit_code == EXIT_DONE) {
        exit_code = run(&p, model, times, count < (size_t)p.frames ? count : (size_t)p.frames);
        rt_model_close(model);
    }
    free(times);
    return exit_code;
}
