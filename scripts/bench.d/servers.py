# SPDX-License-Identifier: BSD-3-Clause
"""Baton and its peers, each started as its users would. A server has a uri, and pids
that are what it costs."""
import json
import os
import socket

from place import run


class Server:
    def __init__(self, place, name):
        self.place, self.name = place, name
        self.socket = place.path("sock")
        self.processes = []
        self.below = []  # servers that this one is a client of

    @property
    def uri(self):
        return f"nbd+unix:///d?socket={self.socket}"

    @property
    def pids(self):
        return [p.pid for p in self.processes]

    def spawn(self, argv, sock=None):
        p = self.place.start(argv)
        self.processes.append(p)
        self.place.await_socket(p, sock or self.socket)
        return self

    def stop(self):
        for p in self.processes:
            self.place.stop(p)
        self.processes = []
        for s in self.below:
            s.stop()


class Baton(Server):
    """disks: list of values of --disk; host: where it runs (hosts.py); state: its
    folder of records"""

    def __init__(self, place, name, disks, host=None, state=None):
        super().__init__(place, name)
        self.control = "unix:" + place.path("ctl")
        self.state = state or place.path("state")
        self.seen_from_afar = host.control if host else self.control
        argv = [f"{place.bin}/baton", "serve", "--name", name,
                "--listen", f"unix:{self.socket}", "--control", self.control,
                "--state-dir", self.state]
        for d in disks:
            argv += ["--disk", d]
        if host:
            argv = host.enter + argv + host.options(name)
        self.argv = argv
        self.spawn(argv, self.control[len("unix:"):])
        self.await_ready()

    def await_ready(self):
        """The control socket is there before the plugin is: ask until it answers."""
        self.status()
        self.place.await_socket(self.processes[0], self.socket)

    def uri_of(self, disk):
        return f"nbd+unix:///{disk}?socket={self.socket}"

    def status(self):
        return json.loads(run([f"{self.place.bin}/baton", "status", "--at",
                               self.control, "--json"]))

    def handoff(self, target, to, *options):
        return json.loads(run([f"{self.place.bin}/baton", "handoff", target, "--from",
                               self.control, "--to", to.seen_from_afar, "--json",
                               *options]))


def baton(place, file):
    return Baton(place, "bench", [f"name=d,device={file}"])


def baton_pair(place, file, disks=None):
    """Two services with the same device; a owns it."""
    disks = disks or [f"name=d,device={file}"]
    a = Baton(place, "a", disks)
    b = Baton(place, "b", [d + ",role=standby" for d in disks])
    return a, b


def baton_in_memory(place, file):
    """The records too: what is left is what Baton itself does."""
    return [Baton(place, n, [f"name=d,device={file}{role}"],
                  state=os.path.join(place.memory, f"state-{n}"))
            for n, role in (("a", ""), ("b", ",role=standby"))]


def baton_remote(place, file):
    a, b = baton_pair(place, file)
    a.handoff("d", b)
    a.below = [b]
    return a


def nbdkit_file(place, file):
    s = Server(place, "nbdkit file")
    return s.spawn(["nbdkit", "-f", "-U", s.socket, "file", file])


def nbdkit_pause(place, file):
    s = Server(place, "nbdkit pause")
    s.pause = place.path("pause")
    return s.spawn(["nbdkit", "-f", "-U", s.socket, "--filter=pause", "file", file,
                    f"pause-control={s.pause}"])


def nbdkit_nbd(place, file):
    below = nbdkit_file(place, file)
    s = Server(place, "nbdkit nbd")
    s.below = [below]
    return s.spawn(["nbdkit", "-f", "-U", s.socket, "nbd", below.uri])


def qsd_argv(s, blockdevs, top):
    s.qmp = s.place.path("qmp")
    argv = ["qemu-storage-daemon"]
    for b in blockdevs:
        argv += ["--blockdev", b]
    return argv + ["--nbd-server", f"addr.type=unix,addr.path={s.socket}",
                   "--export", f"type=nbd,id=e,node-name={top},name=d,writable=on",
                   "--chardev", f"socket,id=m,path={s.qmp},server=on,wait=off",
                   "--monitor", "chardev=m,mode=control"]


def qsd(aio):
    def start(place, file):
        s = Server(place, f"qsd {aio}")
        return s.spawn(qsd_argv(
            s, [f"driver=file,node-name=f,filename={file},aio={aio}"], "f"))
    return start


def qsd_nbd(place, file, reconnect_s=0):
    below = nbdkit_file(place, file)
    s = Server(place, "qsd over nbd")
    s.below = [below]
    return s.spawn(qsd_argv(
        s, [f"driver=nbd,node-name=f,server.type=unix,server.path={below.socket},"
            f"export=d,reconnect-delay={reconnect_s}"], "f"))


def qsd_two_ways(place, file):
    """A raw node that can be reopened over the file itself or over an NBD server."""
    below = nbdkit_file(place, file)
    s = Server(place, "qsd reopen")
    s.below = [below]
    return s.spawn(qsd_argv(
        s, [f"driver=file,node-name=near,filename={file},locking=off",
            f"driver=nbd,node-name=far,server.type=unix,server.path={below.socket},"
            "export=d", "driver=raw,node-name=top,file=near"], "top"))


def qemu_nbd(place, file):
    s = Server(place, "qemu-nbd")
    return s.spawn(["qemu-nbd", "-k", s.socket, "-x", "d", "-f", "raw", "-e", "16", "-t",
                    file])


def nbd_server(place, file):
    s = Server(place, "nbd-server")
    conf = place.path("conf")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(conf, "w", encoding="utf-8") as f:
        f.write(f"[generic]\nunixsock={s.socket}\nlistenaddr=127.0.0.1\nport={port}\n"
                f"[d]\nexportname={file}\n")
    pid = place.path("pid")  # with -d it would stay, but serve one client only
    run(place.as_server(["nbd-server", "-C", conf, "-p", pid]))
    s.processes.append(place.adopt(pid))
    return s


class Qmp:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(path)
        self.f = self.s.makefile("rw", encoding="utf-8")
        self.f.readline()
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        self.f.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.f.flush()
        while True:
            answer = json.loads(self.f.readline())
            if "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]


def with_children(pids):
    """nbd-server has a process for each client."""
    for pid in pids:
        yield pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as f:
            yield from with_children(f.read().split())


def resources(pids):
    """Resident KiB, threads and descriptors of the processes together."""
    rss = threads = fds = 0
    for pid in with_children(pids):
        for line in open(f"/proc/{pid}/status", encoding="utf-8"):
            if line.startswith("VmRSS"):
                rss += int(line.split()[1])
            elif line.startswith("Threads"):
                threads += int(line.split()[1])
        fds += len(os.listdir(f"/proc/{pid}/fd"))
    return {"rss_kib": rss, "threads": threads, "fds": fds}
