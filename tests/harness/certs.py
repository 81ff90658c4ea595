# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Certificates for the tests, made by openssl(1): an authority, and what it signs.

import os
import subprocess

from . import Failure


def _openssl(*argv):
    done = subprocess.run(["openssl", *map(str, argv)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise Failure(f"openssl {argv[0]}: {done.stdout.decode('utf-8', 'replace')}")


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


def signed(ca_cert, ca_key, cert, key, name, hosts="IP:127.0.0.1,DNS:localhost", kind=P256,
           days=30):
    """A certificate and its key, for servers at `hosts` and clients; -1 day: it has expired."""
    request, extensions = f"{cert}.csr", f"{cert}.ext"
    _key_and([], kind, key, request, f"/CN={name}")
    with open(extensions, "w", encoding="ascii") as f:
        f.write(f"basicConstraints=CA:FALSE\nsubjectAltName={hosts}\n")
    _openssl("x509", "-req", "-days", days, "-in", request, "-CA", ca_cert, "-CAkey", ca_key,
             "-CAcreateserial", "-extfile", extensions, "-out", cert)
    os.unlink(request)
    os.unlink(extensions)
