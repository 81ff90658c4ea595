/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The judge of a topic: takes its messages, and finds where they break what webmond promises (see
 * webmond-records(7), GUARANTEES). It knows nothing of Kafka.
 *
 * Messages of a partition come in their order, those of different partitions in any. Memory grows
 * with epochs, with the sites of each, with holes and with repeats; not with records:
 *
 * - What has been seen of an epoch is a list of ranges.
 * - Two contents for one id: a hash of each of the last records is kept (JUDGE_RECENT of them), and
 *   nearly all repeats are repeats of those. A repeat of something older is noted, and compared in a
 *   second reading of the topic, which is needed only then. The hash has 64 bits and a secret key;
 *   two contents that share it are taken for one, once in 2^64 comparisons.
 *
 * What it finds is of one of three ranks: a promise is broken; a question that only somebody can
 * answer who knows what else happened, such as a reload; or a note.
 */
#ifndef WEBMOND_JUDGE_H
#define WEBMOND_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index.h"
#include "ranges.h"
#include "scan.h"
#include "spread.h"
#include "util.h"

#define JUDGE_RECENT (1 << 17)

/* Beyond these it does not look at everything, and says so. */
#define JUDGE_EPOCHS_MAX    65536
#define JUDGE_INSTANCES_MAX 1024
#define JUDGE_SITES_MAX     4000000 /* of all epochs together */
#define JUDGE_COPIES_MAX    1000000 /* ids that are repeated late, or have two contents */
#define JUDGE_RANGES_MAX    4000000 /* between holes, of all epochs together */
#define JUDGE_JUMPS_MAX     500000  /* likewise: a host that slept makes one for each site */

#define JUDGE_EXAMPLES     3
#define JUDGE_SAID_MAX     100 /* of a kind in an epoch, as they are found */
#define JUDGE_EXAMPLE_SIZE 200

struct message {
	int partition;
	int64_t offset;
	const char *key;   /* NULL: none */
	const char *value; /* NULL: a tombstone */
	size_t key_size, value_size;
};

enum finding {
	/* broken */
	FOUND_HOLES,    /* numbers without a record */
	FOUND_CONTENTS, /* ids with two contents */
	FOUND_ORDER,    /* records of a site behind a later one */
	FOUND_GRID,     /* slots that are not on the grid of the site */
	FOUND_STREAK,   /* streak or status_since does not continue the record before */
	FOUND_KEY,      /* records with another key than their site */
	FOUND_TWICE,    /* slots in a row of which two members of a group have a verdict at once */
	/* questions */
	FOUND_EMPTIED, /* holes that a partition with nothing left may explain */
	FOUND_AGAIN,   /* slots that are not later than the one before, of one site alone */
	FOUND_MISSING, /* slots of the grid without a record, while `seq` has no hole */
	FOUND_SILENT,  /* sites without records while others go on */
	FOUND_OVERLAP, /* records of a site behind those of a later epoch of the same instance */
	FOUND_BOTH, /* as FOUND_TWICE, for no longer than a member may overlook that it has lost */
	FOUND_COUNT
};

#define FOUND_FIRST_QUESTION FOUND_EMPTIED

enum verdict {
	VERDICT_HOLDS,
	VERDICT_QUESTION,
	VERDICT_BROKEN,
};

/* Why numbers without a record are no holes. */
enum excuse {
	EXCUSE_DROPPED,   /* a `dropped` record names them */
	EXCUSE_REMOVED,   /* they are from before what is left of the topic, or before --since */
	EXCUSE_UNDERWAY,  /* the epoch may still run, and sites owe it so many records */
	EXCUSE_COMPACTED, /* so many offsets of the topic are empty */
	EXCUSE_COUNT
};

/* A site in one epoch. */
struct judge_site {
	const char *name;
	uint64_t first_seq, last_seq;
	int64_t last_slot_ms, since_ms, streak;
	int64_t top_slot_ms; /* before the clock was set back it may have had later ones */
	int32_t interval_ms;
	int32_t partition;
	uint32_t epoch;
	uint32_t next;   /* of this epoch; INDEX_NONE: the last */
	uint32_t shared; /* INDEX_NONE: it is of no group */
	uint8_t status;
	bool dropped;  /* its last record was */
	bool disorder; /* records came behind later ones: it is not known what they were between */
};

/* Between two records of a site slots are missing or come again, or the streak does not go on. */
struct judge_jump {
	uint32_t site;
	uint64_t before_seq; /* UINT64_MAX: it is the first of the site */
	uint64_t after_seq;
	int64_t before_ms, after_ms; /* the slots of these two */
	uint64_t slots;
	enum finding finding; /* FOUND_MISSING; FOUND_AGAIN or FOUND_STREAK, without slots */
	bool alone;           /* a streak of 1 */
};

struct judge_epoch {
	char name[WIRE_EPOCH_SIZE];
	int64_t start_ms;
	uint32_t instance;
	uint32_t group; /* + 1; 0: none */
	uint64_t records, repeats;
	uint64_t statuses[STATUS_UNKNOWN + 1];
	uint64_t words[ERROR_COUNT + 1]; /* the last: words that this program does not know */
	struct ranges seen, named;       /* named by `dropped` records */
	struct spread lateness;
	int64_t first_ms, last_ms; /* slots */
	uint64_t top_seq;
	int64_t top_ms; /* its slot */
	uint32_t first_site, site_count;
	bool has_copies;
	bool overfull;     /* a limit has left records out: holes cannot be known */
	uint64_t moved;    /* records of a site in another partition than the last one */
	uint64_t set_back; /* slots not later than the one before: the clock was set back */
	int64_t back_ms;   /* by how much they were at most */
	struct judge_jump *jumps;
	size_t jump_count, jump_room;
	uint64_t jumps_left_out;
	uint64_t found[FOUND_COUNT];
	char *examples[FOUND_COUNT][JUDGE_EXAMPLES];

	/* made by judge_conclude() */
	bool ended;       /* a later one has begun in each partition in which its instance is */
	uint64_t skipped; /* slots that are missing at once, of all sites that were there */
	uint64_t excused[EXCUSE_COUNT];
};

struct judge_instance {
	char name[SCAN_NAME_MAX + 1]; /* as JSON has it */
	uint32_t *newest;             /* epoch in each partition, or INDEX_NONE */
	int64_t cut_ms;               /* as that of a partition, of all that have records of it */
};

/* Daemons that share sites. */
struct judge_group {
	char name[SCAN_NAME_MAX + 1]; /* as JSON has it */
	size_t site_count;
	uint64_t records;
	uint64_t alone;        /* of those: written while Kafka could not be reached */
	uint64_t missed;       /* … and slots that nobody ran (missed_takeover) */
	uint64_t takeovers;    /* a site went to another member */
	uint64_t handed_over;  /* slots with two verdicts, one of them late */
	int64_t top_ms;        /* the latest slot */
	struct ranges minutes; /* since 1970 that have slots */
	bool gave_up;          /* `dropped` records stand for others, nobody knows of which sites */

	/* made by judge_conclude(): slots without a record */
	uint64_t down;      /* no member ran */
	uint64_t not_known; /* they were given up or removed */
};

/* A site of a group, over all members. Slots are counted in intervals since 1970. */
struct judge_shared {
	const char *name;
	uint32_t group;
	uint32_t epoch; /* of the latest slot */
	int partition;  /* … and its place */
	int32_t interval_ms;
	int64_t last_ms;
	uint64_t base;                   /* the first slot that was met */
	int64_t twice_ms, twice_last_ms; /* the last slots in a row with two verdicts at once */
	struct ranges slots, verdicts /* that are not alone */, late /* of these */;
	bool overfull; /* a limit has left slots out */
};

/* An id of which a copy came after JUDGE_RECENT others, or that has two contents. */
struct judge_copy {
	uint32_t epoch;
	uint64_t seq;
	uint64_t hash;
	uint32_t seen; /* in the second reading */
	bool compared; /* or it is known to differ */
	bool differs;
};

struct judge_partition {
	uint64_t messages;
	int64_t next_offset;
	uint64_t empty_offsets; /* before and between messages */
	bool cut;               /* records before its first one may be missing */
	int64_t cut_ms;         /* nothing that is missing for this reason has a later slot */
	bool cut_learnt;        /* from the first record */
};

struct judge {
	struct judge_partition *partitions;
	size_t partition_count;
	struct judge_epoch **epochs; /* in the order in which they were met */
	size_t epoch_count;
	struct judge_instance *instances;
	size_t instance_count;
	uint64_t kinds[SCAN_KIND_COUNT]; /* of messages */
	char *foreign[SCAN_KIND_COUNT];  /* an example */
	uint64_t left_out;               /* records that a limit above has left out */
	uint64_t uncompared; /* copies, likewise, or because the first has gone meanwhile */

	/* what is said as soon as it is found, or NULL */
	void (*say)(const char *text);

	unsigned char key[UTIL_KEY_SIZE];
	struct judge_group *groups;
	size_t group_count;
	struct judge_shared *shared;
	size_t shared_count, shared_room;
	struct index by_epoch, by_name, by_site, by_copy, by_shared;
	uint32_t last_epoch;
	char **names;
	size_t name_count, name_room;
	struct judge_site *sites;
	size_t site_count, site_room;
	size_t range_count, jump_count; /* of all epochs */
	struct judge_copy *copies;
	size_t copy_count, copy_room;
	struct judge_recent *recent;
};

/* Of a topic with so many partitions. To be freed with judge_free(). */
struct judge *judge_new(size_t partitions);
void judge_free(struct judge *j);

/* Say that this partition begins at an offset, so that those before its first message are empty. */
void judge_begins_at(struct judge *j, int partition, int64_t offset);

/*
 * Say that records before the first one of this partition may be missing; of slots up to
 * `until_ms`, SCAN_NONE if that is not known.
 */
void judge_begins_late(struct judge *j, int partition, int64_t until_ms);

void judge_take(struct judge *j, const struct message *m);

/* Whether the topic has to be read again: each message goes to judge_take_again(). */
bool judge_needs_again(const struct judge *j);
void judge_take_again(struct judge *j, const struct message *m);
void judge_end_again(struct judge *j);

/*
 * Hold against each other what was taken up to now, for judge_verdict() and all who read the
 * members above. May be called again later.
 */
void judge_conclude(struct judge *j);

/* How many of a kind were found in all epochs. */
uint64_t judge_found(const struct judge *j, enum finding finding);

/* How many instances have written records of a group. */
size_t judge_count_members(const struct judge *j, const struct judge_group *group);

enum verdict judge_verdict(const struct judge *j);

/* --- for the files of the judge ---------------------------------------------------------- */

/* Make sure that a list of `count` items has room for one more. Returns where it is now. */
void *judge_grow(void *list, size_t count, size_t *room, size_t size);

/* Note a finding, with an example. */
void judge_note(struct judge *j, struct judge_epoch *e, enum finding finding, uint64_t count,
    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The epoch of a record, or INDEX_NONE: it is new, or there are too many. */
uint32_t judge_find_epoch(struct judge *j, const struct scanned *s);
uint32_t judge_add_epoch(struct judge *j, const struct scanned *s);

/* Which of two epochs began later; in the same second it is the one that was met later. */
bool judge_is_later(const struct judge *j, uint32_t a, uint32_t b);

/* Whether a later epoch of the same instance has begun, somewhere. */
bool judge_has_successor(const struct judge *j, uint32_t epoch);

/* judge_jumps.c: what judge_site() has noted of slots and streaks. */
void judge_take_jumps(struct judge *j, struct judge_epoch *e);

/*
 * judge_group.c: the record of a site of a group, the first copy, before it is remembered as the
 * last of `site`; returns its index among the shared sites, or INDEX_NONE. Whether the newest
 * record of a site is of another epoch. What is missing of all groups.
 */
uint32_t judge_share(struct judge *j, const struct judge_site *site, const struct scanned *s,
    const struct message *m);
bool judge_has_left(const struct judge *j, const struct judge_site *site);
void judge_take_groups(struct judge *j);

/* judge_copies.c: a message whose id has been seen before, or that is new. */
void judge_new_content(struct judge *j, uint32_t epoch, const struct scanned *s, uint64_t hash);
void judge_compare(struct judge *j, uint32_t epoch, const struct scanned *s,
    const struct message *m, uint64_t hash);
uint64_t judge_hash(const struct judge *j, const struct scanned *s);

/*
 * judge_sites.c: whether a site has records in an epoch; and the first copy of a record, held
 * against the one before it of its site.
 */
bool judge_has_site(const struct judge *j, uint32_t epoch, const struct scanned *s);
void judge_site(struct judge *j, uint32_t epoch, const struct scanned *s, const struct message *m);

#endif
