// A long day in a crowded place: 256 characters, lines without end, cancels, barge-ins, removals, changes of priority.
// Every turn ends once, nothing starves, memory stays where it is.
//   REPARTEE_SOAK_TURNS=100000   how many turns (2000; a tenth of them with a thread of the world's own)
//   REPARTEE_SOAK_TEST=test_soak_in_background   only this one of the two
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "scenarios/scenarios.h"

enum { CROWD = 256, MOST_OPEN = 300 };

static uint32_t random_state = 12345;

static uint32_t random_below(uint32_t count)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(random_state >> 4) * count) >> 28);
}

static uint64_t now_ns;

static uint64_t frame_clock(void *user)
{
    (void)user;
    return now_ns += 3000; // a look at the clock takes its time
}

typedef struct soak {
    rp_world *world;
    rp_character_id crowd[CROWD];
    rp_turn_id open[MOST_OPEN];
    uint64_t said_frame[MOST_OPEN], frame, longest;
    int32_t open_count, named;
    int64_t said, ended;
} soak;

static void invite(soak *s, int32_t place)
{
    static const char *const lines[] = { "We are closed.", "Come back later." };
    char name[32];
    snprintf(name, sizeof name, "Guest %d", (int)s->named++);
    rp_character_def def = rp_default_character_def();
    def.name = name;
    def.persona = "A guest among many.";
    def.max_reply_tokens = 4 + (int32_t)random_below(12);
    def.fallback_lines = lines;
    def.fallback_line_count = 2;
    assert_int_equal(rp_character_create(s->world, &def, &s->crowd[place]), RT_OK);
}

static void say_something(soak *s)
{
    static const char *const lines[] = { "Hello.", "What news?", "I heard that the bridge is gone, is that true?", "", "?!" };
    rp_say say = { .text = lines[random_below(5)], .priority = (rp_priority)random_below(4) };
    if (random_below(20) == 0)
        say.deadline_us = 1000 + random_below(200000);
    rp_turn_id turn;
    assert_int_equal(rp_character_say(s->world, s->crowd[random_below(CROWD)], &say, &turn), RT_OK);
    s->said_frame[s->open_count] = s->frame;
    s->open[s->open_count++] = turn;
    s->said++;
}

static void disturb(soak *s)
{
    if (s->open_count == 0)
        return;
    rp_turn_id turn = s->open[random_below((uint32_t)s->open_count)];
    switch (random_below(8)) {
    case 0: rp_turn_cancel(s->world, turn); break;
    case 1: rp_turn_interrupt(s->world, turn, random_below(40)); break;
    case 2: rp_turn_set_priority(s->world, turn, (rp_priority)random_below(4)); break;
    case 3: rp_character_warm(s->world, s->crowd[random_below(CROWD)]); break;
    case 4: rp_character_set_state(s->world, s->crowd[random_below(CROWD)], random_below(2) ? "It is late." : NULL); break;
    case 5: rp_character_clear_history(s->world, s->crowd[random_below(CROWD)]); break;
    case 6: {
        int32_t place = (int32_t)random_below(CROWD);
        assert_int_equal(rp_character_destroy(s->world, s->crowd[place]), RT_OK);
        invite(s, place);
        break;
    }
    default: break;
    }
}

static void take_events(soak *s)
{
    rp_event event;
    while (rp_world_next_event(s->world, &event)) {
        if (event.kind < RP_EVENT_TURN_DONE || event.kind > RP_EVENT_TURN_FAILED)
            continue;
        if (event.kind == RP_EVENT_TURN_FAILED)
            fail_msg("a turn failed: %s", event.text.data);
        int32_t at = 0;
        while (at < s->open_count && !RP_ID_EQUAL(s->open[at], event.turn))
            at++;
        assert_true(at < s->open_count); // ends once
        uint64_t waited = s->frame - s->said_frame[at];
        s->longest = waited > s->longest ? waited : s->longest;
        s->open_count--;
        s->open[at] = s->open[s->open_count];
        s->said_frame[at] = s->said_frame[s->open_count];
        s->ended++;
    }
}

static uint64_t memory_of(const soak *s)
{
    rp_stats stats;
    rp_world_get_stats(s->world, &stats);
    return stats.memory_bytes;
}

static int64_t turns_wanted(void)
{
    const char *wanted = getenv("REPARTEE_SOAK_TURNS");
    return wanted != NULL ? atoll(wanted) : 2000;
}

static void play(soak *s, int64_t turns, bool in_background)
{
    for (int32_t i = 0; i < CROWD; i++)
        invite(s, i);
    uint64_t half_bytes = 0;
    while (s->ended < turns) {
        if (s->said < turns)
            for (uint32_t i = random_below(4); i > 0 && s->open_count < MOST_OPEN && s->said < turns; i--)
                say_something(s);
        if (random_below(2) == 0)
            disturb(s);
        assert_int_equal(rp_world_update(s->world, 500), RT_OK);
        if (in_background)
            usleep(300); // the game renders
        else
            now_ns += 14000000;
        take_events(s);
        s->frame++;
        if (half_bytes == 0 && s->ended > turns / 2)
            half_bytes = memory_of(s);
        assert_true(s->frame < 100000 + 2000 * (uint64_t)turns);
    }
    assert_int_equal(s->open_count, 0);
    for (int i = 0; i < 20000 && rp_world_is_busy(s->world); i++) { // prompts computed ahead of time
        rp_world_update(s->world, RP_BUDGET_UNLIMITED);
        if (in_background)
            usleep(300);
    }
    assert_false(rp_world_is_busy(s->world));
    assert_true(memory_of(s) < half_bytes + half_bytes / 20 + 65536);
    rp_stats stats;
    rp_world_get_stats(s->world, &stats);
    assert_int_equal(stats.cache.blocks_active, 0);
    assert_true(stats.turns_done > 0 && stats.turns_cancelled > 0);
    print_message("%lld turns in %llu frames, the longest wait %llu frames, %llu dropped, %llu bytes\n", (long long)s->ended,
                  (unsigned long long)s->frame, (unsigned long long)s->longest, (unsigned long long)stats.turns_dropped,
                  (unsigned long long)stats.memory_bytes);
    rp_world_destroy(s->world);
}

static rp_world_def crowded_world(rt_model *model)
{
    rp_world_def def = rp_default_world_def();
    def.model = model;
    def.max_characters = CROWD;
    def.max_queued_turns = 1024;
    def.kv_tokens = 4096;
    return def;
}

static void test_soak(void **state)
{
    (void)state;
    rt_model *model = NULL;
    assert_int_equal(scenario_open_model(scenario_tiny_model(), RT_ISA_AUTO, &model), RT_OK);
    static soak s;
    scenario_memory memory = { 0 };
    rp_world_def def = crowded_world(model);
    def.host = scenario_host(&memory);
    def.clock_ns = frame_clock;
    assert_int_equal(rp_world_create(&def, &s.world), RT_OK);
    play(&s, turns_wanted(), false);
    assert_int_equal(memory.blocks, 0);
    rt_model_close(model);
}

// The same against the clock, with a thread of the world's own and another one that helps it.
static void test_soak_in_background(void **state)
{
    (void)state;
    rt_model *model = NULL;
    assert_int_equal(scenario_open_model(scenario_tiny_model(), RT_ISA_AUTO, &model), RT_OK);
    static soak s;
    rp_world_def def = crowded_world(model);
    def.mode = RP_MODE_BACKGROUND;
    def.worker_count = 1;
    assert_int_equal(rp_world_create(&def, &s.world), RT_OK);
    play(&s, turns_wanted() / 10, true);
    rt_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_soak), cmocka_unit_test(test_soak_in_background) };
    cmocka_set_test_filter(getenv("REPARTEE_SOAK_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
