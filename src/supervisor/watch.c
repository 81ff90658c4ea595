/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * One site in the supervisor: when its next slot comes, what its last one said. Nothing is fatal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "state.h"

/* Clocks further apart than this: a step or a suspend, not drift. */
#define CLOCK_STEP_US (100 * US_PER_MS)

struct watch *
watch_new(const struct site *site, uint32_t index)
{
	struct watch *w = xcalloc(1, sizeof(*w));

	w->site = site;
	w->index = index;
	w->timer.due_us = INT64_MAX;
	w->expected_us = INT64_MAX;
	w->last = -1;
	return w;
}

static void
set_slot(struct watch *w, int64_t slot_us, int64_t due_us)
{
	w->timer.slot_us = slot_us;
	w->timer.due_us = w->timer.turn_us = due_us;
}

/* The first slot after jump_us, on the grid of the site's interval and the clock as it is now. */
static void
jump(struct supervisor *s, struct watch *w)
{
	int64_t slot;

	w->interval_us = w->site->interval_us;
	w->phase_us = schedule_phase(w->site->name, w->interval_us);
	slot = schedule_next_slot(w->jump_us + s->clock_offset_us, w->interval_us, w->phase_us);
	set_slot(w, slot, slot - s->clock_offset_us);
	w->jump_us = INT64_MAX;
	/* sites of one tick share a home, where they run back to back on warm caches */
	w->home = (uint32_t)(w->phase_us / SCHEDULE_TICK_US);
}

void
watch_restart(struct supervisor *s, struct watch *w, int64_t now)
{
	watch_dequeue(s, w);
	w->jump_us = now;
	if (w->timer.due_us > now)
		jump(s, w);
	if (!w->running)
		watch_enqueue(s, w);
}

void
watch_advance(struct supervisor *s, struct watch *w)
{
	int64_t slot = schedule_next_slot(w->timer.slot_us, w->interval_us, w->phase_us);

	if (w->jump_us == INT64_MAX) {
		/* takes up slow drift of the clocks */
		set_slot(w, slot, slot - s->clock_offset_us);
		return;
	}
	set_slot(w, slot, w->timer.due_us + (slot - w->timer.slot_us));
	if (w->timer.due_us > w->jump_us && w->leaving == NULL)
		jump(s, w);
}

void
watch_dequeue(struct supervisor *s, struct watch *w)
{
	schedule_remove(&s->lane[w->slow], &w->timer);
}

void
watch_enqueue(struct supervisor *s, struct watch *w)
{
	if (w->leaving == NULL || w->timer.due_us <= w->jump_us) {
		/* its last slots never run: if they waited, the site might be back before */
		w->slow &= w->leaving == NULL;
		schedule_insert(&s->lane[w->slow], &w->timer);
		return;
	}
	config_release(w->leaving);
	free(w->why);
	free(w);
}

void
watch_leave(struct supervisor *s, struct watch *w, int64_t now)
{
	watch_dequeue(s, w);
	w->leaving = config_hold(s->config);
	w->jump_us = now;
	if (!w->running)
		watch_enqueue(s, w);
}

void
follow_clock(struct supervisor *s)
{
	int64_t now = util_mono_us();
	int64_t offset = util_utc_us() - now;
	int64_t step = offset - s->clock_offset_us;

	if (util_mono_us() - now > CLOCK_STEP_US / 10)
		return; /* we lost the processor in between; next time */
	s->clock_offset_us = offset;
	if (s->stage != STAGE_RUNNING || s->start->once || llabs(step) < CLOCK_STEP_US)
		return;
	log_warning("the clock moved by %.1f s: every site continues at its next slot",
	    (double)step / US_PER_S);
	for (size_t i = 0; i < s->watch_count; i++)
		watch_restart(s, s->watches[i], now);
}

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

int
watch_place(const struct watch *w)
{
	return (int)strcspn(w->site->url, "?#");
}

/* Once for each change; what is known of a site that was never heard of is that it was fine. */
static void
log_change(const struct watch *w, enum status before)
{
	char duration[32];

	if (w->status == before)
		return;
	if (w->status == STATUS_UP)
		log_notice("site \"%s\": up again after %s (%.*s)", w->site->name,
		    describe_duration(util_mono_us() - w->since_us, duration, sizeof(duration)),
		    watch_place(w), w->site->url);
	else
		log_notice("site \"%s\": %s: %s (%.*s)", w->site->name, status_name(w->status),
		    w->why, watch_place(w), w->site->url);
}

void
watch_note(struct supervisor *s, struct watch *w, const struct wire_done *done)
{
	enum status before = w->known ? w->status : STATUS_UP;

	/* no news of a site: its last check, which took so long, said what is wrong */
	if (done->error == ERROR_MISSED_OVERRUN && before != STATUS_UP)
		return;
	w->status = result_status(done->error);
	w->known = true;
	free(w->why);
	w->why = NULL;
	if (w->status != STATUS_UP) {
		w->why = xasprintf("%s: %s", error_type_name(done->error), done->error_message);
		if (before == STATUS_UP)
			w->since_us = done->error == ERROR_MISSED_OVERLOAD ? w->timer.due_us
									   : util_mono_us();
	}
	w->http_status = done->http_status;
	w->elapsed_us = done->elapsed_us;
	/* --once has a table; at a stop checks are cut off */
	if (!s->start->once && (w->status == STATUS_UP || s->stage == STAGE_RUNNING))
		log_change(w, before);
}

void
watch_finished(struct supervisor *s, struct watch *w, const struct wire_done *done)
{
	int64_t expected_us = w->expected_us;

	watch_note(s, w, done);
	w->running = false;
	w->busy_until_us = done->ended_us;
	w->slow = done->error == ERROR_TIMEOUT || done->elapsed_us > POOL_SLOW_US;
	w->expected_us = INT64_MAX;
	if (!w->slow && done->elapsed_us >= 0)
		w->expected_us = pool_expect(expected_us, done->elapsed_us);
	if (!s->start->once)
		watch_enqueue(s, w);
}
