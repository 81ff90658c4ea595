/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The publisher process: two pipes → spool → Kafka (or standard output).
 */
#ifndef WEBMOND_PUBLISHER_H
#define WEBMOND_PUBLISHER_H

#include "config.h"
#include "proc.h"

enum publisher_output {
	PUBLISH_TO_KAFKA,
	PUBLISH_TO_STDOUT,  /* one JSON object a line, no spool on disk */
	PUBLISH_TO_NOTHING, /* --once with a table: the supervisor prints it */
};

struct publisher_start {
	const struct config *config;
	enum publisher_output output;
	const char *epoch;
	/* see struct spool_options */
	bool epoch_stored;
	const char *lost_epoch;
	int spool_lock_fd;
	pid_t supervisor;
	const unsigned char *token_key; /* see wire_token() */
	/* the read ends of the pipes */
	int supervisor_fd; /* OPEN, WHOLE, and CLOSE for checkers that are dead */
	int checkers_fd;   /* CLOSE, of any checker, which may be in foreign hands */
	int control_fd;    /* SOCK_SEQPACKET: enum wire_order in, struct wire_report out */
};

/*
 * Run until the pipes end or the work is handed over; called in the child after the drop of
 * privileges, which is to exit then: the producer still has its threads. Returns the exit code:
 * EXIT_FINE, EXIT_SPOOL_LOST, EXIT_RUNNING (the spool is in use), EXIT_CANNOT_CREATE, EXIT_OS.
 */
int publisher_main(const struct publisher_start *start);

#endif
