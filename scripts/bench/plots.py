#!/usr/bin/env python3
"""Pictures of what a run has measured, from the data that it has kept.

    scripts/bench/plots.py FOLDER

FOLDER is one of build/bench/DATE-TIME. What there is data for is drawn into it: latency.svg from latency-NAME.ms (one sample in
ms a line), connections.svg from growth-connections.csv, outage.svg from outage.csv and outage.json. gnuplot draws; without it
nothing is, and the exit code is 1.
"""

import csv
import json
import math
import pathlib
import subprocess
import sys

# A card of its own, readable on light and on dark pages. Blue, orange, green, purple: told apart by the colour-blind, too
# (https://jfly.uni-koeln.de/color/), and in grey by the labels at the lines.
PAPER, INK, GRID = "#ffffff", "#333333", "#dddddd"
COLOURS = {"off": "#777777", "durable": "#0072b2", "fire_and_forget": "#009e73", "inline": "#d55e00", "/me": "#0072b2",
           "/login": "#d55e00"}
CALLED = {"off": "effects off", "fire_and_forget": "fire and forget"}
POINTS = 160  # of a curve: more can't be seen

HEAD = """set terminal svg size {width},{height} font "Helvetica,Arial,sans-serif,14" background "{paper}"
set encoding utf8
set output "{output}"
set border 3 lc rgb "{ink}"
set tics nomirror out scale 0.6 tc rgb "{ink}"
set grid lc rgb "{grid}" lt 1 lw 1
set title "{title}" tc rgb "{ink}" offset 0,-0.3
set xlabel "{x}" tc rgb "{ink}"
set ylabel "{y}" tc rgb "{ink}"
unset key
"""


class Picture:
    """One gnuplot script: curves with inline data, each with its name where it ends."""

    def __init__(self, path, title, x, y, width=760, height=430):
        self.path = pathlib.Path(path)
        self.lines = [HEAD.format(width=width, height=height, paper=PAPER, ink=INK, grid=GRID, output=path, title=title,
                                  x=x, y=y)]
        self.data, self.curves = [], []

    def add(self, *lines):
        self.lines += lines

    def label(self, text, x, y, colour, where="left", offset="0.7,0", axes="first"):
        self.add(f'set label "{text}" at {axes} {x},{y} {where} offset {offset} tc rgb "{colour}"')

    def curve(self, points, colour, style="lines lw 2.5", axes="x1y1"):
        name = f"$data{len(self.data)}"
        self.data.append(f"{name} << EOD\n" + "".join(f"{x:.6g} {y:.6g}\n" for x, y in points) + "EOD")
        self.curves.append(f'{name} using 1:2 axes {axes} with {style} lc rgb "{colour}"')

    def draw(self):
        script = "\n".join(self.lines + self.data + ["plot " + ", ".join(self.curves)]) + "\n"
        done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, timeout=60)
        if done.returncode != 0 or not self.path.exists():
            raise OSError(f"gnuplot: {done.stderr.strip()}")
        return self.path


def text_ms(ms):
    return f"{ms / 1000:.3g} s" if ms >= 1000 else f"{ms:.3g} ms"


def quantiles(samples):
    """(1 / (1 - q), ms): on a logarithmic axis each further nine takes the same room. No further than ten samples reach."""
    samples = sorted(samples)
    last = max(1.0, math.log10(len(samples) / 10))
    points = []
    for number in range(POINTS + 1):
        tail = 10 ** (last * number / POINTS)
        rank = min(len(samples), max(1, math.ceil(len(samples) * (1 - 1 / tail))))
        points.append((tail, samples[rank - 1]))
    return points


def spread(places, least):
    """Moves logarithmic heights apart, so that labels at them do not overlap."""
    moved = []
    for place in sorted(places):
        moved.append(max(place, moved[-1] + least) if moved else place)
    return moved


def latency(folder):
    """Latency by percentile, all deliveries in one picture."""
    curves = {}
    for path in sorted(folder.glob("latency-*.ms")):
        samples = [float(line) for line in path.read_text().split()]
        if len(samples) >= 100:
            curves[path.stem.removeprefix("latency-")] = quantiles(samples)
    if not curves:
        return None
    widest = max(points[-1][0] for points in curves.values())
    lowest = min(points[0][1] for points in curves.values())
    highest = max(points[-1][1] for points in curves.values())
    picture = Picture(folder / "latency.svg", "How long a login takes: four effects, whose receivers take 200 ms each",
                      "percentile of all logins at a fixed rate, from the time each was due", "latency, logarithmic")
    nines = {1: "0", 2: "50", 10: "90", 100: "99", 1000: "99.9", 10000: "99.99"}
    picture.add("set logscale xy", f"set xrange [1:{widest * 1.02}]", "set rmargin 17", "unset mxtics",
                "set xtics (" + ", ".join(f'"{name} %%" {tail}' for tail, name in nines.items() if tail <= widest * 1.02) + ")",
                f"set yrange [{lowest * 0.7}:{highest * 1.4}]",
                "set ytics (" + ", ".join(f'"{text_ms(ms)}" {ms}' for ms in
                                          (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000)) + ")")
    order = sorted(curves, key=lambda name: curves[name][-1][1])
    room = math.log10(highest * 1.4 / (lowest * 0.7)) / 18
    heights = spread([math.log10(curves[name][-1][1]) for name in order], room)
    for name, height in zip(order, heights):
        colour = COLOURS.get(name, INK)
        picture.curve(curves[name], colour)
        picture.label(CALLED.get(name, name), widest * 1.02, 10 ** height, colour)
    return picture.draw()


def read_rows(path):
    with open(path, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def connections(folder):
    """Requests a second over the number of connections."""
    path = folder / "growth-connections.csv"
    if not path.exists():
        return None
    curves = {}
    for row in read_rows(path):
        curves.setdefault(row["route"], []).append((int(row["connections"]), float(row["per_second"])))
    counts = sorted({count for points in curves.values() for count, _ in points})
    rates = [rate for points in curves.values() for _, rate in points]
    picture = Picture(folder / "connections.svg", "Throughput over connections, server and clients on one machine",
                      "connections that wait for each reply", "answers a second, logarithmic")
    picture.add("set logscale xy", f"set xrange [{counts[0] * 0.6}:{counts[-1] * 1.25}]", "set rmargin 14",
                f"set yrange [{min(rates) / 2}:{max(rates) * 2}]", "unset mxtics", "unset mytics",
                "set ytics (" + ", ".join(f'"{10 ** power:,}" {10 ** power}' for power in range(7)) + ")",
                "set xtics (" + ", ".join(f'"{count:,}" {count}' for count in counts) + ")")
    for route, points in curves.items():
        colour = COLOURS.get(route, INK)
        picture.curve(points, colour, "linespoints lw 2.5 pt 7 ps 0.6")
        picture.label("GET /me" if route == "/me" else f"POST {route}", *points[-1], colour, offset="1.2,0")
        for x, y in points:
            picture.label(f"{y:,.0f}", x, y, colour, "center", "0,0.9")
    return picture.draw()


def outage(folder):
    """What is owed, second by second."""
    if not (folder / "outage.csv").exists() or not (folder / "outage.json").exists():
        return None
    rows = [row for row in read_rows(folder / "outage.csv")]
    found = json.loads((folder / "outage.json").read_text())
    points = [(float(row["seconds"]), float(row["pending"])) for row in rows]
    unit, by = ("minutes", 60) if points[-1][0] > 180 else ("seconds", 1)
    points = [(x / by, y) for x, y in points]
    down, back, top = found["down_s"] / by, found["back_s"] / by, found["highest"]
    picture = Picture(folder / "outage.svg",
                      f"One destination is gone: {found['taken']:,} events, {found['lost']} lost", unit,
                      "effects owed to it", height=360)
    picture.add(f"set xrange [0:{points[-1][0]}]", f"set yrange [0:{top * 1.18}]", 'set format y "%.0f"', "set rmargin 4",
                f'set object rectangle from {down},graph 0 to {back},graph 1 fc rgb "#f3e3da" fs solid noborder behind')
    picture.label("it is gone", (down + back) / 2, top * 1.1, "#a0522d", "center", "0,0")
    picture.label(f"drained {found['drained_s']:.1f} s after its return", back, top * 0.12, COLOURS["durable"], "right",
                  "-1,0")
    picture.label(f"{top:,.0f}", back, top, COLOURS["durable"], "right", "-0.7,0.4")
    picture.curve(points, COLOURS["durable"])
    return picture.draw()


PICTURES = (latency, connections, outage)


def draw_all(folder):
    """The pictures that were drawn. OSError: gnuplot is missing or failed."""
    return [path for path in (picture(pathlib.Path(folder)) for picture in PICTURES) if path]


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        drawn = draw_all(sys.argv[1])
    except OSError as failure:
        print(f"plots: {failure}", file=sys.stderr)
        return 1
    for path in drawn:
        print(path)
    return 0 if drawn else 1


if __name__ == "__main__":
    sys.exit(main())
