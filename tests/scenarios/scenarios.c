// scenarios/scenarios.c - the tavern in which four characters are spoken to.
// SPDX-License-Identifier: MIT
#include "scenarios/scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct person {
    const char *name, *persona;
    const char *lines[SCENARIO_ROUNDS];
} person;

static const person people[SCENARIO_CHARACTERS] = {
    { "Marta", "Innkeeper of the Gilded Griffin. Dry wit, remembers every debt.",
      { "Good evening! Pour me a cup of ale, please.", "And how much do I owe you now?" } },
    { "Old Tomas", "A retired soldier who tells the same three stories.",
      { "Tell me about the war, old man.", "You told me that one already." } },
    { "Elise", "A young bard who has lost her lute.", { "Why so sad, Elise?", "I saw a lute at the smith's." } },
    { "\xC3\x85se", "A trader from the north. Speaks little.", { "What do you sell?", "Too expensive for me." } },
};

static const char LORE[] = "The Gilded Griffin is a tavern at a crossroads. It is raining. The road to the north is flooded.";

const char *scenario_tiny_model(void)
{
    return "tests/data/models/chat";
}

const char *scenario_default_model(void)
{
    const char *path = getenv("REPARTEE_MODEL");
    if (path == NULL)
        path = "assets/models/smollm2-135m-instruct.gguf";
    return access(path, R_OK) == 0 ? path : NULL;
}

const char *scenario_line(int32_t character, int32_t round)
{
    return people[character].lines[round];
}

rt_result scenario_open_model(const char *path, rt_isa isa, rt_model **model)
{
    rt_model_def def = rt_default_model_def();
    def.path = path;
    def.isa = isa;
    return rt_model_open(&def, model);
}

scenario_def scenario_default(rt_model *model)
{
    return (scenario_def){ .model = model, .budget_us = RP_BUDGET_UNLIMITED, .count = SCENARIO_CHARACTERS, .rounds = SCENARIO_ROUNDS, .reply_tokens = 24,
                       .seed = 1, .speculate = true };
}

rt_result scenario_create_world(const scenario_def *scenario, rp_world **world)
{
    rp_world_def def = rp_default_world_def();
    def.host = scenario->host;
    def.model = scenario->model;
    def.lore = LORE;
    def.seed = scenario->seed;
    def.mode = scenario->mode;
    def.worker_count = scenario->worker_count;
    def.speculate = scenario->speculate;
    def.max_characters = 64;
    def.max_queued_turns = 128;
    if (scenario->max_active_turns > 0)
        def.max_active_turns = scenario->max_active_turns;
    return rp_world_create(&def, world);
}

static rp_call_status pour(void *user, rp_world *world, const rp_call *call, rp_writer *answer)
{
    (void)user;
    (void)world;
    char text[128];
    int size = snprintf(text, sizeof text, "poured: %.*s", (int)(call->arguments.size < 64 ? call->arguments.size : 64),
                        call->arguments.data);
    rp_writer_add(answer, text, (size_t)size);
    return RP_CALL_ANSWERED;
}

rt_result scenario_create_tools(rp_world *world, rp_tool_id tools[SCENARIO_TOOLS])
{
    rp_tool_def def = rp_default_tool_def();
    def.name = "pour_drink";
    def.description = "Pour the guest a drink";
    def.parameters = "{\"type\": \"object\", \"properties\": {\"drink\": {\"type\": \"string\", \"enum\": [\"ale\", \"wine\", "
                     "\"mead\"]}, \"cups\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 4}}, "
                     "\"required\": [\"drink\", \"cups\"], \"additionalProperties\": false}";
    def.call = pour;
    rt_result result = rp_tool_create(world, &def, &tools[0]);
    def.name = "give_room_key";
    def.description = "Give the guest the key of a room";
    def.parameters = NULL;
    return result == RT_OK ? rp_tool_create(world, &def, &tools[1]) : result;
}

rt_result scenario_create_character(rp_world *world, const scenario_def *scenario, int32_t index, const rp_tool_id *tools,
                                    rp_character_id *character)
{
    static const char *const emotions[] = { "neutral", "amused", "stern", "warm" };
    rp_character_def def = rp_default_character_def();
    char name[64];
    snprintf(name, sizeof name, "Guest %d", (int)index);
    def.name = index < SCENARIO_CHARACTERS ? people[index].name : name;
    def.persona = index < SCENARIO_CHARACTERS ? people[index].persona : "A guest who talks about the weather.";
    def.max_reply_tokens = scenario->reply_tokens;
    def.sampler.temperature = 0.8f;
    if (scenario->tools) {
        def.tools = tools;
        def.tool_count = SCENARIO_TOOLS;
    }
    if (scenario->emotions && index == 0) {
        def.emotions = emotions;
        def.emotion_count = 4;
    }
    return rp_character_create(world, &def, character);
}

// ---------------------------------------------------------------------------------------------------------------------
// Playing
// ---------------------------------------------------------------------------------------------------------------------

typedef struct scenario_stage {
    const scenario_def *scenario;
    rp_world *world;
    rp_character_id characters[SCENARIO_CHARACTERS], others[64];
    scenario_result *result;
    int32_t open; // turns of the four that have not ended
} scenario_stage;

static void note(scenario_result *result, int32_t who, const char *mark, rp_text text)
{
    uint64_t hash = result->hash[who];
    for (const char *at = mark; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001B3u;
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001B3u;
    result->hash[who] = hash;
    size_t used = strlen(result->text[who]);
    snprintf(result->text[who] + used, sizeof result->text[who] - used, "%s%.*s\n", mark, (int)text.size, text.data);
}

static void take_events(scenario_stage *stage)
{
    rp_event event;
    scenario_result *result = stage->result;
    while (rp_world_next_event(stage->world, &event)) {
        int32_t who = -1;
        for (int32_t i = 0; i < SCENARIO_CHARACTERS; i++)
            if (!RP_ID_IS_NULL(event.character) && RP_ID_EQUAL(event.character, stage->characters[i]))
                who = i;
        if (who < 0)
            continue;
        switch (event.kind) {
        case RP_EVENT_EMOTION: note(result, who, "* ", event.text); break;
        case RP_EVENT_CALL: note(result, who, "! ", event.text); result->calls++; break;
        case RP_EVENT_CALL_RESULT: note(result, who, "= ", event.text); break;
        case RP_EVENT_SENTENCE: note(result, who, ". ", event.text); break;
        case RP_EVENT_TURN_DONE: note(result, who, "> ", event.text); result->turns_done++; stage->open--; break;
        case RP_EVENT_TURN_CANCELLED:
        case RP_EVENT_TURN_DROPPED:
        case RP_EVENT_TURN_FAILED: note(result, who, "# ", event.text); result->turns_failed++; stage->open--; break;
        default: break;
        }
    }
}

static rt_result say_round(scenario_stage *stage, int32_t round)
{
    const scenario_def *s = stage->scenario;
    for (int32_t i = 0; i < s->others; i++) {
        rp_say say = { .text = "Will it rain tomorrow as well?", .priority = RP_PRIORITY_AMBIENT };
        rt_result result = rp_character_say(stage->world, stage->others[i], &say, NULL);
        if (result != RT_OK)
            return result;
    }
    for (int32_t i = s->first; i < s->first + s->count; i++) {
        rp_say say = { .text = people[i].lines[round], .priority = i == 0 ? RP_PRIORITY_FOCUS : RP_PRIORITY_NEARBY };
        rt_result result = rp_character_say(stage->world, stage->characters[i], &say, NULL);
        if (result != RT_OK)
            return result;
        stage->open++;
    }
    return RT_OK;
}

static rt_result populate(scenario_stage *stage)
{
    const scenario_def *s = stage->scenario;
    rp_tool_id tools[SCENARIO_TOOLS] = { { 0 } };
    rt_result result = s->tools ? scenario_create_tools(stage->world, tools) : RT_OK;
    for (int32_t i = s->first; result == RT_OK && i < s->first + s->count; i++)
        result = scenario_create_character(stage->world, s, i, tools, &stage->characters[i]);
    for (int32_t i = 0; result == RT_OK && i < s->others; i++)
        result = scenario_create_character(stage->world, s, SCENARIO_CHARACTERS + i, tools, &stage->others[i]);
    return result;
}

rt_result scenario_play(const scenario_def *scenario, scenario_result *result)
{
    scenario_stage stage = { .scenario = scenario, .result = result };
    memset(result, 0, sizeof *result);
    rt_result code = scenario_create_world(scenario, &stage.world);
    if (code == RT_OK && scenario->recording != NULL)
        code = rp_world_set_recording(stage.world, scenario->recording);
    if (code == RT_OK)
        code = populate(&stage);
    for (int32_t round = 0; code == RT_OK && round < scenario->rounds; round++) {
        code = say_round(&stage, round);
        for (int32_t frame = 0; code == RT_OK && stage.open > 0 && frame < 1000000; frame++) {
            code = rp_world_update(stage.world, scenario->budget_us);
            if (scenario->mode == RP_MODE_BACKGROUND)
                usleep(200); // the rest of the frame
            take_events(&stage);
        }
    }
    rp_world_get_stats(stage.world, &result->stats);
    rp_world_destroy(stage.world);
    return code;
}

// ---------------------------------------------------------------------------------------------------------------------
// Memory that can fail
// ---------------------------------------------------------------------------------------------------------------------

static void *failing_allocate(void *user, void *pointer, size_t old_size, size_t new_size, size_t alignment)
{
    scenario_memory *memory = user;
    if (new_size == 0) {
        memory->blocks -= pointer != NULL;
        memory->bytes -= pointer != NULL ? (int64_t)old_size : 0;
        free(pointer);
        return NULL;
    }
    if (++memory->allocations == memory->fail_at)
        return NULL;
    void *fresh = NULL;
    if (posix_memalign(&fresh, alignment < sizeof(void *) ? sizeof(void *) : alignment, new_size) != 0)
        return NULL;
    memset(fresh, 0xA5, new_size); // nobody may rely on zeros
    if (pointer != NULL) {
        memcpy(fresh, pointer, old_size < new_size ? old_size : new_size);
        free(pointer);
        memory->bytes -= (int64_t)old_size;
        memory->blocks--;
    }
    memory->blocks++;
    memory->bytes += (int64_t)new_size;
    return fresh;
}

rt_host scenario_host(scenario_memory *memory)
{
    return (rt_host){ .allocate = failing_allocate, .user = memory };
}
