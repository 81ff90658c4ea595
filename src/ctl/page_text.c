/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What all parts of a page need. Called by the other files of the page; only writes.
 */
#include "page.h"
#include "util.h"

const struct page_look page_looks[PAGE_STATUS_COUNT] = {
	[PAGE_DOWN] = { "d", "\xe2\x9c\x95", "x", "down" },
	[PAGE_UNKNOWN] = { "q", "?", "?", "unknown" },
	[PAGE_NOT_KNOWN] = { "n", "\xe2\x80\xa6", ".", "not known yet" },
	[PAGE_UP] = { "u", "\xe2\x9c\x93", "|", "up" },
};

void
page_text(FILE *out, const char *text)
{
	static const char *const escapes[] = {
		['&'] = "&amp;",
		['<'] = "&lt;",
		['>'] = "&gt;",
		['"'] = "&quot;",
		['\''] = "&#39;",
	};

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ARRAY_LENGTH(escapes) && escapes[c] != NULL)
			fputs(escapes[c], out);
		else
			putc(c, out);
	}
}

void
page_time(FILE *out, time_t at, time_t now)
{
	char text[64];

	strftime(text, sizeof(text), at / 86400 == now / 86400 ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S",
	    gmtime_r(&at, &(struct tm){ 0 }));
	fputs(text, out);
}
