// The sandbox's own string functions, where they must do what Lua's do (reference manual 6.4), and the log that print writes to.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "repartee_lua/host.h"

static char last_line[200];

static void keep_line(void *user, rt_log_level level, rt_result code, const char *message)
{
    (void)user, (void)level, (void)code;
    strncpy(last_line, message, sizeof last_line - 1);
}

static void run(const char *script)
{
    rp_lua_def def = rp_default_lua_def();
    def.host.log = keep_line;
    rp_lua *lua = NULL;
    assert_int_equal(rp_lua_create(&def, &lua), RT_OK);
    if (rp_lua_load_text(lua, "test.lua", script, strlen(script)) != RT_OK)
        fail_msg("%s", rt_error_message());
    rp_lua_destroy(lua);
}

static void test_gmatch(void **state)
{
    (void)state;
    run("local function all(text, pattern)\n"
        "  local found = {}\n"
        "  for a, b in string.gmatch(text, pattern) do found[#found + 1] = b and a .. '=' .. b or tostring(a) end\n"
        "  return table.concat(found, '|')\n"
        "end\n"
        "assert(all('one two  three', '%a+') == 'one|two|three')\n"
        "assert(all('k=v, x=y', '(%w+)=(%w+)') == 'k=v|x=y')\n"
        "assert(all('abc', '') == '|||')\n"          // an empty match at each place, and at the end
        "assert(all('abc', 'b*') == '|b|')\n"       // none twice at one place
        "assert(all('', 'x*') == '')\n"
        "assert(all('a1b22', '()%d') == '2|4|5')\n"  // positions
        "assert(all('f(a(b)c)d', '%b()') == '(a(b)c)')\n"
        "assert(all('THE (quick) fox', '%f[%a]%a+') == 'THE|quick|fox')\n"
        "assert(('x y'):gmatch('%a')() == 'x')\n"
        "assert(not pcall(string.gmatch, 'a', '(') or not pcall(string.gmatch('a', '(')))\n"
        "assert(not pcall(string.gmatch, 'a'))\n");
}

static void test_print_writes_to_the_log(void **state)
{
    (void)state;
    run("print('five', 5, nil, true)");
    assert_string_equal(last_line, "test.lua:1: five 5 nil true"); // with its place
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gmatch),
        cmocka_unit_test(test_print_writes_to_the_log),
    };
    return cmocka_run_group_tests_name("lua strings", tests, NULL, NULL);
}
