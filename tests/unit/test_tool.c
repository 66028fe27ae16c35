// Tools: defs, schemas, what is offered, calls answered now and later, vetoed, failed, too slow, taken away.
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

static uint64_t fake_now, fake_step; // what passes between two looks at the clock

static uint64_t fake_clock(void *user)
{
    (void)user;
    return fake_now += fake_step;
}

static rp_world *create_world(void)
{
    rp_world_def def = rp_default_world_def();
    def.model = model;
    def.max_characters = 8;
    def.max_queued_turns = 32;
    def.clock_ns = fake_clock;
    fake_now = 1000000000;
    rp_world *world = NULL;
    assert_int_equal(rp_world_create(&def, &world), RT_OK);
    return world;
}

// What the game's side of a tool does and has seen.
typedef struct game {
    rp_call_status status;
    const char *answer, *schema;
    bool eligible, offered;
    int32_t calls, asked;
    char arguments[512], speaker[64];
    rp_call_id last;
    rp_tool_id tool;
    rp_turn_id turn;
    enum { QUIET, UPDATES, CANCELS, DESTROYS_TOOL, DESTROYS_CHARACTER, DESTROYS_WORLD, ANSWERS_ITSELF } behaviour;
} game;

static rp_call_status on_call(void *user, rp_world *world, const rp_call *call, rp_writer *answer)
{
    game *g = user;
    g->calls++;
    g->last = call->id;
    g->turn = call->turn;
    snprintf(g->arguments, sizeof g->arguments, "%.*s", (int)call->arguments.size, call->arguments.data);
    snprintf(g->speaker, sizeof g->speaker, "%s", call->speaker);
    rp_character_def def = rp_default_character_def();
    rp_character_id id;
    switch (g->behaviour) {
    case UPDATES:
        assert_int_equal(rp_world_update(world, 100), RT_ERROR_BUSY);
        def.name = "another";
        assert_int_equal(rp_character_create(world, &def, &id), RT_ERROR_BUSY);
        assert_int_equal(rp_character_say(world, call->character, &(rp_say){ .text = "x" }, NULL), RT_ERROR_BUSY);
        break;
    case CANCELS: assert_int_equal(rp_turn_cancel(world, call->turn), RT_OK); break;
    case DESTROYS_TOOL: assert_int_equal(rp_tool_destroy(world, call->tool), RT_OK); break;
    case DESTROYS_CHARACTER: assert_int_equal(rp_character_destroy(world, call->character), RT_OK); break;
    case DESTROYS_WORLD: rp_world_destroy(world); break;
    case ANSWERS_ITSELF: assert_int_equal(rp_call_answer(world, call->id, RP_CALL_ANSWERED, "by itself"), RT_OK); break;
    default: break;
    }
    if (g->answer != NULL)
        rp_writer_add(answer, g->answer, strlen(g->answer));
    return g->status;
}

static bool on_eligible(void *user, rp_world *world, rp_character_id character, const char *speaker)
{
    (void)world;
    (void)character;
    assert_non_null(speaker);
    game *g = user;
    g->asked++;
    return g->eligible;
}

static bool on_parameters(void *user, rp_world *world, rp_character_id character, rp_writer *schema)
{
    (void)world;
    (void)character;
    game *g = user;
    if (g->offered)
        rp_writer_add(schema, g->schema, strlen(g->schema));
    return g->offered;
}

// With random weights nobody knows what is chosen: one line out of many will do.
typedef struct heard {
    int32_t calls, results, ends;
    rp_call_status status;
    char result[512];
    rp_event last;
} heard;

static void take_events(rp_world *world, heard *h)
{
    rp_event event;
    while (rp_world_next_event(world, &event)) {
        h->calls += event.kind == RP_EVENT_CALL;
        if (event.kind == RP_EVENT_CALL_RESULT) {
            h->results++;
            h->status = event.call_status;
            snprintf(h->result, sizeof h->result, "%s", event.text.data);
        }
        if (event.kind >= RP_EVENT_TURN_DONE && event.kind <= RP_EVENT_TURN_FAILED) {
            h->ends++;
            h->last = event;
        }
    }
}

static rp_character_id create_character(rp_world *world, const rp_tool_id *tools, int32_t count)
{
    rp_character_def def = rp_default_character_def();
    def.name = "Marta";
    def.persona = "Innkeeper.";
    def.tools = tools;
    def.tool_count = count;
    def.max_reply_tokens = 6;
    rp_character_id id;
    assert_int_equal(rp_character_create(world, &def, &id), RT_OK);
    return id;
}

static const char *const lines[] = { "Pour me a drink", "ale", "Hello", "x", "The road is long", "Give it to me now", "???",
                                     "wine and mead for the guest", "aaaa", "Marta", "none", "Who is there" };

// Says lines until one leads to a call (or they are used up). Whether one did.
static bool provoke(rp_world *world, rp_character_id character, game *g, heard *h)
{
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int32_t before = g->calls;
        memset(h, 0, sizeof *h);
        rp_say say = { .text = lines[i] };
        if (rp_character_say(world, character, &say, NULL) != RT_OK)
            return g->calls > before;
        assert_int_equal(rp_world_update(world, RP_BUDGET_UNLIMITED), RT_OK);
        take_events(world, h);
        if (g->calls > before)
            return true;
        assert_int_equal(h->ends, 1);
        assert_int_equal(h->last.kind, RP_EVENT_TURN_DONE);
        rp_character_clear_history(world, character);
    }
    return false;
}

static const char DRINK[] = "{\"type\": \"object\", \"properties\": {\"drink\": {\"type\": \"string\", \"enum\": [\"ale\", \"wine\"]}, "
                            "\"cups\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 4}, \"warm\": {\"type\": \"boolean\"}}, "
                            "\"required\": [\"drink\", \"cups\", \"warm\"], \"additionalProperties\": false}";

static rp_tool_def make_tool(game *g)
{
    rp_tool_def def = rp_default_tool_def();
    def.name = "pour_drink";
    def.description = "Pour the guest a drink";
    def.parameters = DRINK;
    def.call = on_call;
    def.user = g;
    return def;
}

static void test_defs_are_checked(void **state)
{
    (void)state;
    rp_world *world = create_world();
    game g = { 0 };
    rp_tool_id id;
    rp_tool_def def = { 0 };
    assert_int_equal(rp_tool_create(world, &def, &id), RT_ERROR_INVALID_ARGUMENT);
    def = make_tool(&g);
    def.call = NULL;
    assert_int_equal(rp_tool_create(world, &def, &id), RT_ERROR_INVALID_ARGUMENT);
    const char *bad[] = { "", "a\nb", "\xFF", "none" };
    for (size_t i = 0; i < 4; i++) {
        def = make_tool(&g);
        def.name = bad[i];
        assert_int_equal(rp_tool_create(world, &def, &id), RT_ERROR_INVALID_ARGUMENT);
    }
    def = make_tool(&g);
    def.parameters = "{\"type\": ";
    assert_int_equal(rp_tool_create(world, &def, &id), RT_ERROR_BAD_TEXT);
    def.parameters = "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"string\", \"contentSchema\": 3, \"format\": \"no-such\"}}}";
    rt_result result = rp_tool_create(world, &def, &id);
    if (result == RT_OK)
        rp_tool_destroy(world, id);
    def = make_tool(&g);
    assert_int_equal(rp_tool_create(world, &def, &id), RT_OK);
    assert_string_equal(rp_tool_name(world, id), "pour_drink");
    rp_tool_id other;
    assert_int_equal(rp_tool_create(world, &def, &other), RT_ERROR_INVALID_ARGUMENT); // the name is taken
    def.name = "give a \xE9\x8D\xB5.v2";
    assert_int_equal(rp_tool_create(world, &def, &other), RT_OK);
    assert_int_equal(rp_tool_destroy(world, id), RT_OK);
    assert_int_equal(rp_tool_destroy(world, id), RT_ERROR_STALE_ID);
    assert_null(rp_tool_name(world, id));
    assert_int_equal(rp_tool_find(world, "pour_drink", &id), RT_ERROR_NOT_FOUND);
    rp_world_destroy(world);
}

static void test_arguments_fit_the_schema(void **state)
{
    (void)state;
    rp_world *world = create_world();
    game g = { .status = RP_CALL_ANSWERED, .answer = "poured" };
    rp_tool_id id;
    rp_tool_def def = make_tool(&g);
    assert_int_equal(rp_tool_create(world, &def, &id), RT_OK);
    rp_character_id marta = create_character(world, &id, 1);
    heard h;
    assert_true(provoke(world, marta, &g, &h));
    json_error_t error;
    json_t *arguments = json_loads(g.arguments, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(arguments);
    const char *drink;
    json_int_t cups;
    int warm;
    assert_int_equal(json_unpack_ex(arguments, &error, JSON_STRICT, "{s:s, s:I, s:b}", "drink", &drink, "cups", &cups, "warm", &warm), 0);
    assert_true(strcmp(drink, "ale") == 0 || strcmp(drink, "wine") == 0);
    assert_true(cups >= 1 && cups <= 4);
    json_decref(arguments);
    assert_int_equal(h.calls, 1);
    assert_int_equal(h.results, 1);
    assert_string_equal(h.result, "poured");
    assert_string_equal(g.speaker, "player");
    assert_int_equal(h.last.kind, RP_EVENT_TURN_DONE); // and it speaks
    rp_stats stats;
    rp_world_get_stats(world, &stats);
    assert_int_equal(stats.calls_made, 1);
    rp_world_destroy(world);
}

static void test_veto_and_failure(void **state)
{
    (void)state;
    static const rp_call_status statuses[] = { RP_CALL_VETOED, RP_CALL_FAILED };
    for (size_t i = 0; i < 2; i++) {
        rp_world *world = create_world();
        game g = { .status = statuses[i], .answer = "the cellar is empty" };
        rp_tool_id id;
        rp_tool_def def = make_tool(&g);
        assert_int_equal(rp_tool_create(world, &def, &id), RT_OK);
        heard h;
        assert_true(provoke(world, create_character(world, &id, 1), &g, &h));
        assert_int_equal(h.status, statuses[i]);
        assert_int_equal(h.last.kind, RP_EVENT_TURN_DONE);
        rp_stats stats;
        rp_world_get_stats(world, &stats);
        assert_int_equal(stats.calls_vetoed + stats.calls_failed, 1);
        rp_world_destroy(world);
    }
}

static void test_answers_that_come_later(void **state)
{
    (void)state;
    rp_world *world = create_world();
    game g = { .status = RP_CALL_LATER };
    rp_tool_id id;
    rp_tool_def def = make_tool(&g);
    assert_int_equal(rp_tool_create(world, &def, &id), RT_OK);
    rp_character_id marta = create_character(world, &id, 1);
    heard h;
    assert_true(provoke(world, marta, &g, &h));
    assert_int_equal(h.ends, 0);
    rp_turn_state turn_state;
    assert_int_equal(rp_turn_get_state(world, g.turn, &turn_state), RT_OK);
    assert_int_equal(turn_state, RP_TURN_CALLING);
    assert_int_equal(rp_call_answer(world, g.last, RP_CALL_LATER, "x"), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rp_call_answer(world, g.last, RP_CALL_ANSWERED, "found one"), RT_OK);
    assert_int_equal(rp_call_answer(world, g.last, RP_CALL_ANSWERED, "twice"), RT_ERROR_STALE_ID);
    assert_int_equal(rp_world_update(world, RP_BUDGET_UNLIMITED), RT_OK);
    take_events(world, &h);
    assert_string_equal(h.result, "found one");
    assert_int_equal(h.last.kind, RP_EVENT_TURN_DONE);
    // Too late for the next one.
    rp_character_clear_history(world, marta);
    assert_true(provoke(world, marta, &g, &h));
    fake_now += 11000000000u;
    assert_int_equal(rp_world_update(world, RP_BUDGET_UNLIMITED), RT_OK);
    take_events(world, &h);
    assert_int_equal(h.status, RP_CALL_FAILED);
    assert_int_equal(h.last.kind, RP_EVENT_TURN_DONE);
    assert_int_equal(rp_call_answer(world, g.last, RP_CALL_ANSWERED, "late"), RT_ERROR_STALE_ID);
    // The tool goes away while a call waits.
    rp_character_clear_history(world, marta);
    assert_true(provoke(world, marta, &g, &h));
    assert_int_equal(rp_tool_destroy(world, id), RT_OK);
    assert_int_equal(rp_world_update(world, RP_BUDGET_UNLIMITED), RT_OK);
    take_events(world, &h);
    assert_int_equal(h.status, RP_CALL_FAILED);
    assert_int_equal(h.last.kind, RP_EVENT_TURN_DONE);
    rp_world_destroy(world);
}

// The tool is destroyed after the first, the second ... update of a turn that leads to a call: the turn ends, once, with words.
static void test_a_tool_goes_away_at_any_moment(void **state)
{
    (void)state;
    size_t line = 0;
    bool ended_first = false;
    for (int32_t moment = -1; !ended_first; moment++) {
        rp_world *world = create_world();
        game g = { .status = RP_CALL_ANSWERED, .answer = "poured" };
        rp_tool_id id;
        rp_tool_def def = make_tool(&g);
        def.once_per_turn = false; // and it is thought of again
        assert_int_equal(rp_tool_create(world, &def, &id), RT_OK);
        rp_character_id marta = create_character(world, &id, 1);
        fake_step = 2000;
        heard h = { 0 };
        if (moment < 0) { // which line it is
            for (; g.calls == 0; line++) {
                assert_true(line < sizeof lines / sizeof *lines);
                rp_character_clear_history(world, marta);
                assert_int_equal(rp_character_say(world, marta, &(rp_say){ .text = lines[line] }, NULL), RT_OK);
                assert_int_equal(rp_world_update(world, RP_BUDGET_UNLIMITED), RT_OK);
                take_events(world, &h);
            }
            line--;
        } else {
            assert_int_equal(rp_character_say(world, marta, &(rp_say){ .text = lines[line] }, NULL), RT_OK);
            for (int32_t update = 0; h.ends == 0; update++) {
                assert_true(update < 20000);
                if (update == moment)
                    assert_int_equal(rp_tool_destroy(world, id), RT_OK);
                assert_int_equal(rp_world_update(world, 200), RT_OK);
                take_events(world, &h);
                ended_first = update < moment;
            }
            assert_int_equal(h.ends, 1);
            assert_int_equal(h.last.kind, RP_EVENT_TURN_DONE);
            assert_int_equal(h.calls, h.results);
        }
        fake_step = 0;
        rp_world_destroy(world);
    }
}

static void test_cancelled_while_a_call_waits(void **state)
{
    (void)state;
    rp_world *world = create_world();
    game g = { .status = RP_CALL_LATER };
    rp_tool_id id;
    rp_tool_def def = make_tool(&g);
    assert_int_equal(rp_tool_create(world, &def, &id), RT_OK);
    heard h;
    assert_true(provoke(world, create_character(world, &id, 1), &g, &h));
    assert_int_equal(rp_turn_cancel(world, g.turn), RT_OK);
    assert_int_equal(rp_call_answer(world, g.last, RP_CALL_ANSWERED, "x"), RT_ERROR_STALE_ID);
    assert_int_equal(rp_world_update(world, RP_BUDGET_UNLIMITED), RT_OK);
    take_events(world, &h);
    assert_int_equal(h.last.kind, RP_EVENT_TURN_CANCELLED);
    rp_world_destroy(world);
}

static void test_what_is_not_eligible_does_not_exist(void **state)
{
    (void)state;
    rp_world *world = create_world();
    game g = { .status = RP_CALL_ANSWERED, .eligible = false };
    rp_tool_id id;
    rp_tool_def def = make_tool(&g);
    def.eligible = on_eligible;
    assert_int_equal(rp_tool_create(world, &def, &id), RT_OK);
    rp_character_id marta = create_character(world, &id, 1);
    heard h;
    assert_false(provoke(world, marta, &g, &h));
    assert_true(g.asked > 0);
    g.eligible = true;
    assert_true(provoke(world, marta, &g, &h));
    rp_world_destroy(world);
}

static void test_cooldown(void **state)
{
    (void)state;
    rp_world *world = create_world();
    game g = { .status = RP_CALL_ANSWERED };
    rp_tool_id id;
    rp_tool_def def = make_tool(&g);
    def.cooldown_us = 5000000;
    assert_int_equal(rp_tool_create(world, &def, &id), RT_OK);
    rp_character_id marta = create_character(world, &id, 1);
    heard h;
    assert_true(provoke(world, marta, &g, &h));
    rp_character_clear_history(world, marta);
    assert_false(provoke(world, marta, &g, &h));
    fake_now += 5000000000u;
    assert_true(provoke(world, marta, &g, &h));
    rp_world_destroy(world);
}

static void test_live_parameters(void **state)
{
    (void)state;
    rp_world *world = create_world();
    game g = { .status = RP_CALL_ANSWERED, .offered = false };
    rp_tool_id id;
    rp_tool_def def = make_tool(&g);
    def.parameters = NULL;
    def.live_parameters = on_parameters;
    assert_int_equal(rp_tool_create(world, &def, &id), RT_OK);
    rp_character_id marta = create_character(world, &id, 1);
    heard h;
    assert_false(provoke(world, marta, &g, &h)); // nothing in the cellar
    g.offered = true;
    g.schema = "{\"type\": \"object\", \"properties\": {\"drink\": {\"enum\": [\"the last bottle\"]}}, \"required\": [\"drink\"], "
               "\"additionalProperties\": false}";
    assert_true(provoke(world, marta, &g, &h));
    assert_string_equal(g.arguments, "{\"drink\": \"the last bottle\"}");
    g.schema = "{\"type\": \"obj"; // a script's mistake: the tool is not offered, the turn goes on
    rp_character_clear_history(world, marta);
    assert_false(provoke(world, marta, &g, &h));
    rp_world_destroy(world);
}

static void test_results_are_checked(void **state)
{
    (void)state;
    rp_world *world = create_world();
    game g = { .status = RP_CALL_ANSWERED, .answer = "{\"gold\":  2}" };
    rp_tool_id id;
    rp_tool_def def = make_tool(&g);
    def.result = "{\"type\": \"object\", \"properties\": {\"gold\": {\"type\": \"integer\"}}, \"required\": [\"gold\"]}";
    assert_int_equal(rp_tool_create(world, &def, &id), RT_OK);
    rp_character_id marta = create_character(world, &id, 1);
    heard h;
    assert_true(provoke(world, marta, &g, &h));
    assert_int_equal(h.status, RP_CALL_ANSWERED);
    g.answer = "{\"gold\": \"two\"}";
    rp_character_clear_history(world, marta);
    assert_true(provoke(world, marta, &g, &h));
    assert_int_equal(h.status, RP_CALL_FAILED);
    rp_world_destroy(world);
}

static void test_callbacks_that_misbehave(void **state)
{
    (void)state;
    for (int behaviour = UPDATES; behaviour <= ANSWERS_ITSELF; behaviour++) {
        rp_world *world = create_world();
        game g = { .status = RP_CALL_ANSWERED, .behaviour = behaviour };
        rp_tool_id id;
        rp_tool_def def = make_tool(&g);
        assert_int_equal(rp_tool_create(world, &def, &id), RT_OK);
        heard h;
        assert_true(provoke(world, create_character(world, &id, 1), &g, &h));
        assert_int_equal(h.ends, 1);
        bool gone = behaviour == CANCELS || behaviour == DESTROYS_CHARACTER;
        assert_int_equal(h.last.kind, gone ? RP_EVENT_TURN_CANCELLED : RP_EVENT_TURN_DONE);
        if (behaviour == ANSWERS_ITSELF)
            assert_string_equal(h.result, "by itself");
        rp_world_destroy(world);
    }
}

static void test_each_allocation_can_fail(void **state)
{
    (void)state;
    static scenario_result result;
    scenario_memory memory = { 0 };
    scenario_def scenario = scenario_default(model);
    scenario.host = scenario_host(&memory);
    scenario.reply_tokens = 6;
    scenario.count = 2;
    scenario.tools = true;
    scenario.emotions = true;
    assert_int_equal(scenario_play(&scenario, &result), RT_OK);
    assert_int_equal(memory.blocks, 0);
    uint64_t allocations = memory.allocations;
    uint64_t stride = allocations > 1500 ? allocations / 1500 : 1;
    for (uint64_t fail_at = 1; fail_at <= allocations; fail_at += stride) {
        memory = (scenario_memory){ .fail_at = fail_at };
        rt_result code = scenario_play(&scenario, &result);
        if (code != RT_OK)
            assert_int_equal(code, RT_ERROR_OUT_OF_MEMORY);
        if (memory.blocks != 0)
            fail_msg("allocation %d refused: %d blocks leaked", (int)fail_at, (int)memory.blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defs_are_checked),
        cmocka_unit_test(test_arguments_fit_the_schema),
        cmocka_unit_test(test_veto_and_failure),
        cmocka_unit_test(test_answers_that_come_later),
        cmocka_unit_test(test_a_tool_goes_away_at_any_moment),
        cmocka_unit_test(test_cancelled_while_a_call_waits),
        cmocka_unit_test(test_what_is_not_eligible_does_not_exist),
        cmocka_unit_test(test_cooldown),
        cmocka_unit_test(test_live_parameters),
        cmocka_unit_test(test_results_are_checked),
        cmocka_unit_test(test_callbacks_that_misbehave),
        cmocka_unit_test(test_each_allocation_can_fail),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
