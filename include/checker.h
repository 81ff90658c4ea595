/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The checker process: jobs in, records out, one at a time.
 */
#ifndef WEBMOND_CHECKER_H
#define WEBMOND_CHECKER_H

#include <stdbool.h>

#include "claims.h"
#include "config.h"

struct checker_start {
	const struct config *config;
	int job_fd;            /* SOCK_SEQPACKET: struct wire_job in, struct wire_done out */
	int pipe_fd;           /* write end of the checkers' pipe */
	bool alone;            /* nobody else who runs has our user, see sandbox.h */
	struct claims *claims; /* on what comes over job_fd */
};

/*
 * Run until the supervisor closes the socket or SIGTERM comes (then a running check ends as
 * `aborted`, with its record). Called in the child after the drop of privileges, with SIGTERM
 * blocked. Returns the exit code.
 */
int checker_main(const struct checker_start *start);

#endif
