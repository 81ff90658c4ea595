/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Reading the tails of shards. Called by group.c; nothing is fatal, and the thread logs nothing.
 *
 * Two of the questions, how many partitions there are and where a time begins in them, librdkafka
 * answers only to calls that wait, and a fork would have none of its threads: so this is a thread.
 * It ends by itself, and uses the simple consumer, with which what follows what is plain.
 */
#include "kafka_tail.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kafka_internal.h"
#include "log.h"
#include "trouble.h"

#define COUNT_MS 4000 /* to connect, and to ask for the partitions */
#define FIND_MS  3000 /* where the tails begin */
#define READ_MS  3000
#define BATCH    1000

#define TIME_SIZE 24 /* "2026-11-23T10:15:02.123Z" */

struct reading {
	struct kafka_tail *tail;
	const struct config *config;
	int wake_fd;
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	rd_kafka_topic_partition_list_t *list; /* of what is read */
	char group[96];                        /* as it stands in a record */
	uint32_t unread;                       /* shards */
	int64_t limit_us;                      /* UTC: slots that are later than this are none */
};

/* --- records ----------------------------------------------------------------------------- */

/* What follows `name` in a record; NULL: it is not there. In a string its quotes were escaped. */
static const char *
find(const rd_kafka_message_t *m, const char *name, size_t room)
{
	const char *at = memmem(m->payload, m->len, name, strlen(name));

	if (at == NULL)
		return NULL;
	at += strlen(name);
	return (size_t)((const char *)m->payload + m->len - at) >= room ? at : NULL;
}

static int
status_of(const rd_kafka_message_t *m)
{
	const char *at = find(m, "\"status\":\"", 8);

	for (int s = STATUS_UP; at != NULL && s <= STATUS_UNKNOWN; s++)
		if (strncmp(at, status_name(s), strlen(status_name(s))) == 0)
			return s;
	return -1;
}

/* Returns microseconds, UTC; 0: it is no time. */
static int64_t
read_time(const char *at)
{
	char text[TIME_SIZE + 1];
	struct tm tm = { 0 };
	int ms;

	snprintf(text, sizeof(text), "%.*s", TIME_SIZE, at);
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) != 7)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return timegm(&tm) * US_PER_S + ms * US_PER_MS;
}

/* A record: which slot of which site it is of, if it is one of our group. */
static void
take_record(struct reading *r, const rd_kafka_message_t *m)
{
	struct tail_shard *shard = &r->tail->shard[m->partition];
	const char *at = find(m, "\"scheduled_at\":\"", TIME_SIZE);
	char name[CONFIG_NAME_MAX + 1];
	int64_t slot_us;
	ssize_t site;

	if (at == NULL || m->key_len == 0 || m->key_len > CONFIG_NAME_MAX ||
	    memmem(m->payload, m->len, r->group, strlen(r->group)) == NULL)
		return;
	slot_us = read_time(at);
	if (slot_us > r->limit_us)
		return; /* nobody has begun it, whatever this says */
	if (slot_us > shard->newest_us)
		shard->newest_us = slot_us;
	snprintf(name, sizeof(name), "%.*s", (int)m->key_len, (const char *)m->key);
	site = config_find_site(r->config, name);
	if (site >= 0 && slot_us > r->tail->site[site].slot_us)
		r->tail->site[site] = (struct tail_site){ slot_us, status_of(m) };
}

/* --- reading ----------------------------------------------------------------------------- */

static void
set_trouble(struct reading *r, rd_kafka_resp_err_t error)
{
	r->tail->no_right |= error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	snprintf(r->tail->why, sizeof(r->tail->why), "%s", rd_kafka_err2str(error));
}

/* Wait for Kafka and count the partitions. */
static bool
count_partitions(struct reading *r)
{
	int64_t until = util_mono_us() + COUNT_MS * US_PER_MS;
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error;

	do {
		error = rd_kafka_metadata(r->rk, 0, r->topic, &metadata, 500);
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
			error = metadata->topic_cnt == 1 ? metadata->topics[0].err
							 : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
			if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
				r->tail->total = (uint32_t)metadata->topics[0].partition_cnt;
			rd_kafka_metadata_destroy(metadata);
		}
	} while (r->tail->total == 0 && util_mono_us() < until);
	if (r->tail->total == 0)
		set_trouble(r, error);
	return r->tail->total > 0;
}

/* Begin with each shard where Kafka has found its first record that is young enough. */
static void
start_all(struct reading *r)
{
	struct kafka_tail *t = r->tail;
	rd_kafka_resp_err_t error, all;

	r->list = rd_kafka_topic_partition_list_new((int)t->count);
	r->queue = rd_kafka_queue_new(r->rk);
	for (uint32_t i = 0; i < t->count && i < t->total; i++)
		if (t->shard[i].wanted)
			rd_kafka_topic_partition_list_add(
			    r->list, r->config->kafka_topic, (int32_t)i)
			    ->offset = (util_utc_us() - TAIL_US) / US_PER_MS;
	all = rd_kafka_offsets_for_times(r->rk, r->list, FIND_MS);
	for (int i = 0; i < r->list->cnt; i++) {
		const rd_kafka_topic_partition_t *p = &r->list->elems[i];
		struct tail_shard *s = &t->shard[p->partition];

		error = all != RD_KAFKA_RESP_ERR_NO_ERROR ? all : p->err;
		if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
			set_trouble(r, error);
		else if (p->offset < 0)
			s->read = s->whole = true; /* no record is so young */
		else if (rd_kafka_consume_start_queue(
			     r->topic, p->partition, p->offset, r->queue) == 0)
			r->unread++;
		else
			set_trouble(r, rd_kafka_last_error());
	}
}

static void
take_message(struct reading *r, const rd_kafka_message_t *m)
{
	bool end = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
	struct tail_shard *s;

	if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR && !end) {
		set_trouble(r, m->err);
		return;
	}
	s = &r->tail->shard[m->partition];
	s->read = true;
	if (!end)
		take_record(r, m);
	r->unread -= end && !s->whole;
	s->whole |= end;
}

/* Up to the end of each, or until the time is over: what came by then counts. */
static void
read_all(struct reading *r)
{
	int64_t until = util_mono_us() + READ_MS * US_PER_MS;
	rd_kafka_message_t *batch[BATCH];

	while (r->unread > 0 && util_mono_us() < until && !r->tail->no_right) {
		ssize_t n = rd_kafka_consume_batch_queue(r->queue, 20, batch, BATCH);

		for (ssize_t i = 0; i < n; i++) {
			take_message(r, batch[i]);
			rd_kafka_message_destroy(batch[i]);
		}
		rd_kafka_poll(r->rk, 0);
	}
}

/* Nobody waits for this: librdkafka's threads may take their time to end. */
static void
clean_up(struct reading *r)
{
	for (int i = 0; r->list != NULL && i < r->list->cnt; i++)
		rd_kafka_consume_stop(r->topic, r->list->elems[i].partition);
	if (r->list != NULL) {
		rd_kafka_queue_destroy(r->queue);
		rd_kafka_topic_partition_list_destroy(r->list);
	}
	rd_kafka_topic_destroy(r->topic);
	rd_kafka_destroy(r->rk);
	free(r);
}

static void *
run(void *arg)
{
	struct reading *r = arg;
	struct kafka_tail *t = r->tail;
	int64_t began_us = util_mono_us();
	const uint64_t one = 1;

	if (count_partitions(r) && t->count > 0) {
		start_all(r);
		read_all(r);
	}
	t->took_us = util_mono_us() - began_us;
	t->done = true; /* from here on it is the caller's */
	(void)!write(r->wake_fd, &one, sizeof(one));
	clean_up(r);
	return NULL;
}

/* --- beginning and end ------------------------------------------------------------------- */

struct kafka_tail *
kafka_tail_new(const struct config *config, uint32_t count)
{
	struct kafka_tail *t = xcalloc(1, sizeof(*t));

	t->shard = xcalloc(count + 1, sizeof(*t->shard));
	t->site = xcalloc(config->site_count + 1, sizeof(*t->site));
	t->count = count;
	return t;
}

void
kafka_tail_free(struct kafka_tail *t)
{
	free(t->shard);
	free(t->site);
	free(t);
}

bool
kafka_tail_start(struct kafka_tail *t, const struct config *config, int wake_fd)
{
	struct mistakes mistakes = { 0 };
	rd_kafka_conf_t *conf = kafka_reader_conf_new(config, &mistakes);
	struct reading *r = xcalloc(1, sizeof(*r));
	pthread_t thread;
	int error;

	*r = (struct reading){
		.tail = t, .config = config, .wake_fd = wake_fd, .limit_us = util_utc_us() + TAIL_US
	};
	snprintf(r->group, sizeof(r->group), "\"group\":\"%s\"", config->kafka_group);
	if (conf != NULL) {
		rd_kafka_conf_set_log_cb(conf, NULL);
		r->rk = kafka_client_new(RD_KAFKA_CONSUMER, conf, config, &mistakes);
	}
	trouble_log(&mistakes);
	if (r->rk == NULL) {
		free(r);
		return false;
	}
	r->topic = rd_kafka_topic_new(r->rk, config->kafka_topic, NULL);
	error = pthread_create(&thread, NULL, run, r);
	if (error == 0) {
		pthread_detach(thread);
		return true;
	}
	log_error("group: cannot start a thread: %s; raise the limit of threads (TasksMax, ulimit "
		  "-u)",
	    strerror(error));
	clean_up(r);
	return false;
}
