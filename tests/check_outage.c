/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The publisher as a process, between a pipe and librdkafka's mock cluster, while one of them, or
 * the disk, is not as it should be: whatever happened, in the end all is delivered and it leaves.
 */
#include <check.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "payload.h"
#include "pipe.h"
#include "publisher.h"
#include "scratch.h"
#include "suite.h"

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
	struct wire_report report; /* the last */
} publisher;

static void
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

static void
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
static void
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

static void
setup(void)
{
	make_dir();
	next_seq = 0;
	url_length = 40;
}

static void
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
static bool
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
	size = payload_frame(frame, WIRE_WHOLE, &config, &site, &slot, &result, NULL);
	while (pipe_write(supervisor.write_fd, frame, size) != 0)
		if (!pipe_wait_room(supervisor.write_fd, timeout_ms))
			return false;
	next_seq++;
	return true;
}

/* Wait until nothing is queued and `delivered` have been. */
static void
await_delivery(uint64_t delivered)
{
	int64_t until = util_mono_us() + WAIT_US;
	struct wire_report *r = &publisher.report;

	do {
		struct pollfd p = { .fd = publisher.control, .events = POLLIN };

		ck_assert_msg(util_mono_us() < until, "%llu are queued, %llu delivered, not %llu",
		    (unsigned long long)r->queued, (unsigned long long)r->delivered,
		    (unsigned long long)delivered);
		if (poll(&p, 1, 1000) == 1)
			ck_assert_int_eq(
			    recv(publisher.control, r, sizeof(*r), 0), (ssize_t)sizeof(*r));
	} while (r->queued > 0 || r->delivered < delivered);
	ck_assert_uint_eq(r->delivered, delivered);
}

static void
close_pipes(void)
{
	close(supervisor.write_fd);
	close(supervisor.read_fd);
	close(checkers.write_fd);
	close(checkers.read_fd);
}

/* The end of the pipes: it leaves. */
static void
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

/* --- the pipe ---------------------------------------------------------------------------- */

START_TEST(garbage_at_the_end_keeps_nobody)
{
	prepare(PUBLISH_TO_KAFKA);
	start("");
	ck_assert(put(1000));
	ck_assert_int_eq(pipe_write(supervisor.write_fd, "1MW", 3), 0);
	await_delivery(1);
	finish();
}
END_TEST

/* --- standard output --------------------------------------------------------------------- */

/* At the end, too: who reads slowly loses nothing, and costs nothing meanwhile. */
START_TEST(a_slow_reader_gets_every_line)
{
	int out[2], lines = 0, status;
	char text[256];
	struct rusage use;
	struct pollfd p;
	ssize_t n;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(out[1], F_SETPIPE_SZ, 4096), 4096);
	standard_output = out[1];
	prepare(PUBLISH_TO_STDOUT);
	close(out[1]);
	start("");
	for (int i = 0; i < 200; i++)
		ck_assert(put(1000));
	close_pipes();
	p = (struct pollfd){ .fd = out[0], .events = POLLIN };
	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	usleep(6500000); /* longer than Kafka would be waited for */
	while ((n = read(out[0], text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	close(out[0]);
	ck_assert_int_eq(wait4(publisher.pid, &status, 0, &use), publisher.pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(lines, 200);
	ck_assert_int_lt(use.ru_utime.tv_sec + use.ru_stime.tv_sec, 2);
}
END_TEST

/* --- Kafka ------------------------------------------------------------------------------- */

/* What takes the place of a dead letter is sent, though nothing comes behind it. */
START_TEST(a_dead_letter_gives_way)
{
	prepare(PUBLISH_TO_KAFKA);
	start("");
	rd_kafka_mock_push_request_errors(cluster, PRODUCE, 2, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
	    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	ck_assert(put(1000));
	await_delivery(1);
	ck_assert_uint_eq(publisher.report.dead, 1);
	finish();
}
END_TEST

/* Too old for the topic: no record can take its place either, but it blocks nothing. */
START_TEST(a_record_that_is_too_old_goes)
{
	const rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;

	prepare(PUBLISH_TO_KAFKA);
	start("");
	rd_kafka_mock_push_request_errors(cluster, PRODUCE, 3, error, error, error);
	slot_age_us = 86400 * US_PER_S;
	ck_assert(put(1000));
	while (publisher.report.dead < 2)
		ck_assert_int_gt(
		    recv(publisher.control, &publisher.report, sizeof(publisher.report), 0), 0);
	/* of now: it may be the clock, so it is sent again */
	slot_age_us = 0;
	rd_kafka_mock_push_request_errors(cluster, PRODUCE, 2, error, error);
	ck_assert(put(1000));
	await_delivery(1);
	ck_assert_uint_eq(publisher.report.dead, 2);
	finish();
}
END_TEST

/* The files that the properties name come back: so does the publisher, by itself. */
START_TEST(files_that_come_back_are_read)
{
	char properties[192];

	prepare(PUBLISH_TO_KAFKA);
	snprintf(properties, sizeof(properties), ", \"ssl.ca.location=%s\"", path_in_dir("ca.pem"));
	start(properties);
	ck_assert(put(1000));
	while (publisher.report.queued == 0)
		ck_assert_int_gt(
		    recv(publisher.control, &publisher.report, sizeof(publisher.report), 0), 0);
	write_file("ca.pem", "", 0644);
	await_delivery(1);
	finish();
}
END_TEST

/* --- the disk ---------------------------------------------------------------------------- */

static void
a_full_disk_drains(const char *size)
{
	prepare(PUBLISH_TO_KAFKA);
	if (geteuid() != 0 || mount("tmpfs", dir, "tmpfs", 0, size) < 0) {
		close(publisher.go);
		return; /* needs the right to mount */
	}
	start("");
	ck_assert(put(1000));
	await_delivery(1);
	ck_assert_int_eq(rd_kafka_mock_broker_set_down(cluster, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
	url_length = CONFIG_URL_MAX;
	while (put(3000))
		;
	ck_assert_int_eq(rd_kafka_mock_broker_set_up(cluster, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
	for (int i = 0; i < 5000; i++)
		ck_assert(put(30000));
	await_delivery(next_seq);
	finish();
	ck_assert_int_eq(umount(dir), 0);
}

START_TEST(a_small_full_disk_drains)
{
	a_full_disk_drains("size=24m");
}
END_TEST

START_TEST(a_large_full_disk_drains)
{
	a_full_disk_drains("size=64m");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("outage");
	TCase *tcase = tcase_create("outage");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 240);
	tcase_add_test(tcase, garbage_at_the_end_keeps_nobody);
	tcase_add_test(tcase, a_slow_reader_gets_every_line);
	tcase_add_test(tcase, a_dead_letter_gives_way);
	tcase_add_test(tcase, a_record_that_is_too_old_goes);
	tcase_add_test(tcase, files_that_come_back_are_read);
	tcase_add_test(tcase, a_small_full_disk_drains);
	tcase_add_test(tcase, a_large_full_disk_drains);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
