/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The table of --once: a row for each site in the order of the configuration, or of the command
 * line, as soon as those before it are known; then a sum. Nothing is fatal.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "state.h"

static int name_width; /* 0: there is no table */
static size_t ended;   /* sites from the first on whose check is over, and its row printed */

/* Its reader may have had enough. */
static void
flush(struct supervisor *s)
{
	if (fflush(stdout) == 0 || errno == EPIPE || s->exit_code == EXIT_OS)
		return;
	log_error("cannot write to standard output: %s", strerror(errno));
	s->exit_code = EXIT_OS;
}

void
once_begin(struct supervisor *s)
{
	if (s->start->output != PUBLISH_TO_NOTHING)
		return;
	name_width = sizeof("SITE") - 1;
	for (size_t i = 0; i < s->watch_count; i++) {
		int length = (int)strlen(s->watches[i]->site->name);

		if (length > name_width)
			name_width = length;
	}
	printf("%-*s  %-7s  %4s  %8s  %s\n", name_width, "SITE", "STATUS", "CODE", "MS", "WHY");
	flush(s);
}

static void
print_row(const struct watch *w)
{
	char code[12] = "-", ms[24] = "-";

	if (w->http_status != RESULT_NONE)
		snprintf(code, sizeof(code), "%d", w->http_status);
	if (w->elapsed_us != RESULT_NONE)
		snprintf(ms, sizeof(ms), "%.1f", (double)w->elapsed_us / US_PER_MS);
	printf("%-*s  %-7s  %4s  %8s%s%s\n", name_width, w->site->name, status_name(w->status),
	    code, ms, w->why != NULL ? "  " : "", w->why != NULL ? w->why : "");
}

bool
once_is_over(struct supervisor *s)
{
	size_t before = ended;

	for (; ended < s->watch_count && s->watches[ended]->known; ended++)
		if (name_width > 0)
			print_row(s->watches[ended]);
	if (ended > before && name_width > 0)
		flush(s);
	return ended == s->watch_count;
}

void
once_end(struct supervisor *s)
{
	struct tally tally = tally_sites(s);

	if (name_width == 0)
		return;
	for (; ended < s->watch_count; ended++)
		if (s->watches[ended]->known)
			print_row(s->watches[ended]);
	printf("%zu site%s: %zu up, %zu down", tally.sites, util_plural(tally.sites),
	    tally.with[STATUS_UP], tally.with[STATUS_DOWN]);
	if (tally.with[STATUS_UNKNOWN] > 0)
		printf(", %zu unknown", tally.with[STATUS_UNKNOWN]);
	if (tally.not_known > 0)
		printf(", %zu not checked", tally.not_known);
	putchar('\n');
	flush(s);
}
