/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The publisher as a process, between a pipe and librdkafka's mock cluster, while one of them
 * is not as it should be: whatever happened, in the end all is delivered and it leaves.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "publisher_process.h"
#include "suite.h"

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
	ck_assert_int_eq(poll(&p, 1, 60000), 1);
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
		ck_assert(read_report(publisher.control, &publisher.report, -1));
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
		ck_assert(read_report(publisher.control, &publisher.report, -1));
	write_file("ca.pem", "", 0644);
	await_delivery(1);
	finish();
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
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
