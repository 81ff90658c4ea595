/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Who: the table of checkers and the choice among them. Pure: it starts and kills nobody.
 *
 * The first `min` checkers are homes: each site has one, so compiled patterns and TLS state stay
 * warm. Further ones, up to `max`, are helpers; they come when all are busy and leave when idle.
 */
#ifndef WEBMOND_POOL_H
#define WEBMOND_POOL_H

#include <stdbool.h>
#include <stdint.h>

/* A check longer than this, or one that timed out, makes its site slow until the next check. */
#define POOL_SLOW_US 500000

/*
 * A check that is expected to be as quick as this, since those before were, may stand in line
 * behind others of its kind. On warm caches, without a wake-up for each, the checks of a tick
 * cost two thirds of what they cost when every one has a process of its own. A line is short, and
 * what has not begun is taken back when the check in front makes no progress.
 */
#define POOL_QUICK_US 5000
#define POOL_LINE_US  20000
#define POOL_STALL_US 10000

/* No check counts for less in a line; bounds the number in it. */
#define POOL_EXPECT_MIN_US 100

/*
 * A site that has waited so long for a busy pool makes it grow: soon, if no check could be begun
 * for so long, since then all checkers wait for their sites; later if the queue moves; last when
 * the processors are busy, since then more processes only share them, with cold caches.
 */
#define POOL_GROW_STALLED_US 10000
#define POOL_GROW_US         50000
#define POOL_GROW_BUSY_US    200000

/* A helper leaves after so long without work. */
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
	bool retiring;       /* takes no more work: told to leave, or of an older generation */
	bool slow;           /* busy with a slow site */
	int checks;          /* busy: the running one and those in line */
	int64_t line_us;     /* how long they are expected to take together */
	int64_t since_us;    /* when this state, or the running check, began (monotonic) */
	int64_t deadline_us; /* when the watchdog bites; INT64_MAX: not */
	struct child *child; /* the supervisor's side of it; opaque here */
};

struct pool {
	struct worker *worker;
	int count; /* entries in `worker`: the largest max so far */
	int min, max;
	int idle, busy, slow, starting;
	int in_line;              /* checks that have not begun, of all workers */
	int64_t assigned_us;      /* when somebody last got a check */
	int64_t next_deadline_us; /* not after the earliest of all; INT64_MAX: none */
};

/*
 * Set the limits, 1 <= min <= max, of a pool that starts from zeros; again after a reload. Grows
 * the table, never shrinks it (pointers change).
 */
void pool_resize(struct pool *pool, int min, int max);

/* Change the state of one worker, with the sums; the only way to do so. */
void pool_set_state(struct pool *pool, struct worker *w, enum worker_state state, int64_t now_us);

/* Until then it has time; forgotten when its state changes. */
void pool_set_deadline(struct pool *pool, struct worker *w, int64_t deadline_us);

/* Nobody's time ends before that. */
void pool_grant(struct pool *pool, int64_t deadline_us);

/*
 * A checker for a site with this home (any number), whose check is expected to take so long: its
 * home if that is idle; for a quick one also the line of its home or of the homes behind it; else
 * the first idle one, so that helpers beyond need fall idle. NULL: none. `kept`, by its index or
 * -1, has a connection to the site: it comes first if it is idle, but not for a quick check, which
 * soon has one at home too, and costs a third less there, behind those of its tick.
 */
struct worker *pool_choose(const struct pool *pool, uint32_t home, int kept, int64_t expected_us);

/*
 * What to expect of a site's next check (INT64_MAX: not known), after one that took `took_us`: the
 * same, but at most twice of what was expected before. One bad moment of this machine must not take
 * a site out of its line; several in a row do. After a first one, half: it ran beside others, on
 * cold caches, and in a line such checks take half as long.
 */
int64_t pool_expect(int64_t expected_us, int64_t took_us);

/*
 * Give a worker that was chosen the check, which may take `allowed_us` (used if it begins now, not
 * if it stands in line).
 */
void pool_assign(struct pool *pool, struct worker *w, bool slow, int64_t expected_us,
    int64_t allowed_us, int64_t now_us);

/* The running check, which was expected to take so long, has ended; the next in line begins. */
void pool_next(struct pool *pool, struct worker *w, int64_t ended_expected_us, int64_t allowed_us,
    int64_t now_us);

/* A check that had not begun was taken out of the line, which takes nobody until it has ended. */
void pool_take_back(struct pool *pool, struct worker *w);

/* A worker with a line that has not moved for too long, or NULL; `after` as below. */
struct worker *pool_stalled(const struct pool *pool, const struct worker *after, int64_t now_us);

/* Whether slow sites have to wait whoever is idle: they get half of the pool. */
bool pool_slow_lane_full(const struct pool *pool);

/* When a site that is due at `due_us` and finds all busy makes the pool grow. */
int64_t pool_grow_us(const struct pool *pool, int64_t due_us);

/*
 * A place without a process among the first `limit` (pool->min: the homes; pool->max: all), or
 * NULL. `after`: continue behind that one; NULL: from the start.
 */
struct worker *pool_vacant(const struct pool *pool, int limit, const struct worker *after);

/* A helper that has been idle for too long, or NULL. */
struct worker *pool_surplus(const struct pool *pool, int64_t now_us);

/* One whose deadline has passed, or NULL. The caller sets another one before it asks again. */
struct worker *pool_overdue(struct pool *pool, int64_t now_us);

/*
 * Quarantine: a site that ends its checker twice in a row rests, 60 s first, doubled up to an hour.
 * Start from zeros.
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
