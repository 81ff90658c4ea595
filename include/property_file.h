/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Files of name=value lines, as `kcat -F` reads them: how to reach Kafka. What the properties mean
 * only librdkafka knows; here stands what has to do with files: which properties name some, and who
 * else may read what is secret.
 */
#ifndef WEBMOND_PROPERTY_FILE_H
#define WEBMOND_PROPERTY_FILE_H

#include "util.h"

struct property_reader {
	struct mistakes *mistakes;
	/* why a property is not taken, or NULL; NULL itself: all are */
	const char *(*why_refused)(const char *name, const char *value);
	void (*set)(void *arg, struct origin at, const char *name, const char *value);
	void *arg;
	bool has_servers; /* set when a broker was named */
};

/*
 * Give each property of the file `path` to `set`; names of files are made relative to the directory
 * of that file. What is refused goes to `mistakes` instead. Returns false with the reason in `why`
 * if the file cannot be read.
 */
bool property_read_file(struct property_reader *r, const char *path, char *why, size_t size);

/*
 * One property, as a line of a file would give it. `dir`: what relative names of files are relative
 * to, with its slash; "" for none.
 */
void property_set(struct property_reader *r, struct origin at, const char *dir, const char *name,
    const char *value);

/* Cut "name = value" in two. Returns the value, or NULL with the mistake noted. */
char *property_cut(struct property_reader *r, struct origin at, char *line);

/* Whether the value of this property is a secret. */
bool property_is_secret(const char *name);

#endif
