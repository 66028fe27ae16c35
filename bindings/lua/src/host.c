// host.c - the host's life: creating, loading scripts, calling into them, destroying.
// SPDX-License-Identifier: MIT
#include "lua_host.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static rt_result fail(const rt_host *host, rt_result code, const char *message)
{
    return rt_raise(host, code, message);
}

rp_lua_def rp_default_lua_def(void)
{
    rp_lua_def def;
    memset(&def, 0, sizeof(def));
    def.cookie = RPI_LUA_COOKIE;
    def.max_memory_bytes = (size_t)64 << 20;
    def.max_instructions = 10000000;
    def.max_milliseconds = 1000;
    return def;
}

// --- creating ---------------------------------------------------------------------------------------------------------------

static int new_reference(lua_State *L)
{
    lua_newtable(L);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

// Builds the globals, runs repartee.lua with them, and makes what it returns the rest of them.
static int work_create(lua_State *L)
{
    const rp_lua_def *def = lua_touserdata(L, 1);
    rp_lua *lua = rpi_lua_of(L);
    rpi_lua_push_globals(L);
    lua_pushcfunction(L, rpi_lua_require);
    lua_setfield(L, -2, "require");
    rpi_lua_push_game(L);
    lua_setfield(L, -2, "game");
    lua_pushvalue(L, -1);
    lua->base = luaL_ref(L, LUA_REGISTRYINDEX);
    lua->environments = new_reference(L);
    lua->modules = new_reference(L);
    lua->environment = new_reference(L);
    lua->result = new_reference(L);
    rpi_lua_push_library(L, def->library_folder, 2);
    lua_pushvalue(L, -1);
    lua->library = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -1, "globals");
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_settable(L, 2); // globals[name] = value
    }
    rpi_lua_lock(L); // and all of them as one table: local repartee = require "repartee"
    lua_setfield(L, 2, "repartee");
    return 0;
}

rt_result rp_lua_create(const rp_lua_def *def, rp_lua **result)
{
    if (!result) {
        return fail(def ? &def->host : NULL, RT_ERROR_INVALID_ARGUMENT, "rp_lua_create: lua: the place for the result is NULL");
    }
    *result = NULL;
    if (!def || def->cookie != RPI_LUA_COOKIE) {
        return fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_lua_create: def: begin with rp_default_lua_def()");
    }
    if (def->max_memory_bytes < (size_t)1 << 20 || def->max_instructions < 100000) {
        return fail(&def->host, RT_ERROR_INVALID_ARGUMENT,
                    "rp_lua_create: def: max_memory_bytes is at least 1 MiB, max_instructions at least 100000");
    }
    rp_lua *lua = rpi_lua_allocate(&def->host, NULL, 0, sizeof(*lua));
    if (!lua) {
        return fail(&def->host, RT_ERROR_OUT_OF_MEMORY, "rp_lua_create: no memory for the host");
    }
    memset(lua, 0, sizeof(*lua));
    lua->host = def->host;
    lua->world = def->world;
    lua->vocabulary = def->vocabulary;
    lua->max_memory_bytes = def->max_memory_bytes;
    lua->max_instructions = def->max_instructions;
    lua->max_milliseconds = def->max_milliseconds;
    lua->base = lua->library = LUA_NOREF;
    lua->state = lua_newstate(rpi_lua_state_allocate, lua);
    if (!lua->state) {
        rpi_lua_allocate(&def->host, lua, sizeof(*lua), 0);
        return fail(&def->host, RT_ERROR_OUT_OF_MEMORY, "rp_lua_create: no memory for a Lua state");
    }
    lua->current = lua->state;
    rpi_lua_install_hook(lua->state);
    rp_lua_def copy = *def;
    rt_result status = rpi_lua_run(lua, work_create, &copy, "repartee.lua", NULL, 0);
    if (status != RT_OK) {
        rp_lua_destroy(lua);
        return status;
    }
    *result = lua;
    return RT_OK;
}

void rp_lua_destroy(rp_lua *lua)
{
    if (!lua) {
        return;
    }
    rpi_lua_take_back(lua, 0, 0);
    lua_close(lua->state);
    rt_host host = lua->host;
    if (lua->tools) {
        rpi_lua_allocate(&host, lua->tools, lua->tool_capacity * sizeof(*lua->tools), 0);
    }
    if (lua->characters) {
        rpi_lua_allocate(&host, lua->characters, lua->character_capacity * sizeof(*lua->characters), 0);
    }
    if (lua->functions) {
        rpi_lua_allocate(&host, lua->functions, lua->function_capacity * sizeof(*lua->functions), 0);
    }
    rpi_lua_allocate(&host, lua, sizeof(*lua), 0);
}

rt_result rp_lua_set_function(rp_lua *lua, const char *name, rp_lua_function *function, void *user)
{
    if (!lua || !name || !function || !name[0] || strlen(name) >= RPI_LUA_NAME_SIZE) {
        return fail(lua ? &lua->host : NULL, RT_ERROR_INVALID_ARGUMENT,
                    "rp_lua_set_function: a host, a name of 1 to 127 bytes and a function are needed");
    }
    for (size_t i = 0; i < lua->function_count; i++) {
        if (strcmp(lua->functions[i].name, name) == 0) {
            lua->functions[i].function = function;
            lua->functions[i].user = user;
            return RT_OK;
        }
    }
    if (!rpi_lua_reserve(&lua->host, (void **)&lua->functions, &lua->function_capacity, lua->function_count + 1,
                         sizeof(*lua->functions))) {
        return fail(&lua->host, RT_ERROR_OUT_OF_MEMORY, "rp_lua_set_function: out of memory");
    }
    rpi_lua_game_function *added = &lua->functions[lua->function_count++];
    snprintf(added->name, sizeof(added->name), "%s", name);
    added->function = function;
    added->user = user;
    return RT_OK;
}

// --- loading ----------------------------------------------------------------------------------------------------------------

typedef struct load_request {
    const char *path, *chunk_name, *text;
    size_t size;
} load_request;

// Calls library[function]().
static void call_library(lua_State *L, const char *function)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, rpi_lua_of(L)->library);
    lua_getfield(L, -1, function);
    lua_call(L, 0, 0);
    lua_pop(L, 1);
}

static int work_discard(lua_State *L)
{
    call_library(L, "discard");
    return 0;
}

static int work_load(lua_State *L)
{
    const load_request *r = lua_touserdata(L, 1);
    rp_lua *lua = rpi_lua_of(L);
    lua_newtable(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, lua->modules);
    lua_newtable(L); // the script's globals, which inherit the base
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "_G");
    lua_createtable(L, 0, 2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->base);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, lua->environment);
    if (r->path) {
        rpi_lua_push_file(L, r->path, RPI_LUA_MAX_SCRIPT);
    } else {
        lua_pushlstring(L, r->text, r->size);
    }
    const char *chunk_name = lua_pushfstring(L, "@%s", r->chunk_name);
    lua_insert(L, -3);
    rpi_lua_run_chunk(L, chunk_name, 0);
    call_library(L, "commit");
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->environments);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->environment);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return 0;
}

static rt_result load(rp_lua *lua, load_request *request, const char *folder)
{
    if (lua->depth > 0 || lua->in_callback) {
        return fail(&lua->host, RT_ERROR_BUSY, "rp_lua_load: not while a script is running: load it after rp_world_update");
    }
    size_t tools = lua->tool_count, characters = lua->character_count;
    lua->folder = folder;
    char message[900];
    rt_result result = rpi_lua_run(lua, work_load, request, request->chunk_name, message, sizeof(message));
    lua->folder = NULL;
    if (result != RT_OK) {
        rpi_lua_run(lua, work_discard, NULL, request->chunk_name, NULL, 0);
        rpi_lua_take_back(lua, tools, characters);
        rt_host silent = {.allocate = NULL};
        rt_raise(&silent, result, message); // the error that counts is the first one
    }
    return result;
}

rt_result rp_lua_load(rp_lua *lua, const char *path)
{
    char folder[1024];
    struct stat status;
    if (!lua || !path) {
        return fail(lua ? &lua->host : NULL, RT_ERROR_INVALID_ARGUMENT, "rp_lua_load: a host and a path are needed");
    }
    if (strlen(path) >= sizeof(folder) - 64 || stat(path, &status) != 0) {
        char message[1024];
        snprintf(message, sizeof(message), "%.900s: no such script", path);
        return fail(&lua->host, RT_ERROR_NOT_FOUND, message);
    }
    if (!S_ISREG(status.st_mode)) {
        char message[1024];
        snprintf(message, sizeof(message), "%.900s: not a file: give a script's path", path);
        return fail(&lua->host, RT_ERROR_SCRIPT, message);
    }
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == folder) {
        folder[1] = '.'; // a script in the root: "/." is its folder
        folder[2] = 0;
    } else if (slash) {
        *slash = 0;
    } else {
        folder[0] = 0;
    }
    load_request request = {.path = path, .chunk_name = path};
    return load(lua, &request, folder);
}

rt_result rp_lua_load_text(rp_lua *lua, const char *chunk_name, const char *text, size_t size)
{
    if (!lua || (!text && size)) {
        return fail(lua ? &lua->host : NULL, RT_ERROR_INVALID_ARGUMENT, "rp_lua_load_text: a host and a text are needed");
    }
    if (size > RPI_LUA_MAX_SCRIPT) {
        return fail(&lua->host, RT_ERROR_TOO_LARGE, "rp_lua_load_text: a script has at most 1 MiB");
    }
    load_request request = {.chunk_name = chunk_name ? chunk_name : "script", .text = text ? text : "", .size = size};
    return load(lua, &request, NULL);
}

// --- asking -----------------------------------------------------------------------------------------------------------------

const char *rp_lua_character_name(const rp_lua *lua, int32_t index, rp_character_id *character)
{
    if (!lua || index < 0 || (size_t)index >= lua->character_count) {
        return NULL;
    }
    if (character) {
        *character = lua->characters[index]->id;
    }
    return lua->characters[index]->name;
}

rt_result rp_lua_find_character(const rp_lua *lua, const char *key, rp_character_id *character)
{
    if (!lua || !key || !character) {
        return fail(lua ? &lua->host : NULL, RT_ERROR_INVALID_ARGUMENT, "rp_lua_find_character: a host, a key and a place are needed");
    }
    *character = (rp_character_id){0, 0};
    for (size_t i = 0; i < lua->character_count; i++) {
        if (strcmp(lua->characters[i]->key, key) == 0) {
            *character = lua->characters[i]->id;
            return RT_OK;
        }
    }
    char message[256];
    snprintf(message, sizeof(message), "rp_lua_find_character: no script defined character \"%.100s\"", key);
    return fail(&lua->host, RT_ERROR_NOT_FOUND, message);
}

const char *rp_lua_character_setting(const rp_lua *lua, rp_character_id character, const char *key)
{
    const rpi_lua_character *found = lua && key ? rpi_lua_character_of(lua, character) : NULL;
    for (size_t i = 0; found && i < found->setting_count; i++) {
        if (strcmp(found->settings[i].key, key) == 0) {
            return found->settings[i].value;
        }
    }
    return NULL;
}

void rp_lua_get_stats(const rp_lua *lua, rp_lua_stats *stats)
{
    if (stats) {
        memset(stats, 0, sizeof(*stats));
        if (lua) {
            stats->memory_bytes = lua->memory;
            stats->tools = (int32_t)lua->tool_count;
            stats->characters = (int32_t)lua->character_count;
        }
    }
}

// --- calling ----------------------------------------------------------------------------------------------------------------

typedef struct call_request {
    const char *function;
    const rp_lua_value *arguments;
    int32_t count;
    rp_lua_value *result;
    bool found;
} call_request;

// Pushes the latest script's global function of that name. False: there is none.
static bool push_global(lua_State *L, const char *name)
{
    rp_lua *lua = rpi_lua_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->environments);
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i > 0; i--) {
        lua_rawgeti(L, -1, i);
        lua_pushstring(L, name);
        if (lua_rawget(L, -2) == LUA_TFUNCTION) {
            return true;
        }
        lua_pop(L, 2);
    }
    return false;
}

static int work_call(lua_State *L)
{
    call_request *r = lua_touserdata(L, 1);
    rp_lua *lua = rpi_lua_of(L);
    r->found = push_global(L, r->function);
    if (!r->found) {
        return 0;
    }
    luaL_checkstack(L, r->count + 4, NULL);
    for (int32_t i = 0; i < r->count; i++) {
        rpi_lua_push_value(L, &r->arguments[i]);
    }
    lua_call(L, r->count, 1);
    lua_newtable(L); // keeps the result and what it points to
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, 1);
    if (r->result) {
        int top = lua_gettop(L);
        rpi_lua_to_value(L, top - 1, r->result);
        if (lua_gettop(L) > top) {
            lua_rawseti(L, top, 2);
        }
    }
    lua_rawseti(L, LUA_REGISTRYINDEX, lua->result);
    if (!lua->in_callback && lua->depth == 1) {
        call_library(L, "commit");
    }
    return 0;
}

rt_result rp_lua_call(rp_lua *lua, const char *function, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    if (!lua || !function || count < 0 || count > RPI_LUA_MAX_ARGUMENTS || (count && !arguments)) {
        return fail(lua ? &lua->host : NULL, RT_ERROR_INVALID_ARGUMENT,
                    "rp_lua_call: a host, a function's name and at most 16 arguments are needed");
    }
    if (result) {
        memset(result, 0, sizeof(*result));
    }
    call_request request = {.function = function, .arguments = arguments, .count = count, .result = result};
    size_t tools = lua->tool_count, characters = lua->character_count;
    bool outermost = lua->depth == 0 && !lua->in_callback;
    char what[160], message[900];
    snprintf(what, sizeof(what), "function %.100s", function);
    rt_result status = rpi_lua_run(lua, work_call, &request, what, message, sizeof(message));
    if (status != RT_OK) {
        if (result) {
            memset(result, 0, sizeof(*result));
        }
        if (outermost) {
            rpi_lua_run(lua, work_discard, NULL, what, NULL, 0);
            rpi_lua_take_back(lua, tools, characters);
            rt_host silent = {.allocate = NULL};
            rt_raise(&silent, status, message);
        }
        return status;
    }
    if (!request.found) {
        snprintf(message, sizeof(message), "rp_lua_call: no script has a global function '%.100s'", function);
        rt_host silent = {.allocate = NULL};
        return fail(&silent, RT_ERROR_NOT_FOUND, message); // the usual way of asking whether there is one: not logged
    }
    return RT_OK;
}

typedef struct timer_request {
    double seconds;
    bool ran;
} timer_request;

// Lets time pass and runs one timer that is due.
static int work_advance(lua_State *L)
{
    timer_request *r = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, rpi_lua_of(L)->library);
    lua_getfield(L, -1, "due");
    lua_pushnumber(L, r->seconds);
    lua_call(L, 1, 1);
    r->seconds = -1; // the same frame
    r->ran = lua_isfunction(L, -1);
    if (r->ran) {
        lua_call(L, 0, 0);
    }
    return 0;
}

rt_result rp_lua_advance(rp_lua *lua, double seconds)
{
    if (!lua || !(seconds >= 0) || seconds > 1e9) {
        return fail(lua ? &lua->host : NULL, RT_ERROR_INVALID_ARGUMENT, "rp_lua_advance: seconds must be 0 or more");
    }
    if (lua->depth > 0) {
        return fail(&lua->host, RT_ERROR_BUSY, "rp_lua_advance: not while a script is running");
    }
    timer_request request = {.seconds = seconds, .ran = true};
    rt_result result = RT_OK;
    for (int i = 0; request.ran && i < 1000; i++) { // a timer that sets itself again at once waits for the next frame
        request.ran = false;
        rt_result one = rpi_lua_run(lua, work_advance, &request, "a timer", NULL, 0);
        if (one != RT_OK) {
            result = one;
        }
    }
    return result;
}
