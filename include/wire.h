/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the processes say to each other: frames on two pipes to the publisher, fixed structs on the
 * socketpairs. Both sides are the same program after a fork, so structs travel as they are;
 * lengths are checked all the same.
 *
 * The supervisor alone writes to its pipe: OPEN, WHOLE, SETTLED, and CLOSE for the dead. All
 * checkers share the other one, and from there only CLOSE is taken. A checker may be in foreign
 * hands, so a CLOSE counts only with the token of its slot, which the checker got with the job.
 */
#ifndef WEBMOND_WIRE_H
#define WEBMOND_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "result.h"
#include "util.h"

/*
 * A frame is one write(2) of at most PIPE_BUF bytes, hence atomic; larger ones tear when a writer
 * is killed. 4096 is Linux's PIPE_BUF (pipe(7)); pipe_open() refuses to run with less.
 */
#define WIRE_FRAME_MAX 4096

/* The record in it; the rest is for header, site and instance. A larger one is never decoded. */
#define WIRE_PAYLOAD_MAX 3848

/* "20261123T101502Z-9f3c52d07a61be48" with its NUL. */
#define WIRE_EPOCH_SIZE 34

/*
 * OPEN   announces a slot: the identity of its record, with which anyone can finish it.
 * CLOSE  ends an open slot: the identity, then a struct wire_outcome.
 * WHOLE  is both in one: a slot that never runs.
 * RECORD is what the publisher makes of the last two, and keeps in the spool: the whole record.
 * SETTLED says that all checks of slots below its seq are over: what is still open there has an end
 *        that nobody wrote. It has no texts.
 *
 * The numbers stand in spools: earlier versions kept records as 2 and 3.
 */
enum wire_type {
	WIRE_OPEN = 1,
	WIRE_RECORD = 2,
	WIRE_RECORD_OLD = 3, /* read as WIRE_RECORD */
	WIRE_CLOSE = 4,
	WIRE_WHOLE = 5,
	WIRE_SETTLED = 6,
};

/* What came of a slot; in a frame it ends with what is in use of the result, see result_size(). */
struct wire_outcome {
	int64_t lateness_us; /* RESULT_NONE: it never started */
	struct result result;
};

/*
 * A record on its way, with all that publishing needs. The texts point into the buffer that was
 * decoded and are not NUL-terminated.
 */
struct frame {
	enum wire_type type;
	char epoch[WIRE_EPOCH_SIZE];
	uint64_t seq;
	int64_t slot_us;  /* UTC; the Kafka timestamp and ce_time */
	const char *site; /* the Kafka key */
	size_t site_size;
	const char *instance; /* ce_source */
	size_t instance_size;
	const char *payload; /* see enum wire_type; identity: payload.h */
	size_t payload_size;
	size_t identity_size; /* how much of the payload is the identity */
	uint64_t token;       /* of the slot; 48 bits. 0 in a RECORD, which is nobody's secret */
};

/*
 * Encode into `out` (WIRE_FRAME_MAX bytes). Returns the length, or 0 when it does not fit (a bug:
 * the payload's caps make it impossible).
 */
size_t wire_encode(unsigned char *out, const struct frame *frame);

/*
 * Decode the frame at the start of `data`. Returns its length, or -1 when it is damaged (magic,
 * length, checksum) or only a part of one: a frame is one write, and no reader sees half of it.
 */
ssize_t wire_decode(const void *data, size_t size, struct frame *frame);

/*
 * The token of the slot that `frame` is of: a code over all that its OPEN says, made with the key
 * of the daemon. The supervisor makes it and the publisher checks it; nobody else has the key.
 */
uint64_t wire_token(const unsigned char key[UTIL_KEY_SIZE], const struct frame *frame);

/* How many bytes to skip from damaged `data` to what may be the next frame, or `size`. */
size_t wire_resync(const void *data, size_t size);

/* Supervisor to checker: run this. */
struct wire_job {
	uint64_t number; /* of the checker's jobs, see claims.h */
	uint32_t site;   /* index into the checker's configuration */
	uint64_t seq;
	int64_t slot_us; /* UTC */
	int64_t interval_us;
	int64_t due_us; /* the same instant on the monotonic clock, which all processes share */
	uint64_t token; /* to be sent back in its CLOSE */
	char epoch[WIRE_EPOCH_SIZE];
};

enum wire_done_type {
	WIRE_READY, /* initialised; no check behind it */
	WIRE_DONE,
};

/* Checker to supervisor: the CLOSE frame of the job is in the pipe. */
struct wire_done {
	enum wire_done_type type;
	uint8_t leaving; /* whether it takes no further job: worn out, or told to stop */
	uint64_t seq;
	enum error_type error;
	int http_status;
	int64_t elapsed_us;
	int64_t ended_us;        /* monotonic */
	char error_message[128]; /* for the log; the record has it whole */
};

#endif
