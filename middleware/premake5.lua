-- Repartee itself, and the two libraries that a game links: librepartee.a and librepartee.so (runtime included).
-- SPDX-License-Identifier: MIT

local here = _SCRIPT_DIR
local sources = sorted_files("src/**.c")

function uses_middleware()
    includedirs { path.join(here, "include") }
    if #sources > 0 then
        links { "repartee_middleware" }
        uses_packages { "sqlite3" }
    end
    uses_runtime()
end

if #sources > 0 then
    repartee_project("repartee_middleware", "StaticLib")
        files(sources)
        includedirs { "include", "src", "../runtime/include" }
end

local parts = { "repartee_runtime" }
if #sources > 0 then
    table.insert(parts, 1, "repartee_middleware")
end

-- Every object of both layers goes in; only the public names come out.
repartee_project("repartee_shared", "SharedLib")
    targetname "repartee"
    local archives = {}
    for _, name in ipairs(parts) do
        table.insert(archives, "%{cfg.buildcfg}/lib" .. name .. ".a")
    end
    linkoptions { "-Wl,--whole-archive," .. table.concat(archives, ",") .. ",--no-whole-archive" }
    uses_middleware()

-- One archive out of the layers' archives.
repartee_project("repartee_static", "StaticLib")
    targetname "repartee"
    links(parts)
    local lines = { "echo CREATE %{cfg.buildcfg}/librepartee.a" }
    for _, name in ipairs(parts) do
        table.insert(lines, "echo ADDLIB %{cfg.buildcfg}/lib" .. name .. ".a")
    end
    postbuildcommands { "(" .. table.concat(lines, "; ") .. "; echo SAVE; echo END) | ar -M" }
