/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* JSON held against assertions: what they mean, and bodies that want to be more than a body. */
#include "checker/body_json.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "util.h"

static struct result r;
static struct json *json;

static bool
holds(const char *text, const char *body, size_t size)
{
	static struct match *match;
	struct pattern assertion = { .text = text };

	if (match == NULL)
		match = match_new();
	result_init(&r);
	return body_json_holds(
	    &r, &json, match, &(struct patterns){ &assertion, 1 }, body, size, "");
}

/* Too many for some versions of SQLite; what is asked of them is wrong in any case. */
#define MANY_VALUES ERROR_JSON_MISMATCH

#define BODY                                                                                       \
	"{\"status\": \"ok\", \"n\": 250, \"big\": 12345678901234567890, \"real\": 2.50, "         \
	"\"yes\": true, \"no\": false, \"nil\": null, \"queue\": [1, {\"a\": [\"x\", \"y\"]}], "   \
	"\"o\": {\"length\": 7, \"a b\": 1, \"caf\\u00e9\": \"\\u20ac \\\"5\\\"\", \"b\": [ ]}, "  \
	"\"twice\": 1, \"twice\": 2, \"huge\": 1e999, \"version\": \"2.10.1\", \"\": 3, "          \
	"\"five\": \"5\", \"min\": -9223372036854775808, \"next\": 9007199254740993}"

START_TEST(what_holds)
{
	static const struct {
		const char *text;
		const char *why; /* "": it holds */
	} cases[] = {
		{ "$.status == \"ok\"", "" },
		{ "$.status==\"ok\"", "" },
		{ "$.status == \"OK\"", "got \"ok\", want $.status == \"OK\"" },
		{ "$.status != \"down\"", "" },
		{ "$.status != \"ok\"", "got \"ok\", want $.status != \"ok\"" },
		{ "$.none", "got nothing, want $.none" },
		{ "$.none != 1", "got nothing, want $.none != 1" },
		{ "$.nil", "" },
		{ "$.nil == null", "" },
		{ "$.nil != null", "got null, want $.nil != null" },
		{ "$.yes == true", "" },
		{ "$.yes == 1", "got true, want $.yes == 1" },
		{ "$.no == false", "" },
		{ "$.no != true", "" },
		/* numbers */
		{ "$.n == 250", "" },
		{ "$.n == 250.0", "" },
		{ "$.n == 2.5e2", "" },
		{ "$.n < 100", "got 250, want $.n < 100" },
		{ "$.n<=250", "" },
		{ "$.n>= 251", "got 250, want $.n>= 251" },
		{ "$.n > -1", "" },
		{ "$.real == 2.5", "" },
		{ "$.huge > 1e308", "" },
		{ "$.big > 12345678901234500000", "" },
		{ "$.min == -9223372036854775808", "" },
		{ "$.next != 9007199254740992", "" },
		/* of different types nothing is equal, nor less */
		{ "$.five == 5", "got \"5\", want $.five == 5" },
		{ "$.five != 5", "" },
		{ "$.five < 6", "got \"5\", want $.five < 6" },
		{ "$.nil < 1", "got null, want $.nil < 1" },
		{ "$.status > \"oj\"", "" },
		{ "$.status < \"o\"", "got \"ok\", want $.status < \"o\"" },
		/* paths */
		{ "$", "" },
		{ "$ == 1", "got an object, want $ == 1" },
		{ "$.queue[0] == 1", "" },
		{ "$.queue[1].a[1] == \"y\"", "" },
		{ "$.queue[#-1].a[#-2] == \"x\"", "" },
		{ "$.queue[2]", "got nothing, want $.queue[2]" },
		{ "$.queue[#-3]", "got nothing, want $.queue[#-3]" },
		{ "$.queue[999999999]", "got nothing, want $.queue[999999999]" },
		{ "$.queue.length < 3", "" },
		{ "$.queue.length > 2", "got 2, want $.queue.length > 2" },
		{ "$.o.b.length == 0", "" },
		{ "$.o.length == 7", "" },
		{ "$.status.length", "got nothing, want $.status.length" },
		{ "$.queue.size", "got nothing, want $.queue.size" },
		{ "$.o[0]", "got nothing, want $.o[0]" },
		{ "$.o.\"a b\" == 1", "" },
		{ "$.\"o\".length", "" },
		{ "$.\"\" == 3", "" },
		{ "$.o.caf\xc3\xa9 =~ ^\xe2\x82\xac", "" },
		{ "$.o.caf\xc3\xa9 == \"\xe2\x82\xac \\\"5\\\"\"", "" },
		{ "$.o.caf\xc3\xa9 == 1", "got \"\xe2\x82\xac \"5\"\", want $.o.caf\xc3\xa9 == 1" },
		{ "$.twice == 1", "" },
		/* arrays and objects: as they are written, but for blanks */
		{ "$.queue == [1,{\"a\":[ \"x\",\"y\" ]}]", "" },
		{ "$.queue != []", "" },
		{ "$.o.b == []", "" },
		{ "$.queue == [1]", "got an array, want $.queue == [1]" },
		/* patterns */
		{ "$.version =~ ^2\\.[0-9]+", "" },
		{ "$.version =~ \"^2\\.\"", "" },
		{ "$.version =~ ^3", "got \"2.10.1\", want $.version =~ ^3" },
		{ "$.n =~ 250", "got 250, want $.n =~ 250" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char reason[256];

		ck_assert_msg(body_json_check(cases[i].text, reason, sizeof(reason)) == 0, "%s: %s",
		    cases[i].text, reason);
		ck_assert_msg(holds(cases[i].text, BODY, strlen(BODY)) == (cases[i].why[0] == '\0'),
		    "%s: %s", cases[i].text, r.error_message);
		ck_assert_str_eq(r.error_message, cases[i].why);
		ck_assert(r.error == ERROR_NONE || r.error == ERROR_JSON_MISMATCH);
	}
}
END_TEST

START_TEST(what_is_no_assertion)
{
	static const char *const cases[][2] = {
		{ "status == 1", "must begin with a path" },
		{ "", "must begin with a path" },
		{ "$status", "behind the path" },
		{ "$.", "behind a '.'" },
		{ "$.a..b", "behind a '.'" },
		{ "$.\"a", "behind a '.'" },
		{ "$.a[", "between '['" },
		{ "$.a[x]", "between '['" },
		{ "$.a[-1]", "between '['" },
		{ "$.a[#-0]", "between '['" },
		{ "$.a[\"b\"]", "between '['" },
		{ "$.a[9999999999]", "between '['" },
		{ "$.a = 1", "behind the path stands one of ==" },
		{ "$.a === 1", "behind the path stands one of ==" },
		{ "$.a <> 1", "behind the path stands one of ==" },
		{ "$.a contains 1", "behind the path stands one of ==" },
		{ "$.a == ", "behind the operator stands a value" },
		{ "$.a == ok", "not a JSON value" },
		{ "$.a == 'ok'", "not a JSON value" },
		{ "$.a == 01", "not a JSON value" },
		{ "$.a == +1", "not a JSON value" },
		{ "$.a == Infinity", "not a JSON value" },
		{ "$.a == 1, 2", "not a JSON value" },
		{ "$.a == {b: 1}", "not a JSON value" },
		{ "$.a < true", "only numbers and strings" },
		{ "$.a >= [1]", "only numbers and strings" },
		{ "$.a =~ a(b", "missing closing parenthesis at offset 3" },
	};
	char reason[256];

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		ck_assert_msg(
		    body_json_check(cases[i][0], reason, sizeof(reason)) == -1, "%s", cases[i][0]);
		ck_assert_msg(strstr(reason, cases[i][1]) != NULL, "%s: %s", cases[i][0], reason);
	}
}
END_TEST

START_TEST(what_is_no_json)
{
	static const struct {
		const char *body;
		size_t size;
	} cases[] = {
#define TEXT(text) { text, sizeof(text) - 1 }
		TEXT(""),
		TEXT(" "),
		TEXT("{"),
		TEXT("{\"a\":1"),
		TEXT("{\"a\":1}x"),
		TEXT("<p>"),
		TEXT("{'a':1}"),
		TEXT("{a:1}"),
		TEXT("[1,]"),
		TEXT("{\"a\":01}"),
		TEXT("NaN"),
		TEXT("{\"a\":+1}"),
		TEXT("{\"a\":.5}"),
		TEXT("{\"a\":0x10}"),
		TEXT("// x\n{}"),
		TEXT("{\"a\":1}\0"),
		TEXT("{\"a\":\"\0\"}"),
		TEXT("{\"a\":\"\n\"}"),
		TEXT("{\"a\":\"\\v\"}"),
		TEXT("{\"a\":\"\\u12\"}"),
		TEXT("1],[2"),
		TEXT("]["),
		TEXT("\xef\xbb\xbf"),
		TEXT("{\"a\":1}\xff"),
		TEXT("\"\\"),
		TEXT("\"\\u000"),
		/* what a newer SQLite reads as a JSON of its own */
		TEXT("\x0b"),
		TEXT("\x13\x31"),
		TEXT("\x1c\x17"
		     "a"),
		TEXT("\xcc\x0c\x47status"),
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		ck_assert_msg(!holds("$", cases[i].body, cases[i].size), "%s", cases[i].body);
		ck_assert_int_eq(r.error, ERROR_JSON_MISMATCH);
		ck_assert_str_eq(r.error_message, "the body is not JSON");
	}
	ck_assert(!holds("$.a", "{\"a\":\"x\\u0000\"}", 15));
	ck_assert_str_eq(r.error_message, "the body has \\u0000 in a string");
	ck_assert(holds("$.a == \"\\\\u0000\"", "{\"a\":\"\\\\u0000\"}", 15));
}
END_TEST

START_TEST(what_is_odd_but_json)
{
	static const struct {
		const char *body, *text;
	} cases[] = { { "3", "$ == 3" }, { "\"x\"", "$ == \"x\"" }, { " null\n", "$ == null" },
		{ "\xef\xbb\xbf{\"a\":1}", "$.a == 1" }, { "{\"a\":\"\\ud83d\\ude00\"}", "$.a" },
		{ "{\"a\":\"\\ud800\"}", "$.a =~ ." }, { "{\"a\":\"\xff\"}", "$.a != \"x\"" },
		{ "{\"a\":1e99999}", "$.a > 1" }, { "{\"a\":-1e-99999}", "$.a <= 0" },
		{ "[[[]]]", "$[0][0] == []" }, { "{\"a\":\"\\/\\b\"}", "$.a == \"/\\b\"" } };

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		ck_assert_msg(holds(cases[i].text, cases[i].body, strlen(cases[i].body)) ||
				  r.error == ERROR_REGEX_LIMIT ||
				  strcmp(cases[i].text, "$.a =~ .") == 0,
		    "%s: %s", cases[i].body, r.error_message);
}
END_TEST

/* `unit` again and again, up to a MiB. */
static char *
repeat(const char *start, const char *unit, const char *end)
{
	size_t size = 1024 * 1024, n = strlen(unit);
	char *body = malloc(size + 1), *at = stpcpy(body, start);

	while ((size_t)(at - body) + n + strlen(end) <= size)
		at = stpcpy(at, unit);
	stpcpy(at, end);
	return body;
}

/* Each ends in a word, and soon. From 3.45 on SQLite takes less memory for many values. */
START_TEST(what_is_hostile)
{
	static const struct {
		const char *start, *unit, *end, *text;
		enum error_type error;
	} cases[] = {
		{ "", "[", "", "$.a", ERROR_LOCAL },
		{ "", "{\"a\":", "", "$.a", ERROR_LOCAL },
		{ "[0", ",0", "]", "$[400000] == 1", MANY_VALUES },
		{ "[0", ",[]", "]", "$.length < 1", MANY_VALUES },
		{ "{\"a\":0", ",\"a\":0", "}", "$.b", MANY_VALUES },
		{ "[0", ",{\"id\": 12345, \"name\": \"some text\", \"ok\": true}", "]",
		    "$.length < 20000", ERROR_JSON_MISMATCH },
		{ "{\"a\":\"", "\\u20ac", "\"}", "$.a =~ (.+)+$x", ERROR_REGEX_LIMIT },
		{ "{\"a\":\"", "a", "\"}", "$.a =~ ^(a|aa)+$x", ERROR_REGEX_LIMIT },
		{ "{\"a\":\"", "x", "\"}", "$.a == \"x\"", ERROR_JSON_MISMATCH },
		{ "{\"a\":", "9", "}", "$.a == 9", ERROR_JSON_MISMATCH },
		{ "{\"a\":", "\"", "}", "$.a == 9", ERROR_JSON_MISMATCH },
		{ "", "\\", "", "$.a == 9", ERROR_JSON_MISMATCH },
		{ "", " ", "{}", "$.a == 9", ERROR_JSON_MISMATCH },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char *body = repeat(cases[i].start, cases[i].unit, cases[i].end);
		int64_t begun_us = util_cpu_us();

		holds(cases[i].text, body, strlen(body));
		if (getenv("SHOW") != NULL)
			fprintf(stderr, "%zu: %s: %s, %d ms\n", i, error_type_name(r.error),
			    r.error_message, (int)((util_cpu_us() - begun_us) / 1000));
		if (cases[i].error == MANY_VALUES && r.error == ERROR_LOCAL)
			ck_assert_ptr_nonnull(strstr(r.error_message, "it has too many values"));
		else
			ck_assert_msg(
			    r.error == cases[i].error, "%zu: %d: %s", i, r.error, r.error_message);
		free(body);
	}
	/* and the next one is judged as ever */
	ck_assert(holds("$.status == \"ok\"", BODY, strlen(BODY)));
}
END_TEST

/* As deep as may be, in SQLite too. */
START_TEST(deep_nesting)
{
	char body[1003] = "";

	for (int depth = 499; depth <= 501; depth++) {
		memset(body, '[', (size_t)depth);
		memset(body + depth, ']', (size_t)depth);
		holds("$[0][0]", body, 2 * (size_t)depth);
		ck_assert_int_eq(r.error, depth <= 500 ? ERROR_NONE : ERROR_LOCAL);
	}
	ck_assert_str_eq(r.error_message,
	    "the JSON of this body hit a limit of webmond: it is nested too deeply");
	/* brackets in strings are none */
	memset(body, '[', 1002);
	body[0] = body[1001] = '"';
	ck_assert(holds("$", body, 1002));
}
END_TEST

START_TEST(several_assertions)
{
	struct pattern two[] = { { .text = "$.a == 1" }, { .text = "$.b == 1" } };
	struct patterns list = { two, 2 };
	struct match *match = match_new();

	result_init(&r);
	ck_assert(body_json_holds(&r, &json, match, &list, "{\"a\":1,\"b\":1}", 13, ""));
	ck_assert(!body_json_holds(&r, &json, match, &list, "{\"a\":1,\"b\":2}", 13, ""));
	ck_assert_str_eq(r.error_message, "got 2, want $.b == 1");
	ck_assert(!body_json_holds(&r, &json, match, &list, "{\"a\":1,", 7, " (cut)"));
	ck_assert_str_eq(r.error_message, "the body is not JSON (cut)");
	match_free(match);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("body_json");
	TCase *tcase = tcase_create("body_json");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, what_holds);
	tcase_add_test(tcase, what_is_no_assertion);
	tcase_add_test(tcase, what_is_no_json);
	tcase_add_test(tcase, what_is_odd_but_json);
	tcase_add_test(tcase, what_is_hostile);
	tcase_add_test(tcase, deep_nesting);
	tcase_add_test(tcase, several_assertions);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
