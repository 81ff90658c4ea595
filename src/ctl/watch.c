/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * watch: the status and the sites that are not up, again and again. Ends with a signal, or when nobody
 * reads it any more.
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "commands.h"
#include "exit.h"
#include "show.h"

/* From the top; lines that are too long are cut. */
#define CLEAR "\033[H\033[J\033[?7l"
#define WRAP  "\033[?7h"

/* What `status` takes, and the head of the table. */
#define ROWS_OF_STATUS 14

struct screen {
	const struct options *options;
	bool terminal;
	unsigned rows, sites;
};

static void
take_line(void *arg, const struct line *line)
{
	struct screen *screen = arg;

	if (screen->options->json)
		return;
	if (line_is(line, "status") && screen->terminal) {
		printf(CLEAR);
		show_status(line);
	} else if (line_is(line, "status")) {
		show_status_briefly(line);
	} else if (line_is(line, "site") && screen->terminal) {
		if (screen->sites++ == 0) {
			putchar('\n');
			show_sites_head();
		}
		if (screen->sites + ROWS_OF_STATUS < screen->rows)
			show_site(line);
	}
}

static unsigned
count_rows(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

int
command_watch(int argc, char **argv)
{
	static const struct usage usage = { .arguments = "watch [--json]",
		.purpose =
		    "Show the status and the sites that are not up, once a second; a line each if "
		    "the output\nis no terminal. Ends with Ctrl-C, or with the daemon.\n" };
	struct options o;
	struct screen screen = { .options = &o, .terminal = isatty(STDOUT_FILENO) };
	int code = options_read(&o, argc, argv, &usage);

	if (code >= 0)
		return code;
	for (;;) {
		screen.rows = count_rows();
		screen.sites = 0;
		code = client_ask(&o, "status", take_line, &screen);
		if (code == EXIT_FINE && screen.terminal)
			code = client_ask(&o, "sites down", take_line, &screen);
		if (screen.sites + ROWS_OF_STATUS > screen.rows)
			printf("and more: webmondctl sites --down\n");
		if (screen.terminal)
			printf(WRAP);
		if (code == EXIT_UNAVAILABLE) /* perhaps the next time */
			code = EXIT_FINE;
		if (code != EXIT_FINE || fflush(stdout) != 0)
			return code;
		sleep(1);
	}
}
