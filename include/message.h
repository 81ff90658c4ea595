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

enum message_type {
	/* orders of the supervisor; they have no body */
	MESSAGE_HAND_OVER = 1, /* reload: commit, wait briefly for answers, leave */
	MESSAGE_NO_FLUSH,      /* second TERM: commit, but do not wait for Kafka */

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
