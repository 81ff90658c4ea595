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
#include <unistd.h>

#include "log.h"
#include "state.h"

/*
 * An honest checker writes its CLOSE before it reports the end of a check. This is how often the
 * publisher is told where a CLOSE that is still missing will never come.
 */
#define SETTLE_US US_PER_S

/* --- pipes ------------------------------------------------------------------------------- */

int
pipes_open(struct supervisor *s)
{
	util_random(s->pipes.token_key, sizeof(s->pipes.token_key));
	STAILQ_INIT(&s->waiting);
	STAILQ_INIT(&s->pending_closes);
	if (pipe_open(&s->pipes.own, PIPE_SIZE_OPEN) < 0)
		return -1;
	return pipe_open(&s->pipes.checkers, PIPE_SIZE);
}

void
pipes_close(struct supervisor *s)
{
	close(s->pipes.own.write_fd);
	close(s->pipes.checkers.write_fd);
	s->pipes.own.write_fd = s->pipes.checkers.write_fd = -1;
}

void
pipes_begin_turn(struct supervisor *s)
{
	s->pipes.own_full = false;
}

static void
note_own_full(struct supervisor *s, int64_t now)
{
	s->pipes.own_full = true;
	s->pipes.full_us = now;
}

bool
own_pipe_has_room(struct supervisor *s, int64_t now)
{
	bool room = pipe_wait_room(s->pipes.own.write_fd, 0);

	if (!room)
		note_own_full(s, now);
	return room;
}

bool
checkers_pipe_has_room(struct supervisor *s, int64_t now)
{
	bool room = pipe_wait_room(s->pipes.checkers.write_fd, 0);

	if (!room)
		s->pipes.full_us = now;
	return room;
}

void
epoch_begin(struct supervisor *s)
{
	char *name = s->epoch.name;
	time_t now = time(NULL);
	uint64_t random;
	struct tm tm;
	size_t n;

	util_random(&random, sizeof(random));
	gmtime_r(&now, &tm);
	n = strftime(name, sizeof(s->epoch.name), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(name + n, sizeof(s->epoch.name) - n, "-%016llx", (unsigned long long)random);
	s->epoch.next_seq = s->epoch.settled_seq = 0;
}

/* --- frames ------------------------------------------------------------------------------ */

/*
 * Write a frame, or note that the pipe is full. No copy of a token stays on the stack, because the
 * next checker is a copy of this process, see forget_tokens().
 */
static bool
write_frame(struct supervisor *s, unsigned char *frame, size_t size, int64_t now)
{
	int full = pipe_write(s->pipes.own.write_fd, frame, size);

	explicit_bzero(frame, size);
	if (full < 0)
		log_error("cannot write to the pipe of the supervisor: %s", strerror(errno));
	if (full != 0)
		note_own_full(s, now);
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
		.lateness_us = begun ? lateness_us : RESULT_NONE,
		.alone = check->job.alone,
		.ordinal = check->job.ordinal };
}

/* What the supervisor says of a check that has no result of a checker. */
static struct wire_done
done_without_result(enum error_type error, const char *message, int64_t now)
{
	struct wire_done done = { .error = error,
		.http_status = RESULT_NONE,
		.elapsed_us = RESULT_NONE,
		.busy_us = RESULT_NONE,
		.ended_us = now,
		.chain_expires_us = RESULT_NONE };

	for (int i = 0; i < PHASE_COUNT; i++)
		done.phase_us[i] = RESULT_NONE;
	snprintf(done.error_message, sizeof(done.error_message), "%s", message);
	return done;
}

bool
write_missed(struct supervisor *s, struct site_state *state, enum error_type error,
    const char *message, int64_t now)
{
	struct slot slot = { .epoch = s->epoch.name,
		.seq = s->epoch.next_seq,
		.slot_us = state->timer.slot_us,
		.interval_us = state->interval_us,
		.lateness_us = RESULT_NONE,
		.alone = shards_alone(s),
		.ordinal = site_next_ordinal(s, state) };
	struct wire_done done = done_without_result(error, message, now);
	unsigned char frame[WIRE_FRAME_MAX];
	struct result result;
	size_t size;

	if (!shards_lease_holds(s))
		return false;
	result_init(&result);
	result_fail(&result, error, "%s", message);
	size = payload_frame(
	    frame, WIRE_SINGLE, s->config, state->site, &slot, &result, s->pipes.token_key);
	if (!write_frame(s, frame, size, now))
		return false;
	s->epoch.next_seq++;
	s->epoch.missed_takeover += error == ERROR_MISSED_TAKEOVER;
	site_note(s, state, &done, now);
	site_remember(s, state, slot.slot_us, RESULT_NONE, &done, now);
	return true;
}

struct check *
open_check(struct supervisor *s, struct site_state *state, int64_t now)
{
	unsigned char frame[WIRE_FRAME_MAX];
	struct check *check;
	struct slot slot;
	size_t size;

	if (!shards_lease_holds(s))
		return NULL;
	check = xcalloc(1, sizeof(*check));
	*check = (struct check){ .state = state,
		.site = state->site,
		.config = config_hold(s->config),
		.job = { .site = state->index,
		    .seq = s->epoch.next_seq,
		    .slot_us = state->timer.slot_us,
		    .interval_us = state->interval_us,
		    .due_us = state->timer.due_us,
		    .lease_us = s->shards.lease.until_us,
		    .alone = shards_alone(s),
		    .ordinal = site_next_ordinal(s, state) },
		.expected_us = state->expected_us,
		.begun_us = RESULT_NONE };
	memcpy(check->job.epoch, s->epoch.name, sizeof(check->job.epoch));
	slot = slot_of(check);
	size = payload_frame(
	    frame, WIRE_OPEN, s->config, state->site, &slot, NULL, s->pipes.token_key);
	if (!write_frame(s, frame, size, now)) {
		check_free(check);
		return NULL;
	}
	check->job.token = slot.token;
	explicit_bzero(&slot, sizeof(slot)); /* see write_frame() */
	s->epoch.next_seq++;
	site_begin(s, state);
	return check;
}

bool
flush_pending_closes(struct supervisor *s, int64_t now)
{
	struct check *check;

	while ((check = STAILQ_FIRST(&s->pending_closes)) != NULL) {
		struct wire_done done = done_without_result(ERROR_ABORTED, check->why, now);
		struct slot slot = slot_of(check);
		const int64_t lateness_us = slot.lateness_us;
		unsigned char frame[WIRE_FRAME_MAX];
		struct result result;
		size_t size;

		result_init(&result);
		result_fail(&result, ERROR_ABORTED, "%s", check->why);
		slot.token = check->job.token;
		size = payload_frame(
		    frame, WIRE_CLOSE, check->config, check->site, &slot, &result, NULL);
		explicit_bzero(&slot, sizeof(slot));
		if (!write_frame(s, frame, size, now))
			return false;
		STAILQ_REMOVE_HEAD(&s->pending_closes, next);
		site_finished(s, check->state, &done, now);
		site_remember(s, check->state, slot.slot_us, lateness_us, &done, now);
		check_free(check);
	}
	return true;
}

static void
find_oldest(const struct supervisor *s, const struct checks *checks, uint64_t *seq)
{
	const struct check *check;

	STAILQ_FOREACH (check, checks, next)
		if (check->job.seq < *seq && strcmp(check->job.epoch, s->epoch.name) == 0)
			*seq = check->job.seq;
}

bool
settle(struct supervisor *s, int64_t now)
{
	struct frame settled = { .type = WIRE_SETTLED,
		.seq = s->epoch.next_seq,
		.site = "",
		.instance = "",
		.payload = "" };
	unsigned char frame[WIRE_FRAME_MAX];

	find_oldest(s, &s->waiting, &settled.seq);
	find_oldest(s, &s->pending_closes, &settled.seq);
	for (int i = 0; i < s->pool.count; i++)
		find_oldest(s, &s->pool.worker[i].checker->checks, &settled.seq);
	if (settled.seq != s->epoch.settled_seq) {
		memcpy(settled.epoch, s->epoch.name, sizeof(settled.epoch));
		if (!write_frame(s, frame, wire_encode(frame, &settled), now))
			return false;
		s->epoch.settled_seq = settled.seq;
	}
	s->epoch.next_settle_us = now + SETTLE_US;
	return true;
}

/* --- checks without a checker ------------------------------------------------------------ */

void
check_free(struct check *check)
{
	config_release(check->config);
	explicit_bzero(&check->job, sizeof(check->job)); /* see forget_tokens() */
	free(check);
}

void
wait_first(struct supervisor *s, struct check *check)
{
	STAILQ_INSERT_HEAD(&s->waiting, check, next);
}

void
wait_last(struct supervisor *s, struct check *check)
{
	check->begun_us = RESULT_NONE;
	check->unread = false;
	STAILQ_INSERT_TAIL(&s->waiting, check, next);
}

struct check *
take_waiting(struct supervisor *s)
{
	struct check *check = STAILQ_FIRST(&s->waiting);

	STAILQ_REMOVE_HEAD(&s->waiting, next);
	return check;
}

void
add_pending_close(struct supervisor *s, struct check *check)
{
	STAILQ_INSERT_TAIL(&s->pending_closes, check, next);
}

void
abandon_check(struct supervisor *s, struct check *check, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(check->why, sizeof(check->why), format, ap);
	va_end(ap);
	add_pending_close(s, check);
}

void
abandon_waiting(struct supervisor *s)
{
	while (!STAILQ_EMPTY(&s->waiting))
		abandon_check(s, take_waiting(s), "webmond was stopped before the check began");
}

bool
follow_reload(struct supervisor *s, struct check *check)
{
	const struct site_state *state = check->state;
	struct slot slot = slot_of(check);
	char before[WIRE_PAYLOAD_MAX], after[WIRE_PAYLOAD_MAX];
	size_t size;

	if (check->config == s->config)
		return true;
	size = payload_identity(before, check->config, check->site, &slot);
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

/* --- tokens ------------------------------------------------------------------------------ */

static void
forget_tokens_of(struct checks *checks)
{
	for (struct check *c = STAILQ_FIRST(checks); c != NULL; c = STAILQ_NEXT(c, next))
		explicit_bzero(&c->job, sizeof(c->job));
}

/* What returned functions left on the stack; those that make frames need 16 KB. */
__attribute__((noinline)) static void
wipe_stack(void)
{
	unsigned char below[64 * 1024];

	explicit_bzero(below, sizeof(below));
}

void
forget_tokens(struct supervisor *s)
{
	wipe_stack();
	explicit_bzero(s->pipes.token_key, sizeof(s->pipes.token_key));
	forget_tokens_of(&s->waiting);
	forget_tokens_of(&s->pending_closes);
	for (int i = 0; i < s->pool.count; i++)
		forget_tokens_of(&s->pool.worker[i].checker->checks);
}
