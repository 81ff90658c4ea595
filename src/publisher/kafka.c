/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The producer. Called by the publisher and the validation child; nothing is fatal here. Trouble is
 * logged once per cause with what to do about it, and once when it is over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kafka_internal.h"
#include "log.h"
#include "payload.h"
#include "trouble.h"

struct kafka {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	struct output_handler handler;
	char *topic_name;
	int event_fd;
	bool fatal;
	bool delivering;
	bool wraps; /* kafka.format: each record is sent with its schema */
};

/* Causes of an outage that are logged, each once; more are not. */
#define CAUSES_MAX 8

/* The present outage. It belongs to the process: it may outlive a producer. */
static struct {
	int64_t since_us; /* 0: none */
	char logged[CAUSES_MAX][160];
	size_t count;
} trouble;

/* This process has delivered records: its settings work, and they never change. */
static bool worked;

/* --- trouble ----------------------------------------------------------------------------- */

/*
 * Log a cause once in an outage. Causes are the same if they differ in numbers only: ports, ids,
 * times.
 */
static void
note_trouble(struct kafka *k, const char *cause, const char *line)
{
	char bare[sizeof(trouble.logged[0])];
	size_t n = 0;

	if (trouble.since_us == 0)
		trouble.since_us = util_mono_us();
	k->delivering = false;
	trouble_note(line);
	for (const char *c = cause; *c != '\0' && n < sizeof(bare) - 1; c++)
		if (*c < '0' || *c > '9')
			bare[n++] = *c;
	bare[n] = '\0';
	for (size_t i = 0; i < trouble.count; i++)
		if (strcmp(bare, trouble.logged[i]) == 0)
			return;
	if (trouble.count == CAUSES_MAX)
		return;
	memcpy(trouble.logged[trouble.count++], bare, n + 1);
	log_warning("kafka: %s", line);
}

/* Texts with the same hint have the same cause. The hint comes first: a long line is cut. */
static void
note_error(struct kafka *k, const char *text)
{
	char hint[PUBLISHER_REASON_SIZE], line[2 * PUBLISHER_REASON_SIZE + 16];

	kafka_find_hint(text, worked, hint, sizeof(hint));
	if (hint[0] == '\0') {
		note_trouble(k, text, text);
		return;
	}
	snprintf(line, sizeof(line), "%s; librdkafka: %s", hint, text);
	note_trouble(k, hint, line);
}

static void
note_delivery(struct kafka *k)
{
	if (trouble.since_us != 0) {
		uint64_t waiting = k->handler.waiting(k->handler.arg);

		log_notice("kafka: delivering again after %lld s: %llu record%s waited",
		    (long long)((util_mono_us() - trouble.since_us) / US_PER_S),
		    (unsigned long long)waiting, util_plural(waiting));
	} else if (!k->delivering) {
		log_info("kafka: delivering to topic \"%s\"", k->topic_name);
	}
	trouble.since_us = 0;
	trouble.count = 0;
	k->delivering = worked = true;
}

/* --- what comes back --------------------------------------------------------------------- */

/*
 * When a connection ends, librdkafka guesses that settings are wrong. Once they have worked, that
 * cannot be. Returns the text without the guess, in `buffer` if need be.
 */
static const char *
without_guess(const char *text, char *buffer, size_t size)
{
	static const char *const guesses[] = { ": verify that security.protocol",
		": might be caused by" };

	for (size_t i = 0; worked && i < ARRAY_LENGTH(guesses); i++) {
		const char *guess = strstr(text, guesses[i]);

		if (guess != NULL) {
			snprintf(buffer, size, "%.*s", (int)(guess - text), text);
			return buffer;
		}
	}
	return text;
}

static void
on_error(rd_kafka_t *rk, int error, const char *text, void *arg)
{
	struct kafka *k = arg;
	char why[PUBLISHER_REASON_SIZE], line[PUBLISHER_REASON_SIZE + 64];

	if (k == NULL)
		return;
	if (error == RD_KAFKA_RESP_ERR__FATAL) {
		rd_kafka_resp_err_t cause = rd_kafka_fatal_error(rk, why, sizeof(why));

		k->fatal = true;
		kafka_describe_refusal(cause, k->topic_name, why, sizeof(why));
		snprintf(line, sizeof(line), "%s; a new producer is made", why);
		note_trouble(k, why, line);
		return;
	}
	if (error == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE) {
		/* it would go on without this thread, and never connect */
		k->fatal = true;
		snprintf(line, sizeof(line),
		    "raise the limit of threads (TasksMax, ulimit -u); a new producer is made; "
		    "librdkafka: %s",
		    text);
		note_trouble(k, "a limit of threads or memory", line);
		return;
	}
	if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		k->delivering = false; /* the reason came before */
		return;
	}
	note_error(k, without_guess(text, why, sizeof(why)));
}

/* A record is not taken, or was not delivered: its answer. */
static void
refuse(struct kafka *k, uint64_t row, rd_kafka_resp_err_t error)
{
	enum answer answer = ANSWER_REFUSED;
	char why[PUBLISHER_REASON_SIZE];

	kafka_describe_refusal(error, k->topic_name, why, sizeof(why));
	switch (error) {
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INVALID_MSG:
	case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
		answer = ANSWER_UNFIT;
		break;
	case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
	case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
		break;
	default:
		if (error == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP)
			answer = ANSWER_UNTIMELY;
		if (!k->fatal)
			note_trouble(k, why, why);
	}
	k->handler.answer(k->handler.arg, row, answer, why);
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
	struct kafka *k = arg;
	uint64_t row = (uint64_t)(uintptr_t)message->_private;

	(void)rk;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		refuse(k, row, message->err);
		return;
	}
	note_delivery(k);
	/* without an offset librdkafka infers it from a later request that was taken, and may be
	 * wrong: a broker that forgot the producer also takes that later one */
	k->handler.answer(
	    k->handler.arg, row, message->offset >= 0 ? ANSWER_DELIVERED : ANSWER_REFUSED, "");
}

/* --- the producer ------------------------------------------------------------------------ */

static void
kafka_close(void *handle)
{
	struct kafka *k = handle;

	if (k->rk != NULL) {
		rd_kafka_purge(k->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		rd_kafka_flush(k->rk, 1000); /* serves the answers of what was purged */
	}
	if (k->topic != NULL)
		rd_kafka_topic_destroy(k->topic);
	if (k->rk != NULL)
		rd_kafka_destroy(k->rk);
	close(k->event_fd);
	free(k->topic_name);
	free(k);
}

static void *
kafka_open(
    const struct config *config, const struct output_handler *handler, struct mistakes *mistakes)
{
	rd_kafka_conf_t *conf = kafka_conf_new(config, mistakes);
	struct origin at = config_origin(&config->at, "kafka");
	const uint64_t one = 1;
	rd_kafka_queue_t *queue;
	struct kafka *k;

	if (conf == NULL)
		return NULL;
	k = xcalloc(1, sizeof(*k));
	k->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->event_fd < 0) {
		mistakes_add(mistakes, at, "kafka: %s", strerror(errno));
		free(k);
		return NULL;
	}
	k->handler = *handler;
	k->wraps = config->kafka_format == KAFKA_FORMAT_JSON_CONNECT;
	k->topic_name = xstrdup(config->kafka_topic);
	rd_kafka_conf_set_opaque(conf, k);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, kafka_on_log);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	k->rk = kafka_client_new(RD_KAFKA_PRODUCER, conf, config, mistakes);
	if (k->rk == NULL) {
		kafka_close(k);
		return NULL;
	}
	rd_kafka_set_log_queue(
	    k->rk, NULL); /* logs come by kafka_serve(), not from other threads */
	k->topic = rd_kafka_topic_new(k->rk, k->topic_name, NULL);
	if (k->topic == NULL) {
		mistakes_add(
		    mistakes, at, "kafka.topic: %s", rd_kafka_err2str(rd_kafka_last_error()));
		kafka_close(k);
		return NULL;
	}
	queue = rd_kafka_queue_get_main(k->rk);
	rd_kafka_queue_io_event_enable(queue, k->event_fd, &one, sizeof(one));
	rd_kafka_queue_destroy(queue);
	return k;
}

/* Content type and CloudEvents attributes, so that a consumer need not look into the payload. */
static rd_kafka_headers_t *
make_headers(const struct frame *frame)
{
	rd_kafka_headers_t *h = rd_kafka_headers_new(6);
	char id[WIRE_EPOCH_SIZE + 24], when[UTIL_RFC3339_SIZE];

	snprintf(id, sizeof(id), "%s-%llu", frame->epoch, (unsigned long long)frame->seq);
	util_rfc3339(when, frame->slot_us);
	rd_kafka_header_add(h, "content-type", -1, "application/json", -1);
	rd_kafka_header_add(h, "ce_specversion", -1, "1.0", -1);
	rd_kafka_header_add(h, "ce_id", -1, id, -1);
	rd_kafka_header_add(h, "ce_source", -1, frame->instance, (ssize_t)frame->instance_size);
	rd_kafka_header_add(h, "ce_type", -1, "webmond.check.v1", -1);
	rd_kafka_header_add(h, "ce_time", -1, when, -1);
	return h;
}

static bool
kafka_send(void *handle, uint64_t row, const struct frame *frame)
{
	struct kafka *k = handle;
	rd_kafka_headers_t *headers = make_headers(frame);
	int64_t now = util_utc_us();
	size_t size = frame->payload_size;
	char *value = k->wraps ? payload_envelope(frame, &size) : (char *)frame->payload;
	rd_kafka_vu_t arguments[] = {
		{ .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = k->topic },
		{ .vtype = RD_KAFKA_VTYPE_MSGFLAGS,
		    .u.i = k->wraps ? RD_KAFKA_MSG_F_FREE : RD_KAFKA_MSG_F_COPY },
		{ .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { (void *)frame->site, frame->site_size } },
		{ .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { value, size } },
		/* a clock that was ahead must not have Kafka refuse records until that time
		 * comes */
		{ .vtype = RD_KAFKA_VTYPE_TIMESTAMP,
		    .u.i64 = (frame->slot_us < now ? frame->slot_us : now) / US_PER_MS },
		{ .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
		{ .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)row },
	};
	rd_kafka_error_t *error = rd_kafka_produceva(k->rk, arguments, ARRAY_LENGTH(arguments));
	rd_kafka_resp_err_t code;

	if (error == NULL)
		return true;
	code = rd_kafka_error_code(error);
	rd_kafka_error_destroy(error);
	rd_kafka_headers_destroy(headers); /* ours again, and so is the value */
	if (k->wraps)
		free(value);
	if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return false;
	k->fatal |= code == RD_KAFKA_RESP_ERR__FATAL;
	refuse(k, row, code);
	return true;
}

static void
kafka_serve(void *handle, int flush_ms)
{
	struct kafka *k = handle;
	uint64_t events;

	(void)!read(k->event_fd, &events, sizeof(events));
	while (rd_kafka_poll(k->rk, 0) > 0)
		;
	if (flush_ms > 0)
		rd_kafka_flush(k->rk, flush_ms);
}

static struct pollfd
kafka_wait_for(const void *handle)
{
	const struct kafka *k = handle;

	return (struct pollfd){ .fd = k->event_fd, .events = POLLIN };
}

static enum output_state
kafka_state(const void *handle)
{
	const struct kafka *k = handle;

	if (k->fatal)
		return OUTPUT_BROKEN;
	return k->delivering ? OUTPUT_DELIVERING : OUTPUT_FAILING;
}

const struct output output_kafka = {
	.durable = true,
	.open = kafka_open,
	.close = kafka_close,
	.send = kafka_send,
	.serve = kafka_serve,
	.wait_for = kafka_wait_for,
	.state = kafka_state,
};
