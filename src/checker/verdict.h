/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What an exchange means: decisions that need neither a network nor a library. The facts come
 * from probe, which knows what libcurl knows.
 */
#ifndef WEBMOND_VERDICT_H
#define WEBMOND_VERDICT_H

#include "body_json.h"
#include "config.h"
#include "headers.h"
#include "match.h"
#include "result.h"

/*
 * Whether an address, as text, is loopback, link-local, private or none at all: where a redirect
 * from outside has no business. What is no address is not private.
 */
bool verdict_is_private(const char *ip);

/* Whether a system call failed by trouble of ours: descriptors, memory, ports, routes. */
bool verdict_is_local(int error);

/* Whether the time of day is before the release of this program, and so cannot be right. */
bool verdict_clock_is_wrong(int64_t utc_us);

/* The last response, whole or up to body_limit_kb, and what judging it needs. */
struct response {
	int status;
	const struct headers *headers; /* only for a site with patterns for them */
	const char *body;              /* never NULL; decompressed */
	size_t size;
	bool truncated; /* at body_limit_kb */
	bool partial;   /* of a body that is compressed in several parts, only the first is there */
	int64_t elapsed_us;
	int64_t starved_us; /* how long of that this process had no CPU; 0 if it was fast enough */
	bool redirects;     /* it is a redirect that `follow_redirects = 0` does not follow */
	int64_t now_us;     /* UTC */
	const char *first_to_end; /* a certificate of the chain that is valid no longer than that */
	struct match *match;
	struct json **json;
};

/*
 * Hold `response` against all assertions of `site`, and give the result its verdict: that of the
 * first one in the order of the manual that does not hold. The sentence says how many others do not
 * hold either, as in "got 500, want 200-299 (and 1 more)".
 */
void verdict_response(struct result *r, const struct response *response, const struct site *site);

#endif
