#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Every linter, and the rules of the house that a machine can check (make lint). Goes on after a
# finding; exits 1 if there was one. Environment: builddir, with the edited manual pages; OBJECTS, of
# the program; FLAGS, what the compiler gets. The current directory is the source tree.

findings=0
sources=$(echo src/*.c src/*/*.c)
tests=$(echo tests/*.c tests/fuzz/*.c tests/bench/*.c)
headers=$(echo include/*.h src/*/*.h)

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
	program=$1
	shift
	# shellcheck disable=SC2086 # with its options
	printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 $program
}

# shellcheck disable=SC2086 # FLAGS are several
compiles() { each "$1 $FLAGS -O2 -Werror -c -o /dev/null" $sources $tests; }

# shellcheck disable=SC2086
stands_alone() { each "cc $FLAGS -Werror -fsyntax-only -x c" $headers; }

tidy() { # a process each: with several files in one, version 14 sees uninitialised va_lists
	export FLAGS
	# shellcheck disable=SC2016 # the inner shell expands them
	printf '%s\n' src/*.c src/*/*.c tests/*.c tests/fuzz/*.c tests/bench/*.c | xargs -P 2 -n 1 sh -c 'clang-tidy --quiet "$0" -- $FLAGS 2>&1'
}

# Which rooms, the folders of src/, a room may use, and which outside libraries. A room of its own
# stands for itself; a header in include/ belongs to the room that has the .c file of its name. Only
# the supervisor forks the others, and so knows where they begin: checker.h, publisher.h. The other
# program, ctl, has of the publisher what errors of librdkafka mean. exit.h has no .c file; everybody
# may use it.
room_uses() {
	case $1 in
	base) echo base ;;
	config) echo base config ;;
	record) echo base config record ;;
	spool) echo base config record spool ;;
	checker) echo base config record checker ;;
	publisher) echo base config record spool publisher ;;
	supervisor) echo base config record checker publisher main supervisor ;;
	ctl) echo base config record publisher ctl ;;
	main) echo base config spool checker publisher supervisor main ;;
	esac
}

library_of() {
	case $1 in
	config) echo 'libconfig' ;;
	spool) echo 'sqlite3' ;;
	checker) echo 'curl/|openssl/|pcre2' ;;
	publisher) echo 'librdkafka/|openssl/' ;;
	ctl) echo 'librdkafka/' ;;
	*) echo 'none' ;;
	esac
}

room_of() { # FILE: src/spool/db.c is in the room spool, src/main.c in main
	room=${1#src/}
	case $room in
	*/*) echo "${room%%/*}" ;;
	*) echo main ;;
	esac
}

rooms() {
	result=0
	for file in src/*.c src/*/*.[ch] include/*.h; do
		case $file in
		include/*) owner=$(echo src/"$(basename "$file" .h)".c src/*/"$(basename "$file" .h)".c) ;;
		*) owner=$file ;;
		esac
		for owner in $owner; do [ ! -e "$owner" ] || room=$(room_of "$owner"); done
		# shellcheck disable=SC2013 # words
		for header in $(sed -n 's/^#include "\(.*\)"/\1/p' "$file"); do
			if [ "$header" = exit.h ] || { [ "$room" != main ] && [ -e "src/$room/$header" ]; }; then
				continue
			fi
			for owner in src/"${header%.h}".c src/*/"${header%.h}".c; do
				if [ ! -e "$owner" ] || [ ! -e "include/$header" ]; then continue; fi
				case " $(room_uses "$room") " in
				*" $(room_of "$owner") "*) continue 2 ;;
				esac
			done
			echo "$file: the room $room may not include $header"
			result=1
		done
	done
	return $result
}

libraries() {
	all='libconfig|sqlite3|curl/|openssl/|pcre2|librdkafka/'
	result=0
	for file in src/*.c src/*/*.[ch] include/*.h; do
		case $file in
		include/*) allowed=none ;;
		src/checker/json_value.c) allowed=sqlite3 ;;
		*) allowed=$(library_of "$(room_of "$file")") ;;
		esac
		grep -HnE "^#[[:space:]]*include[[:space:]]*<($all)" "$file" |
		    grep -vE "<($allowed)" && result=1
	done
	return $result
}

# No circle between files: who calls whom, from the objects; tsort names those in a loop.
no_circles() {
	# shellcheck disable=SC2086 # OBJECTS are several
	nm -P -A $OBJECTS | awk '
		{ sub(/:$/, "", $1); sub(/.*\/src\//, "", $1) }
		$3 ~ /[TDBRC]/ { owner[$2] = $1 }
		$3 == "U" { user[++n] = $1; symbol[n] = $2 }
		END {
			for (i = 1; i <= n; i++)
				if (symbol[i] in owner)
					print user[i], owner[symbol[i]]
		}' | sort -u | tsort >/dev/null
}

# What is longer than this is two things.
short_enough() {
	# shellcheck disable=SC2086
	awk '
		FNR == 451 { print FILENAME ": more than 450 lines"; long = 1 }
		/^\{/ { begun = FNR }
		/^\}/ && begun { if (FNR - begun > 60) { print FILENAME ":" begun ": more than 60 lines"; long = 1 }
			begun = 0 }
		END { exit long }' $sources
}

scripts() {
	shellcheck autogen.sh tests/*.sh tests/bench/*.sh .ci/run &&
	    shellcheck -s sh etc/webmond.init.in etc/debian/webmond.p* &&
	    shellcheck -s bash etc/webmond.bash-completion.in etc/webmondctl.bash-completion
}

# How much of this machine the service could reach, from 0 to 10; what stays is explained in the unit.
confined() {
	command -v systemd-analyze >/dev/null || return 0
	systemd-analyze security --offline=true --threshold=19 "${builddir:?}/etc/webmond.service"
}

# A scenario waits for an event, or says why time has to pass: harness/procs.py, let_pass().
no_sleep() { ! grep -n '^[[:space:]]*time\.sleep' tests/scenarios/*.py tests/faults/*.py; }

python() {
	grep -rlE '^#!.*python3|^import |^from ' tests etc --exclude-dir=__pycache__ --exclude="*.sh" --exclude="*.md" \
	    --exclude="*.go" |
	    xargs python3 -c 'import ast, sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as f:
        ast.parse(f.read(), name, feature_version=(3, 9))'
}

# The manual has an entry for each field and for each word that the schema knows.
record_manual() {
	python3 -c 'import json, re, sys
fields = json.load(open("etc/check-result.v1.schema.json", encoding="utf-8"))["properties"]
items = re.findall(r"^\.It Cm (.*)", open("src/webmond-records.7.in", encoding="utf-8").read(), re.M)
known = set(re.findall(r"[a-z0-9_]+", " ".join(items)))
words = [w for w in fields["error_type"]["enum"] if w is not None]
sys.exit(", ".join(n for n in [*fields, *words] if n not in known) or 0)'
}

schema() { python3 -c 'import json, sys; json.load(sys.stdin)' <etc/check-result.v1.schema.json; }

licence() {
	# shellcheck disable=SC2046 # names without blanks
	without=$(grep -L 'SPDX-License-Identifier: Apache-2.0' Makefile configure.ac autogen.sh .ci/run \
	    $(find src include tests etc -type f ! -name '*.json' ! -name '*.md' ! -name '*.svg' ! -name '*.png' ! -name '*.pyc' ! -path '*/corpus/*' ! -path 'tests/configs/*' \
		! -name config.mk.in ! -name webmond.conf.in \
		! -path 'etc/debian/copyright' ! -path 'etc/debian/changelog.in' ! -path 'etc/debian/source/*'))
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
    -DVERSION='""' -DRELEASE_DATE='""' -DSYSCONFDIR='""' -DLOCALSTATEDIR='""' -DRUNSTATEDIR='""' \
    '-DSTAILQ_FOREACH(item,list,link)=while ((item = (list)->stqh_first))' \
    '-DLIST_FOREACH(item,list,link)=while ((item = (list)->lh_first))' $sources
check 'each room uses what it may' rooms
check 'each library is known to its room' libraries
check 'no circle between files' no_circles
check 'files and functions are short' short_enough
check 'shellcheck' scripts
check 'the service is confined' confined
check 'python 3.9' python
check 'no test sleeps and hopes' no_sleep
check 'JSON schema is JSON' schema
check 'manual pages' mandoc -T lint -W warning "${builddir:?}/src/webmond.8" \
    "$builddir/src/webmond.conf.5" "$builddir/src/webmond-records.7" "$builddir/src/webmondctl.8"
check 'the manual has every field and word' record_manual
check 'licence in every file' licence

if [ "$findings" -ne 0 ]; then
	echo "lint: $findings failed"
	exit 1
fi
