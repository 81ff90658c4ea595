/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the publisher sends: records of the spool in its order, through a window of those that are
 * sent and not confirmed.
 */
#ifndef WEBMOND_SENDER_H
#define WEBMOND_SENDER_H

#include "publisher.h"
#include "spool.h"

struct sender {
	const struct publisher_start *start;
	struct spool *spool;
	struct kafka *kafka; /* NULL: there is none now */

	struct row *window; /* `count`, in their order: no others of the spool up to the last */
	uint64_t window_size, count;
	uint64_t flying, to_delete;
	uint64_t last_sent;      /* row */
	uint64_t single_through; /* rows up to here are sent one at a time */
	bool probing;            /* after a refusal: one at a time until one is taken */
	bool rewind;             /* send again from the lowest row, once nothing flies */
	char why_unfit[128];
	int64_t forward_us;                /* the last time that there was nothing to send again */
	bool more_to_send;                 /* the last look ended only because it was long enough */
	int64_t not_before_us, backoff_us; /* of sending */
	int64_t next_send_us;              /* of few records */
	int64_t delivered_us;              /* the last confirmation */
	int64_t overtaken_us;              /* the first one of a row behind the oldest; 0: none */
	int64_t slow_us;                   /* when a row went that waits too long; 0: none does */
	int64_t next_look_us;              /* for such a row */
	bool catching_up;                  /* after an outage: what waited is being sent */
	uint64_t delivered;
	int stdout_errno; /* why it takes no more; EPIPE: its reader has gone */

	/* set by the publisher */
	bool handing_over; /* nothing more is sent: a successor does */
	bool leaving;      /* nothing waits for company any more */
};

/* At most `window` records are on their way. Lives as long as the process. */
void sender_init(
    struct sender *s, const struct publisher_start *start, struct spool *spool, uint64_t window);

/* Hear what became of what was sent, and send what may go now. */
enum spool_status sender_send(struct sender *s, int64_t now);

/*
 * Within a transaction: delete rows whose records have arrived, and bury those that Kafka refuses
 * for good: `*deleted` of both. Once that is committed, sender_forget() them.
 */
enum spool_status sender_delete(struct sender *s, uint64_t *deleted);
void sender_forget(struct sender *s, uint64_t deleted);

/* Whether sending waits for that: for room in the window, or for the window to be empty. */
bool sender_wants_deletion(const struct sender *s);

/*
 * Whether sending waits for verdicts of Kafka; then sender_fd(), -1 without a producer, is readable
 * when there is one.
 */
bool sender_wants_verdicts(const struct sender *s, int64_t now);
int sender_fd(const struct sender *s);

/* Whether there are few to be sent and they wait for more. */
bool sender_is_gathering(const struct sender *s, int64_t now);

/* Whether records get through, each in time, as far as is known. */
bool sender_is_delivering(const struct sender *s);

/* Wait until all that was sent has a verdict. */
void sender_flush(struct sender *s, int timeout_ms);

#endif
