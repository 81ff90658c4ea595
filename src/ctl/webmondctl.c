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
	{ "verify", command_verify, "-F FILE -t TOPIC",
	    "read a topic, and say whether anything is missing" },
};

static void
print_help(void)
{
	printf("Usage: webmondctl COMMAND [OPTION…]\n"
	       "       webmondctl -h | -V\n"
	       "\n"
	       "Commands; each has its own --help:\n");
	for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
		printf("  %s %-20s  %s\n", commands[i].name, commands[i].arguments,
		    commands[i].purpose);
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

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) {
		print_help();
		return finish(EXIT_FINE);
	}
	if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0) {
		printf("webmondctl " VERSION "\n");
		return EXIT_FINE;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return finish(commands[i].run(argc - 1, argv + 1));
	if (name[0] == '\0')
		fprintf(stderr, "webmondctl: which command? Try 'webmondctl --help'.\n");
	else
		fprintf(stderr, "webmondctl: there is no command \"%s\"; try 'webmondctl --help'\n",
		    name);
	return EXIT_USAGE;
}
