/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Open addressing. Called by the judge; nothing is fatal.
 */
#include "index.h"

#include <stdlib.h>

#include "util.h"

uint32_t
index_find(const struct index *index, uint64_t hash, bool (*same)(const void *arg, uint32_t item),
    const void *arg)
{
	if (index->size == 0)
		return INDEX_NONE;
	for (size_t i = (uint32_t)hash;; i++) {
		const struct index_slot *slot = &index->slots[i & (index->size - 1)];

		if (slot->item == 0)
			return INDEX_NONE;
		if (slot->hash == (uint32_t)hash && same(arg, slot->item - 1))
			return slot->item - 1;
	}
}

static void
put(struct index *index, struct index_slot new)
{
	size_t i = new.hash;

	while (index->slots[i & (index->size - 1)].item != 0)
		i++;
	index->slots[i & (index->size - 1)] = new;
}

void
index_add(struct index *index, uint64_t hash, uint32_t item)
{
	struct index old = *index;

	if (2 * old.used >= old.size) {
		index->size = old.size > 0 ? 2 * old.size : 64;
		index->slots = xcalloc(index->size, sizeof(*index->slots));
		for (size_t i = 0; i < old.size; i++)
			if (old.slots[i].item != 0)
				put(index, old.slots[i]);
		free(old.slots);
	}
	put(index, (struct index_slot){ (uint32_t)hash, item + 1 });
	index->used++;
}

void
index_release(struct index *index)
{
	free(index->slots);
	*index = (struct index){ 0 };
}
