# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Several daemons that share the sites by Kafka's consumer group: a group of them on this machine,
# and the judge over all of them, who reads only the topic.

import os
import re
import signal
import time
from collections import Counter, defaultdict

from . import Broken, procs, records, sites

ON_ITS_WAY_MS = 1000
TAIL_MS = 300000  # who takes a shard over looks back no further
BUSY = 50         # one slot of so many may have two records that are not verdicts, for want of CPU
SESSION_S, HEARTBEAT_S = 6, 1  # less than 6 s no broker takes without being told to


def on_its_way_ms():
    """
    How far back goes what a member that is killed now has on its way, not yet stored or not yet
    confirmed. All takes longer on a machine that has more to do.
    """
    return ON_ITS_WAY_MS * min(10.0, max(1.0, os.getloadavg()[0] / os.cpu_count()))


class Excuse:
    """
    What happened to a member, the only thing that explains two records of a slot: what it began
    from `begin_ms` to `end_ms` may have come to the topic when its successor had already looked.
    `why`: a word or two, by which such slots are counted.
    """

    def __init__(self, instance, begin_ms, end_ms=None, why="killed", before_ms=ON_ITS_WAY_MS):
        self.instance = instance
        self.why = why
        self.begin_ms = begin_ms - before_ms
        self.end_ms = begin_ms if end_ms is None else end_ms

    def explains(self, record):
        if record.instance != self.instance:
            return False
        if record.started_at is not None:
            begun = records.milliseconds(record.started_at)
            return self.begin_ms <= begun <= self.end_ms
        # when it began nobody knows; it may have been late by an interval
        return self.begin_ms - record.interval_s * 1000 <= record.slot <= self.end_ms


def slots_of(firsts):
    """(group, site) → slot → its records, slots in their order."""
    found = defaultdict(lambda: defaultdict(list))
    for r in firsts:
        found[r.group, r.site][r.slot].append(r)
    return {key: dict(sorted(slots.items())) for key, slots in found.items()}


def choice(copies):
    """The record that counts for its slot, by the rule of webmond-records(7)."""
    return min(copies, key=lambda r: (r.status == "unknown", r.alone is True, r.partition, r.offset))


def _jumps(slots, blind):
    """
    `blind`: (begin, end) in which nobody knew what the others had done, in ms. What lasts longer
    than a tail shows as a jump, too.
    """
    for (group, site), by_slot in slots.items():
        found = [copies[0] for copies in by_slot.values()]
        for before, after in zip(found, found[1:]):
            step = round(before.interval_s * 1000)
            if after.interval_s != before.interval_s or after.slot - before.slot == step or \
                    after.slot - before.slot > TAIL_MS:
                continue
            if not any(begin < after.slot and before.slot < end for begin, end in blind):
                yield f"{group}: a jump of {(after.slot - before.slot) / 1000} s: {before}, {after}"


def _twice(slots, excuses):
    """
    Slots with several records that were begun with the group's word, and nothing explains it. A
    member that is not let run for long loses its shards like one that was stopped, which nobody
    made an excuse of; then a few slots may have two records, but never two verdicts.
    """
    odd = []
    for (group, site), by_slot in slots.items():
        for copies in by_slot.values():
            told = [r for r in copies if not r.alone]
            # one of them is the right one; each of the others needs an explanation of its own
            rest = [r for r in told if not any(e.explains(r) for e in excuses)]
            if len(rest) > 1:
                odd.append((sum(r.status != "unknown" for r in rest) > 1,
                            f"{group}: {len(told)} records of a slot: " + ", ".join(
                                f"{r.instance} {r!r} started {r.started_at}" for r in told)))
    few = len(odd) * BUSY <= sum(len(by_slot) for by_slot in slots.values())
    return [text for verdicts, text in odd if verdicts or not few]


class Verdict:
    """What the judge found in a topic that is as promised."""

    def __init__(self, summary, slots, excuses):
        self.summary = summary
        self._by_site = slots
        copies = [c for by_slot in slots.values() for c in by_slot.values()]
        self.slots = len(copies)
        told = [[r for r in c if not r.alone] for c in copies]
        self.twice = sum(len(c) > 1 for c in told)
        self.verdicts_twice = sum(sum(r.status != "unknown" for r in c) > 1 for c in told)
        self.explained = Counter(next((e.why for r in c for e in excuses if e.explains(r)), "?")
                                 for c in told if len(c) > 1)
        self.alone = sum(any(r.alone for r in c) for c in copies)
        chosen = [choice(c) for c in copies]
        self.missed = sum(r.error_type == "missed_takeover" for r in chosen)
        self.words = Counter(r.error_type or "up" for r in chosen)
        self.late_ms = max((r.lateness_ms or 0 for r in chosen), default=0)
        self.takeovers = self.changed_hands()

    def changed_hands(self, since_ms=0):
        """How often a site did, behind its slots up to `since_ms`."""
        count = 0
        for by_slot in self._by_site.values():
            who = [choice(c).instance for slot, c in by_slot.items() if slot > since_ms]
            count += sum(before != after for before, after in zip(who, who[1:]))
        return count

    def __str__(self):
        why = ", ".join(f"{n} {word}" for word, n in sorted(self.explained.items()))
        return (f"{self.summary}; {self.slots} slots, {self.twice} with two records ({why}), "
                f"{self.verdicts_twice} of them verdicts, {self.alone} alone, {self.missed} missed at "
                f"a takeover, {self.takeovers} times a site changed hands, "
                f"{self.late_ms / 1000:.1f} s late at most")


def judge(found, partitions=None, excuses=(), blind=(), at_least=1, **options):
    """
    Hold the topic of a group against what is promised; returns a Verdict. `excuses`: what was done
    to its members; `options` as those of records.check().
    """
    summary = records.check(found, partitions, at_least, **options)
    slots = slots_of(summary.firsts)
    verdict = Verdict(summary, slots, excuses)
    wrong = [*_jumps(slots, blind), *_twice(slots, excuses)]
    if wrong:
        more = f"\n  and {len(wrong) - 15} more" if len(wrong) > 15 else ""
        raise Broken(f"{verdict}\n  " + "\n  ".join(wrong[:15]) + more)
    return verdict


def owners(found, since_ms=0):
    """Partition → who wrote its newest slot, of slots later than `since_ms`."""
    newest = {}
    for r in found:
        if r.slot > since_ms and (r.partition not in newest or
                                  r.slot > newest[r.partition].slot):
            newest[r.partition] = r
    return {partition: r.instance for partition, r in newest.items()}


def takeover_s(found, instance, at_ms):
    """How long after `at_ms` the last shard of this member was in other hands; None: it had none."""
    took = []
    begun = [r for r in found if r.started_at is not None]
    for partition in {r.partition for r in begun}:
        own = sorted(((records.milliseconds(r.started_at), r.instance) for r in begun
                      if r.partition == partition))
        before = [who for at, who in own if at <= at_ms]
        if before and before[-1] == instance:
            took += [next((at - at_ms for at, who in own if at > at_ms and who != instance),
                          float("inf")) / 1000]
    return max(took, default=None)


def group_of(topic):
    """The name of a group that nobody else has: topics have names of their own."""
    return topic.name[-64:]


class Members:
    """
    Daemons "a", "b" … with the same sites, each with its own directory, and so with its own spool,
    PID file and control socket. The site behind them learns from the path who asks.
    """

    def __init__(self, t, names, topic, site_list, bootstrap=None, properties=(), **others):
        """
        `site_list(name)`: the sites, as this member asks them; `bootstrap`: name → address, for
        those that do not speak with the broker directly.
        """
        self.t, self.topic = t, topic
        self.group = others.get("kafka", {}).get("group") or group_of(topic)
        self._sites = site_list
        self._bootstrap = bootstrap or {}
        self._properties = [f"session.timeout.ms={SESSION_S * 1000}",
                            f"heartbeat.interval.ms={HEARTBEAT_S * 1000}", *properties]
        self._others = others
        self.excuses = []
        self.daemons = {}
        for name in names:
            self.add(name)
        self.regrown(topic.partitions)

    def regrown(self, partitions):
        """From now on the topic is known to have so many."""
        self.topic.partitions = partitions
        # those that have sites
        self.shards = {records.murmur2_partition(s["name"], partitions)
                       for s in self._sites(next(iter(self.daemons)))}

    def add(self, name, **others):
        """One more, which is not started yet; returns its Daemon."""
        os.makedirs(self.t.path(name), exist_ok=True)
        self.daemons[name] = self.t.daemon(self.settings(name, **others),
                                           directory=self.t.path(name))
        return self.daemons[name]

    def settings(self, name, **others):
        others = {**self._others, **others}
        path = self.t.path(name, "ctl")
        settings = self.t.settings(
            self._sites(name), self.topic, self._bootstrap.get(name), instance=name,
            pid_file=self.t.path(name, "webmond.pid"),
            control={"socket": path if len(path) <= 107 else ""},
            spool={"dir": self.t.own_directory(os.path.join(name, "spool"))}, **others)
        kafka = settings["kafka"]
        kafka["properties"] = [*kafka["properties"], *self._properties]
        kafka.setdefault("group", self.group)
        return settings

    def __getitem__(self, name):
        return self.daemons[name]

    def names(self):
        return [name for name, d in self.daemons.items() if d.running()]

    def start(self, *names):
        """Those that do not run, or those named; returns self."""
        for name in names or [n for n, d in self.daemons.items() if not d.running()]:
            self.daemons[name].start()
        return self

    def stop(self, *names):
        for name in names or self.names():
            self.daemons[name].stop(60)

    # --- what is done to them -----------------------------------------------------------------

    def excuse(self, name, why, begin=None, seconds=0):
        """What it begins from `begin` (default: now), as time.time() gives it, for so long."""
        begin = time.time() if begin is None else begin
        self.excuses.append(Excuse(name, begin * 1000, (begin + seconds) * 1000, why,
                                   on_its_way_ms()))

    def cut_off(self, name, why):
        """From now on it cannot reach Kafka: what it begins until its lease is over comes late."""
        self.excuse(name, why, seconds=SESSION_S)

    def kill(self, name):
        """All of a member with SIGKILL, as when its host dies."""
        begin = time.time()
        self.daemons[name].kill()
        self.excuse(name, "killed", begin, time.time() - begin)

    def freeze(self, name):
        """All of a member, as when its host is suspended; thaw() wakes it."""
        begin = time.time()
        pids = self.daemons[name].freeze()
        self.excuse(name, "stopped", begin, time.time() - begin)
        return pids

    @staticmethod
    def thaw(pids):
        for pid in pids:
            procs.kill(pid, signal.SIGCONT)

    # --- what is asked of them ----------------------------------------------------------------

    def wait_owned(self, by=None, seconds=90):
        """
        Until each shard has new records, of one of these members (default: of anybody); returns
        partition → member.
        """
        now = time.time() * 1000
        mine = {}

        def there(found):
            mine.clear()
            mine.update(owners(found, now))
            return set(mine) >= self.shards and (by is None or set(mine.values()) <= set(by))

        self.topic.wait(there, seconds, lambda: f"shards of {by or 'anybody'}: {mine}")
        return dict(mine)

    def wait_shared(self, *names, seconds=90):
        """Until each of these members, and nobody else, has shards; returns as wait_owned()."""
        mine = {}

        def there(found):
            mine.clear()
            mine.update(owners(found))
            return set(mine) >= self.shards and set(mine.values()) == set(names)

        self.topic.wait(there, seconds, lambda: f"shards: {mine}")
        return self.wait_owned(names, seconds)

    def judge(self, **options):
        """Of the whole topic, when nothing is on its way any more."""
        return judge(self.topic.records(), self.topic.partitions, self.excuses, **options)

    def finish(self, **options):
        """Start what is not there, so that its spool is sent; stop all; judge."""
        self.start()
        self.wait_owned(seconds=120)
        self.stop()
        verdict = self.judge(**options)
        self.t.note(verdict)
        return verdict


def said_shards(d, start=0):
    """What a member's log says of its shards, each time: the text of the lines."""
    return re.findall(r"group \S+: (shards? .*|no shards?.*)", d.log(start))


def spread(count, partitions, prefix="up"):
    """So many names of sites, as many in each shard."""
    names, room = [], dict.fromkeys(range(partitions), -(-count // partitions))
    number = 0
    while len(names) < count:
        number += 1
        name = f"{prefix}-{number:03d}"
        shard = records.murmur2_partition(name, partitions)
        if room[shard] > 0:
            room[shard] -= 1
            names.append(name)
    return names


def sites_on(nginx, count, partitions, interval=1, prefix="up", timeout=1):
    """For Members: sites whose path on this Nginx is of the member that asks."""
    def of(name):
        return [sites.site(site, nginx.url(f"ok/{name}/{site}", n), interval, timeout)
                for n, site in enumerate(spread(count, partitions, prefix))]
    return of


def asked_by(nginx, name, begin_ms, end_ms=float("inf")):
    """The requests of a member between two times: (ms, path) each."""
    procs.let_pass(0.1, "nginx writes the line of a request after its answer")
    with open(os.path.join(nginx.directory, "hits.log"), encoding="utf-8") as f:
        lines = (line.split() for line in f)
        found = [(float(words[0]) * 1000, words[1]) for words in lines if len(words) > 2]
    return [(at, path) for at, path in found if path.startswith(f"/ok/{name}/") and
            begin_ms < at < end_ms]
