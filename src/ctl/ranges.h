/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A set of numbers as a sorted list of ranges: numbers that come nearly in order and without holes
 * take hardly any memory, however many they are.
 */
#ifndef WEBMOND_RANGES_H
#define WEBMOND_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 100 MB. */
#define RANGES_MAX 4000000

/*
 * How many ranges may have to move for a new one. It bounds what a number costs; numbers that are
 * so far out of order come from nobody who counts.
 */
#define RANGES_SHIFT_MAX 65536

struct range {
	uint64_t first, last;
	int64_t time_ms; /* what ranges_add() was told with `last` */
};

/* Start from zeros. */
struct ranges {
	struct range *at;
	size_t count, room;
};

bool ranges_has(const struct ranges *r, uint64_t n);

/* Whether any of first … last is in the set. */
bool ranges_meet(const struct ranges *r, uint64_t first, uint64_t last);

/* Add first … last. Returns false, without adding them, when a limit above is reached. */
bool ranges_add(struct ranges *r, uint64_t first, uint64_t last, int64_t time_ms);

/*
 * Find the next numbers, from `from` on, that neither are in `r` nor in `others` but are below the
 * highest of `r`. `hole->time_ms` is that of the number of `r` before them, or INT64_MIN. Returns
 * false: there are none.
 */
bool ranges_next_hole(
    const struct ranges *r, const struct ranges *others, uint64_t from, struct range *hole);

void ranges_release(struct ranges *r);

#endif
