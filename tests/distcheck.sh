#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Prove that a release can be built as its users will (make distcheck):
#
#   tests/distcheck.sh NAME DIRECTORY
#
# NAME.tar.gz is unpacked in DIRECTORY, made read-only, built out of tree, tested, installed,
# uninstalled and cleaned; nothing may stay behind, and a release made from it must be the same,
# byte for byte. Environment: MAKE; CONFIGURE_FLAGS, more options for configure.

set -eu

name=$1
tarball=$PWD/$1.tar.gz
work=$2
make="${MAKE:-make} -s"
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL || : # what our make got is not for those here

say() { echo "distcheck: $*"; }
fail() {
	say "$*" >&2
	exit 1
}

# nothing_left DIRECTORY WHAT: no file, no directory of ours
nothing_left() {
	left=$(find "$1" ! -type d -o -name webmond)
	[ -z "$left" ] || fail "left by $2: $left"
}

state() { (cd "$work/$name" && find . -type f -exec sha256sum {} + | sort && find . | sort); }

[ ! -e "$work" ] || chmod -R u+w "$work"
rm -rf "$work"
mkdir -p "$work/build"
tar -xzf "$tarball" -C "$work"
chmod -R a-w "$work/$name"
state >"$work/before" # root can write all the same

say "building $name out of a read-only tree"
cd "$work/build"
# shellcheck disable=SC2086 # several options
"../$name/configure" --prefix="$work/prefix" ${CONFIGURE_FLAGS-} >configure.out || {
	cat configure.out
	exit 1
}
rm configure.out
$make -j"$(nproc)"

say "testing"
$make -j"$(nproc)" check-unit

say "installing, into the prefix and into a DESTDIR"
$make install >/dev/null
$make installcheck >/dev/null
$make install DESTDIR="$work/dest dir" >/dev/null
$make installcheck DESTDIR="$work/dest dir" >/dev/null
(cd "$work/prefix" && find . ! -type d | sort) >"$work/in-prefix"
(cd "$work/dest dir$work/prefix" && find . ! -type d | sort) | diff "$work/in-prefix" - ||
	fail "DESTDIR got something else than the prefix"

say "following the links of the installed documents"
find "$work/prefix" -name '*.md' | while read -r file; do
	grep -oE '\]\([^)]*\)' "$file" | grep -vE '^\]\((https?:|#)' | sed 's/^](//; s/[#)].*//' |
	    while read -r target; do
		[ -e "${file%/*}/$target" ] || echo "$file: $target"
	    done
done >"$work/dead-links"
[ ! -s "$work/dead-links" ] || fail "links to what is not installed: $(cat "$work/dead-links")"

say "uninstalling"
$make uninstall >/dev/null
nothing_left "$work/prefix" uninstall
$make uninstall DESTDIR="$work/dest dir" >/dev/null
nothing_left "$work/dest dir$work/prefix" "uninstall with DESTDIR"

say "making the release again"
$make dist >/dev/null
cmp "$name.tar.gz" "$tarball" || fail "the release made from the release is another"

say "cleaning"
$make distclean >/dev/null
left=$(find . ! -name .)
[ -z "$left" ] || fail "left by distclean: $left"
state | diff "$work/before" - || fail "the source tree was changed"

cd /
chmod -R u+w "$work"
rm -rf "$work"
say "$name.tar.gz is ready"
