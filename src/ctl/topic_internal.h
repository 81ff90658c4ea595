/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the files of a topic share, and the only place of `verify` that includes librdkafka:
 * topic_open.c connects, topic.c reads.
 */
#ifndef WEBMOND_TOPIC_INTERNAL_H
#define WEBMOND_TOPIC_INTERNAL_H

#include <librdkafka/rdkafka.h>

#include "topic.h"

/*
 * Messages that are taken at once; of many partitions fewer, so that together they are not too
 * many.
 */
#define BATCH            1000
#define BATCH_PARTITIONS 8

struct partition {
	int64_t low, start, high; /* offsets at topic_open() */
	int64_t next;
	int64_t top_ms; /* the latest time of the messages up to the one at `at` */
	bool reading, done;
	size_t at, count;
	rd_kafka_message_t *batch[BATCH];
};

struct topic {
	rd_kafka_t *rk;
	rd_kafka_topic_t *handle;
	const char *name;
	int64_t since_ms;
	struct partition *partitions;
	size_t count;
	char error[512];     /* the last one, in librdkafka's words */
	int64_t hopeless_us; /* since when no broker can be reached; 0: some can */
	int64_t progress_us;
	bool looks_often; /* librdkafka does, by itself */
};

/* Stop reading a partition, and free what was read of it. */
void topic_stop(struct topic *t, size_t i);

/* Tell `error` to the user. Returns the exit code for it. */
int topic_describe(struct topic *t, rd_kafka_resp_err_t error, char *why);

/* What librdkafka said last, or else of `error`, and before it what to do. */
void topic_describe_last(struct topic *t, rd_kafka_resp_err_t error, char *out, size_t size);

#endif
