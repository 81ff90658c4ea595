/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the judge keeps: epochs with their findings, instances. Called by the other files of the
 * judge; nothing is fatal.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"

struct judge *
judge_new(size_t partitions)
{
	struct judge *j = xcalloc(1, sizeof(*j));

	util_random(j->key, sizeof(j->key));
	j->partitions = xcalloc(partitions, sizeof(*j->partitions));
	j->partition_count = partitions;
	j->epochs = xcalloc(JUDGE_EPOCHS_MAX, sizeof(*j->epochs));
	for (size_t i = 0; i < partitions; i++)
		j->partitions[i].next_offset = -1;
	return j;
}

static void
free_epoch(struct judge_epoch *e)
{
	ranges_release(&e->seen);
	ranges_release(&e->named);
	for (int finding = 0; finding < FOUND_COUNT; finding++)
		for (int i = 0; i < JUDGE_EXAMPLES; i++)
			free(e->examples[finding][i]);
	free(e->jumps);
	free(e);
}

void
judge_free(struct judge *j)
{
	for (size_t i = 0; i < j->epoch_count; i++)
		free_epoch(j->epochs[i]);
	for (size_t i = 0; i < j->instance_count; i++)
		free(j->instances[i].newest);
	for (size_t i = 0; i < j->name_count; i++)
		free(j->names[i]);
	for (int i = 0; i < SCAN_KIND_COUNT; i++)
		free(j->foreign[i]);
	for (size_t i = 0; i < j->shared_count; i++) {
		ranges_release(&j->shared[i].slots);
		ranges_release(&j->shared[i].verdicts);
		ranges_release(&j->shared[i].late);
	}
	for (size_t i = 0; i < j->group_count; i++)
		ranges_release(&j->groups[i].minutes);
	free(j->shared);
	free(j->groups);
	index_release(&j->by_shared);
	index_release(&j->by_epoch);
	index_release(&j->by_name);
	index_release(&j->by_site);
	index_release(&j->by_copy);
	free(j->names);
	free(j->sites);
	free(j->copies);
	free(j->recent);
	free(j->instances);
	free(j->epochs);
	free(j->partitions);
	free(j);
}

void
judge_begins_at(struct judge *j, int partition, int64_t offset)
{
	j->partitions[partition].next_offset = offset;
}

void
judge_begins_late(struct judge *j, int partition, int64_t until_ms)
{
	j->partitions[partition].cut = true;
	j->partitions[partition].cut_ms = until_ms != SCAN_NONE ? until_ms : INT64_MAX;
}

void *
judge_grow(void *list, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return list;
	*room = *room > 0 ? 2 * *room : 16;
	return xreallocarray(list, *room, size);
}

void
judge_note(struct judge *j, struct judge_epoch *e, enum finding finding, uint64_t count,
    const char *format, ...)
{
	char text[JUDGE_EXAMPLE_SIZE], *line;
	va_list ap;
	int i = 0;

	e->found[finding] += count;
	while (i < JUDGE_EXAMPLES && e->examples[finding][i] != NULL)
		i++;
	if (i == JUDGE_EXAMPLES && (j->say == NULL || e->found[finding] > JUDGE_SAID_MAX))
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (i < JUDGE_EXAMPLES)
		e->examples[finding][i] = xstrdup(text);
	if (j->say != NULL) {
		line = xasprintf("epoch %s: %s", e->name, text);
		j->say(line);
		free(line);
	}
}

/* --- epochs ------------------------------------------------------------------------------ */

/* Returns INDEX_NONE if there are too many. */
static uint32_t
find_instance(struct judge *j, const struct scan_text *name)
{
	struct judge_instance *new;

	for (size_t i = 0; i < j->instance_count; i++)
		if (strlen(j->instances[i].name) == name->size &&
		    memcmp(j->instances[i].name, name->at, name->size) == 0)
			return (uint32_t)i;
	if (j->instance_count == JUDGE_INSTANCES_MAX)
		return INDEX_NONE;
	j->instances = xreallocarray(j->instances, j->instance_count + 1, sizeof(*j->instances));
	new = &j->instances[j->instance_count];
	snprintf(new->name, sizeof(new->name), "%.*s", (int)name->size, name->at);
	new->newest = xcalloc(j->partition_count, sizeof(*new->newest));
	new->cut_ms = INT64_MIN;
	memset(new->newest, 0xff, j->partition_count * sizeof(*new->newest));
	return (uint32_t)j->instance_count++;
}

struct name_query {
	const struct judge *judge;
	const char *name;
};

static bool
is_epoch(const void *arg, uint32_t item)
{
	const struct name_query *q = arg;

	return memcmp(q->judge->epochs[item]->name, q->name, WIRE_EPOCH_SIZE) == 0;
}

static uint64_t
hash_epoch(const struct judge *j, const struct scanned *s)
{
	return util_mac(j->key, s->epoch, sizeof(s->epoch));
}

uint32_t
judge_find_epoch(struct judge *j, const struct scanned *s)
{
	struct name_query q = { j, s->epoch };
	uint32_t i = j->last_epoch;

	/* most come one after the other */
	if (i >= j->epoch_count || !is_epoch(&q, i))
		i = index_find(&j->by_epoch, hash_epoch(j, s), is_epoch, &q);
	if (i != INDEX_NONE)
		j->last_epoch = i;
	return i;
}

uint32_t
judge_add_epoch(struct judge *j, const struct scanned *s)
{
	uint32_t instance = find_instance(j, &s->instance), i;
	struct judge_epoch *e;

	if (j->epoch_count == JUDGE_EPOCHS_MAX || instance == INDEX_NONE)
		return INDEX_NONE;
	e = xcalloc(1, sizeof(*e));
	memcpy(e->name, s->epoch, sizeof(e->name));
	e->start_ms = s->epoch_ms;
	e->instance = instance;
	e->first_site = INDEX_NONE;
	e->first_ms = e->last_ms = s->slot_ms;
	i = (uint32_t)j->epoch_count++;
	j->epochs[i] = e;
	index_add(&j->by_epoch, hash_epoch(j, s), i);
	return i;
}

bool
judge_is_later(const struct judge *j, uint32_t a, uint32_t b)
{
	int64_t first = j->epochs[a]->start_ms, second = j->epochs[b]->start_ms;

	return first > second || (first == second && a > b);
}

bool
judge_has_successor(const struct judge *j, uint32_t epoch)
{
	const struct judge_instance *instance = &j->instances[j->epochs[epoch]->instance];

	for (size_t i = 0; i < j->partition_count; i++)
		if (instance->newest[i] != INDEX_NONE &&
		    judge_is_later(j, instance->newest[i], epoch))
			return true;
	return false;
}
