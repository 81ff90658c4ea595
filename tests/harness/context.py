# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# What a scenario gets as `t`: a directory, servers, brokers and daemons, all of which are gone
# when it ends, however it ends.

import grp
import itertools
import os
import pwd
import random
import shutil
import tempfile
import time
from collections import Counter

from . import (Failure, Skip, broker, cluster, daemon, guarded, mock, mounts, procs, proxy, records,
               sites, verify)

ROOT = os.geteuid() == 0
# existing users without rights; nothing is created as root
USER = "nobody"
CHECKER_USER = "daemon"

# a second try of a scenario finds the topics of the first one
_topics = itertools.count(1)


class Shared:
    """What lives as long as the run: the real broker, started when first asked for."""

    def __init__(self, require_kafka, quick=True):
        self.require_kafka = require_kafka
        self.quick = quick
        self.directory = tempfile.mkdtemp(prefix="webmond-tests-")
        os.chmod(self.directory, 0o755)
        self.broker = self._cluster = None
        self.no_broker = None  # why there is none

    def kafka(self):
        if self.no_broker is not None:
            raise Skip(self.no_broker)
        if self.broker is None:
            try:
                self.fetch(broker.VERSION)
            except Skip as e:
                self.no_broker = str(e)
                raise
            self.broker = broker.Broker(os.path.join(self.directory, "kafka"))
            self.broker.start()
        elif self.broker.process.poll() is not None:
            self.broker.start()  # a scenario has killed it
        return self.broker

    def fetch(self, version):
        """Have the jars of Kafka: a Skip, or where it is required a Failure, if there are none."""
        try:
            broker.fetch(version)
        except Skip as e:
            if self.require_kafka:
                raise Failure(f"real Kafka is required: {e}") from None
            raise

    def cluster(self):
        """Three brokers, all of them well, whatever was done to them before."""
        if self._cluster is None:
            self.fetch(broker.VERSION)
            self._cluster = cluster.Cluster(os.path.join(self.directory, "cluster"))
        else:
            self._cluster.repair()
        return self._cluster

    def pids(self):
        brokers = {self.broker.process.pid} if self.broker is not None else set()
        return brokers | (self._cluster.pids() if self._cluster is not None else set())

    def close(self):
        if self._cluster is not None:
            self._cluster.stop()
        if self.broker is not None:
            self.broker.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class Topic:
    """A topic, and where it is."""

    judged_twice = False

    def __init__(self, name, arguments, partitions):
        self.name = name
        self.arguments = arguments
        self.partitions = partitions

    def records(self):
        return records.read_topic(self.arguments, self.name)

    def firsts(self):
        return records.first_copies(self.records())

    def wait(self, condition, seconds, what):
        """Until `condition` of the records holds; returns them."""
        found = []

        def look():
            found[:] = self.records()
            return condition(found)

        procs.wait_for(look, max(seconds, procs.PATIENCE_S), lambda: f"{what() if callable(what) else what} "
                       f"({len(found)} records are there)", 0.3)
        return found

    @staticmethod
    def _behind(found, now):
        """
        Partitions with sites that are checked all the time, and no record of a slot later than
        `now`: what is older may still be on its way there, such as the end of an earlier epoch.
        """
        recent = time.time() * 1000 - 10_000
        busy = {r.partition for r in found
                if r.interval_s <= 5 and r.slot + 3000 * r.interval_s > recent}
        return busy - {r.partition for r in found if r.slot > now}

    def wait_for_all(self, seconds=60, kept=()):
        """
        Until all that was checked up to now has arrived; returns how long that took. `kept`: ids
        that are elsewhere.
        """
        begin, now = time.monotonic(), time.time() * 1000
        missing = set()

        def there(found):
            missing.clear()
            missing.update(records.holes(found, now) - set(kept))
            return (not missing and any(r.slot > now for r in found) and
                    not self._behind(found, now))

        self.wait(there, seconds, lambda: f"missing: {sorted(missing)[:10] or 'anything new'}")
        return time.monotonic() - begin

    def wait_new(self, seconds=20):
        """Until there is a record of a slot later than now; returns all records."""
        now = time.time() * 1000
        return self.wait(lambda found: any(r.slot > now for r in found), seconds,
                         "nothing new arrives")

    def wait_rounds(self, site_list, count=1, seconds=60):
        """Until each of these sites has `count` records of slots later than now."""
        now, names = time.time() * 1000, {s["name"] for s in site_list}
        short = set()

        def there(found):
            new = Counter(r.site for r in records.first_copies(found) if r.slot > now)
            short.clear()
            short.update(name for name in names if new[name] < count)
            return not short

        return self.wait(there, seconds, lambda: f"no {count} new records of {sorted(short)[:10]}")

    def judge(self, **options):
        return records.check(self.records(), self.partitions, **options)

    def check(self, **options):
        """As records.check(); in the fault suite `webmondctl verify` must say the same."""
        return verify.beside(self, **options) if Topic.judged_twice else self.judge(**options)


class Context:
    def __init__(self, name, shared, seed):
        self.name = name
        self.shared = shared
        self.random = random.Random(f"{seed} {name}")
        self.directory = os.path.join(shared.directory, name)
        os.mkdir(self.directory, 0o755)
        self.daemons = []
        self._kafka = None  # of another version than that of the others
        self._close = []
        self._notes = []
        self.figures = {}
        procs.pauses.start()

    def times(self, full, quick):
        """How often to repeat a fault: `quick` in the short run."""
        return quick if self.shared.quick else full

    def report(self, summary=None, **figures):
        """
        For the table of the fault suite. `summary`: what Topic.check() returned, all that must be
        there being there. Figures: expected, found, repeats, recovery_s, and note for the rest.
        """
        if summary is not None:
            given_up = sum(r.dropped_through - r.seq for r in summary.firsts
                           if r.error_type == "dropped")
            self.figures = {"expected": len(summary.firsts) + given_up,
                            "found": len(summary.firsts), "repeats": summary.repeats}
            self.note(summary)
        self.figures.update(figures)

    def note(self, text):
        """A line for -v."""
        self._notes.append(str(text))

    @property
    def notes(self):
        return self._notes

    # --- files -------------------------------------------------------------------------------

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def write(self, name, text, secret=False):
        """A file; `secret`: only for us and the user that the daemon drops to."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        self.protect(path) if secret else os.chmod(path, 0o644)
        return path

    @staticmethod
    def protect(path):
        if ROOT:
            os.chown(path, 0, pwd.getpwnam(USER).pw_gid)
        os.chmod(path, 0o640 if ROOT else 0o600)

    def own_directory(self, name):
        """A directory that the daemon's user may write."""
        path = self.path(name)
        os.makedirs(path, exist_ok=True)
        if ROOT:
            shutil.chown(path, USER, grp.getgrgid(pwd.getpwnam(USER).pw_gid).gr_name)
        os.chmod(path, 0o750)
        return path

    def tmpfs(self, name, mib):
        """A file system of its own on own_directory(name)."""
        file_system = mounts.Tmpfs(self.own_directory(name), mib)
        self._close.append(file_system.stop)
        return file_system

    def quota(self, name, mib):
        """A quota on own_directory(name), which has a file system of its own."""
        file_system = mounts.Quota(self.own_directory(name), mib)
        self._close.append(file_system.stop)
        return file_system

    # --- servers -----------------------------------------------------------------------------

    def nginx(self):
        server = sites.Nginx(self.path("nginx"))
        self._close.append(server.stop)
        return server

    def slow(self):
        server = sites.Slow()
        self._close.append(server.stop)
        return server

    def moody(self):
        server = sites.Moody()
        self._close.append(server.stop)
        return server

    def guarded(self, **options):
        server = guarded.Guarded(**options)
        self._close.append(server.stop)
        return server

    def refused(self):
        port = sites.Refused()
        self._close.append(port.stop)
        return port

    def kafka(self):
        return self._kafka or self.shared.kafka()

    def use_kafka(self, version):
        """From now on a real broker of this version, which must have been fetched; returns it."""
        self._kafka = broker.Broker(self.path("kafka"), version)
        self._close.append(self._kafka.stop)
        self._kafka.start()
        return self._kafka

    def proxy(self):
        """A proxy in front of the real broker; its clients are those of `proxy.port`."""
        ports = self.kafka().ports
        between = proxy.Proxy(ports["proxy"], ports["proxied"])
        self._close.append(between.stop)
        return between

    def mock(self, brokers=1):
        cluster = mock.Mock(brokers)
        self._close.append(cluster.stop)
        return cluster

    def topic(self, partitions=3, create=True, config=None):
        """A new topic of the real broker."""
        kafka = self.kafka()
        name = f"{self.name}.{next(_topics)}"
        if create:
            code = kafka.create_topic(name, partitions, config)
            if code != 0:
                raise Failure(f"Kafka does not create the topic {name}: error {code}")
        return Topic(name, ["-b", kafka.address()], partitions)

    def cluster(self):
        return self.shared.cluster()

    def cluster_topic(self, partitions=6):
        """A new topic of the cluster, on all its brokers."""
        brokers = self.cluster()
        name = f"{self.name}.{next(_topics)}"
        brokers.create_topic(name, partitions)
        return Topic(name, ["-b", brokers.bootstrap()], partitions)

    # --- the daemon --------------------------------------------------------------------------

    def settings(self, site_list, topic=None, bootstrap=None, **others):
        """
        A whole configuration. `topic`: a Topic or a name, on `bootstrap` or the real broker;
        `others` replace or, where both are dictionaries, extend what is set here.
        """
        settings = {
            "instance": "test-1",
            "location": "lab",
            "user": USER if ROOT else None,
            "pid_file": self.path("webmond.pid"),
            "log": {"destination": "stderr", "level": "info"},
            "workers": {"min": 2, "max": 8},
            # a directory for temporary files may be too deep for a socket
            "control": {"socket": self.path("ctl") if len(self.path("ctl")) <= 107 else ""},
            "spool": {"dir": self.own_directory("spool"), "max_mb": 64},
        }
        if topic is not None:
            properties = [f"bootstrap.servers={bootstrap or self.kafka().address()}"]
            settings["kafka"] = {"topic": getattr(topic, "name", topic), "properties": properties}
        for name, value in others.items():
            old = settings.get(name)
            both = isinstance(old, dict) and isinstance(value, dict)
            settings[name] = {**old, **value} if both else value
        settings["sites"] = site_list
        return settings

    def daemon(self, settings, file=None, directory=None):
        """A daemon that is not started yet; `directory`: for its configuration and log."""
        d = daemon.Daemon(directory or self.directory, settings, file)
        self.daemons.append(d)
        return d

    def webmond(self, *arguments, timeout=60, **options):
        """The program as a command; returns the finished process with its texts."""
        return procs.run([daemon.binary(), *arguments], timeout=timeout, **options)

    def close(self):
        for d in self.daemons:
            if d.process is not None and d.process.poll() is None:
                d.process.kill()
        for stop in reversed(self._close):
            stop()
        # whatever is left of the daemons has come to our init process
        mine = {os.getpid(), *self.shared.pids()}
        for pid in procs.descendants(os.getppid()):
            if pid not in mine:
                procs.kill(pid)
        for d in self.daemons:
            if d.process is not None:
                d.process.wait()
