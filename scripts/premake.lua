-- Reads premake5.lua and writes a Makefile, for machines without premake5.
--   lua5.4 scripts/premake.lua gmake [--cuda=DIR|off]
-- It understands the part of premake5 that our scripts use and refuses anything else by name.
-- SPDX-License-Identifier: MIT

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path

local api = require("premake.api")
local gmake = require("premake.gmake")
local path = require("premake.paths")

local function fail(text)
    io.stderr:write("premake.lua: ", text, "\n")
    os.exit(1)
end

local options, action = {}, nil
for _, word in ipairs(arg) do
    local name, value = word:match("^%-%-([%w%-]+)=?(.*)$")
    if name then
        options[name] = value
    else
        action = word
    end
end
if action ~= "gmake" then
    fail("usage: lua5.4 scripts/premake.lua gmake [--option=value]...")
end

local pipe = io.popen("cd '" .. here .. "/..' && pwd")
local root = path.normalize(pipe:read("*l"))
pipe:close()

local evaluator = api.new(root, options)
local text, folder
local ok, message = pcall(function()
    evaluator:run(root .. "/premake5.lua")
    for name in pairs(options) do
        if not evaluator.declared[name] then
            error("there is no option --" .. name, 0)
        end
    end
    text, folder = gmake.generate(evaluator, api.fields)
end)
if not ok then
    fail(tostring(message))
end


os.execute("mkdir -p '" .. folder .. "'")
local name = folder .. "/Makefile"
local old = io.open(name, "r")
local same = old and old:read("*a") == text
if old then
    old:close()
end
if not same then
    -- A make that is reading the old one keeps it.
    local file = assert(io.open(name .. ".new", "w"))
    file:write(text)
    file:close()
    assert(os.rename(name .. ".new", name))
end
