/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * For unit tests: the publisher as a process, between a pipe and librdkafka's mock cluster.
 * Includes <check.h>. Order: setup(), prepare(), start(), put() and await_delivery(), finish().
 */
#ifndef WEBMOND_TESTS_PUBLISHER_PROCESS_H
#define WEBMOND_TESTS_PUBLISHER_PROCESS_H

#include <check.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "payload.h"
#include "pipe.h"
#include "publisher.h"
#include "reports.h"
#include "scratch.h"

#define EPOCH   "20260101T000000Z-0000000000000001"
#define TOPIC   "results"
#define PRODUCE 0 /* key of Kafka's protocol */
#define WAIT_US (60 * US_PER_S)

static struct pipe supervisor, checkers;
static rd_kafka_t *mock;
static rd_kafka_mock_cluster_t *cluster;
static uint64_t next_seq;
static int url_length;
static int64_t slot_age_us;
static int standard_output = -1; /* of the publisher; -1: ours */

/* The publisher; it is forked before librdkafka has threads here, and starts when it is told to. */
static struct {
	pid_t pid;
	int go;
	int control;
	struct message_report report; /* the last */
} publisher;

static inline void
run_publisher(enum publisher_output output, int go, int control)
{
	struct publisher_start start = { .output = output,
		.epoch = EPOCH,
		.supervisor_fd = supervisor.read_fd,
		.checkers_fd = checkers.read_fd,
		.control_fd = control };
	char path[128], text[512];
	ssize_t n = read(go, text, sizeof(text));
	FILE *f;

	if (n <= 0)
		_exit(0); /* the test has failed before */
	if (standard_output >= 0)
		dup2(standard_output, STDOUT_FILENO);
	snprintf(path, sizeof(path), "%s/webmond.conf", dir);
	f = fopen(path, "w");
	fprintf(f,
	    "pid_file = \"%s/pid\"; sites = ({ name = \"shop\"; url = \"http://127.0.0.1/\"; });\n"
	    "spool = { dir = \"%s\"; sync = \"normal\"; };\n"
	    "kafka = { topic = \"" TOPIC "\"; properties = [%.*s]; };\n",
	    dir, dir, (int)n, text);
	fclose(f);
	start.config = config_load(path);
	close(supervisor.write_fd);
	close(checkers.write_fd);
	_exit(publisher_main(&start));
}

static inline void
prepare(enum publisher_output output)
{
	int go[2], control[2];

	ck_assert_int_eq(pipe(go), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control), 0);
	ck_assert_int_eq(pipe_open(&supervisor, PIPE_SIZE), 0);
	ck_assert_int_eq(pipe_open(&checkers, PIPE_SIZE), 0);
	publisher.pid = fork();
	if (publisher.pid == 0) {
		close(go[1]);
		close(control[0]);
		run_publisher(output, go[0], control[1]);
	}
	close(go[0]);
	close(control[1]);
	publisher.go = go[1];
	publisher.control = control[0];
}

/* `properties`: as in the configuration, besides bootstrap.servers. */
static inline void
start(const char *properties)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[512];
	int n;

	rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
	mock = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
	ck_assert_ptr_nonnull(mock);
	cluster = rd_kafka_mock_cluster_new(mock, 1);
	ck_assert_ptr_nonnull(cluster);
	rd_kafka_mock_topic_create(cluster, TOPIC, 1, 1);
	n = snprintf(text, sizeof(text), "\"bootstrap.servers=%s\"%s",
	    rd_kafka_mock_cluster_bootstraps(cluster), properties);
	ck_assert_int_eq(write(publisher.go, text, (size_t)n), n);
}

static inline void
setup(void)
{
	make_dir();
	next_seq = 0;
	url_length = 40;
}

static inline void
teardown(void)
{
	if (cluster != NULL) {
		rd_kafka_mock_cluster_destroy(cluster);
		rd_kafka_destroy(mock);
	}
	umount(dir); /* if a test left it */
	remove_dir();
}

/* One record; false when the pipe has no room within `timeout_ms`. */
static inline bool
put(int timeout_ms)
{
	static char url[CONFIG_URL_MAX + 1];
	struct config config = { .instance = "test" };
	struct site site = { .name = "shop", .url = url, .method = "GET" };
	struct slot slot = { .epoch = EPOCH,
		.seq = next_seq,
		.slot_us = util_utc_us() - slot_age_us,
		.interval_us = US_PER_S,
		.lateness_us = RESULT_NONE };
	unsigned char frame[WIRE_FRAME_MAX];
	struct result result;
	size_t size;

	/* not the same in each, or it would be compressed to nothing */
	for (int i = 0; i < url_length; i++)
		url[i] = (char)('a' + rand() % 26);
	url[url_length] = '\0';
	result_init(&result);
	result.http_status = 200;
	result.completed = true;
	result.elapsed_us = 1;
	size = payload_frame(frame, WIRE_SINGLE, &config, &site, &slot, &result, NULL);
	while (pipe_write(supervisor.write_fd, frame, size) != 0)
		if (!pipe_wait_room(supervisor.write_fd, timeout_ms))
			return false;
	next_seq++;
	return true;
}

/* Wait until nothing is queued and `delivered` have been. */
static inline void
await_delivery(uint64_t delivered)
{
	int64_t until = util_mono_us() + WAIT_US;
	struct message_report *r = &publisher.report;

	do {
		ck_assert_msg(util_mono_us() < until, "%llu are queued, %llu delivered, not %llu",
		    (unsigned long long)r->queued, (unsigned long long)r->delivered,
		    (unsigned long long)delivered);
		read_report(publisher.control, r, 1000);
	} while (r->queued > 0 || r->delivered < delivered);
	ck_assert_uint_eq(r->delivered, delivered);
}

static inline void
close_pipes(void)
{
	close(supervisor.write_fd);
	close(supervisor.read_fd);
	close(checkers.write_fd);
	close(checkers.read_fd);
}

/* The end of the pipes: it leaves. */
static inline void
finish(void)
{
	int64_t until = util_mono_us() + WAIT_US;
	int status = -1;

	close_pipes();
	while (waitpid(publisher.pid, &status, WNOHANG) == 0) {
		if (util_mono_us() > until) {
			kill(publisher.pid, SIGKILL);
			waitpid(publisher.pid, &status, 0);
			ck_abort_msg("the publisher does not end");
		}
		usleep(10000);
	}
	ck_assert_int_eq(status, 0);
}

#endif
