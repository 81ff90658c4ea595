#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Make what a release has, and prove that it fits together (make release):
#
#   tests/release.sh NAME VERSION DATE
#
# Version and date are those of configure.ac. NEWS must begin with them, the tree must be as it was
# committed, and a tag vVERSION must be of this commit. All that does not fit is named together. Then
# NAME/ gets the tarball, after distcheck, Debian's package, SHA256SUMS, and signatures if gpg has a
# secret key. Nothing is tagged or published. Environment: MAKE; RELEASE_KEY, which key; RELEASE=check:
# only see whether all fits.

set -u
name=$1 version=$2 date=$3
make=${MAKE:-make}
wrong=0

say() { echo "release: $*"; }
mistake() {
	say "$*" >&2
	wrong=1
}

top=$(cd "$(dirname "$0")/.." && pwd)
there() { git -C "$top" "$@" 2>/dev/null; }

first=$(head -n 1 "$top/NEWS")
[ "$first" = "webmond $version ($date)" ] ||
	mistake "NEWS begins with \"$first\"; configure.ac has \"webmond $version ($date)\""
if ! grep -q "^RELEASE_DATE=$date\$" "$top/configure.ac" ||
    ! grep -qF "[$version]" "$top/configure.ac"; then
	mistake "config.mk is older than configure.ac; run ./configure"
fi
[ -z "$(there status --porcelain || echo none)" ] || mistake "there are changes that are not committed"
if tagged=$(there rev-parse -q --verify "refs/tags/v$version^{commit}") &&
    [ "$tagged" != "$(there rev-parse HEAD)" ]; then
	mistake "v$version is the tag of another commit, $tagged; a new release has a new version"
fi
[ "$wrong" -eq 0 ] || exit 1
say "version, date, NEWS and tree fit"
[ "${RELEASE-}" != check ] || exit 0

$make distcheck && $make deb || exit
rm -rf "$name" && mkdir "$name" || exit
cp "$name.tar.gz" build/deb/webmond_"$version"-*.deb "$name" || exit
(cd "$name" && sha256sum -- *.tar.gz *.deb >SHA256SUMS) || exit

if gpg --batch --list-secret-keys ${RELEASE_KEY:+"$RELEASE_KEY"} 2>/dev/null | grep -q '^sec'; then
	for file in "$name/$name.tar.gz" "$name/SHA256SUMS"; do
		gpg --yes --armor ${RELEASE_KEY:+--local-user "$RELEASE_KEY"} --detach-sign "$file" &&
		    gpg --batch --verify "$file.asc" "$file" 2>/dev/null || exit
	done
	say "$name/ is ready and signed. Next: git tag -s v$version, git push origin v$version"
else
	say "$name/ is ready, but NOT SIGNED: gpg has no secret key${RELEASE_KEY:+ $RELEASE_KEY}"
fi
