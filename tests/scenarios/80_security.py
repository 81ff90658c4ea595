# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Who holds what: users, rights, descriptors, sockets, secrets.

import contextlib
import os
import pwd
import re
import select
import signal
import socket
import time

from harness import Skip, context, needs, procs, records, require
from harness.daemon import binary
from harness.sites import site

CANARIES = ("canary-password-5d1e", "canary-token-77aa", "canary-environment-0c3b")
O_ACCMODE, O_WRONLY = 3, 1


def running(t, **others):
    """A daemon against the SASL listener, with a wrong password that is a canary."""
    lines = [line for line in t.kafka().properties("sasl") if "password" not in line]
    t.write("kafka.properties", "\n".join([*lines, f"sasl.password={CANARIES[0]}"]), secret=True)
    topic = t.topic()
    nginx, slow = t.nginx(), t.slow()
    sites = [*nginx.many(10), site("refused", t.refused().url()),
             site("hanging", slow.url("hang/1"))]
    secret = {"headers": [f"Authorization: Bearer {CANARIES[1]}"]}
    settings = t.settings([{**s, **secret} for s in sites], topic,
                          workers={"min": 3, "max": 3}, **others)
    settings["kafka"] = {"topic": topic.name, "properties_file": "kafka.properties"}
    d = t.daemon(settings).start("-v", env={**os.environ, "SOME_KEY": CANARIES[2]})
    d.wait_log("kafka: .*([Pp]assword|[Aa]uthentication)", 20)
    nginx.wait_asked(20)
    slow.wait_asked()
    return d, topic


@needs("kafka")
def test_titles(t):
    d, _ = running(t)
    roles = d.roles()
    expected = {"supervisor", "publisher", *(f"checker {n}" for n in (1, 2, 3))}
    require(set(roles) >= expected, f"{roles}")
    for role, pid in roles.items():
        require(procs.cmdline(pid) == f"webmond: {role}", f"{role}: {procs.cmdline(pid)!r}")
        with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
            require(f.read().strip() == "webmond", "comm is not webmond")
    strangers = [procs.cmdline(pid) for pid in procs.descendants(d.pid)
                 if pid not in roles.values()]
    require(not strangers, f"other processes: {strangers}")
    d.stop()


def sockets(pid):
    return {inode for fd, inode in procs.open_files(pid).items()
            if inode.startswith("socket:") and fd > 2}


def each_socket(pid, act):
    """
    As if the process itself did that to its sockets; one of them brings its jobs. What it talks to
    web sites by is left out: it comes and goes.
    """
    for fd, link in procs.open_files(pid).items():
        if fd > 2 and link.startswith("socket:"):
            borrowed = procs.borrow_socket(pid, fd)
            if borrowed is not None:
                with borrowed:
                    if borrowed.family == socket.AF_UNIX:
                        act(borrowed)


@needs("root", "kafka")
def test_descriptors(t):
    d, _ = running(t)
    roles = d.roles()
    files = {role: procs.open_files(pid) for role, pid in roles.items()}
    open_to_all = procs.listening()
    control = open_to_all - procs.listening(but=t.path("ctl"))
    require(len(control) == 1 and control <= sockets(roles["supervisor"]), "no control socket")
    open_to_all -= control
    for role, pid in roles.items():
        require(role == "supervisor" or not sockets(pid) & control, f"{role} holds {control}")
        require(not sockets(pid) & open_to_all, f"{role} listens: {sockets(pid) & open_to_all}")
    for role, pid in roles.items():
        for other in roles:
            shared = sockets(pid) & sockets(roles[other]) if other != role else set()
            # the supervisor takes back what a checker has not read
            expected = "supervisor" in (role, other) and "checker" in role + other
            require(len(shared) == expected, f"{role} and {other} both hold {shared}")

    results = {link for link in files["supervisor"].values() if link.startswith("pipe:")} & \
              {link for link in files["publisher"].values()}
    require(len(results) == 2, f"supervisor and publisher share {results}")
    of_checkers = {link for role in roles if role.startswith("checker")
                   for link in files[role].values()} & results
    require(len(of_checkers) == 1, f"checkers and publisher share {of_checkers}")
    for role, pid in roles.items():
        require(role == "supervisor" or files[role][0] == files[role][1] == "/dev/null",
                f"{role} holds {files[role]}")
        require(role == "supervisor" or os.getsid(pid) == pid, f"{role} has our session")
        own = {fd: link for fd, link in files[role].items() if fd > 2}
        writes = {_access(pid, fd) == O_WRONLY for fd, link in own.items() if link in results}
        if role.startswith("checker"):
            require(writes == {True}, f"{role} may read the results: {own}")
            others = [link for link in own.values()
                      if not link.startswith(("socket:", "pipe:", "anon_inode:"))]
            require(not others, f"{role} holds {others}")
        elif role == "publisher":
            require(writes == {False}, f"the publisher holds the write end: {own}")
            others = [link for link in own.values() if link.startswith("/")
                      and not link.startswith(t.path("spool"))
                      and link not in ("/dev/null", "/dev/urandom")]
            require(not others, f"the publisher holds {others}")
        else:
            others = [link for link in own.values() if link.startswith("/")]
            require(sorted(others) == [t.path("spool", "spool.lock"), t.path("webmond.pid")],
                    f"the supervisor holds {others}")
    d.stop()


@needs("root", "kafka")
def test_checker_that_takes_no_work(t):
    """It shuts its socket, so that jobs stay with the supervisor: it is replaced."""
    topic = t.topic()
    d = t.daemon(t.settings(t.nginx().many(20), topic, workers={"min": 2, "max": 4})).start()
    old = d.roles()["checker 1"]
    procs.kill(old, signal.SIGSTOP)  # else it would see the end, and leave
    each_socket(old, lambda jobs: jobs.shutdown(socket.SHUT_RD))
    procs.wait_for(lambda: d.roles().get("checker 1") not in (None, old), 15,
                   "the checker stays")
    topic.wait_new()
    d.stop()
    topic.check(at_least=3, every_slot=True)


@needs("root", "kafka")
def test_checker_that_says_anything(t):
    """It is in foreign hands: as soon as it says what it was not asked, it is replaced."""
    topic = t.topic()
    d = t.daemon(t.settings(t.nginx().many(20), topic, workers={"min": 2, "max": 4})).start()
    for words in (b"x", bytes(168), os.urandom(168)):
        old = d.roles()["checker 1"]
        each_socket(old, lambda jobs, w=words: jobs.send(w))
        procs.wait_for(lambda p=old: d.roles().get("checker 1") not in (None, p), 15,
                       lambda w=words: f"it said {w}, and stays")
    topic.wait_new()
    d.stop()
    topic.check(at_least=20, every_slot=True)


@needs("root", "kafka")
def test_checker_that_claims_all_jobs(t):
    """A checker that reads all its jobs and dies costs one check, like any death."""
    topic = t.topic()
    d = t.daemon(t.settings(t.nginx().many(30), topic, workers={"min": 1, "max": 1})).start()
    topic.wait_rounds(d.settings["sites"], 2)
    old = d.roles()["checker 1"]
    procs.kill(old, signal.SIGSTOP)
    taken, until = 0, time.monotonic() + 1
    borrowed = [procs.borrow_socket(old, fd) for fd, what in procs.open_files(old).items()
                if what.startswith("socket:")]
    (jobs,) = [one for one in borrowed if one.type == socket.SOCK_SEQPACKET]
    with jobs:
        while time.monotonic() < until:
            if select.select([jobs], [], [], 0.1)[0]:
                with contextlib.suppress(BlockingIOError):  # the supervisor was faster
                    taken += len(jobs.recv(4096, socket.MSG_DONTWAIT)) > 0
    require(taken > 1, f"{taken} jobs were taken")
    procs.kill(old)
    topic.wait_new()
    d.stop()
    summary = topic.check(at_least=60, every_slot=True)
    t.note(summary)
    aborted = [r for r in summary.firsts if r.error_type == "aborted" and not records.cut_off(r)]
    require(len(aborted) <= 1, f"{summary}: {aborted}")


def _access(pid, fd):
    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
        for line in f:
            if line.startswith("flags:"):
                return int(line.split()[1], 8) & O_ACCMODE
    return None


@needs("root", "kafka")
def test_users_and_rights(t):
    d, _ = running(t, user=context.USER, checker_user=context.CHECKER_USER)
    for role, pid in d.roles().items():
        name = {"supervisor": "root", "publisher": context.USER}.get(role, context.CHECKER_USER)
        user = pwd.getpwnam(name)
        uids = {int(n) for n in procs.status_field(pid, "Uid").split()}
        gids = {int(n) for n in procs.status_field(pid, "Gid").split()}
        require(uids == {user.pw_uid}, f"{role} is {uids}, not {name}")
        if role == "supervisor":
            # SETUID, SETGID, KILL, DAC_READ_SEARCH
            require(int(procs.status_field(pid, "CapPrm"), 16) == 0xe4, "it has more rights")
            continue
        require(gids == {user.pw_gid}, f"{role} has the groups {gids}")
        groups = {int(n) for n in procs.status_field(pid, "Groups").split()}
        require(0 not in groups, f"{role} is in the groups {groups}")
        require(procs.status_field(pid, "NoNewPrivs") == "1", f"{role} may gain rights")
        require(int(procs.status_field(pid, "CapEff"), 16) == 0, f"{role} has capabilities")
        require(int(procs.status_field(pid, "CapPrm"), 16) == 0, f"{role} has capabilities")
        if role.startswith("checker"):
            require(groups == gids, f"{role} is in the groups {groups}")
            # the wall; where the kernel has none, the log says so
            require(procs.status_field(pid, "Seccomp") == "2" or "has no" in d.log(),
                    f"{role} may make any system call")
            with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as f:
                require(int(f.read()) >= 500, f"{role} goes no sooner than the publisher")
        # not dumpable: then the files in /proc belong to root
        require(os.stat(f"/proc/{pid}/environ").st_uid == 0, f"{role} is dumpable")
    checker = pwd.getpwnam(context.CHECKER_USER)
    for path in (t.path("spool", "spool.db"), t.path("kafka.properties")):
        done = procs.run(["setpriv", f"--reuid={checker.pw_uid}", f"--regid={checker.pw_gid}",
                          "--clear-groups", "cat", path])
        require(done.returncode != 0, f"checker_user may read {path}")
    d.stop()


@needs("root")
def test_users_are_warned_of(t):
    """Checkers share a user or a group with the publisher: said by -t and at each start."""
    if procs.run(["unshare", "-m", "true"]).returncode != 0:
        raise Skip("mount namespaces are not allowed")
    text = ('user = "games"; pid_file = "%s"; %%s\n'
            'sites = ( { name = "a"; url = "http://127.0.0.1:1/"; } );\n' % t.path("pid"))
    with open("/etc/passwd", encoding="utf-8") as f:
        known = f.read()
    t.write("passwd", known + "webmond-check:x:64001:64001::/:/bin/false\n"
            "webmond-group:x:64002:%d::/:/bin/false\n" % pwd.getpwnam("games").pw_gid)
    mounted = ["unshare", "-m", "sh", "-c", f'mount --bind {t.path("passwd")} /etc/passwd; exec "$@"',
               "sh", binary()]
    for users, program, words in (
            ("", [binary()], "checker_user: .*run as the user .*useradd .*webmond-check"),
            ('checker_user = "webmond-group";', mounted, 'has the group of "games"'),
            ('checker_user = "news";', [binary()], None),
            # the default, where there is that user
            ("", mounted, None)):
        file = t.write("users.conf", text % users)
        said = [procs.run([*program, *options, "-c", file]).stderr
                for options in (["-t", "--stdout"], ["--once"])]
        for line in said:
            require(re.search(words, line) if words else "warning" not in line, f"{users}: {said}")


@needs("user", "kafka")
def test_rights_without_root(t):
    d, _ = running(t)
    for role, pid in d.roles().items():
        if role != "supervisor":
            require(procs.status_field(pid, "NoNewPrivs") == "1", f"{role} may gain rights")
    d.stop()


@needs("kafka")
def test_secrets_stay_secret(t):
    d, topic = running(t)
    d.reload()
    places = {}
    for role, pid in d.roles().items():
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    places[f"{name} of the {role}"] = f.read().decode("utf-8", "replace")
            except OSError:
                pass  # not ours to read: good; or it has left, since it is of before the reload
    d.stop()
    lines = t.kafka().properties("sasl")
    t.write("kafka.properties", "\n".join(lines), secret=True)
    d.start("-v")
    topic.wait(lambda found: len({r.epoch for r in found}) == 2, 30, "nothing arrives")
    d.stop()
    summary = topic.check(at_least=20)
    t.note(summary)
    places["the log"] = d.log()
    places["a record"] = "".join(r.payload for r in topic.records())
    lines = t.webmond("--once", "--stdout", "-v", "-c", d.file)
    places["--once"] = lines.stdout + lines.stderr
    places["-T"] = t.webmond("-T", "-v", "-c", d.file).stderr
    for place, text in places.items():
        for canary in CANARIES:
            require(canary not in text, f"{canary} is in {place}")
    require(any(r.error_type == "connect" for r in records.by_site(summary.firsts)["refused"]),
            "refused is not down")
