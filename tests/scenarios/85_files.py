# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# What sites read from files: who we are, what we trust and send; and where none of it is found.

import base64
import os
import pwd

import hostile
from harness import certs, context, needs, procs, records, require
from harness.daemon import binary
from harness.sites import site


def once(t, site_list, expected, code=1):
    """Check each site once: `expected` is the status of each, or its word and a text of the message."""
    d = t.daemon(t.settings(site_list))
    done = t.webmond("--once", "--stdout", "-v", "-c", d.file)
    require(done.returncode in (0, 1), done.stderr)
    found = {r.site: r for r in records.from_lines(done.stdout)}
    wrong = []
    for name, words in expected.items():
        r = found[name]
        said = f"{r.error_type}: {r.error_message}" if r.error_type else r.status
        if words not in said:
            wrong.append(f"{name}: {said}, not {words}")
    require(not wrong and len(found) == len(expected), "\n  ".join([f"{len(found)}", *wrong]))
    return found, done.stdout + done.stderr


def test_who_we_are(t):
    """Basic, bearer and digest, for all kinds of requests."""
    basic, bearer, digest = t.guarded(), t.guarded(), t.guarded()
    basic.wanted, bearer.wanted = "Basic dTpw", "Bearer t0ken"
    digest.wanted = ("u", "p")
    t.write("secrets/p", "p\n", secret=True)
    t.write("secrets/wrong", "x\n", secret=True)
    t.write("secrets/token", "t0ken", secret=True)
    password = {"username": "u", "password_file": "secrets/p"}
    by_digest = {"auth": "digest", **password}
    post = {"method": "POST", "body": "x=1"}
    sites = [
        site("basic", basic.url("/authorization"), auth="basic", **password),
        site("bearer", bearer.url("/authorization"), auth="bearer", token_file="secrets/token"),
        site("none", basic.url("/authorization")),
        site("digest", digest.url("/digest"), **by_digest),
        site("digest-post", digest.url("/digest"), **by_digest, **post),
        site("digest-put", digest.url("/digest"), **by_digest, method="PUT", body="x"),
        site("digest-head", digest.url("/digest"), **by_digest, method="HEAD"),
        site("digest-kept", digest.url("/digest"), **by_digest, keepalive=True),
        site("digest-headers", digest.url("/digest"), **by_digest, body_limit_kb=0),
        site("digest-headers-post", digest.url("/digest"), **by_digest, **post, body_limit_kb=0),
        site("digest-no-redirect", digest.url("/digest"), **by_digest, follow_redirects=0),
        site("digest-one-redirect", digest.to("/digest"), **by_digest, follow_redirects=1),
        site("digest-two-redirects", digest.to(digest.to("/digest")), **by_digest,
             follow_redirects=1),
        site("digest-wrong", digest.url("/digest"), **{**by_digest,
                                                       "password_file": "secrets/wrong"}),
        site("digest-stale", digest.url("/digest?stale"), **{
            **by_digest, "password_file": "secrets/wrong"}),
        site("digest-not-wanted", digest.url("/"), **by_digest),
    ]
    refused = "http_status: got 401, want 200-299"
    found, _ = once(t, sites, {
        **{s["name"]: "up" for s in sites}, "none": refused, "digest-wrong": refused,
        "digest-stale": refused, "digest-two-redirects": "too_many_redirects: more than 1"})
    for name in ("digest", "digest-post", "digest-stale", "digest-kept"):
        r = found[name]
        require(r.data["redirects"] == 0 and r.data["final_url"] is None, f"{name}: {r.payload}")
    require(found["digest-one-redirect"].data["redirects"] == 1, "not one redirect")
    bodies = [r for r in digest.seen if r.startswith(b"POST") and r.endswith(b"x=1")]
    require(bodies, "no body came with a digest")


def test_certificates(t):
    """Authorities and certificates of our own, and to whom these are shown."""
    for name in ("ca", "other-ca", "clients"):
        certs.authority(t.path(f"{name}.pem"), t.path(f"{name}.key"), name)
    certs.signed(t.path("ca.pem"), t.path("ca.key"), t.path("site.pem"), t.path("site.key"), "site")
    for name, authority in (("client", "clients"), ("stranger", "other-ca")):
        certs.signed(t.path(f"{authority}.pem"), t.path(f"{authority}.key"), t.path(f"{name}.pem"),
                     t.path(f"{name}.key"), name, hosts=None)
        with open(t.path(f"{name}.pem"), encoding="ascii") as cert, \
                open(t.path(f"{name}.key"), encoding="ascii") as key:
            t.write(f"{name}-both.pem", cert.read() + key.read(), secret=True)
        t.protect(t.path(f"{name}.key"))
    server = {"cert": t.path("site.pem"), "key": t.path("site.key")}
    open_to_all = t.guarded(**server)
    strict = t.guarded(**server, clients=t.path("clients.pem"))
    asks = t.guarded(**server, clients=t.path("clients.pem"), strict=False)
    ours = {"ca_file": "ca.pem", "client_cert": "client.pem", "client_key": "client.key"}
    sites = [
        site("trusted", open_to_all.url("/"), ca_file="ca.pem"),
        site("not-trusted", open_to_all.url("/"), ca_file="other-ca.pem"),
        site("trusted-again", open_to_all.url("/"), ca_file="ca.pem", keepalive=True),
        site("not-verified", open_to_all.url("/"), verify_tls=False),
        site("by-the-system", open_to_all.url("/")),
        site("shown", strict.url("/shown"), **ours),
        site("shown-to-who-asks", asks.url("/shown"), **ours),
        site("both", strict.url("/both"), ca_file="ca.pem", client_cert="client-both.pem"),
        site("not-shown", strict.url("/none"), ca_file="ca.pem"),
        site("stranger", strict.url("/stranger"), ca_file="ca.pem",
             client_cert="stranger-both.pem"),
        site("redirect", strict.to(asks.url("/elsewhere")), **ours),
        site("redirect-at-home", strict.to("/home"), **ours),
        site("not-wanted", open_to_all.url("/"), **ours),
    ]
    sites = [{"verify_tls": True, **s} for s in sites]
    for workers in (1, 8):
        found, _ = once(t, [*sites], {
            **{s["name"]: "up" for s in sites}, "not-trusted": "tls: ", "by-the-system": "tls: ",
            "not-shown": "tls: ", "stranger": "tls: "})
        require(found["shown"].data["tls_version"] == "TLSv1.3", "not TLS 1.3")
        d = t.daemon(t.settings(sites, workers={"min": workers, "max": workers}))
        require(t.webmond("-t", "--once", "-c", d.file).returncode == 0, "-t has something to say")
    for line, certificate in zip(asks.seen, asks.shown):
        require(bool(certificate) == (b"/shown" in line), f"{line} came with {certificate}")
    require(any(b"/elsewhere" in line for line in asks.seen), "no redirect was followed")


def read(t, name):
    with open(t.path(name), encoding="ascii") as f:
        return f.read()


def replace(t, name, text):
    t.write(name + ".new", text, secret=True)
    os.rename(t.path(name + ".new"), t.path(name))


def test_files_are_replaced(t):
    """What comes in the place of a file counts without a reload, and a missing one is our fault."""
    server = t.guarded()
    t.write("secrets/token", "one\n", secret=True)
    t.write("body", "body one")
    cluster = t.mock()
    topic = cluster.topic("results", 1)
    sites = [site("token", server.url("/token"), auth="bearer", token_file="secrets/token"),
             site("body", server.url("/body"), method="POST", body_file="body")]
    d = t.daemon(t.settings(sites, topic, cluster.bootstrap)).start()

    def wait_seen(words):
        procs.wait_for(lambda: any(words in r for r in list(server.seen)), 60,
                       f"nobody sends {words}", 0.05)

    wait_seen(b"Bearer one")
    wait_seen(b"body one")
    replace(t, "secrets/token", "two\n")
    replace(t, "body", "body two")
    wait_seen(b"Bearer two")
    wait_seen(b"body two")
    os.unlink(t.path("secrets/token"))
    topic.wait(lambda found: any(r.error_type == "local" for r in found), 60, "it is not missed")
    replace(t, "secrets/token", "three\n")
    wait_seen(b"Bearer three")
    d.stop()
    for r in topic.records():
        require(r.status == "up" or r.error_message ==
                f'token_file: cannot read "{t.path("secrets/token")}": No such file or directory',
                r.payload)


def test_the_password_of_a_proxy(t):
    """It goes to the proxy, and to nobody behind it or beside it."""
    server = hostile.Server(t.directory)
    t.write("secrets/p", "secret-word\n", secret=True)
    proxy, = [s["proxy"] for s in server.sites() if s["name"] == "proxy-407"]
    https, http = server.names["https"], server.names["http"]
    password = {"proxy": proxy, "proxy_password_file": "secrets/p", "verify_tls": False}
    lacks = {"body_regex_not": "(?i)proxy-auth"}
    sites = [
        site("good", https + "/sends-headers", proxy_username="user", **password, **lacks),
        site("other-user", https + "/ok", proxy_username="other", **password),
        site("beside", http + "/sends-headers", proxy_username="user", no_proxy="127.0.0.1",
             **password, **lacks),
        site("behind-a-redirect", http + "/redirect-to-name-over-tls", proxy_username="user",
             no_proxy="127.0.0.1", **password),
    ]
    try:
        _, said = once(t, sites, {
            "good": "up", "beside": "up", "behind-a-redirect": "up",
            "other-user": "refuses the password of other (407); see proxy_password_file"})
    finally:
        server.stop()
    require("secret-word" not in said, "the password is shown")


@needs("root")
def test_credentials_of_systemd(t):
    """Readable by root and one user, as LoadCredential= makes them: that must be who checks."""
    server = t.guarded()
    server.wanted = "Bearer t0ken"
    user = pwd.getpwnam(context.CHECKER_USER)
    directory = t.path("credentials")
    token = t.write("credentials/token", "t0ken")
    os.chmod(token, 0o400)
    os.chmod(directory, 0o500)
    settings = t.settings([site("a", server.url("/authorization"), auth="bearer",
                                token_file=token)], checker_user=context.CHECKER_USER)
    d = t.daemon(settings)
    done = t.webmond("-t", "--once", "-c", d.file)
    require(done.returncode == 78 and f'; user "{context.CHECKER_USER}" must be able to'
            in done.stderr, done.stderr)
    copy = t.path("copy")
    procs.run(["install", "-m", "0400", "-o", context.CHECKER_USER, token, copy])
    d.write_config({**settings, "sites": [{**settings["sites"][0], "token_file": copy}]})
    done = t.webmond("--once", "-c", d.file)
    require(done.returncode == 0, done.stdout + done.stderr)
    # with User=
    d.write_config(settings)
    for path in (token, directory):
        os.chown(path, user.pw_uid, user.pw_gid)
    done = procs.run(["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
                      "--clear-groups", binary(), "--once", "-c", d.file], timeout=60)
    require(done.returncode == 0, done.stdout + done.stderr)


def test_files_beside_the_keys_of_kafka(t):
    """With one user for all, a checker may read only what stood there when it began: it is replaced."""
    server = t.guarded()
    t.write("secrets/token", "one\n", secret=True)
    cluster = t.mock()
    topic = cluster.topic("results", 1)
    t.write("secrets/kafka.properties", f"bootstrap.servers={cluster.bootstrap}\n", secret=True)
    d = t.daemon(t.settings([site("token", server.url("/token"), auth="bearer",
                                  token_file="secrets/token")],
                            kafka={"topic": topic.name,
                                   "properties_file": "secrets/kafka.properties"})).start()

    def wait_seen(words):
        procs.wait_for(lambda: any(words in r for r in list(server.seen)), 60,
                       f"nobody sends {words}", 0.05)

    for token in ("one", "two", "three"):
        replace(t, "secrets/token", token)
        wait_seen(f"Bearer {token}".encode())
    topic.wait_new()
    d.stop()
    for r in topic.records():
        require(r.status == "up" or (r.error_type == "local" and "Permission denied" in
                                     r.error_message), r.payload)


def test_authorities_are_replaced(t):
    """Those of a site, too; connections that are kept do not hide it for ever."""
    for name in ("ca", "other-ca"):
        certs.authority(t.path(f"{name}.pem"), t.path(f"{name}.key"), name)
    certs.signed(t.path("ca.pem"), t.path("ca.key"), t.path("site.pem"), t.path("site.key"), "site")
    server = t.guarded(cert=t.path("site.pem"), key=t.path("site.key"))
    cluster = t.mock()
    topic = cluster.topic("results", 1)
    t.write("trusted.pem", read(t, "ca.pem"))
    sites = [site("a", server.url("/"), ca_file="trusted.pem", verify_tls=True, keepalive=True)]
    d = t.daemon(t.settings(sites, topic, cluster.bootstrap)).start()

    def wait_newest(status, words):
        def is_so(found):
            newest = max(found, key=lambda r: r.seq, default=None)
            return newest is not None and newest.status == status and \
                words in (newest.error_message or "")

        topic.wait(is_so, 60, f"the last record is not {status} ({words})")

    wait_newest("up", "")
    replace(t, "trusted.pem", read(t, "other-ca.pem"))
    wait_newest("down", "unable to get local issuer certificate")
    os.unlink(t.path("trusted.pem"))
    wait_newest("unknown", f'ca_file: cannot read "{t.path("trusted.pem")}": No such file')
    replace(t, "trusted.pem", read(t, "ca.pem"))
    wait_newest("up", "")
    d.stop()


CANARY = "canary-91c7"


def spool_bytes(t):
    found = b""
    for name in os.listdir(t.path("spool")):
        with open(t.path("spool", name), "rb") as f:
            found += f.read()
    return found


def canaries(t, server, other):
    """A site for each key that names a secret, and redirects with it to elsewhere."""
    for key in ("password", "token", "headers", "body"):
        text = {"headers": f"X-Key: {CANARY}-headers\nCookie: c={CANARY}-cookie\n"}.get(
            key, f"{CANARY}-{key}")
        t.write(f"secrets/{key}", text, secret=True)
    certs.authority(t.path("ca.pem"), t.path("ca.key"), "ca")
    certs.signed(t.path("ca.pem"), t.path("ca.key"), t.path("client.pem"), t.path("client.key"),
                 "client", hosts=None)
    with open(t.path("client.key"), "a", encoding="ascii") as f:
        f.write(f"{CANARY}-key\n")
    t.protect(t.path("client.key"))
    user = {"username": "u", "password_file": "secrets/password"}
    kinds = {
        "basic": {"auth": "basic", **user}, "digest": {"auth": "digest", **user},
        "bearer": {"auth": "bearer", "token_file": "secrets/token"},
        "headers": {"header_file": "secrets/headers"},
        "body": {"method": "POST", "body_file": "secrets/body"},
        "cert": {"client_cert": "client.pem", "client_key": "client.key"},
        "proxy": {"proxy": server.url("/"), "proxy_username": "u",
                  "proxy_password_file": "secrets/password"},
    }
    ways = {
        "home": server.url("/home"), "digest": server.url("/digest"),
        "port": server.to(other.url("/elsewhere"), 307),
        "host": server.to(server.url("/elsewhere", host="localhost"), 308),
        "there-and-back": server.to(other.to(server.url("/home")), 302),
        "refused": t.refused().url(),
    }
    echo = server.url("/echo")
    asked = {"json": {"body_json": "$.got == 1"}, "header": {"header_regex": "X-Echo: ^$"},
             "sample": {"body_regex": "^$"}}
    return [site(f"{kind}-{way}", url, **options)
            for kind, options in kinds.items() for way, url in ways.items()] + [
        site(f"{kind}-echo-{way}", echo, body_sample=True, **what, **options)
        for kind, options in kinds.items() for way, what in asked.items()]


def test_secrets_of_files_stay_secret(t):
    server, other = t.guarded(), t.guarded()
    server.wanted = ("u", f"{CANARY}-password")
    sites = canaries(t, server, other)
    cluster = t.mock()
    topic = cluster.topic("results", 1)
    d = t.daemon(t.settings(sites, topic, cluster.bootstrap, log={"level": "debug"})).start("-v")
    topic.wait_rounds(sites, 2)
    places = {}
    for role, pid in d.roles().items():
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    places[f"{name} of the {role}"] = f.read()
            except OSError:
                pass  # not ours to read: good
        if role != "supervisor":
            require(os.stat(f"/proc/{pid}/environ").st_uid == 0 or os.geteuid() != 0,
                    f"{role} is dumpable")
    cluster.command("down")
    procs.wait_for(lambda: b"redirect refused: body_file" in spool_bytes(t), 60,
                   "nothing is stored")
    places["the spool"] = spool_bytes(t)
    cluster.command("up")
    d.reload()
    topic.wait_new()
    d.stop()
    places["the log"] = d.log().encode()
    places["a record"] = "".join(r.payload for r in topic.records()).encode()
    done = t.webmond("--once", "--stdout", "-v", "-c", d.file)
    places["--once"] = (done.stdout + done.stderr).encode()
    t.write("secrets/token", f"{CANARY}-token\n{CANARY}", secret=True)
    t.write("secrets/headers", f"{CANARY}-headers", secret=True)
    t.write("secrets/password", f"{CANARY}\t", secret=True)
    t.write("client.key", f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n", secret=True)
    done = t.webmond("-t", "-v", "-c", d.file)
    require(done.returncode == 78, "broken files are not found")
    places["-t"] = (done.stdout + done.stderr).encode()
    places["another port"] = b"".join(other.seen)
    places["another host"] = b"".join(r for r in server.seen if b"Host: localhost" in r)
    require(b"/elsewhere" in places["another port"] and b"/elsewhere" in places["another host"],
            "no redirect led elsewhere")
    require(any(b"/home" in r and f"{CANARY}-headers".encode() in r for r in server.seen) and
            any(b"/home" in r and f"{CANARY}-body".encode() in r for r in server.seen),
            "secrets do not come where they belong")
    encoded = base64.b64encode(f"u:{CANARY}-password".encode())
    for place, text in places.items():
        require(CANARY.encode() not in text and
                (encoded not in text or place.startswith("another")), f"a secret is in {place}")
    require(any(r.error_type == "json_mismatch" and "*****" in r.error_message and
                "*****" in r.body_sample for r in topic.firsts()), "nothing came back")
    for r in topic.firsts():
        kind, _, way = r.site.partition("-")
        if kind == "body" and way in ("port", "host"):
            require(r.error_type == "redirect_refused" and "body_file" in r.error_message,
                    r.payload)
