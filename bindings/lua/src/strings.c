// strings.c - the library table `string`: everything of Lua's that is safe, with the work that it does charged.
// SPDX-License-Identifier: MIT
#include "lua_host.h"

#include <lualib.h>
#include <string.h>

// Turns a position as scripts write it (negative: from the end) into an offset from 0; `size` past the end.
static size_t offset_of(lua_Integer position, size_t size)
{
    if (position > 0) {
        return (size_t)position - 1 > size ? size + 1 : (size_t)position - 1;
    }
    if (position == 0 || position < -(lua_Integer)size) {
        return 0;
    }
    return size - (size_t)-position;
}

static int push_capture(lua_State *L, const rpi_lua_match *match, int index, const char *begin, const char *start,
                        const char *end)
{
    if (index >= match->level) {
        if (index != 0) {
            return luaL_error(L, "invalid capture index %%%d", index + 1);
        }
        lua_pushlstring(L, start, (size_t)(end - start));
    } else if (match->captures[index].size == RPI_LUA_POSITION) {
        lua_pushinteger(L, match->captures[index].start - begin + 1);
    } else {
        lua_pushlstring(L, match->captures[index].start, (size_t)match->captures[index].size);
    }
    return 1;
}

static int push_captures(lua_State *L, const rpi_lua_match *match, bool whole, const char *begin, const char *start,
                         const char *end)
{
    int count = match->level == 0 && whole ? 1 : match->level;
    luaL_checkstack(L, count, "too many captures");
    for (int i = 0; i < count; i++) {
        push_capture(L, match, i, begin, start, end);
    }
    return count;
}

static int find_plain(lua_State *L, const char *text, size_t size, size_t from, const char *wanted, size_t wanted_size)
{
    rpi_lua_charge(L, (size - from) / 4 + 1 + (wanted_size > 64 ? size / 4 : 0));
    const char *found = wanted_size == 0 ? text + from : memmem(text + from, size - from, wanted, wanted_size);
    if (!found) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, found - text + 1);
    lua_pushinteger(L, found - text + (lua_Integer)wanted_size);
    return 2;
}

static int find_or_match(lua_State *L, bool find)
{
    size_t size, pattern_size;
    const char *text = luaL_checklstring(L, 1, &size);
    const char *pattern = luaL_checklstring(L, 2, &pattern_size);
    size_t from = offset_of(luaL_optinteger(L, 3, 1), size);
    if (from > size) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || !strpbrk(pattern, "^$*+?.([%-"))) {
        if (lua_toboolean(L, 4) || strlen(pattern) == pattern_size) {
            return find_plain(L, text, size, from, pattern, pattern_size);
        }
    }
    const char *pattern_end = pattern + pattern_size;
    bool anchored = pattern_size > 0 && *pattern == '^';
    rpi_lua_match match;
    for (const char *at = text + from; at <= text + size; at++) {
        const char *end = rpi_lua_pattern_match(L, text, text + size, at, pattern + anchored, pattern_end, &match);
        if (end && find) {
            lua_pushinteger(L, at - text + 1);
            lua_pushinteger(L, end - text);
            return 2 + push_captures(L, &match, false, text, at, end);
        }
        if (end) {
            return push_captures(L, &match, true, text, at, end);
        }
        if (anchored) {
            break;
        }
    }
    lua_pushnil(L);
    return 1;
}

static int string_find(lua_State *L)
{
    return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
    return find_or_match(L, false);
}

// Upvalues: text, pattern, next offset, end of the last match (so that an empty match does not repeat it).
static int gmatch_next(lua_State *L)
{
    size_t size, pattern_size;
    const char *text = lua_tolstring(L, lua_upvalueindex(1), &size);
    const char *pattern = lua_tolstring(L, lua_upvalueindex(2), &pattern_size);
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    rpi_lua_match match;
    for (size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3)); from <= size; from++) {
        const char *at = text + from;
        const char *end = rpi_lua_pattern_match(L, text, text + size, at, pattern, pattern + pattern_size, &match);
        if (end && end - text != last) {
            lua_pushinteger(L, end - text);
            lua_copy(L, -1, lua_upvalueindex(3));
            lua_replace(L, lua_upvalueindex(4));
            return push_captures(L, &match, true, text, at, end);
        }
    }
    return 0;
}

static int string_gmatch(lua_State *L)
{
    size_t size;
    luaL_checklstring(L, 1, &size);
    luaL_checkstring(L, 2);
    size_t from = offset_of(luaL_optinteger(L, 3, 1), size);
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)from);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

static void add_replacement_text(lua_State *L, luaL_Buffer *buffer, const rpi_lua_match *match, const char *begin,
                                 const char *start, const char *end)
{
    size_t size;
    const char *text = lua_tolstring(L, 3, &size);
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '%') {
            luaL_addchar(buffer, text[i]);
            continue;
        }
        i++;
        if (i < size && text[i] == '%') {
            luaL_addchar(buffer, '%');
        } else if (i < size && text[i] == '0') {
            luaL_addlstring(buffer, start, (size_t)(end - start));
        } else if (i < size && text[i] >= '1' && text[i] <= '9') {
            push_capture(L, match, text[i] - '1', begin, start, end);
            luaL_tolstring(L, -1, NULL);
            lua_remove(L, -2);
            luaL_addvalue(buffer);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
    rpi_lua_charge(L, size / 8 + 1);
}

// Adds what stands for one match.
static void add_replacement(lua_State *L, luaL_Buffer *buffer, const rpi_lua_match *match, const char *begin,
                            const char *start, const char *end)
{
    int kind = lua_type(L, 3);
    if (kind == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(L, match, true, begin, start, end), 1);
    } else if (kind == LUA_TTABLE) {
        push_capture(L, match, 0, begin, start, end);
        lua_gettable(L, 3);
    } else {
        add_replacement_text(L, buffer, match, begin, start, end);
        return;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(buffer, start, (size_t)(end - start));
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    } else {
        luaL_addvalue(buffer);
    }
}

static int string_gsub(lua_State *L)
{
    size_t size, pattern_size;
    const char *text = luaL_checklstring(L, 1, &size);
    const char *pattern = luaL_checklstring(L, 2, &pattern_size);
    int kind = lua_type(L, 3);
    luaL_argexpected(L, kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION || kind == LUA_TTABLE, 3,
                     "string/function/table");
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)size + 1);
    lua_settop(L, 4);
    bool anchored = pattern_size > 0 && *pattern == '^';
    const char *at = text, *end_of_text = text + size, *last = NULL;
    lua_Integer count = 0;
    luaL_Buffer buffer;
    rpi_lua_match match;
    rpi_lua_charge(L, size / 8 + 1);
    luaL_buffinit(L, &buffer);
    while (count < most) {
        const char *end = rpi_lua_pattern_match(L, text, end_of_text, at, pattern + anchored, pattern + pattern_size, &match);
        if (end && end != last) {
            count++;
            add_replacement(L, &buffer, &match, text, at, end);
            at = last = end;
        } else if (at < end_of_text) {
            luaL_addchar(&buffer, *at);
            at++;
        } else {
            break;
        }
        if (anchored) {
            break;
        }
    }
    luaL_addlstring(&buffer, at, (size_t)(end_of_text - at));
    luaL_pushresult(&buffer);
    lua_pushinteger(L, count);
    return 2;
}

static int string_rep(lua_State *L)
{
    size_t size, separator_size;
    const char *text = luaL_checklstring(L, 1, &size);
    lua_Integer count = luaL_checkinteger(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &separator_size);
    if (count <= 0 || size + separator_size == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((uint64_t)count > RPI_LUA_MAX_STRING / (size + separator_size)) {
        return luaL_error(L, "resulting string too large (a text has at most %d bytes)", RPI_LUA_MAX_STRING);
    }
    rpi_lua_charge(L, (uint64_t)count + (uint64_t)count * (size + separator_size) / 32);
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (lua_Integer i = 0; i < count; i++) {
        if (i > 0) {
            luaL_addlstring(&buffer, separator, separator_size);
        }
        luaL_addlstring(&buffer, text, size);
    }
    luaL_pushresult(&buffer);
    return 1;
}

// Calls the function of Lua's own library in the first upvalue, after charging for the texts that it is given.
static int charged(lua_State *L)
{
    uint64_t work = 0;
    int count = lua_gettop(L);
    for (int i = 1; i <= count; i++) {
        if (lua_type(L, i) == LUA_TSTRING) {
            work += lua_rawlen(L, i) / 16 + 1;
        }
    }
    rpi_lua_charge(L, work);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, count, LUA_MULTRET);
    return lua_gettop(L);
}

void rpi_lua_make_charged(lua_State *L)
{
    lua_pushcclosure(L, charged, 1);
}

void rpi_lua_push_strings(lua_State *L)
{
    static const char *const kept[] = {"byte", "char", "format", "len", "lower", "reverse", "sub", "upper"};
    static const luaL_Reg own[] = {{"find", string_find}, {"match", string_match}, {"gmatch", string_gmatch},
                                   {"gsub", string_gsub}, {"rep", string_rep},     {NULL, NULL}};
    lua_newtable(L);
    luaL_setfuncs(L, own, 0);
    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0); // sets the metatable of texts too; sandbox.c replaces that
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        lua_getfield(L, -1, kept[i]);
        rpi_lua_make_charged(L);
        lua_setfield(L, -3, kept[i]);
    }
    lua_pop(L, 1);
}
