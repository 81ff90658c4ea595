/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The clocks of a check: how long each phase took, and how long this process was starved of CPU, so
 * that the site is not blamed for what this host did. Called while an exchange runs; nothing is
 * fatal.
 *
 * The phases are measured by our clock and not by libcurl's timers: those are of the last attempt
 * when one request is sent again on another connection.
 */
#include "probe_internal.h"

#include <string.h>

#include "util.h"

void
probe_times_begin(struct probe *p)
{
	memset(p->result->phase_us, 0, sizeof(p->result->phase_us));
	p->begun_us = p->since_us = util_mono_us();
	p->cpu_us = util_cpu_us();
}

void
probe_enter(struct probe *p, enum phase phase)
{
	int64_t now;

	if (p->entered && p->phase == phase)
		return;
	if (p->entered) {
		now = util_mono_us();
		p->result->phase_us[p->phase] += now - p->since_us;
		p->since_us = now;
	}
	p->entered = true;
	p->phase = phase;
}

void
probe_times_end(struct probe *p)
{
	struct result *r = p->result;
	int64_t now = util_mono_us();

	r->elapsed_us = now - p->begun_us;
	r->phase_us[p->phase] += now - p->since_us;
	if (!p->used_tls)
		r->phase_us[PHASE_TLS] = RESULT_NONE;
}

/* Time that this process did not compute. If hostile data kept it busy, it was not starved. */
static int64_t
idle_us(const struct probe *p, int64_t elapsed_us)
{
	return elapsed_us - (util_cpu_us() - p->cpu_us);
}

int
probe_watch(struct probe *p)
{
	int64_t elapsed_us, look_us;

	if (p->watched || p->site == NULL)
		return 1000;
	elapsed_us = util_mono_us() - p->begun_us;
	look_us = (p->site->max_response_us > 0 ? p->site->max_response_us : p->site->timeout_us) /
		  8;
	if (elapsed_us < look_us)
		return (int)((look_us - elapsed_us) / US_PER_MS) + 1;
	/* if the process comes late to this look, it was starved before */
	p->queued_us = util_queued_us() - (idle_us(p, elapsed_us) - look_us);
	p->watched = true;
	return 1000;
}

int64_t
probe_starved_us(struct probe *p)
{
	probe_watch(p);
	return util_queued_us() - p->queued_us;
}

int64_t
probe_late_us(const struct probe *p)
{
	return idle_us(p, p->result->elapsed_us) - p->site->timeout_us;
}
