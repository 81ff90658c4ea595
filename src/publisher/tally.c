/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Records by site and age. Called by ask.c; only running out of memory is fatal.
 */
#include "tally.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static int
compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static struct tally_site *
find_site(struct tally *tally, const char *name, size_t size)
{
	char text[CONFIG_NAME_MAX + 1] = "";
	struct tally_site **found, *site;

	memcpy(text, name, size < CONFIG_NAME_MAX ? size : CONFIG_NAME_MAX);
	found = tfind(text, &tally->by_name, compare_names);
	if (found != NULL)
		return *found;
	if (tally->count == tally->room) {
		tally->room = tally->room > 0 ? 2 * tally->room : 64;
		tally->site = xreallocarray(tally->site, tally->room, sizeof(*tally->site));
	}
	site = tally->site[tally->count++] = xcalloc(1, sizeof(*site));
	memcpy(site->name, text, sizeof(text));
	site->oldest_us = INT64_MAX;
	tsearch(site, &tally->by_name, compare_names);
	return site;
}

void
tally_add(struct tally *tally, const char *name, size_t size, int64_t slot_us, int64_t now_us)
{
	static const int64_t limits[] = { 60 * US_PER_S, 3600 * US_PER_S, 86400 * US_PER_S };
	struct tally_site *site = find_site(tally, name, size);
	size_t age = 0;

	while (age < ARRAY_LENGTH(limits) && now_us - slot_us > limits[age])
		age++;
	site->by_age[age]++;
	site->records++;
	if (slot_us < site->oldest_us)
		site->oldest_us = slot_us;
}

static int
compare_sites(const void *a, const void *b)
{
	const struct tally_site *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

void
tally_sort(struct tally *tally)
{
	if (tally->count > 0)
		qsort(tally->site, tally->count, sizeof(*tally->site), compare_sites);
}

static void
keep(void *node)
{
	(void)node; /* its sites are in the list as well */
}

void
tally_release(struct tally *tally)
{
	tdestroy(tally->by_name, keep);
	for (size_t i = 0; i < tally->count; i++)
		free(tally->site[i]);
	free(tally->site);
	*tally = (struct tally){ 0 };
}
