/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * How the spool is. Called by the publisher, each second for the administrator; a fact that cannot
 * be read is 0.
 */
#include "internal.h"

/* The slot of the first record. */
static int64_t
find_oldest(struct spool *s)
{
	sqlite3_stmt *st = spool_bind(s, SELECT_READY, 1, 0);
	struct frame frame;
	int64_t slot_us = 0;

	spool_bind(s, SELECT_READY, 2, 1);
	if (sqlite3_step(st) == SQLITE_ROW && spool_column_frame(st, 1, &frame))
		slot_us = frame.slot_us;
	sqlite3_reset(st);
	return slot_us;
}

/* The table may be long, and changes rarely. */
static uint64_t
count_dead(struct spool *s)
{
	int64_t count;

	if (s->dead_counted == s->dead_letters + 1)
		return s->dead_kept;
	count = spool_query(s, "SELECT count(*) FROM dead");
	s->dead_counted = s->dead_letters + 1; /* 0: never */
	s->dead_kept = count > 0 ? (uint64_t)count : 0;
	return s->dead_kept;
}

uint64_t
spool_last_row(const struct spool *s)
{
	return s->last_row;
}

bool
spool_is_through(struct spool *s, uint64_t row)
{
	sqlite3_stmt *st = spool_bind(s, SELECT_READY, 1, 0);
	int64_t first;

	if (spool_count(s) == 0)
		return true;
	spool_bind(s, SELECT_READY, 2, 1);
	first = spool_number(st);
	return first < 0 || (uint64_t)first > row;
}

void
spool_describe(struct spool *s, struct spool_facts *facts)
{
	int64_t pages = spool_number(s->statement[ALL_PAGES]) -
			spool_number(s->statement[FREE_PAGES]);

	*facts = (struct spool_facts){ .oldest_us = spool_count(s) > 0 ? find_oldest(s) : 0,
		.bytes = pages > 0 ? pages * s->page_size : 0,
		.dead = count_dead(s),
		.dropped = s->dropped_ever };
}
