/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What is due: OPEN and dispatch, or the record of a slot that never runs. Nothing is fatal; a full
 * pipe means later.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "state.h"

/* Checkers started at once when the pool grows: forks must not delay the slots of others. */
#define GROW_AT_ONCE 4

/*
 * A checker that is honest writes its CLOSE before it says that it is done. What another one leaves
 * out is found so soon.
 */
#define SETTLE_US US_PER_S

/* --- frames ------------------------------------------------------------------------------ */

/* Look again when it has room. */
static void
pipe_is_full(struct supervisor *s)
{
	s->own_full = true;
	s->pipe_full_us = util_mono_us();
}

/*
 * Write a frame or note that the pipe is full. No copy of a token stays on the stack: the next
 * checker is forked from here, see forget_tokens().
 */
static bool
put_frame(struct supervisor *s, unsigned char *frame, size_t size)
{
	int full = pipe_write(s->own.write_fd, frame, size);

	explicit_bzero(frame, size);
	if (full < 0)
		log_error("cannot write to the pipe of the supervisor: %s", strerror(errno));
	if (full != 0)
		pipe_is_full(s);
	return full == 0;
}

static struct slot
slot_of(const struct check *check)
{
	bool begun = check->begun_us != RESULT_NONE;
	int64_t lateness_us = check->begun_us - check->job.due_us;

	return (struct slot){ .epoch = check->job.epoch,
		.seq = check->job.seq,
		.slot_us = check->job.slot_us,
		.interval_us = check->job.interval_us,
		.lateness_us = begun ? lateness_us : RESULT_NONE };
}

/* The slot that comes next for `w` never runs: one frame. */
static bool
put_whole(struct supervisor *s, struct watch *w, enum error_type error, const char *message)
{
	struct slot slot = { .epoch = s->epoch,
		.seq = s->next_seq,
		.slot_us = w->timer.slot_us,
		.interval_us = w->interval_us,
		.lateness_us = RESULT_NONE };
	unsigned char frame[WIRE_FRAME_MAX];
	struct wire_done done = {
		.error = error, .http_status = RESULT_NONE, .elapsed_us = RESULT_NONE
	};
	struct result result;

	result_init(&result);
	result_fail(&result, error, "%s", message);
	if (!put_frame(s, frame,
		payload_frame(frame, WIRE_WHOLE, s->generation->config, w->site, &slot, &result,
		    s->token_key)))
		return false;
	s->next_seq++;
	snprintf(done.error_message, sizeof(done.error_message), "%s", message);
	watch_note(s, w, &done);
	return true;
}

/* --- checks ------------------------------------------------------------------------------ */

void
check_free(struct check *check)
{
	generation_release(check->generation);
	explicit_bzero(&check->job, sizeof(check->job)); /* see forget_tokens() */
	free(check);
}

/* The slot that comes next for `w`, with its OPEN in the pipe; NULL if that is full. */
static struct check *
open_check(struct supervisor *s, struct watch *w)
{
	struct check *check = xcalloc(1, sizeof(*check));
	unsigned char frame[WIRE_FRAME_MAX];
	struct slot slot;

	*check = (struct check){ .watch = w,
		.site = w->site,
		.generation = s->generation,
		.job = { .site = w->index,
		    .seq = s->next_seq,
		    .slot_us = w->timer.slot_us,
		    .interval_us = w->interval_us,
		    .due_us = w->timer.due_us },
		.expected_us = w->expected_us,
		.begun_us = RESULT_NONE };
	memcpy(check->job.epoch, s->epoch, sizeof(check->job.epoch));
	check->generation->users++;
	slot = slot_of(check);
	if (!put_frame(s, frame,
		payload_frame(
		    frame, WIRE_OPEN, s->generation->config, w->site, &slot, NULL, s->token_key))) {
		check_free(check);
		return NULL;
	}
	check->job.token = slot.token;
	explicit_bzero(&slot, sizeof(slot)); /* see put_frame() */
	s->next_seq++;
	watch_dequeue(s, w);
	watch_advance(s, w);
	w->running = true;
	return check;
}

/* Nobody will run a check, which is in no list: its record is written here, as `aborted`. */
__attribute__((format(printf, 3, 4))) static void
owe(struct supervisor *s, struct check *check, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(check->why, sizeof(check->why), format, ap);
	va_end(ap);
	STAILQ_INSERT_TAIL(&s->owed, check, next);
}

void
owe_waiting(struct supervisor *s)
{
	struct check *check;

	while ((check = STAILQ_FIRST(&s->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->waiting, next);
		owe(s, check, "webmond was stopped before the check began");
	}
}

bool
pay_debts(struct supervisor *s)
{
	struct check *check;

	while ((check = STAILQ_FIRST(&s->owed)) != NULL) {
		struct wire_done done = { .error = ERROR_ABORTED,
			.http_status = RESULT_NONE,
			.elapsed_us = RESULT_NONE,
			.ended_us = util_mono_us() };
		struct slot slot = slot_of(check);
		unsigned char frame[WIRE_FRAME_MAX];
		struct result result;

		bool written;

		result_init(&result);
		result_fail(&result, ERROR_ABORTED, "%s", check->why);
		slot.token = check->job.token;
		written = put_frame(s, frame,
		    payload_frame(frame, WIRE_CLOSE, check->generation->config, check->site, &slot,
			&result, NULL));
		explicit_bzero(&slot, sizeof(slot));
		if (!written)
			return false;
		STAILQ_REMOVE_HEAD(&s->owed, next);
		snprintf(done.error_message, sizeof(done.error_message), "%s", check->why);
		watch_finished(s, check->watch, &done);
		check_free(check);
	}
	return true;
}

static void
find_oldest(const struct supervisor *s, const struct checks *checks, uint64_t *seq)
{
	const struct check *check;

	STAILQ_FOREACH(check, checks, next)
	if (check->job.seq < *seq && strcmp(check->job.epoch, s->epoch) == 0)
		*seq = check->job.seq;
}

bool
settle(struct supervisor *s)
{
	struct frame settled = {
		.type = WIRE_SETTLED, .seq = s->next_seq, .site = "", .instance = "", .payload = ""
	};
	unsigned char frame[WIRE_FRAME_MAX];

	find_oldest(s, &s->waiting, &settled.seq);
	find_oldest(s, &s->owed, &settled.seq);
	for (int i = 0; i < s->pool.count; i++)
		find_oldest(s, &s->pool.worker[i].child->checks, &settled.seq);
	if (settled.seq == s->settled_seq)
		return true;
	memcpy(settled.epoch, s->epoch, sizeof(settled.epoch));
	if (!put_frame(s, frame, wire_encode(frame, &settled)))
		return false;
	s->settled_seq = settled.seq;
	return true;
}

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

/*
 * After a reload: the check begins by the new configuration if what its OPEN says is still true.
 * Else nobody is left who could do it.
 */
static bool
follow_reload(struct supervisor *s, struct check *check)
{
	const struct watch *w = check->watch;
	struct slot slot = slot_of(check);
	char before[WIRE_PAYLOAD_MAX], after[WIRE_PAYLOAD_MAX];
	size_t size = payload_identity(before, check->generation->config, check->site, &slot);

	if (w->leaving != NULL ||
	    payload_identity(after, s->generation->config, w->site, &slot) != size ||
	    memcmp(before, after, size) != 0)
		return false;
	generation_release(check->generation);
	check->generation = s->generation;
	check->generation->users++;
	check->site = w->site;
	check->job.site = w->index;
	return true;
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

		if (check->generation != s->generation && !follow_reload(s, check)) {
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
	if (now >= s->next_settle_us && settle(s))
		s->next_settle_us = now + SETTLE_US;
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
