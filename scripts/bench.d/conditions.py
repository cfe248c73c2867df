# SPDX-License-Identifier: BSD-3-Clause
"""Which tree a run measures, and how busy others keep the machine: what the title of
each table says, and what results to be kept are refused for."""
import os
import subprocess
import time

LOADED = 0.1  # processors; a machine that others keep busier than this is loaded
BEFORE = 1.0  # seconds that the machine is watched for before the start


class Tree:
    """changed: the files outside docs/ that are not as committed, also those that git
    does not know, because the build takes every source file that it finds; None if git
    does not know the tree, e.g. because it comes from a tarball."""

    def __init__(self, commit, changed):
        self.commit, self.changed = commit, changed

    def title(self):
        """For titles; empty if there is nothing to say."""
        if self.changed is None:
            return "unknown tree"
        return "dirty tree" if self.changed else ""

    def __str__(self):
        if self.changed is None:
            return "unknown tree (no git checkout)"
        if not self.changed:
            return "as committed"
        return f"dirty tree ({self.what_is_dirty()})"

    def what_is_dirty(self):
        others = len(self.changed) - 1
        return (f"{self.changed[0]} is not as committed" +
                (f", and {others} more" if others else ""))


def git(*argv):
    """What it prints, or None if it fails or is not installed."""
    try:
        return subprocess.run(["git", "--no-optional-locks", *argv], check=True,
                              capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def tree_here():
    # A tarball may have been unpacked inside a repository of something else.
    if git("ls-files", "--error-unmatch", "scripts/bench") is None:
        return Tree("unknown", None)
    status = git("status", "--porcelain", "--untracked-files=all", "--", ".", ":!docs")
    if status is None:
        return Tree("unknown", None)
    changed = [line[3:] for line in status.splitlines()]
    commit = (git("describe", "--always") or "none").strip()
    return Tree(commit + ("-dirty" if changed else ""), changed)


def ticks():
    """Of all processors since the boot, from /proc/stat: busy, by whomever, and all.
    What the host took for others counts as busy, waiting for a disk does not."""
    with open("/proc/stat", encoding="ascii") as f:
        fields = [int(x) for x in f.readline().split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def others_busy(seconds):
    """How many processors are busy while nothing of ours is running. A load average
    would still tell of a build that ended minutes ago."""
    before = ticks()
    time.sleep(seconds)
    busy, every = (b - a for a, b in zip(before, ticks()))
    return os.cpu_count() * busy / max(1, every)


def tree_refused(tree):
    """Why results of this tree are not kept; None if they are."""
    if not tree.changed:
        return None
    return (f"--results is refused: {tree.what_is_dirty()}; commit first, or give "
            "--allow-dirty")


def load_refused(busy):
    """Why results from a machine this busy are not kept; None if they are."""
    if busy <= LOADED:
        return None
    return (f"--results is refused: others keep {busy:.1f} processors busy (allowed: "
            f"{LOADED}); wait until the machine is quiet, or give --allow-load")


def load_title(before, meanwhile):
    """For titles: processors that others kept busy before the run, and at most around
    the part that the table is of. Empty if there is nothing to say."""
    times = [f"{busy:.1f} {when}" for busy, when in
             ((before, "before the run"), (meanwhile, "around this part")) if busy > LOADED]
    return "loaded: processors kept busy by others: " + ", ".join(times) if times else ""
