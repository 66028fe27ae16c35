// Passes on every backend: logits of every family against transformers in float64, and the arithmetic contract - the same
// bits whatever the batch, the slicing, the threads, forks and reused prefixes. The CUDA backend runs as its own sources
// emulated on the processor, loaded as the plugin that it is.
// SPDX-License-Identifier: MIT
#include "support/cuda_plugin.h"
#include "support/npy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "rt/context.h"

#define FOLDER "tests/data/models/"
#define MOST_ROWS 64

typedef struct setup {
    rt_model *model;
    rt_context *context;
    int32_t vocab_size;
} setup;

static rt_context *open_context(rt_model *model, int32_t workers, uint64_t kv_tokens)
{
    rt_context_def def = rt_default_context_def();
    def.model = model;
    def.kv_type = RT_KV_F32;
    def.max_rows = def.max_logits_rows = MOST_ROWS;
    def.max_sequences = 8;
    def.kv_tokens = kv_tokens;
    def.worker_count = workers;
    rt_context *context;
    if (rt_context_create(&def, &context) != RT_OK) fail_msg("%s", rt_error_message());
    return context;
}

static setup open_setup(const char *path, rt_backend_kind backend, rt_isa isa, rt_precision precision)
{
    rt_model_def def = rt_default_model_def();
    def.path = path;
    def.backend = backend;
    def.isa = isa;
    def.precision = precision;
    def.cuda_library = test_cuda_plugin();
    setup s;
    if (rt_model_open(&def, &s.model) != RT_OK) fail_msg("%s", rt_error_message());
    s.context = open_context(s.model, 0, 1024);
    rt_model_info info;
    rt_model_get_info(s.model, &info);
    s.vocab_size = info.vocab_size;
    return s;
}

static void close_setup(setup *s)
{
    rt_context_destroy(s->context);
    rt_model_close(s->model);
}

// Logits of tokens [from, from + count) appended to a sequence.
static void append(rt_context *context, rt_sequence sequence, const rt_token *tokens, int32_t count, float *logits)
{
    rt_row rows[MOST_ROWS];
    for (int32_t i = 0; i < count; i++) rows[i] = (rt_row){.sequence = sequence, .token = tokens[i], .wants_logits = true};
    if (rt_context_evaluate(context, rows, count, logits) != RT_OK) fail_msg("%s", rt_error_message());
}

// ---------------------------------------------------------------------------------------------------------------------
// Against transformers
// ---------------------------------------------------------------------------------------------------------------------

static void check_golden(const char *name, bool is_gguf, rt_backend_kind backend, rt_isa isa)
{
    char model[256], tokens_path[256], logits_path[256];
    struct stat status;
    snprintf(model, sizeof model, FOLDER "%s%s", name, is_gguf ? "/model-q8_0.gguf" : "");
    snprintf(tokens_path, sizeof tokens_path, FOLDER "%s/tokens.npy", name);
    snprintf(logits_path, sizeof logits_path, FOLDER "%s/%s", name, is_gguf ? "logits-gguf.npy" : "logits.npy");
    if (stat(logits_path, &status) != 0) return;
    setup s = open_setup(model, backend, isa, RT_PRECISION_EXACT);
    test_array tokens, golden;
    assert_true(test_read_npy(tokens_path, &tokens));
    assert_true(test_read_npy(logits_path, &golden));
    int32_t count = (int32_t)(tokens.rows * tokens.columns);
    float *logits = malloc((size_t)count * (size_t)s.vocab_size * sizeof *logits);
    rt_sequence sequence;
    assert_int_equal(rt_sequence_create(s.context, &sequence), RT_OK);
    append(s.context, sequence, tokens.data, count, logits);
    size_t skipped = ((size_t)count - golden.rows) * golden.columns;
    double worst = 0;
    for (size_t i = 0; i < golden.rows * golden.columns; i++)
        worst = fmax(worst, fabs((double)logits[skipped + i] - (double)((const float *)golden.data)[i]));
    if (!(worst < 3e-4)) fail_msg("%s: off by %g", model, worst);
    free(logits);
    free(tokens.file);
    free(golden.file);
    close_setup(&s);
}

static const char *const families[] = {"qwen2",  "qwen3", "gemma2", "gemma3",         "gemma3-gguf", "phi3",
                                       "llama3", "yarn",  "mistral-window", "fp8-channel", "nemotron"};

static void test_every_family_on_the_cpu(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (int is_gguf = 0; is_gguf < 2; is_gguf++) {
            check_golden(families[i], is_gguf, RT_BACKEND_CPU, RT_ISA_SCALAR);
            check_golden(families[i], is_gguf, RT_BACKEND_CPU, RT_ISA_AUTO);
        }
}

static void test_every_family_on_emulated_cuda(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
#if defined(__SANITIZE_ADDRESS__)
        if (i % 4 != 2) continue; // every fiber switch costs: gemma 2, llama 3 and nemotron have what the others have
#endif
        for (int is_gguf = 0; is_gguf < 2; is_gguf++) check_golden(families[i], is_gguf, RT_BACKEND_CUDA, RT_ISA_AUTO);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The arithmetic contract
// ---------------------------------------------------------------------------------------------------------------------

#define LENGTH 40

static uint32_t one_a_unit(void *user, const rt_part *part)
{
    (void)user;
    return (uint32_t)(part->unit_end - part->unit_begin);
}

// Runs rows in slices of at most `units` units, another pass in between.
static void run_sliced(rt_context *context, const rt_row *rows, int32_t count, uint32_t units, float *logits, int32_t vocab_size)
{
    rt_pass *pass;
    assert_int_equal(rt_pass_begin(context, rows, count, &pass), RT_OK);
    rt_slice_limit limit = {.cost = one_a_unit, .budget_ns = units, .max_parts = 3};
    rt_slice slice;
    int slices = 0;
    float last = 0;
    while (!rt_pass_is_done(pass)) {
        assert_int_equal(rt_pass_plan(pass, &limit, &slice), RT_OK);
        assert_true(slice.part_count > 0 && slice.predicted_ns <= units);
        assert_int_equal(rt_pass_run(pass, &slice), RT_OK);
        assert_true(rt_pass_progress(pass) >= last);
        last = rt_pass_progress(pass);
        slices++;
    }
    assert_true(slices > 3);
    for (int32_t i = 0; i < count; i++) {
        const float *row;
        assert_int_equal(rt_pass_logits(pass, i, &row), RT_OK);
        memcpy(logits + (size_t)i * (size_t)vocab_size, row, (size_t)vocab_size * sizeof *row);
    }
    assert_int_equal(rt_pass_commit(pass), RT_OK);
}

static void check_contract(const char *path, rt_backend_kind backend, rt_isa isa, rt_precision precision, float *reference, bool is_first)
{
    setup s = open_setup(path, backend, isa, precision);
    size_t row_bytes = (size_t)s.vocab_size * sizeof(float);
    rt_token tokens[LENGTH];
    for (int i = 0; i < LENGTH; i++) tokens[i] = (i * 37 + 11) % s.vocab_size;
    float *logits = malloc(2 * LENGTH * row_bytes);
    rt_sequence one, other, fork;
    int32_t reused;

    // One token at a time: decode.
    rt_sequence_create(s.context, &one);
    for (int i = 0; i < LENGTH; i++) append(s.context, one, tokens + i, 1, logits + (size_t)i * (size_t)s.vocab_size);
    if (is_first) memcpy(reference, logits, LENGTH * row_bytes);
    assert_memory_equal(logits, reference, LENGTH * row_bytes);

    // A fresh context, so that nothing is reused: all at once, with a second thread.
    rt_context_destroy(s.context);
    s.context = open_context(s.model, 1, 1024);
    rt_sequence_create(s.context, &one);
    append(s.context, one, tokens, LENGTH, logits);
    assert_memory_equal(logits, reference, LENGTH * row_bytes);

    // Beside another sequence, rows interleaved, in small slices.
    rt_sequence_create(s.context, &one);
    rt_sequence_create(s.context, &other);
    rt_row rows[LENGTH];
    for (int begin = 0; begin < LENGTH; begin += LENGTH / 2) {
        for (int i = 0; i < LENGTH; i++)
            rows[i] = (rt_row){.sequence = i % 2 ? one : other,
                               .token = i % 2 ? tokens[begin + i / 2] : (i * 13 + begin) % s.vocab_size,
                               .wants_logits = true};
        run_sliced(s.context, rows, LENGTH, 5, logits, s.vocab_size);
        for (int i = 1; i < LENGTH; i += 2)
            assert_memory_equal(logits + (size_t)i * (size_t)s.vocab_size, reference + (size_t)(begin + i / 2) * (size_t)s.vocab_size, row_bytes);
    }

    // From a fork in the middle of a block, and from a prefix found again.
    rt_sequence_truncate(s.context, one, 17);
    assert_int_equal(rt_sequence_fork(s.context, one, &fork), RT_OK);
    append(s.context, one, tokens + 3, 5, logits);
    append(s.context, fork, tokens + 17, LENGTH - 17, logits);
    assert_memory_equal(logits, reference + 17 * (size_t)s.vocab_size, (LENGTH - 17) * row_bytes);
    rt_sequence_destroy(s.context, fork);
    rt_sequence_create(s.context, &fork);
    assert_int_equal(rt_sequence_reuse_prefix(s.context, fork, tokens, LENGTH, &reused), RT_OK);
    assert_int_equal(reused, 32);
    append(s.context, fork, tokens + reused, LENGTH - reused, logits);
    assert_memory_equal(logits, reference + (size_t)reused * (size_t)s.vocab_size, (size_t)(LENGTH - reused) * row_bytes);

    // From a snapshot.
    size_t size;
    assert_int_equal(rt_sequence_truncate(s.context, fork, 20), RT_OK);
    assert_int_equal(rt_sequence_save(s.context, fork, NULL, 0, &size), RT_OK);
    void *snapshot = malloc(size);
    assert_int_equal(rt_sequence_save(s.context, fork, snapshot, size, &size), RT_OK);
    rt_context_destroy(s.context);
    s.context = open_context(s.model, 0, 512);
    assert_int_equal(rt_sequence_restore(s.context, snapshot, size, &fork), RT_OK);
    append(s.context, fork, tokens + 20, LENGTH - 20, logits);
    assert_memory_equal(logits, reference + 20 * (size_t)s.vocab_size, (LENGTH - 20) * row_bytes);
    free(snapshot);
    free(logits);
    close_setup(&s);
}

static void check_contract_everywhere(const char *path, rt_precision precision)
{
    float *reference = malloc(LENGTH * 4096 * sizeof *reference);
    bool is_first = true;
    for (rt_isa isa = RT_ISA_SCALAR; isa <= RT_ISA_AMX; isa++) {
        if (!rt_isa_supported(isa)) continue;
        check_contract(path, RT_BACKEND_CPU, isa, precision, reference, is_first);
        is_first = false;
    }
    free(reference);
}

static void test_same_bits_on_the_cpu(void **state)
{
    (void)state;
    check_contract_everywhere(FOLDER "llama3/model-q8_0.gguf", RT_PRECISION_FAST);
    check_contract_everywhere(FOLDER "llama3/model-q8_0.gguf", RT_PRECISION_EXACT);
    check_contract_everywhere(FOLDER "nemotron/model-q8_0.gguf", RT_PRECISION_FAST);
    check_contract_everywhere(FOLDER "gemma3", RT_PRECISION_FAST);
    check_contract_everywhere(FOLDER "fp8-channel", RT_PRECISION_FAST);
}

static void test_same_bits_on_emulated_cuda(void **state)
{
    (void)state;
    float *reference = malloc(LENGTH * 4096 * sizeof *reference);
    check_contract(FOLDER "llama3/model-q8_0.gguf", RT_BACKEND_CUDA, RT_ISA_AUTO, RT_PRECISION_FAST, reference, true);
    check_contract(FOLDER "fp8-channel", RT_BACKEND_CUDA, RT_ISA_AUTO, RT_PRECISION_FAST, reference, true);
    free(reference);
}

// ---------------------------------------------------------------------------------------------------------------------
// What is refused, and what abandoning leaves
// ---------------------------------------------------------------------------------------------------------------------

static void test_bad_passes_are_refused_and_change_nothing(void **state)
{
    (void)state;
    setup s = open_setup(FOLDER "llama3/model-q8_0.gguf", RT_BACKEND_CPU, RT_ISA_AUTO, RT_PRECISION_FAST);
    rt_context_destroy(s.context);
    s.context = open_context(s.model, 0, 64); // two blocks
    rt_sequence one, two;
    rt_pass *pass, *second;
    rt_sequence_create(s.context, &one);
    rt_sequence_create(s.context, &two);
    rt_row rows[MOST_ROWS + 1];
    for (int i = 0; i <= MOST_ROWS; i++) rows[i] = (rt_row){.sequence = one, .token = i};
    assert_int_equal(rt_pass_begin(s.context, rows, MOST_ROWS + 1, &pass), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rt_pass_begin(s.context, rows, 0, &pass), RT_ERROR_INVALID_ARGUMENT);
    rows[1].token = s.vocab_size;
    assert_int_equal(rt_pass_begin(s.context, rows, 2, &pass), RT_ERROR_INVALID_ARGUMENT);
    rows[1] = (rt_row){.sequence = two};
    rows[1].sequence.generation++;
    assert_int_equal(rt_pass_begin(s.context, rows, 2, &pass), RT_ERROR_STALE_ID);
    for (int i = 0; i < MOST_ROWS; i++) rows[i] = (rt_row){.sequence = i < 40 ? one : two, .token = i};
    assert_int_equal(rt_pass_begin(s.context, rows, 41, &pass), RT_ERROR_CONTEXT_FULL); // 2 blocks and 1
    assert_int_equal(rt_context_available_blocks(s.context), 2);

    assert_int_equal(rt_pass_begin(s.context, rows, 20, &pass), RT_OK);
    assert_int_equal(rt_pass_begin(s.context, rows, 1, &second), RT_ERROR_BUSY); // the same sequence
    assert_int_equal(rt_sequence_destroy(s.context, one), RT_ERROR_BUSY);
    assert_int_equal(rt_sequence_truncate(s.context, one, 0), RT_ERROR_BUSY);
    assert_int_equal(rt_pass_commit(pass), RT_ERROR_BUSY); // not done
    assert_int_equal(rt_pass_begin(s.context, rows + 40, 1, &second), RT_OK);
    assert_int_equal(rt_pass_begin(s.context, rows + 40, 1, &second), RT_ERROR_BUSY);
    rt_slice slice;
    rt_slice_limit limit = {.cost = one_a_unit, .budget_ns = 3};
    assert_int_equal(rt_pass_plan(pass, &limit, &slice), RT_OK);
    assert_int_equal(rt_pass_run(pass, &slice), RT_OK);
    assert_int_equal(rt_pass_run(pass, &slice), RT_ERROR_INVALID_ARGUMENT); // a slice runs once
    limit.budget_ns = 0;
    assert_int_equal(rt_pass_plan(pass, &limit, &slice), RT_OK);
    assert_int_equal(slice.part_count, 0);
    assert_int_equal(slice.predicted_ns, 1); // what the smallest piece costs
    rt_pass_abandon(pass);
    int32_t length;
    rt_sequence_length(s.context, one, &length);
    assert_int_equal(length, 0);
    assert_int_equal(rt_context_available_blocks(s.context), 1); // the other pass holds one
    close_setup(&s); // with a pass under way
}

// What is counted for the pieces of a part is what is counted for the whole, wherever it is cut; a tile of few rows is not what
// a tile of many is.
static void check_work(const char *path, int32_t row_count)
{
    setup s = open_setup(path, RT_BACKEND_CPU, RT_ISA_AUTO, RT_PRECISION_FAST);
    rt_sequence sequence;
    rt_row rows[MOST_ROWS];
    rt_pass *pass;
    static rt_slice whole, slice;
    assert_int_equal(rt_sequence_create(s.context, &sequence), RT_OK);
    for (int32_t i = 0; i < row_count; i++)
        rows[i] = (rt_row){.sequence = sequence, .token = i % 50 + 3, .wants_logits = i % 3 == 0};
    assert_int_equal(rt_pass_begin(s.context, rows, row_count, &pass), RT_OK);
    const rt_slice_limit all = {0};
    assert_int_equal(rt_pass_plan(pass, &all, &whole), RT_OK);
    assert_true(whole.parts[whole.part_count - 1].kind == RT_PART_LOGITS);
    uint64_t bytes[RT_SLICE_MAX_PARTS] = {0}, operations[RT_SLICE_MAX_PARTS] = {0};
    for (uint32_t step = 0; !rt_pass_is_done(pass); step++) {
        const rt_slice_limit limit = {.cost = one_a_unit, .budget_ns = 1 + step % 4};
        assert_int_equal(rt_pass_plan(pass, &limit, &slice), RT_OK);
        for (int32_t i = 0; i < slice.part_count; i++) {
            int32_t number = 0;
            while (whole.parts[number].kind != slice.parts[i].kind || whole.parts[number].layer != slice.parts[i].layer) number++;
            assert_true(slice.parts[i].operations > 0 || slice.parts[i].kind == RT_PART_ATTENTION);
            bytes[number] += slice.parts[i].bytes;
            operations[number] += slice.parts[i].operations;
        }
        assert_int_equal(rt_pass_run(pass, &slice), RT_OK);
    }
    for (int32_t i = 0; i < whole.part_count; i++) {
        assert_int_equal(bytes[i], whole.parts[i].bytes);
        assert_int_equal(operations[i], whole.parts[i].operations);
    }
    rt_pass_abandon(pass);
    close_setup(&s);
}

// What a context says of itself, and a token drawn where the logits are: the same as drawn from what they are.
static void test_a_context_says_what_it_is(void **state)
{
    (void)state;
    enum { TOKENS = 1024 };
    setup s = open_setup(FOLDER "llama3/model-q8_0.gguf", RT_BACKEND_CPU, RT_ISA_AUTO, RT_PRECISION_FAST);
    assert_ptr_equal(rt_context_model(s.context), s.model);
    rt_model_info info;
    rt_model_get_info(s.model, &info);
    rt_context_def def = rt_default_context_def();
    uint64_t one, two, full;
    assert_int_equal(rt_context_memory(&def, &one), RT_ERROR_INVALID_ARGUMENT); // no model
    def.model = s.model;
    def.kv_type = RT_KV_F16;
    def.kv_tokens = TOKENS;
    assert_int_equal(rt_context_memory(&def, &one), RT_OK);
    def.kv_tokens = 2 * TOKENS;
    assert_int_equal(rt_context_memory(&def, &two), RT_OK);
    uint64_t blocks = TOKENS / RT_KV_BLOCK_TOKENS; // about 200 bytes a block beside its keys and values, and the tables
    assert_in_range(two - one, TOKENS * info.kv_bytes_per_token, TOKENS * info.kv_bytes_per_token + blocks * 1024);
    def.kv_type = RT_KV_F32;
    assert_int_equal(rt_context_memory(&def, &full), RT_OK);
    assert_int_equal(full - two, 2 * TOKENS * info.kv_bytes_per_token);

    rt_sequence sequence;
    assert_int_equal(rt_sequence_create(s.context, &sequence), RT_OK);
    rt_row row = {.sequence = sequence, .token = 5, .wants_logits = true};
    rt_pass *pass;
    assert_int_equal(rt_pass_begin(s.context, &row, 1, &pass), RT_OK);
    rt_slice slice;
    rt_sampler_def sampler = rt_default_sampler_def();
    rt_sample_request request = {.sampler = &sampler, .step = 3};
    rt_token drawn, expected;
    assert_int_not_equal(rt_pass_sample(pass, 0, &request, &drawn), RT_OK); // not before it is done
    while (!rt_pass_is_done(pass)) {
        bool idle = false;
        assert_int_equal(rt_pass_plan(pass, &(rt_slice_limit){0}, &slice), RT_OK);
        assert_int_equal(rt_pass_run(pass, &slice), RT_OK);
        assert_int_equal(rt_pass_poll(pass, &slice, &idle), RT_OK);
        assert_true(idle);
    }
    const float *logits;
    void *scratch = malloc(rt_sampler_scratch_bytes(s.vocab_size));
    assert_int_equal(rt_pass_logits(pass, 0, &logits), RT_OK);
    for (uint64_t step = 0; step < 20; step++) {
        request.step = step;
        assert_int_equal(rt_sample(logits, s.vocab_size, &request, scratch, &expected), RT_OK);
        assert_int_equal(rt_pass_sample(pass, 0, &request, &drawn), RT_OK);
        assert_int_equal(drawn, expected);
    }
    assert_int_not_equal(rt_pass_sample(pass, 1, &request, &drawn), RT_OK); // there is no such row
    assert_int_equal(rt_pass_commit(pass), RT_OK);
    free(scratch);
    close_setup(&s);
}

static void test_work_of_pieces_adds_up(void **state)
{
    (void)state;
    static const int32_t counts[] = {1, 3, 8, 10, 33, 40};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        check_work(FOLDER "llama3/model-q8_0.gguf", counts[i]);
        check_work(FOLDER "gemma3", counts[i]);
        check_work(FOLDER "nemotron", counts[i]);
    }
}

static void test_a_lost_device_is_a_result(void **state)
{
    (void)state;
    rt_model_def def = rt_default_model_def();
    def.path = FOLDER "llama3/model-q8_0.gguf";
    def.backend = RT_BACKEND_CUDA;
    def.cuda_library = "build/there-is-no-such-library.so";
    rt_model *model = NULL;
    // The plugin stays loaded once it was found, so only a first load can miss it.
    rt_result result = rt_model_open(&def, &model);
    if (result != RT_OK) assert_int_equal(result, RT_ERROR_DEVICE);
    rt_model_close(model);
    def.cuda_library = test_cuda_plugin();
    def.cuda_device = 100;
    assert_int_equal(rt_model_open(&def, &model), RT_ERROR_DEVICE);
    assert_null(model);
}

// ---------------------------------------------------------------------------------------------------------------------
// Masked rows
// ---------------------------------------------------------------------------------------------------------------------

// The logits of two rows that allow few tokens each, in slices of 3: inside the masks the bits of the whole, and few units.
static void check_masks(const setup *s, const rt_token *tokens, const uint32_t *first, const uint32_t *second, bool is_listed)
{
    const size_t vocab_size = (size_t)s->vocab_size;
    float *whole = malloc(2 * vocab_size * sizeof *whole);
    rt_sequence one, other;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(rt_sequence_create(s->context, &one), RT_OK);
        assert_int_equal(rt_sequence_create(s->context, &other), RT_OK);
        rt_row rows[] = {{.sequence = one, .token = tokens[0]},
                         {.sequence = one, .token = tokens[1], .wants_logits = true, .mask = round ? first : NULL},
                         {.sequence = other, .token = tokens[2], .wants_logits = true, .mask = round ? second : NULL}};
        rt_pass *pass;
        rt_slice slice = {0};
        const rt_slice_limit limit = {.cost = one_a_unit, .budget_ns = 3};
        int32_t units = 0;
        assert_int_equal(rt_pass_begin(s->context, rows, 3, &pass), RT_OK);
        while (!rt_pass_is_done(pass)) {
            assert_int_equal(rt_pass_plan(pass, &limit, &slice), RT_OK);
            assert_int_equal(rt_pass_run(pass, &slice), RT_OK);
            if (slice.parts[slice.part_count - 1].kind == RT_PART_LOGITS) units = slice.parts[slice.part_count - 1].unit_count;
        }
        const int32_t all = (s->vocab_size + 63) / 64 + 1; // and the norm
        assert_int_equal(units < all, round && is_listed);
        for (int32_t i = 0; i < 2; i++) {
            const float *logits;
            const uint32_t *mask = i ? second : first;
            assert_int_equal(rt_pass_logits(pass, i + 1, &logits), RT_OK);
            if (!round) memcpy(whole + (size_t)i * vocab_size, logits, vocab_size * sizeof *whole);
            for (size_t id = 0; round && id < vocab_size; id++) {
                const float expected = whole[(size_t)i * vocab_size + id];
                if (mask && mask[id / 32] >> id % 32 & 1) assert_true(logits[id] == expected);
                else assert_true(logits[id] == expected || logits[id] == -INFINITY);
            }
        }
        rt_pass_abandon(pass);
        rt_sequence_destroy(s->context, one);
        rt_sequence_destroy(s->context, other);
    }
    free(whole);
}

static void test_masked_rows_have_the_same_bits(void **state)
{
    (void)state;
    static const rt_token tokens[] = {5, 17, 40};
    for (rt_isa isa = RT_ISA_SCALAR; isa <= RT_ISA_AMX; isa++) {
        if (!rt_isa_supported(isa)) continue;
        setup s = open_setup(FOLDER "llama3/model-q8_0.gguf", RT_BACKEND_CPU, isa, RT_PRECISION_FAST);
        const size_t words = ((size_t)s.vocab_size + 31) / 32;
        uint32_t *few = calloc(words, 4), *others = calloc(words, 4), *many = calloc(words, 4);
        few[0] = 1u << 31;
        few[words / 2] = 6;
        others[0] = 1;
        others[words - 1] = 1;
        for (size_t i = 0; i < words; i++) many[i] = 0x00010001;
        check_masks(&s, tokens, few, others, true);
        check_masks(&s, tokens, few, many, false);
        check_masks(&s, tokens, NULL, few, false); // a row without a mask wants everything
        free(few);
        free(others);
        free(many);
        close_setup(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family_on_the_cpu),
        cmocka_unit_test(test_every_family_on_emulated_cuda),
        cmocka_unit_test(test_same_bits_on_the_cpu),
        cmocka_unit_test(test_same_bits_on_emulated_cuda),
        cmocka_unit_test(test_masked_rows_have_the_same_bits),
        cmocka_unit_test(test_bad_passes_are_refused_and_change_nothing),
        cmocka_unit_test(test_a_context_says_what_it_is),
        cmocka_unit_test(test_work_of_pieces_adds_up),
        cmocka_unit_test(test_a_lost_device_is_a_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
