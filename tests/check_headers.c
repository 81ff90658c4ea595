/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Header fields as they come, held against patterns. */
#include "checker/headers.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "util.h"

static struct result r;
static struct match *match;
static bool record_query = true;

/* Hold the lines of `response` against one pattern. */
static bool
holds(const char *response, size_t size, const char *text, bool negated)
{
	struct pattern pattern = { .text = text, .negated = negated };
	struct headers headers = { 0 };
	bool good;

	for (const char *end; size > 0; size -= (size_t)(end - response), response = end) {
		end = memchr(response, '\n', size);
		end = end != NULL ? end + 1 : response + size;
		headers_add(&headers, response, (size_t)(end - response));
	}
	if (match == NULL)
		match = match_new();
	result_init(&r);
	good = headers_hold(&r, &headers, match,
	    &(struct site){ .header_patterns = { &pattern, 1 }, .record_query = record_query });
	free(headers.text);
	return good;
}

#define RESPONSE                                                                                   \
	"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nX-Empty:\r\n"                \
	"Set-Cookie: a=1\r\nset-cookie:b=2\r\nX-Folded: one\r\n\t two\r\nX-Odd\r\n: y\r\n\r\n"     \
	"X-Trailer: 1\r\n\r\n"

START_TEST(what_holds)
{
	static const struct {
		const char *text;
		bool negated, good;
		const char *why;
	} cases[] = {
		{ "Content-Type: ^text/html", false, true, "" },
		{ "content-type:^text/html; charset=utf-8$", false, true, "" },
		{ "Content-Type: json", false, false,
		    "the header Content-Type is \"text/html; charset=utf-8\", want \"json\"" },
		{ "Content-Type: json", true, true, "" },
		{ "Content-Type: html", true, false,
		    "the header Content-Type is \"text/html; charset=utf-8\", want none with "
		    "\"html\"" },
		/* absent */
		{ "X-None: .", false, false, "there is no header X-None, want \".\"" },
		{ "X-None: .", true, true, "" },
		{ "X-Empty: ^$", false, true, "" },
		{ "X-Empty: .", false, false, "the header X-Empty is \"\", want \".\"" },
		/* several: any */
		{ "Set-Cookie: ^a", false, true, "" },
		{ "Set-Cookie: ^b=2$", false, true, "" },
		{ "Set-Cookie: ^c", false, false, "the header Set-Cookie is \"a=1\", want \"^c\"" },
		{ "Set-Cookie: ^b", true, false,
		    "the header Set-Cookie is \"b=2\", want none with \"^b\"" },
		/* one field on two lines */
		{ "X-Folded: ^one two$", false, true, "" },
		/* no fields, and no prefix of a name */
		{ "X-Odd: ", true, true, "" },
		{ "X-Trailer: 1", true, true, "" },
		{ "Content: html", true, true, "" },
		{ "Set-Cookie: (*LIMIT_MATCH=1)(.|l)+x?$", false, true,
		    "the pattern \"(*LIMIT_MATCH=1)(.|l)+x?$\" hit a limit on the header "
		    "Set-Cookie" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		bool good = holds(RESPONSE, strlen(RESPONSE), cases[i].text, cases[i].negated);

		ck_assert_str_eq(r.error_message, cases[i].why);
		ck_assert_msg(good == cases[i].good, "%s", cases[i].text);
	}
	ck_assert_int_eq(r.error, ERROR_REGEX_LIMIT);
	ck_assert_int_eq(result_status(r.error), STATUS_UNKNOWN);
}
END_TEST

START_TEST(queries_are_kept_back)
{
	static const char text[] = "HTTP/1.1 302 Found\r\nLocation: http://a/b?key=1\r\n\r\n";

	record_query = false;
	ck_assert(!holds(text, strlen(text), "Location: /c", false));
	ck_assert_str_eq(r.error_message, "the header Location is \"http://a/b\", want \"/c\"");
	record_query = true;
}
END_TEST

START_TEST(only_the_last_response_counts)
{
	static const char text[] =
	    "HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\n"
	    "HTTP/1.1 302 Found\r\nX-A: 2\r\n\r\nHTTP/2 200 \r\nx-b: 3\r\n\r\n";

	ck_assert(holds(text, strlen(text), "X-A: .", true));
	ck_assert(holds(text, strlen(text), "X-B: 3", false));
}
END_TEST

START_TEST(any_bytes)
{
	static const char text[] = "X: a\0b\xff\n: \n \n\t\nX:\n:\n\r\nX: late";
	static char many[200000];

	ck_assert(!holds(text, sizeof(text) - 1, "X: c", false));
	ck_assert_int_eq(r.error, ERROR_HEADER_MISMATCH);
	ck_assert_str_eq(r.error_message, "the header X is \"a b\xef\xbf\xbd\", want \"c\"");
	ck_assert(!holds("", 0, "X: c", false));
	/* in the middle of which the time for patterns is over */
	memset(many, 'a', sizeof(many));
	for (size_t n = 0; n + 20 < sizeof(many); n += 20) {
		many[n] = 'A';
		many[n + 1] = ':';
		many[n + 18] = '!';
		many[n + 19] = '\n';
	}
	ck_assert(holds(many, sizeof(many) - 20, "A: ^(?:(a|a|a|b)+)+$", false));
	ck_assert_int_eq(r.error, ERROR_REGEX_LIMIT);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("headers");
	TCase *tcase = tcase_create("headers");

	tcase_add_test(tcase, what_holds);
	tcase_add_test(tcase, queries_are_kept_back);
	tcase_add_test(tcase, only_the_last_response_counts);
	tcase_add_test(tcase, any_bytes);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
