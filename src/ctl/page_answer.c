/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The answers that a page is made of. Only what is shown of them is kept: the lines themselves
 * would take five times as much. Called by page.c; only running out of memory is fatal.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"
#include "util.h"

#define TEXT_SIZE 2100

static enum page_status
status_of(const struct line *line)
{
	char word[16];

	line_text(line, "status", word, sizeof(word));
	for (int i = 0; i < PAGE_STATUS_COUNT; i++)
		if (strcmp(word, page_looks[i].word) == 0)
			return (enum page_status)i;
	return PAGE_NOT_KNOWN;
}

static char *
text_of(const struct line *line, const char *name)
{
	char text[TEXT_SIZE];

	return xstrdup(line_text(line, name, text, sizeof(text)));
}

/* The label with this key, or the first one, or "". Labels are "key=value,key=value". */
static char *
group_of(const struct line *line, const char *key)
{
	char labels[TEXT_SIZE], *rest = labels, *label;
	size_t size = key != NULL ? strlen(key) : 0;

	line_text(line, "labels", labels, sizeof(labels));
	while ((label = strsep(&rest, ",")) != NULL)
		if (key == NULL || (strncmp(label, key, size) == 0 && label[size] == '='))
			return xstrdup(label);
	return xstrdup("");
}

static char *
why_of(const struct line *line)
{
	char word[40], text[TEXT_SIZE];

	if (line_text(line, "error_type", word, sizeof(word))[0] == '\0')
		return xstrdup("");
	if (line_text(line, "error_message", text, sizeof(text))[0] == '\0')
		return xstrdup(word);
	return xasprintf("%s: %s", word, text);
}

static void
add_site(struct page_answer *a, const struct line *line)
{
	if (a->count == a->room) {
		a->room = a->room > 0 ? 2 * a->room : 64;
		a->sites = xreallocarray(a->sites, a->room, sizeof(*a->sites));
	}
	a->sites[a->count++] = (struct page_site){
		.name = text_of(line, "site"),
		.url = text_of(line, "url"),
		.group = group_of(line, a->key),
		.why = why_of(line),
		.status = status_of(line),
		.since = line_time(line, "status_since"),
	};
}

static void
add_result(struct page_site *site, const struct line *line)
{
	const double ms = line_number(line, "elapsed_ms");
	struct page_result *r;

	if (site->count == PAGE_RESULTS)
		return;
	r = &site->results[site->count++];
	r->at = line_time(line, "scheduled_at");
	r->ms = ms >= 0 && ms < 1e9 ? (float)ms : NAN;
	r->code = (int)(line_count(line, "http_status_code") % 1000);
	r->status = status_of(line);
	line_text(line, "error_type", r->word, sizeof(r->word));
}

void
page_take(void *answer, const struct line *line)
{
	struct page_answer *a = answer;

	if (line_is(line, "status")) {
		char *text = xcalloc(line->size + 1, 1);

		free((char *)a->status.text);
		memcpy(text, line->text, line->size);
		a->status = (struct line){ text, line->size, line->now };
	} else if (line_is(line, "site")) {
		/* with its results it is on the page of the member that checks it */
		a->elsewhere = line_true(line, "elsewhere");
		if (!a->elsewhere)
			add_site(a, line);
	} else if (line_is(line, "result") && a->count > 0 && !a->elsewhere) {
		add_result(&a->sites[a->count - 1], line);
	}
}

/* --- order ------------------------------------------------------------------------------- */

static int
compare_groups(const struct page_site *a, const struct page_site *b)
{
	/* those without a label last */
	if ((a->group[0] == '\0') != (b->group[0] == '\0'))
		return a->group[0] == '\0' ? 1 : -1;
	return strcmp(a->group, b->group);
}

static int
by_group(const void *left, const void *right)
{
	const struct page_site *a = left, *b = right;
	int order = compare_groups(a, b);

	if (order == 0)
		order = (int)a->status - (int)b->status;
	return order != 0 ? order : strverscmp(a->name, b->name);
}

void
page_sort(struct page_answer *a)
{
	struct page_site *sorted = xcalloc(a->count, sizeof(*sorted));
	size_t n = 0;

	if (a->count > 0)
		qsort(a->sites, a->count, sizeof(*a->sites), by_group);
	/* the first site of a group is its worst: take the groups by that */
	for (int status = 0; status < PAGE_STATUS_COUNT; status++) {
		bool taken = false;

		for (size_t i = 0; i < a->count; i++) {
			if (i == 0 || compare_groups(&a->sites[i - 1], &a->sites[i]) != 0)
				taken = (int)a->sites[i].status == status;
			if (taken)
				sorted[n++] = a->sites[i];
		}
	}
	free(a->sites);
	a->sites = sorted;
	a->room = n;
}

void
page_release(struct page_answer *a)
{
	for (size_t i = 0; i < a->count; i++) {
		free(a->sites[i].name);
		free(a->sites[i].url);
		free(a->sites[i].group);
		free(a->sites[i].why);
	}
	free(a->sites);
	free((char *)a->status.text);
	*a = (struct page_answer){ .key = a->key };
}
