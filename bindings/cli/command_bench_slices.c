// repartee bench slices: what it costs to serve in small budgets, and how well slices are predicted.
//
// Three worlds with the same characters, seeds and lines do the same work: in one update, in updates of 1 ms, and of 300 us
// (or others). Rounds are interleaved; each round's times are compared with one another, and the median counts.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGETS = 3, WARM_ROUNDS = 3 };

typedef struct bench {
    stage_options stage;
    int64_t rounds, budgets[BUDGETS];
} bench;

typedef struct player {
    rp_world *world;
    cast cast;
    uint32_t budget_us;
    samples round_us; // of updates
    uint64_t updates;
} player;

// Everybody is told where they are, so that prompts begin anew in each round, and spoken to once.
static bool play_round(player *p, int64_t round)
{
    char state[64];
    snprintf(state, sizeof state, "Day %lld. You are in the yard.", (long long)round);
    for (int i = 0; i < p->cast.count; i++) {
        rp_character_clear_history(p->world, p->cast.ids[i]);
        rp_character_set_persona(p->world, p->cast.ids[i], state);
        cast_say(&p->cast, i, RP_PRIORITY_NEARBY);
    }
    double took = 0;
    while (rp_world_is_busy(p->world) && p->cast.failures == 0) {
        uint64_t start = frames_now();
        if (rp_world_update(p->world, p->budget_us) != RT_OK)
            return false;
        took += (double)(frames_now() - start) * 1e-3;
        p->updates++;
        cast_take_events(&p->cast);
    }
    if (round >= WARM_ROUNDS)
        samples_add(&p->round_us, took);
    return p->cast.failures == 0;
}

static bool create_player(const bench *b, rt_model *model, int64_t budget, player *p)
{
    rp_world_def def = rp_default_world_def();
    def.host = cli_host();
    def.model = model;
    def.worker_count = b->stage.model.threads > 1 ? (int32_t)b->stage.model.threads - 1 : 0;
    def.kv_tokens = 4096;
    def.clock_ns = frames_are_real() ? NULL : frames_clock;
    p->budget_us = budget > 0 ? (uint32_t)budget : RP_BUDGET_UNLIMITED;
    return rp_world_create(&def, &p->world) == RT_OK && cast_create(&p->cast, p->world, (int)b->stage.characters);
}

// How far spins of this length are off: nothing on this machine is predicted better.
static double spin_error(double slice_us, double share)
{
    spin s = spin_calibrate();
    samples errors = {0}, times = {0};
    for (int i = 0; i < 2000; i++) {
        uint64_t start = frames_now();
        spin_run(&s, slice_us);
        samples_add(&times, (double)(frames_now() - start) * 1e-3);
    }
    double usual = samples_quantile(&times, 0.5);
    for (size_t i = 0; i < times.count; i++)
        samples_add(&errors, 100 * fabs(times.values[i] - usual) / usual);
    double error = samples_quantile(&errors, share);
    samples_free(&errors);
    samples_free(&times);
    return error;
}

static void report_player(json_t *out, const player *base, const player *p)
{
    char key[64];
    rp_stats stats;
    rp_world_get_stats(p->world, &stats);
    samples ratios = {0};
    for (size_t i = 0; i < p->round_us.count; i++)
        samples_add(&ratios, base->round_us.values[i] / p->round_us.values[i]);
    const char *name = p == base ? "unsliced" : "sliced";
    char suffix[32] = "";
    if (p != base)
        snprintf(suffix, sizeof suffix, "_%uus", (unsigned)p->budget_us);
    const struct {
        const char *what;
        double value;
    } figures[] = {
        {"round_ms", samples_quantile(&p->round_us, 0.5) * 1e-3},
        {"throughput_percent", 100 * samples_quantile(&ratios, 0.5)},
        {"slice_mean_us", stats.slices ? (double)stats.used_us / (double)stats.slices : 0},
        {"prediction_error_p50_percent", rp_histogram_quantile(&stats.prediction_error, 0.5) / 10},
        {"prediction_error_p90_percent", rp_histogram_quantile(&stats.prediction_error, 0.9) / 10},
        {"prediction_error_p99_percent", rp_histogram_quantile(&stats.prediction_error, 0.99) / 10},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        snprintf(key, sizeof key, "%s_%s%s", name, figures[i].what, suffix);
        figure_set(out, key, figures[i].value);
    }
    snprintf(key, sizeof key, "spin_error_p99_percent%s", suffix);
    if (stats.slices)
        figure_set(out, key, spin_error((double)stats.used_us / (double)stats.slices, 0.99));
    samples_free(&ratios);
}

static int run(const bench *b, rt_model *model)
{
    player players[BUDGETS] = {0};
    bool good = true;
    for (int i = 0; good && i < BUDGETS; i++)
        good = create_player(b, model, b->budgets[i], &players[i]);
    for (int64_t round = 0; good && round < WARM_ROUNDS + b->rounds; round++) {
        for (int i = 0; good && i < BUDGETS; i++) {
            if (round == WARM_ROUNDS)
                rp_world_reset_stats(players[i].world);
            good = play_round(&players[i], round);
        }
    }
    int exit_code;
    if (good) {
        json_t *out = json_object();
        figure_count(out, "characters", (uint64_t)b->stage.characters);
        figure_count(out, "threads", (uint64_t)b->stage.model.threads);
        figure_count(out, "rounds", (uint64_t)b->rounds);
        for (int i = 0; i < BUDGETS; i++)
            report_player(out, &players[0], &players[i]);
        exit_code = figures_print("bench slices", out, b->stage.json);
    } else {
        exit_code = failure("bench slices", NULL);
    }
    for (int i = 0; i < BUDGETS; i++) {
        cast_destroy(&players[i].cast);
        samples_free(&players[i].round_us);
        rp_world_destroy(players[i].world);
    }
    return exit_code;
}

int command_bench_slices(int argc, char **argv)
{
    bench b = {.stage = {.model = {.threads = 1}, .characters = 1, .fps = 60}, .rounds = 20, .budgets = {0, 1000, 300}};
    const option options[] = {
        STAGE_OPTIONS(b.stage),
        {"long", OPTION_INTEGER, &b.budgets[1], "US", "the longer budget, default 1000", 50, 1000000},
        {"short", OPTION_INTEGER, &b.budgets[2], "US", "the shorter budget, default 300", 50, 1000000},
        {"rounds", OPTION_INTEGER, &b.rounds, "N", "lines to each character, default 20", 1, 100000},
    };
    command_line line = {
        "bench slices",
        "[--model FILE] [--characters N] [--long US] [--short US] [--rounds N] [--json]",
        "Does the same work in one update and in small ones, in turn, and says what the small ones cost; and how far\n"
        "the predictions of slices were off, beside spins of the same length.",
        options,
        OPTION_COUNT(options),
        0,
        0,
        NULL,
        0};
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    frames_use_clock(b.stage.clock);
    rt_model *model;
    exit_code = open_model("bench slices", &b.stage.model, &model);
    if (exit_code != EXIT_DONE)
        return exit_code;
    exit_code = run(&b, model);
    rt_model_close(model);
    return exit_code;
}
