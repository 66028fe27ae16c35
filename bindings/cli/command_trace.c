// repartee trace: what happened in each frame, for Perfetto (ui.perfetto.dev) or chrome://tracing.
// The format is Chrome's trace event format: complete events (X), counters (C), names (M); times in microseconds.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "stage.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct tracer {
    model_options model;
    int64_t characters, frames, fps, budget;
    const char *path;

    FILE *file;
    uint64_t start_ns;
    bool any;
    rp_world *world;
    cast cast;
    uint64_t *said_ns, *spoke_ns; // of each character's turn; 0: not yet
} tracer;

static double now_us(const tracer *t)
{
    return (double)(clock_ns() - t->start_ns) * 1e-3;
}

static double at_us(const tracer *t, uint64_t ns)
{
    return (double)(ns - t->start_ns) * 1e-3;
}

// Writes one event; takes the reference.
static void put(tracer *t, json_t *event)
{
    if (!event)
        return;
    fputs(t->any ? ",\n" : "\n", t->file);
    json_dumpf(event, t->file, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(event);
    t->any = true;
}

static void put_name(tracer *t, int thread, const char *kind, const char *name)
{
    put(t, json_pack("{s:s, s:s, s:i, s:i, s:{s:s}}", "ph", "M", "name", kind, "pid", 1, "tid", thread, "args", "name",
                     name));
}

static void put_span(tracer *t, int thread, const char *name, double from_us, double to_us, json_t *arguments)
{
    put(t, json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:o}", "ph", "X", "name", name, "pid", 1, "tid", thread, "ts",
                     from_us, "dur", to_us > from_us ? to_us - from_us : 0.0, "args",
                     arguments ? arguments : json_object()));
}

static void put_counter(tracer *t, const char *name, double at, json_t *values)
{
    put(t, json_pack("{s:s, s:s, s:i, s:f, s:o}", "ph", "C", "name", name, "pid", 1, "ts", at, "args", values));
}

static int character_of(const tracer *t, rp_character_id id)
{
    for (int i = 0; i < t->cast.count; i++)
        if (RP_ID_EQUAL(t->cast.ids[i], id))
            return i;
    return -1;
}

static void take_event(tracer *t, const rp_event *event)
{
    int index = character_of(t, event->character);
    if (index < 0)
        return;
    uint64_t now = clock_ns();
    bool over = event->kind == RP_EVENT_TURN_DONE || event->kind == RP_EVENT_TURN_FAILED ||
                event->kind == RP_EVENT_TURN_CANCELLED || event->kind == RP_EVENT_TURN_DROPPED;
    if (event->kind == RP_EVENT_TEXT && !t->spoke_ns[index]) {
        t->spoke_ns[index] = now;
        put_span(t, index + 2, "reading", at_us(t, t->said_ns[index]), at_us(t, now), NULL);
    }
    if (event->kind == RP_EVENT_SENTENCE)
        put(t, json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:{s:s%}}", "ph", "i", "s", "t", "name", "sentence", "pid", 1,
                         "tid", index + 2, "ts", at_us(t, now), "args", "text", event->text.data, event->text.size));
    if (!over)
        return;
    if (t->spoke_ns[index])
        put_span(t, index + 2, "speaking", at_us(t, t->spoke_ns[index]), at_us(t, now),
                 json_pack("{s:s%, s:i, s:i, s:i}", "reply", event->text.data ? event->text.data : "", event->text.size,
                           "prompt_tokens", event->prompt_tokens, "reused_tokens", event->reused_tokens, "reply_tokens",
                           event->reply_tokens));
    t->cast.talking[index] = false;
    t->cast.failures += event->kind != RP_EVENT_TURN_DONE;
}

static void start_turns(tracer *t)
{
    bool was[256];
    for (int i = 0; i < t->cast.count; i++)
        was[i] = t->cast.talking[i];
    cast_keep_talking(&t->cast);
    for (int i = 0; i < t->cast.count; i++) {
        if (was[i] || !t->cast.talking[i])
            continue;
        t->said_ns[i] = clock_ns();
        t->spoke_ns[i] = 0;
    }
}

static void trace_frame(tracer *t, uint64_t deadline, rp_stats *before)
{
    double begin = now_us(t);
    start_turns(t);
    double update = now_us(t);
    rp_world_update(t->world, (uint32_t)t->budget);
    double end = now_us(t);
    rp_stats now;
    rp_world_get_stats(t->world, &now);
    rp_event event;
    while (rp_world_next_event(t->world, &event))
        take_event(t, &event);
    put_span(t, 1, "update", update, end,
             json_pack("{s:I, s:I, s:I, s:I, s:I}", "budget_us", (json_int_t)t->budget, "slices",
                       (json_int_t)(now.slices - before->slices), "passes", (json_int_t)(now.passes - before->passes),
                       "prefill_tokens", (json_int_t)(now.prefill_tokens - before->prefill_tokens), "decode_tokens",
                       (json_int_t)(now.decode_tokens - before->decode_tokens)));
    put_counter(t, "update us", update, json_pack("{s:f, s:I}", "used", end - update, "budget", (json_int_t)t->budget));
    put_counter(t, "tokens", update,
                json_pack("{s:I, s:I}", "prefill", (json_int_t)(now.prefill_tokens - before->prefill_tokens), "decode",
                          (json_int_t)(now.decode_tokens - before->decode_tokens)));
    put_counter(t, "turns", update, json_pack("{s:i, s:i}", "active", now.turns_active, "queued", now.turns_queued));
    *before = now;
    wait_until(deadline);
    put_span(t, 0, "frame", begin, now_us(t), NULL);
}

static bool write_trace(tracer *t)
{
    t->file = fopen(t->path, "wb");
    if (!t->file)
        return false;
    t->start_ns = clock_ns();
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", t->file);
    put_name(t, 0, "process_name", "repartee");
    put_name(t, 0, "thread_name", "frames");
    put_name(t, 1, "thread_name", "rp_world_update");
    for (int i = 0; i < t->cast.count; i++)
        put_name(t, i + 2, "thread_name", rp_character_name(t->world, t->cast.ids[i]));
    rp_stats before;
    rp_world_get_stats(t->world, &before);
    uint64_t period = 1000000000u / (uint64_t)t->fps, deadline = clock_ns();
    for (int64_t i = 0; i < t->frames; i++)
        trace_frame(t, deadline += period, &before);
    fputs("\n]}\n", t->file);
    bool whole = !ferror(t->file);
    whole = fclose(t->file) == 0 && whole;
    if (!whole)
        unlink(t->path);
    return whole;
}

static int run(tracer *t, rt_model *model)
{
    rp_world_def def = rp_default_world_def();
    def.host = cli_host();
    def.model = model;
    def.worker_count = t->model.threads > 1 ? (int32_t)t->model.threads - 1 : 0;
    if (rp_world_create(&def, &t->world) != RT_OK)
        return failure("trace", NULL);
    t->said_ns = calloc((size_t)t->characters, sizeof *t->said_ns);
    t->spoke_ns = calloc((size_t)t->characters, sizeof *t->spoke_ns);
    int exit_code = EXIT_DONE;
    if (!t->said_ns || !t->spoke_ns || !cast_create(&t->cast, t->world, (int)t->characters))
        exit_code = failure("trace", NULL);
    else if (!write_trace(t))
        exit_code = failure("trace", "%s: cannot be written", t->path);
    else if (t->cast.failures)
        exit_code = failure("trace", "%llu turns failed: %s", (unsigned long long)t->cast.failures, rt_error_message());
    else
        printf("%s: %lld frames\n", t->path, (long long)t->frames);
    cast_destroy(&t->cast);
    free(t->said_ns);
    free(t->spoke_ns);
    rp_world_destroy(t->world);
    return exit_code;
}

int command_trace(int argc, char **argv)
{
    tracer t = {.model = {.threads = 1}, .characters = 4, .frames = 300, .fps = 60, .budget = 2000};
    const option options[] = {
        MODEL_OPTIONS(t.model),
        {"characters", OPTION_INTEGER, &t.characters, "N", "who talk all the time, default 4", 1, 256},
        {"frames", OPTION_INTEGER, &t.frames, "N", "default 300", 1, 1000000},
        {"fps", OPTION_INTEGER, &t.fps, "N", "frames a second, default 60", 1, 1000},
        {"budget", OPTION_INTEGER, &t.budget, "US", "microseconds of each frame, default 2000", 50, 1000000},
        {"out", OPTION_TEXT, &t.path, "FILE.json", "where the trace goes", 0, 0},
    };
    command_line line = {
        "trace",
        "[--model FILE] [--characters N] [--frames N] [--fps N] [--budget US] --out FILE.json",
        "Lets characters talk inside a game's frames and writes what each frame did: opens in ui.perfetto.dev.",
        options,
        OPTION_COUNT(options),
        0,
        0,
        NULL,
        0};
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (!t.path)
        return usage_error("trace", "--out is needed");
    rt_model *model;
    exit_code = open_model("trace", &t.model, &model);
    if (exit_code != EXIT_DONE)
        return exit_code;
    exit_code = run(&t, model);
    rt_model_close(model);
    return exit_code;
}
