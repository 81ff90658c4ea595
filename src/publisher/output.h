/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Where records go: Kafka (kafka.c), standard output or nowhere (stdout.c). The sender knows
 * outputs by this interface only; a new one is a table like theirs, a row in publisher.c, and a
 * value of enum publisher_output.
 */
#ifndef WEBMOND_OUTPUT_H
#define WEBMOND_OUTPUT_H

#include <poll.h>

#include "config.h"
#include "wire.h"

/* What became of a record that was sent. */
enum answer {
	ANSWER_DELIVERED, /* confirmed */
	ANSWER_REFUSED,   /* not for its own sake (rights, topic, shutdown): send it again later */
	ANSWER_UNFIT,     /* too large or invalid, it or its batch: send it alone */
	ANSWER_UNTIMELY,  /* its time is too far from the broker's: too old, or the clocks differ */
};

/* From OUTPUT_CLOSED on it is the end. */
enum output_state {
	OUTPUT_DELIVERING, /* the last record was taken */
	OUTPUT_FAILING,    /* nothing was taken yet, or nothing is now */
	OUTPUT_BROKEN,     /* to be closed and opened anew */
	OUTPUT_CLOSED,     /* nobody wants more: the reader has gone */
	OUTPUT_LOST,       /* it takes nothing any more, for a reason that was logged */
};

/* What an output calls; `arg` comes first in each call. */
struct output_handler {
	/* `why`: for ANSWER_UNFIT the reason that is kept with the record */
	void (*answer)(void *arg, uint64_t row, enum answer answer, const char *why);
	uint64_t (*waiting)(void *arg); /* how many records are not delivered yet */
	void *arg;
};

/* A kind of output. `handle` is what open() returned. */
struct output {
	/* true: records that cannot be sent now wait in a spool on disk; false: they stay in the
	 * pipes, so a slow reader slows down the checks, and a stop waits for the reader */
	bool durable;

	/*
	 * Make it ready, with the rights of this process. Returns NULL with each reason in
	 * `mistakes`.
	 */
	void *(*open)(const struct config *config, const struct output_handler *handler,
	    struct mistakes *mistakes);

	/* Give up what has no answer (it gets ANSWER_REFUSED) and free the handle. */
	void (*close)(void *handle);

	/*
	 * Send a record. Its answer comes through the handler: at once, or later out of serve().
	 * False: there is no room now, and no answer will come.
	 */
	bool (*send)(void *handle, uint64_t row, const struct frame *frame);

	/*
	 * Take answers, errors and logs. With `flush_ms`, what lingers is sent, and answers are
	 * waited for up to this time.
	 */
	void (*serve)(void *handle, int flush_ms);

	/* What becomes ready when serve() or send() has something to do. */
	struct pollfd (*wait_for)(const void *handle);

	enum output_state (*state)(const void *handle);
};

#endif
