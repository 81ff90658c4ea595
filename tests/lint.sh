#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Every linter, and the rules of the house that a machine can check (make lint). Goes on after a
# finding; exits 1 if there was one. Environment: builddir, with the edited manual pages, and FLAGS,
# what the compiler gets; the current directory is the source tree.

findings=0
sources=$(echo src/*.c)
tests=$(echo tests/*.c tests/fuzz/*.c tests/bench/*.c)
headers=$(echo include/*.h)
domain='result config schedule pool match verdict probe'

# check NAME COMMAND…: says NAME, and what the command prints if it fails
check() {
	name=$1
	shift
	if output=$("$@" 2>&1); then
		echo "ok      $name"
	else
		printf '%s\n' "$output"
		echo "FAILED  $name"
		findings=$((findings + 1))
	fi
}

each() { # PROGRAM FILE…: all files, even after a failure
	program=$1 result=0
	shift
	for file in "$@"; do
		$program "$file" || result=1
	done
	return $result
}

# shellcheck disable=SC2086 # FLAGS are several
compiles() { each "$1 $FLAGS -O2 -Werror -c -o /dev/null" $sources $tests; }

# shellcheck disable=SC2086
stands_alone() { each "cc $FLAGS -Werror -fsyntax-only -x c" $headers; }

tidy() { # a process each: with several files in one, version 14 sees uninitialised va_lists
	export FLAGS
	# shellcheck disable=SC2016 # the inner shell expands them
	printf '%s\n' src/*.c tests/*.c tests/fuzz/*.c tests/bench/*.c | xargs -P 2 -n 1 sh -c 'clang-tidy --quiet "$0" -- $FLAGS 2>&1'
}

# An outside library is known to one file: only FILE PATTERN
only() {
	others=$(grep -lE "^#[[:space:]]*include[[:space:]]*<($2)" src/*.c include/*.h | grep -vxE "(src|include)/$1")
	[ -z "$others" ] || {
		echo "only $1 may include <$2>, not:" "$others"
		return 1
	}
}

libraries() {
	only config_file.c 'libconfig' && only match.c 'pcre2' && only probe_internal.h 'curl/' &&
	    only '(probe|kafka)_tls.c' 'openssl/' && only spool_internal.h 'sqlite3' &&
	    only kafka_internal.h 'librdkafka/'
}

# What decides must not know who carries it out.
layers() {
	for module in $domain; do
		! grep -nE '^#include "(checker|daemon|kafka|pipe|proc|publisher|spool|supervisor|validate|wire)\.h"' \
		    /dev/null "src/$module.c" "include/$module.h" || return
	done
}

scripts() {
	shellcheck autogen.sh tests/*.sh tests/bench/*.sh .ci/run &&
	    shellcheck -s sh etc/webmond.init.in etc/webmond.reload &&
	    shellcheck -s bash etc/webmond.bash-completion.in
}

python() {
	grep -rlE '^#!.*python3|^import |^from ' tests etc --exclude-dir=__pycache__ --exclude="*.sh" --exclude="*.md" \
	    --exclude="*.go" |
	    xargs python3 -c 'import ast, sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as f:
        ast.parse(f.read(), name, feature_version=(3, 9))'
}

schema() { python3 -c 'import json, sys; json.load(sys.stdin)' <etc/check-result.v1.schema.json; }

licence() {
	# shellcheck disable=SC2046 # names without blanks
	without=$(grep -L 'SPDX-License-Identifier: Apache-2.0' Makefile configure.ac autogen.sh .ci/run \
	    $(find src include tests etc -type f ! -name '*.json' ! -name '*.md' ! -name '*.svg' ! -name '*.pyc' ! -path '*/corpus/*' ! -path 'tests/configs/*' \
		! -name config.mk.in ! -name webmond.conf.in))
	[ -z "$without" ] || {
		echo "no licence in:" "$without"
		return 1
	}
}

# shellcheck disable=SC2086
check 'clang-format (make format)' clang-format --dry-run -Werror $headers $sources $tests \
    tests/*.h tests/fuzz/*.h tests/bench/*.h
check 'gcc without a warning' compiles gcc
check 'clang without a warning' compiles clang
check 'each header compiles alone' stands_alone
check 'clang-tidy' tidy
# shellcheck disable=SC2086
check 'cppcheck' cppcheck --quiet --std=c11 --enable=warning,performance,portability \
    --inline-suppr --suppress=missingIncludeSystem --error-exitcode=1 -Iinclude -D_GNU_SOURCE \
    -DVERSION='""' -DRELEASE_DATE='""' -DSYSCONFDIR='""' -DLOCALSTATEDIR='""' -DRUNSTATEDIR='""' $sources
check 'each library is known to one file' libraries
check 'the domain knows no processes and no Kafka' layers
check 'shellcheck' scripts
check 'python 3.9' python
check 'JSON schema is JSON' schema
check 'manual pages' mandoc -T lint -W warning "${builddir:?}/src/webmond.8" "$builddir/src/webmond.conf.5"
check 'licence in every file' licence

if [ "$findings" -ne 0 ]; then
	echo "lint: $findings failed"
	exit 1
fi
