#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Run tests and add up their results (make check):
#
#   tests/check.sh 'UNIT-TEST…' 'SCENARIO-COMMAND'
#
# The last line is "N passed, N failed, N skipped"; the exit status is 0 if nothing failed and
# something passed. Environment: builddir, for logs.

UNIT_TIMEOUT_S=300
UNIT_JOBS=$((8 * $(nproc)))

passed=0 failed=0 skipped=0
logs=${builddir:?}/logs
rm -rf "$logs"
mkdir -p "$logs/sanitizers" || exit
chmod 1777 "$logs/sanitizers" # the daemon's users write there too

# A child that dies by a sanitizer may have no standard error any more: it writes to a file.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$logs/sanitizers/report"
export LSAN_OPTIONS="${LSAN_OPTIONS:+$LSAN_OPTIONS:}print_suppressions=0"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}print_stacktrace=1:log_path=$logs/sanitizers/report"
export CK_DEFAULT_TIMEOUT="${CK_DEFAULT_TIMEOUT:-60}" # a busy machine is no failure

# units PROGRAM…: several at a time, since most of what they do is wait; each has a log of its own
units() {
	# shellcheck disable=SC2016 # the inner shell expands them
	printf '%s\n' "$@" | xargs -P "$UNIT_JOBS" -n 1 sh -c '
		timeout -k 5 "$0" "$2" >"$1/${2##*/}" 2>&1
		echo $? >"$1/${2##*/}.status"
	' "$UNIT_TIMEOUT_S" "$logs"
	for program in "$@"; do
		report "${program##*/}"
	done
}

# report NAME: of a unit test; its libcheck says "100%: Checks: 12, Failures: 0, Errors: 0"
report() {
	name=$1
	status=$(cat "$logs/$name.status")
	counts=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' \
	    "$logs/$name" | tail -n 1)
	# shellcheck disable=SC2086 # three numbers
	set -- ${counts:-0 0 0}
	bad=$(($2 + $3))
	good=$(($1 - bad))
	if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
		echo "$name ended with status $status" >>"$logs/$name"
		bad=1 # it died, or ran out of time
	elif [ "$1" -eq 0 ]; then
		echo "$name ran no test" >>"$logs/$name"
		bad=1
	fi
	passed=$((passed + good))
	failed=$((failed + bad))
	if [ "$bad" -eq 0 ]; then
		echo "PASS $name: $good"
	else
		cat "$logs/$name"
		echo "FAIL $name: $bad of $((good + bad))"
	fi
}

# scenarios COMMAND…: shows what it prints; its last line with totals counts
scenarios() {
	{
		"$@" 2>&1
		echo $? >"$logs/status"
	} | tee "$logs/scenarios"
	status=$(cat "$logs/status")
	counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' \
	    "$logs/scenarios" | tail -n 1)
	# shellcheck disable=SC2086 # three numbers
	set -- ${counts:-0 0 0}
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
	if [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then
		echo "FAIL scenarios ended with status $status"
		failed=$((failed + 1))
	fi
}

# shellcheck disable=SC2086 # several programs; a command and its options
[ -z "$1" ] || units $1
# shellcheck disable=SC2086
[ -z "$2" ] || scenarios $2

for report in "$logs"/sanitizers/*; do
	[ -e "$report" ] || continue
	cat "$report"
	echo "FAIL sanitizer: $report"
	failed=$((failed + 1))
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
