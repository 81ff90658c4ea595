# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Reload, stop and start: sites that did not change do not notice, and nothing that waits is lost.

import os
import re
import shlex
import signal
import subprocess

from harness import daemon, needs, procs, records, require
from harness.sites import site


def settled(topic, d):
    """Whether all of the running epoch up to now has arrived."""
    return lambda found: any(r.epoch == d.epoch for r in found)


def none_missed(t, d, topic, at_least):
    """Stop: in each slot there was a check."""
    d.stop()
    summary = topic.check(at_least=at_least, every_slot=True)
    t.note(summary)
    require(not summary.words["missed_overload"], f"slots were missed: {summary}")


@needs("kafka")
def test_sites_come_and_go(t):
    nginx, topic = t.nginx(), t.topic()
    stay = nginx.many(30)
    go, come = nginx.many(5, prefix="go"), nginx.many(5, prefix="come")
    change = site("change", nginx.url("ok/change"))
    slower = site("slower", nginx.url("ok/slower"))
    d = t.daemon(t.settings([*stay, *go, change, slower], topic)).start()
    topic.wait_rounds(d.settings["sites"], 2)
    changed = [*stay, *come, {**change, "url": nginx.url("down/change")},
               {**slower, "interval": 2}]
    d.reload({**d.settings, "sites": changed})
    require(procs.cmdline(d.pid) == "webmond: supervisor" and d.running(), "it is gone")
    topic.wait_rounds(changed)

    d.write_config({**d.settings, "sites": [*changed, {"name": "x", "url": "gopher://x/"}]})
    d.reload(good=False)
    with open(d.file, "w", encoding="ascii") as f:
        f.write("sites = ( { name = ")
    d.reload(good=False)
    os.unlink(d.file)
    d.reload(good=False)
    topic.wait_rounds(stay)
    topic.wait(lambda found: max(r.slot for r in found) > 3500 + max(
        r.slot for r in found if r.site.startswith("go")), 20, "the removed sites go on")
    d.stop()
    summary = topic.check(at_least=38 * 5, every_slot=True)
    t.note(summary)
    require(summary.epochs == 1, "a reload began an epoch")
    by_site = records.by_site(summary.firsts)
    require({s["name"] for s in stay} <= set(by_site), "sites that stay have no records")
    end = max(r.slot for r in summary.firsts)
    for s in come + stay:
        require(end - by_site[s["name"]][-1].slot < 1500, f"{s['name']} has stopped")
    for s in go:
        require(end - by_site[s["name"]][-1].slot > 3000, f"{s['name']} goes on")
    change = [r for r in by_site["change"] if not records.cut_off(r) and not records.is_busy(r)]
    require([r.status for r in change] == sorted((r.status for r in change), reverse=True) and
            change[-1].http_status_code == 500, "the change has no effect")
    require({r.interval_s for r in by_site["slower"]} == {1, 2}, "the interval has no effect")


@needs("kafka")
def test_many_hups(t):
    nginx, topic = t.nginx(), t.topic()
    sites = nginx.many(50)
    d = t.daemon(t.settings(sites, topic)).start()
    topic.wait_rounds(sites)
    for _ in range(20):
        d.signal(signal.SIGHUP)
        procs.let_pass(t.random.random() / 20, "some meet a reload that runs, some do not")
    topic.wait_rounds(sites, 3)
    mark = d.log_size()
    d.reload()
    topic.wait_rounds(sites)
    d.stop()
    summary = topic.check(at_least=250, every_slot=True)
    t.note(f"{d.log().count('reloaded:')} reloads; {summary}")
    require(not summary.strange("up", "aborted"), f"a reload disturbed checks: {summary}")
    require(summary.epochs == 1, "a reload began an epoch")
    require("was killed" not in d.log(mark), "something was killed")


@needs("kafka")
def test_large_pool_is_renewed_while_it_checks(t):
    """All checkers are replaced, a few at a time: sites go on being checked meanwhile."""
    nginx, topic = t.nginx(), t.topic()
    sites = [{**s, "interval": 2} for s in nginx.many(300)]
    d = t.daemon(t.settings(sites, topic, workers={"min": 400, "max": 400})).start()
    topic.wait(lambda found: len(found) >= 300, 30, "the first round does not arrive")
    before = set(d.checkers())
    d.reload()
    procs.wait_for(lambda: len(set(d.checkers()) - before) == 400, 60, "not all are replaced")
    none_missed(t, d, topic, 300)


@needs("kafka")
def test_a_file_wrong_beyond_measure_costs_no_check(t):
    """Unknown keys take libconfig the square of their number: a child reads them."""
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(20), topic)).start()
    good = d.settings
    with open(d.file, "a", encoding="ascii") as f:
        f.writelines(f"k{n} = 1;\n" for n in range(15000))
    d.reload(good=False)
    d.reload(good)
    none_missed(t, d, topic, 20)


@needs("kafka")
def test_validation_that_stands_still_holds_nobody_up(t):
    """The process that tests the sites is stopped, and then the validator above it is killed."""
    nginx, topic, refused = t.nginx(), t.topic(), t.refused()
    d = t.daemon(t.settings(nginx.many(20), topic)).start()
    many = [site(f"idle-{n}", refused.url(), 86400, body_regex=[f"a{n}.*b", f"[c-f]+{n}"])
            for n in range(20000)]

    def testers():
        below = [pid for pid in procs.descendants(d.pid)
                 if procs.cmdline(pid).startswith("webmond: validator")]
        return [(pid, s.ppid) for pid in below if (s := procs.stat(pid)) and s.ppid in below]

    d.write_config(t.settings([*nginx.many(20), *many], topic))
    mark = d.log_size()
    d.signal(signal.SIGHUP)
    tester, validator = procs.wait_for(testers, 60, "nobody tests the sites", 0.005)[0]
    procs.freeze(tester)
    procs.kill(validator)
    d.wait_log("reload failed", 20, mark)
    procs.wait_for(lambda: not procs.alive(tester), 20, "it outlives the validator")
    topic.wait_new()
    none_missed(t, d, topic, 10)


@needs("kafka")
def test_running_check_survives_reload(t):
    slow, topic = t.slow(), t.topic()
    sites = [site(f"slow-{n}", slow.url(f"delay/1800/{n}"), 3, 3) for n in range(4)]
    d = t.daemon(t.settings(sites, topic, workers={"min": 4, "max": 8})).start()
    for _ in range(4):
        slow.wait_asked()
        d.reload()
    topic.wait(lambda found: {r.site for r in found if r.status == "up"}, 20, "no check is over")
    topic.wait_rounds(sites)
    d.stop()
    summary = topic.check(at_least=4)
    t.note(summary)
    for r in summary.firsts:
        require(r.status == "up" or records.cut_off(r) or records.is_busy(r),
                f"{r}: {r.error_message}")


@needs("kafka")
def test_checks_that_wait_survive_reload(t):
    """The only checker is stopped: checks that stood in line behind the first need another one."""
    nginx, topic = t.nginx(), t.topic()
    stay, go = nginx.many(30), nginx.many(5, prefix="go")
    d = t.daemon(t.settings([*stay, *go], topic, workers={"min": 1, "max": 1})).start()
    topic.wait_rounds(d.settings["sites"])
    stopped = d.roles()["checker 1"]
    procs.kill(stopped, signal.SIGSTOP)
    procs.let_pass(1, "an interval: all are due")
    slower = [{**s, "interval": 2} for s in stay[::2]]  # what is due already is not on its new grid
    d.reload({**d.settings, "sites": [*slower, *stay[1::2]]})
    procs.kill(stopped, signal.SIGCONT)
    topic.wait_new()
    d.stop()
    summary = topic.check(at_least=60, every_slot=True)
    t.note(summary)
    bad = [r for r in summary.firsts if r.error_type == "aborted" and r.site.startswith("up") and
           not records.cut_off(r)]
    # the one in front, if all that took longer than the watchdog waits
    require(len(bad) <= d.log().count("did not end within"),
            f"{len(bad)} checks were given up: {bad[:5]}")


@needs("kafka")
def test_slow_sites_leave_and_come_back(t):
    """They waited for the slow lane: the slots that were due come before their new ones."""
    slow, topic = t.slow(), t.topic()
    sites = [site(f"hang-{n}", slow.url(f"hang/{n}"), 1, 0.9) for n in range(12)]
    d = t.daemon(t.settings(sites, topic, workers={"min": 4, "max": 4})).start()
    topic.wait_rounds(sites, 2)
    for _ in range(6):
        d.reload({**d.settings, "sites": sites[:6]})
        procs.let_pass(0.3, "some slots come up, not all")
        d.reload({**d.settings, "sites": sites})
        procs.let_pass(1.3, "longer than an interval: all are due")
    d.stop()
    t.note(topic.check(at_least=60))


@needs("kafka")
def test_stop_in_outage_and_start(t):
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(100), topic)).start()
    topic.wait_rounds(d.settings["sites"])
    t.kafka().kill()
    nginx.wait_asked(200)
    d.stop()
    d.start(foreground=False)
    nginx.wait_asked(100)
    d.stop()
    t.kafka()
    d.start()
    topic.wait(settled(topic, d), 30, "nothing new arrives")
    d.stop()
    summary = topic.check(at_least=400)
    t.note(summary)
    require(summary.epochs == 3, f"{summary.epochs} epochs, not 3")
    hits = nginx.hits()
    require(sum(hits.values()) <= len(summary.firsts),
            f"{sum(hits.values())} requests, {len(summary.firsts)} records")


@needs("kafka")
def test_second_term_skips_the_flush(t):
    nginx, topic, slow = t.nginx(), t.topic(), t.slow()
    refused = t.refused()
    hanging = [site(f"hang-{n}", slow.url("hang/x"), 60, 60) for n in range(2)]
    soon = nginx.many(50)
    settings = t.settings([*soon, *hanging], topic, f"127.0.0.1:{refused.port}")
    d = t.daemon(settings).start()
    nginx.wait_asked(100)
    d.roles()
    d.signal(signal.SIGTERM)
    procs.let_pass(0.2, "two signals at the same moment are one")
    d.signal(signal.SIGTERM)
    require(d.wait_end() == 0, "not 0 after two TERMs")
    settings["kafka"]["properties"] = [f"bootstrap.servers={t.kafka().address()}"]
    d.write_config(settings)
    d.start()
    topic.wait(settled(topic, d), 30, "nothing new arrives")
    d.stop()
    t.note(topic.check(at_least=100))


@needs("kafka")
def test_stop_ends_running_checks(t):
    """A stop does not wait for a long timeout, and the checks that it cuts off have records."""
    slow, topic = t.slow(), t.topic()
    hanging = [site(f"hang-{n}", slow.url(f"hang/{n}"), 20, 20) for n in range(3)]
    d = t.daemon(t.settings([*t.nginx().many(10), *hanging], topic,
                            workers={"min": 4, "max": 8})).start()
    slow.wait_asked()
    d.signal(signal.SIGINT)  # as TERM
    require(d.wait_end() == 0, "not 0")
    summary = topic.check()
    t.note(summary)
    aborted = [r for r in summary.firsts if r.error_type == "aborted" and r.started_at is not None]
    require(len(aborted) == sum(slow.server.hits.values()),
            f"{slow.server.hits} hang, {aborted}")


@needs("kafka")
def test_sites_leave_while_the_pipe_is_full(t):
    """Slots that were due get their records in order, those of the removed sites too."""
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(200), topic, workers={"min": 4, "max": 16})).start()
    publisher = d.publisher()
    procs.kill(publisher, signal.SIGSTOP)
    procs.wait_for(d.pipe_is_full, 120, "the pipe does not get full")
    mark = d.log_size()
    d.write_config({**d.settings, "sites": d.settings["sites"][:60]})
    d.signal(signal.SIGHUP)
    d.wait_log(r"reloaded: 60 sites|held back", 20, mark)
    procs.let_pass(1.5, "longer than an interval: all are due")
    procs.kill(publisher, signal.SIGCONT)
    topic.wait_rounds(d.settings["sites"])
    d.stop()
    summary = topic.check(at_least=400, every_slot=True)
    t.note(summary)
    by_site = records.by_site(summary.firsts)
    end = max(r.slot for r in summary.firsts)
    for s in d.settings["sites"]:
        require(end - by_site[s["name"]][-1].slot < 1500, f"{s['name']} has stopped")


@needs("kafka")
def test_what_needs_a_restart_is_refused(t):
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(20), topic)).start()
    good = d.settings
    for changed in ({"spool": {"dir": t.own_directory("other")}},
                    {"pid_file": t.path("other.pid")}, {"kafka": None},
                    {"kafka": {**good["kafka"], "group": "webmond-eu"}}):
        mark = d.log_size()
        d.write_config({**good, **changed})
        d.reload(good=False)
        d.wait_log("that needs a restart", 5, mark)
    d.reload(good)
    topic.wait_rounds(d.settings["sites"])
    d.stop()
    topic.check(at_least=20, every_slot=True)


@needs("kafka")
def test_what_a_member_of_a_group_keeps(t):
    nginx, topic, other = t.nginx(), t.topic(), t.topic()
    settings = t.settings(nginx.many(5), topic, instance="a", kafka={"group": topic.name})
    d = t.daemon(settings).start()
    kafka = settings["kafka"]
    for name, changed in (("kafka.topic", {"kafka": {**kafka, "topic": other.name}}),
                          ("instance", {"instance": "b"}),
                          ("kafka.group", {"kafka": {k: v for k, v in kafka.items() if k != "group"}})):
        mark = d.log_size()
        d.write_config({**settings, **changed})
        d.reload(good=False)
        d.wait_log(rf"{re.escape(name)} has changed: that needs a restart", 5, mark)
    d.reload({**settings, "kafka": {**kafka, "alone": "rest"}})
    topic.wait_rounds(settings["sites"])
    d.stop()
    topic.check(at_least=5)
    require(not other.records(), "records went to another topic")


def exec_reload(d):
    """Run the unit's ExecReload= as systemd would; returns the finished process."""
    with open(os.path.join(records.ROOT, "etc", "webmond.service.in"), encoding="utf-8") as f:
        command = re.findall("^ExecReload=!?(.*)$", f.read(), re.M)
    require(len(command) == 1, f"{command}")
    for name, value in (("@bindir@/webmondctl", daemon.control()),
                        ("@sysconfdir@/webmond/webmond.conf", d.file)):
        require(name in command[0], f"no {name} in {command}")
        command[0] = command[0].replace(name, value)
    command = shlex.split(command[0].replace("$$", "$").replace("$MAINPID", str(d.pid)))
    return procs.spawn(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def outcome_of(process, code):
    out, err = (text.decode() for text in process.communicate(timeout=60))
    require(process.returncode == code, f"exit code {process.returncode}: {out}{err}")
    return out + err


def test_unit_hears_how_a_reload_went(t):
    """Whoever asks gets the outcome of a reload that read the file after they had asked."""
    refused = t.refused()
    sites = [site("one", refused.url(), 60)]
    d = t.daemon(t.settings(sites, "nowhere", f"127.0.0.1:{refused.port}"))
    d.start()
    require(outcome_of(exec_reload(d), 0).startswith("reloaded: 1 site, 0 added"), "no line")

    for changed, words in (({"sites": [{**sites[0], "colour": 1}]}, "colour"),
                           ({"sites": [{**sites[0], "url": "ftp://x/"}]}, "must begin with http"),
                           ({"pid_file": t.path("other.pid")}, "pid_file has changed"),
                           ({"kafka": None}, "kafka has changed")):
        d.write_config({**t.settings(sites, "nowhere", f"127.0.0.1:{refused.port}"), **changed})
        said = outcome_of(exec_reload(d), 78)
        require("reload failed: " in said and words in said, f"{words!r} not in {said!r}")
    d.write_config({**d.settings, "kafka": None, "sites": [{"name": f"no-{n}", "url": "ftp://x/"}
                                                          for n in range(1000)]})
    said = outcome_of(exec_reload(d), 78)
    require(len(said.splitlines()) == 102 and "more lines like these" in said,
            f"{len(said.splitlines())} lines")

    # amid others who reload all the time, of files that are good and bad in turn
    for n in range(20):
        for _ in range(t.random.randrange(3)):
            d.signal(signal.SIGHUP)
        good = n % 3 != 0
        d.write_config(t.settings(sites * good, "nowhere", f"127.0.0.1:{refused.port}"))
        both = [exec_reload(d), exec_reload(d)]
        for process in both:
            outcome_of(process, 0 if good else 78)
    # a daemon that cannot answer, and ends
    procs.freeze(*d.roles().values())
    process = exec_reload(d)
    procs.wait_for(lambda: any("socket:" in str(procs.open_files(pid))
                               for pid in procs.descendants(process.pid)), 20, "it does not ask")
    d.kill()
    require("stopped in the middle" in outcome_of(process, 69), "it does not say so")
    require("no webmond answers" in outcome_of(exec_reload(d), 3), "it does not say so")
    d.start()
    outcome_of(exec_reload(d), 0)
    # nobody listens yet where the file says, so only the signal gets there
    d.write_config({**d.settings, "control": {"socket": t.path("moved")}})
    require("no webmond answers" in outcome_of(exec_reload(d), 3), "it does not say so")
    procs.wait_for(lambda: os.path.exists(t.path("moved")), 20, "it was not sent a signal")
    require(not os.path.exists(t.path("ctl")), "the socket is left behind")
    outcome_of(exec_reload(d), 0)
    d.stop()
    require(not os.path.exists(t.path("moved")), "the socket is left behind")


@needs("kafka")
def test_reload_of_many_sites_is_no_step_of_the_clock(t):
    nginx, topic, refused = t.nginx(), t.topic(), t.refused()
    quick = nginx.many(20)
    idle = [site(f"idle-{n}", refused.url(), 86400) for n in range(20000)]
    d = t.daemon(t.settings([*quick, *idle], topic)).start()
    for _ in range(3):
        d.reload()
        topic.wait_new()
    d.stop()
    require("the clock moved" not in d.log(), "a reload was taken for a step of the clock")
    topic.check(at_least=20, every_slot=True)


def test_reload_without_kafka_section(t):
    nginx = t.nginx()
    d = t.daemon(t.settings(nginx.many(50))).start("--stdout")
    out = t.path("webmond.log")  # standard output goes there too
    for _ in range(5):
        nginx.wait_asked(20)
        d.reload()
    # a file that cannot be read changes nothing: what is said is why, not what it lacks
    good = d.settings
    for text, said in (("sites = (\n", r"webmond\.conf:1: this \( has no \): "),
                       ("", r":1: no enabled")):
        mark = d.log_size()
        with open(d.file, "w", encoding="ascii") as f:
            f.write(text)
        d.reload(good=False)
        d.wait_log(said, 5, mark)
        require("needs a restart" not in d.log(), f"{text!r} is taken for a change")
    # the lines of the file are for a terminal, not for all who read the log
    require("    sites = (" not in d.log() and "^" not in d.log(), "the log shows the file")
    # what is no mistake, but hardly meant, is said once
    mark = d.log_size()
    d.reload({**good, "sites": [{**good["sites"][0], "body_regex_not": ["/x/i"]}]})
    d.wait_log(r"warning: body_regex_not: the slashes", 5, mark)
    require(d.log().count("the slashes round") == 1, "the warning is said again")
    # a mistake for each of a thousand sites does not drown the outcome
    d.write_config({**good, "sites": [site(f"no-{n}", "ftp://x/") for n in range(1000)]})
    d.reload(good=False)
    d.reload(good)
    d.stop()
    with open(out, encoding="utf-8") as f:
        lines = [line for line in f if line.startswith("{")]
    records.check(records.from_lines("".join(lines)), at_least=50, envelopes=False,
                  every_slot=True)


@needs("kafka")
def test_stop_with_a_stopped_publisher_and_a_full_pipe(t):
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(200), topic, workers={"min": 4, "max": 16})).start()
    procs.kill(d.publisher(), signal.SIGSTOP)
    procs.wait_for(d.pipe_is_full, 120, "the pipe does not get full")
    d.stop(60)  # its successor drains the pipe
    require("does not leave" in d.log(), "the publisher was not stopped")
    summary = topic.check(at_least=400, every_slot=True)
    t.note(summary)
