-- From what the scripts said to what holds for one project in one configuration, and for one file of it.
-- SPDX-License-Identifier: MIT

local path = require("premake.paths")

local resolve = {}

-- One alternative of a filter term: "not x" or a pattern.
local function matches_one(word, value)
    local rest = word:match("^not%s+(.*)$")
    if rest then
        return not matches_one(rest, value)
    end
    return value:lower():match(path.wildcards(word:lower())) ~= nil
end

-- Whether "prefix:a or b" holds. `subject` maps prefixes to what they are compared with.
local function term_holds(term, subject, api)
    local prefix, rest = term:match("^(%a+):(.*)$")
    if not prefix then
        prefix, rest = "configurations", term
    end
    local value = subject[prefix]
    if value == nil and prefix ~= "files" then
        api:fail("filter: '" .. prefix .. ":' is not in the part of premake5 that scripts/premake knows")
    end
    for word in (rest .. " or "):gmatch("(.-)%s+or%s+") do
        if value and matches_one(word, value) then
            return true
        end
    end
    return false
end

local function block_holds(block, subject, api)
    for _, term in ipairs(block.terms) do
        local about_file = term:match("^files:") ~= nil
        if about_file and not subject.file then
            return false
        end
        if about_file then
            subject.files = path.getrelative(block.folder, subject.file)
        end
        if not term_holds(term, subject, api) then
            return false
        end
    end
    return true
end

local function is_about_files(block)
    for _, term in ipairs(block.terms) do
        if term:match("^files:") then
            return true
        end
    end
    return false
end

local function list_add(list, value)
    for index, old in ipairs(list) do
        if old == value then
            table.remove(list, index)
            break
        end
    end
    list[#list + 1] = value
end

-- Replaces %{...}: the text inside is Lua that sees wks, prj, cfg and file. Absolute paths come out relative to the
-- project's location, unless the field itself is a path.
local function expand(text, tokens, base, field_is_path)
    return (text:gsub("%%{(.-)}", function(expression)
        local chunk = assert(load("return " .. expression, "=" .. expression, "t", tokens))
        local value = tostring(chunk())
        if not field_is_path and path.isabsolute(value) then
            value = path.getrelative(base, value)
        end
        return value
    end))
end

-- Applies the values of a block to `result`.
local function apply(block, result, kinds, tokens, base, api)
    for _, entry in ipairs(block.values) do
        local kind = kinds[entry.field]
        local field_is_path = kind:match("path") ~= nil
        local value = expand(entry.value, tokens, base, field_is_path)
        if entry.field == "removefiles" then
            local wanted = path.wildcards(value)
            for index = #result.files, 1, -1 do
                if result.files[index]:match(wanted) then
                    table.remove(result.files, index)
                end
            end
        elseif entry.field == "files" then
            for _, name in ipairs(api:match(value)) do
                list_add(result.files, name)
            end
        elseif kind:match("^list") then
            result[entry.field] = result[entry.field] or {}
            list_add(result[entry.field], value)
        else
            result[entry.field] = value
        end
    end
end

local prefixes = { StaticLib = "lib", SharedLib = "lib", ConsoleApp = "", WindowedApp = "", Utility = "" }
local suffixes = { StaticLib = ".a", SharedLib = ".so", ConsoleApp = "", WindowedApp = "", Utility = "" }

-- All values of `project` under `configuration`.
function resolve.configuration(api, kinds, project, configuration)
    local result = { files = {}, buildcfg = configuration, project = project, name = project.name }
    local subject = { configurations = configuration, system = "linux", action = "gmake", toolset = "gcc" }
    local tokens = { prj = { name = project.name }, wks = { name = api.workspace.name }, cfg = result }
    setmetatable(tokens, { __index = { string = string, path = path } })
    for _, scope in ipairs { api.workspace.scope, project } do
        for _, block in ipairs(scope.blocks) do
            subject.kind = result.kind or ""
            if not is_about_files(block) and block_holds(block, subject, api) then
                apply(block, result, kinds, tokens, result.location or scope.folder, api)
            end
        end
    end
    if not result.kind then
        api:fail("project " .. project.name .. " has no kind")
    end
    result.objdir = result.objdir:gsub("^!", "")
    result.target = path.join(result.targetdir,
        prefixes[result.kind] .. (result.targetname or project.name) .. suffixes[result.kind])
    return result
end

-- What holds for one file beside what holds for its project: only what blocks about files say.
function resolve.file(api, kinds, config, file)
    local result = { files = {} }
    local subject = {
        configurations = config.buildcfg, system = "linux", action = "gmake", toolset = "gcc", kind = config.kind,
        file = file,
    }
    local tokens = setmetatable({
        prj = { name = config.name }, wks = { name = api.workspace.name }, cfg = config,
        file = {
            abspath = file, relpath = path.getrelative(config.location, file), basename = path.getbasename(file),
            name = path.getname(file), extension = path.getextension(file), directory = path.getdirectory(file),
        },
    }, { __index = { string = string, path = path } })
    for _, scope in ipairs { api.workspace.scope, config.project } do
        for _, block in ipairs(scope.blocks) do
            if is_about_files(block) and block_holds(block, subject, api) then
                apply(block, result, kinds, tokens, config.location, api)
            end
        end
    end
    return result
end

return resolve
