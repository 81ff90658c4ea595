# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Before a site is `down`: further attempts, and a look at the references of `vantage`.

import signal

from harness import Skip, needs, procs, records, require
from harness.daemon import binary
from harness.sites import site


def check(t, sites, prefix=(), **settings):
    """One check of each site, behind a command `prefix`; the records by the names of the sites."""
    file = t.daemon(t.settings(sites, workers={"min": 1, "max": 16}, **settings)).file
    done = procs.run([*prefix, binary(), "--once", "--stdout", "-c", file])
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


def doubted(t, moody, refused):
    """Sites, and what they are when no reference answers; `connect` and its like are doubted."""
    def made(name, url, timeout=20, **keys):
        return site(name, url, 600, timeout, **keys)
    return [made("good", moody.url("200/good")), made("status", moody.url("500/status")),
            made("tls", moody.url("200/tls").replace("http:", "https:")),
            made("connect", refused.url()), made("timeout", moody.url("hang/timeout"), 1),
            made("repeated", refused.url(), retries=2, retry_delay=0)]


def test_no_reference_answers(t):
    moody, refused = t.moody(), t.refused()
    # one is not what it says it is
    vantage = {"reference": [refused.url(), t.nginx().tls_url("ok/x")], "timeout": 10}
    found = check(t, doubted(t, moody, refused), vantage=vantage)
    compare(found, {"good": ("up", None, None, None),
                    "status": ("down", "http_status", None, None),
                    "tls": ("down", "tls", None, None),
                    "connect": ("unknown", "vantage", None, None),
                    "timeout": ("unknown", "vantage", None, None),
                    "repeated": ("unknown", "vantage", 3, "connect")})
    for name, says in (("connect", "the check said connect: Failed to connect to "),
                       ("timeout", "the check said timeout: timed out after 1 s while waiting")):
        require("none of the references answered" in found[name].error_message and
                says in found[name].error_message and
                "; a reference was refused: " in found[name].error_message,
                found[name].error_message)
    require(found["timeout"].elapsed_ms >= 990 and found["timeout"].remote_ip == "127.0.0.1",
            "the other fields are not those of the check")


def test_a_reference_answers(t):
    moody, refused = t.moody(), t.refused()
    vantage = {"reference": [refused.url(), moody.url("503/reference")], "timeout": 30}
    found = check(t, doubted(t, moody, refused), vantage=vantage)
    compare(found, {"good": ("up", None, None, None),
                    "connect": ("down", "connect", None, None),
                    "timeout": ("down", "timeout", None, None),
                    "repeated": ("down", "connect", 3, "connect")})
    require("references" not in found["connect"].error_message, found["connect"].error_message)
    require(1 <= moody.hits["reference"] <= 3, f"asked {moody.hits['reference']} times")


@needs("root")
def test_the_line_is_dead(t):
    """Packets go out, and nothing comes back."""
    wire = ("ip link set lo up && ip link add line0 type veth peer name line1 && "
            "ip link set line0 up && ip link set line1 up && ip addr add 192.0.2.1/24 dev line0 && "
            "ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev line0 && exec \"$@\"")
    prefix = ["unshare", "-n", "sh", "-c", wire, "sh"]
    if procs.run([*prefix, "true"]).returncode != 0:
        raise Skip("no namespace, or no network device in it")
    sites = [site("a", "https://192.0.2.2/", 600, 2, retries=1, retry_delay=0)]
    vantage = {"reference": ["https://192.0.2.2/x", "https://one.example/"], "timeout": 2}
    found = check(t, sites, prefix, vantage=vantage)
    compare(found, {"a": ("unknown", "vantage", 2, "timeout")})
    require("timed out after 2 s while connecting" in found["a"].error_message,
            found["a"].error_message)


def test_a_stop_ends_the_question(t):
    moody = t.moody()
    settings = t.settings([site("a", t.refused().url(), 600, 20)],
                          vantage={"reference": moody.url("hang/reference"), "timeout": 30})
    d = t.daemon(settings).start("--stdout", "--once", wait=False)
    procs.wait_for(lambda: moody.hits["reference"] > 0, 60, "the reference is not asked")
    d.signal(signal.SIGTERM)
    d.wait_end()
    found = records.from_lines("".join(s + "\n" for s in d.log().splitlines() if s.startswith("{")))
    compare({"a": found[0]}, {"a": ("unknown", "aborted", None, None)})


def test_a_reload_changes_the_references(t):
    moody, refused = t.moody(), t.refused()
    sites = [site("a", refused.url())]

    def settings(reference):
        more = {"vantage": {"reference": reference}} if reference else {}
        return t.settings(sites, **more)
    d = t.daemon(settings(None)).start("--stdout")
    d.wait_log('"error_type":"connect"', 60)
    for reference, word in ((refused.url(), "vantage"), (moody.url("200/reference"), "connect")):
        mark = d.log_size()
        d.reload(settings(reference))
        d.wait_log(f'"error_type":"{word}"', 60, mark)
    require(moody.hits["reference"] > 0, "the new reference is not asked")
    d.stop()
