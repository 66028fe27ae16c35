-- What every source must keep to: an SPDX line (but for scripts that authors copy), no tabs, no trailing spaces, no notes to self.
--   lua5.4 tests/style.lua     (at the root of the tree)
-- SPDX-License-Identifier: MIT

local notes = { "TO" .. "DO", "FIX" .. "ME", "XX" .. "X:", "HA" .. "CK" }
local kinds = "\\( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' -o -name '*.lua' -o -name '*.sh' -o -name '*.py' \\)"

local function check(name, report)
    local number, licensed = 0, false
    for line in io.lines(name) do
        number = number + 1
        licensed = licensed or (number <= 30 and line:find("SPDX-License-Identifier:", 1, true) ~= nil)
        local function say(what)
            report(string.format("%s:%d: %s", name, number, what))
        end
        if line:find("\t", 1, true) then
            say("a tab")
        end
        if line:match("%s$") then
            say("space at the end")
        end
        for _, note in ipairs(notes) do
            if line:find("%f[%w]" .. note .. "%f[%W]") then
                say("a note to self: " .. note)
            end
        end
    end
    -- Scripts that authors copy from start with what they are about.
    if not licensed and not name:match("^assets/") and not name:match("^lua/examples/") then
        report(name .. ": no SPDX line near the top")
    end
end

local faults, count = 0, 0
local pipe = io.popen("find runtime middleware bindings demo lua scripts tests assets premake5.lua -type f "
    .. "-not -path 'tests/data/*' -not -path 'assets/models/*' " .. kinds .. " | sort")
for name in pipe:lines() do
    count = count + 1
    check(name, function(text)
        faults = faults + 1
        print(text)
    end)
end
pipe:close()
print(string.format("style: %d files, %d faults", count, faults))
os.exit(faults == 0 and count > 0 and 0 or 1)
