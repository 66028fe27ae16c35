// Tokenizers of every family against the ids of the reference libraries; what the interface promises.
// SPDX-License-Identifier: MIT
#include "support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#define DATA "tests/data/tokenizers/"

static rt_tokenizer *open_tokenizer(const char *path)
{
    rt_tokenizer_def def = rt_default_tokenizer_def();
    def.path = path;
    rt_tokenizer *tokenizer = NULL;
    if (rt_tokenizer_open(&def, &tokenizer) != RT_OK)
        fail_msg("%s", rt_error_message());
    return tokenizer;
}

static rt_token *encode(const rt_tokenizer *tokenizer, const char *text, size_t size, size_t *count)
{
    rt_token *ids = malloc((size * 4 + 64) * sizeof(*ids));
    assert_int_equal(rt_tokenizer_encode(tokenizer, text, size, false, ids, size * 4 + 64, count), RT_OK);
    return ids;
}

static void check_golden(const rt_tokenizer *tokenizer, const char *path, const test_golden *g)
{
    size_t count;
    rt_token *ids = encode(tokenizer, g->text, g->size, &count);
    if (count != g->count || memcmp(ids, g->ids, count * sizeof(*ids)) != 0)
        fail_msg("%s: other ids for: %s", path, g->text);
    free(ids);
}

// ---------------------------------------------------------------------------------------------------------------------

static const char *const files[] = {
    "gpt2/tokenizer.json", "smollm/tokenizer.json", "smollm/tokenizer.gguf", "llama3/tokenizer.json",
    "llama3/tokenizer.gguf", "qwen2/tokenizer.json", "qwen2/tokenizer.gguf", "qwen35/tokenizer.json",
    "tekken/tokenizer.json", "tekken/tokenizer.gguf", "gpt4o/tokenizer.json", "gpt4o/tokenizer.gguf",
    "regex/tokenizer.json", "llama2/tokenizer.json", "gemma/tokenizer.json", "metaspace/tokenizer.json",
    "spm_bpe/tokenizer.model", "spm_bpe/tokenizer.gguf", "spm_bpe_crossing/tokenizer.model",
    "spm_bpe_unused/tokenizer.model", "spm_unigram/tokenizer.model", "spm_unigram/tokenizer.gguf",
    "spm_unigram_suffix/tokenizer.model", "tekken_small/tekken.json",
};

static void test_every_family(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[256], golden[256];
        snprintf(path, sizeof(path), DATA "%s", files[i]);
        snprintf(golden, sizeof(golden), DATA "%.*s/golden.jsonl", (int)strcspn(files[i], "/"), files[i]);
        rt_tokenizer *tokenizer = open_tokenizer(path);
        FILE *file = fopen(golden, "rb");
        assert_non_null(file);
        test_golden g;
        int lines = 0;
        for (; test_golden_next(file, &g); test_golden_release(&g), lines++) {
            check_golden(tokenizer, path, &g);
            check_golden(tokenizer, path, &g); // what the first time has left behind changes nothing
        }
        assert_true(lines >= 60);
        fclose(file);
        rt_tokenizer_close(tokenizer);
    }
}

// Byte-level tokenizers lose nothing: the tokens of a text, as a stream, are the text.
static void test_round_trip(void **state)
{
    (void)state;
    static const char *const folders[] = {"gpt2", "smollm", "llama3", "tekken", "gpt4o", "regex", "tekken_small"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char path[256];
        snprintf(path, sizeof(path), DATA "%s", folders[i]);
        rt_tokenizer *tokenizer = open_tokenizer(path); // a folder finds its file
        snprintf(path, sizeof(path), DATA "%s/golden.jsonl", folders[i]);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t room = rt_tokenizer_longest_piece(tokenizer) * 3 + 16;
        char *out = malloc(room);
        for (test_golden g; test_golden_next(file, &g); test_golden_release(&g)) {
            rt_text_stream stream = {0};
            size_t at = 0, size;
            for (size_t k = 0; k < g.count; k++) {
                assert_int_equal(rt_text_stream_push(&stream, tokenizer, g.ids[k], out, room, &size), RT_OK);
                assert_true(at + size <= g.size);
                assert_memory_equal(out, g.text + at, size);
                at += size;
            }
            assert_int_equal(at, g.size);
            assert_int_equal(rt_text_stream_flush(&stream, out), 0);
        }
        free(out);
        fclose(file);
        rt_tokenizer_close(tokenizer);
    }
}

static void test_special_tokens(void **state)
{
    (void)state;
    rt_tokenizer *tokenizer = open_tokenizer(DATA "llama3/tokenizer.json");
    static const char *const spellings[] = {"<|begin|>", "<|end|>", "<|im_start|>", "<|im_end|>", "<tool_call>"};
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        rt_token id = rt_tokenizer_special(tokenizer, spellings[i]);
        assert_true(id >= 0);
        assert_string_equal(rt_tokenizer_spelling(tokenizer, id), spellings[i]);
        assert_int_equal(rt_tokenizer_kind(tokenizer, id), RT_TOKEN_CONTROL);
        const char *bytes;
        size_t size;
        assert_true(rt_tokenizer_bytes(tokenizer, id, &bytes, &size));
        assert_int_equal(size, 0);
        // Typed by a player it is text.
        size_t count;
        rt_token *ids = encode(tokenizer, spellings[i], strlen(spellings[i]), &count);
        assert_true(count > 1);
        for (size_t k = 0; k < count; k++)
            assert_int_not_equal(ids[k], id);
        free(ids);
    }
    assert_int_equal(rt_tokenizer_special(tokenizer, "<|nothing|>"), RT_TOKEN_NONE);
    assert_int_equal(rt_tokenizer_special(tokenizer, "the"), RT_TOKEN_NONE);
    assert_int_equal(rt_tokenizer_bos(tokenizer), rt_tokenizer_special(tokenizer, "<|begin|>"));
    assert_true(rt_tokenizer_adds_bos(tokenizer));
    assert_int_equal(rt_tokenizer_kind(tokenizer, -1), RT_TOKEN_UNUSED);
    assert_string_equal(rt_tokenizer_spelling(tokenizer, rt_tokenizer_vocab_size(tokenizer)), "");
    const char *bytes;
    size_t size;
    assert_false(rt_tokenizer_bytes(tokenizer, rt_tokenizer_vocab_size(tokenizer), &bytes, &size));
    rt_tokenizer_close(tokenizer);
}

static void test_chat_template(void **state)
{
    (void)state;
    rt_tokenizer *tokenizer = open_tokenizer(DATA "smollm/tokenizer.gguf");
    assert_string_equal(rt_tokenizer_chat_template(tokenizer), "{{ messages }}");
    rt_tokenizer_close(tokenizer);
    tokenizer = open_tokenizer(DATA "gpt2/tokenizer.json");
    assert_null(rt_tokenizer_chat_template(tokenizer));
    rt_tokenizer_close(tokenizer);
}

// One U+FFFD for each maximal invalid part (the examples of Unicode 15, section 3.9, and a few more).
static void test_invalid_text(void **state)
{
    (void)state;
    static const struct { const char *text, *same; } cases[] = {
        {"\x80", "\uFFFD"},
        {"a\xC0\xAF" "b", "a\uFFFD\uFFFDb"},
        {"\xE4\xB8", "\uFFFD"},
        {"\xF0\x9F\x98", "\uFFFD"},
        {"\xC3(", "\uFFFD("},
        {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\x41"},
        {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
        {"good \xF0\x9F\x98\x80 text \xFF and a long tail of plain text", "good \U0001F600 text \uFFFD and a long tail of plain text"},
    };
    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
        char path[256];
        snprintf(path, sizeof(path), DATA "%s", files[f]);
        rt_tokenizer *tokenizer = open_tokenizer(path);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            size_t counts[2];
            rt_token *ids = encode(tokenizer, cases[i].text, strlen(cases[i].text), &counts[0]);
            rt_token *same = encode(tokenizer, cases[i].same, strlen(cases[i].same), &counts[1]);
            assert_int_equal(counts[0], counts[1]);
            assert_memory_equal(ids, same, counts[0] * sizeof(*ids));
            free(ids);
            free(same);
        }
        rt_tokenizer_close(tokenizer);
    }
}

static void push(rt_text_stream *stream, const rt_tokenizer *tokenizer, const char *bytes, const char *expected)
{
    char out[64], all[256] = "";
    size_t size;
    for (; *bytes; bytes++) {
        char spelling[8];
        snprintf(spelling, sizeof(spelling), "<0x%02X>", (uint8_t)*bytes);
        rt_token id = RT_TOKEN_NONE;
        for (rt_token i = 0; i < rt_tokenizer_vocab_size(tokenizer) && id < 0; i++)
            if (strcmp(rt_tokenizer_spelling(tokenizer, i), spelling) == 0)
                id = i;
        assert_int_equal(rt_tokenizer_kind(tokenizer, id), RT_TOKEN_BYTE);
        assert_int_equal(rt_text_stream_push(stream, tokenizer, id, out, sizeof(out), &size), RT_OK);
        strncat(all, out, size);
    }
    assert_string_equal(all, expected);
}

static void test_stream_of_bytes(void **state)
{
    (void)state;
    rt_tokenizer *tokenizer = open_tokenizer(DATA "spm_bpe");
    char end[12];
    static const struct { const char *bytes, *text; size_t left; } cases[] = {
        {"a\xE6\x97\x85z", "a\u65C5z", 0},
        {"\xF0\x9F\x98\x80", "\U0001F600", 0},
        {"\xF0\x9F\x98", "", 3},
        {"\xE6\x97z", "\uFFFDz", 0},
        {"\xC0\xAF!", "\uFFFD\uFFFD!", 0},
        {"\xE6\xE6\x97\x85", "\uFFFD\u65C5", 0},
        {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD", 0},
        {"\xF0\x80\x80\x41", "\uFFFD\uFFFD\uFFFDA", 0},
        {"\xF4\x8F\xBF\xBF", "\U0010FFFF", 0},
        {"\x80\xBF", "\uFFFD\uFFFD", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rt_text_stream stream = {0};
        push(&stream, tokenizer, cases[i].bytes, cases[i].text);
        assert_int_equal(rt_text_stream_flush(&stream, end), cases[i].left);
        assert_int_equal(rt_text_stream_flush(&stream, end), 0);
    }
    rt_tokenizer_close(tokenizer);
}

static void test_stream_room(void **state)
{
    (void)state;
    rt_tokenizer *tokenizer = open_tokenizer(DATA "spm_bpe");
    size_t count, size;
    rt_token *ids = encode(tokenizer, "innkeeper", 9, &count);
    rt_text_stream stream = {0}, before;
    char out[64];
    // SentencePiece's first space is not text.
    assert_int_equal(rt_text_stream_push(&stream, tokenizer, ids[0], out, sizeof(out), &size), RT_OK);
    assert_true(size > 0 && out[0] == 'i');
    before = stream;
    assert_int_equal(rt_text_stream_push(&stream, tokenizer, ids[1], out, 0, &size), RT_ERROR_TOO_LARGE);
    assert_memory_equal(&stream, &before, sizeof(stream));
    assert_int_equal(rt_text_stream_push(&stream, tokenizer, -1, out, sizeof(out), &size), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rt_text_stream_push(&stream, tokenizer, 1 << 30, out, sizeof(out), &size), RT_ERROR_INVALID_ARGUMENT);
    free(ids);
    rt_tokenizer_close(tokenizer);
}

static void test_capacity(void **state)
{
    (void)state;
    rt_tokenizer *tokenizer = open_tokenizer(DATA "tekken");
    const char *text = "The innkeeper wipes the counter.";
    size_t count, measured;
    rt_token *ids = encode(tokenizer, text, strlen(text), &count);
    assert_true(count > 4);
    assert_int_equal(rt_tokenizer_encode(tokenizer, text, strlen(text), false, NULL, 0, &measured), RT_ERROR_TOO_LARGE);
    assert_int_equal(measured, count);
    rt_token few[4] = {-5, -5, -5, -5};
    assert_int_equal(rt_tokenizer_encode(tokenizer, text, strlen(text), false, few, 3, &measured), RT_ERROR_TOO_LARGE);
    assert_int_equal(measured, count);
    assert_memory_equal(few, ids, 3 * sizeof(*ids));
    assert_int_equal(few[3], -5);
    assert_int_equal(rt_tokenizer_encode(tokenizer, "", 0, false, NULL, 0, &measured), RT_OK);
    assert_int_equal(measured, 0);
    assert_int_equal(rt_tokenizer_encode(tokenizer, NULL, 1, false, few, 3, &measured), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rt_tokenizer_encode(NULL, "a", 1, false, few, 3, &measured), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rt_tokenizer_encode(tokenizer, "a", 1, false, NULL, 3, &measured), RT_ERROR_INVALID_ARGUMENT);
    free(ids);
    rt_tokenizer_close(tokenizer);
}

// A text that goes on gets no prefix space.
static void test_continues(void **state)
{
    (void)state;
    rt_tokenizer *tokenizer = open_tokenizer(DATA "spm_bpe");
    rt_token first[64], next[64];
    size_t counts[2];
    assert_int_equal(rt_tokenizer_encode(tokenizer, "innkeeper", 9, false, first, 64, &counts[0]), RT_OK);
    assert_int_equal(rt_tokenizer_encode(tokenizer, " innkeeper", 10, true, next, 64, &counts[1]), RT_OK);
    assert_int_equal(counts[0], counts[1]);
    assert_memory_equal(first, next, counts[0] * sizeof(*first));
    assert_int_equal(rt_tokenizer_encode(tokenizer, "innkeeper", 9, true, next, 64, &counts[1]), RT_OK);
    assert_true(counts[0] != counts[1] || memcmp(first, next, counts[0] * sizeof(*first)) != 0);
    rt_tokenizer_close(tokenizer);
}

static uint32_t random_state = 7;

static uint32_t random_below(uint32_t count)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(random_state >> 4) * count) >> 28);
}

// Words, spaces, line ends, digits, contractions, marks, other scripts, symbols of vocabularies, bytes that are no text.
static size_t random_text(char *text, size_t capacity)
{
    static const char *const parts[] = {
        " ", " ", " ", " ", " ", " ", "  ", "   ", "\n", "\n\n", " \n ", "\t", "\r\n", "the", "inn", "keeper", "x", "Marta's", "'s", "'ll",
        "WE'LL", "12", "345678", "3.14", "!", "...", "?!", "(", "\"", "/", "//", "<b>", "<0x0A>", "\xC3\xA9", "e\xCC\x81", "\xCC\x81",
        "\xD0\xB4\xD0\xB0", "\xE4\xB8\x96\xE7\x95\x8C", "\xE3\x80\x82", "\xE3\x80\x80", "\xC2\xA0", "\xF0\x9F\x98\x80", "\xE2\x96\x81",
        "\xFF", "\xE4\xB8", "_", "-", "a", "o", "\xF0\x9D\x9F\x98", "\xD9\xA1",
    };
    size_t size = 0;
    for (uint32_t i = 20 + random_below(300); i > 0; i--) {
        const char *part = parts[random_below(sizeof(parts) / sizeof(parts[0]))];
        if (size + strlen(part) > capacity)
            break;
        memcpy(text + size, part, strlen(part));
        size += strlen(part);
    }
    return size;
}

// A text that is encoded in pieces has the ids of the whole.
static void test_cuts(void **state)
{
    (void)state;
    static char text[4096];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[256];
        snprintf(path, sizeof(path), DATA "%s", files[i]);
        rt_tokenizer *tokenizer = open_tokenizer(path);
        int cuts = 0;
        for (int round = 0; round < 300; round++) {
            size_t size = random_text(text, sizeof(text)), count, done = 0, at = 0, part;
            rt_token *whole = encode(tokenizer, text, size, &count);
            rt_token *pieces = malloc((size * 4 + 64) * sizeof(*pieces));
            do {
                size_t left = size - at, cut = rt_tokenizer_cut(tokenizer, text + at, left, random_below(200));
                cut = cut == 0 ? rt_tokenizer_cut(tokenizer, text + at, left, left) : cut;
                assert_true(cut < left || left == 0);
                part = cut > 0 ? cut : left;
                size_t added;
                assert_int_equal(rt_tokenizer_encode(tokenizer, text + at, part, at > 0, pieces + done, size * 4 + 64 - done, &added),
                                 RT_OK);
                cuts += cut > 0;
                done += added;
                at += part;
            } while (at < size);
            if (done != count || memcmp(whole, pieces, count * sizeof(*whole)) != 0)
                fail_msg("%s: other ids in pieces for: %.*s", path, (int)size, text);
            free(whole);
            free(pieces);
        }
        print_message("%s: %d cuts\n", path, cuts);
        if (strstr(files[i], "gpt2/") || strstr(files[i], "smollm/") || strstr(files[i], "llama3/") || strstr(files[i], "tekken/"))
            assert_true(cuts > 300);
        rt_tokenizer_close(tokenizer);
    }
    assert_int_equal(rt_tokenizer_cut(NULL, text, 10, 5), 0);
}

static void test_arguments(void **state)
{
    (void)state;
    rt_tokenizer *tokenizer = (rt_tokenizer *)1;
    rt_tokenizer_def def = {0};
    def.path = DATA "tekken";
    assert_int_equal(rt_tokenizer_open(&def, &tokenizer), RT_ERROR_INVALID_ARGUMENT); // not from the default function
    assert_null(tokenizer);
    def = rt_default_tokenizer_def();
    assert_int_equal(rt_tokenizer_open(&def, &tokenizer), RT_ERROR_INVALID_ARGUMENT);
    def.path = DATA "nothing.json";
    assert_int_equal(rt_tokenizer_open(&def, &tokenizer), RT_ERROR_NOT_FOUND);
    assert_non_null(strstr(rt_error_message(), "nothing.json"));
    def.path = "tests/data";
    assert_int_equal(rt_tokenizer_open(&def, &tokenizer), RT_ERROR_NOT_FOUND);
    def.path = DATA "smollm/tokenizer.gguf";
    def.pre_tokenizer = "no-such-family";
    assert_int_equal(rt_tokenizer_open(&def, &tokenizer), RT_ERROR_UNSUPPORTED);
    assert_non_null(strstr(rt_error_message(), "tekken"));
    assert_non_null(strstr(rt_error_message(), "llama-bpe"));
    def.pre_tokenizer = "tekken";
    assert_int_equal(rt_tokenizer_open(&def, &tokenizer), RT_OK);
    rt_tokenizer_close(tokenizer);
    rt_tokenizer_close(NULL);
    assert_null(rt_tokenizer_retain(NULL));
}

// ---------------------------------------------------------------------------------------------------------------------

typedef struct work {
    rt_tokenizer *tokenizer;
    size_t tokens;
} work;

static void *encode_many(void *user)
{
    work *w = user;
    for (int round = 0; round < 20; round++) {
        char text[2048];
        size_t size = 0, count;
        for (int i = 0; i < 60; i++)
            size += (size_t)snprintf(text + size, sizeof(text) - size, " word%d counter innkeeper's", i * round);
        rt_token ids[4096];
        if (rt_tokenizer_encode(w->tokenizer, text, size, false, ids, 4096, &count) == RT_OK)
            w->tokens += count;
    }
    rt_tokenizer_close(w->tokenizer);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static const char *const paths[] = {DATA "smollm", DATA "spm_bpe", DATA "spm_unigram", DATA "regex"};
    for (size_t p = 0; p < sizeof(paths) / sizeof(paths[0]); p++) {
        rt_tokenizer *tokenizer = open_tokenizer(paths[p]);
        pthread_t threads[4];
        work works[4];
        for (int i = 0; i < 4; i++) {
            works[i] = (work){rt_tokenizer_retain(tokenizer), 0};
            assert_int_equal(pthread_create(&threads[i], NULL, encode_many, &works[i]), 0);
        }
        rt_tokenizer_close(tokenizer);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        for (int i = 1; i < 4; i++)
            assert_int_equal(works[i].tokens, works[0].tokens);
        assert_true(works[0].tokens > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family),  cmocka_unit_test(test_round_trip), cmocka_unit_test(test_special_tokens),
        cmocka_unit_test(test_chat_template), cmocka_unit_test(test_invalid_text), cmocka_unit_test(test_stream_of_bytes),
        cmocka_unit_test(test_stream_room),   cmocka_unit_test(test_capacity),   cmocka_unit_test(test_continues),
        cmocka_unit_test(test_cuts), cmocka_unit_test(test_arguments),     cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
