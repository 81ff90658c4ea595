# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# metrics_file: who writes it, when, and where not; and what real Prometheus and node_exporter make of
# it, with the alerts of etc/prometheus-rules.yml.

import json
import os
import pwd
import re
import shutil
import signal
import stat
import time
import urllib.parse
import urllib.request

from harness import Skip, daemon, needs, procs, require, strace
from harness.context import ROOT, USER
from harness.sites import site

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CANNOT_CREATE = 73
WRITTEN_S = 90  # it is due after 15 s


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def samples(path, metric):
    """Its samples in the file: labels, value."""
    return dict(re.findall(rf"^{metric}(?:{{(.*)}})? (\S+)$", text_of(path), re.M))


def stamp(path):
    """Which file it is now; None: there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def written(path, before=None):
    """Until it is another file than `before`."""
    procs.wait_for(lambda: stamp(path) not in (None, before), WRITTEN_S, f"{path} is not written")


def program(*names):
    found = [f for f in map(shutil.which, names) if f]
    if not found:
        raise Skip(f"there is no {names[0]} (Debian: prometheus, prometheus-node-exporter)")
    return found[0]


def node_exporter():
    return program("prometheus-node-exporter", "node_exporter")


def refused_settings(t, file, sites=None):
    refused = t.refused()
    return t.settings(sites or [site("gone", refused.url())], "nowhere",
                      f"127.0.0.1:{refused.port}", metrics_file=file)


def test_written_and_removed(t):
    path = os.path.join(t.own_directory("collector"), "webmond.prom")
    other = os.path.join(t.own_directory("elsewhere"), "x.prom")
    t.write("precious", "precious")
    os.symlink(t.path("precious"), path)  # it is replaced, and nothing behind it
    d = t.daemon(refused_settings(t, path)).start()
    procs.wait_for(lambda: not os.path.islink(path), WRITTEN_S, "it is not written")
    found = os.stat(path)
    require(stat.S_IMODE(found.st_mode) == 0o644, "node_exporter could not read it")
    if ROOT:
        require(found.st_uid == pwd.getpwnam(USER).pw_uid, "it is not written by the user")
    require(text_of(t.path("precious")) == "precious", "a link was followed")
    written(path, stamp(path))  # again, by itself
    require(samples(path, "probe_success") == {'site="gone"': "0"}, text_of(path))
    done = procs.run([daemon.control(), "-s", t.path("ctl"), "metrics"])
    heads = [re.findall("^# .*", text, re.M) for text in (done.stdout, text_of(path))]
    require(heads[0] == heads[1] and len(heads[0]) > 40, f"webmondctl prints others: {done}")
    require(os.listdir(t.path("collector")) == ["webmond.prom"], "something was left")

    # a reload moves it, and tells of a new site at once
    d.write_config({**d.settings, "metrics_file": other,
                    "sites": [*d.settings["sites"], site("two", t.refused().url())]})
    d.signal(signal.SIGHUP)
    written(other)
    procs.wait_for(lambda: not os.path.exists(path), 5, "the old one is still there")
    require(len(samples(other, "webmond_site_info")) == 2, text_of(other))

    # killed, it stays, for its age to be seen; the next start writes it anew
    d.kill()
    before = stamp(other)
    require(before is not None, "who has removed it?")
    d.start()
    written(other, before)
    d.stop()
    require(os.listdir(t.path("elsewhere")) == [], "a stop leaves it")


def test_what_cannot_be_written(t):
    """A start refuses it with the cure; later it is said once, and nothing else suffers."""
    directory = t.path("collector")
    path = os.path.join(directory, "webmond.prom")
    d = t.daemon(refused_settings(t, path))
    done = procs.run([daemon.binary(), "-t", "-c", d.file])
    require(done.returncode == CANNOT_CREATE and
            re.search(r"webmond\.conf:\d+: metrics_file: \".*/collector/\": .*make the directory",
                      done.stderr), done.stderr)
    if ROOT:
        os.mkdir(directory, 0o755)  # root's
        done = procs.run([daemon.binary(), "-t", "-c", d.file])
        require(done.returncode == CANNOT_CREATE and f'user "{USER}" must be able' in done.stderr,
                done.stderr)
    t.own_directory("collector")
    d.start()
    written(path)
    os.rename(directory, t.path("away"))
    d.wait_log("metrics_file: cannot write .*: No such file", WRITTEN_S)
    d.signal(signal.SIGHUP)  # a mistake by now, too
    d.wait_log("metrics_file: .*make the directory.*(?s:.*)reload failed", 30)
    os.rename(t.path("away"), directory)
    d.wait_log("metrics_file: written again", WRITTEN_S)
    require(d.log().count("metrics_file: cannot write") == 1, d.log())
    d.stop()


@needs("root")
def test_one_that_hangs_is_waited_for(t):
    """As on a dead network file system: nobody else starts meanwhile, and a stop does not wait."""
    path = os.path.join(t.own_directory("collector"), "webmond.prom")
    d = t.daemon(refused_settings(t, path)).start()
    seen = [set()]

    def stuck_writer():
        """That was there half a second ago already."""
        before, seen[0] = seen[0], {p for p in procs.descendants(d.pid)
                                    if "metrics writer" in procs.cmdline(p)}
        return next(iter(before & seen[0]), None)

    with strace.Strace(d.pid, "?renameat,renameat2", "signal=SIGSTOP", follow=True):
        pid = procs.wait_for(stuck_writer, WRITTEN_S, "nobody writes it", pause=0.5)
    procs.wait_for(lambda: procs.is_stopped(pid), 10, "it goes on")
    done = procs.run([daemon.control(), "-s", t.path("ctl"), "sites"], 30)
    require(done.returncode == 0 and procs.is_stopped(pid), f"the daemon waits for it: {done}")
    d.stop()
    left = procs.alive(pid), os.listdir(t.path("collector"))
    require(left == (False, []), f"left behind: {left}")


def test_promtool(t):
    promtool = program("promtool")
    path = os.path.join(t.own_directory("collector"), "webmond.prom")
    nginx = t.nginx()
    odd = site("odd", nginx.url("ok/" + "x" * 500), labels=["a=\"b\\\\", "c=d"], interval=5)
    d = t.daemon(refused_settings(t, path, [odd, *nginx.many(50)])).start()
    written(path)
    written(path, stamp(path))
    with open(path, "rb") as f:
        done = procs.run([promtool, "check", "metrics"], stdin=f)
    require(done.returncode == 0, done.stdout + done.stderr)
    d.stop()
    for command in (["check", "rules", os.path.join(TOP, "etc", "prometheus-rules.yml")],
                    ["test", "rules", os.path.join(TOP, "tests", "prometheus-rules.yml")]):
        done = procs.run([promtool, *command])
        require(done.returncode == 0, done.stdout + done.stderr)


class Prometheus:
    """Prometheus, which reads node_exporter, which reads the file."""

    def __init__(self, t, collector):
        self.port, node = procs.free_ports(2)
        t.write("prometheus.yml", json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [os.path.join(os.path.abspath(TOP), "etc", "prometheus-rules.yml")],
            "scrape_configs": [{"job_name": "node",
                                "static_configs": [{"targets": [f"127.0.0.1:{node}"]}]}]}))
        with open(t.path("prometheus.log"), "ab") as log:
            self.processes = [
                procs.spawn([node_exporter(), "--collector.disable-defaults",
                             "--collector.textfile", f"--collector.textfile.directory={collector}",
                             f"--web.listen-address=127.0.0.1:{node}"], stdout=log, stderr=log),
                procs.spawn([program("prometheus"), f"--config.file={t.path('prometheus.yml')}",
                             f"--storage.tsdb.path={t.path('tsdb')}",
                             f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log)]
        procs.wait_for(lambda: self.ask("up") == {"node": "1"}, 60,
                       lambda: text_of(t.path("prometheus.log")), pause=0.5)

    def _get(self, what):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{what}", timeout=10) as r:
                return json.load(r)["data"]
        except OSError:
            return None

    def ask(self, query):
        """The samples, by site or, where there is none, by job."""
        data = self._get("query?" + urllib.parse.urlencode({"query": query}))
        return data and {s["metric"].get("site") or s["metric"].get("job"): s["value"][1]
                         for s in data["result"]}

    def alerts(self):
        data = self._get("alerts")
        return data and {(a["labels"]["alertname"], a["labels"].get("site"), a["state"])
                         for a in data["alerts"]}

    def end(self):
        for process in self.processes:
            procs.end(process)


@needs("root")
def test_real_prometheus(t):
    program("prometheus")
    node_exporter()
    collector = t.own_directory("collector")
    path = os.path.join(collector, "webmond.prom")
    nginx = t.nginx()
    sites = [site("good", nginx.url("ok/good")), site("bad", nginx.url("down/bad")),
             site("tls", nginx.tls_url("ok/tls"), ca_file=t.path("nginx", "site-ca.pem")),
             site("gone", t.refused().url())]
    d = t.daemon(refused_settings(t, path, sites)).start()
    prometheus = Prometheus(t, collector)
    try:
        def seen(query, wanted):
            procs.wait_for(lambda: prometheus.ask(query) == wanted, WRITTEN_S,
                           lambda: f"{query}: {prometheus.ask(query)}", pause=0.5)

        seen("probe_success", {"good": "1", "bad": "0", "tls": "1", "gone": "0"})
        seen("probe_http_status_code", {"good": "200", "bad": "500", "tls": "200", "gone": "0"})
        seen("probe_ssl_earliest_cert_expiry > bool (time() + 86400)", {"tls": "1"})
        seen("node_textfile_scrape_error", {"node": "0"})
        seen("probe_success * on (site) group_left (url) webmond_site_info{url=~\".*/down/.*\"}",
             {"bad": "0"})
        for name in ("bad", "gone"):
            procs.wait_for(lambda n=name: ("SiteDown", n, "firing") in (prometheus.alerts() or ()),
                           WRITTEN_S, lambda: f"{prometheus.alerts()}", pause=0.5)
        require(not any(s in ("good", "tls") for _, s, _ in prometheus.alerts()), "others, too")
        # killed: what it said stays, and its age is seen
        d.kill()
        os.utime(path, (time.time() - 100,) * 2)
        procs.wait_for(lambda: ("WebmondSilent", None, "firing") in (prometheus.alerts() or ()), 60,
                       lambda: f"{prometheus.alerts()} {prometheus._get('query?query=node_textfile_mtime_seconds')}",
                       pause=0.5)
        d.start()
        procs.wait_for(lambda: "WebmondSilent" not in {a for a, _, _ in prometheus.alerts() or ()}, 60,
                       "the alert stays", pause=0.5)
        # stopped: all of it is gone at once, and somebody is told
        d.stop()
        seen("probe_success", {})
        procs.wait_for(lambda: ("WebmondStopped", None, "pending") in (prometheus.alerts() or ()), 60,
                       lambda: f"{prometheus.alerts()}", pause=0.5)
    finally:
        prometheus.end()
