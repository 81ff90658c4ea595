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

/* libcurl waits in whole milliseconds, rounded up, and a process may wake up a little later. */
#define WAKE_UP_US (2 * US_PER_MS)

/*
 * How long it is watched closely: until limits that are shorter than the timeout. 0: there are
 * none.
 */
static int64_t
limits_us(const struct site *site, int64_t *shortest_us)
{
	int64_t a = site->max_response_us, b = site->connect_timeout_us;

	*shortest_us = a == 0 || (b != 0 && b < a) ? b : a;
	return a > b ? a : b;
}

int
probe_watch(struct probe *p)
{
	int64_t elapsed_us, look_us, late_us, until_us, shortest_us;

	if (p->site == NULL)
		return 1000;
	until_us = limits_us(p->site, &shortest_us);
	if (p->watched && until_us == 0)
		return 1000;
	elapsed_us = util_mono_us() - p->begun_us;
	look_us = (shortest_us > 0 ? shortest_us : p->site->timeout_us) / 8;
	if (elapsed_us < look_us)
		return (int)((look_us - elapsed_us) / US_PER_MS) + 1;
	if (!p->watched) {
		/* if the process comes late to this look, it was starved before */
		late_us = idle_us(p, elapsed_us) - look_us;
		p->queued_us = util_queued_us() - (late_us > WAKE_UP_US ? late_us : 0);
		p->watched = true;
	}
	/* short waits, so that it shows if this process is stopped */
	return elapsed_us < until_us && look_us < US_PER_S ? (int)(look_us / US_PER_MS) + 1 : 1000;
}

void
probe_woke(struct probe *p, int64_t due_us)
{
	int64_t late_us = util_mono_us() - due_us;

	if (p->watched && late_us > WAKE_UP_US)
		p->overslept_us += late_us;
}

int64_t
probe_starved_us(struct probe *p)
{
	int64_t queued_us;

	probe_watch(p);
	queued_us = util_queued_us() - p->queued_us;
	return queued_us > p->overslept_us ? queued_us : p->overslept_us;
}

int64_t
probe_late_us(const struct probe *p, int64_t due_us)
{
	return idle_us(p, p->result->elapsed_us) - due_us;
}
