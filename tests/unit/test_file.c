// Files: what they say, what is wrong with broken ones, and ten thousand damaged in turn.
// SPDX-License-Identifier: MIT
#include "file/file.h"
#include "model/network.h"
#include "rt/context.h"
#include "rt/convert.h"
#include "rt/model.h"

#include "support/npy.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SEEDS "tests/data/fuzz/"
#define MODELS "tests/data/models/"

static char scratch[256];

static int make_scratch(void **state)
{
    (void)state;
    return scratch_create(scratch) ? 0 : -1;
}

static int drop_scratch(void **state)
{
    (void)state;
    scratch_remove(scratch);
    return 0;
}

static const char *in_scratch(const char *name)
{
    static char paths[4][600];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 600, "%s/%s", scratch, name);
    return path;
}

static uint8_t *read_seed(const char *path, size_t *size)
{
    uint8_t *bytes = test_read_file(path, size);
    assert_non_null(bytes);
    return bytes;
}

// ---------------------------------------------------------------------------------------------------------------------
// What a GGUF says
// ---------------------------------------------------------------------------------------------------------------------

static void metadata_is_read_by_kind(void **state)
{
    (void)state;
    rti_file *file;
    uint64_t number;
    double real;
    bool truth;
    rti_text text;
    rti_value_kind kind;
    size_t count;
    assert_int_equal(rti_file_open(NULL, MODELS "qwen2/model-q8_0.gguf", &file), RT_OK);
    assert_true(rti_file_is_gguf(file));
    assert_string_equal(rti_file_get_string(file, "general.architecture"), "qwen2");
    assert_true(rti_file_get_unsigned(file, "qwen2.block_count", &number) && number == 2);
    assert_true(rti_file_get_float(file, "qwen2.block_count", &real) && real == 2);
    assert_true(rti_file_get_float(file, "qwen2.rope.freq_base", &real) && real == 1e6);
    assert_false(rti_file_get_unsigned(file, "qwen2.rope.freq_base", &number));
    assert_false(rti_file_get_bool(file, "qwen2.block_count", &truth));
    assert_false(rti_file_get_text(file, "no.such.key", &text));
    assert_null(rti_file_get_string(file, "qwen2.block_count"));
    assert_int_equal(rti_file_value_kind(file, "no.such.key"), RTI_VALUE_NONE);
    assert_true(rti_file_get_array(file, "tokenizer.ggml.tokens", &kind, &count));
    assert_int_equal(kind, RTI_VALUE_STRING);
    assert_int_equal(count, 288);
    assert_true(rti_file_array_text(file, "tokenizer.ggml.tokens", 1, &text));
    assert_memory_equal(text.data, "<s>", 3);
    assert_int_equal(text.size, 3);
    assert_false(rti_file_array_text(file, "tokenizer.ggml.tokens", 288, &text));
    assert_true(rti_file_array_number(file, "tokenizer.ggml.token_type", 1, &real) && real == 3);
    assert_false(rti_file_array_number(file, "tokenizer.ggml.tokens", 0, &real));
    rti_file_close(file);
}

static void tensors_are_found_by_name(void **state)
{
    (void)state;
    rti_file *file;
    assert_int_equal(rti_file_open(NULL, MODELS "qwen2/model-q8_0.gguf", &file), RT_OK);
    for (size_t i = 0; i < rti_file_tensor_count(file); i++) {
        const rti_tensor *tensor = rti_file_tensor_at(file, i);
        assert_ptr_equal(rti_file_tensor(file, tensor->name), tensor);
        assert_int_equal((uintptr_t)tensor->data % 32, 0);
    }
    const rti_tensor *tensor = rti_file_tensor(file, "blk.1.ffn_up.weight");
    assert_non_null(tensor);
    assert_int_equal(tensor->type, RTI_TYPE_Q8_0);
    assert_int_equal(tensor->shape[0], 64);
    assert_int_equal(tensor->shape[1], 64);
    assert_int_equal(tensor->bytes, 64 * 2 * 34);
    assert_null(rti_file_tensor(file, "blk.2.ffn_up.weight"));
    assert_null(rti_file_tensor_at(file, rti_file_tensor_count(file)));
    rti_file_close(file);
}

static void folders_answer_as_files_do(void **state)
{
    (void)state;
    rti_file *file;
    uint64_t number;
    double real;
    rti_text text;
    assert_int_equal(rti_file_open(NULL, MODELS "gemma3", &file), RT_OK);
    assert_false(rti_file_is_gguf(file));
    assert_true(rti_file_get_unsigned(file, "sliding_window", &number) && number == 8);
    assert_true(rti_file_get_float(file, "rope_scaling.factor", &real) && real == 8);
    assert_true(rti_file_array_text(file, "layer_types", 2, &text));
    assert_memory_equal(text.data, "full_attention", 14);
    assert_int_equal(rti_file_value_kind(file, "attn_logit_softcapping"), RTI_VALUE_NONE); // null
    const rti_tensor *tensor = rti_file_tensor(file, "model.layers.0.mlp.down_proj.weight");
    assert_non_null(tensor);
    assert_int_equal(tensor->type, RTI_TYPE_BF16);
    rti_file_close(file);
}

// ---------------------------------------------------------------------------------------------------------------------
// Writing and splitting
// ---------------------------------------------------------------------------------------------------------------------

static void what_is_written_is_read(void **state)
{
    (void)state;
    rti_file *source, *copy;
    rti_gguf_writer *writer;
    const char *path = in_scratch("copy.gguf");
    assert_int_equal(rti_file_open(NULL, SEEDS "fuzz_gguf/llama.gguf", &source), RT_OK);
    assert_int_equal(rti_gguf_writer_create(NULL, path, &writer), RT_OK);
    assert_int_equal(rti_gguf_writer_copy_metadata(writer, source), RT_OK);
    assert_int_equal(rti_gguf_writer_set_bool(writer, "test.truth", true), RT_OK);
    for (size_t i = 0; i < rti_file_tensor_count(source); i++) {
        const rti_tensor *tensor = rti_file_tensor_at(source, i);
        assert_int_equal(rti_gguf_writer_add_tensor(writer, tensor->name, tensor->type, tensor->dimension_count, tensor->shape),
                         RT_OK);
    }
    assert_int_equal(rti_gguf_writer_begin_data(writer), RT_OK);
    for (size_t i = 0; i < rti_file_tensor_count(source); i++) {
        const rti_tensor *tensor = rti_file_tensor_at(source, i);
        assert_int_equal(rti_gguf_writer_write_tensor(writer, tensor->data, tensor->bytes / 2), RT_OK);
        assert_int_equal(rti_gguf_writer_write_tensor(writer, (const uint8_t *)tensor->data + tensor->bytes / 2,
                                                      tensor->bytes - tensor->bytes / 2), RT_OK);
    }
    assert_int_equal(rti_gguf_writer_finish(writer, true), RT_OK);
    assert_int_equal(rti_file_open(NULL, path, &copy), RT_OK);
    for (size_t i = 0; i < rti_file_tensor_count(source); i++) {
        const rti_tensor *tensor = rti_file_tensor_at(source, i), *other = rti_file_tensor(copy, tensor->name);
        assert_non_null(other);
        assert_int_equal(other->bytes, tensor->bytes);
        assert_memory_equal(other->data, tensor->data, tensor->bytes);
    }
    rti_text text;
    bool truth;
    assert_true(rti_file_get_bool(copy, "test.truth", &truth) && truth);
    assert_true(rti_file_array_text(copy, "tokenizer.ggml.tokens", 260, &text));
    assert_memory_equal(text.data, "a", 1);
    rti_file_close(copy);
    rti_file_close(source);
}

static void an_unfinished_file_does_not_appear(void **state)
{
    (void)state;
    rti_gguf_writer *writer;
    const char *path = in_scratch("never.gguf");
    assert_int_equal(rti_gguf_writer_create(NULL, path, &writer), RT_OK);
    assert_int_equal(rti_gguf_writer_finish(writer, false), RT_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_not_equal(access(in_scratch("never.gguf.partial"), F_OK), 0);
    assert_int_equal(rti_gguf_writer_create(NULL, "/no/such/folder/x.gguf", &writer), RT_ERROR_IO);
    assert_int_equal(rti_gguf_writer_create(NULL, "/dev/null", &writer), RT_ERROR_IO); // must not be moved away
    assert_null(writer);
    assert_int_equal(rti_gguf_writer_create(NULL, "tests", &writer), RT_ERROR_IO);
}

// Writes part `number` of a split file that has one tensor.
static void write_part(int number, int count, int total)
{
    char name[64], tensor[16];
    float values[4] = {(float)number, 1, 2, 3};
    int64_t shape[1] = {4};
    rti_gguf_writer *writer;
    snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", number + 1, count);
    snprintf(tensor, sizeof tensor, "t%d", number);
    assert_int_equal(rti_gguf_writer_create(NULL, in_scratch(name), &writer), RT_OK);
    assert_int_equal(rti_gguf_writer_set_unsigned(writer, "split.no", (uint32_t)number), RT_OK);
    assert_int_equal(rti_gguf_writer_set_unsigned(writer, "split.count", (uint32_t)count), RT_OK);
    assert_int_equal(rti_gguf_writer_set_unsigned(writer, "split.tensors.count", (uint32_t)total), RT_OK);
    assert_int_equal(rti_gguf_writer_add_tensor(writer, tensor, RTI_TYPE_F32, 1, shape), RT_OK);
    assert_int_equal(rti_gguf_writer_begin_data(writer), RT_OK);
    assert_int_equal(rti_gguf_writer_write_tensor(writer, values, sizeof values), RT_OK);
    assert_int_equal(rti_gguf_writer_finish(writer, true), RT_OK);
}

static void split_files_are_one(void **state)
{
    (void)state;
    rti_file *file;
    for (int i = 0; i < 3; i++)
        write_part(i, 3, 3);
    assert_int_equal(rti_file_open(NULL, in_scratch("m-00001-of-00003.gguf"), &file), RT_OK);
    assert_int_equal(rti_file_tensor_count(file), 3);
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        assert_true(*(const float *)rti_file_tensor(file, name)->data == (float)i);
    }
    rti_file_close(file);
    assert_int_equal(rti_file_open(NULL, in_scratch("m-00002-of-00003.gguf"), &file), RT_ERROR_BAD_FILE);
    assert_non_null(strstr(rt_error_message(), "open the first part"));
    unlink(in_scratch("m-00003-of-00003.gguf"));
    assert_int_equal(rti_file_open(NULL, in_scratch("m-00001-of-00003.gguf"), &file), RT_ERROR_NOT_FOUND);
    write_part(2, 3, 4);
    write_part(0, 3, 4);
    assert_int_equal(rti_file_open(NULL, in_scratch("m-00001-of-00003.gguf"), &file), RT_ERROR_BAD_FILE);
    assert_non_null(strstr(rt_error_message(), "split.tensors.count"));
}

// ---------------------------------------------------------------------------------------------------------------------
// What is wrong
// ---------------------------------------------------------------------------------------------------------------------

static void open_fails(const char *path, rt_result expected, const char *words)
{
    rti_file *file = (rti_file *)(uintptr_t)1;
    rt_result result = rti_file_open(NULL, path, &file);
    if (result != expected || !strstr(rt_error_message(), words))
        fail_msg("%s: result %d (%s), must be %d with \"%s\"", path, (int)result, rt_error_message(), (int)expected, words);
    assert_null(file);
}

static void broken_files_say_where(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = read_seed(SEEDS "fuzz_gguf/llama.gguf", &size);
    open_fails(in_scratch("nothing"), RT_ERROR_NOT_FOUND, "nothing");
    open_fails(scratch, RT_ERROR_NOT_FOUND, "config.json");
    open_fails("tests/unit/test_file.c", RT_ERROR_BAD_FILE, "GGUF");
    scratch_write(scratch, "empty.gguf", "", 0);
    open_fails(in_scratch("empty.gguf"), RT_ERROR_BAD_FILE, "empty");
    scratch_write(scratch, "half.gguf", bytes, size / 2);
    open_fails(in_scratch("half.gguf"), RT_ERROR_BAD_FILE, "truncated");
    scratch_write(scratch, "head.gguf", bytes, 100);
    open_fails(in_scratch("head.gguf"), RT_ERROR_BAD_FILE, "truncated");
    bytes[4] = 1;
    scratch_write(scratch, "old.gguf", bytes, size);
    open_fails(in_scratch("old.gguf"), RT_ERROR_UNSUPPORTED, "version 1");
    bytes[4] = 2; // the same layout
    scratch_write(scratch, "two.gguf", bytes, size);
    rti_file *file;
    assert_int_equal(rti_file_open(NULL, in_scratch("two.gguf"), &file), RT_OK);
    rti_file_close(file);
    bytes[4] = 3;
    memset(bytes + 16, 0xff, 8); // the number of keys
    scratch_write(scratch, "keys.gguf", bytes, size);
    open_fails(in_scratch("keys.gguf"), RT_ERROR_BAD_FILE, "truncated");
    free(bytes);
}

static void unknown_things_are_named(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = read_seed(SEEDS "fuzz_gguf/llama.gguf", &size);
    rti_file *file;
    rti_network *network;
    // The type of blk.0.attn_norm.weight (F32, one dimension of 32) becomes IQ2_XXS.
    uint8_t *name = memmem(bytes, size, "blk.0.attn_norm.weight", 22);
    assert_non_null(name);
    name[22 + 4 + 8] = 16;
    scratch_write(scratch, "type.gguf", bytes, size);
    open_fails(in_scratch("type.gguf"), RT_ERROR_UNSUPPORTED, "IQ2_XXS");
    name[22 + 4 + 8] = 0;
    uint8_t *architecture = memmem(bytes, size, "llama", 5);
    memcpy(architecture, "lamas", 5);
    scratch_write(scratch, "lamas.gguf", bytes, size);
    assert_int_equal(rti_file_open(NULL, in_scratch("lamas.gguf"), &file), RT_OK);
    assert_int_equal(rti_network_create(NULL, file, &network), RT_ERROR_UNSUPPORTED);
    assert_non_null(strstr(rt_error_message(), "nemotron"));
    rti_file_close(file);
    free(bytes);
}

static void the_sum_is_checked(void **state)
{
    (void)state;
    char hex[65];
    scratch_write(scratch, "abc", "abc", 3);
    assert_int_equal(rti_sha256_file(NULL, in_scratch("abc"), hex), RT_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    scratch_write(scratch, "none", "", 0);
    assert_int_equal(rti_sha256_file(NULL, in_scratch("none"), hex), RT_OK);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    rt_model_def def = rt_default_model_def();
    rt_model *model;
    def.path = SEEDS "fuzz_gguf/llama.gguf";
    def.expected_sha256 = hex;
    assert_int_equal(rt_model_open(&def, &model), RT_ERROR_BAD_FILE);
    assert_non_null(strstr(rt_error_message(), hex));
    assert_null(model);
    def.expected_sha256 = "abc";
    assert_int_equal(rt_model_open(&def, &model), RT_ERROR_INVALID_ARGUMENT);
}

static void defs_are_checked(void **state)
{
    (void)state;
    rt_model_def def = rt_default_model_def();
    rt_model *model;
    assert_int_equal(rt_model_open(NULL, &model), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rt_model_open(&def, &model), RT_ERROR_INVALID_ARGUMENT);
    def.path = SEEDS "fuzz_gguf/llama.gguf";
    def.load_threads = 0;
    assert_int_equal(rt_model_open(&def, &model), RT_ERROR_INVALID_ARGUMENT);
    def = (rt_model_def){.path = SEEDS "fuzz_gguf/llama.gguf", .load_threads = 1};
    assert_int_equal(rt_model_open(&def, &model), RT_ERROR_INVALID_ARGUMENT);
}

static void a_missing_plugin_says_so(void **state)
{
    (void)state;
    rt_model_def def = rt_default_model_def();
    rt_model *model;
    def.path = SEEDS "fuzz_gguf/llama.gguf";
    def.backend = RT_BACKEND_CUDA;
    def.cuda_library = "/no/such/librepartee_cuda.so";
    assert_int_equal(rt_model_open(&def, &model), RT_ERROR_DEVICE);
    assert_non_null(strstr(rt_error_message(), "/no/such/librepartee_cuda.so"));
    def.backend = RT_BACKEND_AUTO; // the CPU runs it then
    rt_model_info info;
    assert_int_equal(rt_model_open(&def, &model), RT_OK);
    rt_model_get_info(model, &info);
    assert_string_equal(info.backend, "cpu");
    assert_int_equal(info.vocab_size, 264);
    assert_int_equal(info.kv_bytes_per_token, 1 * 2 * 16 * 2);
    assert_string_equal(info.name, "seed");
    assert_string_equal(rt_model_metadata(model, "general.architecture"), "llama");
    assert_null(rt_model_metadata(model, "llama.block_count"));
    assert_non_null(rt_model_tokenizer(model));
    assert_ptr_equal(rt_model_retain(model), model);
    rt_model_close(model);
    rt_model_close(model);
}

static void a_folder_without_a_tokenizer_opens(void **state)
{
    (void)state;
    rt_model_def def = rt_default_model_def();
    rt_model *model;
    def.path = MODELS "qwen2";
    assert_int_equal(rt_model_open(&def, &model), RT_OK);
    assert_null(rt_model_tokenizer(model));
    rt_model_close(model);
    def.tokenizer_path = MODELS "qwen2/model-q8_0.gguf";
    assert_int_equal(rt_model_open(&def, &model), RT_OK);
    assert_int_equal(rt_tokenizer_vocab_size(rt_model_tokenizer(model)), 288);
    rt_model_close(model);
    def.tokenizer_path = "/no/such/tokenizer.json";
    assert_int_equal(rt_model_open(&def, &model), RT_ERROR_NOT_FOUND);
}

// ---------------------------------------------------------------------------------------------------------------------
// Damage
// ---------------------------------------------------------------------------------------------------------------------

static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % below;
}

// Most damage goes where the words and numbers are, not the weights.
static size_t mutate(uint8_t *bytes, size_t size, size_t capacity, size_t head)
{
    static const uint64_t numbers[] = {0, 1, 2, 31, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
                                       0x8000000000000000, 0xffffffffffffffff, 0x100000000, 1u << 20};
    for (uint64_t turns = 1 + draw(4); turns > 0; turns--) {
        size_t at = draw(8) ? draw(head < size ? head : size) : draw(size);
        uint64_t number = numbers[draw(sizeof numbers / sizeof *numbers)] + draw(3) - 1;
        size_t width = draw(2) ? 4 : 8, run = 1 + draw(64);
        switch (draw(7)) {
        case 0: case 1: bytes[at] ^= (uint8_t)(1u << draw(8)); break;
        case 2: bytes[at] = (uint8_t)draw(256); break;
        case 3: memcpy(bytes + at, &number, at + width <= size ? width : 1); break;
        case 4: size = draw(4) ? size : 1 + draw(size); break;
        case 5: // bytes go missing
            if (at + run < size) {
                memmove(bytes + at, bytes + at + run, size - at - run);
                size -= run;
            }
            break;
        case 6: // or come twice
            if (at + run < size && size + run <= capacity) {
                memmove(bytes + at + run, bytes + at, size - at);
                size += run;
            }
            break;
        }
    }
    return size;
}

// Opens what is there; what opens is run for a token, whatever its weights have become.
static bool survives(const char *path)
{
    rt_model_def def = rt_default_model_def();
    rt_context_def context_def = rt_default_context_def();
    rt_model *model = NULL;
    rt_context *context = NULL;
    rt_sequence sequence;
    def.path = path;
    rt_result result = rt_model_open(&def, &model);
    if (result == RT_ERROR_INTERNAL || result == RT_ERROR_OUT_OF_MEMORY)
        fail_msg("%s: %s", path, rt_error_message());
    if (result != RT_OK) {
        assert_null(model);
        assert_true(strlen(rt_error_message()) > 10);
        return false;
    }
    rt_model_info info;
    rt_model_get_info(model, &info);
    context_def.model = model;
    context_def.kv_tokens = 32;
    context_def.max_rows = 2;
    context_def.max_logits_rows = 1;
    context_def.max_sequences = 1;
    float *logits = calloc((size_t)info.vocab_size, sizeof *logits);
    if (rt_context_create(&context_def, &context) == RT_OK && rt_sequence_create(context, &sequence) == RT_OK) {
        rt_row rows[2] = {{.sequence = sequence, .token = 1}, {.sequence = sequence, .token = 2, .wants_logits = true}};
        rt_context_evaluate(context, rows, 2, logits);
    }
    rt_context_destroy(context);
    free(logits);
    rt_model_close(model);
    return true;
}

static void damaged_gguf(const char *seed, int turns, int *opened)
{
    size_t size;
    uint8_t *original = read_seed(seed, &size), *bytes = malloc(size + 512);
    for (int i = 0; i < turns; i++) {
        memcpy(bytes, original, size);
        size_t damaged = mutate(bytes, size, size + 512, 12000);
        scratch_write(scratch, "damaged.gguf", bytes, damaged);
        *opened += survives(in_scratch("damaged.gguf"));
    }
    free(bytes);
    free(original);
}

static void damaged_folder(const char *seed, int turns, int *opened)
{
    size_t size;
    uint32_t length, config;
    uint8_t *original = read_seed(seed, &size), *bytes = malloc(size + 512);
    memcpy(&config, original, sizeof config);
    for (int i = 0; i < turns; i++) {
        size_t damaged = size - 4;
        memcpy(bytes, original + 4, damaged);
        length = config;
        if (draw(2)) { // the header of the tensors, or the configuration
            damaged = length + mutate(bytes + length, damaged - length, damaged - length + 500, 1800);
        } else {
            size_t changed = mutate(bytes, length, length, length);
            memmove(bytes + changed, original + 4 + config, size - 4 - config);
            damaged = changed + size - 4 - config;
            length = (uint32_t)changed;
        }
        scratch_write(scratch, "config.json", bytes, length);
        scratch_write(scratch, "model.safetensors", bytes + length, damaged - length);
        *opened += survives(scratch);
    }
    free(bytes);
    free(original);
}

// REPARTEE_MUTATIONS=N: how many in all.
static void damaged_files_end_well(void **state)
{
    (void)state;
    const char *wanted = getenv("REPARTEE_MUTATIONS");
    int turns = (wanted ? atoi(wanted) : 10000) / 4, opened = 0;
    random_state = 20240718;
    damaged_gguf(SEEDS "fuzz_gguf/llama.gguf", turns, &opened);
    damaged_gguf(SEEDS "fuzz_gguf/nemotron.gguf", turns, &opened);
    damaged_folder(SEEDS "fuzz_safetensors/llama.bin", turns, &opened);
    damaged_folder(SEEDS "fuzz_safetensors/qwen3.bin", turns, &opened);
    print_message("%d damaged files, %d of them still opened and ran\n", turns * 4, opened);
    assert_true(opened > turns / 20 && opened < turns * 4);
}

// ---------------------------------------------------------------------------------------------------------------------
// Converting
// ---------------------------------------------------------------------------------------------------------------------

typedef struct worst {
    double relative;
    size_t tensors;
} worst;

static void note(void *user, const rt_tensor_report *report)
{
    worst *own = user;
    own->relative = report->relative_error > own->relative ? report->relative_error : own->relative;
    assert_int_equal(report->index, own->tensors);
    own->tensors++;
    assert_true(own->tensors <= report->count);
}

static void any_model_is_quantised(void **state)
{
    (void)state;
    static const char *const inputs[] = {MODELS "llama3", MODELS "fp8-channel", MODELS "phi3", MODELS "gemma3",
                                         MODELS "qwen2/model-q8_0.gguf", SEEDS "fuzz_gguf/nemotron.gguf"};
    static const struct { const char *type; double most; } types[] = {{"Q8_0", 0.01}, {"Q4_0", 0.12}, {"Q4_1", 0.12},
                                                                      {"F16", 0.001}, {"F32", 0}};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            rt_quantize_def def = rt_default_quantize_def();
            worst errors = {0, 0};
            def.input = inputs[i];
            def.output = in_scratch("quantised.gguf");
            def.type = types[t].type;
            def.threads = 2;
            def.report = note;
            def.report_user = &errors;
            if (rt_quantize(&def) != RT_OK)
                fail_msg("%s to %s: %s", inputs[i], types[t].type, rt_error_message());
            assert_true(errors.relative <= types[t].most);
            assert_true(errors.tensors > 8);
            if (!survives(in_scratch("quantised.gguf")))
                fail_msg("%s to %s: %s", inputs[i], types[t].type, rt_error_message());
        }
}

static void quantising_says_what_is_wrong(void **state)
{
    (void)state;
    rt_quantize_def def = rt_default_quantize_def();
    def.input = SEEDS "fuzz_gguf/llama.gguf";
    def.output = in_scratch("x.gguf");
    def.type = "Q3_K";
    assert_int_equal(rt_quantize(&def), RT_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(rt_error_message(), "Q4_K"));
    def.type = "Q8_0";
    def.output = def.input;
    assert_int_equal(rt_quantize(&def), RT_ERROR_INVALID_ARGUMENT);
    def.output = "/no/such/folder/x.gguf";
    assert_int_equal(rt_quantize(&def), RT_ERROR_IO);
    assert_int_equal(rt_quantize(&(rt_quantize_def){0}), RT_ERROR_INVALID_ARGUMENT);
}

static void synthetic_models_run(void **state)
{
    (void)state;
    for (int i = 0; rt_synthetic_name(i); i++) {
        if (strcmp(rt_synthetic_name(i), "smollm2-135m") != 0)
            continue; // the others are too large for a test: scripts measure them
        rt_synthesize_def def = rt_default_synthesize_def();
        def.architecture = rt_synthetic_name(i);
        def.type = "Q4_0";
        def.output = in_scratch("synthetic.gguf");
        def.layers = 1;
        if (rt_synthesize(&def) != RT_OK)
            fail_msg("%s", rt_error_message());
        assert_true(survives(def.output));
        def.architecture = "no such model";
        assert_int_equal(rt_synthesize(&def), RT_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(rt_error_message(), "mistral-nemo-12b"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_is_read_by_kind),
        cmocka_unit_test(tensors_are_found_by_name),
        cmocka_unit_test(folders_answer_as_files_do),
        cmocka_unit_test_setup_teardown(what_is_written_is_read, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(an_unfinished_file_does_not_appear, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(split_files_are_one, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(broken_files_say_where, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(unknown_things_are_named, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(the_sum_is_checked, make_scratch, drop_scratch),
        cmocka_unit_test(defs_are_checked),
        cmocka_unit_test(a_missing_plugin_says_so),
        cmocka_unit_test(a_folder_without_a_tokenizer_opens),
        cmocka_unit_test_setup_teardown(damaged_files_end_well, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(any_model_is_quantised, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(quantising_says_what_is_wrong, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(synthetic_models_run, make_scratch, drop_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
