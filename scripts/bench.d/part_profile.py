# SPDX-License-Identifier: BSD-3-Clause
"""Where the time of a request goes: processor time, switches and system calls of each
process on its way, and the functions that take most of it."""
import os
import re
import subprocess
import time

import servers
from load import Row, background
from place import Failure

ROWS = [Row("randread", "4k", 1, 1), Row("randread", "4k", 32, 1),
        Row("randwrite", "4k", 32, 1)]
SHOWN = 12
TICKS = os.sysconf("SC_CLK_TCK")


def counters(pid):
    """Seconds of user and system time, and context switches, of all threads."""
    switches = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8") as f:
            switches += sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)",
                                                       f.read()))
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS, switches


def costs(ctx, server, pids, row):
    """Per request: microseconds of user and system time, and switches, by process."""
    seconds = 1 if ctx.quick else 4
    with background(ctx.place, row, server.uri) as seen:
        before, began = {n: counters(p) for n, p in pids.items()}, time.monotonic()
        time.sleep(seconds)
        after, ended = {n: counters(p) for n, p in pids.items()}, time.monotonic()
    nr = seen["iops"] * (ended - began)
    return seen["iops"], {
        n: {"user_us": (after[n][0] - before[n][0]) * 1e6 / nr,
            "system_us": (after[n][1] - before[n][1]) * 1e6 / nr,
            "switches": (after[n][2] - before[n][2]) / nr} for n in pids}


def calls(ctx, server, pid, row):
    """System calls a request; counting slows everything down, which changes how often
    somebody has to wait, but not by which calls a request goes."""
    log = ctx.place.path("strace")
    with background(ctx.place, row, server.uri):
        began = time.monotonic()
        subprocess.run(["timeout", "-s", "INT", "1", "strace", "-c", "-f", "-U",
                        "calls,name", "-o", log, "-p", str(pid)], check=False,
                       stderr=subprocess.DEVNULL)
        took = time.monotonic() - began
    if took < 0.5:
        raise Failure("strace cannot attach to the server")
    with open(log, encoding="utf-8") as f:
        found = re.findall(r"^\s*(\d+)\s+(\w+)$", f.read(), re.M)
    counts = {name: int(n) for n, name in found if name != "total"}
    transfers = sum(counts.get(n, 0) for n in ("sendmsg", "sendto", "write", "writev"))
    return {n: c for n, c in counts.items() if c > 0.02 * max(1, transfers)}


def functions(ctx, server, row):
    """The share of all samples of the processor that the servers have."""
    data, cpus = ctx.place.path("perf"), ctx.place.server_cpus
    with background(ctx.place, row, server.uri):
        subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "2000", "-a",
                        *(["-C", cpus] if cpus else []), "-o", data, "--", "sleep",
                        "1" if ctx.quick else "3"], check=True,
                       stderr=subprocess.DEVNULL)
    out = subprocess.run(["perf", "report", "-i", data, "--no-children", "--stdio",
                          "-g", "none", "--sort", "comm,dso,sym"], check=True,
                         capture_output=True, text=True).stdout
    rows = re.findall(r"^\s*([\d.]+)%\s+(\S+)\s+(\S+)\s+\[(.)\]\s+(\S.*?)\s*$", out,
                      re.M)
    return [[f"{float(share):.1f}", comm, dso, name]
            for share, comm, dso, _, name in rows[:SHOWN]]


def ways(place, file):
    """Those whose processes can be told apart."""
    yield "nbdkit file", servers.nbdkit_file(place, file)
    yield "baton", servers.baton(place, file)
    yield "nbdkit nbd", servers.nbdkit_nbd(place, file)
    yield "baton remote", servers.baton_remote(place, file)


def profile(ctx):
    file, data, lines = ctx.place.file(ctx.size, True), {}, []
    tops = {}
    for name, server in ways(ctx.place, file):
        pids = {"server": server.pids[0]}
        if server.below:
            pids = {"front": server.pids[0], "owner": server.below[0].pids[0]}
        try:
            for row in ROWS[1:] if ctx.quick else ROWS:
                iops, cost = costs(ctx, server, pids, row)
                for which, c in cost.items():
                    counted = calls(ctx, server, pids[which], row)
                    data.setdefault(str(row), {}).setdefault(name, {})[which] = {
                        **c, "calls": counted, "iops": iops}
                    lines.append([str(row), name, which, f"{1e6 / iops:.1f}",
                                  f"{c['user_us']:.1f}", f"{c['system_us']:.1f}",
                                  f"{c['switches']:.2f}",
                                  " ".join(f"{n}:{k}" for n, k in sorted(
                                      counted.items(), key=lambda x: -x[1]))])
            tops[name] = functions(ctx, server, ROWS[1])
        finally:
            server.stop()
    ctx.report.data["profile"] = {"requests": data, "functions": tops}
    ctx.report.heading("profile: what a request costs, in memory",
                       "microseconds between two answers; processor time and context "
                       "switches of the process for one request; system calls while "
                       "strace counted for a second")
    ctx.report.table(["row", "way", "process", "us a request", "user us", "system us",
                      "switches", "system calls in a second of strace"],
                     sorted(lines, key=lambda x: x[0]))
    for name, top in tops.items():
        ctx.report.heading(f"profile: {name}, {ROWS[1]}",
                           "share of the samples of the servers' CPU, per cent")
        ctx.report.table(["%", "program", "object", "function"], top)
