// The Lua host on a real world: the demo's own script, the middleware's schemas, turns that run to their end, a host that goes
// away while its characters speak.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "repartee_lua/host.h"
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

static int calls_to_game;

static rt_result give_text(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    (void)arguments, (void)count;
    calls_to_game++;
    result->kind = RP_LUA_TEXT;
    result->text = (rp_text){user, strlen(user)};
    return RT_OK;
}

static rt_result give_cellar(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    static const rp_text drinks[] = {{"ale", 3}, {"mead", 4}};
    (void)user, (void)arguments, (void)count;
    result->kind = RP_LUA_LIST;
    result->list = drinks;
    result->list_count = 2;
    return RT_OK;
}

static rt_result give_speaker(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    (void)user;
    assert_int_equal(count, 2);
    if (strcmp(arguments[1].text.data, "gold") == 0) {
        result->kind = RP_LUA_INTEGER;
        result->integer = 20;
    }
    return RT_OK;
}

static rp_world *create_world(rt_host host)
{
    rp_world_def def = rp_default_world_def();
    rp_world *world = NULL;
    def.host = host;
    def.model = model;
    def.max_characters = 8;
    assert_int_equal(rp_world_create(&def, &world), RT_OK);
    return world;
}

static rp_lua *create_host(rp_world *world, rt_host host)
{
    rp_lua_def def = rp_default_lua_def();
    rp_lua *lua = NULL;
    def.host = host;
    def.world = world;
    def.max_milliseconds = 20000;
    assert_int_equal(rp_lua_create(&def, &lua), RT_OK);
    static const char *const names[] = {"pour", "give_key", "give_map", "serve_soup", "play"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(rp_lua_set_function(lua, names[i], give_text, "It is done."), RT_OK);
    }
    assert_int_equal(rp_lua_set_function(lua, "cellar", give_cellar, NULL), RT_OK);
    assert_int_equal(rp_lua_set_function(lua, "speaker", give_speaker, NULL), RT_OK);
    return lua;
}

static void load_griffin(rp_lua *lua)
{
    if (rp_lua_load(lua, "assets/demo/griffin.lua") != RT_OK) {
        fail_msg("%s", rt_error_message());
    }
}

static void say_to_all(rp_lua *lua, rp_world *world, const char *line)
{
    rp_character_id id;
    for (int32_t i = 0; rp_lua_character_name(lua, i, &id); i++) {
        rp_turn_id turn;
        assert_int_equal(rp_character_say(world, id, &(rp_say){.text = line, .max_reply_tokens = 8}, &turn), RT_OK);
    }
}

static void test_the_demo_script(void **state)
{
    (void)state;
    scenario_memory memory = {.blocks = 0};
    rt_host host = scenario_host(&memory);
    rp_world *world = create_world(host);
    rp_lua *lua = create_host(world, host);
    load_griffin(lua);
    rp_lua_stats stats;
    rp_lua_get_stats(lua, &stats);
    assert_int_equal(stats.characters, 3);
    assert_int_equal(stats.tools, 6);
    rp_tool_id tool;
    assert_int_equal(rp_tool_find(world, "pour_drink", &tool), RT_OK);
    int ended = 0, calls = 0, results = 0;
    static const char *const lines[] = {"Pour me an ale, please.", "Soup!", "Please open the cellar.", "\xE4\xBD\xA0\xE5\xA5\xBD"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        say_to_all(lua, world, lines[i]);
        for (int frame = 0; rp_world_is_busy(world) && frame < 2000; frame++) {
            assert_int_equal(rp_lua_advance(lua, 0.1), RT_OK);
            assert_int_equal(rp_world_update(world, 20000), RT_OK);
            rp_event event;
            while (rp_world_next_event(world, &event)) {
                assert_int_not_equal(event.kind, RP_EVENT_TURN_FAILED);
                ended += event.kind == RP_EVENT_TURN_DONE;
                calls += event.kind == RP_EVENT_CALL;
                results += event.kind == RP_EVENT_CALL_RESULT && event.call_status != RP_CALL_LATER;
                if (event.kind == RP_EVENT_CALL_RESULT) {
                    assert_int_not_equal(event.call_status, RP_CALL_FAILED);
                }
            }
        }
        assert_false(rp_world_is_busy(world));
    }
    assert_int_equal(ended, 12);
    assert_int_equal(results, calls);
    rp_lua_destroy(lua);
    assert_int_equal(rp_tool_find(world, "pour_drink", &tool), RT_ERROR_NOT_FOUND);
    rp_world_destroy(world);
    assert_int_equal(memory.blocks, 0);
}

static void test_a_host_that_goes_away(void **state)
{
    (void)state;
    scenario_memory memory = {.blocks = 0};
    rt_host host = scenario_host(&memory);
    rp_world *world = create_world(host);
    for (int frames = 0; frames < 12; frames += 3) {
        rp_lua *lua = create_host(world, host);
        load_griffin(lua);
        say_to_all(lua, world, "Soup, please.");
        for (int i = 0; i < frames; i++) {
            assert_int_equal(rp_world_update(world, 500), RT_OK);
        }
        rp_lua_destroy(lua); // in the middle of it
        assert_int_equal(rp_world_update(world, 1000), RT_OK);
        rp_event event;
        while (rp_world_next_event(world, &event)) {
        }
        assert_false(rp_world_is_busy(world));
    }
    rp_world_destroy(world);
    assert_int_equal(memory.blocks, 0);
}

static void test_refused_schemas_name_the_line(void **state)
{
    (void)state;
    rp_world *world = create_world((rt_host){.allocate = NULL});
    rp_lua *lua = create_host(world, (rt_host){.allocate = NULL});
    static const char script[] = "\ntool 'odd' { description = 'd', call = function() end,\n"
                                 "  parameters = schema { type = 'object', properties = { x = { type = 'nothing' } } } }\n";
    assert_int_equal(rp_lua_load_text(lua, "odd.lua", script, sizeof(script) - 1), RT_ERROR_SCRIPT);
    assert_non_null(strstr(rt_error_message(), "odd.lua:2: tool 'odd'"));
    rp_tool_id tool;
    assert_int_equal(rp_tool_find(world, "odd", &tool), RT_ERROR_NOT_FOUND);
    rp_lua_destroy(lua);
    rp_world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_demo_script),
        cmocka_unit_test(test_a_host_that_goes_away),
        cmocka_unit_test(test_refused_schemas_name_the_line),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
