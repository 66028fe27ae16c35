// What the default model makes of thirty lines to an innkeeper with four functions: which it calls, or none; and of lines that
// ask for several things.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "repartee/repartee.h"

static const struct { const char *name, *description, *parameters; } functions[] = {
    { "pour_drink", "Pour the guest a drink",
      "{\"type\": \"object\", \"properties\": {\"drink\": {\"type\": \"string\", \"enum\": [\"ale\", \"wine\", \"mead\"]}}, "
      "\"required\": [\"drink\"], \"additionalProperties\": false}" },
    { "give_room_key", "Rent the guest a room and hand over its key", "{\"type\": \"object\", \"properties\": {}}" },
    { "cook_soup", "Bring the hungry guest a bowl of hot soup", NULL },
    { "open_cellar", "Unlock the door of the cellar", NULL },
};

enum { FUNCTIONS = sizeof functions / sizeof functions[0], DRINK = 0, ROOM = 1, SOUP = 2, CELLAR = 3, NONE = -1 };

static const struct { const char *text; int wanted; const char *arguments; } lines[] = {
    { "Please pour me a cup of ale.", DRINK, "{\"drink\": \"ale\"}" },
    { "I am hungry. Can I have some hot soup?", SOUP, "{}" },
    { "I would like a room for the night, please.", ROOM, "{}" },
    { "Please open the cellar door for me.", CELLAR, "{}" },
    { "A pint of your best ale!", DRINK, "{\"drink\": \"ale\"}" },
    { "Give me some wine.", DRINK, "{\"drink\": \"wine\"}" },
    { "I'm thirsty.", DRINK, NULL },
    { "Two cups of mead for me and my friend.", DRINK, "{\"drink\": \"mead\"}" },
    { "Do you have a bed free tonight?", ROOM, "{}" },
    { "I need somewhere to sleep.", ROOM, "{}" },
    { "Can I rent a room?", ROOM, "{}" },
    { "What's in the pot? I could eat a horse.", SOUP, "{}" },
    { "A bowl of soup, please.", SOUP, "{}" },
    { "I haven't eaten all day.", SOUP, "{}" },
    { "Let me into the cellar.", CELLAR, "{}" },
    { "Could you unlock the cellar?", CELLAR, "{}" },
    { "Good evening, Marta!", NONE, NULL },
    { "Hello there.", NONE, NULL },
    { "How are you today?", NONE, NULL },
    { "What is your name?", NONE, NULL },
    { "It is a cold night.", NONE, NULL },
    { "Have you heard any news from the coast?", NONE, NULL },
    { "You have a lovely house.", NONE, NULL },
    { "Where does the road lead?", NONE, NULL },
    { "Who is that old man by the fire?", NONE, NULL },
    { "Thank you, that was kind.", NONE, NULL },
    { "I lost my brother at sea.", NONE, NULL },
    { "Is it always so quiet here?", NONE, NULL },
    { "Tell me about the captain.", NONE, NULL },
    { "Goodbye, Marta.", NONE, NULL },
};

enum { LINES = sizeof lines / sizeof lines[0] };

// Several things for one line, in whatever order; a tool is called once a turn here.
static const struct { const char *text; int wanted; } several[] = {
    { "I would like a bowl of soup and a room for the night.", 1 << SOUP | 1 << ROOM },
    { "A pint of ale and a bowl of hot soup, please.", 1 << DRINK | 1 << SOUP },
    { "Please open the cellar and then pour me a cup of wine.", 1 << CELLAR | 1 << DRINK },
    { "Rent me a room, and bring me some soup.", 1 << ROOM | 1 << SOUP },
    { "An ale for me and a wine for my friend, please.", 1 << DRINK },
    { "Please pour me a cup of ale.", 1 << DRINK },
};

enum { SEVERAL = sizeof several / sizeof several[0] };

typedef struct seen {
    int called, all, calls;
    char arguments[256], transcript[1024];
} seen;

static seen last;

static rp_call_status on_call(void *user, rp_world *world, const rp_call *call, rp_writer *answer)
{
    (void)world;
    (void)answer;
    last.called = (int)(intptr_t)user;
    last.all |= 1 << last.called;
    last.calls++;
    snprintf(last.arguments, sizeof last.arguments, "%s", call->arguments.data);
    size_t size = strlen(last.transcript);
    snprintf(last.transcript + size, sizeof last.transcript - size, "%s%s ", call->name, call->arguments.data);
    return RP_CALL_ANSWERED;
}

static rp_character_id create_marta(rp_world *world)
{
    rp_tool_id tools[FUNCTIONS];
    for (int i = 0; i < FUNCTIONS; i++) {
        rp_tool_def def = rp_default_tool_def();
        def.name = functions[i].name;
        def.description = functions[i].description;
        def.parameters = functions[i].parameters;
        def.call = on_call;
        def.user = (void *)(intptr_t)i;
        assert_int_equal(rp_tool_create(world, &def, &tools[i]), RT_OK);
    }
    rp_character_def def = rp_default_character_def();
    def.name = "Marta";
    def.persona = "Innkeeper of the Gilded Griffin. Friendly, with a dry wit.";
    def.tools = tools;
    def.tool_count = FUNCTIONS;
    rp_character_id marta;
    assert_int_equal(rp_character_create(world, &def, &marta), RT_OK);
    return marta;
}

// Until the choice is made: a call has run, or the first words are said. `all`: until no more calls follow.
static void say(rp_world *world, rp_character_id marta, const char *text, bool all, uint32_t budget_us)
{
    rp_turn_id turn;
    rp_event event;
    bool decided = false;
    last = (seen){ .called = NONE };
    assert_int_equal(rp_character_say(world, marta, &(rp_say){ .text = text }, &turn), RT_OK);
    while (!decided) {
        assert_int_equal(rp_world_update(world, budget_us), RT_OK);
        while (rp_world_next_event(world, &event))
            decided = decided || event.kind == RP_EVENT_TEXT || (event.kind == RP_EVENT_CALL_RESULT && !all) ||
                      event.kind == RP_EVENT_TURN_DONE || event.kind == RP_EVENT_TURN_FAILED;
    }
    rp_turn_cancel(world, turn);
    while (rp_world_next_event(world, &event)) {
    }
    assert_int_equal(rp_character_clear_history(world, marta), RT_OK);
}

static rp_world *open_world(bool calibrate, rt_model **model)
{
    rt_model_def md = rt_default_model_def();
    md.path = getenv("REPARTEE_MODEL");
    assert_int_equal(rt_model_open(&md, model), RT_OK);
    rp_world_def def = rp_default_world_def();
    def.model = *model;
    def.calibrate_choices = calibrate;
    rp_world *world;
    assert_int_equal(rp_world_create(&def, &world), RT_OK);
    return world;
}

static int count_right(bool calibrate, int *with_arguments)
{
    rt_model *model;
    rp_world *world = open_world(calibrate, &model);
    rp_character_id marta = create_marta(world);
    int right = 0;
    *with_arguments = 0;
    for (int i = 0; i < LINES; i++) {
        say(world, marta, lines[i].text, false, 5000);
        bool is_right = last.called == lines[i].wanted;
        right += is_right;
        *with_arguments += is_right && (lines[i].arguments == NULL || strcmp(last.arguments, lines[i].arguments) == 0);
        print_message("%s %s -> %s %s\n", is_right ? " " : "!", lines[i].text,
                      last.called >= 0 ? functions[last.called].name : "none", last.arguments);
    }
    rp_world_destroy(world);
    rt_model_close(model);
    return right;
}

static void test_thirty_lines(void **state)
{
    (void)state;
    const char *model = getenv("REPARTEE_MODEL");
    if (model == NULL || *model == '\0')
        skip();
    int with_arguments, right = count_right(true, &with_arguments);
    print_message("calibrated: %d of %d right, %d with their arguments\n", right, LINES, with_arguments);
    assert_true(right >= 24);
    assert_true(with_arguments >= 23);
    right = count_right(false, &with_arguments);
    print_message("raw: %d of %d right\n", right, LINES);
}

// In large pieces and in small ones: the same calls.
static void test_several_calls(void **state)
{
    (void)state;
    const char *path = getenv("REPARTEE_MODEL");
    if (path == NULL || *path == '\0')
        skip();
    rt_model *model;
    rp_world *world = open_world(true, &model);
    rp_character_id marta = create_marta(world);
    int right = 0;
    for (int i = 0; i < SEVERAL; i++) {
        say(world, marta, several[i].text, true, RP_BUDGET_UNLIMITED);
        seen whole = last;
        say(world, marta, several[i].text, true, 300);
        assert_string_equal(whole.transcript, last.transcript);
        bool is_right = last.all == several[i].wanted && last.calls == __builtin_popcount((unsigned)last.all);
        right += is_right;
        print_message("%s %s -> %s\n", is_right ? " " : "!", several[i].text, last.transcript);
    }
    rp_world_destroy(world);
    rt_model_close(model);
    print_message("several calls: %d of %d right\n", right, SEVERAL);
    assert_true(right >= SEVERAL - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_thirty_lines), cmocka_unit_test(test_several_calls) };
    return cmocka_run_group_tests_name("choice", tests, NULL, NULL);
}
