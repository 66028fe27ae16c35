// files.c - the files a script may read: scripts and texts in its own folder.
// SPDX-License-Identifier: MIT
#include "lua_host.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void rpi_lua_push_file(lua_State *L, const char *path, size_t limit)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        luaL_error(L, "%s: no such file (paths are relative to the script)", path);
    }
    if (!S_ISREG(status.st_mode)) {
        luaL_error(L, "%s: not a file", path);
    }
    if ((uint64_t)status.st_size > limit) {
        luaL_error(L, "%s: larger than the %d bytes that are read", path, (int)limit);
    }
    size_t size = (size_t)status.st_size;
    luaL_Buffer buffer;
    char *bytes = luaL_buffinitsize(L, &buffer, size + 1);
    FILE *file = fopen(path, "rb"); // nothing below raises before it is closed
    size_t got = file ? fread(bytes, 1, size, file) : 0;
    if (file) {
        fclose(file);
    }
    if (!file || got != size) {
        luaL_error(L, "%s: cannot be read", path);
    }
    luaL_pushresultsize(&buffer, size);
}

const char *rpi_lua_push_path(lua_State *L, const char *relative)
{
    rp_lua *lua = rpi_lua_of(L);
    bool leaves = relative[0] == '/' || relative[0] == '\\' || strchr(relative, ':');
    for (const char *part = relative; part && !leaves; part = strpbrk(part, "/\\")) {
        part += part != relative;
        leaves = part[0] == '.' && part[1] == '.' && (!part[2] || part[2] == '/' || part[2] == '\\');
    }
    if (leaves || !relative[0]) {
        luaL_error(L, "'%s': only files in the script's own folder and below it can be read", relative);
    }
    if (!lua->folder) {
        luaL_error(L, "'%s': files can be read only while a script is loaded", relative);
    }
    return lua->folder[0] ? lua_pushfstring(L, "%s/%s", lua->folder, relative) : lua_pushstring(L, relative);
}

void rpi_lua_run_chunk(lua_State *L, const char *chunk_name, int results)
{
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        size -= 3;
    }
    if (luaL_loadbufferx(L, text, size, chunk_name, "t") != LUA_OK) {
        lua_error(L);
    }
    lua_remove(L, -2);
    lua_pushvalue(L, -2);
    if (!lua_setupvalue(L, -2, 1)) {
        lua_pop(L, 1);
    }
    lua_call(L, 0, results);
}

// require "repartee" gives the library; require "parts.cellar" runs parts/cellar.lua of the script's folder, once.
int rpi_lua_require(lua_State *L)
{
    rp_lua *lua = rpi_lua_of(L);
    const char *name = luaL_checkstring(L, 1);
    if (strcmp(name, "repartee") == 0) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, lua->base);
        lua_getfield(L, -1, "repartee");
        return 1;
    }
    if (!name[0] || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")]) {
        return luaL_error(L, "require '%s': names consist of letters, digits, '_' and '.'", name);
    }
    luaL_gsub(L, name, ".", "/");
    lua_pushliteral(L, ".lua");
    lua_concat(L, 2);
    const char *path = rpi_lua_push_path(L, lua_tostring(L, -1));
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->modules);
    if (lua_getfield(L, -1, path) != LUA_TNIL) {
        return 1;
    }
    lua_pop(L, 1);
    lua_pushboolean(L, 1); // a module that requires itself sees true
    lua_setfield(L, -2, path);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->environment);
    rpi_lua_push_file(L, path, RPI_LUA_MAX_SCRIPT);
    const char *chunk_name = lua_pushfstring(L, "@%s", path);
    lua_insert(L, -3);
    rpi_lua_run_chunk(L, chunk_name, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->modules);
    lua_insert(L, -2);
    lua_setfield(L, -2, path);
    lua_pop(L, 1);
    return 1;
}
