/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The spool: a durable queue in one SQLite database, opened by the publisher alone.
 * Only its own files know SQLite.
 *
 * Frames are kept as they came, with their checksum. `open` holds slots that wait for their CLOSE,
 * `ready` the records to publish in their order, `dead` what Kafka refuses for good.
 *
 * All changes of a tick are one transaction: spool_begin(), any of the changes, spool_commit().
 * A call that does not return SPOOL_OK has undone the whole transaction.
 */
#ifndef WEBMOND_SPOOL_H
#define WEBMOND_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

enum spool_status {
	SPOOL_OK,
	SPOOL_RETRY,  /* disk full, no memory, …: nothing was changed, try again later */
	SPOOL_LOST,   /* its epoch has ended: damaged or foreign and set aside, or gone */
	SPOOL_IN_USE, /* somebody else holds it; logged with the PID */
	SPOOL_FAILED, /* cannot be created or used, or set aside; logged with the reason */
};

struct spool;

struct spool_options {
	const char *dir; /* NULL: in memory, for outputs that need no durability */
	bool sync_full;  /* survive power loss, not only kills */
	int64_t max_bytes;
	uint64_t window; /* the oldest so many rows may have been sent: they are never dropped; what
			  * an earlier spool_open() said of those still there counts as well */
	const char *epoch;
	bool epoch_stored;      /* a spool has been opened for it: one without it is another one */
	pid_t supervisor;       /* an epoch begins only as a child of it; 0: always */
	const char *lost_epoch; /* the one before, whose spool was lost; "" or NULL: none */
	int lock_fd; /* the lock that an earlier spool_open() took, held since; -1: none */
};

/*
 * Whether who calls could use a spool in `dir`, now or after a running daemon: spool_open() begins
 * with it. Changes nothing and takes no lock. Returns 0, or -1 with what is wrong and its cure.
 */
int spool_check_place(const char *dir, char *reason, size_t size);

/*
 * Open or create the spool and begin `epoch` if it is new: slots that an earlier epoch left open
 * are finished as `aborted`. Waits up to 5 s for the lock. On SPOOL_OK `*spool` is to be closed.
 */
enum spool_status spool_open(struct spool **spool, const struct spool_options *options);

/* Bring SQLite's log into the database: that is most of what takes time when it is closed. */
void spool_checkpoint(struct spool *spool);

/* Close in good order: nothing is left but the database file. */
void spool_close(struct spool *spool);

enum spool_status spool_begin(struct spool *spool);

/*
 * A slot begins: an OPEN or WHOLE, which the supervisor alone may write. It counts once, in the order
 * of seq. `raw`, the encoded frame, is to stay as it is until spool_commit().
 */
enum spool_status
spool_begin_slot(struct spool *spool, const struct frame *frame, const void *raw, size_t size);

/*
 * A slot ends: a CLOSE or WHOLE of the supervisor, or a CLOSE of a checker whose token is right, see
 * wire_token(). It counts if the slot is open; repeats, other epochs and what comes too late change
 * nothing. What holds no outcome that this program writes ends the slot as `aborted`. Of the lost
 * epoch, which has no open slots any more, the first end of each slot counts.
 */
enum spool_status spool_end_slot(struct spool *spool, const struct frame *frame);

/*
 * All checks of slots of our epoch below `seq` are over, and what checkers wrote of them was given to
 * spool_end_slot(). What is open there ends as `aborted`.
 */
enum spool_status spool_settle(struct spool *spool, uint64_t seq);

/* Whether a slot of this seq of our epoch has not begun yet. */
bool spool_is_ahead(const struct spool *spool, const struct frame *frame);

/* Forget the ready rows from `first` through `last`: they are delivered. */
enum spool_status spool_delete(struct spool *spool, uint64_t first, uint64_t last);

/*
 * Kafka refuses this row for good: keep the record in `dead`, and let a `dropped` record take its
 * place, so that the topic has no hole. When that one is refused as well, it goes too.
 */
enum spool_status spool_bury(struct spool *spool, uint64_t row, const char *reason);

/*
 * Keep the size, then commit. Above the cap, the oldest rows that surely were not sent yet are
 * looked at, in the order of seq; runs of consecutive seqs of one epoch become one `dropped` record
 * each, with the identity and the place of the first, until there is room. So the seqs it names,
 * its own through `dropped_through`, are exactly those of the rows it replaces: slots still open,
 * closed later or sent are in no run. Such records merge again like any others.
 */
enum spool_status spool_commit(struct spool *spool);

/* The last records come: they may have the room that is kept free for deleting. */
void spool_use_reserve(struct spool *spool);

/* Undo what was done since spool_begin(). */
void spool_rollback(struct spool *spool);

/*
 * Read up to `max` ready rows behind `after` in their order, outside a transaction. `take` returns
 * false to stop. A row whose checksum is wrong is moved to the dead letters and skipped.
 */
enum spool_status spool_read(struct spool *spool, uint64_t after, int max,
    bool (*take)(void *arg, uint64_t row, const struct frame *frame), void *arg);

/* The lock: of that file it may be the one that was given, or a new one. -1: in memory. */
int spool_lock_fd(const struct spool *spool);

/* The number of ready rows. Exact, without a scan. */
uint64_t spool_count(const struct spool *spool);

/* The number of dead letters made by this process. */
uint64_t spool_buried(const struct spool *spool);

/* When hardly anything waits: give free pages back, a little at a time. Whether there is more. */
bool spool_shrink(struct spool *spool);

/* "3.40.1", for --version. */
const char *spool_library_version(void);

#endif
