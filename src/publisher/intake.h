/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From the two pipes into the spool. The publisher calls intake_peek(), then within a transaction
 * intake_apply(), and after the commit intake_consume(): frames leave a pipe only when they are
 * stored.
 */
#ifndef WEBMOND_INTAKE_H
#define WEBMOND_INTAKE_H

#include <poll.h>

#include "pipe.h"
#include "spool.h"

enum intake_writer {
	FROM_SUPERVISOR,
	FROM_CHECKERS,
	INTAKE_PIPES,
};

struct intake {
	struct intake_pipe {
		int fd;
		struct pipe_peek *peek;
		struct pipe_view view;
		size_t used; /* bytes of the view that were applied or skipped */
	} pipes[INTAKE_PIPES];
	bool ready; /* there is something to read */
	const char *epoch;
	const unsigned char *token_key;
	struct slot_end *ends; /* of the running transaction */
	size_t end_count, end_room;
	uint64_t settled; /* all checks below are over; 0: nothing to settle */
	uint64_t taken;   /* bytes consumed out of the checkers' pipe */
	bool damage_logged, refusal_logged;
};

/*
 * `epoch` and `token_key` (UTIL_KEY_SIZE bytes) are kept, not copied. Returns 0, or -1 with the
 * reason logged. Lives as long as the process.
 */
int intake_init(struct intake *in, int supervisor_fd, int checkers_fd, const char *epoch,
    const unsigned char *token_key);

/* Look into both pipes; `ready` is false then. Returns 0, or -1 with the reason logged. */
int intake_peek(struct intake *in);

/* Whether the last look showed anything. */
bool intake_has_frames(const struct intake *in);

/* Whether it showed so much that the pipes should be emptied more often. */
bool intake_is_busy(const struct intake *in);

/* Whether both pipes have ended: nothing more will come. */
bool intake_has_ended(const struct intake *in);

/* Within a transaction: begin and end the slots that the last look showed. */
enum spool_status intake_apply(struct intake *in, struct spool *spool);

/* Nothing is applied in this transaction: intake_consume() is to take nothing. */
void intake_skip(struct intake *in);

/*
 * What was applied is committed: take it out of the pipes. Returns 0, or -1 with the reason logged.
 */
int intake_consume(struct intake *in);

/*
 * The descriptors to poll. When poll(2) has set `ready`, the time of the next transaction is fixed:
 * until then the pipes are not polled, so that not each new frame wakes us.
 */
void intake_polls(const struct intake *in, struct pollfd polls[INTAKE_PIPES]);

#endif
