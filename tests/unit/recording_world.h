// A double of the world that records what scripts make, so that every callback can be called at will and no model is needed.
// Included by one test program: it defines the middleware's functions itself.
// SPDX-License-Identifier: MIT
#ifndef TESTS_RECORDING_WORLD_H
#define TESTS_RECORDING_WORLD_H

#include "repartee_lua/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_OBJECTS = 64, TEXT_SIZE = 8192 };

typedef struct fake_tool {
    rp_tool_def def;
    char name[160], description[256], parameters[TEXT_SIZE];
    bool alive;
} fake_tool;

typedef struct fake_character {
    rp_character_def def;
    char name[160], persona[TEXT_SIZE], knowledge[TEXT_SIZE], emotions[256], opening[256];
    rp_tool_id tools[16];
    bool alive;
} fake_character;

struct rp_world {
    fake_tool tools[MAX_OBJECTS];
    fake_character characters[MAX_OBJECTS];
    uint32_t tool_count, character_count;
    char answer[256];
    rp_call_status answer_status;
    int answers;
};

struct rp_writer {
    char text[TEXT_SIZE];
    size_t size;
};

static rp_world world;

rp_tool_def rp_default_tool_def(void)
{
    return (rp_tool_def){.cookie = 1, .once_per_turn = true, .timeout_us = 10000000};
}

rp_character_def rp_default_character_def(void)
{
    return (rp_character_def){.cookie = 1, .sampler = rt_default_sampler_def(), .max_reply_tokens = 96};
}

rt_result rp_writer_add(rp_writer *writer, const char *text, size_t size)
{
    assert_true(writer->size + size < sizeof(writer->text));
    memcpy(writer->text + writer->size, text, size);
    writer->size += size;
    writer->text[writer->size] = 0;
    return RT_OK;
}

rt_result rp_tool_create(rp_world *w, const rp_tool_def *def, rp_tool_id *tool)
{
    assert_true(w->tool_count < MAX_OBJECTS);
    fake_tool *made = &w->tools[w->tool_count++];
    *made = (fake_tool){.def = *def, .alive = true};
    snprintf(made->name, sizeof(made->name), "%s", def->name);
    snprintf(made->description, sizeof(made->description), "%s", def->description);
    snprintf(made->parameters, sizeof(made->parameters), "%s", def->parameters ? def->parameters : "");
    *tool = (rp_tool_id){w->tool_count, 1};
    if (strcmp(def->name, "refused") == 0) {
        made->alive = false;
        return rt_raise(NULL, RT_ERROR_UNSUPPORTED, "schema: /properties/x: keyword \"contains\" is not supported");
    }
    return RT_OK;
}

rt_result rp_tool_destroy(rp_world *w, rp_tool_id tool)
{
    assert_true(w->tools[tool.index - 1].alive);
    w->tools[tool.index - 1].alive = false;
    return RT_OK;
}

rt_result rp_tool_find(const rp_world *w, const char *name, rp_tool_id *tool)
{
    for (uint32_t i = 0; i < w->tool_count; i++) {
        if (w->tools[i].alive && strcmp(w->tools[i].name, name) == 0) {
            *tool = (rp_tool_id){i + 1, 1};
            return RT_OK;
        }
    }
    return RT_ERROR_NOT_FOUND;
}

const char *rp_tool_name(const rp_world *w, rp_tool_id tool)
{
    return tool.index && w->tools[tool.index - 1].alive ? w->tools[tool.index - 1].name : NULL;
}

rt_result rp_call_answer(rp_world *w, rp_call_id call, rp_call_status status, const char *answer)
{
    if (call.generation != 5) {
        return rt_raise(NULL, RT_ERROR_STALE_ID, "rp_call_answer: the turn has ended");
    }
    w->answer_status = status;
    w->answers++;
    snprintf(w->answer, sizeof(w->answer), "%s", answer);
    return RT_OK;
}

rt_result rp_character_create(rp_world *w, const rp_character_def *def, rp_character_id *character)
{
    rt_result result = rt_sampler_check(&def->sampler);
    if (result != RT_OK) {
        return result;
    }
    assert_true(w->character_count < MAX_OBJECTS);
    fake_character *made = &w->characters[w->character_count++];
    *made = (fake_character){.def = *def, .alive = true};
    snprintf(made->name, sizeof(made->name), "%s", def->name);
    snprintf(made->persona, sizeof(made->persona), "%s", def->persona);
    snprintf(made->knowledge, sizeof(made->knowledge), "%s", def->knowledge ? def->knowledge : "");
    for (int32_t i = 0; i < def->emotion_count; i++) {
        strcat(made->emotions, i ? "," : "");
        strcat(made->emotions, def->emotions[i]);
    }
    memcpy(made->tools, def->tools, (size_t)def->tool_count * sizeof(*def->tools));
    *character = (rp_character_id){w->character_count, 1};
    return RT_OK;
}

rt_result rp_character_add_history(rp_world *w, rp_character_id character, const char *player, const char *reply)
{
    char *opening = w->characters[character.index - 1].opening;
    size_t used = strlen(opening);
    snprintf(opening + used, sizeof(w->characters[0].opening) - used, "%s > %s; ", player, reply);
    return RT_OK;
}

rt_result rp_character_destroy(rp_world *w, rp_character_id character)
{
    assert_true(w->characters[character.index - 1].alive);
    w->characters[character.index - 1].alive = false;
    return RT_OK;
}

const char *rp_character_name(const rp_world *w, rp_character_id character)
{
    return character.index && w->characters[character.index - 1].alive ? w->characters[character.index - 1].name : NULL;
}

static int alive_objects(void)
{
    int alive = 0;
    for (uint32_t i = 0; i < world.tool_count; i++) {
        alive += world.tools[i].alive;
    }
    for (uint32_t i = 0; i < world.character_count; i++) {
        alive += world.characters[i].alive;
    }
    return alive;
}

#endif
