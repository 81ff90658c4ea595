# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# strace(1) as a saboteur: it attaches to a process and spoils its system calls. Only root may do
# that to webmond's children, which are not dumpable.

import os
import re
import shutil
import tempfile
import time

from . import Skip, procs


def command(calls, what, paths=(), follow=False):
    """
    The beginning of a command of strace that does `what` to `calls` (a list with commas), as in
    strace's -e inject=CALLS:WHAT; to those only that mean one of `paths`, if there are some.
    `follow`: in all threads, and in what is forked from now on, too.
    """
    strace = shutil.which("strace")
    if strace is None:
        raise Skip("there is no strace")
    argv = [strace, "-e", f"trace={calls}", "-e", f"inject={calls}:{what}"]
    for path in paths:
        argv += ["-P", path]
    return [*argv, "-f"] if follow else argv


class Strace:
    """
    A saboteur of one process, from the constructor, which waits until it is at work, to stop(),
    or while this context lasts. The process may end at any time, of this fault or another one.
    """

    def __init__(self, pid, calls, what, paths=(), follow=False):
        # what it says, and the calls. A file, since it may say more than a pipe holds
        self._log = tempfile.TemporaryFile()
        self._process = procs.spawn([*command(calls, what, paths, follow), "-p", str(pid)],
                                    stderr=self._log)
        try:
            procs.wait_for(lambda: self._is_at_work(pid), procs.PATIENCE_S, lambda: "strace does not attach to "
                           f"{procs.cmdline(pid)!r}: {self._said().decode(errors='replace')}",
                           0.005)
        except BaseException:
            self.stop()
            raise

    def _said(self):
        # not read(): strace's place in the file is the same as ours
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0)

    def _is_at_work(self, pid):
        # it says so when it has all threads and before it lets any of them go on; from /proc,
        # where threads come and go, the same can be learnt by luck only
        return f"Process {pid} attached".encode() in self._said() or not procs.alive(pid)

    def count(self):
        """How many calls have been spoilt so far."""
        return self._said().count(b"(INJECTED)")

    def wait(self, seconds):
        """Until one has, or the time is over."""
        end = time.monotonic() + seconds
        while self.count() == 0 and time.monotonic() < end:
            time.sleep(0.02)

    def stopped(self):
        """The processes that a signal has stopped, beside the first one."""
        return {int(pid) for pid in re.findall(rb"\[pid +(\d+)\] --- stopped by SIGSTOP",
                                               self._said())}

    def stop(self):
        """Let go of what is still alive."""
        procs.end(self._process, 10)
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.stop()


def detach(pid):
    """End who traces a process, if somebody does; what is traced cannot be frozen."""
    try:
        tracer = int(procs.status_field(pid, "TracerPid") or 0)
    except (FileNotFoundError, ProcessLookupError):
        return
    if tracer != 0:
        procs.kill(tracer)  # it blocks all but that; the kernel lets go of what it has traced
        procs.wait_for(lambda: not procs.alive(tracer), 20, "strace does not end", 0.01)


def kill_at(pid, call, n, meanwhile=lambda: None):
    """
    Kill a process at its N-th `call` from now on, before the kernel executes it; `meanwhile` is
    called while that is awaited.
    """
    with Strace(pid, call, f"signal=KILL:when={n}"):
        meanwhile()
        procs.wait_for(lambda: not procs.alive(pid), procs.PATIENCE_S, f"no {n} calls of {call}")
