# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# etc/recipes: the settings, tables, queries and programs of each page are taken out of it and run on
# records of a real daemon in a real Kafka; only names of hosts, files and the topic are replaced.
# Whatever a query says must be what Python makes of the same records.

import ast
import csv
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections import defaultdict

from harness import Failure, Skip, broker, needs, procs, records, require
from harness.connect import Connect, fetch_plugin
from harness.context import ROOT, USER
from harness.sites import site

PAGES = os.path.join(records.ROOT, "etc", "recipes")
DEBEZIUM = "io.debezium:debezium-connector-jdbc:3.4.3.Final"
CHDB, CONFLUENT = "chdb==4.4.0", "confluent-kafka==2.16.1"


def page(name, language, changes):
    """The blocks of a page in a language, each name in `changes` replaced, which must be there."""
    with open(os.path.join(PAGES, name), encoding="utf-8") as f:
        text = f.read()
    for old, new in changes.items():
        require(old in text, f"{name} does not name {old}")
        text = text.replace(old, new)
    return re.findall(f"^```{language}\n(.*?)^```$", text, re.M | re.S)


def library(package):
    """A Python with this package, in a venv that is made once."""
    directory = broker.cache_directory(package.replace("==", "-"))
    python = os.path.join(directory, "bin", "python")
    if not os.path.exists(os.path.join(directory, "ready")):
        try:
            venv.create(directory, clear=True, with_pip=True)
            done = procs.run([python, "-m", "pip", "-q", "install", package], 400)
        except (Failure, OSError, subprocess.CalledProcessError) as e:
            raise Skip(f"cannot get {package} (Debian: python3-venv): {e}") from None
        if done.returncode != 0:
            raise Skip(f"cannot get {package}: {done.stderr.strip()[-200:]}")
        with open(os.path.join(directory, "ready"), "w", encoding="ascii"):
            pass
    return python


def history(t, **kafka):
    """A topic with outages and repeats in it; returns it and its records, each once."""
    moody = t.moody()
    words = "200,500,200,200,500,500,500,500,503,200"  # the last one for ever
    sites = [site("moody", moody.url(f"{words}/a"), 1, 0.9),
             site("gone", t.refused().url(), 1, 0.9),
             site("late", moody.url("200,200,hang/b"), 1, 0.5, labels=["team=\u00e4 \"b\""]),
             # a failure of this host's: unknown
             site("blind", moody.url("200/c"), 1, 0.9, proxy=t.refused().url()),
             *(site(f"up-{n}", moody.url(f"200/{n}")) for n in range(3))]
    topic = t.topic()
    d = t.daemon(t.settings(sites, topic, kafka=kafka)).start()
    topic.wait(lambda found: len({r.seq for r in found if r.site == "moody"}) >= 11, 40,
               "nothing arrives")
    d.stop()
    topic.check()
    found = topic.records()
    for r in found[::7]:  # as a broker that fails may have it
        done = procs.run(["kcat", "-P", *topic.arguments, "-t", topic.name, "-p", str(r.partition),
                          "-k", r.key], input=r.payload, stdin=None)
        require(done.returncode == 0, done.stderr)
    firsts = topic.firsts()
    require(len(topic.records()) > len(firsts), "nothing comes twice")
    return topic, sorted(firsts, key=lambda r: (r.scheduled_at, r.id))


# --- what Python says ---------------------------------------------------------------------------

def known(firsts):
    return [r for r in firsts if r.status != "unknown"]


def availability(firsts):
    counts = defaultdict(list)
    for r in known(firsts):
        counts[r.site, r.scheduled_at[:10]].append(r.status == "up")
    return sorted((*k, len(v), round(100 * sum(v) / len(v), 3)) for k, v in counts.items())


def outages(firsts):
    """(site, began, ended or "", error_type)"""
    found = []
    for name in {r.site for r in firsts}:
        began = None
        for r in (r for r in known(firsts) if r.site == name):
            if r.status == "down" and began is None:
                began = r
            elif r.status == "up" and began is not None:
                found.append((name, began.scheduled_at, r.scheduled_at, began.error_type))
                began = None
        if began is not None:
            found.append((name, began.scheduled_at, "", began.error_type))
    require(len([o for o in found if o[0] == "moody"]) == 2, f"what has happened? {found}")
    return sorted(found)


def threes(firsts):
    found = sorted((r.site, r.status_since, r.scheduled_at, r.error_type, r.error_message)
                   for r in firsts if r.status == "down" and r.streak == 3)
    require({"moody", "gone"} <= {name for name, *_ in found}, found)
    return found


def percentiles(firsts, pick):
    times = defaultdict(list)
    for r in firsts:
        if r.status == "up":
            times[r.site].append(r.response_time_ms)
    return sorted((name, *(round(pick(sorted(v), p), 3) for p in (0.5, 0.95, 0.99)))
                  for name, v in times.items())


def between(values, p):
    at = p * (len(values) - 1)
    low = int(at)
    return values[low] + (at - low) * (values[min(low + 1, len(values) - 1)] - values[low])


def nearest(values, p):
    return values[max(0, -int(-p * len(values) // 1) - 1)]


def utc(text):
    """A time as a database prints it, as in a record."""
    if not text:
        return ""
    day, clock = text.removesuffix("+00").split(" ")
    seconds, _, rest = clock.partition(".")
    return f"{day}T{seconds}.{rest.ljust(3, '0')}Z"


def same(what, found, expected):
    found = sorted(map(tuple, found))
    require(found == expected, f"{what}: {found}, not {expected}")


def hold_against(firsts, answers, pick):
    """`answers`: the rows, as texts, of the four queries in the order of the page."""
    by_day, outage, three, times = answers
    same("availability", [(a, b, int(c), round(float(d), 3)) for a, b, c, d in by_day],
         availability(firsts))
    same("outages", outage, outages(firsts))
    same("three failures", three, threes(firsts))
    same("percentiles", [(row[0], *(round(float(v), 3) for v in row[1:])) for row in times],
         percentiles(firsts, pick))


# --- the recipes ----------------------------------------------------------------------------------

class PostgreSQL:
    """A server with the database webmond; its administrator needs no password at its socket."""

    def __init__(self, t):
        found = glob.glob("/usr/lib/postgresql/*/bin") or glob.glob("/usr/pgsql-*/bin")
        if not found:
            raise Skip("there is no PostgreSQL (Debian: postgresql)")
        self.directory = t.own_directory("postgresql")
        self.port = procs.free_ports(1)[0]
        self.programs = sorted(found)[-1]
        who = {"user": USER} if ROOT else {}
        data = os.path.join(self.directory, "data")
        done = procs.run([os.path.join(self.programs, "initdb"), "-D", data, "-U", "admin", "-A",
                          "trust", "--auth-host=scram-sha-256", "-E", "UTF8", "--locale=C",
                          "--no-sync"], cwd=self.directory, **who)
        require(done.returncode == 0, done.stderr)
        log = open(os.path.join(self.directory, "log"), "wb")  # pylint: disable=consider-using-with
        self.process = procs.spawn(
            [os.path.join(self.programs, "postgres"), "-D", data, "-k", self.directory, "-p",
             str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c",
             "timezone=UTC"], stdout=log, stderr=log, cwd=self.directory, **who)
        procs.wait_for(lambda: self.psql("postgres", "SELECT 1", False) is not None, 60,
                       "PostgreSQL does not start")
        self.psql("postgres", "CREATE DATABASE webmond")

    def psql(self, database, text, must=True):
        """The rows of the last statement, as texts; null is an empty one."""
        done = procs.run(["psql", "-h", self.directory, "-p", str(self.port), "-U", "admin", "-X",
                          "-q", "--csv", "-t", "-v", "ON_ERROR_STOP=1", database], input=text,
                         stdin=None)
        if done.returncode != 0:
            require(not must, done.stderr)
            return None
        return list(csv.reader(done.stdout.splitlines()))

    def stop(self):
        procs.end(self.process)


@needs("kafka")
def test_postgresql(t):
    plugins = fetch_plugin(DEBEZIUM)
    db = PostgreSQL(t)
    t.note(db.psql("postgres", "SELECT version()")[0][0])
    try:
        topic, firsts = history(t, format="json-connect")
        for name, parts in (("ca.pem", ["ca.pem"]), ("service.pem", ["service.key", "service.cert"])):
            t.write(name, "".join(open(os.path.join(t.kafka().directory, p), encoding="ascii").read()
                                  for p in parts), secret=True)
        changes = {"kafka.example:9093": t.kafka().address("ssl"), "/etc/connect": t.directory,
                   "/usr/share/kafka-connect": plugins, "webmond.results": topic.name,
                   "db.example:5432": f"127.0.0.1:{db.port}"}
        tables, *queries = page("postgresql.md", "sql", {})
        view, together = page("groups.md", "sql", {})
        db.psql("webmond", tables)
        connect = Connect(t.path("connect"), *page("postgresql.md", "properties", changes))

        def rows():
            return int(db.psql("webmond", "SELECT count(*) FROM webmond_results")[0][0])
        try:
            connect.wait(lambda: rows() >= len(firsts), "rows are missing")
            # the repeats, which come last
            last = {r.partition: r.offset + 1 for r in topic.records()}
            connect.wait(lambda: committed(topic, "connect-webmond-postgresql") == last,
                         "it does not come to the end")
        finally:
            connect.stop()
        require(rows() == len(firsts), f"{rows()} rows, not {len(firsts)}")
        by_day, outage, three, times = (db.psql("webmond", q) for q in queries)
        hold_against(firsts, (by_day, [(a, utc(b), utc(c), d) for a, b, c, d in outage],
                              [(a, utc(b), utc(c), d, e) for a, b, c, d, e in three], times), between)
        # all columns are as in the record
        text = {r.id: r.data for r in firsts}
        names = list(firsts[0].data)
        columns = ", ".join(f'"{n}"' for n in names)
        for row in db.psql("webmond", f"SELECT {columns} FROM webmond_results"):
            for name, value in zip(names, row):
                require(value == as_column(name, text[row[1]][name]),
                        f"{row[1]}: {name} is {value!r}, not {text[row[1]][name]!r}")
        check_slots(db, view, together)
        t.note(f"{len(firsts)} records, {len(topic.records()) - len(firsts)} repeats")
    finally:
        db.stop()


def check_slots(db, view, together):
    """The same sites as from two other places, in a group each, and what comes twice after a kill."""
    db.psql("webmond", view)
    require(db.psql("webmond", together) == [], "one place alone is not two")
    copy = ("INSERT INTO webmond_results SELECT (r).* FROM (SELECT jsonb_populate_record(w, "
            "jsonb_build_object('id', '{place}' || id, 'group', '{place}', 'alone', {alone}, "
            "'status', {status})) AS r FROM webmond_results w WHERE \"group\" IS NULL) AS copies")
    for place, alone, status in (("b", "false", "status"), ("c", "false", "'up'::text"),
                                 ("c1", "true", "'down'::text"), ("c2", "false", "'unknown'::text")):
        db.psql("webmond", copy.format(place=place, alone=alone, status=status))
    db.psql("webmond", "UPDATE webmond_results SET \"group\" = 'c' WHERE \"group\" LIKE 'c%'")
    expected = db.psql("webmond", "SELECT count(*) FROM webmond_results WHERE id NOT LIKE 'c%' "
                       "AND id NOT LIKE 'b%' AND status = 'down'")
    counts = [int(row[3]) for row in db.psql("webmond", together)]
    require(counts and sum(counts) == int(expected[0][0]), f"{counts}, not {expected}")


def as_column(name, value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    if name.endswith(("_at", "_since")):
        return value.replace("T", " ").rstrip("Z").rstrip("0").rstrip(".") + "+00"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def committed(topic, group):
    """By partition, what a group has committed; those without an offset are left out."""
    python = library(CONFLUENT)
    code = """
import sys
from confluent_kafka import Consumer, TopicPartition
c = Consumer({"bootstrap.servers": sys.argv[1], "group.id": sys.argv[3]})
found = c.committed([TopicPartition(sys.argv[2], n) for n in range(int(sys.argv[4]))], 30)
print({p.partition: p.offset for p in found if p.offset >= 0})
"""
    done = procs.run([python, "-c", code, topic.arguments[1], topic.name, group,
                      str(topic.partitions)])
    require(done.returncode == 0, done.stderr)
    return ast.literal_eval(done.stdout)


# one process: what is in memory, and the engine that reads the topic, end with it
_CHDB = """
import json, sys, time
from chdb import session
tables, queries, count = json.load(sys.stdin)
s = session.Session()
for text in tables:
    for statement in text.split(";"):
        try:
            if statement.strip():
                s.query(statement)
        except Exception as e:
            # chDB 26.9 says so although it has made the table, which works
            if "ENGINE = Kafka" not in statement or "Shutdown was called" not in str(e):
                raise
end = time.monotonic() + 120
def number(text):
    return int(str(s.query(text, "CSV")))
while number("SELECT count(DISTINCT id) FROM webmond_results") < count:
    if time.monotonic() > end:
        sys.exit(f"rows are missing: {s.query('SELECT count() FROM webmond_results')} of {count}")
    time.sleep(0.3)
answers = [[number("SELECT count() FROM webmond_results FINAL")], str(s.query("SELECT version()"))]
for text in queries:
    answers.append(json.loads(str(s.query(text.strip().rstrip(";"), "JSONCompact")))["data"])
answers.append([json.loads(l) for l in str(s.query(
    "SELECT * FROM webmond_results FINAL", "JSONEachRow")).splitlines()])
print(json.dumps(answers))
sys.stdout.flush()
import os
os._exit(0)
"""


@needs("kafka")
def test_clickhouse(t):
    python = library(CHDB)
    topic, firsts = history(t)
    changes = {"kafka.example:9092": t.kafka().address(), "webmond.results": topic.name}
    kept, moved, *queries = page("clickhouse.md", "sql", changes)
    done = procs.run([python, "-c", _CHDB], 200, stdin=None, cwd=t.directory,
                     input=json.dumps([[kept, moved], queries, len(firsts)]))
    require(done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:])
    count, version, by_day, outage, three, times, everything = json.loads(
        done.stdout.splitlines()[-1])
    require(count == [len(firsts)], f"{count} rows, not {len(firsts)}")
    hold_against(firsts, (by_day, [(a, utc(b), utc(c), d) for a, b, c, d in outage],
                          [(a, utc(b), utc(c), d, e) for a, b, c, d, e in three],
                          [(name, *values) for name, values in times]), between)
    by_id = {r.id: r.data for r in firsts}
    for row in everything:
        for name, value in by_id[row["id"]].items():
            got = row[name]
            if isinstance(value, str) and name.endswith(("_at", "_since")):
                got = utc(got)
            require(got == value or not isinstance(value, (str, bool)) and value is not None and
                    float(got) == float(value), f"{row['id']}: {name} is {got!r}, not {value!r}")
    t.note(f"{version.strip()}: {len(firsts)} records, {len(topic.records()) - len(firsts)} repeats")


@needs("kafka")
def test_kcat_and_jq(t):
    for tool in ("kcat", "jq"):
        if shutil.which(tool) is None:
            raise Skip(f"there is no {tool}")
    topic, firsts = history(t)
    changes = {"webmond.results": topic.name, "-o end": "-o beginning -e",
               "reader.properties -C": f"{t.write('reader.properties', reader(t))} -C"}
    with open(os.path.join(PAGES, "kcat.md"), encoding="utf-8") as f:
        text = f.read()
    for old, new in changes.items():
        require(old in text, f"kcat.md does not name {old}")
        text = text.replace(old, new)
    look, last_hour = re.findall(r"^    (kcat .*?)\n\n", text, re.M | re.S)
    once, *queries = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)

    def sh(command):
        done = procs.run(["sh", "-e", "-c", command], cwd=t.directory)
        require(done.returncode == 0, f"{command}: {done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    found = sh(look.replace('"shop"', '"moody"'))
    require(len(found) >= len([r for r in firsts if r.site == "moody" and r.status != "up"]), found)
    sh(last_hour)
    sh(once)
    hold_against(firsts, [sh(q) for q in queries], nearest)


@needs("kafka")
def test_python(t):
    python = library(CONFLUENT)
    (program,) = page("python.md", "python", {})
    for kafka in ({}, {"format": "json-connect"}):
        topic, firsts = history(t, **kafka)
        t.write("reader.properties", reader(t))
        t.write("look.py", program.replace("webmond.results", topic.name))
        done = procs.run([python, "look.py"], cwd=t.directory)
        require(done.returncode == 0, done.stderr)
        same("availability", [(a, b, int(c), float(d)) for a, b, c, d in (
            line.split("\t") for line in done.stdout.splitlines())], availability(firsts))
        t.note(f"{sys.version.split()[0]}: {len(firsts)} records")


def reader(t):
    return "\n".join(t.kafka().properties("sasl")) + "\n"


# --- several places -------------------------------------------------------------------------------

def manual_blocks():
    """The literal blocks of webmond-records(7), as a terminal shows them."""
    with open(os.path.join(records.ROOT, "src", "webmond-records.7.in"), encoding="utf-8") as f:
        text = f.read()
    for escape, character in (("\\(aq", "'"), ("\\e", "\\"), ("\\&", "")):
        text = text.replace(escape, character)
    return re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed$", text, re.M | re.S)


def places(t):
    """One topic with the records of three groups at three places, and the runs of slots of each."""
    moody, topic = t.moody(), t.topic()
    # three checks are down from all places, three from two, three from one
    words = {"north": "200,500,500,500,500,500,500,500,500,500,200",
             "south": "200,500,500,500,500,500,500,200", "west": "200,500,500,500,200"}
    daemons = []
    for name, codes in words.items():
        daemons.append(t.daemon(t.settings(
            [site("moody", moody.url(f"{codes}/{name}"), 2, 1), site("fine", moody.url("200/fine"), 2)],
            topic, kafka={"group": name}, instance=name, location=name, pid_file=t.path(f"{name}.pid"),
            control={"socket": ""}, spool={"dir": t.own_directory(f"spool-{name}"), "max_mb": 64}),
            t.path(f"{name}.conf")))
        daemons[-1].log_file = t.path(f"{name}.log")
        daemons[-1].start()
    topic.wait(lambda found: all(len({r.slot for r in found if (r.site, r.location) == (
        "moody", name)}) >= 14 for name in words), 120, "nothing arrives")
    for d in daemons:
        d.stop()
    return topic, topic.firsts()


def seen_twice(firsts):
    """(site, slot) → the places from which it was down, if they are two or more."""
    found = defaultdict(list)
    for r in firsts:
        if r.status == "down":
            found[r.site, r.scheduled_at].append(r.location)
    return {k: sorted(v) for k, v in found.items() if len(v) >= 2}


@needs("kafka")
def test_places(t):
    if shutil.which("sqlite3") is None:
        raise Skip("there is no sqlite3")
    topic, firsts = places(t)
    require(all(r.group == r.location for r in firsts), "a place is a group")
    expected = seen_twice(firsts)
    require(expected and all(name == "moody" for name, _ in expected), expected)
    # after a kill, or when one was cut off: these do not count
    for n, (r, changes) in enumerate((r, c) for r in firsts for c in (
            {"status": "unknown", "error_type": "missed_takeover", "error_message": "x",
             "started_at": None, "lateness_ms": None, "elapsed_ms": None},
            {"status": "down", "error_type": "dns", "error_message": "x", "alone": True})):
        value = json.dumps({**r.data, **changes, "id": f"{r.epoch}-{10 ** 9 + n}", "seq": 10 ** 9 + n})
        done = procs.run(["kcat", "-P", *topic.arguments, "-t", topic.name, "-p", str(r.partition),
                          "-k", r.key], input=value, stdin=None)
        require(done.returncode == 0, done.stderr)
    done = procs.run(["kcat", "-q", *topic.arguments, "-C", "-t", topic.name, "-e"])
    t.write("records", done.stdout)
    (program,) = page("groups.md", "python", {})
    python = procs.run([sys.executable, "-c", program], input=done.stdout, stdin=None)
    same("down from two places", (line.split("\t") for line in python.stdout.splitlines()),
         sorted((name, slot, ",".join(p)) for (name, slot), p in expected.items()))
    blocks = manual_blocks()
    load = next(b for b in blocks if "CREATE TABLE" in b).split("records.db\n")[1]
    view = next(b for b in blocks if "CREATE VIEW" in b)
    query = next(b for b in blocks if "FROM seen" in b)
    answer = procs.run(["sqlite3", "-bail", t.path("records.db")], cwd=t.directory, stdin=None,
                       input=f"{load}\n{view}\n.mode list\n.headers off\n.separator |\n{query}")
    require(answer.returncode == 0, answer.stderr)
    rows = [line.split("|") for line in answer.stdout.splitlines()]
    slots = sorted(slot for _, slot in expected)
    require([(r[0], int(r[3])) for r in rows] == [("moody", len(slots))] and
            rows[0][1:3] == [slots[0], slots[-1]], f"{rows}, not {slots}")
    # every query of the page runs
    for block in blocks:
        if block.startswith(("SELECT", "WITH")):
            done = procs.run(["sqlite3", "-bail", t.path("records.db")], input=block, stdin=None)
            require(done.returncode == 0, f"{block}: {done.stderr}")
