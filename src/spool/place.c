/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The directory of the spool and its lock. Called by the publisher through spool_open(), and by the
 * validation before every start.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

/* The user that must be able to use it: this process has become that user. */
static const char *
user_name(void)
{
	int saved = errno;
	const struct passwd *me = getpwuid(geteuid());

	errno = saved;
	return me != NULL ? me->pw_name : "?";
}

/* Anything but a regular file is set aside when the spool is opened. */
static int
check_file(const char *dir, const char *name, char *reason, size_t size)
{
	char *path = xasprintf("%s/%s", dir, name);
	struct stat st;
	int result = 0;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) < 0) {
		snprintf(reason, size,
		    "\"%s\": %s; give it to the user of the spool: chown %s \"%s\"", path,
		    strerror(errno), user_name(), path);
		result = -1;
	}
	free(path);
	return result;
}

static const char *
advice(int error)
{
	switch (error) {
	case EROFS:
		return "mount it for writing";
	case ENOTCONN:
	case EIO:
		return "look at its file system, and mount it again";
	case ENOSPC:
	case EDQUOT:
		return "make room there, also for one more file (df -i)";
	default:
		return "see to it that it can be written";
	}
}

int
spool_check_place(const char *dir, char *reason, size_t size)
{
	static const char *const files[] = { "spool.lock", "spool.db", "spool.db-wal",
		"spool.reserve" };
	struct stat st = { 0 };
	bool there = stat(dir, &st) == 0, owned = there && st.st_uid == geteuid();
	int result = 0;

	if (!there && errno == ENOENT) {
		snprintf(reason, size,
		    "there is no directory \"%s\"; make it: install -d -m 0700 -o %s \"%s\"", dir,
		    user_name(), dir);
	} else if (there && !S_ISDIR(st.st_mode)) {
		snprintf(reason, size, "\"%s\" is not a directory; name another one", dir);
	} else if (faccessat(AT_FDCWD, dir, R_OK | W_OK | X_OK, AT_EACCESS) == 0) {
		for (size_t i = 0; i < ARRAY_LENGTH(files) && result == 0; i++)
			result = check_file(dir, files[i], reason, size);
		return result;
	} else if (errno != EACCES) {
		snprintf(reason, size, "\"%s\": %s; %s", dir, strerror(errno), advice(errno));
	} else {
		snprintf(reason, size,
		    "\"%s\": %s; user \"%s\" must be able to write there: %s %s \"%s\"", dir,
		    strerror(errno), user_name(), owned ? "chmod" : "chown",
		    owned ? "u+rwx" : user_name(), dir);
	}
	return -1;
}

/* Whether `fd` is the lock file of this directory, and not of another one that has gone. */
static bool
is_locked_by(int fd, const char *path)
{
	struct stat ours, there;

	return fd >= 0 && fstat(fd, &ours) == 0 && lstat(path, &there) == 0 &&
	       ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

int
spool_lock_fd(const struct spool *s)
{
	return s->lock_fd;
}

/* Wait for the lock, then write the PID of its holder into the file. */
static enum spool_status
wait_for_lock(struct spool *s, const char *path)
{
	const int64_t until = util_mono_us() + SPOOL_LOCK_WAIT_US;
	char pid[16] = "?";

	while (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (util_mono_us() >= until) {
			if (pread(s->lock_fd, pid, sizeof(pid) - 1, 0) > 0)
				pid[strcspn(pid, "\n")] = '\0';
			log_error("the spool in \"%s\" is in use by PID %s", s->options.dir, pid);
			return SPOOL_IN_USE;
		}
		usleep(50000);
	}
	snprintf(pid, sizeof(pid), "%d\n",
	    (int)(s->options.supervisor != 0 ? s->options.supervisor : getpid()));
	if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, strlen(pid), 0) < 0)
		log_warning("cannot write \"%s\": %s", path, strerror(errno));
	return SPOOL_OK;
}

enum spool_status
spool_lock(struct spool *s)
{
	char *path = xasprintf("%s/spool.lock", s->options.dir);
	enum spool_status status = SPOOL_FAILED;
	char reason[768];

	if (spool_check_place(s->options.dir, reason, sizeof(reason)) < 0) {
		log_error("spool.dir: %s", reason);
	} else if (is_locked_by(s->options.lock_fd, path)) {
		s->lock_fd = s->options.lock_fd;
		status = SPOOL_OK;
	} else {
		s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
		if (s->lock_fd >= 0)
			status = wait_for_lock(s, path);
		else
			log_error(
			    "cannot open \"%s\": %s; %s", path, strerror(errno), advice(errno));
	}
	free(path);
	return status;
}
