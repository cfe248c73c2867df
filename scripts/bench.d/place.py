# SPDX-License-Identifier: BSD-3-Clause
"""Where a run takes place: folders, CPUs, processes. Everything started or made here
goes away with the run."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class Failure(Exception):
    """Something under test did not do what it should; the text says what."""


def half_of_cpus():
    cpus = sorted(os.sched_getaffinity(0))
    half = max(1, len(cpus) // 2)
    text = [",".join(map(str, c)) for c in (cpus[:half], cpus[half:] or cpus)]
    return text[0], text[1]


class Adopted:
    """A process that is not our child: it can be killed, and has no status."""

    def __init__(self, pid):
        self.pid = pid

    def wait(self):
        pass


class Place:
    def __init__(self, cpus, disk_dir):
        self.bin = os.path.abspath("build/release")
        if cpus is None:
            self.server_cpus = self.client_cpus = None
        elif cpus == "halves":
            self.server_cpus, self.client_cpus = half_of_cpus()
        else:
            self.server_cpus, _, self.client_cpus = cpus.partition(":")
        self.work = tempfile.mkdtemp(prefix="baton-bench.", dir=disk_dir)
        self.echo = os.path.join(self.work, "echo_floor")
        self.memory = tempfile.mkdtemp(prefix="baton-bench.", dir="/dev/shm")
        self.running = []
        self.nr = 0

    def close(self):
        self.stop_all()
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.rmtree(self.memory, ignore_errors=True)

    def stop_all(self):
        for p in list(self.running):
            self.stop(p)

    def affinity(self):
        if self.server_cpus is None:
            return "not pinned"
        return f"servers on CPU {self.server_cpus}, load on CPU {self.client_cpus}"

    def path(self, name):
        """A path that no other server of this run has."""
        self.nr += 1
        return os.path.join(self.work, f"{self.nr}.{name}")

    def file(self, size, in_memory=False, sparse=False):
        """A device: written once, so that no run pays for allocating it."""
        name = self.path("img")
        if in_memory:
            name = os.path.join(self.memory, os.path.basename(name))
        with open(name, "wb") as f:
            f.truncate(size)
            for _ in range(0 if sparse else size >> 20):
                f.write(os.urandom(4096) * 256)
        return name

    def as_server(self, argv):
        return self._pinned(self.server_cpus, argv)

    def as_client(self, argv):
        return self._pinned(self.client_cpus, argv)

    @staticmethod
    def _pinned(cpus, argv):
        return argv if cpus is None else ["taskset", "-c", cpus] + argv

    def start(self, argv, log=None):
        """A server in a process group of its own."""
        log = log or self.path("log")
        with open(log, "ab") as out:
            p = subprocess.Popen(self.as_server(argv), stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=out, start_new_session=True)
        p.log = log
        self.running.append(p)
        return p

    def adopt(self, pid_file, seconds=10):
        """A server that put itself into the background; it leads a session of its
        own."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError):
                with open(pid_file, encoding="utf-8") as f:
                    p = Adopted(int(f.read()))
                self.running.append(p)
                return p
            time.sleep(0.01)
        raise Failure(f"{pid_file} did not appear")

    def stop(self, p, sig=signal.SIGKILL):
        if p not in self.running:
            return
        self.running.remove(p)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(p.pid, sig)
        p.wait()

    def await_socket(self, p, path, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if p.poll() is not None:
                break
            with socket.socket(socket.AF_UNIX) as s:
                with contextlib.suppress(OSError):
                    s.connect(path)
                    return
            time.sleep(0.01)
        with open(p.log, encoding="utf-8", errors="replace") as f:
            raise Failure(f"{p.args} did not get ready\n{f.read()[-2000:]}")


def run(argv, timeout=120):
    try:
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as e:
        raise Failure(f"{' '.join(argv)} did not end within {timeout} s") from e
    if r.returncode != 0:
        raise Failure(f"{' '.join(argv)}: status {r.returncode}\n{r.stderr[-2000:]}")
    return r.stdout
