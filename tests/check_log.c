/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Lines that can be trusted: one each, with time, process, role and level, and never too many. */
#include "log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "scratch.h"
#include "suite.h"
#include "util.h"

static time_t ahead_s; /* our clock */

int
clock_gettime(clockid_t id, struct timespec *now)
{
	int outcome = (int)syscall(SYS_clock_gettime, id, now);

	now->tv_sec += ahead_s;
	return outcome;
}

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
			log_write(i, "line");
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

/* For days, at a pace that no second forbids. */
START_TEST(an_hour_has_its_limit_too)
{
	int before = 0;

	ahead_s = 3600 - util_mono_us() / US_PER_S % 3600; /* one begins */
	for (int i = 0; i < 300; i++) {
		capture_forget();
		for (int line = 0; line < 100; line++)
			log_info("flood");
		before += count_of(captured(), "flood\n");
		ahead_s++;
	}
	ck_assert_int_eq(before, 20000);
	log_error("an alarm");
	ck_assert_int_eq(count_of(captured(), "an alarm\n"), 1);
	ahead_s += 3600;
	capture_forget();
	log_info("calm");
	ck_assert_int_eq(count_of(captured(), "10000 lines were held back within an hour\n"), 1);
	ck_assert_int_eq(count_of(captured(), "calm\n"), 1);
	ahead_s = 0; /* libcheck counts, too */
}
END_TEST

START_TEST(the_journal_gets_priorities_instead_of_times)
{
	static const char *const priorities[] = { "<3>", "<4>", "<5>", "<6>", "<7>" };

	setenv("JOURNAL_STREAM", "8:1", 1);
	log_detect_journal();
	log_open(LOG_TO_STDERR, LOG_LEVEL_DEBUG);
	log_set_role("publisher");
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		char expected[64];

		capture_forget();
		log_write(i, "%s", "text");
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

/* --- syslogd ----------------------------------------------------------------------------- */

#define LONG_LINE 1400 /* few of them fill what is between us and who reads */

static int syslogd = -1;

static void
start_syslogd(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", log_socket);
	syslogd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(syslogd, (struct sockaddr *)&at, sizeof(at)), 0);
}

static void
stop_syslogd(void)
{
	close(syslogd);
	ck_assert_int_eq(unlink(log_socket), 0);
}

/* The next line that it has got; "": there is none. */
static const char *
heard(void)
{
	static char line[4096];
	ssize_t n = recv(syslogd, line, sizeof(line) - 1, 0);

	line[n > 0 ? n : 0] = '\0';
	return line;
}

static void
log_to_syslogd(void)
{
	log_socket = strdup(path_in_dir("log"));
	start_syslogd();
	log_open(LOG_TO_SYSLOG, LOG_LEVEL_DEBUG);
}

START_TEST(syslogd_gets_what_syslog_writes)
{
	static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };
	int priority, day, hour, minute, second, pid, rest;
	char month[4];

	log_to_syslogd();
	log_set_role("publisher");
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		const char *line;

		log_write(i, "line %zu\nof two", i);
		line = heard();
		ck_assert_int_eq(sscanf(line, "<%d>%3s %d %d:%d:%d webmond[%d]: publisher: %n",
				     &priority, month, &day, &hour, &minute, &second, &pid, &rest),
		    7);
		ck_assert_int_eq(priority, LOG_DAEMON | priorities[i]);
		ck_assert_int_eq(pid, getpid());
		ck_assert_ptr_nonnull(strstr(line + rest, "line "));
		if (i < 2) /* found by grep where no priority is shown */
			ck_assert_ptr_eq(strstr(line + rest, names[i]), line + rest);
		ck_assert_ptr_null(strchr(line, '\n'));
	}
	ck_assert_str_eq(captured(), "");
}
END_TEST

START_TEST(a_syslogd_that_is_stuck_stops_nobody)
{
	unsigned heard_lines = 0, missing = 0, total = 300;
	char text[LONG_LINE] = "";
	const char *line;

	log_to_syslogd();
	memset(text, 'x', sizeof(text) - 1);
	for (unsigned i = 0; i < total; i++)
		log_error("%s", text);
	while (*heard() != '\0')
		heard_lines++;
	ck_assert_uint_gt(heard_lines, 0);
	ck_assert_uint_lt(heard_lines, total);
	/* it reads again */
	log_error("the next");
	line = strstr(heard(), "]: ");
	ck_assert_ptr_nonnull(line);
	ck_assert_int_eq(sscanf(line, "]: warning: %u lines are missing here", &missing), 1);
	ck_assert_uint_eq(heard_lines + missing, total);
	ck_assert_ptr_nonnull(strstr(heard(), "the next"));
	ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(a_syslogd_that_restarts_is_found_again)
{
	log_to_syslogd();
	stop_syslogd();
	log_info("lost");
	start_syslogd();
	log_info("found");
	ck_assert_ptr_nonnull(strstr(heard(), "]: warning: 1 line is missing here"));
	ck_assert_ptr_nonnull(strstr(heard(), "found"));
}
END_TEST

/* A child has not lost what its parent has, nor its parent's descriptor. */
START_TEST(a_child_has_a_log_of_its_own)
{
	int status;
	pid_t pid;

	log_to_syslogd();
	stop_syslogd();
	log_info("lost");
	start_syslogd();
	if ((pid = fork()) == 0) {
		log_forked();
		ck_assert_int_eq(open("/dev/null", O_RDONLY), syslogd + 1);
		log_info("of the child");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_ptr_nonnull(strstr(heard(), "of the child"));
}
END_TEST

/* There is room for a few bytes of a line, and nobody makes more. */
START_TEST(a_terminal_that_stands_still_stops_nobody)
{
	char text[LONG_LINE] = "";
	int master = posix_openpt(O_RDWR | O_NOCTTY), terminal;

	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(grantpt(master), 0);
	ck_assert_int_eq(unlockpt(master), 0);
	terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
	ck_assert_int_eq(dup2(terminal, STDERR_FILENO), STDERR_FILENO);
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 300; i++)
		log_error("%s", text);
	/* others who have it open wait as before */
	ck_assert_int_eq(fcntl(terminal, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, capture_start, NULL);
	tcase_add_checked_fixture(tcase, make_dir, remove_dir);
	tcase_add_test(tcase, a_line_says_when_who_and_how_bad);
	tcase_add_test(tcase, what_is_below_the_level_is_not_said);
	tcase_add_test(tcase, everything_from_info_is_said_before_it_is_opened);
	tcase_add_test(tcase, a_line_is_one_line);
	tcase_add_test(tcase, long_lines_are_cut);
	tcase_add_test(tcase, errno_is_kept);
	tcase_add_test(tcase, a_closed_log_stops_nobody);
	tcase_add_test(tcase, a_flood_is_counted);
	tcase_add_test(tcase, a_flood_leaves_room_for_errors);
	tcase_add_test(tcase, an_hour_has_its_limit_too);
	tcase_add_test(tcase, the_journal_gets_priorities_instead_of_times);
	tcase_add_test(tcase, fatal_ends_with_its_code);
	tcase_add_test(tcase, syslogd_gets_what_syslog_writes);
	tcase_add_test(tcase, a_syslogd_that_is_stuck_stops_nobody);
	tcase_add_test(tcase, a_syslogd_that_restarts_is_found_again);
	tcase_add_test(tcase, a_child_has_a_log_of_its_own);
	tcase_add_test(tcase, a_terminal_that_stands_still_stops_nobody);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
