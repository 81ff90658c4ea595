/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A file that is written again and again and read by others, who see the old contents or the new
 * ones, never a part. It is written beside its name and renamed. It is for whom it concerns, not
 * for keeping: after a loss of power it may be empty.
 *
 * The name itself is no link that is followed: a link is replaced by the file. Those in the path
 * are followed, so whoever writes has the rights of the owner of the directory, and no more.
 */
#ifndef WEBMOND_WHOLE_FILE_H
#define WEBMOND_WHOLE_FILE_H

#include <stddef.h>
#include <stdio.h>

struct whole_file {
	int directory;
	char *name,
	    *temporary; /* in it; the latter begins with a dot and does not end like the name */
	FILE *out;
};

/* Begin, with mode 0644 less the umask. Returns 0, or -1 with errno. */
int whole_file_open(struct whole_file *f, const char *path);

/* It takes the place of the old one, if all of it could be written. Returns 0, or -1 with errno. */
int whole_file_close(struct whole_file *f);

/* Remove it, and what a writer that was killed has left. */
void whole_file_remove(const char *path);

/* Whether it can be written. Returns 0, or -1 with the reason and the cure in `reason`. */
int whole_file_check(const char *path, char *reason, size_t size);

#endif
