/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Flat JSON objects. Called by readers of records and of answers; nothing is fatal.
 */
#include "scan_object.h"

#include <string.h>

#include "util.h"

/* What is left to read. */
struct cursor {
	const char *at;
	const char *end;
};

static void
skip_blanks(struct cursor *c)
{
	while (
	    c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r' || *c->at == '\n'))
		c->at++;
}

/* Take `wanted`, after blanks. */
static bool
take(struct cursor *c, char wanted)
{
	skip_blanks(c);
	if (c->at == c->end || *c->at != wanted)
		return false;
	c->at++;
	return true;
}

static bool
take_digits(struct cursor *c)
{
	const char *begin = c->at;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
		c->at++;
	return c->at > begin;
}

static bool
is_next(const struct cursor *c, const char *either)
{
	return c->at < c->end && *c->at != '\0' && strchr(either, *c->at) != NULL;
}

static bool
take_number(struct cursor *c)
{
	if (is_next(c, "-"))
		c->at++;
	if (is_next(c, "0"))
		c->at++;
	else if (!take_digits(c))
		return false;
	if (is_next(c, ".")) {
		c->at++;
		if (!take_digits(c))
			return false;
	}
	if (is_next(c, "eE")) {
		c->at++;
		if (is_next(c, "+-"))
			c->at++;
		return take_digits(c);
	}
	return true;
}

/* What follows a backslash. */
static bool
take_escape(struct cursor *c)
{
	if (!is_next(c, "\"\\/bfnrtu"))
		return false;
	if (*c->at++ != 'u')
		return true;
	for (int i = 0; i < 4; i++, c->at++)
		if (!is_next(c, "0123456789abcdefABCDEF"))
			return false;
	return true;
}

/* Past what needs no look: everything but quotes, backslashes, control characters and non-ASCII. */
static const char *
skip_plain(const char *at, const char *end)
{
	while (at < end && (signed char)*at >= 0x20 && *at != '"' && *at != '\\')
		at++;
	return at;
}

/* Behind its first quote: up to and with the last one. */
static bool
take_string(struct cursor *c, struct member *out)
{
	out->type = MEMBER_STRING;
	out->at = c->at;
	while ((c->at = skip_plain(c->at, c->end)) < c->end) {
		size_t n;

		if (*c->at == '"') {
			out->size = (size_t)(c->at++ - out->at);
			return true;
		}
		if (*c->at == '\\') {
			c->at++;
			if (!take_escape(c))
				return false;
			continue;
		}
		n = util_utf8_length(c->at, (size_t)(c->end - c->at));
		if (n == 0 || (unsigned char)*c->at < 0x20)
			return false;
		c->at += n;
	}
	return false;
}

static bool
take_word(struct cursor *c, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0)
		return false;
	c->at += n;
	return true;
}

static bool
take_value(struct cursor *c, struct member *out)
{
	bool good;

	if (take(c, '"'))
		return take_string(c, out);
	out->at = c->at;
	if (is_next(c, "-0123456789")) {
		out->type = MEMBER_NUMBER;
		good = take_number(c);
	} else if (is_next(c, "n")) {
		out->type = MEMBER_NULL;
		good = take_word(c, "null");
	} else {
		out->type = MEMBER_BOOLEAN;
		good = take_word(c, "true") || take_word(c, "false");
	}
	out->size = (size_t)(c->at - out->at);
	return good;
}

/* The index of a key; `count`: nobody wants it. It is most likely `next`. */
static size_t
find_name(const struct member_name *names, size_t count, size_t next, const struct member *key)
{
	for (size_t i = 0; i < count; i++, next++) {
		if (next >= count)
			next = 0;
		if (names[next].size == key->size &&
		    memcmp(names[next].text, key->at, key->size) == 0)
			return next;
	}
	return count;
}

/* Past one object with all that is inside it, of which only strings and brackets are looked at. */
static bool
skip_object(struct cursor *c)
{
	struct member ignored;
	size_t depth = 0;

	skip_blanks(c);
	if (!is_next(c, "{"))
		return false;
	while (c->at < c->end)
		switch (*c->at++) {
		case '"':
			if (!take_string(c, &ignored))
				return false;
			break;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return true;
		}
	return false;
}

static bool
take_key(struct cursor *c, const char *wanted)
{
	return take(c, '"') && take_word(c, wanted) && take(c, '"') && take(c, ':');
}

bool
scan_payload(const char **text, size_t *size)
{
	struct cursor c = { *text, *text + *size };

	if (!take(&c, '{') || !take_key(&c, "schema") || !skip_object(&c) || !take(&c, ',') ||
	    !take_key(&c, "payload"))
		return false;
	skip_blanks(&c);
	while (c.end > c.at && strchr(" \t\r\n", c.end[-1]) != NULL && c.end[-1] != '\0')
		c.end--;
	if (c.end == c.at || c.end[-1] != '}')
		return false;
	*text = c.at;
	*size = (size_t)(c.end - 1 - c.at);
	return true;
}

bool
scan_object(struct member *members, const struct member_name *names, size_t count, const char *text,
    size_t size)
{
	struct cursor c = { text, text + size };
	struct member key, value;
	size_t next = 0;

	for (size_t i = 0; i < count; i++)
		members[i] = (struct member){ .type = MEMBER_ABSENT };
	if (!take(&c, '{'))
		return false;
	if (!take(&c, '}')) {
		do {
			size_t i;

			if (!take(&c, '"') || !take_string(&c, &key) || !take(&c, ':') ||
			    !take_value(&c, &value))
				return false;
			i = find_name(names, count, next, &key);
			if (i == count)
				continue;
			if (members[i].type != MEMBER_ABSENT)
				return false;
			members[i] = value;
			next = i + 1;
		} while (take(&c, ','));
		if (!take(&c, '}'))
			return false;
	}
	skip_blanks(&c);
	return c.at == c.end;
}
