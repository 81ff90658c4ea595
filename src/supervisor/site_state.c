/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * One site in the supervisor: when its next slot comes, how its last one ended. Nothing is fatal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "state.h"

/*
 * A takeover reads so much of the topic (and takes time): missed slots go back no further. A slot
 * that is further ahead is of a clock that was wrong.
 */
#define CONTINUE_US (330 * US_PER_S)

/* The most sites that one sites_sweep() frees: others have slots that are due. */
#define SWEEP_AT_ONCE 1000

/* --- sites ------------------------------------------------------------------------------- */

struct site_state *
site_new(struct supervisor *s, const struct site *site, uint32_t index)
{
	struct site_state *state = xcalloc(1, sizeof(*state));

	state->ordinal = ordinal_take(s, site->name);
	state->site = site;
	state->index = index;
	state->shard = -1;
	state->timer.due_us = INT64_MAX;
	state->expected_us = INT64_MAX;
	state->last_worker = -1;
	state->http_status = RESULT_NONE;
	state->elapsed_us = RESULT_NONE;
	return state;
}

void
site_set(struct site_state *state, const struct site *site, uint32_t index)
{
	state->site = site;
	state->index = index;
}

void
site_restore(struct supervisor *s, struct site_state *state)
{
	site_dequeue(s, state);
	if (site_is_over(state)) /* it had no slots since then */
		state->timer.due_us = INT64_MAX;
	LIST_REMOVE(state, next_removed);
	config_release(state->removed);
	state->removed = NULL;
}

/* --- slots ------------------------------------------------------------------------------- */

static void
set_slot(struct site_state *state, int64_t slot_us, int64_t due_us)
{
	state->timer.slot_us = slot_us;
	state->timer.due_us = state->timer.priority_us = due_us;
}

/*
 * In a group: the slot behind which a site goes on, if it is to have none up to `after_us` again.
 * So no slot has two records, unless a clock was so wrong that checks would pause for long.
 */
static int64_t
behind_last(const struct site_state *state, int64_t after_us)
{
	const int64_t now = util_utc_us();
	const int64_t last = state->last_slot_us > after_us ? state->last_slot_us : after_us;

	if (last > now + CONTINUE_US)
		return now;
	return last > now - CONTINUE_US ? last : now - CONTINUE_US;
}

/*
 * The first slot later than `after_us` (UTC), on the grid of the site's interval and the clock as
 * they are.
 */
static void
begin_grid(struct supervisor *s, struct site_state *state, int64_t after_us)
{
	int64_t slot;

	state->interval_us = state->site->interval_us;
	state->phase_us = schedule_phase(state->site->name, state->interval_us);
	slot = schedule_next_slot(after_us, state->interval_us, state->phase_us);
	set_slot(state, slot, slot - s->sites.clock_offset_us);
	state->grid_ends_us = INT64_MAX;
	/* sites of one tick share a checker, where they run back to back on warm caches */
	state->affinity = (uint32_t)(state->phase_us / SCHEDULE_TICK_US);
}

/* The same for the end of a grid. */
static void
next_grid(struct supervisor *s, struct site_state *state)
{
	int64_t after_us = state->grid_ends_us + s->sites.clock_offset_us;

	begin_grid(s, state, in_group(s) ? behind_last(state, after_us) : after_us);
}

void
site_restart(struct supervisor *s, struct site_state *state, int64_t now)
{
	if (in_group(s) && !site_has_slot(state))
		return;
	site_dequeue(s, state);
	state->grid_ends_us = now;
	if (state->timer.due_us > now)
		next_grid(s, state);
	if (!state->running)
		site_enqueue(s, state);
}

/* Another member of the group has gone on with it: what is known here is old. */
static void
forget_status(struct site_state *state, int32_t status, int64_t since_us)
{
	state->known = false;
	state->status = STATUS_UP;
	if (status == STATUS_DOWN || status == STATUS_UNKNOWN)
		state->status = (enum status)status;
	state->since_us = since_us;
	free(state->why);
	state->why = NULL;
	/* a streak ends: the slots of a site are counted from 1 again */
	state->ordinal.slot = 0;
	history_break_streak(state->history);
}

static void
go_on(struct supervisor *s, struct site_state *state)
{
	site_dequeue(s, state);
	begin_grid(s, state, behind_last(state, state->last_slot_us));
	if (!state->running)
		site_enqueue(s, state);
}

void
site_take(
    struct supervisor *s, struct site_state *state, int32_t shard, const struct taken_site *taken)
{
	const int64_t after_us = behind_last(state, taken->after_us);

	state->shard = shard;
	if (site_has_slot(state) && (taken->status < 0 || after_us < state->timer.slot_us))
		return;
	if (after_us > state->last_slot_us)
		forget_status(state, taken->status, after_us - s->sites.clock_offset_us);
	state->last_slot_us = after_us;
	go_on(s, state);
}

void
site_continue(struct supervisor *s, struct site_state *state)
{
	if (site_has_slot(state))
		go_on(s, state);
}

void
site_give(struct supervisor *s, struct site_state *state)
{
	site_dequeue(s, state);
	set_slot(state, 0, INT64_MAX);
	if (state->removed == NULL)
		state->grid_ends_us = INT64_MAX;
}

void
site_run_now(struct supervisor *s, struct site_state *state, int64_t now)
{
	site_dequeue(s, state);
	set_slot(state, now + s->sites.clock_offset_us, now);
	site_enqueue(s, state);
}

/* On to the slot after this one. */
static void
advance(struct supervisor *s, struct site_state *state)
{
	int64_t slot = schedule_next_slot(
	    state->timer.slot_us, state->interval_us, state->phase_us);

	state->last_slot_us = state->timer.slot_us;
	state->ordinal.slot++;
	if (state->grid_ends_us == INT64_MAX) {
		/* follows a slow drift of the clocks */
		set_slot(state, slot, slot - s->sites.clock_offset_us);
		return;
	}
	set_slot(state, slot, state->timer.due_us + (slot - state->timer.slot_us));
	if (state->timer.due_us > state->grid_ends_us && state->removed == NULL)
		next_grid(s, state);
}

void
site_begin(struct supervisor *s, struct site_state *state)
{
	site_dequeue(s, state);
	advance(s, state);
	state->running = true;
}

void
site_miss(struct supervisor *s, struct site_state *state, bool keep_place, int64_t now)
{
	int64_t priority_us = state->timer.priority_us;

	advance(s, state);
	if (keep_place && state->timer.due_us <= now)
		state->timer.priority_us = priority_us;
}

/* --- heaps ------------------------------------------------------------------------------- */

bool
site_is_over(const struct site_state *state)
{
	return state->removed != NULL && state->timer.due_us > state->grid_ends_us;
}

void
site_dequeue(struct supervisor *s, struct site_state *state)
{
	schedule_remove(&s->sites.lane[state->slow], &state->timer);
}

void
site_enqueue(struct supervisor *s, struct site_state *state)
{
	if (site_is_over(state) || !site_has_slot(state))
		return;
	/* its last slots never run: in the slow lane they could wait until the site is back */
	state->slow &= state->removed == NULL;
	schedule_insert(&s->sites.lane[state->slow], &state->timer);
}

void
site_remove(struct supervisor *s, struct site_state *state, int64_t now)
{
	state->removed = config_hold(s->config);
	LIST_INSERT_HEAD(&s->sites.removed, state, next_removed);
	state->grid_ends_us = now;
	if (site_is_over(state) || state->running)
		return; /* sites_sweep() takes it out of its heap: a reload has no time for that */
	site_dequeue(s, state);
	site_enqueue(s, state);
}

static bool
can_be_freed(const struct site_state *state)
{
	return !state->running && site_is_over(state);
}

struct site_state *
site_find_removed(const struct supervisor *s, const char *name)
{
	struct site_state *state;

	LIST_FOREACH (state, &s->sites.removed, next_removed)
		if (strcmp(state->site->name, name) == 0)
			break;
	return state;
}

bool
sites_sweep(struct supervisor *s)
{
	struct site_state *state = LIST_FIRST(&s->sites.removed), *next;
	int freed = 0;

	for (; state != NULL && freed < SWEEP_AT_ONCE; state = next) {
		next = LIST_NEXT(state, next_removed);
		if (!can_be_freed(state))
			continue;
		site_dequeue(s, state);
		LIST_REMOVE(state, next_removed);
		ordinal_keep(s, state);
		config_release(state->removed);
		free(state->why);
		history_free(state->history);
		free(state);
		freed++;
	}
	return freed == SWEEP_AT_ONCE;
}

/* --- results ----------------------------------------------------------------------------- */

static const char *
describe_duration(int64_t us, char *buffer, size_t size)
{
	long long seconds = us / US_PER_S;

	if (seconds < 120)
		snprintf(buffer, size, "%lld s", seconds);
	else if (seconds < 7200)
		snprintf(buffer, size, "%lld min %lld s", seconds / 60, seconds % 60);
	else
		snprintf(buffer, size, "%lld h %lld min", seconds / 3600, seconds / 60 % 60);
	return buffer;
}

int64_t
site_longest_us(const struct config *config, const struct site *site)
{
	int64_t repeated_us = site->retry_delay_us + site->timeout_us + WATCHDOG_GRACE_US;

	return site->timeout_us + site->retries * repeated_us +
	       (config->reference_count > 0 ? config->vantage_timeout_us : 0);
}

int
site_shown_url(const struct site_state *state)
{
	return (int)strcspn(state->site->url, "?#");
}

/* Once for each change; a site is taken for up until its first check has ended. */
static void
log_change(const struct site_state *state, enum status before, int64_t now)
{
	char duration[32];

	if (state->status == before)
		return;
	if (state->status == STATUS_UP)
		log_notice("site \"%s\": up again after %s (%.*s)", state->site->name,
		    describe_duration(now - state->since_us, duration, sizeof(duration)),
		    site_shown_url(state), state->site->url);
	else
		log_notice("site \"%s\": %s: %s (%.*s)", state->site->name,
		    status_name(state->status), state->why, site_shown_url(state),
		    state->site->url);
}

void
site_note(struct supervisor *s, struct site_state *state, const struct wire_done *done, int64_t now)
{
	enum status before = state->status; /* until it is known: what another member has said */

	/* no news of the site: the check that took too long has already said what is wrong; and a
	 * takeover has many such slots, with a check behind them */
	if ((done->error == ERROR_MISSED_OVERRUN && before != STATUS_UP) ||
	    done->error == ERROR_MISSED_TAKEOVER)
		return;
	state->status = result_status(done->error);
	state->known = true;
	free(state->why);
	state->why = NULL;
	if (state->status != STATUS_UP) {
		state->why = xasprintf("%s: %s", error_type_name(done->error), done->error_message);
		if (before == STATUS_UP)
			state->since_us = done->error == ERROR_MISSED_OVERLOAD ? state->timer.due_us
									       : now;
	}
	state->http_status = done->http_status;
	state->elapsed_us = done->elapsed_us;
	/* --once has a table; at a stop checks are cut off */
	if (!s->start->once && (state->status == STATUS_UP || s->stage == STAGE_RUNNING))
		log_change(state, before, now);
}

/* --- checks ------------------------------------------------------------------------------ */

void
site_assigned(struct site_state *state, int worker)
{
	state->last_worker = worker;
}

void
site_survived(struct site_state *state)
{
	quarantine_survived(&state->quarantine);
}

void
site_crashed(struct site_state *state, int64_t now)
{
	struct quarantine *q = &state->quarantine;

	quarantine_crashed(q, now);
	if (quarantine_active(q, now))
		log_error(
		    "site \"%s\": quarantined for %lld s: %d checks in a row ended their checker",
		    state->site->name, (long long)(q->rest_us / US_PER_S), q->crashes);
}

void
site_finished(
    struct supervisor *s, struct site_state *state, const struct wire_done *done, int64_t now)
{
	int64_t expected_us = state->expected_us;

	site_note(s, state, done, now);
	state->running = false;
	state->busy_until_us = done->ended_us;
	state->slow = done->error == ERROR_TIMEOUT || done->busy_us > POOL_SLOW_US;
	state->expected_us = INT64_MAX;
	if (!state->slow && done->busy_us >= 0)
		state->expected_us = pool_expect(expected_us, done->busy_us);
	if (!s->start->once)
		site_enqueue(s, state);
}
