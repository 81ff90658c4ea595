/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The closed list, which consumers store, and messages that may stand in a record. */
#include "result.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "util.h"

/* Words are added, never renamed: a change of this list is a change of the interface. */
static const struct {
	enum error_type error;
	const char *word;
	const char *status;
} words[] = {
	{ ERROR_NONE, NULL, "up" },
	{ ERROR_DNS, "dns", "down" },
	{ ERROR_CONNECT, "connect", "down" },
	{ ERROR_TLS, "tls", "down" },
	{ ERROR_TIMEOUT, "timeout", "down" },
	{ ERROR_PROTOCOL, "protocol", "down" },
	{ ERROR_HTTP_STATUS, "http_status", "down" },
	{ ERROR_REGEX_MISMATCH, "regex_mismatch", "down" },
	{ ERROR_TOO_MANY_REDIRECTS, "too_many_redirects", "down" },
	{ ERROR_REDIRECT_REFUSED, "redirect_refused", "down" },
	{ ERROR_SLOW, "slow", "down" },
	{ ERROR_HEADER_MISMATCH, "header_mismatch", "down" },
	{ ERROR_JSON_MISMATCH, "json_mismatch", "down" },
	{ ERROR_BODY_SIZE, "body_size", "down" },
	{ ERROR_CERT_EXPIRING, "cert_expiring", "down" },
	{ ERROR_HTTP_VERSION, "http_version", "down" },
	{ ERROR_REGEX_LIMIT, "regex_limit", "unknown" },
	{ ERROR_MISSED_OVERLOAD, "missed_overload", "unknown" },
	{ ERROR_MISSED_OVERRUN, "missed_overrun", "unknown" },
	{ ERROR_MISSED_TAKEOVER, "missed_takeover", "unknown" },
	{ ERROR_ABORTED, "aborted", "unknown" },
	{ ERROR_QUARANTINED, "quarantined", "unknown" },
	{ ERROR_LOCAL, "local", "unknown" },
	{ ERROR_VANTAGE, "vantage", "unknown" },
	{ ERROR_DROPPED, "dropped", "unknown" },
};

START_TEST(every_word_and_its_status)
{
	bool seen[ERROR_COUNT] = { false };

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
		ck_assert_pstr_eq(error_type_name(words[i].error), words[i].word);
		ck_assert_str_eq(status_name(result_status(words[i].error)), words[i].status);
		seen[words[i].error] = true;
	}
	for (int error = 0; error < ERROR_COUNT; error++) {
		ck_assert_msg(seen[error], "error %d is not in this list", error);
		/* two words would be one to a consumer */
		for (int other = 1; other < error; other++)
			ck_assert_str_ne(error_type_name(error), error_type_name(other));
	}
}
END_TEST

START_TEST(nothing_is_known_at_first)
{
	struct result r;

	memset(&r, 0x5a, sizeof(r));
	result_init(&r);
	ck_assert_int_eq(r.error, ERROR_NONE);
	ck_assert_str_eq(r.error_message, "");
	ck_assert_int_eq(r.http_status, RESULT_NONE);
	ck_assert_str_eq(r.http_version, "");
	ck_assert_int_eq(r.elapsed_us, RESULT_NONE);
	ck_assert(!r.completed);
	for (int i = 0; i < PHASE_COUNT; i++)
		ck_assert_int_eq(r.phase_us[i], RESULT_NONE);
	ck_assert_int_eq(r.redirect_us, RESULT_NONE);
	ck_assert_int_eq(r.redirects, RESULT_NONE);
	ck_assert_str_eq(r.final_url, "");
	ck_assert_str_eq(r.remote_ip, "");
	ck_assert_int_eq(r.body_bytes, RESULT_NONE);
	ck_assert_int_eq(r.body_truncated, TRISTATE_NULL);
	ck_assert_int_eq(r.body_matched, TRISTATE_NULL);
	ck_assert_str_eq(r.failed_regex, "");
	ck_assert_str_eq(r.tls_version, "");
	ck_assert_int_eq(r.cert_expires_us, RESULT_NONE);
	ck_assert_int_eq(r.chain_expires_us, RESULT_NONE);
	ck_assert_str_eq(r.cert_issuer, "");
	ck_assert_str_eq(r.cert_sha256, "");
	ck_assert_int_eq(r.attempts, RESULT_NONE);
	ck_assert_int_eq(r.first_error, ERROR_NONE);
	ck_assert_int_eq(r.reused, TRISTATE_NULL);
	ck_assert_str_eq(r.body_sample, "");
}
END_TEST

/* As a checker in foreign hands may write it. */
START_TEST(only_a_result_of_ours_is_taken_over)
{
	struct result good = { 0 }, r;
	unsigned char bytes[sizeof(good)];
	size_t size;

	result_init(&good);
	result_fail(&good, ERROR_TIMEOUT, "timed out after 1 s");
	good.http_status = 200;
	ck_assert(result_copy(&r, &good, result_size(&good)));
	ck_assert_str_eq(r.error_message, "timed out after 1 s");
	ck_assert_int_eq(r.http_status, 200);
#define REFUSED(change)                                                                            \
	do {                                                                                       \
		struct result bad = good;                                                          \
		change;                                                                            \
		ck_assert_msg(!result_copy(&r, &bad, sizeof(bad)), "%s", #change);                 \
	} while (0)
	REFUSED(bad.error = ERROR_COUNT);
	REFUSED(bad.error = ERROR_DROPPED); /* it speaks of records of others */
	REFUSED(bad.http_status = 99);
	REFUSED(bad.http_status = 1000);
	REFUSED(bad.elapsed_us = -2);
	REFUSED(bad.elapsed_us = INT64_MAX);
	REFUSED(bad.phase_us[PHASE_COUNT - 1] = INT64_MIN);
	REFUSED(bad.redirect_us = INT64_MAX);
	REFUSED(bad.redirects = 21);
	REFUSED(bad.body_bytes = 64 * 1024 * 1024 + 1);
	REFUSED(bad.body_truncated = TRISTATE_TRUE + 1);
	REFUSED(bad.body_matched = TRISTATE_TRUE + 1);
	REFUSED(bad.cert_expires_us = INT64_MAX);
	REFUSED(bad.chain_expires_us = INT64_MIN);
	REFUSED(bad.reused = TRISTATE_TRUE + 1);
	REFUSED(bad.attempts = 0);
	REFUSED(bad.attempts = 7);
	REFUSED(bad.first_error = ERROR_COUNT);
	REFUSED(memset(bad.error_message, 'x', sizeof(bad.error_message))); /* no end */
	REFUSED(memset(bad.final_url, 'x', sizeof(bad.final_url)));
	REFUSED(strcpy(bad.error_message, "two\nlines"));
	REFUSED(strcpy(bad.failed_regex, "\xff"));
	REFUSED(strcpy(bad.remote_ip, "\033[31m"));
	REFUSED(strcpy(bad.http_version, "\n"));
	REFUSED(strcpy(bad.tls_version, "\x7f"));
	REFUSED(strcpy(bad.cert_issuer, "CN=\t"));
	REFUSED(strcpy(bad.body_sample, "\xed\xa0\x80"));
	REFUSED(memset(bad.cert_sha256, 'a', sizeof(bad.cert_sha256)));
	/* each is what it may be, but they do not fit each other */
	REFUSED(bad.error_message[0] = '\0');
	REFUSED(strcpy(bad.final_url, "http://b/"));
	REFUSED(strcpy(bad.http_version, "1.2"));
	REFUSED(strcpy(bad.tls_version, "SSLv3"));
	REFUSED(strcpy(bad.cert_sha256, "abc"));
	REFUSED(memset(bad.cert_sha256, 'A', RESULT_SHA256_MAX));
	REFUSED(bad.first_error = ERROR_DNS); /* of one attempt */
	REFUSED((bad.attempts = 2, bad.first_error = ERROR_LOCAL));
	REFUSED(bad.error = ERROR_NONE);
	good.error = ERROR_NONE;
	good.completed = true;
	good.elapsed_us = 1;
	ck_assert(result_copy(&r, &good, result_size(&good)));
	REFUSED(bad.completed = false);
	REFUSED(bad.elapsed_us = RESULT_NONE);
	REFUSED(bad.http_status = RESULT_NONE);
	REFUSED(bad.body_matched = TRISTATE_FALSE);
	REFUSED(strcpy(bad.failed_regex, "x"));
	REFUSED(strcpy(bad.body_sample, "x"));
	memcpy(bytes, &good, sizeof(bytes));
	bytes[offsetof(struct result, completed)] = 2;
	ck_assert(!result_copy(&r, bytes, sizeof(bytes)));
	/* of its size: not without the numbers, in the middle of a text, or longer than there is */
	size = result_size(&good);
	ck_assert_uint_lt(size, sizeof(good) / 2);
	ck_assert(!result_copy(&r, &good, 0));
	ck_assert(!result_copy(&r, &good, offsetof(struct result, cert_issuer)));
	ck_assert(!result_copy(&r, &good, size - 1));
	ck_assert(!result_copy(&r, &good, sizeof(good) + 1));
}
END_TEST

START_TEST(a_failure_has_its_word_and_sentence)
{
	struct result r;

	result_init(&r);
	result_fail(&r, ERROR_HTTP_STATUS, "got %d, want %s", 503, "200-299");
	ck_assert_int_eq(r.error, ERROR_HTTP_STATUS);
	ck_assert_str_eq(r.error_message, "got 503, want 200-299");
	/* the last word counts */
	result_fail(&r, ERROR_LOCAL, "%s", "no memory");
	ck_assert_int_eq(r.error, ERROR_LOCAL);
	ck_assert_str_eq(r.error_message, "no memory");
}
END_TEST

/* What a server says gets into messages. */
START_TEST(messages_are_one_clean_line)
{
	struct result r;

	result_init(&r);
	result_fail(&r, ERROR_PROTOCOL, "%s", "a\r\nb\x1b[31mc\xff\xc3\xa4\x7f");
	ck_assert_str_eq(r.error_message, "a  b [31mc\xef\xbf\xbd\xc3\xa4 ");
}
END_TEST

START_TEST(long_messages_are_cut_at_a_character)
{
	static const char *const characters[] = { "x", "\xc3\xa4", "\xe2\x82\xac",
		"\xf0\x9f\x92\xa9", "\xc2\x85", "\xff" };

	for (size_t i = 0; i < ARRAY_LENGTH(characters); i++) {
		size_t width = strlen(characters[i]);
		char text[3000], again[RESULT_MESSAGE_MAX + 1];
		struct result r;
		size_t n;

		for (n = 0; n + width < sizeof(text); n += width)
			memcpy(text + n, characters[i], width);
		text[n] = '\0';
		result_init(&r);
		result_fail(&r, ERROR_PROTOCOL, "%s", text);
		n = strlen(r.error_message);
		ck_assert_uint_le(n, RESULT_MESSAGE_MAX);
		ck_assert_uint_ge(n, RESULT_MESSAGE_MAX - 6);
		ck_assert_str_eq(r.error_message + n - 3, "\xe2\x80\xa6");
		/* clean already: cleaning changes nothing */
		util_clean_text(again, sizeof(again), r.error_message, n);
		ck_assert_str_eq(again, r.error_message);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("result");
	TCase *tcase = tcase_create("result");

	tcase_add_test(tcase, every_word_and_its_status);
	tcase_add_test(tcase, nothing_is_known_at_first);
	tcase_add_test(tcase, only_a_result_of_ours_is_taken_over);
	tcase_add_test(tcase, a_failure_has_its_word_and_sentence);
	tcase_add_test(tcase, messages_are_one_clean_line);
	tcase_add_test(tcase, long_messages_are_cut_at_a_character);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
