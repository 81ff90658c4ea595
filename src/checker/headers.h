/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The header fields of a response, held against header_regex and header_regex_not. libcurl has the
 * fields too, but each look-up there walks through all of them: with the shortest fields that fit
 * into 256 KiB that takes minutes.
 */
#ifndef WEBMOND_HEADERS_H
#define WEBMOND_HEADERS_H

#include "match.h"
#include "result.h"

/* All zeros: no response yet. */
struct headers {
	char *text; /* "Name: value\n" for each field; lines that were folded are one */
	size_t size, room;
	bool ended; /* what follows are trailers */
};

/*
 * Take a line as it came. A status line begins another response. Ends the process without memory.
 */
void headers_add(struct headers *headers, const char *line, size_t size);

/* The pattern in "Name: pattern". */
const char *headers_pattern(const char *text);

/*
 * Whether all patterns of `site` hold; if not, `r` gets its verdict, and else if a limit was hit.
 */
bool headers_hold(
    struct result *r, const struct headers *headers, struct match *match, const struct site *site);

#endif
