# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The programs that are measured: the bare loops and webmond. peers.py has the others.
#
# A program has a name and these: `paced`, whether it knows an interval; missing() says whether it is
# not there; suits(load); version(); start(load) returns the PID at the top of its tree; stop(begin,
# end) ends it and returns an Outcome for the slots between two times of day; `topic` is where its
# records go, or None.

import json
import os
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from harness import Failure, daemon, procs

from .target import PATTERN

GRIDS = ("flat", "spread", "split", "grouped")
# until what began in the window has ended: a stop would abort it
SETTLE_S = 0.5
LATEST_S = 600  # a loop that nobody ends ends by itself


@dataclass
class Outcome:
    lateness_ms: list = field(default_factory=list)  # ascending, of what began in the window
    records: int = None                              # in the topic, of slots in the window
    words: dict = field(default_factory=Counter)     # how many of them are what
    wrong: list = field(default_factory=list)        # sentences


def write_sites(bench, load, target):
    """The file of sites for loop.c; `target`: what a site's number is called by."""
    path = bench.path("sites")
    with open(path, "w", encoding="ascii") as f:
        f.writelines(f"{load.name_of(n)} {target(n)}\n" for n in range(load.sites))
    return path


class Loop:
    """tests/bench/loop.c, in one of its ways and on one of its grids."""

    topic = None

    def __init__(self, bench, way, grid):
        self.bench, self.way, self.grid = bench, way, grid
        self.name = {"raw": "raw sockets", "curl": "bare libcurl"}[way] + f", {grid}"
        self.paced = grid != "flat"

    def missing(self):
        return False

    def suits(self, load):
        """A blocking loop is late for others when a site hangs, and raw sockets are not kept."""
        if load.hanging or load.dead_names or load.own_patterns or load.workers:
            return False
        if load.names and self.bench.target.obstacle(load):
            return False
        if self.name == load.bare:
            return load.name not in ("slow-mixed", "curve-30k")
        if self.grid == "flat" and self.way == "curl" and load.keepalive:
            return True
        return load.name == "http-1k" or \
            (load.name == "https-p256" and self.grid in ("flat", "grouped"))

    def version(self):
        return procs.run(["curl-config", "--version"]).stdout.strip() if self.way == "curl" else ""

    def start(self, load):
        sites = write_sites(self.bench, load, lambda n: load.url(self.bench.target, n))
        argv = [os.environ["LOOP"], self.way, "-g", self.grid, "-i", str(load.interval_s),
                "-p", str(load.processes), "-d", str(LATEST_S), "-t", str(load.timeout_s)]
        if load.is_tls:
            argv += ["-a", self.bench.target.bundle]
        if load.keepalive:
            argv += ["-k"]
        prefix = self.bench.target.prefix(load) if load.names else []
        self.process = procs.spawn([*prefix, *argv, sites], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        return self.process.pid

    def stop(self, begin, end):
        self.process.terminate()
        out, err = self.process.communicate(timeout=30)
        outcome = Outcome(wrong=err.splitlines())
        for line in out.splitlines():
            slot_us, lateness_us = map(int, line.split())
            if begin <= slot_us / 1e6 < end:
                outcome.lateness_ms.append(lateness_us / 1000)
        outcome.lateness_ms.sort()
        return outcome


class Webmond:
    """The daemon with its default pool, into a topic of the real broker."""

    name = "webmond"
    paced = True

    def __init__(self, bench):
        self.bench = bench

    def missing(self):
        return False

    def suits(self, load):
        return not self.bench.target.obstacle(load)

    def version(self):
        return procs.run([daemon.binary(), "-V"]).stdout.splitlines()[0]

    def _site(self, load, n):
        site = {"name": load.name_of(n), "url": load.url(self.bench.target, n),
                "body_regex": PATTERN}
        if load.own_patterns:
            site["body_regex"] += f"(?# of {n})"
        return site

    def settings(self, load, topic, level="warning"):
        """With the pool that it has by default, and an empty spool."""
        return self.bench.t.settings(
            [self._site(load, n) for n in range(load.sites)], topic,
            workers={"min": load.workers, "max": load.workers} if load.workers else None,
            log={"destination": "stderr", "level": level},
            spool=self.bench.new_spool(),
            defaults={"interval": load.interval_s, "timeout": load.timeout_s,
                      "keepalive": load.keepalive})

    def start(self, load):
        self.load, self.topic = load, self.bench.t.topic()
        self.daemon = self.bench.t.daemon(self.settings(load, self.topic))
        self.log_mark = self.daemon.log_size()
        self.daemon.start(prefix=self.bench.target.prefix(load), wait=False)
        procs.wait_for(self._ready, 60, "webmond is not ready")
        return self.daemon.pid

    def _ready(self):
        if not self.daemon.running():
            raise Failure(f"webmond ended:\n{self.daemon.log(self.log_mark)[:1000]}")
        return "publisher" in self.daemon.roles()

    def stop(self, begin, end):
        time.sleep(SETTLE_S)
        self.daemon.stop()
        outcome = read_outcome(self.bench.t.kafka(), self.topic, self.load, begin, end)
        outcome.wrong += self.daemon.log(self.log_mark).splitlines()[:3]
        return outcome


class Record(NamedTuple):
    """What is needed of a record; many of them are kept."""
    seq: int
    site: str
    slot_ms: int
    lateness_ms: float
    word: str


def read_records(kafka, topic):
    """The Records of a topic, repeats left out, in the order of seq."""
    argv = ["kcat", "-q", "-b", kafka.address(), "-C", "-t", topic.name, "-o", "beginning", "-e",
            "-X", "fetch.wait.max.ms=20"]
    found = {}
    with procs.spawn(argv, stdout=subprocess.PIPE) as kcat:
        for line in kcat.stdout:
            r = json.loads(line)
            at = datetime.fromisoformat(r["scheduled_at"][:-1] + "+00:00").timestamp()
            found.setdefault(r["seq"], Record(r["seq"], r["site"], round(at * 1000),
                                              r["lateness_ms"], r["error_type"] or "up"))
    if kcat.returncode != 0:
        raise Failure(f"kcat ended with code {kcat.returncode}")
    return [found[seq] for seq in sorted(found)]


def read_outcome(kafka, topic, load, begin, end):
    """The Outcome for the slots between two times of day; lateness is that of the healthy sites."""
    records = read_records(kafka, topic)
    outcome = Outcome()
    if not records or records[-1].seq + 1 != len(records):
        outcome.wrong.append("there are holes in seq")
    within = [r for r in records if begin <= r.slot_ms / 1000 < end]
    outcome.records = len(within)
    outcome.words = Counter(r.word for r in within)
    outcome.lateness_ms = sorted(r.lateness_ms for r in within if r.lateness_ms is not None and
                                 load.is_healthy(load.number_of(r.site)))
    return outcome
