/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The lines of answers. Called by answer.c; only looks.
 */
#include "answer_lines.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "reply.h"
#include "state.h"

#define WHY_MAX   512
#define VALUE_MAX 2048

static void
write_bool(struct writer *w, const char *prefix, bool value)
{
	write_literal(w, prefix);
	write_literal(w, value ? "true" : "false");
}

/* NAN: not known. */
static void
write_decimal(struct writer *w, const char *prefix, double value)
{
	write_thousandths(w, prefix, isnan(value) ? WRITER_NONE : (int64_t)(value * 1000 + 0.5));
}

static int64_t
utc_of(const struct supervisor *s, int64_t mono_us)
{
	return mono_us + s->sites.clock_offset_us;
}

/* --- the daemon -------------------------------------------------------------------------- */

static const char *
name_of_stage(enum stage stage)
{
	switch (stage) {
	case STAGE_STARTING:
		return "starting";
	case STAGE_RUNNING:
		return "running";
	case STAGE_STOPPING:
	case STAGE_DRAINING:
	case STAGE_OVER:
		break;
	}
	return "stopping";
}

/* Then it is a trouble, though none was told. */
#define CONNECTING_US (10 * US_PER_S)

static const char *
name_of_kafka(const struct supervisor *s, const struct supervisor_status *status, int64_t now)
{
	const struct message_report *report = &status->report;

	if (status->output != PUBLISH_TO_KAFKA)
		return NULL;
	if (!status->publisher_up)
		return "starting";
	if (publisher_hangs(s, now))
		return "not delivering";
	if (report->delivering)
		return "delivering";
	if (report->delivered == 0 && report->queued == 0)
		return "nothing yet";
	/* a new publisher, of a start or a reload, has had no time for either */
	if (report->delivered == 0 && report->trouble_us == 0 &&
	    now - s->publisher.delivering_us < CONNECTING_US)
		return "connecting";
	return "not delivering";
}

/* Records a second that were delivered, and by how many those that wait become fewer. */
static void
find_rates(const struct supervisor *s, double *delivered, double *shrinking, int64_t now)
{
	const struct publisher_sample *sample = s->publisher.sample;
	const struct publisher_sample *since = &sample[sample[0].at_us > 0 ? 0 : 1];
	const struct message_report *report = &s->publisher.report;
	double seconds = (double)(now - since->at_us) / US_PER_S;

	*delivered = *shrinking = NAN;
	if (since->at_us == 0 || seconds < 1 || report->delivered < since->delivered)
		return;
	*delivered = (double)(report->delivered - since->delivered) / seconds;
	*shrinking = ((double)since->queued - (double)report->queued) / seconds;
}

/* The last trouble, and since when Kafka is as it is. */
static void
write_trouble(const struct supervisor *s, const struct message_report *report, bool kafka,
    struct writer *w, int64_t now)
{
	const bool hangs = kafka && publisher_hangs(s, now);
	const int64_t silent_since_us = utc_of(s, s->publisher.last_report_us);
	int64_t since_us = WRITER_NONE, at_us = WRITER_NONE;
	char trouble[TROUBLE_SIZE];

	/* the publisher has less rights than we: it may send anything */
	util_clean_text(trouble, sizeof(trouble), report->trouble,
	    strnlen(report->trouble, sizeof(report->trouble)));
	if (kafka && s->publisher.delivering_us > 0)
		since_us = hangs ? silent_since_us : utc_of(s, s->publisher.delivering_us);
	if (report->trouble_us > 0)
		at_us = report->trouble_us;
	if (hangs) {
		snprintf(trouble, sizeof(trouble),
		    "the publisher, PID %d, has said nothing since then: was it stopped, or does the "
		    "disk of the spool hang?",
		    (int)s->publisher.child.pid);
		at_us = silent_since_us;
	}
	write_time(w, ",\"kafka_since\":", since_us);
	write_text(w, ",\"kafka_error\":", trouble, VALUE_MAX / 2);
	write_time(w, ",\"kafka_error_at\":", at_us);
}

static void
write_records(const struct supervisor *s, const struct supervisor_status *status, struct writer *w,
    int64_t now)
{
	static const char *const outputs[] = { [PUBLISH_TO_KAFKA] = "kafka",
		[PUBLISH_TO_STDOUT] = "stdout",
		[PUBLISH_TO_NOTHING] = NULL };
	const struct message_report *report = &status->report;
	const bool kafka = status->output == PUBLISH_TO_KAFKA;
	double delivered, shrinking;

	find_rates(s, &delivered, &shrinking, now);
	write_text(w, ",\"output\":", outputs[status->output], 16);
	write_text(w, ",\"topic\":", kafka ? s->config->kafka_topic : NULL, 256);
	write_text(w, ",\"kafka\":", name_of_kafka(s, status, now), 16);
	write_trouble(s, report, kafka, w, now);
	write_integer(w, ",\"spool_records\":", (int64_t)report->queued);
	write_time(w, ",\"spool_oldest_at\":",
	    report->spool.oldest_us > 0 ? report->spool.oldest_us : WRITER_NONE);
	write_integer(w, ",\"spool_bytes\":", report->spool.bytes);
	write_integer(w, ",\"spool_max_bytes\":", kafka ? s->config->spool_max_bytes : WRITER_NONE);
	write_integer(w, ",\"delivered\":", (int64_t)report->delivered);
	write_decimal(w, ",\"delivered_per_s\":", delivered);
	/* from a handful of records no time can be foretold */
	write_decimal(
	    w, ",\"spool_empty_in_s\":", shrinking > 1 ? (double)report->queued / shrinking : NAN);
	write_integer(w, ",\"dead_letters\":", (int64_t)report->spool.dead);
	write_integer(w, ",\"dropped\":", (int64_t)report->spool.dropped);
}

/* Without a group all are null. */
static void
write_group(const struct supervisor *s, const struct supervisor_status *status, struct writer *w)
{
	const bool group = status->in_group;
	char text[STATUS_GROUP_SIZE];

	write_text(w, ",\"group\":", group ? s->config->kafka_group : NULL, 64);
	write_text(
	    w, ",\"group_state\":", status_of_group(status, text, sizeof(text)), sizeof(text));
	write_integer(w, ",\"shards\":", group ? (int64_t)status->shards : WRITER_NONE);
	write_integer(w, ",\"shards_total\":", group ? (int64_t)status->shards_total : WRITER_NONE);
	write_thousandths(w, ",\"lease_s\":", group ? status->lease_us / US_PER_MS : WRITER_NONE);
	if (group)
		write_bool(w, ",\"alone\":", status->alone);
	else
		write_text(w, ",\"alone\":", NULL, 8);
	write_integer(w, ",\"elsewhere\":", group ? (int64_t)status->elsewhere : WRITER_NONE);
	write_integer(w, ",\"takeovers\":", group ? (int64_t)s->shards.takeovers : WRITER_NONE);
	write_integer(
	    w, ",\"missed_takeover\":", group ? (int64_t)s->epoch.missed_takeover : WRITER_NONE);
}

void
answer_status(const struct supervisor *s, struct writer *w, int64_t now)
{
	struct supervisor_status status = status_now(s);

	reply_begin(w, "status");
	write_text(w, ",\"version\":", VERSION, 32);
	write_text(w, ",\"stage\":", name_of_stage(status.stage), 16);
	write_integer(w, ",\"pid\":", s->self);
	write_text(w, ",\"config\":", s->config->file, WHY_MAX);
	write_text(w, ",\"epoch\":", s->epoch.name, WIRE_EPOCH_SIZE);
	write_time(w, ",\"started_at\":", utc_of(s, s->started_us));
	write_thousandths(w, ",\"uptime_s\":", (now - s->started_us) / US_PER_MS);
	write_integer(w, ",\"sites\":", (int64_t)status.sites);
	write_integer(w, ",\"up\":", (int64_t)status.with[STATUS_UP]);
	write_integer(w, ",\"down\":", (int64_t)status.with[STATUS_DOWN]);
	write_integer(w, ",\"unknown\":", (int64_t)status.with[STATUS_UNKNOWN]);
	write_integer(w, ",\"not_known\":", (int64_t)status.not_known);
	write_integer(w, ",\"checks\":", (int64_t)s->recent.results);
	write_decimal(w, ",\"checks_per_s\":", recent_rate(&s->recent, now));
	write_decimal(w, ",\"lateness_p50_ms\":", recent_lateness_ms(&s->recent, 0.5));
	write_decimal(w, ",\"lateness_p99_ms\":", recent_lateness_ms(&s->recent, 0.99));
	write_integer(w, ",\"checkers\":", s->pool.idle + s->pool.busy);
	write_integer(w, ",\"checkers_busy\":", status.checkers_busy);
	write_integer(w, ",\"checkers_max\":", status.checkers_max);
	write_integer(w, ",\"checks_queued\":", s->pool.queued);
	write_records(s, &status, w, now);
	write_group(s, &status, w);
	reply_end(w);
}

/* --- sites ------------------------------------------------------------------------------- */

static void
write_measured(const struct past_result *past, struct writer *w)
{
	static const char *const phases[PHASE_COUNT] = { ",\"dns_ms\":", ",\"connect_ms\":",
		",\"tls_ms\":", ",\"wait_ms\":", ",\"receive_ms\":" };

	write_time(w, ",\"scheduled_at\":", past != NULL ? past->slot_us : WRITER_NONE);
	write_decimal(w, ",\"lateness_ms\":", past != NULL ? past->lateness_ms : NAN);
	write_integer(w, ",\"http_status_code\":", past != NULL ? past->http_status : WRITER_NONE);
	write_decimal(w, ",\"elapsed_ms\":", past != NULL ? past->elapsed_ms : NAN);
	for (int i = 0; i < PHASE_COUNT; i++)
		write_decimal(w, phases[i], past != NULL ? past->phase_ms[i] : NAN);
}

/* "error_type: message", as the log has it, in its two parts. */
static void
write_why(const char *why, struct writer *w)
{
	char word[32] = "";
	size_t size = why != NULL ? strcspn(why, ":") : 0;

	if (size < sizeof(word) - 1 && size > 0)
		memcpy(word, why, size);
	write_text(w, ",\"error_type\":", word, sizeof(word));
	write_text(w,
	    ",\"error_message\":", why != NULL && why[size] != '\0' ? why + size + 2 : NULL,
	    WHY_MAX);
}

void
answer_site(const struct supervisor *s, const struct site_state *state, struct writer *w)
{
	const bool elsewhere = site_is_elsewhere(s, state), known = state->known && !elsewhere;
	const struct site *site = state->site;
	/* what was known of a site before another member had it is old */
	const struct history *h = elsewhere ? NULL : state->history;
	const bool streak = known && h != NULL && h->streak > 0 && h->status == state->status;
	const int64_t chain_expires_us = h != NULL ? h->chain_expires_us : WRITER_NONE;
	char url[CONFIG_URL_MAX + 1] = "";

	memcpy(url, site->url, (size_t)site_shown_url(state));
	reply_begin(w, "site");
	write_text(w, ",\"site\":", site->name, CONFIG_NAME_MAX);
	write_text(w, ",\"status\":", known ? status_name(state->status) : NULL, 16);
	write_time(w, ",\"status_since\":", streak ? h->since_us : WRITER_NONE);
	write_integer(w, ",\"streak\":", streak ? (int64_t)h->streak : WRITER_NONE);
	write_why(known ? state->why : NULL, w);
	write_measured(history_get(h, 0), w);
	write_time(w, ",\"next_at\":", site_has_slot(state) ? state->timer.slot_us : WRITER_NONE);
	write_thousandths(w, ",\"interval_s\":", site->interval_us / US_PER_MS);
	write_bool(w, ",\"running\":", state->running);
	write_bool(w, ",\"slow\":", state->slow);
	write_bool(w, ",\"quarantined\":", quarantine_active(&state->quarantine, util_mono_us()));
	write_bool(w, ",\"elsewhere\":", elsewhere);
	write_integer(w, ",\"shard\":", state->shard >= 0 ? state->shard : WRITER_NONE);
	write_time(w, ",\"chain_expires_at\":", chain_expires_us);
	write_text(w, ",\"url\":", url, CONFIG_URL_MAX);
	write_text(w, ",\"labels\":", site->labels, CONFIG_LABELS_MAX);
	reply_end(w);
}

void
answer_setting(const char *key, const char *value, struct writer *w)
{
	reply_begin(w, "setting");
	write_text(w, ",\"key\":", key, 64);
	write_text(w, ",\"value\":", value, VALUE_MAX);
	reply_end(w);
}

bool
answer_result(const struct site_state *state, size_t i, struct writer *w)
{
	const struct past_result *past = history_get(
	    state->history, i < HISTORY_RESULTS ? (uint32_t)i : HISTORY_RESULTS);

	if (past == NULL)
		return false;
	reply_begin(w, "result");
	write_text(w, ",\"site\":", state->site->name, CONFIG_NAME_MAX);
	write_text(w, ",\"status\":", status_name(result_status(past->error)), 16);
	write_text(w, ",\"error_type\":", error_type_name(past->error), 32);
	write_measured(past, w);
	reply_end(w);
	return true;
}

/* --- a reload ---------------------------------------------------------------------------- */

void
answer_mistake(const char *text, size_t size, struct writer *w)
{
	char line[1024];

	util_clean_text(line, sizeof(line), text, size);
	reply_begin(w, "mistake");
	write_text(w, ",\"text\":", line, VALUE_MAX);
	reply_end(w);
}

void
answer_reload(const struct question *q, struct writer *w)
{
	reply_begin(w, "reload");
	write_integer(w, ",\"sites\":", (int64_t)q->sites);
	write_integer(w, ",\"added\":", (int64_t)q->added);
	write_integer(w, ",\"changed\":", (int64_t)q->changed);
	write_integer(w, ",\"removed\":", (int64_t)q->removed);
	reply_end(w);
}
