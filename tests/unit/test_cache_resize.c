// A context's key-value cache shrunk and grown while sequences live in it, on both backends: what they say afterwards has the bits of
// a context that never changed; refusals and failures change nothing.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "rt/context.h"
#include "scenarios/scenarios.h"
#include "support/cuda_plugin.h"
#include "support/golden.h"

#define MODEL "tests/data/models/llama3/model-q8_0.gguf"
#define VOCABULARY 4096

typedef struct fixture {
    rt_model *model;
    rt_context *context;
    int32_t vocab_size;
} fixture;

static rt_host host; // of what is opened

static void open_with(fixture *f, rt_backend_kind backend, rt_kv_type kv_type)
{
    rt_model_def def = rt_default_model_def();
    def.path = MODEL;
    def.backend = backend;
    def.host = host;
    def.cuda_library = test_cuda_plugin();
    assert_int_equal(rt_model_open(&def, &f->model), RT_OK);
    rt_context_def context = rt_default_context_def();
    context.model = f->model;
    context.host = host;
    context.max_rows = 64;
    context.max_logits_rows = 1;
    context.max_passes = 1;
    context.max_sequences = 4;
    context.kv_tokens = 512;
    context.kv_type = kv_type;
    assert_int_equal(rt_context_create(&context, &f->context), RT_OK);
    rt_model_info info;
    rt_model_get_info(f->model, &info);
    f->vocab_size = info.vocab_size;
    assert_true(f->vocab_size <= VOCABULARY);
}

static void close_all(fixture *f)
{
    rt_context_destroy(f->context);
    rt_model_close(f->model);
}

// Tokens first .. first + count - 1 of a made-up text, which number `who` says.
static rt_result say(fixture *f, rt_sequence sequence, int32_t who, int32_t first, int32_t count, float *logits)
{
    rt_row rows[64];
    for (int32_t i = 0; i < count; i++) rows[i] = (rt_row){.sequence = sequence, .token = 3 + (who * 7 + (first + i) * 5) % 90, .wants_logits = i + 1 == count};
    return rt_context_evaluate(f->context, rows, count, logits);
}

static void end(fixture *f, rt_sequence sequence)
{
    assert_int_equal(rt_sequence_destroy(f->context, sequence), RT_OK);
}

// Three sequences; then what the last two say next. `sizes`: of the cache in between, up to a 0.
static void live(fixture *f, const uint64_t *sizes, float *second, float *third)
{
    static float logits[VOCABULARY];
    rt_sequence s[3];
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(rt_sequence_create(f->context, &s[i]), RT_OK);
        assert_int_equal(say(f, s[i], i, 0, 50, logits), RT_OK);
    }
    end(f, s[0]); // its first block stays cached, at the lowest number
    for (int32_t i = 0; sizes[i]; i++) {
        if (rt_context_set_kv_tokens(f->context, sizes[i]) != RT_OK) fail_msg("%llu: %s", (unsigned long long)sizes[i], rt_error_message());
        rt_cache_stats stats;
        rt_context_cache_stats(f->context, &stats);
        assert_int_equal(stats.blocks, (sizes[i] + 31) / 32);
    }
    assert_int_equal(say(f, s[1], 1, 50, 10, second), RT_OK);
    assert_int_equal(say(f, s[2], 2, 50, 1, third), RT_OK);
    end(f, s[1]);
    end(f, s[2]);
}

static void compare(rt_backend_kind backend)
{
    static const uint64_t never[] = {0}, shrunk[] = {128, 0}, grown[] = {2048, 0}, to_and_fro[] = {128, 96 + 32, 1000, 160, 512, 0};
    static const uint64_t *const ways[] = {shrunk, grown, to_and_fro};
    static float expected[2][VOCABULARY], found[2][VOCABULARY];
    for (int32_t type = RT_KV_F16; type <= RT_KV_F32; type += 2) {
        fixture f;
        open_with(&f, backend, (rt_kv_type)type);
        live(&f, never, expected[0], expected[1]);
        close_all(&f);
        for (int32_t i = 0; i < 3; i++) {
            open_with(&f, backend, (rt_kv_type)type);
            live(&f, ways[i], found[0], found[1]);
            for (int32_t k = 0; k < 2; k++) assert_memory_equal(expected[k], found[k], (size_t)f.vocab_size * sizeof(float));
            close_all(&f);
        }
    }
}

static void test_the_same_bits_on_the_cpu(void **state)
{
    (void)state;
    compare(RT_BACKEND_CPU);
}

static void test_the_same_bits_on_cuda(void **state)
{
    (void)state;
    compare(RT_BACKEND_CUDA);
}

static void refuse(rt_backend_kind backend)
{
    static float logits[VOCABULARY], again[VOCABULARY];
    fixture f;
    open_with(&f, backend, RT_KV_F16);
    rt_sequence sequence, other;
    assert_int_equal(rt_sequence_create(f.context, &sequence), RT_OK);
    assert_int_equal(say(&f, sequence, 1, 0, 64, logits), RT_OK);
    assert_int_equal(say(&f, sequence, 1, 64, 40, logits), RT_OK);
    assert_int_equal(rt_context_set_kv_tokens(f.context, 96), RT_ERROR_TOO_LARGE); // four blocks are held
    assert_int_equal(rt_context_set_kv_tokens(f.context, 0), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rt_context_set_kv_tokens(NULL, 64), RT_ERROR_INVALID_ARGUMENT);
    rt_row row = {.sequence = sequence, .token = 5};
    rt_pass *pass;
    assert_int_equal(rt_pass_begin(f.context, &row, 1, &pass), RT_OK);
    assert_int_equal(rt_context_set_kv_tokens(f.context, 1024), RT_ERROR_BUSY);
    rt_pass_abandon(pass);
    assert_int_equal(rt_sequence_truncate(f.context, sequence, 64), RT_OK);
    assert_int_equal(rt_context_set_kv_tokens(f.context, 96), RT_OK);
    assert_int_equal(say(&f, sequence, 1, 64, 32, again), RT_OK);
    assert_int_equal(say(&f, sequence, 1, 96, 1, again), RT_ERROR_CONTEXT_FULL);
    assert_int_equal(rt_context_set_kv_tokens(f.context, 128), RT_OK); // and on it goes
    assert_int_equal(say(&f, sequence, 1, 96, 8, again), RT_OK);
    assert_memory_equal(logits, again, (size_t)f.vocab_size * sizeof(float));

    // A prefix that is in the cache is found after it has moved.
    end(&f, sequence);
    assert_int_equal(rt_context_set_kv_tokens(f.context, 320), RT_OK);
    assert_int_equal(rt_sequence_create(f.context, &other), RT_OK);
    rt_token tokens[80];
    int32_t reused;
    for (int32_t i = 0; i < 80; i++) tokens[i] = 3 + (7 + i * 5) % 90;
    assert_int_equal(rt_sequence_reuse_prefix(f.context, other, tokens, 80, &reused), RT_OK);
    assert_int_equal(reused, 64);
    close_all(&f);
}

static void test_what_is_refused_and_what_goes_on(void **state)
{
    (void)state;
    refuse(RT_BACKEND_CPU);
    refuse(RT_BACKEND_CUDA);
}

// One sequence of 40 tokens, the change of size, and whether all is as if it had not been.
static rt_result change(fixture *f, uint64_t kv_tokens, void (*arm)(uint64_t), uint64_t bits)
{
    static float expected[VOCABULARY], found[VOCABULARY];
    rt_sequence sequence, copy;
    assert_int_equal(rt_sequence_create(f->context, &sequence), RT_OK);
    assert_int_equal(say(f, sequence, 1, 0, 40, expected), RT_OK);
    assert_int_equal(rt_sequence_fork(f->context, sequence, &copy), RT_OK);
    assert_int_equal(say(f, copy, 1, 40, 1, expected), RT_OK);
    end(f, copy);
    arm(bits);
    rt_result result = rt_context_set_kv_tokens(f->context, kv_tokens);
    arm(0);
    rt_result after = say(f, sequence, 1, 40, 1, found);
    if (result == RT_ERROR_DEVICE) {
        assert_int_equal(after, RT_ERROR_DEVICE); // and no kernel touches what is gone
        return result;
    }
    assert_int_equal(after, RT_OK);
    assert_memory_equal(expected, found, (size_t)f->vocab_size * sizeof(float));
    rt_cache_stats stats;
    rt_context_cache_stats(f->context, &stats);
    assert_int_equal(stats.blocks, (result == RT_OK ? kv_tokens : 512) / 32);
    return result;
}

static void test_device_memory_refused(void **state)
{
    (void)state;
    const rti_emulation_faults *faults = test_cuda_faults();
    if (!faults) skip(); // a real device cannot be told to fail
    static const struct { uint64_t kv_tokens, refused; rt_result result; } cases[] = {
        {64, 0, RT_OK}, {4096, 0, RT_OK},
        {4096, 1, RT_ERROR_OUT_OF_MEMORY},
        {64, 1, RT_OK},                    // by way of the computer's memory
        {64, 1 | 2, RT_ERROR_OUT_OF_MEMORY}, // which there is none of
        {64, 1 | 4, RT_ERROR_OUT_OF_MEMORY}, // the smaller one refused even so: the old one comes back
        {64, 1 | 4 | 8, RT_ERROR_DEVICE},    // and is refused too
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f;
        open_with(&f, RT_BACKEND_CUDA, RT_KV_F16);
        rt_result result = change(&f, cases[i].kv_tokens, faults->fail_these_allocations, cases[i].refused);
        if (result != cases[i].result) fail_msg("case %zu: %s", i, rt_result_text(result));
        close_all(&f);
    }
    assert_int_equal(faults->bytes(), 0);
}

static test_meter meter = {.refuse_after = SIZE_MAX};

static void arm_meter(uint64_t allowed)
{
    meter.refuse_after = allowed ? meter.requests + (size_t)allowed - 1 : SIZE_MAX;
}

static void test_memory_refused(void **state)
{
    (void)state;
    rt_result result = RT_ERROR_OUT_OF_MEMORY;
    for (uint64_t allowed = 1; result != RT_OK; allowed++) {
        fixture f;
        assert_true(allowed < 10);
        host = test_meter_host(&meter);
        open_with(&f, RT_BACKEND_CPU, RT_KV_F16);
        result = change(&f, 1024, arm_meter, allowed);
        assert_true(result == RT_OK || result == RT_ERROR_OUT_OF_MEMORY);
        close_all(&f);
        host = (rt_host){0};
        assert_int_equal(meter.blocks, 0);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// A world
// ---------------------------------------------------------------------------------------------------------------------

// What a character says, the cache changing its size every few frames where `changes` is set.
static void talk(rp_world_mode mode, bool changes, char *text, size_t capacity)
{
    static const uint64_t sizes[] = {2048, 8192, 1024, 3000};
    rt_model *model;
    assert_int_equal(scenario_open_model(scenario_tiny_model(), RT_ISA_AUTO, &model), RT_OK);
    scenario_def scenario = scenario_default(model);
    scenario.mode = mode;
    rp_world *world;
    assert_int_equal(scenario_create_world(&scenario, &world), RT_OK);
    rp_character_id character;
    assert_int_equal(scenario_create_character(world, &scenario, 0, NULL, &character), RT_OK);
    text[0] = 0;
    int64_t changed = 0;
    for (int32_t round = 0; round < 2; round++) {
        rp_turn_id turn;
        assert_int_equal(rp_character_say(world, character, &(rp_say){.text = scenario_line(0, round)}, &turn), RT_OK);
        bool is_open = true;
        for (int32_t frame = 0; is_open; frame++) {
            assert_true(frame < 100000);
            assert_int_equal(rp_world_update(world, 40), RT_OK);
            if (mode == RP_MODE_BACKGROUND) nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL); // a frame is drawn
            if (changes && frame % 3 == 1 && changed < 20) { // what is begun anew each time must end some time
                assert_int_equal(rp_world_set_kv_tokens(world, sizes[changed % 4]), RT_OK);
                changed++;
            }
            rp_event event;
            while (rp_world_next_event(world, &event)) {
                assert_int_not_equal(event.kind, RP_EVENT_TURN_FAILED);
                if (event.kind == RP_EVENT_TEXT && strlen(text) + event.text.size + 1 < capacity) strncat(text, event.text.data, event.text.size);
                if (event.kind == RP_EVENT_TURN_DONE) is_open = false;
            }
        }
    }
    assert_true(changed > 1 || !changes);
    assert_int_equal(rp_world_set_kv_tokens(NULL, 1024), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rp_world_set_kv_tokens(world, 0), RT_ERROR_INVALID_ARGUMENT);
    rp_world_destroy(world);
    rt_model_close(model);
}

static void test_a_character_says_the_same(void **state)
{
    (void)state;
    static char expected[4096], found[4096];
    talk(RP_MODE_INLINE, false, expected, sizeof expected);
    assert_true(strlen(expected) > 0);
    talk(RP_MODE_INLINE, true, found, sizeof found);
    assert_string_equal(expected, found);
    talk(RP_MODE_BACKGROUND, true, found, sizeof found);
    assert_string_equal(expected, found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_bits_on_the_cpu),
        cmocka_unit_test(test_the_same_bits_on_cuda),
        cmocka_unit_test(test_what_is_refused_and_what_goes_on),
        cmocka_unit_test(test_device_memory_refused),
        cmocka_unit_test(test_memory_refused),
        cmocka_unit_test(test_a_character_says_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
