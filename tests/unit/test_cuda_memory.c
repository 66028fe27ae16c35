// Where weights lie: a budget of device memory known before the load, layers beyond it in the computer's memory, layers that move
// while a game runs; the game's own context. The logits never change by a bit.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rt/context.h"
#include "support/cuda_plugin.h"

#define TOKENS 5
#define MOST_VOCABULARY 1024

static rt_model_def def_of(const char *path)
{
    rt_model_def def = rt_default_model_def();
    def.path = path;
    def.backend = RT_BACKEND_CUDA;
    def.cuda_library = test_cuda_plugin();
    return def;
}

static rt_model *open_model(const rt_model_def *def)
{
    rt_model *model;
    if (rt_model_open(def, &model) != RT_OK) fail_msg("%s", rt_error_message());
    return model;
}

static rt_context *open_context(rt_model *model, int32_t percent)
{
    rt_context_def def = rt_default_context_def();
    def.model = model;
    def.max_rows = def.max_logits_rows = 8;
    def.max_passes = 1;
    def.max_sequences = 4;
    def.kv_tokens = 256;
    def.device_percent = percent;
    rt_context *context;
    if (rt_context_create(&def, &context) != RT_OK) fail_msg("%s", rt_error_message());
    return context;
}

// Logits behind TOKENS more tokens of a sequence.
static void append(rt_context *context, rt_sequence sequence, float *logits)
{
    rt_row rows[TOKENS];
    for (int32_t i = 0; i < TOKENS; i++) rows[i] = (rt_row){.sequence = sequence, .token = 3 * i + 2, .wants_logits = i + 1 == TOKENS};
    if (rt_context_evaluate(context, rows, TOKENS, logits) != RT_OK) fail_msg("%s", rt_error_message());
}

static void first_logits(rt_model *model, int32_t percent, float *logits)
{
    rt_context *context = open_context(model, percent);
    rt_sequence sequence;
    assert_int_equal(rt_sequence_create(context, &sequence), RT_OK);
    append(context, sequence, logits);
    rt_context_destroy(context);
}

static const char *const models[] = {"tests/data/models/llama3/model-q8_0.gguf", "tests/data/models/nemotron", "tests/data/models/fp8-channel"};

static void test_a_budget_known_before_the_load(void **state)
{
    (void)state;
    const rti_emulation_faults *faults = test_cuda_faults();
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        static float expected[MOST_VOCABULARY], found[MOST_VOCABULARY];
        rt_model_def def = def_of(models[i]);
        rt_model_memory all, some;
        assert_int_equal(rt_model_measure(&def, &all), RT_OK);
        assert_int_equal(all.device_layer_count, all.layer_count);
        assert_int_equal(all.host_bytes, 0);
        for (int eighth = 8; eighth >= 0; eighth--) {
            def.device_memory_bytes = (size_t)(all.device_bytes / 8 * (uint64_t)eighth + (eighth == 8 ? all.device_bytes % 8 : 1));
            assert_int_equal(rt_model_measure(&def, &some), RT_OK);
            assert_true(some.device_bytes <= def.device_memory_bytes);
            assert_int_equal(some.device_bytes + some.host_bytes, all.device_bytes);
            rt_model *model = open_model(&def);
            rt_model_info info;
            rt_model_get_info(model, &info);
            assert_int_equal(info.device_bytes, some.device_bytes);
            assert_int_equal(info.packed_bytes, all.device_bytes);
            assert_int_equal(info.device_layer_count, some.device_layer_count);
            assert_true(info.vocab_size <= MOST_VOCABULARY);
            if (faults) assert_int_equal(faults->bytes(), some.device_bytes);
            first_logits(model, eighth == 4 ? 50 : 0, found);
            if (eighth == 8) memcpy(expected, found, sizeof expected);
            assert_memory_equal(expected, found, (size_t)info.vocab_size * sizeof(float));
            rt_model_close(model);
        }
    }
}

static void test_layers_move_while_a_game_runs(void **state)
{
    (void)state;
    static float expected[4][MOST_VOCABULARY], found[MOST_VOCABULARY];
    rt_model_def def = def_of(models[0]);
    rt_model_memory all;
    assert_int_equal(rt_model_measure(&def, &all), RT_OK);
    rt_model *model = open_model(&def);
    rt_context *context = open_context(model, 0);
    rt_sequence plain, moved;
    rt_model_info info;
    assert_int_equal(rt_sequence_create(context, &plain), RT_OK);
    for (int i = 0; i < 4; i++) append(context, plain, expected[i]);
    assert_int_equal(rt_sequence_create(context, &moved), RT_OK);
    const size_t budgets[] = {(size_t)all.device_bytes / 2, 1, (size_t)all.device_bytes / 4 * 3, 0};
    for (int i = 0; i < 4; i++) {
        rt_pass *pass;
        assert_int_equal(rt_pass_begin(context, &(rt_row){.sequence = moved, .token = 1}, 1, &pass), RT_OK);
        assert_int_equal(rt_model_set_device_memory(model, budgets[i]), RT_ERROR_BUSY);
        rt_pass_abandon(pass);
        if (rt_model_set_device_memory(model, budgets[i]) != RT_OK) fail_msg("%s", rt_error_message());
        rt_model_get_info(model, &info);
        assert_true(budgets[i] == 0 ? info.device_bytes == all.device_bytes : info.device_bytes <= budgets[i]);
        assert_int_equal(info.packed_bytes, all.device_bytes);
        append(context, moved, found);
        assert_memory_equal(expected[i], found, (size_t)info.vocab_size * sizeof(float));
    }
    rt_context_destroy(context);
    rt_model_close(model);
}

static void test_moves_that_cannot_be_finished(void **state)
{
    (void)state;
    const rti_emulation_faults *faults = test_cuda_faults();
    if (!faults) skip(); // a real device cannot be told to fail
    static float expected[MOST_VOCABULARY], found[MOST_VOCABULARY];
    rt_model_def def = def_of(models[0]);
    rt_model *model = open_model(&def);
    rt_model_info info;
    rt_model_get_info(model, &info);
    first_logits(model, 0, expected);
    for (int64_t allowed = 0; allowed < 40; allowed += 3) {
        faults->fail_allocations_after(allowed);
        rt_result result = rt_model_set_device_memory(model, allowed % 2 ? 0 : 1);
        faults->fail_allocations_after(-1);
        assert_true(result == RT_OK || result == RT_ERROR_OUT_OF_MEMORY);
        first_logits(model, 0, found);
        assert_memory_equal(expected, found, (size_t)info.vocab_size * sizeof(float));
    }
    rt_model_close(model);
    assert_int_equal(faults->bytes(), 0);
}

static void test_the_games_own_context(void **state)
{
    (void)state;
    const rti_emulation_faults *faults = test_cuda_faults();
    if (!faults) skip(); // needs a context of the driver's
    static float expected[MOST_VOCABULARY], found[MOST_VOCABULARY];
    rt_model_def def = def_of(models[0]);
    rt_model *model = open_model(&def);
    first_logits(model, 0, expected);
    rt_model_close(model);
    def.cuda_context = found; // any address is one to the emulated driver
    model = open_model(&def);
    rt_model_info info;
    rt_model_get_info(model, &info);
    first_logits(model, 100, found);
    assert_memory_equal(expected, found, (size_t)info.vocab_size * sizeof(float));
    rt_model_close(model);
    assert_int_equal(faults->contexts(), 0); // the caller's thread is as it was
    rt_model_def cpu = def_of(models[0]);
    cpu.backend = RT_BACKEND_CPU;
    model = open_model(&cpu);
    assert_int_equal(rt_model_set_device_memory(model, 1), RT_ERROR_UNSUPPORTED);
    rt_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_budget_known_before_the_load),
        cmocka_unit_test(test_layers_move_while_a_game_runs),
        cmocka_unit_test(test_moves_that_cannot_be_finished),
        cmocka_unit_test(test_the_games_own_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
