# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Processes die: killed at random moments under load.

import time

from harness import fault, needs, procs, require


def loaded(t):
    """A daemon under two hundred checks a second; returns it with its topic."""
    topic = t.topic()
    d = t.daemon(t.settings(t.nginx().many(200), topic, workers={"min": 4, "max": 16}))
    return d.start(), topic


@fault("1", "publisher killed (-9) at random moments", "nothing is lost")
@needs("kafka")
def test_publisher_killed(t):
    d, topic = loaded(t)
    slowest = 0
    for _ in range(t.times(200, 10)):
        time.sleep(0.1 + t.random.random() * 0.4)
        old = d.publisher()
        procs.kill(old)
        begin = time.monotonic()
        procs.wait_for(lambda: d.roles().get("publisher") not in (None, old), 10,
                       "there is no new publisher", 0.01)
        slowest = max(slowest, time.monotonic() - begin)
    d.stop()
    summary = topic.check(at_least=150)
    require(summary.epochs == 1, f"{summary.epochs} epochs")
    t.report(summary, recovery_s=slowest)
