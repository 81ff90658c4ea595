/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What is due: OPEN and dispatch, or the record of a slot that never runs. Nothing is fatal; a full
 * pipe means later.
 */
#include <stdio.h>

#include "state.h"

/* Checkers started at once when the pool grows: forks must not delay the slots of others. */
#define GROW_AT_ONCE 4

/* --- slots that never run ---------------------------------------------------------------- */

/* Why the slot that comes next for `w` must not run, or ERROR_NONE. */
static enum error_type
why_missed(
    const struct supervisor *s, const struct watch *w, int64_t now, char *message, size_t size)
{
	if (w->timer.due_us <= w->busy_until_us) {
		snprintf(message, size, "the check before was still running");
		return ERROR_MISSED_OVERRUN;
	}
	if (quarantine_active(&w->quarantine, now)) {
		snprintf(message, size,
		    "the last %d checks ended their checker; next try in %lld s",
		    w->quarantine.crashes, (long long)((w->quarantine.until_us - now) / US_PER_S));
		return ERROR_QUARANTINED;
	}
	if (!s->start->once && w->timer.due_us + w->interval_us <= now) {
		if (s->pipe_full_us >= w->timer.due_us)
			snprintf(message, size, "the publisher took no records; the log says why");
		else
			snprintf(message, size,
			    "no checker was free within %.3g s; see workers.max",
			    (double)w->interval_us / US_PER_S);
		return ERROR_MISSED_OVERLOAD;
	}
	if (s->stage != STAGE_RUNNING || w->leaving != NULL) {
		snprintf(message, size, "%s before the check began",
		    w->leaving != NULL ? "the site was removed" : "webmond was stopped");
		return ERROR_ABORTED;
	}
	return ERROR_NONE;
}

/* Give the slots of `w` that are due and will never run their records. */
static bool
record_missed(struct supervisor *s, struct watch *w, int64_t now)
{
	char message[128];
	enum error_type error;

	while (w->timer.due_us <= now && (w->leaving == NULL || w->timer.due_us <= w->jump_us) &&
	       (error = why_missed(s, w, now, message, sizeof(message))) != ERROR_NONE) {
		int64_t turn_us = w->timer.turn_us;

		if (!put_whole(s, w, error, message))
			return false;
		watch_advance(s, w);
		if (error == ERROR_MISSED_OVERLOAD && w->timer.due_us <= now)
			w->timer.turn_us = turn_us; /* who lost a slot by waiting keeps its place */
	}
	return true;
}

/* --- what is due ------------------------------------------------------------------------- */

/* Whoever is due first of both lanes, or NULL. */
static struct watch *
first_due(const struct supervisor *s, bool without_slow, int64_t now)
{
	struct timer *normal = schedule_first(&s->lane[0]);
	struct timer *slow = without_slow ? NULL : schedule_first(&s->lane[1]);
	struct timer *first = normal;

	if (first == NULL || (slow != NULL && slow->turn_us < first->turn_us))
		first = slow;
	return first != NULL && first->turn_us <= now ? watch_of(first) : NULL;
}

static struct worker *
choose_checker(const struct supervisor *s, const struct watch *w, int64_t expected_us)
{
	return pool_choose(&s->pool, w->home, w->site->keepalive ? w->last : -1, expected_us);
}

/*
 * Nobody takes what has been due for so long: more checkers, if that lasts. Returns when to look
 * again.
 */
static int64_t
grow_pool(struct supervisor *s, int64_t due_us, int64_t now)
{
	int64_t when = pool_grow_us(&s->pool, due_us);
	struct worker *worker = NULL;

	s->listening = true;
	if (now < when)
		return when;
	if (now < due_us + POOL_GROW_BUSY_US && util_processors_busy())
		return now + POOL_GROW_STALLED_US; /* look again */
	while (s->pool.starting < GROW_AT_ONCE &&
	       (worker = pool_vacant(&s->pool, s->pool.max, worker)) != NULL)
		start_checker(s, worker, now);
	return INT64_MAX;
}

/* What was taken back from a checker goes to one that is idle. Returns as dispatch(). */
static int64_t
dispatch_waiting(struct supervisor *s, int64_t now)
{
	struct check *check;

	/* while there is no room checkers would only hold a verdict each, and the pool grow for it */
	if (!STAILQ_EMPTY(&s->waiting) && !pipe_wait_room(s->own.write_fd, 0)) {
		pipe_is_full(s);
		return INT64_MAX;
	}
	while ((check = STAILQ_FIRST(&s->waiting)) != NULL) {
		struct worker *worker;

		if (check->config != s->config && !follow_reload(s, check)) {
			STAILQ_REMOVE_HEAD(&s->waiting, next);
			owe(s, check, "the site was %s before the check began",
			    check->watch->leaving != NULL ? "removed" : "changed");
			continue;
		}
		worker = choose_checker(s, check->watch, INT64_MAX);
		if (worker == NULL)
			return grow_pool(s, check->job.due_us, now);
		STAILQ_REMOVE_HEAD(&s->waiting, next);
		if (!hand_over(s, check, worker, now))
			return now + POOL_STALL_US;
	}
	return INT64_MAX;
}

int64_t
dispatch(struct supervisor *s, int64_t now)
{
	bool without_slow = false;
	int64_t wake;
	struct watch *w;

	s->listening = false;
	wake = dispatch_waiting(s, now);
	if (!pay_debts(s))
		return INT64_MAX;
	if (now >= s->next_settle_us)
		settle(s);
	if (!STAILQ_EMPTY(&s->waiting))
		return wake;
	while ((w = first_due(s, without_slow, now)) != NULL) {
		struct worker *worker;
		struct check *check;
		char message[128];

		if (why_missed(s, w, now, message, sizeof(message)) != ERROR_NONE) {
			watch_dequeue(s, w);
			bool written = record_missed(s, w, now);
			watch_enqueue(s, w);
			if (!written)
				return INT64_MAX;
			continue;
		}
		if (w->slow && pool_slow_lane_full(&s->pool)) {
			without_slow = s->listening = true;
			continue;
		}
		worker = choose_checker(s, w, w->expected_us);
		if (worker == NULL)
			return grow_pool(s, w->timer.due_us, now);
		check = open_check(s, w);
		if (check == NULL)
			return INT64_MAX;
		if (!hand_over(s, check, worker, now))
			return now + POOL_STALL_US;
	}
	for (int i = 0; i < (without_slow ? 1 : 2); i++) {
		struct timer *t = schedule_first(&s->lane[i]);

		if (t != NULL && t->turn_us < wake)
			wake = t->turn_us;
	}
	return wake;
}

bool
record_remaining(struct supervisor *s)
{
	for (int i = 0; i < 2; i++) {
		struct timer *t;

		while ((t = schedule_first(&s->lane[i])) != NULL) {
			struct watch *w = watch_of(t);

			watch_dequeue(s, w);
			if (!record_missed(s, w, s->stopping_since_us)) {
				watch_enqueue(s, w);
				return false;
			}
		}
	}
	return true;
}
