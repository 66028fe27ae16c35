-- The Lua host: loads scripts in a sandbox and speaks to the middleware for them.
-- SPDX-License-Identifier: MIT

local here = _SCRIPT_DIR

-- lua/repartee.lua and its parts as C arrays, so that a game needs no file beside its program. Written anew only when one
-- has changed.
local library_parts = {
    "repartee", "repartee/calls", "repartee/define", "repartee/json", "repartee/types", "repartee/words"
}

local function embed_library()
    local lines = {
        "// Made from lua/repartee.lua and lua/repartee/*.lua by bindings/lua/premake5.lua.",
        "#include <stddef.h>",
        "typedef struct rpi_lua_part {",
        "    const char *name, *source;",
        "    size_t size;",
        "} rpi_lua_part;",
        "extern const rpi_lua_part rpi_lua_parts[];"
    }
    local rows = {}
    for number, name in ipairs(library_parts) do
        local source = assert(io.open(path.join(here, "../../lua/" .. name .. ".lua"), "rb"))
        local text = source:read("*a")
        source:close()
        table.insert(lines, string.format("static const char part_%d[] = {", number))
        for from = 1, #text, 24 do
            local numbers = {}
            for index = from, math.min(from + 23, #text) do
                table.insert(numbers, string.format("%d", text:byte(index)))
            end
            table.insert(lines, table.concat(numbers, ",") .. ",")
        end
        table.insert(lines, "0};")
        table.insert(rows, string.format("    {\"%s\", part_%d, sizeof(part_%d) - 1},", name, number, number))
    end
    table.insert(lines, "const rpi_lua_part rpi_lua_parts[] = {")
    table.insert(lines, table.concat(rows, "\n"))
    table.insert(lines, "    {NULL, NULL, 0}};")
    local made = table.concat(lines, "\n") .. "\n"
    local folder = path.join(here, "../../build")
    local target = path.join(folder, "repartee_lua_library.c")
    local old = io.open(target, "rb")
    local same = old and old:read("*a") == made
    if old then
        old:close()
    end
    if not same then
        if os.mkdir then
            os.mkdir(folder)
        end
        local file = assert(io.open(target, "wb"))
        file:write(made)
        file:close()
    end
    return target
end

function uses_lua()
    includedirs { path.join(here, "include") }
    links { "repartee_lua" }
    uses_packages { "lua5.4" }
    uses_middleware()
end

repartee_project("repartee_lua", "StaticLib")
    files(sorted_files("src/**.c"))
    files { embed_library() }
    includedirs { "include", "src" }
    uses_lua()
