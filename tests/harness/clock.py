# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# A time of day of its own for a daemon, by clockshim.c.

import os
import shutil
import struct
import time

from . import Skip, procs, require

_SHIM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clockshim.c")


class Clock:
    """The time of day of one daemon, in seconds off the machine's."""

    def __init__(self, t):
        compiler = shutil.which("cc")
        if compiler is None:
            raise Skip("there is no C compiler")
        self.file, library = t.path("clock"), t.path("clockshim.so")
        done = procs.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, _SHIM])
        require(done.returncode == 0, done.stderr)
        self.offset = 0.0
        self.set(0)
        self.environment = {**os.environ, "LD_PRELOAD": library, "CLOCK_SHIM": self.file}

    def set(self, offset):
        """One write of eight bytes: whoever looks sees the old time or the new."""
        fd = os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(fd, struct.pack("=q", round(offset * 1e6)), 0)
        os.close(fd)
        self.offset = offset

    def now_ms(self):
        return (time.time() + self.offset) * 1000
