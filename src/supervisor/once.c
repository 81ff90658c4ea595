/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The table of --once: a row for each site in the order of the configuration, or of the command
 * line, as soon as those before it are known; then a sum. Nothing is fatal.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "state.h"

static int name_width; /* 0: there is no table */
static size_t printed; /* rows, or places of those that never came */

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
	name_width = sizeof("SITE") - 1;
	for (size_t i = 0; i < s->watch_count; i++) {
		int length = (int)strlen(s->watches[i]->site->name);

		if (length > name_width)
			name_width = length;
	}
	printf("%-*s  %-7s  %4s  %8s  %s\n", name_width, "SITE", "STATUS", "CODE", "MS", "WHY");
	flush(s);
}

/* Print the rows that have come, up to the first place whose row may still come. */
static void
print_rows(struct supervisor *s, bool all)
{
	for (; printed < s->watch_count; printed++) {
		struct watch *w = s->watches[printed];

		if (!w->known && !all)
			break;
		if (w->row != NULL)
			puts(w->row);
		free(w->row);
		w->row = NULL;
	}
	flush(s);
}

/* A row waits in the place of its site, so one that hangs keeps back a line of each other one. */
void
once_note(struct supervisor *s, struct watch *w, const struct wire_done *done)
{
	char code[12] = "-", ms[24] = "-";

	if (done->http_status != RESULT_NONE)
		snprintf(code, sizeof(code), "%d", done->http_status);
	if (done->elapsed_us != RESULT_NONE)
		snprintf(ms, sizeof(ms), "%.1f", (double)done->elapsed_us / US_PER_MS);
	free(w->row);
	w->row = xasprintf("%-*s  %-7s  %4s  %8s%s%s", name_width, w->site->name,
	    status_name(w->status), code, ms, w->why != NULL ? "  " : "",
	    w->why != NULL ? w->why : "");
	print_rows(s, false);
}

void
once_end(struct supervisor *s)
{
	struct tally tally = tally_sites(s);

	if (name_width == 0)
		return;
	print_rows(s, true);
	printf("%zu site%s: %zu up, %zu down", tally.sites, util_plural(tally.sites),
	    tally.with[STATUS_UP], tally.with[STATUS_DOWN]);
	if (tally.with[STATUS_UNKNOWN] > 0)
		printf(", %zu unknown", tally.with[STATUS_UNKNOWN]);
	if (tally.not_known > 0)
		printf(", %zu not checked", tally.not_known);
	putchar('\n');
	flush(s);
}
