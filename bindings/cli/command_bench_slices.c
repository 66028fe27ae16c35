// repartee bench slices: what it costs to serve in small budgets, and how well slices are predicted.
//
// Three worlds with the same characters, seeds and lines do the same work: in one update, in updates of 1 ms, and of 300 us
// (or others). Rounds are interleaved; each round's times are compared with one another, and the median counts.
//
// After each round as much time as an eighth of its slices took goes to spins of the same lengths, and to reading fresh memory
// for as long: how far those are off from what they usually take, nobody on this machine can predict. Arithmetic that stays in
// registers says what interrupts do; reading says what others on the same memory do as well, and slices read weights.
//
// The same for all slices of an update together, which is what a budget buys; and for those updates, spins and reads alone
// during which the processor served no interrupt: so would all of them do on a quiet machine.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "interrupts.h"
#include "options.h"
#include "stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGETS = 3, WARM_ROUNDS = 3, SLICES_A_SPIN = 8 };
// Lengths of pieces beyond those of rp_stats.
enum { UPDATES = RP_SLICE_LENGTHS, QUIET_UPDATES, LENGTHS };
enum { SPIN, READ, FLOORS };
static const double LEAST_JUDGED_US = 100; // as for predictions: a shorter one's error is as one of this
static const size_t READ_BYTES = (size_t)64 << 20;
static const char *const length_names[LENGTHS] = {"below_50us", "50_to_150us", "150_to_500us", "from_500us",
                                                  "update", "undisturbed_update"};

typedef struct bench {
    stage_options stage;
    int64_t rounds, budgets[BUDGETS];
} bench;

// What pieces of one length took, as a share of that length, and the weight that an error of theirs has.
typedef struct pieces {
    samples share, weight;
} pieces;

typedef struct player {
    rp_world *world;
    cast cast;
    uint32_t budget_us;
    samples round_us; // of updates
    uint64_t updates;
    samples update_errors[2]; // percent: of all, and of undisturbed ones
    pieces floors[FLOORS][LENGTHS];
} player;

// Memory that is read in order, again and again: nothing of it is in a near cache when its turn comes.
typedef struct reader {
    uint64_t *words;
    size_t at, count;
    double words_per_us;
} reader;

static volatile uint64_t read_sink;

static void reader_run(reader *r, double microseconds)
{
    uint64_t sum = 0;
    for (size_t left = (size_t)(microseconds * r->words_per_us); left > 0;) {
        size_t run = left < r->count - r->at ? left : r->count - r->at;
        for (size_t i = 0; i < run; i++)
            sum += r->words[r->at + i];
        r->at = (r->at + run) % r->count;
        left -= run;
    }
    read_sink = sum;
}

static bool reader_create(reader *r)
{
    *r = (reader){.count = READ_BYTES / sizeof(uint64_t), .words_per_us = 1000};
    r->words = malloc(READ_BYTES);
    if (r->words == NULL)
        return false;
    memset(r->words, 1, READ_BYTES);
    samples times = {0};
    for (int i = 0; i < 200; i++) {
        uint64_t start = frames_now();
        reader_run(r, 200);
        samples_add(&times, (double)(frames_now() - start) * 1e-3);
    }
    double usual = samples_quantile(&times, 0.5);
    r->words_per_us *= usual > 0 ? 200 / usual : 1;
    samples_free(&times);
    return true;
}

static void add_piece(pieces *p, double length_us, double took_us)
{
    samples_add(&p->share, took_us / length_us);
    samples_add(&p->weight, length_us / (length_us > LEAST_JUDGED_US ? length_us : LEAST_JUDGED_US));
}

// A spin and a read.
static void play_floor(player *p, int length, double length_us, const spin *s, reader *r)
{
    interrupts seen[3];
    interrupts_read(&seen[0]);
    uint64_t start = frames_now();
    spin_run(s, length_us);
    uint64_t between = frames_now();
    if (length == UPDATES) {
        interrupts_read(&seen[1]);
        seen[2] = seen[1];
    }
    uint64_t again = frames_now();
    reader_run(r, length_us);
    double took_us[FLOORS] = {(double)(between - start) * 1e-3, (double)(frames_now() - again) * 1e-3};
    for (int f = 0; f < FLOORS; f++)
        add_piece(&p->floors[f][length], length_us, took_us[f]);
    if (length != UPDATES)
        return;
    interrupts_read(&seen[2]);
    for (int f = 0; f < FLOORS; f++)
        if (interrupts_none(&seen[f], &seen[f + 1]))
            add_piece(&p->floors[f][QUIET_UPDATES], length_us, took_us[f]);
}

// Spins and reads as long as the slices and updates of the last round were, an eighth as many.
static void play_floors(player *p, const rp_stats *before, const spin *s, reader *r)
{
    rp_stats stats;
    rp_world_get_stats(p->world, &stats);
    for (int length = 0; length <= UPDATES; length++) {
        const rp_slice_stats *now = length < UPDATES ? &stats.slices_by_length[length] : &stats.slices_by_update;
        const rp_slice_stats *then = length < UPDATES ? &before->slices_by_length[length] : &before->slices_by_update;
        uint64_t count = now->error.count - then->error.count;
        double length_us = count > 0 ? (double)(now->expected_ns - then->expected_ns) / (double)count * 1e-3 : 0;
        for (uint64_t i = 0; i < (count + SLICES_A_SPIN / 2) / SLICES_A_SPIN; i++)
            play_floor(p, length, length_us, s, r);
    }
}

// Errors, in percent, of pieces that were expected to take what those of their length usually do.
static void floor_errors(const pieces *p, samples *errors)
{
    double usual = samples_quantile(&p->share, 0.5);
    for (size_t i = 0; i < p->share.count; i++)
        samples_add(errors, 100 * fabs(p->share.values[i] / usual - 1) * p->weight.values[i]);
}

static bool play_update(player *p, double *took_us)
{
    uint64_t start = frames_now();
    rt_result result = rp_world_update(p->world, p->budget_us);
    *took_us += (double)(frames_now() - start) * 1e-3;
    p->updates++;
    return result == RT_OK;
}

// An update, and how far off the prediction of its slices was.
static bool watch_update(player *p, double *took_us)
{
    rp_stats stats[2];
    interrupts seen[2];
    rp_world_get_stats(p->world, &stats[0]);
    interrupts_read(&seen[0]);
    bool good = play_update(p, took_us);
    interrupts_read(&seen[1]);
    rp_world_get_stats(p->world, &stats[1]);
    double expected = (double)(stats[1].slices_by_update.expected_ns - stats[0].slices_by_update.expected_ns);
    double measured = (double)(stats[1].slices_by_update.measured_ns - stats[0].slices_by_update.measured_ns);
    if (!good || expected <= 0)
        return good;
    double least = LEAST_JUDGED_US * 1e3, error = 100 * fabs(measured - expected) / (expected > least ? expected : least);
    samples_add(&p->update_errors[0], error);
    if (interrupts_none(&seen[0], &seen[1]))
        samples_add(&p->update_errors[1], error);
    return true;
}

// Everybody is told where they are, so that prompts begin anew in each round, and spoken to once. Every other round is watched:
// reading what the machine did between updates makes them slower, so those rounds are not timed.
static bool play_round(player *p, int64_t round)
{
    char state[64];
    snprintf(state, sizeof state, "Day %lld. You are in the yard.", (long long)round);
    for (int i = 0; i < p->cast.count; i++) {
        rp_character_clear_history(p->world, p->cast.ids[i]);
        rp_character_set_persona(p->world, p->cast.ids[i], state);
        cast_say(&p->cast, i, RP_PRIORITY_NEARBY);
    }
    const bool is_watched = round >= WARM_ROUNDS && round % 2 == 0;
    double took = 0;
    while (rp_world_is_busy(p->world) && p->cast.failures == 0) {
        if (!(is_watched ? watch_update(p, &took) : play_update(p, &took)))
            return false;
        cast_take_events(&p->cast);
    }
    if (round >= WARM_ROUNDS && !is_watched)
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

// How far off predictions were in a share of cases, beside spins and reads, all in percent.
static void report_quantile(json_t *out, const char *of, const char *suffix, double share, double error, const samples floors[FLOORS])
{
    static const char *const names[] = {"prediction", "spin", "read"};
    double values[] = {error, samples_quantile(&floors[SPIN], share), samples_quantile(&floors[READ], share)};
    char key[96];
    for (int n = 0; n < 3; n++) {
        snprintf(key, sizeof key, "%s_error_p%.0f_percent%s%s", names[n], 100 * share, of, suffix);
        figure_set(out, key, values[n]);
    }
    double floor = values[1] > values[2] ? values[1] : values[2];
    snprintf(key, sizeof key, "error_above_floor_p%.0f_percent%s%s", 100 * share, of, suffix);
    figure_set(out, key, values[0] > floor ? values[0] - floor : 0);
}

static void report_length(json_t *out, const player *p, const rp_stats *stats, int length, const char *suffix)
{
    static const double shares[] = {0.5, 0.9, 0.99};
    const bool is_update = length >= UPDATES;
    const samples *updates = is_update ? &p->update_errors[length - UPDATES] : NULL;
    const rp_histogram *slices = is_update ? NULL : &stats->slices_by_length[length].error;
    if ((is_update ? updates->count : slices->count) < 100)
        return;
    samples floors[FLOORS] = {{0}};
    char of[48];
    snprintf(of, sizeof of, "_%s", length_names[length]);
    for (int f = 0; f < FLOORS; f++)
        floor_errors(&p->floors[f][length], &floors[f]);
    for (int i = is_update ? 0 : 2; i < 3; i++) {
        double error = is_update ? samples_quantile(updates, shares[i]) : rp_histogram_quantile(slices, shares[i]) / 10;
        report_quantile(out, of, suffix, shares[i], error, floors);
    }
    for (int f = 0; f < FLOORS; f++)
        samples_free(&floors[f]);
}

// Of all slices, then by length, then of updates.
static void report_errors(json_t *out, const player *p, const rp_stats *stats, const char *suffix)
{
    static const double shares[] = {0.5, 0.9, 0.99};
    samples all[FLOORS] = {{0}};
    for (int length = 0; length < RP_SLICE_LENGTHS; length++)
        for (int f = 0; f < FLOORS; f++)
            floor_errors(&p->floors[f][length], &all[f]);
    for (int i = 0; i < 3; i++)
        report_quantile(out, "", suffix, shares[i], rp_histogram_quantile(&stats->prediction_error, shares[i]) / 10, all);
    for (int length = 0; length < LENGTHS; length++)
        report_length(out, p, stats, length, suffix);
    for (int f = 0; f < FLOORS; f++)
        samples_free(&all[f]);
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
    char suffix[32] = "_unsliced";
    if (p != base)
        snprintf(suffix, sizeof suffix, "_%uus", (unsigned)p->budget_us);
    const struct {
        const char *what;
        double value;
    } figures[] = {
        {"round_ms", samples_quantile(&p->round_us, 0.5) * 1e-3},
        {"throughput_percent", 100 * samples_quantile(&ratios, 0.5)},
        {"updates", (double)p->update_errors[0].count},
        {"updates_undisturbed", (double)p->update_errors[1].count},
        {"slice_mean_us", stats.slices ? (double)stats.used_us / (double)stats.slices : 0},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        snprintf(key, sizeof key, "%s_%s%s", name, figures[i].what, p == base ? "" : suffix);
        figure_set(out, key, figures[i].value);
    }
    report_errors(out, p, &stats, suffix);
    samples_free(&ratios);
}

// One round of each player, and what the machine does to pieces as long as its slices.
static bool play_rounds(player *players, int64_t round, const spin *s, reader *r)
{
    for (int i = 0; i < BUDGETS; i++) {
        rp_stats before;
        if (round == WARM_ROUNDS)
            rp_world_reset_stats(players[i].world);
        rp_world_get_stats(players[i].world, &before);
        if (!play_round(&players[i], round))
            return false;
        if (round >= WARM_ROUNDS)
            play_floors(&players[i], &before, s, r);
    }
    return true;
}

static void destroy_player(player *p)
{
    for (int f = 0; f < FLOORS; f++) {
        for (int length = 0; length < LENGTHS; length++) {
            samples_free(&p->floors[f][length].share);
            samples_free(&p->floors[f][length].weight);
        }
    }
    cast_destroy(&p->cast);
    samples_free(&p->round_us);
    for (int i = 0; i < 2; i++)
        samples_free(&p->update_errors[i]);
    rp_world_destroy(p->world);
}

static int run(const bench *b, rt_model *model)
{
    player players[BUDGETS] = {0};
    reader r;
    bool good = reader_create(&r);
    spin s = spin_calibrate();
    for (int i = 0; good && i < BUDGETS; i++)
        good = create_player(b, model, b->budgets[i], &players[i]);
    for (int64_t round = 0; good && round < WARM_ROUNDS + b->rounds; round++)
        good = play_rounds(players, round, &s, &r);
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
    for (int i = 0; i < BUDGETS; i++)
        destroy_player(&players[i]);
    free(r.words);
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
        .command = "bench slices",
        .usage = "[--model FILE] [--characters N] [--long US] [--short US] [--rounds N] [--json]",
        .about = "Does the same work in one update and in small ones, in turn, and says what the small ones cost; and how far\n"
                 "the predictions of slices were off, beside spins and reads of the same lengths.",
        OPTIONS(options),
    };
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
