# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Whose fault it is that a name does not resolve: the site's, that of its name servers, or ours.
# webmond runs where nobody but it sees the resolv.conf, and where that is wanted without a network.

import random
import re
import shutil
import socket
import struct
import threading

from harness import Skip, needs, procs, records, require
from harness.daemon import binary
from harness.sites import site

NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
A, CNAME, AAAA = 1, 5, 28
LOOPBACK = {A: bytes([127, 0, 0, 1])}
ALIAS = {CNAME: b"\xc0\x0c"}


class NameServer:
    """
    A name server on loopback, from the constructor to stop(). `answer`: from the name that is asked
    for to an rcode, or None for silence, and records of the name.
    """

    def __init__(self, answer):
        self.answer = answer
        # port 53 cannot be chosen, so it is an address that nobody else has
        self.address = f"127.53.{random.randrange(256)}.{random.randrange(1, 255)}"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                query, client = self.socket.recvfrom(512)
            except OSError:
                return
            response = self._respond(query)
            if response is not None:
                self.socket.sendto(response, client)

    def _respond(self, query):
        labels, at = [], 12
        while query[at] > 0:
            labels.append(query[at + 1:at + 1 + query[at]].decode("ascii"))
            at += 1 + query[at]
        rcode, found = self.answer(".".join(labels))
        if rcode is None:
            return None
        kind, = struct.unpack_from(">H", query, at + 1)
        found = {k: v for k, v in found.items() if k in (kind, CNAME)}
        answers = b"".join(struct.pack(">HHHIH", 0xC00C, k, 1, 60, len(v)) + v
                           for k, v in found.items())
        return (query[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, len(found), 0, 0) +
                query[12:at + 5] + answers)

    def stop(self):
        self.socket.close()


def root_and(answer):
    """A resolver that works: it knows the root's name servers."""
    return lambda name: (NOERROR, {}) if name == "" else answer(name)


def check(t, sites, resolv_conf, network=True):
    """One check of each site, by its name, where this is the resolv.conf."""
    if shutil.which("ip") is None:
        raise Skip("there is no ip (Debian: iproute2)")
    prepare = 'mount --bind "$0" /etc/resolv.conf && '
    prepare += 'exec "$@"' if network else 'ip link set lo up && exec "$@"'
    prefix = ["unshare", "-m" if network else "-mn", "sh", "-c", prepare]
    if procs.run([*prefix, t.write("resolv.conf", resolv_conf), "true"]).returncode != 0:
        raise Skip("namespaces are not allowed")
    file = t.daemon(t.settings(sites, workers={"min": 1, "max": 16})).file
    done = procs.run([*prefix, t.path("resolv.conf"), binary(), "--once", "--stdout", "-c", file])
    require(done.returncode in (0, 1), f"exit code {done.returncode}: {done.stderr}")
    found = records.from_lines(done.stdout)
    records.check(found, at_least=len(sites), envelopes=False)
    return {r.site: r for r in found}


def compare(found, expected):
    wrong = [f"{name}: {r.status} {r.error_type}: {r.error_message}"
             for name, (status, word, says) in expected.items() for r in [found[name]]
             if (r.status, r.error_type) != (status, word)
             or not re.search(says, r.error_message or "")]
    require(not wrong, "\n  ".join(["", *wrong]))


# with a resolver that works: what it says of a name, and what that makes of the site
NAMES = {
    "good": (NOERROR, LOOPBACK, ("up", None, "")),
    "missing": (NXDOMAIN, {}, ("down", "dns", "no such name: missing.test")),
    "empty": (NOERROR, {}, ("down", "dns", "empty.test has no address")),
    "alias": (NOERROR, ALIAS, ("down", "dns", "alias.test has no address")),
    "old": (NOERROR, LOOPBACK, ("down", "dns", "old.test has no IPv6 address")),
    "failing": (SERVFAIL, {}, ("down", "dns", "name servers of failing.test do not answer")),
    "silent": (None, {}, ("down", "timeout", "looking up the name: the name servers of silent")),
    "barred": (REFUSED, {}, ("unknown", "local", "refuses")),
}


@needs("root")
def test_the_resolver_works(t):
    slow = t.slow()
    server = NameServer(root_and(lambda name: NAMES.get(name.partition(".")[0], (NXDOMAIN, {}))[:2]))
    sites = [site(name, f"http://{name}.test:{slow.port}/", 60, 2 if name == "silent" else 20,
                  ip_version="6" if name == "old" else "any") for name in NAMES]
    try:
        found = check(t, sites, f"nameserver {server.address}\n")
    finally:
        server.stop()
    compare(found, {name: case[2] for name, case in NAMES.items()})
    require(found["silent"].dns_ms >= 1990, f"dns_ms is {found['silent'].dns_ms}")
    # the second look is not part of the check
    require(found["silent"].elapsed_ms < 2900, f"elapsed_ms is {found['silent'].elapsed_ms}")


@needs("root")
def test_the_resolver_answers_for_another_site(t):
    """It knows no root; the other sites are asked for, which other checkers may have."""
    server = NameServer(lambda name: (NOERROR, LOOPBACK) if name == "good.test" else (SERVFAIL, {}))
    slow = t.slow()
    sites = [site("good", f"http://good.test:{slow.port}/", 60, 20),
             site("by-address", f"http://127.0.0.1:{slow.port}/", 60, 20),
             site("failing", "http://failing.test/", 60, 20),
             site("the-same", "http://failing.test/again", 60, 20)]
    try:
        found = check(t, sites, f"nameserver {server.address}\n")
    finally:
        server.stop()
    says = "name servers of failing.test do not answer"
    compare(found, {"good": ("up", None, ""), "by-address": ("up", None, ""),
                    "failing": ("down", "dns", says), "the-same": ("down", "dns", says)})


def broken(says, answer=None, network=True, timeout=20, resolv_conf=None):
    """All names are `local`; by address sites are checked, if there is a network."""
    def test(t):
        slow = t.slow()
        server = NameServer(answer) if answer is not None else None
        lines = f"nameserver {server.address}\n" if server else resolv_conf
        sites = [site("by-address", f"http://127.0.0.1:{slow.port}/" if network else
                      "http://192.0.2.77/", 60, 20),
                 site("by-name", "http://www.site.test/", 60, timeout),
                 site("other-name", "http://other.test/", 60, timeout)]
        try:
            found = check(t, sites, lines, network)
        finally:
            if server:
                server.stop()
        compare(found, {
            "by-address": ("up", None, "") if network else ("unknown", "local", "unreachable"),
            "by-name": ("unknown", "local", says), "other-name": ("unknown", "local", says)})
    return needs("root")(test)


test_no_network = broken(r"cannot be reached: 192\.0\.2\.53 \(Network is unreachable\)",
                         network=False, resolv_conf="nameserver 192.0.2.53\n")
test_no_resolver = broken(r"cannot be reached: 127\.0\.0\.1 \(Connection refused\)",
                          network=False, resolv_conf="")
test_nobody_listens = broken(r"cannot be reached: 127\.53\.0\.0 \(Connection refused\)",
                             resolv_conf="nameserver 127.53.0.0\n")
test_silent_resolver = broken("does not answer", lambda name: (None, {}), timeout=1)
test_resolver_fails = broken("fails for every name", lambda name: (SERVFAIL, {}))
test_resolver_refuses = broken("refuses to look up", lambda name: (REFUSED, {}))
