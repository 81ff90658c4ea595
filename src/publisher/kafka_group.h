/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The consumer of a group: which partitions Kafka gives to this member, and since when it has not
 * heard from us. It never reads a record, and no call waits for Kafka.
 *
 * Kafka's questions come one after the other, and wait until they are answered.
 */
#ifndef WEBMOND_KAFKA_GROUP_H
#define WEBMOND_KAFKA_GROUP_H

#include "config.h"
#include "message.h"

enum rebalance {
	REBALANCE_NONE,
	REBALANCE_ASSIGN, /* these partitions are ours from now on */
	REBALANCE_REVOKE, /* these are wanted back: they are ours until the answer */
	REBALANCE_LOSE,   /* these may be another member's by now */
};

struct kafka_group {
	int64_t session_us; /* without a heartbeat for so long, others get the shards */
	bool by_broker;     /* it says who has what: group.protocol=consumer */
	/* util_boot_us(): Kafka has heard from us since; 0: never */
	int64_t confirmed_us;
	bool connected; /* with the broker that leads the group, as of `looked_us` */
	bool refused;   /* rights or settings: Kafka can be reached, but not the group */
	int64_t
	    failed_us; /* it is of no use any more, and a new one not before this time is over */
	int64_t looked_us; /* util_boot_us(): of the last statistics; 0: none yet */

	enum rebalance asked;              /* the question that waits for its answer, */
	uint32_t shard[SHARDS_MAX], count; /* and about which shards */

	struct member *member; /* of kafka_group.c */
};

/*
 * Join. `wake_fd` becomes readable when there is something to serve: an eventfd, which the caller
 * empties. Returns NULL with the reasons in `mistakes`.
 */
struct kafka_group *
kafka_group_open(const struct config *config, int wake_fd, struct mistakes *mistakes);

/* Without a word: Kafka keeps our place until the session is over. */
void kafka_group_close(struct kafka_group *g);

/*
 * This process ends. In the newer protocol a successor gets our place only when it is told so,
 * which takes at most `wait_us`. It is to be used no more.
 */
void kafka_group_leave(struct kafka_group *g, int64_t wait_us);

/* Take what Kafka says. */
void kafka_group_serve(struct kafka_group *g);

/* Whether they are lost although the question is another one: then there is no time for manners. */
bool kafka_group_is_lost(const struct kafka_group *g);

/* Say yes. */
void kafka_group_answer(struct kafka_group *g);

/* The partition of `total` in which Java's producer, and ours, puts this key. */
uint32_t kafka_shard_of(const char *key, uint32_t total);

#endif
