#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
"""
Say when a site of webmond fails several times in a row, and when it works again.

  webmond-alert.py -F reader.properties [-t TOPIC] [-g GROUP] [-s FILE] [-n N] [--unknown]
                   [--from-now] [--timeout SECONDS] [COMMAND [ARGUMENT…]]

Take it as it is, or as the beginning of an alerting of your own. It needs confluent-kafka: package
python3-confluent-kafka of Debian and Ubuntu, or `pip install confluent-kafka`.

A site has failed when its status is `down` and its streak has come to N (with --unknown, `unknown`
counts as well); it works again with its first `up` after that. A streak needs checks that end before
the next one is due: set a timeout below the interval. Each of the two is said once: on
standard output, or by COMMAND, which runs without a shell. It gets the record as JSON on its
standard input, and each field in an environment variable: WEBMOND_SITE, WEBMOND_STATUS and so on;
empty for null. What such a variable holds may come from the site: put it in quotes, "$WEBMOND_URL".

webmond delivers at least once, and within an epoch the seq of a site only rises: what is not above
the last one is a repeat. The state is saved each time that something was said; what came since then
would say nothing new. Who is killed in between says it once more, and forgets nothing. A command
that fails, or that is killed because it takes too long, is reported and not run again.
"""
import argparse
import json
import os
import re
import signal
import subprocess
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


class State:
    """Which sites have failed, and the highest seq of each site in each epoch, in a file."""

    def __init__(self, path):
        self.path = path
        self.failed = {}  # "place site": scheduled_at of the record that said so
        self.epochs = {}
        if os.path.exists(path):
            try:
                with open(path, encoding="utf-8") as f:
                    self.failed, self.epochs = json.load(f)
                if any(type(part) is not dict for part in
                       (self.failed, self.epochs, *self.epochs.values())):
                    raise ValueError("this is no state")
            except (TypeError, ValueError, AttributeError) as e:
                raise SystemExit(f"{path} is damaged: {e}; move it away, then failures are "
                                 "said again") from None

    def is_new(self, record):
        # taken out and put in again: the epoch that was heard last is the last one
        sites = self.epochs.pop(record["epoch"], {})
        self.epochs[record["epoch"]] = sites
        if record["seq"] <= sites.get(record["site"], -1):
            return False
        sites[record["site"]] = record["seq"]
        return True

    def save(self):
        while len(self.epochs) > EPOCHS:
            del self.epochs[next(iter(self.epochs))]
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            json.dump([self.failed, self.epochs], f)
            f.flush()
            os.fsync(f.fileno())  # else a loss of power may leave an empty file
        os.replace(self.path + ".new", self.path)


def clean(text):
    """A record comes from a topic in which others may write: no control characters."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def say(record):
    reason = "" if record["error_message"] is None else f": {record['error_message']}"
    print(clean(f"{record['scheduled_at']} {record['site']} {record['status']} since "
                f"{record.get('status_since')} ({record['url']}){reason}"), flush=True)


def run(command, record, timeout):
    environment = {os.fsencode(name): os.fsencode(value) for name, value in os.environ.items()}
    for name, value in record.items():
        if re.fullmatch("[a-z0-9_]+", name):
            text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
            environment[b"WEBMOND_" + name.upper().encode()] = text.encode(
                "utf-8", "replace").replace(b"\0", b" ")
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment,
                              start_new_session=True) as process:
            try:
                process.communicate(json.dumps(record).encode(), timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # and what it has started
    except OSError as e:
        print(f"{command[0]}: {e}", file=sys.stderr)
        return
    if process.returncode != 0:
        print(clean(f"{command[0]}: exit code {process.returncode} for {record['site']} "
                    f"{record['status']}"), file=sys.stderr)


def handle(record, state, options):
    """If this record says that its site has failed, or works again, say so."""
    bad = ("down", "unknown") if options.unknown else ("down",)
    # whichever member of a group has the site
    name = f"{record.get('group') or record['instance']} {record['site']}"
    fails = record["status"] in bad and record.get("streak", 0) >= options.count
    if not state.is_new(record) or not (
            record["status"] == "up" if name in state.failed else fails):
        return
    if options.command:
        run(options.command, record, options.timeout)
    else:
        say(record)
    if fails:
        state.failed[name] = record["scheduled_at"]
    else:
        del state.failed[name]
    state.save()


def consume(consumer, state, options, stopping):
    from confluent_kafka import KafkaException

    while not stopping:
        messages = consumer.consume(BATCH, 0.5)
        for message in messages:
            if stopping:  # commands may take long; what has not been handled comes again
                return
            error = message.error()
            if error is not None:
                if error.fatal() or "AUTHORIZATION_FAILED" in error.name():
                    raise SystemExit(error.str())
                print(error.str(), file=sys.stderr)
                continue
            try:
                handle(read_record(message.value()), state, options)
            except (KeyError, TypeError, ValueError, RecursionError) as e:
                print(f"partition {message.partition()}, offset {message.offset()}: no record of "
                      f"webmond: {e!r}", file=sys.stderr)
        if messages:
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as e:
                print(f"{e}; some records may come again", file=sys.stderr)


def main():
    stopping = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.append(True))

    parser = argparse.ArgumentParser(description="Say when a site fails, and when it works again.")
    parser.add_argument("-F", metavar="FILE", dest="properties", required=True,
                        help="how to reach Kafka: the properties file of kcat and webmond")
    parser.add_argument("-t", metavar="TOPIC", dest="topic", default="webmond.results")
    parser.add_argument("-g", metavar="GROUP", dest="group", default="alert",
                        help="consumer group; a new one begins with the oldest record")
    parser.add_argument("-s", metavar="FILE", dest="state",
                        help="what was said (default: GROUP.state)")
    parser.add_argument("-n", metavar="N", dest="count", type=int, default=3,
                        help="after how many failures in a row (default: 3)")
    parser.add_argument("--unknown", action="store_true",
                        help="a site that cannot be checked has failed too")
    parser.add_argument("--from-now", action="store_true",
                        help="a new group begins with the records that are still to come")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=30,
                        help="how long COMMAND may take (default: 30)")
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER,
                        help="what to run, with its arguments (default: print a line)")
    options = parser.parse_args()
    if options.count < 1:
        parser.error("-n must be at least 1")
    sys.stdout.reconfigure(errors="backslashreplace")

    try:
        from confluent_kafka import Consumer
    except ImportError:
        raise SystemExit("confluent-kafka is missing: apt-get install python3-confluent-kafka, or "
                         "pip install confluent-kafka in a venv") from None
    try:
        state = State(options.state or f"{options.group}.state")
        properties = read_properties(options.properties)
    except (OSError, ValueError) as e:
        raise SystemExit(str(e)) from None
    consumer = Consumer({**properties, "group.id": options.group,
                         "auto.offset.reset": "latest" if options.from_now else "earliest",
                         "enable.auto.commit": False})
    consumer.subscribe([options.topic])
    try:
        consume(consumer, state, options, stopping)
    except BrokenPipeError:  # nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        consumer.close()  # else the next start waits until the group has given us up


if __name__ == "__main__":
    main()
