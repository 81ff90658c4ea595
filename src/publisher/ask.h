/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What an administrator asks about the spool. The supervisor passes clients of its control socket
 * on, since only the publisher may read the spool; see src/supervisor/control.h.
 *
 *   spool               what waits: {"type":"waiting",…} for each site
 *   spool list          {"type":"dead",…} for each dead letter
 *   spool show N        that one, and its record
 *   spool drop N|all    deletes; {"type":"dropped","records":N}
 */
#ifndef WEBMOND_ASK_H
#define WEBMOND_ASK_H

#include <poll.h>

#include "config.h"
#include "spool.h"

#define ASKS_MAX 4

/* Start from zeros. */
struct asks {
	struct ask *ask[ASKS_MAX]; /* `count`, without gaps */
	int count;
};

/*
 * A request of `size` bytes, without a line break, and its client: sent away if there are too many.
 */
void
asks_add(struct asks *asks, const struct config *config, const char *line, size_t size, int fd);

/* What they wait for; at most ASKS_MAX. Returns how many. */
int asks_polls(const struct asks *asks, struct pollfd *polls);

/* Go on with each as far as that is possible now. */
void asks_serve(struct asks *asks, struct spool *spool);

#endif
