/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Slots that are missing between two records of a site or come again, and streaks that do not go
 * on: what explains them. Called by judge_end.c; nothing is fatal.
 */
#include <stdlib.h>

#include "judge.h"

/* webmond looks for its slots anew when its clocks have moved apart by more than this. */
#define STEP_MS 100

/*
 * So many times that many sites miss slots together are looked at; each takes a look at all sites.
 */
#define STEPS_MAX 100

/* Whether a number between these two is missing: then what it stood for is, too. */
static bool
has_hole(const struct judge_epoch *e, uint64_t after, uint64_t before)
{
	static const struct ranges none;
	struct range hole;

	return ranges_next_hole(&e->seen, &none, after + 1, &hole) && hole.first < before;
}

static bool
is_explained(const struct judge *j, const struct judge_epoch *e, const struct judge_jump *jump)
{
	const struct judge_site *site = &j->sites[jump->site];

	if (site->disorder || has_hole(e, jump->before_seq, jump->after_seq))
		return true;
	/* when a spool is lost, checks of its epoch that end later have lost their streaks */
	return jump->alone && jump->after_seq == site->last_seq &&
	       judge_has_successor(j, site->epoch);
}

/* The time that several jumps have in common. */
struct common {
	int64_t from_ms, to_ms;
	uint64_t before_seq; /* of a record before it */
};

/* How many of these jumps, from the first one on, have a time in common. */
static size_t
find_common(const struct judge_jump *const *jumps, size_t count, struct common *common)
{
	size_t n = 0;

	*common = (struct common){ INT64_MIN, INT64_MAX, 0 };
	for (; n < count; n++) {
		const struct judge_jump *jump = jumps[n];
		struct common next = *common;

		if (jump->before_ms > next.from_ms)
			next.from_ms = jump->before_ms;
		if (jump->after_ms < next.to_ms)
			next.to_ms = jump->after_ms;
		if (jump->before_seq > next.before_seq)
			next.before_seq = jump->before_seq;
		if (n > 0 && next.to_ms - next.from_ms <= STEP_MS)
			break;
		*common = next;
	}
	return n;
}

/* Whether no site that was there before it has a record of that time: it never was. */
static bool
is_step(const struct judge *j, const struct judge_epoch *e, size_t jumps, const struct common *c)
{
	size_t sites = 0;

	for (uint32_t i = e->first_site; i != INDEX_NONE; i = j->sites[i].next) {
		const struct judge_site *site = &j->sites[i];

		sites += site->first_seq <= c->before_seq && site->last_slot_ms > c->from_ms &&
			 site->interval_ms < c->to_ms - c->from_ms;
	}
	return jumps > 1 && jumps >= sites;
}

/* What was noted so much earlier or later is of another time. */
#define NEAR 1000

/*
 * Whether the clock was set back: then another site has slots again, too, if there is one. `at` is
 * the index of the jump.
 */
static bool
was_set_back(const struct judge *j, const struct judge_epoch *e, size_t at)
{
	const struct judge_jump *jump = &e->jumps[at];

	for (size_t i = at > NEAR ? at - NEAR : 0; i < e->jump_count && i < at + NEAR; i++) {
		const struct judge_jump *other = &e->jumps[i];

		if (other->finding == FOUND_AGAIN && other->site != jump->site &&
		    other->before_seq < jump->after_seq && jump->before_seq < other->after_seq)
			return true;
	}
	return e->site_count == 1 || j->jump_count == JUDGE_JUMPS_MAX;
}

static void
take_missing(
    struct judge *j, struct judge_epoch *e, const struct judge_jump *const *jumps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char after[UTIL_RFC3339_SIZE];

		util_rfc3339(after, jumps[i]->before_ms * US_PER_MS);
		judge_note(j, e, FOUND_MISSING, jumps[i]->slots, "%llu of %s behind %s",
		    (unsigned long long)jumps[i]->slots, j->sites[jumps[i]->site].name, after);
	}
}

void
judge_take_jumps(struct judge *j, struct judge_epoch *e)
{
	const struct judge_jump **missing = xcalloc(e->jump_count + 1, sizeof(*missing));
	size_t count = 0, n, steps = 0;
	struct common common;

	for (size_t i = 0; i < e->jump_count; i++) {
		const struct judge_jump *jump = &e->jumps[i];

		if (is_explained(j, e, jump))
			continue;
		if (jump->finding == FOUND_MISSING)
			missing[count++] = jump;
		else if (jump->finding == FOUND_STREAK || !was_set_back(j, e, i))
			judge_note(j, e, jump->finding, 1, "seq %llu of %s",
			    (unsigned long long)jump->after_seq, j->sites[jump->site].name);
	}
	for (size_t i = 0; i < count; i += n) {
		n = find_common(missing + i, count - i, &common);
		if (n > 1 && steps++ < STEPS_MAX && is_step(j, e, n, &common))
			for (size_t k = i; k < i + n; k++)
				e->skipped += missing[k]->slots;
		else
			take_missing(j, e, missing + i, n);
	}
	e->found[FOUND_MISSING] += e->jumps_left_out;
	free(missing);
}
