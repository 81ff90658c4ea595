/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Repairing a text that libconfig has refused: what can be wrong with a name, a string or a value.
 * See repair.h.
 */
#include "repair.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- strings ----------------------------------------------------------------------------- */

size_t
repair_odd_quote(const char *c)
{
	static const char *const quotes[] = { "'", "`", "“", "”", "„", "‟", "‘", "’", "‚", "«", "»",
		"‹", "›", "″", "′", NULL };

	for (size_t i = 0; quotes[i] != NULL; i++)
		if (repair_begins(c, quotes[i]))
			return strlen(quotes[i]);
	return 0;
}

void
repair_read_string(struct repair *d)
{
	const char *start = d->c, *c = start + 1;
	int line = d->line;

	for (; *c != '\0' && *c != '"'; c++) {
		if (*c == '\\' && c[1] != '\0')
			c++;
		d->line += *c == '\n';
	}
	if (*c == '\0') {
		if (repair_still_sure(d))
			repair_report(d, start, line,
			    "the string that begins here has no end; write \" behind it");
		d->stopped = true;
		return;
	}
	repair_copy(d);
	/* of several pieces the first that goes on in another line is suspect */
	if (d->string == NULL || d->string_line == line) {
		d->string = start;
		d->string_line = line;
		d->string_out = d->out_size;
	}
	d->c = d->string_end = c + 1;
	d->at = repair_behind_value(d);
}

static const char typographic[] = "this quote is a typographic one; write plain ones: \"…\"";

void
repair_read_odd_string(struct repair *d)
{
	const char *start = d->c + repair_odd_quote(d->c), *end = start;

	repair_report(d, d->c, d->line, "%s",
	    *d->c == '\'' || *d->c == '`'
		? "text stands in double quotes, not in single ones: write \"…\""
		: typographic);
	while (*end != '\0' && *end != '\n' && *end != '"' && repair_odd_quote(end) == 0)
		end++;
	if (*end == '\0' || *end == '\n')
		end = start + strcspn(start, ";,)}]\r\n");
	repair_copy(d);
	repair_by_string(d, start, end, end + (*end == '"' ? 1 : repair_odd_quote(end)));
	d->string = NULL;
}

/* Let the string before this end at `last`, and go on at `end`. */
static void
end_string_at(struct repair *d, const char *last, const char *end)
{
	d->out_size = d->string_out;
	repair_by_string(d, d->string + 1, last, end);
	d->line = d->string_line;
	d->string = NULL;
}

/* Something stands directly behind a string: a quote is missing, or there is one too many. */
bool
repair_find_lost_quote(struct repair *d)
{
	const char *end = d->string + 1, *last;

	if (d->c != d->string_end || strchr(";,)}]=: \t\r\n\"", *d->c) != NULL ||
	    (repair_is_setting(d->c) && d->c[config_name_size(d->c)] != ':'))
		return false;
	while (end < d->string_end && *end != '\n' && repair_odd_quote(end) < 2)
		end++;
	if (repair_odd_quote(end) > 1) {
		repair_report(d, end, d->string_line, "%s", typographic);
		end_string_at(d, end, end + repair_odd_quote(end));
	} else if (end < d->string_end) {
		repair_report(d, d->string, d->string_line,
		    "the string that begins here goes on to line %d; its closing \" is missing",
		    d->line);
		for (last = end; last > d->string + 1 && strchr(" \t\r,;)}]", last[-1]) != NULL;)
			last--;
		last += strcspn(
		    last, " \t\r\n,;"); /* what follows belonged to the string by mistake */
		end_string_at(d, last, last);
	} else {
		if (repair_still_sure(d))
			repair_report(d, d->c, d->line,
			    "the string ends before this; a \" is missing before, or one inside a "
			    "string is not written \\\"");
		d->stopped = true;
	}
	return true;
}

/* --- values ------------------------------------------------------------------------------ */

/* config_read_text() has reported and replaced all numbers that are not decimal. */
static const char *
number_end(const char *c)
{
	const char *first = c + (*c == '-' || *c == '+');
	char *end;

	if (*first != '.' && !isdigit((unsigned char)*first))
		return c;
	strtod(first, &end);
	end += end == first; /* a lone dot, for libconfig */
	return end + strspn(end, "L");
}

static bool
value_ends(const char *c)
{
	return *c == '\0' || strchr(" \t\r\n\f;,)}]\"", *c) != NULL || config_skip_comment(c) > c;
}

/* The end of text without quotes: of all words up to one that begins a setting. */
static const char *
bare_end(const char *c)
{
	const char *end = c;

	for (;;) {
		end = c + strcspn(c, ";,{}()[]\"# \t\r\n\f");
		while (*end == ',' && isalnum((unsigned char)end[1])) /* 200,404 */
			end += 1 + strcspn(end + 1, ";,{}()[]\"# \t\r\n\f");
		c = end + strspn(end, " \t");
		if (end == c || value_ends(c) || repair_is_setting(c) || strchr("{([#", *c) != NULL)
			return end;
	}
}

static bool
is_name(const char *c, size_t size, const char *name)
{
	return strlen(name) == size && strncasecmp(c, name, size) == 0;
}

/* Whether keys of that name, in whatever group, have a string for a value. */
static bool
takes_string(const struct named *name, const struct key *keys)
{
	for (; keys->name != NULL; keys++) {
		if (keys->keys != NULL && !takes_string(name, keys->keys))
			return false;
		if (keys->kind >= KEY_INTEGER && keys->kind <= KEY_BOOL &&
		    is_name(name->name, name->size, keys->name))
			return false;
	}
	return true;
}

static bool
ends_with(const struct named *name, const char *end)
{
	size_t n = strlen(end);

	return name->size > n && memcmp(name->name + name->size - n, end, n) == 0;
}

/* By what to multiply a number with this unit for the unit of the key; 0: that is not known. */
static double
factor_of(const char *unit, size_t unit_size, const struct named *key)
{
	static const struct {
		const char *unit;
		double seconds, kilobytes;
	} units[] = { { "ms", 0.001, 0 }, { "s", 1, 0 }, { "sec", 1, 0 }, { "seconds", 1, 0 },
		{ "m", 60, 1024 }, { "min", 60, 0 }, { "minutes", 60, 0 }, { "h", 3600, 0 },
		{ "hours", 3600, 0 }, { "d", 86400, 0 }, { "k", 0, 1 }, { "kb", 0, 1 },
		{ "kib", 0, 1 }, { "mb", 0, 1024 }, { "mib", 0, 1024 }, { "g", 0, 1048576 },
		{ "gb", 0, 1048576 }, { "gib", 0, 1048576 }, { "%", 1, 0 } };

	for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
		if (is_name(unit, unit_size, units[i].unit))
			return ends_with(key, "_kb")   ? units[i].kilobytes
			       : ends_with(key, "_mb") ? units[i].kilobytes / 1024
						       : units[i].seconds;
	return 0;
}

/* 30s, 500 ms, 10 MB, 90%. */
static bool
read_unit(struct repair *d, const char *number)
{
	const struct named *key = &d->levels[d->depth].key;
	const char *unit = number + strspn(number, " \t"), *end = unit;
	double value = strtod(d->c, NULL), factor;
	char mended[32];

	while (isalpha((unsigned char)*end) || *end == '%')
		end++;
	factor = factor_of(unit, (size_t)(end - unit), key);
	if (end == unit || end - unit > 8 || !value_ends(end) ||
	    (factor == 0 && (unit > number || takes_string(key, config_main_keys))))
		return false;
	snprintf(mended, sizeof(mended), "%.10g", value * (factor > 0 ? factor : 1));
	repair_report(d, unit, d->line, "%.*s: a number stands without a unit%s%s", (int)key->size,
	    key->name, factor > 0 ? "; write " : "", factor > 0 ? mended : "");
	repair_replace(d, end, mended, repair_behind_value(d)); /* d->c stands at the number */
	return true;
}

bool
repair_read_number(struct repair *d)
{
	const char *end = number_end(d->c);

	if (end == d->c || read_unit(d, end))
		return end != d->c;
	if (!value_ends(end) && !repair_is_setting(end))
		return false;
	if (*end == ',' && isdigit((unsigned char)end[1]) &&
	    takes_string(&d->levels[d->depth].key, config_main_keys))
		return false; /* 200,404 */
	d->c = end;
	d->at = repair_behind_value(d);
	return true;
}

bool
repair_read_boolean(struct repair *d)
{
	size_t size = config_name_size(d->c);

	if (!is_name(d->c, size, "true") && !is_name(d->c, size, "false"))
		return false;
	d->c += size;
	d->at = repair_behind_value(d);
	return true;
}

/* The words for true and false of other syntaxes, with a blank on both sides. */
static const char *
truth_of(const char *word, size_t size)
{
	char padded[16];

	if (size > sizeof(padded) - 3)
		return NULL;
	snprintf(padded, sizeof(padded), " %.*s ", (int)size, word);
	return strcasestr(" yes on enabled y ", padded) != NULL    ? "true"
	       : strcasestr(" no off disabled n ", padded) != NULL ? "false"
								   : NULL;
}

void
repair_read_bare(struct repair *d)
{
	const char *start = d->c, *end = bare_end(start);
	const char *truth = truth_of(start, (size_t)(end - start));
	struct open_bracket *l = &d->levels[d->depth];
	int size = (int)l->key.size;

	while (l->bracket == '(' || l->bracket == '[')
		l--; /* to the group of the setting */
	if (l->drop) {
		; /* its mistake is reported already */
	} else if (truth != NULL) {
		repair_report(d, start, d->line, "%.*s: write true or false, here: %s", size,
		    l->key.name, truth);
		repair_replace(d, end, truth, repair_behind_value(d));
		return;
	} else if (takes_string(&l->key, config_main_keys)) {
		repair_report(d, start, d->line,
		    "%.*s: text stands in double quotes%s: write %.*s = \"…\";", size, l->key.name,
		    l->colon ? ", not as in YAML" : "", size, l->key.name);
	} else {
		repair_report(d, start, d->line, "%.*s: this is no number, nor true or false", size,
		    l->key.name);
		l->drop = true;
	}
	repair_copy(d);
	repair_by_string(d, start, end, end);
}

void
repair_value_missing(struct repair *d)
{
	struct open_bracket *l = &d->levels[d->depth];

	repair_report(d, d->c, d->line, "the value of %.*s is missing; write %.*s = value;",
	    (int)l->key.size, l->key.name, (int)l->key.size, l->key.name);
	l->drop = true;
	d->at = repair_behind_value(d);
}

void
repair_begin_setting(struct repair *d, const char *name, size_t size)
{
	struct open_bracket *l = &d->levels[d->depth];

	repair_copy(d);
	l->key = (struct named){ name, size < 64 ? size : 64, d->line };
	l->key_out = d->out_size;
	l->drop = false;
	d->at = AT_EQUALS;
	for (size_t i = 0; i < l->seen_count; i++)
		if (l->seen[i].size == l->key.size &&
		    memcmp(l->seen[i].name, name, l->key.size) == 0) {
			repair_report(d, d->c, d->line,
			    "%.*s is set already in line %d; take one of the two out",
			    (int)l->key.size, name, l->seen[i].line);
			l->drop = true;
			return;
		}
	if (l->seen_count < SYNTAX_KEYS_MAX)
		l->seen[l->seen_count++] = l->key;
}
