# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Three real brokers of Apache Kafka that are a cluster: each topic is on all of them, and two must
# have a record before it is confirmed. Kafka's own timeouts, since what they do to webmond is the
# question: a broker that says nothing is given up after 9 s.

import os
import signal
import struct
import time

from . import Failure, broker, procs

NUMBERS = (1, 2, 3)
READY_S = 240  # three Java machines start on what may be two processors

_PROPERTIES = """process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={directory}/data
auto.create.topics.enable=false
min.insync.replicas=2
offsets.topic.num.partitions=1
log.cleaner.enable=false
log.retention.ms=-1
# only when it is asked for
auto.leader.rebalance.enable=false
"""


class Node(broker.Broker):
    """One of them."""

    def __init__(self, directory, version, number, ports):
        super().__init__(os.path.join(directory, f"broker-{number}"), version)
        self.number, self._all_ports = number, ports
        self.frozen = False

    def _prepare(self, java):
        os.makedirs(self.directory, exist_ok=True)
        self.ports = self._all_ports[self.number]
        voters = ",".join(f"{n}@127.0.0.1:{p['controller']}" for n, p in self._all_ports.items())
        self._format(java, _PROPERTIES.format(number=self.number, voters=voters,
                                              directory=self.directory, **self.ports))

    def freeze(self):
        """As a virtual machine that is paused: connections stay, nothing is answered."""
        self.frozen = True
        procs.freeze(self.process.pid)

    def thaw(self):
        self.frozen = False
        procs.kill(self.process.pid, signal.SIGCONT)

    def answers(self):
        return not self.frozen and self.process is not None and self.process.poll() is None


class Cluster:
    """From the constructor to stop()."""

    def __init__(self, directory, version=broker.VERSION):
        names = ("plain", "controller")
        free = procs.free_ports(len(names) * len(NUMBERS))
        ports = {n: dict(zip(names, free[i * len(names):])) for i, n in enumerate(NUMBERS)}
        self.nodes = {n: Node(directory, version, n, ports) for n in NUMBERS}
        for node in self.nodes.values():
            node.start(wait=False)  # the first knows no more than the last
        self.wait_ready()

    def pids(self):
        return {n.process.pid for n in self.nodes.values() if n.process is not None}

    def bootstrap(self):
        return ",".join(node.address() for node in self.nodes.values())

    def stop(self):
        for node in self.nodes.values():
            if node.process is not None:
                node.kill()

    # --- what is done to it -------------------------------------------------------------------

    def restart(self, number, version=None):
        """In good order, and wait until all replicas are back."""
        node = self.nodes[number]
        node.stop()
        node.version = version or node.version
        node.start(wait=False)
        self.wait_ready()

    def repair(self):
        """Whatever was done to brokers: all are there again, and have all there is."""
        for node in self.nodes.values():
            if node.frozen:
                node.thaw()
            if not node.answers():
                node.start(wait=False)
        self.wait_ready()

    def wait_ready(self):
        procs.wait_for(self._is_whole, READY_S, "the cluster is not whole", 0.5)

    # --- what it is asked ---------------------------------------------------------------------

    def any(self):
        """A broker that answers."""
        for node in self.nodes.values():
            if node.answers():
                return node
        raise Failure("no broker answers")

    def create_topic(self, name, partitions):
        code = self.any().create_topic(name, partitions, replicas=len(NUMBERS))
        if code != 0:
            raise Failure(f"Kafka does not create the topic {name}: error {code}")
        self.wait_ready()

    def partitions(self, topic=None):
        """
        Metadata version 1: (topic, partition) → (leader, number of replicas in sync), of one topic
        or of all; leader −1: there is none.
        """
        body = struct.pack(">i", -1) if topic is None else \
            struct.pack(">i", 1) + broker.string(topic)
        answer = _Answer(self.any().call(3, 1, body))
        answer.skip_brokers()
        found = {}
        for _ in range(answer.take("i")):
            answer.take("h")
            name = answer.string()
            answer.take("b")
            for _ in range(answer.take("i")):
                answer.take("h")
                number, leader = answer.take("i"), answer.take("i")
                answer.numbers()
                found[name, number] = leader, len(answer.numbers())
        return found

    def _is_whole(self):
        if not all(node.answers() for node in self.nodes.values()):
            for node in self.nodes.values():
                if node.process.poll() is not None:
                    raise Failure(f"Kafka ended at its start:\n{node.log_tail()}")
            return False
        try:
            # each of them, not only the one that is asked for the rest
            if not all(n.create_topic("ready", only_validate=True) in (0, 36)
                       for n in self.nodes.values()):
                return False
            return all(leader > 0 and in_sync == len(NUMBERS)
                       for leader, in_sync in self.partitions().values())
        except (OSError, struct.error):
            return False

    def leader(self, topic, partition=0):
        return self.partitions(topic)[topic, partition][0]

    def ends(self, topic):
        """
        How many messages each partition has; those whose leader does not answer now are left out.
        """
        found = {}
        for (_, partition), (leader, _) in self.partitions(topic).items():
            node = self.nodes.get(leader)
            if node is not None and node.answers():
                try:
                    found[partition] = node.end_offset(topic, [partition])
                except (Failure, OSError, struct.error):
                    pass  # it is the leader no more, or not yet
        return found

    def standstill(self, topic, seconds, until=lambda: False):
        """Watch for so long; returns by partition the longest time without a new message."""
        begin = time.monotonic()
        last = {}  # partition → number of messages, when it was new
        longest = {}
        while time.monotonic() - begin < seconds and not until():
            ends, now = self.ends(topic), time.monotonic()
            for partition in {p for _, p in self.partitions(topic)}:
                count, since = last.setdefault(partition, (ends.get(partition), begin))
                longest[partition] = max(longest.get(partition, 0), now - since)
                if ends.get(partition, count) != count:
                    last[partition] = ends[partition], now
            time.sleep(0.3)
        return longest

    def add_partitions(self, topic, count):
        self.any().add_partitions(topic, count)

    def elect_preferred(self):
        """ElectLeaders version 0, all partitions."""
        self.any().call(43, 0, struct.pack(">ii", -1, 20000))


class _Answer:
    """The bytes of an answer, taken from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, kind):
        (value,) = struct.unpack_from(">" + kind, self.data, self.at)
        self.at += struct.calcsize(">" + kind)
        return value

    def string(self):
        size = max(self.take("h"), 0)  # −1: none
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def numbers(self):
        return [self.take("i") for _ in range(self.take("i"))]

    def skip_brokers(self):
        for _ in range(self.take("i")):
            self.take("i"), self.string(), self.take("i"), self.string()
        self.take("i")
