#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
"""
Print what webmond writes to its topic, one line per record, each record once.

  webmond-consumer.py -F reader.properties [-t TOPIC] [-g GROUP] [-s FILE] [--json]

Take it as it is, or as the beginning of a consumer of your own. It needs confluent-kafka: package
python3-confluent-kafka of Debian and Ubuntu, or `pip install confluent-kafka`.

webmond delivers at least once: a record may come again, the same byte for byte. Records of a site
come in the order of their slots, so within an epoch `seq` of a site only rises, and one number per
epoch and site says what has been seen: whatever is not above it is a repeat. That is all the state
there is. It is saved, and only then the offsets are committed, after the records were printed: who
is killed in between prints some again, and loses none.
"""
import argparse
import json
import os
import signal
import sys

BATCH = 500
EPOCHS = 1000  # a daemon begins one at each start; older ones do not come again


def read_properties(path):
    """As `kcat -F` and webmond read them: name=value, with or without blanks, and comments."""
    properties = {}
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            name, equals, value = line.partition("=")
            if not equals or not name.strip():
                raise SystemExit(f"{path}:{number}: a property must look like name=value")
            properties[name.strip()] = value.strip()
    return properties


def read_record(value):
    record = json.loads(value)
    # kafka.format = "json-connect": it lies in an envelope beside its schema
    return record["payload"] if isinstance(record, dict) and "payload" in record else record


class Seen:
    """The highest seq of each site in each epoch, in a file."""

    def __init__(self, path):
        self.path = path
        self.epochs = {}
        self.changed = False
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                self.epochs = json.load(f)

    def is_new(self, record):
        # taken out and put in again: the epoch that was heard last is the last one
        sites = self.epochs.pop(record["epoch"], {})
        self.epochs[record["epoch"]] = sites
        if record["seq"] <= sites.get(record["site"], -1):
            return False
        sites[record["site"]] = record["seq"]
        self.changed = True
        return True

    def save(self):
        if not self.changed:
            return
        while len(self.epochs) > EPOCHS:
            del self.epochs[next(iter(self.epochs))]
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            json.dump(self.epochs, f)
        os.replace(self.path + ".new", self.path)
        self.changed = False


def show(record, as_json):
    if as_json:
        print(json.dumps(record, ensure_ascii=False))
    else:
        print(record["scheduled_at"], record["site"], record["status"],
              record["error_message"] or "")


def handle(message, seen, as_json):
    try:
        record = read_record(message.value())
        if seen.is_new(record):
            show(record, as_json)
    except (KeyError, TypeError, ValueError) as e:
        print(f"partition {message.partition()}, offset {message.offset()}: no record of webmond: "
              f"{e!r}", file=sys.stderr)


def advice(error, group, topic):
    """What to do about an error that does not go away, or None: librdkafka tries again."""
    return {
        "GROUP_AUTHORIZATION_FAILED":
            f"give this user Read on the group \"{group}\" (kafka-acls.sh --add "
            f"--allow-principal User:NAME --operation Read --group {group})",
        "TOPIC_AUTHORIZATION_FAILED":
            f"give this user Read on the topic \"{topic}\" (kafka-acls.sh --add "
            f"--allow-principal User:NAME --operation Read --topic {topic})",
        "UNKNOWN_TOPIC_OR_PART": f"there is no topic \"{topic}\"",
    }.get(error.name())


def consume(consumer, seen, options, stopping):
    from confluent_kafka import KafkaException

    while not stopping:
        messages = consumer.consume(BATCH, 0.5)
        for message in messages:
            error = message.error()
            if error is None:
                handle(message, seen, options.json)
                continue
            cure = advice(error, options.group, options.topic)
            if cure is not None or error.fatal():
                raise SystemExit(f"{cure or 'Kafka'}: {error.str()}")
            print(error.str(), file=sys.stderr)
        if not messages:
            continue
        sys.stdout.flush()
        seen.save()
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as e:
            print(f"{e}; some records may come again", file=sys.stderr)


def main():
    stopping = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.append(True))

    parser = argparse.ArgumentParser(description="Print the records of webmond, each once.")
    parser.add_argument("-F", metavar="FILE", dest="properties", required=True,
                        help="how to reach Kafka: the properties file of kcat and webmond")
    parser.add_argument("-t", metavar="TOPIC", dest="topic", default="webmond.results")
    parser.add_argument("-g", metavar="GROUP", dest="group", default="look",
                        help="consumer group; a new one begins with the oldest record")
    parser.add_argument("-s", metavar="FILE", dest="seen",
                        help="what has been seen (default: GROUP.seen)")
    parser.add_argument("--json", action="store_true", help="print the whole records")
    options = parser.parse_args()

    try:
        from confluent_kafka import Consumer
    except ImportError:
        raise SystemExit("confluent-kafka is missing: apt-get install python3-confluent-kafka, or "
                         "pip install confluent-kafka in a venv") from None
    try:
        seen = Seen(options.seen or f"{options.group}.seen")
        properties = read_properties(options.properties)
    except (OSError, ValueError) as e:
        raise SystemExit(str(e)) from None
    consumer = Consumer({**properties, "group.id": options.group,
                         "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([options.topic])
    try:
        consume(consumer, seen, options, stopping)
    except BrokenPipeError:  # who reads has enough; nothing more is printed, at the exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        consumer.close()  # else the next start waits until the group has given us up


if __name__ == "__main__":
    main()
