# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Real Apache Kafka in KRaft mode: one node, with a plaintext, an mTLS (PEM) and a SASL_SSL
# listener on ports of 127.0.0.1 that stay the same over restarts, and a plaintext one that sends
# its clients through a Proxy. Used by the scenarios, by bench.py and, for people, by tests/kafka.

import fcntl
import glob
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

from . import Failure, Skip, certs, procs

# what all tests run against, and what the main path runs against besides
VERSION = os.environ.get("KAFKA_VERSION") or "4.1.0"
OLDEST = "3.9.2"
NEWEST = "4.4.0"
FETCH_S = 600
READY_S = 180  # several Java machines may start at the same time
SASL_USER = "webmond"
SASL_PASSWORD = "test-only-9d2f"

# the last one: else its log goes nowhere
_ARTIFACTS = ("org.apache.kafka:kafka_2.13:{0}", "org.apache.kafka:kafka-tools:{0}",
              "org.slf4j:slf4j-simple:1.7.36")

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>webmond</groupId><artifactId>tests</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
{0}
  </dependencies>
</project>
"""
_DEPENDENCY = """    <dependency>
      <groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version>
    </dependency>"""

_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},SSL://127.0.0.1:{ssl},SASL_SSL://127.0.0.1:{sasl},\
PROXIED://127.0.0.1:{proxied},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SSL://127.0.0.1:{ssl},\
SASL_SSL://127.0.0.1:{sasl},PROXIED://127.0.0.1:{proxy}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,\
PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={directory}/data
num.partitions=3
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
# the first member of a group need not wait for others (3 s by default)
group.initial.rebalance.delay.ms=0
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.cleaner.enable=false
# nothing goes by its age, which is that of the record: some tests have old ones
log.retention.ms=-1
# everybody may do everything until a rule forbids it; those without a name always
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true
# a broker that was killed is taken back only when its session is over (9 s by default)
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
ssl.keystore.type=PEM
ssl.keystore.location={directory}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={directory}/ca.pem
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.ssl.client.auth=none
listener.name.sasl_ssl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
"""


def cache_directory(name):
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(os.environ.get("KAFKA_JARS") or os.path.join(base, "webmond-tests"), name)


def fetch(version=VERSION):
    """The directory with Kafka's jars, filled by Maven when it is not there yet."""
    return fetch_jars(f"kafka-{version}", [a.format(version) for a in _ARTIFACTS])


def fetch_jars(name, artifacts):
    """The directory with these artifacts of Maven, "group:name:version", and what they need."""
    jars = cache_directory(name)
    pattern = os.path.join(jars, "*.jar")
    for tool in ["java"] if glob.glob(pattern) else ["java", "mvn"]:
        if shutil.which(tool) is None:
            raise Skip(f"{name} needs {tool} (Debian: default-jre-headless, maven)")
    if glob.glob(pattern):
        return jars
    os.makedirs(os.path.dirname(jars), exist_ok=True)
    with open(jars + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker wants it, too
        if not glob.glob(pattern):
            _get(artifacts, jars)
    return jars


def _get(artifacts, jars):
    with tempfile.TemporaryDirectory(dir=os.path.dirname(jars)) as work:
        with open(os.path.join(work, "pom.xml"), "w", encoding="utf-8") as f:
            f.write(_POM.format("\n".join(_DEPENDENCY.format(*a.split(":")) for a in artifacts)))
        try:
            done = procs.run(
                ["mvn", "-B", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime",
                 f"-DoutputDirectory={work}/jars"], FETCH_S, cwd=work)
        except Failure as e:
            raise Skip(f"cannot fetch {artifacts[0]}: {e}") from None
        if done.returncode != 0:
            raise Skip(f"cannot fetch {artifacts[0]}: " +
                       (done.stdout.strip() or "mvn failed").split("\n")[0])
        shutil.rmtree(jars, ignore_errors=True)
        os.rename(os.path.join(work, "jars"), jars)


class Broker:
    """A broker that lives in `directory`; starting it again takes up ports and data."""

    def __init__(self, directory, version=VERSION):
        self.directory = os.path.abspath(directory)
        self.version = version
        self.process = None
        self.ports = {}
        if os.path.exists(self._path("ports")):
            with open(self._path("ports"), encoding="ascii") as f:
                self.ports = dict((k, int(v)) for k, v in (line.split() for line in f))

    def _path(self, name):
        return os.path.join(self.directory, name)

    # --- what clients need ---------------------------------------------------------------

    def address(self, listener="plain"):
        return f"127.0.0.1:{self.ports[listener]}"

    def properties(self, listener="plain", directory=None):
        """
        The lines of kafka.properties for a listener; file names are relative to a directory that
        holds what client_files() put there, or absolute without one.
        """
        def file(name):
            return name if directory else self._path(name)

        lines = [f"bootstrap.servers={self.address(listener)}"]
        if listener == "ssl":
            lines += ["security.protocol=SSL", f"ssl.ca.location={file('ca.pem')}",
                      f"ssl.certificate.location={file('service.cert')}",
                      f"ssl.key.location={file('service.key')}"]
        elif listener == "sasl":
            lines += ["security.protocol=SASL_SSL", f"ssl.ca.location={file('ca.pem')}",
                      "sasl.mechanisms=PLAIN", f"sasl.username={SASL_USER}",
                      f"sasl.password={SASL_PASSWORD}"]
        return lines

    def client_files(self):
        """As a cloud provider hands them out: authority, certificate, key."""
        return [self._path(name) for name in ("ca.pem", "service.cert", "service.key")]

    # --- life -----------------------------------------------------------------------------

    def _prepare(self, java):
        os.makedirs(self.directory, exist_ok=True)
        names = ("plain", "ssl", "sasl", "proxied", "proxy", "controller")
        self.ports = dict(zip(names, procs.free_ports(len(names))))
        ca = self._path("ca.pem"), self._path("ca.key")
        certs.authority(*ca, "webmond test authority")
        certs.signed(*ca, self._path("server.cert"), self._path("server.key"), "test broker")
        certs.signed(*ca, self._path("service.cert"), self._path("service.key"), "test client")
        with open(self._path("server.pem"), "w", encoding="ascii") as out:
            for name in ("server.key", "server.cert"):
                with open(self._path(name), encoding="ascii") as f:
                    out.write(f.read())
        self._format(java, _PROPERTIES.format(directory=self.directory, user=SASL_USER,
                                              password=SASL_PASSWORD, **self.ports))

    def _format(self, java, properties):
        with open(self._path("server.properties"), "w", encoding="ascii") as f:
            f.write(properties)
        done = procs.run([*java, "kafka.tools.StorageTool", "format", "-t",
                          "webmondTestsWebmondTes", "-c", self._path("server.properties")])
        if done.returncode != 0:
            raise Failure(f"Kafka's storage cannot be formatted: {done.stdout}{done.stderr}")
        with open(self._path("ports"), "w", encoding="ascii") as f:
            f.writelines(f"{name} {port}\n" for name, port in self.ports.items())

    def _running_pid(self):
        """Of the broker that an earlier process has started here, or None."""
        try:
            with open(self._path("pid"), encoding="ascii") as f:
                pid = int(f.read())
        except OSError:
            return None
        running = f"kafka.Kafka {self.directory}/" in procs.cmdline(pid)
        return pid if running and procs.alive(pid) else None

    def start(self, stay=False, wait=True):
        """`stay`: live on when we end."""
        if self._running_pid() is not None:
            raise Failure(f"a broker runs in {self.directory} already")
        jars = fetch(self.version)
        # small heap, quick compiler: this broker has few records and short lives
        java = ["java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", os.path.join(jars, "*")]
        if not self.ports:
            self._prepare(java)
        argv = [*java, "kafka.Kafka", self._path("server.properties")]
        with open(self._path("broker.log"), "ab") as log:
            if stay:
                self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log, start_new_session=True)
            else:
                self.process = procs.spawn(argv, stdout=log, stderr=log)
        with open(self._path("pid"), "w", encoding="ascii") as f:
            f.write(f"{self.process.pid}\n")
        if wait:
            self.wait_ready()

    def wait_ready(self):
        def answers():
            if self.process.poll() is not None:
                raise Failure(f"Kafka ended at its start:\n{self.log_tail()}")
            try:
                return self.create_topic("ready", only_validate=True) in (0, 36)
            except (OSError, struct.error):
                return False

        procs.wait_for(answers, READY_S, lambda: f"Kafka is not ready:\n{self.log_tail()}", 0.1)

    def kill(self):
        if self.process is not None:  # else the run was ended while it was prepared
            self.process.kill()
            self.process.wait()

    def stop(self):
        """A broker that this object or, as PID file, an earlier process has started."""
        if self.process is not None:
            procs.end(self.process, 20)
            return
        pid = self._running_pid()
        if pid is not None:
            procs.kill(pid, signal.SIGTERM)
            try:
                procs.wait_for(lambda: not procs.alive(pid), 20, "Kafka does not stop")
            except Failure:
                procs.kill(pid)

    def log_tail(self):
        with open(self._path("broker.log"), encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-30:])

    # --- administration: a few requests are not worth a start of the JVM -----------------------

    def call(self, api, version, body):
        name = b"webmond-tests"
        request = struct.pack(">hhih", api, version, 1, len(name)) + name + body
        with socket.create_connection(("127.0.0.1", self.ports["plain"]), 10) as s:
            s.sendall(struct.pack(">i", len(request)) + request)
            with s.makefile("rb") as answer:
                size, _ = struct.unpack(">ii", answer.read(8))
                return answer.read(size - 4)

    def create_topic(self, name, partitions=3, config=None, only_validate=False, replicas=1):
        """CreateTopics version 2; returns Kafka's error code, 0 is success."""
        config = config or {}
        body = struct.pack(">i", 1) + string(name) + struct.pack(">ihi", partitions, replicas, 0)
        body += struct.pack(">i", len(config))
        for key, value in config.items():
            body += string(key) + string(str(value))
        body += struct.pack(">i?", 20000, only_validate)
        answer = self.call(19, 2, body)
        return struct.unpack_from(">h", answer, 4 + 4 + 2 + len(name))[0]

    def end_offset(self, topic, partitions=range(3)):
        """ListOffsets version 1: how many messages these partitions of a topic have together."""
        name = struct.pack(">h", len(topic)) + topic.encode()
        body = struct.pack(">ii", -1, 1) + name + struct.pack(">i", len(partitions))
        for n in partitions:
            body += struct.pack(">iq", n, -1)
        answer = self.call(2, 1, body)
        start, one = 4 + len(name) + 4, struct.calcsize(">ihqq")
        found = [struct.unpack_from(">ihqq", answer, start + n * one)
                 for n in range(len(partitions))]
        for _, error, _, _ in found:
            if error != 0:
                raise Failure(f"Kafka does not tell the end of {topic}: error {error}")
        return sum(offset for _, _, _, offset in found)

    def groups(self):
        """ListGroups version 0: the names of all consumer groups."""
        answer = self.call(16, 0, b"")
        error, count = struct.unpack_from(">hi", answer)
        succeeded(error, "list groups")
        at, names = 6, []
        for _ in range(count):
            for kind in ("group", "protocol"):
                (size,) = struct.unpack_from(">h", answer, at)
                if kind == "group":
                    names.append(answer[at + 2:at + 2 + size].decode())
                at += 2 + size
        return names

    def add_partitions(self, name, count):
        """CreatePartitions version 0."""
        body = struct.pack(">i", 1) + string(name) + struct.pack(">ii", count, -1)
        answer = self.call(37, 0, body + struct.pack(">i?", 20000, False))
        succeeded(struct.unpack_from(">h", answer, 4 + 4 + 2 + len(name))[0],
                  f"have {count} partitions")

    def delete_topic(self, name):
        """DeleteTopics version 1."""
        body = struct.pack(">i", 1) + string(name) + struct.pack(">i", 20000)
        answer = self.call(20, 1, body)
        succeeded(struct.unpack_from(">h", answer, 4 + 4 + 2 + len(name))[0], f"delete {name}")

    def configure_topic(self, name, key, value):
        """IncrementalAlterConfigs version 0; `value` None: the default again."""
        body = struct.pack(">ib", 1, 2) + string(name) + struct.pack(">i", 1) + string(key)
        body += struct.pack(">b", 1 if value is None else 0)
        body += struct.pack(">h", -1) if value is None else string(str(value))
        answer = self.call(44, 0, body + b"\0")
        succeeded(struct.unpack_from(">h", answer, 4 + 4)[0], f"{key}={value}")

    # as Kafka numbers them: kinds of resources, and operations
    TOPIC, GROUP, CLUSTER = 2, 3, 4
    READ, WRITE, DESCRIBE, IDEMPOTENT_WRITE = 3, 4, 8, 12
    _LITERAL, _DENY, _ALLOW = 3, 2, 3

    def groups(self):
        """The names of all consumer groups that Kafka knows. ListGroups version 0."""
        answer = self.call(16, 0, b"")
        count, at, names = struct.unpack_from(">i", answer, 2)[0], 6, []
        for _ in range(2 * count):
            size = struct.unpack_from(">h", answer, at)[0]
            names.append(answer[at + 2:at + 2 + size].decode())
            at += 2 + size
        return names[::2]

    def forbid(self, kind, name, operation):
        """SASL's user may no longer do `operation`."""
        self._rule(kind, name, operation, self._DENY)

    def allow(self, kind, name, operation):
        """SASL's user may do `operation`, and with this nothing else that has no rule."""
        self._rule(kind, name, operation, self._ALLOW)

    def _rule(self, kind, name, operation, permission):
        """CreateAcls version 1."""
        body = struct.pack(">ib", 1, kind) + string(name) + struct.pack(">b", self._LITERAL)
        body += string(f"User:{SASL_USER}") + string("*")
        answer = self.call(30, 1, body + struct.pack(">bb", operation, permission))
        succeeded(struct.unpack_from(">h", answer, 4 + 4)[0], f"make a rule for {name}")

    def allow_all(self):
        """DeleteAcls version 1, with a filter that fits all."""
        anything = struct.pack(">h", -1)
        body = struct.pack(">ib", 1, 1) + anything + b"\1" + anything + anything + b"\1\1"
        answer = self.call(31, 1, body)
        succeeded(struct.unpack_from(">h", answer, 4 + 4)[0], "allow all")

    def quota(self, bytes_per_s):
        """AlterClientQuotas version 0: what every client may produce; None: no limit again."""
        body = struct.pack(">ii", 1, 1) + string("client-id") + struct.pack(">h", -1)
        body += struct.pack(">i", 1) + string("producer_byte_rate")
        body += struct.pack(">d??", bytes_per_s or 0, bytes_per_s is None, False)
        answer = self.call(49, 0, body)
        succeeded(struct.unpack_from(">h", answer, 4 + 4)[0], f"quota {bytes_per_s}")


def string(s):
    return struct.pack(">h", len(s)) + s.encode()


def succeeded(code, what):
    if code != 0:
        raise Failure(f"Kafka refuses to {what}: error {code}")
