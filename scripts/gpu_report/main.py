"""The steps of scripts/gpu_report.sh: each with its share of the time, none in the way of the next."""
# SPDX-License-Identifier: MIT
import argparse
import glob
import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fp8  # noqa: E402
import write  # noqa: E402

BUILD = "build/release" # or what --build names
TEKKEN = "assets/vocabularies/tekken_240718.json"
DEFAULT_MODEL = "assets/models/smollm2-135m-instruct.gguf"
TINY = "tests/data/models/llama3/model-q8_0.gguf"
TINY_CHAT = "tests/data/models/chat"
BITS = {"Q4_K": 4.5, "Q8_0": 8.5, "FP8": 8.0, "BF16": 16.0}
# Most important first: what there is no time for is at the end.
MODELS = [("minitron-8b", "Q4_K"), ("mistral-nemo-12b", "Q4_K"), ("nemotron-mini-4b", "Q4_K"), ("mistral-nemo-12b", "Q8_0"),
          ("mistral-nemo-12b", "FP8"), ("mistral-nemo-12b", "BF16"), ("minitron-8b", "Q8_0"), ("nemotron-mini-4b", "Q8_0"),
          ("minitron-8b", "FP8"), ("nemotron-mini-4b", "FP8"), ("minitron-8b", "BF16"), ("nemotron-mini-4b", "BF16")]
BATCHES = [2, 4, 8, 16, 32]
MOST_BYTES = 7.5e9  # of one model, which is NeMo whole in Q4_K: more layers would only take longer to write and to load


SYSTEM_LIBRARIES = ("linux-vdso", "ld-linux", "libc.so", "libm.so", "libpthread", "libdl", "librt", "libstdc++", "libgcc_s")


class Skip(Exception):
    """A step that cannot be done here; the words say why."""


class Fail(Exception):
    """A step that went wrong."""


class Report:
    def __init__(self, options):
        self.options = options
        self.out = options.out
        self.began = time.monotonic()
        self.end = self.began + 60 * options.minutes
        self.data = {"steps": [], "decode": [], "emulated": options.emulated}
        self.environment = dict(os.environ)

    def left(self):
        return self.end - time.monotonic()

    def step(self, name, least, most, function, *arguments):
        """Runs `function(seconds, ...)`, which may take `most` seconds, if there are `least`. Returns whether it succeeded."""
        start = time.monotonic()
        status, words = "done", ""
        if self.left() < least:
            status, words = "skipped", "no time: %.0f s are left, it wants %.0f" % (max(self.left(), 0), least)
        else:
            print("-- %s" % name, flush=True)
            try:
                words = function(min(most, self.left()), *arguments) or ""
            except Skip as reason:
                status, words = "skipped", str(reason)
            except Fail as reason:
                status, words = "failed", str(reason)
            except (OSError, ValueError, KeyError, struct.error) as reason:
                status, words = "failed", "%s: %s" % (type(reason).__name__, reason)
        seconds = time.monotonic() - start
        self.data["steps"].append({"step": name, "status": status, "seconds": round(seconds, 1), "words": words})
        print("   %s in %.0f s%s" % (status, seconds, ": " + words.splitlines()[0] if words else ""), flush=True)
        return status == "done"

    def run(self, words, seconds, log):
        """Runs a command for so long at most. Returns (exit code or None where time ran out, stdout)."""
        path = os.path.join(self.out, "logs", log + ".log")
        with open(path, "w") as errors:
            errors.write("$ " + " ".join(words) + "\n")
            errors.flush()
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, env=self.environment, text=True,
                                       errors="replace", start_new_session=True)
            try:
                text, _ = process.communicate(timeout=max(seconds, 1))
                code = process.returncode
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                text, _ = process.communicate()
                code = None
            errors.write(text)
        return code, text

    def must(self, words, seconds, log):
        """The same, for a command that has to succeed."""
        code, text = self.run(words, seconds, log)
        if code is None:
            raise Fail("%s did not end in %.0f s (logs/%s.log)" % (os.path.basename(words[0]), seconds, log))
        if code != 0:
            raise Fail("%s (logs/%s.log)" % (last_line(os.path.join(self.out, "logs", log + ".log")), log))
        return text

    def repartee(self, words, seconds, log):
        return self.must([os.path.join(BUILD, "repartee")] + words, seconds, log)


def last_line(path):
    with open(path, errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    return lines[-1] if len(lines) > 1 else "it failed without a word"


def first_line(words):
    try:
        text = subprocess.run(words, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return text.strip().splitlines()[0] if text.strip() else ""


# Taken along to a machine that has a GPU, but not what a build needs

def needed_libraries(program):
    """Paths of the libraries that a program links beside those that every system has."""
    lines = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.splitlines()
    paths = [line.split("=> ")[1].split(" (")[0].strip() for line in lines if "=> /" in line]
    return [path for path in paths if not os.path.basename(path).startswith(SYSTEM_LIBRARIES)]


def pack(folder):
    """The programs of build/release that the report runs, stripped, and their libraries: some 25 MB."""
    programs = ["repartee", "librepartee_cuda.so"] + ["tests/" + name for name in test_programs()]
    os.makedirs(os.path.join(folder, "tests"), exist_ok=True)
    os.makedirs(os.path.join(folder, "lib"), exist_ok=True)
    for name in programs:
        path = os.path.join("build/release", name)
        subprocess.run(["strip", "-o", os.path.join(folder, name), path], check=True)
        for library in needed_libraries(path):
            shutil.copy(library, os.path.join(folder, "lib"))
    print("%d programs in %s: with it and this repository's files, scripts/gpu_report.sh --build %s runs where nothing can be built" % (
        len(programs), folder, folder))


# What machine this is

def take_facts(seconds, report):
    facts = report.data["facts"] = {}
    with open("/proc/cpuinfo") as file:
        models = re.findall(r"model name\s*: (.*)", file.read())
    facts["processor"] = "%s, %d of them" % (models[0] if models else "unnamed", os.cpu_count() or 0)
    facts["system"] = " ".join(os.uname()[i] for i in (0, 2, 4))
    facts["commit"] = first_line(["git", "describe", "--always", "--dirty"])
    facts["date"] = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    facts["nvidia-smi"] = first_line(["nvidia-smi", "--format=csv,noheader",
                                      "--query-gpu=name,driver_version,memory.total,clocks.max.mem,power.limit"])
    nvcc = first_line(["sh", "-c", "${CUDA_HOME:+$CUDA_HOME/bin/}nvcc --version | grep release"])
    facts["nvcc"] = nvcc
    missing = [name for name in ("nvidia-smi", "nvcc") if not facts[name]]
    return "%s%s" % (facts["nvidia-smi"] or facts["processor"], "; missing: " + ", ".join(missing) if missing else "")


def build(seconds, report):
    if report.options.no_build or report.options.build:
        raise Skip("--build" if report.options.build else "--no-build")
    text = report.must(["scripts/build.sh", "release"], seconds, "build")
    left_out = re.search(r"^CUDA: .*", text, re.MULTILINE)
    return left_out.group(0) if left_out else ""


def find_plugin(seconds, report):
    name = "librepartee_cuda_emulated.so" if report.options.emulated else "librepartee_cuda.so"
    path = os.path.abspath(os.path.join(BUILD, name))
    if not os.path.exists(os.path.join(BUILD, "repartee")):
        raise Fail("there is no %s/repartee: scripts/setup.sh installs what the build needs" % BUILD)
    if not os.path.exists(path):
        raise Fail("there is no %s: it is built where nvcc is found (CUDA_HOME, or on the PATH), or brought along" % path)
    report.environment["REPARTEE_CUDA_PLUGIN"] = path
    report.repartee(["logits", "--backend", "cuda", "--model", TINY, "--ids", "1", "--out", os.path.join(report.out, "one.npy")],
                    min(seconds, 60), "plugin")
    return os.path.relpath(path)


# Right

def test_programs():
    """The test programs that load whichever plugin REPARTEE_CUDA_PLUGIN names."""
    names = []
    for source in sorted(glob.glob("tests/unit/*.c")):
        with open(source) as file:
            if '"support/cuda_plugin.h"' in file.read():
                names.append(os.path.splitext(os.path.basename(source))[0])
    return names


def run_tests(seconds, report):
    end = time.monotonic() + seconds
    passed, failed = 0, []
    for name in test_programs():
        program = os.path.join(BUILD, "tests", name)
        if not os.path.exists(program):
            failed.append(name + " is not built")
            continue
        log = "test-" + name
        code, _ = report.run([program], end - time.monotonic(), log)
        with open(os.path.join(report.out, "logs", log + ".log"), errors="replace") as file:
            text = file.read()
        passed += text.count("[       OK ]")
        failed += ["%s: %s" % (name, test) for test in sorted(set(re.findall(r"\[  FAILED  \] (test_\w+)", text)))]
        if code is None:
            failed.append(name + " ran out of time")
        elif code != 0 and not any(words.startswith(name) for words in failed):
            failed.append("%s ended with %s" % (name, code))
    report.data["tests"] = {"passed": passed, "failed": failed}
    if failed:
        raise Fail("%d passed; failed: %s" % (passed, ", ".join(failed)))
    if passed == 0:
        raise Fail("no test ran")
    return "%d passed" % passed


def read_npy(path):
    """Rows of float32."""
    with open(path, "rb") as file:
        magic = file.read(10)
        header = file.read(struct.unpack("<H", magic[8:10])[0]).decode()
        rows, columns = map(int, re.search(r"\((\d+), (\d+)\)", header).groups())
        return [struct.unpack("<%df" % columns, file.read(4 * columns)) for _ in range(rows)]


def divergence(p, q):
    """KL(p | q) of two rows of logits."""
    def normaliser(row):
        top = max(row)
        return top + math.log(sum(math.exp(x - top) for x in row))
    zp, zq = normaliser(p), normaliser(q)
    return sum(math.exp(a - zp) * ((a - zp) - (b - zq)) for a, b in zip(p, q))


def compare_logits(seconds, report):
    model = DEFAULT_MODEL if os.path.exists(DEFAULT_MODEL) and not report.options.emulated else TINY
    ids = ",".join(str(1 + 7919 * i % 250) for i in range(24))
    rows = {}
    for backend in ("cpu", "cuda"):
        path = os.path.join(report.out, "logits-%s.npy" % backend)
        report.repartee(["logits", "--backend", backend, "--model", model, "--ids", ids, "--all", "--out", path], seconds / 2,
                        "logits-" + backend)
        rows[backend] = read_npy(path)
        os.remove(path)
    kls = [divergence(p, q) for p, q in zip(rows["cpu"], rows["cuda"])]
    same = sum(max(range(len(p)), key=p.__getitem__) == max(range(len(q)), key=q.__getitem__) for p, q in zip(rows["cpu"], rows["cuda"]))
    report.data["logits"] = {"model": model, "positions": len(kls), "kl_mean": sum(kls) / len(kls), "kl_max": max(kls), "same_best": same}
    if not sum(kls) / len(kls) < 0.005: # what docs/cuda.md states
        raise Fail("KL of the CPU's to the GPU's logits: %.3g in the mean" % (sum(kls) / len(kls)))
    return "KL %.3g mean, %.3g at worst, the same best token at %d of %d positions" % (
        sum(kls) / len(kls), max(kls), same, len(kls))


def sanitize(seconds, report):
    tool = shutil.which("compute-sanitizer") or next(iter(glob.glob("/usr/local/cuda*/bin/compute-sanitizer")), None)
    if report.options.emulated:
        raise Skip("the address sanitizer watches the emulation in scripts/test.sh")
    if not tool:
        raise Skip("compute-sanitizer is missing (it comes with the CUDA toolkit)")
    words = []
    for check in ("memcheck", "racecheck"):
        out = os.path.join(report.out, "sanitized.npy")
        report.must([tool, "--tool", check, "--error-exitcode", "9", os.path.join(BUILD, "repartee"), "logits", "--backend", "cuda",
                     "--model", TINY, "--ids", "1,2,3,4,5,6,7,8,9,10", "--all", "--out", out], seconds / 2, check)
        words.append(check + " finds nothing")
    return ", ".join(words)


# Fast

def bench_device(seconds, report):
    if report.options.emulated:
        raise Skip("there is no device")
    report.data["device"] = json.loads(report.repartee(["bench", "device", "--json"], seconds, "device"))
    return "copies %.0f GB/s" % report.data["device"]["copy_gb_per_second"]


def layers_that_fit(report, shape, quant):
    hidden, _, _, _, _, vocabulary, layers, _, _ = fp8.SHAPES[shape]
    ends = 2 * vocabulary * hidden * (2 if quant in ("FP8", "BF16") else BITS[quant] / 8)
    room = min(0.8 * report.data.get("device", {}).get("memory_free_bytes", MOST_BYTES), MOST_BYTES,
               0.9 * shutil.disk_usage(report.options.scratch).free)
    return max(0, min(layers, int((room - ends) // (fp8.layer_parameters(shape) * BITS[quant] / 8))))


def make_model(report, shape, quant, seconds):
    """A file or folder of random weights, and its number of layers."""
    if report.options.emulated:
        if quant != "FP8": # the file is of Q8_0
            return TINY, 2, False
        path = os.path.join(report.options.scratch, "tiny-fp8")
        fp8.write("tiny", 2, path)
        return path, 2, True
    layers = layers_that_fit(report, shape, quant)
    if layers < 1:
        raise Skip("not one layer fits the device or the disk")
    path = os.path.join(report.options.scratch, "%s-%s" % (shape, quant.lower()))
    if quant == "FP8":
        fp8.write(shape, layers, path)
        return path, layers, True
    words = ["synth", "--arch", shape, "--quant", quant, "--layers", str(layers), "--out", path + ".gguf", "--quiet"]
    if os.path.exists(TEKKEN) and fp8.SHAPES[shape][5] == 131072:
        words += ["--tokenizer", TEKKEN]
    report.repartee(words, seconds, "synth-%s-%s" % (shape, quant))
    return path + ".gguf", layers, True


def remove_model(path):
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.exists(path):
        os.remove(path)


def bench_model(seconds, report, shape, quant, keeper):
    end = time.monotonic() + seconds
    path, layers, is_ours = make_model(report, shape, quant, seconds)
    try:
        emulated = report.options.emulated
        only = "pp128,tg64,batch2" if emulated else "pp512,tg64," + ",".join("batch%d" % b for b in BATCHES)
        figures = json.loads(report.repartee(
            ["bench", "model", "--backend", "cuda", "--model", path, "--threads", str(os.cpu_count() or 1), "--only", only,
             "--runs", "1" if emulated else "3", "--json"], end - time.monotonic(), "decode-%s-%s" % (shape, quant)))
        if emulated:
            shape = "tiny"
        figures.update(model=shape, quant=quant, layers=layers, of_layers=fp8.SHAPES[shape][6],
                       layer_parameters=fp8.layer_parameters(shape))
        report.data["decode"].append(figures)
    finally:
        if is_ours and keeper is not None and layers == fp8.SHAPES[shape][6]:
            keeper.append(path)  # the frames are played with it
        elif is_ours:
            remove_model(path)
    speed = figures["tg64"] * figures["bytes_per_token"] / 1e9
    return "%d of %d layers, %.0f tokens/s, %.0f GB/s of weights" % (layers, figures["of_layers"], figures["tg64"], speed)


def play_frames(seconds, report, kept):
    emulated = report.options.emulated
    large = kept[0] if kept and os.path.exists(TEKKEN) else DEFAULT_MODEL
    model = large if os.path.exists(large) and not emulated else TINY_CHAT
    csv = os.path.join(report.out, "frames.csv")
    words = ["frame", "--gpu-load", "%g" % report.options.weight, "--backend", "cuda", "--model", model, "--json", "--frames-to", csv,
             "--picture", os.path.join(report.out, "load.ppm"), "--threads", "1", "--frames", "60" if emulated else "600"]
    if emulated:
        words += ["--characters", "1"]
    figures = report.data["frames"] = json.loads(report.repartee(words, seconds, "frames"))
    alone, worst = figures["runs"][0], figures["runs"][-1]
    warning = "" if figures["same_device"] or emulated else "; the load was drawn by ANOTHER device: %s" % figures["renderer"]
    return "p99 %.2f ms alone, %.2f ms with a loop that knows no budget%s" % (alone["frame_p99_ms"], worst["frame_p99_ms"], warning)


# All of it

def take_steps(report):
    kept = []
    report.step("The machine", 0, 30, take_facts, report)
    report.step("Build", 30, 240, build, report)
    if report.step("The plugin", 5, 60, find_plugin, report):
        report.step("The device itself", 10, 40, bench_device, report)
        report.step("Logits against the CPU's", 10, 40, compare_logits, report)
        models = [MODELS[0], MODELS[4]] if report.options.emulated else MODELS
        name = "Decode and prompts: %s %s" + (" (a tiny stand-in)" if report.options.emulated else "")
        report.step(name % models[0], 20, 90, bench_model, report, *models[0], kept)
        report.step("Frames beside an OpenGL load", 45, 120, play_frames, report, kept)
        for path in kept:
            remove_model(path)
        for shape, quant in models[1:3]:
            report.step(name % (shape, quant), 20, 60, bench_model, report, shape, quant, None)
        report.step("Tests on the device", 20, 600 if report.options.emulated else 90, run_tests, report)
        for shape, quant in models[3:6]:
            report.step(name % (shape, quant), 25, 75, bench_model, report, shape, quant, None)
        report.step("compute-sanitizer", 20, 60, sanitize, report)
        for shape, quant in models[6:]:
            report.step(name % (shape, quant), 25, 75, bench_model, report, shape, quant, None)


def read_options():
    parser = argparse.ArgumentParser(prog="scripts/gpu_report.sh", add_help=False)
    parser.add_argument("out", nargs="?", default="build/gpu-report")
    parser.add_argument("--minutes", type=float, default=9.5)
    parser.add_argument("--weight", type=float)
    parser.add_argument("--scratch")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--build")
    parser.add_argument("--pack")
    parser.add_argument("--emulated", action="store_true")
    options = parser.parse_args()
    # Mesa's software rasteriser draws a few thousand pixels in that time, a GPU several million.
    options.weight = options.weight or (20.0 if options.emulated else 6.0)
    options.out = os.path.abspath(options.out)
    options.scratch = os.path.abspath(options.scratch or options.out)
    return options


def main():
    global BUILD
    options = read_options()
    if options.pack:
        pack(options.pack)
        return 0
    BUILD = options.build or BUILD
    os.makedirs(os.path.join(options.out, "logs"), exist_ok=True)
    os.makedirs(options.scratch, exist_ok=True)
    report = Report(options)
    if options.build:
        libraries = [os.path.abspath(os.path.join(BUILD, "lib")), os.environ.get("LD_LIBRARY_PATH", "")]
        report.environment["LD_LIBRARY_PATH"] = ":".join(filter(None, libraries))
    try:
        take_steps(report)
    except KeyboardInterrupt:
        report.data["steps"].append({"step": "Stopped", "status": "failed", "seconds": 0, "words": "by the keyboard"})
    report.data["seconds"] = round(time.monotonic() - report.began, 1)
    write.write_report(report.data, options.out)
    print(os.path.join(options.out, "report.md"))
    return 1 if any(step["status"] == "failed" for step in report.data["steps"]) else 0


if __name__ == "__main__":
    sys.exit(main())
