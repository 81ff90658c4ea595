/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The process of a checker, as far as it needs no server: what it does with a job that comes too
 * late.
 */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checker.h"
#include "payload.h"
#include "pipe.h"
#include "scratch.h"
#include "suite.h"
#include "wire.h"

static struct pipe results;
static int jobs;
static pid_t checker;

static void
start_checker(const struct config *config)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	ck_assert_int_eq(pipe_open(&results, PIPE_SIZE), 0);
	checker = fork();
	ck_assert_int_ge(checker, 0);
	if (checker == 0) {
		const struct checker_start start = {
			.config = config, .job_fd = ends[1], .pipe_fd = results.write_fd
		};

		close(ends[0]);
		_exit(checker_init() == 0 ? checker_main(&start) : 99);
	}
	close(ends[1]);
	jobs = ends[0];
}

START_TEST(no_check_begins_when_its_lease_is_over)
{
	const struct config *config;
	struct wire_done done;
	struct wire_job job = { .seq = 7,
		.slot_us = US_PER_S,
		.interval_us = 10 * US_PER_S,
		.due_us = util_mono_us(),
		.lease_us = util_boot_us(),
		.alone = TRISTATE_TRUE,
		.ordinal = { 1, 1 },
		.epoch = "20261123T101502Z-9f3c52d07a61be48" };
	unsigned char data[WIRE_FRAME_MAX];
	struct wire_outcome outcome;
	struct frame frame;
	int status;
	ssize_t n;

	make_dir();
	/* a port that nobody listens on: a check would be `down` */
	config = config_load(write_file(
	    "webmond.conf", "sites = ( { name = \"a\"; url = \"http://127.0.0.1:1/\"; } );", 0644));
	ck_assert_uint_eq(config->mistakes.count, 0);
	start_checker(config);
	ck_assert_int_eq(recv(jobs, &done, sizeof(done), 0), sizeof(done));
	ck_assert_int_eq(done.type, WIRE_READY);
	ck_assert_int_eq(send(jobs, &job, sizeof(job), 0), sizeof(job));
	ck_assert_int_eq(recv(jobs, &done, sizeof(done), 0), sizeof(done));
	ck_assert_int_eq(done.type, WIRE_DONE);
	ck_assert_int_eq(done.error, ERROR_ABORTED);
	ck_assert_str_eq(done.error_message, WIRE_LEASE_ENDED);
	ck_assert_int_eq(done.busy_us, RESULT_NONE);
	n = read(results.read_fd, data, sizeof(data));
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(wire_decode(data, (size_t)n, &frame), n);
	ck_assert_int_eq(frame.type, WIRE_CLOSE);
	ck_assert(payload_outcome(&frame, &outcome));
	ck_assert_int_eq(outcome.result.error, ERROR_ABORTED);
	ck_assert_int_eq(outcome.lateness_us, RESULT_NONE);
	job.lease_us = 0; /* in no group */
	ck_assert_int_eq(send(jobs, &job, sizeof(job), 0), sizeof(job));
	ck_assert_int_eq(recv(jobs, &done, sizeof(done), 0), sizeof(done));
	ck_assert_int_eq(done.error, ERROR_CONNECT);
	close(jobs);
	ck_assert_int_eq(waitpid(checker, &status, 0), checker);
	ck_assert_int_eq(status, 0);
	remove_dir();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("checker");
	TCase *tcase = tcase_create("checker");

	tcase_add_test(tcase, no_check_begins_when_its_lease_is_over);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
