// repartee_lua/host.h - the sandboxed Lua host: scripts that define characters and tools of a world.
//
// A script sees `require "repartee"` (and the globals character, tool, string_, enum, integer, number, boolean ... that lua/repartee.lua
// documents), a `game` table of functions that the game registers here, and the safe part of Lua's library: no io, os, debug,
// load, bytecode. Each entry into Lua is limited in instructions and the whole state in memory.
//
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_LUA_HOST_H
#define REPARTEE_LUA_HOST_H

#include "repartee/repartee.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rp_lua rp_lua;

typedef enum rp_lua_kind {
    RP_LUA_NIL = 0,
    RP_LUA_BOOLEAN,
    RP_LUA_INTEGER,
    RP_LUA_NUMBER,
    RP_LUA_TEXT,
    RP_LUA_LIST, // of texts
} rp_lua_kind;

// A value that crosses between a script and the game. Texts are copied where they cross.
typedef struct rp_lua_value {
    rp_lua_kind kind;
    bool boolean;
    int64_t integer;
    double number;
    rp_text text;
    const rp_text *list;
    size_t list_count;
} rp_lua_value;

// A function of the game, called by a script as game.NAME(...). Anything but RT_OK raises an error in the script, with
// `result` as its text where that is RP_LUA_TEXT.
typedef rt_result rp_lua_function(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result);

typedef struct rp_lua_def {
    uint32_t cookie; // set by rp_default_lua_def
    rt_host host;
    rp_world *world;           // where characters and tools are created; must outlive the host. NULL: check only
    const char *library_folder; // where repartee.lua lies; NULL: the copy that is built in
    size_t max_memory_bytes;   // of the whole Lua state, default 64 MiB
    uint64_t max_instructions; // of one entry into Lua, default 10 million
} rp_lua_def;

RT_API rp_lua_def rp_default_lua_def(void);
RT_API rt_result rp_lua_create(const rp_lua_def *def, rp_lua **lua);
// Destroys the tools and characters that it made, then the state. NULL is fine. Destroy before the world.
RT_API void rp_lua_destroy(rp_lua *lua);

// Registers game.NAME. Before or after scripts are loaded; replaces.
RT_API rt_result rp_lua_set_function(rp_lua *lua, const char *name, rp_lua_function *function, void *user);

// Runs a script file (paths inside it, such as knows = { "lore/griffin.md" }, are relative to it). SCRIPT: the message has
// file, line and what to do. What a failing script had defined is taken back.
RT_API rt_result rp_lua_load(rp_lua *lua, const char *path);
RT_API rt_result rp_lua_load_text(rp_lua *lua, const char *chunk_name, const char *text, size_t size);

// Characters that scripts defined, in order. NULL past the end.
RT_API const char *rp_lua_character_name(const rp_lua *lua, int32_t index, rp_character_id *character);
// By the key that the script used: character "marta" { name = "Marta Voss" } is found as "marta".
RT_API rt_result rp_lua_find_character(const rp_lua *lua, const char *key, rp_character_id *character);

// A text setting of a character's table ("look", "voice", ...): fields that Repartee itself does not know are kept for the
// game. NULL: none. Valid until the host is destroyed.
RT_API const char *rp_lua_character_setting(const rp_lua *lua, rp_character_id character, const char *key);

#ifdef __cplusplus
}
#endif
#endif
