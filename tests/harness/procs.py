# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Processes: starting them so that nothing stays behind, and looking at them through /proc.

import ctypes
import errno
import fcntl
import os
import pwd
import random
import select
import signal
import socket
import subprocess
import threading
import time

from . import Failure, Skip

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SYS_PIDFD_GETFD = 438  # on every architecture
SPLICE_F_NONBLOCK = 2
F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032  # which Python has since 3.10
TICK = os.sysconf("SC_CLK_TCK")
PAUSE_S = 0.5
# for a line of the log, a record or an answer nobody is given up sooner: a machine may be busy
PATIENCE_S = 60


def wait_for(condition, seconds, what, pause=0.05):
    """Poll `condition` until it returns something true; returns that."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"timed out after {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)


def let_pass(seconds, why):
    """
    Where time itself is what a test is about: how long a fault lasts, a random moment, or that
    nothing happens. `why` says which; all else waits for what it needs.
    """
    assert why
    time.sleep(seconds)


class Pauses:
    """
    For how long this process was not let run, each time, since start(): a machine that stands still
    does so for everybody.
    """

    def __init__(self):
        self.seconds = []
        self._thread = None

    def start(self):
        """Begin anew."""
        self.seconds.clear()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()

    def _watch(self):
        last = time.monotonic()
        while True:
            time.sleep(0.05)
            now = time.monotonic()
            if now - last > PAUSE_S:
                self.seconds.append(now - last)
            last = now


pauses = Pauses()


_ports = 0, 1


def ports_are(number, of):
    """From now on free_ports() takes every `of`-th port only, from the `number`-th on."""
    global _ports
    _ports = number, of


def free_ports(count, address="127.0.0.1"):
    """
    Ports that nobody uses now, below the range of outgoing connections: the many short
    connections of a test must not take the port of a server that is about to restart.
    """
    number, of = _ports
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        low = int(f.read().split()[0])
    held, ports = [], []
    while len(ports) < count:
        s = socket.socket()
        try:
            s.bind((address, random.randrange(10000 + number, max(low, 20000), of)))
        except OSError:
            s.close()
            continue
        held.append(s)
        ports.append(s.getsockname()[1])
    for s in held:
        s.close()
    return ports


def spawn(argv, **options):
    """As Popen; the process leads a group of its own and dies with us."""
    parent = os.getpid()

    def child():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(argv, start_new_session=True, preexec_fn=child, **options)


def run(argv, timeout=60, **options):
    """As subprocess.run with captured text output; a process that hangs fails the scenario."""
    options.setdefault("stdin", subprocess.DEVNULL)
    try:
        return subprocess.run(argv, timeout=timeout, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace", check=False,
                              **options)
    except subprocess.TimeoutExpired as e:
        raise Failure(f"{' '.join(map(str, argv))}: still running after {timeout} s") from e


def end(process, seconds=5, first=signal.SIGTERM):
    """End a child of ours with its whole group; returns its exit status."""
    if process.poll() is None:
        try:
            process.send_signal(first)
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    return process.wait()


class Stat:
    """What /proc/PID/stat says."""

    def __init__(self, pid, text):
        self.pid = pid
        fields = text[text.rindex(")") + 2:].split()
        self.state = fields[0]
        self.ppid = int(fields[1])
        self.utime, self.stime, self.cutime, self.cstime = (int(f) for f in fields[11:15])
        self.start = int(fields[19])

    @property
    def own_ticks(self):
        return self.utime + self.stime

    @property
    def ticks(self):
        """Own and of all children that it has waited for."""
        return self.own_ticks + self.cutime + self.cstime


def stat(pid):
    """The Stat of a process that exists and is no zombie, else None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            s = Stat(pid, f.read())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if s.state in "ZX" else s


def alive(pid):
    return stat(pid) is not None


def all_stats():
    found = (stat(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {s.pid: s for s in found if s is not None}


def descendants(root):
    """The PIDs below `root`, itself not included, parents first."""
    children = {}
    for s in all_stats().values():
        children.setdefault(s.ppid, []).append(s.pid)
    found, queue = [], [root]
    while queue:
        below = sorted(children.get(queue.pop(0), []))
        found += below
        queue += below
    return found


def cmdline(pid):
    """The command line or title of a process; "" when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def status_field(pid, name):
    """A line of /proc/PID/status without its name."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        for line in f:
            if line.startswith(name + ":"):
                return line.split(":", 1)[1].strip()
    return None


def open_files(pid):
    """Descriptor → what it leads to, of another process."""
    files = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            files[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            pass
    return files


def borrow_socket(pid, fd):
    """The socket behind a descriptor of another process (pidfd_getfd(2)); None: it was closed."""
    process = os.pidfd_open(pid)
    copy = _libc.syscall(SYS_PIDFD_GETFD, process, fd, 0)
    os.close(process)
    if copy >= 0:
        return socket.socket(fileno=copy)
    if ctypes.get_errno() == errno.EBADF:
        return None
    raise Skip(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")


def _pipes(pid, flags):
    """A descriptor of each pipe of another process, for as long as it is looked at."""
    for link, fd in {link: fd for fd, link in open_files(pid).items()}.items():
        if link.startswith("pipe:"):
            end = os.open(f"/proc/{pid}/fd/{fd}", flags | os.O_NONBLOCK)
            try:
                yield end
            finally:
                os.close(end)


def unread(pid):
    """The bytes that nobody has read yet, in all pipes of a process that stands still."""
    found = b""
    for source in _pipes(pid, os.O_RDONLY):
        reader, writer = os.pipe()
        fcntl.fcntl(writer, F_SETPIPE_SZ, fcntl.fcntl(source, F_GETPIPE_SZ))
        left = _libc.tee(source, writer, 1 << 30, SPLICE_F_NONBLOCK)
        os.close(writer)
        while left > 0 and (data := os.read(reader, left)):
            found += data
            left -= len(data)
        os.close(reader)
    return found


def has_full_pipe(pid):
    """Whether somebody who writes into a pipe of this process would have to wait."""
    for sink in _pipes(pid, os.O_WRONLY):
        poll = select.poll()
        poll.register(sink, select.POLLOUT)
        if not poll.poll(0):
            return True
    return False


def who_locks(path):
    """The PIDs of those that hold a lock on a file."""
    inode = os.stat(path).st_ino
    with open("/proc/locks", encoding="ascii") as f:
        rows = [line.split() for line in f]
    return {int(row[4]) for row in rows if row[1] != "->" and row[5].endswith(f":{inode}")}


def listening(but=None):
    """Inodes of all sockets that take something from outside, but for that of this path."""
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/net/{table}", encoding="ascii") as f:
            for line in list(f)[1:]:
                row = line.split()
                unconnected = set(row[2].split(":")[0]) == {"0"}
                if row[3] == "0A" or (table.startswith("udp") and unconnected):
                    found.add(f"socket:[{row[9]}]")
    with open("/proc/net/unix", encoding="ascii") as f:
        for line in list(f)[1:]:
            row = line.split()
            named = len(row) > 7
            if (int(row[3], 16) & 0x10000 or named) and not (named and row[7] == but):
                found.add(f"socket:[{row[6]}]")
    return found


def who_talks_to(pids, port):
    """Which of these processes has a connection to 127.0.0.1:`port`; None: none of them."""
    remote = f"0100007F:{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[2] == remote}
    for pid in pids:
        try:
            if inodes & set(open_files(pid).values()):
                return pid
        except FileNotFoundError:
            pass  # it has just gone
    return None


def as_user(name):
    """The prefix of a command that root runs as another user; without root there is none."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def memory(pid):
    """
    The anonymous memory of a process, in KiB: its share of that, or, where it is not ours to read,
    all of it. (Its share of files grows when other programs that use the same libraries end.)
    """
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss_Anon:"))
    except PermissionError:
        return int(status_field(pid, "RssAnon").split()[0])


def kill(pid, signal_number=signal.SIGKILL):
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        pass


def is_stopped(pid):
    """
    By a signal. Not of one that is being traced: it stops at each of its calls, and strace.Strace
    knows better.
    """
    s = stat(pid)
    return s is not None and s.state == "T"


def freeze(*pids):
    """Stop processes, and wait until each that is still there is stopped."""
    for pid in pids:
        kill(pid, signal.SIGSTOP)
    wait_for(lambda: all(is_stopped(pid) or not alive(pid) for pid in pids), 20,
             lambda: f"they do not stop: {[cmdline(pid) for pid in pids]}", 0.005)


def end_with_parent():
    """From now on TERM comes when our parent dies, however it dies."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def under_init(main):
    """
    Run main() in a child, and be the init process for all that it leaves behind: orphans come
    to us, are reaped here, and do not outlive it. Returns what main() returned.
    """
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        end_with_parent()
        os._exit(_guarded(main))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, frame: kill(child, n))
    code, over = 1, False
    while True:
        try:
            pid, wait_status = os.wait()
        except ChildProcessError:
            return code
        if pid == child:
            over = True
            code = os.waitstatus_to_exitcode(wait_status)
            code = code if code >= 0 else 128 - code
        # at each death once more: one that was just killed may have forked before
        for left in descendants(os.getpid()) if over else ():
            kill(left)


def _guarded(main):
    def stop(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        return main()
    except KeyboardInterrupt:
        return 130
    except SystemExit as e:  # of argparse
        return e.code or 0
    except BaseException:  # pylint: disable=broad-except
        import traceback
        traceback.print_exc()
        return 1


def read_line(stream, seconds, what):
    """One line from an unbuffered binary pipe, with a limit of time."""
    line = b""
    seconds = max(seconds, PATIENCE_S)
    end_at = time.monotonic() + seconds
    while not line.endswith(b"\n"):
        left = end_at - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            raise Failure(f"{what}: no answer within {seconds} s (got {line!r})")
        byte = os.read(stream.fileno(), 1)
        if not byte:
            raise Failure(f"{what}: ended (got {line!r})")
        line += byte
    return line.decode("utf-8", "replace").rstrip("\n")
