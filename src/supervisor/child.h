/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The supervisor's side of its processes, whatever they are: which there are, and when the next one
 * is to be killed. Pure: it starts and kills no process, and the clock is passed in.
 */
#ifndef WEBMOND_CHILD_H
#define WEBMOND_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "proc.h"

enum child_role {
	CHILD_PUBLISHER,
	CHILD_VALIDATION,
	CHILD_METRICS,
	CHILD_CHECKER,
};

/*
 * It becomes a child by children_add(), and lives as long as the supervisor, with a process or not.
 */
struct child {
	enum child_role role;
	pid_t pid; /* 0: no process */
	int fd;    /* our end of the channel; -1: closed */
	struct proc_backoff backoff;
	int64_t kill_at_us; /* monotonic; INT64_MAX: it may live on */
};

/* Start from zeros. */
struct children {
	struct child **child;
	int count;
	int64_t next_kill_us; /* not later than the earliest; INT64_MAX: none */
};

void children_add(struct children *all, struct child *c, enum child_role role);

/* The child with this PID, or NULL. */
struct child *children_find(const struct children *all, pid_t pid);

/* When it is to be killed. */
void children_set_kill(struct children *all, struct child *c, int64_t at_us);

/* Let all live until `until_us` at least. */
void children_postpone(struct children *all, int64_t until_us);

/* One that is to be killed now, or NULL. Its time is INT64_MAX then. */
struct child *children_overdue(struct children *all, int64_t now_us);

/* Close our end. */
void child_close(struct child *c);

/* Send a signal, if there is a process. */
void child_signal(const struct child *c, int signal_number);

#endif
