/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Questions about the spool: their answers, and clients that are stuck, gone or too many. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apply.h"
#include "json.h"
#include "payload.h"
#include "publisher/ask.h"
#include "publisher/tally.h"
#include "reply.h"
#include "suite.h"

#define EPOCH "20260101T000000Z-0000000000000001"
#define MANY  20000
#define SITES 50

static struct config config = { .instance = "test" };
static struct spool *spool;
static struct asks asks;
static char *answer; /* the last one */
static size_t answer_size;

static void
put(uint64_t seq)
{
	static unsigned char raw[WIRE_FRAME_MAX], closing[WIRE_FRAME_MAX];
	char name[16];
	struct site site = { .name = name, .url = "http://a/", .method = "GET" };
	struct slot slot = { .epoch = EPOCH,
		.seq = seq,
		.slot_us = util_utc_us() - (int64_t)(seq % 2) * 7200 * US_PER_S,
		.interval_us = US_PER_S,
		.lateness_us = 1,
		.ordinal = { (uint32_t)(seq % SITES) + 1, (uint32_t)(seq / SITES) + 1 } };
	struct result result;
	struct frame frame;
	size_t size;

	snprintf(name, sizeof(name), "s%u", (unsigned)(seq % SITES));
	result_init(&result);
	result_fail(&result, ERROR_CONNECT, "for a test");
	size = payload_frame(raw, WIRE_OPEN, &config, &site, &slot, NULL, NULL);
	ck_assert_int_eq(wire_decode(raw, size, &frame), (ssize_t)size);
	ck_assert_int_eq(apply_frame(spool, &frame, raw, size), SPOOL_OK);
	size = payload_frame(closing, WIRE_CLOSE, &config, &site, &slot, &result, NULL);
	ck_assert_int_eq(wire_decode(closing, size, &frame), (ssize_t)size);
	ck_assert_int_eq(apply_frame(spool, &frame, closing, size), SPOOL_OK);
}

/* A spool in memory with so many records. */
static void
begin(uint64_t count)
{
	struct spool_options options = {
		.max_bytes = INT64_C(1) << 30, .window = 100, .epoch = EPOCH
	};

	ck_assert_int_eq(spool_open(&spool, &options), SPOOL_OK);
	for (uint64_t seq = 0; seq < count; seq++) {
		ck_assert_int_eq(spool_begin(spool), SPOOL_OK);
		put(seq);
		ck_assert_int_eq(spool_commit(spool), SPOOL_OK);
	}
}

static void
end(void)
{
	ck_assert_int_eq(asks.count, 0);
	spool_close(spool);
	free(answer);
}

/* Record `row` is refused. */
static void
bury(uint64_t row, const char *reason)
{
	ck_assert_int_eq(spool_begin(spool), SPOOL_OK);
	ck_assert_int_eq(spool_dead_letter(spool, row, reason), SPOOL_OK);
	ck_assert_int_eq(spool_commit(spool), SPOOL_OK);
}

static int
ask(const char *request)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	asks_add(&asks, &config, request, strlen(request), ends[1]);
	return ends[0];
}

/* Up to `max` bytes; returns false at the end. */
static bool
read_some(int fd, size_t max)
{
	ssize_t n;

	answer = xreallocarray(answer, answer_size + max + 1, 1);
	n = recv(fd, answer + answer_size, max, MSG_DONTWAIT);
	answer_size += n > 0 ? (size_t)n : 0;
	answer[answer_size] = '\0';
	return n != 0;
}

/* The whole answer, of which each line is valid; returns how many lines there are. */
static size_t
finish(int fd)
{
	size_t lines = 0, invalid = 0, size;
	char *line, *line_end;

	answer_size = 0;
	while (read_some(fd, 65536))
		asks_serve(&asks, spool);
	close(fd);
	for (line = answer; (line_end = strchr(line, '\n')) != NULL; line = line_end + 1) {
		invalid += json_get(line, (size_t)(line_end - line), NULL, &size) == NULL;
		lines++;
	}
	ck_assert_str_eq(line, "");
	ck_assert_uint_eq(invalid, 0);
	return lines;
}

static bool
says(const char *text)
{
	return strstr(answer, text) != NULL;
}

START_TEST(what_waits_is_counted_by_site_and_age)
{
	begin(MANY);
	ck_assert_uint_eq(finish(ask("spool")), SITES + 2);
	ck_assert(says("{\"type\":\"waiting\",\"site\":\"s0\",\"records\":400,"));
	ck_assert(says("\"minute\":400,\"hour\":0,\"day\":0,\"older\":0}"));
	ck_assert(says("\"minute\":0,\"hour\":0,\"day\":400,\"older\":0}"));
	ck_assert(says("{\"type\":\"end\",\"ok\":true,\"error\":null,\"again\":false}"));
	end();
}
END_TEST

START_TEST(dead_letters_are_listed_shown_and_deleted)
{
	struct spool_facts facts;

	begin(10);
	finish(ask("spool list"));
	ck_assert(!says("dead"));
	for (uint64_t row = 1; row <= 5; row++)
		bury(row, row == 2 ? "too \"large\"\n\x1b[2J" : "too large");
	spool_describe(spool, &facts);
	ck_assert_uint_eq(facts.dead, 5);
	ck_assert_int_gt(facts.bytes, 0);
	ck_assert_int_gt(facts.oldest_us, 0);
	ck_assert_uint_eq(finish(ask("spool list")), 7);
	ck_assert(says(
	    "{\"type\":\"dead\",\"number\":2,\"site\":\"s1\",\"epoch\":\"" EPOCH "\",\"seq\":1,"));
	ck_assert(says("\"reason\":\"too \\\"large\\\"  [2J\"}"));
	ck_assert_uint_eq(finish(ask("spool show 3")), 4);
	ck_assert(says("{\"schema_version\":1,\"id\":\"" EPOCH "-2\","));
	ck_assert_uint_eq(finish(ask("spool drop 3")), 3);
	ck_assert(says("{\"type\":\"dropped\",\"records\":1}"));
	finish(ask("spool show 3"));
	ck_assert(says("\"ok\":false,\"error\":\"there is no such dead letter\""));
	finish(ask("spool drop 3"));
	ck_assert(says("\"ok\":false"));
	spool_describe(spool, &facts);
	ck_assert_uint_eq(facts.dead, 4);
	finish(ask("spool drop all"));
	ck_assert(says("{\"type\":\"dropped\",\"records\":4}"));
	finish(ask("spool drop all"));
	ck_assert(says("{\"type\":\"dropped\",\"records\":0}"));
	ck_assert(says("\"ok\":true"));
	ck_assert_uint_eq(spool_count(spool), 10); /* `dropped` records took their places */
	end();
}
END_TEST

START_TEST(what_is_no_question_is_told_so)
{
	static const char *const wrong[] = { "spool show", "spool show 0", "spool show -1",
		"spool show 1 2", "spool drop", "spool drop x", "spool lost", "spool list all",
		"spool drop 99999999999999999999999999999999999999" };

	begin(1);
	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
		ck_assert_uint_eq(finish(ask(wrong[i])), 2);
		ck_assert(says("\"ok\":false"));
	}
	asks_add(&asks, &config, "spool", 5, -1); /* a message without a descriptor */
	end();
}
END_TEST

/* Its first member. */
static struct reply *
reply_of(int i)
{
	return (struct reply *)asks.ask[i];
}

START_TEST(clients_that_do_harm_hold_nobody_up)
{
	struct pollfd polls[ASKS_MAX];
	int fd[2 * ASKS_MAX], fast;

	begin(3000);
	for (uint64_t row = 1; row <= 2900; row++)
		bury(row, "a reason that is rather long, so that not all of it fits into a socket");
	for (size_t i = 0; i < ARRAY_LENGTH(fd); i++)
		fd[i] = ask("spool list");
	ck_assert_int_eq(asks_polls(&asks, polls), ASKS_MAX);
	ck_assert_uint_eq(finish(fd[ASKS_MAX]), 2); /* one too many */
	ck_assert(says("ask again\",\"again\":true}\n"));
	for (int i = 0; i < 100; i++)
		asks_serve(&asks, spool);
	ck_assert_int_eq(asks.count, ASKS_MAX); /* they are stuck */
	close(fd[0]);
	asks_serve(&asks, spool);
	ck_assert_int_eq(asks.count, ASKS_MAX - 1);
	fast = ask("spool show 7");
	ck_assert_uint_eq(finish(fast), 4);
	reply_of(0)->idle_until_us = 0; /* its time is over */
	asks_serve(&asks, spool);
	ck_assert_int_eq(asks.count, ASKS_MAX - 2);
	for (int i = 0; i < asks.count; i++)
		reply_of(i)->until_us = 0;
	for (int i = 0; i < 3; i++)
		asks_serve(&asks, spool);
	/* a slow one gets all of it */
	fast = ask("spool list");
	answer_size = 0;
	while (read_some(fast, 999))
		asks_serve(&asks, spool);
	ck_assert(says("\"number\":2900,"));
	ck_assert(says("\"ok\":true"));
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ask");
	TCase *tc = tcase_create("ask");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, what_waits_is_counted_by_site_and_age);
	tcase_add_test(tc, dead_letters_are_listed_shown_and_deleted);
	tcase_add_test(tc, what_is_no_question_is_told_so);
	tcase_add_test(tc, clients_that_do_harm_hold_nobody_up);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
