/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Who runs a check: the table of workers and the choice among them. Pure: it starts and kills no
 * process, and the clock is passed in.
 *
 * A worker is a place for one checker process, with one or without. The first `min` are the core
 * workers: each site has an affinity to one of them, whose checker keeps the site's compiled
 * patterns and TLS state warm. The others, up to `max`, are spare workers: their checkers are
 * started when all are busy, and leave when they have been idle for long.
 */
#ifndef WEBMOND_POOL_H
#define WEBMOND_POOL_H

#include <stdbool.h>
#include <stdint.h>

/* A check that took longer than this, or timed out, makes its site slow until the next check. */
#define POOL_SLOW_US 500000

/*
 * Checks that are expected to be this quick may be queued at a busy worker. On warm caches, and
 * without a wake-up for each, the checks of a tick cost two thirds of what they cost with a
 * process each. A queue is short, and what has not begun is taken back when the running check
 * makes no progress.
 */
#define POOL_QUICK_US 5000
#define POOL_QUEUE_US 20000
#define POOL_STALL_US 10000

/* The least that a check counts in a queue; this bounds the number of checks in it. */
#define POOL_EXPECT_MIN_US 100

/*
 * How long a due site waits for a worker before the pool grows: least if no check has begun since,
 * because then every checker is waiting for its site; longer if checks go on; longest while the
 * processors are busy, because then more processes only share them, with cold caches.
 */
#define POOL_GROW_STALLED_US 10000
#define POOL_GROW_US         50000
#define POOL_GROW_BUSY_US    200000

/* A spare worker that has been idle for this time is not needed. */
#define POOL_IDLE_US (60 * 1000000LL)

enum worker_state {
	WORKER_NONE,     /* no process; may be started */
	WORKER_STARTING, /* started, not ready */
	WORKER_IDLE,
	WORKER_BUSY,
};

struct worker {
	int index;
	enum worker_state state;
	bool retiring;           /* gets no more work: its checker is to leave */
	bool slow;               /* busy with a slow site */
	int checks;              /* busy: the running one and those that are queued */
	int64_t queued_us;       /* how long they are expected to take together */
	int64_t since_us;        /* when this state, or the running check, began (monotonic) */
	struct checker *checker; /* the process; opaque here */
};

struct pool {
	struct worker *worker;
	int count; /* entries in `worker`: the largest max so far */
	int min, max;
	int idle, busy, slow, starting;
	int queued;          /* checks that have not begun, of all workers */
	int64_t assigned_us; /* when a check was last assigned */
};

/*
 * Set the limits, 1 <= min <= max, of a pool that starts from zeros; again after a reload. The
 * table grows and never shrinks (pointers to workers change).
 */
void pool_resize(struct pool *pool, int min, int max);

/* Change the state of a worker, and the sums with it; the only way to do so. */
void pool_set_state(struct pool *pool, struct worker *w, enum worker_state state, int64_t now_us);

/*
 * The worker for a check of a site with this affinity (any number), which is expected to take
 * `expected_us`; NULL: none is free. In this order:
 *
 *   - a check that is not quick goes to `connected`, the worker (by its index, or -1) whose checker
 *     holds a connection to the site, if it is idle. Quick checks do not: together with the others of
 *     their tick they cost a third less, and soon have a connection there too;
 *   - the worker of its affinity, if it is idle. A quick check may also join its queue, if that has
 *     room, or take one of the next core workers;
 *   - the first idle worker, so that the last ones of the table become idle and can end.
 */
struct worker *
pool_choose(const struct pool *pool, uint32_t affinity, int connected, int64_t expected_us);

/*
 * How long a site's next check is expected to take (INT64_MAX: not known), after one that took
 * `took_us`: the same, but at most double of what was expected. A single slow check, which may be
 * the fault of this machine, must not take a site out of the queues; several in a row do. After the
 * first check of a site it is half: that one ran beside others on cold caches, and queued checks
 * take half as long.
 */
int64_t pool_expect(int64_t expected_us, int64_t took_us);

/* Give a check to a worker that was chosen for it: it begins now, or is queued. */
void
pool_assign(struct pool *pool, struct worker *w, bool slow, int64_t expected_us, int64_t now_us);

/*
 * The running check, which had been expected to take `ended_expected_us`, has ended. The next one
 * in the queue begins.
 */
void pool_next(struct pool *pool, struct worker *w, int64_t ended_expected_us, int64_t now_us);

/* A check that had not begun was taken back. The queue is closed until the others have ended. */
void pool_reclaim(struct pool *pool, struct worker *w);

/*
 * The first worker behind `after` (NULL: of all) whose queue has made no progress for
 * POOL_STALL_US, or NULL.
 */
struct worker *pool_stalled(const struct pool *pool, const struct worker *after, int64_t now_us);

/* Whether slow sites hold their share, half of the pool, and so have to wait. */
bool pool_slow_lane_full(const struct pool *pool);

/* When a site that is due at `due_us` and finds all workers busy makes the pool grow. */
int64_t pool_grow_us(const struct pool *pool, int64_t due_us);

/*
 * The first worker behind `after` (NULL: of all) among the first `limit` that has no process, or
 * NULL. `limit`: pool->min or pool->max.
 */
struct worker *pool_vacant(const struct pool *pool, int limit, const struct worker *after);

/* A spare worker that has been idle for POOL_IDLE_US, or NULL. */
struct worker *pool_surplus(const struct pool *pool, int64_t now_us);

/*
 * Quarantine: a site whose checks end their checker twice in a row is not checked for 60 s; each
 * further time doubles that, up to an hour. Start from zeros.
 */
struct quarantine {
	int crashes;
	int64_t rest_us;
	int64_t until_us; /* monotonic */
};

void quarantine_crashed(struct quarantine *q, int64_t now_us);
void quarantine_survived(struct quarantine *q);
bool quarantine_active(const struct quarantine *q, int64_t now_us);

#endif
