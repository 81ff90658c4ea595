/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The queue: opening with its epoch, committing, reading. The result of every statement is checked,
 * because a COMMIT can succeed after all INSERTs of its transaction have failed. Nothing is fatal
 * here.
 */
#include "internal.h"

#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define ADOPT_BATCH 256             /* open slots that one transaction finishes */
#define DROP_LOG_US (60 * US_PER_S) /* how often dropped records are logged */

uint64_t
spool_count(const struct spool *s)
{
	return s->now.ready;
}

uint64_t
spool_dead_letters(const struct spool *s)
{
	return s->dead_letters;
}

/* --- opening ----------------------------------------------------------------------------- */

/*
 * Finish the slots that the last epoch left open: nobody else will. In batches: each row that goes
 * makes room for its record, so this works in a spool that is full as well.
 */
static enum spool_status
adopt_open(struct spool *s)
{
	struct finish f = { .from = INT64_MIN,
		.below = INT64_MAX,
		.epoch = s->epoch,
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

/* Read what the spool says of its last epoch: whether it is ours, and the largest window so far. */
static enum spool_status
read_last_epoch(struct spool *s, bool *ours, uint64_t *window)
{
	sqlite3_stmt *st;
	int code;

	if (sqlite3_prepare_v2(s->db,
		"SELECT n, next_seq, ready, id = ?1, (SELECT max(may_fly) FROM epoch), "
		"(SELECT max(n) FROM ready), (SELECT n FROM epoch WHERE id = ?2), "
		"(SELECT next_seq FROM epoch WHERE id = ?2) "
		"FROM epoch ORDER BY n DESC LIMIT 1",
		-1, &st, NULL) != SQLITE_OK)
		return spool_failed(s, "read the epoch");
	sqlite3_bind_text(st, 1, s->options.epoch, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, s->options.lost_epoch, -1, SQLITE_STATIC);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW) {
		s->epoch = sqlite3_column_int64(st, 0);
		s->now.next_seq = (uint64_t)sqlite3_column_int64(st, 1);
		s->now.ready = (uint64_t)sqlite3_column_int64(st, 2);
		*ours = sqlite3_column_int(st, 3) != 0;
		*window = (uint64_t)sqlite3_column_int64(st, 4);
		s->last_row = (uint64_t)sqlite3_column_int64(st, 5);
		s->lost_epoch = sqlite3_column_int64(st, 6);
		s->lost_next_seq = (uint64_t)sqlite3_column_int64(st, 7);
	}
	sqlite3_finalize(st);
	s->committed = s->now;
	return code == SQLITE_ROW || code == SQLITE_DONE ? SPOOL_OK
							 : spool_failed(s, "read the epoch");
}

static enum spool_status
begin_epoch(struct spool *s, uint64_t window)
{
	enum spool_status status = adopt_open(s);

	if (status == SPOOL_OK)
		status = spool_begin(s);
	if (status != SPOOL_OK)
		return status;
	/* epochs older than the oldest row have nothing left; of a lost one frames may come */
	if (spool_run(s,
		"INSERT INTO epoch(id, next_seq, ready, may_fly) VALUES(%Q, 0, %lld, %lld);"
		"DELETE FROM epoch WHERE n < coalesce((SELECT epoch FROM ready ORDER BY "
		"n LIMIT 1), (SELECT max(n) FROM epoch)) AND id IS NOT %Q",
		s->options.epoch, (long long)s->now.ready, (long long)window,
		s->options.lost_epoch) != SQLITE_OK)
		return spool_failed(s, "begin the epoch");
	s->epoch = spool_query(s, "SELECT max(n) FROM epoch");
	s->now.next_seq = s->committed.next_seq = 0;
	status = spool_forget_streaks(s);
	return status == SPOOL_OK ? spool_commit(s) : status;
}

/* Go on with our epoch, or begin it. */
static enum spool_status
enter_epoch(struct spool *s)
{
	const uint64_t wanted = s->options.window;
	uint64_t window = 0;
	bool ours = false;
	enum spool_status status = read_last_epoch(s, &ours, &window);

	if (status == SPOOL_OK)
		status = spool_load_streaks(s);
	if (status != SPOOL_OK)
		return status;
	if (window > wanted)
		s->options.window = window;
	if (ours) {
		if (window < wanted &&
		    spool_run(s, "UPDATE epoch SET may_fly = %lld", (long long)wanted) != SQLITE_OK)
			return spool_failed(s, "store the window");
		return SPOOL_OK;
	}
	if (s->path != NULL && s->options.supervisor != 0 && getppid() != s->options.supervisor) {
		/* the slots that are open may be those of another daemon by now */
		log_error(
		    "spool: the supervisor is dead: no new epoch is begun: another daemon may have the spool");
		return SPOOL_IN_USE;
	}
	if (s->options.epoch_stored) {
		log_error("spool: the one with epoch %s has gone", s->options.epoch);
		return SPOOL_LOST;
	}
	return begin_epoch(s, wanted);
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
	if (status == SPOOL_RETRY && s->reserve_released) {
		spool_close(s); /* once more, with the room that this has made */
		return spool_open(spool, options);
	}
	if (status == SPOOL_OK)
		spool_plan_room(s);
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
	spool_disconnect(s);
	free(s->opened);
	free(s->changes);
	free(s->undo);
	free(s);
}

/* --- committing -------------------------------------------------------------------------- */

/* Not for every transaction of a long outage. */
static void
log_dropped(struct spool *s)
{
	int64_t now = util_mono_us();

	if (s->dropped == 0 ||
	    (s->dropped_logged_us != 0 && now - s->dropped_logged_us < DROP_LOG_US))
		return;
	log_error("spool: at its limit (spool.max_mb): %llu records were dropped",
	    (unsigned long long)s->dropped);
	s->dropped = 0;
	s->dropped_logged_us = now;
}

static enum spool_status
store_counters(struct spool *s)
{
	if (s->now.next_seq == s->committed.next_seq && s->now.ready == s->committed.ready)
		return SPOOL_OK;
	spool_bind(s, SET_EPOCH, 1, s->now.next_seq);
	spool_bind(s, SET_EPOCH, 2, s->now.ready);
	spool_bind(s, SET_EPOCH, 3, (uint64_t)s->epoch);
	return spool_step(s, SET_EPOCH, "store the next seq");
}

enum spool_status
spool_commit(struct spool *s)
{
	bool stored;
	uint64_t dropped;
	enum spool_status status = spool_store_opened(s);

	if (status == SPOOL_OK)
		status = spool_store_streaks(s);
	if (status == SPOOL_OK)
		status = spool_enforce_cap(s, &dropped);
	if (status == SPOOL_OK)
		status = store_counters(s);
	if (status == SPOOL_OK)
		status = spool_step(s, COMMIT, "commit");
	if (status != SPOOL_OK)
		return status;
	/* deleting does not count: that works while the disk is full */
	stored = s->now.next_seq != s->committed.next_seq || s->now.ready > s->committed.ready;
	if (s->now.ready == 0 && s->committed.ready > 0)
		/* all is delivered: the longer new records wait now, the more come together, and
		 * fill all again */
		s->next_reserve_us = 0;
	s->committed = s->now;
	s->undo_count = 0;
	s->never_used &= !stored;
	s->dropped += dropped;
	s->dropped_ever += dropped;
	log_dropped(s);
	if (s->failing != 0 && stored) {
		log_notice("spool: storing again");
		s->failing = 0;
	}
	return SPOOL_OK;
}

void
spool_use_reserve(struct spool *s)
{
	s->final = true;
}

/* --- reading ----------------------------------------------------------------------------- */

static enum spool_status
set_damaged_row_aside(struct spool *s, uint64_t row)
{
	enum spool_status status = spool_begin(s);

	log_error("spool: row %llu is damaged; it was moved to the dead letters",
	    (unsigned long long)row);
	if (status == SPOOL_OK)
		status = spool_dead_letter(s, row, "damaged on disk");
	if (status == SPOOL_OK && sqlite3_changes(s->db) == 0)
		return spool_give_up(s, "is damaged"); /* it would be found for ever */
	return status == SPOOL_OK ? spool_commit(s) : status;
}

enum spool_status
spool_read(struct spool *s, uint64_t after, int max,
    bool (*visit)(void *arg, uint64_t row, const struct frame *frame), void *arg)
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

		if (spool_column_frame(st, 1, &frame))
			go_on = visit(arg, row, &frame);
		else
			damaged = row;
	}
	sqlite3_reset(st); /* an open reader would keep the log from being reused */
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return spool_failed(s, "read records");
	return damaged != 0 ? set_damaged_row_aside(s, damaged) : SPOOL_OK;
}
