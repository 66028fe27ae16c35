// Merging words of any length: short and long ways against a plain one, on vocabularies made to be awkward.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t random_state = 12345;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

// ---------------------------------------------------------------------------------------------------------------------
// Vocabularies: all strings over a few letters up to some length, in a random order
// ---------------------------------------------------------------------------------------------------------------------

typedef struct vocabulary {
    rti_tokenizer_source source;
    char (*texts)[16];
    rti_text *tokens;
    uint8_t *types;
    float *scores;
    rti_text (*merges)[2];
} vocabulary;

static void shuffle(char (*texts)[16], size_t first, size_t count)
{
    for (size_t i = count; i-- > first + 1;) {
        size_t k = first + random_below((uint32_t)(i - first + 1));
        char swap[16];
        memcpy(swap, texts[i], 16);
        memcpy(texts[i], texts[k], 16);
        memcpy(texts[k], swap, 16);
    }
}

static size_t make_texts(char (*texts)[16], const char *letters, int longest, int keep_percent)
{
    size_t count = 0;
    size_t letter_count = strlen(letters);
    for (int length = 2; length <= longest; length++) {
        size_t all = 1;
        for (int i = 0; i < length; i++)
            all *= letter_count;
        for (size_t n = 0; n < all; n++) {
            if ((int)random_below(100) >= keep_percent)
                continue;
            size_t value = n;
            memset(texts[256 + count], 0, 16);
            for (int i = 0; i < length; i++, value /= letter_count)
                texts[256 + count][i] = letters[value % letter_count];
            count += 1;
        }
    }
    return count;
}

// By length: a token merges after all that are shorter, as in vocabularies that were trained. Equal: all have one score.
enum { SHUFFLED, BY_LENGTH, EQUAL };

static vocabulary make_ordered(rti_tokenizer_kind kind, const char *letters, int longest, int keep_percent, int order)
{
    vocabulary v = {.source = rti_default_tokenizer_source()};
    v.texts = calloc(4096, 16);
    size_t count = 256 + make_texts(v.texts, letters, longest, keep_percent);
    if (order != BY_LENGTH)
        shuffle(v.texts, 256, count);
    v.tokens = calloc(count, sizeof(*v.tokens));
    v.types = calloc(count, 1);
    v.scores = calloc(count, sizeof(*v.scores));
    for (size_t i = 0; i < count; i++) {
        if (i < 256) {
            v.texts[i][0] = (char)i;
            v.tokens[i] = (rti_text){v.texts[i], 1};
        } else {
            v.tokens[i] = (rti_text){v.texts[i], strlen(v.texts[i])};
        }
        bool text = kind == RTI_TOKENIZER_RANK_BPE || (i >= 'a' && i <= 'z') || i >= 256;
        v.types[i] = text ? RTI_PIECE_NORMAL : RTI_PIECE_UNUSED;
        // A few scores are shared by many pieces.
        v.scores[i] = i < 256 ? -1000.0f : -(float)(order == EQUAL ? 300 : random_below(4) ? i : 300 + i % 7);
    }
    v.source.path = "made up";
    v.source.kind = kind;
    v.source.token_count = count;
    v.source.tokens = v.tokens;
    v.source.types = v.types;
    v.source.scores = v.scores;
    v.source.unknown = 0;
    return v;
}

static vocabulary make_vocabulary(rti_tokenizer_kind kind, const char *letters, int longest, int keep_percent)
{
    return make_ordered(kind, letters, longest, keep_percent, SHUFFLED);
}

static void release_vocabulary(vocabulary *v)
{
    free(v->texts);
    free(v->tokens);
    free(v->types);
    free(v->scores);
    free(v->merges);
}

static rt_tokenizer *create(const vocabulary *v)
{
    rt_tokenizer *tokenizer = NULL;
    if (rti_tokenizer_create_from_source(NULL, &v->source, &tokenizer) != RT_OK)
        fail_msg("%s", rt_error_message());
    return tokenizer;
}

// ---------------------------------------------------------------------------------------------------------------------

// The definition: again and again the pair of lowest priority, the leftmost among equals.
static size_t merge_plainly(const rt_tokenizer *t, const char *text, size_t size, rt_token *ids)
{
    size_t *starts = malloc((size + 1) * sizeof(*starts));
    size_t count = size;
    for (size_t i = 0; i < size; i++) {
        starts[i] = i;
        ids[i] = rti_piece_map_find(&t->map, text + i, 1);
    }
    starts[size] = size;
    for (;;) {
        uint32_t lowest = RTI_NO_MERGE;
        size_t at = 0;
        int32_t result = -1;
        for (size_t i = 0; i + 1 < count; i++) {
            uint32_t priority = RTI_NO_MERGE;
            int32_t id = -1;
            if (t->kind == RTI_TOKENIZER_SCORE_BPE) {
                id = rti_piece_map_find(&t->map, text + starts[i], starts[i + 2] - starts[i]);
                priority = id >= 0 ? t->priorities[id] : RTI_NO_MERGE;
            } else {
                const rti_merge *merge = rti_merge_find(&t->merges, ids[i], ids[i + 1]);
                priority = merge ? merge->priority : RTI_NO_MERGE;
                id = merge ? merge->result : -1;
            }
            if (priority < lowest) {
                lowest = priority;
                at = i;
                result = id;
            }
        }
        if (lowest == RTI_NO_MERGE)
            break;
        ids[at] = result;
        for (size_t i = at + 1; i + 1 < count; i++) {
            ids[i] = ids[i + 1];
            starts[i] = starts[i + 1];
        }
        count -= 1;
        starts[count] = size;
    }
    free(starts);
    return count;
}

static void compare_word(rt_tokenizer *t, const char *text, size_t size)
{
    rt_token *ids = malloc(size * sizeof(*ids)), *plain = malloc(size * sizeof(*plain));
    size_t count, plain_count = merge_plainly(t, text, size, plain);
    // A whole word that is a token is found before anything is merged.
    bool whole = t->ignore_merges && rti_piece_map_find(&t->map, text, size) >= 0;
    assert_int_equal(rt_tokenizer_encode(t, text, size, false, ids, size, &count), RT_OK);
    if (!whole && (count != plain_count || memcmp(ids, plain, count * sizeof(*ids)) != 0))
        fail_msg("%zu tokens instead of %zu, or others, for %.*s", count, plain_count, (int)size, text);
    free(ids);
    free(plain);
}

static void compare_words(rt_tokenizer *t, const char *letters, int rounds, uint32_t longest)
{
    for (int round = 0; round < rounds; round++) {
        size_t size = 2 + random_below(longest);
        char *text = malloc(size);
        uint32_t letter_count = 1 + random_below((uint32_t)strlen(letters));
        for (size_t i = 0; i < size; i++)
            text[i] = letters[random_below(letter_count)];
        compare_word(t, text, size);
        free(text);
    }
}

// Ranks in a random order: merges often make pairs that should have come first.
static void test_ranks(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        vocabulary v = make_vocabulary(RTI_TOKENIZER_RANK_BPE, "abc", 2 + i % 5, 30 + (int)random_below(70));
        rt_tokenizer *t = create(&v);
        compare_words(t, "abc", 60, 400);
        rt_tokenizer_close(t);
        release_vocabulary(&v);
    }
}

static void test_scores(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        vocabulary v = make_ordered(RTI_TOKENIZER_SCORE_BPE, "abc", 2 + i % 5, 30 + (int)random_below(70), i < 9 ? SHUFFLED : EQUAL);
        rt_tokenizer *t = create(&v);
        compare_words(t, "abc", 60, 400);
        rt_tokenizer_close(t);
        release_vocabulary(&v);
    }
}

// Listed merges in a random order, of which some pairs that could merge are missing.
static void test_listed(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        vocabulary v = make_vocabulary(RTI_TOKENIZER_BYTE_BPE, "abc", 2 + i % 5, 100);
        size_t count = v.source.token_count, merges = 0;
        v.merges = calloc(count * 8, sizeof(*v.merges));
        for (size_t k = 256; k < count; k++)
            for (size_t cut = 1; cut < v.tokens[k].size; cut++)
                if (random_below(3)) {
                    v.merges[merges][0] = (rti_text){v.tokens[k].data, cut};
                    v.merges[merges++][1] = (rti_text){v.tokens[k].data + cut, v.tokens[k].size - cut};
                }
        v.source.merges = v.merges;
        v.source.merge_count = merges;
        rt_tokenizer *t = create(&v);
        compare_words(t, "abc", 60, 400);
        rt_tokenizer_close(t);
        release_vocabulary(&v);
    }
}

// Short texts over and over, with something else before and behind: merge_periodic.c.
static void test_periodic(void **state)
{
    (void)state;
    int done = 0;
    for (int i = 0; i < 30; i++) {
        rti_tokenizer_kind kind = i % 2 ? RTI_TOKENIZER_RANK_BPE : RTI_TOKENIZER_SCORE_BPE;
        int longest = 2 + i % 6;
        vocabulary v = make_ordered(kind, longest > 5 ? "ab" : "abc", longest, 40 + (int)random_below(61),
                                    i % 5 == 0 ? SHUFFLED : BY_LENGTH);
        rt_tokenizer *t = create(&v);
        for (int round = 0; round < 40; round++) {
            size_t size = 512 + random_below(200), period = 1 + random_below(round % 2 ? 4 : 24);
            char text[712];
            for (size_t k = 0; k < size; k++)
                text[k] = k < 16 + period ? "abc"[random_below(3)] : text[k - period];
            for (size_t k = size - random_below(30); k < size; k++)
                text[k] = "abc"[random_below(3)];
            compare_word(t, text, size);
            rti_encoder e = {.tokenizer = t};
            int32_t single;
            done += rti_merge_periodic(&e, text, size, &single) == RTI_PERIODIC_DONE;
            rti_scratch_release(&e.host, &e.periodic);
        }
        rt_tokenizer_close(t);
        release_vocabulary(&v);
    }
    assert_true(done > 500);
}

// What an unused piece was merged from comes out in its place, however deep that goes.
static void test_unused_deep(void **state)
{
    (void)state;
    vocabulary v = make_vocabulary(RTI_TOKENIZER_SCORE_BPE, "a", 13, 100);
    for (size_t i = 256; i < v.source.token_count; i++)
        v.types[i] = RTI_PIECE_UNUSED;
    rt_tokenizer *t = create(&v);
    assert_true(t->resegments);
    char text[500];
    memset(text, 'a', sizeof(text));
    rt_token ids[500];
    size_t count;
    assert_int_equal(rt_tokenizer_encode(t, text, sizeof(text), false, ids, 500, &count), RT_OK);
    assert_int_equal(count, 500);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ids[i], 'a');
    rt_tokenizer_close(t);
    release_vocabulary(&v);
}

// A long run of one character is merged as a run of that length is, whichever way it goes through.
static void test_megabyte(void **state)
{
    (void)state;
    vocabulary v = make_vocabulary(RTI_TOKENIZER_RANK_BPE, "ab", 8, 100);
    rt_tokenizer *t = create(&v);
    size_t size = 1 << 20, count;
    char *text = malloc(size);
    memset(text, 'a', size);
    rt_token *ids = malloc(size * sizeof(*ids));
    assert_int_equal(rt_tokenizer_encode(t, text, size, false, ids, size, &count), RT_OK);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const char *bytes;
        size_t length;
        assert_true(rt_tokenizer_bytes(t, ids[i], &bytes, &length));
        total += length;
    }
    assert_int_equal(total, size);
    free(ids);
    free(text);
    rt_tokenizer_close(t);
    release_vocabulary(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),       cmocka_unit_test(test_scores),   cmocka_unit_test(test_listed),
        cmocka_unit_test(test_periodic),    cmocka_unit_test(test_unused_deep), cmocka_unit_test(test_megabyte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
