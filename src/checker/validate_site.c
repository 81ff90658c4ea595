/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What of the configuration only the libraries of the checker can judge. Called in the validation
 * child; nothing is fatal.
 */
#include <string.h>

#include "body_json.h"
#include "checker.h"
#include "headers.h"
#include "files.h"
#include "match.h"
#include "probe.h"

/* The patterns of one list, but for those that are of `defaults`, another site. */
static void
check_patterns(const struct patterns *patterns, const struct patterns *defaults,
    int (*check)(const char *text, char *reason, size_t size), const char *key,
    struct mistakes *mistakes)
{
	char reason[256];

	for (size_t i = 0; i < patterns->count; i++) {
		const struct pattern *p = &patterns->items[i];
		bool inherited = false;

		for (size_t k = 0; patterns != defaults && k < defaults->count; k++)
			inherited |= p->text == defaults->items[k].text;
		if (!inherited && check(p->text, reason, sizeof(reason)) < 0)
			mistakes_add(
			    mistakes, p->at, "%s%s: %s", key, p->negated ? "_not" : "", reason);
	}
}

static int
check_body_pattern(const char *text, char *reason, size_t size)
{
	return match_check(text, strlen(text), reason, size);
}

static int
check_header_pattern(const char *text, char *reason, size_t size)
{
	return check_body_pattern(headers_pattern(text), reason, size);
}

void
checker_validate_site(
    const struct site *site, const struct site *defaults, struct mistakes *mistakes)
{
	char reason[256];

	if (site->url != NULL &&
	    probe_check_url(site->url, site->ip_version, reason, sizeof(reason)) < 0)
		mistakes_add(mistakes, config_origin(&site->at, "url"), "url: %s", reason);
	probe_check_connection(site, mistakes);
	check_patterns(&site->header_patterns, &defaults->header_patterns, check_header_pattern,
	    "header_regex", mistakes);
	check_patterns(&site->body_patterns, &defaults->body_patterns, check_body_pattern,
	    "body_regex", mistakes);
	check_patterns(
	    &site->body_json, &defaults->body_json, body_json_check, "body_json", mistakes);
	files_validate(site, defaults, mistakes);
}

void
checker_validate_vantage(const struct config *config, struct mistakes *mistakes)
{
	char reason[256];

	for (size_t i = 0; i < config->reference_count; i++) {
		const struct config_string *reference = &config->references[i];

		if (probe_check_url(reference->value, IP_ANY, reason, sizeof(reason)) < 0)
			mistakes_add(mistakes, reference->at, "reference: %s", reason);
	}
}
