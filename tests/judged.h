/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * For unit tests of the judge of topics: records as JSON, and a topic that is given to the judge
 * message after message.
 */
#ifndef WEBMOND_TESTS_JUDGED_H
#define WEBMOND_TESTS_JUDGED_H

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/judge.h"

#define EPOCH_A "20261129T020000Z-00000000000000aa"
#define EPOCH_B "20261129T030000Z-00000000000000bb"
#define START_A INT64_C(1795917600000) /* 2026-11-29T02:00:00Z */
#define START_B (START_A + 3600000)

/* What a test says of a record; what it leaves out is that of a healthy site. */
struct planted {
	const char *epoch; /* EPOCH_A */
	uint64_t seq;
	const char *site, *key; /* "a"; the site */
	int64_t slot_ms;        /* START_A */
	int interval_ms;        /* 1,000 */
	const char *instance;   /* "probe-1" */
	const char *status;     /* "up" */
	const char *error;      /* NULL: none */
	int64_t dropped_through;
	int64_t streak; /* 0: as records before they had streaks */
	int64_t since_ms;
	const char *lateness; /* "0.5", "null" with an error */
	const char *group;    /* NULL: none */
	bool alone;
	const char *more; /* members, with a comma before each */
};

static struct judge *judge;
static int64_t offsets[8]; /* of the next message of each partition */

static inline void
setup_judge(void)
{
	judge = judge_new(8);
	memset(offsets, 0, sizeof(offsets));
}

static inline void
teardown_judge(void)
{
	judge_free(judge);
}

static inline char *
write_record(const struct planted *p)
{
	const char *epoch = p->epoch != NULL ? p->epoch : EPOCH_A;
	int64_t slot_ms = p->slot_ms != 0 ? p->slot_ms : START_A;
	int interval_ms = p->interval_ms != 0 ? p->interval_ms : 1000;
	char slot[UTIL_RFC3339_SIZE], since[UTIL_RFC3339_SIZE], streak[128] = "",
								error[64] = "null";
	char dropped[32] = "null", group[128] = "";

	util_rfc3339(slot, slot_ms * US_PER_MS);
	util_rfc3339(since, p->since_ms * US_PER_MS);
	if (p->streak != 0)
		snprintf(streak, sizeof(streak), ",\"streak\":%" PRId64 ",\"status_since\":\"%s\"",
		    p->streak, since);
	if (p->error != NULL)
		snprintf(error, sizeof(error), "\"%s\"", p->error);
	if (p->error != NULL && strcmp(p->error, "dropped") == 0)
		snprintf(dropped, sizeof(dropped), "%" PRId64, p->dropped_through);
	if (p->group != NULL)
		snprintf(group, sizeof(group), ",\"group\":\"%s\",\"alone\":%s", p->group,
		    p->alone ? "true" : "false");
	return xasprintf("{\"schema_version\":1,\"id\":\"%s-%" PRIu64
			 "\",\"epoch\":\"%s\",\"seq\":%" PRIu64 ",\"site\":\"%s\","
			 "\"url\":\"http://x/\",\"instance\":\"%s\",\"location\":null%s,"
			 "\"interval_s\":%d.%03d,\"scheduled_at\":\"%s\",\"lateness_ms\":%s,"
			 "\"status\":\"%s\",\"error_type\":%s,\"dropped_through\":%s%s%s}",
	    epoch, p->seq, epoch, p->seq, p->site != NULL ? p->site : "a",
	    p->instance != NULL ? p->instance : "probe-1", group, interval_ms / 1000,
	    interval_ms % 1000, slot,
	    p->lateness != NULL ? p->lateness
	    : p->error != NULL  ? "null"
				: "0.5",
	    p->status != NULL ? p->status : "up", error, dropped, streak,
	    p->more != NULL ? p->more : "");
}

static inline void
give_bytes(int partition, const char *key, const char *value, size_t size,
    void (*take)(struct judge *j, const struct message *m))
{
	struct message m = { .partition = partition,
		.offset = offsets[partition]++,
		.key = key,
		.key_size = key != NULL ? strlen(key) : 0,
		.value = value,
		.value_size = size };

	take(judge, &m);
}

static inline void
give_to(
    int partition, const struct planted *p, void (*take)(struct judge *j, const struct message *m))
{
	char *value = write_record(p);
	const char *key = p->key != NULL ? p->key : p->site != NULL ? p->site : "a";

	give_bytes(partition, key, value, strlen(value), take);
	free(value);
}

#define GIVE(partition, ...) give_to(partition, &(struct planted){ __VA_ARGS__ }, judge_take)

static inline void
require_found(enum finding finding, uint64_t count)
{
	ck_assert_uint_eq(judge_found(judge, finding), count);
}

/* Conclude, and hold against what was planted: one kind of finding, or none (FOUND_COUNT). */
static inline void
require_only(enum finding finding, uint64_t count)
{
	judge_conclude(judge);
	for (enum finding f = 0; f < FOUND_COUNT; f++)
		ck_assert_msg(judge_found(judge, f) == (f == finding ? count : 0),
		    "finding %u: %" PRIu64, f, judge_found(judge, f));
	ck_assert_int_eq(judge_verdict(judge), finding == FOUND_COUNT           ? VERDICT_HOLDS
					       : finding < FOUND_FIRST_QUESTION ? VERDICT_BROKEN
										: VERDICT_QUESTION);
}

#endif
