/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* For unit tests: what this process and its children say to standard error. */
#ifndef WEBMOND_TESTS_CAPTURE_H
#define WEBMOND_TESTS_CAPTURE_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int capture_fd = -1;

/* From now on standard error goes to memory. libcheck reports in another way. */
static inline void
capture_start(void)
{
	capture_fd = memfd_create("stderr", MFD_CLOEXEC);
	ck_assert_int_ge(capture_fd, 0);
	fcntl(capture_fd, F_SETFL, O_APPEND);
	ck_assert_int_eq(dup2(capture_fd, STDERR_FILENO), STDERR_FILENO);
}

/* All of it up to now; valid until the next call. */
static inline const char *
captured(void)
{
	static char text[1 << 20];
	ssize_t n = pread(capture_fd, text, sizeof(text) - 1, 0);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	return text;
}

static inline void
capture_forget(void)
{
	ck_assert_int_eq(ftruncate(capture_fd, 0), 0);
}

/* How often `part` occurs in `text`. */
static inline int
count_of(const char *text, const char *part)
{
	int count = 0;

	while ((text = strstr(text, part)) != NULL) {
		count++;
		text += strlen(part);
	}
	return count;
}

#endif
