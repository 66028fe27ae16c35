// The full reference data: the real Tekken vocabulary and SentencePiece models, and the small models of every architecture.
//   REPARTEE_REFERENCE  the folder of the reference data
//   REPARTEE_TEKKEN     tekken_240718.json (its neighbours in mistral-common are used as well, where they are there)
// SPDX-License-Identifier: MIT
#include "support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static rt_tokenizer *open_tokenizer(const char *path)
{
    rt_tokenizer_def def = rt_default_tokenizer_def();
    def.path = path;
    rt_tokenizer *tokenizer = NULL;
    if (rt_tokenizer_open(&def, &tokenizer) != RT_OK)
        fail_msg("%s", rt_error_message());
    return tokenizer;
}

static const char *reference(char path[512], const char *name)
{
    const char *folder = getenv("REPARTEE_REFERENCE");
    if (!folder)
        skip();
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

static rt_tokenizer *open_tekken(void)
{
    const char *path = getenv("REPARTEE_TEKKEN");
    if (!path)
        skip();
    return open_tokenizer(path);
}

static void check_lines(const rt_tokenizer *tokenizer, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s is not there", path);
    int lines = 0;
    for (test_golden g; test_golden_next(file, &g); test_golden_release(&g), lines++) {
        rt_token *ids = malloc((g.size * 4 + 64) * sizeof(*ids));
        size_t count;
        assert_int_equal(rt_tokenizer_encode(tokenizer, g.text, g.size, false, ids, g.size * 4 + 64, &count), RT_OK);
        if (count != g.count || memcmp(ids, g.ids, count * sizeof(*ids)) != 0)
            fail_msg("%s: other ids for: %s", path, g.text);
        free(ids);
    }
    fclose(file);
    assert_true(lines > 100);
}

static void test_tekken(void **state)
{
    (void)state;
    char path[512];
    reference(path, "tokenizers/tekken.jsonl");
    rt_tokenizer *tokenizer = open_tekken();
    check_lines(tokenizer, path);
    assert_int_equal(rt_tokenizer_vocab_size(tokenizer), 131072);
    assert_int_equal(rt_tokenizer_special(tokenizer, "[INST]"), 3);
    assert_int_equal(rt_tokenizer_special(tokenizer, "[TOOL_CALLS]"), 9);
    assert_int_equal(rt_tokenizer_bos(tokenizer), 1);
    assert_int_equal(rt_tokenizer_eos(tokenizer), 2);
    rt_tokenizer_close(tokenizer);
}

static size_t bytes_of_hex(const json_t *hex, char *out)
{
    const char *text = json_string_value(hex);
    size_t size = 0;
    for (; text && text[0] && text[1]; text += 2) {
        char digits[3] = {text[0], text[1], 0};
        out[size++] = (char)strtoul(digits, NULL, 16);
    }
    return size;
}

// Calls `check` with each line of a file of JSON lines.
static void each_line(const char *path, const rt_tokenizer *tokenizer, void check(const rt_tokenizer *, const json_t *))
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s is not there", path);
    int lines = 0;
    for (json_t *line; (line = json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL)); lines++) {
        check(tokenizer, line);
        json_decref(line);
    }
    fclose(file);
    assert_true(lines > 0);
}

static void check_piece(const rt_tokenizer *tokenizer, const json_t *line)
{
    char expected[1024];
    size_t expected_size = bytes_of_hex(json_object_get(line, "hex"), expected), size;
    rt_token id = (rt_token)json_integer_value(json_object_get(line, "id"));
    const char *bytes;
    assert_true(rt_tokenizer_bytes(tokenizer, id, &bytes, &size));
    if (strcmp(json_string_value(json_object_get(line, "kind")), "special") == 0) {
        assert_int_equal(size, 0);
        assert_int_equal(strlen(rt_tokenizer_spelling(tokenizer, id)), expected_size);
        assert_memory_equal(rt_tokenizer_spelling(tokenizer, id), expected, expected_size);
    } else {
        assert_int_equal(size, expected_size);
        assert_memory_equal(bytes, expected, size);
    }
}

static void check_stream(const rt_tokenizer *tokenizer, const json_t *line)
{
    const json_t *ids = json_object_get(line, "ids"), *parts = json_object_get(line, "stream");
    bool exact = strcmp(json_string_value(json_object_get(line, "kind")), "invalid") != 0;
    char all[8192], out[1024];
    size_t used = 0, size;
    rt_text_stream stream = {0};
    for (size_t i = 0; i < json_array_size(ids); i++) {
        rt_token id = (rt_token)json_integer_value(json_array_get(ids, i));
        assert_int_equal(rt_text_stream_push(&stream, tokenizer, id, out, sizeof(out), &size), RT_OK);
        const json_t *part = json_array_get(parts, i);
        if (exact) {
            assert_int_equal(size, json_string_length(part));
            assert_memory_equal(out, json_string_value(part), size);
        }
        assert_true(used + size < sizeof(all) - 12);
        memcpy(all + used, out, size);
        used += size;
    }
    used += rt_text_stream_flush(&stream, all + used);
    assert_int_equal(used, json_string_length(json_object_get(line, "text")));
    assert_memory_equal(all, json_string_value(json_object_get(line, "text")), used);
}

static void check_invalid(const rt_tokenizer *tokenizer, const json_t *line)
{
    char text[256];
    size_t size = bytes_of_hex(json_object_get(line, "hex"), text), count;
    const json_t *expected = json_object_get(line, "ids");
    rt_token ids[256];
    assert_int_equal(rt_tokenizer_encode(tokenizer, text, size, false, ids, 256, &count), RT_OK);
    assert_int_equal(count, json_array_size(expected));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ids[i], json_integer_value(json_array_get(expected, i)));
}

static void test_tekken_pieces_and_streams(void **state)
{
    (void)state;
    char path[512];
    reference(path, "");
    rt_tokenizer *tokenizer = open_tekken();
    each_line(reference(path, "tokenizers/tekken_pieces.jsonl"), tokenizer, check_piece);
    each_line(reference(path, "tokenizers/tekken_stream.jsonl"), tokenizer, check_stream);
    each_line(reference(path, "tokenizers/tekken_invalid_input.jsonl"), tokenizer, check_invalid);
    rt_tokenizer_close(tokenizer);
}

static void test_sentencepiece(void **state)
{
    (void)state;
    static const struct { const char *model, *lines; } cases[] = {
        {"tokenizer.model.v1", "tokenizers/spm_v1.jsonl"},
        {"mistral_instruct_tokenizer_240323.model.v3", "tokenizers/spm_v3.jsonl"},
    };
    char path[512], model[512];
    const char *tekken = getenv("REPARTEE_TEKKEN");
    reference(path, "");
    if (!tekken)
        skip();
    const char *slash = strrchr(tekken, '/');
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(model, sizeof(model), "%.*s%s", slash ? (int)(slash + 1 - tekken) : 0, tekken, cases[i].model);
        FILE *file = fopen(model, "rb");
        if (!file)
            skip();
        fclose(file);
        rt_tokenizer *tokenizer = open_tokenizer(model);
        check_lines(tokenizer, reference(path, cases[i].lines));
        rt_tokenizer_close(tokenizer);
    }
}

static void test_small_models(void **state)
{
    (void)state;
    static const struct { const char *model, *file; } cases[] = {
        {"nemo", "tokenizer"}, {"nemo", "nemo-q8_0.gguf"}, {"minitron8b", "tokenizer"}, {"minitron8b", "minitron8b-f16.gguf"},
        {"minitron8b", "minitron8b-q8_0.gguf"}, {"nemotron", "tokenizer"}, {"nemotron", "nemotron-f32.gguf"},
        {"nemotron", "nemotron-q8_0.gguf"}, {"llama-tied", "tokenizer"}, {"llama-tied", "llama-tied-q8_0.gguf"},
        {"llama-k", "tokenizer"}, {"llama-k", "llama-k-mixed.gguf"}, {"llama-k", "llama-k-q4_0.gguf"},
        {"llama-k", "llama-k-q4_k_m.gguf"}, {"llama-k", "llama-k-q5_1.gguf"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[256], path[512];
        snprintf(name, sizeof(name), "models/%s/%s", cases[i].model, cases[i].file);
        rt_tokenizer *tokenizer = open_tokenizer(reference(path, name));
        snprintf(name, sizeof(name), "models/%s/tokenizer/golden.jsonl", cases[i].model);
        check_lines(tokenizer, reference(path, name));
        assert_non_null(rt_tokenizer_chat_template(tokenizer));
        rt_tokenizer_close(tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tekken),
        cmocka_unit_test(test_tekken_pieces_and_streams),
        cmocka_unit_test(test_sentencepiece),
        cmocka_unit_test(test_small_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
