# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Slots: on a grid, one record each, in order, whatever the sites do. No assertion looks at how
# long something took: a slow machine is no failure.

from collections import Counter

from harness import needs, procs, records, require
from harness.sites import site


@needs("kafka")
def test_grid_over_restarts(t):
    nginx, topic = t.nginx(), t.topic()
    sites = nginx.many(20) + nginx.many(20, 1.5, prefix="odd") + nginx.many(5, 2, prefix="two")
    d = t.daemon(t.settings(sites, topic))
    for _ in range(3):
        d.start()
        topic.wait_rounds(sites)
        d.stop()
    summary = topic.check(at_least=150, every_slot=True)  # the grid is one of its promises
    t.note(summary)
    require(summary.epochs == 3, f"{summary.epochs} epochs")
    phases = {(r.interval_s, r.slot % round(r.interval_s * 1000)) for r in summary.firsts}
    require(len(phases) > 15, f"the load is not spread: {sorted(phases)}")


@needs("kafka")
def test_check_as_long_as_its_interval(t):
    slow, topic = t.slow(), t.topic()
    sites = [site(f"hang-{n}", slow.url(f"hang/{n}"), 1, 1) for n in range(3)]
    d = t.daemon(t.settings(sites, topic, workers={"min": 4, "max": 8})).start()

    def enough(found):
        words = Counter(r.error_type for r in found)
        return words["missed_overrun"] >= 6 and words["timeout"] >= 9

    topic.wait(enough, 40, "the sites do not hang, or no slot passes meanwhile")
    d.stop()
    summary = topic.check(at_least=18, every_slot=True)
    t.note(summary)
    for found in records.by_site(summary.firsts).values():
        for before, after in zip(found, found[1:]):
            require(after.error_type != "missed_overrun" or before.started_at or
                    before.error_type == "missed_overrun", f"{after} overran {before}")
    require("missed_overrun" not in d.log(), "the log tells of each slot of a site that hangs")


@needs("kafka")
def test_overload(t):
    slow, topic = t.slow(), t.topic()
    sites = [site(f"slow-{n}", slow.url(f"delay/400/{n}"), 1, 1) for n in range(8)]
    d = t.daemon(t.settings(sites, topic, workers={"min": 1, "max": 1})).start()

    def enough(found):
        words = Counter(r.error_type or "up" for r in found)
        return words["missed_overload"] >= 20 and words["up"] >= 10

    topic.wait(enough, 40, "no slot passes, or nobody is checked")
    topic.wait(lambda found: len({r.site for r in found if r.status == "up"}) == len(sites), 20,
               "one was never checked")
    d.stop()
    t.note(topic.check(at_least=30, every_slot=True))


@needs("kafka")
def test_line_behind_a_site_that_hangs(t):
    """Quick checks stand in line at one checker; now and then the one in front never ends."""
    slow, nginx, topic = t.slow(), t.nginx(), t.topic()
    healthy = nginx.many(150)
    falling = [site(f"fall-{n}", slow.url(f"fall/1/{n}"), 3, 3) for n in range(8)]
    d = t.daemon(t.settings(healthy + falling, topic, workers={"min": 1, "max": 12})).start()
    topic.wait(lambda found: len(found) > 1200 and
               sum(r.error_type == "timeout" for r in found) >= len(falling), 60,
               "the sites do not hang")
    d.stop()
    summary = topic.check(at_least=1200, every_slot=True)
    t.note(summary)
    bad = [r for r in summary.firsts if r.site.startswith("up") and r.status != "up" and
           not records.cut_off(r)]
    bad = records.not_busy(bad, summary.firsts)
    require(not bad, f"{len(bad)} checks waited in vain: {bad[:5]}")


@needs("kafka")
def test_kept_connections_are_found_again(t):
    """Sites that take their time have a checker each, of many: next time it should be the same."""
    topic, servers = t.topic(), [t.slow() for _ in range(40)]
    sites = [site(f"slow-{n}", s.url("delay/50/x"), keepalive=True) for n, s in enumerate(servers)]
    d = t.daemon(t.settings(sites, topic, workers={"min": 2, "max": 32})).start()

    def count():
        return (sum(s.server.moves for s in servers),
                sum(sum(s.server.hits.values()) for s in servers))

    def kept():
        """
        For two seconds. While the machine is busy checks overlap that did not before, and a site
        whose checker is taken goes to another one: so not all the time.
        """
        before = count()
        procs.let_pass(2, "the requests of two seconds are counted")
        moves, requests = (now - then for now, then in zip(count(), before))
        t.note(f"{moves} of {requests} requests came over another connection than the last one")
        return requests > 40 and moves < requests / 4

    # a first request does not move, and a second one may have no better choice
    procs.wait_for(lambda: min(sum(s.server.hits.values()) for s in servers) >= 2, 20,
                   "not all sites are checked")
    procs.wait_for(kept, 40, "the checkers change", 0)
    d.stop()
    t.note(topic.check(at_least=80))


@needs("kafka")
def test_hanging_sites_disturb_nobody(t):
    slow, nginx, topic = t.slow(), t.nginx(), t.topic()
    healthy = nginx.many(90)
    hanging = [site(f"hang-{n}", slow.url(f"hang/{n}"), 2, 1.5) for n in range(10)]
    d = t.daemon(t.settings(healthy + hanging, topic, workers={"min": 2, "max": 24})).start()
    topic.wait_rounds(hanging, 4)
    d.stop()
    summary = topic.check(at_least=500, every_slot=True)
    t.note(summary)
    names = {s["name"] for s in healthy}
    bad = [r for r in summary.firsts if r.site in names and r.status != "up" and
           not records.cut_off(r)]
    bad = records.not_busy(bad, summary.firsts)
    require(not bad, f"{len(bad)} checks of healthy sites suffered: {bad[:5]}")
    bad = [r for r in summary.firsts if r.site not in names and r.error_type != "aborted" and
           not records.is_busy(r)]
    require(not bad, f"hanging sites: {bad[:5]}")


@needs("kafka")
def test_streaks_outlive_reloads_and_kills(t):
    """topic.check() counts along; here sites go, come back and change, and publishers are killed."""
    nginx, topic = t.nginx(), t.topic()
    bad, away = (site(name, nginx.url(f"down/{name}")) for name in ("bad", "away"))
    turns = site("turns", nginx.url("ok/turns"))
    d = t.daemon(t.settings([bad, away, turns], topic)).start()
    topic.wait_rounds([bad, away, turns], 4)
    turns = {**turns, "url": nginx.url("down/turns"), "interval": 2}
    d.reload({**d.settings, "sites": [turns, bad]})
    procs.kill(d.publisher())
    topic.wait_rounds([bad, turns], 3)
    d.reload({**d.settings, "sites": [turns, away, bad]})
    procs.kill(d.publisher())
    procs.kill(t.random.choice(d.checkers()))
    topic.wait_rounds([bad, away, turns], 4)
    d.stop()
    summary = topic.check(at_least=30)
    t.note(summary)
    require(summary.epochs == 1, f"{summary.epochs} epochs")
    for name, found in records.by_site(summary.firsts).items():
        states = "".join(r.status[0] for r in found)
        outages = [o for o in states.replace("u", " ").split() if o.startswith("ddd")]
        alerts = [r for r in found if r.status == "down" and r.streak == 3]
        require(len(alerts) == len(outages) > 0, f"{name}: {states}, but {len(alerts)} alerts")
        t.note(f"{name}: {states}, the last one {found[-1].streak}")
