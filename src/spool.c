/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The spool in SQLite. Called by the publisher only. Every result of every statement counts: a
 * COMMIT can succeed after all INSERTs of its transaction failed. Nothing is fatal here.
 */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "payload.h"
#include "util.h"

#define APPLICATION_ID 0x776d6f6e /* "wmon" */
#define SCHEMA_VERSION 1

#define LOCK_WAIT_US (5 * US_PER_S)
#define SEQ_AHEAD    4096      /* an OPEN that jumps further was not written by the supervisor */
#define BURIED_KEPT  10000     /* dead letters; older ones go */
#define BURIED_BYTES (1 << 14) /* of the cap for each that is kept */
/* rows looked at for runs to drop: slots still open, up to workers.max, may part them */
#define DROP_LOOK    (4 * 4096)
#define DROP_SAY_US  (60 * US_PER_S)
#define RESERVE_MIN  (8 << 20) /* free bytes of the file system; SQLite's log needs some to delete */
#define RESERVE_MAX  (16 << 20)
#define SHRINK_BELOW 1000 /* rows; with more, free pages will be needed again */
#define PAGES_KEPT   1000 /* free pages not worth giving back; one full pipe needs no more */

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	INSERT_OPEN,
	DELETE_OPEN,
	IS_OPEN,
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

static const char *const statement_text[STATEMENT_COUNT] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[INSERT_OPEN] = "INSERT OR REPLACE INTO open(seq, frame) VALUES(?1, ?2)",
	/* the bytes that say which slot it is; substr() counts from 1 */
	[DELETE_OPEN] = "DELETE FROM open WHERE seq = ?1 AND substr(frame, 1 + ?2, ?3) = ?4",
	[IS_OPEN] = "SELECT EXISTS(SELECT 1 FROM open WHERE seq = ?1)",
	[INSERT_READY] = "INSERT INTO ready(epoch, seq, through, frame) VALUES(?1, ?2, ?2, ?3)",
	[SET_EPOCH] = "UPDATE epoch SET next_seq = ?1, ready = ?2 WHERE n = ?3",
	[DELETE_READY] = "DELETE FROM ready WHERE n BETWEEN ?1 AND ?2",
	[BURY] = "INSERT INTO dead(frame, reason, at) SELECT frame, ?2, datetime('now') FROM ready "
		 "WHERE n = ?1",
	[PURGE_DEAD] = "DELETE FROM dead WHERE n <= (SELECT max(n) FROM dead) - ?1",
	[SELECT_READY] = "SELECT n, frame FROM ready WHERE n > ?1 ORDER BY n LIMIT ?2",
	[SELECT_NTH] = "SELECT n FROM ready ORDER BY n LIMIT 1 OFFSET ?1",
	[SELECT_DROPPABLE] =
	    "SELECT n, epoch, seq, through FROM (SELECT n, epoch, seq, through FROM "
	    "ready WHERE n > ?1 ORDER BY n LIMIT ?2) ORDER BY epoch, seq",
	[ALL_PAGES] = "PRAGMA page_count",
	[FREE_PAGES] = "PRAGMA freelist_count",
	/* inside a JSON string these quotes would be escaped: it can only be the field */
	[SELECT_FRAME] = "SELECT frame, through, instr(frame, CAST('\"error_type\":\"dropped\"' AS "
			 "BLOB)) FROM ready WHERE n = ?1",
	[REPLACE_READY] = "UPDATE ready SET frame = ?2, through = ?3 WHERE n = ?1",
	[SHRINK] = "PRAGMA incremental_vacuum(500)",
};

static const char schema[] =
    /* the last row is the current epoch; `ready` counts the rows of that table, `may_fly` is the
     * window: with a smaller one now, those that were sent must be left alone all the same */
    "CREATE TABLE epoch(n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " next_seq INTEGER NOT NULL, ready INTEGER NOT NULL, may_fly INTEGER NOT NULL);"
    "CREATE TABLE open(seq INTEGER PRIMARY KEY, frame BLOB NOT NULL);"
    /* AUTOINCREMENT: without it an emptied table starts again at 1 */
    "CREATE TABLE ready(n INTEGER PRIMARY KEY AUTOINCREMENT, epoch INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, through INTEGER NOT NULL, frame BLOB NOT NULL);"
    "CREATE TABLE dead(n INTEGER PRIMARY KEY AUTOINCREMENT, frame BLOB NOT NULL,"
    " reason TEXT NOT NULL, at TEXT NOT NULL);";

struct spool {
	sqlite3 *db;
	sqlite3_stmt *statement[STATEMENT_COUNT];
	struct spool_options options;
	char *path;
	int lock_fd;
	int64_t page_size;
	int64_t epoch; /* row of ours in table epoch */
	uint64_t next_seq, next_seq_stored;
	uint64_t count, count_stored; /* of ready */
	uint64_t buried;
	uint64_t strangers;
	uint64_t forged;
	uint64_t untouchable;    /* rows through this may have been sent; 0: not known now */
	uint64_t dropped;        /* not logged yet */
	int64_t dropped_said_us; /* 0: never */
	bool no_room;
	int failing; /* SQLite's code of the trouble that was logged; 0: none */
};

const char *
spool_library_version(void)
{
	return sqlite3_libversion();
}

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

/* --- errors ------------------------------------------------------------------------------ */

/*
 * Rename the database and its log as a pair, so that they still belong together: what is in the way
 * is kept, whatever it is. Returns 0 or -1.
 */
static int
set_aside(const char *dir, const char *path, const char *why)
{
	static const char *const parts[] = { "", "-wal", "-shm", "-journal" };
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	int outcome = 0, fd;

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
		char *from = xasprintf("%s%s", path, parts[i]);
		char *to = xasprintf("%s.corrupt-%s-%d%s", path, stamp, (int)getpid(), parts[i]);

		if (rename(from, to) == 0) {
			log_error("spool: \"%s\" %s; it was set aside as \"%s\"", from, why, to);
		} else if (errno != ENOENT) {
			log_error("spool: cannot set \"%s\" aside: %s", from, strerror(errno));
			outcome = -1;
		}
		free(from);
		free(to);
	}
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 || fsync(fd) < 0)
		log_warning("spool: cannot sync \"%s\": %s", dir, strerror(errno));
	if (fd >= 0)
		close(fd);
	return outcome;
}

/* Nothing may be written any more, a checkpoint neither: the file stays as it was found. */
static enum spool_status
give_up(struct spool *s, const char *why)
{
	for (int i = 0; i < STATEMENT_COUNT; i++) {
		sqlite3_finalize(s->statement[i]);
		s->statement[i] = NULL;
	}
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close_v2(s->db); /* a caller may still hold a statement */
	s->db = NULL;
	return s->path != NULL && set_aside(s->options.dir, s->path, why) == 0 ? SPOOL_LOST
									       : SPOOL_FAILED;
}

/*
 * Whether waiting cannot help. Disk full, read-only, locked, no memory: those pass. What only a
 * mistake of ours can cause must not cost a healthy spool.
 */
static bool
is_damage(int code)
{
	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:      /* tables that are not ours */
	case SQLITE_CONSTRAINT: /* that we never violate */
		return true;
	case SQLITE_IOERR:
		/* after a failed fsync the kernel may have dropped the pages and call the next
		 * one good */
		return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC ||
		       code == SQLITE_IOERR_READ || code == SQLITE_IOERR_SHORT_READ ||
		       code == SQLITE_IOERR_DATA || code == SQLITE_IOERR_CORRUPTFS;
	}
	return false;
}

/* Sort an SQLite error and undo a transaction that it interrupted. */
static enum spool_status
failed(struct spool *s, const char *doing)
{
	int code = sqlite3_extended_errcode(s->db);

	if (code != s->failing)
		log_error("spool: cannot %s: %s%s%s", doing, sqlite3_errmsg(s->db),
		    (code & 0xff) == SQLITE_FULL ? "; make room on the file system of spool.dir"
						 : "",
		    is_damage(code) ? "" : "; nothing is lost, trying again");
	if (is_damage(code))
		return give_up(s, "is damaged");
	s->failing = code;
	spool_rollback(s);
	/* lets the log start anew inside the room that it has: deleting must go on working */
	if ((code & 0xff) == SQLITE_FULL)
		sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SPOOL_RETRY;
}

/* Run a statement that returns no rows; its parameters are bound. */
static enum spool_status
step(struct spool *s, enum statement which, const char *doing)
{
	sqlite3_stmt *st = s->statement[which];
	int code;

	do
		code = sqlite3_step(st);
	while (code == SQLITE_ROW);
	/* reset repeats the error of step, with the extended code still set */
	if (code == SQLITE_DONE && sqlite3_reset(st) == SQLITE_OK)
		return SPOOL_OK;
	sqlite3_reset(st);
	return failed(s, doing);
}

static sqlite3_stmt *
bind_number(struct spool *s, enum statement which, int index, uint64_t value)
{
	sqlite3_bind_int64(s->statement[which], index, (sqlite3_int64)value);
	return s->statement[which];
}

static void
bind_blob(struct spool *s, enum statement which, int index, const void *data, size_t size)
{
	sqlite3_bind_blob(s->statement[which], index, data, (int)size, SQLITE_STATIC);
}

/* The number that a query returns, or -1. */
static int64_t
get_number(sqlite3_stmt *st)
{
	int64_t value = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;

	sqlite3_reset(st);
	return value;
}

static int64_t
pragma_number(struct spool *s, const char *sql)
{
	sqlite3_stmt *st;
	int64_t value;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return -1;
	value = get_number(st);
	sqlite3_finalize(st);
	return value;
}

/* --- opening ----------------------------------------------------------------------------- */

/*
 * A lock file of its own: SQLite's locks vanish when any descriptor of the database is closed.
 * It waits, because after a crash the publisher before us needs a moment to finish.
 */
static enum spool_status
take_lock(struct spool *s)
{
	char *path = xasprintf("%s/spool.lock", s->options.dir);
	int64_t until = util_mono_us() + LOCK_WAIT_US;
	enum spool_status outcome = SPOOL_OK;
	char pid[16] = "?";

	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (s->lock_fd < 0) {
		log_error(
		    "cannot open \"%s\": %s; spool.dir must exist and belong to the user that the "
		    "publisher runs as",
		    path, strerror(errno));
		free(path);
		return SPOOL_FAILED;
	}
	while (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0 && outcome == SPOOL_OK) {
		if (util_mono_us() < until) {
			usleep(50000);
			continue;
		}
		if (pread(s->lock_fd, pid, sizeof(pid) - 1, 0) > 0)
			pid[strcspn(pid, "\n")] = '\0';
		log_error("the spool in \"%s\" is in use by PID %s", s->options.dir, pid);
		outcome = SPOOL_IN_USE;
	}
	if (outcome == SPOOL_OK) {
		snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
		if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, strlen(pid), 0) < 0)
			log_warning("cannot write \"%s\": %s", path, strerror(errno));
	}
	free(path);
	return outcome;
}

static int
run_sql(struct spool *s, const char *sql)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL);
}

/*
 * What SQLite must not be shown: it would follow a link, and delete a log that has lost its
 * database.
 */
static enum spool_status
look_at_path(struct spool *s)
{
	char *log = xasprintf("%s-wal", s->path);
	const char *why = NULL;
	struct stat st;

	if (lstat(s->path, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			why = "is not a regular file";
		else if (st.st_size == 0 && lstat(log, &st) == 0)
			why = "is empty, but not its log";
	} else if (errno == ENOENT && lstat(log, &st) == 0) {
		why = "has only a log";
	}
	free(log);
	if (why == NULL)
		return SPOOL_OK;
	return set_aside(s->options.dir, s->path, why) == 0 ? SPOOL_LOST : SPOOL_FAILED;
}

/* Whether the file is new or ours, before anything is written to it; else it is set aside. */
static enum spool_status
check_identity(struct spool *s, bool *is_new)
{
	int64_t tables = pragma_number(s, "SELECT count(*) FROM sqlite_schema");
	int64_t version, application;

	if (tables < 0)
		return failed(s, "read the database");
	version = pragma_number(s, "PRAGMA user_version");
	application = pragma_number(s, "PRAGMA application_id");
	*is_new = tables == 0 && version == 0 && application == 0;
	if (*is_new || (application == APPLICATION_ID && version == SCHEMA_VERSION))
		return SPOOL_OK;
	return give_up(s, application == APPLICATION_ID ? "is a spool of another version of webmond"
							: "is not a spool of webmond");
}

/* Connect and bring the file to our schema. Not ours or newer: treated as damaged. */
static enum spool_status
connect_database(struct spool *s)
{
	enum spool_status status;
	bool is_new = false;
	char *sql;
	int code;

	code = sqlite3_open_v2(s->path != NULL ? s->path : ":memory:", &s->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (s->db == NULL)
		return SPOOL_FAILED;
	sqlite3_extended_result_codes(s->db, 1);
	if (code != SQLITE_OK) {
		log_error("spool: cannot open \"%s\": %s", s->path, sqlite3_errmsg(s->db));
		return is_damage(sqlite3_extended_errcode(s->db)) ? give_up(s, "cannot be read")
								  : SPOOL_FAILED;
	}
	sqlite3_busy_timeout(s->db, (int)(LOCK_WAIT_US / US_PER_MS));
	/* exclusive before the first access: no -shm file, and a curious sqlite3(1) waits outside;
	 * auto_vacuum before the first table */
	run_sql(s, "PRAGMA locking_mode=EXCLUSIVE");
	if ((status = check_identity(s, &is_new)) != SPOOL_OK)
		return status;
	sql = xasprintf("PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;"
			"PRAGMA synchronous=%s; PRAGMA journal_size_limit=8388608;"
			"PRAGMA cache_size=-2000; PRAGMA cell_size_check=ON;"
			"PRAGMA trusted_schema=OFF;",
	    s->options.sync_full ? "FULL" : "NORMAL");
	code = run_sql(s, sql);
	free(sql);
	if (code != SQLITE_OK)
		return failed(s, "open the database");
	if (is_new) {
		sql = xasprintf(
		    "BEGIN; %s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", schema,
		    APPLICATION_ID, SCHEMA_VERSION);
		code = run_sql(s, sql);
		free(sql);
		if (code != SQLITE_OK)
			return failed(s, "create the tables");
	}
	for (int i = 0; i < STATEMENT_COUNT; i++)
		if (sqlite3_prepare_v3(s->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
			&s->statement[i], NULL) != SQLITE_OK)
			return failed(s, "prepare");
	s->page_size = pragma_number(s, "PRAGMA page_size");
	/* a hard stop above the cap, below a really full disk, where not even DELETE works */
	sql = xasprintf("PRAGMA max_page_count=%lld",
	    (long long)(s->options.max_bytes / s->page_size * 5 / 4 + 1000));
	run_sql(s, sql);
	free(sql);
	return SPOOL_OK;
}

static enum spool_status
insert_ready(struct spool *s, int64_t epoch, uint64_t seq, const void *raw, size_t size)
{
	enum spool_status status;

	bind_number(s, INSERT_READY, 1, (uint64_t)epoch);
	bind_number(s, INSERT_READY, 2, seq);
	bind_blob(s, INSERT_READY, 3, raw, size);
	status = step(s, INSERT_READY, "store a record");
	if (status == SPOOL_OK)
		s->count++;
	return status;
}

/* Make a finished record out of an identity; returns its encoded length. */
static size_t
finish_frame(unsigned char *out, const struct frame *begun, enum error_type error,
    int64_t dropped_through, const char *message)
{
	char payload[WIRE_PAYLOAD_MAX];
	struct frame frame = *begun;
	struct result result;

	result_init(&result);
	result_fail(&result, error, "%s", message);
	memcpy(payload, begun->payload, begun->identity_size);
	frame.type = WIRE_CLOSE;
	frame.payload = payload;
	frame.payload_size = payload_outcome(
	    payload, begun->identity_size, NULL, &result, dropped_through);
	return wire_encode(out, &frame);
}

/* Slots that another epoch left open get their record: nobody else will close them. */
static enum spool_status
adopt_open(struct spool *s, int64_t epoch)
{
	sqlite3_stmt *select;
	enum spool_status status = SPOOL_OK;
	unsigned char out[WIRE_FRAME_MAX];
	uint64_t adopted = 0;
	size_t size;
	char *sql;
	int code;

	if (sqlite3_prepare_v2(
		s->db, "SELECT seq, frame FROM open ORDER BY seq", -1, &select, NULL) != SQLITE_OK)
		return failed(s, "read open slots");
	while ((code = sqlite3_step(select)) == SQLITE_ROW) {
		uint64_t seq = (uint64_t)sqlite3_column_int64(select, 0);
		struct frame frame;

		if (wire_decode(sqlite3_column_blob(select, 1),
			(size_t)sqlite3_column_bytes(select, 1), &frame) < 0) {
			log_error("spool: the open slot %llu is damaged and gets no record; it was "
				  "moved to the dead letters",
			    (unsigned long long)seq);
			sql = sqlite3_mprintf("INSERT INTO dead(frame, reason, at) SELECT frame, "
					      "'damaged on disk', datetime('now') FROM open WHERE "
					      "seq = %lld",
			    (long long)seq);
			code = sql != NULL ? run_sql(s, sql) : SQLITE_NOMEM;
			sqlite3_free(sql);
			if (code != SQLITE_OK)
				break;
			s->buried++;
			continue;
		}
		size = finish_frame(out, &frame, ERROR_ABORTED, RESULT_NONE,
		    "webmond ended while this check was running");
		if ((status = insert_ready(s, epoch, seq, out, size)) != SPOOL_OK)
			break;
		adopted++;
	}
	sqlite3_finalize(select);
	if (status != SPOOL_OK)
		return status;
	if (code != SQLITE_DONE || run_sql(s, "DELETE FROM open") != SQLITE_OK)
		return failed(s, "adopt open slots");
	if (adopted > 0)
		log_notice("%llu checks of the last run never ended; their records say aborted",
		    (unsigned long long)adopted);
	return SPOOL_OK;
}

/* Go on with our epoch, or begin it and finish what the one before left. */
static enum spool_status
enter_epoch(struct spool *s)
{
	enum spool_status status;
	sqlite3_stmt *st;
	uint64_t may_fly = 0, window = s->options.window;
	int64_t last = 0;
	bool ours = false;
	char *sql;
	int code;

	if (sqlite3_prepare_v2(s->db,
		"SELECT n, id, next_seq, ready, (SELECT max(may_fly) FROM epoch) FROM epoch "
		"ORDER BY n DESC LIMIT 1",
		-1, &st, NULL) != SQLITE_OK)
		return failed(s, "read the epoch");
	if ((code = sqlite3_step(st)) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(st, 1);

		last = sqlite3_column_int64(st, 0);
		ours = id != NULL && strcmp(id, s->options.epoch) == 0;
		s->next_seq = ours ? (uint64_t)sqlite3_column_int64(st, 2) : 0;
		s->count = (uint64_t)sqlite3_column_int64(st, 3);
		may_fly = (uint64_t)sqlite3_column_int64(st, 4);
	}
	sqlite3_finalize(st);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return failed(s, "read the epoch");
	s->epoch = last;
	s->next_seq_stored = s->next_seq;
	s->count_stored = s->count;
	if (may_fly > window)
		s->options.window = may_fly;
	if (ours && may_fly >= window)
		return SPOOL_OK;
	if (ours) {
		sql = sqlite3_mprintf("UPDATE epoch SET may_fly = %lld", (long long)window);
		code = sql != NULL ? run_sql(s, sql) : SQLITE_NOMEM;
		sqlite3_free(sql);
		return code == SQLITE_OK ? SPOOL_OK : failed(s, "store the window");
	}
	if ((status = spool_begin(s)) != SPOOL_OK || (status = adopt_open(s, last)) != SPOOL_OK)
		return status;
	/* epochs older than the oldest row have nothing left */
	sql = sqlite3_mprintf(
	    "INSERT INTO epoch(id, next_seq, ready, may_fly) VALUES(%Q, 0, %lld, %lld);"
	    "DELETE FROM epoch WHERE n < coalesce((SELECT epoch FROM ready ORDER BY "
	    "n LIMIT 1), (SELECT max(n) FROM epoch))",
	    s->options.epoch, (long long)s->count, (long long)window);
	code = sql != NULL ? run_sql(s, sql) : SQLITE_NOMEM;
	sqlite3_free(sql);
	if (code != SQLITE_OK)
		return failed(s, "begin the epoch");
	s->epoch = pragma_number(s, "SELECT max(n) FROM epoch");
	return spool_commit(s);
}

enum spool_status
spool_open(struct spool **spool, const struct spool_options *options)
{
	struct spool *s = xcalloc(1, sizeof(*s));
	enum spool_status status = SPOOL_OK;

	s->options = *options;
	s->lock_fd = -1;
	if (options->dir != NULL) {
		s->path = xasprintf("%s/spool.db", options->dir);
		status = take_lock(s);
		if (status == SPOOL_OK)
			status = look_at_path(s);
	}
	if (status == SPOOL_OK)
		status = connect_database(s);
	if (status == SPOOL_OK)
		status = enter_epoch(s);
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
	if (s->forged > 0)
		log_error(
		    "spool: %llu frames were ignored as forged", (unsigned long long)s->forged);
	if (s->db != NULL && s->path != NULL)
		run_sql(s, "PRAGMA wal_checkpoint(TRUNCATE)");
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(s->statement[i]);
	sqlite3_close(s->db);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s->path);
	free(s);
}

/* --- changes ----------------------------------------------------------------------------- */

/*
 * On a disk that is really full not even DELETE works, it needs room in the log. So new records
 * wait outside while there is some left; free pages inside the file may be used up.
 */
static bool
disk_is_full(struct spool *s)
{
	struct statvfs fs;
	uint64_t all, reserve;

	if (s->path == NULL || statvfs(s->options.dir, &fs) < 0)
		return false;
	all = (uint64_t)fs.f_blocks * fs.f_frsize;
	reserve = all / 8 < RESERVE_MAX ? all / 8 : RESERVE_MAX;
	if (reserve < RESERVE_MIN)
		reserve = all / 2 < RESERVE_MIN ? all / 2 : RESERVE_MIN;
	if ((uint64_t)fs.f_bavail * fs.f_frsize >= reserve)
		return false;
	return get_number(s->statement[FREE_PAGES]) < PAGES_KEPT;
}

enum spool_status
spool_begin(struct spool *s)
{
	int moved = 0;

	sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
	if (moved && s->path != NULL) /* what is written now would vanish with this process */
		return give_up(s, "was removed or replaced while in use");
	s->no_room = disk_is_full(s);
	return step(s, BEGIN, "begin");
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
	s->untouchable = 0;
}

/* A checker may be in foreign hands: its lies must not reach beyond the slots that it works on. */
static void
forged(struct spool *s, const struct frame *frame)
{
	if (s->forged++ == 0)
		log_error(
		    "spool: a frame for seq %llu is forged or of another slot: ignored, like all "
		    "that follow",
		    (unsigned long long)frame->seq);
}

/* A CLOSE ends the slot that it names, if it names the one that is open. */
static enum spool_status
close_slot(struct spool *s, const struct frame *frame, const unsigned char *raw, size_t size)
{
	size_t identity_size = wire_identity_size(frame);
	enum spool_status status;

	bind_number(s, DELETE_OPEN, 1, frame->seq);
	bind_number(s, DELETE_OPEN, 2, WIRE_IDENTITY_AT);
	bind_number(s, DELETE_OPEN, 3, identity_size);
	bind_blob(s, DELETE_OPEN, 4, raw + WIRE_IDENTITY_AT, identity_size);
	status = step(s, DELETE_OPEN, "close a slot");
	if (status != SPOOL_OK)
		return status;
	if (sqlite3_changes(s->db) > 0)
		return insert_ready(s, s->epoch, frame->seq, raw, size);
	/* else a repeat, or the other writer was first */
	if (get_number(bind_number(s, IS_OPEN, 1, frame->seq)) > 0)
		forged(s, frame);
	return SPOOL_OK;
}

/* Whether this OPEN or WHOLE is news, and the next in line. */
static bool
accept_open(struct spool *s, const struct frame *frame)
{
	if (frame->seq < s->next_seq)
		return false; /* seen before: the pipe was peeked again */
	if (frame->seq - s->next_seq > SEQ_AHEAD) {
		forged(s, frame);
		return false;
	}
	if (frame->seq > s->next_seq)
		log_error("seq %llu comes where %llu was due; please report this",
		    (unsigned long long)frame->seq, (unsigned long long)s->next_seq);
	s->next_seq = frame->seq + 1;
	return true;
}

enum spool_status
spool_apply(struct spool *s, const struct frame *frame, const void *raw, size_t size)
{
	if (s->no_room) {
		if (s->failing != SQLITE_FULL)
			log_error("spool: the file system of spool.dir is nearly full: make room; "
				  "nothing is lost, trying again");
		s->failing = SQLITE_FULL;
		spool_rollback(s);
		/* on a small file system it may be our own log that takes the room */
		run_sql(s, "PRAGMA wal_checkpoint(TRUNCATE)");
		return SPOOL_RETRY;
	}
	/* what was open went with the spool; a negative epoch of its own keeps it out of every run */
	if (s->options.lost_epoch != NULL && strcmp(frame->epoch, s->options.lost_epoch) == 0)
		return frame->type == WIRE_OPEN
			   ? SPOOL_OK
			   : insert_ready(s, -1 - (int64_t)frame->seq, frame->seq, raw, size);
	if (strcmp(frame->epoch, s->options.epoch) != 0) {
		if (s->strangers++ == 0)
			log_warning("frames of another epoch are ignored: %s", frame->epoch);
		return SPOOL_OK;
	}
	switch (frame->type) {
	case WIRE_OPEN:
		if (!accept_open(s, frame))
			return SPOOL_OK;
		bind_number(s, INSERT_OPEN, 1, frame->seq);
		bind_blob(s, INSERT_OPEN, 2, raw, size);
		return step(s, INSERT_OPEN, "store an open slot");
	case WIRE_WHOLE:
		return accept_open(s, frame) ? insert_ready(s, s->epoch, frame->seq, raw, size)
					     : SPOOL_OK;
	case WIRE_CLOSE:
		return close_slot(s, frame, raw, size);
	}
	return SPOOL_OK;
}

enum spool_status
spool_delete(struct spool *s, uint64_t first, uint64_t last)
{
	enum spool_status status;

	bind_number(s, DELETE_READY, 1, first);
	bind_number(s, DELETE_READY, 2, last);
	status = step(s, DELETE_READY, "delete records");
	if (status == SPOOL_OK)
		s->count -= (uint64_t)sqlite3_changes(s->db);
	if (first <= s->untouchable)
		s->untouchable = 0; /* others follow */
	return status;
}

/* Keep a row as a dead letter. */
static enum spool_status
keep_dead(struct spool *s, uint64_t row, const char *reason)
{
	uint64_t kept = (uint64_t)s->options.max_bytes / BURIED_BYTES;
	enum spool_status status;

	bind_number(s, BURY, 1, row);
	sqlite3_bind_text(s->statement[BURY], 2, reason, -1, SQLITE_STATIC);
	bind_number(s, PURGE_DEAD, 1, kept < BURIED_KEPT ? kept : BURIED_KEPT);
	if ((status = step(s, BURY, "keep a dead letter")) != SPOOL_OK ||
	    (status = step(s, PURGE_DEAD, "purge dead letters")) != SPOOL_OK)
		return status;
	s->buried++;
	return SPOOL_OK;
}

/*
 * Put a `dropped` record with the identity of `row` in its place; `through` NULL: for itself alone.
 * Without a readable identity there is none, nor for one that is such a record alone already:
 * `*replaced` is false then, and the row as it was.
 */
static enum spool_status
drop_row(
    struct spool *s, uint64_t row, const uint64_t *through, const char *message, bool *replaced)
{
	sqlite3_stmt *st = bind_number(s, SELECT_FRAME, 1, row);
	unsigned char out[WIRE_FRAME_MAX];
	struct frame frame;
	uint64_t last = 0;
	size_t size = 0;

	if (sqlite3_step(st) == SQLITE_ROW &&
	    (through != NULL || sqlite3_column_int64(st, 2) == 0) &&
	    wire_decode(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), &frame) >
		0) {
		last = through != NULL ? *through : (uint64_t)sqlite3_column_int64(st, 1);
		size = finish_frame(out, &frame, ERROR_DROPPED, (int64_t)last, message);
	}
	*replaced = size > 0;
	if (sqlite3_reset(st) != SQLITE_OK)
		return failed(s, "read a record to drop");
	if (size == 0)
		return SPOOL_OK;
	bind_number(s, REPLACE_READY, 1, row);
	bind_blob(s, REPLACE_READY, 2, out, size);
	bind_number(s, REPLACE_READY, 3, last);
	return step(s, REPLACE_READY, "store a dropped record");
}

enum spool_status
spool_bury(struct spool *s, uint64_t row, const char *reason)
{
	enum spool_status status;
	char message[256];
	bool replaced;

	if ((status = keep_dead(s, row, reason)) != SPOOL_OK)
		return status;
	snprintf(message, sizeof(message),
	    "Kafka refused this record: %s; it was kept in the table dead of the spool", reason);
	status = drop_row(s, row, NULL, message, &replaced);
	if (status != SPOOL_OK || replaced)
		return status;
	log_error("spool: no record can take the place of this dead letter: its seq is missing in "
		  "the topic");
	return spool_delete(s, row, row);
}

/* --- the cap ----------------------------------------------------------------------------- */

struct droppable {
	uint64_t row;
	int64_t epoch;
	uint64_t seq, through;
};

/* Put one `dropped` record in the place of `run`. */
static enum spool_status
drop_run(struct spool *s, const struct droppable *run, int count)
{
	uint64_t through = run[count - 1].through;
	enum spool_status status;
	bool replaced = false;
	char message[128];

	snprintf(message, sizeof(message),
	    "the spool was full: %llu records were dropped; see spool.max_mb",
	    (unsigned long long)(through - run[0].seq + 1));
	status = drop_row(s, run[0].row, &through, message, &replaced);
	if (status != SPOOL_OK)
		return status;
	if (!replaced) /* the first is damaged: the next time the run begins behind it */
		status = keep_dead(s, run[0].row, "damaged on disk");
	for (int i = replaced; i < (replaced ? count : 1) && status == SPOOL_OK; i++)
		status = spool_delete(s, run[i].row, run[i].row);
	return status;
}

/* The first rows that surely were not sent yet, up to `max` of them, in the order of seq. */
static enum spool_status
find_droppable(struct spool *s, struct droppable *rows, int max, int *count)
{
	sqlite3_stmt *st;
	int code;

	*count = 0;
	/*
	 * Rows are sent in their order and deleted when confirmed, so only the oldest `window` can
	 * have been sent: beyond them an id cannot have two contents. In an outage they stay.
	 */
	if (s->untouchable == 0 && s->options.window > 0) {
		int64_t n = get_number(bind_number(s, SELECT_NTH, 1, s->options.window - 1));

		if (n <= 0)
			return SPOOL_OK; /* there are fewer */
		s->untouchable = (uint64_t)n;
	}
	bind_number(s, SELECT_DROPPABLE, 1, s->untouchable);
	st = bind_number(s, SELECT_DROPPABLE, 2, (uint64_t)max);
	while ((code = sqlite3_step(st)) == SQLITE_ROW)
		rows[(*count)++] = (struct droppable){ (uint64_t)sqlite3_column_int64(st, 0),
			sqlite3_column_int64(st, 1), (uint64_t)sqlite3_column_int64(st, 2),
			(uint64_t)sqlite3_column_int64(st, 3) };
	sqlite3_reset(st);
	return code == SQLITE_DONE ? SPOOL_OK : failed(s, "look for records to drop");
}

static bool
is_above(struct spool *s, int64_t bytes)
{
	int64_t pages = get_number(s->statement[ALL_PAGES]) - get_number(s->statement[FREE_PAGES]);

	return pages * s->page_size > bytes;
}

/* Drop runs of consecutive seqs, each of at most `longest` rows, until there is room. */
static enum spool_status
drop_runs(struct spool *s, const struct droppable *rows, int count, int longest, int64_t goal,
    uint64_t *dropped)
{
	enum spool_status status = SPOOL_OK;

	for (int i = 0, end; i < count && status == SPOOL_OK && is_above(s, goal); i = end) {
		for (end = i + 1;
		     end < count && end - i < longest && rows[end].epoch == rows[i].epoch &&
		     rows[end].seq == rows[end - 1].through + 1;
		     end++)
			;
		if (end - i < 2)
			continue;
		status = drop_run(s, rows + i, end - i);
		*dropped += (uint64_t)(end - i - 1);
	}
	return status;
}

/*
 * Back below the cap, by as few records as that takes; a little further, so that not every
 * transaction has to look.
 */
static enum spool_status
keep_size(struct spool *s, uint64_t *dropped)
{
	const int64_t goal = s->options.max_bytes - s->options.max_bytes / 64;
	int longest = s->count / 64 < 16 ? 16 : (int)(s->count / 64);
	enum spool_status status = SPOOL_OK;
	struct droppable *rows;
	int count, look;

	*dropped = 0;
	if (!is_above(s, s->options.max_bytes))
		return SPOOL_OK;
	rows = xcalloc(DROP_LOOK, sizeof(*rows));
	look = 4 * longest;
	do { /* rows that have no neighbour need a longer look */
		look = look < DROP_LOOK ? look : DROP_LOOK;
		status = find_droppable(s, rows, look, &count);
		if (status == SPOOL_OK)
			status = drop_runs(s, rows, count, longest, goal, dropped);
		look *= 4;
	} while (
	    status == SPOOL_OK && count == look / 4 && look / 4 < DROP_LOOK && is_above(s, goal));
	free(rows);
	return status;
}

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
	uint64_t dropped;
	enum spool_status status = keep_size(s, &dropped);

	if (status == SPOOL_OK &&
	    (s->next_seq != s->next_seq_stored || s->count != s->count_stored)) {
		bind_number(s, SET_EPOCH, 1, s->next_seq);
		bind_number(s, SET_EPOCH, 2, s->count);
		bind_number(s, SET_EPOCH, 3, (uint64_t)s->epoch);
		status = step(s, SET_EPOCH, "store the next seq");
	}
	if (status == SPOOL_OK)
		status = step(s, COMMIT, "commit");
	if (status != SPOOL_OK)
		return status;
	s->next_seq_stored = s->next_seq;
	s->count_stored = s->count;
	s->dropped += dropped;
	say_dropped(s);
	if (s->failing != 0)
		log_notice("spool: storing again");
	s->failing = 0;
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

	bind_number(s, SELECT_READY, 1, after);
	st = bind_number(s, SELECT_READY, 2, (uint64_t)max);
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
		return failed(s, "read records");
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
	if (s->path == NULL || s->count > SHRINK_BELOW ||
	    get_number(s->statement[FREE_PAGES]) < PAGES_KEPT)
		return false;
	/* what goes wrong here the next transaction meets as well */
	while (sqlite3_step(s->statement[SHRINK]) == SQLITE_ROW)
		;
	return sqlite3_reset(s->statement[SHRINK]) == SQLITE_OK;
}
