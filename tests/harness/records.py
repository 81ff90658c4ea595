# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Records: reading them from a topic with kcat, and the checker of what webmond promises about
# them. The promises stand in webmond-records(7); here each is one function that lists what breaks it.

import bisect
import json
import os
import shutil
import sys
import time
from collections import Counter, defaultdict
from datetime import datetime, timezone

from . import Broken, Failure, Skip, procs, require

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import schema  # noqa: E402  pylint: disable=wrong-import-position

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
with open(os.path.join(ROOT, "etc", "check-result.v1.schema.json"), encoding="utf-8") as _f:
    SCHEMA = json.load(_f)

PHASES = ("dns_ms", "connect_ms", "tls_ms", "wait_ms", "receive_ms")
# numbers have three decimals; times of day are in milliseconds, and the clock that shows them may
# be corrected by a few while a check waits
ROUNDING_MS = 0.001
TIME_OF_DAY_MS = 10.0
# in bytes; the schema can only count characters
CAPS = {"site": 64, "url": 1024, "instance": 64, "location": 64, "group": 64, "labels": 256,
        "error_message": 384, "failed_regex": 128, "final_url": 512}
RECORD_MAX = 4096
ENVELOPE_MAX = 3072  # what kafka.format = "json-connect" adds
# what a healthy site's checks come to on a machine that is too busy for them
BUSY = {"timeout", "missed_overload", "missed_overrun"}


def milliseconds(text):
    """An RFC 3339 time as milliseconds since 1970."""
    at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return round(at.timestamp() * 1000)


class Record:
    """One message of the topic; `data` is its JSON object."""

    def __init__(self, envelope):
        self.partition = envelope["partition"]
        self.offset = envelope["offset"]
        self.timestamp = envelope["ts"]
        self.timestamp_type = envelope["tstype"]
        headers = envelope.get("headers", [])
        self.headers = list(zip(headers[::2], headers[1::2]))
        self.key = envelope["key"]
        self.payload = envelope["payload"]
        self.data = schema.parse(self.payload)
        self.connect = None  # the schema of Connect, if it has one
        if set(self.data) == {"schema", "payload"}:
            self.connect, self.data = self.data["schema"], self.data["payload"]

    def __getattr__(self, name):
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def slot(self):
        return milliseconds(self.data["scheduled_at"])

    @property
    def content(self):
        """What a repeat must share to the byte; a reload may add the envelope, or leave it out."""
        text = self.payload.split('},"payload":', 1)[1][:-1] if self.connect else self.payload
        return self.key, text, self.timestamp, tuple(self.headers)

    def __repr__(self):
        d = self.data
        return f"{d['id']} {d['site']} {d['scheduled_at']} {d['status']}/{d['error_type']}"


def read_topic(arguments, topic, timeout=60, patience=30, begin="beginning"):
    """
    All records of a topic from `begin` on, by partition and offset; `arguments`: how kcat finds the
    broker, which gets `patience` seconds to know the topic: it may be new, or the broker may have
    just come back.
    """
    if shutil.which("kcat") is None:
        raise Skip("there is no kcat")
    end = time.monotonic() + patience
    while True:
        done = procs.run(["kcat", "-q", *arguments, "-C", "-t", topic, "-o", str(begin), "-e",
                          "-J", "-X", "fetch.wait.max.ms=20", "-X", "check.crcs=true"],
                         timeout=timeout)
        if done.returncode == 0:
            break
        if time.monotonic() > end:
            raise Failure(f"kcat: {done.stderr.strip()}")
        time.sleep(0.2)
    found = []
    for line in done.stdout.splitlines():
        try:
            found.append(Record(json.loads(line)))
        except (ValueError, KeyError, TypeError) as e:
            raise Failure(f"not a record ({e}): {line}") from None
    return sorted(found, key=lambda r: (r.partition, r.offset))


def from_lines(text):
    """What --stdout printed, as records of one partition; they have no envelope to check."""
    found = []
    for number, line in enumerate(text.splitlines()):
        try:
            found.append(Record({"partition": 0, "offset": number, "ts": None, "tstype": None,
                                 "key": None, "payload": line}))
        except ValueError as e:
            raise Failure(f"not a record ({e}): {line}") from None
    return found


def first_copies(records):
    seen = {}
    for r in records:
        seen.setdefault(r.id, r)
    return list(seen.values())


def by_site(firsts):
    sites = defaultdict(list)
    for r in firsts:
        sites[r.site].append(r)
    return sites


def missing_slots(firsts):
    """
    Slots of an epoch that have no record although their neighbours have one. A site that was taken
    out and back in leaves such gaps, and records that were given up; anything else must not.
    """
    gaps = []
    for found in by_site(firsts).values():
        for before, after in zip(found, found[1:]):
            step = round(before.interval_s * 1000)
            same = before.interval_s == after.interval_s and before.epoch == after.epoch
            if same and after.slot - before.slot != step:
                gaps.append(f"not one slot after the other: {before}, {after}")
    return gaps


def cut_off(record):
    """Whether a stop came before its check was over, or had begun."""
    return (record.error_type == "aborted" and
            record.error_message.startswith("webmond was stopped"))


def may_have_begun(record):
    """
    Whether its site may have been asked: who started the check says when; if nobody was left to say
    it, the record was made when the spool was opened again.
    """
    return (record.started_at is not None or record.error_type == "aborted" and
            record.error_message.startswith("webmond ended"))


def begun(firsts):
    """How many checks of each site may have begun."""
    return Counter(r.site for r in firsts if may_have_begun(r))


def not_let_run(record):
    """Whether its checker says that it slept past the timeout."""
    return (record.error_message or "").startswith("this process was starved of CPU")


def is_busy(record):
    """Whether a healthy site's check may have come to this because the machine has more to do."""
    return record.error_type in BUSY or not_let_run(record)


def not_busy(odd, among):
    """
    Those of the `odd` records that a busy machine does not explain; it does explain a tenth of all
    that they are `among`, and what came up while it stood still.
    """
    rest = [r for r in odd if not is_busy(r)]
    per_second = sum(1 / interval_s for _, interval_s in {(r.site, r.interval_s) for r in among})
    # when one begins some checks run, and when it ends the others do not come all at once
    still = sum(seconds + 2 for seconds in procs.pauses.seconds)
    return rest if len(odd) - len(rest) <= len(among) / 10 + per_second * still else odd


def holes(found, until=float("inf")):
    """The ids that are missing among those of slots up to `until`, by what the others say."""
    missing = set()
    for epoch in {r.epoch for r in found}:
        seqs = {r.seq for r in found if r.epoch == epoch}
        due = {r.seq for r in found if r.epoch == epoch and r.slot <= until}
        missing |= {f"{epoch}-{seq}" for seq in set(range(max(due, default=-1) + 1)) - seqs}
    return missing


# --- the promises -----------------------------------------------------------------------------

def wrong_with(data):
    """What is wrong with one record by itself."""
    wrong = schema.validate(SCHEMA, data)
    if wrong:
        return wrong  # the rest relies on types
    if list(data) != list(SCHEMA["properties"]):
        wrong.append(f"the keys are not those of the schema, in its order: {list(data)}")
    if data["id"] != f"{data['epoch']}-{data['seq']}":
        wrong.append("id is not epoch-seq")
    for name, cap in CAPS.items():
        if len((data[name] or "").encode()) > cap:
            wrong.append(f"{name} has more than {cap} bytes")
    phases = [data[p] for p in PHASES if data[p] is not None]
    if phases and data["elapsed_ms"] is None:
        wrong.append("phases without elapsed_ms")
    elif phases and abs(sum(phases) - data["elapsed_ms"]) > ROUNDING_MS * (len(phases) + 1):
        wrong.append(f"the phases add up to {sum(phases):.3f}, not {data['elapsed_ms']}")
    if (data["started_at"] is None) != (data["lateness_ms"] is None):
        wrong.append("started_at and lateness_ms: one is null, the other is not")
    elif data["started_at"] is not None:
        late = milliseconds(data["started_at"]) - milliseconds(data["scheduled_at"])
        if abs(late - data["lateness_ms"]) > TIME_OF_DAY_MS:
            wrong.append(f"lateness_ms is {data['lateness_ms']}, started - scheduled is {late}")
        if data["lateness_ms"] < 0:
            wrong.append(f"started {-data['lateness_ms']} ms before its slot")
    if data["response_time_ms"] is not None and data["response_time_ms"] != data["elapsed_ms"]:
        wrong.append("response_time_ms is not elapsed_ms")
    redirect_ms, redirects = data["redirect_ms"], data["redirects"]
    if redirect_ms is not None and redirect_ms > (data["elapsed_ms"] if redirects else 0):
        wrong.append(f"redirect_ms is {redirect_ms} after {redirects} redirects")
    if (data["final_url"] is not None) != bool(redirects):
        wrong.append(f"{redirects} redirects, but final_url is {data['final_url']}")
    return wrong


def connect_fields():
    """What kafka.format = "json-connect" says of each field."""
    def field(name, types, optional):
        word = {"integer": "int64", "number": "double"}.get(types[0], types[0])
        return {"field": name, "type": word} | ({"optional": True} if optional else {})

    # not in version 1.0.0
    late = {"streak", "status_since", "agent"}
    for name, about in SCHEMA["properties"].items():
        types = about.get("type", "integer")
        types = [types] if isinstance(types, str) else types
        yield field(name, types, "null" in types or name in late)


def _payloads(records):
    fields = list(connect_fields())
    for r in records:
        yield from (f"{r}: {w}" for w in wrong_with(r.data))
        if r.connect not in (None, {"type": "struct", "name": "webmond.check.v1",
                                    "fields": fields}):
            yield f"{r}: this is not its schema: {r.connect}"
        if len(r.payload.encode()) > RECORD_MAX + (ENVELOPE_MAX if r.connect else 0):
            yield f"{r}: {len(r.payload.encode())} bytes"


def _envelopes(records, partitions, steps):
    for r in records:
        if r.key != r.site:
            yield f"{r}: the key is {r.key!r}"
        if partitions and r.partition != murmur2_partition(r.key, partitions):
            yield f"{r}: in partition {r.partition}, where Java would not put it"
        # what was on its way when the clock was set back has the time at which it was sent
        right = r.timestamp == r.slot or steps and r.timestamp < r.slot
        if r.timestamp_type != "create" or not right:
            yield f"{r}: the timestamp is {r.timestamp_type} {r.timestamp}, not {r.slot}"
        expected = {"content-type": "application/json", "ce_specversion": "1.0", "ce_id": r.id,
                    "ce_source": r.instance, "ce_type": "webmond.check.v1",
                    "ce_time": r.scheduled_at}
        if dict(r.headers) != expected or len(r.headers) != len(expected):
            yield f"{r}: the headers are {r.headers}"


def _contents(records):
    contents = {}
    for r in records:
        if contents.setdefault(r.id, r.content) != r.content:
            yield f"{r.id} has two contents:\n    {contents[r.id]}\n    {r.content}"


def _holes(firsts, kept):
    epochs = defaultdict(set)
    given_up = defaultdict(set)
    for r in firsts:
        epochs[r.epoch].add(r.seq)
        if r.error_type == "dropped":
            if r.dropped_through < r.seq:
                yield f"{r}: dropped_through is {r.dropped_through}"
            given_up[r.epoch].update(range(r.seq, r.dropped_through + 1))
    for epoch, seqs in epochs.items():
        both = [r for r in firsts if r.epoch == epoch and r.error_type == "dropped" and
                any(seq in seqs for seq in range(r.seq + 1, r.dropped_through + 1))]
        if both:
            yield f"epoch {epoch}: {both[0]} stands for numbers that have records, too"
        holes = [seq for seq in sorted(set(range(max(seqs) + 1)) - seqs - given_up[epoch])
                 if f"{epoch}-{seq}" not in kept]
        if holes:
            yield (f"epoch {epoch}: {len(holes)} holes in seq 0 to {max(seqs)}: "
                   f"{', '.join(map(str, holes[:20]))}")


def _order(firsts, steps):
    last = {}
    for r in firsts:
        before = last.get((r.instance, r.site))
        # who starts without Kafka knows only about when it ended, and tells of a slot rather twice
        told_again = r.alone and r.error_type == "missed_takeover" and (
            before is not None and before.epoch != r.epoch)
        if before is not None and r.slot <= before.slot and not steps and not told_again:
            yield f"{r} stands behind {before}"
        if before is not None and before.epoch == r.epoch and r.seq <= before.seq:
            yield f"{r} stands behind {before}"
        last[r.instance, r.site] = r


def _streaks(firsts, lost):
    """
    `streak` and `status_since` are what a reader counts, as far as it has all records. `lost`: a
    spool was lost; what ended then is alone.
    """
    for epoch in {r.epoch for r in firsts}:
        found = sorted((r for r in firsts if r.epoch == epoch), key=lambda r: r.seq)
        seen = {r.seq for r in found if r.error_type != "dropped"}
        not_seen = [seq for seq in range(found[-1].seq) if seq not in seen]
        last = {}
        for r in found:
            counted, alone = (r.streak, r.status_since), (1, r.scheduled_at)
            if r.error_type == "dropped":
                if counted != alone:
                    yield f"{r}: dropped, but streak {r.streak} since {r.status_since}"
                continue
            before = last.get(r.site)
            since = -1 if before is None else before.seq
            last[r.site] = r
            expected = alone
            if before is not None and before.status == r.status:
                expected = before.streak + 1, before.status_since
            if r.group is not None and counted == alone:
                continue  # it was taken over again: no other record says so
            gap = (bisect.bisect(not_seen, since) < bisect.bisect_left(not_seen, r.seq))
            if counted != expected and not (gap and (r.streak > 1 or counted == alone)) and not (
                    lost and counted == alone):
                yield f"{r}: streak {counted}, not {expected}"


def _grid(firsts):
    """Slots of a site lie on one grid as long as its interval is the same."""
    phases = {}
    for r in firsts:
        interval = round(r.interval_s * 1000)
        phase = phases.setdefault((r.site, interval), r.slot % interval)
        if r.slot % interval != phase:
            yield f"{r}: off the grid of {interval} ms, phase {r.slot % interval} not {phase}"


class Summary:
    def __init__(self, records, firsts):
        self.records = len(records)
        self.firsts = firsts
        self.repeats = len(records) - len(firsts)
        self.epochs = len({r.epoch for r in firsts})
        self.words = Counter(r.error_type or "up" for r in firsts)

    def strange(self, *expected):
        """The words, with their numbers, that neither are `expected` nor show a busy machine."""
        found = [r for r in self.firsts if (r.error_type or "up") not in expected]
        return dict(Counter(r.error_type or "up" for r in not_busy(found, self.firsts)))

    def __str__(self):
        words = ", ".join(f"{n} {w}" for w, n in sorted(self.words.items()))
        return (f"{len(self.firsts)} records in {self.epochs} epochs, {self.repeats} repeats: "
                f"{words}")


def check(records, partitions=None, at_least=1, envelopes=True, steps=False, kept=(),
          every_slot=False, moved=False, late=(), lost=False):
    """
    Hold a topic against everything that is promised; returns a Summary. `steps`: the clock was set
    back, only seq tells the order. `kept`: ids that are in a spool that was set aside.
    `late`: sites whose checkers hold back their records, so that the order is not theirs.
    `every_slot`: nothing happened that excuses missing_slots(). `moved`: partitions were added, and
    sites have gone to others. `lost`: a spool was lost while the daemon ran.
    """
    firsts = first_copies(records)
    wrong = list(_payloads(records))
    if envelopes:
        wrong += _envelopes(records, None if moved else partitions, steps)
    honest = [r for r in firsts if r.site not in late]
    order = () if moved else _order(honest, steps)
    for promise in (_contents(records), _holes(firsts, kept), order, _grid(firsts),
                    _streaks(honest, lost or kept)):
        wrong += promise
    if every_slot:
        wrong += missing_slots(sorted(firsts, key=lambda r: (r.epoch, r.seq if r.site in late
                                                              else 0)))
    summary = Summary(records, firsts)
    if wrong:
        more = f"\n  and {len(wrong) - 15} more" if len(wrong) > 15 else ""
        raise Broken(f"{summary}\n  " + "\n  ".join(wrong[:15]) + more)
    require(len(firsts) >= at_least, f"{summary}, but at least {at_least} were expected")
    return summary


def murmur2_partition(key, partitions):
    """Where Java's default partitioner puts a key."""
    data, m, r = key.encode(), 0x5BD1E995, 24
    h = (0x9747B28C ^ len(data)) & 0xFFFFFFFF
    for i in range(0, len(data) - 3, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & 0xFFFFFFFF
        k = (k ^ (k >> r)) * m & 0xFFFFFFFF
        h = (h * m & 0xFFFFFFFF) ^ k
    rest = data[len(data) & ~3:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & 0xFFFFFFFF
    h = (h ^ (h >> 13)) * m & 0xFFFFFFFF
    h ^= h >> 15
    return (h & 0x7FFFFFFF) % partitions
