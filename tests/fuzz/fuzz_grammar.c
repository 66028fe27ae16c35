// A schema, expression, list of choices or triggered schema of any content, then a walk steered by the rest of the input.
// What must hold: a mask is never empty, it agrees with asking about a token, what it allows can be committed, and a token
// that it refuses leaves the walk where it was. Start from tests/data/fuzz/fuzz_grammar.
//
// Input: one byte of options, the text, a zero byte, the steps.
// SPDX-License-Identifier: MIT
#include "support/grammar.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort(); // what a fuzzer looks for
}

static bool allowed_by(const uint32_t *words, uint32_t token)
{
    return (words[token / 32] >> (token % 32) & 1) != 0;
}

static void walk(rt_grammar *grammar, const uint8_t *steps, size_t count)
{
    rt_matcher *matcher = NULL;
    if (rt_matcher_create(grammar, NULL, &matcher) != RT_OK)
        return;
    uint32_t words[TEST_TOKENS / 32 + 1];
    char forced[32];
    size_t forced_size;
    for (size_t i = 0; i < count && i < 64; i++) {
        if (rt_matcher_mask(matcher, words) != RT_OK)
            break; // over a limit: a result, not a broken promise
        uint32_t token = TEST_TOKENS;
        for (uint32_t k = 0; k < TEST_TOKENS && token == TEST_TOKENS; k++) {
            uint32_t t = (steps[i] * 7u + k) % TEST_TOKENS;
            if (allowed_by(words, t))
                token = t;
        }
        check(token < TEST_TOKENS);
        uint32_t other = (steps[i] * 31u + (uint32_t)i) % TEST_TOKENS;
        check(allowed_by(words, other) == rt_matcher_allows(matcher, (rt_token)other));
        if (!allowed_by(words, other)) {
            check(rt_matcher_commit(matcher, (rt_token)other) != RT_OK);
            check(rt_matcher_allows(matcher, (rt_token)token));
        }
        if (rt_matcher_forced(matcher, forced, sizeof forced, &forced_size) != RT_OK)
            break;
        check(forced_size <= sizeof forced);
        check(rt_matcher_commit(matcher, (rt_token)token) == RT_OK);
        if (token == TEST_EOS)
            break;
    }
    rt_matcher_destroy(matcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rt_vocabulary *vocabulary;
    if (!vocabulary && test_vocabulary(NULL, &vocabulary) != RT_OK)
        return 0;
    if (size < 2)
        return 0;
    const uint8_t *end = memchr(data + 1, 0, size - 1);
    size_t text_size = end ? (size_t)(end - data) - 1 : size - 1;
    static const char *const triggers[] = {"<call>", "call"};
    rt_grammar_def def = rt_default_grammar_def();
    def.kind = (rt_grammar_kind)(data[0] & 3);
    def.spacing = (rt_json_spacing)((data[0] >> 2 & 3) % 3);
    def.any_property_order = (data[0] >> 4 & 1) != 0;
    def.text = (const char *)data + 1;
    def.text_size = text_size;
    def.triggers = triggers;
    def.trigger_count = 2;
    def.max_states = 3000;
    def.max_memory_bytes = (size_t)24 << 20;
    def.max_depth = 40;
    rt_grammar *grammar = NULL;
    if (rt_grammar_create(vocabulary, &def, &grammar) == RT_OK && end)
        walk(grammar, end + 1, size - text_size - 2);
    rt_grammar_release(grammar);
    return 0;
}
