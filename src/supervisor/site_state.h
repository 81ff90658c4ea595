/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The sites in the supervisor, one by one (site_state.c) and all together (sites.c): when their
 * next slots come, how the last ones ended, and how they come and go. See state.h.
 */
#ifndef WEBMOND_SITE_STATE_H
#define WEBMOND_SITE_STATE_H

#include <sys/queue.h>

#include "config.h"
#include "history.h"
#include "message.h"
#include "pool.h"
#include "result.h"
#include "schedule.h"
#include "wire.h"

struct supervisor;

/*
 * A site and what is known of it; written by site_state.c. Lives as long as the site is configured.
 */
struct site_state {
	struct timer timer; /* the next slot; first member, see site_of() */
	const struct site *site;
	uint32_t index;    /* in the configuration */
	uint32_t affinity; /* of its tick, see pool_choose() */
	int last_worker;   /* by index; -1: none */
	int64_t interval_us, phase_us;
	int64_t last_slot_us;  /* UTC, that was begun or missed, here or as site_take() was told */
	int32_t shard;         /* in a group; -1: not known */
	int64_t busy_until_us; /* slots due until then passed while a check ran (monotonic) */
	int64_t since_us;      /* since when not up (monotonic) */
	struct quarantine quarantine;
	enum status status;
	bool known;                  /* `status` means something */
	char *why;                   /* it is not up; NULL: it is, or nothing is known */
	int http_status;             /* of the last result; RESULT_NONE: none */
	int64_t elapsed_us;          /* likewise */
	struct wire_ordinal ordinal; /* of its last slot; zeros: it had none */
	bool running;
	bool slow;           /* its last check was */
	int64_t expected_us; /* how long its next check will take; INT64_MAX: not known */
	/* Slots that are due up to this time (monotonic) belong to the old grid and still get their
	 * records. Then the site is removed, or goes on with its new interval or clock.
	 * INT64_MAX: no such change is pending. */
	int64_t grid_ends_us;
	struct history *history; /* its last results, written by history.c; NULL: there are none */
	struct config *removed;  /* no longer configured: what its site is part of; else NULL */
	LIST_ENTRY(site_state) next_removed;
};

LIST_HEAD(site_list, site_state);

/* --- site_state.c ------------------------------------------------------------------------ */

static inline struct site_state *
site_of(struct timer *t)
{
	return (struct site_state *)t;
}

/*
 * Has no slot and is in no heap before site_restart(). Goes on with the ordinal of a removed site
 * of its name.
 */
struct site_state *site_new(struct supervisor *s, const struct site *site, uint32_t index);

/* The site has this description now. */
void site_set(struct site_state *state, const struct site *site, uint32_t index);

/* A removed site is back. */
void site_restore(struct supervisor *s, struct site_state *state);

/*
 * Continue at the first slot after now, on the grid of the site's interval and the clock as they
 * are now. Slots that are due already get their records first.
 */
void site_restart(struct supervisor *s, struct site_state *state, int64_t now);

/* Whether it has a next slot. In a group, the sites of shards that are not ours have none. */
static inline bool
site_has_slot(const struct site_state *state)
{
	return state->timer.due_us != INT64_MAX;
}

/*
 * In a group: the site is in `shard`, which is ours. Continue at its first slot later than what
 * `taken` says, or than the last one that it has had here, whichever is later. A site that is ours
 * already keeps its slot, unless another member has a record of it or of a later one.
 */
void site_take(
    struct supervisor *s, struct site_state *state, int32_t shard, const struct taken_site *taken);

/* Its shard is not ours any more: it has no slot, also after the check that runs. */
void site_give(struct supervisor *s, struct site_state *state);

/*
 * The same as site_restart(), in a group after a step of the clock: no slot is left out or had
 * twice.
 */
void site_continue(struct supervisor *s, struct site_state *state);

/* The only slot is now, for --once. */
void site_run_now(struct supervisor *s, struct site_state *state, int64_t now);

/* The next slot is on its way to a checker: go on to the one after it. */
void site_begin(struct supervisor *s, struct site_state *state);

/*
 * The next slot is missed: go on to the one after it; `keep_place`: with its priority, if it is
 * due.
 */
void site_miss(struct supervisor *s, struct site_state *state, bool keep_place, int64_t now);

/* Whether it has no slot any more: it was removed, and its grid has ended. It may be in a heap. */
bool site_is_over(const struct site_state *state);

/* Take it out of the heap of its lane; put it back, unless it is over. */
void site_dequeue(struct supervisor *s, struct site_state *state);
void site_enqueue(struct supervisor *s, struct site_state *state);

/* The site is no longer configured. It is freed by sites_sweep() when it is over. */
void site_remove(struct supervisor *s, struct site_state *state, int64_t now);

/* The removed site of this name, or NULL. */
struct site_state *site_find_removed(const struct supervisor *s, const char *name);

/*
 * Free removed sites that are over and have no check, the only place where a site is freed. Called
 * by the loop, when no function holds one. Returns whether to call it again soon: there were many.
 */
bool sites_sweep(struct supervisor *s);

/*
 * The longest that a check of this site can take, but for the grace of its last attempt: all
 * attempts, and the questions to the references of `config`.
 */
int64_t site_longest_us(const struct config *config, const struct site *site);

/* How many bytes of the URL are logged: its query may hold secrets. */
int site_shown_url(const struct site_state *state);

/* A worker has got its check. */
void site_assigned(struct site_state *state, int worker);

/* Note how a slot ended; a change of state is logged once, with its reason. */
void site_note(
    struct supervisor *s, struct site_state *state, const struct wire_done *done, int64_t now);

/*
 * A check has ended, with a result or without: the site goes on with its next slot.
 * site_survived() and site_crashed() say before what it did to its checker.
 */
void site_finished(
    struct supervisor *s, struct site_state *state, const struct wire_done *done, int64_t now);
void site_survived(struct site_state *state);
void site_crashed(struct site_state *state, int64_t now);

/* --- ordinals.c -------------------------------------------------------------------------- */

/* That of its next slot. */
struct wire_ordinal site_next_ordinal(struct supervisor *s, struct site_state *state);

/* Keep the one of a site that is freed, for when its name is back; and take it then, or zeros. */
void ordinal_keep(struct supervisor *s, const struct site_state *state);
struct wire_ordinal ordinal_take(struct supervisor *s, const char *name);

/* --- history.c --------------------------------------------------------------------------- */

/*
 * Keep a result, for whoever asks, after site_note() or site_finished() has had it. Lateness
 * RESULT_NONE: the check never began.
 */
void site_remember(struct supervisor *s, struct site_state *state, int64_t slot_us,
    int64_t lateness_us, const struct wire_done *done, int64_t now);

/* --- sites.c ----------------------------------------------------------------------------- */

/* The sites of a start. False: one of those that are named does not exist, which is logged. */
bool sites_choose(struct supervisor *s);

/* Give all sites their first slots; in a group they come with their shards. */
void sites_start(struct supervisor *s, int64_t now);

/*
 * Take over the sites of `config`, which was compared with s->config: those that were there keep
 * slot, state and running check. What has changed is described in `outcome`.
 */
void sites_adopt(struct supervisor *s, const struct config *config, int64_t now, char *outcome,
    size_t outcome_size);

/* After a step of the clock or a suspend all sites continue at their next slot on the new clock. */
void sites_follow_clock(struct supervisor *s);

#endif
