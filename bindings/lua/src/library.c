// library.c - the Lua side of the library: lua/repartee.lua and its parts, from a folder or as they were built in.
// SPDX-License-Identifier: MIT
#include "lua_host.h"

#include <string.h>
#include <sys/stat.h>

// Pushes the text of the part: FOLDER/NAME.lua if that is there, else the copy that is built in.
static void push_source(lua_State *L, const char *folder, const char *name)
{
    if (folder && folder[0]) {
        const char *path = lua_pushfstring(L, "%s/%s.lua", folder, name);
        struct stat status;
        if (stat(path, &status) == 0) {
            rpi_lua_push_file(L, path, RPI_LUA_MAX_SCRIPT);
            lua_remove(L, -2);
            return;
        }
        lua_pop(L, 1);
    }
    for (const rpi_lua_part *part = rpi_lua_parts; part->name; part++) {
        if (strcmp(part->name, name) == 0) {
            lua_pushlstring(L, part->source, part->size);
            return;
        }
    }
    luaL_error(L, "repartee.lua: no part is called '%s'", name);
}

// Runs a part with the table of native functions; leaves the table that it returns.
static void run_part(lua_State *L, const char *name, int folder, int globals, int native)
{
    push_source(L, lua_tostring(L, folder), name);
    size_t size;
    const char *source = lua_tolstring(L, -1, &size), *chunk_name = lua_pushfstring(L, "=%s.lua", name);
    if (luaL_loadbufferx(L, source, size, chunk_name, "t") != LUA_OK) {
        lua_error(L);
    }
    lua_pushvalue(L, globals);
    if (!lua_setupvalue(L, -2, 1)) {
        lua_pop(L, 1); // a part without a global
    }
    lua_pushvalue(L, native);
    lua_call(L, 1, 1);
    luaL_checktype(L, -1, LUA_TTABLE);
}

// native.part(name): the table of lua/repartee/NAME.lua, which is run once. Upvalues: folder, globals, native, parts run.
static int native_part(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    if (lua_getfield(L, lua_upvalueindex(4), name) != LUA_TNIL) {
        return 1;
    }
    const char *path = lua_pushfstring(L, "repartee/%s", name);
    run_part(L, path, lua_upvalueindex(1), lua_upvalueindex(2), lua_upvalueindex(3));
    lua_pushvalue(L, -1);
    lua_setfield(L, lua_upvalueindex(4), name);
    return 1;
}

void rpi_lua_push_library(lua_State *L, const char *folder, int globals)
{
    globals = lua_absindex(L, globals);
    lua_pushstring(L, folder);
    int folder_index = lua_gettop(L);
    rpi_lua_push_native(L);
    int native = lua_gettop(L);
    lua_pushvalue(L, folder_index);
    lua_pushvalue(L, globals);
    lua_pushvalue(L, native);
    lua_newtable(L);
    lua_pushcclosure(L, native_part, 4);
    lua_setfield(L, native, "part");
    run_part(L, "repartee", folder_index, globals, native);
    lua_replace(L, folder_index);
    lua_settop(L, folder_index);
}
