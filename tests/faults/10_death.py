# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Processes die, stop, or cannot be made. Afterwards the topic is counted: no hole, one content
# for each id, the order of each site; and no request that nginx has seen is without a record.

import fcntl
import os
import re
import signal
import subprocess
import time

from harness import context, daemon, fault, needs, procs, promised, records, require, strace
from harness.sites import site

LIGHT = 20  # sites for what runs under strace


def loaded(t, count=200, **others):
    """A daemon under so many checks a second; returns it with topic and web server."""
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(count), topic,
                            **{"workers": {"min": 4, "max": 16}, **others}))
    return d.start(), topic, nginx


def moment(t):
    procs.let_pass(0.1 + t.random.random() * 0.4, "a fault comes at any moment")


def successor(d, role, old):
    """Wait for the process that takes the place of `old`; returns how long that took."""
    begin = time.monotonic()
    d.born(role, old)
    return time.monotonic() - begin


def orphans_leave(pids):
    """After the supervisor's death; returns how long its children took."""
    begin = time.monotonic()
    procs.wait_for(lambda: not any(map(procs.alive, pids)), 15,
                   lambda: f"orphans stay: {[procs.cmdline(p) for p in pids]}", 0.02)
    return time.monotonic() - begin


def without_record(nginx, summary):
    """How many of the requests that nginx has seen are in no record."""
    return nginx.unrecorded(records.begun(summary.firsts), below="/ok/")


def died(found):
    """How many checks ended with their checker; the stop aborts those that still wait for one."""
    return sum(r.error_type == "aborted" and not records.cut_off(r) for r in found)


def deaths_of_checkers(d):
    """As the supervisor has seen them: on a busy machine the watchdog may kill some more."""
    return len(re.findall(r"checker \d+ (?:was killed|exited)", d.log()))


def finish(t, d, topic, nginx, at_least, lives=1, **figures):
    """Stop, count, report. `lives`: how often it was started; a short one has no records."""
    d.stop()
    summary = topic.check(at_least=at_least)
    require(summary.epochs <= lives, f"{summary.epochs} epochs in {lives} lives")
    if lives == 1:
        gaps = records.missing_slots(summary.firsts)
        promised(not gaps, f"slots without a record: {gaps[:10]}")
    missing = without_record(nginx, summary)
    promised(missing == 0, f"{missing} requests have no record")
    require(not {"dns", "connect", "protocol"} & set(summary.words),
            f"what happened here is blamed on the sites: {summary}")
    t.report(summary, **figures)
    return summary


def at_each_call(t, calls, strike):
    """
    `strike(call, n, round)` at the N-th call of each kind; returns the longest time that one took,
    by its own account, and how many there were.
    """
    took = []
    for call, limits in calls.items():
        for n in range(1, t.times(*limits) + 1):
            took.append(strike(call, n, len(took)))
    return max(took), len(took)


# --- 1: the publisher -------------------------------------------------------------------------

@fault("1a", "publisher killed at random moments", "nothing is lost")
@needs("kafka")
def test_publisher_killed(t):
    d, topic, nginx = loaded(t)
    slowest, rounds = 0, t.times(200, 10)
    for _ in range(rounds):
        moment(t)
        old = d.publisher()
        procs.kill(old)
        slowest = max(slowest, successor(d, "publisher", old))
    finish(t, d, topic, nginx, 150, recovery_s=slowest, note=f"{rounds} times")


# what a tick does: peek (tee, read), commit (pwrite64, fdatasync), consume (read)
PUBLISHER_CALLS = {"tee": (5, 1), "read": (12, 2), "pwrite64": (40, 2), "fdatasync": (6, 1)}


@fault("1b", "publisher killed at its N-th tee, read, pwrite64, fdatasync: peek, commit, consume",
       "nothing is lost, nothing has two contents")
@needs("root", "kafka")
def test_publisher_at_a_call(t):
    d, topic, nginx = loaded(t, LIGHT)

    def strike(call, n, _):
        old = d.publisher()
        if n % 2:
            procs.let_pass(0.3, "it is at work; else right from its start")
        strace.kill_at(old, call, n)
        return successor(d, "publisher", old)

    slowest, rounds = at_each_call(t, PUBLISHER_CALLS, strike)
    finish(t, d, topic, nginx, rounds, recovery_s=slowest, note=f"{rounds} points")


# --- 2: a checker -----------------------------------------------------------------------------

@fault("2a", "checkers killed at random moments", "that costs their running checks, no more")
@needs("kafka")
def test_checkers_killed(t):
    d, topic, nginx = loaded(t)
    rounds = t.times(200, 10)
    for _ in range(rounds):
        moment(t)
        procs.kill(t.random.choice(d.checkers()))
    summary = finish(t, d, topic, nginx, 150, note=f"{rounds} times")
    deaths = deaths_of_checkers(d)
    require(died(summary.firsts) <= deaths, f"{deaths} deaths: {summary}")


CHECKER_CALLS = {"write": (4, 1), "sendto": (8, 2), "recvfrom": (8, 1), "connect": (3, 0),
                 "poll": (6, 1), "close": (4, 0)}


@fault("2b", "checker killed at its N-th write, sendto, recvfrom …: job, check, close, done",
       "its check is aborted or has its own record, never both")
@needs("root", "kafka")
def test_checker_at_a_call(t):
    d, topic, nginx = loaded(t, LIGHT, workers={"min": 2, "max": 2})

    def strike(call, n, number):
        role = f"checker {1 + number % 2}"
        old = d.born(role)
        strace.kill_at(old, call, n)
        return successor(d, role, old)

    slowest, rounds = at_each_call(t, CHECKER_CALLS, strike)
    summary = finish(t, d, topic, nginx, rounds, recovery_s=slowest, note=f"{rounds} points")
    deaths = deaths_of_checkers(d)
    require(died(summary.firsts) <= deaths, f"{deaths} deaths: {summary}")


# --- 3: the supervisor ------------------------------------------------------------------------

@fault("3a", "supervisor killed at random moments, another one started at once",
       "its children store what they have and leave; nothing is lost")
@needs("kafka")
def test_supervisor_killed(t):
    d, topic, nginx = loaded(t)
    slowest, rounds = 0, t.times(200, 6)
    for n in range(rounds):
        moment(t)
        others = [pid for role, pid in d.roles().items() if role != "supervisor"]
        d.kill_supervisor()
        if n % 2:  # else the new one meets what is left of the old
            slowest = max(slowest, orphans_leave(others))
        d.start()
    finish(t, d, topic, nginx, 150, rounds + 1, recovery_s=slowest,
           note=f"{rounds} times; seconds until the orphans had left")


SUPERVISOR_CALLS = {"write": (8, 2), "sendto": (6, 1), "recvfrom": (6, 1), "ppoll": (6, 0),
                    "wait4": (4, 1)}


@fault("3b", "supervisor killed at its N-th write, sendto, wait4 …: open, dispatch, reap",
       "nothing is lost, nothing has two contents")
@needs("root", "kafka")
def test_supervisor_at_a_call(t):
    d, topic, nginx = loaded(t, LIGHT)

    def strike(call, n, _):
        others = [pid for role, pid in d.roles().items() if role != "supervisor"]
        deaths = d.checkers()[:(n + 1) // 2] if call == "wait4" else []  # for it to reap
        strace.kill_at(d.pid, call, n, lambda: [procs.kill(pid) for pid in deaths])
        d.kill_supervisor()  # it is dead; but a child may be as it was born
        took = orphans_leave(others)
        d.start()
        return took

    slowest, rounds = at_each_call(t, SUPERVISOR_CALLS, strike)
    finish(t, d, topic, nginx, 1, rounds + 1, recovery_s=slowest,
           note=f"{rounds} points; seconds until the orphans had left")


# --- 4: everybody -----------------------------------------------------------------------------

@fault("4a", "all killed at once under load, and started again",
       "all that was committed arrives; what began in the last tick may show as downtime")
@needs("kafka")
def test_all_killed(t):
    d, topic, nginx = loaded(t)
    rounds, may = t.times(200, 8), 0
    for _ in range(rounds):
        moment(t)
        d.freeze()
        may += d.dies_with_the_pipe()
        d.kill()
        d.start()
    nginx.wait_asked(100)
    d.stop()
    summary = topic.check(at_least=150)
    require(summary.epochs <= rounds + 1, f"{summary.epochs} epochs in {rounds + 1} lives")
    lost = without_record(nginx, summary)
    promised(lost <= may, f"{lost} requests have no record, of {may} that may")
    t.report(summary, note=f"{rounds} times; {lost} requests of the last ticks have no record")


@fault("4b", "all of this in random order, one upon the other, with reloads, stops and an absent Kafka",
       "nothing is lost, nothing has two contents")
@needs("kafka")
def test_everything(t):
    d, topic, nginx = loaded(t)
    asleep, leaving = set(), {None}
    done = {}
    lost_with_pipe = 0

    def last_reader_dies():
        """The pipe ends with the last who holds it, and a publisher may be not back yet."""
        nonlocal lost_with_pipe
        asleep.update(d.freeze())
        lost_with_pipe += d.dies_with_the_pipe()

    def kill_one(role):
        victim = d.roles().get(role)
        if victim is not None:
            procs.kill(victim)
            # else roles() goes on to show it, for a moment
            procs.wait_for(lambda: not procs.alive(victim), 10, f"{role} does not die", 0.002)

    def pause(role):
        pid = d.roles().get(role)
        if pid is not None:
            procs.kill(pid, signal.SIGSTOP)
            asleep.add(pid)

    def wake():
        for pid in asleep:
            procs.kill(pid, signal.SIGCONT)
        asleep.clear()

    def reload():
        leaving.add(d.roles().get("publisher"))
        d.signal(signal.SIGHUP)

    def supervisor():
        publisher = d.roles().get("publisher")
        # one that hands over may have looked into the pipe for the last time; one that was just
        # born and has not got the spool yet may lose it to the next daemon's
        if publisher in leaving or publisher not in procs.who_locks(t.path("spool/spool.lock")):
            last_reader_dies()
            procs.kill(d.pid)
            wake()  # what its checkers still write is of checks that run
        d.kill_supervisor()
        wake()
        d.start()

    def stop():
        wake()
        d.stop(60)
        d.start()

    def everybody():
        last_reader_dies()
        d.kill()
        asleep.clear()
        d.start()

    faults = {
        "publisher killed": (6, lambda: kill_one("publisher")),
        "checker killed": (6, lambda: kill_one(f"checker {t.random.randrange(1, 5)}")),
        "supervisor killed": (2, supervisor),
        "all killed": (1, everybody),
        "publisher stopped": (2, lambda: pause("publisher")),
        "checker stopped": (2, lambda: pause(f"checker {t.random.randrange(1, 5)}")),
        "woken": (4, wake),
        "HUP": (6, reload),
        "TERM and start": (2, stop),
        "Kafka killed": (1, t.kafka().kill),
        "Kafka back": (2, t.kafka),
    }
    end = time.monotonic() + t.times(300, 12)
    while time.monotonic() < end:
        what = t.random.choices(list(faults), [weight for weight, _ in faults.values()])[0]
        t.note(what)
        faults[what][1]()
        done[what] = done.get(what, 0) + 1
        procs.let_pass(t.random.random() * 0.6, "the next fault comes at any moment")
    wake()
    t.kafka()
    d.stop(60)
    d.start()
    topic.wait(lambda found: any(r.epoch == d.epoch for r in found), 90, "nothing new arrives")
    d.stop()
    summary = topic.check(at_least=100)
    lives = 2 + sum(done.get(what, 0) for what in ("supervisor killed", "all killed",
                                                   "TERM and start"))
    require(summary.epochs <= lives, f"{summary.epochs} epochs in {lives} lives")
    lost = without_record(nginx, summary)
    promised(lost <= lost_with_pipe,
             f"{lost} requests have no record, of {lost_with_pipe} that may")
    t.report(summary, note=", ".join(f"{n} {what}" for what, n in sorted(done.items())))


# --- 5, 6: stopped ----------------------------------------------------------------------------

@fault("5a", "publisher stopped (SIGSTOP) for a minute (short run: 8 s): the pipe is full",
       "all wait, no checker is killed for it, each slot has its record")
@needs("kafka")
def test_publisher_stopped(t):
    d, topic, nginx = loaded(t, 400, workers={"min": 4, "max": 64})
    nginx.wait_asked(400)
    publisher = d.publisher()
    procs.kill(publisher, signal.SIGSTOP)
    procs.wait_for(d.pipe_is_full, 120, "the pipe does not get full")
    procs.let_pass(1, "checkers that were just wanted are born")
    before = len(d.checkers())
    procs.let_pass(t.times(60, 8), "for how long it is full")
    checkers = len(d.checkers())
    procs.kill(publisher, signal.SIGCONT)
    again = time.time() * 1000
    topic.wait(lambda found: any(r.slot > again for r in found), 60, "no new record arrives")
    took = time.time() - again / 1000
    require(d.publisher() == publisher, "the publisher was replaced")
    summary = finish(t, d, topic, nginx, 1000, recovery_s=took)
    require(summary.words["missed_overload"] > 0, "the pipe was never full")
    require("was killed" not in d.log(), "a checker was killed")
    require(checkers <= before + 4, f"the pool grew from {before} to {checkers}, all of which waited")


@fault("5b", "supervisor stopped for 20 s (short run: 4 s)",
       "each slot that passed meanwhile has its record")
@needs("kafka")
def test_supervisor_stopped(t):
    d, topic, nginx = loaded(t)
    nginx.wait_asked(200)
    d.signal(signal.SIGSTOP)
    procs.let_pass(t.times(20, 4), "for how long it stands still")
    d.signal(signal.SIGCONT)
    topic.wait_rounds(d.settings["sites"])
    summary = finish(t, d, topic, nginx, 1000)
    require(summary.words["missed_overload"] > 0, f"no slot passed: {summary}")
    require("was killed" not in d.log(), "a checker was killed because nobody had listened to it")


@fault("6", "checker stopped", "killed by the watchdog, replaced; its slot has a record")
@needs("kafka")
def test_checker_stopped(t):
    d, topic, nginx = loaded(t)
    slowest, rounds = 0, t.times(10, 2)
    for _ in range(rounds):
        nginx.wait_asked(100)
        role, old = t.random.choice([(r, p) for r, p in d.roles().items()
                                     if re.fullmatch("checker [1-4]", r)])  # those with homes
        begin = time.monotonic()
        procs.kill(old, signal.SIGSTOP)
        procs.wait_for(lambda: not procs.alive(old), 15, "the watchdog does not bite")
        successor(d, role, old)
        slowest = max(slowest, time.monotonic() - begin)
    summary = finish(t, d, topic, nginx, 200, recovery_s=slowest,
                     note=f"{rounds} times; timeout 1 s, grace 2 s")
    deaths = deaths_of_checkers(d)
    require(1 <= died(summary.firsts) <= deaths, f"{deaths} deaths: {summary}")


# --- 7: a site that kills ---------------------------------------------------------------------

@fault("7", "a site whose every check ends its checker, for a minute (short run: 10 s)",
       "quarantined with back-off, still a record for each slot; others unharmed, CPU below 5 %")
@needs("kafka")
def test_poison_site(t):
    slow, nginx, topic = t.slow(), t.nginx(), t.topic()
    path = "/delay/900/poison"
    poison = site("poison", slow.url(path[1:]))
    d = t.daemon(t.settings([poison, *nginx.many(LIGHT)], topic)).start()
    used, begin = procs.stat(d.pid).ticks, time.monotonic()

    def over():
        age = time.monotonic() - begin
        return age > t.times(60, 10) and ("quarantined" in d.log() or age > 120)

    deaths = d.kill_at_each_check(slow, path, over)
    topic.wait(lambda found: sum(r.error_type == "quarantined" for r in found) >= 3, 60,
               "it is not quarantined")
    cpu = (procs.stat(d.pid).ticks - used) / procs.TICK / (time.monotonic() - begin)
    summary = finish(t, d, topic, nginx, LIGHT * 5,
                     note=f"{deaths} deaths; {100 * cpu:.1f} % CPU with {LIGHT} checks a second")
    words = [r.error_type for r in summary.firsts if r.site == "poison"]
    require(died(r for r in summary.firsts if r.site == "poison") == deaths >= 2 and
            words.count("quarantined") >= 3, f"{deaths} deaths, the records of the site: {words}")
    require(deaths <= 6, f"no back-off: {deaths} deaths")
    others = [r for r in summary.firsts if r.site != "poison"]
    sick = records.Summary(others, others).strange("up", "aborted")
    require(not sick and died(others) == 0, f"others suffered: {sick or died(others)}")
    require(cpu < 0.05, f"{100 * cpu:.1f} % CPU")


# --- 8: no publisher --------------------------------------------------------------------------

@fault("8a", "publisher killed at every start, until the pipe is full and beyond",
       "checks go on until then; back-off; each slot has its record; recovery by itself")
@needs("kafka")
def test_publisher_crash_loop(t):
    d, topic, nginx = loaded(t)
    deaths, last, begin, full_since = 0, None, time.monotonic(), None

    def age():
        return time.monotonic() - begin

    def full_for_long():
        """For two intervals at a stretch: then slots have been missed for want of room."""
        return full_since is not None and time.monotonic() - full_since > 2

    with open(t.path("spool/spool.lock"), "rb") as lock:
        held = False  # then it waits in front of the spool, and is not quicker than the kill
        while age() < t.times(40, 10) or not full_for_long() and age() < 120:
            pid = d.roles().get("publisher")
            if pid not in (None, last):
                procs.kill(pid)
                deaths, last = deaths + 1, pid
            if not held:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held = True
                except BlockingIOError:
                    pass
            full_since = (full_since or time.monotonic()) if d.pipe_is_full() else None
            procs.let_pass(0.002, "until the next look")
    let_live = time.monotonic()
    # one that was ready before it died is back within a second
    require(deaths <= 10 + age(), f"no back-off: {deaths} deaths in {age():.0f} s")
    d.publisher()
    mark = time.time() * 1000
    topic.wait(lambda found: any(r.slot > mark for r in found), 30, "no new record arrives")
    took = time.monotonic() - let_live
    summary = finish(t, d, topic, nginx, 1000, recovery_s=took, note=f"{deaths} deaths")
    require(summary.words["missed_overload"] > 0, f"the pipe was never full: {summary}")
    require(d.log().count("the publisher was killed") == deaths, "deaths are not in the log")


@fault("8b", "the spool's directory is gone when the publisher starts again",
       "checks go on, the log says why, recovery by itself once it is back")
@needs("kafka")
def test_spool_directory_gone(t):
    d, topic, nginx = loaded(t, LIGHT)
    nginx.wait_asked(LIGHT)
    old = d.publisher()
    procs.freeze(old)  # one that sees that its files were moved ends the epoch
    os.rename(t.path("spool"), t.path("spool.away"))
    procs.kill(old)
    d.wait_log(r"publisher error: spool\.dir: there is no directory", 20)
    procs.let_pass(t.times(20, 3), "for how long it is gone")
    os.rename(t.path("spool.away"), t.path("spool"))
    back = time.time() * 1000
    topic.wait(lambda found: any(r.slot > back for r in found), 90, "no new record arrives")
    finish(t, d, topic, nginx, LIGHT * 3, recovery_s=time.time() - back / 1000)


# --- 9: fork ----------------------------------------------------------------------------------

def limit(pid, what, value):
    """Set the soft limit of a process of ours, as the user that it runs under."""
    done = procs.run([*procs.as_user(context.USER), "prlimit", f"--pid={pid}",
                      f"--{what}={value}:"])
    require(done.returncode == 0, f"prlimit: {done.stderr}")


@fault("9a", "no process can be made (RLIMIT_NPROC) when a checker has died",
       "the others go on; as many as before once that is over")
@needs("kafka")
def test_no_processes(t):
    nginx, topic = t.nginx(), t.topic()
    settings = t.settings(nginx.many(LIGHT), topic, user=None,
                          pid_file=os.path.join(t.own_directory("run"), "webmond.pid"))
    # root's processes are not limited
    d = t.daemon(settings).start(prefix=procs.as_user(context.USER))
    require(set(d.roles()) >= {"checker 1", "checker 2"}, f"{d.roles()}")
    old = d.roles()["checker 1"]
    limit(d.pid, "nproc", 1)
    procs.kill(old)
    d.wait_log("cannot start the checker 1: fork: ", 10)
    procs.let_pass(t.times(10, 3), "for how long none can be made")
    require("checker 1" not in d.roles(), "it was made all the same")
    limit(d.pid, "nproc", 4096)
    took = successor(d, "checker 1", old)
    topic.wait_rounds(d.settings["sites"])
    summary = finish(t, d, topic, nginx, LIGHT * 3, recovery_s=took)
    require(not summary.strange("up", "aborted") and
            died(summary.firsts) <= deaths_of_checkers(d), f"the other checker did not go on: {summary}")


@fault("9b", "fork fails for want of memory (ENOMEM) when publisher and checkers have died",
       "back-off; recovery by itself; nothing is lost")
@needs("root", "kafka")
def test_fork_fails(t):
    d, topic, nginx = loaded(t, LIGHT)
    old = d.publisher(), d.roles()["checker 1"]
    with strace.Strace(d.pid, "clone,clone3,fork,vfork", "error=ENOMEM"):
        for pid in old:
            procs.kill(pid)
        d.wait_log("cannot start the publisher: fork: Cannot allocate memory", 20)
        procs.let_pass(t.times(10, 3), "for how long none can be made")
    took = max(successor(d, role, pid) for role, pid in zip(("publisher", "checker 1"), old))
    said = d.log().count("cannot start the ")
    require(said == 2, f"it is said {said} times, not once for each kind of process")
    topic.wait_rounds(d.settings["sites"])
    finish(t, d, topic, nginx, LIGHT * 3, recovery_s=took)


# --- 10: memory -------------------------------------------------------------------------------

@fault("10", "a checker has no memory left (RLIMIT_AS) in the middle of a page",
       "no site is called down for it; others unharmed")
@needs("kafka")
def test_no_memory(t):
    nginx, topic = t.nginx(), t.topic()
    page = t.write("nginx/www/page/big.txt", "small as yet\n")
    big = [site(f"big-{n}", nginx.url("page/big.txt", n), body_limit_kb=20480,
                body_regex="no such words") for n in range(4)]
    d = t.daemon(t.settings([*nginx.many(LIGHT), *big], topic,
                            workers={"min": 4, "max": 4})).start()
    for role in ("checker 1", "checker 2"):
        pid = d.roles()[role]
        size = int(procs.status_field(pid, "VmSize").split()[0]) * 1024
        limit(pid, "as", size)
    # not before: what a big page has taken would be within the limit
    os.rename(t.write("big.txt", "all is well\n" * 2000000), page)
    topic.wait(lambda found: any(r.error_type in ("local", "aborted") and not records.is_busy(r)
                                 for r in found), 60, "no checker lacks memory")
    procs.let_pass(t.times(20, 4), "for how long there is no memory")
    summary = finish(t, d, topic, nginx, LIGHT * 3)
    require({r.error_type for r in summary.firsts if r.site.startswith("big")} <=
            {"regex_mismatch", "regex_limit", "local", "aborted", "quarantined",
             *records.BUSY}, f"{summary}")
    require({r.error_type for r in summary.firsts if r.site.startswith("up") and
             r.status == "down"} <= {"timeout"}, f"called down: {summary}")


# --- 11: birth --------------------------------------------------------------------------------

@fault("11a", "supervisor killed between fork and the child's wish to be told of its death",
       "the child sees that it is an orphan and leaves")
@needs("root", "kafka")
def test_orphan_at_birth(t):
    d, topic, nginx = loaded(t, LIGHT, workers={"min": 2, "max": 2})
    slowest, rounds = 0, t.times(10, 2)
    for _ in range(rounds):
        before = set(procs.descendants(d.pid))
        victim = d.checkers()[0]
        # the child stops at the first of its prctl(): name, rights, death signal
        with strace.Strace(d.pid, "prctl", "signal=STOP:when=1", follow=True) as saboteur:
            procs.kill(victim)
            (born,) = procs.wait_for(saboteur.stopped, 20, "no new checker", 0.01)
            procs.kill(d.pid)
            d.process.wait()
        procs.wait_for(lambda: procs.is_stopped(born), 10, "it goes on", 0.005)
        procs.kill(born, signal.SIGCONT)
        slowest = max(slowest, orphans_leave([*before, born]))
        d.start()
    topic.wait_rounds(d.settings["sites"])
    finish(t, d, topic, nginx, LIGHT, rounds + 1, recovery_s=slowest,
           note=f"{rounds} times; seconds until all had left")


@fault("11b", "a publisher is stopped at its birth, its supervisor is killed, another daemon is started",
       "the orphan still holds the lock: the other one says so and exits with 75; when the orphan goes "
       "on it leaves, and the next daemon has the spool")
@needs("root", "kafka")
def test_orphan_goes_on_late(t):
    d, topic, _ = loaded(t, LIGHT)
    with strace.Strace(d.pid, "prctl", "signal=STOP:when=1", follow=True) as saboteur:
        procs.kill(d.publisher())
        (born,) = procs.wait_for(saboteur.stopped, 20, "no new publisher", 0.01)
        procs.kill(d.pid)
        d.process.wait()
    refused = t.webmond("-c", d.file, "-f", timeout=daemon.STOP_S)
    require(refused.returncode == 75 and "is in use by PID" in refused.stderr,
            f"{refused.returncode}: {refused.stderr}")
    procs.kill(born, signal.SIGCONT)
    orphans_leave([born])
    d.start()
    topic.wait_new()
    d.stop()
    require("please report" not in d.log(), "the log says something else")
    require(not [name for name in os.listdir(t.path("spool")) if "corrupt" in name],
            "the spool was set aside")
    summary = topic.check()
    require(summary.epochs == 2, f"{summary.epochs} epochs in 2 lives")
    t.report(summary)


# --- 12: two of them --------------------------------------------------------------------------

@fault("12", "ten are started at the same moment with one PID file",
       "one runs, nine exit with 75 and name it")
@needs("kafka")
def test_ten_at_once(t):
    d, topic, nginx = loaded(t, LIGHT)
    d.stop()
    for _ in range(t.times(20, 2)):
        others = [procs.spawn([daemon.binary(), "-c", d.file, "-f"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) for _ in range(10)]
        procs.wait_for(lambda: sum(p.poll() is None for p in others) == 1, 30,
                       lambda: f"{[p.poll() for p in others]}")
        (winner,) = [p for p in others if p.poll() is None]
        while not daemon.READY.search(procs.read_line(winner.stderr, 30, "the one that runs")):
            pass
        winner.send_signal(signal.SIGTERM)
        winner.stderr.close()
        require(winner.wait(daemon.STOP_S) == 0, "the one that ran did not stop well")
        for p in others:
            if p is not winner:
                said = p.stderr.read().decode()
                require(p.returncode == 75 and "already running" in said, f"{p.returncode} {said}")
    d.start()
    topic.wait_rounds(d.settings["sites"])
    d.stop()
    t.report(topic.check(at_least=LIGHT), note=f"{t.times(20, 2)} times")
