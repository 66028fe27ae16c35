-- One executable a file: unit tests and scenarios. They may look behind every public header.
-- SPDX-License-Identifier: MIT

local root = path.getabsolute("..")

-- Outermost first: a test links the layers whose headers it includes, and what lies below them.
local layers = {
    { name = "lua", uses = uses_lua, places = { "bindings/lua", "bindings/lua/include", "bindings/lua/src" } },
    { name = "middleware", uses = uses_middleware, places = { "middleware/include", "middleware/src" } },
    { name = "runtime", uses = uses_runtime, places = { "runtime/include", "runtime/src" } },
}

-- How far out the headers reach that a file includes: an index into `layers`.
local function outermost_layer(file, seen)
    local found = #layers
    seen[file] = true
    for line in io.lines(file) do
        local header = line:match('^%s*#%s*include%s+"([^"]+)"')
        if header then
            local beside = path.join(path.getdirectory(file), header)
            local shared = path.join(root, "tests", header)
            for index, layer in ipairs(layers) do
                for _, place in ipairs(layer.places) do
                    if os.isfile(path.join(root, place, header)) then
                        found = math.min(found, index)
                    end
                end
            end
            for _, candidate in ipairs { beside, shared } do
                if os.isfile(candidate) and not seen[candidate] then
                    found = math.min(found, outermost_layer(candidate, seen))
                end
            end
        end
    end
    return found
end

-- What a test of these sources needs: every include path from its outermost layer inwards, and that layer's links.
local function uses_layers_of(sources)
    local outermost = #layers
    for _, file in ipairs(sources) do
        outermost = math.min(outermost, outermost_layer(path.getabsolute(file), {}))
    end
    includedirs { "." }
    for index = outermost, #layers do
        for _, place in ipairs(layers[index].places) do
            if os.isdir(path.join(root, place)) then
                includedirs { path.join(root, place) }
            end
        end
    end
    layers[outermost].uses()
end

local support = sorted_files("support/**.c")

-- Scripted conversations that tests share; not a test itself.
local scenarios = "scenarios/scenarios.c"

local function includes_scenarios(file)
    for line in io.lines(path.getabsolute(file)) do
        if line:match('^%s*#%s*include%s+"scenarios/scenarios%.h"') then
            return true
        end
    end
    return false
end

local function with_support(file)
    local sources = { file }
    if includes_scenarios(file) then
        table.insert(sources, scenarios)
    end
    for _, one in ipairs(support) do
        table.insert(sources, one)
    end
    return sources
end

for _, pattern in ipairs { "unit/*.c", "scenarios/*.c" } do
    for _, file in ipairs(sorted_files(pattern)) do
        if file ~= scenarios then
            repartee_project(path.getbasename(file), "ConsoleApp")
                targetdir(path.join(root, "build/%{cfg.buildcfg}/tests"))
                files(with_support(file))
                links { "cmocka" }
                uses_layers_of(with_support(file))
        end
    end
end

-- Measurements of what lies behind the public headers: built with the rest, run by hand.
for _, file in ipairs(sorted_files("bench/*.c")) do
    repartee_project(path.getbasename(file), "ConsoleApp")
        targetdir(path.join(root, "build/%{cfg.buildcfg}/bench"))
        files { file }
        uses_layers_of { file }
end

-- Fuzz targets: libFuzzer drives them in the fuzz configuration; elsewhere they replay the files they are given.
for _, file in ipairs(sorted_files("fuzz/fuzz_*.c")) do
    repartee_project(path.getbasename(file), "ConsoleApp")
        targetdir(path.join(root, "build/%{cfg.buildcfg}/fuzz"))
        files { file }
        uses_layers_of { file }
        filter "configurations:fuzz"
            linkoptions { "-fsanitize=fuzzer" }
        filter "configurations:not fuzz"
            files { "fuzz/replay.c" }
        filter {}
end
