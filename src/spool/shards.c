/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The shards that a member of a group had last, so that it can begin without Kafka. Called by the
 * publisher; nothing depends on it.
 */
#include "internal.h"

#include <string.h>

#include "log.h"

#define AGE_MAX_S (24 * 3600)

/* Only spools of members have it. It has one row. */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS shard(n INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " topic TEXT NOT NULL, total INTEGER NOT NULL, taken BLOB NOT NULL, at INTEGER NOT NULL,"
    " slot_us INTEGER NOT NULL)";

void
spool_store_shards(struct spool *s, const struct spool_shards *shards)
{
	sqlite3_stmt *st;
	int code;

	if (s->db == NULL)
		return;
	code = spool_run(s, schema);
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(s->db,
		    "INSERT INTO shard(n, name, topic, total, taken, at, slot_us) "
		    "VALUES(1, ?1, ?2, ?3, ?4, unixepoch(), ?5) ON CONFLICT(n) DO UPDATE SET "
		    "name = ?1, topic = ?2, total = ?3, taken = ?4, at = excluded.at, "
		    "slot_us = max(slot_us, ?5)",
		    -1, &st, NULL);
	if (code == SQLITE_OK) {
		sqlite3_bind_text(st, 1, shards->group, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, shards->topic, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 3, shards->total);
		sqlite3_bind_blob(
		    st, 4, shards->taken, (int)(shards->total + 7) / 8, SQLITE_STATIC);
		sqlite3_bind_int64(st, 5, s->newest_slot_us);
		sqlite3_step(st);
		code = sqlite3_finalize(st);
	}
	if (code != SQLITE_OK) /* the next transaction meets it as well, if it is serious */
		log_warning("spool: cannot store which shards are ours: %s", sqlite3_errstr(code));
}

void
spool_note_newest(struct spool *s)
{
	if (s->db != NULL && s->newest_slot_us != 0)
		spool_run(s,
		    "UPDATE shard SET slot_us = %lld, at = unixepoch() WHERE slot_us < %lld",
		    (long long)s->newest_slot_us, (long long)s->newest_slot_us);
}

bool
spool_load_shards(struct spool *s, struct spool_shards *shards)
{
	sqlite3_stmt *st;
	bool found = false;

	memset(shards->taken, 0, sizeof(shards->taken));
	if (s->db == NULL ||
	    sqlite3_prepare_v2(s->db,
		"SELECT total, taken, slot_us FROM shard WHERE name = ?1 AND topic = ?2 AND "
		"at BETWEEN unixepoch() - ?3 AND unixepoch() + ?3",
		-1, &st, NULL) != SQLITE_OK)
		return false;
	sqlite3_bind_text(st, 1, shards->group, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, shards->topic, -1, SQLITE_STATIC);
	sqlite3_bind_int(st, 3, AGE_MAX_S);
	if (sqlite3_step(st) == SQLITE_ROW) {
		int64_t total = sqlite3_column_int64(st, 0);
		const void *taken = sqlite3_column_blob(st, 1);
		int size = sqlite3_column_bytes(st, 1);

		found = total > 0 && total <= SHARDS_MAX && size == (int)(total + 7) / 8;
		if (found) {
			shards->total = (uint32_t)total;
			shards->newest_us = sqlite3_column_int64(st, 2);
			memcpy(shards->taken, taken, (size_t)size);
		}
	}
	sqlite3_finalize(st);
	return found;
}
