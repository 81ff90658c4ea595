# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Clients of the control socket that do harm, while the daemon has enough to do.

import os
import signal
import socket
import threading
import time

from harness import daemon, fault, needs, procs, require

# complete requests and none, with and without a reader
NOISE = (b"sites all\n", b"spool\n", b"stat", b"", b"\n", b"\0" * 100, b"x" * 5000,
         b"GET / HTTP/1.1\r\n\r\n", b"site \xff\xfe\n", b"status\nstatus\nstatus\n", b"reload now\n")


class Nuisance:
    """Clients that send one of these, read a little or nothing, and leave at some time."""

    def __init__(self, t):
        self.t = t
        self.clients = 0
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(8)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        held = []
        while not self.over.wait(0.002 * (number + 1)):
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(1)
            try:
                client.connect(self.t.path("ctl"))
                self.clients += 1
                client.sendall(NOISE[self.clients % len(NOISE)] or os.urandom(200))
                if number % 2:
                    client.recv(1 << (self.clients % 16))
            except OSError:
                pass
            held.append(client)
            if len(held) > 10 + number:
                held.pop(0).close()
        for client in held:
            client.close()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


@fault("65", "clients of the control socket that are stuck, slow, silent, gone or send garbage, some "
       "hundreds at a time, while publisher and checkers are killed and the configuration is loaded anew",
       "each slot has its record, no check is late for it, nothing leaks, and who asks is answered")
@needs("kafka")
def test_clients_that_do_harm(t):
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(200), topic)).start()
    topic.wait_rounds(d.settings["sites"], 2)
    before = len(procs.open_files(d.pid))
    nuisance = Nuisance(t)
    answered = []
    for n in range(t.times(40, 10)):
        if n % 4 == 1:
            procs.kill(d.publisher())
        elif n % 4 == 2:
            procs.kill(d.born("checker 1"))
        elif n % 4 == 3:
            d.signal(signal.SIGHUP)
        began = time.monotonic()
        done = procs.run([daemon.control(), "-s", t.path("ctl"), "sites", "up-00*"], 120)
        require(done.returncode == 0 or "ask again" in done.stderr, done.stdout + done.stderr)
        answered.append(time.monotonic() - began)
        procs.let_pass(0.3, "until the next blow")
    nuisance.stop()
    require(nuisance.clients > 100, f"only {nuisance.clients} clients")
    procs.wait_for(lambda: len(procs.open_files(d.pid)) <= before + 2, 60, "descriptors leak")
    topic.wait_rounds(d.settings["sites"], 1)
    d.stop()
    summary = topic.check(at_least=400, every_slot=True)
    t.report(summary, note=f"{nuisance.clients} clients, the slowest answer took "
             f"{max(answered):.1f} s")
