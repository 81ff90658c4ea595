/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the control socket answers. A question is a cursor: each call writes a piece of its answer,
 * and nothing of it is kept meanwhile.
 */
#ifndef WEBMOND_ANSWER_H
#define WEBMOND_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "writer.h"

struct supervisor;

/* Start from zeros, by answer_parse(). */
struct question {
	enum verb {
		ASK_STATUS,
		ASK_SITES,
		ASK_SITE,
		ASK_RELOAD,
		ASK_SPOOL, /* of the publisher */
	} verb;
	bool down, slow, all;               /* which sites; what of them */
	char argument[CONFIG_NAME_MAX + 1]; /* a name or a pattern; "": none */
	char error[128];                    /* of the question; "": none */
	bool again;                         /* later there may be none */

	/* where the answer is */
	bool begun, over;  /* `over`: but for the last line */
	uint64_t adopted;  /* since which reload: each changes all numbers */
	size_t site, part; /* in s->sites.all; of the lines of that site */
	size_t settings;   /* of that site, which were written */
	uint64_t reload;   /* its number, which it waits for */
	char *verdict;     /* of that reload; to be freed */
	const char *rest;  /* of the verdict */
	bool accepted;
	size_t sites, added, changed, removed;
};

/*
 * Read a request without its line break. What is wrong with it stands in `error`, and is the
 * answer.
 */
void answer_parse(struct question *q, const char *line, size_t size);

/*
 * Write the next lines, as long as there is room for one of REPLY_LINE_MAX and not too much to
 * do. Returns false: the last line is there.
 */
bool answer_more(const struct supervisor *s, struct question *q, struct writer *w, int64_t now);

/*
 * Whether `name` is of this pattern, with * and ?. Takes no longer than the product of the lengths.
 */
bool answer_matches(const char *pattern, const char *name);

#endif
