/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * All sites of the supervisor: which there are, at a start and after a reload, and what a step of
 * the clock does to them. Nothing is fatal.
 */
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "state.h"

/* Clocks further apart than this: a step or a suspend, not drift. */
#define CLOCK_STEP_US (100 * US_PER_MS)

/* The configuration's sites that this daemon checks, by their indices. */
struct selection {
	size_t *index;
	size_t count;
};

/*
 * All enabled ones; with --once SITE… those that are named, in that order. False: one of them does
 * not exist, which is logged.
 */
static bool
select_sites(const struct supervisor *s, const struct config *config, struct selection *selection)
{
	char *const *name = s->start->once ? s->start->only : NULL;
	size_t names = 0;

	while (name != NULL && name[names] != NULL)
		names++;
	*selection = (struct selection){ .count = names > 0 ? names : config->site_count };
	selection->index = xcalloc(selection->count, sizeof(*selection->index));
	for (size_t i = 0; i < selection->count; i++) {
		ssize_t index = names > 0 ? config_find_site(config, name[i]) : (ssize_t)i;

		if (index < 0) {
			log_error("no enabled site \"%s\" in \"%s\"", name[i], config->file);
			free(selection->index);
			return false;
		}
		selection->index[i] = (size_t)index;
	}
	return true;
}

bool
sites_choose(struct supervisor *s)
{
	const struct config *config = s->config;
	struct selection selection;

	LIST_INIT(&s->sites.removed);
	if (!select_sites(s, config, &selection))
		return false;
	s->sites.all = xcalloc(selection.count, sizeof(struct site_state *));
	s->sites.count = selection.count;
	for (size_t i = 0; i < selection.count; i++)
		s->sites.all[i] = site_new(
		    &config->sites[selection.index[i]], (uint32_t)selection.index[i]);
	free(selection.index);
	return true;
}

void
sites_start(struct supervisor *s, int64_t now)
{
	for (size_t i = 0; i < s->sites.count; i++) {
		site_restart(s, s->sites.all[i], now);
		if (s->start->once)
			site_run_now(s, s->sites.all[i], now);
	}
}

void
sites_adopt(struct supervisor *s, const struct config *config, int64_t now, char *outcome,
    size_t outcome_size)
{
	struct site_state **by_index = xcalloc(config->site_count, sizeof(struct site_state *));
	struct site_state **old = s->sites.all;
	size_t added = 0, changed = 0, removed = 0;
	struct selection selection;

	if (!select_sites(s, config, &selection))
		return; /* --once, which has no reload */
	for (size_t i = 0; i < s->sites.count; i++) {
		ssize_t index = config_find_site(config, old[i]->site->name);

		if (index < 0)
			old[removed++] = old[i];
		else
			by_index[index] = old[i];
	}
	s->sites.all = xcalloc(selection.count, sizeof(struct site_state *));
	for (size_t i = 0; i < selection.count; i++) {
		size_t index = selection.index[i];
		const struct site *site = &config->sites[index];
		struct site_state *state = by_index[index];
		bool restart = state == NULL || state->interval_us != site->interval_us;

		if (state != NULL) {
			changed += !config_site_equal(site, state->site);
		} else {
			added++;
			state = site_find_removed(s, site->name);
		}
		if (state == NULL)
			state = site_new(site, (uint32_t)index);
		site_set(state, site, (uint32_t)index);
		s->sites.all[i] = state;
		if (restart)
			site_restart(s, state, now);
	}
	s->sites.count = selection.count;
	for (size_t i = 0; i < removed; i++)
		site_remove(s, old[i], now);
	free(old);
	free(by_index);
	free(selection.index);
	snprintf(outcome, outcome_size, "reloaded: %zu site%s, %zu added, %zu changed, %zu removed",
	    s->sites.count, util_plural(s->sites.count), added, changed, removed);
	log_notice("%s", outcome);
}

void
sites_follow_clock(struct supervisor *s)
{
	int64_t now = util_mono_us();
	int64_t offset = util_utc_us() - now;
	int64_t step = offset - s->sites.clock_offset_us;

	if (util_mono_us() - now > CLOCK_STEP_US / 10)
		return; /* we lost the processor in between; next time */
	s->sites.clock_offset_us = offset;
	if (s->stage != STAGE_RUNNING || s->start->once || llabs(step) < CLOCK_STEP_US)
		return;
	log_warning("the clock moved by %.1f s: every site continues at its next slot",
	    (double)step / US_PER_S);
	for (size_t i = 0; i < s->sites.count; i++)
		site_restart(s, s->sites.all[i], now);
}
