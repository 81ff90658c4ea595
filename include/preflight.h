/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What can keep a daemon from starting although its configuration has no mistake, and can be known
 * without a network: looked at before every start, and by -t. It changes nothing, so a daemon may
 * be running from the same files meanwhile.
 */
#ifndef WEBMOND_PREFLIGHT_H
#define WEBMOND_PREFLIGHT_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/* What the process that is to start will need. */
struct preflight {
	bool kafka;       /* somewhere to publish to, and a spool */
	bool pid_file;    /* to write it */
	bool descriptors; /* two for each checker */
	bool metrics;     /* to write metrics_file, if there is to be one */
};

/*
 * Add what is missing to `mistakes`, each with its place and its cure: with the rights of who
 * starts, and with those of the user that the publisher becomes. Both return EXIT_FINE, or the exit
 * code that the start would have.
 */
int preflight_as_starter(
    const struct config *config, const struct preflight *needed, struct mistakes *mistakes);
int preflight_as_user(
    const struct config *config, const struct preflight *needed, struct mistakes *mistakes);

#endif
