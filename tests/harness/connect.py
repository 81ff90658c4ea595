# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Real Kafka Connect: one worker, standalone, with the jars of the real Kafka and those of connectors.

import fcntl
import os
import shutil
import tarfile

from . import Failure, Skip, broker, procs

READY_S = 180

_WORKER = """bootstrap.servers={bootstrap}
listeners=http://127.0.0.1:8083
offset.storage.file.filename=/var/lib/connect/offsets
plugin.path={plugins}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
"""


def worker(bootstrap, plugins):
    """The properties of a worker; `plugins`: what broker.fetch_jars() returned."""
    return _WORKER.format(bootstrap=bootstrap, plugins=plugins)


def fetch_plugin(artifact):
    """
    A directory for `plugin.path` with the plugin of an artifact of Maven, "group:name:version": its
    own archive, which has none of the jars that Connect has, too.
    """
    _, name, version = artifact.split(":")
    plugins = broker.cache_directory(f"{name}-{version}")
    os.makedirs(os.path.dirname(plugins), exist_ok=True)
    with open(plugins + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(plugins):
            return plugins
        if shutil.which("mvn") is None:
            raise Skip(f"{name} needs mvn (Debian: maven)")
        done = procs.run(["mvn", "-B", "-q", "dependency:copy",
                          f"-Dartifact={artifact}:tar.gz:plugin",
                          f"-DoutputDirectory={plugins}.new"], broker.FETCH_S)
        if done.returncode != 0:
            raise Skip(f"cannot fetch {artifact}: {done.stdout.strip()[:200]}")
        archive = os.path.join(plugins + ".new", f"{name}-{version}-plugin.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(plugins + ".new")
        os.remove(archive)
        os.rename(plugins + ".new", plugins)
    return plugins


class Connect:
    """A worker with one connector in `directory`, from the constructor to stop(): two files."""

    def __init__(self, directory, worker_properties, connector_properties):
        self.log = os.path.join(directory, "connect.log")
        os.makedirs(directory, exist_ok=True)
        # what a machine with several of them needs, and a quick start
        text = worker_properties.replace("127.0.0.1:8083", f"127.0.0.1:{procs.free_ports(1)[0]}")
        text = text.replace("/var/lib/connect", directory) + "plugin.discovery=service_load\n"
        for name, lines in (("worker", text), ("connector", connector_properties)):
            with open(os.path.join(directory, name + ".properties"), "w", encoding="utf-8") as f:
                f.write(lines)
        # as the broker
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
