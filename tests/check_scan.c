/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What `verify` reads of a message: every record that webmond writes, nothing else, and no harm
 * from any bytes. The ranges and percentiles that it goes into are held against lists of all
 * values.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ranges.h"
#include "ctl/scan.h"
#include "scan_object.h"
#include "ctl/spread.h"
#include "json.h"
#include "payload.h"
#include "suite.h"
#include "util.h"

#define EPOCH "20261129T020917Z-50d79cb7f07cc6c6"

#define RECORD_OF(                                                                                 \
    version, id, epoch, seq, site, instance, interval, slot, late, status, error, dropped, rest)   \
	"{\"schema_version\":" version ",\"id\":" id ",\"epoch\":" epoch ",\"seq\":" seq           \
	",\"site\":" site ",\"url\":\"http://x/\",\"method\":\"GET\",\"instance\":" instance       \
	",\"location\":null,\"interval_s\":" interval ",\"scheduled_at\":" slot                    \
	",\"lateness_ms\":" late ",\"status\":" status ",\"error_type\":" error                    \
	",\"dropped_through\":" dropped rest "}"

#define ID   "\"" EPOCH "-7\""
#define E    "\"" EPOCH "\""
#define SLOT "\"2026-11-29T02:09:17.889Z\""

static enum scan_kind
scan(const char *text, struct scanned *out, const char **why)
{
	/* a copy of its size: sanitizers see a reader that goes too far */
	size_t size = strlen(text);
	char *copy = malloc(size > 0 ? size : 1);
	enum scan_kind kind;

	for (size_t i = 0; i < size; i++)
		copy[i] = text[i];
	kind = scan_record(out, copy, size, why);
	free(copy);
	return kind;
}

START_TEST(a_record_is_read)
{
	struct scanned s;
	const char *why;
	static const char text[] = RECORD_OF("1", ID, E, "7", "\"shop\"", "\"probe \\u00e9\"",
	    "1.5", SLOT, "-0.169", "\"down\"", "\"tls\"", "null", ",\"unknown\":true");

	ck_assert_int_eq(scan_record(&s, text, sizeof(text) - 1, &why), SCAN_RECORD);
	ck_assert_str_eq(s.epoch, EPOCH);
	ck_assert_int_eq(s.epoch_ms, 1795918157000);
	ck_assert_uint_eq(s.seq, 7);
	ck_assert_uint_eq(s.site.size, 4);
	ck_assert_mem_eq(s.instance.at, "probe \\u00e9", s.instance.size);
	ck_assert_int_eq(s.interval_ms, 1500);
	ck_assert_int_eq(s.slot_ms, 1795918157889);
	ck_assert_int_eq(s.lateness_us, -169);
	ck_assert_int_eq(s.status, STATUS_DOWN);
	ck_assert_int_eq(s.error, ERROR_TLS);
	ck_assert(s.streak == SCAN_NONE && s.status_since_ms == SCAN_NONE);
}
END_TEST

/* Connect's schema around a record changes nothing of what is read. */
static void
require_same_in_envelope(const struct frame *frame)
{
	struct scanned s;
	const char *why;
	size_t size;
	char *enveloped = payload_envelope(frame, &size);

	ck_assert_int_eq(scan_record(&s, enveloped, size, &why), SCAN_RECORD);
	ck_assert_uint_eq(s.payload.size, frame->payload_size);
	ck_assert_mem_eq(s.payload.at, frame->payload, s.payload.size);
	free(enveloped);
}

START_TEST(what_webmond_writes_is_read)
{
	static const char *const none[] = { NULL };
	const struct config config = {
		.instance = "test \"1\"", .location = "l\\b", .kafka_group = "webmond-eu"
	};
	struct site site = { .name = "a", .url = "https://x/", .method = "GET", .headers = none };
	struct wire_outcome outcome = { .lateness_us = 1234 };
	const struct payload_streak streak = { 3, 1795918157000 * US_PER_MS };
	unsigned char raw[WIRE_FRAME_MAX], record[WIRE_RECORD_MAX];
	struct scanned s;
	struct frame frame;
	const char *why;

	result_init(&outcome.result);
	for (int error = ERROR_NONE; error < ERROR_COUNT; error++) {
		struct slot slot = { .epoch = EPOCH,
			.seq = 7,
			.slot_us = 1795918157889 * US_PER_MS,
			.interval_us = 1500 * US_PER_MS,
			.lateness_us = 1234,
			.alone = (enum tristate)(error % 3) };
		size_t size = payload_frame(raw, WIRE_OPEN, &config, &site, &slot, NULL, NULL);

		ck_assert_int_gt(wire_decode(raw, size, &frame), 0);
		result_fail(&outcome.result, error, "why \"not\"\n\x01\xc3");
		size = payload_record(
		    record, &frame, &outcome, error == ERROR_DROPPED ? 9 : RESULT_NONE, &streak);
		ck_assert_int_gt(wire_decode(record, size, &frame), 0);
		ck_assert_int_eq(
		    scan_record(&s, frame.payload, frame.payload_size, &why), SCAN_RECORD);
		ck_assert_int_eq(s.error, error);
		ck_assert_int_eq(s.status, result_status(error));
		ck_assert_int_eq(s.slot_ms, 1795918157889);
		ck_assert_int_eq(s.lateness_us, 1234);
		ck_assert_uint_eq(s.group.size, slot.alone == TRISTATE_NULL ? 0 : 10);
		ck_assert(s.alone == (slot.alone == TRISTATE_TRUE));
		ck_assert_int_eq(s.streak, 3);
		ck_assert_int_eq(s.status_since_ms, 1795918157000);
		ck_assert_mem_eq(s.payload.at, frame.payload, s.payload.size);
		require_same_in_envelope(&frame);
	}
}
END_TEST

/* What stands around a record may be another schema, but not just anything. */
START_TEST(only_an_envelope_of_connect_is_taken_off)
{
#define RECORD                                                                                     \
	RECORD_OF("1", ID, E, "7", "\"a\"", "\"p\"", "1", SLOT, "0", "\"up\"", "null", "null", "")
	static const struct {
		enum scan_kind kind;
		const char *text;
	} cases[] = {
		{ SCAN_RECORD, "{\"schema\":{},\"payload\":" RECORD "}" },
		{ SCAN_RECORD,
		    " { \"schema\" : {\"a\":[{\"}],\\\"\":[]}]} , \"payload\" : " RECORD " }\n" },
		{ SCAN_NOT_JSON, "{\"schema\":{},\"payload\":" RECORD },
		{ SCAN_NOT_JSON, "{\"schema\":{},\"payload\":" RECORD ",\"x\":1}" },
		{ SCAN_NOT_JSON, "{\"schema\":{},\"payload\":" RECORD "}}" },
		{ SCAN_NOT_JSON, "{\"schema\":{},\"payload\":null}" },
		{ SCAN_NOT_JSON, "{\"schema\":{},\"payload\":}" },
		{ SCAN_NOT_JSON, "{\"schema\":{},\"payload\":" },
		{ SCAN_NOT_JSON, "{\"schema\":{,\"payload\":" RECORD "}" },
		{ SCAN_NOT_JSON, "{\"schema\":{\"a\":\"" },
		{ SCAN_NOT_JSON, "{\"schema\":{" },
		{ SCAN_NOT_JSON, "{\"schema\":[],\"payload\":" RECORD "}" },
		{ SCAN_NOT_JSON, "{\"other\":{},\"payload\":" RECORD "}" },
		{ SCAN_NOT_JSON,
		    "{\"schema\":{},\"payload\":{\"schema\":{},\"payload\":" RECORD "}}" },
		{ SCAN_FOREIGN, "{\"schema\":null,\"payload\":1}" },
		{ SCAN_FOREIGN, "{\"schema\":{},\"payload\":{}}" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct scanned s;
		const char *why;

		ck_assert_msg(scan(cases[i].text, &s, &why) == cases[i].kind, "%s: %s",
		    cases[i].text, why != NULL ? why : "no reason");
	}
}
END_TEST

/* A good record but for one member, and which one is named. */
START_TEST(what_webmond_does_not_write_is_named)
{
#define BAD(what, ...)                                                                             \
	{                                                                                          \
		what, RECORD_OF(__VA_ARGS__)                                                       \
	}
	static const struct {
		const char *why, *text;
	} bad[] = {
		BAD("schema_version", "\"1\"", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1",
		    "\"up\"", "null", "null", ""),
		BAD("id", "1", "\"" EPOCH "-07\"", E, "7", "\"a\"", "\"i\"", "1", SLOT, "1",
		    "\"up\"", "null", "null", ""),
		BAD("id", "1", "null", E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"up\"", "null",
		    "null", ""),
		BAD("epoch", "1", ID, "\"20261129T020917Z-50D79cb7f07cc6c6\"", "7", "\"a\"",
		    "\"i\"", "1", SLOT, "1", "\"up\"", "null", "null", ""),
		BAD("epoch", "1", ID, "\"20261329T020917Z-50d79cb7f07cc6c6\"", "7", "\"a\"",
		    "\"i\"", "1", SLOT, "1", "\"up\"", "null", "null", ""),
		BAD("seq", "1", ID, E, "-7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"up\"", "null",
		    "null", ""),
		BAD("seq", "1", ID, E, "7.0", "\"a\"", "\"i\"", "1", SLOT, "1", "\"up\"", "null",
		    "null", ""),
		BAD("seq", "1", ID, E, "9007199254740992", "\"a\"", "\"i\"", "1", SLOT, "1",
		    "\"up\"", "null", "null", ""),
		BAD("seq", "1", ID, E, "99999999999999999999999999", "\"a\"", "\"i\"", "1", SLOT,
		    "1", "\"up\"", "null", "null", ""),
		BAD("site", "1", ID, E, "7", "\"\"", "\"i\"", "1", SLOT, "1", "\"up\"", "null",
		    "null", ""),
		BAD("site", "1", ID, E, "7", "\"a b\"", "\"i\"", "1", SLOT, "1", "\"up\"", "null",
		    "null", ""),
		BAD("instance", "1", ID, E, "7", "\"a\"", "null", "1", SLOT, "1", "\"up\"", "null",
		    "null", ""),
		BAD("group", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"up\"", "null",
		    "null", ",\"group\":\"eu\""),
		BAD("group", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"up\"", "null",
		    "null", ",\"group\":\"e u\",\"alone\":false"),
		BAD("group", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"up\"", "null",
		    "null", ",\"group\":null,\"alone\":true"),
		BAD("interval_s", "1", ID, E, "7", "\"a\"", "\"i\"", "0.999", SLOT, "1", "\"up\"",
		    "null", "null", ""),
		BAD("interval_s", "1", ID, E, "7", "\"a\"", "\"i\"", "86400.001", SLOT, "1",
		    "\"up\"", "null", "null", ""),
		BAD("interval_s", "1", ID, E, "7", "\"a\"", "\"i\"", "1.0001", SLOT, "1", "\"up\"",
		    "null", "null", ""),
		BAD("interval_s", "1", ID, E, "7", "\"a\"", "\"i\"", "1e3", SLOT, "1", "\"up\"",
		    "null", "null", ""),
		BAD("scheduled_at", "1", ID, E, "7", "\"a\"", "\"i\"", "1",
		    "\"2026-11-29 02:09:17.889Z\"", "1", "\"up\"", "null", "null", ""),
		BAD("scheduled_at", "1", ID, E, "7", "\"a\"", "\"i\"", "1",
		    "\"1969-11-29T02:09:17.889Z\"", "1", "\"up\"", "null", "null", ""),
		BAD("scheduled_at", "1", ID, E, "7", "\"a\"", "\"i\"", "1", "1795918157", "1",
		    "\"up\"", "null", "null", ""),
		BAD("lateness_ms", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "\"1\"", "\"up\"",
		    "null", "null", ""),
		BAD("lateness_ms", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT,
		    "99999999999999999999", "\"up\"", "null", "null", ""),
		BAD("status", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"UP\"", "null",
		    "null", ""),
		BAD("error_type", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"up\"",
		    "\"tls\"", "null", ""),
		BAD("error_type", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"down\"",
		    "null", "null", ""),
		BAD("error_type", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"unknown\"",
		    "\"tls\"", "null", ""),
		BAD("dropped_through", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"up\"",
		    "null", "9", ""),
		BAD("dropped_through", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "null",
		    "\"unknown\"", "\"dropped\"", "6", ""),
		BAD("streak", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"up\"", "null",
		    "null", ",\"streak\":0,\"status_since\":" SLOT),
		BAD("streak", "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"up\"", "null",
		    "null", ",\"streak\":1"),
	};
	struct scanned s;
	const char *why;

	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		ck_assert_msg(scan(bad[i].text, &s, &why) == SCAN_FOREIGN, "%s", bad[i].text);
		ck_assert_msg(
		    strcmp(why, bad[i].why) == 0, "%s, not %s: %s", why, bad[i].why, bad[i].text);
	}
}
END_TEST

START_TEST(each_field_must_be_there)
{
	static const char text[] = RECORD_OF(
	    "1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1", "\"up\"", "null", "null", "");
	static const char *const fields[] = { "schema_version", "id", "epoch", "seq", "site",
		"instance", "interval_s", "scheduled_at", "lateness_ms", "status", "error_type",
		"dropped_through" };
	struct scanned s;
	const char *why;

	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
		char *copy = xstrdup(text), *quoted = xasprintf("\"%s\":", fields[i]);

		/* as if it had another name */
		strstr(copy, quoted)[1] = '_';
		ck_assert_msg(scan(copy, &s, &why) == SCAN_FOREIGN, "%s", copy);
		ck_assert_str_eq(why, fields[i]);
		free(copy);
		free(quoted);
	}
}
END_TEST

START_TEST(words_and_fields_of_later_versions_are_taken)
{
	struct scanned s;
	const char *why;

	ck_assert_int_eq(scan(RECORD_OF("1", ID, E, "7", "\"a\"", "\"i\"", "1", SLOT, "1",
				  "\"unknown\"", "\"eclipse\"", "null", ",\"moon\":-1.5e+3"),
			     &s, &why),
	    SCAN_RECORD);
	ck_assert_int_eq(s.error, ERROR_COUNT);
	ck_assert_int_eq(
	    scan("{\"schema_version\":2,\"all\":\"new\"}", &s, &why), SCAN_OTHER_VERSION);
}
END_TEST

START_TEST(only_one_flat_object_is_json_here)
{
	static const char *const good[] = { "{}", " { } ", "{\"a\":1,\"b\":\"\\u12aF\\n\"}",
		"\t{\"a\" : null , \"b\"\n: true}\r", "{\"a\":-0.5E-7}", "{\"\":false}",
		"{\"a\":1,\"a\":2}", "{\"\xc3\xa9\":\"\xf0\x9f\x98\x80\"}" };
	static const char *const bad[] = { "", "{", "}", "[]", "1", "{}{}", "{} x", "{\"a\"}",
		"{\"a\":}", "{\"a\":1,}", "{,}", "{a:1}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}",
		"{\"a\":+1}", "{\"a\":1e}", "{\"a\":--1}", "{\"a\":nul}", "{\"a\":truefalse}",
		"{\"a\":NaN}", "{\"a\":{}}", "{\"a\":[1]}", "{\"a\":\"\n\"}", "{\"a\":\"\\x\"}",
		"{\"a\":\"\\u12g4\"}", "{\"a\":\"\\u12", "{\"a\":\"\\", "{\"a\":\"x",
		"{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}", "{\"a\":\"\xc3",
		"{\"a\":\"\xed\xa0\x80\"}", "{'a':1}", "{\"a\":1 \"b\":2}",
		"{\"seq\":1,\"seq\":1}" };
	static const struct member_name names[] = { { "seq", 3 }, { "x", 1 } };
	struct member members[2];

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		ck_assert_msg(
		    scan_object(members, names, 2, good[i], strlen(good[i])), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(
		    !scan_object(members, names, 2, bad[i], strlen(bad[i])), "%s", bad[i]);
	/* a NUL byte is a control character as any other */
	ck_assert(!scan_object(members, names, 2, "{\"a\":\"\0\"}", 9));
	ck_assert(!scan_object(members, names, 2, "{\0}", 3));
}
END_TEST

/* Both readers, which share no code, agree on a record with a byte changed. */
START_TEST(any_byte_may_be_wrong)
{
	static const char text[] = RECORD_OF("1", ID, E, "7", "\"a\"", "\"i\"", "1.25", SLOT,
	    "-1.5", "\"down\"", "\"tls\"", "null", ",\"x\":\"\\u00e9\\\"\xc3\xa9\",\"y\":true");
	static const struct member_name none[] = { { "", 0 } };
	struct member member;
	char copy[sizeof(text)];
	size_t count;

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		for (int byte = 0; byte < 256; byte++) {
			bool ours, theirs;

			if (strchr(" \t\r\neE", byte) != NULL)
				continue; /* the other reader knows no blanks and no exponents */
			memcpy(copy, text, sizeof(text));
			copy[i] = (char)byte;
			theirs = json_get(copy, sizeof(text) - 1, NULL, &count) != NULL;
			ours = scan_object(&member, none, 0, copy, sizeof(text) - 1);
			ck_assert_msg(ours == theirs, "byte %d at %zu: %d", byte, i, ours);
		}
}
END_TEST

START_TEST(long_messages_are_no_records)
{
	char *text = xcalloc(1, SCAN_MAX + 2);
	struct scanned s;
	const char *why;

	memset(text, ' ', SCAN_MAX + 1);
	text[0] = '{';
	text[SCAN_MAX - 1] = '}';
	ck_assert_int_eq(scan_record(&s, text, SCAN_MAX, &why), SCAN_FOREIGN);
	ck_assert_int_eq(scan_record(&s, text, SCAN_MAX + 1, &why), SCAN_NOT_JSON);
	free(text);
}
END_TEST

START_TEST(times_are_those_of_the_calendar)
{
	char text[UTIL_RFC3339_SIZE];

	for (int64_t ms = 0; ms < INT64_C(253402300800000); ms += 86399 * 997 * INT64_C(1013)) {
		util_rfc3339(text, ms * US_PER_MS);
		ck_assert_int_eq(scan_time(text, strlen(text)), ms);
	}
	ck_assert_int_eq(scan_time("2024-02-29T23:59:59.999Z", 24), 1709251199999);
	ck_assert_int_eq(scan_time("2024-02-29T24:00:00.000Z", 24), SCAN_NONE);
	ck_assert_int_eq(scan_time("2024-00-01T00:00:00.000Z", 24), SCAN_NONE);
	ck_assert_int_eq(scan_time("2024-02-29T23:59:59Z", 20), SCAN_NONE);
}
END_TEST

/* --- ranges, percentiles ----------------------------------------------------------------- */

#define NUMBERS 400

static void
require_holes(
    const struct ranges *seen, const bool *has, const struct ranges *named, const bool *given)
{
	struct range hole = { 0 };
	uint64_t from = 0, top = 0;
	bool missing[NUMBERS] = { false };

	for (uint64_t n = 0; n < NUMBERS; n++)
		if (has[n])
			top = n;
	while (ranges_next_hole(seen, named, from, &hole)) {
		ck_assert_uint_ge(hole.first, from);
		ck_assert_uint_le(hole.last, top);
		for (uint64_t n = hole.first; n <= hole.last; n++)
			missing[n] = true;
		ck_assert_int_eq(hole.time_ms, hole.first == 0 || !ranges_meet(seen, 0, hole.first)
						   ? INT64_MIN
						   : hole.time_ms);
		from = hole.last + 1;
	}
	for (uint64_t n = 0; n < NUMBERS; n++)
		ck_assert_msg(missing[n] == (n < top && !has[n] && !given[n]), "%d", (int)n);
}

START_TEST(ranges_are_the_set_of_their_numbers)
{
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct ranges seen = { 0 }, named = { 0 };
		bool has[NUMBERS] = { false }, given[NUMBERS] = { false };

		srand(seed);
		for (int i = 0; i < 150; i++) {
			uint64_t first = (uint64_t)rand() % NUMBERS;
			uint64_t last = first + (uint64_t)rand() % (seed % 7 + 1);
			bool name = rand() % 4 == 0;

			if (last >= NUMBERS)
				last = NUMBERS - 1;
			ck_assert(ranges_add(name ? &named : &seen, first, last, (int64_t)last));
			for (uint64_t n = first; n <= last; n++)
				(name ? given : has)[n] = true;
		}
		for (uint64_t n = 0; n < NUMBERS; n++)
			ck_assert_int_eq(ranges_has(&seen, n), has[n]);
		for (size_t i = 0; i < seen.count; i++) {
			ck_assert_uint_le(seen.at[i].first, seen.at[i].last);
			ck_assert_int_eq(seen.at[i].time_ms, (int64_t)seen.at[i].last);
			if (i > 0)
				ck_assert_uint_gt(seen.at[i].first, seen.at[i - 1].last + 1);
		}
		require_holes(&seen, has, &named, given);
		ranges_release(&seen);
		ranges_release(&named);
	}
}
END_TEST

START_TEST(numbers_in_order_take_one_range)
{
	struct ranges r = { 0 };

	for (uint64_t n = 0; n < 1000000; n += 2) {
		ck_assert(ranges_add(&r, n + 1, n + 1, 0));
		ck_assert(ranges_add(&r, n, n, 0));
	}
	ck_assert_uint_eq(r.count, 1);
	ck_assert_uint_le(r.room, 4);
	ranges_release(&r);
}
END_TEST

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

START_TEST(percentiles_are_near_those_of_all_values)
{
	static int64_t values[10000];
	struct spread *s = xcalloc(1, sizeof(*s));

	srand(1);
	for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
		values[i] = (int64_t)(rand() % 1000) * (1 << rand() % 20);
		spread_add(s, values[i]);
	}
	qsort(values, ARRAY_LENGTH(values), sizeof(values[0]), compare);
	for (int percent = 1; percent <= 100; percent++) {
		int64_t right = values[(size_t)percent * ARRAY_LENGTH(values) / 100 - 1];
		int64_t found = spread_percentile(s, percent);

		ck_assert_int_ge(found, right);
		ck_assert_int_le(found, right + right / SPREAD_PARTS);
	}
	spread_add(s, INT64_MAX);
	spread_add(s, -5);
	ck_assert_int_eq(spread_percentile(s, 100), INT64_MAX);
	free(s);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("scan");
	TCase *tcase = tcase_create("scan");

	tcase_add_test(tcase, a_record_is_read);
	tcase_add_test(tcase, what_webmond_writes_is_read);
	tcase_add_test(tcase, only_an_envelope_of_connect_is_taken_off);
	tcase_add_test(tcase, what_webmond_does_not_write_is_named);
	tcase_add_test(tcase, each_field_must_be_there);
	tcase_add_test(tcase, words_and_fields_of_later_versions_are_taken);
	tcase_add_test(tcase, only_one_flat_object_is_json_here);
	tcase_add_test(tcase, any_byte_may_be_wrong);
	tcase_add_test(tcase, long_messages_are_no_records);
	tcase_add_test(tcase, times_are_those_of_the_calendar);
	tcase_add_test(tcase, ranges_are_the_set_of_their_numbers);
	tcase_add_test(tcase, numbers_in_order_take_one_range);
	tcase_add_test(tcase, percentiles_are_near_those_of_all_values);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
