# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The clock is set, and the machine sleeps: case 41. The daemon gets a time of day of its own, by
# harness/clock.py; that of the machine, of Kafka and of the sites goes on as it is.

import signal
import time
from collections import Counter

from harness import fault, needs, procs, records, require
from harness.clock import Clock
from harness.sites import site

SANE = "one record a slot; jumped slots never existed; durations are right"
HOUR = 3600
MINUTE_MS = 60000


def start(t, config=None):
    topic, slow, clock = t.topic(config=config), t.slow(), Clock(t)
    sites = [*t.nginx().many(50), site("slow", slow.url("delay/600/1"), 2, 2),
             site("hanging", slow.url("hang/1"), 2, 1)]
    d = t.daemon(t.settings(sites, topic)).start(env=clock.environment)
    topic.wait(lambda found: len(found) > 150, 20, "nothing arrives")
    return d, topic, clock, slow


def wait_for_new(topic, clock, seconds=60):
    """Until every site has a record of a later slot on the clock as it is now."""
    begin, now = time.monotonic(), clock.now_ms()
    last = max(r.seq for r in topic.records())
    topic.wait(lambda found: len({r.site for r in found if r.seq > last
                                  and now < r.slot < now + 60000}) >= 52, seconds,
               "nothing new arrives")
    return time.monotonic() - begin


def finish(t, d, topic, recovery_s, twice=False, note=""):
    d.stop()
    summary = topic.check(at_least=200, steps=True)
    require(summary.epochs == 1, f"{summary.epochs} epochs")
    # `local`: a checker that was frozen past a timeout says so
    strange = summary.strange("up", "timeout", "aborted", "local", "missed_overrun")
    require(not strange, f"{strange}: {summary}")
    slots = Counter((r.site, r.slot) for r in summary.firsts)
    again = sum(n > 1 for n in slots.values())
    require(twice is None or twice == (again > 0), f"{again} slots have two records")
    for r in summary.firsts:
        # steps back are of 2 s at least, those forward of minutes
        least = {"slow": 590, "hanging": 990}.get(r.site, 0)
        require(r.elapsed_ms is None or r.error_type in ("aborted", "local")
                or least <= r.elapsed_ms < MINUTE_MS, f"{r} took {r.elapsed_ms} ms")
    t.report(summary, recovery_s=recovery_s,
             note=note or (f"{again} slots met twice" if twice else ""))
    return summary


def jumped(summary, before, after):
    """
    Between these times of day no slot lies; but what had come up on the old clock still gets its
    record, and that goes on until somebody sees that the clock was set.
    """
    there = [r for r in summary.firsts if before + MINUTE_MS < r.slot < after - MINUTE_MS]
    require(not there, f"slots that never were: {there[:5]}")


def stepped(number, what, steps, twice, quick=True):
    """`twice`: whether some slots come again; None: that depends."""
    @fault(number, what, SANE, quick=quick)
    @needs("kafka")
    def test(t):
        d, topic, clock, _ = start(t)
        gaps, slowest = [], 0
        for step in steps:
            procs.let_pass(t.random.random(), "a step comes at any moment")
            before, mark = clock.now_ms(), d.log_size()
            clock.set(clock.offset + step)
            after = clock.now_ms()
            d.wait_log("the clock moved by", 20, mark)
            if step > 10:
                gaps.append((before, after))
            slowest = max(slowest, wait_for_new(topic, clock))
        summary = finish(t, d, topic, slowest, twice)
        if twice is False:
            for gap in gaps:
                jumped(summary, *gap)
    return test


test_forward = stepped("41a", "clock set forward by an hour", [HOUR - 1], False)
test_back = stepped("41b", "clock set back by an hour", [-HOUR], False)
test_twice = stepped("41c", "clock set back by 2 s, three times: slots come again", [-2] * 3, True)
test_fro = stepped("41d", "clock set forward and back by an hour, five times",
                   [HOUR - 1, -HOUR] * 5, None, quick=False)


@fault("41e", "suspend: everything stops, an hour later it goes on", SANE)
@needs("kafka")
def test_suspend(t):
    d, topic, clock, _ = start(t)
    slowest, gaps = 0, []
    for _ in range(t.times(5, 1)):
        stopped, before = d.freeze(), clock.now_ms()
        clock.set(clock.offset + HOUR / 10)
        gaps.append((before, clock.now_ms()))
        for pid in stopped:
            procs.kill(pid, signal.SIGCONT)
        slowest = max(slowest, wait_for_new(topic, clock))
    summary = finish(t, d, topic, slowest, note="six minutes each")
    for gap in gaps:
        jumped(summary, *gap)


@fault("41f", "pause of 10 s: everything stops, no clock does", "one record a slot")
@needs("kafka")
def test_pause(t):
    d, topic, clock, slow = start(t)
    slow.wait_asked()
    stopped = d.freeze()
    procs.let_pass(t.times(10, 4), "for how long everything stands still")
    for pid in stopped:
        procs.kill(pid, signal.SIGCONT)
    recovery = wait_for_new(topic, clock)
    d.stop()
    summary = topic.check(at_least=200)
    gaps = records.missing_slots(summary.firsts)
    require(not gaps, gaps)
    require("was killed" not in d.log(), "a checker was killed that had had no time")
    require("up again after 0 s" not in d.log(), "it is not said how long nothing was known")
    t.report(summary, recovery_s=recovery,
             note=f"{summary.words['missed_overload']} missed_overload")


@fault("41g", "clock 20 s ahead where Kafka takes 5 s, then set right", "nothing is lost",
       quick=False)
@needs("kafka")
def test_timestamp_refused(t):
    d, topic, clock, _ = start(t, config={"message.timestamp.after.max.ms": 5000})
    mark = d.log_size()
    clock.set(20)
    d.wait_log("kafka: .*timestamp", 20, mark)
    clock.set(0)
    recovery = wait_for_new(topic, clock, 120)
    d.stop()
    t.report(topic.check(at_least=200, steps=True), recovery_s=recovery)


@fault("41h", "clock two days ahead for a moment: Kafka takes nothing from the future",
       "nothing is lost, and nothing waits for that time to come")
@needs("kafka")
def test_days_ahead(t):
    d, topic, clock, _ = start(t)
    mark = d.log_size()
    clock.set(48 * HOUR)
    d.wait_log("kafka: .*timestamp", 60, mark)
    clock.set(0)
    recovery = wait_for_new(topic, clock, 120)
    d.stop()
    # the timestamp of those from the future is not that of their slot
    t.report(topic.check(at_least=200, steps=True, envelopes=False), recovery_s=recovery)
