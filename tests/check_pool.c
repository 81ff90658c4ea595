/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Who gets a check: affinity, queues of quick checks, half of the pool for slow sites; and
 * quarantine.
 */
#include "supervisor/pool.h"

#include <check.h>
#include <stdlib.h>

#include "suite.h"
#include "util.h"

#define UNKNOWN INT64_MAX /* how long a check will take */
#define NOBODY  (-1)      /* has a connection */

static struct pool
make_idle_pool(int min, int max, int idle)
{
	struct pool pool = { 0 };

	pool_resize(&pool, min, max);
	for (int i = 0; i < idle; i++)
		pool_set_state(&pool, &pool.worker[i], WORKER_IDLE, 0);
	return pool;
}

START_TEST(a_site_goes_to_its_affinity_or_to_any_idle_worker)
{
	struct pool pool = make_idle_pool(4, 8, 4);

	ck_assert_int_eq(pool_choose(&pool, 6, NOBODY, UNKNOWN)->index, 2);
	pool_assign(&pool, &pool.worker[2], false, UNKNOWN, 0);
	ck_assert_int_eq(pool_choose(&pool, 6, NOBODY, UNKNOWN)->index, 0);
	pool.worker[0].retiring = true;
	ck_assert_int_eq(pool_choose(&pool, 6, NOBODY, UNKNOWN)->index, 1);
	pool_assign(&pool, &pool.worker[1], false, UNKNOWN, 0);
	pool_assign(&pool, &pool.worker[3], false, UNKNOWN, 0);
	ck_assert_ptr_null(pool_choose(&pool, 6, NOBODY, UNKNOWN));
	ck_assert_int_eq(pool_vacant(&pool, pool.max, NULL)->index, 4);
	free(pool.worker);
}
END_TEST

START_TEST(kept_connections_are_found_again)
{
	struct pool pool = make_idle_pool(2, 4, 4);

	ck_assert_int_eq(pool_choose(&pool, 0, 3, UNKNOWN)->index, 3);
	ck_assert_int_eq(pool_choose(&pool, 0, 3, POOL_QUICK_US + 1)->index, 3);
	ck_assert_int_eq(pool_choose(&pool, 0, 3, POOL_QUICK_US)->index, 0); /* with its tick */
	pool_assign(&pool, &pool.worker[3], false, 200, 0);
	ck_assert_int_eq(pool_choose(&pool, 0, 3, UNKNOWN)->index, 0);
	pool.worker[2].retiring = true;
	ck_assert_int_eq(pool_choose(&pool, 1, 2, UNKNOWN)->index, 1);
	free(pool.worker);
}
END_TEST

START_TEST(slow_sites_hold_at_most_half)
{
	struct pool pool = make_idle_pool(4, 4, 4);

	pool_assign(&pool, pool_choose(&pool, 0, NOBODY, UNKNOWN), true, UNKNOWN, 0);
	ck_assert(!pool_slow_lane_full(&pool));
	pool_assign(&pool, pool_choose(&pool, 1, NOBODY, UNKNOWN), true, UNKNOWN, 0);
	ck_assert(pool_slow_lane_full(&pool));
	ck_assert_ptr_nonnull(pool_choose(&pool, 2, NOBODY, UNKNOWN));
	pool_set_state(&pool, &pool.worker[0], WORKER_IDLE, 0);
	ck_assert(!pool_slow_lane_full(&pool));
	ck_assert_ptr_null(pool_vacant(&pool, pool.max, NULL));
	free(pool.worker);
}
END_TEST

START_TEST(it_grows_when_nothing_begins)
{
	struct pool pool = make_idle_pool(1, 2, 1);

	pool_assign(&pool, &pool.worker[0], false, UNKNOWN, 1000);
	ck_assert_int_eq(pool_grow_us(&pool, 1000), 1000 + POOL_GROW_STALLED_US);
	ck_assert_int_eq(pool_grow_us(&pool, 3000), 3000 + POOL_GROW_STALLED_US);
	/* checks begin: the queue moves */
	pool_set_state(&pool, &pool.worker[0], WORKER_IDLE, 4000);
	pool_assign(&pool, &pool.worker[0], false, UNKNOWN, 4000);
	ck_assert_int_eq(pool_grow_us(&pool, 3000), 4000 + POOL_GROW_STALLED_US);
	pool.assigned_us = 3000 + POOL_GROW_US; /* all the time */
	ck_assert_int_eq(pool_grow_us(&pool, 3000), 3000 + POOL_GROW_US);
	free(pool.worker);
}
END_TEST

START_TEST(quick_checks_are_queued_at_their_affinity)
{
	struct pool pool = make_idle_pool(2, 4, 4);

	pool_assign(&pool, &pool.worker[1], false, 200, 0);
	for (int64_t taken = 200; taken + 200 <= POOL_QUEUE_US; taken += 200) {
		ck_assert_int_eq(pool_choose(&pool, 1, NOBODY, 200)->index, 1);
		pool_assign(&pool, &pool.worker[1], false, 200, 0);
	}
	ck_assert_int_eq(pool.idle, 3);
	ck_assert_int_eq(pool.queued, pool.worker[1].checks - 1);
	/* the queue is full: the next core worker, never a spare one */
	ck_assert_int_eq(pool_choose(&pool, 1, NOBODY, 200)->index, 0);
	pool_assign(&pool, &pool.worker[0], false, POOL_QUEUE_US, 0);
	ck_assert_int_eq(pool_choose(&pool, 1, NOBODY, 200)->index, 2);
	pool_assign(&pool, &pool.worker[2], false, 200, 0);
	ck_assert_int_eq(pool_choose(&pool, 1, NOBODY, 200)->index, 3);
	pool_assign(&pool, &pool.worker[3], false, 200, 0);
	ck_assert_ptr_null(pool_choose(&pool, 1, NOBODY, 200));
	/* it moves: there is room again */
	pool_next(&pool, &pool.worker[1], 200, 1000);
	ck_assert_int_eq(pool_choose(&pool, 1, NOBODY, 200)->index, 1);
	ck_assert_int_eq(pool.worker[1].since_us, 1000);
	free(pool.worker);
}
END_TEST

START_TEST(only_quick_checks_are_queued)
{
	struct pool pool = make_idle_pool(1, 2, 2);

	pool_assign(&pool, &pool.worker[0], false, 200, 0);
	ck_assert_int_eq(pool_choose(&pool, 0, NOBODY, POOL_QUICK_US)->index, 0);
	ck_assert_int_eq(pool_choose(&pool, 0, NOBODY, POOL_QUICK_US + 1)->index, 1);
	pool_set_state(&pool, &pool.worker[0], WORKER_IDLE, 0);
	pool_assign(&pool, &pool.worker[0], false, UNKNOWN, 0);
	ck_assert_int_eq(pool_choose(&pool, 0, NOBODY, 200)->index, 1); /* nor behind one */
	pool_set_state(&pool, &pool.worker[0], WORKER_IDLE, 0);
	pool_assign(&pool, &pool.worker[0], false, 200, 0);
	pool.worker[0].retiring = true;
	ck_assert_int_eq(pool_choose(&pool, 0, NOBODY, 200)->index, 1); /* nor at one that leaves */
	free(pool.worker);
}
END_TEST

START_TEST(one_slow_check_does_not_end_the_queueing)
{
	int64_t expected = pool_expect(UNKNOWN, 3000);

	ck_assert_int_eq(expected, 1500);
	ck_assert_int_eq(pool_expect(expected, 900), 900);
	/* once, then quick again; or for good */
	ck_assert_int_eq(pool_expect(pool_expect(expected, 80000), 1500), 1500);
	for (int i = 1; i <= 3; i++)
		expected = pool_expect(expected, 80000);
	ck_assert_int_gt(expected, POOL_QUICK_US);
	for (int i = 1; i <= 10; i++)
		expected = pool_expect(expected, 80000);
	ck_assert_int_eq(expected, 80000);
	/* nothing doubled would be nothing for ever */
	ck_assert_int_eq(pool_expect(pool_expect(UNKNOWN, 0), 80000), 2 * POOL_EXPECT_MIN_US);
}
END_TEST

START_TEST(a_queue_that_stalls_is_reclaimed)
{
	struct pool pool = make_idle_pool(2, 2, 2);
	struct worker *w = &pool.worker[0];

	pool_assign(&pool, w, false, 200, 0);
	ck_assert_ptr_null(pool_stalled(&pool, NULL, POOL_STALL_US)); /* there is no queue */
	pool_assign(&pool, w, false, 200, 0);
	pool_assign(&pool, w, false, 200, 0);
	ck_assert_ptr_null(pool_stalled(&pool, NULL, POOL_STALL_US - 1));
	ck_assert_ptr_eq(pool_stalled(&pool, NULL, POOL_STALL_US), w);
	ck_assert_ptr_null(pool_stalled(&pool, w, POOL_STALL_US));
	pool_next(&pool, w, 200, 1000); /* it moved meanwhile */
	ck_assert_ptr_null(pool_stalled(&pool, NULL, POOL_STALL_US));
	ck_assert_ptr_eq(pool_stalled(&pool, NULL, 1000 + POOL_STALL_US), w);
	pool_reclaim(&pool, w);
	ck_assert_int_eq(pool.queued, 0);
	ck_assert_ptr_null(pool_stalled(&pool, NULL, 1000 + POOL_STALL_US));
	ck_assert_int_eq(pool_choose(&pool, 0, NOBODY, 200)->index, 1); /* no new queue here */
	pool_reclaim(&pool, w);                                         /* the first too: it died */
	ck_assert_int_eq(pool.queued, 0);
	pool_set_state(&pool, w, WORKER_IDLE, 2000);
	ck_assert_int_eq(pool_choose(&pool, 0, NOBODY, 200)->index, 0);
	free(pool.worker);
}
END_TEST

START_TEST(a_reclaimed_queue_is_closed_until_it_ends)
{
	struct pool pool = make_idle_pool(2, 2, 2);
	struct worker *w = &pool.worker[0];

	for (int i = 0; i < 3; i++)
		pool_assign(&pool, w, false, 200, 0);
	pool_reclaim(&pool, w); /* the second has begun, and nobody has heard of it yet */
	pool_next(&pool, w, 200, 1000);
	ck_assert_int_eq(w->checks, 1);
	ck_assert_int_eq(pool_choose(&pool, 0, NOBODY, 200)->index, 1);
	pool_set_state(&pool, w, WORKER_IDLE, 2000);
	ck_assert_int_eq(pool_choose(&pool, 0, NOBODY, 200)->index, 0);
	free(pool.worker);
}
END_TEST

START_TEST(a_pool_of_one_serves_slow_sites_too)
{
	struct pool pool = make_idle_pool(1, 1, 1);

	ck_assert_ptr_nonnull(pool_choose(&pool, 5, NOBODY, UNKNOWN));
	free(pool.worker);
}
END_TEST

START_TEST(idle_spare_workers_and_vacant_ones)
{
	struct pool pool = make_idle_pool(1, 3, 3);

	pool_assign(&pool, &pool.worker[0], false, UNKNOWN, 0);
	pool_assign(&pool, &pool.worker[1], false, UNKNOWN, 0);
	ck_assert_ptr_null(pool_surplus(&pool, POOL_IDLE_US - 1));
	ck_assert_int_eq(pool_surplus(&pool, POOL_IDLE_US)->index, 2);
	pool_set_state(&pool, &pool.worker[0], WORKER_NONE, 0);
	ck_assert_int_eq(pool_vacant(&pool, pool.min, NULL)->index, 0);
	ck_assert_ptr_null(pool_vacant(&pool, pool.min, &pool.worker[0]));
	free(pool.worker);
}
END_TEST

START_TEST(the_table_grows_and_keeps_its_sums)
{
	struct pool pool = make_idle_pool(2, 2, 2);

	pool_assign(&pool, &pool.worker[1], true, UNKNOWN, 0);
	pool_resize(&pool, 1, 5);
	ck_assert_int_eq(pool.count, 5);
	ck_assert_int_eq(pool.idle, 1);
	ck_assert_int_eq(pool.busy, 1);
	ck_assert_int_eq(pool.slow, 1);
	pool_resize(&pool, 1, 1);
	ck_assert_int_eq(pool.count, 5);
	ck_assert_ptr_null(pool_vacant(&pool, pool.max, NULL));
	free(pool.worker);
}
END_TEST

/* The sums are what counting gives, and every answer is one that a look at all gives. */
static void
check_invariants(struct pool *pool, int64_t now)
{
	int idle = 0, busy = 0, slow = 0, starting = 0, queued = 0, free_hands = 0;
	uint32_t affinity = (uint32_t)rand();
	const struct worker *chosen = pool_choose(pool, affinity, NOBODY, UNKNOWN), *gone;

	for (int i = 0; i < pool->count; i++) {
		const struct worker *w = &pool->worker[i];

		ck_assert_int_eq(w->index, i);
		idle += w->state == WORKER_IDLE;
		busy += w->state == WORKER_BUSY;
		starting += w->state == WORKER_STARTING;
		queued += w->checks > 1 ? w->checks - 1 : 0;
		ck_assert(w->checks == 0 || w->state == WORKER_BUSY);
		ck_assert(w->queued_us >= 0);
		slow += w->slow;
		ck_assert(!w->slow || w->state == WORKER_BUSY);
		free_hands += w->state == WORKER_IDLE && !w->retiring;
	}
	ck_assert_int_eq(pool->idle, idle);
	ck_assert_int_eq(pool->busy, busy);
	ck_assert_int_eq(pool->starting, starting);
	ck_assert_int_eq(pool->queued, queued);
	ck_assert_int_eq(pool->slow, slow);

	ck_assert_int_eq(chosen != NULL, free_hands > 0);
	if (chosen != NULL) {
		const struct worker *own = &pool->worker[affinity % (uint32_t)pool->min];

		ck_assert(chosen->state == WORKER_IDLE && !chosen->retiring);
		if (own->state == WORKER_IDLE && !own->retiring)
			ck_assert_ptr_eq(chosen, own);
	}
	gone = pool_surplus(pool, now);
	ck_assert(gone == NULL || (gone->index >= pool->min && gone->state == WORKER_IDLE &&
				      gone->since_us + POOL_IDLE_US <= now));
}

START_TEST(any_life_of_a_pool_keeps_its_promises)
{
	struct pool pool = { 0 };
	int64_t now = 0;

	srand(4);
	pool_resize(&pool, 3, 8);
	for (int step = 0; step < 10000; step++) {
		struct worker *w = &pool.worker[rand() % pool.count], *chosen;
		bool slow = rand() % 3 == 0;
		int64_t expected = slow ? UNKNOWN : rand() % (POOL_QUICK_US * 2);

		now += rand() % (2 * US_PER_S);
		switch (rand() % 7) {
		case 0:
			chosen = rand() % 2 ? pool_vacant(&pool, pool.min, NULL)
					    : pool_vacant(&pool, pool.max, NULL);
			if (chosen == NULL)
				break;
			ck_assert_int_eq(chosen->state, WORKER_NONE);
			ck_assert_int_lt(chosen->index, pool.max);
			chosen->retiring = false;
			pool_set_state(&pool, chosen, WORKER_STARTING, now);
			break;
		case 1:
			if (w->state == WORKER_STARTING)
				pool_set_state(&pool, w, WORKER_IDLE, now);
			break;
		case 2:
		case 3:
			chosen = pool_choose(
			    &pool, (uint32_t)rand(), rand() % pool.count, expected);
			if (chosen == NULL || (slow && pool_slow_lane_full(&pool)))
				break;
			pool_assign(&pool, chosen, slow, expected, now);
			/* half of the pool stays free for the others */
			ck_assert(!slow || pool.slow <= (pool.max > 1 ? pool.max / 2 : 1));
			break;
		case 4:
			if (w->checks > 1)
				pool_next(&pool, w, 0, now);
			else if (w->state == WORKER_BUSY)
				pool_set_state(&pool, w, WORKER_IDLE, now);
			break;
		case 5: /* it dies, perhaps in the middle of a check */
			while (w->checks > 0 && rand() % 4 > 0)
				pool_reclaim(&pool, w);
			pool_set_state(&pool, w, WORKER_NONE, now);
			break;
		case 6:
			w->retiring = w->state != WORKER_NONE && rand() % 2;
			if (rand() % 100 == 0)
				pool_resize(&pool, 1 + rand() % 4, 4 + rand() % 12);
			break;
		}
		check_invariants(&pool, now);
	}
	free(pool.worker);
}
END_TEST

START_TEST(twice_in_a_row_is_quarantine)
{
	struct quarantine q = { 0 };
	int64_t now = 1000;

	quarantine_crashed(&q, now);
	ck_assert(!quarantine_active(&q, now));
	quarantine_survived(&q);
	quarantine_crashed(&q, now);
	ck_assert(!quarantine_active(&q, now));
	quarantine_crashed(&q, now);
	ck_assert(quarantine_active(&q, now));
	ck_assert(!quarantine_active(&q, now + 60 * US_PER_S));
	now += 60 * US_PER_S;
	quarantine_crashed(&q, now);
	ck_assert(quarantine_active(&q, now + 119 * US_PER_S));
	ck_assert(!quarantine_active(&q, now + 120 * US_PER_S));
	for (int i = 0; i < 20; i++)
		quarantine_crashed(&q, now);
	ck_assert(!quarantine_active(&q, now + 3600 * US_PER_S));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("pool");
	TCase *tcase = tcase_create("pool");

	tcase_add_test(tcase, a_site_goes_to_its_affinity_or_to_any_idle_worker);
	tcase_add_test(tcase, kept_connections_are_found_again);
	tcase_add_test(tcase, slow_sites_hold_at_most_half);
	tcase_add_test(tcase, it_grows_when_nothing_begins);
	tcase_add_test(tcase, quick_checks_are_queued_at_their_affinity);
	tcase_add_test(tcase, only_quick_checks_are_queued);
	tcase_add_test(tcase, one_slow_check_does_not_end_the_queueing);
	tcase_add_test(tcase, a_queue_that_stalls_is_reclaimed);
	tcase_add_test(tcase, a_reclaimed_queue_is_closed_until_it_ends);
	tcase_add_test(tcase, a_pool_of_one_serves_slow_sites_too);
	tcase_add_test(tcase, idle_spare_workers_and_vacant_ones);
	tcase_add_test(tcase, the_table_grows_and_keeps_its_sums);
	tcase_add_test(tcase, any_life_of_a_pool_keeps_its_promises);
	tcase_add_test(tcase, twice_in_a_row_is_quarantine);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
