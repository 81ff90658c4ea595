/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Finding a topic, its partitions and their offsets. Called by `verify`; nothing is fatal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "kafka_hints.h"
#include "property_file.h"
#include "topic_internal.h"

/* How long Kafka may take to answer for the first time. */
#define CONNECT_MS 15000

/* So many may keep as much in memory as is useful. */
#define AHEAD_PARTITIONS 8

/* When no broker can be reached for so long, none will be. */
#define HOPELESS_US (2 * US_PER_S)

static void
on_error(rd_kafka_t *rk, int error, const char *text, void *arg)
{
	struct topic *t = arg;

	(void)rk;
	if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		snprintf(t->error, sizeof(t->error), "%s", text);
	else if (t->hopeless_us == 0)
		t->hopeless_us = util_mono_us();
}

struct building {
	rd_kafka_conf_t *conf;
	struct mistakes *mistakes;
};

static void
set_property(void *arg, struct origin at, const char *name, const char *value)
{
	struct building *b = arg;
	char why[512];

	if (rd_kafka_conf_set(b->conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		mistakes_add(b->mistakes, at, "%s: %.*s", name, (int)strcspn(why, "\n"),
		    property_is_secret(name) ? "librdkafka does not take the value" : why);
}

/*
 * How much of each partition is kept in memory: more is hardly faster, and when there are many each
 * needs less. `partitions` is 0 when it is not known yet.
 */
static void
limit_ahead(rd_kafka_conf_t *conf, size_t partitions)
{
	static const struct {
		const char *name;
		size_t most, least;
	} limits[] = { { "queued.min.messages", 20000, 500 },
		{ "queued.max.messages.kbytes", 4096, 256 },
		{ "fetch.message.max.bytes", 524288, 65536 } };

	for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
		size_t value = limits[i].most;
		char text[32];

		if (partitions > AHEAD_PARTITIONS)
			value = value * AHEAD_PARTITIONS / partitions;
		snprintf(
		    text, sizeof(text), "%zu", value > limits[i].least ? value : limits[i].least);
		rd_kafka_conf_set(conf, limits[i].name, text, NULL, 0);
	}
}

/* Returns NULL with the reason in `mistakes` or `why`. */
static rd_kafka_conf_t *
make_conf(struct topic *t, const char *file, struct mistakes *mistakes, char *why, size_t size)
{
	static const char *const settings[][2] = { /* may be set otherwise in the file */
		{ "client.id", "webmondctl" }, { "check.crcs", "true" },
		{ "reconnect.backoff.max.ms", "1000" }, { "socket.timeout.ms", "10000" },
		{ "ssl.endpoint.identification.algorithm", "https" },
		/* may not: no transaction of somebody else may hold us up, and nothing is committed
		 * for a group that the file may name */
		{ NULL, NULL }, { "isolation.level", "read_uncommitted" },
		{ "auto.offset.reset", "earliest" }, { "enable.partition.eof", "true" },
		{ "allow.auto.create.topics", "false" }, { "enable.auto.commit", "false" },
		{ "auto.commit.enable", "false" }, { "enable.auto.offset.store", "false" },
		/* the file of a member may say consumer, and session.timeout.ms for the daemon */
		{ "group.protocol", "classic" }
	};
	struct building b = { rd_kafka_conf_new(), mistakes };
	struct property_reader reader = { mistakes, NULL, set_property, &b, false };

	why[0] = '\0';
	limit_ahead(b.conf, t->count);
	for (size_t i = 0; i < ARRAY_LENGTH(settings); i++) {
		const char *name = settings[i][0];

		if (name != NULL)
			rd_kafka_conf_set(b.conf, name, settings[i][1], NULL, 0);
		else if (!property_read_file(&reader, file, why, size))
			break;
	}
	t->looks_often = rd_kafka_conf_set(b.conf, "fetch.queue.backoff.ms", "10", NULL, 0) ==
			 RD_KAFKA_CONF_OK;
	rd_kafka_conf_set_opaque(b.conf, t);
	rd_kafka_conf_set_error_cb(b.conf, on_error);
	rd_kafka_conf_set_log_cb(b.conf, NULL);
	kafka_tls_watch(b.conf);
	if (why[0] == '\0' && mistakes->count == 0 && !reader.has_servers)
		snprintf(why, size, "it has no bootstrap.servers");
	if (why[0] == '\0' && mistakes->count == 0)
		return b.conf;
	rd_kafka_conf_destroy(b.conf);
	return NULL;
}

static int
connect_kafka(struct topic *t, const char *file, struct mistakes *mistakes, char *why)
{
	char said[512] = "";
	rd_kafka_conf_t *conf = make_conf(t, file, mistakes, said, sizeof(said));

	if (conf != NULL) {
		t->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, said, sizeof(said));
		if (t->rk == NULL)
			rd_kafka_conf_destroy(conf);
	}
	if (t->rk == NULL && said[0] != '\0')
		snprintf(why, TOPIC_REASON_SIZE, "%s: %s", file, said);
	if (t->rk == NULL)
		return EXIT_CONFIG;
	t->handle = rd_kafka_topic_new(t->rk, t->name, NULL);
	return EXIT_FINE;
}

void
topic_describe_last(struct topic *t, rd_kafka_resp_err_t error, char *out, size_t size)
{
	const char *text;
	char hint[TOPIC_REASON_SIZE / 2];

	rd_kafka_poll(t->rk, 0);
	text = t->error[0] != '\0' ? t->error : rd_kafka_err2str(error);
	kafka_find_hint(text, t->count > 0, hint, sizeof(hint));
	snprintf(out, size, "%s%s%s", hint, hint[0] != '\0' ? "; librdkafka: " : "", text);
}

int
topic_describe(struct topic *t, rd_kafka_resp_err_t error, char *why)
{
	char last[TOPIC_REASON_SIZE - 64];

	switch (error) {
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
		snprintf(why, TOPIC_REASON_SIZE, "there is no topic \"%s\"", t->name);
		return EXIT_NO_INPUT;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		snprintf(why, TOPIC_REASON_SIZE,
		    "give this user the right to read \"%s\" (Read and Describe), or create the "
		    "topic, if there is none of that name",
		    t->name);
		return EXIT_PERMISSION;
	default:
		topic_describe_last(t, error, last, sizeof(last));
		snprintf(why, TOPIC_REASON_SIZE, "cannot reach Kafka: %s", last);
		return EXIT_UNAVAILABLE;
	}
}

/* Wait for Kafka and make a partition for each of the topic's. */
static int
find_partitions(struct topic *t, char *why)
{
	int64_t deadline_us = util_mono_us() + CONNECT_MS * US_PER_MS;
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error;

	for (;;) {
		int64_t now;

		error = rd_kafka_metadata(t->rk, 0, t->handle, &metadata, 500);
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
			error = metadata->topic_cnt == 1 ? metadata->topics[0].err
							 : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
			if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
				t->count = (size_t)metadata->topics[0].partition_cnt;
			rd_kafka_metadata_destroy(metadata);
		}
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR && t->count > 0)
			break;
		rd_kafka_poll(t->rk, 0);
		now = util_mono_us();
		if (now >= deadline_us || topic_describe(t, error, why) != EXIT_UNAVAILABLE ||
		    (t->hopeless_us != 0 && now > t->hopeless_us + HOPELESS_US))
			return topic_describe(t, error, why);
	}
	t->partitions = xcalloc(t->count, sizeof(*t->partitions));
	return EXIT_FINE;
}

static int
find_offsets(struct topic *t, char *why)
{
	for (size_t i = 0; i < t->count; i++) {
		struct partition *p = &t->partitions[i];
		rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
		    t->rk, t->name, (int32_t)i, &p->low, &p->high, CONNECT_MS);

		if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
			return topic_describe(t, error, why);
		p->start = p->low;
	}
	return EXIT_FINE;
}

static int
find_time(struct topic *t, char *why)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)t->count);
	rd_kafka_resp_err_t error;

	for (size_t i = 0; i < t->count; i++)
		rd_kafka_topic_partition_list_add(list, t->name, (int32_t)i)->offset = t->since_ms;
	error = rd_kafka_offsets_for_times(t->rk, list, CONNECT_MS);
	for (int i = 0; i < list->cnt && error == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
		struct partition *p = &t->partitions[list->elems[i].partition];
		int64_t offset = list->elems[i].offset;

		error = list->elems[i].err;
		/* nothing is so new: the end */
		p->start = offset < 0 || offset > p->high ? p->high : offset;
		if (p->start < p->low)
			p->start = p->low;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return error == RD_KAFKA_RESP_ERR_NO_ERROR ? EXIT_FINE : topic_describe(t, error, why);
}

void
topic_stop(struct topic *t, size_t i)
{
	struct partition *p = &t->partitions[i];

	while (p->at < p->count)
		rd_kafka_message_destroy(p->batch[p->at++]);
	if (p->reading)
		rd_kafka_consume_stop(t->handle, (int32_t)i);
	p->reading = false;
}

static void
disconnect(struct topic *t)
{
	if (t->handle != NULL)
		rd_kafka_topic_destroy(t->handle);
	if (t->rk != NULL)
		rd_kafka_destroy(t->rk);
	t->handle = NULL;
	t->rk = NULL;
}

void
topic_close(struct topic *t)
{
	for (size_t i = 0; t->partitions != NULL && i < t->count; i++)
		topic_stop(t, i);
	disconnect(t);
	free(t->partitions);
	free(t);
}

int
topic_open(struct topic **topic, const char *properties, const char *name, int64_t since_ms,
    struct mistakes *mistakes, char why[TOPIC_REASON_SIZE])
{
	struct topic *t = xcalloc(1, sizeof(*t));
	int code;

	t->name = name;
	t->since_ms = since_ms;
	why[0] = '\0';
	code = connect_kafka(t, properties, mistakes, why);
	if (code == EXIT_FINE)
		code = find_partitions(t, why);
	if (code == EXIT_FINE && t->count > AHEAD_PARTITIONS) {
		disconnect(t); /* for other limits */
		code = connect_kafka(t, properties, mistakes, why);
	}
	if (code == EXIT_FINE)
		code = find_offsets(t, why);
	if (code == EXIT_FINE && since_ms != SCAN_NONE)
		code = find_time(t, why);
	if (code != EXIT_FINE) {
		topic_close(t);
		return code;
	}
	why[0] = '\0'; /* what a try before the last one said */
	*topic = t;
	return EXIT_FINE;
}

size_t
topic_partitions(const struct topic *t)
{
	return t->count;
}

int64_t
topic_begins_at(const struct topic *t, int partition)
{
	return t->partitions[partition].start;
}

bool
topic_begins_late(const struct topic *t, int partition, int64_t *until_ms)
{
	const struct partition *p = &t->partitions[partition];

	*until_ms = p->start > p->low ? t->since_ms : SCAN_NONE;
	return p->start > 0;
}
