/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The publisher: peek the pipe, one transaction, consume, have the sender send what is ready.
 * Records leave the pipe only after they are committed and the spool only after Kafka has confirmed
 * them. It ends at the end of the pipe, so signals of the terminal and of the init system do not
 * disturb it.
 */
#include "publisher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "pipe.h"
#include "sender.h"
#include "spool.h"
#include "wire.h"

/*
 * Frames gather so long before a transaction: a COMMIT costs 58 µs for one record and 3 µs each
 * for a hundred. A busy pipe is emptied sooner.
 */
#define GATHER_US      (100 * US_PER_MS)
#define GATHER_BUSY_US (10 * US_PER_MS)
#define BUSY_FRAMES    256

#define DELETE_AFTER_US (500 * US_PER_MS) /* delivered rows go so soon when no frames come */
#define REPORT_US       (US_PER_S)
#define FLUSH_STOP_US   (5 * US_PER_S)
#define FLUSH_RELOAD_US (1 * US_PER_S)
#define ORPHAN_WAIT_US  (2 * US_PER_S)
#define SHRINK_US       (5 * US_PER_S) /* how often free pages are looked for */

/*
 * librdkafka 2.0 waits whole milliseconds and spins for the rest of the last one, a millisecond
 * each second: let its waits, and ours, end so much later.
 */
#define TIMER_SLACK_NS 1000000

/* Records sent and not confirmed; what a crash may repeat. Small spools have a smaller one. */
#define WINDOW_MAX 8192

struct publisher {
	const struct publisher_start *start;
	struct spool *spool;
	struct pipe_peek *peek;
	struct sender out;

	bool pipe_ready, pipe_eof;
	int64_t next_tick_us, tick_delay_us;
	int64_t orphaned_us; /* since when the supervisor is gone; 0: it is there */
	bool no_flush;
	int64_t leave_us; /* 0: there is more to come; else when to leave at the latest */
	bool damage_said;
	int64_t next_report_us, next_shrink_us;
	int exit_code; /* -1: go on */
};

/* The end, unless the spool will work again. */
static void
lost(struct publisher *p, enum spool_status status)
{
	if (status == SPOOL_LOST)
		p->exit_code = EXIT_SPOOL_LOST;
	else if (status == SPOOL_FAILED)
		p->exit_code = EXIT_CANNOT_CREATE;
}

/* --- the tick: one transaction ----------------------------------------------------------- */

/* Apply the frames of `data`; `*used` is what they and skipped bytes take. */
static enum spool_status
apply_frames(
    struct publisher *p, const unsigned char *data, size_t size, size_t *used, unsigned *frames)
{
	enum spool_status status = SPOOL_OK;

	*used = 0;
	*frames = 0;
	while (*used < size && status == SPOOL_OK) {
		struct frame frame;
		ssize_t n = wire_decode(data + *used, size - *used, &frame);

		if (n < 0) {
			if (!p->damage_said)
				log_error("damaged bytes in the results pipe; please report this");
			p->damage_said = true;
			*used += wire_resync(data + *used, size - *used);
			continue;
		}
		status = spool_apply(p->spool, &frame, data + *used, (size_t)n);
		*used += (size_t)n;
		++*frames;
	}
	return status;
}

static enum spool_status
transact(struct publisher *p, const unsigned char *data, size_t size, size_t *used,
    unsigned *frames, uint64_t *deleted)
{
	enum spool_status status = spool_begin(p->spool);

	if (status == SPOOL_OK)
		status = apply_frames(p, data, size, used, frames);
	if (status == SPOOL_OK)
		status = sender_delete(&p->out, deleted);
	if (status == SPOOL_OK)
		status = spool_commit(p->spool);
	return status;
}

/* Peek, commit, consume. Whatever fails, nothing is consumed that was not committed. */
static void
tick(struct publisher *p)
{
	const unsigned char *data;
	size_t used = 0;
	unsigned frames = 0;
	uint64_t deleted;
	enum spool_status status;
	ssize_t size = pipe_peek_read(p->peek, &data, &p->pipe_eof);

	p->pipe_ready = false;
	if (size < 0) {
		log_error("cannot read the results pipe: %s", strerror(errno));
		p->exit_code = EXIT_OS;
		return;
	}
	if (size == 0 && p->out.to_delete == 0)
		return;
	status = transact(p, data, (size_t)size, &used, &frames, &deleted);
	if (status == SPOOL_RETRY && size > 0 && p->out.to_delete > 0)
		/* no room for new records: what was delivered must go all the same, to make some */
		status = transact(p, data, 0, &used, &frames, &deleted);
	if (status != SPOOL_OK) {
		lost(p, status);
		/* the frames stay in the pipe, whoever writes waits; try again in a while */
		p->tick_delay_us = p->tick_delay_us < US_PER_S ? US_PER_S : p->tick_delay_us;
		p->next_tick_us = util_mono_us() + p->tick_delay_us;
		return;
	}
	sender_forget(&p->out, deleted);
	if (pipe_peek_consume(p->peek, used) < 0) {
		log_error("cannot read the results pipe: %s", strerror(errno));
		p->exit_code = EXIT_OS;
	}
	p->pipe_ready = frames > 0; /* more will come: no need to be woken by the first */
	p->tick_delay_us = frames > BUSY_FRAMES ? GATHER_BUSY_US : GATHER_US;
	p->next_tick_us = util_mono_us() + p->tick_delay_us;
}

/* --- the loop ---------------------------------------------------------------------------- */

static void
tell_supervisor(struct publisher *p, int64_t now)
{
	struct wire_report report = { .ready = true,
		.delivering = sender_is_delivering(&p->out),
		.queued = spool_count(p->spool),
		.delivered = p->out.delivered,
		.dead = spool_buried(p->spool) };

	if (p->orphaned_us != 0 || now < p->next_report_us)
		return;
	/* also when there is nothing new: the supervisor sees that we are alive */
	p->next_report_us = now + REPORT_US;
	if (send(p->start->control_fd, &report, sizeof(report), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("the supervisor does not listen: %s", strerror(errno));
}

static void
obey(struct publisher *p)
{
	enum wire_order order;
	ssize_t n;

	while ((n = recv(p->start->control_fd, &order, sizeof(order), MSG_DONTWAIT)) > 0) {
		p->out.handing_over |= order == WIRE_HAND_OVER;
		p->no_flush |= order == WIRE_NO_FLUSH;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		/* the supervisor is dead, and nobody can take over: take what its checkers still
		 * write, and leave */
		p->orphaned_us = util_mono_us();
		p->out.handing_over = false;
		p->no_flush = true;
	}
}

/* Whether the pipe may be looked at: a reader of standard output that is slow holds all up. */
static bool
may_take_more(const struct publisher *p)
{
	return p->start->output == PUBLISH_TO_KAFKA || spool_count(p->spool) < p->out.window_size;
}

/* When the next transaction is due; INT64_MAX: there is nothing for it to do. */
static int64_t
tick_due_us(const struct publisher *p)
{
	if (p->tick_delay_us < US_PER_S && sender_wants_deletion(&p->out))
		return 0;
	if (p->pipe_ready && may_take_more(p))
		return p->next_tick_us;
	return p->out.to_delete > 0 ? p->next_tick_us + DELETE_AFTER_US : INT64_MAX;
}

/* Nothing more comes, or nobody wants it. */
static bool
is_leaving(const struct publisher *p, int64_t now)
{
	if (p->pipe_eof || p->out.handing_over || p->out.stdout_errno != 0)
		return true;
	/* a checker that is stopped (SIGSTOP) would hold the pipe open for ever */
	return p->orphaned_us != 0 && now - p->orphaned_us > ORPHAN_WAIT_US;
}

static void
begin_leaving(struct publisher *p, int64_t now)
{
	if (p->leave_us != 0 || !is_leaving(p, now))
		return;
	p->leave_us = now + (p->out.handing_over ? FLUSH_RELOAD_US : FLUSH_STOP_US);
	p->out.leaving = true;
}

/* What is on its way gets a little time; a reader of standard output as much as it needs. */
static bool
is_finished(const struct publisher *p, int64_t now)
{
	if (p->exit_code >= 0)
		return true;
	if (!is_leaving(p, now))
		return false;
	if (p->no_flush || p->out.stdout_errno != 0)
		return true;
	if (p->out.handing_over ? p->out.flying == 0
				: spool_count(p->spool) == p->out.to_delete && !p->out.rewind)
		return true;
	return p->start->output == PUBLISH_TO_KAFKA && now >= p->leave_us;
}

static void
shrink_spool(struct publisher *p, int64_t now)
{
	if (now >= p->next_shrink_us)
		p->next_shrink_us = now + (spool_shrink(p->spool) ? GATHER_US : SHRINK_US);
}

static void
wait_for_work(struct publisher *p, int64_t now)
{
	bool stuck_output = p->start->output == PUBLISH_TO_STDOUT &&
			    spool_count(p->spool) > p->out.count;
	/* verdicts are needed for the next tick; only who waits for them is woken by each */
	bool eager = sender_wants_verdicts(&p->out, now);
	struct pollfd polls[] = {
		{ .fd = p->pipe_ready || p->pipe_eof ? -1 : p->start->pipe_fd, .events = POLLIN },
		{ .fd = p->orphaned_us != 0 ? -1 : p->start->control_fd, .events = POLLIN },
		{ .fd = eager ? sender_fd(&p->out) : -1, .events = POLLIN },
		{ .fd = stuck_output ? STDOUT_FILENO : -1, .events = POLLOUT },
	};
	bool busy = p->out.more_to_send || is_finished(p, now);
	int64_t wake = busy ? now : now + US_PER_S;

	if (tick_due_us(p) < wake)
		wake = tick_due_us(p);
	if (p->out.flying > 0 && !eager && now + GATHER_US < wake)
		wake = now + GATHER_US;
	if (p->out.not_before_us > now && p->out.not_before_us < wake)
		wake = p->out.not_before_us;
	if (sender_is_gathering(&p->out, now) && !p->pipe_ready && /* else behind a tick */
	    p->out.next_send_us < wake)
		wake = p->out.next_send_us;
	if (p->next_shrink_us < wake)
		wake = p->next_shrink_us;
	if (poll(polls, ARRAY_LENGTH(polls),
		wake > now ? (int)((wake - now + 999) / US_PER_MS) : 0) <= 0)
		return;
	p->pipe_ready |= polls[0].revents != 0;
	if ((polls[0].revents & POLLHUP) != 0)
		spool_use_reserve(p->spool);
	if (polls[1].revents != 0)
		obey(p);
}

/*
 * The last transactions: what was delivered must not be sent again. False: there is more to do, for
 * a supervisor that has died meanwhile starts no successor.
 */
static bool
finish(struct publisher *p, int64_t now)
{
	uint64_t before;

	do {
		before = p->out.to_delete;
		tick(p);
	} while (p->out.to_delete > 0 && p->out.to_delete < before);
	if (p->out.handing_over) {
		spool_checkpoint(p->spool);
		obey(p);
	}
	if (!is_finished(p, now))
		return false;
	if (p->start->output == PUBLISH_TO_KAFKA && spool_count(p->spool) > 0)
		log_info(
		    "%llu records wait in the spool", (unsigned long long)spool_count(p->spool));
	return true;
}

static int
open_all(struct publisher *p)
{
	const struct config *config = p->start->config;
	bool durable = p->start->output == PUBLISH_TO_KAFKA;
	struct spool_options options = { .dir = durable ? config->spool_dir : NULL,
		.sync_full = config->spool_sync_full,
		.max_bytes = durable ? config->spool_max_bytes : INT64_C(1) << 40,
		.epoch = p->start->epoch,
		.epoch_stored = p->start->epoch_stored,
		.lost_epoch = p->start->lost_epoch,
		.supervisor = p->start->supervisor };

	/* at most a quarter of the spool, at a KiB a record, may be on its way */
	options.window = (uint64_t)options.max_bytes / 4096;
	if (options.window > WINDOW_MAX)
		options.window = WINDOW_MAX;
	switch (spool_open(&p->spool, &options)) {
	case SPOOL_OK:
		sender_init(&p->out, p->start, p->spool, options.window);
		break;
	case SPOOL_LOST:
		return EXIT_SPOOL_LOST;
	case SPOOL_IN_USE:
		return EXIT_RUNNING;
	default:
		return EXIT_CANNOT_CREATE;
	}
	p->peek = pipe_peek_new(p->start->pipe_fd);
	if (p->peek == NULL) {
		log_error("cannot peek into the results pipe: %s", strerror(errno));
		return EXIT_OS;
	}
	return -1;
}

int
publisher_main(const struct publisher_start *start)
{
	struct publisher p = { .start = start, .exit_code = -1 };
	int code;

	signal(SIGTERM, SIG_IGN); /* it ends with the pipe, after the last record */
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
	code = open_all(&p);
	if (code >= 0) {
		spool_close(p.spool);
		return code;
	}
	tell_supervisor(&p, util_mono_us());
	tick(&p); /* what a predecessor left in the pipe comes before anything is sent */
	while (p.exit_code < 0) { /* else the spool may be gone */
		int64_t now = util_mono_us();

		if (tick_due_us(&p) <= now)
			tick(&p);
		begin_leaving(&p, now);
		if (is_finished(&p, now) && (p.exit_code >= 0 || finish(&p, now)))
			break;
		lost(&p, sender_send(&p.out, now));
		tell_supervisor(&p, now);
		shrink_spool(&p, now);
		wait_for_work(&p, now);
	}
	if (p.exit_code >= 0 && sender_is_delivering(&p.out))
		/* what is on its way may be in no spool any more */
		sender_flush(&p.out, FLUSH_RELOAD_US / US_PER_MS);
	spool_close(p.spool);
	if (p.exit_code < 0) /* who had enough of standard output may close it */
		p.exit_code = p.out.stdout_errno == 0 || p.out.stdout_errno == EPIPE ? EXIT_FINE
										     : EXIT_OS;
	return p.exit_code; /* the process ends, and what it has */
}
