-- The `repartee` command.
-- SPDX-License-Identifier: MIT

local sources = sorted_files("**.c")

if #sources > 0 then
    repartee_project("repartee", "ConsoleApp")
        files(sources)
        includedirs { ".", "src" }
        uses_load()
        uses_lua()
end
