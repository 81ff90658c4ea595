# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# What a user would pick instead, each configured as its manual says: fresh connections, the whole
# body read and the pattern looked for, acks=all where there is a Kafka. Those that can be told when
# to begin get webmond's own slots. Over HTTPS they trust one authority, not all of the system's, as
# some load them again for each check. They come from peers.sh or from the system.

import json
import os
import shutil
import subprocess
import urllib.parse
from collections import defaultdict

from harness import procs

from .loads import PROCESSES
from .programs import LATEST_S, Outcome, write_sites
from .slots import phase_ms
from .target import PATTERN

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                     "webmond-tests", "peers")
DEBIAN = os.path.join(CACHE, "debian")


def find(*places):
    """The first program that is there: below the cache, or by its name or path on the system."""
    for place in places:
        for path in (os.path.join(CACHE, place), shutil.which(place)):
            if path and os.access(path, os.X_OK):
                return path
    return None


class Peer:
    """A program in the foreground with a configuration of its own and a topic."""

    loads = ("http-1k", "http-10k", "https-p256")
    name = executable = None
    into_kafka = True
    paced = True

    def __init__(self, bench):
        self.bench = bench
        self.topic = None

    def missing(self):
        return self.executable is None

    def suits(self, load):
        return load.name in self.loads

    def version(self):
        """By its --version, unless a subclass knows better: the first line that has a number."""
        text = procs.run([self.executable, "--version"])
        lines = (text.stdout + text.stderr).splitlines()
        return next((line for line in lines if any(c.isdigit() for c in line)), "?").strip()

    def start(self, load):
        if self.into_kafka:
            self.topic = self.bench.t.topic()
        self.log_file = self.bench.path("peer.log")
        with open(self.log_file, "wb") as log:
            self.process = procs.spawn(self.command(load), stdout=log, stderr=log)
        return self.process.pid

    def stop(self, begin, end):
        del begin, end
        wrong = []
        if self.process.poll() is not None:
            with open(self.log_file, encoding="utf-8", errors="replace") as f:
                wrong = [f"{self.name} ended:", *f.read().splitlines()[-5:]]
        procs.end(self.process, 10)
        return Outcome(wrong=wrong)

    def write(self, name, text):
        path = self.bench.path(name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def by_phase(self, load):
        """Phase in ms → the URLs whose slots come then, on webmond's grid."""
        groups = defaultdict(list)
        for n in range(load.sites):
            phase = phase_ms(load.name_of(n), load.interval_s)
            groups[phase].append(load.url(self.bench.target, n))
        return groups

    def tls(self, load, line):
        return line.format(self.bench.target.authority(load.kind)) if load.is_tls else ""


class Blackbox(Peer):
    """
    Somebody else has to ask it, as Prometheus does: a loop of ours with processes enough, which is
    not counted.
    """

    name = "blackbox_exporter"
    executable = find("debian/usr/bin/prometheus-blackbox-exporter",
                      "prometheus-blackbox-exporter", "blackbox_exporter")
    loads = ("http-1k", "https-p256")
    into_kafka = False

    def command(self, load):
        port = procs.free_ports(1)[0]
        config = self.write("blackbox.yml", f"""modules:
  page:
    prober: http
    timeout: {load.timeout_s}s
    http:
      preferred_ip_protocol: ip4
      fail_if_body_not_matches_regexp: ["{PATTERN}"]
      {self.tls(load, 'tls_config: {{ca_file: "{}"}}')}
""")
        sites = write_sites(self.bench, load, lambda n: (
            f"http://127.0.0.1:{port}/probe?module=page&target=" +
            urllib.parse.quote(load.url(self.bench.target, n), safe="")))
        self.scraper = procs.spawn(
            [os.environ["LOOP"], "curl", "-k", "-g", "split", "-i", str(load.interval_s), "-p",
             str(8 * PROCESSES), "-d", str(LATEST_S), sites],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return [self.executable, f"--config.file={config}", "--log.level=error",
                f"--web.listen-address=127.0.0.1:{port}"]

    def stop(self, begin, end):
        procs.end(self.scraper)
        return super().stop(begin, end)


class Telegraf(Peer):
    """Its URLs of a block run one after the other: a block for each of webmond's ticks."""

    name = "Telegraf"
    executable = find("bin/telegraf", "telegraf")

    def version(self):
        """One that was built by `go install` does not know it, but go does."""
        if shutil.which("go"):
            for line in procs.run(["go", "version", "-m", self.executable]).stdout.splitlines():
                words = line.split()
                if words[:1] == ["mod"]:
                    return f"Telegraf {words[2]}"
        return super().version()

    def blocks(self, load):
        return self.by_phase(load).items()

    def command(self, load):
        inputs = "".join(f"""[[inputs.http_response]]
  interval = "{load.interval_s}s"
  collection_offset = "{phase}ms"
  urls = {json.dumps(urls)}
  method = "GET"
  response_timeout = "{load.timeout_s}s"
  response_string_match = "{PATTERN}"
  {self.tls(load, 'tls_ca = "{}"')}
""" for phase, urls in self.blocks(load))
        config = self.write("telegraf.conf", f"""[agent]
  interval = "{load.interval_s}s"
  round_interval = true
  metric_batch_size = 1000
  metric_buffer_limit = 100000
  flush_interval = "1s"
  quiet = true
[[outputs.kafka]]
  brokers = ["{self.bench.t.kafka().address()}"]
  topic = "{self.topic.name}"
  required_acks = -1
  data_format = "json"
{inputs}""")
        return [self.executable, "--config", config]


class TelegrafBurst(Telegraf):
    """As it comes: blocks that begin together."""

    name = "Telegraf, in bursts"
    loads = ("http-1k",)

    def blocks(self, load):
        urls = [load.url(self.bench.target, n) for n in range(load.sites)]
        return [(0, urls[n::PROCESSES]) for n in range(PROCESSES)]


class Collector(Peer):
    """
    A receiver checks all its targets at once: one for each of webmond's ticks. Where connections
    are kept it keeps them as it does by default, for good.
    """

    name = "OpenTelemetry collector"
    executable = find("bin/otelcol", "otelcol-contrib")
    loads = (*Peer.loads, "keepalive-p256")

    def command(self, load):
        groups = sorted(self.by_phase(load).items())
        options = "" if load.keepalive else ", disable_keep_alives: true"
        options += self.tls(load, ', tls: {{ca_file: "{}"}}')
        receivers = "".join(f"""  httpcheck/{phase}:
    collection_interval: {load.interval_s}s
    initial_delay: {phase + 100}ms
    metrics: {{httpcheck.validation.passed: {{enabled: true}}}}
    targets:
      - {{endpoints: {json.dumps(urls)}, timeout: {load.timeout_s}s,
         validations: [{{contains: "{PATTERN}"}}]{options}}}
""" for phase, urls in groups)
        config = self.write("otelcol.yaml", f"""receivers:
{receivers}exporters:
  kafka:
    brokers: ["{self.bench.t.kafka().address()}"]
    metrics: {{topic: {self.topic.name}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines:
    metrics:
      receivers: [{', '.join(f'httpcheck/{phase}' for phase, _ in groups)}]
      exporters: [kafka]
""")
        return [self.executable, f"--config=file:{config}"]


class Collectd(Peer):
    """All pages begin together, and five threads read them: nothing can be told to it."""

    name = "collectd"
    executable = find("debian/usr/sbin/collectd", "collectd", "/usr/sbin/collectd")
    loads = ("http-1k",)

    def _below(self):
        """The directory that holds its usr/."""
        return os.path.dirname(os.path.dirname(os.path.dirname(self.executable)))

    def version(self):
        text = procs.run([self.executable, "-h"]).stdout
        return next(line for line in text.splitlines() if line.startswith("collectd ")).split(",")[0]

    def command(self, load):
        pages = "".join(f"""  <Page "{load.name_of(n)}">
    URL "{load.url(self.bench.target, n)}"
    Timeout {round(load.timeout_s * 1000)}
    MeasureResponseTime true
    MeasureResponseCode true
    <Match>
      Regex "{PATTERN}"
      DSType "CounterInc"
      Type "counter"
      Instance "matches"
    </Match>
  </Page>
""" for n in range(load.sites))
        config = self.write("collectd.conf", f"""Hostname "bench"
FQDNLookup false
BaseDir "{self.bench.path()}"
PIDFile "{self.bench.path('collectd.pid')}"
PluginDir "{self._below()}/usr/lib/collectd"
TypesDB "{self._below()}/usr/share/collectd/types.db"
Interval {load.interval_s}
LoadPlugin curl
LoadPlugin write_kafka
<Plugin curl>
{pages}</Plugin>
<Plugin write_kafka>
  Property "metadata.broker.list" "{self.bench.t.kafka().address()}"
  Property "acks" "all"
  <Topic "{self.topic.name}">
    Format JSON
  </Topic>
</Plugin>
""")
        return [self.executable, "-f", "-C", config]


class Aiohttp(Peer):
    """What one writes in an afternoon: see peers/aiohttp_kafka.py."""

    name = "aiohttp, confluent-kafka"
    executable = find("aiohttp/bin/python3")

    def version(self):
        code = ("import aiohttp, confluent_kafka as k, sys; print('Python', sys.version.split()[0],"
                "'aiohttp', aiohttp.__version__, 'confluent-kafka', k.__version__)")
        return procs.run([self.executable, "-c", code]).stdout.strip()

    def command(self, load):
        settings = {
            "interval_s": load.interval_s, "timeout_s": load.timeout_s, "pattern": PATTERN,
            "ca_file": self.bench.target.authority(load.kind) if load.is_tls else None,
            "topic": self.topic.name, "bootstrap": self.bench.t.kafka().address(),
            "groups": sorted(self.by_phase(load).items())}
        script = os.path.join(os.path.dirname(__file__), "peers", "aiohttp_kafka.py")
        return [self.executable, script, self.write("aiohttp.json", json.dumps(settings))]


class CheckHttp(Peer):
    """A process for each check, from a loop; it does not verify certificates."""

    name = "check_http"
    executable = find("debian/usr/lib/nagios/plugins/check_http", "/usr/lib/nagios/plugins/check_http")
    loads = ("http-1k",)
    into_kafka = False

    def command(self, load):
        def check(n):
            url = urllib.parse.urlsplit(load.url(self.bench.target, n))
            return (f"{self.executable} -I {url.hostname} -p {url.port} -u {url.path} -t 5 "
                    f"-r {PATTERN.replace(' ', '.')}{' -S' if load.is_tls else ''}")

        return [os.environ["LOOP"], "exec", "-g", "split", "-i", str(load.interval_s), "-p",
                str(PROCESSES), "-d", str(LATEST_S), write_sites(self.bench, load, check)]


ALL = (Blackbox, Telegraf, TelegrafBurst, Collector, Collectd, Aiohttp, CheckHttp)
