/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Repairing a text that libconfig has refused: what people write who are used to other syntaxes.
 * See repair.h.
 */
#include "repair.h"

#include <string.h>

#define KEY      (1u << AT_KEY | 1u << AT_END)
#define EQUALS   (1u << AT_EQUALS)
#define VALUE    (1u << AT_VALUE | 1u << AT_FIRST)
#define ANYWHERE (KEY | EQUALS | VALUE | 1u << AT_COMMA)

enum cure {
	STOP,
	SKIP,
	SKIP_LINE,
};

/* In this order; each is wrong in all the places where it is looked for. */
static const struct habit {
	unsigned where;
	bool first; /* only as the first in a line */
	const char *seen, *sentence;
	enum cure cure;
} habits[] = {
	{ KEY, true, "[", "this is JSON, INI or TOML; write kafka = { … };" SYNTAX_SEE, STOP },
	{ ANYWHERE, true, "<<<<<<<",
	    "a conflict that git has left; keep one of the two versions, and take out its marks",
	    STOP },
	{ KEY, true, "<", "this is XML or HTML; write name = value;" SYNTAX_SEE, STOP },
	{ ANYWHERE, true, "---", "this is YAML; write name = value;" SYNTAX_SEE, STOP },
	{ ANYWHERE, true, "- ",
	    "this is YAML; write sites = ( { name = \"…\"; url = \"…\"; } );" SYNTAX_SEE, STOP },
	{ ANYWHERE, true, ";", "a comment begins with # or //, not with ;", SKIP_LINE },
	{ ANYWHERE, false, "--", "a comment begins with # or //, not with --", SKIP_LINE },
	{ ANYWHERE, false, "\xc2\xa0", "a no-break space, as web pages have it; write a plain one",
	    SKIP },
	{ ANYWHERE, false, "\xe2\x80\x8b", "a character of no width; take it out", SKIP },
	{ ANYWHERE, false, "\xef\xbb\xbf", "a byte order mark; take it out", SKIP },
	{ KEY, false, ";", "a ; too many; take it out", SKIP },
	{ EQUALS, false, "+", "a + too many; write name = value;", SKIP },
	{ VALUE, false, "=", "one = is enough; write name = value;", SKIP },
	{ VALUE, false, ":", "one = is enough; write name = value;", SKIP },
	{ VALUE, false, ">", "a > too many; write name = value;", SKIP },
};

bool
repair_find_habit(struct repair *d)
{
	for (size_t i = 0; i < ARRAY_LENGTH(habits); i++) {
		const struct habit *h = &habits[i];

		if ((h->where & (1u << d->at)) == 0 || !repair_begins(d->c, h->seen) ||
		    (h->first && !repair_line_begins(d)))
			continue;
		repair_report(d, d->c, d->line, "%s", h->sentence);
		d->stopped |= h->cure == STOP;
		repair_replace(d, d->c + (h->cure == SKIP ? strlen(h->seen) : strcspn(d->c, "\n")),
		    " ", d->at);
		return true;
	}
	return false;
}

/* Names with quotes round them or dots in them: properties of Kafka, or ours. */
void
repair_read_odd_name(struct repair *d, const char *name, size_t size, const char *end)
{
	bool plain = strspn(name, LETTERS DIGITS "._-") >= size;
	const char *dot = plain ? memchr(name, '.', size) : NULL;
	size_t group = dot != NULL ? (size_t)(dot - name) : 0;
	bool ours = dot != NULL && repair_is_group(name, group) &&
		    memchr(dot + 1, '.', size - group - 1) == NULL;

	repair_begin_setting(d, name, size);
	if (ours)
		repair_report(d, name, d->line, "a name has no dots: write %.*s = { %.*s = …; };",
		    (int)group, name, (int)(size - group - 1), dot + 1);
	else if (dot != NULL)
		repair_report(d, name, d->line,
		    "a name has no dots; properties of Kafka stand in kafka = { properties = [ "
		    "\"%.*s=…\" ]; } or in its properties_file",
		    (int)(size < 64 ? size : 64), name);
	else if (config_name_size(name) == size)
		repair_report(d, name - 1, d->line, "a name stands without quotes: write %.*s = …;",
		    (int)size, name);
	else
		repair_report(
		    d, d->c, d->line, "this is no name of a setting; write name = value;");
	if (dot != NULL || config_name_size(name) != size) {
		d->levels[d->depth].drop = true;
		repair_replace(d, end, "x", AT_EQUALS);
	} else {
		d->copied = name;
		d->c = name + size;
		repair_replace(d, end, "", AT_EQUALS);
	}
}
