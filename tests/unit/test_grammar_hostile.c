// Schemas and expressions that want to break something: each hits a limit or is refused by name. Every allocation failing in
// turn leaks nothing; matchers of one grammar run on several threads.
// SPDX-License-Identifier: MIT
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/grammar.h"

static rt_vocabulary *vocabulary;

static rt_result try_compile(rt_grammar_kind kind, const char *text, size_t size, rt_grammar **grammar)
{
    rt_grammar_def def = rt_default_grammar_def();
    def.kind = kind;
    def.text = text;
    def.text_size = size;
    *grammar = NULL;
    return rt_grammar_create(vocabulary, &def, grammar);
}

static void expect_schema(const char *schema, rt_result expected, const char *word)
{
    rt_grammar *grammar;
    rt_result result = try_compile(RT_GRAMMAR_JSON_SCHEMA, schema, strlen(schema), &grammar);
    rt_grammar_release(grammar);
    if (result != expected)
        fail_msg("%.200s: %s (%s), not %s", schema, rt_result_text(result), rt_error_message(), rt_result_text(expected));
    if (word && !strstr(rt_error_message(), word))
        fail_msg("%.200s: \"%s\" does not say \"%s\"", schema, rt_error_message(), word);
}

static void refusals_name_keyword_and_place(void **state)
{
    (void)state;
    expect_schema("{\"properties\":{\"a/b\":{\"not\":{\"uniqueItems\":true}}}}", RT_ERROR_UNSUPPORTED, "/properties/a~1b/not/uniqueItems");
    expect_schema("{\"items\":{\"pattern\":\"(a)\\\\1\"}}", RT_ERROR_UNSUPPORTED, "/items/pattern");
    expect_schema("{\"items\":{\"pattern\":\"a\\\\b\"}}", RT_ERROR_UNSUPPORTED, "word boundary");
    expect_schema("{\"pattern\":\"(?<=a)b\"}", RT_ERROR_UNSUPPORTED, "look-behind");
    expect_schema("{\"pattern\":\"(?:(?=a)b)*\"}", RT_ERROR_UNSUPPORTED, "look-ahead");
    expect_schema("{\"pattern\":\"\\\\p{Script=Greek}\"}", RT_ERROR_UNSUPPORTED, "Unicode property");
    expect_schema("{\"$ref\":\"http://elsewhere/schema\"}", RT_ERROR_UNSUPPORTED, "/$ref");
    expect_schema("{\"format\":\"idn-hostname\"}", RT_ERROR_UNSUPPORTED, "/format");
    expect_schema("{\"properties\":{\"x\":{\"$ref\":\"#/definitions/y\"}}}", RT_ERROR_BAD_TEXT, "points to nothing");
    expect_schema("{\"$ref\":\"#\"}", RT_ERROR_UNSUPPORTED, "without end");
    expect_schema("{\"allOf\":[{\"$ref\":\"#/$defs/a\"}],\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/a\"}]}}}", RT_ERROR_UNSUPPORTED, "without end");
    expect_schema("{\"type\":\"strnig\"}", RT_ERROR_BAD_TEXT, "/type");
    expect_schema("{\"minimum\":\"3\"}", RT_ERROR_BAD_TEXT, "/minimum");
    expect_schema("{\"properties\":[]}", RT_ERROR_BAD_TEXT, "/properties");
    expect_schema("{\"minLength\":-1}", RT_ERROR_BAD_TEXT, "/minLength");
    expect_schema("{\"multipleOf\":0}", RT_ERROR_BAD_TEXT, "/multipleOf");
    expect_schema("{\"items\":3}", RT_ERROR_BAD_TEXT, "/items");
    expect_schema("7", RT_ERROR_BAD_TEXT, NULL);
}

static void what_nothing_satisfies_is_rejected(void **state)
{
    (void)state;
    static const char *const schemas[] = {
        "false", "{\"not\":{}}", "{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", "{\"enum\":[]}", "{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
        "{\"type\":\"string\",\"allOf\":[{\"pattern\":\"^a\"},{\"pattern\":\"^b\"}]}", "{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}",
        "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":false}}", "{\"type\":\"array\",\"minItems\":1,\"items\":false}",
        "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":\"#\"}}}", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":9,\"multipleOf\":10}",
        "{\"type\":\"object\",\"minProperties\":3,\"properties\":{\"a\":{}},\"additionalProperties\":false}",
        "{\"type\":\"object\",\"minProperties\":4,\"patternProperties\":{\"^[abc]$\":{}},\"additionalProperties\":false}",
        "{\"type\":\"array\",\"uniqueItems\":true,\"minItems\":3,\"items\":{\"enum\":[1,2]}}",
        "{\"type\":\"array\",\"uniqueItems\":true,\"minItems\":3,\"items\":{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"minItems\":1,\"maxItems\":1}}",
        "{\"type\":\"number\",\"exclusiveMinimum\":1,\"exclusiveMaximum\":1}", "{\"type\":\"string\",\"pattern\":\"a^b\"}",
        "{\"oneOf\":[{\"type\":\"null\"},{\"type\":\"null\"}]}", "{\"const\":1,\"enum\":[2]}",
        "{\"type\":\"string\",\"pattern\":\"^(..)*$\",\"minLength\":3,\"maxLength\":3}",
    };
    for (size_t i = 0; i < RTI_COUNT(schemas); i++) expect_schema(schemas[i], RT_ERROR_REJECTED, NULL);
}

static void damaged_json_says_where(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "{", "{\"a\"}", "[1,]", "{\"a\":1,}", "nul", "\"\\q\"", "\"\\ud800\"", "\"\xFF\"", "01", "1.", "{} {}", "{\"type\":\"string\"", "\"a", "-", "[1 2]", "\"\n\"" };
    for (size_t i = 0; i < RTI_COUNT(texts); i++) expect_schema(texts[i], RT_ERROR_BAD_TEXT, "line 1 column");
}

static char *repeat(const char *piece, int count, const char *middle, const char *end)
{
    size_t size = strlen(piece), end_size = strlen(end);
    char *text = malloc(size * (size_t)count + strlen(middle) + end_size * (size_t)count + 1), *at = text;
    for (int i = 0; i < count; i++, at += size) memcpy(at, piece, size);
    strcpy(at, middle);
    at += strlen(middle);
    for (int i = 0; i < count; i++, at += end_size) memcpy(at, end, end_size);
    *at = 0;
    return text;
}

static void hostile_sizes_hit_limits(void **state)
{
    (void)state;
    char *text = repeat("{\"items\":", 10000, "true", "}");
    expect_schema(text, RT_ERROR_TOO_LARGE, "max_depth");
    free(text);
    text = repeat("[", 100000, "", "");
    expect_schema(text, RT_ERROR_TOO_LARGE, "max_depth");
    free(text);
    rt_grammar *grammar;
    text = repeat("(", 5000, "a", ")");
    assert_int_equal(try_compile(RT_GRAMMAR_REGEX, text, strlen(text), &grammar), RT_ERROR_TOO_LARGE);
    free(text);
    text = repeat("a?", 8000, "", "");
    rt_result result = try_compile(RT_GRAMMAR_REGEX, text, strlen(text), &grammar);
    assert_true(result == RT_ERROR_TOO_LARGE || result == RT_OK);
    if (grammar) { // walking it must stay within limits as well
        rt_matcher *matcher = NULL;
        uint32_t words[TEST_TOKENS / 32 + 1];
        assert_int_equal(rt_matcher_create(grammar, NULL, &matcher), RT_OK);
        result = rt_matcher_mask(matcher, words);
        assert_true(result == RT_OK || result == RT_ERROR_TOO_LARGE);
        rt_matcher_destroy(matcher);
    }
    rt_grammar_release(grammar);
    free(text);
    // A chain of references in one place, each through the one before, doubling.
    char schema[16384];
    size_t used = (size_t)sprintf(schema, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < 40; i++) {
        used += (size_t)sprintf(schema + used, "\"d%d\":{\"anyOf\":[{\"properties\":{\"p%d\":{\"const\":1}},\"required\":[\"p%d\"]},{\"properties\":{\"q%d\":{\"const\":1}},\"required\":[\"q%d\"]}],"
                                "\"allOf\":[{\"$ref\":\"#/$defs/d%d\"}]},", i, i, i, i, i, i + 1);
    }
    strcpy(schema + used, "\"d40\":{}}}");
    expect_schema(schema, RT_ERROR_TOO_LARGE, "multiply");
    expect_schema("{\"pattern\":\"a{1,99999999}\"}", RT_ERROR_TOO_LARGE, "repeat count");
    expect_schema("{\"multipleOf\":1e-150000}", RT_ERROR_TOO_LARGE, "/multipleOf");
    expect_schema("{\"type\":\"number\",\"multipleOf\":123456789012345678901234567890}", RT_ERROR_UNSUPPORTED, "multipleOf");
}

static void large_counters_cost_nothing(void **state)
{
    (void)state;
    static const char *const schemas[] = {
        "{\"type\":\"string\",\"pattern\":\"^a{1,100000}$\"}", "{\"type\":\"string\",\"pattern\":\"^(a|b){0,1000000}c$\"}",
        "{\"type\":\"string\",\"minLength\":100000,\"maxLength\":1000000000}", "{\"type\":\"array\",\"minItems\":100000,\"items\":{\"type\":\"null\"}}",
        "{\"type\":\"string\",\"pattern\":\"^((a{0,100}){0,100}){0,100}$\"}", "{\"type\":\"string\",\"pattern\":\"(a|b)*a(a|b){200}$\"}",
        "{\"type\":\"integer\",\"minimum\":1e300,\"maximum\":2e300}", "{\"type\":\"string\",\"pattern\":\"^(a+)+$\"}",
        "{\"type\":\"object\",\"minProperties\":100000}",
    };
    uint32_t words[TEST_TOKENS / 32 + 1];
    for (size_t i = 0; i < RTI_COUNT(schemas); i++) {
        rt_grammar *grammar;
        if (try_compile(RT_GRAMMAR_JSON_SCHEMA, schemas[i], strlen(schemas[i]), &grammar) != RT_OK)
            fail_msg("%s: %s", schemas[i], rt_error_message());
        rt_matcher *matcher = NULL;
        assert_int_equal(rt_matcher_create(grammar, NULL, &matcher), RT_OK);
        uint32_t from = 7;
        for (int step = 0; step < 40; step++) {
            assert_int_equal(rt_matcher_mask(matcher, words), RT_OK);
            int token = -1;
            from = from * 31 + 11;
            for (uint32_t k = 0; k < TEST_TOKENS && token < 0; k++) {
                uint32_t t = (from + k) % TEST_TOKENS;
                if ((words[t / 32] >> (t % 32) & 1) != 0)
                    token = (int)t;
            }
            assert_true(token >= 0);
            if (token == TEST_EOS)
                break;
            assert_int_equal(rt_matcher_commit(matcher, token), RT_OK);
        }
        assert_true(rt_grammar_memory(grammar) < 8 << 20);
        rt_matcher_destroy(matcher);
        rt_grammar_release(grammar);
    }
}

// A text of an enum takes no stack for each of its bytes, whatever asks how many values there are.
static void long_enum_texts_take_no_stack(void **state)
{
    (void)state;
    enum { LENGTH = 3000000 };
    static const char before[] = "{\"type\": \"array\", \"uniqueItems\": true, \"minItems\": 2, \"items\": {\"enum\": [\"", after[] = "\", \"y\"]}}";
    char *schema = malloc(sizeof before + LENGTH + sizeof after);
    assert_non_null(schema);
    memcpy(schema, before, sizeof before - 1);
    memset(schema + sizeof before - 1, 'x', LENGTH);
    strcpy(schema + sizeof before - 1 + LENGTH, after);
    rt_grammar *grammar = NULL;
    assert_int_equal(try_compile(RT_GRAMMAR_JSON_SCHEMA, schema, strlen(schema), &grammar), RT_OK);
    rt_grammar_release(grammar);
    free(schema);
}

static void nesting_of_the_output_is_bounded(void **state)
{
    (void)state;
    rt_grammar_def def = rt_default_grammar_def();
    def.text = "{}";
    def.text_size = 2;
    def.max_depth = 5;
    rt_grammar *grammar = NULL;
    rt_matcher *matcher = NULL;
    assert_int_equal(rt_grammar_create(vocabulary, &def, &grammar), RT_OK);
    assert_int_equal(rt_matcher_create(grammar, NULL, &matcher), RT_OK);
    assert_int_equal(rt_matcher_commit_bytes(matcher, "[[[[[", 5), RT_OK);
    assert_int_equal(rt_matcher_commit_bytes(matcher, "[", 1), RT_ERROR_REJECTED);
    assert_int_equal(rt_matcher_commit_bytes(matcher, "]]]]]", 5), RT_OK);
    rt_matcher_destroy(matcher);
    rt_grammar_release(grammar);
    // A value that must be deeper than is allowed.
    def.text = "{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"const\":[[[1]]]}}}";
    def.text_size = strlen(def.text);
    def.max_depth = 8;
    assert_int_equal(rt_grammar_create(vocabulary, &def, &grammar), RT_OK);
    rt_grammar_release(grammar);
    def.text = "{\"$ref\":\"#/$defs/a0\",\"$defs\":{\"a0\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/a1\"}},\"a1\":{\"type\":\"array\",\"minItems\":1,\"items\":"
               "{\"$ref\":\"#/$defs/a2\"}},\"a2\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/a3\"}},\"a3\":{\"type\":\"array\"}}}";
    def.text_size = strlen(def.text);
    def.max_depth = 6;
    assert_int_equal(rt_grammar_create(vocabulary, &def, &grammar), RT_OK);
    rt_grammar_release(grammar);
}

static void defs_and_arguments_are_checked(void **state)
{
    (void)state;
    rt_grammar_def def;
    memset(&def, 0, sizeof def);
    rt_grammar *grammar = NULL;
    rt_matcher *matcher = NULL;
    assert_int_equal(rt_grammar_create(vocabulary, &def, &grammar), RT_ERROR_INVALID_ARGUMENT);
    def = rt_default_grammar_def();
    assert_int_equal(rt_grammar_create(vocabulary, &def, &grammar), RT_ERROR_INVALID_ARGUMENT);
    def.text = "{}";
    def.text_size = 2;
    assert_int_equal(rt_grammar_create(NULL, &def, &grammar), RT_ERROR_INVALID_ARGUMENT);
    def.kind = RT_GRAMMAR_TRIGGERED;
    assert_int_equal(rt_grammar_create(vocabulary, &def, &grammar), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rt_matcher_create(NULL, NULL, &matcher), RT_ERROR_INVALID_ARGUMENT);
    def.kind = RT_GRAMMAR_CHOICES;
    assert_int_equal(rt_grammar_create(vocabulary, &def, &grammar), RT_ERROR_BAD_TEXT);
    rt_matcher_destroy(NULL);
    rt_grammar_release(NULL);
    rt_vocabulary_release(NULL);
    rt_grammar_compilation_destroy(NULL);
}

// ---------------------------------------------------------------------------------------------------------------------
// Every allocation in turn
// ---------------------------------------------------------------------------------------------------------------------

typedef struct counting {
    long count, fail_at, held;
} counting;

static void *count_allocations(void *user, void *pointer, size_t old_size, size_t new_size, size_t alignment)
{
    counting *c = user;
    if (new_size == 0) {
        if (pointer)
            c->held--;
        free(pointer);
        return NULL;
    }
    if (++c->count == c->fail_at)
        return NULL;
    void *grown = NULL;
    if (posix_memalign(&grown, alignment < sizeof(void *) ? sizeof(void *) : alignment, new_size) != 0)
        return NULL;
    if (pointer) {
        memcpy(grown, pointer, old_size < new_size ? old_size : new_size);
        free(pointer);
    } else {
        c->held++;
    }
    return grown;
}

static rt_result whole_life(const rt_host *host, const char *schema, const char *text)
{
    rt_vocabulary *own = NULL;
    rt_grammar *grammar = NULL;
    rt_matcher *matcher = NULL, *clone = NULL;
    uint32_t words[TEST_TOKENS / 32 + 1];
    rt_grammar_def def = rt_default_grammar_def();
    def.host = *host;
    def.text = schema;
    def.text_size = strlen(schema);
    rt_result result = test_vocabulary(host, &own);
    if (result == RT_OK)
        result = rt_grammar_create(own, &def, &grammar);
    if (result == RT_OK)
        result = rt_matcher_create(grammar, host, &matcher);
    for (const char *at = text; result == RT_OK && *at; at++) {
        result = rt_matcher_mask(matcher, words);
        if (result == RT_OK)
            result = rt_matcher_commit_bytes(matcher, at, 1);
        if (result == RT_OK && at == text + 5)
            result = rt_matcher_clone(matcher, &clone);
    }
    rt_matcher_destroy(clone);
    rt_matcher_destroy(matcher);
    rt_grammar_release(grammar);
    rt_vocabulary_release(own);
    return result;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const char *schema = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^x[0-9]+|y$\",\"maxLength\":9},\"b\":{\"type\":\"array\",\"items\":"
                         "{\"type\":\"number\",\"minimum\":0.5,\"multipleOf\":0.25},\"uniqueItems\":true}},\"patternProperties\":{\"^z\":{\"not\":{\"const\":{\"q\":[1]}}}},"
                         "\"required\":[\"a\"]}";
    const char *text = "{\"a\": \"x123\", \"b\": [1.5, 2, 0.75], \"zz\": {\"q\": [2]}, \"other\": \"caf\xC3\xA9\"}";
    for (long fail_at = 1;; fail_at++) {
        counting c = { .fail_at = fail_at };
        rt_host host = { .allocate = count_allocations, .user = &c };
        rt_result result = whole_life(&host, schema, text);
        assert_int_equal(c.held, 0);
        if (result == RT_OK && c.count < fail_at)
            break; // more than there are
        assert_true(result == RT_OK || result == RT_ERROR_OUT_OF_MEMORY);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Threads
// ---------------------------------------------------------------------------------------------------------------------

typedef struct walker {
    rt_grammar *grammar;
    uint64_t hash;
    bool failed;
} walker;

static const char shared_text[] = "{\"date\": \"2024-02-29\", \"words\": [\"abc abc\", \"the \\\"red\\\" caf\xC3\xA9\"], \"n\": -12.75, \"who\": \"joe@a.com\"}";

static void *walk(void *user)
{
    walker *w = user;
    uint32_t words[TEST_TOKENS / 32 + 1];
    for (int round = 0; round < 20 && !w->failed; round++) {
        rt_matcher *matcher = NULL;
        w->failed = rt_matcher_create(w->grammar, NULL, &matcher) != RT_OK;
        for (const char *at = shared_text; *at && !w->failed; at++) {
            w->failed = rt_matcher_mask(matcher, words) != RT_OK;
            w->hash = rti_hash_bytes(words, sizeof words, w->hash);
            w->failed = w->failed || rt_matcher_commit_bytes(matcher, at, 1) != RT_OK;
        }
        w->failed = w->failed || !rt_matcher_may_end(matcher);
        rt_matcher_destroy(matcher);
    }
    return NULL;
}

static void threads_share_a_grammar(void **state)
{
    (void)state;
    const char *schema = "{\"type\":\"object\",\"properties\":{\"date\":{\"format\":\"date\"},\"words\":{\"items\":{\"type\":\"string\",\"pattern\":\"[a-z]+ .*\",\"maxLength\":30}},"
                         "\"n\":{\"type\":\"number\",\"maximum\":3},\"who\":{\"format\":\"email\"}}}";
    for (int round = 0; round < 5; round++) {
        rt_grammar *grammar;
        assert_int_equal(try_compile(RT_GRAMMAR_JSON_SCHEMA, schema, strlen(schema), &grammar), RT_OK);
        pthread_t threads[4];
        walker walkers[4];
        for (int i = 0; i < 4; i++) {
            walkers[i] = (walker){ .grammar = grammar };
            assert_int_equal(pthread_create(&threads[i], NULL, walk, &walkers[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
            assert_false(walkers[i].failed);
            assert_int_equal(walkers[i].hash, walkers[0].hash);
        }
        rt_grammar_release(grammar);
    }
}

static int set_up(void **state)
{
    (void)state;
    return test_vocabulary(NULL, &vocabulary) == RT_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    rt_vocabulary_release(vocabulary);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_name_keyword_and_place),
        cmocka_unit_test(what_nothing_satisfies_is_rejected),
        cmocka_unit_test(damaged_json_says_where),
        cmocka_unit_test(hostile_sizes_hit_limits),
        cmocka_unit_test(large_counters_cost_nothing),
        cmocka_unit_test(long_enum_texts_take_no_stack),
        cmocka_unit_test(nesting_of_the_output_is_bounded),
        cmocka_unit_test(defs_and_arguments_are_checked),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(threads_share_a_grammar),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
