# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# strace(1) as a saboteur: it attaches to a process and spoils its system calls. Only root may do
# that to webmond's children, which are not dumpable.

import shutil
import subprocess

from . import Skip, procs


class Strace:
    """
    A saboteur of one process, from the constructor, which waits until it is at work, to stop().
    `what` is done to `calls` (a list with commas): as in strace's -e inject=CALLS:WHAT. `follow`:
    to the children that the process makes from now on, too.
    """

    def __init__(self, pid, calls, what, follow=False):
        strace = shutil.which("strace")
        if strace is None:
            raise Skip("there is no strace")
        options = ["-f"] if follow else []
        self.process = procs.spawn(
            [strace, "-qqq", *options, "-e", f"trace={calls}", "-e", f"inject={calls}:{what}",
             "-o", "/dev/null", "-p", str(pid)], stderr=subprocess.PIPE)
        try:
            procs.wait_for(lambda: self._is_at_work(pid), 10,
                           lambda: f"strace does not attach to {procs.cmdline(pid)!r}", 0.005)
        except BaseException:
            self.stop()
            raise

    def _is_at_work(self, pid):
        if self.process.poll() is not None or not procs.alive(pid):
            return True  # so quick was the fault, or the death
        return procs.status_field(pid, "TracerPid") == str(self.process.pid)

    def stop(self):
        """Let go of what is still alive."""
        procs.end(self.process)
        self.process.stderr.close()


def kill_at(pid, call, n, meanwhile=lambda: None):
    """
    Kill a process at its N-th `call` from now on, before the kernel executes it; `meanwhile` is
    called while that is awaited.
    """
    saboteur = Strace(pid, call, f"signal=KILL:when={n}")
    try:
        meanwhile()
        procs.wait_for(lambda: not procs.alive(pid), 15, f"no {n} calls of {call} within 15 s")
    finally:
        saboteur.stop()
