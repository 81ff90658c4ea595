/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What is due: OPEN and dispatch, or the record of a slot that never runs. Nothing is fatal; a full
 * pipe means later.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"
#include "pipe.h"
#include "supervise.h"

/* Checkers started at once when the pool grows: forks must not delay the slots of others. */
#define GROW_AT_ONCE 4

/* --- frames ------------------------------------------------------------------------------ */

/* Write a frame or note that the pipe is full. */
static bool
put_frame(struct supervisor *s, const unsigned char *frame, size_t size)
{
	int full = pipe_write(s->pipe_write, frame, size);

	if (full < 0)
		log_error("cannot write to the results pipe: %s", strerror(errno));
	s->pipe_full = full != 0;
	if (s->pipe_full)
		s->pipe_full_us = util_mono_us();
	return full == 0;
}

/* A slot of `w` that never runs, as one frame. */
static bool
put_whole(struct supervisor *s, struct watch *w, const struct slot *times, enum error_type error,
    const char *message)
{
	struct slot slot = *times;
	unsigned char frame[WIRE_FRAME_MAX];
	struct wire_done done = {
		.error = error, .http_status = RESULT_NONE, .elapsed_us = RESULT_NONE
	};
	struct result result;

	slot.epoch = s->epoch;
	slot.seq = s->next_seq;
	result_init(&result);
	result_fail(&result, error, "%s", message);
	if (!put_frame(s, frame,
		payload_frame(frame, WIRE_WHOLE, s->generation->config, w->site, &slot, &result)))
		return false;
	s->next_seq++;
	snprintf(done.error_message, sizeof(done.error_message), "%s", message);
	watch_note(s, w, &done);
	return true;
}

/* Write the record that a checker could not. */
static bool
pay_debt(struct supervisor *s, struct worker *worker, int64_t now)
{
	struct child *c = worker->child;
	struct watch *w = c->watch;
	struct wire_done done = {
		.error = ERROR_ABORTED, .http_status = RESULT_NONE, .elapsed_us = RESULT_NONE
	};
	unsigned char frame[WIRE_FRAME_MAX];
	struct result result;

	result_init(&result);
	result_fail(&result, ERROR_ABORTED, "%s", c->why);
	if (!put_frame(s, frame,
		payload_frame(
		    frame, WIRE_CLOSE, c->generation->config, c->site, &c->slot, &result)))
		return false;
	snprintf(done.error_message, sizeof(done.error_message), "%s", c->why);
	watch_finished(s, w, &done); /* first: the site may belong to the worker's generation */
	release_worker(s, worker, now);
	return true;
}

bool
pay_debts(struct supervisor *s, int64_t now)
{
	for (int i = 0; i < s->pool.count && s->pool.owing > 0; i++)
		if (s->pool.worker[i].state == WORKER_OWING &&
		    !pay_debt(s, &s->pool.worker[i], now))
			return false;
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

bool
record_missed(struct supervisor *s, struct watch *w, int64_t now)
{
	char message[128];
	enum error_type error;

	while (w->timer.due_us <= now && (w->leaving == NULL || w->timer.due_us <= w->jump_us) &&
	       (error = why_missed(s, w, now, message, sizeof(message))) != ERROR_NONE) {
		struct slot slot = { .slot_us = w->timer.slot_us,
			.started_us = RESULT_NONE,
			.lateness_us = RESULT_NONE };
		int64_t turn_us = w->timer.turn_us;

		if (!put_whole(s, w, &slot, error, message))
			return false;
		watch_advance(s, w);
		if (error == ERROR_MISSED_OVERLOAD && w->timer.due_us <= now)
			w->timer.turn_us = turn_us; /* who lost a slot by waiting keeps its place */
	}
	return true;
}

/* --- checks ------------------------------------------------------------------------------ */

/* OPEN first, then the job: a slot that was announced gets its record whatever happens next. */
static bool
start_check(struct supervisor *s, struct watch *w, struct worker *worker, int64_t now)
{
	struct child *c = worker->child;
	unsigned char frame[WIRE_FRAME_MAX];
	struct wire_job job = { .site = w->index,
		.seq = s->next_seq,
		.slot_us = w->timer.slot_us,
		.due_us = w->timer.due_us };

	memcpy(c->epoch, s->epoch, sizeof(c->epoch));
	memcpy(job.epoch, s->epoch, sizeof(job.epoch));
	c->slot = (struct slot){ .epoch = c->epoch,
		.seq = job.seq,
		.slot_us = job.slot_us,
		.started_us = job.slot_us + now - job.due_us,
		.lateness_us = now - job.due_us };
	if (!put_frame(s, frame,
		payload_frame(frame, WIRE_OPEN, s->generation->config, w->site, &c->slot, NULL)))
		return false;
	s->next_seq++;
	watch_dequeue(s, w);
	watch_advance(s, w);
	w->running = true;
	c->watch = w;
	c->site = w->site;
	c->why[0] = '\0';
	pool_assign(&s->pool, worker, w->slow, now, w->site->timeout_us + WATCHDOG_GRACE_US);
	/* if it died a moment ago the send fails, and waitpid() will tell */
	if (send(c->fd, &job, sizeof(job), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("checker %d does not take work: %s", worker->index + 1, strerror(errno));
	return true;
}

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

/* Nobody is idle: more checkers, if that lasts. Returns when to look again. */
static int64_t
grow_pool(struct supervisor *s, const struct watch *w, int64_t now)
{
	int64_t when = pool_grow_us(&s->pool, w->timer.due_us);
	struct worker *worker = NULL;

	if (now < when)
		return when;
	if (now < w->timer.due_us + POOL_GROW_BUSY_US && util_processors_busy())
		return now + POOL_GROW_STALLED_US; /* look again */
	while (s->pool.starting < GROW_AT_ONCE && (worker = pool_grow(&s->pool, worker)) != NULL)
		start_checker(s, worker, now);
	return INT64_MAX;
}

int64_t
dispatch(struct supervisor *s, int64_t now)
{
	bool without_slow = false;
	int64_t wake = INT64_MAX;
	struct watch *w;

	s->pipe_full = false;
	if (!pay_debts(s, now))
		return INT64_MAX;
	while ((w = first_due(s, without_slow, now)) != NULL) {
		struct worker *worker;
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
			without_slow = true;
			continue;
		}
		worker = pool_choose(&s->pool, w->home);
		if (worker == NULL)
			return grow_pool(s, w, now);
		if (now < w->timer.due_us + POOL_HOME_US && pool_wait_home(&s->pool, w->home, now))
			return w->timer.due_us + POOL_HOME_US;
		if (!start_check(s, w, worker, now))
			return INT64_MAX;
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
