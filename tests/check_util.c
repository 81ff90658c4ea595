/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Clocks, texts, checksums and lists of mistakes. */
#include "util.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "suite.h"

/* The first two of the vectors that its authors give, and the one in their paper. */
START_TEST(a_mac_is_siphash_2_4)
{
	unsigned char key[UTIL_KEY_SIZE], message[15];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (unsigned char)i;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (unsigned char)i;
	ck_assert_uint_eq(util_mac(key, message, 0), UINT64_C(0x726fdb47dd0e0e31));
	ck_assert_uint_eq(util_mac(key, message, 1), UINT64_C(0x74f839c593dc67fd));
	ck_assert_uint_eq(util_mac(key, message, 15), UINT64_C(0xa129ca6149be45e5));
}
END_TEST

START_TEST(times_are_rfc3339)
{
	char out[UTIL_RFC3339_SIZE];

	util_rfc3339(out, 0);
	ck_assert_str_eq(out, "1970-01-01T00:00:00.000Z");
	util_rfc3339(out, 1795428902123999);
	ck_assert_str_eq(out, "2026-11-23T10:15:02.123Z");
	util_rfc3339(out, -1);
	ck_assert_str_eq(out, "1969-12-31T23:59:59.999Z");
	for (int64_t us = 0; us < 253402300800 * US_PER_S; us += INT64_C(86399987654321)) {
		const time_t seconds = us / US_PER_S;
		char wanted[UTIL_RFC3339_SIZE + 8];
		struct tm tm;
		size_t n = strftime(
		    wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));

		snprintf(
		    wanted + n, sizeof(wanted) - n, ".%03dZ", (int)(us % US_PER_S / US_PER_MS));
		util_rfc3339(out, us);
		ck_assert_str_eq(out, wanted);
	}
}
END_TEST

START_TEST(known_checksums)
{
	ck_assert_uint_eq(util_crc32("123456789", 9), 0xcbf43926U);
	ck_assert_uint_eq(util_crc32("", 0), 0);
	ck_assert_uint_eq(util_hash(""), 0xcbf29ce484222325ULL);
	ck_assert_uint_eq(util_hash("foobar"), 0x85944171f73967e8ULL);
}
END_TEST

START_TEST(text_becomes_one_clean_line)
{
	static const struct {
		const char *in, *out;
		size_t size;
	} cases[] = {
		{ "plain", "plain", 16 },
		{ "a\nb\tc\x7f", "a b c ", 16 },
		{ "caf\xc3\xa9", "caf\xc3\xa9", 16 },
		{ "caf\xe9", "caf\xef\xbf\xbd", 16 },
		{ "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd", 16 },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 16 },
		{ "\xc2\x85x", " x", 16 },
		{ "a\xe2\x80\xaex\xe2\x80\xac", "a x ", 16 }, /* from right to left */
		{ "\xe2\x81\xa6\xe2\x81\xa9x", "  x", 16 },   /* isolates */
		{ "\xe2\x80\x8e\xe2\x80\x8fx", "  x", 16 },   /* marks */
		{ "\xe2\x80\xa8\xe2\x80\xa9x", "  x", 16 },   /* line, paragraph */
		{ "\xd8\x9c\xd8\xa7", " \xd8\xa7", 16 },      /* the Arabic mark, and a letter */
		{ "\xe2\x80\xa7\xe2\x80\xaf", "\xe2\x80\xa7\xe2\x80\xaf", 16 },
		{ "12345678", "1234\xe2\x80\xa6", 8 },
		{ "1234567", "1234567", 8 },
		{ "123\xc3\xa9\xc3\xa9\xc3\xa9", "123\xe2\x80\xa6", 8 },
		{ "", "", 4 },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char out[32];
		size_t n = util_clean_text(out, cases[i].size, cases[i].in, strlen(cases[i].in));

		ck_assert_str_eq(out, cases[i].out);
		ck_assert_uint_eq(n, strlen(out));
		ck_assert_uint_lt(n, cases[i].size);
	}
}
END_TEST

/* Whatever comes in, in whatever room: valid, one line, and clean is clean. */
START_TEST(any_bytes_become_clean)
{
	char in[300], out[300], again[300];

	srand(1);
	for (int round = 0; round < 20000; round++) {
		size_t size = 4 + (size_t)rand() % (sizeof(out) - 4), length = (size_t)rand() % 300,
		       n;

		for (size_t i = 0; i < length; i++) /* mostly what looks like UTF-8 */
			in[i] = (char)(rand() % 3 == 0 ? rand() : 0x80 + rand() % 0x80);
		n = util_clean_text(out, size, in, length);
		if (n >= size || n != strlen(out) || strpbrk(out, "\n\r\t\x1b\x7f") != NULL)
			ck_abort_msg("round %d: \"%s\"", round, out);
		if (util_clean_text(again, sizeof(again), out, n) != n || strcmp(again, out) != 0)
			ck_abort_msg("round %d: \"%s\" is not clean", round, out);
	}
}
END_TEST

START_TEST(mistakes_are_clean_lines)
{
	struct mistakes m = { 0 };

	mistakes_add(&m, (struct origin){ "sites.d/a\n/etc/x.conf", 3 }, "%s: bad", "k\x1b[31m");
	mistakes_add(&m, (struct origin){ "\xff\xfe.conf", 0 }, "cannot \xe2\x80\xae\xe2\x80\xac");
	ck_assert_uint_eq(m.count, 2);
	ck_assert_str_eq(m.line[0], "sites.d/a /etc/x.conf:3: k [31m: bad");
	ck_assert_str_eq(m.line[1], "\xef\xbf\xbd\xef\xbf\xbd.conf: cannot   ");
	mistakes_release(&m);
}
END_TEST

START_TEST(the_checksum_is_that_of_a_plain_loop)
{
	unsigned char data[100];

	srand(2);
	for (int round = 0; round < 2000; round++) {
		size_t start = (size_t)rand() % 8, size = (size_t)rand() % (sizeof(data) - 8);
		uint32_t crc = 0xffffffffU;

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (unsigned char)rand();
		for (size_t i = 0; i < size; i++) {
			crc ^= data[start + i];
			for (int bit = 0; bit < 8; bit++)
				crc = crc & 1 ? crc >> 1 ^ 0xedb88320U : crc >> 1;
		}
		ck_assert_uint_eq(util_crc32(data + start, size), ~crc);
	}
}
END_TEST

START_TEST(times_of_a_clock_are_plausible)
{
	int64_t mono = util_mono_us(), utc = util_utc_us();
	char out[UTIL_RFC3339_SIZE];

	ck_assert_int_ge(util_mono_us(), mono);
	ck_assert_int_gt(utc, INT64_C(1767225600) * US_PER_S); /* this was written later */
	util_rfc3339(out, INT64_C(253402300799999999));        /* the last that has four digits */
	ck_assert_str_eq(out, "9999-12-31T23:59:59.999Z");
}
END_TEST

START_TEST(mistakes_name_their_place)
{
	struct mistakes m = { 0 };

	mistakes_add(&m, (struct origin){ "a.conf", 7 }, "no %s", "cheese");
	mistakes_add(&m, (struct origin){ "a.conf", 0 }, "gone");
	ck_assert_uint_eq(m.count, 2);
	ck_assert_str_eq(m.line[0], "a.conf:7: no cheese");
	ck_assert_str_eq(m.line[1], "a.conf: gone");
	mistakes_release(&m);
	ck_assert_uint_eq(m.count, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("util");
	TCase *tcase = tcase_create("util");

	tcase_add_test(tcase, a_mac_is_siphash_2_4);
	tcase_add_test(tcase, times_are_rfc3339);
	tcase_add_test(tcase, known_checksums);
	tcase_add_test(tcase, text_becomes_one_clean_line);
	tcase_add_test(tcase, any_bytes_become_clean);
	tcase_add_test(tcase, mistakes_are_clean_lines);
	tcase_add_test(tcase, the_checksum_is_that_of_a_plain_loop);
	tcase_add_test(tcase, times_of_a_clock_are_plausible);
	tcase_add_test(tcase, mistakes_name_their_place);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
