/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The supervisor process: owns configuration, schedule, pool and signals; starts all others.
 * Single-threaded, never blocks, never touches the network.
 */
#ifndef WEBMOND_SUPERVISOR_H
#define WEBMOND_SUPERVISOR_H

#include "config.h"
#include "proc.h"
#include "publisher.h"

struct supervisor_start {
	struct config *config; /* taken over */
	struct proc_user publisher_user;
	struct proc_user checker_user;
	enum publisher_output output;
	bool once;         /* one slot per site now, then leave */
	char *const *only; /* with `once`: names of sites, NULL-terminated; empty: all */
	/* put the log where options and configuration say; called again after a reload */
	void (*open_log)(const struct config *config);
};

/* Run until told to stop. Returns the exit code of the program. */
int supervisor_main(const struct supervisor_start *start);

#endif
