/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Repairing a text that libconfig has refused: looking at the text, reporting, and the copy. See
 * repair.h.
 */
#include "repair.h"

#include <string.h>

/* --- the text ---------------------------------------------------------------------------- */

bool
repair_begins(const char *c, const char *with)
{
	return strncmp(c, with, strlen(with)) == 0;
}

bool
repair_line_begins(const struct repair *d)
{
	const char *c = d->c;

	while (c > d->text && (c[-1] == ' ' || c[-1] == '\t'))
		c--;
	return c == d->text || c[-1] == '\n';
}

const char *
repair_skip_blanks(const char *c, int *line)
{
	const char *end;

	for (;; c = end) {
		end = config_skip_comment(c);
		end += end == c && *c != '\0' && strchr(" \t\r\n\f", *c) != NULL;
		if (end == c)
			return c;
		for (; c < end; c++)
			*line += *c == '\n';
	}
}

bool
repair_is_setting(const char *c)
{
	size_t n = config_name_size(c);

	c += n;
	c += strspn(c, " \t");
	return n > 0 && (*c == '=' || *c == ':');
}

bool
repair_is_group(const char *name, size_t size)
{
	for (const struct key *key = config_main_keys; key->name != NULL; key++)
		if (key->keys != NULL && strlen(key->name) == size &&
		    memcmp(key->name, name, size) == 0)
			return true;
	return false;
}

bool
repair_in_list(const struct repair *d)
{
	char bracket = d->levels[d->depth].bracket;

	return bracket == '(' || bracket == '[';
}

enum syntax_place
repair_behind_value(const struct repair *d)
{
	return repair_in_list(d) ? AT_COMMA : AT_END;
}

bool
repair_still_sure(struct repair *d)
{
	d->stopped |= d->in_doubt;
	d->in_doubt = true;
	return !d->stopped;
}

/* --- the copy ---------------------------------------------------------------------------- */

static void
put(struct repair *d, const char *text, size_t size)
{
	memcpy(d->out + d->out_size, text, size);
	d->out_size += size;
}

void
repair_copy(struct repair *d)
{
	put(d, d->copied, (size_t)(d->c - d->copied));
	d->copied = d->c;
}

void
repair_replace(struct repair *d, const char *end, const char *text, enum syntax_place at)
{
	repair_copy(d);
	put(d, text, strlen(text));
	d->c = d->copied = end;
	d->at = at;
}

void
repair_drop_setting(struct repair *d)
{
	struct open_bracket *l = &d->levels[d->depth];

	repair_copy(d);
	d->out_size = l->key_out;
	for (int n = d->line - l->key.line; n > 0; n--)
		put(d, "\n", 1);
	l->drop = false;
}

/*
 * Put the text in quotes into the copy, or "-" if it needs more than quotes, and go on at `next`.
 */
void
repair_by_string(struct repair *d, const char *start, const char *end, const char *next)
{
	bool plain = true;

	for (const char *c = start; c < end; c++)
		plain &= *c != '"' && *c != '\\';
	put(d, "\"", 1);
	if (plain && end > start)
		put(d, start, (size_t)(end - start));
	else
		put(d, "-", 1);
	put(d, "\"", 1);
	d->c = d->copied = next;
	d->at = repair_behind_value(d);
}
