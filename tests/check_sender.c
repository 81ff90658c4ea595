/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The sender over a librdkafka that takes records and says nothing: what no broker can be made to
 * do. The rest is tested with the publisher.
 */
#include "sender.h"

#include <check.h>
#include <librdkafka/rdkafka.h>
#include <string.h>

#include "payload.h"
#include "suite.h"

#define EPOCH "20260101T000000Z-0000000000000001"

static int sent;

/* librdkafka's is not called. The second record is refused, all others get no answer. */
rd_kafka_error_t *
rd_kafka_produceva(rd_kafka_t *rk, const rd_kafka_vu_t *arguments, size_t count)
{
	(void)rk;
	if (++sent == 2)
		return rd_kafka_error_new(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "refused");
	for (size_t i = 0; i < count; i++)
		if (arguments[i].vtype == RD_KAFKA_VTYPE_HEADERS)
			rd_kafka_headers_destroy(arguments[i].u.headers);
	return NULL;
}

static struct spool *
spool_with(int records)
{
	static unsigned char raw[8][WIRE_FRAME_MAX];
	const struct spool_options options = { .max_bytes = 1 << 20, .window = 10, .epoch = EPOCH };
	struct config config = { .instance = "test" };
	struct site site = { .name = "shop", .url = "http://a/", .method = "GET" };
	struct result result;
	struct spool *spool;

	result_init(&result);
	ck_assert_int_eq(spool_open(&spool, &options), SPOOL_OK);
	ck_assert_int_eq(spool_begin(spool), SPOOL_OK);
	for (int i = 0; i < records; i++) {
		struct slot slot = { .epoch = EPOCH,
			.seq = (uint64_t)i,
			.slot_us = INT64_C(1767225600) * US_PER_S,
			.interval_us = US_PER_S };
		size_t size = payload_frame(raw[i], WIRE_WHOLE, &config, &site, &slot, &result, NULL);
		struct frame frame;

		ck_assert_int_eq(wire_decode(raw[i], size, &frame), (ssize_t)size);
		ck_assert_int_eq(spool_begin_slot(spool, &frame, raw[i], size), SPOOL_OK);
		ck_assert_int_eq(spool_end_slot(spool, &frame, raw[i]), SPOOL_OK);
	}
	ck_assert_int_eq(spool_commit(spool), SPOOL_OK);
	return spool;
}

/* After a refusal all wait for those that are on their way, but not for ever. */
START_TEST(nothing_waits_for_a_lost_answer)
{
	struct config_text properties[] = { { .value = "bootstrap.servers=127.0.0.1:1" } };
	struct config config = { .file = "w.conf",
		.instance = "test",
		.kafka_topic = "results",
		.kafka_properties = properties,
		.kafka_property_count = ARRAY_LENGTH(properties) };
	struct publisher_start start = { .config = &config, .output = PUBLISH_TO_KAFKA };
	int64_t now = util_mono_us();
	static struct sender s; /* what it holds at the end is no leak */

	sender_init(&s, &start, spool_with(3), 10);
	ck_assert_int_eq(sender_send(&s, now), SPOOL_OK);
	ck_assert_int_eq(sent, 2);
	ck_assert_int_eq(sender_send(&s, now + 119 * US_PER_S), SPOOL_OK);
	ck_assert_int_eq(sent, 2);
	/* the first once more, alone, by another producer */
	ck_assert_int_eq(sender_send(&s, now + 121 * US_PER_S), SPOOL_OK);
	ck_assert_int_eq(sent, 3);
	ck_assert_uint_eq(s.last_sent, 1);
	/* now it is an outage like any other: no producer helps */
	ck_assert_int_eq(sender_send(&s, now + 1000 * US_PER_S), SPOOL_OK);
	ck_assert_int_eq(sent, 3);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sender");
	TCase *tcase = tcase_create("sender");

	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, nothing_waits_for_a_lost_answer);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
