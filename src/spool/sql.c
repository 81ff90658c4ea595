/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The statements of the spool, and the few ways to run SQL. Knows nothing of what the spool means;
 * errors are SQLite's codes, which db.c explains.
 */
#include "internal.h"

#include <stdarg.h>

static const char *const statement_text[STATEMENT_COUNT] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[INSERT_OPEN] = "INSERT OR IGNORE INTO open(seq, frame) VALUES(?1, ?2)",
	[DELETE_OPEN] = "DELETE FROM open WHERE seq = ?1",
	[FIRST_OPEN] = "SELECT seq, frame FROM open WHERE seq >= ?1 AND seq < ?2 "
		       "ORDER BY seq LIMIT 1",
	[INSERT_READY] =
	    "INSERT INTO ready(n, epoch, seq, through, frame) VALUES(?4, ?1, ?2, ?2, ?3)",
	[SET_EPOCH] = "UPDATE epoch SET next_seq = ?1, ready = ?2 WHERE n = ?3",
	[DELETE_READY] = "DELETE FROM ready WHERE n BETWEEN ?1 AND ?2",
	[INSERT_DEAD] =
	    "INSERT INTO dead(frame, reason, at) SELECT frame, ?2, datetime('now') FROM ready "
	    "WHERE n = ?1",
	[PURGE_DEAD] = "DELETE FROM dead WHERE n <= (SELECT max(n) FROM dead) - ?1",
	[SELECT_READY] = "SELECT n, frame FROM ready WHERE n > ?1 ORDER BY n LIMIT ?2",
	[SELECT_NTH] = "SELECT n FROM ready ORDER BY n LIMIT 1 OFFSET ?1",
	[SELECT_DROPPABLE] =
	    "SELECT n, epoch, seq, through FROM (SELECT n, epoch, seq, through FROM "
	    "ready WHERE n > ?1 ORDER BY n LIMIT ?2) ORDER BY epoch, seq",
	[ALL_PAGES] = "PRAGMA page_count",
	[FREE_PAGES] = "PRAGMA freelist_count",
	/* inside a JSON string these quotes would be escaped: it can only be the field */
	[SELECT_FRAME] = "SELECT frame, through, instr(frame, CAST('\"error_type\":\"dropped\"' AS "
			 "BLOB)) FROM ready WHERE n = ?1",
	[REPLACE_READY] = "UPDATE ready SET frame = ?2, through = ?3 WHERE n = ?1",
	[SET_STREAK] = "INSERT OR REPLACE INTO streak(site, epoch, slot, slot_us, status) "
		       "VALUES(?1, ?2, ?3, ?4, ?5)",
	[SELECT_DEAD] = "SELECT n, frame, reason, at FROM dead WHERE n > ?1 ORDER BY n LIMIT ?2",
	[DELETE_DEAD] = "DELETE FROM dead WHERE n BETWEEN ?1 AND ?2",
	[SHRINK] = "PRAGMA incremental_vacuum(500)",
};

int
spool_prepare(struct spool *s)
{
	int code = SQLITE_OK;

	for (int i = 0; i < STATEMENT_COUNT && code == SQLITE_OK; i++)
		code = sqlite3_prepare_v3(s->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
		    &s->statement[i], NULL);
	return code;
}

void
spool_finalize(struct spool *s)
{
	for (int i = 0; i < STATEMENT_COUNT; i++) {
		sqlite3_finalize(s->statement[i]);
		s->statement[i] = NULL;
	}
}

sqlite3_stmt *
spool_bind(struct spool *s, enum statement which, int index, uint64_t value)
{
	sqlite3_bind_int64(s->statement[which], index, (sqlite3_int64)value);
	return s->statement[which];
}

void
spool_bind_blob(struct spool *s, enum statement which, int index, const void *data, size_t size)
{
	sqlite3_bind_blob(s->statement[which], index, data, (int)size, SQLITE_STATIC);
}

bool
spool_column_frame(sqlite3_stmt *st, int column, struct frame *frame)
{
	const void *bytes = sqlite3_column_blob(st, column);

	return wire_decode(bytes, (size_t)sqlite3_column_bytes(st, column), frame) > 0;
}

int64_t
spool_number(sqlite3_stmt *st)
{
	int64_t value = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;

	sqlite3_reset(st);
	return value;
}

int
spool_run(struct spool *s, const char *format, ...)
{
	int code = SQLITE_NOMEM;
	va_list ap;
	char *sql;

	va_start(ap, format);
	sql = sqlite3_vmprintf(format, ap);
	va_end(ap);
	if (sql != NULL)
		code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	return code;
}

int64_t
spool_query(struct spool *s, const char *sql)
{
	sqlite3_stmt *st;
	int64_t value;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return -1;
	value = spool_number(st);
	sqlite3_finalize(st);
	return value;
}

void
spool_checkpoint(struct spool *s)
{
	if (s->db != NULL && s->path != NULL)
		spool_run(s, "PRAGMA wal_checkpoint(TRUNCATE)");
}
