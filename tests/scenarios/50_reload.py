# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Reload, stop and start: sites that did not change do not notice, and nothing that waits is lost.

import os
import signal
import time

from harness import needs, procs, records, require
from harness.sites import site


def settled(topic, d):
    """Whether all of the running epoch up to now has arrived."""
    return lambda found: any(r.epoch == d.epoch for r in found)


@needs("kafka")
def test_sites_come_and_go(t):
    nginx, topic = t.nginx(), t.topic()
    stay = nginx.many(30)
    go, come = nginx.many(5, prefix="go"), nginx.many(5, prefix="come")
    change = site("change", nginx.url("ok/change"))
    slower = site("slower", nginx.url("ok/slower"))
    d = t.daemon(t.settings([*stay, *go, change, slower], topic)).start()
    time.sleep(2.5)
    changed = [*stay, *come, {**change, "url": nginx.url("down/change")},
               {**slower, "interval": 2}]
    d.reload({**d.settings, "sites": changed})
    require(procs.cmdline(d.pid) == "webmond: supervisor" and d.running(), "it is gone")
    time.sleep(2.5)

    d.write_config({**d.settings, "sites": [*changed, {"name": "x", "url": "gopher://x/"}]})
    d.reload(good=False)
    with open(d.file, "w", encoding="ascii") as f:
        f.write("sites = ( { name = ")
    d.reload(good=False)
    os.unlink(d.file)
    d.reload(good=False)
    time.sleep(2)
    d.stop()
    summary = topic.check(at_least=38 * 5)
    t.note(summary)
    require(summary.epochs == 1, "a reload began an epoch")
    by_site = records.by_site(summary.firsts)
    require(not records.missing_slots(summary.firsts), records.missing_slots(summary.firsts))
    require({s["name"] for s in stay} <= set(by_site), "sites that stay have no records")
    end = max(r.slot for r in summary.firsts)
    for s in come + stay:
        require(end - by_site[s["name"]][-1].slot < 1500, f"{s['name']} has stopped")
    for s in go:
        require(end - by_site[s["name"]][-1].slot > 3000, f"{s['name']} goes on")
    require([r.status for r in by_site["change"]] ==
            sorted((r.status for r in by_site["change"]), reverse=True) and
            by_site["change"][-1].http_status_code == 500, "the change has no effect")
    require({r.interval_s for r in by_site["slower"]} == {1, 2}, "the interval has no effect")


@needs("kafka")
def test_many_hups(t):
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(50), topic)).start()
    time.sleep(1)
    for _ in range(20):
        d.signal(signal.SIGHUP)
        time.sleep(t.random.random() / 20)
    time.sleep(3)
    mark = d.log_size()
    d.reload()
    time.sleep(1.5)
    d.stop()
    t.note(f"{d.log().count('reloaded:')} reloads; {topic.check(at_least=250)}")
    firsts = topic.firsts()
    require(not records.missing_slots(firsts), records.missing_slots(firsts))
    require({r.error_type for r in firsts} <= {None, "aborted"}, "a reload disturbed checks")
    require(len({r.epoch for r in firsts}) == 1, "a reload began an epoch")
    require("was killed" not in d.log(mark), "something was killed")


@needs("kafka")
def test_running_check_survives_reload(t):
    slow, topic = t.slow(), t.topic()
    sites = [site(f"slow-{n}", slow.url(f"delay/1800/{n}"), 3, 3) for n in range(4)]
    d = t.daemon(t.settings(sites, topic, workers={"min": 4, "max": 8})).start()
    for _ in range(4):
        time.sleep(1.1)
        d.reload()
    time.sleep(2)
    d.stop()
    summary = topic.check(at_least=4)
    t.note(summary)
    last = {max((r for r in summary.firsts if r.site == s["name"]), key=lambda r: r.slot).id
            for s in sites}
    for r in summary.firsts:
        require(r.status == "up" or r.id in last, f"{r}: {r.error_message}")


@needs("kafka")
def test_stop_in_outage_and_start(t):
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(100), topic)).start()
    time.sleep(1.5)
    t.kafka().kill()
    time.sleep(2)
    d.stop()
    d.start(foreground=False)
    time.sleep(1.5)
    d.stop()
    t.kafka()
    d.start()
    topic.wait(settled(topic, d), 30, "nothing new arrives")
    d.stop()
    summary = topic.check(at_least=450)
    t.note(summary)
    require(summary.epochs == 3, f"{summary.epochs} epochs, not 3")
    hits = nginx.hits()
    require(sum(hits.values()) <= len(summary.firsts),
            f"{sum(hits.values())} requests, {len(summary.firsts)} records")


@needs("kafka")
def test_second_term_skips_the_flush(t):
    topic, slow = t.topic(), t.slow()
    refused = t.refused()
    hanging = [site(f"hang-{n}", slow.url("hang/x"), 60, 60) for n in range(2)]
    soon = t.nginx().many(50)
    settings = t.settings([*soon, *hanging], topic, f"127.0.0.1:{refused.port}")
    d = t.daemon(settings).start()
    time.sleep(2)
    d.roles()
    d.signal(signal.SIGTERM)
    time.sleep(0.2)
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
    procs.wait_for(lambda: sum(slow.server.hits.values()) > 0, 25, "no check hangs")
    time.sleep(1)
    d.signal(signal.SIGINT)  # as TERM
    require(d.wait_end() == 0, "not 0")
    summary = topic.check()
    t.note(summary)
    require(summary.words["aborted"] == sum(slow.server.hits.values()),
            f"{slow.server.hits} hang, {summary}")
