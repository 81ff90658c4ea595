/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * watch: the status and the sites that are not up, again and again. Ends with a signal, or when
 * nobody reads it any more.
 */
#include <signal.h>
#include <stdio.h>
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
	char group[80];

	if (screen->options->json)
		return;
	if (line_is(line, "status") && screen->terminal) {
		printf(CLEAR);
		show_status(line);
		if (line_text(line, "group", group, sizeof(group))[0] != '\0' && screen->rows > 2)
			screen->rows -= 2; /* it takes more */
	} else if (line_is(line, "status")) {
		show_status_briefly(line);
	} else if (line_is(line, "site")) {
		if (screen->sites++ == 0 && screen->terminal) {
			putchar('\n');
			show_sites_head();
		}
		if (!screen->terminal || screen->sites + ROWS_OF_STATUS < screen->rows)
			show_site(line);
	}
}

/* The terminal must not go on cutting lines. */
static void
leave_terminal(int number)
{
	(void)!write(STDOUT_FILENO, WRAP, sizeof(WRAP) - 1);
	raise(number); /* its action is the default one again */
}

static void
catch_signals(void)
{
	const struct sigaction action = { .sa_handler = leave_terminal,
		.sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
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
		    "Show the status and the sites that are not up, once a second; one below the other if "
		    "the output\nis no terminal. Ends with Ctrl-C, or with the daemon.\n" };
	struct options o;
	struct screen screen = { .options = &o, .terminal = isatty(STDOUT_FILENO) };
	int code = options_read(&o, argc, argv, &usage);

	if (code >= 0)
		return code;
	if (screen.terminal)
		catch_signals();
	for (;;) {
		screen.rows = count_rows();
		screen.sites = 0;
		code = client_ask(&o, "status", take_line, &screen);
		if (code == EXIT_FINE)
			code = client_ask(&o, "sites down", take_line, &screen);
		if (screen.terminal && screen.sites + ROWS_OF_STATUS >= screen.rows)
			printf("and more: webmondctl sites --down\n");
		if (screen.terminal)
			printf(WRAP);
		if (code == EXIT_UNAVAILABLE || code == CLIENT_AGAIN) /* perhaps the next time */
			code = EXIT_FINE;
		if (code != EXIT_FINE || fflush(stdout) != 0 || ferror(stdout))
			return code;
		sleep(1);
	}
}
