#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The first commands of README on another Debian than this machine's (make check-debian):
#
#   tests/debian.sh [RELEASE]
#
# mmdebstrap makes a chroot with next to nothing in it, from the mirror that apt has here. `make
# demo` and `make check` get what they need and run there, on a copy of what git knows; of the
# scenarios the main path, with the real Kafka that is in the cache here, and the life of the
# package. Whatever is mounted, is where nobody else sees it, and so is gone with the last process,
# however that ends.
#
# Needs root, apt-get, and a git clone. What cannot be done is skipped, and says why; with
# REQUIRE_DEBIAN=1 it is a failure. The last line is "N passed, N failed, N skipped".

set -u
cd "$(dirname "$0")/.." || exit

release=${1:-trixie}
jars=${KAFKA_JARS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/webmond-tests}
scenarios='10_main.test_(forty_sites|mtls_with|newest)|97_package'

give_up() {
	if [ -n "${REQUIRE_DEBIAN-}" ]; then
		echo "FAIL Debian $release: $*"
		echo '0 passed, 1 failed, 0 skipped'
		exit 1
	fi
	echo "SKIP Debian $release: $*"
	echo '0 passed, 0 failed, 1 skipped'
	exit
}

# None is known on Ubuntu, and before the first update: mmdebstrap has its own idea then.
mirror() {
	# shellcheck disable=SC2016 # apt expands it
	apt-get indextargets --format '$(REPO_URI)' \
	    'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1
}

# The chroot, which gets there as this machine does: proxies, and a clock that is not today's.
make_root() {
	apt-config dump Acquire | grep -iE '::(http|https|check-)' >"$work/apt.conf"
	# shellcheck disable=SC2046 # one or none
	mmdebstrap --variant=minbase --aptopt="$work/apt.conf" \
	    --include="ca-certificates,debhelper,make$([ ! -d "$jars" ] || echo ,default-jre-headless)" \
	    "$release" "$root" $(mirror) >"$work/log" 2>&1 || return
	mkdir -p "$root/webmond" "$root/root/.cache/webmond-tests" &&
	    cp /etc/resolv.conf "$root/etc/" &&
	    git ls-files -z | tar --null -T - -c | tar -x -C "$root/webmond"
}

# there COMMAND…: in the sources in the chroot, without a terminal
there() {
	# shellcheck disable=SC2016 # the inner shell expands them
	unshare --mount --pid --fork --kill-child sh -c '
		root=$1 jars=$2
		shift 2
		mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" || exit
		[ ! -d "$jars" ] || mount --bind "$jars" "$root/root/.cache/webmond-tests" || exit
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		    MAKEFLAGS="-j$(nproc)" REQUIRE_KAFKA="${REQUIRE_KAFKA-}" DEMO_SECONDS="${DEMO_SECONDS-10}" \
		    ${PACKAGE:+PACKAGE="$PACKAGE"} \
		    sh -c "cd /webmond && exec \"\$@\"" sh "$@"
	' sh "$root" "$jars" "$@" </dev/null
}

[ "$(id -u)" -eq 0 ] || give_up 'needs root'
command -v apt-get >/dev/null || give_up 'needs apt-get'
git ls-files >/dev/null 2>&1 || give_up 'needs a git clone, to know what belongs to the sources'
tests/deps.sh check-debian || give_up 'needs mmdebstrap'
unshare --mount true || give_up 'needs the right to mount'

# Maven is here, not there.
if [ -n "${REQUIRE_KAFKA-}" ]; then
	tests/kafka fetch || give_up 'cannot get Kafka'
	tests/kafka fetch newest || give_up 'cannot get the newest Kafka'
fi

work=$(mktemp -d /var/tmp/webmond-debian.XXXXXX) || exit
root=$work/root # its mode is that of / there
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' HUP INT TERM
make_root || give_up "cannot make a chroot: $(grep -m 1 '^E: ' "$work/log" || tail -n 1 "$work/log")"

status=0
there make demo || {
	echo "FAIL make demo on Debian $release"
	status=1
}
there make deb DEB_BUILD_OPTIONS=nocheck DEB_BUILD_PROFILES=nocheck || {
	echo "FAIL make deb on Debian $release"
	status=1
}
package=$(cd "$root/webmond" && echo "$PWD"/build/deb/webmond_*.deb)
export PACKAGE="${package#"$root"}"
there make check SCENARIOS="tests/run ${RETRY:+--retry} -k $scenarios" || status=1
exit "$status"
