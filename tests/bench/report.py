# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# What was measured, in words: lines on the terminal as it comes, and at the end build/bench/report
# as Markdown and CSV, with the plots of plot.py.

import csv
import io
import os
import platform
import time
from dataclasses import dataclass, field

from .target import percentile

# share of requests on a connection that was there, where they are kept: one of twelve renews it
REUSED = 0.87
# a peer is on time when it does what is due, close to its grid and not all at once
ON_TIME_DONE, ON_TIME_MS, ON_TIME_PEAK = 0.99, 250, 5

HEADER = (f"{'program':24} {'µs/check':>8} {'waits':>5} {'done/due':>13} "
          f"{'jitter p50/p99/max':>20} {'late p50/p99/max':>20} {'peak':>5} {'PSS MB':>7} "
          f"{'records':>8}")


def three(values, between="/"):
    """Median, 99 % and largest of an ascending list."""
    if not values:
        return "-"
    return between.join(f"{v:.1f}" for v in (percentile(values, .5), percentile(values, .99),
                                         values[-1]))


def number(value, digits=1):
    return "-" if value is None else f"{value:,.{digits}f}"


def machine():
    """Where and when it was measured, as a sentence or two."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":")[1].strip() for line in f if "model name" in line), "?")
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{time.strftime('%Y-%m-%d')}, {len(os.sched_getaffinity(0))} cores ({model}), "
            f"{memory_gb:.0f} GB, Linux {platform.release().split('-')[0]}; nginx and Kafka run on "
            "the same cores and are not counted. CPU time of all processes of a program, per "
            "check: a fresh connection, 10 KB, a pattern near their end.")


class Row:
    """One program under one load."""

    def __init__(self, program, load, window, memory, hits, outcome):
        self.program = program.name
        self.load = load
        self.done = hits.count
        self.due = round(load.due) if program.paced else None
        self.us_by_role = {role: ns / 1000 / self.done if self.done else 0
                           for role, ns in window.cpu_ns.items()}
        self.us = sum(self.us_by_role.values()) if self.done else None
        self.waits = window.waits / self.done if self.done else None
        self.reused = hits.reused / self.done if self.done else None
        self.jitter = hits.jitter() if self.due else []
        self.late = outcome.lateness_ms
        self.peak = hits.peak()
        self.memory = memory
        sizes = [size for of_role in memory.values() for size in of_role]
        self.pss_mb = None if None in sizes else sum(pss for pss, _ in sizes) / 1024
        self.records = None if outcome.records is None or not self.done else \
            outcome.records / self.done
        self.words = outcome.words
        self.wrong = outcome.wrong
        if self.done and (self.reused < REUSED if load.keepalive else self.reused > 0):
            self.wrong.append(f"{self.reused:.1%} of the requests were on a kept connection")

    @property
    def on_time(self):
        return (self.due is not None and self.done >= ON_TIME_DONE * self.due and
                self.peak <= ON_TIME_PEAK and (percentile(self.jitter, .99) or 0) <= ON_TIME_MS)

    def processes(self):
        """How many of each role, and the PSS of one in kB, or None."""
        return {role: (len(sizes),
                       None if None in sizes else sum(pss for pss, _ in sizes) / len(sizes))
                for role, sizes in self.memory.items()}

    def parts(self):
        return ", ".join(f"{role} {self.us_by_role.get(role, 0):.1f} µs, {n} × {number(kb, 0)} kB"
                         for role, (n, kb) in sorted(self.processes().items()))

    def __str__(self):
        line = (f"{self.program:24} {number(self.us):>8} {number(self.waits):>5} "
                f"{self.done:6}/{self.due or '-':>6} "
                f"{three(self.jitter):>20} {three(self.late):>20} {self.peak:5.1f} "
                f"{number(self.pss_mb):>7} {number(self.records, 3):>8}")
        if len(self.us_by_role) > 1:
            line += f"\n  = {self.parts()}"
        if self.words and set(self.words) != {"up"}:
            line += "\n  " + ", ".join(f"{n} {word}" for word, n in sorted(self.words.items()))
        return line + "".join(f"\n  {w}" for w in self.wrong)


@dataclass
class Report:
    rows: dict = field(default_factory=dict)     # (load name, program name) → Rows, one a round
    facts: dict = field(default_factory=dict)    # title → Facts
    versions: list = field(default_factory=list)
    missing: list = field(default_factory=list)

    def add(self, row):
        self.rows.setdefault((row.load.name, row.program), []).append(row)

    def row(self, load, program):
        """Of several rounds the one with the middle cost; None: it did not run."""
        rows = self.rows.get((load, program), [])
        return sorted(rows, key=lambda r: r.us or 0)[len(rows) // 2] if rows else None

    def of_load(self, load):
        return [self.row(*key) for key in self.rows if key[0] == load]

    def loads(self):
        return {row.load.name: row.load for rows in self.rows.values() for row in rows}

    def bare(self, load):
        """The bare loop that webmond is to be compared with, or None."""
        return next((self.row(*key) for key, rows in self.rows.items()
                     if key == (load, rows[0].load.bare)), None)

    def fact(self, title, what):
        return next((fact for fact in self.facts.get(title, []) if fact.what == what), None)

    def best_peer(self, load):
        """The cheapest of the other programs that is on time, or None."""
        peers = [row for row in self.of_load(load) if row.us and row.on_time and
                 not row.program.startswith(("webmond", "bare", "raw"))]
        return min(peers, key=lambda row: row.us, default=None)

    def ratios(self, load):
        """Sentences that compare webmond with others under the same load."""
        webmond = self.row(load, "webmond")
        others = [self.bare(load), self.best_peer(load)]
        return [f"webmond : {other.program} = {webmond.us / other.us:.2f}" for other in others
                if webmond and webmond.us and other and other.us]

    def supervisor_bytes_per_site(self):
        """By its RSS with 1,000 and with 100,000 sites; None: not measured."""
        rows = [self.row(load, "webmond") for load in ("curve-1k", "curve-100k")]
        if None in rows or any(row.memory["supervisor"][0] is None for row in rows):
            return None
        rss_kb = [row.memory["supervisor"][0][1] for row in rows]
        return (rss_kb[1] - rss_kb[0]) * 1024 / (rows[1].load.sites - rows[0].load.sites)

    # --- goals --------------------------------------------------------------------------------

    def goals(self):
        """(what, bound, measured) with numbers; those that were not measured are left out."""
        found = []

        def goal(what, bound, value):
            if value is not None:
                found.append((what, bound, value))

        for load, cost, ratio, late in (("http-1k", 120, 1.25, 20), ("http-10k", 100, 1.25, 100),
                                        ("https-p256", None, 1.05, None)):
            webmond, bare = self.row(load, "webmond"), self.bare(load)
            if webmond is None or not webmond.us:
                continue
            if cost:
                goal(f"{load}: CPU per check, µs", cost, webmond.us)
            if bare:
                goal(f"{load}: webmond : {bare.program}", ratio, webmond.us / bare.us)
            peer = self.best_peer(load)
            if peer:
                bound = 0.5 if load == "http-10k" else 1
                goal(f"{load}: webmond : {peer.program}, the best that is on time", bound,
                     webmond.us / peer.us)
            if late:
                goal(f"{load}: lateness, 99 %, ms", late, percentile(webmond.late, .99))
            goal(f"{load}: PSS of a checker, kB", 2048 if webmond.load.is_tls else 300,
                 webmond.processes().get("checker", (0, None))[1])
        self._goals_of_relations(goal)
        return found

    def _goals_of_relations(self, goal):
        for fresh, kept, bound in (("http-1k", "keepalive-http", 0.5),
                                   ("https-p256", "keepalive-p256", 0.35)):
            rows = self.row(kept, "webmond"), self.row(fresh, "webmond")
            if all(row and row.us for row in rows):
                goal(f"{kept} : {fresh}", bound, rows[0].us / rows[1].us)
        for load in ("http-1k", "http-10k"):
            row = self.row(load, "webmond")
            if row and row.us:
                goal(f"{load}: publisher : whole", 0.15,
                     row.us_by_role.get("publisher", 0) / row.us)
        slow = self.row("slow-100", "webmond")
        if slow:
            goal("slow-100: lateness, 99 %, ms", 20, percentile(slow.late, .99))
        for name in ("hanging", "names-dead"):
            row = self.row(name, "webmond")
            if row:
                goal(f"{name}: lateness of the healthy, 99 %, ms", 100, percentile(row.late, .99))
        small, large = self.row("curve-1k", "webmond"), self.row("curve-100k", "webmond")
        if small and large and small.us and large.us:
            goal("CPU per check, 100,000 sites : 1,000 sites", 1.1, large.us / small.us)
        per_site = self.supervisor_bytes_per_site()
        if per_site is not None:
            goal("memory of the supervisor per site, bytes", 1024, per_site)
        for fact in self.facts.get("start-reload", []):
            if fact.unit == "s":
                goal(f"{fact.what}, s", 2, fact.value)

    # --- files --------------------------------------------------------------------------------

    def markdown(self):
        lines = ["# webmond beside others", "", *self._head(), "", "## Goals", "",
                 "| goal | at most | measured | |", "|---|--:|--:|---|"]
        lines += [f"| {what} | {bound:,g} | {value:,.2f} | "
                  f"{'met' if value <= bound else 'missed'} |"
                  for what, bound, value in self.goals()]
        for name, load in self.loads().items():
            lines += ["", f"## {name}: {load.title}", "",
                      "| program | µs/check | waits | done of due | jitter, ms | lateness, ms | "
                      "peak | PSS, MB | records/check |", "|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
            for row in self.of_load(name):
                due = f" of {row.due:,}" if row.due else ""
                lines.append(f"| {row.program} | {number(row.us)} | {number(row.waits)} | "
                             f"{row.done:,}{due} | "
                             f"{three(row.jitter)} | {three(row.late)} | {row.peak:.1f} | "
                             f"{number(row.pss_mb)} | {number(row.records, 3)} |")
            if load.keepalive:
                lines.append("\nRequests on a kept connection: " + ", ".join(
                    f"{row.program} {row.reused:.1%}" for row in self.of_load(name)))
            lines += [f"\n{row.program}: {text}" for row in self.of_load(name) for text in row.wrong]
            lines += [f"\n{text}" for text in self.ratios(name)]
            webmond = self.row(name, "webmond")
            if webmond:
                lines.append(f"\nwebmond: {webmond.parts()}")
        for title, facts in self.facts.items():
            lines += ["", f"## {title}", "", *(f"- {fact}" for fact in facts)]
        return "\n".join(lines) + "\n"

    def _head(self):
        lines = [f"{machine()} Jitter and lateness: median/99 %/largest; tests/README.md says what "
                 "the columns mean.", ""]
        lines += [f"- {version}" for version in self.versions]
        return lines + [f"- left out: {text}" for text in self.missing]

    def csv(self):
        text = io.StringIO()
        out = csv.writer(text, lineterminator="\n")
        out.writerow(["load", "sites", "interval_s", "program", "round", "us_per_check", "done",
                      "due", *(f"{what}_{p}_ms" for what in ("jitter", "lateness")
                               for p in ("p50", "p99", "max")),
                      "peak", "pss_mb", "records_per_check", "waits_per_check", "reused"])
        for (load, program), rows in self.rows.items():
            for n, row in enumerate(rows, 1):
                times = [percentile(values, share) for values in (row.jitter, row.late)
                         for share in (.5, .99, 1)]
                cells = [row.us, row.done, row.due, *times, row.peak, row.pss_mb, row.records,
                         row.waits, row.reused]
                out.writerow([load, row.load.sites, row.load.interval_s, program, n,
                              *(round(c, 3) if isinstance(c, float) else c for c in cells)])
        return text.getvalue()
