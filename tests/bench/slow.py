#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# A backend of nginx's that thinks before it answers: /slow/MS/… takes so many milliseconds, and
# then nginx is told to send its page. It listens on the Unix socket that it is called with.

import asyncio
import os
import sys

ANSWER = b"HTTP/1.0 200 OK\r\nX-Accel-Redirect: /page.html\r\n\r\n"


class Request(asyncio.Protocol):
    def __init__(self):
        self.head = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.head += data
        if b"\r\n\r\n" in self.head:
            ms = int(self.head.split(b"/", 3)[2])
            asyncio.get_running_loop().call_later(ms / 1000, self.answer)

    def answer(self):
        self.transport.write(ANSWER)
        self.transport.close()


async def serve(path):
    os.umask(0)  # nginx's worker is another user
    server = await asyncio.get_running_loop().create_unix_server(Request, path, backlog=1024)
    await server.serve_forever()


asyncio.run(serve(sys.argv[1]))
