/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * How a group of many hosts shares the partitions of a topic: as many consumers in one process,
 * each of them a static member as webmond's publisher is, which do nothing with what they get.
 *
 *   members BOOTSTRAP TOPIC GROUP COUNT [NAME=VALUE...]
 *
 * Starts COUNT members at once, then one more, which dies then without a word. After each step it
 * waits until every partition has one owner, and that for two seconds, and prints a line: what
 * happened, how many milliseconds that took, how many partitions changed their owner, and how much
 * CPU time all members have used up to then, in milliseconds. NAME=VALUE: properties of
 * librdkafka for all of them.
 */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PARTITIONS_MAX 4096
#define STEADY_MS      2000
#define PATIENCE_MS    180000

struct member {
	rd_kafka_t *consumer;
	int number;
};

static int owners[PARTITIONS_MAX]; /* how many members hold it */
static int holder[PARTITIONS_MAX]; /* the last one that got it */
static int partitions;

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static int64_t
cpu_ms(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000LL +
	       (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1000;
}

static _Noreturn void
give_up(const char *what, const char *why)
{
	fprintf(stderr, "members: %s: %s\n", what, why);
	exit(1);
}

/* Called from poll_all() only, so there is one thread that counts. */
static void
on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t event, rd_kafka_topic_partition_list_t *list,
    void *opaque)
{
	const struct member *member = opaque;
	bool got = event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
	rd_kafka_error_t *error;

	for (int i = 0; i < list->cnt; i++) {
		int partition = list->elems[i].partition;

		owners[partition] += got ? 1 : -1;
		if (got)
			holder[partition] = member->number;
	}
	if (strcmp(rd_kafka_rebalance_protocol(consumer), "COOPERATIVE") != 0)
		rd_kafka_assign(consumer, got ? list : NULL);
	else if ((error = got ? rd_kafka_incremental_assign(consumer, list)
			      : rd_kafka_incremental_unassign(consumer, list)) != NULL)
		give_up("assignment", rd_kafka_error_string(error));
	rd_kafka_pause_partitions(consumer, list);
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[512];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		give_up(name, why);
}

static void
join(struct member *member, int number, char **argv)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	char name[32], why[512];

	snprintf(name, sizeof(name), "host-%d", number);
	set(conf, "bootstrap.servers", argv[1]);
	set(conf, "group.id", argv[3]);
	set(conf, "group.instance.id", name);
	set(conf, "session.timeout.ms", "10000");
	set(conf, "heartbeat.interval.ms", "2000");
	set(conf, "partition.assignment.strategy", "cooperative-sticky");
	set(conf, "enable.auto.commit", "false");
	for (char **property = argv + 5; *property != NULL; property++) {
		char *value = strchr(*property, '=');

		if (value == NULL)
			give_up(*property, "not NAME=VALUE");
		*value = '\0';
		set(conf, *property, value + 1);
		*value = '=';
	}
	member->number = number;
	rd_kafka_conf_set_opaque(conf, member);
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	member->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (member->consumer == NULL)
		give_up("consumer", why);
	rd_kafka_poll_set_consumer(member->consumer);
	rd_kafka_topic_partition_list_add(topics, argv[2], RD_KAFKA_PARTITION_UA);
	rd_kafka_subscribe(member->consumer, topics);
	rd_kafka_topic_partition_list_destroy(topics);
}

/* One that is not polled sends heartbeats all the same; who is killed does not: it is frozen. */
static void
poll_all(struct member *members, int count)
{
	for (int i = 0; i < count; i++) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(members[i].consumer, 0);

		if (message != NULL)
			rd_kafka_message_destroy(message);
	}
}

/* By one each; and the newest has some, if there are enough. */
static bool
all_owned(int count)
{
	bool newest = count > partitions;

	for (int p = 0; p < partitions; p++) {
		if (owners[p] != 1)
			return false;
		newest |= holder[p] == count - 1;
	}
	return newest;
}

/* Until all is owned and stays so; prints the line. */
static void
settle(const char *what, struct member *members, int count, int64_t begin)
{
	static int before[PARTITIONS_MAX];
	static bool first = true;
	int64_t since = 0;
	int moved = 0;

	while (since == 0 || now_ms() - since < STEADY_MS) {
		poll_all(members, count);
		if (!all_owned(count))
			since = 0;
		else if (since == 0)
			since = now_ms();
		if (now_ms() - begin > PATIENCE_MS)
			give_up(what, "not every partition has one owner after three minutes");
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	for (int p = 0; p < partitions; p++) {
		moved += !first && holder[p] != before[p];
		before[p] = holder[p];
	}
	first = false;
	printf("%s %lld %d %lld\n", what, (long long)(since - begin), moved, (long long)cpu_ms());
	fflush(stdout);
}

static int
count_partitions(rd_kafka_t *consumer, const char *name)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, name, NULL);
	const struct rd_kafka_metadata *metadata;
	int count;

	if (rd_kafka_metadata(consumer, 0, topic, &metadata, 30000) != RD_KAFKA_RESP_ERR_NO_ERROR)
		give_up(name, "Kafka tells nothing about the topic");
	count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(topic);
	if (count < 1 || count > PARTITIONS_MAX)
		give_up(name, "no topic of 1 to 4096 partitions");
	return count;
}

int
main(int argc, char **argv)
{
	int count = argc > 4 ? atoi(argv[4]) : 0;
	struct member *members;
	int64_t begin;

	if (count < 1 || count > 1000) {
		fputs("usage: members BOOTSTRAP TOPIC GROUP COUNT [NAME=VALUE...]\n", stderr);
		return 64;
	}
	members = calloc((size_t)count + 1, sizeof(*members));
	if (members == NULL)
		give_up("members", "out of memory");
	begin = now_ms();
	for (int i = 0; i < count; i++)
		join(&members[i], i, argv);
	partitions = count_partitions(members[0].consumer, argv[2]);
	settle("start", members, count, begin);

	begin = now_ms();
	join(&members[count], count, argv);
	settle("more", members, count + 1, begin);

	/* No word to the group, and no callback: it is dead. */
	begin = now_ms();
	rd_kafka_destroy_flags(members[count].consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	for (int p = 0; p < partitions; p++)
		if (holder[p] == count)
			owners[p]--;
	settle("death", members, count, begin);
	/* The others die with this process. */
	return 0;
}
