/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* For unit tests: a directory of their own. */
#ifndef WEBMOND_TESTS_SCRATCH_H
#define WEBMOND_TESTS_SCRATCH_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char dir[64]; /* where it is */

static inline void
make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/%s.XXXXXX", program_invocation_short_name);
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static inline void
remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* Valid until the next call. */
static inline char *
path_in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* Returns its path, as path_in_dir() does. */
static inline const char *
write_file(const char *name, const char *text, mode_t mode)
{
	const char *path = path_in_dir(name);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
	return path;
}

#endif
