// repartee bench frame: what characters take of a game's frames, beside what the machine itself does to them.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "frames.h"
#include "options.h"

#include <stdlib.h>

typedef struct bench {
    model_options model;
    int64_t characters, fps, budget, frames;
    bool json;
} bench;

typedef struct results {
    samples overshoot, noise, used;
    double seconds; // of the frames in which characters talked
    double slice_us;
    uint64_t decoded, allocations, allocated_in_update;
    rp_stats stats;
} results;

#define BLOCK 60 // frames with characters, then as many with spins: a machine that changes its mind does it to both

static void talk_for(const bench *b, cast *c, int64_t frames, results *r, bool measured)
{
    uint64_t period = 1000000000u / (uint64_t)b->fps, deadline = clock_ns();
    for (int64_t i = 0; i < frames; i++) {
        deadline += period;
        cast_keep_talking(c);
        uint64_t start = clock_ns();
        rp_world_update(c->world, (uint32_t)b->budget);
        double took = (double)(clock_ns() - start) * 1e-3;
        cast_take_events(c);
        if (measured) {
            samples_add(&r->overshoot, took > (double)b->budget ? took - (double)b->budget : 0);
            samples_add(&r->used, took);
        }
        wait_until(deadline);
    }
}

static void spin_for(const bench *b, const spin *s, int64_t frames, results *r)
{
    uint64_t period = 1000000000u / (uint64_t)b->fps, deadline = clock_ns();
    for (int64_t i = 0; i < frames; i++) {
        deadline += period;
        double took = spin_fill(s, r->slice_us, (double)b->budget);
        samples_add(&r->noise, took > (double)b->budget ? took - (double)b->budget : 0);
        wait_until(deadline);
    }
}

// Characters have spoken and forgotten, buffers are as large as they get, the cost table has seen every kind of slice.
static void warm_up(const bench *b, cast *c, results *r)
{
    uint64_t limit = clock_ns() + 30000000000u;
    while (c->replies < (uint64_t)(2 * b->characters) && clock_ns() < limit && c->failures == 0) {
        cast_keep_talking(c);
        rp_world_update(c->world, 20000);
        cast_take_events(c);
    }
    talk_for(b, c, BLOCK, r, false);
    c->first_text.count = 0;
    c->replies = 0;
}

static void measure(const bench *b, cast *c, results *r)
{
    warm_up(b, c, r);
    spin s = spin_calibrate();
    rp_world_reset_stats(c->world);
    rp_stats before, now;
    rp_world_get_stats(c->world, &before);
    for (int64_t done = 0; done < b->frames; done += BLOCK) {
        int64_t frames = b->frames - done < BLOCK ? b->frames - done : BLOCK;
        uint64_t start = clock_ns();
        talk_for(b, c, frames, r, true);
        r->seconds += (double)(clock_ns() - start) * 1e-9;
        rp_world_get_stats(c->world, &now);
        r->slice_us = now.slices > before.slices
                          ? (double)(now.used_us - before.used_us) / (double)(now.slices - before.slices)
                          : 100;
        spin_for(b, &s, frames, r);
    }
    rp_world_get_stats(c->world, &r->stats);
    r->decoded = r->stats.decode_tokens - before.decode_tokens;
    r->allocations = r->stats.allocations - before.allocations;
    r->allocated_in_update = r->stats.allocations_in_update - before.allocations_in_update;
}

static json_t *report(const bench *b, const cast *c, const results *r)
{
    json_t *out = json_object();
    const struct {
        const char *key;
        double value;
    } figures[] = {
        {"overshoot_p50_us", samples_quantile(&r->overshoot, 0.5)},
        {"overshoot_p99_us", samples_quantile(&r->overshoot, 0.99)},
        {"overshoot_p999_us", samples_quantile(&r->overshoot, 0.999)},
        {"overshoot_max_us", samples_quantile(&r->overshoot, 1)},
        {"noise_p50_us", samples_quantile(&r->noise, 0.5)},
        {"noise_p99_us", samples_quantile(&r->noise, 0.99)},
        {"noise_p999_us", samples_quantile(&r->noise, 0.999)},
        {"noise_max_us", samples_quantile(&r->noise, 1)},
        {"used_percent", 100 * samples_mean(&r->used) / (double)b->budget},
        {"tokens_per_second", (double)r->decoded / r->seconds},
        {"prefill_tokens_per_second", (double)r->stats.prefill_tokens / r->seconds},
        {"first_text_p50_ms", samples_quantile(&c->first_text, 0.5) * 1e-3},
        {"first_text_p99_ms", samples_quantile(&c->first_text, 0.99) * 1e-3},
        {"slice_mean_us", r->slice_us},
        {"prediction_error_p99_percent", rp_histogram_quantile(&r->stats.prediction_error, 0.99) / 10},
    };
    json_object_set_new(out, "characters", json_integer(b->characters));
    json_object_set_new(out, "fps", json_integer(b->fps));
    json_object_set_new(out, "budget_us", json_integer(b->budget));
    json_object_set_new(out, "frames", json_integer((json_int_t)r->overshoot.count));
    json_object_set_new(out, "threads", json_integer(b->model.threads));
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        json_object_set_new(out, figures[i].key, json_figure(figures[i].value));
    json_object_set_new(out, "replies", json_integer((json_int_t)c->replies));
    json_object_set_new(out, "failures", json_integer((json_int_t)c->failures));
    json_object_set_new(out, "allocations", json_integer((json_int_t)r->allocations));
    json_object_set_new(out, "allocations_in_update", json_integer((json_int_t)r->allocated_in_update));
    return out;
}

static void print_words(const bench *b, json_t *out)
{
    printf("%lld characters, %lld frames a second, %lld us a frame, %lld threads\n", (long long)b->characters,
           (long long)b->fps, (long long)b->budget, (long long)b->model.threads);
    const char *key;
    json_t *value;
    json_object_foreach(out, key, value) printf("  %-30s %.6g\n", key, json_number_value(value));
}

static int run(const bench *b, rt_model *model)
{
    rp_world_def def = rp_default_world_def();
    def.host = cli_host();
    def.model = model;
    def.worker_count = b->model.threads > 1 ? (int32_t)b->model.threads - 1 : 0;
    def.max_active_turns = b->characters < 8 ? 8 : b->characters > 32 ? 32 : (int32_t)b->characters;
    rp_world *world;
    if (rp_world_create(&def, &world) != RT_OK)
        return failure("bench frame", NULL);
    cast c;
    results r = {0};
    int exit_code = EXIT_DONE;
    if (!cast_create(&c, world, (int)b->characters)) {
        exit_code = failure("bench frame", NULL);
    } else {
        measure(b, &c, &r);
        json_t *out = report(b, &c, &r);
        if (c.failures)
            exit_code =
                failure("bench frame", "%llu turns failed: %s", (unsigned long long)c.failures, rt_error_message());
        else if (b->json)
            exit_code = print_json(json_incref(out)) ? EXIT_DONE : failure("bench frame", "cannot write to stdout");
        else
            print_words(b, out);
        json_decref(out);
    }
    cast_destroy(&c);
    samples_free(&r.overshoot);
    samples_free(&r.noise);
    samples_free(&r.used);
    rp_world_destroy(world);
    return exit_code;
}

int command_bench_frame(int argc, char **argv)
{
    bench b = {.model = {.threads = 1}, .characters = 8, .fps = 60, .budget = 2000, .frames = 600};
    const option options[] = {
        MODEL_OPTIONS(b.model),
        {"characters", OPTION_INTEGER, &b.characters, "N", "who talk all the time, default 8", 1, 256},
        {"fps", OPTION_INTEGER, &b.fps, "N", "frames a second, default 60", 1, 1000},
        {"budget", OPTION_INTEGER, &b.budget, "US", "microseconds of each frame, default 2000", 50, 1000000},
        {"frames", OPTION_INTEGER, &b.frames, "N", "frames measured, and as many with spins, default 600", 1, 1000000},
        {"json", OPTION_FLAG, &b.json, "", "one JSON object", 0, 0},
    };
    command_line line = {
        "bench frame",
        "[--model FILE] [--characters N] [--fps N] [--budget US] [--frames N] [--json]",
        "Lets characters talk inside a game's frames and says how far updates ran past their budget, beside the\n"
        "machine's own noise: the same frames with spins of known length in place of slices, in turn.",
        options,
        OPTION_COUNT(options),
        0,
        0,
        NULL,
        0};
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    rt_model *model;
    exit_code = open_model("bench frame", &b.model, &model);
    if (exit_code != EXIT_DONE)
        return exit_code;
    exit_code = run(&b, model);
    rt_model_close(model);
    return exit_code;
}
