/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * metrics: what the daemon knows, in the text format of Prometheus; the same as in metrics_file.
 */
#include "metrics.h"

#include <stdio.h>

#include "client.h"
#include "commands.h"
#include "exit.h"

static void
keep_line(void *arg, const struct line *line)
{
	metrics_add(arg, line);
}

int
command_metrics(int argc, char **argv)
{
	static const struct usage usage = { .arguments = "metrics [--json]",
		.purpose = "Print what the daemon knows in the text format of Prometheus, as in "
			   "metrics_file of\nwebmond.conf(5).\n" };
	struct options o;
	struct metrics metrics = { 0 };
	int code = options_read(&o, argc, argv, &usage);

	if (code >= 0)
		return code;
	code = client_ask(&o, "status", keep_line, &metrics);
	if (code == EXIT_FINE)
		code = client_ask(&o, "sites", keep_line, &metrics);
	if (code == EXIT_FINE && !o.json) {
		metrics_print(&metrics, stdout);
		code = fflush(stdout) == 0 ? EXIT_FINE : EXIT_OS;
	}
	metrics_free(&metrics);
	return code;
}
