/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Assertions about JSON as they stand in the configuration. Called by body_json; nothing is fatal.
 */
#include "json_assertion.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

#define DIGITS    "0123456789"
#define BLANKS    " \t"
#define OPERATORS "=!<>~"

/* Longer ones before those that they begin with. */
static const struct {
	const char *word;
	enum json_relation relation;
} operators[] = {
	{ "==", JSON_EQUAL },
	{ "!=", JSON_NOT_EQUAL },
	{ "<=", JSON_AT_MOST },
	{ ">=", JSON_AT_LEAST },
	{ "=~", JSON_MATCHES },
	{ "<", JSON_LESS },
	{ ">", JSON_MORE },
};

/* "[3]", or "[#-1]" for the last one. */
static bool
read_index(const char **path, struct json_step *step)
{
	const char *c = *path + 1, *digits;

	step->name = NULL;
	step->from_end = strncmp(c, "#-", 2) == 0;
	digits = step->from_end ? c + 2 : c;
	c = digits + strspn(digits, DIGITS);
	if (c == digits || c - digits > 9 || *c != ']')
		return false;
	step->index = atoi(digits);
	*path = c + 1;
	return !step->from_end || step->index > 0;
}

bool
json_next_step(const char **path, struct json_step *step)
{
	const char *c = *path + 1;

	if (**path == '[')
		return read_index(path, step);
	if (**path != '.')
		return false;
	step->name = c;
	if (*c == '"') {
		step->name = ++c;
		c += strcspn(c, "\"");
		step->name_size = (size_t)(c - step->name);
		*path = *c == '"' ? c + 1 : c;
		return *c == '"';
	}
	step->name_size = strcspn(c, BLANKS OPERATORS ".[\"");
	*path = c + step->name_size;
	return step->name_size > 0;
}

/* What is wrong with what follows a path. */
static const char *
explain(const char *at)
{
	switch (*at) {
	case '.':
		return "behind a '.' stands the name of a member; one with other characters than "
		       "letters, digits, '_' and '-' in double quotes: \"$.\\\"a name\\\"\"";
	case '[':
		return "between '[' and ']' stands a number: [0] is the first element and [#-1] the "
		       "last; members are written $.name";
	default:
		return "behind the path stands one of == != < <= > >= =~, as in " JSON_EXAMPLE;
	}
}

const char *
json_assertion_read(struct json_assertion *a, const char *text)
{
	const char *at = text + 1, *before = at;
	struct json_step step;
	size_t length;

	*a = (struct json_assertion){ .path = at };
	if (*text != '$')
		return "must begin with a path, as in " JSON_EXAMPLE;
	for (; json_next_step(&at, &step); before = at)
		;
	if (at != before || *at == '.' || *at == '[')
		return explain(before);
	at += strspn(at, BLANKS);
	if (*at == '\0')
		return NULL;
	length = strspn(at, OPERATORS);
	for (size_t i = 0; i < ARRAY_LENGTH(operators); i++)
		if (strlen(operators[i].word) == length &&
		    strncmp(at, operators[i].word, length) == 0)
			a->relation = operators[i].relation;
	if (a->relation == JSON_EXISTS)
		return explain(at);
	at += length;
	a->value = at + strspn(at, BLANKS);
	a->value_size = strlen(a->value);
	while (a->value_size > 0 && strchr(BLANKS, a->value[a->value_size - 1]) != NULL)
		a->value_size--;
	if (a->value_size == 0)
		return "behind the operator stands a value, as in " JSON_EXAMPLE;
	/* quotes round a pattern are no part of it */
	if (a->relation == JSON_MATCHES && a->value_size > 2 && a->value[0] == '"' &&
	    a->value[a->value_size - 1] == '"') {
		a->value++;
		a->value_size -= 2;
	}
	return NULL;
}
