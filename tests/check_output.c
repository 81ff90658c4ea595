/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The outputs that need no Kafka, by the interface that all have: standard output is a pipe here,
 * and its reader is the test.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"
#include "publisher/stdout.h"
#include "suite.h"
#include "util.h"

static int reader, delivered;
static void *handle;

static void
on_answer(void *arg, uint64_t row, enum answer answer, const char *why)
{
	ck_assert_ptr_eq(arg, &handle);
	ck_assert_uint_eq(row, 42);
	ck_assert_int_eq(answer, ANSWER_DELIVERED);
	ck_assert_str_eq(why, "");
	delivered++;
}

static bool
send_text(const struct output *output, const char *text)
{
	struct frame frame = { .payload = text, .payload_size = strlen(text) };

	return output->send(handle, 42, &frame);
}

static void
open_output(const struct output *output)
{
	const struct output_handler handler = { on_answer, NULL, &handle };
	struct mistakes none = { 0 };
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	dup2(fds[1], STDOUT_FILENO);
	close(fds[1]);
	reader = fds[0];
	handle = output->open(NULL, &handler, &none);
	ck_assert_ptr_nonnull(handle);
	ck_assert_int_eq(output->state(handle), OUTPUT_DELIVERING);
	ck_assert(!output->durable);
}

START_TEST(a_record_is_a_line)
{
	char text[64];

	open_output(&output_stdout);
	ck_assert(send_text(&output_stdout, "{}"));
	ck_assert(send_text(&output_stdout, "{\"a\":1}"));
	ck_assert_int_eq(delivered, 2);
	ck_assert_int_eq(read(reader, text, sizeof(text)), 11);
	ck_assert_mem_eq(text, "{}\n{\"a\":1}\n", 11);
	output_stdout.close(handle);
}
END_TEST

/* Then it has no answer either, and may be sent again. */
START_TEST(a_full_pipe_takes_nothing)
{
	struct pollfd room;
	char text[8192];
	int sent = 0;

	open_output(&output_stdout);
	while (send_text(&output_stdout, "record"))
		ck_assert_int_lt(++sent, 20000);
	ck_assert_int_eq(delivered, sent);
	ck_assert_int_eq(output_stdout.state(handle), OUTPUT_DELIVERING);
	room = output_stdout.wait_for(handle);
	ck_assert_int_eq(poll(&room, 1, 0), 0);
	ck_assert_int_gt(read(reader, text, sizeof(text)), 0);
	ck_assert_int_eq(poll(&room, 1, 0), 1);
	ck_assert(send_text(&output_stdout, "record"));
	output_stdout.close(handle);
}
END_TEST

START_TEST(a_reader_that_leaves_closes_it)
{
	open_output(&output_stdout);
	close(reader);
	ck_assert(!send_text(&output_stdout, "{}"));
	ck_assert_int_eq(output_stdout.state(handle), OUTPUT_CLOSED);
	ck_assert_int_eq(count_of(captured(), "cannot write"), 0);
	output_stdout.close(handle);
}
END_TEST

START_TEST(a_full_disk_is_said_once)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(full, 0);
	open_output(&output_stdout);
	dup2(full, STDOUT_FILENO);
	ck_assert(!send_text(&output_stdout, "{}"));
	ck_assert(!send_text(&output_stdout, "{}"));
	ck_assert_int_eq(output_stdout.state(handle), OUTPUT_LOST);
	ck_assert_int_eq(count_of(captured(), "cannot write to standard output: No space"), 1);
	ck_assert_int_eq(delivered, 0);
	output_stdout.close(handle);
}
END_TEST

START_TEST(nothing_takes_all)
{
	open_output(&output_nothing);
	for (int i = 0; i < 10000; i++)
		ck_assert(send_text(&output_nothing, "{}"));
	ck_assert_int_eq(delivered, 10000);
	ck_assert_int_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(read(reader, &(char){ 0 }, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	output_nothing.close(handle);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("output");
	TCase *tcase = tcase_create("output");

	tcase_add_checked_fixture(tcase, capture_start, NULL);
	tcase_add_test(tcase, a_record_is_a_line);
	tcase_add_test(tcase, a_full_pipe_takes_nothing);
	tcase_add_test(tcase, a_reader_that_leaves_closes_it);
	tcase_add_test(tcase, a_full_disk_is_said_once);
	tcase_add_test(tcase, nothing_takes_all);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
