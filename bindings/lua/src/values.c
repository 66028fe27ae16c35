// values.c - what crosses between scripts and the game: values, JSON, UTF-8.
// SPDX-License-Identifier: MIT
#include "lua_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool rpi_lua_is_utf8(const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + size;
    while (s < end) {
        if (*s < 0x80) {
            s++;
            continue;
        }
        int more = *s >= 0xF0 ? 3 : *s >= 0xE0 ? 2 : 1;
        if (*s < 0xC2 || *s > 0xF4 || end - s <= more) {
            return false;
        }
        unsigned char low = 0x80, high = 0xBF; // of the second byte: no overlong forms, no surrogates, no more than U+10FFFF
        switch (*s) {
        case 0xE0: low = 0xA0; break;
        case 0xED: high = 0x9F; break;
        case 0xF0: low = 0x90; break;
        case 0xF4: high = 0x8F; break;
        default: break;
        }
        if (s[1] < low || s[1] > high) {
            return false;
        }
        for (int i = 2; i <= more; i++) {
            if (s[i] < 0x80 || s[i] > 0xBF) {
                return false;
            }
        }
        s += more + 1;
    }
    return true;
}

void rpi_lua_push_value(lua_State *L, const rp_lua_value *value)
{
    switch (value->kind) {
    case RP_LUA_BOOLEAN: lua_pushboolean(L, value->boolean); return;
    case RP_LUA_INTEGER: lua_pushinteger(L, value->integer); return;
    case RP_LUA_NUMBER: lua_pushnumber(L, value->number); return;
    case RP_LUA_TEXT: lua_pushlstring(L, value->text.data ? value->text.data : "", value->text.size); return;
    case RP_LUA_LIST:
        lua_createtable(L, (int)value->list_count, 0);
        for (size_t i = 0; i < value->list_count; i++) {
            lua_pushlstring(L, value->list[i].data ? value->list[i].data : "", value->list[i].size);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        return;
    case RP_LUA_NIL: break;
    }
    lua_pushnil(L);
}

// A list of texts: the texts stay in the table, the array of pointers is a userdata that replaces nothing and is left on the stack.
static void to_list(lua_State *L, int index, rp_lua_value *value)
{
    size_t count = lua_rawlen(L, index);
    if (count > RPI_LUA_MAX_LIST) {
        luaL_error(L, "a list of %d texts: the game takes at most %d", (int)count, RPI_LUA_MAX_LIST);
    }
    luaL_checkstack(L, 4, NULL);
    rp_text *texts = lua_newuserdatauv(L, (count + 1) * sizeof(rp_text), 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        if (lua_type(L, -1) != LUA_TSTRING) { // numbers would be converted on the stack only
            luaL_error(L, "element %d of a list is a %s: the game takes lists of texts", (int)i + 1, luaL_typename(L, -1));
        }
        texts[i].data = lua_tolstring(L, -1, &texts[i].size);
        lua_pop(L, 1);
    }
    value->kind = RP_LUA_LIST;
    value->list = texts;
    value->list_count = count;
}

void rpi_lua_to_value(lua_State *L, int index, rp_lua_value *value)
{
    index = lua_absindex(L, index);
    memset(value, 0, sizeof(*value));
    switch (lua_type(L, index)) {
    case LUA_TNIL: break;
    case LUA_TBOOLEAN:
        value->kind = RP_LUA_BOOLEAN;
        value->boolean = lua_toboolean(L, index);
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            value->kind = RP_LUA_INTEGER;
            value->integer = lua_tointeger(L, index);
            value->number = (double)value->integer;
        } else {
            value->kind = RP_LUA_NUMBER;
            value->number = lua_tonumber(L, index);
        }
        break;
    case LUA_TSTRING:
        value->kind = RP_LUA_TEXT;
        value->text.data = lua_tolstring(L, index, &value->text.size);
        break;
    case LUA_TTABLE: to_list(L, index, value); break;
    default: luaL_error(L, "a %s cannot be given to the game", luaL_typename(L, index));
    }
}

// --- JSON -----------------------------------------------------------------------------------------------------------------

typedef struct reader {
    lua_State *L;
    const char *at, *end;
    int depth;
} reader;

static void read_value(reader *r);

static void fail(reader *r, const char *what)
{
    luaL_error(r->L, "JSON: %s, %d bytes before the end", what, (int)(r->end - r->at));
}

static void skip_space(reader *r)
{
    while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at) {
        r->at++;
    }
}

static bool take(reader *r, char wanted)
{
    skip_space(r);
    if (r->at < r->end && *r->at == wanted) {
        r->at++;
        return true;
    }
    return false;
}

static unsigned read_hex(reader *r)
{
    unsigned code = 0;
    if (r->end - r->at < 4) {
        fail(r, "a \\u that is cut short");
    }
    for (int i = 0; i < 4; i++) {
        char c = *r->at++;
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                       : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10) : 16u;
        if (digit > 15) {
            fail(r, "a \\u without four hexadecimal digits");
        }
        code = code * 16 + digit;
    }
    return code;
}

static void add_code_point(luaL_Buffer *buffer, unsigned code)
{
    if (code < 0x80) {
        luaL_addchar(buffer, (char)code);
    } else if (code < 0x800) {
        luaL_addchar(buffer, (char)(0xC0 | (code >> 6)));
        luaL_addchar(buffer, (char)(0x80 | (code & 0x3F)));
    } else if (code < 0x10000) {
        luaL_addchar(buffer, (char)(0xE0 | (code >> 12)));
        luaL_addchar(buffer, (char)(0x80 | ((code >> 6) & 0x3F)));
        luaL_addchar(buffer, (char)(0x80 | (code & 0x3F)));
    } else {
        luaL_addchar(buffer, (char)(0xF0 | (code >> 18)));
        luaL_addchar(buffer, (char)(0x80 | ((code >> 12) & 0x3F)));
        luaL_addchar(buffer, (char)(0x80 | ((code >> 6) & 0x3F)));
        luaL_addchar(buffer, (char)(0x80 | (code & 0x3F)));
    }
}

static void read_escape(reader *r, luaL_Buffer *buffer)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->at >= r->end) {
        fail(r, "a text that does not end");
    }
    char c = *r->at++;
    const char *found = c ? strchr(from, c) : NULL;
    if (found) {
        luaL_addchar(buffer, to[found - from]);
        return;
    }
    if (c != 'u') {
        fail(r, "an unknown escape in a text");
    }
    unsigned code = read_hex(r);
    if (code >= 0xD800 && code < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        const char *back = r->at;
        r->at += 2;
        unsigned low = read_hex(r);
        if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        } else {
            r->at = back;
        }
    }
    if (code >= 0xD800 && code < 0xE000) {
        code = 0xFFFD; // half of a pair stands for no character
    }
    add_code_point(buffer, code);
}

static void read_text(reader *r)
{
    luaL_Buffer buffer;
    luaL_buffinit(r->L, &buffer);
    for (;;) {
        const char *from = r->at;
        while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (unsigned char)*r->at >= 0x20) {
            r->at++;
        }
        luaL_addlstring(&buffer, from, (size_t)(r->at - from));
        if (r->at >= r->end || (unsigned char)*r->at < 0x20) {
            fail(r, "a text that does not end");
        }
        if (*r->at++ == '"') {
            break;
        }
        read_escape(r, &buffer);
    }
    luaL_pushresult(&buffer);
}

static void read_number(reader *r)
{
    char digits[64];
    size_t size = 0;
    bool whole = true;
    while (r->at < r->end && *r->at && strchr("+-.0123456789eE", *r->at)) {
        if (size + 1 >= sizeof(digits)) {
            fail(r, "a number that is too long");
        }
        whole = whole && (*r->at == '-' || (*r->at >= '0' && *r->at <= '9'));
        digits[size++] = *r->at++;
    }
    digits[size] = 0;
    if (size == 0) {
        fail(r, "something that is no value");
    }
    char *end;
    errno = 0;
    long long integer = strtoll(digits, &end, 10);
    if (whole && *end == 0 && errno == 0) {
        lua_pushinteger(r->L, integer);
        return;
    }
    if (lua_stringtonumber(r->L, digits) == 0) {
        fail(r, "a malformed number");
    }
}

static void read_array(reader *r)
{
    lua_newtable(r->L);
    if (take(r, ']')) {
        return;
    }
    for (lua_Integer i = 1;; i++) {
        read_value(r);
        lua_rawseti(r->L, -2, i);
        if (take(r, ']')) {
            return;
        }
        if (!take(r, ',')) {
            fail(r, "a list without ',' or ']'");
        }
    }
}

static void read_object(reader *r)
{
    lua_newtable(r->L);
    if (take(r, '}')) {
        return;
    }
    for (;;) {
        if (!take(r, '"')) {
            fail(r, "an object without a key");
        }
        read_text(r);
        if (!take(r, ':')) {
            fail(r, "a key without ':'");
        }
        read_value(r);
        lua_rawset(r->L, -3);
        if (take(r, '}')) {
            return;
        }
        if (!take(r, ',')) {
            fail(r, "an object without ',' or '}'");
        }
    }
}

static bool take_word(reader *r, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(r->end - r->at) >= size && memcmp(r->at, word, size) == 0) {
        r->at += size;
        return true;
    }
    return false;
}

static void read_value(reader *r)
{
    if (++r->depth > RPI_LUA_MAX_JSON_DEPTH) {
        fail(r, "nested too deeply");
    }
    luaL_checkstack(r->L, 4, "JSON nested too deeply");
    if (take(r, '"')) {
        read_text(r);
    } else if (take(r, '{')) {
        read_object(r);
    } else if (take(r, '[')) {
        read_array(r);
    } else if (take_word(r, "true")) {
        lua_pushboolean(r->L, 1);
    } else if (take_word(r, "false")) {
        lua_pushboolean(r->L, 0);
    } else if (take_word(r, "null")) {
        lua_pushnil(r->L);
    } else {
        read_number(r);
    }
    r->depth--;
}

void rpi_lua_push_json(lua_State *L, const char *text, size_t size)
{
    reader r = {.L = L, .at = text, .end = text + size};
    read_value(&r);
    skip_space(&r);
    if (r.at != r.end) {
        fail(&r, "more text after the value");
    }
}
