// Worlds and characters: defs, ids, events, limits, and memory that runs out.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "scenarios/scenarios.h"

static rt_model *model;

static int open_model(void **state)
{
    (void)state;
    return scenario_open_model(scenario_tiny_model(), RT_ISA_AUTO, &model) == RT_OK ? 0 : -1;
}

static int close_model(void **state)
{
    (void)state;
    rt_model_close(model);
    return 0;
}

static rp_world *create_world(void)
{
    scenario_def scenario = scenario_default(model);
    rp_world *world = NULL;
    assert_int_equal(scenario_create_world(&scenario, &world), RT_OK);
    return world;
}

static rp_character_id create_character(rp_world *world, const char *name)
{
    rp_character_def def = rp_default_character_def();
    def.name = name;
    def.persona = "Somebody.";
    def.max_reply_tokens = 16;
    rp_character_id id;
    assert_int_equal(rp_character_create(world, &def, &id), RT_OK);
    return id;
}

static void test_world_def_is_checked(void **state)
{
    (void)state;
    rp_world *world = (rp_world *)1;
    rp_world_def def = { 0 };
    assert_int_equal(rp_world_create(&def, &world), RT_ERROR_INVALID_ARGUMENT);
    assert_null(world);
    def = rp_default_world_def();
    assert_int_equal(rp_world_create(&def, &world), RT_ERROR_INVALID_ARGUMENT); // no model
    def.model = model;
    def.max_active_turns = 0;
    assert_int_equal(rp_world_create(&def, &world), RT_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(rt_error_message(), "max_active_turns"));
    def = rp_default_world_def();
    def.model = model;
    def.lore = "bad \xFF";
    assert_int_equal(rp_world_create(&def, &world), RT_ERROR_INVALID_ARGUMENT);
    def = rp_default_world_def();
    def.model = model;
    def.margin = -1;
    assert_int_equal(rp_world_create(&def, &world), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rp_world_create(NULL, &world), RT_ERROR_INVALID_ARGUMENT);
    rp_world_destroy(NULL);
    assert_int_equal(rp_world_update(NULL, 100), RT_ERROR_INVALID_ARGUMENT);
    assert_false(rp_world_is_busy(NULL));
}

static void test_character_def_is_checked(void **state)
{
    (void)state;
    rp_world *world = create_world();
    rp_character_id id;
    rp_character_def def = { 0 };
    assert_int_equal(rp_character_create(world, &def, &id), RT_ERROR_INVALID_ARGUMENT);
    def = rp_default_character_def();
    assert_int_equal(rp_character_create(world, &def, &id), RT_ERROR_INVALID_ARGUMENT); // no name
    def.name = "a\nb";
    assert_int_equal(rp_character_create(world, &def, &id), RT_ERROR_INVALID_ARGUMENT);
    def.name = "\xC3(";
    assert_int_equal(rp_character_create(world, &def, &id), RT_ERROR_INVALID_ARGUMENT);
    def.name = "Marta";
    def.sampler.temperature = -1;
    assert_int_equal(rp_character_create(world, &def, &id), RT_ERROR_INVALID_ARGUMENT);
    def.sampler.temperature = 1;
    def.tool_count = 129;
    assert_int_equal(rp_character_create(world, &def, &id), RT_ERROR_INVALID_ARGUMENT);
    rp_tool_id stale = { 1, 7 };
    def.tools = &stale;
    def.tool_count = 1;
    assert_int_equal(rp_character_create(world, &def, &id), RT_ERROR_STALE_ID);
    def.tool_count = 0;
    assert_int_equal(rp_character_create(world, &def, &id), RT_OK);
    assert_int_equal(rp_character_create(world, &def, &id), RT_ERROR_INVALID_ARGUMENT); // the name is taken
    rp_world_destroy(world);
}

static void test_ids_go_stale(void **state)
{
    (void)state;
    rp_world *world = create_world();
    rp_character_id first = create_character(world, "Marta"), found;
    assert_int_equal(rp_character_find(world, "Marta", &found), RT_OK);
    assert_true(RP_ID_EQUAL(first, found));
    assert_string_equal(rp_character_name(world, first), "Marta");
    assert_int_equal(rp_character_destroy(world, first), RT_OK);
    assert_null(rp_character_name(world, first));
    assert_int_equal(rp_character_destroy(world, first), RT_ERROR_STALE_ID);
    assert_int_equal(rp_character_say(world, first, &(rp_say){ .text = "Hi" }, NULL), RT_ERROR_STALE_ID);
    assert_int_equal(rp_character_find(world, "Marta", &found), RT_ERROR_NOT_FOUND);
    rp_character_id second = create_character(world, "Marta");
    assert_int_equal(first.index, second.index);
    assert_int_not_equal(first.generation, second.generation);
    assert_int_equal(rp_character_set_state(world, first, "x"), RT_ERROR_STALE_ID);
    assert_int_equal(rp_character_set_state(world, second, "It is night."), RT_OK);
    assert_int_equal(rp_character_set_state(world, second, "\xFF"), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rp_character_set_state(world, second, NULL), RT_OK);
    rp_world_destroy(world);
}

static bool is_asked(void *user, rp_world *world, rp_character_id character, const char *speaker)
{
    (void)world, (void)character, (void)speaker;
    ++*(int *)user;
    return false;
}

static rp_call_status never_runs(void *user, rp_world *world, const rp_call *call, rp_writer *answer)
{
    (void)user, (void)world, (void)call, (void)answer;
    return RP_CALL_FAILED;
}

static uint32_t hash_reply(rp_world *world, rp_character_id character)
{
    uint32_t hash = 2166136261u;
    rp_event event;
    assert_int_equal(rp_character_say(world, character, &(rp_say){ .text = "Who are you?" }, NULL), RT_OK);
    while (rp_world_is_busy(world)) {
        assert_int_equal(rp_world_update(world, RP_BUDGET_UNLIMITED), RT_OK);
        while (rp_world_next_event(world, &event))
            for (size_t i = 0; event.kind == RP_EVENT_TEXT && i < event.text.size; i++)
                hash = (hash ^ (uint8_t)event.text.data[i]) * 16777619u;
    }
    return hash;
}

// A character that was given another persona or other tools is one that had them from the beginning.
static void test_personas_and_tools_change(void **state)
{
    (void)state;
    static const char *const personas[] = { "Somebody.", "A knight who counts his sheep aloud, day after day." };
    uint32_t expected[2], changed;
    for (int i = 0; i < 2; i++) {
        rp_world *world = create_world();
        rp_character_def def = rp_default_character_def();
        def.name = "Ann";
        def.persona = personas[i];
        def.max_reply_tokens = 16;
        rp_character_id id;
        assert_int_equal(rp_character_create(world, &def, &id), RT_OK);
        expected[i] = hash_reply(world, id);
        rp_world_destroy(world);
    }
    assert_int_not_equal(expected[0], expected[1]);
    rp_world *world = create_world();
    assert_ptr_equal(rp_world_model(world), model);
    assert_ptr_equal(rp_world_format(world), rp_format_find(rp_world_format(world)->name));
    rp_character_id id = create_character(world, "Ann");
    assert_int_equal(rp_character_set_persona(world, id, "bad \xFF"), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rp_character_set_persona(world, id, personas[1]), RT_OK);
    assert_int_equal(rp_character_set_persona(world, id, NULL), RT_OK); // as it is
    changed = hash_reply(world, id);
    assert_int_equal(changed, expected[1]);

    int asked = 0;
    rp_tool_def tool = rp_default_tool_def();
    tool.name = "dance";
    tool.description = "Dance";
    tool.call = never_runs;
    tool.eligible = is_asked;
    tool.user = &asked;
    rp_tool_id tools[1];
    assert_int_equal(rp_tool_create(world, &tool, &tools[0]), RT_OK);
    hash_reply(world, id);
    assert_int_equal(asked, 0);
    assert_int_equal(rp_character_set_tools(world, id, tools, 1), RT_OK);
    hash_reply(world, id);
    assert_int_equal(asked, 1);
    assert_int_equal(rp_character_set_tools(world, id, tools, 0), RT_OK);
    hash_reply(world, id);
    assert_int_equal(asked, 1);
    rp_character_destroy(world, id);
    assert_int_equal(rp_character_set_persona(world, id, "x"), RT_ERROR_STALE_ID);
    assert_int_equal(rp_character_set_tools(world, id, tools, 1), RT_ERROR_STALE_ID);
    rp_world_destroy(world);
}

static void test_max_characters(void **state)
{
    (void)state;
    rp_world *world = create_world();
    char name[16];
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "C%d", i);
        create_character(world, name);
    }
    rp_character_def def = rp_default_character_def();
    def.name = "one more";
    rp_character_id id;
    assert_int_equal(rp_character_create(world, &def, &id), RT_ERROR_TOO_LARGE);
    assert_true(RP_ID_IS_NULL(id));
    rp_world_destroy(world);
}

// The bucket of the middle count, by the formula in the header.
static void test_histogram_quantiles(void **state)
{
    (void)state;
    rp_histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    assert_true(rp_histogram_quantile(&histogram, 0.5) == 0);
    histogram.buckets[8] = 90;  // 4 to 4.76
    histogram.buckets[40] = 10; // 1024 to 1218
    histogram.count = 100;
    histogram.max = 1100;
    double half = rp_histogram_quantile(&histogram, 0.5), late = rp_histogram_quantile(&histogram, 0.95);
    assert_true(half >= 4 && half <= 4.76);
    assert_true(late >= 1024 && late <= 1100);
    assert_true(rp_histogram_quantile(&histogram, 1.0) <= 1100);
    assert_true(rp_histogram_quantile(NULL, 0.5) == 0);
}

static void test_destroyed_while_busy(void **state)
{
    (void)state;
    scenario_memory memory = { 0 };
    for (uint32_t frames = 0; frames < 12; frames++) {
        scenario_def scenario = scenario_default(model);
        scenario.host = scenario_host(&memory);
        rp_world *world = NULL;
        assert_int_equal(scenario_create_world(&scenario, &world), RT_OK);
        for (int i = 0; i < 6; i++) {
            char name[16];
            snprintf(name, sizeof name, "C%d", i);
            rp_character_say(world, create_character(world, name), &(rp_say){ .text = "Tell me everything." }, NULL);
        }
        for (uint32_t i = 0; i < frames; i++)
            rp_world_update(world, 60);
        assert_true(rp_world_is_busy(world));
        rp_world_destroy(world);
        assert_int_equal(memory.blocks, 0);
        assert_int_equal(memory.bytes, 0);
    }
}

static void test_steady_frames_allocate_nothing(void **state)
{
    (void)state;
    rp_world *world = create_world();
    rp_character_id characters[4];
    char name[16];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "C%d", i);
        characters[i] = create_character(world, name);
    }
    rp_event event;
    rp_stats stats;
    for (int round = 0; round < 6; round++) {
        if (round == 2)
            rp_world_reset_stats(world);
        for (int i = 0; i < 4; i++)
            assert_int_equal(rp_character_say(world, characters[i], &(rp_say){ .text = "And then?" }, NULL), RT_OK);
        for (int frame = 0; rp_world_is_busy(world) && frame < 100000; frame++) {
            assert_int_equal(rp_world_update(world, 500), RT_OK);
            while (rp_world_next_event(world, &event)) {
            }
        }
    }
    rp_world_get_stats(world, &stats);
    assert_int_equal(stats.turns_done, 16);
    assert_int_equal(stats.allocations_in_update, 0);
    rp_world_destroy(world);
}

// Each allocation of a whole conversation refused in turn: an error or a failed turn, no leak, no crash.
static void test_each_allocation_can_fail(void **state)
{
    (void)state;
    static scenario_result result;
    scenario_memory memory = { 0 };
    scenario_def scenario = scenario_default(model);
    scenario.host = scenario_host(&memory);
    scenario.reply_tokens = 12;
    scenario.count = 2;
    scenario.emotions = true;
    assert_int_equal(scenario_play(&scenario, &result), RT_OK);
    assert_int_equal(memory.blocks, 0);
    uint64_t allocations = memory.allocations, failures = 0;
    for (uint64_t fail_at = 1; fail_at <= allocations; fail_at++) {
        memory = (scenario_memory){ .fail_at = fail_at };
        rt_result code = scenario_play(&scenario, &result);
        failures += code != RT_OK || result.turns_failed > 0;
        if (code != RT_OK)
            assert_int_equal(code, RT_ERROR_OUT_OF_MEMORY);
        assert_int_equal(memory.blocks, 0);
        assert_int_equal(memory.bytes, 0);
    }
    assert_true(failures > allocations / 2);
}

static void test_trace_is_json(void **state)
{
    (void)state;
    rp_world *world = create_world();
    const char *path = "build/test_trace.json";
    assert_int_equal(rp_world_write_trace(world, path), RT_ERROR_NOT_FOUND);
    assert_int_equal(rp_world_set_trace(world, true, 40), RT_OK); // fewer than there will be: the last ones stay
    rp_character_id a = create_character(world, "Quote \" and \\"), b = create_character(world, "B");
    rp_character_say(world, a, &(rp_say){ .text = "Hello." }, NULL);
    rp_character_say(world, b, &(rp_say){ .text = "Hello." }, NULL);
    while (rp_world_is_busy(world))
        assert_int_equal(rp_world_update(world, 300), RT_OK);
    assert_int_equal(rp_world_write_trace(world, "no/such/folder/x.json"), RT_ERROR_IO);
    rt_result result = rp_world_write_trace(world, path);
    if (result != RT_OK)
        skip(); // run from somewhere else
    json_error_t error;
    json_t *trace = json_load_file(path, 0, &error), *events = json_object_get(trace, "traceEvents"), *event;
    remove(path);
    assert_non_null(trace);
    assert_true(json_array_size(events) >= 40);
    size_t index, slices = 0, updates = 0;
    json_array_foreach(events, index, event) {
        const char *name = json_string_value(json_object_get(event, "name"));
        assert_non_null(name);
        slices += strcmp(name, "slice") == 0;
        updates += strcmp(name, "update") == 0;
    }
    assert_true(slices > 0 && updates > 0);
    json_decref(trace);
    assert_int_equal(rp_world_set_trace(world, false, 0), RT_OK);
    rp_world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_world_def_is_checked),
        cmocka_unit_test(test_character_def_is_checked),
        cmocka_unit_test(test_ids_go_stale),
        cmocka_unit_test(test_personas_and_tools_change),
        cmocka_unit_test(test_max_characters),
        cmocka_unit_test(test_histogram_quantiles),
        cmocka_unit_test(test_destroyed_while_busy),
        cmocka_unit_test(test_steady_frames_allocate_nothing),
        cmocka_unit_test(test_each_allocation_can_fail),
        cmocka_unit_test(test_trace_is_json),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
