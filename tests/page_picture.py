#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Make the picture of the status page in README.md, with Chromium and ./webmondctl:
#
#   tests/page_picture.py etc/page.png

import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from harness import daemon, page  # noqa: E402


def main(png):
    with tempfile.TemporaryDirectory() as directory:
        control, html = os.path.join(directory, "ctl"), os.path.join(directory, "page.html")
        page.Told(control, page.demo())
        subprocess.run([daemon.control(), "-s", control, "page", html], check=True)
        page.Browser(directory).picture(html, os.path.abspath(png), 1120, 870)


if __name__ == "__main__":
    main(sys.argv[1])
