/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The verdict on our own line: when references are asked, what is an answer, and for how long it
 * counts. Before a small server that says what the path tells it.
 */
#include <check.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "checker.h"
#include "checker/probe_internal.h"
#include "suite.h"

/* --- the server -------------------------------------------------------------------------- */

static int port, closed_port;
static int *requests; /* how many there have been */

/* /NUMBER: that status, of a redirect to /200; /raw: no HTTP; /hang: nothing. */
static void
serve(int fd)
{
	char request[4096], response[128];
	ssize_t n = read(fd, request, sizeof(request) - 1);
	int status, size = 0;

	if (n <= 0)
		return;
	request[n] = '\0';
	__atomic_add_fetch(requests, 1, __ATOMIC_SEQ_CST);
	if (sscanf(request, "HEAD /%d ", &status) == 1)
		size = snprintf(response, sizeof(response),
		    "HTTP/1.1 %d X\r\nLocation: /200\r\nContent-Length: 9\r\n\r\n", status);
	else if (strncmp(request, "HEAD /raw ", 10) == 0)
		size = snprintf(response, sizeof(response), "200 OK, but not HTTP\r\n\r\n");
	if (size > 0)
		send(fd, response, (size_t)size, MSG_NOSIGNAL);
	else if (strncmp(request, "HEAD /hang ", 11) == 0)
		recv(fd, request, 1, 0);
}

static int
bind_somewhere(int *number)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*number = ntohs(address.sin_port);
	return fd;
}

/* In a child that dies with the test. */
static void
start_server(void)
{
	int listener = bind_somewhere(&port);
	pid_t parent = getpid();

	ck_assert_int_eq(listen(listener, 64), 0);
	requests = mmap(
	    NULL, sizeof(*requests), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(requests, MAP_FAILED);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent) {
			int fd = accept(listener, NULL, NULL);

			if (fork() == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				serve(fd);
				_exit(0);
			}
			close(fd);
		}
		_exit(0);
	}
	close(listener);
}

/* No name server answers. */
int
getaddrinfo(
    const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	(void)node, (void)service, (void)hints, (void)found;
	for (;;)
		pause();
}

/* --- the vantage ------------------------------------------------------------------------- */

static struct probe *probe;
static struct config config;
static struct config_string references[CONFIG_REFERENCES_MAX];
static char urls[CONFIG_REFERENCES_MAX][64];
static struct result r;

static void
set_up(void)
{
	start_server();
	bind_somewhere(&closed_port); /* nobody listens, nor gets this port */
	ck_assert_int_eq(checker_init(), 0);
	probe = probe_new(NULL, 0);
	ck_assert_ptr_nonnull(probe);
	config = (struct config){ .references = references, .vantage_timeout_us = 30 * US_PER_S };
}

static void
tear_down(void)
{
	probe_free(probe);
}

static void
add(const char *scheme, int at, const char *path)
{
	size_t n = config.reference_count++;

	snprintf(urls[n], sizeof(urls[n]), "%s://127.0.0.1:%d/%s", scheme, at, path);
	references[n].value = urls[n];
}

/* A check that ended like this, judged. */
static enum error_type
judge(enum error_type error)
{
	result_init(&r);
	r.error = error;
	if (error != ERROR_NONE)
		result_fail(&r, error, "the reason");
	ck_assert_int_ge(probe_judge_vantage(probe, &config, &r), 0);
	return r.error;
}

START_TEST(only_what_the_line_can_cause_is_doubted)
{
	add("http", port, "hang");
	probe->vantage_asked_us = INT64_MAX; /* in the future: what was found counts */
	for (int error = 0; error < ERROR_COUNT; error++) {
		bool doubted = error == ERROR_DNS || error == ERROR_CONNECT ||
			       error == ERROR_TIMEOUT;

		ck_assert_int_eq(judge(error), doubted ? ERROR_VANTAGE : (enum error_type)error);
	}
	config.reference_count = 0;
	ck_assert_int_eq(judge(ERROR_DNS), ERROR_DNS);
	ck_assert_int_eq(*requests, 0);
}
END_TEST

START_TEST(one_answer_is_enough)
{
	add("http", closed_port, "200");
	add("http", port, "hang");
	add("http", port, "302");
	ck_assert_int_eq(judge(ERROR_CONNECT), ERROR_CONNECT);
	ck_assert_str_eq(r.error_message, "the reason");
	ck_assert_int_le(*requests, 2); /* the redirect was not followed */
}
END_TEST

static const int answers[] = { 200, 204, 301, 401, 404, 500, 999 };

START_TEST(any_status_is_an_answer)
{
	char path[8];

	snprintf(path, sizeof(path), "%d", answers[_i]);
	add("http", port, path);
	ck_assert_int_eq(judge(ERROR_TIMEOUT), ERROR_TIMEOUT);
	ck_assert_int_eq(*requests, 1);
}
END_TEST

START_TEST(what_is_no_answer)
{
	static struct result before;

	add("http", closed_port, "200");
	add("https", port, "200");
	add("http", port, "raw");
	result_init(&r);
	result_fail(&r, ERROR_DNS, "the reason");
	r.elapsed_us = 5;
	before = r;
	probe_judge_vantage(probe, &config, &r);
	ck_assert_int_eq(r.error, ERROR_VANTAGE);
	ck_assert_str_eq(r.error_message,
	    "none of the references answered either, so this host may "
	    "be offline; the check said dns: the reason");
	/* all else is as it was */
	before.error = r.error;
	ck_assert_mem_eq(&r, &before, offsetof(struct result, error_message));
	ck_assert_str_eq(r.final_url, "");
}
END_TEST

START_TEST(what_was_found_counts_for_a_second)
{
	add("http", port, "200");
	ck_assert_int_eq(judge(ERROR_DNS), ERROR_DNS);
	/* whatever the clock says meanwhile */
	probe->vantage_asked_us = util_mono_us() + 3600 * US_PER_S;
	references[0].value = "http://127.0.0.1:1/";
	ck_assert_int_eq(judge(ERROR_TIMEOUT), ERROR_TIMEOUT);
	ck_assert_int_eq(*requests, 1);
	probe->vantage_asked_us = util_mono_us() - 2 * US_PER_S;
	ck_assert_int_eq(judge(ERROR_TIMEOUT), ERROR_VANTAGE);
	/* that nobody answers, too */
	probe->vantage_asked_us = util_mono_us() + 3600 * US_PER_S;
	references[0].value = urls[0];
	ck_assert_int_eq(judge(ERROR_TIMEOUT), ERROR_VANTAGE);
	ck_assert_int_eq(*requests, 1);
	probe->vantage_asked_us = util_mono_us() - 2 * US_PER_S;
	ck_assert_int_eq(judge(ERROR_TIMEOUT), ERROR_TIMEOUT);
	ck_assert_int_eq(*requests, 2);
}
END_TEST

START_TEST(all_together_have_the_time_of_one)
{
	for (int i = 0; i < CONFIG_REFERENCES_MAX; i++)
		add("http", port, "hang");
	config.vantage_timeout_us = 300 * US_PER_MS;
	ck_assert_int_eq(judge(ERROR_TIMEOUT), ERROR_VANTAGE);
	ck_assert_int_eq(probe->leaked_threads, 0); /* there was no name to look up */
}
END_TEST

START_TEST(lookups_that_are_left_behind_are_counted)
{
	static char names[3][32];

	for (int i = 0; i < 3; i++) {
		snprintf(names[i], sizeof(names[i]), "http://dead-%d.example/", i);
		references[config.reference_count++].value = names[i];
	}
	config.vantage_timeout_us = 300 * US_PER_MS;
	ck_assert_int_eq(judge(ERROR_DNS), ERROR_VANTAGE);
	ck_assert_int_eq(probe->leaked_threads, 3);
	/* and when another one answers */
	add("http", port, "200");
	add("http", closed_port, "200");
	config.vantage_timeout_us = 30 * US_PER_S;
	probe->vantage_asked_us = util_mono_us() - 2 * US_PER_S;
	ck_assert_int_eq(judge(ERROR_DNS), ERROR_DNS);
	ck_assert_int_eq(probe->leaked_threads, 6);
}
END_TEST

static void
on_alarm(int signal_number)
{
	(void)signal_number;
	probe_abort();
}

START_TEST(an_abort_ends_the_question)
{
	const struct itimerval soon = { .it_value = { .tv_usec = 200000 },
		.it_interval = { .tv_usec = 200000 } };
	const struct sigaction action = { .sa_handler = on_alarm };

	add("http", port, "hang");
	config.vantage_timeout_us = 3600 * US_PER_S;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	ck_assert_int_eq(judge(ERROR_TIMEOUT), ERROR_ABORTED);
	ck_assert_str_eq(r.error_message, PROBE_ABORTED);
}
END_TEST

START_TEST(an_abort_ends_a_pause)
{
	const struct itimerval soon = { .it_value = { .tv_usec = 200000 },
		.it_interval = { .tv_usec = 200000 } };
	const struct sigaction action = { .sa_handler = on_alarm };

	ck_assert_int_ge(probe_pause(20 * US_PER_MS), 20 * US_PER_MS);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	ck_assert_int_lt(probe_pause(3600 * US_PER_S), 3600 * US_PER_S);
	ck_assert_int_eq(probe_pause(3600 * US_PER_S), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("vantage");
	TCase *tcase = tcase_create("vantage");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, only_what_the_line_can_cause_is_doubted);
	tcase_add_test(tcase, one_answer_is_enough);
	tcase_add_loop_test(tcase, any_status_is_an_answer, 0, ARRAY_LENGTH(answers));
	tcase_add_test(tcase, what_is_no_answer);
	tcase_add_test(tcase, what_was_found_counts_for_a_second);
	tcase_add_test(tcase, all_together_have_the_time_of_one);
	tcase_add_test(tcase, lookups_that_are_left_behind_are_counted);
	tcase_add_test(tcase, an_abort_ends_the_question);
	tcase_add_test(tcase, an_abort_ends_a_pause);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
