# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Kill and stop everything that can be killed and stopped, under load, and count afterwards: no
# hole, no second content. Two hundred checks a second, real Kafka.

import signal
import time

from harness import needs, procs, records, require
from harness.sites import site

ROUNDS = 5
HOMES = 4


def loaded(t):
    """
    A daemon under load, its topic, and the web server. A few of the sites are slow, so that there
    is always a check that runs.
    """
    nginx, slow, topic = t.nginx(), t.slow(), t.topic()
    sites = [*nginx.many(200), *(site(f"slow-{n}", slow.url(f"delay/300/{n}")) for n in range(15))]
    d = t.daemon(t.settings(sites, topic, workers={"min": HOMES, "max": 16}))
    return d.start(), topic, nginx


def moment(t, longest=1.5):
    procs.let_pass(0.2 + t.random.random() * longest, "a fault comes at any moment")


def at_work(nginx):
    """Wait until sites are asked."""
    hits = sum(nginx.hits().values())
    procs.wait_for(lambda: sum(nginx.hits().values()) > hits, 20, "no check begins")


def finish(t, d, topic, at_least):
    d.stop()
    summary = topic.check(at_least=at_least, every_slot=True)
    t.note(summary)
    return summary


def seen_by_sites(nginx, summary, allowance=0):
    """Every request that nginx has seen is in a record; `allowance`: but for so many."""
    more = nginx.unrecorded(records.begun(summary.firsts))
    require(more <= allowance, f"{more} requests have no record, {allowance} may")


def killing(victim):
    """A scenario that kills `victim(t, d)` again and again."""
    @needs("kafka")
    def test(t):
        d, topic, nginx = loaded(t)
        for _ in range(ROUNDS):
            moment(t)
            procs.kill(victim(t, d))
        moment(t)
        summary = finish(t, d, topic, 150)
        require(summary.epochs == 1, f"{summary.epochs} epochs")
        seen_by_sites(nginx, summary)
    return test


test_kill_checkers = killing(lambda t, d: t.random.choice(d.checkers()))
test_kill_publisher = killing(lambda t, d: d.publisher())


@needs("kafka")
def test_kill_supervisor(t):
    d, topic, nginx = loaded(t)
    for _ in range(ROUNDS):
        at_work(nginx)
        moment(t)
        others = [pid for role, pid in d.roles().items() if role != "supervisor"]
        d.kill_supervisor()
        if t.random.random() < 0.5:  # else the new one meets what is left of the old
            procs.wait_for(lambda: not any(map(procs.alive, others)), 10,
                           lambda: f"orphans stay: {[procs.cmdline(p) for p in others]}")
        d.start()
    at_work(nginx)
    moment(t)
    summary = finish(t, d, topic, 150)
    require(summary.epochs == ROUNDS + 1, f"{summary.epochs} epochs")
    seen_by_sites(nginx, summary)


@needs("kafka")
def test_kill_all_at_once(t):
    d, topic, nginx = loaded(t)
    allowance = 0
    for _ in range(ROUNDS):
        moment(t)
        d.freeze()
        allowance += d.dies_with_the_pipe()
        d.kill()
        d.start()
    moment(t)
    summary = finish(t, d, topic, 150)
    seen_by_sites(nginx, summary, allowance)


@needs("kafka")
def test_kill_the_broker(t):
    d, topic, nginx = loaded(t)
    for _ in range(2):
        moment(t)
        t.kafka().kill()
        moment(t, 3)
        t.kafka()  # starts it again, on the same ports
    last = max(r.seq for r in topic.records())
    topic.wait(lambda found: max(r.seq for r in found) > last + 200, 30, "nothing new arrives")
    summary = finish(t, d, topic, 1000)
    seen_by_sites(nginx, summary)


@needs("kafka")
def test_stopped_publisher(t):
    """The pipe fills and everybody waits: no checker is killed for that, nothing is lost."""
    d, topic, nginx = loaded(t)
    moment(t)
    publisher = d.publisher()
    procs.kill(publisher, signal.SIGSTOP)
    procs.wait_for(d.pipe_is_full, 120, "the pipe does not get full")
    procs.let_pass(5, "longer than a timeout and its grace: nobody is killed for waiting")
    procs.kill(publisher, signal.SIGCONT)
    topic.wait_new()
    require(d.publisher() == publisher, "it was replaced")
    summary = finish(t, d, topic, 1000)
    require("was killed" not in d.log(), "a checker was killed")
    seen_by_sites(nginx, summary)


@needs("kafka")
def test_stopped_checker(t):
    d, topic, nginx = loaded(t)
    moment(t)
    # one of the homes: of those that came later some may have nothing to do any more
    stopped = d.roles()[f"checker {t.random.randint(1, HOMES)}"]
    procs.kill(stopped, signal.SIGSTOP)
    procs.wait_for(lambda: not procs.alive(stopped), 10, "the watchdog does not bite")
    moment(t)
    summary = finish(t, d, topic, 150)
    require(summary.words["aborted"] >= 1, "no record of the check that was cut off")
    bad = [r for r in summary.firsts if r.error_type and not records.cut_off(r)]
    sick = {r.site for r in records.not_busy(bad, summary.firsts)}
    require(len(sick) <= 2, f"others suffered: {sick}")
    seen_by_sites(nginx, summary)


@needs("kafka")
def test_stopped_checker_at_reload(t):
    """It is idle and told to leave, but does not: it must not keep its place."""
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(1, 30), topic, workers={"min": 2, "max": 2})).start()
    stopped = d.checkers()
    for pid in stopped:
        procs.kill(pid, signal.SIGSTOP)
    d.reload({**d.settings, "sites": nginx.many(20)})
    procs.wait_for(lambda: not any(map(procs.alive, stopped)), 30, "they stay")
    topic.wait_new()
    d.stop()
    t.note(topic.check())


@needs("kafka")
def test_stopped_orphan(t):
    """A checker that is stopped when the supervisor dies does not hold up the next start."""
    d, topic, _ = loaded(t)
    moment(t)
    stopped = d.checkers()[0]
    procs.kill(stopped, signal.SIGSTOP)
    d.kill_supervisor()
    d.start()
    moment(t)
    procs.kill(stopped, signal.SIGCONT)
    finish(t, d, topic, 50)


@needs("root", "kafka")  # else nobody may see who talks to it
def test_poison_site(t):
    """A site whose checks end their checker: quarantined, with a record a slot, others go on."""
    slow, nginx, topic = t.slow(), t.nginx(), t.topic()
    path = "/delay/1900/poison"
    poison = site("poison", slow.url(path[1:]), interval=2, timeout=2)
    d = t.daemon(t.settings([poison, *nginx.many(20)], topic)).start()
    end = time.monotonic() + 60
    deaths = d.kill_at_each_check(
        slow, path, lambda: "quarantined" in d.log() or time.monotonic() > end)
    hits = slow.server.hits[path]
    topic.wait(lambda found: sum(r.error_type == "quarantined" for r in found) >= 2, 20,
               "it is not quarantined")
    d.stop()
    summary = topic.check(at_least=60, every_slot=True)
    t.note(summary)
    words = [r.error_type for r in summary.firsts if r.site == "poison"]
    first = words.index("quarantined")
    require(words[:first].count("aborted") == deaths >= 2 and len(words) >= first + 2 and
            set(words[first:]) == {"quarantined"}, f"{deaths} deaths: {words}")
    require(slow.server.hits[path] == hits, "it is checked although it is quarantined")
    others = [r for r in summary.firsts if r.site != "poison"]
    sick = records.Summary(others, others).strange("up", "aborted")
    require(not sick, f"others suffered: {sick}")


@needs("kafka")
def test_full_disk(t):
    """The spool's file cannot grow: nothing is consumed uncommitted; then there is room again."""
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(100), topic))
    t.kafka().kill()
    d.start(prefix=["prlimit", "--fsize=300000:"])
    publisher = d.publisher()
    d.wait_log(r"spool: cannot .*", 20)
    procs.let_pass(3, "nobody gives up meanwhile")
    require(d.running() and d.publisher() == publisher, "somebody gave up")
    # its own limit can be lifted by nobody here: its successor inherits the supervisor's
    raised = procs.run(["prlimit", f"--pid={d.pid}", "--fsize=unlimited:"])
    require(raised.returncode == 0, raised.stderr)
    procs.kill(publisher)
    t.kafka()
    topic.wait(lambda found: len(found) > 700, 30, "what waited does not arrive")
    summary = finish(t, d, topic, 700)
    seen_by_sites(nginx, summary)
