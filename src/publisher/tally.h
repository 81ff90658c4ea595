/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * How many records of each site wait, and for how long.
 */
#ifndef WEBMOND_TALLY_H
#define WEBMOND_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "config.h"

/* Up to a minute, an hour, a day; and older. */
#define TALLY_AGES 4

struct tally_site {
	char name[CONFIG_NAME_MAX + 1]; /* first member: sites are compared by it */
	uint64_t records;
	uint64_t by_age[TALLY_AGES];
	int64_t oldest_us; /* UTC: a slot */
};

/* Start from zeros. */
struct tally {
	void *by_name;
	struct tally_site **site; /* after tally_sort(), by name */
	size_t count, room;
};

/* A record of a slot; the name has no NUL behind it. */
void tally_add(struct tally *tally, const char *name, size_t size, int64_t slot_us, int64_t now_us);

void tally_sort(struct tally *tally);
void tally_release(struct tally *tally);

#endif
