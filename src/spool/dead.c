/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The dead letters, for an administrator. They are kept until somebody deletes them, or until there
 * are too many, see drop.c. Called by the publisher.
 */
#include "internal.h"

static const char *
column_text(sqlite3_stmt *st, int column)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	return text != NULL ? (const char *)text : "";
}

enum spool_status
spool_read_dead(struct spool *s, uint64_t after, int max,
    bool (*visit)(void *arg, const struct spool_dead *dead), void *arg)
{
	sqlite3_stmt *st;
	bool go_on = true;
	int code = SQLITE_DONE;

	spool_bind(s, SELECT_DEAD, 1, after);
	st = spool_bind(s, SELECT_DEAD, 2, (uint64_t)max);
	while (go_on && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct spool_dead dead = { .number = (uint64_t)sqlite3_column_int64(st, 0),
			.reason = column_text(st, 2),
			.at = column_text(st, 3) };

		dead.readable = spool_column_frame(st, 1, &dead.frame);
		go_on = visit(arg, &dead);
	}
	sqlite3_reset(st);
	return code == SQLITE_ROW || code == SQLITE_DONE ? SPOOL_OK
							 : spool_failed(s, "read dead letters");
}

enum spool_status
spool_delete_dead(struct spool *s, uint64_t first, uint64_t last, uint64_t *count)
{
	enum spool_status status = spool_begin(s);

	*count = 0;
	spool_bind(s, DELETE_DEAD, 1, first);
	spool_bind(s, DELETE_DEAD, 2, last);
	if (status == SPOOL_OK)
		status = spool_step(s, DELETE_DEAD, "delete dead letters");
	if (status == SPOOL_OK)
		*count = (uint64_t)sqlite3_changes(s->db);
	if (status == SPOOL_OK)
		status = spool_commit(s);
	s->dead_counted = 0; /* to be counted anew */
	return status;
}
