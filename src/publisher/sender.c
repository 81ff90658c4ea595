/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From the spool to the output: which records are in flight, and what became of each. Called by the
 * publisher, whose transactions delete what has arrived. Nothing is fatal: what is not taken now is
 * sent again, in order.
 */
#include "sender.h"

#include <stdio.h>
#include <string.h>

#include "log.h"
#include "trouble.h"

/*
 * Fewer records than this wait until LINGER_US after the last round of sending: a request costs 100
 * µs here, more at the broker, and each partition has its own. A record that comes alone goes at
 * once. librdkafka's own linger.ms=250 with batch.num.messages=256 costs its threads a fifth more.
 */
#define LINGER_US    (250 * US_PER_MS)
#define LINGER_BELOW 256

#define ANSWERS_US     (100 * US_PER_MS) /* how often answers are taken that nobody waits for */
#define DELETE_MAX     1000              /* rows a transaction: keeps SQLite's log small */
#define BACKOFF_MAX_US (60 * US_PER_S)
#define READ_BATCH     1000

/* Longer than Kafka takes to replace a frozen broker is logged; over when none takes half of it. */
#define SLOW_US (10 * US_PER_S)

/* A row without an answer for this time, while others get theirs or wait, is lost in librdkafka. */
#define STUCK_US (120 * US_PER_S)

/* What Kafka calls untimely is too old when it is older than that. */
#define TOO_OLD_US (3600 * US_PER_S)

enum row_state {
	ROW_IN_FLIGHT,
	ROW_DELIVERED, /* to be deleted */
	ROW_REFUSED,   /* to be sent again */
	ROW_DEAD,      /* refused even alone: to the dead letters */
};

struct row {
	uint64_t n;
	enum row_state state;
	int64_t sent_us; /* monotonic */
	int64_t slot_us; /* UTC */
};

void
sender_init(struct sender *s, const struct output *output, const struct config *config,
    struct spool *spool, uint64_t window)
{
	*s = (struct sender){
		.output = output, .config = config, .spool = spool, .window_size = window
	};
	s->window = xcalloc(window, sizeof(*s->window));
}

/* --- answers ----------------------------------------------------------------------------- */

static void
set_state(struct sender *s, struct row *row, enum row_state state)
{
	s->in_flight -= row->state == ROW_IN_FLIGHT;
	s->to_delete += state == ROW_DELIVERED || state == ROW_DEAD;
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
	s->backoff_us = util_backoff(s->backoff_us, US_PER_S, BACKOFF_MAX_US);
	s->not_before_us = util_mono_us() + s->backoff_us;
}

static void
on_delivered(struct sender *s, struct row *row)
{
	set_state(s, row, ROW_DELIVERED);
	s->backoff_us = 0;
	s->single_mode = false;
	s->overtaken |= row != s->window;
	s->delivered++;
}

/* It, or another one of its batch, is refused for its own sake: alone it shows which one. */
static void
on_unfit(struct sender *s, struct row *row, const char *why)
{
	bool was_alone = s->count == 1 && row->n <= s->single_through;

	snprintf(s->why_unfit, sizeof(s->why_unfit), "%s", why);
	if (was_alone) {
		log_error("kafka: a record is refused for good: %s; it is kept in the dead letters "
			  "of the spool",
		    why);
		set_state(s, row, ROW_DEAD);
		return;
	}
	set_state(s, row, ROW_REFUSED);
	if (row->n > s->single_through)
		s->single_through = row->n;
}

static void
on_answer(void *arg, uint64_t n, enum answer answer, const char *why)
{
	struct sender *s = arg;
	struct row *row = find_row(s, n);

	if (row == NULL || row->state != ROW_IN_FLIGHT)
		return;
	if (answer == ANSWER_DELIVERED) {
		on_delivered(s, row);
		return;
	}
	/* an old one stays too old; a new one waits until the clocks agree */
	if (answer == ANSWER_UNFIT ||
	    (answer == ANSWER_UNTIMELY && row->slot_us < util_utc_us() - TOO_OLD_US)) {
		on_unfit(s, row, why);
	} else {
		set_state(s, row, ROW_REFUSED);
		if (!s->resend) {
			back_off(s);
			s->single_mode = true;
		}
	}
	/* order is kept: nothing new goes out before this one, or what takes its place, is
	 * through */
	s->resend = true;
}

static uint64_t
count_waiting(void *arg)
{
	struct sender *s = arg;

	s->catching_up = true;
	return spool_count(s->spool);
}

/* --- sending ----------------------------------------------------------------------------- */

static uint64_t
window_limit(const struct sender *s)
{
	return s->single_mode || s->last_sent < s->single_through ? 1 : s->window_size;
}

/* Rows of the spool that are not in the window. */
static uint64_t
unsent(const struct sender *s)
{
	return spool_count(s->spool) - s->count;
}

static bool
is_lingering(const struct sender *s, int64_t now)
{
	return s->output->durable && s->mode == SENDER_LINGERS && window_limit(s) > 1 &&
	       unsent(s) > 0 && unsent(s) < LINGER_BELOW && now < s->next_send_us;
}

/* Whether the next step needs the answers to what is in flight, or room in the output. */
static bool
waits_for_output(const struct sender *s, int64_t now)
{
	return s->resend || s->mode != SENDER_LINGERS || window_limit(s) == 1 ||
	       (unsent(s) > 0 && !is_lingering(s, now));
}

/* One row goes out; false: no more now. */
static bool
send_row(void *arg, uint64_t n, const struct frame *frame)
{
	struct sender *s = arg;

	if (s->count >= window_limit(s) || s->resend)
		return false;
	/* before it goes: the answer may come at once */
	s->window[s->count++] = (struct row){ n, ROW_IN_FLIGHT, util_mono_us(), frame->slot_us };
	s->in_flight++;
	if (!s->output->send(s->handle, n, frame)) {
		s->count--;
		s->in_flight--;
		return false;
	}
	s->last_sent = n;
	return true;
}

/* False: that failed, with the mistakes logged. */
static bool
open_output(struct sender *s)
{
	struct output_handler handler = { on_answer, count_waiting, s };
	struct mistakes mistakes = { 0 };

	s->handle = s->output->open(s->config, &handler, &mistakes);
	trouble_log(&mistakes);
	return s->handle != NULL;
}

/*
 * Whether an answer is lost: a row has none although Kafka answers rows behind it, or while all
 * others wait to be sent again. Only a new producer helps. In an outage all wait, and nothing is
 * lost.
 */
static bool
is_stuck(struct sender *s, int64_t now)
{
	bool others_had_answers = s->resend ||
				  (s->overtaken && sender_output_state(s) == OUTPUT_DELIVERING);

	if (s->in_flight == 0 || !others_had_answers || s->window->n != s->oldest)
		s->last_progress_us = now;
	s->oldest = s->window->n;
	if (now - s->last_progress_us < STUCK_US)
		return false;
	log_warning(
	    "kafka: a record got no answer for %lld s and holds up others: a new producer is made",
	    (long long)((now - s->window->sent_us) / US_PER_S));
	return true;
}

/* Log a row that has waited too long, unless nothing gets through at all. */
static void
check_for_delay(struct sender *s, int64_t now)
{
	uint64_t oldest = 0;
	int64_t age_us;

	while (oldest < s->count && s->window[oldest].state != ROW_IN_FLIGHT)
		oldest++; /* they leave with the next transaction */
	age_us = s->in_flight > 0 && oldest < s->count ? now - s->window[oldest].sent_us : 0;
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

/* Serve the output, or open it. Whether it can take records now. */
static bool
output_is_ready(struct sender *s, int64_t now)
{
	if (s->handle != NULL) {
		s->output->serve(s->handle, 0);
		if (sender_output_state(s) == OUTPUT_BROKEN || is_stuck(s, now)) {
			/* this first: its rows come back as refused, for no other cause */
			s->resend = true;
			back_off(s);
			s->output->close(s->handle);
			s->handle = NULL;
			s->in_flight = 0; /* no answers come any more */
		}
		check_for_delay(s, now);
	}
	if (now < s->not_before_us)
		return false;
	if (s->handle != NULL || open_output(s))
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
	if (s->catching_up && unsent(s) == 0 && s->in_flight == 0) {
		log_notice("kafka: all that waited is delivered");
		s->catching_up = false;
	}
	if (!output_is_ready(s, now))
		return SPOOL_OK;
	if (s->resend) {
		/* first all answers are here and what was delivered is deleted */
		if (s->in_flight > 0 || s->to_delete > 0)
			return SPOOL_OK;
		s->resend = false;
		s->count = 0;
		s->overtaken = false;
		s->last_sent = s->oldest = 0; /* the time for an answer begins anew */
	}
	if (s->mode == SENDER_STOPS || s->count >= window_limit(s) || unsent(s) == 0 ||
	    is_lingering(s, now))
		return SPOOL_OK;
	s->next_send_us = now + LINGER_US;
	before = s->count;
	status = spool_read(s->spool, s->last_sent, READ_BATCH, send_row, s);
	s->more_to_send = s->count - before == READ_BATCH;
	return status;
}

enum spool_status
sender_send(struct sender *s, int64_t now)
{
	enum spool_status status = send_ready(s, now);

	/* a single one, and the last ones, need not linger in the producer */
	if (s->in_flight > 0 && (s->mode != SENDER_LINGERS || window_limit(s) == 1))
		sender_flush(s, 100);
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
		const struct row *row = &s->window[i];
		uint64_t run = row->state == ROW_DEAD || row->state == ROW_DELIVERED;

		if (row->state == ROW_DEAD) {
			status = spool_dead_letter(s->spool, row->n, s->why_unfit);
		} else if (row->state == ROW_DELIVERED) {
			while (i + run < s->count && *deleted + run < DELETE_MAX &&
			       row[run].state == ROW_DELIVERED)
				run++;
			status = spool_delete(s->spool, row->n, row[run - 1].n);
		}
		*deleted += run;
		i += run > 0 ? run : 1;
	}
	return status;
}

/* They make room, whatever is still in flight before them: a partition must not stop the others. */
void
sender_deleted(struct sender *s, uint64_t deleted)
{
	uint64_t kept = 0;

	s->to_delete -= deleted;
	for (uint64_t i = 0; i < s->count; i++) {
		const struct row *row = &s->window[i];

		if (deleted == 0 || (row->state != ROW_DELIVERED && row->state != ROW_DEAD)) {
			s->window[kept++] = *row;
			continue;
		}
		deleted--;
		if (i == 0)
			s->overtaken = false; /* the oldest has its answer */
	}
	s->count = kept;
}

/* --- what the loop asks ------------------------------------------------------------------ */

bool
sender_wants_deletion(const struct sender *s)
{
	return s->to_delete > 0 && (s->to_delete >= DELETE_MAX || window_limit(s) == 1 ||
				       (s->resend && s->in_flight == 0));
}

int64_t
sender_wake_us(const struct sender *s, int64_t now, bool tick_is_coming)
{
	int64_t wake = INT64_MAX;

	if (s->more_to_send)
		return now;
	if (s->not_before_us > now)
		wake = s->not_before_us;
	if (is_lingering(s, now) && !tick_is_coming && s->next_send_us < wake)
		wake = s->next_send_us;
	if (s->in_flight > 0 && !waits_for_output(s, now) && now + ANSWERS_US < wake)
		wake = now + ANSWERS_US;
	return wake;
}

struct pollfd
sender_wait_for(const struct sender *s, int64_t now)
{
	/* others take the answers from time to time, and are not woken by each */
	if (s->handle != NULL && (s->in_flight > 0 || unsent(s) > 0) && waits_for_output(s, now))
		return s->output->wait_for(s->handle);
	return (struct pollfd){ .fd = -1 };
}

bool
sender_has_room(const struct sender *s)
{
	return s->output->durable || spool_count(s->spool) < s->window_size;
}

bool
sender_is_done(const struct sender *s)
{
	return spool_count(s->spool) == s->to_delete && !s->resend;
}

enum output_state
sender_output_state(const struct sender *s)
{
	return s->handle != NULL ? s->output->state(s->handle) : OUTPUT_FAILING;
}

bool
sender_is_delivering(const struct sender *s)
{
	return s->slow_us == 0 && sender_output_state(s) == OUTPUT_DELIVERING;
}

void
sender_flush(struct sender *s, int timeout_ms)
{
	if (s->handle != NULL)
		s->output->serve(s->handle, timeout_ms);
}
