/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * This daemon as a member of a group (kafka.group): it has the shards that Kafka assigns to it, and
 * a lease for as long as Kafka gives them to nobody else. See message.h for what the supervisor is
 * told. No call waits.
 *
 *   assigned   the tails of the new shards are read, so that each site goes on behind its last
 *              record, whoever wrote that
 *   revoked    the supervisor ends the checks of the shard, and what is stored is sent, before
 *              Kafka gets its answer: the next owner finds it in the tail
 *   lost       Kafka has not heard from us for a session: the lease has ended before. The shards
 *              are read anew before they are ours again
 *   alone      Kafka cannot be reached: the supervisor goes on with what it had (kafka.alone)
 */
#ifndef WEBMOND_GROUP_H
#define WEBMOND_GROUP_H

#include <poll.h>

#include "config.h"
#include "message.h"
#include "spool.h"

struct group;

/* `control_fd`: to the supervisor. Lives as long as the process. NULL with errno. */
struct group *group_new(const struct config *config, struct spool *spool, int control_fd);

/* A message of the supervisor: others than those of a group are ignored. */
void group_take_message(struct group *g, const struct message *m);

/* What the publisher does. */
struct group_facts {
	int64_t now;   /* monotonic */
	bool storing;  /* the spool takes records */
	bool stopping; /* the supervisor needs no word any more, and sends none */
};

void group_serve(struct group *g, const struct group_facts *facts);

/* The publisher leaves: remember what a start without Kafka needs. */
void group_end(struct group *g);

/*
 * Whether a shard can be given up once what is in the pipes is stored: then the publisher empties
 * them, and says so.
 */
bool group_wants_commit(const struct group *g);
void group_committed(struct group *g);

/* Whether it waits until what is stored is delivered, and deleted. */
bool group_waits_for_delivery(const struct group *g);

/* What becomes readable when there is something to serve. */
struct pollfd group_wait_for(const struct group *g);

/* What it wants of the supervisor's socket: POLLOUT or 0. */
short group_wants_of_control(const struct group *g);

/* When group_serve() has something to do though nothing becomes ready. */
int64_t group_wake_us(const struct group *g, int64_t now);

#endif
