/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Reading the tails of shards. Called by group.c; nothing is fatal, and the thread logs nothing.
 *
 * librdkafka's simple consumer: no group, and calls that wait, so that what follows what is plain.
 */
#include "kafka_tail.h"

#include <pthread.h>
#include <signal.h>
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

/* Texts of one length: they sort as the times do. */
#define TIME_SIZE 24 /* "2026-11-23T10:15:02.123Z" */

struct newest {
	char at[TIME_SIZE + 1]; /* "": none */
	int status;
};

struct tail_reading {
	struct kafka_tail *tail;
	const struct config *config;
	int wake_fd;
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	char group[96];          /* as it stands in a record */
	struct newest *newest;   /* of each site */
	struct newest *of_shard; /* by index in tail->shard */
	size_t *index_of;        /* by partition; SIZE_MAX: is not read */
	size_t unread;           /* shards */
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

static void
note(struct newest *newest, const char *at, int status)
{
	if (memcmp(newest->at, at, TIME_SIZE) >= 0)
		return;
	memcpy(newest->at, at, TIME_SIZE);
	newest->status = status;
}

/* A record: which slot of which site it is of, if it is one of our group. */
static void
take_record(struct tail_reading *r, const rd_kafka_message_t *m)
{
	size_t index = r->index_of[m->partition];
	const char *at = find(m, "\"scheduled_at\":\"", TIME_SIZE);
	char name[CONFIG_NAME_MAX + 1];
	ssize_t site;
	int status;

	if (at == NULL || m->key_len == 0 || m->key_len > CONFIG_NAME_MAX ||
	    memmem(m->payload, m->len, r->group, strlen(r->group)) == NULL)
		return;
	r->tail->records++;
	status = status_of(m);
	note(&r->of_shard[index], at, status);
	snprintf(name, sizeof(name), "%.*s", (int)m->key_len, (const char *)m->key);
	site = config_find_site(r->config, name);
	if (site >= 0)
		note(&r->newest[site], at, status);
}

/* Returns microseconds, UTC; 0: it is no time. */
static int64_t
read_time(const char *text)
{
	struct tm tm = { 0 };
	int ms;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) != 7)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return timegm(&tm) * US_PER_S + ms * US_PER_MS;
}

/* --- reading ----------------------------------------------------------------------------- */

static void
set_trouble(struct tail_reading *r, rd_kafka_resp_err_t error)
{
	r->tail->no_right |= error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	snprintf(r->tail->why, sizeof(r->tail->why), "%s", rd_kafka_err2str(error));
}

/* Wait for Kafka and count the partitions. */
static bool
count_partitions(struct tail_reading *r)
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

/* Begin with a shard at `offset`, which Kafka has found for its time. */
static void
start_shard(struct tail_reading *r, size_t index, int64_t offset, rd_kafka_queue_t *queue)
{
	struct tail_shard *s = &r->tail->shard[index];

	if (offset < 0) {
		s->read = true; /* no record is so new */
	} else if (rd_kafka_consume_start_queue(r->topic, (int32_t)s->shard, offset, queue) == 0) {
		r->index_of[s->shard] = index;
		r->unread++;
	} else {
		set_trouble(r, rd_kafka_last_error());
	}
}

static void
start_all(struct tail_reading *r, rd_kafka_queue_t *queue)
{
	struct kafka_tail *t = r->tail;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)t->count);
	rd_kafka_resp_err_t error;
	size_t index = 0;

	for (size_t i = 0; i < t->count; i++)
		if (t->shard[i].shard < t->total)
			rd_kafka_topic_partition_list_add(
			    list, r->config->kafka_topic, (int32_t)t->shard[i].shard)
			    ->offset = (util_utc_us() - TAIL_US) / US_PER_MS;
	error = rd_kafka_offsets_for_times(r->rk, list, FIND_MS);
	for (int i = 0; i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *p = &list->elems[i];

		while (t->shard[index].shard != (uint32_t)p->partition)
			index++;
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR && p->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			start_shard(r, index, p->offset, queue);
		else
			set_trouble(r, error != RD_KAFKA_RESP_ERR_NO_ERROR ? error : p->err);
	}
	rd_kafka_topic_partition_list_destroy(list);
}

static void
take_message(struct tail_reading *r, const rd_kafka_message_t *m)
{
	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		r->tail->shard[r->index_of[m->partition]].read = true; /* something of it */
		take_record(r, m);
	} else if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		r->tail->shard[r->index_of[m->partition]].read = true;
		r->unread--;
	} else {
		set_trouble(r, m->err);
	}
}

/* Up to the end of each, or until the time is over: what came by then counts. */
static void
read_all(struct tail_reading *r, rd_kafka_queue_t *queue)
{
	int64_t until = util_mono_us() + READ_MS * US_PER_MS;
	rd_kafka_message_t *batch[BATCH];

	while (r->unread > 0 && util_mono_us() < until && !r->tail->no_right) {
		ssize_t n = rd_kafka_consume_batch_queue(queue, 20, batch, BATCH);

		for (ssize_t i = 0; i < n; i++) {
			take_message(r, batch[i]);
			rd_kafka_message_destroy(batch[i]);
		}
		rd_kafka_poll(r->rk, 0);
	}
}

static void
read_tails(struct tail_reading *r)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(r->rk);
	struct kafka_tail *t = r->tail;

	r->index_of = xcalloc(t->total, sizeof(*r->index_of));
	for (uint32_t i = 0; i < t->total; i++)
		r->index_of[i] = SIZE_MAX;
	start_all(r, queue);
	read_all(r, queue);
	for (size_t i = 0; i < t->count; i++) {
		if (t->shard[i].shard < t->total && r->index_of[t->shard[i].shard] == i)
			rd_kafka_consume_stop(r->topic, (int32_t)t->shard[i].shard);
		t->shard[i].newest_us = read_time(r->of_shard[i].at);
	}
	for (size_t i = 0; i < r->config->site_count; i++)
		if (r->newest[i].at[0] != '\0')
			t->site[i] = (struct tail_site){ read_time(r->newest[i].at),
				r->newest[i].status };
	rd_kafka_queue_destroy(queue);
}

/* The rest of its work nobody waits for: librdkafka's threads may take their time to end. */
static void
clean_up(struct tail_reading *r)
{
	rd_kafka_topic_destroy(r->topic);
	rd_kafka_destroy(r->rk);
	free(r->newest);
	free(r->of_shard);
	free(r->index_of);
	free(r);
}

static void *
run(void *arg)
{
	struct tail_reading *r = arg;
	struct kafka_tail *t = r->tail;
	int64_t began_us = util_mono_us();
	const uint64_t one = 1;

	if (count_partitions(r) && t->count > 0)
		read_tails(r);
	t->took_us = util_mono_us() - began_us;
	t->done = true; /* from here on it is the caller's */
	(void)!write(r->wake_fd, &one, sizeof(one));
	clean_up(r);
	return NULL;
}

/* --- beginning and end ------------------------------------------------------------------- */

void
kafka_tail_free(struct kafka_tail *t)
{
	free(t->shard);
	free(t->site);
	free(t);
}

/* Returns whether there is a handle. */
static bool
open_reader(struct tail_reading *r, struct mistakes *mistakes)
{
	rd_kafka_conf_t *conf = kafka_reader_conf_new(r->config, mistakes);

	if (conf == NULL)
		return false;
	rd_kafka_conf_set_log_cb(conf, NULL);
	r->rk = kafka_client_new(RD_KAFKA_CONSUMER, conf, r->config, mistakes);
	if (r->rk == NULL)
		return false;
	r->topic = rd_kafka_topic_new(r->rk, r->config->kafka_topic, NULL);
	return true;
}

/* Signals are the business of the main thread. */
static int
start_thread(struct tail_reading *r)
{
	sigset_t all, before;
	pthread_t thread;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, NULL, run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		pthread_detach(thread);
	return error;
}

struct kafka_tail *
kafka_tail_start(const struct config *config, const uint32_t *shards, size_t count, int wake_fd)
{
	struct tail_reading *r = xcalloc(1, sizeof(*r));
	struct mistakes mistakes = { 0 };
	struct kafka_tail *t;
	int error;

	*r = (struct tail_reading){ .config = config, .wake_fd = wake_fd };
	if (!open_reader(r, &mistakes)) {
		trouble_log(&mistakes);
		free(r);
		return NULL;
	}
	snprintf(r->group, sizeof(r->group), "\"group\":\"%s\"", config->kafka_group);
	r->newest = xcalloc(config->site_count + 1, sizeof(*r->newest));
	r->of_shard = xcalloc(count + 1, sizeof(*r->of_shard));
	t = r->tail = xcalloc(1, sizeof(*t));
	t->shard = xcalloc(count + 1, sizeof(*t->shard));
	t->site = xcalloc(config->site_count + 1, sizeof(*t->site));
	t->count = count;
	for (size_t i = 0; i < count; i++)
		t->shard[i].shard = shards[i];
	error = start_thread(r);
	if (error == 0)
		return t;
	log_error("group: cannot start a thread: %s; raise the limit of threads (TasksMax, ulimit "
		  "-u)",
	    strerror(error));
	clean_up(r);
	kafka_tail_free(t);
	return NULL;
}
