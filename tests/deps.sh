#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Get what a goal of the Makefile needs and this machine does not have:
#
#   tests/deps.sh all | check | check-debian | check-fuzz | check-recipes | demo | demo-hosts | bench | lint
#
# Says nothing if nothing is missing. Else names the packages and installs them on Debian and
# Ubuntu when it is root, or asks sudo at a terminal. If it cannot, it prints the command; it fails
# if something is missing without which the goal is pointless, and the tests skip the rest.

# Who needs it; must it be there, or may it; what to look for; Debian's package; Fedora's.
table() {
	cat <<-'END'
		build must command:cc                   gcc                  gcc
		build must header:stdlib.h              libc6-dev            glibc-devel
		build must configure                    autoconf             autoconf
		build must command:pkg-config           pkg-config           pkgconf-pkg-config
		build must library:libconfig>=1.5       libconfig-dev        libconfig-devel
		build must library:libcurl>=7.87.0      libcurl4-openssl-dev libcurl-devel
		build must library:openssl>=3.0.0       libssl-dev           openssl-devel
		build must library:libpcre2-8>=10.34    libpcre2-dev         pcre2-devel
		build must library:rdkafka>=1.9.0       librdkafka-dev       librdkafka-devel
		build must library:sqlite3>=3.34.0      libsqlite3-dev       sqlite-devel
		test  must command:python3              python3              python3
		test  must command:openssl              openssl              openssl
		test  must authorities                  ca-certificates      ca-certificates
		demo  must command:kcat                 kcat                 kcat
		hosts must command:java                 default-jre-headless java-latest-openjdk-headless
		hosts must command:mvn                  maven                maven
		check must library:check>=0.15          check                check-devel
		check may  command:kcat                 kcat                 kcat
		check may  command:nginx                nginx-light          nginx-core
		check may  command:strace               strace               strace
		check may  command:btrfs                btrfs-progs          btrfs-progs
		page  may  command:chromium             chromium             chromium
		check may  command:promtool             prometheus           golang-github-prometheus
		check may  node_exporter prometheus-node-exporter golang-github-prometheus-node-exporter
		kafka may  command:java                 default-jre-headless java-latest-openjdk-headless
		kafka may  command:mvn                  maven                maven
		recipes may  command:jq                 jq                   jq
		recipes may  command:psql               postgresql           postgresql-server
		fuzz  must command:clang                clang                clang
		fuzz  must libfuzzer                    libclang-rt-dev      compiler-rt
		bench must command:kcat                 kcat                 kcat
		bench must command:nginx                nginx-light          nginx-core
		bench must command:java                 default-jre-headless java-latest-openjdk-headless
		bench must command:mvn                  maven                maven
		root  must command:mmdebstrap           mmdebstrap           mmdebstrap
		deb   must command:dh                   debhelper            debhelper
		deb   must command:lintian              lintian              lintian
		lint  must command:gcc                  gcc                  gcc
		lint  must command:clang                clang                clang
		lint  must command:clang-format         clang-format         clang-tools-extra
		lint  must command:clang-tidy           clang-tidy           clang-tools-extra
		lint  must command:cppcheck             cppcheck             cppcheck
		lint  must command:shellcheck           shellcheck           ShellCheck
		lint  must command:mandoc               mandoc               mandoc
	END
}

case ${1-} in
demo) groups='build test demo' ;;
demo-hosts) groups='build test demo hosts' ;;
check) groups='build test check' ;;
bench) groups='build test bench' ;;
check-debian) groups='root' ;;
check-fuzz) groups='build fuzz' ;;
check-recipes) groups='build test check kafka recipes' ;;
lint) groups='build test check lint' ;;
all) groups='build test check page fuzz kafka bench root deb lint' ;;
*)
	echo 'usage: tests/deps.sh all | check | check-debian | check-fuzz | check-recipes | demo | demo-hosts | bench | lint' >&2
	exit 64
	;;
esac

PATH=$PATH:/usr/sbin:/sbin

here() {
	case $1 in
	command:*) command -v "${1#*:}" >/dev/null ;;
	header:*) printf '#include <%s>\n' "${1#*:}" | cc -E - >/dev/null 2>&1 ;;
	library:*) pkg-config --exists "$(echo "${1#*:}" | sed "s/>=/ >= /")" 2>/dev/null ;;
	configure) [ -e "$(dirname "$0")/../configure" ] || command -v autoreconf >/dev/null ;;
	node_exporter) { command -v prometheus-node-exporter || command -v node_exporter; } >/dev/null ;;
	libfuzzer)
		echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
		    clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null
		;;
	authorities)
		for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
		    /etc/ssl/cert.pem /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem; do
			[ ! -e "$file" ] || return 0
		done
		return 1
		;;
	esac
}

# Sets debian, fedora: packages that are missing; needed: not only for tests that can be skipped.
look() {
	debian='' fedora='' needed=''
	while read -r group want what deb rpm; do
		case " $groups " in *" $group "*) ;; *) continue ;; esac
		here "$what" && continue
		case " $debian " in *" $deb "*) ;; *) debian="$debian $deb" ;; esac
		case " $fedora " in *" $rpm "*) ;; *) fedora="$fedora $rpm" ;; esac
		[ "$want" = may ] || needed=yes
	done <<-END
		$(table)
	END
}

# They are wanted as programs of tests, not as servers of this machine.
stop_servers() {
	for server in nginx prometheus prometheus-node-exporter; do
		case " $debian " in
		*" $server "* | *" $server-light "*) ;;
		*) continue ;;
		esac
		if [ -d /run/systemd/system ]; then
			$sudo systemctl disable --now $server
		else
			$sudo service $server stop && $sudo update-rc.d $server disable
		fi
	done >/dev/null 2>&1
}

install() {
	echo "webmond: installing$debian"
	log=$(mktemp)
	# shellcheck disable=SC2086 # a list
	{
		$sudo apt-get update -qq # other sources than ours may be broken
		# on Ubuntu chromium is none of its packages
		apt-cache show chromium >/dev/null 2>&1 || debian=$(echo "$debian" | sed 's/ chromium//')
		$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
		    --no-install-recommends $debian
	} >"$log" 2>&1 || cat "$log" >&2
	rm -f "$log"
	stop_servers
	look
}

look
[ -n "$debian" ] || exit 0

sudo=''
if ! command -v apt-get >/dev/null; then
	echo "webmond: missing; on Fedora: sudo dnf install$fedora" >&2
elif [ "$(id -u)" -eq 0 ]; then
	install
elif [ -t 0 ] && command -v sudo >/dev/null; then
	sudo=sudo
	install
fi

[ -n "$debian" ] || exit 0
if command -v apt-get >/dev/null; then
	echo "webmond: missing. Run: sudo apt-get install$debian" >&2
fi
[ -z "$needed" ] && [ "$1" != all ]
