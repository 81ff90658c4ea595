# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The web sites of the demo, good and bad ones, on ports of 127.0.0.1. tests/demo imports this,
# starts them all in its own process, and puts SITES into the configuration of the daemon.

import http.server
import os
import socket
import ssl
import subprocess
import threading
import time

# name, where, further keys of the site's configuration
SITES = [
    ("fast", "http/page", 'interval = 2; body_regex = "Add to cart";'),
    ("flapping", "http/flapping", "interval = 2;"),
    ("slow", "http/slow", ""),
    ("moved", "http/moved", ""),
    ("hanging", "http/hanging", "timeout = 1;"),
    ("broken", "http/broken", ""),
    ("wrong-text", "http/closed", 'body_regex = "Add to cart";'),
    ("refused", "refused/", ""),
    ("self-signed", "https/page", ""),
]

SHOP = b"<title>Shop</title><h1>One small thing</h1><button>Add to cart</button>\n"
CLOSED = b"<title>Shop</title><h1>We will be back soon</h1>\n"
FLAP_UP_S = 9
FLAP_DOWN_S = 6


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body=b"", headers=()):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        server = self.server
        if self.path == "/page":
            self.answer(200, SHOP)
        elif self.path == "/slow":
            server.stop.wait(0.4)
            self.answer(200, SHOP)
        elif self.path == "/moved":
            self.answer(302, headers=[("Location", "/page")])
        elif self.path == "/hanging":
            server.stop.wait(5)
            self.close_connection = True
        elif self.path == "/broken":
            self.answer(500, b"Oops\n")
        elif self.path == "/closed":
            self.answer(200, CLOSED)
        elif self.path == "/flapping":
            age = (time.monotonic() - server.born) % (FLAP_UP_S + FLAP_DOWN_S)
            if age < FLAP_UP_S:
                self.answer(200, SHOP)
            else:
                self.answer(503, b"Too busy\n")
        else:
            self.answer(404)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, stop):
        self.stop = stop
        self.born = time.monotonic()
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request, client_address):
        pass  # clients that give up are what this is about

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self.server_address[1]


class Sites:
    """All of them, from the constructor until close()."""

    def __init__(self, directory):
        self.stop = threading.Event()
        self.ports = {"http": Server(self.stop).start()}
        # bound, but nobody listens: connections are refused, and nobody else gets the port
        self.refused = socket.socket()
        self.refused.bind(("127.0.0.1", 0))
        self.ports["refused"] = self.refused.getsockname()[1]
        context = self.self_signed(directory)
        if context is not None:
            server = Server(self.stop)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            self.ports["https"] = server.start()

    @staticmethod
    def self_signed(directory):
        """A context with a certificate that nobody has reason to trust; None without openssl(1)."""
        key, cert = os.path.join(directory, "key.pem"), os.path.join(directory, "cert.pem")
        try:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                 "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError):
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        os.unlink(key)
        os.unlink(cert)
        return context

    def config(self):
        """The entries of `sites` in webmond.conf, as a list."""
        entries = []
        for name, where, keys in SITES:
            listener, path = where.split("/", 1)
            if listener not in self.ports:
                continue
            scheme = "https" if listener == "https" else "http"
            url = f"{scheme}://127.0.0.1:{self.ports[listener]}/{path}"
            entries.append(" ".join(f'{{ name = "{name}"; url = "{url}"; {keys}'.split()) + " }")
        return entries

    def close(self):
        self.stop.set()
        self.refused.close()
