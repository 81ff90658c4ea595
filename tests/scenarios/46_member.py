# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# One member of a group: what it says of itself, and how it lets go of its sites.

import json

from harness import daemon, group, needs, procs, require
from harness.sites import site

PARTITIONS = 12
OK, WARNING, UNKNOWN = 0, 1, 3


def ctl(t, name, *arguments, code=0):
    """Ask a member by webmondctl; `code` None: any."""
    done = procs.run([daemon.control(), "-s", t.path(name, "ctl"), *arguments], 60)
    require(code in (None, done.returncode), f"{arguments}: exit code {done.returncode}, not {code}: "
            f"{done.stdout}{done.stderr}")
    return done.stdout


def ask(t, name, *arguments):
    """The answer as objects, without its frame."""
    said = ctl(t, name, *arguments, "--json", code=None)
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")][1:-1]


@needs("kafka")
def test_members_say_what_they_have(t):
    nginx, topic = t.nginx(), t.topic(PARTITIONS)
    some = group.Members(t, ("a", "b"), topic, group.sites_on(nginx, 24, PARTITIONS))
    some.start()
    some.wait_shared("a", "b")

    def settled():
        found = [ask(t, name, "status")[0] for name in ("a", "b")]
        known = all(s["shards"] + s["elsewhere"] // 2 == 12 and s["not_known"] == 0 for s in found)
        return known and sum(s["shards"] for s in found) == 12 and found

    a, b = procs.wait_for(settled, 60, "each knows its own sites")
    require(a["group"] == some.group and a["shards_total"] == 12 and a["alone"] is False, a)
    require(0 < a["lease_s"] <= group.SESSION_S and b["takeovers"] >= b["shards"], f"{a} {b}")
    require(a["up"] == 2 * a["shards"] and a["up"] + b["up"] == 24, f"{a} {b}")
    by_name = [{s["site"]: s for s in ask(t, name, "sites")} for name in ("a", "b")]
    for name in by_name[0]:
        here, there = (sites[name] for sites in by_name)
        require(here["elsewhere"] is not there["elsewhere"], f"{here} {there}")
        require(there["status"] == (None if there["elsewhere"] else "up"), there)
    away = next(name for name, s in by_name[0].items() if s["elsewhere"])
    require("group      " in ctl(t, "a", "status"), "no line of the group")
    require("another member of the group checks it" in ctl(t, "a", "site", away), away)
    require("another member" in ctl(t, "a", "check", away, code=UNKNOWN), away)
    ctl(t, "b", "check", away)
    said = ctl(t, "a", "metrics")
    require(f"webmond_group_shards {a['shards']}\n" in said and f'site="{away}"' not in said, said)
    for name in ("a", "b"):
        some.cut_off(name, "Kafka away")
    t.kafka().kill()
    procs.wait_for(lambda: ask(t, "a", "status")[0]["alone"], 60, "it is not alone")
    require("alone" in ctl(t, "a", "status", code=None), "it does not say so")
    t.kafka()
    procs.wait_for(lambda: ask(t, "a", "status")[0]["alone"] is False, 60, "it stays alone")
    some.finish()


@needs("kafka")
def test_a_shard_is_given_while_checks_hang(t):
    """What still runs of it is ended, so that the next owner's verdict is the only one."""
    slow, topic = t.slow(), t.topic(PARTITIONS)

    def hanging(_):
        return [site(name, slow.url(f"hang/{name}"), 6, 6)
                for name in group.spread(12, PARTITIONS, "hang")]

    # a checker for each site: whenever b comes, some checks have more to run than a gives them
    some = group.Members(t, ("a", "b"), topic, hanging, workers={"max": 16})
    some.start("a")
    some.wait_owned(by=("a",))
    some.start("b")
    some.wait_shared("a", "b")
    some.stop()
    verdict = some.judge()
    t.note(verdict)
    ended = [r for r in verdict.summary.firsts if r.error_type == "aborted" and r.instance == "a" and
             "gave the shard away" in r.error_message]
    require(ended, f"no check was ended: {verdict}")
    require(verdict.twice == 0, f"a slot has two records: {verdict}")
