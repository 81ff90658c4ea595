# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The init script as it is installed: its actions and the exit codes of the LSB.

import os

from harness import Skip, daemon, needs, procs, records, require
from harness.sites import site

FAILED, USAGE, NOT_INSTALLED, NOT_CONFIGURED, NOT_RUNNING = 1, 2, 5, 6, 7
STATUS_DEAD, STATUS_STOPPED = 1, 3


def installed(t):
    """The init script with directories in ours; returns its path and the configuration's."""
    source = os.path.join(records.ROOT, "etc", "webmond.init.in")
    if not os.path.exists(source):
        raise Skip("there is no etc/webmond.init.in")
    with open(source, encoding="utf-8") as f:
        text = f.read()
    places = {"sbindir": "sbin", "sysconfdir": "etc", "localstatedir": "var",
              "runstatedir": "run", "datadir": "share", "bindir": "bin"}
    for name, directory in places.items():
        text = text.replace(f"@{name}@", t.path(directory))
        os.makedirs(t.path(directory), exist_ok=True)
    text = text.replace(" /etc/default/webmond;", ";")  # those of an installed webmond
    os.makedirs(t.path("etc", "webmond"))
    os.makedirs(t.path("var", "lib"))
    script = t.write("init", text)
    os.chmod(script, 0o755)
    os.symlink(daemon.binary(), t.path("sbin", "webmond"))
    os.symlink(daemon.control(), t.path("bin", "webmondctl"))
    return script, t.path("etc", "webmond", "webmond.conf")


@needs("root")
def test_actions(t):
    script, config = installed(t)
    settings = t.settings([site("one", t.refused().url())], "nowhere", "127.0.0.1:1",
                          pid_file=t.path("run", "webmond.pid"),
                          spool={"dir": t.path("var", "lib", "webmond")},
                          log={"destination": "syslog"})

    def action(name, code, text=""):
        done = procs.run([script, name], 60, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                                                  "SYSTEMCTL_SKIP_REDIRECT": "1"})
        require(done.returncode == code, f"{name}: {done.returncode}, not {code}: "
                f"{done.stdout}{done.stderr}")
        require(text in done.stdout + done.stderr, f"{name}: no {text!r} in {done.stdout!r}")

    action("status", STATUS_STOPPED)
    action("start", NOT_CONFIGURED, "webmond.conf")
    with open(config, "w", encoding="ascii") as f:
        f.write("nonsense = 1;\n")
    action("start", NOT_CONFIGURED, "nonsense")
    action("configtest", NOT_CONFIGURED, "nonsense")

    d = t.daemon(settings, config)
    action("configtest", 0)
    action("nonsense", USAGE)
    action("stop", 0)
    action("try-restart", 0)
    action("status", STATUS_STOPPED)
    action("reload", NOT_RUNNING)

    action("start", 0)
    first = pid_of(settings)
    require(procs.cmdline(first) == "webmond: supervisor", "the PID is another's")
    action("status", 0, str(first))
    action("start", 0)
    require(pid_of(settings) == first, "a second start has changed something")
    action("reload", 0)
    action("force-reload", 0)
    require(pid_of(settings) == first and procs.alive(first), "a reload has restarted it")
    with open(config, "a", encoding="ascii") as f:
        f.write("nonsense = 1;\n")
    action("reload", NOT_CONFIGURED, "nonsense")
    action("restart", NOT_CONFIGURED, "nonsense")
    # nor does what only a start would find out
    for unfit, code, text in (({"kafka": None}, NOT_CONFIGURED, "no group kafka"),
                              ({"spool": {"dir": t.path("none")}}, FAILED, "spool.dir")):
        d.write_config({**settings, **unfit})
        action("restart", code, text)
        action("try-restart", code, text)
        action("reload", NOT_CONFIGURED, "has changed: that needs a restart")
    require(procs.alive(first), "a configuration that cannot start has stopped it")
    d.write_config(settings)
    d.write_config()
    action("restart", 0)
    second = pid_of(settings)
    require(second != first and not procs.alive(first), "not restarted")
    action("try-restart", 0)
    third = pid_of(settings)
    require(third != second, "not restarted")

    # it dies, and its number goes to a stranger
    for pid in [third, *procs.descendants(third)]:
        procs.kill(pid)
    procs.wait_for(lambda: not procs.alive(third), 5, "it is not dead")
    action("status", STATUS_DEAD)
    stranger = procs.spawn(["sleep", "600"])
    with open(settings["pid_file"], "w", encoding="ascii") as f:
        f.write(f"{stranger.pid}\n")
    action("status", STATUS_DEAD)
    action("stop", 0)
    require(procs.alive(stranger.pid), "a stop has killed a stranger")
    action("status", STATUS_STOPPED)
    with open(settings["pid_file"], "w", encoding="ascii") as f:
        f.write(f"{stranger.pid}\n")
    action("start", 0)
    require(procs.alive(stranger.pid), "a start has killed a stranger")
    procs.end(stranger)
    action("stop", 0)
    action("status", STATUS_STOPPED)
    require(not os.path.exists(settings["pid_file"]), "the PID file is left behind")
    require(os.listdir(t.path("run")) == [], f"left behind: {os.listdir(t.path('run'))}")

    unusable = {**settings, "pid_file": t.path("run", "webmond.pid"),
                "spool": {"dir": t.path("etc", "none")}}
    d.write_config(unusable)
    action("start", FAILED)

    # a relative name is relative to the configuration, and need not begin a line
    d.write_config({**settings, "pid_file": "here.pid"})
    with open(config, encoding="utf-8") as f:
        text = f.read()
    with open(config, "w", encoding="utf-8") as f:
        f.write(text.replace("\npid_file", " pid_file"))
    action("start", 0)
    action("status", 0)
    require(os.path.exists(t.path("etc", "webmond", "here.pid")), "it has another PID file")
    action("stop", 0)
    action("status", STATUS_STOPPED)

    # its program is removed while it runs
    d.write_config(settings)
    action("start", 0)
    os.unlink(t.path("sbin", "webmond"))
    action("status", 0)
    action("restart", NOT_INSTALLED, "sbin/webmond")
    action("stop", 0)
    action("status", STATUS_STOPPED)
    for name in ("start", "stop", "configtest"):
        action(name, NOT_INSTALLED, "sbin/webmond")


def pid_of(settings):
    with open(settings["pid_file"], encoding="ascii") as f:
        return int(f.read())
