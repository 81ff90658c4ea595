/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The control socket, by which webmondctl(8) asks the daemon: a Unix socket, the only thing that
 * webmond listens on.
 *
 * A client sends one line of words, and gets lines of one flat JSON object each. The first tells
 * the version of this protocol, the last whether the answer is whole; then the connection is
 * closed.
 *
 *   status                          how the daemon is: {"type":"status",…}; members from "group" on
 *                                   are null without a group
 *   sites [down] [slow] [all] [-- PATTERN]  {"type":"site",…} for each; `all`: with its results; the
 *                                   pattern needs no -- if it is none of these words; of a site
 *                                   whose "elsewhere" is true nothing is known here
 *   site NAME                       {"type":"site",…}, {"type":"setting",…} for each key, and
 *                                   {"type":"result",…} for each of the last results, latest first
 *   reload                          waits for a reload that begins now: {"type":"mistake",…} for each,
 *                                   and {"type":"reload",…} if there is none
 *
 *   spool …                         is answered by the publisher, see src/publisher/ask.h
 *
 *   {"type":"webmond","protocol":1,…}         begins
 *   {"type":"end","ok":true,"error":null,"again":false}    ends; with `ok` false the error says why
 *                                   there is no more, and `again` that later there may be
 *
 * Members are added, never renamed. A pattern is for whole names, with * and ?.
 *
 * Clients can only wait: there are at most CONTROL_CLIENTS of them, others wait to be accepted;
 * each has CONTROL_REQUEST_MAX bytes for its request and one buffer for its answer, which is made
 * in pieces as it is read; and one that makes no progress is dropped.
 */
#ifndef WEBMOND_CONTROL_H
#define WEBMOND_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "answer.h"
#include "reply.h"

#define CONTROL_CLIENTS     8
#define CONTROL_REQUEST_MAX 4096

struct supervisor;

enum client_state {
	CLIENT_READS, /* we read its request */
	CLIENT_WAITS, /* for the outcome of a reload */
	CLIENT_IS_ANSWERED,
};

struct client {
	struct ucred peer;
	enum client_state state;
	struct reply reply; /* with its descriptor, and its deadlines in all states */
	struct question question;
	size_t in_size;
	char in[CONTROL_REQUEST_MAX];
};

struct control {
	int fd;     /* -1: not listening */
	char *path; /* of the socket; NULL: none */
	dev_t device;
	ino_t inode;                            /* which is ours */
	const struct config *config;            /* by which it was made */
	bool ready;                             /* one of those that were waited for is */
	int64_t accept_us;                      /* not before: there were no descriptors */
	struct client *client[CONTROL_CLIENTS]; /* `count`, without gaps */
	int count;
};

/* --- the socket: control_socket.c -------------------------------------------------------- */

/* Listen where the configuration says, or warn. */
void control_open(struct supervisor *s);

/* A reload may name another path; and it makes the socket anew if somebody has removed it. */
void control_follow_config(struct supervisor *s);

/* Remove it if it is still ours. */
void control_close_socket(struct control *c);

/* --- its clients: control.c -------------------------------------------------------------- */

/* Drop all of them, and close the socket. */
void control_close(struct supervisor *s);

/* What it waits for; at most CONTROL_CLIENTS + 1. Returns how many. */
int control_polls(const struct supervisor *s, struct pollfd *polls, int64_t now);

/* One of them is ready. */
void control_wake(struct supervisor *s);

/*
 * Go on with each client as far as that is possible now. Called in every turn of the loop. Returns
 * when to call it again though nothing becomes ready.
 */
int64_t control_serve(struct supervisor *s, int64_t now);

#endif
