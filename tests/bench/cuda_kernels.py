"""The table of kernels in docs/cuda.md, from what nvcc says of each and from the machine code of its paths.

    python3 tests/bench/cuda_kernels.py                    print it
    python3 tests/bench/cuda_kernels.py --write docs/cuda.md  put it between the marks in that file
    python3 tests/bench/cuda_kernels.py --check docs/cuda.md  fail where that file says something else, or a kernel spills

Needs nvcc and nvdisasm (both in the CUDA toolkit; NVDISASM=FILE names one elsewhere). How a share is predicted is said under
the table, in MODEL. Nothing of it is a measurement.
"""
# SPDX-License-Identifier: MIT
import glob
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile

ARCHES = [75, 80, 86, 89, 90]
SOURCES = "runtime/src/backend/cuda/*.cu"
PATHS = "tests/bench/cuda_paths.cu"
BEGIN, END = "<!-- kernels: tests/bench/cuda_kernels.py --write docs/cuda.md -->", "<!-- end of kernels -->"

# Of a multiprocessor: warps, blocks, shared memory that blocks may have (KiB), what each takes beside its own (bytes).
OCCUPANCY = {75: (32, 16, 64, 0), 80: (64, 32, 164, 1024), 86: (48, 16, 100, 1024), 89: (48, 24, 100, 1024), 90: (64, 32, 228, 1024)}

# Name, architecture, multiprocessors, GB/s of memory (the maker's), GHz, ns from a load to its value in memory and in the level-2
# cache, GB/s of that cache (assumed, from published microbenchmarks), TFLOPS of bfloat16 products with float32 sums and TOPS of 8-bit
# ones (the maker's, dense).
DEVICES = [("RTX 4090", 89, 128, 1008, 2.52, 600, 270, 5000, 165, 661), ("RTX 4070", 89, 46, 504, 2.48, 560, 250, 2200, 58.3, 233),
           ("RTX 3060", 86, 28, 360, 1.78, 540, 230, 1100, 25.6, 102), ("H200", 90, 132, 4800, 1.78, 700, 260, 5500, 989, 1979)]
BEST_COPY = 0.92   # of its makers' bandwidth, the most that a device gives
BEST_ISSUE = 0.80  # of four warp instructions a cycle
BEST_BLAS = 0.80   # of the products' peak, what a bare cuBLAS call reaches
BEST_SYNC = 0.62   # of that peak, what instructions of one warp reach on Hopper, whose peak is for groups of four
START_US = 2.0     # a node of a graph after another, and the last stores

ATTEND_SHARED = 14624 # bytes of attention_scratch

# Kernel: threads, dynamic shared memory, what it must move, what it moves.
KERNELS = {
    "matrix_decode<0>": (256, 4096, "weights once", "weights once (a single row)"),
    "matrix_decode<1>": (256, 4096, "weights once", "weights once; activations of 8 to 32 bits from the level-2 cache"),
    "matrix_decode<2>": (256, 8192, "weights once", "the same"),
    "matrix_decode<4>": (256, 16384, "weights once for 32 rows", "the same, for each 32 rows"),
    "matrix_prompt": (256, 32768, "weights once, activations once", "weights once for 32 rows (level 2), activations once for 128 outputs"),
    "matrix_float": (256, 0, "weights once", "weights once for each 8 rows"),
    "attend_chunks": (128, ATTEND_SHARED, "keys and values once for the heads that share them", "once for four heads"),
    "measure_angles": (256, 0, "a pair a position", "once"),
    "combine_chunks": (256, 0, "partial results once", "once a value"),
    "rope_store_heads": (32, 0, "q, k, v once", "once"),
    "norm_rows": (256, 132, "a row once", "three times (level 1)"),
    "norm_add_rows": (256, 132, "a row once", "three times (level 1)"),
    "activate_rows": (256, 0, "a row once", "once"),
    "embed_rows": (256, 0, "a row once", "once"),
    "sample_row": (512, 0, "a row of logits once", "some six times (level 2)"),
}

# Path in cuda_paths.cu: what it is, bytes of a warp's step (32 columns of 16 output rows) in the file's type and on the device,
# matrix products a step, activation rows, bytes of a row's activations a step.
MATRIX = (14336, 5120)
MATRIX_PATHS = [
    ("path_q4_k_1", "Q4_K, 1 row", 288, 296, 1, 1, 40), ("path_q4_k_1_fine", "Q4_K, 1 row of 16 bits", 288, 296, 2, 1, 72),
    ("path_q4_k_8", "Q4_K, 8 rows", 288, 296, 1, 8, 40), ("path_q4_k_32", "Q4_K, 32 rows", 288, 296, 4, 32, 40), ("path_q4_0_1", "Q4_0, 1 row", 288, 288, 1, 1, 40),
    ("path_q4_0_32", "Q4_0, 32 rows", 288, 288, 4, 32, 40), ("path_q6_k_1", "Q6_K, 1 row", 420, 552, 2, 1, 40),
    ("path_q8_0_1", "Q8_0, 1 row", 544, 544, 1, 1, 40), ("path_q8_0_1_fine", "Q8_0, 1 row of 16 bits", 544, 544, 2, 1, 72),
    ("path_q8_0_32", "Q8_0, 32 rows", 544, 544, 4, 32, 40),
    ("path_bf16_1", "BF16, 1 row", 1024, 1024, 4, 1, 128), ("path_bf16_32", "BF16, 32 rows", 1024, 1024, 16, 32, 128),
    ("path_f8_1", "FP8, 1 row", 512, 512, 4, 1, 128), ("path_f8_32", "FP8, 32 rows", 512, 512, 16, 32, 128),
]
# What it is, bytes of a warp's step on the device, products a step, bytes of a row's activations a step.
PROMPT_ROWS = 512
PROMPT_PATHS = [("path_q4_k_prompt", "Q4_K", 296, 4, 40), ("path_q4_k_prompt_fine", "Q4_K, 16 bits", 296, 8, 72),
                ("path_q8_0_prompt", "Q8_0", 544, 4, 40), ("path_bf16_prompt", "BF16", 1024, 16, 128)]

MODEL = """*Predicted* share of the memory's bandwidth (bytes of the device's layout over the makers' figure) for a matrix of {0} rows
and {1} columns, and what binds it: **m** the memory, **l** the latency of loads (Little's law: too few bytes are in flight), **i** the issue of
instructions, **c** the level-2 cache. The blocks of a launch run in waves of as many as fit (registers, shared memory, warps); a wave takes,
for each round of its loop, the longest of four times: the bytes of all resident warps over {2:.0%} of the bandwidth; a lone
warp's way through the loop, its machine code walked in order with every value awaited; its instructions times the warps of a
multiprocessor over {3:.0%} of four a cycle; the activations over the level-2 cache's bandwidth, as if the level-1 cache held none. To this comes {4:g} us for a
launch. A step is 32 columns of 16 output rows. Attention: 8 sequences of 4,096 positions, 32 heads to 8 of keys and values, each byte counted once. Kernels of one block a
row (norms, sampling, embedding) last a few microseconds whatever the device, and have no share of any note.
"""
PROMPT_MODEL = """*Predicted* share of what a bare cuBLAS call in bfloat16 reaches ({1:.0%} of the makers' figure) on the same matrix times {0} rows: multiply-adds
that are asked for, over the longest of the same times; **t** is the tensor cores (on Hopper {2:.0%} of their peak, which only
instructions of four warps reach). Assumed:

{3}
"""


def run(words):
    result = subprocess.run(words, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit("cuda_kernels.py: %s\n%s" % (" ".join(words), result.stderr))
    return result.stdout + result.stderr


def find_tool(name):
    places = [os.environ.get(name.upper(), ""), os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin", name)]
    found = next((place for place in places if place and os.path.exists(place)), None) or shutil.which(name)
    if not found:
        sys.exit("cuda_kernels.py: %s is missing (it comes with the CUDA toolkit)" % name)
    return found


def compile_file(nvcc, source, arch, cubin):
    return run([nvcc, "-std=c++17", "-O3", "--fmad=false", "-w", "-cubin", "-arch=sm_%d" % arch, "-Xptxas", "-v", "-D_GNU_SOURCE",
                "-Iruntime/include", "-Iruntime/src", source, "-o", cubin])


def plain_name(mangled):
    """matrix_quantised<4, 2> of _Z16matrix_quantisedI4formI...ELi4ELi2EEv..., whatever the form; paths have C names."""
    match = re.match(r"_Z(?:NK?)?L?(\d+)", mangled)
    if not match:
        return mangled
    at, length = match.end(), int(match.group(1))
    rest = re.sub(r"^I4formI(?:L\d+[a-z_]+\d+E|Lb\d+E)+E", "I", mangled[at + length:])
    numbers = re.match(r"I((?:L[a-z]\d+E)+)E", rest)
    arguments = re.findall(r"L[a-z](\d+)E", numbers.group(1)) if numbers else []
    return mangled[at:at + length] + ("<%s>" % ", ".join(arguments) if arguments else "")


def resources(text):
    """What ptxas said: kernel -> registers, static shared memory, bytes spilled; of a kernel's forms the most."""
    found, name, first = {}, None, {"registers": 0, "shared": 0, "spills": 0}
    for line in text.splitlines():
        entry = re.search(r"Compiling entry function '(\S+)'", line)
        if entry:
            name = plain_name(entry.group(1))
            found.setdefault(name, dict(first))
        spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line)
        if spills and name:
            found[name]["spills"] = max(found[name]["spills"], int(spills.group(1)) + int(spills.group(2)))
        used = re.search(r"Used (\d+) registers", line)
        if used and name:
            shared = re.search(r"(\d+) bytes smem", line)
            found[name]["registers"] = max(found[name]["registers"], int(used.group(1)))
            found[name]["shared"] = max(found[name]["shared"], int(shared.group(1)) if shared else 0)
    return found


def blocks_resident(arch, threads, registers, shared):
    most_warps, most_blocks, shared_kib, beside = OCCUPANCY[arch]
    warps = (threads + 31) // 32
    per_warp = (registers * 32 + 255) // 256 * 256
    by_registers = 65536 // per_warp // warps
    by_shared = shared_kib * 1024 // (shared + beside) if shared + beside else most_blocks
    return min(most_blocks, most_warps // warps, by_registers, by_shared)


# Machine code

def functions_of(listing):
    """Name -> [(label or None, opcode, operands, guard)]."""
    found, name = {}, None
    for line in listing.splitlines():
        section = re.match(r"\s*\.section\s+\.text\.([^,\s]+)", line)
        if section:
            name = plain_name(section.group(1))
            found[name] = []
            continue
        label = re.match(r"(\.L_x_\d+):", line)
        code = re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(@!?U?P\d+\s+)?([A-Z][A-Z0-9_.]*)\s*(.*?)\s*;", line)
        if name and label:
            found[name].append((label.group(1), None, "", ""))
        elif name and code:
            found[name].append((None, code.group(2), code.group(3), code.group(1) or ""))
    return found


def loops_of(code):
    """Every stretch from a label to a later branch back to it."""
    labels = {entry[0]: i for i, entry in enumerate(code) if entry[0]}
    found = []
    for i, (_, opcode, operands, _) in enumerate(code):
        target = re.search(r"\(?(\.L_x_\d+)", operands) if opcode and opcode.startswith("BRA") else None
        if target and labels.get(target.group(1), i) < i:
            found.append([entry for entry in code[labels[target.group(1)]:i + 1] if entry[1]])
    return found


def count(loop, pattern):
    return sum(1 for entry in loop if re.match(pattern, entry[1]))


def registers_of(text):
    """Every register named, the second of each pair too."""
    found = []
    for name, wide in re.findall(r"\b(U?R\d+|U?P\d)\b(\.64)?", text):
        found.append(name)
        if wide:
            found.append(re.sub(r"\d+", lambda m: str(int(m.group(0)) + 1), name))
    return found


def written(opcode, operands):
    first = operands.split(",")[0]
    if opcode.startswith(("ST", "BRA", "EXIT", "BAR", "RED", "WARPSYNC", "NOP", "BSSY", "BSYNC")):
        return []
    names = registers_of(first)
    width = 4 if re.match(r"[IHD]MMA|.*\.128", opcode) else 2 if ".64" in opcode or ".WIDE" in opcode else 1
    for name in list(names[:1]):
        at = re.match(r"(U?R)(\d+)", name)
        if at:
            names += ["%s%d" % (at.group(1), int(at.group(2)) + k) for k in range(1, width)]
    return names


def cycles_of(loop, memory, cache, is_far):
    """How long a lone warp takes for one round of the loop: instructions in order, each waits for what it reads. Loads that
    is_far(number) come from memory, the others from the cache."""
    ready, now, marks = {}, 0.0, []
    for _ in range(4):
        number = 0
        for _, opcode, operands, guard in loop:
            target = written(opcode, operands)
            read = registers_of(guard) + registers_of(operands.split(",", 1)[1] if target and "," in operands else operands)
            now = max([now + 1] + [ready.get(name, 0) for name in read])
            latency = 5
            if opcode.startswith("LDG"):
                latency = memory if is_far(number) else cache
                number += 1
            elif opcode.startswith(("LDS", "SHFL")):
                latency = 25
            elif re.match(r"[IHD]MMA", opcode):
                latency = 24
            elif re.match(r"MUFU|I2F|F2I|D[A-Z]", opcode):
                latency = 18
            for name in target:
                ready[name] = now + latency
        marks.append(now)
    return marks[-1] - marks[-2]


# Shares

def waves_of(blocks, resident):
    whole, rest = divmod(blocks, resident)
    return [resident] * whole + ([rest] if rest else [])


def bound(times):
    return max(times, key=lambda letter: times[letter])


def is_weight(loop):
    """Of the loop's loads by number, whether it is of weights: those are marked to be evicted first."""
    return [".EF" in entry[1] for entry in loop if entry[1].startswith("LDG")]


def predict_matrix(device, path, info, loop):
    _, arch, units, bandwidth, clock, memory_ns, cache_ns, cache_bandwidth, _, _ = device
    _, _, _, moved, products, rows, activations = path
    depth = max(1, count(loop, r"[IH]MMA") // products)
    far = is_weight(loop)
    cycles = cycles_of(loop, memory_ns * clock, cache_ns * clock, lambda k: far[k])
    resident = units * blocks_resident(arch, 256, info["registers"], 4096 * max(1, rows // 8))
    steps = math.ceil(MATRIX[1] / 32 / 8 / depth)
    time, letters = START_US * 1e-6, {}
    for blocks in waves_of(MATRIX[0] // 16, resident):
        times = {"m": blocks * 8 * depth * moved / (BEST_COPY * bandwidth * 1e9), "l": cycles / (clock * 1e9),
                 "i": math.ceil(blocks / units) * 8 * len(loop) / (4 * BEST_ISSUE * clock * 1e9),
                 "c": blocks * 8 * depth * rows * activations / (cache_bandwidth * 1e9)}
        letters[bound(times)] = letters.get(bound(times), 0) + steps * max(times.values())
        time += steps * max(times.values())
    warps = MATRIX[0] // 16 * 8
    share = warps * steps * depth * moved / time / (bandwidth * 1e9)
    return min(share, BEST_COPY), bound(letters), depth, len(loop) / depth


def predict_prompt(device, path, info, loop):
    """Of what a bare cuBLAS call reaches; what binds it; instructions for 4,096 multiply-adds."""
    _, arch, units, bandwidth, clock, _, cache_ns, cache_bandwidth, floats, integers = device
    _, _, moved, products, activations = path
    cycles = cycles_of(loop, cache_ns * clock, 35, is_weight(loop).__getitem__)
    resident = blocks_resident(arch, 256, info["registers"], 32768)
    is_float = count(loop, r"HMMA") > 0
    peak = (floats if is_float else integers) * (BEST_SYNC if arch >= 90 else 1)
    steps = count(loop, r"[IH]MMA") / products
    times = {"l": cycles / (clock * 1e9) / (resident * 8), "i": len(loop) / (4 * BEST_ISSUE * clock * 1e9),
             "t": steps * products * (4096 if is_float else 8192) / (peak * 1e12 / units), "c": steps * (moved + 32 * activations / 8) / (cache_bandwidth * 1e9 / units),
             "m": steps * moved * 32 / PROMPT_ROWS / (BEST_COPY * bandwidth * 1e9 / units)}
    useful = steps * 4 * 8192 / max(times.values()) * units
    return useful / (BEST_BLAS * floats * 1e12), bound(times), len(loop) / steps / 4


def predict_attention(device, info, loops):
    _, arch, units, bandwidth, clock, memory_ns, cache_ns, cache_bandwidth, _, _ = device
    sequences, positions, heads, kv_heads, head = 8, 4096, 32, 8, 128
    resident = units * blocks_resident(arch, 128, info["registers"], ATTEND_SHARED)
    blocks = sequences * kv_heads * positions // 128
    cycles = instructions = 0
    for loop in loops:  # four values a load; scores: a lane a position, its vector; values: a lane four dims, every fourth position
        loads = count(loop, r"LDG\S*\.64")
        cycles += 32 / loads * cycles_of(loop, memory_ns * clock, 35, lambda k: True)
        instructions += 32 / loads * len(loop)
    useful = sequences * positions * 2 * kv_heads * head * 2
    time, letters = START_US * 1e-6, {}
    for now in waves_of(blocks, resident):
        times = {"m": useful / blocks * now / (BEST_COPY * bandwidth * 1e9), "l": cycles / (clock * 1e9),
                 "i": math.ceil(now / units) * 4 * instructions / (4 * BEST_ISSUE * clock * 1e9),
                 "c": useful / blocks * now / (cache_bandwidth * 1e9)}
        letters[bound(times)] = letters.get(bound(times), 0) + max(times.values())
        time += max(times.values())
    return min(useful / time / (bandwidth * 1e9), BEST_COPY), bound(letters)


def innermost(loops):
    return [a for a in loops if not any(b is not a and len(b) < len(a) and all(entry in a for entry in b) for b in loops)]


def loop_with(loops, pattern):
    """The innermost loop with most of something; of equals the shortest."""
    return max(innermost(loops), key=lambda loop: (count(loop, pattern), -len(loop)))


def share_rows(paths, codes):
    rows = []
    for path in MATRIX_PATHS:
        row = None
        for device in DEVICES:
            loop = loop_with(loops_of(codes[device[1]][path[0]]), r"[IH]MMA")
            share, letter, depth, instructions = predict_matrix(device, path, paths[device[1]][path[0]], loop)
            row = row or [path[1], "%.2f" % (path[3] / path[2]), "%.0f" % instructions, "%d" % (depth * path[3])]
            row.append("%.0f %% %s" % (100 * share, letter))
        rows.append(row)
    row = ["attention, F16", "1.00", "", ""]
    for device in DEVICES:
        loops = [loop for loop in loops_of(codes[device[1]]["path_attend_f16"]) if count(loop, r"LDG\S*\.64") >= 4]
        share, letter = predict_attention(device, paths[device[1]]["path_attend_f16"], innermost(loops))
        row.append("%.0f %% %s" % (100 * share, letter))
    return rows + [row]


def prompt_rows(paths, codes):
    rows = []
    for path in PROMPT_PATHS:
        row = None
        for device in DEVICES:
            loop = loop_with(loops_of(codes[device[1]][path[0]]), r"[IH]MMA")
            share, letter, instructions = predict_prompt(device, path, paths[device[1]][path[0]], loop)
            row = row or [path[1], "%.0f" % instructions]
            row.append("%.0f %% %s" % (100 * share, letter))
        rows.append(row)
    return rows


# The text

def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def kernel_rows(found):
    rows = []
    for name in sorted(found[ARCHES[0]]):
        known = KERNELS.get(name) or KERNELS.get(re.sub(r", \d+>$", ">", name)) or KERNELS.get(re.sub(r"<.*", "", name))
        threads, shared, must, moves = known or (0, 0, "?", "?")
        every = [found[arch][name] for arch in ARCHES]
        resident = ["%d" % blocks_resident(arch, threads, found[arch][name]["registers"], shared + found[arch][name]["shared"])
                    if threads else "?" for arch in ARCHES]
        rows.append(["`%s`" % name, str(threads), " ".join(str(one["registers"]) for one in every),
                     "%d B" % (shared + every[-1]["shared"]), str(max(one["spills"] for one in every)), " ".join(resident), must, moves])
    return rows


def make_text(nvcc, nvdisasm):
    found, paths, codes = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        cubin = os.path.join(folder, "kernels.cubin")
        for arch in ARCHES:
            found[arch] = {}
            for source in sorted(glob.glob(SOURCES)):
                with open(source) as file:
                    if "__global__" in file.read():
                        found[arch].update(resources(compile_file(nvcc, source, arch, cubin)))
        for arch in sorted({device[1] for device in DEVICES}):
            paths[arch] = resources(compile_file(nvcc, PATHS, arch, cubin))
            codes[arch] = functions_of(run([nvdisasm, "-c", cubin]))
    release = re.search(r"release ([\d.]+)", run([nvcc, "--version"])).group(1)
    arches = " ".join(str(arch) for arch in ARCHES)
    devices = "\n".join(table(["device", "sm", "multiprocessors", "memory GB/s", "GHz", "memory ns", "level 2 ns", "level 2 GB/s",
                               "bfloat16 TFLOPS", "8-bit TOPS"],
                              [[one[0]] + ["%g" % figure for figure in one[1:]] for one in DEVICES]))
    lines = [BEGIN, "nvcc %s; registers (of a kernel's forms and types the most) and blocks resident on a multiprocessor for sm %s." % (release, arches), ""]
    lines += table(["kernel", "threads", "registers", "shared", "spilled", "blocks", "must move", "moves"], kernel_rows(found))
    lines += [""] + table(["path", "moved / file", "instructions a step", "bytes a round"] + [d[0] for d in DEVICES],
                          share_rows(paths, codes))
    lines += ["", MODEL.format("{:,}".format(MATRIX[0]), "{:,}".format(MATRIX[1]), BEST_COPY, BEST_ISSUE, START_US).rstrip(), ""]
    lines += table(["prompt of", "instructions for 4,096 products"] + [d[0] for d in DEVICES], prompt_rows(paths, codes))
    lines += ["", PROMPT_MODEL.format(PROMPT_ROWS, BEST_BLAS, BEST_SYNC, devices).rstrip(), END]
    spilled = [name for arch in found for name, one in found[arch].items() if one["spills"]]
    unknown = [row[0] for row in kernel_rows(found) if row[1] == "0"]
    return "\n".join(lines), spilled, unknown


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    words = sys.argv[1:]
    if words and (len(words) != 2 or words[0] not in ("--write", "--check")):
        sys.exit(__doc__)
    text, spilled, unknown = make_text(find_tool("nvcc"), find_tool("nvdisasm"))
    if unknown:
        print("cuda_kernels.py: say in KERNELS what these move: " + ", ".join(unknown), file=sys.stderr)
    if spilled:
        print("cuda_kernels.py: spilled: " + ", ".join(sorted(set(spilled))), file=sys.stderr)
    if not words:
        print(text)
        return 1 if spilled or unknown else 0
    with open(words[1]) as file:
        page = file.read()
    if BEGIN not in page or END not in page:
        sys.exit("cuda_kernels.py: %s has no marks to put the table between" % words[1])
    fresh = page[:page.index(BEGIN)] + text + page[page.index(END) + len(END):]
    if words[0] == "--write":
        with open(words[1], "w") as file:
            file.write(fresh)
    elif fresh != page:
        print("cuda_kernels.py: %s says something else: --write makes it true" % words[1], file=sys.stderr)
        return 1
    return 1 if spilled or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
