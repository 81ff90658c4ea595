/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Slots: how they begin and end, and the record of those that nobody ended. Most slots end in the
 * transaction in which they began; only the others become rows of the table `open`.
 */
#include "internal.h"

#include <string.h>

#include "log.h"
#include "payload.h"
#include "util.h"

/* The record of a slot that ends with this CLOSE or WHOLE. */
static enum spool_status
store_record(struct spool *s, int64_t epoch, const struct frame *frame)
{
	unsigned char out[WIRE_FRAME_MAX];
	struct wire_outcome outcome;
	size_t size;

	if (payload_outcome(frame, &outcome)) {
		size = payload_record(out, frame, &outcome, RESULT_NONE);
	} else {
		if (s->refused++ == 0)
			log_error("spool: a checker sent what no check ends with for seq %llu: "
				  "refused, like all that follow",
			    (unsigned long long)frame->seq);
		size = payload_unfinished(out, frame, ERROR_ABORTED, RESULT_NONE,
		    "the checker sent what no check ends with");
	}
	return spool_insert_ready(s, epoch, frame->seq, out, size);
}

static void
begin_slot(struct spool *s, uint64_t seq, const unsigned char *raw, size_t size)
{
	if (s->begun_count == s->begun_room) {
		s->begun_room = 2 * s->begun_room + 64;
		s->begun = xreallocarray(s->begun, s->begun_room, sizeof(*s->begun));
	}
	s->begun[s->begun_count++] = (struct begun){ seq, raw, size };
}

static struct begun *
find_begun(const struct spool *s, uint64_t seq)
{
	size_t low = 0, high = s->begun_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (s->begun[middle].seq < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->begun_count && s->begun[low].seq == seq ? &s->begun[low] : NULL;
}

enum spool_status
spool_store_begun(struct spool *s)
{
	enum spool_status status = SPOOL_OK;

	for (size_t i = 0; i < s->begun_count && status == SPOOL_OK; i++) {
		if (s->begun[i].raw == NULL)
			continue;
		spool_bind(s, INSERT_OPEN, 1, s->begun[i].seq);
		spool_bind_blob(s, INSERT_OPEN, 2, s->begun[i].raw, s->begun[i].size);
		status = spool_step(s, INSERT_OPEN, "store an open slot");
	}
	s->begun_count = 0;
	return status;
}

/* A CLOSE ends the slot that it names, if that is open; else it is a repeat, or comes too late. */
static enum spool_status
close_slot(struct spool *s, const struct frame *frame)
{
	struct begun *begun = find_begun(s, frame->seq);
	bool was_open;

	if (begun != NULL) {
		was_open = begun->raw != NULL;
		begun->raw = NULL;
	} else {
		enum spool_status status;

		spool_bind(s, DELETE_OPEN, 1, frame->seq);
		status = spool_step(s, DELETE_OPEN, "close a slot");
		if (status != SPOOL_OK)
			return status;
		was_open = sqlite3_changes(s->db) > 0;
	}
	return was_open ? store_record(s, s->epoch, frame) : SPOOL_OK;
}

/*
 * A record of the lost epoch: what was open went with the spool, so the first of each slot counts.
 * That it came is noted as an open slot of a seq that nobody has.
 */
static enum spool_status
take_lost(struct spool *s, const struct frame *frame)
{
	const int64_t alone = -1 - (int64_t)frame->seq; /* as an epoch it is in no run to drop */
	enum spool_status status;

	/* where the spool is back, what was open is finished already */
	if (alone >= 0 || frame->seq < s->lost_next_seq)
		return SPOOL_OK;
	spool_bind(s, INSERT_OPEN, 1, (uint64_t)alone);
	spool_bind_blob(s, INSERT_OPEN, 2, "", 0); /* the number says it all */
	status = spool_step(s, INSERT_OPEN, "note a record of the lost epoch");
	if (status != SPOOL_OK || sqlite3_changes(s->db) == 0)
		return status;
	return store_record(s, alone, frame);
}

/* No room for new records: what is under way is undone. */
static enum spool_status
wait_for_room(struct spool *s)
{
	spool_rollback(s);
	/* on a small file system it may be our own log that takes the room */
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
	if (s->strangers++ == 0)
		log_warning("frames of another epoch are ignored: %s", frame->epoch);
	return false;
}

bool
spool_is_ahead(const struct spool *s, const struct frame *frame)
{
	return frame->seq >= s->next_seq && strcmp(frame->epoch, s->options.epoch) == 0;
}

enum spool_status
spool_begin_slot(struct spool *s, const struct frame *frame, const void *raw, size_t size)
{
	if (s->no_room)
		return wait_for_room(s);
	if (is_lost_epoch(s, frame) || !is_our_epoch(s, frame))
		return SPOOL_OK;
	if (frame->seq < s->next_seq)
		return SPOOL_OK; /* seen before: the pipe was peeked again */
	if (frame->seq > s->next_seq)
		log_error("seq %llu comes where %llu was due; please report this",
		    (unsigned long long)frame->seq, (unsigned long long)s->next_seq);
	s->next_seq = frame->seq + 1;
	begin_slot(s, frame->seq, raw, size);
	return SPOOL_OK;
}

enum spool_status
spool_end_slot(struct spool *s, const struct frame *frame)
{
	if (s->no_room)
		return wait_for_room(s);
	if (is_lost_epoch(s, frame))
		return take_lost(s, frame);
	return is_our_epoch(s, frame) ? close_slot(s, frame) : SPOOL_OK;
}

/* --- slots that nobody will end ------------------------------------------------------------- */

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

enum spool_status
spool_finish_first(struct spool *s, struct finish *f)
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
		size = payload_unfinished(out, &frame, ERROR_ABORTED, RESULT_NONE, f->message);
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
	spool_bind(s, DELETE_OPEN, 1, (uint64_t)seq);
	status = spool_step(s, DELETE_OPEN, "delete an open slot");
	if (status != SPOOL_OK)
		return status;
	return sqlite3_changes(s->db) > 0
		   ? SPOOL_OK
		   : spool_give_up(s, "is damaged"); /* it would come for ever */
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
			status = spool_finish_first(s, &f);
	} while (status == SPOOL_OK && f.more);
	if (f.finished > 0 && s->unsaid++ == 0)
		log_error("spool: a checker sent no result for a check that it said is over: its "
			  "record says aborted, and so will those of others");
	return status;
}
