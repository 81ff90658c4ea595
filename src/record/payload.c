/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The record as JSON: a small flat writer instead of a library, because the caps count encoded
 * bytes and a record must never be lost for a bad byte in it. Called by the supervisor and the
 * checkers (identity) and by the publisher (the rest).
 */
#include "payload.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* A cursor that never writes beyond its end; the caps make sure that it never has to stop. */
struct text {
	char *at;
	char *end;
};

static void
put(struct text *t, const char *s, size_t n)
{
	if (n > (size_t)(t->end - t->at))
		n = (size_t)(t->end - t->at);
	t->at = mempcpy(t->at, s, n);
}

static void
put_literal(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

/* How `c` looks in a JSON string; returns its length. */
static size_t
escape(char out[8], unsigned char c)
{
	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	if (c < 0x20)
		return (size_t)snprintf(out, 8, "\\u%04x", c);
	out[0] = (char)c;
	return 1;
}

/*
 * A string of at most `cap` encoded bytes, cut at a character with "…" inside the cap. `s` is valid
 * UTF-8 (the configuration and result.c see to that).
 */
static void
put_string(struct text *t, const char *s, size_t cap)
{
	static const char ellipsis[] = "\xe2\x80\xa6";
	char piece[8];
	size_t used = 0;
	char *cut;

	put(t, "\"", 1);
	cut = t->at;
	for (; *s != '\0'; s++) {
		size_t n = escape(piece, (unsigned char)*s);

		if (used + n > cap) {
			t->at = cut;
			put_literal(t, ellipsis);
			break;
		}
		/* a continuation byte is no place to cut */
		if (((unsigned char)*s & 0xc0) != 0x80 && used + sizeof(ellipsis) - 1 <= cap)
			cut = t->at;
		put(t, piece, n);
		used += n;
	}
	put(t, "\"", 1);
}

static void
put_key(struct text *t, const char *key)
{
	put(t, ",\"", 2);
	put_literal(t, key);
	put(t, "\":", 2);
}

/* NULL becomes null. */
static void
put_text(struct text *t, const char *key, const char *value, size_t cap)
{
	put_key(t, key);
	if (value == NULL)
		put_literal(t, "null");
	else
		put_string(t, value, cap);
}

static void
put_digits(struct text *t, uint64_t n, int width)
{
	char digits[20];
	int i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) > 0 || (int)sizeof(digits) - i < width);
	put(t, digits + i, sizeof(digits) - (size_t)i);
}

/* RESULT_NONE becomes null. */
static void
put_integer(struct text *t, const char *key, int64_t value)
{
	put_key(t, key);
	if (value == RESULT_NONE)
		put_literal(t, "null");
	else
		put_digits(t, (uint64_t)value, 1);
}

/* A count of thousandths, as a decimal with up to three places; RESULT_NONE becomes null. */
static void
put_thousandths(struct text *t, const char *key, int64_t value)
{
	put_key(t, key);
	if (value == RESULT_NONE) {
		put_literal(t, "null");
		return;
	}
	if (value < 0) {
		put(t, "-", 1);
		value = -value;
	}
	put_digits(t, (uint64_t)value / 1000, 1);
	if (value % 1000 != 0) {
		put(t, ".", 1);
		put_digits(t, (uint64_t)value % 1000, 3);
	}
}

static void
put_time(struct text *t, const char *key, int64_t utc_us)
{
	char text[UTIL_RFC3339_SIZE];

	if (utc_us != RESULT_NONE)
		util_rfc3339(text, utc_us);
	put_text(t, key, utc_us != RESULT_NONE ? text : NULL, sizeof(text));
}

static void
put_tristate(struct text *t, const char *key, enum tristate value)
{
	put_key(t, key);
	put_literal(t, value == TRISTATE_NULL ? "null" : value == TRISTATE_TRUE ? "true" : "false");
}

static const char *
null_if_empty(const char *s)
{
	return s[0] != '\0' ? s : NULL;
}

size_t
payload_identity(
    char *out, const struct config *config, const struct site *site, const struct slot *slot)
{
	struct text t = { out, out + WIRE_PAYLOAD_MAX };

	put_literal(&t, "{\"schema_version\":1,\"id\":\"");
	put_literal(&t, slot->epoch);
	put(&t, "-", 1);
	put_digits(&t, slot->seq, 1);
	put(&t, "\"", 1);
	put_text(&t, "epoch", slot->epoch, WIRE_EPOCH_SIZE);
	put_integer(&t, "seq", (int64_t)slot->seq);
	put_text(&t, "site", site->name, CONFIG_NAME_MAX);
	put_text(&t, "url", site->url, CONFIG_URL_MAX);
	put_text(&t, "method", site->method, 16);
	put_text(&t, "instance", config->instance, CONFIG_NAME_MAX);
	put_text(&t, "location", config->location, CONFIG_NAME_MAX);
	put_text(&t, "labels", site->labels, CONFIG_LABELS_MAX);
	put_thousandths(&t, "interval_s", slot->interval_us / US_PER_MS);
	put_time(&t, "scheduled_at", slot->slot_us);
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
    int64_t dropped_through)
{
	static const char *const phase_keys[PHASE_COUNT] = { "dns_ms", "connect_ms", "tls_ms",
		"wait_ms", "receive_ms" };
	const struct result *result = &outcome->result;
	enum error_type error = result->error;
	bool started = outcome->lateness_us != RESULT_NONE;
	char payload[WIRE_PAYLOAD_MAX];
	struct text t = { payload, payload + sizeof(payload) };
	struct frame record = *frame;

	put(&t, frame->payload, frame->identity_size);
	put_time(&t, "started_at", started ? frame->slot_us + outcome->lateness_us : RESULT_NONE);
	put_thousandths(&t, "lateness_ms", outcome->lateness_us);
	put_text(&t, "status", status_name(result_status(error)), 16);
	put_text(&t, "error_type", error != ERROR_NONE ? error_type_name(error) : NULL, 32);
	put_text(&t, "error_message", error != ERROR_NONE ? result->error_message : NULL,
	    RESULT_MESSAGE_MAX);
	put_integer(&t, "http_status_code", result->http_status);
	put_text(&t, "http_version", null_if_empty(result->http_version), 8);
	put_thousandths(
	    &t, "response_time_ms", result->completed ? result->elapsed_us : RESULT_NONE);
	put_thousandths(&t, "elapsed_ms", result->elapsed_us);
	for (int i = 0; i < PHASE_COUNT; i++)
		put_thousandths(&t, phase_keys[i], result->phase_us[i]);
	put_thousandths(&t, "redirect_ms", result->redirect_us);
	put_integer(&t, "redirects", result->redirects);
	put_text(&t, "final_url", null_if_empty(result->final_url), RESULT_FINAL_URL_MAX);
	put_text(&t, "remote_ip", null_if_empty(result->remote_ip), RESULT_IP_MAX);
	put_integer(&t, "body_bytes", result->body_bytes);
	put_tristate(&t, "body_truncated", result->body_truncated);
	put_tristate(&t, "body_regex_matched", result->body_matched);
	put_text(&t, "failed_regex", null_if_empty(result->failed_regex), RESULT_REGEX_MAX);
	put_text(&t, "tls_version", null_if_empty(result->tls_version), 16);
	put_time(&t, "cert_expires_at", result->cert_expires_us);
	put_integer(&t, "dropped_through", dropped_through);
	put(&t, "}", 1);
	record.type = WIRE_RECORD;
	record.token = 0;
	record.payload = payload;
	record.payload_size = (size_t)(t.at - payload);
	return wire_encode(out, &record);
}

size_t
payload_unfinished(unsigned char *out, const struct frame *frame, enum error_type error,
    int64_t dropped_through, const char *message)
{
	struct wire_outcome outcome = { .lateness_us = RESULT_NONE };

	result_init(&outcome.result);
	result_fail(&outcome.result, error, "%s", message);
	return payload_record(out, frame, &outcome, dropped_through);
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
		.payload = payload };
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
