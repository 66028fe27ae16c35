// repartee bench frame: what characters take of a game's frames, beside what the machine itself does to them.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "stage.h"

typedef struct bench {
    stage_options stage;
    int64_t budget, frames;
} bench;

typedef struct results {
    samples overshoot, noise, used;
    double seconds; // of the frames in which characters talked
    double slice_us;
    rp_stats stats;
} results;

#define BLOCK 60 // frames with characters, then as many with spins: a machine that changes its mind does it to both

static void talk_for(const bench *b, cast *c, int64_t frames, results *r)
{
    uint64_t period = 1000000000u / (uint64_t)b->stage.fps, deadline = clock_ns();
    for (int64_t i = 0; i < frames; i++) {
        deadline += period;
        cast_keep_talking(c);
        uint64_t start = frames_now();
        rp_world_update(c->world, (uint32_t)b->budget);
        double took = (double)(frames_now() - start) * 1e-3;
        cast_take_events(c);
        samples_add(&r->overshoot, took > (double)b->budget ? took - (double)b->budget : 0);
        samples_add(&r->used, took);
        if (frames_are_real())
            wait_until(deadline);
    }
}

static void spin_for(const bench *b, const spin *s, int64_t frames, results *r)
{
    uint64_t period = 1000000000u / (uint64_t)b->stage.fps, deadline = clock_ns();
    for (int64_t i = 0; i < frames; i++) {
        deadline += period;
        double took = spin_fill(s, r->slice_us, (double)b->budget);
        samples_add(&r->noise, took > (double)b->budget ? took - (double)b->budget : 0);
        if (frames_are_real())
            wait_until(deadline);
    }
}

static void measure(const bench *b, cast *c, results *r)
{
    cast_warm_up(c, 2);
    talk_for(b, c, BLOCK, r);
    r->overshoot.count = r->used.count = 0;
    spin s = spin_calibrate();
    rp_world_reset_stats(c->world);
    for (int64_t done = 0; done < b->frames; done += BLOCK) {
        int64_t frames = b->frames - done < BLOCK ? b->frames - done : BLOCK;
        uint64_t start = clock_ns();
        talk_for(b, c, frames, r);
        r->seconds += (double)(frames_are_real() ? clock_ns() - start : 1000000000u / (uint64_t)b->stage.fps * (uint64_t)frames) * 1e-9;
        rp_world_get_stats(c->world, &r->stats);
        r->slice_us = r->stats.slices ? (double)r->stats.used_us / (double)r->stats.slices : 100;
        spin_for(b, &s, frames, r);
    }
    rp_world_get_stats(c->world, &r->stats);
}

static json_t *report(const bench *b, const cast *c, const results *r)
{
    json_t *out = json_object();
    figure_count(out, "characters", (uint64_t)c->count);
    figure_count(out, "fps", (uint64_t)b->stage.fps);
    figure_count(out, "budget_us", (uint64_t)b->budget);
    figure_count(out, "frames", r->overshoot.count);
    figure_count(out, "threads", (uint64_t)b->stage.model.threads);
    figure_set(out, "overshoot_p50_us", samples_quantile(&r->overshoot, 0.5));
    figure_set(out, "overshoot_p99_us", samples_quantile(&r->overshoot, 0.99));
    figure_set(out, "overshoot_p999_us", samples_quantile(&r->overshoot, 0.999));
    figure_set(out, "overshoot_max_us", samples_quantile(&r->overshoot, 1));
    figure_set(out, "noise_p50_us", samples_quantile(&r->noise, 0.5));
    figure_set(out, "noise_p99_us", samples_quantile(&r->noise, 0.99));
    figure_set(out, "noise_p999_us", samples_quantile(&r->noise, 0.999));
    figure_set(out, "noise_max_us", samples_quantile(&r->noise, 1));
    figure_set(out, "used_percent", 100 * samples_mean(&r->used) / (double)b->budget);
    figure_set(out, "tokens_per_second", (double)r->stats.decode_tokens / r->seconds);
    figure_set(out, "prefill_tokens_per_second", (double)r->stats.prefill_tokens / r->seconds);
    figure_set(out, "first_text_p50_ms", samples_quantile(&c->first_text, 0.5) * 1e-3);
    figure_set(out, "first_text_p99_ms", samples_quantile(&c->first_text, 0.99) * 1e-3);
    figure_set(out, "slice_mean_us", r->slice_us);
    figure_set(out, "prediction_error_p99_percent", rp_histogram_quantile(&r->stats.prediction_error, 0.99) / 10);
    figure_count(out, "replies", c->replies);
    figure_count(out, "failures", c->failures);
    figure_count(out, "allocations", r->stats.allocations);
    figure_count(out, "allocations_in_update", r->stats.allocations_in_update);
    return out;
}

int command_bench_frame(int argc, char **argv)
{
    bench b = {.stage = {.model = {.threads = 1}, .characters = 8, .fps = 60}, .budget = 2000, .frames = 600};
    const option options[] = {
        STAGE_OPTIONS(b.stage),
        {"budget", OPTION_INTEGER, &b.budget, "US", "microseconds of each frame, default 2000", 50, 1000000},
        {"frames", OPTION_INTEGER, &b.frames, "N", "frames measured, and as many with spins, default 600", 1, 1000000},
    };
    command_line line = {
        .command = "bench frame",
        .usage = "[--model FILE] [--characters N] [--fps N] [--budget US] [--frames N] [--json]",
        .about = "Lets characters talk inside a game's frames and says how far updates ran past their budget, beside the\n"
                 "machine's own noise: the same frames with spins of known length in place of slices, in turn.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    stage s;
    results r = {0};
    exit_code = stage_begin(&s, "bench frame", &b.stage);
    if (exit_code == EXIT_DONE) {
        measure(&b, &s.cast, &r);
        exit_code = stage_report(&s, &b.stage, report(&b, &s.cast, &r));
    }
    stage_end(&s);
    samples_free(&r.overshoot);
    samples_free(&r.noise);
    samples_free(&r.used);
    return exit_code;
}
