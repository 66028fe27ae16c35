// tools.c - the middleware's callbacks for tools that scripts defined: eligibility, live parameters, calls.
//
// They run inside rp_world_update. Whatever a script does there ends in a value: an error is logged with file and line, and the
// tool is then not offered, or its call has failed.
//
// SPDX-License-Identifier: MIT
#include "lua_host.h"

#include <stdio.h>
#include <string.h>

typedef struct request {
    rpi_lua_tool *tool;
    rp_character_id character;
    const char *speaker;
    const rp_call *call;
    rp_writer *writer;
    bool yes;
    rp_call_status status;
} request;

// Pushes library[function] and the tool's record.
static void push_library(lua_State *L, const request *r, const char *function)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->tool->lua->library);
    lua_getfield(L, -1, function);
    lua_replace(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->tool->record);
}

// Pushes the character's key and name. Characters that the game made have no key: their name is both.
static void push_who(lua_State *L, const request *r)
{
    const rpi_lua_character *character = rpi_lua_character_of(r->tool->lua, r->character);
    const char *name = character ? character->name : NULL;
    if (!name && r->call) {
        name = rp_character_name(r->tool->lua->world, r->character);
    }
    lua_pushstring(L, character ? character->key : name ? name : "");
    lua_pushstring(L, name ? name : "");
}

static int work_eligible(lua_State *L)
{
    request *r = lua_touserdata(L, 1);
    push_library(L, r, "eligible");
    push_who(L, r);
    lua_pushstring(L, r->speaker ? r->speaker : "player");
    lua_call(L, 4, 1);
    r->yes = lua_toboolean(L, -1);
    return 0;
}

static int work_parameters(lua_State *L)
{
    request *r = lua_touserdata(L, 1);
    push_library(L, r, "parameters");
    lua_call(L, 1, 1);
    size_t size;
    const char *schema = lua_tolstring(L, -1, &size);
    r->yes = schema && rp_writer_add(r->writer, schema, size) == RT_OK;
    return 0;
}

static int work_call(lua_State *L)
{
    request *r = lua_touserdata(L, 1);
    push_library(L, r, "call");
    rpi_lua_push_json(L, r->call->arguments.data, r->call->arguments.size);
    push_who(L, r);
    lua_pushstring(L, r->call->speaker ? r->call->speaker : "player");
    lua_pushinteger(L, r->call->turn.index);
    lua_pushinteger(L, r->call->id.index);
    lua_pushinteger(L, r->call->id.generation);
    lua_call(L, 8, 2);
    r->status = (rp_call_status)lua_tointeger(L, -2);
    size_t size = 0;
    const char *text = lua_tolstring(L, -1, &size);
    if (text && rp_writer_add(r->writer, text, size) != RT_OK) {
        r->status = RP_CALL_FAILED;
    }
    return 0;
}

static rt_result run(request *r, lua_CFunction work, const char *doing, char *message, size_t message_size)
{
    rp_lua *lua = r->tool->lua;
    char what[RPI_LUA_NAME_SIZE + 64];
    snprintf(what, sizeof(what), "tool '%s': %s", r->tool->name, doing);
    bool outer = lua->in_callback;
    lua->in_callback = true;
    rt_result result = rpi_lua_run(lua, work, r, what, message, message_size);
    lua->in_callback = outer;
    return result;
}

bool rpi_lua_tool_eligible(void *user, rp_world *world, rp_character_id character, const char *speaker)
{
    (void)world;
    request r = {.tool = user, .character = character, .speaker = speaker};
    return run(&r, work_eligible, "when", NULL, 0) == RT_OK && r.yes;
}

bool rpi_lua_tool_parameters(void *user, rp_world *world, rp_character_id character, rp_writer *schema)
{
    (void)world;
    request r = {.tool = user, .character = character, .writer = schema};
    return run(&r, work_parameters, "parameters", NULL, 0) == RT_OK && r.yes;
}

// What the model is told of an error: without "file:line: ".
static const char *without_position(const char *message)
{
    for (const char *colon = strchr(message, ':'); colon; colon = strchr(colon + 1, ':')) {
        size_t digits = strspn(colon + 1, "0123456789");
        if (digits > 0 && colon[1 + digits] == ':') {
            const char *rest = colon + digits + 2;
            return rest + strspn(rest, " ");
        }
    }
    return message;
}

rp_call_status rpi_lua_tool_call(void *user, rp_world *world, const rp_call *call, rp_writer *answer)
{
    (void)world;
    char message[512];
    request r = {.tool = user, .character = call->character, .call = call, .writer = answer, .status = RP_CALL_FAILED};
    if (run(&r, work_call, "call", message, sizeof(message)) != RT_OK) {
        const char *words = without_position(message);
        rp_writer_add(answer, words, strlen(words));
        return RP_CALL_FAILED;
    }
    return r.status;
}
