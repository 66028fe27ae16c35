-- The Lua host: loads scripts in a sandbox and speaks to the middleware for them.
-- SPDX-License-Identifier: MIT

local here = _SCRIPT_DIR
local sources = sorted_files("**.c")

function uses_lua()
    includedirs { path.join(here, "include") }
    if #sources > 0 then
        links { "repartee_lua" }
    end
    uses_packages { "lua5.4" }
    uses_middleware()
end

if #sources > 0 then
    repartee_project("repartee_lua", "StaticLib")
        files(sources)
        includedirs { "include", "src" }
        uses_lua()
end
