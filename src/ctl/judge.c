/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The judge: where each message belongs. judge_book.c keeps what was found, judge_copies.c compares
 * contents, judge_sites.c looks at the order of a site, judge_group.c at what the
 * members of a group have of it, judge_end.c and judge_jumps.c at what can be known only of all
 * records. Called by `verify`; nothing is fatal.
 */
#include "judge.h"

#include <stdio.h>
#include <string.h>

/*
 * Records that were removed were stored before the first that is left of their instance: within two
 * of its intervals. Others may have been cut off from Kafka and have sent theirs later.
 */
static int64_t
cut_of(const struct scanned *s)
{
	return s->slot_ms + 2 * s->interval_ms;
}

/* The records of a site come epoch after epoch. */
static void
follow_epochs(struct judge *j, uint32_t epoch, const struct scanned *s, const struct message *m)
{
	struct judge_epoch *e = j->epochs[epoch];
	struct judge_instance *instance = &j->instances[e->instance];
	uint32_t *newest = &instance->newest[m->partition];

	if (*newest == INDEX_NONE && instance->cut_ms < cut_of(s))
		instance->cut_ms = cut_of(s);
	if (*newest == INDEX_NONE || judge_is_later(j, epoch, *newest))
		*newest = epoch;
	else if (*newest != epoch && !j->partitions[m->partition].cut &&
		 judge_has_site(j, *newest, s))
		judge_note(j, e, FOUND_OVERLAP, 1,
		    "seq %llu of %.*s came behind epoch %s (partition %d, offset %lld)",
		    (unsigned long long)s->seq, (int)s->site.size, s->site.at,
		    j->epochs[*newest]->name, m->partition, (long long)m->offset);
}

/* --- messages ---------------------------------------------------------------------------- */

static void
take_place(struct judge_partition *p, const struct message *m)
{
	p->messages++;
	if (p->next_offset >= 0 && m->offset > p->next_offset)
		p->empty_offsets += (uint64_t)(m->offset - p->next_offset);
	p->next_offset = m->offset + 1;
}

static void
take_foreign(struct judge *j, enum scan_kind kind, const struct message *m, const char *why)
{
	static const char *const says[SCAN_KIND_COUNT] = {
		[SCAN_TOMBSTONE] = "it has no value",
		[SCAN_NOT_JSON] = "it is not one flat JSON object",
		[SCAN_OTHER_VERSION] = "its schema_version is not 1",
	};

	if (j->foreign[kind] != NULL)
		return;
	if (says[kind] != NULL)
		j->foreign[kind] = xasprintf("partition %d, offset %lld: %s", m->partition,
		    (long long)m->offset, says[kind]);
	else
		j->foreign[kind] = xasprintf(
		    "partition %d, offset %lld: \"%s\" is missing or not as webmond writes it",
		    m->partition, (long long)m->offset, why);
}

static void
count_record(struct judge_epoch *e, const struct scanned *s)
{
	if (e->records++ == 0 || s->seq > e->top_seq) {
		e->top_seq = s->seq;
		e->top_ms = s->slot_ms;
	}
	if (s->slot_ms < e->first_ms)
		e->first_ms = s->slot_ms;
	if (s->slot_ms > e->last_ms)
		e->last_ms = s->slot_ms;
	e->statuses[s->status]++;
	e->words[s->error]++;
	if (s->lateness_us != SCAN_NONE)
		spread_add(&e->lateness, s->lateness_us);
}

static void
learn_cut(struct judge_partition *p, const struct scanned *s)
{
	if (!p->cut || p->cut_learnt)
		return;
	p->cut_learnt = true;
	p->cut_ms = cut_of(s);
}

/* A topic that was copied may have lost its keys, but none is that of another site. */
static void
check_key(struct judge *j, struct judge_epoch *e, const struct scanned *s, const struct message *m)
{
	if (m->key != NULL &&
	    (m->key_size != s->site.size || memcmp(m->key, s->site.at, m->key_size) != 0))
		judge_note(j, e, FOUND_KEY, 1, "seq %llu is of %.*s (partition %d, offset %lld)",
		    (unsigned long long)s->seq, (int)s->site.size, s->site.at, m->partition,
		    (long long)m->offset);
}

/* Returns false if there are too many ranges. */
static bool
add_numbers(struct judge *j, struct judge_epoch *e, const struct scanned *s)
{
	size_t before = e->seen.count + e->named.count;
	bool added = j->range_count < JUDGE_RANGES_MAX &&
		     ranges_add(&e->seen, s->seq, s->seq, s->slot_ms) &&
		     (s->error != ERROR_DROPPED ||
			 ranges_add(&e->named, s->seq, s->dropped_through, s->slot_ms));

	j->range_count += e->seen.count + e->named.count - before;
	return added;
}

/* A number has a record, or a `dropped` record stands for it: not both. Before it is added. */
static void
check_dropped(
    struct judge *j, struct judge_epoch *e, const struct scanned *s, const struct message *m)
{
	if (ranges_has(&e->named, s->seq) ||
	    (s->error == ERROR_DROPPED && s->dropped_through > s->seq &&
		ranges_meet(&e->seen, s->seq + 1, s->dropped_through)))
		judge_note(j, e, FOUND_CONTENTS, 1,
		    "seq %llu of %.*s (partition %d, offset %lld): a dropped record stands for what "
		    "has a record",
		    (unsigned long long)s->seq, (int)s->site.size, s->site.at, m->partition,
		    (long long)m->offset);
}

void
judge_take(struct judge *j, const struct message *m)
{
	struct scanned s;
	struct judge_epoch *e;
	const char *why;
	enum scan_kind kind = scan_record(&s, m->value, m->value_size, &why);
	uint32_t epoch;
	uint64_t hash;

	take_place(&j->partitions[m->partition], m);
	j->kinds[kind]++;
	if (kind != SCAN_RECORD) {
		take_foreign(j, kind, m, why);
		return;
	}
	learn_cut(&j->partitions[m->partition], &s);
	epoch = judge_find_epoch(j, &s);
	if (epoch == INDEX_NONE)
		epoch = judge_add_epoch(j, &s);
	if (epoch == INDEX_NONE) {
		j->left_out++;
		return;
	}
	e = j->epochs[epoch];
	check_key(j, e, &s, m);
	hash = judge_hash(j, &s);
	if (ranges_has(&e->seen, s.seq)) {
		e->repeats++;
		judge_compare(j, epoch, &s, m, hash);
		return;
	}
	check_dropped(j, e, &s, m);
	if (!add_numbers(j, e, &s)) {
		j->left_out++;
		e->overfull = true;
		return;
	}
	count_record(e, &s);
	judge_new_content(j, epoch, &s, hash);
	follow_epochs(j, epoch, &s, m);
	judge_site(j, epoch, &s, m);
}
