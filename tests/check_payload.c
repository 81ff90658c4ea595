/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The record: every key, its caps, and any text in it. */
#include "payload.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "suite.h"
#include "util.h"

static const char *const no_headers[] = { NULL };

static struct site
make_site(void)
{
	return (struct site){ .name = "shop",
		.url = "https://shop.example/",
		.record_query = true,
		.method = "GET",
		.headers = no_headers };
}

static const struct slot slot = { .epoch = "20261123T101502Z-9f3c52d07a61be48",
	.seq = 7,
	.slot_us = 1795428902123000,
	.interval_us = 1500 * US_PER_MS,
	.lateness_us = 1234 };

static const struct payload_streak streak = { 3, 1795428842123000 };

static char *
write_record(const struct config *config, const struct site *site, const struct slot *s,
    const struct result *result, int64_t through)
{
	static char out[WIRE_RECORD_JSON_MAX + 1];
	const struct wire_outcome outcome = { s->lateness_us, *result };
	unsigned char raw[WIRE_FRAME_MAX], record[WIRE_RECORD_MAX];
	struct slot copy = *s;
	struct frame frame;
	size_t size = payload_frame(raw, WIRE_OPEN, config, site, &copy, NULL, NULL);

	ck_assert_int_eq(wire_decode(raw, size, &frame), (ssize_t)size);
	size = payload_record(
	    record, &frame, &outcome, through, through == RESULT_NONE ? &streak : NULL);
	ck_assert_uint_gt(size, 0);
	ck_assert_int_eq(wire_decode(record, size, &frame), (ssize_t)size);
	ck_assert_int_eq(frame.type, WIRE_RECORD);
	ck_assert_uint_lt(frame.payload_size, WIRE_RECORD_JSON_MAX);
	memcpy(out, frame.payload, frame.payload_size);
	out[frame.payload_size] = '\0';
	return out;
}

START_TEST(an_up_record_to_the_letter)
{
	struct config config = { .instance = "probe-1", .location = "eu-north" };
	struct site site = make_site();
	struct result result;

	result_init(&result);
	result.http_status = 200;
	snprintf(result.http_version, sizeof(result.http_version), "1.1");
	result.completed = true;
	result.elapsed_us = 123456;
	for (int i = 0; i < PHASE_COUNT; i++)
		result.phase_us[i] = i * 1000;
	result.redirect_us = 0;
	result.redirects = 0;
	snprintf(result.remote_ip, sizeof(result.remote_ip), "192.0.2.1");
	result.body_bytes = 17;
	result.body_truncated = TRISTATE_FALSE;
	result.body_matched = TRISTATE_TRUE;
	snprintf(result.tls_version, sizeof(result.tls_version), "TLSv1.3");
	result.attempts = 2;
	result.first_error = ERROR_TIMEOUT;
	result.reused = TRISTATE_TRUE;
	result.cert_expires_us = 1795428902000000;
	result.chain_expires_us = 1795428901000000;
	memset(result.cert_sha256, 'a', RESULT_SHA256_MAX);
	snprintf(result.cert_issuer, sizeof(result.cert_issuer), "CN=CA");
	ck_assert_str_eq(write_record(&config, &site, &slot, &result, RESULT_NONE),
	    "{\"schema_version\":1,\"id\":\"20261123T101502Z-9f3c52d07a61be48-7\","
	    "\"epoch\":\"20261123T101502Z-9f3c52d07a61be48\",\"seq\":7,\"site\":\"shop\","
	    "\"url\":\"https://shop.example/\",\"method\":\"GET\",\"instance\":\"probe-1\","
	    "\"location\":\"eu-north\",\"group\":null,\"alone\":null,\"labels\":null,\"interval_s\":1.500,"
	    "\"scheduled_at\":\"2026-11-23T10:15:02.123Z\","
	    "\"started_at\":\"2026-11-23T10:15:02.124Z\",\"lateness_ms\":1.234,\"status\":\"up\","
	    "\"error_type\":null,\"error_message\":null,\"http_status_code\":200,"
	    "\"http_version\":\"1.1\",\"response_time_ms\":123.456,\"elapsed_ms\":123.456,"
	    "\"dns_ms\":0,\"connect_ms\":1,\"tls_ms\":2,\"wait_ms\":3,\"receive_ms\":4,"
	    "\"redirect_ms\":0,\"redirects\":0,\"final_url\":null,\"remote_ip\":\"192.0.2.1\","
	    "\"body_bytes\":17,\"body_truncated\":false,\"body_regex_matched\":true,"
	    "\"failed_regex\":null,\"tls_version\":\"TLSv1.3\","
	    "\"cert_expires_at\":\"2026-11-23T10:15:02.000Z\",\"dropped_through\":null,"
	    "\"streak\":3,\"status_since\":\"2026-11-23T10:14:02.123Z\","
	    "\"attempts\":2,\"first_error_type\":\"timeout\",\"connection_reused\":true,"
	    "\"cert_issuer\":\"CN=CA\",\"cert_sha256\":"
	    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
	    "\"chain_expires_at\":\"2026-11-23T10:15:01.000Z\",\"body_sample\":null,"
	    "\"agent\":\"webmond/" VERSION "\"}");
}
END_TEST

/*
 * What it says of each type is held against the JSON Schema, and tried with Connect, in
 * 18_connect.py.
 */
START_TEST(an_envelope_holds_the_record_as_it_is)
{
	static const char *const parts[] = {
		"{\"schema\":{\"type\":\"struct\",\"name\":\"webmond.check.v1\",\"fields\":["
		"{\"field\":\"schema_version\",\"type\":\"int64\"},{\"field\":\"id\",\"type\":\"string\"},",
		"{\"field\":\"agent\",\"type\":\"string\",\"optional\":true}"
		"]},\"payload\":{\"schema_version\":1,"
	};
	struct config config = { .instance = "probe-1" };
	struct site site = make_site();
	struct result result;
	struct frame frame = { .seq = 7 };
	char *out;
	size_t size;

	result_init(&result);
	result_fail(&result, ERROR_DNS, "\"\xc3\xa9\"");
	frame.payload = write_record(&config, &site, &slot, &result, RESULT_NONE);
	frame.payload_size = strlen(frame.payload);
	out = payload_envelope(&frame, &size);
	ck_assert_uint_gt(size, frame.payload_size + 1);
	ck_assert_uint_le(size, frame.payload_size + PAYLOAD_ENVELOPE_MAX);
	ck_assert_mem_eq(out + size - 1 - frame.payload_size, frame.payload, frame.payload_size);
	ck_assert_int_eq(out[size - 1], '}');
	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
		ck_assert_msg(
		    memmem(out, size, parts[i], strlen(parts[i])) != NULL, "%s", parts[i]);
	free(out);
}
END_TEST

START_TEST(a_slot_that_never_ran)
{
	struct config config = { .instance = "probe-1" };
	struct site site = make_site();
	struct slot missed = slot;
	struct result result;
	const char *record;

	site.url = "https://shop.example/?a=b#c";
	missed.lateness_us = RESULT_NONE;
	result_init(&result);
	result_fail(&result, ERROR_DROPPED, "the spool was full");
	record = write_record(&config, &site, &missed, &result, 99);
	ck_assert_ptr_nonnull(strstr(record, "\"url\":\"https://shop.example/?a=b#c\","));
	site.record_query = false;
	record = write_record(&config, &site, &missed, &result, 99);
	ck_assert_ptr_nonnull(strstr(record, "\"url\":\"https://shop.example/\","));
	ck_assert_ptr_nonnull(strstr(record, "\"started_at\":null,\"lateness_ms\":null,"));
	ck_assert_ptr_nonnull(strstr(record, "\"status\":\"unknown\",\"error_type\":\"dropped\","));
	ck_assert_ptr_nonnull(strstr(record, "\"response_time_ms\":null,\"elapsed_ms\":null,"));
	ck_assert_ptr_nonnull(strstr(record, "\"dropped_through\":99,\"streak\":1,"
					     "\"status_since\":\"2026-11-23T10:15:02.123Z\","
					     "\"attempts\":null,"));
}
END_TEST

/* All texts at their caps, of the characters that need the most room. */
START_TEST(the_worst_record_fits_into_a_frame)
{
	char name[CONFIG_NAME_MAX + 1], url[CONFIG_URL_MAX + 1], labels[CONFIG_LABELS_MAX + 1];
	struct config config = { .instance = name, .location = name, .kafka_group = name };
	struct site site = make_site();
	unsigned char frame[WIRE_FRAME_MAX];
	struct slot any = slot;
	struct result result;

	any.alone = TRISTATE_FALSE;
	memset(name, 'n', sizeof(name) - 1);
	memset(url, 'u', sizeof(url) - 1);
	memset(labels, 'l', sizeof(labels) - 1);
	name[sizeof(name) - 1] = url[sizeof(url) - 1] = labels[sizeof(labels) - 1] = '\0';
	site.name = name;
	site.url = url;
	site.labels = labels;
	site.method = "ABCDEFGHIJKLMNOP";
	result_init(&result);
	result.error = ERROR_TOO_MANY_REDIRECTS;
	memset(result.error_message, '"', RESULT_MESSAGE_MAX);
	result.error_message[RESULT_MESSAGE_MAX] = '\0';
	memset(result.failed_regex, '\\', RESULT_REGEX_MAX);
	result.failed_regex[RESULT_REGEX_MAX] = '\0';
	memset(result.final_url, '"', RESULT_FINAL_URL_MAX);
	result.final_url[RESULT_FINAL_URL_MAX] = '\0';
	memset(result.cert_issuer, '"', RESULT_ISSUER_MAX);
	result.cert_issuer[RESULT_ISSUER_MAX] = '\0';
	memset(result.cert_sha256, 'f', RESULT_SHA256_MAX);
	memset(result.body_sample, '\\', RESULT_SAMPLE_MAX);
	result.body_sample[RESULT_SAMPLE_MAX] = '\0';
	result.attempts = 6;
	result.first_error = ERROR_TOO_MANY_REDIRECTS;
	result.chain_expires_us = 1795428902000000;
	memset(result.remote_ip, 'f', RESULT_IP_MAX);
	result.remote_ip[RESULT_IP_MAX] = '\0';
	result.completed = true;
	result.elapsed_us = result.redirect_us = INT64_C(86400000000);
	result.body_bytes = 65536 * 1024;
	result.cert_expires_us = 1795428902000000;
	snprintf(result.tls_version, sizeof(result.tls_version), "TLSv1.3");
	snprintf(result.http_version, sizeof(result.http_version), "1.1");
	result.http_status = 999;
	ck_assert_uint_gt(payload_frame(frame, WIRE_CLOSE, &config, &site, &any, &result, NULL), 0);
	ck_assert_ptr_nonnull(strstr(write_record(&config, &site, &any, &result, RESULT_NONE),
	    "\",\"agent\":\"webmond/" VERSION "\"}"));
}
END_TEST

/* Whoever begins the slot decides whether the daemon is a member: with --once it is not. */
START_TEST(a_group_is_named_by_its_members)
{
	static const struct {
		const char *group;
		enum tristate alone;
		const char *part;
	} cases[] = {
		{ "eu", TRISTATE_FALSE, ",\"group\":\"eu\",\"alone\":false," },
		{ "eu", TRISTATE_TRUE, ",\"group\":\"eu\",\"alone\":true," },
		{ "eu", TRISTATE_NULL, ",\"group\":null,\"alone\":null," },
		{ NULL, TRISTATE_NULL, ",\"group\":null,\"alone\":null," },
	};
	struct site site = make_site();
	struct result result;

	result_init(&result);
	result_fail(&result, ERROR_DNS, "x");
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct config config = { .instance = "i", .kafka_group = cases[i].group };
		struct slot begun = slot;

		begun.alone = cases[i].alone;
		ck_assert_ptr_nonnull(strstr(
		    write_record(&config, &site, &begun, &result, RESULT_NONE), cases[i].part));
	}
}
END_TEST

START_TEST(long_texts_are_cut_at_a_character)
{
	struct config config = { .instance = "i" };
	struct site site = make_site();
	struct result result;
	const char *record, *start;

	result_init(&result);
	result_fail(&result, ERROR_LOCAL, "x");
	for (int i = 0; i < RESULT_REGEX_MAX / 2; i++)
		memcpy(result.failed_regex + 2 * i, i == 0 ? "\"a" : "\xc3\xa9", 2);
	result.failed_regex[RESULT_REGEX_MAX] = '\0';
	record = write_record(&config, &site, &slot, &result, RESULT_NONE);
	start = strstr(record, "\"failed_regex\":\"\\\"a");
	ck_assert_ptr_nonnull(start);
	ck_assert_ptr_nonnull(strstr(start, "\xc3\xa9\xe2\x80\xa6\","));
}
END_TEST

START_TEST(control_characters_are_escaped)
{
	struct config config = { .instance = "i" };
	struct site site = make_site();
	struct result result;

	site.url = "http://a/\x01\"\\";
	result_init(&result);
	ck_assert_ptr_nonnull(strstr(write_record(&config, &site, &slot, &result, RESULT_NONE),
	    "\"url\":\"http://a/\\u0001\\\"\\\\\","));
}
END_TEST

/* Bytes of all kinds, with much that has to be escaped or replaced, as one clean line. */
static const char *
random_text(char *out, size_t size)
{
	static const char *const pieces[] = { "\"", "\\", "a", "\x01", "\n", "\x7f", "\xff",
		"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x92\xa9", "\xed\xa0\x80", "\xc0\x80",
		"\xf4\x90\x80\x80" };
	char raw[2000] = "";
	size_t length = (size_t)rand() % (rand() % 4 == 0 ? 1900 : 80), n = 0;

	while (n < length)
		n += (size_t)sprintf(raw + n, "%s", pieces[(size_t)rand() % ARRAY_LENGTH(pieces)]);
	util_clean_text(out, size, raw, n);
	return out;
}

/* -1 for unknown, else anything up to `most`. */
static int64_t
random_number(int64_t most)
{
	return rand() % 4 == 0 ? RESULT_NONE : ((int64_t)rand() << 31 | rand()) % (most + 1);
}

START_TEST(any_result_is_a_valid_record)
{
	static const struct {
		const char *key;
		size_t cap; /* encoded bytes */
	} texts[] = { { "site", 64 }, { "url", 1024 }, { "instance", 64 }, { "location", 64 },
		{ "group", 64 }, { "labels", 256 }, { "error_message", 384 },
		{ "failed_regex", 128 }, { "final_url", 512 }, { "remote_ip", 45 },
		{ "cert_issuer", 128 }, { "body_sample", 256 } };
	char name[65], url[1025], instance[65], location[65], group[65], labels[257], message[1000];

	srand(5);
	for (int round = 0; round < 3000; round++) {
		struct config config = { .instance = random_text(instance, sizeof(instance)),
			.location = rand() % 2 ? random_text(location, sizeof(location)) : NULL,
			.kafka_group = random_text(group, sizeof(group)) };
		struct site site = { .name = random_text(name, sizeof(name)),
			.url = random_text(url, sizeof(url)),
			.record_query = true,
			.method = "OPTIONS",
			.labels = rand() % 2 ? random_text(labels, sizeof(labels)) : NULL };
		struct slot any = { .epoch = slot.epoch,
			.seq = (uint64_t)random_number(INT64_MAX - 1) + 1,
			.slot_us = random_number(INT64_C(253402300799) * US_PER_S) + 1,
			.interval_us = random_number(INT64_C(86400) * US_PER_S),
			.lateness_us = random_number(INT64_C(86400) * US_PER_S),
			.alone = rand() % 3 };
		unsigned char raw[WIRE_FRAME_MAX];
		struct wire_outcome outcome;
		const char *record;
		struct frame frame;
		struct result r;
		size_t size, members;

		result_init(&r);
		result_fail(&r, (enum error_type)(1 + rand() % (ERROR_COUNT - 1)), "%s",
		    random_text(message, sizeof(message)));
		random_text(r.final_url, sizeof(r.final_url));
		random_text(r.failed_regex, sizeof(r.failed_regex));
		random_text(r.remote_ip, sizeof(r.remote_ip));
		random_text(r.cert_issuer, sizeof(r.cert_issuer));
		random_text(r.body_sample, sizeof(r.body_sample));
		r.completed = rand() % 2;
		r.elapsed_us = random_number(INT64_C(86400) * US_PER_S);
		for (int i = 0; i < PHASE_COUNT; i++)
			r.phase_us[i] = random_number(INT64_C(86400) * US_PER_S);
		r.http_status = (int)random_number(999);
		r.body_bytes = random_number(65536 * 1024);
		r.body_truncated = rand() % 3;
		r.body_matched = rand() % 3;
		r.cert_expires_us = random_number(INT64_C(253402300799) * US_PER_S);
		r.chain_expires_us = random_number(INT64_C(253402300799) * US_PER_S);
		r.attempts = 1 + rand() % 6;
		r.first_error = r.attempts > 1 ? ERROR_DNS : ERROR_NONE;
		r.reused = rand() % 3;

		record = write_record(&config, &site, &any, &r, random_number(INT64_MAX - 1));
		size = strlen(record);
		ck_assert_msg(
		    json_get(record, size, NULL, &members) == record, "%.*s", (int)size, record);
		ck_assert_uint_eq(members, 49);
		for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
			size_t length;
			const char *value = json_get(record, size, texts[i].key, &length);

			ck_assert_ptr_nonnull(value);
			if (value[0] == '"')
				ck_assert_uint_le(length - 2, texts[i].cap);
		}
		/* and what travels is what arrives */
		if (r.error == ERROR_DROPPED || (r.http_status >= 0 && r.http_status < 100) ||
		    r.error_message[0] == '\0')
			continue;
		r.redirects = 1;
		if (r.error == ERROR_MISSED_OVERLOAD || r.error == ERROR_MISSED_OVERRUN ||
		    r.error == ERROR_MISSED_TAKEOVER || r.error == ERROR_QUARANTINED)
			any.lateness_us = r.elapsed_us = RESULT_NONE;
		else if (any.lateness_us == RESULT_NONE)
			any.lateness_us = 0;
		size = payload_frame(raw, WIRE_SINGLE, &config, &site, &any, &r, NULL);
		ck_assert_int_eq(wire_decode(raw, size, &frame), (ssize_t)size);
		ck_assert(payload_outcome(&frame, &outcome));
		ck_assert_int_eq(outcome.lateness_us, any.lateness_us);
		ck_assert_str_eq(outcome.result.error_message, r.error_message);
		ck_assert_str_eq(outcome.result.final_url, r.final_url);
		ck_assert_str_eq(outcome.result.cert_issuer, r.cert_issuer);
		ck_assert_str_eq(outcome.result.body_sample, r.body_sample);
		ck_assert_int_eq(outcome.result.elapsed_us, r.elapsed_us);
	}
}
END_TEST

/* As a checker in foreign hands may write it: all fields are what they may be. */
START_TEST(an_outcome_fits_its_beginning)
{
	static const struct {
		int64_t lateness_us, elapsed_us;
		enum error_type error;
		bool good;
	} cases[] = {
		{ RESULT_NONE, RESULT_NONE, ERROR_ABORTED, true },
		{ 0, 5, ERROR_ABORTED, true },
		{ 0, 5, ERROR_TLS, true },
		{ RESULT_NONE, 5, ERROR_TLS, false },
		{ RESULT_NONE, 5, ERROR_NONE, false },
		{ RESULT_NONE, RESULT_NONE, ERROR_MISSED_OVERRUN, true },
		{ 0, RESULT_NONE, ERROR_MISSED_OVERRUN, false },
		{ RESULT_NONE, RESULT_NONE, ERROR_MISSED_TAKEOVER, true },
		{ 0, 5, ERROR_MISSED_TAKEOVER, false },
		{ RESULT_NONE, 5, ERROR_QUARANTINED, false },
		{ INT64_MAX, 5, ERROR_TLS, false },
	};
	struct config config = { .instance = "probe-1" };
	struct site site = { .name = "a", .url = "http://a/", .method = "GET" };

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct slot began = slot;
		unsigned char raw[WIRE_FRAME_MAX];
		struct wire_outcome outcome;
		struct frame frame;
		struct result r;

		result_init(&r);
		result_fail(&r, cases[i].error, "why");
		r.completed = true;
		r.http_status = 200;
		r.elapsed_us = cases[i].elapsed_us;
		began.lateness_us = cases[i].lateness_us;
		wire_decode(
		    raw, payload_frame(raw, WIRE_CLOSE, &config, &site, &began, &r, NULL), &frame);
		ck_assert_msg(payload_outcome(&frame, &outcome) == cases[i].good, "case %zu", i);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("payload");
	TCase *tcase = tcase_create("payload");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, an_up_record_to_the_letter);
	tcase_add_test(tcase, an_envelope_holds_the_record_as_it_is);
	tcase_add_test(tcase, a_slot_that_never_ran);
	tcase_add_test(tcase, the_worst_record_fits_into_a_frame);
	tcase_add_test(tcase, a_group_is_named_by_its_members);
	tcase_add_test(tcase, long_texts_are_cut_at_a_character);
	tcase_add_test(tcase, control_characters_are_escaped);
	tcase_add_test(tcase, any_result_is_a_valid_record);
	tcase_add_test(tcase, an_outcome_fits_its_beginning);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
