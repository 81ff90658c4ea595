# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# What is checked: nginx on a thousand addresses of 127/8, so that no connection waits for a port,
# with a page of 10 KB that ends in a pattern. Its log says what was asked for, and when. Behind it
# is slow.py, for sites that take their time; names.py is the name server of those with a name.

import bisect
import functools
import grp
import os
import pwd
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
from collections import defaultdict

from harness import Failure, Skip, certs, procs

ADDRESSES = [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(1000)]
# a certificate names each; with several ports, so that 500 sites are as many hosts
TLS_ADDRESSES = ADDRESSES[:4]
TLS_PORTS = 125
PATTERN = "Add to cart"
PAGE = (b"<p>All work and no play makes a dull page.</p>\n" * 216 +
        PATTERN.encode() + b"\n</html>\n")

# where systems keep the authorities they trust
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")

_CONFIG = """daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 40000;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 30000; }}
http {{
    log_format hits '$msec $request_time $request_uri $connection_requests';
    access_log {directory}/hits.log hits;
    keepalive_timeout 300;
    keepalive_requests 1000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    default_type text/html;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=10;
    ssl_protocols TLSv1.2 TLSv1.3;
    root {directory}/www;
    server {{
{http}
        location /up/ {{ rewrite ^ /page.html break; }}
        location /hang/ {{ rewrite ^ /page.html break; limit_rate 1; }}
        location /slow/ {{ proxy_pass http://unix:{directory}/slow.socket; }}
    }}
{tls}
}}
"""

_TLS_SERVER = """    server {{
{listen}
        ssl_certificate {directory}/{kind}.cert;
        ssl_certificate_key {directory}/{kind}.key;
        location / {{ rewrite ^ /page.html break; }}
        location /slow/ {{ proxy_pass http://unix:{directory}/slow.socket; }}
        location = /page.html {{ internal; }}
    }}"""

_KEYS = {"p256": certs.P256, "rsa": certs.RSA2048}


def _user():
    if os.geteuid() != 0:
        return ""
    group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
    return f"user nobody {group};"


def _nginx():
    return shutil.which("nginx") or "/usr/sbin/nginx"


def version():
    return procs.run([_nginx(), "-v"]).stderr.strip().replace("nginx version: ", "")


@functools.lru_cache(None)
def can_mount():
    """Whether a process may have mounts of its own."""
    return procs.run(["unshare", "--mount", "true"]).returncode == 0


def _here(name):
    return os.path.join(os.path.dirname(__file__), name)


class Target:
    """nginx, from the constructor to stop(). Kinds of sites: http, p256, rsa."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(self.path("www"))
        with open(self.path("www", "page.html"), "wb") as f:
            f.write(PAGE)
        free = procs.free_ports(1 + len(_KEYS) * TLS_PORTS, "0.0.0.0")
        self.ports = {"http": free[:1]}
        for i, kind in enumerate(_KEYS):
            self.ports[kind] = free[1 + i * TLS_PORTS:][:TLS_PORTS]
        for kind, key in _KEYS.items():
            self._certify(kind, key)
        self._write_bundle()
        self.name_server = f"127.53.{random.randrange(256)}.{random.randrange(1, 255)}"
        with open(self.path("resolv.conf"), "w", encoding="ascii") as f:
            f.write(f"nameserver {self.name_server}\n")
        with open(self.path("nginx.conf"), "w", encoding="ascii") as f:
            f.write(_CONFIG.format(directory=directory, user=_user(),
                                   http=self._listen(ADDRESSES, "http", "backlog=4096"),
                                   tls="\n".join(map(self._tls_server, _KEYS))))
        self._start()

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def _listen(self, addresses, kind, options):
        return "\n".join(f"        listen {a}:{port} {options};" for a in addresses
                         for port in self.ports[kind])

    def _tls_server(self, kind):
        return _TLS_SERVER.format(directory=self.directory, kind=kind,
                                  listen=self._listen(TLS_ADDRESSES, kind, "ssl backlog=4096"))

    # --- authorities ---------------------------------------------------------------------

    def authority(self, kind):
        """The file with the certificate of who has signed for that kind of sites."""
        return self.path(f"{kind}-ca.cert")

    def _certify(self, kind, key):
        ca = self.authority(kind), self.path(f"{kind}-ca.key")
        certs.authority(*ca, f"bench {kind} authority", key)
        certs.signed(*ca, self.path(f"{kind}.cert"), self.path(f"{kind}.key"), f"bench {kind}",
                     ",".join(f"IP:{a}" for a in TLS_ADDRESSES), key)

    def _write_bundle(self):
        """Those that the system trusts, and ours: what a real client has to load."""
        system = next((b for b in BUNDLES if os.path.exists(b)), None)
        if system is None:
            raise Skip("there is no bundle of authorities (Debian: ca-certificates)")
        self.system_bundle, self.bundle = system, self.path("bundle.pem")
        files = [system, *map(self.authority, _KEYS)]
        with open(self.bundle, "wb") as out:
            for name in files:
                with open(name, "rb") as f:
                    out.write(f.read())
        os.chmod(self.bundle, 0o644)

    # --- life ------------------------------------------------------------------------------

    def _start(self):
        self.names = procs.spawn([sys.executable, _here("names.py"), self.name_server],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.has_names = self.names.stdout.readline() != ""
        with open(self.path("nginx.err"), "wb") as err:
            self.backend = procs.spawn([sys.executable, _here("slow.py"),
                                        self.path("slow.socket")], stderr=err)
            self.process = procs.spawn([_nginx(), "-p", self.directory, "-c",
                                        self.path("nginx.conf")], stderr=err)
        procs.wait_for(self._answers, 20, lambda: f"nginx does not start:\n{self._errors()}")

    def _answers(self):
        if not self.runs():
            raise Failure(f"nginx or what is behind it ended:\n{self._errors()}")
        with socket.socket() as s:
            s.settimeout(1)
            return (s.connect_ex((ADDRESSES[-1], self.ports["http"][0])) == 0 and
                    os.path.exists(self.path("slow.socket")))

    def _errors(self):
        with open(self.path("nginx.err"), encoding="utf-8", errors="replace") as f:
            return f.read()[-2000:]

    def runs(self):
        return self.process.poll() is None and self.backend.poll() is None

    def pids(self):
        return {self.process.pid, *procs.descendants(self.process.pid), self.backend.pid,
                self.names.pid}

    def stop(self):
        procs.end(self.process, 5, signal.SIGTERM)
        procs.end(self.backend)
        procs.end(self.names)

    # --- for clients -----------------------------------------------------------------------

    def obstacle(self, load):
        """Why a client that knows only what its system knows cannot go there; None: it can."""
        if (load.is_tls or load.names) and not can_mount():
            return "needs mounts of its own, which only root may have"
        if load.names and not self.has_names:
            return f"no name server: cannot bind to port 53 of {self.name_server}"
        return None

    def prefix(self, load):
        """
        Before its command: it sees our authorities or our name server where it looks for the
        system's.
        """
        files = [self.bundle, self.system_bundle] if load.is_tls else []
        files += [self.path("resolv.conf"), "/etc/resolv.conf"] if load.names else []
        if not files:
            return []
        return ["unshare", "--mount", "sh", "-c",
                'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit; shift 2; done; shift; '
                'exec "$@"', "sh", *files, "--"]

    def url(self, n, kind="http", answer="up", domain=None):
        """
        Where site number `n` is; its path names it. `answer`: up, hang, or slow/MS; `domain`: of
        its name; without one it has only an address.
        """
        tls = kind in _KEYS
        addresses = TLS_ADDRESSES if tls else ADDRESSES
        ports = self.ports[kind]
        host = addresses[n % len(addresses)]
        if domain is not None:
            host = f"{host.replace('.', '-')}.{domain}"
        return (f"http{'s' if tls else ''}://{host}:{ports[n // len(addresses) % len(ports)]}"
                f"/{answer}/{n}")

    def mark(self):
        """The end of the log, for a later hits()."""
        return os.path.getsize(self.path("hits.log"))

    def hits(self, mark, interval_s, begin, end):
        """
        The Hits that began within two times of day, out of what was logged since `mark`; for the
        grids of sites also those of the interval before.
        """
        by_site, starts, reused = defaultdict(list), [], 0
        with open(self.path("hits.log"), "rb") as f:
            f.seek(mark)
            for line in f.read().splitlines():
                at, took, path, number_on_connection = line.split()
                start = float(at) - float(took)
                if begin - interval_s <= start < end:
                    by_site[path].append(start)
                if begin <= start < end:
                    starts.append(start)
                    reused += int(number_on_connection) > 1
        return Hits(by_site, sorted(starts), reused, interval_s, begin, end)


class Hits:
    """Requests as the target saw them; times in seconds, to the millisecond."""

    PEAK_S = 0.1

    def __init__(self, by_site, starts, reused, interval_s, begin, end):
        self.by_site = by_site
        self.starts = starts
        self.reused = reused  # how many were not the first on their connection
        self.interval_s = interval_s
        self.begin = begin
        self.window_s = end - begin

    @property
    def count(self):
        return len(self.starts)

    def jitter(self):
        """
        How far each start is from the grid of its site, in ms, ascending. A site's grid is the one
        that its own starts fit best: nobody is blamed for a phase of his own choice. Of sites with
        fewer than three starts nothing can be said.
        """
        found = []
        for times in self.by_site.values():
            if len(times) < 3:
                continue
            off = [(t - times[0] + self.interval_s / 2) % self.interval_s for t in times]
            middle = statistics.median(off)
            found += (abs(o - middle) * 1000 for o, t in zip(off, times) if t >= self.begin)
        return sorted(found)

    def peak(self):
        """The most starts within 0.1 s, as a multiple of an even spread."""
        most = max((bisect.bisect_left(self.starts, t + self.PEAK_S) - i
                    for i, t in enumerate(self.starts)), default=0)
        return most / (self.count * self.PEAK_S / self.window_s) if self.starts else 0.0


def percentile(ascending, share):
    """Of a sorted list, nearest rank; None when it is empty."""
    if not ascending:
        return None
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]
