# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Storms over several daemons that share the sites (kafka.group), and groups of many. The judge of
# harness/group.py reads only the topic; what was done to the members comes to it as excuses.

import json
import os
import signal
import tempfile
import time

from harness import (context, fault, group, mock, needs, procs, promised, records, require,
                     verify)

PARTITIONS = 12
NAMES = ("a", "b", "c")


class Storm:
    """What is done to a group, and for how long it lasts."""

    def __init__(self, t, some, between):
        self.t, self.some, self.between = t, some, between
        self.until = []  # (time, what ends then)
        self.done = {}
        self.broker_away = False
        self.asleep = set()  # members of which somebody is stopped

    def longest(self, full, quick=6):
        return 1 + self.t.random.random() * (self.t.times(full, quick) - 1)

    def later(self, seconds, action):
        self.until.append((time.monotonic() + seconds, action))

    def end_what_is_over(self, everything=False):
        now = time.monotonic()
        over = [u for u in self.until if everything or u[0] <= now]
        self.until = [u for u in self.until if u not in over]
        for _, action in sorted(over, key=lambda u: u[0]):
            action()

    def awake(self):
        """A member that runs and of which nobody is stopped."""
        names = [n for n in self.some.names() if n not in self.asleep]
        return self.t.random.choice(names) if names else None

    def process_killed(self):
        name = self.awake()
        if name is None:
            return False
        d = self.some[name]
        role, pid = self.t.random.choice(sorted(d.roles().items()))
        if role == "supervisor":
            self.some.excuse(name, "supervisor killed")
            d.kill_supervisor({other.pid for other in self.some.daemons.values()})
            self.some.start(name)
        else:
            if role == "publisher":
                # what is begun until the lease is over waits for the next one
                self.some.cut_off(name, "publisher killed")
            procs.kill(pid)
        return True

    def member_killed(self):
        name = self.awake()
        if name is None:
            return False
        self.some.kill(name)
        self.later(self.longest(40), lambda: self.some.start(name))
        return True

    def two_killed(self):
        return self.member_killed() and self.member_killed()

    def stopped(self):
        """The supervisor, the publisher, or all of a member."""
        name = self.awake()
        if name is None:
            return False
        d, who = self.some[name], self.t.random.choice(("supervisor", "publisher", "all"))
        if who == "all":
            pids = self.some.freeze(name)
        else:
            pids = [d.roles().get(who, d.pid)]
            if who == "publisher":
                self.some.cut_off(name, "publisher stopped")
            else:
                self.some.excuse(name, "supervisor stopped")
            procs.freeze(*pids)
        self.asleep.add(name)

        def wake():
            self.some.thaw(pids)
            self.asleep.discard(name)

        self.later(self.longest(30), wake)
        return True

    def restarted(self):
        name = self.awake()
        if name is None:
            return False
        if self.broker_away:
            self.some.cut_off(name, "stopped while Kafka was away")
        self.some.stop(name)
        self.some.start(name)
        return True

    def reloaded(self):
        name = self.awake()
        if name is not None:
            # a new publisher says to the group that it has nothing: if others join just then, its
            # shards are given away while the lease of the old one lasts
            self.some.cut_off(name, "reloaded")
            self.some[name].signal(signal.SIGHUP)
        return name is not None

    def broker_killed(self):
        if self.broker_away:
            return False
        for name in NAMES:
            self.some.cut_off(name, "Kafka away")
        self.t.kafka().kill()
        self.broker_away = True

        def back():
            self.t.kafka()
            self.broker_away = False

        self.later(self.longest(60, 10), back)
        return True

    def line_frozen(self):
        if self.between.mode != self.between.PASS:
            return False
        self.some.cut_off(NAMES[-1], "line frozen")
        self.between.mode = self.between.FREEZE

        def thaw():
            self.between.mode = self.between.PASS

        self.later(self.longest(60, 15), thaw)
        return True

    WEIGHTS = {process_killed: 6, member_killed: 3, two_killed: 1, stopped: 5, restarted: 3,
               reloaded: 3, broker_killed: 1, line_frozen: 2}

    def blow(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.end_what_is_over()
            action = self.t.random.choices(list(self.WEIGHTS), list(self.WEIGHTS.values()))[0]
            if action(self):
                name = action.__name__.replace("_", " ")
                self.t.note(f"{time.strftime('%H:%M:%S')} {name}")
                self.done[name] = self.done.get(name, 0) + 1
            procs.let_pass(self.longest(12, 5), "the next fault comes at any moment")
        while self.until:
            self.end_what_is_over()
            procs.let_pass(0.2, "what was begun lasts as long as it was meant to")


def storm(t, count, interval, **options):
    """A group of three in a storm; returns the verdict."""
    nginx, topic, between = t.nginx(), t.topic(PARTITIONS), t.proxy()
    some = group.Members(t, NAMES, topic, group.sites_on(nginx, count, PARTITIONS, interval),
                         bootstrap={NAMES[-1]: f"127.0.0.1:{between.port}"}, **options)
    some.start()
    some.wait_shared(*NAMES)
    weather = Storm(t, some, between)
    weather.blow(t.times(600, 40))
    verdict = some.finish()
    found = verify.topic(topic)
    promised(found.code != verify.BROKEN, f"verify: {found}")
    firsts = verdict.summary.firsts
    faults = ", ".join(f"{n} {what}" for what, n in sorted(weather.done.items()))
    t.report(expected=verdict.slots, found=verdict.slots, repeats=verdict.summary.repeats,
             note=f"{faults}; {len(firsts)} records, {verdict.verdicts_twice} slots with two "
                  f"verdicts, {verdict.alone} alone, {verdict.missed} missed at a takeover; latest "
                  f"start {verdict.late_ms / 1000:.1f} s")
    return verdict


@fault("61a", "a storm over three members for 10 minutes (short run: 40 s): processes, members, two of "
       "them killed, stopped for up to 30 s, restarted, reloaded; Kafka away, a line frozen, for up to "
       "60 s; a check every 20 s, session 6 s",
       "no slot without a record; two verdicts only where a fault explains them")
@needs("kafka")
def test_storm(t):
    storm(t, 240, 20)


@fault("61b", "the same with a check every 2 s", "each slot that nobody ran has its record")
@needs("kafka")
def test_storm_of_short_intervals(t):
    verdict = storm(t, 96, 2)
    require(t.shared.quick or verdict.missed > 0, "no slot was missed in all that")


@fault("61c", "the same, alone = \"rest\"", "no slot begins without the word of the group", quick=False)
@needs("kafka")
def test_storm_at_rest(t):
    verdict = storm(t, 96, 2, kafka={"alone": "rest"})
    promised(verdict.alone == 0, f"{verdict.alone} slots began alone")


@fault("62", "200 stubs of members start at once over 300 partitions; one more; it dies",
       "each partition has one owner within seconds, and few of them move", quick=False)
@needs("kafka")
def test_two_hundred_members(t):
    topic = t.topic(300)
    binary = os.path.join(os.path.dirname(mock.binary()), "members")
    done = procs.run([binary, t.kafka().address(), topic.name, t.name,
                       "200"], 600)
    require(done.returncode == 0, done.stderr)
    steps = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    said = "; ".join(f"{what}: {int(ms) / 1000:.1f} s, {moved} moved" for what, (ms, moved, _) in
                     steps.items())
    require(int(steps["more"][1]) <= 300 // 200 + 9, f"too many moved: {said}")
    t.report(note=f"{said}; CPU of all {int(steps['death'][2]) / 1000:.1f} s")


class Rest(context.Topic):
    """A topic without what is in it now."""

    def __init__(self, topic, broker):
        super().__init__(topic.name, topic.arguments, topic.partitions)
        self.begin = [broker.end_offset(topic.name, [p]) for p in range(topic.partitions)]

    def records(self):
        return [r for p, begin in enumerate(self.begin) for r in records.read_topic(
            [*self.arguments, "-p", str(p)], self.name, begin=begin)]


def flood(topic, count, name):
    """Many records of the last minutes in each shard, of this group and of sites that it had."""
    data = dict(records.SCHEMA["examples"][0], group=name, alone=False)
    begin = time.time() - 200
    with tempfile.NamedTemporaryFile("w") as file:
        for site in group.spread(topic.partitions, topic.partitions, "gone"):
            before, after = json.dumps({**data, "site": site, "scheduled_at": "@"},
                                       separators=(",", ":")).split("@")
            for n in range(count // topic.partitions):
                at = time.strftime("%Y-%m-%dT%H:%M:%S",
                                   time.gmtime(begin + 200 * n * topic.partitions // count))
                file.write(f"{site}\x01{before}{at}.000Z{after}\n")
        file.flush()
        done = procs.run(["kcat", "-q", *topic.arguments, "-P", "-t", topic.name, "-K", "\x01",
                          "-X", "partitioner=murmur2_random", "-z", "lz4", "-l", file.name], 300)
        require(done.returncode == 0, done.stderr)


@fault("63", "500,000 records in the tails of the shards",
       "whoever gets a shard reads its tail and goes on", quick=False)
@needs("kafka")
def test_long_tails(t):
    nginx, whole = t.nginx(), t.topic(3)
    flood(whole, 500000, group.group_of(whole))
    topic = Rest(whole, t.kafka())
    some = group.Members(t, ("a", "b"), topic, group.sites_on(nginx, 6, 3))
    some.start()
    some.wait_shared("a", "b")
    mark = some["a"].log_size()
    died = time.time()
    some.kill("b")
    said = some["a"].wait_log(r"tails? read in [\d.]+ s", 120, mark).group(0)
    some.wait_owned(by=("a",))
    took = group.takeover_s(topic.records(), "b", died * 1000)
    verdict = some.finish()
    t.report(verdict.summary, recovery_s=took, note=said)


@fault("64", "a member that gets shards with long tails is frozen out of Kafka at a random moment of "
       "that, past its session, ten times (short run: twice)",
       "what was half read is read anew; no shard is without an owner, none has two")
@needs("kafka")
def test_lost_while_tails_are_read(t):
    nginx, whole, between = t.nginx(), t.topic(3), t.proxy()
    flood(whole, t.times(200000, 50000), group.group_of(whole))
    topic = Rest(whole, t.kafka())
    some = group.Members(t, ("a", "b"), topic, group.sites_on(nginx, 12, 3),
                         bootstrap={"b": f"127.0.0.1:{between.port}"})
    some.start("a")
    some.wait_owned(by=("a",))
    rounds = t.times(10, 2)
    for _ in range(rounds):
        some.start("b")
        procs.let_pass(t.random.random() * 4, "it joins and reads; the line freezes at any moment")
        between.mode = between.FREEZE
        some.cut_off("b", "line frozen")
        procs.let_pass(group.SESSION_S + 3, "its session ends")
        between.mode = between.PASS
        some.wait_shared("a", "b")
        some.stop("b")
        some.wait_owned(by=("a",))
    verdict = some.finish()
    t.report(verdict.summary, note=f"{rounds} times; {verdict}")
