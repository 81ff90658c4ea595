#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Measure webmond beside bare loops and other programs, on this machine, in one run (make bench).
#
#   tests/bench.py [quick] [-l LOADS] [-p PROGRAMS] [-n ROUNDS] [--list]
#
#   WEBMOND, LOOP, builddir     as the Makefile sets them

import argparse
import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bench import loads, measure, peers, programs, report  # noqa: E402
from bench.target import Target  # noqa: E402
from harness import Failure, Skip, context, procs  # noqa: E402


class Bench:
    """What all measurements share: a directory, the target, the broker."""

    def __init__(self):
        self.shared = context.Shared(require_kafka=True)
        self.t = context.Context("bench", self.shared, 0)
        self.target = None

    def path(self, *names):
        return self.t.path(*names)

    def open(self):
        self.t.kafka()
        self.target = Target(self.path("target"))

    def end_offset(self, topic):
        return self.t.kafka().end_offset(topic.name) if topic is not None else 0

    def close(self):
        if self.target is not None:
            self.target.stop()
        self.t.close()
        self.shared.close()


def measure_one(bench, program, load):
    """Run a program under a load; returns a Row of the report."""
    mark = bench.target.mark()
    root = program.start(load)
    time.sleep(load.warm_s)
    before = bench.end_offset(program.topic)
    window = measure.Window(root)
    time.sleep(load.window_s)
    window.close()
    sent = bench.end_offset(program.topic) - before
    pss = measure.pss_kb(root)
    outcome = program.stop(window.begin, window.end)
    if outcome.records is None and program.topic is not None:
        outcome.records = sent
    hits = bench.target.hits(mark, load.interval_s, window.begin, window.end)
    return report.Row(program.name, load, window, pss, hits, outcome)


def options():
    parser = argparse.ArgumentParser(description="Measure webmond beside others.")
    parser.add_argument("size", nargs="?", choices=("quick", "full"), default="full")
    parser.add_argument("-l", metavar="REGEX", default="", help="only loads of such names")
    parser.add_argument("-p", metavar="REGEX", default="", help="only programs of such names")
    parser.add_argument("-n", metavar="N", type=int, default=1,
                        help="so many rounds of each load, the programs taking turns")
    parser.add_argument("--list", action="store_true", help="list loads and programs and leave")
    return parser.parse_args()


def choose(bench, args):
    """The loads and the programs that were asked for."""
    everything = [programs.Loop(bench, "raw", "flat"), programs.Loop(bench, "raw", "grouped"),
                  programs.Loop(bench, "curl", "flat"), programs.Loop(bench, "curl", "spread"),
                  programs.Loop(bench, "curl", "grouped"), programs.Webmond(bench),
                  *(peer(bench) for peer in peers.ALL)]
    sizes = loads.quick() if args.size == "quick" else loads.LOADS + loads.CURVE
    return ([load for load in sizes if re.search(args.l, load.name)],
            [program for program in everything if re.search(args.p, program.name)])


def run(bench, args):
    chosen_loads, chosen_programs = choose(bench, args)
    if args.list:
        print("\n".join([f"{load.name:12} {load.title}" for load in chosen_loads] +
                        [program.name for program in chosen_programs]))
        return
    bench.open()
    for load in chosen_loads:
        print(f"\n{load.name}: {load.title}\n{report.HEADER}", flush=True)
        for _ in range(args.n):
            for program in chosen_programs:
                if program.suits(load) and not program.missing():
                    print(measure_one(bench, program, load), flush=True)


def main():
    args = options()
    bench = Bench()
    try:
        run(bench, args)
    except (Failure, Skip) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    finally:
        bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(procs.under_init(main))
