/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The rules across the keys of a site: each is a function in the table at the end.
 */
#include "internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A mistake at the line of `key`, or where the site begins if the value is that of `defaults`. */
#define mistake(r, site, key, ...)                                                                 \
	config_mistake(r, config_origin(&(site)->at, key).line, key ": " __VA_ARGS__)

static const char *
whose(const struct site *site, const char *key)
{
	return config_gives(&site->at, key) ? "" : " (of defaults)";
}

static double
seconds(int64_t us)
{
	return (double)us / US_PER_S;
}

static void
check_timeout(struct reader *r, const struct site *site)
{
	if (site->timeout_us > site->interval_us)
		mistake(r, site, "timeout", "%.10g s is longer than the interval of %.10g s",
		    seconds(site->timeout_us), seconds(site->interval_us));
}

/* What to do about attempts that take longer than the interval. */
static const char *
how_to_fit(const struct site *site, char *out, size_t size)
{
	int64_t left_us = site->interval_us - site->retries * site->retry_delay_us;
	int64_t fits_us = left_us / (site->retries + 1) / US_PER_MS * US_PER_MS;

	if (fits_us < 100 * US_PER_MS)
		return "set a longer interval, fewer retries or a shorter retry_delay";
	snprintf(out, size, "set timeout to %.10g or less, or a longer interval", seconds(fits_us));
	return out;
}

static void
check_retries(struct reader *r, const struct site *site)
{
	int attempts = site->retries + 1;
	int64_t longest_us = attempts * site->timeout_us + site->retries * site->retry_delay_us;
	char cure[80];

	if (site->retries == 0 && config_gives(&site->at, "retry_delay"))
		mistake(r, site, "retry_delay",
		    "has no effect without retries; set retries to 1 or more, or leave it out");
	if (site->retries > 0 && longest_us > site->interval_us &&
	    site->timeout_us <= site->interval_us)
		mistake(r, site, "retries",
		    "%d%s: %d attempts with a timeout of %.10g s and a retry_delay of %.10g s take up "
		    "to %.10g s, longer than the interval of %.10g s; %s",
		    site->retries, whose(site, "retries"), attempts, seconds(site->timeout_us),
		    seconds(site->retry_delay_us), seconds(longest_us), seconds(site->interval_us),
		    how_to_fit(site, cure, sizeof(cure)));
}

static void
check_connect_timeout(struct reader *r, const struct site *site)
{
	if (site->connect_timeout_us > site->timeout_us)
		mistake(r, site, "connect_timeout",
		    "%.10g s%s is longer than the timeout of %.10g s, which covers everything",
		    seconds(site->connect_timeout_us), whose(site, "connect_timeout"),
		    seconds(site->timeout_us));
}

static void
check_max_response_time(struct reader *r, const struct site *site)
{
	if (site->max_response_us > site->timeout_us)
		mistake(r, site, "max_response_time",
		    "%.10g s%s is longer than the timeout of %.10g s, so no response could ever be "
		    "slow",
		    seconds(site->max_response_us), whose(site, "max_response_time"),
		    seconds(site->timeout_us));
}

static void
check_body_limit(struct reader *r, const struct site *site)
{
	const struct patterns *patterns = &site->body_patterns;

	if (site->body_limit == 0 && patterns->count > 0)
		mistake(r, site, "body_limit_kb",
		    "with 0 the body is not read, so %s has nothing to match; leave one of them "
		    "out",
		    patterns->items[0].negated ? "body_regex_not" : "body_regex");
	if (site->body_json.count > 0 &&
	    (site->body_limit == 0 || strcmp(site->method, "HEAD") == 0))
		mistake(r, site, "body_json", "no body is read with %s; leave one of them out",
		    site->body_limit == 0 ? "body_limit_kb = 0" : "method = \"HEAD\"");
}

/* The size of a body of which not all is read is not known, but that it is above body_limit_kb. */
static void
check_body_size(struct reader *r, const struct site *site, const char *key, int size)
{
	const int line = config_origin(&site->at, key).line;
	const char *of_defaults = whose(site, key);

	if (size <= 0)
		return;
	if (site->body_limit == 0 || strcmp(site->method, "HEAD") == 0)
		config_mistake(r, line, "%s%s: no body is read with %s; leave one of them out", key,
		    of_defaults, site->body_limit == 0 ? "body_limit_kb = 0" : "method = \"HEAD\"");
	else if ((size_t)size > site->body_limit)
		config_mistake(r, line,
		    "%s: %d%s is more than the %zu bytes of body_limit_kb, where reading stops; set "
		    "body_limit_kb to %d or more",
		    key, size, of_defaults, site->body_limit, (size + 1023) / 1024);
}

static void
check_body_sample(struct reader *r, const struct site *site)
{
	if (site->body_sample && config_gives(&site->at, "body_sample") &&
	    (site->body_limit == 0 || strcmp(site->method, "HEAD") == 0))
		mistake(r, site, "body_sample", "no body is read with %s; leave one of them out",
		    site->body_limit == 0 ? "body_limit_kb = 0" : "method = \"HEAD\"");
}

static void
check_body_sizes(struct reader *r, const struct site *site)
{
	check_body_size(r, site, "min_body_bytes", site->min_body_bytes);
	check_body_size(r, site, "max_body_bytes", site->max_body_bytes);
	if (site->max_body_bytes > 0 && site->min_body_bytes > site->max_body_bytes)
		mistake(r, site, "min_body_bytes",
		    "%d%s is more than max_body_bytes, which is %d: no body could be right",
		    site->min_body_bytes, whose(site, "min_body_bytes"), site->max_body_bytes);
}

/* One of `defaults` is for those sites that can have it. */
static void
check_keepalive_lifetime(struct reader *r, const struct site *site)
{
	int64_t lifetime_us = site->keepalive_lifetime_us;
	bool gives_lifetime = config_gives(&site->at, "keepalive_lifetime");

	if (lifetime_us > 0 && lifetime_us < US_PER_S)
		mistake(r, site, "keepalive_lifetime",
		    "%.10g s%s is less than a second; write 1 or more, or 0 for no limit",
		    seconds(lifetime_us), whose(site, "keepalive_lifetime"));
	else if (gives_lifetime && !site->keepalive)
		mistake(r, site, "keepalive_lifetime",
		    "without keepalive = true no connection is kept; set it, or leave this out");
	else if (site->keepalive && (gives_lifetime || config_gives(&site->at, "keepalive")) &&
		 lifetime_us > 0 && lifetime_us < site->interval_us)
		config_mistake(r,
		    config_origin(&site->at, gives_lifetime ? "keepalive_lifetime" : "keepalive")
			.line,
		    "keepalive_lifetime: %.10g s is shorter than the interval of %.10g s, so no "
		    "check could use the connection of the one before; make it longer, or leave "
		    "keepalive out",
		    seconds(lifetime_us), seconds(site->interval_us));
}

static void
check_private_redirects(struct reader *r, const struct site *site)
{
	if (site->follow_redirects == 0 && site->allow_private_redirects &&
	    config_gives(&site->at, "allow_private_redirects"))
		mistake(r, site, "allow_private_redirects",
		    "with follow_redirects = 0 no redirect is followed; leave one of them out");
}

static void
check_resolve(struct reader *r, const struct site *site)
{
	struct resolve one, other;

	for (const char *const *a = site->resolve; a != NULL && *a != NULL; a++) {
		config_read_resolve(&one, *a);
		if (site->ip_version == (one.is_v6 ? IP_4 : IP_6))
			mistake(r, site, "resolve", "%s is an %s address, but ip_version is \"%s\"",
			    one.ip, one.is_v6 ? "IPv6" : "IPv4", one.is_v6 ? "4" : "6");
		for (const char *const *b = site->resolve; b < a; b++) {
			config_read_resolve(&other, *b);
			if (one.port == other.port && strcasecmp(one.host, other.host) == 0)
				mistake(r, site, "resolve",
				    "\"%s\" and \"%s\" are for the same host and port, which can "
				    "have one address; leave one of them out",
				    *b, *a);
		}
	}
}

static void
check_cert_min_days(struct reader *r, const struct site *site)
{
	if (site->url != NULL && site->cert_min_days > 0 && site->follow_redirects == 0 &&
	    strncasecmp(site->url, "https:", 6) != 0)
		mistake(r, site, "cert_min_days",
		    "%d%s: over http there is no certificate, and redirects are not followed; use "
		    "https, or set it to 0",
		    site->cert_min_days, whose(site, "cert_min_days"));
}

/* For a site with the values of `defaults` in it; config_gives() tells which are its own. */
static void (*const rules[])(struct reader *r, const struct site *site) = {
	check_timeout,
	check_retries,
	check_connect_timeout,
	check_max_response_time,
	check_body_limit,
	check_body_sizes,
	check_body_sample,
	check_cert_min_days,
	check_keepalive_lifetime,
	check_private_redirects,
	check_resolve,
	config_check_files,
};

void
config_add_site(struct reader *r, struct site *site)
{
	if (site->timeout_us == 0)
		site->timeout_us = site->interval_us < 10 * US_PER_S ? site->interval_us
								     : 10 * US_PER_S;
	for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
		rules[i](r, site);
	if (r->site_count == r->site_room) {
		r->site_room = r->site_room > 0 ? 2 * r->site_room : 64;
		r->sites = xreallocarray(r->sites, r->site_room, sizeof(*r->sites));
	}
	r->sites[r->site_count++] = *site;
}
