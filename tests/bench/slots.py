# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# webmond's grid of slots for programs that cannot call its schedule: the same hash and tick.

import os
import re

_HEADER = os.path.join(os.path.dirname(__file__), "..", "..", "src", "supervisor", "schedule.h")


def tick_ms():
    with open(_HEADER, encoding="utf-8") as f:
        return int(re.search(r"#define SCHEDULE_TICK_US (\d+)", f.read()).group(1)) // 1000


def _fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


TICK_MS = tick_ms()


def phase_ms(name, interval_s):
    """When the slots of a site come within its interval, as schedule_phase() says."""
    phase = _fnv1a(name) % (interval_s * 1_000_000) // 1000
    return phase - phase % TICK_MS
