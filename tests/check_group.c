/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A member of a group as the supervisor hears of it: what is its own, and behind which slots.
 */
#include "member.h"
#include "payload.h"
#include "suite.h"

static rd_kafka_t *writer;

/* A record that some member of a group has written. */
static void
put_record(const char *of_group, int number, int64_t slot_us, enum error_type why, bool wrap)
{
	struct config other = { .instance = "b", .kafka_group = of_group };
	struct slot slot = { .epoch = EPOCH,
		.seq = 1,
		.slot_us = slot_us,
		.interval_us = US_PER_S,
		.alone = of_group != NULL ? TRISTATE_FALSE : TRISTATE_NULL };
	char name[32];
	struct site site = { .name = name, .url = "http://a/", .method = "GET" };
	unsigned char raw[WIRE_FRAME_MAX], record[WIRE_RECORD_MAX];
	struct wire_outcome outcome = { .lateness_us = 1000 };
	rd_kafka_resp_err_t error;
	struct frame frame;
	char *value;
	size_t size;

	snprintf(name, sizeof(name), "site-%d", number);
	result_init(&outcome.result);
	outcome.result.elapsed_us = 1000;
	outcome.result.completed = true;
	outcome.result.http_status = 200;
	if (why != ERROR_NONE)
		result_fail(&outcome.result, why, "it is \"down\", \"group\":\"%s\"", GROUP);
	size = payload_frame(raw, WIRE_OPEN, &other, &site, &slot, NULL, NULL);
	ck_assert_int_gt(wire_decode(raw, size, &frame), 0);
	size = payload_record(record, &frame, &outcome, RESULT_NONE, NULL);
	ck_assert_int_gt(wire_decode(record, size, &frame), 0);
	size = frame.payload_size;
	value = wrap ? payload_envelope(&frame, &size) : strndup(frame.payload, size);
	error = rd_kafka_producev(writer, RD_KAFKA_V_TOPIC(TOPIC),
	    RD_KAFKA_V_KEY(name, strlen(name)), RD_KAFKA_V_VALUE(value, size),
	    RD_KAFKA_V_PARTITION((int32_t)kafka_shard_of(name, PARTITIONS)),
	    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
	free(value);
	ck_assert_int_eq(error, RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void
open_writer(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	rd_kafka_conf_set(
	    conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), NULL, 0);
	writer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
}

/* --- taking ------------------------------------------------------------------------------ */

START_TEST(a_new_member_takes_all)
{
	int64_t now_us = util_utc_us();

	begin(1000, "", "");
	await(has_all);
	for (int i = 0; i < 1000; i++) {
		ck_assert_uint_eq(heard.site[i].site, 1);
		ck_assert_int_eq(heard.site[i].status, -1);
		ck_assert_int_ge(heard.site[i].after_us, now_us);
	}
	ck_assert_uint_eq(heard.lease.total, PARTITIONS);
	ck_assert_int_le(heard.lease.until_us, util_boot_us() + SESSION_US * 9 / 10);
	ck_assert_ptr_nonnull(
	    strstr(captured(), "group eu: shards 0-3 of 4 are ours (4 taken over, 0 given back;"));
}
END_TEST

/*
 * With an interval as long as a tail a site may have no record there. If that is so of many, nobody
 * had them, and they begin at their times; if there are few, a slot may have been left over.
 */
START_TEST(a_shard_without_records)
{
	const int sites = _i > 0 ? 2 : 1000;
	int64_t now_us = util_utc_us();

	of_each_site = "interval = 300; ";
	begin(sites, "", "");
	await(has_all);
	for (int i = 0; i < sites; i++)
		if (_i > 0)
			ck_assert_int_le(heard.site[i].after_us, util_utc_us() - TAIL_US);
		else
			ck_assert_int_ge(heard.site[i].after_us, now_us);
}
END_TEST

/* Each goes on behind its own last record, or behind the last one of its shard. */
START_TEST(sites_go_on_behind_their_records)
{
	int64_t slot_us = (util_utc_us() / US_PER_S - 100) * US_PER_S;

	open_writer();
	for (int i = 0; i < 40; i++) {
		put_record(GROUP, i, slot_us + i * US_PER_S, ERROR_NONE, false);
		put_record(GROUP, i, slot_us + i * US_PER_MS, ERROR_TIMEOUT, i % 2 == 0);
		put_record("us", i, slot_us + 90 * US_PER_S, ERROR_NONE, false);
		put_record(NULL, i, slot_us + 90 * US_PER_S, ERROR_TIMEOUT, true);
	}
	put_record(GROUP, 7, slot_us + 50 * US_PER_S, ERROR_TIMEOUT, true);
	for (int i = 100; i < 140; i++) /* sites that only the others have */
		put_record(GROUP, i, slot_us + 60 * US_PER_S, ERROR_NONE, false);
	ck_assert_int_eq(rd_kafka_flush(writer, 10000), 0);
	begin(60, "", "");
	await(has_all);
	for (int i = 0; i < 60; i++) {
		int64_t expected = slot_us + (i == 7 ? 50 : i >= 40 ? 60 : i) * US_PER_S;

		ck_assert_msg(heard.site[i].after_us == expected, "site %d: %lld, not %lld", i,
		    (long long)(heard.site[i].after_us - slot_us), (long long)(expected - slot_us));
		ck_assert_int_eq(heard.site[i].status, i == 7   ? STATUS_DOWN
						       : i < 40 ? STATUS_UP
								: -1);
	}
}
END_TEST

/* A supervisor that is busy gets all, and nothing waits in memory meanwhile. */
START_TEST(a_busy_supervisor_misses_nothing)
{
	held_up = true;
	begin(SITES_MAX, "", "");
	setsockopt(control + 1, SOL_SOCKET, SO_SNDBUF, &(int){ 8192 }, sizeof(int));
	ck_assert(!run_until(never, 6 * US_PER_S));
	ck_assert_int_eq(group_wants_of_control(group), POLLOUT);
	held_up = false;
	await(has_all);
	for (int i = 0; i < SITES_MAX; i++)
		ck_assert_uint_eq(heard.site[i].site, 1);
}
END_TEST

/* Records that wait in the spool are in no tail. */
START_TEST(what_is_spooled_counts)
{
	struct site site = { .name = "site-3", .url = "http://a/", .method = "GET" };
	struct slot slot = { .epoch = EPOCH,
		.slot_us = (util_utc_us() / US_PER_S - 7) * US_PER_S,
		.interval_us = US_PER_S };
	unsigned char raw[WIRE_FRAME_MAX];
	struct result result;
	struct frame frame;
	size_t size;

	begin(10, "", "");
	result_init(&result);
	result_fail(&result, ERROR_ABORTED, "over");
	size = payload_frame(raw, WIRE_SINGLE, config, &site, &slot, &result, NULL);
	ck_assert_int_gt(wire_decode(raw, size, &frame), 0);
	ck_assert_int_eq(spool_begin(spool), SPOOL_OK);
	ck_assert_int_eq(spool_begin_slot(spool, &frame, raw, size), SPOOL_OK);
	ck_assert_int_eq(spool_end_slot(spool, &frame), SPOOL_OK);
	ck_assert_int_eq(spool_commit(spool), SPOOL_OK);
	await(has_all);
	ck_assert_int_eq(heard.site[3].after_us, slot.slot_us);
	ck_assert_int_gt(heard.site[4].after_us, slot.slot_us + US_PER_S);
}
END_TEST

/* Then there may be a jump in the topic, and the log says why. */
START_TEST(without_the_right_to_read)
{
	int64_t now_us = util_utc_us();

	open_writer();
	put_record(GROUP, 1, now_us - 60 * US_PER_S, ERROR_NONE, false);
	rd_kafka_flush(writer, 10000);
	times_error = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	begin(10, "", "");
	await(has_all);
	ck_assert_int_ge(heard.site[1].after_us, now_us);
	ck_assert_int_eq(count_of(captured(), "may not read \"results\""), 1);
}
END_TEST

/* --- giving back ------------------------------------------------------------------------- */

/* Another member, whatever it does. */
static void
join_another(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	const char *const settings[][2] = { { "bootstrap.servers",
						rd_kafka_mock_cluster_bootstraps(cluster) },
		{ "group.id", GROUP }, { "session.timeout.ms", "60000" },
		{ "heartbeat.interval.ms", "500" },
		{ "partition.assignment.strategy", "cooperative-sticky" } };
	rd_kafka_t *rk;

	for (size_t i = 0; i < ARRAY_LENGTH(settings); i++)
		rd_kafka_conf_set(conf, settings[i][0], settings[i][1], NULL, 0);
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, NULL, 0);
	rd_kafka_topic_partition_list_add(topics, TOPIC, -1);
	rd_kafka_subscribe(rk, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	rd_kafka_poll_set_consumer(rk);
}

static bool
has_given(void)
{
	return count(heard.given) == PARTITIONS / 2 && count(heard.taken) == PARTITIONS / 2 &&
	       strstr(captured(), "2 given back") != NULL;
}

START_TEST(a_shard_is_given_back)
{
	answers = _i == 0; /* or it takes longer, but happens */
	begin(100, "", "");
	await(has_all);
	join_another();
	await(has_given);
	for (int i = 0; i < PARTITIONS; i++)
		ck_assert(heard.given[i] != heard.whole[i]);
}
END_TEST

/* --- what keeps a member out ------------------------------------------------------------- */

START_TEST(without_the_right_to_the_group)
{
	rd_kafka_resp_err_t errors[200];

	for (size_t i = 0; i < ARRAY_LENGTH(errors); i++)
		errors[i] = RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
	rd_kafka_mock_push_request_errors_array(
	    cluster, FIND_COORDINATOR, ARRAY_LENGTH(errors), errors);
	begin(10, "", "");
	ck_assert(!run_until(never, 6 * US_PER_S));
	ck_assert_int_eq(heard.leases + heard.sets, 0);
	ck_assert_int_eq(count_of(captured(), "--operation Read --group eu"), 1);
	rd_kafka_mock_clear_request_errors(cluster, FIND_COORDINATOR);
	await(has_all);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("group");
	TCase *tcase = tcase_create("group");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 150);
	tcase_add_test(tcase, a_new_member_takes_all);
	tcase_add_loop_test(tcase, a_shard_without_records, 0, 2);
	tcase_add_test(tcase, sites_go_on_behind_their_records);
	tcase_add_test(tcase, a_busy_supervisor_misses_nothing);
	tcase_add_test(tcase, what_is_spooled_counts);
	tcase_add_test(tcase, without_the_right_to_read);
	tcase_add_loop_test(tcase, a_shard_is_given_back, 0, 2);
	tcase_add_test(tcase, without_the_right_to_the_group);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
