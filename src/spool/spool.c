/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The spool in SQLite. Called by the publisher only. Every result of every statement counts: a
 * COMMIT can succeed after all INSERTs of its transaction failed. Nothing is fatal here.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "payload.h"
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

/* Go on with our epoch, or begin it and finish what the one before left. */
static enum spool_status
enter_epoch(struct spool *s)
{
	enum spool_status status;
	sqlite3_stmt *st;
	uint64_t may_fly = 0, window = s->options.window;
	int64_t last = 0;
	bool ours = false;
	int code;

	if (sqlite3_prepare_v2(s->db,
		"SELECT n, id, next_seq, ready, (SELECT max(may_fly) FROM epoch), "
		"(SELECT max(n) FROM ready), (SELECT next_seq FROM epoch WHERE id = ?1) "
		"FROM epoch ORDER BY n DESC LIMIT 1",
		-1, &st, NULL) != SQLITE_OK)
		return spool_failed(s, "read the epoch");
	sqlite3_bind_text(st, 1, s->options.lost_epoch, -1, SQLITE_STATIC);
	if ((code = sqlite3_step(st)) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(st, 1);

		last = sqlite3_column_int64(st, 0);
		ours = id != NULL && strcmp(id, s->options.epoch) == 0;
		s->next_seq = (uint64_t)sqlite3_column_int64(st, 2);
		s->count = (uint64_t)sqlite3_column_int64(st, 3);
		may_fly = (uint64_t)sqlite3_column_int64(st, 4);
		s->last_row = (uint64_t)sqlite3_column_int64(st, 5);
		s->lost_next_seq = (uint64_t)sqlite3_column_int64(st, 6);
	}
	sqlite3_finalize(st);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return spool_failed(s, "read the epoch");
	s->epoch = last;
	s->next_seq_stored = s->next_seq;
	s->count_stored = s->count;
	if (may_fly > window)
		s->options.window = may_fly;
	if (ours && may_fly >= window)
		return SPOOL_OK;
	if (ours) {
		code = spool_run(s, "UPDATE epoch SET may_fly = %lld", (long long)window);
		return code == SQLITE_OK ? SPOOL_OK : spool_failed(s, "store the window");
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
	if ((status = spool_adopt_open(s, last)) != SPOOL_OK ||
	    (status = spool_begin(s)) != SPOOL_OK)
		return status;
	/* epochs older than the oldest row have nothing left; of a lost one frames may come */
	code = spool_run(s,
	    "INSERT INTO epoch(id, next_seq, ready, may_fly) VALUES(%Q, 0, %lld, %lld);"
	    "DELETE FROM epoch WHERE n < coalesce((SELECT epoch FROM ready ORDER BY "
	    "n LIMIT 1), (SELECT max(n) FROM epoch)) AND id IS NOT %Q",
	    s->options.epoch, (long long)s->count, (long long)window, s->options.lost_epoch);
	if (code != SQLITE_OK)
		return spool_failed(s, "begin the epoch");
	s->epoch = spool_query(s, "SELECT max(n) FROM epoch");
	s->next_seq = s->next_seq_stored = 0;
	return spool_commit(s);
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

enum spool_status
spool_begin(struct spool *s)
{
	/* what is written now would vanish with this process */
	if (s->path != NULL && !spool_is_there(s->path, &s->found))
		return spool_give_up(s, "was removed or replaced while in use");
	if (s->path != NULL && !spool_is_there(s->log_path, &s->log)) {
		/* closing the database brings into it what is in there; a kill must not come first */
		log_error("spool: \"%s\" was removed while in use: the database is opened again",
		    s->log_path);
		return SPOOL_FAILED;
	}
	s->no_room = !spool_has_room(s);
	return spool_step(s, BEGIN, "begin");
}

void
spool_rollback(struct spool *s)
{
	if (s->db != NULL && !sqlite3_get_autocommit(s->db)) {
		sqlite3_step(s->statement[ROLLBACK]);
		sqlite3_reset(s->statement[ROLLBACK]);
	}
	s->next_seq = s->next_seq_stored;
	s->count = s->count_stored;
	s->begun_count = 0;
	s->untouchable = 0;
}

enum spool_status
spool_insert_ready(struct spool *s, int64_t epoch, uint64_t seq, const void *raw, size_t size)
{
	enum spool_status status;

	spool_bind(s, INSERT_READY, 1, (uint64_t)epoch);
	spool_bind(s, INSERT_READY, 2, seq);
	spool_bind_blob(s, INSERT_READY, 3, raw, size);
	spool_bind(s, INSERT_READY, 4, ++s->last_row);
	status = spool_step(s, INSERT_READY, "store a record");
	if (status == SPOOL_OK)
		s->count++;
	return status;
}

/* A checker may be in foreign hands: it can end its own slots, and nothing else. */
static void
refuse(struct spool *s, const struct frame *frame, const char *why)
{
	if (s->refused++ == 0)
		log_error("spool: a checker %s seq %llu: refused, like all that follow", why,
		    (unsigned long long)frame->seq);
}

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
		refuse(s, frame, "sent what no check ends with for");
		size = spool_finish_frame(out, frame, ERROR_ABORTED, RESULT_NONE,
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

/* Whether two frames, the second decoded, are of the same slot. */
static bool
same_slot(const struct begun *begun, const struct frame *frame, const unsigned char *raw)
{
	size_t size = wire_identity_size(frame);

	return begun->size >= WIRE_IDENTITY_AT + size &&
	       memcmp(begun->raw + WIRE_IDENTITY_AT, raw + WIRE_IDENTITY_AT, size) == 0;
}

/* A CLOSE ends the slot that it names, if it names the one that is open. */
static enum spool_status
close_slot(struct spool *s, const struct frame *frame, const unsigned char *raw)
{
	size_t identity_size = wire_identity_size(frame);
	struct begun *begun = find_begun(s, frame->seq);
	bool is_open, ours;

	if (begun != NULL) {
		is_open = begun->raw != NULL;
		ours = is_open && same_slot(begun, frame, raw);
		if (ours)
			begun->raw = NULL;
	} else {
		enum spool_status status;

		spool_bind(s, DELETE_OPEN, 1, frame->seq);
		spool_bind(s, DELETE_OPEN, 2, WIRE_IDENTITY_AT);
		spool_bind(s, DELETE_OPEN, 3, identity_size);
		spool_bind_blob(s, DELETE_OPEN, 4, raw + WIRE_IDENTITY_AT, identity_size);
		status = spool_step(s, DELETE_OPEN, "close a slot");
		if (status != SPOOL_OK)
			return status;
		ours = sqlite3_changes(s->db) > 0;
		is_open = ours || spool_number(spool_bind(s, IS_OPEN, 1, frame->seq)) > 0;
	}
	if (ours)
		return store_record(s, s->epoch, frame);
	if (is_open) /* else a repeat, or the other writer was first */
		refuse(s, frame, "wants to end a slot that is not its own:");
	return SPOOL_OK;
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

	if (frame->type == WIRE_CLOSE && frame->token != wire_token(s->options.token_key, frame)) {
		refuse(s, frame, "wants to end a slot of the lost epoch that is not its own:");
		return SPOOL_OK;
	}
	/* where the spool is back, what was open is finished already */
	if (alone >= 0 || frame->seq < s->lost_next_seq ||
	    spool_number(spool_bind(s, IS_OPEN, 1, (uint64_t)alone)) > 0)
		return SPOOL_OK;
	spool_bind(s, INSERT_OPEN, 1, (uint64_t)alone);
	spool_bind_blob(s, INSERT_OPEN, 2, "", 0); /* the number says it all */
	status = spool_step(s, INSERT_OPEN, "note a record of the lost epoch");
	return status == SPOOL_OK ? store_record(s, alone, frame) : status;
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
spool_end_slot(struct spool *s, const struct frame *frame, const void *raw)
{
	if (s->no_room)
		return wait_for_room(s);
	if (is_lost_epoch(s, frame))
		return take_lost(s, frame);
	return is_our_epoch(s, frame) ? close_slot(s, frame, raw) : SPOOL_OK;
}

enum spool_status
spool_delete(struct spool *s, uint64_t first, uint64_t last)
{
	enum spool_status status;

	spool_bind(s, DELETE_READY, 1, first);
	spool_bind(s, DELETE_READY, 2, last);
	status = spool_step(s, DELETE_READY, "delete records");
	if (status == SPOOL_OK)
		s->count -= (uint64_t)sqlite3_changes(s->db);
	if (first <= s->untouchable)
		s->untouchable = 0; /* others follow */
	return status;
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
