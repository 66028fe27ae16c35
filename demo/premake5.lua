-- The Gilded Griffin.
-- SPDX-License-Identifier: MIT

local sources = sorted_files("**.c")

if #sources > 0 then
    repartee_project("griffin", "ConsoleApp")
        files(sources)
        includedirs { ".", "src" }
        uses_load()
        uses_lua()
        uses_packages { "SDL2_ttf", "SDL2_image", "sdl2" }
end
