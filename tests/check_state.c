/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The states of the publisher: each way from one to the next, and that there is no other.
 */
#include "publisher/state.h"

#include <check.h>

#include "suite.h"
#include "util.h"

static const struct {
	enum publisher_state from, to;
	struct publisher_facts facts;
} ways[] = {
	{ PUBLISHER_RUNNING, PUBLISHER_RUNNING, { .no_flush = true } },
	{ PUBLISHER_RUNNING, PUBLISHER_RUNNING, { .answered = true, .delivered = true } },
	{ PUBLISHER_RUNNING, PUBLISHER_HANDING_OVER, { .hand_over = true } },
	{ PUBLISHER_RUNNING, PUBLISHER_DRAINING, { .pipes_ended = true } },
	{ PUBLISHER_RUNNING, PUBLISHER_DRAINING, { .output_ended = true } },
	{ PUBLISHER_RUNNING, PUBLISHER_ORPHANED, { .orphaned = true } },
	/* a dead supervisor starts no successor */
	{ PUBLISHER_RUNNING, PUBLISHER_ORPHANED, { .orphaned = true, .hand_over = true } },
	{ PUBLISHER_HANDING_OVER, PUBLISHER_HANDING_OVER, { .hand_over = true } },
	{ PUBLISHER_HANDING_OVER, PUBLISHER_LEAVING, { .hand_over = true, .answered = true } },
	{ PUBLISHER_HANDING_OVER, PUBLISHER_LEAVING, { .hand_over = true, .overdue = true } },
	{ PUBLISHER_HANDING_OVER, PUBLISHER_LEAVING, { .hand_over = true, .no_flush = true } },
	{ PUBLISHER_HANDING_OVER, PUBLISHER_ORPHANED,
	    { .hand_over = true, .answered = true, .orphaned = true } },
	{ PUBLISHER_DRAINING, PUBLISHER_DRAINING, { .pipes_ended = true, .answered = true } },
	{ PUBLISHER_DRAINING, PUBLISHER_LEAVING, { .pipes_ended = true, .delivered = true } },
	{ PUBLISHER_DRAINING, PUBLISHER_LEAVING, { .pipes_ended = true, .no_flush = true } },
	{ PUBLISHER_DRAINING, PUBLISHER_LEAVING, { .pipes_ended = true, .orphaned = true } },
	{ PUBLISHER_DRAINING, PUBLISHER_LEAVING, { .pipes_ended = true, .overdue = true } },
	{ PUBLISHER_DRAINING, PUBLISHER_LEAVING, { .output_ended = true } },
	{ PUBLISHER_ORPHANED, PUBLISHER_ORPHANED,
	    { .orphaned = true, .answered = true, .delivered = true } },
	{ PUBLISHER_ORPHANED, PUBLISHER_LEAVING, { .orphaned = true, .pipes_ended = true } },
	{ PUBLISHER_ORPHANED, PUBLISHER_LEAVING, { .orphaned = true, .overdue = true } },
	{ PUBLISHER_LEAVING, PUBLISHER_LEAVING, { .pipes_ended = true, .delivered = true } },
	{ PUBLISHER_LEAVING, PUBLISHER_LEAVING, { .orphaned = true, .overdue = true } },
	{ PUBLISHER_LEAVING, PUBLISHER_LEAVING, { .hand_over = true, .answered = true } },
	/* it died while the last transaction was written */
	{ PUBLISHER_LEAVING, PUBLISHER_ORPHANED, { .hand_over = true, .orphaned = true } },
};

START_TEST(each_way_has_its_reason)
{
	ck_assert_int_eq(publisher_next_state(ways[_i].from, &ways[_i].facts), (int)ways[_i].to);
}
END_TEST

/* Whatever the facts are, once told they lead somewhere: no circle keeps the loop busy. */
START_TEST(no_facts_lead_in_a_circle)
{
	for (unsigned bits = 0; bits < 1 << 8; bits++) {
		struct publisher_facts facts = { bits & 1, bits & 2, bits & 4, bits & 8, bits & 16,
			bits & 32, bits & 64, bits & 128 };
		enum publisher_state state = PUBLISHER_RUNNING, next;
		int steps = 0;

		while ((next = publisher_next_state(state, &facts)) != state) {
			if (next == PUBLISHER_ORPHANED)
				facts.hand_over = false; /* as the publisher does */
			state = next;
			ck_assert_int_le(++steps, 4);
		}
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("state");
	TCase *tcase = tcase_create("state");

	tcase_add_loop_test(tcase, each_way_has_its_reason, 0, ARRAY_LENGTH(ways));
	tcase_add_test(tcase, no_facts_lead_in_a_circle);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
