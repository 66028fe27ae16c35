// repartee bench focus: how soon whoever the player talks to begins to speak, alone and in a crowd.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "stage.h"

typedef struct bench {
    stage_options stage;
    int64_t budget, trials;
} bench;

enum { CROWD_FRAMES = 60 }; // between two lines

typedef struct wait {
    samples frames, budget_us; // until the first word: frames, and what updates took of them
} wait;

// Whether the turn has spoken; where it has ended already, *first_us says when it spoke.
static bool take_first_word(cast *c, rp_turn_id turn, double *first_us)
{
    rp_event event;
    bool spoke = false;
    while (rp_world_next_event(c->world, &event)) {
        spoke = spoke || (event.kind == RP_EVENT_TEXT && RP_ID_EQUAL(event.turn, turn));
        if (event.kind == RP_EVENT_TURN_DONE && RP_ID_EQUAL(event.turn, turn))
            *first_us = (double)event.first_text_us;
        cast_take_event(c, &event);
    }
    return spoke;
}

// The crowd talks on for a while; the persona of whoever comes into focus is read ahead of time.
static bool settle(const bench *b, cast *c)
{
    rp_character_clear_history(c->world, c->ids[0]);
    rp_character_warm(c->world, c->ids[0]);
    if (c->count == 1)
        rp_world_update(c->world, RP_BUDGET_UNLIMITED);
    for (int frame = 0; frame < CROWD_FRAMES && c->count > 1; frame++) {
        cast_keep_talking(c);
        rp_world_update(c->world, (uint32_t)b->budget);
        cast_take_events(c);
    }
    return c->failures == 0;
}

// One line to the focus, frame after frame with this budget until its first word; then on to its end.
static bool try_once(const bench *b, cast *c, uint32_t budget_us, wait *w)
{
    if (!settle(b, c))
        return false;
    rp_turn_id turn;
    rp_say say = {.text = "Good evening. What news from the harbour?", .priority = RP_PRIORITY_FOCUS};
    if (rp_character_say(c->world, c->ids[0], &say, &turn) != RT_OK)
        return false;
    double took = 0;
    int frames = 0;
    for (bool spoke = false; !spoke && c->failures == 0;) {
        cast_keep_talking(c);
        uint64_t start = frames_now();
        if (rp_world_update(c->world, budget_us) != RT_OK)
            return false;
        took += (double)(frames_now() - start) * 1e-3;
        frames++;
        spoke = take_first_word(c, turn, &took);
    }
    samples_add(&w->frames, frames);
    samples_add(&w->budget_us, took);
    rp_turn_cancel(c->world, turn);
    rp_world_update(c->world, 0);
    cast_take_events(c);
    return true;
}

// Everybody has spoken; from now on the first one speaks only when asked.
static void begin(cast *c, int rounds)
{
    cast_warm_up(c, rounds);
    c->first_talker = 1;
    while (c->talking[0] && c->failures == 0) {
        rp_world_update(c->world, 20000);
        cast_take_events(c);
    }
}

static void report(const bench *b, const wait *floor, const wait *alone, const wait *crowd, json_t *out)
{
    double period_ms = 1e3 / (double)b->stage.fps, floor_us = samples_quantile(&floor->budget_us, 0.5);
    figure_count(out, "characters", (uint64_t)b->stage.characters);
    figure_count(out, "fps", (uint64_t)b->stage.fps);
    figure_count(out, "budget_us", (uint64_t)b->budget);
    figure_count(out, "trials", (uint64_t)b->trials);
    figure_set(out, "floor_ms", floor_us * 1e-3);
    figure_set(out, "floor_frames", floor_us / (double)b->budget);
    figure_set(out, "alone_frames", samples_mean(&alone->frames));
    figure_set(out, "alone_ms", samples_mean(&alone->frames) * period_ms);
    figure_set(out, "alone_used_ms", samples_quantile(&alone->budget_us, 0.5) * 1e-3);
    figure_set(out, "frames_above_floor", samples_mean(&alone->frames) - floor_us / (double)b->budget);
    figure_set(out, "crowd_frames", samples_mean(&crowd->frames));
    figure_set(out, "crowd_ms", samples_mean(&crowd->frames) * period_ms);
    figure_set(out, "crowd_used_ms", samples_quantile(&crowd->budget_us, 0.5) * 1e-3);
    figure_set(out, "crowd_to_alone_percent", 100 * samples_mean(&crowd->frames) / samples_mean(&alone->frames));
    figure_set(out, "crowd_worst_frames", samples_quantile(&crowd->frames, 1));
}

static bool measure(const bench *b, cast *alone, cast *crowd, json_t *out)
{
    wait floor = {0}, by_itself = {0}, in_crowd = {0}, unused = {0};
    begin(crowd, 1);
    begin(alone, 3);
    bool good = try_once(b, alone, (uint32_t)b->budget, &unused) && try_once(b, crowd, (uint32_t)b->budget, &unused);
    for (int64_t i = 0; good && i < b->trials; i++)
        good = try_once(b, alone, RP_BUDGET_UNLIMITED, &floor) && try_once(b, alone, (uint32_t)b->budget, &by_itself) &&
               try_once(b, crowd, (uint32_t)b->budget, &in_crowd);
    if (good)
        report(b, &floor, &by_itself, &in_crowd, out);
    wait *all[] = {&floor, &by_itself, &in_crowd, &unused};
    for (int i = 0; i < 4; i++) {
        samples_free(&all[i]->frames);
        samples_free(&all[i]->budget_us);
    }
    return good;
}

int command_bench_focus(int argc, char **argv)
{
    bench b = {.stage = {.model = {.threads = 1}, .characters = 32, .fps = 60}, .budget = 2000, .trials = 20};
    const option options[] = {
        STAGE_OPTIONS(b.stage),
        {"budget", OPTION_INTEGER, &b.budget, "US", "microseconds of each frame, default 2000", 50, 1000000},
        {"trials", OPTION_INTEGER, &b.trials, "N", "lines to the character in focus, default 20", 1, 100000},
    };
    command_line line = {
        .command = "bench focus",
        .usage = "[--model FILE] [--characters N] [--budget US] [--fps N] [--trials N] [--json]",
        .about = "Speaks to one character whose persona was read ahead of time, and counts frames until its first word: by\n"
                 "itself, and with all the others talking. The floor is the same in one update without a budget.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    stage one, many;
    stage_options single = b.stage;
    single.characters = 1;
    exit_code = stage_begin(&one, "bench focus", &single);
    int second = stage_begin(&many, "bench focus", &b.stage);
    exit_code = exit_code == EXIT_DONE ? second : exit_code;
    if (exit_code == EXIT_DONE) {
        json_t *out = json_object();
        if (measure(&b, &one.cast, &many.cast, out))
            exit_code = figures_print("bench focus", json_incref(out), b.stage.json);
        else
            exit_code = failure("bench focus", NULL);
        json_decref(out);
    }
    stage_end(&many);
    stage_end(&one);
    return exit_code;
}
