-- The Lua host: loads scripts in a sandbox and speaks to the middleware for them.
-- SPDX-License-Identifier: MIT

local here = _SCRIPT_DIR

-- lua/repartee.lua as a C array, so that a game needs no file beside its program. Written anew only when it has changed.
local function embed_library()
    local source = assert(io.open(path.join(here, "../../lua/repartee.lua"), "rb"))
    local text = source:read("*a")
    source:close()
    local lines = {
        "// Made from lua/repartee.lua by bindings/lua/premake5.lua.",
        "#include <stddef.h>",
        "extern const char rpi_lua_library_source[];",
        "extern const size_t rpi_lua_library_size;",
        "const char rpi_lua_library_source[] = {"
    }
    for from = 1, #text, 24 do
        local numbers = {}
        for index = from, math.min(from + 23, #text) do
            table.insert(numbers, string.format("%d", text:byte(index)))
        end
        table.insert(lines, table.concat(numbers, ",") .. ",")
    end
    table.insert(lines, "0};")
    table.insert(lines, "const size_t rpi_lua_library_size = sizeof(rpi_lua_library_source) - 1;")
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
