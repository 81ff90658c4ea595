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

/* * An honest checker writes its CLOSE before it reports the end of a check. This is how often the
 * publisher is told where a CLOSE that is still missing will never come.
 */
#define SETTLE_US US_PER_S

/* --- epoch ------------------------------------------------------------------------------- */

void
epoch_begin(struct supervisor *s)
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

void
pipe_is_full(struct supervisor *s)
{
	s->own_full = true;
	s->pipe_full_us = util_mono_us();
}

/* * Write a frame, or note that the pipe is full. No copy of a token stays on the stack, because the
 * next checker is a copy of this process, see forget_tokens().
 */
static bool
write_frame(struct supervisor *s, unsigned char *frame, size_t size)
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

bool
write_missed(
    struct supervisor *s, struct site_state *state, enum error_type error, const char *message)
{
	struct slot slot = { .epoch = s->epoch,
		.seq = s->next_seq,
		.slot_us = state->timer.slot_us,
		.interval_us = state->interval_us,
		.lateness_us = RESULT_NONE };
	unsigned char frame[WIRE_FRAME_MAX];
	struct wire_done done = {
		.error = error, .http_status = RESULT_NONE, .elapsed_us = RESULT_NONE
	};
	struct result result;

	result_init(&result);
	result_fail(&result, error, "%s", message);
	if (!write_frame(s, frame,
		payload_frame(
		    frame, WIRE_WHOLE, s->config, state->site, &slot, &result, s->token_key)))
		return false;
	s->next_seq++;
	snprintf(done.error_message, sizeof(done.error_message), "%s", message);
	site_note(s, state, &done);
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

struct check *
open_check(struct supervisor *s, struct site_state *state)
{
	struct check *check = xcalloc(1, sizeof(*check));
	unsigned char frame[WIRE_FRAME_MAX];
	struct slot slot;

	*check = (struct check){ .state = state,
		.site = state->site,
		.config = config_hold(s->config),
		.job = { .site = state->index,
		    .seq = s->next_seq,
		    .slot_us = state->timer.slot_us,
		    .interval_us = state->interval_us,
		    .due_us = state->timer.due_us },
		.expected_us = state->expected_us,
		.begun_us = RESULT_NONE };
	memcpy(check->job.epoch, s->epoch, sizeof(check->job.epoch));
	slot = slot_of(check);
	if (!write_frame(s, frame,
		payload_frame(
		    frame, WIRE_OPEN, s->config, state->site, &slot, NULL, s->token_key))) {
		check_free(check);
		return NULL;
	}
	check->job.token = slot.token;
	explicit_bzero(&slot, sizeof(slot)); /* see write_frame() */
	s->next_seq++;
	site_dequeue(s, state);
	site_advance(s, state);
	state->running = true;
	return check;
}

void
abandon_check(struct supervisor *s, struct check *check, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(check->why, sizeof(check->why), format, ap);
	va_end(ap);
	STAILQ_INSERT_TAIL(&s->pending_closes, check, next);
}

void
abandon_waiting(struct supervisor *s)
{
	struct check *check;

	while ((check = STAILQ_FIRST(&s->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->waiting, next);
		abandon_check(s, check, "webmond was stopped before the check began");
	}
}

bool
flush_pending_closes(struct supervisor *s)
{
	struct check *check;

	while ((check = STAILQ_FIRST(&s->pending_closes)) != NULL) {
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
		written = write_frame(s, frame,
		    payload_frame(
			frame, WIRE_CLOSE, check->config, check->site, &slot, &result, NULL));
		explicit_bzero(&slot, sizeof(slot));
		if (!written)
			return false;
		STAILQ_REMOVE_HEAD(&s->pending_closes, next);
		snprintf(done.error_message, sizeof(done.error_message), "%s", check->why);
		site_finished(s, check->state, &done);
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
	find_oldest(s, &s->pending_closes, &settled.seq);
	for (int i = 0; i < s->pool.count; i++)
		find_oldest(s, &s->pool.worker[i].child->checks, &settled.seq);
	if (settled.seq != s->settled_seq) {
		memcpy(settled.epoch, s->epoch, sizeof(settled.epoch));
		if (!write_frame(s, frame, wire_encode(frame, &settled)))
			return false;
		s->settled_seq = settled.seq;
	}
	s->next_settle_us = util_mono_us() + SETTLE_US;
	return true;
}

bool
follow_reload(struct supervisor *s, struct check *check)
{
	const struct site_state *state = check->state;
	struct slot slot = slot_of(check);
	char before[WIRE_PAYLOAD_MAX], after[WIRE_PAYLOAD_MAX];
	size_t size = payload_identity(before, check->config, check->site, &slot);

	if (state->removed != NULL ||
	    payload_identity(after, s->config, state->site, &slot) != size ||
	    memcmp(before, after, size) != 0)
		return false;
	config_release(check->config);
	check->config = config_hold(s->config);
	check->site = state->site;
	check->job.site = state->index;
	return true;
}
