/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The supervisor's side of the checkers: their messages, which may be anything, and their death. */
#include <check.h>
#include <signal.h>
#include <sys/wait.h>

#include "suite.h"
#include "supervised.h"

#define TWO_SITES                                                                                  \
	"{ name = \"a\"; url = \"http://h/a\"; interval = 10; },"                                  \
	"{ name = \"b\"; url = \"http://h/b\"; interval = 10; }"

#define NOW (CLOCK_START + 1)

static struct worker *
worker(int i)
{
	return &s.pool.worker[i];
}

/* A check of site `i` for the first checker; both are expected to be quick. */
static struct check *
assign(size_t i)
{
	struct check *check;

	site_number(i)->expected_us = 200;
	check = open_check(&s, site_number(i), NOW);
	ck_assert(assign_check(&s, check, worker(0), NOW));
	return check;
}

/* A process that a test can see killed. */
static void
live(struct child *c)
{
	c->pid = fork();
	if (c->pid == 0) {
		pause();
		_exit(0);
	}
}

static void
expect_killed(struct child *c)
{
	int status;

	ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	c->pid = 0;
}

START_TEST(the_next_in_the_queue_gets_its_own_time)
{
	struct child *c;

	begin(TWO_SITES, 1, 1);
	c = &worker(0)->checker->child;
	assign(0);
	assign(1);
	ck_assert_int_eq(c->kill_at_us,
	    NOW + site_longest_us(s.config, site_number(0)->site) + WATCHDOG_GRACE_US);
	report_done(0, 0, ERROR_NONE, 100, NOW + 100);
	ck_assert_int_eq(c->kill_at_us,
	    NOW + 100 + site_longest_us(s.config, site_number(1)->site) + WATCHDOG_GRACE_US);
	ck_assert_int_eq(worker(0)->state, WORKER_BUSY);
	report_done(0, 1, ERROR_NONE, 100, NOW + 200);
	ck_assert_int_eq(c->kill_at_us, INT64_MAX);
	ck_assert_int_eq(worker(0)->state, WORKER_IDLE);
	end();
}
END_TEST

START_TEST(all_attempts_and_the_vantage_have_their_time)
{
	const int64_t repeated_us = 4 * US_PER_S + 500 * US_PER_MS + WATCHDOG_GRACE_US;

	begin("{ name = \"a\"; url = \"http://a/\"; interval = 20; timeout = 4; retries = 2; "
	      "retry_delay = 0.5; }",
	    0, 1);
	ck_assert_int_eq(
	    site_longest_us(s.config, site_number(0)->site), 4 * US_PER_S + 2 * repeated_us);
	s.config->reference_count = 1;
	s.config->vantage_timeout_us = 3 * US_PER_S;
	ck_assert_int_eq(
	    site_longest_us(s.config, site_number(0)->site), 7 * US_PER_S + 2 * repeated_us);
	end();
}
END_TEST

START_TEST(what_no_honest_checker_says_costs_its_life)
{
	struct wire_done ready = { .type = WIRE_READY };
	struct child *c;

	begin(TWO_SITES, 2, 2);
	for (int i = 0; i < 2; i++) {
		c = &worker(i)->checker->child;
		live(c);
		if (i == 0) {
			assign(0);
			report_done(0, 7, ERROR_NONE, 1, NOW); /* a check of somebody else */
		} else {
			send(worker(1)->checker->job_fd, &ready, sizeof(ready), 0);
			read_checker(&s, c, NOW); /* ready for the second time */
		}
		ck_assert_int_eq(c->fd, -1);
		expect_killed(c);
	}
	ck_assert(site_number(0)->running); /* until its end is known */
	end();
}
END_TEST

START_TEST(every_field_of_a_message_may_hold_anything)
{
	struct wire_done done = { .type = WIRE_DONE,
		.error = (enum error_type)1000,
		.elapsed_us = INT64_MIN,
		.busy_us = INT64_MIN,
		.ended_us = INT64_MAX };

	begin(TWO_SITES, 1, 1);
	assign(0);
	memset(done.error_message, 0x1b, sizeof(done.error_message));
	send(worker(0)->checker->job_fd, &done, sizeof(done), 0);
	read_checker(&s, &worker(0)->checker->child, NOW + 5);
	ck_assert_int_eq(site_number(0)->status, STATUS_UNKNOWN);
	ck_assert_int_eq(site_number(0)->busy_until_us, NOW + 5);
	ck_assert_ptr_null(strchr(site_number(0)->why, 0x1b));
	end();
}
END_TEST

START_TEST(a_death_costs_one_check)
{
	begin(TWO_SITES, 1, 1);
	assign(0);
	assign(1);
	expect_frame(WIRE_OPEN, 0);
	expect_frame(WIRE_OPEN, 1);
	ck_assert_int_eq(next_job(0), 0);
	ck_assert_int_eq(next_job(0), 1); /* a hostile one takes all that it finds */
	die(0, NOW + 10);
	ck_assert(flush_pending_closes(&s, NOW + 10));
	expect_end(WIRE_CLOSE, 0, ERROR_ABORTED);
	expect_no_frame();
	ck_assert(site_number(1)->running); /* it waits for another checker */
	ck_assert_uint_eq(STAILQ_FIRST(&s.waiting)->job.seq, 1);
	ck_assert_int_eq(STAILQ_FIRST(&s.waiting)->begun_us, RESULT_NONE);
	ck_assert_int_eq(worker(0)->state, WORKER_NONE);
	ck_assert_int_eq(s.pool.queued, 0);
	add_checker(0);
	dispatch(&s, NOW + 20);
	ck_assert_int_eq(next_job(0), 1);
	end();
}
END_TEST

START_TEST(a_death_before_the_first_job_costs_none)
{
	begin(TWO_SITES, 1, 1);
	assign(0);
	expect_frame(WIRE_OPEN, 0);
	die(0, NOW + 10);
	ck_assert(flush_pending_closes(&s, NOW + 10));
	expect_no_frame();
	ck_assert_uint_eq(STAILQ_FIRST(&s.waiting)->job.seq, 0);
	end();
}
END_TEST

START_TEST(its_last_words_are_read)
{
	struct wire_done done = {
		.type = WIRE_DONE, .http_status = 200, .elapsed_us = 100, .busy_us = 100
	};

	begin(TWO_SITES, 1, 1);
	assign(0);
	ck_assert_int_eq(next_job(0), 0);
	send(worker(0)->checker->job_fd, &done, sizeof(done), 0);
	die(0, NOW + 10);
	ck_assert(STAILQ_EMPTY(&s.pending_closes));
	ck_assert_int_eq(site_number(0)->status, STATUS_UP);
	ck_assert_int_eq(site_number(0)->quarantine.crashes, 0);
	end();
}
END_TEST

START_TEST(one_that_leaves_gives_back_its_queue)
{
	struct wire_done done = { .type = WIRE_DONE,
		.leaving = 1,
		.http_status = 200,
		.elapsed_us = 100,
		.busy_us = 100 };

	begin(TWO_SITES, 1, 1);
	assign(0);
	assign(1);
	ck_assert_int_eq(next_job(0), 0);
	send(worker(0)->checker->job_fd, &done, sizeof(done), 0);
	read_checker(&s, &worker(0)->checker->child, NOW + 10);
	ck_assert_int_eq(next_job(0), -1);
	ck_assert_uint_eq(STAILQ_FIRST(&s.waiting)->job.seq, 1);
	ck_assert(worker(0)->retiring);
	ck_assert_int_eq(worker(0)->checker->child.fd, -1);
	ck_assert_int_lt(worker(0)->checker->child.kill_at_us, NOW + 10 * US_PER_S);
	ck_assert_ptr_null(pool_choose(&s.pool, 0, -1, INT64_MAX));
	end();
}
END_TEST

START_TEST(a_checker_may_read_a_job_between_two_that_are_taken_back)
{
	struct check *check[3];
	struct checker *c;

	begin(TWO_SITES ",{ name = \"c\"; url = \"http://h/c\"; interval = 10; }", 1, 1);
	c = worker(0)->checker;
	for (size_t i = 0; i < 3; i++)
		check[i] = assign(i);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(next_job(0), i);
	/* it has read the first and the third; the second lies in the socket */
	send(c->child.fd, &check[1]->job, sizeof(check[1]->job), 0);
	requeue_stalled(&s, NOW + POOL_STALL_US);
	ck_assert_ptr_eq(STAILQ_FIRST(&s.waiting), check[1]);
	ck_assert_ptr_eq(STAILQ_FIRST(&c->checks), check[0]);
	ck_assert_int_eq(worker(0)->checks, 2);
	report_done(0, 0, ERROR_NONE, 100, NOW + POOL_STALL_US + 1);
	report_done(0, 2, ERROR_NONE, 100, NOW + POOL_STALL_US + 2);
	ck_assert_int_eq(worker(0)->state, WORKER_IDLE);
	ck_assert_int_eq(s.pool.queued, 0);
	end();
}
END_TEST

START_TEST(a_checker_that_begins_nothing_keeps_one_check)
{
	begin(TWO_SITES, 1, 1);
	assign(0);
	assign(1);
	requeue_stalled(&s, NOW + POOL_STALL_US);
	ck_assert_int_eq(next_job(0), 0);
	ck_assert_int_eq(next_job(0), -1);
	ck_assert_uint_eq(STAILQ_FIRST(&s.waiting)->job.seq, 1);
	ck_assert_int_eq(worker(0)->checks, 1);
	end();
}
END_TEST

START_TEST(a_checker_is_told_to_leave_when_it_is_idle)
{
	begin(TWO_SITES, 2, 2);
	assign(0);
	retire_all_checkers(&s, NOW);
	ck_assert_int_ge(worker(0)->checker->child.fd, 0);
	ck_assert_int_eq(worker(1)->checker->child.fd, -1);
	report_done(0, 0, ERROR_NONE, 100, NOW + 100);
	ck_assert_int_eq(worker(0)->checker->child.fd, -1);
	end();
}
END_TEST

START_TEST(the_watchdog_excuses_a_full_pipe_for_a_while)
{
	static const unsigned char bytes[WIRE_FRAME_MAX];
	struct check *check;
	struct child *c;
	int64_t late;

	begin(TWO_SITES, 1, 1);
	c = &worker(0)->checker->child;
	check = assign(0);
	late = c->kill_at_us;
	while (pipe_write(s.pipes.checkers.write_fd, bytes, sizeof(bytes)) == 0)
		;
	ck_assert_ptr_eq(children_overdue(&s.children, late), c);
	ck_assert(!checker_is_overdue(&s, c, late));
	ck_assert_int_eq(c->kill_at_us, late + WATCHDOG_GRACE_US);
	s.publisher.report.taken += 2 * PIPE_SIZE; /* all others have found room since */
	ck_assert(checker_is_overdue(&s, c, late + WATCHDOG_GRACE_US));
	ck_assert_ptr_nonnull(strstr(check->why, "did not end within"));
	die(0, late + WATCHDOG_GRACE_US + 1);
	ck_assert_str_eq(STAILQ_FIRST(&s.pending_closes)->why,
	    "the checker did not end within 12 s and was killed");
	end();
}
END_TEST

START_TEST(a_socket_without_room_is_no_death)
{
	begin(TWO_SITES, 1, 1);
	assign(0);
	while (send(worker(0)->checker->child.fd, "", 1, MSG_DONTWAIT) > 0)
		;
	site_number(1)->expected_us = 200;
	ck_assert(!assign_check(&s, open_check(&s, site_number(1), NOW), worker(0), NOW));
	ck_assert_uint_eq(STAILQ_FIRST(&s.waiting)->job.seq, 1);
	ck_assert_ptr_null(pool_choose(&s.pool, 0, -1, 200)); /* its queue is closed */
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("checkers");
	TCase *tcase = tcase_create("checkers");

	tcase_add_test(tcase, the_next_in_the_queue_gets_its_own_time);
	tcase_add_test(tcase, all_attempts_and_the_vantage_have_their_time);
	tcase_add_test(tcase, what_no_honest_checker_says_costs_its_life);
	tcase_add_test(tcase, every_field_of_a_message_may_hold_anything);
	tcase_add_test(tcase, a_death_costs_one_check);
	tcase_add_test(tcase, a_death_before_the_first_job_costs_none);
	tcase_add_test(tcase, its_last_words_are_read);
	tcase_add_test(tcase, one_that_leaves_gives_back_its_queue);
	tcase_add_test(tcase, a_checker_may_read_a_job_between_two_that_are_taken_back);
	tcase_add_test(tcase, a_checker_that_begins_nothing_keeps_one_check);
	tcase_add_test(tcase, a_checker_is_told_to_leave_when_it_is_idle);
	tcase_add_test(tcase, the_watchdog_excuses_a_full_pipe_for_a_while);
	tcase_add_test(tcase, a_socket_without_room_is_no_death);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
