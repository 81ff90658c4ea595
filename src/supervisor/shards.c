/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * In a group: which shards are ours, and until when. The publisher decides, and may say anything;
 * here is kept what it says, and sites get their slots or lose them. Nothing is fatal.
 */
#include <stdlib.h>

#include "state.h"

/*
 * After a shard is to be given, what still runs of it is told to end, since the next owner runs its
 * slot anew; and soon after that the publisher waits no longer.
 */
#define GIVE_HURRY_US (1500 * US_PER_MS)
#define GIVE_MAX_US   (2 * US_PER_S)

void
shards_begin(struct supervisor *s)
{
	if (s->config->kafka_group != NULL && s->start->output == PUBLISH_TO_KAFKA &&
	    !s->start->once)
		s->shards.all = xcalloc(SHARDS_MAX, sizeof(*s->shards.all));
}

/* --- lease ------------------------------------------------------------------------------- */

bool
shards_lease_holds(const struct supervisor *s)
{
	return !in_group(s) || util_boot_us() < s->shards.lease.until_us;
}

int64_t
shards_lease_us(const struct supervisor *s)
{
	const int64_t now = util_boot_us(), until = s->shards.lease.until_us;

	return in_group(s) && until > now ? until - now : 0;
}

enum tristate
shards_alone(const struct supervisor *s)
{
	if (!in_group(s))
		return TRISTATE_NULL;
	return s->shards.lease.alone ? TRISTATE_TRUE : TRISTATE_FALSE;
}

/*
 * From `since_us` to now (UTC) nobody had our shards; those that were taken meanwhile for longer.
 */
static void
note_gap(struct supervisor *s, int64_t since_us)
{
	for (uint32_t i = 0; i < s->shards.count; i++) {
		struct shard *shard = &s->shards.all[i];

		if (shard->state == SHARD_OURS && shard->taken_us <= since_us)
			shard->orphaned_us = since_us;
		shard->taken_us = util_utc_us();
	}
}

void
shards_clock_moved(struct supervisor *s, int64_t step_us)
{
	note_gap(s, util_utc_us() - step_us);
}

static void
take_lease(struct supervisor *s, const struct message_lease *lease)
{
	const int64_t boot = util_boot_us(), ended = s->shards.lease.until_us;

	if (!s->shards.confirmed || lease->until_us < 0)
		return;
	if (ended <= boot && lease->until_us > boot)
		note_gap(s, util_utc_us() - (boot - ended));
	s->shards.lease = *lease;
	s->shards.total = lease->total;
}

/* --- shards ------------------------------------------------------------------------------ */

static void
drop_site(struct supervisor *s, struct site_state *state)
{
	if (state->shard >= 0 && s->shards.all[state->shard].state != SHARD_OURS)
		site_give(s, state);
}

void
shards_drop_sites(struct supervisor *s)
{
	struct site_state *state;

	if (!s->shards.dropped)
		return;
	s->shards.dropped = false;
	for (size_t i = 0; i < s->sites.count; i++)
		drop_site(s, s->sites.all[i]);
	LIST_FOREACH (state, &s->sites.removed, next_removed)
		drop_site(s, state);
}

static void
set_state(struct supervisor *s, struct shard *shard, enum shard_state state)
{
	s->shards.giving += (state == SHARD_GIVING) - (shard->state == SHARD_GIVING);
	shard->state = state;
}

void
shards_new_publisher(struct supervisor *s)
{
	s->shards.confirmed = false;
	/* who asked for these is gone */
	for (uint32_t i = 0; i < s->shards.count; i++)
		if (s->shards.all[i].state == SHARD_GIVING)
			set_state(s, &s->shards.all[i], SHARD_ELSEWHERE);
}

/* What a predecessor of this publisher had is ours still only while its lease holds. */
static void
take_shards(struct supervisor *s, const struct message_shards *m)
{
	const bool known = s->shards.confirmed || shards_lease_holds(s);

	for (uint32_t i = 0; i < s->shards.count; i++) {
		struct shard *shard = &s->shards.all[i];

		if (shard->state != SHARD_OURS || (known && (m->taken[i / 8] >> i % 8 & 1) != 0))
			continue;
		set_state(s, shard, SHARD_ELSEWHERE);
		s->shards.dropped = true;
	}
	s->shards.confirmed = true;
	s->shards.total = m->total;
}

static void
take(struct supervisor *s, const struct message_take *m)
{
	struct shard *shard;
	bool new;

	if (m->shard >= SHARDS_MAX || m->count > TAKE_SITES_MAX)
		return;
	shard = &s->shards.all[m->shard];
	if (m->shard >= s->shards.count)
		s->shards.count = m->shard + 1;
	/* what has no slot here came with a reload: nobody was to check it before */
	new = shard->state == SHARD_OURS && shard->whole;
	if (shard->state != SHARD_OURS) {
		shards_drop_sites(s); /* those that it had before */
		set_state(s, shard, SHARD_OURS);
		shard->whole = false;
		shard->taken_us = util_utc_us();
		shard->orphaned_us = 0;
		s->shards.takeovers++;
	}
	for (uint32_t i = 0; i < m->count; i++) {
		struct taken_site taken = m->site[i];
		struct site_state *state;

		if (taken.site >= s->sites.count)
			continue;
		state = s->sites.all[taken.site];
		if (new && !site_has_slot(state))
			taken.after_us = util_utc_us();
		site_take(s, state, (int32_t)m->shard, &taken);
		if (!shard->whole && state->last_slot_us > shard->orphaned_us)
			shard->orphaned_us = state->last_slot_us;
	}
	shard->whole |= m->last;
}

static void
give(struct supervisor *s, const struct message_shard *m, int64_t now)
{
	struct shard *shard;

	if (m->shard >= SHARDS_MAX)
		return;
	shard = &s->shards.all[m->shard];
	if (m->shard >= s->shards.count)
		s->shards.count = m->shard + 1;
	set_state(s, shard, SHARD_GIVING);
	shard->given_us = now;
	shard->hurried = false;
	s->shards.dropped = true;
}

void
shards_message(struct supervisor *s, const struct message *m, int64_t now)
{
	const void *body;

	if (!in_group(s))
		return;
	if (m->type == MESSAGE_LEASE && (body = message_body(m, sizeof(struct message_lease))))
		take_lease(s, body);
	if (m->type == MESSAGE_SHARDS && (body = message_body(m, sizeof(struct message_shards))))
		take_shards(s, body);
	if (m->type == MESSAGE_TAKE && (body = message_body(m, sizeof(struct message_take))))
		take(s, body);
	if (m->type == MESSAGE_GIVE && (body = message_body(m, sizeof(struct message_shard))))
		give(s, body, now);
}

/* --- giving ------------------------------------------------------------------------------ */

static bool
has_check(const struct checks *checks, uint32_t shard)
{
	const struct check *check;

	STAILQ_FOREACH (check, checks, next)
		if (check->state->shard == (int32_t)shard)
			return true;
	return false;
}

/*
 * Whether a check of this shard runs, or its end is not in the pipe. `hurry`: end what runs, and
 * with it the checkers that do.
 */
static bool
is_busy(struct supervisor *s, uint32_t shard, bool hurry)
{
	bool busy = has_check(&s->waiting, shard) || has_check(&s->pending_closes, shard);

	for (int i = 0; i < s->pool.count; i++) {
		struct worker *worker = &s->pool.worker[i];

		const struct check *first = STAILQ_FIRST(&worker->checker->checks);

		if (!has_check(&worker->checker->checks, shard))
			continue;
		busy = true;
		if (!hurry || first->state->shard != (int32_t)shard)
			continue;
		worker->retiring = true;
		child_signal(&worker->checker->child, SIGTERM);
	}
	return busy;
}

int64_t
shards_given(struct supervisor *s, int64_t now)
{
	shards_drop_sites(s);
	for (uint32_t i = 0; i < s->shards.count && s->shards.giving > 0; i++) {
		struct shard *shard = &s->shards.all[i];
		bool hurry = !shard->hurried && now - shard->given_us >= GIVE_HURRY_US;

		if (shard->state != SHARD_GIVING)
			continue;
		shard->hurried |= hurry;
		if (is_busy(s, i, hurry) && now - shard->given_us < GIVE_MAX_US)
			continue;
		set_state(s, shard, SHARD_ELSEWHERE);
		return i;
	}
	return -1;
}

/* --- what others ask --------------------------------------------------------------------- */

bool
shards_orphaned(const struct supervisor *s, const struct site_state *state, int64_t *gap_us)
{
	const struct shard *shard;

	if (!in_group(s) || state->shard < 0)
		return false;
	shard = &s->shards.all[state->shard];
	*gap_us = shard->taken_us > shard->orphaned_us ? shard->taken_us - shard->orphaned_us : 0;
	return state->timer.slot_us < shard->taken_us;
}

uint32_t
shards_ours(const struct supervisor *s)
{
	uint32_t ours = 0;

	for (uint32_t i = 0; i < s->shards.count; i++)
		ours += s->shards.all[i].state == SHARD_OURS;
	return ours;
}
