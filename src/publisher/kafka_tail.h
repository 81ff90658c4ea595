/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The tails of shards: what the last records of a partition say of its sites, so that a new owner
 * can go on where the last one stopped. They are read in a thread, over connections of its own.
 */
#ifndef WEBMOND_KAFKA_TAIL_H
#define WEBMOND_KAFKA_TAIL_H

#include "config.h"
#include "result.h"

/* How old records may be that are looked at: by their slot. */
#define TAIL_US (300 * US_PER_S)

struct tail_site {
	int64_t slot_us; /* UTC: of its last record; 0: it has none there */
	int status;      /* enum status; -1: that does not say */
};

struct tail_shard {
	uint32_t shard;
	bool read;         /* to its end, or for as long as there is time */
	int64_t newest_us; /* UTC: the last slot of any site; 0: no record */
};

/* All but `done` is the thread's until that is set. */
struct kafka_tail {
	_Atomic bool done;
	uint32_t total; /* partitions of the topic; 0: it could not be asked */
	bool no_right;  /* to read the topic */
	char why[512];  /* the last trouble; "": none */
	int64_t took_us;
	uint64_t records;         /* of our group */
	struct tail_shard *shard; /* `count`, as they were wanted */
	size_t count;
	struct tail_site *site; /* of the configuration, by index */
};

/*
 * Begin to read the tails of `count` shards; with none, only the partitions are counted. An eventfd
 * `wake_fd` becomes readable at the end, which comes within 10 s. Returns NULL, with the reasons
 * logged. To be freed when it is done, not before.
 */
struct kafka_tail *
kafka_tail_start(const struct config *config, const uint32_t *shards, size_t count, int wake_fd);
void kafka_tail_free(struct kafka_tail *t);

#endif
