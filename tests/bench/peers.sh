#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# Get the programs that `make bench` compares webmond with (make bench PEERS=1): from Debian, from
# the Go module proxy and from PyPI, in fixed versions, into a cache. Nothing is installed, no
# service is started. What cannot be had is named, and the report names it again.

TELEGRAF=v1.37.2
AIOHTTP='aiohttp==3.13.2 confluent-kafka==2.12.2'

cache=${XDG_CACHE_HOME:-$HOME/.cache}/webmond-tests/peers
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$cache/bin" || exit

# get NAME FILE COMMAND…: unless there is FILE, run COMMAND, which makes it
get() {
	name=$1 file=$2
	shift 2
	if [ -e "$file" ]; then
		echo "$name: there"
	elif "$@" >"$work/log" 2>&1 && [ -e "$file" ]; then
		echo "$name: fetched"
	else
		echo "$name: cannot be had: $(grep . "$work/log" | tail -n 1)"
	fi
}

debian() {
	cd "$work" && apt-get -o APT::Sandbox::User=root download "$1" &&
	    dpkg-deb -x "$1"_*.deb "$cache/debian"
}

telegraf() {
	GOBIN=$cache/bin nice go install -trimpath \
	    -tags custom,inputs.http_response,outputs.kafka,serializers.json \
	    "github.com/influxdata/telegraf/cmd/telegraf@$TELEGRAF"
}

otelcol() {
	cp -r "$here/peers/otelcol" "$work/otelcol" && cd "$work/otelcol" &&
	    nice go build -mod=mod -trimpath -o "$cache/bin/otelcol" .
}

aiohttp() {
	# shellcheck disable=SC2086 # a list
	python3 -m venv "$cache/aiohttp" && "$cache/aiohttp/bin/pip" install --only-binary :all: $AIOHTTP &&
	    touch "$cache/aiohttp/complete"
}

get blackbox_exporter "$cache/debian/usr/bin/prometheus-blackbox-exporter" \
    debian prometheus-blackbox-exporter
get collectd "$cache/debian/usr/sbin/collectd" debian collectd-core
get check_http "$cache/debian/usr/lib/nagios/plugins/check_http" debian monitoring-plugins-basic
get Telegraf "$cache/bin/telegraf" telegraf
get 'OpenTelemetry collector' "$cache/bin/otelcol" otelcol
get 'aiohttp, confluent-kafka' "$cache/aiohttp/complete" aiohttp
