# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The examples of consumers, etc/webmond-consumer.py and etc/webmond-alert.py: with a stand-in for
# their library, which keeps the topic in a file and tells what it was asked, and with the real one
# at a real broker.

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile

from harness import Failure, Skip, needs, procs, require
from harness.sites import site

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CONSUMER = os.path.join(TOP, "etc", "webmond-consumer.py")
ALERT = os.path.join(TOP, "etc", "webmond-alert.py")

# topic.jsonl: a message a line, {"value": …} or {"error": …}; offset, asked: what it leaves
STAND_IN = '''
import json, os, time
HERE = os.path.dirname(os.path.abspath(__file__))
class KafkaException(Exception): pass
class Error:
    def __init__(self, name): self._name = name
    def name(self): return self._name
    def str(self): return "Broker: " + self._name
    def fatal(self): return False
class Message:
    def __init__(self, entry, offset): self._entry, self._offset = entry, offset
    def error(self): return Error(self._entry["error"]) if "error" in self._entry else None
    def value(self): return self._entry["value"].encode()
    def partition(self): return 0
    def offset(self): return self._offset
def path(name): return os.path.join(HERE, name)
def note(*what):
    with open(path("asked"), "a") as f: f.write(json.dumps(what) + "\\n")
class Consumer:
    def __init__(self, conf):
        note("conf", conf)
        self.at = int(open(path("offset")).read()) if os.path.exists(path("offset")) else 0
    def subscribe(self, topics): note("subscribe", topics)
    def consume(self, count, timeout):
        lines = open(path("topic.jsonl")).read().splitlines()[self.at:][:count]
        if not lines: time.sleep(timeout)
        found = [Message(json.loads(l), self.at + n) for n, l in enumerate(lines)]
        self.at += len(lines)
        return found
    def commit(self, asynchronous):
        with open(path("offset"), "w") as f: f.write(str(self.at))
        note("commit", self.at)
    def close(self): note("close")
'''


def record(seq, site, epoch="20261128T101502Z-9f3c52d07a61be48", **others):
    return {"value": json.dumps({"epoch": epoch, "seq": seq, "site": site, "status": "up",
                                 "scheduled_at": f"T{seq}", "error_message": None, **others})}


class Stand:
    """A directory with the stand-in, a topic, and the consumer started in it."""

    def __init__(self, t, properties="bootstrap.servers=here:1\n", program=CONSUMER):
        self.t = t
        self.program = program
        t.write("confluent_kafka.py", STAND_IN)
        t.write("topic.jsonl", "")
        t.write("reader.properties", properties)

    def say(self, *entries):
        with open(self.t.path("topic.jsonl"), "a", encoding="utf-8") as f:
            f.writelines(json.dumps(entry) + "\n" for entry in entries)

    def asked(self):
        if not os.path.exists(self.t.path("asked")):
            return []
        with open(self.t.path("asked"), encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def start(self, *options):
        return procs.spawn([sys.executable, self.program, "-F", "reader.properties", *options],
                           cwd=self.t.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           env={**os.environ, "PYTHONPATH": self.t.directory})

    def run(self, commits, number=signal.SIGINT, options=()):
        """Until it has committed so often, in all runs together; what it printed."""
        process = self.start(*options)
        procs.wait_for(lambda: sum(a[0] == "commit" for a in self.asked()) >= commits, 20,
                       "it commits nothing")
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        require(process.returncode == 0, f"exit code {process.returncode}: {err.decode()}")
        require(b"Traceback" not in err, err.decode())
        require(self.asked()[-1] == ["close"], f"it did not close: {self.asked()}")
        return out.decode().splitlines(), err.decode()


def test_each_record_once(t):
    stand = Stand(t)
    stand.say(record(0, "a"), record(2, "b"), record(1, "c"), record(0, "a"), record(3, "a"),
              record(0, "a", "20261128T111502Z-0000000000000000"),
              {"value": "no JSON"}, {"value": "[]"}, {"value": "{}"},
              record(4, "b", status="down", error_message="got 500, want 200-299"))
    lines, err = stand.run(1)
    require(lines == ["T0 a up ", "T2 b up ", "T1 c up ", "T3 a up ", "T0 a up ",
                      "T4 b down got 500, want 200-299"], lines)
    require(err.count("no record of webmond") == 3, err)
    # the next run goes on where this one ended, and knows what it has seen
    stand.say(record(3, "a"), record(4, "b"), record(5, "c"))
    lines, _ = stand.run(2, signal.SIGTERM)
    require(lines == ["T5 c up "], lines)
    # offsets are lost, as with a group that was forgotten: still nothing comes twice
    os.remove(t.path("offset"))
    stand.say(record(6, "a"))
    lines, _ = stand.run(3)
    require(lines == ["T6 a up "], lines)


def test_properties_are_those_of_kcat(t):
    stand = Stand(t, "# where\n\n  bootstrap.servers = here:1,there:2 \r\n"
                  "sasl.password=a=b #c\ngroup.id=not-this\n")
    stand.say(record(0, "a"))
    stand.run(1)
    conf = stand.asked()[0][1]
    require(conf == {"bootstrap.servers": "here:1,there:2", "sasl.password": "a=b #c",
                     "group.id": "look", "auto.offset.reset": "earliest",
                     "enable.auto.commit": False}, conf)
    t.write("reader.properties", "nonsense\n")
    process = stand.start()
    _, err = process.communicate(timeout=20)
    require(process.returncode == 1 and b"reader.properties:1: " in err, err.decode())


def test_what_kafka_refuses_is_explained(t):
    for error, words in (("GROUP_AUTHORIZATION_FAILED", b'Read on the group "mine"'),
                         ("TOPIC_AUTHORIZATION_FAILED", b'Read on the topic "other"'),
                         ("UNKNOWN_TOPIC_OR_PART", b'there is no topic "other"')):
        stand = Stand(t)
        stand.say({"error": "_TRANSPORT"}, {"error": error})
        process = stand.start("-g", "mine", "-t", "other")
        _, err = process.communicate(timeout=20)
        require(process.returncode == 1 and words in err and b"Traceback" not in err, err.decode())
        require(b"_TRANSPORT" in err and stand.asked()[-1] == ["close"], err.decode())


def test_reader_of_the_consumer_leaves(t):
    stand = Stand(t)
    stand.say(*[record(n, "a") for n in range(20000)])
    process = stand.start("--json")
    require(json.loads(process.stdout.readline())["seq"] == 0, "no JSON")
    process.stdout.close()
    err = process.stderr.read()
    require(process.wait(20) == 0 and err == b"", f"{process.returncode}: {err.decode()}")
    require(stand.asked()[-1] == ["close"], "it did not close")


def wrapped(entry):
    """As it is with kafka.format = "json-connect"."""
    return {"value": f'{{"schema":{{"type":"struct","fields":[]}},"payload":{entry["value"]}}}'}


def test_records_with_a_schema_are_read(t):
    stand = Stand(t)
    stand.say(record(0, "a"), wrapped(record(1, "a")), wrapped(record(0, "a")),
              {"value": '{"schema":{},"payload":null}'}, {"value": '{"schema":{},"payload":[]}'})
    lines, err = stand.run(1)
    require(lines == ["T0 a up ", "T1 a up "], lines)
    require(err.count("no record of webmond") == 2, err)
    alert = Stand(t, program=ALERT)
    alert.say(*map(wrapped, outage(0, "a", "udddu")))
    os.remove(t.path("offset"))
    lines, err = alert.run(2)
    require([line.split()[:3] for line in lines] == [["T3", "a", "down"], ["T4", "a", "up"]], lines)


def outage(first, name, statuses, **others):
    """Records of a site with these statuses, "u", "d" or "?", and their streaks."""
    found, streak = [], 0
    for n, letter in enumerate(statuses):
        streak = streak + 1 if n > 0 and statuses[n - 1] == letter else 1
        fields = {"status": {"u": "up", "d": "down", "?": "unknown"}[letter], "instance": "here",
                  "streak": streak, "status_since": f"T{first + n - streak + 1}",
                  "url": "http://h/", **others}
        found.append(record(first + n, name, **fields))
    return found


def test_alert_comes_once_and_so_does_recovery(t):
    stand = Stand(t, program=ALERT)
    stand.say(*outage(0, "a", "uuddddd"), *outage(10, "b", "ddu"), *outage(20, "c", "???"),
              record(30, "of 1.0.0", instance="here"), {"value": "no JSON"}, {"value": "[" * 100000})
    lines, err = stand.run(1)
    require(lines == ["T4 a down since T2 (http://h/)"], lines)
    require(err.count("no record of webmond") == 2, err)
    # repeats, a restart of the daemon in the outage, a word that says nothing about the site
    again = "20261128T111502Z-0000000000000000"
    stand.say(*outage(0, "a", "uuddddd"), *outage(0, "a", "dddd?ddd", epoch=again))
    lines, _ = stand.run(2)
    require(lines == [], lines)
    stand.say(*outage(8, "a", "uu", epoch=again), *outage(0, "a", "uuddddd"),
              *outage(0, "a", "dddd?ddduu", epoch=again), *outage(10, "a", "dddd", epoch=again))
    os.remove(t.path("offset"))
    lines, _ = stand.run(3)
    require(lines == ["T8 a up since T8 (http://h/)", "T12 a down since T10 (http://h/)"], lines)


def test_alert_follows_a_site_to_another_member(t):
    """In a group who takes a site over goes on with its failure; another group has its own."""
    stand = Stand(t, program=ALERT)
    stand.say(*outage(0, "a", "ddd", group="eu", alone=False),
              *outage(3, "a", "dddd", group="eu", alone=False, instance="there",
                      epoch="20261128T111502Z-0000000000000000"),
              *outage(3, "a", "ddd", group="us", alone=False, instance="far",
                      epoch="20261128T111502Z-0000000000000001"),
              *outage(7, "a", "u", group="eu", alone=False, instance="there",
                      epoch="20261128T111502Z-0000000000000000"))
    lines, _ = stand.run(1)
    require([line.split()[:3] for line in lines] == [
        ["T2", "a", "down"], ["T5", "a", "down"], ["T7", "a", "up"]], lines)


def test_alert_options(t):
    stand = Stand(t, program=ALERT)
    stand.say(*outage(0, "a", "d"), *outage(10, "b", "?"), *outage(20, "c", "u"))
    lines, _ = stand.run(1, options=("-n", "1", "--unknown", "--from-now", "-g", "mine"))
    require([line.split()[1:3] for line in lines] == [["a", "down"], ["b", "unknown"]], lines)
    conf = stand.asked()[0][1]
    require(conf["group.id"] == "mine" and conf["auto.offset.reset"] == "latest", conf)
    require(os.path.exists(t.path("mine.state")), "where is its state?")


def test_alert_is_stopped_among_many(t):
    """The rest is said after the next start, and nothing twice."""
    stand = Stand(t, program=ALERT)
    names = [f"site-{n}" for n in range(100)]
    stand.say(*(entry for name in names for entry in outage(0, name, "ddd")))
    t.write("told", "")
    # who is stopped by the first command has time to see it before the second one
    t.write("tell.sh", 'echo "$WEBMOND_SITE" >>told; test $(wc -l <told) != 1 || kill $PPID')

    def told():
        with open(t.path("told"), encoding="utf-8") as f:
            return f.read().split()
    _, err = stand.start("sh", "tell.sh").communicate(timeout=60)
    require(err == b"" and len(told()) < 100, f"{len(told())} were told: {err.decode()}")
    stand.run(1, options=("sh", "tell.sh"))
    require(told() == names, told())


def test_alert_with_a_damaged_state(t):
    stand = Stand(t, program=ALERT)
    for text in ("", "5", "{}", "[1, 2]", '[{}, {"e": 5}]'):
        t.write("alert.state", text)
        process = stand.start()
        _, err = process.communicate(timeout=20)
        require(process.returncode == 1 and b"alert.state is damaged: " in err and
                b"Traceback" not in err, f"{text!r}: {err.decode()}")


HOSTILE = '$(touch bad)`touch bad`;touch bad\n"\'\x1b[2J\0'


def test_alert_runs_a_command(t):
    """Texts of a record do nothing in it; one that fails, hangs or is missing stops nothing."""
    stand = Stand(t, program=ALERT)
    stand.say(*outage(0, "a", "dddu", final_url=HOSTILE, body_bytes=7, labels=None,
                      **{"x=y": "z"}))
    t.write("tell.sh", 'printf "%s|" "$WEBMOND_SITE" "$WEBMOND_STATUS" "$WEBMOND_BODY_BYTES" '
            '"${WEBMOND_LABELS-unset}" "$1" >>told; echo >>told; '
            'printf "%s" "$WEBMOND_FINAL_URL" >url; cat >>json')
    _, err = stand.run(1, options=("sh", "tell.sh", "an argument"))
    require(err == "", err)
    with open(t.path("told"), encoding="utf-8") as f:
        require(f.read() == "a|down|7||an argument|\na|up|7||an argument|\n", "it was told wrong")
    with open(t.path("url"), encoding="utf-8") as f:
        require(f.read() == HOSTILE.replace("\0", " "), "the text has changed")
    require(not os.path.exists(t.path("bad")), "a shell has seen the text")
    with open(t.path("json"), encoding="utf-8") as f:
        require('"streak": 3' in f.read(), "no JSON")
    stand.say(*outage(10, "b", "ddd", error_message=HOSTILE))
    lines, _ = stand.run(2)
    require(len(lines) == 1 and "\x1b" not in lines[0], lines)
    for number, command in enumerate((["false"], ["sh", "-c", "sleep 600 & wait"], ["./missing"])):
        stand.say(*outage(20 + 10 * number, "c", "dddu"))
        _, err = stand.run(3 + number, options=("--timeout", "0.2", *command))
        require([line.startswith(command[0] + ": ") for line in err.splitlines()] == [True, True],
                err)


def make_venv(venv):
    python = os.path.join(venv, "bin", "python")
    try:
        for argv in ([sys.executable, "-m", "venv", "--clear", venv],
                     [python, "-m", "pip", "-q", "install", "confluent-kafka"]):
            done = procs.run(argv, 150)
            if done.returncode != 0:
                raise Skip(f"cannot get confluent-kafka: {done.stderr.strip()[-200:]}")
    except Failure as e:
        raise Skip(f"cannot get confluent-kafka: {e}") from None
    with open(os.path.join(venv, "ready"), "w", encoding="ascii"):
        pass


def python_with_library():
    """An interpreter with confluent-kafka: ours, or one of a venv that is made once."""
    if subprocess.run([sys.executable, "-c", "import confluent_kafka"], check=False,
                      stderr=subprocess.DEVNULL).returncode == 0:
        return sys.executable
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    # of this version of Python: a chroot may share the cache
    venv = os.path.join(base, "webmond-tests", "confluent-kafka-%d.%d" % sys.version_info[:2])
    os.makedirs(os.path.dirname(venv), exist_ok=True)
    with open(venv + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        if not os.path.exists(os.path.join(venv, "ready")):
            make_venv(venv)
    return os.path.join(venv, "bin", "python")


@needs("kafka")
def test_with_a_real_broker(t):
    """Stopped and started again and again, it prints all records, and none of them twice."""
    python = python_with_library()
    topic = t.topic()
    t.write("reader.properties", "\n".join(["# mine", *t.kafka().properties("sasl")]))
    d = t.daemon(t.settings(t.nginx().many(5), topic)).start()
    topic.wait(lambda found: len(found) >= 10, 30, "nothing arrives")
    seen = []

    def read(count):
        """At least so many lines, one or more: it can be stopped; then Ctrl-C."""
        with tempfile.TemporaryFile() as err:
            process = procs.spawn([python, "-u", CONSUMER, "-F", "reader.properties", "-t",
                                   topic.name, "-g", topic.name, "--json"], cwd=t.directory,
                                  stdout=subprocess.PIPE, stderr=err, bufsize=0)
            lines = [procs.read_line(process.stdout, 30, "the consumer") for _ in range(count)]
            process.send_signal(signal.SIGINT)
            lines += process.stdout.read().decode().splitlines()
            code = process.wait(20)
            err.seek(0)
            said = err.read().decode()
        require(code == 0 and "Traceback" not in said, f"exit code {code}: {said}")
        seen.extend(json.loads(line)["id"] for line in lines)

    for _ in range(3):
        read(5)
    d.stop()
    everything = {r.id for r in topic.firsts()}
    left = len(everything - set(seen))
    if left > 0:
        read(left)
    require(len(set(seen)) == len(seen), "it prints a record twice")
    require(set(seen) == everything, f"it left {everything - set(seen)} out")
    t.note(f"{len(seen)} records")


@needs("kafka")
def test_alert_with_a_real_broker(t):
    """A site fails and works again; meanwhile the publisher dies, and who watches is restarted."""
    python = python_with_library()
    topic, moody = t.topic(), t.moody()
    t.write("reader.properties", "\n".join(t.kafka().properties("sasl")))
    answers = ",".join(["200"] + ["500"] * 12 + ["200"])
    d = t.daemon(t.settings([site("a", moody.url(f"{answers}/a"), 1, 0.9)], topic)).start()
    said = []
    for word in ("down", "up"):
        with tempfile.TemporaryFile() as err:
            process = procs.spawn([python, ALERT, "-F", "reader.properties", "-t", topic.name,
                                   "-g", topic.name], cwd=t.directory, stdout=subprocess.PIPE,
                                  stderr=err, bufsize=0)
            said.append(procs.read_line(process.stdout, 60, f"{word} is not said").split())
            process.send_signal(signal.SIGTERM)
            said += [line.split() for line in process.stdout.read().decode().splitlines()]
            code = process.wait(20)
            err.seek(0)
            require(code == 0 and b"Traceback" not in err.read(), f"exit code {code}")
        procs.kill(d.publisher())
    d.stop()
    topic.check(at_least=14)
    found = [r for r in topic.firsts() if r.site == "a"]
    down = next(r for r in found if r.status == "down" and r.streak == 3)
    up = next(r for r in found if r.status == "up" and r.seq > down.seq)
    wanted = [[r.scheduled_at, "a", r.status, "since", r.status_since] for r in (down, up)]
    require([words[:5] for words in said] == wanted, f"{said}, not {wanted}")
