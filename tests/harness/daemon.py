# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The daemon under test: its configuration as a dictionary, its life, its processes and its log.

import os
import re
import signal
import time

from . import Failure, procs, promised, require

READY = re.compile(r"webmond \S+ watches (\d+) sites? .*epoch (\S+)")
# at a stop running checks get 5 s and the flush 5 s; anything beyond this is a hang
STOP_S = 30
# who has died waits for up to a minute before it is born again, on a slow machine too: there it may
# be killed again and again before it is at work
BORN_S = 70


def binary():
    """Where the program is: $WEBMOND, or the build in the tree."""
    given = os.environ.get("WEBMOND")
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    path = given or os.path.join(top, "webmond")
    if os.access(path, os.X_OK):
        return os.path.abspath(path)
    raise Failure(f"no program to test: {given or 'set WEBMOND to the binary'}")


def control():
    """Where webmondctl is: $WEBMONDCTL, or beside the program."""
    return os.environ.get("WEBMONDCTL") or os.path.join(os.path.dirname(binary()), "webmondctl")


def render(settings, indent=""):
    """A dictionary in libconfig's words."""
    return "".join(f"{indent}{name} = {_value(value, indent)};\n"
                   for name, value in settings.items() if value is not None)


def _value(value, indent):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{\n" + render(value, indent + "\t") + indent + "}"
    if all(isinstance(v, str) for v in value):
        return "[ " + ", ".join(_value(v, indent) for v in value) + " ]"
    inner = indent + "\t"
    return "(\n" + ",\n".join(inner + _value(v, inner) for v in value) + "\n" + indent + ")"


class Daemon:
    """One daemon with its files in `directory`; it may be started again and again."""

    def __init__(self, directory, settings, file=None):
        self.directory = directory
        self.settings = settings
        self.file = file or os.path.join(directory, "webmond.conf")
        self.log_file = os.path.join(directory, "webmond.log")
        self.process = None  # in the foreground
        self.pid = None
        self.epoch = None
        self.write_config()

    def write_config(self, settings=None):
        self.settings = settings or self.settings
        with open(self.file + ".new", "w", encoding="utf-8") as f:
            f.write(render(self.settings))
        os.rename(self.file + ".new", self.file)

    # --- life -----------------------------------------------------------------------------

    def start(self, *options, foreground=True, wait=True, env=None, prefix=(), program=None):
        """
        Start it, behind a command as `prefix`, and wait until it is ready. `program`: another build
        of it. Returns self.
        """
        mark = self.log_size()
        argv = [*prefix, program or binary(), "-c", self.file, *options]
        if not foreground:
            with open(self.log_file, "ab") as log:
                done = procs.spawn(argv, stdout=log, stderr=log, env=env)
                code = done.wait(30)
            require(code == 0, f"the starter exited with code {code}")
            with open(self.settings["pid_file"], encoding="ascii") as f:
                self.pid = int(f.read())
            self.process = None
        else:
            with open(self.log_file, "ab") as log:
                self.process = procs.spawn([*argv, "-f"], stdout=log, stderr=log, env=env)
            self.pid = self.process.pid
        if wait:
            self.epoch = self.wait_log(READY, 30, mark).group(2)
        return self

    def signal(self, number):
        procs.kill(self.pid, number)

    def running(self):
        if self.process is not None and self.process.poll() is not None:
            return False
        return self.pid is not None and procs.alive(self.pid)

    def wait_end(self, seconds=STOP_S):
        """Until it and all its processes have gone; returns the exit code in the foreground."""
        procs.wait_for(lambda: not self.running(), seconds,
                       lambda: f"webmond does not end; left: {self.roles()}")
        procs.wait_for(lambda: not self._left_behind(), 10,
                       lambda: f"left behind by webmond: {self._left_behind()}")
        return self.process.wait() if self.process is not None else None

    def stop(self, seconds=STOP_S):
        self.roles()
        self.signal(signal.SIGTERM)
        code = self.wait_end(seconds)
        promised(code in (None, 0), f"webmond exited with code {code}")

    def freeze(self):
        """Stop all its processes (SIGSTOP); returns them."""
        procs.freeze(self.pid)  # first, so that no more are born
        pids = [self.pid, *procs.descendants(self.pid)]
        procs.freeze(*pids)
        return pids

    def pipe_is_full(self):
        return procs.has_full_pipe(self.pid)

    def begun_in_the_pipe(self):
        """Of a daemon that stands still: checks with a frame that nobody has read, by id the site."""
        return {id.decode(): name.decode() for id, name in re.findall(
            rb'"id":"([^"]+)","epoch":"[^"]+","seq":\d+,"site":"([^"]+)"',
            procs.unread(self.pid))}

    def dies_with_the_pipe(self):
        """How many of its checks may be in no record then: those, and what its checkers run."""
        return len(self.begun_in_the_pipe()) + len(self.checkers())

    def kill(self):
        """All its processes, with SIGKILL; none sees another one's death."""
        pids = self.freeze()
        for pid in pids:
            procs.kill(pid)
        procs.wait_for(lambda: not any(map(procs.alive, pids)), 20, "killed, but still there")
        if self.process is not None:
            self.process.wait()

    def kill_supervisor(self, others=()):
        """
        Only that one. A child that was just born has its title, and its files with the lock of the
        PID file, for another moment. `others`: PIDs of supervisors that are none of its children.
        """
        procs.kill(self.pid)
        self.process.wait()
        procs.wait_for(lambda: "webmond: supervisor" not in (
            procs.cmdline(pid) for pid in procs.descendants(os.getppid()) if pid not in others),
                       20, "a child stays as it was born")

    # --- processes ---------------------------------------------------------------------------

    def roles(self):
        """PID by role: "supervisor", "publisher", "checker 1" …; the validator is left out."""
        found = {"supervisor": self.pid}
        for pid in procs.descendants(self.pid):
            match = re.fullmatch(r"webmond: (publisher|checker \d+)", procs.cmdline(pid))
            if match:
                found[match.group(1)] = pid
        self._seen = set(found.values()) | getattr(self, "_seen", set())
        return found

    def checkers(self):
        return [pid for role, pid in self.roles().items() if role.startswith("checker")]

    def kill_at_each_check(self, slow, path, until):
        """
        Kill the checker of each request for `path` of a Slow server, until `until()`; returns how
        many were killed. On a busy machine a check may be over before we have looked.
        """
        deaths, hits = 0, slow.server.hits[path]
        while not until():
            checkers = self.checkers()  # before a request is seen, then it takes no time
            if slow.server.hits[path] > hits:
                procs.freeze(*checkers)  # so that the check does not end while we look for it
                victim = procs.who_talks_to(checkers, slow.port)
                if victim is not None:
                    procs.kill(victim)
                    deaths += 1
                for pid in checkers:
                    procs.kill(pid, signal.SIGCONT)
                hits = slow.server.hits[path]
            time.sleep(0.01)
        return deaths

    def born(self, role, old=None):
        """The PID of a role that is not `old`; waits for one that is on its way."""
        def look():
            pid = self.roles().get(role)
            return pid if pid != old else None

        return procs.wait_for(look, BORN_S, f"there is no new {role}", 0.01)

    def publisher(self):
        return self.born("publisher")

    def _left_behind(self):
        """Processes that we have seen and that still bear webmond's title."""
        return {pid: procs.cmdline(pid) for pid in getattr(self, "_seen", set())
                if procs.alive(pid) and procs.cmdline(pid).startswith("webmond")}

    # --- log ---------------------------------------------------------------------------------

    def log_size(self):
        try:
            return os.path.getsize(self.log_file)
        except FileNotFoundError:
            return 0

    def log(self, start=0):
        try:
            with open(self.log_file, "rb") as f:
                f.seek(start)
                return f.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, seconds, start=0):
        """Until a line of the log matches; returns the match. `start`: an earlier log_size()."""
        def look():
            found = re.search(pattern, self.log(start))
            if not found and self.process is not None and self.process.poll() is not None:
                raise Failure(f"webmond exited with code {self.process.returncode} before its "
                              f"log said {getattr(pattern, 'pattern', pattern)!r}")
            return found

        return procs.wait_for(look, max(seconds, procs.PATIENCE_S), lambda: "the log does not say "
                              f"{getattr(pattern, 'pattern', pattern)!r}")

    def reload(self, settings=None, good=True):
        """HUP, and wait for its outcome."""
        mark = self.log_size()
        if settings is not None:
            self.write_config(settings)
        self.signal(signal.SIGHUP)
        self.wait_log(r"reloaded: \d+ sites?, " if good else "reload failed", 20, mark)
