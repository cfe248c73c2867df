# SPDX-License-Identifier: BSD-3-Clause
"""What disks and clients cost in one service, and how fast many disks change hands."""
import contextlib
import os
import signal
import subprocess
import time

import servers
from load import Row, background, parse
from place import Failure
from report import quantile, spread

GROUP = 50  # disks of one VM
AT_ONCE = 16  # handoffs


def disks(ctx, nr):
    """Values of --disk: in groups, each with a sparse file of its own."""
    folder = ctx.place.path("disks")
    os.mkdir(folder)
    values = []
    for i in range(nr):
        file = f"{folder}/{i}.img"
        with open(file, "wb") as f:
            f.truncate(16 << 20)
        values.append(f"name=d{i},device={file},vm=v{i // GROUP}")
    return values


def cost_of_disks(ctx, values):
    points = []
    for nr in (len(values) // 100, len(values) // 4, len(values) // 2, len(values)):
        s = servers.Baton(ctx.place, "many", values[:nr])
        points.append((nr, servers.resources(s.pids)))
        s.stop()
    return points


@contextlib.contextmanager
def clients(ctx, server, names, options):
    """One fio client a name, all in one process; afterwards seen is what they saw."""
    job, output, seen = ctx.place.path("fio"), ctx.place.path("json"), {}
    with open(job, "w", encoding="utf-8") as f:
        f.write("[global]\nioengine=nbd\nthread\ntime_based\nruntime=3600\nbs=4k\n"
                f"group_reporting\n{options}\n")
        for i, n in enumerate(names):
            f.write(f"[c{i}]\nuri={server.uri_of(n)}\n")
    p = subprocess.Popen(ctx.place.as_client(
        ["fio", job, f"--output={output}", "--output-format=json"]),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)
        yield seen
    finally:
        p.send_signal(signal.SIGINT)
        p.wait(60)
    seen.update(parse(output))


def cost_of_clients(ctx, server, names):
    """Each client does a little, so that every one of its threads has lived."""
    points = []
    for nr in (1, 25, 50, 100):
        with clients(ctx, server, names[:nr], "rw=randrw\nrate_iops=20") as seen:
            points.append((nr, servers.resources(server.pids)))
        if seen["errors"]:
            raise Failure(f"errors with {nr} clients")
    return points


def status_times(server, nr):
    took = []
    for _ in range(nr):
        began = time.monotonic()
        server.status()
        took.append(1000 * (time.monotonic() - began))
    return took


def hand_all_over(a, b):
    """Seconds, and the reports of the handoffs."""
    began = time.monotonic()
    report = a.handoff("all", b, "--parallel", str(AT_ONCE))
    if report["outcome"] != "done":
        raise Failure(f"not all were handed over: {report['stayed']}")
    return time.monotonic() - began, report["handoffs"]


def move_all(ctx, values):
    names = [f"d{i}" for i in range(len(values))]
    loaded = names[::max(1, len(names) // 50)][:len(names) // 20]
    a, b = servers.baton_pair(ctx.place, None, values)
    try:
        with clients(ctx, a, loaded, "rw=randrw") as seen:
            status = status_times(a, 10)
            seconds, reports = hand_all_over(a, b)
            after = {"giver": servers.resources(a.pids),
                     "taker": servers.resources(b.pids)}
        if seen["errors"]:
            raise Failure("a client saw an error")
        stalls = [r["stall_us"] for r in reports]
        return {"disks": len(values), "under_load": len(loaded), "seconds": seconds,
                "group_stall_p50_us": quantile(stalls, 0.5),
                "group_stall_max_us": max(stalls), "client_max_us": seen["max_us"],
                "status_ms": spread(status), "after": after}
    finally:
        a.stop()
        b.stop()


def curve(ctx, what, points):
    ctx.report.data["scale"][what] = points
    ctx.report.heading(f"scale: one service, number of {what}")
    first, last = points[0], points[-1]
    each = ((last[1]["rss_kib"] - first[1]["rss_kib"]) / (last[0] - first[0]))
    ctx.report.table([what, "resident KiB", "threads", "descriptors"],
                     [[n, r["rss_kib"], r["threads"], r["fds"]] for n, r in points])
    ctx.report.say(f"\nresident KiB for each of the {what}: {each:.0f}")
    ctx.report.plot(f"scale-{what}", [f"set xlabel '{what}'", "set logscale y"],
                    {k: [(n, r[k]) for n, r in points]
                     for k in ("rss_kib", "threads", "fds")})


def scale(ctx):
    values = disks(ctx, 100 if ctx.quick else 1000)
    ctx.report.data["scale"] = {}
    curve(ctx, "disks", cost_of_disks(ctx, values))
    s = servers.Baton(ctx.place, "many", values)
    try:
        curve(ctx, "clients",
              cost_of_clients(ctx, s, [f"d{i}" for i in range(len(values))]))
    finally:
        s.stop()
    moved = move_all(ctx, values)
    ctx.report.data["scale"]["move"] = moved
    ctx.report.heading("scale: all disks to another service",
                       f"in groups of {GROUP}, {AT_ONCE} groups at a time; goal: 1000 "
                       "disks within 10 s")
    ctx.report.table(["disks", "under load", "seconds", "stall of a group p50, us",
                      "max, us", "longest request, us", "status, ms"],
                     [[moved["disks"], moved["under_load"], f"{moved['seconds']:.2f}",
                       moved["group_stall_p50_us"], moved["group_stall_max_us"],
                       round(moved["client_max_us"]),
                       f"{moved['status_ms']['median']:.0f}"]])
    ctx.report.table(["after it", "resident KiB", "threads", "descriptors"],
                     [[k, *r.values()] for k, r in moved["after"].items()])


def memory(ctx):
    """Each server with one disk: after its start, and with 4 clients at depth 32."""
    kinds = {"baton": servers.baton, "nbdkit file": servers.nbdkit_file,
             "qsd io_uring": servers.qsd("io_uring"), "qemu-nbd": servers.qemu_nbd,
             "nbd-server": servers.nbd_server}
    file, lines, data = ctx.place.file(ctx.size, True), [], {}
    for name, start in kinds.items():
        s = start(ctx.place, file)
        try:
            idle = servers.resources(s.pids)
            with background(ctx.place, Row("mixed", "128k", 32, 4), s.uri):
                loaded = servers.resources(s.pids)
        finally:
            s.stop()
        data[name] = {"idle": idle, "loaded": loaded}
        lines.append([name, *idle.values(), *loaded.values()])
    ctx.report.data["memory"] = data
    ctx.report.heading("memory: one disk, idle, and with 4 connections of 128k at "
                       "depth 32")
    ctx.report.table(["server", "resident KiB", "threads", "descriptors", "loaded KiB",
                      "threads", "descriptors"], lines)
