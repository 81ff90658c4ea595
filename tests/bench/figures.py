# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The section "Figures" of README.md, out of a report.

from .loads import CURVE
from .report import number, three

COLUMNS = ("http-1k", "http-10k", "https-p256")
LATE = "¹"


def _cell(row):
    if row is None or not row.us:
        return "–"
    return f"{row.us:.0f}" + ("" if row.on_time else LATE)


def _table(report, names):
    loads = report.loads()
    head = [f"{loads[n].sites:,} sites / {loads[n].interval_s} s{', HTTPS' if loads[n].is_tls else ''}"
            for n in names]
    programs = list(dict.fromkeys(program for load, program in report.rows if load in names
                                  and not program.endswith("flat")))
    programs.sort(key=lambda program: program != "webmond")  # ours first, the others as they are
    lines = ["| µs per check | " + " | ".join(head) + " |", "|---|" + "--:|" * len(names)]
    for program in programs:
        cells = [_cell(report.row(name, program)) for name in names]
        name = {"webmond": "**webmond**",
                "bare libcurl, grouped": "bare libcurl at the same pace"}.get(program, program)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _facts(report):
    """What there is about webmond alone, as (what, figure)."""
    for name, load in report.loads().items():
        row = report.row(name, "webmond")
        if row is None or not row.us or name not in (*COLUMNS, "hanging", "curve-100k"):
            continue
        yield f"{load.title}: lateness, median/99 %/largest", f"{three(row.late)} ms"
        if row.pss_mb is not None:
            count, kb = row.processes()["checker"]
            yield (f"{load.title}: memory (PSS) of all, of which checkers",
                   f"{row.pss_mb:.0f} MB, {count} × {kb:.0f} kB")
    curve = [report.row(name, "webmond") for name in CURVE[1:]]
    if all(curve) and curve:
        yield ("1,000 checks/s, " + ", ".join(f"{row.load.sites:,}" for row in curve) + " sites",
               ", ".join(number(row.us, 0) for row in curve) + " µs per check")
    for facts in report.facts.values():
        yield from ((fact.what, str(fact).split(": ")[-1]) for fact in facts)


def markdown(report, machine):
    names = [name for name in COLUMNS if name in report.loads()]
    lines = [f"Of one run of `make bench`: {machine} CPU time of all processes of a program, per "
             "check: a fresh connection, 10 KB, a pattern near their end. "
             "[How to read them](tests/README.md#benchmarks).", ""]
    if names:
        lines += _table(report, names)
        lines += ["", f"{LATE} not on time: checks left out, far from their grid, or in bursts.", ""]
    lines += ["![CPU time per check](tests/bench/report.svg)", "", "| | |", "|---|---|"]
    lines += [f"| {what} | {figure} |" for what, figure in _facts(report)]
    return "\n".join(lines) + "\n"
