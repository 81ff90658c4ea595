/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The records of a site within an epoch: their order, their slots, their streaks. Called by
 * judge.c; nothing is fatal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"

struct site_query {
	const struct judge *judge;
	struct scan_text name;
	uint32_t epoch;
};

static bool
is_name(const void *arg, uint32_t item)
{
	const struct site_query *q = arg;

	return strncmp(q->judge->names[item], q->name.at, q->name.size) == 0 &&
	       q->judge->names[item][q->name.size] == '\0';
}

/* The one copy of a name, for all epochs. */
static const char *
keep_name(struct judge *j, const struct site_query *q, uint64_t hash)
{
	uint32_t i = index_find(&j->by_name, hash, is_name, q);

	if (i != INDEX_NONE)
		return j->names[i];
	j->names = judge_grow(j->names, j->name_count, &j->name_room, sizeof(*j->names));
	j->names[j->name_count] = xasprintf("%.*s", (int)q->name.size, q->name.at);
	index_add(&j->by_name, hash, (uint32_t)j->name_count);
	return j->names[j->name_count++];
}

static bool
is_site(const void *arg, uint32_t item)
{
	const struct site_query *q = arg;
	const struct judge_site *site = &q->judge->sites[item];

	return site->epoch == q->epoch && strncmp(site->name, q->name.at, q->name.size) == 0 &&
	       site->name[q->name.size] == '\0';
}

static uint64_t
hash_site(const struct judge *j, uint32_t epoch, uint64_t name_hash)
{
	const uint64_t site[] = { epoch, name_hash };

	return util_mac(j->key, site, sizeof(site));
}

/* Returns INDEX_NONE if there are too many. */
static uint32_t
add_site(struct judge *j, const struct site_query *q, uint64_t name_hash)
{
	struct judge_epoch *e = j->epochs[q->epoch];
	uint32_t i = (uint32_t)j->site_count;

	if (j->site_count == JUDGE_SITES_MAX)
		return INDEX_NONE;
	j->sites = judge_grow(j->sites, j->site_count, &j->site_room, sizeof(*j->sites));
	j->sites[i] = (struct judge_site){ .name = keep_name(j, q, name_hash),
		.first_seq = UINT64_MAX,
		.last_seq = UINT64_MAX,
		.epoch = q->epoch,
		.shared = INDEX_NONE,
		.next = e->first_site };
	j->site_count++;
	e->first_site = i;
	e->site_count++;
	index_add(&j->by_site, hash_site(j, q->epoch, name_hash), i);
	return i;
}

bool
judge_has_site(const struct judge *j, uint32_t epoch, const struct scanned *s)
{
	struct site_query q = { j, s->site, epoch };
	uint64_t name_hash = util_mac(j->key, s->site.at, s->site.size);

	return index_find(&j->by_site, hash_site(j, epoch, name_hash), is_site, &q) != INDEX_NONE;
}

/*
 * Slots are missing or come again, or a streak does not go on: a hole in `seq` or the clock may
 * turn out to be why. A site that was not there yet has UINT64_MAX as its last number.
 */
static void
note_jump(
    struct judge *j, uint32_t site, enum finding finding, const struct scanned *s, uint64_t slots)
{
	const struct judge_site *last = &j->sites[site];
	struct judge_epoch *e = j->epochs[last->epoch];

	/* what was dropped is known to have been there */
	if (s->seq - last->last_seq > 1 && ranges_meet(&e->named, last->last_seq + 1, s->seq - 1))
		return;
	if (j->jump_count == JUDGE_JUMPS_MAX) {
		e->jumps_left_out += slots;
		return;
	}
	j->jump_count++;
	e->jumps = judge_grow(e->jumps, e->jump_count, &e->jump_room, sizeof(*e->jumps));
	e->jumps[e->jump_count++] = (struct judge_jump){ .site = site,
		.before_seq = last->last_seq,
		.after_seq = s->seq,
		.before_ms = last->last_slot_ms,
		.after_ms = s->slot_ms,
		.slots = slots,
		.finding = finding,
		.alone = finding == FOUND_STREAK && s->streak == 1 };
}

/*
 * Slots of one interval follow each other on a grid; with another interval the site has another
 * grid.
 */
static void
check_slot(struct judge *j, uint32_t site, const struct scanned *s)
{
	const struct judge_site *last = &j->sites[site];
	struct judge_epoch *e = j->epochs[last->epoch];
	int64_t step = s->slot_ms - last->last_slot_ms;

	if (step <= 0) {
		e->set_back++; /* slots of the new clock */
		if (e->back_ms < s->interval_ms - step)
			e->back_ms = s->interval_ms - step;
		note_jump(j, site, FOUND_AGAIN, s, 0);
	} else if (last->interval_ms != s->interval_ms)
		return;
	else if (step % s->interval_ms != 0)
		judge_note(j, e, FOUND_GRID, 1,
		    "seq %llu of %s is %lld ms behind its seq %llu, with an interval of %lld ms",
		    (unsigned long long)s->seq, last->name, (long long)step,
		    (unsigned long long)last->last_seq, (long long)s->interval_ms);
	else if (step > s->interval_ms && s->group.size == 0) /* else others had it meanwhile */
		note_jump(j, site, FOUND_MISSING, s, (uint64_t)(step / s->interval_ms) - 1);
}

/*
 * A streak counts the records of the site in this epoch that have one status in a row. A `dropped`
 * record has lost its status and is alone. A member of a group begins anew when it takes the site
 * (again), which no record says.
 */
static void
check_streak(struct judge *j, uint32_t site, const struct scanned *s)
{
	const struct judge_site *last = &j->sites[site];
	bool first = last->last_seq == UINT64_MAX;
	bool begins = s->streak == 1 && s->status_since_ms == s->slot_ms, good = begins;

	/* older records have none */
	if (s->streak == SCAN_NONE || (!first && (last->streak == SCAN_NONE || last->dropped)))
		return;
	if (!first && s->error != ERROR_DROPPED && s->status == last->status)
		good = (s->streak == last->streak + 1 && s->status_since_ms == last->since_ms) ||
		       (begins && s->group.size > 0);
	if (!good)
		note_jump(j, site, FOUND_STREAK, s, 0);
}

static void
remember(struct judge_site *site, const struct scanned *s, const struct message *m)
{
	if (site->first_seq == UINT64_MAX)
		site->first_seq = s->seq;
	site->last_seq = s->seq;
	site->last_slot_ms = s->slot_ms;
	if (site->top_slot_ms < s->slot_ms)
		site->top_slot_ms = s->slot_ms;
	site->interval_ms = (int32_t)s->interval_ms;
	site->partition = m->partition;
	site->status = (uint8_t)s->status;
	site->streak = s->streak;
	site->since_ms = s->status_since_ms;
	site->dropped = s->error == ERROR_DROPPED;
}

/* Whether the record is the next one of its site; if not it is noted. */
static bool
is_next(struct judge *j, uint32_t i, const struct scanned *s, const struct message *m)
{
	struct judge_site *site = &j->sites[i];
	struct judge_epoch *e = j->epochs[site->epoch];
	bool cut = j->partitions[m->partition].cut;

	if (site->last_seq == UINT64_MAX) {
		if (!cut)
			check_streak(j, i, s);
		return true;
	}
	if (site->partition != m->partition) {
		/* partitions were added: what is in different ones has no order */
		e->moved++;
		site->disorder = true;
		return s->seq > site->last_seq;
	}
	if (s->seq > site->last_seq) {
		check_slot(j, i, s);
		check_streak(j, i, s);
		return true;
	}
	site->disorder = true;
	/* before the first that is left it may repeat one that was removed */
	if (!cut || s->seq > site->first_seq)
		judge_note(j, e, FOUND_ORDER, 1,
		    "seq %llu of %s stands behind its seq %llu (partition %d, offset %lld)",
		    (unsigned long long)s->seq, site->name, (unsigned long long)site->last_seq,
		    m->partition, (long long)m->offset);
	return false;
}

void
judge_site(struct judge *j, uint32_t epoch, const struct scanned *s, const struct message *m)
{
	struct site_query q = { j, s->site, epoch };
	uint64_t name_hash = util_mac(j->key, s->site.at, s->site.size);
	uint32_t i = index_find(&j->by_site, hash_site(j, epoch, name_hash), is_site, &q);

	if (i == INDEX_NONE)
		i = add_site(j, &q, name_hash);
	if (i == INDEX_NONE) {
		j->left_out++;
		return;
	}
	if (s->group.size > 0)
		j->sites[i].shared = judge_share(j, &j->sites[i], s, m);
	if (is_next(j, i, s, m))
		remember(&j->sites[i], s, m);
}
