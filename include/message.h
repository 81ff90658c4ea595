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
	/* of the supervisor; the first two have no body */
	MESSAGE_HAND_OVER = 1, /* reload: commit, wait briefly for answers, leave */
	MESSAGE_NO_FLUSH,      /* second TERM: commit, but do not wait for Kafka */
	MESSAGE_ASK, /* a request about the spool, and beside it the client that gets the answer */

	/* of the publisher */
	MESSAGE_REPORT, /* struct message_report, each second; losing one loses nothing */

	/* in a group, see below: the first two of the supervisor, the others of the publisher */
	MESSAGE_ALIVE, /* each second, without a body: after 10 s of silence it leaves the group */
	MESSAGE_GIVEN, /* struct message_shard: no check of a shard that was to be given runs */
	MESSAGE_LEASE,
	MESSAGE_SHARDS,
	MESSAGE_TAKE,
	MESSAGE_GIVE, /* struct message_shard */
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

/*
 * A group: daemons with the same kafka.group share the sites. A shard is a partition of the topic:
 * the member that Kafka assigns the partition checks the sites whose key falls into it.
 *
 *   LEASE   until when slots may begin. It is renewed each second, and never for a shard that
 *           Kafka may have assigned to another member.
 *   TAKE    these sites are ours: continue each at its first slot later than `after_us`, or than
 *           the last one that this member has begun, whichever is later. Several for a shard with
 *           many sites.
 *   GIVE    begin no slot of this shard any more, and say GIVEN when none of its checks runs.
 *   SHARDS  all shards that are ours and taken. The sites of any other are not ours any more, with
 *           no answer: Kafka has withdrawn them, or a predecessor of this publisher had them.
 */

/* More partitions are not supported. */
#define SHARDS_MAX 16384

struct message_lease {
	int64_t until_us;     /* util_boot_us(): it runs on while the host is suspended */
	bool alone;           /* without the word of the group, which cannot be reached */
	uint32_t mine, total; /* shards */
};

struct message_shards {
	uint32_t total;
	unsigned char taken[SHARDS_MAX / 8]; /* a bit each, the lowest first */
};

#define TAKE_SITES_MAX 200

struct message_take {
	uint32_t shard;
	uint32_t count;
	bool last; /* the shard is whole */
	struct taken_site {
		uint32_t site;    /* index into the configuration of the publisher */
		int32_t status;   /* enum status of its last record; -1: not known */
		int64_t after_us; /* UTC: a slot */
	} site[TAKE_SITES_MAX];
};

struct message_shard {
	uint32_t shard;
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
