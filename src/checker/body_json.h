/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A body held against the assertions of body_json, by the JSON functions of SQLite.
 *
 * Whatever the body is, this ends: in a verdict, or in ERROR_LOCAL when a limit of ours is hit
 * (time, memory, depth), since then nothing is known of the site. What is decided here and not by
 * SQLite, of which versions differ: JSON is that of RFC 8259, and \u0000 is refused.
 */
#ifndef WEBMOND_BODY_JSON_H
#define WEBMOND_BODY_JSON_H

#include "json_value.h"
#include "match.h"
#include "result.h"

/*
 * Whether all assertions hold; if not, `r` gets its verdict, and else if a limit was hit. The body
 * is cut at body_limit_kb, or the end of it is missing for another reason, of which `missing` is a
 * hint for the sentence; "": it is whole. `*json` is opened with the first call.
 */
bool body_json_holds(struct result *r, struct json **json, struct match *match,
    const struct patterns *assertions, const char *body, size_t size, const char *missing);

/* For validation: is `text` an assertion? 0, or -1 with a sentence in `reason`. */
int body_json_check(const char *text, char *reason, size_t size);

#endif
