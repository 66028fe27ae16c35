-- A game's rendering to stand beside: an OpenGL load of known weight, for the `repartee` command and the demo.
-- EGL and OpenGL are opened at run time, so the build needs neither.
-- SPDX-License-Identifier: MIT

local here = _SCRIPT_DIR

function uses_load()
    includedirs { path.join(here, "include") }
    links { "repartee_load", "dl", "m" }
end

repartee_project("repartee_load", "StaticLib")
    files(sorted_files("src/**.c"))
    includedirs { "include", "src" }
