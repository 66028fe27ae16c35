// What can go wrong on the device, injected into the emulated one: each allocation refused in turn, the device lost at any call.
// Results, never an abort, and nothing left behind; characters fall back and the game goes on.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scenarios/scenarios.h"
#include "support/cuda_plugin.h"

#define MODEL "tests/data/models/llama3/model-q8_0.gguf"

#if defined(__SANITIZE_ADDRESS__)
#define STRIDE 17 // of the moments at which the device is lost
#else
#define STRIDE 5
#endif

static const rti_emulation_faults *faults;

static int find_faults(void **state)
{
    (void)state;
    faults = test_cuda_faults();
    return 0;
}

static void need_faults(void)
{
    if (!faults) skip(); // a real device cannot be told to fail
}

static rt_result open_model(const char *path, rt_model **model)
{
    rt_model_def def = rt_default_model_def();
    def.path = path;
    def.backend = RT_BACKEND_CUDA;
    def.cuda_library = test_cuda_plugin();
    return rt_model_open(&def, model);
}

static rt_result evaluate(rt_context *context, rt_sequence sequence, int32_t count)
{
    rt_row rows[8];
    static float logits[4096];
    for (int32_t i = 0; i < count; i++) rows[i] = (rt_row){.sequence = sequence, .token = i + 3, .wants_logits = i + 1 == count};
    return rt_context_evaluate(context, rows, count, logits);
}

// A little of everything that a context does. The first failure ends it.
static rt_result live(rt_context *context)
{
    rt_sequence one, two, three;
    static uint8_t saved[1 << 20];
    size_t size;
    rt_result result = rt_sequence_create(context, &one);
    if (result == RT_OK) result = evaluate(context, one, 5);
    if (result == RT_OK) result = evaluate(context, one, 1);
    if (result == RT_OK) result = rt_sequence_fork(context, one, &two);
    if (result == RT_OK) result = evaluate(context, two, 1); // copies a block
    if (result == RT_OK) result = rt_sequence_save(context, one, saved, sizeof saved, &size);
    if (result == RT_OK) result = rt_sequence_restore(context, saved, size, &three);
    if (result == RT_OK) result = evaluate(context, three, 1);
    return result;
}

static rt_result open_and_live(void)
{
    rt_model *model = NULL;
    rt_context *context = NULL;
    rt_result result = open_model(MODEL, &model);
    rt_context_def def = rt_default_context_def();
    def.model = model;
    def.max_rows = def.max_logits_rows = 8;
    def.max_passes = 1;
    def.max_sequences = 4;
    def.kv_tokens = 256;
    if (result == RT_OK) result = rt_context_create(&def, &context);
    if (result == RT_OK) result = live(context);
    rt_context_destroy(context);
    rt_model_close(model);
    return result;
}

static void test_each_allocation_refused(void **state)
{
    (void)state;
    need_faults();
    assert_int_equal(open_and_live(), RT_OK); // the plugin is loaded now
    const int64_t before = faults->objects();
    rt_result result = RT_ERROR_OUT_OF_MEMORY;
    int64_t allowed = 0;
    for (; result != RT_OK; allowed++) {
        faults->fail_allocations_after(allowed);
        result = open_and_live();
        faults->fail_allocations_after(-1);
        if (result != RT_OK && result != RT_ERROR_OUT_OF_MEMORY)
            fail_msg("allocation %lld refused: %s", (long long)allowed, rt_error_message());
        assert_int_equal(faults->objects(), before);
        assert_int_equal(faults->contexts(), 0);
    }
    assert_true(allowed > 10);
    assert_int_equal(faults->bytes(), 0);
}

static void test_the_device_lost_at_any_call(void **state)
{
    (void)state;
    need_faults();
    const int64_t before = faults->objects();
    int64_t calls = faults->calls(RTI_EMULATED_ANY);
    assert_int_equal(open_and_live(), RT_OK);
    calls = faults->calls(RTI_EMULATED_ANY) - calls;
    for (int64_t allowed = 0; allowed < calls; allowed += allowed < 40 ? 1 : STRIDE) {
        faults->lose_device_after(allowed);
        rt_result result = open_and_live();
        faults->lose_device_after(-1);
        if (result == RT_OK || (result != RT_ERROR_DEVICE && result != RT_ERROR_OUT_OF_MEMORY)) {
            // The last calls only give things back: losing the device there is nobody's concern.
            if (result != RT_OK || allowed < calls / 2) fail_msg("lost after %lld calls: %s", (long long)allowed, rt_error_message());
        }
        assert_int_equal(faults->objects(), before);
    }
}

// The game destroyed its context, or the driver has shut down before the game gives its model back: nothing is called any more.
static void test_a_context_that_is_gone(void **state)
{
    (void)state;
    need_faults();
#if defined(__SANITIZE_ADDRESS__)
    skip(); // what went with the context is a leak to it
#endif
    rt_model *model;
    rt_context *context;
    rt_sequence sequence;
    assert_int_equal(open_model(MODEL, &model), RT_OK);
    rt_context_def def = rt_default_context_def();
    def.model = model;
    def.max_rows = def.max_logits_rows = 8;
    def.kv_tokens = 256;
    assert_int_equal(rt_context_create(&def, &context), RT_OK);
    assert_int_equal(rt_sequence_create(context, &sequence), RT_OK);
    faults->refuse_contexts(true);
    const int64_t calls = faults->calls(RTI_EMULATED_ANY);
    rt_context *second;
    assert_int_equal(evaluate(context, sequence, 3), RT_ERROR_DEVICE);
    assert_int_equal(rt_context_create(&def, &second), RT_ERROR_DEVICE);
    assert_int_equal(rt_model_set_device_memory(model, 1), RT_ERROR_DEVICE);
    rt_context_destroy(context);
    rt_model_close(model);
    // Of the runtime only its last error is asked for, which is no call of the device's.
    assert_int_equal(faults->calls(RTI_EMULATED_ANY), calls);
    assert_int_equal(open_model(MODEL, &model), RT_ERROR_DEVICE);
    faults->refuse_contexts(false);
    assert_int_equal(faults->contexts(), 0);
}

static void test_the_emulation_catches_what_it_must(void **state)
{
    (void)state;
    need_faults();
    const char *unseen = faults->check();
    if (unseen) fail_msg("%s", unseen);
}

// After warm-up a pass takes no memory and waits for nothing.
static void test_no_allocation_and_no_waiting_after_warm_up(void **state)
{
    (void)state;
    need_faults();
    rt_model *model;
    rt_context *context;
    assert_int_equal(open_model(MODEL, &model), RT_OK);
    rt_context_def def = rt_default_context_def();
    def.model = model;
    def.max_rows = def.max_logits_rows = 8;
    def.kv_tokens = 512;
    assert_int_equal(rt_context_create(&def, &context), RT_OK);
    rt_sequence sequence;
    assert_int_equal(rt_sequence_create(context, &sequence), RT_OK);
    assert_int_equal(evaluate(context, sequence, 8), RT_OK);
    assert_int_equal(evaluate(context, sequence, 1), RT_OK);
    const int64_t allocating = faults->calls(RTI_EMULATED_ALLOCATING), waiting = faults->calls(RTI_EMULATED_SYNCHRONISING);
    for (int i = 0; i < 12; i++) assert_int_equal(evaluate(context, sequence, i % 3 == 2 ? 8 : 1), RT_OK);
    rt_sequence fork;
    assert_int_equal(rt_sequence_fork(context, sequence, &fork), RT_OK);
    assert_int_equal(evaluate(context, fork, 1), RT_OK);
    assert_int_equal(faults->calls(RTI_EMULATED_ALLOCATING), allocating);
    assert_int_equal(faults->calls(RTI_EMULATED_SYNCHRONISING), waiting);
    rt_context_destroy(context);
    rt_model_close(model);
}

// ---------------------------------------------------------------------------------------------------------------------
// A game whose device is lost
// ---------------------------------------------------------------------------------------------------------------------

static const char *const authored[] = {"Not now.", "Ask me tomorrow."};

static rp_character_id create_character(rp_world *world, const char *name, int32_t lines)
{
    rp_character_def def = rp_default_character_def();
    def.name = name;
    def.persona = "Somebody.";
    def.max_reply_tokens = 6;
    def.fallback_lines = authored;
    def.fallback_line_count = lines;
    rp_character_id id;
    assert_int_equal(rp_character_create(world, &def, &id), RT_OK);
    return id;
}

// Says something to both and plays on until both turns have ended. Counts how.
static void play(rp_world *world, rp_character_id a, rp_character_id b, int ends[2], char *text, size_t capacity)
{
    const rp_character_id who[] = {a, b};
    int open = 0;
    ends[0] = ends[1] = 0;
    text[0] = 0;
    for (int i = 0; i < 2; i++) {
        rp_turn_id turn;
        open += rp_character_say(world, who[i], &(rp_say){.text = "Hi."}, &turn) == RT_OK;
    }
    assert_int_equal(open, 2);
    for (int frame = 0; frame < 20000 && open > 0; frame++) {
        assert_int_equal(rp_world_update(world, 2000), RT_OK);
        rp_event event;
        while (rp_world_next_event(world, &event)) {
            if (event.kind == RP_EVENT_TEXT && event.character.index == a.index && strlen(text) + event.text.size + 1 < capacity)
                strncat(text, event.text.data, event.text.size);
            if (event.kind != RP_EVENT_TURN_DONE && event.kind != RP_EVENT_TURN_FAILED) continue;
            if (event.kind == RP_EVENT_TURN_FAILED) assert_int_equal(event.result, RT_ERROR_DEVICE);
            ends[event.kind == RP_EVENT_TURN_FAILED]++;
            open--;
        }
    }
    assert_int_equal(open, 0);
}

static void lose_during_a_game(int64_t calls)
{
    rt_model *model;
    assert_int_equal(open_model(scenario_tiny_model(), &model), RT_OK);
    scenario_def scenario = scenario_default(model);
    scenario.budget_us = 2000;
    rp_world *world;
    assert_int_equal(scenario_create_world(&scenario, &world), RT_OK);
    rp_character_id marta = create_character(world, "Marta", 2), elise = create_character(world, "Elise", 0);
    int ends[2];
    char text[1024];
    faults->lose_device_after(calls);
    play(world, marta, elise, ends, text, sizeof text);
    // From here on she who has lines of her own says them; the other's turns fail.
    play(world, marta, elise, ends, text, sizeof text);
    assert_int_equal(ends[0], 1);
    assert_int_equal(ends[1], 1);
    if (!strstr(text, authored[0]) && !strstr(text, authored[1])) fail_msg("after %lld calls she says: %s", (long long)calls, text);
    rp_world_destroy(world);
    rt_model_close(model);
    faults->lose_device_after(-1);
}

static void test_characters_fall_back_when_the_device_is_lost(void **state)
{
    (void)state;
    need_faults();
    const int64_t before = faults->objects();
    static const int64_t moments[] = {0, 10, 100, 1000};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        lose_during_a_game(moments[i]);
        assert_int_equal(faults->objects(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_refused),
        cmocka_unit_test(test_the_device_lost_at_any_call),
        cmocka_unit_test(test_no_allocation_and_no_waiting_after_warm_up),
        cmocka_unit_test(test_characters_fall_back_when_the_device_is_lost),
        cmocka_unit_test(test_the_emulation_catches_what_it_must),
        cmocka_unit_test(test_a_context_that_is_gone), // the last: what it leaves is gone with the context
    };
    return cmocka_run_group_tests(tests, find_faults, NULL);
}
