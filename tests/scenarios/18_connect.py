# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# kafka.format = "json-connect": what Kafka Connect's own JsonConverter makes of it, and that the
# judges (records.py and webmondctl verify) and the examples of consumers read it.

import os

from harness import broker, needs, records, require, verify
from harness.connect import Connect, worker
from harness.sites import site

STRUCT = {"int64": str, "double": lambda v: str(float(v)), "string": str,
          "boolean": lambda v: str(v).lower()}


def as_struct(data):
    """How a Struct of Connect looks with these values; what is null is not shown."""
    shown = (f"{f['field']}={STRUCT[f['type']](data[f['field']])}"
             for f in records.connect_fields() if data[f["field"]] is not None)
    return "Struct{" + ",".join(shown) + "}"


def various(t):
    """Sites with all types in their records, and as many nulls."""
    nginx = t.nginx()
    return [site("up", nginx.url("ok/a?x=%22"), labels=["a=ä\"}"]), site("refused", t.refused().url()),
            site("code", nginx.url("missing"), body_sample=True),
            site("pattern", nginx.url("ok/b"), body_regex="no such text")]


def test_format_changes_by_a_reload(t):
    """The judge reads both, and holds each schema against that of the record."""
    mock = t.mock()
    topic = mock.topic("results", 3)
    settings = t.settings(various(t), topic, mock.bootstrap)
    d = t.daemon(settings).start()
    topic.wait(lambda found: len(found) >= 8, 20, "nothing arrives")
    require(not any(r.connect for r in topic.records()), "json has a schema")
    for word in ("json-connect", "json"):
        seen = len(topic.records())
        d.reload({**settings, "kafka": {**settings["kafka"], "format": word}})
        topic.wait(lambda found, word=word, seen=seen: any(
            bool(r.connect) == (word == "json-connect") for r in sorted(
                found, key=lambda r: r.seq)[seen + 8:]), 30, f"no {word} arrives")
    d.stop()
    summary = verify.beside(topic, at_least=24)
    require(any(r.connect for r in topic.records()), "json-connect has no schema")
    require(set(summary.words) >= {"up", "connect", "http_status", "regex_mismatch"}, summary)


@needs("kafka")
def test_connect_reads_each_record(t):
    """A real Connect with its JsonConverter and its sink that writes a line for each."""
    plugins = broker.fetch_jars(f"connect-file-{broker.VERSION}",
                                [f"org.apache.kafka:connect-file:{broker.VERSION}"])
    topic = t.topic()
    d = t.daemon(t.settings(various(t), topic, kafka={"format": "json-connect"})).start()
    topic.wait(lambda found: len(found) >= 20, 30, "nothing arrives")
    d.stop()
    topic.check()
    expected = sorted(as_struct(r.data) for r in topic.records())
    out = t.path("out")
    connect = Connect(t.path("connect"), worker(t.kafka().address(), plugins), f"""name=file
connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector
tasks.max=1
topics={topic.name}
file={out}
""")

    def written():
        if not os.path.exists(out):
            return []
        with open(out, encoding="utf-8") as f:
            return sorted(f.read().splitlines())
    try:
        connect.wait(lambda: len(written()) >= len(expected), "it does not write all records")
    finally:
        connect.stop()
    for found, wanted in zip(written(), expected):
        require(found == wanted, f"{found}\nnot\n{wanted}")
    t.note(f"{len(expected)} records")
