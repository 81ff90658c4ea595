# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Kafka is away, slow, out of reach or refuses: cases 14 to 27. 28 is about exactly-once delivery,
# which webmond does not offer. Wrong authorities, host names, passwords and mechanisms (26) are
# scenarios: 20_command_line and 80_security.

import os
import signal
import time

from harness import Failure, certs, fault, needs, procs, records, require
from harness.broker import Broker
from harness.mock import Mock
from harness.proxy import Proxy
from harness.sites import site

LOST = "nothing is lost"
STEADY = "nothing is lost, memory and CPU stay flat"


def start(t, topic, count=50, bootstrap=None, properties=(), prefix=(), ready=True):
    settings = t.settings(t.nginx().many(count), topic, bootstrap)
    settings["kafka"]["properties"] += properties
    d = t.daemon(settings).start(prefix=prefix)
    if ready:
        topic.wait(lambda found: len(found) > count, 20, "nothing arrives")
    return d


def finish(t, d, topic, recovery_s, at_least=50, epochs=1, note=""):
    d.stop()
    summary = topic.check(at_least=at_least)
    require(summary.epochs == epochs, f"{summary.epochs} epochs, not {epochs}")
    gaps = records.missing_slots(summary.firsts)
    require(epochs > 1 or not gaps, gaps)
    t.report(summary, recovery_s=recovery_s, note=note)
    return summary


def answers(d):
    """How long HUP takes; a second would do, a busy machine gets ten."""
    begin = time.monotonic()
    d.reload()
    took = time.monotonic() - begin
    require(took < 10, f"HUP took {took:.1f} s")
    return took


def memory_kib(pid):
    return int(procs.status_field(pid, "VmRSS").split()[0])


# --- away ----------------------------------------------------------------------------------------

@fault("14", "broker absent at the start", LOST, quick=False)
@needs("kafka")
def test_absent_at_start(t):
    topic = t.topic()
    settings = t.settings(t.nginx().many(50), topic)
    t.kafka().kill()
    d = t.daemon(settings).start()
    procs.let_pass(60, "for how long it is away")
    hup = answers(d)
    t.kafka()
    finish(t, d, topic, topic.wait_for_all(), note=f"HUP meanwhile: {hup:.1f} s")


@fault("15, 16", "broker away for 10 minutes (quick: 12 s), with a stop, a start, and a kill -9 "
       "of everything and a start inside", LOST)
@needs("kafka")
def test_away(t):
    topic = t.topic()
    d = start(t, topic)
    third = t.times(200, 4)
    t.kafka().kill()
    procs.let_pass(third, "a third of the time for which it is away")
    begin = time.monotonic()
    d.stop()
    took = time.monotonic() - begin
    require(took < 15, f"the stop took {took:.1f} s")
    d.start()
    procs.let_pass(third, "a third of the time for which it is away")
    d.kill()
    d.start()
    procs.let_pass(third, "a third of the time for which it is away")
    t.kafka()
    recovery = topic.wait_for_all(120)
    require("a new producer" not in d.log(), "records were sent twice without need")
    finish(t, d, topic, recovery, at_least=third * 120, epochs=3,
           note=f"the stop took {took:.1f} s")


@fault("16b", "TERM, then TERM again, with the broker away", LOST)
@needs("kafka")
def test_two_terms(t):
    topic = t.topic()
    d = start(t, topic)
    t.kafka().kill()
    took = []
    while not took or took[-1] >= 5 and len(took) < 3:  # the machine may have stood still
        if took:
            d.start()
        procs.let_pass(1, "for how long it is away")
        begin = time.monotonic()
        d.signal(signal.SIGTERM)
        procs.let_pass(0.3, "two signals at the same moment are one")
        d.signal(signal.SIGTERM)
        require(d.wait_end() == 0, "it failed")
        took.append(time.monotonic() - begin)
    require(took[-1] < 5, f"the second TERM was no hurry: {took} s")
    t.kafka()
    d.start()
    finish(t, d, topic, topic.wait_for_all(), epochs=len(took) + 1,
           note=f"gone after {took[-1]:.1f} s")


def refused(proxy, daemon):
    proxy.down()
    yield
    require("sasl_ssl" not in daemon.log(), "advice about what has worked before")
    proxy.up()


def black_holed(proxy, daemon):
    proxy.black_hole()
    yield
    proxy.down()
    proxy.up()


def half_open(proxy, daemon):
    proxy.mode = Proxy.FREEZE
    yield
    proxy.mode = Proxy.PASS


def cut(proxy, daemon):
    """Ten times, at a random place."""
    for n in (1, 3, 50, 500, 1000, 2000, 5000, 9000, 12345, 20000):
        proxy.cut_after = n
        procs.wait_for(lambda: proxy.cut_after is None, 20, "no request comes", 0.01)
    yield


def reset(proxy, daemon):
    for _ in range(20):
        proxy.reset()
        procs.let_pass(0.1, "there are connections again")
    yield


def through_proxy(number, what, doing):
    @fault(number, what, LOST)
    @needs("kafka")
    def test(t):
        topic, proxy = t.topic(), t.proxy()
        # the default patience of 60 s would be that of the test as well
        d = start(t, topic, bootstrap=f"127.0.0.1:{proxy.port}",
                  properties=["socket.timeout.ms=3000", "socket.connection.setup.timeout.ms=2000"])
        steps = doing(proxy, d)
        next(steps)
        procs.let_pass(t.times(30, 2), "for how long it lasts")
        hup = answers(d)
        next(steps, None)
        recovery = topic.wait_for_all()
        finish(t, d, topic, recovery, note=f"HUP meanwhile: {hup:.1f} s")
    return test


test_refused = through_proxy("17a", "broker refuses connections", refused)
test_black_holed = through_proxy("17b", "SYN to the broker unanswered", black_holed)
test_half_open = through_proxy("17c", "connections half open: nothing goes through", half_open)
test_cut = through_proxy("17d", "RST in the midst of ten requests", cut)
test_reset = through_proxy("17e", "RST to all connections, twenty times", reset)


@fault("17f", "broker killed (-9) and restarted twenty times (quick: twice)", LOST)
@needs("kafka")
def test_broker_killed(t):
    topic = t.topic()
    d = start(t, topic)
    slowest = 0
    for _ in range(t.times(20, 2)):
        t.kafka().kill()
        procs.let_pass(t.random.random() * 2, "it comes back at any moment")
        t.kafka()
        slowest = max(slowest, topic.wait_for_all())
    finish(t, d, topic, slowest)


@fault("18a", "acknowledgements lost after the append, Kafka remembers the producer", LOST)
@needs("kafka")
def test_deaf(t):
    topic, proxy = t.topic(), t.proxy()
    d = start(t, topic, bootstrap=f"127.0.0.1:{proxy.port}", properties=["socket.timeout.ms=2000"])
    for _ in range(t.times(10, 2)):
        proxy.mode = Proxy.DEAF
        procs.let_pass(1, "for how long answers are lost")
        proxy.reset()
        proxy.mode = Proxy.PASS
        recovery = topic.wait_for_all()
    summary = finish(t, d, topic, recovery)
    require(summary.repeats == 0, f"{summary.repeats} repeats")


# --- answers that the mock cluster gives --------------------------------------------------------

def mock_topic(t, brokers=1):
    cluster = t.mock(brokers)
    return cluster, cluster.topic("results", 3)


@fault("18b", "acknowledgements lost after the append, Kafka has forgotten the producer", LOST)
def test_answers_too_late(t):
    cluster, topic = mock_topic(t)
    d = start(t, topic, bootstrap=cluster.bootstrap, properties=["socket.timeout.ms=1000"])
    cluster.command("rtt", 2500)
    procs.let_pass(5, "two answers that come too late")
    cluster.command("rtt", 0)
    recovery = topic.wait_for_all()
    finish(t, d, topic, recovery)


@fault("19a", "leader changes, with one broker of three away", LOST)
def test_leader_changes(t):
    cluster, topic = mock_topic(t, 3)
    d = start(t, topic, bootstrap=cluster.bootstrap)
    for n in range(t.times(30, 6)):
        for partition in range(3):
            cluster.command("leader", topic.name, partition, 2 + (n + partition) % 2)
        cluster.command("down" if n % 2 == 0 else "up")
        procs.let_pass(0.5, "until the next change")
    cluster.command("up")
    finish(t, d, topic, topic.wait_for_all())


@fault("19b", "NOT_ENOUGH_REPLICAS for a minute (quick: 3 s)", LOST)
def test_not_enough_replicas(t):
    cluster, topic = mock_topic(t)
    d = start(t, topic, bootstrap=cluster.bootstrap)
    cluster.errors(Mock.NOT_ENOUGH_REPLICAS, 900)
    procs.let_pass(t.times(60, 3), "for how long it lasts")
    cluster.command("errors", Mock.PRODUCE)
    finish(t, d, topic, topic.wait_for_all())


def refusing(number, name, times, quick=True):
    """`times` Produce requests are answered with this error."""
    @fault(number, f"{name}, {times} times", LOST, quick=quick)
    def test(t):
        cluster, topic = mock_topic(t)
        d = start(t, topic, bootstrap=cluster.bootstrap)
        cluster.errors(getattr(Mock, name), times)
        recovery = topic.wait_for_all()
        finish(t, d, topic, recovery)
        require("dead letter" not in d.log(), "a record was given up")
    return test


test_unknown_topic = refusing("20a", "UNKNOWN_TOPIC_OR_PART", 3, quick=False)
test_not_leader = refusing("19c", "NOT_LEADER", 3, quick=False)
test_request_timed_out = refusing("19d", "REQUEST_TIMED_OUT", 3, quick=False)
test_disconnect = refusing("17g", "TRANSPORT", 3, quick=False)
test_topic_authorization = refusing("21a", "TOPIC_AUTHORIZATION_FAILED", 2, quick=False)
test_cluster_authorization = refusing("21b", "CLUSTER_AUTHORIZATION_FAILED", 2)
test_policy_violation = refusing("21c", "POLICY_VIOLATION", 2)
test_size_of_batch = refusing("22a", "MSG_SIZE_TOO_LARGE", 1)
test_invalid_msg = refusing("22b", "INVALID_MSG", 1)
test_invalid_record = refusing("22c", "INVALID_RECORD", 1)


@fault("23", "OUT_OF_ORDER_SEQUENCE, fatal to the producer, five times (quick: once)", LOST)
def test_fatal(t):
    cluster, topic = mock_topic(t)
    d = start(t, topic, bootstrap=cluster.bootstrap)
    slowest = 0
    for _ in range(t.times(5, 1)):
        cluster.errors(Mock.OUT_OF_ORDER_SEQUENCE)
        slowest = max(slowest, topic.wait_for_all())
    finish(t, d, topic, slowest)
    require("a new producer" in d.log(), "the log does not speak of a new producer")


def slow_cluster(t, d, seconds):
    """CPU seconds of the publisher a second, and how much larger it is afterwards, in KiB."""
    publisher = d.publisher()
    before, memory = procs.stat(publisher), memory_kib(publisher)
    procs.let_pass(seconds, "for how long CPU time is measured")
    ticks = procs.stat(publisher).own_ticks - before.own_ticks
    return ticks / procs.TICK / seconds, memory_kib(publisher) - memory


@fault("24", "slow broker: every answer takes 5 s", STEADY)
def test_slow(t):
    cluster, topic = mock_topic(t)
    d = start(t, topic, count=200, bootstrap=cluster.bootstrap)
    cluster.command("rtt", 5000)
    load, growth = slow_cluster(t, d, t.times(120, 6))
    hup = answers(d)
    cluster.command("rtt", 0)
    recovery = topic.wait_for_all()
    finish(t, d, topic, recovery, note=f"CPU {100 * load:.1f} %, {growth / 1024:+.1f} MiB, "
           f"HUP meanwhile: {hup:.1f} s")
    require(load < 0.5, f"the publisher takes {load:.2f} CPUs to wait")
    require(growth < 40 * 1024, f"the publisher grew by {growth} KiB")


@fault("25", "quota of a tenth of the load", STEADY, quick=False)
@needs("kafka")
def test_quota(t):
    topic = t.topic()
    d = start(t, topic, count=200, properties=["compression.codec=none"])
    t.kafka().quota(20000)
    try:
        load, growth = slow_cluster(t, d, 60)
    finally:
        t.kafka().quota(None)
    recovery = topic.wait_for_all(120)
    finish(t, d, topic, recovery, note=f"CPU {100 * load:.1f} %, {growth / 1024:+.1f} MiB")
    require(load < 0.5, f"the publisher takes {load:.2f} CPUs to wait")
    require(growth < 40 * 1024, f"the publisher grew by {growth} KiB")


# --- what a real broker refuses -------------------------------------------------------------------

@fault("20b", "topic missing for 40 s (quick: 3 s), then created", LOST)
@needs("kafka")
def test_topic_missing(t):
    topic = t.topic(create=False)
    d = start(t, topic, ready=False)
    # after 30 s librdkafka gives up by itself what waits for a topic
    procs.let_pass(t.times(40, 3), "for how long there is none")
    require(t.kafka().create_topic(topic.name, 3) == 0, "Kafka does not create the topic")
    finish(t, d, topic, topic.wait_for_all(90))
    require(t.times("create the topic", "") in d.log(), "nothing is said")


def readable(topic):
    try:
        records.read_topic(topic.arguments, topic.name, patience=0)
    except Failure:
        return False
    return True


def first_missing(found):
    seqs = {r.seq for r in found}
    return next(seq for seq in range(len(seqs) + 1) if seq not in seqs)


def recreated(number, what, partitions, absent_s, while_away, quick=True):
    """
    Its records go with a topic. `while_away`: nothing is on its way at that time, and all must be
    in the old topic or the new one; else but for those that came in around the deletion.
    """
    @fault(number, what, LOST, quick=quick)
    @needs("kafka")
    def test(t):
        topic, proxy = t.topic(), t.proxy()
        d = start(t, topic, bootstrap=f"127.0.0.1:{proxy.port}")
        if while_away:
            proxy.down()
            procs.let_pass(1, "what was on its way has arrived")
        before = topic.records()
        t.kafka().delete_topic(topic.name)
        deleted = time.time() * 1000
        procs.let_pass(absent_s, "for how long there is none")
        procs.wait_for(lambda: t.kafka().create_topic(topic.name, partitions) == 0, 10,
                       "Kafka does not create the topic again")
        procs.wait_for(lambda: readable(topic), 10, "the new topic cannot be read")
        gone_by = time.time() * 1000 + 1000
        topic.partitions = partitions
        if while_away:
            procs.let_pass(1, "until gone_by")
            proxy.up()
        begin = time.monotonic()
        topic.wait(lambda found: any(r.slot > gone_by for r in found), 90, "nothing new arrives")
        recovery = time.monotonic() - begin
        d.stop()  # which delivers the rest
        after = topic.records()
        found = records.first_copies([*before, *after])
        seqs = {r.seq for r in found}
        missing = set(range(max(seqs) + 1)) - seqs
        late = max((r.seq for r in after if r.slot < min(gone_by, deleted + 10000)), default=0)
        early = first_missing(before)
        lost = sorted(missing if while_away else
                      {s for s in missing if not early <= s <= late})
        require(not lost, f"{len(lost)} are missing: {lost[:10]}")
        wrong = [w for r in after for w in records.wrong_with(r.data)]
        require(not wrong, wrong)
        t.report(expected=max(seqs) + 1 - len(missing), found=len(seqs),
                 repeats=len(before) + len(after) - len(found), recovery_s=recovery,
                 note="" if while_away else f"{len(missing)} were in the topic when it was deleted")
    return test


test_recreated = recreated("20c", "topic deleted and created again at once", 3, 0, False)
test_deleted = recreated("20d", "topic deleted, created again after 40 s", 3, 40, False,
                         quick=False)
test_fewer = recreated("20e", "topic created again with 1 partition of 3", 1, 0, False)
test_recreated_away = recreated("20f", "topic deleted and created again during an outage", 2, 0,
                                True)


def sasl(t, topic):
    d = t.settings(t.nginx().many(50), topic)
    d["kafka"]["properties"] = []
    d["kafka"]["properties_file"] = t.write("kafka.properties", "\n".join(
        [*t.kafka().properties("sasl"), ""]), secret=True)
    return t.daemon(d)


@fault("21d", "right to write to the topic revoked and granted, three times (quick: once)", LOST)
@needs("kafka")
def test_write_revoked(t):
    topic = t.topic()
    d = sasl(t, topic).start()
    topic.wait(lambda found: len(found) > 50, 20, "nothing arrives")
    slowest = 0
    try:
        for _ in range(t.times(3, 1)):
            mark = d.log_size()
            t.kafka().forbid(Broker.TOPIC, topic.name, Broker.WRITE)
            said = d.wait_log(r"give this user the right to write", 20, mark)
            procs.let_pass(t.times(20, 2), "for how long it lasts")
            t.kafka().allow_all()
            slowest = max(slowest, topic.wait_for_all(90))
    finally:
        t.kafka().allow_all()
    require(said, "nothing is said")
    finish(t, d, topic, slowest)


@fault("21e", "every right missing at the start (fatal to the producer), granted later", LOST)
@needs("kafka")
def test_nothing_allowed(t):
    topic = t.topic()
    try:
        t.kafka().forbid(Broker.TOPIC, "*", Broker.WRITE)
        t.kafka().forbid(Broker.CLUSTER, "kafka-cluster", Broker.IDEMPOTENT_WRITE)
        d = sasl(t, topic).start()
        d.wait_log("give this user the right to write", 20)
        procs.let_pass(t.times(20, 2), "for how long it lasts")
    finally:
        t.kafka().allow_all()
    finish(t, d, topic, topic.wait_for_all(90))
    said = d.log().count("give this user the right to write")
    require(said <= 2, f"the cause is said {said} times")


@fault("22d", "max.message.bytes lowered below some of the records, and raised again",
       "neighbours are delivered, the rest is kept as dead letters")
@needs("kafka")
def test_limit_lowered(t):
    topic, nginx = t.topic(), t.nginx()
    settings = t.settings([*nginx.many(20), site("large", nginx.url(f"ok/{'x' * 950}"))], topic)
    settings["kafka"]["properties"].append("compression.codec=none")
    d = t.daemon(settings).start()
    topic.wait(lambda found: len(found) > 20, 20, "nothing arrives")
    t.kafka().configure_topic(topic.name, "max.message.bytes", 1700)
    d.wait_log("dead letter", 30)
    procs.let_pass(t.times(20, 2), "for how long it lasts")
    t.kafka().configure_topic(topic.name, "max.message.bytes", None)
    now = time.time() * 1000
    begin = time.monotonic()
    topic.wait(lambda found: any(r.slot > now and r.site == "large" and r.status == "up"
                                 for r in found), 60, "no large record arrives again")
    recovery = time.monotonic() - begin
    d.stop()
    found = topic.firsts()
    seqs = {r.seq for r in found}
    missing = set(range(max(seqs) + 1)) - seqs
    gaps = records.missing_slots([r for r in found if r.site != "large"])
    require(not gaps, gaps)
    dead = dead_letters(t)
    require(dead >= len(missing) > 0, f"{len(missing)} are missing, {dead} dead letters")
    t.report(expected=max(seqs) + 1, found=len(seqs), repeats=len(topic.records()) - len(found),
             recovery_s=recovery, note=f"{dead} dead letters")


def dead_letters(t):
    import sqlite3
    database = sqlite3.connect(f"file:{t.path('spool')}/spool.db?mode=ro", uri=True)
    try:
        return database.execute("SELECT count(DISTINCT frame) FROM dead").fetchone()[0]
    finally:
        database.close()


@fault("26", "client certificate expired, renewed with HUP", "nothing is lost; it says why")
@needs("kafka")
def test_certificate_expired(t):
    kafka, topic = t.kafka(), t.topic()
    authority = os.path.join(kafka.directory, "ca.pem"), os.path.join(kafka.directory, "ca.key")
    cert, key = t.path("service.cert"), t.path("service.key")

    def renew(days):
        certs.signed(*authority, cert, key, "test client", days=days)
        for path in (cert, key):
            t.protect(path)

    renew(-1)
    lines = [line.replace(kafka.directory, t.directory) if "service." in line else line
             for line in kafka.properties("ssl")]
    settings = t.settings(t.nginx().many(50), topic)
    settings["kafka"]["properties"] = []
    settings["kafka"]["properties_file"] = t.write("kafka.properties", "\n".join([*lines, ""]),
                                                   secret=True)
    d = t.daemon(settings).start()
    d.wait_log(r"our client certificate expired on 20\d\d-\d\d-\d\d", 20)
    procs.let_pass(t.times(20, 2), "for how long it lasts")
    renew(30)
    d.reload()
    finish(t, d, topic, topic.wait_for_all(90))


@fault("27", "broker's name cannot be resolved, later it can", "nothing is lost; it says why")
@needs("root", "kafka")
def test_name_unresolvable(t):
    topic = t.topic()
    hosts = t.write("hosts", "127.0.0.1 localhost\n")
    t.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    d = start(t, topic, bootstrap=f"broker.webmond.test:{t.kafka().ports['plain']}", ready=False,
              prefix=["unshare", "--mount", "sh", "-c", 'mount --bind "$0/hosts" /etc/hosts && '
                      'mount --bind "$0/resolv.conf" /etc/resolv.conf && exec "$@"', t.directory])
    d.wait_log("check bootstrap.servers and the resolver", 20)
    procs.let_pass(t.times(20, 2), "for how long it lasts")
    with open(hosts, "a", encoding="ascii") as f:
        f.write("127.0.0.1 broker.webmond.test\n")
    finish(t, d, topic, topic.wait_for_all(60))
