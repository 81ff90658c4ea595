/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Open slots that nobody will end: those that another epoch left, and those whose checker said that
 * it is done and wrote nothing. They get their record here.
 */
#include "internal.h"

#include "log.h"

#define ADOPT_BATCH 256 /* open slots that one transaction adopts */

/* An open slot that nobody can read gets no record. */
static enum spool_status
bury_open(struct spool *s, int64_t seq)
{
	log_error("spool: the open slot %lld is damaged and gets no record; it was moved to the "
		  "dead letters",
	    (long long)seq);
	s->buried++;
	return spool_run(s,
		   "INSERT INTO dead(frame, reason, at) SELECT frame, 'damaged on disk', "
		   "datetime('now') FROM open WHERE seq = %lld",
		   (long long)seq) == SQLITE_OK
		   ? SPOOL_OK
		   : spool_failed(s, "move an open slot to the dead letters");
}

/* Which open slots are to be finished, and how. */
struct finish {
	int64_t from,
	    below;     /* their seqs; below 0 there are notes about a lost epoch, which just go */
	int64_t epoch; /* of their records */
	const char *message; /* of those */
	bool more;           /* out: there was one */
	uint64_t finished;   /* out: this many have got a record */
};

/* The first of them. */
static enum spool_status
finish_first(struct spool *s, struct finish *f)
{
	sqlite3_stmt *st = spool_bind(s, FIRST_OPEN, 1, (uint64_t)f->from);
	unsigned char out[WIRE_FRAME_MAX];
	enum spool_status status = SPOOL_OK;
	struct frame frame;
	size_t size = 0;
	int64_t seq;
	int code;

	spool_bind(s, FIRST_OPEN, 2, (uint64_t)f->below);
	code = sqlite3_step(st);
	f->more = code == SQLITE_ROW;
	seq = f->more ? sqlite3_column_int64(st, 0) : -1;
	if (seq >= 0 && wire_decode(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1),
			    &frame) > 0)
		size = spool_finish_frame(out, &frame, ERROR_ABORTED, RESULT_NONE, f->message);
	sqlite3_reset(st);
	if (!f->more)
		return code == SQLITE_DONE ? SPOOL_OK : spool_failed(s, "read open slots");
	if (size > 0) {
		status = spool_insert_ready(s, f->epoch, (uint64_t)seq, out, size);
		f->finished++;
	} else if (seq >= 0) {
		status = bury_open(s, seq);
	}
	if (status != SPOOL_OK)
		return status;
	if (spool_run(s, "DELETE FROM open WHERE seq = %lld", (long long)seq) != SQLITE_OK)
		return spool_failed(s, "delete an open slot");
	return sqlite3_changes(s->db) > 0
		   ? SPOOL_OK
		   : spool_give_up(s, "is damaged"); /* it would come for ever */
}

enum spool_status
spool_adopt_open(struct spool *s, int64_t epoch)
{
	struct finish f = { .from = INT64_MIN,
		.below = INT64_MAX,
		.epoch = epoch,
		.message = "webmond ended while this check was running" };
	enum spool_status status;

	do {
		status = spool_begin(s);
		for (int i = 0; i < ADOPT_BATCH && status == SPOOL_OK; i++) {
			status = finish_first(s, &f);
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

enum spool_status
spool_settle(struct spool *s, uint64_t seq)
{
	struct finish f = { .from = 0,
		.below = (int64_t)seq,
		.epoch = s->epoch,
		.message = "the checker said that this check is over, and sent no result" };
	enum spool_status status;

	if (s->no_room)
		return SPOOL_OK; /* it will be said again */
	status = spool_store_begun(s);
	do {
		if (status == SPOOL_OK)
			status = finish_first(s, &f);
	} while (status == SPOOL_OK && f.more);
	if (f.finished > 0 && s->unsaid++ == 0)
		log_error("spool: a checker sent no result for a check that it said is over: its "
			  "record says aborted, and so will those of others");
	return status;
}
