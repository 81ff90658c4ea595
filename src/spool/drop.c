/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Records that give way: dead letters, which Kafka refuses, and the oldest when the spool is at its
 * cap. A `dropped` record takes their place, so that the topic has no hole.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "payload.h"
#include "util.h"

#define DEAD_LETTERS_MAX  10000     /* kept; older ones are deleted */
#define DEAD_LETTER_BYTES (1 << 14) /* a small spool keeps one per this many bytes of its cap */

/*
 * Rows in which runs to drop are looked for. Slots that are still open, up to workers.max of them,
 * may separate neighbours.
 */
#define DROP_LOOK (4 * 4096)

/* Copy a row to the dead letters. */
static enum spool_status
keep_dead_letter(struct spool *s, uint64_t row, const char *reason)
{
	uint64_t kept = (uint64_t)s->options.max_bytes / DEAD_LETTER_BYTES;
	enum spool_status status;

	spool_bind(s, INSERT_DEAD, 1, row);
	sqlite3_bind_text(s->statement[INSERT_DEAD], 2, reason, -1, SQLITE_STATIC);
	spool_bind(s, PURGE_DEAD, 1, kept < DEAD_LETTERS_MAX ? kept : DEAD_LETTERS_MAX);
	status = spool_step(s, INSERT_DEAD, "keep a dead letter");
	if (status == SPOOL_OK)
		status = spool_step(s, PURGE_DEAD, "purge dead letters");
	s->dead_letters += status == SPOOL_OK;
	return status;
}

/*
 * Replace `row` by a `dropped` record with its identity, which stands for all seqs through
 * `*through` (NULL: for those that the row stood for). `*replaced` is false, and the row unchanged,
 * if its identity cannot be read, or without `through` if it is such a record already.
 */
static enum spool_status
replace_row(
    struct spool *s, uint64_t row, const uint64_t *through, const char *message, bool *replaced)
{
	sqlite3_stmt *st = spool_bind(s, SELECT_FRAME, 1, row);
	unsigned char out[WIRE_RECORD_MAX];
	struct frame frame;
	uint64_t last = 0;
	size_t size = 0;

	if (sqlite3_step(st) == SQLITE_ROW &&
	    (through != NULL || sqlite3_column_int64(st, 2) == 0) &&
	    spool_column_frame(st, 0, &frame)) {
		last = through != NULL ? *through : (uint64_t)sqlite3_column_int64(st, 1);
		size = payload_unfinished(out, &frame, ERROR_DROPPED, (int64_t)last, NULL, message);
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
spool_dead_letter(struct spool *s, uint64_t row, const char *reason)
{
	enum spool_status status = keep_dead_letter(s, row, reason);
	char message[256];
	bool replaced;

	if (status != SPOOL_OK)
		return status;
	snprintf(message, sizeof(message),
	    "Kafka refused this record: %s; it was kept in the table dead of the spool", reason);
	status = replace_row(s, row, NULL, message, &replaced);
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

/* Replace the rows of a run by one `dropped` record in the place of the first. */
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
	status = replace_row(s, run[0].row, &through, message, &replaced);
	if (status == SPOOL_OK && !replaced) {
		/* it is damaged; the next time the run begins behind it */
		status = keep_dead_letter(s, run[0].row, "damaged on disk");
		return status == SPOOL_OK ? spool_delete(s, run[0].row, run[0].row) : status;
	}
	for (int i = 1; i < count && status == SPOOL_OK; i++)
		status = spool_delete(s, run[i].row, run[i].row);
	return status;
}

/* The first rows that surely were not sent yet, up to DROP_LOOK of them, in the order of seq. */
static enum spool_status
find_droppable(struct spool *s, struct droppable *rows, int *count)
{
	sqlite3_stmt *st;
	int code;

	*count = 0;
	/*
	 * Rows are sent in their order and deleted when Kafka has confirmed them, so only the
	 * oldest `window` rows can have been sent. They stay: one id has one content.
	 */
	if (s->sent_through == 0 && s->options.window > 0) {
		int64_t n = spool_number(spool_bind(s, SELECT_NTH, 1, s->options.window - 1));

		if (n <= 0)
			return SPOOL_OK; /* there are fewer */
		s->sent_through = (uint64_t)n;
	}
	spool_bind(s, SELECT_DROPPABLE, 1, s->sent_through);
	st = spool_bind(s, SELECT_DROPPABLE, 2, DROP_LOOK);
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

enum spool_status
spool_enforce_cap(struct spool *s, uint64_t *dropped)
{
	/* a little below the cap, so that not every transaction has to drop */
	const int64_t goal = s->options.max_bytes - s->options.max_bytes / 64;
	/* as few records as that takes, but not many small runs */
	const int longest = s->now.ready / 64 < 16 ? 16 : (int)(s->now.ready / 64);
	enum spool_status status;
	struct droppable *rows;
	int count;

	*dropped = 0;
	if (!is_above(s, s->options.max_bytes))
		return SPOOL_OK;
	rows = xcalloc(DROP_LOOK, sizeof(*rows));
	status = find_droppable(s, rows, &count);
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
	free(rows);
	return status;
}
