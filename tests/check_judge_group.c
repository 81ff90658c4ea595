/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The judge of topics over the members of a group: a slot that nobody has, a slot that two have,
 * and all that may be right although it looks like one of these.
 */
#include "judged.h"

#include "suite.h"

#define EPOCH_C "20261129T030500Z-00000000000000cc"

/* Two members, their epochs, and what each has counted. */
static struct member {
	const char *epoch, *instance;
	uint64_t seq;
} one, two, three;

static void
setup(void)
{
	setup_judge();
	one = (struct member){ EPOCH_A, "probe-1", 0 };
	two = (struct member){ EPOCH_B, "probe-2", 0 };
	three = (struct member){ EPOCH_C, "probe-3", 0 };
}

/* Slots are numbered from START_B on. */
#define GIVE_OF(member, name, slot, ...)                                                           \
	GIVE(0, .epoch = (member)->epoch, .instance = (member)->instance, .seq = (member)->seq++,  \
	    .slot_ms = START_B + (int64_t)(slot)*1000, .group = (name), ##__VA_ARGS__)
#define GIVE_SLOT(member, slot, ...) GIVE_OF(member, "eu", slot, ##__VA_ARGS__)

static void
give_slots(struct member *member, int from, int through)
{
	for (int slot = from; slot <= through; slot++)
		GIVE_SLOT(member, slot);
}

static const struct judge_group *
only_group(void)
{
	ck_assert_uint_eq(judge->group_count, 1);
	return &judge->groups[0];
}

START_TEST(members_that_share_a_site_hold)
{
	give_slots(&one, 0, 9);
	give_slots(&two, 10, 19);
	give_slots(&one, 20, 29);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_group()->takeovers, 2);
	ck_assert_uint_eq(only_group()->records, 30);
	ck_assert_uint_eq(only_group()->site_count, 1);
	ck_assert_uint_eq(judge_count_members(judge, only_group()), 2);
}
END_TEST

START_TEST(slots_that_nobody_ran_have_records)
{
	give_slots(&one, 0, 9);
	for (int slot = 10; slot < 15; slot++)
		GIVE_SLOT(&two, slot, .status = "unknown", .error = "missed_takeover");
	GIVE_SLOT(&two, 15, .lateness = "900");
	give_slots(&two, 16, 20);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_group()->missed, 5);
	ck_assert_uint_eq(only_group()->takeovers, 1);
}
END_TEST

START_TEST(a_slot_that_nobody_has_is_a_question)
{
	give_slots(&one, 0, 9);
	give_slots(&two, 12, 20);
	require_only(FOUND_MISSING, 2);
	ck_assert_str_eq(judge->epochs[1]->examples[FOUND_MISSING][0],
	    "2 of a behind 2026-11-29T03:00:09.000Z, of any member");
	/* again: it is not counted twice */
	give_slots(&two, 21, 22);
	require_only(FOUND_MISSING, 2);
	/* and what comes late fills it */
	give_slots(&one, 10, 11);
	require_only(FOUND_COUNT, 0);
}
END_TEST

START_TEST(two_verdicts_at_once_are_wrong)
{
	give_slots(&one, 0, 9);
	give_slots(&two, 5, 12);
	judge_conclude(judge);
	require_found(FOUND_BOTH, 3);
	require_found(FOUND_TWICE, 2);
	ck_assert_str_eq(judge->epochs[1]->examples[FOUND_TWICE][0],
	    "2026-11-29T03:00:08.000Z of a: seq 3, and one of another member");
	ck_assert_int_eq(judge_verdict(judge), VERDICT_BROKEN);
}
END_TEST

/* As when a member is reloaded while another one joins. */
START_TEST(one_foreign_verdict_is_a_question)
{
	give_slots(&one, 0, 9);
	GIVE_SLOT(&two, 9, .lateness = "12.5");
	give_slots(&one, 10, 19);
	require_only(FOUND_BOTH, 1);
	GIVE_SLOT(&two, 15);
	require_only(FOUND_BOTH, 2);
}
END_TEST

START_TEST(two_owners_of_a_site_that_is_checked_seldom_are_wrong)
{
	for (int slot = 0; slot < 180; slot += 60) {
		GIVE_SLOT(&one, slot, .interval_ms = 60000);
		GIVE_SLOT(&two, slot, .interval_ms = 60000);
	}
	judge_conclude(judge);
	require_found(FOUND_TWICE, 2);
}
END_TEST

/* The record of the one that died arrives before that of its successor, or long after it. */
START_TEST(a_takeover_may_run_a_slot_again)
{
	give_slots(&one, 0, 9);
	GIVE_SLOT(&two, 9, .lateness = "7000.5");
	give_slots(&two, 10, 14);
	GIVE_SLOT(&three, 15, .lateness = "7000.5");
	give_slots(&three, 16, 20);
	give_slots(&two, 15, 15);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_group()->handed_over, 2);
	ck_assert_uint_eq(only_group()->takeovers, 2);
}
END_TEST

START_TEST(late_records_are_no_takeover)
{
	give_slots(&one, 0, 7);
	GIVE_SLOT(&two, 8, .status = "unknown", .error = "missed_takeover");
	GIVE_SLOT(&two, 9, .lateness = "900");
	give_slots(&two, 10, 30);
	give_slots(&one, 8, 8);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_group()->takeovers, 1);
	ck_assert_uint_eq(only_group()->handed_over, 0);
}
END_TEST

START_TEST(who_is_alone_may_have_slots_that_others_have)
{
	give_slots(&one, 0, 9);
	give_slots(&two, 10, 19);
	for (int slot = 10; slot < 18; slot++)
		GIVE_SLOT(&one, slot, .alone = true);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_group()->alone, 8);
	ck_assert_uint_eq(only_group()->takeovers, 1);
}
END_TEST

START_TEST(slots_that_come_again_by_the_clock_are_not_of_two)
{
	give_slots(&one, 0, 9);
	give_slots(&one, 5, 15);
	give_slots(&two, 16, 18);
	judge_conclude(judge);
	require_found(FOUND_TWICE, 0);
	require_found(FOUND_MISSING, 0);
	ck_assert_uint_eq(judge->epochs[0]->set_back, 1);
}
END_TEST

/* A member that takes a site again counts from 1; else it goes on as without a group. */
START_TEST(a_streak_begins_with_each_takeover)
{
	const int64_t first = START_B, again = START_B + 5000;

	GIVE_SLOT(&one, 0, .streak = 1, .since_ms = first);
	GIVE_SLOT(&one, 1, .streak = 2, .since_ms = first);
	for (int slot = 2; slot < 5; slot++)
		GIVE_SLOT(&two, slot, .streak = slot - 1, .since_ms = START_B + 2000);
	GIVE_SLOT(&one, 5, .streak = 1, .since_ms = again);
	GIVE_SLOT(&one, 6, .streak = 2, .since_ms = again);
	require_only(FOUND_COUNT, 0);
	GIVE_SLOT(&one, 7, .streak = 2, .since_ms = again);
	GIVE_SLOT(&one, 8, .streak = 3, .since_ms = first);
	require_only(FOUND_STREAK, 2);
}
END_TEST

START_TEST(groups_do_not_share_slots)
{
	give_slots(&one, 0, 9);
	for (int slot = 0; slot < 10; slot++)
		GIVE_OF(&two, "us", slot);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(judge->group_count, 2);
	ck_assert_uint_eq(judge->groups[1].takeovers, 0);
}
END_TEST

START_TEST(another_interval_begins_another_grid)
{
	give_slots(&one, 0, 9);
	for (int slot = 20; slot < 60; slot += 10)
		GIVE_SLOT(&two, slot, .interval_ms = 10000);
	give_slots(&one, 61, 63);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_group()->takeovers, 2);
}
END_TEST

/* While nobody runs there are no slots; one site alone that nobody has is another matter. */
START_TEST(a_group_that_is_down_has_no_slots)
{
	give_slots(&one, 0, 9);
	give_slots(&two, 420, 430);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_group()->down, 410);
}
END_TEST

START_TEST(a_site_that_nobody_has_for_long_is_a_question)
{
	give_slots(&one, 0, 9);
	for (int slot = 0; slot < 500; slot++)
		GIVE(1, .epoch = EPOCH_C, .instance = "probe-3", .seq = (uint64_t)slot, .site = "b",
		    .slot_ms = START_B + slot * 1000, .group = "eu");
	give_slots(&two, 420, 499);
	require_only(FOUND_MISSING, 410);
}
END_TEST

START_TEST(a_site_that_no_member_has_any_more_is_silent)
{
	give_slots(&one, 0, 9);
	for (int slot = 0; slot < 300; slot++)
		GIVE(1, .epoch = EPOCH_C, .instance = "probe-3", .seq = (uint64_t)slot, .site = "b",
		    .slot_ms = START_B + slot * 1000, .group = "eu");
	/* it may still be taken over */
	require_only(FOUND_COUNT, 0);
	for (int slot = 300; slot < 320; slot++)
		GIVE(1, .epoch = EPOCH_C, .instance = "probe-3", .seq = (uint64_t)slot, .site = "b",
		    .slot_ms = START_B + slot * 1000, .group = "eu");
	require_only(FOUND_SILENT, 1);
	ck_assert_str_eq(judge->epochs[0]->examples[FOUND_SILENT][0],
	    "a since 2026-11-29T03:00:09.000Z, of any member");
}
END_TEST

START_TEST(what_was_dropped_is_not_known)
{
	give_slots(&one, 0, 9);
	GIVE_SLOT(&one, 10, .status = "unknown", .error = "dropped", .dropped_through = 12);
	one.seq += 2;
	give_slots(&one, 13, 19);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_group()->not_known, 2);
}
END_TEST

START_TEST(what_was_removed_of_a_group_is_not_accused)
{
	judge_begins_late(judge, 0, START_B + 12000);
	one.seq = 8;
	give_slots(&one, 8, 8); /* it came late, behind others that have gone */
	two.seq = 3;
	give_slots(&two, 12, 19);
	judge_conclude(judge);
	require_found(FOUND_MISSING, 0);
	ck_assert_uint_eq(only_group()->not_known, 3);
}
END_TEST

/* A member that has given its shard away owes nothing for it: its holes are holes. */
START_TEST(who_has_left_a_site_owes_nothing_of_it)
{
	give_slots(&one, 0, 9);
	give_slots(&two, 10, 200);
	for (int slot = 0; slot < 200; slot++) {
		if (slot != 150)
			GIVE(1, .epoch = EPOCH_A, .instance = "probe-1", .seq = one.seq,
			    .site = "b", .slot_ms = START_B + slot * 1000, .group = "eu");
		one.seq++;
	}
	judge_conclude(judge);
	require_found(FOUND_HOLES, 1);
	ck_assert_str_eq(judge->epochs[0]->examples[FOUND_HOLES][0], "160");
}
END_TEST

/* What a member that was killed for good had on its way: at most one of each site. */
START_TEST(what_the_dead_had_on_its_way_is_no_hole)
{
	give_slots(&one, 0, 9);
	one.seq++; /* its slot 10 */
	GIVE(1, .epoch = EPOCH_A, .instance = "probe-1", .seq = one.seq, .site = "b",
	    .slot_ms = START_B + 10500, .interval_ms = 10000, .group = "eu");
	GIVE_SLOT(&two, 10, .lateness = "7000");
	give_slots(&two, 11, 40);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(judge->epochs[0]->excused[EXCUSE_UNDERWAY], 1);
}
END_TEST

/* Numbers of slots at random: memory has an end. */
START_TEST(slots_of_a_group_without_end_are_bounded)
{
	srand(4);
	for (int i = 0; i < 200000; i++)
		GIVE_SLOT(&one, rand());
	judge_conclude(judge);
	ck_assert_uint_le(judge->range_count, JUDGE_RANGES_MAX);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("judge_group");
	TCase *tcase = tcase_create("judge_group");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown_judge);
	tcase_add_test(tcase, members_that_share_a_site_hold);
	tcase_add_test(tcase, slots_that_nobody_ran_have_records);
	tcase_add_test(tcase, a_slot_that_nobody_has_is_a_question);
	tcase_add_test(tcase, two_verdicts_at_once_are_wrong);
	tcase_add_test(tcase, one_foreign_verdict_is_a_question);
	tcase_add_test(tcase, two_owners_of_a_site_that_is_checked_seldom_are_wrong);
	tcase_add_test(tcase, a_takeover_may_run_a_slot_again);
	tcase_add_test(tcase, late_records_are_no_takeover);
	tcase_add_test(tcase, who_is_alone_may_have_slots_that_others_have);
	tcase_add_test(tcase, slots_that_come_again_by_the_clock_are_not_of_two);
	tcase_add_test(tcase, a_streak_begins_with_each_takeover);
	tcase_add_test(tcase, groups_do_not_share_slots);
	tcase_add_test(tcase, another_interval_begins_another_grid);
	tcase_add_test(tcase, a_group_that_is_down_has_no_slots);
	tcase_add_test(tcase, a_site_that_nobody_has_for_long_is_a_question);
	tcase_add_test(tcase, a_site_that_no_member_has_any_more_is_silent);
	tcase_add_test(tcase, what_was_dropped_is_not_known);
	tcase_add_test(tcase, what_was_removed_of_a_group_is_not_accused);
	tcase_add_test(tcase, who_has_left_a_site_owes_nothing_of_it);
	tcase_add_test(tcase, what_the_dead_had_on_its_way_is_no_hole);
	tcase_add_test(tcase, slots_of_a_group_without_end_are_bounded);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
