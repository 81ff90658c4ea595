# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The life of Debian's package, in a system that is thrown away afterwards (tests/debian.sh): it is
# installed, upgraded under a running daemon, removed, installed again and purged.

import os
import pwd
import re
import shutil
import stat

from harness import Skip, needs, procs, require
from harness.sites import site

CONFIG, SPOOL, PID_FILE = "/etc/webmond/webmond.conf", "/var/lib/webmond", "/run/webmond.pid"
# no questions; a configuration that was changed by both stays as it is here
APT = ["apt-get", "-qq", "-y", "--no-install-recommends", "--allow-downgrades",
       "-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0"]
ENVIRONMENT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
PATIENCE_S = 300


def command(*argv, code=0):
    done = procs.run(list(argv), PATIENCE_S, env=ENVIRONMENT)
    said = done.stdout + done.stderr
    require(done.returncode == code, f"{' '.join(argv)}: {done.returncode}, not {code}: {said}")
    return said


def newer(t, package, number):
    """The same package as a later version, whose sample of the configuration has one more line."""
    tree = t.path(f"tree-{number}")
    command("dpkg-deb", "-R", package, tree)
    control = os.path.join(tree, "DEBIAN", "control")
    with open(control, encoding="utf-8") as f:
        text = f.read()
    with open(control, "w", encoding="utf-8") as f:
        f.write(re.sub("^Version: .*", rf"\g<0>+{number}", text, flags=re.M))
    with open(tree + CONFIG, "a", encoding="utf-8") as f:
        f.write(f"# new in {number}\n")
    made = t.path(f"webmond-{number}.deb")
    command("dpkg-deb", "-b", tree, made)
    return made


def mode(path):
    there = os.stat(path)
    return oct(stat.S_IMODE(there.st_mode)), pwd.getpwuid(there.st_uid).pw_name


def pid():
    with open(PID_FILE, encoding="ascii") as f:
        return int(f.read())


def allow_services(t):
    """This system has no init; let invoke-rc.d believe in one, and start and stop services."""
    for path, text in (("/usr/sbin/runlevel", "echo N 2"), ("/usr/sbin/policy-rc.d", "exit 0")):
        shutil.copy(t.write("script", f"#!/bin/sh\n{text}\n"), path)
        os.chmod(path, 0o755)


def installed(package):
    command(*APT, "install", "systemd-standalone-sysusers", package)
    for user in ("webmond", "webmond-check"):
        pwd.getpwnam(user)
    require(mode(SPOOL) == ("0o700", "webmond"), f"{SPOOL}: {mode(SPOOL)}")
    require(mode(CONFIG) == ("0o640", "root"), f"{CONFIG}: {mode(CONFIG)}")
    require(not os.path.exists(PID_FILE), "it was started without being configured")
    require(command("webmond", "-V").startswith("webmond "), "webmond -V")
    require("running" in command("service", "webmond", "status", code=3), "service status")


@needs("root")
def test_life(t):
    package = os.environ.get("PACKAGE")
    if package is None:
        raise Skip("only with PACKAGE=webmond_….deb, in a system that may be spoilt")
    allow_services(t)
    procs.run(["dpkg", "--purge", "webmond"], PATIENCE_S)  # what a first try has left
    cluster = t.mock()
    topic = cluster.topic("results", 3)
    installed(package)
    slow = t.slow()
    sites = [*t.nginx().many(10), site("hangs", slow.url("hang/x"), interval=30, timeout=25)]
    settings = t.settings(sites, topic, cluster.bootstrap, user="webmond",
                          checker_user="webmond-check", pid_file=PID_FILE,
                          spool={"dir": SPOOL}, log={"destination": "syslog"})
    t.daemon(settings, CONFIG)
    command("update-rc.d", "webmond", "enable")
    command("service", "webmond", "start")
    topic.wait_rounds(sites[:10], 2)

    # what waits when it is upgraded is sent by the new version; the open slot has a record, too
    cluster.command("down")
    slow.wait_asked()
    settings["sites"] = sites[:10]  # no slot is open for long when the topic is read
    t.daemon(settings, CONFIG)
    first = pid()
    command(*APT, "install", newer(t, package, 2))
    second = pid()
    require(second != first and not procs.alive(first), "the daemon was not restarted")
    require(os.path.exists(CONFIG + ".dpkg-dist"), "the new configuration is not beside the old")
    cluster.command("up")
    topic.wait_for_all()
    summary = topic.check(at_least=40, every_slot=True)
    require(summary.epochs == 2, f"{summary.epochs} epochs")
    # apt may take longer than its timeout
    require(summary.words["aborted"] + summary.words["timeout"], f"the open slot: {summary}")

    # a configuration that cannot be started with does not end what runs
    with open(CONFIG, "a", encoding="utf-8") as f:
        f.write("nonsense = 1;\n")
    require("nonsense" in command(*APT, "install", newer(t, package, 3)), "nobody says why")
    require(pid() == second and procs.alive(second), "a mistake has ended the daemon")
    t.daemon(settings, CONFIG)

    # removed with records that wait: they, and what was configured, are for the next time
    cluster.command("down")
    procs.let_pass(2, "for how long records wait")
    command(*APT, "remove", "webmond")
    require(not procs.alive(second) and shutil.which("webmond") is None, "it is still there")
    require(os.path.exists(CONFIG) and os.listdir(SPOOL), "more is gone than the program")
    cluster.command("up")
    command(*APT, "install", package)
    command("service", "webmond", "start")
    topic.wait_for_all()
    summary = topic.check(at_least=40, every_slot=True)
    t.note(summary)
    require(summary.epochs == 3, f"{summary.epochs} epochs")

    last = pid()
    command(*APT, "purge", "webmond")
    require(not procs.alive(last), "it runs on after a purge")
    left = [path for path in (CONFIG, SPOOL, "/etc/init.d/webmond", PID_FILE)
            if os.path.exists(path)]
    left += [name for level in "0123456S" for name in os.listdir(f"/etc/rc{level}.d")
             if "webmond" in name]
    require(not left, f"left by a purge: {left}")
    pwd.getpwnam("webmond")
