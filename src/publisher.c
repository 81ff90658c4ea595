/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The publisher: peek the pipe, one transaction, consume, send what is ready. Records leave the
 * pipe only after they are committed and the spool only after Kafka has confirmed them. It ends
 * at the end of the pipe, so signals of the terminal and of the init system do not disturb it.
 */
#include "publisher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kafka.h"
#include "log.h"
#include "pipe.h"
#include "spool.h"
#include "wire.h"

/*
 * Frames gather so long before a transaction: a COMMIT costs 58 µs for one record and 3 µs each
 * for a hundred. A busy pipe is emptied sooner.
 */
#define GATHER_US      (100 * US_PER_MS)
#define GATHER_BUSY_US (10 * US_PER_MS)
#define BUSY_FRAMES    256

/*
 * Behind others records are not sent sooner than this, unless they are many: a request costs 100 µs
 * here, more at the broker, and each partition has its own. What comes alone goes at once.
 */
#define SEND_US   (250 * US_PER_MS)
#define SEND_BUSY 256

#define DELETE_AFTER_US (500 * US_PER_MS) /* delivered rows go so soon when no frames come */
#define DELETE_MAX      1000              /* rows a transaction: keeps SQLite's log small */
#define REPORT_US       (US_PER_S)
#define FLUSH_STOP_US   (5 * US_PER_S)
#define FLUSH_RELOAD_US (1 * US_PER_S)
#define ORPHAN_WAIT_US  (2 * US_PER_S)
#define BACKOFF_MAX_US  (60 * US_PER_S)
#define READ_BATCH      1000
#define SHRINK_US       (5 * US_PER_S) /* how often free pages are looked for */

/* A row without a verdict for so long, while others get theirs, is stuck in librdkafka. */
#define STUCK_US (120 * US_PER_S)

/* What Kafka calls untimely is too old when it is older than that. */
#define TOO_OLD_US (3600 * US_PER_S)

/* Records sent and not confirmed; what a crash may repeat. Small spools have a smaller one. */
#define WINDOW_MAX 8192

enum row_state {
	ROW_FLYING,
	ROW_DELIVERED, /* to be deleted */
	ROW_REFUSED,   /* to be sent again */
	ROW_UNFIT,     /* to be sent again alone */
	ROW_BURIED,    /* refused even alone: to the dead letters */
	ROW_GONE,      /* deleted */
};

struct row {
	uint64_t n;
	enum row_state state;
	int64_t sent_us; /* monotonic */
	int64_t slot_us; /* UTC */
};

struct publisher {
	const struct publisher_start *start;
	struct spool *spool;
	struct pipe_peek *peek;
	struct kafka *kafka;

	struct row *window; /* a ring: the oldest at `first`, `count` of them */
	uint64_t window_size, first, count;
	uint64_t flying, to_delete, gone;
	uint64_t last_sent;     /* row */
	uint64_t alone_through; /* rows up to here are sent one at a time */
	bool probing;           /* after a refusal: one at a time until one is taken */
	bool rewind;            /* send again from the lowest row, once nothing flies */
	char why_unfit[128];
	bool more_to_send;                 /* the last look ended only because it was long enough */
	int64_t not_before_us, backoff_us; /* of sending */
	int64_t next_send_us;              /* of few records */
	int64_t delivered_us;              /* the last confirmation */
	int64_t overtaken_us;              /* the first one of a row behind the oldest; 0: none */

	bool pipe_ready, pipe_eof;
	int64_t next_tick_us, tick_delay_us;
	int64_t orphaned_us; /* since when the supervisor is gone; 0: it is there */
	bool handing_over, no_flush;
	int64_t leave_us; /* 0: there is more to come; else when to leave at the latest */
	bool stdout_closed;
	bool damage_said;
	uint64_t delivered;
	int64_t next_report_us, next_shrink_us;
	int exit_code; /* -1: go on */
};

static struct row *
row_at(const struct publisher *p, uint64_t i)
{
	return &p->window[(p->first + i) % p->window_size];
}

/* --- verdicts ---------------------------------------------------------------------------- */

static void
settle(struct publisher *p, struct row *row, enum row_state state)
{
	p->flying -= row->state == ROW_FLYING;
	p->to_delete += state == ROW_DELIVERED || state == ROW_BURIED;
	row->state = state;
}

/* Rows in the window ascend, but not without gaps. */
static struct row *
find_row(const struct publisher *p, uint64_t n)
{
	uint64_t low = 0, high = p->count;

	while (low < high) {
		uint64_t middle = (low + high) / 2;

		if (row_at(p, middle)->n < n)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->count && row_at(p, low)->n == n ? row_at(p, low) : NULL;
}

static void
back_off(struct publisher *p)
{
	p->backoff_us = p->backoff_us == 0 ? US_PER_S : 2 * p->backoff_us;
	if (p->backoff_us > BACKOFF_MAX_US)
		p->backoff_us = BACKOFF_MAX_US;
	p->not_before_us = util_mono_us() + p->backoff_us;
}

static void
on_verdict(void *arg, uint64_t n, enum kafka_verdict verdict, const char *why)
{
	struct publisher *p = arg;
	struct row *row = find_row(p, n);
	bool alone = p->count == 1 && n <= p->alone_through;

	if (row == NULL || row->state != ROW_FLYING)
		return;
	/* an old one stays too old; a new one waits until the clocks agree */
	if (verdict == KAFKA_UNTIMELY)
		verdict = row->slot_us < util_utc_us() - TOO_OLD_US ? KAFKA_UNFIT : KAFKA_REFUSED;
	switch (verdict) {
	case KAFKA_DELIVERED:
		settle(p, row, ROW_DELIVERED);
		p->backoff_us = 0;
		p->probing = false;
		p->delivered_us = util_mono_us();
		if (p->overtaken_us == 0 && row != row_at(p, 0))
			p->overtaken_us = p->delivered_us;
		p->delivered++;
		return;
	case KAFKA_UNTIMELY:
	case KAFKA_REFUSED:
		settle(p, row, ROW_REFUSED);
		break;
	case KAFKA_UNFIT:
		snprintf(p->why_unfit, sizeof(p->why_unfit), "%s", why);
		if (alone) {
			log_error(
			    "kafka: a record is refused for good: %s; it is kept in the dead letters "
			    "of the spool",
			    why);
			settle(p, row, ROW_BURIED);
			p->rewind = true; /* what takes its place is to be sent */
			return;
		}
		settle(p, row, ROW_UNFIT);
		if (n > p->alone_through)
			p->alone_through = n;
		break;
	}
	/* order is kept: nothing new goes out before this one is through */
	if (!p->rewind && verdict == KAFKA_REFUSED) {
		back_off(p);
		p->probing = true;
	}
	p->rewind = true;
}

/* --- sending ----------------------------------------------------------------------------- */

/* A whole line or, when the reader has gone, never again. */
static int
print_record(struct publisher *p, const struct frame *frame)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	char line[WIRE_PAYLOAD_MAX + 1];
	size_t size = frame->payload_size, done = 0;

	/* room for a line, else wait in the main loop: a slow reader is back-pressure */
	if (poll(&out, 1, 0) != 1 || (out.revents & (POLLOUT | POLLERR)) == 0)
		return 1;
	memcpy(line, frame->payload, size);
	line[size++] = '\n';
	while (done < size) {
		ssize_t n = write(STDOUT_FILENO, line + done, size - done);

		if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			poll(&out, 1, 100);
			continue;
		}
		if (n < 0) {
			p->stdout_closed = true;
			return 1;
		}
		done += (size_t)n;
	}
	return 0;
}

static uint64_t
window_limit(const struct publisher *p)
{
	return p->probing || p->last_sent < p->alone_through ? 1 : p->window_size;
}

/* Rows of the spool that are not in the window. */
static uint64_t
unsent(const struct publisher *p)
{
	return spool_count(p->spool) - (p->count - p->gone);
}

/* Whether there are few to be sent and they wait for more. */
static bool
is_gathering(const struct publisher *p, int64_t now)
{
	return p->start->output == PUBLISH_TO_KAFKA && p->leave_us == 0 && window_limit(p) > 1 &&
	       unsent(p) > 0 && unsent(p) < SEND_BUSY && now < p->next_send_us;
}

/* One row goes out; false: no more now. */
static bool
send_row(void *arg, uint64_t n, const struct frame *frame)
{
	struct publisher *p = arg;
	struct row *row;

	if (p->count >= window_limit(p) || p->rewind || p->stdout_closed)
		return false;
	row = row_at(p, p->count);
	*row = (struct row){ n, ROW_FLYING, util_mono_us(), frame->slot_us };
	p->count++;
	p->flying++;
	switch (p->start->output) {
	case PUBLISH_TO_KAFKA:
		if (kafka_send(p->kafka, n, frame) != 1)
			break;
		p->count--;
		p->flying--;
		return false;
	case PUBLISH_TO_STDOUT:
		if (print_record(p, frame) != 0) {
			p->count--;
			p->flying--;
			return false;
		}
		settle(p, row, ROW_DELIVERED);
		break;
	case PUBLISH_TO_NOTHING:
		settle(p, row, ROW_DELIVERED);
		break;
	}
	p->last_sent = n;
	return true;
}

/* A new producer, where there is none. Returns 0, or -1 with the mistakes logged. */
static int
open_kafka(struct publisher *p)
{
	struct kafka_handler handler = { on_verdict, p };
	struct mistakes mistakes = { 0 };

	p->kafka = kafka_open(p->start->config, &handler, &mistakes);
	for (size_t i = 0; i < mistakes.count; i++)
		log_error("%s", mistakes.line[i]);
	mistakes_release(&mistakes);
	return p->kafka != NULL ? 0 : -1;
}

static void
lost(struct publisher *p, enum spool_status status)
{
	if (status == SPOOL_LOST)
		p->exit_code = EXIT_SPOOL_LOST;
	else if (status == SPOOL_FAILED)
		p->exit_code = EXIT_CANNOT_CREATE;
}

/* The oldest row flies for ever although Kafka confirms younger ones: only a new producer helps. */
static bool
is_stuck(struct publisher *p, int64_t now)
{
	const struct row *oldest = row_at(p, 0);

	if (!kafka_is_delivering(p->kafka))
		p->overtaken_us = 0; /* an outage is nobody's delay */
	if (p->count == 0 || oldest->state != ROW_FLYING || p->overtaken_us == 0 ||
	    now - p->overtaken_us < STUCK_US || p->delivered_us < p->overtaken_us + STUCK_US / 2)
		return false;
	log_warning(
	    "kafka: a record got no answer for %lld s while others did: a new producer is made",
	    (long long)((now - oldest->sent_us) / US_PER_S));
	return true;
}

/* Serve the producer, or make one. Whether it can take records now. */
static bool
kafka_is_ready(struct publisher *p, int64_t now)
{
	if (p->kafka != NULL) {
		kafka_poll(p->kafka);
		if (kafka_is_fatal(p->kafka) || is_stuck(p, now)) {
			p->rewind =
			    true; /* first: its rows come back as refused, for no other cause */
			back_off(p);
			kafka_close(p->kafka);
			p->kafka = NULL;
			p->flying = 0; /* nobody tells any more */
		}
	}
	if (now < p->not_before_us)
		return false;
	if (p->kafka != NULL || open_kafka(p) == 0)
		return true;
	back_off(p); /* its files may be back by then */
	return false;
}

static void
send_ready(struct publisher *p, int64_t now)
{
	enum spool_status status;
	uint64_t before;

	p->more_to_send = false;
	if (p->start->output == PUBLISH_TO_KAFKA && !kafka_is_ready(p, now))
		return;
	if (p->rewind) {
		if (p->flying > 0 || p->to_delete > 0)
			return; /* first the fate of all is known and the delivered ones are deleted */
		p->rewind = false;
		p->count = p->gone = 0;
		p->last_sent = 0;
		p->overtaken_us = 0;
	}
	if (p->handing_over || p->count >= window_limit(p) || unsent(p) == 0 ||
	    is_gathering(p, now))
		return;
	p->next_send_us = now + SEND_US;
	before = p->count;
	status = spool_read(p->spool, p->last_sent, READ_BATCH, send_row, p);
	if (status != SPOOL_OK)
		lost(p, status);
	p->more_to_send = p->count - before == READ_BATCH;
}

/* Alone, and at the end, records need not linger. */
static void
hurry(struct publisher *p)
{
	if (p->kafka != NULL && p->flying > 0 && (p->leave_us != 0 || window_limit(p) == 1))
		kafka_flush(p->kafka, 100);
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

/* Delete what was delivered, in runs: between neighbours of the window there are no other rows. */
static enum spool_status
delete_delivered(struct publisher *p, uint64_t *deleted)
{
	enum spool_status status = SPOOL_OK;
	uint64_t i = 0;

	*deleted = 0;
	while (i < p->count && *deleted < DELETE_MAX && status == SPOOL_OK) {
		uint64_t begin = i;

		if (row_at(p, i)->state == ROW_BURIED) {
			status = spool_bury(p->spool, row_at(p, i)->n, p->why_unfit);
			++*deleted;
			i++;
			continue;
		}
		while (i < p->count && i - begin + *deleted < DELETE_MAX &&
		       row_at(p, i)->state == ROW_DELIVERED)
			i++;
		if (i == begin) {
			i++;
			continue;
		}
		status = spool_delete(p->spool, row_at(p, begin)->n, row_at(p, i - 1)->n);
		*deleted += i - begin;
	}
	return status;
}

static void
forget_deleted(struct publisher *p, uint64_t deleted)
{
	p->to_delete -= deleted;
	for (uint64_t i = 0; i < p->count && deleted > 0; i++) {
		struct row *row = row_at(p, i);

		if (row->state != ROW_DELIVERED && row->state != ROW_BURIED)
			continue;
		row->state = ROW_GONE;
		p->gone++;
		deleted--;
	}
	while (p->count > 0 && row_at(p, 0)->state == ROW_GONE) {
		p->first = (p->first + 1) % p->window_size;
		p->count--;
		p->gone--;
		p->overtaken_us = 0;
	}
}

static enum spool_status
transact(struct publisher *p, const unsigned char *data, size_t size, size_t *used,
    unsigned *frames, uint64_t *deleted)
{
	enum spool_status status = spool_begin(p->spool);

	if (status == SPOOL_OK)
		status = apply_frames(p, data, size, used, frames);
	if (status == SPOOL_OK)
		status = delete_delivered(p, deleted);
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
	int eof;
	ssize_t size = pipe_peek_read(p->peek, &data, &eof);

	p->pipe_ready = false;
	if (size < 0) {
		log_error("cannot read the results pipe: %s", strerror(errno));
		p->exit_code = EXIT_OS;
		return;
	}
	p->pipe_eof = eof;
	if (size == 0 && p->to_delete == 0)
		return;
	status = transact(p, data, (size_t)size, &used, &frames, &deleted);
	if (status == SPOOL_RETRY && size > 0 && p->to_delete > 0)
		/* no room for new records: what was delivered must go all the same, to make some */
		status = transact(p, data, 0, &used, &frames, &deleted);
	if (status != SPOOL_OK) {
		lost(p, status);
		/* the frames stay in the pipe, whoever writes waits; try again in a while */
		p->tick_delay_us = p->tick_delay_us < US_PER_S ? US_PER_S : p->tick_delay_us;
		p->next_tick_us = util_mono_us() + p->tick_delay_us;
		return;
	}
	forget_deleted(p, deleted);
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
		.delivering = p->start->output != PUBLISH_TO_KAFKA ||
			      (p->kafka != NULL && kafka_is_delivering(p->kafka)),
		.queued = spool_count(p->spool),
		.delivered = p->delivered,
		.dead = spool_buried(p->spool) };

	if (p->orphaned_us != 0 || now < p->next_report_us)
		return;
	/* also when there is nothing new: the supervisor sees that we are alive */
	p->next_report_us = now + REPORT_US;
	if (send(p->start->control_fd, &report, sizeof(report), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("the supervisor does not listen: %s", strerror(errno));
}

static void
obey(struct publisher *p, int64_t now)
{
	enum wire_order order;
	ssize_t n = recv(p->start->control_fd, &order, sizeof(order), MSG_DONTWAIT);

	if (n == (ssize_t)sizeof(order)) {
		p->handing_over |= order == WIRE_HAND_OVER;
		p->no_flush |= order == WIRE_NO_FLUSH;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		/* the supervisor is dead: take what its checkers still write, and leave */
		p->orphaned_us = now;
		p->no_flush = true;
	}
}

/* Whether the pipe may be looked at: a reader of standard output that is slow holds all up. */
static bool
may_take_more(const struct publisher *p)
{
	return p->start->output == PUBLISH_TO_KAFKA || spool_count(p->spool) < p->window_size;
}

static bool
tick_is_due(const struct publisher *p, int64_t now)
{
	/* what is to be sent next waits for room in the window, or for the window to be empty */
	if (p->to_delete > 0 && p->tick_delay_us < US_PER_S &&
	    (p->to_delete >= DELETE_MAX || window_limit(p) == 1 || (p->rewind && p->flying == 0)))
		return true;
	if (now < p->next_tick_us)
		return false;
	return (p->pipe_ready && may_take_more(p)) ||
	       (p->to_delete > 0 && now >= p->next_tick_us + DELETE_AFTER_US);
}

/* Nothing more comes, or nobody wants it. */
static bool
is_leaving(const struct publisher *p, int64_t now)
{
	if (p->pipe_eof || p->handing_over || p->stdout_closed)
		return true;
	/* a checker that is stopped (SIGSTOP) would hold the pipe open for ever */
	return p->orphaned_us != 0 && now - p->orphaned_us > ORPHAN_WAIT_US;
}

/* What is on its way gets a little time; a reader of standard output as much as it needs. */
static bool
is_finished(struct publisher *p, int64_t now)
{
	if (p->exit_code >= 0)
		return true;
	if (!is_leaving(p, now))
		return false;
	if (p->leave_us == 0)
		p->leave_us = now + (p->handing_over ? FLUSH_RELOAD_US : FLUSH_STOP_US);
	if (p->no_flush || p->stdout_closed)
		return true;
	if (p->handing_over ? p->flying == 0 : spool_count(p->spool) == p->to_delete && !p->rewind)
		return true;
	return p->start->output == PUBLISH_TO_KAFKA && now >= p->leave_us;
}

static void
wait_for_work(struct publisher *p, int64_t now)
{
	bool stuck_output = p->start->output == PUBLISH_TO_STDOUT &&
			    spool_count(p->spool) > p->count;
	/* verdicts are needed for the next tick; only who waits for them is woken by each */
	bool gathering = is_gathering(p, now);
	bool eager = p->rewind || p->leave_us != 0 || (unsent(p) > 0 && !gathering) ||
		     window_limit(p) == 1;
	struct pollfd polls[] = {
		{ .fd = p->pipe_ready || p->pipe_eof ? -1 : p->start->pipe_fd, .events = POLLIN },
		{ .fd = p->orphaned_us != 0 ? -1 : p->start->control_fd, .events = POLLIN },
		{ .fd = p->kafka != NULL && eager ? kafka_fd(p->kafka) : -1, .events = POLLIN },
		{ .fd = stuck_output ? STDOUT_FILENO : -1, .events = POLLOUT },
	};
	bool busy = p->more_to_send || tick_is_due(p, now) || is_finished(p, now);
	int64_t wake = busy ? now : now + US_PER_S;

	if (p->pipe_ready && may_take_more(p) && p->next_tick_us < wake)
		wake = p->next_tick_us;
	if (p->to_delete > 0 && p->next_tick_us + DELETE_AFTER_US < wake)
		wake = p->next_tick_us + DELETE_AFTER_US;
	if (p->flying > 0 && !eager && now + GATHER_US < wake)
		wake = now + GATHER_US;
	if (p->not_before_us > now && p->not_before_us < wake)
		wake = p->not_before_us;
	if (gathering && !p->pipe_ready && p->next_send_us < wake) /* else behind a tick */
		wake = p->next_send_us;
	if (now >= p->next_shrink_us)
		p->next_shrink_us = now + (spool_shrink(p->spool) ? GATHER_US : SHRINK_US);
	if (p->next_shrink_us < wake)
		wake = p->next_shrink_us;
	if (poll(polls, ARRAY_LENGTH(polls),
		wake > now ? (int)((wake - now + 999) / US_PER_MS) : 0) <= 0)
		return;
	p->pipe_ready |= polls[0].revents != 0;
	if ((polls[0].revents & POLLHUP) != 0)
		spool_use_reserve(p->spool);
	if (polls[1].revents != 0)
		obey(p, util_mono_us());
}

/* The last transactions: what was delivered must not be sent again. */
static void
finish(struct publisher *p)
{
	uint64_t before;

	do {
		before = p->to_delete;
		tick(p);
	} while (p->to_delete > 0 && p->to_delete < before);
	if (p->start->output == PUBLISH_TO_KAFKA && spool_count(p->spool) > 0)
		log_info(
		    "%llu records wait in the spool", (unsigned long long)spool_count(p->spool));
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
		.lost_epoch = p->start->lost_epoch };

	/* at most a quarter of the spool, at a KiB a record, may be on its way */
	p->window_size = (uint64_t)options.max_bytes / 4096;
	if (p->window_size > WINDOW_MAX)
		p->window_size = WINDOW_MAX;
	options.window = p->window_size;
	p->window = xcalloc(p->window_size, sizeof(*p->window));
	switch (spool_open(&p->spool, &options)) {
	case SPOOL_OK:
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
	code = open_all(&p);
	if (code >= 0) {
		spool_close(p.spool);
		return code;
	}
	tell_supervisor(&p, util_mono_us());
	tick(&p); /* what a predecessor left in the pipe comes before anything is sent */
	for (;;) {
		int64_t now = util_mono_us();

		if (tick_is_due(&p, now))
			tick(&p);
		if (is_finished(&p, now))
			break;
		send_ready(&p, now);
		hurry(&p);
		tell_supervisor(&p, now);
		wait_for_work(&p, now);
	}
	if (p.exit_code < 0)
		finish(&p);
	else if (p.kafka != NULL && kafka_is_delivering(p.kafka))
		/* what is on its way may be in no spool any more */
		kafka_flush(p.kafka, FLUSH_RELOAD_US / US_PER_MS);
	spool_close(p.spool);
	return p.exit_code >= 0 ? p.exit_code : EXIT_FINE; /* the process ends, and what it has */
}
