/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The files that keys of a site name: secrets, a body, certificates.
 *
 * A checker reads them for each check, so that a file that was replaced needs no reload, and
 * forgets them behind it: secrets lie in its memory only while their site is checked.
 */
#ifndef WEBMOND_FILES_H
#define WEBMOND_FILES_H

#include "config.h"

/* The rows of the table in files.c. */
enum file_key {
	FILE_BODY,
	FILE_HEADERS,
	FILE_PASSWORD,
	FILE_TOKEN,
	FILE_CA, /* libcurl reads it: see ca.c */
	FILE_CERT,
	FILE_KEY,
	FILE_PROXY_PASSWORD,
	FILE_COUNT
};

struct file {
	char *text; /* with a NUL behind; NULL: the site has no such key */
	size_t size;
	const char *
	    *lines; /* of header_file: "Name: value" in `text`, NULL at the end; else NULL */
};

/* How a file cannot be used. */
struct file_fault {
	const char *key, *path;
	int line; /* 0: the text is of all of it, and names the path */
	char text[512];
	bool walled; /* only our confinement is in the way: a new process could read it */
};

/*
 * Read the files of `site`. Returns 0, or -1 with the fault. In either case they are to be
 * forgotten with files_forget(). At most 1 MiB each.
 */
int files_read(struct file files[FILE_COUNT], const struct site *site, struct file_fault *fault);

/*
 * Why libcurl could not use the files of `site`: returns whether there is a fault, which names the
 * path. It is of now, so there may be none any more.
 */
bool files_find_fault(const struct site *site, struct file_fault *fault);

/* Overwrite and free what was read. */
void files_forget(struct file files[FILE_COUNT]);

/*
 * For validation, with the rights of a checker: add what is wrong with the files of `site`, but for
 * those that it has from `defaults`, and with who may read and write them.
 */
void
files_validate(const struct site *site, const struct site *defaults, struct mistakes *mistakes);

#endif
