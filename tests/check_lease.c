/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The lease of a member of a group: what ends it, and what happens without Kafka.
 */
#include "member.h"
#include "suite.h"

/* --- losing ------------------------------------------------------------------------------ */

static int sets_before;

static bool
has_lost(void)
{
	return strstr(captured(), "its shards may be others'") != NULL;
}

static bool
has_all_anew(void)
{
	return heard.sets > sets_before && has_all();
}

/* Kafka has forgotten us: all tails are read again before anything goes on. */
START_TEST(what_was_lost_is_read_anew)
{
	begin(100, "", "");
	await(has_all);
	sets_before = heard.sets;
	rd_kafka_mock_push_request_errors(
	    cluster, HEARTBEAT, 1, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
	await(has_all_anew);
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(heard.site[i].site, 2);
	ck_assert_int_ge(looks, 2);
}
END_TEST

/* A publisher whose disk hangs for longer than Kafka waits for it. */
START_TEST(a_publisher_that_hangs_loses_all)
{
	begin(10, "", "");
	await(has_all);
	sets_before = heard.sets;
	sleep(12);
	hear();
	await(has_all_anew);
	ck_assert(has_lost());
}
END_TEST

static bool
has_none(void)
{
	return heard.sets > sets_before && count(heard.taken) == 0;
}

START_TEST(a_double_ends_it)
{
	begin(100, "", "");
	await(has_all);
	sets_before = heard.sets;
	rd_kafka_mock_push_request_errors(
	    cluster, HEARTBEAT, 1, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
	await(has_none);
	ck_assert_ptr_nonnull(
	    strstr(captured(), "another daemon has the same instance, \"a\": give each its own"));
	heard.leases = 0;
	ck_assert(!run_until(never, 3 * US_PER_S));
	ck_assert_int_eq(heard.leases, 0);
}
END_TEST

static bool
lease_is_over(void)
{
	return heard.lease.until_us < util_boot_us();
}

/* A supervisor that hangs keeps no shard. */
START_TEST(a_silent_supervisor_loses_all)
{
	begin(10, "", "");
	await(has_all);
	lives = false;
	ck_assert(run_until(lease_is_over, WAIT_US));
	ck_assert_ptr_nonnull(strstr(captured(), "the supervisor says nothing for 10 s"));
	sets_before = heard.sets;
	lives = true;
	await(has_all_anew);
}
END_TEST

static bool
has_left(void)
{
	return strstr(captured(), "the spool takes no records for 10 s") != NULL;
}

START_TEST(a_spool_that_takes_nothing_loses_all)
{
	begin(10, "", "");
	await(has_all);
	facts.storing = false;
	ck_assert(run_until(lease_is_over, WAIT_US));
	await(has_left);
	sets_before = heard.sets;
	facts.storing = true;
	await(has_all_anew);
}
END_TEST

/* --- alone ------------------------------------------------------------------------------- */

static bool
is_alone(void)
{
	return heard.lease.alone && heard.lease.until_us > util_boot_us();
}

START_TEST(alone_with_what_it_had)
{
	begin(10, "", "");
	await(has_all);
	rd_kafka_mock_broker_set_down(cluster, 1);
	await(is_alone);
	ck_assert_uint_eq(heard.lease.mine, PARTITIONS);
	ck_assert_int_le(heard.lease.until_us, util_boot_us() + 2 * US_PER_S);
	ck_assert_uint_eq(count(heard.whole), PARTITIONS);
	ck_assert_ptr_nonnull(strstr(captured(), "checking our 4 shards alone"));
	if (_i > 0)
		await(has_lost);
	ck_assert(!run_until(lease_is_over, 3 * US_PER_S)); /* it is renewed */
	rd_kafka_mock_broker_set_up(cluster, 1);
	sets_before = _i > 0 ? heard.sets : 0; /* else nobody else can have had them */
	await(has_all_anew);
	ck_assert_ptr_nonnull(strstr(captured(), "group eu: back after "));
}
END_TEST

START_TEST(or_it_rests)
{
	begin(10, "alone = \"rest\";", "");
	await(has_all);
	rd_kafka_mock_broker_set_down(cluster, 1);
	await(lease_is_over);
	ck_assert(!run_until(is_alone, 4 * US_PER_S));
	ck_assert_ptr_nonnull(strstr(captured(), "resting"));
	sets_before = heard.sets;
	rd_kafka_mock_broker_set_up(cluster, 1);
	await(has_all_anew);
}
END_TEST

/* It goes on with what the last one had, whose records are still in the spool. */
START_TEST(a_start_without_kafka)
{
	static void *volatile dead[2]; /* what it had is no leak: its threads still run */

	begin(100, "", "");
	await(has_all);
	dead[0] = group;
	dead[1] = config;
	spool_close(spool);
	rd_kafka_mock_broker_set_down(cluster, 1);
	begin(100, "", "");
	ck_assert(dead[0] != group && dead[1] != config);
	ck_assert(!run_until(is_alone, 6 * US_PER_S)); /* it may only be slow to connect */
	await(is_alone);
	ck_assert_uint_eq(count(heard.whole), PARTITIONS);
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(heard.site[i].site, 1);
}
END_TEST

static bool
waits(void)
{
	return strstr(captured(), "this daemon has no shards, and waits") != NULL;
}

/*
 * Or that of a spare, which had none: the supervisor is told nothing, not even that again and
 * again.
 */
START_TEST(a_first_start_without_kafka)
{
	const struct spool_shards none = { .group = GROUP, .topic = TOPIC, .total = PARTITIONS };

	rd_kafka_mock_broker_set_down(cluster, 1);
	begin(10, "", "");
	if (_i > 0)
		spool_store_shards(spool, &none);
	await(waits);
	ck_assert(!run_until(is_alone, 3 * US_PER_S));
	ck_assert_int_eq(heard.leases + heard.sets, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("lease");
	TCase *tcase = tcase_create("lease");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 150);
	tcase_add_test(tcase, what_was_lost_is_read_anew);
	tcase_add_test(tcase, a_publisher_that_hangs_loses_all);
	tcase_add_test(tcase, a_double_ends_it);
	tcase_add_test(tcase, a_silent_supervisor_loses_all);
	tcase_add_test(tcase, a_spool_that_takes_nothing_loses_all);
	tcase_add_loop_test(tcase, alone_with_what_it_had, 0, 2);
	tcase_add_test(tcase, or_it_rests);
	tcase_add_test(tcase, a_start_without_kafka);
	tcase_add_loop_test(tcase, a_first_start_without_kafka, 0, 2);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
