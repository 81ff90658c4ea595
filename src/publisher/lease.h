/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The lease of a member of a group: until when the supervisor may begin slots of its shards. With
 * the word of the group it ends before Kafka could give them to another member; without it, if
 * Kafka cannot be reached at all, the member goes on alone for a moment at a time (kafka.alone).
 */
#ifndef WEBMOND_LEASE_H
#define WEBMOND_LEASE_H

#include "kafka_group.h"
#include "shards.h"
#include "spool.h"

/* Start from zeros, with the first two. The clock is util_boot_us(). */
struct lease {
	const struct config *config;
	struct spool *spool;

	int64_t until_us;  /* by the group; 0: never had one */
	int64_t next_us;   /* when it is renewed */
	int64_t looked_us; /* of the last statistics that were seen */
	int64_t away_us; /* since when the group cannot be reached, as far as is known; 0: it can */
	int64_t logged_us; /* since when, as the log says; 0: it says nothing */
};

/*
 * Renew it, if it is time. `assigned`: since the last loss Kafka has said what is ours. Returns
 * false: the supervisor takes no message now, so ask again.
 */
bool lease_renew(struct lease *l, struct shards *s, const struct kafka_group *k, bool assigned);

#endif
