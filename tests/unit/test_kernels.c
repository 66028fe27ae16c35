// The CPU backend: one hash over instruction sets, threads, batches and slices for every tensor type; every family's traits
// against plain arithmetic in double.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/cpu/cpu.h"
#include "support/golden.h"
#include "support/plain_forward.h"
#include "support/synthetic_network.h"

// Each operation of portable C is a checked call under the sanitizers, which look for bad accesses, not for bits: fewer tokens
// and cuts reach every kernel and tile there too.
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(SANITIZED)
#define TOKENS 15 // a tile each of 8, 4, 2 and 1 rows
static const int32_t fewest_workers = 1;
#else
#define TOKENS 48
static const int32_t fewest_workers = 0;
#endif

static const rti_type types[] = {
    RTI_TYPE_Q4_0, RTI_TYPE_Q4_1, RTI_TYPE_Q5_0, RTI_TYPE_Q5_1, RTI_TYPE_Q8_0,   RTI_TYPE_Q2_K,  RTI_TYPE_Q3_K, RTI_TYPE_Q4_K, RTI_TYPE_Q5_K,
    RTI_TYPE_Q6_K, RTI_TYPE_F32,  RTI_TYPE_F16,  RTI_TYPE_BF16, RTI_TYPE_IQ4_NL, RTI_TYPE_IQ4_XS, RTI_TYPE_MXFP4, RTI_TYPE_F8_E4M3,
};

// A set of kernels to try: AVX2 both with and without AVX-VNNI.
typedef struct kernel_choice {
    rt_isa isa;
    bool vnni;
} kernel_choice;

static const kernel_choice choices[] = {
    {RT_ISA_SCALAR, true}, {RT_ISA_AVX2, false}, {RT_ISA_AVX2, true}, {RT_ISA_AVX512, true}, {RT_ISA_AMX, true},
};

static void fill_tokens(rt_token *tokens, int32_t vocabulary)
{
    for (int32_t i = 0; i < TOKENS; i++) {
        tokens[i] = (rt_token)((uint32_t)i * 37u % (uint32_t)vocabulary);
    }
}

// Weights and a device; `choice` NULL: whatever is best here.
typedef struct machine {
    rti_weights *weights;
    rti_device *device;
} machine;

static machine machine_open(const rti_network *network, const kernel_choice *choice, rt_precision precision, rt_kv_type kv, int32_t workers)
{
    const rti_backend *backend = rti_backend_cpu();
    machine m = {0};
    rti_weights_def def = {.network = network, .precision = precision, .isa = choice ? choice->isa : RT_ISA_AUTO, .load_threads = 2};
    if (backend->weights_create(&def, &m.weights) != RT_OK) {
        fail_msg("%s", rt_error_message());
    }
    if (choice) {
        m.weights->kernels = rti_kernels_for(choice->isa, choice->vnni);
    }
    rti_device_def device = {.weights = m.weights, .max_rows = 32, .max_passes = 1, .max_logits_rows = 32, .block_count = 16,
                             .kv_type = kv, .worker_count = workers, .worker_spin_us = 20};
    if (backend->device_create(&device, &m.device) != RT_OK) {
        fail_msg("%s", rt_error_message());
    }
    return m;
}

static void machine_close(machine *m)
{
    rti_backend_cpu()->device_destroy(m->device);
    rti_backend_cpu()->weights_destroy(m->weights);
}

static uint64_t hash_of(machine *m, const rti_network *network, synthetic_cut cut)
{
    rt_token tokens[TOKENS];
    static float logits[TOKENS * 256];
    fill_tokens(tokens, network->vocab_size);
    assert_int_equal(synthetic_logits(rti_backend_cpu(), m->device, network, tokens, TOKENS, 0, cut, logits), RT_OK);
    return rti_hash_bytes(logits, (size_t)TOKENS * (size_t)network->vocab_size * sizeof(float), 0);
}

static void one_hash(const rti_network *network, rt_precision precision, rt_kv_type kv, const char *what)
{
#if defined(SANITIZED)
    static const synthetic_cut cuts[] = {{32, 5}};
#else
    static const synthetic_cut cuts[] = {{1, 0}, {3, 1}, {8, 0}, {32, 0}, {32, 5}};
#endif
    machine reference = machine_open(network, &choices[0], precision, kv, 0);
    const uint64_t expected = hash_of(&reference, network, (synthetic_cut){32, 0});
    machine_close(&reference);
    for (size_t c = 0; c < RTI_COUNT(choices); c++) {
        if (!rt_isa_supported(choices[c].isa)) {
            continue;
        }
        for (int32_t workers = fewest_workers; workers < 2; workers++) {
            machine m = machine_open(network, &choices[c], precision, kv, workers);
            for (size_t i = choices[c].isa == RT_ISA_SCALAR ? RTI_COUNT(cuts) - 1 : 0; i < RTI_COUNT(cuts); i++) {
                uint64_t hash = hash_of(&m, network, cuts[i]);
                if (hash != expected) {
                    fail_msg("%s, %s%s, %d workers, %d rows, %d units: %016llx, not %016llx", what, rt_isa_name(choices[c].isa),
                             choices[c].vnni ? "" : " without VNNI", workers, cuts[i].rows, cuts[i].units, (unsigned long long)hash,
                             (unsigned long long)expected);
                }
            }
            machine_close(&m);
        }
    }
}

static void test_one_hash_for_every_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < RTI_COUNT(types); i++) {
        synthetic s;
        synthetic_def def = synthetic_default(types[i]);
        synthetic_create(&s, &def);
        one_hash(&s.network, RT_PRECISION_FAST, RT_KV_F16, rti_type_find((uint32_t)types[i])->name);
        synthetic_destroy(&s);
    }
}

static void test_one_hash_exact(void **state)
{
    (void)state;
    static const rti_type some[] = {RTI_TYPE_Q4_1, RTI_TYPE_Q6_K};
    for (size_t i = 0; i < RTI_COUNT(some); i++) {
        synthetic s;
        synthetic_def def = synthetic_default(some[i]);
        synthetic_create(&s, &def);
        one_hash(&s.network, RT_PRECISION_EXACT, i ? RT_KV_Q8_0 : RT_KV_F32, "exact");
        synthetic_destroy(&s);
    }
}

// What some family has and the default lacks.
static const synthetic_def traits[] = {
    {RTI_TYPE_F32, RTI_TYPE_F32, 96, 6, 2, 16, 288, 120, RTI_NORM_LAYER, RTI_ACTIVATION_RELU_SQUARED, RTI_ROPE_HALVES, 8, false, true,
     false, false, false, 0, 0, 0, 1},
    {RTI_TYPE_Q8_0, RTI_TYPE_F16, 160, 4, 1, 48, 352, 77, RTI_NORM_RMS, RTI_ACTIVATION_GELU_TANH, RTI_ROPE_HALVES, 48, false, false,
     true, true, false, 20, 5.0f, 3.0f, 12.5f},
    {RTI_TYPE_F8_E4M3, RTI_TYPE_BF16, 120, 3, 3, 32, 201, 50, RTI_NORM_RMS, RTI_ACTIVATION_SILU, RTI_ROPE_NEIGHBOURS, 32, false, true,
     true, false, true, 7, 0, 0, 1},
    {RTI_TYPE_Q5_K, RTI_TYPE_Q6_K, 256, 8, 2, 32, 768, 100, RTI_NORM_RMS, RTI_ACTIVATION_SILU, RTI_ROPE_NEIGHBOURS, 16, true, false,
     false, false, false, 0, 0, 0, 1},
};

static void test_traits_against_plain_arithmetic(void **state)
{
    (void)state;
    for (size_t i = 0; i < RTI_COUNT(traits); i++) {
        synthetic s;
        synthetic_create(&s, &traits[i]);
        for (int32_t start = 0; start < 2000; start += 1000) {
            rt_token tokens[TOKENS];
            static float logits[TOKENS * 256];
            fill_tokens(tokens, s.network.vocab_size);
            double *expected = plain_forward(&s.network, tokens, TOKENS, start), worst = 0;
            machine m = machine_open(&s.network, NULL, RT_PRECISION_EXACT, RT_KV_F32, 1);
            assert_int_equal(synthetic_logits(rti_backend_cpu(), m.device, &s.network, tokens, TOKENS, start,
                                              (synthetic_cut){20, 3}, logits), RT_OK);
            for (int32_t k = 0; k < TOKENS * s.network.vocab_size; k++) {
                double difference = fabs(logits[k] - expected[k]);
                worst = difference > worst || isnan(difference) ? difference : worst;
            }
            machine_close(&m);
            free(expected);
            if (!(worst < 1e-4)) {
                fail_msg("traits %zu from position %d: off by %g", i, start, worst);
            }
        }
        one_hash(&s.network, RT_PRECISION_FAST, RT_KV_F16, "traits");
        synthetic_destroy(&s);
    }
}

// Packed values are the file's values, to the bit.
static void test_packing_keeps_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < RTI_COUNT(types); i++) {
        synthetic s = {.random = 99 + i};
        const int32_t rows = 37, columns = 512;
        rti_matrix matrix = synthetic_matrix(&s, types[i], rows, columns, "matrix");
        const rti_type_info *info = rti_type_find((uint32_t)types[i]);
        size_t row_bytes = (size_t)(columns / info->block_values) * (size_t)info->block_bytes;
        rti_packed packed;
        rti_packed_shape(&packed, rti_form_find(types[i]), rows, columns);
        packed.data = aligned_alloc(64, rti_packed_bytes(packed.form, rows, columns));
        assert_true(rti_pack_panels(&packed, &matrix, 0, packed.panels));
        for (size_t c = 0; c < RTI_COUNT(choices); c++) {
            if (!rt_isa_supported(choices[c].isa)) {
                continue;
            }
            for (int32_t row = 0; row < rows; row++) {
                float expected[512], found[512];
                rti_dequantize(types[i], (const uint8_t *)matrix.data + (size_t)row * row_bytes, expected, (size_t)columns);
                rti_kernels_for(choices[c].isa, choices[c].vnni)->row_decode(&packed, row, 1.0f, found);
                for (int32_t k = 0; k < columns; k++) {
                    if (expected[k] != found[k]) { // zeros of either sign are the same value
                        fail_msg("%s, %s: row %d column %d: %g, not %g", info->name, rt_isa_name(choices[c].isa), row, k, found[k], expected[k]);
                    }
                }
            }
        }
        free(packed.data);
        synthetic_destroy(&s);
    }
}

// Many rows far into a sequence join their chunks one after another, few keep them apart: the same bits. The cache is filled
// through block_write, whose order all backends share; block_read gives it back.
static void test_long_contexts_and_blocks(void **state)
{
    (void)state;
    static const rt_kv_type kinds[] = {RT_KV_F16, RT_KV_Q8_0, RT_KV_F32};
    const rti_backend *backend = rti_backend_cpu();
    synthetic s;
    synthetic_def def = synthetic_default(RTI_TYPE_Q4_0);
    synthetic_create(&s, &def);
    s.layers[1].sliding_window = 700;
    for (size_t kind = 0; kind < RTI_COUNT(kinds); kind++) {
        float all[32 * 100], one[32 * 100];
        uint32_t blocks[100];
        rti_device *device;
        machine m = machine_open(&s.network, NULL, RT_PRECISION_FAST, kinds[kind], 0);
        rti_device_def long_def = {.weights = m.weights, .max_rows = 32, .max_passes = 1, .max_logits_rows = 32, .block_count = 100,
                                   .kv_type = kinds[kind], .worker_count = 1, .worker_spin_us = 20};
        assert_int_equal(backend->device_create(&long_def, &device), RT_OK);
        const size_t size = (size_t)backend->block_bytes(device);
        uint8_t *bytes = malloc(size), *back = malloc(size);
        for (uint32_t b = 0; b < 100; b++) {
            blocks[b] = b;
            for (size_t i = 0; i < size; i += kinds[kind] == RT_KV_F32 ? 4 : 2) {
                float value = 0.5f * synthetic_uniform(&s);
                if (kinds[kind] == RT_KV_F32) {
                    memcpy(bytes + i, &value, 4);
                } else if (kinds[kind] == RT_KV_F16 || i % 34 == 0) {
                    synthetic_half(bytes + i, kinds[kind] == RT_KV_F16 ? value : 0.004f);
                } else {
                    bytes[i] = (uint8_t)synthetic_random(&s);
                    bytes[i + 1] = (uint8_t)synthetic_random(&s);
                }
            }
            assert_int_equal(backend->block_write(device, b, bytes), RT_OK);
            assert_int_equal(backend->block_read(device, b, back), RT_OK);
            assert_memory_equal(bytes, back, size);
        }
        assert_int_equal(backend->block_copy(device, 3, 4), RT_OK);
        assert_int_equal(backend->block_read(device, 4, bytes), RT_OK);
        assert_int_equal(backend->block_read(device, 3, back), RT_OK);
        assert_memory_equal(bytes, back, size);
        for (int32_t together = 0; together < 2; together++) {
            for (int32_t first = 0; first < 32; first += together ? 32 : 1) {
                rti_row rows[32];
                int32_t count = together ? 32 : 1;
                for (int32_t i = 0; i < count; i++) {
                    rows[i] = (rti_row){.token = first + i, .position = 3000 + first + i, .blocks = blocks, .logits_row = i};
                }
                assert_int_equal(backend->pass_begin(device, 0, &(rti_pass_input){rows, count, count}), RT_OK);
                assert_int_equal(synthetic_run(backend, device, &s.network, together ? 7 : 0), RT_OK);
                for (int32_t i = 0; i < count; i++) {
                    const float *logits;
                    assert_int_equal(backend->logits(device, 0, i, &logits), RT_OK);
                    memcpy((together ? all : one) + (first + i) * 100, logits, 100 * sizeof(float));
                }
                backend->pass_end(device, 0);
            }
        }
        assert_memory_equal(all, one, sizeof all);
        free(bytes);
        free(back);
        backend->device_destroy(device);
        machine_close(&m);
    }
    synthetic_destroy(&s);
}

// Each allocation refused in turn: an error, nothing left behind.
static void test_refused_memory(void **state)
{
    (void)state;
    const rti_backend *backend = rti_backend_cpu();
    synthetic s;
    synthetic_def def = synthetic_default(RTI_TYPE_Q4_1);
    synthetic_create(&s, &def);
    for (size_t allowed = 0;; allowed++) {
        test_meter meter = {.refuse_after = allowed};
        rti_weights *weights = NULL;
        rti_device *device = NULL;
        rti_weights_def wd = {.host = test_meter_host(&meter), .network = &s.network, .load_threads = 2};
        rt_result result = backend->weights_create(&wd, &weights);
        if (result == RT_OK) {
            rti_device_def dd = {.host = test_meter_host(&meter), .weights = weights, .max_rows = 4, .max_passes = 1, .max_logits_rows = 4,
                                 .block_count = 2, .worker_count = 1, .worker_spin_us = 20};
            uint64_t told = 0, before = meter.bytes;
            result = backend->device_create(&dd, &device);
            assert_int_equal(backend->device_memory(&dd, &told), RT_OK);
            assert_true(result != RT_OK || meter.bytes - before <= told + (4 << 20)); // rounded up to huge pages
            if (result == RT_OK) {
                backend->device_destroy(device);
            }
            backend->weights_destroy(weights);
        }
        assert_int_equal(meter.blocks, 0);
        assert_int_equal(meter.bytes, 0);
        if (result == RT_OK) {
            break;
        }
        assert_int_equal(result, RT_ERROR_OUT_OF_MEMORY);
    }
    synthetic_destroy(&s);
}

// Kept packed weights give the same bits; damaged ones are packed again.
static void test_packed_weights_kept(void **state)
{
    (void)state;
    char folder[] = "/tmp/repartee-panels-XXXXXX", path[128];
    assert_non_null(mkdtemp(folder));
    synthetic s;
    synthetic_def def = synthetic_default(RTI_TYPE_Q6_K);
    synthetic_create(&s, &def);
    s.network.fingerprint = 0x1234;
    snprintf(path, sizeof path, "%s/%016llx.panels", folder, 0x1234ull);
    machine plain = machine_open(&s.network, NULL, RT_PRECISION_FAST, RT_KV_F16, 0);
    const uint64_t expected = hash_of(&plain, &s.network, (synthetic_cut){32, 0});
    machine_close(&plain);
    for (int round = 0; round < 4; round++) {
        rti_weights_def wd = {.network = &s.network, .load_threads = 1, .cache_folder = folder};
        rti_weights *weights;
        assert_int_equal(rti_backend_cpu()->weights_create(&wd, &weights), RT_OK);
        rti_device_def dd = {.weights = weights, .max_rows = 32, .max_passes = 1, .max_logits_rows = 32, .block_count = 16};
        machine m = {.weights = weights};
        assert_int_equal(rti_backend_cpu()->device_create(&dd, &m.device), RT_OK);
        assert_true(hash_of(&m, &s.network, (synthetic_cut){32, 0}) == expected);
        machine_close(&m);
        FILE *file = fopen(path, "r+b");
        assert_non_null(file);
        if (round == 1) { // one bit
            fseek(file, 5000, SEEK_SET);
            int byte = fgetc(file);
            fseek(file, 5000, SEEK_SET);
            fputc(byte ^ 4, file);
        }
        fclose(file);
        if (round == 2) {
            assert_int_equal(truncate(path, 3000), 0);
        }
    }
    remove(path);
    rmdir(folder);
    synthetic_destroy(&s);
}

static void test_sine_and_cosine(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 0; i < 400000; i++) {
        double x = (double)i * 0.3279, sine, cosine;
        rti_sin_cos(x, &sine, &cosine);
        worst = fmax(worst, fmax(fabs(sine - sin(x)), fabs(cosine - cos(x))));
    }
    assert_true(worst < 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packing_keeps_values),
        cmocka_unit_test(test_sine_and_cosine),
        cmocka_unit_test(test_long_contexts_and_blocks),
        cmocka_unit_test(test_refused_memory),
        cmocka_unit_test(test_packed_weights_kept),
        cmocka_unit_test(test_traits_against_plain_arithmetic),
        cmocka_unit_test(test_one_hash_for_every_type),
        cmocka_unit_test(test_one_hash_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
