#!/usr/bin/env python3
"""Draws a stretch of a trace as a picture:  scripts/draw_trace.py TRACE.json OUT.png [--from MS] [--for MS] [--zoom MS]

Above, the whole stretch: each update's use of its budget, the slices of passes by their rows, what each character does.
Below, some frames of it, slice by slice, with what was predicted. Needs Pillow.
SPDX-License-Identifier: MIT
"""
import argparse
import json
import sys

try:
    from PIL import Image, ImageDraw, ImageFont
except ImportError:
    sys.exit("draw_trace.py: Pillow is missing (Debian: python3-pil)")

WIDTH, LEFT, RIGHT, TOP = 1800, 190, 30, 70
INK, FAINT, PAPER, BAND = (34, 40, 49), (150, 156, 166), (255, 255, 255), (246, 247, 249)
STAGES = {"queued": (222, 226, 232), "offer": (200, 190, 230), "compile": (200, 190, 230), "compose": (160, 140, 210),
          "attach": (160, 140, 210), "read": (88, 140, 214), "choose": (232, 160, 60), "arguments": (232, 120, 60),
          "call": (200, 70, 70), "wait": (200, 70, 70), "speak": (66, 168, 110), "ending": (120, 120, 120)}
DECODE, PREFILL, CHORE, SAMPLE = (66, 168, 110), (88, 140, 214), (150, 110, 200), (222, 150, 50)


def font(size, bold=False):
    names = ["NotoSans-Bold.ttf", "DejaVuSans-Bold.ttf"] if bold else ["NotoSans-Regular.ttf", "DejaVuSans.ttf"]
    folders = ["/usr/share/fonts/truetype/noto/", "/usr/share/fonts/truetype/dejavu/", ""]
    for folder in folders:
        for name in names:
            try:
                return ImageFont.truetype(folder + name, size)
            except OSError:
                pass
    return ImageFont.load_default()


class Picture:
    def __init__(self, height):
        self.image = Image.new("RGB", (WIDTH, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.small, self.text, self.head = font(15), font(17), font(24, True)

    def scale(self, begin, end):
        self.begin, self.end = begin, end

    def x(self, us):
        return LEFT + (us - self.begin) / (self.end - self.begin) * (WIDTH - LEFT - RIGHT)

    def bar(self, begin, end, top, bottom, colour):
        left, right = max(self.x(begin), LEFT), min(self.x(end), WIDTH - RIGHT)
        if right > left:
            self.draw.rectangle([left, top, max(right, left + 1), bottom], fill=colour)

    def label(self, top, text, colour=INK):
        self.draw.text((LEFT - 12, top), text, font=self.text, fill=colour, anchor="ra")

    def axis(self, y, step_us, unit, divide):
        for step in range(int((self.begin - self.origin) // step_us), int((self.end - self.origin) // step_us) + 1):
            us = self.origin + step * step_us
            x = self.x(us)
            self.draw.line([x, y, x, y + 6], fill=FAINT)
            self.draw.text((x, y + 8), f"{step * step_us / divide:g} {unit}", font=self.small, fill=FAINT, anchor="ma")


def rows_colour(rows):
    return DECODE if rows <= 9 else PREFILL


def chore_colour(name):
    return SAMPLE if name in ("sample", "score") else CHORE


def legend(picture, y, items):
    x = LEFT
    for colour, text in items:
        picture.draw.rectangle([x, y + 3, x + 16, y + 17], fill=colour)
        picture.draw.text((x + 23, y), text, font=picture.small, fill=INK)
        x += 45 + picture.draw.textlength(text, font=picture.small)


def draw_overview(p, y, updates, slices, stages, names):
    most = max(u["args"]["budget_us"] for u in updates)
    p.label(y + 22, "update")
    for u in updates:
        height = 60 * min(u["dur"] / most, 1.2)
        p.bar(u["ts"], u["ts"] + max(u["dur"], 4000), y + 62 - height, y + 62, (188, 204, 226))
    line = y + 2
    p.draw.line([LEFT, line, WIDTH - RIGHT, line], fill=(214, 90, 90))
    p.draw.text((WIDTH - RIGHT, line - 18), f"budget {most / 1000:g} ms a frame", font=p.small, fill=(214, 90, 90), anchor="ra")
    y += 78
    for index, name in enumerate(["first pass", "second pass", "focus only"]):
        p.label(y + 1, name)
        p.draw.rectangle([LEFT, y, WIDTH - RIGHT, y + 20], fill=BAND)
        for s in slices:
            if s["tid"] - 2 == index:
                p.bar(s["ts"], s["ts"] + s["dur"], y, y + 20, rows_colour(s["args"]["rows"]))
        y += 26
    y += 10
    for tid, name in names:
        p.label(y + 1, name)
        p.draw.rectangle([LEFT, y, WIDTH - RIGHT, y + 19], fill=BAND)
        for s in stages:
            if s["tid"] == tid:
                p.bar(s["ts"], s["ts"] + s["dur"], y, y + 19, STAGES.get(s["name"], FAINT))
        y += 23
    p.axis(y + 2, 100000, "ms", 1000)
    return y + 40


def draw_zoom(p, y, updates, slices, chores):
    shown = [u for u in updates if u["ts"] + u["dur"] > p.begin and u["ts"] < p.end]
    for number, u in enumerate(shown):
        budget = u["args"]["budget_us"]
        p.scale(u["ts"] - 20, u["ts"] + budget * 1.03)
        p.label(y + 10, f"frame {number + 1}")
        p.draw.rectangle([p.x(u["ts"]), y, p.x(u["ts"] + budget), y + 42], fill=BAND)
        for s in slices + chores:
            if not u["ts"] <= s["ts"] < u["ts"] + u["dur"]:
                continue
            is_slice = s["name"] == "slice"
            colour = rows_colour(s["args"]["rows"]) if is_slice else chore_colour(s["name"])
            p.bar(s["ts"], s["ts"] + s["dur"], y, y + 30, colour)
            if p.x(s["ts"]) > LEFT:
                p.draw.line([p.x(s["ts"]), y, p.x(s["ts"]), y + 30], fill=PAPER)
            predicted = s["args"].get("predicted_us", 0)
            if predicted > 0:
                p.bar(s["ts"], s["ts"] + predicted, y + 34, y + 41, INK)
            if is_slice and p.x(s["ts"] + s["dur"]) - p.x(s["ts"]) > 70:
                text = f"{s['args']['rows']} row{'s' if s['args']['rows'] > 1 else ''}, {s['dur']:.0f} us"
                middle = (p.x(s["ts"]) + p.x(s["ts"] + s["dur"])) / 2
                if p.draw.textlength(text, font=p.small) < p.x(s["ts"] + s["dur"]) - p.x(s["ts"]):
                    p.draw.text((middle, y + 5), text, font=p.small, fill=PAPER, anchor="ma")
        x = p.x(u["ts"] + budget)
        p.draw.line([x, y - 3, x, y + 45], fill=(214, 90, 90), width=2)
        y += 56
    return y


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace")
    parser.add_argument("out")
    parser.add_argument("--from", dest="first", type=float, default=0, help="milliseconds into the trace")
    parser.add_argument("--for", dest="length", type=float, default=1000, help="milliseconds")
    parser.add_argument("--zoom", type=float, default=0, help="milliseconds into the stretch: some frames from there")
    parser.add_argument("--frames", type=int, default=6, help="how many of them")
    arguments = parser.parse_args()
    with open(arguments.trace, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    spans = [e for e in events if e["ph"] == "X"]
    if not any(e["name"] == "update" for e in spans):
        sys.exit(f"{arguments.trace}: there are no updates in it")
    begin = min(e["ts"] for e in spans if e["name"] == "update") + arguments.first * 1000
    end = begin + arguments.length * 1000
    spans = [e for e in spans if e["ts"] + e["dur"] > begin and e["ts"] < end]
    updates = [e for e in spans if e["name"] == "update"]
    slices = [e for e in spans if e["name"] == "slice"]
    chores = [e for e in spans if e["tid"] == 8]
    stages = [e for e in spans if e["tid"] >= 100]
    names = sorted((e["tid"], e["args"]["name"]) for e in events if e["ph"] == "M" and e.get("tid", 0) >= 100)
    busy = {e["tid"] for e in stages}
    names = [n for n in names if n[0] in busy][:16]
    zoomed = [u for u in updates if u["ts"] >= begin + arguments.zoom * 1000][: arguments.frames]

    p = Picture(TOP + 78 + 88 + 23 * len(names) + 40 + 110 + 56 * len(zoomed) + 40)
    p.draw.text((LEFT, 14), f"{arguments.length / 1000:g} s of a busy world", font=p.head, fill=INK)
    p.origin = begin
    p.scale(begin, end)
    y = draw_overview(p, TOP, updates, slices, stages, names)
    legend(p, y, [(STAGES["queued"], "waits"), (STAGES["compose"], "prompt put together"), (PREFILL, "reads: prompt tokens"),
                  (DECODE, "speaks: reply tokens"), (SAMPLE, "tokens drawn"), (CHORE, "other chores"),
                  (INK, "what was predicted")])
    y += 40
    if zoomed:
        p.draw.text((LEFT, y), f"{len(zoomed)} frames of it: the part that characters have", font=p.head, fill=INK)
        y += 44
        p.scale(zoomed[0]["ts"], zoomed[-1]["ts"] + zoomed[-1]["dur"])
        y = draw_zoom(p, y, zoomed, slices, chores)
    p.image.crop((0, 0, WIDTH, int(y + 10))).save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()
