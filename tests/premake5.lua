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

local support = sorted_files("support/**.c")

for _, pattern in ipairs { "unit/*.c", "scenarios/*.c" } do
    for _, file in ipairs(sorted_files(pattern)) do
        repartee_project(path.getbasename(file), "ConsoleApp")
            targetdir(path.join(root, "build/%{cfg.buildcfg}/tests"))
            files { file }
            files(support)
            includedirs { "." }
            local outermost = outermost_layer(path.getabsolute(file), {})
            for _, one in ipairs(support) do
                outermost = math.min(outermost, outermost_layer(path.getabsolute(one), {}))
            end
            for index = outermost, #layers do
                for _, place in ipairs(layers[index].places) do
                    if os.isdir(path.join(root, place)) then
                        includedirs { path.join(root, place) }
                    end
                end
            end
            links { "cmocka" }
            layers[outermost].uses()
    end
end
