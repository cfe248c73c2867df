# SPDX-License-Identifier: BSD-3-Clause
"""Tables, JSON and pictures."""
import json
import math
import os
import statistics
import subprocess

from conditions import load_title


def quantile(values, q):
    """The smallest value that at least q of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "q1": quantile(values, 0.25), "q3": quantile(values, 0.75),
            "n": len(values)}


def geomean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values))


def ratios(samples, subject, peer, key="iops"):
    """Per round, subject / peer. samples: {server: [one dict a round]}"""
    return spread([a[key] / b[key] for a, b in zip(samples[subject], samples[peer])])


class Report:
    def __init__(self, folder, busy_before):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.data = {}
        self.conditions = []  # of the run, in the title of each table
        self.busy_before = busy_before  # processors, by others, before the run
        self.busy = 0.0       # the same around the present part, at most
        self.text = open(os.path.join(folder, "results.txt"), "w", encoding="utf-8")

    def say(self, line=""):
        print(line, flush=True)
        self.text.write(line + "\n")

    def heading(self, title, note=""):
        conditions = [*self.conditions, load_title(self.busy_before, self.busy)]
        self.say(f"\n## {title} ({'; '.join(c for c in conditions if c)})\n")
        if note:
            self.say(note + "\n")

    def table(self, header, rows):
        rows = [[str(c) for c in r] for r in rows]
        widths = [max(len(r[i]) for r in rows + [header]) for i in range(len(header))]
        for r in [header, ["-" * w for w in widths]] + rows:
            self.say("| " + " | ".join(c.ljust(w) for c, w in zip(r, widths)) + " |")

    def save(self):
        with open(os.path.join(self.folder, "results.json"), "w", encoding="utf-8") as f:
            json.dump(self.data, f, indent=1)

    def plot(self, name, commands, curves):
        """curves: {title: [(x, y), ...]}; `commands` are gnuplot's, before plot."""
        lines = ["set terminal svg size 1000,600 background 'white'",
                 f"set output '{os.path.join(self.folder, name)}.svg'", "set grid",
                 "set key outside right"] + commands
        for i, points in enumerate(curves.values()):
            lines += [f"$c{i} << EOD", *(f'"{x}" {y}' if isinstance(x, str) else f"{x} {y}"
                                         for x, y in points), "EOD"]
        lines.append("plot " + ", ".join(
            self._curve(i, title, points)
            for i, (title, points) in enumerate(curves.items())))
        subprocess.run(["gnuplot"], input="\n".join(lines), text=True, check=True)

    @staticmethod
    def _curve(i, title, points):
        x = "2:xtic(1)" if isinstance(points[0][0], str) else "1:2"
        return f"$c{i} using {x} with linespoints title '{title}' noenhanced"


def percent(s):
    """A ratio's spread in a cell: median [quartiles]."""
    return f"{s['median']:.2f} [{s['q1']:.2f}-{s['q3']:.2f}]"
