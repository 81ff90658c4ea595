/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Secrets that a server sends back are not shown. */
#include "checker/mask.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "suite.h"
#include "util.h"

/* What becomes of `text` in a result of a site with these files. */
static const char *
masked(const char *text)
{
	static struct result r;
	static const char *lines[] = { "X-Key: header-secret", "X-Short: ab",
		"X-Other: header-value-2", "Authorization: Bearer Token-1234",
		"Cookie: sid=cookie-1; b=correcthorsebattery", NULL };
	static char password[] = "p\xc3\xa4ssword", token[] = "abc",
		    body[] = "{\"user\":\"u\", \"key\":1,\n\"password\": \"my secret\"}";
	const struct file files[FILE_COUNT] = { [FILE_PASSWORD] = { password, 9, NULL },
		[FILE_TOKEN] = { token, 3, NULL },
		[FILE_BODY] = { body, strlen(body), NULL },
		[FILE_HEADERS] = { (char *)"", 0, lines } };
	const struct site site = { .username = "u" };

	result_init(&r);
	result_fail(&r, ERROR_JSON_MISMATCH, "%s", text);
	util_clean_text(r.body_sample, sizeof(r.body_sample), text, strlen(text));
	util_clean_text(r.final_url, sizeof(r.final_url), text, strlen(text));
	mask_secrets(&r, &site, files);
	ck_assert_str_eq(r.body_sample, r.error_message);
	ck_assert_str_eq(r.final_url, r.error_message);
	return r.error_message;
}

START_TEST(secrets_are_overwritten)
{
	static const char *const cases[][2] = {
		{ "nothing of it, ab and passwords", "nothing of it, ab and passwords" },
		{ "got p\xc3\xa4ssword, p\xc3\xa4ssword!", "got *********, *********!" },
		{ "Basic dTpww6Rzc3dvcmQ=", "Basic ****************" },
		{ "abcabc ab", "****** ab" },
		/* they begin alike */
		{ "header-value-2 header-secret", "************** *************" },
		/* cut */
		{ "header-secr\xe2\x80\xa6", "***********\xe2\x80\xa6" },
		{ "heade\xe2\x80\xa6", "heade\xe2\x80\xa6" },
		/* of a body only what is long enough to be nothing else */
		{ "{\"user\":\"x\"}", "{\"user\":\"x\"}" },
		{ "{\"user\":\"u\", \"key\":2}", "*******************2}" },
		/* words of a header and a body, but not those of any sentence */
		{ "the Token-1234 of Bearer", "the ********** of ******" },
		{ "a cookie-1 and correcthorsebattery", "a ******** and *******************" },
		{ "the password my secret", "the password *********" },
		{ "the Token-12 and Token-12…", "the Token-12 and ********…" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		ck_assert_str_eq(masked(cases[i][0]), cases[i][1]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("mask");
	TCase *tcase = tcase_create("mask");

	tcase_add_test(tcase, secrets_are_overwritten);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
