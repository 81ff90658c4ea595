/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A strict reader of one flat JSON object (RFC 8259), for tests: what it accepts, every consumer
 * reads. It shares no code with the writer in payload.c.
 */
#ifndef WEBMOND_TESTS_JSON_H
#define WEBMOND_TESTS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct json {
	const char *at;
	const char *end;
};

static inline bool
json_take(struct json *j, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
		return false;
	j->at += n;
	return true;
}

static inline bool
json_is_digit(const struct json *j)
{
	return j->at < j->end && *j->at >= '0' && *j->at <= '9';
}

static inline bool
json_digits(struct json *j)
{
	if (!json_is_digit(j))
		return false;
	while (json_is_digit(j))
		j->at++;
	return true;
}

/* No exponents: webmond writes none. */
static inline bool
json_number(struct json *j)
{
	json_take(j, "-");
	if (!json_take(j, "0") && !json_digits(j))
		return false;
	if (json_is_digit(j)) /* 007 */
		return false;
	return !json_take(j, ".") || json_digits(j);
}

/* One character, decoded: no overlong form, no surrogate, nothing behind U+10FFFF. */
static inline bool
json_utf8(struct json *j)
{
	static const unsigned long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)*j->at;
	int length = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	unsigned long code = length < 2 ? first : first & (0x7fU >> length);

	if (length == 0 || first > 0xf7 || j->end - j->at < length)
		return false;
	for (int i = 1; i < length; i++) {
		unsigned char next = (unsigned char)j->at[i];

		if ((next & 0xc0) != 0x80)
			return false;
		code = code << 6 | (next & 0x3f);
	}
	j->at += length;
	return code >= least[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

static inline bool
json_string(struct json *j)
{
	if (!json_take(j, "\""))
		return false;
	while (j->at < j->end && *j->at != '"') {
		if ((unsigned char)*j->at < 0x20)
			return false;
		if (json_take(j, "\\u")) {
			for (int i = 0; i < 4; i++, j->at++)
				if (j->at == j->end ||
				    strchr("0123456789abcdefABCDEF", *j->at) == NULL ||
				    *j->at == '\0')
					return false;
		} else if (json_take(j, "\\")) {
			if (j->at == j->end || *j->at == '\0' ||
			    strchr("\"\\/bfnrt", *j->at) == NULL)
				return false;
			j->at++;
		} else if (!json_utf8(j)) {
			return false;
		}
	}
	return json_take(j, "\"");
}

static inline bool
json_primitive(struct json *j)
{
	return json_take(j, "null") || json_take(j, "true") || json_take(j, "false") ||
	       json_string(j) || json_number(j);
}

/*
 * The value of `key` in `text`, which must be a flat object and nothing else: its start, as it is
 * written, and its length in `*size`. NULL when the object is not valid, or has no such key or two.
 * With `key` NULL: `text` if it is valid, with the number of members in `*size`.
 */
static inline const char *
json_get(const char *text, size_t text_size, const char *key, size_t *size)
{
	struct json j = { text, text + text_size };
	const char *found = NULL;
	size_t members = 0, times = 0;

	if (!json_take(&j, "{"))
		return NULL;
	do {
		const char *name = j.at + 1, *name_end, *value;

		if (!json_string(&j))
			return NULL;
		name_end = j.at - 1;
		if (!json_take(&j, ":"))
			return NULL;
		value = j.at;
		if (!json_primitive(&j))
			return NULL;
		members++;
		if (key != NULL && strlen(key) == (size_t)(name_end - name) &&
		    memcmp(key, name, strlen(key)) == 0) {
			found = value;
			*size = (size_t)(j.at - value);
			times++;
		}
	} while (json_take(&j, ","));
	if (!json_take(&j, "}") || j.at != j.end)
		return NULL;
	if (key == NULL) {
		*size = members;
		return text;
	}
	return times == 1 ? found : NULL;
}

#endif
