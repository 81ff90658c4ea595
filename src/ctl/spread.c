/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Percentiles. Called by the judge and its report; nothing is fatal.
 */
#include "spread.h"

/* Values below SPREAD_PARTS have a part each; then each power of 2 has SPREAD_PARTS of them. */
static unsigned
part_of(uint64_t value)
{
	int shift;

	if (value < SPREAD_PARTS)
		return (unsigned)value;
	shift = 63 - __builtin_clzll(value) - __builtin_ctz(SPREAD_PARTS);
	return (unsigned)((shift + 1) * SPREAD_PARTS + (int)(value >> shift) - SPREAD_PARTS);
}

/* The largest value of a part. */
static int64_t
end_of(unsigned part)
{
	unsigned shift = part / SPREAD_PARTS;

	if (shift == 0)
		return part;
	return (int64_t)(((uint64_t)part % SPREAD_PARTS + SPREAD_PARTS + 1) << (shift - 1)) - 1;
}

void
spread_add(struct spread *s, int64_t value)
{
	unsigned part = part_of(value > 0 ? (uint64_t)value : 0);
	const unsigned last = SPREAD_POWERS * SPREAD_PARTS - 1;

	s->parts[part < last ? part : last]++;
	s->count++;
	if (s->count == 1 || value > s->max)
		s->max = value;
}

int64_t
spread_percentile(const struct spread *s, int percent)
{
	uint64_t wanted = (s->count * (uint64_t)percent + 99) / 100, sum = 0;
	unsigned part = 0;

	while ((sum += s->parts[part]) < wanted)
		part++;
	/* the last part has no end */
	if (part == SPREAD_POWERS * SPREAD_PARTS - 1 || end_of(part) > s->max)
		return s->max;
	return end_of(part);
}
