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

bool
sites_choose(struct supervisor *s)
{
	const struct config *config = s->config;
	char *const *name = s->start->once ? s->start->only : NULL;
	size_t names = 0;

	while (name != NULL && name[names] != NULL)
		names++;
	LIST_INIT(&s->sites.removed);
	s->sites.count = names > 0 ? names : config->site_count;
	s->sites.all = xcalloc(s->sites.count, sizeof(struct site_state *));
	for (size_t i = 0; i < s->sites.count; i++) {
		ssize_t index = names > 0 ? config_find_site(config, name[i]) : (ssize_t)i;

		if (index < 0) {
			log_error("no enabled site \"%s\" in \"%s\"", name[i], config->file);
			return false;
		}
		s->sites.all[i] = site_new(&config->sites[index], (uint32_t)index);
	}
	return true;
}

void
sites_start(struct supervisor *s, int64_t now)
{
	for (size_t i = 0; i < s->sites.count; i++)
		site_restart(s, s->sites.all[i], now);
}

void
sites_adopt(struct supervisor *s, const struct config *config, int64_t now, char *outcome,
    size_t outcome_size)
{
	/* in the order of the configuration, since --once has no reload; taken over: NULL */
	struct site_state **old = s->sites.all;
	size_t added = 0, changed = 0, removed = 0;

	s->sites.count = config->site_count;
	s->sites.all = xcalloc(config->site_count, sizeof(struct site_state *));
	for (size_t i = 0; i < config->site_count; i++) {
		const struct site *site = &config->sites[i];
		bool is_new = site->before < 0;
		struct site_state *state = is_new ? site_take_removed(s, site->name)
						  : old[site->before];

		if (state == NULL)
			state = site_new(site, (uint32_t)i);
		state->site = site;
		state->index = (uint32_t)i;
		if (is_new || (site->changed && state->interval_us != site->interval_us))
			site_restart(s, state, now);
		if (is_new) {
			added++;
		} else {
			changed += site->changed;
			old[site->before] = NULL;
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
