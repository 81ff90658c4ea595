# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The spool at its limits: full, damaged, not what it should be.

import glob
import os
import shutil

from harness import context, needs, procs, require
from harness.sites import site


@needs("kafka")
def test_cap(t):
    """With the broker away for too long the oldest are given up, and a record says which."""
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(200), topic, spool={"max_mb": 1})).start()
    topic.wait(bool, 20, "nothing arrives")
    t.kafka().kill()
    d.wait_log("records were dropped", 60)
    nginx.wait_asked(600)  # which do not fit in, either
    size = os.path.getsize(t.path("spool", "spool.db"))
    t.kafka()
    last = max(r.seq for r in topic.records())
    topic.wait(lambda found: max(r.seq for r in found) > last + 1000, 40, "nothing new arrives")
    d.stop()
    summary = topic.check(at_least=800)
    t.note(f"{summary}; spool.db had {size} bytes")
    require(summary.words["dropped"] >= 1, str(summary))
    require(summary.epochs == 1, f"{summary.epochs} epochs")
    require(size < 3 << 20, f"spool.db has {size} bytes")
    given_up = [r for r in summary.firsts if r.error_type == "dropped"]
    require(all(r.status == "unknown" and r.started_at is None for r in given_up), given_up)


def _spoil(t, how):
    database = t.path("spool", "spool.db")
    if how == "garbage":
        with open(database, "r+b") as f:
            f.write(os.urandom(8192))
    elif how == "damaged page":
        with open(database, "r+b") as f:
            f.seek(4096)
            f.write(b"\xff" * (os.path.getsize(database) - 4096))
    elif how == "cut off":
        os.truncate(database, os.path.getsize(database) // 2 + 100)
    elif how == "another program's":
        os.unlink(database)
        with open(database, "wb") as f:
            f.write(b"this is a text, and not a short one\n" * 200)
    elif how == "empty":
        os.truncate(database, 0)
    elif how == "directory":
        os.unlink(database)
        os.mkdir(database)
    for path in glob.glob(database + "-*"):
        os.unlink(path)
    if context.ROOT:
        for path in glob.glob(database + "*"):
            shutil.chown(path, context.USER)


@needs("kafka")
def test_damaged_spool_is_set_aside(t):
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(20), topic))
    # something has to be in it: start with Kafka away
    good = d.settings["kafka"]
    for how in ("garbage", "damaged page", "cut off", "another program's", "empty", "directory"):
        away = {"topic": topic.name,
                "properties": [f"bootstrap.servers=127.0.0.1:{t.refused().port}"]}
        d.write_config({**d.settings, "kafka": away})
        d.start()
        nginx.wait_asked(30)
        d.kill()
        before = set(os.listdir(t.path("spool")))
        _spoil(t, how)
        mark = d.log_size()
        d.write_config({**d.settings, "kafka": good})
        d.start()
        epoch = d.epoch
        if how != "empty":  # an empty file is as good as none
            d.wait_log("set aside", 5, mark)
            kept = [name for name in set(os.listdir(t.path("spool"))) - before
                    if "corrupt" in name]
            require(kept, f"{how}: nothing was kept: {os.listdir(t.path('spool'))}")
        topic.wait(lambda found: sum(r.epoch >= epoch for r in found) > 20, 20,
                   f"{how}: nothing arrives afterwards")
        d.stop()
    t.note(topic.check(at_least=100))


@needs("kafka")
def test_link_is_not_followed(t):
    topic = t.topic()
    d = t.daemon(t.settings([site("one", t.refused().url())], topic))
    victim = t.write("victim", "keep me\n")
    os.chmod(victim, 0o666)
    os.symlink(victim, t.path("spool", "spool.db"))
    d.start()
    topic.wait(lambda found: found, 20, "nothing arrives")
    d.stop()
    with open(victim, encoding="ascii") as f:
        require(f.read() == "keep me\n", "a file behind a link was written")


@needs("kafka")
def test_spool_away_and_back(t):
    """
    As a file system that is unmounted and mounted again: another epoch begins, what waited in the
    spool is delivered, and a check that ran meanwhile has one record.
    """
    nginx, slow, topic, proxy = t.nginx(), t.slow(), t.topic(), t.proxy()
    sites = [*nginx.many(20), *(site(f"slow-{n}", slow.url(f"delay/{1000 + 100 * n}/{n}"), 4, 4)
                                    for n in range(20))]
    d = t.daemon(t.settings(sites, topic, f"127.0.0.1:{proxy.port}",
                            workers={"min": 20, "max": 30})).start()
    topic.wait(lambda found: len(found) > 40, 20, "nothing arrives")
    proxy.down()
    before = d.epoch
    nginx.wait_asked(40)
    mark = d.log_size()
    os.rename(t.path("spool"), t.path("away"))
    d.wait_log("removed or replaced", 20, mark)
    os.rename(t.path("away"), t.path("spool"))
    d.wait_log("a new epoch begins", 20, mark)
    proxy.up()
    topic.wait(lambda found: any(r.epoch > before for r in found), 60, "nothing new arrives")
    topic.wait_new(60)
    d.stop()
    summary = topic.check(at_least=60)
    t.note(summary)
    require(summary.epochs == 2, f"{summary.epochs} epochs")
    require(not glob.glob(t.path("spool", "*corrupt*")), "a spool that is well was set aside")


@needs("kafka")
def test_directory_that_may_not_be_entered(t):
    """By a slip of chmod(1): what is open already goes on, and a successor waits."""
    topic = t.topic()
    d = t.daemon(t.settings(t.nginx().many(20), topic)).start()
    topic.wait_new()
    os.chmod(t.path("spool"), 0)
    topic.wait_new()
    mark = d.log_size()
    procs.kill(d.publisher())
    d.wait_log("Permission denied", 20, mark)
    os.chmod(t.path("spool"), 0o750)
    topic.wait_new(60)
    d.stop()
    summary = topic.check(at_least=10, every_slot=True)
    require(summary.epochs == 1, f"{summary.epochs} epochs")


@needs("kafka")
def test_spool_is_empty_and_small_afterwards(t):
    """After an outage everything is delivered, deleted, and the room is given back."""
    nginx, topic = t.nginx(), t.topic()
    t.kafka().kill()
    d = t.daemon(t.settings(nginx.many(200), topic)).start()
    nginx.wait_asked(1500)
    t.kafka()
    topic.wait(lambda found: len(found) > 2000, 40, "the backlog does not arrive")
    topic.wait_for_all()
    d.stop()
    t.note(topic.check(at_least=2000))
    size = os.path.getsize(t.path("spool", "spool.db"))
    require("records wait in the spool" not in d.log(), "something was left")
    require(size < 6 << 20, f"spool.db has {size} bytes")
    mode = os.stat(t.path("spool", "spool.db")).st_mode & 0o777
    require(mode & 0o007 == 0, f"spool.db has mode {mode:o}")
