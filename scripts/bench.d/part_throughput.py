# SPDX-License-Identifier: BSD-3-Clause
"""local and remote: the same rows against each server in turn."""
import random
import statistics

import servers
from conditions import others_busy
from load import Row, measure
from place import Failure, run
from report import geomean, percent, ratios

MIB = 1 << 20


def all_rows():
    return [Row(s, b, d, c) for c in (1, 4) for b in ("4k", "128k") for d in (1, 8, 32)
            for s in ("randread", "randwrite", "mixed", "seqread", "seqwrite")]


def few_rows():
    return [Row("randread", "4k", 1, 1), Row("randread", "4k", 32, 1),
            Row("randwrite", "4k", 32, 4), Row("seqread", "128k", 8, 1)]


def twelve_rows():
    """What a user compares first."""
    return [Row(s, b, d, c)
            for s in ("randread", "randwrite")
            for b, d, c in (("4k", 1, 1), ("4k", 8, 1), ("4k", 32, 1), ("4k", 32, 4),
                            ("128k", 1, 1), ("128k", 8, 1))]


def round_of(place, rows, kinds, files, milliseconds, samples):
    """Every server is started anew on the next file, so that neither a file's place
    in memory nor a server's history favours anybody in every round."""
    names = list(kinds)
    random.shuffle(names)
    started = {}
    try:
        for name, file in zip(names, files):
            started[name] = kinds[name](place, file)
        for row in random.sample(rows, len(rows)):
            for name in random.sample(names, len(names)):
                got = measure(place, row, started[name].uri, milliseconds)
                if got["errors"]:
                    raise Failure(f"{name}: errors in {row}")
                samples.setdefault(str(row), {}).setdefault(name, []).append(got)
    finally:
        for s in started.values():
            s.stop()


def rounds(ctx, kinds, files, rows):
    """Samples of all rounds; between two of them nothing of ours is running, which is
    when others show."""
    samples = {}
    for i in range(ctx.rounds):
        turned = files[i % len(files):] + files[:i % len(files)]
        round_of(ctx.place, rows, kinds, turned, ctx.milliseconds, samples)
        ctx.report.busy = max(ctx.report.busy, others_busy(0.2))
    return samples


def pairs(ctx, title, kinds, rows):
    """subject against one peer, with what each of them did: for a table that is to be
    quoted."""
    subject, peer = kinds
    files = [ctx.place.file(ctx.size, in_memory=True) for _ in kinds]
    samples = rounds(ctx, kinds, files, rows)
    table = {row: ratios(by, subject, peer) for row, by in samples.items()}
    ctx.report.data[title] = {"samples": samples, "ratios": {"iops": table}}
    ctx.report.heading(title, f"{subject} / {peer}: the ratio of each of {ctx.rounds} "
                       f"rounds of {ctx.milliseconds} ms, and operations a second "
                       "(medians)")
    lines = []
    for row in map(str, rows):
        t = table[row]
        did = [statistics.median(s["iops"] for s in samples[row][k]) for k in kinds]
        lines.append([row, f"{t['median']:.2f}", f"{t['min']:.2f}-{t['max']:.2f}",
                      *(f"{d:.0f}" for d in did)])
    medians = [t["median"] for t in table.values()]
    lines.append(["geometric mean", f"{geomean(medians):.2f}",
                  f"lowest {min(medians):.2f}", "", ""])
    ctx.report.table(["row", "median", "min-max", *kinds], lines)


def rows(ctx):
    pairs(ctx, "local, in memory", {"baton": servers.baton,
                                    "nbdkit file": servers.nbdkit_file}, twelve_rows())


def rows_remote(ctx):
    pairs(ctx, "remote, in memory", {"baton": servers.baton_remote,
                                     "nbdkit nbd": servers.nbdkit_nbd}, twelve_rows())


def compare(ctx, title, kinds, subject, in_memory, rows):
    """Runs all rounds; prints throughput and tails of subject against each peer."""
    files = [ctx.place.file(ctx.size, in_memory) for _ in kinds]
    samples = rounds(ctx, kinds, files, rows)
    peers = [k for k in kinds if k != subject]
    ctx.report.data[title] = {"samples": samples, "ratios": {}}
    for key, what in (("iops", "throughput (more is better)"),
                      ("p50_us", "median latency (less is better)"),
                      ("p99_us", "p99 latency (less is better)"),
                      ("p99.99_us", "p99.99 latency (less is better)"),
                      ("max_us", "maximum latency (less is better)")):
        table = {row: {p: ratios(by, subject, p, key) for p in peers}
                 for row, by in samples.items()}
        ctx.report.data[title]["ratios"][key] = table
        ctx.report.heading(f"{title}: {what}",
                           f"{subject} / peer: median [quartiles] of {ctx.rounds} "
                           "rounds")
        lines = [[str(r)] + [percent(table[str(r)][p]) for p in peers] for r in rows]
        lines.append(["geometric mean"] + [
            f"{geomean([t[p]['median'] for t in table.values()]):.2f}" for p in peers])
        ctx.report.table(["row"] + peers, lines)
    ctx.report.plot(
        title.replace(" ", "-").replace(",", ""),
        [f"set title '{title}: throughput of {subject} / peer'", "set xtics rotate",
         "set yrange [0:*]"],
        {p: [(str(r), ctx.report.data[title]["ratios"]["iops"][str(r)][p]["median"])
             for r in rows] for p in peers})
    return samples, files[0]


def floor(ctx, samples, file, subject, rows):
    """How far from what cannot be undercut: the file itself, and an echo."""
    ctx.report.heading("local: the floor",
                       "operations a second; the file is read and written by fio "
                       "itself (io_uring), the echo exchanges messages of the same "
                       "size over a unix socket")
    lines, cpus = [], [-1 if c is None else int(c.split(",")[0].split("-")[0])
                       for c in (ctx.place.server_cpus, ctx.place.client_cpus)]
    for row in [r for r in rows if r.connections == 1 and r.shape.startswith("rand")]:
        size = 4096 if row.block == "4k" else 128 * 1024
        data = (0, size) if row.shape == "randread" else (size, 0)
        echo = float(run([ctx.place.echo, str(28 + data[0]), str(16 + data[1]),
                          str(row.depth), str(ctx.milliseconds), str(cpus[0]),
                          str(cpus[1])]))
        direct = measure(ctx.place, row, file, ctx.milliseconds)["iops"]
        ours = statistics.median(s["iops"] for s in samples[str(row)][subject])
        ctx.report.data.setdefault("floor", {})[str(row)] = {
            "file": direct, "echo": echo, subject: ours}
        lines.append([str(row), f"{direct:.0f}", f"{echo:.0f}", f"{ours:.0f}",
                      f"{ours / echo:.2f}"])
    ctx.report.table(["row", "file", "echo", subject, f"{subject} / echo"], lines)


def local(ctx):
    rows = few_rows() if ctx.quick else all_rows()
    kinds = {"baton": servers.baton, "nbdkit file": servers.nbdkit_file,
             "qsd threads": servers.qsd("threads"),
             "qsd io_uring": servers.qsd("io_uring")}
    others = {"nbdkit pause": servers.nbdkit_pause, "qemu-nbd": servers.qemu_nbd,
              "nbd-server": servers.nbd_server}
    samples, file = compare(ctx, "local, in memory", kinds | others, "baton", True, rows)
    floor(ctx, samples, file, "baton", rows)
    on_disk = few_rows()[:2] if ctx.quick else [r for r in rows if r.connections == 1]
    compare(ctx, "local, on a disk", kinds, "baton", False, on_disk)


def remote(ctx):
    """QEMU's client asks for block status, which is slow in memory (tmpfs): it is
    compared on a disk file."""
    rows = few_rows() if ctx.quick else all_rows()
    kinds = {"baton": servers.baton_remote, "nbdkit nbd": servers.nbdkit_nbd}
    compare(ctx, "remote, in memory", kinds, "baton", True, rows)
    compare(ctx, "remote, on a disk", kinds | {"qsd over nbd": servers.qsd_nbd},
            "baton", False, [r for r in rows if r.connections == 1])
