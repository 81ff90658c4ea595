/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Frames survive the way; damaged ones are found; the pipe gives nothing away before its time. */
#include "wire.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipe.h"
#include "util.h"

static size_t
make_frame(unsigned char *out, uint64_t seq, size_t payload_size)
{
	static char payload[WIRE_PAYLOAD_MAX + 1];
	struct frame frame = { .type = WIRE_CLOSE,
		.epoch = "20261123T101502Z-9f3c52d07a61be48",
		.seq = seq,
		.slot_us = 1795428902123456,
		.site = "shop",
		.site_size = 4,
		.instance = "probe-1",
		.instance_size = 7,
		.payload = payload,
		.payload_size = payload_size,
		.identity_size = payload_size / 2 };

	memset(payload, 'p', sizeof(payload));
	return wire_encode(out, &frame);
}

START_TEST(a_frame_comes_back)
{
	unsigned char buffer[WIRE_FRAME_MAX];
	size_t size = make_frame(buffer, 42, 700);
	struct frame frame;

	ck_assert_int_eq(wire_decode(buffer, size, &frame), (ssize_t)size);
	ck_assert_int_eq(frame.type, WIRE_CLOSE);
	ck_assert_str_eq(frame.epoch, "20261123T101502Z-9f3c52d07a61be48");
	ck_assert_uint_eq(frame.seq, 42);
	ck_assert_int_eq(frame.slot_us, 1795428902123456);
	ck_assert_int_eq(memcmp(frame.site, "shop", 4), 0);
	ck_assert_int_eq(memcmp(frame.instance, "probe-1", 7), 0);
	ck_assert_uint_eq(frame.payload_size, 700);
	ck_assert_uint_eq(frame.identity_size, 350);
	ck_assert_int_eq(frame.payload[699], 'p');
}
END_TEST

START_TEST(the_largest_fits_and_no_more)
{
	unsigned char buffer[WIRE_FRAME_MAX];

	ck_assert_uint_gt(make_frame(buffer, 1, WIRE_PAYLOAD_MAX), 0);
	ck_assert_uint_eq(make_frame(buffer, 1, WIRE_FRAME_MAX), 0);
}
END_TEST

START_TEST(any_part_is_incomplete_and_any_damage_is_found)
{
	unsigned char buffer[WIRE_FRAME_MAX];
	size_t size = make_frame(buffer, 42, 300);
	struct frame frame;

	for (size_t n = 0; n < size; n++)
		ck_assert_int_eq(wire_decode(buffer, n, &frame), 0);
	for (size_t i = 0; i < size; i++) {
		buffer[i] ^= 0x10;
		ck_assert_int_le(wire_decode(buffer, size, &frame), 0);
		buffer[i] ^= 0x10;
	}
	ck_assert_int_gt(wire_decode(buffer, size, &frame), 0);
}
END_TEST

START_TEST(random_bytes_crash_nothing)
{
	unsigned char buffer[256];
	struct frame frame;

	srand(1);
	for (int round = 0; round < 20000; round++) {
		size_t size = (size_t)rand() % sizeof(buffer);

		for (size_t i = 0; i < size; i++)
			buffer[i] = (unsigned char)rand();
		ck_assert_int_le(wire_decode(buffer, size, &frame), 0);
	}
}
END_TEST

START_TEST(resync_finds_the_next_frame)
{
	unsigned char buffer[3 * WIRE_FRAME_MAX] = "garbage";
	size_t size = 7 + make_frame(buffer + 7, 1, 100);

	ck_assert_uint_eq(wire_resync(buffer, size), 7);
	ck_assert_uint_eq(wire_resync("no frame here", 13), 13);
	ck_assert_uint_eq(wire_resync("x", 1), 1);
}
END_TEST

START_TEST(peeking_takes_nothing_and_consuming_exactly_that)
{
	unsigned char frame[WIRE_FRAME_MAX];
	size_t size = make_frame(frame, 1, 500);
	const unsigned char *data;
	struct pipe_peek *peek;
	int in, out, eof;

	ck_assert_int_eq(pipe_open(&out, &in), 0);
	peek = pipe_peek_new(out);
	ck_assert_ptr_nonnull(peek);
	ck_assert_int_eq(pipe_peek_read(peek, &data, &eof), 0);
	ck_assert_int_eq(eof, 0);
	ck_assert_int_eq(pipe_write(in, frame, size), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe_peek_read(peek, &data, &eof), (ssize_t)size);
		ck_assert_int_eq(memcmp(data, frame, size), 0);
	}
	ck_assert_int_eq(pipe_write(in, frame, size), 0);
	ck_assert_int_eq(pipe_peek_consume(peek, size), 0);
	ck_assert_int_eq(pipe_peek_read(peek, &data, &eof), (ssize_t)size);
	ck_assert_int_eq(pipe_peek_consume(peek, size), 0);
	close(in);
	ck_assert_int_eq(pipe_peek_read(peek, &data, &eof), 0);
	ck_assert_int_eq(eof, 1);
	pipe_peek_free(peek);
	close(out);
}
END_TEST

START_TEST(a_full_pipe_takes_whole_frames_or_none)
{
	unsigned char frame[WIRE_FRAME_MAX];
	size_t size = make_frame(frame, 1, 700), written = 0, seen = 0;
	const unsigned char *data;
	struct pipe_peek *peek;
	struct frame decoded;
	ssize_t n;
	int in, out, eof;

	ck_assert_int_eq(pipe_open(&out, &in), 0);
	peek = pipe_peek_new(out);
	while (pipe_write(in, frame, size) == 0)
		written++;
	ck_assert_uint_gt(written, 10);
	ck_assert_int_eq(pipe_wait_room(in, 0), 0);
	while ((n = pipe_peek_read(peek, &data, &eof)) > 0) {
		ck_assert_int_eq(n % (ssize_t)size, 0);
		for (ssize_t at = 0; at < n; at += (ssize_t)size, seen++)
			ck_assert_int_eq(
			    wire_decode(data + at, (size_t)(n - at), &decoded), (ssize_t)size);
		ck_assert_int_eq(pipe_peek_consume(peek, (size_t)n), 0);
	}
	ck_assert_uint_eq(seen, written);
	ck_assert_int_eq(pipe_wait_room(in, 0), 1);
	pipe_peek_free(peek);
	close(in);
	close(out);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("wire");
	TCase *tcase = tcase_create("wire");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, a_frame_comes_back);
	tcase_add_test(tcase, the_largest_fits_and_no_more);
	tcase_add_test(tcase, any_part_is_incomplete_and_any_damage_is_found);
	tcase_add_test(tcase, random_bytes_crash_nothing);
	tcase_add_test(tcase, resync_finds_the_next_frame);
	tcase_add_test(tcase, peeking_takes_nothing_and_consuming_exactly_that);
	tcase_add_test(tcase, a_full_pipe_takes_whole_frames_or_none);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
