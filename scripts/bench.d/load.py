# SPDX-License-Identifier: BSD-3-Clause
"""Load by fio, and what it saw."""
import contextlib
import json
import os
import signal
import subprocess
import time

from place import Failure, run

SHAPES = {"randread": ["--rw=randread"], "randwrite": ["--rw=randwrite"],
          "mixed": ["--rw=randrw", "--rwmixread=70"], "seqread": ["--rw=read"],
          "seqwrite": ["--rw=write"]}
PERCENTILES = (50, 90, 99, 99.9, 99.99)


class Row:
    """One kind of load: shape, block size, queue depth, connections."""

    def __init__(self, shape, block, depth, connections):
        self.shape, self.block = shape, block
        self.depth, self.connections = depth, connections

    def __str__(self):
        return f"{self.shape} {self.block} qd{self.depth} x{self.connections}"

    def argv(self, output):
        return ["fio", "--name=load", f"--bs={self.block}", f"--iodepth={self.depth}",
                f"--numjobs={self.connections}", "--group_reporting", "--norandommap",
                "--randrepeat=0", f"--output={output}", "--output-format=json",
                "--percentile_list=" + ":".join(map(str, PERCENTILES)),
                *SHAPES[self.shape]]


def parse(path):
    """fio prints notes before its JSON."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    start = text.find("{\n")
    if start < 0:
        raise Failure("fio said: " + text[:500])
    jobs = json.loads(text[start:])["jobs"]
    total = {"iops": 0.0, "errors": sum(j["error"] != 0 for j in jobs), "max_us": 0.0}
    for way in [j[w] for j in jobs for w in ("read", "write")]:
        if way["total_ios"] == 0:
            continue
        total["iops"] += way["iops"]
        total["max_us"] = max(total["max_us"], way["clat_ns"]["max"] / 1000)
        for k, v in way["clat_ns"].get("percentile", {}).items():
            name = f"p{float(k):g}_us"
            total[name] = max(total.get(name, 0), v / 1000)
    if total["iops"] == 0:
        raise Failure("fio did nothing: " + text[:500])
    return total


def fio_argv(place, row, target, output):
    if target.startswith("nbd"):
        engine = ["--ioengine=nbd", f"--uri={target}"]
    else:
        engine = ["--ioengine=io_uring", f"--filename={target}"]
    return place.as_client(row.argv(output) + engine)


def measure(place, row, target, milliseconds):
    """target is an NBD URI or a file."""
    output = place.path("json")
    run(fio_argv(place, row, target, output) +
        ["--time_based", f"--runtime={milliseconds}ms", "--ramp_time=100ms"])
    return parse(output)


def await_load(pid):
    """Until the jobs of fio, its children, have run for a while: when it is told to stop
    before, it has nothing to report."""
    end = time.monotonic() + 10
    ticks = 0
    while ticks < os.sysconf("SC_CLK_TCK") // 10 and time.monotonic() < end:
        time.sleep(0.1)
        ticks = 0
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            for child in f.read().split():
                with contextlib.suppress(OSError):  # it has ended
                    with open(f"/proc/{child}/stat", encoding="utf-8") as stat:
                        fields = stat.read().rpartition(")")[2].split()
                        ticks += int(fields[11]) + int(fields[12])


@contextlib.contextmanager
def background(place, row, uri, *options):
    """Load as long as the block runs; afterwards yields[0] is what fio saw."""
    output, seen = place.path("json"), {}
    argv = fio_argv(place, row, uri, output)
    p = subprocess.Popen(argv + ["--time_based", "--runtime=3600", *options],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        await_load(p.pid)
        yield seen
    finally:
        os.killpg(p.pid, signal.SIGINT)
        try:
            p.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
    seen.update(parse(output))
