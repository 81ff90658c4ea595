/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The shards of a group as this member has them: their sites, their tails, and what the supervisor
 * is told of them. Kafka decides which are ours: see group.h.
 */
#ifndef WEBMOND_PUBLISHER_SHARDS_H
#define WEBMOND_PUBLISHER_SHARDS_H

#include "config.h"
#include "kafka_tail.h"
#include "message.h"
#include "spool.h"

enum shard_state {
	SHARD_FOREIGN, /* but if it is held, the supervisor may go on with it alone */
	SHARD_WAITING, /* for its tail to be read */
	SHARD_READING,
	SHARD_TAKING, /* the supervisor is told its sites */
	SHARD_OURS,
	SHARD_GIVING,  /* it is to be told to end them */
	SHARD_LEAVING, /* and was told */
	SHARD_GIVEN,   /* none of its checks runs */
};

struct shard {
	enum shard_state state;
	bool assigned;     /* by Kafka */
	bool held;         /* the supervisor has sites of it, or may have them */
	uint32_t next;     /* TAKING: of its sites, the next one to be told */
	int64_t since_us;  /* monotonic: WAITING */
	bool whole;        /* its tail was read, and says who had a slot lately */
	int64_t newest_us; /* UTC: the last slot in its tail; 0: there was no record */
	int64_t taken_us;  /* UTC: when it was taken over */
};

struct shards {
	const struct config *config;
	int control_fd, wake_fd;

	struct shard *shard; /* SHARDS_MAX, of which the first `room` are in use */
	uint32_t room;
	uint32_t total;  /* partitions, when this publisher began; 0: not known yet */
	bool remembered; /* and that only from the spool */
	uint32_t *first; /* of each shard, and one more: index in `site` */
	uint32_t *site;  /* by shard: index in the configuration */
	/* by index in the configuration; never older than what this member has done itself */
	struct tail_site *known;
	/*
	 * the rows that a predecessor left in the spool: up to where they are in it, and are to be
	 */
	uint64_t spool_row, spool_end;
	bool spool_read;

	struct kafka_tail *tail; /* that is read now; NULL: none */
	int64_t read_us;         /* monotonic: the next may begin */
	int64_t count_us;        /* likewise: partitions are to be counted */
	int64_t grown_us;        /* when their new number was logged; 0: never */
	bool right_logged;       /* that the topic may not be read */

	bool told;       /* the supervisor knows which are ours, or there is nothing to know */
	bool introduced; /* this publisher has told it before */

	/* since the last line in the log */
	uint32_t taken_over, given_back;
	int64_t tail_us;
};

/* `wake_fd`: an eventfd that becomes readable when there is something to serve. */
void shards_init(struct shards *s, const struct config *config, int control_fd, int wake_fd);

/* The number of partitions is known. `remembered`: by the spool, until Kafka tells it. */
void shards_set_total(struct shards *s, uint32_t total, bool remembered);

/*
 * Look at records that wait in the spool: no tail has them yet. Not at all at once; returns whether
 * that is done, before which no shard is to be taken.
 */
bool shards_read_spool(struct shards *s, struct spool *spool);

/* Begin to tell the supervisor the sites of a shard. `newest_us`, `whole` as in struct shard. */
void shards_take(struct shards *s, uint32_t i, int64_t newest_us, bool whole);

/* Take what was read of tails, and read what is to be read, if it may begin. */
void shards_serve(struct shards *s, int64_t now, bool may_read);

/* Tell the supervisor what it does not know. False: it takes no more now, so ask again. */
bool shards_tell(struct shards *s);

/* How many are in one of these states. */
uint32_t shards_count(const struct shards *s, enum shard_state from, enum shard_state through);
uint32_t shards_held(const struct shards *s);

/* Those that Kafka has assigned, a bit each, as in struct message_shards. */
void shards_assigned(const struct shards *s, unsigned char bits[SHARDS_MAX / 8]);

/* "shards 0-3,7 of 12 are": those that are ours. */
void shards_describe(const struct shards *s, char *out, size_t size);

#endif
