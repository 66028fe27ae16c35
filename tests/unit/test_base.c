// What every part of the runtime stands on: results, memory through the host, hashing, UTF-8, instruction sets.
// SPDX-License-Identifier: MIT
#include "base/base.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

// A host that counts what it lends and refuses when told to.
typedef struct meter {
    size_t bytes, blocks;
    size_t refuse_after; // how many more requests succeed
    int messages;
    rt_result last_code;
    rt_log_level last_level;
    char last_message[2048];
} meter;

static void *meter_allocate(void *user, void *pointer, size_t old_size, size_t new_size, size_t alignment)
{
    meter *m = user;
    assert_true(alignment >= 16 && (alignment & (alignment - 1)) == 0);
    void *block = NULL;
    if (new_size > 0) {
        if (m->refuse_after == 0) {
            return NULL;
        }
        m->refuse_after--;
        assert_int_equal(posix_memalign(&block, alignment, new_size), 0);
        memset(block, 0xA5, new_size);
        m->bytes += new_size;
        m->blocks++;
    }
    if (pointer) {
        if (block) {
            memcpy(block, pointer, old_size < new_size ? old_size : new_size);
        }
        free(pointer);
        m->bytes -= old_size;
        m->blocks--;
    }
    return block;
}

static void meter_log(void *user, rt_log_level level, rt_result code, const char *message)
{
    meter *m = user;
    m->messages++;
    m->last_code = code;
    m->last_level = level;
    snprintf(m->last_message, sizeof(m->last_message), "%s", message);
}

static rt_host meter_host(meter *m)
{
    return (rt_host){.allocate = meter_allocate, .log = meter_log, .user = m};
}

static void results_have_names(void **state)
{
    (void)state;
    for (int code = RT_OK; code <= RT_ERROR_INTERNAL; code++) {
        const char *name = rt_result_text((rt_result)code);
        assert_true(strlen(name) > 0);
        assert_string_not_equal(name, "unknown result");
        for (int other = RT_OK; other < code; other++) {
            assert_string_not_equal(name, rt_result_text((rt_result)other));
        }
    }
    assert_string_equal(rt_result_text((rt_result)12345), "unknown result");
    assert_string_equal(rt_version(), "0.1.0");
}

static void failures_reach_the_log_and_the_thread(void **state)
{
    (void)state;
    meter m = {0};
    rt_host host = meter_host(&m);
    assert_int_equal(rti_fail(&host, RT_ERROR_BAD_FILE, "%s: tensor %d", "a.gguf", 7), RT_ERROR_BAD_FILE);
    assert_string_equal(rt_error_message(), "a.gguf: tensor 7");
    assert_string_equal(m.last_message, "a.gguf: tensor 7");
    assert_int_equal(m.last_code, RT_ERROR_BAD_FILE);
    assert_int_equal(m.last_level, RT_LOG_ERROR);
    // A message made of the one before it, and one without a host.
    rti_fail(NULL, RT_ERROR_IO, "outer: %s", rt_error_message());
    assert_string_equal(rt_error_message(), "outer: a.gguf: tensor 7");
    assert_int_equal(m.messages, 1);
    rti_log(&host, RT_LOG_WARNING, "slow by %d", 3);
    assert_string_equal(m.last_message, "slow by 3");
    assert_int_equal(m.last_level, RT_LOG_WARNING);
    assert_string_equal(rt_error_message(), "outer: a.gguf: tensor 7");
    rti_log(NULL, RT_LOG_INFO, "nobody listens");
}

static void long_messages_are_cut_between_characters(void **state)
{
    (void)state;
    for (int lead = 0; lead < 4; lead++) {
        char text[4096];
        size_t length = 0;
        memset(text, 'x', (size_t)lead);
        for (length = (size_t)lead; length + 3 < sizeof(text); length += 3) {
            memcpy(text + length, "\xE2\x82\xAC", 3);
        }
        text[length] = '\0';
        rti_fail(NULL, RT_ERROR_TOO_LARGE, "%s", text);
        const char *message = rt_error_message();
        size_t kept = strlen(message);
        assert_string_equal(message + kept - 3, "...");
        const char *end = message + kept;
        for (const char *p = message; p < end;) {
            uint32_t code_point;
            bool valid;
            p += rti_utf8_decode(p, end, &code_point, &valid);
            assert_true(valid);
        }
    }
}

static void *read_message_elsewhere(void *unused)
{
    (void)unused;
    return strlen(rt_error_message()) == 0 ? (void *)1 : NULL;
}

static void the_message_belongs_to_its_thread(void **state)
{
    (void)state;
    rti_fail(NULL, RT_ERROR_BUSY, "mine");
    pthread_t thread;
    void *silent = NULL;
    assert_int_equal(pthread_create(&thread, NULL, read_message_elsewhere, NULL), 0);
    pthread_join(thread, &silent);
    assert_non_null(silent);
    assert_string_equal(rt_error_message(), "mine");
}

static void memory_comes_from_the_host_and_goes_back(void **state)
{
    (void)state;
    meter m = {.refuse_after = 100};
    rt_host host = meter_host(&m);
    unsigned char *block = rti_allocate_zeroed(&host, 100);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % 64, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(block[i], 0);
        block[i] = (unsigned char)i;
    }
    block = rti_reallocate(&host, block, 100, 5000);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(block[i], i);
    }
    rti_release(&host, block, 5000);
    void *page = rti_allocate_aligned(&host, 3, 4096);
    assert_int_equal((uintptr_t)page % 4096, 0);
    rti_release_aligned(&host, page, 3, 4096);
    char *copy = rti_copy_text(&host, "marta!", 5);
    assert_string_equal(copy, "marta");
    rti_release(&host, copy, 6);
    void *nothing = rti_allocate(&host, 0);
    assert_non_null(nothing);
    nothing = rti_reallocate(&host, nothing, 0, 0);
    assert_non_null(nothing);
    rti_release(&host, nothing, 0);
    rti_release(&host, NULL, 77);
    assert_int_equal(m.bytes, 0);
    assert_int_equal(m.blocks, 0);
}

static void the_c_library_serves_without_a_host(void **state)
{
    (void)state;
    rt_host host = rti_host_or_default(NULL);
    assert_non_null(host.allocate);
    assert_null(host.log);
    unsigned char *block = rti_allocate(NULL, 10);
    memset(block, 9, 10);
    block = rti_reallocate(&host, block, 10, 1000000);
    assert_int_equal(block[9], 9);
    assert_int_equal((uintptr_t)block % 64, 0);
    block = rti_reallocate(NULL, block, 1000000, 2);
    assert_int_equal(block[1], 9);
    rti_release(NULL, block, 2);
    assert_null(rti_copy_text(NULL, "x", SIZE_MAX));
}

static void arrays_grow_or_stay_as_they_were(void **state)
{
    (void)state;
    meter m = {.refuse_after = 1};
    rt_host host = meter_host(&m);
    void *items = NULL;
    size_t capacity = 0;
    assert_true(rti_array_reserve(&host, &items, &capacity, 0, 4));
    assert_null(items);
    assert_true(rti_array_reserve(&host, &items, &capacity, 3, 4));
    assert_true(capacity >= 3);
    ((uint32_t *)items)[2] = 42;
    void *before = items;
    size_t capacity_before = capacity;
    assert_false(rti_array_reserve(&host, &items, &capacity, 1000, 4)); // refused
    assert_false(rti_array_reserve(&host, &items, &capacity, SIZE_MAX / 2, 4)); // would overflow
    assert_ptr_equal(items, before);
    assert_int_equal(capacity, capacity_before);
    m.refuse_after = 1;
    assert_true(rti_array_reserve(&host, &items, &capacity, 1000, 4));
    assert_int_equal(((uint32_t *)items)[2], 42);
    rti_release(&host, items, capacity * 4);
    assert_int_equal(m.bytes, 0);
}

static void sizes_do_not_overflow(void **state)
{
    (void)state;
    size_t result = 0;
    assert_true(rti_size_multiply(1u << 20, 1u << 20, &result));
    assert_int_equal(result, (size_t)1 << 40);
    assert_false(rti_size_multiply(SIZE_MAX, 2, &result));
    assert_true(rti_size_multiply(SIZE_MAX, 0, &result));
    assert_true(rti_size_add(SIZE_MAX - 1, 1, &result));
    assert_false(rti_size_add(SIZE_MAX, 1, &result));
}

static void hashes_are_stable_and_spread(void **state)
{
    (void)state;
    static const char text[] = "The Gilded Griffin";
    // Recorded values: a hash that is stored must mean the same everywhere and for ever.
    assert_int_equal(rti_hash_bytes("", 0, 0), UINT64_C(0xEFD01F60BA992926));
    assert_int_equal(rti_hash_bytes(text, sizeof(text) - 1, 1), UINT64_C(0xAED174D83C16767B));
    char shifted[64];
    for (size_t offset = 0; offset < 8; offset++) {
        memcpy(shifted + offset, text, sizeof(text));
        assert_int_equal(rti_hash_bytes(shifted + offset, sizeof(text) - 1, 1), UINT64_C(0xAED174D83C16767B));
    }
    static const unsigned char zeros[32];
    for (size_t a = 0; a <= sizeof(zeros); a++) {
        for (size_t b = 0; b < a; b++) {
            assert_true(rti_hash_bytes(zeros, a, 0) != rti_hash_bytes(zeros, b, 0));
        }
    }
    // Flipping any one input bit changes about half of the output's.
    for (int bit = 0; bit < 64; bit++) {
        uint64_t word = UINT64_C(0x0123456789ABCDEF), other = word ^ UINT64_C(1) << bit;
        int changed = __builtin_popcountll(rti_hash_bytes(&word, 8, 0) ^ rti_hash_bytes(&other, 8, 0));
        assert_in_range(changed, 12, 52);
        assert_true(rti_hash_mix(word, 5) != rti_hash_mix(other, 5));
        assert_true(rti_hash_mix(5, word) != rti_hash_mix(word, 5));
    }
}

static void the_clock_does_not_go_back(void **state)
{
    (void)state;
    uint64_t before = rti_now_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = rti_now_ns();
        assert_true(now >= before);
        before = now;
    }
}

static void every_scalar_value_survives_utf8(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point <= 0x10FFFF; code_point++) {
        if (code_point == 0xD800) {
            code_point = 0xE000;
        }
        char bytes[4];
        int length = rti_utf8_encode(code_point, bytes);
        uint32_t back;
        bool valid;
        assert_int_equal(rti_utf8_decode(bytes, bytes + length, &back, &valid), length);
        assert_true(valid && back == code_point);
    }
    char bytes[4];
    assert_int_equal(rti_utf8_encode(0xD800, bytes), 3);
    assert_memory_equal(bytes, "\xEF\xBF\xBD", 3);
    assert_int_equal(rti_utf8_encode(0x110000, bytes), 3);
    assert_memory_equal(bytes, "\xEF\xBF\xBD", 3);
}

// The lengths of the parts that a text falls into; bad ones are negative.
static void expect_parts(const char *text, size_t length, const int *parts, size_t count)
{
    const char *p = text, *end = text + length;
    for (size_t i = 0; i < count; i++) {
        uint32_t code_point;
        bool valid;
        int step = rti_utf8_decode(p, end, &code_point, &valid);
        assert_int_equal(valid ? step : -step, parts[i]);
        assert_true(valid || code_point == 0xFFFD);
        p += step;
    }
    assert_ptr_equal(p, end);
    uint32_t code_point;
    bool valid;
    assert_int_equal(rti_utf8_decode(p, end, &code_point, &valid), 0);
}

#define EXPECT_PARTS(text, ...)                                                                                        \
    expect_parts(text, sizeof(text) - 1, (const int[]){__VA_ARGS__}, RTI_COUNT(((const int[]){__VA_ARGS__})))

static void bad_utf8_falls_into_maximal_parts(void **state)
{
    (void)state;
    // Unicode 15, section 3.9: tables 3-8 (non-shortest forms), 3-9 (surrogates), 3-10 (other ill-formed) and 3-11.
    EXPECT_PARTS("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", -1, -1, -1, -1, -1, -1, -1, -1, 1);
    EXPECT_PARTS("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", -1, -1, -1, -1, -1, -1, -1, -1, 1);
    EXPECT_PARTS("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", -1, -1, -1, -1, -1, 1, -1, -1, 1);
    EXPECT_PARTS("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", -2, -1, -3, -2, 1);
    EXPECT_PARTS("a\xE2\x82", 1, -2);
    EXPECT_PARTS("\xF0\x9F\x8D\xBA\xF0\x9F\x8D", 4, -3);
    EXPECT_PARTS("\xF8\x88\x80\x80\x80", -1, -1, -1, -1, -1);
}

static void instruction_sets_nest_and_have_names(void **state)
{
    (void)state;
    assert_true(rt_isa_supported(RT_ISA_AUTO) && rt_isa_supported(RT_ISA_SCALAR));
    assert_true(!rt_isa_supported(RT_ISA_AMX) || rt_isa_supported(RT_ISA_AVX512));
    assert_true(!rt_isa_supported(RT_ISA_AVX512) || rt_isa_supported(RT_ISA_AVX2));
    assert_false(rt_isa_supported((rt_isa)99));
    for (rt_isa isa = RT_ISA_AUTO; isa <= RT_ISA_AMX; isa++) {
        rt_isa back = (rt_isa)99;
        assert_true(rt_isa_from_name(rt_isa_name(isa), &back));
        assert_int_equal(back, isa);
    }
    rt_isa isa = RT_ISA_AVX2;
    assert_false(rt_isa_from_name("avx3", &isa));
    assert_false(rt_isa_from_name(NULL, &isa));
    assert_int_equal(isa, RT_ISA_AVX2);
    assert_string_equal(rt_isa_name((rt_isa)99), "unknown");
}

// Beside the C library's long doubles; the header promises 1e-14.
static void exact_maths_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i <= 20000; i++) {
        double x = -699.0 + 1398.0 * i / 20000.0;
        double expected = (double)expl((long double)x);
        assert_true(fabs(rt_exp(x) - expected) <= 1e-14 * expected);
    }
    for (int i = -1000; i <= 1000; i++) {
        double x = ldexp(1.0 + (i + 1000) / 2001.0, i), expected = (double)logl((long double)x);
        assert_true(fabs(rt_log(x) - expected) <= 1e-14 * fabs(expected) + 1e-300);
    }
    assert_true(rt_exp(0) == 1 && rt_log(1) == 0);
    assert_true(rt_exp(-701) == 0 && rt_exp(-INFINITY) == 0);
    assert_true(isinf(rt_log(0)) && rt_log(0) < 0 && isinf(rt_log(-1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_have_names),
        cmocka_unit_test(failures_reach_the_log_and_the_thread),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(the_message_belongs_to_its_thread),
        cmocka_unit_test(memory_comes_from_the_host_and_goes_back),
        cmocka_unit_test(the_c_library_serves_without_a_host),
        cmocka_unit_test(arrays_grow_or_stay_as_they_were),
        cmocka_unit_test(sizes_do_not_overflow),
        cmocka_unit_test(hashes_are_stable_and_spread),
        cmocka_unit_test(the_clock_does_not_go_back),
        cmocka_unit_test(every_scalar_value_survives_utf8),
        cmocka_unit_test(bad_utf8_falls_into_maximal_parts),
        cmocka_unit_test(exact_maths_are_exact),
        cmocka_unit_test(instruction_sets_nest_and_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
