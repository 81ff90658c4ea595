# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# What is not a cost per check: too much load, the publisher alone, start and reload of many sites.
# Each function returns a list of Facts.

import os
import signal
import statistics
import struct
import time
from collections import Counter, defaultdict
from typing import NamedTuple

from harness import procs, require
from harness.daemon import READY

from .loads import Load
from .measure import cpu_ns, memory_kb
from .programs import Webmond, read_records
from .slots import phase_ms


class Fact(NamedTuple):
    what: str
    value: object  # int or float
    unit: str = ""

    def figure(self):
        digits = 0 if isinstance(self.value, int) or self.value >= 1000 else 1
        return f"{self.value:,.{digits}f} {self.unit}".rstrip()

    def __str__(self):
        return f"{self.what}: {self.figure()}"


def _start(bench, settings, prefix=(), program=None):
    """A daemon that is ready, and how long it took."""
    daemon = bench.t.daemon(settings)
    mark, begin = daemon.log_size(), time.monotonic()
    daemon.start(wait=False, prefix=prefix, program=program)
    procs.wait_for(lambda: READY.search(daemon.log(mark)), 60, "it does not start", 0.005)
    return daemon, time.monotonic() - begin


def _slots(records):
    """site → its Records, in the order of seq."""
    sites = defaultdict(list)
    for record in records:
        sites[record.site].append(record)
    return sites


def _breaches(records, interval_s):
    """Records out of the order of their site's slots, and slots without a record."""
    disordered = holes = 0
    for mine in _slots(records).values():
        for before, after in zip(mine, mine[1:]):
            step = after.slot_ms - before.slot_ms
            disordered += step <= 0
            holes += step > interval_s * 1000
    return disordered, holes


def overload(bench):
    """More sites than can be checked, for a while; then few."""
    seconds, patience_ms, few = 10, 100, 1000
    many = Load("overload", 10000, 1, timeout_s=1)
    topic = bench.t.topic()
    settings = Webmond(bench).settings(many, topic)
    daemon = bench.t.daemon(settings).start(wait=False)
    procs.wait_for(lambda: bench.end_offset(topic), 30, "no record comes", 0.1)
    time.sleep(2)
    begin = time.time()
    time.sleep(seconds)
    end = time.time()
    publisher_pid = daemon.publisher()
    daemon.write_config({**settings, "sites": settings["sites"][:few]})
    relieved = time.time()
    daemon.signal(signal.SIGHUP)
    procs.wait_for(lambda: daemon.roles().get("publisher") not in (None, publisher_pid), 30,
                   "it does not reload under load", 0.1)
    time.sleep(seconds)
    daemon.stop(60)
    records = read_records(bench.t.kafka(), topic)
    within = [r for r in records if begin <= r.slot_ms / 1000 < end]
    words = Counter(r.word for r in within)
    disordered, holes = _breaches(records, many.interval_s)
    late = [(r.slot_ms + r.lateness_ms) / 1000 for r in records
            if r.lateness_ms is not None and r.lateness_ms > patience_ms]
    return [
        Fact("checks due", many.sites // many.interval_s, "/s"),
        Fact("checks done", words["up"] / seconds, "/s"),
        Fact("slots due in the time of overload", many.sites * seconds),
        Fact("records of them", len(within)),
        *(Fact(f"of which {word}", n) for word, n in sorted(words.items())),
        Fact("records out of the order of their site's slots", disordered),
        Fact("slots without a record", holes),
        Fact(f"last check more than {patience_ms} ms late, after a reload took the load away",
             max(0.0, max(late, default=relieved) - relieved), "s"),
    ]


def publisher(bench):
    """Fill the spool while there is no Kafka; then let it go to a real one, and do nothing else."""
    seconds = 10
    refused = bench.t.refused()
    topic, kafka = bench.t.topic(), bench.t.kafka()
    sites = [{"name": f"refused-{n}", "url": refused.url()} for n in range(5000)]
    quiet = {"workers": None, "log": {"destination": "stderr", "level": "info"},
             "spool": bench.new_spool()}
    settings = bench.t.settings(sites, topic, f"127.0.0.1:{refused.port}",
                                defaults={"interval": 1}, **quiet)
    daemon, _ = _start(bench, settings)
    time.sleep(2)
    before = cpu_ns(daemon.pid)["publisher"]
    time.sleep(seconds)
    stored_ns = cpu_ns(daemon.pid)["publisher"] - before
    daemon.stop(60)
    settings = bench.t.settings([{"name": "once-a-day", "url": refused.url(), "interval": 86400}],
                                topic, **quiet)
    daemon, _ = _start(bench, settings)
    first = procs.wait_for(lambda: kafka.end_offset(topic.name), 30, "nothing is sent", 0.002)
    begin, begin_ns = time.monotonic(), cpu_ns(daemon.pid)["publisher"]
    last, end = first, begin
    while time.monotonic() - end < 2:  # and until what was delivered is deleted
        now = kafka.end_offset(topic.name)
        if now != last:
            last, end = now, time.monotonic()
        time.sleep(0.02)
    sent_ns = cpu_ns(daemon.pid)["publisher"] - begin_ns
    daemon.stop(60)
    records = read_records(kafka, topic)
    return [
        Fact("stored without Kafka: CPU per record (peek, transaction)",
             stored_ns / 1000 / (len(sites) * seconds), "µs"),
        Fact("backlog", len(records), "records"),
        Fact("sent to Kafka", (last - first) / (end - begin), "records/s"),
        Fact("sent: CPU per record (read, produce, delete)", sent_ns / 1000 / (last - first),
             "µs"),
        Fact("holes in seq", records[-1].seq + 1 - len(records)),
    ]


# functions of publisher.c and sender.c, each with what it calls in other files; all others are
# the loop
PHASES = {"tick": "peek", "transact": "transaction", "sender_delete": "delete",
          "sender_deleted": "delete", "sender_send": "produce", "send_ready": "produce",
          "send_row": "produce", "output_is_ready": "produce", "on_answer": "produce",
          "on_delivered": "produce"}


def _functions(binary):
    """Distance from publisher_main() → name."""
    found = {}
    for line in procs.run(["nm", binary]).stdout.splitlines():
        address, _, rest = line.partition(" ")
        if address and rest[:1] in "tT":
            found[rest[2:]] = int(address, 16)
    return {address - found["publisher_main"]: name for name, address in found.items()}


def _phases_ns(file, functions):
    """Phase → CPU time so far, out of the table that phases.c keeps."""
    found = defaultdict(int)
    with open(file, "rb") as f:
        for distance, used, cpu_ns_of_it in struct.iter_unpack("@3q", f.read()):
            if used:
                found[PHASES.get(functions.get(distance), "loop")] += cpu_ns_of_it
    return found


def phases(bench):
    """What a record costs the publisher, by phase, at two rates into a real Kafka."""
    binary, facts = os.environ["TIMED"], []
    functions = _functions(binary)
    for load in (Load("phases", 1000, 5), Load("phases", 1000, 1, timeout_s=1)):
        topic, file = bench.t.topic(), bench.path(f"phases-{load.interval_s}")
        settings = Webmond(bench).settings(load, topic, "info")
        daemon, _ = _start(bench, settings, ["env", f"PHASES={file}"], binary)
        time.sleep(load.warm_s)
        before = _phases_ns(file, functions), cpu_ns(daemon.pid)["publisher"], \
            bench.end_offset(topic)
        time.sleep(load.window_s)
        after = _phases_ns(file, functions), cpu_ns(daemon.pid)["publisher"], \
            bench.end_offset(topic)
        daemon.stop()
        count = after[2] - before[2]
        require(count, "no record came")
        spent = {phase: after[0][phase] - before[0][phase]
                 for phase in dict.fromkeys([*PHASES.values(), "loop"])}
        spent["librdkafka's threads"] = after[1] - before[1] - sum(spent.values())
        rate = load.sites // load.interval_s
        facts += [Fact(f"{rate:,} records/s: {phase}, CPU per record", ns / 1000 / count, "µs")
                  for phase, ns in spent.items()]
    return facts


def start_and_reload(bench):
    """A hundred thousand sites come up, and are reloaded with one more."""
    load = Load("start-reload", 100000, 100)
    webmond, topic = Webmond(bench), bench.t.topic()
    settings = webmond.settings(load, topic, "info")
    daemon, started_s = _start(bench, settings)
    since = time.time()
    time.sleep(5)
    settings["sites"].append({**settings["sites"][0], "name": "one-more"})
    daemon.write_config(settings)
    mark, begin = daemon.log_size(), time.monotonic()
    daemon.signal(signal.SIGHUP)
    procs.wait_for(lambda: "reloaded: " in daemon.log(mark), 60, "it does not reload", 0.005)
    reload_s, until = time.monotonic() - begin, time.time()
    time.sleep(3)
    daemon.stop(60)
    due = {name for n in range(load.sites) for name in [load.name_of(n)]
           if (phase_ms(name, load.interval_s) / 1000 - since) % load.interval_s < until - since}
    records = [r for r in read_records(bench.t.kafka(), topic)
               if since <= r.slot_ms / 1000 < until and r.site in due]
    late = [r.lateness_ms for r in records if r.lateness_ms is not None]
    require(late, "no site was checked")
    meanwhile = [r.lateness_ms for r in records if r.lateness_ms is not None and
                 r.slot_ms / 1000 >= until - reload_s]
    return [
        Fact("start of 100,000 sites, until ready", started_s, "s"),
        Fact("reload of 100,000 sites", reload_s, "s"),
        Fact("slots due from the start to the end of the reload", len(due)),
        Fact("records of them", len(records)),
        Fact("of which up", sum(r.word == "up" for r in records)),
        Fact("largest lateness of all", max(late), "ms"),
        Fact("largest lateness while it reloaded", max(meanwhile, default=0.0), "ms"),
    ]


def pool(bench):
    """
    What a checker takes in pools of any size. Sites answer so late that nine of ten checkers are
    in their first check, or have done it, when the memory is looked at.
    """
    facts = []
    for kind, name in (("http", "HTTP"), ("p256", "HTTPS")):
        for size in (4, 16, 64, 1000):
            load = Load("pool", size, 5, kind=kind, answer_ms=(4500, 4500), workers=size)
            if bench.target.obstacle(load):
                continue
            settings = Webmond(bench).settings(load, bench.t.topic(), "info")
            daemon, started_s = _start(bench, settings, bench.target.prefix(load))
            time.sleep(load.interval_s + 0.5)
            checkers = memory_kb(daemon.pid)["checker"]
            if None not in checkers:
                facts.append(Fact(f"{name}, {len(checkers):,} checkers: PSS of one, median",
                                  round(statistics.median(pss for pss, _ in checkers)), "kB"))
            begin = time.monotonic()
            daemon.signal(signal.SIGTERM)
            if size == 1000:
                daemon.wait_end(60)
                what = f"{name}, {size:,} checkers: "
                facts += [Fact(f"{what}start, until ready", started_s, "s"),
                          Fact(f"{what}stop, while 900 check", time.monotonic() - begin, "s")]
            else:
                daemon.kill()
    return facts


ALL = {"pool": pool, "phases": phases, "overload": overload, "publisher": publisher,
       "start-reload": start_and_reload}
