"""What the steps found, as Markdown, CSV, JSON and a picture."""
# SPDX-License-Identifier: MIT
import csv
import json
import os

import plot

BATCHES = [1, 2, 4, 8, 16, 32]
GOALS = "Goals: at batch 1 at least 85 % of the copy bandwidth for weights of 8 bits and more, 75 % for 4 bits; a step of batch 32 " \
        "in at most 1.5 times one of batch 1; prompts at 60 % or more of bare cuBLAS (bfloat16, 512 rows)."


def number(value, digits=3):
    return "-" if value is None else "%.*g" % (digits, value) if abs(value) < 1000 else "%.0f" % value


def tokens_a_second(figures, batch):
    return figures.get("tg64" if batch == 1 else "batch%d" % batch)


def derive(figures, device):
    """What follows from one model's figures."""
    out = {"model": figures["model"], "quant": figures["quant"], "layers": figures["layers"], "of_layers": figures["of_layers"]}
    for batch in BATCHES:
        out["batch%d_tokens_per_second" % batch] = tokens_a_second(figures, batch)
    alone, many = figures.get("tg64"), figures.get("batch32")
    out["weights_gb_per_second"] = alone * figures["bytes_per_token"] / 1e9 if alone else None
    copy = device.get("copy_gb_per_second")
    out["share_of_copy"] = out["weights_gb_per_second"] / copy if copy and alone else None
    out["batch32_step_over_batch1"] = 32 * alone / many if alone and many else None
    prompt = figures.get("pp512", figures.get("pp128"))
    out["prompt_tokens_per_second"] = prompt
    out["prompt_tflops"] = 2 * prompt * figures["layers"] * figures["layer_parameters"] / 1e12 if figures.get("pp512") else None
    gemm = device.get("gemm_bf16_512_rows_tflops")
    out["prompt_share_of_cublas"] = out["prompt_tflops"] / gemm if gemm and out["prompt_tflops"] else None
    return out


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def percent(share):
    return "-" if share is None else "%.0f %%" % (100 * share)


def decode_lines(rows):
    heads = ["model", "type", "layers"] + ["batch %d" % b for b in BATCHES] + ["GB/s", "of copy", "step 32 : 1", "prompt", "TFLOP/s", "of cuBLAS"]
    body = [[r["model"], r["quant"], "%d of %d" % (r["layers"], r["of_layers"])] +
            [number(r["batch%d_tokens_per_second" % b]) for b in BATCHES] +
            [number(r["weights_gb_per_second"]), percent(r["share_of_copy"]), number(r["batch32_step_over_batch1"]),
             number(r["prompt_tokens_per_second"]), number(r["prompt_tflops"]), percent(r["prompt_share_of_cublas"])] for r in rows]
    return ["## Decode and prompts", "", "Tokens a second (`repartee bench model --backend cuda`, medians), random weights. A model that "
            "did not fit device, disk or time has fewer layers than the real one: its bandwidth holds, its tokens a second do not.",
            "", GOALS, ""] + table(heads, body) + [""]


def frame_lines(frames):
    heads = ["run", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "missed", "tokens/s", "budget p50 us"]
    body = [[r["run"], number(r["frame_p50_ms"], 4), number(r["frame_p99_ms"], 4), number(r["frame_p999_ms"], 4), number(r["frame_max_ms"], 4),
             "%d of %d" % (r["missed"], r["frames"]), number(r["tokens_per_second"]), number(r["budget_p50_us"])] for r in frames["runs"]]
    return ["## Frames beside an OpenGL load", "",
            "`repartee frame --gpu-load %g`: %s%s, %d x %d, %d passes; %g ms a frame with nothing beside it; %d frames a second; %s on %s." % (
                frames["weight_ms"], frames["renderer"], ", the device that computes" if frames["same_device"] else ", NOT known to be the "
                "device that computes", frames["width"], frames["height"], frames["passes"], frames["fitted_ms"], frames["fps"],
                frames["model"], frames["backend"]),
            ""] + table(heads, body) + ["", "![frame times](frames.svg)", ""]


def device_lines(device):
    lines = ["## The device itself", "", "`repartee bench device`", ""]
    return lines + table(["what", "figure"], [[key, number(value, 4) if isinstance(value, float) else str(value)] for key, value in device.items()]) + [""]


def markdown(data, rows):
    lines = ["# Repartee on a GPU", ""]
    if data["emulated"]:
        lines += ["**The kernels ran emulated on the processor: no figure below says anything about a GPU.**", ""]
    lines += ["`scripts/gpu_report.sh`, %.0f seconds." % data.get("seconds", 0), ""]
    lines += ["- %s: %s" % (key, value or "missing") for key, value in data.get("facts", {}).items()] + [""]
    lines += ["## Steps", ""] + table(["step", "came of it", "seconds", ""], [
        [s["step"], s["status"], "%.0f" % s["seconds"], s["words"].replace("|", "/").replace("\n", " ")] for s in data["steps"]]) + [""]
    if data.get("frames"):
        lines += frame_lines(data["frames"])
    if rows:
        lines += decode_lines(rows)
    if data.get("device"):
        lines += device_lines(data["device"])
    return "\n".join(lines)


def write_report(data, folder):
    rows = [derive(figures, data.get("device", {})) for figures in data["decode"]]
    with open(os.path.join(folder, "report.json"), "w") as file:
        json.dump(data, file, indent=1)
    if rows:
        with open(os.path.join(folder, "decode.csv"), "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    if data.get("frames"):
        plot.plot_frames(os.path.join(folder, "frames.csv"), 1000 / data["frames"]["fps"], os.path.join(folder, "frames.svg"))
    with open(os.path.join(folder, "report.md"), "w") as file:
        file.write(markdown(data, rows) + "\n")
