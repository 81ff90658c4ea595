/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Slots: how they begin and end, and the record of those that nobody ended.
 */
#include "internal.h"

#include <string.h>

#include "log.h"
#include "payload.h"
#include "util.h"

/* --- slots that were opened in this transaction ------------------------------------------ */

static void
add_opened(struct spool *s, uint64_t seq, const unsigned char *raw, size_t size)
{
	if (s->opened_count == s->opened_room) {
		s->opened_room = 2 * s->opened_room + 64;
		s->opened = xreallocarray(s->opened, s->opened_room, sizeof(*s->opened));
	}
	s->opened[s->opened_count++] = (struct opened){ seq, raw, size };
}

static struct opened *
find_opened(const struct spool *s, uint64_t seq)
{
	size_t low = 0, high = s->opened_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (s->opened[middle].seq < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->opened_count && s->opened[low].seq == seq ? &s->opened[low] : NULL;
}

enum spool_status
spool_store_opened(struct spool *s)
{
	enum spool_status status = SPOOL_OK;

	for (size_t i = 0; i < s->opened_count && status == SPOOL_OK; i++) {
		if (s->opened[i].raw == NULL)
			continue;
		spool_bind(s, INSERT_OPEN, 1, s->opened[i].seq);
		spool_bind_blob(s, INSERT_OPEN, 2, s->opened[i].raw, s->opened[i].size);
		status = spool_step(s, INSERT_OPEN, "store an open slot");
	}
	s->opened_count = 0;
	return status;
}

/* --- the ends of slots ------------------------------------------------------------------- */

/* What came of a slot, as its CLOSE or SINGLE says. */
static void
read_outcome(struct spool *s, const struct frame *frame, struct wire_outcome *outcome)
{
	if (payload_outcome(frame, outcome))
		return;
	if (!s->malformed_logged)
		log_error("spool: a checker sent an invalid result for seq %llu: "
			  "refused, like all that follow",
		    (unsigned long long)frame->seq);
	s->malformed_logged = true;
	outcome->lateness_us = RESULT_NONE;
	result_init(&outcome->result);
	result_fail(&outcome->result, ERROR_ABORTED, "the checker sent an invalid result");
}

/* The record of a slot that ends with this CLOSE or SINGLE; `epoch` is that of its row. */
static enum spool_status
store_record(struct spool *s, int64_t epoch, const struct frame *frame)
{
	unsigned char out[WIRE_RECORD_MAX];
	struct wire_outcome outcome;
	struct payload_streak streak;

	read_outcome(s, frame, &outcome);
	streak = spool_count_streak(s, epoch == s->epoch ? epoch : s->lost_epoch, frame,
	    result_status(outcome.result.error));
	return spool_insert_ready(
	    s, epoch, frame->seq, out, payload_record(out, frame, &outcome, RESULT_NONE, &streak));
}

/* A CLOSE ends the slot that it names if that is open; else it is a repeat, or comes too late. */
static enum spool_status
close_slot(struct spool *s, const struct frame *frame)
{
	struct opened *opened = find_opened(s, frame->seq);
	enum spool_status status;
	bool was_open;

	if (opened != NULL) {
		was_open = opened->raw != NULL;
		opened->raw = NULL;
	} else {
		spool_bind(s, DELETE_OPEN, 1, frame->seq);
		status = spool_step(s, DELETE_OPEN, "close a slot");
		if (status != SPOOL_OK)
			return status;
		was_open = sqlite3_changes(s->db) > 0;
	}
	return was_open ? store_record(s, s->epoch, frame) : SPOOL_OK;
}

/*
 * A slot of the lost epoch ends. The spool that was lost has its OPEN, so this one cannot tell
 * whether it is open: the first end of each slot counts. To recognise a second one, the table
 * `open` gets a row with a negative number made of the seq, until the next epoch begins.
 */
static enum spool_status
close_lost_slot(struct spool *s, const struct frame *frame)
{
	/* also the epoch of its row: consecutive seqs of it may not stand for those between them */
	const int64_t note = -1 - (int64_t)frame->seq;
	enum spool_status status;

	/* when the lost spool has come back, what was open in it is finished already */
	if (note >= 0 || frame->seq < s->lost_next_seq)
		return SPOOL_OK;
	spool_bind(s, INSERT_OPEN, 1, (uint64_t)note);
	spool_bind_blob(s, INSERT_OPEN, 2, "", 0);
	status = spool_step(s, INSERT_OPEN, "note a record of the lost epoch");
	if (status != SPOOL_OK || sqlite3_changes(s->db) == 0)
		return status;
	return store_record(s, note, frame);
}

/* --- what the publisher calls ------------------------------------------------------------ */

/* Undo the transaction: there is no room for new records. */
static enum spool_status
refuse_for_room(struct spool *s)
{
	spool_rollback(s);
	/* on a small file system SQLite's log may be what takes the room */
	spool_checkpoint(s);
	return SPOOL_RETRY;
}

static bool
is_lost_epoch(const struct spool *s, const struct frame *frame)
{
	return s->options.lost_epoch != NULL && strcmp(frame->epoch, s->options.lost_epoch) == 0;
}

static bool
is_our_epoch(struct spool *s, const struct frame *frame)
{
	if (strcmp(frame->epoch, s->options.epoch) == 0)
		return true;
	if (!s->foreign_logged)
		log_warning("frames of another epoch are ignored: %s", frame->epoch);
	s->foreign_logged = true;
	return false;
}

bool
spool_is_ahead(const struct spool *s, const struct frame *frame)
{
	return frame->seq >= s->now.next_seq && strcmp(frame->epoch, s->options.epoch) == 0;
}

enum spool_status
spool_begin_slot(struct spool *s, const struct frame *frame, const void *raw, size_t size)
{
	if (s->no_room)
		return refuse_for_room(s);
	if (is_lost_epoch(s, frame) || !is_our_epoch(s, frame))
		return SPOOL_OK;
	if (frame->seq < s->now.next_seq)
		return SPOOL_OK; /* a repeat: the pipe was peeked again */
	if (frame->seq > s->now.next_seq)
		log_error("got seq %llu, expected %llu; please report this",
		    (unsigned long long)frame->seq, (unsigned long long)s->now.next_seq);
	s->now.next_seq = frame->seq + 1;
	if (frame->slot_us > s->newest_slot_us)
		s->newest_slot_us = frame->slot_us;
	add_opened(s, frame->seq, raw, size);
	return SPOOL_OK;
}

enum spool_status
spool_end_slot(struct spool *s, const struct frame *frame)
{
	if (s->no_room)
		return refuse_for_room(s);
	if (is_lost_epoch(s, frame))
		return close_lost_slot(s, frame);
	return is_our_epoch(s, frame) ? close_slot(s, frame) : SPOOL_OK;
}

enum spool_status
spool_settle(struct spool *s, uint64_t seq)
{
	struct finish f = { .from = 0,
		.below = (int64_t)seq,
		.epoch = s->epoch,
		.message = "the checker reported the end of this check, but sent no result" };
	enum spool_status status;

	if (s->no_room)
		return SPOOL_OK; /* the supervisor will say it again */
	status = spool_store_opened(s);
	do {
		if (status == SPOOL_OK)
			status = spool_finish_first(s, &f);
	} while (status == SPOOL_OK && f.more);
	if (f.finished > 0 && !s->unanswered_logged) {
		log_error("spool: a checker reported the end of a check, but sent no result: its "
			  "record says aborted, and so will those of others");
		s->unanswered_logged = true;
	}
	return status;
}

/* --- open slots that nobody will end ----------------------------------------------------- */

/* A damaged OPEN cannot become a record. */
static enum spool_status
keep_damaged_open(struct spool *s, int64_t seq)
{
	log_error("spool: the open slot %lld is damaged and gets no record; it was moved to the "
		  "dead letters",
	    (long long)seq);
	s->dead_letters++;
	if (spool_run(s,
		"INSERT INTO dead(frame, reason, at) SELECT frame, 'damaged on disk', "
		"datetime('now') FROM open WHERE seq = %lld",
		(long long)seq) != SQLITE_OK)
		return spool_failed(s, "move an open slot to the dead letters");
	return SPOOL_OK;
}

enum spool_status
spool_finish_first(struct spool *s, struct finish *f)
{
	sqlite3_stmt *st = spool_bind(s, FIRST_OPEN, 1, (uint64_t)f->from);
	unsigned char out[WIRE_RECORD_MAX];
	enum spool_status status = SPOOL_OK;
	struct payload_streak streak;
	struct frame frame;
	size_t size = 0;
	int64_t seq;
	int code;

	spool_bind(s, FIRST_OPEN, 2, (uint64_t)f->below);
	code = sqlite3_step(st);
	f->more = code == SQLITE_ROW;
	seq = f->more ? sqlite3_column_int64(st, 0) : -1;
	if (seq >= 0 && spool_column_frame(st, 1, &frame)) {
		streak = spool_count_streak(s, f->epoch, &frame, STATUS_UNKNOWN);
		size = payload_unfinished(
		    out, &frame, ERROR_ABORTED, RESULT_NONE, &streak, f->message);
	}
	sqlite3_reset(st);
	if (!f->more)
		return code == SQLITE_DONE ? SPOOL_OK : spool_failed(s, "read open slots");
	if (size > 0) {
		status = spool_insert_ready(s, f->epoch, (uint64_t)seq, out, size);
		f->finished++;
	} else if (seq >= 0) {
		status = keep_damaged_open(s, seq);
	}
	if (status != SPOOL_OK)
		return status;
	spool_bind(s, DELETE_OPEN, 1, (uint64_t)seq);
	status = spool_step(s, DELETE_OPEN, "delete an open slot");
	if (status == SPOOL_OK && sqlite3_changes(s->db) == 0)
		status = spool_give_up(s, "is damaged"); /* it would come first for ever */
	return status;
}
