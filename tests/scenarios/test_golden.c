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

static void play(const scenario_def *scenario, scenario_result *result)
{
    rt_result code = scenario_play(scenario, result);
    if (code != RT_OK)
        fail_msg("%s: %s", rt_result_text(code), rt_error_message());
    assert_int_equal(result->turns_failed, 0);
    assert_int_equal(result->turns_done, scenario->count * scenario->rounds);
}

static void expect_same(const scenario_result *golden, const scenario_result *other, int32_t first, int32_t count,
                        const char *what)
{
    for (int32_t i = first; i < first + count; i++)
        if (golden->hash[i] != other->hash[i])
            fail_msg("%s: character %d said\n%s\ninstead of\n%s", what, (int)i, other->text[i], golden->text[i]);
}

typedef struct variation {
    const char *name;
    int32_t workers;
    uint32_t budget_us;
    int32_t first, count, others;
    rt_isa isa;
    rp_world_mode mode;
    bool plain; // without guesses at what comes next
} variation;

static void check(const char *path, const scenario_def *base, const variation *variations, size_t count)
{
    static scenario_result golden, other;
    rt_model *models[RT_ISA_AMX + 1] = { NULL };
    scenario_def varied = *base;
    assert_int_equal(scenario_open_model(path, RT_ISA_AUTO, &models[RT_ISA_AUTO]), RT_OK);
    varied.model = models[RT_ISA_AUTO];
    play(&varied, &golden);
    for (size_t i = 0; i < count; i++) {
        const variation *v = &variations[i];
        if (!rt_isa_supported(v->isa))
            continue;
        if (models[v->isa] == NULL)
            assert_int_equal(scenario_open_model(path, v->isa, &models[v->isa]), RT_OK);
        varied = *base;
        varied.model = models[v->isa];
        varied.worker_count = v->workers;
        varied.budget_us = v->budget_us;
        varied.first = v->first;
        varied.count = v->count;
        varied.others = v->others;
        varied.mode = v->mode;
        varied.speculate = !v->plain;
        play(&varied, &other);
        expect_same(&golden, &other, v->first, v->count, v->name);
    }
    varied = *base;
    varied.model = models[RT_ISA_AUTO];
    varied.seed = 2;
    play(&varied, &other);
    assert_true(golden.hash[0] != other.hash[0] || golden.hash[1] != other.hash[1]);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        rt_model_close(models[i]);
}

static void test_tiny_model(void **state)
{
    (void)state;
    static const variation variations[] = {
        { "200 us", 0, 200, 0, 4, 0, RT_ISA_AUTO, RP_MODE_INLINE, false },
        { "300 us, two threads", 1, 300, 0, 4, 0, RT_ISA_AUTO, RP_MODE_INLINE, false },
        { "1 ms", 0, 1000, 0, 4, 0, RT_ISA_AUTO, RP_MODE_INLINE, false },
        { "without speculation", 0, 1000, 0, 4, 1, RT_ISA_AUTO, RP_MODE_INLINE, true },
        { "two threads", 1, RP_BUDGET_UNLIMITED, 0, 4, 0, RT_ISA_AUTO, RP_MODE_INLINE, false },
        { "the first alone", 0, 1000, 0, 1, 0, RT_ISA_AUTO, RP_MODE_INLINE, false },
        { "the second alone", 0, 300, 1, 1, 0, RT_ISA_AUTO, RP_MODE_INLINE, false },
        { "the third alone", 1, 300, 2, 1, 0, RT_ISA_AUTO, RP_MODE_INLINE, false },
        { "the fourth alone", 0, RP_BUDGET_UNLIMITED, 3, 1, 0, RT_ISA_AUTO, RP_MODE_INLINE, false },
        { "beside 12 others", 0, 500, 0, 4, 12, RT_ISA_AUTO, RP_MODE_INLINE, false },
        { "headless, beside 6 others", 1, RP_BUDGET_UNLIMITED, 0, 4, 6, RT_ISA_AUTO, RP_MODE_HEADLESS, false },
        { "in the background", 0, 1000, 0, 4, 3, RT_ISA_AUTO, RP_MODE_BACKGROUND, false },
        { "in the background, two threads", 1, 200, 0, 4, 0, RT_ISA_AUTO, RP_MODE_BACKGROUND, false },
        { "in the background, unlimited", 0, RP_BUDGET_UNLIMITED, 0, 4, 3, RT_ISA_AUTO, RP_MODE_BACKGROUND, false },
        { "scalar kernels", 0, 500, 0, 4, 2, RT_ISA_SCALAR, RP_MODE_INLINE, false },
        { "AVX2 kernels", 0, 500, 0, 4, 2, RT_ISA_AVX2, RP_MODE_INLINE, false },
        { "AVX-512 kernels", 0, 500, 0, 4, 2, RT_ISA_AVX512, RP_MODE_INLINE, false },
    };
    scenario_def base = scenario_default(NULL);
    base.tools = base.emotions = true;
    check(scenario_tiny_model(), &base, variations, sizeof variations / sizeof *variations);
}

// Every combination of kernels, threads, mode, budget and company. The sanitizers, which are slow, see every seventh.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STRIDE = 7 };
#else
enum { STRIDE = 1 };
#endif

static void test_every_combination(void **state)
{
    (void)state;
    static const rt_isa isas[] = { RT_ISA_SCALAR, RT_ISA_AVX2, RT_ISA_AVX512 };
    static const rp_world_mode modes[] = { RP_MODE_INLINE, RP_MODE_BACKGROUND };
    static const uint32_t budgets[] = { 200, 1000, RP_BUDGET_UNLIMITED };
    static variation variations[72];
    static char names[72][96];
    size_t count = 0;
    for (size_t i = 0; i < 72; i += STRIDE) {
        bool company = i % 2;
        uint32_t budget = budgets[i / 2 % 3];
        rp_world_mode mode = modes[i / 6 % 2];
        int32_t workers = (int32_t)(i / 12 % 2);
        rt_isa isa = isas[i / 24];
        snprintf(names[count], sizeof names[count], "%s, %d threads, mode %d, %u us, %s", rt_isa_name(isa), (int)workers + 1,
                 (int)mode, (unsigned)budget, company ? "31 others" : "alone");
        // Alone: the first of the four by itself. In company: the four and 28 more.
        variations[count] = (variation){ names[count], workers, budget, 0, company ? 4 : 1, company ? 28 : 0, isa, mode, false };
        count++;
    }
    scenario_def base = scenario_default(NULL);
    base.tools = base.emotions = true;
    base.rounds = 1;
    base.reply_tokens = 10;
    check(scenario_tiny_model(), &base, variations, count);
}

// The same on a real model, as far as a test's time allows.
static void test_default_model(void **state)
{
    (void)state;
    static const variation variations[] = {
        { "300 us, two threads", 1, 300, 0, 2, 0, RT_ISA_AUTO, RP_MODE_INLINE, false },
        { "1 ms, beside one other", 0, 1000, 0, 2, 1, RT_ISA_AUTO, RP_MODE_INLINE, false },
        { "the first alone, scalar kernels", 0, RP_BUDGET_UNLIMITED, 0, 1, 0, RT_ISA_SCALAR, RP_MODE_INLINE, false },
        { "the second alone, AVX2 kernels", 0, RP_BUDGET_UNLIMITED, 1, 1, 0, RT_ISA_AVX2, RP_MODE_INLINE, false },
    };
    if (scenario_default_model() == NULL)
        skip();
    scenario_def base = scenario_default(NULL);
    base.tools = true;
    base.count = 2;
    base.rounds = 1;
    base.reply_tokens = 6;
    check(scenario_default_model(), &base, variations, sizeof variations / sizeof *variations);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_model),
        cmocka_unit_test(test_every_combination),
        cmocka_unit_test(test_default_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
