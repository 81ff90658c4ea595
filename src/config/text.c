/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A file of the configuration as text. Reports what some version of libconfig would accept silently
 * or refuse without a clear reason, and replaces it, so that webmond says the same with every
 * version and later mistakes are found too.
 */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (100 * 1024 * 1024)

struct scan {
	struct reader *r;
	char *text;
	const char *end; /* of the text; a NUL stands there */
	int line;
	const char *key; /* the last name seen, and its length */
	int key_size;
	char *comma; /* the token before this, if it is a comma; else NULL */
	int comma_line;
	bool endless; /* a string has no end */
};

/* --- what depends on the version of libconfig -------------------------------------------- */

static void
scan_mistake(struct scan *s, const char *why)
{
	config_mistake(s->r, s->line, "%.*s: %s", s->key_size, s->key, why);
}

/*
 * libconfig 1.5 silently wraps large integers and reads 1e999 as infinity; later versions refuse
 * the former, and read octal and binary numbers. Returns what follows the number.
 */
static char *
scan_number(struct scan *s, char *token)
{
	bool sign = *token == '-' || *token == '+';
	char *first = token + sign, *end = first + strspn(first, DIGITS), *stop;
	size_t digits = (size_t)(end - first), zeros = strspn(first, "0"), size;
	double number = strtod(first, &stop);
	const char *why = NULL;

	if (digits == 1 && *first == '0' && *end != '\0' && strchr("bBoOqQxX", *end) != NULL &&
	    isxdigit((unsigned char)end[1])) {
		why = "is not a decimal number";
		end += 1 + strspn(end + 1, DIGITS "abcdefABCDEF");
		end += strspn(end, "L");
	} else if (stop > end) {
		why = isfinite(number) ? NULL : "the number is not finite";
		end = stop;
	} else {
		why = digits > 9 ? "integers have at most 9 digits" : NULL;
		end += strspn(end, "L");
	}
	size = (size_t)(end - first);
	if (why != NULL) {
		scan_mistake(s, why);
		memset(first, ' ', size);
		memset(first, '9', size < 9 ? size : 9); /* the same in all versions */
	} else if (stop <= end && zeros > 0 && zeros < digits) {
		memset(first, ' ', zeros);
	}
	return end > token ? end : token + 1;
}

/*
 * A backslash in a string. libconfig 1.8 reads \a, \b and \v as control characters, earlier ones
 * keep them as they are. All keep a backslash before any other letter, but nobody should rely on
 * it.
 */
static char *
scan_escape(struct scan *s, char *c, bool *reported)
{
	char e = c[1];

	if (e == 'x' || e == 'X') {
		if (c[2] == '0' && c[3] == '0')
			scan_mistake(s, "contains a NUL");
		if (isxdigit((unsigned char)c[2]) && isxdigit((unsigned char)c[3]))
			return c + 2;
	}
	if (e == 'a' || e == 'b' || e == 'v') {
		if (!*reported)
			config_mistake_at(s->r, s->text, c, s->line,
			    "%.*s: \\%c with a single backslash is a control character; write \\\\%c",
			    s->key_size, s->key, e, e);
		memset(c, ' ', 2);
		*reported = true;
	} else if (isprint((unsigned char)e) && strchr("\\\"nrtf", e) == NULL && !*reported) {
		*reported = true;
		config_warning(s->r, s->line,
		    "%.*s: \\%c has a single backslash; write \\\\%c, which means the same in "
		    "every version of libconfig",
		    s->key_size, s->key, e, e);
	}
	return c + 1 + (e != '\0' && e != '\n');
}

static char *
scan_string(struct scan *s, char *c)
{
	bool reported = false;

	for (c++; c < s->end && *c != '"';) {
		s->line += *c == '\n';
		c = *c == '\\' ? scan_escape(s, c, &reported) : c + 1;
	}
	s->endless = c >= s->end;
	return s->endless ? c : c + 1;
}

size_t
config_name_size(const char *c)
{
	return isalpha((unsigned char)*c) || *c == '*' ? strspn(c, LETTERS DIGITS "-_*") : 0;
}

const char *
config_skip_comment(const char *c)
{
	const char *end;

	if (*c == '#' || (*c == '/' && c[1] == '/'))
		return c + strcspn(c, "\n");
	if (*c != '/' || c[1] != '*')
		return c;
	end = strstr(c + 2, "*/");
	return end != NULL ? end + 2 : c + strlen(c);
}

static char *
scan_comment(struct scan *s, char *c)
{
	char *end = c + (config_skip_comment(c) - c);

	if (c[1] == '*' && *c == '/' && (end - c < 4 || end[-1] != '/'))
		config_mistake_at(s->r, s->text, c, s->line, "the comment has no end: */");
	/*
	 * no version accepts a long comment without an end, 1.5 none without a line break behind it
	 */
	for (bool last = end == s->end; c < end; c++)
		if (*c == '\n')
			s->line++;
		else if (last)
			*c = ' ';
	return end;
}

/* Only libconfig 1.5 refuses a comma with nothing behind it. */
static void
scan_punctuation(struct scan *s, char *c)
{
	static const char surplus[] = "a comma with nothing behind it; take it out";

	if (s->comma != NULL && (*c == ',' || *c == ')' || *c == ']')) {
		config_mistake_at(s->r, s->text, s->comma, s->comma_line, "%s", surplus);
		*s->comma = ' ';
	}
	s->comma = *c == ',' ? c : NULL;
	s->comma_line = s->line;
}

/* Check one token, or skip a byte that begins none. Returns what follows. */
static char *
scan_token(struct scan *s, char *c)
{
	size_t n;

	if (strchr(",()[]{}", *c) != NULL) {
		scan_punctuation(s, c);
		return c + 1;
	}
	s->comma = NULL;
	if (*c == '"')
		return scan_string(s, c);
	if (isdigit((unsigned char)*c) ||
	    (strchr("+-.", *c) != NULL && c[1] != '\0' && strchr(DIGITS ".", c[1])))
		return scan_number(s, c);
	n = config_name_size(c);
	if (n > 0) {
		s->key_size = n < 64 ? (int)n : 64;
		s->key = c;
		return c + n;
	}
	if (strncmp(c, "@include", 8) == 0) {
		config_mistake(s->r, s->line, "@include is not supported; use sites_dir");
		n = strcspn(c, "\n");
		memset(c, ' ', n);
	} else if (strchr("\a\b\v", *c) != NULL) {
		config_mistake(s->r, s->line, "a control character stands here; take it out");
		*c = ' '; /* as libconfig 1.8 does */
	}
	return c + (n > 0 ? n : 1);
}

/* Returns whether the text can be parsed. */
static bool
scan_text(struct reader *r, char *text, const char *end)
{
	struct scan s = { .r = r, .text = text, .end = end, .line = 1 };

	s.key = "number";
	s.key_size = 6;
	for (char *c = text; c < end;) {
		if (*c == '\n')
			s.line++;
		if (strchr(" \t\r\n\f", *c) != NULL)
			c++;
		else if (config_skip_comment(c) > c)
			c = scan_comment(&s, c);
		else
			c = scan_token(&s, c);
	}
	return !s.endless;
}

/* What to do about it, with a "; " before. */
static void
find_cure(char *out, size_t size, struct reader *r, const char *why)
{
	const struct passwd *owner;
	const struct group *group;
	struct stat st;

	out[0] = '\0';
	if (strcmp(why, strerror(ENOENT)) == 0 && strcmp(r->file, r->config->file) == 0)
		snprintf(out, size, "; see " CONFIG_SAMPLE " and webmond.conf(5)");
	if (strcmp(why, strerror(EACCES)) != 0 || stat(r->file, &st) < 0 ||
	    (owner = getpwuid(st.st_uid)) == NULL)
		return;
	group = (st.st_mode & S_IRGRP) != 0 ? getgrgid(st.st_gid) : NULL;
	snprintf(out, size, "; only %s%s%s may read it: use sudo", owner->pw_name,
	    group != NULL ? " and the group " : "", group != NULL ? group->gr_name : "");
}

/* Root does what the main file says, so nobody else may write it. */
static void
check_owner(struct reader *r)
{
	struct stat st;

	if (geteuid() != 0 || strcmp(r->file, r->config->file) != 0 || stat(r->file, &st) < 0)
		return;
	if (st.st_uid != 0)
		config_mistake(r, 1,
		    "started as root, webmond takes only a file of root's; do: chown root %s",
		    r->file);
	if ((st.st_mode & S_IWGRP) != 0)
		config_mistake(r, 1,
		    "started as root, webmond takes no file that a group can write; do: chmod g-w "
		    "%s",
		    r->file);
}

/* False: the text cannot be parsed, and why has been reported. */
static bool
check_encoding(struct reader *r, char *text, size_t size)
{
	int line = 1;

	if (strncmp(text, "\xff\xfe", 2) == 0 || strncmp(text, "\xfe\xff", 2) == 0) {
		config_mistake(
		    r, 1, "the file is in UTF-16; save it as UTF-8, or: iconv -f UTF-16 -t UTF-8");
		return false;
	}
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0) {
		config_mistake(r, 1, "the file begins with a byte order mark; save it without");
		memset(text, ' ', 3);
	}
	if (strlen(text) < size) {
		for (char *c = text; *c != '\0'; c++)
			line += *c == '\n';
		config_mistake(r, line, "the file contains a NUL byte; save it as UTF-8");
		for (size_t i = 0; i < size; i++)
			text[i] = text[i] != '\0' ? text[i] : ' ';
	}
	return true;
}

char *
config_read_text(struct reader *r, bool *hopeless)
{
	char cure[256];
	const char *why;
	size_t size;
	mode_t mode;
	char *text = util_read_file(r->file, FILE_MAX, &size, &mode, &why);

	if (text == NULL) {
		find_cure(cure, sizeof(cure), r, why);
		config_mistake(r, 0, "cannot read the file: %s%s", why, cure);
		return NULL;
	}
	if ((mode & S_IWOTH) != 0)
		config_mistake(r, 1, "everybody can write this file; do: chmod o-w %s", r->file);
	check_owner(r);
	if (!check_encoding(r, text, size)) {
		free(text);
		return NULL;
	}
	*hopeless = !scan_text(r, text, text + size);
	return text;
}
