/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From facts to words and numbers. Called by probe; nothing is fatal.
 */
#include "verdict.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static bool
is_private_v4(uint32_t ip)
{
	return ip >> 24 == 0 || ip >> 24 == 10 || ip >> 24 == 127 || ip >> 20 == 0xac1 ||
	       ip >> 16 == 0xa9fe || ip >> 16 == 0xc0a8 || ip >> 22 == 0x191;
}

bool
verdict_is_private(const char *ip)
{
	struct in_addr v4;
	struct in6_addr v6;
	uint32_t last;

	if (inet_pton(AF_INET, ip, &v4) == 1)
		return is_private_v4(ntohl(v4.s_addr));
	if (inet_pton(AF_INET6, ip, &v6) != 1)
		return false;
	memcpy(&last, v6.s6_addr + 12, sizeof(last));
	if (IN6_IS_ADDR_V4MAPPED(&v6) || IN6_IS_ADDR_V4COMPAT(&v6))
		return is_private_v4(ntohl(last));
	return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_LINKLOCAL(&v6) ||
	       IN6_IS_ADDR_UNSPECIFIED(&v6) || (v6.s6_addr[0] & 0xfe) == 0xfc;
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
	case EAFNOSUPPORT:  /* no IPv6 at all */
	case ENETDOWN:
	case EACCES:
	case EPERM: /* a local firewall */
		return true;
	default:
		return false;
	}
}

bool
verdict_clock_is_wrong(int64_t utc_us)
{
	char now[UTIL_RFC3339_SIZE];

	util_rfc3339(now, utc_us);
	return strncmp(now, RELEASE_DATE, strlen(RELEASE_DATE)) < 0;
}

static bool
status_expected(const struct site *site, int status)
{
	for (size_t i = 0; i < site->expect_count; i++)
		if (status >= site->expect[i].first && status <= site->expect[i].last)
			return true;
	return false;
}

/* How much of a pattern a sentence names: with it, it is short enough for the log. */
#define NAMED_MAX 64

/* Give the verdict on the body: which pattern, and what it did. */
static void
fail_pattern(struct result *r, enum match_outcome outcome, const struct pattern *decisive)
{
	char named[NAMED_MAX + 1];
	size_t size = strlen(decisive->text);

	util_clean_text(named, sizeof(named), decisive->text, size);
	if (outcome == MATCH_LIMIT)
		result_fail(
		    r, ERROR_REGEX_LIMIT, "the pattern \"%s\" hit a limit on this body", named);
	else if (decisive->negated)
		result_fail(
		    r, ERROR_REGEX_MISMATCH, "the body matches \"%s\", which it must not", named);
	else
		result_fail(r, ERROR_REGEX_MISMATCH, "the body does not match \"%s\"%s", named,
		    r->body_truncated == TRISTATE_TRUE ? " (it was cut at body_limit_kb)" : "");
}

void
verdict_response(struct result *r, struct match *match, const struct site *site, const char *body,
    size_t size, bool redirects)
{
	const struct pattern *decisive = NULL;
	enum match_outcome outcome = MATCH_HOLDS;
	bool expected = status_expected(site, r->http_status);

	r->completed = true;
	if (site->pattern_count > 0) {
		outcome = match_body(match, site, body, size, &decisive);
		if (outcome != MATCH_LIMIT)
			r->body_matched = outcome == MATCH_HOLDS ? TRISTATE_TRUE : TRISTATE_FALSE;
		if (decisive != NULL)
			util_clean_text(r->failed_regex, sizeof(r->failed_regex), decisive->text,
			    strlen(decisive->text));
	}
	if (!expected)
		result_fail(r, ERROR_HTTP_STATUS, "got %d, want %s%s", r->http_status,
		    site->expect_status,
		    redirects ? " (follow_redirects = 0 does not follow it)" : "");
	else if (decisive != NULL)
		fail_pattern(r, outcome, decisive);
}
