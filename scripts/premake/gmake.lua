-- Writes one Makefile for the whole workspace, with the compile lines that premake5's own gmake action gives (but for
-- the names of objects: see object_name).
-- It adds one convenience: `make KEEP_GOING=1` leaves sources that do not compile out of their library, so that a
-- half-edited file stops only those who need it.
-- SPDX-License-Identifier: MIT

local path = require("premake.paths")
local resolve = require("premake.resolve")

local gmake = {}

local flag_of = {
    optimize = { Off = "-O0", On = "-O2", Debug = "-Og", Size = "-Os", Speed = "-O3", Full = "-O3" },
    pic = { On = "-fPIC" },
    symbols = { On = "-g" },
    warnings = { Extra = "-Wall -Wextra", Default = "", Off = "-w" },
    visibility = { Default = "-fvisibility=default", Hidden = "-fvisibility=hidden" },
}
local flag_order = { "optimize", "pic", "symbols", "visibility", "warnings" }

local function flags_of(config)
    local flags = {}
    for _, field in ipairs(flag_order) do
        local value = config[field]
        if value and flag_of[field][value] and flag_of[field][value] ~= "" then
            flags[#flags + 1] = flag_of[field][value]
        end
    end
    return flags
end

local function append(list, prefix, values, change)
    for _, value in ipairs(values or {}) do
        list[#list + 1] = prefix .. (change and change(value) or value)
    end
end

-- The flags that every file of a project is compiled with.
local function compile_flags(config, base)
    local function relative(name)
        return path.getrelative(base, name)
    end
    local flags = { "-MD", "-MP" }
    append(flags, "-D", config.defines)
    append(flags, "-I", config.includedirs, relative)
    append(flags, "-isystem", config.externalincludedirs, function(name)
        return name:match("^/usr/") and name or relative(name)
    end)
    append(flags, "", flags_of(config))
    if config.cdialect then
        flags[#flags + 1] = "-std=" .. config.cdialect:lower()
    end
    append(flags, "", config.buildoptions)
    return table.concat(flags, " ")
end

local function file_flags(config, own, base)
    local flags = flags_of(own)
    append(flags, "", own.buildoptions)
    append(flags, "-D", own.defines)
    append(flags, "-I", own.includedirs, function(name)
        return path.getrelative(base, name)
    end)
    return table.concat(flags, " ")
end

-- Splits links into projects of this workspace and system libraries, each in the order given.
local function split_links(config, all)
    local siblings, system = {}, {}
    for _, name in ipairs(config.links or {}) do
        local other = all[name]
        if other and other ~= config then
            siblings[#siblings + 1] = other
        elseif not other then
            system[#system + 1] = name:find("/", 1, true) and name or "-l" .. name
        end
    end
    return siblings, system
end

local Writer = {}
Writer.__index = Writer

function Writer:line(format, ...)
    self.lines[#self.lines + 1] = select("#", ...) > 0 and string.format(format, ...) or format
end

function Writer:relative(name)
    return path.getrelative(self.base, name)
end

-- premake5 numbers sources of one name (memory.o, memory1.o), so a new file can silently give an old object to another
-- source. The folder in the name keeps an object with its source.
local function object_name(config, file)
    local name = path.getrelative(config.project.folder, file):gsub("%.[^.]*$", ""):gsub("%.%./", "")
    return (name:gsub("^src/", ""):gsub("/", "-")) .. ".o"
end

-- The rules for one source; returns the object.
function Writer:source(config, file, flags)
    local own = resolve.file(self.api, self.kinds, config, file)
    local source = self:relative(file)
    if own.buildcommands then
        local output = self:relative(own.buildoutputs[1])
        local inputs = { source }
        append(inputs, "", own.buildinputs, function(name)
            return self:relative(name)
        end)
        self:line("%s: %s | %s", output, table.concat(inputs, " "), self:relative(config.objdir))
        self:line("\t@echo %s", own.buildmessage or path.getname(source))
        for _, command in ipairs(own.buildcommands) do
            self:line("\t$(SILENT)%s", command)
        end
        return path.getextension(output) == ".o" and output or nil
    end
    if not path.iscfile(file) then
        return nil
    end
    local object = self:relative(config.objdir) .. "/" .. object_name(config, file)
    local more = file_flags(config, own, self.base)
    self:line("%s: %s | %s", object, source, self:relative(config.objdir))
    self:line("\t@echo %s", path.getname(source))
    self:line('\t$(SILENT)$(CC) %s%s -o "$@" -MF "$(@:%%.o=%%.d)" -c "$<" || $(call FAILED,$<,$@)',
        flags, more ~= "" and " " .. more or "")
    return object
end

-- The rule that makes the project's target out of its objects.
function Writer:target(config, objects, all)
    local target = self:relative(config.target)
    local siblings, system = split_links(config, all)
    local inputs, order = {}, { self:relative(config.targetdir) }
    append(inputs, "", objects)
    local libraries = {}
    for _, other in ipairs(siblings) do
        local name = self:relative(other.target)
        inputs[#inputs + 1] = name
        libraries[#libraries + 1] = name
    end
    append(libraries, "", system)
    for _, name in ipairs(config.dependson or {}) do
        order[#order + 1] = self:relative(all[name].target)
    end
    local variable = (config.name .. "_" .. config.buildcfg):upper():gsub("%W", "_") .. "_OBJECTS"
    self:line("%s := %s", variable, table.concat(objects, " "))
    self:line("%s: %s | %s", target, table.concat(inputs, " "), table.concat(order, " "))
    self:line("\t@echo %s %s", config.kind == "StaticLib" and "Archiving" or "Linking", config.name)
    if config.kind == "StaticLib" then
        self:line("\t$(SILENT)rm -f \"$@\" && $(AR) -rcs \"$@\" $(call BUILT,$(%s))", variable)
    else
        local flags = {}
        append(flags, "-L", config.libdirs)
        if config.kind == "SharedLib" then
            flags[#flags + 1] = "-shared -Wl,-soname=" .. path.getname(target)
        end
        append(flags, "", config.linkoptions)
        self:line('\t$(SILENT)$(CC) -o "$@" $(call BUILT,$(%s)) %s %s', variable, table.concat(flags, " "),
            table.concat(libraries, " "))
    end
    for _, command in ipairs(config.postbuildcommands or {}) do
        self:line("\t$(SILENT)%s", command)
    end
    if #objects > 0 then
        self:line("-include $(%s:%%.o=%%.d)", variable)
    end
end

function Writer:project(config, all)
    self:line("")
    self:line("# %s (%s)", config.name, config.kind)
    self:line(".PHONY: %s", config.name)
    self:line("%s: %s", config.name, self:relative(config.target))
    local flags = compile_flags(config, self.base)
    local objects = {}
    table.sort(config.files)
    for _, file in ipairs(config.files) do
        local object = self:source(config, file, flags)
        if object then
            objects[#objects + 1] = object
        end
    end
    self:target(config, objects, all)
    self.folders[self:relative(config.objdir)] = true
    self.folders[self:relative(config.targetdir)] = true
end

function Writer:configuration(name, configs, all)
    self:line("")
    self:line("ifeq ($(config),%s)", name:lower())
    -- As premake5 does: the toolset's compiler, unless the caller chose one.
    self:line("ifeq ($(origin CC), default)")
    self:line("CC = %s", configs[1].toolset or "gcc")
    self:line("endif")
    local names = {}
    for _, config in ipairs(configs) do
        names[#names + 1] = config.name
    end
    self:line("all: %s", table.concat(names, " "))
    self.folders = {}
    for _, config in ipairs(configs) do
        self:project(config, all)
    end
    local folders = {}
    for folder in pairs(self.folders) do
        folders[#folders + 1] = folder
    end
    table.sort(folders)
    self:line("")
    self:line("%s:", table.concat(folders, " "))
    self:line("\t@mkdir -p $@")
    self:line("endif")
end

-- The text of the Makefile, and the folder it belongs in.
function gmake.generate(api, kinds)
    local head = api.workspace.scope
    local first
    local writer = setmetatable({ api = api, kinds = kinds, lines = {} }, Writer)
    local configurations = {}
    for _, block in ipairs(head.blocks) do
        for _, entry in ipairs(block.values) do
            if entry.field == "configurations" then
                configurations[#configurations + 1] = entry.value
            elseif entry.field == "location" then
                first = entry.value
            end
        end
    end
    writer.base = first or api.root
    writer:line("# Written by scripts/premake.lua from premake5.lua; changes here are lost.")
    writer:line("config ?= %s", configurations[1]:lower())
    writer:line("AR ?= ar")
    writer:line("SILENT = $(if $(verbose),,@)")
    writer:line("# What happens when a source does not compile: stop, or (KEEP_GOING=1) leave it out.")
    writer:line('FAILED = { rm -f "$2"; $(if $(KEEP_GOING),echo "left out: $1" >&2,exit 1); }')
    writer:line("BUILT = $(if $(KEEP_GOING),$(shell ls $1 2>/dev/null),$1)")
    writer:line(".DELETE_ON_ERROR:")
    writer:line(".PHONY: all")
    writer:line("all:")
    for _, name in ipairs(configurations) do
        local configs, all = {}, {}
        for _, project in ipairs(api.workspace.projects) do
            local config = resolve.configuration(api, kinds, project, name)
            configs[#configs + 1], all[project.name] = config, config
        end
        writer:configuration(name, configs, all)
    end
    return table.concat(writer.lines, "\n") .. "\n", writer.base
end

return gmake
