/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * How values are spread: percentiles without keeping the values. Each is known to one part in 16.
 */
#ifndef WEBMOND_SPREAD_H
#define WEBMOND_SPREAD_H

#include <stdint.h>

#define SPREAD_PARTS  16 /* of each power of 2 */
#define SPREAD_POWERS 40 /* 2^40 microseconds are 12 days */

/* Start from zeros. */
struct spread {
	uint64_t count;
	int64_t max;
	uint32_t parts[SPREAD_POWERS * SPREAD_PARTS];
};

/* Negative values count as 0. */
void spread_add(struct spread *s, int64_t value);

/* The value that `percent` of all do not exceed; at most 1/16 too high. `s` has some. */
int64_t spread_percentile(const struct spread *s, int percent);

#endif
