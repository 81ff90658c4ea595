/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * How the daemon is, and who is told of it (status.c).
 */
#ifndef WEBMOND_STATUS_H
#define WEBMOND_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"
#include "publisher.h"

struct supervisor;

enum stage {
	STAGE_STARTING,
	STAGE_RUNNING,
	STAGE_STOPPING, /* checks end, checkers leave */
	STAGE_DRAINING, /* the pipes are closed, the publisher finishes */
	STAGE_OVER,
};

/* What the supervisor knows at one moment. */
struct supervisor_status {
	enum stage stage;
	size_t sites;
	size_t with[3];   /* of them, by the enum status of their last check */
	size_t not_known; /* of them: no check has ended yet */
	size_t elsewhere; /* of them: another member of the group has them, or nobody */
	int checkers_busy, checkers_max;
	enum publisher_output output;
	bool publisher_up;            /* there is one, and its spool is open */
	struct message_report report; /* its last one */
	bool in_group, alone;
	uint32_t shards, shards_total;
	int64_t lease_us;
};

struct supervisor_status status_now(const struct supervisor *s);

/*
 * "4 of 12 shards, lease 8 s": the part of a member of a group. Returns `buffer`; NULL without one.
 */
#define STATUS_GROUP_SIZE 112
const char *status_of_group(const struct supervisor_status *status, char *buffer, size_t size);

/* In one line: "3 sites: 3 up, …". Returns `buffer`, of STATUS_LINE_SIZE bytes. */
#define STATUS_LINE_SIZE 512
const char *status_line(const struct supervisor *s, const struct supervisor_status *status,
    int64_t now, char *buffer, size_t size);

/* The line of systemd, when it is due, and the watchdog's sign of life. */
void tell_status(struct supervisor *s, int64_t now);

/* Have the next tell_status() speak at once. */
void status_changed(struct supervisor *s);

/* The same line in the log, and the sites that are not up, with since when and why. */
void log_status(struct supervisor *s, int64_t now);

#endif
