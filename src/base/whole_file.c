/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Files that are replaced as a whole. Nothing is fatal but running out of memory.
 */
#include "whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

/* Opens the directory, and sets the names in it. Returns 0, or -1 with errno. */
static int
find_place(struct whole_file *f, const char *path)
{
	char *directory = util_directory_of(path);

	*f = (struct whole_file){ .directory = open(directory[0] != '\0' ? directory : ".",
				      O_PATH | O_DIRECTORY | O_CLOEXEC) };
	f->name = xstrdup(path + strlen(directory));
	free(directory);
	if (f->directory < 0) {
		free(f->name);
		return -1;
	}
	f->temporary = xasprintf(".%s.new", f->name);
	return 0;
}

static void
leave_place(struct whole_file *f)
{
	int why = errno;

	close(f->directory);
	free(f->name);
	free(f->temporary);
	errno = why;
}

int
whole_file_open(struct whole_file *f, const char *path)
{
	int fd;

	if (find_place(f, path) < 0)
		return -1;
	unlinkat(f->directory, f->temporary, 0); /* of one that was killed */
	fd = openat(f->directory, f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd >= 0 && (f->out = fdopen(fd, "w")) != NULL)
		return 0;
	if (fd >= 0)
		close(fd);
	leave_place(f);
	return -1;
}

int
whole_file_close(struct whole_file *f)
{
	int code = fflush(f->out) == 0 && !ferror(f->out) ? 0 : -1;

	if (fclose(f->out) != 0)
		code = -1;
	if (code == 0)
		code = renameat(f->directory, f->temporary, f->directory, f->name);
	if (code < 0) {
		int why = errno;

		unlinkat(f->directory, f->temporary, 0);
		errno = why;
	}
	leave_place(f);
	return code;
}

void
whole_file_remove(const char *path)
{
	struct whole_file f;

	if (find_place(&f, path) < 0)
		return;
	unlinkat(f.directory, f.temporary, 0);
	unlinkat(f.directory, f.name, 0);
	leave_place(&f);
}

int
whole_file_check(const char *path, char *reason, size_t size)
{
	char *directory = util_directory_of(path);
	const char *name = directory[0] != '\0' ? directory : ".";
	const struct passwd *me = getpwuid(geteuid());
	const char *user = me != NULL ? me->pw_name : "this user";
	struct stat st;
	int code = -1;

	if (stat(name, &st) < 0)
		snprintf(reason, size,
		    "\"%s\": %s; make the directory, for user \"%s\" to write there", name,
		    strerror(errno), user);
	else if (!S_ISDIR(st.st_mode))
		snprintf(reason, size, "\"%s\" is no directory", name);
	else if (euidaccess(name, W_OK | X_OK) < 0 && errno == EROFS)
		snprintf(reason, size,
		    "\"%s\": %s; mount it for writing (of a unit of systemd: ReadWritePaths=)",
		    name, strerror(errno));
	else if (euidaccess(name, W_OK | X_OK) < 0)
		snprintf(reason, size,
		    "\"%s\": %s; user \"%s\" must be able to make files there: chgrp it to a group "
		    "of that user, and chmod 1775",
		    name, strerror(errno), user);
	else if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		snprintf(reason, size, "\"%s\" is a directory; name a file in it", path);
	else
		code = 0;
	free(directory);
	return code;
}
