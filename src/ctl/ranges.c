/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Sets of numbers as ranges. Called by the judge; nothing is fatal.
 */
#include "ranges.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

/* The index of the first range that ends at or behind `n`; r->count: none does. */
static size_t
find(const struct ranges *r, uint64_t n)
{
	size_t low = 0, high = r->count;

	if (high > 0 && r->at[high - 1].last < n)
		return high; /* what comes in order */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->at[middle].last < n)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
ranges_meet(const struct ranges *r, uint64_t first, uint64_t last)
{
	size_t i = find(r, first);

	return i < r->count && r->at[i].first <= last;
}

bool
ranges_has(const struct ranges *r, uint64_t n)
{
	return ranges_meet(r, n, n);
}

/* Make room for one more at `i`. */
static bool
insert(struct ranges *r, size_t i, struct range new)
{
	if (r->count >= RANGES_MAX || r->count - i > RANGES_SHIFT_MAX)
		return false;
	if (r->count == r->room) {
		r->room = r->room > 0 ? 2 * r->room : 4;
		r->at = xreallocarray(r->at, r->room, sizeof(*r->at));
	}
	memmove(r->at + i + 1, r->at + i, (r->count - i) * sizeof(*r->at));
	r->at[i] = new;
	r->count++;
	return true;
}

bool
ranges_add(struct ranges *r, uint64_t first, uint64_t last, int64_t time_ms)
{
	/* the first that it touches; numbers are far below the end of their type */
	size_t i = find(r, first > 0 ? first - 1 : 0), next;
	struct range *at;

	if (i == r->count || r->at[i].first > last + 1)
		return insert(r, i, (struct range){ first, last, time_ms });
	at = &r->at[i];
	if (first < at->first)
		at->first = first;
	if (last <= at->last)
		return true;
	at->last = last;
	at->time_ms = time_ms;
	for (next = i + 1; next < r->count && r->at[next].first <= last + 1; next++) {
		if (r->at[next].last > at->last) {
			at->last = r->at[next].last;
			at->time_ms = r->at[next].time_ms;
		}
	}
	memmove(at + 1, r->at + next, (r->count - next) * sizeof(*at));
	r->count -= next - (i + 1);
	return true;
}

bool
ranges_next_hole(
    const struct ranges *r, const struct ranges *others, uint64_t from, struct range *hole)
{
	for (;;) {
		size_t i = find(r, from), j = find(others, from);

		if (i == r->count)
			return false;
		if (r->at[i].first <= from) {
			from = r->at[i].last + 1;
			continue;
		}
		if (j < others->count && others->at[j].first <= from) {
			from = others->at[j].last + 1;
			continue;
		}
		hole->first = from;
		hole->last = r->at[i].first - 1;
		if (j < others->count && others->at[j].first <= hole->last)
			hole->last = others->at[j].first - 1;
		hole->time_ms = i > 0 ? r->at[i - 1].time_ms : INT64_MIN;
		return true;
	}
}

void
ranges_release(struct ranges *r)
{
	free(r->at);
	*r = (struct ranges){ 0 };
}
