/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Records that give way to a `dropped` one, or to nothing: those that Kafka refuses, and the oldest
 * when the spool is at its cap.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "payload.h"
#include "util.h"

#define BURIED_KEPT  10000     /* dead letters; older ones go */
#define BURIED_BYTES (1 << 14) /* of the cap for each that is kept */
/* rows looked at for runs to drop: slots still open, up to workers.max, may part them */
#define DROP_LOOK (4 * 4096)

/* Keep a row as a dead letter. */
static enum spool_status
keep_dead(struct spool *s, uint64_t row, const char *reason)
{
	uint64_t kept = (uint64_t)s->options.max_bytes / BURIED_BYTES;
	enum spool_status status;

	spool_bind(s, BURY, 1, row);
	sqlite3_bind_text(s->statement[BURY], 2, reason, -1, SQLITE_STATIC);
	spool_bind(s, PURGE_DEAD, 1, kept < BURIED_KEPT ? kept : BURIED_KEPT);
	if ((status = spool_step(s, BURY, "keep a dead letter")) != SPOOL_OK ||
	    (status = spool_step(s, PURGE_DEAD, "purge dead letters")) != SPOOL_OK)
		return status;
	s->buried++;
	return SPOOL_OK;
}

/*
 * Put a `dropped` record with the identity of `row` in its place; `through` NULL: for itself alone.
 * Without a readable identity there is none, nor for one that is such a record alone already:
 * `*replaced` is false then, and the row as it was.
 */
static enum spool_status
drop_row(
    struct spool *s, uint64_t row, const uint64_t *through, const char *message, bool *replaced)
{
	sqlite3_stmt *st = spool_bind(s, SELECT_FRAME, 1, row);
	unsigned char out[WIRE_FRAME_MAX];
	struct frame frame;
	uint64_t last = 0;
	size_t size = 0;

	if (sqlite3_step(st) == SQLITE_ROW &&
	    (through != NULL || sqlite3_column_int64(st, 2) == 0) &&
	    wire_decode(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), &frame) >
		0) {
		last = through != NULL ? *through : (uint64_t)sqlite3_column_int64(st, 1);
		size = payload_unfinished(out, &frame, ERROR_DROPPED, (int64_t)last, message);
	}
	*replaced = size > 0;
	if (sqlite3_reset(st) != SQLITE_OK)
		return spool_failed(s, "read a record to drop");
	if (size == 0)
		return SPOOL_OK;
	spool_bind(s, REPLACE_READY, 1, row);
	spool_bind_blob(s, REPLACE_READY, 2, out, size);
	spool_bind(s, REPLACE_READY, 3, last);
	return spool_step(s, REPLACE_READY, "store a dropped record");
}

enum spool_status
spool_bury(struct spool *s, uint64_t row, const char *reason)
{
	enum spool_status status;
	char message[256];
	bool replaced;

	if ((status = keep_dead(s, row, reason)) != SPOOL_OK)
		return status;
	snprintf(message, sizeof(message),
	    "Kafka refused this record: %s; it was kept in the table dead of the spool", reason);
	status = drop_row(s, row, NULL, message, &replaced);
	if (status != SPOOL_OK || replaced)
		return status;
	log_error("spool: no record can take the place of this dead letter: its seq is missing in "
		  "the topic");
	return spool_delete(s, row, row);
}

/* --- the cap ----------------------------------------------------------------------------- */

struct droppable {
	uint64_t row;
	int64_t epoch;
	uint64_t seq, through;
};

/* Put one `dropped` record in the place of `run`. */
static enum spool_status
drop_run(struct spool *s, const struct droppable *run, int count)
{
	uint64_t through = run[count - 1].through;
	enum spool_status status;
	bool replaced = false;
	char message[128];

	snprintf(message, sizeof(message),
	    "the spool was full: %llu records were dropped; see spool.max_mb",
	    (unsigned long long)(through - run[0].seq + 1));
	status = drop_row(s, run[0].row, &through, message, &replaced);
	if (status != SPOOL_OK)
		return status;
	if (!replaced) /* the first is damaged: the next time the run begins behind it */
		status = keep_dead(s, run[0].row, "damaged on disk");
	for (int i = replaced; i < (replaced ? count : 1) && status == SPOOL_OK; i++)
		status = spool_delete(s, run[i].row, run[i].row);
	return status;
}

/* The first rows that surely were not sent yet, up to `max` of them, in the order of seq. */
static enum spool_status
find_droppable(struct spool *s, struct droppable *rows, int max, int *count)
{
	sqlite3_stmt *st;
	int code;

	*count = 0;
	/*
	 * Rows are sent in their order and deleted when confirmed, so only the oldest `window` can
	 * have been sent: beyond them an id cannot have two contents. In an outage they stay.
	 */
	if (s->untouchable == 0 && s->options.window > 0) {
		int64_t n = spool_number(spool_bind(s, SELECT_NTH, 1, s->options.window - 1));

		if (n <= 0)
			return SPOOL_OK; /* there are fewer */
		s->untouchable = (uint64_t)n;
	}
	spool_bind(s, SELECT_DROPPABLE, 1, s->untouchable);
	st = spool_bind(s, SELECT_DROPPABLE, 2, (uint64_t)max);
	while ((code = sqlite3_step(st)) == SQLITE_ROW)
		rows[(*count)++] = (struct droppable){ (uint64_t)sqlite3_column_int64(st, 0),
			sqlite3_column_int64(st, 1), (uint64_t)sqlite3_column_int64(st, 2),
			(uint64_t)sqlite3_column_int64(st, 3) };
	sqlite3_reset(st);
	return code == SQLITE_DONE ? SPOOL_OK : spool_failed(s, "look for records to drop");
}

static bool
is_above(struct spool *s, int64_t bytes)
{
	int64_t pages = spool_number(s->statement[ALL_PAGES]) -
			spool_number(s->statement[FREE_PAGES]);

	return pages * s->page_size > bytes;
}

/* Drop runs of consecutive seqs, each of at most `longest` rows, until there is room. */
static enum spool_status
drop_runs(struct spool *s, const struct droppable *rows, int count, int longest, int64_t goal,
    uint64_t *dropped)
{
	enum spool_status status = SPOOL_OK;

	for (int i = 0, end; i < count && status == SPOOL_OK && is_above(s, goal); i = end) {
		for (end = i + 1;
		     end < count && end - i < longest && rows[end].epoch == rows[i].epoch &&
		     rows[end].seq == rows[end - 1].through + 1;
		     end++)
			;
		if (end - i < 2)
			continue;
		status = drop_run(s, rows + i, end - i);
		*dropped += (uint64_t)(end - i - 1);
	}
	return status;
}

/*
 * Back below the cap, by as few records as that takes; a little further, so that not every
 * transaction has to look.
 */
enum spool_status
spool_keep_size(struct spool *s, uint64_t *dropped)
{
	const int64_t goal = s->options.max_bytes - s->options.max_bytes / 64;
	int longest = s->count / 64 < 16 ? 16 : (int)(s->count / 64);
	enum spool_status status = SPOOL_OK;
	struct droppable *rows;
	int count;

	*dropped = 0;
	if (!is_above(s, s->options.max_bytes))
		return SPOOL_OK;
	rows = xcalloc(DROP_LOOK, sizeof(*rows));
	for (int look = 4 * longest;; look *= 4) { /* where few have neighbours, a longer one */
		look = look < DROP_LOOK ? look : DROP_LOOK;
		status = find_droppable(s, rows, look, &count);
		if (status == SPOOL_OK)
			status = drop_runs(s, rows, count, longest, goal, dropped);
		if (status != SPOOL_OK || count < look || look == DROP_LOOK || !is_above(s, goal))
			break;
	}
	free(rows);
	return status;
}
