// sandbox.c - the globals that scripts see: Lua's own where they are safe, replacements where they are not.
//
// What a replacement is for: pcall, xpcall and coroutines would catch the error that ends a script which ran past its
// limits; each new coroutine would start counting anew; finalizers run with the hook switched off; table.move, table.concat and
// friends loop in C over as many elements as they are told; rawset would reach behind locked tables.
//
// SPDX-License-Identifier: MIT
#include "lua_host.h"

#include <lualib.h>
#include <stdio.h>
#include <string.h>

// --- errors -------------------------------------------------------------------------------------------------------------

static int finish_pcall(lua_State *L, int status, lua_KContext extra)
{
    if (status != LUA_OK && status != LUA_YIELD) {
        rpi_lua_check_exhausted(L);
        lua_pushboolean(L, 0);
        lua_pushvalue(L, -2);
        return 2;
    }
    return lua_gettop(L) - (int)extra;
}

static int base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall);
    return finish_pcall(L, status, 0);
}

// The handler runs after the stack is unwound: where an error is raised by the instruction hook, hooks are off, and a handler that
// ran there could loop for ever. Without `debug`, scripts cannot tell the difference.
static int finish_xpcall(lua_State *L, int status, lua_KContext extra)
{
    if (status == LUA_OK || status == LUA_YIELD) {
        return lua_gettop(L) - (int)extra;
    }
    rpi_lua_check_exhausted(L);
    lua_pushvalue(L, 2);
    lua_insert(L, -2);
    lua_pcall(L, 1, 1, 0);
    rpi_lua_check_exhausted(L);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static int base_xpcall(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    int status = lua_pcallk(L, count - 2, LUA_MULTRET, 0, 2, finish_xpcall);
    return finish_xpcall(L, status, 2);
}

// --- tables and metatables ------------------------------------------------------------------------------------------------

static bool is_locked(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index)) {
        return false;
    }
    lua_pushliteral(L, "__metatable");
    lua_rawget(L, -2);
    bool locked = !lua_isnil(L, -1);
    lua_pop(L, 2);
    return locked;
}

static int base_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    if (is_locked(L, 1)) {
        return luaL_error(L, "this table cannot be changed");
    }
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 1;
}

static int base_setmetatable(lua_State *L)
{
    int kind = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, kind == LUA_TNIL || kind == LUA_TTABLE, 2, "nil or table");
    if (is_locked(L, 1)) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    if (kind == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        lua_rawget(L, 2);
        if (!lua_isnil(L, -1)) {
            return luaL_error(L, "scripts have no finalizers: remove '__gc' from the metatable");
        }
        lua_pop(L, 1);
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int base_collectgarbage(lua_State *L)
{
    const char *option = luaL_optstring(L, 1, "count");
    if (strcmp(option, "count") != 0) {
        return luaL_error(L, "collectgarbage: only \"count\" is allowed here");
    }
    lua_pushnumber(L, (lua_Number)rpi_lua_of(L)->memory / 1024.0);
    return 1;
}

static int base_print(lua_State *L)
{
    rp_lua *lua = rpi_lua_of(L);
    int count = lua_gettop(L);
    char where[160];
    luaL_Buffer buffer;
    rpi_lua_charge(L, 100);
    rpi_lua_where(L, where, sizeof(where));
    luaL_buffinit(L, &buffer);
    luaL_addstring(&buffer, where);
    luaL_addstring(&buffer, ": ");
    for (int i = 1; i <= count; i++) {
        if (i > 1) {
            luaL_addchar(&buffer, ' ');
        }
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&buffer);
    }
    luaL_pushresult(&buffer);
    if (lua->host.log) {
        lua->host.log(lua->host.user, RT_LOG_INFO, RT_OK, lua_tostring(L, -1));
    }
    return 0;
}

// --- the library `table` ----------------------------------------------------------------------------------------------------

// A table whose length is its own: what __len says could be anything.
static lua_Unsigned length_of(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    if (luaL_getmetafield(L, index, "__len") != LUA_TNIL) {
        luaL_error(L, "a table with '__len' cannot be used here");
    }
    return lua_rawlen(L, index);
}

static int call_original(lua_State *L, uint64_t work)
{
    rpi_lua_charge(L, work);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

// The work of a range [first, last].
static uint64_t range_work(lua_Integer first, lua_Integer last)
{
    if (last < first) {
        return 1;
    }
    lua_Unsigned count = (lua_Unsigned)last - (lua_Unsigned)first;
    return count > INT64_MAX / 4 ? INT64_MAX / 4 : count + 1;
}

static int table_insert_or_remove(lua_State *L)
{
    return call_original(L, length_of(L, 1) / 4 + 1);
}

static int table_concat(lua_State *L)
{
    lua_Integer last = (lua_Integer)length_of(L, 1);
    last = luaL_optinteger(L, 4, last);
    return call_original(L, range_work(luaL_optinteger(L, 3, 1), last));
}

static int table_unpack(lua_State *L)
{
    lua_Integer last = lua_isnoneornil(L, 3) ? (lua_Integer)length_of(L, 1) : luaL_checkinteger(L, 3);
    return call_original(L, range_work(luaL_optinteger(L, 2, 1), last));
}

static int table_move(lua_State *L)
{
    return call_original(L, range_work(luaL_checkinteger(L, 2), luaL_checkinteger(L, 3)));
}

static int table_sort(lua_State *L)
{
    uint64_t count = length_of(L, 1), depth = 1;
    while ((UINT64_C(1) << depth) < count) {
        depth++;
    }
    return call_original(L, count * depth + 1);
}

static void push_tables(lua_State *L)
{
    static const luaL_Reg own[] = {{"insert", table_insert_or_remove}, {"remove", table_insert_or_remove},
                                   {"concat", table_concat},           {"unpack", table_unpack},
                                   {"move", table_move},               {"sort", table_sort}};
    lua_newtable(L);
    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 0);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        lua_getfield(L, -1, own[i].name);
        lua_pushcclosure(L, own[i].func, 1);
        lua_setfield(L, -3, own[i].name);
    }
    lua_getfield(L, -1, "pack");
    lua_setfield(L, -3, "pack");
    lua_pop(L, 1);
}

// --- coroutines ---------------------------------------------------------------------------------------------------------------

// A new coroutine may run one step of the hook unseen: that is paid for here.
static int coroutine_make(lua_State *L)
{
    return call_original(L, RPI_LUA_HOOK_STEP);
}

static int coroutine_resume(lua_State *L)
{
    int count = call_original(L, 1);
    rpi_lua_check_exhausted(L);
    return count;
}

// Lua's own wrap closes the to-be-closed variables of a coroutine that failed; when the hook made it fail, hooks are off in it, and
// a __close that loops would never end. This one leaves it to the collector, and coroutine.close is not there for the same reason.
static int wrap_call(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_rotate(L, 1, 2);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    rpi_lua_check_exhausted(L);
    if (!lua_toboolean(L, 1)) {
        lua_settop(L, 2);
        return lua_error(L);
    }
    return lua_gettop(L) - 1;
}

// Upvalues: Lua's create and resume.
static int coroutine_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    rpi_lua_charge(L, RPI_LUA_HOOK_STEP);
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, -2);
    lua_pushcclosure(L, wrap_call, 2);
    return 1;
}

static void push_coroutines(lua_State *L)
{
    static const char *const kept[] = {"yield", "status", "isyieldable", "running"};
    lua_newtable(L);
    luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 0);
    lua_getfield(L, -1, "create");
    lua_pushcclosure(L, coroutine_make, 1);
    lua_setfield(L, -3, "create");
    lua_getfield(L, -1, "resume");
    lua_pushcclosure(L, coroutine_resume, 1);
    lua_setfield(L, -3, "resume");
    lua_getfield(L, -1, "create");
    lua_getfield(L, -2, "resume");
    lua_pushcclosure(L, coroutine_wrap, 2);
    lua_setfield(L, -3, "wrap");
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        lua_getfield(L, -1, kept[i]);
        lua_setfield(L, -3, kept[i]);
    }
    lua_pop(L, 1);
}

// --- locking and putting together ---------------------------------------------------------------------------------------------

static int refuse_change(lua_State *L)
{
    return luaL_error(L, "this table cannot be changed");
}

// Steps through the table in the upvalue, which itself is never handed out.
static int locked_next(lua_State *L)
{
    lua_settop(L, 2);
    return lua_next(L, lua_upvalueindex(1)) ? 2 : 0;
}

static int locked_pairs(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, locked_next, 1);
    return 1;
}

void rpi_lua_lock(lua_State *L)
{
    lua_newtable(L); // table, view
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_change);
    lua_setfield(L, -2, "__newindex");
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, locked_pairs, 1);
    lua_setfield(L, -2, "__pairs");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

// string { min_length = 1 }: the library's table is also the constructor of the parameter type.
static int string_as_type(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, rpi_lua_of(L)->base);
    lua_getfield(L, -1, "text");
    lua_replace(L, 1);
    lua_pop(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static void set_strings(lua_State *L)
{
    rpi_lua_push_strings(L);
    rpi_lua_lock(L);
    lua_getmetatable(L, -1);
    lua_pushcfunction(L, string_as_type);
    lua_setfield(L, -2, "__call");
    lua_pop(L, 1);
    lua_pushliteral(L, ""); // the metatable that all texts share
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    lua_setfield(L, -2, "string");
}

static void set_utf8(lua_State *L)
{
    static const char *const names[] = {"char", "codepoint", "len", "offset", "codes"};
    lua_newtable(L);
    luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        lua_getfield(L, -1, names[i]);
        rpi_lua_make_charged(L);
        lua_setfield(L, -3, names[i]);
    }
    lua_getfield(L, -1, "charpattern");
    lua_setfield(L, -3, "charpattern");
    lua_pop(L, 1);
    rpi_lua_lock(L);
    lua_setfield(L, -2, "utf8");
}

// The same numbers in every run.
static void set_math(lua_State *L)
{
    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 0);
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, 0);
    lua_call(L, 1, 0);
    rpi_lua_lock(L);
    lua_setfield(L, -2, "math");
}

void rpi_lua_push_globals(lua_State *L)
{
    static const char *const kept[] = {"assert", "error",    "getmetatable", "ipairs", "next", "pairs",   "rawequal",
                                       "rawget", "rawlen",   "select",       "tostring", "type", "_VERSION"};
    static const luaL_Reg own[] = {{"pcall", base_pcall},
                                   {"xpcall", base_xpcall},
                                   {"rawset", base_rawset},
                                   {"setmetatable", base_setmetatable},
                                   {"collectgarbage", base_collectgarbage},
                                   {"print", base_print},
                                   {NULL, NULL}};
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    lua_newtable(L); // base library, globals
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        lua_getfield(L, -2, kept[i]);
        lua_setfield(L, -2, kept[i]);
    }
    lua_getfield(L, -2, "tonumber");
    rpi_lua_make_charged(L);
    lua_setfield(L, -2, "tonumber");
    lua_remove(L, -2);
    luaL_setfuncs(L, own, 0);
    push_tables(L);
    rpi_lua_lock(L);
    lua_setfield(L, -2, "table");
    push_coroutines(L);
    rpi_lua_lock(L);
    lua_setfield(L, -2, "coroutine");
    set_strings(L);
    set_utf8(L);
    set_math(L);
}
