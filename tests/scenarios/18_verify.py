# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# webmondctl verify: topics of the daemon are clean, and topics that were spoilt are not.

import json
import os
import signal
import struct
import subprocess
import tempfile

from harness import Broken, needs, procs, records, require, verify
from harness.broker import string
from harness.mock import Mock


def produce(topic, messages):
    """(partition, key, value) each; an empty value is sent as none."""
    by_partition = {}
    for partition, key, value in messages:
        by_partition.setdefault(partition, []).append(f"{key}\x01{value}\n")
    for partition, lines in by_partition.items():
        with tempfile.NamedTemporaryFile("w") as file:
            file.writelines(lines)
            file.flush()
            done = procs.run(["kcat", "-q", *topic.arguments, "-P", "-t", topic.name, "-p",
                              str(partition), "-K", "\x01", "-Z", "-l", file.name])
        require(done.returncode == 0, done.stderr)


def written(found):
    return [(r.partition, r.key, r.payload) for r in found]


def watched(t, cluster, count=9, rounds=3):
    """A topic with two epochs of some sites, the first of which ended in a kill."""
    topic = cluster.topic("results", 3)
    d = t.daemon(t.settings(t.nginx().many(count), topic, cluster.bootstrap)).start()
    topic.wait(lambda found: len(found) >= rounds * count, 30, "nothing arrives")
    os.kill(d.publisher(), signal.SIGKILL)
    topic.wait_new()
    d.kill()
    d.start()
    topic.wait_rounds(d.settings["sites"], 2)
    d.stop()
    return topic


def test_topic_of_the_daemon_is_clean(t):
    topic = watched(t, t.mock())
    summary = verify.beside(topic, at_least=30)
    found = verify.topic(topic)
    require(found.code == verify.HOLDS and found.report["verdict"] == "holds", found)
    require([e["instance"] for e in found.epochs] == ["test-1"] * 2, found)
    ended = {e["epoch"]: e["ended"] for e in found.epochs}
    require([ended[name] for name in sorted(ended)] == [True, False], found)
    require(sum(e["repeats"] for e in found.epochs) == summary.repeats, found)
    for e in found.epochs:
        own = [r for r in summary.firsts if r.epoch == e["epoch"]]
        late = [r.lateness_ms for r in own if r.lateness_ms is not None]
        require(e["sites"] == 9 and e["last_seq"] == max(r.seq for r in own), e)
        require(e["lateness_ms"]["max"] == max(late), f"{e}: {max(late)}")
        require(e["status"]["up"] == sum(r.status == "up" for r in own), e)
    done = procs.run([verify.binary(), "verify", "-F",
                      t.write("p", f"bootstrap.servers={topic.arguments[1]}\n"), "-t", topic.name])
    require(done.returncode == 0 and done.stdout.endswith("\nall holds\n"), done.stdout + done.stderr)
    t.note(done.stdout)


def judge_finds(topic):
    """Whether records.py calls a topic broken, the headers of which produce() has not written."""
    try:
        topic.judge(envelopes=False)
    except Broken:
        return True
    return False


def test_spoilt_topics_are_not(t):
    cluster = t.mock()
    topic = watched(t, cluster, rounds=6)
    good = topic.records()
    firsts = records.first_copies(good)
    epoch = min(r.epoch for r in firsts)
    first = [r for r in firsts if r.epoch == epoch]
    # in the middle of the epoch that has ended, of a site with records before and behind it
    victim = sorted(first, key=lambda r: r.seq)[len(first) // 2]
    own = [r for r in first if r.site == victim.site]
    before = own[own.index(victim) - 1]
    rest = [r for r in good if r.id != victim.id]
    changed = victim.payload.replace('"method":"GET"', '"method":"PUT"')

    def swapped():
        return [before if r.id == victim.id else victim if r.id == before.id else r for r in good]

    def silenced():
        """A site falls silent; the numbers are those of a daemon that never checked it again."""
        kept = [r for r in good if r.epoch == epoch and
                (r.site != victim.site or r.seq <= own[0].seq)]
        numbers = {seq: n for n, seq in enumerate(sorted({r.seq for r in kept}))}
        for r in kept:
            n = numbers[r.seq]
            yield r.partition, r.key, r.payload.replace(
                f'-{r.seq}"', f'-{n}"', 1).replace(f'"seq":{r.seq},', f'"seq":{n},', 1)

    foreign = [(0, "x", "nonsense"), (1, "y", ""), (2, "z", '{"schema_version":2}'), (0, "", "[]"),
               (1, "x", '{"schema_version":1,"seq":"' + 100000 * "x" + '"}')]
    cases = [
        ("as it is", written(good), verify.HOLDS, {}),
        ("a hole", written(rest), verify.BROKEN, {"holes": 1}),
        ("two contents", written(good) + [(victim.partition, victim.key, changed)], verify.BROKEN,
         {"contents": 1}),
        ("repeats", written(good) + written(good), verify.HOLDS, {}),
        ("order", written(swapped()), verify.BROKEN, {"order": 1}),
        ("silence", list(silenced()), verify.QUESTION, {"silent": 1}),
        ("foreign messages", foreign + written(good) + foreign, verify.HOLDS, {}),
        ("only foreign messages", foreign, verify.QUESTION, {}),
        ("nothing", [], verify.QUESTION, {}),
    ]
    for number, (name, messages, code, expected) in enumerate(cases):
        spoilt = cluster.topic(f"spoilt-{number}", 3)
        produce(spoilt, messages)
        found = verify.topic(spoilt)
        require(found.code == code, f"{name}: {found}")
        require(found.found() == expected, f"{name}: {found.found()}, not {expected}: {found}")
        if name in ("as it is", "a hole", "two contents", "order", "silence"):
            require(judge_finds(spoilt) == (code == verify.BROKEN), f"{name}: the judge differs")
        if name == "repeats":
            require(sum(e["repeats"] for e in found.epochs) >= len(good), found)
        if name == "foreign messages":
            counted = {kind: n for kind, n in found.report["messages"].items() if kind != "records"}
            require(counted == {"tombstones": 2, "not_json": 6, "other_version": 2, "foreign": 0},
                    found)


def test_exit_codes_say_what_is_wrong(t):
    cluster = t.mock()
    cluster.topic("results", 1)
    good = [f"bootstrap.servers={cluster.bootstrap}"]
    cluster.command("topic-error", "secret", Mock.TOPIC_AUTHORIZATION_FAILED)
    cluster.command("topic-error", "missing", Mock.UNKNOWN_TOPIC_OR_PART)
    port = t.refused().port
    open_to_all = t.write("open.properties", "sasl.password=x\n")
    for properties, topic, code, words in (
            (good, "missing", 66, 'there is no topic "missing"'),
            (good, "secret", 77, 'the right to read "secret"'),
            ([f"bootstrap.servers=127.0.0.1:{port}"], "x", 69, "Connection refused"),
            (["client.id=x"], "x", 78, "no bootstrap.servers"),
            (["bootstrap.servers=x", "nonsense", "a=b"], "x", 78, ":2: a property must look like"),
            (["bootstrap.servers=x", "ssl.ca.location=none.pem"], "x", 78, 'none.pem"'),
            (open_to_all, "x", 78, "chmod o-rwx"),
            (t.path("none"), "x", 78, "No such file")):
        found = verify.read(properties, topic)
        require(found.code == code and words in found.err and found.report is None,
                f"{topic}: not {code} {words}: {found}")
    for arguments in ([], ["verify"], ["verify", "-F", "x"], ["verify", "-t", "x"], ["nonsense"],
                      ["verify", "-F", "x", "-t", "x", "--since", "yesterday"],
                      ["verify", "-F", "x", "-t", "x", "--since", "2026-11-31"],
                      ["verify", "-F", "x", "-t", "x", "more"], ["verify", "--nonsense"]):
        done = procs.run([verify.binary(), *arguments])
        require(done.returncode == 64 and done.stderr and not done.stdout, f"{arguments}: {done}")
    for arguments in (["-h"], ["--version"], ["verify", "--help"]):
        done = procs.run([verify.binary(), *arguments])
        require(done.returncode == 0 and done.stdout and not done.stderr, f"{arguments}: {done}")


def test_follow(t):
    """It says at once what is wrong with what comes, and at the end how all is."""
    cluster = t.mock()
    topic = watched(t, cluster)
    good = topic.records()
    follow = cluster.topic("follow", 3)
    produce(follow, written(good))
    properties = t.write("p", f"bootstrap.servers={cluster.bootstrap}\n")
    process = procs.spawn([verify.binary(), "verify", "-F", properties, "-t", follow.name,
                           "--follow"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)

    def read_until(words):
        line = ""
        while words not in line:
            line = procs.read_line(process.stdout, 30, f"verify --follow, waiting for {words!r}")
        return line

    read_until("all holds")
    cluster.command("down")
    said = procs.read_line(process.stderr, 30, "verify --follow without Kafka")
    require("cannot reach Kafka" in said, said)
    cluster.command("up")
    last = good[-1]
    produce(follow, [(last.partition, last.key, last.payload.replace("GET", "PUT"))])
    require(last.epoch in read_until("of which one is at"), "it does not name the epoch")
    process.send_signal(signal.SIGTERM)
    read_until("WRONG: 1 id with two contents")
    require(process.wait(20) == verify.BROKEN, f"exit code {process.returncode}")


def groups(kafka):
    """ListGroups version 0: all that the broker knows."""
    answer, at, found = kafka.call(16, 0, b""), 6, []
    for _ in range(struct.unpack_from(">i", answer, 2)[0]):
        for _ in range(2):  # its name, its protocol
            size = struct.unpack_from(">h", answer, at)[0]
            found.append(answer[at + 2:at + 2 + size].decode())
            at += 2 + size
    return found[::2]


def delete_before(kafka, name, offsets):
    """DeleteRecords version 0: as retention does, but now."""
    body = struct.pack(">i", 1) + string(name) + struct.pack(">i", len(offsets))
    for partition, offset in offsets.items():
        body += struct.pack(">iq", partition, offset)
    kafka.call(21, 0, body + struct.pack(">i", 20000))


@needs("kafka")
def test_with_a_real_broker(t):
    """By mTLS and SASL; after processes were killed; since a time; what was removed is not known."""
    topic = t.topic()
    d = t.daemon(t.settings(t.nginx().many(20), topic)).start()
    topic.wait(lambda found: len(found) >= 60, 30, "nothing arrives")
    for _ in range(2):
        os.kill(d.publisher(), signal.SIGKILL)
        topic.wait_new()
    d.stop()
    summary = verify.beside(topic, at_least=60, every_slot=True)
    for listener in ("ssl", "sasl"):
        lines = t.kafka().properties(listener)
        file = t.write(f"{listener}.properties", "\n".join(lines) + "\n", secret=True)
        found = verify.read(file, topic.name)
        require(found.code == verify.HOLDS, f"{listener}: {found}")
        require(found.epochs[0]["records"] == len(summary.firsts), f"{listener}: {found}")

    group = f"bootstrap.servers={t.kafka().address()}\ngroup.id={topic.name}\n"
    found = verify.read(t.write("group.properties", group), topic.name)
    require(found.code == verify.HOLDS, found)
    require(topic.name not in groups(t.kafka()), "it has joined a group, or committed for it")

    ordered = sorted(summary.firsts, key=lambda r: r.slot)
    middle = ordered[len(ordered) // 2]
    found = verify.topic(topic, "--since", middle.scheduled_at)
    require(found.code == verify.HOLDS, found)
    require(found.epochs[0]["records"] < len(ordered), found)
    require(found.epochs[0]["excused"]["removed"] > 0, found)
    require(verify.topic(topic, "--since", "1h").report == verify.topic(topic).report,
            "all of it is from the last hour")
    require(verify.topic(topic, "--since", "2099-01-01").code == verify.QUESTION, "nothing is so new")

    # the older half of one partition, and all of another
    ends = {p: max(r.offset for r in topic.records() if r.partition == p) + 1 for p in (0, 1)}
    delete_before(t.kafka(), topic.name, {0: ends[0] // 2})
    found = verify.topic(topic)
    require(found.code == verify.HOLDS and found.report["not_known"]["partitions_begin_late"] == 1,
            found)
    require(found.epochs[0]["excused"]["removed"] > 0, found)
    delete_before(t.kafka(), topic.name, {1: ends[1]})
    found = verify.topic(topic)
    # a question, unless what the first partition lost is nearly as new
    require(found.code != verify.BROKEN and set(found.found()) <= {"emptied"}, found)
    require(found.report["not_known"]["partitions_begin_late"] == 2, found)
    t.note(json.dumps(found.report))
