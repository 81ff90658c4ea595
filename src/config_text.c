/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A file of the configuration as text. Finds what libconfig would take without a word, or not tell
 * well, and makes it harmless, so that the mistakes behind it are found too.
 */
#include "config_internal.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (100 * 1024 * 1024)

struct scan {
	struct reader *reader;
	const char *end; /* of the text; a NUL stands there */
	int line;
	const char *key; /* the last name seen, and its length */
	int key_size;
	bool hopeless; /* nothing but a syntax error could follow */
};

static void
scan_mistake(struct scan *s, const char *why)
{
	config_mistake(s->reader, s->line, "%.*s: %s", s->key_size, s->key, why);
}

/*
 * libconfig 1.5 wraps large integers and takes 1e999 for infinity, both without a word; later ones
 * read octal and binary numbers.
 */
static void
check_number(struct scan *s, char *token, size_t size)
{
	size_t zeros = strspn(token, "0"), digits = strspn(token, "0123456789");
	bool integer = digits == size || token[digits] == 'L';
	const char *why = NULL;
	char *stop;

	if (integer && digits > 9)
		why = "integers have at most 9 digits";
	else if (!integer && !isfinite(strtod(token, &stop)))
		why = "the number is not finite";
	else if (!integer && (stop != token + size || token[1] == 'x' || token[1] == 'X'))
		why = "is not a decimal number";
	if (why != NULL)
		scan_mistake(s, why);
	else if (integer && zeros > 0)
		memset(token, ' ', zeros < digits ? zeros : zeros - 1);
}

static char *
scan_string(struct scan *s, char *c)
{
	int line = s->line;

	for (c++; c < s->end && *c != '"'; c++) {
		if (*c == '\\' && c + 1 < s->end) {
			if (strncmp(c, "\\x00", 4) == 0)
				scan_mistake(s, "contains a NUL");
			c++;
		}
		s->line += *c == '\n';
	}
	if (c < s->end)
		return c + 1;
	s->line = line;
	scan_mistake(s, "the string has no end");
	s->hopeless = true;
	return c;
}

/* Also past what is no comment: the '/' alone. */
static char *
skip_comment(struct scan *s, char *c)
{
	int line = s->line;

	if (*c == '#' || c[1] == '/')
		return c + strcspn(c, "\n");
	if (c[1] != '*')
		return c + 1;
	for (c += 2; c < s->end && !(c[0] == '*' && c[1] == '/'); c++)
		s->line += *c == '\n';
	if (c < s->end)
		return c + 2;
	config_mistake(s->reader, line, "the comment has no end");
	return c;
}

/* Whether it makes sense to parse the text. */
static bool
scan_text(struct reader *r, char *text, const char *end)
{
	struct scan s = { r, end, 1, "number", 6, false };
	size_t n;

	for (char *c = text; c < end; c += n) {
		n = 1;
		if (*c == '"') {
			n = (size_t)(scan_string(&s, c) - c);
		} else if (*c == '#' || *c == '/') {
			n = (size_t)(skip_comment(&s, c) - c);
		} else if (strncmp(c, "@include", 8) == 0) {
			config_mistake(r, s.line, "@include is not supported; use sites_dir");
			n = strcspn(c, "\n");
			memset(c, ' ', n);
		} else if (isdigit((unsigned char)*c)) {
			n = strspn(c, "0123456789abcdefABCDEFxXL.");
			if ((c[n] == '-' || c[n] == '+') && (c[n - 1] == 'e' || c[n - 1] == 'E'))
				n += 1 + strspn(c + n + 1, "0123456789");
			check_number(&s, c, n);
		} else if (isalpha((unsigned char)*c) || *c == '*') {
			while (
			    isalnum((unsigned char)c[n]) || (c[n] != '\0' && strchr("_-*", c[n])))
				n++;
			s.key = c;
			s.key_size = (int)n;
		} else {
			s.line += *c == '\n';
		}
	}
	return !s.hopeless;
}

char *
config_read_text(struct reader *r)
{
	const char *why;
	size_t size;
	mode_t mode;
	char *text = util_read_file(r->file, FILE_MAX, &size, &mode, &why);
	int line = 1;

	if (text == NULL) {
		config_mistake(r, 1, "cannot read the file: %s", why);
		return NULL;
	}
	if ((mode & S_IWOTH) != 0)
		config_mistake(r, 1, "everybody can write this file; do: chmod o-w %s", r->file);
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0) {
		config_mistake(r, 1, "the file begins with a byte order mark; save it without");
		memset(text, ' ', 3);
	}
	if (strlen(text) < size) {
		for (char *c = text; *c != '\0'; c++)
			line += *c == '\n';
		config_mistake(r, line, "the file contains a NUL byte");
		for (size_t i = 0; i < size; i++)
			text[i] = text[i] != '\0' ? text[i] : ' ';
	}
	if (scan_text(r, text, text + size))
		return text;
	free(text);
	return NULL;
}
