-- The part of premake5's scripting interface that our scripts use: it records what they say, block by block. A name
-- outside this part is an error, so that a script cannot mean one thing here and another in premake5.
-- SPDX-License-Identifier: MIT

local path = require("premake.paths")

-- How each field collects values. "list" fields keep the last mention of a value, as premake5 does.
local fields = {
    files = "list:path", removefiles = "list:path", includedirs = "list:path", externalincludedirs = "list:path",
    libdirs = "list:path", links = "list", dependson = "list", defines = "list", buildoptions = "list",
    linkoptions = "list", postbuildcommands = "list", buildcommands = "list", buildoutputs = "list:path",
    buildinputs = "list:path", configurations = "list",
    targetdir = "path", objdir = "path", location = "path",
    kind = "string", language = "string", cdialect = "string", cppdialect = "string", targetname = "string",
    warnings = "string", symbols = "string", optimize = "string", pic = "string", visibility = "string",
    startproject = "string", buildmessage = "string", toolset = "string",
}

local Api = {}
Api.__index = Api

function Api.new(root, options)
    return setmetatable({
        root = root, options = options, declared = {}, folder = root, workspace = nil, scope = nil, trees = {},
    }, Api)
end

function Api:fail(text)
    error(text, 0)
end

function Api:absolute(name)
    return path.normalize(path.isabsolute(name) and name or self.folder .. "/" .. name)
end

-- A path value; a leading "!" (objdir: "exactly this") stays in front.
function Api:path_value(value)
    local mark, rest = value:match("^(!?)(.*)$")
    if rest:sub(1, 2) == "%{" then
        return value
    end
    return mark .. self:absolute(rest)
end

-- Opens a block of values that hold where all `terms` do.
function Api:open_block(terms)
    local block = { terms = terms, folder = self.folder, values = {} }
    table.insert(self.scope.blocks, block)
    self.block = block
end

function Api:store(field, value)
    if not self.block then
        self:fail(field .. " stands before any workspace")
    end
    local how = fields[field]
    local values = self.block.values
    if how == "string" or how == "path" then
        values[#values + 1] = { field = field, value = how == "path" and self:path_value(value) or value }
        return
    end
    local function add(item)
        if type(item) == "table" then
            for _, one in ipairs(item) do
                add(one)
            end
        else
            values[#values + 1] = { field = field, value = how == "list:path" and self:path_value(item) or item }
        end
    end
    add(value)
end

-- Files below a folder, found once.
function Api:tree(folder)
    if not self.trees[folder] then
        local found = {}
        local quoted = "'" .. folder:gsub("'", "'\\''") .. "'"
        local pipe = io.popen("find " .. quoted .. " -type f 2>/dev/null")
        for line in pipe:lines() do
            found[#found + 1] = line
        end
        pipe:close()
        table.sort(found)
        self.trees[folder] = found
    end
    return self.trees[folder]
end

-- Absolute paths of the files that match an absolute pattern.
function Api:match(pattern)
    if not pattern:find("*", 1, true) then
        return { pattern }
    end
    local folder = path.getdirectory(pattern:match("^[^*]*") .. "x")
    local wanted = path.wildcards(pattern)
    local found = {}
    for _, name in ipairs(self:tree(folder)) do
        if name:match(wanted) then
            found[#found + 1] = name
        end
    end
    return found
end

local function exists(name, test)
    local ok = os.execute("test " .. test .. " '" .. name:gsub("'", "'\\''") .. "'")
    return ok == true or ok == 0
end

-- premake5's additions to `os`.
function Api:os_library()
    local library = setmetatable({}, { __index = os })
    function library.isfile(name)
        local file = io.open(self:absolute(name), "r")
        if not file then
            return false
        end
        local size = file:read(0)
        local is_file = size ~= nil or file:seek("end") == 0
        file:close()
        return is_file
    end
    function library.isdir(name)
        return exists(self:absolute(name), "-d")
    end
    function library.matchfiles(pattern)
        local found = {}
        for _, name in ipairs(self:match(self:absolute(pattern))) do
            found[#found + 1] = path.isabsolute(pattern) and name or path.getrelative(self.folder, name)
        end
        return found
    end
    function library.outputof(command)
        local pipe = io.popen(command .. " 2>/dev/null")
        local text = pipe:read("*a"):gsub("%s+$", "")
        local _, _, code = pipe:close()
        return text, code or 0
    end
    function library.mkdir(name)
        return os.execute("mkdir -p '" .. self:absolute(name):gsub("'", "'\\''") .. "'")
    end
    function library.target()
        return "linux"
    end
    library.host = library.target
    function library.getcwd()
        return self.folder
    end
    return library
end

function Api:path_library()
    local library = setmetatable({}, { __index = path })
    function library.getabsolute(name, base)
        return path.normalize(path.isabsolute(name) and name or (base or self.folder) .. "/" .. name)
    end
    return library
end

-- Begins or resumes a workspace or project.
function Api:open_scope(list, name)
    local scope = list[name]
    if not scope then
        scope = { name = name, folder = self.folder, blocks = {} }
        list[name] = scope
        list[#list + 1] = scope
    end
    self.scope = scope
    self:open_block({})
    return scope
end

function Api:include(name)
    local script = self:absolute(name)
    if not script:match("%.lua$") then
        script = script .. "/premake5.lua"
    end
    self:run(script)
end

-- The globals that scripts see.
function Api:environment()
    local env = { _PREMAKE_VERSION = "5.0.0", _ACTION = "gmake", _OPTIONS = self.options, _MAIN_SCRIPT_DIR = self.root }
    env.os, env.path = self:os_library(), self:path_library()
    for field in pairs(fields) do
        env[field] = function(value)
            self:store(field, value)
        end
    end
    function env.workspace(name)
        self.workspace = self.workspace or { name = name, projects = {}, list = {} }
        self.workspace.scope = self:open_scope(self.workspace.list, name)
    end
    function env.project(name)
        self:open_scope(self.workspace.projects, name)
    end
    function env.filter(terms)
        self:open_block(type(terms) == "table" and terms or { terms })
    end
    function env.newoption(option)
        self.declared[option.trigger] = option
    end
    function env.include(name)
        self:include(name)
    end
    function env.printf(format, ...)
        print(string.format(format, ...))
    end
    for _, name in ipairs { "assert", "error", "io", "ipairs", "math", "next", "pairs", "pcall", "print", "require",
        "select", "string", "table", "tonumber", "tostring", "type" } do
        env[name] = _G[name]
    end
    return setmetatable(env, {
        __index = function(_, name)
            self:fail("'" .. tostring(name) .. "' is not in the part of premake5 that scripts/premake knows")
        end,
    })
end

function Api:run(script)
    local folder, env = self.folder, self.env or self:environment()
    self.env = env
    local chunk, message = loadfile(script, "t", env)
    if not chunk then
        self:fail(message)
    end
    local saved = rawget(env, "_SCRIPT_DIR")
    self.folder = path.getdirectory(script)
    env._SCRIPT, env._SCRIPT_DIR = script, self.folder
    chunk()
    env._SCRIPT_DIR, self.folder = saved, folder
end

return { new = Api.new, fields = fields }
