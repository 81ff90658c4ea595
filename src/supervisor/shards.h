/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * In a group: which shards are ours, and until when; see message.h. Without one nothing of this
 * does anything.
 */
#ifndef WEBMOND_SUPERVISOR_SHARDS_H
#define WEBMOND_SUPERVISOR_SHARDS_H

#include <stdbool.h>
#include <stdint.h>

#include "message.h"
#include "result.h"

struct site_state;
struct supervisor;

/*
 * A partition of the topic, see message.h. Another one is checked by another member, or by nobody.
 */
struct shard {
	enum shard_state {
		SHARD_ELSEWHERE,
		SHARD_OURS,
		SHARD_GIVING, /* nothing begins, checks end */
	} state;
	bool whole;          /* the publisher has named all its sites */
	int64_t taken_us;    /* UTC: it is ours since then */
	int64_t orphaned_us; /* UTC: before that nobody had it, since then */
	int64_t given_us;    /* monotonic: when it was to be given */
	bool hurried;        /* what still runs was told to end */
};

struct shards {
	struct shard *all; /* SHARDS_MAX; NULL: in no group */
	uint32_t count;    /* of those at the front that may be ours */
	uint32_t total;    /* of the topic, as the publisher says */
	struct message_lease lease;
	bool confirmed; /* this publisher has said which are ours */
	bool dropped;   /* sites of those that are not have slots still */
	int giving;
	uint64_t takeovers;
};

/* At the start: with kafka.group, and if records go to Kafka, be in it. */
void shards_begin(struct supervisor *s);

/* A new publisher: until it says which shards are ours, the lease ends as it is. */
void shards_new_publisher(struct supervisor *s);

/* A message of the publisher; others than those about shards are ignored. */
void shards_message(struct supervisor *s, const struct message *m, int64_t now);

/* Take the slots of sites whose shards are not ours any more. To be called before slots begin. */
void shards_drop_sites(struct supervisor *s);

/* A shard that has been given, of which the publisher is to be told now; -1: none. */
int64_t shards_given(struct supervisor *s, int64_t now);

/* Whether slots may begin; always without a group. To be asked just before a frame is written. */
bool shards_lease_holds(const struct supervisor *s);

/* What the record of a slot says that begins now: see struct slot. */
enum tristate shards_alone(const struct supervisor *s);

/*
 * Whether nobody had the shard of this site when its next slot was due; `gap_us` is for how long
 * nobody had it.
 */
bool shards_orphaned(const struct supervisor *s, const struct site_state *state, int64_t *gap_us);

/* How many are ours. */
uint32_t shards_ours(const struct supervisor *s);

/* How long the lease holds; 0: it does not, or there is no group. */
int64_t shards_lease_us(const struct supervisor *s);

/* The clock of UTC has made a step: nobody has had the slots in between. */
void shards_clock_moved(struct supervisor *s, int64_t step_us);

#endif
