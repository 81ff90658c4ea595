/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Options of commands. Called by each of them; only prints.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "exit.h"

/* The socket that the configuration names. Its mistakes do not matter: a reload is to tell them. */
static const char *
socket_of(const char *file)
{
	static struct config *config; /* it lives as long as we */

	config = config_load(file);
	if (access(file, R_OK) < 0)
		fprintf(stderr, "webmondctl: \"%s\": %s; %s is tried\n", file, strerror(errno),
		    CONFIG_CONTROL_SOCKET);
	else if (config->mistakes.count > 0 && config->control_socket != NULL &&
		 strcmp(config->control_socket, CONFIG_CONTROL_SOCKET) == 0)
		fprintf(stderr, "webmondctl: \"%s\" has mistakes; %s is tried\n", file,
		    CONFIG_CONTROL_SOCKET); /* another one may stand behind them */
	if (config->control_socket == NULL)
		fprintf(stderr,
		    "webmondctl: \"%s\" has no control socket: control = { socket = \"\"; }\n",
		    file);
	return config->control_socket;
}

static void
print_usage(const struct usage *usage)
{
	printf("Usage: webmondctl %s\n%s\n"
	       "  -s, --socket SOCKET  of the daemon; without it %s\n"
	       "  %s--config FILE    ask the daemon that has this configuration\n"
	       "      --json           print its answer as it is: lines of JSON\n"
	       "  -h, --help           print this help\n"
	       "See webmondctl(8).\n",
	    usage->arguments, usage->purpose, CONFIG_CONTROL_SOCKET,
	    usage->limits ? "    " : "-c, ");
}

static bool
read_limit(const char *text, double *limit)
{
	char *end;

	*limit = strtod(text, &end);
	if (end != text && *end == '\0' && *limit >= 0 && isfinite(*limit))
		return true;
	fprintf(stderr, "webmondctl: \"%s\" is no limit: write a number\n", text);
	return false;
}

static bool
read_every(const char *text, unsigned *seconds)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*seconds = (unsigned)n;
	if (end != text && *end == '\0' && n >= 1 && n <= 86400)
		return true;
	fprintf(stderr, "webmondctl: --every %s: write whole seconds, from 1 to 86400\n", text);
	return false;
}

/* Those that are no options. */
static int
read_argument(struct options *o, int argc, char **argv, const struct usage *usage)
{
	if (usage->argument != ARGUMENT_NONE && optind < argc)
		o->argument = argv[optind++];
	if (usage->second && optind < argc)
		o->second = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "webmondctl: unexpected argument \"%s\"; try '%s --help'\n",
		    argv[optind], argv[0]);
		return EXIT_USAGE;
	}
	if (usage->argument == ARGUMENT_REQUIRED && o->argument == NULL) {
		fprintf(stderr, "Usage: webmondctl %s\n", usage->arguments);
		return EXIT_USAGE;
	}
	return -1;
}

enum {
	OPTION_JSON = 256,
	OPTION_DOWN,
	OPTION_SLOW,
	OPTION_EVERY,
	OPTION_GROUP,
	OPTION_CONFIG,
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ "warning", required_argument, NULL, 'w' },
	{ "critical", required_argument, NULL, 'c' },
	{ "down", no_argument, NULL, OPTION_DOWN },
	{ "slow", no_argument, NULL, OPTION_SLOW },
	{ "every", required_argument, NULL, OPTION_EVERY },
	{ "group", required_argument, NULL, OPTION_GROUP },
	{ NULL, 0, NULL, 0 },
};

int
options_read(struct options *o, int argc, char **argv, const struct usage *usage)
{
	const char *config = NULL;
	bool good = true;
	int c;

	*o = (struct options){ .warning = NAN, .critical = NAN };
	while ((c = getopt_long(
		    argc, argv, usage->limits ? "s:c:w:h" : "s:c:h", long_options, NULL)) != -1) {
		if (c == 'c' && !usage->limits)
			c = OPTION_CONFIG;
		if (c == 'h') {
			print_usage(usage);
			return EXIT_FINE;
		} else if (c == 's') {
			o->socket = optarg;
		} else if (c == OPTION_CONFIG) {
			config = optarg;
		} else if (c == OPTION_JSON) {
			o->json = true;
		} else if (c == OPTION_DOWN && usage->filters) {
			o->down = true;
		} else if (c == OPTION_SLOW && usage->filters) {
			o->slow = true;
		} else if (c == OPTION_EVERY && usage->pages) {
			good &= read_every(optarg, &o->every_s);
		} else if (c == OPTION_GROUP && usage->pages) {
			o->group = optarg;
		} else if ((c == 'w' || c == 'c') && usage->limits) {
			good &= read_limit(optarg, c == 'w' ? &o->warning : &o->critical);
		} else {
			good = false;
		}
	}
	if (!good) {
		fprintf(stderr, "Try '%s --help'.\n", argv[0]);
		return EXIT_USAGE;
	}
	if (o->socket == NULL && config != NULL && (o->socket = socket_of(config)) == NULL)
		return EXIT_UNAVAILABLE;
	if (o->socket == NULL)
		o->socket = CONFIG_CONTROL_SOCKET;
	return read_argument(o, argc, argv, usage);
}
