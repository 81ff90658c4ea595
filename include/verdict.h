/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What an exchange means: decisions that need neither a network nor a library. The facts come
 * from probe, which knows what libcurl knows.
 */
#ifndef WEBMOND_VERDICT_H
#define WEBMOND_VERDICT_H

#include <sys/socket.h>

#include "config.h"
#include "match.h"
#include "result.h"

/*
 * Whether an address is loopback, link-local, private or none at all: where a redirect from outside
 * has no business.
 */
bool verdict_is_private(const struct sockaddr *address);

/* Whether a failed system call of the exchange is our trouble: descriptors, memory, ports, routes. */
bool verdict_is_local(int error);

/* Judge a whole response: status first, then the body. */
void verdict_response(
    struct result *r, struct match *match, const struct site *site, const char *body, size_t size);

#endif
