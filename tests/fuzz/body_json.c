/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Any line as an assertion, and what follows it as the body: it ends in a word, never in a crash.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "checker/body_json.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct match *match;
	static struct json *json;
	const uint8_t *end = memchr(data, '\n', size);
	struct pattern assertion = { 0 };
	struct result r;
	char *text, *body, reason[256] = "";
	bool good, held;

	if (end == NULL)
		return 0;
	if (match == NULL)
		match = match_new();
	text = strndup((const char *)data, (size_t)(end - data));
	size -= (size_t)(end + 1 - data);
	body = malloc(size + 1); /* of its own, so that reading beyond is seen */
	assert(text != NULL && body != NULL);
	memcpy(body, end + 1, size);
	assertion.text = text;
	good = body_json_check(text, reason, sizeof(reason)) == 0;
	assert(good == (reason[0] == '\0'));
	result_init(&r);
	/* of a configuration only what was checked comes here */
	if (good) {
		held = body_json_holds(
		    &r, &json, match, &(struct patterns){ &assertion, 1 }, body, size, "");
		assert(held == (r.error != ERROR_JSON_MISMATCH));
		assert((r.error == ERROR_NONE) == (r.error_message[0] == '\0'));
		assert(r.error == ERROR_NONE || r.error == ERROR_JSON_MISMATCH ||
		       r.error == ERROR_LOCAL || r.error == ERROR_REGEX_LIMIT);
	}
	match_free(match); /* it has pointers into the text */
	match = NULL;
	free(text);
	free(body);
	return 0;
}
