# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Real Kafka Connect: one worker, standalone, with the jars of the real Kafka and those of connectors.

import os

from . import Failure, broker, procs

READY_S = 180

_WORKER = """bootstrap.servers={bootstrap}
listeners=http://127.0.0.1:{port}
offset.storage.file.filename={directory}/offsets
offset.flush.interval.ms=1000
plugin.path={plugins}
plugin.discovery=service_load
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
"""


class Connect:
    """
    A worker with one connector in `directory`, from the constructor to stop(). `plugins`: what
    broker.fetch_jars() returned. `lines`: the connector's properties.
    """

    def __init__(self, directory, bootstrap, plugins, lines):
        self.log = os.path.join(directory, "connect.log")
        os.makedirs(directory, exist_ok=True)
        worker = _WORKER.format(bootstrap=bootstrap, port=procs.free_ports(1)[0],
                                directory=directory, plugins=plugins)
        for name, text in (("worker", worker), ("connector", "\n".join(lines))):
            with open(os.path.join(directory, name + ".properties"), "w", encoding="utf-8") as f:
                f.write(text + "\n")
        # quick to start, as the broker is
        argv = ["java", "-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp", os.path.join(broker.fetch(), "*"),
                "org.apache.kafka.connect.cli.ConnectStandalone",
                os.path.join(directory, "worker.properties"),
                os.path.join(directory, "connector.properties")]
        with open(self.log, "ab") as log:
            self.process = procs.spawn(argv, stdout=log, stderr=log)

    def wait(self, condition, what):
        def done():
            if self.process.poll() is not None:
                raise Failure(f"Connect has ended: {self.tail()}")
            if "Task threw an uncaught and unrecoverable exception" in self.said():
                raise Failure(f"the connector has failed: {self.tail()}")
            return condition()

        procs.wait_for(done, READY_S, lambda: f"{what}: {self.tail()}", 0.3)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def tail(self):
        return "\n".join(self.said().splitlines()[-40:])

    def stop(self):
        procs.end(self.process, 20)
