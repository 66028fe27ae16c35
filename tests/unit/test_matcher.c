// Matchers: the size of masks, tokens that end an output, and grammars and vocabularies held by more than one.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/grammar.h"

static rt_grammar *compile(rt_vocabulary *vocabulary, const char *schema)
{
    rt_grammar_def def = rt_default_grammar_def();
    def.text = schema;
    def.text_size = strlen(schema);
    rt_grammar *grammar = NULL;
    assert_int_equal(rt_grammar_create(vocabulary, &def, &grammar), RT_OK);
    return grammar;
}

static bool bit(const uint32_t *words, rt_token token)
{
    return (words[token / 32] >> (token % 32) & 1) != 0;
}

static void test_end_tokens_stand_where_the_output_may_end(void **state)
{
    (void)state;
    rt_vocabulary *vocabulary = NULL;
    assert_int_equal(test_vocabulary(NULL, &vocabulary), RT_OK);
    assert_null(rt_vocabulary_tokenizer(vocabulary)); // this one was made from bytes
    rt_grammar *grammar = compile(vocabulary, "{\"enum\":[1,12]}");
    rt_matcher *matcher = NULL;
    assert_int_equal(rt_matcher_create(grammar, NULL, &matcher), RT_OK);
    size_t words = rt_matcher_mask_words(matcher);
    assert_int_equal(words, ((size_t)TEST_TOKENS + 31) / 32);
    uint32_t *mask = malloc((words + 1) * sizeof *mask);
    mask[words] = 0xA5A5A5A5u;
    static const rt_token ends[] = {TEST_TRIGGER, 2};
    for (int round = 0; round < 2; round++) {
        if (round == 1)
            assert_int_equal(rt_matcher_set_end_tokens(matcher, ends, 2), RT_OK);
        assert_int_equal(rt_matcher_mask(matcher, mask), RT_OK);
        for (rt_token id = 0; id < TEST_CONTROL; id++)
            assert_false(bit(mask, id)); // nothing is written yet
        assert_int_equal(rt_matcher_commit_bytes(matcher, "1", 1), RT_OK);
        assert_int_equal(rt_matcher_mask(matcher, mask), RT_OK);
        assert_int_equal(bit(mask, TEST_EOS), round == 0);
        assert_int_equal(bit(mask, TEST_TRIGGER), round == 1);
        assert_int_equal(bit(mask, 2), round == 1);
        assert_true(bit(mask, TEST_CONTROL + '2'));
        assert_true(rt_matcher_may_end(matcher) && !rt_matcher_must_end(matcher));
        rt_matcher_reset(matcher);
    }
    assert_int_equal(mask[words], 0xA5A5A5A5u);
    static const rt_token wrong[] = {TEST_TOKENS}, below[] = {-1};
    assert_int_not_equal(rt_matcher_set_end_tokens(matcher, wrong, 1), RT_OK);
    assert_int_not_equal(rt_matcher_set_end_tokens(matcher, below, 1), RT_OK);
    assert_int_not_equal(rt_matcher_set_end_tokens(matcher, NULL, 1), RT_OK);
    free(mask);
    rt_matcher_destroy(matcher);
    rt_grammar_release(grammar);
    rt_vocabulary_release(vocabulary);
}

// Whoever holds one keeps what it needs alive, in whatever order the others let go.
static void test_references(void **state)
{
    (void)state;
    rt_vocabulary *vocabulary = NULL;
    assert_int_equal(test_vocabulary(NULL, &vocabulary), RT_OK);
    assert_ptr_equal(rt_vocabulary_retain(vocabulary), vocabulary);
    rt_vocabulary_release(vocabulary);
    rt_grammar *grammar = compile(vocabulary, "{\"const\":\"abc\"}");
    rt_vocabulary_release(vocabulary);
    assert_ptr_equal(rt_grammar_retain(grammar), grammar);
    rt_grammar_release(grammar);
    rt_matcher *matcher = NULL, *clone = NULL;
    assert_int_equal(rt_matcher_create(grammar, NULL, &matcher), RT_OK);
    rt_grammar_release(grammar);
    assert_int_equal(rt_matcher_clone(matcher, &clone), RT_OK);
    rt_matcher_destroy(matcher);
    assert_int_equal(rt_matcher_commit_bytes(clone, "\"abc\"", 5), RT_OK);
    assert_true(rt_matcher_must_end(clone));
    assert_int_equal(rt_matcher_commit_bytes(clone, "x", 1), RT_ERROR_REJECTED);
    rt_matcher_destroy(clone);
    rt_grammar_release(NULL);
    rt_vocabulary_release(NULL);
    rt_matcher_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_tokens_stand_where_the_output_may_end),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests_name("matcher", tests, NULL, NULL);
}
