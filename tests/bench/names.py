#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# A name server on port 53 of the address that it is called with. It knows the address of
# A-B-C-D.up.test, and that there is no other one; what it is asked about A-B-C-D.dead.test it reads
# and never answers.

import socket
import struct
import sys

A, IN, RESPONSE, TTL_S = 1, 1, 0x8580, 60


def answer(query):
    """The response to a query with one question, or None."""
    labels, at = [], 12
    while query[at] > 0:
        labels.append(query[at + 1:at + 1 + query[at]])
        at += 1 + query[at]
    question = query[12:at + 5]
    kind, = struct.unpack_from(">H", query, at + 1)
    if labels[-2:] != [b"up", b"test"]:
        return None
    found = b""
    if kind == A:
        address = bytes(map(int, labels[0].split(b"-")))
        found = struct.pack(">HHHIH", 0xC00C, A, IN, TTL_S, len(address)) + address
    return query[:2] + struct.pack(">HHHHH", RESPONSE, 1, kind == A, 0, 0) + question + found


def main():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((sys.argv[1], 53))
        print("ready", flush=True)
        while True:
            query, client = s.recvfrom(512)
            response = answer(query)
            if response is not None:
                s.sendto(response, client)


main()
