# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The control socket and webmondctl: what an administrator asks of a running daemon, and clients that
# do harm to nobody.

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess

from harness import daemon, needs, page, procs, require
from harness.context import ROOT, USER
from harness.sites import site

CRITICAL, UNKNOWN, NOT_RUNNING, USAGE, CONFIG, PERMISSION = 2, 3, 3, 64, 78, 77


def ctl(t, *arguments, code=0, path=None, prefix=()):
    """Run webmondctl; returns its output. `code` None: any."""
    done = procs.run([*prefix, daemon.control(), "-s", path or t.path("ctl"), *arguments], 60)
    require(code in (None, done.returncode), f"{arguments}: exit code {done.returncode}, not {code}: "
            f"{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def lines(t, *arguments, code=0):
    """The answer as objects, of which the first and the last are the frame."""
    said = ctl(t, *arguments, "--json", code=code)
    found = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    require(found[0]["type"] == "webmond" and found[0]["protocol"] == 1, f"{found[0]}")
    require(found[-1]["type"] == "end", f"{found[-1]}")
    return found[1:-1]


def settled(t, count):
    """Until each of `count` sites has had two results."""
    def look():
        found = lines(t, "sites")
        return len(found) == count and all((s["streak"] or 0) > 1 for s in found)

    procs.wait_for(look, procs.PATIENCE_S, "not all sites have two results")


def in_trouble(t):
    """Until the daemon knows that Kafka takes no records; a new publisher has not tried yet."""
    procs.wait_for(lambda: lines(t, "status", code=None)[0]["kafka"] == "not delivering",
                   procs.PATIENCE_S, "it does not know of its trouble")


def connect(t, request=None):
    client = socket.socket(socket.AF_UNIX)
    client.connect(t.path("ctl"))
    if request is not None:
        client.sendall(request)
    return client


def test_twelve_questions(t):
    """Each has its answer within one command."""
    nginx, refused = t.nginx(), t.refused()
    sites = [site("good", nginx.url("ok/good"), labels=["team=web"]),
             site("bad", nginx.url("down/bad")),
             site("secret", nginx.url("ok/x?token=4711"), headers=["X-Key: 4711"]),
             site("gone", refused.url())]
    d = t.daemon(t.settings(sites, "nowhere", f"127.0.0.1:{refused.port}")).start()
    require(stat.S_IMODE(os.stat(t.path("ctl")).st_mode) == 0o660, "the socket has another mode")
    settled(t, 4)
    in_trouble(t)
    mark = f"\n{ctl(t, 'status', code=1)}"
    for words in (r"\nwebmond +running for", r"\nepoch +" + d.epoch, r"\nsites +4: 2 up, 2 down,",
                  r"\nchecks +[\d.]+/s; late by [\d.]+ ms", r"\ncheckers +\d", "not delivering since",
                  "is the broker running", r"\nspool +\d+ records? waiting, the oldest for \d+ s; "
                  r"[\d.]+ of 64 MB", r"\nlost +0 dropped"):
        require(re.search(words, mark), f"no {words!r} in {mark}")
    down = ctl(t, "sites", "--down")
    require(re.search(r"\nbad +down +\d+ s +\d+ +500 ", down) and "http_status: got 500" in down and
            re.search(r"\ngone +down ", down) and "good" not in down, down)
    require(ctl(t, "sites", "g*").count("\n") == 3, "there are not two of them")
    ctl(t, "sites", "down", code=1)  # none has this name
    ctl(t, "sites", "--slow", code=1)
    bad = ctl(t, "site", "bad")
    require(re.search(r"\nwhy: http_status: got 500", bad) and
            re.search(r"\n  expect_status +200-299\n", bad) and
            len(re.findall(r"^20\S+Z +down +500 ", bad, re.M)) > 1, bad)
    secret = ctl(t, "site", "secret") + ctl(t, "site", "secret", "--json")
    require("X-Key" in secret and "4711" not in secret, secret)
    require("team=web" in ctl(t, "site", "good"), "no labels")
    ctl(t, "site", "nobody", code=1)
    ctl(t, "status", path=t.path("nowhere"), code=NOT_RUNNING)
    done = procs.run([daemon.control(), "-c", d.file, "sites"], 60)
    require(done.returncode == 0 and "good" in done.stdout, done.stdout + done.stderr)
    d.stop()
    require(not os.path.exists(t.path("ctl")), "the socket is left behind")
    require("no webmond answers" in ctl(t, "status", code=NOT_RUNNING), "it does not say so")


@needs("kafka")
def test_status_is_good(t):
    nginx, topic = t.nginx(), t.topic()
    d = t.daemon(t.settings(nginx.many(5), topic)).start()
    topic.wait_rounds(d.settings["sites"], 2)
    procs.wait_for(lambda: "delivering since" in procs.run(
        [daemon.control(), "-s", t.path("ctl"), "status"]).stdout, 20, "it does not deliver")
    status = lines(t, "status")[0]
    require(status["up"] == 5 and status["kafka"] == "delivering" and status["topic"] == topic.name
            and status["epoch"] == d.epoch and status["delivered"] > 0, f"{status}")
    said = ctl(t, "check")
    require(re.match(r"WEBMOND OK - 5 sites: 5 up, .*\| up=5 down=0 ", said), said)
    d.stop()


def test_monitoring_plugin(t):
    nginx, refused = t.nginx(), t.refused()
    d = t.daemon(t.settings([site("good", nginx.url("ok/good")), site("gone", refused.url())],
                            "nowhere", f"127.0.0.1:{refused.port}")).start()
    settled(t, 2)
    good = ctl(t, "check", "good", "-w", "60", "-c", "60")
    require(re.match(r"WEBMOND OK - good is up for .*\| time=[\d.]+s;60;60 dns=", good), good)
    ctl(t, "check", "good", "-w", "0", code=1)
    ctl(t, "check", "good", "-w", "0", "-c", "0", code=CRITICAL)
    require("gone is down for" in ctl(t, "check", "gone", code=CRITICAL), "no reason")
    ctl(t, "check", "nobody", code=UNKNOWN)
    ctl(t, "check", "good", "-w", "soon", code=UNKNOWN)
    in_trouble(t)
    said = ctl(t, "check", "-w", "2000000", code=CRITICAL)
    require("Kafka takes no records" in said and " down=1;2000000; " in said, said)
    said = json.loads(ctl(t, "check", "gone", "--json", code=CRITICAL))
    require(said["state"] == "CRITICAL" and said["exit_code"] == CRITICAL and
            said["text"].startswith("gone is down for"), f"{said}")
    d.stop()
    ctl(t, "check", code=CRITICAL)
    ctl(t, "check", "good", code=UNKNOWN)


def test_plugin_without_news(t):
    """A result of long ago says nothing about now; and of many sites nothing is known."""
    def told(seconds_ago, error=None):
        answer = page.site("shop", "", [page.result("shop", seconds_ago, 84, error=error)])
        answer[0].update(scheduled_at=page.moment(seconds_ago), interval_s=10, elapsed_ms=84)
        return answer

    socket_told = page.Told(t.path("ctl"), told(31))
    require("WEBMOND OK - shop is up" in ctl(t, "check", "shop"), "it is no news")
    for error, status in ((None, "up"), ("timeout", "down")):
        socket_told.answer = told(33, error)
        said = ctl(t, "check", "shop", code=UNKNOWN)
        require(said == f"WEBMOND UNKNOWN - shop has had no result for 33 s; the last one was: "
                f"{status}\n", said)
    for unknown, code, words in ((2, 0, "OK - 4 sites"), (3, 1, "WARNING - most sites cannot be")):
        socket_told.answer = [page.status(sites=4, up=4 - unknown, down=0, unknown=unknown)]
        require(f"WEBMOND {words}" in ctl(t, "check", code=code), f"{unknown} are not {words}")
    socket_told.answer = page.site("shop", "", [])
    require("shop: not known yet" in ctl(t, "check", "shop", code=UNKNOWN), "it is known")
    socket_told.close()


def test_metrics(t):
    nginx, refused = t.nginx(), t.refused()
    d = t.daemon(t.settings([site("good", nginx.url("ok/good")), site("gone", refused.url())],
                            "nowhere", f"127.0.0.1:{refused.port}")).start()
    settled(t, 2)
    text = ctl(t, "metrics")
    families = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            families[line.split()[2]] = []
            name = line.split()[2]
        elif not line.startswith("#"):
            found = re.fullmatch(r'([a-z0-9_]+)(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? (\S+)', line)
            require(found and found.group(1) == name, f"{line} below {name}")
            families[name].append((found.group(2), float(found.group(4))))
    require(dict(families["probe_success"]) == {'{site="good"}': 1, '{site="gone"}': 0}, text)
    require(dict(families["probe_http_status_code"]) == {'{site="good"}': 200, '{site="gone"}': 0},
            text)
    require(families["webmond_kafka_delivering"] == [(None, 0)], text)
    require(families["webmond_spool_records"][0][1] > 0, text)
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                              text=True, timeout=60, check=False)
        require(done.returncode == 0, done.stdout + done.stderr)
    d.stop()


def test_what_waits_by_site_and_age(t):
    refused = t.refused()
    sites = [site(f"s{n}", refused.url()) for n in range(30)]
    d = t.daemon(t.settings(sites, "nowhere", f"127.0.0.1:{refused.port}")).start()
    settled(t, len(sites))
    found = lines(t, "spool")
    require([x["site"] for x in found] == sorted(s["name"] for s in sites), f"{found}")
    require(all(x["records"] == x["minute"] >= 1 and x["oldest_at"] >= "2" for x in found), f"{found}")
    text = ctl(t, "spool")
    require(re.search(r"^s29 +\d+ 20\S+Z +\d+ +0 +0 +0$", text, re.M) and
            re.search(r"^\d+ records of 30 sites waiting$", text, re.M), text)
    require(ctl(t, "spool", "list") == "0 dead letters\n", "there is one")
    for words in ("show 1", "drop 7", "show " + "9" * 19):
        require("no such dead letter" in ctl(t, "spool", *words.split(), code=1), f"{words}: is there")
    for words in ("drop -1", "drop", "show", "show all", "show 0", "show 1x", "list 1", "later all", "x" * 100):
        require("ask for: spool" in ctl(t, "spool", "--", *words.split(), code=USAGE), f"{words}: good")
    with connect(t, b"spool " + b"x" * 100 + b"\n") as client, client.makefile() as answer:
        require("at most 64 bytes" in answer.read(), "what it is given is not limited")
    require("one id has one content" in ctl(t, "spool", "requeue", "all", code=USAGE), "not told why")
    stuck = [connect(t, b"spool\n") for _ in range(10)]  # too many, and nobody reads
    procs.wait_for(lambda: lines(t, "status", code=None), 20, "it does not answer")
    for client in stuck:
        client.close()
    procs.wait_for(lambda: lines(t, "spool", code=None), 20, "it does not answer, or nothing waits")
    d.stop()
    require(not re.search("publisher (was killed|exited)", d.log()), "the publisher died")


@needs("kafka")
def test_dead_letters(t):
    nginx = t.nginx()
    topic = t.topic(config={"max.message.bytes": 2018})  # see 70_mock.py
    noise = "".join(t.random.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(640))
    large = site("large", nginx.url(f"ok/{noise}"), body_regex=noise[:120])
    settings = t.settings([*nginx.many(3), large], topic)
    settings["kafka"]["properties"] += ["compression.codec=none", "batch.num.messages=1"]
    d = t.daemon(settings).start()
    topic.wait(lambda found: sum(r.site == "large" for r in found) >= 2, 30,
               "nothing takes the place of the large ones")
    letters = lines(t, "spool", "list")
    require(len(letters) >= 2 and all(x["site"] == "large" and x["epoch"] == d.epoch and
                                      x["reason"] for x in letters), f"{letters}")
    number = str(letters[0]["number"])
    letter, record = lines(t, "spool", "show", number)
    require(record["id"] == f"{letter['epoch']}-{letter['seq']}" and record["status"] == "down" and
            noise in record["url"], f"{record}")
    require(re.search(r'^ +1 large .*\n\{"schema_version":1,', ctl(t, "spool", "show", number), re.M),
            "it is not shown")
    procs.wait_for(lambda: lines(t, "status", code=None)[0]["dead_letters"] >= 2, 20, "not counted")
    require("refused records for good" in ctl(t, "check", code=1), "the plugin does not say so")
    require(ctl(t, "spool", "drop", number) == "1 dead letter was deleted\n", "other words")
    ctl(t, "spool", "show", number, code=1)
    require(re.search(r"control: user ID \d+ \(PID \d+\) asks for: spool drop 1", d.log()), "no log")
    d.write_config({**d.settings, "sites": d.settings["sites"][:3]})
    ctl(t, "reload", code=0)
    procs.wait_for(lambda: procs.run([daemon.control(), "-s", t.path("ctl"), "spool", "drop", "all"],
                                     60).returncode == 0, 20, "they cannot be deleted")
    procs.wait_for(lambda: ctl(t, "spool", "list") == "0 dead letters\n" or
                   not ctl(t, "spool", "drop", "all"), 20, "they are still there")
    d.stop()
    topic.check(at_least=4)


def test_reload_has_a_verdict(t):
    refused = t.refused()
    sites = [site("one", refused.url(), 60), site("two", refused.url(), 60)]
    d = t.daemon(t.settings(sites, "nowhere", f"127.0.0.1:{refused.port}")).start()
    d.write_config({**d.settings, "sites": [sites[1], {**sites[0], "interval": 30},
                                            site("three", refused.url(), 60)]})
    require(ctl(t, "reload") == "reloaded: 3 sites, 1 added, 1 changed, 0 removed\n", "other words")
    require(re.search(r"control: user ID \d+ \(PID \d+\) asks for a reload", d.log()), "no log")
    good = d.settings
    d.write_config({**good, "sites": [{**sites[0], "colour": 1, "interval": -1}]})
    said = ctl(t, "reload", code=CONFIG)
    require("colour" in said and "interval: must be" in said and "reload failed" in said, said)
    found = lines(t, "reload", code=CONFIG)
    require(len([x for x in found if x["type"] == "mistake"]) == 2, f"{found}")
    require(len(lines(t, "sites")) == 3, "another configuration is in force")
    # the socket moves
    other = t.path("other")
    d.write_config({**good, "control": {"socket": other}})
    ctl(t, "reload")
    require(len(ctl(t, "sites", path=other).splitlines()) == 4, "it does not answer there")
    require(not os.path.exists(t.path("ctl")), "it is still there")
    d.write_config({**good, "control": {"socket": ""}})
    ctl(t, "reload", path=other)
    require(not os.path.exists(other), "it is still there")
    done = procs.run([daemon.control(), "-c", d.file, "status"], 60)
    require(done.returncode == 69 and "no control socket" in done.stderr, done.stderr)
    d.stop()


def test_watch_without_terminal(t):
    refused = t.refused()
    d = t.daemon(t.settings([site("one", refused.url(), 1)], "nowhere",
                            f"127.0.0.1:{refused.port}")).start()
    watch = procs.spawn([daemon.control(), "-s", t.path("ctl"), "watch"], stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT)
    seen = [procs.read_line(watch.stdout, 30, "a line of the status") for _ in range(3)]
    for words in (["watch"], ["-s", "x", "--help"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([daemon.control(), "-s", t.path("ctl"), *words], stdout=full,
                                  stderr=subprocess.PIPE, timeout=60, check=False)
        require(done.returncode == 71 and b"No space left" in done.stderr, f"{done}")
    require(all(" waiting; " in str(line) or " connect: " in str(line) for line in seen) and
            "\\x1b" not in repr(seen), f"{seen}")
    procs.wait_for(lambda: str(procs.read_line(watch.stdout, 30, "a line")).startswith("one "), 30,
                   "the site that is down is not named")
    d.stop()
    rest = watch.communicate(timeout=30)[0].decode()
    require(watch.returncode == NOT_RUNNING and "no webmond answers" in rest, rest)


@needs("root")
def test_only_root_and_the_group_may_ask(t):
    refused = t.refused()
    d = t.daemon(t.settings([site("one", refused.url(), 60)], "nowhere",
                            f"127.0.0.1:{refused.port}", control={"socket": t.path("run", "ctl")}))
    d.start()
    path = t.path("run", "ctl")
    directory, sock = os.stat(t.path("run")), os.stat(path)
    require(stat.S_IMODE(directory.st_mode) == 0o750 and stat.S_IMODE(sock.st_mode) == 0o660 and
            directory.st_uid == sock.st_uid == 0 and directory.st_gid == sock.st_gid != 0,
            f"{directory} {sock}")
    group = ["setpriv", "--reuid", "12345", "--regid", str(sock.st_gid), "--clear-groups"]
    ctl(t, "sites", path=path, prefix=group)
    stranger = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    require("group of webmond's user" in ctl(t, "sites", path=path, prefix=stranger,
                                             code=PERMISSION), "other words")
    d.stop()


def test_where_it_cannot_be_made_the_daemon_works_without(t):
    refused = t.refused()
    settings = t.settings([site("one", refused.url(), 60)], "nowhere", f"127.0.0.1:{refused.port}")
    first = t.daemon(settings).start()
    # another daemon takes it from nobody
    os.makedirs(t.path("second"))
    second = daemon.Daemon(t.path("second"), {**settings, "pid_file": t.path("second", "pid"),
                                              "spool": {"dir": t.own_directory("spool2")}})
    t.daemons.append(second)
    second.start()
    second.wait_log("control: cannot listen on .*another daemon listens there", 5)
    second.stop()
    require(len(lines(t, "sites")) == 1, "the first does not answer")
    # a dead one leaves its socket behind
    first.kill()
    require(os.path.exists(t.path("ctl")), "who has removed it?")
    ctl(t, "status", code=NOT_RUNNING)
    first.start()
    require(len(lines(t, "sites")) == 1, "it does not answer")
    first.stop()
    for path in (t.path("no", "such", "ctl"), "/proc/ctl"):
        first.write_config({**settings, "control": {"socket": path}})
        mark = first.log_size()
        first.start()
        first.wait_log("control: cannot listen on ", 5, mark)
        first.stop()
    first.write_config({**settings, "control": {"socket": t.path("x" * 100)}})
    done = t.webmond("-t", "-c", first.file)
    require(done.returncode == CONFIG and "a path of a socket has at most 107" in done.stderr,
            done.stderr)


def test_clients_that_do_harm(t):
    """Stuck ones, silent ones, a hundred at a time, and garbage: checks go on, and others are heard."""
    nginx = t.nginx()
    sites = nginx.many(500)
    d = t.daemon(t.settings(sites, "nowhere", "127.0.0.1:1")).start()
    settled(t, len(sites))
    stuck = [connect(t, b"sites all\n") for _ in range(5)]
    silent = [connect(t, b"stat"), connect(t)]
    require(len(lines(t, "sites")) == len(sites), "it does not answer")
    for garbage in (b"\n", b"\0" * 10, os.urandom(5000), b"x" * 5000, b"GET / HTTP/1.1\r\n\r\n",
                    b"site " + b"y" * 300 + b"\n", b"sites \xff\xfe\n", b"reload now\n"):
        client = connect(t, None)
        try:
            client.sendall(garbage)
            client.shutdown(socket.SHUT_WR)
            client.settimeout(60)
            while client.recv(65536):
                pass
        except OSError:
            pass
        client.close()
    for _ in range(20):
        connect(t, b"sites all\n").close()  # in the middle
    many = [procs.spawn([daemon.control(), "-s", t.path("ctl"), "site", sites[n]["name"]],
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for n in range(100)]
    for process in many:
        out = process.communicate(timeout=60)[0].decode()
        require(process.returncode == 0 and "RESULTS" in out, out)
    d.wait_log(r"control: a client of user ID \d+ \(PID \d+\) is dropped: it does not read", 60)
    d.wait_log(r"control: a client of user ID \d+ \(PID \d+\) is dropped: it sent no request", 60)
    for client in stuck + silent:
        client.close()
    status = lines(t, "status", code=None)[0]
    require(status["not_known"] == 0 and status["lateness_p99_ms"] < 500, f"{status}")
    d.stop()


def test_publisher_dies_amid_questions(t):
    """Whoever asks it then gets no half answer that looks whole, and the next one is answered."""
    refused = t.refused()
    d = t.daemon(t.settings([site(f"s{n}", refused.url()) for n in range(20)], "nowhere",
                            f"127.0.0.1:{refused.port}")).start()
    settled(t, 20)
    for _ in range(t.times(10, 5)):
        stuck = [connect(t, b"spool\n") for _ in range(3)]
        asking = [procs.spawn([daemon.control(), "-s", t.path("ctl"), "spool"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(5)]
        old = d.publisher()
        procs.kill(old)
        for process in asking:
            out = process.communicate(timeout=60)[0].decode()
            require((process.returncode == 0) == ("of 20 sites waiting" in out) and
                    process.returncode in (0, 69, 75), f"{process.returncode}: {out}")
        for client in stuck:
            client.close()
        d.born("publisher", old)
    procs.wait_for(lambda: procs.run([daemon.control(), "-s", t.path("ctl"), "spool"],
                                     60).returncode == 0, 60, "it is not answered")
    require(lines(t, "status", code=None)[0]["stage"] == "running", "it does not run")
    d.stop()


def test_publisher_that_hangs(t):
    """It is told by all who are asked, and by nobody as delivering; it goes on where it was."""
    cluster = t.mock()
    topic = cluster.topic("results", 3)
    d = t.daemon(t.settings(t.nginx().many(3), topic, cluster.bootstrap)).start()

    def becomes(word):
        procs.wait_for(lambda: lines(t, "status", code=None)[0]["kafka"] == word, procs.PATIENCE_S,
                       f"it is not {word}")

    becomes("delivering")
    publisher = d.publisher()
    procs.kill(publisher, signal.SIGSTOP)
    becomes("not delivering")
    require(f"the publisher, PID {publisher}, has said nothing" in ctl(t, "status", code=1), "not why")
    require("Kafka takes no records" in ctl(t, "check", code=CRITICAL), "not by the plugin")
    require("\nwebmond_kafka_delivering 0\n" in ctl(t, "metrics"), "not by the metrics")
    require("ask again" in ctl(t, "spool", code=75), "it is asked")
    mark = d.log_size()
    d.signal(signal.SIGUSR1)
    d.wait_log(r"status: 3 sites: .*; the publisher hangs, \d+ records? waiting", 20, mark)
    procs.kill(publisher, signal.SIGCONT)
    becomes("delivering")
    d.stop()
    topic.check(at_least=9)


def test_unprivileged(t):
    """An ordinary user has a socket of their own."""
    if not ROOT:
        return
    refused = t.refused()
    home = t.own_directory("home")
    d = daemon.Daemon(home, {"control": {"socket": "ctl"}, "log": {"destination": "stderr"},
                             "spool": {"dir": home}, "pid_file": os.path.join(home, "pid"),
                             "kafka": {"topic": "x", "properties": ["bootstrap.servers=127.0.0.1:1"]},
                             "sites": [site("one", refused.url(), 60)]})
    t.daemons.append(d)
    d.start(prefix=procs.as_user(USER))
    path = os.path.join(home, "ctl")
    require(stat.S_IMODE(os.stat(path).st_mode) == 0o660, "the socket has another mode")
    ctl(t, "sites", path=path, prefix=procs.as_user(USER))
    d.stop()
    require(not os.path.exists(path), "the socket is left behind")
