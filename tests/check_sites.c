/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Sites: their slots over reloads and steps of the clock, and when the last of them is freed. */
#include <check.h>

#include "suite.h"
#include "supervised.h"

/* The clocks (-Wl,--wrap). */
int64_t __wrap_util_mono_us(void);
int64_t __wrap_util_utc_us(void);

static int64_t clock_us = CLOCK_START, utc_us = CLOCK_START;

int64_t
__wrap_util_mono_us(void)
{
	return clock_us;
}

int64_t
__wrap_util_utc_us(void)
{
	return utc_us;
}

#define A        "{ name = \"a\"; url = \"http://h/a\"; interval = 10; }"
#define B        "{ name = \"b\"; url = \"http://h/b\"; interval = 10; }"
#define B_SLOWER "{ name = \"b\"; url = \"http://h/b\"; interval = 100; }"
#define C        "{ name = \"c\"; url = \"http://h/c\"; interval = 10; }"
#define INTERVAL (10 * US_PER_S)

static char outcome[128];

static void
reload(const char *sites, int64_t now)
{
	struct config *old = s.config, *new = make_config(sites);

	config_compare(new, old);
	sites_adopt(&s, new, now, outcome, sizeof(outcome));
	s.config = config_hold(new);
	config_release(old);
}

static const struct wire_done fine = { .http_status = 200, .elapsed_us = 1000, .busy_us = 1000 };

START_TEST(a_reload_keeps_slots_and_running_checks)
{
	struct site_state *a, *b, *c;
	struct check *check;
	struct timer slot;

	begin(A "," B, 1, 1);
	a = site_number(0);
	b = site_number(1);
	check = open_check(&s, a, a->timer.due_us);
	slot = b->timer;
	reload(C "," B "," A, CLOCK_START + 1);
	ck_assert_str_eq(outcome, "reloaded: 3 sites, 1 added, 0 changed, 0 removed");
	ck_assert_ptr_eq(site_number(1), b);
	ck_assert_ptr_eq(site_number(2), a);
	ck_assert_uint_eq(a->index, 2);
	ck_assert_ptr_eq(a->site, &s.config->sites[2]);
	ck_assert(a->running);
	ck_assert_int_eq(b->timer.slot_us, slot.slot_us);
	c = site_number(0);
	ck_assert_str_eq(c->site->name, "c");
	ck_assert_int_gt(c->timer.due_us, CLOCK_START + 1);
	ck_assert_uint_ne(c->timer.position, 0);
	check_free(check);
	end();
}
END_TEST

START_TEST(a_new_interval_has_a_grid_of_its_own)
{
	struct site_state *b;
	int64_t due;

	begin(A "," B, 0, 1);
	b = site_number(1);
	due = b->timer.due_us;
	reload(A "," B_SLOWER, due - 1);
	ck_assert_str_eq(outcome, "reloaded: 2 sites, 0 added, 1 changed, 0 removed");
	ck_assert_int_eq(b->interval_us, 100 * US_PER_S);
	ck_assert_int_eq((b->timer.slot_us - b->phase_us) % b->interval_us, 0);
	ck_assert_int_ge(b->timer.due_us, due - 1);
	reload(A "," B, b->timer.due_us + 1); /* one slot is due, and no checker is free */
	ck_assert_int_eq(b->interval_us, 100 * US_PER_S);
	site_miss(&s, b, false, b->timer.due_us);
	ck_assert_int_eq(b->interval_us, INTERVAL); /* it had its record; now the new grid */
	end();
}
END_TEST

/* Under a sanitizer: what a caller holds is not freed by what it calls. */
START_TEST(a_removed_site_lives_until_its_check_has_ended)
{
	struct wire_done done = fine;
	struct site_state *a;
	struct check *check;
	struct config *old;

	begin(A "," B, 1, 1);
	a = site_number(0);
	old = s.config;
	config_hold(old);
	check = open_check(&s, a, CLOCK_START);
	reload(B, CLOCK_START + 1);
	ck_assert_str_eq(outcome, "reloaded: 1 site, 0 added, 0 changed, 1 removed");
	ck_assert_ptr_nonnull(a->removed);
	sites_sweep(&s);
	ck_assert_str_eq(a->site->name, "a"); /* it is not freed */
	site_finished(&s, a, &done, CLOCK_START + 2);
	ck_assert(!a->running);
	ck_assert_int_eq(a->status, STATUS_UP); /* nor by the end of its check */
	ck_assert(site_is_over(a));
	check_free(check);
	sites_sweep(&s);
	ck_assert(LIST_EMPTY(&s.sites.removed));
	ck_assert_int_eq(*old->holders, 2); /* we, and the checker that was there before */
	end();
}
END_TEST

START_TEST(a_removed_site_gives_its_last_slots_their_records)
{
	int64_t due;

	begin(A, 0, 1);
	due = site_number(0)->timer.due_us;
	reload(B, due + INTERVAL + 1); /* two slots were due */
	s.epoch.next_settle_us = INT64_MAX;
	sites_sweep(&s);
	ck_assert(!LIST_EMPTY(&s.sites.removed));
	dispatch(&s, due + INTERVAL + 1);
	expect_end(WIRE_SINGLE, 0, ERROR_MISSED_OVERLOAD);
	expect_end(WIRE_SINGLE, 1, ERROR_ABORTED);
	expect_no_frame();
	sites_sweep(&s);
	ck_assert(LIST_EMPTY(&s.sites.removed));
	end();
}
END_TEST

START_TEST(a_site_that_comes_back_finds_its_running_check)
{
	struct wire_done done = fine;
	struct site_state *a;
	struct check *check;

	begin(A "," B, 1, 1);
	a = site_number(0);
	check = open_check(&s, a, CLOCK_START);
	reload(B, CLOCK_START + 1);
	reload(A "," B, CLOCK_START + 2);
	ck_assert_ptr_eq(site_number(0), a);
	ck_assert_ptr_null(a->removed);
	ck_assert(LIST_EMPTY(&s.sites.removed));
	ck_assert_uint_eq(a->timer.position, 0); /* two checks of one site never run */
	site_finished(&s, a, &done, CLOCK_START + 3);
	ck_assert_uint_ne(a->timer.position, 0);
	check_free(check);
	end();
}
END_TEST

/* The next slot of the site at `i` is missed: what its frame says. */
static void
expect_ordinal(size_t i, uint32_t site, uint32_t slot)
{
	struct site_state *state = site_number(i);
	struct frame frame;

	ck_assert(write_missed(&s, state, ERROR_ABORTED, "for a test", CLOCK_START));
	site_miss(&s, state, false, CLOCK_START);
	ck_assert(next_frame(&frame));
	ck_assert_uint_eq(frame.ordinal.site, site);
	ck_assert_uint_eq(frame.ordinal.slot, slot);
}

/*
 * Sites in the order of their first slots, and whatever becomes of them as long as the epoch lasts.
 */
START_TEST(slots_of_a_site_are_counted)
{
	begin(A "," B, 0, 1);
	expect_ordinal(1, 1, 1);
	expect_ordinal(0, 2, 1);
	expect_ordinal(0, 2, 2);
	reload(B_SLOWER "," A, CLOCK_START + 1); /* another order, another interval */
	expect_ordinal(0, 1, 2);
	expect_ordinal(1, 2, 3);
	reload(B, CLOCK_START + 1);
	reload(A "," B, CLOCK_START + 1); /* back before it was freed */
	expect_ordinal(0, 2, 4);
	reload(B, CLOCK_START + 1);
	sites_sweep(&s);
	ck_assert(LIST_EMPTY(&s.sites.removed));
	reload(C "," A "," B, CLOCK_START + 1); /* and after that */
	expect_ordinal(0, 3, 1);
	expect_ordinal(1, 2, 5);
	expect_ordinal(2, 1, 3);
	end();
}
END_TEST

/* It was not configured meanwhile, whether it was freed or not. */
START_TEST(a_site_that_comes_back_has_no_slots_of_the_time_between)
{
	begin(A "," B, 0, 1);
	reload(B, CLOCK_START + 1);
	reload(A "," B, CLOCK_START + 10 * INTERVAL);
	ck_assert_int_gt(site_number(0)->timer.due_us, CLOCK_START + 10 * INTERVAL);
	ck_assert_uint_ne(site_number(0)->timer.position, 0);
	end();
}
END_TEST

START_TEST(a_step_of_the_clock_moves_all_to_their_next_slots)
{
	struct site_state *a;
	int64_t before;

	begin(A, 1, 1);
	sites_follow_clock(&s);
	a = site_number(0);
	before = a->timer.slot_us;
	utc_us += 1000 * INTERVAL + 1; /* forward: what was jumped over never existed */
	sites_follow_clock(&s);
	ck_assert_int_gt(a->timer.slot_us, utc_us);
	ck_assert_int_le(a->timer.slot_us, utc_us + INTERVAL);
	ck_assert_int_eq(a->timer.due_us - clock_us, a->timer.slot_us - utc_us);
	utc_us -= 1000 * INTERVAL + 1; /* back: slots are met again */
	sites_follow_clock(&s);
	ck_assert_int_eq(a->timer.slot_us, before);
	utc_us += 50000; /* drift: nobody moves, and the next slot takes it up */
	sites_follow_clock(&s);
	ck_assert_int_eq(a->timer.slot_us, before);
	site_miss(&s, a, false, clock_us);
	ck_assert_int_eq(a->timer.slot_us, before + INTERVAL);
	ck_assert_int_eq(a->timer.due_us - clock_us, a->timer.slot_us - utc_us);
	end();
}
END_TEST

START_TEST(slots_that_were_due_at_a_step_get_their_records)
{
	int64_t due;

	begin(A, 0, 1);
	sites_follow_clock(&s);
	s.epoch.next_settle_us = INT64_MAX;
	due = site_number(0)->timer.due_us;
	clock_us = due + INTERVAL + 1;
	utc_us = clock_us - 1000 * INTERVAL;
	sites_follow_clock(&s);
	ck_assert_int_eq(site_number(0)->timer.due_us, due);
	dispatch(&s, clock_us);
	expect_end(WIRE_SINGLE, 0, ERROR_MISSED_OVERLOAD);
	expect_no_frame();
	add_checker(0);
	dispatch(&s, clock_us);
	expect_frame(WIRE_OPEN, 1); /* the newest slot of the old clock */
	ck_assert_int_gt(site_number(0)->timer.slot_us, utc_us);
	ck_assert_int_le(site_number(0)->timer.slot_us, utc_us + INTERVAL);
	end();
}
END_TEST

START_TEST(once_takes_those_that_are_named_in_their_order)
{
	char *names[] = { (char *)"c", (char *)"a", NULL }, *wrong[] = { (char *)"d", NULL };

	start.once = true;
	start.only = names;
	begin(A "," B "," C, 0, 1);
	ck_assert_uint_eq(s.sites.count, 2);
	ck_assert_str_eq(site_number(0)->site->name, "c");
	ck_assert_str_eq(site_number(1)->site->name, "a");
	ck_assert_uint_eq(site_number(1)->index, 0);
	ck_assert_int_eq(site_number(0)->timer.due_us, CLOCK_START);
	start.only = wrong;
	ck_assert(!sites_choose(&s));
	end();
}
END_TEST

START_TEST(who_keeps_its_checker_busy_is_slow)
{
	struct wire_done repeated = fine;
	struct site_state *a;

	begin(A, 0, 1);
	a = site_number(0);
	site_finished(&s, a, &fine, CLOCK_START + 1);
	ck_assert(!a->slow && a->expected_us == fine.busy_us / 2);
	/* the last attempt was quick, but there were others */
	repeated.busy_us = 2 * US_PER_S;
	site_finished(&s, a, &repeated, CLOCK_START + 2);
	ck_assert(a->slow && a->expected_us == INT64_MAX);
	end();
}
END_TEST

START_TEST(a_change_is_told_once_and_overruns_are_no_news)
{
	struct wire_done down = { .error = ERROR_CONNECT,
		.error_message = "refused",
		.http_status = RESULT_NONE,
		.elapsed_us = 500 };
	struct wire_done overrun = { .error = ERROR_MISSED_OVERRUN, .error_message = "running" };
	struct wire_done up = fine;
	struct site_state *a;

	begin(A, 0, 1);
	a = site_number(0);
	site_note(&s, a, &down, CLOCK_START + 5);
	ck_assert_str_eq(a->why, "connect: refused");
	ck_assert_int_eq(a->since_us, CLOCK_START + 5);
	site_note(&s, a, &overrun, CLOCK_START + 6);
	ck_assert_str_eq(a->why, "connect: refused");
	site_note(&s, a, &down, CLOCK_START + 7);
	ck_assert_int_eq(a->since_us, CLOCK_START + 5);
	site_note(&s, a, &up, CLOCK_START + 8);
	ck_assert_ptr_null(a->why);
	ck_assert_int_eq(a->status, STATUS_UP);
	ck_assert_int_eq(a->http_status, 200);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sites");
	TCase *tcase = tcase_create("sites");

	tcase_add_test(tcase, a_reload_keeps_slots_and_running_checks);
	tcase_add_test(tcase, a_new_interval_has_a_grid_of_its_own);
	tcase_add_test(tcase, a_removed_site_lives_until_its_check_has_ended);
	tcase_add_test(tcase, a_removed_site_gives_its_last_slots_their_records);
	tcase_add_test(tcase, a_site_that_comes_back_finds_its_running_check);
	tcase_add_test(tcase, slots_of_a_site_are_counted);
	tcase_add_test(tcase, a_site_that_comes_back_has_no_slots_of_the_time_between);
	tcase_add_test(tcase, a_step_of_the_clock_moves_all_to_their_next_slots);
	tcase_add_test(tcase, slots_that_were_due_at_a_step_get_their_records);
	tcase_add_test(tcase, once_takes_those_that_are_named_in_their_order);
	tcase_add_test(tcase, who_keeps_its_checker_busy_is_slow);
	tcase_add_test(tcase, a_change_is_told_once_and_overruns_are_no_news);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
