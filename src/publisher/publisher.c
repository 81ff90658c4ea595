/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The publisher: frames from the pipes into the spool, one transaction a tick, and records from the
 * spool to the output. Records leave the pipes only after they are committed, and the spool only
 * after the output has confirmed them. It ends at the end of the pipes, so signals of the terminal
 * and of the init system do not disturb it.
 */
#include "publisher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ask.h"
#include "group.h"
#include "intake.h"
#include "kafka.h"
#include "log.h"
#include "message.h"
#include "sender.h"
#include "spool.h"
#include "state.h"
#include "stdout.h"
#include "trouble.h"
#include "wire.h"

/*
 * How long frames wait for a transaction: a COMMIT costs 58 µs for one record and 3 µs each for a
 * hundred. Pipes that fill are emptied sooner.
 */
#define TICK_US      (100 * US_PER_MS)
#define TICK_BUSY_US (10 * US_PER_MS)

#define RETRY_US        (US_PER_S)        /* after a transaction that failed */
#define DELETE_AFTER_US (500 * US_PER_MS) /* delivered rows are deleted even if no frames come */
#define REPORT_US       (US_PER_S)
#define FLUSH_STOP_US   (5 * US_PER_S)
#define FLUSH_RELOAD_US (1 * US_PER_S)
#define ORPHAN_WAIT_US  (2 * US_PER_S)
#define SHRINK_US       (5 * US_PER_S) /* how often free pages are looked for */

/*
 * librdkafka 2.0 waits whole milliseconds and spins for the rest of the last one, a millisecond
 * each second: timers that may be late by this much, its and ours, avoid that.
 */
#define TIMER_SLACK_NS 1000000

/* Records sent and not confirmed; a crash may repeat them. Small spools have a smaller window. */
#define WINDOW_MAX 8192

static const struct output *const outputs[] = {
	[PUBLISH_TO_KAFKA] = &output_kafka,
	[PUBLISH_TO_STDOUT] = &output_stdout,
	[PUBLISH_TO_NOTHING] = &output_nothing,
};

struct publisher {
	const struct publisher_start *start;
	const struct output *output;
	struct spool *spool;
	struct intake in;
	struct sender out;
	struct asks asks;
	struct group *group; /* NULL: this daemon is no member of one */

	enum publisher_state state;
	int64_t deadline_us;                /* of the state */
	bool hand_over, no_flush, orphaned; /* see struct publisher_facts */

	int64_t next_tick_us, next_report_us, next_shrink_us;
	bool retrying;    /* the last transaction failed */
	bool lock_passed; /* to the supervisor */
	int exit_code;    /* -1: go on */
};

/* The end, unless the spool will work again. */
static void
set_exit_code(struct publisher *p, enum spool_status status)
{
	if (status == SPOOL_LOST)
		p->exit_code = EXIT_SPOOL_LOST;
	else if (status == SPOOL_IN_USE)
		p->exit_code = EXIT_RUNNING;
	else if (status == SPOOL_FAILED)
		p->exit_code = EXIT_CANNOT_CREATE;
}

/* --- the tick: one transaction ----------------------------------------------------------- */

/* `only_delete`: there is no room for more. */
static enum spool_status
transact(struct publisher *p, bool only_delete, uint64_t *deleted)
{
	enum spool_status status = spool_begin(p->spool);

	if (only_delete)
		intake_skip(&p->in);
	else if (status == SPOOL_OK)
		status = intake_apply(&p->in, p->spool);
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
	uint64_t deleted;
	enum spool_status status;

	if (intake_peek(&p->in) < 0) {
		p->exit_code = EXIT_OS;
		return;
	}
	if (!intake_has_frames(&p->in) && p->out.to_delete == 0)
		return;
	status = transact(p, false, &deleted);
	if (status == SPOOL_RETRY && intake_has_frames(&p->in) && p->out.to_delete > 0)
		/* no room for new records: delivered ones must go all the same, to make some */
		status = transact(p, true, &deleted);
	p->retrying = status != SPOOL_OK;
	if (p->retrying) {
		/* the frames stay in the pipes, and whoever writes there waits */
		set_exit_code(p, status);
		p->next_tick_us = util_mono_us() + RETRY_US;
		return;
	}
	sender_deleted(&p->out, deleted);
	if (intake_consume(&p->in) < 0)
		p->exit_code = EXIT_OS;
	p->next_tick_us = util_mono_us() + (intake_is_busy(&p->in) ? TICK_BUSY_US : TICK_US);
}

/* When the next transaction is due; INT64_MAX: there is nothing for it to do. */
static int64_t
tick_due_us(const struct publisher *p)
{
	if (!p->retrying && sender_wants_deletion(&p->out))
		return 0;
	if (p->in.ready && sender_has_room(&p->out))
		return p->next_tick_us;
	if (p->out.to_delete == 0)
		return INT64_MAX;
	if (p->group != NULL && group_waits_for_delivery(p->group))
		return p->next_tick_us;
	return p->next_tick_us + DELETE_AFTER_US;
}

/* --- the supervisor ---------------------------------------------------------------------- */

/* A second after the last one, also when there is nothing new: the supervisor sees that we live. */
static void
send_report(struct publisher *p, int64_t now)
{
	struct message_report report;
	int lock_fd = spool_lock_fd(p->spool);

	if (p->orphaned || now < p->next_report_us)
		return;
	p->next_report_us = now + REPORT_US;
	memset(&report, 0, sizeof(report)); /* also what is between its members: it is sent whole */
	report.ready = true;
	report.delivering = sender_is_delivering(&p->out);
	report.queued = spool_count(p->spool);
	report.delivered = p->out.delivered;
	report.taken = p->in.taken;
	report.dead = spool_dead_letters(p->spool);
	spool_describe(p->spool, &report.spool);
	report.trouble_us = trouble_last(report.trouble, sizeof(report.trouble));
	if (p->lock_passed || lock_fd == p->start->spool_lock_fd)
		lock_fd = -1; /* the supervisor has it */
	if (message_send(p->start->control_fd, MESSAGE_REPORT, &report, sizeof(report), lock_fd) ==
	    0)
		p->lock_passed = true;
	else
		log_debug("the supervisor takes no reports: %s", strerror(errno));
}

static void
read_orders(struct publisher *p)
{
	struct message m;
	int n, descriptor;

	while ((n = message_receive(p->start->control_fd, &m, &descriptor)) > 0) {
		p->hand_over |= m.type == MESSAGE_HAND_OVER;
		p->no_flush |= m.type == MESSAGE_NO_FLUSH;
		if (m.type == MESSAGE_ASK)
			asks_add(
			    &p->asks, p->start->config, (const char *)m.body, m.length, descriptor);
		else if (descriptor >= 0)
			close(descriptor);
		if (p->group != NULL)
			group_take_message(p->group, &m);
	}
	p->orphaned |= n == 0 || (errno != EAGAIN && errno != EINTR);
}

/* --- the group --------------------------------------------------------------------------- */

/* So often is looked for more; the pipes of a busy daemon may never be empty. */
#define EMPTY_TRIES 8

static void
empty_pipes(struct publisher *p)
{
	for (int i = 0; i < EMPTY_TRIES && p->exit_code < 0; i++) {
		tick(p);
		if (!intake_has_frames(&p->in))
			break;
	}
}

static void
serve_group(struct publisher *p, int64_t now)
{
	struct group_facts facts = {
		.now = now, .storing = !p->retrying, .stopping = p->state != PUBLISHER_RUNNING
	};

	if (p->group == NULL)
		return;
	read_orders(p); /* else the supervisor would seem silent after a stop of this process */
	group_serve(p->group, &facts);
	if (group_wants_commit(p->group)) {
		empty_pipes(p);
		group_committed(p->group);
	}
}

/* --- the state --------------------------------------------------------------------------- */

static enum publisher_state
next_state(const struct publisher *p, int64_t now)
{
	struct publisher_facts facts = { .hand_over = p->hand_over,
		.no_flush = p->no_flush,
		.orphaned = p->orphaned,
		.pipes_ended = intake_has_ended(&p->in),
		.output_ended = sender_output_state(&p->out) >= OUTPUT_CLOSED,
		.answered = p->out.in_flight == 0,
		.delivered = sender_is_done(&p->out),
		.overdue = now >= p->deadline_us };

	return publisher_next_state(p->state, &facts);
}

static void
enter_state(struct publisher *p, enum publisher_state state, int64_t now)
{
	p->state = state;
	switch (state) {
	case PUBLISHER_HANDING_OVER:
		p->deadline_us = now + FLUSH_RELOAD_US;
		p->out.mode = SENDER_STOPS;
		break;
	case PUBLISHER_DRAINING:
		p->deadline_us = p->output->durable ? now + FLUSH_STOP_US : INT64_MAX;
		p->out.mode = SENDER_HURRIES;
		break;
	case PUBLISHER_ORPHANED:
		p->hand_over = false;
		p->deadline_us = now + ORPHAN_WAIT_US;
		p->out.mode = SENDER_LINGERS;
		break;
	case PUBLISHER_RUNNING:
	case PUBLISHER_LEAVING:
		break;
	}
}

static void
update_state(struct publisher *p, int64_t now)
{
	enum publisher_state next;

	while ((next = next_state(p, now)) != p->state)
		enter_state(p, next, now);
}

/*
 * The last transactions: what was delivered must not be sent again. Returns whether the publisher
 * may leave; after a hand-over it may not, if there is nobody to take over any more.
 */
static bool
finish(struct publisher *p, int64_t now)
{
	uint64_t before;

	do {
		before = p->out.to_delete;
		tick(p);
	} while (p->out.to_delete > 0 && p->out.to_delete < before);
	if (p->hand_over) {
		spool_checkpoint(p->spool);
		read_orders(p);
	}
	update_state(p, now);
	if (p->state != PUBLISHER_LEAVING)
		return false;
	if (p->output->durable && spool_count(p->spool) > 0)
		log_info(
		    "%llu records wait in the spool", (unsigned long long)spool_count(p->spool));
	return true;
}

/* --- the loop ---------------------------------------------------------------------------- */

static void
shrink_spool(struct publisher *p, int64_t now)
{
	if (now >= p->next_shrink_us)
		p->next_shrink_us = now + (spool_shrink(p->spool) ? TICK_US : SHRINK_US);
}

/* The earliest time at which any part has something to do. */
static int64_t
wake_us(const struct publisher *p, int64_t now)
{
	const int64_t times[] = { next_state(p, now) != p->state ? now : p->deadline_us,
		p->exit_code >= 0 ? now : INT64_MAX, tick_due_us(p),
		sender_wake_us(&p->out, now, p->in.ready), p->next_shrink_us, now + REPORT_US,
		p->group != NULL ? group_wake_us(p->group, now) : INT64_MAX };
	int64_t wake = INT64_MAX;

	for (size_t i = 0; i < ARRAY_LENGTH(times); i++)
		if (times[i] < wake)
			wake = times[i];
	return wake;
}

static void
wait_for_work(struct publisher *p, int64_t now)
{
	struct pollfd polls[5 + ASKS_MAX];
	int64_t wake = wake_us(p, now);

	intake_polls(&p->in, polls);
	polls[2] = (struct pollfd){ p->orphaned ? -1 : p->start->control_fd, POLLIN, 0 };
	polls[3] = sender_wait_for(&p->out, now);
	polls[4] = (struct pollfd){ .fd = -1 };
	if (p->group != NULL) {
		polls[2].events |= group_wants_of_control(p->group);
		polls[4] = group_wait_for(p->group);
	}
	if (poll(polls, 5 + (nfds_t)asks_polls(&p->asks, polls + 5),
		wake > now ? (int)((wake - now + 999) / US_PER_MS) : 0) <= 0)
		return;
	p->in.ready |= polls[FROM_SUPERVISOR].revents != 0 || polls[FROM_CHECKERS].revents != 0;
	if (((polls[0].revents | polls[1].revents) & POLLHUP) != 0)
		spool_use_reserve(p->spool);
	if (polls[2].revents != 0)
		read_orders(p);
}

/* If that is impossible, there is an exit code. */
static void
open_all(struct publisher *p)
{
	const struct publisher_start *start = p->start;
	const struct config *config = start->config;
	struct spool_options options = { .dir = p->output->durable ? config->spool_dir : NULL,
		.sync_full = config->spool_sync_full,
		.max_bytes = p->output->durable ? config->spool_max_bytes : INT64_C(1) << 40,
		.epoch = start->epoch,
		.epoch_stored = start->epoch_stored,
		.lost_epoch = start->lost_epoch,
		.lock_fd = start->spool_lock_fd,
		.supervisor = start->supervisor };
	enum spool_status status;

	/* at most a quarter of the spool, at a KiB a record, may be in flight */
	options.window = (uint64_t)options.max_bytes / 4096;
	if (options.window > WINDOW_MAX)
		options.window = WINDOW_MAX;
	status = spool_open(&p->spool, &options);
	if (status != SPOOL_OK) {
		set_exit_code(p, status == SPOOL_RETRY ? SPOOL_FAILED : status);
		return;
	}
	sender_init(&p->out, p->output, config, p->spool, options.window);
	if (intake_init(&p->in, start->supervisor_fd, start->checkers_fd, start->epoch,
		start->token_key) < 0)
		p->exit_code = EXIT_OS;
	if (start->in_group) {
		p->group = group_new(config, p->spool, start->control_fd);
		if (p->group == NULL)
			p->exit_code = EXIT_OS;
	}
}

static void
run(struct publisher *p)
{
	send_report(p, util_mono_us());
	tick(p); /* what a predecessor left in the pipes comes before anything is sent */
	while (p->exit_code < 0) { /* else the spool may be gone */
		int64_t now = util_mono_us();

		if (tick_due_us(p) <= now)
			tick(p);
		update_state(p, now);
		if (p->exit_code >= 0 || (p->state == PUBLISHER_LEAVING && finish(p, now)))
			return;
		set_exit_code(p, sender_send(&p->out, now));
		send_report(p, now);
		shrink_spool(p, now);
		asks_serve(&p->asks, p->spool);
		serve_group(p, now);
		if (p->exit_code >= 0)
			return;
		wait_for_work(p, now);
	}
}

int
publisher_main(const struct publisher_start *start)
{
	struct publisher p = { .start = start,
		.output = outputs[start->output],
		.deadline_us = INT64_MAX,
		.exit_code = -1 };

	signal(SIGTERM, SIG_IGN); /* it ends with the pipes, after the last record */
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
	open_all(&p);
	if (p.exit_code >= 0) {
		spool_close(p.spool);
		return p.exit_code;
	}
	run(&p);
	if (p.exit_code >= 0 && sender_is_delivering(&p.out))
		/* what is in flight may be in no spool any more */
		sender_flush(&p.out, FLUSH_RELOAD_US / US_PER_MS);
	if (p.group != NULL)
		group_end(p.group);
	spool_close(p.spool);
	if (p.exit_code < 0) /* a reader may close standard output when it has enough */
		p.exit_code = sender_output_state(&p.out) == OUTPUT_LOST ? EXIT_OS : EXIT_FINE;
	return p.exit_code; /* the process ends, and frees what it has */
}
