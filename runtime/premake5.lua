-- Inference: model files, tokenizers, grammars, passes, the CPU backend.
-- SPDX-License-Identifier: MIT

local here = _SCRIPT_DIR

function uses_runtime()
    includedirs { path.join(here, "include") }
    links { "repartee_runtime" }
    uses_packages { "jansson", "libpcre2-8", "libutf8proc" }
    links { "pthread", "dl", "m" }
end

repartee_project("repartee_runtime", "StaticLib")
    files(sorted_files("src/**.c"))
    removefiles { "src/backend/cuda/**" }
    includedirs { "include", "src" }
    instruction_set_files()
    -- What a frame waits for is optimised in debug builds too: a game in debug must still hear an answer.
    -- Not under the sanitizers: their checks in unrolled kernels take a compiler minutes.
    filter { "configurations:debug or release", "files:**/backend/cpu/**.c or **/grammar/**.c or **/sampler/**.c" }
        optimize "Speed"
    filter {}
