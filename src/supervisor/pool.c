/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The choice among checkers. Called by the supervisor only.
 */
#include "pool.h"

#include "util.h"

#define QUARANTINE_CRASHES 2
#define QUARANTINE_MIN_US  (60 * US_PER_S)
#define QUARANTINE_MAX_US  (3600 * US_PER_S)

void
pool_resize(struct pool *pool, int min, int max)
{
	pool->min = min;
	pool->max = max;
	if (max <= pool->count)
		return;
	pool->worker = xreallocarray(pool->worker, (size_t)max, sizeof(*pool->worker));
	for (; pool->count < max; pool->count++)
		pool->worker[pool->count] = (struct worker){ .index = pool->count };
}

void
pool_set_state(struct pool *pool, struct worker *w, enum worker_state state, int64_t now_us)
{
	pool->idle += (state == WORKER_IDLE) - (w->state == WORKER_IDLE);
	pool->busy += (state == WORKER_BUSY) - (w->state == WORKER_BUSY);
	pool->starting += (state == WORKER_STARTING) - (w->state == WORKER_STARTING);
	if (state != WORKER_BUSY && w->slow) {
		w->slow = false;
		pool->slow--;
	}
	if (w->checks > 0)
		pool->queued -= w->checks - 1;
	w->checks = 0;
	w->queued_us = 0;
	w->since_us = now_us;
	w->state = state;
}

/* How much of a queue a check takes: all of it if it is not quick. */
static int64_t
share(int64_t expected_us)
{
	if (expected_us > POOL_QUICK_US)
		return POOL_QUEUE_US;
	return expected_us > POOL_EXPECT_MIN_US ? expected_us : POOL_EXPECT_MIN_US;
}

void
pool_assign(struct pool *pool, struct worker *w, bool slow, int64_t expected_us, int64_t now_us)
{
	pool->assigned_us = now_us;
	if (w->state == WORKER_BUSY) {
		pool->queued++;
	} else {
		pool_set_state(pool, w, WORKER_BUSY, now_us);
		w->slow = slow;
		pool->slow += slow;
	}
	w->checks++;
	w->queued_us += share(expected_us);
}

void
pool_next(struct pool *pool, struct worker *w, int64_t ended_expected_us, int64_t now_us)
{
	w->checks--;
	w->queued_us -= share(ended_expected_us);
	pool->queued--;
	w->since_us = now_us;
}

void
pool_reclaim(struct pool *pool, struct worker *w)
{
	pool->queued -= w->checks > 1;
	w->checks--;
	w->queued_us += POOL_QUEUE_US; /* closed until all have ended */
}

struct worker *
pool_stalled(const struct pool *pool, const struct worker *after, int64_t now_us)
{
	for (int i = after != NULL ? after->index + 1 : 0; i < pool->count; i++) {
		struct worker *w = &pool->worker[i];

		if (w->checks > 1 && w->since_us + POOL_STALL_US <= now_us)
			return w;
	}
	return NULL;
}

bool
pool_slow_lane_full(const struct pool *pool)
{
	return pool->slow >= (pool->max > 1 ? pool->max / 2 : 1);
}

static bool
takes_work(const struct worker *w)
{
	return w->state == WORKER_IDLE && !w->retiring;
}

static bool
has_room(const struct worker *w, int64_t expected_us)
{
	return w->state == WORKER_BUSY && !w->retiring &&
	       w->queued_us + share(expected_us) <= POOL_QUEUE_US;
}

struct worker *
pool_choose(const struct pool *pool, uint32_t affinity, int connected, int64_t expected_us)
{
	bool quick = expected_us <= POOL_QUICK_US;
	int candidates = quick ? pool->min : 1;

	if (!quick && connected >= 0 && takes_work(&pool->worker[connected]))
		return &pool->worker[connected];
	for (int i = 0; i < candidates; i++) {
		struct worker *w = &pool->worker[(affinity + (uint32_t)i) % (uint32_t)pool->min];

		if (takes_work(w) || has_room(w, expected_us))
			return w;
	}
	for (int i = 0; i < pool->count && pool->idle > 0; i++)
		if (takes_work(&pool->worker[i]))
			return &pool->worker[i];
	return NULL;
}

int64_t
pool_expect(int64_t expected_us, int64_t took_us)
{
	if (expected_us == INT64_MAX)
		return took_us / 2;
	if (expected_us < POOL_EXPECT_MIN_US)
		expected_us = POOL_EXPECT_MIN_US;
	return expected_us > took_us / 2 ? took_us : 2 * expected_us;
}

int64_t
pool_grow_us(const struct pool *pool, int64_t due_us)
{
	int64_t begun = pool->assigned_us > due_us ? pool->assigned_us : due_us;
	int64_t stalled = begun + POOL_GROW_STALLED_US;

	return stalled < due_us + POOL_GROW_US ? stalled : due_us + POOL_GROW_US;
}

struct worker *
pool_vacant(const struct pool *pool, int limit, const struct worker *after)
{
	for (int i = after != NULL ? after->index + 1 : 0; i < limit; i++)
		if (pool->worker[i].state == WORKER_NONE)
			return &pool->worker[i];
	return NULL;
}

struct worker *
pool_surplus(const struct pool *pool, int64_t now_us)
{
	for (int i = pool->min; i < pool->count; i++) {
		struct worker *w = &pool->worker[i];

		if (takes_work(w) && w->since_us + POOL_IDLE_US <= now_us)
			return w;
	}
	return NULL;
}

void
quarantine_crashed(struct quarantine *q, int64_t now_us)
{
	if (++q->crashes < QUARANTINE_CRASHES)
		return;
	q->rest_us = q->rest_us == 0 ? QUARANTINE_MIN_US : 2 * q->rest_us;
	if (q->rest_us > QUARANTINE_MAX_US)
		q->rest_us = QUARANTINE_MAX_US;
	q->until_us = now_us + q->rest_us;
}

void
quarantine_survived(struct quarantine *q)
{
	*q = (struct quarantine){ 0 };
}

bool
quarantine_active(const struct quarantine *q, int64_t now_us)
{
	return q->crashes >= QUARANTINE_CRASHES && now_us < q->until_us;
}
