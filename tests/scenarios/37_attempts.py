# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Before a site is `down`: further attempts.

import signal

from harness import procs, records, require
from harness.daemon import binary
from harness.sites import site


def check(t, sites, **settings):
    """One check of each site; the records by the names of the sites."""
    file = t.daemon(t.settings(sites, workers={"min": 1, "max": 16}, **settings)).file
    done = procs.run([binary(), "--once", "--stdout", "-c", file])
    require(done.returncode in (0, 1), f"exit code {done.returncode}: {done.stderr}")
    found = records.from_lines(done.stdout)
    records.check(found, at_least=len(sites), envelopes=False)
    return {r.site: r for r in found}


def compare(found, expected):
    """`expected`: status, error_type, attempts and first_error_type of each site."""
    wrong = [f"{r}: {r.attempts} attempts, first {r.first_error_type}: {r.error_message}"
             for name, what in expected.items() for r in [found[name]]
             if (r.status, r.error_type, r.attempts, r.first_error_type) != what]
    require(not wrong, "\n  ".join(["", *wrong]))


# the answers, keys of the site, and what is found
ATTEMPTS = {
    "without": ("500,200", {}, ("down", "http_status", None, None)),
    "first": ("200,500", {"retries": 2}, ("up", None, 1, None)),
    "third": ("500,404,200", {"retries": 2}, ("up", None, 3, "http_status")),
    "none": ("500", {"retries": 2}, ("down", "http_status", 3, "http_status")),
    "most": ("500", {"retries": 5}, ("down", "http_status", 6, "http_status")),
    "other": ("hang,500", {"retries": 1, "timeout": 2}, ("down", "http_status", 2, "timeout")),
    # nothing is known of the site, so it is not asked again
    "unknown": ("200", {"retries": 2, "body_regex": "(?:a+)+$"}, ("unknown", "regex_limit", 1, None)),
}


def test_attempts(t):
    moody, refused = t.moody(), t.refused()
    sites = [site(name, moody.url(f"{answers}/{name}"), 600,
                  **{"timeout": 20, "retry_delay": 0.1, **keys} if keys else {"timeout": 20})
             for name, (answers, keys, _) in ATTEMPTS.items()]
    sites.append(site("refused", refused.url(), 600, 20, retries=1))
    found = check(t, sites)
    compare(found, {name: what for name, (_, _, what) in ATTEMPTS.items()})
    compare(found, {"refused": ("down", "connect", 2, "connect")})
    for name, (_, _, (_, _, attempts, _)) in ATTEMPTS.items():
        require(moody.hits[name] == (attempts or 1), f"{name}: {moody.hits[name]} requests")
    require(found["third"].http_status_code == 200, "the record is not that of the last attempt")


def test_a_stop_ends_the_pause(t):
    moody = t.moody()
    sites = [site("a", moody.url("500/a"), 600, 20, retries=1, retry_delay=60)]
    d = t.daemon(t.settings(sites)).start("--stdout", "--once", wait=False)
    procs.wait_for(lambda: moody.hits["a"] > 0, 60, "the site is not checked")
    d.signal(signal.SIGTERM)
    d.wait_end()
    found = records.from_lines("".join(s + "\n" for s in d.log().splitlines() if s.startswith("{")))
    require(len(found) == 1, f"{len(found)} records")
    compare({"a": found[0]}, {"a": ("unknown", "aborted", 2, "http_status")})
    require(moody.hits["a"] == 1, "it was asked again")
