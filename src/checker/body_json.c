/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A body held against body_json. Called by verdict.c and by the validation child; nothing is fatal.
 */
#include "body_json.h"

#include <stdio.h>
#include <string.h>

#include "json_assertion.h"
#include "json_value.h"
#include "util.h"

/* SQLite's own limit is 1000 or 2000, in some versions with time that grows with the depth. */
#define DEPTH_MAX 500

/* How much of a value and of an assertion a sentence names. */
#define NAMED_MAX  64
#define WANTED_MAX 128

/* Whether two values of one kind are as they should be; `order` is which is greater. */
static bool
is_right(enum json_relation relation, enum json_kind kind, int order)
{
	bool ordered = kind == JSON_NUMBER || kind == JSON_STRING;

	switch (relation) {
	case JSON_EQUAL:
		return order == 0;
	case JSON_NOT_EQUAL:
		return order != 0;
	case JSON_AT_MOST:
		return ordered && order <= 0;
	case JSON_AT_LEAST:
		return ordered && order >= 0;
	case JSON_LESS:
		return ordered && order < 0;
	default:
		return ordered && order > 0;
	}
}

/* Whether what was found is what is asked for. */
static bool
holds(struct json *j, struct match *match, const struct json_assertion *a,
    const struct json_value *found, enum json_outcome *outcome)
{
	enum match_outcome matched;
	struct json_value wanted;
	bool good = false;
	int order;

	if (a->relation == JSON_EXISTS)
		return true;
	if (a->relation == JSON_MATCHES) {
		if (found->kind != JSON_STRING)
			return false;
		matched = match_find(match, a->value, a->value_size, found->text, found->size);
		*outcome = matched == MATCH_LIMIT ? JSON_LIMIT : JSON_FOUND;
		return matched == MATCH_HOLDS;
	}
	*outcome = json_read(j, a->value, a->value_size, &wanted);
	if (*outcome != JSON_FOUND)
		return false;
	if (found->kind != wanted.kind)
		return a->relation == JSON_NOT_EQUAL;
	*outcome = json_decode(j, &wanted);
	if (*outcome == JSON_FOUND)
		*outcome = json_compare(j, found, &wanted, &order);
	if (*outcome == JSON_FOUND)
		good = is_right(a->relation, found->kind, order);
	json_release(&wanted);
	return good;
}

/* What was found, as it stands in a sentence. */
static void
describe(char out[NAMED_MAX + 3], struct json_value *found)
{
	static const char *const words[] = { "null", "false", "true", NULL, NULL, "an array",
		"an object" };
	const char *quote = found->kind == JSON_STRING ? "\"" : "";
	char text[NAMED_MAX + 1];

	if (words[found->kind] != NULL) {
		snprintf(out, NAMED_MAX + 3, "%s", words[found->kind]);
		return;
	}
	if (found->kind == JSON_NUMBER)
		json_print(found);
	util_clean_text(text, sizeof(text), found->text, found->size);
	snprintf(out, NAMED_MAX + 3, "%s%s%s", quote, text, quote);
}

/*
 * What no version of SQLite is asked about, or NULL; `*too_deep`: nor can anything be said of it.
 */
static const char *
refuse(const char *body, size_t size, bool *too_deep)
{
	bool in_string = false;
	int depth = 0;

	for (const char *c = body; c < body + size; c++) {
		if (*c == '\0')
			return "the body is not JSON";
		if (*c == '"')
			in_string = !in_string;
		else if (in_string && *c == '\\') {
			if (body + size - c > 5 && memcmp(c, "\\u0000", 6) == 0)
				return "the body has \\u0000 in a string";
			c++;
		} else if (!in_string && (*c == '[' || *c == '{')) {
			*too_deep |= ++depth > DEPTH_MAX;
		} else if (!in_string && (*c == ']' || *c == '}')) {
			depth--;
		}
	}
	return NULL;
}

/* A limit of ours says nothing about the site. */
static void
fail_at_limit(struct result *r, const char *where)
{
	if (r->error == ERROR_NONE)
		result_fail(
		    r, ERROR_LOCAL, "the JSON of this body hit a limit of webmond: %s", where);
}

/* Hold one assertion against the body. False: `r` has its verdict. */
static bool
judge(struct result *r, struct json *j, struct match *match, const char *text,
    const struct json_value *whole)
{
	struct json_assertion a;
	struct json_value found = { 0 };
	char wanted[WANTED_MAX + 1], got[NAMED_MAX + 3] = "nothing";
	enum json_outcome outcome = JSON_LIMIT;
	bool good = false;

	util_clean_text(wanted, sizeof(wanted), text, strlen(text));
	if (json_assertion_read(&a, text) == NULL) /* it was validated */
		outcome = json_find(j, whole, a.path, &found);
	if (outcome == JSON_FOUND) {
		good = holds(j, match, &a, &found, &outcome);
		describe(got, &found);
	}
	json_release(&found);
	if (outcome == JSON_LIMIT && a.relation == JSON_MATCHES && got[0] == '"') {
		if (r->error == ERROR_NONE)
			result_fail(r, ERROR_REGEX_LIMIT,
			    "the pattern of %s hit a limit on this body", wanted);
		return true;
	}
	if (outcome == JSON_LIMIT)
		fail_at_limit(r, wanted);
	else if (!good)
		result_fail(r, ERROR_JSON_MISMATCH, "got %s, want %s", got, wanted);
	return good || outcome == JSON_LIMIT;
}

/* Hold all assertions against a body that may be anything. */
static bool
judge_all(struct result *r, struct json *j, struct match *match, const struct patterns *assertions,
    const char *body, size_t size, const char *missing)
{
	struct json_value whole = { 0 };
	enum json_outcome outcome = JSON_NOT_FOUND;
	bool too_deep = false, good = true;
	const char *refused = refuse(body, size, &too_deep);

	if (refused == NULL && too_deep) {
		fail_at_limit(r, "it is nested too deeply");
		return true;
	}
	if (refused == NULL)
		outcome = json_read(j, body, size, &whole);
	if (outcome == JSON_LIMIT) {
		fail_at_limit(r, "it has too many values");
		return true;
	}
	if (outcome == JSON_NOT_FOUND) {
		result_fail(r, ERROR_JSON_MISMATCH, "%s%s",
		    refused != NULL ? refused : "the body is not JSON", missing);
		return false;
	}
	match_begin(match);
	for (size_t i = 0; i < assertions->count && good; i++)
		good = judge(r, j, match, assertions->items[i].text, &whole);
	return good;
}

bool
body_json_holds(struct result *r, struct json **json, struct match *match,
    const struct patterns *assertions, const char *body, size_t size, const char *missing)
{
	static const char mark[] = "\xef\xbb\xbf"; /* byte order mark */
	bool good;

	if (size >= 3 && memcmp(body, mark, 3) == 0)
		body += 3, size -= 3;
	if (*json == NULL)
		*json = json_open();
	if (*json == NULL) {
		fail_at_limit(r, "no memory");
		return true;
	}
	json_begin(*json, size);
	good = judge_all(r, *json, match, assertions, body, size, missing);
	json_end(*json, size);
	return good;
}

int
body_json_check(const char *text, char *reason, size_t size)
{
	static struct json *j; /* to open it takes longer than all that is done with it */
	struct json_assertion a;
	struct json_value value = { 0 };
	const char *wrong = json_assertion_read(&a, text);
	bool is_ordered = a.relation >= JSON_AT_MOST, too_deep = false;

	if (wrong == NULL && a.relation == JSON_MATCHES)
		return match_check(a.value, a.value_size, reason, size);
	if (wrong == NULL && j == NULL && (j = json_open()) == NULL)
		wrong = "SQLite cannot be used: it has no JSON functions, or memory is short";
	if (wrong == NULL && a.relation != JSON_EXISTS) {
		if (refuse(a.value, a.value_size, &too_deep) != NULL || too_deep ||
		    json_read(j, a.value, a.value_size, &value) != JSON_FOUND)
			wrong = "what follows the operator is not a JSON value: strings need "
				"double quotes, as in " JSON_EXAMPLE;
		else if (is_ordered && value.kind != JSON_NUMBER && value.kind != JSON_STRING)
			wrong = "only numbers and strings are less or greater than others; use == "
				"or !=";
	}
	json_release(&value);
	snprintf(reason, size, "%s", wrong != NULL ? wrong : "");
	return wrong != NULL ? -1 : 0;
}
