/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* What is due: a checker and an OPEN, or the record of a slot that never runs. */
#include <check.h>

#include "suite.h"
#include "supervised.h"

/* Instead of forks (-Wl,--wrap). */
bool __wrap_start_checker(struct supervisor *sup, struct worker *worker, int64_t now);

static int started;

bool
__wrap_start_checker(struct supervisor *sup, struct worker *worker, int64_t now)
{
	started++;
	pool_set_state(&sup->pool, worker, WORKER_STARTING, now);
	return true;
}

#define ONE_SITE "{ name = \"a\"; url = \"http://h/a\"; interval = 10; }"
#define INTERVAL (10 * US_PER_S)

/* `n` sites that are due at the same moment. */
static int64_t
begin_together(int n, int checkers, int max)
{
	char sites[4096] = "";
	size_t size = 0;
	int64_t due;

	for (int i = 0; i < n; i++)
		size += (size_t)snprintf(sites + size, sizeof(sites) - size,
		    "%s{ name = \"s%d\"; url = \"http://h/%d\"; interval = 10; }", i > 0 ? "," : "",
		    i, i);
	begin(sites, checkers, max);
	due = site_number(0)->timer.due_us;
	for (int i = 0; i < n; i++) {
		struct site_state *state = site_number((size_t)i);

		site_dequeue(&s, state);
		state->timer = site_number(0)->timer;
		state->timer.position = 0;
		state->affinity = 0;
		site_enqueue(&s, state);
	}
	return due;
}

START_TEST(what_is_due_is_opened_and_assigned)
{
	struct site_state *state;
	int64_t due;

	begin(ONE_SITE, 1, 1);
	state = site_number(0);
	due = state->timer.due_us;
	ck_assert_int_gt(due, CLOCK_START);
	ck_assert_int_le(due, CLOCK_START + INTERVAL);
	ck_assert_int_eq(dispatch(&s, due - 1), due);
	expect_no_frame();
	dispatch(&s, due);
	expect_frame(WIRE_OPEN, 0);
	ck_assert_int_eq(next_job(0), 0);
	ck_assert(state->running);
	ck_assert_int_eq(state->timer.due_us, due + INTERVAL);
	report_done(0, 0, ERROR_NONE, 3000, due + 5000);
	ck_assert(!state->running);
	ck_assert_int_eq(state->status, STATUS_UP);
	ck_assert_int_eq(dispatch(&s, due + 5000), due + INTERVAL);
	expect_no_frame();
	end();
}
END_TEST

START_TEST(slots_that_pass_while_a_check_runs_are_overrun)
{
	int64_t due;

	begin(ONE_SITE, 1, 1);
	due = site_number(0)->timer.due_us;
	dispatch(&s, due);
	expect_frame(WIRE_OPEN, 0);
	ck_assert_int_eq(next_job(0), 0);
	dispatch(&s, due + 2 * INTERVAL); /* it runs */
	expect_no_frame();
	report_done(0, 0, ERROR_TIMEOUT, 2 * INTERVAL, due + 2 * INTERVAL);
	dispatch(&s, due + 2 * INTERVAL);
	expect_end(WIRE_SINGLE, 1, ERROR_MISSED_OVERRUN);
	expect_end(WIRE_SINGLE, 2, ERROR_MISSED_OVERRUN);
	expect_no_frame();
	ck_assert_int_eq(site_number(0)->timer.due_us, due + 3 * INTERVAL);
	ck_assert_int_eq(site_number(0)->status, STATUS_DOWN); /* the check said why */
	end();
}
END_TEST

START_TEST(a_site_that_waits_too_long_runs_its_newest_slot)
{
	int64_t due;

	begin(ONE_SITE, 0, 1);
	due = site_number(0)->timer.due_us;
	dispatch(&s, due + INTERVAL - 1);
	expect_no_frame();
	ck_assert(s.site_waits);
	dispatch(&s, due + 2 * INTERVAL);
	expect_end(WIRE_SINGLE, 0, ERROR_MISSED_OVERLOAD);
	expect_end(WIRE_SINGLE, 1, ERROR_MISSED_OVERLOAD);
	expect_no_frame();
	ck_assert_int_eq(site_number(0)->timer.priority_us, due); /* it keeps its place */
	add_checker(0);
	dispatch(&s, due + 2 * INTERVAL);
	expect_frame(WIRE_OPEN, 2);
	ck_assert_int_eq(next_job(0), 2);
	ck_assert_int_eq(
	    STAILQ_FIRST(&s.pool.worker[0].checker->checks)->job.due_us, due + 2 * INTERVAL);
	end();
}
END_TEST

START_TEST(a_full_pipe_holds_back_all_and_loses_nothing)
{
	int64_t due = begin_together(3, 1, 1);

	s.epoch.next_settle_us = INT64_MAX;
	fill_pipe();
	ck_assert_int_eq(dispatch(&s, due), INT64_MAX);
	ck_assert(s.pipes.own_full);
	ck_assert_int_eq(next_job(0), -1);
	ck_assert_int_eq(s.pool.idle, 1);
	pipes_begin_turn(&s);
	dispatch(&s, due + INTERVAL); /* the slots have passed; nobody can be told yet */
	ck_assert_uint_eq(s.epoch.next_seq, 0);
	ck_assert(s.pipes.own_full);
	empty_pipe();
	dispatch(&s, due + INTERVAL);
	expect_end(WIRE_SINGLE, 0, ERROR_MISSED_OVERLOAD);
	end();
}
END_TEST

START_TEST(a_site_that_ends_its_checkers_is_quarantined)
{
	int64_t due;

	begin(ONE_SITE, 1, 1);
	s.epoch.next_settle_us = INT64_MAX;
	due = site_number(0)->timer.due_us;
	for (uint64_t i = 0; i < 2; i++) {
		dispatch(&s, due + (int64_t)i * INTERVAL);
		expect_frame(WIRE_OPEN, i);
		ck_assert_int_eq(next_job(0), (int64_t)i);
		die(0, due + (int64_t)i * INTERVAL + 1000);
		add_checker(0);
		dispatch(&s, due + (int64_t)i * INTERVAL + 1000);
		expect_end(WIRE_CLOSE, i, ERROR_ABORTED);
		expect_no_frame();
	}
	for (uint64_t i = 2; i <= 8; i++) {
		dispatch(&s, due + (int64_t)i * INTERVAL);
		if (i < 8)
			expect_end(WIRE_SINGLE, i, ERROR_QUARANTINED);
		else
			expect_frame(WIRE_OPEN, i); /* it may try again */
		expect_no_frame();
	}
	ck_assert_int_eq(next_job(0), 8);
	end();
}
END_TEST

START_TEST(a_queue_that_stalls_goes_to_others)
{
	int64_t due = begin_together(3, 2, 2);

	s.epoch.next_settle_us = INT64_MAX;
	for (size_t i = 0; i < 3; i++)
		site_number(i)->expected_us = 200;
	dispatch(&s, due);
	for (uint64_t i = 0; i < 3; i++)
		expect_frame(WIRE_OPEN, i);
	ck_assert_int_eq(s.pool.queued, 2); /* all at the checker of their tick */
	ck_assert_int_eq(next_job(0), 0);   /* which hangs in the first */
	requeue_stalled(&s, due + POOL_STALL_US - 1);
	ck_assert_int_eq(s.pool.queued, 2);
	requeue_stalled(&s, due + POOL_STALL_US);
	ck_assert_int_eq(s.pool.queued, 0);
	ck_assert_int_eq(next_job(0), -1); /* taken back: it will not run them */
	dispatch(&s, due + POOL_STALL_US);
	ck_assert_int_eq(next_job(1), 1);
	ck_assert_int_eq(next_job(1), -1); /* one at a time now */
	report_done(1, 1, ERROR_NONE, 300, due + POOL_STALL_US + 300);
	dispatch(&s, due + POOL_STALL_US + 300);
	ck_assert_int_eq(next_job(1), 2);
	report_done(0, 0, ERROR_NONE, 20000, due + 20000);
	report_done(1, 2, ERROR_NONE, 300, due + 20000);
	expect_no_frame(); /* no slot was opened twice */
	ck_assert_int_eq(s.pool.idle, 2);
	end();
}
END_TEST

START_TEST(a_stuck_checker_keeps_its_first_check)
{
	int64_t due = begin_together(2, 2, 2);

	for (size_t i = 0; i < 2; i++)
		site_number(i)->expected_us = 200;
	dispatch(&s, due);
	requeue_stalled(&s, due + POOL_STALL_US); /* it has read nothing */
	ck_assert_int_eq(next_job(0), 0);
	ck_assert_int_eq(next_job(0), -1);
	dispatch(&s, due + POOL_STALL_US);
	ck_assert_int_eq(next_job(1), 1);
	end();
}
END_TEST

START_TEST(the_pool_grows_when_nothing_begins)
{
	int64_t due = begin_together(9, 1, 7);

	dispatch(&s, due);
	ck_assert_int_eq(started, 0);
	dispatch(&s, due + POOL_GROW_STALLED_US - 1);
	ck_assert_int_eq(started, 0);
	dispatch(&s, due + POOL_GROW_BUSY_US);
	ck_assert_int_eq(started, 4); /* at once */
	dispatch(&s, due + POOL_GROW_BUSY_US + 1);
	ck_assert_int_eq(started, 4);
	for (int i = 1; i < 5; i++)
		add_checker(i);
	dispatch(&s, due + POOL_GROW_BUSY_US + 2);
	ck_assert_int_eq(s.pool.busy, 5);
	dispatch(&s, due + 2 * POOL_GROW_BUSY_US + 2);
	ck_assert_int_eq(started, 6); /* never more than max */
	end();
}
END_TEST

START_TEST(slow_sites_wait_for_their_half)
{
	int64_t due = begin_together(3, 2, 2);

	for (size_t i = 0; i < 3; i++) {
		site_dequeue(&s, site_number(i));
		site_number(i)->slow = i < 2;
		site_enqueue(&s, site_number(i));
	}
	s.epoch.next_settle_us = INT64_MAX;
	dispatch(&s, due);
	ck_assert_int_eq(s.pool.slow, 1);
	ck_assert_int_eq(s.pool.busy, 2);
	ck_assert(site_number(2)->running); /* past the one that waits */
	end();
}
END_TEST

START_TEST(a_stop_leaves_no_slot_without_record)
{
	struct check *check;
	int64_t due = begin_together(3, 1, 1);

	s.epoch.next_settle_us = INT64_MAX;
	dispatch(&s, due);
	expect_frame(WIRE_OPEN, 0);
	check = STAILQ_FIRST(&s.pool.worker[0].checker->checks);
	ck_assert_ptr_nonnull(check);
	s.stage = STAGE_STOPPING;
	fill_pipe();
	ck_assert(!record_remaining(&s, due));
	empty_pipe();
	ck_assert(record_remaining(&s, due));
	expect_end(WIRE_SINGLE, 1, ERROR_ABORTED);
	expect_end(WIRE_SINGLE, 2, ERROR_ABORTED);
	expect_no_frame();
	ck_assert_ptr_null(schedule_first(&s.sites.lane[0]));
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dispatch");
	TCase *tcase = tcase_create("dispatch");

	tcase_add_test(tcase, what_is_due_is_opened_and_assigned);
	tcase_add_test(tcase, slots_that_pass_while_a_check_runs_are_overrun);
	tcase_add_test(tcase, a_site_that_waits_too_long_runs_its_newest_slot);
	tcase_add_test(tcase, a_full_pipe_holds_back_all_and_loses_nothing);
	tcase_add_test(tcase, a_site_that_ends_its_checkers_is_quarantined);
	tcase_add_test(tcase, a_queue_that_stalls_goes_to_others);
	tcase_add_test(tcase, a_stuck_checker_keeps_its_first_check);
	tcase_add_test(tcase, the_pool_grows_when_nothing_begins);
	tcase_add_test(tcase, slow_sites_wait_for_their_half);
	tcase_add_test(tcase, a_stop_leaves_no_slot_without_record);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
