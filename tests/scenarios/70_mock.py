# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Answers of Kafka that a real broker does not give on demand: each is pushed into the mock
# cluster while the daemon runs, and everything arrives all the same.

import os
import signal
import sqlite3

from harness import needs, procs, records, require
from harness.mock import Mock
from harness.sites import site


def start(t, count=20, **others):
    cluster = t.mock()
    topic = cluster.topic("results", 3)
    d = t.daemon(t.settings(t.nginx().many(count), topic, cluster.bootstrap, **others)).start()
    topic.wait(lambda found: len(found) >= count, 20, "nothing arrives")
    return cluster, topic, d


def goes_on(topic, what, more=60, seconds=40):
    """New records arrive, and behind them there is no hole."""
    last = max(r.seq for r in topic.records())
    missing = []

    def all_there(found):
        missing[:] = sorted(set(range(last + more)) - {r.seq for r in found})
        return not missing

    topic.wait(all_there, seconds, lambda: f"after {what} there is no {missing[:30]}")


def finish(t, topic, d):
    d.stop()
    summary = topic.check(at_least=60, every_slot=True)
    t.note(summary)
    require(summary.epochs == 1, f"{summary.epochs} epochs")
    return summary


def test_passing_errors(t):
    cluster, topic, d = start(t)
    for name, code, times in (
            ("NOT_ENOUGH_REPLICAS", Mock.NOT_ENOUGH_REPLICAS, 5),
            ("REQUEST_TIMED_OUT", Mock.REQUEST_TIMED_OUT, 3),
            ("a closed connection", Mock.TRANSPORT, 3)):
        cluster.errors(code, times)
        goes_on(topic, name)
    cluster.command("rtt", 700)
    procs.let_pass(3, "for how long it is slow")
    cluster.command("rtt", 0)  # kcat needs it too
    goes_on(topic, "rtt 700")
    cluster.command("down")
    procs.let_pass(3, "for how long it is away")
    cluster.command("up")
    goes_on(topic, "down and up")
    finish(t, topic, d)


def test_authorization_failed_then_granted(t):
    cluster, topic, d = start(t)
    cluster.errors(Mock.TOPIC_AUTHORIZATION_FAILED, 2)
    t.note(d.wait_log(r"(error|warning): kafka: .*", 10).group())
    goes_on(topic, "TOPIC_AUTHORIZATION_FAILED")
    finish(t, topic, d)


def test_batch_too_large(t):
    """A batch is refused, its records are taken one by one: none of them is a dead letter."""
    cluster, topic, d = start(t)
    cluster.errors(Mock.MSG_SIZE_TOO_LARGE, 1)
    goes_on(topic, "MSG_SIZE_TOO_LARGE")
    finish(t, topic, d)
    require("dead letter" not in d.log(), "a record was given up")


def test_fatal_error(t):
    """An idempotent producer that is out of order is replaced, and what it had is sent again."""
    cluster, topic, d = start(t)
    for _ in range(2):
        cluster.errors(Mock.OUT_OF_ORDER_SEQUENCE, 1)
        goes_on(topic, "OUT_OF_ORDER_SEQUENCE")
    publisher = d.publisher()
    finish(t, topic, d)
    require(publisher, "there was no publisher")
    require("a new producer" in d.log(), "the log does not speak of a new producer")


@needs("kafka")
def test_record_too_large_is_a_dead_letter(t):
    """What is refused alone goes to the dead letters, and a shorter record takes its place."""
    nginx = t.nginx()
    # between the two: the stand-in lacks the pattern and the figures, about 70 bytes
    topic = t.topic(config={"max.message.bytes": 2018})
    noise = "".join(t.random.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(640))
    large = site("large", nginx.url(f"ok/{noise}"), body_regex=noise[:120])
    settings = t.settings([*nginx.many(10), large], topic)
    settings["kafka"]["properties"] += ["compression.codec=none", "batch.num.messages=1"]
    d = t.daemon(settings).start()
    topic.wait(lambda found: sum(r.site == "large" for r in found) >= 2, 30,
               "nothing takes the place of the large ones")
    topic.wait(lambda found: len(found) >= 40, 30, "the neighbours do not arrive")
    mark = d.log_size()
    d.signal(signal.SIGUSR1)
    d.wait_log(r"status: .* records? waiting, \d+ dead letters?", 20, mark)
    d.stop()
    summary = topic.check(at_least=40)
    given_way = [r for r in summary.firsts if r.site == "large" and not records.is_busy(r)]
    require(all(r.error_type == "dropped" and r.data["dropped_through"] == r.seq
                for r in given_way), given_way)
    letters = _dead_letters(t)
    t.note(f"{summary}; {letters} dead letters")
    require(letters == len(given_way), f"{letters} dead letters for {len(given_way)} records")


def _dead_letters(t):
    database = sqlite3.connect(f"file:{t.path('spool')}/spool.db?mode=ro", uri=True)
    try:
        return database.execute("SELECT count(*) FROM dead").fetchone()[0]
    finally:
        database.close()


def test_slow_cluster_fills_the_spool(t):
    """A cluster too slow for the load: the spool grows, memory does not, and all arrives."""
    cluster, topic, d = start(t, 100)
    cluster.command("rtt", 2500)
    procs.let_pass(6, "two answers, while the load goes on")
    cluster.command("rtt", 0)
    goes_on(topic, "rtt 2500", 200, 60)
    size = int(procs.status_field(d.publisher(), "VmRSS").split()[0])
    finish(t, topic, d)
    require(size < 100 * 1024, f"the publisher has {size} KiB")
    require(os.path.getsize(t.path("spool", "spool.db")) < 20 << 20, "the spool does not shrink")
