/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The numbers of sites and of their slots, see struct wire_ordinal. Only running out of memory is
 * fatal.
 */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

/*
 * The ordinal of a site that was removed: when it comes back, its records are counted on. Kept
 * until the end of the process, since the epoch ends with it: 130 bytes for each name that is used
 * no more.
 */
struct gone {
	char name[CONFIG_NAME_MAX + 1]; /* the first member: names are compared with it */
	struct wire_ordinal ordinal;
};

static int
compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

void
ordinal_keep(struct supervisor *s, const struct site_state *state)
{
	struct gone *gone;

	if (state->ordinal.site == 0)
		return; /* it had no slot */
	gone = xcalloc(1, sizeof(*gone));
	snprintf(gone->name, sizeof(gone->name), "%s", state->site->name);
	gone->ordinal = state->ordinal;
	if (tsearch(gone, &s->sites.gone, compare_names) == NULL)
		free(gone);
}

struct wire_ordinal
ordinal_take(struct supervisor *s, const char *name)
{
	struct gone **found = tfind(name, &s->sites.gone, compare_names);
	struct wire_ordinal ordinal = { 0 };
	struct gone *gone = found != NULL ? *found : NULL;

	if (gone != NULL) {
		ordinal = gone->ordinal;
		tdelete(name, &s->sites.gone, compare_names);
		free(gone);
	}
	return ordinal;
}

struct wire_ordinal
site_next_ordinal(struct supervisor *s, struct site_state *state)
{
	if (state->ordinal.site == 0)
		state->ordinal.site = ++s->sites.numbered;
	return (struct wire_ordinal){ state->ordinal.site, state->ordinal.slot + 1 };
}
