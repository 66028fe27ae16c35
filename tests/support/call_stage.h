// support/call_stage.h - a world whose model opens calls when its format's reply_opening says so: for tests of calls that
// models write themselves. See tests/reference/make_call_model.py.
// SPDX-License-Identifier: MIT
#ifndef CALL_STAGE_H
#define CALL_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "repartee/repartee.h"
#include "call/call.h"
#include "core/core.h"

static rt_model *model;

static inline int open_model(void **state)
{
    (void)state;
    rt_model_def def = rt_default_model_def();
    def.path = "tests/data/models/calls";
    return rt_model_open(&def, &model) == RT_OK ? 0 : -1;
}

static inline int close_model(void **state)
{
    (void)state;
    rt_model_close(model);
    return 0;
}

static uint64_t fake_now;

static inline uint64_t fake_clock(void *user)
{
    (void)user;
    return fake_now;
}

// A family, and the letters after which the model opens a call, only talks, or talks and then calls.
typedef struct style {
    const char *format, *opens, *talks_first;
} style;

static const style styles[] = {
    { "mistral-v3-tekken", "M", "P" },
    { "nemotron-mini", "N", "Q" },
    { "hermes", "H", NULL },
    { "chatml-tools", "H", NULL },
    { "llama-3.1", "L", NULL },
};

enum { STYLES = sizeof styles / sizeof styles[0], MISTRAL = 0, NEMOTRON = 1, HERMES = 2, QWEN = 3, LLAMA = 4 };

typedef struct game {
    rp_call_status status;
    const char *answer;
    int32_t calls;
    char arguments[4][256];
    rp_call_id last;
    rp_turn_id turn;
} game;

typedef struct stage {
    rp_format format;
    rp_world *world;
    rp_character_id marta;
    rp_tool_id tools[2];
    game games[2];
    rp_turn_id turn;
    char text[8192]; // what was shown
    char order[64];  // C call, R result, T text, D done, X cancelled
    int32_t calls, results, ends;
    char sentences[512];
    char first_arguments[256], last_result[512];
    rp_call_status status;
    rp_event last;
} stage;

static inline rp_call_status on_call(void *user, rp_world *world, const rp_call *call, rp_writer *answer)
{
    (void)world;
    game *g = user;
    snprintf(g->arguments[g->calls % 4], sizeof g->arguments[0], "%.*s", (int)call->arguments.size, call->arguments.data);
    g->calls++;
    g->last = call->id;
    g->turn = call->turn;
    if (g->answer != NULL)
        rp_writer_add(answer, g->answer, strlen(g->answer));
    return g->status;
}

static const char DRINK[] = "{\"type\": \"object\", \"properties\": {\"drink\": {\"enum\": [\"ale\", \"wine\"]}, "
                            "\"cups\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 4}}, \"required\": [\"drink\", \"cups\"]}";

static inline rp_tool_def drink_tool(stage *s)
{
    rp_tool_def def = rp_default_tool_def();
    def.name = "pour_drink";
    def.description = "Pour a drink";
    def.parameters = DRINK;
    def.call = on_call;
    def.user = &s->games[0];
    def.once_per_turn = false;
    return def;
}

static inline void open_stage(stage *s, const char *format, const char *opening, int32_t rounds, const rp_tool_def *tools, int32_t count)
{
    s->format = *rp_format_find(format);
    s->format.reply_opening = opening;
    rp_world_def def = rp_default_world_def();
    def.model = model;
    def.format = &s->format;
    def.max_characters = 4;
    def.max_queued_turns = 16;
    def.max_active_turns = 2;
    def.max_call_rounds = rounds;
    def.clock_ns = fake_clock;
    fake_now = 1000000000;
    assert_int_equal(rp_world_create(&def, &s->world), RT_OK);
    for (int32_t i = 0; i < count; i++)
        assert_int_equal(rp_tool_create(s->world, &tools[i], &s->tools[i]), RT_OK);
    rp_character_def character = rp_default_character_def();
    character.name = "Marta";
    character.persona = "Innkeeper.";
    character.tools = s->tools;
    character.tool_count = count;
    character.max_reply_tokens = 12;
    character.sampler.temperature = 0;
    character.sampler.repetition_penalty = 1;
    assert_int_equal(rp_character_create(s->world, &character, &s->marta), RT_OK);
}

static inline void listen(stage *s)
{
    rp_event event;
    while (rp_world_next_event(s->world, &event)) {
        char mark = event.kind == RP_EVENT_CALL          ? 'C'
                    : event.kind == RP_EVENT_CALL_RESULT ? 'R'
                    : event.kind == RP_EVENT_TEXT        ? 'T'
                    : event.kind == RP_EVENT_TURN_DONE   ? 'D'
                    : event.kind == RP_EVENT_TURN_CANCELLED ? 'X'
                    : event.kind == RP_EVENT_TURN_FAILED ? 'F'
                                                         : 0;
        size_t marks = strlen(s->order);
        if (mark != 0 && marks + 1 < sizeof s->order && !(mark == 'T' && marks > 0 && s->order[marks - 1] == 'T')) {
            s->order[marks] = mark;
            s->order[marks + 1] = '\0';
        }
        if (event.kind == RP_EVENT_TEXT)
            strncat(s->text, event.text.data, sizeof s->text - strlen(s->text) - 1);
        if (event.kind == RP_EVENT_SENTENCE) {
            strncat(s->sentences, event.text.data, sizeof s->sentences - strlen(s->sentences) - 2);
            strcat(s->sentences, "|");
        }
        if (event.kind == RP_EVENT_CALL && s->calls++ == 0)
            snprintf(s->first_arguments, sizeof s->first_arguments, "%s", event.text.data);
        if (event.kind == RP_EVENT_CALL_RESULT) {
            s->results++;
            s->status = event.call_status;
            snprintf(s->last_result, sizeof s->last_result, "%s", event.text.data);
        }
        if (event.kind >= RP_EVENT_TURN_DONE && event.kind <= RP_EVENT_TURN_FAILED) {
            s->ends++;
            s->last = event;
        }
    }
}

static inline void say(stage *s, const char *line)
{
    s->text[0] = s->order[0] = s->sentences[0] = s->first_arguments[0] = s->last_result[0] = '\0';
    s->calls = s->results = s->ends = 0;
    assert_int_equal(rp_character_say(s->world, s->marta, &(rp_say){ .text = line }, &s->turn), RT_OK);
    assert_int_equal(rp_world_update(s->world, RP_BUDGET_UNLIMITED), RT_OK);
    listen(s);
}

static inline void close_stage(stage *s)
{
    rp_world_destroy(s->world);
    s->world = NULL;
}

// The slot that is kept for whoever the player talks to: where every turn of these tests is served.
static inline rpi_slot *focus_slot(const stage *s)
{
    return &s->world->slots[s->world->slot_count - 1];
}

static inline const char *last_prompt(const stage *s)
{
    return focus_slot(s)->prompt.text;
}

static inline void check_drink(const char *arguments)
{
    json_error_t error;
    json_t *value = json_loads(arguments, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(value);
    const char *drink;
    json_int_t cups;
    assert_int_equal(json_unpack_ex(value, &error, JSON_STRICT, "{s:s, s:I}", "drink", &drink, "cups", &cups), 0);
    assert_true(strcmp(drink, "ale") == 0 || strcmp(drink, "wine") == 0);
    assert_true(cups >= 1 && cups <= 4);
    json_decref(value);
}

// Nothing of a call is ever shown.
static inline void check_shown(const stage *s)
{
    static const char *const syntax[] = { "[TOOL_CALLS]", "<tool", "toolcall", "tool_call", "pour_drink", "{", "}" };
    for (size_t i = 0; i < sizeof syntax / sizeof *syntax; i++)
        if (strstr(s->text, syntax[i]) != NULL)
            fail_msg("%s: shown: %s", s->format.name, s->text);
}

#endif
