/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The record as JSON. Called by the supervisor and the checkers (identity) and by the publisher
 * (the rest).
 */
#include "payload.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "fields.h"
#include "writer.h"

#define WRITER "webmond/" VERSION

#define NAME_OF(name, key, max, type, null) FIELD_##name,
enum field {
	IDENTITY_FIELDS(NAME_OF) OUTCOME_FIELDS(NAME_OF) FIELD_COUNT
};

#define PREFIX(key)                        ",\"" key "\":"
#define ROW_OF(name, key, max, type, null) { PREFIX(key), max },
static const struct {
	const char *prefix;
	size_t max;
} fields[FIELD_COUNT] = { IDENTITY_FIELDS(ROW_OF) OUTCOME_FIELDS(ROW_OF) };

#define ID_PREFIX "{\"schema_version\":1,\"id\":\""

/* Their sizes are those of the largest identity and of what follows it; never made. */
#define MEMBER_OF(name, key, max, type, null) char name[sizeof(PREFIX(key) "\"\"") - 1 + (max)];
struct largest_identity {
	char id[sizeof(ID_PREFIX "-\"") - 1 + WIRE_EPOCH_SIZE + NUMBER_MAX];
	IDENTITY_FIELDS(MEMBER_OF)
};
struct largest_rest {
	OUTCOME_FIELDS(MEMBER_OF)
	char end[1];
};

_Static_assert(
    sizeof(struct largest_identity) + sizeof(struct largest_rest) <= WIRE_RECORD_JSON_MAX,
    "the largest record must fit into a frame");
_Static_assert(sizeof(WRITER) - 1 <= AGENT_MAX, "it is not cut");
_Static_assert(sizeof(struct largest_identity) + sizeof(struct wire_outcome) <= WIRE_PAYLOAD_MAX,
    "the largest CLOSE must fit into a frame");

/* The sums above mean that the writer never has to stop. */
static void
put_text(struct writer *t, enum field field, const char *value)
{
	write_text(t, fields[field].prefix, value, fields[field].max);
}

static void
put_integer(struct writer *t, enum field field, int64_t value)
{
	write_integer(t, fields[field].prefix, value);
}

static void
put_thousandths(struct writer *t, enum field field, int64_t value)
{
	write_thousandths(t, fields[field].prefix, value);
}

static void
put_time(struct writer *t, enum field field, int64_t utc_us)
{
	write_time(t, fields[field].prefix, utc_us);
}

static void
put_tristate(struct writer *t, enum field field, enum tristate value)
{
	static const char *const words[] = { "null", "false", "true" };

	write_literal(t, fields[field].prefix);
	write_literal(t, words[value]);
}

/* With or without its query, then in `out`. */
static const char *
shown_url(const struct site *site, char out[CONFIG_URL_MAX + 1])
{
	if (site->record_query)
		return site->url;
	snprintf(out, CONFIG_URL_MAX + 1, "%.*s", (int)strcspn(site->url, "?#"), site->url);
	return out;
}

size_t
payload_identity(
    char *out, const struct config *config, const struct site *site, const struct slot *slot)
{
	struct writer t = { out, out + WIRE_PAYLOAD_MAX };
	char url[CONFIG_URL_MAX + 1];

	write_literal(&t, ID_PREFIX);
	write_literal(&t, slot->epoch);
	write_bytes(&t, "-", 1);
	write_digits(&t, slot->seq, 1);
	write_bytes(&t, "\"", 1);
	put_text(&t, FIELD_EPOCH, slot->epoch);
	put_integer(&t, FIELD_SEQ, (int64_t)slot->seq);
	put_text(&t, FIELD_SITE, site->name);
	put_text(&t, FIELD_URL, shown_url(site, url));
	put_text(&t, FIELD_METHOD, site->method);
	put_text(&t, FIELD_INSTANCE, config->instance);
	put_text(&t, FIELD_LOCATION, config->location);
	put_text(&t, FIELD_GROUP, slot->alone != TRISTATE_NULL ? config->kafka_group : NULL);
	put_tristate(&t, FIELD_ALONE, slot->alone);
	put_text(&t, FIELD_LABELS, site->labels);
	put_thousandths(&t, FIELD_INTERVAL, slot->interval_us / US_PER_MS);
	put_time(&t, FIELD_SCHEDULED, slot->slot_us);
	return (size_t)(t.at - out);
}

/* A lateness that is larger, or a start that is so much too early, is of no check. */
#define LATENESS_MAX_US (10 * 86400 * US_PER_S)

/* Whether it began fits what came of it. */
static bool
is_coherent(const struct wire_outcome *outcome)
{
	bool began = outcome->lateness_us != RESULT_NONE;

	switch (outcome->result.error) {
	case ERROR_MISSED_OVERLOAD:
	case ERROR_MISSED_OVERRUN:
	case ERROR_MISSED_TAKEOVER:
	case ERROR_QUARANTINED:
		return !began && outcome->result.elapsed_us == RESULT_NONE;
	default:
		return began || result_status(outcome->result.error) == STATUS_UNKNOWN;
	}
}

bool
payload_outcome(const struct frame *frame, struct wire_outcome *outcome)
{
	const char *bytes = frame->payload + frame->identity_size;
	const size_t size = frame->payload_size - frame->identity_size;
	const size_t before = offsetof(struct wire_outcome, result);

	if (size < before)
		return false;
	memcpy(&outcome->lateness_us, bytes, sizeof(outcome->lateness_us));
	return outcome->lateness_us >= -LATENESS_MAX_US &&
	       outcome->lateness_us <= LATENESS_MAX_US &&
	       result_copy(&outcome->result, bytes + before, size - before) && is_coherent(outcome);
}

size_t
payload_record(unsigned char *out, const struct frame *frame, const struct wire_outcome *outcome,
    int64_t dropped_through, const struct payload_streak *streak)
{
	const struct payload_streak alone = { 1, frame->slot_us };
	const struct result *result = &outcome->result;
	enum error_type error = result->error;
	bool started = outcome->lateness_us != RESULT_NONE;
	char payload[WIRE_RECORD_JSON_MAX];
	struct writer t = { payload, payload + sizeof(payload) };
	struct frame record = *frame;

	write_bytes(&t, frame->payload, frame->identity_size);
	put_time(&t, FIELD_STARTED, started ? frame->slot_us + outcome->lateness_us : RESULT_NONE);
	put_thousandths(&t, FIELD_LATENESS, outcome->lateness_us);
	put_text(&t, FIELD_STATUS, status_name(result_status(error)));
	put_text(&t, FIELD_ERROR, error_type_name(error));
	put_text(&t, FIELD_MESSAGE, error != ERROR_NONE ? result->error_message : NULL);
	put_integer(&t, FIELD_HTTP_STATUS, result->http_status);
	put_text(&t, FIELD_HTTP_VERSION, result->http_version);
	put_thousandths(
	    &t, FIELD_RESPONSE_TIME, result->completed ? result->elapsed_us : RESULT_NONE);
	put_thousandths(&t, FIELD_ELAPSED, result->elapsed_us);
	for (int i = 0; i < PHASE_COUNT; i++)
		put_thousandths(&t, FIELD_DNS + i, result->phase_us[i]);
	put_thousandths(&t, FIELD_REDIRECT, result->redirect_us);
	put_integer(&t, FIELD_REDIRECTS, result->redirects);
	put_text(&t, FIELD_FINAL_URL, result->final_url);
	put_text(&t, FIELD_REMOTE_IP, result->remote_ip);
	put_integer(&t, FIELD_BODY_BYTES, result->body_bytes);
	put_tristate(&t, FIELD_BODY_TRUNCATED, result->body_truncated);
	put_tristate(&t, FIELD_BODY_MATCHED, result->body_matched);
	put_text(&t, FIELD_FAILED_REGEX, result->failed_regex);
	put_text(&t, FIELD_TLS_VERSION, result->tls_version);
	put_time(&t, FIELD_CERT_EXPIRES, result->cert_expires_us);
	put_integer(&t, FIELD_DROPPED_THROUGH, dropped_through);
	if (streak == NULL)
		streak = &alone;
	put_integer(&t, FIELD_STREAK, streak->length);
	put_time(&t, FIELD_STATUS_SINCE, streak->since_us);
	put_integer(&t, FIELD_ATTEMPTS, result->attempts);
	put_text(&t, FIELD_FIRST_ERROR, error_type_name(result->first_error));
	put_tristate(&t, FIELD_REUSED, result->reused);
	put_text(&t, FIELD_CERT_ISSUER, result->cert_issuer);
	put_text(&t, FIELD_CERT_SHA256, result->cert_sha256);
	put_time(&t, FIELD_CHAIN_EXPIRES, result->chain_expires_us);
	put_text(&t, FIELD_BODY_SAMPLE, result->body_sample);
	put_text(&t, FIELD_AGENT, WRITER);
	write_bytes(&t, "}", 1);
	record.type = WIRE_RECORD;
	record.token = 0;
	record.ordinal = (struct wire_ordinal){ 0 };
	record.payload = payload;
	record.payload_size = (size_t)(t.at - payload);
	return wire_encode(out, &record);
}

size_t
payload_unfinished(unsigned char *out, const struct frame *frame, enum error_type error,
    int64_t dropped_through, const struct payload_streak *streak, const char *message)
{
	struct wire_outcome outcome = { .lateness_us = RESULT_NONE };

	result_init(&outcome.result);
	result_fail(&outcome.result, error, "%s", message);
	return payload_record(out, frame, &outcome, dropped_through, streak);
}

size_t
payload_frame(unsigned char *out, enum wire_type type, const struct config *config,
    const struct site *site, struct slot *slot, const struct result *result,
    const unsigned char *key)
{
	char payload[WIRE_PAYLOAD_MAX + sizeof(struct wire_outcome)];
	struct frame frame = { .type = type,
		.seq = slot->seq,
		.slot_us = slot->slot_us,
		.site = site->name,
		.site_size = strlen(site->name),
		.instance = config->instance,
		.instance_size = strlen(config->instance),
		.payload = payload,
		.ordinal = slot->ordinal };
	const size_t before = offsetof(struct wire_outcome, result);
	char *outcome;

	snprintf(frame.epoch, sizeof(frame.epoch), "%s", slot->epoch);
	frame.identity_size = frame.payload_size = payload_identity(payload, config, site, slot);
	if (key != NULL)
		slot->token = wire_token(key, &frame);
	frame.token = slot->token;
	if (result != NULL) {
		outcome = payload + frame.identity_size;
		memcpy(outcome, &slot->lateness_us, sizeof(slot->lateness_us));
		memcpy(outcome + before, result, result_size(result));
		frame.payload_size += before + result_size(result);
	}
	return wire_encode(out, &frame);
}
