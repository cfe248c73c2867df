# SPDX-License-Identifier: BSD-3-Clause
"""What a handoff costs: as the service reports it, and as a client sees it, beside
what peers offer for the same purpose."""
import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import threading
import time

import hosts
import servers
from load import Row, background, measure
from place import Failure
from report import quantile, spread

PHASES = ("hold", "drain", "flush", "eject", "assign", "replay")
GIB = 1 << 30


def there_and_back(pair, nr, before=lambda: None, seconds=1800):
    """nr handoffs of disk d between two services, fewer when the time is over; their
    reports."""
    a, b = pair
    reports, end = [], time.monotonic() + seconds
    while len(reports) < nr and (time.monotonic() < end or not reports):
        before()
        r = a.handoff("d", b)
        if r["outcome"] != "done":
            raise Failure(f"handoff: {r}")
        reports.append(r)
        a, b = b, a
    pair[0], pair[1] = a, b
    return reports


def beyond_drain(r):
    return r["stall_us"] - r["phases"]["drain_us"]


def summary(reports):
    extra = [beyond_drain(r) for r in reports]
    stall = [r["stall_us"] for r in reports]
    over = [r["stall_us"] / max(1, r["predicted_us"]) for r in reports]
    return {"n": len(reports), "stall_p50_us": quantile(stall, 0.5),
            "stall_p99_us": quantile(stall, 0.99), "stall_max_us": max(stall),
            "extra_p50_us": quantile(extra, 0.5), "extra_p99_us": quantile(extra, 0.99),
            "extra_max_us": max(extra),
            "predicted_p50_us": quantile([r["predicted_us"] for r in reports], 0.5),
            "over_p50": quantile(over, 0.5), "over_p90": quantile(over, 0.9),
            "prepare_p50_us": quantile([r["phases"]["prepare_us"] for r in reports], 0.5),
            **{p: sum(r["phases"][p + "_us"] for r in reports) / max(1, sum(stall))
               for p in PHASES}}


HEADER = ["case", "n", "stall p50", "p99", "max", "beyond drain p50", "p99", "max",
          "predicted p50", "measured / predicted p50", "p90", "prepare p50", *(p + " %" for p in PHASES)]


def line(name, s):
    return [name, s["n"], *(s[k] for k in (
        "stall_p50_us", "stall_p99_us", "stall_max_us", "extra_p50_us", "extra_p99_us",
        "extra_max_us", "predicted_p50_us")), f"{s['over_p50']:.2f}",
        f"{s['over_p90']:.2f}", s["prepare_p50_us"],
        *(f"{100 * s[p]:.0f}" for p in PHASES)]


@contextlib.contextmanager
def pair_on(place, file, start=servers.baton_pair):
    pair = list(start(place, file))
    try:
        yield pair
    finally:
        for s in pair:
            s.stop()


def loads(ctx):
    rows = [Row("mixed", b, d, c) for b in ("4k", "128k")
            for d, c in ((1, 1), (32, 1), (32, 4))]
    return [rows[0], rows[2]] if ctx.quick else rows


def under_load(ctx, file):
    """The load's own disk stays at the first service; its owner changes."""
    nr, lines, raw = 6 if ctx.quick else 1000, [], {}
    for row in loads(ctx):
        with pair_on(ctx.place, file) as pair:
            with background(ctx.place, row, pair[0].uri) as seen:
                reports = there_and_back(pair, nr, seconds=ctx.seconds)
        s = summary(reports)
        s["client_max_us"] = seen["max_us"]
        if seen["errors"]:
            raise Failure(f"errors under {row}")
        raw[str(row)] = {"summary": s, "stall_us": [r["stall_us"] for r in reports],
                         "beyond_drain_us": [beyond_drain(r) for r in reports]}
        lines.append(line(str(row), s) + [round(seen["max_us"])])
    ctx.report.data["stall"] = {"load": raw}
    ctx.report.heading("stall: handoffs under load", "microseconds, from the reports; "
                       "goal beyond drain: p99 < 1000, max < 5000. The last column is "
                       "the longest request that the client saw")
    ctx.report.table(HEADER + ["client max"], lines)
    ctx.report.plot("stall", ["set title 'stall beyond drain: share of handoffs not "
                              "longer than'", "set logscale x",
                              "set xlabel 'microseconds'"],
                    {row: [(max(1, v), (i + 1) / len(r["beyond_drain_us"]))
                           for i, v in enumerate(sorted(r["beyond_drain_us"]))]
                     for row, r in raw.items()})


def by_size(ctx):
    nr, lines, raw = 4 if ctx.quick else 200, [], {}
    for name, size in (("1 GiB", GIB), ("1 TiB", 1024 * GIB)):
        file = ctx.place.file(size, sparse=True)
        with pair_on(ctx.place, file) as pair:
            with background(ctx.place, Row("mixed", "4k", 1, 1), pair[0].uri,
                            "--size=1g"):
                raw[name] = summary(there_and_back(pair, nr, seconds=ctx.seconds))
        lines.append(line(f"{name}, sparse", raw[name]))
        os.unlink(file)
    ctx.report.data["stall"]["size"] = raw
    ctx.report.heading("stall: size of the disk", "the same load on the first GiB")
    ctx.report.table(HEADER, lines)


def by_dirty_cache(ctx):
    """Before each handoff the page cache is filled with pages that are not on disk."""
    dirty = (128 << 20) if ctx.quick else 4 * GIB
    nr, raw = 2 if ctx.quick else 10, {}
    file = ctx.place.file(dirty, sparse=True)

    def write_all():
        subprocess.run(ctx.place.as_client(
            ["dd", "if=/dev/zero", f"of={file}", "bs=1M", f"count={dirty >> 20}",
             "conv=notrunc", "status=none"]), check=True)
    with pair_on(ctx.place, file) as pair:
        raw["dirty"] = summary(there_and_back(pair, nr, write_all))
        raw["clean"] = summary(there_and_back(pair, nr))
    ctx.report.data["stall"]["dirty"] = raw
    ctx.report.heading(f"stall: {dirty >> 20} MiB of dirty page cache",
                       "left to the next owner, which has the same page cache")
    ctx.report.table(HEADER, [line(k, s) for k, s in raw.items()])
    os.unlink(file)


def one_case(ctx, pair, row, nr, *options):
    """row None: nobody asks for anything."""
    if row is None:
        return summary(there_and_back(pair, nr, seconds=ctx.seconds))
    with background(ctx.place, row, pair[0].uri, *options) as seen:
        reports = there_and_back(pair, nr, seconds=ctx.seconds)
    if seen["errors"]:
        raise Failure(f"errors under {row}")
    return summary(reports)


def by_records(ctx, file):
    """Where the time of a handoff without much load goes: records on the disk, as a
    user has them, and in memory, where fsync costs nothing."""
    nr, lines, raw = 4 if ctx.quick else 300, [], {}
    for where, start in (("on disk", servers.baton_pair),
                         ("in memory", servers.baton_in_memory)):
        for row in (None, Row("mixed", "4k", 1, 1), Row("mixed", "4k", 32, 1)):
            with pair_on(ctx.place, file, start) as pair:
                s = one_case(ctx, pair, row, nr)
            shutil.rmtree(os.path.join(ctx.place.memory, "state-a"), True)
            shutil.rmtree(os.path.join(ctx.place.memory, "state-b"), True)
            name = f"records {where}, {row or 'idle'}"
            raw[name] = s
            lines.append(line(name, s))
    took = fsync_times(ctx.place, 50 if ctx.quick else 500)
    ctx.report.data["stall"]["records"] = {"cases": raw, "fsync_us": took}
    ctx.report.heading("stall: the one durable record in a stall",
                       "a file renamed and its folder fsynced by a loop that does "
                       f"nothing else: p50 {quantile(took, 0.5)}, p99 "
                       f"{quantile(took, 0.99)} us")
    ctx.report.table(HEADER, lines)


def fsync_times(place, nr):
    """What the commit asks of the disk, and nothing else, in microseconds."""
    folder, took = place.path("fsync"), []
    os.mkdir(folder)
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(nr):
        tmp = os.open(folder + "/tmp", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(tmp, bytes(2000))
        os.fsync(tmp)
        os.close(tmp)
        # Open, so that the rename does not wait until its space is freed.
        old = os.open(folder + "/record", os.O_WRONLY | os.O_CREAT, 0o600)
        began = time.monotonic_ns()
        os.rename(folder + "/tmp", folder + "/record")
        os.fsync(fd)
        took.append((time.monotonic_ns() - began) // 1000)
        os.close(old)
        time.sleep(0.002)
    os.close(fd)
    return took


def between_hosts(ctx, file):
    nr, lines, raw = 4 if ctx.quick else 500, [], {}
    with hosts.two(ctx.place) as ends:
        for row in (None, Row("mixed", "4k", 1, 1), Row("mixed", "4k", 32, 1)):
            with pair_on(ctx.place, file,
                         lambda p, f: hosts.pair(p, f, ends)) as pair:
                s = one_case(ctx, pair, row, nr)
            raw[str(row or "idle")] = s
            lines.append(line(str(row or "idle"), s))
    ctx.report.data["stall"]["hosts"] = raw
    ctx.report.heading("stall: two hosts (network namespaces, two boot ids) over TLS",
                       "flush included; goal for the stall: p99 < 10000")
    ctx.report.table(HEADER, lines)


## As a client sees it

def longest(ctx, uri, event, milliseconds):
    """The longest request of a client at depth 1 while event happens; None when one
    of its requests failed."""
    seen = []

    def client():
        with contextlib.suppress(Failure):
            seen.append(measure(ctx.place, Row("mixed", "4k", 1, 1), uri,
                                milliseconds)["max_us"])
    t = threading.Thread(target=client)
    t.start()
    time.sleep(0.4)
    try:
        event()  # on this thread: a server that it starts ends with the thread (nbdkit)
    finally:
        t.join()
    return seen[0] if seen else None


def baton_event(pair):
    def event():
        there_and_back(pair, 1)
    return event


def pause_event(server):
    def event():
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(server.pause)
            for order in (b"p", b"r"):
                s.sendall(order)
                s.recv(1)
    return event


def restart_event(server):
    def event():
        below = server.below[0]
        argv = below.processes[0].args
        argv = argv[argv.index("nbdkit"):]
        below.place.stop(below.processes.pop(), signal.SIGKILL)
        os.unlink(below.socket)
        below.spawn(argv)
    return event


def reopen_event(server):
    """Moves the node to the other way each time."""
    qmp, ways = servers.Qmp(server.qmp), ["far", "near"]

    def event():
        qmp.command("blockdev-reopen", options=[
            {"driver": "raw", "node-name": "top", "file": ways[0]}])
        ways.reverse()
    return event


def seen_by_client(ctx, file):
    place, nr = ctx.place, 2 if ctx.quick else 30
    a, b = servers.baton_pair(place, file)
    samples = {}

    def run_case(name, server, event, milliseconds, times):
        seen = [longest(ctx, server.uri, event, milliseconds) for _ in range(times)]
        samples[name] = {"us": [s for s in seen if s is not None],
                         "failed": seen.count(None)}
    try:
        run_case("no event", a, lambda: None, 1000, nr)
        run_case("baton handoff", a, baton_event([a, b]), 1000, nr)
    finally:
        a.stop()
        b.stop()
    for name, start, make, milliseconds, times in (
            ("nbdkit pause and resume", servers.nbdkit_pause, pause_event, 1000, nr),
            ("qsd blockdev-reopen", servers.qsd_two_ways, reopen_event, 1000, nr),
            ("qsd reconnect, server restarted",
             lambda p, f: servers.qsd_nbd(p, f, 60), restart_event, 4000,
             max(1, nr // 3))):
        server = start(place, file)
        try:
            run_case(name, server, make(server), milliseconds, times)
        finally:
            server.stop()
    if samples["baton handoff"]["failed"]:
        raise Failure("a client of Baton saw an error")
    show_clients(ctx, samples)


def show_clients(ctx, samples):
    ctx.report.data["stall"]["client"] = samples
    ctx.report.heading("stall: the longest request that a client at depth 1 saw",
                       "microseconds; \"failed\": runs in which a request got an error")
    base = statistics.median(samples["baton handoff"]["us"])
    lines = []
    for name, got in samples.items():
        cells = ["-"] * 4
        if got["us"]:
            s = spread(got["us"])
            cells = [round(s["median"]), f"{s['q1']:.0f}-{s['q3']:.0f}",
                     round(s["max"]), f"{s['median'] / base:.2f}"]
        lines.append([name, len(got["us"]) + got["failed"], got["failed"], *cells])
    ctx.report.table(["event", "runs", "failed", "median", "quartiles", "max",
                      "/ baton"], lines)


def stall(ctx):
    file = ctx.place.file(ctx.size)
    under_load(ctx, file)
    by_records(ctx, file)
    between_hosts(ctx, file)
    seen_by_client(ctx, file)
    by_size(ctx)
    by_dirty_cache(ctx)
