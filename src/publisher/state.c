/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * When the publisher goes from one state to the next. Called by the publisher; only looks.
 */
#include "state.h"

enum publisher_state
publisher_next_state(enum publisher_state state, const struct publisher_facts *facts)
{
	const bool ended = facts->pipes_ended || facts->output_ended;

	switch (state) {
	case PUBLISHER_RUNNING:
		if (facts->orphaned)
			return PUBLISHER_ORPHANED;
		if (facts->hand_over)
			return PUBLISHER_HANDING_OVER;
		return ended ? PUBLISHER_DRAINING : state;
	case PUBLISHER_HANDING_OVER:
		if (facts->orphaned)
			return PUBLISHER_ORPHANED;
		return facts->answered || facts->no_flush || facts->output_ended || facts->overdue
			   ? PUBLISHER_LEAVING
			   : state;
	case PUBLISHER_DRAINING:
		return facts->delivered || facts->no_flush || facts->orphaned ||
			       facts->output_ended || facts->overdue
			   ? PUBLISHER_LEAVING
			   : state;
	case PUBLISHER_ORPHANED:
		/* a checker that is stopped (SIGSTOP) would hold its pipe open for ever */
		return ended || facts->overdue ? PUBLISHER_LEAVING : state;
	case PUBLISHER_LEAVING:
		/* a supervisor that died meanwhile starts no successor */
		return facts->hand_over && facts->orphaned ? PUBLISHER_ORPHANED : state;
	}
	return state;
}
