# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The status page: a control socket that answers whatever a test wants, and a browser that shows what
# webmondctl makes of it.

import datetime
import json
import os
import random
import shutil
import socket
import threading

from . import Failure, Skip, procs, require

NOW = datetime.datetime(2026, 11, 29, 14, 20, 5, tzinfo=datetime.timezone.utc)


def moment(seconds_ago):
    at = NOW - datetime.timedelta(seconds=seconds_ago)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status(**members):
    return {"type": "status", "version": "1.1.0", "stage": "running", "epoch":
            "20261126T091500Z-eca4c1d56204660e", "uptime_s": 277505.2, "checks_per_s": 3.4,
            "lateness_p50_ms": 0.12, "lateness_p99_ms": 1.8, "checkers": 8, "checkers_busy": 1,
            "checkers_max": 64, "checks_queued": 0, "topic": "webmond.results",
            "kafka": "delivering", "kafka_since": moment(277500), "kafka_error": None,
            "spool_records": 2, "spool_oldest_at": moment(0.3), "spool_bytes": 1258291,
            "spool_max_bytes": 536870912, "dead_letters": 0, "dropped": 0, **members}


def result(site, slot_s, ms, code=200, error=None):
    return {"type": "result", "site": site, "status": "up" if error is None else
            "unknown" if error in ("local", "aborted") else "down", "error_type": error,
            "scheduled_at": moment(slot_s), "http_status_code": code, "elapsed_ms": ms}


def site(name, labels, results, message=None, url=None):
    """A site and its results, latest first."""
    streak = 0
    while streak < len(results) and results[streak]["status"] == results[0]["status"]:
        streak += 1
    first = results[0] if results else {"status": None, "error_type": None}
    return [{"type": "site", "site": name, "status": first["status"], "status_since":
             results[streak - 1]["scheduled_at"] if results else None, "streak": streak or None,
             "error_type": first["error_type"], "error_message": message,
             "url": url or f"https://{name}.example/", "labels": labels}, *results]


def steady(name, labels, ms, interval=30, bad=(), message=None, error="http_status", code=503):
    """Results with some that are bad, by their number from the last one."""
    chance = random.Random(name)
    return site(name, labels, [
        result(name, 4 + i * interval, round(ms * chance.uniform(0.85, 1.2) +
               (ms if chance.random() < 0.1 else 0), 1), *((code, error) if i in bad else ()))
        for i in range(20)], message)


def demo():
    """Some sites of a shop, as they might be."""
    return [status(),
            *steady("shop", "team=web", 84), *steady("search", "team=web", 140),
            *steady("checkout", "team=payments", 210, bad=range(5), message=
                    "got 503, want 200-299"),
            *steady("invoices", "team=payments", 65, bad=(9, 10)),
            *steady("refunds", "team=payments", 71),
            *steady("images", "team=web", 18, bad=(14,)),
            *steady("partner-feed", "team=data", 640, 60, bad=range(3), error="local", code=None,
                    message="the lookup of the name failed: no name server answers"),
            *steady("reports", "team=data", 330, 60), *site("archive", "team=data", [])]


class Told:
    """A control socket at `path`, that answers with the lines of `answer`."""

    def __init__(self, path, answer):
        self.answer = answer
        self.path = path
        self.now = moment(0)
        self.asked = 0
        self.socket = None
        self.listen()

    def listen(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(8)
        threading.Thread(target=self.serve, args=(self.socket,), daemon=True).start()

    def serve(self, listening):
        while True:
            try:
                client = listening.accept()[0]
            except OSError:
                return
            with client, client.makefile("rb") as request:
                wanted = request.readline().split()
                self.asked += 1
                lines = [x for x in self.answer if (x["type"] == "status") == (wanted == [b"status"])]
                lines = [{"type": "webmond", "protocol": 1, "now": self.now}, *lines,
                         {"type": "end", "ok": True, "error": None}]
                try:
                    client.sendall(b"".join(json.dumps(x).encode() + b"\n" for x in lines))
                except OSError:
                    pass

    def close(self):
        """The daemon has gone away."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        os.unlink(self.path)


class Browser:
    """Headless Chromium with a profile of its own in `directory`, and without a network."""

    def __init__(self, directory):
        self.program = shutil.which("chromium") or shutil.which("chromium-browser")
        if self.program is None:
            raise Skip("no chromium: apt install chromium")
        self.directory = directory

    def run(self, page, *options):
        """Returns what it says about the page, and its standard output."""
        log = os.path.join(self.directory, "chromium.log")
        environment = {**os.environ, "HOME": self.directory, "TZ": "UTC"}
        done = procs.run([self.program, "--headless", "--no-sandbox", "--disable-gpu",
                          "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
                          "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
                          f"--user-data-dir={self.directory}/profile", *options,
                          f"file://{page}"], 180, env=environment)
        with open(log, "a", encoding="utf-8") as out:
            out.write(done.stderr)
        require(done.returncode == 0, f"chromium: exit code {done.returncode}; see {log}")
        said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return said, done.stdout

    def dom(self, page):
        return self.run(page, "--dump-dom")

    def picture(self, page, png, width, height, dark=False):
        said, _ = self.run(page, f"--screenshot={png}", f"--window-size={width},{height}",
                           *(["--blink-settings=preferredColorScheme=0"] if dark else []))
        if not os.path.exists(png):
            raise Failure("chromium made no picture")
        return said
