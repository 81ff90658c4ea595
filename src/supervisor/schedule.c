/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Slots and the heap of what comes next. Called by the supervisor only.
 */
#include "schedule.h"

#include <stdbool.h>

#include "util.h"

int64_t
schedule_phase(const char *name, int64_t interval_us)
{
	int64_t phase = (int64_t)(util_hash(name) % (uint64_t)interval_us);

	return phase - phase % SCHEDULE_TICK_US;
}

int64_t
schedule_next_slot(int64_t after_us, int64_t interval_us, int64_t phase_us)
{
	int64_t since = after_us - phase_us;
	int64_t k = since / interval_us - (since % interval_us < 0);

	return (k + 1) * interval_us + phase_us;
}

static bool
earlier(const struct timer *a, const struct timer *b)
{
	return a->priority_us != b->priority_us ? a->priority_us < b->priority_us
						: a->slot_us < b->slot_us;
}

/* Positions count from 1, so that the children of n are 2n and 2n + 1. */
static void
place(struct schedule *s, struct timer *t, size_t position)
{
	s->heap[position] = t;
	t->position = position;
}

static void
sift_up(struct schedule *s, struct timer *t, size_t position)
{
	for (; position > 1 && earlier(t, s->heap[position / 2]); position /= 2)
		place(s, s->heap[position / 2], position);
	place(s, t, position);
}

static void
sift_down(struct schedule *s, struct timer *t, size_t position)
{
	size_t child;

	while ((child = 2 * position) <= s->count) {
		if (child < s->count && earlier(s->heap[child + 1], s->heap[child]))
			child++;
		if (!earlier(s->heap[child], t))
			break;
		place(s, s->heap[child], position);
		position = child;
	}
	place(s, t, position);
}

void
schedule_insert(struct schedule *s, struct timer *t)
{
	if (s->count + 1 >= s->room) {
		s->room = s->room > 0 ? 2 * s->room : 64;
		s->heap = xreallocarray(s->heap, s->room, sizeof(*s->heap));
	}
	sift_up(s, t, ++s->count);
}

void
schedule_remove(struct schedule *s, struct timer *t)
{
	size_t hole = t->position;
	struct timer *last;

	if (hole == 0)
		return;
	last = s->heap[s->count--];
	t->position = 0;
	if (last == t)
		return;
	if (hole > 1 && earlier(last, s->heap[hole / 2]))
		sift_up(s, last, hole);
	else
		sift_down(s, last, hole);
}

struct timer *
schedule_first(const struct schedule *s)
{
	return s->count > 0 ? s->heap[1] : NULL;
}
