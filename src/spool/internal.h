/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the files of the spool share; see spool.h for the spool as others see it. Each file calls
 * only those below it:
 *
 *   spool.c   the queue: opening with its epoch, committing, reading
 *   slots.c   slots: how they begin and end, and the record of those that nobody ended
 *   drop.c    records that give way: dead letters, and the oldest at the cap
 *   streak.c  how many records of a site in a row have had the same status
 *   dead.c    the dead letters, for an administrator
 *   facts.c   how the spool is, likewise
 *   shards.c  the shards of a member of a group
 *   db.c      the database: opening, errors, transactions, rows
 *   room.c    what is kept free, so that a full disk can be emptied again
 *   place.c   the directory and its lock
 *   sql.c     the statements
 */
#ifndef WEBMOND_SPOOL_INTERNAL_H
#define WEBMOND_SPOOL_INTERNAL_H

#include <sqlite3.h>
#include <sys/stat.h>

#include "payload.h"
#include "result.h"
#include "spool.h"

/* Fewer free pages are not worth giving back; the frames of one full pipe need no more. */
#define SPOOL_PAGES_KEPT 1000

/* How long a start waits for the lock: the publisher before may still be leaving. */
#define SPOOL_LOCK_WAIT_US (5 * US_PER_S)

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	INSERT_OPEN,
	DELETE_OPEN,
	FIRST_OPEN,
	INSERT_READY,
	SET_EPOCH,
	DELETE_READY,
	INSERT_DEAD,
	PURGE_DEAD,
	SELECT_READY,
	SELECT_NTH,
	SELECT_DROPPABLE,
	ALL_PAGES,
	FREE_PAGES,
	SELECT_FRAME,
	REPLACE_READY,
	SET_STREAK,
	SELECT_DEAD,
	DELETE_DEAD,
	SHRINK,
	STATEMENT_COUNT
};

/*
 * A slot that was opened in this transaction: most slots end before its commit and need no row in
 * the table `open`.
 */
struct opened {
	uint64_t seq;
	const unsigned char *raw; /* the caller's; NULL: the slot has ended */
	size_t size;
};

/* Of a site: where its last change of status was. */
struct change {
	int64_t epoch;   /* row of the epoch, 0 of a lost one that is not in this spool */
	int64_t slot_us; /* UTC: scheduled_at */
	uint32_t slot;   /* its number, see struct wire_ordinal; 0: it has no record yet */
	enum status status;
};

/* What a change was before this transaction. */
struct undo {
	uint32_t site;
	struct change before;
};

struct counters {
	uint64_t next_seq; /* of our epoch */
	uint64_t ready;    /* rows of the table `ready` */
};

struct spool {
	sqlite3 *db; /* NULL: given up */
	sqlite3_stmt *statement[STATEMENT_COUNT];
	struct spool_options options;
	char *path, *log_path;         /* of the database and SQLite's log; NULL: in memory */
	struct stat db_stat, log_stat; /* of these files when they were opened; st_ino 0: not yet */
	bool never_used;               /* we made it, and no frame has ever been stored in it */
	int lock_fd;                   /* -1: none */
	int failing;                   /* SQLite's code of the failure that was logged; 0: none */

	int64_t epoch;                  /* row of our epoch in the table `epoch` */
	struct counters now, committed; /* in the transaction, and after the last one */
	uint64_t last_row;              /* of `ready`; no number comes twice while it is open */
	int64_t lost_epoch;             /* row of options.lost_epoch; 0: it is not in this spool */
	uint64_t lost_next_seq;         /* its next_seq; 0 likewise */
	struct opened *opened;          /* in the order of seq */
	size_t opened_count, opened_room;

	struct change *changes; /* by the number of the site; as in the table `streak` */
	size_t change_room;
	struct undo *undo; /* in the order in which they were made */
	size_t undo_count, undo_room;

	int64_t newest_slot_us; /* UTC: of the slots that this process has taken; 0: none */

	uint64_t sent_through;     /* rows up to here may have been sent; 0: to be looked up */
	uint64_t dropped;          /* not logged yet */
	int64_t dropped_logged_us; /* 0: never */
	uint64_t dropped_ever;     /* by this process */
	uint64_t dead_letters;     /* made by this process */
	uint64_t dead_kept;        /* in the table, when dead_letters was dead_counted */
	uint64_t dead_counted;
	/* what is logged once: frames of other epochs, frames of checkers without an outcome,
	 * checks that were over though their checker had sent nothing */
	bool foreign_logged, malformed_logged, unanswered_logged;

	/* room.c */
	int64_t page_size;
	int64_t page_limit; /* SQLite lets the database have no more; 0: not set yet */
	char *reserve_path;
	int64_t reserve_bytes; /* wanted size of that file; 0: none is wanted */
	bool reserve_held, reserve_released;
	int reserve_error;       /* errno of why there was no room for it */
	int64_t next_reserve_us; /* when to try again */
	bool no_room;            /* this transaction stores no new records */
	bool final;              /* no records come after those that are in the pipes */
};

/* --- sql.c ------------------------------------------------------------------------------- */

/* Returns SQLite's code. */
int spool_prepare(struct spool *s);
void spool_finalize(struct spool *s);

sqlite3_stmt *spool_bind(struct spool *s, enum statement which, int index, uint64_t value);
void
spool_bind_blob(struct spool *s, enum statement which, int index, const void *data, size_t size);

/* Decode the frame in a column of the present row; it is valid until the next step or reset. */
bool spool_column_frame(sqlite3_stmt *st, int column, struct frame *frame);

/* The number that a query returns, or -1. */
int64_t spool_number(sqlite3_stmt *st);
int64_t spool_query(struct spool *s, const char *sql);

/*
 * Run statements that are needed once and return no rows; `format` is one of SQLite's, with %Q for
 * a string. Returns SQLite's code.
 */
int spool_run(struct spool *s, const char *format, ...);

/* --- place.c ----------------------------------------------------------------------------- */

/*
 * Take the lock of the spool, or go on with options.lock_fd. A file of its own, because SQLite's
 * locks vanish when any descriptor of the database is closed. Waits up to SPOOL_LOCK_WAIT_US.
 */
enum spool_status spool_lock(struct spool *s);

/* --- room.c ------------------------------------------------------------------------------ */

/* Whether SQLite's `code` says that something is full: a disk, a quota, a file. */
bool spool_is_full(int code);

/* Whether `code` comes from page_limit; to be asked before the transaction is undone. */
bool spool_is_at_page_limit(struct spool *s, int code);

/*
 * What the administrator can do about SQLite's `code` with errno `error` behind it. Begins with
 * "; ", or is "".
 */
const char *spool_room_hint(struct spool *s, int code, int error);

/* Before the database is opened: see whether there is a reserve that can be released for that. */
void spool_find_reserve(struct spool *s);

/* Once options.window is final: set the page limit, allocate the reserve. */
void spool_plan_room(struct spool *s);

/* Whether new records may be stored. If not, the reason is logged once; to be asked again. */
bool spool_has_room(struct spool *s);

/* Something was full: make room for deleting. Outside a transaction. */
void spool_make_room(struct spool *s, bool at_page_limit);

/* --- db.c -------------------------------------------------------------------------------- */

/* Take the lock and open the database of s->options, or create it. */
enum spool_status spool_connect(struct spool *s);
void spool_disconnect(struct spool *s);

/*
 * Classify the last error of SQLite, log it once and undo the transaction that it interrupted.
 * `action` is what failed: "store a record".
 */
enum spool_status spool_failed(struct spool *s, const char *action);

/* Close the database without another write and, if it is still there, set it aside as it is. */
enum spool_status spool_give_up(struct spool *s, const char *reason);

/* Run a statement that returns no rows; its parameters are bound. */
enum spool_status spool_step(struct spool *s, enum statement which, const char *action);

/* Store a record behind all others. */
enum spool_status
spool_insert_ready(struct spool *s, int64_t epoch, uint64_t seq, const void *raw, size_t size);

/* --- streak.c ---------------------------------------------------------------------------- */

/* Read the table `streak`. */
enum spool_status spool_load_streaks(struct spool *s);

/* In a transaction: a new epoch begins, and only those of the lost epoch may still go on. */
enum spool_status spool_forget_streaks(struct spool *s);

/*
 * The slot of `frame` gets a record with this status: which streak it ends. To be called once for
 * each record, in the order of the slots of a site. `epoch` as in struct change.
 */
struct payload_streak
spool_count_streak(struct spool *s, int64_t epoch, const struct frame *frame, enum status status);

/* Before a commit: store the changes of this transaction. */
enum spool_status spool_store_streaks(struct spool *s);

/* --- drop.c ------------------------------------------------------------------------------ */

/* Bring the spool below its cap; `*dropped` is how many records that has cost. */
enum spool_status spool_enforce_cap(struct spool *s, uint64_t *dropped);

/* --- slots.c ----------------------------------------------------------------------------- */

/* Give the slots that were opened in this transaction and are still open their rows. */
enum spool_status spool_store_opened(struct spool *s);

/* Which open slots to finish, and how. */
struct finish {
	/* from <= seq < below; a negative seq is no slot, but a note that a slot of the lost epoch
	 * has ended, see close_lost_slot() in slots.c */
	int64_t from, below;
	int64_t epoch;       /* of their records */
	const char *message; /* of their records, which are `aborted` */
	bool more;           /* out: there was one */
	uint64_t finished;   /* out: this many have got a record */
};

/* Finish the first of them. */
enum spool_status spool_finish_first(struct spool *s, struct finish *f);

#endif
