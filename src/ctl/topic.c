/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Reading a topic by librdkafka's simple consumer, which needs no group. Called by `verify`;
 * nothing is fatal.
 */
#include "topic.h"

#include <stdio.h>

#include "exit.h"
#include "topic_internal.h"

/* How long Kafka may send nothing while there is more. */
#define STALL_US (60 * US_PER_S)

/* How long to wait for a message of a partition before looking at the others. */
#define WAIT_MS 10

static int
start_reading(struct topic *t, size_t i, int64_t offset, char *why)
{
	struct partition *p = &t->partitions[i];

	p->next = offset;
	p->top_ms = INT64_MIN;
	p->at = p->count = 0;
	if (rd_kafka_consume_start(t->handle, (int32_t)i, offset) != 0)
		return topic_describe(t, rd_kafka_last_error(), why);
	p->reading = true;
	return EXIT_FINE;
}

/* Get some messages of a partition that has none. Returns how many. */
static size_t
fill(struct topic *t, size_t i, int timeout_ms)
{
	struct partition *p = &t->partitions[i];
	ssize_t n;

	if (p->at < p->count)
		return p->count - p->at;
	n = rd_kafka_consume_batch(t->handle, (int32_t)i, timeout_ms, p->batch,
	    t->count > BATCH_PARTITIONS ? BATCH * BATCH_PARTITIONS / t->count + 1 : BATCH);
	p->at = 0;
	p->count = n > 0 ? (size_t)n : 0;
	if (p->count > 0)
		t->progress_us = util_mono_us();
	return p->count;
}

/* Take the next message of a partition. Returns as topic_read(). */
static int
take_next(struct topic *t, size_t i, int64_t end,
    void (*take)(struct judge *j, const struct message *m), struct judge *j, char *why)
{
	struct partition *p = &t->partitions[i];
	rd_kafka_message_t *got = p->batch[p->at++];
	struct message m = { .partition = (int)i,
		.offset = got->offset,
		.key = got->key,
		.key_size = got->key_len,
		.value = got->payload,
		.value_size = got->len };
	int code = EXIT_FINE;

	if (got->err == RD_KAFKA_RESP_ERR_NO_ERROR && got->offset < end) {
		take(j, &m);
		p->next = got->offset + 1;
	} else if (got->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		p->next = end; /* the last ones before it are empty */
	} else if (got->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		p->next = got->offset;
	} else {
		code = topic_describe(t, got->err, why);
		if (code == EXIT_UNAVAILABLE) {
			code = EXIT_FINE; /* librdkafka tries again */
			why[0] = '\0';
		}
	}
	rd_kafka_message_destroy(got);
	if (p->next >= end)
		p->done = true;
	return code;
}

/*
 * librdkafka before 2.2 looks once a second whether a queue that was full has room again, or when
 * something else happens at its connection: here a question.
 */
static void
wake(struct topic *t, size_t i)
{
	int64_t low, high;

	if (!t->looks_often)
		rd_kafka_query_watermark_offsets(
		    t->rk, t->name, (int32_t)i, &low, &high, 10 * WAIT_MS);
}

static int64_t
head_ms(const struct partition *p)
{
	return rd_kafka_message_timestamp(p->batch[p->at], NULL);
}

/*
 * Whether the next message of `a` is to be taken before that of `b`: the older one. When a clock
 * that was ahead has been set back, times fall in all partitions; one that is behind that place
 * must wait for the others to come there, too, so what counts first is the latest time up to now.
 */
static bool
is_older(const struct partition *a, const struct partition *b)
{
	return a->top_ms != b->top_ms ? a->top_ms < b->top_ms : head_ms(a) < head_ms(b);
}

/* Look at the time of the message that is next. */
static void
look_ahead(struct partition *p)
{
	if (p->at < p->count && head_ms(p) > p->top_ms)
		p->top_ms = head_ms(p);
}

/*
 * Have a message of each partition that has more. Returns the partition whose message is the
 * oldest, and in `*second` the one that comes after it. t->count: there is none, or `*waiting` for
 * it.
 */
static size_t
choose(struct topic *t, size_t *second, bool *waiting)
{
	size_t best = t->count;

	*second = t->count;
	*waiting = false;
	for (size_t i = 0; i < t->count; i++) {
		struct partition *p = &t->partitions[i];

		if (p->done)
			continue;
		if (fill(t, i, *waiting ? 0 : WAIT_MS) == 0) {
			if (!*waiting)
				wake(t, i);
			*waiting = true;
			continue;
		}
		look_ahead(p);
		if (best == t->count || is_older(p, &t->partitions[best])) {
			*second = best;
			best = i;
		} else if (*second == t->count || is_older(p, &t->partitions[*second])) {
			*second = i;
		}
	}
	return *waiting ? t->count : best;
}

static int
check_stall(struct topic *t, char *why)
{
	char last[TOPIC_REASON_SIZE - 64];

	rd_kafka_poll(t->rk, 0);
	if (util_mono_us() - t->progress_us < STALL_US)
		return EXIT_FINE;
	topic_describe_last(t, RD_KAFKA_RESP_ERR__TIMED_OUT, last, sizeof(last));
	snprintf(why, TOPIC_REASON_SIZE, "Kafka has sent nothing for %lld s: %s",
	    (long long)(STALL_US / US_PER_S), last);
	return EXIT_UNAVAILABLE;
}

int
topic_read(struct topic *t, void (*take)(struct judge *j, const struct message *m), struct judge *j,
    char why[TOPIC_REASON_SIZE])
{
	int code = EXIT_FINE;
	bool waiting;

	t->progress_us = util_mono_us();
	for (size_t i = 0; i < t->count && code == EXIT_FINE; i++) {
		struct partition *p = &t->partitions[i];

		p->done = p->start >= p->high;
		p->next = p->start;
		if (!p->done)
			code = start_reading(t, i, p->start, why);
	}
	while (code == EXIT_FINE) {
		size_t second, i = choose(t, &second, &waiting);
		struct partition *p = &t->partitions[i];

		if (i == t->count && !waiting)
			break;
		if (i == t->count)
			code = check_stall(t, why);
		else
			do {
				code = take_next(t, i, p->high, take, j, why);
				look_ahead(p);
			} while (code == EXIT_FINE && !p->done && p->at < p->count &&
				 (second == t->count || !is_older(&t->partitions[second], p)));
		/*
		 * else a request for it waits for new messages, and what others have waits for it
		 */
		if (i < t->count && p->done)
			topic_stop(t, i);
	}
	for (size_t i = 0; i < t->count; i++)
		topic_stop(t, i);
	return code;
}

int
topic_follow(struct topic *t, void (*take)(struct judge *j, const struct message *m),
    struct judge *j, int timeout_ms, char why[TOPIC_REASON_SIZE])
{
	int64_t end_us = util_mono_us() + timeout_ms * US_PER_MS;
	int code = EXIT_FINE;

	do {
		bool got = false;

		for (size_t i = 0; i < t->count && code == EXIT_FINE; i++) {
			struct partition *p = &t->partitions[i];

			if (!p->reading)
				code = start_reading(t, i, p->next, why);
			got |= code == EXIT_FINE && fill(t, i, 0) > 0;
			while (code == EXIT_FINE && p->at < p->count)
				code = take_next(t, i, INT64_MAX, take, j, why);
		}
		rd_kafka_poll(t->rk, got ? 0 : 100);
	} while (code == EXIT_FINE && util_mono_us() < end_us);
	if (code == EXIT_FINE && t->error[0] != '\0') {
		topic_describe(t, RD_KAFKA_RESP_ERR__TRANSPORT, why);
		t->error[0] = '\0';
	}
	return code;
}
