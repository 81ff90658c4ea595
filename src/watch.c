/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * One site in the supervisor: when its next slot comes, what its last one said. Nothing is fatal.
 */
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "supervise.h"

/* Clocks further apart than this: a step or a suspend, not drift. */
#define CLOCK_STEP_US (100 * US_PER_MS)

void
watch_set_site(struct watch *w, const struct site *site, uint32_t index)
{
	w->site = site;
	w->index = index;
	w->phase_us = schedule_phase(site->name, site->interval_us);
	/* sites of one tick share a home, where they run back to back on warm caches */
	w->home = (uint32_t)(w->phase_us / SCHEDULE_TICK_US);
}

struct watch *
watch_new(const struct site *site, uint32_t index)
{
	struct watch *w = xcalloc(1, sizeof(*w));

	watch_set_site(w, site, index);
	return w;
}

void
watch_free(struct supervisor *s, struct watch *w)
{
	s->not_up -= w->known && w->status != STATUS_UP;
	free(w);
}

void
watch_set_next(struct watch *w)
{
	int64_t utc = util_utc_us();

	w->timer.slot_us = schedule_next_slot(utc, w->site->interval_us, w->phase_us);
	w->timer.due_us = w->timer.turn_us = util_mono_us() + (w->timer.slot_us - utc);
}

/* Slow drift of the clocks is taken up here, step by step. */
void
watch_advance(struct supervisor *s, struct watch *w)
{
	if (w->clock_moved) {
		w->clock_moved = false;
		watch_set_next(w);
		return;
	}
	w->timer.slot_us = schedule_next_slot(w->timer.slot_us, w->site->interval_us, w->phase_us);
	w->timer.due_us = w->timer.turn_us = w->timer.slot_us - s->clock_offset_us;
}

void
watch_enqueue(struct supervisor *s, struct watch *w)
{
	schedule_insert(&s->lane[w->slow], &w->timer);
}

void
watch_dequeue(struct supervisor *s, struct watch *w)
{
	schedule_remove(&s->lane[w->slow], &w->timer);
}

void
follow_clock(struct supervisor *s, int64_t now)
{
	int64_t offset = util_utc_us() - now;
	int64_t step = offset - s->clock_offset_us;

	s->clock_offset_us = offset;
	if (s->stage != STAGE_RUNNING || s->start->once || llabs(step) < CLOCK_STEP_US)
		return;
	log_warning("the clock moved by %.1f s: every site continues at its next slot",
	    (double)step / US_PER_S);
	for (size_t i = 0; i < s->watch_count; i++) {
		struct watch *w = s->watches[i];

		if (w->timer.due_us <= now) {
			w->clock_moved = true; /* this slot has come up and gets its record first */
			continue;
		}
		watch_dequeue(s, w);
		watch_set_next(w);
		if (!w->running)
			watch_enqueue(s, w);
	}
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

/* A line of the table that --once prints. */
static void
print_row(const struct site *site, const struct wire_done *done)
{
	char code[12] = "-", ms[24] = "-";

	if (done->http_status != RESULT_NONE)
		snprintf(code, sizeof(code), "%d", done->http_status);
	if (done->elapsed_us != RESULT_NONE)
		snprintf(ms, sizeof(ms), "%.1f", (double)done->elapsed_us / US_PER_MS);
	printf("%-24s %-8s %4s %9s  %s%s%s\n", site->name, status_name(result_status(done->error)),
	    code, ms, done->error != ERROR_NONE ? error_type_name(done->error) : "",
	    done->error != ERROR_NONE ? ": " : "", done->error_message);
	fflush(stdout);
}

void
watch_note(struct supervisor *s, struct watch *w, const struct wire_done *done)
{
	enum status status = result_status(done->error);
	bool was_up = !w->known || w->status == STATUS_UP;
	bool is_up = status == STATUS_UP;
	char duration[32];

	if (s->start->once) {
		if (s->start->output == PUBLISH_TO_NOTHING)
			print_row(w->site, done);
		if (!is_up)
			s->exit_code = EXIT_NOT_UP;
	} else if (is_up && !was_up) {
		log_notice("site \"%s\": up again after %s", w->site->name,
		    describe_duration(util_mono_us() - w->since_us, duration, sizeof(duration)));
	} else if (!is_up && (was_up || w->status != status) && s->stage == STAGE_RUNNING) {
		log_notice("site \"%s\": %s: %s: %s", w->site->name, status_name(status),
		    error_type_name(done->error), done->error_message);
	}
	if (!is_up && was_up)
		w->since_us = util_mono_us();
	s->not_up = s->not_up + was_up - is_up;
	w->status = status;
	w->known = true;
}

void
watch_finished(struct supervisor *s, struct watch *w, const struct wire_done *done)
{
	watch_note(s, w, done);
	w->running = false;
	w->busy_until_us = util_mono_us();
	w->slow = done->error == ERROR_TIMEOUT || done->elapsed_us > POOL_SLOW_US;
	if (s->start->once)
		s->once_left--;
	if (w->removed)
		watch_free(s, w);
	else if (!s->start->once)
		watch_enqueue(s, w);
}
