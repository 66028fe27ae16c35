-- The build of Repartee. `scripts/build.sh [debug|release|sanitize|threads|fuzz]` runs it through premake5, or, where
-- there is none, through scripts/premake.lua, which reads the same files. One script a folder; `uses_NAME()` in each
-- carries the include paths and links that a user of that folder needs.
-- SPDX-License-Identifier: MIT

newoption {
    trigger = "cuda",
    value = "DIR|off",
    description = "Where CUDA lies, or 'off'. Without it: CUDA_HOME, then the nvcc on the PATH"
}

local root = _SCRIPT_DIR
local packages = {}

-- What `pkg-config` says of an installed library, asked once.
local function package_flags(name)
    if not packages[name] then
        local text, code = os.outputof("pkg-config --cflags --libs " .. name)
        if not text or (code and code ~= 0) then
            error("the library '" .. name .. "' is not installed: scripts/setup.sh installs what the build needs", 0)
        end
        packages[name] = text
    end
    return packages[name]
end

-- Include paths and links of libraries by their pkg-config names, users before what they use.
function uses_packages(names)
    for _, name in ipairs(names) do
        for flag in package_flags(name):gmatch("%S+") do
            local kind, value = flag:sub(1, 2), flag:sub(3)
            if kind == "-I" then
                externalincludedirs { value }
            elseif kind == "-L" then
                libdirs { value }
            elseif kind == "-l" then
                links { value }
            end
        end
    end
end

-- Begins a project of ours: `kind` is premake's (StaticLib, SharedLib, ConsoleApp, Utility).
function repartee_project(name, kind_name)
    project(name)
    kind(kind_name)
    language "C"
    cdialect "gnu17"
    location(path.join(root, "build"))
    targetdir(path.join(root, "build/%{cfg.buildcfg}"))
    objdir("!" .. path.join(root, "build/%{cfg.buildcfg}/obj/%{prj.name}"))
end

-- Each instruction set has files of its own; what they hold is called only where the processor has it.
function instruction_set_files()
    local avx2 = { "-mavx2", "-mfma", "-mf16c", "-mbmi2" }
    local avx512 = {
        "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mavx512vbmi",
        "-mfma", "-mf16c", "-mbmi2", "-mavx2"
    }
    filter "files:**_avx2.c"
        buildoptions(avx2)
    filter "files:**_avxvnni.c"
        buildoptions(avx2)
        buildoptions { "-mavxvnni" }
    filter "files:**_avx512.c"
        buildoptions(avx512)
    filter "files:**_amx.c"
        buildoptions(avx512)
        buildoptions { "-mamx-tile", "-mamx-int8" }
    filter {}
end

-- The sources under a pattern, in the same order on every machine (directory order is not).
function sorted_files(pattern)
    local found = os.matchfiles(pattern)
    table.sort(found)
    return found
end

workspace "repartee"
    configurations { "debug", "release", "sanitize", "threads", "fuzz" }
    location "build"
    startproject "griffin"
    warnings "Extra"
    symbols "On"
    pic "On"
    visibility "Hidden"
    defines { "_GNU_SOURCE" }
    -- Fused multiply-adds are written, never left to the compiler: the same bits on every machine.
    buildoptions { "-Wshadow", "-ffp-contract=off" }

    filter "configurations:debug"
        optimize "Debug"
    filter "configurations:release"
        optimize "On"
    filter "configurations:sanitize"
        buildoptions {
            "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"
        }
        linkoptions { "-fsanitize=address,undefined" }
    filter "configurations:threads"
        buildoptions { "-O1", "-fsanitize=thread", "-fno-omit-frame-pointer" }
        linkoptions { "-fsanitize=thread" }
    filter "configurations:fuzz"
        toolset "clang"
        buildoptions {
            "-O1", "-fsanitize=fuzzer-no-link,address,undefined", "-fno-sanitize-recover=undefined",
            "-fno-omit-frame-pointer"
        }
        linkoptions { "-fsanitize=address,undefined" }
    filter {}

for _, folder in ipairs { "runtime", "runtime/src/backend/cuda", "middleware", "bindings/lua", "bindings/load", "bindings/cli", "demo", "tests" } do
    if os.isfile(path.join(folder, "premake5.lua")) then
        include(folder)
    end
end
