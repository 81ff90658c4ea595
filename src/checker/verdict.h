/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What an exchange means: decisions that need neither a network nor a library. The facts come
 * from probe, which knows what libcurl knows.
 */
#ifndef WEBMOND_VERDICT_H
#define WEBMOND_VERDICT_H

#include "config.h"
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

/*
 * Judge a whole response: status first, then the body. `redirects`: it is a redirect that
 * `follow_redirects = 0` does not follow, which is a response like any other; the message says so.
 */
void verdict_response(struct result *r, struct match *match, const struct site *site,
    const char *body, size_t size, bool redirects);

#endif
