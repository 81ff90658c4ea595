/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The judge of topics: what is planted is found and named, and nothing is accused that may be
 * right.
 */
#include "judged.h"

#include "suite.h"

static const char *const sites[] = { "a", "b", "c" };

/*
 * Rounds of three sites with an interval of 1 s, each in a partition of its own, without the
 * numbers `without` up to `through`.
 */
static void
give_rounds(uint64_t from, uint64_t count, uint64_t without, uint64_t through)
{
	for (uint64_t seq = 3 * from; seq < 3 * (from + count); seq++)
		if (seq < without || seq > through)
			GIVE((int)(seq % 3), .seq = seq, .site = sites[seq % 3],
			    .slot_ms = START_A + (int64_t)(seq / 3) * 1000 +
				       (int64_t)(seq % 3) * 300);
}

static const struct judge_epoch *
only_epoch(void)
{
	ck_assert_uint_eq(judge->epoch_count, 1);
	return judge->epochs[0];
}

START_TEST(clean_topic_holds)
{
	const struct judge_epoch *e;

	give_rounds(0, 100, 1, 0);
	require_only(FOUND_COUNT, 0);
	e = only_epoch();
	ck_assert_uint_eq(e->records, 300);
	ck_assert_uint_eq(e->site_count, 3);
	ck_assert_uint_eq(e->statuses[STATUS_UP], 300);
	ck_assert_uint_eq(e->seen.count, 1);
	ck_assert_int_eq(spread_percentile(&e->lateness, 99), 500);
	ck_assert_int_eq(e->first_ms, START_A);
	ck_assert_int_eq(e->last_ms, START_A + 99 * 1000 + 600);
	ck_assert(!e->ended);
}
END_TEST

START_TEST(nothing_is_a_question)
{
	judge_conclude(judge);
	ck_assert_int_eq(judge_verdict(judge), VERDICT_QUESTION);
}
END_TEST

START_TEST(holes_are_found)
{
	give_rounds(0, 100, 17, 17);
	require_only(FOUND_HOLES, 1);
	ck_assert_str_eq(only_epoch()->examples[FOUND_HOLES][0], "17");
	/* again, with what came meanwhile: it is not counted twice */
	give_rounds(100, 10, 310, 313);
	require_only(FOUND_HOLES, 5);
	ck_assert_str_eq(only_epoch()->examples[FOUND_HOLES][1], "310 to 313");
}
END_TEST

START_TEST(first_numbers_are_missing)
{
	give_rounds(0, 10, 0, 1);
	require_only(FOUND_HOLES, 2);
}
END_TEST

START_TEST(what_dropped_records_name_is_no_hole)
{
	GIVE(0, .seq = 0, .site = "a", .status = "unknown", .error = "dropped",
	    .dropped_through = 29);
	give_rounds(0, 100, 0, 29);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->excused[EXCUSE_DROPPED], 29);
}
END_TEST

START_TEST(what_a_dropped_record_stands_for_has_no_record)
{
	GIVE(0, .seq = 0, .site = "a", .status = "unknown", .error = "dropped",
	    .dropped_through = 29);
	give_rounds(0, 100, 0, 28); /* 29 is there */
	require_only(FOUND_CONTENTS, 1);
	GIVE(0, .seq = 300, .site = "a", .slot_ms = START_A + 100000, .status = "unknown",
	    .error = "dropped", .dropped_through = 302);
	GIVE(0, .seq = 302, .site = "a", .slot_ms = START_A + 101000, .status = "unknown",
	    .error = "dropped", .dropped_through = 302);
	require_found(FOUND_CONTENTS, 2);
	GIVE(0, .seq = 304, .site = "a", .slot_ms = START_A + 102000);
	GIVE(3, .seq = 303, .site = "d", .slot_ms = START_A + 101000, .status = "unknown",
	    .error = "dropped",
	    .dropped_through = 305); /* it comes later, from another partition */
	require_found(FOUND_CONTENTS, 3);
}
END_TEST

START_TEST(what_dropped_records_do_not_name_is_a_hole)
{
	GIVE(0, .seq = 0, .site = "a", .status = "unknown", .error = "dropped",
	    .dropped_through = 27);
	give_rounds(0, 100, 0, 29);
	require_only(FOUND_HOLES, 2);
	ck_assert_str_eq(only_epoch()->examples[FOUND_HOLES][0], "28 to 29");
}
END_TEST

START_TEST(repeats_with_the_same_bytes_are_right)
{
	give_rounds(0, 50, 1, 0);
	give_rounds(20, 80, 1, 0);
	give_rounds(20, 5, 1, 0);
	require_only(FOUND_COUNT, 0);
	ck_assert(!judge_needs_again(judge));
	ck_assert_uint_eq(only_epoch()->repeats, 90 + 15);
}
END_TEST

START_TEST(one_id_with_two_contents_is_found_once)
{
	give_rounds(0, 10, 1, 0);
	for (int i = 0; i < 3; i++)
		GIVE(1, .seq = 4, .site = "b", .slot_ms = START_A + 1300, .status = "down",
		    .error = i == 0 ? "dns" : "tls");
	require_only(FOUND_CONTENTS, 1);
	ck_assert_str_eq(only_epoch()->examples[FOUND_CONTENTS][0],
	    "seq 4 of b, of which one is at partition 1, offset 10");
}
END_TEST

/* A repeat that comes after so many others that only a second reading can compare it. */
static void
give_late_repeats(void)
{
	const uint64_t rounds = JUDGE_RECENT / 3 + 10;

	give_rounds(0, rounds, 1, 0);
	ck_assert(!judge_needs_again(judge));
	give_rounds(0, 2, 1, 0);
	GIVE(1, .seq = 7, .site = "b", .slot_ms = START_A + 2300, .more = ",\"x\":1");
	require_only(FOUND_COUNT, 0);
	ck_assert(judge_needs_again(judge));
}

/* A record as kafka.format = "json-connect" has it. */
static void
give_enveloped(const struct planted *p)
{
	char *record = write_record(p);
	char *value = xasprintf("{\"schema\":{\"fields\":[{}]},\"payload\":%s}", record);

	give_bytes(0, "a", value, strlen(value), judge_take);
	free(value);
	free(record);
}

START_TEST(contents_are_compared_without_the_envelope)
{
	struct planted p = { .seq = 0 };

	GIVE(0, .seq = 0);
	give_enveloped(&p);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->repeats, 1);
	p.more = ",\"x\":1";
	give_enveloped(&p);
	require_only(FOUND_CONTENTS, 1);
}
END_TEST

START_TEST(late_repeats_are_compared_in_a_second_reading)
{
	struct planted first = { .seq = 7, .site = "b", .slot_ms = START_A + 2300 };

	give_late_repeats();
	for (int copy = 0; copy < 2; copy++)
		for (uint64_t seq = 0; seq < 6; seq++)
			give_to((int)(seq % 3),
			    &(struct planted){ .seq = seq,
				.site = sites[seq % 3],
				.slot_ms = START_A + (int64_t)(seq / 3) * 1000 +
					   (int64_t)(seq % 3) * 300 },
			    judge_take_again);
	give_to(1, &first, judge_take_again);
	first.more = ",\"x\":1";
	give_to(1, &first, judge_take_again);
	judge_end_again(judge);
	require_only(FOUND_CONTENTS, 1);
	ck_assert(!judge_needs_again(judge));
	ck_assert_uint_eq(judge->uncompared, 0);
}
END_TEST

START_TEST(a_first_copy_that_has_gone_is_a_question)
{
	give_late_repeats();
	judge_end_again(judge);
	judge_conclude(judge);
	ck_assert_uint_eq(judge->uncompared, 7);
	ck_assert_int_eq(judge_verdict(judge), VERDICT_QUESTION);
}
END_TEST

START_TEST(records_of_a_site_out_of_order_are_found)
{
	give_rounds(0, 10, 12, 12);
	GIVE(0, .seq = 12, .site = "a", .slot_ms = START_A + 4000);
	judge_conclude(judge);
	require_found(FOUND_ORDER, 1);
	require_found(FOUND_HOLES, 0);
	ck_assert_str_eq(only_epoch()->examples[FOUND_ORDER][0],
	    "seq 12 of a stands behind its seq 27 (partition 0, offset 9)");
	ck_assert_int_eq(judge_verdict(judge), VERDICT_BROKEN);
}
END_TEST

START_TEST(partitions_and_sites_come_in_any_order)
{
	for (int site = 2; site >= 0; site--)
		for (int i = 0; i < 10; i++)
			GIVE(site / 2, .seq = (uint64_t)(3 * i + site), .site = sites[site],
			    .slot_ms = START_A + i * 1000);
	require_only(FOUND_COUNT, 0);
}
END_TEST

START_TEST(a_site_that_goes_to_another_partition_has_no_order)
{
	for (uint64_t seq = 10; seq < 20; seq++)
		GIVE(1, .seq = seq, .slot_ms = START_A + (int64_t)seq * 1000);
	for (uint64_t seq = 0; seq < 10; seq++)
		GIVE(0, .seq = seq, .slot_ms = START_A + (int64_t)seq * 1000);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_gt(only_epoch()->moved, 0);
}
END_TEST

/* --- what the topic has no more ---------------------------------------------------------- */

START_TEST(what_was_removed_is_not_accused)
{
	for (int i = 0; i < 3; i++)
		judge_begins_late(judge, i, SCAN_NONE);
	give_rounds(50, 100, 1, 0);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->excused[EXCUSE_REMOVED], 150);
}
END_TEST

START_TEST(partitions_lose_records_at_different_times)
{
	judge_begins_late(judge, 1, SCAN_NONE);
	for (uint64_t seq = 0; seq < 300; seq++)
		if (seq % 3 != 1 || seq >= 100)
			GIVE((int)(seq % 3), .seq = seq, .site = sites[seq % 3],
			    .slot_ms = START_A + (int64_t)(seq / 3) * 1000);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->excused[EXCUSE_REMOVED], 33);
}
END_TEST

/* One of two instances was cut off from Kafka for an hour. */
START_TEST(what_one_instance_sent_late_accuses_no_other)
{
	judge_begins_late(judge, 0, SCAN_NONE);
	GIVE(0, .epoch = EPOCH_B, .seq = 0, .site = "late", .instance = "probe-2",
	    .slot_ms = START_A - 3600000);
	for (uint64_t seq = 0; seq < 300; seq++)
		if (seq % 3 != 0 || seq > 60)
			GIVE((int)(seq % 3), .seq = seq, .site = sites[seq % 3],
			    .slot_ms = START_A + (int64_t)(seq / 3) * 1000);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(judge->epochs[1]->excused[EXCUSE_REMOVED], 21);
}
END_TEST

START_TEST(the_clock_was_set_back_in_what_was_removed)
{
	judge_begins_late(judge, 0, SCAN_NONE);
	for (uint64_t seq = 0; seq < 300; seq++)
		if (seq % 3 != 0 || seq > 60)
			GIVE((int)(seq % 3), .seq = seq, .site = sites[seq % 3],
			    .slot_ms = START_A + (int64_t)(seq / 3) * 1000 -
				       (seq > 50 ? 60000 : 0));
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->excused[EXCUSE_REMOVED], 21);
}
END_TEST

START_TEST(a_hole_after_what_was_removed_is_found)
{
	judge_begins_late(judge, 1, SCAN_NONE);
	give_rounds(50, 100, 171, 172);
	require_only(FOUND_HOLES, 2);
}
END_TEST

START_TEST(repeats_of_what_was_removed_are_in_order)
{
	judge_begins_late(judge, 0, SCAN_NONE);
	for (uint64_t seq = 7; seq < 10; seq++)
		GIVE(0, .seq = seq, .slot_ms = START_A + (int64_t)seq * 1000);
	for (uint64_t seq = 3; seq < 15; seq++)
		GIVE(0, .seq = seq, .slot_ms = START_A + (int64_t)seq * 1000);
	require_only(FOUND_COUNT, 0);
}
END_TEST

START_TEST(a_partition_with_nothing_left_makes_holes_a_question_up_to_since)
{
	judge_begins_late(judge, 5, SCAN_NONE);
	give_rounds(0, 100, 100, 101);
	require_only(FOUND_EMPTIED, 2);
	judge_begins_late(judge, 5, START_A);
	require_only(FOUND_HOLES, 2);
}
END_TEST

START_TEST(empty_offsets_excuse_as_many_holes)
{
	give_rounds(0, 10, 30, 30);
	offsets[0] += 2;
	give_rounds(10, 10, 30, 31);
	judge_conclude(judge);
	ck_assert_uint_eq(only_epoch()->excused[EXCUSE_COMPACTED], 2);
	require_only(FOUND_COUNT, 0);
	give_rounds(20, 10, 70, 72);
	require_only(FOUND_HOLES, 3);
}
END_TEST

START_TEST(a_compacted_topic_has_no_holes)
{
	for (int i = 0; i < 3; i++)
		judge_begins_at(judge, i, 0);
	offsets[0] = offsets[1] = offsets[2] = 90;
	give_rounds(90, 10, 1, 0);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->excused[EXCUSE_COMPACTED], 270);
}
END_TEST

/* --- epochs ------------------------------------------------------------------------------ */

START_TEST(checks_that_may_still_run_are_no_holes)
{
	/* the last check of `b` is not over, and that of `c` has come */
	give_rounds(0, 10, 28, 28);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->excused[EXCUSE_UNDERWAY], 1);
}
END_TEST

START_TEST(a_site_owes_one_record_at_most)
{
	/* of the last two rounds of `b` one may be on its way; `d` is in the same partition */
	give_rounds(0, 9, 25, 25);
	GIVE(0, .seq = 27, .site = "a", .slot_ms = START_A + 9000);
	GIVE(2, .seq = 29, .site = "c", .slot_ms = START_A + 9600);
	GIVE(1, .seq = 30, .site = "d", .slot_ms = START_A + 9700);
	require_only(FOUND_HOLES, 1);
	ck_assert_uint_eq(only_epoch()->excused[EXCUSE_UNDERWAY], 1);
}
END_TEST

START_TEST(a_site_may_have_no_record_yet)
{
	/* the check of `b` that began at once takes long; it was never seen before */
	for (uint64_t seq = 0; seq < 6; seq++)
		if (seq != 1)
			GIVE(0, .seq = seq, .site = "a",
			    .slot_ms = START_A + (int64_t)seq * 1000 - 3000,
			    .epoch = "20261129T015957Z-00000000000000aa");
	judge_conclude(judge);
	require_found(FOUND_HOLES, 1);
	teardown_judge();
	setup_judge();
	for (uint64_t seq = 0; seq < 3; seq++)
		if (seq != 1)
			GIVE(0, .seq = seq, .site = "a", .slot_ms = START_A + (int64_t)seq * 1000);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->excused[EXCUSE_UNDERWAY], 1);
	/* it is too late for that when the epoch has gone on */
	for (uint64_t seq = 3; seq < 6; seq++)
		GIVE(0, .seq = seq, .site = "a", .slot_ms = START_A + (int64_t)seq * 1000);
	judge_conclude(judge);
	require_found(FOUND_HOLES, 1);
}
END_TEST

START_TEST(a_site_that_is_checked_daily_hides_no_holes)
{
	const int64_t hour = 3600;

	GIVE(1, .seq = 0, .site = "daily", .interval_ms = 86400000);
	for (int64_t seq = 1; seq < hour; seq++)
		if (seq < 10 || seq > 12)
			GIVE(0, .seq = (uint64_t)seq, .site = "a", .slot_ms = START_A + seq * 1000);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->excused[EXCUSE_UNDERWAY], 3);
	for (int64_t seq = hour; seq < hour + 20; seq++)
		GIVE(0, .seq = (uint64_t)seq, .site = "a", .slot_ms = START_A + seq * 1000);
	require_only(FOUND_HOLES, 3);
}
END_TEST

START_TEST(a_partition_may_be_far_behind)
{
	/* it was written to no more at seq 30, as when the broker that leads it is away */
	for (uint64_t seq = 0; seq < 300; seq++)
		if (seq % 3 != 1 || seq < 30)
			GIVE((int)(seq % 3), .seq = seq, .site = sites[seq % 3],
			    .slot_ms = START_A + (int64_t)(seq / 3) * 1000);
	require_only(FOUND_SILENT, 1);
	ck_assert_uint_eq(only_epoch()->excused[EXCUSE_UNDERWAY], 90);
}
END_TEST

START_TEST(nothing_is_on_its_way_in_an_epoch_that_has_ended)
{
	give_rounds(0, 10, 28, 28);
	for (int i = 0; i < 3; i++)
		GIVE(i, .epoch = EPOCH_B, .seq = (uint64_t)i, .site = sites[i], .slot_ms = START_B);
	require_only(FOUND_HOLES, 1);
	ck_assert(judge->epochs[0]->ended && !judge->epochs[1]->ended);
}
END_TEST

START_TEST(an_epoch_ends_in_each_partition_by_itself)
{
	give_rounds(0, 10, 28, 28);
	/* where `b` is the old epoch may go on to arrive */
	GIVE(0, .epoch = EPOCH_B, .seq = 0, .site = "a", .slot_ms = START_B);
	require_only(FOUND_COUNT, 0);
	ck_assert(!judge->epochs[0]->ended);
}
END_TEST

START_TEST(a_partition_may_be_an_epoch_behind)
{
	for (uint64_t seq = 0; seq < 30; seq++)
		GIVE((int)(seq % 3), .seq = seq, .site = sites[seq % 3],
		    .slot_ms = START_A - 60000 + (int64_t)(seq / 3) * 1000,
		    .epoch = "20261129T015900Z-00000000000000aa");
	/* where `b` is, nothing of the second epoch has come, and the third has begun */
	for (uint64_t seq = 0; seq < 30; seq++)
		if (seq % 3 != 1)
			GIVE((int)(seq % 3), .seq = seq, .site = sites[seq % 3],
			    .slot_ms = START_A + (int64_t)(seq / 3) * 1000);
	for (int i = 0; i < 3; i += 2)
		GIVE(i, .epoch = EPOCH_B, .seq = (uint64_t)i, .site = sites[i], .slot_ms = START_B);
	judge_conclude(judge);
	for (int i = 0; i < 3; i++)
		ck_assert(!judge->epochs[i]->ended);
}
END_TEST

START_TEST(instances_do_not_end_each_other)
{
	give_rounds(0, 10, 28, 28);
	for (int i = 0; i < 3; i++)
		GIVE(i, .epoch = EPOCH_B, .seq = (uint64_t)i, .site = sites[i], .slot_ms = START_B,
		    .instance = "probe-2");
	give_rounds(10, 10, 1, 0);
	require_only(FOUND_HOLES, 1); /* since then `b` has gone on */
	ck_assert_uint_eq(judge->instance_count, 2);
}
END_TEST

START_TEST(two_daemons_with_one_name_are_a_question)
{
	give_rounds(0, 10, 1, 0);
	GIVE(0, .epoch = EPOCH_B, .seq = 0, .site = "a", .slot_ms = START_B);
	give_rounds(10, 1, 1, 0);
	require_only(FOUND_OVERLAP, 1);
}
END_TEST

START_TEST(a_lost_epoch_may_end_after_the_next_one_has_begun)
{
	give_rounds(0, 10, 27, 27);
	GIVE(0, .epoch = EPOCH_B, .seq = 0, .site = "c", .slot_ms = START_B);
	GIVE(0, .seq = 27, .site = "a", .slot_ms = START_A + 9000);
	require_only(FOUND_COUNT, 0);
}
END_TEST

/* --- slots ------------------------------------------------------------------------------- */

START_TEST(a_slot_off_the_grid_is_found)
{
	give_rounds(0, 10, 1, 0);
	GIVE(0, .seq = 30, .site = "a", .slot_ms = START_A + 10100);
	require_only(FOUND_GRID, 1);
}
END_TEST

START_TEST(another_interval_has_another_grid)
{
	give_rounds(0, 10, 1, 0);
	GIVE(0, .seq = 30, .site = "a", .slot_ms = START_A + 10137, .interval_ms = 1500);
	GIVE(0, .seq = 31, .site = "a", .slot_ms = START_A + 11637, .interval_ms = 1500);
	require_only(FOUND_COUNT, 0);
}
END_TEST

START_TEST(missing_slots_are_a_question)
{
	give_rounds(0, 10, 1, 0);
	GIVE(0, .seq = 30, .site = "a", .slot_ms = START_A + 12000);
	require_only(FOUND_MISSING, 2);
	ck_assert_str_eq(
	    only_epoch()->examples[FOUND_MISSING][0], "2 of a behind 2026-11-29T02:00:09.000Z");
}
END_TEST

START_TEST(a_hole_explains_missing_slots)
{
	give_rounds(0, 20, 30, 30);
	require_only(FOUND_HOLES, 1);
}
END_TEST

START_TEST(a_dropped_record_explains_missing_slots)
{
	give_rounds(0, 10, 1, 0);
	GIVE(1, .seq = 31, .site = "b", .slot_ms = START_A + 10300, .status = "unknown",
	    .error = "dropped", .dropped_through = 33);
	GIVE(0, .seq = 34, .site = "a", .slot_ms = START_A + 12000);
	judge_conclude(judge);
	require_found(FOUND_MISSING, 0);
}
END_TEST

/* As give_rounds(), with slots that are `later_ms` later. */
static void
give_later(uint64_t from, uint64_t count, int64_t later_ms)
{
	for (uint64_t seq = 3 * from; seq < 3 * (from + count); seq++)
		GIVE((int)(seq % 3), .seq = seq, .site = sites[seq % 3],
		    .slot_ms = START_A + (int64_t)(seq / 3) * 1000 + (int64_t)(seq % 3) * 300 +
			       later_ms);
}

START_TEST(a_clock_that_is_set_forward_is_no_question)
{
	give_rounds(0, 10, 1, 0);
	give_later(10, 10, 3600000);
	give_later(20, 10, 3660000);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->skipped, 3 * 3660);
}
END_TEST

START_TEST(a_host_with_many_sites_may_sleep)
{
	const uint64_t many = 20000;

	for (uint64_t seq = 0; seq < 2 * many; seq++) {
		char *site = xasprintf("s%" PRIu64, seq % many);

		GIVE(0, .seq = seq, .site = site, .interval_ms = 60000,
		    .slot_ms = START_A + (int64_t)(seq % many) + (seq < many ? 0 : 3600000));
		free(site);
	}
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->skipped, 59 * many);
}
END_TEST

START_TEST(slots_that_others_have_are_a_question)
{
	give_rounds(0, 10, 1, 0);
	for (uint64_t seq = 30; seq < 50; seq++)
		GIVE(2, .seq = seq, .site = "c",
		    .slot_ms = START_A + (int64_t)(seq - 20) * 1000 + 600);
	GIVE(0, .seq = 50, .site = "a", .slot_ms = START_A + 30000);
	GIVE(1, .seq = 51, .site = "b", .slot_ms = START_A + 30300);
	require_only(FOUND_MISSING, 40);
}
END_TEST

START_TEST(a_slot_that_one_site_has_twice_is_a_question)
{
	give_rounds(0, 10, 1, 0);
	GIVE(1, .seq = 30, .site = "b", .slot_ms = START_A + 9300);
	for (uint64_t seq = 31; seq < 61; seq++)
		GIVE((int)((seq - 1) % 3), .seq = seq, .site = sites[(seq - 1) % 3],
		    .slot_ms = START_A + (int64_t)((seq - 1) / 3) * 1000 +
			       (int64_t)((seq - 1) % 3) * 300);
	require_only(FOUND_AGAIN, 1);
	ck_assert_str_eq(only_epoch()->examples[FOUND_AGAIN][0], "seq 30 of b");
}
END_TEST

START_TEST(a_clock_that_is_set_back_is_named)
{
	give_rounds(0, 10, 1, 0);
	for (uint64_t seq = 30; seq < 60; seq++)
		GIVE((int)(seq % 3), .seq = seq, .site = sites[seq % 3],
		    .slot_ms = START_A - 60000 + (int64_t)(seq / 3) * 1000 +
			       (int64_t)(seq % 3) * 300);
	require_only(FOUND_COUNT, 0);
	ck_assert_uint_eq(only_epoch()->set_back, 3);
}
END_TEST

START_TEST(a_silent_site_is_a_question)
{
	give_rounds(0, 10, 1, 0);
	for (uint64_t seq = 30; seq < 40; seq++)
		GIVE(0, .seq = seq, .site = "a", .slot_ms = START_A + (int64_t)(seq - 20) * 1000);
	require_only(FOUND_SILENT, 2);
}
END_TEST

START_TEST(a_site_that_is_checked_seldom_is_not_silent)
{
	GIVE(1, .seq = 0, .site = "b", .slot_ms = START_A, .interval_ms = 3600000);
	for (uint64_t seq = 1; seq < 100; seq++)
		GIVE(0, .seq = seq, .site = "a", .slot_ms = START_A + (int64_t)seq * 1000);
	require_only(FOUND_COUNT, 0);
}
END_TEST

/* --- streaks ----------------------------------------------------------------------------- */

static void
give_streak(uint64_t seq, const char *status, int64_t streak, int64_t since)
{
	bool up = strcmp(status, "up") == 0, down = strcmp(status, "down") == 0;

	GIVE(0, .seq = seq, .slot_ms = START_A + (int64_t)seq * 1000, .status = status,
	    .error = up     ? NULL
		     : down ? "tls"
			    : "local",
	    .streak = streak, .since_ms = START_A + since * 1000);
}

START_TEST(streaks_that_go_on_are_right)
{
	GIVE(0, .seq = 0, .slot_ms = START_A); /* of a version without streaks */
	give_streak(1, "up", 5, 0);
	give_streak(2, "up", 6, 0);
	give_streak(3, "down", 1, 3);
	give_streak(4, "unknown", 1, 4);
	give_streak(5, "unknown", 2, 4);
	require_only(FOUND_COUNT, 0);
}
END_TEST

START_TEST(wrong_streaks_are_found)
{
	give_streak(0, "up", 1, 0);
	give_streak(1, "up", 3, 0);
	give_streak(2, "up", 4, 1);
	give_streak(3, "down", 2, 3);
	give_streak(4, "down", 1, 4);
	require_only(FOUND_STREAK, 4);
}
END_TEST

START_TEST(a_streak_begins_with_the_epoch)
{
	give_streak(0, "up", 2, -1);
	give_streak(1, "up", 3, -1);
	require_only(FOUND_STREAK, 1);
}
END_TEST

START_TEST(a_streak_may_begin_before_what_is_left)
{
	judge_begins_late(judge, 0, SCAN_NONE);
	give_streak(5, "up", 6, 0);
	require_only(FOUND_COUNT, 0);
}
END_TEST

START_TEST(dropped_records_are_no_part_of_streaks)
{
	give_streak(0, "up", 1, 0);
	GIVE(0, .seq = 1, .slot_ms = START_A + 1000, .status = "unknown", .error = "dropped",
	    .dropped_through = 2, .streak = 1, .since_ms = START_A + 1000);
	give_streak(3, "up", 4, 0);
	give_streak(4, "up", 5, 0);
	require_only(FOUND_COUNT, 0);
}
END_TEST

START_TEST(a_hole_explains_a_streak)
{
	give_streak(0, "up", 1, 0);
	give_streak(2, "up", 1, 2);
	give_streak(3, "up", 2, 2);
	require_only(FOUND_HOLES, 1);
}
END_TEST

/* --- what is no record ------------------------------------------------------------------- */

START_TEST(other_messages_are_counted_and_named)
{
	static const struct {
		const char *value;
		enum scan_kind kind;
	} others[] = { { NULL, SCAN_TOMBSTONE }, { "", SCAN_NOT_JSON }, { "[]", SCAN_NOT_JSON },
		{ "{\"schema_version\":2}", SCAN_OTHER_VERSION }, { "{}", SCAN_FOREIGN },
		{ "{\"schema_version\":1,\"a\":{}}", SCAN_NOT_JSON },
		{ "\xff\xfe", SCAN_NOT_JSON } };
	uint64_t counts[SCAN_KIND_COUNT] = { [SCAN_RECORD] = 30 };

	give_rounds(0, 5, 1, 0);
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		const char *value = others[i].value;

		give_bytes(3, i % 2 == 0 ? "key" : NULL, value, value != NULL ? strlen(value) : 0,
		    judge_take);
		counts[others[i].kind]++;
	}
	give_rounds(5, 5, 1, 0);
	require_only(FOUND_COUNT, 0);
	for (int kind = 0; kind < SCAN_KIND_COUNT; kind++)
		ck_assert_uint_eq(judge->kinds[kind], counts[kind]);
	ck_assert_str_eq(judge->foreign[SCAN_FOREIGN],
	    "partition 3, offset 4: \"schema_version\" is missing or not as webmond writes it");
}
END_TEST

START_TEST(another_key_is_found)
{
	GIVE(0, .seq = 0, .site = "a", .key = "b");
	GIVE(0, .seq = 0, .site = "a", .key = "aa");
	GIVE(0, .seq = 0, .site = "a");
	require_only(FOUND_KEY, 2);
}
END_TEST

START_TEST(no_key_is_no_other_key)
{
	char *value = write_record(&(struct planted){ 0 });

	give_bytes(0, NULL, value, strlen(value), judge_take);
	free(value);
	require_only(FOUND_COUNT, 0);
}
END_TEST

/* --- limits ------------------------------------------------------------------------------ */

START_TEST(numbers_at_random_are_bounded)
{
	uint64_t seq = 1;

	for (int i = 0; i < 200000; i++) {
		seq = (seq * 6364136223846793005u + 1442695040888963407u);
		GIVE(0, .seq = seq % (SCAN_NUMBER_MAX + UINT64_C(1)));
	}
	judge_conclude(judge);
	ck_assert_uint_gt(judge->left_out, 0);
	ck_assert_uint_le(judge->epochs[0]->seen.count, RANGES_MAX);
	ck_assert_uint_eq(judge_found(judge, FOUND_HOLES), 0);
}
END_TEST

START_TEST(epochs_without_end_are_bounded)
{
	char epoch[WIRE_EPOCH_SIZE];

	for (int i = 0; i < JUDGE_EPOCHS_MAX + 10; i++) {
		snprintf(epoch, sizeof(epoch), "20261129T020000Z-%016x", (unsigned)i);
		GIVE(0, .epoch = epoch);
	}
	judge_conclude(judge);
	ck_assert_uint_eq(judge->epoch_count, JUDGE_EPOCHS_MAX);
	ck_assert_uint_eq(judge->left_out, 10);
}
END_TEST

START_TEST(instances_without_end_are_bounded)
{
	char epoch[WIRE_EPOCH_SIZE], instance[32];

	for (int i = 0; i < JUDGE_INSTANCES_MAX + 10; i++) {
		snprintf(epoch, sizeof(epoch), "20261129T020000Z-%016x", (unsigned)i);
		snprintf(instance, sizeof(instance), "i%d", i);
		GIVE(0, .epoch = epoch, .instance = instance);
	}
	judge_conclude(judge);
	ck_assert_uint_eq(judge->left_out, 10);
	ck_assert_int_eq(judge_verdict(judge), VERDICT_QUESTION);
}
END_TEST

START_TEST(missing_slots_without_end_are_bounded)
{
	for (uint64_t seq = 0; seq < JUDGE_JUMPS_MAX + 11; seq++)
		GIVE(0, .seq = seq, .slot_ms = START_A + (int64_t)seq * 2000);
	require_only(FOUND_MISSING, JUDGE_JUMPS_MAX + 10);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("judge");
	TCase *tcase = tcase_create("judge");

	tcase_add_checked_fixture(tcase, setup_judge, teardown_judge);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, clean_topic_holds);
	tcase_add_test(tcase, nothing_is_a_question);
	tcase_add_test(tcase, holes_are_found);
	tcase_add_test(tcase, first_numbers_are_missing);
	tcase_add_test(tcase, what_dropped_records_name_is_no_hole);
	tcase_add_test(tcase, what_a_dropped_record_stands_for_has_no_record);
	tcase_add_test(tcase, what_dropped_records_do_not_name_is_a_hole);
	tcase_add_test(tcase, repeats_with_the_same_bytes_are_right);
	tcase_add_test(tcase, one_id_with_two_contents_is_found_once);
	tcase_add_test(tcase, contents_are_compared_without_the_envelope);
	tcase_add_test(tcase, late_repeats_are_compared_in_a_second_reading);
	tcase_add_test(tcase, a_first_copy_that_has_gone_is_a_question);
	tcase_add_test(tcase, records_of_a_site_out_of_order_are_found);
	tcase_add_test(tcase, partitions_and_sites_come_in_any_order);
	tcase_add_test(tcase, a_site_that_goes_to_another_partition_has_no_order);
	tcase_add_test(tcase, what_was_removed_is_not_accused);
	tcase_add_test(tcase, partitions_lose_records_at_different_times);
	tcase_add_test(tcase, what_one_instance_sent_late_accuses_no_other);
	tcase_add_test(tcase, the_clock_was_set_back_in_what_was_removed);
	tcase_add_test(tcase, a_hole_after_what_was_removed_is_found);
	tcase_add_test(tcase, repeats_of_what_was_removed_are_in_order);
	tcase_add_test(tcase, a_partition_with_nothing_left_makes_holes_a_question_up_to_since);
	tcase_add_test(tcase, empty_offsets_excuse_as_many_holes);
	tcase_add_test(tcase, a_compacted_topic_has_no_holes);
	tcase_add_test(tcase, checks_that_may_still_run_are_no_holes);
	tcase_add_test(tcase, a_site_owes_one_record_at_most);
	tcase_add_test(tcase, a_site_may_have_no_record_yet);
	tcase_add_test(tcase, a_site_that_is_checked_daily_hides_no_holes);
	tcase_add_test(tcase, a_partition_may_be_far_behind);
	tcase_add_test(tcase, nothing_is_on_its_way_in_an_epoch_that_has_ended);
	tcase_add_test(tcase, an_epoch_ends_in_each_partition_by_itself);
	tcase_add_test(tcase, a_partition_may_be_an_epoch_behind);
	tcase_add_test(tcase, instances_do_not_end_each_other);
	tcase_add_test(tcase, two_daemons_with_one_name_are_a_question);
	tcase_add_test(tcase, a_lost_epoch_may_end_after_the_next_one_has_begun);
	tcase_add_test(tcase, a_slot_off_the_grid_is_found);
	tcase_add_test(tcase, another_interval_has_another_grid);
	tcase_add_test(tcase, missing_slots_are_a_question);
	tcase_add_test(tcase, a_hole_explains_missing_slots);
	tcase_add_test(tcase, a_dropped_record_explains_missing_slots);
	tcase_add_test(tcase, a_clock_that_is_set_forward_is_no_question);
	tcase_add_test(tcase, a_host_with_many_sites_may_sleep);
	tcase_add_test(tcase, slots_that_others_have_are_a_question);
	tcase_add_test(tcase, a_slot_that_one_site_has_twice_is_a_question);
	tcase_add_test(tcase, a_clock_that_is_set_back_is_named);
	tcase_add_test(tcase, a_silent_site_is_a_question);
	tcase_add_test(tcase, a_site_that_is_checked_seldom_is_not_silent);
	tcase_add_test(tcase, streaks_that_go_on_are_right);
	tcase_add_test(tcase, wrong_streaks_are_found);
	tcase_add_test(tcase, a_streak_begins_with_the_epoch);
	tcase_add_test(tcase, a_streak_may_begin_before_what_is_left);
	tcase_add_test(tcase, dropped_records_are_no_part_of_streaks);
	tcase_add_test(tcase, a_hole_explains_a_streak);
	tcase_add_test(tcase, other_messages_are_counted_and_named);
	tcase_add_test(tcase, another_key_is_found);
	tcase_add_test(tcase, no_key_is_no_other_key);
	tcase_add_test(tcase, numbers_at_random_are_bounded);
	tcase_add_test(tcase, epochs_without_end_are_bounded);
	tcase_add_test(tcase, instances_without_end_are_bounded);
	tcase_add_test(tcase, missing_slots_without_end_are_bounded);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
