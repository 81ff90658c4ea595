/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The status: one line for systemd, every few seconds; for USR1 the same line in the log, and the
 * sites that are not up. Nothing is fatal.
 */
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "log.h"
#include "state.h"

#define STATUS_EVERY_US (5 * US_PER_S)

/* How many sites that are not up are named in the log. */
#define NAMES_MAX 100

struct supervisor_status
status_now(const struct supervisor *s)
{
	struct supervisor_status status = { .stage = s->stage,
		.sites = s->sites.count,
		.checkers_busy = s->pool.busy,
		.checkers_max = s->pool.max,
		.output = s->start->output,
		.publisher_up = s->publisher.child.pid > 0 && s->publisher.report.ready,
		.report = s->publisher.report,
		.in_group = in_group(s),
		.shards = shards_ours(s),
		.shards_total = s->shards.total,
		.lease_us = shards_lease_us(s),
		.alone = s->shards.lease.alone };

	for (size_t i = 0; i < s->sites.count; i++) {
		const struct site_state *state = s->sites.all[i];

		if (site_is_elsewhere(s, state))
			status.elsewhere++;
		else if (!state->known)
			status.not_known++;
		else
			status.with[state->status]++;
	}
	return status;
}

static const char *
describe_stage(enum stage stage)
{
	switch (stage) {
	case STAGE_STARTING:
		return "starting; ";
	case STAGE_STOPPING:
		return "stopping, running checks end; ";
	case STAGE_DRAINING:
	case STAGE_OVER:
		return "stopping, what is stored is sent; ";
	case STAGE_RUNNING:
		break;
	}
	return "";
}

/* What happens to the records. */
static void
describe_output(
    const struct supervisor_status *status, bool publisher_hangs, char *buffer, size_t size)
{
	const struct message_report *report = &status->report;
	const char *word = "Kafka does not take records";
	int n;

	if (status->output != PUBLISH_TO_KAFKA) {
		snprintf(buffer, size, "%s",
		    status->output == PUBLISH_TO_STDOUT ? "records go to standard output"
							: "no records are sent");
		return;
	}
	if (!status->publisher_up)
		word = "the publisher is starting";
	else if (publisher_hangs)
		word = "the publisher hangs";
	else if (report->delivering)
		word = "delivering";
	else if (report->queued == 0 && report->delivered == 0)
		word = "nothing to deliver yet";
	n = snprintf(buffer, size, "%s, %llu record%s waiting", word,
	    (unsigned long long)report->queued, util_plural(report->queued));
	if (report->dead > 0)
		snprintf(buffer + n, size - (size_t)n, ", %llu dead letter%s",
		    (unsigned long long)report->dead, util_plural(report->dead));
}

const char *
status_of_group(const struct supervisor_status *status, char *buffer, size_t size)
{
	char lease[64] = "no lease: nothing is checked";

	if (!status->in_group)
		return NULL;
	if (status->lease_us > 0)
		snprintf(lease, sizeof(lease), "lease %lld s%s",
		    (long long)(status->lease_us / US_PER_S),
		    status->alone ? ", alone: the group cannot be reached" : "");
	snprintf(buffer, size, "%u of %u shards, %s", status->shards, status->shards_total, lease);
	return buffer;
}

const char *
status_line(const struct supervisor *s, const struct supervisor_status *status, int64_t now,
    char *buffer, size_t size)
{
	char output[128], shards[STATUS_GROUP_SIZE], group[STATUS_GROUP_SIZE + 48] = "";

	describe_output(status, publisher_hangs(s, now), output, sizeof(output));
	if (status_of_group(status, shards, sizeof(shards)) != NULL)
		snprintf(group, sizeof(group), ", %zu elsewhere; %s", status->elsewhere, shards);
	snprintf(buffer, size,
	    "%s%zu site%s: %zu up, %zu down, %zu unknown, %zu not known yet%s; "
	    "%d of %d checkers busy; %s",
	    describe_stage(status->stage), status->sites, util_plural(status->sites),
	    status->with[STATUS_UP], status->with[STATUS_DOWN], status->with[STATUS_UNKNOWN],
	    status->not_known, group, status->checkers_busy, status->checkers_max, output);
	return buffer;
}

void
tell_status(struct supervisor *s, int64_t now)
{
	long long every = systemd_watchdog_us() / 3;
	struct supervisor_status status;
	char text[STATUS_LINE_SIZE];

	if (!systemd_listens() || now < s->next_status_us || s->stage != STAGE_RUNNING ||
	    s->start->once)
		return;
	/* a sign of life for two: the publisher must be at work as well */
	if (now - s->publisher.last_report_us < PUBLISHER_SILENT_US)
		systemd_notify("WATCHDOG=1");
	s->next_status_us = now + (every > 0 && every < STATUS_EVERY_US ? every : STATUS_EVERY_US);
	status = status_now(s);
	systemd_notify("STATUS=%s", status_line(s, &status, now, text, sizeof(text)));
}

void
status_changed(struct supervisor *s)
{
	s->next_status_us = 0;
}

void
log_status(struct supervisor *s, int64_t now)
{
	struct supervisor_status status = status_now(s);
	char text[STATUS_LINE_SIZE], since[UTIL_RFC3339_SIZE];
	size_t not_up = 0;

	log_asked("status: %s", status_line(s, &status, now, text, sizeof(text)));
	for (size_t i = 0; i < s->sites.count; i++) {
		const struct site_state *state = s->sites.all[i];

		if (!state->known || site_is_elsewhere(s, state) || state->status == STATUS_UP ||
		    not_up++ >= NAMES_MAX)
			continue;
		util_rfc3339(since, util_utc_us() - (now - state->since_us));
		log_asked("status: site \"%s\": %s: %s; not up since %s (%.*s)", state->site->name,
		    status_name(state->status), state->why, since, site_shown_url(state),
		    state->site->url);
	}
	if (not_up > NAMES_MAX)
		log_asked("status: and %zu more that are not up", not_up - NAMES_MAX);
}
