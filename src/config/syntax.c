/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Repairing a text that libconfig has refused: the grammar. Reads the text once more and, where
 * something else stands than should, reports what that looks like and what to write. It is repaired
 * in a copy, so that later mistakes are found too; where the rest would be guesswork reading stops.
 * Never called for a file that libconfig accepts, and so never wrong about one.
 */
#include "repair.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* For repairs: SYNTAX_REPORTED_MAX times some quotes, commas and brackets. */
#define ROOM 4096

static void
open_bracket(struct repair *d)
{
	struct open_bracket *l = &d->levels[d->depth];

	repair_copy(d);
	if (l->bracket == '[') {
		repair_report(d, l->start, l->line,
		    "values in brackets stand in ( ), not in [ ]; write ( { … }, { … } )");
		d->out[l->out] = l->bracket = '(';
		l->swapped = true;
	}
	if (d->depth + 1 == SYNTAX_DEPTH_MAX) {
		d->stopped = true;
		return;
	}
	l = &d->levels[++d->depth];
	*l = (struct open_bracket){ .bracket = *d->c,
		.start = d->c,
		.line = d->line,
		.out = d->out_size,
		.key = l[-1].key };
	d->at = *d->c == '{' ? AT_KEY : AT_FIRST;
	d->c++;
}

/* --- brackets ---------------------------------------------------------------------------- */

static char
closing(const struct open_bracket *l)
{
	return l->bracket == '{' ? '}' : l->bracket == '(' ? ')' : ']';
}

/* End the innermost bracket in the copy, for what stands up to `end`. */
static void
close_bracket(struct repair *d, const char *end)
{
	const char bracket[] = { closing(&d->levels[d->depth]), '\0' };

	if (d->levels[d->depth].drop)
		repair_drop_setting(d);
	repair_replace(d, end, bracket, AT_END);
	d->depth--;
	d->at = repair_behind_value(d);
}

static bool
closes(const struct open_bracket *l, char c)
{
	return c == (l->swapped ? ']' : closing(l));
}

static void
report_unclosed(struct repair *d)
{
	const struct open_bracket *l = &d->levels[d->depth];

	repair_report(d, d->c, d->line, "the %c of line %d has no %c before this", l->bracket,
	    l->line, closing(l));
}

static void
wrong_bracket(struct repair *d)
{
	int open = d->depth;

	while (open > 0 && !closes(&d->levels[open], *d->c))
		open--;
	if (!repair_still_sure(d))
		return;
	if (open > 0) {
		report_unclosed(d);
		while (d->depth > open)
			close_bracket(d, d->c);
		return;
	}
	repair_report(d, d->c, d->line,
	    "this %c closes nothing: one too many, or a %c too few before", *d->c,
	    "([{"[strcspn(")]}", (const char[]){ *d->c, '\0' })]);
	d->stopped = true;
}

/* The innermost bracket should have ended before this; `ended`: a ; stands behind it. */
static void
bracket_missing(struct repair *d, bool ended)
{
	const char *separator = d->levels[d->depth].bracket == '{' ? "," : ";";

	if (!repair_still_sure(d))
		return;
	report_unclosed(d);
	close_bracket(d, d->c);
	if (!ended)
		repair_replace(d, d->c, separator, repair_in_list(d) ? AT_VALUE : AT_KEY);
}

/* --- the grammar ------------------------------------------------------------------------- */

#define SETTING "here a setting should begin with its name; write name = value;"
#define A_VALUE "here a value should stand: \"text\", a number, true or false"

static void
unexpected(struct repair *d)
{
	static const char *const sentences[] = {
		[AT_KEY] = SETTING,
		[AT_END] = SETTING,
		[AT_EQUALS] = "here a = should stand; write name = value;",
		[AT_VALUE] = A_VALUE,
		[AT_FIRST] = A_VALUE,
		[AT_COMMA] = "here a comma or the end of the list should stand",
	};

	const struct named *key = &d->levels[d->depth].key;

	if (!repair_still_sure(d))
		; /* it may follow from another one */
	else if (d->at == AT_EQUALS && d->line > key->line)
		repair_report(d, key->name, key->line,
		    "this has no value; write name = value; or, if it is a comment, # before it");
	else
		repair_report(d, d->c, d->line, "%s", sentences[d->at]);
	d->stopped = true;
}

/* Whether the string at `c` is the name of a setting, as in JSON. */
static bool
is_quoted_name(const char *c)
{
	c += 1 + strcspn(c + 1, "\"\n");
	c += *c == '"';
	c += strspn(c, " \t");
	return *c == ':' || *c == '=';
}

static void
at_key(struct repair *d)
{
	struct open_bracket *l = &d->levels[d->depth];
	size_t size = config_name_size(d->c), quote = repair_odd_quote(d->c);
	const char *name = d->c + (quote > 0 ? quote : 1), *end = name;

	if (*d->c == '"' && d->at == AT_END && d->string != NULL && !is_quoted_name(d->c)) {
		repair_read_string(d); /* another piece of the one before */
		return;
	}
	d->at = AT_KEY;
	if (*d->c == '"' || quote > 0) {
		while (*end != '\0' && *end != '\n' && *end != '"' && repair_odd_quote(end) == 0)
			end++;
		if (end > name && (*end == '"' || repair_odd_quote(end) > 0))
			repair_read_odd_name(d, name, (size_t)(end - name),
			    end + (*end == '"' ? 1 : repair_odd_quote(end)));
		else
			unexpected(d);
	} else if (size > 0 && d->c[size] == '.') {
		end = d->c + size + strspn(d->c + size, LETTERS DIGITS "-_.");
		repair_read_odd_name(d, d->c, (size_t)(end - d->c), end);
	} else if (size > 0) {
		repair_begin_setting(d, d->c, size);
		d->c += size;
	} else if (*d->c == '{' && d->depth == 0 && l->seen_count == 0) {
		repair_report(d, d->c, d->line,
		    "this is JSON; write name = value; without braces round the whole" SYNTAX_SEE);
		d->stopped = true;
	} else if (*d->c == '{' && l->bracket == '{' && l[-1].bracket == '(') {
		bracket_missing(d, false);
	} else if (*d->c == ',') {
		if (*repair_skip_blanks(d->c + 1, &(int){ 0 }) != '{' || d->depth == 0)
			repair_report(d, d->c, d->line, "a comma too many; take it out");
		repair_replace(d, d->c + 1, " ", AT_KEY);
	} else {
		unexpected(d);
	}
}

/* The label of a block, as in: site "shop" { */
static bool
has_label(const char *c)
{
	const char *end = *c == '"' ? strpbrk(c + 1, "\"\n") : NULL;

	return end != NULL && *end == '"' && end[1 + strspn(end + 1, " \t")] == '{';
}

static void
at_equals(struct repair *d)
{
	struct open_bracket *l = &d->levels[d->depth];

	if (*d->c == '=' || *d->c == ':') {
		l->colon = *d->c == ':';
		d->c++;
		d->at = AT_VALUE;
	} else if (has_label(d->c) ||
		   (*d->c == '{' && !repair_is_group(l->key.name, l->key.size))) {
		repair_report(d, d->c, d->line,
		    "this is the syntax of nginx; write sites = ( { name = \"…\"; url = \"…\"; }, { … } "
		    ");" SYNTAX_SEE);
		d->stopped = true;
	} else if (*d->c == '{' ||
		   (d->line == l->key.line && strchr(";,", *d->c) == NULL &&
		       (*d->c == '"' || isdigit((unsigned char)*d->c) || repair_still_sure(d)))) {
		repair_report(d, d->c, d->line, "a = is missing; write %.*s = %s;",
		    (int)l->key.size, l->key.name, *d->c == '{' ? "{ … }" : "value");
		repair_replace(d, d->c, " = ", AT_VALUE);
	} else {
		unexpected(d);
	}
}

/* Something stands where a value should. */
static void
not_a_value(struct repair *d)
{
	const struct open_bracket *l = &d->levels[d->depth];
	bool in_list = repair_in_list(d);
	bool other_line = d->line > l->key.line;
	bool in_sites = in_list && l->key.size == 5 && repair_begins(l->key.name, "sites");

	if (in_list && (repair_is_setting(d->c) || (in_sites && strchr(",;", *d->c) == NULL))) {
		repair_report(d, d->c, d->line,
		    "settings in a list stand in braces; write sites = ( { name = \"…\"; url = \"…\"; "
		    "}, { … } );");
		d->stopped = true;
	} else if (l->colon && other_line && repair_is_setting(d->c)) {
		repair_report(d, d->c, d->line, "this is YAML; write %.*s = { … };" SYNTAX_SEE,
		    (int)l->key.size, l->key.name);
		d->stopped = true;
	} else if (!in_list &&
		   (strchr(";,", *d->c) != NULL || (other_line && repair_is_setting(d->c)))) {
		repair_value_missing(d);
	} else if (in_list && strchr(",;", *d->c) != NULL) {
		unexpected(d);
	} else {
		repair_read_bare(d);
	}
}

static void
at_value(struct repair *d)
{
	if (*d->c == '"')
		repair_read_string(d);
	else if (repair_odd_quote(d->c) > 0)
		repair_read_odd_string(d);
	else if (strchr("{([", *d->c) != NULL)
		open_bracket(d);
	else if (!repair_read_number(d) && !repair_read_boolean(d))
		not_a_value(d);
}

static void
at_comma(struct repair *d)
{
	const char *behind = *d->c != '\0' ? repair_skip_blanks(d->c + 1, &(int){ 0 }) : d->c;

	if (*d->c == ',') {
		d->c++;
		d->at = AT_VALUE;
	} else if (*d->c == '"' && d->string != NULL) {
		repair_read_string(d);
	} else if (*d->c == ';' && repair_is_setting(behind)) {
		bracket_missing(d, true);
	} else if (*d->c == ';') {
		repair_report(d, d->c, d->line,
		    "in a list a comma stands between two values, and nothing behind the last; no ;");
		if (strchr(")]", *behind) != NULL)
			repair_replace(d, d->c + 1, " ", AT_COMMA);
		else
			repair_replace(d, d->c + 1, ",", AT_VALUE);
	} else if (repair_is_setting(d->c)) {
		bracket_missing(d, false);
	} else if (*d->c == '{' || repair_still_sure(d)) {
		repair_report(d, d->c, d->line, "a comma is missing before this");
		repair_replace(d, d->c, ",", AT_VALUE);
	}
}

static void
at_closing(struct repair *d)
{
	if (d->at == AT_EQUALS || (d->at == AT_VALUE && repair_in_list(d)))
		unexpected(d);
	else if (d->at == AT_VALUE)
		repair_value_missing(d); /* then the bracket is looked at again */
	else if (d->depth > 0 && closes(&d->levels[d->depth], *d->c))
		close_bracket(d, d->c + 1);
	else
		wrong_bracket(d);
}

static void
at_end(struct repair *d)
{
	const struct open_bracket *l = &d->levels[d->depth];

	if (d->at == AT_EQUALS)
		unexpected(d);
	else if (d->at == AT_VALUE && !repair_in_list(d))
		repair_value_missing(d);
	else if (d->depth > 0 && repair_still_sure(d))
		repair_report(d, l->start, l->line, "this %c has no %c: the file ends before",
		    l->bracket, closing(l));
	/* a comma at the end is refused by some versions of libconfig only */
	d->stopped |= d->at == AT_VALUE;
	while (d->depth > 0)
		close_bracket(d, d->c);
	if (d->levels[0].drop)
		repair_drop_setting(d);
	repair_copy(d);
}

/* Read the end of a setting. False: there is none; a ; with words behind it begins a comment. */
static bool
read_terminator(struct repair *d)
{
	const char *behind = d->c + 1 + strspn(d->c + 1, " \t\r");

	if (d->at != AT_END || (*d->c != ';' && *d->c != ',') ||
	    (*d->c == ';' && repair_line_begins(d) && *behind != '\n' && *behind != '\0' &&
		!repair_is_setting(behind)))
		return false;
	d->c++;
	d->at = AT_KEY;
	return true;
}

static void
step(struct repair *d)
{
	static void (*const steps[])(struct repair * d) = {
		[AT_KEY] = at_key,
		[AT_END] = at_key,
		[AT_EQUALS] = at_equals,
		[AT_VALUE] = at_value,
		[AT_FIRST] = at_value,
		[AT_COMMA] = at_comma,
	};
	bool ended = read_terminator(d);

	if (d->at <= AT_END && d->levels[d->depth].drop)
		repair_drop_setting(d);
	if (ended || repair_find_habit(d))
		return;
	if (strchr("})]", *d->c) != NULL)
		at_closing(d);
	else
		steps[d->at](d);
}

char *
config_explain_syntax(struct reader *r, const char *text)
{
	struct repair *d = xcalloc(1, sizeof(*d));
	const size_t last = r->config->mistakes.count + SYNTAX_REPORTED_MAX;
	char *rest;

	d->r = r;
	d->text = d->c = d->copied = text;
	d->line = 1;
	d->out = rest = xcalloc(1, strlen(text) + ROOM);
	while (!d->stopped && r->config->mistakes.count < last) {
		d->c = repair_skip_blanks(d->c, &d->line);
		if (d->string != NULL && repair_find_lost_quote(d))
			continue;
		if (*d->c == '\0')
			break;
		if (*d->c != '"')
			d->string = NULL;
		step(d);
	}
	d->stopped |= r->config->mistakes.count >= last;
	if (!d->stopped)
		at_end(d);
	rest[d->out_size] = '\0'; /* behind it may stand what was taken out */
	if (d->stopped) {
		free(rest);
		rest = NULL;
	}
	free(d);
	return rest;
}
