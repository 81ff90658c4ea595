# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# What servers can do wrong, and the word for it: the table of hostile.py, line by line.

import os
import re
import signal
import time

import hostile
from harness import Skip, needs, procs, records, require
from harness.clock import Clock
from harness.daemon import binary
from harness.sites import site

# of any process of webmond, with bodies of 8 MiB and more all around
MEMORY_MAX_KB = 64 * 1024


def once(t, settings, prefix=(), names=(), env=None):
    """
    The records of one check of each site, or of those that are named, and the largest process that
    took part, in KiB.
    """
    file = t.daemon(settings).file
    with open(t.path("records"), "w+b") as out, open(t.path("log"), "w+b") as err:
        process = procs.spawn([*prefix, binary(), "--once", "--stdout", "-c", file, *names],
                              stdout=out, stderr=err, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        require(process.returncode in (0, 1), f"exit code {process.returncode}: {err.read()}")
        return records.from_lines(out.read().decode("utf-8")), usage.ru_maxrss


def test_the_right_word(t):
    server = hostile.Server(t.directory)
    settings = t.settings(server.sites(), workers={"min": 4, "max": 32})
    try:
        found, memory_kb = once(t, settings)
        t.note(records.check(found, at_least=len(hostile.CASES), envelopes=False))
        by_name = {r.site: r for r in found}
        for _ in range(3):
            # who was not let run has seen nothing, and rightly says so
            starved = [r.site for r in found if records.not_let_run(r)]
            if not starved:
                break
            found, _ = once(t, settings, names=starved)
            by_name.update((r.site, r) for r in found)
    finally:
        server.stop()
    wrong = []
    for case in hostile.CASES:
        r = by_name[case.name]
        wrong += [f"{case.name}: {w} ({r.error_type}: {r.error_message})"
                  for w in hostile.wrong_with(case.expected, r.data) + always(r)]
    require(not wrong, "\n  ".join([f"{len(wrong)} fields are wrong", *wrong]))
    t.note(f"the largest process took {memory_kb} KiB")
    require(memory_kb < MEMORY_MAX_KB, f"a process took {memory_kb} KiB")


def is_over(date):
    return date is not None and records.milliseconds(date) < time.time() * 1000


# The same servers when the system trusts their authority.
TRUSTED = {
    "tls-unknown-authority": hostile.up(
        tls_version="TLSv1.3", cert_expires_at=hostile.KNOWN, chain_expires_at=hostile.KNOWN),
    "tls-1.2": hostile.up(tls_version="TLSv1.2", cert_expires_at=hostile.KNOWN),
    "tls-expired": hostile.down(
        "tls", "^certificate has expired: the site's certificate, CN=tls-expired, on 20..-..-..$",
        tls_version="TLSv1.3", cert_expires_at=is_over),
    "tls-intermediate-expired": hostile.down(
        "tls", "^certificate has expired: an intermediate, CN=intermediate, on 20..-..-..$",
        tls_version="TLSv1.3", cert_expires_at=lambda at: not is_over(at),
        chain_expires_at=is_over, cert_issuer="CN=intermediate"),
    "tls-intermediate-ends": hostile.judged(
        "cert_expiring", "^an intermediate, CN=intermediate, ends on 20..-..-.., in [45] days, "
        "want at least 10$", cert_expires_at=hostile.KNOWN, chain_expires_at=hostile.KNOWN,
        cert_issuer="CN=intermediate"),
    "tls-no-alternative-name": hostile.down(
        "tls", "^no host in subjectAltName.*: the site's certificate, CN=[^,]*, "
        "valid until 20..-..-..$", cert_expires_at=hostile.KNOWN),
    "tls-wrong-host": hostile.down(
        "tls", "host name.*: the site's certificate, CN=[^,]*, valid until 20..-..-..$",
        tls_version="TLSv1.3", cert_expires_at=hostile.KNOWN),
    "tls-server-name": hostile.up(tls_version="TLSv1.3", cert_expires_at=hostile.KNOWN),
    "tls-server-name-ends": hostile.up(redirects=1),
    "tls-server-name-of-another": hostile.down(
        "tls", "^not for the host name other.example: the site's certificate, CN=[^,]*, valid"),
    "tls-self-signed": hostile.down("tls", "^self-signed certificate: the site's"),
    # what its handshake shows is not of the site
    "proxy-tls-tunnel": hostile.up(tls_ms=hostile.KNOWN, tls_version="TLSv1.3",
                                   cert_expires_at=hostile.KNOWN),
    "proxy-untrusted": hostile.judged("http_status", code=404, tls_ms=None, tls_version=None,
                                      cert_expires_at=None),
    "tls-client-certificate": hostile.down("tls", "certificate"),
    "redirect-to-bad-tls": hostile.up(redirects=1),
}


def once_trusted(t, expected, **options):
    """As once(), with those servers whose authority the system trusts."""
    if procs.run(["unshare", "-m", "true"]).returncode != 0:
        raise Skip("mount namespaces are not allowed")
    bundle = next(filter(os.path.exists, hostile.CA_BUNDLES), None)
    if bundle is None:
        raise Skip("the system trusts nobody")
    server = hostile.Server(t.directory)
    with open(t.path("hostile-ca.pem"), encoding="ascii") as f:
        t.write("bundle.pem", f.read())
    trust = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"',
             t.path("bundle.pem"), bundle]
    sites = [{**s, "verify_tls": True} for s in server.sites() if s["name"] in expected]
    try:
        found, _ = once(t, t.settings(sites), trust, **options)
    finally:
        server.stop()
    wrong = [f"{r.site}: {w} ({r.error_type}: {r.error_message})"
             for r in found for w in hostile.wrong_with(expected[r.site], r.data)]
    require(not wrong and len(found) == len(expected), "\n  ".join(["", *wrong]))


@needs("root")
def test_certificates_of_a_trusted_authority(t):
    once_trusted(t, TRUSTED)


# At the beginning of 1976, as clocks are that have lost their battery: every certificate is of the
# future. What is not a matter of time is the site's fault all the same.
WITHOUT_A_CLOCK = {
    name: {**hostile.down("local", "^the clock of this host is wrong: it says 1976-01-0., .*"
                          "certificate is not yet valid"), "status": "unknown"}
    for name in ("tls-unknown-authority", "tls-expired", "tls-1.2")}
WITHOUT_A_CLOCK["tls-self-signed"] = hostile.down("tls", "self-signed")


@needs("root")
def test_the_own_clock_is_wrong(t):
    clock = Clock(t)
    clock.set(6 * 365 * 86400 + 86400 - time.time())
    once_trusted(t, WITHOUT_A_CLOCK, env=clock.environment)


def always(r):
    """What is true of every check, whatever the server did."""
    wrong = []
    literal = re.match(r"https?://(127\.0\.0\.1|\[)", r.url)
    if literal and r.redirects == 0 and r.dns_ms != 0:
        wrong.append(f"dns_ms is {r.dns_ms} for an address")
    if (r.tls_ms is None) != (not r.url.startswith("https:")
                              and not (r.final_url or "").startswith("https:")):
        wrong.append(f"tls_ms is {r.tls_ms}")
    if "secret-word" in r.payload:
        wrong.append("a secret is in the record")
    if (r.body_bytes is None) != (r.http_status_code is None):
        wrong.append(f"body_bytes is {r.body_bytes} with status {r.http_status_code}")
    return wrong


def test_certificates_of_a_kept_connection(t):
    """They come once, and are in each record all the same; with the days that are asked for."""
    nginx = t.nginx()
    keys = {"verify_tls": False, "keepalive": True}
    sites = [site("kept", nginx.tls_url("ok/kept"), 1, **keys),
             site("kept-days", nginx.tls_url("ok/days"), 1, cert_min_days=1000, **keys)]
    d = t.daemon(t.settings(sites, workers={"min": 1, "max": 1})).start("--stdout", wait=False)

    def found():
        return records.from_lines("".join(
            s + "\n" for s in d.log().splitlines() if s.startswith("{") and s.endswith("}")))

    procs.wait_for(lambda: {r.site for r in found() if r.connection_reused} == {"kept", "kept-days"},
                   60, "no connection is kept")
    d.signal(signal.SIGTERM)
    d.wait_end()
    known = [r for r in found() if r.http_status_code is not None]
    require(len({(r.cert_sha256, r.cert_issuer, r.cert_expires_at, r.chain_expires_at)
                 for r in known}) == 1 and known[0].cert_sha256 is not None,
            "the certificate changes, or is not known")
    for r in known:
        require(r.status == "up" if r.site == "kept" else
                (r.error_type == "cert_expiring" and re.match(
                    "the site's certificate, CN=.*, ends on .*, in [0-9]+ days, want at least 1000$",
                    r.error_message)), f"{r}: {r.error_message}")
