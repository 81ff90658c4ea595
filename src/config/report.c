/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The places of keys and mistakes: the line of a key, and the text of a line with a caret below.
 */
#include "internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct key_line *
find_line(const struct origins *at, const char *key)
{
	for (const struct key_line *k = at->keys; k != NULL && k->key != NULL; k++)
		if (strcmp(k->key, key) == 0)
			return k;
	return NULL;
}

bool
config_gives(const struct origins *at, const char *key)
{
	return find_line(at, key) != NULL;
}

struct origin
config_origin(const struct origins *at, const char *key)
{
	const struct key_line *k = find_line(at, key);

	return (struct origin){ at->file, at->line + (k != NULL ? k->lines : 0) };
}

/* --- the place --------------------------------------------------------------------------- */

/* How much of a line is shown around the place, in bytes. */
#define SHOWN_BEFORE 60
#define SHOWN_BEHIND 40
/* Longer lines are not shown: they are not searched for secrets. */
#define LINE_MAX_SHOWN 4096
/* Further mistakes are reported without the text of their line. */
#define PLACES_MAX 100

static bool
may_be_shown(const char *line, size_t size)
{
	static const char *const secret[] = { "authorization", "cookie", "key", "passw", "secret",
		"token" };

	for (size_t i = 0; i < size; i++)
		for (size_t k = 0; k < ARRAY_LENGTH(secret); k++)
			if (strncasecmp(line + i, secret[k], strlen(secret[k])) == 0)
				return false;
	return size < LINE_MAX_SHOWN;
}

void
config_show_place(struct reader *r, const char *text, const char *place)
{
	const char *start = place, *end = place;
	char line[4 * (SHOWN_BEFORE + SHOWN_BEHIND)], before[4 * SHOWN_BEFORE];
	char shown[1024];
	const char *dots = "";
	size_t column = 0;

	if (r->config->mistakes.count > PLACES_MAX)
		return;
	while (start > text && start[-1] != '\n' && place - start < LINE_MAX_SHOWN)
		start--;
	while (*end != '\0' && *end != '\n' && end - start < LINE_MAX_SHOWN)
		end++;
	if (!may_be_shown(start, (size_t)(end - start)))
		return;
	start += strspn(start, " \t");
	if (start > place)
		return; /* behind the end of the line */
	if (place - start > SHOWN_BEFORE) {
		start = place - SHOWN_BEFORE;
		while ((*start & 0xc0) == 0x80)
			start++;
		dots = "…";
	}
	if (end - place > SHOWN_BEHIND)
		end = place + SHOWN_BEHIND;
	while (end > place &&
	       (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || (*end & 0xc0) == 0x80))
		end--;
	util_clean_text(line, sizeof(line), start, (size_t)(end - start));
	util_clean_text(before, sizeof(before), start, (size_t)(place - start));
	for (const char *c = before; *c != '\0'; c++)
		column += (*c & 0xc0) != 0x80;
	snprintf(shown, sizeof(shown), "\n" CONFIG_SHOWN "%s%s\n" CONFIG_SHOWN "%*s^", dots, line,
	    (int)(column + (dots[0] != '\0')), "");
	mistakes_show(&r->config->mistakes, shown);
}
