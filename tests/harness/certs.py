# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Certificates for the tests, made by openssl(1): an authority, and what it signs.

import os
import subprocess
import tempfile
import time

from . import Failure


def _openssl(*argv):
    done = subprocess.run(["openssl", *map(str, argv)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise Failure(f"openssl {argv[0]}: {done.stdout.decode('utf-8', 'replace')}")


DAY_S = 86400

P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
RSA2048 = ("rsa:2048",)


def _key_and(request, kind, key, out, subject, *more):
    _openssl("req", *request, "-newkey", *kind, "-nodes", "-subj", subject, "-keyout", key,
             "-out", out, *more)
    os.chmod(key, 0o600)


def authority(cert, key, name, kind=P256):
    """A self-signed authority in the two files."""
    _key_and(["-x509", "-days", "30"], kind, key, cert, f"/CN={name}",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign")


_CA_CONFIG = """[ca]
default_ca = ours
[ours]
database = {directory}/index
new_certs_dir = {directory}
default_md = sha256
rand_serial = yes
policy = any
x509_extensions = these
[any]
commonName = supplied
[these]
{extensions}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def signed(ca_cert, ca_key, cert, key, name, hosts="IP:127.0.0.1,DNS:localhost", kind=P256,
           days=30, intermediate=False):
    """
    A certificate and its key, for servers at `hosts` and clients, without subjectAltName if they
    are None, or of an `intermediate` authority; -1 day: it has expired. By openssl-ca(1), since openssl-x509(1) has no option for the first day before 3.4, and from 3.5 on
    refuses a last one in the past.
    """
    extensions = "basicConstraints = CA:FALSE"
    if intermediate:
        extensions = "basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign"
    elif hosts is not None:
        extensions += f"\nsubjectAltName = {hosts}"
    end = time.time() + days * DAY_S
    begin = min(time.time(), end - DAY_S)
    with tempfile.TemporaryDirectory() as work:
        config, request = os.path.join(work, "ca.conf"), os.path.join(work, "request")
        with open(config, "w", encoding="ascii") as f:
            f.write(_CA_CONFIG.format(directory=work, extensions=extensions))
        with open(os.path.join(work, "index"), "w", encoding="ascii"):
            pass  # of what the authority has signed: nothing
        _key_and([], kind, key, request, f"/CN={name}")
        _openssl("ca", "-batch", "-notext", "-config", config, "-cert", ca_cert, "-keyfile", ca_key,
                 "-startdate", _date(begin), "-enddate", _date(end), "-in", request, "-out", cert)


def _date(seconds):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))
