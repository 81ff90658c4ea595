# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The keys of a site, together: in the examples of the documents.

import os
import re
import shutil

from harness import certs, context, procs, records, require
from harness.daemon import binary

# what the examples of etc/migrate.md read
SECRETS = ("orders.headers", "intranet.password", "search.password", "tickets.token")


def test_examples_for_users_of_other_programs(t):
    """What etc/migrate.md gives as examples is good, for a user without rights."""
    certs.authority(t.path("ca.pem"), t.path("ca.key"), "authority of the examples")
    certs.signed(t.path("ca.pem"), t.path("ca.key"), t.path("client.pem"), t.path("client.key"),
                 "client of the examples")
    for name in SECRETS:
        os.chmod(t.write(name, "X-Api-Key: not-told\n"), 0o600)
    if context.ROOT:
        for name in (*SECRETS, "client.key"):
            shutil.chown(t.path(name), context.USER)
    with open(os.path.join(records.ROOT, "etc", "migrate.md"), encoding="utf-8") as f:
        blocks = re.findall(r"^```(\w*)\n(.*?)^```$", f.read(), re.M | re.S)
    examples = [text for language, text in blocks if not language]
    require(len(examples) == 5, f"{len(examples)} examples, not 5")
    become = ["setpriv", f"--reuid={context.USER}", "--clear-groups"] if context.ROOT else []
    for text in examples:
        file = t.write("webmond.conf", text)
        done = procs.run([*become, binary(), "-t", "--once", "-c", file])
        require(done.returncode == 0 and not done.stderr, f"{text}\n{done.stderr}")
