# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# A checker reads what web sites send. Suppose one of them has taken it over: what can it reach?
# scenarios/80_security.py looks at what everybody holds; here it is tried, from the checker's
# place, with its user, its descriptors and its view of the file system.

import os
import re
import shutil
import signal
import socket
import time

from harness import context, fault, mock, needs, procs, require
from harness.records import cut_off, not_busy
from harness.sites import site

CANARIES = {"the Kafka password": "canary-password-81cf", "a header": "canary-header-33ab",
            "a body": "canary-body-70d2", "an environment variable": "canary-environment-9e44",
            "the Kafka key": "canary-key-c6a5"}

# Run with the rights of a checker, in its root and working directory. Each line of the answer is
# something that should have failed.
BURGLAR = r"""
import ctypes, os, signal, socket, sys
checker, publisher, supervisor, secret_files = \
    int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
libc = ctypes.CDLL(None, use_errno=True)

def attempt(what, action):
    try:
        result = action()
    except (OSError, ValueError):
        return
    if result not in (False, None, -1):
        print(what)

def opened(path, flags):
    fd = os.open(path, flags)
    os.close(fd)
    return True

for path in secret_files:
    for name in (path, f"/proc/{checker}/root{path}", f"/proc/{publisher}/root{path}"):
        attempt(f"reads {name}", lambda: opened(name, os.O_RDONLY))
        attempt(f"writes {name}", lambda: opened(name, os.O_RDWR))
    attempt(f"lists the directory of {path}", lambda: os.listdir(os.path.dirname(path)) and
            "spool" in path)
    attempt(f"removes {path}", lambda: os.unlink(path) is None)
for pid in (checker, publisher, supervisor):
    attempt(f"sees the descriptors of {pid}", lambda: bool(os.listdir(f"/proc/{pid}/fd")))
    for fd in range(64):
        for flags in (os.O_RDONLY | os.O_NONBLOCK, os.O_WRONLY | os.O_NONBLOCK):
            attempt(f"opens descriptor {fd} of {pid}",
                    lambda: opened(f"/proc/{pid}/fd/{fd}", flags))
    for name in ("mem", "environ", "maps", "auxv"):
        attempt(f"reads {name} of {pid}",
                lambda: len(open(f"/proc/{pid}/{name}", "rb").read(1)) > 0)
    attempt(f"traces {pid}", lambda: libc.ptrace(0x4206, pid, 0, 0))
    pidfd = libc.syscall(434, pid, 0)
    for fd in range(16) if pidfd >= 0 else ():
        attempt(f"steals descriptor {fd} of {pid}", lambda: libc.syscall(438, pidfd, fd, 0))
for pid in (publisher, supervisor):
    attempt(f"signals {pid}", lambda: os.kill(pid, signal.SIGURG) is None)
for call in (os.setuid, os.setgid, os.seteuid, os.setegid):
    attempt(f"{call.__name__}(0)", lambda: call(0) is None)
attempt("setgroups", lambda: os.setgroups([0]) is None)
attempt("makes a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) and True)
"""


def running(t, **others):
    """A daemon with two users, a client key and secrets everywhere."""
    os.makedirs(t.path("kafka"))
    for file in t.kafka().client_files():
        shutil.copy(file, t.path("kafka"))
        t.protect(t.path("kafka", os.path.basename(file)))
    with open(t.path("kafka", "service.key"), "a", encoding="ascii") as f:
        f.write(f"# {CANARIES['the Kafka key']}\n")
    lines = [f"sasl.password={CANARIES['the Kafka password']}", "sasl.username=nobody",
             *t.kafka().properties("ssl", t.path("kafka"))]
    t.write("kafka/kafka.properties", "\n".join(lines) + "\n", secret=True)
    nginx, topic = t.nginx(), t.topic()
    secret = {"headers": [f"Authorization: Bearer {CANARIES['a header']}"], "method": "POST",
              "body": CANARIES["a body"]}
    sites = [{**s, **secret} for s in
             [*nginx.many(10), site("refused", t.refused().url()),
              site("away", nginx.url("away/x")), site("hanging", t.slow().url("hang/1"))]]
    settings = t.settings(sites, topic, user=context.USER, checker_user=context.CHECKER_USER,
                          workers={"min": 3, "max": 6}, **others)
    settings["kafka"] = {"topic": topic.name, "properties_file": "kafka/kafka.properties"}
    d = t.daemon(settings)
    t.protect(d.file)
    return d, topic


def effective(pid):
    """The rights of a process as arguments for setpriv(1)."""
    uid, gid = (procs.status_field(pid, name).split()[0] for name in ("Uid", "Gid"))
    groups = procs.status_field(pid, "Groups").split()
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}",
            f"--groups={','.join(groups)}" if groups else "--clear-groups",
            "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]


@fault("60a", "a checker that was taken over tries the Kafka key, the properties, the spool, "
       "everybody's descriptors and memory, and to become root", "nothing of it works")
@needs("root", "kafka")
def test_burglar(t):
    d, topic = running(t)
    d.start()
    topic.wait(bool, 20, "nothing arrives")
    roles = d.roles()
    secret = [t.path("kafka", name) for name in ("service.key", "kafka.properties")]
    secret += [t.path("spool", name) for name in os.listdir(t.path("spool"))]
    checker = roles["checker 1"]
    # from inside: its root, its working directory, its user, and no more than it may do
    tries = [*effective(checker), "python3", "-c", BURGLAR, str(checker),
             str(roles["publisher"]), str(d.pid), *secret]
    done = procs.run(tries, cwd=f"/proc/{checker}/cwd")
    require(done.returncode == 0, f"the burglar has an accident: {done.stderr}")
    require(not done.stdout, f"a checker can: {done.stdout}")
    # the same list with the publisher's user must work here and there, or it proves nothing
    control = procs.run([*effective(roles["publisher"]), *tries[len(effective(checker)):]])
    # reads and writes only: what the control removed would be missed
    require("reads " + secret[0] in control.stdout, f"the burglar is no good: {control.stdout}")
    d.signal(signal.SIGTERM)
    d.wait_end()
    t.report(note=f"{len(secret)} files, {len(roles)} processes")


def keeps(pid, link):
    """Whether it holds that a while later, too."""
    procs.let_pass(1, "what it holds only while it is born is gone then")
    return procs.alive(pid) and link in procs.open_files(pid).values()


@fault("60b", "every descriptor of every checker is looked at", "one socket to the supervisor, the "
       "writing end of the results, what libcurl opened; nothing is shared with others")
@needs("root", "kafka")
def test_descriptors_of_checkers(t):
    d, topic = running(t)
    d.start()
    topic.wait(bool, 20, "nothing arrives")
    looked = 0
    for _ in range(t.times(100, 20)):
        roles = d.roles()
        files = {}
        for role, pid in roles.items():
            try:
                files[role] = {fd: link for fd, link in procs.open_files(pid).items() if fd > 2}
            except FileNotFoundError:
                continue
        results = {link for link in files["publisher"].values()
                   if link.startswith("pipe:") and link in files["supervisor"].values()}
        for role, held in files.items():
            if not role.startswith("checker"):
                continue
            for fd, link in held.items():
                looked += 1
                # one that is being born reads who it is to become
                require(link.startswith(("socket:", "pipe:", "anon_inode:")) or
                        not keeps(roles[role], link), f"{role} holds {link}")
                others = [r for r, f in files.items() if r != role and link in f.values() and
                          not link.startswith("anon_inode:")]
                # the supervisor takes back what a checker has not read out of its end
                jobs = others == ["supervisor"] and link.startswith("socket:")
                require(not others or link in results or jobs, f"{role} and {others} hold {link}")
        procs.let_pass(0.05, "until the next look")
    d.stop()
    t.report(topic.check(at_least=1), note=f"{looked} descriptors")


@fault("60c", "canary secrets: in configuration, headers, body, Kafka's files, environment",
       "nowhere in log, status, records, process list, core file or spool")
@needs("root", "kafka")
def test_canaries(t):
    d, topic = running(t, log={"level": "debug"})
    places = {}
    env = {**os.environ, "SOME_SECRET": CANARIES["an environment variable"]}
    notify = _NotifySocket(t.path("notify"))
    d.start("-v", env={**env, "NOTIFY_SOCKET": notify.path},
            prefix=["prlimit", "--core=unlimited:unlimited"])
    topic.wait(bool, 20, "nothing arrives")
    topic.wait_new()
    d.reload()
    for role, pid in d.roles().items():
        for name in ("cmdline", "environ", "comm", "status"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    places[f"{name} of {role}"] = f.read()
            except (FileNotFoundError, ProcessLookupError):
                pass  # a checker that has left
    before = _cores(t)
    for role in ("checker 1", "publisher"):
        old = d.born(role)  # since the reload there may be none for a moment
        procs.kill(old, signal.SIGSEGV)
        d.born(role, old)
    topic.wait_new()
    d.signal(signal.SIGSEGV)
    require(d.wait_end() == -signal.SIGSEGV, "the supervisor did not die")
    require(_cores(t) == before, f"core files: {_cores(t) - before}")
    d.start()
    topic.wait(lambda found: any(r.epoch == d.epoch for r in found), 20, "nothing arrives")
    d.stop()
    summary = topic.check(at_least=10)
    places["status"] = b"\n".join(notify.heard())
    require(places["status"], "no status was said")
    places["log"] = d.log().encode()
    places["records"] = "".join(r.payload for r in topic.records()).encode()
    for name in os.listdir(t.path("spool")):
        with open(t.path("spool", name), "rb") as f:
            places[f"spool/{name}"] = f.read()
    for options in (["-t"], ["-T"], ["--once", "--stdout"], ["--once"]):
        done = t.webmond(*options, "-v", "-c", d.file, env=env)
        places[" ".join(options)] = (done.stdout + done.stderr).encode()
    broken = t.write("broken.conf", open(d.file, encoding="utf-8").read() + "\nwrong = 1;\n")
    places["-t of a broken file"] = t.webmond("-t", "-c", broken).stderr.encode()
    for place, text in places.items():
        for what, canary in CANARIES.items():
            require(canary.encode() not in text, f"{what} is in {place}")
    t.report(summary, note=f"{len(CANARIES)} secrets, {len(places)} places")


def _cores(t):
    found = set()
    for directory in ("/", t.directory, t.path("spool"), os.getcwd()):
        found |= {os.path.join(directory, n) for n in os.listdir(directory)
                  if re.match(r"core(\.\d+)?$", n)}
    return found


class _NotifySocket:
    """Where the service manager would listen."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)

    def heard(self):
        said = []
        try:
            while True:
                said.append(self.socket.recv(4096))
        except BlockingIOError:
            self.socket.close()
            return said


@fault("60d", "sockets of all roles, again and again under load, with reloads",
       "nothing listens, nothing is bound to a name, but the supervisor's control socket")
@needs("kafka")
def test_nothing_listens(t):
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(100), topic)).start()
    looked = 0
    for n in range(t.times(100, 20)):
        mine = set()
        control = procs.listening() - procs.listening(but=t.path("ctl"))
        for role, pid in d.roles().items():
            try:
                held = set(procs.open_files(pid).values())
            except (FileNotFoundError, PermissionError):
                continue
            mine |= held - (control if role == "supervisor" else set())
        looked += len(mine)
        bad = mine & procs.listening()
        require(not bad, f"listens: {bad}")
        if n % 20 == 10:
            d.signal(signal.SIGHUP)
        procs.let_pass(0.05, "until the next look")
    d.stop()
    t.report(topic.check(at_least=100), note=f"{looked} descriptors")


def hijacked():
    """The daemon whose checkers do what sites called evil-… want."""
    program = os.path.join(os.path.dirname(mock.binary()), "hijacked")
    require(os.access(program, os.X_OK), f"no {program}")
    return program


EVIL = ("signals", "limits", "fork", "exec", "files", "stdout", "terminal")


@fault("60e", "checkers in foreign hands: signals and limits for everybody near, processes, "
       "programs, the spool, Kafka's file, the terminal; with a user of their own, and without",
       "nothing of it works; not one check of a healthy site is disturbed, a stop takes no longer")
@needs("root", "kafka")
def test_hijacked_checkers(t):
    nginx, topic = t.nginx(), t.topic()
    keys = t.write("kafka.properties", f"bootstrap.servers={t.kafka().address()}\n", secret=True)
    spool = t.own_directory("spool")
    touched = "\n".join([keys, t.path("webmond.conf"), spool, t.directory,
                         *(os.path.join(spool, f"spool.{name}") for name in ("db", "db-wal",
                                                                            "lock"))])
    evil = [site(f"evil-{name}", nginx.url("ok/evil"), method="POST", body=touched)
            for name in EVIL]
    took = []
    for checker_user in (None, context.CHECKER_USER):
        settings = t.settings([*nginx.many(16), *evil], topic, checker_user=checker_user,
                              workers={"min": 4, "max": 4})
        settings["kafka"] = {"topic": topic.name, "properties_file": keys}
        d = t.daemon(settings)
        d.start(program=hijacked())
        topic.wait(lambda found: sum(r.epoch == d.epoch and r.site.startswith("evil") for r in
                                     found) >= t.times(300, 40), 120, "too few evil checks")
        began = time.monotonic()
        d.stop()
        took.append(time.monotonic() - began)
    summary = topic.check(at_least=100, every_slot=True)
    bad = [f"{r.site}: {r.error_type}: {r.error_message}" for r in summary.firsts
           if r.status != "up" and r.error_type not in ("missed_overrun", "missed_overload")]
    require(not bad, f"{len(bad)} records, as {bad[:3]}")
    require(max(took) < 10, f"a stop took {max(took):.1f} s")
    require(os.path.exists(os.path.join(spool, "spool.db")), "the spool has gone")
    t.report(summary, note=f"{len(EVIL)} deeds, a stop took {max(took):.1f} s")


@fault("60f", "checkers in foreign hands write to standard output, and escape sequences into "
       "the table of --once", "the records are the publisher's alone, the table is clean text")
def test_hijacked_output(t):
    nginx = t.nginx()
    evil = [site(f"evil-{name}", nginx.url("ok/evil")) for name in ("stdout", "words")]
    d = t.daemon(t.settings([*nginx.many(3), *evil]))
    lines = procs.run([hijacked(), "--once", "--stdout", "-c", d.file]).stdout.splitlines()
    require(len(lines) == 5 and not [line for line in lines if "forged\":" in line], f"{lines}")
    table = procs.run([hijacked(), "--once", "-c", d.file]).stdout
    require("evil-words" in table and "forged" in table, f"the deed was not done: {table!r}")
    require(len(table.splitlines()) == 7, f"a line was forged: {table!r}")
    require(not re.search("[\x00-\x09\x0b-\x1f\u202e]", table), f"controls: {table!r}")
    t.report(note="5 records, 7 lines")


# What each is told to do is in hijacked.c; and how its record may look, besides up and missed.
PIPE_DEEDS = {"ahead": (), "flood": (), "others": (), "twice": (), "bytes": ("aborted",),
              "texts": ("tls", "aborted"), "garbage": (), "change": (), "read": (), "tokens": (),
              "full": ("aborted", "quarantined"), "silent": ("aborted",), "stay": ("aborted",),
              "late": ("aborted",), "nonsense": ("aborted", "quarantined")}
# they say that they are done before there is a record: it comes, but later
LATE_DEEDS = tuple(f"evil-{name}" for name in ("silent", "stay", "late"))
FORGED = 418  # the status code of what is forged


@fault("60g", "checkers in foreign hands use the pipe: slots ahead, floods, ends of other slots, two "
       "ends, bytes and texts, garbage, a pipe that is full, slow or small, done without a record, "
       "tokens in memory; beside healthy sites, with two starts on one spool",
       "the healthy have one record a slot, in order, and it is up; so have the others, of their own "
       "slots and with what they like; a stop takes no longer")
@needs("kafka")
def test_hijacked_pipe(t):
    nginx, topic = t.nginx(), t.topic()
    evil = [site(f"evil-{name}", nginx.url("ok/evil"), timeout=1) for name in PIPE_DEEDS]
    settings = t.settings([*nginx.many(32), *evil], topic, workers={"min": 8, "max": 32})
    took = []
    for _ in range(2):
        d = t.daemon(settings)
        size = d.log_size()
        d.start(program=hijacked())
        topic.wait(lambda found: sum(r.epoch == d.epoch and r.site.startswith("evil") for r in
                                     found) >= t.times(900, 120), 120, "too few evil checks")
        # that the pipe is full excuses nobody for long, as the publisher goes on
        d.wait_log('"evil-full": the checker did not end within', 10, size)
        began = time.monotonic()
        d.stop()
        took.append(time.monotonic() - began)
        require("please report" not in d.log().replace(
            "damaged bytes in the pipe of the checkers: skipped; please report this", ""), "a bug")
    summary = topic.check(at_least=300, every_slot=True, late=LATE_DEEDS)
    whole = [r for r in summary.firsts if not cut_off(r)]
    healthy = [r for r in whole if not r.site.startswith("evil")]
    odd = not_busy([r for r in healthy if r.status != "up"], healthy)
    require(not odd, f"{len(odd)} records of healthy sites, as {odd[:3]}: {odd[0].error_message}"
            if odd else "")
    require(not [r for r in healthy if r.data["http_status_code"] == FORGED], "forged")
    for name, words in PIPE_DEEDS.items():
        mine = [r for r in whole if r.site == f"evil-{name}"]
        expected = (None, "missed_overrun", *words)  # some take longer than a slot
        odd = not_busy([r for r in mine if r.error_type not in expected], mine)
        require(not odd, f"{name}: {len(odd)} records, as {odd[:3]}: {odd[0].error_message}"
                if odd else "")
        require(not words or any(r.error_type in words for r in mine), f"{name} did nothing")
    require(any(r.data["http_status_code"] == FORGED for r in summary.firsts), "nothing was forged")
    require(max(took) < 10, f"a stop took {max(took):.1f} s")
    t.report(summary, note=f"{len(evil)} deeds, a stop took {max(took):.1f} s")
