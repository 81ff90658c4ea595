/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Lines that can be trusted: one each, with time, process, role and level, and never too many. */
#include "log.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture.h"
#include "suite.h"
#include "util.h"

static void (*const functions[])(
    const char *, ...) = { log_error, log_warning, log_notice, log_info, log_debug };
static const char *const names[] = { "error", "warning", "notice", "info", "debug" };

START_TEST(a_line_says_when_who_and_how_bad)
{
	char expected[128];
	int year, month, day, hour, minute, second, ms, pid, rest = 0;

	log_warning("kafka: %s", "broker is away");
	ck_assert_int_eq(sscanf(captured(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ webmond[%d]%n", &year,
			     &month, &day, &hour, &minute, &second, &ms, &pid, &rest),
	    8);
	ck_assert_int_eq(pid, getpid());
	ck_assert_str_eq(captured() + rest, " warning: kafka: broker is away\n");

	capture_forget();
	log_set_role("checker 3");
	log_error("x");
	snprintf(expected, sizeof(expected), "webmond[%d] checker 3 error: x\n", (int)getpid());
	ck_assert_ptr_nonnull(strstr(captured(), expected));
}
END_TEST

START_TEST(what_is_below_the_level_is_not_said)
{
	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		log_open(LOG_TO_STDERR, level);
		capture_forget();
		for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
			functions[i]("line");
			ck_assert_int_eq(count_of(captured(), names[i]), i <= level);
		}
	}
}
END_TEST

START_TEST(everything_from_info_is_said_before_it_is_opened)
{
	log_info("early");
	log_debug("too chatty");
	ck_assert_int_eq(count_of(captured(), "early"), 1);
	ck_assert_int_eq(count_of(captured(), "chatty"), 0);
}
END_TEST

/* What sites and brokers say cannot forge a line or drive a terminal. */
START_TEST(a_line_is_one_line)
{
	log_info("%s", "a\n2026-01-01T00:00:00.000Z webmond[1] error: forged\r\x1b[2J\xff");
	ck_assert_int_eq(count_of(captured(), "\n"), 1);
	ck_assert_ptr_null(strpbrk(captured(), "\r\x1b"));
	ck_assert_ptr_nonnull(strstr(captured(), "[2J\xef\xbf\xbd\n"));
}
END_TEST

START_TEST(long_lines_are_cut)
{
	char text[8000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	ck_assert_uint_lt(strlen(captured()), 2048);
	ck_assert_uint_gt(strlen(captured()), 1400);
	ck_assert_str_eq(captured() + strlen(captured()) - 1, "\n");
	ck_assert_int_eq(count_of(captured(), "\n"), 1);
}
END_TEST

START_TEST(errno_is_kept)
{
	errno = ENOSPC;
	log_info("%s", strerror(EIO));
	ck_assert_int_eq(errno, ENOSPC);
	log_debug("below the level");
	ck_assert_int_eq(errno, ENOSPC);
}
END_TEST

START_TEST(a_closed_log_stops_nobody)
{
	close(STDERR_FILENO);
	log_error("nobody reads this");
	ck_assert_str_eq(captured(), "");
}
END_TEST

/* A flood is held back and counted; what is said and what is counted is together all of it. */
START_TEST(a_flood_is_counted)
{
	unsigned held = 0, total = 0;
	const char *count;
	size_t size = 0;

	do {
		log_info("flood");
		total++;
		if ((size_t)lseek(capture_fd, 0, SEEK_END) == size)
			continue; /* held back */
		size = strlen(captured());
	} while ((count = strstr(captured(), "lines were held back")) == NULL);
	while (*count != ':')
		count--;
	ck_assert_int_eq(sscanf(count, ": %u lines were held back\n", &held), 1);
	ck_assert_uint_gt(held, 0);
	ck_assert_uint_eq((unsigned)count_of(captured(), "flood\n") + held, total);
}
END_TEST

/* What must be seen is not lost among what may be. */
START_TEST(a_flood_leaves_room_for_errors)
{
	for (int i = 0; i < 1000; i++)
		log_notice("flood");
	log_error("an alarm");
	ck_assert_int_eq(count_of(captured(), "an alarm\n"), 1);
}
END_TEST

START_TEST(the_journal_gets_priorities_instead_of_times)
{
	static const char *const priorities[] = { "<3>", "<4>", "<5>", "<6>", "<7>" };

	setenv("JOURNAL_STREAM", "8:1", 1);
	log_detect_journal();
	log_open(LOG_TO_STDERR, LOG_LEVEL_DEBUG);
	log_set_role("publisher");
	for (size_t i = 0; i < ARRAY_LENGTH(functions); i++) {
		char expected[64];

		capture_forget();
		functions[i]("%s", "text");
		snprintf(expected, sizeof(expected), "%spublisher: text\n", priorities[i]);
		ck_assert_str_eq(captured(), expected);
	}
}
END_TEST

START_TEST(fatal_ends_with_its_code)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		fatal(71, "no %s", "way");
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 71);
	ck_assert_ptr_nonnull(strstr(captured(), " error: no way\n"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, capture_start, NULL);
	tcase_add_test(tcase, a_line_says_when_who_and_how_bad);
	tcase_add_test(tcase, what_is_below_the_level_is_not_said);
	tcase_add_test(tcase, everything_from_info_is_said_before_it_is_opened);
	tcase_add_test(tcase, a_line_is_one_line);
	tcase_add_test(tcase, long_lines_are_cut);
	tcase_add_test(tcase, errno_is_kept);
	tcase_add_test(tcase, a_closed_log_stops_nobody);
	tcase_add_test(tcase, a_flood_is_counted);
	tcase_add_test(tcase, a_flood_leaves_room_for_errors);
	tcase_add_test(tcase, the_journal_gets_priorities_instead_of_times);
	tcase_add_test(tcase, fatal_ends_with_its_code);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
