/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Writing JSON: a bad byte must never cost a record. Called by all rooms; nothing is fatal.
 */
#include "writer.h"

#include <stdio.h>

/* How `c` looks in a JSON string; returns its length. */
static size_t
escape(char out[8], unsigned char c)
{
	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	if (c < 0x20)
		return (size_t)snprintf(out, 8, "\\u%04x", c);
	out[0] = (char)c;
	return 1;
}

static void
write_string(struct writer *w, const char *s, size_t cap)
{
	static const char ellipsis[] = "\xe2\x80\xa6";
	char piece[8];
	size_t used = 0;
	char *cut;

	write_bytes(w, "\"", 1);
	cut = w->at;
	for (; *s != '\0'; s++) {
		size_t n = escape(piece, (unsigned char)*s);

		if (used + n > cap) {
			w->at = cut;
			write_literal(w, ellipsis);
			break;
		}
		/* a continuation byte is no place to cut */
		if (((unsigned char)*s & 0xc0) != 0x80 && used + sizeof(ellipsis) - 1 <= cap)
			cut = w->at;
		write_bytes(w, piece, n);
		used += n;
	}
	write_bytes(w, "\"", 1);
}

void
write_text(struct writer *w, const char *prefix, const char *value, size_t cap)
{
	write_literal(w, prefix);
	if (value == NULL || value[0] == '\0')
		write_literal(w, "null");
	else
		write_string(w, value, cap);
}

void
write_digits(struct writer *w, uint64_t n, int width)
{
	char digits[20];
	int i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) > 0 || (int)sizeof(digits) - i < width);
	write_bytes(w, digits + i, sizeof(digits) - (size_t)i);
}

void
write_integer(struct writer *w, const char *prefix, int64_t value)
{
	write_literal(w, prefix);
	if (value == WRITER_NONE)
		write_literal(w, "null");
	else
		write_digits(w, (uint64_t)value, 1);
}

void
write_thousandths(struct writer *w, const char *prefix, int64_t value)
{
	write_literal(w, prefix);
	if (value == WRITER_NONE) {
		write_literal(w, "null");
		return;
	}
	if (value < 0) {
		write_bytes(w, "-", 1);
		value = -value;
	}
	write_digits(w, (uint64_t)value / 1000, 1);
	if (value % 1000 != 0) {
		write_bytes(w, ".", 1);
		write_digits(w, (uint64_t)value % 1000, 3);
	}
}

void
write_time(struct writer *w, const char *prefix, int64_t utc_us)
{
	char text[UTIL_RFC3339_SIZE] = "";

	if (utc_us != WRITER_NONE)
		util_rfc3339(text, utc_us);
	write_text(w, prefix, text, sizeof(text));
}
