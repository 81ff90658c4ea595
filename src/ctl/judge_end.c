/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What can be said of an epoch only when all its records are known: what is missing. Called by
 * `verify`; nothing is fatal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"

/*
 * How far a site may be behind the others: a check may wait for an interval and take as long before
 * its record comes, and some time goes by on the way. Beyond the first it is silent, which is a
 * question; up to the second it may still send what is missing, which is not accused.
 */
#define BEHIND_INTERVALS 3
#define SILENT_MS        2000
#define OWING_MS         10000

/* No first check of a site takes longer than that, if its interval is that long. */
#define FIRST_MS 3600000

/* Records that a site owes; their numbers are above that of its last one. */
struct owing {
	uint64_t last_seq;
	uint64_t count;
};

/* What excuses holes of an epoch. */
struct excuses {
	int64_t cut_ms; /* records of slots up to here may have been removed; INT64_MIN: none */
	bool emptied;   /* of a partition nothing is left: it is not known up to when */
	struct owing *owing; /* sorted */
	size_t owing_count;
	size_t passed; /* of those, by holes up to now */
	uint64_t owed,
	    used; /* records of those that were passed, and how many of them are excuses */
	int64_t longest_ms; /* interval; 0: the epoch has ended */
};

/* Whether nothing of it is still to come: a partition may be far behind the others. */
static bool
has_ended(const struct judge *j, uint32_t epoch)
{
	const struct judge_epoch *e = j->epochs[epoch];
	const uint32_t *newest = j->instances[e->instance].newest;

	for (size_t i = 0; i < j->partition_count; i++)
		if (newest[i] != INDEX_NONE && !judge_is_later(j, newest[i], epoch))
			return false;
	return e->found[FOUND_OVERLAP] == 0;
}

static int
compare_owing(const void *a, const void *b)
{
	uint64_t x = ((const struct owing *)a)->last_seq, y = ((const struct owing *)b)->last_seq;

	return (x > y) - (x < y);
}

static bool
is_behind(const struct judge_epoch *e, const struct judge_site *site, int64_t more_ms)
{
	return e->top_ms - site->last_slot_ms >
	       BEHIND_INTERVALS * (int64_t)site->interval_ms + more_ms;
}

/* How many slots of a site have come up since its last record. */
static uint64_t
slots_since(const struct judge_epoch *e, const struct judge_site *site)
{
	return e->top_ms > site->last_slot_ms
		   ? (uint64_t)(e->top_ms - site->last_slot_ms) / (uint64_t)site->interval_ms
		   : 0;
}

/*
 * In an epoch that may still run, a site of which a slot has come up owes one record: it has one
 * check at a time. When all sites of a partition owe some, it is the partition that is behind, and
 * it owes all of them.
 */
static void
find_owing(const struct judge *j, const struct judge_epoch *e, struct excuses *x)
{
	bool *keeps_up = xcalloc(j->partition_count, sizeof(*keeps_up));

	for (uint32_t i = e->first_site; i != INDEX_NONE; i = j->sites[i].next)
		keeps_up[j->sites[i].partition] |= slots_since(e, &j->sites[i]) == 0;
	x->owing = xcalloc(e->site_count + 1, sizeof(*x->owing));
	for (uint32_t i = e->first_site; i != INDEX_NONE; i = j->sites[i].next) {
		const struct judge_site *site = &j->sites[i];
		uint64_t count = slots_since(e, site);

		if (site->interval_ms > x->longest_ms)
			x->longest_ms = site->interval_ms;
		if (keeps_up[site->partition] || judge_has_left(j, site))
			count = count > 0 && !is_behind(e, site, OWING_MS);
		if (count > 0)
			x->owing[x->owing_count++] = (struct owing){ site->last_seq, count };
	}
	qsort(x->owing, x->owing_count, sizeof(*x->owing), compare_owing);
	free(keeps_up);
}

static void
find_excuses(const struct judge *j, const struct judge_epoch *e, struct excuses *x)
{
	const struct judge_instance *instance = &j->instances[e->instance];

	*x = (struct excuses){ .cut_ms = INT64_MIN };
	for (size_t i = 0; i < j->partition_count; i++) {
		const struct judge_partition *p = &j->partitions[i];
		int64_t cut_ms = instance->newest[i] != INDEX_NONE ? instance->cut_ms : p->cut_ms;

		if (p->cut && cut_ms == INT64_MAX)
			x->emptied = true;
		else if (p->cut && cut_ms > x->cut_ms)
			x->cut_ms = cut_ms;
	}
	/* what was removed may have times of the clock before it was set back */
	if (x->cut_ms != INT64_MIN)
		x->cut_ms += e->back_ms;
	if (!e->ended)
		find_owing(j, e, x);
}

/*
 * Of `count` numbers that are missing from `first` on, how many may still come: what sites owe, and
 * in the first interval of an epoch those of sites that have no record yet.
 */
static uint64_t
count_underway(const struct judge_epoch *e, struct excuses *x, uint64_t first, uint64_t count,
    int64_t since_ms)
{
	const int64_t first_ms = 2 * x->longest_ms < FIRST_MS ? 2 * x->longest_ms : FIRST_MS;

	if (x->longest_ms == 0)
		return 0;
	if (since_ms - e->start_ms <= x->longest_ms && e->top_ms - since_ms <= first_ms)
		return count;
	while (x->passed < x->owing_count && x->owing[x->passed].last_seq < first)
		x->owed += x->owing[x->passed++].count;
	if (count > x->owed - x->used)
		count = x->owed - x->used;
	x->used += count;
	return count;
}

static void
take_hole(struct judge *j, struct judge_epoch *e, struct excuses *x, const struct range *hole,
    uint64_t *empty_offsets)
{
	int64_t since_ms = hole->time_ms == INT64_MIN ? e->start_ms : hole->time_ms;
	uint64_t count = hole->last - hole->first + 1, excused;
	enum finding finding = x->emptied ? FOUND_EMPTIED : FOUND_HOLES;

	if (since_ms <= x->cut_ms) {
		e->excused[EXCUSE_REMOVED] += count;
		return;
	}
	excused = count_underway(e, x, hole->first, count, since_ms);
	e->excused[EXCUSE_UNDERWAY] += excused;
	count -= excused;
	excused = count < *empty_offsets ? count : *empty_offsets;
	*empty_offsets -= excused;
	e->excused[EXCUSE_COMPACTED] += excused;
	count -= excused;
	if (count == 1 && hole->first == hole->last)
		judge_note(j, e, finding, 1, "%llu", (unsigned long long)hole->first);
	else if (count > 0)
		judge_note(j, e, finding, count, "%s%llu to %llu",
		    count <= hole->last - hole->first ? "some of " : "",
		    (unsigned long long)hole->first, (unsigned long long)hole->last);
}

static void
take_holes(struct judge *j, struct judge_epoch *e, uint64_t *empty_offsets)
{
	static const struct ranges none;
	struct range hole = { 0 };
	uint64_t missing = 0, unnamed = 0;
	struct excuses x;

	find_excuses(j, e, &x);
	for (uint64_t from = 0; ranges_next_hole(&e->seen, &e->named, from, &hole);
	     from = hole.last + 1) {
		unnamed += hole.last - hole.first + 1;
		take_hole(j, e, &x, &hole, empty_offsets);
	}
	for (uint64_t from = 0; ranges_next_hole(&e->seen, &none, from, &hole);
	     from = hole.last + 1)
		missing += hole.last - hole.first + 1;
	e->excused[EXCUSE_DROPPED] = missing - unnamed;
	free(x.owing);
}

static void
take_silent(struct judge *j, struct judge_epoch *e)
{
	for (uint32_t i = e->first_site; i != INDEX_NONE; i = j->sites[i].next) {
		const struct judge_site *site = &j->sites[i];
		char last[UTIL_RFC3339_SIZE];

		if (!is_behind(e, site, SILENT_MS) ||
		    ranges_meet(&e->named, site->last_seq + 1, UINT64_MAX))
			continue;
		util_rfc3339(last, site->last_slot_ms * US_PER_MS);
		judge_note(j, e, FOUND_SILENT, 1, "%s since %s", site->name, last);
	}
}

/* What is found at the end is found anew each time. */
static void
forget(struct judge_epoch *e)
{
	static const enum finding at_end[] = { FOUND_HOLES, FOUND_EMPTIED, FOUND_STREAK,
		FOUND_AGAIN, FOUND_MISSING, FOUND_SILENT };

	for (size_t i = 0; i < ARRAY_LENGTH(at_end); i++) {
		e->found[at_end[i]] = 0;
		for (int k = 0; k < JUDGE_EXAMPLES; k++) {
			free(e->examples[at_end[i]][k]);
			e->examples[at_end[i]][k] = NULL;
		}
	}
	memset(e->excused, 0, sizeof(e->excused));
	e->skipped = 0;
}

void
judge_conclude(struct judge *j)
{
	void (*say)(const char *text) = j->say;
	uint64_t empty_offsets = 0;

	j->say = NULL; /* it would be said again each time */
	for (size_t i = 0; i < j->partition_count; i++)
		empty_offsets += j->partitions[i].empty_offsets;
	for (uint32_t i = 0; i < j->epoch_count; i++) {
		struct judge_epoch *e = j->epochs[i];

		forget(e);
		e->ended = has_ended(j, i);
		if (e->records == 0 || e->overfull)
			continue;
		take_holes(j, e, &empty_offsets);
		judge_take_jumps(j, e);
		if (e->group == 0)
			take_silent(j, e);
	}
	judge_take_groups(j);
	j->say = say;
}

uint64_t
judge_found(const struct judge *j, enum finding finding)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < j->epoch_count; i++)
		sum += j->epochs[i]->found[finding];
	return sum;
}

enum verdict
judge_verdict(const struct judge *j)
{
	enum verdict verdict = VERDICT_HOLDS;

	/* of nothing, or of a part, not much can be said */
	if (j->kinds[SCAN_RECORD] == 0 || j->left_out > 0 || j->uncompared > 0)
		verdict = VERDICT_QUESTION;
	for (enum finding finding = 0; finding < FOUND_COUNT; finding++)
		if (judge_found(j, finding) > 0 && finding < FOUND_FIRST_QUESTION)
			return VERDICT_BROKEN;
		else if (judge_found(j, finding) > 0)
			verdict = VERDICT_QUESTION;
	return verdict;
}
