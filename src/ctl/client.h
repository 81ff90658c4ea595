/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Asking a running daemon over its control socket, see src/supervisor/control.h.
 */
#ifndef WEBMOND_CLIENT_H
#define WEBMOND_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "line.h"
#include "options.h"

/* Exit codes of these commands beside those of exit.h. */
enum client_code {
	CLIENT_NOT_RUNNING = 3, /* as the LSB has it */
	CLIENT_AGAIN = 75,      /* as sysexits.h has it: there is no answer now */
};

/*
 * Send a request, and give `visit` each line but the last; with --json they are printed, too.
 * Returns 0; or an exit code after printing what is wrong: EXIT_NOT_UP, if the daemon says no;
 * CLIENT_AGAIN, if later it may say yes; CLIENT_NOT_RUNNING; EXIT_PERMISSION; EXIT_UNAVAILABLE, if
 * its answer is not whole.
 */
int client_ask(const struct options *o, const char *request,
    void (*visit)(void *arg, const struct line *line), void *arg);

/* Without printing: `error` gets what is wrong, in at most `size` bytes, and `visit` all lines. */
int client_try(const struct options *o, const char *request,
    void (*visit)(void *arg, const struct line *line), void *arg, char *error, size_t size);

/*
 * As it is: valid JSON, in which no control character can stand for itself, made clean all the
 * same.
 */
void print_line(const struct line *line);

/* "5 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"; returns `out`. */
#define DURATION_SIZE 32
const char *describe_span(double seconds, char out[DURATION_SIZE]);

#endif
