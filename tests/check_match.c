/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Patterns: all of these, none of those, and limits that are neither. */
#include "checker/match.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

static const struct pattern *decisive;

static enum match_outcome
match_one(const char *text, bool negated, const char *body, size_t size)
{
	static struct match *match;
	struct pattern pattern = { .text = text, .negated = negated };
	struct site site = { .body_patterns = { &pattern, 1 } };

	if (match == NULL)
		match = match_new();
	return match_body(match, &site.body_patterns, body, size, &decisive);
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
		{ "nope", "Add to cart", true, MATCH_HOLDS }, { "^$", "", false, MATCH_HOLDS },
		{ "\\bto\\b", "Add to cart", false, MATCH_HOLDS },
		{ "caf\xc3\xa9", "un caf\xc3\xa9", false, MATCH_HOLDS },
		{ "b", "\xff\xfe b", false, MATCH_HOLDS }, { "(?<=a)b", "ab", false, MATCH_HOLDS },
		/* Unicode */
		{ "\\b\xc3\x9c"
		  "bersicht\\b",
		    "Die \xc3\x9c"
		    "bersicht",
		    false, MATCH_HOLDS },
		{ "Die \\w+ \xc3\xbc"
		  "ber",
		    "Die \xc3\x9c"
		    "bung \xc3\xbc"
		    "ber",
		    false, MATCH_HOLDS },
		{ "10\\s000",
		    "10\xc2\xa0"
		    "000",
		    false, MATCH_HOLDS },
		{ "(?i)\xc3\xbc", "\xc3\x9c", false, MATCH_HOLDS },
		{ "^\\d+$", "\xd9\xa3", false, MATCH_HOLDS },
		{ "^[0-9]+$", "\xd9\xa3", false, MATCH_FAILS },
		{ "\\w", "\xc3", false, MATCH_FAILS }, /* half a character */
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

/* From each start position it walks to the end: no single one of them takes many steps. */
START_TEST(quadratic_searches_are_limits)
{
	const size_t size = 512 * 1024;
	char *body = malloc(size);

	memset(body, 'a', size);
	body[size - 1] = 'b';
	ck_assert_int_eq(match_one("(?<!z)[ac]*b\\d", false, body, size), MATCH_LIMIT);
	/* and the same body is no trouble for others */
	ck_assert_int_eq(match_one("a+b$", false, body, size), MATCH_HOLDS);
	ck_assert_int_eq(match_one("needle", false, body, size), MATCH_FAILS);
	free(body);
}
END_TEST

/* Searches of long bodies go in stretches of start positions; none may fall between two. */
START_TEST(matches_are_found_at_every_place)
{
	static const char needle[] = "\xc3\xa9needle";
	const size_t size = 1024 * 1024, length = sizeof(needle) - 1;
	char *body = malloc(size);

	memset(body, '.', size);
	for (size_t i = 0; i < 1000; i++) {
		size_t at = i < 900 ? i : size - length - (i - 900);

		memcpy(body + at, needle, length);
		ck_assert_int_eq(match_one(needle, false, body, size), MATCH_HOLDS);
		ck_assert_int_eq(match_one("(?<=\xc3\xa9)needle", false, body, size), MATCH_HOLDS);
		ck_assert_int_eq(match_one("^\xc3\xa9needle", false, body, size),
		    at == 0 ? MATCH_HOLDS : MATCH_FAILS);
		ck_assert_int_eq(match_one("\\Gneedle", false, body, size), MATCH_FAILS);
		memset(body + at, '.', length);
	}
	ck_assert_int_eq(match_one("$", false, body, size), MATCH_HOLDS);
	memset(body, 0x80, size);
	body[size - 1] = 'x';
	ck_assert_int_eq(match_one("x$", false, body, size), MATCH_HOLDS);
	free(body);
}
END_TEST

/* Verbs that rule the search see all of it: the same verdict, however long the body. */
START_TEST(verdicts_do_not_depend_on_the_size)
{
	static const struct {
		const char *text, *first, *last;
		enum match_outcome outcome;
	} cases[] = {
		{ "a(*COMMIT)b", "aX", "ab", MATCH_FAILS },
		{ "(?:a(*COMMIT:name)b|ab)", "aX", "ab", MATCH_FAILS },
		{ "a(*COMMIT)b", "..", "ab", MATCH_HOLDS },
		{ "a.*(*SKIP)b|c", "aX", "..bc", MATCH_FAILS },
		{ "[aX].*(*SKIP)c|x", "aX", "..x", MATCH_FAILS },
		{ "q(*SKIP)(*F)|ab", "q", "ab", MATCH_HOLDS },
		{ "(?:x|\\Gab)", "..", "ab", MATCH_FAILS },
		{ "(?:x|\\Gab)", "ab", "..", MATCH_HOLDS },
		{ "a(*PRUNE)b", "aX", "ab", MATCH_HOLDS },
		{ "a(*THEN)b|aX", "..", "aX", MATCH_HOLDS },
		{ "(?:a(*ACCEPT)b|c)d", "..", "a.", MATCH_HOLDS },
	};
	static const size_t sizes[] = { 10, 1000, 64 * 1024, 900 * 1024 };

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		for (size_t k = 0; k < ARRAY_LENGTH(sizes); k++) {
			char *body = malloc(sizes[k]);
			size_t first = strlen(cases[i].first), last = strlen(cases[i].last);

			memset(body, '-', sizes[k]);
			memcpy(body, cases[i].first, first);
			memcpy(body + sizes[k] - last, cases[i].last, last);
			ck_assert_msg(
			    match_one(cases[i].text, false, body, sizes[k]) == cases[i].outcome,
			    "%s in %zu bytes", cases[i].text, sizes[k]);
			free(body);
		}
}
END_TEST

/* They cannot be searched in stretches, and all the same not for ever. */
START_TEST(searches_in_one_piece_have_a_limit)
{
	const size_t size = 4 * 1024 * 1024;
	char *body = malloc(size);

	memset(body, 'a', size);
	body[size - 1] = 'b';
	ck_assert_int_eq(match_one("(?<!z)[ac]*b\\d(*COMMIT)", false, body, size), MATCH_LIMIT);
	ck_assert_int_eq(match_one("(*COMMIT)^(a+)+$", false, body, size), MATCH_LIMIT);
	ck_assert_int_eq(match_one("a+b(*COMMIT)$", false, body, size), MATCH_HOLDS);
	free(body);
}
END_TEST

START_TEST(the_first_that_decides_is_named)
{
	struct pattern patterns[] = { { .text = "a" }, { .text = "x" }, { .text = "y" } };
	struct site site = { .body_patterns = { patterns, 3 } };
	struct match *match = match_new();

	ck_assert_int_eq(match_body(match, &site.body_patterns, "abc", 3, &decisive), MATCH_FAILS);
	ck_assert_ptr_eq(decisive, &patterns[1]);
	ck_assert_int_eq(match_body(match, &site.body_patterns, "axy", 3, &decisive), MATCH_HOLDS);
	ck_assert_ptr_null(decisive);
	match_free(match);
}
END_TEST

START_TEST(bad_patterns_have_an_offset)
{
	char reason[256];

	ck_assert_int_eq(match_check("ok", 2, reason, sizeof(reason)), 0);
	ck_assert_int_eq(match_check("a(b", 3, reason, sizeof(reason)), -1);
	ck_assert_ptr_nonnull(strstr(reason, "at offset 3"));
	ck_assert_int_eq(match_check("\\C", 2, reason, sizeof(reason)), -1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("match");
	TCase *tcase = tcase_create("match");

	tcase_set_timeout(tcase, 60); /* a busy machine, sanitizers */
	tcase_add_test(tcase, what_matches);
	tcase_add_test(tcase, bodies_may_hold_zero_bytes);
	tcase_add_test(tcase, explosions_are_limits);
	tcase_add_test(tcase, quadratic_searches_are_limits);
	tcase_add_test(tcase, matches_are_found_at_every_place);
	tcase_add_test(tcase, verdicts_do_not_depend_on_the_size);
	tcase_add_test(tcase, searches_in_one_piece_have_a_limit);
	tcase_add_test(tcase, the_first_that_decides_is_named);
	tcase_add_test(tcase, bad_patterns_have_an_offset);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
