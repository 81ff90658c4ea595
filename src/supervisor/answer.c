/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Questions to the control socket, and the pieces of their answers; the lines themselves are
 * written by answer_lines.c. Called by control.c; only looks.
 */
#include "answer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "answer_lines.h"
#include "reply.h"
#include "state.h"

/* How many sites one piece looks at; most may be left out. */
#define LOOK_AT_ONCE 1000

/* --- questions --------------------------------------------------------------------------- */

bool
answer_matches(const char *pattern, const char *name)
{
	const char *star = NULL,
		   *again = NULL; /* behind the last *, and what it has taken so far */

	while (*name != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			again = name;
		} else if (*pattern == '?' || *pattern == *name) {
			pattern++;
			name++;
		} else if (star != NULL) {
			pattern = star;
			name = ++again;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

/* The next word, and `*line` behind it; an empty one: there is none. */
static size_t
next_word(const char **line, const char *end, const char **word)
{
	while (*line < end && (**line == ' ' || **line == '\r'))
		++*line;
	*word = *line;
	while (*line < end && **line != ' ' && **line != '\r')
		++*line;
	return (size_t)(*line - *word);
}

static bool
is_word(const char *word, size_t size, const char *wanted)
{
	return strlen(wanted) == size && memcmp(word, wanted, size) == 0;
}

/* The words behind the verb. */
static void
parse_arguments(struct question *q, const char *line, const char *end)
{
	const bool list = q->verb == ASK_SITES;
	bool filters = list; /* may come */
	const char *word;
	size_t size;

	while ((size = next_word(&line, end, &word)) > 0) {
		if (filters && is_word(word, size, "down"))
			q->down = true;
		else if (filters && is_word(word, size, "slow"))
			q->slow = true;
		else if (filters && is_word(word, size, "all"))
			q->all = true;
		else if (filters && is_word(word, size, "--"))
			filters = false;
		else if ((list || q->verb == ASK_SITE) && q->argument[0] == '\0' &&
			 size < sizeof(q->argument))
			memcpy(q->argument, word, size);
		else
			snprintf(q->error, sizeof(q->error),
			    "the request has a word too many, or a "
			    "name that is too long");
	}
	if (q->verb == ASK_SITE && q->argument[0] == '\0')
		snprintf(q->error, sizeof(q->error), "the name of the site is missing");
}

void
answer_parse(struct question *q, const char *line, size_t size)
{
	static const char *const verbs[] = { [ASK_STATUS] = "status",
		[ASK_SITES] = "sites",
		[ASK_SITE] = "site",
		[ASK_RELOAD] = "reload",
		[ASK_SPOOL] = "spool" };
	const char *end = line + size, *word;

	size = next_word(&line, end, &word);
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++)
		if (is_word(word, size, verbs[i])) {
			q->verb = (enum verb)i;
			if (q->verb != ASK_SPOOL)
				parse_arguments(q, line, end);
			return;
		}
	snprintf(q->error, sizeof(q->error), "this version of webmond does not know that request");
}

/* --- answers ----------------------------------------------------------------------------- */

static bool
is_asked_for(const struct supervisor *s, const struct question *q, const struct site_state *state)
{
	const bool ours = !site_is_elsewhere(s, state);

	return (!q->down || (ours && state->known && state->status != STATUS_UP)) &&
	       (!q->slow || (ours && state->slow)) &&
	       (q->argument[0] == '\0' || answer_matches(q->argument, state->site->name));
}

/* The next line of the site at the cursor; false: there is none. */
static bool
next_line_of_site(const struct supervisor *s, struct question *q, struct writer *w)
{
	const struct site_state *state = s->sites.all[q->site];
	char value[1024 + 1];
	const char *key;
	size_t i = q->part++;

	if (i == 0) {
		if (q->verb == ASK_SITES && !is_asked_for(s, q, state))
			return false;
		answer_site(s, state, w);
		return true;
	}
	i--;
	if (q->verb == ASK_SITE) {
		/* behind them the index of results goes on */
		key = config_describe_site(state->site, i, value, sizeof(value));
		if (key != NULL) {
			answer_setting(key, value, w);
			q->settings = i + 1;
			return true;
		}
		i -= q->settings;
	} else if (!q->all) {
		return false;
	}
	return answer_result(state, i, w);
}

/* Returns whether there may be more. */
static bool
more_of_sites(const struct supervisor *s, struct question *q, struct writer *w)
{
	for (int looked = 0; q->site < s->sites.count; looked++) {
		if (!reply_has_room(w) || looked == LOOK_AT_ONCE)
			return true;
		if (next_line_of_site(s, q, w))
			continue;
		q->part = 0;
		if (q->verb == ASK_SITE)
			return false;
		q->site++;
	}
	return false;
}

/* Without --once the sites are those of the configuration, in its order. */
static bool
find_site(const struct supervisor *s, struct question *q)
{
	ssize_t index = config_find_site(s->config, q->argument);

	q->site = index >= 0 ? (size_t)index : 0;
	return index >= 0;
}

/* Returns whether there may be more; if not, an error may be in `q`. */
static bool
more(const struct supervisor *s, struct question *q, struct writer *w, int64_t now)
{
	if (q->adopted != s->sites.adopted.times && (q->verb == ASK_SITES || q->verb == ASK_SITE)) {
		snprintf(q->error, sizeof(q->error),
		    "the configuration was loaded anew meanwhile; ask again");
		q->again = true;
		return false;
	}
	switch (q->verb) {
	case ASK_STATUS:
		answer_status(s, w, now);
		return false;
	case ASK_SITES:
	case ASK_SITE:
		return more_of_sites(s, q, w);
	case ASK_RELOAD:
		for (; *q->rest != '\0' && reply_has_room(w); q->rest += strspn(q->rest, "\n")) {
			size_t size = strcspn(q->rest, "\n");

			answer_mistake(q->rest, size, w);
			q->rest += size;
		}
		if (*q->rest != '\0')
			return true;
		if (q->accepted)
			answer_reload(q, w);
		else
			snprintf(q->error, sizeof(q->error),
			    "reload failed: the old configuration stays in force");
		return false;
	case ASK_SPOOL:
		break; /* it has been passed on, or there is an error */
	}
	return false;
}

bool
answer_more(const struct supervisor *s, struct question *q, struct writer *w, int64_t now)
{
	if (!q->begun) {
		q->begun = true;
		q->adopted = s->sites.adopted.times;
		reply_first(w, s->config);
		if (q->error[0] == '\0' && q->verb == ASK_SITE && !find_site(s, q))
			snprintf(
			    q->error, sizeof(q->error), "there is no enabled site of this name");
	}
	if (!q->over && q->error[0] == '\0' && more(s, q, w, now))
		return true;
	q->over = true;
	if (!reply_has_room(w))
		return true;
	reply_last(w, q->error, q->again);
	return false;
}
