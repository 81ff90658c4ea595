/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The records of a site by all members of a group: no slot is missing, whoever had the site, and no
 * slot has two verdicts. Called by judge_sites.c and judge_end.c; nothing is fatal.
 *
 * A member that begins a slot has a lease, and who takes over does so when that is over; then it
 * runs the newest slot late. So one slot of a site may have two verdicts at a takeover: one member
 * ran it in time, and its record came too late for the other to see. These begin at least a tenth
 * of a session apart, and a session has 6 s or more. Two that begin together are two owners. For a
 * moment that may be: when a member is reloaded while another one joins, Kafka may give its shards
 * away without asking. When it lasts it is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"

#define LATE_US (500 * US_PER_MS)

/* How long a member may not know that its shards are those of others. */
#define MOMENT_MS 2000

/* A member that takes over looks so far back for the last records of its sites. */
#define LOOK_BACK_MS 300000

#define MINUTE_MS 60000

struct shared_query {
	const struct judge *judge;
	const char *name;
	uint32_t group;
};

static bool
is_shared(const void *arg, uint32_t item)
{
	const struct shared_query *q = arg;
	const struct judge_shared *shared = &q->judge->shared[item];

	return shared->group == q->group && strcmp(shared->name, q->name) == 0;
}

/* Returns INDEX_NONE if there are too many. */
static uint32_t
find_group(struct judge *j, const struct scan_text *name)
{
	struct judge_group *new;

	for (size_t i = 0; i < j->group_count; i++)
		if (strlen(j->groups[i].name) == name->size &&
		    memcmp(j->groups[i].name, name->at, name->size) == 0)
			return (uint32_t)i;
	if (j->group_count == JUDGE_INSTANCES_MAX)
		return INDEX_NONE;
	j->groups = xreallocarray(j->groups, j->group_count + 1, sizeof(*j->groups));
	new = &j->groups[j->group_count];
	*new = (struct judge_group){ .top_ms = INT64_MIN };
	snprintf(new->name, sizeof(new->name), "%.*s", (int)name->size, name->at);
	return (uint32_t)j->group_count++;
}

/* The names of sites live as long as the judge. Returns INDEX_NONE if there are too many. */
static uint32_t
find_shared(struct judge *j, uint32_t group, const char *name)
{
	struct shared_query q = { j, name, group };
	uint64_t key[] = { group, util_mac(j->key, name, strlen(name)) };
	uint64_t hash = util_mac(j->key, key, sizeof(key));
	uint32_t i = index_find(&j->by_shared, hash, is_shared, &q);

	if (i != INDEX_NONE || j->shared_count == JUDGE_SITES_MAX)
		return i;
	i = (uint32_t)j->shared_count++;
	j->shared = judge_grow(j->shared, i, &j->shared_room, sizeof(*j->shared));
	j->shared[i] = (struct judge_shared){ .name = name, .group = group, .last_ms = INT64_MIN };
	j->groups[group].site_count++;
	index_add(&j->by_shared, hash, i);
	return i;
}

/* Returns false if there are too many ranges. */
static bool
add(struct judge *j, struct ranges *r, uint64_t n)
{
	size_t before = r->count;
	bool added = j->range_count < JUDGE_RANGES_MAX && ranges_add(r, n, n, 0);

	j->range_count += r->count - before;
	return added;
}

/* With another interval the site has another grid: its slots are counted anew. */
static void
begin_grid(struct judge *j, struct judge_shared *shared, const struct scanned *s)
{
	j->range_count -= shared->slots.count + shared->verdicts.count + shared->late.count;
	ranges_release(&shared->slots);
	ranges_release(&shared->verdicts);
	ranges_release(&shared->late);
	shared->interval_ms = (int32_t)s->interval_ms;
	shared->base = (uint64_t)(s->slot_ms / s->interval_ms);
}

static void
follow_owner(struct judge *j, struct judge_shared *shared, uint32_t epoch, const struct scanned *s,
    const struct message *m)
{
	if (s->slot_ms <= shared->last_ms)
		return; /* a record that was sent late */
	if (shared->last_ms != INT64_MIN &&
	    j->epochs[shared->epoch]->instance != j->epochs[epoch]->instance)
		j->groups[shared->group].takeovers++;
	shared->last_ms = s->slot_ms;
	shared->epoch = epoch;
	shared->partition = m->partition;
}

static void
take_second(
    struct judge *j, struct judge_shared *shared, struct judge_epoch *e, const struct scanned *s)
{
	enum finding finding = FOUND_BOTH;
	char when[UTIL_RFC3339_SIZE];

	if (s->slot_ms - shared->twice_last_ms > s->interval_ms)
		shared->twice_ms = s->slot_ms;
	shared->twice_last_ms = s->slot_ms;
	if (s->slot_ms - shared->twice_ms > MOMENT_MS)
		finding = FOUND_TWICE;
	util_rfc3339(when, s->slot_ms * US_PER_MS);
	judge_note(j, e, finding, 1, "%s of %s: seq %llu, and one of another member", when,
	    shared->name, (unsigned long long)s->seq);
}

static void
take_verdict(struct judge *j, struct judge_shared *shared, struct judge_epoch *e,
    const struct scanned *s, uint64_t slot)
{
	bool late = s->lateness_us >= LATE_US;

	if (!ranges_has(&shared->verdicts, slot)) {
		if (!add(j, &shared->verdicts, slot) || (late && !add(j, &shared->late, slot)))
			shared->overfull = true;
	} else if (late || ranges_has(&shared->late, slot)) {
		j->groups[shared->group].handed_over++;
	} else {
		take_second(j, shared, e, s);
	}
}

static void
count(struct judge_group *group, const struct scanned *s)
{
	group->records++;
	group->alone += s->alone;
	group->missed += s->error == ERROR_MISSED_TAKEOVER;
	group->gave_up |= s->error == ERROR_DROPPED && s->dropped_through > s->seq;
	if (s->slot_ms > group->top_ms)
		group->top_ms = s->slot_ms;
}

uint32_t
judge_share(struct judge *j, const struct judge_site *site, const struct scanned *s,
    const struct message *m)
{
	uint32_t group = find_group(j, &s->group), i;
	struct judge_epoch *e = j->epochs[site->epoch];
	struct judge_shared *shared;
	uint64_t slot;

	i = group != INDEX_NONE ? find_shared(j, group, site->name) : INDEX_NONE;
	if (i == INDEX_NONE) {
		j->left_out++;
		return i;
	}
	e->group = group + 1;
	shared = &j->shared[i];
	count(&j->groups[group], s);
	/* slots that come again because the clock was set back say nothing about others */
	if (site->last_seq != UINT64_MAX && s->slot_ms <= site->top_slot_ms &&
	    shared->last_ms != INT64_MIN)
		return i;
	if (s->interval_ms != shared->interval_ms && s->slot_ms > shared->last_ms)
		begin_grid(j, shared, s);
	if (s->interval_ms == shared->interval_ms) {
		slot = (uint64_t)(s->slot_ms / s->interval_ms);
		if (!add(j, &shared->slots, slot) ||
		    !add(j, &j->groups[group].minutes, (uint64_t)(s->slot_ms / MINUTE_MS)))
			shared->overfull = true;
		if (s->status != STATUS_UNKNOWN && !s->alone)
			take_verdict(j, shared, e, s, slot);
	}
	follow_owner(j, shared, site->epoch, s, m);
	return i;
}

bool
judge_has_left(const struct judge *j, const struct judge_site *site)
{
	return site->shared != INDEX_NONE && j->shared[site->shared].epoch != site->epoch;
}

/* --- at the end -------------------------------------------------------------------------- */

/*
 * Whether for longer than a member looks back none had a slot. A group of a few sites that are
 * checked seldom has minutes without any.
 */
static bool
was_down(const struct judge_group *group, int64_t from_ms, int64_t to_ms, int64_t interval_ms)
{
	static const struct ranges none;
	const int64_t least_ms = 2 * interval_ms > LOOK_BACK_MS ? 2 * interval_ms
								: LOOK_BACK_MS - 2 * MINUTE_MS;
	struct range hole = { 0 };

	if (to_ms - from_ms <= LOOK_BACK_MS)
		return false;
	for (uint64_t at = (uint64_t)(from_ms / MINUTE_MS);
	     ranges_next_hole(&group->minutes, &none, at, &hole) &&
	     (int64_t)hole.first * MINUTE_MS < to_ms;
	     at = hole.last + 1)
		if ((int64_t)(hole.last - hole.first + 1) * MINUTE_MS >= least_ms)
			return true;
	return false;
}

static void
take_gap(struct judge *j, struct judge_shared *shared, const struct range *gap)
{
	const struct judge_partition *p = &j->partitions[shared->partition];
	struct judge_group *group = &j->groups[shared->group];
	uint64_t slots = gap->last - gap->first + 1;
	int64_t phase_ms = shared->last_ms % shared->interval_ms;
	int64_t before_ms = (int64_t)(gap->first - 1) * shared->interval_ms + phase_ms;
	char when[UTIL_RFC3339_SIZE];

	if (group->gave_up || (p->cut && before_ms <= p->cut_ms)) {
		group->not_known += slots;
	} else if (was_down(group, before_ms,
		       (int64_t)(gap->last + 1) * shared->interval_ms + phase_ms,
		       shared->interval_ms)) {
		group->down += slots;
	} else {
		util_rfc3339(when, before_ms * US_PER_MS);
		judge_note(j, j->epochs[shared->epoch], FOUND_MISSING, slots,
		    "%llu of %s behind %s, of any member", (unsigned long long)slots, shared->name,
		    when);
	}
}

void
judge_take_groups(struct judge *j)
{
	static const struct ranges none;

	for (size_t i = 0; i < j->group_count; i++)
		j->groups[i].down = j->groups[i].not_known = 0;
	for (size_t i = 0; i < j->shared_count; i++) {
		struct judge_shared *shared = &j->shared[i];
		struct range gap;
		char last[UTIL_RFC3339_SIZE];

		if (shared->overfull)
			continue;
		for (uint64_t from = shared->base;
		     ranges_next_hole(&shared->slots, &none, from, &gap); from = gap.last + 1)
			take_gap(j, shared, &gap);
		if (j->groups[shared->group].top_ms - shared->last_ms <=
		    3 * (int64_t)shared->interval_ms + LOOK_BACK_MS)
			continue;
		util_rfc3339(last, shared->last_ms * US_PER_MS);
		judge_note(j, j->epochs[shared->epoch], FOUND_SILENT, 1,
		    "%s since %s, of any member", shared->name, last);
	}
}

size_t
judge_count_members(const struct judge *j, const struct judge_group *group)
{
	const uint32_t number = (uint32_t)(group - j->groups) + 1;
	size_t members = 0;

	for (uint32_t i = 0; i < j->instance_count; i++)
		for (size_t k = 0; k < j->epoch_count; k++)
			if (j->epochs[k]->group == number && j->epochs[k]->instance == i) {
				members++;
				break;
			}
	return members;
}
