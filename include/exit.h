/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The exit codes of all processes.
 */
#ifndef WEBMOND_EXIT_H
#define WEBMOND_EXIT_H

/* Exit codes of the program, as sysexits.h has them; 1 is --once with a site that is not up. */
enum exit_code {
	EXIT_FINE = 0,
	EXIT_NOT_UP = 1,
	EXIT_USAGE = 64,
	EXIT_NO_INPUT = 66,    /* webmondctl: no such topic */
	EXIT_UNAVAILABLE = 69, /* Kafka cannot be reached */
	EXIT_INTERNAL = 70,
	EXIT_OS = 71,
	EXIT_CANNOT_CREATE = 73, /* PID file, spool */
	EXIT_RUNNING = 75,       /* another instance holds the lock */
	EXIT_PERMISSION = 77,
	EXIT_CONFIG = 78,
	/* from the publisher to the supervisor: the spool is damaged or gone, begin a new epoch */
	EXIT_SPOOL_LOST = 100,
};

#endif
