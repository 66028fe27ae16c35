// Turns: what is said, heard, taken back, too long, too late; sentences; what the conversation keeps.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scenarios/scenarios.h"
#include "turn/turn.h"

static rt_model *model;

static int open_model(void **state)
{
    (void)state;
    return scenario_open_model(scenario_tiny_model(), RT_ISA_AUTO, &model) == RT_OK ? 0 : -1;
}

static int close_model(void **state)
{
    (void)state;
    rt_model_close(model);
    return 0;
}

static uint64_t fake_now;

static uint64_t fake_clock(void *user)
{
    (void)user;
    return fake_now;
}

static rp_world_def small_world(void)
{
    rp_world_def def = rp_default_world_def();
    def.model = model;
    def.max_characters = 16;
    def.max_queued_turns = 32;
    return def;
}

static rp_world *create_world(const rp_world_def *def)
{
    rp_world *world = NULL;
    rt_result result = rp_world_create(def, &world);
    if (result != RT_OK)
        fail_msg("%s", rt_error_message());
    return world;
}

static rp_character_id create_character(rp_world *world, const char *name, int32_t reply_tokens)
{
    rp_character_def def = rp_default_character_def();
    def.name = name;
    def.persona = "Somebody who talks.";
    def.max_reply_tokens = reply_tokens;
    rp_character_id id;
    assert_int_equal(rp_character_create(world, &def, &id), RT_OK);
    return id;
}

typedef struct heard {
    char text[8192], sentences[8192], whole[8192];
    rp_event last; // that ended a turn
    int32_t texts, trimmed, ends;
    bool valid;
} heard;

// Runs until the turn has ended, or for so many frames.
static heard listen(rp_world *world, rp_turn_id turn, uint32_t budget_us, int32_t frames)
{
    heard h = { .valid = true };
    for (int32_t frame = 0; frame < frames && h.ends == 0; frame++) {
        assert_int_equal(rp_world_update(world, budget_us), RT_OK);
        rp_event event;
        while (rp_world_next_event(world, &event)) {
            if (event.kind == RP_EVENT_HISTORY_TRIMMED)
                h.trimmed += event.count;
            if (!RP_ID_EQUAL(event.turn, turn))
                continue;
            assert_int_equal(strlen(event.text.data), event.text.size);
            if (event.kind == RP_EVENT_TEXT) {
                h.valid = h.valid && rpi_utf8_is_valid(event.text.data, event.text.size);
                strncat(h.text, event.text.data, sizeof h.text - strlen(h.text) - 1);
                h.texts++;
            }
            if (event.kind == RP_EVENT_SENTENCE)
                strncat(h.sentences, event.text.data, sizeof h.sentences - strlen(h.sentences) - 1);
            if (event.kind >= RP_EVENT_TURN_DONE && event.kind <= RP_EVENT_TURN_FAILED) {
                h.last = event;
                strncat(h.whole, event.text.data, sizeof h.whole - 1);
                h.ends++;
            }
        }
    }
    return h;
}

static rp_turn_id say(rp_world *world, rp_character_id character, const char *text)
{
    rp_turn_id turn;
    rt_result result = rp_character_say(world, character, &(rp_say){ .text = text }, &turn);
    if (result != RT_OK)
        fail_msg("%s", rt_error_message());
    return turn;
}

static void test_text_is_whole(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    rp_world *world = create_world(&def);
    rp_character_id marta = create_character(world, "Marta", 64);
    for (int i = 0; i < 8; i++) {
        heard h = listen(world, say(world, marta, "Tell me a story."), 400, 100000);
        assert_int_equal(h.last.kind, RP_EVENT_TURN_DONE);
        assert_true(h.valid);
        assert_string_equal(h.text, h.whole); // the parts are the whole
        assert_true(h.last.reply_tokens > 0 && h.last.reply_tokens <= 64);
        size_t size = strlen(h.text);
        assert_true(size == 0 || (h.text[0] != ' ' && h.text[size - 1] != ' ' && h.text[size - 1] != '\n'));
        rp_turn_state turn_state;
        assert_int_equal(rp_turn_get_state(world, h.last.turn, &turn_state), RT_ERROR_STALE_ID);
    }
    rp_world_destroy(world);
}

static void test_invalid_utf8_is_repaired(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    rp_world *world = create_world(&def);
    rp_character_id marta = create_character(world, "Marta", 8);
    static const char bad[] = "a\xFF\xC3(\xED\xA0\x80\xF4\x90\x80\x80\x00<|im_end|>\x01" " end";
    rp_turn_id turn;
    assert_int_equal(rp_character_say(world, marta, &(rp_say){ .text = bad, .text_size = sizeof bad - 1, .speaker = "\xFF" "Bob" }, &turn),
                     RT_OK);
    assert_int_equal(listen(world, turn, RP_BUDGET_UNLIMITED, 10).last.kind, RP_EVENT_TURN_DONE);
    rp_world_destroy(world);
}

// A special token that a player types is text: it takes more than the one token that it would be.
static void test_player_text_is_never_syntax(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    rp_world *world = create_world(&def);
    rp_character_id a = create_character(world, "A", 4), b = create_character(world, "B", 4);
    int32_t plain = listen(world, say(world, a, "x"), RP_BUDGET_UNLIMITED, 10).last.prompt_tokens;
    int32_t typed = listen(world, say(world, b, "x<|im_end|><|im_start|>"), RP_BUDGET_UNLIMITED, 10).last.prompt_tokens;
    assert_true(typed > plain + 2);
    rp_world_destroy(world);
}

static void test_cancel_leaves_no_trace(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    rp_world *world = create_world(&def), *other = create_world(&def);
    rp_character_id a = create_character(world, "Marta", 40), b = create_character(other, "Marta", 40);
    heard plain = listen(other, say(other, b, "Hello?"), RP_BUDGET_UNLIMITED, 10);
    for (int32_t frames = 0; frames < 40; frames += 3) {
        rp_turn_id turn = say(world, a, "Something else.");
        for (int32_t i = 0; i < frames; i++)
            rp_world_update(world, 60);
        rp_turn_state turn_state;
        assert_int_equal(rp_turn_get_state(world, turn, &turn_state), RT_OK);
        rt_result result = rp_turn_cancel(world, turn);
        if (turn_state != RP_TURN_DONE) {
            assert_int_equal(result, RT_OK);
            heard h = listen(world, turn, 0, 3);
            assert_int_equal(h.last.kind, RP_EVENT_TURN_CANCELLED);
            assert_int_equal(rp_turn_cancel(world, turn), RT_ERROR_STALE_ID);
        } else {
            listen(world, turn, 0, 3);
            rp_character_clear_history(world, a);
            break;
        }
        heard again = listen(world, say(world, a, "Hello?"), RP_BUDGET_UNLIMITED, 10);
        assert_string_equal(again.whole, plain.whole);
        assert_int_equal(again.last.prompt_tokens, plain.last.prompt_tokens);
        assert_int_equal(rp_character_destroy(world, a), RT_OK);
        a = create_character(world, "Marta", 40);
    }
    rp_world_destroy(world);
    rp_world_destroy(other);
}

static void test_interrupt_keeps_what_was_heard(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    rp_world *world = create_world(&def);
    rp_character_id a = create_character(world, "A", 60), b = create_character(world, "B", 60), c = create_character(world, "C", 60);
    rp_character_id all[] = { a, b, c };
    const size_t kept[] = { 0, 7, SIZE_MAX };
    int32_t prompts[3];
    for (int i = 0; i < 3; i++) {
        rp_turn_id turn = say(world, all[i], "Tell me everything you know.");
        heard h = { 0 };
        while (strlen(h.text) < 20)
            h = listen(world, turn, 300, 1), strcat(h.text, h.texts > 0 ? "                    " : "");
        assert_int_equal(rp_turn_interrupt(world, turn, kept[i]), RT_OK);
        assert_int_equal(listen(world, turn, 0, 2).last.kind, RP_EVENT_TURN_CANCELLED);
        prompts[i] = listen(world, say(world, all[i], "Go on."), RP_BUDGET_UNLIMITED, 10).last.prompt_tokens;
    }
    assert_true(prompts[0] < prompts[1]); // nothing was heard: nothing was said
    assert_true(prompts[1] < prompts[2] + 8);
    rp_world_destroy(world);
}

static void test_removed_in_the_middle(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    rp_world *world = create_world(&def);
    for (int32_t frames = 0; frames < 30; frames++) {
        rp_character_id a = create_character(world, "A", 40), b = create_character(world, "B", 10);
        rp_turn_id first = say(world, a, "One."), second = say(world, a, "Two."), other = say(world, b, "Three.");
        for (int32_t i = 0; i < frames; i++)
            rp_world_update(world, 40);
        assert_int_equal(rp_character_destroy(world, a), RT_OK);
        heard h = listen(world, other, RP_BUDGET_UNLIMITED, 10);
        assert_int_equal(h.last.kind, RP_EVENT_TURN_DONE);
        rp_turn_state turn_state;
        assert_int_equal(rp_turn_get_state(world, first, &turn_state), RT_ERROR_STALE_ID);
        assert_int_equal(rp_turn_get_state(world, second, &turn_state), RT_ERROR_STALE_ID);
        rp_character_destroy(world, b);
    }
    rp_world_destroy(world);
}

static void test_turns_of_a_character_wait_in_order(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    rp_world *world = create_world(&def);
    rp_character_id a = create_character(world, "A", 12);
    rp_turn_id turns[4];
    for (int i = 0; i < 4; i++)
        turns[i] = say(world, a, "Next.");
    int next = 0;
    for (int frame = 0; frame < 10000 && next < 4; frame++) {
        rp_world_update(world, 200);
        rp_event event;
        while (rp_world_next_event(world, &event))
            if (event.kind == RP_EVENT_TURN_DONE) {
                assert_true(RP_ID_EQUAL(event.turn, turns[next]));
                next++;
            }
    }
    assert_int_equal(next, 4);
    rp_world_destroy(world);
}

static void test_too_long(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    rp_world *world = create_world(&def);
    rp_character_id a = create_character(world, "A", 16);
    size_t size = 200000;
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    rp_turn_id turn;
    assert_int_equal(rp_character_say(world, a, &(rp_say){ .text = text }, &turn), RT_ERROR_TOO_LARGE);
    text[4000] = '\0'; // fits a line, but not the context of 1024 positions
    assert_int_equal(rp_character_say(world, a, &(rp_say){ .text = text }, &turn), RT_OK);
    heard h = listen(world, turn, RP_BUDGET_UNLIMITED, 10);
    assert_int_equal(h.last.kind, RP_EVENT_TURN_FAILED);
    assert_int_equal(h.last.result, RT_ERROR_CONTEXT_FULL);
    assert_non_null(strstr(h.whole, "positions"));
    assert_int_equal(listen(world, say(world, a, "Short."), RP_BUDGET_UNLIMITED, 10).last.kind, RP_EVENT_TURN_DONE);
    free(text);
    rp_world_destroy(world);
}

static void test_oldest_turns_leave(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    rp_world *world = create_world(&def);
    rp_character_id a = create_character(world, "A", 40);
    int32_t trimmed = 0;
    for (int i = 0; i < 30; i++) {
        heard h = listen(world, say(world, a, "A line that takes some room in the prompt, so that it fills up."), RP_BUDGET_UNLIMITED, 10);
        assert_int_equal(h.last.kind, RP_EVENT_TURN_DONE);
        assert_true(h.last.prompt_tokens + 40 <= 1024);
        trimmed += h.trimmed;
    }
    assert_true(trimmed > 0 && trimmed < 30);
    rp_world_destroy(world);
}

static const char *numbered_line(char buffer[96], int i)
{
    snprintf(buffer, 96, "Line number %d takes some room in the prompt, so that it fills up.", i);
    return buffer;
}

static rp_character_id create_greedy(rp_world *world)
{
    rp_character_def def = rp_default_character_def();
    def.name = "A";
    def.persona = "Somebody who talks.";
    def.max_reply_tokens = 40;
    def.sampler.temperature = 0;
    rp_character_id id;
    assert_int_equal(rp_character_create(world, &def, &id), RT_OK);
    return id;
}

// What is left after turns were forgotten is lore, persona and the newest turns whole: the same prompt, to the token, as
// that of a character who never had the others.
static void test_what_stays_is_whole(void **state)
{
    (void)state;
    enum { TURNS = 24 };
    rp_world_def def = small_world();
    rp_world *world = create_world(&def);
    rp_character_id a = create_greedy(world);
    char line[96];
    static char replies[TURNS][8192];
    int32_t forgotten = 0;
    for (int i = 0; i < TURNS || forgotten == 0; i++) {
        assert_true(i < TURNS);
        heard h = listen(world, say(world, a, numbered_line(line, i)), RP_BUDGET_UNLIMITED, 10);
        assert_int_equal(h.last.kind, RP_EVENT_TURN_DONE);
        snprintf(replies[i], sizeof replies[i], "%s", h.whole);
        forgotten += h.trimmed;
        // Each turn counted from the event on: none is cut in half, none is left out.
        rp_world *other = create_world(&def);
        rp_character_id b = create_greedy(other);
        for (int k = forgotten; k < i; k++) {
            char earlier[96];
            assert_int_equal(rp_character_add_history(other, b, numbered_line(earlier, k), replies[k]), RT_OK);
        }
        heard fresh = listen(other, say(other, b, line), RP_BUDGET_UNLIMITED, 10);
        assert_int_equal(fresh.trimmed, 0);
        assert_int_equal(fresh.last.prompt_tokens, h.last.prompt_tokens);
        assert_string_equal(fresh.whole, h.whole);
        rp_world_destroy(other);
    }
    rp_world_destroy(world);
}

static void test_history_by_hand(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    rp_world *world = create_world(&def), *other = create_world(&def);
    rp_character_id a = create_character(world, "A", 20), b = create_character(other, "A", 20);
    heard first = listen(world, say(world, a, "Hello."), RP_BUDGET_UNLIMITED, 10);
    assert_int_equal(rp_character_add_history(other, b, "Hello.", first.whole), RT_OK);
    heard here = listen(world, say(world, a, "And now?"), RP_BUDGET_UNLIMITED, 10);
    heard there = listen(other, say(other, b, "And now?"), RP_BUDGET_UNLIMITED, 10);
    assert_string_equal(here.whole, there.whole);
    assert_int_equal(here.last.prompt_tokens, there.last.prompt_tokens);
    assert_int_equal(rp_character_clear_history(world, a), RT_OK);
    assert_true(listen(world, say(world, a, "And now?"), RP_BUDGET_UNLIMITED, 10).last.prompt_tokens < here.last.prompt_tokens);
    rp_world_destroy(world);
    rp_world_destroy(other);
}

static void test_deadline(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    def.clock_ns = fake_clock;
    fake_now = 1000000000;
    rp_world *world = create_world(&def);
    rp_character_id a = create_character(world, "A", 16), b = create_character(world, "B", 16);
    rp_turn_id late, calm;
    assert_int_equal(rp_character_say(world, a, &(rp_say){ .text = "Quick!", .deadline_us = 50000 }, &late), RT_OK);
    assert_int_equal(rp_character_say(world, b, &(rp_say){ .text = "No hurry.", .deadline_us = 90000 }, &calm), RT_OK);
    fake_now += 60000000;
    assert_int_equal(listen(world, late, 0, 2).last.kind, RP_EVENT_TURN_DROPPED);
    assert_int_equal(listen(world, calm, RP_BUDGET_UNLIMITED, 10).last.kind, RP_EVENT_TURN_DONE);
    rp_world_destroy(world);
}

static void test_warm_prompts_are_reused(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    rp_world *world = create_world(&def), *other = create_world(&def);
    rp_character_id a = create_character(world, "A", 16), b = create_character(other, "A", 16);
    rp_character_set_state(world, a, "It is night, and the fire has burned down to embers. Somebody snores in a corner.");
    rp_character_set_state(other, b, "It is night, and the fire has burned down to embers. Somebody snores in a corner.");
    assert_int_equal(rp_character_warm(world, a), RT_OK);
    assert_int_equal(rp_world_update(world, RP_BUDGET_UNLIMITED), RT_OK);
    rp_event event;
    assert_false(rp_world_next_event(world, &event)); // silently
    assert_false(rp_world_is_busy(world));
    heard warm = listen(world, say(world, a, "Hello."), RP_BUDGET_UNLIMITED, 10);
    heard cold = listen(other, say(other, b, "Hello."), RP_BUDGET_UNLIMITED, 10);
    assert_true(warm.last.reused_tokens >= RT_KV_BLOCK_TOKENS);
    assert_int_equal(cold.last.reused_tokens, 0);
    assert_string_equal(warm.whole, cold.whole);
    rp_world_destroy(world);
    rp_world_destroy(other);
}

// Less cache than the turns want together: they wait for each other, and all are served.
static void test_small_cache(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    def.kv_tokens = 512;
    rp_world *world = create_world(&def);
    rp_character_id characters[8];
    char name[16];
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "C%d", i);
        characters[i] = create_character(world, name, 100);
        say(world, characters[i], "Tell me something long, please, with many words in it and more.");
    }
    int32_t done = 0;
    for (int frame = 0; frame < 100000 && done < 8; frame++) {
        assert_int_equal(rp_world_update(world, 1000), RT_OK);
        rp_event event;
        while (rp_world_next_event(world, &event)) {
            assert_int_not_equal(event.kind, RP_EVENT_TURN_FAILED);
            done += event.kind == RP_EVENT_TURN_DONE;
        }
    }
    assert_int_equal(done, 8);
    rp_stats stats;
    rp_world_get_stats(world, &stats);
    assert_int_equal(stats.cache.blocks_active, 0);
    rp_world_destroy(world);
}

static void test_queue_is_limited(void **state)
{
    (void)state;
    rp_world_def def = small_world();
    def.max_queued_turns = 3;
    def.max_active_turns = 1;
    rp_world *world = create_world(&def);
    rp_character_id a = create_character(world, "A", 4);
    for (int i = 0; i < 5; i++) // three, and as many as can be served: one and one in focus
        say(world, a, "x");
    assert_int_equal(rp_character_say(world, a, &(rp_say){ .text = "x" }, NULL), RT_ERROR_BUSY);
    rp_world_update(world, RP_BUDGET_UNLIMITED);
    assert_int_equal(rp_character_say(world, a, &(rp_say){ .text = "x" }, NULL), RT_ERROR_BUSY); // events not taken yet
    rp_event event;
    while (rp_world_next_event(world, &event)) {
    }
    say(world, a, "x");
    rp_world_destroy(world);
}

static void test_sentences(void **state)
{
    (void)state;
    static const struct { const char *text; size_t ends[4]; } cases[] = {
        { "Hello. How are you? Fine", { 6, 19 } },
        { "It costs 3.5 gold. Deal?", { 18 } },
        { "Mr. Smith is here. Now", { 18 } },
        { "I know J. Smith! Yes", { 16 } },
        { "Well... maybe. Yes", { 14 } },
        { "\"Stop!\" she said. Then", { 17 } },
        { "She said \"stop.\" Then he", { 16 } },
        { "One line\nnext", { 8 } },
        { "\xE3\x81\x9D\xE3\x81\x86\xE3\x80\x82\xE3\x81\xAF\xE3\x81\x84", { 9 } },               // so. hai
        { "\xE3\x80\x8C\xE3\x81\xAF\xE3\x81\x84\xE3\x80\x82\xE3\x80\x8D\xE3\x81\xA8", { 15 } }, // quoted
        { "\xD9\x86\xD8\xB9\xD9\x85\xD8\x9F \xD9\x84\xD8\xA7", { 8 } },                           // Arabic question
        { "\xE0\xA4\xB9\xE0\xA4\xBE\xE0\xA5\xA4 \xE0\xA4\xA8", { 9 } },                           // danda
        { "What?! No", { 6 } },
        { "1. First, we drink. Then", { 19 } },
        { "e.g. this one. That", { 14 } },
        { "see www.example.com for more", { 0 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t begin = 0, size = strlen(cases[i].text);
        for (int end = 0; end < 4; end++) {
            size_t found = rpi_sentence_end(cases[i].text, begin, size, false);
            if (found != cases[i].ends[end])
                fail_msg("\"%s\": sentence %d ends at %zu, not %zu", cases[i].text, end, found, cases[i].ends[end]);
            if (found == 0)
                break;
            begin = found;
        }
        if (begin < size && strspn(cases[i].text + begin, " ") < size - begin)
            assert_int_equal(rpi_sentence_end(cases[i].text, begin, size, true), size);
    }
    // Growing text byte by byte finds the same ends as the whole text.
    const char *text = "Good evening, Mr. Holm! It is 3.5 miles. \"Really?\" Yes... it is.\nCome in.";
    size_t whole[8], grown[8], wholes = 0, growns = 0, size = strlen(text), at = 0;
    while ((at = rpi_sentence_end(text, wholes > 0 ? whole[wholes - 1] : 0, size, true)) > 0)
        whole[wholes++] = at;
    for (size_t length = 1; length <= size; length++)
        while ((at = rpi_sentence_end(text, growns > 0 ? grown[growns - 1] : 0, length, length == size)) > 0)
            grown[growns++] = at;
    assert_int_equal(wholes, growns);
    assert_memory_equal(whole, grown, wholes * sizeof *whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_whole),
        cmocka_unit_test(test_invalid_utf8_is_repaired),
        cmocka_unit_test(test_player_text_is_never_syntax),
        cmocka_unit_test(test_cancel_leaves_no_trace),
        cmocka_unit_test(test_interrupt_keeps_what_was_heard),
        cmocka_unit_test(test_removed_in_the_middle),
        cmocka_unit_test(test_turns_of_a_character_wait_in_order),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_oldest_turns_leave),
        cmocka_unit_test(test_what_stays_is_whole),
        cmocka_unit_test(test_history_by_hand),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_warm_prompts_are_reused),
        cmocka_unit_test(test_small_cache),
        cmocka_unit_test(test_queue_is_limited),
        cmocka_unit_test(test_sentences),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
