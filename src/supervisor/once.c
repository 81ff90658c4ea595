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

/* A reader that has closed the pipe (EPIPE) is no failure. */
static void
flush(struct supervisor *s)
{
	if (fflush(stdout) == 0 || errno == EPIPE || s->once.exit_code == EXIT_OS)
		return;
	log_error("cannot write to standard output: %s", strerror(errno));
	s->once.exit_code = EXIT_OS;
}

void
once_begin(struct supervisor *s)
{
	if (s->start->output != PUBLISH_TO_NOTHING)
		return;
	s->once.name_width = sizeof("SITE") - 1;
	for (size_t i = 0; i < s->sites.count; i++) {
		int length = (int)strlen(s->sites.all[i]->site->name);

		if (length > s->once.name_width)
			s->once.name_width = length;
	}
	printf("%-*s  %-7s  %4s  %8s  %s\n", s->once.name_width, "SITE", "STATUS", "CODE", "MS",
	    "WHY");
	flush(s);
}

static void
print_row(const struct supervisor *s, const struct site_state *state)
{
	char code[12] = "-", ms[24] = "-";

	if (state->http_status != RESULT_NONE)
		snprintf(code, sizeof(code), "%d", state->http_status);
	if (state->elapsed_us != RESULT_NONE)
		snprintf(ms, sizeof(ms), "%.1f", (double)state->elapsed_us / US_PER_MS);
	printf("%-*s  %-7s  %4s  %8s%s%s\n", s->once.name_width, state->site->name,
	    status_name(state->status), code, ms, state->why != NULL ? "  " : "",
	    state->why != NULL ? state->why : "");
}

bool
once_is_over(struct supervisor *s)
{
	size_t before = s->once.over;

	for (; s->once.over < s->sites.count && s->sites.all[s->once.over]->known; s->once.over++)
		if (s->once.name_width > 0)
			print_row(s, s->sites.all[s->once.over]);
	if (s->once.over > before && s->once.name_width > 0)
		flush(s);
	return s->once.over == s->sites.count;
}

void
once_end(struct supervisor *s)
{
	struct supervisor_status status = status_now(s);

	if (s->once.name_width == 0)
		return;
	for (; s->once.over < s->sites.count; s->once.over++)
		if (s->sites.all[s->once.over]->known)
			print_row(s, s->sites.all[s->once.over]);
	printf("%zu site%s: %zu up, %zu down", status.sites, util_plural(status.sites),
	    status.with[STATUS_UP], status.with[STATUS_DOWN]);
	if (status.with[STATUS_UNKNOWN] > 0)
		printf(", %zu unknown", status.with[STATUS_UNKNOWN]);
	if (status.not_known > 0)
		printf(", %zu not checked", status.not_known);
	putchar('\n');
	flush(s);
}
