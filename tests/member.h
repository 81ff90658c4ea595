/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * For unit tests: a member of a group between a supervisor, which is here, and librdkafka's mock
 * cluster, which lets a new group wait for three seconds. Includes <check.h>. Order: setup(),
 * begin(), await(), teardown().
 */
#ifndef WEBMOND_TESTS_MEMBER_H
#define WEBMOND_TESTS_MEMBER_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture.h"
#include "payload.h"
#include "publisher/group.h"
#include "publisher/kafka_group.h"
#include "publisher/kafka_tail.h"
#include "scratch.h"

#define EPOCH      "20260101T000000Z-0000000000000001"
#define TOPIC      "results"
#define GROUP      "eu"
#define PARTITIONS 4
#define SESSION_US (6 * US_PER_S)
#define WAIT_US    (60 * US_PER_S)
#define SITES_MAX  5000

/* Keys of Kafka's protocol. */
#define FIND_COORDINATOR 10
#define HEARTBEAT        12

static rd_kafka_t *mock;
static rd_kafka_mock_cluster_t *cluster;
static struct config *config;
static struct spool *spool;
static struct group *group;
static int control; /* the supervisor's end */
static struct group_facts facts;

/* What the supervisor has heard. */
static struct {
	struct message_lease lease;
	int leases, sets;
	bool taken[SHARDS_MAX]; /* as the last set says */
	bool whole[SHARDS_MAX]; /* taken since */
	bool given[SHARDS_MAX];
	struct taken_site site[SITES_MAX]; /* by index; site: how often it was named */
} heard;

static const char *of_each_site = ""; /* settings */
static bool answers, lives;           /* whether it answers GIVE, and says that it lives */
static bool held_up;                  /* it reads nothing */

/* The mock cluster knows no times: all records are young. */
rd_kafka_resp_err_t __wrap_rd_kafka_offsets_for_times(
    rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int timeout_ms);
static rd_kafka_resp_err_t times_error;
static int looks; /* for tails; by their thread */

rd_kafka_resp_err_t
__wrap_rd_kafka_offsets_for_times(
    rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
	int64_t low, high;

	looks++;
	for (int i = 0; i < list->cnt; i++) {
		rd_kafka_topic_partition_t *p = &list->elems[i];

		p->err = times_error;
		p->offset = -1;
		if (rd_kafka_query_watermark_offsets(
			rk, TOPIC, p->partition, &low, &high, timeout_ms) == 0 &&
		    high > 0)
			p->offset = 0;
	}
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* --- the supervisor ---------------------------------------------------------------------- */

static inline void
hear_set(const struct message_shards *m)
{
	heard.sets++;
	for (uint32_t i = 0; i < SHARDS_MAX; i++) {
		heard.taken[i] = (m->taken[i / 8] >> i % 8 & 1) != 0;
		heard.whole[i] &= heard.taken[i];
	}
}

static inline void
hear_take(const struct message_take *m)
{
	for (uint32_t i = 0; i < m->count; i++) {
		struct taken_site *site = &heard.site[m->site[i].site];

		ck_assert_uint_lt(m->site[i].site, config->site_count);
		ck_assert_uint_eq(
		    kafka_shard_of(config->sites[m->site[i].site].name, PARTITIONS), m->shard);
		site->site++;
		site->after_us = m->site[i].after_us;
		site->status = m->site[i].status;
	}
	heard.whole[m->shard] |= m->last;
}

static inline void
hear(void)
{
	struct message m;
	int descriptor;

	while (message_receive(control, &m, &descriptor) > 0) {
		const struct message_shard *shard = message_body(&m, sizeof(*shard));

		if (m.type == MESSAGE_LEASE) {
			ck_assert_int_gt(heard.sets, 0); /* never before it is known for what */
			memcpy(&heard.lease, m.body, sizeof(heard.lease));
			heard.leases++;
		} else if (m.type == MESSAGE_SHARDS) {
			hear_set(message_body(&m, sizeof(struct message_shards)));
		} else if (m.type == MESSAGE_TAKE) {
			hear_take(message_body(&m, sizeof(struct message_take)));
		} else if (m.type == MESSAGE_GIVE) {
			heard.given[shard->shard] = true;
			heard.whole[shard->shard] = false;
			if (answers)
				message_send(control, MESSAGE_GIVEN, shard, sizeof(*shard), -1);
		}
	}
}

/* Run publisher and supervisor until something holds; false: it never does. */
static inline bool
run_until(bool (*holds)(void), int64_t wait_us)
{
	int64_t until = util_mono_us() + wait_us, alive_us = 0;

	while (!holds()) {
		struct pollfd polls[] = { group_wait_for(group), { control, POLLIN, 0 } };
		struct message m;
		int descriptor;

		if (util_mono_us() >= until)
			return false;
		if (lives && util_mono_us() - alive_us >= US_PER_S) {
			message_send(control, MESSAGE_ALIVE, NULL, 0, -1);
			alive_us = util_mono_us();
		}
		while (message_receive(facts.now == 0 ? -1 : control + 1, &m, &descriptor) > 0)
			group_take_message(group, &m);
		facts.now = util_mono_us();
		group_serve(group, &facts);
		if (group_wants_commit(group))
			group_committed(group);
		if (!held_up)
			hear();
		poll(polls, held_up ? 1 : 2, 50);
	}
	return true;
}

#define await(condition)                                                                           \
	ck_assert_msg(run_until(condition, WAIT_US), "never: " #condition "\n%s", captured())

static inline uint32_t
count(const bool *shards)
{
	uint32_t n = 0;

	for (int i = 0; i < PARTITIONS; i++)
		n += shards[i];
	return n;
}

static inline bool
has_all(void)
{
	return count(heard.whole) == PARTITIONS && heard.lease.mine == PARTITIONS &&
	       !heard.lease.alone && heard.lease.until_us > util_boot_us();
}

static inline bool
never(void)
{
	return false;
}

/* --- the world --------------------------------------------------------------------------- */

/* `more`: properties, each with a comma before. */
static inline void
load(int sites, const char *kafka, const char *more)
{
	char *path = xstrdup(path_in_dir("webmond.conf"));
	FILE *f = fopen(path, "w");

	fprintf(f,
	    "pid_file = \"%s/pid\"; instance = \"a\"; spool = { dir = \"%s\"; };\n"
	    "kafka = { topic = \"" TOPIC "\"; group = \"" GROUP "\"; %s properties = [\n"
	    "\"bootstrap.servers=%s\", \"session.timeout.ms=6000\", \"heartbeat.interval.ms=500\""
	    "%s]; };\nsites = (",
	    dir, dir, kafka, rd_kafka_mock_cluster_bootstraps(cluster), more);
	for (int i = 0; i < sites; i++)
		fprintf(f, "%s{ name = \"site-%d\"; url = \"http://127.0.0.1/\"; %s}",
		    i > 0 ? ",\n" : "", i, of_each_site);
	fprintf(f, ");\n");
	fclose(f);
	config = config_load(path);
	ck_assert_msg(config->mistakes.count == 0, "%s",
	    config->mistakes.count > 0 ? config->mistakes.line[0] : "");
	free(path);
}

/* A publisher that begins. */
static inline void
begin(int sites, const char *kafka, const char *more)
{
	struct spool_options options = {
		.dir = dir, .max_bytes = 64 << 20, .window = 100, .epoch = EPOCH
	};
	int sockets[2];

	load(sites, kafka, more);
	ck_assert_int_eq(spool_open(&spool, &options), SPOOL_OK);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	ck_assert_int_eq(sockets[1], sockets[0] + 1);
	control = sockets[0];
	facts = (struct group_facts){ .storing = true };
	memset(&heard, 0, sizeof(heard));
	group = group_new(config, spool, sockets[1]);
	ck_assert_ptr_nonnull(group);
}

static inline void
setup(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	make_dir();
	capture_start();
	answers = lives = true;
	rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
	mock = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
	cluster = rd_kafka_mock_cluster_new(mock, 1);
	ck_assert_ptr_nonnull(cluster);
	rd_kafka_mock_topic_create(cluster, TOPIC, PARTITIONS, 1);
}

/* Not the member: its threads end with the process. */
static inline void
teardown(void)
{
	spool_close(spool);
	remove_dir();
}

#endif
