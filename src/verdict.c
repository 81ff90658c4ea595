/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From facts to words and numbers. Called by probe; nothing is fatal.
 */
#include "verdict.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

bool
verdict_is_private(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		uint32_t ip = ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr);

		return ip >> 24 == 0 || ip >> 24 == 10 || ip >> 24 == 127 || ip >> 20 == 0xac1 ||
		       ip >> 16 == 0xa9fe || ip >> 16 == 0xc0a8 || ip >> 22 == 0x191;
	}
	if (address->sa_family == AF_INET6) {
		const struct in6_addr *ip = &((const struct sockaddr_in6 *)address)->sin6_addr;

		if (IN6_IS_ADDR_V4MAPPED(ip)) {
			struct sockaddr_in v4 = { .sin_family = AF_INET };

			memcpy(&v4.sin_addr, ip->s6_addr + 12, 4);
			return verdict_is_private((const struct sockaddr *)&v4);
		}
		return IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_LINKLOCAL(ip) ||
		       IN6_IS_ADDR_UNSPECIFIED(ip) || (ip->s6_addr[0] & 0xfe) == 0xfc;
	}
	return false;
}

bool
verdict_is_local(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case EADDRNOTAVAIL: /* no local port left */
	case ENETUNREACH:   /* no route from here */
	case ENETDOWN:
	case EACCES:
	case EPERM: /* a local firewall */
		return true;
	default:
		return false;
	}
}

static bool
status_expected(const struct site *site, int status)
{
	for (size_t i = 0; i < site->expect_count; i++)
		if (status >= site->expect[i].first && status <= site->expect[i].last)
			return true;
	return false;
}

void
verdict_response(
    struct result *r, struct match *match, const struct site *site, const char *body, size_t size)
{
	const struct pattern *decisive = NULL;
	enum match_outcome outcome = MATCH_HOLDS;

	if (site->pattern_count > 0) {
		outcome = match_body(match, site, body, size, &decisive);
		if (outcome != MATCH_LIMIT)
			r->body_matched = outcome == MATCH_HOLDS ? TRISTATE_TRUE : TRISTATE_FALSE;
		if (decisive != NULL)
			util_clean_text(r->failed_regex, sizeof(r->failed_regex), decisive->text,
			    strlen(decisive->text));
	}
	if (!status_expected(site, r->http_status))
		result_fail(
		    r, ERROR_HTTP_STATUS, "got %d, want %s", r->http_status, site->expect_status);
	else if (outcome == MATCH_LIMIT)
		result_fail(r, ERROR_REGEX_LIMIT, "the pattern hit a limit on this body");
	else if (decisive != NULL)
		result_fail(r, ERROR_REGEX_MISMATCH, "%s%s",
		    decisive->negated ? "the body matches a pattern that it must not match"
				      : "the body does not match",
		    r->body_truncated == TRISTATE_TRUE ? " (it was cut at body_limit_kb)" : "");
}
