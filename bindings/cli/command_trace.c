// repartee trace: what a world did in each frame, for Perfetto (ui.perfetto.dev) or chrome://tracing.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "stage.h"

#include "repartee/record.h"
#include "repartee/trace.h"

typedef struct tracer {
    stage_options stage;
    int64_t frames, budget;
    const char *out, *record;
} tracer;

static void play_frames(const tracer *t, cast *c)
{
    uint64_t period = 1000000000u / (uint64_t)t->stage.fps, deadline = clock_ns();
    for (int64_t i = 0; i < t->frames && c->failures == 0; i++) {
        cast_keep_talking(c);
        rp_world_update(c->world, (uint32_t)t->budget);
        cast_take_events(c);
        deadline += period;
        if (frames_are_real())
            wait_until(deadline);
    }
}

static int run(const tracer *t, stage *s)
{
    if (t->record && rp_world_set_recording(s->world, t->record) != RT_OK)
        return failure("trace", NULL);
    cast_warm_up(&s->cast, 1);
    rp_world_reset_stats(s->world);
    // An entry is a slice, a chore or an update; frames have some dozens.
    uint32_t entries = t->frames < 16384 ? (uint32_t)t->frames * 256 : 1 << 22;
    if (rp_world_set_trace(s->world, true, entries) != RT_OK)
        return failure("trace", NULL);
    play_frames(t, &s->cast);
    if (rp_world_write_trace(s->world, t->out) != RT_OK || rp_world_set_recording(s->world, NULL) != RT_OK)
        return failure("trace", NULL);
    json_t *out = json_object();
    rp_stats stats;
    rp_world_get_stats(s->world, &stats);
    json_object_set_new(out, "trace", json_string(t->out));
    figure_count(out, "frames", (uint64_t)t->frames);
    figure_count(out, "updates", stats.updates);
    figure_count(out, "slices", stats.slices);
    figure_count(out, "passes", stats.passes);
    figure_count(out, "replies", s->cast.replies);
    return stage_report(s, &t->stage, out);
}

int command_trace(int argc, char **argv)
{
    tracer t = {.stage = {.model = {.threads = 1}, .characters = 8, .fps = 60}, .frames = 300, .budget = 2000};
    const option options[] = {
        STAGE_OPTIONS(t.stage),
        {"frames", OPTION_INTEGER, &t.frames, "N", "default 300", 1, 1000000},
        {"budget", OPTION_INTEGER, &t.budget, "US", "microseconds of each frame, default 2000", 50, 1000000},
        {"out", OPTION_TEXT, &t.out, "FILE.json", "where the trace goes", 0, 0},
        {"record", OPTION_TEXT, &t.record, "FILE.jsonl", "and a recording of the turns, for repartee replay", 0, 0},
    };
    command_line line = {
        .command = "trace",
        .usage = "[--model FILE] [--characters N] [--frames N] [--fps N] [--budget US] --out FILE.json",
        .about = "Lets characters talk inside a game's frames and writes what each frame did, slice by slice, with what was\n"
                 "predicted and decided: opens in ui.perfetto.dev.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (!t.out)
        return usage_error("trace", "--out is needed");
    stage s;
    exit_code = stage_begin(&s, "trace", &t.stage);
    if (exit_code == EXIT_DONE)
        exit_code = run(&t, &s);
    stage_end(&s);
    return exit_code;
}
