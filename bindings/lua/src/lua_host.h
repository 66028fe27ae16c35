// lua_host.h - private side of repartee_lua/host.h: the host's state, protected entries, limits.
//
// Lua raises errors by long jumps and may do so wherever it allocates. So nothing here touches the Lua state outside
// rpi_lua_run: work is a C function that runs protected and finds its arguments in a struct of the caller.
//
// SPDX-License-Identifier: MIT
#ifndef RPI_LUA_HOST_H
#define RPI_LUA_HOST_H

#include "repartee_lua/host.h"

#include <lauxlib.h>
#include <lua.h>

enum {
    RPI_LUA_COOKIE = 0x4C755231,
    RPI_LUA_HOOK_STEP = 1000,          // instructions between two looks at the limits
    RPI_LUA_MAX_STRING = 1 << 20,      // bytes of one string: comparing two costs C time that no hook sees
    RPI_LUA_MAX_SCRIPT = 1 << 20,      // bytes of a script file
    RPI_LUA_MAX_KNOWLEDGE = 256 << 10, // bytes of a file that a character knows
    RPI_LUA_MAX_ARGUMENTS = 16,        // of game.NAME(...) and rp_lua_call
    RPI_LUA_MAX_LIST = 1024,           // texts in a list that crosses
    RPI_LUA_MAX_JSON_DEPTH = 64,
    RPI_LUA_MAX_NESTED = 8,            // script -> game -> script -> ...
    RPI_LUA_NAME_SIZE = 128,
};

// A function of the game.
typedef struct rpi_lua_game_function {
    char name[RPI_LUA_NAME_SIZE];
    rp_lua_function *function;
    void *user;
} rpi_lua_game_function;

// A tool that a script made. Its address is the `user` of the middleware's callbacks.
typedef struct rpi_lua_tool {
    rp_lua *lua;
    rp_tool_id id;
    int record; // reference to the library's record of it
    char name[RPI_LUA_NAME_SIZE + 1];
} rpi_lua_tool;

typedef struct rpi_lua_setting {
    char *key, *value; // one block: key, zero, value, zero
    size_t size;
} rpi_lua_setting;

typedef struct rpi_lua_character {
    rp_character_id id;
    char key[RPI_LUA_NAME_SIZE + 1];
    char name[RPI_LUA_NAME_SIZE + 1];
    rpi_lua_setting *settings;
    size_t setting_count;
} rpi_lua_character;

struct rp_lua {
    rt_host host;
    rp_world *world; // NULL: check only
    rt_vocabulary *vocabulary;
    lua_State *state;   // the main one
    lua_State *current; // the one that called the game last: entries from there go on on top of it
    size_t max_memory_bytes;
    uint64_t max_instructions;
    uint32_t max_milliseconds;

    size_t memory;      // bytes held by the state
    int64_t budget;     // what is left of this entry: instructions, and work of C functions in their measure
    uint64_t deadline;  // nanoseconds
    bool exhausted;     // the entry is past its limits: nothing may catch that
    bool refused;       // the application's allocator had no memory
    bool out_of_time;   // by the clock rather than by count
    int depth;          // nested entries
    char near_file[LUA_IDSIZE]; // where the last look at the limits found the script
    int near_line;
    bool in_callback;   // inside rp_world_update: nothing can be defined

    int library;      // reference to the table that repartee.lua returned
    int base;         // reference to the globals that every script inherits
    int environments; // reference to a list of the scripts' globals, latest last
    int modules;      // reference to what the script that is being loaded has required: path -> value
    int environment;  // reference to the globals of that script
    int result;       // reference to the text of the last rp_lua_call
    const char *folder; // of the script that is being loaded, "" for none

    rpi_lua_game_function *functions;
    size_t function_count, function_capacity;
    rpi_lua_tool **tools;
    size_t tool_count, tool_capacity;
    rpi_lua_character **characters;
    size_t character_count, character_capacity;
    size_t draft_tools, draft_characters; // how many there were before the script that is being loaded
};

// --- limits.c ---------------------------------------------------------------------------------------------------------

void *rpi_lua_allocate(const rt_host *host, void *pointer, size_t old_size, size_t new_size);
bool rpi_lua_reserve(const rt_host *host, void **items, size_t *capacity, size_t needed, size_t item_size);

// The allocator of the state (a lua_Alloc).
void *rpi_lua_state_allocate(void *user, void *pointer, size_t old_size, size_t new_size);
rp_lua *rpi_lua_of(lua_State *L);
void rpi_lua_install_hook(lua_State *L);

// Charges work that C code does for a script; raises a Lua error when the entry's budget is gone.
void rpi_lua_charge(lua_State *L, uint64_t work);
// For functions that catch errors: goes on raising when the limit was what they caught.
void rpi_lua_check_exhausted(lua_State *L);

// Runs `work` protected, with `argument` as light userdata at index 1. On failure raises SCRIPT with a message that has file
// and line, copied to `message` too where that is not NULL.
rt_result rpi_lua_run(rp_lua *lua, lua_CFunction work, void *argument, const char *what, char *message, size_t message_size);

// "file:line" of the innermost function of a script, or "?".
void rpi_lua_where(lua_State *L, char *buffer, size_t size);

// --- sandbox.c, strings.c, pattern.c --------------------------------------------------------------------------------------

// Pushes the table of globals that scripts inherit.
void rpi_lua_push_globals(lua_State *L);
// Pushes the library table `string` (not yet locked).
void rpi_lua_push_strings(lua_State *L);
// Replaces the function on top of the stack by one that charges for the texts it is given.
void rpi_lua_make_charged(lua_State *L);
// Replaces the table on top of the stack by a view of it that cannot be changed.
void rpi_lua_lock(lua_State *L);

// Where a pattern matched.
typedef struct rpi_lua_match {
    struct {
        const char *start;
        ptrdiff_t size; // RPI_LUA_POSITION: a position capture
    } captures[32];
    int level;
} rpi_lua_match;
enum { RPI_LUA_POSITION = -2, RPI_LUA_OPEN = -1 };

// Matches a Lua pattern (without its ^) at exactly `at`. NULL: no match; else the end of the match. Charges each step, so
// that no pattern runs longer than the script may; raises on a malformed pattern.
const char *rpi_lua_pattern_match(lua_State *L, const char *begin, const char *end, const char *at, const char *pattern,
                                  const char *pattern_end, rpi_lua_match *match);

// --- values.c -------------------------------------------------------------------------------------------------------------

bool rpi_lua_is_utf8(const char *text, size_t size);
void rpi_lua_push_value(lua_State *L, const rp_lua_value *value);
// Texts point into Lua strings that stay on the stack; lists are kept alive by a userdata pushed for them.
void rpi_lua_to_value(lua_State *L, int index, rp_lua_value *value);
// Pushes what a JSON text stands for: null becomes nil. Raises when it does not parse.
void rpi_lua_push_json(lua_State *L, const char *text, size_t size);

// --- define.c, files.c ----------------------------------------------------------------------------------------------------

// Pushes the table of functions that lua/repartee.lua and its parts work with.
void rpi_lua_push_native(lua_State *L);
// Pushes the table `game`.
void rpi_lua_push_game(lua_State *L);
// Takes back what was defined beyond the first `tools` and `characters`.
void rpi_lua_take_back(rp_lua *lua, size_t tools, size_t characters);
// The script's character by its id, or NULL.
const rpi_lua_character *rpi_lua_character_of(const rp_lua *lua, rp_character_id id);

// Pushes the bytes of a file. Raises where it cannot be read or is longer than `limit`.
void rpi_lua_push_file(lua_State *L, const char *path, size_t limit);
// Pushes the path of `relative` in the folder of the script that is being loaded. Raises for paths that leave it.
const char *rpi_lua_push_path(lua_State *L, const char *relative);
// `require` of scripts.
int rpi_lua_require(lua_State *L);
// Runs the chunk whose text is on top of the stack (and pops it) in the environment below it; leaves `results` values.
void rpi_lua_run_chunk(lua_State *L, const char *chunk_name, int results);

// --- tools.c --------------------------------------------------------------------------------------------------------------

rp_tool_eligible_function rpi_lua_tool_eligible;
rp_tool_parameters_function rpi_lua_tool_parameters;
rp_tool_function rpi_lua_tool_call;

// --- library.c ------------------------------------------------------------------------------------------------------------

// lua/repartee.lua and lua/repartee/*.lua as they were when this was built (written by the build); the last has no name.
typedef struct rpi_lua_part {
    const char *name; // "repartee", "repartee/types"
    const char *source;
    size_t size;
} rpi_lua_part;
extern const rpi_lua_part rpi_lua_parts[];

// Runs lua/repartee.lua with the globals at index `globals`; pushes the table it returns. `folder` may be NULL.
void rpi_lua_push_library(lua_State *L, const char *folder, int globals);

#endif
