/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Header fields of the last response. Called by exchange.c as they come, and by verdict.c; nothing
 * is fatal but the lack of memory.
 */
#include "headers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util.h"

/* How much of a value and of a pattern a sentence names. */
#define NAMED_MAX 64

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
append(struct headers *h, const char *text, size_t size)
{
	size_t room = h->room;

	while (h->size + size > room)
		room = room > 0 ? 2 * room : 4096;
	if (room > h->room) {
		h->text = xreallocarray(h->text, room, 1);
		/* machine code of PCRE2 looks at whole words, beyond the end too */
		memset(h->text + h->room, 0, room - h->room);
		h->room = room;
	}
	memcpy(h->text + h->size, text, size);
	h->size += size;
}

void
headers_add(struct headers *h, const char *line, size_t size)
{
	bool folded = size > 0 && (line[0] == ' ' || line[0] == '\t');

	if (size >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
		h->size = 0;
		h->ended = false;
		return;
	}
	while (size > 0 && is_blank(line[size - 1]))
		size--;
	while (size > 0 && is_blank(line[0]))
		line++, size--;
	if (size == 0 && !folded)
		h->ended = true;
	if (size == 0 || h->ended)
		return;
	if (folded && h->size > 0)
		h->text[h->size - 1] = ' ';
	append(h, line, size);
	append(h, "\n", 1);
}

const char *
headers_pattern(const char *text)
{
	text += strcspn(text, ":") + 1;
	return text + strspn(text, " ");
}

/* The value of the next field that is called as in "Name: …", from `*at` on. NULL: no more. */
static const char *
next_value(const struct headers *h, const char *name, size_t *at, size_t *size)
{
	size_t name_size = strcspn(name, ":");

	while (*at < h->size) {
		const char *field = h->text + *at, *value;
		const char *end = memchr(field, '\n', h->size - *at);

		*at = (size_t)(end - h->text) + 1;
		if ((size_t)(end - field) <= name_size || field[name_size] != ':' ||
		    strncasecmp(field, name, name_size) != 0)
			continue;
		value = field + name_size + 1;
		while (value < end && is_blank(*value))
			value++;
		*size = (size_t)(end - value);
		return value;
	}
	return NULL;
}

/* Does a field match? `found` gets the value that does, else the first one; "": no such field. */
static enum match_outcome
find(const struct headers *h, struct match *match, const char *text, char found[NAMED_MAX + 1])
{
	const char *pattern = headers_pattern(text), *value;
	enum match_outcome outcome = MATCH_FAILS;
	size_t at = 0, size;

	found[0] = '\0';
	while (outcome == MATCH_FAILS && (value = next_value(h, text, &at, &size)) != NULL) {
		outcome = match_find(match, pattern, strlen(pattern), value, size);
		if (outcome == MATCH_HOLDS || found[0] == '\0')
			util_clean_text(found, NAMED_MAX + 1, value, size);
	}
	return outcome;
}

/* Whether the field is there, and empty perhaps. */
static bool
is_there(const struct headers *h, const char *name)
{
	size_t at = 0, size;

	return next_value(h, name, &at, &size) != NULL;
}

bool
headers_hold(
    struct result *r, const struct headers *h, struct match *match, const struct site *site)
{
	const struct patterns *patterns = &site->header_patterns;

	match_begin(match);
	for (size_t i = 0; i < patterns->count; i++) {
		const struct pattern *p = &patterns->items[i];
		int name_size = (int)strcspn(p->text, ":");
		char named[NAMED_MAX + 1], found[NAMED_MAX + 1];
		enum match_outcome outcome = find(h, match, p->text, found);

		if (!site->record_query) /* of a URL, as in Location */
			found[strcspn(found, "?#")] = '\0';
		util_clean_text(named, sizeof(named), headers_pattern(p->text),
		    strlen(headers_pattern(p->text)));
		if (outcome == MATCH_LIMIT) {
			/* it counts only if nothing is wrong */
			if (r->error == ERROR_NONE)
				result_fail(r, ERROR_REGEX_LIMIT,
				    "the pattern \"%s\" hit a limit on the header %.*s", named,
				    name_size, p->text);
		} else if ((outcome == MATCH_HOLDS) != p->negated) {
			continue;
		} else if (is_there(h, p->text)) {
			result_fail(r, ERROR_HEADER_MISMATCH,
			    "the header %.*s is \"%s\", want %s\"%s\"", name_size, p->text, found,
			    p->negated ? "none with " : "", named);
			return false;
		} else {
			result_fail(r, ERROR_HEADER_MISMATCH,
			    "there is no header %.*s, want \"%s\"", name_size, p->text, named);
			return false;
		}
	}
	return true;
}
