/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The metrics of the daemon itself, and what all metrics are written with. Called by metrics.c;
 * only prints.
 */
#include <math.h>

#include "metrics_internal.h"
#include "util.h"

/* --- writing ----------------------------------------------------------------------------- */

const char *
metrics_label(const struct line *line, const char *name, char out[2 * METRICS_TEXT_MAX])
{
	char text[METRICS_TEXT_MAX];
	size_t n = 0;

	line_text(line, name, text, sizeof(text));
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			out[n++] = '\\';
		out[n++] = *c;
	}
	out[n] = '\0';
	return out;
}

void
metrics_head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Numbers as they are: Prometheus reads floats. Most are whole, for which printf takes long. */
void
metrics_value(FILE *f, double value)
{
	char digits[24];
	size_t i = sizeof(digits);
	uint64_t n;

	if (!(value >= 0 && value < 1e15) || floor(value) != value) {
		fprintf(f, " %.10g\n", value);
		return;
	}
	digits[--i] = '\n';
	n = (uint64_t)value;
	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	digits[--i] = ' ';
	fwrite_unlocked(digits + i, 1, sizeof(digits) - i, f);
}

void
metrics_sample(FILE *f, const char *name, const char *labels, double value)
{
	if (isnan(value))
		return;
	fputs_unlocked(name, f);
	fputs_unlocked(labels, f);
	metrics_value(f, value);
}

/* --- the daemon -------------------------------------------------------------------------- */

static double
seconds_since(const struct line *line, const char *name)
{
	time_t since = line_time(line, name);

	if (since == 0)
		return NAN;
	return line->now > since ? difftime(line->now, since) : 0;
}

/* Not "instance": that is a label of Prometheus itself. */
static void
print_info(const struct line *webmond, const struct line *status, FILE *f)
{
	char version[2 * METRICS_TEXT_MAX], epoch[2 * METRICS_TEXT_MAX],
	    instance[2 * METRICS_TEXT_MAX], location[2 * METRICS_TEXT_MAX];

	metrics_head(
	    f, "webmond_info", "gauge", "Version, epoch, instance and location, as in records.");
	fprintf(f,
	    "webmond_info{version=\"%s\",epoch=\"%s\",webmond_instance=\"%s\",location=\"%s\"} 1\n",
	    metrics_label(status, "version", version), metrics_label(status, "epoch", epoch),
	    metrics_label(webmond, "instance", instance),
	    metrics_label(webmond, "location", location));
}

static void
print_states(const struct line *status, FILE *f)
{
	static const char *const states[] = { "up", "down", "unknown", "not_known", "elsewhere" };
	char labels[64];

	metrics_head(f, "webmond_sites", "gauge", "Sites by the status of their last check.");
	for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
		snprintf(labels, sizeof(labels), "{status=\"%s\"}", states[i]);
		metrics_sample(f, "webmond_sites", labels, line_number(status, states[i]));
	}
}

static const struct plain {
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
}, of_group[] = {
	{ "webmond_group_shards", "gauge", "shards", "Shards of the group that are ours.", 1 },
	{ "webmond_group_shards_total", "gauge", "shards_total", "Shards that there are.", 1 },
	{ "webmond_group_lease_seconds", "gauge", "lease_s",
	    "How long checks may still begin; 0: none begins.", 1 },
	{ "webmond_group_takeovers_total", "counter", "takeovers",
	    "Shards that were taken, since the daemon started.", 1 },
	{ "webmond_group_missed_total", "counter", "missed_takeover",
	    "Slots at which no member had the shard.", 1 },
};

static void
print_plain(const struct line *status, const struct plain *row, FILE *f)
{
	metrics_head(f, row->metric, row->type, row->help);
	metrics_sample(f, row->metric, "", line_number(status, row->member) * row->factor);
}

/* Without a group there is none of it. */
static void
print_group(const struct line *status, FILE *f)
{
	char group[80];

	if (line_text(status, "group", group, sizeof(group))[0] == '\0')
		return;
	for (size_t i = 0; i < ARRAY_LENGTH(of_group); i++)
		print_plain(status, &of_group[i], f);
	metrics_head(f, "webmond_group_alone", "gauge", "Whether checks go on without the group.");
	metrics_sample(f, "webmond_group_alone", "", line_true(status, "alone"));
}

static void
print_daemon(const struct line *status, FILE *f)
{
	char kafka[32];

	print_states(status, f);
	metrics_head(f, "webmond_start_time_seconds", "gauge",
	    "When the daemon started, in seconds since 1970.");
	metrics_sample(
	    f, "webmond_start_time_seconds", "", (double)line_time(status, "started_at"));
	for (size_t i = 0; i < ARRAY_LENGTH(plain); i++)
		print_plain(status, &plain[i], f);
	print_group(status, f);
	metrics_head(
	    f, "webmond_spool_oldest_age_seconds", "gauge", "Age of the oldest record that waits.");
	metrics_sample(f, "webmond_spool_oldest_age_seconds", "",
	    line_count(status, "spool_records") == 0 ? 0
						     : seconds_since(status, "spool_oldest_at"));
	if (line_text(status, "kafka", kafka, sizeof(kafka))[0] == '\0')
		return;
	metrics_head(f, "webmond_kafka_delivering", "gauge", "Whether Kafka takes records.");
	metrics_sample(f, "webmond_kafka_delivering", "", line_kafka_is_well(status));
}

void
metrics_daemon(const struct line *webmond, const struct line *status, FILE *f)
{
	print_info(webmond, status, f);
	print_daemon(status, f);
}
