/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The record: one flat JSON object (etc/check-result.v1.schema.json), written in two parts.
 *
 * The identity says which slot of which site the record is of, and never changes. The outcome says
 * what came of the slot. An OPEN frame carries the identity: with it the publisher can finish the
 * record later, as `aborted` or `dropped`, without the configuration of that time. The publisher
 * alone writes the outcome as JSON, so whatever a checker sends, the topic gets a valid record.
 */
#ifndef WEBMOND_PAYLOAD_H
#define WEBMOND_PAYLOAD_H

#include "config.h"
#include "result.h"
#include "wire.h"

/* How many records of a site in a row, the last one included, have had the same status. */
struct payload_streak {
	int64_t length;
	int64_t since_us; /* UTC: scheduled_at of the first of them */
};

/* A slot, as far as it is not in the configuration. */
struct slot {
	const char *epoch;
	uint64_t seq;
	int64_t slot_us;     /* UTC: scheduled_at */
	int64_t interval_us; /* of the grid of this slot: a reload may have changed the site */
	int64_t lateness_us; /* monotonic; RESULT_NONE: never started */
	enum tristate alone; /* begun without the word of the group; null without a group */
	struct wire_ordinal ordinal;
	uint64_t token; /* see wire_token() */
};

/*
 * Write the identity of `slot` into `out` (WIRE_PAYLOAD_MAX bytes, without a NUL). Returns its
 * length, which leaves room for any outcome.
 */
size_t payload_identity(
    char *out, const struct config *config, const struct site *site, const struct slot *slot);

/*
 * Encode a frame for `slot` into `out` (WIRE_FRAME_MAX bytes): an OPEN without `result` (NULL), a
 * CLOSE or SINGLE with it. With `key` (UTIL_KEY_SIZE bytes) the token is made first and stored in
 * `slot`; without (NULL) the frame gets the token that is there. Returns the length.
 */
size_t payload_frame(unsigned char *out, enum wire_type type, const struct config *config,
    const struct site *site, struct slot *slot, const struct result *result,
    const unsigned char *key);

/*
 * Encode the RECORD of a slot into `out` (WIRE_RECORD_MAX bytes). `frame` is any decoded frame of
 * the slot. `dropped_through` is the last seq that an ERROR_DROPPED record stands for, else
 * RESULT_NONE. `streak` ends with this record; NULL: it is alone. Returns the length.
 */
size_t
payload_record(unsigned char *out, const struct frame *frame, const struct wire_outcome *outcome,
    int64_t dropped_through, const struct payload_streak *streak);

/* The same for a slot that has no outcome: its record says `error` and `message`. */
size_t payload_unfinished(unsigned char *out, const struct frame *frame, enum error_type error,
    int64_t dropped_through, const struct payload_streak *streak, const char *message);

/*
 * Read the outcome of a CLOSE or SINGLE. Returns false if this program does not write such a one.
 */
bool payload_outcome(const struct frame *frame, struct wire_outcome *outcome);

/* The schema that payload_envelope() adds has at most so many bytes. */
#define PAYLOAD_ENVELOPE_MAX 3072

/*
 * The payload of a RECORD as Kafka Connect's JsonConverter takes it: {"schema":…,"payload":…}. To
 * be freed; its length is in `size`.
 */
char *payload_envelope(const struct frame *frame, size_t *size);

#endif
