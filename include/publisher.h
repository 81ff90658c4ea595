/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The publisher process: two pipes → spool → Kafka (or standard output).
 */
#ifndef WEBMOND_PUBLISHER_H
#define WEBMOND_PUBLISHER_H

#include "config.h"
#include "proc.h"

/* Holds the longest advice, twice with the longest name of a topic, and much of what follows. */
#define PUBLISHER_REASON_SIZE 1024

enum publisher_output {
	PUBLISH_TO_KAFKA,
	PUBLISH_TO_STDOUT,  /* one JSON object a line, no spool on disk */
	PUBLISH_TO_NOTHING, /* --once with a table: the supervisor prints it */
};

struct publisher_start {
	const struct config *config;
	enum publisher_output output;
	bool in_group; /* be a member of kafka.group */
	const char *epoch;
	/* see struct spool_options */
	bool epoch_stored;
	const char *lost_epoch;
	int spool_lock_fd;
	pid_t supervisor;
	const unsigned char *token_key; /* see wire_token() */
	/* the read ends of the pipes */
	int supervisor_fd; /* OPEN, SINGLE, and CLOSE for checkers that are dead */
	int checkers_fd;   /* CLOSE, of any checker, which may have been taken over */
	int control_fd;    /* SOCK_SEQPACKET: orders in, reports out: see message.h */
};

/*
 * Run until the pipes end or the work is handed over; called in the child after the drop of
 * privileges, which is to exit then: the producer still has its threads. Returns the exit code:
 * EXIT_FINE, EXIT_SPOOL_LOST, EXIT_RUNNING (the spool is in use), EXIT_CANNOT_CREATE, EXIT_OS.
 */
int publisher_main(const struct publisher_start *start);

/*
 * For validation: read the properties file, hold every property against librdkafka and against what
 * webmond refuses, look at the files it names and at their modes. Adds to `mistakes`.
 */
void publisher_check_config(const struct config *config, struct mistakes *mistakes);

/*
 * For -T: connect, get a producer id as the daemon does, find the topic, and ask whether we may
 * write to it; in a group, whether we may be a member. Returns 0 with what was found in `said`,
 * such as "Kafka and the topic are there, …", or -1 with what to do about it: soon when all brokers
 * refuse, else within `timeout_ms`.
 */
int publisher_find_topic(const struct config *config, int timeout_ms, char *said, size_t size);

/* "2.0.2", for --version. */
const char *publisher_library_version(void);

#endif
