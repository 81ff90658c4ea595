/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The check of what a configuration says before libcurl and PCRE2 get it: the first line is a URL,
 * the next a pattern, the rest a body to hold it against.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "checker/match.h"
#include "checker/probe.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *pattern, *body, reason[256] = "";
	struct pattern patterns[2];
	struct site site = { .body_patterns = { patterns, 2 } };
	const struct pattern *decisive = NULL;
	enum match_outcome outcome;
	struct match *match;

	assert(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	pattern = text + strcspn(text, "\n");
	if (*pattern != '\0')
		*pattern++ = '\0';
	body = pattern + strcspn(pattern, "\n");
	if (*body != '\0')
		*body++ = '\0';

	if (probe_check_url(text, IP_ANY, reason, sizeof(reason)) == 0)
		assert(strncasecmp(text, "http", 4) == 0);
	else
		assert(reason[0] != '\0');

	reason[0] = '\0';
	if (match_check(pattern, strlen(pattern), reason, sizeof(reason)) < 0) {
		assert(reason[0] != '\0');
	} else {
		/* a pattern and its opposite cannot both hold */
		patterns[0] = (struct pattern){ .text = pattern };
		patterns[1] = (struct pattern){ .text = pattern, .negated = true };
		match = match_new();
		outcome = match_body(
		    match, &site.body_patterns, body, size - (size_t)(body - text), &decisive);
		match_free(match);
		assert(outcome != MATCH_HOLDS);
		assert(decisive == &patterns[0] || decisive == &patterns[1]);
	}
	free(text);
	return 0;
}
