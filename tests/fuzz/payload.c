/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Any bytes as the texts and numbers of a record: it is valid JSON and fits into a frame. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "../json.h"
#include "payload.h"

struct input {
	const uint8_t *at;
	size_t left;
};

static void
take(struct input *in, void *out, size_t size)
{
	size_t n = size < in->left ? size : in->left;

	memset(out, 0, size);
	memcpy(out, in->at, n);
	in->at += n;
	in->left -= n;
}

/* -1 … most */
static int64_t
number(struct input *in, int64_t most)
{
	uint64_t n;

	take(in, &n, sizeof(n));
	return (int64_t)(n % (uint64_t)(most + 2)) - 1;
}

/* Up to a zero, cleaned as its makers do; `out` has `size` bytes. */
static char *
text(struct input *in, char *out, size_t size)
{
	size_t n = in->left < 2 * size ? in->left : 2 * size;
	size_t length = strnlen((const char *)in->at, n);
	size_t cleaned = util_clean_text(out, size, (const char *)in->at, length);

	assert(cleaned < size && cleaned == strlen(out));
	in->at += length < in->left ? length + 1 : length;
	in->left -= length < in->left ? length + 1 : length;
	return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char name[CONFIG_NAME_MAX + 1], url[CONFIG_URL_MAX + 1], labels[CONFIG_LABELS_MAX + 1];
	char instance[CONFIG_NAME_MAX + 1], location[CONFIG_NAME_MAX + 1], message[1000];
	struct config config = { .instance = text(&in, instance, sizeof(instance)),
		.location = text(&in, location, sizeof(location)),
		.kafka_group = location };
	struct site site = { .name = text(&in, name, sizeof(name)),
		.url = text(&in, url, sizeof(url)),
		.record_query = true,
		.method = "OPTIONS",
		.labels = text(&in, labels, sizeof(labels)) };
	struct slot slot = { .epoch = "20260101T000000Z-0000000000000001",
		.seq = (uint64_t)number(&in, INT64_MAX - 2) + 1,
		.slot_us = number(&in, 253402300799000000) + 1,
		.interval_us = number(&in, 86400000000),
		.lateness_us = number(&in, 86400000000),
		.alone = (enum tristate)(size % 3) };
	unsigned char raw[WIRE_FRAME_MAX], record[WIRE_RECORD_MAX];
	struct wire_outcome outcome;
	struct result result;
	struct frame frame;
	size_t members, frame_size;

	result_init(&result);
	text(&in, message, sizeof(message));
	result_fail(
	    &result, (enum error_type)(number(&in, ERROR_COUNT - 4) + 2), "why: %s", message);
	result.redirects = 1;
	text(&in, result.final_url, sizeof(result.final_url));
	text(&in, result.failed_regex, sizeof(result.failed_regex));
	text(&in, result.remote_ip, sizeof(result.remote_ip));
	text(&in, result.cert_issuer, sizeof(result.cert_issuer));
	text(&in, result.body_sample, sizeof(result.body_sample));
	result.completed = number(&in, 1) > 0;
	result.elapsed_us = number(&in, 86400000000);
	for (int i = 0; i < PHASE_COUNT; i++)
		result.phase_us[i] = number(&in, 86400000000);
	result.http_status = 101 + (int)number(&in, 898);
	result.body_bytes = number(&in, 65536 * 1024);
	result.cert_expires_us = number(&in, 253402300799000000);
	result.chain_expires_us = number(&in, 253402300799000000);
	result.attempts = 2 + (int)number(&in, 4);
	result.first_error = result.attempts > 1 ? ERROR_TLS : ERROR_NONE;
	if (result.error == ERROR_MISSED_OVERLOAD || result.error == ERROR_MISSED_OVERRUN ||
	    result.error == ERROR_MISSED_TAKEOVER || result.error == ERROR_QUARANTINED)
		slot.lateness_us = result.elapsed_us = RESULT_NONE;
	else if (slot.lateness_us == RESULT_NONE)
		slot.lateness_us = 0;

	frame_size = payload_frame(raw, WIRE_SINGLE, &config, &site, &slot, &result, NULL);
	assert(wire_decode(raw, frame_size, &frame) == (ssize_t)frame_size);
	assert(payload_outcome(&frame, &outcome));
	frame_size = payload_record(record, &frame, &outcome, RESULT_NONE, NULL);
	assert(wire_decode(record, frame_size, &frame) == (ssize_t)frame_size);
	assert(json_get(frame.payload, frame.payload_size, NULL, &members) != NULL);
	assert(members == 49);
	return 0;
}
