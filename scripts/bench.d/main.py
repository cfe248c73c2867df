# SPDX-License-Identifier: BSD-3-Clause
"""What scripts/bench runs; see there for the usage."""
import argparse
import os
import platform
import shlex
import signal
import subprocess
import sys
import time

import part_profile
import part_scale
import part_stall
import part_throughput
from conditions import BEFORE, load_refused, others_busy, tree_here, tree_refused
from place import Failure, Place
from report import Report

PARTS = {"local": part_throughput.local, "remote": part_throughput.remote,
         "stall": part_stall.stall, "scale": part_scale.scale,
         "rows": part_throughput.rows, "rows-remote": part_throughput.rows_remote,
         "memory": part_scale.memory, "profile": part_profile.profile}


# The others are in these.
WHEN_NONE_IS_NAMED = [p for p in PARTS if not p.startswith("rows")]


class Context:
    """What a part needs to know."""

    def __init__(self, options, place, report):
        self.place, self.report, self.quick = place, report, options.quick
        self.rounds = options.rounds or (2 if options.quick else 5)
        self.milliseconds = options.milliseconds or (250 if options.quick else 1500)
        self.seconds = options.seconds or (5 if options.quick else 1800)
        self.size = (64 if options.quick else 512) << 20


def arguments():
    p = argparse.ArgumentParser(prog="scripts/bench")
    p.add_argument("part", nargs="*", metavar="PART", help=" ".join(PARTS))
    p.add_argument("--quick", action="store_true")
    p.add_argument("--rounds", type=int)
    p.add_argument("--milliseconds", type=int)
    p.add_argument("--seconds", type=int)
    p.add_argument("--results")
    p.add_argument("--allow-dirty", action="store_true")
    p.add_argument("--allow-load", action="store_true")
    p.add_argument("--cpus")
    p.add_argument("--disk-dir", default=os.environ.get("TMPDIR", "/tmp"))
    options = p.parse_args()
    for part in options.part:
        if part not in PARTS:
            p.error(f"there is no part {part}; there are {' '.join(PARTS)}")
    return options


def version(argv):
    out = subprocess.run(argv, capture_output=True, text=True, check=False)
    return ((out.stdout + out.stderr).splitlines() or ["?"])[0]


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


class Refused(Exception):
    """Results are not kept of this tree or on this machine; the text says why."""


def look_around(options):
    """The tree, and how many processors others keep busy."""
    kept = options.results is not None
    tree = tree_here()
    why = tree_refused(tree)
    if kept and why and not options.allow_dirty:
        raise Refused(why)
    busy = others_busy(BEFORE)
    why = load_refused(busy)
    if kept and why and not options.allow_load:
        raise Refused(why)
    return tree, busy


def build(place):
    """What users have, and the echo of the floor."""
    steps = [["cmake", "--build", "--preset", "release"],
             ["gcc", "-O2", "-Wall", "-Wextra", "-o", place.echo,
              "scripts/bench.d/echo_floor.c"]]
    if not os.path.exists("build/release/build.ninja"):
        steps.insert(0, ["cmake", "--preset", "release"])
    for argv in steps:
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def preface(report, place, tree):
    facts = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "command": "scripts/bench " + shlex.join(sys.argv[1:]),
        "machine": f"{os.cpu_count()} CPUs, {cpu_model()}, Linux {platform.release()}",
        "affinity": place.affinity(),
        "load before": " ".join(f"{x:.2f}" for x in os.getloadavg()),
        "processors busy before": f"{report.busy_before:.2f}",
        "commit": tree.commit,
        "tree": str(tree),
        "nbdkit": version(["nbdkit", "--version"]),
        "qemu": version(["qemu-storage-daemon", "--version"]),
        "nbd-server": version(["dpkg-query", "-W", "-f", "${Version}", "nbd-server"]),
        "libnbd": version(["dpkg-query", "-W", "-f", "${Version}", "libnbd0"]),
        "fio": version(["fio", "--version"])}
    report.data["run"] = facts
    for k, v in facts.items():
        report.say(f"{k}: {v}")
    report.conditions = [facts["affinity"], tree.title()]


def run_part(part, ctx):
    """A part that fails is a result too; the others go on."""
    began = time.monotonic()
    failure = None
    ctx.report.busy = others_busy(0.5)
    try:
        PARTS[part](ctx)
    except (Failure, subprocess.SubprocessError) as e:
        failure = str(e)
        ctx.report.say(f"\nFAILED: {failure}")
        ctx.report.data.setdefault("failures", {})[part] = failure
        ctx.place.stop_all()
    ctx.report.say(f"\n({part}: {time.monotonic() - began:.0f} s)")
    return failure is None


def measure(options, tree, busy):
    place = Place(options.cpus, options.disk_dir)
    try:
        build(place)
        folder = options.results or time.strftime("build/bench/%Y-%m-%d-%H%M%S")
        report = Report(folder, busy)
        try:
            preface(report, place, tree)
            failed = [part for part in options.part or WHEN_NONE_IS_NAMED
                      if not run_part(part, Context(options, place, report))]
        finally:
            report.save()
    finally:
        place.close()
    report.say(f"\nresults: {folder}" + (f"; FAILED: {' '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def main():
    # However it is stopped, the servers end with it.
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, lambda *_: sys.exit(1))
    options = arguments()
    try:
        return measure(options, *look_around(options))
    except Refused as e:
        print(f"scripts/bench: {e}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as e:  # of the build
        print(f"scripts/bench: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
