/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The database: opening it, what an error of SQLite means, transactions, rows.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define APPLICATION_ID 0x776d6f6e /* "wmon" */
#define SCHEMA_VERSION 1

static const char schema[] =
    /* the last row is the current epoch; `ready` is the number of rows of that table, `may_fly` the
     * window: an earlier publisher with a larger one may have sent more rows than this one would */
    "CREATE TABLE epoch(n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " next_seq INTEGER NOT NULL, ready INTEGER NOT NULL, may_fly INTEGER NOT NULL);"
    "CREATE TABLE open(seq INTEGER PRIMARY KEY, frame BLOB NOT NULL);"
    /* not AUTOINCREMENT, which writes a table of its own, a page more in each transaction */
    "CREATE TABLE ready(n INTEGER PRIMARY KEY, epoch INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, through INTEGER NOT NULL, frame BLOB NOT NULL);"
    "CREATE TABLE dead(n INTEGER PRIMARY KEY AUTOINCREMENT, frame BLOB NOT NULL,"
    " reason TEXT NOT NULL, at TEXT NOT NULL);";

/* That of earlier versions lacks it. Sites are in the order of their first slots, so that
 * neighbours share a page: a change of many costs few. */
static const char schema_streak[] =
    "CREATE TABLE IF NOT EXISTS streak(site INTEGER PRIMARY KEY, epoch INTEGER NOT NULL,"
    " slot INTEGER NOT NULL, slot_us INTEGER NOT NULL, status INTEGER NOT NULL)";

const char *
spool_library_version(void)
{
	return sqlite3_libversion();
}

/* --- errors ------------------------------------------------------------------------------ */

/*
 * Rename the database and its log as a pair, so that they still belong together: nothing that is in
 * the way is deleted. Except what we made and never used: a disk that breaks each new spool would
 * be full of them.
 */
static enum spool_status
set_aside(const struct spool *s, const char *reason)
{
	static const char *const parts[] = { "", "-wal", "-shm", "-journal" };
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	bool found = false;
	enum spool_status status = s->never_used ? SPOOL_FAILED : SPOOL_LOST;
	int fd;

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
		char *from = xasprintf("%s%s", s->path, parts[i]);
		char *to = xasprintf("%s.corrupt-%s-%d%s", s->path, stamp, (int)getpid(), parts[i]);

		if ((s->never_used ? unlink(from) : rename(from, to)) == 0) {
			found = true;
			if (s->never_used)
				log_error("spool: \"%s\" %s; it was new and empty: removed", from,
				    reason);
			else
				log_error("spool: \"%s\" %s; it was set aside as \"%s\"", from,
				    reason, to);
		} else if (errno != ENOENT) {
			log_error("spool: cannot set \"%s\" aside: %s", from, strerror(errno));
			status = SPOOL_FAILED;
		}
		free(from);
		free(to);
	}
	if (!found && status == SPOOL_LOST)
		log_error("spool: \"%s\" %s; there is nothing to set aside", s->path, reason);
	if ((fd = open(s->options.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 || fsync(fd) < 0)
		log_warning("spool: cannot sync \"%s\": %s", s->options.dir, strerror(errno));
	if (fd >= 0)
		close(fd);
	return status;
}

/* Whether `path` is still the file that was opened, not removed, replaced, or mounted over. */
static bool
is_there(const char *path, const struct stat *opened)
{
	struct stat now;

	if (stat(path, &now) < 0) /* the files are open: other trouble can wait */
		return errno != ENOENT && errno != ENOTDIR;
	return now.st_ino == opened->st_ino && now.st_dev == opened->st_dev;
}

enum spool_status
spool_give_up(struct spool *s, const char *reason)
{
	spool_finalize(s);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close_v2(s->db); /* a caller may still hold a statement */
	s->db = NULL;
	if (s->path == NULL)
		return SPOOL_FAILED;
	if (s->db_stat.st_ino != 0 && !is_there(s->path, &s->db_stat)) {
		s->never_used = false; /* what is there now is not ours */
		/* it may be an older spool with a backlog: that below a file system that went */
		if (!is_there(s->log_path, &s->log_stat)) {
			log_error("spool: \"%s\" %s", s->path, reason);
			return SPOOL_LOST;
		}
	}
	return set_aside(s, reason);
}

void
spool_rollback(struct spool *s)
{
	if (s->db != NULL && !sqlite3_get_autocommit(s->db))
		spool_number(s->statement[ROLLBACK]);
	s->now = s->committed;
	s->opened_count = 0;
	for (; s->undo_count > 0; s->undo_count--)
		s->changes[s->undo[s->undo_count - 1].site] = s->undo[s->undo_count - 1].before;
	s->sent_through = 0;
}

/*
 * Whether waiting cannot help. A full disk, a lock, no memory pass; and a mistake of ours must not
 * cost a healthy spool.
 */
static bool
is_damage(int code)
{
	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:      /* the tables are not ours */
	case SQLITE_CONSTRAINT: /* ours never violate one */
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

enum spool_status
spool_failed(struct spool *s, const char *action)
{
	int error = errno; /* not sqlite3_system_errno(): a COMMIT that fails does not set that */
	int code = sqlite3_extended_errcode(s->db);
	const char *text = sqlite3_errmsg(s->db);
	bool at_page_limit = false;

	if ((code & 0xff) != SQLITE_IOERR)
		error = 0;
	if ((code & 0xff) == SQLITE_FULL) {
		text = sqlite3_errstr(code); /* asking for the pages overwrites the message */
		at_page_limit = spool_is_at_page_limit(s, code);
	}
	if (code != s->failing)
		log_error("spool: cannot %s: %s%s%s%s%s", action, text, error != 0 ? ": " : "",
		    error != 0 ? strerror(error) : "", spool_room_hint(s, code, error),
		    is_damage(code) ? "" : "; nothing is lost, trying again");
	if (is_damage(code))
		return spool_give_up(s, "is damaged");
	s->failing = code;
	spool_rollback(s);
	if (spool_is_full(code))
		spool_make_room(s, at_page_limit);
	return SPOOL_RETRY;
}

enum spool_status
spool_step(struct spool *s, enum statement which, const char *action)
{
	sqlite3_stmt *st = s->statement[which];
	int code;

	do
		code = sqlite3_step(st);
	while (code == SQLITE_ROW);
	/* reset repeats the error of step, with the extended code still set */
	return sqlite3_reset(st) == SQLITE_OK && code == SQLITE_DONE ? SPOOL_OK
								     : spool_failed(s, action);
}

/* --- opening ----------------------------------------------------------------------------- */

/* Set aside what SQLite would harm: it follows links, and deletes a log without its database. */
static enum spool_status
check_path(struct spool *s)
{
	const char *reason = NULL;
	struct stat st;
	bool there = lstat(s->path, &st) == 0;
	bool is_new = there ? S_ISREG(st.st_mode) && st.st_size == 0 : errno == ENOENT;

	if (there && !S_ISREG(st.st_mode))
		reason = "is not a regular file";
	else if (is_new && lstat(s->log_path, &st) == 0)
		reason = there ? "is empty, but not its log" : "has only a log";
	s->never_used = is_new && reason == NULL;
	return reason == NULL ? SPOOL_OK : set_aside(s, reason);
}

/* Before anything is written to the file: see whether it is new or ours; else set it aside. */
static enum spool_status
check_identity(struct spool *s, bool *is_new)
{
	int64_t tables = spool_query(s, "SELECT count(*) FROM sqlite_schema");
	int64_t version, application;

	if (tables < 0)
		return spool_failed(s, "read the database");
	version = spool_query(s, "PRAGMA user_version");
	application = spool_query(s, "PRAGMA application_id");
	*is_new = tables == 0 && version == 0 && application == 0;
	if (*is_new || (application == APPLICATION_ID && version == SCHEMA_VERSION))
		return SPOOL_OK;
	return spool_give_up(s, application == APPLICATION_ID
				    ? "is a spool of another version of webmond"
				    : "is not a spool of webmond");
}

/* So that is_there() can recognise them. */
static enum spool_status
remember_files(struct spool *s)
{
	if (s->path == NULL ||
	    (stat(s->path, &s->db_stat) == 0 && stat(s->log_path, &s->log_stat) == 0))
		return SPOOL_OK;
	if (s->db_stat.st_ino != 0 && errno == ENOENT)
		return spool_give_up(s, "takes no log"); /* a damaged header can cause this */
	log_error("spool: \"%s\" is gone: %s", s->path, strerror(errno));
	return SPOOL_FAILED;
}

/* Open the file, and create the tables in a new one. */
static enum spool_status
connect_database(struct spool *s)
{
	enum spool_status status;
	bool is_new = false;
	int code;

	code = sqlite3_open_v2(s->path != NULL ? s->path : ":memory:", &s->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (s->db == NULL)
		return SPOOL_FAILED;
	sqlite3_extended_result_codes(s->db, 1);
	if (code != SQLITE_OK) {
		log_error("spool: cannot open \"%s\": %s", s->path, sqlite3_errmsg(s->db));
		return is_damage(sqlite3_extended_errcode(s->db))
			   ? spool_give_up(s, "cannot be read")
			   : SPOOL_FAILED;
	}
	sqlite3_busy_timeout(s->db, (int)(SPOOL_LOCK_WAIT_US / US_PER_MS));
	/* exclusive before the first access: no -shm file, and a curious sqlite3(1) waits outside;
	 * auto_vacuum before the first table */
	spool_run(s, "PRAGMA locking_mode=EXCLUSIVE");
	if ((status = check_identity(s, &is_new)) != SPOOL_OK)
		return status;
	/* secure_delete, on by default in some builds, writes zeros for all that is deleted */
	if (spool_run(s,
		"PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;"
		"PRAGMA synchronous=%s; PRAGMA journal_size_limit=8388608;"
		"PRAGMA cache_size=-2000; PRAGMA cell_size_check=ON;"
		"PRAGMA trusted_schema=OFF; PRAGMA secure_delete=OFF;",
		s->options.sync_full ? "FULL" : "NORMAL") != SQLITE_OK)
		return spool_failed(s, "open the database");
	if (is_new &&
	    spool_run(s, "BEGIN; %s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
		schema, APPLICATION_ID, SCHEMA_VERSION) != SQLITE_OK)
		return spool_failed(s, "create the tables");
	if (spool_run(s, schema_streak) != SQLITE_OK)
		return spool_failed(s, "create the table of streaks");
	if (spool_prepare(s) != SQLITE_OK)
		return spool_failed(s, "prepare");
	if ((status = remember_files(s)) != SPOOL_OK)
		return status;
	s->page_size = spool_query(s, "PRAGMA page_size");
	return SPOOL_OK;
}

enum spool_status
spool_connect(struct spool *s)
{
	enum spool_status status = SPOOL_OK;

	s->lock_fd = -1;
	if (s->options.dir != NULL) {
		s->path = xasprintf("%s/spool.db", s->options.dir);
		s->log_path = xasprintf("%s-wal", s->path);
		status = spool_lock(s);
		if (status == SPOOL_OK) {
			spool_find_reserve(s);
			status = check_path(s);
		}
	}
	return status == SPOOL_OK ? connect_database(s) : status;
}

void
spool_disconnect(struct spool *s)
{
	spool_checkpoint(s);
	spool_finalize(s);
	sqlite3_close(s->db);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s->path);
	free(s->log_path);
	free(s->reserve_path);
}

/* --- transactions and rows ------------------------------------------------------------- */

enum spool_status
spool_begin(struct spool *s)
{
	if (s->path != NULL && !is_there(s->path, &s->db_stat))
		return spool_give_up(s, "was removed or replaced while in use");
	if (s->path != NULL && !is_there(s->log_path, &s->log_stat)) {
		/* closing brings it into the database, through our descriptors; a kill would not */
		log_error("spool: \"%s\" was removed while in use: the database is opened again",
		    s->log_path);
		return SPOOL_FAILED;
	}
	s->no_room = !spool_has_room(s);
	return spool_step(s, BEGIN, "begin");
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
		s->now.ready++;
	return status;
}

enum spool_status
spool_delete(struct spool *s, uint64_t first, uint64_t last)
{
	enum spool_status status;

	spool_bind(s, DELETE_READY, 1, first);
	spool_bind(s, DELETE_READY, 2, last);
	status = spool_step(s, DELETE_READY, "delete records");
	if (status == SPOOL_OK)
		s->now.ready -= (uint64_t)sqlite3_changes(s->db);
	if (first <= s->sent_through)
		s->sent_through = 0; /* others are sent in their place */
	return status;
}
