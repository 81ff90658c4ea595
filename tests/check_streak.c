/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Streaks: whatever happens to the publisher, each record says what a reader of all records counts.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "capture.h"
#include "payload.h"
#include "scratch.h"
#include "suite.h"
#include "util.h"

#define EPOCH_A    "20260101T000000Z-0000000000000001"
#define EPOCH_B    "20260102T000000Z-0000000000000002"
#define SLOT_US(n) (INT64_C(1767225600) * US_PER_S + (int64_t)(n)*US_PER_S)
#define MIB        (INT64_C(1) << 20)

enum {
	SITES = 7,
	SLOTS = 3000
};

static struct spool *
open_spool(const char *epoch, const char *lost_epoch)
{
	struct spool_options options = { .dir = dir,
		.max_bytes = 64 * MIB,
		.window = 100,
		.epoch = epoch,
		.lost_epoch = lost_epoch };
	struct spool *s;

	ck_assert_int_eq(spool_open(&s, &options), SPOOL_OK);
	return s;
}

static void
apply(struct spool *s, enum wire_type type, const char *epoch, uint64_t seq,
    struct wire_ordinal ordinal, enum error_type error)
{
	static unsigned char frames[4096][WIRE_FRAME_MAX]; /* they stay until the commit */
	static size_t next;
	unsigned char *raw = frames[next++ % ARRAY_LENGTH(frames)];
	char name[16];
	struct config config = { .instance = "test" };
	struct site site = { .name = name, .url = "http://a/", .method = "GET" };
	struct slot slot = { .epoch = epoch,
		.seq = seq,
		.slot_us = SLOT_US(seq),
		.interval_us = US_PER_S,
		.lateness_us = 1,
		.ordinal = ordinal };
	struct result result;
	struct frame frame;
	size_t size;

	snprintf(name, sizeof(name), "site-%u", ordinal.site);
	result_init(&result);
	result.completed = true;
	result.elapsed_us = 1;
	result.http_status = 200;
	if (error != ERROR_NONE)
		result_fail(&result, error, "for a test");
	size = payload_frame(
	    raw, type, &config, &site, &slot, type != WIRE_OPEN ? &result : NULL, NULL);
	ck_assert_int_eq(wire_decode(raw, size, &frame), (ssize_t)size);
	ck_assert_int_eq(apply_frame(s, &frame, raw, size), SPOOL_OK);
}

/* One slot, one transaction. */
static void
put(struct spool *s, const char *epoch, uint64_t seq, struct wire_ordinal ordinal,
    enum error_type error)
{
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	apply(s, WIRE_OPEN, epoch, seq, ordinal, error);
	apply(s, WIRE_CLOSE, epoch, seq, ordinal, error);
	ck_assert_int_eq(spool_commit(s), SPOOL_OK);
}

/* What the records say, by their place in the spool; the caller frees it. */
struct said {
	uint64_t seq;
	int64_t streak;
	char since[UTIL_RFC3339_SIZE];
};

static bool
hear(void *arg, uint64_t row, const struct frame *frame)
{
	static char payload[WIRE_RECORD_JSON_MAX + 1];
	struct said **said = arg;
	const char *at;

	(void)row;
	snprintf(payload, sizeof(payload), "%.*s", (int)frame->payload_size, frame->payload);
	(*said)->seq = frame->seq;
	at = strstr(payload, "\"streak\":");
	ck_assert_ptr_nonnull(at);
	(*said)->streak = atoll(at + strlen("\"streak\":"));
	at = strstr(payload, "\"status_since\":\"");
	ck_assert_ptr_nonnull(at);
	snprintf((*said)->since, sizeof((*said)->since), "%s", at + strlen("\"status_since\":\""));
	++*said;
	return true;
}

static struct said *
listen(struct spool *s)
{
	struct said *said = xcalloc(spool_count(s) + 1, sizeof(*said)), *end = said;

	ck_assert_int_eq(spool_read(s, 0, 1 << 20, hear, &end), SPOOL_OK);
	ck_assert_int_eq(end - said, (int64_t)spool_count(s));
	return said;
}

static void
expect(const struct said *said, uint64_t seq, int64_t streak, int64_t since_us)
{
	char since[UTIL_RFC3339_SIZE];

	util_rfc3339(since, since_us);
	ck_assert_uint_eq(said->seq, seq);
	ck_assert_msg(said->streak == streak && strcmp(said->since, since) == 0,
	    "seq %llu: %lld since %s, not %lld since %s", (unsigned long long)seq,
	    (long long)said->streak, said->since, (long long)streak, since);
}

/* What a reader counts. */
struct count {
	uint32_t slot; /* the last one */
	enum error_type error;
	int64_t streak, since_us;
};

static void
count(struct count *c, uint64_t seq, enum error_type error)
{
	bool same = c->slot > 0 && result_status(c->error) == result_status(error);

	c->slot++;
	c->error = error;
	c->streak = same ? c->streak + 1 : 1;
	c->since_us = same ? c->since_us : SLOT_US(seq);
}

/* Transactions that are undone, frames that come again, publishers that die, and a new epoch. */
START_TEST(a_reader_counts_the_same)
{
	static const enum error_type errors[] = { ERROR_NONE, ERROR_CONNECT, ERROR_DNS,
		ERROR_LOCAL };
	static struct {
		struct wire_ordinal ordinal;
		enum error_type error;
		struct count expected;
	} slots[SLOTS + SITES];
	struct count counts[SITES + 1] = { 0 };
	struct spool *s = open_spool(EPOCH_A, NULL);
	uint64_t done = 0, seq;
	struct said *said;

	srand(5);
	for (seq = 0; seq < SLOTS + SITES; seq++) {
		uint32_t site = 1 +
				(uint32_t)(seq < SLOTS ? (uint64_t)rand() % SITES : seq - SLOTS);
		struct count *c = &counts[site];

		/* the last one of each site stays open until the next epoch */
		count(c, seq,
		    seq >= SLOTS      ? ERROR_ABORTED
		    : rand() % 4 == 0 ? errors[(size_t)rand() % ARRAY_LENGTH(errors)]
				      : c->error);
		slots[seq].ordinal = (struct wire_ordinal){ site, c->slot };
		slots[seq].error = c->error;
		slots[seq].expected = *c;
	}
	while (done < SLOTS) {
		uint64_t end = done + 1 + (uint64_t)rand() % 20;
		uint64_t from = done > 10 && rand() % 3 == 0 ? done - 10 : done;

		ck_assert_int_eq(spool_begin(s), SPOOL_OK);
		for (seq = from; seq < end && seq < SLOTS; seq++) {
			apply(s, WIRE_OPEN, EPOCH_A, seq, slots[seq].ordinal, ERROR_NONE);
			apply(s, WIRE_CLOSE, EPOCH_A, seq, slots[seq].ordinal, slots[seq].error);
		}
		if (rand() % 4 == 0) {
			spool_rollback(s);
			continue;
		}
		ck_assert_int_eq(spool_commit(s), SPOOL_OK);
		done = seq;
		if (rand() % 6 == 0) {
			spool_close(s);
			s = open_spool(EPOCH_A, NULL);
		}
	}
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	for (seq = SLOTS; seq < SLOTS + SITES; seq++)
		apply(s, WIRE_OPEN, EPOCH_A, seq, slots[seq].ordinal, ERROR_NONE);
	ck_assert_int_eq(spool_commit(s), SPOOL_OK);
	spool_close(s);

	s = open_spool(EPOCH_B, NULL);
	put(s, EPOCH_B, 0, (struct wire_ordinal){ 1, 1 }, ERROR_ABORTED);
	put(s, EPOCH_B, 1, (struct wire_ordinal){ 1, 2 }, ERROR_ABORTED);
	said = listen(s);
	for (seq = 0; seq < SLOTS + SITES; seq++)
		expect(&said[seq], seq, slots[seq].expected.streak, slots[seq].expected.since_us);
	expect(&said[seq], 0, 1, SLOT_US(0));
	expect(&said[seq + 1], 1, 2, SLOT_US(0));
	free(said);
	spool_close(s);
}
END_TEST

START_TEST(what_cannot_be_counted_is_alone)
{
	struct spool *s = open_spool(EPOCH_A, EPOCH_B);
	struct said *said;

	put(s, EPOCH_A, 0, (struct wire_ordinal){ 0 }, ERROR_DNS); /* of an earlier version */
	put(s, EPOCH_A, 1, (struct wire_ordinal){ 0 }, ERROR_DNS);
	put(s, EPOCH_A, 2, (struct wire_ordinal){ UINT32_MAX, 1 }, ERROR_DNS); /* no site */
	put(s, EPOCH_A, 3, (struct wire_ordinal){ 9, 5 }, ERROR_DNS);
	put(s, EPOCH_B, 8, (struct wire_ordinal){ 9, 6 }, ERROR_DNS); /* the other spool has it */
	put(s, EPOCH_A, 4, (struct wire_ordinal){ 9, 6 }, ERROR_CONNECT);
	put(s, EPOCH_A, 5, (struct wire_ordinal){ 9, 5 }, ERROR_DNS); /* held back by its checker */
	said = listen(s);
	for (int i = 0; i < 4; i++)
		expect(&said[i], (uint64_t)i, 1, SLOT_US(i));
	expect(&said[4], 8, 1, SLOT_US(8));
	expect(&said[5], 4, 2, SLOT_US(3));
	expect(&said[6], 5, 1, SLOT_US(5));
	free(said);
	spool_close(s);
}
END_TEST

/* The spool was away, and is back when the last checks of its epoch end: they go on with it. */
START_TEST(an_epoch_that_comes_back_goes_on)
{
	struct spool *s = open_spool(EPOCH_B, NULL);
	struct said *said;

	put(s, EPOCH_B, 0, (struct wire_ordinal){ 1, 1 }, ERROR_DNS);
	put(s, EPOCH_B, 1, (struct wire_ordinal){ 2, 1 }, ERROR_DNS);
	spool_close(s);
	for (uint64_t i = 0; i < 3; i++) { /* also when the publisher is replaced */
		s = open_spool(EPOCH_A, EPOCH_B);
		put(s, EPOCH_B, 2 + i, (struct wire_ordinal){ 1, 2 + (uint32_t)i }, ERROR_DNS);
		put(s, EPOCH_A, i, (struct wire_ordinal){ 2, 2 + (uint32_t)i }, ERROR_DNS);
		spool_close(s);
	}
	s = open_spool(EPOCH_A, EPOCH_B);
	said = listen(s);
	for (int i = 0; i < 3; i++) {
		expect(&said[2 + 2 * i], (uint64_t)(2 + i), 2 + i, SLOT_US(0));
		expect(&said[3 + 2 * i], (uint64_t)i, 1 + i, SLOT_US(0));
	}
	free(said);
	spool_close(s);
}
END_TEST

/* What a `dropped` record stands for is counted; itself it is alone. */
START_TEST(a_dropped_record_breaks_no_streak)
{
	struct spool *s = open_spool(EPOCH_A, NULL);
	struct said *said;

	for (uint32_t i = 0; i < 4; i++)
		put(s, EPOCH_A, i, (struct wire_ordinal){ 1, i + 1 }, ERROR_LOCAL);
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(spool_dead_letter(s, 2, "too large"), SPOOL_OK);
	ck_assert_int_eq(spool_commit(s), SPOOL_OK);
	put(s, EPOCH_A, 4, (struct wire_ordinal){ 1, 5 }, ERROR_LOCAL);
	said = listen(s);
	expect(&said[1], 1, 1, SLOT_US(1));
	expect(&said[2], 2, 3, SLOT_US(0));
	expect(&said[4], 4, 5, SLOT_US(0));
	free(said);
	spool_close(s);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("streak");
	TCase *tcase = tcase_create("streak");

	tcase_add_checked_fixture(tcase, make_dir, remove_dir);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, a_reader_counts_the_same);
	tcase_add_test(tcase, what_cannot_be_counted_is_alone);
	tcase_add_test(tcase, an_epoch_that_comes_back_goes_on);
	tcase_add_test(tcase, a_dropped_record_breaks_no_streak);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
