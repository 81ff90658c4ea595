/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The publisher: peek the pipes, one transaction, consume, have the sender send what is ready.
 * Records leave the pipes only after they are committed and the spool only after Kafka has confirmed
 * them. It ends at the end of the pipes, so signals of the terminal and of the init system do not
 * disturb it.
 */
#include "publisher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
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
 * for a hundred. A pipe that is a quarter full is emptied sooner.
 */
#define GATHER_US      (100 * US_PER_MS)
#define GATHER_BUSY_US (10 * US_PER_MS)

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

/* One of the two pipes. */
struct input {
	int fd;
	struct pipe_peek *peek;
	struct pipe_view view;
	size_t used; /* bytes of the view that were applied or skipped */
	bool ready;
};

/* A slot ends. */
struct end {
	struct frame frame;
	const unsigned char *raw;
	bool by_checker;
};

struct publisher {
	const struct publisher_start *start;
	struct spool *spool;
	struct input supervisor, checkers;
	struct end *ends; /* of the running transaction */
	size_t end_count, end_room;
	struct sender out;

	int64_t next_tick_us, tick_delay_us;
	int64_t orphaned_us; /* since when the supervisor is gone; 0: it is there */
	bool no_flush;
	int64_t leave_us; /* 0: there is more to come; else when to leave at the latest */
	uint64_t settled; /* all checks below are over; 0: nobody said so since that was applied */
	uint64_t taken;   /* bytes out of that */
	bool damage_said, refusal_said;
	bool lock_passed; /* to the supervisor */
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

static void
say_damage(struct publisher *p, const struct input *in)
{
	if (p->damage_said)
		return;
	p->damage_said = true;
	log_error("damaged bytes in the pipe of the %s: skipped; please report this",
	    in == &p->checkers ? "checkers" : "supervisor");
}

static void
say_refusal(struct publisher *p, const char *what)
{
	if (p->refusal_said)
		return;
	p->refusal_said = true;
	log_error("a checker %s: refused, like all that follow; it may be in foreign hands", what);
}

/* Decode the next frame of `in`, past what is none. False: there is no other. */
static bool
next_frame(struct publisher *p, struct input *in, struct frame *frame, const unsigned char **raw,
    size_t *size)
{
	while (in->used < in->view.size) {
		ssize_t n;

		*raw = in->view.data + in->used;
		n = wire_decode(*raw, in->view.size - in->used, frame);
		if (n > 0) {
			in->used += (size_t)n;
			*size = (size_t)n;
			return true;
		}
		say_damage(p, in);
		in->used += wire_resync(*raw, in->view.size - in->used);
	}
	return false;
}

static void
add_end(struct publisher *p, const struct frame *frame, const unsigned char *raw, bool by_checker)
{
	if (p->end_count == p->end_room) {
		p->end_room = 2 * p->end_room + 64;
		p->ends = xreallocarray(p->ends, p->end_room, sizeof(*p->ends));
	}
	p->ends[p->end_count++] = (struct end){ *frame, raw, by_checker };
}

/* Slots that begin; those that end here as well are gathered. */
static enum spool_status
begin_slots(struct publisher *p)
{
	enum spool_status status = SPOOL_OK;
	struct frame frame;
	const unsigned char *raw;
	size_t size;

	while (status == SPOOL_OK && next_frame(p, &p->supervisor, &frame, &raw, &size)) {
		if (frame.type == WIRE_SETTLED) {
			if (strcmp(frame.epoch, p->start->epoch) == 0)
				p->settled = frame.seq;
			continue;
		}
		if (frame.type != WIRE_CLOSE)
			status = spool_begin_slot(p->spool, &frame, raw, size);
		if (frame.type != WIRE_OPEN)
			add_end(p, &frame, raw, false);
	}
	return status;
}

/*
 * Gather what checkers say, if they know the token: nothing else gets as far as the spool, so that a
 * flood costs little. If a slot began after the look into the supervisor's pipe, its turn is the next
 * tick: then nothing of the checkers is consumed, as what was applied can come again without harm.
 * Nobody can have that go on for ever: it takes a job that was sent between two looks, each time.
 * Returns whether it is so.
 */
static bool
gather_ends(struct publisher *p)
{
	struct frame frame;
	const unsigned char *raw;
	bool early = false;
	size_t size;

	while (next_frame(p, &p->checkers, &frame, &raw, &size)) {
		if (frame.type != WIRE_CLOSE)
			say_refusal(p, "wrote what only the supervisor may");
		else if (frame.token != wire_token(p->start->token_key, &frame))
			say_refusal(p, "wants to end a slot that is not its own");
		else if (spool_is_ahead(p->spool, &frame))
			early = true;
		else
			add_end(p, &frame, raw, true);
	}
	if (early)
		p->checkers.used = 0;
	return early;
}

/* The records of a site are in the order of its slots, and of its seqs; a verdict comes first. */
static int
compare_ends(const void *a, const void *b)
{
	const struct end *x = a, *y = b;
	int epochs = strcmp(x->frame.epoch, y->frame.epoch);

	if (epochs != 0)
		return epochs;
	if (x->frame.seq != y->frame.seq)
		return x->frame.seq < y->frame.seq ? -1 : 1;
	return y->by_checker - x->by_checker;
}

/* The first `count` ends, which are those of the supervisor, come again in the next tick. */
static void
put_off_ends(struct publisher *p, size_t count)
{
	p->end_count -= count;
	memmove(p->ends, p->ends + count, p->end_count * sizeof(*p->ends));
	p->supervisor.used = 0;
}

/*
 * What the supervisor wrote was looked at first. So whatever it wrote when it knew how a check had
 * ended, the next slots of its site or the end of a check whose checker died, what the checker had
 * written is here too, or was before. Where not all of that could be seen, it is taken alone.
 */
static enum spool_status
apply_all(struct publisher *p)
{
	const bool whole = p->checkers.view.whole;
	enum spool_status status;
	size_t count;
	bool early;

	p->end_count = 0;
	status = begin_slots(p);
	if (status != SPOOL_OK)
		return status;
	count = p->end_count;
	early = gather_ends(p);
	if (!whole && !early) /* one of the two pipes must move on */
		put_off_ends(p, count);
	qsort(p->ends, p->end_count, sizeof(*p->ends), compare_ends);
	for (size_t i = 0; i < p->end_count && status == SPOOL_OK; i++)
		status = spool_end_slot(p->spool, &p->ends[i].frame, p->ends[i].raw);
	if (status == SPOOL_OK && p->settled > 0 && !early && whole) {
		status = spool_settle(p->spool, p->settled);
		p->settled = 0;
	}
	return status;
}

/* `only_delete`: there is no room for more. */
static enum spool_status
transact(struct publisher *p, bool only_delete, uint64_t *deleted)
{
	enum spool_status status = spool_begin(p->spool);

	p->supervisor.used = p->checkers.used = 0;
	if (status == SPOOL_OK && !only_delete)
		status = apply_all(p);
	if (status == SPOOL_OK)
		status = sender_delete(&p->out, deleted);
	if (status == SPOOL_OK)
		status = spool_commit(p->spool);
	return status;
}

/* Look into both pipes; false: that is impossible. */
static bool
peek_all(struct publisher *p)
{
	p->supervisor.ready = p->checkers.ready = false;
	/* in this order, see apply_all() */
	if (pipe_peek_read(p->supervisor.peek, &p->supervisor.view) == 0 &&
	    pipe_peek_read(p->checkers.peek, &p->checkers.view) == 0)
		return true;
	log_error("cannot read what supervisor and checkers write: %s", strerror(errno));
	p->exit_code = EXIT_OS;
	return false;
}

static bool
consume_all(struct publisher *p)
{
	p->taken += p->checkers.used;
	if (pipe_peek_consume(p->checkers.peek, p->checkers.used) == 0 &&
	    pipe_peek_consume(p->supervisor.peek, p->supervisor.used) == 0)
		return true;
	log_error("cannot read what supervisor and checkers write: %s", strerror(errno));
	p->exit_code = EXIT_OS;
	return false;
}

/* Peek, commit, consume. Whatever fails, nothing is consumed that was not committed. */
static void
tick(struct publisher *p)
{
	uint64_t deleted;
	enum spool_status status;
	bool news;

	if (!peek_all(p))
		return;
	news = p->supervisor.view.size + p->checkers.view.size > 0;
	if (!news && p->out.to_delete == 0)
		return;
	status = transact(p, false, &deleted);
	if (status == SPOOL_RETRY && news && p->out.to_delete > 0)
		/* no room for new records: what was delivered must go all the same, to make some */
		status = transact(p, true, &deleted);
	if (status != SPOOL_OK) {
		lost(p, status);
		/* the frames stay in the pipes, whoever writes waits; try again in a while */
		p->tick_delay_us = p->tick_delay_us < US_PER_S ? US_PER_S : p->tick_delay_us;
		p->next_tick_us = util_mono_us() + p->tick_delay_us;
		return;
	}
	sender_forget(&p->out, deleted);
	if (!consume_all(p))
		return;
	/* more will come: no need to be woken by the first */
	p->supervisor.ready = p->checkers.ready = news;
	p->tick_delay_us = p->supervisor.view.size > PIPE_SIZE_OPEN / 4 ||
				   p->checkers.view.size > PIPE_SIZE / 4
			       ? GATHER_BUSY_US
			       : GATHER_US;
	p->next_tick_us = util_mono_us() + p->tick_delay_us;
}

/* --- the loop ---------------------------------------------------------------------------- */

/* With the lock of the spool, if the supervisor does not have it yet. */
static bool
send_report(const struct publisher *p, struct wire_report *report)
{
	int lock_fd = spool_lock_fd(p->spool);
	union wire_descriptor control = { .header = { .cmsg_len = CMSG_LEN(sizeof(lock_fd)),
					      .cmsg_level = SOL_SOCKET,
					      .cmsg_type = SCM_RIGHTS } };
	struct iovec bytes = { report, sizeof(*report) };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

	if (!p->lock_passed && lock_fd >= 0 && lock_fd != p->start->spool_lock_fd) {
		memcpy(CMSG_DATA(&control.header), &lock_fd, sizeof(lock_fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	return sendmsg(p->start->control_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static void
tell_supervisor(struct publisher *p, int64_t now)
{
	struct wire_report report = { .ready = true,
		.delivering = sender_is_delivering(&p->out),
		.queued = spool_count(p->spool),
		.delivered = p->out.delivered,
		.taken = p->taken,
		.dead = spool_buried(p->spool) };

	if (p->orphaned_us != 0 || now < p->next_report_us)
		return;
	/* also when there is nothing new: the supervisor sees that we are alive */
	p->next_report_us = now + REPORT_US;
	if (send_report(p, &report))
		p->lock_passed = true;
	else
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

static bool
is_ready(const struct publisher *p)
{
	return p->supervisor.ready || p->checkers.ready;
}

/* Whether the pipes may be looked at: a reader of standard output that is slow holds all up. */
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
	if (is_ready(p) && may_take_more(p))
		return p->next_tick_us;
	return p->out.to_delete > 0 ? p->next_tick_us + DELETE_AFTER_US : INT64_MAX;
}

/* Nothing more comes, or nobody wants it. */
static bool
is_leaving(const struct publisher *p, int64_t now)
{
	if ((p->supervisor.view.eof && p->checkers.view.eof) || p->out.handing_over ||
	    p->out.stdout_errno != 0)
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

/* Nothing more comes of one that ended; and once a tick is due, no wake-up is needed. */
static int
watched_fd(const struct publisher *p, const struct input *in)
{
	return is_ready(p) || in->view.eof ? -1 : in->fd;
}

static void
wait_for_work(struct publisher *p, int64_t now)
{
	bool stuck_output = p->start->output == PUBLISH_TO_STDOUT &&
			    spool_count(p->spool) > p->out.count;
	/* verdicts are needed for the next tick; only who waits for them is woken by each */
	bool eager = sender_wants_verdicts(&p->out, now);
	struct pollfd polls[] = {
		{ .fd = watched_fd(p, &p->supervisor), .events = POLLIN },
		{ .fd = watched_fd(p, &p->checkers), .events = POLLIN },
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
	if (sender_is_gathering(&p->out, now) && !is_ready(p) && /* else behind a tick */
	    p->out.next_send_us < wake)
		wake = p->out.next_send_us;
	if (p->next_shrink_us < wake)
		wake = p->next_shrink_us;
	if (poll(polls, ARRAY_LENGTH(polls),
		wake > now ? (int)((wake - now + 999) / US_PER_MS) : 0) <= 0)
		return;
	p->supervisor.ready |= polls[0].revents != 0;
	p->checkers.ready |= polls[1].revents != 0;
	if (((polls[0].revents | polls[1].revents) & POLLHUP) != 0)
		spool_use_reserve(p->spool);
	if (polls[2].revents != 0)
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
		.lock_fd = p->start->spool_lock_fd,
		.token_key = p->start->token_key,
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
	p->supervisor.fd = p->start->supervisor_fd;
	p->checkers.fd = p->start->checkers_fd;
	p->supervisor.peek = pipe_peek_new(p->supervisor.fd);
	p->checkers.peek = pipe_peek_new(p->checkers.fd);
	if (p->supervisor.peek == NULL || p->checkers.peek == NULL) {
		log_error("cannot look into the pipes: %s", strerror(errno));
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
	tick(&p); /* what a predecessor left in the pipes comes before anything is sent */
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
	free(p.ends);
	if (p.exit_code < 0) /* who had enough of standard output may close it */
		p.exit_code = p.out.stdout_errno == 0 || p.out.stdout_errno == EPIPE ? EXIT_FINE
										     : EXIT_OS;
	return p.exit_code; /* the process ends, and what it has */
}
