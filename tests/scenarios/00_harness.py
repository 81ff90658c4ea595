# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The tools themselves: does the checker of invariants see what it is there for? If it were blind,
# all other scenarios would pass.

import copy
import subprocess
import sys
import os

from harness import Failure, needs, procs, records, require

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA_FILE = os.path.join(records.ROOT, "etc", "check-result.v1.schema.json")


def test_schema(t):
    done = procs.run([sys.executable, os.path.join(HERE, "..", "schema.py"), SCHEMA_FILE,
                      "--self-test"])
    require(done.returncode == 0, done.stdout)


def _record(seq, site="shop", **fields):
    """A good record, as kcat would show it; `fields` replace what stands in its payload."""
    data = copy.deepcopy(records.SCHEMA["examples"][0])
    minute, second = divmod(20 + seq, 60)
    at = f"2026-11-23T10:{minute:02d}:{second:02d}.350Z"
    data.update(seq=seq, id=f"{data['epoch']}-{seq}", site=site, interval_s=1, scheduled_at=at,
                started_at=at, lateness_ms=0.2, streak=seq + 1,
                status_since="2026-11-23T10:00:20.350Z")
    data.update(fields)
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
