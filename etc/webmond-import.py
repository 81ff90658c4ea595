#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
"""
Turn a list of web sites into `sites` for webmond.

  webmond-import.py [FILE…] >/etc/webmond/sites.d/imported.conf

A FILE, or standard input, is one of these:

  - one URL a line; what begins with # is a comment
  - CSV, also with ; or tabs, whose first line names the columns: url, and if you like name, interval,
    timeout (seconds) and labels ("team=web tier=1")
  - targets of Prometheus for blackbox_exporter, as JSON (file_sd_configs):
    [ { "targets": [ "https://shop.example/" ], "labels": { "team": "web" } } ]

Names are made of the URL where there is none, and each becomes unique. `webmond -t` accepts what
comes out. What it would not accept is left out and said, and the exit status is 1.
"""
import argparse
import csv
import io
import ipaddress
import json
import re
import sys
import urllib.parse

NAME_MAX, URL_MAX, LABELS_MAX, COLUMN_MAX = 64, 1024, 256, 1 << 20
COLUMNS = ("name", "url", "interval", "timeout", "labels")
HOST = re.compile(r"([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
DEFAULT_INTERVAL = 60


class Refused(Exception):
    pass


# --- what stands in the file: dictionaries with the columns -----------------------------------


def read_targets(text):
    try:
        groups = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise Refused(f"this is not JSON: {e}") from None
    if not isinstance(groups, list):
        raise Refused('want [ { "targets": [ … ], "labels": { … } }, … ]')
    for group in groups:
        targets, labels = (group.get("targets"), group.get("labels") or {}) \
            if isinstance(group, dict) else (None, {})
        if not isinstance(targets, list) or not isinstance(labels, dict):
            raise Refused('each group wants "targets", a list, and if you like "labels"')
        # those with two underscores are orders to Prometheus
        labels = [f"{name}={value}" for name, value in labels.items()
                  if not name.startswith("__")]
        for target in targets:
            url = str(target)
            # blackbox_exporter puts http:// before what has no scheme
            yield {"url": url if "://" in url else f"http://{url}", "labels": labels}


def read_rows(text, delimiter):
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows.fieldnames = [(name or "").strip().lower() for name in rows.fieldnames]
    ignored = [name for name in rows.fieldnames if name not in COLUMNS]
    if ignored:
        say(f"columns that are not used: {', '.join(map(repr, ignored))}")
    for row in rows:
        entry = {name: (row.get(name) or "").strip() for name in COLUMNS}
        if any(entry.values()):
            yield {**entry, "labels": entry["labels"].split()}


def read(text):
    """Which of the three it is, and its entries."""
    text = text.replace("\0", "\ufffd")
    if text.lstrip()[:1] in ("[", "{"):
        return read_targets(text)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    if "url" in (name.strip(' "\r').lower() for name in first.split(delimiter)):
        csv.field_size_limit(COLUMN_MAX)
        return read_rows(text, delimiter)
    lines = (line.strip() for line in text.splitlines())
    return ({"url": line} for line in lines if line and not line.startswith("#"))


# --- what webmond accepts -----------------------------------------------------------------------


def url_of(text):
    try:
        parts = urllib.parse.urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as e:
        raise Refused(str(e)) from None
    if parts.scheme.lower() not in ("http", "https"):
        raise Refused("only http and https are checked"
                      + (", and CSV begins with the names of its columns" if "," in text else ""))
    if "@" in parts.netloc:
        raise Refused("a user or password; see auth in webmond.conf(5)")
    if port == 0:
        raise Refused("port 0")
    try:
        if ":" in host:
            host = f"[{ipaddress.IPv6Address(host)}]"
        else:
            host = host.encode("idna").decode() if host else ""
    except (UnicodeError, ValueError):
        host = ""
    if not host.startswith("[") and not HOST.fullmatch(host):
        raise Refused("no host name, or none that can exist")
    # what stands behind it stays as it is, but for bytes that a URL cannot have
    rest = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    rest = urllib.parse.quote(rest, safe="%/?#[]@!$&'()*+,;=:-._~", errors="replace")
    url = f"{parts.scheme}://{host}{'' if port is None else f':{port}'}/{rest.lstrip('/')}"
    if len(url) > URL_MAX:
        raise Refused(f"longer than {URL_MAX} bytes")
    return url


def seconds(entry, key, low, high):
    text = entry.get(key)
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,3})?", text) or not low <= float(text) <= high:
        raise Refused(f"{key} {text!r}: want seconds, {low} to {high:g}")
    return f"{float(text):g}"


def labels_of(entry):
    clean = [re.sub(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff,]', "_", label)
             for label in entry.get("labels", ())]
    wrong = [label for label in clean if label.find("=") < 1]
    if wrong:
        raise Refused(f"label {wrong[0]!r}: want key=value")
    if len(",".join(clean).encode()) > LABELS_MAX:
        raise Refused(f"labels of more than {LABELS_MAX} bytes")
    return clean


def name_of(entry, url, taken):
    """The name, or the URL without its scheme; with a number if there is that name already."""
    wanted = entry.get("name") or url.partition("://")[2].partition("?")[0]
    wanted = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-")[:NAME_MAX] or "site"
    name, number = wanted, taken.get(wanted, 1)
    while name in taken:
        number += 1
        end = f"-{number}"
        name = wanted[:NAME_MAX - len(end)] + end
    taken[wanted] = number
    taken.setdefault(name, 1)
    return name


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def site(entry, taken):
    url = url_of(entry["url"])
    interval = seconds(entry, "interval", 1, 86400)
    timeout = seconds(entry, "timeout", 0.1, float(interval or DEFAULT_INTERVAL))
    labels = labels_of(entry)
    keys = [("name", quoted(name_of(entry, url, taken))), ("url", quoted(url)),
            ("interval", interval), ("timeout", timeout),
            ("labels", f"[ {', '.join(map(quoted, labels))} ]" if labels else None)]
    return "  { " + " ".join(f"{key} = {value};" for key, value in keys if value) + " }"


def say(text):
    # as ASCII, for a terminal believes what is in other people's texts
    print(ascii(f"webmond-import: {text}")[1:-1], file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE", default=["-"])
    sites, taken, left_out = [], {}, 0
    for file in parser.parse_args().files:
        try:
            with open(0 if file == "-" else file, "rb") as f:
                text = f.read().decode("utf-8-sig", "replace")
            for entry in read(text):
                try:
                    sites.append(site(entry, taken))
                except Refused as e:
                    left_out += 1
                    shown = re.sub(r"//[^/]*@", "//…@", entry["url"])  # no passwords
                    say(f"left out: {shown!r}: {e}")
        except (OSError, Refused, csv.Error) as e:
            say(f"{file}: {e}")
            return 1
    if not sites:
        say("no site")
        return 1
    sys.stdout.reconfigure(encoding="utf-8")
    print("sites = (\n" + ",\n".join(sites) + "\n);")
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
