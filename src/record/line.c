/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The members of a line of an answer. What comes from the daemon may have come from a web site: it
 * is made clean before a terminal gets it.
 */
#include "line.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan_object.h"
#include "util.h"

static struct member
find(const struct line *line, const char *name)
{
	const struct member_name wanted = { name, strlen(name) };
	struct member m = { .type = MEMBER_ABSENT };

	if (!scan_object(&m, &wanted, 1, line->text, line->size))
		m.type = MEMBER_ABSENT;
	return m;
}

/* The character that \uXXXX at `in` stands for, in UTF-8; returns its length. */
static size_t
decode_unicode(const char *in, char out[4])
{
	char digits[5] = "";
	unsigned long c;

	memcpy(digits, in, 4);
	c = strtoul(digits, NULL, 16);
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	out[0] = (char)(0xe0 | c >> 12); /* half a surrogate pair becomes U+FFFD later */
	out[1] = (char)(0x80 | (c >> 6 & 0x3f));
	out[2] = (char)(0x80 | (c & 0x3f));
	return 3;
}

const char *
line_text(const struct line *line, const char *name, char *out, size_t size)
{
	struct member m = find(line, name);
	char text[ANSWER_LINE_MAX];
	size_t n = 0;

	out[0] = '\0';
	if (m.type != MEMBER_STRING || m.size > sizeof(text))
		return out;
	for (size_t i = 0; i < m.size; i++) {
		if (m.at[i] != '\\') {
			text[n++] = m.at[i];
		} else if (m.at[++i] == 'u') {
			n += decode_unicode(m.at + i + 1, text + n);
			i += 4;
		} else {
			/* those for control characters become blanks */
			text[n++] = m.at[i] == '"' || m.at[i] == '\\' || m.at[i] == '/' ? m.at[i]
											: ' ';
		}
	}
	util_clean_text(out, size, text, n);
	return out;
}

bool
line_is(const struct line *line, const char *type)
{
	struct member m = find(line, "type");

	return m.type == MEMBER_STRING && m.size == strlen(type) && memcmp(m.at, type, m.size) == 0;
}

double
line_number(const struct line *line, const char *name)
{
	struct member m = find(line, name);
	char digits[40] = "";

	if (m.type != MEMBER_NUMBER || m.size >= sizeof(digits))
		return NAN;
	memcpy(digits, m.at, m.size);
	return strtod(digits, NULL);
}

uint64_t
line_count(const struct line *line, const char *name)
{
	double number = line_number(line, name);

	return number > 0 && number < 1e18 ? (uint64_t)number : 0;
}

bool
line_true(const struct line *line, const char *name)
{
	struct member m = find(line, name);

	return m.type == MEMBER_BOOLEAN && m.at[0] == 't';
}

time_t
line_time(const struct line *line, const char *name)
{
	struct tm tm = { 0 };
	char text[64];

	line_text(line, name, text, sizeof(text));
	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) != NULL ? timegm(&tm) : 0;
}

bool
line_kafka_is_well(const struct line *line)
{
	char word[32];

	line_text(line, "kafka", word, sizeof(word));
	return strcmp(word, "not delivering") != 0 && strcmp(word, "starting") != 0;
}

bool
line_group_is_well(const struct line *line)
{
	char group[80];

	return line_text(line, "group", group, sizeof(group))[0] == '\0' ||
	       (line_number(line, "lease_s") > 0 && !line_true(line, "alone"));
}
