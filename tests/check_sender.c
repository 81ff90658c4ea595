/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The sender over an output that takes records and answers what the test wants, at the moment that
 * it wants: what no broker can be made to do.
 */
#include "publisher/sender.h"

#include <check.h>
#include <string.h>

#include "capture.h"
#include "payload.h"
#include "suite.h"

#define EPOCH  "20260101T000000Z-0000000000000001"
#define WINDOW 10

/* --- the output -------------------------------------------------------------------------- */

static struct output_handler handler;
static enum output_state state;
static int opened, closed, sent, flushed;
static int refused; /* which record is, as soon as it is sent; all others wait for answer() */
static bool full;   /* there is no room */

static void *
fake_open(const struct config *config, const struct output_handler *h, struct mistakes *mistakes)
{
	(void)config, (void)mistakes;
	opened++;
	handler = *h;
	state = OUTPUT_FAILING; /* nothing has arrived yet */
	return &state;
}

static void
fake_close(void *handle)
{
	ck_assert_ptr_eq(handle, &state);
	closed++;
}

static bool
fake_send(void *handle, uint64_t row, const struct frame *frame)
{
	(void)handle, (void)frame;
	if (full)
		return false;
	if (++sent == refused) {
		state = OUTPUT_FAILING;
		handler.answer(handler.arg, row, ANSWER_REFUSED, "refused");
	}
	return true;
}

static void
fake_serve(void *handle, int flush_ms)
{
	(void)handle;
	flushed += flush_ms > 0;
}

static struct pollfd
fake_wait_for(const void *handle)
{
	(void)handle;
	return (struct pollfd){ .fd = 42, .events = POLLIN };
}

static enum output_state
fake_state(const void *handle)
{
	(void)handle;
	return state;
}

static const struct output fake = {
	.durable = true,
	.open = fake_open,
	.close = fake_close,
	.send = fake_send,
	.serve = fake_serve,
	.wait_for = fake_wait_for,
	.state = fake_state,
};

/* The rows `from` through `to` have arrived. */
static void
answer(uint64_t from, uint64_t to)
{
	state = OUTPUT_DELIVERING;
	for (uint64_t row = from; row <= to; row++)
		handler.answer(handler.arg, row, ANSWER_DELIVERED, "");
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

static void
start_with(int records)
{
	static const struct spool_options options = {
		.max_bytes = 1 << 20, .window = WINDOW, .epoch = EPOCH
	};

	ck_assert_int_eq(spool_open(&spool, &options), SPOOL_OK);
	store(records);
	sender_init(&s, &fake, NULL, spool, WINDOW);
	for (int i = 0; i < 2; i++) /* with a new output, and with one that is there */
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

/*
 * Kafka answers others all the time: then the answer is lost, and another producer sends all again.
 */
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

/* The time of a record that is sent again begins anew: a healthy producer is not closed at once. */
START_TEST(a_new_producer_is_given_time)
{
	uint64_t last = 1;

	start_with(300);
	for (int seconds = 0; seconds < 120; seconds++) {
		answer(last + 1, last + 1);
		last = s.last_sent < last + 1 ? s.last_sent : last + 1;
		go_on(1);
	}
	answer(last + 1, last + 1);
	go_on(3);
	ck_assert_int_eq(count_of(captured(), "a new producer is made"), 1);
	for (int round = 0; round < 20; round++) {
		go_on(2);                         /* opened, all sent again */
		answer(s.last_sent, s.last_sent); /* another partition is a little faster */
		go_on(0);
	}
	ck_assert_int_eq(count_of(captured(), "a new producer is made"), 1);
}
END_TEST

START_TEST(so_is_one_that_could_not_be_made_for_long)
{
	start_with(300);
	answer(1, 1);
	go_on(1);
	state = OUTPUT_BROKEN;
	go_on(0);
	go_on(600); /* kafka.properties could not be read */
	answer(s.last_sent, s.last_sent);
	go_on(0);
	ck_assert_int_eq(count_of(captured(), "a new producer is made"), 0);
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
	state = OUTPUT_FAILING;
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

/* The pause grows as long as none works. */
START_TEST(a_broken_output_is_replaced)
{
	start_with(3);
	state = OUTPUT_BROKEN;
	go_on(0);
	ck_assert_ptr_null(s.handle);
	for (int i = 1; i <= 3; i++) {
		ck_assert_int_eq(closed, i);
		ck_assert_int_eq(s.backoff_us, (1 << (i - 1)) * US_PER_S);
		go_on(60);
		ck_assert_int_eq(opened, i + 1);
		ck_assert_int_eq(sent, 3 * (i + 1));
		state = i < 3 ? OUTPUT_BROKEN : OUTPUT_FAILING;
		go_on(0);
	}
	answer(1, 3);
	go_on(1);
	ck_assert_int_eq(s.backoff_us, 0);
	ck_assert(sender_is_done(&s));
}
END_TEST

/* All of a batch is refused for the sake of one: sent one at a time, it shows which one that is. */
START_TEST(what_is_unfit_alone_is_a_dead_letter)
{
	start_with(3);
	for (uint64_t row = 1; row <= 3; row++)
		handler.answer(handler.arg, row, ANSWER_UNFIT, "too large");
	go_on(0);
	ck_assert_int_eq(sent, 4); /* the first, alone */
	ck_assert_int_eq(s.mode == SENDER_LINGERS && flushed > 0, 1);
	answer(1, 1);
	go_on(0);
	ck_assert_int_eq(sent, 5);
	handler.answer(handler.arg, 2, ANSWER_UNFIT, "too large");
	ck_assert_int_eq(count_of(captured(), "a record is refused for good: too large"), 1);
	go_on(0); /* what takes its place */
	ck_assert_int_eq(sent, 6);
	ck_assert_uint_eq(spool_dead_letters(spool), 1);
	/* when that is refused as well, nothing waits for it */
	handler.answer(handler.arg, s.last_sent, ANSWER_UNFIT, "too large");
	go_on(0);
	ck_assert_int_eq(sent, 7);
	answer(3, 3);
	go_on(0);
	ck_assert(sender_is_done(&s));
}
END_TEST

/* A few records wait for more; many, and the last ones, do not. */
START_TEST(few_records_linger)
{
	const int64_t pause_us = 250 * US_PER_MS;

	start_with(0);
	store(1);
	ck_assert_int_eq(sender_send(&s, now), SPOOL_OK);
	ck_assert_int_eq(sent, 1); /* alone it goes at once */
	store(2);
	ck_assert_int_eq(sender_send(&s, now), SPOOL_OK);
	ck_assert_int_eq(sent, 1);
	ck_assert_int_eq(sender_wait_for(&s, now).fd, -1);
	answer(1, 1);
	ck_assert_int_eq(sender_wake_us(&s, now, false), now + pause_us);
	ck_assert(sender_wake_us(&s, now, true) > now + US_PER_S); /* the tick brings more */
	ck_assert_int_eq(sender_send(&s, now + pause_us), SPOOL_OK);
	ck_assert_int_eq(sent, 3);
	store(1);
	ck_assert_int_eq(sender_send(&s, now + pause_us), SPOOL_OK);
	ck_assert_int_eq(sent, 3);
	s.mode = SENDER_HURRIES;
	ck_assert_int_eq(sender_send(&s, now + pause_us), SPOOL_OK);
	ck_assert_int_eq(sent, 4);
	ck_assert_int_gt(flushed, 0);
	s.mode = SENDER_STOPS;
	store(1);
	ck_assert_int_eq(sender_send(&s, now + 10 * US_PER_S), SPOOL_OK);
	ck_assert_int_eq(sent, 4);
}
END_TEST

/* Then it is waited for, and nothing is lost of the order. */
START_TEST(a_full_output_is_waited_for)
{
	full = true;
	start_with(3);
	ck_assert_int_eq(sent, 0);
	ck_assert_uint_eq(s.in_flight, 0);
	go_on(1);
	full = false;
	go_on(1);
	ck_assert_int_eq(sent, 3);
	ck_assert_uint_eq(s.last_sent, 3);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sender");
	TCase *tcase = tcase_create("sender");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, capture_start, NULL);
	tcase_add_test(tcase, nothing_waits_for_a_lost_answer);
	tcase_add_test(tcase, one_that_waits_holds_up_no_others);
	tcase_add_test(tcase, the_window_bounds_what_is_on_its_way);
	tcase_add_test(tcase, what_was_sent_is_never_dropped);
	tcase_add_test(tcase, a_lost_answer_is_not_waited_for);
	tcase_add_test(tcase, a_new_producer_is_given_time);
	tcase_add_test(tcase, so_is_one_that_could_not_be_made_for_long);
	tcase_add_test(tcase, slow_answers_are_waited_for);
	tcase_add_test(tcase, an_outage_is_no_lost_answer);
	tcase_add_test(tcase, a_delay_is_said_and_its_end);
	tcase_add_test(tcase, a_broken_output_is_replaced);
	tcase_add_test(tcase, what_is_unfit_alone_is_a_dead_letter);
	tcase_add_test(tcase, few_records_linger);
	tcase_add_test(tcase, a_full_output_is_waited_for);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
