# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# `webmond -T`, and what the log says, for each thing that can be wrong between the daemon and its
# topic: rights, certificates, ports. The advice comes first and is whole.

import os
import re
import shutil
import socket
import subprocess

from harness import certs, needs, procs, require
from harness.broker import Broker
from harness.sites import site

OK, UNAVAILABLE = 0, 69


def settings_for(t, lines, topic="webmond.results"):
    t.write("kafka.properties", "\n".join([*lines, ""]), secret=True)
    settings = t.settings([site("one", t.refused().url())], topic, "127.0.0.1:1")
    settings["kafka"] = {"topic": topic, "properties_file": "kafka.properties"}
    return settings


def asked(t, code, text, settings):
    """-T ends with `code` and says `text`, a regular expression, from the beginning of a line."""
    done = t.webmond("-T", "-c", t.daemon(settings).file)
    said = done.stdout + done.stderr
    t.note(said.strip())
    require(done.returncode == code, f"exit code {done.returncode}, not {code}: {said}")
    require(re.search(text, said, re.M), f"no {text!r} in {said!r}")
    return said


@needs("kafka")
def test_rights(t):
    kafka, topic = t.kafka(), t.topic()
    settings = settings_for(t, kafka.properties("sasl"), topic.name)
    version = t.webmond("-V").stdout.split("librdkafka/")[1].split(",")[0]
    can_ask = tuple(int(n) for n in version.split(".")[:2]) >= (2, 3)
    good = "Kafka and the topic are there, and " + (
        "this user may write to it$" if can_ask else
        "a producer id was given; the right to write to this topic was not tested: librdkafka")
    cure = f'^kafka: give this user the right to write to "{re.escape(topic.name)}"'
    try:
        asked(t, OK, good, settings)
        # who may only read finds the topic, but gets no producer id
        kafka.forbid(Broker.TOPIC, "*", Broker.WRITE)
        kafka.forbid(Broker.CLUSTER, "kafka-cluster", Broker.IDEMPOTENT_WRITE)
        asked(t, UNAVAILABLE, cure, settings)
        kafka.allow_all()
        # who may write, but elsewhere, gets one
        kafka.allow(Broker.TOPIC, topic.name, Broker.READ)
        asked(t, *((UNAVAILABLE, cure) if can_ask else (OK, good)), settings)
        kafka.allow_all()
        # a topic that may not be seen looks like one that is not there
        kafka.forbid(Broker.TOPIC, topic.name, Broker.DESCRIBE)
        asked(t, UNAVAILABLE, f"{cure}, or create the topic", settings)
    finally:
        kafka.allow_all()
    settings["kafka"]["topic"] = "not.there"
    asked(t, UNAVAILABLE, '^kafka: create the topic "not.there"', settings)


@needs("kafka")
def test_rights_of_a_member(t):
    """-T in a group, with the right to write to the topic, to read the group, to read the topic."""
    kafka, topic, few = t.kafka(), t.topic(12), t.topic(2)
    settings = settings_for(t, kafka.properties("sasl"), topic.name)
    settings["kafka"]["group"] = "webmond-eu"
    settings["instance"] = "probe-1"
    good, name = "this user may write to it|a producer id was given", re.escape(topic.name)
    try:
        kafka.allow(Broker.TOPIC, topic.name, Broker.WRITE)
        kafka.allow(Broker.GROUP, "other", Broker.READ)
        kafka.forbid(Broker.GROUP, "webmond-eu", Broker.DESCRIBE)
        asked(t, UNAVAILABLE, '^kafka: give this user the right to read the group "webmond-eu" '
              r"\(at Aiven: avn service kafka-acl-add SERVICE --principal User:NAME --operation "
              r"Read --group webmond-eu\)$", settings)
        kafka.allow_all()
        kafka.allow(Broker.TOPIC, topic.name, Broker.WRITE)
        kafka.allow(Broker.GROUP, "webmond-eu", Broker.READ)
        asked(t, OK, f"({good}).*; group webmond-eu, 12 shards; warning: when a member takes over, "
              "slots that nobody ran will be missing without a record: give this user the right to "
              rf'read the topic "{name}" \(at Aiven: .* --operation Read --topic {name}\)$', settings)
        kafka.allow(Broker.TOPIC, topic.name, Broker.READ)
        asked(t, OK, f"({good}).*; group webmond-eu, 12 shards$", settings)
    finally:
        kafka.allow_all()
    settings["kafka"]["topic"] = few.name
    settings["kafka"]["properties"] = ["partition.assignment.strategy=range"]
    asked(t, OK, r"; group webmond-eu, 2 shards \(no more than 2 members can check; with 4 for each "
          "the sites are shared evenly\\); warning: with partition.assignment.strategy=range all members pause", settings)
    require("webmond-eu" not in kafka.groups(), "-T has joined the group")


def tls_server(t, cert, key):
    """Something that speaks TLS at a port of its own; the port."""
    port = procs.free_ports(1)[0]
    process = procs.spawn(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet",
                           "-cert", cert, "-key", key], stderr=subprocess.DEVNULL)

    def answers():
        require(process.poll() is None, "openssl s_server has ended")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    procs.wait_for(answers, 10, "openssl s_server does not listen", 0.05)
    return port


def test_certificate_of_the_broker(t):
    ca = t.path("ca.pem"), t.path("ca.key")
    certs.authority(*ca, "an authority")
    certs.authority(t.path("other.pem"), t.path("other.key"), "another one")
    for name, hosts, days, trusted, text in (
            ("elsewhere", "DNS:kafka.example", 30, "ca.pem",
             "the broker's certificate is not valid for the host name in bootstrap.servers"),
            ("old", "IP:127.0.0.1", -1, "ca.pem",
             r"a certificate of the broker expired on 20\d\d-\d\d-\d\d"),
            ("foreign", "IP:127.0.0.1", 30, "other.pem",
             "the broker's certificate is not signed by the CA in ssl.ca.location")):
        cert, key = t.path(f"{name}.cert"), t.path(f"{name}.key")
        certs.signed(*ca, cert, key, "a broker", hosts, days=days)
        port = tls_server(t, cert, key)
        os.chmod(t.path(trusted), 0o644)
        said = asked(t, UNAVAILABLE, f"^kafka: cannot reach Kafka: {text}.*; look with: openssl "
                     r"s_client -connect HOST:PORT -verify_hostname HOST -CAfile CA; librdkafka: ",
                     settings_for(t, [f"bootstrap.servers=127.0.0.1:{port}",
                                      "security.protocol=ssl", f"ssl.ca.location={trusted}"]))
        require("certificate verify failed" in said, f"librdkafka's words are missing: {said}")


@needs("kafka")
def test_certificate_of_ours(t):
    kafka = t.kafka()
    for path in kafka.client_files():
        shutil.copy(path, t.directory)
        t.protect(t.path(os.path.basename(path)))
    ca = t.path("ca.pem"), os.path.join(kafka.directory, "ca.key")
    lines = kafka.properties("ssl", t.directory)
    topic = t.topic()
    asked(t, OK, "Kafka and the topic are there", settings_for(t, lines, topic.name))
    certs.signed(*ca, t.path("service.cert"), t.path("service.key"), "test client", days=-1)
    t.protect(t.path("service.cert"))
    t.protect(t.path("service.key"))
    asked(t, UNAVAILABLE, r"our client certificate expired on 20\d\d-\d\d-\d\d",
          settings_for(t, lines, topic.name))
    asked(t, UNAVAILABLE, "the broker wants a client certificate: set ssl.certificate.location",
          settings_for(t, [line for line in lines
                           if "certificate." not in line and "key." not in line], topic.name))


def test_nobody_there(t):
    closed = t.refused().port
    asked(t, UNAVAILABLE, "^kafka: cannot reach Kafka: is the broker running, and the port right",
          settings_for(t, [f"bootstrap.servers=127.0.0.1:{closed},127.0.0.2:{closed}"]))
    asked(t, UNAVAILABLE, "^kafka: cannot reach Kafka: check bootstrap.servers and the resolver",
          settings_for(t, ["bootstrap.servers=kafka.invalid:9092"]))


@needs("kafka")
def test_broker_that_goes_away(t):
    """Settings that have worked are not to blame when the broker ends the connection."""
    kafka, topic = t.kafka(), t.topic()
    for path in kafka.client_files():
        shutil.copy(path, t.directory)
        t.protect(t.path(os.path.basename(path)))
    settings = settings_for(t, kafka.properties("ssl", t.directory), topic.name)
    settings["sites"] = t.nginx().many(5)
    d = t.daemon(settings).start()
    topic.wait(lambda found: len(found) >= 5, 20, "nothing arrives")
    kafka.stop()
    t.note(d.wait_log(r"warning: kafka: .*", 20).group())
    kafka.start()
    t.note(d.wait_log(r"kafka: delivering again after \d+ s: \d+ records? waited", 60).group())
    d.wait_log("kafka: all that waited is delivered", 60)
    d.stop()
    for line in re.findall(r"warning: kafka: .*", d.log()):
        require("security.protocol" not in line and "port" not in line.split("; librdkafka")[0],
                f"it blames the settings: {line}")
    t.note(topic.check(at_least=10))
