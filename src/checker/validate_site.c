/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What of a site only the libraries of the checker can judge. Called in the validation child;
 * nothing is fatal.
 */
#include "checker.h"
#include "match.h"
#include "probe.h"

/* The patterns of one list, but for those that are of `defaults`, another site. */
static void
check_patterns(const struct patterns *patterns, const struct patterns *defaults, const char *key,
    struct mistakes *mistakes)
{
	char reason[256];

	for (size_t i = 0; i < patterns->count; i++) {
		const struct pattern *p = &patterns->items[i];
		bool inherited = false;

		for (size_t k = 0; patterns != defaults && k < defaults->count; k++)
			inherited |= p->text == defaults->items[k].text;
		if (!inherited && match_check(p->text, reason, sizeof(reason)) < 0)
			mistakes_add(
			    mistakes, p->at, "%s%s: %s", key, p->negated ? "_not" : "", reason);
	}
}

void
checker_validate_site(
    const struct site *site, const struct site *defaults, struct mistakes *mistakes)
{
	char reason[256];

	if (site->url != NULL &&
	    probe_check_url(site->url, site->ip_version, reason, sizeof(reason)) < 0)
		mistakes_add(mistakes, config_origin(&site->at, "url"), "url: %s", reason);
	if (site->url != NULL)
		probe_check_connection(site, mistakes);
	check_patterns(&site->body_patterns, &defaults->body_patterns, "body_regex", mistakes);
}
