/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Messages between supervisor and publisher, on a socketpair (SOCK_SEQPACKET): a type and a length,
 * then as many bytes, which the type gives a meaning. Both sides are the same program after a fork,
 * so structs travel as they are; sizes are checked all the same.
 */
#ifndef WEBMOND_MESSAGE_H
#define WEBMOND_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of the spool beside the number of its records. */
struct spool_facts {
	int64_t oldest_us; /* UTC: the slot of the first record; 0: there is none */
	int64_t bytes;     /* in use; to be compared with spool.max_mb */
	uint64_t dead;     /* dead letters that are kept */
	uint64_t dropped;  /* records that gave way to the limit, since this publisher started */
};

#define TROUBLE_SIZE 512

enum message_type {
	/* of the supervisor; but for the last they have no body */
	MESSAGE_HAND_OVER = 1, /* reload: commit, wait briefly for answers, leave */
	MESSAGE_NO_FLUSH,      /* second TERM: commit, but do not wait for Kafka */
	MESSAGE_ASK, /* a request about the spool, and beside it the client that gets the answer */

	/* of the publisher */
	MESSAGE_REPORT, /* struct message_report, each second; losing one loses nothing */
};

struct message_report {
	bool ready;         /* the spool is open */
	bool delivering;    /* Kafka takes records */
	uint64_t queued;    /* records in the spool */
	uint64_t delivered; /* since this publisher started */
	uint64_t taken;     /* bytes out of the checkers' pipe, likewise */
	uint64_t dead;      /* refused for good, kept in the spool, likewise */
	struct spool_facts spool;
	int64_t trouble_us;         /* UTC, of the last trouble with Kafka; 0: none, likewise */
	char trouble[TROUBLE_SIZE]; /* what it was, and what to do: one line of clean text */
};

#define MESSAGE_BODY_MAX 4096

struct message {
	uint32_t type; /* enum message_type, or one that is not known here */
	uint32_t length;
	_Alignas(max_align_t) unsigned char body[MESSAGE_BODY_MAX];
};

/*
 * Send a message with `length` bytes at `body`, and beside it a copy of `descriptor` (-1: none).
 * Never waits. Returns 0, or -1 with errno.
 */
int message_send(int fd, enum message_type type, const void *body, size_t length, int descriptor);

/*
 * Receive the next message; what is none is skipped. Never waits. Returns 1; 0 when the other side
 * has closed; -1 with errno (EAGAIN: there is none now). A descriptor that came with it is stored
 * in `*descriptor` and the caller's; else that is -1.
 */
int message_receive(int fd, struct message *message, int *descriptor);

/* The body, if it has this size; otherwise NULL. Valid as long as the message. */
const void *message_body(const struct message *message, size_t size);

#endif
