/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Lines of answers for people. Called by the commands; only prints.
 */
#include "show.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

#define TEXT_SIZE 1200

/* "for 3 h 5 min", or nothing. */
static void
print_since(const struct line *line, const char *name)
{
	char when[64], span[DURATION_SIZE];
	time_t since = line_time(line, name);

	if (since != 0)
		printf(" since %s (%s)", line_text(line, name, when, sizeof(when)),
		    describe_span(difftime(line->now, since), span));
}

/* A number that is not known is "-". */
static void
print_number(double number, const char *unit)
{
	if (isnan(number))
		printf("-");
	else
		printf("%.*f%s", number < 10 ? 1 : 0, number, unit);
}

static void
show_kafka(const struct line *line)
{
	char text[TEXT_SIZE], when[64];

	if (line_text(line, "topic", text, sizeof(text))[0] == '\0') {
		printf("records    %s\n",
		    strcmp(line_text(line, "output", text, sizeof(text)), "stdout") == 0
			? "go to standard output"
			: "are not sent");
		return;
	}
	printf("Kafka      topic \"%s\": ", text);
	printf("%s", line_text(line, "kafka", text, sizeof(text)));
	print_since(line, "kafka_since");
	if (line_text(line, "kafka_error", text, sizeof(text))[0] != '\0')
		printf("\n           last trouble at %s: %s",
		    line_text(line, "kafka_error_at", when, sizeof(when)), text);
	putchar('\n');
}

static void
show_spool(const struct line *line)
{
	time_t oldest = line_time(line, "spool_oldest_at");
	uint64_t waiting = line_count(line, "spool_records");
	double max = line_number(line, "spool_max_bytes"),
	       empty = line_number(line, "spool_empty_in_s");
	char span[DURATION_SIZE];

	printf(
	    "spool      %llu record%s waiting", (unsigned long long)waiting, util_plural(waiting));
	if (oldest != 0)
		printf(", the oldest for %s", describe_span(difftime(line->now, oldest), span));
	if (!isnan(max))
		printf(
		    "; %.1f of %.0f MB", line_number(line, "spool_bytes") / 1048576, max / 1048576);
	printf("\n           delivered: ");
	print_number(line_number(line, "delivered_per_s"), "/s");
	if (!isnan(empty))
		printf("; empty in %s", describe_span(empty, span));
	printf("\nlost       %llu dropped for want of room, %llu dead letter%s\n",
	    (unsigned long long)line_count(line, "dropped"),
	    (unsigned long long)line_count(line, "dead_letters"),
	    util_plural(line_count(line, "dead_letters")));
}

/* A member of a group: the shards that it checks. */
static void
show_group(const struct line *line)
{
	uint64_t elsewhere = line_count(line, "elsewhere"), taken = line_count(line, "takeovers"),
		 missed = line_count(line, "missed_takeover");
	char text[TEXT_SIZE];

	if (line_text(line, "group", text, sizeof(text))[0] == '\0')
		return;
	printf("group      %s: ", text);
	printf(
	    "%s\n           %llu site%s elsewhere; %llu shard%s taken over, %llu slot%s missed\n",
	    line_text(line, "group_state", text, sizeof(text)), (unsigned long long)elsewhere,
	    util_plural(elsewhere), (unsigned long long)taken, util_plural(taken),
	    (unsigned long long)missed, util_plural(missed));
}

void
show_status(const struct line *line)
{
	char text[TEXT_SIZE], span[DURATION_SIZE];

	printf("webmond    %s", line_text(line, "stage", text, sizeof(text)));
	printf(" for %s, PID %llu, version %s\n",
	    describe_span(line_number(line, "uptime_s"), span),
	    (unsigned long long)line_count(line, "pid"),
	    line_text(line, "version", text, sizeof(text)));
	printf("epoch      %s\n", line_text(line, "epoch", text, sizeof(text)));
	printf("config     %s\n", line_text(line, "config", text, sizeof(text)));
	printf("sites      %llu: %llu up, %llu down, %llu unknown, %llu not known yet\n",
	    (unsigned long long)line_count(line, "sites"),
	    (unsigned long long)line_count(line, "up"),
	    (unsigned long long)line_count(line, "down"),
	    (unsigned long long)line_count(line, "unknown"),
	    (unsigned long long)line_count(line, "not_known"));
	show_group(line);
	printf("checks     ");
	print_number(line_number(line, "checks_per_s"), "/s");
	printf("; late by ");
	print_number(line_number(line, "lateness_p50_ms"), " ms (median), ");
	print_number(line_number(line, "lateness_p99_ms"), " ms (99 %)\n");
	printf("checkers   %llu busy of %llu, at most %llu; %llu checks queued\n",
	    (unsigned long long)line_count(line, "checkers_busy"),
	    (unsigned long long)line_count(line, "checkers"),
	    (unsigned long long)line_count(line, "checkers_max"),
	    (unsigned long long)line_count(line, "checks_queued"));
	show_kafka(line);
	show_spool(line);
}

void
show_status_briefly(const struct line *line)
{
	char when[64], kafka[64], group[128];
	time_t now = line->now;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	line_text(line, "kafka", kafka, sizeof(kafka));
	line_text(line, "group_state", group, sizeof(group));
	printf("%s %llu up, %llu down, %llu unknown, %llu not known yet%s%s; %llu record%s "
	       "waiting%s%s\n",
	    when, (unsigned long long)line_count(line, "up"),
	    (unsigned long long)line_count(line, "down"),
	    (unsigned long long)line_count(line, "unknown"),
	    (unsigned long long)line_count(line, "not_known"), group[0] != '\0' ? "; " : "", group,
	    (unsigned long long)line_count(line, "spool_records"),
	    util_plural(line_count(line, "spool_records")), kafka[0] != '\0' ? "; " : "", kafka);
}

bool
status_is_good(const struct line *line)
{
	return line_kafka_is_well(line) && line_count(line, "dropped") == 0 &&
	       line_count(line, "dead_letters") == 0;
}

/* --- sites ------------------------------------------------------------------------------- */

void
show_sites_head(void)
{
	printf("%-24s %-8s %-14s %6s %4s %9s  %s\n", "SITE", "STATUS", "FOR", "STREAK", "CODE",
	    "MS", "WHY");
}

void
show_site(const struct line *line)
{
	char name[80], status[16], code[16] = "-", ms[32] = "-", span[DURATION_SIZE] = "-";
	char word[40], why[TEXT_SIZE];
	time_t since = line_time(line, "status_since");
	double elapsed = line_number(line, "elapsed_ms");

	line_text(line, "site", name, sizeof(name));
	if (line_text(line, "status", status, sizeof(status))[0] == '\0')
		snprintf(status, sizeof(status), "-");
	if (since != 0)
		describe_span(difftime(line->now, since), span);
	if (line_count(line, "http_status_code") > 0)
		snprintf(code, sizeof(code), "%llu",
		    (unsigned long long)line_count(line, "http_status_code"));
	if (!isnan(elapsed))
		snprintf(ms, sizeof(ms), "%.1f", elapsed);
	line_text(line, "error_type", word, sizeof(word));
	line_text(line, "error_message", why, sizeof(why));
	if (line_true(line, "elsewhere")) {
		snprintf(word, sizeof(word), "elsewhere");
		snprintf(why, sizeof(why), "another member of the group checks it");
	}
	printf("%-24s %-8s %-14s %6llu %4s %9s  %s%s%s%s\n", name, status, span,
	    (unsigned long long)line_count(line, "streak"), code, ms, word,
	    why[0] != '\0' ? ": " : "", why,
	    line_true(line, "quarantined") ? " (quarantined)" : "");
}
