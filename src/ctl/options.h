/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The options of the commands that ask a running daemon.
 */
#ifndef WEBMOND_OPTIONS_H
#define WEBMOND_OPTIONS_H

#include <stdbool.h>

/* What a command takes beside -s, -c, --json and -h. */
struct usage {
	const char *arguments; /* behind "webmondctl " */
	const char *purpose;   /* lines for its --help */
	bool filters;          /* --down and --slow */
	bool pages;            /* --every and --group */
	bool limits;           /* -w and -c; then the configuration is --config only */
	enum {
		ARGUMENT_NONE,
		ARGUMENT_OPTIONAL,
		ARGUMENT_REQUIRED,
	} argument;
	bool second; /* it may have another one */
};

struct options {
	const char *socket;
	bool json, down, slow;
	double warning, critical; /* NAN: not given */
	unsigned every_s;         /* 0: not given */
	int patience_s;           /* for an answer; 0: that of client.c */
	const char *group;        /* NULL: not given */
	const char *argument;     /* NULL: none */
	const char *second;       /* likewise */
};

/*
 * Read the arguments of a command, the first of which is its name as messages have it, "webmondctl
 * status". Returns an exit code, if there is nothing more to do (--help) or something is wrong,
 * which was printed; else -1.
 */
int options_read(struct options *o, int argc, char **argv, const struct usage *usage);

#endif
