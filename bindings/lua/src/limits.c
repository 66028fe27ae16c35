// limits.c - what a script may use: memory, instructions, time; and the one door into Lua.
// SPDX-License-Identifier: MIT
#include "lua_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void *rpi_lua_allocate(const rt_host *host, void *pointer, size_t old_size, size_t new_size)
{
    if (host->allocate) {
        if (new_size == 0 && !pointer) {
            return NULL;
        }
        return host->allocate(host->user, pointer, old_size, new_size, 16);
    }
    if (new_size == 0) {
        free(pointer);
        return NULL;
    }
    return realloc(pointer, new_size);
}

bool rpi_lua_reserve(const rt_host *host, void **items, size_t *capacity, size_t needed, size_t item_size)
{
    if (needed <= *capacity) {
        return true;
    }
    size_t grown = *capacity ? *capacity * 2 : 8;
    if (grown < needed) {
        grown = needed;
    }
    void *moved = rpi_lua_allocate(host, *items, *capacity * item_size, grown * item_size);
    if (!moved) {
        return false;
    }
    *items = moved;
    *capacity = grown;
    return true;
}

// Growth counts as work: a script that concatenates megabytes spends its time in memcpy, where no hook runs.
enum { BYTES_A_UNIT = 32, WORDS_ALLOWANCE = 1000 };

void *rpi_lua_state_allocate(void *user, void *pointer, size_t old_size, size_t new_size)
{
    rp_lua *lua = user;
    bool is_string = !pointer && (old_size & 15) == LUA_TSTRING;
    size_t held = pointer ? old_size : 0;
    if (new_size == 0) {
        if (pointer) {
            rpi_lua_allocate(&lua->host, pointer, old_size, 0);
            lua->memory -= old_size;
        }
        return NULL;
    }
    if (new_size > held) {
        size_t growth = new_size - held;
        if (growth > lua->max_memory_bytes || lua->memory > lua->max_memory_bytes - growth) {
            return NULL;
        }
        if (is_string && new_size > RPI_LUA_MAX_STRING + 64) {
            return NULL;
        }
        if (lua->depth > 0) {
            lua->budget -= (int64_t)(new_size / BYTES_A_UNIT);
            if (lua->budget < 0) {
                lua->exhausted = true;
                return NULL;
            }
        }
    }
    void *moved = rpi_lua_allocate(&lua->host, pointer, held, new_size);
    if (moved) {
        lua->memory = lua->memory - held + new_size;
    } else {
        lua->refused = true;
    }
    return moved;
}

rp_lua *rpi_lua_of(lua_State *L)
{
    void *user = NULL;
    lua_getallocf(L, &user);
    return user;
}

static void raise_exhausted(lua_State *L)
{
    rp_lua *lua = rpi_lua_of(L);
    if (lua->budget < WORDS_ALLOWANCE) {
        lua->budget = WORDS_ALLOWANCE; // the message itself needs memory
    }
    if (lua->out_of_time) {
        luaL_error(L, "the script ran longer than %d ms: is there an endless loop? (rp_lua_def.max_milliseconds)",
                   (int)lua->max_milliseconds);
    }
    luaL_error(L, "the script ran past its limit of %I instructions: is there an endless loop? "
                  "(rp_lua_def.max_instructions)", (LUAI_UACINT)lua->max_instructions);
}

static void on_count(lua_State *L, lua_Debug *record)
{
    rp_lua *lua = rpi_lua_of(L);
    if (lua->depth == 0) {
        return;
    }
    lua->budget -= RPI_LUA_HOOK_STEP;
    if (lua_getinfo(L, "Sl", record) && record->currentline > 0) {
        memcpy(lua->near_file, record->short_src, sizeof(lua->near_file));
        lua->near_line = record->currentline;
    }
    if (lua->budget < 0) {
        lua->exhausted = true;
    }
    if (!lua->exhausted && lua->max_milliseconds && now_ns() > lua->deadline) {
        lua->exhausted = lua->out_of_time = true;
    }
    if (lua->exhausted) {
        raise_exhausted(L);
    }
}

void rpi_lua_install_hook(lua_State *L)
{
    lua_sethook(L, on_count, LUA_MASKCOUNT, RPI_LUA_HOOK_STEP);
}

void rpi_lua_charge(lua_State *L, uint64_t work)
{
    rp_lua *lua = rpi_lua_of(L);
    if (work > INT64_MAX / 2) {
        work = INT64_MAX / 2;
    }
    lua->budget -= (int64_t)work;
    if (lua->budget < 0 && lua->depth > 0) {
        lua->budget = -1;
        lua->exhausted = true;
        raise_exhausted(L);
    }
}

void rpi_lua_check_exhausted(lua_State *L)
{
    if (rpi_lua_of(L)->exhausted) {
        raise_exhausted(L);
    }
}

void rpi_lua_where(lua_State *L, char *buffer, size_t size)
{
    lua_Debug record;
    for (int level = 0; lua_getstack(L, level, &record); level++) {
        lua_getinfo(L, "Sl", &record);
        bool own = strcmp(record.source, "=repartee.lua") == 0 || strncmp(record.source, "=repartee/", 10) == 0;
        if (record.currentline > 0 && !own) {
            snprintf(buffer, size, "%s:%d", record.short_src, record.currentline);
            return;
        }
    }
    snprintf(buffer, size, "?");
}

// Whether a message begins with "file:line:".
static bool has_position(const char *text)
{
    for (const char *colon = strchr(text, ':'); colon; colon = strchr(colon + 1, ':')) {
        size_t digits = strspn(colon + 1, "0123456789");
        if (digits > 0 && colon[1 + digits] == ':') {
            return true;
        }
    }
    return false;
}

// Runs where the error was raised, with the stack still there.
static int on_error(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING) {
        if (luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL || lua_type(L, 1) == LUA_TNUMBER) {
            luaL_tolstring(L, 1, NULL);
        } else {
            lua_pushfstring(L, "(an error that is a %s)", luaL_typename(L, 1));
        }
        lua_replace(L, 1);
        lua_settop(L, 1);
    }
    if (!has_position(lua_tostring(L, 1))) {
        char where[160];
        rpi_lua_where(L, where, sizeof(where));
        if (where[0] != '?') {
            lua_pushfstring(L, "%s: %s", where, lua_tostring(L, 1));
        }
    }
    return 1;
}

static void describe_failure(rp_lua *lua, lua_State *L, int status, const char *what, char *message, size_t size)
{
    if (status == LUA_ERRMEM) { // raised where no words can be found: the last look at the script says about where
        char where[120];
        if (lua->near_line > 0) {
            snprintf(where, sizeof(where), "%s:%d", lua->near_file, lua->near_line);
        } else {
            snprintf(where, sizeof(where), "%.100s", what);
        }
        if (lua->exhausted) {
            snprintf(message, size, "%s: the script ran past its limit of %llu instructions by moving large texts around "
                     "(rp_lua_def.max_instructions)", where, (unsigned long long)lua->max_instructions);
        } else {
            snprintf(message, size, "%s: not enough memory: scripts hold %zu bytes, the limit is %zu "
                     "(rp_lua_def.max_memory_bytes), and one text has at most %d", where, lua->memory,
                     lua->max_memory_bytes, RPI_LUA_MAX_STRING);
        }
        return;
    }
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error in error handling";
    if (has_position(text)) {
        snprintf(message, size, "%s", text);
    } else {
        snprintf(message, size, "%s: %s", what, text);
    }
}

rt_result rpi_lua_run(rp_lua *lua, lua_CFunction work, void *argument, const char *what, char *message, size_t message_size)
{
    char words[900];
    lua_State *L = lua->current;
    if (message && message_size) {
        message[0] = 0;
    }
    if (lua->depth >= RPI_LUA_MAX_NESTED || !lua_checkstack(L, 8)) {
        snprintf(words, sizeof(words), "%s: script and game call each other too deeply", what);
        if (message) {
            snprintf(message, message_size, "%s", words);
        }
        return rt_raise(&lua->host, RT_ERROR_SCRIPT, words);
    }
    if (lua->depth == 0) {
        lua->budget = lua->max_instructions > INT64_MAX ? INT64_MAX : (int64_t)lua->max_instructions;
        lua->deadline = now_ns() + (uint64_t)lua->max_milliseconds * 1000000u;
        lua->exhausted = lua->out_of_time = false;
        lua->near_line = 0;
        lua->refused = false;
    }
    lua->depth++;
    int top = lua_gettop(L);
    lua_pushcfunction(L, on_error);
    lua_pushcfunction(L, work);
    lua_pushlightuserdata(L, argument);
    int status = lua_pcall(L, 1, 0, top + 1);
    lua->depth--;
    lua->current = L;
    rt_result result = RT_OK;
    if (status != LUA_OK) {
        describe_failure(lua, L, status, what, words, sizeof(words));
        if (message) {
            snprintf(message, message_size, "%s", words);
        }
        result = rt_raise(&lua->host, status == LUA_ERRMEM && lua->refused ? RT_ERROR_OUT_OF_MEMORY : RT_ERROR_SCRIPT, words);
    }
    lua_settop(L, top);
    return result;
}
