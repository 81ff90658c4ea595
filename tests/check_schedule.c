/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Slots lie on their grid, and the heap gives the earliest. */
#include "schedule.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "util.h"

START_TEST(the_next_slot_is_on_the_grid_and_later)
{
	srand(1);
	for (int i = 0; i < 100000; i++) {
		int64_t interval = (1000 + rand() % 86399000) * US_PER_MS;
		int64_t phase = rand() % interval;
		int64_t now = (int64_t)rand() * 1000003;
		int64_t slot = schedule_next_slot(now, interval, phase);

		ck_assert_int_gt(slot, now);
		ck_assert_int_le(slot, now + interval);
		ck_assert_int_eq((slot - phase) % interval, 0);
		ck_assert_int_eq(schedule_next_slot(slot, interval, phase), slot + interval);
	}
}
END_TEST

START_TEST(phases_are_stable_and_spread)
{
	int counts[10] = { 0 };

	ck_assert_int_eq(
	    schedule_phase("shop", 60 * US_PER_S), schedule_phase("shop", 60 * US_PER_S));
	for (int i = 0; i < 10000; i++) {
		char name[16];
		int64_t phase;

		snprintf(name, sizeof(name), "site-%d", i);
		phase = schedule_phase(name, 10 * US_PER_S);
		ck_assert_int_ge(phase, 0);
		ck_assert_int_lt(phase, 10 * US_PER_S);
		ck_assert_int_eq(phase % SCHEDULE_TICK_US, 0);
		counts[phase / US_PER_S]++;
	}
	for (int i = 0; i < 10; i++) {
		ck_assert_int_gt(counts[i], 850);
		ck_assert_int_lt(counts[i], 1150);
	}
}
END_TEST

START_TEST(the_heap_gives_the_earliest)
{
	enum {
		COUNT = 1000
	};
	static struct timer timers[COUNT];
	struct schedule s = { 0 };
	int64_t last = INT64_MIN;
	size_t left = COUNT;

	srand(2);
	for (int i = 0; i < COUNT; i++) {
		timers[i].turn_us = rand() % 500;
		schedule_insert(&s, &timers[i]);
	}
	for (int i = 0; i < COUNT; i += 3, left--)
		schedule_remove(&s, &timers[i]);
	schedule_remove(&s, &timers[0]); /* again: nothing happens */
	ck_assert_uint_eq(s.count, left);
	while (schedule_first(&s) != NULL) {
		struct timer *t = schedule_first(&s);

		ck_assert_int_ge(t->turn_us, last);
		ck_assert_int_ne((t - timers) % 3, 0);
		last = t->turn_us;
		schedule_remove(&s, t);
		left--;
	}
	ck_assert_uint_eq(left, 0);
	schedule_release(&s);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("schedule");
	TCase *tcase = tcase_create("schedule");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, the_next_slot_is_on_the_grid_and_later);
	tcase_add_test(tcase, phases_are_stable_and_spread);
	tcase_add_test(tcase, the_heap_gives_the_earliest);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
