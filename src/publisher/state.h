/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The states of the publisher, and the only place that says when one follows another.
 *
 *   RUNNING        then HANDING_OVER, DRAINING or ORPHANED
 *   HANDING_OVER   then LEAVING or ORPHANED
 *   DRAINING       then LEAVING
 *   ORPHANED       then LEAVING
 *   LEAVING        then the end, or ORPHANED if nobody is there any more to hand over to
 */
#ifndef WEBMOND_PUBLISHER_STATE_H
#define WEBMOND_PUBLISHER_STATE_H

#include <stdbool.h>

enum publisher_state {
	PUBLISHER_RUNNING,
	PUBLISHER_HANDING_OVER, /* reload: nothing more is sent, answers are waited for */
	PUBLISHER_DRAINING,     /* nothing more comes: what is stored is sent, for a while */
	PUBLISHER_ORPHANED, /* the supervisor is dead: what its checkers still write is stored */
	PUBLISHER_LEAVING,  /* only the last transactions are left to do */
};

struct publisher_facts {
	/* by the supervisor */
	bool hand_over; /* a successor waits */
	bool no_flush;  /* what is stored need not be sent */
	bool orphaned;  /* it is dead: nobody can take over */

	bool pipes_ended;
	bool output_ended; /* nobody takes records any more */
	bool answered;     /* nothing is in flight */
	bool delivered;    /* nothing is stored */
	bool overdue;      /* the time of this state is over */
};

/* The state that follows `state`, or `state` itself. */
enum publisher_state
publisher_next_state(enum publisher_state state, const struct publisher_facts *facts);

#endif
