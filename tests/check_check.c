/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Checks and their frames: each slot has one OPEN and one CLOSE, whenever the pipe is full. */
#include <check.h>

#include "suite.h"
#include "supervised.h"

#define TWO_SITES                                                                                  \
	"{ name = \"a\"; url = \"http://h/a\"; interval = 10; },"                                  \
	"{ name = \"b\"; url = \"http://h/b\"; interval = 10; }"

START_TEST(an_open_has_the_next_seq_and_a_token)
{
	struct check *a, *b;
	struct frame frame;

	begin(TWO_SITES, 1, 1);
	a = open_check(&s, site_number(0), CLOCK_START);
	b = open_check(&s, site_number(1), CLOCK_START);
	ck_assert(next_frame(&frame));
	ck_assert_int_eq(frame.type, WIRE_OPEN);
	ck_assert_uint_eq(frame.seq, 0);
	ck_assert_uint_eq(frame.token, a->job.token);
	ck_assert_uint_eq(frame.token, wire_token(s.pipes.token_key, &frame));
	expect_frame(WIRE_OPEN, 1);
	ck_assert_uint_eq(b->job.seq, 1);
	ck_assert(site_number(0)->running);
	ck_assert_uint_eq(site_number(0)->timer.position, 0); /* in no heap while it runs */
	check_free(a);
	check_free(b);
	end();
}
END_TEST

START_TEST(what_finds_the_pipe_full_comes_later_and_once)
{
	struct site_state *state;
	struct check *check;
	struct timer before;

	begin(TWO_SITES, 1, 1);
	state = site_number(0);
	before = state->timer;
	fill_pipe();
	ck_assert_ptr_null(open_check(&s, state, CLOCK_START));
	ck_assert(!write_missed(&s, state, ERROR_MISSED_OVERLOAD, "late", CLOCK_START));
	ck_assert(s.pipes.own_full);
	ck_assert_uint_eq(s.epoch.next_seq, 0);
	ck_assert(!state->running);
	ck_assert_int_eq(state->timer.slot_us, before.slot_us);
	ck_assert_uint_ne(state->timer.position, 0);
	ck_assert_int_eq(*s.config->holders, 2); /* we and the checker, but no check */
	empty_pipe();
	check = open_check(&s, state, CLOCK_START);
	ck_assert_ptr_nonnull(check);
	expect_frame(WIRE_OPEN, 0);
	expect_no_frame();
	check_free(check);
	end();
}
END_TEST

START_TEST(a_close_survives_a_full_pipe)
{
	struct site_state *state;
	struct frame frame;
	uint64_t token;

	begin(TWO_SITES, 1, 1);
	state = site_number(0);
	abandon_check(&s, open_check(&s, state, CLOCK_START), "because of %d", 1);
	ck_assert(next_frame(&frame));
	token = frame.token;
	fill_pipe();
	ck_assert(!flush_pending_closes(&s, CLOCK_START));
	ck_assert(!flush_pending_closes(&s, CLOCK_START));
	ck_assert(state->running);
	empty_pipe();
	ck_assert(flush_pending_closes(&s, CLOCK_START));
	ck_assert(flush_pending_closes(&s, CLOCK_START)); /* nothing is left */
	ck_assert(next_frame(&frame));
	ck_assert_int_eq(frame.type, WIRE_CLOSE);
	ck_assert_uint_eq(frame.seq, 0);
	ck_assert_uint_eq(frame.token, token);
	expect_no_frame();
	ck_assert(!state->running);
	ck_assert_str_eq(state->why, "aborted: because of 1");
	ck_assert_uint_ne(state->timer.position, 0);
	end();
}
END_TEST

START_TEST(a_check_ends_in_the_epoch_in_which_it_began)
{
	char before[WIRE_EPOCH_SIZE];
	struct check *check;
	struct frame frame;

	begin(TWO_SITES, 1, 1);
	check = open_check(&s, site_number(0), CLOCK_START);
	expect_frame(WIRE_OPEN, 0);
	memcpy(before, s.epoch.name, sizeof(before));
	epoch_begin(&s);
	ck_assert_str_ne(s.epoch.name, before);
	check_free(open_check(&s, site_number(1), CLOCK_START));
	expect_frame(WIRE_OPEN, 0); /* of the new one */
	abandon_check(&s, check, "it died");
	ck_assert(flush_pending_closes(&s, CLOCK_START));
	ck_assert(next_frame(&frame));
	ck_assert_str_eq(frame.epoch, before);
	end();
}
END_TEST

START_TEST(the_publisher_learns_what_is_over)
{
	struct check *a, *b;

	begin(TWO_SITES, 1, 1);
	a = open_check(&s, site_number(0), CLOCK_START);
	b = open_check(&s, site_number(1), CLOCK_START);
	expect_frame(WIRE_OPEN, 0);
	expect_frame(WIRE_OPEN, 1);
	wait_last(&s, b);
	fill_pipe();
	ck_assert(!settle(&s, CLOCK_START)); /* slot 0 is over */
	empty_pipe();
	ck_assert(settle(&s, CLOCK_START));
	expect_frame(WIRE_SETTLED, 1);
	ck_assert(settle(&s, CLOCK_START)); /* it knows already */
	expect_no_frame();
	abandon_waiting(&s);
	ck_assert(settle(&s, CLOCK_START)); /* the CLOSE is not written yet */
	expect_no_frame();
	ck_assert(flush_pending_closes(&s, CLOCK_START));
	expect_end(WIRE_CLOSE, 1, ERROR_ABORTED);
	ck_assert(settle(&s, CLOCK_START));
	expect_frame(WIRE_SETTLED, 2);
	check_free(a);
	end();
}
END_TEST

START_TEST(a_check_that_waits_follows_a_reload_if_its_open_stays_true)
{
	char outcome[128];
	struct check *a, *b, *c;
	struct config *old, *new;

	begin(TWO_SITES ", { name = \"c\"; url = \"http://h/c\"; interval = 10; }", 1, 1);
	old = s.config;
	a = open_check(&s, site_number(0), CLOCK_START);
	b = open_check(&s, site_number(1), CLOCK_START);
	c = open_check(&s, site_number(2), CLOCK_START);
	ck_assert(follow_reload(&s, a)); /* there was none */
	new = make_config("{ name = \"b\"; url = \"http://h/other\"; interval = 10; },"
			  "{ name = \"a\"; url = \"http://h/a\"; interval = 10; timeout = 5; }");
	config_compare(new, old);
	sites_adopt(&s, new, CLOCK_START, outcome, sizeof(outcome));
	s.config = config_hold(new);
	config_release(old);
	ck_assert(follow_reload(&s, a)); /* only what the OPEN does not say has changed */
	ck_assert_ptr_eq(a->site, &new->sites[1]);
	ck_assert_uint_eq(a->job.site, 1);
	ck_assert(!follow_reload(&s, b)); /* its URL has changed */
	ck_assert(!follow_reload(&s, c)); /* it was removed */
	check_free(a);
	check_free(b);
	check_free(c);
	end();
}
END_TEST

START_TEST(a_new_checker_knows_no_token)
{
	struct check *waiting, *pending;

	begin(TWO_SITES, 1, 1);
	waiting = open_check(&s, site_number(0), CLOCK_START);
	pending = open_check(&s, site_number(1), CLOCK_START);
	wait_first(&s, waiting);
	add_pending_close(&s, pending);
	forget_tokens(&s);
	ck_assert_uint_eq(waiting->job.token, 0);
	ck_assert_uint_eq(pending->job.token, 0);
	for (size_t i = 0; i < sizeof(s.pipes.token_key); i++)
		ck_assert_int_eq(s.pipes.token_key[i], 0);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("check");
	TCase *tcase = tcase_create("check");

	tcase_add_test(tcase, an_open_has_the_next_seq_and_a_token);
	tcase_add_test(tcase, what_finds_the_pipe_full_comes_later_and_once);
	tcase_add_test(tcase, a_close_survives_a_full_pipe);
	tcase_add_test(tcase, a_check_ends_in_the_epoch_in_which_it_began);
	tcase_add_test(tcase, the_publisher_learns_what_is_over);
	tcase_add_test(tcase, a_check_that_waits_follows_a_reload_if_its_open_stays_true);
	tcase_add_test(tcase, a_new_checker_knows_no_token);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
