/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * One id has one content: repeats held against the first copy. Called by judge.c; nothing is fatal.
 */
#include <stdlib.h>
#include <string.h>

#include "judge.h"

/* The content of a record that came not long ago. Its place follows from its number. */
struct judge_recent {
	uint64_t seq;
	uint64_t hash;
	uint32_t epoch; /* + 1; 0: free */
};

struct copy_query {
	const struct judge *judge;
	uint32_t epoch;
	uint64_t seq;
};

uint64_t
judge_hash(const struct judge *j, const struct scanned *s)
{
	return util_mac(j->key, s->payload.at, s->payload.size);
}

static struct judge_recent *
recent_place(struct judge *j, uint32_t epoch, uint64_t seq)
{
	if (j->recent == NULL)
		j->recent = xcalloc(JUDGE_RECENT, sizeof(*j->recent));
	/* epochs of instances that run side by side count from different places */
	return &j->recent[(seq + (uint64_t)epoch * 0x9e3779b9) % JUDGE_RECENT];
}

void
judge_new_content(struct judge *j, uint32_t epoch, const struct scanned *s, uint64_t hash)
{
	*recent_place(j, epoch, s->seq) = (struct judge_recent){ s->seq, hash, epoch + 1 };
}

static bool
is_copy(const void *arg, uint32_t item)
{
	const struct copy_query *q = arg;
	const struct judge_copy *copy = &q->judge->copies[item];

	return copy->epoch == q->epoch && copy->seq == q->seq;
}

static uint64_t
hash_id(const struct judge *j, uint32_t epoch, uint64_t seq)
{
	const uint64_t id[] = { epoch, seq };

	return util_mac(j->key, id, sizeof(id));
}

static struct judge_copy *
find_copy(struct judge *j, uint32_t epoch, uint64_t seq)
{
	struct copy_query q = { j, epoch, seq };
	uint32_t i;

	if (!j->epochs[epoch]->has_copies)
		return NULL;
	i = index_find(&j->by_copy, hash_id(j, epoch, seq), is_copy, &q);
	return i == INDEX_NONE ? NULL : &j->copies[i];
}

/* Returns NULL if there are too many. */
static struct judge_copy *
add_copy(struct judge *j, uint32_t epoch, uint64_t seq, uint64_t hash, bool compared)
{
	if (j->copy_count == JUDGE_COPIES_MAX)
		return NULL;
	j->copies = judge_grow(j->copies, j->copy_count, &j->copy_room, sizeof(*j->copies));
	j->copies[j->copy_count] = (struct judge_copy){
		.epoch = epoch, .seq = seq, .hash = hash, .compared = compared
	};
	j->epochs[epoch]->has_copies = true;
	index_add(&j->by_copy, hash_id(j, epoch, seq), (uint32_t)j->copy_count);
	return &j->copies[j->copy_count++];
}

/* An id with two contents counts once. */
static void
note_difference(
    struct judge *j, struct judge_copy *copy, const struct scanned *s, const struct message *m)
{
	if (copy->differs)
		return;
	copy->differs = copy->compared = true;
	judge_note(j, j->epochs[copy->epoch], FOUND_CONTENTS, 1,
	    "seq %llu of %.*s, of which one is at partition %d, offset %lld",
	    (unsigned long long)s->seq, (int)s->site.size, s->site.at, m->partition,
	    (long long)m->offset);
}

void
judge_compare(struct judge *j, uint32_t epoch, const struct scanned *s, const struct message *m,
    uint64_t hash)
{
	struct judge_copy *copy = find_copy(j, epoch, s->seq);
	const struct judge_recent *recent = recent_place(j, epoch, s->seq);
	bool known = recent->epoch == epoch + 1 && recent->seq == s->seq;

	if (copy == NULL && known && recent->hash == hash)
		return;
	if (copy == NULL)
		copy = add_copy(j, epoch, s->seq, known ? recent->hash : hash, known);
	if (copy == NULL)
		j->uncompared++;
	else if (copy->hash != hash)
		note_difference(j, copy, s, m);
}

bool
judge_needs_again(const struct judge *j)
{
	for (size_t i = 0; i < j->copy_count; i++)
		if (!j->copies[i].compared)
			return true;
	return false;
}

void
judge_take_again(struct judge *j, const struct message *m)
{
	struct judge_copy *copy;
	struct scanned s;
	const char *why;
	uint32_t epoch;

	if (scan_record(&s, m->value, m->value_size, &why) != SCAN_RECORD ||
	    (epoch = judge_find_epoch(j, &s)) == INDEX_NONE ||
	    (copy = find_copy(j, epoch, s.seq)) == NULL)
		return;
	copy->seen++;
	if (copy->hash != judge_hash(j, &s))
		note_difference(j, copy, &s, m);
}

void
judge_end_again(struct judge *j)
{
	for (size_t i = 0; i < j->copy_count; i++) {
		struct judge_copy *copy = &j->copies[i];

		/* the first one may have been removed meanwhile */
		if (!copy->compared && copy->seen < 2)
			j->uncompared++;
		copy->compared = true;
	}
}
