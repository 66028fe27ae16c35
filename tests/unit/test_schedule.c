// The scheduler: budgets on a clock of our own, who goes first, starvation, level of detail, the pacer. Every
// piece of work takes a time that its size foretells, on that clock: each run decides the same.
// SPDX-License-Identifier: MIT
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "model/model.h"
#include "scenarios/scenarios.h"

static rt_model *model;

// A clock that a look at it moves, and work done.
static uint64_t ticks, tick_ns;

static uint64_t ticking_clock(void *user)
{
    (void)user;
    return ticks += tick_ns;
}

// The CPU backend, but for how long it says that it took.
static rti_backend clockwork;

static rt_result run_by_clockwork(rti_device *device, int32_t slot, rt_part *parts, int32_t part_count)
{
    rt_result result = rti_backend_cpu()->run(device, slot, parts, part_count);
    for (int32_t i = 0; i < part_count; i++) {
        parts[i].measured_ns = (uint32_t)(500 + (double)parts[i].bytes * 0.1 + (double)parts[i].operations * 0.02);
        ticks += parts[i].measured_ns;
    }
    return result;
}

static int open_model(void **state)
{
    (void)state;
    if (scenario_open_model(scenario_tiny_model(), RT_ISA_AUTO, &model) != RT_OK)
        return -1;
    clockwork = *model->backend;
    clockwork.run = run_by_clockwork;
    model->backend = &clockwork;
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    rt_model_close(model);
    return 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// Who goes first
// ---------------------------------------------------------------------------------------------------------------------

static rp_world *create_world(int32_t active, int32_t queued)
{
    rp_world_def def = rp_default_world_def();
    def.model = model;
    def.max_characters = 256;
    def.max_active_turns = active;
    def.max_queued_turns = queued;
    def.clock_ns = ticking_clock;
    def.lore = "The Gilded Griffin is a tavern at a crossroads, and it has been raining for three days without a break. The road "
               "to the north is flooded, so nobody can leave, and the cellar is almost empty.";
    ticks = 1000000000;
    tick_ns = 2000;
    rp_world *world = NULL;
    assert_int_equal(rp_world_create(&def, &world), RT_OK);
    return world;
}

static rp_character_id create_character(rp_world *world, int32_t number, int32_t reply_tokens, bool with_fallback)
{
    static const char *const lines[] = { "Not now." };
    char name[32];
    snprintf(name, sizeof name, "C%d", (int)number);
    rp_character_def def = rp_default_character_def();
    def.name = name;
    def.persona = "Somebody.";
    def.max_reply_tokens = reply_tokens;
    if (with_fallback) {
        def.fallback_lines = lines;
        def.fallback_line_count = 1;
    }
    rp_character_id id;
    assert_int_equal(rp_character_create(world, &def, &id), RT_OK);
    return id;
}

static rp_turn_id say(rp_world *world, rp_character_id character, rp_priority priority, uint64_t deadline_us)
{
    rp_turn_id turn;
    rp_say line = { .text = "What now?", .priority = priority, .deadline_us = deadline_us };
    assert_int_equal(rp_character_say(world, character, &line, &turn), RT_OK);
    return turn;
}

typedef struct ends {
    rp_turn_id turns[512];
    rp_event_kind kinds[512];
    int32_t count, degraded, level, authored;
} ends;

static void take_events(rp_world *world, ends *e)
{
    rp_event event;
    while (rp_world_next_event(world, &event)) {
        if (event.kind == RP_EVENT_DEGRADED) {
            e->degraded++;
            e->level = event.count;
        }
        if (event.kind >= RP_EVENT_TURN_DONE && event.kind <= RP_EVENT_TURN_FAILED && e->count < 512) {
            e->authored += event.text.size == 8 && strcmp(event.text.data, "Not now.") == 0;
            e->kinds[e->count] = event.kind;
            e->turns[e->count++] = event.turn;
        }
    }
}

static int32_t place_of(const ends *e, rp_turn_id turn)
{
    for (int32_t i = 0; i < e->count; i++)
        if (RP_ID_EQUAL(e->turns[i], turn))
            return i;
    return -1;
}

static void run(rp_world *world, ends *e, uint32_t budget_us, int32_t frames)
{
    for (int32_t i = 0; i < frames && rp_world_is_busy(world); i++) {
        assert_int_equal(rp_world_update(world, budget_us), RT_OK);
        take_events(world, e);
    }
}

static void test_focus_goes_first(void **state)
{
    (void)state;
    static ends e;
    memset(&e, 0, sizeof e);
    rp_world *world = create_world(4, 64);
    for (int32_t i = 0; i < 20; i++)
        say(world, create_character(world, i, 12, false), RP_PRIORITY_AMBIENT, 0);
    run(world, &e, 200, 10); // under way
    int32_t before = e.count;
    rp_turn_id focus = say(world, create_character(world, 100, 12, false), RP_PRIORITY_FOCUS, 0);
    run(world, &e, 200, 100000);
    assert_int_equal(e.count, 21);
    assert_true(place_of(&e, focus) <= before + 4); // at most what was speaking already ends before it
    rp_world_destroy(world);
}

// Frames until the first word of a focus turn, the lore known: by itself, or beside a crowd that has waited for half a minute.
static int32_t frames_to_first_word(int32_t crowd)
{
    static ends e;
    rp_world *world = create_world(4, 64);
    for (int32_t i = 0; i < (crowd > 0 ? crowd : 1); i++)
        say(world, create_character(world, i, 48, false), RP_PRIORITY_AMBIENT, 0);
    if (crowd == 0)
        run(world, &e, 1000, 100000);
    for (int32_t i = 0; i < 40 && crowd > 0; i++) {
        run(world, &e, 60, 1);
        ticks += 1000000000;
    }
    assert_true(rp_world_is_busy(world) == (crowd > 0));
    rp_turn_id focus = say(world, create_character(world, 100, 12, false), RP_PRIORITY_FOCUS, 0);
    int32_t frames = 0;
    rp_event event;
    for (bool spoke = false; !spoke && frames < 10000; frames++) {
        assert_int_equal(rp_world_update(world, 60), RT_OK);
        while (rp_world_next_event(world, &event))
            spoke = spoke || (event.kind == RP_EVENT_TEXT && RP_ID_EQUAL(event.turn, focus));
    }
    rp_world_destroy(world);
    return frames;
}

static void test_a_crowd_does_not_delay_focus(void **state)
{
    (void)state;
    int32_t alone = frames_to_first_word(0), in_crowd = frames_to_first_word(24);
    assert_in_range(alone, 1, 9999);
    if (in_crowd > alone + alone / 4 + 1) // a piece of the crowd that is under way, and what it is owed
        fail_msg("%d frames instead of %d", (int)in_crowd, (int)alone);
}

static void test_deadlines_go_first_in_a_class(void **state)
{
    (void)state;
    static ends e;
    memset(&e, 0, sizeof e);
    rp_world *world = create_world(1, 64);
    rp_turn_id calm[6];
    for (int32_t i = 0; i < 6; i++)
        calm[i] = say(world, create_character(world, i, 8, false), RP_PRIORITY_NEARBY, 0);
    rp_turn_id urgent = say(world, create_character(world, 50, 8, false), RP_PRIORITY_NEARBY, 600000000);
    run(world, &e, 1000, 100000);
    assert_int_equal(e.count, 7);
    assert_int_equal(place_of(&e, urgent), 0);
    assert_true(place_of(&e, calm[0]) < place_of(&e, calm[5]));
    rp_world_destroy(world);
}

// A turn that is raised while it waits goes before those that were there first; one that has ended cannot be.
static void test_a_raised_turn_goes_first(void **state)
{
    (void)state;
    static ends e;
    memset(&e, 0, sizeof e);
    rp_world *world = create_world(1, 64);
    rp_turn_id turns[6];
    for (int32_t i = 0; i < 6; i++)
        turns[i] = say(world, create_character(world, i, 8, false), RP_PRIORITY_AMBIENT, 0);
    assert_int_equal(rp_turn_set_priority(world, turns[5], RP_PRIORITY_FOCUS), RT_OK);
    run(world, &e, 1000, 100000);
    assert_int_equal(e.count, 6);
    assert_true(place_of(&e, turns[5]) <= 1); // behind one that was under way at most
    assert_int_equal(rp_turn_set_priority(world, turns[5], RP_PRIORITY_FOCUS), RT_ERROR_STALE_ID);
    rp_world_destroy(world);
}

// A focus line after every frame, without end: whoever waits in the background is still served.
static void test_nothing_starves(void **state)
{
    (void)state;
    static ends e;
    memset(&e, 0, sizeof e);
    rp_world *world = create_world(2, 64);
    rp_turn_id patient = say(world, create_character(world, 0, 6, false), RP_PRIORITY_BACKGROUND, 0);
    rp_character_id loud[4];
    for (int32_t i = 0; i < 4; i++)
        loud[i] = create_character(world, 1 + i, 6, false);
    rp_turn_id turns[4] = { { 0 } };
    bool served = false;
    for (int32_t frame = 0; frame < 4000 && !served; frame++) {
        for (int32_t i = 0; i < 4; i++) {
            rp_turn_state turn_state;
            if (rp_turn_get_state(world, turns[i], &turn_state) != RT_OK)
                turns[i] = say(world, loud[i], RP_PRIORITY_FOCUS, 0);
        }
        e.count = 0;
        rp_world_update(world, 500);
        ticks += 16000000; // the rest of the frame
        take_events(world, &e);
        served = place_of(&e, patient) >= 0;
    }
    assert_true(served);
    rp_world_destroy(world);
}

// On a clock that only work moves, no update may run past its budget by more than a piece.
static void test_budget_is_kept(void **state)
{
    (void)state;
    static ends e;
    memset(&e, 0, sizeof e);
    rp_world *world = create_world(8, 64);
    tick_ns = 10000;
    for (int32_t i = 0; i < 8; i++)
        say(world, create_character(world, i, 16, false), RP_PRIORITY_NEARBY, 0);
    run(world, &e, 500, 100000);
    rp_stats stats;
    rp_world_get_stats(world, &stats);
    assert_int_equal(stats.turns_done, 8);
    assert_true(stats.updates > 20);
    assert_int_equal(stats.overshoot.count, stats.updates);
    assert_true(stats.overshoot.max <= 120);
    assert_true(stats.used_us <= stats.budget_us + stats.updates * 120);
    rp_world_destroy(world);
}

// The beginning that all prompts share is computed by one of them.
static void test_shared_lore_is_computed_once(void **state)
{
    (void)state;
    static ends e;
    memset(&e, 0, sizeof e);
    rp_world *alone = create_world(8, 64);
    say(alone, create_character(alone, 0, 4, false), RP_PRIORITY_NEARBY, 0);
    run(alone, &e, RP_BUDGET_UNLIMITED, 10);
    rp_stats one, many;
    rp_world_get_stats(alone, &one);
    rp_world *world = create_world(8, 64);
    for (int32_t i = 0; i < 8; i++)
        say(world, create_character(world, i, 4, false), RP_PRIORITY_NEARBY, 0);
    run(world, &e, 500, 100000);
    rp_world_get_stats(world, &many);
    assert_int_equal(many.turns_done, 8);
    int32_t prompt = (int32_t)(one.prefill_tokens + 1), shared = (int32_t)(many.reused_tokens / 7);
    assert_true(shared >= RT_KV_BLOCK_TOKENS);
    assert_true((int32_t)many.prefill_tokens <= 8 * prompt - 7 * shared + 8);
    assert_true(prompt - shared < 2 * RT_KV_BLOCK_TOKENS + 32);
    rp_world_destroy(alone);
    rp_world_destroy(world);
}

static void test_detail_follows_load(void **state)
{
    (void)state;
    static ends e;
    memset(&e, 0, sizeof e);
    rp_world *world = create_world(4, 256);
    rp_turn_id focus = say(world, create_character(world, 200, 16, true), RP_PRIORITY_FOCUS, 0);
    for (int32_t i = 0; i < 120; i++)
        say(world, create_character(world, i, 16, true), RP_PRIORITY_AMBIENT, 0);
    run(world, &e, 500, 200000);
    assert_int_equal(e.count, 121);
    for (int32_t i = 0; i < e.count; i++)
        assert_int_equal(e.kinds[i], RP_EVENT_TURN_DONE);
    assert_true(e.degraded >= 2);
    assert_true(e.authored > 20 && e.authored < 120);
    assert_true(place_of(&e, focus) >= 0);
    rp_world_update(world, 100);
    take_events(world, &e);
    assert_int_equal(e.level, 0);
    rp_world_destroy(world);
}

// ---------------------------------------------------------------------------------------------------------------------
// The pacer, against a game whose frames take what they take
// ---------------------------------------------------------------------------------------------------------------------

static void test_pacer(void **state)
{
    (void)state;
    rp_world *world = create_world(2, 512);
    static ends e;
    tick_ns = 100000;
    rp_character_id busy = create_character(world, 0, 96, false);
    for (int32_t i = 0; i < 400; i++)
        say(world, busy, RP_PRIORITY_AMBIENT, 0);
    int32_t missed = 0;
    double used = 0;
    uint32_t budget = 0;
    for (int32_t frame = 0; frame < 4000; frame++) {
        e.count = 0;
        uint32_t game_us = frame < 2000 ? 10000 : 14000; // the scene becomes heavier
        uint64_t before = ticks;
        rp_world_update(world, RP_BUDGET_PACED);
        take_events(world, &e);
        uint32_t ours = (uint32_t)((ticks - before) / 1000);
        uint32_t frame_us = game_us + ours;
        if (frame_us > 16667 * 1.05 && frame >= 200)
            missed++;
        used += frame > 1000 && frame < 2000 ? ours : 0;
        if (frame_us < 16667)
            frame_us = 16667; // waits for the display
        budget = rp_world_frame(world, frame_us);
        ticks += 100000;
    }
    assert_true(rp_world_is_busy(world));
    assert_true(missed <= 8);
    assert_true(used / 1000 > 3000); // of the 6,667 that the first scene leaves
    assert_true(budget >= 100 && budget < 4000);
    rp_world_set_unpaced(world, true);
    assert_int_equal(rp_world_frame(world, 900000), 8000);
    rp_world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_focus_goes_first),
        cmocka_unit_test(test_a_crowd_does_not_delay_focus),
        cmocka_unit_test(test_deadlines_go_first_in_a_class),
        cmocka_unit_test(test_a_raised_turn_goes_first),
        cmocka_unit_test(test_nothing_starves),
        cmocka_unit_test(test_budget_is_kept),
        cmocka_unit_test(test_shared_lore_is_computed_once),
        cmocka_unit_test(test_detail_follows_load),
        cmocka_unit_test(test_pacer),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
