/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Sends the records of the spool to an output, in their order, through a window of those that are
 * sent and have no answer yet.
 */
#ifndef WEBMOND_SENDER_H
#define WEBMOND_SENDER_H

#include "output.h"
#include "spool.h"

enum sender_mode {
	SENDER_LINGERS, /* a few records wait a moment for more */
	SENDER_HURRIES, /* they do not, and answers are waited for */
	SENDER_STOPS,   /* likewise, and nothing more is sent */
};

struct sender {
	const struct output *output;
	const struct config *config;
	struct spool *spool;
	void *handle;          /* of the output; NULL: it is not open now */
	enum sender_mode mode; /* set by the publisher */

	struct row *window; /* `count`, ascending: no others of the spool up to the last */
	uint64_t window_size, count;
	uint64_t in_flight, to_delete;
	uint64_t last_sent;      /* row */
	uint64_t single_through; /* rows up to here are sent one at a time */
	bool single_mode;        /* after a refusal: one at a time until one is taken */
	bool resend;             /* send again from the lowest row, once nothing is in flight */
	char why_unfit[128];
	bool more_to_send; /* the last round ended only because it was long enough */
	int64_t not_before_us, backoff_us; /* of sending */
	int64_t next_send_us;              /* of a few records */
	uint64_t oldest;                   /* row, when that was looked at */
	bool overtaken;                    /* a row behind the oldest was confirmed before it */
	int64_t last_progress_us;          /* the last time that no row was overdue */
	int64_t slow_us;                   /* when a row was sent that waits too long; 0: none */
	bool catching_up;                  /* after an outage: what waited is being sent */
	uint64_t delivered;
};

/* At most `window` records are in flight. Lives as long as the process. */
void sender_init(struct sender *s, const struct output *output, const struct config *config,
    struct spool *spool, uint64_t window);

/* Take the answers to what was sent, and send what may go now. */
enum spool_status sender_send(struct sender *s, int64_t now);

/*
 * Within a transaction: delete the rows that have arrived, and make dead letters of those that are
 * refused for good; `*deleted` counts both. Once that is committed, call sender_deleted().
 */
enum spool_status sender_delete(struct sender *s, uint64_t *deleted);
void sender_deleted(struct sender *s, uint64_t deleted);

/* Whether sending waits for that: for room in the window, or for the window to be empty. */
bool sender_wants_deletion(const struct sender *s);

/*
 * When sender_send() has something to do though nothing becomes ready; INT64_MAX: never.
 * `tick_is_coming`: the next transaction is near, and brings more to send.
 */
int64_t sender_wake_us(const struct sender *s, int64_t now, bool tick_is_coming);

/* What else it waits for; `fd` -1: nothing. */
struct pollfd sender_wait_for(const struct sender *s, int64_t now);

/* Whether more may be stored: an output that is not durable holds up the pipes. */
bool sender_has_room(const struct sender *s);

/* Whether all that is stored has arrived. */
bool sender_is_done(const struct sender *s);

/* Of the output; OUTPUT_FAILING while it is not open. */
enum output_state sender_output_state(const struct sender *s);

/* Whether records get through, each in time, as far as is known. */
bool sender_is_delivering(const struct sender *s);

/* Wait until all that was sent has an answer. */
void sender_flush(struct sender *s, int timeout_ms);

#endif
