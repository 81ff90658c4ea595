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

/*
 * Divide r->elapsed_us into phases. `end_us`: when each phase was over, summed over all requests of
 * a chain of redirects (0: it never was); `entered`: those that there were at all, the others
 * take no time; `last`: the one in which the exchange ended or failed, which takes the rest.
 */
void verdict_phases(struct result *r, const int64_t end_us[PHASE_COUNT],
    const bool entered[PHASE_COUNT], enum phase last);

/*
 * Judge a whole response: status first, then the body. `redirects`: it is a redirect that
 * `follow_redirects = 0` does not follow, which is a response like any other; the message says so.
 */
void verdict_response(struct result *r, struct match *match, const struct site *site,
    const char *body, size_t size, bool redirects);

#endif
