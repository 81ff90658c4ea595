/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Does a body hold the patterns of a site? Compiled patterns with limits, in a bounded cache.
 *
 * Hostile patterns and bodies cannot hold a checker: a match limit, a JIT stack of our own, and
 * the wall clock of the supervisor behind them. A match that hits a limit is neither yes nor no.
 */
#ifndef WEBMOND_MATCH_H
#define WEBMOND_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

enum match_outcome {
	MATCH_HOLDS,
	MATCH_FAILS, /* `*decisive` did not match, or matched and must not */
	MATCH_LIMIT, /* `*decisive` hit a limit; nothing is known */
};

struct match;

/* One a process, after fork (JIT memory and forks do not mix). Never NULL. */
struct match *match_new(void);
void match_free(struct match *match);

/*
 * Hold `body` against all patterns of `site` in their order. The body is bytes: invalid UTF-8 is
 * no error, it just matches nothing. On MATCH_FAILS and MATCH_LIMIT `*decisive` is the first
 * pattern that decided. The texts of patterns outlive `match`: it has no copies.
 */
enum match_outcome match_body(struct match *match, const struct site *site, const char *body,
    size_t size, const struct pattern **decisive);

/* For validation: does `text` compile? 0, or -1 with a sentence and the offset in `reason`. */
int match_check(const char *text, char *reason, size_t size);

#endif
