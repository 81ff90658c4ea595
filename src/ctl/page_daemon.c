/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The daemon's own state on a page: what `status` says, but for its PID and its files, since others
 * may read the page. Called by page_write.c; only writes.
 */
#include <inttypes.h>
#include <math.h>

#include "page.h"
#include "util.h"

#define TEXT_SIZE 1200

/* A term and the beginning of its description; `wrong`: it needs attention. */
static void
begin(FILE *out, const char *term, bool wrong)
{
	fprintf(out, "<div%s><dt>%s%s</dt><dd>", wrong ? " class=\"wrong\"" : "",
	    wrong ? "\xe2\x9a\xa0 " : "", term);
}

static void
end(FILE *out)
{
	fputs("</dd></div>\n", out);
}

static void
write_member(FILE *out, const struct line *line, const char *name)
{
	char text[TEXT_SIZE];

	page_text(out, line_text(line, name, text, sizeof(text)));
}

static void
write_number(FILE *out, double number, const char *unit)
{
	if (isnan(number))
		fputs("not known yet", out);
	else
		fprintf(out, "%.*f%s", number < 10 ? 1 : 0, number, unit);
}

static void
write_checks(FILE *out, const struct line *line)
{
	begin(out, "Checks", false);
	write_number(out, line_number(line, "checks_per_s"), " per second");
	end(out);
	begin(out, "Late by", false);
	write_number(out, line_number(line, "lateness_p50_ms"), " ms (median)");
	fputs(", ", out);
	write_number(out, line_number(line, "lateness_p99_ms"), " ms (99 %)");
	end(out);
	begin(out, "Checkers", false);
	fprintf(out,
	    "%" PRIu64 " busy of %" PRIu64 ", at most %" PRIu64 "; %" PRIu64 " checks queued",
	    line_count(line, "checkers_busy"), line_count(line, "checkers"),
	    line_count(line, "checkers_max"), line_count(line, "checks_queued"));
	end(out);
}

static void
write_group(FILE *out, const struct line *line)
{
	const uint64_t elsewhere = line_count(line, "elsewhere");
	char group[80];

	if (line_text(line, "group", group, sizeof(group))[0] == '\0')
		return;
	begin(out, "Group", !line_group_is_well(line));
	page_text(out, group);
	fputs(": ", out);
	write_member(out, line, "group_state");
	fprintf(out, "; %" PRIu64 " site%s elsewhere", elsewhere, util_plural(elsewhere));
	end(out);
}

static void
write_kafka(FILE *out, const struct line *line)
{
	char state[64], trouble[TEXT_SIZE];
	time_t since = line_time(line, "kafka_since"), at = line_time(line, "kafka_error_at");

	line_text(line, "kafka", state, sizeof(state));
	if (state[0] == '\0')
		return;
	begin(out, "Kafka", !line_kafka_is_well(line));
	page_text(out, state);
	if (since != 0) {
		fputs(" since ", out);
		page_time(out, since, line->now);
	}
	fputs("; topic ", out);
	write_member(out, line, "topic");
	if (line_text(line, "kafka_error", trouble, sizeof(trouble))[0] != '\0') {
		fputs("<span class=\"why\">last trouble at ", out);
		page_time(out, at, line->now);
		fputs(": ", out);
		page_text(out, trouble);
		fputs("</span>", out);
	}
	end(out);
}

static void
write_spool(FILE *out, const struct line *line)
{
	const uint64_t waiting = line_count(line, "spool_records");
	const uint64_t dropped = line_count(line, "dropped"),
		       dead = line_count(line, "dead_letters");
	const time_t oldest = line_time(line, "spool_oldest_at");
	const double max = line_number(line, "spool_max_bytes");
	char span[DURATION_SIZE];

	begin(out, "Spool", false);
	fprintf(out, "%" PRIu64 " record%s waiting", waiting, util_plural(waiting));
	if (oldest != 0 && waiting > 0)
		fprintf(
		    out, ", the oldest for %s", describe_span(difftime(line->now, oldest), span));
	if (!isnan(max))
		fprintf(out, "; %.1f of %.0f MB", line_number(line, "spool_bytes") / 1048576,
		    max / 1048576);
	end(out);
	begin(out, "Lost", dropped > 0 || dead > 0);
	fprintf(out, "%" PRIu64 " dropped for want of room, %" PRIu64 " dead letter%s", dropped,
	    dead, util_plural(dead));
	end(out);
}

void
page_daemon(FILE *out, const struct line *line)
{
	char span[DURATION_SIZE];

	fputs("<section>\n<h2>webmond itself</h2>\n<dl>\n", out);
	begin(out, "Daemon", false);
	write_member(out, line, "stage");
	fprintf(out, " for %s; version ", describe_span(line_number(line, "uptime_s"), span));
	write_member(out, line, "version");
	end(out);
	write_checks(out, line);
	write_group(out, line);
	write_kafka(out, line);
	write_spool(out, line);
	begin(out, "Epoch", false);
	write_member(out, line, "epoch");
	end(out);
	fputs("</dl>\n</section>\n", out);
}
