# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# One measurement, and what is said about it.

from dataclasses import dataclass

from .target import percentile

HEADER = (f"{'program':22} {'µs/check':>8} {'done/due':>13} {'jitter p50/p99/max':>20} "
          f"{'late p50/p99/max':>20} {'peak':>5} {'PSS MB':>7} {'records':>8}")


@dataclass
class Row:
    program: str
    load: object
    window: object
    pss: dict
    hits: object
    outcome: object

    @property
    def us_per_check(self):
        return self.cost(sum(self.window.cpu_ns.values()))

    def cost(self, ns):
        return ns / 1000 / self.hits.count if self.hits.count else None

    @property
    def pss_mb(self):
        return sum(map(sum, self.pss.values())) / 1024

    def __str__(self):
        def three(values):
            return "/".join("-" if v is None else f"{v:.1f}" for v in
                            (percentile(values, .5), percentile(values, .99),
                             values[-1] if values else None))

        flat = "flat" in self.program
        late, o = self.outcome.lateness_ms, self.outcome
        line = (f"{self.program:22} {self.us_per_check or 0:8.1f} "
                f"{self.hits.count:6}/{'-' if flat else round(self.load.due):>6} "
                f"{'-' if flat else three(self.hits.jitter()):>20} "
                f"{three(late):>20} {self.hits.peak():5.1f} {self.pss_mb:7.1f} "
                f"{'-' if o.records is None else f'{o.records / max(1, self.hits.count):.3f}':>8}")
        if len(self.window.cpu_ns) > 1:
            line += "\n" + " " * 22 + " = " + ", ".join(
                f"{role} {self.cost(ns):.1f} µs, {len(self.pss.get(role, []))} × "
                f"{sum(self.pss.get(role, [0])) / max(1, len(self.pss.get(role, []))):.0f} kB"
                for role, ns in sorted(self.window.cpu_ns.items()))
        return line + "".join(f"\n    {w}" for w in o.wrong)
