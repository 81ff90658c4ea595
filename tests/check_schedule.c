/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Slots lie on their grid, and the heap gives the earliest. */
#include "supervisor/schedule.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "suite.h"
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

/* Clocks that are set to nonsense: before 1970, far in the future, at the edges of a slot. */
START_TEST(odd_clocks_have_slots_too)
{
	static const int64_t intervals[] = { US_PER_S, 60 * US_PER_S, 86400 * US_PER_S, 1001000 };
	static const int64_t clocks[] = { 0, -1, 1, -US_PER_S, -86400 * US_PER_S, INT64_MIN / 4,
		INT64_MAX / 4, 253402300799999999 };

	for (size_t i = 0; i < ARRAY_LENGTH(intervals); i++) {
		int64_t interval = intervals[i], phase = schedule_phase("shop", interval);

		for (size_t k = 0; k < ARRAY_LENGTH(clocks); k++) {
			int64_t slot = schedule_next_slot(clocks[k], interval, phase);

			ck_assert_int_gt(slot, clocks[k]);
			ck_assert_int_le(slot, clocks[k] + interval);
			ck_assert_int_eq((slot - phase) % interval, 0);
			/* all clocks within a slot agree on the next one */
			ck_assert_int_eq(schedule_next_slot(slot - 1, interval, phase), slot);
			ck_assert_int_eq(
			    schedule_next_slot(slot - interval, interval, phase), slot);
		}
	}
}
END_TEST

/* Other hosts and other versions must come to the same: these values are for ever. */
START_TEST(hosts_agree_on_phases)
{
	ck_assert_int_eq(schedule_phase("shop", 60 * US_PER_S), 24400000);
	ck_assert_int_eq(schedule_phase("api", 30 * US_PER_S), 9000000);
	ck_assert_int_eq(schedule_phase("a.b-c_D9", 86400 * US_PER_S), 29814400000);
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
		timers[i].priority_us = rand() % 500;
		schedule_insert(&s, &timers[i]);
	}
	for (int i = 0; i < COUNT; i += 3, left--)
		schedule_remove(&s, &timers[i]);
	schedule_remove(&s, &timers[0]); /* again: nothing happens */
	ck_assert_uint_eq(s.count, left);
	while (schedule_first(&s) != NULL) {
		struct timer *t = schedule_first(&s);

		ck_assert_int_ge(t->priority_us, last);
		ck_assert_int_ne((t - timers) % 3, 0);
		last = t->priority_us;
		schedule_remove(&s, t);
		left--;
	}
	ck_assert_uint_eq(left, 0);
	free(s.heap);
}
END_TEST

/* Insertions and removals in any order against a plain search. */
START_TEST(the_heap_is_as_good_as_a_search)
{
	enum {
		COUNT = 200
	};
	static struct timer timers[COUNT];
	struct schedule s = { 0 };

	srand(3);
	for (int step = 0; step < 10000; step++) {
		struct timer *t = &timers[rand() % COUNT], *first;
		size_t waiting = 0;

		if (t->position != 0) {
			schedule_remove(&s, t);
		} else {
			t->priority_us = rand() % 50;
			t->slot_us = rand() % 5;
			schedule_insert(&s, t);
		}
		first = schedule_first(&s);
		for (int i = 0; i < COUNT; i++) {
			const struct timer *other = &timers[i];

			if (other->position == 0)
				continue;
			waiting++;
			if (other->priority_us < first->priority_us ||
			    (other->priority_us == first->priority_us &&
				other->slot_us < first->slot_us))
				ck_abort_msg(
				    "step %d: timer %d is earlier than the first", step, i);
		}
		ck_assert_uint_eq(s.count, waiting);
		ck_assert_int_eq(first == NULL, waiting == 0);
	}
	free(s.heap);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("schedule");
	TCase *tcase = tcase_create("schedule");

	tcase_add_test(tcase, the_next_slot_is_on_the_grid_and_later);
	tcase_add_test(tcase, odd_clocks_have_slots_too);
	tcase_add_test(tcase, hosts_agree_on_phases);
	tcase_add_test(tcase, phases_are_stable_and_spread);
	tcase_add_test(tcase, the_heap_gives_the_earliest);
	tcase_add_test(tcase, the_heap_is_as_good_as_a_search);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
