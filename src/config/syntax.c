/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A text that libconfig has refused: goes through it once more along the same grammar, and where
 * something else stands than should, says what that looks like and what to write. What is told is
 * mended in a copy, so that the mistakes behind it are found too; where the rest would be guesswork
 * it stops. Never called for a file that libconfig takes, and so never wrong about one.
 */
#include "syntax.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

/* For what is mended: 20 times some quotes, commas and brackets. */
#define ROOM 4096

static void
open_bracket(struct doctor *d)
{
	struct open_bracket *l = &d->levels[d->depth];

	doctor_copy(d);
	if (l->bracket == '[') {
		doctor_tell(d, l->start, l->line,
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
close_bracket(struct doctor *d, const char *end)
{
	const char bracket[] = { closing(&d->levels[d->depth]), '\0' };

	if (d->levels[d->depth].drop)
		doctor_drop_setting(d);
	doctor_replace(d, end, bracket, AT_END);
	d->depth--;
	d->at = doctor_behind_value(d);
}

static bool
closes(const struct open_bracket *l, char c)
{
	return c == (l->swapped ? ']' : closing(l));
}

static void
tell_unclosed(struct doctor *d)
{
	const struct open_bracket *l = &d->levels[d->depth];

	doctor_tell(d, d->c, d->line, "the %c of line %d has no %c before this", l->bracket,
	    l->line, closing(l));
}

static void
wrong_bracket(struct doctor *d)
{
	int open = d->depth;

	while (open > 0 && !closes(&d->levels[open], *d->c))
		open--;
	if (!doctor_still_sure(d))
		return;
	if (open > 0) {
		tell_unclosed(d);
		while (d->depth > open)
			close_bracket(d, d->c);
		return;
	}
	doctor_tell(d, d->c, d->line,
	    "this %c closes nothing: one too many, or a %c too few before", *d->c,
	    *d->c == ')'   ? '('
	    : *d->c == '}' ? '{'
			   : '[');
	d->stopped = true;
}

/* The bracket that is open ends before this; with `ended` a ; stands behind it. */
static void
bracket_missing(struct doctor *d, bool ended)
{
	const char *separator = d->levels[d->depth].bracket == '{' ? "," : ";";

	if (!doctor_still_sure(d))
		return;
	tell_unclosed(d);
	close_bracket(d, d->c);
	if (!ended)
		doctor_replace(d, d->c, separator, doctor_in_list(d) ? AT_VALUE : AT_KEY);
}

/* --- the grammar ------------------------------------------------------------------------- */

#define SETTING "here a setting should begin with its name; write name = value;"
#define A_VALUE "here a value should stand: \"text\", a number, true or false"

static void
unexpected(struct doctor *d)
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

	if (!doctor_still_sure(d))
		; /* it may follow from another one */
	else if (d->at == AT_EQUALS && d->line > key->line)
		doctor_tell(d, key->name, key->line,
		    "this has no value; write name = value; or, if it is a comment, # before it");
	else
		doctor_tell(d, d->c, d->line, "%s", sentences[d->at]);
	d->stopped = true;
}

/* Whether a string is the name of a setting: that of JSON. */
static bool
is_quoted_name(const char *c)
{
	c += 1 + strcspn(c + 1, "\"\n");
	c += *c == '"';
	c += strspn(c, " \t");
	return *c == ':' || *c == '=';
}

static void
at_key(struct doctor *d)
{
	struct open_bracket *l = &d->levels[d->depth];
	size_t size = config_name_size(d->c), quote = doctor_odd_quote(d->c);
	const char *name = d->c + (quote > 0 ? quote : 1), *end = name;

	if (*d->c == '"' && d->at == AT_END && d->string != NULL && !is_quoted_name(d->c)) {
		doctor_take_string(d); /* another piece of the one before */
		return;
	}
	d->at = AT_KEY;
	if (*d->c == '"' || quote > 0) {
		while (*end != '\0' && *end != '\n' && *end != '"' && doctor_odd_quote(end) == 0)
			end++;
		if (end > name && (*end == '"' || doctor_odd_quote(end) > 0))
			doctor_take_odd_name(d, name, (size_t)(end - name),
			    end + (*end == '"' ? 1 : doctor_odd_quote(end)));
		else
			unexpected(d);
	} else if (size > 0 && d->c[size] == '.') {
		end = d->c + size + strspn(d->c + size, LETTERS DIGITS "-_.");
		doctor_take_odd_name(d, d->c, (size_t)(end - d->c), end);
	} else if (size > 0) {
		doctor_begin_setting(d, d->c, size);
		d->c += size;
	} else if (*d->c == '{' && d->depth == 0 && l->seen_count == 0) {
		doctor_tell(d, d->c, d->line,
		    "this is JSON; write name = value; without braces round the whole" SYNTAX_SEE);
		d->stopped = true;
	} else if (*d->c == '{' && l->bracket == '{' && l[-1].bracket == '(') {
		bracket_missing(d, false);
	} else if (*d->c == ',') {
		if (*doctor_skip_blanks(d->c + 1, &(int){ 0 }) != '{' || d->depth == 0)
			doctor_tell(d, d->c, d->line, "a comma too many; take it out");
		doctor_replace(d, d->c + 1, " ", AT_KEY);
	} else {
		unexpected(d);
	}
}

static void
at_equals(struct doctor *d)
{
	struct open_bracket *l = &d->levels[d->depth];

	if (*d->c == '=' || *d->c == ':') {
		l->colon = *d->c == ':';
		d->c++;
		d->at = AT_VALUE;
	} else if (doctor_find_block(d)) {
		return;
	} else if (d->line == l->key.line && strchr(";,", *d->c) == NULL &&
		   (*d->c == '"' || isdigit((unsigned char)*d->c) || doctor_still_sure(d))) {
		doctor_tell(d, d->c, d->line, "a = is missing; write %.*s = value;",
		    (int)l->key.size, l->key.name);
		doctor_replace(d, d->c, " = ", AT_VALUE);
	} else {
		unexpected(d);
	}
}

/* A value that is none, and no bracket. */
static void
not_a_value(struct doctor *d)
{
	const struct open_bracket *l = &d->levels[d->depth];
	bool in_list = doctor_in_list(d);
	bool other_line = d->line > l->key.line;
	bool in_sites = in_list && l->key.size == 5 && doctor_begins(l->key.name, "sites");

	if (in_list && (doctor_is_setting(d->c) || (in_sites && strchr(",;", *d->c) == NULL))) {
		doctor_tell(d, d->c, d->line,
		    "settings in a list stand in braces; write sites = ( { name = \"…\"; url = \"…\"; "
		    "}, { … } );");
		d->stopped = true;
	} else if (in_list && *d->c == ',') {
		doctor_tell(d, d->c, d->line, "a comma too many; take it out");
		doctor_replace(d, d->c + 1, " ", d->at);
	} else if (l->colon && other_line && doctor_is_setting(d->c)) {
		doctor_tell(d, d->c, d->line, "this is YAML; write %.*s = { … };" SYNTAX_SEE,
		    (int)l->key.size, l->key.name);
		d->stopped = true;
	} else if (!in_list &&
		   (strchr(";,", *d->c) != NULL || (other_line && doctor_is_setting(d->c)))) {
		doctor_value_missing(d);
	} else if (in_list && *d->c == ';') {
		unexpected(d);
	} else {
		doctor_take_bare(d);
	}
}

static void
at_value(struct doctor *d)
{
	if (*d->c == '"')
		doctor_take_string(d);
	else if (doctor_odd_quote(d->c) > 0)
		doctor_take_odd_string(d);
	else if (strchr("{([", *d->c) != NULL)
		open_bracket(d);
	else if (!doctor_take_number(d) && !doctor_take_boolean(d))
		not_a_value(d);
}

static void
at_comma(struct doctor *d)
{
	const char *behind = *d->c != '\0' ? doctor_skip_blanks(d->c + 1, &(int){ 0 }) : d->c;

	if (*d->c == ',') {
		d->c++;
		d->at = AT_VALUE;
	} else if (*d->c == '"' && d->string != NULL) {
		doctor_take_string(d);
	} else if (*d->c == ';' && doctor_is_setting(behind)) {
		bracket_missing(d, true);
	} else if (*d->c == ';') {
		doctor_tell(d, d->c, d->line,
		    "in a list a comma stands between two values, and nothing behind the last; no ;");
		if (strchr(")]", *behind) != NULL)
			doctor_replace(d, d->c + 1, " ", AT_COMMA);
		else
			doctor_replace(d, d->c + 1, ",", AT_VALUE);
	} else if (doctor_is_setting(d->c)) {
		bracket_missing(d, false);
	} else if (doctor_still_sure(d)) {
		doctor_tell(d, d->c, d->line, "a comma is missing before this");
		doctor_replace(d, d->c, ",", AT_VALUE);
	}
}

static void
at_closing(struct doctor *d)
{
	if (d->at == AT_EQUALS || (d->at == AT_VALUE && doctor_in_list(d)))
		unexpected(d);
	else if (d->at == AT_VALUE)
		doctor_value_missing(d); /* and again to here */
	else if (d->depth > 0 && closes(&d->levels[d->depth], *d->c))
		close_bracket(d, d->c + 1);
	else
		wrong_bracket(d);
}

static void
at_end(struct doctor *d)
{
	const struct open_bracket *l = &d->levels[d->depth];

	if (d->at == AT_EQUALS)
		unexpected(d);
	else if (d->at == AT_VALUE && !doctor_in_list(d))
		doctor_value_missing(d);
	else if (d->depth > 0 && doctor_still_sure(d))
		doctor_tell(d, l->start, l->line, "this %c has no %c: the file ends before",
		    l->bracket, closing(l));
	/* what ended behind a comma would be fine for some versions of libconfig, and not for others */
	d->stopped |= d->at == AT_VALUE;
	while (d->depth > 0)
		close_bracket(d, d->c);
	if (d->levels[0].drop)
		doctor_drop_setting(d);
	doctor_copy(d);
}

/* Whether a setting ends here as it should; a ; with words behind it in its line is no such end. */
static bool
take_terminator(struct doctor *d)
{
	const char *behind = d->c + 1 + strspn(d->c + 1, " \t\r");

	if (d->at != AT_END || (*d->c != ';' && *d->c != ',') ||
	    (*d->c == ';' && doctor_line_begins(d) && *behind != '\n' && *behind != '\0' &&
		!doctor_is_setting(behind)))
		return false;
	d->c++;
	d->at = AT_KEY;
	return true;
}

static void
step(struct doctor *d)
{
	static void (*const steps[])(struct doctor * d) = {
		[AT_KEY] = at_key,
		[AT_END] = at_key,
		[AT_EQUALS] = at_equals,
		[AT_VALUE] = at_value,
		[AT_FIRST] = at_value,
		[AT_COMMA] = at_comma,
	};
	bool ended = take_terminator(d);

	if (d->at <= AT_END && d->levels[d->depth].drop)
		doctor_drop_setting(d);
	if (ended || doctor_find_habit(d))
		return;
	if (strchr("})]", *d->c) != NULL)
		at_closing(d);
	else
		steps[d->at](d);
}

char *
config_explain_syntax(struct reader *r, const char *text, bool *told)
{
	struct doctor *d = xcalloc(1, sizeof(*d));
	char *rest;

	d->r = r;
	d->text = d->c = d->copied = text;
	d->line = 1;
	d->out = rest = xcalloc(1, strlen(text) + ROOM);
	while (!d->stopped) {
		d->c = doctor_skip_blanks(d->c, &d->line);
		if (d->string != NULL && doctor_find_lost_quote(d))
			continue;
		if (*d->c == '\0')
			break;
		if (*d->c != '"')
			d->string = NULL;
		step(d);
	}
	if (!d->stopped)
		at_end(d);
	rest[d->out_size] = '\0'; /* behind it stands what was taken out */
	if (d->stopped) {
		free(rest);
		rest = NULL;
	}
	*told = d->told > 0;
	free(d);
	return rest;
}
