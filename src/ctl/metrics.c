/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * metrics: what the daemon knows, in the text format of Prometheus. Of a site the names are those of
 * blackbox_exporter, where they mean the same. A site that is unknown has no probe_success: a failure
 * here is none there.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "exit.h"
#include "client.h"
#include "util.h"

/* All lines of the answers: samples of one metric must stand together. */
struct lines {
	struct line *line;
	size_t count, room;
};

static void
keep_line(void *arg, const struct line *line)
{
	struct lines *lines = arg;
	char *copy;

	if (!line_is(line, "status") && !line_is(line, "site"))
		return;
	if (lines->count == lines->room) {
		lines->room = lines->room > 0 ? 2 * lines->room : 64;
		lines->line = xreallocarray(lines->line, lines->room, sizeof(*lines->line));
	}
	copy = xcalloc(line->size + 1, 1);
	memcpy(copy, line->text, line->size);
	lines->line[lines->count++] = (struct line){ copy, line->size, line->now };
}

static void
print_head(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Numbers as they are: Prometheus reads floats. */
static void
print_sample(const char *name, const char *labels, double value)
{
	if (!isnan(value))
		printf("%s%s %.15g\n", name, labels, value);
}

/* --- the daemon -------------------------------------------------------------------------- */

/* The value of a label: quotes and backslashes are escaped. */
static const char *
escape(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; *text != '\0' && n + 3 < size; text++) {
		if (*text == '"' || *text == '\\')
			out[n++] = '\\';
		out[n++] = *text;
	}
	out[n] = '\0';
	return out;
}

static double
seconds_since(const struct line *line, const char *name)
{
	time_t since = line_time(line, name);

	if (since == 0)
		return NAN;
	return line->now > since ? difftime(line->now, since) : 0;
}

static void
print_info(const struct line *line)
{
	char version[64], epoch[64], text[256];

	print_head("webmond_info", "gauge", "Version and epoch of the daemon.");
	line_text(line, "epoch", text, sizeof(text));
	escape(text, epoch, sizeof(epoch));
	escape(VERSION, version, sizeof(version));
	printf("webmond_info{version=\"%s\",epoch=\"%s\"} 1\n", version, epoch);
}

static void
print_status(const struct line *line)
{
	static const char *const states[] = { "up", "down", "unknown", "not_known" };
	static const struct {
		const char *metric, *type, *member, *help;
		double factor;
	} plain[] = {
		{ "webmond_lateness_median_seconds", "gauge", "lateness_p50_ms",
		    "How late checks began in the last minutes: half of them at most.", 0.001 },
		{ "webmond_lateness_p99_seconds", "gauge", "lateness_p99_ms",
		    "Likewise, 99 % of them at most.", 0.001 },
		{ "webmond_checks_total", "counter", "checks", "Slots that have ended.", 1 },
		{ "webmond_checkers_busy", "gauge", "checkers_busy", "Checkers that check.", 1 },
		{ "webmond_checkers", "gauge", "checkers", "Checkers that there are.", 1 },
		{ "webmond_checkers_max", "gauge", "checkers_max", "workers.max.", 1 },
		{ "webmond_spool_records", "gauge", "spool_records",
		    "Records that Kafka has not confirmed.", 1 },
		{ "webmond_spool_bytes", "gauge", "spool_bytes", "Size of the spool.", 1 },
		{ "webmond_spool_max_bytes", "gauge", "spool_max_bytes", "spool.max_mb.", 1 },
		{ "webmond_records_delivered_total", "counter", "delivered",
		    "Records that Kafka has confirmed, since the publisher started.", 1 },
		{ "webmond_records_dropped_total", "counter", "dropped",
		    "Records dropped for want of room, since the publisher started.", 1 },
		{ "webmond_dead_letters", "gauge", "dead_letters",
		    "Records that Kafka has refused for good.", 1 },
	};
	char labels[64], kafka[32];

	print_info(line);
	print_head("webmond_sites", "gauge", "Sites by the status of their last check.");
	for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
		snprintf(labels, sizeof(labels), "{status=\"%s\"}", states[i]);
		print_sample("webmond_sites", labels, line_number(line, states[i]));
	}
	print_head("webmond_start_time_seconds", "gauge", "When the daemon started.");
	print_sample("webmond_start_time_seconds", "", (double)line_time(line, "started_at"));
	for (size_t i = 0; i < ARRAY_LENGTH(plain); i++) {
		print_head(plain[i].metric, plain[i].type, plain[i].help);
		print_sample(
		    plain[i].metric, "", line_number(line, plain[i].member) * plain[i].factor);
	}
	print_head(
	    "webmond_spool_oldest_age_seconds", "gauge", "Age of the oldest record that waits.");
	print_sample("webmond_spool_oldest_age_seconds", "",
	    line_count(line, "spool_records") == 0 ? 0 : seconds_since(line, "spool_oldest_at"));
	if (line_text(line, "kafka", kafka, sizeof(kafka))[0] == '\0')
		return;
	print_head("webmond_kafka_delivering", "gauge", "Whether Kafka takes records.");
	print_sample("webmond_kafka_delivering", "",
	    strcmp(kafka, "delivering") == 0 || strcmp(kafka, "nothing yet") == 0);
}

/* --- sites ------------------------------------------------------------------------------- */

enum source {
	FROM_NUMBER,  /* the member, times `factor` */
	FROM_TIME,    /* the member, as seconds since 1970 */
	FROM_STATUS,  /* whether it is up; nothing, if that is unknown */
	FROM_UNKNOWN, /* whether it is that */
};

static const struct family {
	const char *metric, *help;
	const char *member;
	double factor;
	enum source source;
} families[] = {
	{ "probe_success", "Whether the last check was up; none, if that is unknown.", "status", 1,
	    FROM_STATUS },
	{ "webmond_site_unknown", "Whether the last check says nothing about the site.", "status",
	    1, FROM_UNKNOWN },
	{ "webmond_site_streak", "Results in a row with the same status.", "streak", 1,
	    FROM_NUMBER },
	{ "webmond_site_status_since_timestamp_seconds", "Slot of the first of them.",
	    "status_since", 1, FROM_TIME },
	{ "webmond_site_last_check_timestamp_seconds", "Slot of the last result.", "scheduled_at",
	    1, FROM_TIME },
	{ "webmond_site_interval_seconds", "The interval of the site.", "interval_s", 1,
	    FROM_NUMBER },
	{ "probe_duration_seconds", "How long the last check took.", "elapsed_ms", 0.001,
	    FROM_NUMBER },
	{ "probe_http_status_code", "Of the last response.", "http_status_code", 1, FROM_NUMBER },
	{ "probe_dns_lookup_time_seconds", "Of the last check.", "dns_ms", 0.001, FROM_NUMBER },
	{ "probe_ssl_earliest_cert_expiry",
	    "The end of the first certificate of the chain to expire.", "chain_expires_at", 1,
	    FROM_TIME },
};

static double
value_of(const struct family *f, const struct line *line)
{
	char status[16];
	time_t at;

	switch (f->source) {
	case FROM_NUMBER:
		return line_number(line, f->member) * f->factor;
	case FROM_TIME:
		at = line_time(line, f->member);
		return at != 0 ? (double)at : NAN;
	case FROM_STATUS:
	case FROM_UNKNOWN:
		break;
	}
	if (line_text(line, f->member, status, sizeof(status))[0] == '\0')
		return NAN;
	if (f->source == FROM_UNKNOWN)
		return strcmp(status, "unknown") == 0;
	return strcmp(status, "unknown") == 0 ? NAN : strcmp(status, "up") == 0;
}

/* Names of sites need no escapes. */
static void
print_family(const struct lines *lines, const struct family *f)
{
	char name[80], labels[128];

	print_head(f->metric, "gauge", f->help);
	for (size_t i = 0; i < lines->count; i++) {
		if (!line_is(&lines->line[i], "site"))
			continue;
		snprintf(labels, sizeof(labels), "{site=\"%s\"}",
		    line_text(&lines->line[i], "site", name, sizeof(name)));
		print_sample(f->metric, labels, value_of(f, &lines->line[i]));
	}
}

static void
print_phases(const struct lines *lines)
{
	static const struct {
		const char *name, *member;
	} phases[] = { { "resolve", "dns_ms" }, { "connect", "connect_ms" }, { "tls", "tls_ms" },
		{ "processing", "wait_ms" }, { "transfer", "receive_ms" } };
	char name[80], labels[128];

	print_head("probe_http_duration_seconds", "gauge", "The phases of the last check.");
	for (size_t i = 0; i < lines->count; i++) {
		for (size_t k = 0; k < ARRAY_LENGTH(phases) && line_is(&lines->line[i], "site");
		     k++) {
			snprintf(labels, sizeof(labels), "{phase=\"%s\",site=\"%s\"}",
			    phases[k].name, line_text(&lines->line[i], "site", name, sizeof(name)));
			print_sample("probe_http_duration_seconds", labels,
			    line_number(&lines->line[i], phases[k].member) / 1000);
		}
	}
}

int
command_metrics(int argc, char **argv)
{
	static const struct usage usage = { .arguments = "metrics [--json]",
		.purpose = "Print what the daemon knows in the text format of Prometheus, for the "
			   "textfile collector of\nnode_exporter.\n" };
	struct options o;
	static struct lines lines; /* they live as long as we */
	int code = options_read(&o, argc, argv, &usage);

	if (code >= 0)
		return code;
	code = client_ask(&o, "status", keep_line, &lines);
	if (code == EXIT_FINE)
		code = client_ask(&o, "sites", keep_line, &lines);
	if (code != EXIT_FINE || o.json)
		return code;
	print_status(&lines.line[0]);
	for (size_t i = 0; i < ARRAY_LENGTH(families); i++)
		print_family(&lines, &families[i]);
	print_phases(&lines);
	return fflush(stdout) == 0 ? EXIT_FINE : EXIT_OS;
}
