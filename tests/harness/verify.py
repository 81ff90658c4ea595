# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# `webmondctl verify` on topics of the tests, and beside the judge in records.py.

import json
import os
import tempfile
import time

from . import Broken, Failure, procs, require

HOLDS, BROKEN, QUESTION = 0, 1, 2


def binary():
    """Where the program is: $WEBMONDCTL, or the build in the tree."""
    given = os.environ.get("WEBMONDCTL")
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    path = given or os.path.join(top, "webmondctl")
    if os.access(path, os.X_OK):
        return os.path.abspath(path)
    raise Failure(f"no webmondctl: {given or 'set WEBMONDCTL to the binary'}")


class Verified:
    """What it said of a topic."""

    def __init__(self, code, report, err, seconds, peak_kib):
        self.code = code
        self.report = report  # None: there is none
        self.err = err
        self.seconds = seconds
        self.peak_kib = peak_kib  # about

    @property
    def epochs(self):
        return self.report["epochs"]

    def found(self):
        """Each kind of finding that is not 0, in all epochs together."""
        kinds = self.epochs[0]["found"] if self.epochs else ()
        sums = {kind: sum(e["found"][kind] for e in self.epochs) for kind in kinds}
        return {kind: count for kind, count in sums.items() if count}

    def __repr__(self):
        return f"exit code {self.code}, {json.dumps(self.report)} {self.err}"


def read(properties, topic, *options, timeout=120):
    """Of a file or the lines of one; `topic` is a name."""
    with tempfile.NamedTemporaryFile("w", suffix=".properties") as file:
        if not isinstance(properties, str):
            file.write("\n".join(properties) + "\n")
            file.flush()
            properties = file.name
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            begin, peak = time.monotonic(), 0
            process = procs.spawn([binary(), "verify", "-F", properties, "-t", topic, "--json",
                                   *options], stdout=out, stderr=err)
            while process.poll() is None:
                require(time.monotonic() < begin + timeout, f"still running after {timeout} s")
                try:
                    peak = int(procs.status_field(process.pid, "VmHWM").split()[0])
                except (OSError, AttributeError, Failure):
                    pass  # it has just ended
                time.sleep(0.02)
            took = time.monotonic() - begin
            texts = [(file.seek(0), file.read())[1] for file in (out, err)]
    require(process.returncode >= 0, f"it died of signal {-process.returncode}: {texts[1]}")
    return Verified(process.returncode, json.loads(texts[0]) if texts[0] else None, texts[1], took,
                    peak)


def topic(of, *options):
    """Of a Topic, which knows where it is."""
    return read([f"bootstrap.servers={of.arguments[of.arguments.index('-b') + 1]}"], of.name,
                *options)


def beside(of, **options):
    """
    Topic.judge() with these options, and `verify`: both must say the same of the topic. Returns
    what the former does, or fails as it does.
    """
    try:
        result = of.judge(**options)
    except Broken as e:
        found = topic(of)
        require(found.code == BROKEN, f"verify does not see that something is broken: {found}\n{e}")
        raise
    found = topic(of)
    kinds = found.found()
    # what only a test knows: how many records are in a spool that was set aside, and which checkers
    # hold theirs back
    holes = kinds.pop("holes", 0)
    require(holes <= len(options.get("kept", ())), f"{holes} holes: {found}")
    # the topic alone does not tell a site that was taken out from one that fell silent
    allowed = {"silent", "overlap"}
    for kind, allows in (("missing", not options.get("every_slot")),
                         ("again", options.get("steps")), ("order", options.get("late"))):
        allowed |= {kind} if allows else set()
    require(set(kinds) <= allowed, f"the judge finds nothing, but verify does: {found}")
    wrong = holes > 0 or "order" in kinds
    code = BROKEN if wrong else QUESTION if kinds else HOLDS
    require(found.code == code, f"exit code {found.code}, not {code}: {found}")
    counted = sum(e["records"] for e in found.epochs)
    if counted > len(result.firsts):  # the daemon goes on
        require(counted <= len(of.firsts()), f"{counted} records are too many: {found}")
    require(counted >= len(result.firsts), f"{counted} records, not {len(result.firsts)}")
    return result
