# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The tools themselves: does the checker of invariants see what it is there for? If it were blind,
# all other scenarios would pass.

import copy
import subprocess
import sys
import os

from harness import Broken, Failure, group, needs, procs, records, require

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA_FILE = os.path.join(records.ROOT, "etc", "check-result.v1.schema.json")


def test_schema(t):
    done = procs.run([sys.executable, os.path.join(HERE, "..", "schema.py"), SCHEMA_FILE,
                      "--self-test"])
    require(done.returncode == 0, done.stdout)


def _record(seq, site="shop", /, **fields):
    """A good record, as kcat would show it; `fields` replace what stands in its payload."""
    data = copy.deepcopy(records.SCHEMA["examples"][0])
    minute, second = divmod(20 + seq, 60)
    at = f"2026-11-23T10:{minute:02d}:{second:02d}.350Z"
    data.update(id=f"{data['epoch']}-{seq}", interval_s=1, scheduled_at=at, started_at=at,
                lateness_ms=0.2, streak=seq + 1, status_since="2026-11-23T10:00:20.350Z")
    data.update(fields, seq=seq, site=site)
    return {"partition": 0, "offset": seq, "ts": records.milliseconds(data["scheduled_at"]),
            "tstype": "create", "key": site, "data": data,
            "headers": ["content-type", "application/json", "ce_specversion", "1.0", "ce_id",
                        data["id"], "ce_source", data["instance"], "ce_type", "webmond.check.v1",
                        "ce_time", data["scheduled_at"]]}


def _parse(envelopes):
    return [records.Record({**e, "payload": records.json.dumps(e["data"])}) for e in envelopes]


def test_checker_of_invariants(t):
    good = [_record(n) for n in range(10)]
    summary = records.check(_parse(good + good[3:5]))
    require(summary.repeats == 2, f"repeats are not counted: {summary}")

    def changed(n, **fields):
        return good[:n] + [{**good[n], **fields}] + good[n + 1:]

    bad = {
        "a hole": good[:4] + good[5:],
        "the first is missing": good[1:],
        "two contents": good + [_record(3, lateness_ms=0.3)],
        "wrong order": good[:4] + [good[5], good[4]] + good[6:],
        "another key": changed(2, key="other"),
        "another timestamp": changed(2, ts=good[2]["ts"] + 1),
        "the broker's timestamp": changed(2, tstype="logappend"),
        "a header is missing": changed(2, headers=good[2]["headers"][2:]),
        "a header is wrong": changed(2, headers=good[1]["headers"]),
        "not valid": good[:9] + [_record(9, status="fine")],
        "a key more": good[:9] + [_record(9, surprise=1)],
        "status and word": good[:9] + [_record(9, status="down")],
        "phases": good[:9] + [_record(9, wait_ms=98.5)],
        "lateness": good[:9] + [_record(9, lateness_ms=17)],
        "off the grid": good[:9] + [_record(9, scheduled_at="2026-11-23T10:00:29.400Z",
                                            started_at="2026-11-23T10:00:29.400Z")],
        "streak": good[:9] + [_record(9, streak=11)],
        "streak begins again": good[:9] + [_record(9, streak=1,
                                                   status_since="2026-11-23T10:00:29.350Z")],
        "status_since": good[:9] + [_record(9, status_since="2026-11-23T10:00:21.350Z")],
        "too little": [],
    }
    for what, envelopes in bad.items():
        try:
            records.check(_parse(envelopes))
        except Failure:
            continue
        raise Failure(f"the checker does not see: {what}")


def test_checker_knows_slots(t):
    """One without a record is a mistake where nothing excuses it; a restart does."""
    def record(seq, second, **fields):
        at = f"2026-11-23T10:00:{second}.350Z"
        return _record(seq, scheduled_at=at, started_at=at,
                       **{"status_since": "2026-11-23T10:00:20.350Z", **fields})

    good = [record(n, 20 + n) for n in range(4)]
    gap = good + [record(4, 25)]
    other = "20261123T100024Z-9f3c52d07a61be48"
    restart = good + [record(0, 25, epoch=other, id=f"{other}-0",
                             status_since="2026-11-23T10:00:25.350Z")]
    records.check(_parse(gap))
    records.check(_parse(restart), every_slot=True)
    try:
        records.check(_parse(gap), every_slot=True)
    except Failure:
        return
    raise Failure("a slot without a record is not seen")


def test_checker_knows_dropped(t):
    good = [_record(n) for n in range(10)]
    template = copy.deepcopy(records.SCHEMA["examples"][2])
    dropped = _record(3, **{name: template[name] for name in template if name in (
        "started_at", "lateness_ms", "status", "error_type", "error_message", *records.PHASES,
        "elapsed_ms", "response_time_ms", "http_status_code", "redirect_ms", "redirects")},
        dropped_through=6, streak=1, status_since=good[3]["data"]["scheduled_at"])
    require(records.check(_parse(good[:3] + [dropped] + good[7:])).words["dropped"] == 1,
            "no dropped record")
    for spoilt, what in ((good[8:], "a hole behind dropped_through"),
                         (good[6:], "a record of what was dropped")):
        try:
            records.check(_parse(good[:3] + [dropped] + spoilt))
        except Failure:
            continue
        raise Failure(f"{what} is not seen")


# what a record of a slot that nobody ran does not know
_NOT_RUN = dict.fromkeys((
    *records.PHASES, "elapsed_ms", "response_time_ms", "http_status_code", "http_version",
    "tls_version", "remote_ip", "body_bytes", "redirect_ms", "redirects", "started_at",
    "lateness_ms", "body_truncated", "body_regex_matched", "connection_reused", "cert_issuer",
    "cert_sha256", "chain_expires_at", "cert_expires_at"))


def _shared(silent=False):
    """
    Fourteen seconds of three members with a site each, a topic that is right: "a" is killed when
    eight are over, and three seconds later "b" has its site and tells of the slots between; not if
    it is `silent`.
    """
    found, seqs, last = [], {}, {}
    for second in range(14):
        for n, site in enumerate(("pear", "plum", "quince")):
            owner = "abc"[n] if n or second < 8 else "b"
            nobody = n == 0 and 8 <= second < 11
            if nobody and silent:
                continue
            seq = seqs[owner] = seqs.get(owner, -1) + 1
            epoch = f"20261123T100000Z-000000000000000{owner}"
            at = f"2026-11-23T10:00:{20 + second}.350Z"
            status, streak, since = last.get((owner, site), ("", 0, at))
            new = "unknown" if nobody else "up"
            last[owner, site] = (new, *((streak + 1, since) if status == new else (1, at)))
            fields = {"started_at": at} | ({} if not nobody else _NOT_RUN | {
                "error_type": "missed_takeover", "error_message": "no member had the shard"})
            found.append(_record(seq, site, **{
                "epoch": epoch, "id": f"{epoch}-{seq}", "instance": owner, "group": "eu",
                "alone": False, "status": new, "scheduled_at": at,
                "streak": last[owner, site][1], "status_since": last[owner, site][2], **fields}))
    return found


def _judged(envelopes, excuses=(), **options):
    """The verdict, or what is broken."""
    numbered = [{**e, "offset": n} for n, e in enumerate(envelopes)]
    try:
        return group.judge(_parse(numbered), None, excuses, **options)
    except Broken as e:
        return e


def test_judge_of_groups(t):
    """What the judge over several members has to see, and what it must let pass."""
    good = _shared()
    killed = records.milliseconds("2026-11-23T10:00:28.000Z")
    verdict = _judged(good)
    require(isinstance(verdict, group.Verdict), verdict)
    require((verdict.slots, verdict.missed, verdict.twice, verdict.takeovers) == (42, 3, 0, 1),
            verdict)
    pears = _parse([e for e in good if e["key"] == "pear"])
    require(group.owners(pears) == {0: "b"}, group.owners(pears))
    require(group.takeover_s(pears, "a", killed) == 3.35, group.takeover_s(pears, "a", killed))

    def again(second, **fields):
        """The pear of this second once more, by "c" in another life, behind all else."""
        (data,) = [e["data"] for e in good if e["key"] == "pear" and
                   e["data"]["scheduled_at"].endswith(f":{20 + second}.350Z")]
        at, epoch = data["scheduled_at"], "20261123T100000Z-00000000000000cc"
        return good + [_record(0, "pear", **{
            **data, "epoch": epoch, "id": f"{epoch}-0", "instance": "c", "streak": 1, "seq": 0,
            "status_since": at, **fields})]

    started = {name: good[0]["data"][name] for name in _NOT_RUN} | {
        "started_at": "2026-11-23T10:00:29.350Z", "status": "up", "error_type": None,
        "error_message": None}
    elsewhere = {"scheduled_at": "2026-11-23T10:00:24.351Z",
                 "status_since": "2026-11-23T10:00:24.351Z"}
    bad = {
        "a slot that nobody has": _shared(silent=True),
        "a hole in a member's numbers": good[:4] + good[5:],
        "two verdicts": again(4),
        "… of another member than the one that was killed": again(12),
        "a verdict beside a record that nobody ran it": again(9, **started),
        "another grid": again(4, **elsewhere),
    }
    for what, envelopes in bad.items():
        seen = _judged(envelopes, [group.Excuse("a", killed)])
        require(isinstance(seen, Broken), f"the judge does not see: {what}: {seen}")
    fine = {
        "what a killed member had on its way": (again(7), [group.Excuse("a", killed)], ()),
        "… if the other one was killed": (again(7), [group.Excuse("c", killed)], ()),
        "what began while a line was frozen":
            (again(4), [group.Excuse("a", killed - 5000, killed)], ()),
        "alone": (again(4, alone=True), [], ()),
        "nobody could read the topic":
            (_shared(silent=True), [], [(killed, killed + 2000)]),
    }
    for what, (envelopes, excuses, blind) in fine.items():
        seen = _judged(envelopes, excuses, blind=blind)
        require(isinstance(seen, group.Verdict), f"the judge does not let pass: {what}: {seen}")
    two = [r for r in _parse(again(4, alone=True)) if r.slot == pears[4].slot and r.site == "pear"]
    require(group.choice(two[::-1]).instance == "a", "the group's word counts more")


def test_mock_cluster(t):
    cluster = t.mock()
    topic = cluster.topic("here", 2)
    cluster.errors(cluster.NOT_ENOUGH_REPLICAS, 2)
    _produce(["-b", cluster.bootstrap], topic, [_record(0)])
    found = topic.records()  # no check(): kcat cannot set timestamps
    require(len(found) == 1 and
            found[0].partition == records.murmur2_partition("shop", 2), f"found {found}")
    cluster.command("down")
    cluster.command("up")


@needs("kafka")
def test_real_kafka(t):
    topic = t.topic()
    good = [_record(n) for n in range(3)]
    for n, listener in enumerate(("plain", "ssl", "sasl")):
        properties = t.write(f"{listener}.properties", "\n".join(t.kafka().properties(listener)))
        _produce(["-F", properties], topic, good[n:n + 1])
    found = topic.records()
    require([r.id for r in found] == [f"{r.epoch}-{n}" for n, r in enumerate(found)] and
            len(found) == 3, f"found {found}")
    t.kafka().kill()
    t.kafka()  # starts it again
    require(len(topic.records()) == 3, "the broker forgot")


def _produce(arguments, topic, envelopes):
    for e in envelopes:
        headers = [w for name, value in zip(e["headers"][::2], e["headers"][1::2])
                   for w in ("-H", f"{name}={value}")]
        done = subprocess.run(["kcat", "-q", *arguments, "-P", "-t", topic.name, "-k", e["key"],
                               "-X", "partitioner=murmur2_random", *headers],
                              input=records.json.dumps(e["data"]).encode(), timeout=30,
                              stderr=subprocess.PIPE, check=False)
        require(done.returncode == 0, done.stderr)
