// Tokenizer files that are damaged, hostile or simply wrong, and memory that runs out: a clear error, never a crash.
// SPDX-License-Identifier: MIT
#include "support/golden.h"
#include "support/npy.h"
#include "tokenizer/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA "tests/data/tokenizers/"

static const char *const plain_files[] = {
    DATA "smollm/tokenizer.json", DATA "regex/tokenizer.json", DATA "gemma/tokenizer.json", DATA "metaspace/tokenizer.json",
    DATA "spm_bpe_unused/tokenizer.model", DATA "spm_bpe_crossing/tokenizer.model", DATA "spm_unigram_suffix/tokenizer.model",
};

static const char sample[] = "The innkeeper's 1,250 coins\n\n  ... <b>x</b> // \xE0\xA4\xB8\xE0\xA5\x8D <unk> \xFF "
                             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
                             "........................................................................................";

static rt_result create(const char *data, size_t size, rt_tokenizer **tokenizer)
{
    return rti_tokenizer_create_from_bytes(NULL, "test", data, size, NULL, 0, NULL, tokenizer);
}

// Encodes and decodes with whatever came out of a file; the tokens must be tokens.
static void use(rt_tokenizer *tokenizer)
{
    rt_token ids[4096];
    size_t count, size;
    rt_result result = rt_tokenizer_encode(tokenizer, sample, sizeof(sample) - 1, false, ids, 4096, &count);
    assert_true(result == RT_OK || result == RT_ERROR_TOO_LARGE);
    rt_text_stream stream = {0};
    size_t room = rt_tokenizer_longest_piece(tokenizer) * 3 + 16;
    char *out = malloc(room);
    for (size_t i = 0; i < count && i < 4096 && result == RT_OK; i++) {
        assert_true(ids[i] >= 0 && ids[i] < rt_tokenizer_vocab_size(tokenizer));
        assert_int_equal(rt_text_stream_push(&stream, tokenizer, ids[i], out, room, &size), RT_OK);
    }
    free(out);
    assert_int_equal(rt_tokenizer_special(tokenizer, "no such token"), RT_TOKEN_NONE);
}

// ---------------------------------------------------------------------------------------------------------------------

#define VOCAB "\"a\":0,\"b\":1,\"ab\":2"
#define BYTE_LEVEL "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define MODEL(vocab, merges) "\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[" merges "]}"
#define TEKKEN(config, vocab) "{\"config\":{\"pattern\":\"\\\\p{L}+\"," config "},\"vocab\":[" vocab "]}"

static void test_wrong_json(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        rt_result result;
        const char *says;
    } cases[] = {
        {"{" BYTE_LEVEL "," MODEL(VOCAB, "\"a b\"") "}", RT_OK, ""},
        {"{", RT_ERROR_BAD_FILE, "test:1:1"},
        {"{}", RT_ERROR_BAD_FILE, "neither"},
        {"[1, 2]", RT_ERROR_BAD_FILE, "neither"},
        {"{\"a\":\"\xFF\"}", RT_ERROR_BAD_FILE, "unable to decode"},
        {"{" BYTE_LEVEL "," MODEL(VOCAB, "\"ab\"") "}", RT_ERROR_BAD_FILE, "merges[0]"},
        {"{" BYTE_LEVEL "," MODEL(VOCAB, "[\"a\"]") "}", RT_ERROR_BAD_FILE, "merges[0]"},
        {"{" BYTE_LEVEL "," MODEL(VOCAB, "[\"a\",7]") "}", RT_ERROR_BAD_FILE, "merges[0]"},
        {"{" BYTE_LEVEL "," MODEL(VOCAB, "\"a c\"") "}", RT_ERROR_BAD_FILE, "second part"},
        {"{" BYTE_LEVEL "," MODEL(VOCAB, "\"c a\"") "}", RT_ERROR_BAD_FILE, "first part"},
        {"{" BYTE_LEVEL "," MODEL(VOCAB, "\"b a\"") "}", RT_ERROR_BAD_FILE, "result"},
        {"{" BYTE_LEVEL "," MODEL("\"a\":0,\"b\":0", "") "}", RT_ERROR_BAD_FILE, "same id"},
        {"{" BYTE_LEVEL "," MODEL("\"a\":-1", "") "}", RT_ERROR_BAD_FILE, "id of"},
        {"{" BYTE_LEVEL "," MODEL("\"a\":\"x\"", "") "}", RT_ERROR_BAD_FILE, "id of"},
        {"{" BYTE_LEVEL "," MODEL("\"a\":2000000000", "") "}", RT_ERROR_BAD_FILE, "far apart"},
        {"{" BYTE_LEVEL "," MODEL("", "") "}", RT_ERROR_BAD_FILE, "empty"},
        {"{" BYTE_LEVEL ",\"model\":{\"type\":\"BPE\",\"merges\":[]}}", RT_ERROR_BAD_FILE, "vocab"},
        {"{" BYTE_LEVEL ",\"model\":{\"type\":\"BPE\",\"vocab\":{" VOCAB "}}}", RT_ERROR_BAD_FILE, "merges"},
        {"{" BYTE_LEVEL ",\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", RT_ERROR_UNSUPPORTED, "WordPiece"},
        {"{" BYTE_LEVEL ",\"added_tokens\":[{\"id\":3}]," MODEL(VOCAB, "") "}", RT_ERROR_BAD_FILE, "content"},
        {"{" BYTE_LEVEL ",\"added_tokens\":[{\"content\":\"x\"}]," MODEL(VOCAB, "") "}", RT_ERROR_BAD_FILE, "without an id"},
        {"{" MODEL(VOCAB, "\"a b\"") "}", RT_ERROR_UNSUPPORTED, "ByteLevel"},
        {"{\"normalizer\":{\"type\":\"Lowercase\"}," BYTE_LEVEL "," MODEL(VOCAB, "") "}", RT_ERROR_UNSUPPORTED, "Lowercase"},
        {"{\"pre_tokenizer\":{\"type\":\"Whitespace\"}," MODEL(VOCAB, "") "}", RT_ERROR_UNSUPPORTED, "Whitespace"},
        {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},"
         "\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"use_regex\":false}]}," MODEL(VOCAB, "") "}",
         RT_ERROR_UNSUPPORTED, "pattern"},
        {TEKKEN("\"default_vocab_size\":2", ""), RT_ERROR_BAD_FILE, "Tekken"},
        {TEKKEN("\"default_vocab_size\":2000000000", "{\"rank\":0,\"token_bytes\":\"AA==\"}"), RT_ERROR_BAD_FILE, "out of range"},
        {TEKKEN("\"default_num_special_tokens\":-1", "{\"rank\":0,\"token_bytes\":\"AA==\"}"), RT_ERROR_BAD_FILE, "out of range"},
        {TEKKEN("\"default_num_special_tokens\":10", "{\"rank\":0,\"token_bytes\":\"AA==\"}"), RT_ERROR_BAD_FILE, "special"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rt_tokenizer *tokenizer = NULL;
        rt_result result = create(cases[i].json, strlen(cases[i].json), &tokenizer);
        if (result != cases[i].result || (result != RT_OK && !strstr(rt_error_message(), cases[i].says)))
            fail_msg("%s: %s: %s", cases[i].json, rt_result_text(result), rt_error_message());
        assert_true((tokenizer != NULL) == (result == RT_OK));
        rt_tokenizer_close(tokenizer);
    }
}

static void test_deep_json(void **state)
{
    (void)state;
    size_t size = 1 << 20;
    char *deep = malloc(size);
    memset(deep, '[', size);
    rt_tokenizer *tokenizer;
    assert_int_equal(create(deep, size, &tokenizer), RT_ERROR_BAD_FILE);
    for (size_t i = 0; i + 5 <= size; i += 5)
        memcpy(deep + i, "{\"a\":", 5);
    assert_int_equal(create(deep, size, &tokenizer), RT_ERROR_BAD_FILE);
    free(deep);
}

static void test_wrong_tekken(void **state)
{
    (void)state;
    size_t size = 0;
    char *good = (char *)test_read_file(DATA "tekken_small/tekken.json", &size);
    assert_non_null(good);
    static const struct { const char *find, *put; } changes[] = {
        {"\"rank\":300,", "\"rank\":301,"},                         // not its place
        {"\"token_bytes\":\"IHQ=\"", "\"token_bytes\":\"IHQ!\""},   // not base64
        {"\"token_bytes\":\"IHQ=\"", "\"token_bytes\":\"I=Q=\""},   // padding inside
        {"\"token_bytes\":\"IHQ=\"", "\"token_bytes\":\"IGE=\""},   // a second copy
        {"\"token_bytes\":\"AQ==\"", "\"token_bytes\":\"Ag==\""},   // not the byte of its rank
        {"\"default_vocab_size\":2200", "\"default_vocab_size\":9999"}, // more than there are
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        char *copy = malloc(size + 1);
        memcpy(copy, good, size + 1);
        char *at = strstr(copy, changes[i].find);
        assert_non_null(at);
        assert_int_equal(strlen(changes[i].find), strlen(changes[i].put));
        memcpy(at, changes[i].put, strlen(changes[i].put));
        rt_tokenizer *tokenizer;
        assert_int_equal(create(copy, size, &tokenizer), RT_ERROR_BAD_FILE);
        free(copy);
    }
    free(good);
}

static void test_wrong_models(void **state)
{
    (void)state;
    static const struct { const char *data; size_t size; } cases[] = {
        {"", 0},
        {"\x0A", 1},
        {"\x0A\x05\x0A\x01", 4},                  // shorter than it says
        {"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11}, // as long as the universe
        {"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 13},
        {"\x0A\x02\x0A\x00", 4},                  // an empty piece
        {"\x12\x00", 2},                          // no piece at all
        {"\x0B\x00", 2},                          // a group
        {"\x02\x00", 2},                          // field 0
        {"GGUF", 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rt_tokenizer *tokenizer;
        assert_int_equal(create(cases[i].data, cases[i].size, &tokenizer), RT_ERROR_BAD_FILE);
        assert_null(tokenizer);
    }
}

// ---------------------------------------------------------------------------------------------------------------------

static uint32_t random_below(uint32_t limit)
{
    static uint64_t random_state = 99;
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

static void test_damaged_files(void **state)
{
    (void)state;
    int opened = 0;
    for (size_t f = 0; f < sizeof(plain_files) / sizeof(plain_files[0]); f++) {
        size_t size = 0;
        char *good = (char *)test_read_file(plain_files[f], &size);
        assert_non_null(good);
        for (int round = 0; round < 160; round++) {
            // Exactly as large as it is, so that a sanitizer sees every byte read past its end.
            size_t length = round % 4 == 0 ? random_below((uint32_t)size) : size;
            char *copy = malloc(length ? length : 1);
            memcpy(copy, good, length);
            for (uint32_t k = random_below(round % 4 ? 6 : 2) + (round % 4 ? 1 : 0); k > 0 && length > 0; k--)
                copy[random_below((uint32_t)length)] ^= (char)(1 << random_below(8));
            rt_tokenizer *tokenizer = NULL;
            if (create(copy, length, &tokenizer) == RT_OK) {
                opened += 1;
                use(tokenizer);
            } else {
                assert_null(tokenizer);
            }
            rt_tokenizer_close(tokenizer);
            free(copy);
        }
        free(good);
    }
    assert_true(opened > 0);
}

static void test_damaged_gguf(void **state)
{
    (void)state;
    static const char *const files[] = {DATA "smollm/tokenizer.gguf", DATA "spm_bpe/tokenizer.gguf",
                                        DATA "spm_unigram/tokenizer.gguf"};
    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
        size_t size = 0;
        uint8_t *bytes = test_read_file(files[f], &size);
        assert_non_null(bytes);
        for (int round = 0; round < 80; round++) {
            char path[] = "/tmp/repartee-tokenizer-XXXXXX";
            int descriptor = mkstemp(path);
            assert_true(descriptor >= 0);
            size_t at = random_below((uint32_t)size);
            uint8_t before = bytes[at];
            bytes[at] ^= (uint8_t)(1 + random_below(255));
            assert_int_equal(write(descriptor, bytes, size), (ssize_t)size);
            bytes[at] = before;
            close(descriptor);
            rt_tokenizer_def def = rt_default_tokenizer_def();
            def.path = path;
            rt_tokenizer *tokenizer = NULL;
            if (rt_tokenizer_open(&def, &tokenizer) == RT_OK)
                use(tokenizer);
            rt_tokenizer_close(tokenizer);
            unlink(path);
        }
        free(bytes);
    }
}

// ---------------------------------------------------------------------------------------------------------------------

// Every allocation of opening and of encoding refused in turn: OUT_OF_MEMORY, and nothing is left behind.
static void put_file(const char *folder, const char *name, const char *data, size_t size)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

// A tokenizer.json of a kind that is not known, with the tokenizer.model that it was made from beside it; and a chat template
// in a file of its own.
static void test_folder_with_both(void **state)
{
    (void)state;
    static const char json[] = "{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", chat[] = "{{ messages }}";
    char folder[] = "/tmp/repartee-test-XXXXXX", path[256];
    assert_non_null(mkdtemp(folder));
    put_file(folder, "tokenizer.json", json, sizeof(json) - 1);
    rt_tokenizer_def def = rt_default_tokenizer_def();
    rt_tokenizer *tokenizer;
    def.path = folder;
    assert_int_equal(rt_tokenizer_open(&def, &tokenizer), RT_ERROR_UNSUPPORTED);
    size_t size = 0;
    char *model = (char *)test_read_file(DATA "spm_unigram_suffix/tokenizer.model", &size);
    put_file(folder, "tokenizer.model", model, size);
    put_file(folder, "chat_template.jinja", chat, sizeof(chat) - 1);
    assert_int_equal(rt_tokenizer_open(&def, &tokenizer), RT_OK);
    assert_string_equal(rt_tokenizer_chat_template(tokenizer), chat);
    use(tokenizer);
    rt_tokenizer_close(tokenizer);
    free(model);
    static const char *const names[] = {"tokenizer.json", "tokenizer.model", "chat_template.jinja"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char *const files[] = {
        DATA "smollm/tokenizer.gguf", DATA "spm_bpe/tokenizer.gguf", DATA "spm_unigram/tokenizer.gguf",
        DATA "qwen2/tokenizer.json", DATA "regex/tokenizer.json", DATA "gemma/tokenizer.json",
        DATA "spm_bpe_unused/tokenizer.model", DATA "spm_unigram_suffix/tokenizer.model", DATA "tekken_small/tekken.json",
    };
    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
        test_meter meter = {0};
        rt_tokenizer_def def = rt_default_tokenizer_def();
        def.path = files[f];
        def.host = test_meter_host(&meter);
        rt_tokenizer *tokenizer = NULL;
        size_t failures = 0;
        for (size_t after = 0; !tokenizer; after++) {
            meter.requests = 0;
            meter.refuse_after = after;
            rt_result result = rt_tokenizer_open(&def, &tokenizer);
            assert_true(result == RT_OK || result == RT_ERROR_OUT_OF_MEMORY);
            if (result != RT_OK) {
                assert_null(tokenizer);
                assert_int_equal(meter.bytes, 0);
                assert_int_equal(meter.blocks, 0);
                failures += 1;
            }
        }
        assert_true(failures >= 10);
        size_t held = meter.bytes, count;
        rt_token ids[4096];
        rt_result result = RT_ERROR_OUT_OF_MEMORY;
        for (size_t after = 0; result != RT_OK; after++) {
            meter.requests = 0;
            meter.refuse_after = after;
            result = rt_tokenizer_encode(tokenizer, sample, sizeof(sample) - 1, false, ids, 4096, &count);
            assert_true(result == RT_OK || result == RT_ERROR_OUT_OF_MEMORY);
            assert_int_equal(meter.bytes, held);
        }
        assert_true(count > 0);
        rt_tokenizer_close(tokenizer);
        assert_int_equal(meter.bytes, 0);
        assert_int_equal(meter.blocks, 0);
    }
}

// Short plain text needs no memory at all in a byte-level tokenizer.
static void test_short_text_allocates_nothing(void **state)
{
    (void)state;
    test_meter meter = {.refuse_after = SIZE_MAX};
    rt_tokenizer_def def = rt_default_tokenizer_def();
    def.path = DATA "smollm/tokenizer.gguf";
    def.host = test_meter_host(&meter);
    rt_tokenizer *tokenizer;
    assert_int_equal(rt_tokenizer_open(&def, &tokenizer), RT_OK);
    meter.requests = 0;
    rt_token ids[64];
    size_t count;
    const char *text = "The innkeeper wipes the counter, twice.";
    assert_int_equal(rt_tokenizer_encode(tokenizer, text, strlen(text), false, ids, 64, &count), RT_OK);
    assert_int_equal(meter.requests, 0);
    rt_tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_json),    cmocka_unit_test(test_deep_json),    cmocka_unit_test(test_wrong_tekken),
        cmocka_unit_test(test_wrong_models),  cmocka_unit_test(test_damaged_files), cmocka_unit_test(test_damaged_gguf),
        cmocka_unit_test(test_folder_with_both), cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_short_text_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
