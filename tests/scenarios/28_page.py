# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# webmondctl page: of a real daemon, again and again while the daemon goes and comes, and in a browser.

import base64
import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import xml.etree.ElementTree as xml

from harness import daemon, page, procs, require
from harness.sites import site

USAGE, NOT_RUNNING = 64, 3


def ctl(t, *arguments, code=0):
    done = procs.run([daemon.control(), "-s", t.path("ctl"), *arguments], 60)
    require(done.returncode == code, f"{arguments}: exit code {done.returncode}, not {code}: "
            f"{done.stdout[:200]}{done.stderr}")
    return done.stdout


def parsed(text):
    """Its elements. The page is XML, too, so a tag or an attribute out of place is an error."""
    require(text.startswith("<!DOCTYPE html>\n") and text.endswith("</html>\n"), "not whole")
    return xml.fromstring(text)


def bars(root, name):
    """What the bars of a site say, oldest first."""
    row = next(r for r in root.iter("tr") if r.find("th/b") is not None
               and r.find("th/b").text == name)
    return [bar.get("aria-label") for bar in row.iter("li")]


def require_alone(root, sites):
    """Nothing is loaded or run, and links lead to the sites or stay on the page."""
    allowed = {"html", "head", "meta", "title", "style", "body", "header", "main", "section", "h1",
               "h2", "p", "ul", "ol", "li", "a", "b", "i", "small", "span", "time", "table", "thead",
               "tbody", "tr", "th", "td", "svg", "path", "circle", "dl", "dt", "dd", "div"}
    require({e.tag for e in root.iter()} <= allowed, f"{ {e.tag for e in root.iter()} - allowed}")
    for element in root.iter():
        require(not [k for k in element.keys() if k in ("style", "src") or k.startswith("on")],
                f"{element.attrib}")
        require(element.get("href") is None or element.get("href").startswith("#s")
                or element.get("href") in sites, f"{element.attrib}")


def test_page_of_a_daemon(t):
    nginx, refused = t.nginx(), t.refused()
    sites = [site("good", nginx.url("ok/good?token=4711"), labels=["team=web", "env=a&b"]),
             site("bad", nginx.url("down/bad"), labels=["team=<web>"]), site("gone", refused.url())]
    d = t.daemon(t.settings(sites, "nowhere", f"127.0.0.1:{refused.port}")).start()

    def told():
        return [json.loads(line) for line in ctl(t, "page", "--json").splitlines()]

    procs.wait_for(lambda: sum(x["type"] == "result" for x in told()) >= 9, procs.PATIENCE_S,
                   "there are no results")
    before, text, after = told(), ctl(t, "page"), told()
    require("4711" not in text, "a query is shown")
    root = parsed(text)
    require_alone(root, [x["url"] for x in before if x["type"] == "site"])
    for name in ("good", "bad", "gone"):
        slots = [[x["scheduled_at"][11:19] for x in answer if x["type"] == "result"
                  and x["site"] == name][::-1] for answer in (before, after)]
        shown = [re.search(r"\d\d:\d\d:\d\d", label).group() for label in bars(root, name)]
        require(shown in [slots[1][i:i + len(shown)] for i in range(len(slots[1]))] or
                shown == slots[0], f"{name}: {shown}, not {slots}")
    groups = [h.text for h in root.iter("h2") if h.find("small") is not None]
    require(groups == ["team=<web> ", "Other sites ", "team=web "], f"{groups}")
    require("env=a&b " in [h.text for h in parsed(ctl(t, "page", "--group", "env")).iter("h2")],
            "no such group")
    style = re.search(r"<style>(.*?)</style>", text, re.S).group(1)
    wanted = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    require(f"style-src 'sha256-{wanted}'" in text, f"page_style_hash is not {wanted}")
    ctl(t, "page", t.path("page.html"))
    require(stat.S_IMODE(os.stat(t.path("page.html")).st_mode) & 0o444 == 0o444,
            "a web server cannot read it")
    d.stop()


def test_page_that_cannot_be(t):
    ctl(t, "page", code=NOT_RUNNING)
    ctl(t, "page", t.path("page.html"), code=NOT_RUNNING)
    require(not os.path.exists(t.path("page.html")), "a page without an answer")
    told = page.Told(t.path("ctl"), page.demo())
    for arguments in (["--every", "15"], ["/dev/null"], [t.path("x"), "--every", "0"],
                      [t.path("x"), "--every", "1m"], [t.path("x"), "--json"]):
        ctl(t, "page", *arguments, code=USAGE)
    ctl(t, "page", t.path("no", "where"), code=71)
    told.close()


def test_page_again_and_again(t):
    file = t.path("page.html")
    told = page.Told(t.path("ctl"), page.demo())
    process = procs.spawn([daemon.control(), "-s", t.path("ctl"), "page", file, "--every", "1"],
                          stderr=subprocess.PIPE, text=True)

    def until(wanted):
        def look():
            if not os.path.exists(file):
                return False
            with open(file, encoding="utf-8") as page_file:
                text = page_file.read()
            parsed(text)
            return wanted in text

        procs.wait_for(look, procs.PATIENCE_S, f"no {wanted!r}")

    until('http-equiv="refresh" content="1"')
    told.answer = [page.status(), *page.site("new", "", [])]
    until("<b>new</b>")
    told.close()
    until("<h1>No answer from webmond</h1>")
    until("<b>new</b>")
    require(process.poll() is None, "it has ended")
    told.answer = [page.status(), *page.site("newer", "", [])]
    told.listen()
    until("<b>newer</b>")
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[1]
    require(process.returncode == 0, f"exit code {process.returncode}")
    require(re.fullmatch(r"(webmondctl: no webmond answers.*\n)+webmondctl: webmond answers again\n",
                         said), said)
    require(sorted(n for n in os.listdir(t.path()) if n.startswith("page")) == ["page.html"],
            f"{os.listdir(t.path())}")
    told.close()


def test_page_that_cannot_be_written(t):
    """It is tried again and again, and said once."""
    os.mkdir(t.path("web"))
    file = t.path("web", "page.html")
    told = page.Told(t.path("ctl"), [page.status(), *page.site("old", "", [])])
    process = procs.spawn([daemon.control(), "-s", t.path("ctl"), "page", file, "--every", "1"],
                          stderr=subprocess.PIPE, text=True)
    procs.wait_for(lambda: os.path.exists(file), procs.PATIENCE_S, "no page")
    os.rename(t.path("web"), t.path("away"))
    before = told.asked
    procs.wait_for(lambda: told.asked > before + 6, procs.PATIENCE_S, "it has given up")
    os.rename(t.path("away"), t.path("web"))
    os.unlink(file)
    procs.wait_for(lambda: os.path.exists(file), procs.PATIENCE_S, "it has given up")
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[1]
    require(process.returncode == 0 and said.count("No such file or directory\n") == 1 and
            said.endswith('page.html" is written again\n') and said.count("\n") == 2, said)
    told.close()


HOSTILE = "\"'><script>document.title='x'</script><img src=x onerror=alert(1)>&lt;"


def test_page_in_a_browser(t):
    """No complaint, on a desk and on a phone, in the light and in the dark, and nothing runs."""
    browser = page.Browser(t.path())
    told = page.Told(t.path("ctl"), page.demo())
    ctl(t, "page", t.path("page.html"))
    sizes = {}
    for name, width, height, dark in (("desk", 1200, 900, False), ("dark", 1200, 900, True),
                                      ("phone", 500, 900, False)):
        said = browser.picture(t.path("page.html"), t.path(f"{name}.png"), width, height, dark)
        require(not said, f"{said}")
        with open(t.path(f"{name}.png"), "rb") as png:
            sizes[name] = png.read()
        require(sizes[name].startswith(b"\x89PNG") and len(sizes[name]) > 10000, "no picture")
    require(sizes["desk"] != sizes["dark"], "the dark is as light as the light")

    told.answer = [page.status(epoch=HOSTILE, topic=HOSTILE, kafka_error=HOSTILE),
                   *page.site(HOSTILE, f"team={HOSTILE}", [page.result("x", 1, 5, error=HOSTILE)],
                              HOSTILE, f"https://h/{HOSTILE}"),
                   *page.site("js", HOSTILE, [], HOSTILE, f"javascript:alert(1){HOSTILE}")]
    ctl(t, "page", t.path("hostile.html"))
    said, dom = browser.dom(t.path("hostile.html"))
    require(not said, f"{said}")
    require("<script" not in dom and "<img" not in dom and "javascript:alert(1)" in dom and
            'href="javascript' not in dom and "<title>1 site down - webmond</title>" in dom, dom)

    told.answer = [page.status()]
    for i in range(1000):
        told.answer += page.steady(f"site-{i}", f"team={i % 7}", 100 + i, bad=range(i % 50 == 0))
    ctl(t, "page", t.path("many.html"))
    said, dom = browser.dom(t.path("many.html"))
    require(not said and dom.count("<tr id=") == 1000 and dom.count("<li class=\"u\" aria") == 19980,
            f"{said}")
    told.close()
