/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From the spool to Kafka, or to standard output: which records are on their way, and what became
 * of each. Called by the publisher, whose transactions delete what has arrived. Nothing is fatal:
 * what Kafka does not take now is sent again, in order.
 */
#include "sender.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kafka.h"
#include "log.h"

/*
 * Behind others records are not sent sooner than this, unless they are many: a request costs 100 µs
 * here, more at the broker, and each partition has its own. What comes alone goes at once.
 */
#define SEND_US   (250 * US_PER_MS)
#define SEND_BUSY 256

#define DELETE_MAX     1000 /* rows a transaction: keeps SQLite's log small */
#define BACKOFF_MAX_US (60 * US_PER_S)
#define READ_BATCH     1000

/* Longer than Kafka needs to replace a frozen broker is said; over when none takes half of it. */
#define SLOW_US (10 * US_PER_S)

/* A row without a verdict for so long, while others get theirs or wait, is stuck in librdkafka. */
#define STUCK_US (120 * US_PER_S)

/* What Kafka calls untimely is too old when it is older than that. */
#define TOO_OLD_US (3600 * US_PER_S)

enum row_state {
	ROW_FLYING,
	ROW_DELIVERED, /* to be deleted */
	ROW_REFUSED,   /* to be sent again */
	ROW_UNFIT,     /* to be sent again alone */
	ROW_BURIED,    /* refused even alone: to the dead letters */
};

struct row {
	uint64_t n;
	enum row_state state;
	int64_t sent_us; /* monotonic */
	int64_t slot_us; /* UTC */
};

void
sender_init(
    struct sender *s, const struct publisher_start *start, struct spool *spool, uint64_t window)
{
	*s = (struct sender){ .start = start, .spool = spool, .window_size = window };
	s->window = xcalloc(window, sizeof(*s->window));
}

/* --- verdicts ---------------------------------------------------------------------------- */

static void
settle(struct sender *s, struct row *row, enum row_state state)
{
	s->flying -= row->state == ROW_FLYING;
	s->to_delete += state == ROW_DELIVERED || state == ROW_BURIED;
	row->state = state;
}

/* Rows in the window ascend, but not without gaps: delivered ones leave. */
static struct row *
find_row(const struct sender *s, uint64_t n)
{
	uint64_t low = 0, high = s->count;

	while (low < high) {
		uint64_t middle = (low + high) / 2;

		if (s->window[middle].n < n)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && s->window[low].n == n ? &s->window[low] : NULL;
}

static void
back_off(struct sender *s)
{
	s->backoff_us = s->backoff_us == 0 ? US_PER_S : 2 * s->backoff_us;
	if (s->backoff_us > BACKOFF_MAX_US)
		s->backoff_us = BACKOFF_MAX_US;
	s->not_before_us = util_mono_us() + s->backoff_us;
}

static void
on_verdict(void *arg, uint64_t n, enum kafka_verdict verdict, const char *why)
{
	struct sender *s = arg;
	struct row *row = find_row(s, n);
	bool alone = s->count == 1 && n <= s->single_through;

	if (row == NULL || row->state != ROW_FLYING)
		return;
	/* an old one stays too old; a new one waits until the clocks agree */
	if (verdict == KAFKA_UNTIMELY)
		verdict = row->slot_us < util_utc_us() - TOO_OLD_US ? KAFKA_UNFIT : KAFKA_REFUSED;
	switch (verdict) {
	case KAFKA_DELIVERED:
		settle(s, row, ROW_DELIVERED);
		s->backoff_us = 0;
		s->probing = false;
		s->delivered_us = util_mono_us();
		if (s->overtaken_us == 0 && row != s->window)
			s->overtaken_us = s->delivered_us;
		s->delivered++;
		return;
	case KAFKA_UNTIMELY:
	case KAFKA_REFUSED:
		settle(s, row, ROW_REFUSED);
		break;
	case KAFKA_UNFIT:
		snprintf(s->why_unfit, sizeof(s->why_unfit), "%s", why);
		if (alone) {
			log_error(
			    "kafka: a record is refused for good: %s; it is kept in the dead letters "
			    "of the spool",
			    why);
			settle(s, row, ROW_BURIED);
			s->rewind = true; /* what takes its place is to be sent */
			return;
		}
		settle(s, row, ROW_UNFIT);
		if (n > s->single_through)
			s->single_through = n;
		break;
	}
	/* order is kept: nothing new goes out before this one is through */
	if (!s->rewind && verdict == KAFKA_REFUSED) {
		back_off(s);
		s->probing = true;
	}
	s->rewind = true;
}

static uint64_t
count_waiting(void *arg)
{
	struct sender *s = arg;

	s->catching_up = true;
	return spool_count(s->spool);
}

/* --- sending ----------------------------------------------------------------------------- */

/* A whole line, or false: there is no room now, or the reader has gone. */
static bool
print_record(struct sender *s, const struct frame *frame)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	char line[WIRE_PAYLOAD_MAX + 1];
	size_t size = frame->payload_size, done = 0;

	/* room for a line, else wait in the main loop: a slow reader is back-pressure */
	if (poll(&out, 1, 0) != 1 || (out.revents & (POLLOUT | POLLERR)) == 0)
		return false;
	memcpy(line, frame->payload, size);
	line[size++] = '\n';
	while (done < size) {
		ssize_t n = write(STDOUT_FILENO, line + done, size - done);

		if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			poll(&out, 1, 100);
			continue;
		}
		if (n < 0) {
			s->stdout_errno = errno;
			if (errno != EPIPE)
				log_error("cannot write to standard output: %s", strerror(errno));
			return false;
		}
		done += (size_t)n;
	}
	return true;
}

static uint64_t
window_limit(const struct sender *s)
{
	return s->probing || s->last_sent < s->single_through ? 1 : s->window_size;
}

/* Rows of the spool that are not in the window. */
static uint64_t
unsent(const struct sender *s)
{
	return spool_count(s->spool) - s->count;
}

bool
sender_is_gathering(const struct sender *s, int64_t now)
{
	return s->start->output == PUBLISH_TO_KAFKA && !s->leaving && window_limit(s) > 1 &&
	       unsent(s) > 0 && unsent(s) < SEND_BUSY && now < s->next_send_us;
}

/* One row goes out; false: no more now. */
static bool
send_row(void *arg, uint64_t n, const struct frame *frame)
{
	struct sender *s = arg;
	bool to_kafka = s->start->output == PUBLISH_TO_KAFKA, taken = true;
	struct row *row;

	if (s->count >= window_limit(s) || s->rewind || s->stdout_errno != 0)
		return false;
	/* before it goes: the verdict may come at once */
	row = &s->window[s->count];
	*row = (struct row){ n, ROW_FLYING, util_mono_us(), frame->slot_us };
	s->count++;
	s->flying++;
	if (to_kafka)
		taken = kafka_send(s->kafka, n, frame) != 1;
	else if (s->start->output == PUBLISH_TO_STDOUT)
		taken = print_record(s, frame);
	if (!taken) {
		s->count--;
		s->flying--;
		return false;
	}
	if (!to_kafka)
		settle(s, row, ROW_DELIVERED);
	s->last_sent = n;
	return true;
}

/* A new producer, where there is none; or false, with the mistakes logged. */
static bool
open_kafka(struct sender *s)
{
	struct kafka_handler handler = { on_verdict, count_waiting, s };
	struct mistakes mistakes = { 0 };

	s->kafka = kafka_open(s->start->config, &handler, &mistakes);
	for (size_t i = 0; i < mistakes.count; i++)
		log_error("%s", mistakes.line[i]);
	mistakes_release(&mistakes);
	return s->kafka != NULL;
}

/*
 * A row flies for ever, the oldest one although Kafka confirms younger ones, or any while a rewind
 * waits for it: only a new producer helps.
 */
static bool
is_stuck(struct sender *s, int64_t now)
{
	const struct row *oldest = s->window;
	bool holds_up_rewind, overtaken;

	if (!kafka_is_delivering(s->kafka))
		s->overtaken_us = 0; /* an outage is nobody's delay */
	holds_up_rewind = s->flying > 0 && now - s->forward_us >= STUCK_US;
	overtaken = s->count > 0 && oldest->state == ROW_FLYING && s->overtaken_us != 0 &&
		    now - s->overtaken_us >= STUCK_US &&
		    s->delivered_us >= s->overtaken_us + STUCK_US / 2;
	if (!holds_up_rewind && !overtaken)
		return false;
	log_warning(
	    "kafka: a record got no answer for %lld s and holds up others: a new producer is made",
	    (long long)((now - oldest->sent_us) / US_PER_S));
	return true;
}

/* Say it when the oldest row has flown for too long, unless all is known to stand still. */
static void
look_for_delay(struct sender *s, int64_t now)
{
	uint64_t oldest = 0;
	int64_t age_us;

	if (now < s->next_look_us)
		return;
	s->next_look_us = now + US_PER_S;
	while (oldest < s->count && s->window[oldest].state != ROW_FLYING)
		oldest++; /* they go with the next transaction */
	age_us = s->flying > 0 && oldest < s->count ? now - s->window[oldest].sent_us : 0;
	if (s->slow_us == 0 && age_us >= SLOW_US && sender_is_delivering(s)) {
		s->slow_us = now - age_us;
		log_warning(
		    "kafka: the oldest record on its way has had no answer for %lld s: a broker "
		    "hangs or is cut off, or Kafka is slow; records of other partitions go on",
		    (long long)(age_us / US_PER_S));
	} else if (s->slow_us != 0 && age_us < SLOW_US / 2) {
		log_notice("kafka: all records get their answers again after %lld s",
		    (long long)((now - s->slow_us) / US_PER_S));
		s->slow_us = 0;
	}
}

/* Serve the producer, or make one. Whether it can take records now. */
static bool
kafka_is_ready(struct sender *s, int64_t now)
{
	if (s->kafka != NULL) {
		kafka_poll(s->kafka);
		if (kafka_is_fatal(s->kafka) || is_stuck(s, now)) {
			/* this first: its rows come back as refused, for no other cause */
			s->rewind = true;
			back_off(s);
			kafka_close(s->kafka);
			s->kafka = NULL;
			s->flying = 0; /* nobody tells any more */
		}
		look_for_delay(s, now);
	}
	if (now < s->not_before_us)
		return false;
	if (s->kafka != NULL || open_kafka(s))
		return true;
	back_off(s); /* its files may be back by then */
	return false;
}

static enum spool_status
send_ready(struct sender *s, int64_t now)
{
	enum spool_status status;
	uint64_t before;

	s->more_to_send = false;
	if (!s->rewind)
		s->forward_us = now;
	if (s->catching_up && unsent(s) == 0 && s->flying == 0) {
		log_notice("kafka: all that waited is delivered");
		s->catching_up = false;
	}
	if (s->start->output == PUBLISH_TO_KAFKA && !kafka_is_ready(s, now))
		return SPOOL_OK;
	if (s->rewind) {
		/* first the fate of all is known and the delivered ones are deleted */
		if (s->flying > 0 || s->to_delete > 0)
			return SPOOL_OK;
		s->rewind = false;
		s->count = 0;
		s->last_sent = 0;
		s->overtaken_us = 0;
	}
	if (s->handing_over || s->count >= window_limit(s) || unsent(s) == 0 ||
	    sender_is_gathering(s, now))
		return SPOOL_OK;
	s->next_send_us = now + SEND_US;
	before = s->count;
	status = spool_read(s->spool, s->last_sent, READ_BATCH, send_row, s);
	s->more_to_send = s->count - before == READ_BATCH;
	return status;
}

enum spool_status
sender_send(struct sender *s, int64_t now)
{
	enum spool_status status = send_ready(s, now);

	/* alone, and at the end, records need not linger */
	if (s->kafka != NULL && s->flying > 0 && (s->leaving || window_limit(s) == 1))
		kafka_flush(s->kafka, 100);
	return status;
}

/* --- deleting ---------------------------------------------------------------------------- */

/* In runs: between neighbours of the window there are no other rows. */
enum spool_status
sender_delete(struct sender *s, uint64_t *deleted)
{
	enum spool_status status = SPOOL_OK;
	uint64_t i = 0;

	*deleted = 0;
	while (i < s->count && *deleted < DELETE_MAX && status == SPOOL_OK) {
		uint64_t begin = i;

		if (s->window[i].state == ROW_BURIED) {
			status = spool_bury(s->spool, s->window[i].n, s->why_unfit);
			++*deleted;
			i++;
			continue;
		}
		while (i < s->count && i - begin + *deleted < DELETE_MAX &&
		       s->window[i].state == ROW_DELIVERED)
			i++;
		if (i == begin) {
			i++;
			continue;
		}
		status = spool_delete(s->spool, s->window[begin].n, s->window[i - 1].n);
		*deleted += i - begin;
	}
	return status;
}

/* They make room, whatever still flies before them: one partition must not stop the others. */
void
sender_forget(struct sender *s, uint64_t deleted)
{
	uint64_t kept = 0;

	s->to_delete -= deleted;
	for (uint64_t i = 0; i < s->count; i++) {
		const struct row *row = &s->window[i];

		if (deleted == 0 || (row->state != ROW_DELIVERED && row->state != ROW_BURIED)) {
			s->window[kept++] = *row;
			continue;
		}
		deleted--;
		if (i == 0)
			s->overtaken_us = 0;
	}
	s->count = kept;
}

/* --- what the loop asks ------------------------------------------------------------------ */

bool
sender_wants_deletion(const struct sender *s)
{
	return s->to_delete > 0 && (s->to_delete >= DELETE_MAX || window_limit(s) == 1 ||
				       (s->rewind && s->flying == 0));
}

bool
sender_wants_verdicts(const struct sender *s, int64_t now)
{
	return s->rewind || s->leaving || window_limit(s) == 1 ||
	       (unsent(s) > 0 && !sender_is_gathering(s, now));
}

bool
sender_is_delivering(const struct sender *s)
{
	return s->start->output != PUBLISH_TO_KAFKA ||
	       (s->kafka != NULL && s->slow_us == 0 && kafka_is_delivering(s->kafka));
}

int
sender_fd(const struct sender *s)
{
	return s->kafka != NULL ? kafka_fd(s->kafka) : -1;
}

void
sender_flush(struct sender *s, int timeout_ms)
{
	if (s->kafka != NULL)
		kafka_flush(s->kafka, timeout_ms);
}
