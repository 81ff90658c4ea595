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
	bool wanted;
	bool read;         /* at least some of it, or there is nothing */
	bool whole;        /* to its end */
	int64_t newest_us; /* UTC: the last slot of any site; 0: no record */
};

/* All but `done` is the thread's until that is set. */
struct kafka_tail {
	_Atomic bool done;
	uint32_t total; /* partitions of the topic; 0: it could not be asked */
	bool no_right;  /* to read the topic */
	char why[512];  /* the last trouble; "": none */
	int64_t took_us;
	struct tail_shard *shard; /* `count`, by their numbers */
	uint32_t count;
	struct tail_site *site; /* of the configuration, by index */
};

/*
 * Have a tail in which shards below `count` can be wanted, or none: then only the partitions are
 * counted.
 */
struct kafka_tail *kafka_tail_new(const struct config *config, uint32_t count);

/*
 * Begin to read. An eventfd `wake_fd` becomes readable at the end, which comes within 10 s. Returns
 * false, with the reasons logged.
 */
bool kafka_tail_start(struct kafka_tail *t, const struct config *config, int wake_fd);

/* Not between a start and the end. */
void kafka_tail_free(struct kafka_tail *t);

#endif
