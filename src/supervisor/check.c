/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Checks and their frames: what the supervisor writes to its pipe. Nothing is fatal; a full pipe
 * means later.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "state.h"

/*
 * A checker that is honest writes its CLOSE before it says that it is done. What another one leaves
 * out is found so soon.
 */
#define SETTLE_US US_PER_S

/* --- epoch ------------------------------------------------------------------------------- */

void
begin_epoch(struct supervisor *s)
{
	time_t now = time(NULL);
	uint64_t random;
	struct tm tm;
	size_t n;

	util_random(&random, sizeof(random));
	gmtime_r(&now, &tm);
	n = strftime(s->epoch, sizeof(s->epoch), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(s->epoch + n, sizeof(s->epoch) - n, "-%016llx", (unsigned long long)random);
	s->next_seq = s->settled_seq = 0;
	s->epoch_stored = false;
}

/* --- frames ------------------------------------------------------------------------------ */

/* Look again when it has room. */
void
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
bool
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
		payload_frame(frame, WIRE_WHOLE, s->config, w->site, &slot, &result, s->token_key)))
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
	config_release(check->config);
	explicit_bzero(&check->job, sizeof(check->job)); /* see forget_tokens() */
	free(check);
}

/* The slot that comes next for `w`, with its OPEN in the pipe; NULL if that is full. */
struct check *
open_check(struct supervisor *s, struct watch *w)
{
	struct check *check = xcalloc(1, sizeof(*check));
	unsigned char frame[WIRE_FRAME_MAX];
	struct slot slot;

	*check = (struct check){ .watch = w,
		.site = w->site,
		.config = config_hold(s->config),
		.job = { .site = w->index,
		    .seq = s->next_seq,
		    .slot_us = w->timer.slot_us,
		    .interval_us = w->interval_us,
		    .due_us = w->timer.due_us },
		.expected_us = w->expected_us,
		.begun_us = RESULT_NONE };
	memcpy(check->job.epoch, s->epoch, sizeof(check->job.epoch));
	slot = slot_of(check);
	if (!put_frame(s, frame,
		payload_frame(frame, WIRE_OPEN, s->config, w->site, &slot, NULL, s->token_key))) {
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
void
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
		    payload_frame(
			frame, WIRE_CLOSE, check->config, check->site, &slot, &result, NULL));
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
	if (settled.seq != s->settled_seq) {
		memcpy(settled.epoch, s->epoch, sizeof(settled.epoch));
		if (!put_frame(s, frame, wire_encode(frame, &settled)))
			return false;
		s->settled_seq = settled.seq;
	}
	s->next_settle_us = util_mono_us() + SETTLE_US;
	return true;
}

/*
 * After a reload: the check begins by the new configuration if what its OPEN says is still true.
 * Else nobody is left who could do it.
 */
bool
follow_reload(struct supervisor *s, struct check *check)
{
	const struct watch *w = check->watch;
	struct slot slot = slot_of(check);
	char before[WIRE_PAYLOAD_MAX], after[WIRE_PAYLOAD_MAX];
	size_t size = payload_identity(before, check->config, check->site, &slot);

	if (w->leaving != NULL || payload_identity(after, s->config, w->site, &slot) != size ||
	    memcmp(before, after, size) != 0)
		return false;
	config_release(check->config);
	check->config = config_hold(s->config);
	check->site = w->site;
	check->job.site = w->index;
	return true;
}
