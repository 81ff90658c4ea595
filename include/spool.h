/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The spool: a durable queue of records in one SQLite database. Only the publisher opens it, and
 * only its own files know SQLite.
 *
 * Five tables: `open` has the OPEN frames of slots that wait for their CLOSE; `ready` the records
 * to publish, in their order; `dead` what Kafka refuses for good; `epoch` the epochs of these;
 * `streak` since when each site has had its status. That of a member of a group has one more:
 * `shard`, which shards it had.
 *
 * All changes of a tick are one transaction: spool_begin(), any number of changes, spool_commit().
 * A call that does not return SPOOL_OK has undone the whole transaction.
 */
#ifndef WEBMOND_SPOOL_H
#define WEBMOND_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"
#include "wire.h"

enum spool_status {
	SPOOL_OK,
	SPOOL_RETRY,  /* disk full, no memory, …: nothing was changed, try again later */
	SPOOL_LOST,   /* its epoch has ended: it is gone, or was set aside as damaged or foreign */
	SPOOL_IN_USE, /* another process holds it; logged with the PID */
	SPOOL_FAILED, /* it cannot be created, used, or set aside; logged with the reason */
};

struct spool;

struct spool_options {
	const char *dir; /* NULL: in memory, for outputs that need no durability */
	bool sync_full;  /* survive power loss, not only kills */
	int64_t max_bytes;
	/*
	 * The number of rows, counted from the oldest, that may have been sent and not confirmed:
	 * these are never dropped. The largest window of the epochs in the spool counts.
	 */
	uint64_t window;
	const char *epoch;
	/* this epoch has been in a spool before: if the one that we find lacks it, ours is lost */
	bool epoch_stored;
	pid_t supervisor; /* a new epoch begins only while this is our parent; 0: no such test */
	/*
	 * The epoch before, whose spool was lost, or NULL: records of checks that ran then are
	 * taken without their OPEN, which is in the lost spool.
	 */
	const char *lost_epoch;
	int lock_fd; /* the lock that an earlier spool_open() took, held since; -1: none */
};

/*
 * Whether this process could use a spool in `dir`, now or after a running daemon; spool_open()
 * begins with it. Changes nothing and takes no lock. Returns 0, or -1 with what is wrong and what
 * to do.
 */
int spool_check_place(const char *dir, char *reason, size_t size);

/*
 * Open or create the spool and begin `epoch` if it is new: slots that an earlier epoch left open
 * are finished as `aborted`. Waits up to 5 s for the lock. On SPOOL_OK, `*spool` is to be closed.
 */
enum spool_status spool_open(struct spool **spool, const struct spool_options *options);

/* Bring SQLite's log into the database. That is what takes time when a spool is closed. */
void spool_checkpoint(struct spool *spool);

/* Close the spool and free it; only the database file is left. NULL is ignored. */
void spool_close(struct spool *spool);

enum spool_status spool_begin(struct spool *spool);

/*
 * A slot begins: an OPEN or SINGLE of the supervisor, in the order of seq; repeats and other epochs
 * change nothing. `raw`, the encoded frame, is to stay as it is until spool_commit().
 */
enum spool_status
spool_begin_slot(struct spool *spool, const struct frame *frame, const void *raw, size_t size);

/*
 * A slot ends: a CLOSE or SINGLE of the supervisor, or a CLOSE of a checker whose token is right,
 * see wire_token(). It counts if the slot is open; repeats, other epochs and what comes too late
 * change nothing. What holds no outcome that this program writes ends the slot as `aborted`. Of the
 * lost epoch, which has no open slots any more, the first end of each slot counts.
 */
enum spool_status spool_end_slot(struct spool *spool, const struct frame *frame);

/*
 * All checks of slots of our epoch below `seq` are over, and what checkers wrote of them was given
 * to spool_end_slot(). Slots that are still open there end as `aborted`.
 */
enum spool_status spool_settle(struct spool *spool, uint64_t seq);

/* Whether the slot of this frame is of our epoch and has not begun yet. */
bool spool_is_ahead(const struct spool *spool, const struct frame *frame);

/* Delete the ready rows from `first` through `last`: Kafka has confirmed them. */
enum spool_status spool_delete(struct spool *spool, uint64_t first, uint64_t last);

/*
 * Kafka refuses this row for good: keep the record as a dead letter, and let a `dropped` record
 * take its place, so that the topic has no hole. A `dropped` record that is refused is deleted.
 */
enum spool_status spool_dead_letter(struct spool *spool, uint64_t row, const char *reason);

/*
 * Bring the spool below its cap, then commit. Above the cap, rows of consecutive seqs of one epoch
 * become one `dropped` record each, in the place of the first and with its identity, the oldest
 * first, until there is room; never rows that may have been sent. The seqs that such a record
 * names, its own through `dropped_through`, are exactly those of the rows that it replaces. Such
 * records merge again like any others.
 */
enum spool_status spool_commit(struct spool *spool);

/* No records come after those that are in the pipes: they may use the room kept for deleting. */
void spool_use_reserve(struct spool *spool);

/* Undo what was done since spool_begin(). */
void spool_rollback(struct spool *spool);

/*
 * Give up to `max` ready rows behind `after` to `visit`, in their order and outside a transaction,
 * until it returns false. A row whose checksum is wrong becomes a dead letter and is skipped.
 */
enum spool_status spool_read(struct spool *spool, uint64_t after, int max,
    bool (*visit)(void *arg, uint64_t row, const struct frame *frame), void *arg);

/* The descriptor of the lock: that of the options, or a new one. -1: in memory. */
int spool_lock_fd(const struct spool *spool);

/* The number of ready rows; exact, and costs nothing. */
uint64_t spool_count(const struct spool *spool);

/* The row that was stored last. */
uint64_t spool_last_row(const struct spool *spool);

/* Whether no row up to this one is left: all have arrived, or were dropped. */
bool spool_is_through(struct spool *spool, uint64_t row);

/* Which shards of a topic this member of a group had when the group had the last word. */
struct spool_shards {
	const char *group, *topic;
	uint32_t total;
	unsigned char taken[SHARDS_MAX / 8]; /* as in struct message_shards */
	int64_t
	    newest_us; /* UTC: the last slot that was begun, as far as that was noted; 0: none */
};

/*
 * Remember all but `newest_us`, which the spool knows itself, and that anew. Each in a transaction
 * of its own. What cannot be stored is logged, and missing later.
 */
void spool_store_shards(struct spool *spool, const struct spool_shards *shards);
void spool_note_newest(struct spool *spool);

/*
 * Fill in what is remembered for `group` and `topic`. Returns false: nothing that is younger than a
 * day.
 */
bool spool_load_shards(struct spool *spool, struct spool_shards *shards);

/* The number of dead letters that this process has made. */
uint64_t spool_dead_letters(const struct spool *spool);

/* How it is now. Costs a few statements. */
void spool_describe(struct spool *spool, struct spool_facts *facts);

/* A dead letter; what it points to is valid while it is visited. */
struct spool_dead {
	uint64_t number;    /* by which it can be asked for */
	bool readable;      /* `frame` is its record */
	struct frame frame; /* a RECORD */
	const char *reason;
	const char *at; /* UTC: "2026-11-23 10:15:02" */
};

/* As spool_read(), with dead letters behind number `after`. */
enum spool_status spool_read_dead(struct spool *spool, uint64_t after, int max,
    bool (*visit)(void *arg, const struct spool_dead *dead), void *arg);

/* Delete those from `first` through `last`, in a transaction of its own; `*count`: how many. */
enum spool_status
spool_delete_dead(struct spool *spool, uint64_t first, uint64_t last, uint64_t *count);

/*
 * Give some free pages back to the file system, if few records wait. Returns whether there are
 * more: to be called again soon.
 */
bool spool_shrink(struct spool *spool);

/* "3.40.1", for --version. */
const char *spool_library_version(void);

#endif
