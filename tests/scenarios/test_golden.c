// One golden hash: four characters say the same whatever the frames, threads, kernels and company are like.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scenarios/scenarios.h"

static void play(const scenario *scenario, scenario_result *result)
{
    rt_result code = scenario_play(scenario, result);
    if (code != RT_OK)
        fail_msg("%s: %s", rt_result_text(code), rt_error_message());
    assert_int_equal(result->turns_failed, 0);
    assert_int_equal(result->turns_done, scenario->count * SCENARIO_ROUNDS);
}

static void expect_same(const scenario_result *golden, const scenario_result *other, int32_t first, int32_t count,
                        const char *what)
{
    for (int32_t i = first; i < first + count; i++)
        if (golden->hash[i] != other->hash[i])
            fail_msg("%s: character %d said\n%s\ninstead of\n%s", what, (int)i, other->text[i], golden->text[i]);
}

static void check_all(const char *path, int32_t reply_tokens, bool tools)
{
    static scenario_result golden, other;
    rt_model *model = NULL, *scalar = NULL;
    assert_int_equal(scenario_open_model(path, RT_ISA_AUTO, &model), RT_OK);
    assert_int_equal(scenario_open_model(path, RT_ISA_SCALAR, &scalar), RT_OK);
    scenario base = scenario_default(model);
    base.reply_tokens = reply_tokens;
    base.tools = tools;
    base.emotions = true;
    play(&base, &golden);
    for (int32_t i = 0; i < SCENARIO_CHARACTERS; i++)
        assert_true(golden.text[i][0] != '\0');

    static const uint32_t budgets[] = { 300, 1000, RP_BUDGET_UNLIMITED };
    for (int32_t workers = 0; workers <= 1; workers++) {
        for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++) {
            scenario varied = base;
            varied.worker_count = workers;
            varied.budget_us = budgets[b];
            play(&varied, &other);
            expect_same(&golden, &other, 0, SCENARIO_CHARACTERS, "threads and budget");
        }
    }
    for (int32_t i = 0; i < SCENARIO_CHARACTERS; i++) {
        scenario alone = base;
        alone.first = i;
        alone.count = 1;
        play(&alone, &other);
        expect_same(&golden, &other, i, 1, "alone");
    }
    scenario crowded = base;
    crowded.others = 6;
    crowded.budget_us = 1000;
    play(&crowded, &other);
    expect_same(&golden, &other, 0, SCENARIO_CHARACTERS, "beside others");
    scenario on_scalar = base;
    on_scalar.model = scalar;
    play(&on_scalar, &other);
    expect_same(&golden, &other, 0, SCENARIO_CHARACTERS, "scalar kernels");
    scenario other_seed = base;
    other_seed.seed = 2;
    play(&other_seed, &other);
    assert_true(golden.hash[0] != other.hash[0] || golden.hash[1] != other.hash[1]);
    rt_model_close(model);
    rt_model_close(scalar);
}

static void test_tiny_model(void **state)
{
    (void)state;
    check_all(scenario_tiny_model(), 24, true);
}

static void test_default_model(void **state)
{
    (void)state;
    if (scenario_default_model() == NULL)
        skip();
    check_all(scenario_default_model(), 8, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_model),
        cmocka_unit_test(test_default_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
