# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# What is measured: how many sites, how often, of which kind.

from dataclasses import dataclass, replace

# of the bare loops, and of webmond's checkers by default
PROCESSES = 4
# how long webmond keeps a connection by default; the bare loops as long
LIFETIME_S = 60
# where sites are slow: enough for a blocking loop, which has no pool that grows
SLOW_PROCESSES = 64


@dataclass(frozen=True)
class Load:
    name: str
    sites: int
    interval_s: int
    kind: str = "http"        # see target.py
    keepalive: bool = False
    hanging: int = 0          # one site of so many never answers
    answer_ms: tuple = None   # how long sites think, from … to
    names: bool = False       # hosts have names
    dead_names: int = 0       # one name of so many is never answered
    processes: int = PROCESSES  # of the bare loops
    timeout_s: float = 5
    window_s: int = 10        # measured after a warm-up
    own_patterns: bool = False
    workers: int = 0          # webmond's checkers, neither more nor less; 0: its default

    @property
    def title(self):
        extra = {"p256": "HTTPS, P-256", "rsa": "HTTPS, RSA-2048"}.get(self.kind, "HTTP")
        extra += f", connections kept for {LIFETIME_S} s" if self.keepalive else ""
        extra += f", one site of {self.hanging} hangs" if self.hanging else ""
        extra += ", names" if self.names else ""
        extra += f", one of {self.dead_names} is never answered" if self.dead_names else ""
        if self.answer_ms:
            extra += ", answers after " + "–".join(map(str, sorted(set(self.answer_ms)))) + " ms"
        extra += ", each site with a pattern of its own" if self.own_patterns else ""
        extra += f", {self.workers:,} checkers" if self.workers else ""
        return f"{self.sites:,} sites / {self.interval_s} s, {extra}"

    @property
    def bare(self):
        """
        The bare loop to compare with: as webmond, it leaves all sites of a tick to one process;
        when each is slow, as webmond does then, to several.
        """
        return f"bare libcurl, {'split' if self.answer_ms else 'grouped'}"

    @property
    def is_tls(self):
        return self.kind in ("p256", "rsa")

    @property
    def warm_s(self):
        """Every site once: what is not known to be quick costs more. Kept connections: thrice."""
        return (3 if self.keepalive else 1) * self.interval_s + 1

    @property
    def due(self):
        """Requests in the window."""
        dead = self.sites // self.dead_names if self.dead_names else 0
        return (self.sites - dead) * self.window_s / self.interval_s

    def is_healthy(self, n):
        return not any(every and n % every == 0 for every in (self.hanging, self.dead_names))

    def name_of(self, n):
        return f"site-{n:06d}"

    def number_of(self, name):
        return int(name.rpartition("-")[2])

    def _answer(self, n):
        if self.answer_ms:
            first, last = self.answer_ms
            return f"slow/{first + n * 37 % (last - first + 1)}"
        return "hang" if self.hanging and not self.is_healthy(n) else "up"

    def url(self, target, n):
        domain = ("up.test" if self.is_healthy(n) else "dead.test") if self.names else None
        return target.url(n, self.kind, self._answer(n), domain)


LOADS = [
    Load("http-1k", 1000, 5),
    Load("http-10k", 10000, 10, window_s=20),
    Load("https-p256", 500, 5, kind="p256"),
    Load("https-rsa", 500, 5, kind="rsa"),
    Load("keepalive-http", 1000, 5, keepalive=True),
    # measured for as long as a connection is kept: with the handshake of each that is renewed
    Load("keepalive-p256", 500, 5, kind="p256", keepalive=True, window_s=LIFETIME_S),
    Load("hanging", 1000, 5, hanging=10, timeout_s=1),
    Load("names", 1000, 5, names=True),
    Load("names-dead", 1000, 5, names=True, dead_names=100, timeout_s=2),
    Load("slow-100", 1000, 5, answer_ms=(100, 100), processes=SLOW_PROCESSES),
    Load("slow-mixed", 1000, 5, answer_ms=(20, 300), processes=SLOW_PROCESSES),
    Load("patterns", 10000, 10, own_patterns=True),
    Load("pool-1000", 1000, 5, workers=1000),
    # sites grow, checks a second stay the same, but for the first
    Load("curve-10", 10, 1, timeout_s=1),
    Load("curve-1k", 1000, 1, timeout_s=1),
    Load("curve-30k", 30000, 30),
    Load("curve-100k", 100000, 100),
]
CURVE = ("curve-10", "curve-1k", "http-10k", "curve-30k", "curve-100k")


def quick():
    """Enough to see whether a change pays."""
    return [replace(load, window_s=2 * load.interval_s) for load in LOADS
            if load.name in ("http-1k", "http-10k", "https-p256", "slow-100")]
