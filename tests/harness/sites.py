# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Web sites to check: nginx for the many quick ones, and a small server of our own for what nginx
# cannot do: answers after a given time, and none at all. tests/hostile.py has the nasty ones.

import grp
import http.server
import os
import pwd
import shutil
import signal
import socket
import socketserver
import threading
from collections import Counter

from . import Failure, Skip, certs, procs

BINARY = shutil.which("nginx") or "/usr/sbin/nginx"
# several, so that many short connections have ports enough
ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")

_CONFIG = """daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 8192; }}
http {{
    log_format hits '$msec $uri $status';
    access_log {directory}/hits.log hits;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_timeout 5;
    default_type text/plain;
    gzip_min_length 1;
    server {{
        {listen}
        listen 127.0.0.1:{tls} ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {directory}/site.cert;
        ssl_certificate_key {directory}/site.key;
        location /ok/ {{ return 200 "all is well: Add to cart\\n"; }}
        location /down/ {{ return 500 "oops\\n"; }}
        location /away/ {{ return 503; }}
        location /moved/ {{ return 302 /ok$uri; }}
        location /loop/ {{ return 302 $uri; }}
        location /file/ {{ return 302 file:///etc/passwd; }}
        location /gzip/ {{ gzip on; gzip_types *; root {directory}/www; }}
        location /page/ {{ root {directory}/www; }}
    }}
}}
"""

# what /page/N.txt and /gzip/N.txt hold; the decompressed size of the latter
PAGE = b"".join(b"line %d of a page that gzip makes much smaller\n" % n for n in range(400))


def site(name, url, interval=1, timeout=1, **keys):
    return {"name": name, "url": url, "interval": interval, "timeout": timeout, **keys}


class Nginx:
    """nginx with a configuration of its own, from the constructor to stop(), or to start() again."""

    def __init__(self, directory):
        if not os.path.exists(BINARY):
            raise Skip("there is no nginx")
        self.directory = directory
        os.makedirs(os.path.join(directory, "www"))
        os.chmod(directory, 0o755)
        for name in ("page", "gzip"):
            os.makedirs(self._path("www", name))
            with open(self._path("www", name, "1.txt"), "wb") as f:
                f.write(PAGE)
        certs.authority(self._path("site-ca.pem"), self._path("site-ca.key"), "site authority")
        certs.signed(self._path("site-ca.pem"), self._path("site-ca.key"),
                     self._path("site.cert"), self._path("site.key"), "test site")
        self.port, self.tls_port = procs.free_ports(2, "0.0.0.0")
        with open(self._path("nginx.conf"), "w", encoding="ascii") as f:
            f.write(_CONFIG.format(
                directory=directory, tls=self.tls_port,
                user=self._user(),
                listen="\n        ".join(f"listen {a}:{self.port} backlog=4096;"
                                         for a in ADDRESSES)))
        self.start()

    def start(self):
        with open(self._path("nginx.err"), "wb") as err:
            self.process = procs.spawn([BINARY, "-p", self.directory, "-c", self._path("nginx.conf")],
                                       stderr=err)
        procs.wait_for(self._answers, procs.PATIENCE_S, lambda: f"nginx does not start:\n{self._errors()}")

    def _path(self, *names):
        return os.path.join(self.directory, *names)

    @staticmethod
    def _user():
        if os.geteuid() != 0:
            return ""
        group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
        return f"user nobody {group};"

    def _errors(self):
        text = ""
        for name in ("nginx.err", "error.log"):
            if os.path.exists(self._path(name)):
                with open(self._path(name), encoding="utf-8", errors="replace") as f:
                    text += f.read()
        return text

    def _answers(self):
        if self.process.poll() is not None:
            raise Failure(f"nginx ended:\n{self._errors()}")
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, path, address=0):
        return f"http://{ADDRESSES[address % len(ADDRESSES)]}:{self.port}/{path}"

    def many(self, count, interval=1, prefix="up", timeout=1):
        """So many sites that are up, each with a path of its own."""
        return [site(f"{prefix}-{n:03d}", self.url(f"ok/{prefix}-{n:03d}", n), interval, timeout)
                for n in range(count)]

    def tls_url(self, path):
        return f"https://127.0.0.1:{self.tls_port}/{path}"

    def hits(self):
        """How often each path was asked for; call it when all is quiet."""
        procs.let_pass(0.1, "nginx writes the line of a request after its answer")
        with open(self._path("hits.log"), encoding="utf-8", errors="replace") as f:
            return Counter(line.split()[1] for line in f)

    def _requests(self):
        with open(self._path("hits.log"), "rb") as f:
            return f.read().count(b"\n")

    def wait_asked(self, times, seconds=60):
        """Until it was asked so many times from now on, whether Kafka is there or not."""
        enough = self._requests() + times
        procs.wait_for(lambda: self._requests() >= enough, seconds,
                       lambda: f"{enough - self._requests()} of {times} requests did not come")

    def unrecorded(self, begun, below="/"):
        """How many requests for paths `below` are not among the checks `begun`, a Counter by site."""
        return sum(max(0, n - begun[path.rsplit("/", 1)[1]])
                   for path, n in self.hits().items() if path.startswith(below))

    def stop(self):
        procs.end(self.process, 5, signal.SIGQUIT)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        action, _, rest = self.path.lstrip("/").partition("/")
        self.server.hits[self.path] += 1
        before = self.server.clients.get(self.path, self.client_address)
        self.server.moves += before != self.client_address
        self.server.clients[self.path] = self.client_address
        if action == "delay":  # /delay/MS/…
            self.server.over.wait(int(rest.partition("/")[0]) / 1000)
        elif action == "hang" or (action == "fall" and
                                  self.server.hits[self.path] > int(rest.partition("/")[0])):
            self.server.over.wait(120)
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *args):
        pass


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        pass  # clients that give up are what this is about


class Slow:
    """
    A server with /delay/MS/…, /hang/… and /fall/N/…, which hangs after N answers, in threads of
    this process.
    """

    def __init__(self):
        threading.stack_size(256 * 1024)
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.over = threading.Event()
        self.server.hits = Counter()
        self.server.clients = {}  # of each path the last one
        self.server.moves = 0  # how often that was another one than before
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    def asked(self):
        """How often, for anything."""
        return sum(list(self.server.hits.values()))

    def wait_asked(self, times=1, seconds=60):
        """Until it was asked so many times from now on."""
        enough = self.asked() + times
        procs.wait_for(lambda: self.asked() >= enough, seconds,
                       lambda: f"{enough - self.asked()} of {times} requests did not come", 0.01)

    def stop(self):
        self.server.over.set()
        self.server.shutdown()
        self.server.server_close()


class _MoodyHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rsplit("/", 1)[1]
        words = self.path.split("/")[1].split(",")
        word = words[min(self.server.hits[name], len(words) - 1)]
        self.server.hits[name] += 1
        if word == "hang":
            self.server.over.wait(120)
            return
        self.send_response(int(word))
        self.end_headers()
        self.wfile.write(b"a" * 100 + b"!")

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


class Moody:
    """
    A server where /WORD,WORD…/NAME answers as its words say, one request after the other and the
    last one for ever: a status, or `hang`. `hits`: requests by NAME.
    """

    def __init__(self):
        self.server = _Server(("127.0.0.1", 0), _MoodyHandler)
        self.server.over = threading.Event()
        self.hits = self.server.hits = Counter()
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_address[1]}/{path}"

    def stop(self):
        self.server.over.set()
        self.server.shutdown()
        self.server.server_close()


class Refused:
    """A port where connections are refused: bound, but nobody listens."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def stop(self):
        self.socket.close()
