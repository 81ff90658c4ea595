/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The text format of Prometheus. Of a site the names are those of blackbox_exporter, where they
 * mean the same. A site that is unknown has no probe_success: a failure here is none there. Called
 * by webmondctl and by the process that writes metrics_file; only running out of memory is fatal.
 */
#include "metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_internal.h"
#include "scan_object.h"
#include "util.h"

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
	SITE_ELSEWHERE,
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
	[SITE_ELSEWHERE] = NAME("elsewhere"),
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
	char url[2 * METRICS_TEXT_MAX], labels[2 * METRICS_TEXT_MAX], name[2 * METRICS_TEXT_MAX];
	struct metrics_site *site;

	if (!scan_object(member, members_of_site, MEMBERS_OF_SITE, line->text, line->size))
		return;
	if (member[SITE_ELSEWHERE].type == MEMBER_BOOLEAN && member[SITE_ELSEWHERE].at[0] == 't')
		return; /* the member of the group that checks it has its metrics */
	if (m->count == m->room) {
		m->room = m->room > 0 ? 2 * m->room : 64;
		m->site = xreallocarray(m->site, m->room, sizeof(*m->site));
	}
	site = &m->site[m->count++];
	metrics_label(line, "site", name);
	site->name = xstrdup(name);
	site->info = xasprintf("site=\"%s\",url=\"%s\",labels=\"%s\"", name,
	    metrics_label(line, "url", url), metrics_label(line, "labels", labels));
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
	metrics_value(f, value);
}

static void
print_sites(const struct metrics *m, FILE *f)
{
	static const char phase_metric[] = "probe_http_duration_seconds";
	char begin[96];

	metrics_head(
	    f, "webmond_site_info", "gauge", "What is checked, and its labels as in records.");
	for (size_t i = 0; i < m->count; i++)
		fprintf(f, "webmond_site_info{%s} 1\n", m->site[i].info);
	for (size_t k = 0; k < VALUES; k++) {
		metrics_head(f, families[k].metric, "gauge", families[k].help);
		snprintf(begin, sizeof(begin), "%s{", families[k].metric);
		for (size_t i = 0; i < m->count; i++)
			print_of_site(f, begin, &m->site[i], m->site[i].value[k]);
	}
	metrics_head(f, phase_metric, "gauge", "How long the phases of the last check took.");
	for (size_t k = 0; k < PHASES; k++) {
		snprintf(begin, sizeof(begin), "%s{phase=\"%s\",", phase_metric, phases[k].name);
		for (size_t i = 0; i < m->count; i++)
			print_of_site(f, begin, &m->site[i], m->site[i].phase[k]);
	}
}

/* --- all --------------------------------------------------------------------------------- */

void
metrics_print(const struct metrics *m, FILE *f)
{
	const struct line webmond = { m->webmond, m->webmond_size, m->now };
	const struct line status = { m->status, m->status_size, m->now };

	metrics_daemon(&webmond, &status, f);
	print_sites(m, f);
}
