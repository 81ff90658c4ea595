#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# A web server that does on 127.0.0.1 what web servers must not do, and the table of what webmond
# must say about each behaviour. scenarios/30_hostile.py holds webmond against it; for people
#
#   tests/hostile.py [DIRECTORY]
#
# serves until interrupted, prints the table with URLs, and leaves hostile.conf in DIRECTORY for
# `webmond --once`.

import gzip
import os
import re
import select
import socket
import ssl
import struct
import sys
import tempfile
import threading
import warnings
import zlib

from harness import certs, context, daemon

SHORT_S = 2.0      # the timeout of what must time out
LONG_S = 20        # and of everything else: enough for a busy machine
HOLD_S = 30        # a client that does not give up is let go after this
KB = 1024
MB = 1024 * KB
PLAIN, TLS = "http", "https"

# where systems keep the authorities that they trust
CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")

BROTLI_BOMB = bytes.fromhex("cbffff3ff82560e2b14020f7fe6f")  # 8 MiB of "0"


def gzip_bomb():
    return gzip.compress(bytes(8 * MB))


def zstd_bomb():
    """8 MiB in blocks of 128 KiB that repeat one byte."""
    blocks = [((128 * KB) << 3 | 1 << 1 | last, b"0") for last in [0] * 63 + [1]]
    return bytes.fromhex("28b52ffd0058") + b"".join(
        header.to_bytes(3, "little") + byte for header, byte in blocks)


# --- what answers are made of -----------------------------------------------------------------

def response(body=b"", *headers, status="200 OK", version="HTTP/1.1", length=True):
    """A whole response; `length`: its Content-Length, True for the right one, None for none."""
    lines = [f"{version} {status}", *headers]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length is True else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def redirect(location, *headers, status="302 Found", **options):
    return response(b"", f"Location: {location}", *headers, status=status, **options)


def chunked(*chunks, end=b"0\r\n\r\n"):
    return (response(b"", "Transfer-Encoding: chunked", length=None) +
            b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + end)


def encoded(name, body):
    return response(body, f"Content-Encoding: {name}")


class Client:
    """A connection; for paths, after its request has been read."""

    def __init__(self, sock, server):
        self.sock = sock
        self.server = server
        self.request = b""

    def send(self, data):
        self.sock.sendall(data)

    def hold(self):
        """Say no more, until the client has gone."""
        self.sock.settimeout(HOLD_S)
        while self.sock.recv(4096):
            pass

    def reset(self):
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def then_hold(data):
    def answer(client):
        client.send(data)
        client.hold()
    return answer


def then_reset(data):
    def answer(client):
        client.send(data)
        client.reset()
    return answer


def for_ever(start, piece, pause=0.0):
    """`start`, and then `piece` until the client or the server has had enough."""
    def answer(client):
        client.send(start)
        while not client.server.over.wait(pause):
            client.send(piece)
    return answer


def byte_by_byte(data, pause):
    def answer(client):
        for byte in data:
            client.send(bytes([byte]))
            if client.server.over.wait(pause):
                break
    return answer


def later(seconds, data):
    def answer(client):
        client.server.over.wait(seconds)
        client.send(data)
    return answer


def h2_frame(kind, payload=b"", flags=0, stream=0):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


H2_SETTINGS = h2_frame(4)
H2_RESPONSE = H2_SETTINGS + h2_frame(1, b"\x88", 5, 1)  # ":status: 200", and no body
H2_GOAWAY = H2_SETTINGS + h2_frame(7, struct.pack(">II", 0, 0))  # no error, last stream 0
H2_REFUSED_STREAM = H2_SETTINGS + h2_frame(3, struct.pack(">I", 7), 0, 1)


def in_turn(*answers):
    """The first connection gets the first answer, the next one the next, all others the last."""
    left = list(answers)

    def answer(client):
        client.request = client.sock.recv(65536)
        later(*(left.pop(0) if len(left) > 1 else left[0]))(client)
        client.hold()
    return answer


def later_half(data, rest):
    """All but the last `rest` bytes, and those a moment later."""
    def answer(client):
        client.send(data[:-rest])
        client.server.over.wait(0.1)
        client.send(data[-rest:])
    return answer


def echo_request(client):
    client.send(response(client.request))


def if_asked(wanted):
    """An endless response to a request that matches `wanted`, else 400."""
    def answer(client):
        if re.match(wanted.encode(), client.request):
            then_hold(response(b"data:", length=None))(client)
        else:
            client.send(response(status="400 X"))
    return answer


def tunnel(client, answer=b"HTTP/1.1 200 X\r\nX-Proxy: 1\r\n\r\n"):
    """What an HTTP proxy does after CONNECT: to that port on loopback, whatever the host."""
    port = int(re.match(rb"CONNECT [^ ]*:(\d+) ", client.request).group(1))
    with socket.create_connection(("127.0.0.1", port)) as site:
        client.send(answer)
        while not client.server.over.is_set():
            for source in select.select([client.sock, site], [], [], 1)[0]:
                data = source.recv(65536)
                if not data:
                    return
                (site if source is client.sock else client.sock).sendall(data)


def proxy(answer):
    """`answer`: bytes, or what a function says, to a client that has sent its request."""
    def speak(client):
        client.request = client.sock.recv(65536)
        if callable(answer):
            answer(client)
        else:
            client.send(client.server.fill(answer))
    return speak


def for_user(client):
    """A tunnel for user:secret-word alone."""
    if b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQtd29yZA==\r\n" in client.request:
        tunnel(client)
    else:
        client.send(response(b"", "Proxy-Authenticate: Basic realm=x", status="407 X"))


def socks(reply, method=0):
    """As a SOCKS5 proxy that replies so; with 0 a tunnel follows."""
    def speak(client):
        client.sock.recv(257)
        client.send(bytes([5, method]))
        request = client.sock.recv(262)
        if reply != 0:
            client.send(bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        elif request:
            client.request = b"CONNECT x:%d " % struct.unpack(">H", request[-2:])
            tunnel(client, bytes([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
    return speak


def cookie_wall(client):
    """As consent pages do: a cookie, and once more."""
    client.send(response(b"welcome") if b"sid=1" in client.request
                else redirect("/cookie-wall", "Set-Cookie: sid=1; Path=/"))


# --- the table --------------------------------------------------------------------------------

class Case:
    """
    One behaviour. `answer`: bytes, a function of a Client, or None; `site`: keys of the
    configuration, of which `url` and `proxy` may hold {http}, {https}, {port} (with the address) and {number}
    (the port alone); `expected`: fields of the record, each a value, a compiled pattern, or a
    function that says yes or no.
    """

    def __init__(self, name, answer, expected, site):
        self.name = name
        self.answer = answer
        self.expected = expected
        self.site = site
        self.port = None  # with one of its own


CASES = []


def case(name, answer, expected, url=None, **site):
    """A path of the plain server, unless `url` says otherwise."""
    CASES.append(Case(name, answer, expected, {"url": url or "{http}/" + name, **site}))


def up(code=200, **fields):
    return {"status": "up", "error_type": None, "error_message": None, "http_status_code": code,
            "response_time_ms": KNOWN, "failed_regex": None, **fields}


def down(word, says="", code=None, **fields):
    """No complete response; `code`: of the headers that came."""
    return {"status": "down", "error_type": word, "error_message": re.compile(says),
            "http_status_code": code, "response_time_ms": None, "body_regex_matched": None,
            "failed_regex": None, **fields}


def judged(word, says="", code=200, **fields):
    """A complete response that is not as it should be."""
    return {"status": "unknown" if word == "regex_limit" else "down", "error_type": word,
            "error_message": re.compile(says), "http_status_code": code,
            "response_time_ms": KNOWN, "failed_regex": None, **fields}


def limited(says):
    """A complete response that says nothing of the site, for it is too much for us."""
    return {**judged("local", says), "status": "unknown"}


def KNOWN(value):  # pylint: disable=invalid-name
    return value is not None


def nothing_came(**fields):
    """What is null when not even headers came."""
    return {"http_version": None, "body_bytes": None, "body_truncated": None, "redirects": 0,
            "final_url": None, **fields}


def either(*values):
    """Versions of libcurl differ."""
    return lambda value: value in values


def at_least(number):
    return lambda value: value is not None and value >= number


def less_than(number):
    return lambda value: value is not None and value < number


# Names. Whether one exists nobody knows on a machine without a resolver; scenarios/35_names.py has
# one of its own.
case("unknown-name", None,
     {**down("dns", **nothing_came(remote_ip=None, connect_ms=0, tls_ms=None)),
      "status": either("down", "unknown"), "error_type": either("dns", "local")},
     url="http://no-such-host.invalid/")
for name, host in (("empty-label", "a..invalid"), ("long-label", "a" * 64 + ".invalid"),
                   ("long-name", ".".join(["a" * 60] * 5) + ".invalid")):
    case(name, None, down("dns", **nothing_came(remote_ip=None, connect_ms=0, tls_ms=None)),
         url=f"http://{host}/")
case("name", response(b"ok"), up(remote_ip=re.compile(r"127\.0\.0\.1|::1")),
     url="http://localhost:{plain_port}/name")

# Connections.
case("refused", None, down("connect", "refused", **nothing_came(dns_ms=0)),
     url="http://127.0.0.1:{refused_port}/")
case("refused-tls", None, down("connect", "refused", tls_ms=0, tls_version=None),
     url="https://127.0.0.1:{refused_port}/")
case("black-hole", None, down("timeout", "connecting", **nothing_came(connect_ms=at_least(100))),
     url="http://127.0.0.1:{full_port}/", timeout=SHORT_S)
case("reset-at-once", Client.reset, down("protocol", **nothing_came()), url="http://{port}/")
case("close-at-once", lambda client: None, down("protocol", **nothing_came()),
     url="http://{port}/")
case("empty-reply", b"", down("protocol", "[Ee]mpty reply", **nothing_came(remote_ip="127.0.0.1")))
case("reset-after-request", Client.reset, down("protocol", **nothing_came()))
case("reset-in-headers", then_reset(b"HTTP/1.1 200 OK\r\nX: "), down("protocol"))
case("reset-in-body", then_reset(response(b"some", length=100)),
     down("protocol", code=200, http_version="1.1"))
case("silence", Client.hold, down("timeout", "waiting for the response",
                                  **nothing_came(wait_ms=at_least(100))), timeout=SHORT_S)
case("silence-in-headers", then_hold(b"HTTP/1.1 200 OK\r\n"),
     down("timeout", "receiving", http_version=None), timeout=SHORT_S)
case("silence-in-body", then_hold(response(b"part", length=100)),
     down("timeout", "receiving", code=200, body_bytes=4, body_truncated=False,
          receive_ms=at_least(100)), timeout=SHORT_S, body_regex="part")
case("slow-headers", byte_by_byte(response(b"never comes to this"), 0.1),
     down("timeout", "receiving|waiting"), timeout=SHORT_S)
case("slow-body", for_ever(response(length=1000), b".", 0.1),
     down("timeout", "receiving", code=200), timeout=SHORT_S)
case("slow-response", later(0.3, response(b"ok")),
     judged("slow", r"^took [0-9.]+ s, want at most 0.1 s$", body_regex_matched=True),
     max_response_time=0.1, body_regex="ok")
case("slow-and-wrong", later(0.3, response(b"sorry", status="500 X")),
     judged("http_status", r"^got 500, want 200-299 \(and 2 more\)$", code=500,
            body_regex_matched=False, failed_regex="ok"), max_response_time=0.1, body_regex="ok")
# in the order of the manual; each without those before it
WRONG = {"body_regex": "b", "header_regex": "X: b", "body_json": "$.b", "max_response_time": 0.1,
         "min_body_bytes": 9}
for n, word in enumerate(("regex_mismatch", "header_mismatch", "json_mismatch", "slow")):
    case("wrong-" + word, later(0.3, response(b"{}", "X: a")),
         judged(word, rf"\(and {4 - n} more\)$", failed_regex=either("b", None)),
         **dict(list(WRONG.items())[n:]))
case("slow-but-in-time", byte_by_byte(response(b"ok"), 0.002), up(body_bytes=2))

# TLS. Nothing here is signed by an authority that the system trusts.
for name in ("expired", "self-signed", "wrong-host", "unknown-authority", "intermediate-expired",
             "no-alternative-name"):
    case("tls-" + name, response(b"ok"),
         down("tls", "certificate: .*, CN=.*, valid until 20..-..-..", **nothing_came(
             dns_ms=0, tls_ms=KNOWN, tls_version="TLSv1.3", cert_expires_at=KNOWN,
             remote_ip="127.0.0.1")), url="https://{port}/")
case("tls-unverified", response(b"ok"),
     up(tls_ms=KNOWN, tls_version="TLSv1.3", cert_expires_at=lambda at: at > "2026",
        chain_expires_at=lambda at: at > "2026", cert_issuer=lambda name: name.startswith("CN="),
        cert_sha256=lambda text: re.match("[0-9a-f]{64}$", text), connection_reused=False),
     url="{https}/tls-unverified", verify_tls=False)
case("tls-expired-unverified", response(b"ok"), up(cert_expires_at=KNOWN), url="https://{port}/",
     verify_tls=False)
case("tls-certificate-ends", response(b"ok"),
     judged("cert_expiring", r"^the site's certificate, CN=[^,]*, ends on 20..-..-.., "
            r"in (29|30) days, want at least 60$"),
     url="{https}/tls-certificate-ends", verify_tls=False, cert_min_days=60)
case("tls-certificate-ends-later", response(b"ok"), up(), verify_tls=False,
     url="{https}/tls-certificate-ends-later", cert_min_days=20)
case("tls-intermediate-ends", response(b"ok"), down("tls"), url="https://{port}/",
     cert_min_days=10)
case("tls-expired-with-days", response(b"ok"),
     judged("cert_expiring", r"^the site's certificate, CN=[^,]*, ended on 20..-..-.., "
            r"\d+ days ago, want at least 1$"), url="https://{port}/", verify_tls=False,
     cert_min_days=1)
case("no-certificate", response(b"ok"),
     judged("cert_expiring", "^the response came without a certificate, want one for at least 1 "
            "days$", chain_expires_at=None, cert_issuer=None, cert_sha256=None), cert_min_days=1)
case("tls-1.2", response(b"ok"), up(tls_version="TLSv1.2"), url="https://{port}/",
     verify_tls=False)
case("tls-1.0", response(b"ok"), down("tls", tls_version=either(None, "TLSv1")), url="https://{port}/",
     verify_tls=False)
case("tls-1.0-permitted", response(b"ok"), up(tls_version="TLSv1"), url="https://{port}/",
     verify_tls=False, tls_min_version="1.0")
case("tls-1.3-wanted-from-1.2", response(b"ok"), down("tls", "version", **nothing_came(
    tls_version=None)), url="https://{port}/", verify_tls=False, tls_min_version="1.3")
case("tls-server-name", response(b"ok"), down("tls", "certificate: .*CN=tls-server-name"),
     url="https://{port}/", server_name="elsewhere.example")
case("tls-server-name-unverified", response(b"ok"), up(), url="https://{port}/", verify_tls=False,
     server_name="elsewhere.example")
case("tls-server-name-unknown", response(b"ok"), down("tls", "unrecognized name"),
     url="https://{port}/", verify_tls=False, server_name="other.example")
case("tls-server-name-of-another", response(b"ok"), down("tls", "certificate"),
     url="https://{port}/", server_name="other.example")
case("tls-server-name-ends", redirect("https://127.0.0.1:{tls_port}/ok"), down("tls"),
     url="https://shop.example:{number}/", resolve="127.0.0.1", server_name="elsewhere.example")
case("tls-client-certificate", response(b"ok"),
     down("tls", "certificate", **nothing_came()), url="https://{port}/",
     verify_tls=False)
case("tls-client-certificate-1.2", response(b"ok"), down("tls", **nothing_came()),
     url="https://{port}/", verify_tls=False)
case("tls-garbage", lambda client: client.send(b"HTTP/1.1 400 this is not TLS\r\n\r\n" * 20),
     down("tls", **nothing_came(tls_version=None)), url="https://{port}/")
case("tls-closed", lambda client: client.sock.recv(4096), down("tls", **nothing_came()),
     url="https://{port}/")
case("tls-reset", lambda client: (client.sock.recv(1), client.reset()),
     down("tls", **nothing_came()), url="https://{port}/")
case("tls-silence", Client.hold, down("timeout", "TLS handshake", **nothing_came(
    tls_ms=at_least(100), tls_version=None)), url="https://{port}/", timeout=SHORT_S)
case("plain-on-tls-port", None, down("protocol", tls_ms=None),
     url="http://127.0.0.1:{tls_port}/ok")
case("tls-no-close-notify", response(b"all or half?", length=None),
     {"error_type": either(None, "protocol"), "http_status_code": 200, "body_bytes": 12},
     url="{https}/tls-no-close-notify", verify_tls=False)
case("tls-empty-reply", b"", down("protocol", tls_version="TLSv1.3", cert_expires_at=KNOWN),
     url="{https}/tls-empty-reply", verify_tls=False)

case("h2-garbage", lambda client: (client.sock.recv(65536), client.send(b"\xff" * 999)),
     down("protocol", **nothing_came()), url="https://{port}/", verify_tls=False)
case("h2-closed", lambda client: client.sock.recv(65536), down("protocol", **nothing_came()),
     url="https://{port}/", verify_tls=False)
case("h2-silence", Client.hold, down("timeout", "waiting", **nothing_came()),
     url="https://{port}/", verify_tls=False, timeout=SHORT_S)
# newer versions of libcurl ask again, as after REFUSED_STREAM
case("h2-goaway", in_turn((0, H2_GOAWAY)),
     down("protocol", "before it took the request|Connection died", **nothing_came()),
     url="https://{port}/", verify_tls=False)
# asked again on another connection; the time of each goes to the phases that it is spent in
case("h2-refused-once", in_turn((0.3, H2_REFUSED_STREAM), (0, H2_RESPONSE)),
     up(http_version="2", wait_ms=at_least(250), receive_ms=less_than(250)),
     url="https://{port}/", verify_tls=False)

# http_version
case("version-1.0", echo_request, up(http_version="1.1"), http_version="1.0",
     body_regex="^GET /version-1.0 HTTP/1.0\\r")
case("version-1.1", echo_request, up(http_version="1.1"), url="{https}/version-1.1",
     verify_tls=False, http_version="1.1", body_regex="^GET /version-1.1 HTTP/1.1\\r")
case("version-2-wanted", response(b"ok"), judged("http_version", "^answered with HTTP/1.1, want "
     "HTTP/2$", http_version="1.1"), url="{https}/version-2-wanted", verify_tls=False,
     http_version="2")
case("version-2-and-status", response(status="500 X"), judged("http_status", r"\(and 1 more\)$",
     500), url="{https}/version-2-and-status", verify_tls=False, http_version="2")
case("h2-wanted", in_turn((0, H2_RESPONSE)), up(http_version="2"), url="https://{port}/",
     verify_tls=False, http_version="2")
case("h2-refused-once-wanted", in_turn((0, H2_REFUSED_STREAM), (0, H2_RESPONSE)),
     up(http_version="2"), url="https://{port}/", verify_tls=False, http_version="2")
case("plain-2-wanted", in_turn((0, H2_RESPONSE)), up(http_version="2"), url="http://{port}/",
     http_version="2")
case("plain-2-answered-with-1.1", in_turn((0, response(status="400 X"))),
     down("http_version", "^no HTTP/2 came, want HTTP/2: ", **nothing_came()),
     url="http://{port}/", http_version="2")
case("plain-2-closed", lambda client: client.sock.recv(65536),
     down("http_version", "^no HTTP/2 came", **nothing_came()), url="http://{port}/",
     http_version="2")
case("plain-2-reset", Client.reset, down("http_version", "^no HTTP/2 came", **nothing_came()),
     url="http://{port}/", http_version="2")
case("plain-2-silence", Client.hold, down("timeout", "waiting", **nothing_came()),
     url="http://{port}/", http_version="2", timeout=SHORT_S)

# Which way. Names that end in .invalid are looked up by nobody.
case("resolve-to-address", echo_request, up(body_regex_matched=True, dns_ms=0,
                                            remote_ip="127.0.0.1"),
     url="http://site.invalid:{plain_port}/resolve-to-address", resolve="127.0.0.1",
     body_regex="\\r\\nHost: site\\.invalid:")
case("resolve-behind-redirect", redirect("http://other.invalid:{plain_port}/ok"),
     {"status": "down", "error_type": "dns", "redirects": 1},
     url="http://site.invalid:{plain_port}/resolve-behind-redirect", resolve="127.0.0.1")
case("resolve-refused", None, down("connect", "127.0.0.1", **nothing_came(dns_ms=0)),
     url="http://site.invalid:{refused_port}/", resolve="127.0.0.1")
case("resolve-for-nobody-else", None, {"error_type": "dns"},
     url="http://site.invalid:{plain_port}/resolve-to-address")
case("connect-timeout", None, down("timeout", r"^timed out after 0.3 s \(connect_timeout\) while "
                                   "connecting$", **nothing_came()),
     url="http://127.0.0.1:{full_port}/", connect_timeout=0.3)
case("connect-timeout-tls", Client.hold, down("timeout", r"\(connect_timeout\) while in the TLS"),
     url="https://{port}/", connect_timeout=1)
case("connect-timeout-slow-response", later(2.2, response(b"ok")), up(), connect_timeout=2)

# Proxies: each is the server here. What is wrong with one is not the site's fault.
def local(says, **fields):
    return {**down("local", says), "status": "unknown", **fields}


case("proxy-tunnel", proxy(tunnel), up(dns_ms=0, tls_ms=KNOWN, remote_ip="127.0.0.1",
                                       http_version="1.1"),
     url="https://site.invalid:{tls_port}/ok", proxy="http://{port}", verify_tls=False)
case("proxy-plain", proxy(lambda client: client.send(response(client.request))),
     up(body_regex_matched=True), url="http://site.invalid/x", proxy="http://{port}",
     body_regex="^GET http://site.invalid/x HTTP/1.1\\r")
for status, says in ((502, "cannot reach the site: it answered 502"), (503, "503"), (504, "504")):
    case(f"proxy-{status}", proxy(response(status=f"{status} X")),
         down("connect", f"^the proxy http://127.*{says}", **nothing_came()),
         url="https://site.invalid/", proxy="http://{port}")
case("proxy-403", proxy(response(status="403 X")), local("refuses to connect: it answered 403",
                                                         **nothing_came()),
     url="https://site.invalid/", proxy="http://{port}")
case("proxy-407", proxy(for_user), local("wants a password .407.; set proxy_username"),
     url="https://site.invalid/", proxy="http://{port}")
case("proxy-407-plain", proxy(for_user), local("wants a password .407.; set", http_status_code=407),
     url="http://site.invalid/", proxy="http://{port}")
case("proxy-closes", proxy(b""), local("^the proxy http://127"), url="https://site.invalid/",
     proxy="http://{port}")
case("proxy-silent", Client.hold, down("timeout", "while the proxy http://127"),
     url="https://site.invalid/", proxy="http://{port}", timeout=SHORT_S)
case("proxy-refused", None, local("^the proxy http://127.*connect"), url="https://site.invalid/",
     proxy="http://127.0.0.1:{refused_port}")
case("proxy-full", None, local("while connecting to the proxy"), url="https://site.invalid/",
     proxy="http://127.0.0.1:{full_port}", timeout=SHORT_S)
case("proxy-no-name", None, {"status": "unknown", "error_type": "local"},
     url="https://site.invalid/", proxy="http://proxy.invalid:3128")
case("proxy-untrusted", None, local("^the proxy https://127.*certificate", tls_ms=None),
     url="http://site.invalid/", proxy="{https}")
case("proxy-tls-tunnel", proxy(tunnel), local("^the proxy https://127.*certificate"),
     url="{https}/ok", proxy="https://{port}")
case("proxy-no-tls", proxy(response(status="400 X")), local("^the proxy https://127"),
     url="https://site.invalid/", proxy="https://{port}")
case("proxy-excepted", None, up(), url="{https}/ok", verify_tls=False,
     proxy="http://127.0.0.1:{refused_port}", no_proxy=["site.invalid", "127.0.0.0/8"])
case("proxy-behind-redirect", redirect("http://site.invalid/"), local("^the proxy", http_status_code=302,
                                                                          redirects=1),
     proxy="http://127.0.0.1:{refused_port}", no_proxy="127.0.0.1")
case("proxy-not-behind-redirect", proxy(redirect("//127.0.0.1:{plain_port}/ok")),
     down("redirect_refused", "private address", 302), url="http://site.invalid/",
     proxy="http://{port}", no_proxy="127.0.0.1")
case("proxy-socks", proxy(b""), local("^the proxy socks5h"), url="{https}/ok",
     proxy="socks5h://{port}")
case("proxy-socks-tunnel", socks(0), up(), url="https://site.invalid:{tls_port}/ok",
     proxy="socks5h://{port}", verify_tls=False)
case("proxy-socks-tunnel-for-an-address", socks(0), up(), url="{https}/ok",
     proxy="socks5://{port}", verify_tls=False)
case("proxy-socks-refused", socks(5), down("connect", "cannot reach the site"),
     url="https://site.invalid/", proxy="socks5h://{port}")
case("proxy-socks-unreachable", socks(4), down("connect", "cannot reach the site"),
     url="https://site.invalid/", proxy="socks5h://{port}")
case("proxy-socks-forbidden", socks(2), local("^the proxy socks5h"), url="https://site.invalid/",
     proxy="socks5h://{port}")
case("proxy-socks-password", socks(0, 255), local("wants a password; set proxy_username"),
     url="https://site.invalid/", proxy="socks5h://{port}")

# Status lines and headers.
case("ok", response(b"ok"), up(http_version="1.1", body_bytes=2, body_truncated=False,
                               body_regex_matched=None, redirects=0, redirect_ms=0,
                               final_url=None, remote_ip="127.0.0.1", dns_ms=0, tls_ms=None,
                               tls_version=None, cert_expires_at=None))
case("http-1.0", response(b"ok", version="HTTP/1.0", length=None), up(http_version="1.0"))
case("http-0.9", b"just a body, as in 1991\n", down("protocol", "HTTP/0.9", **nothing_came()))
case("binary-reply", bytes(range(256)) * 100, down("protocol", **nothing_came()))
case("shoutcast", b"ICY 200 OK\r\n\r\nmusic", down("protocol", **nothing_came()))
case("http-1.9", response(b"ok", version="HTTP/1.9"), down("protocol"))
case("http-2-unasked", response(b"ok", version="HTTP/2"),
     {"error_type": either(None, "protocol"), "http_version": either(None, "2")})
case("no-reason", response(b"ok", status="200"), up())
for code in ("000", "099", "20", "abc", "-200"):
    case("status-" + code, response(b"ok", status=code), down("protocol", **nothing_came()))
for code in (401, 404, 407, 418, 500, 503, 600, 999):
    case(f"status-{code}", response(b"sorry", status=f"{code} X"),
         judged("http_status", f"got {code}, want 200-299", code=code, body_bytes=5))
case("status-2000", response(b"ok", status="2000"), {"http_status_code": either(None, 200)})
case("status-expected", response(b"gone", status="410 Gone"), up(410), expect_status="200,404-410")
case("status-204-with-body", response(b"surprise", status="204 No Content"), up(204, body_bytes=0))
case("status-205", response(b"", status="205 Reset Content"), up(205))
case("status-304", response(b"", status="304 Not Modified", length=None),
     judged("http_status", code=304, body_bytes=0))
case("status-416", response(b"x", status="416 X"), judged("http_status", code=416))
case("head-with-body", response(b"surprise"), up(body_bytes=0, method="HEAD"), method="HEAD")
case("location-but-201", response(b"", "Location: /elsewhere", status="201 Created"),
     up(201, redirects=0))
case("interim", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3 + response(b"ok"), up())
case("interim-then-close", b"HTTP/1.1 100 Continue\r\n\r\n", down("protocol", **nothing_came()))
case("interim-flood", for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 400),
     down("protocol", "headers"))
case("switching-protocols", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chess\r\n\r\ne4",
     down("protocol", "101"))
case("headers-for-ever", for_ever(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 4000 + b"\r\n"),
     down("protocol", "256 KiB of headers"))
case("one-endless-header", for_ever(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536),
     down("protocol", "header|larger"))
case("big-headers", b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 8000 + b"\r\n") * 20 +
     b"Content-Length: 0\r\n\r\n", up())
case("nul-in-header", b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
     down("protocol"))
case("control-in-header", b"HTTP/1.1 200 OK\r\nX: \x1b[31m\x07\x80\r\nContent-Length: 0\r\n\r\n",
     up())
case("no-colon", b"HTTP/1.1 200 OK\r\nthis is no header\r\n\r\n", down("protocol"))
case("folded-header", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", up())
case("bare-lf", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", up(body_bytes=2))

# Lengths and encodings.
case("no-length", response(b"until the end", length=None), up(body_bytes=13))
case("length-short", response(b"less", length=100),
     down("protocol", code=200, body_bytes=4, body_truncated=False), body_regex="less")
case("length-long", response(b"more than told", length=4), up(body_bytes=4, body_truncated=False))
case("length-negative", response(b"x", length=-1), down("protocol"))
case("length-garbage", response(b"x", length="many"), down("protocol"))
case("length-huge", then_hold(response(b"x", length=10 ** 30)),
     down("timeout", "receiving", code=200), timeout=SHORT_S)
case("length-twice", response(b"ok", "Content-Length: 2"), up(body_bytes=2))
case("chunked", chunked(b"a", b"bc"), up(body_bytes=3))
case("chunked-and-length", chunked(b"abc").replace(b"\r\n", b"\r\nContent-Length: 1\r\n", 1),
     up(body_bytes=3))
case("chunk-trailers", chunked(b"abc", end=b"0\r\nX: y\r\n\r\n"), up(body_bytes=3))
case("chunk-size-garbage", chunked(end=b"xyz\r\nabc\r\n"), down("protocol", code=200))
case("chunk-size-huge", chunked(end=b"f" * 30 + b"\r\nabc"), down("protocol", code=200))
case("chunk-size-negative", chunked(end=b"-5\r\nabc"), down("protocol", code=200))
case("chunk-cut", chunked(b"abc", end=b"100\r\nonly this"), down("protocol", code=200))
case("chunk-no-end", chunked(b"abc", end=b""), down("protocol", code=200, body_bytes=3))
for name in ("UTF-8", "aws-chunked", "binary", "zip", "gzip, rot13"):
    case("encoding-" + name.replace(", ", "-"), encoded(name, b"plain"),
         down("protocol", f'Content-Encoding is "{name}"; with decode = false', code=200))
    case("not-decoded-" + name.replace(", ", "-"), encoded(name, b"plain"),
         up(body_bytes=5), decode=False, body_regex="^plain$")
case("encoding-in-two-headers",
     response(b"plain", "Content-Encoding: gzip", "Content-Encoding: rot13"),
     down("protocol", '"gzip, rot13"', code=200))
for name in ("", "none", "identity"):
    case("no-encoding-" + name, encoded(name, b"plain"), up(body_bytes=5), body_regex="^plain$")
for name in ("x-gzip", "GZIP"):
    case(name, encoded(name, gzip.compress(b"plain")), up(body_bytes=5), body_regex="^plain$")
case("not-decoded-gzip", encoded("gzip", gzip.compress(b"plain")), up(), decode=False,
     body_regex="^\\x1f")
case("not-decoded-echo", echo_request, up(), decode=False, body_regex_not="(?i)accept-encoding")
case("wrong-encoding", encoded("gzip", b"this was never compressed"),
     down("protocol", r"^the compressed body is broken \(gzip\): ", code=200))
for name in ("br", "zstd"):
    for what, plain in (("", b"this was never compressed"), ("-html", b"<!doctype html><p>x</p>"),
                        ("-json", b'{"ok": true}')):
        case("wrong-" + name + what, encoded(name, plain),
             down("protocol", rf"^the compressed body is broken \({name}\)$", code=200))
        case("wrong-chunked-" + name + what,
             response(b"%x\r\n%s\r\n0\r\n\r\n" % (len(plain), plain), "Content-Encoding: " + name,
                      "Transfer-Encoding: chunked", length=None),
             down("protocol", rf"^the compressed body is broken \({name}\)$", code=200))
case("gzip", encoded("gzip", gzip.compress(b"all is well")),
     up(body_bytes=11, body_regex_matched=True), body_regex="^all is well$")
case("deflate", encoded("deflate", zlib.compress(b"all is well")), up(body_bytes=11))
case("gzip-garbage-behind", encoded("gzip", gzip.compress(b"ok") + b"garbage"), up(body_bytes=2))
case("gzip-empty-member-behind", encoded("gzip", gzip.compress(b"page") + gzip.compress(b"")),
     up(body_bytes=4), body_regex="^page$")
case("gzip-two-members", encoded("gzip", gzip.compress(b"one") + gzip.compress(b"two")),
     up(), body_regex="^one")
case("gzip-two-members-late",
     later_half(encoded("gzip", gzip.compress(b"one") + gzip.compress(b"two")), 23),
     up(), body_regex="^one")
case("gzip-second-member", encoded("gzip", gzip.compress(b"one") + gzip.compress(b"two")),
     judged("regex_mismatch", 'does not match "two".*only the first part',
            failed_regex="two"), body_regex="two")
case("gzip-member-broken-before",
     encoded("gzip", gzip.compress(b"one")[:-8] + bytes(8) + gzip.compress(b"two")),
     down("protocol", "^the compressed body is broken", code=200))
case("gzip-bad-checksum", encoded("gzip", gzip.compress(b"ok")[:-8] + bytes(8)),
     down("protocol", "^the compressed body is broken .*check", code=200))
# libcurl does not notice that it ends too early, as long as its length is as announced
case("gzip-cut", encoded("gzip", gzip.compress(b"all is well")[:-9]), up(body_bytes=KNOWN))
case("gzip-corrupt", encoded("gzip", gzip.compress(b"x" * 999)[:15] + b"\xff" * 99),
     down("protocol", code=200))
for name, bomb in (("gzip", gzip_bomb()), ("br", BROTLI_BOMB), ("zstd", zstd_bomb()),
                   ("deflate", zlib.compress(bytes(8 * MB)))):
    case(f"{name}-bomb", encoded(name, bomb), up(body_bytes=64 * KB, body_truncated=True),
         body_limit_kb=64)
case("gzip-bomb-twice", encoded("gzip, gzip", gzip.compress(gzip_bomb())),
     up(body_bytes=64 * KB, body_truncated=True), body_limit_kb=64)
case("six-encodings", encoded("gzip, gzip, gzip, gzip, gzip, gzip", gzip_bomb()),
     down("protocol", "encoding"))

# Bodies.
case("body-endless", for_ever(response(length=None), b"x" * 65536),
     up(body_bytes=64 * KB, body_truncated=True), body_limit_kb=64)
case("body-1-gib", for_ever(response(length=1024 * MB), b"x" * 65536),
     up(body_bytes=1024 * KB, body_truncated=True))
case("body-endless-chunks", for_ever(chunked(end=b""), b"4000\r\n" + b"x" * 16384 + b"\r\n"),
     up(body_bytes=64 * KB, body_truncated=True, body_regex_matched=True),
     body_limit_kb=64, body_regex="^x{65535}")
EVENTS = ("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
NOT_READ = {"body_bytes": 0, "body_truncated": None, "body_regex_matched": None}
for name, keys in (("get", {}), ("post", {"method": "POST", "body": "a=1"}),
                   ("put", {"method": "PUT", "body": "a=1", "keepalive": True}),
                   ("head", {"method": "HEAD"})):
    case("stream-" + name, then_hold(response(b"6\r\ndata:\n\r\n", *EVENTS, length=None)),
         up(method=keys.get("method", "GET"), **NOT_READ), body_limit_kb=0, **keys)
case("stream-waited-for", then_hold(response(b"6\r\ndata:\n\r\n", *EVENTS, length=None)),
     down("timeout", "receiving", code=200, body_bytes=6), timeout=SHORT_S)
case("stream-endless", for_ever(response(length=None), b"x" * 65536), up(**NOT_READ),
     body_limit_kb=0)
case("stream-compressed", then_hold(encoded("rot13", b"x")), up(**NOT_READ), body_limit_kb=0)
case("stream-500", then_hold(response(b"part", status="500 X", length=100)),
     judged("http_status", code=500, **NOT_READ), body_limit_kb=0)
case("stream-behind-redirects", then_hold(redirect("/stream-redirect-2", length=100)),
     up(redirects=2, final_url=re.compile("/stream-get$"), **NOT_READ), body_limit_kb=0)
case("stream-redirect-2", then_hold(redirect("/stream-get", length=100)), up(**NOT_READ),
     body_limit_kb=0)
# what has a body is sent whole, and its redirects are read to their end
case("stream-post-redirect", redirect("/stream-echo"),
     up(method="POST", redirects=1, **NOT_READ), method="POST", body="a=1", body_limit_kb=0)
case("stream-echo", lambda client: client.send(
    response(status="200 OK" if re.match(b"GET /[^ ]* HTTP/1.1\r\n(?s:.*)\r\n\r\n$", client.request)
             else "400 X")), up(**NOT_READ), body_limit_kb=0)
for method, body in (("POST", "a=1"), ("PUT", "a=1"), ("DELETE", "a=1"), ("POST", None)):
    wanted = rf"{method} /[^ ]* HTTP/1.1\r\n(?s:.*)Content-Length: {len(body or '')}\r\n(?s:.*)" \
             rf"\r\n\r\n{body or ''}$"
    case(f"stream-sent-{method}-{len(body or '')}", if_asked(wanted), up(method=method, **NOT_READ),
         method=method, body_limit_kb=0, **({"body": body} if body else {}))
    case(f"stream-sent-again-{method}-{len(body or '')}",
         redirect(f"/stream-sent-{method}-{len(body or '')}", status="307 X"),
         up(method=method, redirects=1, **NOT_READ), method=method, body_limit_kb=0,
         **({"body": body} if body else {}))
case("stream-interim", lambda client: client.send(
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + response(status="404 X")),
     judged("http_status", code=404, **NOT_READ), method="POST", body="a=1", body_limit_kb=0)
case("stream-silence", then_hold(b"HTTP/1.1 200 OK\r\nX: y\r\n"),
     down("timeout", "receiving"), timeout=SHORT_S, body_limit_kb=0)
case("stream-not-followed", then_hold(redirect("/ok", length=100)), up(302, **NOT_READ),
     follow_redirects=0, expect_status="302", body_limit_kb=0)
case("body-at-limit", response(b"x" * KB), up(body_bytes=KB, body_truncated=False),
     body_limit_kb=1)
case("body-over-limit", response(b"x" * (KB + 1)), up(body_bytes=KB, body_truncated=True),
     body_limit_kb=1)
case("match-across-limit", response(b"x" * (KB - 2) + b"well"),
     judged("regex_mismatch", "cut at body_limit_kb", body_regex_matched=False,
            body_truncated=True, failed_regex="well"), body_limit_kb=1, body_regex="well")
case("match-at-limit", response(b"x" * (KB - 4) + b"well" + b"x" * KB),
     up(body_regex_matched=True, body_truncated=True), body_limit_kb=1, body_regex="well")
case("empty-body", response(),
     judged("regex_mismatch", '^the body does not match "[.]"$', body_bytes=0,
            body_truncated=False, body_regex_matched=False, failed_regex="."), body_regex=".")
case("header-matches", response(b"", "X-A: 1", "x-a:  two "), up(),
     header_regex=["X-A: ^two$", "Content-Length: ^0$"], header_regex_not="X-A: ^3")
case("header-wrong", response(b"ok", "Content-Type: text/plain"),
     judged("header_mismatch", '^the header Content-Type is "text/plain", want "json"$'),
     header_regex="Content-Type: json")
case("header-absent-and-more", response(b"", status="500 No"),
     judged("http_status", r"^got 500, want 200-299 \(and 2 more\)$", code=500,
            body_regex_matched=False, failed_regex="x"), header_regex="X-A: .", body_regex="x")
case("header-forbidden", response(b"", "Server: nginx/1.2"),
     judged("header_mismatch", r'^the header Server is "nginx/1.2", want none with "\[0-9\]"$'),
     header_regex_not="Server: [0-9]")
case("header-folded", response(b"", "X-A: one", "  two", "\tthree"), up(),
     header_regex="X-A: ^one two three$")
case("header-of-interim-response",
     b"HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n" + response(b"", "X-B: 2"), up(),
     header_regex="X-B: 2", header_regex_not="X-A: .")
case("header-of-redirect", redirect("/ok", "X-A: 1"), up(redirects=1), header_regex_not="X-A: 1")
case("header-of-trailer", chunked(b"x", end=b"0\r\nX-A: 1\r\n\r\n"), up(),
     header_regex_not="X-A: 1")
case("headers-of-many-fields", response(b"", *["a:" + 8 * "a" + "!"] * 4500),
     judged("regex_limit", "hit a limit on the header a$"), header_regex="a: ^(?:(a|a|b)+)+$")
HEALTH = b'{"status": "ok", "queue": {"length": 250}, "jobs": [{"age": 5}], "version": "2.1"}'
case("json-holds", response(HEALTH), up(), body_json=[
    '$.status == "ok"', "$.queue.length > 100", "$.jobs.length == 1", "$.jobs[0].age < 3600",
    r"$.version =~ ^2\.", "$.jobs"])
case("json-wrong", response(HEALTH),
     judged("json_mismatch", r"^got 250, want \$.queue.length < 100$"),
     body_json=["$.status", "$.queue.length < 100"])
case("json-missing", response(HEALTH), judged("json_mismatch", r"^got nothing, want \$.none$"),
     body_json="$.none")
case("json-not", response(b"<p>"), judged("json_mismatch", "^the body is not JSON$"),
     body_json="$.status")
case("json-empty", response(), judged("json_mismatch", "^the body is not JSON$"), body_json="$")
case("json-cut", response(b"[" + 2000 * b"1," + b"1]"),
     judged("json_mismatch", r"^the body is not JSON \(it was cut at body_limit_kb\)$",
            body_truncated=True), body_limit_kb=1, body_json="$.length > 1")
case("json-other-encodings", response(HEALTH.decode().encode("utf-16")),
     judged("json_mismatch", "^the body is not JSON$"), body_json="$.status")
case("json-compressed", encoded("gzip", gzip.compress(HEALTH)), up(), body_json="$.status")
case("json-deep", response(100000 * b"["), limited("nested too deeply$"), body_json="$[0]")
case("json-of-many-values", response(b"[0" + 500000 * b",0" + b"]"),
     {**limited("too many values$|^got 0, want"), "error_type": either("local", "json_mismatch"),
      "status": either("unknown", "down")}, body_json="$[0] == 1")
case("json-duplicates", response(b'{"a":1,"a":2}'), up(), body_json="$.a == 1")
case("json-nul", response(b'{"a":1}\0'), judged("json_mismatch", "^the body is not JSON$"),
     body_json="$.a")
case("body-too-small", response(b"error"),
     judged("body_size", "^the body has 5 bytes, want at least 6$"), min_body_bytes=6)
case("body-too-large", response(b"12345"),
     judged("body_size", "^the body has 5 bytes, want at most 4$"), max_body_bytes=4)
case("body-larger-than-limit", response(1025 * b"x"),
     judged("body_size", "^the body has more than 1024 bytes, want at most 1024$", body_bytes=1024,
            body_truncated=True), body_limit_kb=1, max_body_bytes=1024)
case("body-as-large-as-limit", response(1024 * b"x"), up(body_bytes=1024, body_truncated=False),
     body_limit_kb=1, min_body_bytes=1024, max_body_bytes=1024)
case("sample", response(b"out of \x00memory\xff\n", status="500 X"),
     judged("http_status", code=500, body_sample="out of  memory\ufffd "), body_sample=True)
case("sample-not-asked-for", response(b"out of memory", status="500 X"),
     judged("http_status", code=500, body_sample=None))
case("sample-of-up", response(b"ok"), up(body_sample=None), body_sample=True)
case("sample-is-cut", response(300 * b"x", status="500 X"),
     judged("http_status", code=500, body_sample=253 * "x" + "\u2026", body_bytes=300),
     body_sample=True)
case("sample-of-short-body", response(b"half", length=10),
     down("protocol", code=200, body_sample="half"), body_sample=True)
case("sample-of-pattern", response(500 * b"y"),
     judged("regex_mismatch", body_sample=253 * "y" + "\u2026", body_regex_matched=False,
            failed_regex="x"), body_sample=True, body_regex="x")
case("body-of-right-size", encoded("gzip", gzip.compress(5 * b"x")), up(), min_body_bytes=5,
     max_body_bytes=5)
case("empty-body-matches", response(), up(body_regex_matched=True), body_regex="^$")
case("empty-body-not", response(), up(body_regex_matched=True), body_regex_not="error")
case("body-latin-1", response(b"caf\xe9 ol\xe9"), up(body_regex_matched=True),
     body_regex="^caf.* ol|caf")
case("body-utf-16", response("all is well".encode("utf-16")),
     judged("regex_mismatch", body_regex_matched=False, failed_regex="well"), body_regex="well")
case("body-binary", response(bytes(range(256)) + b"needle" + bytes(reversed(range(256)))),
     up(body_regex_matched=True), body_regex="needle")
case("body-nul", response(b"a\0\0needle\0"), up(body_regex_matched=True), body_regex="needle")
case("several-patterns", response(b"one two three"),
     judged("regex_mismatch", 'does not match "four"', body_regex_matched=False,
            failed_regex="four"),
     body_regex=["one", "four", "five"])
case("pattern-not", response(b"all is well, no error"),
     judged("regex_mismatch", 'matches "error", which it must not', body_regex_matched=False,
            failed_regex="error"),
     body_regex="well", body_regex_not=["fatal", "error"])
case("status-before-pattern", response(b"oops", status="500 X"),
     judged("http_status", code=500, body_regex_matched=False, failed_regex="well"),
     body_regex="well")
case("pattern-explodes", response(b"a" * 40 + b"!"),
     judged("regex_limit", "limit", body_regex_matched=None, failed_regex="^(a+)+$"),
     body_regex="^(a+)+$")
case("pattern-quadratic", response(b"a" * 512 * KB + b"b!"),
     judged("regex_limit", "limit", body_regex_matched=None, failed_regex="(?<!z)[ac]*b\\d"),
     body_regex="(?<!z)[ac]*b\\d")
case("pattern-blanks", response(b" " * 512 * KB + b"xfoo"),
     judged("regex_mismatch", failed_regex="\\s+foo"),
     body_regex="\\s+foo")

# Redirects.
case("redirect", redirect("/ok"), up(redirects=1, redirect_ms=KNOWN,
                                     final_url=re.compile(r"^http://127\.0\.0\.1:\d+/ok$")))
for code in (300, 301, 303, 307, 308):
    case(f"redirect-{code}", redirect("/ok", status=f"{code} X"), up(redirects=1))
case("redirect-two", redirect("/redirect"), up(redirects=2, final_url=re.compile("/ok$")))
case("redirect-to-name", redirect("http://localhost:{plain_port}/ok"),
     up(final_url=re.compile("^http://localhost:")))
case("redirect-to-name-over-tls", redirect("https://localhost:{tls_port}/ok"),
     up(final_url=re.compile("^https://localhost:")), verify_tls=False)
case("redirect-protocol-relative", redirect("//127.0.0.1:{plain_port}/ok"), up(redirects=1))
case("redirect-relative", redirect("ok"), up(final_url=re.compile("/ok$")))
case("redirect-dots", redirect("../../x/../ok"), up(final_url=re.compile("/ok$")))
case("redirect-fragment", redirect("/ok#part"), up(redirects=1))
case("redirect-blank", redirect("/ok?a b"), up(redirects=1, final_url=re.compile("a[+]b$")))
case("redirect-latin-1", redirect("/ok?caf\xe9"), up(redirects=1))
case("redirect-long", redirect("/ok?" + "y" * 2048),
     up(redirects=1, final_url=lambda url: len(url.encode()) <= 512 and url.endswith("…")))
case("redirect-password", redirect("http://someone:secret-word@127.0.0.1:{plain_port}/ok"),
     up(redirects=1, final_url=re.compile(r"^http://127\.0\.0\.1:\d+/ok$")))
case("redirect-cut", redirect("/ok", length=1000),
     {"error_type": either(None, "protocol"), "http_status_code": either(200, 302)})
case("redirect-with-body", redirect("/ok", length=None) + b"moved", up(redirects=1))
case("redirect-endless-body", for_ever(redirect("/ok", length=None), b"x" * 65536),
     up(redirects=1))
case("redirect-twice", redirect("/ok", "Location: /status-500"),
     {"error_type": either(None, "protocol"), "http_status_code": either(None, 200)})
case("redirect-to-error", redirect("/status-500"),
     judged("http_status", code=500, redirects=1))
case("redirect-to-silence", redirect("/silence"),
     down("timeout", "waiting", code=302, redirects=1, final_url=re.compile("/silence$")),
     timeout=SHORT_S)
case("redirect-slow", later(0.3, redirect("/redirect-slow")),
     down("timeout", code=302, redirects=at_least(1), redirect_ms=at_least(250)),
     timeout=3.0, follow_redirects=20)
case("redirect-to-refused", redirect("http://127.0.0.1:{refused_port}/"),
     down("connect", code=302, redirects=1, final_url=re.compile(":[0-9]+/$")))
case("redirect-to-port-0", redirect("http://127.0.0.1:0/"), down("connect", code=302))
case("redirect-to-unknown-name", redirect("http://no-such-host.invalid/x"),
     {**down("dns", code=302, redirects=1, final_url="http://no-such-host.invalid/x"),
      "status": either("down", "unknown"), "error_type": either("dns", "local")})
case("redirect-to-000", redirect("/status-000"), down("protocol", code=302, redirects=1))
case("redirect-to-0.9", redirect("/http-0.9"), down("protocol", code=302, redirects=1))
case("redirect-to-tls", redirect("{https}/ok"),
     up(redirects=1, tls_ms=KNOWN, tls_version="TLSv1.3"), verify_tls=False)
case("redirect-to-bad-tls", redirect("{https}/ok"),
     down("tls", code=302, redirects=1, tls_version="TLSv1.3", cert_expires_at=KNOWN))
case("redirect-loop", redirect("/redirect-loop"),
     down("too_many_redirects", "5", code=302, redirects=5))
case("redirects-3-of-2", redirect("/redirect-two"),
     down("too_many_redirects", "2", code=302, redirects=2), follow_redirects=2)
case("redirects-3-of-3", redirect("/redirect-two"), up(redirects=3), follow_redirects=3)
for name, target, says in (
        ("file", "file:///etc/passwd", "followed, not file:///etc/passwd$"),
        ("ftp", "ftp://127.0.0.1/x", "followed, not ftp://127.0.0.1/x$"),
        ("gopher", "gopher://127.0.0.1/x", "followed, not gopher:"),
        ("scheme", "nonsense:x", "followed, not nonsense:x$"),
        ("javascript", "javascript:alert(1)", "followed, not javascript:")):
    case("redirect-to-" + name, redirect(target),
         down("redirect_refused", says, code=302, redirects=0, final_url=None))
for name, target, says in (
        ("garbage", "http://[::1/%zz", r'IPv6.*: "http://\[::1/%zz"$'),
        ("port", "http://someone:secret-word@127.0.0.1:99999/",
         '[Pp]ort.*: "http://127.0.0.1:99999/"$'),
        ("no-host", "http://", ': "http://"$'),
        ("latin-1-host", "http://b\xfccher.invalid/", ': "http://b�cher[.]invalid/"$'), ("long", "http://a b/" + "x" * 500, 'xx…"$')):
    case("redirect-to-" + name, redirect(target),
         down("protocol", r"^the redirect leads to no valid URL \(.*" + says, code=302, redirects=0,
              final_url=None))
case("redirect-then-file", redirect("/redirect-to-file"),
     down("redirect_refused", code=302, redirects=1, final_url=re.compile("/redirect-to-file$")))
case("redirect-from-tls", redirect("{http}/ok"),
     down("redirect_refused", "from https to http", code=302, redirects=0,
          tls_version="TLSv1.3", redirect_ms=0),
     url="{https}/redirect-from-tls", verify_tls=False)
case("redirect-to-tls-and-back", redirect("{https}/redirect-from-tls"),
     down("redirect_refused", code=302, redirects=1), verify_tls=False)
case("redirect-without-location", response(b"where?", status="302 Found"),
     judged("http_status", code=302, redirects=0, final_url=None))
case("redirect-to-nothing", redirect(""), {"http_status_code": 302})
case("redirect-not-followed", redirect("/ok"),
     judged("http_status", "got 302", code=302, redirects=0), follow_redirects=0)
case("cookie-wall", cookie_wall, up(redirects=1))
case("cookie-for-another", redirect("http://localhost:{plain_port}/echo",
                                    "Set-Cookie: sid=1; Path=/"),
     up(redirects=1), body_regex="Host: localhost", body_regex_not="sid=1")
case("echo", echo_request, up())
case("delete-303", redirect("/echo", status="303 See Other"), up(method="DELETE"),
     method="DELETE", body_regex="^GET /echo ")
case("put-302", redirect("/echo"), up(method="PUT"), method="PUT", body="a=1",
     body_regex=["^PUT /echo ", "\\r\\n\\r\\na=1$"])
case("put-303", redirect("/echo", status="303 See Other"), up(method="PUT"), method="PUT",
     body="a=1", headers=["Content-Type: text/plain"],
     body_regex=["^GET /echo ", "\\r\\n\\r\\n$"], body_regex_not="(?i)content-")
case("redirect-query-not-recorded", redirect("/ok?secret-word#secret-word"),
     up(redirects=1, url=re.compile("/redirect-query-not-recorded$"),
        final_url=re.compile("/ok$")), url="{http}/redirect-query-not-recorded?secret-word",
     record_query=False)
case("redirect-refused-and-not-recorded", redirect("ftp://x/?secret-word"),
     down("redirect_refused", "not ftp://x/$", 302), record_query=False)
case("redirect-of-a-query-alone", redirect("?secret-word=://secret-word"),
     down("too_many_redirects", "more than 5", 302,
          final_url=re.compile("/redirect-of-a-query-alone$")), record_query=False)
case("redirect-malformed-and-not-recorded", redirect("http://:x/?secret-word"),
     down("protocol", "http://:x/\"$", 302), record_query=False)
case("redirect-expected", redirect("/ok"), up(302, redirects=0), follow_redirects=0,
     expect_status="301,302")

# What is sent.
case("sends-headers", echo_request, up(body_regex_matched=True), headers=["X-Probe: a b"],
     user_agent="tester/1", body_regex=["GET /", "X-Probe: a b\\r\\n", "User-Agent: tester/1\\r",
                                        "Accept-Encoding: .*gzip"])
case("sends-utf-8", echo_request, up(url=re.compile("/sends-utf-8/ü[?]q=ä&r=[{]1[}]$")),
     url="{http}/sends-utf-8/ü?q=ä&r={{1}}",
     body_regex="^GET /sends-utf-8/%C3%BC\\?q=%C3%A4&r=\\{1\\} ")
case("sends-body", echo_request, up(body_regex_matched=True, method="PUT"), method="PUT",
     body='{"a": 1}', body_regex=["^PUT ", "\\r\\n\\r\\n\\{\"a\": 1\\}$"])
case("no-secrets-in-messages", redirect("ftp://x/"), down("redirect_refused", code=302),
     headers=["Authorization: Bearer secret-word"])


# --- the server -------------------------------------------------------------------------------

class Server:
    """All of the table; from the constructor to stop()."""

    def __init__(self, directory):
        self.over = threading.Event()
        self.directory = directory
        self.paths = {c.name: c for c in CASES if c.answer is not None}
        self._sockets = []
        authority = self._file("hostile-ca.pem"), self._file("hostile-ca.key")
        certs.authority(*authority, "hostile authority")
        self._authority = authority
        self.names = {
            "plain_port": self._listen(self._serve_path),
            "tls_port": self._listen(self._serve_path, self._context("tls")),
            "refused_port": self._bind().getsockname()[1],
            "full_port": self._full(),
        }
        self.names["http"] = f"http://127.0.0.1:{self.names['plain_port']}"
        self.names["https"] = f"https://127.0.0.1:{self.names['tls_port']}"
        for c in CASES:
            if any(own in c.site["url"] + c.site.get("proxy", "")
                   for own in ("{port}", "{number}")):
                # with a handshake by ssl, if the trouble comes after it
                after = (c.name.startswith(("h2", "proxy-tls")) or
                         isinstance(c.answer, bytes))
                outer = c.site.get("proxy", c.site["url"])
                context = (self._context(c.name) if outer.startswith("https") and after
                           else None)
                c.port = self._listen(lambda client, case=c: self._answer(case, client), context)

    def _file(self, name):
        return os.path.join(self.directory, name)

    def _bind(self):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        self._sockets.append(s)
        return s

    def _full(self):
        """A port whose queue of connections is full: more of them get no answer."""
        listener = self._bind()
        listener.listen(0)
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(listener.getsockname())
            self._sockets.append(s)
        return listener.getsockname()[1]

    def _context(self, name):
        """How to serve TLS in a certain way."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = self._file(name + ".pem"), self._file(name + ".key")
        if name == "tls-self-signed":
            certs.authority(*pair, "127.0.0.1")
        elif name.startswith("tls-intermediate"):
            between = self._file("between.pem"), self._file("between.key")
            certs.signed(*self._authority, *between, "intermediate",
                         days=-1 if "expired" in name else 5, intermediate=True)
            certs.signed(*between, *pair, name)
            with open(pair[0], "a", encoding="ascii") as chain, open(
                    between[0], encoding="ascii") as f:
                chain.write(f.read())
        else:
            hosts = {"tls-wrong-host": "DNS:elsewhere.example", "tls-no-alternative-name": None,
                     "tls-server-name": "DNS:elsewhere.example",
                     "tls-server-name-of-another": "DNS:elsewhere.example",
                     "tls-server-name-ends": "DNS:elsewhere.example"}
            common_name = "127.0.0.1" if name == "tls-no-alternative-name" else name
            certs.signed(*self._authority, *pair, common_name,
                         hosts.get(name, "IP:127.0.0.1"), days=-1 if "expired" in name else 30)
        context.load_cert_chain(*pair)
        if name.startswith("h2"):
            context.set_alpn_protocols(["h2"])
        if name in ("tls-server-name", "tls-server-name-unverified", "tls-server-name-unknown"):
            context.sni_callback = lambda sock, asked, _: (
                None if asked == "elsewhere.example" else
                ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
        if name.startswith("tls-1.0"):
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it is bad, and that is the point
                context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        elif name.endswith("-1.2") or name == "tls-1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if name.startswith("tls-client-certificate"):
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self._authority[0])
        return context

    def _listen(self, serve, context=None):
        listener = self._bind()
        listener.listen(256)

        def one(sock):
            try:
                sock.settimeout(HOLD_S)
                if context is not None:
                    sock = context.wrap_socket(sock, server_side=True,
                                               suppress_ragged_eofs=False)
                serve(Client(sock, self))
            except OSError:
                pass  # clients that give up are what this is about
            finally:
                # not by shutdown(2) alone: what is unread would become a reset
                sock.close()

        def accept():
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(sock,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return listener.getsockname()[1]

    def fill(self, data):
        """Ports in answers."""
        for name in self.names:
            data = data.replace(b"{%s}" % name.encode(), str(self.names[name]).encode())
        return data

    def _serve_path(self, client):
        while b"\r\n\r\n" not in client.request:
            piece = client.sock.recv(65536)
            if not piece:
                return
            client.request += piece
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", client.request)
        while length and len(client.request.partition(b"\r\n\r\n")[2]) < int(length.group(1)):
            client.request += client.sock.recv(65536)
        name = re.split(r"[/?]", client.request.split()[1].decode("latin-1"), maxsplit=2)[1]
        if name in self.paths:
            self._answer(self.paths[name], client)
        else:
            client.send(response(status="404 Not Found"))

    def _answer(self, c, client):
        if callable(c.answer):
            c.answer(client)
            return
        if not client.request:
            client.request = client.sock.recv(65536)
        client.send(self.fill(c.answer))

    def sites(self):
        """The table as sites of a configuration."""
        found = []
        for c in CASES:
            own = {key: c.site[key].format(port=f"127.0.0.1:{c.port}", number=c.port, **self.names)
                   for key in ("url", "proxy") if key in c.site}
            found.append({"name": c.name, "interval": 60, "timeout": LONG_S, **c.site, **own})
        return found

    def stop(self):
        self.over.set()
        for s in self._sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # not all of them are connected
            s.close()


def wrong_with(expected, record):
    """Which fields of a record are not as in the table."""
    wrong = []
    for name, value in expected.items():
        found = record[name]
        if isinstance(value, re.Pattern):
            good = found is not None and value.search(str(found)) is not None
        elif callable(value):
            good = value(found)
        else:
            good = found == value
        if not good:
            want = getattr(value, "pattern", getattr(value, "__name__", repr(value)))
            wrong.append(f"{name} is {found!r}, not {want}")
    return wrong


def main(argv):
    directory = argv[0] if argv else tempfile.mkdtemp(prefix="hostile-")
    server = Server(directory)
    sites = server.sites()
    for c, site in zip(CASES, sites):
        print(f"{c.name:28s} {c.expected.get('error_type') or 'up':20} {site['url'][:120]}")
    file = os.path.join(directory, "hostile.conf")
    with open(file, "w", encoding="utf-8") as f:
        f.write(daemon.render({
            "instance": "hostile", "user": context.USER if context.ROOT else None,
            "log": {"destination": "stderr"}, "workers": {"min": 4, "max": 32}, "sites": sites}))
    print(f"\nwebmond --once -c {file}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
