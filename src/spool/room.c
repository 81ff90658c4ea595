/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Room for the spool. On a disk that is completely full not even DELETE works: it needs room in
 * SQLite's log, and the log can start anew only when the database has room for its content. So room
 * is kept for deleting, in two ways: new records are stored only while the file system has some
 * space left; and, since a quota does not show there, only while a file of its own, the reserve,
 * holds some. When something is full, the reserve is released.
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

#define FREE_MIN 8388608 /* bytes of the file system that are kept free, see disk_is_full() */
#define FREE_MAX 16777216

#define RESERVE_BYTES    8388608 /* twice the size of the log when it is checkpointed */
#define RESERVE_TRIES    3       /* at the start, each with half the size */
#define RESERVE_AGAIN_US (5 * US_PER_S)
#define LOG_PAGES_MAX    1000 /* SQLite's own default */
#define LOG_PAGES_MIN    16
#define STATEMENT_PAGES  16 /* more than one of our statements ever takes */

#define SHRINK_BELOW 1000 /* with more rows, free pages will be needed again */
#define SHRINK_STEPS 8    /* of 500 pages, for the reserve: more than it and the log need */

bool
spool_is_full(int code)
{
	return (code & 0xff) == SQLITE_FULL || code == SQLITE_IOERR_WRITE;
}

static int64_t
min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
max(int64_t a, int64_t b)
{
	return a > b ? a : b;
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
spool_is_at_page_limit(struct spool *s, int code)
{
	/* SQLite has given back what the failed statement had taken */
	return (code & 0xff) == SQLITE_FULL && s->page_limit > 0 &&
	       spool_number(s->statement[ALL_PAGES]) + STATEMENT_PAGES >= s->page_limit;
}

const char *
spool_room_hint(struct spool *s, int code, int error)
{
	bool at_page_limit = spool_is_at_page_limit(s, code);

	if (error == EDQUOT)
		return "; raise the quota of spool.dir, or of the user that owns it";
	if (error == EFBIG || (at_page_limit && s->page_limit >= file_size_limit() / s->page_size))
		return "; raise the limit of file sizes (ulimit -f, LimitFSIZE)";
	if ((code & 0xff) != SQLITE_FULL)
		return "";
	return at_page_limit ? "; raise spool.max_mb"
			     : "; make room on the file system of spool.dir";
}

/* --- the reserve ------------------------------------------------------------------------- */

void
spool_find_reserve(struct spool *s)
{
	struct stat st;

	s->reserve_path = xasprintf("%s/spool.reserve", s->options.dir);
	s->reserve_held = lstat(s->reserve_path, &st) == 0 && st.st_blocks > 0;
}

/* Unlinked, not truncated: where nothing is changed in place (btrfs), that would need room. */
static bool
release_reserve(struct spool *s)
{
	s->reserve_held = false;
	s->next_reserve_us = util_mono_us() + RESERVE_AGAIN_US;
	return unlink(s->reserve_path) == 0;
}

/* Returns false when there is no room for it. After any other failure none is wanted any more. */
static bool
allocate_reserve(struct spool *s, int64_t bytes)
{
	int fd = open(s->reserve_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	s->reserve_error = fd < 0 ? errno : posix_fallocate(fd, 0, bytes);
	if (fd >= 0)
		close(fd);
	s->reserve_held = s->reserve_error == 0;
	if (s->reserve_held)
		return true;
	release_reserve(s);
	if (s->reserve_error == ENOSPC || s->reserve_error == EDQUOT)
		return false;
	s->reserve_bytes = 0;
	return true;
}

void
spool_make_room(struct spool *s, bool at_page_limit)
{
	if (!at_page_limit && s->reserve_held)
		s->reserve_released |= release_reserve(s);
	/* lets the log start anew inside the room that it has: deleting must go on working */
	sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* --- limits ------------------------------------------------------------------------------ */

/*
 * Limit the size of the database: above the cap, so that records give way before; above its present
 * size, if the cap was lowered; with room for the window, which never gives way. But below the
 * largest file that the kernel allows: where the kernel refuses a write, deleting fails as well.
 */
static void
set_page_limit(struct spool *s)
{
	int64_t bytes = max(s->options.max_bytes, (int64_t)s->options.window * WIRE_RECORD_MAX);
	int64_t pages = spool_number(s->statement[ALL_PAGES]);

	s->page_limit = min(
	    max(bytes / s->page_size * 5 / 4, pages) + 1000, file_size_limit() / s->page_size);
	spool_run(s, "PRAGMA max_page_count=%lld", (long long)s->page_limit);
}

/* Allocate it as large as leaves room for the log, which gets half of it; the smallest anyhow. */
static void
plan_reserve(struct spool *s)
{
	/* what the database has is room that it will have again */
	int64_t has = spool_number(s->statement[ALL_PAGES]) * s->page_size;

	for (int i = 1; i < RESERVE_TRIES; i++) {
		int64_t beside = max(s->reserve_bytes / 2 - has, 0);

		if (allocate_reserve(s, s->reserve_bytes + beside))
			break;
		s->reserve_bytes /= 2;
	}
	/* not truncated to its size: on btrfs that gives nothing back */
	release_reserve(s);
	allocate_reserve(s, s->reserve_bytes);
}

void
spool_plan_room(struct spool *s)
{
	int64_t log_pages;
	struct statvfs fs;

	set_page_limit(s);
	if (s->path == NULL || statvfs(s->options.dir, &fs) < 0)
		return;
	s->reserve_bytes = min(
	    min((int64_t)(fs.f_blocks * fs.f_frsize / 8), RESERVE_BYTES), file_size_limit() / 2);
	plan_reserve(s);
	log_pages = max(min(s->reserve_bytes / 2 / s->page_size, LOG_PAGES_MAX), LOG_PAGES_MIN);
	spool_run(s, "PRAGMA wal_autocheckpoint=%lld", (long long)log_pages);
}

/* Whether the file system has less left than is kept free; pages inside the file may be used up. */
static bool
disk_is_full(struct spool *s)
{
	struct statvfs fs;
	uint64_t all, least; /* some file systems claim 16 EiB */

	if (statvfs(s->options.dir, &fs) < 0)
		return false;
	all = (uint64_t)fs.f_blocks * fs.f_frsize;
	least = all / 8 < FREE_MAX ? all / 8 : FREE_MAX;
	if (least < FREE_MIN)
		least = all / 2 < FREE_MIN ? all / 2 : FREE_MIN;
	return (uint64_t)fs.f_bavail * fs.f_frsize < least &&
	       spool_number(s->statement[FREE_PAGES]) < SPOOL_PAGES_KEPT;
}

bool
spool_shrink(struct spool *s)
{
	/* where there is no room for the reserve, each page counts */
	int64_t kept = s->reserve_held || s->reserve_bytes == 0 ? SPOOL_PAGES_KEPT : 1;

	if (s->path == NULL || s->now.ready > SHRINK_BELOW ||
	    spool_number(s->statement[FREE_PAGES]) < kept)
		return false;
	/* the next transaction meets whatever goes wrong here as well */
	while (sqlite3_step(s->statement[SHRINK]) == SQLITE_ROW)
		;
	return sqlite3_reset(s->statement[SHRINK]) == SQLITE_OK;
}

/* Allocate the reserve again, with what can be given back for it. */
static bool
regain_reserve(struct spool *s)
{
	for (int i = 0; i < SHRINK_STEPS && spool_shrink(s); i++)
		;
	spool_checkpoint(s);
	return allocate_reserve(s, s->reserve_bytes);
}

/* Whether the reserve is there, or can be had again. */
static bool
has_reserve(struct spool *s)
{
	if (s->reserve_held || s->reserve_bytes == 0)
		return true;
	if (util_mono_us() >= s->next_reserve_us && regain_reserve(s))
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
	if (s->path == NULL || s->final)
		return true;
	if (s->failing != 0)
		set_page_limit(s); /* the limit of file sizes may have been raised */
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
