# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The network between the daemon and Kafka, with its faults: a TCP proxy in threads of this process.

import select
import socket
import struct
import threading


class Proxy:
    """Passes connections to `port` on to `target` until told otherwise; both on 127.0.0.1."""

    PASS = "pass"
    FREEZE = "freeze"    # nothing goes through, nobody is told
    DEAF = "deaf"        # requests go through, answers do not

    def __init__(self, port, target):
        self.port, self.target = port, target
        self.mode = self.PASS
        self.cut_after = None  # so many bytes of requests
        self.over = False
        self.pairs = []
        self.lock = threading.Lock()
        self.listener = None
        self.fillers = []
        self.up()

    def _listen(self, backlog):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(backlog)

    def up(self):
        """Take connections again."""
        self._listen(64)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def down(self):
        """Refuse connections, and reset those that there are."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for s in self.fillers:
            s.close()
        self.fillers = []
        self.reset()

    def black_hole(self):
        """Nobody answers a SYN: the queue is full and stays so, until down() and up()."""
        self.down()
        self._listen(0)
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", self.port))
            self.fillers.append(s)

    def reset(self):
        """Both sides of all connections get an RST."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for s in pair:
                _abort(s)

    def stop(self):
        self.over = True
        self.down()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                if self.listener is not listener:
                    return
                continue  # nobody behind us: the client waits for ever
            with self.lock:
                if self.listener is not listener:  # down() while we connected
                    _abort(client)
                    _abort(server)
                    return
                self.pairs.append((client, server))
            threading.Thread(target=self._pass, args=(client, server), daemon=True).start()

    def _pass(self, client, server):
        try:
            while not self.over:
                mode = self.mode
                sources = {self.PASS: [client, server], self.DEAF: [client], self.FREEZE: []}[mode]
                ready = select.select(sources, [], [], 0.05)[0]
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        raise OSError("end of the connection")
                    if source is client:
                        data = self._cut(data, server)
                    (server if source is client else client).sendall(data)
        except (OSError, ValueError):
            for s in (client, server):
                _abort(s)

    def _cut(self, data, server):
        """An RST in the midst of a request, if that is wanted; returns `data`."""
        with self.lock:
            if self.cut_after is None:
                return data
            if len(data) <= self.cut_after:
                self.cut_after -= len(data)
                return data
            data, self.cut_after = data[:self.cut_after], None
        server.sendall(data)
        raise OSError("cut")


def _abort(s):
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    except OSError:
        pass
