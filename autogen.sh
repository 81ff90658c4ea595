#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Make ./configure from configure.ac. Needed once after a clone; release tarballs hold it.

cd "$(dirname "$0")" || exit

if ! command -v autoreconf >/dev/null; then
	echo "autogen.sh: autoconf is missing (Debian, Ubuntu, Fedora: package autoconf)" >&2
	exit 1
fi

# configure.ac uses no macros of others: there is nothing to do for aclocal, a part of automake.
ACLOCAL=true autoreconf -fi || exit
rm -rf autom4te.cache
