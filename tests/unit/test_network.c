// Networks out of files: every family, every kind of file, against logits that transformers computed in float64. A plain double
// forward pass stands between, so that what is judged here is the reading and nothing else.
// SPDX-License-Identifier: MIT
#include "support/npy.h"
#include "support/plain_forward.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FOLDER "tests/data/models/"

static rti_network *open_network(const char *path, rti_file **file)
{
    rti_network *network = NULL;
    if (rti_file_open(NULL, path, file) != RT_OK)
        fail_msg("%s", rt_error_message());
    if (rti_network_create(NULL, *file, &network) != RT_OK)
        fail_msg("%s", rt_error_message());
    return network;
}

// Compares the last rows that the golden has. Returns the largest difference.
static double worst_difference(const char *model, const char *tokens_path, const char *logits_path, int32_t start)
{
    rti_file *file;
    test_array tokens, golden;
    rti_network *network = open_network(model, &file);
    assert_true(test_read_npy(tokens_path, &tokens));
    assert_true(test_read_npy(logits_path, &golden));
    assert_int_equal(golden.columns, network->vocab_size);
    size_t count = tokens.rows * tokens.columns, skipped = (count - golden.rows) * golden.columns;
    double *logits = plain_forward(network, tokens.data, (int32_t)count, start), worst = 0;
    for (size_t i = 0; i < golden.rows * golden.columns; i++)
        worst = fmax(worst, fabs(logits[skipped + i] - (double)((const float *)golden.data)[i]));
    free(logits);
    free(tokens.file);
    free(golden.file);
    rti_network_destroy(network);
    rti_file_close(file);
    return worst;
}

static void every_family_is_read_right(void **state)
{
    (void)state;
    static const char *const names[] = {"qwen2",  "qwen3", "gemma2",         "gemma3",     "gemma3-gguf", "phi3",
                                        "llama3", "yarn",  "mistral-window", "fp8-channel",
                                        "nemotron"};
    int checked = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int is_gguf = 0; is_gguf < 2; is_gguf++) {
            char model[256], tokens[256], logits[256];
            struct stat status;
            snprintf(model, sizeof model, FOLDER "%s%s", names[i], is_gguf ? "/model-q8_0.gguf" : "");
            snprintf(tokens, sizeof tokens, FOLDER "%s/tokens.npy", names[i]);
            snprintf(logits, sizeof logits, FOLDER "%s/%s", names[i], is_gguf ? "logits-gguf.npy" : "logits.npy");
            if (stat(logits, &status) != 0)
                continue;
            double worst = worst_difference(model, tokens, logits, 0);
            print_message("%-50s %.2g\n", model, worst);
            assert_true(worst < 1e-5);
            checked++;
        }
    assert_int_equal(checked, 17);
}

// Positions at the far end of 131,072, where angles in float32 are 0.04 off.
static void far_positions_are_exact(void **state)
{
    (void)state;
    const char *reference = getenv("REPARTEE_REFERENCE");
    static const char *const files[][2] = {{"hf-f32", "hf-f32"}, {"nemo-q8_0.gguf", "gguf-q8_0"}};
    if (!reference)
        skip();
    for (size_t i = 0; i < 2; i++) {
        char model[1024], tokens[1024], logits[1024];
        snprintf(model, sizeof model, "%s/models/nemo/%s", reference, files[i][0]);
        snprintf(tokens, sizeof tokens, "%s/models/nemo/golden/tokens_far16.npy", reference);
        snprintf(logits, sizeof logits, "%s/models/nemo/golden/%s/logits_far16.npy", reference, files[i][1]);
        assert_true(worst_difference(model, tokens, logits, 131056) < 1e-5);
    }
}

static void reference_models_are_read_right(void **state)
{
    (void)state;
    const char *reference = getenv("REPARTEE_REFERENCE");
    static const char *const files[][3] = {
        {"llama-k", "llama-k-mixed.gguf", "gguf-mixed"},     {"llama-k", "llama-k-q4_0.gguf", "gguf-q4_0"},
        {"llama-k", "llama-k-q4_k_m.gguf", "gguf-q4_k_m"},   {"llama-k", "llama-k-q5_1.gguf", "gguf-q5_1"},
        {"llama-tied", "hf-bf16", "hf-bf16"},                {"llama-tied", "llama-tied-q8_0.gguf", "gguf-q8_0"},
        {"minitron8b", "hf-bf16-shards2", "hf-bf16-shards2"}, {"minitron8b", "minitron8b-f16.gguf", "gguf-f16"},
        {"minitron8b", "minitron8b-q8_0.gguf", "gguf-q8_0"}, {"nemo", "hf-f32", "hf-f32"},
        {"nemo", "hf-fp8-tensor", "hf-fp8-tensor"},          {"nemo", "nemo-q8_0.gguf", "gguf-q8_0"},
        {"nemotron", "hf-bf16", "hf-bf16"},                  {"nemotron", "hf-f32", "hf-f32"},
        {"nemotron", "nemotron-f32.gguf", "gguf-f32"},       {"nemotron", "nemotron-q8_0.gguf", "gguf-q8_0"},
    };
    if (!reference)
        skip();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char model[1024], tokens[1024], logits[1024];
        snprintf(model, sizeof model, "%s/models/%s/%s", reference, files[i][0], files[i][1]);
        snprintf(tokens, sizeof tokens, "%s/models/%s/golden/tokens_7.npy", reference, files[i][0]);
        snprintf(logits, sizeof logits, "%s/models/%s/golden/%s/logits_7.npy", reference, files[i][0], files[i][2]);
        assert_true(worst_difference(model, tokens, logits, 0) < 1e-5);
    }
}

// transformers 5 says the same of RoPE in other words: config-v5.json stands beside the older one.
static void newer_configurations_are_read(void **state)
{
    (void)state;
    static const char *const names[] = {"gemma3", "phi3", "llama3", "nemotron"};
    char folder[256], here[1024], path[2048], target[2048];
    assert_non_null(getcwd(here, sizeof here));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(scratch_create(folder));
        snprintf(target, sizeof target, "%s/" FOLDER "%s/model.safetensors", here, names[i]);
        snprintf(path, sizeof path, "%s/model.safetensors", folder);
        assert_int_equal(symlink(target, path), 0);
        snprintf(target, sizeof target, "%s/" FOLDER "%s/config-v5.json", here, names[i]);
        snprintf(path, sizeof path, "%s/config.json", folder);
        assert_int_equal(symlink(target, path), 0);
        snprintf(path, sizeof path, FOLDER "%s/tokens.npy", names[i]);
        snprintf(target, sizeof target, FOLDER "%s/logits.npy", names[i]);
        assert_true(worst_difference(folder, path, target, 0) < 1e-5);
        scratch_remove(folder);
    }
}

// Phi's file has two sets of factors: the application's context decides.
static void long_context_takes_the_long_factors(void **state)
{
    (void)state;
    static const char *const paths[] = {FOLDER "phi3", FOLDER "phi3/model-q8_0.gguf"};
    for (size_t i = 0; i < 2; i++) {
        rti_file *file;
        rti_network *original, *longer;
        assert_int_equal(rti_file_open(NULL, paths[i], &file), RT_OK);
        assert_int_equal(rti_network_create_sized(NULL, file, 1024, &original), RT_OK);
        assert_int_equal(rti_network_create_sized(NULL, file, 1025, &longer), RT_OK);
        assert_int_equal(original->context_size, 1024);
        assert_int_equal(longer->context_size, 4096);
        for (int f = 0; f < 6; f++) { // short factors are 1 + 0.05 f, long ones 1 + 0.9 f
            double ratio = original->ropes[0].frequency[f] / longer->ropes[0].frequency[f];
            assert_true(fabs(ratio - (1 + 0.9 * f) / (1 + 0.05 * f)) < 1e-5);
        }
        assert_true(original->fingerprint != longer->fingerprint);
        rti_network_destroy(original);
        rti_network_destroy(longer);
        rti_file_close(file);
    }
}

static void fingerprints_tell_files_apart(void **state)
{
    (void)state;
    static const char *const paths[] = {FOLDER "qwen2", FOLDER "qwen2/model-q8_0.gguf", FOLDER "yarn", FOLDER "llama3"};
    uint64_t prints[4];
    for (size_t i = 0; i < 4; i++) {
        rti_file *file;
        rti_network *network = open_network(paths[i], &file), *again;
        prints[i] = network->fingerprint;
        assert_int_equal(rti_network_create(NULL, file, &again), RT_OK);
        assert_true(again->fingerprint == prints[i]);
        rti_network_destroy(again);
        rti_network_destroy(network);
        rti_file_close(file);
        for (size_t j = 0; j < i; j++)
            assert_true(prints[i] != prints[j]);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Every allocation refused in turn
// ---------------------------------------------------------------------------------------------------------------------

typedef struct meter {
    long left;  // allocations that are still granted
    long alive; // bytes out
} meter;

static void *metered(void *user, void *pointer, size_t old_size, size_t new_size, size_t alignment)
{
    meter *own = user;
    void *fresh = NULL;
    if (new_size == 0) {
        own->alive -= (long)old_size;
        free(pointer);
        return NULL;
    }
    if (own->left-- <= 0 || posix_memalign(&fresh, alignment < 16 ? 16 : alignment, new_size) != 0)
        return NULL;
    if (pointer)
        memcpy(fresh, pointer, old_size < new_size ? old_size : new_size);
    free(pointer);
    own->alive += (long)new_size - (long)old_size;
    return fresh;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    static const char *const paths[] = {FOLDER "gemma3", FOLDER "phi3/model-q8_0.gguf", FOLDER "fp8-channel"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        rt_result result = RT_ERROR_OUT_OF_MEMORY;
        for (long granted = 0; result != RT_OK; granted++) {
            meter own = {granted, 0};
            rt_host host = {.allocate = metered, .user = &own};
            rti_file *file = NULL;
            rti_network *network = NULL;
            result = rti_file_open(&host, paths[i], &file);
            if (result == RT_OK)
                result = rti_network_create(&host, file, &network);
            if (result != RT_OK && result != RT_ERROR_OUT_OF_MEMORY)
                fail_msg("%s: after %ld allocations: %s", paths[i], granted, rt_error_message());
            rti_network_destroy(network);
            rti_file_close(file);
            assert_int_equal(own.alive, 0);
            assert_true(granted < 5000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_is_read_right),
        cmocka_unit_test(far_positions_are_exact),
        cmocka_unit_test(reference_models_are_read_right),
        cmocka_unit_test(newer_configurations_are_read),
        cmocka_unit_test(long_context_takes_the_long_factors),
        cmocka_unit_test(fingerprints_tell_files_apart),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
