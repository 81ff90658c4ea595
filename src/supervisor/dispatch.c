/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What is due: OPEN and a checker, or the record of a slot that never runs. Nothing is fatal; a
 * full pipe means later.
 */
#include <stdio.h>

#include "state.h"

/* Checkers started at once when the pool grows: forks must not delay the slots of others. */
#define GROW_AT_ONCE 4

/* --- slots that never run ---------------------------------------------------------------- */

/* Why the next slot of `state` must not run, or ERROR_NONE. */
static enum error_type
why_missed(const struct supervisor *s, const struct site_state *state, int64_t now, char *message,
    size_t size)
{
	const bool overdue = !s->start->once && state->timer.due_us + state->interval_us <= now;
	int64_t gap_us;

	if (state->timer.due_us <= state->busy_until_us) {
		snprintf(message, size, "the previous check was still running");
		return ERROR_MISSED_OVERRUN;
	}
	if (overdue && shards_orphaned(s, state, &gap_us)) {
		snprintf(
		    message, size, "no member had the shard for %.1f s", (double)gap_us / US_PER_S);
		return ERROR_MISSED_TAKEOVER;
	}
	if (quarantine_active(&state->quarantine, now)) {
		snprintf(message, size,
		    "the last %d checks ended their checker; next try in %lld s",
		    state->quarantine.crashes,
		    (long long)((state->quarantine.until_us - now) / US_PER_S));
		return ERROR_QUARANTINED;
	}
	if (overdue) {
		if (s->pipes.full_us >= state->timer.due_us)
			snprintf(message, size, "the publisher took no records; the log says why");
		else
			snprintf(message, size,
			    "no checker was free within %.3g s; see workers.max",
			    (double)state->interval_us / US_PER_S);
		return ERROR_MISSED_OVERLOAD;
	}
	if (s->stage != STAGE_RUNNING || state->removed != NULL) {
		snprintf(message, size, "%s before the check began",
		    state->removed != NULL ? "the site was removed" : "webmond was stopped");
		return ERROR_ABORTED;
	}
	return ERROR_NONE;
}

/*
 * Write the records of those slots of `state` that are due and will never run; false: not of all.
 */
static bool
record_missed(struct supervisor *s, struct site_state *state, int64_t now)
{
	char message[128];
	enum error_type error;
	bool written = true;

	site_dequeue(s, state);
	while (state->timer.due_us <= now && !site_is_over(state) &&
	       (error = why_missed(s, state, now, message, sizeof(message))) != ERROR_NONE) {
		written = write_missed(s, state, error, message, now);
		if (!written)
			break;
		/* a site that missed a slot by waiting keeps its place */
		site_miss(s, state, error == ERROR_MISSED_OVERLOAD, now);
	}
	site_enqueue(s, state);
	return written;
}

/* --- what is due ------------------------------------------------------------------------- */

/* The first of both lanes, or NULL. */
static struct timer *
first_timer(const struct supervisor *s, bool without_slow)
{
	struct timer *normal = schedule_first(&s->sites.lane[0]);
	struct timer *slow = without_slow ? NULL : schedule_first(&s->sites.lane[1]);

	if (normal == NULL || (slow != NULL && slow->priority_us < normal->priority_us))
		return slow;
	return normal;
}

static struct worker *
choose_checker(const struct supervisor *s, const struct site_state *state, int64_t expected_us)
{
	return pool_choose(&s->pool, state->affinity,
	    state->site->keepalive ? state->last_worker : -1, expected_us);
}

/*
 * A check that has been due since `due_us` finds no worker: start more checkers, if that lasts.
 * Returns when to look again.
 */
static int64_t
grow_pool(struct supervisor *s, int64_t due_us, int64_t now)
{
	int64_t when = pool_grow_us(&s->pool, due_us);
	struct worker *worker = NULL;

	s->site_waits = true;
	if (now < when)
		return when;
	if (now < due_us + POOL_GROW_BUSY_US && util_processors_busy())
		return now + POOL_GROW_STALLED_US; /* look again */
	while (s->pool.starting < GROW_AT_ONCE &&
	       (worker = pool_vacant(&s->pool, s->pool.max, worker)) != NULL)
		start_checker(s, worker, now);
	return INT64_MAX;
}

/* Reclaimed checks go to idle workers. Returns when to look again. */
static int64_t
dispatch_waiting(struct supervisor *s, int64_t now)
{
	struct check *check;

	/*
	 * with a full pipe each check would only hold a checker with its verdict, and the pool grow
	 */
	if (!STAILQ_EMPTY(&s->waiting) && !own_pipe_has_room(s, now))
		return INT64_MAX;
	while ((check = STAILQ_FIRST(&s->waiting)) != NULL) {
		struct worker *worker;

		if (!follow_reload(s, check)) {
			abandon_check(s, take_waiting(s), "the site was %s before the check began",
			    check->state->removed != NULL ? "removed" : "changed");
			continue;
		}
		if (!shards_lease_holds(s) || site_is_elsewhere(s, check->state)) {
			abandon_check(s, take_waiting(s), WIRE_LEASE_ENDED);
			continue;
		}
		worker = choose_checker(s, check->state, INT64_MAX);
		if (worker == NULL)
			return grow_pool(s, check->job.due_us, now);
		if (!assign_check(s, take_waiting(s), worker, now))
			return now + POOL_STALL_US;
	}
	return INT64_MAX;
}

int64_t
dispatch(struct supervisor *s, int64_t now)
{
	bool without_slow = false;
	int64_t wake;
	struct timer *first;

	shards_drop_sites(s);
	s->site_waits = false;
	wake = dispatch_waiting(s, now);
	if (!flush_pending_closes(s, now))
		return INT64_MAX;
	if (now >= s->epoch.next_settle_us)
		settle(s, now);
	if (!STAILQ_EMPTY(&s->waiting) || !shards_lease_holds(s))
		return wake;
	while ((first = first_timer(s, without_slow)) != NULL && first->priority_us <= now) {
		struct site_state *state = site_of(first);
		struct worker *worker;
		struct check *check;
		char message[128];

		/* a site that is over has no such slot any more, and leaves its heap */
		if (why_missed(s, state, now, message, sizeof(message)) != ERROR_NONE) {
			if (!record_missed(s, state, now))
				return INT64_MAX;
			continue;
		}
		if (state->slow && pool_slow_lane_full(&s->pool)) {
			without_slow = s->site_waits = true;
			continue;
		}
		worker = choose_checker(s, state, state->expected_us);
		if (worker == NULL)
			return grow_pool(s, state->timer.due_us, now);
		check = open_check(s, state, now);
		if (check == NULL)
			return INT64_MAX;
		if (!assign_check(s, check, worker, now))
			return now + POOL_STALL_US;
	}
	return first != NULL && first->priority_us < wake ? first->priority_us : wake;
}

bool
record_remaining(struct supervisor *s, int64_t now)
{
	struct timer *first;

	while ((first = first_timer(s, false)) != NULL) {
		if (!in_group(s) && !record_missed(s, site_of(first), now))
			return false;
		site_dequeue(s, site_of(first));
	}
	return true;
}
