/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What of a site only the libraries of the checker can judge. Called in the validation child;
 * nothing is fatal.
 */
#include "checker.h"
#include "match.h"
#include "probe.h"

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
	for (size_t i = 0; i < site->pattern_count; i++) {
		const struct pattern *p = &site->patterns[i];
		bool inherited = false;

		for (size_t k = 0; site != defaults && k < defaults->pattern_count; k++)
			inherited |= p->text == defaults->patterns[k].text;
		if (!inherited && match_check(p->text, reason, sizeof(reason)) < 0)
			mistakes_add(mistakes, p->at, "%s: %s",
			    p->negated ? "body_regex_not" : "body_regex", reason);
	}
}
