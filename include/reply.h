/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * An answer to a client of the control socket (src/supervisor/control.h): lines of one flat JSON
 * object each, written in pieces as the client reads them. Nothing waits for it, and one that makes
 * no progress is given up.
 */
#ifndef WEBMOND_REPLY_H
#define WEBMOND_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "writer.h"

#define REPLY_PROTOCOL 1

/* No line is longer. */
#define REPLY_LINE_MAX 4096

/* Start from zeros, by reply_start(). */
struct reply {
	int fd;
	int64_t idle_until_us; /* monotonic: without progress it is given up then */
	int64_t until_us;      /* and then in any case */
	bool whole;            /* it is in `out` to its end */
	size_t size, sent;     /* of `out` */
	char out[4 * REPLY_LINE_MAX];
};

enum reply_status {
	REPLY_WAITS, /* for the client to read */
	REPLY_OVER,  /* it has all, or has closed */
	REPLY_STUCK, /* it does not read */
	REPLY_LATE,  /* it takes too long */
};

/* From now on it may be sent. */
void reply_start(struct reply *r, int64_t now_us);

/*
 * Send what the client takes now, a few pieces at most. `more` writes the next lines, as long as
 * reply_has_room() and not too much to do; it returns false when the last line is there.
 */
enum reply_status reply_send(struct reply *r,
    bool (*more)(void *arg, struct writer *w, int64_t now_us), void *arg, int64_t now_us);

/* Whether it has waited too long, as seen from here. */
enum reply_status reply_overdue(const struct reply *r, int64_t now_us);

/* When it is given up. */
int64_t reply_deadline_us(const struct reply *r);

/* Room for a line. */
static inline bool
reply_has_room(const struct writer *w)
{
	return w->end - w->at >= REPLY_LINE_MAX;
}

/* The first line, and the last one; error "": the answer is whole, `again`: later it may be. */
void reply_first(struct writer *w, const struct config *config);
void reply_last(struct writer *w, const char *error, bool again);

/* Any other line, around its members. */
void reply_begin(struct writer *w, const char *type);
void reply_end(struct writer *w);

#endif
