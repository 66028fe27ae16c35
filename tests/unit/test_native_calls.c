// Calls that models write themselves: whole turns in each family's format, exact prompts, the calls' ways through the game.
// SPDX-License-Identifier: MIT
#include "support/call_stage.h"

// ---------------------------------------------------------------------------------------------------------------------
// Whole turns
// ---------------------------------------------------------------------------------------------------------------------

static void test_a_call_its_result_and_words(void **state)
{
    (void)state;
    for (int i = 0; i < STYLES; i++) {
        stage s = { .games = { { .status = RP_CALL_ANSWERED, .answer = "poured" } } };
        rp_tool_def tool = drink_tool(&s);
        open_stage(&s, styles[i].format, styles[i].opens, 1, &tool, 1);
        say(&s, "A drink, please.");
        if (s.games[0].calls != 1 || s.last.kind != RP_EVENT_TURN_DONE)
            fail_msg("%s: %d calls, %s, said \"%s\"", s.format.name, (int)s.games[0].calls, s.order, s.text);
        check_drink(s.games[0].arguments[0]);
        assert_string_equal(s.first_arguments, s.games[0].arguments[0]);
        assert_string_equal(s.last_result, "poured");
        check_shown(&s);
        if (i != NEMOTRON) { // there the marker is plain text, and this model knows no other
            assert_string_equal(s.order, "CRTD");
            assert_string_equal(s.text, "ok.");
        }
        rp_stats stats;
        rp_world_get_stats(s.world, &stats);
        assert_int_equal(stats.calls_made, 1);
        assert_int_equal(stats.choices_none, 0);
        close_stage(&s);
    }
}

static void test_it_just_speaks(void **state)
{
    (void)state;
    for (int i = 0; i < STYLES; i++) {
        stage s = { 0 };
        rp_tool_def tool = drink_tool(&s);
        open_stage(&s, styles[i].format, "T", 2, &tool, 1);
        say(&s, "Hello.");
        assert_int_equal(s.games[0].calls, 0);
        assert_string_equal(s.order, "TD");
        assert_string_equal(s.text, "ok.");
        rp_stats stats;
        rp_world_get_stats(s.world, &stats);
        assert_int_equal(stats.choices_none, 1);
        close_stage(&s);
    }
}

// Where nothing can be called, nothing is, and no syntax is shown, however much the model wants to.
static void test_no_tools_no_calls(void **state)
{
    (void)state;
    for (int i = 0; i < STYLES; i++) {
        for (int none = 0; none < 3; none++) {
            stage s = { 0 };
            rp_tool_def tool = drink_tool(&s);
            open_stage(&s, styles[i].format, styles[i].opens, none == 1 ? 0 : 2, &tool, none == 0 ? 0 : 1);
            rp_say line = { .text = "Hello.", .no_tools = none == 2 };
            assert_int_equal(rp_character_say(s.world, s.marta, &line, NULL), RT_OK);
            assert_int_equal(rp_world_update(s.world, RP_BUDGET_UNLIMITED), RT_OK);
            listen(&s);
            assert_int_equal(s.games[0].calls, 0);
            check_shown(&s);
            assert_string_equal(s.text, i == NEMOTRON ? "" : "ok.");
            close_stage(&s);
        }
    }
}

static void test_words_before_a_call(void **state)
{
    (void)state;
    for (int i = 0; i < STYLES; i++) {
        if (styles[i].talks_first == NULL)
            continue;
        stage s = { .games = { { .status = RP_CALL_ANSWERED, .answer = "poured" } } };
        rp_tool_def tool = drink_tool(&s);
        open_stage(&s, styles[i].format, styles[i].talks_first, 1, &tool, 1);
        say(&s, "A drink, please.");
        assert_int_equal(s.games[0].calls, 1);
        assert_string_equal(s.order, "TCRTD");
        check_shown(&s);
        if (i == MISTRAL) {
            assert_string_equal(s.text, "W! W!ok.");
            assert_string_equal(s.sentences, "W!|W!ok.|");
            // The conversation has it in the order in which it happened.
            assert_non_null(strstr(last_prompt(&s), "[/INST]W!</s>[TOOL_CALLS][{\"name\": \"pour_drink\""));
        } else {
            assert_string_equal(s.text, "V; V;");
            assert_non_null(strstr(last_prompt(&s), "Assistant\nV;\n<toolcall> {\"name\": \"pour_drink\""));
        }
        say(&s, "Thanks.");
        assert_non_null(strstr(last_prompt(&s), i == MISTRAL ? "[/TOOL_RESULTS]W!ok.</s>" : "Assistant\nV;\n<extra_id_1>User"));
        close_stage(&s);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Exact prompts
// ---------------------------------------------------------------------------------------------------------------------

// With one function that takes nothing, everything but the id is known beforehand.
static const char *const exchanges[STYLES] = {
    "<s>[AVAILABLE_TOOLS][{\"type\": \"function\", \"function\": {\"name\": \"leave\", \"description\": \"Go\", \"parameters\": {\"type\": "
    "\"object\", \"properties\": {}, \"additionalProperties\": false}}}][/AVAILABLE_TOOLS][INST]You are Marta. Innkeeper.\n\nGo![/INST]"
    "[TOOL_CALLS][{\"name\": \"leave\", \"arguments\": {}, \"id\": \"#########\"}]</s>"
    "[TOOL_RESULTS]{\"content\": \"gone [TOOL_CALLS]\", \"call_id\": \"#########\"}[/TOOL_RESULTS]M",
    "<extra_id_0>System\nYou are Marta. Innkeeper.\n\n<tool> {\"type\": \"function\", \"function\": {\"name\": \"leave\", \"description\": \"Go\", "
    "\"parameters\": {\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}}} </tool>\n\n<extra_id_1>User\nGo!\n"
    "<extra_id_1>Assistant\n<toolcall> {\"name\": \"leave\", \"arguments\": {}} </toolcall>\n<extra_id_1>Tool\ngone [TOOL_CALLS]\n"
    "<extra_id_1>Assistant\nN",
    NULL,
    "<|im_start|>user\nGo!<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{\"name\": \"leave\", \"arguments\": {}}\n</tool_call>"
    "<|im_end|>\n<|im_start|>user\n<tool_response>\ngone [TOOL_CALLS]\n</tool_response><|im_end|>\n<|im_start|>assistant\nH",
    "Go!<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n{\"name\": \"leave\", \"parameters\": {}}<|eot_id|>"
    "<|start_header_id|>ipython<|end_header_id|>\n\n\"gone [TOOL_CALLS]\"<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nL",
};

static void test_exact_exchanges(void **state)
{
    (void)state;
    for (int i = 0; i < STYLES; i++) {
        if (exchanges[i] == NULL)
            continue;
        stage s = { .games = { { .status = RP_CALL_ANSWERED, .answer = "gone [TOOL_CALLS]" } } };
        rp_tool_def tool = drink_tool(&s);
        tool.name = "leave";
        tool.description = "Go";
        tool.parameters = NULL;
        open_stage(&s, styles[i].format, styles[i].opens, 1, &tool, 1);
        say(&s, "Go!");
        assert_string_equal(s.games[0].arguments[0], "{}");
        const char *text = last_prompt(&s), *expected = exchanges[i];
        size_t size = strlen(text), want = strlen(expected);
        assert_true(size >= want);
        text += size - want;
        char id[9], seen = 0;
        for (size_t at = 0; at < want; at++) {
            if (expected[at] != '#' && expected[at] != text[at])
                fail_msg("%s: at %zu: \"%.60s\" expected \"%.60s\"", s.format.name, at, text + at, expected + at);
            if (expected[at] != '#')
                continue;
            id[seen % 9] = seen < 9 ? text[at] : id[seen % 9];
            assert_int_equal(id[seen++ % 9], text[at]); // the result answers this call
        }
        // Control tokens stand only where the format has them: the result's words are text.
        const rp_prompt *prompt = &focus_slot(&s)->prompt;
        rt_token trigger = rt_tokenizer_special(rt_model_tokenizer(model), "[TOOL_CALLS]");
        int32_t triggers = 0;
        for (size_t at = 0; at < prompt->count; at++)
            triggers += prompt->ids[at] == trigger;
        assert_int_equal(triggers, i == MISTRAL);
        close_stage(&s);
    }
}

// What mistral-common wrote for calls and results, read back from its token ids and written again.
static void test_mistral_reference_both_ways(void **state)
{
    (void)state;
    rt_tokenizer_def def = rt_default_tokenizer_def();
    def.path = "assets/vocabularies/tekken_240718.json";
    rt_tokenizer *tokenizer;
    assert_int_equal(rt_tokenizer_open(&def, &tokenizer), RT_OK);
    const rp_format *format = rp_format_find("mistral-v3-tekken");
    rt_token open = rt_tokenizer_special(tokenizer, "[TOOL_CALLS]"), eos = rt_tokenizer_eos(tokenizer);
    FILE *file = fopen("tests/data/prompts/mistral_v3_tekken.jsonl", "r");
    assert_non_null(file);
    char *line = NULL;
    size_t capacity = 0;
    int32_t replies = 0;
    while (getline(&line, &capacity, file) > 0) {
        json_t *record = json_loads(line, JSON_ALLOW_NUL, NULL), *ids = json_object_get(record, "ids");
        for (size_t at = 0; at < json_array_size(ids); at++) {
            if (json_integer_value(json_array_get(ids, at)) != open)
                continue;
            char text[4096];
            size_t size = 0, first = ++at;
            rt_text_stream stream = { 0 };
            for (; json_integer_value(json_array_get(ids, at)) != eos; at++) {
                size_t added = 0;
                assert_int_equal(rt_text_stream_push(&stream, tokenizer, (rt_token)json_integer_value(json_array_get(ids, at)),
                                                     text + size, sizeof text - size, &added), RT_OK);
                size += added;
            }
            rpi_calls calls = { 0 };
            assert_int_equal(rpi_calls_parse(format, (rp_text){ text, size }, true, 1, &calls), RT_OK);
            assert_true(calls.count >= 1);
            rp_message message = { .role = RP_ROLE_CALLS, .content = { calls.json.data, calls.json.size } };
            rp_prompt prompt;
            assert_int_equal(rp_prompt_render(format, tokenizer, NULL, &message, 1, NULL, false, &prompt), RT_OK);
            // <s> [TOOL_CALLS] ... </s>
            size_t begin = 0;
            while (begin < prompt.count && prompt.ids[begin] != open)
                begin++;
            assert_int_equal(prompt.count - begin, at - first + 2);
            for (size_t k = first; k < at; k++)
                assert_int_equal(prompt.ids[begin + 1 + k - first], json_integer_value(json_array_get(ids, k)));
            rp_prompt_free(&prompt);
            rpi_calls_free(&calls);
            replies++;
        }
        json_decref(record);
    }
    assert_true(replies >= 4);
    free(line);
    fclose(file);
    rt_tokenizer_close(tokenizer);
}

// ---------------------------------------------------------------------------------------------------------------------
// The calls' ways
// ---------------------------------------------------------------------------------------------------------------------

// Tagged families write one call after another; Mistral a list. This model ends a list as soon as it may.
static void test_several_calls_in_one_reply(void **state)
{
    (void)state;
    static const int tagged[] = { HERMES, QWEN };
    for (size_t i = 0; i < 2; i++) {
        stage s = { .games = { { .status = RP_CALL_ANSWERED, .answer = "poured" } } };
        rp_tool_def tool = drink_tool(&s);
        open_stage(&s, styles[tagged[i]].format, "H", 3, &tool, 1);
        say(&s, "Three drinks, please.");
        assert_int_equal(s.games[0].calls, 3);
        assert_string_equal(s.order, "CRCRCRTD");
        for (int k = 0; k < 3; k++)
            check_drink(s.games[0].arguments[k]);
        check_shown(&s);
        // One message of three calls, then three results.
        const char *calls = strstr(last_prompt(&s), "please.");
        for (int k = 0; k < 3; k++) {
            calls = strstr(calls, "<tool_call>\n{\"name\": \"pour_drink\"");
            assert_non_null(calls++);
        }
        assert_null(strstr(calls, "<tool_call>"));
        for (int k = 0; k < 3; k++) {
            calls = strstr(calls, "<tool_response>\n");
            assert_non_null(calls++);
        }
        close_stage(&s);
    }
    // A list, as the schema has it: dispatched by what was written.
    stage s = { .games = { { .status = RP_CALL_ANSWERED, .answer = "poured" } } };
    rp_tool_def tool = drink_tool(&s);
    open_stage(&s, "mistral-v3-tekken", "M", 2, &tool, 1);
    rp_character_say(s.world, s.marta, &(rp_say){ .text = "Two!" }, NULL);
    rpi_slot *slot = focus_slot(&s);
    while (slot->stage != RPI_STAGE_SPEAK)
        assert_int_equal(rp_world_update(s.world, 1), RT_OK);
    while (slot->passes > 0)
        assert_int_equal(rp_world_update(s.world, 1), RT_OK);
    static const char list[] = "[{\"name\": \"pour_drink\", \"arguments\": {\"drink\": \"ale\", \"cups\": 1}, \"id\": \"aaaaaaaaa\"}, "
                               "{\"name\": \"pour_drink\", \"arguments\": {\"drink\": \"wine\", \"cups\": 2}, \"id\": \"aaaaaaaaa\"}, "
                               "{\"name\": \"pour_drink\", \"arguments\": {\"drink\": \"ale\", \"cups\": 3}}]";
    rpi_buffer_clear(&slot->arguments);
    rpi_buffer_add_text(&s.world->host, &slot->arguments, list);
    slot->native.opened = false;
    assert_int_equal(rpi_write_end(s.world, slot), RT_OK);
    assert_int_equal(rp_world_update(s.world, RP_BUDGET_UNLIMITED), RT_OK);
    listen(&s);
    assert_int_equal(s.games[0].calls, 2); // the third is over the bound
    assert_string_equal(s.games[0].arguments[1], "{\"drink\": \"wine\", \"cups\": 2}");
    assert_string_equal(s.order, "CRCRTD");
    const char *first = strstr(last_prompt(&s), "\"id\": \"aaaaaaaaa\"}, {\"name\"");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\"id\": \"aaaaaaaaa\"")); // ids are unique
    close_stage(&s);
}

static void test_bound_and_once_a_turn(void **state)
{
    (void)state;
    for (int i = 0; i < STYLES; i++) {
        for (int once = 0; once < 3; once++) {
            stage s = { .games = { { .status = RP_CALL_ANSWERED } } };
            rp_tool_def tool = drink_tool(&s);
            tool.once_per_turn = once == 1;
            tool.cooldown_us = once == 2 ? 1000 : 0;
            open_stage(&s, styles[i].format, styles[i].opens, 4, &tool, 1);
            say(&s, "A drink, please.");
            assert_int_equal(s.games[0].calls, once ? 1 : 4); // or it would call for ever
            assert_int_equal(s.ends, 1);
            assert_int_equal(s.last.kind, RP_EVENT_TURN_DONE);
            check_shown(&s);
            say(&s, "Another.");
            assert_int_equal(s.games[0].calls, once == 0 ? 8 : once == 1 ? 2 : 1);
            close_stage(&s);
        }
    }
}

static void test_vetoed_failed_and_misfitting(void **state)
{
    (void)state;
    for (int i = 0; i < STYLES; i++) {
        for (int how = 0; how < 3; how++) {
            stage s = { .games = { { .status = how == 0 ? RP_CALL_VETOED : how == 1 ? RP_CALL_FAILED : RP_CALL_ANSWERED,
                                     .answer = "the cellar is empty" } } };
            rp_tool_def tool = drink_tool(&s);
            if (how == 2)
                tool.result = "{\"type\": \"integer\"}";
            open_stage(&s, styles[i].format, styles[i].opens, 1, &tool, 1);
            say(&s, "A drink, please.");
            assert_int_equal(s.status, how == 0 ? RP_CALL_VETOED : RP_CALL_FAILED);
            assert_int_equal(s.last.kind, RP_EVENT_TURN_DONE);
            assert_non_null(strstr(last_prompt(&s), how == 0 ? "Not allowed: the cellar" : "It failed"));
            close_stage(&s);
        }
    }
}

static void test_later_too_late_and_taken_away(void **state)
{
    (void)state;
    for (int i = 0; i < STYLES; i++) {
        for (int how = 0; how < 3; how++) {
            stage s = { .games = { { .status = RP_CALL_LATER } } };
            rp_tool_def tool = drink_tool(&s);
            open_stage(&s, styles[i].format, styles[i].opens, 1, &tool, 1);
            say(&s, "A drink, please.");
            assert_int_equal(s.games[0].calls, 1);
            assert_int_equal(s.ends, 0);
            rp_turn_state turn;
            assert_int_equal(rp_turn_get_state(s.world, s.turn, &turn), RT_OK);
            assert_int_equal(turn, RP_TURN_CALLING);
            if (how == 0)
                assert_int_equal(rp_call_answer(s.world, s.games[0].last, RP_CALL_ANSWERED, "at last"), RT_OK);
            if (how == 1)
                fake_now += 11000000000u;
            if (how == 2)
                assert_int_equal(rp_tool_destroy(s.world, s.tools[0]), RT_OK);
            assert_int_equal(rp_world_update(s.world, RP_BUDGET_UNLIMITED), RT_OK);
            listen(&s);
            assert_int_equal(s.status, how == 0 ? RP_CALL_ANSWERED : RP_CALL_FAILED);
            assert_int_equal(s.last.kind, RP_EVENT_TURN_DONE);
            if (how == 0)
                assert_non_null(strstr(last_prompt(&s), "at last"));
            close_stage(&s);
        }
    }
}

// Ended between a call and its result: the conversation has neither, the next turn is as if nothing had been asked of the game.
static void test_ended_between_call_and_result(void **state)
{
    (void)state;
    for (int i = 0; i < STYLES; i++) {
        for (int interrupts = 0; interrupts < 2; interrupts++) {
            stage s = { .games = { { .status = RP_CALL_LATER } } };
            rp_tool_def tool = drink_tool(&s);
            open_stage(&s, styles[i].format, styles[i].opens, 2, &tool, 1);
            say(&s, "A drink, please.");
            rp_call_id call = s.games[0].last;
            if (interrupts)
                assert_int_equal(rp_turn_interrupt(s.world, s.turn, 100), RT_OK);
            else
                assert_int_equal(rp_turn_cancel(s.world, s.turn), RT_OK);
            assert_int_equal(rp_call_answer(s.world, call, RP_CALL_ANSWERED, "late"), RT_ERROR_STALE_ID);
            listen(&s);
            assert_int_equal(s.last.kind, RP_EVENT_TURN_CANCELLED);
            s.games[0].status = RP_CALL_ANSWERED;
            say(&s, "Are you there?");
            assert_int_equal(s.last.kind, RP_EVENT_TURN_DONE);
            assert_null(strstr(last_prompt(&s), "A drink, please."));
            assert_null(strstr(last_prompt(&s), "late"));
            close_stage(&s);
        }
    }
    // Words that were heard stay, and so does what the game had answered.
    stage s = { .games = { { .status = RP_CALL_ANSWERED, .answer = "poured" } } };
    rp_tool_def tool = drink_tool(&s);
    open_stage(&s, "mistral-v3-tekken", "P", 2, &tool, 1);
    assert_int_equal(rp_character_say(s.world, s.marta, &(rp_say){ .text = "Quick!" }, &s.turn), RT_OK);
    while (s.results == 0) {
        assert_int_equal(rp_world_update(s.world, 1), RT_OK);
        listen(&s);
    }
    assert_int_equal(rp_turn_interrupt(s.world, s.turn, 2), RT_OK);
    say(&s, "And now?");
    const char *at = strstr(last_prompt(&s), "W!</s>[TOOL_CALLS][{\"name\": \"pour_drink\"");
    assert_non_null(at);
    assert_non_null(strstr(at, "[TOOL_RESULTS]{\"content\": \"poured\", \"call_id\": \""));
    close_stage(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_its_result_and_words),
        cmocka_unit_test(test_it_just_speaks),
        cmocka_unit_test(test_no_tools_no_calls),
        cmocka_unit_test(test_words_before_a_call),
        cmocka_unit_test(test_exact_exchanges),
        cmocka_unit_test(test_mistral_reference_both_ways),
        cmocka_unit_test(test_several_calls_in_one_reply),
        cmocka_unit_test(test_bound_and_once_a_turn),
        cmocka_unit_test(test_vetoed_failed_and_misfitting),
        cmocka_unit_test(test_later_too_late_and_taken_away),
        cmocka_unit_test(test_ended_between_call_and_result),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
