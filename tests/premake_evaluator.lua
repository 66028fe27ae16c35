-- Checks scripts/premake, the stand-in for premake5: patterns, filters, the order of links, what it refuses.
--   lua5.4 tests/premake_evaluator.lua     (at the root of the tree)
-- SPDX-License-Identifier: MIT

package.path = "scripts/?.lua;" .. package.path

local api = require("premake.api")
local gmake = require("premake.gmake")
local path = require("premake.paths")

local function equal(found, wanted, what)
    if found ~= wanted then
        error(string.format("%s: found '%s', wanted '%s'", what, tostring(found), tostring(wanted)), 2)
    end
end

local function check_paths()
    equal(path.normalize("/a/./b/../c/"), "/a/c", "normalize")
    equal(path.normalize("../a"), "../a", "normalize above the start")
    equal(path.join("a", "/b"), "/b", "join with an absolute path")
    equal(path.join("a/", "b"), "a/b", "join")
    equal(path.getrelative("/x/build", "/x/src/a.c"), "../src/a.c", "getrelative")
    equal(path.getrelative("/x", "/x"), ".", "getrelative to itself")
    equal(path.getbasename("/x/a.tar.gz"), "a.tar", "getbasename")
    local one, many = path.wildcards("src/*.c"), path.wildcards("src/**.c")
    assert(("src/a.c"):match(one) and not ("src/b/a.c"):match(one), "one star crosses a folder")
    assert(("src/a.c"):match(many) and ("src/b/a.c"):match(many), "two stars do not cross a folder")
    assert(not ("srcxaxc"):match(one), "a dot is a dot")
end

-- Evaluates `script` as a premake5.lua among `sources`, and returns the Makefile.
local function generate(script, sources)
    local folder = os.tmpname()
    os.remove(folder)
    os.execute("mkdir -p '" .. folder .. "/src/deep'")
    for _, name in ipairs(sources or {}) do
        io.open(folder .. "/" .. name, "w"):close()
    end
    local file = io.open(folder .. "/premake5.lua", "w")
    file:write(script)
    file:close()
    local ok, text = pcall(function()
        local evaluator = api.new(folder, {})
        evaluator:run(folder .. "/premake5.lua")
        return (gmake.generate(evaluator, api.fields))
    end)
    os.execute("rm -r '" .. folder .. "'")
    return ok, text
end

-- The compile or link line that makes `target`.
local function recipe(text, target)
    local found = text:match("\n" .. target:gsub("%p", "%%%0") .. ":[^\n]*\n\t@echo[^\n]*\n\t([^\n]*)")
    return assert(found, "no rule makes " .. target)
end

local function contains(text, wanted)
    assert(text:find(wanted, 1, true), "'" .. wanted .. "' is not in '" .. text .. "'")
end

local function lacks(text, unwanted)
    assert(not text:find(unwanted, 1, true), "'" .. unwanted .. "' is in '" .. text .. "'")
end

local script = [[
workspace "w"
    configurations { "debug", "release" }
    location "build"
    defines { "EVERYWHERE" }
    filter "configurations:release"
        optimize "On"
    filter {}

local function begin(name, what)
    project(name)
    kind(what)
    location "build"
    targetdir "build/%{cfg.buildcfg}"
    objdir "!build/%{cfg.buildcfg}/obj/%{prj.name}"
end

begin("low", "StaticLib")
    files { "src/**.c" }
    removefiles { "src/left_out.c" }
    filter "files:**_avx2.c or **/deep/**.c"
        buildoptions { "-mavx2" }
    filter { "files:**_avx2.c", "configurations:not debug" }
        optimize "Speed"
    filter {}

begin("top", "ConsoleApp")
    files { "main.c" }
    links { "m", "low" }
    links { "m" }
]]

local function check_generation()
    local ok, text = generate(script, { "main.c", "src/a.c", "src/k_avx2.c", "src/left_out.c", "src/deep/a.c" })
    assert(ok, text)
    lacks(text, "left_out")
    lacks(recipe(text, "debug/obj/low/a.o"), "-mavx2")
    contains(recipe(text, "debug/obj/low/a.o"), "-DEVERYWHERE")
    contains(recipe(text, "debug/obj/low/deep-a.o"), "-mavx2")
    contains(recipe(text, "release/obj/low/k_avx2.o"), "-O2 -O3 -mavx2")
    lacks(recipe(text, "debug/obj/low/k_avx2.o"), "-O3")
    contains(recipe(text, "debug/top"), "debug/liblow.a -lm")
    contains(recipe(text, "debug/obj/low/a.o"), '-MD -MP')
end

local function check_refusals()
    local ok, message = generate('workspace "w"\nflags { "Anything" }\n')
    assert(not ok)
    contains(message, "'flags' is not in the part of premake5")
    ok, message = generate('workspace "w"\nconfigurations { "debug" }\nproject "p"\nkind "StaticLib"\n'
        .. 'targetdir "x"\nobjdir "y"\nfilter "platforms:x64"\ndefines { "A" }\n')
    assert(not ok)
    contains(message, "'platforms:' is not in the part of premake5")
    ok, message = generate('workspace "w"\nconfigurations { "debug" }\nproject "p"\n')
    assert(not ok)
    contains(message, "project p has no kind")
end

check_paths()
check_generation()
check_refusals()
print("premake evaluator: paths, filters, links and refusals are as they should be")
