"""Every frame of each run as a point, runs side by side: an SVG without any library.

    python3 scripts/gpu_report/plot.py FRAMES.csv PERIOD_MS OUT.svg
"""
# SPDX-License-Identifier: MIT
import csv
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 420
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 44, 46
COLOURS = ["#555555", "#1b7837", "#2166ac", "#762a83", "#b2182b", "#8c510a"]


def read_runs(path):
    """[(name, [milliseconds])] in the file's order."""
    runs = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            runs.setdefault(row["run"], []).append(float(row["frame_ms"]))
    return list(runs.items())


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def step_of(top):
    for step in (1, 2, 5, 10, 20, 50, 100, 200, 500):
        if top / step <= 9:
            return step
    return 1000


def text(x, y, words, size=12, anchor="middle", colour="#222222"):
    return '<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s">%s</text>' % (x, y, size, anchor, colour, escape(words))


def plot_frames(frames, period_ms, out):
    runs = read_runs(frames)
    worst = max(quantile(values, 0.999) for _, values in runs)
    top = max(worst, period_ms) * 1.1  # what lies above is drawn at the edge
    panel = (WIDTH - LEFT - RIGHT) / len(runs)

    def y_of(milliseconds):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(milliseconds, top) / top

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif">' % (
        WIDTH, HEIGHT, WIDTH, HEIGHT), '<rect width="%d" height="%d" fill="#ffffff"/>' % (WIDTH, HEIGHT),
        text(LEFT, 18, "Frame times (ms), each point a frame; the dashed line is the display's period", 13, "start")]
    step = step_of(top)
    for i in range(int(top / step) + 1):
        y = y_of(i * step)
        parts.append('<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#e4e4e4"/>' % (LEFT, y, WIDTH - RIGHT, y))
        parts.append(text(LEFT - 6, y + 4, "%g" % (i * step), 11, "end"))
    for k, (name, values) in enumerate(runs):
        colour = COLOURS[k % len(COLOURS)]
        left = LEFT + k * panel + 6
        points = ["M%.1f %.1fh.01" % (left + (panel - 12) * i / len(values), y_of(v)) for i, v in enumerate(values)]
        parts.append('<path d="%s" stroke="%s" stroke-width="2.2" stroke-linecap="round" stroke-opacity="0.6" fill="none"/>' % ("".join(points), colour))
        middle = LEFT + (k + 0.5) * panel
        parts.append(text(middle, HEIGHT - BOTTOM + 18, name, 12, colour=colour))
        parts.append(text(middle, HEIGHT - BOTTOM + 34, "p50 %.2f   p99 %.2f   p99.9 %.2f" % (
            quantile(values, 0.5), quantile(values, 0.99), quantile(values, 0.999)), 10))
        missed = sum(v > period_ms for v in values)
        parts.append(text(middle, TOP - 8, "%d of %d missed" % (missed, len(values)), 11, colour=colour))
    parts.append('<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#b2182b" stroke-dasharray="5 4"/>' % (
        LEFT, y_of(period_ms), WIDTH - RIGHT, y_of(period_ms)))
    parts.append("</svg>")
    with open(out, "w") as file:
        file.write("\n".join(parts) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: plot.py FRAMES.csv PERIOD_MS OUT.svg")
    plot_frames(sys.argv[1], float(sys.argv[2]), sys.argv[3])
