/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From facts to words and numbers. Called by probe; nothing is fatal.
 */
#include "verdict.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
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

/* --- assertions -------------------------------------------------------------------------- */

static bool
status_holds(struct result *r, const struct response *response, const struct site *site)
{
	for (size_t i = 0; i < site->expect_count; i++)
		if (response->status >= site->expect[i].first &&
		    response->status <= site->expect[i].last)
			return true;
	result_fail(r, ERROR_HTTP_STATUS, "got %d, want %s%s", response->status,
	    site->expect_status,
	    response->redirects ? " (follow_redirects = 0 does not follow it)" : "");
	return false;
}

static bool
header_patterns_hold(struct result *r, const struct response *response, const struct site *site)
{
	return site->header_patterns.count == 0 ||
	       headers_hold(r, response->headers, response->match, site);
}

static bool
version_holds(struct result *r, const struct response *response, const struct site *site)
{
	static const char *const wanted[] = { [HTTP_2] = "2", [HTTP_3] = "3" };
	const char *want = site->http_version >= HTTP_2 ? wanted[site->http_version]
							: r->http_version;

	(void)response;
	if (strcmp(r->http_version, want) == 0)
		return true;
	result_fail(r, ERROR_HTTP_VERSION, "answered with HTTP/%s, want HTTP/%s",
	    r->http_version[0] != '\0' ? r->http_version : "?", want);
	return false;
}

/* How much of a pattern a sentence names: with it, it is short enough for the log. */
#define NAMED_MAX 64

#define CUT_AT_LIMIT    " (it was cut at body_limit_kb)"
#define ONLY_FIRST_PART " (of the compressed body only the first part was read)"

static bool
body_patterns_hold(struct result *r, const struct response *response, const struct site *site)
{
	const struct pattern *decisive = NULL;
	enum match_outcome outcome;
	char named[NAMED_MAX + 1];

	if (site->body_patterns.count == 0)
		return true;
	outcome = match_body(
	    response->match, &site->body_patterns, response->body, response->size, &decisive);
	if (outcome != MATCH_LIMIT)
		r->body_matched = outcome == MATCH_HOLDS ? TRISTATE_TRUE : TRISTATE_FALSE;
	if (outcome == MATCH_HOLDS)
		return true;
	util_clean_text(
	    r->failed_regex, sizeof(r->failed_regex), decisive->text, strlen(decisive->text));
	util_clean_text(named, sizeof(named), decisive->text, strlen(decisive->text));
	if (outcome == MATCH_FAILS) {
		result_fail(r, ERROR_REGEX_MISMATCH, "the body %s \"%s\"%s%s",
		    decisive->negated ? "matches" : "does not match", named,
		    decisive->negated ? ", which it must not" : "",
		    response->truncated && !decisive->negated ? CUT_AT_LIMIT
		    : response->partial                       ? ONLY_FIRST_PART
							      : "");
		return false;
	}
	/* whether they hold is not known: that counts only if nothing is wrong */
	if (r->error == ERROR_NONE)
		result_fail(
		    r, ERROR_REGEX_LIMIT, "the pattern \"%s\" hit a limit on this body", named);
	return true;
}

static bool
json_holds(struct result *r, const struct response *response, const struct site *site)
{
	return site->body_json.count == 0 || body_json_holds(r, response->json, response->match,
						 &site->body_json, response->body, response->size,
						 response->truncated ? CUT_AT_LIMIT
						 : response->partial ? ONLY_FIRST_PART
								     : "");
}

static bool
size_holds(struct result *r, const struct response *response, const struct site *site)
{
	size_t size = response->size;
	bool more = response->truncated;

	if (site->max_body_bytes > 0 && size + more > (size_t)site->max_body_bytes) {
		result_fail(r, ERROR_BODY_SIZE, "the body has %s%zu bytes, want at most %d",
		    more ? "more than " : "", size, site->max_body_bytes);
		return false;
	}
	if (size < (size_t)site->min_body_bytes) {
		result_fail(r, ERROR_BODY_SIZE, "the body has %zu bytes, want at least %d%s", size,
		    site->min_body_bytes, response->partial ? ONLY_FIRST_PART : "");
		return false;
	}
	return true;
}

/* Time that this process had no CPU is not the site's: without it the response may be in time. */
static bool
time_holds(struct result *r, const struct response *response, const struct site *site)
{
	int64_t max_us = site->max_response_us;
	int64_t took_ms = (response->elapsed_us + US_PER_MS - 1) / US_PER_MS;
	double took_s = (double)took_ms / 1000;

	if (max_us == 0 || response->elapsed_us <= max_us)
		return true;
	if (response->elapsed_us - response->starved_us > max_us) {
		result_fail(r, ERROR_SLOW, "took %.10g s, want at most %.10g s", took_s,
		    (double)max_us / US_PER_S);
		return false;
	}
	if (r->error == ERROR_NONE)
		result_fail(r, ERROR_LOCAL,
		    "this process was starved of CPU for %.3g s of the %.10g s that the response "
		    "took",
		    (double)response->starved_us / US_PER_S, took_s);
	return true;
}

static bool
certificates_hold(struct result *r, const struct response *response, const struct site *site)
{
	const int64_t day_us = 86400 * US_PER_S;
	int64_t left_us = r->chain_expires_us - response->now_us;
	long long days = llabs(left_us) / day_us;

	if (site->cert_min_days == 0)
		return true;
	if (r->chain_expires_us == RESULT_NONE) {
		result_fail(r, ERROR_CERT_EXPIRING,
		    "the response came without a certificate, want one for at least %d days",
		    site->cert_min_days);
		return false;
	}
	if (left_us >= site->cert_min_days * day_us)
		return true;
	result_fail(r, ERROR_CERT_EXPIRING, "%s, %s%lld days%s, want at least %d",
	    response->first_to_end, left_us < 0 ? "" : "in ", days, left_us < 0 ? " ago" : "",
	    site->cert_min_days);
	return false;
}

/* In the order of the manual: the first that does not hold gives the verdict. */
static bool (*const assertions[])(struct result *r, const struct response *response,
    const struct site *site) = { status_holds, body_patterns_hold, header_patterns_hold, json_holds,
	time_holds, size_holds, certificates_hold, version_holds };

/* Room for " (and 12 more)" behind the longest sentence. */
#define MORE_MAX 16

void
verdict_response(struct result *r, const struct response *response, const struct site *site)
{
	char sentence[RESULT_MESSAGE_MAX + 1 - MORE_MAX];
	int failed = 0;

	r->completed = true;
	/* from the last to the first, which has the last word */
	for (size_t i = ARRAY_LENGTH(assertions); i-- > 0;)
		failed += !assertions[i](r, response, site);
	if (failed > 1) {
		util_clean_text(
		    sentence, sizeof(sentence), r->error_message, strlen(r->error_message));
		result_fail(r, r->error, "%s (and %d more)", sentence, failed - 1);
	}
}
