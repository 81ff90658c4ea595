# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# What a tree of processes costs: CPU time to the nanosecond from the processes' own clocks, and
# memory as the share of each page that is its own (PSS).

import glob
import re
import time
from collections import defaultdict

from harness import procs


def _role(pid):
    """webmond's processes by their titles; all others are one."""
    title = re.match(r"webmond: (supervisor|checker|publisher)", procs.cmdline(pid))
    return title.group(1) if title else "process"


def _clock_ns(pid):
    """CPU time of all threads that a process has and had."""
    return time.clock_gettime_ns(~pid << 3 | 2)  # as clock_getcpuclockid(3) makes it


def _tree(root):
    return [root, *procs.descendants(root)]


def cpu_ns(root):
    """CPU time by role, of the tree and of those that its processes have waited for."""
    found = defaultdict(int)
    for pid in _tree(root):
        stat, role = procs.stat(pid), _role(pid)
        try:
            clock = _clock_ns(pid)
        except OSError:
            continue
        if stat is not None:
            found[role] += clock
            # nearly all that a supervisor buries were checkers
            found["checker" if role == "supervisor" else role] += \
                (stat.cutime + stat.cstime) * 1_000_000_000 // procs.TICK
    return found


def waits(root):
    """How often the processes that check went to sleep so far: webmond's checkers, or all."""
    found = defaultdict(int)
    for pid in _tree(root):
        for task in glob.glob(f"/proc/{pid}/task/*/status"):
            try:
                with open(task, encoding="ascii", errors="replace") as f:
                    found[_role(pid)] += next(int(line.split()[1]) for line in f
                                              if line.startswith("voluntary_ctxt_switches"))
            except OSError:
                continue  # it has gone
    return found["checker"] or found["process"]


def memory_kb(root):
    """
    role → list of (PSS, RSS) of each process, in kB; None for one that only root may look into, as
    webmond's children are.
    """
    found = defaultdict(list)
    for pid in _tree(root):
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                lines = dict(line.split(":", 1) for line in f if line[0] in "PR")
            sizes = (int(lines[name].split()[0]) for name in ("Pss", "Rss"))
            found[_role(pid)].append(tuple(sizes))
        except PermissionError:
            found[_role(pid)].append(None)
        except (OSError, KeyError):
            continue  # it has gone
    return found


class Window:
    """CPU time and time of day between begin() and end()."""

    def __init__(self, root):
        self.root = root
        self._waits = waits(root)
        self._before = cpu_ns(root)
        self.begin = time.time()

    def close(self):
        self.end = time.time()
        after = cpu_ns(self.root)
        self.waits = waits(self.root) - self._waits
        self.cpu_ns = {role: ns - self._before.get(role, 0) for role, ns in after.items()}
        return self
