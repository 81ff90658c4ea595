/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The spool in SQLite. Called by the publisher only. Every result of every statement counts: a
 * COMMIT can succeed after all INSERTs of its transaction failed. Nothing is fatal here.
 */
#include "internal.h"

#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define DROP_SAY_US  (60 * US_PER_S)
#define SHRINK_BELOW 1000 /* rows; with more, free pages will be needed again */

uint64_t
spool_count(const struct spool *s)
{
	return s->count;
}

uint64_t
spool_buried(const struct spool *s)
{
	return s->buried;
}

/* --- opening ----------------------------------------------------------------------------- */

#define ADOPT_BATCH 256 /* open slots that one transaction adopts */

/*
 * Slots that another epoch left open get their record: nobody else will close them. In portions:
 * each row that goes makes room for the one that comes, so this works in a spool that is full too.
 */
static enum spool_status
adopt_open(struct spool *s, int64_t epoch)
{
	struct finish f = { .from = INT64_MIN,
		.below = INT64_MAX,
		.epoch = epoch,
		.message = "webmond ended while this check was running" };
	enum spool_status status;

	do {
		status = spool_begin(s);
		for (int i = 0; i < ADOPT_BATCH && status == SPOOL_OK; i++) {
			status = spool_finish_first(s, &f);
			if (!f.more)
				break;
		}
		if (status == SPOOL_OK)
			status = spool_commit(s);
	} while (status == SPOOL_OK && f.more);
	if (status == SPOOL_OK && f.finished > 0)
		log_notice("%llu checks of the last run never ended; their records say aborted",
		    (unsigned long long)f.finished);
	return status;
}

/* What the spool says of its last epoch, and of what waits; zeros in a new spool. */
struct last_epoch {
	bool ours;
	uint64_t window; /* the largest of all epochs that have rows */
};

static enum spool_status
read_last_epoch(struct spool *s, struct last_epoch *last)
{
	sqlite3_stmt *st;
	int code;

	if (sqlite3_prepare_v2(s->db,
		"SELECT n, next_seq, ready, id = ?1, (SELECT max(may_fly) FROM epoch), "
		"(SELECT max(n) FROM ready), (SELECT next_seq FROM epoch WHERE id = ?2) "
		"FROM epoch ORDER BY n DESC LIMIT 1",
		-1, &st, NULL) != SQLITE_OK)
		return spool_failed(s, "read the epoch");
	sqlite3_bind_text(st, 1, s->options.epoch, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, s->options.lost_epoch, -1, SQLITE_STATIC);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW) {
		s->epoch = sqlite3_column_int64(st, 0);
		s->next_seq = s->next_seq_stored = (uint64_t)sqlite3_column_int64(st, 1);
		s->count = s->count_stored = (uint64_t)sqlite3_column_int64(st, 2);
		last->ours = sqlite3_column_int(st, 3) != 0;
		last->window = (uint64_t)sqlite3_column_int64(st, 4);
		s->last_row = (uint64_t)sqlite3_column_int64(st, 5);
		s->lost_next_seq = (uint64_t)sqlite3_column_int64(st, 6);
	}
	sqlite3_finalize(st);
	return code == SQLITE_ROW || code == SQLITE_DONE ? SPOOL_OK
							 : spool_failed(s, "read the epoch");
}

/* Finish what the epoch before has left open, and begin ours. */
static enum spool_status
begin_epoch(struct spool *s, uint64_t window)
{
	enum spool_status status = adopt_open(s, s->epoch);

	if (status == SPOOL_OK)
		status = spool_begin(s);
	if (status != SPOOL_OK)
		return status;
	/* epochs older than the oldest row have nothing left; of a lost one frames may come */
	if (spool_run(s,
		"INSERT INTO epoch(id, next_seq, ready, may_fly) VALUES(%Q, 0, %lld, %lld);"
		"DELETE FROM epoch WHERE n < coalesce((SELECT epoch FROM ready ORDER BY "
		"n LIMIT 1), (SELECT max(n) FROM epoch)) AND id IS NOT %Q",
		s->options.epoch, (long long)s->count, (long long)window,
		s->options.lost_epoch) != SQLITE_OK)
		return spool_failed(s, "begin the epoch");
	s->epoch = spool_query(s, "SELECT max(n) FROM epoch");
	s->next_seq = s->next_seq_stored = 0;
	return spool_commit(s);
}

/* Go on with our epoch, or begin it. */
static enum spool_status
enter_epoch(struct spool *s)
{
	struct last_epoch last = { 0 };
	const uint64_t window = s->options.window;
	enum spool_status status = read_last_epoch(s, &last);

	if (status != SPOOL_OK)
		return status;
	if (last.window > window)
		s->options.window = last.window;
	if (last.ours) {
		if (last.window < window &&
		    spool_run(s, "UPDATE epoch SET may_fly = %lld", (long long)window) != SQLITE_OK)
			return spool_failed(s, "store the window");
		return SPOOL_OK;
	}
	if (s->path != NULL && s->options.supervisor != 0 && getppid() != s->options.supervisor) {
		/* what is open may be that of a daemon that runs by now */
		log_error("spool: an orphan begins no epoch: another daemon may have the spool");
		return SPOOL_IN_USE;
	}
	if (s->options.epoch_stored) {
		log_error("spool: the one with epoch %s has gone", s->options.epoch);
		return SPOOL_LOST;
	}
	return begin_epoch(s, window);
}

enum spool_status
spool_open(struct spool **spool, const struct spool_options *options)
{
	struct spool *s = xcalloc(1, sizeof(*s));
	enum spool_status status;

	s->options = *options;
	status = spool_connect(s);
	if (status == SPOOL_OK)
		status = enter_epoch(s);
	if (status == SPOOL_RETRY && s->gave_reserve) {
		spool_close(s); /* once more, with the room that this has made */
		return spool_open(spool, options);
	}
	if (status == SPOOL_OK)
		spool_plan_room(s); /* it has been told how much may be on its way */
	if (status == SPOOL_RETRY && (s->failing & 0xff) == SQLITE_BUSY) {
		log_error("spool: another program has \"%s\" open: close it", s->path);
		status = SPOOL_IN_USE;
	}
	if (status == SPOOL_OK)
		*spool = s;
	else
		spool_close(s);
	return status;
}

void
spool_close(struct spool *s)
{
	if (s == NULL)
		return;
	if (s->dropped > 0)
		log_error("spool: %llu more records were dropped", (unsigned long long)s->dropped);
	if (s->strangers > 0)
		log_warning("spool: %llu frames of other epochs were ignored",
		    (unsigned long long)s->strangers);
	if (s->refused > 0)
		log_error(
		    "spool: %llu frames of checkers were refused", (unsigned long long)s->refused);
	spool_disconnect(s);
	free(s->begun);
	free(s);
}

/* --- changes ----------------------------------------------------------------------------- */

void
spool_use_reserve(struct spool *s)
{
	s->last = true;
}

/* --- committing ------------------------------------------------------------------------ */

/* Loud, but not once for every transaction of a long outage. */
static void
say_dropped(struct spool *s)
{
	int64_t now = util_mono_us();

	if (s->dropped == 0 || (s->dropped_said_us != 0 && now - s->dropped_said_us < DROP_SAY_US))
		return;
	log_error("spool: at its limit (spool.max_mb): %llu records were dropped",
	    (unsigned long long)s->dropped);
	s->dropped = 0;
	s->dropped_said_us = now;
}

enum spool_status
spool_commit(struct spool *s)
{
	bool stored;
	uint64_t dropped;
	enum spool_status status = spool_store_begun(s);

	if (status == SPOOL_OK)
		status = spool_keep_size(s, &dropped);
	if (status == SPOOL_OK &&
	    (s->next_seq != s->next_seq_stored || s->count != s->count_stored)) {
		spool_bind(s, SET_EPOCH, 1, s->next_seq);
		spool_bind(s, SET_EPOCH, 2, s->count);
		spool_bind(s, SET_EPOCH, 3, (uint64_t)s->epoch);
		status = spool_step(s, SET_EPOCH, "store the next seq");
	}
	if (status == SPOOL_OK)
		status = spool_step(s, COMMIT, "commit");
	if (status != SPOOL_OK)
		return status;
	/* deleting alone does not count: while the disk is full it works */
	stored = s->next_seq != s->next_seq_stored || s->count > s->count_stored;
	s->next_seq_stored = s->next_seq;
	s->count_stored = s->count;
	s->unused &= !stored;
	s->dropped += dropped;
	say_dropped(s);
	if (s->failing != 0 && stored) {
		log_notice("spool: storing again");
		s->failing = 0;
	}
	return SPOOL_OK;
}

/* --- reading ----------------------------------------------------------------------------- */

enum spool_status
spool_read(struct spool *s, uint64_t after, int max,
    bool (*take)(void *arg, uint64_t row, const struct frame *frame), void *arg)
{
	sqlite3_stmt *st;
	uint64_t damaged = 0;
	bool go_on = true;
	int code = SQLITE_DONE;

	spool_bind(s, SELECT_READY, 1, after);
	st = spool_bind(s, SELECT_READY, 2, (uint64_t)max);
	while (go_on && damaged == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		uint64_t row = (uint64_t)sqlite3_column_int64(st, 0);
		struct frame frame;

		if (wire_decode(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1),
			&frame) > 0)
			go_on = take(arg, row, &frame);
		else
			damaged = row;
	}
	sqlite3_reset(st); /* an open reader would keep the log from being reused */
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return spool_failed(s, "read records");
	if (damaged != 0) {
		enum spool_status status = spool_begin(s);

		log_error("spool: row %llu is damaged; it was moved to the dead letters",
		    (unsigned long long)damaged);
		if (status == SPOOL_OK)
			status = spool_bury(s, damaged, "damaged on disk");
		if (status == SPOOL_OK)
			status = spool_commit(s);
		return status;
	}
	return SPOOL_OK;
}

bool
spool_shrink(struct spool *s)
{
	/* where there is no room for the reserve, each page counts */
	int64_t kept = s->reserved || s->reserve_bytes == 0 ? SPOOL_PAGES_KEPT : 1;

	if (s->path == NULL || s->count > SHRINK_BELOW ||
	    spool_number(s->statement[FREE_PAGES]) < kept)
		return false;
	/* what goes wrong here the next transaction meets as well */
	while (sqlite3_step(s->statement[SHRINK]) == SQLITE_ROW)
		;
	return sqlite3_reset(s->statement[SHRINK]) == SQLITE_OK;
}
