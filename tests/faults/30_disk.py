# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The disk is full, broken, read-only, or holds something else than it should: cases 29 to 40.
# 34, the cut of power, cannot be made here: a machine that forgets what was not synced would be
# needed. What is shown instead: whatever moment the files of the spool are copied at, all that was
# committed by then is in the copy.

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter

from harness import (Failure, context, fault, mock, needs, procs, promised, records, require,
                     strace, verify)
from harness.sites import site

LOST = "nothing is lost"
SAME = "nothing is lost, no process is replaced"
STARTS = "it starts; what was found is kept"


class Kafka:
    """A topic behind a proxy, and the sites. `with` it Kafka is away, at once."""

    def __init__(self, t):
        self.nginx = None
        self.topic, self.proxy = t.topic(), t.proxy()
        self.bootstrap = f"127.0.0.1:{self.proxy.port}"

    def __enter__(self):
        self.proxy.down()

    def __exit__(self, *why):
        self.proxy.up()


def make(t, count=100, sites=None, **others):
    """A daemon that is not started, and its Kafka."""
    kafka = Kafka(t)
    if sites is None:
        kafka.nginx = t.nginx()
        sites = kafka.nginx.many(count)
    return t.daemon(t.settings(sites, kafka.topic, kafka.bootstrap, **others)), kafka


def start(d, kafka):
    d.start()
    kafka.topic.wait(lambda found: len(found) > len(d.settings["sites"]), 20, "nothing arrives")


def finish(t, d, topic, recovery_s, epochs=1, note=""):
    d.stop()
    summary = topic.check(at_least=50)
    require(summary.epochs == epochs, f"{summary.epochs} epochs, not {epochs}")
    gaps = records.missing_slots(summary.firsts)
    require(epochs > 1 or not gaps, gaps)
    require(not glob.glob(t.path("spool", "*corrupt*")), "the spool was set aside")
    t.report(summary, recovery_s=recovery_s, note=note)


# --- full ----------------------------------------------------------------------------------------

def each_time(number, what, injection, calls, times, quick=True):
    """The N-th call of each kind fails, for N = 1, 2, 3 … up to `times`."""
    @fault(number, what, SAME, quick=quick)
    @needs("root", "kafka")
    def test(t):
        d, kafka = make(t)
        start(d, kafka)
        publisher = d.publisher()
        hits = 0
        for call in calls:
            for n in range(1, t.times(*times) + 1):
                with strace.Strace(publisher, call, f"{injection}:when={n}",
                                   follow=True) as trouble:
                    trouble.wait(2)
                    hits += trouble.count()
        recovery = kafka.topic.wait_for_all()
        require(d.publisher() == publisher, "the publisher was replaced")
        require(hits > 0, "no call failed")  # some kinds are rare: the table says how many did
        finish(t, d, kafka.topic, recovery, note=f"{hits} calls failed")
    return test


test_enospc = each_time("29a", "ENOSPC at the N-th write of the spool", "error=ENOSPC",
                        ("pwrite64",), (40, 5))
test_edquot = each_time("30a", "EDQUOT at the N-th write of the spool", "error=EDQUOT",
                        ("pwrite64",), (20, 3), quick=False)
# under a limit that is kept all the while: the scenario 40_faults.test_full_disk
test_efbig = each_time("30b", "EFBIG at the N-th write of the spool", "error=EFBIG", ("pwrite64",),
                       (20, 3), quick=False)
test_erofs = each_time("33a", "EROFS at the N-th write of the spool, as after a remount by the "
                       "kernel", "error=EROFS", ("pwrite64",), (20, 3))
test_eio_write = each_time("31d", "EIO at the N-th write of the spool", "error=EIO", ("pwrite64",),
                           (20, 3))
test_short = each_time("32a", "the N-th write of the spool writes nothing", "retval=0",
                       ("pwrite64",), (20, 3))
test_eintr = each_time("32b", "EINTR at the N-th call of each kind", "error=EINTR",
                       ("pwrite64", "pread64", "tee", "read", "write", "poll", "sendto",
                        "recvfrom"), (20, 1))


@fault("29b", "ENOSPC and EIO at the N-th call of the publisher's start", "every later start works")
@needs("root", "kafka")
def test_start(t):
    d, kafka = make(t)
    start(d, kafka)
    d.kill()
    files = [t.path("spool", name) for name in ("spool.db", "spool.lock")]
    failed = starts = 0
    for call, error in (("pwrite64", "ENOSPC"), ("ftruncate", "ENOSPC"), ("openat", "ENOSPC"),
                        ("pread64", "EIO"), ("openat", "EACCES")):
        for n in range(1, t.times(20, 2) + 1):
            starts += 1
            mark = d.log_size()
            spoilt = strace.command(call, f"error={error}:when={n}", files, follow=True)
            d.start(wait=False, prefix=[*spoilt, "-D", "-q", "-o", "/dev/null"])
            procs.wait_for(lambda: d.process.poll() is not None or "watches" in d.log(mark), 20,
                           "it neither starts nor fails")
            procs.let_pass(0.2, "what comes next may fail yet")
            if d.running():
                strace.detach(d.pid)
                d.kill()
            else:
                failed += 1
    d.start()
    kept = set_aside(t, "ready", "dead", "open")
    recovery = kafka.topic.wait_for_all(kept=kept)
    d.stop()
    summary = kafka.topic.check(kept=kept)
    t.report(summary, recovery_s=recovery, note=f"{starts} starts, of which {failed} failed")


@fault("29c", "file system of 32 MiB (quick: 8) filled up and emptied again: with Kafka there, "
       "with Kafka away, when Kafka comes back, and when the publisher is killed", LOST)
@needs("root", "kafka")
def test_full_file_system(t):
    d, kafka = make(t)
    ballast = t.tmpfs("spool", t.times(32, 8))
    start(d, kafka)
    publisher = d.publisher()
    slowest = 0

    def full(then=lambda: None):
        ballast.fill()
        procs.let_pass(1, "it may go on for long: what was delivered leaves room inside the file")
        then()
        procs.let_pass(t.times(10, 1), "for how long it is full")
        ballast.remove()

    for _ in range(t.times(3, 1)):
        full()
        slowest = max(slowest, kafka.topic.wait_for_all())
        with kafka:
            kafka.nginx.wait_asked(100)
            full()
            kafka.nginx.wait_asked(100)
        slowest = max(slowest, kafka.topic.wait_for_all())
        with kafka:
            kafka.nginx.wait_asked(100)
            full(kafka.proxy.up)
            kafka.proxy.down()
        slowest = max(slowest, kafka.topic.wait_for_all())
        require(d.publisher() == publisher, "the publisher was replaced")
        full(lambda: procs.kill(publisher))
        slowest = max(slowest, kafka.topic.wait_for_all())
        publisher = d.publisher()
    require("make room" in d.log(), "it was never full")
    finish(t, d, kafka.topic, slowest)


@fault("29d", "file system full at the start", LOST)
@needs("root", "kafka")
def test_full_at_start(t):
    d, kafka = make(t)
    ballast = t.tmpfs("spool", 8)
    ballast.fill()
    d.start(wait=False)
    procs.wait_for(lambda: d.process.poll() is not None or "watches" in d.log(), 20,
                   "it neither starts nor fails")
    code = d.process.poll()
    require(code in (None, 73), f"exit code {code}")
    ballast.remove()
    if code is not None:
        d.start()
    begin = time.monotonic()
    kafka.topic.wait(lambda found: len(found) > 100, 20, "nothing arrives")
    recovery = time.monotonic() - begin
    finish(t, d, kafka.topic, recovery, note=f"the start on a full disk: exit code {code}")


@fault("29e", "file system nearly full at the stop, while Kafka is away", LOST)
@needs("root", "kafka")
def test_nearly_full_at_stop(t):
    """New records have to wait when so little is left, but the last ones need not."""
    d, kafka = make(t)
    ballast = t.tmpfs("spool", 32)
    start(d, kafka)
    with kafka:
        mark = d.log_size()
        ballast.fill(5 << 20)
        d.wait_log("make room", 30, mark)
        kafka.nginx.wait_asked(100)
        begin = time.monotonic()
        d.stop()
        took = time.monotonic() - begin
    ballast.remove()
    d.start()
    recovery = kafka.topic.wait_for_all()
    finish(t, d, kafka.topic, recovery, epochs=2, note=f"the stop took {took:.1f} s")
    promised(kafka.nginx.unrecorded(records.begun(kafka.topic.firsts())) == 0,
             "requests that sites have seen are in no record")


@fault("29f", "file system full at the stop, while Kafka is away",
       "it stops, and says what is lost", quick=False)
@needs("root", "kafka")
def test_full_at_stop(t):
    d, kafka = make(t)
    ballast = t.tmpfs("spool", 8)
    start(d, kafka)
    with kafka:
        mark = d.log_size()
        ballast.fill()
        d.wait_log("make room", 30, mark)
        begin = time.monotonic()
        d.signal(signal.SIGTERM)
        require(d.wait_end(120) != 0, "a stop that loses something is no success")
        took = time.monotonic() - begin
        d.wait_log("what the publisher has not stored is lost", 1, mark)
    ballast.remove()
    d.start()
    recovery = kafka.topic.wait_for_all()
    finish(t, d, kafka.topic, recovery, epochs=2, note=f"the stop took {took:.0f} s")


def limited(number, what, limit, prefix, said, killed):
    """
    `limit`: sets a limit on the spool that the file system does not show. It is reached while Kafka
    is away, and never raised. `killed`: the publisher, meanwhile.
    """
    @fault(number, what, LOST)
    @needs("root", "kafka")
    def test(t):
        nginx = t.nginx()
        d, kafka = make(t, sites=[site(s["name"], s["url"] + "/" + 900 * "x")
                                  for s in nginx.many(200)])
        limit(t)
        d.start(prefix=prefix)
        kafka.topic.wait(lambda found: len(found) > 200, 20, "nothing arrives")
        with kafka:
            mark = d.log_size()
            d.wait_log(said, 60, mark)
            procs.let_pass(2, "for how long it is reached")
            if killed:
                old = d.publisher()
                procs.kill(old)
                d.born("publisher", old)
                procs.let_pass(2, "for how long it is reached")
        recovery = kafka.topic.wait_for_all()
        d.wait_log("storing again", 30, mark)
        finish(t, d, kafka.topic, recovery)
    return test


def quota(t):
    t.quota("spool", 8)


FSIZE = ("prlimit", "--fsize=2097152:")
test_quota = limited("30c", "quota of 8 MiB reached while Kafka is away", quota, (),
                     "Disk quota exceeded; raise the quota", False)
test_quota_killed = limited("30d", "… and the publisher killed", quota, (),
                            "Disk quota exceeded; raise the quota", True)
test_file_size = limited("30e", "limit of 2 MiB for each file reached while Kafka is away",
                         lambda t: None, FSIZE, "raise the limit of file sizes", False)
test_file_size_killed = limited("30f", "… and the publisher killed", lambda t: None, FSIZE,
                                "raise the limit of file sizes", True)


# --- broken --------------------------------------------------------------------------------------

def set_aside(t, *tables):
    """The frames in these tables of all spools that were set aside, by the id of their record."""
    kept = {}
    for number, database in enumerate(glob.glob(t.path("spool", "spool.db.corrupt-*"))):
        if database.endswith(("-wal", "-shm", "-journal")):
            continue
        copy = t.path(f"kept-{number}")
        shutil.copy(database, copy)
        if os.path.exists(database + "-wal"):
            shutil.copy(database + "-wal", copy + "-wal")
        db = sqlite3.connect(copy)
        known = [name for (name,) in db.execute("SELECT name FROM sqlite_schema")]
        for table in set(tables) & set(known):  # an empty one has none
            for (frame,) in db.execute(f"SELECT frame FROM {table}"):
                kept[re.search(rb'"id":"([^"]+)"', frame)[1].decode()] = frame
        db.close()
    return kept


def damaged(number, what, call, injection, away, restart):
    """
    The spool is set aside. All that sites were asked is in the topic or in the file that was set
    aside: with Kafka there, of what is stored but was not sent yet. `restart`: it happens to a new
    publisher.
    """
    @fault(number, what, "the spool is set aside, every record is in it or delivered")
    @needs("root", "kafka")
    def test(t):
        d, kafka = make(t)
        files = [t.path("spool", name) for name in ("spool.db", "spool.db-wal")]
        start(d, kafka)
        for _ in range(t.times(10, 1)):
            with kafka if away else contextlib.nullcontext():
                procs.let_pass(1 + t.random.random(), "a fault comes at any moment")
                mark = d.log_size()
                victim = d.publisher()
                with strace.Strace(d.pid if restart else victim, call, injection, files, True):
                    if restart:
                        procs.kill(victim)
                    d.wait_log("a new epoch begins", 20, mark)
                kafka.nginx.wait_asked(100)
            recovery = wait_for_new(kafka.topic)
        d.stop()
        found = kafka.topic.records()
        kept = {id: json.loads(frame[frame.index(b'{"schema_version"'):])
                for id, frame in set_aside(t, "ready", "dead").items()}
        firsts = records.first_copies(found)
        wrong = [w for r in found for w in records.wrong_with(r.data)]
        require(not wrong, wrong)
        delivered = {r.id for r in firsts}
        gone = sorted(records.holes(firsts) - set(kept))
        promised(not gone, f"{len(gone)} records are nowhere: {gone[:10]}")
        begun = Counter(data["site"] for data in [*(r.data for r in firsts), *(
            data for id, data in kept.items() if id not in delivered)]
            if data["started_at"] is not None)
        surplus = kafka.nginx.unrecorded(begun)
        promised(surplus == 0, f"{surplus} requests that sites have seen are in no record")
        only = len(set(kept) - delivered)
        t.report(expected=len(delivered) + only, found=len(delivered),
                 repeats=len(found) - len(firsts), recovery_s=recovery,
                 note=f"{only} only in the files that were set aside")
    return test


def wait_for_new(topic, seconds=60):
    begin, now = time.monotonic(), time.time() * 1000
    topic.wait(lambda found: any(r.slot > now for r in found), seconds, "nothing new arrives")
    return time.monotonic() - begin


test_eio_sync = damaged("31a", "EIO at fdatasync, with Kafka there", "fdatasync", "error=EIO",
                        False, False)
test_eio_sync_away = damaged("31b", "EIO at fdatasync, with Kafka away", "fdatasync", "error=EIO",
                             True, False)
test_eio_read = damaged("31c", "EIO at the first read of the spool, with Kafka away", "pread64",
                        "error=EIO:when=1", True, True)


@fault("33b", "read-only remount, and back", LOST)
@needs("root", "kafka")
def test_read_only(t):
    """A file system with open files cannot be remounted so: 33a does what the kernel does then."""
    d, kafka = make(t)
    tmpfs = t.tmpfs("spool", 64)
    d.start()
    with kafka:
        kafka.nginx.wait_asked(200)
        d.stop()
        tmpfs.remount("ro")
        d.start(wait=False)
        code = d.process.wait(20)
        require(code == 73, f"exit code {code} on a read-only file system")
        tmpfs.remount("rw")
        d.start()
    recovery = kafka.topic.wait_for_all()
    d.stop()
    t.report(kafka.topic.check(at_least=100), recovery_s=recovery)


@fault("34", "files of the spool copied at random moments, started from the copy",
       "what was committed is in the copy")
@needs("root", "kafka")
def test_copies(t):
    d, kafka = make(t)
    start(d, kafka)
    begun, moments = Counter(), t.times(20, 3)
    for _ in range(moments):
        with kafka:
            procs.let_pass(1 + t.random.random(), "the copy is made at any moment")
            d.publisher()
            d.freeze()
            shutil.copytree(t.path("spool"), t.path("copy"))
            begun.update(d.begun_in_the_pipe().values())
            d.kill()
            restore_copy(t)
            d.start()
        recovery = kafka.topic.wait_for_all()
    d.stop()
    summary = kafka.topic.check(at_least=100)
    require(summary.epochs == moments + 1, f"{summary.epochs} epochs")
    begun.update(records.begun(summary.firsts))
    surplus = kafka.nginx.unrecorded(begun)
    require(surplus == 0, f"{surplus} requests that sites have seen are in no record")
    t.report(summary, recovery_s=recovery, note=f"{moments} moments")


# --- not what it should be ------------------------------------------------------------------------

def own(t, name):
    """All in this directory belongs to the daemon's user, as before it was copied."""
    t.own_directory(name)
    for path in glob.glob(t.path(name, "*")):
        if context.ROOT:
            shutil.chown(path, context.USER)


def restore_copy(t):
    """The spool is what the directory `copy` holds."""
    shutil.rmtree(t.path("spool"))
    os.rename(t.path("copy"), t.path("spool"))
    own(t, "spool")


def sql(path, *statements):
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def write_at(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)


def flip_bit(t, path):
    offset = t.random.randrange(os.path.getsize(path))
    with open(path, "rb") as f:
        f.seek(offset)
        byte = f.read(1)[0]
    write_at(path, offset, bytes([byte ^ 1 << t.random.randrange(8)]))


def spoil(t, how, spool):
    log = spool + "-wal"
    if how == "a bit of the database":
        flip_bit(t, spool)
    elif how == "a bit of the log":
        flip_bit(t, log)
    elif how == "the log cut off":
        os.truncate(log, t.random.randrange(os.path.getsize(log)))
    elif how == "the log gone":
        os.unlink(log)
    elif how == "the log of another spool":
        sql(t.path("other"), "PRAGMA journal_mode=WAL", "CREATE TABLE a(b)")
        db = sqlite3.connect(t.path("other"))
        db.execute("INSERT INTO a VALUES(1)")
        db.commit()
        shutil.copy(t.path("other-wal"), log)
        db.close()
    elif how == "only a log":
        os.unlink(spool)
    elif how == "a left-over index of the log":
        with open(spool + "-shm", "wb") as f:
            f.write(os.urandom(32768))
    elif how == "a newer version":
        sql(spool, "PRAGMA user_version=99")
    elif how == "an older version":
        sql(spool, "PRAGMA user_version=0")
    elif how == "another program's database":
        sql(spool, "PRAGMA application_id=1")
    elif how == "a table gone":
        sql(spool, "DROP TABLE ready")
    else:
        raise ValueError(how)


@fault("35, 36, 38", "spool with flipped bits, without its log or with another one, of another "
       "version or program", STARTS)
@needs("kafka")
def test_spoiled(t):
    d, kafka = make(t, 50)
    start(d, kafka)
    outcomes = []
    for how in (*["a bit of the database", "a bit of the log"] * t.times(20, 1), "the log cut off",
                "the log gone", "the log of another spool", "only a log",
                "a left-over index of the log", "a newer version", "an older version",
                "another program's database", "a table gone"):
        with kafka:
            kafka.nginx.wait_asked(50)
            d.kill()
            before = os.listdir(t.path("spool"))
            inodes = {name: os.stat(t.path("spool", name)).st_ino for name in before}
            spoil(t, how, t.path("spool", "spool.db"))
            own(t, "spool")
            mark = d.log_size()
            d.start()
        recovery = wait_for_new(kafka.topic)
        aside = "set aside" in d.log(mark)
        outcomes.append(aside)
        kept = {os.stat(path).st_ino for path in glob.glob(t.path("spool", "*corrupt*"))}
        require(not aside or inodes.get("spool.db") in kept or how == "only a log",
                f"{how}: what was set aside is not there: {os.listdir(t.path('spool'))}")
        must = ("only a log", "a newer version", "an older version", "another program's database",
                "a table gone")
        require(aside or how not in must, f"{how}: was not set aside")
    d.stop()
    wrong = [w for r in kafka.topic.records() for w in records.wrong_with(r.data)]
    require(not wrong, wrong)
    t.report(recovery_s=recovery, note=f"{len(outcomes)} spools, {sum(outcomes)} were set aside, "
             "the others read")


@fault("37", "older copy of the spool restored", "every record again, to the byte the same")
@needs("kafka")
def test_older_copy(t):
    d, kafka = make(t)
    start(d, kafka)
    with kafka:
        kafka.nginx.wait_asked(200)
        d.stop()
        shutil.copytree(t.path("spool"), t.path("copy"))
        d.start()
    kafka.topic.wait_for_all()
    d.stop()
    restore_copy(t)
    d.start()
    recovery = kafka.topic.wait_for_all()
    d.stop()
    # the second delivery of the old ones stands behind younger ones
    summary = kafka.topic.check(at_least=200)
    require(summary.repeats > 100, f"{summary.repeats} repeats")
    t.report(summary, recovery_s=recovery)


# --- in use, at its limit, huge -------------------------------------------------------------------

@fault("39a", "another program holds the spool while the publisher restarts", LOST, quick=False)
@needs("kafka")
def test_second_opener(t):
    d, kafka = make(t)
    start(d, kafka)
    curious = sqlite3.connect(t.path("spool", "spool.db"), timeout=0.1)
    try:
        curious.execute("SELECT count(*) FROM ready").fetchone()
        raise Failure("another program can read the spool in use")
    except sqlite3.OperationalError as e:
        require("locked" in str(e), e)
    curious.close()
    mark = d.log_size()
    publisher = d.publisher()
    procs.kill(d.pid, signal.SIGSTOP)  # no new publisher yet
    procs.kill(publisher)
    procs.wait_for(lambda: not procs.alive(publisher), 5, "it does not die", 0.01)
    holder = sqlite3.connect(t.path("spool", "spool.db"), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    procs.kill(d.pid, signal.SIGCONT)
    d.wait_log("another program has .* open", 30, mark)
    procs.let_pass(20, "for how long it is held")
    holder.execute("ROLLBACK")
    holder.close()
    recovery = kafka.topic.wait_for_all()
    finish(t, d, kafka.topic, recovery)


@fault("39b", "cap reached while Kafka is away, the publisher killed (-9) again and again",
       "dropped records name exactly what they replace")
@needs("kafka")
def test_cap(t):
    d, kafka = make(t, 300, spool={"max_mb": 1})
    start(d, kafka)
    with kafka:
        d.wait_log("records were dropped", 30)
        for _ in range(t.times(100, 5)):
            procs.let_pass(0.2 + t.random.random() * 0.3, "a fault comes at any moment")
            procs.kill(d.publisher())
        size = os.path.getsize(t.path("spool", "spool.db"))
    recovery = wait_for_new(kafka.topic)
    d.stop()
    summary = kafka.topic.check(at_least=300)
    gaps = exact_drops(summary.firsts)
    require(not gaps, gaps)
    require(summary.epochs == 1, f"{summary.epochs} epochs")
    require(size < 3 << 20, f"the spool has {size} bytes")
    t.report(summary, recovery_s=recovery,
             note=f"{summary.words['dropped']} dropped records, {size >> 10} KiB")


def exact_drops(firsts):
    """Seqs that a `dropped` record names although they are there."""
    seqs = {r.seq for r in firsts}
    return [f"{r} names {s}" for r in firsts if r.error_type == "dropped"
            for s in range(r.seq + 1, r.dropped_through + 1) if s in seqs]


@fault("40", "backlog of 2,000,000 records (quick: 50,000) at the start, drained while checks go "
       "on", "ready at once, memory flat, the file shrinks")
@needs("kafka")
def test_backlog(t):
    count = t.times(2000000, 50000)
    d, kafka = make(t, spool={"max_mb": 8192})
    fill = os.path.join(os.path.dirname(mock.binary()), "fillspool")
    done = procs.run([fill, t.path("spool"), str(count)], 300)
    require(done.returncode == 0, done.stderr)
    own(t, "spool")
    backlog = done.stdout.strip()
    database = t.path("spool", "spool.db")
    before = os.path.getsize(database)
    begin = time.monotonic()
    d.start()
    ready = time.monotonic() - begin
    publisher, peak, delivered = d.publisher(), 0, 0
    while delivered < count:
        require(time.monotonic() - begin < 600, f"{delivered} of {count} are delivered")
        peak = max(peak, int(procs.status_field(publisher, "VmRSS").split()[0]))
        delivered = t.kafka().end_offset(kafka.topic.name)
        procs.let_pass(0.1, "until the next sample")
    drained = time.monotonic() - begin
    procs.wait_for(lambda: os.path.getsize(database) < 8 << 20, 300,
                   lambda: f"the file stays at {os.path.getsize(database)} bytes")
    shrunk = time.monotonic() - begin
    require(d.publisher() == publisher, "the publisher was replaced")
    d.stop()
    seen, others, repeats = count_ids(kafka.topic, backlog, count)
    require(min(seen) == 1, f"{seen.count(0)} records of the backlog are missing")
    own_seqs = sorted(int(id.rsplit("-", 1)[1]) for id in others)
    require(own_seqs == list(range(len(own_seqs))), "checks meanwhile are missing")
    require(len(own_seqs) >= drained * 80, f"only {len(own_seqs)} checks in {drained:.0f} s")
    require(peak < 128 * 1024, f"the publisher had {peak} KiB")
    after = os.path.getsize(database)
    verified = verify.topic(kafka.topic)
    require(verified.code == verify.HOLDS, verified)
    require(sum(e["records"] for e in verified.epochs) == count + len(own_seqs), verified)
    require(verified.peak_kib < 128 * 1024, f"verify had {verified.peak_kib} KiB")
    t.report(expected=count + len(own_seqs), found=sum(map(bool, seen)) + len(own_seqs),
             repeats=repeats, recovery_s=drained,
             note=f"ready after {ready:.1f} s, {count / drained:,.0f} records/s, "
             f"publisher {peak / 1024:.0f} MiB at most, {len(own_seqs)} checks meanwhile, file "
             f"{before >> 20} MiB, after {shrunk:.0f} s {after / 1048576:.1f} MiB; "
             f"verify: {verified.seconds:.1f} s, {verified.peak_kib >> 10} MiB")
    require(ready < 10, f"ready after {ready:.1f} s")


def count_ids(topic, epoch, count):
    """How often each seq of `epoch` is there; the other ids; the number of repeats of both."""
    seen, others, repeats = bytearray(count), set(), 0
    kcat = procs.spawn(["kcat", "-q", *topic.arguments, "-C", "-t", topic.name, "-o", "beginning",
                        "-e", "-f", "%s\n"], stdout=subprocess.PIPE)
    for number, line in enumerate(kcat.stdout):
        id = line[line.index(b'"id":"') + 6:line.index(b'","epoch"')].decode()
        if number % 1000 == 0:
            wrong = records.wrong_with(json.loads(line))
            require(not wrong, f"{id}: {wrong}")
        if id.startswith(epoch):
            seq = int(id[len(epoch) + 1:])
            repeats += seen[seq] > 0
            seen[seq] = 1
        else:
            repeats += id in others
            others.add(id)
    require(kcat.wait() == 0, "kcat failed")
    return seen, others, repeats
