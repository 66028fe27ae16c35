// character/character.c - making, changing and removing characters.
// SPDX-License-Identifier: MIT
#include "character/character.h"
#include "core/core.h"
#include "tool/tool.h"

#include <string.h>

enum { CHARACTER_COOKIE = 0x52504348, FIRST_HISTORY_BYTES = 8192 };

rp_character_def rp_default_character_def(void)
{
    return (rp_character_def){
        .cookie = CHARACTER_COOKIE,
        .sampler = rt_default_sampler_def(),
        .max_reply_tokens = 96,
    };
}

rpi_character *rpi_character_get(const rp_world *world, rp_character_id id)
{
    if (world == NULL || id.index == 0 || id.index > (uint32_t)world->def.max_characters)
        return NULL;
    rpi_character *character = &world->characters[id.index - 1];
    return character->alive && character->generation == id.generation ? character : NULL;
}

rp_character_id rpi_character_id(const rpi_character *character)
{
    return (rp_character_id){ character->index, character->generation };
}

static rt_result stale(const rp_world *world, const char *function)
{
    return rpi_fail(world != NULL ? &world->host : NULL, RT_ERROR_STALE_ID, "%s: no such character", function);
}

static rt_result check_text(const rp_world *world, const char *field, const char *text)
{
    if (text == NULL || rpi_utf8_is_valid(text, strlen(text)))
        return RT_OK;
    return rpi_fail(&world->host, RT_ERROR_INVALID_ARGUMENT, "rp_character_create: %s is not UTF-8", field);
}

static rt_result check_name(const rp_world *world, const char *name)
{
    const rt_host *host = &world->host;
    if (name == NULL || name[0] == '\0' || strlen(name) > RPI_MAX_NAME)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_character_create: name: expected 1 to %d bytes",
                        RPI_MAX_NAME);
    for (const char *at = name; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20)
            return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_character_create: name: has control characters");
    for (int32_t i = 0; i < world->def.max_characters; i++)
        if (world->characters[i].alive && strcmp(world->characters[i].name, name) == 0)
            return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_character_create: the name \"%s\" is taken", name);
    return check_text(world, "name", name);
}

static rt_result check_tools(const rp_world *world, const char *function, const rp_tool_id *tools, int32_t count)
{
    if (count < 0 || count > RPI_MAX_TOOLS || (count > 0 && tools == NULL))
        return rpi_fail(&world->host, RT_ERROR_INVALID_ARGUMENT, "%s: tool_count is %d: expected 0 to %d", function,
                        count, RPI_MAX_TOOLS);
    for (int32_t i = 0; i < count; i++)
        if (rpi_tool_get(world, tools[i]) == NULL)
            return rpi_fail(&world->host, RT_ERROR_STALE_ID, "%s: tools[%d]: no such tool", function, i);
    return RT_OK;
}

static rt_result check_def(const rp_world *world, const rp_character_def *def)
{
    const rt_host *host = &world->host;
    if (def->cookie != CHARACTER_COOKIE)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT,
                        "rp_character_create: the def did not come from rp_default_character_def");
    rt_result result = check_name(world, def->name);
    if (result == RT_OK)
        result = check_text(world, "persona", def->persona);
    if (result == RT_OK)
        result = check_text(world, "knowledge", def->knowledge);
    if (result == RT_OK)
        result = check_tools(world, "rp_character_create", def->tools, def->tool_count);
    if (result == RT_OK)
        result = rt_sampler_check(&def->sampler);
    if (result != RT_OK)
        return result;
    if (def->emotion_count < 0 || def->emotion_count > RPI_MAX_EMOTIONS ||
        (def->emotion_count > 0 && def->emotions == NULL))
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_character_create: emotion_count is %d: expected 0 to %d",
                        def->emotion_count, RPI_MAX_EMOTIONS);
    if (def->fallback_line_count < 0 || (def->fallback_line_count > 0 && def->fallback_lines == NULL))
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_character_create: fallback_line_count is %d",
                        def->fallback_line_count);
    if (def->max_reply_tokens < 1 || def->max_reply_tokens > world->context_size || def->max_history_turns < 0)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT,
                        "rp_character_create: max_reply_tokens %d, max_history_turns %d: expected 1 to %d, and 0 or more",
                        def->max_reply_tokens, def->max_history_turns, world->context_size);
    for (int32_t i = 0; i < def->emotion_count; i++)
        if (def->emotions[i] == NULL || def->emotions[i][0] == '\0' ||
            check_text(world, "an emotion", def->emotions[i]) != RT_OK)
            return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_character_create: emotions[%d] is empty or not UTF-8", i);
    for (int32_t i = 0; i < def->fallback_line_count; i++)
        if (def->fallback_lines[i] == NULL || check_text(world, "a line", def->fallback_lines[i]) != RT_OK)
            return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_character_create: fallback_lines[%d] is not UTF-8", i);
    return RT_OK;
}

// A copy of an array of texts; NULL with *ok false when memory ran out (what was copied is in the array, zeros behind).
static char **copy_list(const rt_host *host, const char *const *list, int32_t count, bool *ok)
{
    if (count == 0)
        return NULL;
    char **copy = rpi_allocate_zeroed(host, (size_t)count * sizeof *copy);
    *ok = *ok && copy != NULL;
    for (int32_t i = 0; *ok && i < count; i++) {
        copy[i] = rpi_copy_text(host, list[i], strlen(list[i]));
        *ok = copy[i] != NULL;
    }
    return copy;
}

static void free_list(const rt_host *host, char **list, int32_t count)
{
    for (int32_t i = 0; list != NULL && i < count; i++)
        rpi_release_text(host, list[i]);
    rpi_release(host, list, (size_t)count * sizeof *list);
}

static char *copy_optional(const rt_host *host, const char *text, bool *ok)
{
    if (text == NULL)
        return NULL;
    char *copy = rpi_copy_text(host, text, strlen(text));
    *ok = *ok && copy != NULL;
    return copy;
}

static bool fill(rp_world *world, rpi_character *character, const rp_character_def *def)
{
    const rt_host *host = &world->host;
    bool ok = true;
    character->name = copy_optional(host, def->name, &ok);
    character->persona = copy_optional(host, def->persona != NULL ? def->persona : "", &ok);
    character->knowledge = copy_optional(host, def->knowledge, &ok);
    character->tools = rpi_allocate_zeroed(host, RPI_MAX_TOOLS * sizeof *character->tools);
    character->tool_ready_ns = rpi_allocate_zeroed(host, RPI_MAX_TOOLS * sizeof *character->tool_ready_ns);
    ok = ok && character->tools != NULL && character->tool_ready_ns != NULL;
    character->emotion_count = def->emotion_count;
    character->emotions = copy_list(host, def->emotions, def->emotion_count, &ok);
    character->fallback_line_count = def->fallback_line_count;
    character->fallback_lines = copy_list(host, def->fallback_lines, def->fallback_line_count, &ok);
    ok = ok && rpi_history_reserve(host, &character->history, FIRST_HISTORY_BYTES);
    if (!ok)
        return false;
    if (def->tool_count > 0)
        memcpy(character->tools, def->tools, (size_t)def->tool_count * sizeof *def->tools);
    character->tool_count = def->tool_count;
    character->sampler = def->sampler;
    character->max_reply_tokens = def->max_reply_tokens;
    character->max_history_turns = def->max_history_turns;
    character->seed = rpi_hash(def->name, strlen(def->name), rpi_mix(world->def.seed, def->sampler.seed));
    return true;
}

rt_result rp_character_create(rp_world *world, const rp_character_def *def, rp_character_id *character)
{
    if (world == NULL || def == NULL || character == NULL)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_character_create: a null pointer");
    *character = (rp_character_id){ 0 };
    rpi_world_lock(world);
    rt_result result = rpi_world_check_idle(world, "rp_character_create");
    if (result == RT_OK)
        result = check_def(world, def);
    rpi_character *fresh = NULL;
    for (int32_t i = 0; result == RT_OK && fresh == NULL && i < world->def.max_characters; i++)
        if (!world->characters[i].alive)
            (fresh = &world->characters[i])->index = (uint32_t)i + 1;
    if (result == RT_OK && fresh == NULL)
        result = rpi_fail(&world->host, RT_ERROR_TOO_LARGE,
                          "rp_character_create: max_characters (%d) are alive: raise it in the world's def",
                          world->def.max_characters);
    if (result == RT_OK && !fill(world, fresh, def)) {
        rpi_character_free(world, fresh);
        result = rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_character_create: \"%s\": out of memory", def->name);
    }
    if (result == RT_OK) {
        fresh->alive = true;
        fresh->generation++;
        *character = rpi_character_id(fresh);
    }
    rpi_world_unlock(world);
    return result;
}

void rpi_character_free(rp_world *world, rpi_character *character)
{
    const rt_host *host = &world->host;
    rpi_release_text(host, character->name);
    rpi_release_text(host, character->persona);
    rpi_release_text(host, character->knowledge);
    rpi_release_text(host, character->state);
    rpi_release(host, character->tools, RPI_MAX_TOOLS * sizeof *character->tools);
    rpi_release(host, character->tool_ready_ns, RPI_MAX_TOOLS * sizeof *character->tool_ready_ns);
    free_list(host, character->emotions, character->emotion_count);
    free_list(host, character->fallback_lines, character->fallback_line_count);
    rpi_history_free(host, &character->history);
    *character = (rpi_character){ .index = character->index, .generation = character->generation };
}

rt_result rp_character_find(const rp_world *world, const char *name, rp_character_id *character)
{
    if (world == NULL || name == NULL || character == NULL)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_character_find: a null pointer");
    for (int32_t i = 0; i < world->def.max_characters; i++) {
        if (world->characters[i].alive && strcmp(world->characters[i].name, name) == 0) {
            *character = rpi_character_id(&world->characters[i]);
            return RT_OK;
        }
    }
    return rpi_fail(&world->host, RT_ERROR_NOT_FOUND, "rp_character_find: no character is called \"%s\"", name);
}

const char *rp_character_name(const rp_world *world, rp_character_id id)
{
    const rpi_character *character = rpi_character_get(world, id);
    return character != NULL ? character->name : NULL;
}

// Replaces one of a character's texts; takes effect when its next turn is put together.
static rt_result set_text(rp_world *world, const char *function, char **field, const char *text)
{
    if (text != NULL && !rpi_utf8_is_valid(text, strlen(text)))
        return rpi_fail(&world->host, RT_ERROR_INVALID_ARGUMENT, "%s: the text is not UTF-8", function);
    char *copy = NULL;
    if (text != NULL && (copy = rpi_copy_text(&world->host, text, strlen(text))) == NULL)
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "%s: out of memory", function);
    rpi_world_lock(world);
    rpi_release_text(&world->host, *field);
    *field = copy;
    rpi_world_unlock(world);
    return RT_OK;
}

static rt_result find_idle(rp_world *world, rp_character_id id, const char *function, rpi_character **character)
{
    *character = rpi_character_get(world, id);
    if (*character == NULL)
        return stale(world, function);
    return rpi_world_check_idle(world, function);
}

rt_result rp_character_set_persona(rp_world *world, rp_character_id id, const char *persona)
{
    rpi_character *character;
    rt_result result = find_idle(world, id, "rp_character_set_persona", &character);
    if (result != RT_OK || persona == NULL)
        return result;
    return set_text(world, "rp_character_set_persona", &character->persona, persona);
}

rt_result rp_character_set_sampler(rp_world *world, rp_character_id id, const rt_sampler_def *sampler)
{
    rpi_character *character;
    rt_result result = find_idle(world, id, "rp_character_set_sampler", &character);
    if (result == RT_OK)
        result = sampler != NULL ? rt_sampler_check(sampler)
                                 : rpi_fail(&world->host, RT_ERROR_INVALID_ARGUMENT, "rp_character_set_sampler: no sampler");
    if (result != RT_OK)
        return result;
    rpi_world_lock(world);
    character->sampler = *sampler;
    character->seed = rpi_hash(character->name, strlen(character->name), rpi_mix(world->def.seed, sampler->seed));
    rpi_world_unlock(world);
    return RT_OK;
}

rt_result rp_character_get_sampler(const rp_world *world, rp_character_id id, rt_sampler_def *sampler)
{
    const rpi_character *character = rpi_character_get(world, id);
    if (character == NULL || sampler == NULL)
        return rpi_fail(world != NULL ? &world->host : NULL, character == NULL ? RT_ERROR_STALE_ID : RT_ERROR_INVALID_ARGUMENT,
                        "rp_character_get_sampler: no such character, or no place for its sampler");
    *sampler = character->sampler;
    return RT_OK;
}

rt_result rp_character_set_state(rp_world *world, rp_character_id id, const char *state)
{
    rpi_character *character;
    rt_result result = find_idle(world, id, "rp_character_set_state", &character);
    return result != RT_OK ? result : set_text(world, "rp_character_set_state", &character->state, state);
}

rt_result rp_character_set_tools(rp_world *world, rp_character_id id, const rp_tool_id *tools, int32_t count)
{
    rpi_character *character;
    rt_result result = find_idle(world, id, "rp_character_set_tools", &character);
    if (result == RT_OK && tools != NULL)
        result = check_tools(world, "rp_character_set_tools", tools, count);
    if (result != RT_OK || tools == NULL)
        return result;
    uint64_t ready[RPI_MAX_TOOLS] = { 0 };
    rpi_world_lock(world);
    for (int32_t i = 0; i < count; i++) // a cooldown stays with its tool
        for (int32_t j = 0; j < character->tool_count; j++)
            if (RP_ID_EQUAL(tools[i], character->tools[j]))
                ready[i] = character->tool_ready_ns[j];
    memmove(character->tools, tools, (size_t)count * sizeof *tools);
    memcpy(character->tool_ready_ns, ready, sizeof ready);
    character->tool_count = count;
    rpi_world_unlock(world);
    return RT_OK;
}

rt_result rp_character_clear_history(rp_world *world, rp_character_id id)
{
    rpi_character *character;
    rt_result result = find_idle(world, id, "rp_character_clear_history", &character);
    if (result != RT_OK)
        return result;
    rpi_world_lock(world);
    rpi_history_clear(&character->history);
    rpi_world_unlock(world);
    return RT_OK;
}

rt_result rp_character_add_history(rp_world *world, rp_character_id id, const char *player, const char *reply)
{
    rpi_character *character;
    rt_result result = find_idle(world, id, "rp_character_add_history", &character);
    if (result != RT_OK)
        return result;
    rpi_world_lock(world);
    rpi_buffer line = { 0 }, answer = { 0 };
    bool added = rpi_buffer_add_repaired(&world->host, &line, player, player != NULL ? strlen(player) : 0) &&
                 rpi_buffer_add_repaired(&world->host, &answer, reply, reply != NULL ? strlen(reply) : 0);
    rpi_exchange_text text = { .line = { line.data, line.size }, .reply = { answer.data, answer.size } };
    added = added && rpi_history_add(&world->host, &character->history, &text);
    rpi_buffer_free(&world->host, &line);
    rpi_buffer_free(&world->host, &answer);
    if (added)
        character->turn_number++;
    else
        result = rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_character_add_history: out of memory");
    rpi_world_unlock(world);
    return result;
}
