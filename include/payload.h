/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The record: one flat JSON object (etc/check-result.v1.schema.json), written in two parts.
 *
 * The identity says which slot of which site it is and never changes; the outcome says what became
 * of it. An OPEN frame carries the identity alone: with it, anyone can finish the record later,
 * as `aborted` or `dropped`, without knowing the configuration of that time and without parsing.
 * The outcome is written by the publisher alone, so whatever a checker sends, what comes into the
 * topic is a record.
 */
#ifndef WEBMOND_PAYLOAD_H
#define WEBMOND_PAYLOAD_H

#include "config.h"
#include "result.h"
#include "wire.h"

/* Which slot: the identity's part that is not in the configuration. */
struct slot {
	const char *epoch;
	uint64_t seq;
	int64_t slot_us;     /* UTC: scheduled_at */
	int64_t interval_us; /* of the grid that it is on; the site may have a newer one */
	int64_t lateness_us; /* monotonic; RESULT_NONE: never started */
	uint64_t token;      /* see wire_token() */
};

/*
 * Write the identity of `slot` into `out` (WIRE_PAYLOAD_MAX bytes, no NUL). Returns its length,
 * always far enough below the limit for any outcome.
 */
size_t payload_identity(
    char *out, const struct config *config, const struct site *site, const struct slot *slot);

/*
 * Encode a frame for `slot` into `out` (WIRE_FRAME_MAX bytes): an OPEN without `result` (NULL), a
 * CLOSE or WHOLE with it. With `key` its token is made first, and noted in `slot`; without (NULL)
 * it is there already. Returns its length.
 */
size_t payload_frame(unsigned char *out, enum wire_type type, const struct config *config,
    const struct site *site, struct slot *slot, const struct result *result,
    const unsigned char *key);

/*
 * Encode the RECORD frame of a slot into `out` (WIRE_FRAME_MAX bytes). `frame`, decoded, is any of
 * the slot; what became of it is `outcome`. `dropped_through` is the last seq that an ERROR_DROPPED
 * record stands for, else RESULT_NONE. Returns its length.
 */
size_t payload_record(unsigned char *out, const struct frame *frame,
    const struct wire_outcome *outcome, int64_t dropped_through);

/*
 * The same for a slot without a result: its record says `error` and `message`. Needs only the
 * identity, so any frame of the slot will do.
 */
size_t payload_unfinished(unsigned char *out, const struct frame *frame, enum error_type error,
    int64_t dropped_through, const char *message);

/* Take the outcome out of a CLOSE or WHOLE; false: it is not what this program writes. */
bool payload_outcome(const struct frame *frame, struct wire_outcome *outcome);

#endif
