-- Paths and patterns, with premake5's names and meaning.
-- SPDX-License-Identifier: MIT

local path = {}

function path.isabsolute(name)
    return name:sub(1, 1) == "/"
end

-- Without "." and "..", without a slash at the end.
function path.normalize(name)
    local absolute = path.isabsolute(name)
    local parts = {}
    for part in name:gmatch("[^/]+") do
        if part == ".." and #parts > 0 and parts[#parts] ~= ".." then
            table.remove(parts)
        elseif part == ".." and absolute then
            -- the root has no parent
        elseif part ~= "." then
            parts[#parts + 1] = part
        end
    end
    local joined = table.concat(parts, "/")
    if absolute then
        return "/" .. joined
    end
    return joined == "" and "." or joined
end

function path.join(...)
    local result = ""
    for _, part in ipairs({ ... }) do
        if path.isabsolute(part) or result == "" then
            result = part
        elseif part ~= "" then
            result = result:gsub("/$", "") .. "/" .. part
        end
    end
    return path.normalize(result)
end

function path.getrelative(from, to)
    local a, b = {}, {}
    for part in path.normalize(from):gmatch("[^/]+") do
        a[#a + 1] = part
    end
    for part in path.normalize(to):gmatch("[^/]+") do
        b[#b + 1] = part
    end
    local shared = 0
    while shared < #a and shared < #b and a[shared + 1] == b[shared + 1] do
        shared = shared + 1
    end
    local parts = {}
    for _ = shared + 1, #a do
        parts[#parts + 1] = ".."
    end
    for index = shared + 1, #b do
        parts[#parts + 1] = b[index]
    end
    return #parts > 0 and table.concat(parts, "/") or "."
end

function path.getname(name)
    return name:match("[^/]+$") or name
end

function path.getbasename(name)
    return (path.getname(name):gsub("%.[^.]*$", ""))
end

function path.getextension(name)
    return path.getname(name):match("%.[^.]*$") or ""
end

function path.getdirectory(name)
    local folder = name:match("^(.*)/[^/]*$")
    if not folder then
        return "."
    end
    return folder == "" and "/" or folder
end

function path.iscfile(name)
    local extension = path.getextension(name)
    return extension == ".c" or extension == ".s"
end

function path.iscppfile(name)
    local extension = path.getextension(name)
    return extension == ".cpp" or extension == ".cc" or extension == ".cxx" or path.iscfile(name)
end

-- premake's wildcards as a Lua pattern: `**` crosses folders, `*` stays in one.
function path.wildcards(pattern)
    local escaped = pattern:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0")
    escaped = escaped:gsub("%*%*", "\1"):gsub("%*", "[^/]*"):gsub("\1", ".*")
    return "^" .. escaped .. "$"
end

return path
