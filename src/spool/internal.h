/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the files of the spool share; see spool.h for the spool as others see it. Each file calls only
 * those below it:
 *
 *   spool.c   the queue: opening with its epoch, committing, reading
 *   slots.c   slots: how they begin and end, and the record of those that nobody ended
 *   drop.c    records that give way: dead letters, and the oldest at the cap
 *   db.c      the database: opening, errors, transactions, rows
 *   room.c    what is kept free, so that a full disk can be emptied again
 *   place.c   the directory and its lock
 *   sql.c     the statements
 */
#ifndef WEBMOND_SPOOL_INTERNAL_H
#define WEBMOND_SPOOL_INTERNAL_H

#include <sqlite3.h>
#include <sys/stat.h>

#include "result.h"
#include "spool.h"

/* free pages not worth giving back; one full pipe needs no more */
#define SPOOL_PAGES_KEPT 1000

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
	BURY,
	PURGE_DEAD,
	SELECT_READY,
	SELECT_NTH,
	SELECT_DROPPABLE,
	ALL_PAGES,
	FREE_PAGES,
	SELECT_FRAME,
	REPLACE_READY,
	SHRINK,
	STATEMENT_COUNT
};

/* An OPEN of the transaction: most slots end before its commit and need no row in `open`. */
struct begun {
	uint64_t seq;
	const unsigned char *raw; /* NULL: closed */
	size_t size;
};

struct spool {
	sqlite3 *db;
	sqlite3_stmt *statement[STATEMENT_COUNT];
	struct spool_options options;
	char *path, *log_path;  /* NULL: in memory */
	struct stat found, log; /* what was there when it was opened; st_ino 0: nothing yet */
	int lock_fd;
	int64_t page_size;
	int64_t stop_pages; /* SQLite lets the database grow no further; 0: not known yet */
	char *reserve_path;
	int64_t reserve_bytes; /* kept there; 0: none is wanted */
	int64_t next_reserve_us;
	int reserve_error; /* why there was no room for it */
	bool reserved, gave_reserve;
	int64_t epoch; /* row of ours in table epoch */
	uint64_t next_seq, next_seq_stored;
	uint64_t lost_next_seq;       /* of options.lost_epoch, if this is its spool after all */
	uint64_t count, count_stored; /* of ready */
	uint64_t last_row;            /* of ready; no number comes twice while the spool is open */
	struct begun *begun;          /* in the order of seq */
	size_t begun_count, begun_room;
	uint64_t buried;
	uint64_t strangers;      /* frames of other epochs */
	uint64_t refused;        /* of checkers */
	uint64_t unsaid;         /* times that slots were found whose checker had sent nothing */
	uint64_t untouchable;    /* rows through this may have been sent; 0: not known now */
	uint64_t dropped;        /* not logged yet */
	int64_t dropped_said_us; /* 0: never */
	bool unused;             /* made by us, and no frame has ever been stored in it */
	bool no_room;
	bool last;   /* no more records come after those in the pipe */
	int failing; /* SQLite's code of the trouble that was logged; 0: none */
};

/* At a start the one before may still be leaving. */
#define SPOOL_LOCK_WAIT_US (5 * US_PER_S)

/* --- sql.c ------------------------------------------------------------------------------- */

/* Returns SQLite's code. */
int spool_prepare(struct spool *s);
void spool_finalize(struct spool *s);

sqlite3_stmt *spool_bind(struct spool *s, enum statement which, int index, uint64_t value);
void
spool_bind_blob(struct spool *s, enum statement which, int index, const void *data, size_t size);

/* The number that a query returns, or -1. */
int64_t spool_number(sqlite3_stmt *st);
int64_t spool_query(struct spool *s, const char *sql);

/*
 * Statements that are needed once, without results; `format` is one of SQLite's, with %Q for a
 * string. Returns SQLite's code.
 */
int spool_run(struct spool *s, const char *format, ...);

/* --- place.c ----------------------------------------------------------------------------- */

/*
 * A lock file of its own: SQLite's locks vanish when any descriptor of the database is closed.
 * It waits, because after a crash the publisher before us needs a moment to finish.
 */
enum spool_status spool_take_lock(struct spool *s);

/* --- room.c ------------------------------------------------------------------------------ */

/* Whether SQLite's `code` says that something is full: a disk, a quota, a file. */
bool spool_is_full(int code);

/* Whether it is our own hard stop that says so; before the transaction is undone. */
bool spool_is_stopped(struct spool *s, int code);

/* What to do about such a code, and about errno `why` behind it; begins with "; " or is "". */
const char *spool_room_hint(struct spool *s, int code, int why);

/* Before the database is opened: what is in the reserve can make room for that. */
void spool_find_reserve(struct spool *s);

/* Once the window is known: set the hard stop, take the reserve. */
void spool_plan_room(struct spool *s);

/*
 * Whether new records may be stored. If not, it was said why; once there is room again they may,
 * without anybody's doing.
 */
bool spool_has_room(struct spool *s);

/* Something was full: have room for deleting. Outside a transaction. */
void spool_make_room(struct spool *s, bool stopped);

/* --- db.c -------------------------------------------------------------------------------- */

/* Take the lock and open the database of s->options, or create it. */
enum spool_status spool_connect(struct spool *s);
void spool_disconnect(struct spool *s);

/*
 * Sort the last error of SQLite, say it once and undo the transaction that it interrupted. `doing`:
 * what cannot be done.
 */
enum spool_status spool_failed(struct spool *s, const char *doing);

/* Set the database aside as it is, if it is still there; nothing more is written to it. */
enum spool_status spool_give_up(struct spool *s, const char *why);

/* Run a statement that returns no rows; its parameters are bound. */
enum spool_status spool_step(struct spool *s, enum statement which, const char *doing);

/* Store a record behind all others. */
enum spool_status
spool_insert_ready(struct spool *s, int64_t epoch, uint64_t seq, const void *raw, size_t size);

/* --- drop.c ------------------------------------------------------------------------------ */

/* Back below the cap; `*dropped` is how many records that has cost. */
enum spool_status spool_keep_size(struct spool *s, uint64_t *dropped);

/* --- slots.c ----------------------------------------------------------------------------- */

/* Slots that begin in this transaction, and do not end in it. */
enum spool_status spool_store_begun(struct spool *s);

/* Which open slots are to be finished, and how. */
struct finish {
	int64_t from,
	    below;     /* their seqs; below 0 there are notes about a lost epoch, which just go */
	int64_t epoch; /* of their records */
	const char *message; /* of those */
	bool more;           /* out: there was one */
	uint64_t finished;   /* out: this many have got a record */
};

/* Finish the first of them. */
enum spool_status spool_finish_first(struct spool *s, struct finish *f);

#endif
