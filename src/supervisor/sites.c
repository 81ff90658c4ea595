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

/*
 * All enabled ones; with --once SITE… those that are named, in that order. False: one of them does
 * not exist, which is logged.
 */
static bool
select_sites(
    const struct supervisor *s, const struct config *config, size_t **indices, size_t *count)
{
	char *const *name = s->start->once ? s->start->only : NULL;
	size_t names = 0;

	while (name != NULL && name[names] != NULL)
		names++;
	*count = names > 0 ? names : config->site_count;
	*indices = xcalloc(*count, sizeof(**indices));
	for (size_t i = 0; i < *count; i++) {
		ssize_t index = names > 0 ? config_find_site(config, name[i]) : (ssize_t)i;

		if (index < 0) {
			log_error("no enabled site \"%s\" in \"%s\"", name[i], config->file);
			free(*indices);
			return false;
		}
		(*indices)[i] = (size_t)index;
	}
	return true;
}

bool
sites_choose(struct supervisor *s)
{
	size_t *indices, count;

	if (!select_sites(s, s->config, &indices, &count))
		return false;
	LIST_INIT(&s->sites.removed);
	s->sites.index = indices;
	s->sites.count = count;
	s->sites.all = xcalloc(s->sites.count, sizeof(struct site_state *));
	for (size_t i = 0; i < s->sites.count; i++)
		s->sites.all[i] = site_new(
		    s, &s->config->sites[s->sites.index[i]], (uint32_t)s->sites.index[i]);
	return true;
}

void
sites_start(struct supervisor *s, int64_t now)
{
	for (size_t i = 0; i < s->sites.count; i++) {
		if (!in_group(s))
			site_restart(s, s->sites.all[i], now);
		if (s->start->once)
			site_run_now(s, s->sites.all[i], now);
	}
}

static void
keep(struct supervisor *s, struct site_state *state, const struct site *site, uint32_t index,
    int64_t now)
{
	site_set(state, site, index);
	if (site->changed && state->interval_us != site->interval_us)
		site_restart(s, state, now);
}

static struct site_state *
add(struct supervisor *s, const struct site *site, uint32_t index, int64_t now)
{
	struct site_state *state = site_find_removed(s, site->name);

	if (state != NULL)
		site_restore(s, state);
	else
		state = site_new(s, site, index);
	site_set(state, site, index);
	site_restart(s, state, now);
	return state;
}

void
sites_adopt(struct supervisor *s, const struct config *config, int64_t now, char *outcome,
    size_t outcome_size)
{
	/* by their indices in the configuration before; those that are taken over become NULL */
	struct site_state **old = xcalloc(s->config->site_count, sizeof(struct site_state *));
	size_t added = 0, changed = 0, removed = 0, *indices, count;

	if (!select_sites(s, config, &indices, &count))
		return; /* --once, which has no reload */
	for (size_t i = 0; i < s->sites.count; i++)
		old[s->sites.index[i]] = s->sites.all[i];
	free(s->sites.all);
	free(s->sites.index);
	s->sites.all = xcalloc(count, sizeof(struct site_state *));
	s->sites.index = indices;
	s->sites.count = count;
	for (size_t i = 0; i < count; i++) {
		const struct site *site = &config->sites[indices[i]];
		struct site_state *state = site->before >= 0 ? old[site->before] : NULL;

		if (state != NULL) {
			keep(s, state, site, (uint32_t)indices[i], now);
			old[site->before] = NULL;
			changed += site->changed;
		} else {
			state = add(s, site, (uint32_t)indices[i], now);
			added++;
		}
		s->sites.all[i] = state;
	}
	for (size_t i = 0; i < s->config->site_count; i++) {
		if (old[i] == NULL)
			continue;
		removed++;
		site_remove(s, old[i], now);
	}
	free(old);
	s->sites.adopted.times++;
	s->sites.adopted.added = added;
	s->sites.adopted.changed = changed;
	s->sites.adopted.removed = removed;
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
	shards_clock_moved(s, step);
	for (size_t i = 0; i < s->sites.count; i++)
		if (in_group(s))
			site_continue(s, s->sites.all[i]);
		else
			site_restart(s, s->sites.all[i], now);
}
