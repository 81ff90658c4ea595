/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Does a text hold the patterns of a site? Compiled patterns with limits, in a bounded cache.
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
	MATCH_FAILS, /* no match, or one that must not be */
	MATCH_LIMIT, /* a limit was hit; nothing is known */
};

struct match;

/* One a process, after fork (JIT memory and forks do not mix). Never NULL. */
struct match *match_new(void);
void match_free(struct match *match);

/* The searches that follow have CPU time of their own, together. */
void match_begin(struct match *match);

/*
 * Is there a match in `text`? It is bytes: invalid UTF-8 is no error, it just matches nothing. The
 * texts of patterns outlive `match`: it has no copies.
 */
enum match_outcome
match_find(struct match *match, const char *pattern, size_t length, const char *text, size_t size);

/*
 * Hold `body` against all patterns in their order, with time of their own. On MATCH_FAILS and
 * MATCH_LIMIT `*decisive` is the first pattern that decided.
 */
enum match_outcome match_body(struct match *match, const struct patterns *patterns,
    const char *body, size_t size, const struct pattern **decisive);

/*
 * For validation: does the pattern `text` compile? 0, or -1 with a sentence and the offset in
 * `reason`.
 */
int match_check(const char *text, size_t length, char *reason, size_t size);

#endif
