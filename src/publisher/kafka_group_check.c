/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * For -T in a group: may this user be a member, and read what the others have written? It never
 * joins the group, so it disturbs nobody. Called by kafka_check.c; nothing is fatal.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kafka_internal.h"
#include "message.h"

/* With fewer shards one member has much more to do than another. */
#define SHARDS_FEW 4

static rd_kafka_resp_err_t
error_in(rd_kafka_event_t *event)
{
	const rd_kafka_ListConsumerGroupOffsets_result_t *result;
	const rd_kafka_group_result_t **groups;
	size_t count = 0;

	if (event == NULL)
		return RD_KAFKA_RESP_ERR__TIMED_OUT;
	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return rd_kafka_event_error(event);
	result = rd_kafka_event_ListConsumerGroupOffsets_result(event);
	groups = rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count);
	if (count != 1 || rd_kafka_group_result_error(groups[0]) == NULL)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	return rd_kafka_error_code(rd_kafka_group_result_error(groups[0]));
}

/* What only those get who may see the group; that there are no offsets does not matter. */
static rd_kafka_resp_err_t
ask_once(rd_kafka_t *rk, const char *group, int timeout_ms)
{
	rd_kafka_ListConsumerGroupOffsets_t *request = rd_kafka_ListConsumerGroupOffsets_new(
	    group, NULL);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(
	    rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_resp_err_t error;
	rd_kafka_event_t *event;

	rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, NULL, 0);
	rd_kafka_ListConsumerGroupOffsets(rk, &request, 1, options, queue);
	event = rd_kafka_queue_poll(queue, timeout_ms);
	error = error_in(event);
	if (event != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_ListConsumerGroupOffsets_destroy(request);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return error;
}

/* The first time that somebody asks for a group of its, a broker has to load them. */
static bool
passes(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
	       error == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
	       error == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
}

static rd_kafka_resp_err_t
ask_for_group(rd_kafka_t *rk, const char *group, int timeout_ms)
{
	const int64_t deadline_us = util_mono_us() + timeout_ms * US_PER_MS;
	rd_kafka_resp_err_t error;

	while (passes(error = ask_once(rk, group, timeout_ms)) && util_mono_us() < deadline_us)
		rd_kafka_poll(rk, 200);
	return error;
}

/* Wait at the end of a partition: only those are told that it is there who may read the topic. */
static rd_kafka_resp_err_t
read_end(rd_kafka_t *rk, const char *topic, int timeout_ms)
{
	rd_kafka_topic_partition_list_t *first = rd_kafka_topic_partition_list_new(1);
	const int64_t deadline_us = util_mono_us() + timeout_ms * US_PER_MS;
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	rd_kafka_message_t *message;

	rd_kafka_poll_set_consumer(rk);
	rd_kafka_topic_partition_list_add(first, topic, 0)->offset = RD_KAFKA_OFFSET_END;
	rd_kafka_assign(rk, first);
	rd_kafka_topic_partition_list_destroy(first);
	while (error == RD_KAFKA_RESP_ERR__TIMED_OUT && util_mono_us() < deadline_us) {
		message = rd_kafka_consumer_poll(rk, 100);
		if (message == NULL)
			continue;
		if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			error = RD_KAFKA_RESP_ERR_NO_ERROR;
		else if (message->rkt != NULL)
			error = message->err;
		rd_kafka_message_destroy(message);
	}
	return error;
}

struct findings {
	rd_kafka_resp_err_t read; /* of the topic */
	char strategy[32];
};

/* As a consumer with the settings of the member. Returns 0, or -1 with the reason in `said`. */
static int
look_as_member(
    struct findings *f, const struct config *config, int timeout_ms, char *said, size_t size)
{
	struct mistakes mistakes = { 0 };
	struct kafka_times times;
	rd_kafka_conf_t *conf = kafka_group_conf_new(config, &mistakes, &times);
	size_t length = sizeof(f->strategy);
	rd_kafka_t *rk = NULL;

	if (conf != NULL) {
		rd_kafka_conf_get(conf, "partition.assignment.strategy", f->strategy, &length);
		rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", NULL, 0);
		rd_kafka_conf_set_log_cb(conf, kafka_on_log);
		rk = kafka_client_new(RD_KAFKA_CONSUMER, conf, config, &mistakes);
	}
	if (rk != NULL) {
		rd_kafka_set_log_queue(rk, NULL);
		f->read = read_end(rk, config->kafka_topic, timeout_ms);
		rd_kafka_destroy(rk);
	} else {
		snprintf(said, size, "%s", mistakes.line[0]);
	}
	mistakes_release(&mistakes);
	return rk != NULL ? 0 : -1;
}

static void __attribute__((format(printf, 3, 4)))
add(char *said, size_t size, const char *format, ...)
{
	size_t n = strlen(said);
	va_list ap;

	va_start(ap, format);
	vsnprintf(said + n, size - n, format, ap);
	va_end(ap);
}

int
kafka_check_group(rd_kafka_t *rk, const struct config *config, int shards, int timeout_ms,
    char *said, size_t size)
{
	rd_kafka_resp_err_t error = ask_for_group(rk, config->kafka_group, timeout_ms);
	struct findings f = { .strategy = "" };
	char right[512];

	if (error == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED) {
		kafka_describe_unreadable("group", config->kafka_group, said, size);
		return -1;
	}
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		snprintf(said, size, "Kafka does not answer for the group \"%s\": %s",
		    config->kafka_group, rd_kafka_err2str(error));
		return -1;
	}
	if (shards > SHARDS_MAX) {
		snprintf(said, size,
		    "the topic has %d partitions, and a group at most %d: take a topic with fewer",
		    shards, SHARDS_MAX);
		return -1;
	}
	if (look_as_member(&f, config, timeout_ms, said, size) < 0)
		return -1;
	add(said, size, "; group %s, %d shard%s", config->kafka_group, shards,
	    util_plural((size_t)shards));
	if (shards < SHARDS_FEW)
		add(said, size,
		    " (no more than %d member%s can check; with 4 for each the sites are shared evenly)",
		    shards, util_plural((size_t)shards));
	kafka_describe_unreadable("topic", config->kafka_topic, right, sizeof(right));
	if (f.read == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
		add(said, size,
		    "; warning: when a member takes over, slots that nobody ran will be missing "
		    "without a record: %s",
		    right);
	else if (f.read != RD_KAFKA_RESP_ERR_NO_ERROR)
		add(said, size, "; warning: the topic cannot be read: %s",
		    rd_kafka_err2str(f.read));
	if (f.strategy[0] == 'r')
		add(said, size,
		    "; warning: with partition.assignment.strategy=%s all members pause, and most "
		    "shards move, when one comes or goes: leave it out",
		    f.strategy);
	return 0;
}
