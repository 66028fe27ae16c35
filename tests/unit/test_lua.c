// The Lua host: what scripts define, what they may not do, what their errors say. The world is a double.
// SPDX-License-Identifier: MIT
#include "recording_world.h"

#include <lauxlib.h>
#include <lualib.h>

// --- a game -----------------------------------------------------------------------------------------------------------------

static int gold;
static const char *cellar_texts[] = {"ale", "dark \"mead\"", "wine"};
static size_t cellar_count;
static char last_log[2048];

static rt_result game_cellar(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    static rp_text texts[3];
    (void)user, (void)arguments, (void)count;
    for (size_t i = 0; i < cellar_count; i++) {
        texts[i] = (rp_text){cellar_texts[i], strlen(cellar_texts[i])};
    }
    result->kind = RP_LUA_LIST;
    result->list = texts;
    result->list_count = cellar_count;
    return RT_OK;
}

static rt_result game_pour(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    static char text[200];
    (void)user;
    if (count != 2 || arguments[0].kind != RP_LUA_TEXT || arguments[1].kind != RP_LUA_INTEGER) {
        result->kind = RP_LUA_TEXT;
        result->text = (rp_text){"pour takes a drink and a number of cups", 39};
        return RT_ERROR_INVALID_ARGUMENT;
    }
    snprintf(text, sizeof(text), "%d x %.*s", (int)arguments[1].integer, (int)arguments[0].text.size, arguments[0].text.data);
    result->kind = RP_LUA_TEXT;
    result->text = (rp_text){text, strlen(text)};
    return RT_OK;
}

static rt_result game_speaker(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    (void)user;
    assert_int_equal(count, 2);
    if (strcmp(arguments[1].text.data, "gold") == 0 && strcmp(arguments[0].text.data, "player") == 0) {
        result->kind = RP_LUA_INTEGER;
        result->integer = gold;
    }
    return RT_OK;
}

static void keep_log(void *user, rt_log_level level, rt_result code, const char *message)
{
    (void)user, (void)level, (void)code;
    snprintf(last_log, sizeof(last_log), "%s", message);
}

static rp_lua *new_host(rp_world *w)
{
    rp_lua_def def = rp_default_lua_def();
    rp_lua *lua = NULL;
    def.world = w;
    def.host.log = keep_log;
    def.max_memory_bytes = 8 << 20;
    def.max_instructions = 1000000;
    def.max_milliseconds = 20000; // sanitizers are slow
    assert_int_equal(rp_lua_create(&def, &lua), RT_OK);
    assert_int_equal(rp_lua_set_function(lua, "cellar", game_cellar, NULL), RT_OK);
    assert_int_equal(rp_lua_set_function(lua, "pour", game_pour, NULL), RT_OK);
    assert_int_equal(rp_lua_set_function(lua, "speaker", game_speaker, NULL), RT_OK);
    return lua;
}

static int set_up(void **state)
{
    memset(&world, 0, sizeof(world));
    gold = 3;
    cellar_count = 2;
    last_log[0] = 0;
    *state = new_host(&world);
    return 0;
}

static int tear_down(void **state)
{
    rp_lua_destroy(*state);
    assert_int_equal(alive_objects(), 0);
    return 0;
}

static rt_result load(rp_lua *lua, const char *text)
{
    return rp_lua_load_text(lua, "test.lua", text, strlen(text));
}

static void expect_error(rp_lua *lua, const char *text, const char *wanted)
{
    int before = alive_objects();
    rt_result result = load(lua, text);
    if (result != RT_ERROR_SCRIPT || !strstr(rt_error_message(), wanted)) {
        fail_msg("script:\n%s\nexpected \"%s\", got %d \"%s\"", text, wanted, result, rt_error_message());
    }
    assert_int_equal(alive_objects(), before);
    assert_int_equal(load(lua, "x = 1"), RT_OK); // the host still works
}

static rp_call_status call_tool(uint32_t tool, const char *arguments, rp_writer *writer)
{
    fake_tool *called = &world.tools[tool];
    rp_call call = {.id = {7, 5}, .tool = {tool + 1, 1}, .name = called->name, .character = {1, 1}, .turn = {9, 1},
                    .speaker = "player", .arguments = {arguments, strlen(arguments)}};
    memset(writer, 0, sizeof(*writer));
    return called->def.call(called->def.user, &world, &call, writer);
}

// --- tests ------------------------------------------------------------------------------------------------------------------

static const char griffin[] =
    "local repartee = require 'repartee'\n"
    "assert(repartee.tool == tool)\n"
    "character 'marta' {\n"
    "  name = 'Marta Voss',\n"
    "  persona = [[ Innkeeper of the Gilded Griffin.\n     Dry wit, remembers every debt. ]],\n"
    "  emotions = { 'neutral', 'amused' },\n"
    "  tools = { 'pour_drink' },\n"
    "  opening = { { 'Hello.', 'Evening.' }, { 'Cold?', 'Aye.' } },\n"
    "  temperature = 0.5, look = 'innkeeper', height = 1.7,\n"
    "}\n"
    "tool 'pour_drink' {\n"
    "  description = 'Pour the guest a drink',\n"
    "  parameters = {\n"
    "    drink = enum(function() return game.cellar() end),\n"
    "    cups = integer { min = 1, max = 4, default = 1 },\n"
    "  },\n"
    "  when = function(ctx) return ctx.speaker.gold >= 2 end,\n"
    "  cooldown = 5,\n"
    "  call = function(args, ctx) return game.pour(args.drink, args.cups) end,\n"
    "}\n";

static void test_design_example(void **state)
{
    rp_lua *lua = *state;
    assert_int_equal(load(lua, griffin), RT_OK);
    fake_character *marta = &world.characters[0];
    assert_string_equal(marta->name, "Marta Voss");
    assert_string_equal(marta->persona, "Innkeeper of the Gilded Griffin.\nDry wit, remembers every debt.");
    assert_string_equal(marta->emotions, "neutral,amused");
    assert_string_equal(marta->opening, "Hello. > Evening.; Cold? > Aye.; ");
    assert_true(marta->def.sampler.temperature == 0.5f);
    assert_int_equal(marta->def.tool_count, 1);
    assert_int_equal(marta->tools[0].index, 1);
    rp_character_id id;
    assert_int_equal(rp_lua_find_character(lua, "marta", &id), RT_OK);
    assert_string_equal(rp_lua_character_setting(lua, id, "look"), "innkeeper");
    assert_string_equal(rp_lua_character_setting(lua, id, "height"), "1.7");
    assert_null(rp_lua_character_setting(lua, id, "name"));
    assert_string_equal(rp_lua_character_name(lua, 0, &id), "Marta Voss");
    assert_null(rp_lua_character_name(lua, 1, &id));

    fake_tool *pour = &world.tools[0];
    assert_int_equal(pour->def.cooldown_us, 5000000);
    assert_true(pour->def.once_per_turn);
    assert_true(pour->def.eligible(pour->def.user, &world, id, "player"));
    gold = 1;
    assert_false(pour->def.eligible(pour->def.user, &world, id, "player"));
    assert_false(pour->def.eligible(pour->def.user, &world, id, "nobody")); // gold is nil: an error, so not offered
    assert_non_null(strstr(last_log, "test.lua:18"));

    rp_writer writer = {.size = 0};
    assert_true(pour->def.live_parameters(pour->def.user, &world, id, &writer));
    assert_string_equal(writer.text,
        "{\"type\":\"object\",\"properties\":{\"drink\":{\"type\":\"string\",\"enum\":[\"ale\",\"dark \\\"mead\\\"\"]},"
        "\"cups\":{\"type\":\"integer\",\"default\":1,\"minimum\":1,\"maximum\":4}},\"required\":[\"drink\"],"
        "\"additionalProperties\":false}");
    cellar_count = 0;
    memset(&writer, 0, sizeof(writer));
    assert_false(pour->def.live_parameters(pour->def.user, &world, id, &writer)); // an empty cellar: not offered
    assert_int_equal(call_tool(0, "{\"drink\": \"dark \\\"mead\\\"\"}", &writer), RP_CALL_ANSWERED);
    assert_string_equal(writer.text, "1 x dark \"mead\"");
    assert_int_equal(call_tool(0, "{\"drink\": 5}", &writer), RP_CALL_FAILED);
    assert_string_equal(writer.text, "pour takes a drink and a number of cups");
    assert_non_null(strstr(last_log, "test.lua:20: pour takes"));
}

static void test_types(void **state)
{
    rp_lua *lua = *state;
    assert_int_equal(load(lua,
        "tool 'a' { description = 'd', call = function() end, parameters = {\n"
        "  zeta = string { min_length = 1, max_length = 9, pattern = '[a-z]+' },\n"
        "  alpha = number { min = 0.5, max = 2 },\n"
        "  flag = boolean { default = false },\n"
        "  where = object { y = integer {}, x = integer {} },\n"
        "  items = list { enum { 'a', 'b' }, min_items = 1, max_items = 2 },\n"
        "  note = optional(text { description = 'why' }),\n"
        "} }\n"
        "tool 'b' { description = 'd', call = function() end, parameters = { { 'z', integer {} }, { 'a', integer {} } } }\n"
        "tool 'c' { description = 'd', call = function() end,\n"
        "  parameters = schema { type = 'object', properties = { n = { const = 3 } }, required = {} } }\n"
        "tool 'd' { description = 'd', call = function() end, parameters = schema '{\"type\": \"object\"}' }\n"
        "tool 'e' { description = 'd', call = function() end }\n"), RT_OK);
    assert_string_equal(world.tools[0].parameters,
        "{\"type\":\"object\",\"properties\":{"
        "\"zeta\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":9,\"pattern\":\"[a-z]+\"},"
        "\"alpha\":{\"type\":\"number\",\"minimum\":0.5,\"maximum\":2},"
        "\"flag\":{\"type\":\"boolean\",\"default\":false},"
        "\"where\":{\"type\":\"object\",\"properties\":{\"y\":{\"type\":\"integer\"},\"x\":{\"type\":\"integer\"}},"
        "\"required\":[\"y\",\"x\"],\"additionalProperties\":false},"
        "\"items\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"a\",\"b\"]},\"minItems\":1,\"maxItems\":2},"
        "\"note\":{\"type\":\"string\",\"description\":\"why\"}},"
        "\"required\":[\"zeta\",\"alpha\",\"where\",\"items\"],\"additionalProperties\":false}");
    assert_non_null(strstr(world.tools[1].parameters, "\"z\":{\"type\":\"integer\"},\"a\":{\"type\":\"integer\"}"));
    assert_string_equal(world.tools[2].parameters,
        "{\"properties\":{\"n\":{\"const\":3}},\"required\":[],\"type\":\"object\"}");
    assert_string_equal(world.tools[3].parameters, "{\"type\": \"object\"}");
    assert_string_equal(world.tools[4].parameters, "");
}

static void test_errors_say_where_and_what(void **state)
{
    static const char *const cases[][2] = {
        {"x = = 1", "test.lua:1:"},
        {"\n\ncharacter 'marta' { personna = 'x' }", "test.lua:3: character 'marta' needs a persona"},
        {"\ncharacter 'marta' { persona = 'x', personna = 'y' }", "test.lua:2: unknown field 'personna' in character 'marta': did you mean 'persona'?"},
        {"tool 'a' { description = 'd', call = print, cooldwon = 3 }", "test.lua:1: unknown field 'cooldwon' in tool 'a': did you mean 'cooldown'?"},
        {"tool 'a' { description = 'd', call = print, colour = 3 }", "a tool has: description"},
        {"tool 'a' { description = 'd' }", "test.lua:1: tool 'a' needs call"},
        {"tool 'a' { call = print }", "test.lua:1: tool 'a' needs a description"},
        {"tool 'a' { description = 5, call = print }", "must be a text, not a number"},
        {"tool 'pour' { description = 'd', call = print }\ncharacter 'm' { persona = 'x', tools = { 'puor' } }", "test.lua:2: character 'm' may call 'puor', but no tool has that name: did you mean 'pour'?"},
        {"character 'm' { persona = 'x', tools = 'pour' }", "'tools' of character 'm' must be a table, not a text"},
        {"character 'm' { persona = 'x', temperature = 'hot' }", "'temperature' of character 'm' must be a number"},
        {"character 'm' { persona = 'x', temperature = 99 }", "test.lua:1: character 'm': "},
        {"character 'm' { persona = 'x' } character 'm' { persona = 'y' }", "is defined already"},
        {"character 'm' { persona = 'a\\xff' }", "not UTF-8"},
        {"character { persona = 'x' }", "character needs a name"},
        {"tool 'refused' { description = 'd', call = print, parameters = { x = integer {} } }", "test.lua:1: tool 'refused': schema: /properties/x"},
        {"local x = integer { mim = 3 }", "test.lua:1: unknown option 'mim' of integer: did you mean 'min'?"},
        {"local x = integer { min = 1.5 }", "option 'min' of integer must be a integer, not a number"},
        {"local x = integer { min = 3, max = 1 }", "min = 3 is larger than max = 1"},
        {"local x = integer { max = 3, default = 5 }", "default = 5 is outside"},
        {"local x = enum {}", "at least one value"},
        {"local x = enum { 'a', {} }", "element 2"},
        {"tool 'a' { description = 'd', call = print, parameters = { x = integer } }", "write it with options"},
        {"tool 'a' { description = 'd', call = print, parameters = { x = 5 } }", "'x' must be a type such as integer"},
        {"tool 'a' { description = 'd', call = print, parameters = 'x' }", "must be a table"},
        {"world { lore = 'x' }", "test.lua:1: the world exists already"},
        {"local s = schema '{ nope'", "test.lua:1: schema: JSON"},
        {"local t = {} t.t = t local s = schema(t)", "nested more than 32 deep"},
        {"game.celar()", "the game has no function 'celar'; it has: cellar"},
        {"game.x = 1", "by the game, not by scripts"},
        {"character 'm' { persona = 'x', knows = { '../secret.md' } }", "only files in the script's own folder"},
        {"character 'm' { persona = 'x', knows = { '/etc/passwd' } }", "only files in the script's own folder"},
        {"require 'os'", "files can be read only while"},
        {"require '../x'", "names consist of"},
        {"character 'm' { persona = 'x', opening = { 'Hello' } }", "test.lua:1: 'opening' of character 'm': element 1"},
        {"error({})", "test.lua:1: (an error that is a table)"},
        {"error(setmetatable({}, { __tostring = function() return 'odd' end }))", "test.lua:1: odd"},
        {"error(setmetatable({}, { __tostring = function() error('worse') end }))", "test.lua:1: worse"},
        {"error()", "an error that is a nil"},
        {"after('soon', print)", "test.lua:1: after needs a number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_error(*state, cases[i][0], cases[i][1]);
    }
}

static void test_hostile_scripts(void **state)
{
    static const char *const cases[][2] = {
        {"while true do end", "test.lua:1: the script ran past its limit"},
        {"while true do pcall(function() while true do end end) end", "ran past its limit"},
        {"xpcall(function() while true do end end, function() while true do end end)", "ran past its limit"},
        {"local function f() return coroutine.wrap(function() while true do end end)() end f()", "ran past its limit"},
        {"while true do coroutine.resume(coroutine.create(function() while true do end end)) end", "ran past its limit"},
        {"local m = { __close = function() while true do end end }\n"
         "coroutine.wrap(function() local x <close> = setmetatable({}, m) while true do end end)()", "ran past its limit"},
        {"local m = { __close = function() while true do end end }\nlocal x <close> = setmetatable({}, m) while true do end", "ran past"},
        {"assert(coroutine.close == nil) error 'fine'", "fine"},
        {"local ok, x = xpcall(error, function(e) return e .. '!' end, 'a') assert(not ok and x == 'a!')\n"
         "assert(select('#', xpcall(function(...) return ... end, print, 1, 2)) == 3) error 'fine'", "fine"},
        {"local function f() for i = 1, 90 do coroutine.wrap(f)() end end f()", "test.lua:1"},
        {"local t = {} for i = 1, 1e9 do t[i] = { i } end", "not enough memory"},
        {"local s = 'x' while true do s = s .. s end", "not enough memory"},
        {"local s = ('x'):rep(1e6) while true do local t = s .. 'y' end", "ran past its limit"},
        {"local s = ('x'):rep(1e9)", "resulting string too large"},
        {"local s = (''):rep(1e18) assert(s == '') error 'fine'", "fine"},
        {"local function f() return 1 + f() end f()", "test.lua:1: "},
        {"local f f = function() return pcall(f) end f() error 'fine'", "test.lua:1"},
        {"local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k] end return t.x", "C stack overflow"},
        {"return (('a'):rep(20000)):find(('a-'):rep(12) .. 'b')", "ran past its limit"},
        {"return (('a'):rep(100000)):match('.-.-.-.-b')", "ran past its limit"},
        {"return ('x'):rep(1000):gsub('', function() while true do end end)", "ran past its limit"},
        {"return ('('):rep(5000):find(('('):rep(5000))", "too many captures"},
        {"return (('a'):rep(300)):find(('a?'):rep(300))", "pattern too complex"},
        {"table.move({}, 1, math.maxinteger - 1, 2)", "ran past its limit"},
        {"table.insert(setmetatable({}, { __len = function() return 1 << 50 end }), 1, 2)", "'__len'"},
        {"table.concat(setmetatable({}, { __index = function() return 'x' end }), '', 1, 1 << 40)", "ran past its limit"},
        {"table.unpack({}, 1, 1e8)", "ran past its limit"},
        {"setmetatable({}, { __gc = function() while true do end end })", "no finalizers"},
        {"string.rep = nil", "cannot be changed"},
        {"rawset(string, 'rep', 1)", "cannot be changed"},
        {"setmetatable(_G, {})", "protected metatable"},
        {"getmetatable('').__index = nil", "test.lua:1"},
        {"local n, t = pairs(string) assert(t == nil) error 'fine'", "fine"},
        {"for k in pairs(repartee) do repartee[k] = nil end", "cannot be changed"},
        {"collectgarbage 'stop'", "only \"count\""},
        {"assert(io == nil and os == nil and debug == nil and load == nil and loadfile == nil and dofile == nil and "
         "string.dump == nil and package == nil and loadstring == nil and warn == nil) error 'fine'", "fine"},
        {"\x1bLua\x54\x00\x19\x93\r\n\x1a\n", "binary chunk"},
        {"for i = 1, 1e5 do after(1, print) end", "more than 10000 timers"},
        {"local a = {} for i = 1, 200000 do a[i] = i end while true do table.sort(a, function(x, y) return x > y end) end", "test.lua:1"},
        {"return utf8.len(('x'):rep(1e6)), select('#', table.unpack({}, 1, 3)) + nil", "test.lua:1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_error(*state, cases[i][0], cases[i][1]);
    }
}

static void test_time_limit(void **state)
{
    (void)state;
    rp_lua_def def = rp_default_lua_def();
    rp_lua *lua = NULL;
    def.max_instructions = UINT64_MAX;
    def.max_milliseconds = 20;
    assert_int_equal(rp_lua_create(&def, &lua), RT_OK);
    assert_int_equal(load(lua, "while true do end"), RT_ERROR_SCRIPT);
    assert_non_null(strstr(rt_error_message(), "longer than 20 ms"));
    rp_lua_destroy(lua);
}

static void test_failing_script_is_taken_back(void **state)
{
    rp_lua *lua = *state;
    assert_int_equal(load(lua, griffin), RT_OK);
    int before = alive_objects();
    assert_int_equal(load(lua, "tool 'x' { description = 'd', call = print }\ncharacter 'y' { persona = 'p', tools = {'x'} }\n"
                               "character 'z' { persona = 'p', tools = { 'none_such' } }"), RT_ERROR_SCRIPT);
    assert_int_equal(alive_objects(), before);
    assert_int_equal(load(lua, "tool 'x' { description = 'd', call = print } error 'stop'"), RT_ERROR_SCRIPT);
    assert_int_equal(load(lua, "tool 'x' { description = 'd', call = print }"), RT_OK); // the name is free again
    assert_int_equal(alive_objects(), before + 1);
}

static void test_answers(void **state)
{
    rp_lua *lua = *state;
    rp_writer w;
    assert_int_equal(load(lua,
        "kept = nil\n"
        "local function t(name, call) tool(name) { description = 'd', call = call } end\n"
        "t('nothing', function() end)\n"
        "t('table', function() return { b = 1, a = { 'x', 2.5 } } end)\n"
        "t('veto', function() return veto 'it is locked' end)\n"
        "t('fail', function() return nil, 'no luck' end)\n"
        "t('raise', function() error 'broken' end)\n"
        "t('odd', function() error {} end)\n"
        "t('loop', function() while true do end end)\n"
        "t('later', function(args, ctx) kept = ctx after(2, function() ctx.answer('soup') end) return later() end)\n"
        "t('early', function(args, ctx) ctx.answer(ctx.character .. ctx.speaker.name .. ctx.tool .. ctx.turn) return later() end)\n"
        "function again() local ok, why = kept.answer('twice') return why end\n"
        "t('define', function() character 'late' { persona = 'x' } end)\n"), RT_OK);
    assert_int_equal(call_tool(0, "{}", &w), RP_CALL_ANSWERED);
    assert_string_equal(w.text, "done");
    assert_int_equal(call_tool(1, "{}", &w), RP_CALL_ANSWERED);
    assert_string_equal(w.text, "{\"a\":[\"x\",2.5],\"b\":1}");
    assert_int_equal(call_tool(2, "{}", &w), RP_CALL_VETOED);
    assert_string_equal(w.text, "it is locked");
    assert_int_equal(call_tool(3, "{}", &w), RP_CALL_FAILED);
    assert_string_equal(w.text, "no luck");
    assert_int_equal(call_tool(4, "{}", &w), RP_CALL_FAILED);
    assert_string_equal(w.text, "broken");
    assert_non_null(strstr(last_log, "test.lua:7: broken"));
    assert_int_equal(call_tool(5, "{}", &w), RP_CALL_FAILED);
    assert_int_equal(call_tool(6, "{}", &w), RP_CALL_FAILED);
    assert_int_equal(call_tool(7, "{}", &w), RP_CALL_LATER);
    assert_int_equal(rp_lua_advance(lua, 1.5), RT_OK);
    assert_int_equal(world.answers, 0);
    assert_int_equal(rp_lua_advance(lua, 0.6), RT_OK);
    assert_int_equal(world.answers, 1);
    assert_string_equal(world.answer, "soup");
    rp_lua_value result;
    assert_int_equal(rp_lua_call(lua, "again", NULL, 0, &result), RT_OK);
    assert_int_equal(result.kind, RP_LUA_TEXT);
    assert_non_null(strstr(result.text.data, "already"));
    assert_int_equal(call_tool(8, "{}", &w), RP_CALL_ANSWERED);
    assert_string_equal(w.text, "playerearly9");
    assert_int_equal(call_tool(9, "{}", &w), RP_CALL_FAILED);
    assert_non_null(strstr(w.text, "not while a tool is being called"));
}

static void test_calls_from_the_game(void **state)
{
    rp_lua *lua = *state;
    rp_lua_value arguments[2] = {{.kind = RP_LUA_INTEGER, .integer = 20}, {.kind = RP_LUA_TEXT, .text = {"abc", 3}}}, result;
    assert_int_equal(load(lua, "function add(a, b) return a + #b end\nfunction list() return { 'x', 'yy' } end\n"
                               "function bad() return nil .. 'x' end\nfunction deep(n) return game.again(n) end\n"
                               "function make() character 'born' { persona = 'x' } end\n"
                               "function ticking() local function again() after(0, again) end again() end"), RT_OK);
    assert_int_equal(rp_lua_call(lua, "add", arguments, 2, &result), RT_OK);
    assert_int_equal(result.kind, RP_LUA_INTEGER);
    assert_int_equal(result.integer, 23);
    assert_int_equal(rp_lua_call(lua, "list", NULL, 0, &result), RT_OK);
    assert_int_equal(result.list_count, 2);
    assert_memory_equal(result.list[1].data, "yy", 2);
    assert_int_equal(rp_lua_call(lua, "bad", NULL, 0, &result), RT_ERROR_SCRIPT);
    assert_non_null(strstr(rt_error_message(), "test.lua:3"));
    assert_int_equal(rp_lua_call(lua, "on_frame", NULL, 0, NULL), RT_ERROR_NOT_FOUND);
    assert_int_equal(rp_lua_call(lua, "make", NULL, 0, NULL), RT_OK);
    rp_character_id id;
    assert_int_equal(rp_lua_find_character(lua, "born", &id), RT_OK);
    assert_int_equal(rp_lua_call(lua, "ticking", NULL, 0, NULL), RT_OK);
    assert_int_equal(rp_lua_advance(lua, 0.1), RT_OK); // once a frame, however short its wait
    assert_int_equal(load(lua, "function add() return 1 end"), RT_OK); // the latest script has the word
    assert_int_equal(rp_lua_call(lua, "add", arguments, 2, &result), RT_OK);
    assert_int_equal(result.integer, 1);
}

static rt_result game_again(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    (void)count;
    return rp_lua_call(user, "deep", arguments, 1, result);
}

static void test_script_and_game_call_each_other(void **state)
{
    rp_lua *lua = *state;
    assert_int_equal(rp_lua_set_function(lua, "again", game_again, lua), RT_OK);
    assert_int_equal(load(lua, "function deep(n) return coroutine.wrap(function() return game.again(n) end)() end"), RT_OK);
    rp_lua_value n = {.kind = RP_LUA_INTEGER};
    assert_int_equal(rp_lua_call(lua, "deep", &n, 1, NULL), RT_ERROR_SCRIPT);
    assert_int_equal(load(lua, "x = 1"), RT_OK);
}

static void test_check_only(void **state)
{
    (void)state;
    rp_lua *lua = new_host(NULL);
    assert_int_equal(load(lua, griffin), RT_OK);
    expect_error(lua, "character 'm' { persona = 'x', tools = { 'nope' } }", "no tool has that name");
    expect_error(lua, "game.anything()", "only being checked");
    rp_lua_destroy(lua);
}

// Patterns against Lua's own matcher.
static void test_patterns(void **state)
{
    static const char *const cases[] = {
        "('hello world'):find('o w')", "('hello'):find('l+')", "('hello'):match('(h)(.)')", "('hello'):find('')",
        "('hello'):find('', 10)", "('a.b'):find('.', 1, true)", "('  trim '):match('^%s*(.-)%s*$')",
        "('key = value'):match('(%w+)%s*=%s*(%w+)')", "('f(a(b)c)d'):match('%b()')", "('THE (quick) fox'):find('%((%a+)%)')",
        "('hello'):gsub('l', 'L')", "('hello'):gsub('', '-')", "('abc'):gsub('%w', '%0%0')", "('abc def'):gsub('(%w+) (%w+)', '%2 %1')",
        "('abc'):gsub('b', { b = 'X' })", "('abc'):gsub('.', function(c) if c == 'b' then return '!' end end)",
        "('hello'):gsub('l', 'x', 1)", "('[x]'):find('[]]')", "('a-b'):find('[a%-]', 2)", "('x^y'):find('[%^x]', 2)",
        "('THE END'):gsub('%f[%a]%a+', string.lower)", "('abcabc'):match('(abc)%1')", "('2024-11-22'):match('(%d+)-(%d+)-(%d+)')",
        "('aaa'):find('a-', 2)", "('aaa'):match('a-b')", "('a\\0b'):find('%z')", "('a\\0b'):find('b')", "('abc'):find('()b()')",
        "('abc'):match('^(a)')", "('xabc'):gsub('^a', 'z')", "('abc'):find('c$')", "('a$c'):find('$c')", "('%d'):gsub('%%d', 'q')",
        "('abc'):find('[^a-b]')", "('x'):rep(3, ',')", "('abc'):find('b', -1)", "('abc'):find('a', -10)", "('äöü'):match('[\\xc3][\\x80-\\xbf]')",
        "('one two'):gsub('%w+', '%%')", "pcall(string.rep)", "('abc'):gsub('a', true and 'x' or 'y')", "('abc'):match('.', 5)",
        "('hello world from Lua'):gsub('%w+', '%0 %0', 1)", "('abc'):find('a*b?c-$')", "('aXb'):find('%u')", "('a1b'):match('%l%d%l')",
        "('tab\\there'):match('%c')", "('x y'):gsub('%S', '%%')", "('a,b,,c'):gsub(',', ';')", "('((a)'):match('%b()')",
        "pcall(string.find, 'a', '[a')", "pcall(string.find, 'a', '%')", "pcall(string.find, 'a', '(a')", "pcall(string.find, 'a', 'a)')",
        "pcall(string.gsub, 'a', 'a', '%2')", "pcall(string.find, 'a', '%f')", "pcall(string.match, 'a', '(()')",
    };
    rp_lua *lua = *state;
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char script[1024];
        snprintf(script, sizeof(script),
                 "function f() local t = table.pack(%s) local s = '' for i = 1, t.n do s = s .. tostring(t[i]) .. '|' end return s end",
                 cases[i]);
        assert_int_equal(load(lua, script), RT_OK);
        rp_lua_value result;
        assert_int_equal(rp_lua_call(lua, "f", NULL, 0, &result), RT_OK);
        assert_int_equal(luaL_dostring(L, script), LUA_OK);
        lua_getglobal(L, "f");
        assert_int_equal(lua_pcall(L, 0, 1, 0), LUA_OK);
        const char *wanted = lua_tostring(L, -1);
        if (strncmp(wanted, "false", 5) == 0) { // the words may differ
            assert_memory_equal(result.text.data, "false", 5);
        } else if (strcmp(wanted, result.text.data) != 0) {
            fail_msg("%s: Lua says \"%s\", the host \"%s\"", cases[i], wanted, result.text.data);
        }
        lua_settop(L, 0);
    }
    lua_close(L);
}

// Each allocation fails in turn: an error each time, nothing leaked.
typedef struct counting {
    size_t held;
    long left;
} counting;

static void *counting_allocate(void *user, void *pointer, size_t old_size, size_t new_size, size_t alignment)
{
    counting *c = user;
    (void)alignment;
    if (new_size == 0) {
        c->held -= pointer ? old_size : 0;
        free(pointer);
        return NULL;
    }
    if ((!pointer || new_size > old_size) && c->left-- <= 0) {
        return NULL;
    }
    void *moved = realloc(pointer, new_size);
    c->held += new_size - (pointer ? old_size : 0);
    return moved;
}

static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    bool all_fine = false;
    for (long n = 0; !all_fine; n += n < 40 ? 1 : 7) {
        counting c = {.left = n};
        rp_lua_def def = rp_default_lua_def();
        def.host.allocate = counting_allocate;
        def.host.user = &c;
        def.world = &world;
        memset(&world, 0, sizeof(world));
        rp_lua *lua = NULL;
        all_fine = rp_lua_create(&def, &lua) == RT_OK && rp_lua_set_function(lua, "cellar", game_cellar, NULL) == RT_OK
            && load(lua, griffin) == RT_OK;
        rp_lua_destroy(lua);
        assert_int_equal(c.held, 0);
        assert_int_equal(alive_objects(), 0);
        assert_true(n < 100000);
    }
}

static void test_bad_arguments(void **state)
{
    rp_lua *lua = *state, *other;
    rp_lua_def def;
    memset(&def, 0, sizeof(def));
    assert_int_equal(rp_lua_create(&def, &other), RT_ERROR_INVALID_ARGUMENT);
    assert_null(other);
    assert_int_equal(rp_lua_create(NULL, &other), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rp_lua_load(lua, "no/such/script.lua"), RT_ERROR_NOT_FOUND);
    assert_int_equal(rp_lua_load(lua, "tests"), RT_ERROR_SCRIPT);
    assert_int_equal(rp_lua_set_function(lua, "", game_pour, NULL), RT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(rp_lua_advance(lua, -1), RT_ERROR_INVALID_ARGUMENT);
    rp_character_id id;
    assert_int_equal(rp_lua_find_character(lua, "nobody", &id), RT_ERROR_NOT_FOUND);
    rp_lua_destroy(NULL);
}

// The documented examples, and every ```lua block of the manual, do load.
static void test_examples_load(void **state)
{
    rp_lua *lua = *state;
    static const char *const examples[] = {"lua/examples/innkeeper.lua", "lua/examples/types.lua", "lua/examples/later.lua"};
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        if (rp_lua_load(lua, examples[i]) != RT_OK) {
            fail_msg("%s: %s", examples[i], rt_error_message());
        }
    }
}

static void test_manual_examples(void **state)
{
    (void)state;
    FILE *file = fopen("docs/scripting.md", "rb");
    assert_non_null(file);
    static char line[1024], block[65536];
    bool inside = false;
    int blocks = 0, number = 0;
    while (fgets(line, sizeof(line), file)) {
        number++;
        if (!inside && strncmp(line, "```lua", 6) == 0) {
            inside = true;
            block[0] = 0;
        } else if (inside && strncmp(line, "```", 3) == 0) {
            inside = false;
            blocks++;
            memset(&world, 0, sizeof(world));
            rp_lua *lua = new_host(&world);
            if (rp_lua_load_text(lua, "docs/scripting.md", block, strlen(block)) != RT_OK) {
                fail_msg("the block that ends at docs/scripting.md:%d: %s", number, rt_error_message());
            }
            rp_lua_destroy(lua);
        } else if (inside) {
            strncat(block, line, sizeof(block) - strlen(block) - 1);
        }
    }
    fclose(file);
    assert_true(blocks >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_design_example, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_say_where_and_what, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_scripts, set_up, tear_down),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test_setup_teardown(test_failing_script_is_taken_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_calls_from_the_game, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_script_and_game_call_each_other, set_up, tear_down),
        cmocka_unit_test(test_check_only),
        cmocka_unit_test_setup_teardown(test_patterns, set_up, tear_down),
        cmocka_unit_test(test_every_allocation_fails_once),
        cmocka_unit_test_setup_teardown(test_bad_arguments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_examples_load, set_up, tear_down),
        cmocka_unit_test(test_manual_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
