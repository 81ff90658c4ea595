/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* What an exchange means: addresses, errors, and a response held against its site. */
#include "checker/verdict.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "suite.h"
#include "wire.h"

START_TEST(where_redirects_may_not_lead)
{
	static const char *const private[] = { "127.0.0.1", "127.255.255.254", "10.0.0.1",
		"172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
		"0.0.0.0", "::1", "::", "fe80::1", "fc00::1", "fd12:3456::1", "::ffff:10.0.0.1",
		"::ffff:127.0.0.1", "::127.0.0.1" };
	static const char *const public[] = { "8.8.8.8", "172.15.0.1", "172.32.0.1", "192.167.1.1",
		"100.63.0.1", "100.128.0.1", "11.0.0.1", "2001:4860:4860::8888", "::ffff:8.8.8.8",
		"fb00::1", "", "example.com" };

	for (size_t i = 0; i < ARRAY_LENGTH(private); i++)
		ck_assert_msg(verdict_is_private(private[i]), "%s", private[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(public); i++)
		ck_assert_msg(!verdict_is_private(public[i]), "%s", public[i]);
}
END_TEST

START_TEST(whose_fault_it_is)
{
	static const int ours[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL, ENETUNREACH,
		EAFNOSUPPORT, EACCES, EPERM };
	static const int theirs[] = { 0, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ETIMEDOUT, EPIPE };

	for (size_t i = 0; i < ARRAY_LENGTH(ours); i++)
		ck_assert_msg(verdict_is_local(ours[i]), "%s", strerror(ours[i]));
	for (size_t i = 0; i < ARRAY_LENGTH(theirs); i++)
		ck_assert_msg(!verdict_is_local(theirs[i]), "%s", strerror(theirs[i]));
}
END_TEST

START_TEST(a_clock_before_the_release_is_wrong)
{
	ck_assert(verdict_clock_is_wrong(0));
	ck_assert(verdict_clock_is_wrong(INT64_C(1577836800) * US_PER_S)); /* 2020-01-01 */
	ck_assert(!verdict_clock_is_wrong(util_utc_us()));
	ck_assert(!verdict_clock_is_wrong(INT64_C(4102444800) * US_PER_S)); /* 2100-01-01 */
}
END_TEST

/*
 * A response of `status` with the body "all is well" becomes `r`, to a site that wants 200 and
 * `pattern`.
 */
static struct result r;
static bool negated;
static bool cut;

static bool long_list;
static int64_t took_us, starved_us, max_us;

#define LIMITED "(*LIMIT_MATCH=1)(.|l)+x?$"

static const struct result *
judge(int status, const char *pattern, bool redirects)
{
	static struct match *match;
	static char list[1000];
	static const struct status_range expect[] = { { 200, 200 }, { 301, 302 } };
	struct pattern patterns[] = { { .text = pattern, .negated = negated } };
	struct site site = { .expect_status = "200,301-302",
		.expect = expect,
		.expect_count = ARRAY_LENGTH(expect),
		.body_patterns = { patterns, pattern != NULL },
		.max_response_us = max_us };

	struct response response = { .status = status,
		.body = "all is well",
		.size = 11,
		.truncated = cut,
		.elapsed_us = took_us,
		.starved_us = starved_us,
		.redirects = redirects };

	if (long_list)
		site.expect_status = memset(list, '2', sizeof(list) - 1);
	if (match == NULL)
		match = match_new();
	response.match = match;
	result_init(&r);
	verdict_response(&r, &response, &site);
	return &r;
}

START_TEST(status_comes_first)
{
	ck_assert_int_eq(judge(200, NULL, false)->error, ERROR_NONE);
	ck_assert_int_eq(judge(302, "well", false)->error, ERROR_NONE);
	ck_assert_int_eq(judge(201, "well", false)->error, ERROR_HTTP_STATUS);
	ck_assert_str_eq(judge(500, "well", false)->error_message, "got 500, want 200,301-302");
	ck_assert_int_eq(judge(500, "no", false)->body_matched, TRISTATE_FALSE);
	ck_assert_int_eq(judge(200, "no", false)->error, ERROR_REGEX_MISMATCH);
	ck_assert_str_eq(judge(200, "no", false)->failed_regex, "no");
	ck_assert_int_eq(judge(200, NULL, false)->body_matched, TRISTATE_NULL);
	ck_assert_int_eq(judge(200, "well", false)->body_matched, TRISTATE_TRUE);
}
END_TEST

START_TEST(several_things_are_wrong)
{
	ck_assert_str_eq(
	    judge(500, "no", false)->error_message, "got 500, want 200,301-302 (and 1 more)");
	max_us = 1;
	took_us = 2;
	ck_assert_str_eq(
	    judge(500, "no", false)->error_message, "got 500, want 200,301-302 (and 2 more)");
	ck_assert_int_eq(judge(200, "no", false)->error, ERROR_REGEX_MISMATCH);
	ck_assert_int_eq(judge(200, LIMITED, false)->error, ERROR_SLOW);
	max_us = 0;
	/* a pattern that hit a limit may hold */
	ck_assert_str_eq(judge(500, LIMITED, false)->error_message, "got 500, want 200,301-302");
	ck_assert_int_eq(r.body_matched, TRISTATE_NULL);
	ck_assert_str_eq(r.failed_regex, LIMITED);
	ck_assert_int_eq(judge(200, LIMITED, false)->error, ERROR_REGEX_LIMIT);
	/* the end of a sentence that is too long is kept */
	long_list = true;
	judge(500, "no", false);
	long_list = false;
	ck_assert_uint_le(strlen(r.error_message), RESULT_MESSAGE_MAX);
	ck_assert_ptr_nonnull(strstr(r.error_message, "\xe2\x80\xa6 (and 1 more)"));
}
END_TEST

START_TEST(a_response_can_be_too_slow)
{
	max_us = US_PER_S;
	took_us = US_PER_S;
	ck_assert_int_eq(judge(200, NULL, false)->error, ERROR_NONE);
	took_us = US_PER_S + 1;
	ck_assert_int_eq(judge(200, NULL, false)->error, ERROR_SLOW);
	ck_assert_str_eq(r.error_message, "took 1.001 s, want at most 1 s");
	ck_assert(r.completed);
	took_us = 1230 * US_PER_MS;
	ck_assert_str_eq(judge(200, NULL, false)->error_message, "took 1.23 s, want at most 1 s");
	starved_us = 200 * US_PER_MS;
	ck_assert_int_eq(judge(200, NULL, false)->error, ERROR_SLOW);
	/* without that it may have been in time */
	starved_us = 230 * US_PER_MS;
	ck_assert_int_eq(judge(200, NULL, false)->error, ERROR_LOCAL);
	ck_assert_str_eq(r.error_message,
	    "this process was starved of CPU for 0.23 s of the 1.23 s that the response took");
	/* but not what is wrong all the same */
	ck_assert_str_eq(judge(500, NULL, false)->error_message, "got 500, want 200,301-302");
	max_us = 0;
	ck_assert_int_eq(judge(200, NULL, false)->error, ERROR_NONE);
}
END_TEST

START_TEST(redirects_that_are_not_followed)
{
	ck_assert_int_eq(judge(301, "well", true)->error, ERROR_NONE);
	ck_assert(judge(301, "well", true)->completed);
	ck_assert_int_eq(judge(303, "well", true)->error, ERROR_HTTP_STATUS);
	ck_assert_ptr_nonnull(strstr(r.error_message, "follow_redirects = 0"));
	ck_assert(r.completed);
	ck_assert_int_eq(r.body_matched, TRISTATE_TRUE);
	ck_assert_int_eq(judge(303, "well", false)->error, ERROR_HTTP_STATUS);
	ck_assert_ptr_null(strstr(r.error_message, "follow_redirects"));
}
END_TEST

START_TEST(the_pattern_is_named)
{
	char text[256];

	ck_assert_str_eq(
	    judge(200, "USD", false)->error_message, "the body does not match \"USD\"");
	negated = true;
	ck_assert_str_eq(judge(200, "w.ll", false)->error_message,
	    "the body matches \"w.ll\", which it must not");
	negated = false;
	ck_assert_str_eq(judge(200, LIMITED, false)->error_message,
	    "the pattern \"(*LIMIT_MATCH=1)(.|l)+x?$\" hit a limit on this body");
	/* a long one is cut, so that the line of the log still has the end of the sentence */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cut = true;
	judge(200, text, false);
	cut = false;
	ck_assert_ptr_nonnull(
	    strstr(r.error_message, "x\xe2\x80\xa6\" (it was cut at body_limit_kb)"));
	ck_assert_uint_lt(
	    strlen(r.error_message), sizeof(((struct wire_done *)NULL)->error_message));
	ck_assert_uint_eq(strlen(r.failed_regex), RESULT_REGEX_MAX);
}
END_TEST

/* Hold a response of `status` 200 against `site`, which gets what it wants of that. */
static const struct result *
hold(struct site *site, struct response *response, int64_t chain_expires_us)
{
	static const struct status_range any[] = { { 200, 200 } };

	site->expect = any;
	site->expect_count = 1;
	response->status = 200;
	result_init(&r);
	r.chain_expires_us = chain_expires_us;
	verdict_response(&r, response, site);
	return &r;
}

START_TEST(a_body_can_have_the_wrong_size)
{
	static const struct {
		int min, max;
		size_t size;
		bool truncated, partial;
		const char *why;
	} cases[] = {
		{ 0, 0, 0, false, false, "" },
		{ 5, 5, 5, false, false, "" },
		{ 6, 0, 5, false, false, "the body has 5 bytes, want at least 6" },
		{ 6, 0, 5, false, true,
		    "the body has 5 bytes, want at least 6 (of the compressed body only the first "
		    "part was read)" },
		{ 0, 4, 5, false, false, "the body has 5 bytes, want at most 4" },
		{ 0, 5, 5, true, false, "the body has more than 5 bytes, want at most 5" },
		{ 5, 0, 5, true, false, "" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct site site = { .min_body_bytes = cases[i].min,
			.max_body_bytes = cases[i].max };
		struct response response = { .body = "12345",
			.size = cases[i].size,
			.truncated = cases[i].truncated,
			.partial = cases[i].partial };

		hold(&site, &response, RESULT_NONE);
		ck_assert_str_eq(r.error_message, cases[i].why);
		ck_assert_int_eq(r.error, cases[i].why[0] == '\0' ? ERROR_NONE : ERROR_BODY_SIZE);
	}
}
END_TEST

START_TEST(certificates_can_end_soon)
{
	const int64_t now_us = INT64_C(1767225600) * US_PER_S, day_us = 86400 * US_PER_S;
	struct site site = { .cert_min_days = 14 };
	struct response response = {
		.body = "", .now_us = now_us, .first_to_end = "the root, CN=CA, ends on 2026-01-11"
	};

	ck_assert_int_eq(hold(&site, &response, now_us + 14 * day_us)->error, ERROR_NONE);
	hold(&site, &response, now_us + 14 * day_us - 1);
	ck_assert_int_eq(r.error, ERROR_CERT_EXPIRING);
	ck_assert_str_eq(
	    r.error_message, "the root, CN=CA, ends on 2026-01-11, in 13 days, want at least 14");
	response.first_to_end = "the root, CN=CA, ended on 2025-12-29";
	ck_assert_str_eq(hold(&site, &response, now_us - 3 * day_us)->error_message,
	    "the root, CN=CA, ended on 2025-12-29, 3 days ago, want at least 14");
	ck_assert_str_eq(hold(&site, &response, RESULT_NONE)->error_message,
	    "the response came without a certificate, want one for at least 14 days");
	site.cert_min_days = 0;
	ck_assert_int_eq(hold(&site, &response, now_us - day_us)->error, ERROR_NONE);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("verdict");
	TCase *tcase = tcase_create("verdict");

	tcase_add_test(tcase, where_redirects_may_not_lead);
	tcase_add_test(tcase, whose_fault_it_is);
	tcase_add_test(tcase, a_clock_before_the_release_is_wrong);
	tcase_add_test(tcase, status_comes_first);
	tcase_add_test(tcase, several_things_are_wrong);
	tcase_add_test(tcase, a_response_can_be_too_slow);
	tcase_add_test(tcase, redirects_that_are_not_followed);
	tcase_add_test(tcase, the_pattern_is_named);
	tcase_add_test(tcase, a_body_can_have_the_wrong_size);
	tcase_add_test(tcase, certificates_can_end_soon);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
