/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * webmondctl: commands about webmond, for people and scripts. It is a program of its own, with the
 * rights of whoever starts it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "exit.h"
#include "util.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments, *purpose;
} commands[] = {
	{ "status", command_status, "", "how the daemon is" },
	{ "sites", command_sites, "[PATTERN]", "the sites: --down those that are not up, --slow" },
	{ "site", command_site, "NAME", "all about a site, with its last results" },
	{ "watch", command_watch, "", "status and what is not up, once a second" },
	{ "spool", command_spool, "[list|show|drop]", "what waits for Kafka, and dead letters" },
	{ "reload", command_reload, "", "read the configuration anew, and wait for the outcome" },
	{ "check", command_check, "[SITE]",
	    "for Nagios and others: OK, WARNING, CRITICAL, UNKNOWN" },
	{ "metrics", command_metrics, "", "for Prometheus" },
	{ "page", command_page, "[FILE --every SECONDS]", "a status page: one file of HTML" },
	{ "verify", command_verify, "-F FILE -t TOPIC",
	    "read a topic, and say whether anything is missing" },
};

static void
print_help(void)
{
	printf("Usage: webmondctl [-s SOCKET | -c CONFIG] COMMAND [OPTION…]\n"
	       "       webmondctl -h | -V\n"
	       "\n"
	       "Commands; each has its own --help:\n");
	for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
		printf("  %s %-*s  %s\n", commands[i].name, 26 - (int)strlen(commands[i].name),
		    commands[i].arguments, commands[i].purpose);
	printf("\nSee webmondctl(8).\n");
}

/* A report that could not be written is no report. */
static int
finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	perror("webmondctl: standard output");
	return EXIT_OS;
}

static bool
is_either(const char *word, const char *one, const char *other)
{
	return strcmp(word, one) == 0 || strcmp(word, other) == 0;
}

/*
 * Options may stand before the command: they are moved behind its name. Returns it, or one of the
 * options that need no command, or "".
 */
static const char *
find_command(int argc, char **argv)
{
	int i = 1;
	char *name;

	while (i < argc && argv[i][0] == '-') {
		bool value = is_either(argv[i], "-s", "--socket") ||
			     is_either(argv[i], "-c", "--config");

		if (is_either(argv[i], "-h", "--help") || is_either(argv[i], "-V", "--version"))
			return argv[i];
		if (strcmp(argv[i], "-c") == 0)
			argv[i] = (char *)"--config"; /* `check` has another -c */
		i += 1 + value;
	}
	if (i >= argc)
		return "";
	name = argv[i];
	memmove(argv + 2, argv + 1, (size_t)(i - 1) * sizeof(*argv));
	return argv[1] = name;
}

int
main(int argc, char **argv)
{
	const char *name = find_command(argc, argv);

	if (is_either(name, "-h", "--help")) {
		print_help();
		return finish(EXIT_FINE);
	}
	if (is_either(name, "-V", "--version")) {
		printf("webmondctl " VERSION "\n");
		return finish(EXIT_FINE);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
		if (strcmp(name, commands[i].name) == 0) {
			argv[1] = xasprintf("webmondctl %s", name); /* messages begin with it */
			return finish(commands[i].run(argc - 1, argv + 1));
		}
	if (name[0] == '\0')
		fprintf(stderr, "webmondctl: which command? Try 'webmondctl --help'.\n");
	else
		fprintf(stderr, "webmondctl: there is no command \"%s\"; try 'webmondctl --help'\n",
		    name);
	return EXIT_USAGE;
}
