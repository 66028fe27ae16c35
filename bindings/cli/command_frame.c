// repartee frame: a recorded game's frames, with characters talking in what the game leaves of them.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "frame_load.h"
#include "options.h"

#include "repartee_load/gpu_load.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

typedef struct play {
    stage_options stage;
    const char *trace;
    int64_t frames, guard;
    bool paced;
} play;

// Frames with characters or with spins. Undisturbed: no other program took the processor from this thread in them.
typedef struct tally {
    uint64_t frames, missed, undisturbed, undisturbed_missed;
    samples overshoot, undisturbed_overshoot; // past what was left of the frame
} tally;

typedef struct figures {
    double last_us; // the whole of the last frame, for the pacer
    tally talking, spinning;
    uint64_t own_missed;
    double idle_us, used_us; // of frames in which there was work
    double seconds, slice_us;
} figures;

#define BLOCK 60 // frames with characters, then the same ones with spins

// Reads the first column, milliseconds; a head line is fine. NULL: the problem is on stderr.
static double *read_trace(const char *path, size_t *count)
{
    FILE *file = open_input("frame", path);
    if (!file)
        return NULL;
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

// What the game itself does with a frame. By a thread's clock it is only counted.
static double render(double render_us)
{
    uint64_t start = frames_now();
    if (!frames_are_real())
        return render_us;
    while ((double)(frames_now() - start) * 1e-3 < render_us) {
    }
    return (double)(frames_now() - start) * 1e-3;
}

// Lets characters (or spins, where there is no cast) have what is left. Returns the microseconds that they took.
static double fill(const play *p, cast *c, const spin *s, double *budget_us, const figures *f)
{
    uint64_t start = frames_now();
    if (c == NULL)
        return spin_fill(s, f->slice_us, *budget_us);
    uint32_t given = p->paced ? RP_BUDGET_PACED : (uint32_t)*budget_us;
    if (p->paced)
        *budget_us = rp_world_frame(c->world, (uint32_t)f->last_us);
    rp_world_update(c->world, given);
    return (double)(frames_now() - start) * 1e-3;
}

// How often this thread was made to wait so far.
static long interruptions(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}

static void count_frame(tally *t, bool missed, bool disturbed, double overshoot_us)
{
    samples_add(&t->overshoot, overshoot_us);
    if (!disturbed)
        samples_add(&t->undisturbed_overshoot, overshoot_us);
    t->frames++;
    t->missed += missed;
    t->undisturbed += !disturbed;
    t->undisturbed_missed += missed && !disturbed;
}

// One frame: what the game renders, then what is left of it; then it waits for the display.
static void play_frame(const play *p, cast *c, const spin *s, double render_us, figures *f)
{
    double period_us = 1e6 / (double)p->stage.fps;
    long before = interruptions();
    uint64_t deadline = clock_ns() + (uint64_t)(period_us * 1e3);
    if (c)
        cast_keep_talking(c);
    double rendered = render(render_us), budget = period_us - rendered - (double)p->guard;
    budget = budget > 0 ? budget : 0;
    bool busy = c ? rp_world_is_busy(c->world) : true;
    uint64_t events = frames_now();
    double took = fill(p, c, s, &budget, f);
    if (c)
        cast_take_events(c);
    double total = rendered + (double)(frames_now() - events) * 1e-3;
    bool missed = total > period_us && render_us <= period_us;
    f->last_us = total > period_us ? total : period_us;
    count_frame(c ? &f->talking : &f->spinning, missed, interruptions() != before, took > budget ? took - budget : 0);
    if (c) {
        double idle = period_us - render_us;
        f->own_missed += render_us > period_us;
        if (busy && idle > 0) {
            f->idle_us += idle;
            f->used_us += took < idle ? took : idle;
        }
    }
    if (frames_are_real())
        wait_until(deadline);
}

static void free_figures(figures *f)
{
    samples *all[] = {&f->talking.overshoot, &f->talking.undisturbed_overshoot, &f->spinning.overshoot,
                      &f->spinning.undisturbed_overshoot};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        samples_free(all[i]);
}

static void measure(const play *p, cast *c, const double *times, size_t count, figures *f)
{
    cast_warm_up(c, 1);
    spin s = spin_calibrate();
    for (size_t i = 0; i < BLOCK && i < count; i++)
        play_frame(p, c, &s, times[i], f);
    free_figures(f);
    *f = (figures){.last_us = 1e6 / (double)p->stage.fps};
    rp_world_reset_stats(c->world);
    rp_stats stats;
    for (size_t done = 0; done < count; done += BLOCK) {
        size_t end = done + BLOCK < count ? done + BLOCK : count;
        for (size_t i = done; i < end; i++)
            play_frame(p, c, &s, times[i], f);
        rp_world_get_stats(c->world, &stats);
        f->slice_us = stats.slices ? (double)stats.used_us / (double)stats.slices : 100;
        for (size_t i = done; i < end; i++)
            play_frame(p, NULL, &s, times[i], f);
    }
    f->seconds = (double)count / (double)p->stage.fps;
}

static json_t *report(const play *p, const cast *c, const figures *f)
{
    rp_stats stats;
    rp_world_get_stats(c->world, &stats);
    double frames = (double)f->talking.frames, calm = (double)f->talking.undisturbed, calm_spins = (double)f->spinning.undisturbed;
    json_t *out = json_object();
    json_object_set_new(out, "trace", json_string(p->trace));
    figure_count(out, "characters", (uint64_t)c->count);
    figure_count(out, "fps", (uint64_t)p->stage.fps);
    figure_count(out, "frames", f->talking.frames);
    figure_set(out, "trace_missed_percent", 100 * (double)f->own_missed / frames);
    double missed = 100 * (double)f->talking.missed / frames, with_spins = 100 * (double)f->spinning.missed / frames;
    double calm_missed = calm > 0 ? 100 * (double)f->talking.undisturbed_missed / calm : 0;
    double calm_with_spins = calm_spins > 0 ? 100 * (double)f->spinning.undisturbed_missed / calm_spins : 0;
    figure_set(out, "missed_percent", missed);
    figure_set(out, "noise_missed_percent", with_spins);
    figure_set(out, "extra_missed_percent", missed - with_spins);
    figure_set(out, "undisturbed_frames_percent", 100 * calm / frames);
    figure_set(out, "undisturbed_missed_percent", calm_missed);
    figure_set(out, "undisturbed_noise_missed_percent", calm_with_spins);
    figure_set(out, "undisturbed_extra_missed_percent", calm_missed - calm_with_spins);
    figure_set(out, "idle_used_percent", f->idle_us > 0 ? 100 * f->used_us / f->idle_us : 0);
    figure_set(out, "idle_mean_us", f->idle_us / frames);
    const samples *over = &f->talking.overshoot, *noise = &f->spinning.overshoot;
    const samples *calm_over = &f->talking.undisturbed_overshoot, *calm_noise = &f->spinning.undisturbed_overshoot;
    figure_set(out, "overshoot_p50_us", samples_quantile(over, 0.5));
    figure_set(out, "overshoot_p99_us", samples_quantile(over, 0.99));
    figure_set(out, "overshoot_p999_us", samples_quantile(over, 0.999));
    figure_set(out, "noise_p99_us", samples_quantile(noise, 0.99));
    figure_set(out, "noise_p999_us", samples_quantile(noise, 0.999));
    figure_set(out, "undisturbed_overshoot_p99_us", samples_quantile(calm_over, 0.99));
    figure_set(out, "undisturbed_overshoot_p999_us", samples_quantile(calm_over, 0.999));
    figure_set(out, "undisturbed_noise_p99_us", samples_quantile(calm_noise, 0.99));
    figure_set(out, "undisturbed_noise_p999_us", samples_quantile(calm_noise, 0.999));
    figure_set(out, "tokens_per_second", (double)stats.decode_tokens / f->seconds);
    figure_set(out, "prefill_tokens_per_second", (double)stats.prefill_tokens / f->seconds);
    figure_set(out, "first_text_p50_ms", samples_quantile(&c->first_text, 0.5) * 1e-3);
    figure_set(out, "slice_mean_us", f->slice_us);
    figure_set(out, "prediction_error_p99_percent", rp_histogram_quantile(&stats.prediction_error, 0.99) / 10);
    figure_count(out, "replies", c->replies);
    figure_count(out, "allocations_in_update", stats.allocations_in_update);
    return out;
}

int command_frame(int argc, char **argv)
{
    play p = {.stage = {.model = {.threads = 1}, .fps = 60}, .guard = 30};
    load_play load = {.stage = &p.stage};
    const option options[] = {
        STAGE_OPTIONS(p.stage),
        {"trace", OPTION_TEXT, &p.trace, "FILE.csv", "render times in milliseconds, one a line, first column", 0, 0},
        {"frames", OPTION_INTEGER, &p.frames, "N", "frames of the trace, default 1800 (each is played twice); of each run beside a load, 600", 1,
         10000000},
        {"guard", OPTION_INTEGER, &p.guard, "US", "kept free at the end of each frame, default 30", 0, 100000},
        {"paced", OPTION_FLAG, &p.paced, "", "the pacer finds the budget from frame times, not the game", 0, 0},
        {"gpu-load", OPTION_NUMBER, &load.weight_ms, "MS", "draw so many milliseconds of OpenGL a frame, instead of a trace", 0.1,
         GPU_LOAD_MOST_MS},
        {"frames-to", OPTION_TEXT, &load.frames_path, "FILE.csv", "beside a load: every frame's time", 0, 0},
        {"picture", OPTION_TEXT, &load.picture_path, "FILE.ppm", "beside a load: what is drawn", 0, 0},
    };
    command_line line = {
        .command = "frame",
        .usage = "--trace FILE.csv|--gpu-load MS [--characters N] [--model FILE] [--frames N] [--fps N] [--json]",
        .about = "Plays a recorded game's frames, a spin in place of its rendering, with characters talking in the time\n"
                 "that is left. The same frames with spins in place of the characters are the machine's own noise.\n"
                 "With --gpu-load the frames are really drawn, on the GPU that computes: alone, with 1, 8 and 32 characters\n"
                 "(or --characters) whose budget the pacer finds, and beside a decode loop that knows no budget.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (!p.trace == !load.weight_ms)
        return usage_error("frame", "one of --trace and --gpu-load is needed");
    if (load.weight_ms > 0) {
        if (p.stage.clock || p.paced)
            return usage_error("frame", "beside --gpu-load frames are always paced, and by the wall's clock");
        load.frames = p.frames ? p.frames : 600;
        return frame_load_play(&load);
    }
    if (load.frames_path || load.picture_path)
        return usage_error("frame", "--frames-to and --picture go with --gpu-load");
    p.frames = p.frames ? p.frames : 1800;
    p.stage.characters = p.stage.characters ? p.stage.characters : 8;
    size_t count;
    double *times = read_trace(p.trace, &count);
    if (!times)
        return EXIT_FAILED;
    stage s;
    figures f = {0};
    exit_code = stage_begin(&s, "frame", &p.stage);
    if (exit_code == EXIT_DONE) {
        measure(&p, &s.cast, times, count < (size_t)p.frames ? count : (size_t)p.frames, &f);
        exit_code = stage_report(&s, &p.stage, report(&p, &s.cast, &f));
    }
    stage_end(&s);
    free_figures(&f);
    free(times);
    return exit_code;
}
