# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# etc/webmond-import.py: lists of sites, also hostile ones; what comes out is held against -t.

import json
import os
import random
import sys

from harness import procs, require

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
IMPORT = os.path.join(TOP, "etc", "webmond-import.py")


def converted(t, text, code=0, said=""):
    """What it prints for a file with `text`, which -t accepts."""
    with open(t.path("list"), "wb") as f:
        f.write(text.encode("utf-8", "surrogateescape"))
    done = procs.run([sys.executable, "-B", IMPORT, t.path("list")], 60)
    require(done.returncode == code, f"{done.returncode}, not {code}: {done.stderr}")
    require(said in done.stderr, f"no {said!r} in {done.stderr!r}")
    require("Traceback" not in done.stderr and done.stderr.isascii(), done.stderr)
    if done.stdout:
        file = t.write("imported.conf", done.stdout + 'user = "nobody";\n')
        tested = t.webmond("-t", "--once", "-c", file)
        require(tested.returncode == 0, f"{tested.stderr}\n{done.stdout}")
    return done.stdout


def test_each_kind_of_list(t):
    want = """sites = (
  { name = "shop.example"; url = "https://shop.example/"; },
  { name = "shop.example-2"; url = "https://shop.example/?a=1"; },
  { name = "v6.example-8080-x-20y"; url = "http://v6.example:8080/x%20y"; },
  { name = "xn--bcher-kva.example-C3-BC"; url = "https://xn--bcher-kva.example/%C3%BC"; }
);
"""
    out = converted(t, "\ufeff# ours\nhttps://shop.example\n\nhttps://shop.example/?a=1\r\n"
                    "HTTP://v6.example:8080/x y\nhttps://bücher.example/ü\n")
    require(out == want, f"{out}{want}")
    for delimiter in ",;\t":
        rows = [["Name", "URL", "interval", "timeout", "labels", "owner"],
                ["shop", "https://shop.example/", "30", "2.5", "team=web tier=1", "x"],
                ["shop", "http://[::1]/", "", "", "", ""], []]
        out = converted(t, "\n".join(map(delimiter.join, rows)), said="'owner'")
        want = """sites = (
  { name = "shop"; url = "https://shop.example/"; interval = 30; timeout = 2.5; """ \
            """labels = [ "team=web", "tier=1" ]; },
  { name = "shop-2"; url = "http://[::1]/"; }
);
"""
        require(out == want, f"{out}{want}")
    out = converted(t, json.dumps([{"targets": ["https://a.example/", "b.example:81"],
                                    "labels": {"team": 'w"\\', "__meta": "x"}}]))
    want = """sites = (
  { name = "a.example"; url = "https://a.example/"; labels = [ "team=w\\"\\\\" ]; },
  { name = "b.example-81"; url = "http://b.example:81/"; labels = [ "team=w\\"\\\\" ]; }
);
"""
    require(out == want, f"{out}{want}")


def test_what_cannot_be_taken(t):
    for line, why in (("ftp://a.example/", "http and https"), ("https://", "no host name"),
                      ("shop,https://a.example/", "names of its columns"),
                      ("https://a.example:0/", "port 0"), ("https://a.example:x/", "Port"),
                      ("https://[::g]/", "left out"), (f"https://a.example/{'x' * 1024}", "longer"),
                      ("https://a b.example/", "no host name")):
        out = converted(t, f"{line}\nhttps://good.example/\n", 1, why)
        require(out.count("name =") == 1, out)
    done = converted(t, "https://joe:secret@a.example/\nhttps://good.example/\n", 1, "password")
    require("secret" not in done, "a password is printed")
    for text, why in (("", "no site"), ("{", "not JSON"), ('{ "a": 1 }', "targets"),
                      ("[" * 100000, "not JSON"), ('[ { "targets": 1 } ]', "targets"),
                      ("url,interval\nhttps://a.example/,0\n", "want seconds"),
                      ("url,labels\nhttps://a.example/,team\n", "key=value")):
        require(converted(t, text, 1, why) == "", text)


def test_hostile_lists(t):
    pieces = ["http://", "https://", "a.example", "ü.example", "[::1]", "[fe80::1%25e]", ":80", ":0",
              ":99999", "/", "?", "#", '"', "\\", "\n", "\0", "\x1b", "%", "%zz", " ", "'", ";",
              "{", "}", "(", ")", "@", "x", "\u202e", ",", "=", "..", "-", "\t", "/*", "\x85", "😀",
              "\udcff", "0x7f", "999.1.1.1", "|", "^", "`"]
    rng = random.Random(16)

    def text(most):
        return "".join(rng.choice(pieces) for _ in range(rng.randrange(most)))

    for round_ in range(12):
        urls = [f"{rng.choice(['http://', 'https://', ''])}{rng.choice(['a.example', '[::1]'])}"
                f"{text(10)}" for _ in range(200)]
        if round_ % 3 == 0:
            given = "\n".join(["https://good.example/", *urls])
        elif round_ % 3 == 1:
            quoted = ['"' + url.replace('"', '""') + '"' for url in urls]
            given = "url,name,labels\nhttps://good.example/,good,\n" + "\n".join(
                f'{url},"{text(5)}","k={text(3)}"' for url in quoted)
        else:
            given = json.dumps([{"targets": ["https://good.example/", *urls],
                                 "labels": {"k": text(4), "l": text(4)}}])
        converted(t, given, 1)
