/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The sender over a librdkafka that takes records and says what the test wants, at the moment that
 * it wants: what no broker can be made to do. The rest is tested with the publisher.
 */
#include "publisher/sender.h"

#include <check.h>
#include <dlfcn.h>
#include <librdkafka/rdkafka.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <threads.h>

#include "capture.h"
#include "payload.h"
#include "publisher/kafka.h"
#include "suite.h"

#define EPOCH  "20260101T000000Z-0000000000000001"
#define WINDOW 10

/* --- librdkafka -------------------------------------------------------------------------- */

static int sent, refused, threads, threads_failed;
static bool out_of_threads;
static void (*tell)(rd_kafka_t *, const rd_kafka_message_t *, void *);
static void (*report_error)(rd_kafka_t *, int, const char *, void *);
static void *teller;

/* Not called; `refused` says which record is, all others get no answer but those of answer(). */
rd_kafka_error_t *
rd_kafka_produceva(rd_kafka_t *rk, const rd_kafka_vu_t *arguments, size_t count)
{
	(void)rk;
	if (++sent == refused)
		return rd_kafka_error_new(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "refused");
	for (size_t i = 0; i < count; i++)
		if (arguments[i].vtype == RD_KAFKA_VTYPE_HEADERS)
			rd_kafka_headers_destroy(arguments[i].u.headers);
	return NULL;
}

void
rd_kafka_conf_set_dr_msg_cb(
    rd_kafka_conf_t *conf, void (*callback)(rd_kafka_t *, const rd_kafka_message_t *, void *))
{
	(void)conf;
	tell = callback;
}

void
rd_kafka_conf_set_opaque(rd_kafka_conf_t *conf, void *opaque)
{
	void (*real)(rd_kafka_conf_t *, void *) = (void (*)(rd_kafka_conf_t *, void *))dlsym(
	    RTLD_NEXT, "rd_kafka_conf_set_opaque");

	teller = opaque;
	real(conf, opaque);
}

/* Kafka has stored the rows `from` through `to`. */
static void
answer(uint64_t from, uint64_t to)
{
	for (uint64_t row = from; row <= to; row++) {
		rd_kafka_message_t message = { .offset = 1, ._private = (void *)(uintptr_t)row };

		tell(NULL, &message, teller);
	}
}

void
rd_kafka_conf_set_error_cb(
    rd_kafka_conf_t *conf, void (*callback)(rd_kafka_t *, int, const char *, void *))
{
	void (*real)(rd_kafka_conf_t *,
	    void (*)(rd_kafka_t *, int, const char *, void *)) = (void (*)(rd_kafka_conf_t *,
	    void (*)(rd_kafka_t *, int, const char *, void *)))dlsym(RTLD_NEXT,
	    "rd_kafka_conf_set_error_cb");

	report_error = callback;
	real(conf, callback);
}

/* No broker is there any more. */
static void
fail_broker(void)
{
	report_error(NULL, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 brokers are down", teller);
}

/* librdkafka makes its threads by this one: of a new producer the first, then one a broker. */
int
thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
	int (*real)(thrd_t *, thrd_start_t,
	    void *) = (int (*)(thrd_t *, thrd_start_t, void *))dlsym(RTLD_NEXT, "thrd_create");

	if (out_of_threads && ++threads > 1) {
		threads_failed++;
		return thrd_error;
	}
	return real(thread, run, arg);
}

/* --- a sender ---------------------------------------------------------------------------- */

static struct spool *spool;
static struct sender s; /* what it holds at the end is no leak */
static int64_t now;

/* So many records more in the spool. */
static void
store(int records)
{
	static unsigned char raw[WIRE_FRAME_MAX];
	static uint64_t seq;
	struct config config = { .instance = "test" };
	struct site site = { .name = "shop", .url = "http://a/", .method = "GET" };
	struct result result;

	result_init(&result);
	result.http_status = 200;
	result.completed = true;
	result.elapsed_us = 1;
	for (int i = 0; i < records; i++) {
		struct slot slot = { .epoch = EPOCH,
			.seq = seq++,
			.slot_us = INT64_C(1767225600) * US_PER_S,
			.interval_us = US_PER_S };
		size_t size = payload_frame(raw, WIRE_SINGLE, &config, &site, &slot, &result, NULL);
		struct frame frame;

		ck_assert_int_eq(spool_begin(spool), SPOOL_OK);
		ck_assert_int_eq(wire_decode(raw, size, &frame), (ssize_t)size);
		ck_assert_int_eq(spool_begin_slot(spool, &frame, raw, size), SPOOL_OK);
		ck_assert_int_eq(spool_end_slot(spool, &frame), SPOOL_OK);
		ck_assert_int_eq(spool_commit(spool), SPOOL_OK);
	}
}

/* Connections are taken there, and that is all. */
static int
silent_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, size), 0);
	ck_assert_int_eq(listen(fd, 10), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	return ntohs(at.sin_port);
}

static void
start_with(int records)
{
	static const struct spool_options options = {
		.max_bytes = 1 << 20, .window = WINDOW, .epoch = EPOCH
	};
	static char broker[64];
	static struct config_string properties[] = { { .value = broker } };
	static struct config config = { .file = "w.conf",
		.instance = "test",
		.kafka_topic = "results",
		.kafka_properties = properties,
		.kafka_property_count = ARRAY_LENGTH(properties) };

	snprintf(broker, sizeof(broker), "bootstrap.servers=127.0.0.1:%d", silent_port());
	ck_assert_int_eq(spool_open(&spool, &options), SPOOL_OK);
	store(records);
	sender_init(&s, &output_kafka, &config, spool, WINDOW);
	for (int i = 0; i < 2; i++) /* with a new producer, and with one that is there */
		ck_assert_int_eq(sender_send(&s, util_mono_us()), SPOOL_OK);
	now = util_mono_us();
}

/* A transaction that deletes what has arrived, and a look for more to send. */
static void
go_on(int64_t seconds)
{
	uint64_t deleted;

	ck_assert_int_eq(spool_begin(spool), SPOOL_OK);
	ck_assert_int_eq(sender_delete(&s, &deleted), SPOOL_OK);
	ck_assert_int_eq(spool_commit(spool), SPOOL_OK);
	sender_deleted(&s, deleted);
	now += seconds * US_PER_S;
	ck_assert_int_eq(sender_send(&s, now), SPOOL_OK);
}

/* After a refusal all wait for those that are on their way, but not for ever. */
START_TEST(nothing_waits_for_a_lost_answer)
{
	refused = 2;
	start_with(3);
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

/* Those of one partition wait for a broker that hangs; what has arrived in others makes room. */
START_TEST(one_that_waits_holds_up_no_others)
{
	start_with(50);
	ck_assert_int_eq(sent, WINDOW);
	for (uint64_t last = WINDOW; last < 50; last = s.last_sent) {
		answer(2, last);
		go_on(1);
		ck_assert_uint_gt(s.last_sent, last);
		ck_assert_uint_le(s.count, WINDOW);
	}
	answer(2, 50);
	go_on(1);
	ck_assert_int_eq(sent, 50);
	ck_assert_uint_eq(spool_count(spool), 1);
	answer(1, 1);
	go_on(1);
	ck_assert_uint_eq(spool_count(spool), 0);
	ck_assert_uint_eq(s.in_flight, 0);
}
END_TEST

/* More than a window is never on its way, however long the oldest has been. */
START_TEST(the_window_bounds_what_is_on_its_way)
{
	uint64_t kept = 1;

	start_with(60);
	for (int waiting = 1; waiting < WINDOW; waiting++) {
		uint64_t last = s.last_sent;

		answer(kept + 1, last);
		kept = last + 1; /* one more stays each time */
		go_on(1);
		ck_assert_uint_eq(s.in_flight, WINDOW);
	}
	for (int i = 0; i < 3; i++)
		go_on(1);
	ck_assert_uint_eq(s.in_flight, WINDOW);
	ck_assert_uint_eq(spool_count(spool), WINDOW + (60 - s.last_sent));
}
END_TEST

static bool
is_whole(void *arg, uint64_t row, const struct frame *frame)
{
	uint64_t *first_dropped = arg;

	if (*first_dropped == 0 &&
	    memmem(frame->payload, frame->payload_size, "\"dropped\"", 9) != NULL)
		*first_dropped = row;
	return true;
}

/* At the cap nothing gives way that may have been sent, though what was sent has gaps by now. */
START_TEST(what_was_sent_is_never_dropped)
{
	uint64_t first_dropped = 0;

	start_with(40);
	answer(2, WINDOW);
	go_on(1);
	answer(12, s.last_sent - 1);
	go_on(1);
	while (spool_count(spool) > 0 && first_dropped == 0) {
		store(100);
		ck_assert_int_eq(spool_read(spool, 0, 100, is_whole, &first_dropped), SPOOL_OK);
	}
	ck_assert_uint_gt(first_dropped, s.last_sent);
	ck_assert_uint_eq(s.count, WINDOW);
	ck_assert_uint_eq(s.window_size, WINDOW);
}
END_TEST

/* Kafka answers others all the time: then the answer is lost, and another producer sends all again. */
START_TEST(a_lost_answer_is_not_waited_for)
{
	uint64_t last = 1;

	start_with(300);
	for (int seconds = 0; seconds < 119; seconds++) {
		answer(last + 1, last + 1);
		last = s.last_sent < last + 1 ? s.last_sent : last + 1;
		go_on(1);
	}
	ck_assert_int_eq(count_of(captured(), "a new producer is made"), 0);
	answer(last + 1, last + 1);
	go_on(3);
	ck_assert_int_eq(count_of(captured(), "a record got no answer for 122 s"), 1);
}
END_TEST

/* Each is overtaken, but has its answer in the end: nothing is lost. */
START_TEST(slow_answers_are_waited_for)
{
	start_with(1000);
	for (uint64_t row = 1; row < 600; row += 2) {
		answer(row + 1, row + 1);
		go_on(1);
		answer(row + 3, row + 3);
		answer(row, row);
		go_on(1);
	}
	ck_assert_int_eq(count_of(captured(), "a new producer is made"), 0);
}
END_TEST

/* Nobody has answers then: it begins anew when the first come, however long it was. */
START_TEST(an_outage_is_no_lost_answer)
{
	start_with(50);
	answer(2, 2);
	go_on(1);
	fail_broker();
	go_on(600);
	answer(3, 3);
	go_on(60);
	answer(1, 1);
	go_on(100);
	ck_assert_int_eq(count_of(captured(), "a new producer is made"), 0);
}
END_TEST

START_TEST(a_delay_is_said_and_its_end)
{
	start_with(20);
	answer(2, 2);
	go_on(1);
	ck_assert(sender_is_delivering(&s));
	go_on(8);
	ck_assert_int_eq(count_of(captured(), "no answer for"), 0);
	go_on(2);
	ck_assert_int_eq(count_of(captured(), "no answer for 11 s"), 1);
	ck_assert(!sender_is_delivering(&s));
	for (int i = 0; i < 5; i++)
		go_on(2);
	ck_assert_int_eq(count_of(captured(), "no answer for"), 1);
	ck_assert_int_eq(count_of(captured(), "answers again"), 0);
	answer(1, s.last_sent);
	go_on(1);
	ck_assert_int_eq(count_of(captured(), "all records get their answers again after 22 s"), 1);
	ck_assert(sender_is_delivering(&s));
}
END_TEST

/* It could not make its threads, and goes on without: nothing would ever be sent. */
START_TEST(a_producer_without_threads_is_replaced)
{
	out_of_threads = true;
	start_with(3);
	if (threads_failed == 0)
		return; /* this librdkafka makes them in another way */
	go_on(0);
	ck_assert_ptr_null(s.handle);
	ck_assert_int_eq(count_of(captured(), "a new producer is made"), 1);
	threads = 0;
	go_on(2); /* the next one has none, too */
	go_on(0);
	ck_assert_ptr_null(s.handle);
	out_of_threads = false;
	ck_assert_int_eq(s.backoff_us, 2 * US_PER_S); /* the pause grows */
	sent = 0;
	go_on(3);
	ck_assert_ptr_nonnull(s.handle);
	ck_assert_int_eq(sent, 3);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sender");
	TCase *tcase = tcase_create("sender");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, capture_start, NULL);
	tcase_add_test(tcase, nothing_waits_for_a_lost_answer);
	tcase_add_test(tcase, one_that_waits_holds_up_no_others);
	tcase_add_test(tcase, the_window_bounds_what_is_on_its_way);
	tcase_add_test(tcase, what_was_sent_is_never_dropped);
	tcase_add_test(tcase, a_lost_answer_is_not_waited_for);
	tcase_add_test(tcase, slow_answers_are_waited_for);
	tcase_add_test(tcase, an_outage_is_no_lost_answer);
	tcase_add_test(tcase, a_delay_is_said_and_its_end);
	tcase_add_test(tcase, a_producer_without_threads_is_replaced);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
