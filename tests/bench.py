#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Measure webmond beside bare loops and other programs, on this machine, in one run (make bench).
#
#   tests/bench.py [quick] [-l LOADS] [-p PROGRAMS] [-n ROUNDS] [--list] [--readme]
#
# It ends by itself: quick within 3 minutes, all with all programs in about 25. The report is
# in $builddir/bench, also when it is interrupted.
#
#   WEBMOND, LOOP, TIMED, builddir     as the Makefile sets them

import argparse
import os
import re
import shutil
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bench import figures, loads, measure, peers, plot, programs, report, special  # noqa: E402
from bench import target  # noqa: E402
from harness import Failure, Skip, broker, context, procs  # noqa: E402


# of what knows no slots
FLAT_WARM_S, FLAT_S = 2, 5


class Bench:
    """What all measurements share: a directory, the target, the broker."""

    def __init__(self):
        self.shared = context.Shared(require_kafka=True)
        self.t = context.Context("bench", self.shared, 0)
        self.target = None
        self._spools = self._targets = 0

    def path(self, *names):
        return self.t.path(*names)

    def open(self):
        self.t.kafka()
        self._open_target()

    def _open_target(self):
        self._targets += 1
        self.target = target.Target(self.path(f"target-{self._targets}"))

    def new_spool(self):
        """Settings of an empty spool: no run gets what another one has left."""
        self._spools += 1
        return {"dir": self.t.own_directory(f"spool-{self._spools}"), "max_mb": 1024}

    def end_offset(self, topic):
        return self.t.kafka().end_offset(topic.name) if topic is not None else 0

    def clear_away(self):
        """
        After a failure: kill all that is below us or was left behind, but for the target and the
        broker; and if that is what failed, start it again.
        """
        keep = {os.getpid(), *self.shared.pids(), *self.target.pids()}
        for pid in procs.descendants(os.getppid()):
            if pid not in keep:
                procs.kill(pid)
        self.t.kafka()
        if not self.target.runs():
            self.target.stop()
            self._open_target()

    def close(self):
        if self.target is not None:
            self.target.stop()
        self.t.close()
        self.shared.close()


def measure_one(bench, program, load):
    """Run a program under a load; returns a Row of the report."""
    mark = bench.target.mark()
    root = program.start(load)
    time.sleep(load.warm_s if program.paced else FLAT_WARM_S)
    before = bench.end_offset(program.topic)
    window = measure.Window(root)
    time.sleep(load.window_s if program.paced else FLAT_S)
    window.close()
    sent = bench.end_offset(program.topic) - before
    memory = measure.memory_kb(root)
    outcome = program.stop(window.begin, window.end)
    if outcome.records is None and program.topic is not None:
        outcome.records = sent
    hits = bench.target.hits(mark, load.interval_s, window.begin, window.end)
    return report.Row(program, load, window, memory, hits, outcome)


def report_directory():
    return os.path.join(os.environ.get("builddir", "build"), "bench")


def update_readme():
    """Figures and chart of the documents are those of the last run, which was one of everything."""
    here, made = os.path.dirname(os.path.abspath(__file__)), report_directory()
    if not os.path.exists(os.path.join(made, "figures.md")):
        raise Failure("the last run was not one of everything")
    figures.into(os.path.join(here, "..", "README.md"), made, "front.md")
    figures.into(os.path.join(here, "README.md"), made, "figures.md")
    shutil.copy(os.path.join(made, "report.svg"), os.path.join(here, "bench", "report.svg"))


def options():
    parser = argparse.ArgumentParser(description="Measure webmond beside others.")
    parser.add_argument("size", nargs="?", choices=("quick", "full"), default="full",
                        help="quick: four loads, webmond and the loop to compare it with")
    parser.add_argument("-l", metavar="REGEX", default="", help="only loads of such names")
    parser.add_argument("-p", metavar="REGEX", help="only programs of such names")
    parser.add_argument("-n", metavar="N", type=int, default=1,
                        help="so many rounds of each load, the programs taking turns")
    parser.add_argument("--list", action="store_true", help="list loads and programs and leave")
    parser.add_argument("--readme", action="store_true",
                        help="put the figures of the last run into the README files and leave")
    return parser.parse_args()


class Run:
    """What was asked for, and what has come of it."""

    def __init__(self, bench, args):
        everything = [programs.Loop(bench, "raw", "flat"), programs.Loop(bench, "raw", "grouped"),
                      *(programs.Loop(bench, "curl", grid) for grid in programs.GRIDS),
                      programs.Webmond(bench), *(peer(bench) for peer in peers.ALL)]
        quick = args.size == "quick"
        sizes = loads.quick() if quick else loads.LOADS
        asked = args.p or ""
        self.bench = bench
        self.rounds = args.n
        self.only_bare = quick and args.p is None
        self.programs = [program for program in everything if re.search(asked, program.name)]
        self.loads = [load for load in sizes if re.search(args.l, load.name)]
        self.special = {} if quick or not re.search(asked, "webmond") else {
            name: function for name, function in special.ALL.items() if re.search(args.l, name)}
        self.report = report.Report()
        self.failed = False

    def list(self):
        print("\n".join([f"{load.name:12} {load.title}" for load in self.loads] +
                        [*self.special, ""] + [program.name for program in self.programs]))

    def all(self):
        if not self.programs or not self.loads and not self.special:
            raise Failure("nothing has such a name (--list)")
        self.bench.open()
        self._name_all()
        try:
            for load in self.loads:
                self._load(load)
            for name, function in self.special.items():
                print(f"\n{name}", flush=True)
                self._guarded(name, lambda function=function, name=name:
                              self._special(name, function))
        finally:
            self._write(report_directory())

    def _write(self, directory):
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        makers = {"report.csv": self.report.csv, "report.md": self.report.markdown,
                  "report.svg": lambda: plot.svg(self.report),
                  "front.md": lambda: figures.front(self.report, report.machine()),
                  "figures.md": lambda: figures.markdown(self.report, report.machine())}
        for name, make in makers.items():
            self._guarded(name, lambda name=name, make=make:
                          self._write_one(os.path.join(directory, name), make()))
        print(f"\n{os.path.relpath(directory)}: {', '.join(sorted(os.listdir(directory)))}")

    @staticmethod
    def _write_one(path, text):
        if text is not None:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)

    def _name_all(self):
        """The versions of what runs, and what does not run and why."""
        versions = [f"Kafka {broker.VERSION}", target.version(),
                    procs.run(["openssl", "version"]).stdout.partition(" (")[0].strip()]
        for program in self.programs:
            if program.missing():
                self.report.missing.append(f"{program.name}: not there (make bench PEERS=1)")
            else:
                versions.append(program.version())
        for load in self.loads:
            obstacle = self.bench.target.obstacle(load)
            if obstacle:
                self.report.missing.append(f"webmond under {load.name}: {obstacle}")
        for text in self.report.missing:
            print(f"left out: {text}")
        self.report.versions = list(dict.fromkeys(filter(None, versions)))

    def _runs(self, program, load):
        if self.only_bare and program.name not in ("webmond", load.bare):
            return False
        return program.suits(load) and not program.missing()

    def _load(self, load):
        some = [program for program in self.programs if self._runs(program, load)]
        if not some:
            return
        print(f"\n{load.name}: {load.title}\n{report.HEADER}", flush=True)
        for _ in range(self.rounds):
            for program in some:
                self._guarded(f"{load.name}, {program.name}",
                              lambda program=program: self._row(program, load))
        print("".join(f"{text}\n" for text in self.report.ratios(load.name)), end="")

    def _row(self, program, load):
        row = measure_one(self.bench, program, load)
        self.report.add(row)
        print(row, flush=True)

    def _special(self, name, function):
        self.report.facts[name] = function(self.bench)
        print("\n".join(f"  {fact}" for fact in self.report.facts[name]), flush=True)

    def _guarded(self, name, step):
        """One that fails does not take the others with it."""
        try:
            step()
        except Exception as e:  # whatever it is
            self.report.missing.append(f"{name}: failed: {str(e).partition(chr(10))[0]}")
            self.failed = True
            print(f"{name}: failed: {e if isinstance(e, Failure) else traceback.format_exc()}",
                  flush=True)
            self.bench.clear_away()


def main():
    args = options()
    bench = Bench()
    try:
        if args.readme:
            update_readme()
            return 0
        run = Run(bench, args)
        if args.list:
            run.list()
            return 0
        run.all()
    except (Failure, Skip) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    finally:
        bench.close()
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(procs.under_init(main))
