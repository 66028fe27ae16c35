-- The CUDA backend: a plugin that the runtime loads where it finds one, so one build serves machines with and without.
-- SPDX-License-Identifier: MIT

local sources = sorted_files("*.cu")

-- The same sources on the processor, as a plugin like the real one: this is what the tests load where there is no GPU.
local emulate = "c++ -x c++ -std=c++17 -g -fPIC -fvisibility=hidden -ffp-contract=off -Wall -Wextra -Wno-missing-field-initializers "
    .. "-D_GNU_SOURCE -DRTI_CUDA_EMULATION -I" .. path.getabsolute("../../../include") .. " -I" .. path.getabsolute("../..")

repartee_project("repartee_cuda_emulated", "SharedLib")
    files(sources)
    files(sorted_files("emulation/*.cpp"))
    local sanitized = "-O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
    for _, one in ipairs { { "debug", "-O1" }, { "release", "-O2" }, { "sanitize", sanitized }, { "fuzz", "-O1" } } do
        local configuration, flags = one[1], one[2]
        filter { "configurations:" .. configuration, "files:**.cu or **.cpp" }
            buildmessage "emulated %{file.name}"
            buildcommands { emulate .. " " .. flags .. ' -MMD -MP -MF "%{cfg.objdir}/%{file.basename}.d" -MT "%{cfg.objdir}/%{file.basename}.o" -c "%{file.relpath}" -o "%{cfg.objdir}/%{file.basename}.o"' }
            buildoutputs { "%{cfg.objdir}/%{file.basename}.o" }
    end
    filter {}
    links { "stdc++", "m" }

-- --cuda=DIR|off, then CUDA_HOME, then the nvcc on the PATH.
local function find_cuda()
    local wanted = _OPTIONS["cuda"] or os.getenv("CUDA_HOME")
    if wanted == "off" then
        return nil, "switched off"
    end
    if wanted and wanted ~= "" then
        if not os.isfile(path.join(wanted, "bin/nvcc")) then
            error("there is no " .. path.join(wanted, "bin/nvcc") .. ": --cuda and CUDA_HOME name a CUDA toolkit, or 'off'", 0)
        end
        return wanted
    end
    local nvcc = os.outputof("command -v nvcc")
    if not nvcc or nvcc == "" then
        return nil, "no nvcc on the PATH"
    end
    return path.getdirectory(path.getdirectory(os.outputof("readlink -f " .. nvcc)))
end

local cuda, reason = find_cuda()
if not cuda then
    print("CUDA: " .. reason .. "; the GPU plugin is left out")
    return
end
local libraries = os.isdir(path.join(cuda, "lib64")) and path.join(cuda, "lib64") or path.join(cuda, "lib")

-- Turing to Hopper as machine code; anything newer compiles the PTX when it loads.
local nvcc = table.concat({
    path.join(cuda, "bin/nvcc"), "-std=c++17", "-O3", "--fmad=false", "-Xcompiler=-fPIC,-fvisibility=hidden,-ffp-contract=off",
    "-gencode=arch=compute_75,code=[sm_75,compute_75]", "-gencode=arch=compute_80,code=[sm_80,compute_80]",
    "-gencode=arch=compute_86,code=sm_86", "-gencode=arch=compute_89,code=sm_89", "-gencode=arch=compute_90,code=sm_90",
    "-D_GNU_SOURCE", "-I" .. path.getabsolute("../../../include"), "-I" .. path.getabsolute("../.."),
}, " ")

repartee_project("repartee_cuda", "SharedLib")
    files(sources)
    filter "files:**.cu"
        buildmessage "%{file.name}"
        buildcommands { nvcc .. ' -MMD -MP -MF "%{cfg.objdir}/%{file.basename}.d" -MT "%{cfg.objdir}/%{file.basename}.o" -c "%{file.relpath}" -o "%{cfg.objdir}/%{file.basename}.o"' }
        buildoutputs { "%{cfg.objdir}/%{file.basename}.o" }
    filter {}
    libdirs { libraries }
    linkoptions { "-Wl,--as-needed", "-Wl,--no-undefined" }
    links { "cudart_static", "stdc++", "rt", "pthread", "dl", "m" }
