# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The plots of a report as one SVG: bars of CPU per check for each load, and the curve over the
# number of sites.

from html import escape

from .loads import CURVE

WIDTH, LABEL, ROW, GAP = 760, 210, 20, 18
BARS = ("http-1k", "http-10k", "https-p256")
OURS, BARE, OTHERS = "#c2410c", "#64748b", "#94a3b8"


class _Page:
    """Shapes from the top down."""

    def __init__(self):
        self.y = 10
        self.shapes = []

    def text(self, x, y, text, anchor="start", weight="normal"):
        self.shapes.append(f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" '
                           f'font-weight="{weight}">{escape(text)}</text>')

    def title(self, text):
        self.y += 16
        self.text(10, self.y, text, weight="bold")
        self.y += 8

    def bar(self, name, value, scale, colour, note):
        self.text(LABEL - 8, self.y + 14, name, "end")
        width = max(1, value * scale)
        self.shapes.append(f'<rect x="{LABEL}" y="{self.y + 3}" width="{width:.1f}" '
                           f'height="{ROW - 5}" fill="{colour}"/>')
        self.text(LABEL + width + 6, self.y + 14, note)
        self.y += ROW

    def finish(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.y + 10}" '
                f'viewBox="0 0 {WIDTH} {self.y + 10}" font-family="sans-serif" font-size="12">\n'
                '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(self.shapes) +
                "\n</svg>\n")


def _colour(program):
    if program == "webmond":
        return OURS
    return BARE if program.startswith(("bare", "raw")) else OTHERS


def _bars(page, report, name):
    rows = [row for row in report.of_load(name) if row.us]
    if not rows:
        return
    page.title(f"{rows[0].load.title}: CPU per check, µs")
    scale = (WIDTH - LABEL - 130) / max(row.us for row in rows)
    for row in sorted(rows, key=lambda r: r.us):
        note = f"{row.us:.0f}" + ("" if row.on_time or row.due is None else "  (not on time)")
        page.bar(row.program, row.us, scale, _colour(row.program), note)
    page.y += GAP


def _curve(page, report):
    """Each point a row: sites → cost, beside the bare loop at the same pace."""
    rows = [(report.row(name, "webmond"), report.bare(name)) for name in CURVE]
    rows = [(ours, bare) for ours, bare in rows if ours and ours.us]
    if not rows:
        return
    page.title("1,000 checks a second over more and more sites, and 10 over 10: CPU per check, µs")
    scale = (WIDTH - LABEL - 260) / max(row.us for pair in rows for row in pair if row)
    for ours, bare in rows:
        sites = f"{ours.load.sites:,} sites"
        memory = f", {ours.pss_mb:.0f} MB" if ours.pss_mb is not None else ""
        page.bar(sites, ours.us, scale, OURS, f"{ours.us:.0f}, webmond{memory}")
        if bare:
            page.bar("", bare.us, scale, BARE, f"{bare.us:.0f}, {bare.program}")
    page.y += GAP


def svg(report):
    page = _Page()
    for name in BARS:
        _bars(page, report, name)
    _curve(page, report)
    return page.finish()
