/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The text format of Prometheus. Of a site the names are those of blackbox_exporter, where they mean
 * the same. A site that is unknown has no probe_success: a failure here is none there. Called by
 * webmondctl and by the process that writes metrics_file; only running out of memory is fatal.
 */
#include "metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scan_object.h"
#include "util.h"

/* Texts of a line, with escapes: each byte of them may need one. */
#define TEXT_MAX 1100

/* --- sites ------------------------------------------------------------------------------- */

/* In the order of the line, so that they are found quickly. */
enum member_of_site {
	SITE_NAME,
	SITE_STATUS,
	SITE_SINCE,
	SITE_STREAK,
	SITE_ERROR,
	SITE_SLOT,
	SITE_LATENESS,
	SITE_CODE,
	SITE_ELAPSED,
	SITE_DNS,
	SITE_CONNECT,
	SITE_TLS,
	SITE_WAIT,
	SITE_RECEIVE,
	SITE_INTERVAL,
	SITE_EXPIRY,
	MEMBERS_OF_SITE,
};

#define NAME(text)                                                                                 \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

static const struct member_name members_of_site[MEMBERS_OF_SITE] = {
	[SITE_NAME] = NAME("site"),
	[SITE_STATUS] = NAME("status"),
	[SITE_SINCE] = NAME("status_since"),
	[SITE_STREAK] = NAME("streak"),
	[SITE_ERROR] = NAME("error_type"),
	[SITE_SLOT] = NAME("scheduled_at"),
	[SITE_LATENESS] = NAME("lateness_ms"),
	[SITE_CODE] = NAME("http_status_code"),
	[SITE_ELAPSED] = NAME("elapsed_ms"),
	[SITE_DNS] = NAME("dns_ms"),
	[SITE_CONNECT] = NAME("connect_ms"),
	[SITE_TLS] = NAME("tls_ms"),
	[SITE_WAIT] = NAME("wait_ms"),
	[SITE_RECEIVE] = NAME("receive_ms"),
	[SITE_INTERVAL] = NAME("interval_s"),
	[SITE_EXPIRY] = NAME("chain_expires_at"),
};

enum value {
	VALUE_SUCCESS,
	VALUE_UNKNOWN,
	VALUE_STREAK,
	VALUE_SINCE,
	VALUE_SLOT,
	VALUE_INTERVAL,
	VALUE_LATENESS,
	VALUE_DURATION,
	VALUE_CODE,
	VALUE_REGEX,
	VALUE_DNS,
	VALUE_EXPIRY,
	VALUES, /* those of a metric of their own; then the phases */
};

static const struct family {
	const char *metric, *help;
} families[VALUES] = {
	[VALUE_SUCCESS] = { "probe_success",
	    "Whether the last check was up; no sample if that is unknown." },
	[VALUE_UNKNOWN] = { "webmond_site_unknown",
	    "Whether the last check says nothing about the site." },
	[VALUE_STREAK] = { "webmond_site_streak", "Results in a row with the same status." },
	[VALUE_SINCE] = { "webmond_site_status_since_timestamp_seconds",
	    "Slot of the first of them." },
	[VALUE_SLOT] = { "webmond_site_last_check_timestamp_seconds", "Slot of the last result." },
	[VALUE_INTERVAL] = { "webmond_site_interval_seconds", "The interval of the site." },
	[VALUE_LATENESS] = { "webmond_site_lateness_seconds",
	    "How long after its slot the last check began." },
	[VALUE_DURATION] = { "probe_duration_seconds", "How long the last check took." },
	[VALUE_CODE] = { "probe_http_status_code",
	    "Status code of the last response; 0 if there was none." },
	[VALUE_REGEX] = { "probe_failed_due_to_regex",
	    "Whether a pattern is why the last check was down." },
	[VALUE_DNS] = { "probe_dns_lookup_time_seconds",
	    "How long the name was looked up in the last check." },
	[VALUE_EXPIRY] = { "probe_ssl_earliest_cert_expiry",
	    "When the first certificate of the chain expires, in seconds since 1970." },
};

static const struct phase {
	const char *name;
	enum member_of_site member;
} phases[] = {
	{ "resolve", SITE_DNS },
	{ "connect", SITE_CONNECT },
	{ "tls", SITE_TLS },
	{ "processing", SITE_WAIT },
	{ "transfer", SITE_RECEIVE },
};

#define PHASES ARRAY_LENGTH(phases)

/* NAN: there is no sample. */
struct metrics_site {
	char *name, *info; /* the value of its label; all labels of webmond_site_info */
	double value[VALUES], phase[PHASES];
};

static double
number_of(const struct member *m)
{
	char digits[40] = "";

	if (m->type != MEMBER_NUMBER || m->size >= sizeof(digits))
		return NAN;
	memcpy(digits, m->at, m->size);
	return strtod(digits, NULL);
}

static double
time_of(const struct member *m)
{
	struct tm tm = { 0 };
	char text[40] = "";

	if (m->type != MEMBER_STRING || m->size >= sizeof(text))
		return NAN;
	memcpy(text, m->at, m->size);
	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) != NULL ? (double)timegm(&tm) : NAN;
}

static bool
is_word(const struct member *m, const char *word)
{
	return m->type == MEMBER_STRING && m->size == strlen(word) &&
	       memcmp(m->at, word, m->size) == 0;
}

/* The text of a member as the value of a label: quotes and backslashes are escaped. Returns `out`. */
static const char *
label_of(const struct line *line, const char *name, char out[2 * TEXT_MAX])
{
	char text[TEXT_MAX];
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

static void
set_values(struct metrics_site *site, const struct member m[MEMBERS_OF_SITE])
{
	const bool known = m[SITE_STATUS].type == MEMBER_STRING;
	const bool unknown = is_word(&m[SITE_STATUS], "unknown");
	double *value = site->value, code = number_of(&m[SITE_CODE]);
	const bool regex = is_word(&m[SITE_ERROR], "regex_mismatch") ||
			   is_word(&m[SITE_ERROR], "header_mismatch");

	value[VALUE_SUCCESS] = known && !unknown ? is_word(&m[SITE_STATUS], "up") : NAN;
	value[VALUE_UNKNOWN] = known ? unknown : NAN;
	value[VALUE_STREAK] = number_of(&m[SITE_STREAK]);
	value[VALUE_SINCE] = time_of(&m[SITE_SINCE]);
	value[VALUE_SLOT] = time_of(&m[SITE_SLOT]);
	value[VALUE_INTERVAL] = number_of(&m[SITE_INTERVAL]);
	value[VALUE_LATENESS] = number_of(&m[SITE_LATENESS]) / 1000;
	value[VALUE_DURATION] = number_of(&m[SITE_ELAPSED]) / 1000;
	value[VALUE_CODE] = known && !unknown && isnan(code) ? 0 : code;
	value[VALUE_REGEX] = known && !unknown ? regex : NAN;
	value[VALUE_DNS] = number_of(&m[SITE_DNS]) / 1000;
	value[VALUE_EXPIRY] = time_of(&m[SITE_EXPIRY]);
	for (size_t i = 0; i < PHASES; i++)
		site->phase[i] = number_of(&m[phases[i].member]) / 1000;
}

static void
add_site(struct metrics *m, const struct line *line)
{
	struct member member[MEMBERS_OF_SITE];
	char url[2 * TEXT_MAX], labels[2 * TEXT_MAX], name[2 * TEXT_MAX];
	struct metrics_site *site;

	if (!scan_object(member, members_of_site, MEMBERS_OF_SITE, line->text, line->size))
		return;
	if (m->count == m->room) {
		m->room = m->room > 0 ? 2 * m->room : 64;
		m->site = xreallocarray(m->site, m->room, sizeof(*m->site));
	}
	site = &m->site[m->count++];
	label_of(line, "site", name);
	site->name = xstrdup(name);
	site->info = xasprintf("site=\"%s\",url=\"%s\",labels=\"%s\"", name,
	    label_of(line, "url", url), label_of(line, "labels", labels));
	set_values(site, member);
}

static char *
copy_of(const struct line *line)
{
	char *copy = xcalloc(line->size + 1, 1);

	memcpy(copy, line->text, line->size);
	return copy;
}

void
metrics_add(struct metrics *m, const struct line *line)
{
	if (line_is(line, "site")) {
		add_site(m, line);
	} else if (line_is(line, "status") && m->status == NULL) {
		m->status = copy_of(line);
		m->status_size = line->size;
		m->now = line->now;
	} else if (line_is(line, "webmond") && m->webmond == NULL) {
		m->webmond = copy_of(line);
		m->webmond_size = line->size;
	}
}

void
metrics_free(struct metrics *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->site[i].name);
		free(m->site[i].info);
	}
	free(m->site);
	free(m->webmond);
	free(m->status);
	*m = (struct metrics){ 0 };
}

/* --- printing ---------------------------------------------------------------------------- */

static void
print_head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Numbers as they are: Prometheus reads floats. Most are whole, for which printf takes long. */
static void
print_value(FILE *f, double value)
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

static void
print_sample(FILE *f, const char *name, const char *labels, double value)
{
	if (isnan(value))
		return;
	fputs_unlocked(name, f);
	fputs_unlocked(labels, f);
	print_value(f, value);
}

/* With the label `site`, and what stands before it. */
static void
print_of_site(FILE *f, const char *begin, const struct metrics_site *site, double value)
{
	if (isnan(value))
		return;
	fputs_unlocked(begin, f);
	fputs_unlocked("site=\"", f);
	fputs_unlocked(site->name, f);
	fputs_unlocked("\"}", f);
	print_value(f, value);
}

static void
print_sites(const struct metrics *m, FILE *f)
{
	static const char phase_metric[] = "probe_http_duration_seconds";
	char begin[96];

	print_head(
	    f, "webmond_site_info", "gauge", "What is checked, and its labels as in records.");
	for (size_t i = 0; i < m->count; i++)
		fprintf(f, "webmond_site_info{%s} 1\n", m->site[i].info);
	for (size_t k = 0; k < VALUES; k++) {
		print_head(f, families[k].metric, "gauge", families[k].help);
		snprintf(begin, sizeof(begin), "%s{", families[k].metric);
		for (size_t i = 0; i < m->count; i++)
			print_of_site(f, begin, &m->site[i], m->site[i].value[k]);
	}
	print_head(f, phase_metric, "gauge", "How long the phases of the last check took.");
	for (size_t k = 0; k < PHASES; k++) {
		snprintf(begin, sizeof(begin), "%s{phase=\"%s\",", phase_metric, phases[k].name);
		for (size_t i = 0; i < m->count; i++)
			print_of_site(f, begin, &m->site[i], m->site[i].phase[k]);
	}
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
	char version[2 * TEXT_MAX], epoch[2 * TEXT_MAX], instance[2 * TEXT_MAX],
	    location[2 * TEXT_MAX];

	print_head(
	    f, "webmond_info", "gauge", "Version, epoch, instance and location, as in records.");
	fprintf(f,
	    "webmond_info{version=\"%s\",epoch=\"%s\",webmond_instance=\"%s\",location=\"%s\"} 1\n",
	    label_of(status, "version", version), label_of(status, "epoch", epoch),
	    label_of(webmond, "instance", instance), label_of(webmond, "location", location));
}

static void
print_states(const struct line *status, FILE *f)
{
	static const char *const states[] = { "up", "down", "unknown", "not_known" };
	char labels[64];

	print_head(f, "webmond_sites", "gauge", "Sites by the status of their last check.");
	for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
		snprintf(labels, sizeof(labels), "{status=\"%s\"}", states[i]);
		print_sample(f, "webmond_sites", labels, line_number(status, states[i]));
	}
}

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

static void
print_daemon(const struct line *status, FILE *f)
{
	char kafka[32];

	print_states(status, f);
	print_head(f, "webmond_start_time_seconds", "gauge",
	    "When the daemon started, in seconds since 1970.");
	print_sample(f, "webmond_start_time_seconds", "", (double)line_time(status, "started_at"));
	for (size_t i = 0; i < ARRAY_LENGTH(plain); i++) {
		print_head(f, plain[i].metric, plain[i].type, plain[i].help);
		print_sample(
		    f, plain[i].metric, "", line_number(status, plain[i].member) * plain[i].factor);
	}
	print_head(
	    f, "webmond_spool_oldest_age_seconds", "gauge", "Age of the oldest record that waits.");
	print_sample(f, "webmond_spool_oldest_age_seconds", "",
	    line_count(status, "spool_records") == 0 ? 0
						     : seconds_since(status, "spool_oldest_at"));
	if (line_text(status, "kafka", kafka, sizeof(kafka))[0] == '\0')
		return;
	print_head(f, "webmond_kafka_delivering", "gauge", "Whether Kafka takes records.");
	print_sample(f, "webmond_kafka_delivering", "", line_kafka_is_well(status));
}

void
metrics_print(const struct metrics *m, FILE *f)
{
	const struct line webmond = { m->webmond, m->webmond_size, m->now };
	const struct line status = { m->status, m->status_size, m->now };

	print_info(&webmond, &status, f);
	print_daemon(&status, f);
	print_sites(m, f);
}
