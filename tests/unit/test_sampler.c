// The sampler against distributions worked out by hand and by a slow, plain implementation.
// SPDX-License-Identifier: MIT
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/exact_math.h"
#include "rt/sampler.h"

#define VOCAB 300

static rt_sampler_def plain(void)
{
    rt_sampler_def def = rt_default_sampler_def();
    def.temperature = 1.0f;
    def.top_k = 0;
    def.top_p = 1.0f;
    def.min_p = 0.0f;
    def.repetition_penalty = 1.0f;
    return def;
}

static rt_token sample(const float *logits, const rt_sampler_def *def, uint64_t step, const uint32_t *mask)
{
    static uint64_t scratch[VOCAB];
    assert_true(rt_sampler_scratch_bytes(VOCAB) <= sizeof scratch);
    rt_sample_request request = {.sampler = def, .step = step, .mask = mask};
    rt_token token;
    assert_int_equal(rt_sample(logits, VOCAB, &request, scratch, &token), RT_OK);
    return token;
}

static const float *logits_sorted; // for qsort
static int by_logit(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    if (logits_sorted[x] != logits_sorted[y]) return logits_sorted[x] > logits_sorted[y] ? -1 : 1;
    return x - y;
}

// Probabilities after top-k, top-p and min-p, by sorting everything.
static void reference(const float *logits, const rt_sampler_def *def, double *p)
{
    int order[VOCAB];
    double weight[VOCAB], total = 0;
    for (int i = 0; i < VOCAB; i++) order[i] = i;
    logits_sorted = logits;
    qsort(order, VOCAB, sizeof *order, by_logit);
    int k = def->top_k ? def->top_k : VOCAB;
    for (int i = 0; i < k; i++) total += weight[i] = exp(((double)logits[order[i]] - (double)logits[order[0]]) / (double)def->temperature);
    double kept = 0;
    int n = 0;
    while (n < k && (n == 0 || (kept < (double)def->top_p * total && weight[n] >= (double)def->min_p))) kept += weight[n++];
    memset(p, 0, VOCAB * sizeof *p);
    for (int i = 0; i < n; i++) p[order[i]] = weight[i] / kept;
}

static void compare(const rt_sampler_def *def_in)
{
    float logits[VOCAB];
    rt_sampler_def def = *def_in;
    srand(11);
    for (int i = 0; i < VOCAB; i++) logits[i] = (float)(rand() % 1000) / 150.0f; // with ties
    double p[VOCAB], chi = 0;
    reference(logits, &def, p);
    enum { DRAWS = 60000 };
    static int count[VOCAB];
    memset(count, 0, sizeof count);
    def.seed = 99;
    for (uint64_t i = 0; i < DRAWS; i++) count[sample(logits, &def, i, NULL)]++;
    int degrees = -1;
    for (int i = 0; i < VOCAB; i++) {
        if (p[i] == 0) assert_int_equal(count[i], 0);
        if (p[i] * DRAWS < 5) continue;
        chi += (count[i] - p[i] * DRAWS) * (count[i] - p[i] * DRAWS) / (p[i] * DRAWS);
        degrees++;
    }
    // Six standard deviations of chi squared: a fixed seed, so this never flickers, and a wrong distribution is far outside.
    assert_true(chi < degrees + 6 * sqrt(2.0 * degrees + 1) + 6);
}

static void test_draws_follow_the_distribution(void **state)
{
    (void)state;
    rt_sampler_def def = plain();
    compare(&def);
    def.temperature = 0.5f;
    compare(&def);
    def.top_k = 7;
    compare(&def);
    def.top_p = 0.6f;
    compare(&def);
    def.top_k = 0;
    compare(&def);
    def.min_p = 0.3f;
    compare(&def);
    def.top_p = 1.0f;
    def.temperature = 2.0f;
    compare(&def);
    def = rt_default_sampler_def();
    def.repetition_penalty = 1.0f;
    compare(&def);
}

static void test_greedy_takes_the_likeliest_and_the_lowest_of_equals(void **state)
{
    (void)state;
    float logits[VOCAB] = {0};
    rt_sampler_def def = plain();
    def.temperature = 0;
    assert_int_equal(sample(logits, &def, 0, NULL), 0);
    logits[250] = logits[17] = 3.0f;
    assert_int_equal(sample(logits, &def, 5, NULL), 17);
    logits[3] = NAN;
    assert_int_equal(sample(logits, &def, 5, NULL), 17);
    uint32_t mask[(VOCAB + 31) / 32] = {0};
    mask[250 / 32] |= 1u << 250 % 32;
    assert_int_equal(sample(logits, &def, 5, mask), 250);
}

static void test_masked_tokens_never_come(void **state)
{
    (void)state;
    float logits[VOCAB];
    for (int i = 0; i < VOCAB; i++) logits[i] = (float)(i % 7);
    uint32_t mask[(VOCAB + 31) / 32];
    for (unsigned i = 0; i < sizeof mask / sizeof *mask; i++) mask[i] = 0x9249u << (i % 3);
    rt_sampler_def defs[3] = {plain(), plain(), rt_default_sampler_def()};
    defs[1].temperature = 10;
    for (int d = 0; d < 3; d++)
        for (uint64_t i = 0; i < 500; i++) {
            rt_token token = sample(logits, &defs[d], i, mask);
            assert_true(mask[token / 32] >> token % 32 & 1);
        }
}

static void test_repetition_penalty(void **state)
{
    (void)state;
    float logits[VOCAB] = {0};
    logits[5] = 2.0f;
    logits[6] = 1.5f;
    rt_sampler_def def = plain();
    def.temperature = 0;
    def.repetition_penalty = 1.5f;
    def.repetition_window = 3;
    uint64_t scratch[VOCAB];
    rt_token history[] = {5, 9, 9, 5, 5}, token;
    rt_sample_request request = {.sampler = &def, .history = history, .history_count = 5};
    assert_int_equal(rt_sample(logits, VOCAB, &request, scratch, &token), RT_OK);
    assert_int_equal(token, 6); // 2 / 1.5 < 1.5, once however often 5 occurs
    request.history_count = 1;
    def.repetition_penalty = 1.3f;
    assert_int_equal(rt_sample(logits, VOCAB, &request, scratch, &token), RT_OK);
    assert_int_equal(token, 5); // 2 / 1.3 > 1.5
    assert_float_equal(logits[5], 2.0f, 0); // not changed
}

static void test_bad_requests_are_refused(void **state)
{
    (void)state;
    float logits[VOCAB] = {0};
    uint64_t scratch[VOCAB];
    uint32_t none[(VOCAB + 31) / 32] = {0};
    rt_sampler_def def = plain();
    rt_sample_request request = {.sampler = &def, .mask = none};
    rt_token token;
    assert_int_equal(rt_sample(logits, VOCAB, &request, scratch, &token), RT_ERROR_REJECTED);
    def.top_p = NAN;
    assert_int_equal(rt_sample(logits, VOCAB, &request, scratch, &token), RT_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(rt_error_message(), "top_p"));
}

static void test_exact_functions_are_accurate(void **state)
{
    (void)state;
    for (double x = -690; x < 690; x += 0.37) {
        assert_true(fabs(rti_exact_exp(x) - exp(x)) <= 1e-15 * exp(x));
        double y = exp(x);
        assert_true(fabs(rti_exact_log(y) - log(y)) <= 1e-14 * fabs(log(y)) + 1e-16);
    }
    float logits[3] = {1.0f, 2.0f, 3.0f};
    double expected = 2.0 - (3.0 + log(1 + exp(-1.0) + exp(-2.0)));
    assert_true(fabs(rt_log_probability(logits, 3, NULL, 1) - expected) < 1e-12);
    uint32_t mask = 3;
    assert_true(fabs(rt_log_probability(logits, 3, &mask, 1) + log(1 + exp(-1.0))) < 1e-12);
    assert_true(isinf(rt_log_probability(logits, 3, &mask, 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_follow_the_distribution),
        cmocka_unit_test(test_greedy_takes_the_likeliest_and_the_lowest_of_equals),
        cmocka_unit_test(test_masked_tokens_never_come),
        cmocka_unit_test(test_repetition_penalty),
        cmocka_unit_test(test_bad_requests_are_refused),
        cmocka_unit_test(test_exact_functions_are_accurate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
