# SPDX-License-Identifier: BSD-3-Clause
"""Two hosts on one machine: network namespaces with a wire between them, and a boot id
each, so that nobody takes them for one machine. They speak TLS with keys."""
import contextlib
import os
import subprocess
import time

import servers
from place import Failure

ADDRESS = {"a": "10.55.0.1", "b": "10.55.0.2"}
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Host:
    def __init__(self, place, name, keys):
        self.keys, self.ip = keys, ADDRESS[name]
        self.control = f"tcp:{self.ip}:10810"
        boot_id, ready = place.path("boot_id"), place.path("ready")
        with open(boot_id, "w", encoding="utf-8") as f:
            f.write(f"{ord(name):08x}-0000-4000-8000-000000000000\n")
        self.process = place.start(
            ["unshare", "--net", "--mount", "sh", "-c",
             f"mount --bind {boot_id} {BOOT_ID} && ip link set lo up && : >{ready} && "
             "exec sleep infinity"])
        end = time.monotonic() + 10
        while not os.path.exists(ready):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failure("cannot make network namespaces (are you root?)")
            time.sleep(0.01)
        self.pid = self.process.pid
        self.enter = ["nsenter", "--target", str(self.pid), "--net", "--mount", "--"]

    def ip_command(self, *argv):
        subprocess.run(self.enter + ["ip", *argv], check=True)

    def options(self, name):
        return ["--listen", f"tcp:{self.ip}:10809", "--announce",
                f"tcp:{self.ip}:10809", "--control", self.control,
                "--tls-psk", self.keys, "--tls-psk-user", name]


@contextlib.contextmanager
def two(place):
    keys, started = place.path("keys"), []
    try:
        for name in ADDRESS:
            subprocess.run(["psktool", "-u", name, "-p", keys], check=True,
                           capture_output=True)
        for name in ADDRESS:
            started.append(Host(place, name, keys))
        a, b = started
        subprocess.run(["ip", "link", "add", "name", "bench-a", "netns", str(a.pid),
                        "type", "veth", "peer", "name", "bench-b", "netns",
                        str(b.pid)], check=True)
        for host, card in ((a, "bench-a"), (b, "bench-b")):
            host.ip_command("addr", "add", f"{host.ip}/24", "dev", card)
            host.ip_command("link", "set", card, "up")
        yield started
    finally:
        for host in started:
            place.stop(host.process)


def pair(place, file, ends):
    """As on shared storage: nobody's page cache is in the way."""
    return [servers.Baton(
        place, name, [f"name=d,device={file},cache=none{role},peers-allowed={peer}"],
        host) for name, role, peer, host in (("a", "", "b", ends[0]),
                                             ("b", ",role=standby", "a", ends[1]))]
