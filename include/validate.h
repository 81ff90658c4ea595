/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The checks of a configuration that need libraries or the rights of another user: URLs, patterns,
 * Kafka's properties and files. They run in a short-lived child that has dropped its privileges,
 * and those of sites in a child of its own with the rights of the checkers, so the supervisor hands
 * nothing to those libraries and never reads another user's files.
 */
#ifndef WEBMOND_VALIDATE_H
#define WEBMOND_VALIDATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "config.h"
#include "preflight.h"
#include "proc.h"
#include "publisher.h"

/* Whose files it is about, and what is tested beside the configuration itself. */
struct validation {
	const struct proc_user *checker;   /* with whose rights sites are tested */
	const struct proc_user *publisher; /* … and Kafka and the spool */
	struct preflight needed;
	bool network; /* whether Kafka and the topic are there, and we may write to it */
	char found
	    [PUBLISHER_REASON_SIZE]; /* by validate_run(), with `network`: a sentence of that */
};

/*
 * Start the child, which reads the file of `before` anew, into `share`, and compares it with
 * `before`. To `*fd`, which the caller reads to the end and closes, it writes each mistake as a
 * line: those of the file, its own, then what a start lacks. It exits EXIT_FINE, EXIT_CONFIG, the
 * code that a start would have for what it lacks, or with `network` EXIT_UNAVAILABLE when Kafka or
 * the topic is not there. The only text that it writes with EXIT_FINE is that of `network`: what
 * was found. Returns its pid, or -1 with errno.
 */
pid_t validate_start_file(const struct config *before, struct config_share *share,
    const struct validation *what, int *fd);

/*
 * The same of a configuration that is loaded: wait for the child, and print its lines to standard
 * error. Returns its exit code.
 */
int validate_run(const struct config *config, struct validation *what);

#endif
