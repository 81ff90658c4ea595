# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# librdkafka's mock cluster in a process of its own (tests/mockbroker.c): for answers that a real
# broker does not give on demand.

import os
import subprocess

from . import Failure, procs


def binary():
    given = os.environ.get("MOCKBROKER")
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    path = given or os.path.join(top, "build", "tests", "mockbroker")
    if not os.access(path, os.X_OK):
        raise Failure(f"no mock cluster: {given or 'set MOCKBROKER to the binary'}")
    return path


class Mock:
    """A mock cluster, from the constructor to stop()."""

    # Kafka's numbers, as librdkafka's mock takes them
    PRODUCE, METADATA = 0, 3
    TRANSPORT = -195
    INVALID_MSG, UNKNOWN_TOPIC_OR_PART, NOT_LEADER = 2, 3, 6
    REQUEST_TIMED_OUT, MSG_SIZE_TOO_LARGE = 7, 10
    NOT_ENOUGH_REPLICAS, TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED = 19, 29, 31
    POLICY_VIOLATION, OUT_OF_ORDER_SEQUENCE, INVALID_RECORD = 44, 45, 87

    def __init__(self, brokers=1):
        self.process = procs.spawn([binary(), str(brokers)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, bufsize=0)
        self.bootstrap = procs.read_line(self.process.stdout, 10, "mockbroker")

    def command(self, *words):
        line = " ".join(map(str, words))
        self.process.stdin.write(f"{line}\n".encode())
        answer = procs.read_line(self.process.stdout, 10, f"mockbroker {line}")
        if answer != "ok":
            raise Failure(f"mockbroker {line}: {answer}")

    def errors(self, code, times=1, request=PRODUCE):
        self.command("errors", request, *[code] * times)

    def topic(self, name, partitions=3):
        from .context import Topic
        self.command("topic", name, partitions)
        return Topic(name, ["-b", self.bootstrap], partitions)

    def stop(self):
        self.process.stdin.close()
        procs.end(self.process)
