// tool/tool.c - making, finding and removing the game's functions.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "tool/tool.h"

#include <string.h>

enum { TOOL_COOKIE = 0x5250544C, MOST_TOOLS = 4096 };

const char rpi_no_parameters[] = "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}";

rp_tool_def rp_default_tool_def(void)
{
    return (rp_tool_def){ .cookie = TOOL_COOKIE, .once_per_turn = true, .timeout_us = 10000000 };
}

rt_result rp_writer_add(rp_writer *writer, const char *text, size_t size)
{
    if (writer == NULL || (text == NULL && size > 0))
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_writer_add: a null pointer");
    if (writer->result != RT_OK)
        return writer->result;
    if (size > writer->limit - writer->buffer->size)
        writer->result = rpi_fail(writer->host, RT_ERROR_TOO_LARGE, "rp_writer_add: more than %zu bytes", writer->limit);
    else if (!rpi_buffer_add(writer->host, writer->buffer, text, size))
        writer->result = rpi_fail(writer->host, RT_ERROR_OUT_OF_MEMORY, "rp_writer_add: out of memory");
    return writer->result;
}

rpi_tool *rpi_tool_get(const rp_world *world, rp_tool_id id)
{
    if (world == NULL || id.index == 0 || id.index > world->tool_count)
        return NULL;
    rpi_tool *tool = &world->tools[id.index - 1];
    return tool->alive && tool->generation == id.generation ? tool : NULL;
}

rp_tool_id rpi_tool_id(const rpi_tool *tool)
{
    return (rp_tool_id){ tool->index, tool->generation };
}

static rpi_tool *find_by_name(const rp_world *world, const char *name)
{
    for (size_t i = 0; i < world->tool_count; i++)
        if (world->tools[i].alive && strcmp(world->tools[i].name, name) == 0)
            return &world->tools[i];
    return NULL;
}

static rt_result check_def(const rp_world *world, const rp_tool_def *def)
{
    const rt_host *host = &world->host;
    if (def->cookie != TOOL_COOKIE)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_tool_create: the def did not come from rp_default_tool_def");
    size_t size = def->name != NULL ? strlen(def->name) : 0;
    if (size == 0 || size > RPI_MAX_NAME || !rpi_utf8_is_valid(def->name, size))
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_tool_create: name: expected 1 to %d bytes of UTF-8", RPI_MAX_NAME);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)def->name[i] < 0x20 || def->name[i] == 0x7F)
            return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_tool_create: name: has control characters");
    if (find_by_name(world, def->name) != NULL)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_tool_create: the name \"%s\" is taken", def->name);
    if (strcmp(def->name, "none") == 0)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_tool_create: the name \"none\" means that nothing is called");
    if (def->call == NULL)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_tool_create: \"%s\": no call function", def->name);
    if (def->parameters != NULL && def->live_parameters != NULL)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_tool_create: \"%s\": parameters and live_parameters: give one",
                        def->name);
    if (def->description != NULL && !rpi_utf8_is_valid(def->description, strlen(def->description)))
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_tool_create: \"%s\": description is not UTF-8", def->name);
    return RT_OK;
}

static rt_result compile(rp_world *world, const char *schema, bool is_result, rt_grammar **grammar)
{
    rt_grammar_def def = rt_default_grammar_def();
    def.host = world->host;
    def.kind = RT_GRAMMAR_JSON_SCHEMA;
    def.text = schema;
    def.text_size = strlen(schema);
    def.plain_integers = !is_result;
    if (is_result) { // written by the game, in whatever layout
        def.spacing = RT_JSON_FLEXIBLE;
        def.any_property_order = true;
    }
    return rt_grammar_create(world->vocabulary, &def, grammar);
}

static rt_result fill(rp_world *world, rpi_tool *tool, const rp_tool_def *def)
{
    const rt_host *host = &world->host;
    const char *parameters = def->parameters != NULL ? def->parameters : rpi_no_parameters;
    tool->def = *def;
    tool->name = rpi_copy_text(host, def->name, strlen(def->name));
    if (def->description != NULL)
        tool->description = rpi_copy_text(host, def->description, strlen(def->description));
    if (def->live_parameters == NULL)
        tool->parameters = rpi_copy_text(host, parameters, strlen(parameters));
    if (tool->name == NULL || (def->description != NULL && tool->description == NULL) ||
        (def->live_parameters == NULL && tool->parameters == NULL))
        return rpi_fail(host, RT_ERROR_OUT_OF_MEMORY, "rp_tool_create: \"%s\": out of memory", def->name);
    tool->def.name = tool->def.description = tool->def.parameters = tool->def.result = NULL;
    rt_result result = RT_OK;
    if (world->vocabulary == NULL)
        result = rt_vocabulary_create(world->tokenizer, host, &world->vocabulary);
    if (result == RT_OK && tool->parameters != NULL)
        result = compile(world, tool->parameters, false, &tool->grammar);
    if (result == RT_OK && def->result != NULL)
        result = compile(world, def->result, true, &tool->result_grammar);
    return result;
}

static rt_result find_place(rp_world *world, rpi_tool **place)
{
    *place = NULL;
    for (size_t i = 0; i < world->tool_count && *place == NULL; i++)
        if (!world->tools[i].alive)
            *place = &world->tools[i];
    if (*place != NULL)
        return RT_OK;
    if (world->tool_count >= MOST_TOOLS)
        return rpi_fail(&world->host, RT_ERROR_TOO_LARGE, "rp_tool_create: a world has at most %d tools", MOST_TOOLS);
    void *tools = world->tools;
    bool fits = rpi_array_reserve(&world->host, &tools, &world->tool_capacity, world->tool_count + 1, sizeof *world->tools);
    world->tools = tools;
    if (!fits)
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_tool_create: out of memory");
    *place = &world->tools[world->tool_count++];
    **place = (rpi_tool){ .index = (uint32_t)world->tool_count };
    return RT_OK;
}

rt_result rp_tool_create(rp_world *world, const rp_tool_def *def, rp_tool_id *id)
{
    if (world == NULL || def == NULL || id == NULL)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_tool_create: a null pointer");
    *id = (rp_tool_id){ 0 };
    rpi_world_lock(world);
    rpi_tool *tool = NULL;
    rt_result result = rpi_world_check_idle(world, "rp_tool_create");
    if (result == RT_OK)
        result = check_def(world, def);
    if (result == RT_OK)
        result = find_place(world, &tool);
    if (result == RT_OK && (result = fill(world, tool, def)) != RT_OK)
        rpi_tool_free(world, tool);
    if (result == RT_OK) {
        tool->alive = true;
        tool->generation++;
        *id = rpi_tool_id(tool);
    }
    rpi_world_unlock(world);
    return result;
}

void rpi_tool_free(rp_world *world, rpi_tool *tool)
{
    const rt_host *host = &world->host;
    rpi_release_text(host, tool->name);
    rpi_release_text(host, tool->description);
    rpi_release_text(host, tool->parameters);
    rt_grammar_release(tool->grammar);
    rt_grammar_release(tool->result_grammar);
    *tool = (rpi_tool){ .index = tool->index, .generation = tool->generation };
}

rt_result rp_tool_find(const rp_world *world, const char *name, rp_tool_id *id)
{
    if (world == NULL || name == NULL || id == NULL)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_tool_find: a null pointer");
    const rpi_tool *tool = find_by_name(world, name);
    if (tool == NULL)
        return rpi_fail(&world->host, RT_ERROR_NOT_FOUND, "rp_tool_find: no tool is called \"%s\"", name);
    *id = rpi_tool_id(tool);
    return RT_OK;
}

const char *rp_tool_name(const rp_world *world, rp_tool_id id)
{
    const rpi_tool *tool = rpi_tool_get(world, id);
    return tool != NULL ? tool->name : NULL;
}
