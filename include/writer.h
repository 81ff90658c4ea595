/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A writer of flat JSON objects, instead of a library: caps count encoded bytes, it allocates
 * nothing, and it never writes beyond its end. What does not fit is lost, so callers make sure of
 * the room. Texts are valid UTF-8.
 */
#ifndef WEBMOND_WRITER_H
#define WEBMOND_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util.h"

/* A number that is not known is written as null. */
#define WRITER_NONE (-1)

struct writer {
	char *at;
	char *end;
};

static inline void
write_bytes(struct writer *w, const char *s, size_t n)
{
	if (n > (size_t)(w->end - w->at))
		n = (size_t)(w->end - w->at);
	w->at = mempcpy(w->at, s, n);
}

static inline void
write_literal(struct writer *w, const char *s)
{
	write_bytes(w, s, strlen(s));
}

/* With zeros before it, up to `width` digits. */
void write_digits(struct writer *w, uint64_t n, int width);

/*
 * The members of an object: `prefix`, which has the comma and the key, then the value.
 *
 * A text of at most `cap` encoded bytes is cut at a character, with "…" inside the cap; NULL and ""
 * become null. A count of thousandths becomes a decimal with up to three places, and a time RFC
 * 3339.
 */
void write_text(struct writer *w, const char *prefix, const char *value, size_t cap);
void write_integer(struct writer *w, const char *prefix, int64_t value);
void write_thousandths(struct writer *w, const char *prefix, int64_t value);
void write_time(struct writer *w, const char *prefix, int64_t utc_us);

#endif
