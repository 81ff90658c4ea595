# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The main job against a real broker: every verdict right, every promise kept, over plaintext,
# over mTLS as cloud providers set it up, and over SASL; against the oldest and the newest Kafka;
# and what happens when that is set up wrong.

import os
import shutil

from harness import broker, certs, needs, procs, records, require
from harness.sites import PAGE, site


def forty_sites(t):
    """(site, status, error_type, other fields of the record) of every kind."""
    nginx, slow, refused = t.nginx(), t.slow(), t.refused()
    ok = {"http_status_code": 200, "http_version": "1.1", "redirects": 0, "final_url": None,
          "tls_version": None, "tls_ms": None, "failed_regex": None}
    rows = [(s, "up", None, ok) for s in nginx.many(12, 2)]

    def add(count, name, url, status, word, fields=None, **keys):
        for n in range(count):
            address = url if "://" in url else nginx.url(f"{url}/{name}-{n}", n)
            rows.append((site(f"{name}-{n}", address, 2, **keys), status, word, fields or {}))

    add(3, "regex", "ok", "up", None, {**ok, "body_regex_matched": True},
        body_regex=["Add to cart", "\\bwell\\b"], body_regex_not="Sold out")
    add(3, "broken", "down", "down", "http_status", {"http_status_code": 500})
    add(2, "away", "away", "up", None, {"http_status_code": 503}, expect_status="200,500-503")
    add(3, "mismatch", "ok", "down", "regex_mismatch",
        {"http_status_code": 200, "body_regex_matched": False, "failed_regex": "Sold [Oo]ut"},
        body_regex="Sold [Oo]ut")
    add(2, "forbidden", "ok", "down", "regex_mismatch", {"failed_regex": "all is (well|fine)"},
        body_regex_not="all is (well|fine)")
    add(2, "refused", refused.url(), "down", "connect", {"http_status_code": None,
                                                         "response_time_ms": None})
    add(2, "hanging", slow.url("hang/x"), "down", "timeout",
        {"http_status_code": None, "response_time_ms": None})
    add(2, "slow", slow.url("delay/300"), "up", None, ok)
    add(2, "moved", "moved", "up", None, {"http_status_code": 200, "redirects": 1})
    add(1, "loop", "loop", "down", "too_many_redirects", {"http_status_code": 302},
        follow_redirects=3)
    add(1, "to-file", "file", "down", "redirect_refused", {"http_status_code": 302})
    add(1, "untrusted", nginx.tls_url("ok/untrusted"), "down", "tls",
        {"http_status_code": None, "tls_version": "TLSv1.3"})
    add(2, "tls", nginx.tls_url("ok/tls"), "up", None,
        {"http_status_code": 200, "tls_version": "TLSv1.3"}, verify_tls=False)
    add(1, "gzip", nginx.url("gzip/1.txt"), "up", None,
        {"body_bytes": len(PAGE), "body_truncated": False},
        headers=["Accept-Encoding: gzip"], body_regex="line 399 of")
    add(1, "cut", nginx.url("page/1.txt"), "up", None,
        {"body_bytes": 1024, "body_truncated": True}, body_limit_kb=1)
    return rows, nginx


@needs("kafka")
def test_forty_sites(t):
    rows, nginx = forty_sites(t)
    require(len(rows) == 40, f"{len(rows)} sites")
    topic = t.topic()
    labels = {"labels": ["team=web", "tier=1"]}
    d = t.daemon(t.settings([{**row[0], **labels} for row in rows], topic))
    d.start()
    topic.wait_rounds(d.settings["sites"], 5)
    d.stop()
    t.note(topic.check(at_least=40 * 5, every_slot=True))
    expected = {row[0]["name"]: row for row in rows}
    firsts = topic.firsts()
    require({r.site for r in firsts} == set(expected), "sites without a record")
    odd = [r for r in firsts if not records.cut_off(r) and
           (r.status, r.error_type) != expected[r.site][1:3]]
    wrong = [f"{r}, but {'/'.join(map(str, expected[r.site][1:3]))} was right: {r.error_message}"
             for r in records.not_busy(odd, firsts)]
    require(not wrong, "\n  ".join([f"{len(wrong)} verdicts are wrong", *wrong]))
    for r in firsts:
        s, status, word, fields = expected[r.site]
        if r in odd or records.cut_off(r):
            continue
        common = {"url": s["url"], "method": "GET", "instance": "test-1", "location": "lab",
                  "labels": "team=web,tier=1", "interval_s": 2, "epoch": d.epoch}
        for name, value in {**common, **fields}.items():
            require(r.data[name] == value, f"{r}: {name} is {r.data[name]!r}, not {value!r}")
        if word not in ("connect", "tls"):
            require(r.remote_ip == s["url"].split("//")[1].split(":")[0], f"{r}: {r.remote_ip}")
        require((r.cert_expires_at is not None) == s["url"].startswith("https:"),
                f"{r}: cert_expires_at is {r.cert_expires_at}")
        if status == "up" and "moved" in r.site:
            require(r.final_url == s["url"].replace("/moved/", "/ok/moved/"), r.final_url)
    # what the sites saw is what the records say
    hits = nginx.hits()
    unsure = {r.site for r in odd}  # who ran out of time may have been asked or not
    for s in (row[0] for row in rows[:12] if row[0]["name"] not in unsure):
        path = "/" + s["url"].split("/", 3)[3]
        count = sum(r.site == s["name"] and r.started_at is not None for r in firsts)
        require(hits[path] == count, f"{s['name']}: {hits[path]} requests, {count} records")


def secure(t, listener, sites, **files):
    """Settings for a listener, with its files beside the configuration; `files` replace some."""
    for path in t.kafka().client_files():
        name = os.path.basename(path)
        shutil.copy(files.get(name, path), t.path(name))
        t.protect(t.path(name))
    lines = t.kafka().properties(listener, t.directory)
    t.write("kafka.properties", "# as handed out\n\n" + "\n".join(lines) + "\n", secret=True)
    topic = t.topic()
    settings = t.settings(sites, topic)
    settings["kafka"] = {"topic": topic.name, "properties_file": "kafka.properties",
                         "properties": ["linger.ms=5"]}
    return settings, topic


def run_secure(t, listener):
    settings, topic = secure(t, listener, t.nginx().many(5))
    test = t.webmond("-c", t.daemon(settings).file, "-T")
    require(test.returncode == 0, f"-T: {test.returncode}: {test.stderr}")
    d = t.daemons[-1].start()
    topic.wait(lambda found: len(found) >= 10, 20, "nothing arrives")
    d.stop()
    t.note(topic.check(at_least=10))


@needs("kafka")
def test_mtls_with_three_files(t):
    run_secure(t, "ssl")


@needs("kafka")
def test_sasl_ssl_plain(t):
    run_secure(t, "sasl")


def settled(topic, last_seq):
    """Whether everything up to a seq has arrived."""
    return lambda found: {r.seq for r in found} >= set(range(last_seq + 1))


def run_against(t, version):
    """The main path over TLS: no record missing, with a restart of the broker inside."""
    kafka, nginx = t.use_kafka(version), t.nginx()
    settings, topic = secure(t, "ssl", nginx.many(20))
    d = t.daemon(settings)
    test = t.webmond("-c", d.file, "-T")
    require(test.returncode == 0, f"-T: {test.returncode}: {test.stderr}")
    d.start()
    topic.wait(lambda found: len(found) >= 20, 20, "nothing arrives")
    kafka.stop()
    before = sum(nginx.hits().values())
    procs.wait_for(lambda: sum(nginx.hits().values()) >= before + 40, 30,
                   "without Kafka the checks do not go on")
    kafka.start()
    topic.wait_new(60)
    d.stop()
    t.note(f"Kafka {version}: {topic.check(at_least=60, every_slot=True)}")


@needs(f"kafka {broker.OLDEST}")
def test_oldest_kafka(t):
    run_against(t, broker.OLDEST)


@needs(f"kafka {broker.NEWEST}")
def test_newest_kafka(t):
    run_against(t, broker.NEWEST)


@needs("kafka")
def test_wrong_authority_then_repaired(t):
    certs.authority(t.path("other.pem"), t.path("other.key"), "someone else")
    settings, topic = secure(t, "ssl", t.nginx().many(5), **{"ca.pem": t.path("other.pem")})
    d = t.daemon(settings).start()
    hint = d.wait_log(r"kafka: .*ssl\.ca\.location.*", 15).group()
    t.note(hint)
    procs.let_pass(2, "it does not give up, and nothing arrives")
    require(d.running(), "it gave up")
    require(topic.records() == [], "records arrived through an untrusted connection")
    shutil.copy(t.kafka().client_files()[0], t.path("ca.pem"))
    d.reload()
    topic.wait(settled(topic, 14), 30, "what waited in the spool does not arrive")
    d.stop()
    t.note(topic.check(at_least=15, every_slot=True))


@needs("kafka")
def test_client_certificate_missing(t):
    nginx = t.nginx()
    settings, topic = secure(t, "ssl", nginx.many(5))
    lines = [line for line in t.kafka().properties("ssl", t.directory)
             if "certificate" not in line and "key" not in line]
    t.write("kafka.properties", "\n".join(lines))
    d = t.daemon(settings).start()
    hint = d.wait_log(r"kafka: .*client certificate.*", 15).group()
    t.note(hint)
    require("ssl.certificate.location" in hint, f"no advice: {hint}")
    nginx.wait_asked(5)
    d.stop()
    t.write("kafka.properties", "\n".join(t.kafka().properties("ssl", t.directory)))
    d.start()
    topic.wait(lambda found: len({r.epoch for r in found}) == 2, 20, "nothing new arrives")
    d.stop()
    t.note(topic.check(at_least=6))


@needs("kafka")
def test_wrong_password(t):
    settings, topic = secure(t, "sasl", t.nginx().many(3))
    lines = [line for line in t.kafka().properties("sasl", t.directory) if "password" not in line]
    t.write("kafka.properties", "\n".join([*lines, "sasl.password=not-this-one"]), secret=True)
    d = t.daemon(settings).start()
    t.note(d.wait_log(r"kafka: .*(password|[Aa]uthentication).*", 15).group())
    require("not-this-one" not in d.log(), "the password is in the log")
    d.stop()


@needs("kafka")
def test_topic_created_later(t):
    nginx, topic = t.nginx(), t.topic(create=False)
    d = t.daemon(t.settings(nginx.many(5), topic)).start()
    nginx.wait_asked(20)
    require(d.running(), "it gave up")
    require(t.kafka().create_topic(topic.name, topic.partitions) == 0, "cannot create the topic")
    topic.wait(settled(topic, 14), 40, "what waited for the topic does not arrive")
    d.stop()
    t.note(topic.check(at_least=15))
