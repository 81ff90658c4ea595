# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Several daemons that share the sites by Kafka's consumer group. What the members do is read from
# the topic, and from the log of the web server, which learns from the path who asks.

import re
import signal
import time

from harness import group, needs, procs, records, require, verify

PARTITIONS = 12
NAMES = ("a", "b", "c")


def members(t, names=NAMES, count=24, interval=1, kafka=None, **options):
    """A group, the topic of which has twelve partitions with as many sites each; and its nginx."""
    nginx, topic = t.nginx(), t.topic(PARTITIONS)
    some = group.Members(t, names, topic, group.sites_on(nginx, count, PARTITIONS, interval),
                         kafka=kafka or {}, **options)
    return some, nginx


def shares(owned):
    """Member → its shards."""
    found = {}
    for shard, name in owned.items():
        found.setdefault(name, set()).add(shard)
    return found


def moved(before, after):
    return {shard for shard in before if before[shard] != after[shard]}


@needs("kafka")
def test_who_dies_is_replaced(t):
    """
    Long intervals: no slot is missed, some run late. Short ones: what nobody ran has its record.
    """
    nginx, topic = t.nginx(), t.topic(PARTITIONS)
    slow = group.sites_on(nginx, 24, PARTITIONS, 20, "slow")
    quick = group.sites_on(nginx, 24, PARTITIONS, 1, "quick")
    some = group.Members(t, NAMES, topic, lambda name: slow(name) + quick(name))
    some.start()
    before = some.wait_shared(*NAMES)
    require(max(len(s) for s in shares(before).values()) <= 5, f"not shared evenly: {before}")
    died = time.time()
    some.kill("b")
    after = some.wait_owned(by=("a", "c"))
    # nothing else moves
    require(moved(before, after) == shares(before)["b"], f"{before}, then {after}")
    again = time.time() * 1000
    topic.wait(lambda found: len({r.site for r in found if r.slot > again and
                                  r.site.startswith("slow")}) == 24, 60, "not all go on")
    took = group.takeover_s(topic.records(), "b", died * 1000)
    some.start("b")
    some.wait_shared(*NAMES)
    verdict = some.finish()
    t.note(f"in other hands after {took:.1f} s")
    missed = [r for r in verdict.summary.firsts if r.error_type == "missed_takeover"]
    require(missed, "no slot was missed for want of a member")
    require(not [r for r in missed if r.site.startswith("slow")], "slots were missed, not late")
    require(all(re.search(r"\d", r.error_message) for r in missed), f"how long? {missed[0].data}")
    require(all(r.group == some.group and r.alone is False for r in verdict.summary.firsts),
            "every record names the group")
    found = verify.topic(topic)
    require(found.code != verify.BROKEN, found)


@needs("kafka")
def test_restarts_move_nothing(t):
    """TERM and start within the session, one after the other; a publisher that dies; HUP."""
    some, _ = members(t)
    some.start()
    before = some.wait_shared(*NAMES)
    begin = time.time() * 1000
    marks = {name: some[name].log_size() for name in NAMES}
    for name in NAMES:
        some.stop(name)
        some.start(name)
        require(some.wait_owned() == before, f"{name} did not get its own again")
    procs.kill(some["a"].publisher())
    some["b"].reload()
    require(some.wait_owned() == before, "a new publisher got other shards")
    for name, mark in marks.items():
        lost = [line for line in some[name].log(mark).splitlines() if re.search(
            r"[1-9]\d* given back", line)]
        require(not lost, f"{name} gave back: {lost}")
    verdict = some.finish()
    require(verdict.twice == 0, verdict)
    require(verdict.changed_hands(begin) == 0, f"sites changed hands: {verdict}")


@needs("kafka")
def test_one_more_moves_few(t):
    some, _ = members(t)
    some.start()
    before = some.wait_shared(*NAMES)
    some.add("d")
    mark = time.time() * 1000
    some.start("d")
    after = some.wait_shared(*NAMES, "d")
    changed = moved(before, after)
    require(len(changed) <= PARTITIONS // 4 + 1, f"{len(changed)} shards moved: {before}, {after}")
    require(changed == shares(after)["d"], f"moved between the others: {before}, {after}")
    verdict = some.finish()
    require(verdict.twice == 0, f"an orderly handover gave two records: {verdict}")
    stayed = [r.lateness_ms for r in verdict.summary.firsts if r.slot > mark and r.lateness_ms and
              r.partition not in changed]
    t.note(f"{len(changed)} shards moved, others late by {max(stayed):.0f} ms at most")


@needs("kafka")
def test_more_members_than_shards(t):
    """Those without a shard wait, and one of them replaces who dies; nobody joins without end."""
    nginx, topic = t.nginx(), t.topic(2)
    some = group.Members(t, ("a", "b", "c", "d"), topic, group.sites_on(nginx, 6, 2))
    some.start()
    owned = some.wait_owned()
    procs.wait_for(lambda: len(set(group.owners(topic.records(), time.time() * 1000 - 5000)
                                   .values())) == 2, 60, "not shared", 0.5)
    owned = some.wait_owned()
    marks = {name: some[name].log_size() for name in some.names()}
    procs.let_pass(5, "nothing moves")
    said = {name: group.said_shards(some[name], mark) for name, mark in marks.items()}
    require(not any(said.values()), f"shards move: {said}")
    some.kill(owned[0])
    after = some.wait_owned(by=[n for n in "abcd" if n != owned[0]])
    require(after[1] == owned[1] and after[0] not in owned.values(), f"{owned}, then {after}")
    some.finish()


@needs("kafka")
def test_who_was_stopped_begins_nothing(t):
    """A host is suspended past its lease: when it wakes, the others have its sites."""
    some, nginx = members(t)
    some.start()
    before = some.wait_shared(*NAMES)
    pids = some.freeze("b")
    stopped = time.time() * 1000
    some.wait_owned(by=("a", "c"))
    mark = some["b"].log_size()
    some.thaw(pids)
    woken = time.time() * 1000
    some.wait_shared(*NAMES)
    verdict = some.finish()
    # what was sent before the stop may be answered and written down behind it
    asked = [path for at, path in group.asked_by(nginx, "b", stopped + 1000, woken)]
    require(not asked, f"it was stopped, but asked: {asked[:5]}")
    first = {}
    for r in verdict.summary.firsts:
        if r.instance == "b" and r.started_at is not None and r.slot > woken - 20000:
            at = records.milliseconds(r.started_at)
            if at > woken:
                first[r.partition] = min(at, first.get(r.partition, at))
    others = group.slots_of([r for r in verdict.summary.firsts if r.instance != "b"])
    for r in verdict.summary.firsts:
        if r.instance == "b" and stopped < r.slot < woken:
            require(r.slot not in others.get((r.group, r.site), {}),
                    f"it ran a slot that another one had: {r}")
    require(before and first, "it never came back")
    t.note(some["b"].log(mark))


@needs("kafka")
def test_no_check_behind_the_lease(t):
    """
    Of a host that wakes all but the publisher go on, so that nobody can tell them anything: the web
    server sees no request of theirs.
    """
    some, nginx = members(t, ("a", "b"))
    some.start()
    some.wait_shared("a", "b")
    pids = some.freeze("b")
    some.wait_owned(by=("a",))
    publisher = some["b"].publisher()
    woken = time.time() * 1000
    for pid in pids:
        if pid != publisher:
            procs.kill(pid, signal.SIGCONT)
    procs.let_pass(5, "nothing begins while nobody renews the lease")
    asleep = group.asked_by(nginx, "b", woken)
    # one of each checker, which was about to ask
    require(len(asleep) <= len(some["b"].checkers()), f"it asked without a lease: {asleep[:9]}")
    procs.kill(publisher, signal.SIGCONT)
    some.wait_shared("a", "b")
    t.note(f"{len(asleep)} that were on their way")
    some.finish()


@needs("kafka")
def test_kafka_is_away_for_all(t):
    """Each goes on with the sites it had, and says that it is alone; then all is as before."""
    some, nginx = members(t, count=48, interval=5)  # there and back take less than an interval
    some.start()
    before = some.wait_shared(*NAMES)
    for name in NAMES:
        some.cut_off(name, "Kafka away")
    left = time.time() * 1000
    t.kafka().kill()
    marks = {name: some[name].log_size() for name in NAMES}
    for name in NAMES:
        some[name].wait_log(r"checking our \d+ shards? alone", 60, marks[name])
    alone = time.time() * 1000
    nginx.wait_asked(60)
    for name in NAMES:
        paths = {path.rsplit("/", 1)[1] for _, path in group.asked_by(nginx, name, alone)}
        shards = {records.murmur2_partition(site, PARTITIONS) for site in paths}
        require(shards <= shares(before)[name], f"{name} checks {shards}, its own: {before}")
    t.kafka()
    for name in NAMES:
        some[name].wait_log(r"group.*: back after", 90, marks[name])
    require(some.wait_shared(*NAMES) == before, "others than before")
    verdict = some.finish()
    require(verdict.alone > 0, "no record says that its slot began alone")
    require(verdict.verdicts_twice == 0 and verdict.changed_hands(left) == 0, verdict)
    missed = [r for r in verdict.summary.firsts if r.slot > left and
              r.error_type == "missed_takeover"]
    require(len(missed) <= verdict.slots / 10,
            f"slots were missed although all were there: {missed[:5]}")


@needs("kafka")
def test_rest_while_kafka_is_away(t):
    some, nginx = members(t, ("a", "b"), kafka={"alone": "rest"})
    some.start()
    before = some.wait_shared("a", "b")
    t.kafka().kill()
    for name in ("a", "b"):
        some.cut_off(name, "Kafka away")
        some[name].wait_log(r"\bresting\b", 60)
    resting = time.time() * 1000
    procs.let_pass(4, "nobody asks")
    asked = [a for name in ("a", "b") for a in group.asked_by(nginx, name, resting + 1000)]
    require(not asked, f"asked all the same: {asked[:5]}")
    t.kafka()
    require(some.wait_shared("a", "b") == before, "others than before")
    verdict = some.finish()
    require(verdict.alone == 0 and verdict.verdicts_twice == 0, verdict)


@needs("kafka")
def test_one_is_cut_off(t):
    """Its line is frozen: others take over, it goes on alone, and comes back."""
    between = t.proxy()
    some, _ = members(t, bootstrap={"b": f"127.0.0.1:{between.port}"})
    some.start()
    some.wait_shared(*NAMES)
    some.cut_off("b", "line frozen")
    between.mode = between.FREEZE
    some["b"].wait_log(r"checking our \d+ shards? alone", 90)
    some.wait_owned(by=("a", "c"))
    between.mode = between.PASS
    some["b"].wait_log(r"group.*: back after", 90)
    some.wait_shared(*NAMES)
    verdict = some.finish()
    require(verdict.alone > 0, verdict)


@needs("kafka")
def test_start_without_kafka(t):
    """Who was in the group a short time ago begins with the shards it had."""
    some, nginx = members(t, ("a", "b"))
    some.start()
    before = some.wait_shared("a", "b")
    some.stop("a")
    for name in ("a", "b"):
        some.cut_off(name, "Kafka away")
    t.kafka().kill()
    mark = time.time() * 1000
    some.start("a")
    procs.wait_for(lambda: len({path for _, path in group.asked_by(nginx, "a", mark)}) >=
                   2 * len(shares(before)["a"]), 90, "it does not go on alone", 0.5)
    paths = {path.rsplit("/", 1)[1] for _, path in group.asked_by(nginx, "a", mark)}
    shards = {records.murmur2_partition(site, PARTITIONS) for site in paths}
    require(shards == shares(before)["a"], f"{shards}, before {before}")
    t.kafka()
    some.wait_shared("a", "b")
    verdict = some.finish()
    require(verdict.alone > 0, verdict)


@needs("kafka")
def test_two_with_one_name(t):
    """The older one is fenced and says why; the newer one has the shards."""
    some, _ = members(t, ("a", "b"))
    twin = some.add("twin")
    twin.settings["instance"] = "b"
    twin.write_config()
    some.start("a", "b")
    some.wait_shared("a", "b")
    some.excuse("b", "two with one name", seconds=group.SESSION_S)
    some.start("twin")
    said = some["b"].wait_log(r"error: group.*the same instance.*", 60)
    some.wait_owned()
    t.note(said.group(0))
    some.stop("twin")
    some.stop("b")
    some.daemons.pop("twin")
    # the order of each is its own, and both have the same name
    some.finish(late={site["name"] for site in some.settings("a")["sites"]})


@needs("kafka")
def test_reload_in_a_group(t):
    """Sites come and go, one member after the other; shards stay; the group cannot be changed."""
    some, _ = members(t, ("a", "b"))
    some.start()
    before = some.wait_shared("a", "b")
    fewer = {name: some.settings(name) for name in ("a", "b")}
    for settings in fewer.values():
        settings["sites"] = settings["sites"][:12]
    gone = {s["name"] for s in some.settings("a")["sites"][12:]}
    for name in ("a", "b"):
        some[name].reload(fewer[name])
    for name in ("a", "b"):
        some[name].reload(some.settings(name))
    require(some.wait_owned() == before, "shards moved")
    changed = some.settings("a", kafka={"group": "another"})
    some["a"].reload(changed, good=False)
    require("kafka.group" in some["a"].log(), "it does not say what cannot be changed")
    some["a"].reload(some.settings("a"))
    some.stop()
    found = some.topic.records()
    group.judge([r for r in found if r.site not in gone], None, envelopes=False,
                kept={r.id for r in found if r.site in gone})


@needs("kafka")
def test_rights(t):
    """
    Without the right to read the group nothing is checked; without that to read the topic sites are
    shared, but a takeover leaves a jump.
    """
    nginx, topic, kafka = t.nginx(), t.topic(PARTITIONS), t.kafka()
    file = t.write("kafka.properties", "\n".join([*kafka.properties("sasl"), ""]), secret=True)
    some = group.Members(t, ("a", "b"), topic, group.sites_on(nginx, 24, PARTITIONS),
                         kafka={"properties_file": file, "properties": []})
    try:
        kafka.forbid(kafka.GROUP, some.group, kafka.READ)
        checked = t.webmond("-T", "-c", some["a"].file)
        require(checked.returncode != 0 and some.group in checked.stderr, checked)
        some["a"].start()
        said = some["a"].wait_log(r"error: group.*right.*", 60)
        t.note(said.group(0))
        kafka.allow_all()
        some.wait_owned(by=("a",))
        some.stop("a")

        kafka.allow(kafka.TOPIC, topic.name, kafka.WRITE)  # and nothing else
        checked = t.webmond("-T", "-c", some["a"].file)
        require("read" in checked.stderr + checked.stdout, checked)
        mark, blind = some["a"].log_size(), time.time() * 1000 - 60000
        some.start()
        said = some["a"].wait_log(r"error: group.*may not read .*", 60, mark)
        t.note(said.group(0))
        some.wait_shared("a", "b")
        some.kill("b")
        some.wait_owned(by=("a",))
    finally:
        kafka.allow_all()
    some.finish(blind=[(blind, time.time() * 1000)])


@needs("kafka")
def test_partitions_are_added(t):
    """Who runs goes on as before and says that all members have to be restarted."""
    some, _ = members(t, ("a", "b"),
                      properties=["topic.metadata.refresh.interval.ms=1000"])
    some.start()
    before = some.wait_shared("a", "b")
    t.kafka().add_partitions(some.topic.name, 2 * PARTITIONS)
    said = some["a"].wait_log(r"error: group.*24 partitions now.*", 90)
    t.note(said.group(0))
    now = time.time() * 1000
    found = some.topic.wait_rounds(some.settings("a")["sites"])
    who = {r.site: r.instance for r in found if r.slot > now}
    other = {site: name for site, name in who.items() if name != before[
        records.murmur2_partition(site, PARTITIONS)]}
    require(not other, f"sites changed hands: {other}")
    some.stop()
    some.regrown(2 * PARTITIONS)
    some.start()
    some.wait_shared("a", "b")
    some.stop()
    t.note(some.judge(moved=True, blind=[(now, time.time() * 1000)]))


@needs("kafka")
def test_eager_strategy(t):
    """range instead of cooperative-sticky: all is given back and comes again at each change."""
    some, _ = members(t, properties=["partition.assignment.strategy=range"])
    some.start("a", "b")
    some.wait_shared("a", "b")
    some.start("c")
    some.wait_shared(*NAMES)
    some.kill("b")
    some.wait_owned(by=("a", "c"))
    some.start("b")
    some.wait_shared(*NAMES)
    some.finish()


@needs("kafka")
def test_nobody_who_does_not_want_it_meets_it(t):
    """Without kafka.group Kafka sees no consumer, and the records say so."""
    topic = t.topic()
    t.daemon(t.settings(t.nginx().many(3), topic)).start()
    topic.wait_new()
    require(not [g for g in t.kafka().groups() if t.name in g], t.kafka().groups())
    require(all(r.group is None and r.alone is None for r in topic.records()), "they name a group")
