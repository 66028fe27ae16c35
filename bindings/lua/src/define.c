// define.c - what repartee.lua is built on: characters and tools made in the world, the game's functions, files, answers.
// SPDX-License-Identifier: MIT
#include "lua_host.h"

#include <stdio.h>
#include <string.h>

// --- reading the tables that repartee.lua hands over (it has checked the types) ---------------------------------------------

// Texts stay in the table, and so stay where they are.
static const char *text_field(lua_State *L, int index, const char *field)
{
    lua_getfield(L, index, field);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1);
    return text;
}

static lua_Number number_field(lua_State *L, int index, const char *field, lua_Number otherwise)
{
    lua_getfield(L, index, field);
    lua_Number number = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : otherwise;
    lua_pop(L, 1);
    return number;
}

static bool flag_field(lua_State *L, int index, const char *field, bool otherwise)
{
    lua_getfield(L, index, field);
    bool flag = lua_isnil(L, -1) ? otherwise : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

static uint64_t microseconds_field(lua_State *L, int index, const char *field, uint64_t otherwise)
{
    lua_Number seconds = number_field(L, index, field, -1);
    return seconds < 0 ? otherwise : seconds > 1e9 ? (uint64_t)1e15 : (uint64_t)(seconds * 1e6);
}

// A list of texts as an array of pointers, in a userdata that is left on the stack. NULL where the field is missing.
static const char **list_field(lua_State *L, int index, const char *field, int32_t *count)
{
    *count = 0;
    if (lua_getfield(L, index, field) != LUA_TTABLE) {
        return NULL;
    }
    int list = lua_gettop(L);
    lua_Integer size = (lua_Integer)lua_rawlen(L, list);
    luaL_checkstack(L, 4, NULL);
    const char **texts = lua_newuserdatauv(L, ((size_t)size + 1) * sizeof(*texts), 0);
    for (lua_Integer i = 0; i < size; i++) {
        lua_rawgeti(L, list, i + 1);
        texts[i] = luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    *count = (int32_t)size;
    return texts;
}

static int fail_at(lua_State *L, const char *where, const char *kind, const char *name, const char *what)
{
    lua_pushfstring(L, "%s: %s '%s': %s", where, kind, name, what);
    return lua_error(L);
}

// --- tools ----------------------------------------------------------------------------------------------------------------

static rpi_lua_tool *find_tool(const rp_lua *lua, const char *name)
{
    for (size_t i = 0; i < lua->tool_count; i++) {
        if (strcmp(lua->tools[i]->name, name) == 0) {
            return lua->tools[i];
        }
    }
    return NULL;
}

static void destroy_tool(rp_lua *lua, rpi_lua_tool *tool)
{
    if (lua->world && !RP_ID_IS_NULL(tool->id) && rp_tool_name(lua->world, tool->id)) {
        rp_tool_destroy(lua->world, tool->id);
    }
    luaL_unref(lua->state, LUA_REGISTRYINDEX, tool->record);
    rpi_lua_allocate(&lua->host, tool, sizeof(*tool), 0);
}

// Check only: the schema is compiled and forgotten.
static rt_result check_schema(const rp_lua *lua, const char *schema)
{
    if (!lua->vocabulary || !schema) {
        return RT_OK;
    }
    rt_grammar_def def = rt_default_grammar_def();
    def.host = lua->host;
    def.kind = RT_GRAMMAR_JSON_SCHEMA;
    def.text = schema;
    def.text_size = strlen(schema);
    rt_grammar *grammar = NULL;
    rt_result result = rt_grammar_create(lua->vocabulary, &def, &grammar);
    if (result == RT_OK) {
        rt_grammar_release(grammar);
    }
    return result;
}

static rt_result make_tool(lua_State *L, rp_lua *lua, rpi_lua_tool *tool)
{
    const char *parameters = text_field(L, 1, "parameters"), *result_schema = text_field(L, 1, "result");
    if (!lua->world) {
        rt_result result = check_schema(lua, parameters);
        return result == RT_OK ? check_schema(lua, result_schema) : result;
    }
    bool live = flag_field(L, 1, "live", false);
    rp_tool_def def = rp_default_tool_def();
    def.name = tool->name;
    def.description = text_field(L, 1, "description");
    def.parameters = live ? NULL : parameters;
    def.result = result_schema;
    def.live_parameters = live ? rpi_lua_tool_parameters : NULL;
    def.eligible = flag_field(L, 1, "has_when", false) ? rpi_lua_tool_eligible : NULL;
    def.call = rpi_lua_tool_call;
    def.user = tool;
    def.cooldown_us = microseconds_field(L, 1, "cooldown", def.cooldown_us);
    def.timeout_us = microseconds_field(L, 1, "timeout", def.timeout_us);
    def.once_per_turn = flag_field(L, 1, "once_per_turn", def.once_per_turn);
    def.is_pure = flag_field(L, 1, "pure", def.is_pure);
    return rp_tool_create(lua->world, &def, &tool->id);
}

// create_tool(fields, record)
static int create_tool(lua_State *L)
{
    rp_lua *lua = rpi_lua_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    const char *name = text_field(L, 1, "name"), *where = text_field(L, 1, "where");
    if (!name || !where || strlen(name) > RPI_LUA_NAME_SIZE) {
        return luaL_error(L, "%s: a tool's name has at most %d bytes", where ? where : "?", RPI_LUA_NAME_SIZE);
    }
    if (find_tool(lua, name)) {
        return fail_at(L, where, "tool", name, "is defined already");
    }
    lua_settop(L, 2);
    int record = luaL_ref(L, LUA_REGISTRYINDEX);
    rpi_lua_tool *tool = NULL;
    if (rpi_lua_reserve(&lua->host, (void **)&lua->tools, &lua->tool_capacity, lua->tool_count + 1, sizeof(*lua->tools))) {
        tool = rpi_lua_allocate(&lua->host, NULL, 0, sizeof(*tool));
    }
    if (!tool) {
        luaL_unref(L, LUA_REGISTRYINDEX, record);
        return fail_at(L, where, "tool", name, "out of memory");
    }
    memset(tool, 0, sizeof(*tool));
    tool->lua = lua;
    tool->record = record;
    memcpy(tool->name, name, strlen(name));
    lua->tools[lua->tool_count++] = tool; // taken back with the script, should anything fail from here on
    if (make_tool(L, lua, tool) != RT_OK) {
        return fail_at(L, where, "tool", name, rt_error_message());
    }
    return 0;
}

static int has_tool(lua_State *L)
{
    rp_lua *lua = rpi_lua_of(L);
    const char *name = luaL_checkstring(L, 1);
    rp_tool_id id;
    bool found = find_tool(lua, name) || (lua->world && rp_tool_find(lua->world, name, &id) == RT_OK);
    lua_pushboolean(L, found);
    return 1;
}

static int tool_names(lua_State *L)
{
    rp_lua *lua = rpi_lua_of(L);
    lua_createtable(L, (int)lua->tool_count, 0);
    for (size_t i = 0; i < lua->tool_count; i++) {
        lua_pushstring(L, lua->tools[i]->name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

// --- characters -------------------------------------------------------------------------------------------------------------

const rpi_lua_character *rpi_lua_character_of(const rp_lua *lua, rp_character_id id)
{
    for (size_t i = 0; i < lua->character_count; i++) {
        if (RP_ID_EQUAL(lua->characters[i]->id, id)) {
            return lua->characters[i];
        }
    }
    return NULL;
}

static void destroy_character(rp_lua *lua, rpi_lua_character *character)
{
    if (lua->world && !RP_ID_IS_NULL(character->id) && rp_character_name(lua->world, character->id)) {
        rp_character_destroy(lua->world, character->id);
    }
    for (size_t i = 0; i < character->setting_count; i++) {
        rpi_lua_allocate(&lua->host, character->settings[i].key, character->settings[i].size, 0);
    }
    if (character->settings) {
        rpi_lua_allocate(&lua->host, character->settings, character->setting_count * sizeof(rpi_lua_setting), 0);
    }
    rpi_lua_allocate(&lua->host, character, sizeof(*character), 0);
}

void rpi_lua_take_back(rp_lua *lua, size_t tools, size_t characters)
{
    while (lua->character_count > characters) {
        destroy_character(lua, lua->characters[--lua->character_count]);
    }
    while (lua->tool_count > tools) {
        destroy_tool(lua, lua->tools[--lua->tool_count]);
    }
}

// settings: a list of { key, value }. False: out of memory.
static bool copy_settings(lua_State *L, rp_lua *lua, rpi_lua_character *character)
{
    if (lua_getfield(L, 1, "settings") != LUA_TTABLE || lua_rawlen(L, -1) == 0) {
        return true;
    }
    int list = lua_gettop(L);
    size_t count = lua_rawlen(L, list);
    character->settings = rpi_lua_allocate(&lua->host, NULL, 0, count * sizeof(rpi_lua_setting));
    if (!character->settings) {
        return false;
    }
    memset(character->settings, 0, count * sizeof(rpi_lua_setting));
    character->setting_count = count;
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        size_t key_size, value_size;
        const char *key = lua_tolstring(L, -2, &key_size), *value = lua_tolstring(L, -1, &value_size);
        rpi_lua_setting *setting = &character->settings[i];
        setting->size = key_size + value_size + 2;
        setting->key = rpi_lua_allocate(&lua->host, NULL, 0, setting->size);
        if (!setting->key) {
            return false; // what is still zero frees as nothing
        }
        setting->value = setting->key + key_size + 1;
        memcpy(setting->key, key, key_size + 1);
        memcpy(setting->value, value, value_size + 1);
        lua_pop(L, 3);
    }
    return true;
}

static void read_sampler(lua_State *L, rt_sampler_def *sampler)
{
    sampler->temperature = (float)number_field(L, 1, "temperature", sampler->temperature);
    sampler->top_k = (int32_t)number_field(L, 1, "top_k", sampler->top_k);
    sampler->top_p = (float)number_field(L, 1, "top_p", sampler->top_p);
    sampler->min_p = (float)number_field(L, 1, "min_p", sampler->min_p);
    sampler->repetition_penalty = (float)number_field(L, 1, "repetition_penalty", sampler->repetition_penalty);
    sampler->repetition_window = (int32_t)number_field(L, 1, "repetition_window", sampler->repetition_window);
    sampler->seed = (uint64_t)number_field(L, 1, "seed", 0);
}

// The ids of the tools by name, in a userdata that is left on the stack.
static const rp_tool_id *read_tools(lua_State *L, rp_lua *lua, int32_t *count)
{
    const char **names = list_field(L, 1, "tools", count);
    rp_tool_id *ids = lua_newuserdatauv(L, ((size_t)*count + 1) * sizeof(*ids), 0);
    for (int32_t i = 0; i < *count; i++) {
        const rpi_lua_tool *tool = find_tool(lua, names[i]);
        ids[i] = tool ? tool->id : (rp_tool_id){0, 0};
        if (!tool && lua->world) {
            rp_tool_find(lua->world, names[i], &ids[i]);
        }
    }
    return ids;
}

// opening: a list of { line, reply }.
static rt_result add_opening(lua_State *L, rp_lua *lua, rp_character_id id)
{
    rt_result result = RT_OK;
    if (lua_getfield(L, 1, "opening") != LUA_TTABLE) {
        return RT_OK;
    }
    int list = lua_gettop(L);
    lua_Integer count = (lua_Integer)lua_rawlen(L, list);
    for (lua_Integer i = 1; i <= count && result == RT_OK; i++) {
        lua_rawgeti(L, list, i);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        result = rp_character_add_history(lua->world, id, lua_tostring(L, -2), lua_tostring(L, -1));
        lua_settop(L, list);
    }
    return result;
}

static rt_result make_character(lua_State *L, rp_lua *lua, rpi_lua_character *character)
{
    if (!lua->world) {
        rt_sampler_def sampler = rt_default_sampler_def();
        read_sampler(L, &sampler);
        character->id = (rp_character_id){(uint32_t)lua->character_count, 0};
        return rt_sampler_check(&sampler);
    }
    rp_character_def def = rp_default_character_def();
    def.name = character->name;
    def.persona = text_field(L, 1, "persona");
    def.knowledge = text_field(L, 1, "knowledge");
    def.tools = read_tools(L, lua, &def.tool_count);
    def.emotions = (const char *const *)list_field(L, 1, "emotions", &def.emotion_count);
    def.fallback_lines = (const char *const *)list_field(L, 1, "fallback", &def.fallback_line_count);
    read_sampler(L, &def.sampler);
    def.max_reply_tokens = (int32_t)number_field(L, 1, "max_reply_tokens", def.max_reply_tokens);
    def.max_history_turns = (int32_t)number_field(L, 1, "max_history_turns", def.max_history_turns);
    rt_result result = rp_character_create(lua->world, &def, &character->id);
    return result == RT_OK ? add_opening(L, lua, character->id) : result;
}

// create_character(fields)
static int create_character(lua_State *L)
{
    rp_lua *lua = rpi_lua_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    luaL_checkstack(L, 24, NULL);
    const char *key = text_field(L, 1, "key"), *name = text_field(L, 1, "name"), *where = text_field(L, 1, "where");
    if (!key || !name || !where || strlen(key) > RPI_LUA_NAME_SIZE || strlen(name) > RPI_LUA_NAME_SIZE) {
        return luaL_error(L, "%s: a character's key and name have at most %d bytes", where ? where : "?", RPI_LUA_NAME_SIZE);
    }
    for (size_t i = 0; i < lua->character_count; i++) {
        if (strcmp(lua->characters[i]->key, key) == 0) {
            return fail_at(L, where, "character", key, "is defined already");
        }
    }
    rpi_lua_character *character = NULL;
    if (rpi_lua_reserve(&lua->host, (void **)&lua->characters, &lua->character_capacity, lua->character_count + 1,
                        sizeof(*lua->characters))) {
        character = rpi_lua_allocate(&lua->host, NULL, 0, sizeof(*character));
    }
    if (!character) {
        return fail_at(L, where, "character", key, "out of memory");
    }
    memset(character, 0, sizeof(*character));
    memcpy(character->key, key, strlen(key));
    memcpy(character->name, name, strlen(name));
    lua->characters[lua->character_count++] = character;
    if (!copy_settings(L, lua, character)) {
        return fail_at(L, where, "character", key, "out of memory");
    }
    if (make_character(L, lua, character) != RT_OK) {
        return fail_at(L, where, "character", key, rt_error_message());
    }
    return 0;
}

// --- the rest of what repartee.lua needs --------------------------------------------------------------------------------------

static int native_where(lua_State *L)
{
    char where[160];
    rpi_lua_where(L, where, sizeof(where));
    lua_pushstring(L, where);
    return 1;
}

static int native_in_callback(lua_State *L)
{
    lua_pushboolean(L, rpi_lua_of(L)->in_callback);
    return 1;
}

// read_text(path): a text file in the script's folder.
static int native_read_text(lua_State *L)
{
    const char *relative = luaL_checkstring(L, 1);
    rpi_lua_push_file(L, rpi_lua_push_path(L, relative), RPI_LUA_MAX_KNOWLEDGE);
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    if (!rpi_lua_is_utf8(text, size) || memchr(text, 0, size)) {
        return luaL_error(L, "'%s' is not UTF-8 text", relative);
    }
    return 1;
}

static int native_is_text(lua_State *L)
{
    size_t size = 0;
    const char *text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &size) : NULL;
    lua_pushboolean(L, text && rpi_lua_is_utf8(text, size) && !memchr(text, 0, size));
    return 1;
}

// answer(index, generation, status, text): true, or nil and why not.
static int native_answer(lua_State *L)
{
    rp_lua *lua = rpi_lua_of(L);
    rp_call_id id = {(uint32_t)luaL_checkinteger(L, 1), (uint32_t)luaL_checkinteger(L, 2)};
    if (lua->world && rp_call_answer(lua->world, id, (rp_call_status)luaL_checkinteger(L, 3), luaL_checkstring(L, 4)) == RT_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, rt_error_message());
    return 2;
}

static const rpi_lua_game_function *find_function(const rp_lua *lua, const char *name)
{
    for (size_t i = 0; i < lua->function_count; i++) {
        if (strcmp(lua->functions[i].name, name) == 0) {
            return &lua->functions[i];
        }
    }
    return NULL;
}

// Calls the game's function with the values on the stack from `first` on.
static int call_function(lua_State *L, const rpi_lua_game_function *found, int first)
{
    rp_lua *lua = rpi_lua_of(L);
    rpi_lua_game_function function = *found; // the game may register more while it runs
    rp_lua_value arguments[RPI_LUA_MAX_ARGUMENTS], result;
    int count = lua_gettop(L) - first + 1;
    if (count > RPI_LUA_MAX_ARGUMENTS) {
        return luaL_error(L, "game.%s: at most %d arguments", function.name, RPI_LUA_MAX_ARGUMENTS);
    }
    luaL_checkstack(L, 2 * RPI_LUA_MAX_ARGUMENTS + 8, NULL);
    for (int i = 0; i < count; i++) {
        rpi_lua_to_value(L, first + i, &arguments[i]);
    }
    rpi_lua_charge(L, 20);
    memset(&result, 0, sizeof(result));
    lua_State *outer = lua->current;
    lua->current = L;
    rt_result status = function.function(function.user, arguments, count, &result);
    lua->current = outer;
    if (status != RT_OK) {
        char where[160];
        rpi_lua_where(L, where, sizeof(where));
        lua_pushfstring(L, "%s: ", where);
        if (result.kind == RP_LUA_TEXT && result.text.data) {
            lua_pushlstring(L, result.text.data, result.text.size);
        } else {
            lua_pushfstring(L, "game.%s: %s", function.name, rt_result_text(status));
        }
        lua_concat(L, 2);
        return lua_error(L);
    }
    rpi_lua_push_value(L, &result);
    return 1;
}

static int call_game(lua_State *L)
{
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    const rpi_lua_game_function *found = find_function(rpi_lua_of(L), name);
    if (!found) {
        return luaL_error(L, "game.%s cannot be called: no game is running, the script is only being checked", name);
    }
    return call_function(L, found, 1);
}

// game.NAME; upvalue: the functions given out before.
static int index_game(lua_State *L)
{
    rp_lua *lua = rpi_lua_of(L);
    const char *name = luaL_checkstring(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
        return 1;
    }
    if (!find_function(lua, name) && lua->world) {
        luaL_Buffer buffer;
        luaL_buffinit(L, &buffer);
        for (size_t i = 0; i < lua->function_count && luaL_bufflen(&buffer) < 300; i++) {
            luaL_addstring(&buffer, i ? ", " : "");
            luaL_addstring(&buffer, lua->functions[i].name);
        }
        luaL_pushresult(&buffer);
        return luaL_error(L, "the game has no function '%s'; it has: %s", name, lua_tostring(L, -1));
    }
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, call_game, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, lua_upvalueindex(1));
    return 1;
}

static int refuse_game(lua_State *L)
{
    return luaL_error(L, "functions are added to 'game' by the game, not by scripts");
}

void rpi_lua_push_game(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 3);
    lua_newtable(L);
    lua_pushcclosure(L, index_game, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_game);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

// speaker(name, field): what the game says about whoever speaks; nil where it says nothing.
static int native_speaker(lua_State *L)
{
    const rpi_lua_game_function *found = find_function(rpi_lua_of(L), "speaker");
    luaL_checkstring(L, 1);
    if (!found || lua_type(L, 2) != LUA_TSTRING) {
        return 0;
    }
    lua_settop(L, 2);
    return call_function(L, found, 1);
}

static int native_json(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    rpi_lua_charge(L, size / 8);
    rpi_lua_push_json(L, text, size);
    return 1;
}

void rpi_lua_push_native(lua_State *L)
{
    static const luaL_Reg functions[] = {{"create_tool", create_tool},
                                         {"create_character", create_character},
                                         {"has_tool", has_tool},
                                         {"tool_names", tool_names},
                                         {"where", native_where},
                                         {"in_callback", native_in_callback},
                                         {"read_text", native_read_text},
                                         {"is_text", native_is_text},
                                         {"answer", native_answer},
                                         {"speaker", native_speaker},
                                         {"json", native_json},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_pushboolean(L, rpi_lua_of(L)->world != NULL);
    lua_setfield(L, -2, "has_world");
}
