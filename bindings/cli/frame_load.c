// What characters cost the frames of a game that draws on the same GPU. The total time of each frame, as the game sees it,
// is the one measure that holds there: the clocks of two queues that share a device each count the other's work.
// SPDX-License-Identifier: MIT
#include "frame_load.h"
#include "options.h"

#include "repartee_load/gpu_load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SETTLING_FRAMES 120        // the pacer finds its budget; no more than are measured
#define LOOP_US 100000             // an unbudgeted loop asks for so much at a time, without end
#define LOOP_CHARACTERS 8

typedef struct load_run {
    int characters; // 0: the load alone
    bool has_budget;
    samples frame_ms, budget_us;
    uint64_t missed, tokens, replies;
    double seconds;
} load_run;

// A game that decodes as fast as it can, on a thread beside the one that draws.
typedef struct decode_loop {
    cast *cast;
    pthread_t thread;
    atomic_bool stop;
} decode_loop;

static void *decode_without_budget(void *user)
{
    decode_loop *loop = user;
    while (!atomic_load(&loop->stop)) {
        cast_keep_talking(loop->cast);
        rp_world_update(loop->cast->world, LOOP_US);
        cast_take_events(loop->cast);
    }
    return NULL;
}

static void run_name(const load_run *r, char name[48])
{
    if (r->characters == 0)
        snprintf(name, 48, "load alone");
    else
        snprintf(name, 48, "%d %s%s", r->characters, r->characters == 1 ? "character" : "characters",
                 r->has_budget ? "" : ", no budget");
}

// One frame of the game; false: the device has failed. `c` is NULL where nobody is paced.
static bool play_frame(const load_play *p, gpu_load *load, cast *c, load_run *r)
{
    double period_us = 1e6 / (double)p->stage->fps;
    uint64_t start = clock_ns();
    if (c)
        cast_keep_talking(c);
    if (!gpu_load_begin(load))
        return false;
    if (c) { // beside what is being drawn, as a game's update is
        rp_world_update(c->world, RP_BUDGET_PACED);
        cast_take_events(c);
    }
    if (!gpu_load_end(load))
        return false;
    double total_us = (double)(clock_ns() - start) * 1e-3;
    samples_add(&r->frame_ms, total_us * 1e-3);
    samples_add(&r->budget_us, c ? rp_world_frame(c->world, (uint32_t)total_us) : 0);
    r->missed += total_us > period_us;
    wait_until(start + (uint64_t)(period_us * 1e3));
    return true;
}

static bool play_frames(const load_play *p, gpu_load *load, cast *c, load_run *r)
{
    for (int64_t i = 0; i < p->frames; i++)
        if (!play_frame(p, load, c, r))
            return failure("frame", "OpenGL: the device stopped drawing"), false;
    return true;
}

// Frames with the run's characters in `world_cast` (NULL: nobody).
static bool play_cast(const load_play *p, gpu_load *load, cast *world_cast, load_run *r)
{
    cast *paced = r->has_budget ? world_cast : NULL;
    decode_loop loop = {.cast = world_cast};
    bool loops = world_cast && !r->has_budget, fine = true;
    if (world_cast)
        cast_warm_up(world_cast, 1);
    load_run settling = *r;
    for (int i = 0; paced && fine && i < SETTLING_FRAMES && i < p->frames; i++)
        fine = play_frame(p, load, paced, &settling);
    samples_free(&settling.frame_ms);
    samples_free(&settling.budget_us);
    if (world_cast) {
        rp_world_reset_stats(world_cast->world);
        world_cast->replies = 0;
    }
    if (loops && pthread_create(&loop.thread, NULL, decode_without_budget, &loop) != 0)
        return failure("frame", "no thread for the decode loop"), false;
    uint64_t start = clock_ns();
    fine = fine && play_frames(p, load, paced, r);
    r->seconds = (double)(clock_ns() - start) * 1e-9;
    if (loops) {
        atomic_store(&loop.stop, true);
        pthread_join(loop.thread, NULL);
    }
    if (world_cast) {
        rp_stats stats;
        rp_world_get_stats(world_cast->world, &stats);
        r->tokens = stats.decode_tokens;
        r->replies = world_cast->replies;
    }
    if (world_cast && world_cast->failures)
        return failure("frame", "%llu turns failed: %s", (unsigned long long)world_cast->failures, rt_error_message()), false;
    return fine;
}

// A world of its own for each run: what one has learned helps no other.
static bool play_run(const load_play *p, gpu_load *load, rt_model *model, load_run *r)
{
    if (r->characters == 0)
        return play_cast(p, load, NULL, r);
    stage_options options = *p->stage;
    options.characters = r->characters;
    stage s;
    bool fine = stage_begin_with(&s, "frame", &options, rt_model_retain(model)) == EXIT_DONE && play_cast(p, load, &s.cast, r);
    stage_end(&s);
    return fine;
}

// ---------------------------------------------------------------------------------------------------------------------
// What is printed and written
// ---------------------------------------------------------------------------------------------------------------------

static json_t *describe_run(const load_run *r, const load_play *p)
{
    char name[48];
    run_name(r, name);
    json_t *out = json_object();
    json_object_set_new(out, "run", json_string(name));
    figure_count(out, "characters", (uint64_t)r->characters);
    json_object_set_new(out, "budget", json_boolean(r->has_budget));
    figure_count(out, "frames", r->frame_ms.count);
    figure_set(out, "frame_p50_ms", samples_quantile(&r->frame_ms, 0.5));
    figure_set(out, "frame_p99_ms", samples_quantile(&r->frame_ms, 0.99));
    figure_set(out, "frame_p999_ms", samples_quantile(&r->frame_ms, 0.999));
    figure_set(out, "frame_max_ms", samples_quantile(&r->frame_ms, 1));
    figure_count(out, "missed", r->missed);
    figure_set(out, "missed_percent", 100 * (double)r->missed / (double)p->frames);
    figure_set(out, "tokens_per_second", (double)r->tokens / r->seconds);
    figure_count(out, "replies", r->replies);
    figure_set(out, "budget_p50_us", samples_quantile(&r->budget_us, 0.5));
    return out;
}

static json_t *describe(const load_play *p, const gpu_load *load, rt_model *model, const load_run *runs, int count)
{
    gpu_load_info drawn;
    rt_model_info info;
    gpu_load_get_info(load, &drawn);
    rt_model_get_info(model, &info);
    json_t *out = json_object(), *list = json_array();
    json_object_set_new(out, "renderer", json_string(drawn.renderer));
    json_object_set_new(out, "same_device", json_boolean(drawn.is_cuda_device));
    figure_set(out, "weight_ms", p->weight_ms);
    figure_set(out, "fitted_ms", drawn.milliseconds);
    figure_count(out, "width", (uint64_t)drawn.width);
    figure_count(out, "height", (uint64_t)drawn.height);
    figure_count(out, "passes", (uint64_t)drawn.passes);
    figure_count(out, "steps", (uint64_t)drawn.steps);
    figure_count(out, "fps", (uint64_t)p->stage->fps);
    json_object_set_new(out, "model", json_string(info.name ? info.name : ""));
    json_object_set_new(out, "backend", json_string(info.backend));
    for (int i = 0; i < count; i++)
        json_array_append_new(list, describe_run(&runs[i], p));
    json_object_set_new(out, "runs", list);
    return out;
}

static void print_table(const json_t *figures)
{
    static const char *const columns[] = {"frame_p50_ms", "frame_p99_ms", "frame_p999_ms", "missed", "tokens_per_second",
                                          "budget_p50_us"};
    static const char *const heads[] = {"p50 ms", "p99 ms", "p99.9 ms", "missed", "tokens/s", "budget us"};
    printf("%s%s: %g ms a frame alone (%g wanted), %s on %s\n", json_string_value(json_object_get(figures, "renderer")),
           json_is_true(json_object_get(figures, "same_device")) ? ", the device that CUDA computes on" : "",
           json_number_value(json_object_get(figures, "fitted_ms")), json_number_value(json_object_get(figures, "weight_ms")),
           json_string_value(json_object_get(figures, "model")), json_string_value(json_object_get(figures, "backend")));
    printf("%-28s", "");
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        printf("%11s", heads[i]);
    printf("\n");
    size_t index;
    json_t *run;
    json_array_foreach(json_object_get(figures, "runs"), index, run)
    {
        printf("%-28s", json_string_value(json_object_get(run, "run")));
        for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
            printf("%11.5g", json_number_value(json_object_get(run, columns[i])));
        printf("\n");
    }
}

static void write_frames(FILE *file, const load_run *runs, int count)
{
    fprintf(file, "run,frame,frame_ms,budget_us\n");
    for (int i = 0; i < count; i++) {
        char name[48];
        run_name(&runs[i], name);
        for (size_t k = 0; k < runs[i].frame_ms.count; k++)
            fprintf(file, "\"%s\",%zu,%.4f,%.0f\n", name, k, runs[i].frame_ms.values[k], runs[i].budget_us.values[k]);
    }
}

static bool write_picture(const char *path, gpu_load *load)
{
    gpu_load_info info;
    gpu_load_get_info(load, &info);
    size_t bytes = (size_t)info.width * (size_t)info.height * 3;
    uint8_t *rgb = malloc(bytes);
    FILE *file = rgb && gpu_load_begin(load) && gpu_load_end(load) && gpu_load_read(load, rgb) ? fopen(path, "wb") : NULL;
    bool fine = file && fprintf(file, "P6\n%d %d\n255\n", info.width, info.height) > 0 && fwrite(rgb, 1, bytes, file) == bytes;
    fine = (!file || fclose(file) == 0) && fine;
    free(rgb);
    return fine || (failure("frame", "%s: the picture cannot be written", path), false);
}

// ---------------------------------------------------------------------------------------------------------------------
// All runs
// ---------------------------------------------------------------------------------------------------------------------

static int list_runs(const load_play *p, load_run runs[5])
{
    int count = 0, only = (int)p->stage->characters;
    runs[count++] = (load_run){.has_budget = true};
    for (int c = 1; c <= 32 && only == 0; c = c == 1 ? 8 : c * 4)
        runs[count++] = (load_run){.characters = c, .has_budget = true};
    if (only > 0)
        runs[count++] = (load_run){.characters = only, .has_budget = true};
    runs[count++] = (load_run){.characters = only > 0 ? only : LOOP_CHARACTERS};
    return count;
}

// Opened before the first run: minutes of them are not to be lost to a wrong path.
static bool open_frames(const load_play *p, FILE **file)
{
    *file = p->frames_path ? open_output("frame", p->frames_path) : NULL;
    return *file || !p->frames_path;
}

static bool close_frames(const load_play *p, FILE *file)
{
    return close_output("frame", p->frames_path, file);
}

static int report(const load_play *p, json_t *figures)
{
    if (p->stage->json)
        return figures_print("frame", figures, true);
    print_table(figures);
    json_decref(figures);
    return fflush(stdout) == 0 ? EXIT_DONE : failure("frame", "cannot write to stdout");
}

static int play_all(const load_play *p, gpu_load *load, rt_model *model)
{
    load_run runs[5];
    int count = list_runs(p, runs);
    FILE *file;
    bool fine = open_frames(p, &file) && (!p->picture_path || write_picture(p->picture_path, load));
    for (int i = 0; i < count && fine; i++)
        fine = play_run(p, load, model, &runs[i]);
    if (fine && file)
        write_frames(file, runs, count);
    fine = close_frames(p, file) && fine;
    int exit_code = fine ? report(p, describe(p, load, model, runs, count)) : EXIT_FAILED;
    for (int i = 0; i < count; i++) {
        samples_free(&runs[i].frame_ms);
        samples_free(&runs[i].budget_us);
    }
    return exit_code;
}

int frame_load_play(const load_play *p)
{
    char problem[256];
    gpu_load *load;
    rt_model *model;
    const gpu_load_def def = {.milliseconds = p->weight_ms, .cuda_device = 0};
    if (!gpu_load_create(&def, &load, problem))
        return failure("frame", "--gpu-load: %s", problem);
    int exit_code = open_model("frame", &p->stage->model, &model);
    if (exit_code == EXIT_DONE) {
        exit_code = play_all(p, load, model);
        rt_model_close(model);
    }
    gpu_load_destroy(load);
    return exit_code;
}
