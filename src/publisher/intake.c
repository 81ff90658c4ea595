/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What supervisor and checkers write, as changes of the spool. Called by the publisher. Damaged
 * bytes and what a checker must not write are skipped and logged once; nothing is fatal here.
 */
#include "intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "util.h"
#include "wire.h"

/* A slot ends. */
struct slot_end {
	struct frame frame;
	bool by_checker;
};

int
intake_init(struct intake *in, int supervisor_fd, int checkers_fd, const char *epoch,
    const unsigned char *token_key)
{
	*in = (struct intake){ .epoch = epoch, .token_key = token_key };
	in->pipes[FROM_SUPERVISOR].fd = supervisor_fd;
	in->pipes[FROM_CHECKERS].fd = checkers_fd;
	for (int i = 0; i < INTAKE_PIPES; i++) {
		in->pipes[i].peek = pipe_peek_new(in->pipes[i].fd);
		if (in->pipes[i].peek == NULL) {
			log_error("cannot look into the pipes: %s", strerror(errno));
			return -1;
		}
	}
	return 0;
}

/* --- reading ----------------------------------------------------------------------------- */

static int
cannot_read(void)
{
	log_error("cannot read what supervisor and checkers write: %s", strerror(errno));
	return -1;
}

int
intake_peek(struct intake *in)
{
	in->ready = false;
	/* the supervisor's first, see intake_apply() */
	for (int i = 0; i < INTAKE_PIPES; i++)
		if (pipe_peek_read(in->pipes[i].peek, &in->pipes[i].view) < 0)
			return cannot_read();
	return 0;
}

void
intake_skip(struct intake *in)
{
	for (int i = 0; i < INTAKE_PIPES; i++)
		in->pipes[i].used = 0;
}

int
intake_consume(struct intake *in)
{
	in->taken += in->pipes[FROM_CHECKERS].used;
	for (int i = 0; i < INTAKE_PIPES; i++)
		if (pipe_peek_consume(in->pipes[i].peek, in->pipes[i].used) < 0)
			return cannot_read();
	/* more will come: no need to be woken by the first of it */
	in->ready = intake_has_frames(in);
	return 0;
}

bool
intake_has_frames(const struct intake *in)
{
	return in->pipes[FROM_SUPERVISOR].view.size + in->pipes[FROM_CHECKERS].view.size > 0;
}

bool
intake_is_busy(const struct intake *in)
{
	return in->pipes[FROM_SUPERVISOR].view.size > PIPE_SIZE_OPEN / 4 ||
	       in->pipes[FROM_CHECKERS].view.size > PIPE_SIZE / 4;
}

bool
intake_has_ended(const struct intake *in)
{
	return in->pipes[FROM_SUPERVISOR].view.eof && in->pipes[FROM_CHECKERS].view.eof;
}

void
intake_polls(const struct intake *in, struct pollfd polls[INTAKE_PIPES])
{
	for (int i = 0; i < INTAKE_PIPES; i++)
		polls[i] = (struct pollfd){
			.fd = in->ready || in->pipes[i].view.eof ? -1 : in->pipes[i].fd,
			.events = POLLIN,
		};
}

/* --- frames ------------------------------------------------------------------------------ */

static void
log_refusal(struct intake *in, const char *what)
{
	if (!in->refusal_logged)
		log_error(
		    "a checker %s: this and all like it are refused; an attacker may have taken it over",
		    what);
	in->refusal_logged = true;
}

/* Decode the next frame of a pipe; damaged bytes are skipped. False: there is no other. */
static bool
next_frame(struct intake *in, enum intake_writer writer, struct frame *frame,
    const unsigned char **raw, size_t *size)
{
	struct intake_pipe *pipe = &in->pipes[writer];

	while (pipe->used < pipe->view.size) {
		ssize_t n;

		*raw = pipe->view.data + pipe->used;
		n = wire_decode(*raw, pipe->view.size - pipe->used, frame);
		if (n > 0) {
			pipe->used += (size_t)n;
			*size = (size_t)n;
			return true;
		}
		if (!in->damage_logged)
			log_error(
			    "damaged bytes in the pipe of the %s: skipped; please report this",
			    writer == FROM_CHECKERS ? "checkers" : "supervisor");
		in->damage_logged = true;
		pipe->used += wire_resync(*raw, pipe->view.size - pipe->used);
	}
	return false;
}

static void
add_end(struct intake *in, const struct frame *frame, bool by_checker)
{
	if (in->end_count == in->end_room) {
		in->end_room = 2 * in->end_room + 64;
		in->ends = xreallocarray(in->ends, in->end_room, sizeof(*in->ends));
	}
	in->ends[in->end_count++] = (struct slot_end){ *frame, by_checker };
}

/* Begin the slots that the supervisor announces; collect those that it ends. */
static enum spool_status
begin_slots(struct intake *in, struct spool *spool)
{
	enum spool_status status = SPOOL_OK;
	struct frame frame;
	const unsigned char *raw;
	size_t size;

	while (status == SPOOL_OK && next_frame(in, FROM_SUPERVISOR, &frame, &raw, &size)) {
		if (frame.type == WIRE_SETTLED) {
			if (strcmp(frame.epoch, in->epoch) == 0)
				in->settled = frame.seq;
			continue;
		}
		if (frame.type != WIRE_CLOSE)
			status = spool_begin_slot(spool, &frame, raw, size);
		if (frame.type != WIRE_OPEN)
			add_end(in, &frame, false);
	}
	return status;
}

/*
 * Collect the ends that checkers write, if they have the token of the slot. All else is refused
 * before it reaches the spool, so that a flood costs little.
 *
 * If a slot began after the look into the supervisor's pipe, its end has to wait for the next look.
 * Then nothing of the checkers' pipe is consumed; what was applied comes again, without harm. A
 * checker cannot make this go on for ever: each time takes a job that was sent between two looks.
 * Returns whether it is so.
 */
static bool
collect_ends(struct intake *in, const struct spool *spool)
{
	struct frame frame;
	const unsigned char *raw;
	bool early = false;
	size_t size;

	while (next_frame(in, FROM_CHECKERS, &frame, &raw, &size)) {
		if (frame.type != WIRE_CLOSE)
			log_refusal(in, "wrote what only the supervisor may");
		else if (frame.token != wire_token(in->token_key, &frame))
			log_refusal(in, "wants to end a slot that is not its own");
		else if (spool_is_ahead(spool, &frame))
			early = true;
		else
			add_end(in, &frame, true);
	}
	if (early)
		in->pipes[FROM_CHECKERS].used = 0;
	return early;
}

/*
 * The records of a site are in the order of its slots, and so of seq. Of two ends of one slot the
 * checker's comes first, and thereby counts.
 */
static int
compare_ends(const void *a, const void *b)
{
	const struct slot_end *x = a, *y = b;
	int epochs = strcmp(x->frame.epoch, y->frame.epoch);

	if (epochs != 0)
		return epochs;
	if (x->frame.seq != y->frame.seq)
		return x->frame.seq < y->frame.seq ? -1 : 1;
	return y->by_checker - x->by_checker;
}

/* Whether a checker has ended a later slot of the same site, among the ends from `first` on. */
static bool
is_followed(const struct intake *in, size_t first, const struct frame *frame)
{
	for (size_t i = first; i < in->end_count; i++) {
		const struct wire_ordinal *later = &in->ends[i].frame.ordinal;

		if (later->site == frame->ordinal.site && later->slot > frame->ordinal.slot)
			return true;
	}
	return false;
}

/*
 * Leave the first `count` ends, those of the supervisor, to the next transaction. But what a
 * checker has ended later must not come before them; and if we see that, we have seen what was
 * written before.
 */
static void
postpone_ends(struct intake *in, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < in->end_count; i++)
		if (i >= count || is_followed(in, count, &in->ends[i].frame))
			in->ends[kept++] = in->ends[i];
	in->end_count = kept;
	in->pipes[FROM_SUPERVISOR].used = 0;
}

/*
 * The supervisor ends a slot itself, or begins the next one of the site, when it knows that the
 * check is over: then the checker's end was written before. As the supervisor's pipe was looked at
 * first, that end has been seen now or earlier, unless the look into the checkers' pipe was not
 * complete. Then the ends of the supervisor wait until it is.
 */
enum spool_status
intake_apply(struct intake *in, struct spool *spool)
{
	const bool complete = in->pipes[FROM_CHECKERS].view.complete;
	enum spool_status status;
	size_t count;
	bool early;

	intake_skip(in);
	in->end_count = 0;
	status = begin_slots(in, spool);
	if (status != SPOOL_OK)
		return status;
	count = in->end_count;
	early = collect_ends(in, spool);
	/* one of the two pipes must be emptied, if not now then after the next look */
	if (!complete && (!early || in->pipes[FROM_SUPERVISOR].view.complete))
		postpone_ends(in, count);
	if (in->end_count > 0) /* else there may be no array yet */
		qsort(in->ends, in->end_count, sizeof(*in->ends), compare_ends);
	for (size_t i = 0; i < in->end_count && status == SPOOL_OK; i++)
		status = spool_end_slot(spool, &in->ends[i].frame);
	if (status == SPOOL_OK && in->settled > 0 && !early && complete) {
		status = spool_settle(spool, in->settled);
		in->settled = 0;
	}
	return status;
}
