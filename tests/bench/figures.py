# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The chapters "Figures" of README.md and of tests/README.md, out of a report: what stands between
# two marks there. README.md has a few programs and the chart, tests/README.md has everything. Only a
# run of everything has them.

import os
import textwrap

from .loads import CURVE
from .report import number, three

COLUMNS = {"http-1k": "1,000 sites / 5 s", "http-10k": "10,000 sites / 10 s",
           "https-p256": "500 sites / 5 s, HTTPS"}
ROWS = {"webmond": "**webmond**",
        "raw sockets, grouped": "raw sockets, at the same pace in the same groups",
        "bare libcurl, grouped": "bare libcurl, likewise",
        "bare libcurl, split": "… a tick's checks spread over 4 processes",
        "bare libcurl, spread": "… evenly spread over time",
        "raw sockets, flat": "raw sockets, flat out",
        "bare libcurl, flat": "bare libcurl, flat out"}
FRONT = ("webmond", "bare libcurl, grouped", "OpenTelemetry collector", "Telegraf")
FRONT_NAMES = {"bare libcurl, grouped": "libcurl alone: the same requests, no daemon, no Kafka"}
WITHOUT_KAFKA = ("blackbox_exporter", "check_http")
PHASE_NAMES = ("peek", "transaction", "delete", "produce", "loop", "librdkafka's threads")
MARKS = "<!-- made by make bench: begin -->\n", "<!-- made by make bench: end -->\n"


def _cell(row):
    return "–" if row is None or not row.us else number(row.us, 0)


def _rows(report, program):
    return list(filter(None, (report.row(load, program) for load in COLUMNS)))


def _name(report, program, late):
    notes = ["no Kafka"] if program in WITHOUT_KAFKA else []
    kept = any((row.reused or 0) > 0.5 for row in _rows(report, program))
    notes += ["connections kept"] if kept else []
    text = ROWS.get(program, program) + (f" ({', '.join(notes)})" if notes else "")
    return text + ("¹" if late else "")


def _table(report):
    yield "| µs per check | " + " | ".join(COLUMNS.values()) + " |"
    yield "|---|" + "--:|" * len(COLUMNS)
    found = {program for load, program in report.rows if load in COLUMNS}
    late = {program for program in found - set(ROWS)
            if not all(row.on_time for row in _rows(report, program))}
    others = sorted(found - set(ROWS), key=lambda p: (p in late, _rows(report, p)[0].us or 0))
    for program in [*ROWS, *others]:
        if program in found:
            cells = [_cell(report.row(load, program)) for load in COLUMNS]
            yield f"| {_name(report, program, program in late)} | " + " | ".join(cells) + " |"


def _of_rows(report):
    """(what, figure) out of rows of webmond, beside the bare loop where there is one."""
    def lateness(load):
        return f"{three(report.row(load, 'webmond').late, ' / ')} ms"

    def cost(load):
        row, bare = report.row(load, "webmond"), report.bare(load)
        return number(row.us, 0) + (f" ({number(bare.us, 0)})" if bare else "")

    yield "lateness, median / 99 % / largest: 1,000 sites / 5 s", lateness("http-1k")
    yield "… 10,000 sites / 10 s", lateness("http-10k")
    yield "… 100,000 sites / 100 s", lateness("curve-100k")
    yield "… 1,000 sites / 5 s that answer after 100 ms", lateness("slow-100")
    yield "… that answer after 20 to 300 ms", lateness("slow-mixed")
    yield "… of the healthy, while 100 of 1,000 sites hang", lateness("hanging")
    if report.row("names-dead", "webmond"):
        yield ("… of the healthy, while the names of 10 of 1,000 are never answered",
               lateness("names-dead"))
    yield "µs per check (bare libcurl): 1,000 sites / 5 s", cost("http-1k")
    yield "… their connections kept", cost("keepalive-http")
    for what, load in (("… 500 sites / 5 s, HTTPS, kept for 60 s", "keepalive-p256"),
                       ("… with names to look up", "names")):
        if report.row(load, "webmond"):
            yield what, cost(load)
    peer = report.row("keepalive-p256", "OpenTelemetry collector")
    if peer:
        yield "… … by the OpenTelemetry collector, kept for good", number(peer.us, 0)
    yield "… that answer after 100 ms", cost("slow-100")
    yield "… 10 sites / 1 s", cost("curve-10")
    yield ("… 1,000 checks/s over 1,000, 10,000, 30,000, 100,000 sites",
           ", ".join(cost(load) for load in CURVE[1:]))
    sizes = [report.row(load, "webmond").pss_mb for load in ("http-1k", "http-10k", "curve-100k")]
    if None not in sizes:
        yield ("memory (PSS) of all processes with 1,000, 10,000, 100,000 sites",
               ", ".join(number(mb, 0) for mb in sizes) + " MB")
        yield "… of the supervisor per site", f"{report.supervisor_bytes_per_site():.0f} bytes"


# of each title lines of (what, facts); a line of which facts are missing is left out
FACTS = {
    "pool": [(f"memory (PSS) of a checker, one of 4, 16, 64, 1,000: {kind}",
              [f"{kind}, {n} checkers: PSS of one, median" for n in ("4", "16", "64", "1,000")])
             for kind in ("HTTP", "HTTPS")] +
            [(f"1,000 checkers, {kind}: ready; stopped, while 900 check",
              [f"{kind}, 1,000 checkers: {what}" for what in
               ("start, until ready", "stop, while 900 check")]) for kind in ("HTTP", "HTTPS")],
    "phases": [(f"CPU per record in the publisher, {rate} records/s: {', '.join(PHASE_NAMES)}",
                [f"{rate} records/s: {phase}, CPU per record" for phase in PHASE_NAMES])
               for rate in ("200", "1,000")],
    "publisher": [("a backlog of records, sent to Kafka; CPU per record",
                   ["sent to Kafka", "sent: CPU per record (read, produce, delete)"])],
    "overload": [("overload: checks due, done", ["checks due", "checks done"]),
                 ("… slots, records, records out of order",
                  ["slots due in the time of overload", "records of them",
                   "records out of the order of their site's slots"]),
                 ("… on time again after the load went away",
                  ["last check more than 100 ms late, after a reload took the load away"])],
    "start-reload": [("100,000 sites: start, until ready; reload",
                      ["start of 100,000 sites, until ready", "reload of 100,000 sites"]),
                     ("… slots meanwhile, records; largest lateness",
                      ["slots due from the start to the end of the reload", "records of them",
                       "largest lateness of all"])],
}


def _of_facts(report):
    for title, lines in FACTS.items():
        for what, names in lines:
            found = [report.fact(title, name) for name in names]
            if None not in found:
                yield what, "; ".join(fact.figure() for fact in found)


def _goals(report):
    goals = report.goals()
    met = sum(value <= bound for _, bound, value in goals)
    return f"{met} of {len(goals)} [goals](#goals) were met in this run."


def _is_whole(report):
    needed = (*COLUMNS, *CURVE, "slow-100", "slow-mixed", "hanging", "keepalive-http")
    return all(report.row(load, "webmond") for load in needed)


def _head(machine):
    return textwrap.fill(f"One run of `make bench PEERS=1`: {machine}", 100)


def markdown(report, machine):
    """None: loads are missing."""
    if not _is_whole(report):
        return None
    lines = [_head(machine), "", *_table(report), "",
             "¹ not on time: checks left out, far from their grid, or all in one burst.", "",
             "| | |", "|---|---|"]
    lines += [f"| {what} | {figure} |" for what, figure in
              (*_of_rows(report), *_of_facts(report))]
    lines += ["", _goals(report)]
    return "\n".join(lines) + "\n"


def front(report, machine):
    """For the front page. None: loads are missing."""
    if not _is_whole(report):
        return None
    lines = [_head(machine), "", "| µs per check | " + " | ".join(COLUMNS.values()) + " |",
             "|---|" + "--:|" * len(COLUMNS)]
    for program in FRONT:
        if _rows(report, program):
            cells = [_cell(report.row(load, program)) for load in COLUMNS]
            name = FRONT_NAMES.get(program, ROWS.get(program, program))
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "![CPU time per check](tests/bench/report.svg)"]
    return "\n".join(lines) + "\n"


def into(document, directory, name):
    """Put the file NAME of a report between the marks of a document."""
    with open(os.path.join(directory, name), encoding="utf-8") as f:
        figures = f.read()
    with open(document, encoding="utf-8") as f:
        text = f.read()
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    with open(document, "w", encoding="utf-8") as f:
        f.write(before + MARKS[0] + figures + MARKS[1] + after)
