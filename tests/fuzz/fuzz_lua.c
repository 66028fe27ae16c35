// The Lua host with any script at all: it must come back, within its limits, and leak nothing.
// SPDX-License-Identifier: MIT
#include "repartee_lua/host.h"

static rt_result game_anything(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    (void)user;
    if (count > 0) {
        *result = arguments[0];
    }
    return RT_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rp_lua_def def = rp_default_lua_def();
    rp_lua *lua = NULL;
    def.max_memory_bytes = 4 << 20;
    def.max_instructions = 200000;
    if (rp_lua_create(&def, &lua) != RT_OK) {
        return 0;
    }
    rp_lua_set_function(lua, "anything", game_anything, NULL);
    if (rp_lua_load_text(lua, "fuzz.lua", (const char *)data, size) == RT_OK) {
        rp_lua_value argument = {.kind = RP_LUA_TEXT, .text = {(const char *)data, size < 64 ? size : 64}}, result;
        rp_lua_call(lua, "f", &argument, 1, &result);
        rp_lua_advance(lua, 10.0);
    }
    rp_lua_destroy(lua);
    return 0;
}
