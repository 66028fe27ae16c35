-- Fails when an include breaks  demo -> bindings -> middleware -> runtime,  reaches behind a public header, or, inside a layer
-- whose rooms stand on floors, reaches up from one room into another above it.
--   lua5.4 tests/layering.lua              check the tree (run at its root)
--   lua5.4 tests/layering.lua --self-test  check the checker
-- SPDX-License-Identifier: MIT

-- `private` are the roots of a layer's own include paths, `public` the folder that others may include from. `rooms` are the
-- folders of the first of these roots from the ground up: each knows those before it. docs/architecture.md has what they are for.
-- `agreed` are headers of types alone that any room of the layer may know.
local layers = {
    runtime = {
        private = { "runtime/src" }, public = "runtime/include", sees = {},
        rooms = { "base", "file", "sampler", "tokenizer", "grammar", "backend", "model", "cache", "pass", "convert" },
        agreed = { "runtime/src/model/network.h" },
    },
    middleware = {
        private = { "middleware/src" }, public = "middleware/include", sees = { "runtime" },
        rooms = {
            "common", "budget", "prompt", "core", "tool", "character", "turn", "call", "serve", "schedule", "world", "trace",
        },
    },
    ["bindings/lua"] = {
        private = { "bindings/lua/src", "bindings/lua" }, public = "bindings/lua/include",
        sees = { "middleware", "runtime" },
    },
    ["bindings/load"] = { private = { "bindings/load/src" }, public = "bindings/load/include", sees = {} },
    ["bindings/cli"] = {
        private = { "bindings/cli/src", "bindings/cli" },
        sees = { "bindings/lua", "bindings/load", "middleware", "runtime" },
    },
    demo = { private = { "demo/src", "demo" }, sees = { "bindings/lua", "bindings/load", "middleware", "runtime" } },
}

-- Libraries that only some may know. Everything else between angle brackets is free.
local libraries = {
    { pattern = "^lua%.h$", name = "Lua", allowed = { "bindings/lua", "bindings/cli", "demo" } },
    { pattern = "^lualib%.h$", name = "Lua", allowed = { "bindings/lua", "bindings/cli", "demo" } },
    { pattern = "^lauxlib%.h$", name = "Lua", allowed = { "bindings/lua", "bindings/cli", "demo" } },
    { pattern = "^SDL", name = "SDL", allowed = { "demo" } },
    { pattern = "^sqlite3", name = "SQLite", allowed = { "middleware" } },
    { pattern = "^cuda", name = "CUDA", allowed = { "runtime" } },
    { pattern = "^cublas", name = "CUDA", allowed = { "runtime" } },
}

local function normalize(name)
    local parts = {}
    for part in name:gmatch("[^/]+") do
        if part == ".." and #parts > 0 then
            table.remove(parts)
        elseif part ~= "." then
            parts[#parts + 1] = part
        end
    end
    return table.concat(parts, "/")
end

local function contains(list, wanted)
    for _, item in ipairs(list) do
        if item == wanted then
            return true
        end
    end
    return false
end

local function starts_with(text, prefix)
    return text:sub(1, #prefix) == prefix
end

local function layer_of(file)
    for name in pairs(layers) do
        if starts_with(file, name .. "/") then
            return name
        end
    end
    return nil
end

local function is_public(file, name)
    local public = layers[name].public
    return public ~= nil and starts_with(file, public .. "/")
end

-- The room that a file lies in, and the floor that it is on; nil where its layer has no rooms, or it lies in none.
local function room_of(file, name)
    local rooms, root = layers[name].rooms, layers[name].private[1] .. "/"
    local room = rooms and starts_with(file, root) and file:sub(#root + 1):match("^([^/]+)/")
    if not room then
        return nil
    end
    for floor, other in ipairs(rooms) do
        if other == room then
            return room, floor
        end
    end
    return room, nil
end

-- What is wrong with an include within one layer, or nil.
local function fault_of_floors(file, target, name)
    local room, floor = room_of(file, name)
    local other, other_floor = room_of(target, name)
    if room and not floor then
        return "the room " .. room .. "/ of " .. name .. " has no floor: say in tests/layering.lua which"
    end
    local is_agreed = contains(layers[name].agreed or {}, target)
    if room and other_floor and other_floor > floor and not is_agreed then
        return room .. "/ must not know " .. other .. "/, which stands above it"
    end
    return nil
end

-- The file that `header`, included by `file`, means: beside it, in its own layer, in any public folder, anywhere.
local function resolve(files, file, name, header)
    local places = { file:match("^(.*)/[^/]*$") }
    for _, root in ipairs(layers[name].private) do
        places[#places + 1] = root
    end
    for _, layer in pairs(layers) do
        places[#places + 1] = layer.public
    end
    for _, layer in pairs(layers) do
        for _, root in ipairs(layer.private) do
            places[#places + 1] = root
        end
    end
    places[#places + 1] = "."
    for _, place in ipairs(places) do
        local candidate = normalize(place .. "/" .. header)
        if files[candidate] then
            return candidate
        end
    end
    return nil
end

-- What is wrong with one include, or nil.
local function fault(files, file, name, header, quoted)
    for _, library in ipairs(libraries) do
        if header:match(library.pattern) and not contains(library.allowed, name) then
            return name .. " must not know " .. library.name
        end
    end
    local target = resolve(files, file, name, header)
    if not target then
        return quoted and "no such header in the tree" or nil
    end
    local owner = layer_of(target)
    if not owner then
        return target .. " belongs to no layer that " .. name .. " may include"
    end
    if owner == name then
        if is_public(file, name) and not is_public(target, name) then
            return "a public header includes the private " .. target
        end
        return fault_of_floors(file, target, name)
    end
    if not contains(layers[name].sees, owner) then
        return name .. " must not include from " .. owner
    end
    if not is_public(target, owner) then
        return target .. " is private to " .. owner
    end
    return nil
end

-- `files` maps paths to texts; a list of "file:line: what" comes back.
local function check(files)
    local faults = {}
    for file, text in pairs(files) do
        local name = layer_of(file)
        if name and file:match("%.[ch]u?h?$") then
            local number = 0
            for line in (text .. "\n"):gmatch("(.-)\n") do
                number = number + 1
                local open, header = line:match('^%s*#%s*include%s*([<"])([^>"]+)[>"]')
                local what = header and fault(files, file, name, header, open == '"')
                if what then
                    faults[#faults + 1] = string.format("%s:%d: includes %s: %s", file, number, header, what)
                end
            end
        end
    end
    table.sort(faults)
    return faults
end

-- A tree in which everything is as it should be, and one change each that breaks it.
local function self_test()
    local good = {
        ["runtime/include/rt/base.h"] = "#include <stdint.h>",
        ["runtime/src/base/base.h"] = '#include "rt/base.h"',
        ["runtime/src/base/memory.c"] = '#include "base/base.h"\n#include "rt/base.h"',
        ["runtime/src/model/model.h"] = '#include "model/network.h"',
        ["runtime/src/model/network.h"] = "",
        ["runtime/src/backend/backend.h"] = '#include "model/network.h"',
        ["middleware/include/repartee/world.h"] = '#include "rt/base.h"',
        ["middleware/src/core/core.h"] = '#include "repartee/world.h"',
        ["middleware/src/turn/turn.h"] = '#include "core/core.h"',
        ["middleware/src/turn/turn.c"] = '#include "turn/turn.h"',
        ["middleware/src/world/world.c"] = '#include "core/core.h"\n#include "turn/turn.h"\n#include <sqlite3.h>',
        ["bindings/lua/include/repartee_lua.h"] = '#include "repartee/world.h"',
        ["bindings/lua/src/host.h"] = "#include <lua.h>",
        ["bindings/lua/src/host.c"] = '#include "host.h"\n#include "repartee_lua.h"',
        ["bindings/cli/main.c"] = '#include "repartee_lua.h"\n#include "rt/base.h"',
        ["demo/main.c"] = '#include <SDL.h>\n#include "repartee/world.h"\n  #  include "room.h"',
        ["demo/room.h"] = "",
        ["tests/unit/test_base.c"] = '#include "base/base.h"',
    }
    local bad = {
        { "runtime/src/base/up.c", '#include "repartee/world.h"', "must not include from middleware" },
        { "runtime/src/backend/up.c", '#include "model/model.h"', "backend/ must not know model/" },
        { "middleware/src/world/deep.c", '#include "base/base.h"', "is private to runtime" },
        { "middleware/src/world/path.c", '#include "../../../runtime/src/base/base.h"', "is private to runtime" },
        { "middleware/src/tool/script.c", "#include <lua.h>", "must not know Lua" },
        { "middleware/src/tool/host.c", '#include "repartee_lua.h"', "must not include from bindings/lua" },
        { "middleware/include/repartee/leak.h", '#include "core/core.h"', "a public header includes the private" },
        { "middleware/src/core/up.c", '#include "turn/turn.h"', "core/ must not know turn/" },
        { "middleware/src/core/beside.c", '#include "../turn/turn.h"', "core/ must not know turn/" },
        { "middleware/src/attic/new.c", '#include "core/core.h"', "the room attic/ of middleware has no floor" },
        { "bindings/lua/src/peek.c", '#include "core/core.h"', "is private to middleware" },
        { "bindings/cli/peek.c", '#include "host.h"', "is private to bindings/lua" },
        { "bindings/cli/window.c", "#include <SDL2/SDL.h>", "must not know SDL" },
        { "demo/peek.c", '\n#include <base/base.h>', "is private to runtime" },
        { "demo/test.c", '#include "../tests/unit/test_base.c"', "belongs to no layer" },
        { "demo/lost.c", '#include "nowhere.h"', "no such header" },
    }
    local faults = check(good)
    assert(#faults == 0, "the good tree is refused: " .. table.concat(faults, "; "))
    for _, case in ipairs(bad) do
        local files = {}
        for file, text in pairs(good) do
            files[file] = text
        end
        files[case[1]] = case[2]
        faults = check(files)
        assert(#faults == 1 and starts_with(faults[1], case[1] .. ":") and faults[1]:find(case[3], 1, true),
            case[1] .. " should fail with '" .. case[3] .. "', gave: " .. table.concat(faults, "; "))
    end
    print("layering: the checker refuses each of " .. #bad .. " broken trees and passes the good one")
end

local function read_tree()
    local files, count = {}, 0
    local pipe = io.popen("find runtime middleware bindings demo tests -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh'")
    for name in pipe:lines() do
        local file = assert(io.open(name, "rb"))
        files[name] = file:read("*a")
        file:close()
        count = count + 1
    end
    pipe:close()
    return files, count
end

if arg[1] == "--self-test" then
    self_test()
    os.exit(0)
end
local files, count = read_tree()
local faults = check(files)
for _, text in ipairs(faults) do
    print(text)
end
if count == 0 then
    print("layering: no sources here; run at the root of the tree")
end
os.exit(#faults == 0 and count > 0 and 0 or 1)
