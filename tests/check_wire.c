/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Frames survive the way; damaged and forged ones are found, and the next good one behind them. */
#include "wire.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
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
		.identity_size = payload_size / 2,
		.ordinal = { 3, 70000 } };

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
	ck_assert_uint_eq(frame.ordinal.site, 3);
	ck_assert_uint_eq(frame.ordinal.slot, 70000);
}
END_TEST

/* As earlier versions wrote all of them, and read them. */
START_TEST(a_frame_without_an_ordinal_is_of_version_1)
{
	unsigned char with[WIRE_FRAME_MAX], without[WIRE_FRAME_MAX];
	size_t size = make_frame(with, 42, 700), shorter;
	struct frame frame;

	ck_assert_int_eq(wire_decode(with, size, &frame), (ssize_t)size);
	frame.ordinal = (struct wire_ordinal){ 0 };
	shorter = wire_encode(without, &frame);
	ck_assert_uint_eq(with[10], 2);
	ck_assert_uint_eq(without[10], 1);
	ck_assert_uint_eq(shorter, 72 + 4 + 7 + 700);
	ck_assert_int_eq(wire_decode(without, shorter, &frame), (ssize_t)shorter);
	ck_assert_uint_eq(frame.ordinal.slot, 0);
	ck_assert_int_eq(memcmp(frame.site, "shop", 4), 0);
	ck_assert_int_eq(frame.payload[699], 'p');
}
END_TEST

START_TEST(any_frame_comes_back)
{
	unsigned char buffer[WIRE_FRAME_MAX];
	char texts[WIRE_FRAME_MAX];

	srand(2);
	for (size_t i = 0; i < sizeof(texts); i++)
		texts[i] = (char)rand();
	for (int round = 0; round < 5000; round++) {
		static const enum wire_type types[] = { WIRE_OPEN, WIRE_RECORD, WIRE_CLOSE,
			WIRE_SINGLE };
		struct frame in = { .type = types[rand() % 4],
			.token = (uint64_t)rand() << 17,
			.seq = (uint64_t)rand() << 33 ^ (uint64_t)rand(),
			.slot_us = (int64_t)rand() * rand(),
			.site = texts,
			.site_size = (size_t)rand() % 65,
			.instance = texts + 100,
			.instance_size = (size_t)rand() % 65,
			.payload = texts + 200,
			.payload_size = (size_t)rand() % (WIRE_PAYLOAD_MAX + 1),
			.ordinal = { (uint32_t)rand(), 1 + (uint32_t)rand() } };
		struct frame out;
		size_t size;

		in.identity_size = in.payload_size > 0 ? (size_t)rand() % in.payload_size : 0;
		for (size_t i = 0; i < sizeof(in.epoch) - 1; i++)
			in.epoch[i] = (char)('0' + rand() % 10);
		size = wire_encode(buffer, &in);
		ck_assert_uint_gt(size, in.payload_size);
		ck_assert_int_eq(wire_decode(buffer, size, &out), (ssize_t)size);
		ck_assert_int_eq(out.type, in.type);
		ck_assert_str_eq(out.epoch, in.epoch);
		ck_assert_uint_eq(out.token, in.token);
		ck_assert_uint_eq(out.ordinal.site, in.ordinal.site);
		ck_assert_uint_eq(out.ordinal.slot, in.ordinal.slot);
		ck_assert_uint_eq(out.seq, in.seq);
		ck_assert_int_eq(out.slot_us, in.slot_us);
		ck_assert_uint_eq(out.identity_size, in.identity_size);
		ck_assert_uint_eq(out.site_size, in.site_size);
		ck_assert_mem_eq(out.site, in.site, in.site_size);
		ck_assert_uint_eq(out.instance_size, in.instance_size);
		ck_assert_mem_eq(out.instance, in.instance, in.instance_size);
		ck_assert_uint_eq(out.payload_size, in.payload_size);
		ck_assert_mem_eq(out.payload, in.payload, in.payload_size);
	}
}
END_TEST

/* Everything that says which slot it is counts, and what came of it does not. */
START_TEST(a_token_is_of_one_slot)
{
	static const unsigned char key[UTIL_KEY_SIZE] = "0123456789abcdef";
	static const unsigned char other_key[UTIL_KEY_SIZE] = "0123456789abcdeg";
	const struct frame frame = { .type = WIRE_OPEN,
		.epoch = "20261123T101502Z-9f3c52d07a61be48",
		.seq = 42,
		.slot_us = 7,
		.site = "shop",
		.site_size = 4,
		.instance = "probe-1",
		.instance_size = 7,
		.payload = "identity and outcome",
		.payload_size = 20,
		.identity_size = 8 };
	struct frame f = frame;
	uint64_t token = wire_token(key, &frame);

	ck_assert_uint_ne(token, 0);
	ck_assert_uint_eq(token >> 48, 0);
	f.type = WIRE_CLOSE;
	f.payload = "identity of nothing ";
	ck_assert_uint_eq(wire_token(key, &f), token);
	ck_assert_uint_ne(wire_token(other_key, &frame), token);
#define ANOTHER(change)                                                                            \
	do {                                                                                       \
		f = frame;                                                                         \
		change;                                                                            \
		ck_assert_uint_ne(wire_token(key, &f), token);                                     \
	} while (0)
	ANOTHER(f.seq++);
	ANOTHER(f.slot_us++);
	ANOTHER(f.epoch[0] = '3');
	ANOTHER(f.site = "shoq");
	ANOTHER(f.site_size = 3; f.instance = "pprobe-1"; f.instance_size = 8);
	ANOTHER(f.payload = "Identity and outcome");
	ANOTHER(f.identity_size = 9);
	ANOTHER(f.ordinal.site++);
	ANOTHER(f.ordinal.slot++);
}
END_TEST

START_TEST(the_largest_fits_and_no_more)
{
	static const char json[WIRE_RECORD_JSON_MAX + 1];
	unsigned char buffer[WIRE_FRAME_MAX], large[WIRE_RECORD_MAX];
	struct frame frame,
	    record = { .type = WIRE_RECORD, .site = "", .instance = "", .payload = json };
	size_t size;

	ck_assert_uint_gt(make_frame(buffer, 1, WIRE_PAYLOAD_MAX), WIRE_PAYLOAD_MAX);
	ck_assert_uint_eq(make_frame(buffer, 1, WIRE_PAYLOAD_MAX + 1), 0);
	/* a RECORD, which is in no pipe, has more room */
	record.payload_size = WIRE_RECORD_JSON_MAX;
	size = wire_encode(large, &record);
	ck_assert_uint_gt(size, WIRE_RECORD_JSON_MAX);
	ck_assert_int_eq(wire_decode(large, size, &frame), (ssize_t)size);
	record.payload_size++;
	ck_assert_uint_eq(wire_encode(large, &record), 0);
}
END_TEST

START_TEST(any_part_is_damage_and_any_flipped_bit_is_found)
{
	unsigned char buffer[WIRE_FRAME_MAX];
	size_t size = make_frame(buffer, 42, 300);
	struct frame frame;

	for (size_t n = 0; n < size; n++)
		ck_assert_int_eq(wire_decode(buffer, n, &frame), -1);
	for (size_t i = 0; i < 8 * size; i++) {
		buffer[i / 8] ^= (unsigned char)(1 << i % 8);
		ck_assert_int_eq(wire_decode(buffer, size, &frame), -1);
		buffer[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	ck_assert_int_gt(wire_decode(buffer, size, &frame), 0);
}
END_TEST

/*
 * A checker may be in foreign hands, and its checksum is right then. Offsets are those of the
 * header in wire.c.
 */
START_TEST(a_forged_frame_is_refused_by_its_fields)
{
	static const struct {
		size_t at;
		unsigned char byte;
		const char *what;
	} cases[] = {
		{ 10, 0, "version 0" },
		{ 10, 3, "version 3" },
		{ 11, 0, "type 0" },
		{ 11, 7, "type 7" },
		{ 12, 255, "a site longer than the frame" },
		{ 13, 255, "an instance longer than the frame" },
		{ 15, 1, "an identity longer than the payload" },
		{ 32 + WIRE_EPOCH_SIZE - 1, 'x', "an epoch without its end" },
	};
	unsigned char buffer[WIRE_FRAME_MAX], good[WIRE_FRAME_MAX];
	size_t size = make_frame(good, 42, 60);
	struct frame frame;
	uint16_t more;
	uint32_t crc;

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		memcpy(buffer, good, size);
		buffer[cases[i].at] = cases[i].byte;
		crc = util_crc32(buffer + 8, size - 8);
		memcpy(buffer + 4, &crc, sizeof(crc));
		ck_assert_msg(wire_decode(buffer, size, &frame) == -1, "%s", cases[i].what);
	}

	/* a payload that no reader has room for */
	size = make_frame(buffer, 42, WIRE_PAYLOAD_MAX);
	buffer[size] = 'p';
	more = (uint16_t)(size + 1);
	memcpy(buffer + 8, &more, sizeof(more));
	crc = util_crc32(buffer + 8, more - 8U);
	memcpy(buffer + 4, &crc, sizeof(crc));
	ck_assert_int_eq(wire_decode(buffer, more, &frame), -1);
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
		ck_assert_int_eq(wire_decode(buffer, size, &frame), -1);
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

/* Whatever happens to one frame, and whatever lies between two, the others come out. */
START_TEST(damage_costs_one_frame)
{
	enum {
		COUNT = 30,
		PAYLOAD = 400
	};
	static unsigned char stream[COUNT * WIRE_FRAME_MAX];
	size_t frame_size = make_frame(stream, 0, PAYLOAD);

	srand(3);
	for (int round = 0; round < 2000; round++) {
		size_t hurt = (size_t)rand() % COUNT;
		size_t between = (size_t)rand() % 20;
		size_t size = 0, used = 0, seen = 0;

		for (size_t i = 0; i < COUNT; i++) {
			size_t start = size;

			size += make_frame(stream + size, i, PAYLOAD);
			if (i != hurt)
				continue;
			stream[start + (size_t)rand() % frame_size] ^= (unsigned char)(1 + rand() %
											       255);
			memset(stream + size, 'j', between);
			size += between;
		}
		while (used < size) {
			struct frame frame;
			ssize_t n = wire_decode(stream + used, size - used, &frame);

			if (n < 0) {
				used += wire_resync(stream + used, size - used);
				continue;
			}
			seen += seen == hurt;
			ck_assert_uint_eq(frame.seq, seen);
			seen++;
			used += (size_t)n;
		}
		ck_assert_uint_eq(seen + (hurt == COUNT - 1), COUNT);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("wire");
	TCase *tcase = tcase_create("wire");

	tcase_add_test(tcase, a_frame_comes_back);
	tcase_add_test(tcase, any_frame_comes_back);
	tcase_add_test(tcase, a_frame_without_an_ordinal_is_of_version_1);
	tcase_add_test(tcase, a_token_is_of_one_slot);
	tcase_add_test(tcase, the_largest_fits_and_no_more);
	tcase_add_test(tcase, any_part_is_damage_and_any_flipped_bit_is_found);
	tcase_add_test(tcase, a_forged_frame_is_refused_by_its_fields);
	tcase_add_test(tcase, random_bytes_crash_nothing);
	tcase_add_test(tcase, resync_finds_the_next_frame);
	tcase_add_test(tcase, damage_costs_one_frame);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
