// repartee_lua/host.h - the sandboxed Lua host: scripts that define characters and tools of a world.
//
//     rp_lua_def def = rp_default_lua_def();
//     def.world = world;
//     rp_lua_create(&def, &lua);
//     rp_lua_set_function(lua, "pour", pour_drink, game);     // scripts call game.pour(drink, cups)
//     rp_lua_load(lua, "assets/demo/griffin.lua");
//     rp_lua_find_character(lua, "marta", &marta);
//     ...
//     rp_lua_advance(lua, seconds_of_this_frame);             // timers of scripts: after(2, function() ... end)
//
// A script sees `require "repartee"` (or the same names as globals: character, tool, string, enum, integer, number, boolean,
// object, list, optional, schema, later, veto, after), a `game` table of the functions registered here, and the safe part of
// Lua's library: no io, os, debug, load, bytecode, finalizers. docs/scripting.md is the manual for authors.
//
// Limits: each entry into Lua is limited in instructions (work that C functions do for a script counts as well) and in time,
// the whole state in memory, a text in it at 1 MiB. Nothing that a script does gets past them, and no error of a script leaves
// the call that entered it. A host belongs to its world's thread.
//
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_LUA_HOST_H
#define REPARTEE_LUA_HOST_H

#include "repartee/repartee.h"
#include "rt/grammar.h"

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
    const char *library_folder; // where repartee.lua and repartee/ lie; NULL: the copies that are built in
    size_t max_memory_bytes;   // of the whole Lua state, default 64 MiB
    uint64_t max_instructions; // of one entry into Lua, default 10 million
    uint32_t max_milliseconds; // of one entry, whatever it does; default 1000; 0: no limit
    rt_vocabulary *vocabulary; // check only: schemas are compiled over it, so that errors in them come at once; or NULL
} rp_lua_def;

RT_API rp_lua_def rp_default_lua_def(void);
RT_API rt_result rp_lua_create(const rp_lua_def *def, rp_lua **lua);
// Destroys the tools and characters that it made, then the state. NULL is fine. Destroy before the world.
RT_API void rp_lua_destroy(rp_lua *lua);

// Registers game.NAME. A function called "speaker" also answers ctx.speaker.FIELD: its arguments are the speaker's name and the
// field. Functions may be called while a turn starts to be served (live enums, `when`): those must not call rp_*. Before or after scripts are loaded; replaces.
RT_API rt_result rp_lua_set_function(rp_lua *lua, const char *name, rp_lua_function *function, void *user);

// Runs a script file (paths inside it, such as knows = { "lore/griffin.md" }, are relative to it). SCRIPT: the message has
// file, line and what to do. What a failing script had defined is taken back.
RT_API rt_result rp_lua_load(rp_lua *lua, const char *path);
RT_API rt_result rp_lua_load_text(rp_lua *lua, const char *chunk_name, const char *text, size_t size);

// Calls a global function of the scripts that are loaded, the latest first. NOT_FOUND when none has it; SCRIPT when it fails. Texts
// of `result` (or NULL) stay valid until the next rp_lua_call. Characters and tools that it defines are made when it returns.
RT_API rt_result rp_lua_call(rp_lua *lua, const char *function, const rp_lua_value *arguments, int32_t count,
                             rp_lua_value *result);

// Lets time pass for after(seconds, function): runs what is due. Once a frame. A function that fails is reported (SCRIPT, of the
// last one) and the others run all the same.
RT_API rt_result rp_lua_advance(rp_lua *lua, double seconds);

typedef struct rp_lua_stats {
    size_t memory_bytes; // held by scripts now
    int32_t tools, characters;
} rp_lua_stats;

RT_API void rp_lua_get_stats(const rp_lua *lua, rp_lua_stats *stats);

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
