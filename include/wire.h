/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the processes send to each other about slots: frames on two pipes to the publisher, fixed
 * structs between supervisor and checkers. All are the same program after a fork, so structs travel
 * as they are in memory; their lengths are checked all the same.
 *
 * The supervisor alone writes to its pipe: OPEN, SINGLE, SETTLED, and CLOSE for checkers that are
 * dead. All checkers share the other pipe, and from there only CLOSE is accepted. A checker may be
 * taken over by an attacker, so its CLOSE counts only with the token of the slot, which it got with
 * the job.
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
 * is killed. 4096 is Linux's PIPE_BUF (pipe(7)); pipe.c does not compile with less.
 */
#define WIRE_FRAME_MAX 4096

/* Of these for the payload; the rest is for header, site and instance. */
#define WIRE_PAYLOAD_MAX 3848

/* The same for a RECORD, which is in no pipe, only in the spool. */
#define WIRE_RECORD_MAX      5120
#define WIRE_RECORD_JSON_MAX (WIRE_RECORD_MAX - WIRE_FRAME_MAX + WIRE_PAYLOAD_MAX)

/* "20261123T101502Z-9f3c52d07a61be48" with its NUL. */
#define WIRE_EPOCH_SIZE 34

/*
 * OPEN    begins a slot. Its payload is the identity of the record, see payload.h.
 * CLOSE   ends an open slot: the identity, then a struct wire_outcome.
 * SINGLE  begins and ends a slot that never runs; its payload is that of a CLOSE.
 * RECORD  is what the publisher makes of these and keeps in the spool: the whole record as JSON.
 * SETTLED says that all checks of slots below its seq are over: nobody has ended those that are
 *         still open. It has no texts.
 *
 * Spools hold these numbers. Earlier versions kept records as 2 and 3.
 */
enum wire_type {
	WIRE_OPEN = 1,
	WIRE_RECORD = 2,
	WIRE_RECORD_OLD = 3, /* read as WIRE_RECORD */
	WIRE_CLOSE = 4,
	WIRE_SINGLE = 5,
	WIRE_SETTLED = 6,
};

/*
 * Which slot of which site, numbered within the epoch from 1: the sites in the order of their first
 * slots, and the slots of each site. With it the publisher counts records of a site without keeping
 * a count of them on the disk. Zeros: not known, as in spools of earlier versions.
 */
struct wire_ordinal {
	uint32_t site, slot;
};

/* How a slot ended. In a frame it is cut behind the result_size() bytes of the result. */
struct wire_outcome {
	int64_t lateness_us; /* RESULT_NONE: it never started */
	struct result result;
};

/* A decoded frame. The texts point into the buffer that was decoded and have no NUL behind them. */
struct frame {
	enum wire_type type;
	char epoch[WIRE_EPOCH_SIZE];
	uint64_t seq;
	int64_t slot_us;  /* UTC; the Kafka timestamp and ce_time */
	const char *site; /* the Kafka key */
	size_t site_size;
	const char *instance; /* ce_source */
	size_t instance_size;
	const char *payload; /* see enum wire_type */
	size_t payload_size;
	size_t identity_size; /* of the payload, which begins with it */
	uint64_t token; /* of the slot; 48 bits. 0 in a RECORD: spools hold no tokens of those */
	struct wire_ordinal ordinal; /* zeros in a RECORD */
};

/*
 * Encode a frame into `out` (WIRE_FRAME_MAX bytes; a RECORD: WIRE_RECORD_MAX). Returns its length,
 * or 0 when it does not fit, which the caps of payload.c exclude.
 */
size_t wire_encode(unsigned char *out, const struct frame *frame);

/*
 * Decode the frame at the start of `data`. Returns its length, or -1 when it is damaged (magic,
 * length, checksum) or incomplete: a frame is one write(2), so no reader of a pipe sees a part of
 * it.
 */
ssize_t wire_decode(const void *data, size_t size, struct frame *frame);

/*
 * The token of the slot of `frame`: a message authentication code over all that its OPEN says. The
 * supervisor makes it and the publisher checks it; no other process has the key.
 */
uint64_t wire_token(const unsigned char key[UTIL_KEY_SIZE], const struct frame *frame);

/* How many bytes to skip at the start of damaged `data`: up to a possible next frame, or `size`. */
size_t wire_resync(const void *data, size_t size);

/* Supervisor to checker: run the check of this slot. */
struct wire_job {
	uint32_t site; /* index into the checker's configuration */
	uint64_t seq;
	int64_t slot_us; /* UTC */
	int64_t interval_us;
	int64_t due_us; /* slot_us on the monotonic clock, which all processes share */
	int64_t
	    lease_us; /* util_boot_us() from which on the check must not begin; 0: in no group */
	/* to be sent back in its CLOSE */
	enum tristate alone; /* see struct slot */
	struct wire_ordinal ordinal;
	uint64_t token;
	char epoch[WIRE_EPOCH_SIZE];
};

/* The message of a slot whose OPEN was written and whose check did not begin in time. */
#define WIRE_LEASE_ENDED "the lease of its shard ended before the check began"

enum wire_done_type {
	WIRE_READY, /* the checker is initialised and has run no check yet */
	WIRE_DONE,
};

/* Checker to supervisor: the CLOSE frame of the job is in the pipe. */
struct wire_done {
	enum wire_done_type type;
	uint8_t leaving; /* whether the checker takes no further job and is about to exit */
	uint64_t seq;
	enum error_type error;
	int http_status;
	int64_t elapsed_us;
	int64_t busy_us;  /* all attempts, what lies between them, and the vantage */
	int64_t ended_us; /* monotonic */
	/* those of the result */
	int64_t phase_us[PHASE_COUNT];
	int64_t chain_expires_us;
	char error_message[128]; /* for the log; the record has it whole */
};

#endif
