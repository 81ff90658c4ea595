# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# A web server that asks who is there, and remembers all that it was told.

import hashlib
import http.server
import json
import re
import socketserver
import ssl
import threading
import urllib.parse

NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c093"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size)
        owner = self.server.owner
        owner.seen.append(f"{self.requestline}\n{self.headers}\n".encode() + body)
        if self.server.tls is not None:
            owner.shown.append(self.connection.getpeercert())
        url = urllib.parse.urlsplit(self.path)
        status, headers = 200, []
        if url.path.startswith("/to/"):
            status, headers = int(url.path[4:7]), [("Location", urllib.parse.unquote(url.query))]
        elif url.path == "/digest":
            status = 200 if self._knows_digest(body) else 401
            stale = ", stale=true" if url.query == "stale" else ""
            headers = [("WWW-Authenticate", f'Digest realm="r", qop="auth", nonce="{NONCE}"{stale}')]
        elif url.path == "/authorization":
            status = 200 if self.headers.get("Authorization") == owner.wanted else 401
        text = b"fine" if status == 200 else b"not so"
        if url.path == "/who":
            text = self._who().encode()
        if url.path == "/echo":
            said = [v for k, v in self.headers.items()
                    if k in ("Authorization", "Proxy-Authorization", "X-Key", "Cookie")]
            headers = [("X-Echo", v) for v in said]
            text = json.dumps({"got": " ".join([*said, body.decode()])}).encode()
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_HEAD = answer

    def _who(self):
        subject = dict(rdn[0] for rdn in (self.connection.getpeercert() or {}).get("subject", ()))
        return (f"certificate {subject.get('commonName')}, asked for "
                f"{getattr(self.connection, 'asked_for', None)}, {self.request_version}, "
                f"authorization {self.headers.get('Authorization')}")

    def _knows_digest(self, body):
        """RFC 7616 with MD5 and qop=auth, for owner.wanted = (user, password)."""
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', self.headers.get("Authorization") or ""))
        user, password = self.server.owner.wanted

        def md5(*words):
            return hashlib.md5(":".join(words).encode()).hexdigest()

        if given.get("nonce") != NONCE or given.get("username") != user:
            return False
        return given["response"] == md5(md5(user, "r", password), NONCE, given["nc"],
                                        given["cnonce"], "auth", md5(self.command, self.path))

    def log_message(self, *args):
        pass


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128
    tls = None

    def finish_request(self, request, client_address):
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)
        if self.tls is not None:
            request.close()

    def handle_error(self, request, client_address):
        pass


class Guarded:
    """
    /to/STATUS?URL redirects, /digest and /authorization want `wanted`, /who says who asks, /echo what
    it was told, in headers and in JSON, anything else is fine.
    `seen`: the requests, as bytes; `shown`: the certificates of their clients. With `cert` and `key` over TLS; with `clients`, a file of
    authorities, clients show a certificate, or must if `strict`.
    """

    def __init__(self, cert=None, key=None, clients=None, strict=True):
        self.seen, self.shown, self.wanted = [], [], None
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.owner = self
        self.port = self.server.server_address[1]
        self.scheme = "http"
        if cert is not None:
            self.scheme = "https"
            self.server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.server.tls.load_cert_chain(cert, key)
            self.server.tls.sni_callback = (
                lambda connection, name, _: setattr(connection, "asked_for", name))
            if clients is not None:
                self.server.tls.load_verify_locations(clients)
                self.server.tls.verify_mode = ssl.CERT_REQUIRED if strict else ssl.CERT_OPTIONAL
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()

    def url(self, path, host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def to(self, url, status=302):
        return self.url(f"/to/{status}?{urllib.parse.quote(url, safe='')}")

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
