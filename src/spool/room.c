/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Room for the spool. On a disk that is really full not even DELETE works: it needs room in SQLite's
 * log, and the log can begin anew only when what is in it has room in the database. So some is kept
 * for that, in two ways: by a look at the file system, and, since a quota does not show there, by a
 * file that holds the room until it is needed. Without either new records wait outside.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define FREE_MIN 8388608 /* bytes of the file system that are left alone */
#define FREE_MAX 16777216

#define RESERVE_BYTES    8388608 /* twice what the log has when it is brought into the database */
#define RESERVE_TRIES    3       /* at the start: each time half of it; less would not do */
#define RESERVE_AGAIN_US (5 * US_PER_S)
#define LOG_PAGES_MAX    1000 /* SQLite's own default */
#define LOG_PAGES_MIN    16
#define STATEMENT_PAGES  16 /* more than one of ours ever takes */

bool
spool_is_full(int code)
{
	return (code & 0xff) == SQLITE_FULL || code == SQLITE_IOERR_WRITE;
}

static int64_t
file_size_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur > INT64_MAX)
		return INT64_MAX;
	return (int64_t)limit.rlim_cur;
}

bool
spool_is_stopped(struct spool *s, int code)
{
	/* what the failed statement had taken is back already */
	return (code & 0xff) == SQLITE_FULL && s->stop_pages > 0 &&
	       spool_number(s->statement[ALL_PAGES]) + STATEMENT_PAGES >= s->stop_pages;
}

const char *
spool_room_hint(struct spool *s, int code, int why)
{
	if (why == EDQUOT)
		return "; raise the quota of spool.dir, or of the user that owns it";
	if (why == EFBIG)
		return "; raise the limit of file sizes (ulimit -f, LimitFSIZE)";
	if ((code & 0xff) != SQLITE_FULL)
		return "";
	if (!spool_is_stopped(s, code))
		return "; make room on the file system of spool.dir";
	return s->stop_pages < file_size_limit() / s->page_size
		   ? "; raise spool.max_mb"
		   : "; raise the limit of file sizes (ulimit -f, LimitFSIZE)";
}

/* --- the reserve ------------------------------------------------------------------------- */

void
spool_find_reserve(struct spool *s)
{
	struct stat st;

	s->reserve_path = xasprintf("%s/spool.reserve", s->options.dir);
	/* of one that was killed: if there is no room to open the database, this is some */
	s->reserved = lstat(s->reserve_path, &st) == 0 && st.st_blocks > 0;
}

/* Unlinked, not emptied: that needs room where a change is never made in place (btrfs). */
static bool
give_reserve(struct spool *s)
{
	s->reserved = false;
	s->next_reserve_us = util_mono_us() + RESERVE_AGAIN_US;
	return unlink(s->reserve_path) == 0;
}

/* For file systems that cannot reserve without. */
static int
write_zeros(int fd, int64_t size)
{
	static const char zeros[65536];

	for (int64_t at = 0; at < size; at += (int64_t)sizeof(zeros))
		if (pwrite(fd, zeros, sizeof(zeros), at) != (ssize_t)sizeof(zeros))
			return -1;
	return 0;
}

/* Whether there is room for it; other trouble says nothing about that, then there is none. */
static bool
take_reserve(struct spool *s, int64_t size)
{
	int fd = open(s->reserve_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	s->reserve_error = 0;
	if (fd < 0 ||
	    (fallocate(fd, 0, 0, size) < 0 && (errno != EOPNOTSUPP || write_zeros(fd, size) < 0)))
		s->reserve_error = errno;
	if (fd >= 0)
		close(fd);
	s->reserved = s->reserve_error == 0;
	if (s->reserved)
		return true;
	give_reserve(s);
	if (s->reserve_error == ENOSPC || s->reserve_error == EDQUOT)
		return false;
	s->reserve_bytes = 0;
	return true;
}

void
spool_make_room(struct spool *s, bool stopped)
{
	if (!stopped && s->reserved)
		s->gave_reserve |= give_reserve(s);
	/* lets the log start anew inside the room that it has: deleting must go on working */
	sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* --- limits ------------------------------------------------------------------------------ */

/*
 * A hard stop above the cap, below a really full disk; above what there is, too, where the cap was
 * lowered: records give way when new ones are stored. But not those that may be on their way, which
 * must fit in. And below what the kernel lets a file grow to: there a write fails that must not.
 */
static void
set_stop(struct spool *s)
{
	int64_t window = (int64_t)s->options.window * WIRE_FRAME_MAX;
	int64_t bytes = s->options.max_bytes > window ? s->options.max_bytes : window;
	int64_t pages = spool_number(s->statement[ALL_PAGES]);
	int64_t stop = bytes / s->page_size * 5 / 4, most = file_size_limit() / s->page_size;

	stop = (stop > pages ? stop : pages) + 1000;
	s->stop_pages = stop < most ? stop : most;
	spool_run(s, "PRAGMA max_page_count=%lld", (long long)s->stop_pages);
}

void
spool_plan_room(struct spool *s)
{
	int64_t limit = file_size_limit() / 2, pages;
	struct statvfs fs;

	set_stop(s);
	if (s->path == NULL || statvfs(s->options.dir, &fs) < 0)
		return;
	s->reserve_bytes = (int64_t)(fs.f_blocks * fs.f_frsize / 8);
	if (s->reserve_bytes > RESERVE_BYTES)
		s->reserve_bytes = RESERVE_BYTES;
	if (s->reserve_bytes > limit)
		s->reserve_bytes = limit;
	for (int i = 1; !take_reserve(s, s->reserve_bytes) && i < RESERVE_TRIES; i++)
		s->reserve_bytes /= 2;
	pages = s->reserve_bytes / 2 / s->page_size;
	if (pages < LOG_PAGES_MIN)
		pages = LOG_PAGES_MIN;
	spool_run(s, "PRAGMA wal_autocheckpoint=%lld",
	    (long long)(pages < LOG_PAGES_MAX ? pages : LOG_PAGES_MAX));
}

/* Free pages inside the file may be used up. */
static bool
disk_is_full(struct spool *s)
{
	struct statvfs fs;
	uint64_t all, least;

	if (statvfs(s->options.dir, &fs) < 0)
		return false;
	all = (uint64_t)fs.f_blocks * fs.f_frsize;
	least = all / 8 < FREE_MAX ? all / 8 : FREE_MAX;
	if (least < FREE_MIN)
		least = all / 2 < FREE_MIN ? all / 2 : FREE_MIN;
	if ((uint64_t)fs.f_bavail * fs.f_frsize >= least)
		return false;
	return spool_number(s->statement[FREE_PAGES]) < SPOOL_PAGES_KEPT;
}

/* Whether the reserve is there, or can be taken now. */
static bool
has_reserve(struct spool *s)
{
	if (s->reserved || s->reserve_bytes == 0)
		return true;
	if (util_mono_us() >= s->next_reserve_us && take_reserve(s, s->reserve_bytes))
		return true;
	if (s->failing == 0)
		log_error("spool: no room for a reserve of %lld KiB: %s%s; nothing is lost, trying "
			  "again",
		    (long long)s->reserve_bytes / 1024, strerror(s->reserve_error),
		    spool_room_hint(s, SQLITE_FULL, s->reserve_error));
	return false;
}

bool
spool_has_room(struct spool *s)
{
	if (s->path == NULL || s->last)
		return true;
	if (s->failing != 0)
		set_stop(s); /* the limit may have been raised */
	if (has_reserve(s)) {
		if (!disk_is_full(s))
			return true;
		if (s->failing == 0)
			log_error("spool: the file system of spool.dir is nearly full: make room; "
				  "nothing is lost, trying again");
	}
	if (s->failing == 0)
		s->failing = SQLITE_FULL;
	return false;
}
