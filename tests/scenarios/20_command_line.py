# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# What users and scripts see: options, exit codes, the PID file, the messages about mistakes.

import os
import pty
import re
import shutil
import signal
import socket
import subprocess

from harness import context, needs, procs, records, require
from harness.daemon import STOP_S, binary
from harness.sites import site

OK, NOT_UP, USAGE, UNAVAILABLE, OS, CANNOT_CREATE, RUNNING, PERMISSION, CONFIG = (
    0, 1, 64, 69, 71, 73, 75, 77, 78)
TINY = 'sites = ( { name = "a"; url = "http://x/"; } );\n'


def expect(done, code, text=None, stream="stderr"):
    """A finished command ended with `code` and said `text` (a regular expression)."""
    said = getattr(done, stream)
    require(done.returncode == code,
            f"{done.args[1:]}: exit code {done.returncode}, not {code}\n{done.stderr}")
    require(text is None or re.search(text, said), f"{done.args[1:]}: no {text!r} in {said!r}")
    return done


def simple(t, **others):
    """Settings with one site, and Kafka at an address where nobody listens."""
    refused = t.refused()
    return t.settings([site("one", refused.url())], "nowhere", f"127.0.0.1:{refused.port}",
                      **others)


def test_options(t):
    expect(t.webmond("-V"), OK, r"^webmond \d+\.\d+", "stdout")
    expect(t.webmond("--version"), OK, r"librdkafka.*\d", "stdout")
    for option in ("-h", "--help"):
        expect(t.webmond(option), OK, r"--once", "stdout")
    for wrong in (["--nonsense"], ["-c"], ["-Z"], ["-f", "surplus"]):
        expect(t.webmond(*wrong), USAGE, r"webmond")


def test_config_test(t):
    file = t.daemon(simple(t)).file
    expect(t.webmond("-t", "-c", file), OK)
    expect(t.webmond("-t", "-c", t.path("absent.conf")), CONFIG, "absent.conf.*No such file")
    expect(t.webmond("-t", "-c", t.directory), CONFIG)
    broken = t.write("broken.conf", 'sites = (\n  { name = "a"; url = "ftp://x/"; colour = 1; },\n'
                     '  { name = "a"; url = "http://ok/"; interval = 0; }\n);\nnonsense = 1;\n')
    done = expect(t.webmond("-t", "-c", broken), CONFIG)
    for line, words in ((2, "colour"), (3, "interval"), (3, '"a"'), (5, "nonsense")):
        require(re.search(rf"broken\.conf:{line}: .*{words}", done.stderr),
                f"line {line}, {words} is not in {done.stderr!r}")
    for name, code in (("-f", CONFIG), ("--once", CONFIG)):
        expect(t.webmond(name, "-c", broken), code, "colour")
    if context.ROOT:
        nobody = t.daemon(simple(t, user="no-such-user-here"), t.path("user.conf")).file
        expect(t.webmond("-t", "-c", nobody), CONFIG, "no-such-user-here.*useradd")
        # it does not hide what else is wrong
        nobody = t.write("user.conf", 'user = "no-such-user-here";\ncolour = 1;\nsites = '
                         '( { name = "a"; url = "http://x/"; body_regex = "("; } );\n')
        done = expect(t.webmond("-t", "-c", nobody), CONFIG, r"user\.conf:1: user: .*useradd")
        for words in (r"user\.conf:2: .*colour", r"user\.conf:3: body_regex: "):
            require(re.search(words, done.stderr), f"no {words} in {done.stderr!r}")
    # what cannot be read says nothing of users either
    for text in ("sites = (\n", "user = 1;\n" + TINY):
        broken = t.write("broken.conf", text)
        done = expect(t.webmond("-t", "--once", "-c", broken), CONFIG, r"broken\.conf:\d: ")
        said = [s for s in done.stderr.splitlines() if not s.startswith("    ")]
        require(len(said) == 1, f"{text!r} is one mistake, not {done.stderr!r}")


def test_link_to_the_configuration(t):
    """A daemon stands in "/", but knows its file by the name it was given."""
    t.write("elsewhere/real.conf", "colour = 1;\n")
    os.symlink("elsewhere/real.conf", t.path("link.conf"))
    expect(t.webmond("-c", "link.conf", cwd=t.directory), CONFIG,
           rf"^{re.escape(t.directory)}/link\.conf:1: .*colour")


@needs("kafka")
def test_kafka_test(t):
    topic = t.topic()
    settings = t.settings([site("one", "http://127.0.0.1:1/")], topic)
    expect(t.webmond("-T", "-c", t.daemon(settings).file), OK)
    settings["kafka"]["topic"] = "not.there"
    expect(t.webmond("-T", "-c", t.daemon(settings).file), UNAVAILABLE, "not.there")
    expect(t.webmond("-t", "-c", t.daemons[-1].file), OK)


def test_kafka_test_without_broker(t):
    expect(t.webmond("-T", "-c", t.daemon(simple(t)).file), UNAVAILABLE, "refused")
    alone = t.write("alone.conf", 'sites = ( { name = "a"; url = "http://127.0.0.1:1/"; } );\n'
                    f'user = "{context.USER}";\n')
    expect(t.webmond("-T", "-c", alone), CONFIG, "no group kafka")


def test_once(t):
    nginx = t.nginx()
    good = nginx.many(3, 30, timeout=30)
    bad = [site("broken", nginx.url("down/x")), site("refused", t.refused().url()),
           site("text", nginx.url("ok/text"), body_regex=["well", "USD"])]
    d = t.daemon(simple(t))
    d.write_config({**d.settings, "sites": good + bad})
    table = expect(t.webmond("--once", "-c", d.file), NOT_UP)
    require(table.stdout.startswith("SITE"), table.stdout)
    for s in good:
        require(re.search(rf"^{s['name']} +up +200 +[0-9.]+ *$", table.stdout, re.M), table.stdout)
    require(re.search(r"^broken +down +500 .*http_status: .*500", table.stdout, re.M), table.stdout)
    require(re.search(r"^refused +down +- .*connect: ", table.stdout, re.M), table.stdout)
    require(re.search(r'^text +down +200 .*regex_mismatch: the body does not match "USD"$',
                      table.stdout, re.M), table.stdout)
    require(len(table.stdout.splitlines()) == 8, table.stdout)
    require(table.stdout.endswith("\n6 sites: 3 up, 3 down\n"), table.stdout)

    some = expect(t.webmond("-1", "-c", d.file, "up-002", "up-000"), OK)
    require(re.search(r"^SITE.*\nup-002 .*\nup-000 .*\n2 sites: 2 up, 0 down\n$", some.stdout),
            some.stdout)
    one = expect(t.webmond("-1", "-c", d.file, "up-000"), OK)
    require(one.stdout.endswith("\n1 site: 1 up, 0 down\n"), one.stdout)
    expect(t.webmond("--once", "-c", d.file, "up-000", "stranger"), USAGE, "stranger")

    lines = expect(t.webmond("--once", "--stdout", "-c", d.file), NOT_UP)
    summary = records.check(records.from_lines(lines.stdout), at_least=6, envelopes=False)
    require(len(summary.firsts) == 6 and summary.words["up"] == 3, str(summary))
    require(not os.listdir(t.path("spool")), "--once has written to the spool")
    require(not os.path.exists(t.path("webmond.pid")), "--once has written the PID file")

    # told to stop at whatever moment: 0 only if all were seen to be up
    d.write_config({**d.settings, "sites": good})
    for moment in range(20):
        process = procs.spawn([binary(), "-c", d.file, "--once"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        procs.let_pass(moment * 0.003, "another moment each time")
        process.terminate()
        up = process.communicate(timeout=STOP_S)[0].count(b" up ")
        require(process.returncode != OK or up == 3, f"{up} of 3 are up, and the exit code is 0")


def test_table_of_once(t):
    """In the order of the file, each row as soon as those before it are there, in columns."""
    nginx, slow = t.nginx(), t.slow()
    long = "a" * 64
    sites = [*nginx.many(2, 30, timeout=30),
             site("hangs", slow.url("delay/1500/x"), 30, 30),
             site(long, nginx.url("ok/x"), 30, body_regex="Grüße – 世界"),
             *nginx.many(3, 30, prefix="z", timeout=30)]
    d = t.daemon(t.settings(sites))
    process = procs.spawn([binary(), "-c", d.file, "--once"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, bufsize=0)
    rows = [procs.read_line(process.stdout, 20, "the table") for _ in range(3)]
    require(process.poll() is None, "it has waited for the site that hangs")
    rows += process.stdout.read().decode().splitlines()
    require(process.wait(STOP_S) == NOT_UP, "not all are up")
    table = "\n".join(rows)
    require([r.split()[0] for r in rows[1:-1]] == [s["name"] for s in sites], table)
    require(rows[-1] == "7 sites: 6 up, 1 down", table)
    for row in rows[:-1]:
        require(re.match(r".{66}(STATUS |up     |down   )  .{4}  .{8}(  |$)", row),
                f"{row!r} is out of its columns\n{table}")


def test_without_kafka_section(t):
    nginx = t.nginx()
    d = t.daemon(t.settings(nginx.many(5)))
    # a service would print where nobody reads
    for options in ([], ["-f"], ["-t"], ["-t", "-f"]):
        expect(t.webmond("-c", d.file, *options), CONFIG, r":1: no group kafka.*write kafka = ")
    for options in (["-t", "--once"], ["-t", "--stdout"]):
        expect(t.webmond("-c", d.file, *options), OK, "can only be printed", "stdout")
    patient = t.daemon(t.settings(nginx.many(5, 30, timeout=30)), t.path("patient.conf"))
    expect(t.webmond("--once", "-c", patient.file), OK)
    for options in (["--stdout"], ["-f", "--stdout"]):
        with open(t.path("err"), "w+b") as err:
            process = procs.spawn([binary(), "-c", d.file, *options], stdout=subprocess.PIPE,
                                  stderr=err, bufsize=0)
            lines = [procs.read_line(process.stdout, 10, "standard output") for _ in range(8)]
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read().decode()
            code = process.wait(STOP_S)
            err.seek(0)
            require(code == 0, f"{options}: exit code {code}: {err.read().decode()}")
        found = records.from_lines("\n".join(lines) + "\n" + rest)
        records.check(found, at_least=8, envelopes=False)
    require(not os.listdir(t.path("spool")), "there is a spool")


def test_foreground_on_a_terminal(t):
    """Who sits there sees the records; -t says of the same command that it would start."""
    d = t.daemon(t.settings(t.nginx().many(3)))
    terminal, theirs = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as reader:
        process = procs.spawn([binary(), "-c", d.file, "-f"], stdout=theirs,
                              stderr=subprocess.DEVNULL)
        lines = [procs.read_line(reader, 10, "the terminal") for _ in range(4)]
        records.check(records.from_lines("\n".join(lines)), at_least=4, envelopes=False)
        process.terminate()
        require(process.wait(STOP_S) == OK, "it did not stop in good order")
        tested = procs.spawn([binary(), "-c", d.file, "-t", "-f"], stdout=theirs,
                             stderr=subprocess.PIPE)
        said = tested.communicate(timeout=STOP_S)[1].decode()
        require(tested.returncode == OK, said)
        os.close(theirs)


def test_reader_of_stdout_is_slow_or_leaves(t):
    d = t.daemon(t.settings(t.nginx().many(400), workers={"min": 2, "max": 2}))
    read_end, write_end = os.pipe()
    process = procs.spawn([binary(), "-c", d.file, "--stdout"], stdout=write_end,
                          stderr=subprocess.DEVNULL)
    os.close(write_end)
    # that of standard output is full long before it
    procs.wait_for(lambda: procs.has_full_pipe(process.pid), 120, "the pipe does not get full")
    text = b""
    with open(read_end, "rb", buffering=0) as reader:
        while text.count(b"\n") < 1500:
            piece = reader.read(65536)
            require(piece, "it ended")
            text += piece
    # what is missing would have come next: two checkers have a check each, and a line behind it
    found = records.from_lines(text[:text.rindex(b"\n")].decode())
    missing = set(range(max(r.seq for r in found))) - {r.seq for r in found}
    require(len(missing) < 100, f"{len(missing)} are missing of {len(found)}")
    t.note(records.check(found, at_least=1000, envelopes=False,
                         kept={f"{found[0].epoch}-{seq}" for seq in missing}))
    require(process.wait(STOP_S) == 0, "not 0 after the reader has left")


def test_stdout_that_takes_nothing(t):
    d = t.daemon(t.settings(t.nginx().many(5)))
    for options in (["--once"], ["--once", "--stdout"], ["--stdout"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([binary(), "-c", d.file, *options], stdin=subprocess.DEVNULL,
                                  stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
        require(done.returncode == OS, f"{options}: exit code {done.returncode}, not {OS}")
        require("cannot write to standard output: No space" in done.stderr, done.stderr)


def test_publisher_of_stdout_killed(t):
    d = t.daemon(t.settings(t.nginx().many(5)))
    with open(t.path("out"), "wb") as out, open(d.log_file, "wb") as log:
        d.process = procs.spawn([binary(), "-c", d.file, "--stdout"], stdout=out, stderr=log)
    d.pid = d.process.pid

    def epochs():
        with open(t.path("out"), encoding="utf-8") as f:
            return {r.epoch for r in records.from_lines(f.read().rpartition("\n")[0])}

    procs.wait_for(epochs, 20, "no record comes")
    procs.kill(d.roles()["publisher"])
    # what it had in memory is lost, and seq is not to tell another story
    procs.wait_for(lambda: len(epochs()) == 2, 20, "no record of another epoch comes")
    d.stop()


def test_daemon_and_pid_file(t):
    settings = simple(t)
    d = t.daemon(settings)
    # a stale file that names a process which is not ours
    stranger = procs.spawn(["sleep", "600"])
    t.write("webmond.pid", f"{stranger.pid}\n")
    d.start(foreground=False)
    require(d.pid != stranger.pid and procs.cmdline(d.pid) == "webmond: supervisor",
            f"PID {d.pid} is {procs.cmdline(d.pid)!r}")
    require(os.stat(settings["pid_file"]).st_mode & 0o777 == 0o644, "the PID file is not 0644")
    require(os.getsid(d.pid) != os.getsid(0) and os.getpgid(d.pid) != os.getpgid(0),
            "it is not in a session of its own")
    require(os.readlink(f"/proc/{d.pid}/cwd") == "/", "it does not stand in /")

    second = expect(t.webmond("-c", d.file), RUNNING, f"{d.pid}")
    require(second.stdout == "", second.stdout)
    expect(t.webmond("-c", d.file, "-f"), RUNNING)
    require(d.running() and procs.alive(stranger.pid), "the second start did harm")
    with open(settings["pid_file"], encoding="ascii") as f:
        require(int(f.read()) == d.pid, "the PID file has changed")

    d.stop()
    require(not os.path.exists(settings["pid_file"]), "the PID file is left behind")
    require(procs.alive(stranger.pid), "the stranger is dead")
    procs.end(stranger)


def test_status_by_signal(t):
    """USR1, to whatever process of the daemon and at whatever time: an answer, and no harm."""
    nginx, slow = t.nginx(), t.slow()
    sites = [site("fine", nginx.url("ok/x")), site("broken", nginx.url("down/x?token=canary-77")),
             site("hangs", slow.url("hang/x"), 3600, 3600)]
    d = t.daemon({**simple(t, log={"destination": "stderr", "level": "error"}), "sites": sites})
    d.start(wait=False)
    d.publisher()  # it lives, and may not be ready yet

    def ask(pattern):
        mark = d.log_size()
        d.signal(signal.SIGUSR1)
        return d.wait_log(pattern, 20, mark)

    ask(r"status: (starting; )?3 sites: ")
    procs.wait_for(lambda: "1 up, 1 down, 0 unknown, 1 not known yet" in
                   ask(r"status: 3 sites: .* of 8 checkers busy; .*, \d+ records? waiting"
                       ).group(0), 20, "the sites do not become known")
    found = ask(r'status: site "broken": down: http_status: .*; not up since \d{4}-.*Z \((.*)\)')
    require(found.group(1) == nginx.url("down/x"), found.group(0))
    require('"fine"' not in d.log() and "canary-77" not in d.log(), d.log())
    before = d.roles()
    for _ in range(100):
        for pid in before.values():
            procs.kill(pid, signal.SIGUSR1)
    ask("status: 3 sites")
    require(d.roles() == before, f"{before} have become {d.roles()}")
    d.signal(signal.SIGTERM)
    ask("status: stopping, ")
    require(d.wait_end() == OK, "it did not stop in good order")


def test_status_of_many_sites(t):
    """Names enough to work with, and none of them held back as a flood."""
    refused = t.refused()
    d = t.daemon({**simple(t), "sites": [site(f"no-{n}", refused.url()) for n in range(250)]})
    d.start()

    def all_known():
        mark = d.log_size()
        d.signal(signal.SIGUSR1)
        first = d.wait_log(r"status: 250 sites: .*", 20, mark).group(0)
        return "0 up, 250 down" in first and mark

    mark = procs.wait_for(all_known, 30, "some are not known")
    d.wait_log("status: and 150 more that are not up", 20, mark)
    named = len(re.findall(r'status: site "no-\d+": down: connect: ', d.log(mark)))
    require(named == 100, f"{named} are named")
    d.stop()


def test_two_with_one_spool(t):
    settings = simple(t)
    d = t.daemon(settings).start()
    other = t.daemon({**settings, "pid_file": t.path("other.pid")}, t.path("other.conf"))
    expect(t.webmond("-c", other.file, timeout=STOP_S), RUNNING, "spool.*in use")
    require(not os.path.exists(t.path("other.pid")), "a PID file is left behind")

    # nor does it get the spool when the publisher of the first one dies
    waiting = procs.spawn([binary(), "-f", "-c", other.file], stderr=subprocess.PIPE)
    procs.wait_for(lambda: "webmond: publisher" in map(procs.cmdline,
                                                       procs.descendants(waiting.pid)),
                   10, "no publisher is born")
    procs.kill(d.roles()["publisher"])
    said = waiting.communicate(timeout=STOP_S)[1].decode()
    require(waiting.returncode == RUNNING and f"in use by PID {d.pid}" in said,
            f"the second one ended with {waiting.returncode}: {said}")
    require(d.running() and "publisher" in d.roles(), "the first one has lost its spool")

    # who is told to stop while it waits for the spool has nothing to store
    waiting = procs.spawn([binary(), "-f", "-c", other.file], stderr=subprocess.DEVNULL)
    procs.wait_for(lambda: "webmond: publisher" in map(procs.cmdline,
                                                       procs.descendants(waiting.pid)),
                   10, "no publisher is born")
    waiting.terminate()
    require(waiting.wait(STOP_S) == 0, f"stopped at its start it ended with {waiting.returncode}")
    d.stop()


def test_starter_tells_what_went_wrong(t):
    # with one user for all -t has a warning, too
    settings = simple(t, checker_user=context.CHECKER_USER)
    broken = t.write("broken.conf", "sites = ( { name = 1; } );\n")
    expect(t.webmond("-c", broken), CONFIG, r"broken\.conf:1: ")
    for what, changed in {
        "spool": {"spool": {"dir": t.path("not/there")}},
        "PID file": {"pid_file": t.path("not/there.pid")},
        "spool, and the log elsewhere": {"spool": {"dir": t.path("not/there")},
                                         "log": {"destination": "syslog"}},
    }.items():
        file = t.daemon({**settings, **changed}, t.path("changed.conf")).file
        for mode in ([], ["-f"]):
            if mode and "log" in changed:
                continue  # asked for syslog, in the foreground too
            done = t.webmond("-c", file, *mode, timeout=STOP_S)
            expect(done, CANNOT_CREATE, r"changed\.conf:\d+: .*there is no directory.*/not")
            t.note(f"{what}: {done.stderr.strip().splitlines()[-1]}")
            tested = t.webmond("-t", "-c", file, *mode)
            require((tested.returncode, tested.stderr) == (done.returncode, done.stderr),
                    f"-t says {tested.stderr!r}, the start {done.stderr!r}")
    require(not os.path.exists(settings["pid_file"]), "a PID file is left behind")
    if context.ROOT:
        os.chmod(t.path("spool"), 0o500)
        os.chown(t.path("spool"), 0, 0)
        for options in ([], ["-t"]):
            expect(t.webmond("-c", t.daemon(settings).file, *options), CANNOT_CREATE,
                   r"webmond\.conf:\d+: spool\.dir: .*user \"nobody\" must be able to write")


def test_config_test_beside_a_running_daemon(t):
    """-t says that what runs could start, and disturbs nothing."""
    d = t.daemon(simple(t)).start()
    before = sorted(os.listdir(t.path("spool")))
    for options in (["-t"], ["-t", "-f"], ["-t", "--once"]):
        expect(t.webmond(*options, "-c", d.file), OK, "good: 1 site(;.*)?$", "stdout")
    require(sorted(os.listdir(t.path("spool"))) == before, "-t has left something in the spool")
    with open(d.settings["pid_file"], encoding="ascii") as f:
        require(int(f.read()) == d.pid, "the PID file has changed")
    d.stop()
    expect(t.webmond("-t", "-c", d.file), OK)
    require(not os.path.exists(d.settings["pid_file"]), "-t has made a PID file")


@needs("root")
def test_root_is_no_user_without_rights(t):
    for key in ("user", "checker_user"):
        file = t.daemon(simple(t, **{key: "root"})).file
        expect(t.webmond("-t", "-c", file), CONFIG, rf"webmond\.conf:\d+: {key}: must be a user")


@needs("root")
def test_root_that_may_not_drop(t):
    file = t.daemon(simple(t)).file
    for options in (["-t"], [], ["-f"]):
        done = procs.run(["setpriv", "--bounding-set=-setuid,-setgid", binary(), "-c", file,
                          *options])
        expect(done, PERMISSION, "nobody")


def test_files_that_others_may_read(t):
    properties = t.write("kafka.properties", "bootstrap.servers=127.0.0.1:1\n"
                         "security.protocol=SASL_SSL\nsasl.mechanisms=PLAIN\n"
                         "sasl.username=u\nsasl.password=canary-6b1f\n")
    d = t.daemon(simple(t, kafka={"properties": [], "properties_file": "kafka.properties"}))
    done = expect(t.webmond("-t", "-c", d.file), CONFIG, r"kafka\.properties:\d+: ")
    require("canary-6b1f" not in done.stderr + done.stdout, "the password is shown")
    t.protect(properties)
    expect(t.webmond("-t", "-c", d.file), OK)
    d.write_config(simple(t, kafka={"properties": ["sasl.password=canary-6b1f"]}))
    done = expect(t.webmond("-t", "-c", d.file), CONFIG, "properties_file")
    require("canary-6b1f" not in done.stderr + done.stdout, "the password is shown")


@needs("root")
def test_files_that_webmond_may_not_read(t):
    """Root could: it is the daemon's user who may not, so the line names it."""
    key = t.write("service.key", "x")
    properties = t.write("kafka.properties", f"bootstrap.servers=x:1\nssl.key.location={key}\n")
    t.protect(properties)
    os.chmod(key, 0o600)
    os.chown(key, 0, 0)
    d = t.daemon({**simple(t, kafka={"properties": [], "properties_file": "kafka.properties"}),
                  "user": "nobody"})
    denied = r'Permission denied; user "nobody" must be able to'
    expect(t.webmond("-t", "-c", d.file), CONFIG, rf"kafka\.properties:2: .*service\.key.*{denied}")
    os.chmod(properties, 0o600)
    os.chown(properties, 0, 0)
    expect(t.webmond("-t", "-c", d.file), CONFIG, rf"properties_file: .*{denied}")


def test_hostile_environment(t):
    d = t.daemon({**simple(t), "sites": t.nginx().many(1)})
    env = {"http_proxy": "http://127.0.0.1:1/", "https_proxy": "http://127.0.0.1:1/",
           "all_proxy": "http://127.0.0.1:1/", "SSLKEYLOGFILE": t.path("keys"),
           "SSL_CERT_FILE": "/nowhere", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu",
           "HOME": "/nowhere", "PATH": ""}
    lines = expect(t.webmond("--once", "--stdout", "-c", d.file, env=env), OK)
    records.check(records.from_lines(lines.stdout), envelopes=False)
    require(not os.path.exists(t.path("keys")), "TLS keys were written")
    # closed descriptors 0 to 2, and no working directory
    gone = t.path("gone")
    os.mkdir(gone)
    done = procs.run(["sh", "-c", 'cd "$1" && rmdir "$1" && exec "$2" -c "$3" -t <&- >&- 2>&-',
                      "sh", gone, binary(), d.file])
    expect(done, OK)


def test_too_few_descriptors(t):
    d = t.daemon(simple(t, workers={"min": 1, "max": 64}))
    for options in (["-f"], [], ["-t"], ["-t", "-f"]):
        done = procs.run(["prlimit", "--nofile=50:50", binary(), "-c", d.file, *options])
        expect(done, OS, r"webmond\.conf:\d+: workers\.max = 64 needs 160 descriptors")


def test_log_that_nobody_reads(t):
    """A full pipe for standard error does not stop the daemon."""
    d = t.daemon({**simple(t), "log": {"destination": "stderr", "level": "debug"}})
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    d.process = procs.spawn([binary(), "-c", d.file, "-f"], stdout=writer, stderr=writer)
    d.pid = d.process.pid
    procs.wait_for(lambda: "publisher" in d.roles(), 10, "it does not start")
    d.signal(signal.SIGTERM)
    require(d.wait_end() == 0, "it did not stop in good order")
    os.close(reader)
    os.close(writer)


def test_service_manager(t):
    """Type=notify: READY, RELOADING, STOPPING, and the status line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(t.path("notify"))
        notify.settimeout(10)
        d = t.daemon(simple(t)).start(env={"NOTIFY_SOCKET": t.path("notify")})
        said = []

        def hear(word):
            while not any(word in s.splitlines() for s in said):
                try:
                    said.append(notify.recv(4096).decode())
                except socket.timeout:
                    require(False, f"no {word} in {said}")

        hear("READY=1")
        hear("STATUS=1 site: 0 up, 0 down, 0 unknown, 1 not known yet; 0 of 8 checkers busy; "
             "nothing to deliver yet, 0 records waiting")
        said.clear()
        d.signal(signal.SIGHUP)
        hear("RELOADING=1")
        hear("READY=1")
        d.signal(signal.SIGTERM)
        hear("STOPPING=1")
        d.wait_end()


def test_corpus(t):
    """
    tests/configs: broken ones, whose comments say what webmond must say, and odd but valid ones.

        # expect: [FILE:]LINE: the beginning of the message
        # expect: FILE: the same, of a file that has no lines
        # setup: a shell command, run in a copy of the directory

    A case is one file, or a directory with webmond.conf (and its comments in `expect`, if they
    cannot stand there). Nothing else may be said, and nothing be said twice.
    """
    source = os.path.join(records.ROOT, "tests", "configs")
    wrong, names = [], sorted(os.listdir(source))
    for name in names:
        path = os.path.join(source, name)
        copy = t.path(name)
        if os.path.isdir(path):
            shutil.copytree(path, copy)
            file = "webmond.conf"
        else:
            os.mkdir(copy)
            shutil.copy(path, copy)
            file = name
        # whatever the modes of the source tree
        subprocess.run(["chmod", "-R", "u=rwX,go=rX", copy], check=True)
        wrong += [f"{name}: {w}" for w in _corpus_case(copy, file)]
    require(not wrong, "\n  ".join([f"{len(wrong)} mistakes in {len(names)} cases:", *wrong]))
    t.note(f"{len(names)} cases")


def _corpus_case(directory, file):
    comments = ""
    for name in (file, "expect"):
        if os.path.isfile(os.path.join(directory, name)):
            with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as f:
                comments += f.read()
    expected = [(name or file, number, message) for name, number, message in re.findall(
        r"^# expect: (?:(?!\d+:)([^\s:]+):)?(?:(\d+):)? (.*)$", comments, re.M)]
    for command in re.findall(r"^# setup: (.*)$", comments, re.M):
        subprocess.run(command, shell=True, cwd=directory, check=True)
    # as another user than root: then `user` is of no interest; for use without a daemon: most of
    # them are about sites
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if context.ROOT else []
    done = procs.run([*become, binary(), "-t", "--once", "-c", os.path.join(directory, file)],
                     timeout=10)
    code = CONFIG if any(not m.startswith("warning: ") for _, _, m in expected) else OK
    wrong = [] if done.returncode == code else [f"exit code {done.returncode}, not {code}"]
    # the lines below a message show the place
    said = [s for s in done.stderr.replace(directory + "/", "").splitlines()
            if not s.startswith("    ")]
    for name, number, message in expected:
        start = f"{name}:{number}: {message}" if number else f"{name}: {message}"
        heard = [s for s in said if s.startswith(start)]
        if heard:
            said.remove(heard[0])
        else:
            wrong.append(f"not said: {start}")
    return wrong + [f"not expected: {s}" for s in said]
