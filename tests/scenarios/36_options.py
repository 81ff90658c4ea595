# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The keys of a site, together: in the examples of the documents, and on kept connections.

import os
import pwd
import re
import ssl

from harness import certs, context, procs, records, require
from harness.daemon import binary
from harness.sites import site

# what the examples of etc/migrate.md read
SECRETS = ("orders.headers", "intranet.password", "search.password", "tickets.token")


def test_examples_for_users_of_other_programs(t):
    """What etc/migrate.md gives as examples is good, for a user without rights."""
    certs.authority(t.path("ca.pem"), t.path("ca.key"), "authority of the examples")
    certs.signed(t.path("ca.pem"), t.path("ca.key"), t.path("client.pem"), t.path("client.key"),
                 "client of the examples")
    t.protect(t.path("client.key"))
    for name in SECRETS:
        t.write(name, "X-Api-Key: not-told\n", secret=True)
    with open(os.path.join(records.ROOT, "etc", "migrate.md"), encoding="utf-8") as f:
        blocks = re.findall(r"^```(\w*)\n(.*?)^```$", f.read(), re.M | re.S)
    examples = [text for language, text in blocks if not language]
    require(len(examples) == 5, f"{len(examples)} examples, not 5")
    user = pwd.getpwnam(context.USER)
    become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    for text in examples:
        file = t.write("webmond.conf", text)
        done = procs.run([*(become if context.ROOT else []), binary(), "-t", "--once", "-c", file])
        require(done.returncode == 0 and not done.stderr, f"{text}\n{done.stderr}")


# Sites of one server, which has TLS 1.2: their keys, the word for what they get, and what the server
# sees of them. None of them may use a connection that one of another kind has left.
PLAIN = "^certificate None, asked for None, HTTP/1.1, authorization None$"
MINE = {"ca_file": "ca.pem"}
SECRET = {"username": "u", "password_file": "password"}
KINDS = {
    "plain": (MINE, None, PLAIN),
    "plain-again": (MINE, None, PLAIN),
    "first": ({**MINE, "client_cert": "first.pem", "client_key": "first.key"}, None,
              "^certificate first,"),
    "second": ({**MINE, "client_cert": "second.pem", "client_key": "second.key"}, None,
               "^certificate second,"),
    "unverified": ({"verify_tls": False}, None, PLAIN),
    "other-authority": ({"ca_file": "other.pem"}, "tls", None),
    "authority-of-the-system": ({}, "tls", None),
    "named": ({**MINE, "server_name": "localhost"}, None, "asked for localhost,"),
    "named-otherwise": ({**MINE, "server_name": "elsewhere.test"}, "tls", None),
    "newest-tls": ({**MINE, "tls_min_version": "1.3"}, "tls", None),
    "elsewhere": ({**MINE, "resolve": "127.9.9.9"}, "connect", None),
    "behind-a-proxy": ({**MINE, "proxy": "http://127.9.9.9:9"}, "local", None),
    "basic": ({**MINE, "auth": "basic", **SECRET}, None, "authorization Basic dTpw$"),
    "digest": ({**MINE, "auth": "digest", **SECRET}, None, "authorization None$"),
    "old-http": ({**MINE, "http_version": "1.0"}, None, "HTTP/1.0,"),
}


def test_kept_connections_of_one_kind(t):
    """With one checker and kept connections each site gets one that fits its keys."""
    for name in ("ca", "other"):
        certs.authority(t.path(f"{name}.pem"), t.path(f"{name}.key"), name)
    for name in ("site", "first", "second"):
        certs.signed(t.path("ca.pem"), t.path("ca.key"), t.path(f"{name}.pem"),
                     t.path(f"{name}.key"), name)
        t.protect(t.path(f"{name}.key"))
    t.write("password", "p\n", secret=True)
    server = t.guarded(cert=t.path("site.pem"), key=t.path("site.key"), clients=t.path("ca.pem"),
                       strict=False)
    server.server.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    for names in (list(KINDS), list(reversed(KINDS))):
        d = t.daemon(t.settings(
            [site(name, server.url("/who"), interval=20, timeout=20, keepalive=True,
                  body_regex=KINDS[name][2] or ".", **KINDS[name][0]) for name in names],
            workers={"min": 1, "max": 1}))
        done = t.webmond("--once", "--stdout", "-c", d.file)
        found = {r.site: r for r in records.from_lines(done.stdout)}
        require(len(found) == len(KINDS), done.stderr)
        wrong = [f"{r}: {r.error_message}" for r in found.values()
                 if r.error_type != KINDS[r.site][1]]
        require(not wrong, "\n  ".join(["", *wrong]))
        require(any(r.data["connection_reused"] for r in found.values()),
                "no connection was used again")
