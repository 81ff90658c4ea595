# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# HUP and TERM in every state, an environment that is out to get us, and a log that nobody reads.
# How long an answer may take is bounded generously, for machines that are busy; how long it took
# is in the table.

import os
import re
import signal
import socket
import threading
import time

from harness import daemon, fault, needs, procs, records, require
from harness.sites import site

ANSWER_S = 10  # for what is promised within about a second
STOP_S = 45    # for a stop that waits for somebody else: its own limits are 7 s and 30 s


def timed(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def figures(measured):
    return ", ".join(f"{what} {seconds:.2f} s" for what, seconds in measured.items())


def ends(d, seconds, codes=(0,)):
    """Wait for its end; returns how long that took."""
    begin = time.monotonic()
    code = d.wait_end(seconds)
    require(code in codes, f"exit code {code}, not one of {codes}")
    return time.monotonic() - begin


def delivered(d, topic):
    """What a stop in haste has left in the spool arrives by another life of the daemon."""
    d.start()
    topic.wait(lambda found: any(r.epoch == d.epoch for r in found), 60, "nothing new arrives")
    d.stop()


def term(d, times=1, seconds=STOP_S):
    """TERM, so many times; returns how long the end took."""
    d.roles()
    for n in range(times):
        if n:
            procs.let_pass(0.3, "two signals at the same moment are one")
        d.signal(signal.SIGTERM)
    return ends(d, seconds)


# --- 52: HUP, HUP, HUP ------------------------------------------------------------------------

@fault("52", "HUP a thousand times (short run: 100), in bursts and with a change each time",
       "the last one counts; nothing leaks, no slot is lost")
@needs("kafka")
def test_many_hups(t):
    nginx, topic = t.nginx(), t.topic()
    sites = nginx.many(50)
    d = t.daemon(t.settings(sites, topic, workers={"min": 4, "max": 4})).start()
    hups, before = 0, None

    def state():
        return d.log().count("reloaded:"), procs.descendants(d.pid)

    def quiet():
        """For longer than a HUP may wait for the one before: no reload, the same 5 processes."""
        before = state()
        procs.let_pass(2, "nothing happens meanwhile")
        return before == state() and len(before[1]) == 1 + 4

    def held():
        """Descriptors and memory of the supervisor, once all HUPs have been answered."""
        procs.wait_for(quiet, 60, lambda: f"there are others than a publisher and 4 checkers, or "
                       f"it reloads for ever: {d.roles()}", 0)
        return len(procs.open_files(d.pid)), procs.memory(d.pid)

    while hups < t.times(1000, 100):
        changing = site("changing", nginx.url(f"ok/changing/{hups}"))
        d.write_config({**d.settings, "sites": [*sites, changing]})
        for _ in range(t.random.randrange(1, 8)):
            d.signal(signal.SIGHUP)
            hups += 1
            procs.let_pass(t.random.random() / 100, "HUPs come at any moment")
        d.reload()
        if before is None and hups > t.times(100, 20):  # all that grows once has grown
            before = held()
    after = held()
    took = timed(d.reload)
    topic.wait_rounds(d.settings["sites"])
    d.stop()
    summary = topic.check(at_least=250)
    note = (f"{hups} HUPs, {d.log().count('reloaded:')} reloads; supervisor {before[0]} → "
            f"{after[0]} descriptors, {before[1]} → {after[1]} KiB")
    t.report(summary, recovery_s=took, note=note)
    require(abs(after[0] - before[0]) <= 1, note)
    require(after[1] - before[1] < 1024, note)
    gaps = records.missing_slots(summary.firsts)
    require(not gaps, f"slots without a record: {gaps[:10]}")
    require(not summary.strange("up", "aborted"), f"reloads disturbed checks: {summary}")
    last = records.by_site(summary.firsts)["changing"][-1]
    require(last.url == changing["url"], f"the last change is not in force: {last.url}")


# --- 53: HUP, TERM, TERM in every state -------------------------------------------------------

def hundred(t, count=100):
    """Web server, topic, and a daemon with so many sites that is not started yet."""
    nginx, topic = t.nginx(), t.topic()
    return nginx, topic, t.daemon(t.settings(nginx.many(count), topic))


@fault("53a", "HUP and TERM at random moments of the start",
       "HUP does no harm; TERM ends it, nothing stays behind, the next start works")
@needs("kafka")
def test_signals_at_start(t):
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(20), topic))
    slowest = {"ready after HUP": 0.0, "end after TERM": 0.0}
    for _ in range(t.times(50, 5)):
        mark = d.log_size()
        d.start(wait=False)
        procs.wait_for(lambda: procs.cmdline(d.pid).startswith("webmond:"), 10, "no title", 0.001)
        procs.let_pass(t.random.random() / 20, "HUP comes at any moment")
        d.signal(signal.SIGHUP)
        took = timed(lambda: d.wait_log(daemon.READY, 15, mark))
        slowest["ready after HUP"] = max(slowest["ready after HUP"], took)
        d.stop()

        d.start(wait=False)
        procs.let_pass(t.random.random() / 10, "TERM comes at any moment")
        d.roles()
        d.signal(signal.SIGTERM)
        # before it can know what it is, TERM is what it is for everybody
        slowest["end after TERM"] = max(slowest["end after TERM"],
                                        ends(d, ANSWER_S, (0, -signal.SIGTERM)))
    d.start()
    topic.wait_rounds(d.settings["sites"])
    d.stop()
    t.report(topic.check(at_least=20), note=figures(slowest))


@fault("53b", "HUP, TERM, and TERM twice while it runs", "answered within about a second")
@needs("kafka")
def test_signals_while_running(t):
    nginx, topic, d = hundred(t)
    d.start()
    nginx.wait_asked(100)
    took = {"HUP": timed(d.reload)}
    took["TERM"] = term(d, seconds=ANSWER_S)
    d.start()
    nginx.wait_asked(100)
    took["TERM, TERM"] = term(d, 2, ANSWER_S)
    delivered(d, topic)
    t.report(topic.check(at_least=100), note=figures(took))


def after_outage(t, d, topic, nginx, at_least, took):
    """Kafka is back: all arrives, and no request is without a record. Returns the Summary."""
    t.kafka()
    delivered(d, topic)
    summary = topic.check(at_least=at_least)
    t.report(summary, note=figures(took))
    missing = nginx.unrecorded(records.begun(summary.firsts))
    require(missing == 0, f"{missing} requests have no record")
    return summary


@fault("53c", "HUP, TERM, and TERM twice while Kafka is away", "answered; nothing is lost")
@needs("kafka")
def test_signals_in_outage(t):
    nginx, topic, d = hundred(t)
    t.kafka().kill()
    d.start()
    nginx.wait_asked(100)
    took = {"HUP": timed(d.reload)}
    nginx.wait_asked(50)
    took["TERM"] = term(d)
    d.start()
    nginx.wait_asked(100)
    took["TERM, TERM"] = term(d, 2)
    summary = after_outage(t, d, topic, nginx, 200, took)
    require(summary.epochs == 3, f"{summary.epochs} epochs, not 3")
    require(took["TERM, TERM"] < ANSWER_S, figures(took))


def with_full_pipe(t):
    """A daemon whose publisher is stopped, so that the pipe is full."""
    nginx, topic, d = hundred(t, 400)
    d.start()
    nginx.wait_asked(400)
    publisher = d.publisher()
    procs.kill(publisher, signal.SIGSTOP)
    procs.wait_for(d.pipe_is_full, 120, "the pipe does not get full")
    return d, topic, publisher


@fault("53d", "HUP, then TERM, while the pipe is full; then the publisher goes on",
       "answered; nothing is lost")
@needs("kafka")
def test_signals_with_full_pipe(t):
    d, topic, publisher = with_full_pipe(t)
    took = {"HUP": timed(d.reload)}
    d.roles()
    d.signal(signal.SIGTERM)
    procs.let_pass(1, "it waits for room meanwhile, and does not leave")
    require(d.running(), "it has left its records behind")
    procs.kill(publisher, signal.SIGCONT)
    took["TERM, once there is room"] = ends(d, STOP_S)
    t.report(topic.check(at_least=400), note=figures(took))


@fault("53e", "TERM while the pipe is full and the publisher never goes on (a disk that hangs)",
       "it is killed, its successor takes what it left: nothing is lost", quick=False)
@needs("kafka")
def test_term_with_stopped_publisher(t):
    d, topic, _ = with_full_pipe(t)
    took = {"TERM": term(d)}
    require("the publisher does not leave" in d.log(), "it does not say so")
    delivered(d, topic)
    t.report(topic.check(at_least=400), note=figures(took))


@fault("53f", "TERM while HUP is worked on", "answered within about a second")
@needs("kafka")
def test_term_while_reloading(t):
    nginx, topic, d = hundred(t)
    slowest = 0
    for _ in range(t.times(50, 5)):
        d.start()
        nginx.wait_asked(20)
        d.signal(signal.SIGHUP)
        procs.let_pass(t.random.random() / 20, "TERM comes at any moment")
        slowest = max(slowest, term(d, seconds=ANSWER_S))
    t.report(topic.check(at_least=20), note=figures({"TERM": slowest}))


@fault("53g", "TERM while Kafka is away and the old publisher hands over after HUP",
       "its successor takes what the stop still writes: nothing is lost")
@needs("kafka")
def test_term_while_handing_over(t):
    nginx, topic, d = hundred(t)
    t.kafka().kill()
    slowest = 0
    for _ in range(t.times(8, 2)):
        d.start()
        nginx.wait_asked(20)
        d.reload()
        procs.let_pass(0.85 + t.random.random() / 4, "the hand-over takes a second")
        slowest = max(slowest, term(d))
    after_outage(t, d, topic, nginx, 100, {"TERM": slowest})


@fault("53h", "TERM, HUP and a second TERM while checks hang in a stop that began",
       "the first waits 5 s for the checks, the second does not; each has its record")
@needs("kafka")
def test_signals_while_stopping(t):
    nginx, slow, topic = t.nginx(), t.slow(), t.topic()
    hanging = [site(f"hang-{n}", slow.url(f"hang/{n}"), 9, 9) for n in range(5)]
    d = t.daemon(t.settings([*nginx.many(20), *hanging], topic,
                            workers={"min": 4, "max": 8})).start()

    took = {}
    slow.wait_asked()
    took["TERM"] = term(d)
    d.start()
    slow.wait_asked()
    d.roles()
    d.signal(signal.SIGTERM)
    procs.let_pass(0.2, "two signals at the same moment are one")
    d.signal(signal.SIGHUP)
    d.signal(signal.SIGTERM)
    took["TERM, HUP, TERM"] = ends(d, ANSWER_S)
    delivered(d, topic)
    summary = topic.check(at_least=20)
    t.report(summary, note=figures(took))
    require(summary.words["aborted"] >= 1, f"no check was cut off: {summary}")


# --- 54: hostile environment ------------------------------------------------------------------

NASTY = {"http_proxy": "http://127.0.0.1:1/", "HTTPS_PROXY": "http://127.0.0.1:1/",
         "ALL_PROXY": "socks5://127.0.0.1:1/", "SSLKEYLOGFILE": "KEYS",
         "SSL_CERT_FILE": "/nowhere", "OPENSSL_CONF": "/nowhere", "CURL_HOME": "/nowhere",
         "LC_ALL": "tr_TR.UTF-8", "LANG": "xx", "TZ": "Pacific/Apia", "RES_OPTIONS": "timeout:9",
         "LD_PRELOAD": "/nowhere/libevil.so", "LD_LIBRARY_PATH": "/nowhere",
         "MALLOC_CHECK_": "3", "TMPDIR": "/nowhere", "HOME": "", "PATH": "", "IFS": "x"}

SHORT = "Too many open files"

# what is put before the command, and whether a refusal (with a reason) is as good as a start
SURROUNDINGS = {
    "no descriptors 0 to 2": (["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"], False),
    "no working directory": (["sh", "-c", 'mkdir "$0.d" && cd "$0.d" && rmdir "$0.d" && exec "$@"',
                              "HERE"], False),
    "umask 0": (["sh", "-c", 'umask 0; exec "$@"', "sh"], False),
    "16 descriptors": (["prlimit", "--nofile=16:16"], True),
    "64 MiB of addresses": (["prlimit", "--as=67108864:67108864"], True),
    "28 MiB of addresses": (["prlimit", "--as=29360128:29360128"], True),
    "signals ignored and blocked": (["env", "--ignore-signal=HUP,TERM,CHLD",
                                     "--block-signal=HUP,TERM,CHLD"], False),
}


def something_new(topic, before):
    """Whether there are records of an epoch that `before` does not have."""
    return bool({r.epoch for r in topic.records()} - before)


@fault("54", "a hostile environment: variables, descriptors, limits, umask, working directory",
       "no influence, or a refusal that says why")
@needs("kafka")
def test_hostile_environment(t):
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(5), topic))
    keys = t.path("keys")
    env = {**{k: v.replace("KEYS", keys) for k, v in NASTY.items()}}
    outcomes = {}
    d.start(env=env)
    topic.wait_rounds(d.settings["sites"])
    for role, pid in d.roles().items():
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                text = f.read().decode("utf-8", "replace")
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue
        require("nowhere" not in text and "proxy" not in text, f"environment of {role}: {text}")
    d.stop()
    require(not os.path.exists(keys), "TLS keys were written")
    for what, (prefix, may_refuse) in SURROUNDINGS.items():
        prefix = [t.path("gone") if word == "HERE" else word for word in prefix]
        mark, before = d.log_size(), {r.epoch for r in topic.records()}
        d.start(prefix=prefix, wait=False)
        procs.wait_for(lambda: something_new(topic, before) or may_refuse and
                       (not d.running() or SHORT in d.log(mark) and
                        daemon.READY.search(d.log(mark))), 20,
                       lambda: f"{what}: no records and no word: {d.log(mark)}")
        if what == "umask 0":
            _modes(t)
        d.roles()
        d.signal(signal.SIGTERM)
        code = d.wait_end()
        if code == 0:
            outcomes[what] = "spools, and says why" if SHORT in d.log(mark) else "works"
            continue
        require(may_refuse and 64 <= code <= 78, f"{what}: exit code {code}: {d.log(mark)}")
        require(d.log(mark).strip(), f"{what}: not a word")
        outcomes[what] = f"exit {code}"
    done = procs.run(["prlimit", "--fsize=0:0", daemon.binary(), "-c", d.file, "-f"])
    require(done.returncode == 73 and "PID file" in done.stderr, f"{done.returncode} {done.stderr}")
    outcomes["no file may grow"] = "exit 73"
    delivered(d, topic)
    summary = topic.check(at_least=10)
    t.report(summary, note="; ".join(f"{k}: {v}" for k, v in outcomes.items()))
    strange = summary.strange("up", "aborted", "local")
    require(not strange, f"it had an influence: {summary}")


def _modes(t):
    for root, _, names in os.walk(t.path("spool")):
        for name in names:
            mode = os.stat(os.path.join(root, name)).st_mode & 0o777
            require(mode & 0o027 == 0, f"{name} has mode {mode:o}")
    require(os.stat(t.path("webmond.pid")).st_mode & 0o777 == 0o644, "the PID file's mode")


# --- 58: the log ------------------------------------------------------------------------------

@fault("58a", "the log is full, its reader has gone, or its reader is stuck",
       "checks, HUP and TERM go on without it")
@needs("kafka")
def test_log_in_trouble(t):
    nginx, topic = t.nginx(), t.topic()
    flapping = site("flapping", t.refused().url())
    d = t.daemon(t.settings([*nginx.many(20), flapping], topic))
    took = {}

    def run(what, place, after_start=lambda: None):
        mark, before = d.log_size(), {r.epoch for r in topic.records()}
        d.start(prefix=["sh", "-c", f'exec "$@" 2>{place}', "sh"], wait=False)
        procs.wait_for(lambda: len(d.roles()) >= 4, 10, f"{what}: its processes are not there")
        after_start()
        procs.wait_for(lambda: something_new(topic, before), 20, f"{what}: no records")
        old = set(d.checkers())
        d.signal(signal.SIGHUP)
        took[f"{what}: HUP"] = timed(lambda: procs.wait_for(
            lambda: len(d.checkers()) >= 2 and not old & set(d.checkers()), ANSWER_S,
            f"{what}: HUP is not obeyed"))
        took[f"{what}: TERM"] = term(d, seconds=ANSWER_S)
        require(d.log_size() == mark, "it wrote elsewhere")

    run("full", "/dev/full")
    for what in ("reader gone", "reader stuck"):
        read_end, write_end = os.pipe()
        place = f"/proc/{os.getpid()}/fd/{write_end}"
        if what == "reader gone":
            run(what, place, lambda: os.close(read_end))
        else:
            os.set_blocking(write_end, False)
            try:
                while os.write(write_end, b"x" * 4096):
                    pass
            except BlockingIOError:
                os.set_blocking(write_end, True)
            run(what, place)
            os.close(read_end)
        os.close(write_end)
    delivered(d, topic)
    t.report(topic.check(at_least=20), note=figures(took))


# a /dev of its own with what a daemon needs, and a syslogd of ours
PRIVATE_DEV = """mount -t tmpfs dev /dev && mknod -m 666 /dev/null c 1 3 &&
mknod -m 666 /dev/urandom c 1 9 && ln -s "$0" /dev/log && exec "$@" """


class Syslogd:
    """
    Where it is looked for, from the constructor to close(). It listens all the time, for a socket
    may have room for ten messages only; but not while it is `stuck`.
    """

    def __init__(self, path):
        if os.path.exists(path):
            os.unlink(path)
        self.path = path
        self.said, self.over, self.stuck, self.idle = [], False, False, False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.settimeout(0.1)
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        while not self.over:
            if self.stuck:
                procs.let_pass(0.05, "it is stuck")
                continue
            try:
                self.said.append(self.socket.recv(8192).decode())
            except socket.timeout:
                self.idle = True

    def hear(self, pattern):
        procs.wait_for(lambda: any(re.search(pattern, line) for line in self.said), ANSWER_S,
                       lambda: f"no {pattern!r} in {self.said}")

    def read_on(self):
        """And read all that waits."""
        self.stuck = self.idle = False
        procs.wait_for(lambda: self.idle, ANSWER_S, "syslogd does not come to an end")

    def close(self):
        self.over = True
        self.thread.join()
        self.socket.close()


def with_syslogd(t, count):
    """Web server, topic, a daemon that was just started and logs to it, and the syslogd."""
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(count), topic, log={"destination": "syslog"}))
    syslogd = Syslogd(t.path("log.socket"))
    d.start(prefix=["unshare", "-m", "sh", "-c", PRIVATE_DEV, syslogd.path], wait=False)
    return nginx, topic, d, syslogd


@fault("58b", "the log goes to syslogd, which restarts",
       "every process says what it has to say, and nobody's files are taken for the log")
@needs("root", "kafka")
def test_syslog(t):
    nginx, topic, d, syslogd = with_syslogd(t, 20)
    syslogd.hear(r"^<29>.* webmond\[\d+\]: supervisor: webmond \S+ watches")
    syslogd.hear(r"^<30>.* webmond\[\d+\]: publisher: kafka: delivering")
    syslogd.close()
    procs.let_pass(1, "for how long there is none")
    syslogd = Syslogd(syslogd.path)
    d.signal(signal.SIGHUP)
    syslogd.hear("supervisor: reloaded")
    syslogd.hear("publisher: kafka: delivering")
    files = list(procs.open_files(d.publisher()).values())
    for name in ("spool.db", "spool.db-wal", "spool.lock"):
        require(t.path("spool", name) in files, f"the publisher lost {name}: {files}")
    topic.wait_rounds(d.settings["sites"])
    took = term(d, seconds=ANSWER_S)
    syslogd.hear("supervisor: stopped")
    syslogd.close()
    require(not [line for line in syslogd.said if "error" in line], f"{syslogd.said}")
    t.report(topic.check(at_least=40), note=figures({"TERM": took}))


@fault("58c", "the log goes to a syslogd that is stuck, while all sites go down and up again",
       "checks, HUP and TERM go on without it; it is said how many lines are missing")
@needs("root", "kafka")
def test_syslog_stuck(t):
    nginx, topic, d, syslogd = with_syslogd(t, 150)
    took = {}

    def fill(rounds=6):
        """There is room for as many lines as net.unix.max_dgram_qlen says."""
        syslogd.stuck = True
        for n in range(rounds):
            nginx.stop() if n % 2 == 0 else nginx.start()
            procs.let_pass(1.5, "longer than an interval: each site is seen to change")

    syslogd.hear("publisher: kafka: delivering")
    fill()
    topic.wait_new()
    old = set(d.checkers())
    d.signal(signal.SIGHUP)
    took["HUP"] = timed(lambda: procs.wait_for(
        lambda: len(d.checkers()) >= 2 and not old & set(d.checkers()), ANSWER_S,
        "HUP is not obeyed"))
    syslogd.read_on()
    d.signal(signal.SIGHUP)
    syslogd.hear(r"supervisor: warning: \d+ lines are missing here")
    fill()
    topic.wait_new()
    took["TERM"] = term(d, seconds=ANSWER_S)
    syslogd.close()
    summary = topic.check(at_least=150)
    gaps = records.missing_slots(summary.firsts)
    require(not gaps, gaps)
    require(not summary.strange("up", "connect", "aborted"), f"the log was waited for: {summary}")
    t.report(summary, note=figures(took))
