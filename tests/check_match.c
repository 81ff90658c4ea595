/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Patterns: all of these, none of those, and limits that are neither. */
#include "match.h"

#include <check.h>
#include <string.h>

static const struct pattern *decisive;

static enum match_outcome
match_one(const char *text, bool negated, const char *body, size_t size)
{
	static struct match *match;
	struct pattern pattern = { .text = text, .negated = negated };
	struct site site = { .patterns = &pattern, .pattern_count = 1 };

	if (match == NULL)
		match = match_new();
	return match_body(match, &site, body, size, &decisive);
}

START_TEST(what_matches)
{
	static const struct {
		const char *text, *body;
		bool negated;
		enum match_outcome outcome;
	} cases[] = {
		{ "cart", "Add to cart", false, MATCH_HOLDS },
		{ "cart", "Add to cart", true, MATCH_FAILS },
		{ "nope", "Add to cart", false, MATCH_FAILS },
		{ "nope", "Add to cart", true, MATCH_HOLDS },
		{ "^$", "", false, MATCH_HOLDS },
		{ "\\bto\\b", "Add to cart", false, MATCH_HOLDS },
		{ "caf\xc3\xa9", "un caf\xc3\xa9", false, MATCH_HOLDS },
		{ "b", "\xff\xfe b", false, MATCH_HOLDS },
		{ "(?<=a)b", "ab", false, MATCH_HOLDS },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		ck_assert_int_eq(match_one(cases[i].text, cases[i].negated, cases[i].body,
				     strlen(cases[i].body)),
		    cases[i].outcome);
}
END_TEST

START_TEST(bodies_may_hold_zero_bytes)
{
	ck_assert_int_eq(match_one("end", false, "a\0b\0end", 7), MATCH_HOLDS);
}
END_TEST

START_TEST(explosions_are_limits)
{
	static char body[65536];

	memset(body, 'a', sizeof(body));
	body[60] = '!';
	ck_assert_int_eq(match_one("^(a+)+$", false, body, 61), MATCH_LIMIT);
	ck_assert_ptr_nonnull(decisive);
}
END_TEST

START_TEST(the_first_that_decides_is_named)
{
	struct pattern patterns[] = { { .text = "a" }, { .text = "x" }, { .text = "y" } };
	struct site site = { .patterns = patterns, .pattern_count = 3 };
	struct match *match = match_new();

	ck_assert_int_eq(match_body(match, &site, "abc", 3, &decisive), MATCH_FAILS);
	ck_assert_ptr_eq(decisive, &patterns[1]);
	ck_assert_int_eq(match_body(match, &site, "axy", 3, &decisive), MATCH_HOLDS);
	ck_assert_ptr_null(decisive);
	match_free(match);
}
END_TEST

START_TEST(bad_patterns_have_an_offset)
{
	char reason[256];

	ck_assert_int_eq(match_check("ok", reason, sizeof(reason)), 0);
	ck_assert_int_eq(match_check("a(b", reason, sizeof(reason)), -1);
	ck_assert_ptr_nonnull(strstr(reason, "at offset 3"));
	ck_assert_int_eq(match_check("\\C", reason, sizeof(reason)), -1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("match");
	TCase *tcase = tcase_create("match");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, what_matches);
	tcase_add_test(tcase, bodies_may_hold_zero_bytes);
	tcase_add_test(tcase, explosions_are_limits);
	tcase_add_test(tcase, the_first_that_decides_is_named);
	tcase_add_test(tcase, bad_patterns_have_an_offset);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
